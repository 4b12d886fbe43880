'use strict';
// LeakDetector: events of the native detector of this thread, for listeners and diagnostics channels.

const { EventEmitter } = require('node:events');
const v8 = require('node:v8');
const channels = require('node:diagnostics_channel');
const { fail } = require('./errors.js');
const { native } = require('./native.js');
const check = require('./validate.js');

const options = {
  sensitivity: check.oneOf('low', 'medium', 'high'),
  minGrowth: check.number(0, Number.MAX_SAFE_INTEGER),
  cooldownMs: check.number(0),
  diagnose: laterUnless('diagnose', (value) => typeof value === 'boolean'),
  samplingInterval: laterUnless('samplingInterval', (value) => value === false),
};

// Options of the contract that this version cannot keep are not taken silently. `diagnose: true` is the default: the report then
// says that there was no diagnosis, and why.
function laterUnless(option, harmless) {
  return (name, value) => {
    if (harmless(value)) return undefined;
    throw fail('ERR_HEAPRS_UNAVAILABLE', `${name} is not available in this version of heaprs`, { argument: option });
  };
}

const gcChannel = channels.channel('heaprs:gc');
const leakChannel = channels.channel('heaprs:leak');

class LeakDetector extends EventEmitter {
  #config;
  #native;

  constructor(given) {
    super();
    const { sensitivity = 'medium', ...rest } = check.options(given, options);
    this.#config = { sensitivity, ...rest };
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
    const detector = new (native().GcDetector)(this.#config);
    detector.start(statistics(), () => this.#deliver(detector));
    this.#native = detector;
    this.#wantGc();
    return this;
  }

  stop() {
    const detector = this.#native;
    this.#native = undefined;
    detector?.stop();
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

  #tell({ event, gc, stats, verdict, error }) {
    if (event === 'gc') {
      if (gcChannel.hasSubscribers) gcChannel.publish(gc);
      this.emit('gc', gc);
    } else if (event === 'stats') {
      this.emit('stats', stats);
    } else if (event === 'suspicion' || event === 'leak') {
      const report = leakReport(verdict);
      if (event === 'leak' && leakChannel.hasSubscribers) leakChannel.publish(report);
      this.emit(event, report);
    } else if (event === 'failed') {
      this.stop();
      this.emit('diagnosisError', fail('ERR_HEAPRS_INTERNAL', error));
    }
  }
}

const NO_DIAGNOSIS = 'this version of heaprs judges by trend alone; captureHeapSnapshot() and analyze() tell what has grown';

function leakReport({ start, end, timeToLimitMs = null, ...verdict }) {
  return {
    start: new Date(start),
    end: new Date(end),
    ...verdict,
    timeToLimitMs,
    suspects: [],
    diagnosis: { method: 'none', reason: NO_DIAGNOSIS, pauseMs: 0, childCpuMs: 0, peakBytes: 0 },
    files: [],
  };
}

function statistics() {
  const s = v8.getHeapStatistics();
  return { totalHeapSize: s.total_heap_size, usedHeapSize: s.used_heap_size, heapSizeLimit: s.heap_size_limit, externalMemory: s.external_memory };
}

module.exports = { LeakDetector };
