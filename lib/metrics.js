'use strict';
// What detectors and captures tell, as numbers that a monitoring system can fetch at any time. heaprs/prometheus and heaprs/otel give them names.

const channels = require('node:diagnostics_channel');
const { LeakDetector } = require('./detector.js');
const check = require('./validate.js');

// Full collections over which growth is told when no verdict tells it.
const KEPT = 64;

class Metrics {
  gcCount = new Map();
  leaks = 0;
  dumps = { ok: 0, failed: 0 };
  live;
  external;
  heapLimit;
  // The last leak as long as what it tells of is still there.
  leak;
  #verdict;
  #sizes = [];
  #ownDetector;
  #listeners;
  #onDump = (message) => this.dumps[message.error ? 'failed' : 'ok']++;

  // `detector` is the caller's own, or options for one that is made and started here. `onGc` is called with each collection.
  constructor(detector, onGc) {
    this.#ownDetector = !(detector instanceof LeakDetector);
    this.detector = this.#ownDetector ? new LeakDetector(detector) : detector;
    this.#listeners = {
      gc: (gc) => {
        this.gcCount.set(gc.kind, (this.gcCount.get(gc.kind) ?? 0) + 1);
        this.heapLimit = gc.heapLimit;
        onGc?.(gc);
      },
      stats: (stats) => this.#onStats(stats),
      suspicion: (report) => {
        this.#verdict = report;
      },
      leak: (report) => {
        this.leaks++;
        this.leak = this.#verdict = report;
      },
    };
    for (const [event, listener] of Object.entries(this.#listeners)) this.detector.on(event, listener);
    channels.subscribe('heaprs:dump', this.#onDump);
    try {
      if (this.#ownDetector) this.detector.start();
    } catch (error) {
      this.dispose();
      throw error;
    }
    this.detector.spaceSizes(); // from now on they are taken
  }

  dispose() {
    for (const [event, listener] of Object.entries(this.#listeners)) this.detector.off(event, listener);
    channels.unsubscribe('heaprs:dump', this.#onDump);
    if (this.#ownDetector) this.detector.stop();
  }

  #onStats({ currentBase, external, heapLimit, timestamp }) {
    this.live = currentBase;
    this.external = external;
    this.heapLimit = heapLimit;
    this.#sizes.push({ at: timestamp, size: currentBase });
    if (this.#sizes.length > KEPT) this.#sizes.shift();
    if (this.#verdict && this.#isOver(this.#verdict)) this.#verdict = this.leak = undefined;
  }

  // Half of what had grown is gone: it was none, or it has been mended.
  #isOver({ place, growth, heapUsed }) {
    if (place === 'off-heap') return this.external < growth / 2;
    return this.live < heapUsed - growth / 2;
  }

  // Live bytes by V8's name of the space, as the last full collection left them.
  spaces() {
    return Object.entries(this.detector.spaceSizes());
  }

  // 0 to 1.
  get leakScore() {
    return this.#verdict?.confidence ?? 0;
  }

  // Bytes; of the heap after full collections, whether a leak or not.
  get growthPerHour() {
    return this.#verdict?.growthPerHour ?? medianSlope(this.#sizes) * 3_600_000;
  }

  // At this pace; Infinity when it does not grow.
  get secondsToLimit() {
    if (typeof this.#verdict?.timeToLimitMs === 'number') {
      return Math.max(0, (this.#verdict.timeToLimitMs - (Date.now() - this.#verdict.end.getTime())) / 1000);
    }
    const perSecond = this.growthPerHour / 3600;
    return perSecond > 0 && this.heapLimit > 0 ? Math.max(0, this.heapLimit - this.live) / perSecond : Infinity;
  }
}

// Theil and Sen: the median of the slopes between all pairs; 0 until there are some.
function medianSlope(points) {
  const slopes = [];
  for (let i = 0; i < points.length; i++) {
    for (let j = i + 1; j < points.length; j++) {
      const time = points[j].at - points[i].at;
      if (time > 0) slopes.push((points[j].size - points[i].size) / time);
    }
  }
  if (slopes.length < 3) return 0;
  slopes.sort((a, b) => a - b);
  return slopes[slopes.length >> 1];
}

const detectorOption = (name, value) => {
  if (value === null || typeof value !== 'object') throw check.invalid(name, 'a LeakDetector, or options for one', value);
  return value;
};

// What a leak is called in labels: few and short, since each different text is a new series.
function leakLabels({ reason, suspects: [first] }) {
  const text = (value) => String(value ?? '').slice(0, 240);
  return { reason: text(reason), class: text(first?.className), holder: text(first?.holder), explanation: text(first?.explanation) };
}

module.exports = { Metrics, detectorOption, leakLabels };
