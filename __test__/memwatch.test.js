'use strict';
// Programs written for memwatch run with the name changed.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { heaprs, project, run } = require('./helpers.js');

test('HeapDiff tells what came and went, and the numbers add up', async (t) => {
  const { code, stderr, json } = await run(`
    var memwatch = require('heaprs/memwatch');
    function LeakingClass() { this.self = this; }
    function GoingClass() {}
    var going = [];
    for (var i = 0; i < 500; i++) going.push(new GoingClass());
    var leaks = [], strings = [];
    var hd = new memwatch.HeapDiff();
    going = null;
    for (var i = 0; i < 9998; i++) leaks.push(new LeakingClass());
    for (var i = 0; i < 1000; i++) strings.push(['leak', Math.random()].join());
    var closures = strings.map(function (text) { return function () { return text; }; });
    var diff = hd.end();
    var again;
    try { hd.end(); } catch (e) { again = e.message; }
    try { memwatch.HeapDiff(); } catch (e) { var withoutNew = e.name; }
    console.log(JSON.stringify({ diff, again, withoutNew, times: [diff.before.time, diff.after.time].every((t) => t instanceof Date), left: [leaks.length, closures.length] }));
  `, { cwd: project(t) });
  assert.deepEqual([code, stderr], [0, '']);
  const { diff: { before, after, change }, again, withoutNew, times } = json();
  assert.match(again, /ended already/);
  assert.equal(withoutNew, 'TypeError');
  assert.ok(times);
  assert.equal(after.nodes - before.nodes, change.allocated_nodes - change.freed_nodes);
  assert.equal(after.size_bytes - before.size_bytes, change.size_bytes);
  assert.equal(before.size, `${Math.round((before.size_bytes / 1048576) * 100) / 100} mb`);
  const by = Object.fromEntries(change.details.map((row) => [row.what, row]));
  assert.deepEqual([by.LeakingClass['+'], by.LeakingClass['-']], [9998, 0]);
  assert.ok(by.LeakingClass.size_bytes >= 9998 * 16 && / kb$/.test(by.LeakingClass.size));
  assert.deepEqual([by.GoingClass['+'], by.GoingClass['-']], [0, 500]);
  assert.ok(by.GoingClass.size_bytes < 0);
  assert.ok(by.String['+'] >= 1000 && by.Closure['+'] >= 1000 && by.Array, JSON.stringify(by));
  assert.equal(by.HeapDiff, undefined);
  assert.deepEqual(change.details.map((row) => row.what), change.details.map((row) => row.what).sort());
});

test('gc() collects and makes stats, in memwatch\'s spelling; a HeapDiff makes none; listening keeps nothing alive', async (t) => {
  const { code, stderr, json } = await run(`
    const memwatch = require('heaprs/memwatch');
    const seen = [];
    memwatch.on('leak', () => {});
    let dropped = new WeakRef({});
    setTimeout(() => {
      memwatch.on('stats', (stats) => {
        seen.push(stats);
        if (seen.length === 1) {
          for (let i = 0; i < 5; i++) new memwatch.HeapDiff().end();
          setTimeout(() => console.log(JSON.stringify({ seen, collected: dropped.deref() === undefined })), 500);
        }
      });
      memwatch.gc();
      // The event comes later by itself; something else has to keep the process until then.
      setTimeout(() => {}, 2000);
    }, 10);
  `, { cwd: project(t) });
  assert.deepEqual([code, stderr], [0, '']);
  const { seen, collected } = json();
  assert.ok(collected);
  // Each of the ten snapshots collected at least once. A collection of V8's own may come in between.
  assert.ok(seen.length >= 1 && seen.length < 6, JSON.stringify(seen));
  const [stats] = seen;
  assert.deepEqual(Object.keys(stats), ['num_full_gc', 'num_inc_gc', 'heap_compactions', 'usage_trend', 'estimated_base', 'current_base', 'min', 'max']);
  for (const value of Object.values(stats)) assert.equal(typeof value, 'number');
  assert.ok(stats.num_full_gc >= 1 && stats.heap_compactions === stats.num_full_gc && stats.current_base > 1e6 && stats.min <= stats.current_base && stats.max >= stats.current_base);
});

test('configure() says what is wrong with its options', async (t) => {
  const { stdout } = await run(`
    const memwatch = require('heaprs/memwatch');
    try { memwatch.configure({ sensitivity: 'extreme' }) } catch (e) { console.log(e.code) }
    memwatch.configure({ sensitivity: 'medium' });`, { cwd: project(t) });
  assert.equal(stdout, 'ERR_HEAPRS_INVALID_ARGUMENT\n');
});

test('the guides\' program: on leak, write a snapshot; the closure chain is found and named', async (t) => {
  const cwd = project(t);
  const { code, stderr, json } = await run(`
    var memwatch = require('heaprs/memwatch');
    var heapdump = require('heaprs/heapdump');
    memwatch.on('leak', function (info) {
      var file = 'myapp-' + process.pid + '-' + Date.now() + '.heapsnapshot';
      heapdump.writeSnapshot(file, function (err, filename) {
        if (err) console.error(err);
        else console.log(JSON.stringify({ info: info, dates: info.start instanceof Date && info.end instanceof Date, keys: Object.keys(info), report: info.report.growth, filename: filename }));
        process.exit();
      });
    });
    var theThing = null;
    var replaceThing = function () {
      var originLeak = theThing;
      var unused = function () {
        if (originLeak) console.log('hi');
      };
      theThing = {
        longStr: new Array(1000000).join('*'),
        someMethod: function () {
          console.log('someMessage');
        },
      };
      // Since the guides were written, V8 has come to join such strings as ropes of a few hundred bytes; reading one makes it the megabyte it was then.
      theThing.longStr.charCodeAt(0);
    };
    setInterval(replaceThing, 100); // 10 MB a second`, { cwd, timeout: 300_000 });
  assert.deepEqual([code, stderr], [0, '']);
  const { info, dates, keys, report, filename } = json();
  assert.ok(dates);
  assert.deepEqual(keys, ['start', 'end', 'growth', 'reason']);
  assert.ok(info.growth > 1e6 && report === info.growth);
  assert.match(info.reason, /^heap growth over \d+ consecutive GCs \((\d+m )?\d+s\) - [\d.]+ mb\/hr$/);
  assert.deepEqual(fs.readdirSync(cwd).filter((name) => name.startsWith('myapp-')), [filename]);
  const snapshot = await heaprs.openSnapshot(path.join(cwd, filename));
  const [first] = await snapshot.suspects();
  snapshot.close();
  assert.equal(first.kind, 'closure-chain');
  assert.match(`${first.holder} ${first.explanation}`, /originLeak/);
});
