'use strict';
// A detector's source of collections where V8 can't be hooked: perf_hooks tells that there was one, node:v8 what is left. Both a little
// later, on the event loop; and nobody asks V8 for collections. It takes the place of the native GcDetector.

const v8 = require('node:v8');
const { performance, PerformanceObserver } = require('node:perf_hooks');
const { native } = require('./native.js');

// From Node's kinds to V8's GCType.
const { NODE_PERFORMANCE_GC_MAJOR, NODE_PERFORMANCE_GC_MINOR, NODE_PERFORMANCE_GC_INCREMENTAL, NODE_PERFORMANCE_GC_WEAKCB } = require('node:perf_hooks').constants;
const TYPES = new Map([
  [NODE_PERFORMANCE_GC_MINOR, 1],
  [NODE_PERFORMANCE_GC_MAJOR, 4],
  [NODE_PERFORMANCE_GC_INCREMENTAL, 8],
  [NODE_PERFORMANCE_GC_WEAKCB, 16]
]);

class GcObserver {
  #detector;
  #observer;
  #messages = [];
  #origin = performance.now();
  #before;
  #wantGc = false;
  #spaces = [];

  constructor(config) {
    this.#detector = new (native().ObservedDetector)(config);
  }

  start(_statistics, ready) {
    this.#before = sizes();
    this.#observer = new PerformanceObserver((list) => {
      // Several may be told of at once; what is left is known for the last only, and only a full one says what lives.
      const entries = list.getEntries();
      const after = sizes();
      const full = entries.findLast((entry) => TYPES.get(entry.detail.kind) === 4);
      for (const entry of full ? [full] : entries.slice(-1)) this.#take(entry, after);
      if (this.#messages.length > 0) ready();
    });
    this.#observer.observe({ entryTypes: ['gc'] });
  }

  #take({ detail, startTime, duration }, after) {
    const before = this.#before;
    this.#before = after;
    const seen = {
      gcType: TYPES.get(detail.kind) ?? 16,
      at: Math.max(0, startTime + duration - this.#origin),
      pauseMs: duration,
      usedBefore: Math.max(before.used, after.used),
      usedAfter: after.used,
      young: after.young,
      heapLimit: after.limit,
      external: after.external
    };
    if (seen.gcType === 4) this.#spaces = after.spaces.map(({ space_name: name, space_used_size: used }) => ({ name, used }));
    const messages = this.#detector.observe(seen);
    this.#messages.push(...(this.#wantGc ? messages : messages.filter(({ event }) => event !== 'gc')));
  }

  take() {
    const messages = this.#messages;
    this.#messages = [];
    return messages;
  }

  // What each of V8's spaces held after the last full collection.
  spaces() {
    return this.#spaces;
  }

  wantGc(wanted) {
    this.#wantGc = wanted;
  }

  stop() {
    this.#observer?.disconnect();
  }
}

function sizes() {
  const { used_heap_size: used, heap_size_limit: limit, external_memory: external } = v8.getHeapStatistics();
  const spaces = v8.getHeapSpaceStatistics();
  const young = spaces.find(({ space_name: name }) => name === 'new_space')?.space_used_size;
  return { used, limit, external, young, spaces };
}

module.exports = { GcObserver };
