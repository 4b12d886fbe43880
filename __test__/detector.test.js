'use strict';
// LeakDetector's `gc` and `stats` events, its life cycle, its threads.

const test = require('node:test');
const assert = require('node:assert');
const v8 = require('node:v8');
const channels = require('node:diagnostics_channel');
const { setTimeout: sleep } = require('node:timers/promises');
const { heaprs, run } = require('./helpers.js');
const { native } = require('../lib/native.js');

const { LeakDetector } = heaprs;
const skip = Boolean(native().unavailableFeatures().gcEvents) && 'V8’s symbols cannot be used here';

// Makes garbage until `enough()`, a minute at most.
async function churn(enough) {
  const deadline = Date.now() + 60_000;
  let kept = [];
  for (let round = 0; !enough(); round++) {
    assert.ok(Date.now() < deadline, 'not enough collections within a minute');
    const garbage = [];
    for (let i = 0; i < 20_000; i++) garbage.push({ i, s: `t${i}` });
    kept = round % 50 === 0 ? [] : kept.concat(garbage.slice(0, 2000));
    await sleep(1);
  }
}

test('gc and stats events carry V8’s own numbers', { skip }, async (t) => {
  const gcs = [];
  const stats = [];
  const detector = new LeakDetector().on('gc', (e) => gcs.push(e)).on('stats', (s) => stats.push(s));
  t.after(() => detector.stop());
  const from = Date.now();
  assert.strictEqual(detector.start(), detector);
  assert.strictEqual(detector.start(), detector);
  assert.strictEqual(detector.running, true);
  await churn(() => stats.length >= 2 && gcs.some((g) => g.kind === 'scavenge' || g.kind === 'minor-mark-sweep'));
  const limit = v8.getHeapStatistics().heap_size_limit;
  for (const gc of gcs) {
    assert.ok(['scavenge', 'mark-sweep-compact', 'incremental-marking', 'weak-callbacks', 'minor-mark-sweep'].includes(gc.kind), gc.kind);
    assert.ok(gc.pauseMs >= 0 && gc.pauseMs < 10_000, `pause ${gc.pauseMs}`);
    assert.ok(gc.usedBefore > 1e6 && gc.usedAfter > 1e6 && gc.usedBefore < limit && gc.usedAfter <= gc.usedBefore + 1e6, JSON.stringify(gc));
    assert.strictEqual(gc.heapLimit, limit);
    assert.ok(gc.external > 0 && gc.external < 1e9);
    assert.ok(gc.timestamp >= from - 5 && gc.timestamp <= Date.now() + 5);
  }
  assert.deepStrictEqual(gcs.map((g) => g.timestamp), gcs.map((g) => g.timestamp).sort((a, b) => a - b));
  const full = gcs.filter((g) => g.kind === 'mark-sweep-compact');
  const last = stats.at(-1);
  assert.deepStrictEqual(stats.map((s) => s.currentBase), full.slice(0, stats.length).map((g) => g.usedAfter));
  assert.strictEqual(last.numFullGc, stats.length);
  assert.ok(last.numIncGc > 0);
  assert.strictEqual(last.min, Math.min(...stats.map((s) => s.currentBase)));
  assert.strictEqual(last.max, Math.max(...stats.map((s) => s.currentBase)));
  assert.ok(last.estimatedBase >= last.min && last.estimatedBase <= last.max);
});

test('stats tell of array buffers and of resident memory beside the heap', { skip }, async (t) => {
  const stats = [];
  const detector = new LeakDetector({ diagnose: false }).on('stats', (s) => stats.push(s)).start();
  t.after(() => detector.stop());
  await churn(() => stats.length >= 1);
  const [before] = stats.splice(0);
  const kept = Buffer.alloc(64 << 20, 1);
  await churn(() => stats.length >= 1);
  const after = stats.at(-1);
  assert.ok(after.arrayBuffers - before.arrayBuffers > 60 << 20, JSON.stringify({ before, after }));
  assert.ok(after.external >= after.arrayBuffers - (16 << 20));
  assert.ok(after.rss > after.arrayBuffers && after.rss > kept.length);
});

test('sizes are those of v8.getHeapStatistics() and perf_hooks sees the same collections', { skip }, async () => {
  // A process of its own: collections on request, and nothing else between the two looks.
  const result = await run(`
    const v8 = require('node:v8'), { PerformanceObserver } = require('node:perf_hooks');
    const gcs = [], entries = [];
    new PerformanceObserver((list) => entries.push(...list.getEntries())).observe({ entryTypes: ['gc'] });
    const detector = new heaprs.LeakDetector().on('gc', (e) => gcs.push(e)).start();
    const hold = Array.from({ length: 300000 }, (_, i) => ({ i }));
    const buffers = Array.from({ length: 40 }, () => Buffer.alloc(1 << 20));
    global.gc();
    const now = v8.getHeapStatistics();
    setTimeout(() => {
      const last = gcs.filter((g) => g.kind === 'mark-sweep-compact').at(-1);
      console.log(JSON.stringify({ last, now, hold: hold.length + buffers.length, full: gcs.filter((g) => g.kind === 'mark-sweep-compact').length,
        entries: entries.filter((e) => e.detail.kind === 4).length }));
    }, 200);`, { node: ['--expose-gc'] });
  assert.strictEqual(result.stderr, '');
  const { last, now, full, entries } = result.json();
  assert.ok(Math.abs(last.usedAfter - now.used_heap_size) < 500_000, `${last.usedAfter} ${now.used_heap_size}`);
  assert.ok(Math.abs(last.external - now.external_memory) < 500_000 && last.external > 40 << 20, `${last.external} ${now.external_memory}`);
  assert.strictEqual(last.heapLimit, now.heap_size_limit);
  assert.strictEqual(full, entries);
});

test('nothing comes before start() and after stop(), and a detector can start again', { skip }, async (t) => {
  let seen = 0;
  const detector = new LeakDetector().on('gc', () => seen++);
  const witness = new LeakDetector();
  let witnessed = 0;
  witness.on('gc', () => witnessed++).start();
  t.after(() => witness.stop());
  await churn(() => witnessed >= 2);
  assert.strictEqual(seen, 0);
  assert.strictEqual(detector.running, false);
  detector.start();
  await churn(() => seen >= 2);
  detector.stop();
  detector.stop();
  assert.strictEqual(detector.running, false);
  const [before, witnessedBefore] = [seen, witnessed];
  await churn(() => witnessed >= witnessedBefore + 3);
  assert.strictEqual(seen, before);
  detector.start();
  await churn(() => seen > before);
  detector.stop();
});

test('the detectors of one thread are independent of each other', { skip }, async (t) => {
  const one = [], two = [];
  const a = new LeakDetector().on('gc', (g) => one.push(g));
  const b = new LeakDetector().on('gc', (g) => two.push(g));
  t.after(() => { a.stop(); b.stop(); });
  a.start();
  b.start();
  await churn(() => one.length >= 3 && two.length >= 3);
  const n = Math.min(one.length, two.length);
  assert.deepStrictEqual(one.slice(0, n).map((g) => [g.kind, g.usedAfter]), two.slice(0, n).map((g) => [g.kind, g.usedAfter]));
  a.stop();
  const [oneAtStop, twoAtStop] = [one.length, two.length];
  await churn(() => two.length >= twoAtStop + 2);
  assert.strictEqual(one.length, oneAtStop);
});

test('stop() and start() inside a listener are heard at once', { skip }, async () => {
  let seen = 0;
  const detector = new LeakDetector();
  detector.on('gc', () => { seen++; detector.stop(); }).start();
  await churn(() => seen === 1);
  await sleep(100);
  assert.strictEqual(seen, 1);
  detector.removeAllListeners('gc').on('gc', () => { seen++; detector.stop(); detector.start(); }).start();
  await churn(() => seen >= 3);
  detector.stop();
});

test('heaprs:gc is published for subscribers, without any listener', { skip }, async (t) => {
  const published = [];
  const listen = (message, name) => published.push([name, message.kind]);
  channels.subscribe('heaprs:gc', listen);
  t.after(() => channels.unsubscribe('heaprs:gc', listen));
  const detector = new LeakDetector().start();
  t.after(() => detector.stop());
  await churn(() => published.length >= 2);
  assert.ok(published.every(([name, kind]) => name === 'heaprs:gc' && typeof kind === 'string'));
});

test('options are checked, each by its name', () => {
  for (const [options, argument] of [
    [{ sensitivity: 'extreme' }, 'options.sensitivity'],
    [{ minGrowth: -1 }, 'options.minGrowth'],
    [{ minGrowth: '1' }, 'options.minGrowth'],
    [{ cooldownMs: NaN }, 'options.cooldownMs'],
    [{ coolDown: 1 }, 'options.coolDown'],
    [7, 'options'],
  ]) {
    assert.throws(() => new LeakDetector(options), (e) => e.code === 'ERR_HEAPRS_INVALID_ARGUMENT' && e.argument === argument && e.message.includes(argument), JSON.stringify(options));
  }
  assert.strictEqual(new LeakDetector({}).running, false);
  assert.strictEqual(new LeakDetector({ sensitivity: undefined, cooldownMs: Infinity }).running, false);
});

// A collection that gives memory back moves objects in its pause and shrinks the new space, which the program then has to fill anew.
test('the collections that the detector asks for are of V8’s ordinary kind', { skip }, async () => {
  const { stdout } = await run(`
    const stats = [];
    new heaprs.LeakDetector({ sensitivity: 'high', diagnose: false }).on('stats', (s) => stats.push(s)).start();
    globalThis.kept = [];
    setInterval(() => {
      for (let i = 0; i < 40; i++) kept.push({ i, s: 's' + i });
      Array.from({ length: 3000 }, (_, i) => ({ i }));
      if (stats.length === 3) process.exit();
    }, 2);`, { node: ['--trace-gc'] });
  const full = stdout.split('\n').filter((line) => line.includes('Mark-Compact'));
  assert.ok(full.length >= 3, stdout);
  assert.deepStrictEqual(full.filter((line) => line.includes('(reduce)')), []);
});

test('a running detector does not keep the process alive, and process.exit() ends it', { skip }, async () => {
  const churnCode = 'for (let r = 0; r < 40; r++) { const g = []; for (let i = 0; i < 50000; i++) g.push({ i }); }';
  const start = 'const d = new heaprs.LeakDetector({ sensitivity: "high" }).on("gc", () => {}).on("stats", () => {}).start();';
  for (const code of [`${start} ${churnCode}`, `${start} ${churnCode} setTimeout(() => process.exit(0), 50)`, `${start} setImmediate(() => { ${churnCode} d.stop(); })`]) {
    const { code: exit, signal, stderr } = await run(code);
    assert.deepStrictEqual({ exit, signal, stderr }, { exit: 0, signal: null, stderr: '' });
  }
});

test('detectors run in worker threads and survive their termination', { skip }, async () => {
  const result = await run(`
    const { Worker } = require('node:worker_threads');
    const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
    const source = ${JSON.stringify(`
      const { parentPort } = require('node:worker_threads');
      const { LeakDetector } = require(${JSON.stringify(require.resolve('..'))});
      let told = false;
      const detectors = ['high', 'low'].map((sensitivity) => new LeakDetector({ sensitivity }).on('gc', () => { if (!told) parentPort.postMessage(told = true); }).start());
      setInterval(() => { const g = []; for (let i = 0; i < 50000; i++) g.push({ i }); globalThis.kept = g; }, 1);
    `)};
    (async () => {
      const main = new heaprs.LeakDetector({ sensitivity: 'high' }).on('gc', () => {}).start();
      let told = 0;
      for (let round = 0; round < 20; round++) {
        const workers = Array.from({ length: 4 }, () => new Worker(source, { eval: true }));
        for (const w of workers) { w.on('error', (e) => { console.error(e); process.exit(1); }); w.on('message', () => told++); }
        if (round % 4 === 0) await Promise.all(workers.map((w) => new Promise((r) => w.once('message', r))));
        else await sleep(round * 10);
        await Promise.all(workers.map((w) => w.terminate()));
      }
      console.log(JSON.stringify({ told, running: main.running }));
    })();`);
  assert.deepStrictEqual({ code: result.code, signal: result.signal, stderr: result.stderr }, { code: 0, signal: null, stderr: '' });
  assert.ok(result.json().told >= 20);
});

test('without V8’s symbols, perf_hooks and node:v8 tell of collections', async () => {
  const result = await run(`
    const gcs = [], stats = [];
    const detector = new heaprs.LeakDetector({ sensitivity: 'high' }).on('gc', (e) => gcs.push(e)).on('stats', (e) => stats.push(e)).start();
    const hold = [];
    const turn = setInterval(() => {
      for (let i = 0; i < 20_000; i++) hold.push({ i });
      if (hold.length > 400_000) hold.length = 0;
      global.gc();
      if (stats.length < 3) return;
      clearInterval(turn);
      const limit = require('node:v8').getHeapStatistics().heap_size_limit;
      console.log(JSON.stringify({ gcs, stats, limit, running: detector.running }));
      // Nothing holds the process.
    }, 10);`, { node: ['--expose-gc'], env: { HEAPRS_V8_SYMBOLS: 'off' } });
  assert.deepStrictEqual([result.code, result.stderr], [0, '']);
  const { gcs, stats, limit, running } = result.json();
  assert.strictEqual(running, true);
  const full = gcs.filter((g) => g.kind === 'mark-sweep-compact');
  assert.ok(full.length >= 3, JSON.stringify(gcs));
  assert.ok(full.every((g) => g.usedAfter > 1e6 && g.usedBefore >= g.usedAfter && g.heapLimit === limit && g.pauseMs >= 0));
  assert.deepStrictEqual(stats.map((s) => s.currentBase), full.slice(0, stats.length).map((g) => g.usedAfter));
});
