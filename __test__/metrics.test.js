'use strict';
// heaprs/prometheus and heaprs/otel with the real prom-client and OpenTelemetry SDK; diagnostics channels.

const test = require('node:test');
const assert = require('node:assert/strict');
const channels = require('node:diagnostics_channel');
const { once } = require('node:events');
const { InMemoryMetricExporter, MeterProvider, PeriodicExportingMetricReader, AggregationTemporality } = require('@opentelemetry/sdk-metrics');
const { Registry, Gauge } = require('prom-client');
const { heaprs, project, run } = require('./helpers.js');
const { collectGarbage } = require('../lib/gc.js');
const prometheus = require('../prometheus.js');
const otel = require('../otel.js');

const leak = {
  start: new Date(Date.now() - 60_000), end: new Date(), growth: 5e6, reason: 'it grows', place: 'heap', gcs: 9, growthPerHour: 3e8, confidence: 0.97,
  heapUsed: 1e12, heapLimit: 4e9, timeToLimitMs: 3_600_000, diagnosis: { method: 'none', pauseMs: 0, childCpuMs: 0, peakBytes: 0 }, files: [],
  suspects: [{ className: 'Session', holder: 'global.sessions (Map)', explanation: 'a "Map"\nthat only grows', retainingPath: [], countDelta: 1, sizeDelta: 1, retainedDelta: 1 }],
};

// Collections, until the detector has told of a full one that was watched from its beginning.
async function collected(detector) {
  const alive = setInterval(() => {}, 1000); // a detector keeps no process alive, not even the test's
  for (let i = 0; i < 2; i++) {
    const stats = once(detector, 'stats');
    collectGarbage();
    await stats;
  }
  clearInterval(alive);
  const spaces = require('node:v8').getHeapSpaceStatistics();
  return Object.fromEntries(spaces.map((space) => [space.space_name, space.space_used_size]));
}

test('Prometheus: sizes by space, counts and pauses by kind, growth, score, time to the limit, cause, dumps', async (t) => {
  const registry = new Registry();
  const mine = new Gauge({ name: 'mine', help: 'Not of heaprs.', registers: [registry] });
  mine.set(1);
  const registration = prometheus.register(registry, { detector: { sensitivity: 'low' }, pauseBuckets: [0.001, 10] });
  const { detector } = registration;
  t.after(() => detector.stop());
  assert.ok(detector.running);
  const spaces = await collected(detector);
  const values = async (name) => (await registry.getSingleMetric(name).get()).values;
  const live = await values('heaprs_heap_live_bytes');
  assert.deepEqual(live.map(({ labels }) => labels.space).sort(), Object.keys(spaces).sort());
  const old = live.find(({ labels }) => labels.space === 'old_space').value;
  assert.ok(old > spaces.old_space / 2 && old < spaces.old_space * 2, `${old} and ${spaces.old_space}`);
  const total = (await values('heaprs_live_bytes'))[0].value;
  const sum = live.reduce((bytes, { value }) => bytes + value, 0);
  assert.ok(Math.abs(sum - total) < total / 2, `${sum} and ${total}`);
  const full = (rows) => rows.find(({ labels }) => labels.kind === 'mark-sweep-compact').value;
  assert.ok(full(await values('heaprs_gc_total')) >= 2);
  const pauses = (await values('heaprs_gc_pause_seconds')).filter(({ labels }) => labels.kind === 'mark-sweep-compact');
  assert.deepEqual(pauses.map(({ metricName, labels }) => `${metricName} ${labels.le}`), ['heaprs_gc_pause_seconds_bucket 0.001', 'heaprs_gc_pause_seconds_bucket 10', 'heaprs_gc_pause_seconds_bucket +Inf', 'heaprs_gc_pause_seconds_sum undefined', 'heaprs_gc_pause_seconds_count undefined']);
  const [, , all, seconds, count] = pauses.map(({ value }) => value);
  assert.ok(all === count && count >= 2 && seconds > 0 && seconds < 60);
  assert.equal((await values('heaprs_leak_score'))[0].value, 0);
  assert.deepEqual(await values('heaprs_leak_info'), []);

  detector.emit('leak', leak);
  channels.channel('heaprs:dump').publish({ file: 'a' });
  channels.channel('heaprs:dump').publish({ error: new Error('disk full') });
  const text = await registry.metrics();
  assert.match(text, /^# TYPE heaprs_gc_pause_seconds histogram$/m);
  assert.match(text, /^heaprs_leak_score 0.97$/m);
  assert.match(text, /^heaprs_growth_bytes_per_hour 300000000$/m);
  assert.match(text, /^heaprs_leaks_total 1$/m);
  assert.match(text, /^heaprs_leak_info\{reason="it grows",class="Session",holder="global\.sessions \(Map\)",explanation="a \\"Map\\"\\nthat only grows"\} 1$/m);
  assert.match(text, /^heaprs_dumps_total\{result="ok"\} 1\nheaprs_dumps_total\{result="failed"\} 1$/m);
  const left = Number(/^heaprs_seconds_to_heap_limit (.*)$/m.exec(text)[1]);
  assert.ok(left > 3000 && left <= 3600, String(left));
  assert.match(text, /^mine 1$/m);
  registry.resetMetrics();
  // What lives is far below what the leak said: it is over.
  await collected(detector);
  assert.equal((await values('heaprs_leak_score'))[0].value, 0);
  assert.deepEqual(await values('heaprs_leak_info'), []);
  registration.dispose();
  assert.ok(!detector.running);
  assert.deepEqual(registry.getMetricsAsArray().map(({ name }) => name), ['mine']);
});

test('Prometheus: OpenMetrics, a prefix, a detector of one\'s own, and what is refused', async () => {
  const registry = new Registry(Registry.OPENMETRICS_CONTENT_TYPE);
  const detector = new heaprs.LeakDetector({ sensitivity: 'low' });
  const registration = prometheus.register(registry, { detector, prefix: 'app_' });
  assert.ok(!detector.running);
  assert.match(await registry.metrics(), /^app_leaks_total 0$/m);
  registration.dispose();
  assert.equal(detector.listenerCount('gc'), 0);
  const code = 'ERR_HEAPRS_INVALID_ARGUMENT';
  assert.throws(() => prometheus.register({}), { code, argument: 'registry' });
  assert.throws(() => prometheus.register(registry, { prefix: '1-' }), { code });
  assert.throws(() => prometheus.register(registry, { pauseBuckets: [2, 1] }), { code });
  const first = prometheus.register(registry, { detector });
  assert.throws(() => prometheus.register(registry), /already been registered/);
  first.dispose();
});

test('OpenTelemetry: the conventions\' names and attributes, and heaprs\'s own', async (t) => {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1e9 });
  const provider = new MeterProvider({ readers: [reader] });
  const instrumentation = otel.instrument({ meter: provider.getMeter('test'), detector: { sensitivity: 'low' } });
  t.after(() => provider.shutdown());
  await collected(instrumentation.detector);
  instrumentation.detector.emit('leak', leak);
  await reader.forceFlush();
  instrumentation.dispose();
  assert.ok(!instrumentation.detector.running);
  const { metrics } = exporter.getMetrics()[0].scopeMetrics[0];
  const by = Object.fromEntries(metrics.map((metric) => [metric.descriptor.name, metric]));
  const duration = by['v8js.gc.duration'];
  assert.equal(duration.descriptor.unit, 's');
  const major = duration.dataPoints.find(({ attributes }) => attributes['v8js.gc.type'] === 'major');
  assert.ok(major.value.count >= 2 && major.value.sum > 0);
  assert.deepEqual(major.value.buckets.boundaries, [0.01, 0.1, 1, 10]);
  for (const name of ['v8js.memory.heap.used', 'v8js.memory.heap.space.size', 'v8js.memory.heap.space.available_size', 'v8js.memory.heap.space.physical_size', 'heaprs.memory.heap.live']) {
    assert.equal(by[name].descriptor.unit, 'By');
    assert.ok(by[name].dataPoints.some(({ attributes, value }) => attributes['v8js.heap.space.name'] === 'old_space' && value >= 0), name);
  }
  const value = (name) => by[name].dataPoints[0].value;
  assert.equal(value('heaprs.leak.score'), 0.97);
  assert.equal(value('heaprs.leak.count'), 1);
  assert.ok(value('heaprs.heap.time_to_limit') <= 3600);
  assert.equal(by['heaprs.leak.info'].dataPoints[0].attributes['heaprs.leak.class'], 'Session');
  assert.ok(by['heaprs.gc.count'].dataPoints.every(({ attributes }) => attributes['heaprs.gc.kind'] && attributes['v8js.gc.type']));
  assert.throws(() => otel.instrument({ meter: {} }), { code: 'ERR_HEAPRS_INVALID_ARGUMENT' });
});

test('neither keeps a process alive, nor needs its peer to be loaded', async (t) => {
  const { code, stderr, json } = await run(`
    const registry = { registerMetric() {}, removeSingleMetric() {} };
    require('heaprs/prometheus').register(registry);
    const nothing = () => ({ record() {} });
    const meter = new Proxy({}, { get: () => nothing });
    require('heaprs/otel').instrument({ meter });
    console.log(JSON.stringify(Object.keys(require.cache).filter((name) => /prom-client|opentelemetry/.test(name))));`, { cwd: project(t) });
  assert.deepEqual([code, stderr], [0, '']);
  assert.deepEqual(json(), []);
});

test('every collection is published on heaprs:gc', async () => {
  const detector = new heaprs.LeakDetector({ sensitivity: 'low' });
  const seen = [];
  const subscriber = (event, name) => seen.push({ event, name });
  channels.subscribe('heaprs:gc', subscriber);
  detector.start();
  await collected(detector);
  channels.unsubscribe('heaprs:gc', subscriber);
  detector.stop();
  const full = seen.filter(({ event }) => event.kind === 'mark-sweep-compact');
  assert.ok(full.length >= 2);
  assert.ok(full.every(({ event, name }) => name === 'heaprs:gc' && event.usedAfter > 0 && event.pauseMs > 0));
});
