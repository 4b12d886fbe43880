// What a snapshot leaves behind: how long the same allocating loop takes before any snapshot, after a capture by fork, after V8's own, after
// heaprs has released the ids, and after heaprs's inline capture, which releases them by itself. One process a round; medians of the rounds, in CPU time of the
// process, which other work on the machine disturbs least. Once more
// with jemalloc preloaded, where Debian's libjemalloc2 is installed.

import { existsSync } from 'node:fs';
import { measure, median, ratio } from './tools.mjs';

const PROGRAM = `
  const fs = require('node:fs'), os = require('node:os'), path = require('node:path'), v8 = require('node:v8');
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heaprs-bench-'));
  // Builds and drops arrays of small objects: what servers do.
  function loop() {
    const start = process.cpuUsage();
    for (let round = 0; round < 60; round++) {
      const list = [];
      for (let i = 0; i < 40_000; i++) list.push({ i, name: 'n' + i, inner: { i } });
      globalThis.sink = list.length;
    }
    const { user, system } = process.cpuUsage(start);
    return (user + system) / 1000;
  }
  const keep = []; for (let i = 0; i < 100_000; i++) keep.push({ i });
  const heaprs = require(heaprsPath);
  const steady = () => { loop(); return Math.min(loop(), loop()); };
  (async () => {
    const result = { before: steady() };
    await heaprs.captureHeapSnapshot({ directory, mode: 'fork' });
    result.afterFork = steady();
    v8.writeHeapSnapshot(path.join(directory, 'a'));
    result.afterV8 = steady();
    heaprs.releaseObjectIds();
    result.afterRelease = steady();
    await heaprs.captureHeapSnapshot({ directory, mode: 'inline' });
    result.afterInline = steady();
    fs.rmSync(directory, { recursive: true });
    console.log(JSON.stringify(result));
  })();
`;

const JEMALLOC = '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2';

export default function allocation(rounds = 3) {
  table(rounds, {});
  if (!existsSync(JEMALLOC)) return;
  console.log('\nwith jemalloc preloaded');
  table(rounds, { LD_PRELOAD: JEMALLOC });
}

function table(rounds, env) {
  const runs = Array.from({ length: rounds }, () => measure(PROGRAM, { env }));
  const before = median(runs.map((r) => r.before));
  const rows = {
    'before any snapshot': 'before',
    'after captureHeapSnapshot({ mode: \'fork\' })': 'afterFork',
    'after v8.writeHeapSnapshot': 'afterV8',
    'then heaprs.releaseObjectIds()': 'afterRelease',
    'then captureHeapSnapshot({ mode: \'inline\' })': 'afterInline'
  };
  for (const [title, key] of Object.entries(rows)) {
    const ms = median(runs.map((r) => r[key]));
    console.log(`${title.padEnd(46)} ${ms.toFixed(0).padStart(6)} ms  ${ratio(ms, before)}`);
  }
}
