'use strict';
// Many worker threads load heaprs, use it, and are lost at any moment; the process must not notice.

const test = require('node:test');
const assert = require('node:assert');
const { run, root, scratch } = require('./helpers.js');

const ROUNDS = Number(process.env.HEAPRS_WORKER_ROUNDS || 100);

// Each worker loads heaprs and does, by its number, what a worker may be doing when it is lost.
const worker = `
  const heaprs = require(${JSON.stringify(root)});
  const { workerData: { n, directory }, parentPort } = require('node:worker_threads');
  parentPort.postMessage('up');
  const idle = () => new Promise((r) => setTimeout(r, 1));
  const kinds = [
    () => heaprs.captureHeapSnapshot({ directory }).catch(() => {}),
    async () => { for await (const _ of heaprs.getHeapSnapshot()) ; },
    async () => { heaprs.writeHeapSnapshot(directory + '/w' + n + '.heapsnapshot'); },
    async () => { const s = await heaprs.openSnapshot(directory + '/known'); s.columns(); await s.summary(); },
    async () => { await heaprs.analyze(directory + '/known'); },
    async () => { const d = new heaprs.LeakDetector({ sensitivity: 'high' }).on('gc', () => {}).start(); for (let i = 0; i < 3; i++) { globalThis.g = Array.from({ length: 1e5 }, (_, i) => ({ i })); await idle(); } if (n % 2) d.stop(); },
    idle,
  ];
  (async () => {
    for (;;) { await kinds[n](); await idle(); }
  })();
`;

test(`20 workers that load heaprs, terminated at random moments, ${ROUNDS} rounds`, { timeout: 900_000 }, async (t) => {
  const directory = scratch(t);
  const result = await run(`
    const { Worker } = require('node:worker_threads');
    const { setTimeout: sleep } = require('node:timers/promises');
    const fs = require('node:fs');
    const directory = process.argv[1];
    let seed = 20261121;
    const random = (n) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;
    (async () => {
      let terminated = 0;
      heaprs.writeHeapSnapshot(directory + '/known');
      for (let round = 0; round < ${ROUNDS}; round++) {
        // All snapshots at once would take minutes: in each round only a few workers are of the busy kinds.
        const workers = Array.from({ length: 20 }, (_, i) => new Worker(${JSON.stringify(worker)}, { eval: true, workerData: { n: i < 4 ? (i + round) % 7 : i < 8 ? 5 : 6, directory } }));
        for (const w of workers) w.on('error', (e) => { console.error(e); process.exit(1); });
        if (round % 2) await Promise.all(workers.map((w) => new Promise((r) => w.once('message', r))));
        await sleep(random(30));
        await Promise.all(workers.map((w) => w.terminate()));
        terminated += workers.length;
        if (round % 10 === 0) for (const f of fs.readdirSync(directory)) if (!f.startsWith('.') && f !== 'known') fs.rmSync(directory + '/' + f);
      }
      await heaprs.captureHeapSnapshot({ directory });   // and the main thread still can
      console.log(JSON.stringify({ terminated, left: fs.readdirSync(directory).filter((f) => f.startsWith('.')) }));
    })();
  `, { args: [directory], timeout: 900_000 });
  assert.deepStrictEqual({ code: result.code, signal: result.signal, stderr: result.stderr }, { code: 0, signal: null, stderr: '' });
  assert.deepStrictEqual(result.json(), { terminated: 20 * ROUNDS, left: [] });
});
