// `npm run soak [-- MINUTES]`: one process uses every feature over and over, in worker threads that are lost at random moments too; resident
// memory, threads and open files must come to rest. Default 15 minutes. `npm run soak -- fork`, `-- faults` and `-- memory` are others: see soak-fork.mjs and soak-faults.mjs.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, main, root, run } from './ensure.mjs';
import { soakFaults, soakMemory } from './soak-faults.mjs';
import { soakFork } from './soak-fork.mjs';

const others = { fork: soakFork, faults: soakFaults, memory: soakMemory };

const PROGRAM = `
  const fs = require('node:fs');
  const { Worker } = require('node:worker_threads');
  const heaprs = require(process.argv[1]);
  const [directory, minutes] = [process.argv[2], Number(process.argv[3])];
  const worker = \`
    const heaprs = require(${JSON.stringify(root)});
    const { workerData } = require('node:worker_threads');
    new heaprs.LeakDetector({ sensitivity: 'high' }).on('gc', () => {}).start();
    (async () => { for (;;) { await heaprs.captureHeapSnapshot({ directory: workerData }); await heaprs.analyze(workerData + '/known'); } })();\`;
  async function round() {
    const detector = new heaprs.LeakDetector().on('gc', () => {}).start();
    const { file } = await heaprs.captureHeapSnapshot({ directory });
    const snapshot = await heaprs.openSnapshot(file);
    await snapshot.summary();
    snapshot.close();
    await heaprs.compareSnapshots(directory + '/known', file);
    for await (const chunk of heaprs.getHeapSnapshot()) chunk.length;
    heaprs.releaseObjectIds();
    fs.rmSync(file);
    const lost = new Worker(worker, { eval: true, workerData: directory });
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 500));
    await lost.terminate();
    for (const name of fs.readdirSync(directory)) if (name !== 'known') fs.rmSync(directory + '/' + name);
    detector.stop();
  }
  const look = () => ({ rss: process.memoryUsage.rss() / 1e6, threads: fs.readdirSync('/proc/self/task').length, files: fs.readdirSync('/proc/self/fd').length });
  (async () => {
    heaprs.writeHeapSnapshot(directory + '/known');
    const end = Date.now() + minutes * 60_000;
    const seen = [];
    for (let n = 0; Date.now() < end || seen.length < 20; n++) {
      await round();
      gc();
      seen.push(look());
      if (n % 20 === 0) console.log(n, JSON.stringify(seen.at(-1)));
    }
    // The second half against the last quarter: what leaks, rises from one to the other.
    const middle = (from, to, key) => { const part = seen.slice(seen.length * from, seen.length * to).map((s) => s[key]).sort((a, b) => a - b); return part[part.length >> 1]; };
    const [before, after] = [middle(0.5, 0.75, 'rss'), middle(0.75, 1, 'rss')];
    const [first, last] = [seen[Math.floor(seen.length / 2)], seen.at(-1)];
    console.log(seen.length, 'rounds; resident', before.toFixed(1), '->', after.toFixed(1), 'MB, threads', first.threads, '->', last.threads, ', files', first.files, '->', last.files);
    process.exitCode = after < before * 1.05 + 5 && last.threads <= first.threads + 1 && last.files <= first.files + 1 ? 0 : 1;
  })();
`;

await main(() => {
  ensureInstalled();
  ensureBuilt();
  const other = others[process.argv[2]];
  if (other) return other(...process.argv.slice(3));
  const directory = mkdtempSync(join(tmpdir(), 'heaprs-soak-'));
  try {
    return run(process.execPath, ['--expose-gc', '-e', PROGRAM, root, directory, process.argv[2] ?? '15']);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
