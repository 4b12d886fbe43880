'use strict';
// More leaks for `npm run bench leaks` (HEAPRS_LEAKS_SET=further): what long-lived services do wrong, in other shapes than those of programs.cjs.
// HEAPRS_LEAKS_PACKAGES names a folder in which the packages of the last part are installed.

const { EventEmitter } = require('node:events');
const { AsyncLocalStorage } = require('node:async_hooks');
const { createRequire } = require('node:module');
const path = require('node:path');

const text = (bytes, i) => Buffer.alloc(bytes, 42).toString() + i;
const times = (n, run) => () => { for (let i = 0; i < n; i++) run(i); };

exports.leaks = {
  'WeakMap whose key lives': { cause: /meta|WeakMap|history/, make() { const meta = new WeakMap(); const server = (globalThis.server = { name: 'api' }); meta.set(server, { history: [] }); let n = 0; return times(20, () => meta.get(server).history.push({ at: n++ })); } },
  'chain of AsyncLocalStorage stores': { cause: /previous|parent|store|AsyncLocalStorage|AsyncContextFrame/i, make() { const als = new AsyncLocalStorage(); let store = { id: 0 }; return times(20, (i) => als.run((store = { id: i, previous: store }), () => {})); } },
  'requests that wait in an http agent': { cause: /agent|requests|ClientRequest/i, make() { const http = require('node:http'); const server = http.createServer(() => {}).listen(0); const agent = (globalThis.agent = new http.Agent({ maxSockets: 1 })); return times(4, () => { const { port } = server.address() ?? {}; if (port) http.get({ port, agent }).on('error', () => {}); }); } },
  'once in a loop': { cause: /ready/, make() { const db = (globalThis.db = new EventEmitter().setMaxListeners(0)); return times(20, (i) => db.once('ready', () => i)); } },
  'slices that keep their strings': { cause: /titles/, make() { const titles = (globalThis.titles = []); return (round) => { const page = text(20_000, round); titles.push(page.slice(100, 140)); }; } },
  'pieces of large Buffers': { cause: /headers/, make() { const headers = (globalThis.headers = []); return (round) => { if (round % 4 === 0) headers.push(Buffer.alloc(60_000, 1).subarray(0, 16)); }; } },
  'pieces of the pool': { cause: /tokens/, make() { const tokens = (globalThis.tokens = []); return times(6, (i) => { tokens.push(Buffer.from('token ' + i)); for (let k = 0; k < 7; k++) Buffer.allocUnsafe(1000); }); } },
  'cache that forgets nothing, linked': { cause: /entries|Lru|head|newest/, make() { class Entry { constructor(key, older) { this.key = key; this.older = older; if (older) older.newer = this; } } class Lru { #entries = new Map(); newest; set(key) { this.newest = new Entry(key, this.newest); this.#entries.set(key, this.newest); } } const lru = new Lru(); let n = 0; return times(15, () => lru.set('k' + n++)); } },
  'static of a class': { cause: /Connection\.(all|instances)/, make() { class Connection { static instances = []; constructor(i) { this.i = i; Connection.instances.push(this); } } globalThis.Connection = Connection; return times(20, (i) => new Connection(i)); } },
  'registered symbols': { cause: /[Ss]ymbol/, make() { let n = 0; return times(20, () => Symbol.for('request ' + n++)); } },
  'streams never ended': { cause: /PassThrough|open/, make() { const { PassThrough } = require('node:stream'); const open = new Set(); globalThis.size = () => open.size; return times(2, () => { const s = new PassThrough(); s.write('x'); open.add(s); }); } },
  'streams piped into one': { cause: /unpipe|drain|close|finish|error|PassThrough|log/, make() { const { PassThrough } = require('node:stream'); const log = (globalThis.log = new PassThrough().setMaxListeners(0)); log.resume(); return times(2, () => new PassThrough().pipe(log)); } },
  'zlib handles': { cause: /zips|Gzip/, make() { const zips = (globalThis.zips = []); return (round) => { if (round % 8 === 0) zips.push(require('node:zlib').createGzip()); }; } },
  'handlers that capture requests': { cause: /handlers/, make() { const handlers = []; globalThis.count = () => handlers.length; return times(10, (i) => { const request = { body: [i], headers: { host: 'h' + i } }; handlers.push(() => request.body); }); } },
  'race with a promise that never settles': { cause: /shutdown|Promise/, make() { const shutdown = (globalThis.shutdown = new Promise(() => {})); return times(15, (i) => void Promise.race([shutdown, Promise.resolve(i)])); } },
  'pending requests never answered': { cause: /pending/, make() { const pending = new Map(); globalThis.count = () => pending.size; let n = 0; return times(15, () => void new Promise((resolve, reject) => pending.set(n++, { resolve, reject }))); } },
  'functions that wait for ever': { cause: /gate|Promise|wait|handle/i, make() { const gate = (globalThis.gate = new EventEmitter().setMaxListeners(0)); async function handle(i) { const request = { i, body: [i] }; await new Promise((open) => gate.once('open', open)); return request; } return times(8, (i) => void handle(i)); } },
  'errors that are kept': { cause: /failures/, make() { const failures = (globalThis.failures = []); return times(5, (i) => failures.push(new Error('failed ' + i))); } },
  'private Map of a service': { cause: /#cache|cache/, make() { class Service { #cache = new Map(); get(n) { this.#cache.set('user ' + n, { n }); } } const service = new Service(); globalThis.get = (n) => service.get(n); let n = 0; return times(20, () => service.get(n++)); } },
  'Map keyed by request': { cause: /timings/, make() { class Request { constructor(i) { this.url = '/' + i; } } const timings = new Map(); globalThis.count = () => timings.size; return times(15, (i) => timings.set(new Request(i), performance.now())); } },
  'Sets in a Map': { cause: /rooms/, make() { const rooms = (globalThis.rooms = new Map()); let n = 0; return times(20, (i) => { const id = 'room ' + (i % 10); if (!rooms.has(id)) rooms.set(id, new Set()); rooms.get(id).add({ user: n++ }); }); } },
  'values held by a FinalizationRegistry': { cause: /FinalizationRegistry|registry|WeakCell/, make() { const registry = (globalThis.registry = new FinalizationRegistry(() => {})); const app = (globalThis.app = {}); return times(15, (i) => registry.register(app, { i, note: [i] })); } },
  'subscribers of a channel': { cause: /channel|subscribers|_subscribers/i, make() { const { channel } = require('node:diagnostics_channel'); const requests = channel('requests'); return (round) => { const request = { round, body: text(3000, round) }; requests.subscribe(() => request); }; } },
  'listeners of an EventTarget': { cause: /kEvents|Listener|target/i, make() { const target = (globalThis.target = new globalThis.EventTarget()); require('node:events').setMaxListeners(0, target); return times(12, (i) => target.addEventListener('change', () => i)); } },
  'function wrapped again and again': { cause: /handler|next|wrap|inner/, make() { let handler = () => 0; globalThis.call = () => handler(); const wrap = (inner) => () => inner(); return times(15, () => (handler = wrap(handler))); } },
  'errors keyed by message': { cause: /byMessage/, make() { const byMessage = Object.create(null); globalThis.get = (m) => byMessage[m]; let n = 0; return times(15, () => (byMessage[`cannot load /item/${n++}`] = { count: 1 })); } },
  'property with a symbol': { cause: /audit/, make() { const audit = Symbol('audit'); const app = (globalThis.app = { [audit]: [] }); return times(20, (i) => app[audit].push({ i })); } },
  'contexts of vm': { cause: /sandboxes/, make() { const vm = require('node:vm'); const sandboxes = (globalThis.sandboxes = []); return (round) => { if (round % 30 === 0) sandboxes.push(vm.createContext({ round })); }; } },
  // V8 does not know of what waits between two ports: a growth of resident memory alone.
  'messages nobody receives': { cause: /MessagePort|port|Message/i, make() { const { port1 } = (globalThis.channel = new MessageChannel()); return (round) => { if (round % 4 === 0) port1.postMessage(Buffer.alloc(50_000, 1)); }; } }
};

const folder = process.env.HEAPRS_LEAKS_PACKAGES;
if (folder) {
  const from = createRequire(path.join(path.resolve(folder), 'index.js'));
  Object.assign(exports.leaks, {
    'ajv: a schema for each request': { cause: /_cache|ajv/i, make() { const ajv = new (from('ajv'))(); let n = 0; return (round) => { if (round % 4 === 0) ajv.compile({ type: 'object', properties: { ['p' + n++]: { type: 'string' } } }); }; } },
    'prom-client: a label for each user': { cause: /hashMap/, make() { const counter = new (from('prom-client').Counter)({ name: 'c', help: 'c', labelNames: ['user'] }); let n = 0; return times(10, () => counter.inc({ user: 'u' + n++ })); } },
    'rxjs: never unsubscribed': { cause: /observers|Subject/, make() { const { Subject } = from('rxjs'); const changes = (globalThis.changes = new Subject()); return times(5, (i) => changes.subscribe(() => i)); } },
    'mobx: autorun never disposed': { cause: /observers_|ObservableValue|mobx/i, make() { const { observable, autorun } = from('mobx'); const price = observable.box(1); return times(3, () => autorun(() => price.get())); } },
    'lodash: memoize': { cause: /cache|__data__|MapCache|memo/i, make() { const area = from('lodash').memoize((o) => ({ area: o })); globalThis.area = area; let n = 0; return times(20, () => area('k' + n++)); } },
    'eventemitter3: listeners': { cause: /_events|tick/, make() { const bus = new (from('eventemitter3'))(); globalThis.emit = () => bus.emit('tick'); return times(20, (i) => bus.on('tick', () => i)); } },
    'any-signal: one for each request': { cause: /kEvents|abort|signal|Listener/i, make() { const { anySignal } = from('any-signal'); const shutdown = new AbortController(); require('node:events').setMaxListeners(0, shutdown.signal); return times(3, () => anySignal([shutdown.signal, new AbortController().signal])); } },
    'dataloader: one for all requests': { cause: /_cacheMap|loader/i, make() { const loader = new (from('dataloader'))(async (keys) => keys.map((k) => ({ k }))); let n = 0; return times(10, () => void loader.load(n++)); } },
    'node-cache: no time to live': { cause: /data|cache/i, make() { const cache = new (from('node-cache'))({ useClones: false }); let n = 0; return times(10, () => cache.set('k' + n, { n: n++ })); } },
    'winston: a logger for each request': { cause: /transport|Console|unpipe|drain|error|_events|DerivedLogger/i, make() { const winston = from('winston'); const transport = new winston.transports.Console({ silent: true }); transport.setMaxListeners(0); return (round) => { if (round % 3 === 0) winston.createLogger({ transports: [transport] }); }; } },
    'p-queue: tasks that never end': { cause: /queue/i, make() { const queue = new (from('p-queue').default)({ concurrency: 1 }); globalThis.pending = () => queue.size; return times(5, (i) => void queue.add(() => new Promise(() => i))); } },
    'bluebird: waits for one': { cause: /_rejectionHandler0|_fulfill|Promise|never/, make() { const Bluebird = from('bluebird'); const never = (globalThis.never = new Bluebird(() => {})); return times(12, (i) => void never.then(() => i)); } }
  });
}
