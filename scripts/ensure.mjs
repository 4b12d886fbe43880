// Makes a clone ready to run: packages installed, addon built. Needs Node 20, npm and cargo, and nothing that npm installs.
// Does nothing, in a few milliseconds, when neither has changed since the last time. Progress goes to stderr.
//
//   node scripts/ensure.mjs            install and build what is stale
//   node scripts/ensure.mjs --force    build in any case

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** The files that `napi build` writes and that are checked in. */
export const generated = ['binding.js', 'binding.d.ts'];

const BUILT = join(root, 'target', '.heaprs-built');

/** Runs a program in the repository and returns its exit code. A program that is not there is an error that says what to do. */
export function run(command, args, options = {}) {
  const { missing, ...rest } = options;
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...rest });
  if (result.error?.code === 'ENOENT') throw new Error(missing ?? `${command} is needed and was not found in PATH`);
  if (result.error) throw result.error;
  return result.status ?? 1;
}

/** Runs npm with its output on stderr. Under `npm run`, npm names its own script; there no shell is needed to find it, on Windows neither. */
function npm(...args) {
  const script = process.env.npm_execpath?.endsWith('.js') ? process.env.npm_execpath : undefined;
  const options = { stdio: ['ignore', 2, 2], shell: !script && process.platform === 'win32' };
  return script ? run(process.execPath, [script, ...args], options) : run('npm', args, options);
}

/** Packages as in a folder's package-lock.json: `npm ci`, when the lock differs from the one that was installed. */
export function ensureInstalled(directory = root) {
  const wanted = digest([join(directory, 'package-lock.json')]);
  const installed = join(directory, 'node_modules', '.heaprs-installed');
  if (read(installed) === wanted) return;
  say(`installing ${directory === root ? 'development packages' : relative(root, directory)} (npm ci)`);
  const status = npm('ci', '--no-audit', '--no-fund', '--loglevel=error', '--prefix', directory);
  if (status !== 0) throw new Error(`npm ci failed with exit code ${status}`);
  writeFileSync(installed, wanted);
}

/** The release build of the addon, when a source has changed since the last one. Returns whether it was built now. */
export function ensureBuilt({ force = false } = {}) {
  if (!force && read(BUILT) === stamp()) return false;
  say('building the addon (napi build --release); the first time takes a minute or two');
  if (
    run('cargo', ['--version'], {
      stdio: 'ignore',
      missing: 'heaprs is built from source here: install Rust 1.88 or newer (rustup), so that `cargo` is in PATH'
    }) !== 0
  ) {
    throw new Error('`cargo --version` failed: is a Rust toolchain installed? (rustup default stable)');
  }
  const status = npm('run', '--silent', 'build');
  if (status !== 0) throw new Error(`the build failed with exit code ${status}`);
  if (addons().length === 0) throw new Error('napi build has left no heaprs.*.node in the repository');
  mkdirSync(dirname(BUILT), { recursive: true });
  writeFileSync(BUILT, stamp());
  return true;
}

/** What the build depends on and what it made: equal stamps mean that a build would change nothing. */
function stamp() {
  const sources = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'package.json'].map((name) => join(root, name));
  const made = addons().map((name) => {
    const { size, mtimeMs } = statSync(join(root, name));
    return `${name} ${size} ${mtimeMs}`;
  });
  return digest([...sources, ...walk(join(root, 'src')), ...generated.map((name) => join(root, name))], made);
}

function addons() {
  return readdirSync(root)
    .filter((name) => /^heaprs\..*\.node$/.test(name))
    .sort();
}

function walk(directory) {
  return readdirSync(directory, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}

function digest(files, more = []) {
  const hash = createHash('sha256');
  for (const file of files)
    {hash
      .update(`${file}\0`)
      .update(existsSync(file) ? readFileSync(file) : '')
      .update('\0');}
  return hash.update(more.join('\0')).digest('hex');
}

function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

function say(text) {
  console.error(`heaprs: ${text}`);
}

/** Runs the body of a script; what it throws is printed as one line, and the process exits with 1. */
export async function main(body) {
  try {
    process.exitCode = (await body()) ?? 0;
  } catch (error) {
    say(error.message);
    process.exitCode = 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await main(() => {
    ensureInstalled();
    ensureBuilt({ force: process.argv.includes('--force') });
  });
}
