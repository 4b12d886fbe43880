'use strict';
// The views of an opened snapshot, on the heap of a small program that we know, and against DevTools' own numbers.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const zlib = require('node:zlib');
const { heaprs, rejection, run } = require('./helpers.js');

// One program for all tests: a Map that holds sessions, equal strings, 1 MB of buffers.
let directory;
let file;
let snapshot;
test.before(async () => {
  directory = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'heaprs-views-'));
  file = path.join(directory, 'known.heapsnapshot.gz');
  const result = await run(`
    class Session { constructor(i) { this.payload = { number: i, label: 'label ' + i }; } }
    class Cache { constructor() { this.entries = new Map(); } }
    globalThis.cache = new Cache();
    for (let i = 0; i < 500; i++) cache.entries.set('key' + i, new Session(i));
    globalThis.same = Array.from({ length: 200 }, () => Buffer.from('twenty characters ok').toString('latin1'));
    globalThis.buffer = new ArrayBuffer(1 << 20);
    heaprs.writeHeapSnapshot(process.argv[1]);`, { args: [file] });
  assert.deepStrictEqual([result.code, result.stderr], [0, '']);
  snapshot = await heaprs.openSnapshot(file);
});
test.after(() => {
  snapshot.close();
  fs.rmSync(directory, { recursive: true });
});

const find = async (name) => (await snapshot.summary()).find((row) => row.name === name);
const only = async (name) => (await snapshot.instances((await find(name)).key))[0];

test('info, root, statistics', async () => {
  const raw = JSON.parse(zlib.gunzipSync(fs.readFileSync(file)));
  assert.deepStrictEqual([snapshot.info.nodes, snapshot.info.edges, snapshot.info.strings, snapshot.info.file], [raw.snapshot.node_count, raw.snapshot.edge_count, raw.strings.length, file]);
  const root = snapshot.node(snapshot.root);
  assert.strictEqual(root.retainedSize + snapshot.info.extraNativeBytes, snapshot.info.totalSize);
  const { total, v8heap, native } = snapshot.statistics();
  assert.strictEqual(total, snapshot.info.totalSize);
  assert.strictEqual(v8heap.total + native.total, total);
  assert.ok(native.typedArrays >= 1 << 20, `${native.typedArrays} bytes of typed arrays`);
  assert.ok(v8heap.code > 0 && v8heap.strings > 0 && v8heap.jsArrays > 0 && v8heap.system > 0);
});

test('summary: rows, order, search, pages', async () => {
  const rows = await snapshot.summary();
  for (let i = 1; i < rows.length; i++) assert.ok(rows[i - 1].retainedSize >= rows[i].retainedSize);
  const session = await find('Session');
  assert.strictEqual(session.count, 500);
  assert.match(session.key, /^(\d+,\d+,\d+)?,Session$/);
  assert.ok(session.retainedSize >= session.selfSize + 500 * 16);
  assert.deepStrictEqual(await snapshot.summary({ offset: 3, limit: 4 }), rows.slice(3, 7));
  assert.deepStrictEqual(await snapshot.summary({ search: 'SESSION' }), rows.filter((row) => /session/i.test(row.name)));
  assert.deepStrictEqual(await snapshot.summary({ offset: rows.length + 5 }), []);
  assert.strictEqual(rows.reduce((sum, row) => sum + row.selfSize, 0), snapshot.node(snapshot.root).retainedSize, 'own sizes add up to the whole');
});

test('one thread or several', async () => {
  const columns = await snapshot.columns();
  for (const threads of [1, 2, 5]) {
    const other = await heaprs.openSnapshot(file, { threads });
    assert.deepStrictEqual(await other.columns(), columns);
    assert.deepStrictEqual(await other.summary(), await snapshot.summary());
    assert.deepStrictEqual(other.statistics(), snapshot.statistics());
    other.close();
  }
});

test('instances, references, retainers, dominated, and nodes by id agree with each other', async () => {
  const sessions = await snapshot.instances((await find('Session')).key);
  assert.strictEqual(sessions.length, 500);
  const [first] = sessions;
  assert.deepStrictEqual(snapshot.node(first.id), first);
  assert.deepStrictEqual([first.className, first.type, first.detached], ['Session', 'object', false]);
  const references = await snapshot.references(first.id);
  assert.strictEqual(references.length, first.edgeCount);
  const payload = references.find((edge) => edge.name === 'payload');
  assert.deepStrictEqual([payload.type, payload.node.dominator], ['property', first.id]);
  const back = await snapshot.retainers(payload.node.id);
  assert.deepStrictEqual(back.map((edge) => [edge.name, edge.node.id]), [['payload', first.id]]);
  const dominated = await snapshot.dominated(first.id);
  assert.ok(dominated.some((row) => row.id === payload.node.id));
  assert.strictEqual(first.selfSize + dominated.reduce((sum, row) => sum + row.retainedSize, 0), first.retainedSize);
  const retainers = await snapshot.retainers(first.id);
  for (let i = 1; i < retainers.length; i++) assert.ok(retainers[i - 1].node.distance <= retainers[i].node.distance);
});

test('retaining paths lead from a root to the node, the shortest first', async () => {
  const cache = await only('Cache');
  const [session] = await snapshot.instances((await find('Session')).key);
  const paths = await snapshot.retainingPaths(session.id, { limit: 5 });
  assert.ok(paths.length >= 1 && paths.length <= 5);
  for (const steps of paths) {
    assert.strictEqual(steps.at(-1).node.id, session.id);
    let from = snapshot.root;
    for (const step of steps) {
      const edges = await snapshot.references(from);
      assert.ok(edges.some((edge) => edge.type === step.type && edge.name === step.name && edge.node.id === step.node.id), `${from} -${step.name}-> ${step.node.id}`);
      from = step.node.id;
    }
  }
  for (let i = 1; i < paths.length; i++) assert.ok(paths[i - 1].length <= paths[i].length);
  assert.ok(paths[0].some((step) => step.node.id === cache.id), 'through the cache');
});

test('names may hold half a surrogate pair', async () => {
  const text = zlib.gunzipSync(fs.readFileSync(file)).toString();
  const odd = path.join(directory, 'odd');
  fs.writeFileSync(odd, text.replace('"entries"', '"half \\ud83d pair \\ud83d\\ude00"').replace('"Cache"', '"<\\udc00>"'));
  const opened = await heaprs.openSnapshot(odd);
  const row = (await opened.summary()).find(({ name }) => name === '<\udc00>');
  const [cache] = await opened.instances(row.key);
  assert.strictEqual(cache.name, '<\udc00>');
  const edges = await opened.references(cache.id);
  assert.ok(edges.some((edge) => edge.name === 'half \ud83d pair \u{1f600}'), edges.map((edge) => escape(edge.name)).join());
  opened.close();
});

test('columns hold every node', async () => {
  const columns = await snapshot.columns();
  const { nodes } = snapshot.info;
  for (const [name, type] of Object.entries({ id: Float64Array, selfSize: Float64Array, retainedSize: Float64Array, distance: Int32Array, dominator: Uint32Array, classIndex: Uint32Array })) {
    assert.ok(columns[name] instanceof type && columns[name].length === nodes, name);
  }
  for (let i = 0; i < nodes; i += 997) {
    const row = snapshot.node(columns.id[i]);
    assert.deepStrictEqual(
      [row.selfSize, row.retainedSize, row.distance, row.dominator, row.className],
      [columns.selfSize[i], columns.retainedSize[i], columns.distance[i], columns.id[columns.dominator[i]], columns.classNames[columns.classIndex[i]]]);
  }
});

test('duplicate strings', async () => {
  const same = (await snapshot.duplicateStrings()).find((row) => row.value === 'twenty characters ok');
  assert.ok(same.count >= 200 && same.selfSize >= 200 * 20, JSON.stringify(same));
  assert.strictEqual((await snapshot.duplicateStrings({ limit: 3 })).length, 3);
});

test('the comparison by id finds what came and went', async () => {
  const [before, after] = ['before', 'after'].map((name) => path.join(directory, name));
  await run(`
    class Came {} class Went {} class Stayed {}
    globalThis.went = Array.from({ length: 30 }, () => new Went());
    globalThis.stayed = Array.from({ length: 40 }, () => new Stayed());
    heaprs.writeHeapSnapshot(process.argv[1]);
    went = null; globalThis.came = Array.from({ length: 50 }, () => new Came());
    heaprs.writeHeapSnapshot(process.argv[2]);`, { args: [before, after] });
  const { matchedBy, rows } = await heaprs.compareSnapshots(before, after);
  assert.strictEqual(matchedBy, 'id');
  const of = (name) => { const { addedCount, removedCount, countDelta } = rows.find((row) => row.name === name) ?? {}; return [addedCount, removedCount, countDelta]; };
  assert.deepStrictEqual([of('Came'), of('Went'), of('Stayed')], [[50, 0, 50], [0, 30, -30], [undefined, undefined, undefined]]);
  for (const row of rows) {
    assert.strictEqual(row.countDelta, row.addedCount - row.removedCount);
    assert.strictEqual(row.sizeDelta, row.addedSize - row.removedSize);
  }
  const [base, current] = await Promise.all([heaprs.openSnapshot(before), heaprs.openSnapshot(after)]);
  assert.deepStrictEqual((await heaprs.compareSnapshots(base, current)).rows, rows);
  base.close();
  assert.strictEqual((await rejection(heaprs.compareSnapshots(base, current))).code, 'ERR_HEAPRS_CLOSED');
  current.close();
});

test('ids and keys that do not exist', async () => {
  assert.strictEqual(snapshot.node(4_294_967_295), null);
  for (const view of ['references', 'retainers', 'dominated', 'retainingPaths']) {
    const error = await rejection(snapshot[view](4_294_967_295));
    assert.strictEqual(error.code, 'ERR_HEAPRS_NO_SUCH_NODE');
    assert.match(error.message, /@4294967295/);
    assert.strictEqual((await rejection(snapshot[view](-1))).code, 'ERR_HEAPRS_INVALID_ARGUMENT');
  }
  assert.strictEqual((await rejection(snapshot.instances('no such class'))).code, 'ERR_HEAPRS_INVALID_ARGUMENT');
});

test('progress, cancellation, close', async () => {
  const phases = [];
  const opened = await heaprs.openSnapshot(file, { onProgress: ({ phase, done, total }) => {
    assert.ok(done <= total || total === 0);
    if (phases.at(-1) !== phase) phases.push(phase);
  } });
  assert.ok(phases.length >= 2, phases.join());
  assert.deepStrictEqual(phases, [...new Set(phases)], 'no phase comes twice');
  const controller = new AbortController();
  const columns = rejection(opened.columns({ signal: AbortSignal.abort() }));
  assert.strictEqual((await columns).code, 'ERR_HEAPRS_ABORTED');
  const aborted = rejection(heaprs.openSnapshot(file, { signal: controller.signal }));
  controller.abort();
  assert.deepStrictEqual(await aborted.then((e) => [e.code, e.name]), ['ERR_HEAPRS_ABORTED', 'AbortError']);
  const running = opened.summary();
  opened.close();
  opened.close();
  assert.ok((await running).length > 10, 'what was asked before is answered');
  assert.throws(() => opened.statistics(), { code: 'ERR_HEAPRS_CLOSED' });
  assert.throws(() => opened.node(1), { code: 'ERR_HEAPRS_CLOSED' });
  for (const call of [() => opened.summary(), () => opened.columns(), () => opened.retainers(1), () => opened.duplicateStrings()]) {
    assert.strictEqual((await rejection(call())).code, 'ERR_HEAPRS_CLOSED');
  }
  if (Symbol.dispose) assert.strictEqual(typeof opened[Symbol.dispose], 'function');
});

test('V8 knows what open snapshots take, and what is built for a question, until they are closed', async () => {
  const result = await run(`
    globalThis.big = Array.from({ length: 200_000 }, (_, i) => ({ i, s: 's' + i }));
    const file = path.join(process.argv[1], 'big');
    heaprs.writeHeapSnapshot(file);
    delete globalThis.big;
    gc();
    // V8 collects when so many bytes (64 MB) have been told to it: nothing else here is a reason to, without the collections of a process at rest.
    let collections = 0;
    new PerformanceObserver((list) => { collections += list.getEntries().filter(({ detail }) => detail.kind === 4).length; }).observe({ entryTypes: ['gc'] });
    const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const during = async (least, work) => {
      const before = collections;
      for (let i = 0; i < 10; i++) await work(i);
      // On a busy machine V8 takes its time to mark.
      for (let waits = 0; collections - before < least && waits < 1000; waits++) await wait(20);
      await wait(300);
      return collections - before;
    };
    (async () => {
      const open = () => heaprs.openSnapshot(file);
      const closed = await during(0, async () => (await open()).close());
      const kept = [];
      const opened = await during(closed + 2, async () => kept.push(await open()));
      const asked = await during(1, (i) => kept[i].retainers(1));
      console.log(JSON.stringify({ closed, opened, asked }));
    })();`, { args: [directory], node: ['--expose-gc', '--no-memory-reducer'] });
  const { closed, opened, asked } = result.json();
  // About 20 MB each, and 14 for the retainers.
  assert.ok(closed <= 1 && opened >= closed + 2 && asked >= 1, JSON.stringify({ closed, opened, asked }));
});

test('close() gives the memory back', { skip: process.platform !== 'linux' }, async () => {
  const result = await run(`
    const big = []; for (let i = 0; i < 400_000; i++) big.push({ i, s: 's' + i });
    heaprs.writeHeapSnapshot(process.argv[1]);
    big.length = 0;
    const anon = () => Number(/RssAnon:\\s+(\\d+)/.exec(require('node:fs').readFileSync('/proc/self/status', 'utf8'))[1]) / 1024;
    (async () => {
      (await heaprs.openSnapshot(process.argv[1])).close();
      // V8 gives back what has become free over some time.
      let before = anon();
      for (let still = 0; still < 5; ) {
        gc();
        await new Promise((r) => setTimeout(r, 50));
        still = Math.abs(anon() - before) < 0.5 ? still + 1 : 0;
        before = anon();
      }
      const rounds = [];
      for (let i = 0; i < 5; i++) {
        const snapshot = await heaprs.openSnapshot(process.argv[1]);
        const open = anon() - before;
        snapshot.close();
        // A large heap is unmapped behind close(), and this machine may be busy.
        for (let waits = 0; waits < 1000 && anon() - before > open / 4; waits++) await new Promise((r) => setTimeout(r, 10));
        rounds.push({ open, closed: anon() - before });
      }
      console.log(JSON.stringify(rounds));
    })();`, { args: [path.join(directory, 'big')], node: ['--expose-gc'] });
  // The big columns are mappings of their own, gone when they are dropped. What is left is V8's own heap, which moves meanwhile (so one round
  // is to show it, not each), and small change in the allocator.
  const rounds = result.json();
  const best = Math.min(...rounds.map(({ open, closed }) => closed / open));
  assert.ok(rounds.every(({ open }) => open > 15), JSON.stringify(rounds));
  assert.ok(best < 1 / 3, `at best ${best} of the memory is left after close(): ${JSON.stringify(rounds)}`);
  assert.ok(rounds.at(-1).closed - rounds[0].closed < rounds[0].open / 2, `it adds up: ${JSON.stringify(rounds)}`);
});
