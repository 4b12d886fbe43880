'use strict';
// Without a line of code: heaprs/register by -r, --import and NODE_OPTIONS, its variables, and `heaprs run`.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { heaprs, root, scratch } = require('./helpers.js');

const skip = process.platform === 'win32' && 'no such signals on Windows';

// An app that knows nothing of heaprs: it sends itself the signal, and ends when a file has come.
const APP = `
  const fs = require('node:fs');
  process.kill(process.pid, process.env.RAISE || 'SIGUSR2');
  const timer = setInterval(() => {
    if (fs.readdirSync(process.argv[2]).some((name) => name.startsWith('Heap.'))) { clearInterval(timer); console.log('app', ...process.argv.slice(3)); }
  }, 10);`;

// A project that has heaprs installed.
function project(t) {
  const directory = scratch(t);
  fs.mkdirSync(path.join(directory, 'node_modules'));
  fs.mkdirSync(path.join(directory, 'dumps'));
  fs.symlinkSync(root, path.join(directory, 'node_modules', 'heaprs'), 'dir');
  fs.writeFileSync(path.join(directory, 'app.js'), APP);
  return { directory, dumps: path.join(directory, 'dumps') };
}

function node(args, cwd, env = {}) {
  const clean = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('HEAPRS_')));
  const child = spawn(process.execPath, args, { cwd, env: { ...clean, HEAPRS_SOCKET: 'off', ...env }, timeout: 120_000 });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (s) => (output.stdout += s));
  child.stderr.setEncoding('utf8').on('data', (s) => (output.stderr += s));
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, ...output })));
}

async function nodes(dumps, end) {
  const names = fs.readdirSync(dumps);
  assert.strictEqual(names.length, 1, names.join());
  assert.ok(names[0].endsWith(end), names[0]);
  const snapshot = await heaprs.openSnapshot(path.join(dumps, names[0]));
  const { info } = snapshot;
  snapshot.close();
  return info.nodes;
}

for (const [way, args, env] of [
  ['-r', ['-r', 'heaprs/register'], {}],
  ['--import', ['--import', 'heaprs/register'], { HEAPRS_COMPRESS: 'off', HEAPRS_MODE: 'inline' }],
  ['NODE_OPTIONS', [], { NODE_OPTIONS: '-r heaprs/register', HEAPRS_SIGNAL: 'SIGHUP', RAISE: 'SIGHUP' }],
]) {
  test(`registered by ${way}`, { skip }, async (t) => {
    const { directory, dumps } = project(t);
    const result = await node([...args, 'app.js', dumps], directory, { HEAPRS_DIR: dumps, ...env });
    assert.deepStrictEqual(result, { code: 0, signal: null, stdout: 'app\n', stderr: '' });
    assert.ok((await nodes(dumps, env.HEAPRS_COMPRESS ? '.heapsnapshot' : '.gz')) > 1000);
  });
}

test('what is off is off, and wrong values are warnings that name the variable', { skip: process.platform !== 'linux' }, async (t) => {
  const { directory } = project(t);
  const caught = `console.log(BigInt('0x' + /SigCgt:\\s*(\\w+)/.exec(require('fs').readFileSync('/proc/self/status', 'utf8'))[1]) >> 11n & 1n)`;
  const off = await node(['-r', 'heaprs/register', '-e', caught], directory, { HEAPRS_SIGNAL: 'off' });
  assert.deepStrictEqual(off, { code: 0, signal: null, stdout: '0n\n', stderr: '' });
  const wrong = await node(['-r', 'heaprs/register', '-e', caught], directory, { HEAPRS_SIGNAL: 'SIGKILL', HEAPRS_MODE: 'x', HEAPRS_NEAR_HEAP_LIMIT: 'many', HEAPRS_LEAK: 'maybe', HEAPRS_COMPRESS: '2' });
  assert.deepStrictEqual([wrong.code, wrong.stdout], [0, '0n\n']);
  for (const name of ['SIGNAL', 'MODE', 'NEAR_HEAP_LIMIT', 'LEAK', 'COMPRESS']) assert.match(wrong.stderr, new RegExp(`HEAPRS_${name}`), name);
});

test('everything on, a worker in it, and the program ends by itself', { skip }, async (t) => {
  const { directory, dumps } = project(t);
  const code = `new (require('node:worker_threads').Worker)('console.log(1)', { eval: true }).on('exit', (code) => console.log('exit', code))`;
  const result = await node(['-r', 'heaprs/register', '-e', code], directory, { HEAPRS_DIR: dumps, HEAPRS_NEAR_HEAP_LIMIT: '2', HEAPRS_LEAK: 'on' });
  assert.deepStrictEqual(result, { code: 0, signal: null, stdout: '1\nexit 0\n', stderr: '' });
  assert.deepStrictEqual(fs.readdirSync(dumps), []);
});

test('heaprs/register and heaprs/heapdump: one signal, one file', { skip }, async (t) => {
  const { directory, dumps } = project(t);
  const code = `
    require('heaprs/heapdump');
    require('node:child_process').execSync('kill -USR2 ' + process.pid);
    setTimeout(() => process.exit(0), 3000);`;
  const result = await node(['-r', 'heaprs/register', '-e', code], directory, { HEAPRS_DIR: dumps });
  assert.deepStrictEqual(result, { code: 0, signal: null, stdout: '', stderr: '' });
  assert.ok((await nodes(dumps, '.gz')) > 1000);
  assert.deepStrictEqual(fs.readdirSync(directory).filter((name) => name.startsWith('heapdump')), []);
});

test('heaprs run passes options, arguments, exit code and signal on', { skip }, async (t) => {
  const { directory, dumps } = project(t);
  const cli = (args) => node([path.join(root, 'bin', 'heaprs.js'), 'run', ...args], directory, { RAISE: 'SIGHUP' });
  const result = await cli(['--signal', 'SIGHUP', `--dir=${dumps}`, '--no-compress', '--mode=inline', '--no-warnings', 'app.js', dumps, '--signal', 'x']);
  assert.deepStrictEqual(result, { code: 0, signal: null, stdout: 'app --signal x\n', stderr: '' });
  assert.ok((await nodes(dumps, '.heapsnapshot')) > 1000);
  fs.writeFileSync(path.join(directory, 'ends.js'), 'process.argv[2] === "7" ? process.exit(7) : process.kill(process.pid, "SIGTERM"); setInterval(() => {}, 1000);');
  assert.strictEqual((await cli(['ends.js', '7'])).code, 7);
  assert.strictEqual((await cli(['ends.js'])).signal, 'SIGTERM');
  const missing = await cli(['--leak']);
  assert.deepStrictEqual([missing.code, missing.stdout], [2, '']);
  assert.match(missing.stderr, /a program is missing/);
});
