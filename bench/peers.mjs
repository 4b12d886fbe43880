// The peers of the analysis benchmark: installed from npm into target/ when the benchmark first runs, never with heaprs.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root, run } from '../scripts/ensure.mjs';

const directory = join(root, 'target', 'bench-peers');
const PACKAGES = ['chrome-devtools-frontend@1.0.1705227', 'esbuild@0.28.2', '@memlab/heap-analysis@2.0.5'];

/** Installs what is missing; returns the folder. */
export async function peers() {
  const installed = join(directory, 'installed.json');
  if (existsSync(installed) && readFileSync(installed, 'utf8') === JSON.stringify(PACKAGES)) return directory;
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, 'package.json'), '{"private":true,"type":"commonjs"}');
  // Scripts would download a browser that nobody starts here.
  if (run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...PACKAGES], { cwd: directory, stdio: ['ignore', 2, 2] }) !== 0) {
    throw new Error('npm could not install the peers of the benchmark');
  }
  await bundleDevTools();
  writeFileSync(installed, JSON.stringify(PACKAGES));
  return directory;
}

/** DevTools' heap snapshot worker, bundled for Node.js; its translations, which only label progress, are left out. */
async function bundleDevTools() {
  const { build } = createRequire(join(directory, 'package.json'))('esbuild');
  const worker = join(directory, 'node_modules/chrome-devtools-frontend/front_end/entrypoints/heap_snapshot_worker');
  const silent = `
    const none = () => new Proxy(() => '', { get: (_, key) => (key === 'serializeUIString' ? (text) => text : () => () => '') });
    export const i18n = none(), ByteUtilities = none(), TimeUtilities = none(), NumberFormatter = none(), DevToolsLocale = none();`;
  await build({
    stdin: {
      contents: `export * from ${JSON.stringify(join(worker, 'HeapSnapshot.ts'))}; export * from ${JSON.stringify(join(worker, 'HeapSnapshotLoader.ts'))};`,
      resolveDir: directory,
      loader: 'ts'
    },
    bundle: true,
    format: 'esm',
    platform: 'node',
    outfile: join(directory, 'devtools.mjs'),
    logLevel: 'error',
    plugins: [{ name: 'no-translations', setup(b) {
      b.onResolve({ filter: /\/i18n\/i18n\.js$/ }, () => ({ path: 'i18n', namespace: 'none' }));
      b.onLoad({ filter: /.*/, namespace: 'none' }, () => ({ contents: silent, loader: 'js' }));
    } }]
  });
}

const devtools = JSON.stringify(pathToFileURL(join(directory, 'devtools.mjs')).href);

/** What Node.js 20 lacks of what the peers call. */
export const polyfill = `if (!Promise.withResolvers) Promise.withResolvers = function () { let resolve, reject; const promise = new Promise((a, b) => { resolve = a; reject = b; }); return { promise, resolve, reject }; };`;

// DevTools does the second half of the work on a second thread.
const second = `${polyfill} import(${devtools}).then((m) => new m.SecondaryInitManager(require('node:worker_threads').workerData))`;

/** Code of an async function that defines `open(file)`: a snapshot in DevTools' own worker, as DevTools opens it. */
export const openInDevTools = `
  const { HeapSnapshotLoader } = await import(${devtools});
  const { Worker } = require('node:worker_threads');
  const fs = require('node:fs');
  console.warn = () => {};
  const open = async (file) => {
    const loader = new HeapSnapshotLoader({ sendEvent() {} });
    const decoder = new TextDecoder();
    const fd = fs.openSync(file, 'r');
    const buffer = Buffer.allocUnsafe(10_000_000);
    for (let n; (n = fs.readSync(fd, buffer, 0, buffer.length, null)); ) {
      loader.write(decoder.decode(buffer.subarray(0, n), { stream: true }));
      await new Promise((r) => setImmediate(r));
    }
    loader.close();
    await loader.parsingComplete;
    const { port1, port2 } = new MessageChannel();
    new Worker(${JSON.stringify(second)}, { eval: true, workerData: port2, transferList: [port2], resourceLimits: { maxOldGenerationSizeMb: 16000 } });
    return loader.buildSnapshot(port1);
  };`;

export const memlab = join(directory, 'node_modules/@memlab/heap-analysis');
export const versions = Object.fromEntries(PACKAGES.map((p) => [p.slice(0, p.lastIndexOf('@')), p.slice(p.lastIndexOf('@') + 1)]));
