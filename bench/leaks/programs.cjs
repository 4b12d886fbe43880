'use strict';
// Programs for `npm run bench leaks`: 20 that leak, each with what its first suspect has to mention, and 15 that don't. Each makes a step,
// (round, part, seconds) => …, which the driver calls every few milliseconds; `part` goes from 0 to 1 over the run.

const { EventEmitter } = require('node:events');
const { AsyncLocalStorage } = require('node:async_hooks');

const text = (bytes, i) => Buffer.alloc(bytes, 42).toString() + i;

exports.leaks = {
  'Map of sessions, fast': { cause: /sessions.*Map/, make() { const sessions = (globalThis.sessions = new Map()); let n = 0; return () => { for (let i = 0; i < 60; i++) sessions.set(`s${n}`, { n: n++, user: `u${n}` }); }; } },
  'Map of sessions, slow': { cause: /visits.*Map/, make() { const visits = (globalThis.visits = new Map()); let n = 0; return () => { for (let i = 0; i < 5; i++) visits.set(`v${n}`, { n: n++, path: `/page/${n}` }); }; } },
  'Set of objects': { cause: /seen.*Set/, make() { const seen = (globalThis.seen = new Set()); let n = 0; return () => { for (let i = 0; i < 20; i++) seen.add({ request: n++ }); }; } },
  'array of a module': { cause: /history.*Array/, make() { const history = []; let n = 0; return () => { for (let i = 0; i < 20; i++) history.push({ at: n++, url: `/x/${n}` }); }; } },
  'object as a dictionary': { cause: /byKey/, make() { const byKey = (globalThis.byKey = {}); let n = 0; return () => { for (let i = 0; i < 15; i++) byKey[`key ${n++}`] = { n, value: [n] }; }; } },
  'closure context chain': { cause: /theThing/, make() { let theThing = null; return (round) => { if (round % 5) return; const originLeak = theThing; const unused = () => originLeak; void unused; theThing = { long: text(60_000, round), someMethod() {} }; }; } },
  'listeners of an emitter': { cause: /bus|listener/i, make() { const bus = (globalThis.bus = new EventEmitter().setMaxListeners(0)); return () => { for (let i = 0; i < 20; i++) bus.on('update', () => i); }; } },
  'listeners of the process': { cause: /listeners|_events|update/i, make() { process.setMaxListeners(0); return () => { for (let i = 0; i < 15; i++) { const request = { body: [i, i] }; process.on('update', () => request); } }; } },
  'listeners of an AbortSignal': { cause: /kEvents|abort|Listener/i, make() { const abort = new AbortController(); require('node:events').setMaxListeners(0, abort.signal); return () => { for (let i = 0; i < 12; i++) abort.signal.addEventListener('abort', () => i); }; } },
  'intervals never cleared': { cause: /timer|Timeout/i, make: () => () => { for (let i = 0; i < 12; i++) { const data = { i, payload: `payload ${i}`.repeat(3) }; setInterval(() => data, 1e8).unref(); } } },
  'timeouts far away': { cause: /timer|Timeout/i, make: () => () => { for (let i = 0; i < 12; i++) { const data = [i, i + 1]; setTimeout(() => data, 2e8).unref(); } } },
  'promises that wait for one': { cause: /never|Promise/i, make() { const never = (globalThis.never = new Promise(() => {})); return () => { for (let i = 0; i < 20; i++) void never.then(() => i); }; } },
  'chain of promises': { cause: /tail|Promise/i, make() { let tail = new Promise(() => {}); globalThis.first = tail; return () => { for (let i = 0; i < 20; i++) tail = tail.then(() => i); }; } },
  'linked list': { cause: /head|Node|next/i, make() { class Node { constructor(next) { this.next = next; this.data = [1, 2]; } } let head = null; globalThis.peek = () => head; return () => { for (let i = 0; i < 25; i++) head = new Node(head); }; } },
  'Buffers in an array': { cause: /uploads/, make() { const uploads = (globalThis.uploads = []); return (round) => { if (round % 4 === 0) uploads.push(Buffer.alloc(50_000, 1)); }; } },
  'ArrayBuffers in a Map': { cause: /frames.*Map/, make() { const frames = (globalThis.frames = new Map()); return (round) => { if (round % 4 === 0) frames.set(round, new Float64Array(6000)); }; } },
  'long strings': { cause: /bodies/, make() { const bodies = (globalThis.bodies = []); return (round) => { bodies.push(text(8000, round)); }; } },
  'memo of a function': { cause: /memo/, make() { const memo = new Map(); const square = (n) => { if (!memo.has(n)) memo.set(n, { n, square: n * n, parts: [n, n] }); return memo.get(n); }; let n = 0; return () => { for (let i = 0; i < 20; i++) square(n++); }; } },
  'queue nobody empties': { cause: /queue|jobs/i, make() { class Queue { jobs = []; add(job) { this.jobs.push(job); } } const queue = (globalThis.queue = new Queue()); const store = new AsyncLocalStorage(); return (round) => { for (let i = 0; i < 15; i++) store.run({ round, i }, () => queue.add(AsyncLocalStorage.bind(() => i))); }; } },
  'Map in a worker thread': { cause: /sessions.*Map/, worker: true, make() { const sessions = (globalThis.sessions = new Map()); let n = 0; return () => { for (let i = 0; i < 40; i++) sessions.set(`s${n}`, { n: n++, user: `u${n}` }); }; } }
};

const filling = (share) => () => { const cache = (globalThis.cache = new Map()); return (round, part) => { const target = Math.min(1, part / share) * 80_000; while (cache.size < target) cache.set(cache.size, { v: `value ${cache.size}` }); if (part > share) for (let i = 0; i < 50; i++) cache.set((Math.random() * 80_000) | 0, { v: `new ${i}` }); }; };

exports.healthy = {
  'bounded cache, full early': { make: filling(0.15) },
  'bounded cache, full after a third': { make: filling(0.33) },
  'bounded cache, full after half': { make: filling(0.55) },
  'random cache': { make() { const cache = (globalThis.cache = new Map()); return () => { for (let i = 0; i < 20; i++) cache.set((Math.random() * 20_000) | 0, { v: `v${i}`, p: 'x'.repeat(50) + i }); }; } },
  'least recently used': { make() { const cache = (globalThis.cache = new Map()); let n = 0; return () => { for (let i = 0; i < 100; i++) { cache.set(n++, { n, s: `s${n}` }); if (cache.size > 20_000) cache.delete(cache.keys().next().value); } }; } },
  bursts: { make() { return (round) => { globalThis.hold = Array.from({ length: (round % 40) * 1500 }, (_, i) => ({ i })); }; } },
  'sawtooth batches': { make() { let batch = []; return (round, part, seconds) => { if ((seconds % 7) < 0.3) batch = []; for (let i = 0; i < 100; i++) batch.push({ i, round }); globalThis.batch = batch; }; } },
  'sessions rise and fall': { make() { const all = (globalThis.all = []); return (round, part) => { const target = (30_000 * (1 + Math.sin(part * 5 * Math.PI))) / 2 | 0; while (all.length < target) all.push({ n: all.length, d: `session ${all.length}` }); all.length = target; }; } },
  'one rise and fall': { make() { const all = (globalThis.all = []); return (round, part) => { const target = (40_000 * (1 - Math.cos(part * 2 * Math.PI))) / 2 | 0; while (all.length < target) all.push({ n: all.length, d: `session ${all.length}` }); all.length = Math.min(all.length, target); }; } },
  'lazy code': { make() { const functions = (globalThis.functions = []); return (round, part) => { while (functions.length < part * 600 && functions.length < 300) { const i = functions.length; functions.push(new Function('a', `let s = 0; for (let i = 0; i < a; i++) s += i * ${i}; return { x${i}: s, y: "${'abc'.repeat(20)}${i}" };`)); } for (const f of functions.slice(-20)) f(50); }; } },
  'weak cache': { make() { const cache = (globalThis.cache = new Map()); const registry = new FinalizationRegistry((key) => cache.delete(key)); let n = 0; return () => { for (let i = 0; i < 40; i++) { const value = { n, d: 'data'.repeat(10) + n }; cache.set(n, new WeakRef(value)); registry.register(value, n++); } }; } },
  'warm-up of a deployment': { make() { const code = (globalThis.code = []); return (round, part) => { const target = 40_000 * (1 - Math.exp(-part * 12)); while (code.length < target) code.push({ i: code.length, s: `warm ${code.length}` }); }; } },
  'steps of load': { make() { const held = (globalThis.held = []); return (round, part) => { const target = 15_000 * (1 + Math.floor(part * 3)); while (held.length < target) held.push({ i: held.length }); }; } },
  'Buffers that come and go': { make() { const kept = (globalThis.kept = []); return () => { for (let i = 0; i < 3; i++) kept[(Math.random() * 60) | 0] = Buffer.alloc(10_000 + ((Math.random() * 90_000) | 0)); }; } },
  idle: { idle: true, make: () => () => {} }
};
