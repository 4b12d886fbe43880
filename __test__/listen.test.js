'use strict';
// listen() and `heaprs capture PID` through it: whatever the process is doing, for its own user only, and without harm from whoever calls.

const test = require('node:test');
const assert = require('node:assert');
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const { capture, cli, heaprs, root, run, scratch, until } = require('./helpers.js');

const skip = process.platform === 'win32' && 'no such sockets on Windows';
const linux = skip || (process.platform !== 'linux' && '/proc tells of other processes on Linux only');

const APP = `
  const heaprs = require(${JSON.stringify(root)});
  class Planted { constructor(i) { this.i = i; } }
  globalThis.kept = Array.from({ length: 700 }, (_, i) => new Planted(i));
  const secret = globalThis.secret = ['planted', 'secret', process.pid].join('-');
  const awake = setInterval(() => {}, 1000);
  const dump = heaprs.listen(JSON.parse(process.argv[1] || '{}'));
  const told = [];
  dump.on('dump', ({ file }) => told.push(file)).on('failed', ({ code }) => told.push(code));
  const ready = () => require('node:fs').writeSync(1, 'ready\\n');`;

// A process that listens, once it does. `child.dies()` is the end it has come to.
async function app(t, options, then = 'ready()', { node = [], ...spawning } = {}) {
  // Those that are killed leave their socket: not in the machine's folder for temporary files.
  const env = { ...process.env, XDG_RUNTIME_DIR: scratch(t) };
  const child = spawn(process.execPath, [...node, '-e', `${APP}\n${then}`, JSON.stringify(options)], { stdio: ['pipe', 'pipe', 'pipe'], env, ...spawning });
  t.after(() => child.kill('SIGKILL'));
  child.output = '';
  child.errors = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (child.output += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (child.errors += text));
  const end = once(child, 'close');
  child.ends = async () => ({ code: (await end)[0], signal: (await end)[1], stderr: child.errors });
  await Promise.race([until(() => child.output.includes('ready\n')), end.then(() => assert.fail(child.errors))]);
  return child;
}

async function captured(pid, ...args) {
  const { code, stdout, stderr } = await capture(pid, '--json', ...args).ended;
  assert.deepStrictEqual([code, stderr], [0, '']);
  const result = JSON.parse(stdout);
  assert.strictEqual(result.via, 'heaprs');
  assert.strictEqual(result.fileBytes, fs.statSync(result.file).size);
  return result;
}

// How many dumps the process is asked for just now.
function dumping({ pid }) {
  const name = (task) => {
    try {
      return fs.readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8').trim();
    } catch {
      return undefined; // ended meanwhile
    }
  };
  return fs.readdirSync(`/proc/${pid}/task`).filter((task) => name(task) === 'heaprs-dump').length;
}

// A connection and what comes on it, as objects. `says` writes and resolves to all that came until the other side hung up.
// One who finds all places taken calls again, unless that is the question.
async function call(socket, again = true) {
  const connection = net.connect({ path: socket, allowHalfOpen: true });
  connection.text = '';
  connection.setEncoding('utf8').on('data', (text) => (connection.text += text));
  const ended = new Promise((resolve) => connection.on('error', resolve).on('end', resolve).on('close', resolve));
  connection.lines = () => connection.text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  connection.says = async (text) => {
    connection.write(text);
    await ended;
    connection.destroy();
    return connection.lines();
  };
  await until(() => connection.text.includes('\n'));
  if (again && connection.lines()[0].error?.code === 'ERR_HEAPRS_UNAVAILABLE') {
    connection.destroy();
    return call(socket);
  }
  return connection;
}

async function planted(file) {
  const snapshot = await heaprs.openSnapshot(file);
  try {
    return (await snapshot.summary({ search: 'Planted' })).find((row) => row.name === 'Planted')?.count;
  } finally {
    snapshot.close();
  }
}

test('idle, in an endless loop, and two at once: each gets a file', { skip: linux, timeout: 300_000 }, async (t) => {
  const directory = scratch(t);
  const idle = await app(t, {});
  const file = path.join(directory, 'idle.heapsnapshot');
  const result = await captured(idle.pid, '-o', file);
  assert.deepStrictEqual([result.file, result.schemaVersion, fs.statSync(file).mode & 0o777], [file, 1, 0o600]);
  assert.ok(result.pauseMs > 0 && result.nodes > 1000 && ['fork', 'inline'].includes(result.mode));
  assert.strictEqual(await planted(file), 700);
  // It replaces no file by itself; the command does, when told to.
  const refused = await capture(idle.pid, '-o', file).ended;
  assert.deepStrictEqual([refused.code, /ERR_HEAPRS_FILE_EXISTS/.test(refused.stderr)], [2, true]);
  fs.writeFileSync(file, 'old');
  await captured(idle.pid, '-o', file, '--overwrite');
  assert.strictEqual(await planted(file), 700);

  const busy = await app(t, { mode: 'inline' }, 'ready(); for (;;);');
  const both = ['a', 'b'].map((name) => path.join(directory, `${name}.heapsnapshot.gz`));
  await Promise.all(both.map((name) => captured(busy.pid, '-o', name)));
  for (const name of both) assert.strictEqual(await planted(name), 700);
  // No inspector was opened for any of it.
  assert.deepStrictEqual([idle.errors, busy.errors], ['', '']);
  assert.deepStrictEqual(fs.readdirSync(directory).sort(), ['a.heapsnapshot.gz', 'b.heapsnapshot.gz', 'idle.heapsnapshot']);
});

test('where it listens: a folder of its own, gone with dispose, with the end and with process.exit()', { skip, timeout: 300_000 }, async (t) => {
  const base = scratch(t);
  const env = { XDG_RUNTIME_DIR: base };
  const left = () => fs.readdirSync(base);
  const folders = `const folders = () => require('node:fs').readdirSync(process.env.XDG_RUNTIME_DIR);`;
  const looks = await run(`${folders}
    const fs = require('node:fs');
    const dump = heaprs.listen();
    const [name] = folders();
    const folder = require('node:path').join(process.env.XDG_RUNTIME_DIR, name);
    const modes = [folder, folder + '/' + fs.readdirSync(folder)[0]].map((f) => fs.statSync(f).mode & 0o777);
    dump.dispose();
    dump.dispose();
    console.log(JSON.stringify({ name, pid: process.pid, modes, after: folders() }));`, { env });
  assert.deepStrictEqual([looks.code, looks.stderr], [0, '']);
  const { name, pid, modes, after } = looks.json();
  assert.ok(name.startsWith(`heaprs-${pid}-`), name);
  assert.deepStrictEqual([modes, after], [[0o700, 0o600], []]);
  for (const [how, code] of [
    ['', 0],
    ['process.exit(3)', 3],
    ['process.on("exit", () => dump.dispose()); process.exit(4)', 4],
    ['throw new Error("deliberate")', 1],
    ['new (require("node:worker_threads").Worker)("require(" + JSON.stringify(' + JSON.stringify(root) + ') + ").listen()", { eval: true })', 0],
    ['const w = new (require("node:worker_threads").Worker)("require(" + JSON.stringify(' + JSON.stringify(root) + ') + ").listen(); require(\'node:worker_threads\').parentPort.postMessage(1); setInterval(() => {}, 1e6)", { eval: true }); w.once("message", () => process.exit(5))', 5],
  ]) {
    // It keeps no process alive.
    const result = await run(`const dump = heaprs.listen(); ${how}`, { env });
    assert.strictEqual(result.code, code, `${how}: ${result.stderr}`);
    assert.deepStrictEqual(left(), [], how);
  }
  // A process that was killed leaves it; the next one that listens clears up.
  const killed = await app(t, {}, undefined, { env: { ...process.env, ...env } });
  killed.kill('SIGKILL');
  await killed.ends();
  assert.strictEqual(left().length, 1);
  const next = await run(`${folders} heaprs.listen(); console.log(folders().length)`, { env });
  assert.strictEqual(next.stdout, '1\n', next.stderr);
  assert.deepStrictEqual(left(), []);
});

test('a path of the app’s own: a dead socket is replaced, nothing else is', { skip, timeout: 300_000 }, async (t) => {
  const directory = scratch(t);
  const socket = path.join(directory, 'mine');
  const first = await app(t, { path: socket });
  const listen = `try { heaprs.listen({ path: process.argv[1] }); console.log('listens'); } catch (error) { console.log(error.code); }`;
  const second = async (name) => (await run(listen, { args: [name] })).stdout.trim();
  assert.strictEqual(await second(socket), 'ERR_HEAPRS_FILE_EXISTS');
  first.kill('SIGKILL');
  await first.ends();
  assert.ok(fs.existsSync(socket));
  assert.strictEqual(await second(socket), 'listens');
  assert.ok(!fs.existsSync(socket));
  fs.writeFileSync(socket, 'mine');
  assert.strictEqual(await second(socket), 'ERR_HEAPRS_FILE_EXISTS');
  assert.strictEqual(fs.readFileSync(socket, 'utf8'), 'mine');
  assert.strictEqual(await second(path.join(directory, 'no', 'such', 'folder')), 'ERR_HEAPRS_NOT_FOUND');
  assert.strictEqual(await second(path.join(directory, 'x'.repeat(120))), 'ERR_HEAPRS_INVALID_ARGUMENT');
  for (const options of [{ path: '' }, { path: 1 }, { file: 'a' }, { overwrite: true }, { maxDumps: 1 }, { unknown: 1 }]) {
    assert.throws(() => heaprs.listen(options).dispose(), { code: 'ERR_HEAPRS_INVALID_ARGUMENT' }, JSON.stringify(options));
  }
  assert.deepStrictEqual(fs.readdirSync(directory), ['mine']);
});

test('whoever talks nonsense is told so, and the process goes on', { skip, timeout: 300_000 }, async (t) => {
  const directory = scratch(t);
  const socket = path.join(directory, 'socket');
  const child = await app(t, { path: socket });
  const file = path.join(directory, 'a.heapsnapshot');
  const slow = await call(socket); // says nothing, all the while
  const error = async (text) => (await (await call(socket)).says(text)).at(-1).error;
  for (const request of ['garbage', '{}', '[]', '"', '{"protocol":2}', '{"protocol":1,"file":"relative"}', '{"protocol":1,"file":"/a\\u0000b"}', `{"protocol":1,"file":"${file}","directory":"/"}`,
    `{"protocol":1,"file":"${file}","overwrite":true}`, `{"protocol":1,"file":"${file}","redact":"nothing"}`, `{"protocol":1,"file":7}`, `{"protocol":1,"timeoutMs":"soon"}`]) {
    assert.strictEqual((await error(`${request}\n`)).code, 'ERR_HEAPRS_INVALID_ARGUMENT', request);
  }
  assert.match((await error('x'.repeat(1 << 20))).message, /longer than/);
  assert.strictEqual((await error(`{"protocol":1,"file":"${path.join(directory, 'no', 'folder')}"}\n`)).code, 'ERR_HEAPRS_NOT_FOUND');
  assert.strictEqual((await error(`{"protocol":1,"file":"${directory}"}\n`)).code, 'ERR_HEAPRS_NOT_A_FILE');
  // Hung up on in the middle of a request, and more callers than there are places.
  for (let i = 0; i < 40; i++) net.connect(socket).on('error', () => {}).end('{"protocol":1');
  const many = await Promise.all(Array.from({ length: 20 }, () => call(socket, false)));
  assert.ok(many.some((caller) => caller.lines()[0].error?.code === 'ERR_HEAPRS_UNAVAILABLE'));
  for (const caller of many) caller.destroy();
  await until(() => slow.lines().at(-1).error?.code === 'ERR_HEAPRS_TIMEOUT');
  const answer = await (await call(socket)).says(`{"protocol":1,"file":"${file}"}\n`);
  assert.strictEqual(answer.at(-1).result.file, file);
  assert.strictEqual(await planted(file), 700);
  assert.deepStrictEqual(fs.readdirSync(directory).sort(), ['a.heapsnapshot', 'socket']);
  assert.deepStrictEqual([child.exitCode, child.errors], [null, '']);
});

test('a caller who is killed or interrupted leaves no file', { skip: linux, timeout: 300_000 }, async (t) => {
  const directory = scratch(t);
  const socket = path.join(directory, 'socket');
  // Native code that does not come back: the dump can't begin, so that it is certainly called off.
  const child = await app(t, { path: socket, mode: 'inline' }, `
    ready();
    require('node:fs').readSync(0, Buffer.alloc(1));   // blocks until the test says so
    setImmediate(() => require('node:fs').writeSync(1, JSON.stringify(told)));`);
  const files = () => fs.readdirSync(directory).filter((name) => name !== 'socket');
  const killed = capture(child.pid, '-o', path.join(directory, 'killed.heapsnapshot'));
  const interrupted = capture(child.pid, '-o', path.join(directory, 'interrupted.heapsnapshot'));
  await until(() => dumping(child) === 2);
  killed.child.kill('SIGKILL');
  interrupted.child.kill('SIGINT');
  assert.strictEqual((await interrupted.ended).code, 130);
  await killed.ended;
  await until(() => dumping(child) === 0);
  child.stdin.write('x');
  await until(() => child.output.includes(']'));
  assert.deepStrictEqual(JSON.parse(child.output.slice('ready\n'.length)), ['ERR_HEAPRS_ABORTED', 'ERR_HEAPRS_ABORTED']);
  assert.deepStrictEqual(files(), []);
  // In the middle of the writing.
  const big = await app(t, { path: path.join(directory, 'other') }, 'globalThis.many = Array.from({ length: 1e6 }, (_, i) => ({ i })); ready(); setInterval(() => {}, 1);');
  for (;;) {
    const name = path.join(directory, 'big.heapsnapshot');
    const caught = capture(big.pid, '-o', name);
    await until(() => files().some((file) => file.endsWith('.tmp') || file === 'big.heapsnapshot'));
    caught.child.kill('SIGINT');
    const { code, stderr } = await caught.ended;
    // Too late, on a busy machine.
    if (fs.existsSync(name)) {
      fs.rmSync(name);
      continue;
    }
    assert.strictEqual(code, 130, stderr);
    break;
  }
  assert.deepStrictEqual(files(), ['other']);
  assert.strictEqual(big.exitCode, null);
});

test('what the process redacts is redacted, whatever is asked for', { skip: linux, timeout: 300_000 }, async (t) => {
  const directory = scratch(t);
  const has = (file, child) => fs.readFileSync(file, 'latin1').includes(`planted-secret-${child.pid}`);
  const file = (name) => path.join(directory, `${name}.heapsnapshot`);
  const open = await app(t, {});
  await captured(open.pid, '-o', file('plain'));
  await captured(open.pid, '-o', file('asked'), '--redact');
  assert.deepStrictEqual([has(file('plain'), open), has(file('asked'), open)], [true, false]);
  const redacts = await app(t, { redact: 'names' });
  await captured(redacts.pid, '-o', file('always'), '--redact');
  const policy = await app(t, {}, `heaprs.dumpOnSignal('SIGUSR2', { redact: true }); ready();`);
  await captured(policy.pid, '-o', file('policy'));
  assert.deepStrictEqual([has(file('always'), redacts), has(file('policy'), policy)], [false, false]);
  // Through the inspector, too.
  const silent = spawn(process.execPath, ['--inspect-port=0', '-e', `globalThis.secret = ['planted', 'secret', process.pid].join('-'); setInterval(() => {}, 1000); console.log('ready')`]);
  t.after(() => silent.kill('SIGKILL'));
  await once(silent.stdout, 'data');
  const { code, stdout, stderr } = await capture(silent.pid, '-o', file('inspector'), '--redact', '--json').ended;
  assert.deepStrictEqual([code, stderr, JSON.parse(stdout || '{}').via], [0, '', 'inspector']);
  assert.ok(!has(file('inspector'), silent));
});

test('another user is refused', { skip: linux || (process.getuid() !== 0 && 'needs root, to be somebody else'), timeout: 300_000 }, async (t) => {
  const directory = scratch(t);
  fs.chmodSync(directory, 0o777);
  const socket = path.join(directory, 'socket');
  const child = await app(t, { path: socket });
  fs.chmodSync(socket, 0o777); // so that only the kernel's word on who calls is left
  const source = `
    const socket = require('node:net').connect(${JSON.stringify(socket)}, () => socket.write('{"protocol":1,"directory":"/tmp"}\\n'));
    socket.on('error', () => {}).pipe(process.stdout);`;
  const stranger = spawnSync(process.execPath, ['-e', source], { uid: 65534, gid: 65534, cwd: '/', encoding: 'utf8' });
  assert.strictEqual(JSON.parse(stranger.stdout.split('\n')[0]).error?.code, 'ERR_HEAPRS_PERMISSION', stranger.stderr);
  assert.strictEqual(stranger.stdout.split('\n').filter(Boolean).length, 1);
  assert.strictEqual(child.exitCode, null);
  // Root may ask a process of another user, which writes with its own rights only.
  const theirs = path.join(directory, 'theirs');
  const other = await app(t, { path: theirs }, undefined, { uid: 65534, gid: 65534, cwd: '/' });
  const file = path.join(directory, 'a.heapsnapshot');
  await captured(other.pid, '-o', file);
  assert.strictEqual(fs.statSync(file).uid, 65534);
  fs.mkdirSync(path.join(directory, 'closed'), { mode: 0o755 });
  const refused = await capture(other.pid, '-o', path.join(directory, 'closed', 'a.heapsnapshot')).ended;
  assert.strictEqual(refused.code, 2);
  assert.match(refused.stderr, /ERR_HEAPRS_PERMISSION.*folder where it may write/s);
  assert.deepStrictEqual(fs.readdirSync(path.join(directory, 'closed')), []);
});

test('a worker listens for itself; what becomes of dumps is told', { skip, timeout: 300_000 }, async (t) => {
  const directory = scratch(t);
  const result = await run(`
    const { Worker } = require('node:worker_threads');
    const path = require('node:path');
    const net = require('node:net');
    const directory = process.argv[1];
    const source = 'globalThis.kept = 1; const heaprs = require(${JSON.stringify(root)}); const { parentPort } = require("node:worker_threads"); const dump = heaprs.listen({ path: ' + JSON.stringify(path.join(directory, 'worker')) + ' }); dump.on("dump", ({ file }) => parentPort.postMessage(file)); parentPort.postMessage("up"); setInterval(() => {}, 1000);';
    (async () => {
      const worker = new Worker(source, { eval: true });
      await new Promise((resolve) => worker.once('message', resolve));
      const told = new Promise((resolve) => worker.once('message', resolve));
      const socket = net.connect(path.join(directory, 'worker'));
      socket.write(JSON.stringify({ protocol: 1, directory }) + '\\n');
      const closed = new Promise((resolve) => socket.resume().once('close', resolve));
      const file = await told;
      await closed;
      await worker.terminate();
      console.log(JSON.stringify([file, require('node:fs').existsSync(path.join(directory, 'worker'))]));
    })();`, { args: [directory] });
  assert.deepStrictEqual([result.code, result.stderr], [0, '']);
  const [file, left] = result.json();
  assert.strictEqual(left, false);
  assert.match(path.basename(file), /^Heap\.\d{8}\.\d{6}\.\d+\.[1-9]\d*\.\d{3}\.heapsnapshot\.gz$/);
  const snapshot = await heaprs.openSnapshot(file);
  assert.ok(snapshot.info.nodes > 1000);
  snapshot.close();
});

test('an end in the middle: by process.exit() it waits for the file, by a signal the caller hears of it and nothing is left', { skip: linux, timeout: 300_000 }, async (t) => {
  const directory = scratch(t);
  const blocked = `ready(); require('node:fs').readSync(0, Buffer.alloc(1)); process.exit(0);`;
  const asked = async (name, mode) => {
    const child = await app(t, { path: path.join(directory, 'socket'), mode }, blocked);
    const { ended } = capture(child.pid, '-o', path.join(directory, name));
    await until(() => dumping(child) === 1);
    return { child, ended };
  };
  for (const mode of ['inline', 'auto']) {
    const { child, ended } = await asked(`${mode}.heapsnapshot`, mode);
    child.stdin.write('x');
    const { code, stderr } = await ended;
    assert.deepStrictEqual(await child.ends(), { code: 0, signal: null, stderr: '' });
    const file = path.join(directory, `${mode}.heapsnapshot`);
    // An exit waits for three seconds, which a busy machine may need for other things: then the caller is told.
    if (code === 0) assert.strictEqual(await planted(file), 700);
    else assert.match(stderr, /ERR_HEAPRS_(ABORTED|CAPTURE_FAILED)/);
    assert.strictEqual(fs.existsSync(file), code === 0);
    fs.rmSync(file, { force: true });
  }
  const { child, ended } = await asked('never.heapsnapshot');
  child.kill('SIGKILL');
  const { code, stderr } = await ended;
  assert.strictEqual(code, 2);
  assert.match(stderr, /ERR_HEAPRS_CAPTURE_FAILED.*hung up before the file was complete/s);
  assert.ok(!fs.existsSync(path.join(directory, 'never.heapsnapshot')));
});

// As in a container: a file system and process numbers of its own, with the app as process 1.
const own = ['--pid', '--fork', '--mount', '--mount-proc', '--kill-child'];
const mayUnshare = !linux && spawnSync('unshare', [...own, 'true']).status === 0;

test('a container: asked from inside and from outside', { skip: linux || (!mayUnshare && 'unshare is not allowed here'), timeout: 300_000 }, async (t) => {
  const directory = scratch(t);
  const hidden = path.join(directory, 'hidden');
  fs.mkdirSync(hidden);
  const inside = path.join(directory, 'inside.heapsnapshot');
  const then = `
    const { exec } = require('node:child_process');
    exec(${JSON.stringify(`"${process.execPath}" "${cli}" capture 1 -o "${inside}" --json`)}, (error, out) => { console.log(error ? error.message : JSON.parse(out).via); ready(); });`;
  const script = path.join(directory, 'app.js');
  fs.writeFileSync(script, `process.argv.splice(1, 1); ${APP}\n${then}`);
  // What is mounted there is seen there only.
  const shell = `mount -t tmpfs none "${hidden}" && mkdir "${hidden}/run" && XDG_RUNTIME_DIR="${hidden}/run" exec "${process.execPath}" "${script}" '{"directory":"${hidden}"}'`;
  const box = spawn('unshare', [...own, 'sh', '-c', shell]);
  t.after(() => box.kill('SIGKILL'));
  let [output, errors] = ['', ''];
  box.stdout.on('data', (text) => (output += text));
  box.stderr.on('data', (text) => (errors += text));
  await Promise.race([until(() => output.includes('ready')), once(box, 'close').then(() => assert.fail(errors))]);
  assert.strictEqual(output, 'heaprs\nready\n', errors);
  assert.strictEqual(await planted(inside), 700);
  const pid = fs.readFileSync(`/proc/${box.pid}/task/${box.pid}/children`, 'utf8').trim();
  const { code, stdout, stderr } = await capture(pid, '--json').ended;
  assert.deepStrictEqual([code, stderr], [0, '']);
  const { file, via } = JSON.parse(stdout);
  assert.deepStrictEqual([via, path.dirname(file), fs.readdirSync(hidden)], ['heaprs', hidden, []]);
  assert.strictEqual(await planted(`/proc/${pid}/root${file}`), 700);
});
