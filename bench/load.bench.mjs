// What `require('heaprs')` costs, beside an empty module and beside loading the native addon at first use. Each in a fresh process.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measure, median } from './tools.mjs';

const PROGRAM = `
  const fs = require('node:fs');
  const tasks = () => { try { return fs.readdirSync('/proc/self/task').length; } catch { return 0; } };
  const memory = () => { try { return Number(/RssAnon:\\s+(\\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]); } catch { return 0; } };
  const warm = () => { process.memoryUsage.rss(); tasks(); memory(); performance.now(); };
  warm(); warm();
  const [rss, anon, threads, start] = [process.memoryUsage.rss(), memory(), tasks(), performance.now()];
  const loaded = require(process.argv[1]);
  if (process.argv[2]) loaded.forkSupport(), require(process.argv[1] + '/lib/native.js').native();
  const ms = performance.now() - start;
  console.log(JSON.stringify({ ms, rss: (process.memoryUsage.rss() - rss) / 1024, anon: memory() - anon, threads: tasks() - threads }));
`;

export default function load(rounds = 15) {
  const directory = mkdtempSync(join(tmpdir(), 'heaprs-bench-'));
  const empty = join(directory, 'empty.js');
  writeFileSync(empty, '');
  const here = new URL('..', import.meta.url).pathname.replace(/\/$/, '');
  const sides = { 'an empty module': [empty], 'heaprs': [here], 'heaprs and its addon': [here, 'addon'] };
  const runs = Object.fromEntries(Object.keys(sides).map((side) => [side, []]));
  for (let i = 0; i < rounds; i++) for (const [side, args] of Object.entries(sides)) runs[side].push(measure(PROGRAM, { args }));
  for (const side of Object.keys(sides)) {
    const of = (key) => median(runs[side].map((r) => r[key]));
    console.log(`${side.padEnd(22)} ${of('ms').toFixed(1).padStart(5)} ms  resident +${of('rss').toFixed(0)} KB, of it anonymous +${of('anon').toFixed(0)} KB  threads +${of('threads')}`);
  }
  rmSync(directory, { recursive: true });
}
