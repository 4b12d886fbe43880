// Leaks of 20 kinds and 15 healthy programs, each in a process of its own under V8's natural collections, watched at sensitivity 'high':
// recall, false alarms, time to the alarm, and whether the cause comes first.
//
//   npm run bench leaks                                HEAPRS_LEAKS='closure|Map' npm run bench leaks
//   HEAPRS_LEAKS_SECONDS=40 HEAPRS_LEAKS_JOBS=1        how long each runs, how many run side by side
//   HEAPRS_LEAKS_SET=further HEAPRS_LEAKS_PACKAGES=DIR  other leaks, packages of npm among them

import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { root } from '../scripts/ensure.mjs';

const set = join(root, 'bench/leaks', `${process.env.HEAPRS_LEAKS_SET ?? 'programs'}.cjs`);
const { leaks, healthy = {} } = createRequire(import.meta.url)(set);
const seconds = Number(process.env.HEAPRS_LEAKS_SECONDS ?? 40);
const jobs = Number(process.env.HEAPRS_LEAKS_JOBS ?? 1);
const wanted = new RegExp(process.env.HEAPRS_LEAKS ?? '', 'i');

// In the process that is watched, or in its worker thread.
const body = (kind, name) => `
  const { LeakDetector } = require(${JSON.stringify(root)});
  const program = require(${JSON.stringify(set)})[${JSON.stringify(kind)}][${JSON.stringify(name)}];
  const start = performance.now(), elapsed = () => (performance.now() - start) / 1000;
  const over = (leak) => { require('node:fs').writeSync(1, JSON.stringify({ at: elapsed(), leak })); process.exit(); };
  new LeakDetector({ sensitivity: 'high' }).on('leak', over).start();
  const step = program.make();
  let round = 0;
  setInterval(() => {
    const at = elapsed();
    if (at > ${seconds}) over();
    step(round++, at / ${seconds}, at);
    if (!program.idle) Array.from({ length: 6000 }, (_, i) => ({ i, s: 't' + i }));
  }, program.idle ? 200 : 5);`;

function watch(kind, name, { worker }) {
  const code = body(kind, name);
  const source = worker ? `new (require('node:worker_threads').Worker)(${JSON.stringify(code)}, { eval: true }).on('error', (e) => { throw e; })` : code;
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['-e', source], { stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (s) => (out += s));
    child.stderr.setEncoding('utf8').on('data', (s) => (err += s));
    child.on('close', () => {
      try {
        resolve(JSON.parse(out));
      } catch {
        resolve({ error: err.slice(-300) || 'no answer' });
      }
    });
  });
}

function place(cause, suspects) {
  const says = (s) => [s.className, s.holder, ...s.retainingPath.map((p) => `${p.edge} ${p.node}`)].join(' | ');
  return suspects.findIndex((s) => cause.test(says(s)));
}

export default async function () {
  const programs = [...Object.entries(leaks).map(([n, p]) => ['leaks', n, p]), ...Object.entries(healthy).map(([n, p]) => ['healthy', n, p])];
  const queue = programs.filter(([, name]) => wanted.test(name));
  const sum = { leaks: 0, found: 0, first: 0, firstThree: 0, healthy: 0, falseAlarms: 0, errors: 0, seconds: [] };
  const work = async () => {
    for (let next; (next = queue.shift()); ) {
      const [kind, name, program] = next;
      const { at, leak, error } = await watch(kind, name, program);
      sum[kind]++;
      if (error) sum.errors++;
      let told = error ? `ERROR ${error}` : leak ? `alarm after ${at.toFixed(1)} s` : 'no alarm';
      if (leak && kind === 'healthy') sum.falseAlarms++;
      if (leak && kind === 'leaks') {
        const where = place(program.cause, leak.suspects);
        sum.found++;
        sum.seconds.push(at);
        if (where === 0) sum.first++;
        if (where >= 0 && where < 3) sum.firstThree++;
        told += `, cause ${where < 0 ? 'not named' : `named ${where + 1}.`}: ${leak.suspects[0]?.className} held by ${leak.suspects[0]?.holder} (${leak.diagnosis.method}${leak.diagnosis.reason ? `: ${leak.diagnosis.reason}` : ''})`;
      }
      console.log(`${Boolean(leak) === (kind === 'leaks') && !error ? 'ok  ' : 'MISS'} ${name.padEnd(34)} ${told}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, work));
  sum.seconds.sort((a, b) => a - b);
  console.log(`leaks found ${sum.found}/${sum.leaks}, cause first ${sum.first}, in the first three ${sum.firstThree}; median ${sum.seconds[sum.seconds.length >> 1]?.toFixed(1)} s, latest ${sum.seconds.at(-1)?.toFixed(1)} s; false alarms ${sum.falseAlarms}/${sum.healthy}; errors ${sum.errors}`);
}
