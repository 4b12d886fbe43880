'use strict';
// heaprs/prometheus: what the detector knows, in a prom-client registry. prom-client itself is not loaded: a registry takes anything that has a
// name, a type and values.

const { Metrics, detectorOption, leakLabels } = require('./lib/metrics.js');
const check = require('./lib/validate.js');

const options = { detector: detectorOption, prefix: prefixOption, pauseBuckets: bucketsOption };

const PAUSE_BUCKETS = [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

function prefixOption(name, value) {
  if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(check.string(name, value))) throw check.invalid(name, 'the beginning of a metric name', value);
  return value;
}

function bucketsOption(name, value) {
  const rising = Array.isArray(value) && value.length > 0 && value.every((bound, i) => Number.isFinite(bound) && (i === 0 || bound > value[i - 1]));
  if (!rising) throw check.invalid(name, 'an array of rising numbers of seconds', value);
  return [...value];
}

exports.register = function register(registry, given) {
  if (typeof registry?.registerMetric !== 'function' || typeof registry.removeSingleMetric !== 'function') {
    throw check.invalid('registry', "a prom-client registry (require('prom-client').register)", registry);
  }
  const { detector, prefix = 'heaprs_', pauseBuckets = PAUSE_BUCKETS } = check.options(given, options);
  const pauses = new Histogram(pauseBuckets);
  const metrics = new Metrics(detector, (gc) => pauses.observe(gc.kind, gc.pauseMs / 1000));
  const made = describe(metrics, pauses).map(([type, name, help, values]) => metric(prefix + name, type, help, values));
  const registered = [];
  const dispose = () => {
    metrics.dispose();
    for (const { name } of registered) registry.removeSingleMetric(name);
  };
  try {
    for (const one of made) {
      registry.registerMetric(one);
      registered.push({ name: one.name });
    }
  } catch (error) {
    dispose();
    throw error;
  }
  return { detector: metrics.detector, dispose, [Symbol.dispose ?? Symbol.for('Symbol.dispose')]: dispose };
};

const one = (value, labels = {}) => (value === undefined ? [] : [{ value, labels }]);

function describe(m, pauses) {
  return [
    ['gauge', 'heap_live_bytes', 'Live bytes by space of the V8 heap, after the last full garbage collection.', () => m.spaces().map(([space, value]) => ({ value, labels: { space } }))],
    ['gauge', 'live_bytes', 'Live bytes of the V8 heap, after the last full garbage collection.', () => one(m.live)],
    ['gauge', 'external_bytes', 'Off-heap bytes that V8 knows of (ArrayBuffers, external strings), after the last full garbage collection.', () => one(m.external)],
    ['gauge', 'heap_limit_bytes', 'The heap size at which V8 ends the process.', () => one(m.heapLimit)],
    ['counter', 'gc_total', 'Garbage collections by kind.', () => [...m.gcCount].map(([kind, value]) => ({ value, labels: { kind } }))],
    ['histogram', 'gc_pause_seconds', 'Pauses of garbage collections by kind.', (name) => pauses.values(name)],
    ['gauge', 'growth_bytes_per_hour', 'Growth of what lives.', () => one(m.growthPerHour)],
    ['gauge', 'leak_score', 'Confidence that there is a leak, 0 to 1.', () => one(m.leakScore)],
    ['gauge', 'seconds_to_heap_limit', 'Time until the heap limit at the present growth; +Inf when it does not grow.', () => one(m.secondsToLimit)],
    ['counter', 'leaks_total', 'Leaks that were reported.', () => one(m.leaks)],
    ['gauge', 'leak_info', 'The last leak as long as it lasts, with its cause in the labels.', () => (m.leak ? one(1, leakLabels(m.leak)) : [])],
    ['counter', 'dumps_total', 'Heap snapshots that were written, or failed.', () => Object.entries(m.dumps).map(([result, value]) => ({ value, labels: { result } }))],
  ];
}

// As prom-client's own look to a registry. `name` may be changed by it (OpenMetrics drops `_total`).
function metric(name, type, help, values) {
  return {
    name,
    help,
    type,
    aggregator: 'sum',
    async get() {
      return { name: this.name, help, type, aggregator: 'sum', values: values(this.name) };
    },
    // registry.resetMetrics(): these are sizes and counts of the process, which nobody can set to 0.
    reset() {},
  };
}

class Histogram {
  #bounds;
  #byKind = new Map();

  constructor(bounds) {
    this.#bounds = bounds;
  }

  observe(kind, seconds) {
    if (!this.#byKind.has(kind)) this.#byKind.set(kind, { counts: new Array(this.#bounds.length).fill(0), count: 0, sum: 0 });
    const seen = this.#byKind.get(kind);
    seen.count++;
    seen.sum += seconds;
    this.#bounds.forEach((bound, i) => {
      if (seconds <= bound) seen.counts[i]++;
    });
  }

  values(name) {
    return [...this.#byKind].flatMap(([kind, { counts, count, sum }]) => [
      ...this.#bounds.map((le, i) => ({ metricName: `${name}_bucket`, value: counts[i], labels: { kind, le } })),
      { metricName: `${name}_bucket`, value: count, labels: { kind, le: '+Inf' } },
      { metricName: `${name}_sum`, value: sum, labels: { kind } },
      { metricName: `${name}_count`, value: count, labels: { kind } },
    ]);
  }
}
