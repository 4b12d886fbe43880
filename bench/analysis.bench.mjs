// From a file to class rows with distances and retained sizes: heaprs, Chrome DevTools' own worker, memlab, and on request v8-heap-parser and
// heap-snapshot (bench/binaries.mjs); heaprs with all cores, and with one left to JavaScript. Each in a process of its own, one after the other, on
// the same file; wall time inside the process (of the whole process for the last two) and peak resident memory of the whole process, mapped
// pages counted.
//
//   npm run bench analysis                      a file of about 100 MB, made by bench/heap.mjs
//   HEAPRS_BENCH_FILES=a,b npm run bench analysis
//   HEAPRS_BENCH_PEERS=devtools,memlab,v8-heap-parser,heap-snapshot     only these; none for heaprs alone
//   HEAPRS_BENCH_ROUNDS=3                       runs of each; 3 up to 300 MB and 1 above without it

import { spawnSync } from 'node:child_process';
import { mkdirSync, statSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../scripts/ensure.mjs';
import { binaries, time } from './binaries.mjs';
import { memlab, openInDevTools, peers, polyfill, versions } from './peers.mjs';
import { measure, median, ratio } from './tools.mjs';

const MB = Number(process.env.HEAPRS_BENCH_MB || 100);

const DONE = 'console.log(JSON.stringify({ ms: performance.now() - start, peak: process.resourceUsage().maxRSS / 1024, classes }));';

const heaprs = (options) => `
    (async () => {
      const heaprs = require(heaprsPath);
      const start = performance.now();
      const snapshot = await heaprs.openSnapshot(process.argv[1], ${options});
      const classes = (await snapshot.summary()).length;
      ${DONE}
    })();`;

const programs = {
  // As the command line does: the peers have all cores, too.
  heaprs: heaprs("{ threads: require('node:os').availableParallelism() }"),
  // As in an app, to which one core is left.
  'heaprs, a core less': heaprs('{}'),
  devtools: `
    (async () => {
      ${openInDevTools}
      const start = performance.now();
      const snapshot = await open(process.argv[1]);
      const classes = Object.keys(snapshot.aggregatesWithFilter({ minNodeId: undefined, maxNodeId: undefined, allocationNodeId: undefined, filterName: undefined })).length;
      ${DONE}
      process.exit(0);
    })();`,
  memlab: `
    (async () => {
      const { getFullHeapFromFile } = require(${JSON.stringify(memlab)});
      const log = console.log;
      console.log = () => {};
      const start = performance.now();
      const heap = await getFullHeapFromFile(process.argv[1]);
      const rows = new Map();
      heap.nodes.forEach((node) => {
        const row = rows.get(node.name) ?? { count: 0, self: 0, retained: 0 };
        row.count++; row.self += node.self_size; row.retained += node.retainedSize;
        rows.set(node.name, row);
      });
      const classes = rows.size;
      console.log = log;
      ${DONE}
      process.exit(0);
    })();`
};

export default async function analysis() {
  const wanted = ['heaprs', 'heaprs, a core less', ...(process.env.HEAPRS_BENCH_PEERS ?? 'devtools,memlab').split(',').filter(Boolean)];
  if (wanted.includes('devtools') || wanted.includes('memlab')) await peers();
  console.log(`Chrome DevTools ${versions['chrome-devtools-frontend']}, memlab ${versions['@memlab/heap-analysis']}, ` +
    Object.entries(binaries).map(([name, { version }]) => `${name} ${version}`).join(', '));
  for (const file of process.env.HEAPRS_BENCH_FILES?.split(',') ?? [generated()]) {
    const size = statSync(file).size / 1e6;
    const rounds = Number(process.env.HEAPRS_BENCH_ROUNDS) || (size > 300 ? 1 : 3);
    const runs = Object.fromEntries(wanted.map((name) => [name, []]));
    const failed = {};
    for (let i = 0; i < rounds; i++) {
      for (const name of wanted.filter((name) => !(name in failed))) {
        takeAndLeaveMemory();
        // A peer that can't read the file is a result too.
        try { runs[name].push(await once(name, file)); } catch (error) { if (name === 'heaprs') throw error; failed[name] = error.message.slice(0, 160); }
      }
    }
    const of = (name, key) => median(runs[name].map((r) => r[key]));
    console.log(`${size.toFixed(0)} MB`);
    for (const name of wanted) {
      if (name in failed) {
        console.log(`  ${name.padEnd(20)}${failed[name].replaceAll('\n', ' ')}`);
        continue;
      }
      const [ms, peak] = [of(name, 'ms'), of(name, 'peak')];
      console.log(`  ${name.padEnd(20)}${(ms / 1000).toFixed(2).padStart(8)} s  ${(size / (ms / 1000)).toFixed(0).padStart(5)} MB/s  peak ${peak.toFixed(0).padStart(6)} MB (${ratio(peak, size)} the file)` +
        (name === 'heaprs' ? '' : `   heaprs is ${(ms / of('heaprs', 'ms')).toFixed(1)} times faster`));
    }
  }
}

// A virtual machine's host takes back what memory nobody uses, and whoever is the next to use as much waits for it: a second, some time. Somebody
// else has it before each run.
function takeAndLeaveMemory() {
  spawnSync(process.execPath, ['--eval', 'Buffer.alloc(1.5e9, 1)']);
}

async function once(name, file) {
  if (name in binaries) return time(binaries[name].command()(file));
  return measure(polyfill + programs[name], { args: [file], node: ['--max-old-space-size=18000'] });
}

function generated() {
  const file = join(root, 'target', `bench-${MB}.heapsnapshot`);
  if (!existsSync(file)) {
    mkdirSync(join(root, 'target'), { recursive: true });
    const { status } = spawnSync(process.execPath, ['--max-old-space-size=12000', join(root, 'bench/heap.mjs'), file, String(MB)], { stdio: ['ignore', 'ignore', 'inherit'] });
    if (status !== 0) throw new Error('the heap to analyse could not be made');
  }
  return file;
}
