// The Comparison of two snapshots of one process, about 100 MB each: heaprs and Chrome DevTools' own worker, in turn, each in a process of its own.
// From the files to the rows, and of that the comparison alone. Both must find the same.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../scripts/ensure.mjs';
import { openInDevTools, peers, polyfill, versions } from './peers.mjs';
import { measure, median } from './tools.mjs';

const ROUNDS = Number(process.env.HEAPRS_BENCH_ROUNDS) || 3;

const DONE = 'console.log(JSON.stringify({ ms: performance.now() - start, alone: performance.now() - opened, rows, added, removed })); process.exit(0);';

const programs = {
  heaprs: `
    (async () => {
      const heaprs = require(heaprsPath);
      const threads = require('node:os').availableParallelism();
      const start = performance.now();
      const [base, current] = [await heaprs.openSnapshot(process.argv[1], { threads }), await heaprs.openSnapshot(process.argv[2], { threads })];
      const opened = performance.now();
      const diff = (await heaprs.compareSnapshots(base, current, { matchBy: 'id' })).rows;
      const rows = diff.length, added = diff.reduce((sum, row) => sum + row.addedCount, 0), removed = diff.reduce((sum, row) => sum + row.removedCount, 0);
      ${DONE}
    })();`,
  devtools: `
    (async () => {
      ${openInDevTools}
      const start = performance.now();
      const [base, current] = [await open(process.argv[1]), await open(process.argv[2])];
      const opened = performance.now();
      const diff = Object.values(current.calculateSnapshotDiff(1, base.aggregatesForDiff(current.interfaceDefinitions())));
      const rows = diff.length, added = diff.reduce((sum, row) => sum + row.addedCount, 0), removed = diff.reduce((sum, row) => sum + row.removedCount, 0);
      ${DONE}
    })();`
};

export default async function comparison() {
  await peers();
  const files = ['base', 'current'].map((name) => join(root, 'target', `bench-${name}.heapsnapshot`));
  if (!files.every(existsSync)) {
    mkdirSync(join(root, 'target'), { recursive: true });
    const { status } = spawnSync(process.execPath, ['--max-old-space-size=12000', join(root, 'bench/heap.mjs'), files[0], '100', files[1]], { stdio: ['ignore', 'ignore', 'inherit'] });
    if (status !== 0) throw new Error('the heaps to compare could not be made');
  }
  const runs = { heaprs: [], devtools: [] };
  for (let i = 0; i < ROUNDS; i++) {
    for (const name of Object.keys(runs)) runs[name].push(measure(polyfill + programs[name], { args: files, node: ['--max-old-space-size=18000'] }));
  }
  const [ours, theirs] = [runs.heaprs[0], runs.devtools[0]];
  for (const key of ['rows', 'added', 'removed']) {
    if (ours[key] !== theirs[key]) throw new Error(`heaprs finds ${ours[key]} ${key}, DevTools ${theirs[key]}`);
  }
  console.log(`${ours.rows} rows, ${ours.added} objects new, ${ours.removed} gone; Chrome DevTools ${versions['chrome-devtools-frontend']}, medians of ${ROUNDS}`);
  for (const [key, what] of [['ms', 'both opened and compared'], ['alone', 'the comparison alone']]) {
    const [a, b] = [runs.heaprs, runs.devtools].map((runs) => median(runs.map((run) => run[key])));
    console.log(`  ${what.padEnd(26)}heaprs ${a.toFixed(0).padStart(6)} ms   DevTools ${b.toFixed(0).padStart(6)} ms   heaprs is ${(b / a).toFixed(1)} times faster`);
  }
}
