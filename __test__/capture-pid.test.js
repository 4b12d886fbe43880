'use strict';
// `heaprs capture PID` on processes that have never heard of heaprs: through Node's inspector, which is closed again afterwards.

const test = require('node:test');
const assert = require('node:assert');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { capture, cli, heaprs, scratch, until } = require('./helpers.js');

const skip = process.platform !== 'linux' && '/proc tells of other processes on Linux only';

// An app that keeps `count` objects and answers each line it gets with the address of its inspector.
const app = (count) => `
  class Planted { constructor(i) { this.i = i; } }
  globalThis.kept = Array.from({ length: ${count} }, (_, i) => new Planted(i));
  process.stdin.on('data', () => console.log(JSON.stringify(require('node:inspector').url() ?? null)));
  console.log('ready');`;

// Starts a program and waits for its first line.
async function start(t, command, args) {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  t.after(() => child.kill('SIGKILL'));
  child.stdout.setEncoding('utf8');
  child.stderr.setEncoding('utf8');
  child.errors = '';
  child.stderr.on('data', (text) => (child.errors += text));
  child.ask = async () => {
    child.stdin.write('?\n');
    return JSON.parse((await once(child.stdout, 'data'))[0]);
  };
  await once(child.stdout, 'data');
  return child;
}

const node = (t, count, ...flags) => start(t, process.execPath, ['--inspect-port=0', ...flags, '-e', app(count)]);

async function planted(file) {
  const snapshot = await heaprs.openSnapshot(file);
  try {
    const rows = await snapshot.summary({ search: 'Planted' });
    return rows.find((row) => row.name === 'Planted')?.count;
  } finally {
    snapshot.close();
  }
}

test('a plain process is captured, goes on, and its inspector is closed again', { skip, timeout: 120_000 }, async (t) => {
  const directory = scratch(t);
  const child = await node(t, 5000);
  assert.strictEqual(await child.ask(), null);
  const file = path.join(directory, 'a.heapsnapshot.gz');
  const { code, stdout, stderr } = await capture(child.pid, '-o', file, '--json').ended;
  assert.deepStrictEqual([code, stderr], [0, '']);
  const result = JSON.parse(stdout);
  assert.deepStrictEqual([result.schemaVersion, result.file, result.via], [1, file, 'inspector']);
  assert.strictEqual(result.fileBytes, fs.statSync(file).size);
  assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600);
  assert.strictEqual(await planted(file), 5000);
  const snapshot = await heaprs.openSnapshot(file);
  assert.deepStrictEqual([snapshot.info.nodes, snapshot.info.edges], [result.nodes, result.edges]);
  snapshot.close();
  assert.strictEqual(await child.ask(), null);
  assert.deepStrictEqual(fs.readdirSync(directory), ['a.heapsnapshot.gz']);
  // A second one needs leave to replace the first; the name is the default one without -o.
  const again = await capture(child.pid, '-o', file).ended;
  assert.strictEqual(again.code, 2);
  assert.match(again.stderr, /ERR_HEAPRS_FILE_EXISTS.*a\.heapsnapshot\.gz/s);
  // Directly after one another: none meets the inspector that the one before has left behind.
  for (let i = 0; i < 3; i++) {
    const { stdout, stderr } = await capture(child.pid, '-o', file, '--overwrite').ended;
    assert.deepStrictEqual([stdout, stderr], [`${file}\n`, '']);
  }
});

test('an inspector that was open stays open', { skip, timeout: 120_000 }, async (t) => {
  const child = await node(t, 100, '--inspect=127.0.0.1:0');
  const url = await child.ask();
  const file = path.join(scratch(t), 'a.heapsnapshot');
  assert.strictEqual((await capture(child.pid, '-o', file).ended).code, 0);
  assert.strictEqual(await planted(file), 100);
  assert.strictEqual(await child.ask(), url);
  const byPort = await capture(child.pid, '-o', file, '--overwrite', '--port', new URL(url).port).ended;
  assert.strictEqual(byPort.code, 0, byPort.stderr);
});

test('Ctrl-C leaves no file and no open inspector, and the process goes on', { skip, timeout: 120_000 }, async (t) => {
  const directory = scratch(t);
  const child = await node(t, 300_000);
  const { child: command, ended } = capture(child.pid, '-o', path.join(directory, 'a.heapsnapshot'));
  await until(() => child.errors.includes('Debugger attached'));
  command.kill('SIGINT');
  assert.strictEqual((await ended).code, 130);
  assert.deepStrictEqual(fs.readdirSync(directory), []);
  await until(async () => (await child.ask()) === null);
});

test('a process that would be ended by the signal gets none', { skip, timeout: 60_000 }, async (t) => {
  const shell = await start(t, 'sh', ['-c', 'echo ready; read line; echo went on']);
  const { code, stderr } = await capture(shell.pid).ended;
  assert.strictEqual(code, 2);
  assert.match(stderr, /ERR_HEAPRS_UNAVAILABLE.*does not catch SIGUSR1/s);
  shell.stdin.write('\n');
  assert.strictEqual((await once(shell.stdout, 'data'))[0], 'went on\n');

  if (process.allowedNodeEnvironmentFlags.has('--disable-sigusr1')) {
    const child = await node(t, 1, '--disable-sigusr1');
    const refused = await capture(child.pid).ended;
    assert.strictEqual(refused.code, 2);
    assert.match(refused.stderr, /started with --disable-sigusr1/);
    assert.strictEqual(await child.ask(), null);
  }
});

test('what cannot be captured says why', { skip, timeout: 60_000 }, async (t) => {
  const gone = spawnSync('true').pid;
  const server = http.createServer((_, response) => response.end('{}')).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  for (const [args, message] of [
    [[gone], /ERR_HEAPRS_NOT_FOUND: there is no process/],
    [['app'], /PID is a whole number/],
    [[process.pid, '--port', server.address().port], /ERR_HEAPRS_UNAVAILABLE: no inspector answers/],
    [[process.pid, '--timeout', 'soon'], /--timeout is a whole number/],
  ]) {
    const { code, stderr } = await capture(...args.map(String)).ended;
    assert.strictEqual(code, 2);
    assert.match(stderr, message);
  }
  const child = await node(t, 1);
  const { code, stderr } = await capture(child.pid, '-o', path.join(scratch(t), 'no', 'such', 'folder')).ended;
  assert.strictEqual(code, 2);
  assert.match(stderr, /ERR_HEAPRS_NOT_FOUND/);
  await until(async () => (await child.ask()) === null);
});

// As in a container: the first process of its own process namespace, which signals without a handler do not even reach.
const own = ['--pid', '--fork', '--mount-proc', '--kill-child'];
const mayUnshare = !skip && spawnSync('unshare', [...own, 'true']).status === 0;

test('process 1 of a container, and what a shell there has started', { skip: skip || (!mayUnshare && 'unshare is not allowed here'), timeout: 120_000 }, async (t) => {
  const directory = scratch(t);
  const script = path.join(directory, 'app.js');
  fs.writeFileSync(script, `${app(700)}; setInterval(() => {}, 1000);`);
  const [first, second] = ['first', 'second'].map((name) => path.join(directory, `${name}.heapsnapshot`));
  const heaprsIn = (pid, file) => `"${process.execPath}" "${cli}" capture ${pid} -o "${file}"`;
  // The shell is process 1 and starts the app; in the other the app is process 1 itself.
  const shell = `"${process.execPath}" --inspect-port=0 "${script}" > "${directory}/log" & while ! [ -s "${directory}/log" ]; do sleep 0.1; done; ${heaprsIn('$!', first)}; kill -9 $!`;
  const byShell = spawnSync('unshare', [...own, 'sh', '-c', shell], { encoding: 'utf8' });
  assert.strictEqual(await planted(first), 700, byShell.stderr);
  const asFirst = `${app(800)}; require('node:child_process').exec(${JSON.stringify(heaprsIn(1, second))}, (error, out, err) => { console.error(err); process.exit(error ? 1 : 0); });`;
  const alone = spawnSync('unshare', [...own, process.execPath, '--inspect-port=0', '-e', asFirst], { encoding: 'utf8' });
  assert.strictEqual(alone.status, 0, alone.stderr);
  assert.strictEqual(await planted(second), 800);
});
