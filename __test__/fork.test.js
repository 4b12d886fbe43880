'use strict';
// Captures by fork: complete and right under load, without a trace, and with an honest answer where they can't work.

const test = require('node:test');
const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { GROUPS, group, limited, noGroups } = require('./control-group.js');
const { heaprs, root, run, scratch } = require('./helpers.js');

const { supported, reason } = heaprs.forkSupport();
const skip = !supported && reason;

// Runs in each program: a heap with known contents, captures, and a look at what they leave.
const TOOLS = `
  const assert = require('node:assert'), fs = require('node:fs'), path = require('node:path');
  class Landmark { constructor(i) { this.i = i; } }
  globalThis.landmarks = Array.from({ length: 1000 }, (_, i) => new Landmark(i));
  const fill = (n) => { globalThis.kept = Array.from({ length: n }, (_, i) => ({ i, s: 's' + i })); };
  let going = true;
  // A loop that does nothing but allocate, with turns of 5 ms.
  function allocate() {
    const end = performance.now() + 5;
    while (performance.now() < end) globalThis.sink = Array.from({ length: 2000 }, (_, i) => ({ i, inner: { i } }));
    if (going) setImmediate(allocate);
  }
  // By the pieces of the file themselves, and by the landmarks in it.
  function check(file) {
    const { snapshot: { meta, node_count, edge_count }, nodes, edges, strings } = JSON.parse(fs.readFileSync(file));
    const width = meta.node_fields.length;
    assert.deepStrictEqual([nodes.length, edges.length], [node_count * width, edge_count * meta.edge_fields.length]);
    const [name, object] = [strings.indexOf('Landmark'), meta.node_types[0].indexOf('object')];
    let count = 0;
    for (let i = 0; i < nodes.length; i += width) count += nodes[i] === object && nodes[i + 1] === name;
    assert.ok(count >= 1000, count + ' landmarks');
  }
  const children = () => fs.readdirSync('/proc/self/task').flatMap((id) => { try { return fs.readFileSync('/proc/self/task/' + id + '/children', 'utf8').split(' ').filter(Boolean); } catch { return []; } });
  const fds = () => fs.readdirSync('/proc/self/fd').length;
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  async function until(condition) { while (!condition()) await wait(5); }
  // A capture whose child is at work: its promise, and the child's id. One that was through before anybody looked is tried again.
  async function begun(options) {
    for (;;) {
      let settled = false;
      const pending = capture(options);
      pending.catch(() => {}).then(() => { settled = true; });
      await until(() => settled || children().length > 0);
      const [child] = children();
      if (!settled && child) return { pending, child };
      await pending;
    }
  }
  const capture = (options) => heaprs.captureHeapSnapshot({ file: 'x.heapsnapshot', overwrite: true, ...options });
`;

const program = (t, code, options) => run(`${TOOLS}\n(async () => {${code}\n})();`, { cwd: scratch(t), ...options });

function fine(result, expected = 'fine\n') {
  assert.deepStrictEqual([result.code, result.signal, result.stdout, result.stderr], [0, null, expected, '']);
}

test('at rest: the same classes as an inline capture, under its own mark', { skip }, async (t) => {
  const directory = scratch(t);
  const result = await program(t, `
    fill(10_000);
    globalThis.map = new Map(globalThis.landmarks.map((l) => [l.i, l]));
    const results = [];
    for (const mode of ['inline', 'fork', 'auto']) results.push(await capture({ file: process.argv[1] + '/' + mode, mode }));
    check(results[1].file);
    console.log(JSON.stringify(results));`, { args: [directory] });
  const [inline, fork, auto] = result.json();
  assert.deepStrictEqual([fork.mode, auto.mode, fork.fallbackReason, auto.fallbackReason], ['fork', 'fork', undefined, undefined]);
  assert.ok(fork.pauseMs > 0 && fork.pauseMs < fork.durationMs && fork.attempts >= 1);
  const head = fs.readFileSync(fork.file, 'utf8').slice(0, 60);
  assert.ok(head.startsWith('{"snapshot":{"heaprs":{"ids":"fork"},"meta"'), head);
  const [a, b] = [await heaprs.openSnapshot(inline.file), await heaprs.openSnapshot(fork.file)];
  t.after(() => [a, b].forEach((s) => s.close()));
  assert.deepStrictEqual([b.info.nodes, b.info.edges], [fork.nodes, fork.edges]);
  const [before, after] = [await a.summary(), await b.summary()];
  const count = (rows, name) => rows.find((row) => row.name === name)?.count;
  for (const name of ['Landmark', 'Map', 'Module', 'Worker', 'Buffer', 'Timeout']) assert.strictEqual(count(after, name), count(before, name), name);
  const drift = Math.abs(b.info.nodes / a.info.nodes - 1);
  assert.ok(drift < 0.02, `node counts differ by ${drift}: the program went on between the two`);
  const comparison = await heaprs.compareSnapshots(fork.file, auto.file);
  assert.strictEqual(comparison.matchedBy, 'structure');
});

test('comparable captures by fork have matching ids, and releaseObjectIds ends that', { skip }, async (t) => {
  const directory = scratch(t);
  const result = await program(t, `
    const files = [];
    for (const file of ['a', 'b']) files.push(await capture({ file: process.argv[1] + '/' + file, mode: 'fork', comparableIds: true }));
    heaprs.releaseObjectIds();
    console.log(JSON.stringify(files));`, { args: [directory] });
  const [a, b] = result.json();
  assert.deepStrictEqual([a.mode, b.mode], ['fork', 'fork']);
  const { matchedBy, rows } = await heaprs.compareSnapshots(a.file, b.file);
  assert.strictEqual(matchedBy, 'id');
  assert.strictEqual(rows.find((row) => row.name === 'Landmark')?.addedCount ?? 0, 0, 'each of the 1,000 keeps its id');
});

const LOADS = {
  'a loop that allocates without end, 100,000 live objects': ['fill(100_000); allocate();', 4],
  'two busy workers beside it': [`fill(20_000); allocate();
    const { Worker } = require('node:worker_threads');
    const workers = [1, 2].map(() => new Worker('globalThis.kept = Array.from({ length: 20_000 }, (_, i) => ({ i })); for (;;) globalThis.sink = Array.from({ length: 2000 }, (_, i) => ({ i }));', { eval: true }));
    await Promise.all(workers.map((w) => new Promise((resolve) => w.once('online', resolve))));
    stop = () => Promise.all(workers.map((w) => w.terminate()));`, 3],
  'HTTP load on connections that are kept alive': [`fill(20_000);
    const http = require('node:http');
    const server = http.createServer((request, response) => response.end(JSON.stringify(globalThis.kept.slice(0, 50)))).listen(0);
    await new Promise((resolve) => server.once('listening', resolve));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 4 });
    let answered = 0;
    const ask = () => going && http.get({ port: server.address().port, agent }, (response) => {
      assert.strictEqual(response.statusCode, 200);
      response.resume().on('end', () => { answered++; ask(); });
    }).on('error', (error) => assert.ok(!going, error.stack));
    for (let i = 0; i < 4; i++) ask();
    await until(() => answered > 20);
    const before = answered;
    stop = () => { assert.ok(answered > before, 'answered meanwhile'); server.close(); server.closeAllConnections(); };`, 4],
};

for (const [name, [load, captures]] of Object.entries(LOADS)) {
  test(`under load: ${name}`, { skip }, async (t) => {
    fine(await program(t, `
      let stop = () => {};
      ${load}
      let forks = 0;
      await capture({ mode: 'fork' });
      const open = fds();
      for (let n = 0; n < ${captures}; n++) {
        const result = await capture({ mode: 'auto' });
        assert.ok(result.mode === 'fork' || result.attempts === 4, JSON.stringify(result));
        forks += result.mode === 'fork';
        check(result.file);
      }
      assert.ok(forks > 0, 'no capture by fork');
      assert.deepStrictEqual([children(), fs.readdirSync('.'), Math.max(0, fds() - open - 8)], [[], ['x.heapsnapshot'], 0], 'left behind');
      going = false;
      await stop();
      console.log('fine');`));
  });
}

test('a child that is killed is replaced, at whatever moment it is killed', { skip }, async (t) => {
  fine(await program(t, `
    fill(20_000);
    for (let round = 0; round < 8; round++) {
      const { pending } = await begun({ mode: 'auto' });
      await wait(Math.random() * 150 * round / 7);
      const [child] = children();
      if (child) try { process.kill(Number(child), 'SIGKILL'); } catch { /* through already */ }
      const result = await pending;
      assert.strictEqual(result.mode, 'fork', 'one of three attempts is left alone');
      assert.strictEqual(result.fallbackReason, undefined);
      check(result.file);
    }
    // All of them: inline, or an error where only a fork will do.
    fill(150_000);
    const killer = setInterval(() => { for (const child of children()) try { process.kill(Number(child), 'SIGKILL'); } catch {} }, 5);
    const inline = await capture({ mode: 'auto' });
    assert.deepStrictEqual([inline.mode, inline.attempts], ['inline', 4]);
    assert.match(inline.fallbackReason, /child process .* ended by signal 9/);
    const error = await capture({ mode: 'fork', file: 'never' }).catch((e) => e);
    assert.strictEqual(error.code, 'ERR_HEAPRS_FORK_FAILED');
    clearInterval(killer);
    assert.deepStrictEqual([children(), fs.readdirSync('.')], [[], ['x.heapsnapshot']]);
    console.log('fine');`));
});

test('a child that stands still is ended and replaced', { skip }, async (t) => {
  fine(await program(t, `
    fill(50_000);
    const { pending, child } = await begun({ mode: 'fork' });
    process.kill(Number(child), 'SIGSTOP');
    const result = await pending;
    assert.strictEqual(result.attempts, 2);
    check(result.file);
    assert.deepStrictEqual(children(), []);
    console.log('fine');`));
});

test('an abort, a deadline and an exit end the child and leave nothing', { skip }, async (t) => {
  fine(await program(t, `
    fill(100_000);
    const controller = new AbortController();
    const { pending } = await begun({ mode: 'fork', signal: controller.signal });
    controller.abort();
    assert.strictEqual((await pending.catch((e) => e)).code, 'ERR_HEAPRS_ABORTED');
    const late = await capture({ mode: 'fork', timeoutMs: 50 }).catch((e) => e);
    assert.strictEqual(late.code, 'ERR_HEAPRS_TIMEOUT');
    assert.deepStrictEqual([children(), fs.readdirSync('.').filter((name) => name !== 'x.heapsnapshot')], [[], []]);
    console.log('fine');`));
  const directory = scratch(t);
  const exited = await program(t, `
    fill(100_000);
    const { child } = await begun({ mode: 'fork' });
    fs.rmSync('x.heapsnapshot', { force: true });
    console.log(child);
    process.exit(3);`, { cwd: directory });
  assert.deepStrictEqual([exited.code, exited.stderr], [3, '']);
  assert.deepStrictEqual(fs.readdirSync(directory), []);
  assert.ok(!fs.existsSync(`/proc/${exited.stdout.trim()}`), 'the child is gone');
});

test('when the process is killed, the child ends and no file gets its final name', { skip }, async (t) => {
  const directory = scratch(t);
  const killed = await program(t, `
    fill(100_000);
    const { child } = await begun({ mode: 'fork' });
    fs.rmSync('x.heapsnapshot', { force: true });
    process.kill(Number(child), 'SIGSTOP');   // even one that can hear nothing
    fs.writeSync(1, child);
    process.kill(process.pid, 'SIGKILL');`, { cwd: directory });
  assert.strictEqual(killed.signal, 'SIGKILL');
  const child = `/proc/${killed.stdout}/stat`;
  const alive = () => {
    try {
      return !/\) [ZX]/.test(fs.readFileSync(child, 'utf8')); // nobody may be there to reap it
    } catch {
      return false;
    }
  };
  while (alive()) await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(!fs.existsSync(path.join(directory, 'x.heapsnapshot')));
  // What it has left the next capture there removes, once nobody can be writing to it.
  const [left, ...others] = fs.readdirSync(directory);
  assert.match(left, /^\.heaprs-.*\.tmp$/);
  assert.deepStrictEqual(others, []);
  fs.utimesSync(path.join(directory, left), 0, 0);
  await heaprs.captureHeapSnapshot({ file: path.join(directory, 'y.heapsnapshot') });
  assert.deepStrictEqual(fs.readdirSync(directory), ['y.heapsnapshot']);
});

test('the app does not notice: its children, signals, ports and timers are its own', { skip }, async (t) => {
  fine(await program(t, `
    fill(100_000);
    const net = require('node:net'), { spawn } = require('node:child_process');
    const heard = [];
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGUSR2', 'SIGHUP']) process.on(signal, () => heard.push(signal));
    const listen = (port) => new Promise((resolve, reject) => { const s = net.createServer().on('error', reject).listen(port, () => resolve(s)); });
    const server = await listen(0);
    const { port } = server.address();
    const { pending } = await begun({ mode: 'fork' });
    // A port closed meanwhile is free at once, and long before the child is through.
    await new Promise((resolve) => server.close(resolve));
    (await listen(port)).close();
    assert.strictEqual(children().length, 1);
    // Ctrl-C and kill reach the whole group; the child goes on for as long as the app does.
    for (const signal of ['SIGINT', 'SIGUSR2', 'SIGHUP']) process.kill(-process.pid, signal);
    const codes = await Promise.all([0, 1, 7].map((code) => new Promise((resolve) => spawn('sh', ['-c', 'exit ' + code]).on('exit', resolve))));
    assert.deepStrictEqual(codes, [0, 1, 7]);
    const result = await pending;
    assert.strictEqual(result.attempts, 1);
    check(result.file);
    await until(() => heard.length >= 3);
    assert.deepStrictEqual(heard.sort(), ['SIGHUP', 'SIGINT', 'SIGUSR2']);
    assert.deepStrictEqual(children(), []);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGUSR2', 'SIGHUP']) process.removeAllListeners(signal);
    console.log('fine');`, { detached: true }));
});

test('TLS connections stay healthy', { skip }, async (t) => {
  fine(await program(t, `
    fill(50_000);
    const tls = require('node:tls'), crypto = require('node:crypto');
    const psk = crypto.randomBytes(16);
    const options = { ciphers: 'PSK', minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' };
    const server = tls.createServer({ ...options, pskCallback: () => psk }, (socket) => socket.pipe(socket)).listen(0);
    await new Promise((resolve) => server.once('listening', resolve));
    const client = tls.connect({ ...options, port: server.address().port, checkServerIdentity() {}, pskCallback: () => ({ psk, identity: 'x' }) });
    await new Promise((resolve, reject) => client.once('secureConnect', resolve).on('error', reject));
    const echo = (text) => new Promise((resolve) => { client.once('data', (data) => resolve(String(data))); client.write(text); });
    const pending = capture({ mode: 'fork' });
    let done = false, echoes = 0;
    pending.finally(() => { done = true; });
    for (; !done || echoes < 3; echoes++) assert.strictEqual(await echo('echo ' + echoes), 'echo ' + echoes);
    check((await pending).file);
    assert.strictEqual(await echo('after'), 'after');
    client.end();
    server.close();
    console.log('fine');`));
});

test('finalizers and weak callbacks of the app run in the app only', { skip }, async (t) => {
  fine(await program(t, `
    const log = fs.openSync('log', 'a');
    const registry = new FinalizationRegistry(() => fs.writeSync(log, process.pid + '\\n'));
    let objects = Array.from({ length: 1000 }, () => { const o = {}; registry.register(o); return o; });
    globalThis.weak = objects.map((o) => new WeakRef(o));
    fill(20_000);
    await wait(0);
    objects = null;                  // the child's own collection is the first to see that
    const result = await capture({ mode: 'fork' });
    assert.strictEqual(result.attempts, 1);
    check(result.file);
    assert.deepStrictEqual([...new Set(fs.readFileSync('log', 'utf8').split('\\n').filter(Boolean))].filter((pid) => pid !== String(process.pid)), []);
    console.log('fine');`));
});

test('a worker thread captures its own heap by fork, and may be terminated meanwhile', { skip }, async (t) => {
  fine(await program(t, `
    const { Worker } = require('node:worker_threads');
    const source = (file) => \`class Landmark {}; globalThis.w = Array.from({ length: 1000 }, () => new Landmark()); globalThis.more = Array.from({ length: 50_000 }, (_, i) => ({ i }));
      require(${JSON.stringify(root)}).captureHeapSnapshot({ file: '\${file}', mode: 'fork' }).then((r) => require('node:worker_threads').parentPort.postMessage(r));\`;
    const worker = new Worker(source('worker.heapsnapshot'), { eval: true });
    const result = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
    assert.strictEqual(result.mode, 'fork');
    check(result.file);
    await worker.terminate();
    let through = false;
    const lost = new Worker(source('lost.heapsnapshot'), { eval: true }).once('message', () => { through = true; });
    await until(() => through || children().length > 0);
    await lost.terminate();
    assert.deepStrictEqual([children(), fs.readdirSync('.').filter((name) => name.endsWith('.tmp'))], [[], []]);
    console.log('fine');`));
});

test('disk full, read-only directory, a link planted at the name: as inline, and the child is gone', { skip }, async (t) => {
  const directory = scratch(t);
  fs.writeFileSync(path.join(directory, 'precious'), 'precious');
  fs.symlinkSync('precious', path.join(directory, 'link'));
  fs.mkdirSync(path.join(directory, 'locked'), { mode: 0o555 });
  fs.chmodSync(directory, 0o777);
  const result = await program(t, `
    fill(20_000);
    if (process.getuid() === 0) process.seteuid(65534);   // root may write anywhere
    const codes = [];
    for (const file of ['full.heapsnapshot', 'locked/x', 'link', 'missing/x']) codes.push((await capture({ mode: 'fork', file, overwrite: false }).catch((e) => e)).code);
    codes.push((await capture({ mode: 'fork', file: 'none', minFreeDisk: Number.MAX_SAFE_INTEGER }).catch((e) => e)).code);
    assert.deepStrictEqual(children(), []);
    console.log(codes.join(' '));`, { cwd: directory, shell: 'ulimit -f 512' });
  fine(result, 'ERR_HEAPRS_NO_SPACE ERR_HEAPRS_PERMISSION ERR_HEAPRS_FILE_EXISTS ERR_HEAPRS_NOT_FOUND ERR_HEAPRS_NO_SPACE\n');
  assert.deepStrictEqual(fs.readdirSync(directory).sort(), ['link', 'locked', 'precious']);
  assert.strictEqual(fs.readFileSync(path.join(directory, 'precious'), 'utf8'), 'precious');
});

test('where a fork is refused, auto goes inline and says so', { skip: skip || (spawnSync('perl', ['-v']).status !== 0 && 'needs perl to install a filter') || (process.arch !== 'x64' && 'the filter is for x86-64') }, async (t) => {
  // A filter of system calls: no fork, no vfork, no clone but with CLONE_THREAD (0x50001 is EPERM), and clone3 as in an old kernel (ENOSYS).
  const rules = [[0x20, 0, 0, 0], [0x15, 0, 1, 435], [0x06, 0, 0, 0x50026], [0x15, 4, 0, 57], [0x15, 3, 0, 58], [0x15, 0, 3, 56], [0x20, 0, 0, 16], [0x45, 1, 0, 0x10000], [0x06, 0, 0, 0x50001], [0x06, 0, 0, 0x7fff0000]];
  const filter = Buffer.concat(rules.map(([code, yes, no, value]) => { const b = Buffer.alloc(8); b.writeUInt16LE(code, 0); b[2] = yes; b[3] = no; b.writeUInt32LE(value, 4); return b; }));
  const launcher = `my $f = pack 'H*', shift; my $p = pack 'S x6 P', length($f) / 8, $f; syscall(157, 38, 1, 0, 0, 0) == 0 && syscall(157, 22, 2, $p, 0, 0) == 0 or die "no filter: $!"; exec @ARGV or die $!;`;
  const refused = (code) => program(t, code, { shell: 'set -- perl -e "$LAUNCHER" "$FILTER" "$@"', env: { LAUNCHER: launcher, FILTER: filter.toString('hex') } });
  const result = await refused(`
    fill(1000);
    const before = heaprs.forkSupport();
    const inline = await capture({ mode: 'auto' });
    check(inline.file);
    const error = await capture({ mode: 'fork' }).catch((e) => e);
    assert.throws(() => require('node:child_process').execFileSync('true'), /EPERM/);
    console.log(JSON.stringify([before.supported, inline.mode, inline.fallbackReason, inline.attempts, error.code, heaprs.forkSupport()]));`);
  assert.deepStrictEqual([result.code, result.stderr], [0, '']);
  const [before, mode, why, attempts, errorCode, support] = result.json();
  assert.deepStrictEqual([before, mode, attempts, errorCode, support.supported], [true, 'inline', 2, 'ERR_HEAPRS_UNAVAILABLE', false]);
  assert.match(why, /could not be forked: .*[Pp]ermi/);
  assert.match(support.reason, /refuses to fork/);
  // The demand first, which finds it out.
  fine(await refused(`
    const error = await capture({ mode: 'fork' }).catch((e) => e);
    assert.match(error.code, /^ERR_HEAPRS_(FORK_FAILED|UNAVAILABLE)$/, error.stack);
    const { file, mode, fallbackReason } = await capture({ mode: 'auto' });
    assert.strictEqual(mode, 'inline');
    assert.match(fallbackReason, /fork/);
    check(file);
    console.log('fine');`));
});

test('limits of processes, files and memory: a complete file or an error, and the app goes on', { skip }, async (t) => {
  const ends = `
    const results = [];
    for (const mode of ['auto', 'fork']) {
      const result = await capture({ mode }).catch((e) => e);
      if (result instanceof Error) assert.match(result.code, /^ERR_HEAPRS_/, result.stack);
      else check(result.file);
      results.push(result.code ?? result.mode);
    }
    for (const fd of globalThis.opened ?? []) fs.closeSync(fd);
    assert.deepStrictEqual([children(), fs.readdirSync('.').filter((name) => name.endsWith('.tmp'))], [[], []]);
    console.error(results.join(' '));
    console.log('fine');`;
  const survives = async (shell, code, pattern) => {
    const result = await program(t, code + ends, { shell });
    assert.deepStrictEqual([result.code, result.signal, result.stdout], [0, null, 'fine\n'], `${shell}: ${result.stderr}`);
    assert.match(result.stderr, pattern, shell);
  };
  // Root is above this limit, and it counts threads as well.
  const nobody = 'fs.chmodSync(".", 0o777); heaprs.forkSupport(); if (process.getuid() === 0) process.setuid(65534);';
  await survives('ulimit -u 1', nobody, /^(\S+ ERR_HEAPRS_UNAVAILABLE|ERR_HEAPRS_UNAVAILABLE.*)$/m);
  await survives('ulimit -n 64', '', /^fork fork$/m);
  await survives('ulimit -n 64', 'heaprs.forkSupport(); globalThis.opened = []; for (;;) try { opened.push(fs.openSync("/dev/null")); } catch { break; }', /ERR_HEAPRS_/);
  // Room for the process as it is, not for another's structures.
  const size = (await program(t, 'fill(200_000); console.log(/VmSize:\\s*(\\d+)/.exec(fs.readFileSync("/proc/self/status", "utf8"))[1])')).stdout;
  const tight = await program(t, `
    fill(200_000);
    const error = await capture({ mode: 'fork' }).catch((e) => e);
    assert.match(error.code, /^ERR_HEAPRS_(FORK_FAILED|UNAVAILABLE|MEMORY_BUDGET)$/, error.stack);
    assert.deepStrictEqual(children(), []);
    console.log('fine');`, { shell: `ulimit -v ${Number(size) + 60_000}`, env: { MALLOC_ARENA_MAX: '1' } });
  fine(tight);
});

test('where memory is too short for a fork, auto says so', { skip: skip || (spawnSync('prlimit', ['--version']).status !== 0 && 'needs prlimit') }, async (t) => {
  const result = await program(t, `
    // 80 MB in few objects: the estimate takes them for many.
    globalThis.kept = Array.from({ length: 10_000 }, () => new Array(1000).fill(0.5));
    const size = /VmSize:\\s*(\\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1];
    require('node:child_process').execFileSync('prlimit', ['--pid', process.pid, '--as=' + (size * 1024 + 600e6)]);
    const result = await capture({ mode: 'auto' });
    console.log(JSON.stringify(result));`, { env: { MALLOC_ARENA_MAX: '1' } });
  assert.deepStrictEqual([result.code, result.stderr], [0, '']);
  const { mode, fallbackReason } = result.json();
  assert.strictEqual(mode, 'inline');
  assert.match(fallbackReason, /would need up to \d+ MB and \d+ MB are left under the limit of address space/);
});

test('a control group\'s limit ends the capture, not the app', { skip: skip || noGroups() }, async (t) => {
  limited(t, 320);
  fine(await program(t, `
    const [group, groups, controlGroup] = process.argv.slice(1);
    const { joinGroup, kills, usedMemory } = require(controlGroup);
    joinGroup(group);
    const refused = async (mode) => {
      const error = await capture({ mode }).catch((e) => e);
      assert.strictEqual(error.code, 'ERR_HEAPRS_MEMORY_BUDGET', mode + ' ' + error.stack);
      assert.match(error.message, /control group/);
      assert.deepStrictEqual([children(), fs.readdirSync('.')], [[], []]);
    };
    // Many objects and no long array: what the app itself takes for the walk is seen in time.
    globalThis.kept = Array.from({ length: 600 }, (_, i) => Array.from({ length: 1000 }, (_, j) => ({ i, s: 's' + i + j })));
    for (const mode of ['inline', 'fork', 'auto']) await refused(mode);
    // A long array takes a kilobyte an element in one step, which no estimate knows: a child comes to the end, and after it nobody walks this heap in the app.
    globalThis.kept = new Array(1_000_000).fill({});
    for (const mode of ['auto', 'inline', 'fork']) await refused(mode);
    globalThis.kept = undefined;
    gc();
    for (const mode of ['fork', 'inline']) check((await capture({ mode })).file);
    // The kernel may be faster than anybody who watches: a child that is killed while little is left has died of memory.
    fs.rmSync('x.heapsnapshot');
    const left = (320 << 20) - usedMemory(group);
    globalThis.kept = Buffer.alloc(left - (60 << 20), 1);
    let killed = {};
    while (!killed.code) {   // one that had said all before it was killed does not count
      const { pending, child } = await begun({ mode: 'fork', file: 'y.heapsnapshot' });
      process.kill(child, 'SIGKILL');
      killed = await pending.catch((e) => e);
    }
    assert.strictEqual(killed.code, 'ERR_HEAPRS_MEMORY_BUDGET', killed.stack);
    assert.match(killed.message, /signal 9, with \\d+ MB left under the control group/);
    assert.strictEqual(kills(group), 0);
    joinGroup(groups);
    console.log('fine');`, { args: [group, GROUPS, require.resolve('./control-group.js')], node: ['--expose-gc'] }));
});

// Pages of files that lie in memory themselves can't be dropped.
const noDisk = () => fs.statfsSync(os.tmpdir()).type === 0x01021994 && 'needs a temporary directory on a disk';

test('a control group full of page cache leaves room for a fork, and loses nothing but page cache', { skip: skip || noGroups() || noDisk() }, async (t) => {
  limited(t, 300);
  fine(await program(t, `
    const [group, groups, controlGroup] = process.argv.slice(1);
    const { joinGroup, kills, usedMemory } = require(controlGroup);
    joinGroup(group);
    // Written, and read twice: to the kernel it is in use.
    const fd = fs.openSync('read', 'w+');
    const piece = Buffer.alloc(1 << 20, 1);
    for (let i = 0; i < 400; i++) fs.writeSync(fd, piece);
    fs.fsyncSync(fd);
    for (let i = 0; i < 800; i++) fs.readSync(fd, piece, 0, piece.length, (i % 200) << 20);
    assert.ok(usedMemory(group) > 230 << 20, usedMemory(group) + ' bytes in use');
    const result = await capture({ mode: 'auto' });
    assert.deepStrictEqual([result.mode, result.fallbackReason], ['fork', undefined]);
    check(result.file);
    assert.strictEqual(kills(group), 0);
    fs.closeSync(fd);
    joinGroup(groups);
    console.log('fine');`, { args: [group, GROUPS, require.resolve('./control-group.js')] }));
});

test('without V8\'s symbols a fork is refused with the reason', async () => {
  const result = await run(`
    const refused = heaprs.captureHeapSnapshot({ mode: 'fork' }).catch((e) => e);
    refused.then((e) => console.log(JSON.stringify([heaprs.forkSupport(), e.code])));`, { env: { HEAPRS_V8_SYMBOLS: 'off' } });
  const [support, code] = result.json();
  assert.deepStrictEqual([support.supported, code], [false, 'ERR_HEAPRS_UNAVAILABLE']);
  assert.match(support.reason, /HEAPRS_V8_SYMBOLS/);
});
