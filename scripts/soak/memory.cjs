'use strict';
// The process that `npm run soak -- memory` watches: captures itself in a control group (version 1 or 2) whose limit is too narrow for what V8 takes to walk some
// heaps, the app taking memory of its own meanwhile. Each capture has to end with a file or an error, and nobody may be killed by the kernel: under
// `memory.oom.group` that would be the whole container. Prints a line.
//
//   node memory.cjs HEAPRS DIRECTORY KIND LIMIT_MB calm|growing|busy fork|auto

const fs = require('node:fs');
const path = require('node:path');
const { Worker } = require('node:worker_threads');
const { GROUPS, group, joinGroup, kills, makeGroup, mostMemory, usedMemory } = require('../../__test__/control-group.js');

const [, , package_, directory, kind, megabytes, load, mode] = process.argv;
const heaprs = require(package_);

// 20 MB each; what V8 takes to walk them is between 50 MB and 3 GB.
const heaps = {
  objects: () => Array.from({ length: 500_000 }, (_, i) => ({ i })),
  sessions: () => Array.from({ length: 50_000 }, (_, i) => ({ id: i, name: `user ${i}`, map: new Map([[i, { i }]]), tags: [i % 3, `t${i}`], f: () => i })),
  arrays: () => Array.from({ length: 20 }, () => new Array(130_000).fill(heaps)),
  array: () => new Array(2_600_000).fill(heaps),
  strings: () => Array.from({ length: 200_000 }, (_, i) => Buffer.from('x'.repeat(80) + i).toString('latin1')),
  dictionary: () => Object.fromEntries(Array.from({ length: 160_000 }, (_, i) => [`k${i}`, { i }])),
};

async function main() {
  makeGroup(group, Number(megabytes));
  joinGroup(group);
  globalThis.kept = heaps[kind]();
  globalThis.gc();
  const busy = load === 'busy' ? [1, 2, 3].map(() => new Worker('for (;;) globalThis.sink = Array.from({ length: 100 }, (_, i) => ({ i }));', { eval: true, resourceLimits: { maxOldGenerationSizeMb: 16 } })) : [];
  await Promise.all(busy.map((worker) => new Promise((resolve) => worker.once('online', resolve))));
  const buffers = [];
  // 100 MB a second; a third of what is left at most, so that the app alone stays within.
  const room = Number(megabytes) * 2 ** 20 - usedMemory();
  const grow = load === 'growing' && setInterval(() => { if (buffers.length * 2 ** 20 < room / 3) buffers.push(Buffer.alloc(2 ** 20, 1)); }, 10);
  const start = performance.now();
  const result = await heaprs.captureHeapSnapshot({ file: path.join(directory, `${kind}.heapsnapshot`), overwrite: true, mode }).catch((e) => e);
  const ms = performance.now() - start;
  clearInterval(grow);
  await Promise.all(busy.map((worker) => worker.terminate()));
  const [killed, peak] = [kills(), mostMemory()];
  if (!(result instanceof Error)) (await heaprs.openSnapshot(result.file)).close();
  const right = result instanceof Error ? result.code === 'ERR_HEAPRS_MEMORY_BUDGET' : true;
  console.log(process.version, kind.padEnd(10), `${megabytes} MB`, load.padEnd(7), mode, `${killed} killed by the kernel, at most ${peak === undefined ? '?' : (peak / 2 ** 20).toFixed(0)} MB,`, `${ms.toFixed(0)} ms:`, result instanceof Error ? `${result.code} ${result.message}` : `${result.mode}, ${result.attempts} attempts ${result.fallbackReason ?? ''}`);
  joinGroup(GROUPS);
  process.exit(right && killed === 0 ? 0 : 1);
}

process.on('exit', () => { try { fs.rmdirSync(group); } catch { /* the driver does */ } });
main();
