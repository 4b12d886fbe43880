// How long JavaScript stands still for a snapshot: by fork against V8's own in the same process, by heap size; then what a server under
// load notices of either. HEAPRS_BENCH_LARGE=1 adds 4 million nodes and 2 GB of buffers (minutes, and 5 GB of memory).

import { measure, median, ratio } from './tools.mjs';

const PAUSES = `
  const fs = require('node:fs'), os = require('node:os'), path = require('node:path'), v8 = require('node:v8');
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heaprs-bench-'));
  const heaprs = require(heaprsPath);
  const [objects, megabytes, rounds] = process.argv.slice(1).map(Number);
  globalThis.kept = Array.from({ length: objects }, (_, i) => ({ i }));
  globalThis.buffers = Array.from({ length: megabytes / 16 }, () => Buffer.alloc(16 << 20, 1));
  (async () => {
    const result = { pauses: [], rss: process.memoryUsage.rss() / 1e6 };
    for (let n = 0; n < rounds; n++) {
      const { pauseMs, nodes, mode } = await heaprs.captureHeapSnapshot({ file: path.join(directory, 'a.gz'), overwrite: true, mode: 'fork' });
      result.pauses.push(pauseMs);
      result.nodes = nodes;
    }
    const start = performance.now();
    v8.writeHeapSnapshot(path.join(directory, 'b'));
    result.v8 = performance.now() - start;
    fs.rmSync(directory, { recursive: true });
    console.log(JSON.stringify(result));
  })();
`;

const SERVER = `
  const fs = require('node:fs'), http = require('node:http'), os = require('node:os'), path = require('node:path'), v8 = require('node:v8');
  const { spawn } = require('node:child_process');
  const { monitorEventLoopDelay } = require('node:perf_hooks');
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heaprs-bench-'));
  const heaprs = require(heaprsPath);
  globalThis.kept = Array.from({ length: 300_000 }, (_, i) => ({ i, s: 's' + i }));
  const CLIENT = \`
    const http = require('node:http');
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    const ask = () => http.get({ port: Number(process.argv[1]), agent }, (r) => r.resume().on('end', ask)).on('error', () => process.exit());
    for (let i = 0; i < 8; i++) ask();\`;
  let answered = 0;
  const server = http.createServer((request, response) => { answered++; response.end(JSON.stringify(globalThis.kept.slice(answered % 1000, answered % 1000 + 50))); }).listen(0, async () => {
    const client = spawn(process.execPath, ['-e', CLIENT, server.address().port], { stdio: 'ignore' });
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    await wait(2000);
    async function phase(work) {
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      await wait(50); // it counts from its own first turn
      const [start, before] = [performance.now(), answered];
      const pauseMs = await work();
      // The next turns of the loop, in which a delay shows.
      await wait(50);
      const seconds = (performance.now() - start) / 1000;
      delay.disable();
      return { worst: delay.max / 1e6, perSecond: (answered - before) / seconds, seconds, pauseMs };
    }
    const result = { none: await phase(() => wait(3000)) };
    result.fork = await phase(async () => (await heaprs.captureHeapSnapshot({ file: path.join(directory, 'a'), mode: 'fork' })).pauseMs);
    result.v8 = await phase(() => { v8.writeHeapSnapshot(path.join(directory, 'b')); });
    client.kill();
    fs.rmSync(directory, { recursive: true });
    console.log(JSON.stringify(result));
    process.exit();
  });
`;

const SIZES = [
  ['100,000 objects', 100_000, 0, 15],
  ['the same, 250 MB resident', 100_000, 192, 15],
  ['1 million objects', 1_000_000, 0, 5]
];
const LARGE = [
  ['4 million objects', 4_000_000, 0, 3],
  ['2 GB of buffers', 1000, 2048, 15]
];

export default function pause() {
  for (const [title, objects, megabytes, rounds] of [...SIZES, ...(process.env.HEAPRS_BENCH_LARGE ? LARGE : [])]) {
    const { pauses, rss, nodes, v8 } = measure(PAUSES, { args: [objects, megabytes, rounds].map(String), node: ['--max-old-space-size=8000'] });
    const ms = median(pauses);
    console.log(`${title.padEnd(28)} ${nodes} nodes, ${rss.toFixed(0)} MB: fork ${ms.toFixed(1)} ms (worst of ${rounds}: ${Math.max(...pauses).toFixed(1)}), V8 ${v8.toFixed(0)} ms: ${ratio(v8, ms)}`);
  }
  const { none, fork, v8 } = measure(SERVER);
  console.log('\na server with 8 busy connections     worst delay of the loop   requests a second');
  for (const [title, phase] of Object.entries({ 'no capture': none, 'while a fork capture runs': fork, 'while V8 writes its snapshot': v8 })) {
    console.log(`${title.padEnd(36)} ${phase.worst.toFixed(0).padStart(8)} ms ${phase.perSecond.toFixed(0).padStart(24)}   (${phase.seconds.toFixed(1)} s)`);
  }
}
