'use strict';
// heaprs/memwatch: runs programs written for memwatch, memwatch-next and their forks. Events come from LeakDetector, in memwatch's spelling.

const { EventEmitter } = require('node:events');
const { LeakDetector } = require('./lib/detector.js');
const { collectGarbage } = require('./lib/gc.js');
const { native } = require('./lib/native.js');
const { releaseUnwantedObjectIds } = require('./lib/object-ids.js');

const memwatch = new EventEmitter();
module.exports = memwatch;

// memwatch told within a few collections, and again after a few more; programs wait for the second `leak` to end their HeapDiff. They name the
// cause by means of their own, so none is looked for.
const DEFAULTS = { sensitivity: 'high', cooldownMs: 20_000, diagnose: false };

let detector;
let configured = DEFAULTS;

// Observation begins with the first listener, and does not end with the last one: `once` in a row must not forget what was seen.
memwatch.on('newListener', (event) => {
  if (event === 'leak' || event === 'stats') detector ??= startDetector();
});

function startDetector() {
  const started = new LeakDetector(configured);
  started.on('leak', (report) => memwatch.emit('leak', leakInfo(report)));
  started.on('stats', (stats) => {
    if (!ownSnapshots.some(({ from, to }) => stats.timestamp >= from && stats.timestamp <= to)) memwatch.emit('stats', inMemwatchsSpelling(stats));
  });
  return started.start();
}

memwatch.configure = function configure(options) {
  new LeakDetector({ ...DEFAULTS, ...options }); // says what is wrong with them
  configured = { ...DEFAULTS, ...options };
  if (!detector) return;
  detector.stop();
  detector = startDetector();
};

memwatch.gc = function gc() {
  collectGarbage();
};

// The whole LeakReport is there, too, but out of the way of programs that print or send what memwatch gave them.
function leakInfo(report) {
  const { start, end, growth, gcs, growthPerHour, place } = report;
  const where = place === 'off-heap' ? 'off-heap growth' : 'heap growth';
  const reason = `${where} over ${gcs} consecutive GCs (${niceDelta((end - start) / 1000)}) - ${niceSize(growthPerHour)}/hr`;
  return Object.defineProperty({ start, end, growth, reason }, 'report', { value: report });
}

function inMemwatchsSpelling({ numFullGc, numIncGc, usageTrend, estimatedBase, currentBase, min, max }) {
  return {
    num_full_gc: numFullGc,
    num_inc_gc: numIncGc,
    heap_compactions: numFullGc, // every full collection, as memwatch counted since V8 no longer tells
    usage_trend: Math.round(usageTrend * 1000) / 10, // per cent
    estimated_base: Math.round(estimatedBase),
    current_base: currentBase,
    min,
    max,
  };
}

// When a HeapDiff stopped the process: collections in these moments are not the program's, and make no `stats`.
const ownSnapshots = [];
const CLOCKS_DIFFER_MS = 2;

// HeapDiffs that wait for their end, which need V8 to go on tracking object ids.
let open = 0;
const forgotten = new FinalizationRegistry(closed);

function closed() {
  if (--open === 0) releaseUnwantedObjectIds();
}

function census() {
  const from = now() - CLOCKS_DIFFER_MS;
  const taken = new (native().HeapCensus)();
  ownSnapshots.push({ from, to: now() + CLOCKS_DIFFER_MS });
  if (ownSnapshots.length > 16) ownSnapshots.shift();
  return taken;
}

const now = () => performance.timeOrigin + performance.now();

memwatch.HeapDiff = class HeapDiff {
  #before;
  #time = new Date();

  constructor() {
    this.#before = census();
    open++;
    forgotten.register(this, undefined, this);
  }

  end() {
    const before = this.#before;
    if (!before) throw new Error('this HeapDiff has ended already; make a new one');
    const time = new Date();
    const after = census();
    this.#before = undefined;
    forgotten.unregister(this);
    const { allocated, freed, kinds } = before.diff(after);
    const result = { before: side(before, this.#time), after: side(after, time), change: change(after.size() - before.size(), freed, allocated, kinds) };
    closed();
    return result;
  }
};

const side = (taken, time) => ({ nodes: taken.nodes(), time, size_bytes: taken.size(), size: niceSize(taken.size()) });

function change(bytes, freed, allocated, kinds) {
  return {
    size_bytes: bytes,
    size: niceSize(bytes),
    freed_nodes: freed,
    allocated_nodes: allocated,
    details: kinds.map(({ name, sizeDelta, added, removed }) => ({ what: name, size_bytes: sizeDelta, size: niceSize(sizeDelta), '+': added, '-': removed })),
  };
}

function niceSize(bytes) {
  for (const [unit, size] of [['mb', 1024 * 1024], ['kb', 1024]]) {
    if (Math.abs(bytes) > size) return `${Math.round((bytes / size) * 100) / 100} ${unit}`;
  }
  return `${Math.round(bytes)} bytes`;
}

function niceDelta(seconds) {
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return `${h ? `${h}h ` : ''}${h || m ? `${m}m ` : ''}${s}s`;
}
