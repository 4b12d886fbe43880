'use strict';
// heaprs/otel: what the detector knows, through an OpenTelemetry meter. Names that the semantic conventions have (v8js.*) are theirs.

const { createRequire } = require('node:module');
const path = require('node:path');
const v8 = require('node:v8');
const { fail } = require('./lib/errors.js');
const { Metrics, detectorOption, leakLabels } = require('./lib/metrics.js');
const check = require('./lib/validate.js');

const options = { detector: detectorOption, meter: meterOption };

function meterOption(name, value) {
  if (typeof value?.createHistogram !== 'function' || typeof value.addBatchObservableCallback !== 'function') throw check.invalid(name, 'an OpenTelemetry meter', value);
  return value;
}

// The conventions' values of v8js.gc.type.
const GC_TYPE = { scavenge: 'minor', 'minor-mark-sweep': 'minor', 'mark-sweep-compact': 'major', 'incremental-marking': 'incremental', 'weak-callbacks': 'weakcb' };

exports.instrument = function instrument(given) {
  const { detector, meter = globalMeter() } = check.options(given, options);
  const pauses = meter.createHistogram('v8js.gc.duration', { unit: 's', description: 'Garbage collection duration.', advice: { explicitBucketBoundaries: [0.01, 0.1, 1, 10] } });
  const metrics = new Metrics(detector, (gc) => pauses.record(gc.pauseMs / 1000, { 'v8js.gc.type': GC_TYPE[gc.kind] }));
  const described = describe(meter, metrics);
  const instruments = described.map(([instrument]) => instrument);
  const observe = (result) => {
    const spaces = v8.getHeapSpaceStatistics();
    for (const [instrument, values] of described) {
      for (const [value, attributes] of values(spaces)) {
        if (Number.isFinite(value)) result.observe(instrument, value, attributes);
      }
    }
  };
  meter.addBatchObservableCallback(observe, instruments);
  const dispose = () => {
    metrics.dispose();
    meter.removeBatchObservableCallback(observe, instruments);
  };
  return { detector: metrics.detector, dispose, [Symbol.dispose ?? Symbol.for('Symbol.dispose')]: dispose };
};

function describe(meter, m) {
  const gauge = (name, unit, description) => meter.createObservableGauge(name, { unit, description });
  const upDown = (name, unit, description) => meter.createObservableUpDownCounter(name, { unit, description });
  const counter = (name, unit, description) => meter.createObservableCounter(name, { unit, description });
  const bySpace = (field) => (spaces) => spaces.map((space) => [space[field], { 'v8js.heap.space.name': space.space_name }]);
  return [
    [upDown('v8js.memory.heap.used', 'By', 'Heap memory in use, garbage included.'), bySpace('space_used_size')],
    [upDown('v8js.memory.heap.space.size', 'By', 'Heap memory set aside.'), bySpace('space_size')],
    [upDown('v8js.memory.heap.space.available_size', 'By', 'Heap memory set aside and free.'), bySpace('space_available_size')],
    [upDown('v8js.memory.heap.space.physical_size', 'By', 'Heap memory that is committed.'), bySpace('physical_space_size')],
    [upDown('heaprs.memory.heap.live', 'By', 'Live heap memory, after the last full garbage collection.'), () => m.spaces().map(([name, value]) => [value, { 'v8js.heap.space.name': name }])],
    [upDown('heaprs.memory.external', 'By', 'Off-heap memory that V8 knows of, after the last full garbage collection.'), () => [[m.external]]],
    [upDown('heaprs.memory.heap.limit', 'By', 'The heap size at which V8 ends the process.'), () => [[m.heapLimit]]],
    [counter('heaprs.gc.count', '{collection}', 'Garbage collections.'), () => [...m.gcCount].map(([kind, value]) => [value, { 'heaprs.gc.kind': kind, 'v8js.gc.type': GC_TYPE[kind] }])],
    [gauge('heaprs.memory.growth', 'By/h', 'Growth of what lives.'), () => [[m.growthPerHour]]],
    [gauge('heaprs.leak.score', '1', 'Confidence that there is a leak.'), () => [[m.leakScore]]],
    [gauge('heaprs.heap.time_to_limit', 's', 'Time until the heap limit at the present growth; absent when it does not grow.'), () => [[m.secondsToLimit]]],
    [counter('heaprs.leak.count', '{leak}', 'Leaks that were reported.'), () => [[m.leaks]]],
    [gauge('heaprs.leak.info', '1', 'The last leak as long as it lasts, with its cause in the attributes.'), () => (m.leak ? [[1, prefixed(leakLabels(m.leak))]] : [])],
    [counter('heaprs.dump.count', '{dump}', 'Heap snapshots that were written, or failed.'), () => Object.entries(m.dumps).map(([result, value]) => [value, { 'heaprs.dump.result': result }])],
  ];
}

const prefixed = (labels) => Object.fromEntries(Object.entries(labels).map(([name, value]) => [`heaprs.leak.${name}`, value]));

// Of the app's own @opentelemetry/api, which need not be installed beside heaprs.
function globalMeter() {
  const places = [require, createRequire(path.join(process.cwd(), 'index.js'))];
  let cause;
  for (const from of places) {
    try {
      return from('@opentelemetry/api').metrics.getMeter('heaprs', require('./package.json').version);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
      cause = error;
    }
  }
  throw fail('ERR_HEAPRS_UNAVAILABLE', 'heaprs/otel found no @opentelemetry/api; install it, or pass options.meter', { cause });
}
