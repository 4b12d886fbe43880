'use strict';
// Snapshots of this process: what node:v8 would have written, under the promises of the contract.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const v8 = require('node:v8');
const zlib = require('node:zlib');
const { pathToFileURL } = require('node:url');
const { Worker } = require('node:worker_threads');
const { heaprs, rejection, root, run, scratch } = require('./helpers.js');

class Landmark {}
globalThis.landmarks = Array.from({ length: 100 }, () => new Landmark());

const NAME = /^Heap\.(\d{8})\.(\d{6})\.(\d+)\.(\d+)\.(\d{3})\.heapsnapshot(\.gz)?$/;

function read(file) {
  const bytes = fs.readFileSync(file);
  return JSON.parse(file.endsWith('.gz') ? zlib.gunzipSync(bytes) : bytes);
}

// The ids V8 gave to the landmarks.
function landmarkIds({ snapshot: { meta }, nodes, strings }) {
  const fields = meta.node_fields;
  const [type, name, id] = ['type', 'name', 'id'].map((f) => fields.indexOf(f));
  const object = meta.node_types[type].indexOf('object');
  const ids = [];
  for (let i = 0; i < nodes.length; i += fields.length) {
    if (nodes[i + type] === object && strings[nodes[i + name]] === 'Landmark') ids.push(nodes[i + id]);
  }
  return ids;
}

// One landmark is the prototype, whose id may or may not show under that name: the hundred instances are what matters.
const shared = (a, b) => a.filter((id) => b.includes(id)).length;

test('writeHeapSnapshot writes what v8.writeHeapSnapshot writes', (t) => {
  const directory = scratch(t);
  const file = path.join(directory, 'ours.heapsnapshot');
  heaprs.writeHeapSnapshot(file); // whatever the first snapshot of a process leaves behind, both shall find
  const theirFile = v8.writeHeapSnapshot(path.join(directory, 'v8.heapsnapshot'));
  assert.strictEqual(heaprs.writeHeapSnapshot(file), file);
  const [ours, theirs] = [read(file), read(theirFile)];
  assert.deepStrictEqual(Object.keys(ours), Object.keys(theirs));
  assert.deepStrictEqual(ours.snapshot.meta, theirs.snapshot.meta);
  assert.deepStrictEqual(Object.keys(ours.snapshot), Object.keys(theirs.snapshot));
  assert.strictEqual(ours.nodes.length, ours.snapshot.node_count * ours.snapshot.meta.node_fields.length);
  assert.strictEqual(ours.edges.length, ours.snapshot.edge_count * 3);
  assert.strictEqual(shared(landmarkIds(theirs), landmarkIds(ours)) >= 100, true, 'ids are those V8 has given before');
  // The process goes on between the two, so all else can only be close.
  const drift = Math.abs(ours.snapshot.node_count / theirs.snapshot.node_count - 1);
  assert.ok(drift < 0.05, `node counts differ by ${drift}`);
  assert.strictEqual(fs.statSync(file).mode & 0o777, 0o600);
});

test('writeHeapSnapshot passes both options on', (t) => {
  const directory = scratch(t);
  const held = { heldNumber: 8_675_309 };
  // How many nodes there are tells nothing: others come and go by themselves.
  const look = (options) => {
    const { snapshot, nodes, edges, strings } = read(heaprs.writeHeapSnapshot(path.join(directory, 'x'), options));
    const { node_fields: nodeFields, edge_fields: edgeFields, edge_types: edgeTypes } = snapshot.meta;
    const all = Array.from({ length: snapshot.edge_count }, (_, i) => [edgeTypes[0][edges[i * edgeFields.length]], strings[edges[i * edgeFields.length + 1]]]);
    const ofRoot = all.slice(0, nodes[nodeFields.indexOf('edge_count')]);
    return {
      globalFromRoot: ofRoot.some(([type]) => type === 'shortcut'),
      numbers: all.some(([type, name]) => type === 'property' && name === Object.keys(held)[0])
    };
  };
  // V8's root leads to the global object directly where internal objects are not to be seen.
  assert.deepStrictEqual(look(), { globalFromRoot: true, numbers: false });
  assert.deepStrictEqual(look({ exposeInternals: true }), { globalFromRoot: false, numbers: false });
  assert.deepStrictEqual(look({ exposeNumericValues: true }), { globalFromRoot: true, numbers: true });
  const numbers = read(path.join(directory, 'x'));
  const number = numbers.snapshot.meta.node_types[0].indexOf('number');
  const typed = numbers.nodes.filter((value, i) => i % numbers.snapshot.meta.node_fields.length === 0 && value === number);
  assert.ok(typed.length > 100, `${typed.length} number nodes`);
});

test('writeHeapSnapshot compresses by the name, and takes URLs and Buffers', (t) => {
  const directory = scratch(t);
  const file = path.join(directory, 'a.heapsnapshot.gz');
  assert.strictEqual(heaprs.writeHeapSnapshot(pathToFileURL(file)), file);
  assert.ok(read(file).snapshot.node_count > 1000);
  assert.strictEqual(heaprs.writeHeapSnapshot(Buffer.from(file)), file, 'overwrites, as V8 does');
});

test('default names are V8\'s, in the working directory or --diagnostic-dir', async (t) => {
  const directory = scratch(t);
  const here = await run('console.log(JSON.stringify([heaprs.writeHeapSnapshot(), heaprs.writeHeapSnapshot()]))', { cwd: directory });
  const [first, second] = here.json();
  const [, date, , pid, thread, seq] = NAME.exec(first);
  const now = new Date();
  assert.ok(Math.abs(Number(date) - (now.getFullYear() * 10000 + (now.getMonth() + 1) * 100 + now.getDate())) <= 8870, 'local date');
  assert.ok(Number(pid) > 1);
  assert.deepStrictEqual([thread, seq, NAME.exec(second)[5]], ['0', '001', '002']);
  assert.deepStrictEqual(fs.readdirSync(directory).sort(), [first, second].sort());

  const diagnostics = path.join(directory, 'with space');
  fs.mkdirSync(diagnostics);
  const code = 'heaprs.captureHeapSnapshot().then(({ file }) => console.log(JSON.stringify([heaprs.writeHeapSnapshot(), file])))';
  for (const how of [{ node: ['--diagnostic-dir', diagnostics] }, { node: [`--diagnostic-dir=${diagnostics}`] }, { env: { NODE_OPTIONS: `--no-warnings --diagnostic-dir="${diagnostics}"` } }]) {
    const [written, captured] = (await run(code, { cwd: directory, ...how })).json();
    assert.strictEqual(path.dirname(written), diagnostics);
    assert.strictEqual(path.dirname(captured), diagnostics);
    assert.ok(NAME.test(path.basename(written)) && captured.endsWith('.heapsnapshot.gz'));
  }
});

test('captureHeapSnapshot tells what it did', async (t) => {
  const directory = scratch(t);
  const phases = new Set();
  const result = await heaprs.captureHeapSnapshot({ directory, onProgress: ({ phase, done, total }) => {
    assert.ok(done >= 0 && total >= 0);
    phases.add(phase);
  } });
  const { snapshot } = read(result.file);
  assert.ok(path.isAbsolute(result.file) && NAME.test(path.basename(result.file)) && result.file.endsWith('.gz'));
  assert.deepStrictEqual([result.nodes, result.edges], [snapshot.node_count, snapshot.edge_count]);
  assert.strictEqual(result.fileBytes, fs.statSync(result.file).size);
  assert.strictEqual(result.snapshotBytes, zlib.gunzipSync(fs.readFileSync(result.file)).length);
  assert.ok(result.pauseMs > 0 && result.durationMs >= result.pauseMs);
  assert.ok(['fork', 'inline'].includes(result.mode) && result.attempts >= 1);
  assert.strictEqual(result.fallbackReason === undefined, result.mode === 'fork', 'an inline capture says why');
  assert.ok(phases.has('write'));
  assert.strictEqual((await heaprs.captureHeapSnapshot({ directory, mode: 'inline' })).fallbackReason, undefined);
  assert.deepStrictEqual(fs.readdirSync(directory).length, 2, 'no temporary file is left');
});

test('captureHeapSnapshot replaces nothing unless asked, and never writes through a symbolic link', async (t) => {
  const directory = scratch(t);
  const [file, precious, link] = ['a.heapsnapshot', 'precious', 'link'].map((n) => path.join(directory, n));
  fs.writeFileSync(file, 'old');
  fs.writeFileSync(precious, 'precious');
  fs.symlinkSync(precious, link);
  assert.strictEqual((await rejection(heaprs.captureHeapSnapshot({ file }))).code, 'ERR_HEAPRS_FILE_EXISTS');
  assert.strictEqual((await rejection(heaprs.captureHeapSnapshot({ file: link }))).code, 'ERR_HEAPRS_FILE_EXISTS');
  assert.strictEqual(fs.readFileSync(file, 'utf8'), 'old');
  await heaprs.captureHeapSnapshot({ file, overwrite: true });
  await heaprs.captureHeapSnapshot({ file: link, overwrite: true });
  assert.ok(read(file).snapshot.node_count > 1000);
  assert.ok(fs.lstatSync(link).isFile(), 'the link itself was replaced');
  assert.strictEqual(fs.readFileSync(precious, 'utf8'), 'precious');
});

test('captures queue up, and one that fails does not stop the next', async (t) => {
  const directory = scratch(t);
  const bad = heaprs.captureHeapSnapshot({ file: path.join(directory, 'no/such/directory/x') });
  const good = [1, 2, 3].map((n) => heaprs.captureHeapSnapshot({ file: path.join(directory, `${n}.heapsnapshot`) }));
  const error = await rejection(bad);
  assert.strictEqual(error.code, 'ERR_HEAPRS_NOT_FOUND');
  assert.match(error.message, /no\/such\/directory/);
  const files = (await Promise.all(good)).map((r) => r.file);
  const times = files.map((f) => fs.statSync(f).mtimeMs);
  assert.deepStrictEqual(times, [...times].sort((a, b) => a - b));
});

test('an aborted capture leaves nothing, whenever it is aborted', async (t) => {
  const directory = scratch(t);
  const before = AbortSignal.abort(new Error('not wanted'));
  const error = await rejection(heaprs.captureHeapSnapshot({ directory, signal: before }));
  assert.deepStrictEqual([error.code, error.name, error.cause.message], ['ERR_HEAPRS_ABORTED', 'AbortError', 'not wanted']);
  // While it waits for its turn.
  const waiting = new AbortController();
  const first = heaprs.captureHeapSnapshot({ directory });
  const second = rejection(heaprs.captureHeapSnapshot({ directory, signal: waiting.signal }));
  waiting.abort();
  assert.strictEqual((await second).code, 'ERR_HEAPRS_ABORTED');
  await first;
  // By its own progress callback, while it writes.
  const writing = new AbortController();
  const aborted = await heaprs.captureHeapSnapshot({ directory, signal: writing.signal, onProgress: () => writing.abort() }).then(() => 'done', (e) => e.code);
  const thrown = await heaprs.captureHeapSnapshot({ directory, onProgress: () => { throw new RangeError('mine'); } }).then(() => 'done', (e) => e);
  assert.ok(thrown === 'done' || thrown instanceof RangeError, 'the caller gets its own error');
  const finished = 1 + (aborted === 'done') + (thrown === 'done');
  assert.ok(aborted === 'done' || aborted === 'ERR_HEAPRS_ABORTED');
  assert.strictEqual(fs.readdirSync(directory).length, finished);
});

test('a capture that takes longer than timeoutMs fails and leaves nothing', async (t) => {
  const directory = scratch(t);
  const error = await rejection(heaprs.captureHeapSnapshot({ directory, timeoutMs: 1 }));
  assert.strictEqual(error.code, 'ERR_HEAPRS_TIMEOUT');
  assert.deepStrictEqual(fs.readdirSync(directory), []);
});

test('a directory that cannot be written: error, nothing left, the app goes on', async (t) => {
  const directory = scratch(t);
  const locked = path.join(directory, 'locked');
  fs.mkdirSync(locked, { mode: 0o555 });
  fs.chmodSync(directory, 0o755);
  const result = await run(`
    if (process.getuid() === 0) process.seteuid(65534);   // root may write anywhere
    const tried = [() => heaprs.captureHeapSnapshot({ directory: process.argv[1] }), async () => heaprs.writeHeapSnapshot(process.argv[1] + '/x.heapsnapshot')];
    (async () => {
      const codes = [];
      for (const f of tried) await f().catch((e) => codes.push(e.code, e.message.includes(process.argv[1])));
      console.log(JSON.stringify(codes));
    })();`, { args: [locked] });
  assert.deepStrictEqual(result.json(), ['ERR_HEAPRS_PERMISSION', true, 'ERR_HEAPRS_PERMISSION', true]);
  assert.deepStrictEqual(fs.readdirSync(locked), []);
});

test('a full disk (a file size limit of 512 KB): error, nothing left, the app goes on', async (t) => {
  const directory = scratch(t);
  const code = `
    (async () => {
      const codes = [];
      for (const file of ['a.heapsnapshot', 'a.heapsnapshot.gz']) {
        await heaprs.captureHeapSnapshot({ file }).then(() => codes.push('done'), (e) => codes.push(e.code, e.message.includes(file)));
        try { heaprs.writeHeapSnapshot('sync-' + file); codes.push('done'); } catch (e) { codes.push(e.code, e.message.includes(file)); }
      }
      console.log(JSON.stringify(codes));
      setTimeout(() => console.error('still here'), 10);
    })();`;
  for (const env of [{}, { HEAPRS_V8_SYMBOLS: 'off' }]) {
    const result = await run(code, { cwd: directory, shell: 'ulimit -f 512', env });
    assert.strictEqual(result.signal, null, 'the limit does not end the process');
    assert.deepStrictEqual(result.json(), Array(4).fill(['ERR_HEAPRS_NO_SPACE', true]).flat());
    assert.deepStrictEqual([result.code, result.stderr], [0, 'still here\n']);
    assert.deepStrictEqual(fs.readdirSync(directory), []);
  }
});

test('less free space than minFreeDisk: refused before the heap is walked', async (t) => {
  const directory = scratch(t);
  const error = await rejection(heaprs.captureHeapSnapshot({ directory, minFreeDisk: Number.MAX_SAFE_INTEGER }));
  assert.strictEqual(error.code, 'ERR_HEAPRS_NO_SPACE');
  assert.match(error.message, /minFreeDisk/);
  assert.deepStrictEqual(fs.readdirSync(directory), []);
});

test('targets that are no regular files are refused', async (t) => {
  const directory = scratch(t);
  for (const file of [directory, '/dev/null']) {
    const error = await rejection(heaprs.captureHeapSnapshot({ file, overwrite: true }));
    assert.strictEqual(error.code, 'ERR_HEAPRS_NOT_A_FILE', file);
    assert.throws(() => heaprs.writeHeapSnapshot(file), { code: 'ERR_HEAPRS_NOT_A_FILE' });
  }
});

test('a pending capture keeps the process alive; process.exit during one leaves nothing half-written', async (t) => {
  const directory = scratch(t);
  const alive = await run('heaprs.captureHeapSnapshot({ directory: process.argv[1] }).then(() => console.log("written"))', { args: [directory] });
  assert.deepStrictEqual([alive.code, alive.stdout], [0, 'written\n']);
  const [complete] = fs.readdirSync(directory);
  for (let turns = 1; turns <= 5; turns++) {
    const exited = await run(`
      const keep = []; for (let i = 0; i < 50000; i++) keep.push({ i, s: 'x' + i });
      heaprs.captureHeapSnapshot({ file: process.argv[1] + '/exit.heapsnapshot', compress: true });
      (async () => { for (let i = 0; i < ${turns}; i++) await null; process.exit(7); })();`, { args: [directory] });
    assert.strictEqual(exited.code, 7);
    for (const name of fs.readdirSync(directory)) {
      assert.ok(name === complete || name === 'exit.heapsnapshot', `left behind: ${name}`);
      if (name === 'exit.heapsnapshot') {
        JSON.parse(zlib.gunzipSync(fs.readFileSync(path.join(directory, name))));
        fs.rmSync(path.join(directory, name));
      }
    }
  }
});

test('an inline capture forgets the object ids, a comparable one and writeHeapSnapshot keep them', async (t) => {
  const directory = scratch(t);
  // While V8 keeps ids it only gives higher ones; when they are forgotten, counting starts again, and far below, since
  // 60,000 objects that had ids are gone by then. (In a process of its own: reading snapshots would fill this heap.)
  const result = await run(`
    class Landmark {}
    globalThis.landmarks = Array.from({ length: 100 }, () => new Landmark());
    const spend = () => { globalThis.spent = Array.from({ length: 60_000 }, (_, i) => ({ i })); };
    const capture = (name, options) => heaprs.captureHeapSnapshot({ file: name, mode: 'inline', ...options });
    (async () => {
      spend();
      await capture('1-comparable', { comparableIds: true });
      globalThis.spent = undefined;
      await capture('2-comparable', { comparableIds: true });
      heaprs.writeHeapSnapshot('3-written');
      await capture('4-plain');
      await capture('5-after-plain', { comparableIds: true });
      spend();
      heaprs.writeHeapSnapshot('6-written');
      globalThis.spent = undefined;
      heaprs.releaseObjectIds();
      heaprs.writeHeapSnapshot('7-after-release');
    })();`, { cwd: directory });
  assert.deepStrictEqual([result.code, result.stderr], [0, '']);
  const snapshots = fs.readdirSync(directory).sort().map((name) => read(path.join(directory, name)));
  const landmarks = snapshots.map(landmarkIds);
  for (const i of [1, 2, 3]) assert.ok(shared(landmarks[0], landmarks[i]) >= 100, `capture ${i + 1} has the ids of the first`);
  const max = snapshots.map(({ nodes, snapshot: { meta } }) => {
    let max = 0;
    for (let i = meta.node_fields.indexOf('id'); i < nodes.length; i += meta.node_fields.length) if (nodes[i] % 2 && nodes[i] > max) max = nodes[i];
    return max;
  });
  assert.ok(max[4] < max[3] - 50_000, 'a plain capture forgets them afterwards');
  assert.ok(max[6] < max[5] - 50_000, 'releaseObjectIds forgets them');
});

test('getHeapSnapshot streams the snapshot as it was at the call', async () => {
  globalThis.streamed = class BeforeTheCall {};
  const stream = heaprs.getHeapSnapshot({ exposeNumericValues: true });
  globalThis.streamed = class AfterTheCall {};
  const chunks = [];
  for await (const chunk of stream) {
    assert.ok(Buffer.isBuffer(chunk) && chunk.length <= 128 * 1024);
    chunks.push(chunk);
  }
  const snapshot = JSON.parse(Buffer.concat(chunks));
  assert.ok(snapshot.snapshot.node_count > 1000);
  assert.ok(snapshot.strings.includes('BeforeTheCall'));
  assert.ok(!landmarkIds({ ...snapshot, strings: snapshot.strings.map((s) => (s === 'AfterTheCall' ? 'Landmark' : '')) }).length);
  const early = heaprs.getHeapSnapshot();
  for await (const _ of early) break;
  assert.ok(early.destroyed);
});

test('the name tells the thread, and a worker captures its own heap', async (t) => {
  const directory = scratch(t);
  const worker = new Worker(`
    class OnlyInTheWorker {}; globalThis.w = new OnlyInTheWorker();
    require(${JSON.stringify(root)}).captureHeapSnapshot({ directory: ${JSON.stringify(directory)} }).then((r) => require('node:worker_threads').parentPort.postMessage(r));`, { eval: true });
  const { threadId } = worker; // -1 once it has ended
  const result = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  assert.strictEqual(NAME.exec(path.basename(result.file))[4], String(threadId));
  const strings = read(result.file).strings;
  assert.ok(strings.includes('OnlyInTheWorker') && !strings.includes('BeforeTheCall'));
  await worker.terminate();
});

test('where V8\'s symbols are missing, the same API goes through node:v8', async (t) => {
  const directory = scratch(t);
  const result = await run(`
    (async () => {
      const results = [await heaprs.captureHeapSnapshot({ directory: '.' }), await heaprs.captureHeapSnapshot({ file: 'b.heapsnapshot' })];
      const exists = await heaprs.captureHeapSnapshot({ file: 'b.heapsnapshot' }).catch((e) => e.code);
      const written = heaprs.writeHeapSnapshot('c.heapsnapshot.gz');
      let streamed = 0; for await (const chunk of heaprs.getHeapSnapshot()) streamed += chunk.length;
      let released; try { heaprs.releaseObjectIds(); } catch (e) { released = [e.code, e.message]; }
      console.log(JSON.stringify({ results, exists, written, streamed, released }));
    })();`, { cwd: directory, env: { HEAPRS_V8_SYMBOLS: 'off' } });
  const { results, exists, written, streamed, released } = result.json();
  for (const r of results) {
    const { snapshot } = read(r.file);
    assert.deepStrictEqual([r.nodes, r.edges], [snapshot.node_count, snapshot.edge_count]);
    assert.ok(r.pauseMs > 0 && r.pauseMs <= r.durationMs);
    assert.strictEqual(fs.statSync(r.file).mode & 0o777, 0o600);
  }
  assert.strictEqual(exists, 'ERR_HEAPRS_FILE_EXISTS');
  assert.ok(read(path.join(directory, written)).snapshot.node_count > 1000);
  assert.ok(streamed > 1e6);
  assert.strictEqual(released[0], 'ERR_HEAPRS_UNAVAILABLE');
  assert.match(released[1], /HEAPRS_V8_SYMBOLS/);
  assert.strictEqual(fs.readdirSync(directory).length, 3, 'V8\'s own temporary files are gone');
});

test('wrong options are errors that name the option', async () => {
  const wrong = [
    [null, 'options'], [{ file: 7 }, 'options.file'], [{ file: '' }, 'options.file'], [{ file: 'a\0b' }, 'options.file'], [{ mode: 'fast' }, 'options.mode'],
    [{ compress: 1 }, 'options.compress'], [{ timeoutMs: 0 }, 'options.timeoutMs'], [{ timeoutMs: NaN }, 'options.timeoutMs'], [{ minFreeDisk: -1 }, 'options.minFreeDisk'],
    [{ signal: {} }, 'options.signal'], [{ onProgress: 1 }, 'options.onProgress'], [{ folder: '/' }, 'options.folder'], [{ quota: { maxFiles: 0 } }, 'options.quota.maxFiles'],
    [{ file: 'a', directory: 'b' }, 'options.directory'],
  ];
  for (const [options, name] of wrong) {
    const error = await rejection(heaprs.captureHeapSnapshot(options));
    assert.deepStrictEqual([error.code, error.argument], ['ERR_HEAPRS_INVALID_ARGUMENT', name]);
    assert.ok(error.message.includes(name), error.message);
  }
  assert.throws(() => heaprs.writeHeapSnapshot(7), { code: 'ERR_HEAPRS_INVALID_ARGUMENT' });
  assert.throws(() => heaprs.getHeapSnapshot({ exposeInternals: 'yes' }), { code: 'ERR_HEAPRS_INVALID_ARGUMENT' });
});
