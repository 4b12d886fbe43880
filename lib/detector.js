'use strict';
// LeakDetector: events of the native detector of this thread, for listeners and diagnostics channels.

const { EventEmitter } = require('node:events');
const v8 = require('node:v8');
const channels = require('node:diagnostics_channel');
const { captureOptions } = require('./capture.js');
const { Diagnosis } = require('./diagnosis/index.js');
const { fail } = require('./errors.js');
const { GcObserver } = require('./gc-observer.js');
const { native } = require('./native.js');
const check = require('./validate.js');

const options = {
  sensitivity: check.oneOf('low', 'medium', 'high'),
  minGrowth: check.number(0, Number.MAX_SAFE_INTEGER),
  cooldownMs: check.number(0),
  diagnose: (name, value) => (typeof value === 'boolean' ? value : check.options(value, captureOptions, name)),
  samplingInterval: (name, value) => (value === false ? value : check.number(1024)(name, value))
};

const gcChannel = channels.channel('heaprs:gc');
const leakChannel = channels.channel('heaprs:leak');

class LeakDetector extends EventEmitter {
  #config;
  #native;
  #diagnose;
  #diagnosis;
  #confirming; // the native detector whose leak is being diagnosed

  constructor(given) {
    super();
    const { sensitivity = 'medium', diagnose, samplingInterval, ...rest } = check.options(given, options);
    this.#config = { sensitivity, ...rest };
    this.#diagnose = { diagnose, samplingInterval, hunt: sensitivity === 'high' };
    const look = (event) => {
      if (event === 'gc') queueMicrotask(() => this.#wantGc());
    };
    this.on('newListener', look);
    this.on('removeListener', look);
  }

  get running() {
    return this.#native !== undefined;
  }

  start() {
    if (this.#native) return this;
    const Source = native().unavailableFeatures().gcEvents ? GcObserver : native().GcDetector;
    const detector = new Source(this.#config);
    detector.start(statistics(), () => this.#deliver(detector));
    this.#native = detector;
    this.#diagnosis = new Diagnosis(this.#diagnose);
    this.#wantGc();
    return this;
  }

  stop() {
    const detector = this.#native;
    this.#native = undefined;
    detector?.stop();
    this.#diagnosis?.stop();
    this.#diagnosis = undefined;
  }

  // Used bytes of V8's spaces after the last full collection, by name; empty until one has come after the first call.
  spaceSizes() {
    return Object.fromEntries((this.#native?.spaces() ?? []).map(({ name, used }) => [name, used]));
  }

  // Every collection crosses to JavaScript only when somebody wants it. Channels do not tell when they gain a subscriber, so
  // they are asked at the start and whenever something else is delivered: at the latest at the next full collection.
  #wantGc() {
    this.#native?.wantGc(this.listenerCount('gc') > 0 || gcChannel.hasSubscribers);
  }

  #deliver(detector) {
    for (const message of detector.take()) {
      // A listener may have called stop(), or stop() and start().
      if (detector !== this.#native) return;
      this.#tell(message);
    }
    this.#wantGc();
  }

  // A leak is told with its cause, which takes a while; one that is confirmed meanwhile is the same.
  #confirm(verdict) {
    const detector = this.#native;
    if (this.#confirming === detector) return;
    this.#confirming = detector;
    this.#diagnosis.finish(verdict).then(({ error, ...found }) => {
      if (this.#confirming === detector) this.#confirming = undefined;
      // Out of the promise: what a listener throws is the process's business, as ever.
      process.nextTick(() => {
        if (detector === this.#native && error) this.emit('diagnosisError', error);
        if (detector !== this.#native) return;
        const report = leakReport(verdict, found);
        if (leakChannel.hasSubscribers) leakChannel.publish(report);
        this.emit('leak', report);
      });
    });
  }

  #tell({ event, gc, stats, verdict, error }) {
    if (event === 'gc') {
      if (gcChannel.hasSubscribers) gcChannel.publish(gc);
      this.emit('gc', gc);
    } else if (event === 'stats') {
      this.#diagnosis.lives(stats.currentBase);
      if (this.listenerCount('stats') > 0) this.emit('stats', { ...stats, ...outside() });
    } else if (event === 'suspicion') {
      this.#diagnosis.begin(verdict);
      this.emit('suspicion', leakReport(verdict, NOT_YET));
    } else if (event === 'leak') {
      this.#confirm(verdict);
    } else if (event === 'failed') {
      this.stop();
      this.emit('diagnosisError', fail('ERR_HEAPRS_INTERNAL', error));
    }
  }
}

const NOT_YET = {
  suspects: [],
  diagnosis: { method: 'none', reason: 'a suspicion is told at once; the cause comes with the leak', pauseMs: 0, childCpuMs: 0, peakBytes: 0 },
  files: []
};

function leakReport({ start, end, timeToLimitMs = null, ...verdict }, { suspects, diagnosis, files }) {
  return { start: new Date(start), end: new Date(end), ...verdict, timeToLimitMs, suspects, diagnosis, files };
}

// What V8's callbacks do not know of. The kernel is asked for one of them, which takes some 20 microseconds: only for who listens.
function outside() {
  const { arrayBuffers, rss } = process.memoryUsage();
  return { arrayBuffers, rss };
}

function statistics() {
  const s = v8.getHeapStatistics();
  return { totalHeapSize: s.total_heap_size, usedHeapSize: s.used_heap_size, heapSizeLimit: s.heap_size_limit, externalMemory: s.external_memory };
}

module.exports = { LeakDetector };
