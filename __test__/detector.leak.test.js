'use strict';
// The verdict on real programs, each in a process of its own under V8's natural collections: a leak on the heap, one of Buffers, one in a
// worker thread, and programs without one. All run side by side, for less than a minute.

const test = require('node:test');
const assert = require('node:assert');
const { native } = require('../lib/native.js');
const { heaprs, root, run } = require('./helpers.js');

const skip = Boolean(native().unavailableFeatures().gcEvents) && 'V8’s symbols cannot be used here';

// Steps until there was a `leak` or the time is over; prints what was told.
const watch = (step, seconds) => `
  const { LeakDetector } = require(${JSON.stringify(root)});
  const published = [];
  require('node:diagnostics_channel').subscribe('heaprs:leak', (report) => published.push(report.growth));
  const leaks = [], suspicions = [];
  const detector = new LeakDetector({ sensitivity: 'high' }).on('leak', (r) => leaks.push(r)).on('suspicion', (r) => suspicions.push(r)).start();
  (async () => {
    const step = (() => { ${step} })();
    const end = Date.now() + ${seconds} * 1000;
    for (let round = 0; Date.now() < end && leaks.length === 0; round++) {
      step(round);
      const garbage = []; for (let i = 0; i < 3000; i++) garbage.push({ i, s: 't' + i });
      await new Promise((r) => setTimeout(r, 10));
    }
    await new Promise((r) => setTimeout(r, 50));
    detector.stop();
    console.log(JSON.stringify({ leaks, suspicions, published, dates: leaks.map((r) => r.start instanceof Date && r.end instanceof Date) }));
  })();`;

const inWorker = (code) => `
  const { Worker } = require('node:worker_threads');
  new Worker(${JSON.stringify(code)}, { eval: true }).on('error', (e) => { console.error(e); process.exitCode = 1; });`;

async function told(code) {
  const result = await run(code, { timeout: 240_000 });
  assert.deepStrictEqual({ code: result.code, stderr: result.stderr }, { code: 0, stderr: '' });
  return result.json();
}

const heapLeak = 'const sessions = new Map(); return (n) => { for (let i = 0; i < 20; i++) sessions.set("s" + n + "/" + i, { n, user: "u" + n }); };';
const bufferLeak = 'const kept = []; return (n) => { if (n % 10 === 0) kept.push(Buffer.alloc(200_000, 1)); };';
const healthy = {
  'a bounded cache': 'const cache = new Map(); let n = 0; return () => { for (let i = 0; i < 100; i++) { cache.set(n++, { v: "v" + n }); if (cache.size > 5000) cache.delete(n - 5001); } };',
  'bursts': 'let hold; return (n) => { hold = Array.from({ length: (n % 40) * 500 }, (_, i) => ({ i })); globalThis.hold = hold; };',
  'Buffers that come and go': 'const kept = []; return (n) => { kept[n % 50] = Buffer.alloc(10_000 + (n * 7919) % 90_000); };',
};

test('leaks are found, and nothing else', { skip, concurrency: true, timeout: 300_000 }, async (t) => {
  const checks = [
    t.test('on the heap', async () => {
      const { leaks, suspicions, published, dates } = await told(watch(heapLeak, 60));
      assert.strictEqual(leaks.length, 1);
      const [leak] = leaks;
      assert.strictEqual(leak.place, 'heap');
      assert.ok(leak.growth > 1 << 20, `growth ${leak.growth}`);
      assert.match(leak.reason, /^live heap grew by [\d.]+ MB in \d+ s through \d+ full garbage collections/);
      assert.ok(leak.gcs >= 7 && leak.growthPerHour > leak.growth && leak.confidence > 0.7 && leak.confidence <= 1, JSON.stringify(leak));
      assert.ok(leak.heapUsed > 2e6 && leak.heapUsed < leak.heapLimit);
      const left = ((leak.heapLimit - leak.heapUsed) / leak.growthPerHour) * 3_600_000;
      assert.ok(Math.abs(leak.timeToLimitMs / left - 1) < 0.01);
      assert.deepStrictEqual([suspicions[0].suspects, suspicions[0].diagnosis.method, leak.files], [[], 'none', []]);
      if (heaprs.forkSupport().supported) {
        assert.strictEqual(leak.diagnosis.method, 'fork');
        assert.match(leak.suspects[0].holder, /^sessions \(Map\)/);
        assert.ok(leak.suspects[0].countDelta > 1000, JSON.stringify(leak.suspects[0]));
      }
      assert.ok(new Date(leak.end) - new Date(leak.start) > 10_000);
      assert.deepStrictEqual([published, dates], [[leak.growth], [true]]);
      assert.ok(suspicions.length >= 1, "no suspicion");
      assert.ok(new Date(suspicions[0].end) <= new Date(leak.end), `suspicion until ${suspicions[0].end}, leak until ${leak.end}`);
    }),
    t.test('of Buffers', async () => {
      const { leaks } = await told(watch(bufferLeak, 60));
      assert.deepStrictEqual(leaks.map((r) => [r.place, r.timeToLimitMs]), [['off-heap', null]]);
      assert.ok(leaks[0].growth > 10e6);
    }),
    t.test('in a worker thread', async () => {
      const { leaks } = await told(inWorker(watch(heapLeak, 60)));
      assert.deepStrictEqual(leaks.map((r) => r.place), ['heap']);
    }),
  ];
  for (const [name, step] of Object.entries(healthy)) {
    checks.push(t.test(`not in ${name}`, async () => assert.deepStrictEqual((await told(watch(step, 40))).leaks, [])));
  }
  await Promise.all(checks);
});
