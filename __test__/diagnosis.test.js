'use strict';
// Naming the cause of a leak: what grew between two moments of a process of its own, by whichever way is possible there.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { heaprs, root, run, scratch } = require('./helpers.js');

const { supported } = heaprs.forkSupport();
const skip = !supported && 'captures by fork are not possible here';

// Leaks of several kinds, `grow()` adds to each; a diagnosis that has begun when `grow` is called prints what it has found.
const program = (options, between = '') => `
  const { Diagnosis } = require(${JSON.stringify(path.join(root, 'lib/diagnosis/index.js'))});
  const { EventEmitter } = require('node:events');
  const sessions = globalThis.sessions = new Map();
  const bus = globalThis.bus = new EventEmitter().setMaxListeners(0);
  const buffers = globalThis.buffers = [];
  let theThing = null;
  function replaceThing() {
    const originLeak = theThing;
    const unused = function () { if (originLeak) return 1; };
    theThing = { text: Buffer.alloc(40_000, '*').toString(), someMethod() {} };
  }
  globalThis.look = () => theThing;
  function addSession(i) { sessions.set('session ' + i, { user: 'user ' + i, at: [i] }); }
  function grow() {
    for (let i = 0; i < 15_000; i++) addSession(sessions.size);
    for (let i = 0; i < 20_000; i++) bus.on('tick', () => i);
    for (let i = 0; i < 40; i++) buffers.push(Buffer.alloc(100_000, 1));
    for (let i = 0; i < 60; i++) replaceThing();
  }
  const print = (found) => console.log(JSON.stringify({ ...found, error: found.error && { code: found.error.code, message: found.error.message } }));
  const now = Date.now();
  const diagnosis = new Diagnosis(${options});
  grow();
  (async () => {
    // A diagnosis does not.
    const keepsAlive = setInterval(() => {}, 1000);
    diagnosis.begin({ start: now - 1000, end: now });
    ${between}
    // Captures queue up, so the first one is there when one behind it has failed.
    await heaprs.captureHeapSnapshot({ file: ${JSON.stringify(__filename)}, mode: 'inline' }).catch(() => {});
    grow();
    print(await diagnosis.finish({ start: now - 1000, end: now }));
    diagnosis.stop();
    clearInterval(keepsAlive);
  })();`;

async function found(code, options) {
  const result = await run(code, options);
  assert.deepStrictEqual({ code: result.code, stderr: result.stderr }, { code: 0, stderr: '' });
  return result.json();
}

test('two captures by fork name what has grown and who holds it', { skip }, async (t) => {
  const TMPDIR = scratch(t);
  // What was meant for the app must not reach the helper.
  const { suspects, diagnosis, files, error } = await found(program('{}'), { env: { TMPDIR, NODE_OPTIONS: '--max-old-space-size=300' } });
  assert.strictEqual(error, undefined);
  const by = (pattern) => suspects.find(({ holder }) => pattern.test(holder)) ?? assert.fail(`${pattern} in ${JSON.stringify(suspects.map((s) => s.holder))}`);
  const map = by(/^global\.sessions \(Map\)$/);
  assert.ok(map.countDelta > 8000 && map.retainedDelta > 1e6 && map.sizeDelta > 0, JSON.stringify(map));
  assert.match(map.className, /\{.*user.*\}|Object/);
  assert.strictEqual(map.retainingPath.at(-1).edge, 'sessions');
  assert.ok(map.retainingPath.every((step) => typeof step.node === 'string' && typeof step.id === 'number'));
  assert.match(by(/buffers/).explanation, /outside the JavaScript heap/);
  assert.ok(by(/buffers/).retainedDelta > 3e6);
  assert.match(by(/tick/).explanation, /Remove each listener/);
  const chain = suspects.find(({ kind }) => kind === 'closure-chain') ?? assert.fail(JSON.stringify(suspects.map((s) => s.kind)));
  assert.match(chain.explanation, /`someMethod` keeps the context it was made in, and with it variable `originLeak`.* even if `someMethod` never uses it/);
  assert.strictEqual(diagnosis.method, 'fork');
  assert.ok(diagnosis.pauseMs > 0 && diagnosis.childCpuMs > 0 && diagnosis.peakBytes > 10e6, JSON.stringify(diagnosis));
  assert.deepStrictEqual([files, fs.readdirSync(TMPDIR)], [[], []]);
});

test('what V8 itself holds is told by its class', { skip }, async () => {
  const symbols = program('{}').replace(/function grow\(\) \{[^]*?\n {2}\}/, 'let made = 0; function grow() { for (let i = 0; i < 20_000; i++) Symbol.for("request " + made++); }');
  const { suspects, diagnosis } = await found(symbols);
  assert.strictEqual(diagnosis.method, 'fork');
  assert.match(diagnosis.reason, /nothing that a program holds has grown enough.*so the suspects are the classes/);
  const symbol = suspects.find(({ className }) => className === '(symbol)');
  assert.ok(symbol.countDelta >= 20_000 && symbol.sizeDelta >= 16 * 20_000, JSON.stringify(suspects));
  assert.match(symbol.explanation, /Symbol\.for\(\)/);
});

test('files are kept when a directory is given, and inline captures are taken when asked for', async (t) => {
  const directory = scratch(t);
  const { suspects, diagnosis, files } = await found(program(JSON.stringify({ diagnose: { mode: 'inline', directory } })));
  assert.ok(suspects.some(({ holder }) => holder === 'global.sessions (Map)'), JSON.stringify(suspects.map((s) => s.holder)));
  assert.strictEqual(diagnosis.method, 'inline');
  assert.deepStrictEqual(files.map((file) => path.dirname(file)), [directory, directory]);
  assert.deepStrictEqual(files.map((file) => path.basename(file)).sort(), fs.readdirSync(directory).sort());
});

test('an allocation stack comes with the first suspect where sampling was asked for', { skip }, async () => {
  const { suspects, diagnosis } = await found(program('{ samplingInterval: 16384 }'));
  assert.strictEqual(diagnosis.method, 'fork');
  const stack = suspects[0].allocationStack;
  assert.ok(stack.length > 0 && stack.every((f) => typeof f.function === 'string' && typeof f.url === 'string' && f.line >= 0 && f.column >= 0));
});

test('where it can’t be forked, the sampling profiler says who allocates', async () => {
  const env = { HEAPRS_V8_SYMBOLS: 'off' };
  const wait = 'grow();';
  const sampled = await found(program('{}', wait), { env });
  assert.strictEqual(sampled.diagnosis.method, 'sampling');
  assert.match(sampled.diagnosis.reason, /captures by fork are not possible here: .*sampling heap profiler/);
  assert.ok(sampled.suspects.some(({ allocationStack }) => allocationStack.some((f) => /addSession|grow|replaceThing/.test(f.function))), JSON.stringify(sampled.suspects));
  assert.ok(sampled.suspects.every((s) => s.explanation && s.holder && s.sizeDelta > 0));
  const off = await found(program('{ diagnose: false }'));
  assert.deepStrictEqual([off.suspects, off.diagnosis.reason], [[], 'diagnose is false']);
});

// The first count comes with the turn of the loop after the suspicion.
const turns = 'await new Promise(setImmediate); await new Promise(setImmediate);';

test('without a profile, objects are counted by class, and named with the collection that has got them', async () => {
  const { suspects, diagnosis } = await found(program('{ samplingInterval: false }', turns), { env: { HEAPRS_V8_SYMBOLS: 'off' } });
  assert.strictEqual(diagnosis.method, 'counts');
  assert.match(diagnosis.reason, /captures by fork are not possible here: .*; so the suspects are the classes of which there are more objects/);
  assert.ok(diagnosis.pauseMs > 0);
  const of = (name) => suspects.find(({ className }) => className === name) ?? assert.fail(JSON.stringify(suspects));
  const [session, listener, buffer] = [of('Object'), of('Function'), of('ArrayBuffer')];
  assert.strictEqual(session.holder, 'global.sessions (Map)');
  assert.ok(session.countDelta >= 15_000 && session.countDelta < 16_000 && session.sizeDelta >= 15_000 * 24, JSON.stringify(session));
  assert.match(session.explanation, /^There are 15,\d+ more objects of class Object .* global\.sessions \(Map\) has got 15,000 more entries of them: remove what/);
  assert.ok(listener.countDelta >= 20_000 && listener.countDelta < 21_000, JSON.stringify(listener));
  assert.ok(buffer.countDelta >= 40 && buffer.sizeDelta >= 4e6 && buffer.holder === 'global.buffers (Array)', JSON.stringify(buffer));
});

test('memory outside of the heap is counted rather than sampled, in a worker thread as well', async () => {
  const code = program('{}', turns).replaceAll('start: now', "place: 'off-heap', start: now");
  const inWorker = `new (require('node:worker_threads').Worker)(${JSON.stringify(`const heaprs = require(${JSON.stringify(root)});${code}`)}, { eval: true });`;
  for (const each of [code, inWorker]) {
    const { suspects, diagnosis } = await found(each, { env: { HEAPRS_V8_SYMBOLS: 'off' } });
    assert.deepStrictEqual([diagnosis.method, suspects[0].className, suspects[0].holder], ['counts', 'ArrayBuffer', 'global.buffers (Array)']);
    assert.ok(suspects[0].sizeDelta >= 4e6, JSON.stringify(suspects[0]));
  }
});

test('objects are counted without running anything of the program’s', async () => {
  const { suspects } = await found(`
    const fatal = () => { throw new Error('the program was asked'); };
    const traps = new Proxy({}, new Proxy({}, { get: () => fatal }));
    class Odd {}
    Object.defineProperty(Odd.prototype, 'constructor', { get: fatal });
    globalThis.odd = { proxy: traps, under: Object.create(traps), fake: Object.create(Map.prototype), nothing: Object.create(null), get now() { return fatal(); }, of: new Odd() };
    globalThis.constructor = traps;
    ${program('{ samplingInterval: false }', turns)}`, { env: { HEAPRS_V8_SYMBOLS: 'off' } });
  assert.ok(suspects.some(({ holder }) => holder === 'global.sessions (Map)'), JSON.stringify(suspects));
});

test('a heap too large to be counted leaves the numbers alone, and so does a program without an inspector', async () => {
  const large = `globalThis.large = Array.from({ length: 1_000_000 }, (_, i) => ({ i }));${program('{ samplingInterval: false }', turns)}`;
  const [big, without] = await Promise.all([
    found(large, { env: { HEAPRS_V8_SYMBOLS: 'off' } }),
    found(`require('node:inspector').Session = class { connect() { throw new Error('not here'); } };${program('{}', turns)}`, { env: { HEAPRS_V8_SYMBOLS: 'off' } })
  ]);
  assert.deepStrictEqual([big.suspects, big.diagnosis.method], [[], 'none']);
  assert.match(big.diagnosis.reason, /captures by fork are not possible here: .*; counting the objects of a heap of \d+ MB would stop the program for too long; so there are the numbers alone/);
  assert.deepStrictEqual([without.suspects, without.diagnosis.method], [[], 'none']);
  assert.match(without.diagnosis.reason, /objects can't be counted here: not here; so there are the numbers alone/);
});

test('a fork that the system refuses leaves the next step of the ladder', { skip }, async (t) => {
  // Root is above this limit. Everything is loaded before another user may no longer be able to.
  const nobody = "heaprs.forkSupport(); require('node:inspector'); if (process.getuid() === 0) process.setuid(65534);";
  const wait = "const refused = new Promise((tell) => require('node:diagnostics_channel').subscribe('heaprs:dump', tell)); await refused; await new Promise((go) => setTimeout(go, 50));";
  for (const [options, method] of [['{}', 'sampling'], ['{ samplingInterval: false }', 'counts']]) {
    const code = program(options, wait).replace('const now =', `${nobody} const now =`);
    const TMPDIR = scratch(t);
    fs.chmodSync(TMPDIR, 0o777);
    // Node itself warns on stderr of threads that it could not start.
    const result = await run(code, { shell: 'ulimit -u 1', env: { TMPDIR } });
    assert.strictEqual(result.code, 0, result.stderr);
    const { suspects, diagnosis, error } = result.json();
    assert.deepStrictEqual([diagnosis.method, suspects.length > 0], [method, true], JSON.stringify({ diagnosis, error }));
    assert.match(error.code, /^ERR_HEAPRS_/);
    assert.ok(diagnosis.reason.startsWith(error.message), diagnosis.reason);
    assert.deepStrictEqual(fs.readdirSync(TMPDIR), []);
  }
});

test('each further leak is compared with the last capture', { skip }, async (t) => {
  const TMPDIR = scratch(t);
  const code = program('{}').replace(/print\((await .*)\);/, '$1;').replace('diagnosis.stop();', `
    for (let i = 0; i < 2; i++) {
      globalThis['later' + i] = Array.from({ length: 50_000 }, (_, n) => ({ n }));
      print(await diagnosis.finish({ start: now - 1000, end: now }));
    }
    diagnosis.stop();`);
  const result = await run(code, { env: { TMPDIR } });
  assert.deepStrictEqual({ code: result.code, stderr: result.stderr }, { code: 0, stderr: '' });
  const [one, two] = result.stdout.trim().split('\n').map((line) => JSON.parse(line));
  assert.deepStrictEqual([one.suspects[0].holder, two.suspects[0].holder], ['global.later0 (Array)', 'global.later1 (Array)']);
  assert.deepStrictEqual([one.diagnosis.method, two.diagnosis.method, fs.readdirSync(TMPDIR)], ['fork', 'fork', []]);
});

test('when the second capture takes too long, the first one has to do', { skip }, async () => {
  const { suspects, diagnosis, error } = await found(program('{ patience: { answerMs: 0, lastMs: 120_000 } }'));
  assert.deepStrictEqual([error, diagnosis.method], [undefined, 'fork']);
  assert.match(diagnosis.reason, /second capture was not ready in time/);
  const map = suspects.find(({ holder }) => holder === 'global.sessions (Map)') ?? assert.fail(JSON.stringify(suspects.map((s) => s.holder)));
  assert.ok(map.countDelta >= 15_000 && map.retainedDelta > 1e6 && map.sizeDelta > 0, JSON.stringify(map));
});

test('a first capture with nothing of the leak in it is no answer: the second one is waited for', { skip }, async () => {
  const code = program('{ patience: { answerMs: 0, lastMs: 10_000 } }').replace('grow();\n  (async', '(async');
  const { suspects, diagnosis, error } = await found(code);
  assert.deepStrictEqual([error, diagnosis.method, diagnosis.reason], [undefined, 'fork', undefined]);
  assert.ok(suspects.some(({ holder }) => holder === 'global.sessions (Map)'), JSON.stringify(suspects));
});

test('where nothing had grown at the suspicion, it is looked for again when the leak is sure', { skip }, async (t) => {
  const TMPDIR = scratch(t);
  const compared = `
    const { ChildProcess } = require('node:child_process');
    const { spawn } = ChildProcess.prototype;
    const compared = new Promise((tell) => (ChildProcess.prototype.spawn = function (given) { this.on('close', tell); return spawn.call(this, given); }));`;
  const { suspects, diagnosis, error } = await found(compared + program('{}', 'await compared; await new Promise(setImmediate);'), { env: { TMPDIR } });
  assert.deepStrictEqual([error, diagnosis.method, diagnosis.reason], [undefined, 'fork', undefined]);
  assert.ok(suspects.some(({ holder }) => holder === 'global.sessions (Map)'), JSON.stringify(suspects));
  assert.deepStrictEqual(fs.readdirSync(TMPDIR), []);
});

test('a helper that cannot run is told of, and costs nothing but the cause', { skip }, async () => {
  const { suspects, diagnosis, error } = await found(program('{}', 'process.execPath = "/nonexistent/node";'));
  assert.deepStrictEqual([suspects, error.code], [[], 'ERR_HEAPRS_UNAVAILABLE']);
  assert.match(error.message, /helper process could not be started/);
  assert.ok(diagnosis.pauseMs > 0 && diagnosis.reason === error.message);
});

test('a diagnosis that is stopped leaves nothing and does not hold the process up', { skip }, async (t) => {
  const TMPDIR = scratch(t);
  const code = `
    const { Diagnosis } = require(${JSON.stringify(path.join(root, 'lib/diagnosis/index.js'))});
    const one = new Diagnosis({}), two = new Diagnosis({});
    one.begin({ start: 0, end: 1 });
    two.begin({ start: 0, end: 3_600_000 });
    setTimeout(() => one.stop(), 100);`;
  const result = await run(code, { env: { TMPDIR } });
  assert.deepStrictEqual([result.code, result.stderr, fs.readdirSync(TMPDIR)], [0, '', []]);
});
