'use strict';
// A process that has used every feature ends by itself, with its own exit code, and a worker does too.

const test = require('node:test');
const assert = require('node:assert');
const { root, run, scratch } = require('./helpers.js');

const EVERYTHING = `
  const { once } = require('node:events');
  async function everything(heaprs, directory) {
    heaprs.forkSupport();
    const file = heaprs.writeHeapSnapshot(directory + '/' + require('node:worker_threads').threadId + '.heapsnapshot');
    await heaprs.captureHeapSnapshot({ directory, onProgress() {} });
    await heaprs.captureHeapSnapshot({ directory: directory + '/missing' }).catch(() => {});
    for await (const chunk of heaprs.getHeapSnapshot()) if (!chunk.length) throw new Error('empty');
    heaprs.getHeapSnapshot();                                   // never read
    heaprs.releaseObjectIds();
    const snapshot = await heaprs.openSnapshot(file, { signal: new AbortController().signal });   // never closed
    await snapshot.summary();
    await snapshot.columns();
    await heaprs.compareSnapshots(file, file);
    (await heaprs.analyze(file)).toText();
    const detectors = ['low', 'medium', 'high'].map((sensitivity) => new heaprs.LeakDetector({ sensitivity }).start());   // never stopped
    detectors[2].on('stats', () => {});
    const collected = once(detectors[0], 'gc');
    const garbage = setInterval(() => { for (let i = 0; i < 1e5; i++) globalThis.g = { i, s: 'x' + i }; }, 1);
    await collected;
    clearInterval(garbage);
    new heaprs.LeakDetector().start().stop();
  }`;

test('the process ends by itself', async (t) => {
  const result = await run(`${EVERYTHING}
    process.exitCode = 5;
    everything(heaprs, process.argv[1]).then(() => console.log('done'));`, { args: [scratch(t)] });
  assert.deepStrictEqual([result.code, result.signal, result.stdout, result.stderr], [5, null, 'done\n', '']);
});

test('a worker ends by itself, and the process after it', async (t) => {
  const result = await run(`
    const { Worker } = require('node:worker_threads');
    const source = ${JSON.stringify(`${EVERYTHING}; everything(require(${JSON.stringify(root)}), require('node:worker_threads').workerData).then(() => console.log('done'));`)};
    new Worker(source, { eval: true, workerData: process.argv[1] }).on('exit', (code) => console.log('worker', code));`, { args: [scratch(t)] });
  assert.deepStrictEqual([result.code, result.signal, result.stdout, result.stderr], [0, null, 'done\nworker 0\n', '']);
});
