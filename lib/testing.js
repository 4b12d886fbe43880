'use strict';
// expectNoLeak: runs a piece of code over and over and fails when objects stay behind in proportion to the rounds.
//
// Four snapshots: after the warm-up, and after each of three intervals of as many rounds. What grows by at least one object a round in
// the last two intervals is left behind by the rounds; caches that fill, code that is compiled and the runner's own bookkeeping grow in
// one of them at most. A finding is checked by one more interval before it fails a test. Objects are told apart by id, and the ids are
// given back.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { captureHeapSnapshot, releaseObjectIds } = require('./capture.js');
const { fail } = require('./errors.js');
const { compareSnapshots, openSnapshot } = require('./snapshot.js');
const { taskOptions } = require('./task.js');
const check = require('./validate.js');

const options = {
  rounds: check.integer(2, 1_000_000),
  warmup: check.integer(0, 1_000_000),
  minSize: check.number(1),
  allow: (name, value) => {
    if (!Array.isArray(value)) throw check.invalid(name, 'an array of class names', value);
    return value.map((entry, i) => check.string(`${name}[${i}]`, entry));
  },
  signal: taskOptions.signal,
};

// What V8 keeps about code; it grows with how hot the code is and goes when it cools down.
const OF_V8 = new Set(['(compiled code)', '(object shape)', '(system)']);
// What the elements of a finding cannot be told by: they are pieces of what is.
const PIECES = new Set(['(array)', '(number)', '(string)', '(concatenated string)', '(sliced string)']);
// Of a way from a root to an object, the end says most.
const MAX_STEPS = 8;

// One at a time: two of them would count each other's objects.
let last = Promise.resolve();

function expectNoLeak(run, given) {
  const before = last;
  const result = (async () => {
    if (typeof run !== 'function') throw check.invalid('fn', 'a function', run);
    const checked = check.options(given, options);
    await before.catch(() => {});
    await new Measurement(run, checked).check();
  })();
  last = result.catch(() => {});
  return result;
}

class Measurement {
  constructor(run, { rounds = 10, warmup = 3, minSize = 1024, allow = [], signal }) {
    Object.assign(this, { run, rounds, warmup, minSize, signal, allowed: new Set(allow), snapshots: [] });
  }

  async check() {
    this.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heaprs-testing-'));
    this.collector = new Collector();
    try {
      await this.repeat(this.warmup);
      // The first snapshot and comparison load and compile what they need; the second interval no longer does.
      await this.take();
      await this.interval();
      this.growing = undefined;
      await this.interval();
      let growing = await this.interval();
      // Once more before it is said: chance does not strike in three of three.
      if (growing.size > 0) growing = await this.interval();
      if (growing.size > 0) throw await this.leak(growing);
    } finally {
      this.collector.end();
      for (const snapshot of this.snapshots) snapshot.close();
      fs.rmSync(this.directory, { recursive: true, force: true });
      releaseObjectIds();
    }
  }

  async repeat(times) {
    for (let i = 0; i < times; i++) {
      this.signal?.throwIfAborted();
      await this.run();
    }
  }

  // Lets finalizers, closing handles and streams finish what the rounds have begun; then takes a snapshot of what lives.
  async take() {
    for (let i = 0; i < 3; i++) {
      this.collector.collect();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const file = path.join(this.directory, `${this.snapshots.length}.heapsnapshot`);
    await captureHeapSnapshot({ file, mode: 'inline', comparableIds: true, minFreeDisk: 0, signal: this.signal });
    this.snapshots.push(await openSnapshot(file, { signal: this.signal }));
    fs.rmSync(file);
  }

  // Runs the rounds. The classes that grew with them, and did so in the intervals before: by key, in what they grew.
  async interval() {
    const suspected = this.growing;
    await this.repeat(this.rounds);
    await this.take();
    const { rows } = await compareSnapshots(this.snapshots.at(-2), this.snapshots.at(-1), { matchBy: 'id', signal: this.signal });
    const growing = new Map();
    for (const row of rows) {
      if (OF_V8.has(row.name) || this.allowed.has(row.name)) continue;
      const before = suspected ? suspected.get(row.key) : { count: true, size: true };
      // A string or a table that gets longer is one object all the time.
      const count = before?.count && row.countDelta >= this.rounds && row.name !== '(array)' && row.name !== '(number)';
      const size = before?.size && row.sizeDelta >= this.rounds * this.minSize;
      if (count || size) growing.set(row.key, { count, size });
    }
    return (this.growing = growing);
  }

  // What to tell: who holds what grew, where that can be said; else the classes with a way to one of their new objects.
  async leak(growing) {
    const [, base] = this.snapshots;
    const current = this.snapshots.at(-1);
    const rounds = this.rounds * (this.snapshots.length - 2);
    const { rows } = await compareSnapshots(base, current, { matchBy: 'id' });
    const perRound = (row) => ({ className: row.name, countPerRound: row.countDelta / rounds, bytesPerRound: row.sizeDelta / rounds });
    const classes = rows.filter((row) => growing.has(row.key)).sort((a, b) => b.sizeDelta - a.sizeDelta).map(perRound);
    const suspects = (await current.suspects({ base, limit: 1000, minSize: rounds })).filter(({ growth }) => growth.countDelta >= this.rounds);
    const grew = (className) => classes.some((row) => row.className === className);
    const known = suspects.filter(({ className }) => grew(className));
    // Contexts come along with functions; what the functions belong to says more, where it is among the suspects.
    const telling = known.filter(({ className }) => className !== 'system / Context');
    const matching = telling.length > 0 ? telling : known;
    const leaks = matching.map(({ className, growth, holder, path, explanation }) => ({
      className,
      countPerRound: growth.countDelta / rounds,
      bytesPerRound: growth.newSize / rounds,
      holder,
      path,
      explanation,
    }));
    const ways = leaks.length > 0 ? [] : await this.ways(base, current, rows.filter((row) => growing.has(row.key)));
    return new LeakError({ rounds, leaks, classes, ways });
  }

  // Where nobody holds them together: the shortest way to a new object of each class.
  async ways(base, current, rows) {
    const ways = [];
    for (const { key } of rows.slice(0, 5)) {
      const fresh = (await current.instances(key)).find(({ id }) => base.node(id) === null);
      const [path] = fresh ? await current.retainingPaths(fresh.id, { limit: 1 }) : [];
      if (path) ways.push(`${path.length > MAX_STEPS ? '… → ' : ''}${path.slice(-MAX_STEPS).map(({ name, node }) => `${name} (${node.className})`).join(' → ')}`);
    }
    return ways;
  }
}

class LeakError extends Error {
  constructor({ rounds, leaks, classes, ways }) {
    const kinds = classes.some(({ className }) => !PIECES.has(className)) ? classes.filter(({ className }) => !PIECES.has(className)) : classes;
    const lines = kinds.slice(0, 10).map(({ className, countPerRound, bytesPerRound }) => `  ${rate(countPerRound)} ${className}, ${rate(bytesPerRound)} bytes`);
    const causes = [...leaks.map(({ explanation }) => explanation), ...ways].map((line) => `  ${line}`);
    super(`the code leaves objects behind. Each of ${rounds} rounds left\n${lines.join('\n')}${causes.length > 0 ? `\nHeld by\n${causes.join('\n')}` : ''}`);
    this.name = 'LeakError';
    Object.assign(this, fail('ERR_HEAPRS_LEAK'), { rounds, leaks, classes });
  }
}

const rate = (n) => (Number.isInteger(n) ? String(n) : n.toFixed(1));

// Full collections without flags, on this thread. One session for all of them: V8 forgets the object ids when a session ends.
class Collector {
  constructor() {
    try {
      const { Session } = require('node:inspector');
      this.session = new Session();
      this.session.connect();
    } catch {
      this.session = undefined; // a Node.js without inspector: the snapshots collect, though what finalizers free shows one later
    }
  }

  collect() {
    this.session?.post('HeapProfiler.collectGarbage');
  }

  end() {
    this.session?.disconnect();
  }
}

module.exports = { expectNoLeak, LeakError };
