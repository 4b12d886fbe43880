// What a running detector costs: its callbacks and timers in a busy process, requests of a server with and without it, and what a leaking
// program under load notices of the whole chain, detection and diagnosis.
//
//   HEAPRS_DETECTOR_PAIRS=20 HEAPRS_DETECTOR_SERVER_SECONDS=2   of servers, four runs each
//   HEAPRS_AUTOCANNON=node_modules/autocannon                   asks with it
//   HEAPRS_DETECTOR_SECONDS=30                                  of the two other parts
//   HEAPRS_DETECTOR_ROUNDS=3                                    of the last part, three runs each
//   HEAPRS_DETECTOR=callbacks|server|chain                      one part

import { join } from 'node:path';
import { measure, median } from './tools.mjs';

const pairs = Number(process.env.HEAPRS_DETECTOR_PAIRS ?? 20);
const seconds = Number(process.env.HEAPRS_DETECTOR_SECONDS ?? 30);
const rounds = Number(process.env.HEAPRS_DETECTOR_ROUNDS ?? 3);
const only = process.env.HEAPRS_DETECTOR;

// Milliseconds of this thread, where Node.js tells.
const CPU = 'const cpu = process.threadCpuUsage ? () => { const { user, system } = process.threadCpuUsage(); return (user + system) / 1000; } : () => NaN;';

// Everything a detector does on the JavaScript thread goes through the native class: its callbacks, and `ready` on the event loop.
const CALLBACKS = `
  const fs = require('node:fs');
  const { LeakDetector } = require(heaprsPath);
  const { native } = require(heaprsPath + '/lib/native.js');
  const [sensitivity, seconds] = [process.argv[1], Number(process.argv[2])];
  let source, delivery = 0, deliveryCpu = 0;
  ${CPU}
  const { start } = native().GcDetector.prototype;
  native().GcDetector.prototype.start = function (sizes, ready) {
    source = this;
    return start.call(this, sizes, () => {
      const at = performance.now(), used = cpu();
      ready();
      delivery += performance.now() - at;
      deliveryCpu += cpu() - used;
    });
  };
  // Of heaprs's own thread, in nanoseconds, as the kernel counts them.
  const threads = () => fs.readdirSync('/proc/self/task').filter((id) => fs.readFileSync('/proc/self/task/' + id + '/comm', 'utf8').trim() === 'heaprs')
    .reduce((sum, id) => sum + Number(fs.readFileSync('/proc/self/task/' + id + '/schedstat', 'utf8').split(' ')[0]), 0);
  const detector = new LeakDetector({ sensitivity, diagnose: false });
  detector.start();
  globalThis.kept = Array.from({ length: 300_000 }, (_, i) => ({ i, s: 's' + i }));
  const begun = performance.now();
  const timer = setInterval(() => {
    const recent = [];
    for (let i = 0; i < 20_000; i++) recent.push({ i, s: 't' + i });
    globalThis.kept[(Math.random() * 300_000) | 0] = recent[0];
    if (performance.now() - begun < seconds * 1000) return;
    clearInterval(timer);
    const wallMs = performance.now() - begun;
    console.log(JSON.stringify({ ...source.costs(), deliveryMs: delivery, deliveryCpuMs: deliveryCpu, threadMs: threads() / 1e6, wallMs }));
    detector.stop();
  }, 5);`;

function callbacks() {
  for (const sensitivity of ['medium', 'high']) {
    const { collections, totalMs, p99Ms, worstMs, deliveryMs, deliveryCpuMs, threadMs, wallMs } = measure(CALLBACKS, { args: [sensitivity, String(seconds)] });
    const share = (ms) => `${((ms / wallMs) * 100).toFixed(4)} %`;
    console.log(`${sensitivity.padEnd(8)} ${collections} collections in ${(wallMs / 1000).toFixed(0)} s: a collection p99 ${(p99Ms * 1000).toFixed(0)} µs, worst ${(worstMs * 1000).toFixed(0)} µs; of wall time: callbacks ${share(totalMs)}, deliveries ${share(deliveryMs)}${deliveryCpuMs === null ? '' : ` (CPU time ${share(deliveryCpuMs)})`}, the background thread ${share(threadMs)}`);
  }
}

// A server that 8 connections (autocannon: 50) keep busy: connections of another process, each of which asks again as soon as it is answered; first for
// a second to get warm. A pair takes turns within itself (on, off, off, on), so that a machine that drifts does so to both.
const SERVER = `
  const http = require('node:http');
  const { spawn } = require('node:child_process');
  if (process.argv[1] === 'on') new (require(heaprsPath).LeakDetector)({ diagnose: false }).start();
  const kept = Array.from({ length: 100_000 }, (_, i) => ({ i, s: 's' + i }));
  const CLIENT = \`
    const http = require('node:http');
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    const seconds = Number(process.argv[2]);
    const begun = performance.now(), times = [];
    const ask = () => {
      const at = performance.now();
      http.get({ port: Number(process.argv[1]), agent }, (r) => r.resume().on('end', () => {
        const now = performance.now();
        if (at - begun > 1000) times.push(now - at);
        if (now - begun < 1000 + seconds * 1000) return ask();
        if (times.over) return;
        times.over = true;
        times.sort((a, b) => a - b);
        console.log(JSON.stringify({ perSecond: times.length / seconds, p99: times[Math.floor(times.length * 0.99)] }));
        process.exit();
      }));
    };
    for (let i = 0; i < 8; i++) ask();\`;
  let answered = 0;
  const server = http.createServer((request, response) => response.end(JSON.stringify(kept.slice(answered++ % 1000, answered % 1000 + 50)))).listen(0, () => {
    const [, , seconds, autocannon] = process.argv, { port } = server.address();
    if (!autocannon) return spawn(process.execPath, ['-e', CLIENT, port, seconds], { stdio: ['ignore', 'inherit', 'inherit'] }).on('close', () => process.exit());
    const fire = (duration) => spawn(process.execPath, [autocannon, '-c', '50', '-d', duration, '--json', '-n', 'http://localhost:' + port], { stdio: ['ignore', 'pipe', 'ignore'] });
    fire('1').on('close', () => {
      let text = '';
      fire(seconds).on('close', () => {
        const { requests, latency } = JSON.parse(text);
        console.log(JSON.stringify({ perSecond: requests.average, p99: latency.p99 }));
        process.exit();
      }).stdout.on('data', (part) => (text += part));
    }).stdout.resume();
  });`;
const SERVER_SECONDS = Number(process.env.HEAPRS_DETECTOR_SERVER_SECONDS ?? 2);
// The folder of autocannon, to ask with it.
const AUTOCANNON = process.env.HEAPRS_AUTOCANNON ?? '';

function server() {
  const losses = { throughput: [], p99: [] };
  const ask = (which) => {
    try {
      return measure(SERVER, { args: [which, String(SERVER_SECONDS), AUTOCANNON && join(AUTOCANNON, 'autocannon.js')] });
    } catch (error) {
      console.log(`a run failed and is left out with its pair: ${error.message.trim().split('\n')[0]}`);
      return undefined;
    }
  };
  for (let i = 0; i < pairs; i++) {
    const order = i % 2 ? ['on', 'off', 'off', 'on'] : ['off', 'on', 'on', 'off'];
    const runs = order.map((which) => ({ which, ...ask(which) }));
    if (runs.some(({ perSecond }) => !perSecond)) continue;
    // The better of two runs of a side: what else the machine does only ever makes one worse.
    const best = (which, of) => of(runs.filter((one) => one.which === which));
    const most = (all) => Math.max(...all.map(({ perSecond }) => perSecond));
    const least = (all) => Math.min(...all.map(({ p99 }) => p99));
    losses.throughput.push(1 - best('on', most) / best('off', most));
    losses.p99.push(best('on', least) / best('off', least) - 1);
  }
  for (const [what, values] of Object.entries(losses)) {
    console.log(`loss of ${what.padEnd(10)} over ${values.length} pairs: median ${(median(values) * 100).toFixed(2)} %, with 95 % confidence under ${(upperBound(values) * 100).toFixed(2)} %`);
  }
}

// Of the median, one-sided 95 %, by drawing the pairs again and again. A fixed sequence, so that the same pairs give the same bound.
function upperBound(values) {
  let seed = 1;
  const below = (n) => ((seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31) * n | 0;
  const medians = Array.from({ length: 10_000 }, () => median(values.map(() => values[below(values.length)])));
  return medians.sort((a, b) => a - b)[9500];
}

// A program that leaks 2 MB a second, and how long its loop was ever held up; each turn works for a moment, as a request does. V8's own
// collections of a growing heap hold it up, too, so whatever heaprs itself runs on the JavaScript thread is timed as well: what the event loop
// calls of it (deliveries, the collections that it asks for among them), the calls into the addon (forks), the helper process's start, files.
const CHAIN = `
  const [mode, seconds] = [process.argv[1], Number(process.argv[2])];
  const told = {}, stretches = new Map();
  let depth = 0, source;
  ${CPU}
  const timed = (name, call) => function (...args) {
    if (depth++ > 0) try { return Reflect.apply(call, this, args); } finally { depth--; }
    const at = performance.now(), used = cpu();
    try {
      return Reflect.apply(call, this, args);
    } finally {
      depth--;
      const ms = performance.now() - at, cpuMs = cpu() - used;
      const sum = stretches.get(name) ?? { name, count: 0, total: 0, worst: 0, worstCpu: 0 };
      stretches.set(name, { name, count: sum.count + 1, total: sum.total + ms, worst: Math.max(sum.worst, ms), worstCpu: Math.max(sum.worstCpu, cpuMs) });
    }
  };
  if (mode !== 'off') {
    const [fs, childProcess] = [require('node:fs'), require('node:child_process')];
    childProcess.spawn = timed('spawn', childProcess.spawn);
    for (const name of ['mkdtempSync', 'openSync', 'rmSync']) fs[name] = timed(name, fs[name]);
    const addon = require(heaprsPath + '/lib/native.js').native();
    const { start } = addon.GcDetector.prototype;
    addon.GcDetector.prototype.start = function (sizes, ready) {
      source = this;
      return start.call(this, sizes, timed('delivery', ready));
    };
    for (const [name, value] of Object.entries(addon)) {
      const methods = value.prototype && Object.entries(Object.getOwnPropertyDescriptors(value.prototype)).filter(([key, { value }]) => key !== 'constructor' && typeof value === 'function');
      for (const [key, { value: method }] of methods ?? []) value.prototype[key] = timed(name + '.' + key, method);
      if (!methods?.length) addon[name] = timed(name, value);
    }
    const { LeakDetector } = require(heaprsPath);
    const detector = new LeakDetector({ sensitivity: 'high', diagnose: mode === 'diagnosis' });
    detector.on('leak', ({ diagnosis, suspects }) => Object.assign(told, { leak: true, pauseMs: diagnosis.pauseMs, holder: suspects[0]?.holder })).start();
  }
  const sessions = (globalThis.sessions = new Map());
  const begun = performance.now();
  // V8's full collections, those that the detector has asked for among them: it begins them, V8 goes on beside the program and ends them.
  const full = [];
  new (require('node:perf_hooks').PerformanceObserver)((list) => {
    for (const { detail, startTime, duration } of list.getEntries()) if (detail.kind === 4 && startTime - begun > 2000) full.push(duration);
  }).observe({ entryTypes: ['gc'] });
  let last = begun, worst = [];
  const turn = () => {
    const now = performance.now();
    // The program itself starts in the first two seconds.
    if (now - begun > 2000) worst.push(now - last);
    for (let i = 0; i < 40; i++) sessions.set('s' + sessions.size, { n: i, user: 'u' + i });
    Array.from({ length: 3000 }, (_, i) => ({ i, s: 't' + i }));
    if (now - begun > seconds * 1000) {
      worst.sort((a, b) => b - a);
      console.log(JSON.stringify({ ...told, callback: source?.costs().worstMs, stretches: [...stretches.values()], full: full.sort((a, b) => b - a), worst: worst[0], p999: worst[Math.floor(worst.length / 1000)] }));
      process.exit();
    }
    last = performance.now();
    setTimeout(turn, 2);
  };
  turn();`;

const MODES = [['off', 'no detector'], ['detection', 'diagnose: false'], ['diagnosis', 'detection and diagnosis']];

function chain() {
  const worsts = Object.fromEntries(MODES.map(([mode]) => [mode, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const [mode, title] of MODES) {
      const told = measure(CHAIN, { args: [mode, String(Math.max(seconds, 40))] });
      worsts[mode].push(told.worst);
      tell(`${round}. ${title}`, told);
    }
  }
  for (const [mode, title] of MODES) {
    const more = mode === 'off' ? '' : `; more than without, round by round: ${worsts[mode].map((ms, i) => (ms - worsts.off[i]).toFixed(1)).join(', ')} ms`;
    console.log(`${title}: at worst ${median(worsts[mode]).toFixed(1)} ms in the median of ${rounds} rounds${more}`);
  }
}

function tell(title, { worst, p999, leak, pauseMs, holder, callback, stretches, full }) {
  const found = leak ? `leak told${holder ? `, ${holder}, captures took ${pauseMs.toFixed(1)} ms in all` : ''}` : 'no leak told';
  console.log(`${title.padEnd(27)} the loop was held up by ${worst.toFixed(1)} ms at worst, one turn in a thousand by ${p999.toFixed(1)} ms   (${found})`);
  console.log(`  ${full.length} full collections, at worst ${full[0]?.toFixed(1)} ms, ${median(full).toFixed(1)} ms in the median`);
  if (stretches.length === 0) return;
  stretches.sort((a, b) => b.worst - a.worst);
  console.log(`  by heaprs itself at worst ${stretches[0].worst.toFixed(2)} ms (${stretches[0].name}); callbacks of a collection ${callback.toFixed(3)} ms`);
  for (const { name, count, total, worst: ms, worstCpu } of stretches.slice(0, 4)) {
    console.log(`    ${name.padEnd(26)} ${String(count).padStart(5)} times, ${total.toFixed(1)} ms in all, at worst ${ms.toFixed(2)} ms${worstCpu === null ? '' : `, ${worstCpu.toFixed(2)} ms of CPU`}`);
  }
}

export default function detector() {
  for (const [name, part] of Object.entries({ callbacks, server, chain })) {
    if (only && only !== name) continue;
    console.log(`\n${name}`);
    part();
  }
}
