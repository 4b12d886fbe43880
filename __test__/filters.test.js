'use strict';
// The Summary's filters, realms and allocation recordings, on the heaps of small programs that we know.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { heaprs, rejection, run, scratch } = require('./helpers.js');

const sum = (rows, field) => rows.reduce((total, row) => total + row[field], 0);
const count = (rows, name) => sum(rows.filter((row) => row.name === name), 'count');

// One program for the filters: two snapshots, between them 300 objects; a closure that holds 100; three realms besides its own.
let directory;
let earlier;
let later;
test.before(async () => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heaprs-filters-'));
  const files = ['earlier', 'later'].map((name) => path.join(directory, `${name}.heapsnapshot`));
  const result = await run(`
    const vm = require('node:vm');
    class Early {}
    class Late {}
    class OnlyInContext {}
    globalThis.early = Array.from({ length: 200 }, () => new Early());
    globalThis.closure = (() => { const held = Array.from({ length: 100 }, () => new OnlyInContext()); return () => held; })();
    globalThis.realms = [1, 2, 3].map((i) => {
      const context = vm.createContext({});
      vm.runInContext('class InRealm' + i + ' { constructor() { this.own = 1; } } globalThis.mine = Array.from({ length: 50 }, () => new InRealm' + i + '());', context);
      return context;
    });
    globalThis.same = Array.from({ length: 70 }, () => Buffer.from('seventy times the same').toString('latin1'));
    heaprs.writeHeapSnapshot(process.argv[1]);
    globalThis.late = Array.from({ length: 300 }, () => new Late());
    heaprs.writeHeapSnapshot(process.argv[2]);`, { args: files });
  assert.deepStrictEqual([result.code, result.stderr], [0, '']);
  [earlier, later] = await Promise.all(files.map((file) => heaprs.openSnapshot(file)));
});
test.after(() => {
  for (const snapshot of [earlier, later]) snapshot.close();
  fs.rmSync(directory, { recursive: true });
});

test('objects allocated between two snapshots, and before', async () => {
  const between = await later.summary({ filter: { allocatedAfter: earlier } });
  assert.strictEqual(count(between, 'Late'), 300);
  assert.strictEqual(count(between, 'Early') + count(between, 'OnlyInContext'), 0);
  assert.deepStrictEqual(await later.summary({ filter: { allocatedAfter: earlier, allocatedUpTo: later } }), between);
  const before = await later.summary({ filter: { allocatedUpTo: earlier } });
  assert.deepStrictEqual([count(before, 'Early'), count(before, 'Late')], [200, 0]);

  // The same by hand: the greatest odd ids.
  const greatest = async (snapshot) => (await snapshot.columns()).id.filter((id) => id % 2 === 1).reduce((a, b) => Math.max(a, b));
  const [minId, maxId] = [await greatest(earlier), await greatest(later)];
  assert.deepStrictEqual(await later.summary({ filter: { minId, maxId } }), between);
  assert.deepStrictEqual(await later.summary({ filter: { maxId: minId } }), before);
  const { id, selfSize } = await later.columns();
  const above = [...id.keys()].filter((n) => id[n] > minId && selfSize[n] > 0);
  assert.strictEqual(sum(await later.summary({ filter: { minId } }), 'count'), above.length);
  assert.ok(above.length > 300);

  // Together with the other options.
  assert.deepStrictEqual(await later.summary({ filter: { minId, maxId }, search: 'late' }), between.filter((row) => /late/i.test(row.name)));
  assert.deepStrictEqual(await later.summary({ filter: { minId, maxId }, offset: 1, limit: 2 }), between.slice(1, 3));
});

test('what only contexts hold, duplicated strings, and kinds that Node.js does not have', async () => {
  const held = await later.summary({ filter: 'retainedByContexts' });
  assert.deepStrictEqual([count(held, 'OnlyInContext'), count(held, 'Early'), count(held, 'Late')], [100, 0, 0]);
  assert.ok(sum(held, 'count') < sum(await later.summary(), 'count'));

  const strings = await later.summary({ filter: 'duplicatedStrings' });
  const groups = await later.duplicateStrings();
  assert.ok(groups.some((group) => group.value === 'seventy times the same' && group.count >= 70));
  assert.deepStrictEqual(strings.filter((row) => !['(string)', '(concatenated string)'].includes(row.name)), []);
  assert.deepStrictEqual([sum(strings, 'count'), sum(strings, 'selfSize')], [sum(groups, 'count'), sum(groups, 'selfSize')]);

  assert.deepStrictEqual(await later.summary({ filter: 'retainedByEventHandlers' }), []);
  assert.deepStrictEqual(await later.summary({ filter: 'retainedByConsole' }), []);
  assert.strictEqual(count(await later.summary({ filter: 'retainedByDetachedDomNodes' }), 'Early'), 0);
});

test('an object printed to the console of DevTools is held by it', async (t) => {
  const file = path.join(scratch(t), 'console.heapsnapshot');
  const result = await run(`
    const { Session } = require('node:inspector');
    class Printed { constructor() { this.more = new Array(1000).fill(1); } }
    const session = new Session();
    session.connect();
    session.post('Runtime.enable');
    // The console of DevTools keeps what is printed; standard output is not meant here.
    process.stdout.write = () => true;
    console.log(new Printed());
    setImmediate(() => heaprs.writeHeapSnapshot(process.argv[1]));`, { args: [file] });
  assert.deepStrictEqual([result.code, result.stderr], [0, '']);
  const snapshot = await heaprs.openSnapshot(file);
  t.after(() => snapshot.close());
  const rows = await snapshot.summary({ filter: 'retainedByConsole' });
  assert.strictEqual(count(rows, 'Printed'), 1);
  assert.ok(sum(rows, 'selfSize') > 8000 && sum(rows, 'selfSize') < snapshot.info.totalSize / 4);
});

test('realms: sizes, and the objects of each', async () => {
  const { nativeContexts, sharedSize, noAttributionSize } = await later.nativeContexts();
  assert.strictEqual(nativeContexts.length, 4);
  assert.strictEqual(sum(nativeContexts, 'attributedSize') + sharedSize + noAttributionSize, later.node(later.root).retainedSize);
  assert.ok(sharedSize > 0 && noAttributionSize > 0);
  const homes = [];
  for (const { id, name, attributedSize, selfSize, retainedSize } of nativeContexts) {
    const row = later.node(id);
    assert.deepStrictEqual([row.name, row.selfSize, row.retainedSize], [name, selfSize, retainedSize]);
    const rows = await later.summary({ filter: { nativeContext: id } });
    assert.strictEqual(sum(rows, 'selfSize'), attributedSize);
    homes.push([1, 2, 3].filter((i) => count(rows, `InRealm${i}`) === 50).concat(count(rows, 'Early') === 200 ? 'main' : []).join());
  }
  const shared = await later.summary({ filter: 'sharedNativeContext' });
  assert.strictEqual(sum(shared, 'selfSize'), sharedSize);
  // Up to Node.js 20, V8 has one hidden class of hidden classes for all realms: nothing says which of them made an object, and all refer to each other.
  const told = Number(process.versions.node.split('.')[0]) >= 22;
  assert.deepStrictEqual(homes.sort(), told ? ['1', '2', '3', 'main'] : ['', '', '', '']);
  assert.deepStrictEqual(['Early', 'InRealm1', 'InRealm2', 'InRealm3'].map((name) => count(shared, name)), told ? [0, 0, 0, 0] : [200, 50, 50, 50]);
  assert.strictEqual(sum(await later.summary({ filter: 'noNativeContext' }), 'selfSize'), noAttributionSize);
});

test('wrong filters are errors that name the option', async () => {
  const closed = await heaprs.openSnapshot(later.info.file);
  closed.close();
  const wrong = [
    ['everything', /^options\.filter must be one of 'duplicatedStrings'.*not 'everything'/],
    [null, /^options\.filter must be .*not null/],
    [7, /^options\.filter must be .*not 7/],
    [{}, /^options\.filter must be .*not \{\}/],
    [{ minId: 1, nativeContext: 5 }, /^options\.filter must be /],
    [{ minId: -1 }, /^options\.filter\.minId must be an integer/],
    [{ maxId: '5' }, /^options\.filter\.maxId must be an integer/],
    [{ maxId: 2 ** 32 }, /^options\.filter\.maxId must be an integer/],
    [{ minID: 1 }, /^options\.filter\.minID is not an option; there are nativeContext, minId/],
    [{ allocatedAfter: later.info.file }, /^options\.filter\.allocatedAfter must be a Snapshot/],
    [{ allocatedUpTo: {} }, /^options\.filter\.allocatedUpTo must be a Snapshot/],
    [{ nativeContext: later.root }, new RegExp(`^options\\.filter\\.nativeContext must be .*not ${later.root}$`)],
    [{ nativeContext: 4_294_967_295 }, /^options\.filter\.nativeContext must be .*not 4294967295/]
  ];
  for (const [filter, message] of wrong) {
    const error = await rejection(later.summary({ filter }));
    assert.strictEqual(error.code, 'ERR_HEAPRS_INVALID_ARGUMENT', error.message);
    assert.match(error.message, message);
  }
  assert.strictEqual((await rejection(later.summary({ filter: { allocatedAfter: closed } }))).code, 'ERR_HEAPRS_CLOSED');
});

// A recording by the inspector, as DevTools makes it, of a script that keeps some of what it makes.
async function record(t, trackAllocations) {
  const folder = scratch(t);
  const [script, file] = [path.join(folder, 'leaky.js'), path.join(folder, 'known.heaptimeline')];
  fs.writeFileSync(script, `'use strict';
const { Session } = require('node:inspector/promises');
class Leaky { constructor(i) { this.i = i + 0.5; } }
function makeLeak(list, n) {
  for (let i = 0; i < n; i++) list.push(new Leaky(i));
}
function outer(list, n) { makeLeak(list, n); }
function makeLarge() { return new Array(40_000).fill(0.5); }
globalThis.before = new Leaky(0);
globalThis.rounds = [];
(async () => {
  const session = new Session();
  session.connect();
  const fd = require('node:fs').openSync(process.argv[2], 'w');
  session.on('HeapProfiler.addHeapSnapshotChunk', ({ params }) => require('node:fs').writeSync(fd, params.chunk));
  await session.post('HeapProfiler.startTrackingHeapObjects', { trackAllocations: ${trackAllocations} });
  // An interval ends when V8 looks, every 50 ms where it gets to it.
  const interval = async () => {
    await new Promise((resolve) => setTimeout(resolve, 150));
    await new Promise((resolve) => session.once('HeapProfiler.lastSeenObjectId', resolve));
  };
  for (const n of [100, 200, 300]) {
    await interval();
    const list = [];
    rounds.push(list);
    outer(list, n);
  }
  globalThis.large = Array.from({ length: 20 }, makeLarge);
  await interval();
  rounds[1] = null;
  await session.post('HeapProfiler.stopTrackingHeapObjects', { reportProgress: false });
  session.disconnect();
})();
`);
  const result = await run('process.argv.splice(1, 0, "node"); require(process.argv[3]);', { args: [file, script] });
  assert.deepStrictEqual([result.code, result.stderr], [0, '']);
  const snapshot = await heaprs.openSnapshot(file);
  t.after(() => snapshot.close());
  return { snapshot, script, file };
}

async function checkTimeline(snapshot) {
  const buckets = await snapshot.timeline();
  assert.ok(buckets.length >= 3, `${buckets.length} buckets`);
  const { id, selfSize } = await snapshot.columns();
  let after = -1;
  let time = -1;
  for (const { timestamp, lastAssignedId, count, size } of buckets) {
    assert.ok(timestamp >= time && lastAssignedId >= after);
    const nodes = [...id.keys()].filter((n) => id[n] % 2 === 1 && id[n] > after && id[n] <= lastAssignedId && selfSize[n] > 0);
    assert.deepStrictEqual([count, size], [nodes.length, nodes.reduce((total, n) => total + selfSize[n], 0)]);
    [time, after] = [timestamp, lastAssignedId];
  }
  assert.ok(time >= 400 && time < 60_000, `${time} ms`);
  // In which interval the survivors of each round are.
  const { key } = (await snapshot.summary()).find((row) => row.name === 'Leaky');
  const ids = (await snapshot.instances(key)).map((row) => row.id);
  const places = ids.map((id) => buckets.findIndex((bucket) => bucket.lastAssignedId >= id));
  const perBucket = buckets.map((_, place) => places.filter((p) => p === place).length).filter((n) => n > 0);
  assert.deepStrictEqual(perBucket, [1, 100, 300]);
}

// Every call stack of a recording as the file has it: its calls from the outermost on, the last with what it allocated, by id.
function stacksOf(raw) {
  const functions = [];
  const { trace_function_infos: infos, trace_tree: tree, strings } = raw;
  for (let i = 0; i < infos.length; i += 6) functions.push({ function: strings[infos[i + 1]], url: strings[infos[i + 2]], scriptId: infos[i + 3], line: infos[i + 4], column: infos[i + 5] });
  const stacks = new Map();
  const walk = (list, callers) => {
    for (let i = 0; i < list.length; i += 5) {
      const calls = [...callers, functions[list[i + 1]]];
      stacks.set(list[i], { calls, count: list[i + 2], size: list[i + 3], liveCount: 0, liveSize: 0 });
      walk(list[i + 4], calls);
    }
  };
  walk(tree, []);
  return stacks;
}

test('a recording with stacks: intervals, the calls that made an object, and what each made', async (t) => {
  const { snapshot, script, file } = await record(t, true);
  await checkTimeline(snapshot);

  // V8 loses the stack of many objects that it moves, which large ones are not, so the file says what there is.
  const raw = JSON.parse(fs.readFileSync(file));
  const fields = raw.snapshot.meta.node_fields;
  const stacks = stacksOf(raw);
  const { id, selfSize } = await snapshot.columns();
  const known = [];
  for (let n = 0; n < id.length; n++) {
    const trace = raw.nodes[n * fields.length + fields.indexOf('trace_node_id')];
    if (trace === 0) continue;
    known.push({ id: id[n], stack: stacks.get(trace) });
    stacks.get(trace).liveCount += 1;
    stacks.get(trace).liveSize += selfSize[n];
  }
  assert.ok(known.length > 10, `${known.length} objects with a stack`);
  for (const { id, stack } of known.filter((_, i) => i % Math.ceil(known.length / 40) === 0)) {
    assert.deepStrictEqual(await snapshot.allocationStack(id), stack.calls.slice(1).reverse());
  }
  assert.strictEqual(await snapshot.allocationStack(snapshot.root), null);

  const { functions, root } = await snapshot.allocationSites();
  for (let i = 1; i < functions.length; i++) assert.ok(functions[i - 1].size >= functions[i].size);
  const made = functions.find((row) => row.function === 'makeLeak');
  assert.deepStrictEqual([made.url, made.line], [script, 4]);
  assert.ok(made.count >= 600 && made.size > 600 * 12, `${made.count} made, ${made.size} bytes`);
  for (const row of functions) {
    const own = [...stacks.values()].filter(({ calls, count }) => count > 0 && ['function', 'url', 'line', 'column', 'scriptId'].every((key) => calls.at(-1)[key] === row[key]));
    const twins = functions.filter((other) => ['function', 'url', 'line', 'column', 'scriptId'].every((key) => other[key] === row[key]));
    for (const field of ['count', 'size', 'liveCount', 'liveSize']) assert.strictEqual(sum(twins, field), sum(own, field), `${row.function}: ${field}`);
  }

  // The tree, from the outermost call inwards; sums on the way.
  const text = (calls) => JSON.stringify(calls.map((call) => [call.function, call.url, call.line, call.column]));
  const numbers = (rows) => ['count', 'size', 'liveCount', 'liveSize'].map((field) => sum(rows, field));
  const group = (rows) => rows.reduce((groups, row) => groups.set(text(row.calls), [...(groups.get(text(row.calls)) ?? []), row]), new Map());
  const sites = [];
  const visit = (site, callers) => {
    const calls = [...callers, site];
    sites.push({ ...site, calls });
    assert.strictEqual(site.totalLiveSize, site.liveSize + sum(site.children, 'totalLiveSize'));
    assert.strictEqual(site.totalLiveCount, site.liveCount + sum(site.children, 'totalLiveCount'));
    assert.strictEqual(site.totalSize, site.size + sum(site.children, 'totalSize'));
    site.children.forEach((child, i) => assert.ok(i === 0 || site.children[i - 1].totalLiveSize >= child.totalLiveSize));
    for (const child of site.children) visit(child, calls);
  };
  visit(root, []);
  assert.strictEqual(root.function, '(root)');
  const expected = [...group([...stacks.values()])].map(([calls, rows]) => [calls, numbers(rows)]);
  assert.deepStrictEqual(new Map([...group(sites)].map(([calls, rows]) => [calls, numbers(rows)])), new Map(expected));
  assert.ok(sites.some(({ calls }) => calls.slice(-2).map((call) => call.function).join() === 'outer,makeLeak'));

  const few = await snapshot.allocationSites({ limit: 3 });
  assert.deepStrictEqual(few.functions, functions.slice(0, 3));
  const size = (site) => 1 + site.children.reduce((total, child) => total + size(child), 0);
  assert.strictEqual(size(few.root), 3);
  assert.strictEqual(few.root.totalLiveSize, root.totalLiveSize);
  assert.deepStrictEqual(await snapshot.allocationSites({ limit: 0 }), { functions: [], root: null });
});

test('a recording without stacks, and no recording', async (t) => {
  const { snapshot } = await record(t, false);
  await checkTimeline(snapshot);
  assert.strictEqual(await snapshot.allocationStack(snapshot.root), null);
  assert.deepStrictEqual(await snapshot.allocationSites(), { functions: [], root: null });
  assert.deepStrictEqual(await later.timeline(), []);
  assert.deepStrictEqual(await later.allocationSites(), { functions: [], root: null });
  assert.strictEqual(await later.allocationStack(later.root), null);
});

test('all of it can be aborted, and ends with the snapshot', async () => {
  const closed = await heaprs.openSnapshot(later.info.file);
  const calls = [
    (snapshot, options) => snapshot.summary({ filter: 'retainedByContexts', ...options }),
    (snapshot, options) => snapshot.nativeContexts(options),
    (snapshot, options) => snapshot.timeline(options),
    (snapshot, options) => snapshot.allocationStack(snapshot.root, options),
    (snapshot, options) => snapshot.allocationSites(options)
  ];
  for (const call of calls) assert.strictEqual((await rejection(call(closed, { signal: AbortSignal.abort() }))).code, 'ERR_HEAPRS_ABORTED');
  closed.close();
  for (const call of calls) assert.strictEqual((await rejection(call(closed))).code, 'ERR_HEAPRS_CLOSED');
  assert.strictEqual((await rejection(later.allocationStack(4_294_967_295))).code, 'ERR_HEAPRS_NO_SUCH_NODE');
  for (const limit of [-1, 1.5, '3']) assert.strictEqual((await rejection(later.allocationSites({ limit }))).code, 'ERR_HEAPRS_INVALID_ARGUMENT');
});
