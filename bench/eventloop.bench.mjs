// What the app feels while a large file is analysed in its process: the delay of its event loop (p99), beside that of the same process at
// rest. HEAPRS_BENCH_FILE=FILE takes a file that is there; else one of 500 MB is made by bench/huge.mjs.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../scripts/ensure.mjs';
import { measure, median } from './tools.mjs';

const PROGRAM = `
  const { monitorEventLoopDelay } = require('node:perf_hooks');
  const heaprs = require(heaprsPath);
  const watch = async (work) => {
    const delay = monitorEventLoopDelay({ resolution: 10 });
    delay.enable();
    await work();
    delay.disable();
    return { p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 };
  };
  const sleep = (ms) => new Promise((r) => setTimeout(r, ms));
  (async () => {
    await heaprs.openSnapshot(process.argv[1] + '.missing').catch(() => {}); // loads the addon, which takes some milliseconds once
    await sleep(500);
    const idle = await watch(() => sleep(3000));
    const busy = await watch(async () => (await heaprs.openSnapshot(process.argv[1])).close());
    console.log(JSON.stringify({ idle, busy }));
  })();`;

export default function eventLoop(rounds = 3) {
  const file = process.env.HEAPRS_BENCH_FILE ?? generated();
  const runs = Array.from({ length: rounds }, () => measure(PROGRAM, { args: [file] }));
  for (const [name, key] of [['at rest', 'idle'], ['while it analyses', 'busy']]) {
    const of = (what) => median(runs.map((run) => run[key][what])).toFixed(2).padStart(7);
    console.log(`${name.padEnd(20)} p50 ${of('p50')} ms   p99 ${of('p99')} ms   max ${of('max')} ms`);
  }
}

function generated() {
  const file = join(root, 'target', 'bench-huge-500.heapsnapshot');
  if (!existsSync(file)) {
    mkdirSync(join(root, 'target'), { recursive: true });
    if (spawnSync(process.execPath, [join(root, 'bench/huge.mjs'), file, '500'], { stdio: 'inherit' }).status !== 0) throw new Error('no file could be made');
  }
  return file;
}
