'use strict';
// Real little programs that leak, each in a process of its own: the first suspect has to name who holds what they leak.

const test = require('node:test');
const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { heaprs, rejection, run, scratch } = require('./helpers.js');

const leaks = path.join(__dirname, 'leaks');

// Runs a program of the folder `leaks` and opens its heap. HEAPRS_TEST_LEAK_NODE runs it on another version of Node.js.
async function leaked(t, program) {
  const file = path.join(scratch(t), 'leak.heapsnapshot');
  const url = pathToFileURL(path.join(leaks, program)).href;
  const code = `import(${JSON.stringify(url)}).then(() => { require('node:v8').writeHeapSnapshot(${JSON.stringify(file)}); process.exit(); })`;
  const node = process.env.HEAPRS_TEST_LEAK_NODE || process.execPath;
  const { status, stderr } = spawnSync(node, ['-e', code], { encoding: 'utf8' });
  assert.strictEqual(status, 0, stderr);
  const snapshot = await heaprs.openSnapshot(file);
  t.after(() => snapshot.close());
  return snapshot;
}

const programs = {
  'map.js': ['collection', 'Session', 20000, 'Map `sessions` of module scope in map.js'],
  'map.mjs': ['collection', 'Session', 20000, 'Map `sessions` of module scope in map.mjs'],
  'array.js': ['collection', 'Entry', 20000, 'Array `log.entries` of module scope in array.js'],
  'global.js': ['collection', 'User', 20000, 'Array `global.users`'],
  'listeners.js': ['listeners', 'Function', 10000, "listeners of 'update' on EventEmitter `exports.bus` in listeners.js"],
  'timers.js': ['timers', 'Timeout', 10000, 'the timers of one duration (setTimeout, setInterval)'],
  'promises.js': ['promises', 'Promise', 10000, 'Promise `exports.ready` in promises.js'],
  'keys.js': ['collection', 'Request', 20000, 'Map `timings` of module scope in keys.js'],
  'closures.js': ['closure-chain', '{longText, someMethod}', 500, '{longText, someMethod} `theThing` of module scope in closures.js'],
  'dictionary.js': ['collection', '{key, result, parts}', 20000, 'object `cache` of module scope in dictionary.js'],
  'buffers.js': ['collection', 'Buffer', 1000, 'Set `pending` of module scope in buffers.js'],
  'static.js': ['collection', 'Image', 20000, 'Map `Image.cache` in static.js'],
};

for (const [program, [kind, className, count, holder]] of Object.entries(programs)) {
  test(`${program}: the first suspect is ${holder}`, async (t) => {
    const snapshot = await leaked(t, program);
    const [first, ...others] = await snapshot.suspects();
    assert.deepStrictEqual([first.kind, first.className, first.count, first.holder], [kind, className, count, holder]);
    assert.strictEqual(others.length, 0, JSON.stringify(others.map((other) => other.explanation)));
    const node = snapshot.node(first.holderId);
    assert.deepStrictEqual([first.retainedSize, first.path.at(-1).id], [node.retainedSize, node.id]);
    assert.ok(Math.abs(first.share - first.retainedSize / snapshot.info.totalSize) < 1e-9);
    assert.strictEqual(first.growth, null);
    if (kind !== 'timers' && program !== 'global.js') assert.ok(first.script.endsWith(`/leaks/${program}`), first.script);
    // Each step of the path is an edge of the snapshot.
    let from = snapshot.root;
    for (const { type, edge, id } of first.path) {
      const references = await snapshot.references(from);
      assert.ok(references.some((row) => row.type === type && row.name === edge && row.node.id === id), `${from} -${edge}-> ${id}`);
      from = id;
    }
    if (program === 'closures.js') assert.match(first.explanation, /`someMethod` keeps the context .* variable `originalThing`/);
    if (program === 'listeners.js') assert.match(first.explanation, /`onUpdate` keeps variable `request` \(Request\)/);
    if (program === 'timers.js') assert.match(first.explanation, /keeps variable `job` \(Job\)/);
    if (program === 'buffers.js') {
      assert.ok(first.offHeapSize >= 1000 * 16384 && first.offHeapSize < first.retainedSize, String(first.offHeapSize));
      assert.match(first.explanation, /most of it outside the JavaScript heap/);
      const sums = await snapshot.offHeap();
      assert.ok(sums.arrayBuffers.size >= 1000 * 16384 && sums.arrayBuffers.count >= 1000);
      assert.strictEqual(sums.offHeap, sums.arrayBuffers.size + sums.externalStrings.size + sums.other.size + sums.unattributed);
      assert.strictEqual(sums.onHeap + sums.offHeap, snapshot.info.totalSize);
    } else {
      assert.ok(first.offHeapSize < first.retainedSize / 10);
    }
  });
}

test('objects that two collections hold are a suspect of their own', async (t) => {
  const snapshot = await leaked(t, 'twice.js');
  const suspects = await snapshot.suspects();
  const accounts = suspects.find((suspect) => suspect.className === 'Account');
  assert.strictEqual(accounts.count, 20000);
  assert.match(accounts.holder, /^Map `by(Id|Owner)` of module scope in twice.js$/);
});

test('a heap in which nothing leaks has no suspects', async (t) => {
  const snapshot = await leaked(t, 'idle.js');
  assert.deepStrictEqual(await snapshot.suspects(), []);
});

test('with a base: what grew, and not what was big before', async (t) => {
  const directory = scratch(t);
  const [before, after] = ['before', 'after'].map((name) => path.join(directory, `${name}.heapsnapshot`));
  const result = await run(`
    class Big { constructor(i) { this.text = 'big ' + i; } }
    class Leak { constructor(i) { this.text = 'leak ' + i; } }
    globalThis.big = Array.from({ length: 50000 }, (_, i) => new Big(i));
    globalThis.leaks = new Set();
    const grow = (n) => { for (let i = 0; i < n; i++) leaks.add(new Leak(i)); };
    grow(100);
    heaprs.writeHeapSnapshot(process.argv[1]);
    grow(5000);
    heaprs.writeHeapSnapshot(process.argv[2]);`, { args: [before, after] });
  assert.strictEqual(result.stderr, '');
  const [base, current] = await Promise.all([before, after].map((file) => heaprs.openSnapshot(file)));
  t.after(() => [base, current].forEach((snapshot) => snapshot.close()));
  assert.strictEqual((await current.suspects())[0].holder, 'Array `global.big`');
  const [first] = await current.suspects({ base });
  assert.deepStrictEqual([first.holder, first.className, first.count], ['Set `global.leaks`', 'Leak', 5100]);
  assert.strictEqual(first.growth.countDelta, 5000);
  const was = base.node(first.holderId).retainedSize;
  assert.strictEqual(first.growth.retainedDelta, first.retainedSize - was);
  assert.ok(first.growth.newSize > 5000 * 24 && first.growth.newSize <= first.retainedSize);
  assert.deepStrictEqual(await base.suspects({ base }), [], 'nothing grew since itself');
  const text = (await heaprs.analyze(after, { base: before })).toText();
  assert.match(text, /1\. Set `global\.leaks` holds 5,100 Leak/);
});

test('what waits for a promise is counted since the base, and called by its name', async (t) => {
  const files = ['base', 'current'].map((name) => path.join(scratch(t), `${name}.heapsnapshot`));
  const result = await run(`
    globalThis.shutdown = new Promise(() => {});
    const race = () => { for (let i = 0; i < 20_000; i++) void Promise.race([shutdown, Promise.resolve(i)]); };
    (async () => {
      for (const file of ${JSON.stringify(files)}) {
        race();
        await new Promise(setImmediate);
        await heaprs.captureHeapSnapshot({ file, mode: 'inline', comparableIds: true });
      }
    })();`);
  assert.deepStrictEqual([result.code, result.stderr], [0, '']);
  const [base, current] = await Promise.all(files.map((file) => heaprs.openSnapshot(file)));
  t.after(() => [base, current].forEach((snapshot) => snapshot.close()));
  const [first] = await current.suspects({ base });
  assert.deepStrictEqual([first.kind, first.className, first.holder], ['promises', 'PromiseReaction', 'Promise `global.shutdown`']);
  // V8's things are all of one class: one or the other of another kind may hang there, too.
  assert.ok(Math.abs(first.count - 40_000) < 100 && Math.abs(first.growth.countDelta - 20_000) < 100, JSON.stringify(first));
  assert.match(first.explanation, /4\d,\d+ PromiseReaction waiting .* \+\d+,\d+ PromiseReaction/);
});

test('the report begins with the suspects', async (t) => {
  const snapshot = await leaked(t, 'map.js');
  const report = await heaprs.analyze(snapshot.info.file);
  const [first] = await snapshot.suspects();
  assert.deepStrictEqual(report.toJSON().suspects, [first]);
  const lines = report.toText().split('\n');
  assert.match(lines.find((line) => line.startsWith('  1. ')), /Map `sessions` of module scope in map\.js holds/);
  assert.ok(lines.indexOf('Suspect') < lines.findIndex((line) => line.startsWith('Classes that retain most')));
  assert.ok(lines.length < 40, 'one screen');
  assert.ok(lines.some((line) => line.endsWith(`@${first.holderId}`)));
  assert.match(report.toMarkdown(), /### Suspects\n\n1\. Map/);
});

test('query: each condition, and all of them together', async (t) => {
  const snapshot = await leaked(t, 'map.js');
  const columns = await snapshot.columns();
  const all = [...columns.id.keys()].map((i) => ({ id: columns.id[i], selfSize: columns.selfSize[i], retainedSize: columns.retainedSize[i], distance: columns.distance[i], className: columns.classNames[columns.classIndex[i]] }));
  const expect = async (query, wanted) => {
    const ids = (await snapshot.query(query)).map((row) => row.id);
    const rows = all.filter(wanted).sort((a, b) => b.retainedSize - a.retainedSize || a.id - b.id);
    assert.deepStrictEqual(ids, rows.map((row) => row.id), JSON.stringify(query));
    return ids.length;
  };
  assert.ok((await expect({ className: 'Session' }, (row) => row.className === 'Session')) >= 20000);
  assert.ok(await expect({ minSelfSize: 5000, maxSelfSize: 50000 }, (row) => row.selfSize >= 5000 && row.selfSize <= 50000));
  assert.ok(await expect({ minRetainedSize: 100000, maxDistance: 12 }, (row) => row.retainedSize >= 100000 && row.distance <= 12));
  assert.ok(await expect({ minDistance: 2, maxDistance: 8, maxRetainedSize: 1000, className: '(string)' }, (row) => row.distance >= 2 && row.distance <= 8 && row.retainedSize <= 1000 && row.className === '(string)'));
  const [{ holderId }] = await snapshot.suspects();
  const held = await snapshot.query({ retainedBy: holderId, className: 'Session' });
  assert.strictEqual(held.length, 20000);
  assert.deepStrictEqual((await snapshot.query({ edgeName: 'sessions' })).map((row) => row.name), ['Map']);
  assert.deepStrictEqual((await snapshot.query({ name: 'user1234', type: 'string' })).map((row) => row.name).sort(), ['user1234', ...Array.from({ length: 10 }, (_, i) => `user1234${i}`)].sort());
  assert.deepStrictEqual((await snapshot.query({ name: /^USER\d{2}$/i, retainedBy: holderId })).length, 90);
  assert.deepStrictEqual(await snapshot.query({ className: 'Session', offset: 10, limit: 5 }), (await snapshot.query({ className: 'Session' })).slice(10, 15));
  assert.deepStrictEqual(await snapshot.query({ className: 'Session', detached: true }), []);
});

test('what cannot be asked is an error that says so', async (t) => {
  const snapshot = await leaked(t, 'idle.js');
  const code = async (promise) => (await rejection(promise)).code;
  assert.strictEqual(await code(snapshot.query({ name: /(?=a)/ })), 'ERR_HEAPRS_INVALID_ARGUMENT');
  assert.strictEqual(await code(snapshot.query({ name: 5 })), 'ERR_HEAPRS_INVALID_ARGUMENT');
  assert.strictEqual(await code(snapshot.query({ unknown: 5 })), 'ERR_HEAPRS_INVALID_ARGUMENT');
  assert.strictEqual(await code(snapshot.query({ retainedBy: 2 ** 32 - 1 })), 'ERR_HEAPRS_NO_SUCH_NODE');
  assert.strictEqual(await code(snapshot.suspects({ base: 'file' })), 'ERR_HEAPRS_INVALID_ARGUMENT');
  for (const ask of ['suspects', 'query', 'offHeap']) {
    assert.strictEqual(await code(snapshot[ask]({ signal: AbortSignal.abort() })), 'ERR_HEAPRS_ABORTED');
  }
  snapshot.close();
  for (const ask of ['suspects', 'query', 'offHeap']) assert.strictEqual(await code(snapshot[ask]({})), 'ERR_HEAPRS_CLOSED');
});

test('every program of the folder is run', () => {
  const here = fs.readFileSync(__filename, 'utf8');
  for (const program of fs.readdirSync(leaks)) assert.ok(here.includes(`'${program}'`), program);
});
