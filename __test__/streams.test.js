'use strict';
// Snapshots that do not lie in a file: streams, and files that are still being made.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { Readable } = require('node:stream');
const test = require('node:test');
const zlib = require('node:zlib');
const { heaprs, rejection, scratch } = require('./helpers.js');

const golden = path.join(__dirname, '..', 'tests', 'golden', 'node22.heapsnapshot.gz');
const pieces = (bytes, size) => Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));

async function summaryOf(source, options) {
  const snapshot = await heaprs.openSnapshot(source, options);
  try {
    return { file: snapshot.info.file, rows: await snapshot.summary() };
  } finally {
    snapshot.close();
  }
}

test('a stream is read as the file is: gzipped or plain, in pieces of any size, as text', async () => {
  const gzipped = fs.readFileSync(golden);
  const plain = zlib.gunzipSync(gzipped);
  const { rows } = await summaryOf(golden);
  const opened = fs.createReadStream(golden);
  assert.deepStrictEqual(await summaryOf(opened), { file: golden, rows });
  assert.ok(opened.destroyed);
  for (const source of [
    Readable.from(pieces(plain, 65536)),
    Readable.from([...pieces(gzipped.subarray(0, 5000), 1), Buffer.alloc(0), gzipped.subarray(5000)]),
    Readable.toWeb(Readable.from(pieces(plain, 50_001))),
    (async function* () {
      yield* pieces(plain, 1 << 23);
    })(),
    fs.createReadStream(golden).pipe(zlib.createGunzip()).setEncoding('utf8')
  ]) {
    assert.deepStrictEqual(await summaryOf(source), { file: '-', rows });
  }
});

test('no more than a few megabytes of a stream wait for the reader', async () => {
  // A reader that is not started takes nothing: what is given to it is all that waits.
  const { readStream } = require('../lib/stream.js');
  const piece = Buffer.alloc(1 << 16, ' ');
  let given = 0;
  const source = new Readable({ read() { given += piece.length; this.push(piece); } });
  const abort = new AbortController();
  const read = readStream(source, {}, () => new Promise((resolve, reject) => abort.signal.addEventListener('abort', () => reject(new Error('enough')))));
  await new Promise((resolve) => {
    let before = -1;
    const timer = setInterval(() => {
      if (given !== before) return void (before = given);
      clearInterval(timer);
      resolve();
    }, 200);
  });
  assert.ok(given >= 4 << 20 && given < 5 << 20, `${given} bytes were taken from the stream`);
  abort.abort();
  assert.match((await rejection(read)).message, /enough/);
  assert.ok(source.destroyed);
});

test('what goes wrong with a stream', async () => {
  const plain = zlib.gunzipSync(fs.readFileSync(golden));
  const code = async (source, options) => (await rejection(heaprs.openSnapshot(source, options))).code;
  assert.strictEqual(await code(Readable.from([])), 'ERR_HEAPRS_TRUNCATED');
  assert.strictEqual(await code(Readable.from([plain.subarray(0, 100_000)])), 'ERR_HEAPRS_TRUNCATED');
  assert.strictEqual(await code(Readable.from([{}])), 'ERR_HEAPRS_INVALID_ARGUMENT');
  assert.strictEqual(await code(Readable.from([plain]), { maxMemory: 1000 }), 'ERR_HEAPRS_MEMORY_BUDGET');
  const broken = new Error('the line went dead');
  const error = await rejection(heaprs.openSnapshot((async function* () {
    yield plain.subarray(0, 100_000);
    throw broken;
  })()));
  assert.deepStrictEqual([error.code, error.cause], ['ERR_HEAPRS_IO', broken]);
  assert.match(error.message, /the line went dead/);

  // Garbage without an end: the reader gives up, and the stream with it.
  const endless = new Readable({ read() { this.push('x'.repeat(10_000)); } });
  assert.strictEqual(await code(endless), 'ERR_HEAPRS_NOT_A_SNAPSHOT');
  assert.ok(endless.destroyed);

  // A stream that gives nothing for now can be left.
  const silent = new Readable({ read() {} });
  silent.push(plain.subarray(0, 50_000));
  const abort = new AbortController();
  const left = heaprs.openSnapshot(silent, { signal: abort.signal });
  setTimeout(() => abort.abort(), 50);
  assert.strictEqual(await left.catch((e) => e.code), 'ERR_HEAPRS_ABORTED');
  assert.ok(silent.destroyed);
});

test('analyze and compareSnapshots take streams and opened snapshots, too', async () => {
  const open = () => fs.createReadStream(golden);
  const opened = await heaprs.openSnapshot(golden);
  const { classes } = (await heaprs.analyze(golden)).toJSON();
  assert.deepStrictEqual((await heaprs.analyze(open())).toJSON().classes, classes);
  const report = (await heaprs.analyze(opened, { base: open() })).toJSON();
  assert.deepStrictEqual([report.classes, report.growth.classes], [classes, []]);
  assert.deepStrictEqual((await heaprs.compareSnapshots(open(), opened)).rows, []);
  assert.ok(opened.node(opened.root), 'what was open stays open');
  opened.close();
  for (const wrong of [undefined, 5, {}, null]) assert.strictEqual((await rejection(heaprs.analyze(wrong))).code, 'ERR_HEAPRS_INVALID_ARGUMENT');
});

test('a file that a capture is still making is waited for', async (t) => {
  const file = path.join(scratch(t), 'soon.heapsnapshot.gz');
  const [result, snapshot] = await Promise.all([heaprs.captureHeapSnapshot({ file }), heaprs.openSnapshot(file)]);
  assert.strictEqual(snapshot.info.nodes, result.nodes);
  snapshot.close();
  // Of captures that wait for their turn as well.
  const again = path.join(path.dirname(file), 'later.heapsnapshot');
  const [, , report] = await Promise.all([heaprs.captureHeapSnapshot({ file, overwrite: true }), heaprs.captureHeapSnapshot({ file: again }), heaprs.analyze(again)]);
  assert.ok(report.toJSON().totals.nodes > 1000);
  // A capture that fails leaves no file.
  const [refused, missing] = await Promise.all([
    rejection(heaprs.captureHeapSnapshot({ file: `${file}.none`, minFreeDisk: Number.MAX_SAFE_INTEGER })),
    rejection(heaprs.openSnapshot(`${file}.none`))
  ]);
  assert.deepStrictEqual([refused.code, missing.code], ['ERR_HEAPRS_NO_SPACE', 'ERR_HEAPRS_NOT_FOUND']);
  const abort = new AbortController();
  const capture = heaprs.captureHeapSnapshot({ file: `${file}.2` });
  const left = rejection(heaprs.openSnapshot(`${file}.2`, { signal: abort.signal }));
  abort.abort();
  assert.strictEqual((await left).code, 'ERR_HEAPRS_ABORTED');
  await capture;
});

test('questions keep to maxMemory', async () => {
  const snapshot = await heaprs.openSnapshot(golden);
  for (const ask of [
    () => snapshot.columns({ maxMemory: 1000 }),
    () => snapshot.suspects({ maxMemory: 1000 }),
    () => snapshot.query({ maxMemory: 1000 }),
    () => snapshot.duplicateStrings({ maxMemory: 1000 }),
    () => snapshot.summary({ filter: 'retainedByContexts', maxMemory: 1000 }),
    () => heaprs.compareSnapshots(snapshot, snapshot, { matchBy: 'structure', maxMemory: 1000 })
  ]) {
    const error = await rejection(ask());
    assert.strictEqual(error.code, 'ERR_HEAPRS_MEMORY_BUDGET');
    assert.match(error.message, /\d+ bytes .* 1000 are allowed/);
  }
  const { id } = await snapshot.columns({ maxMemory: 100 * snapshot.info.nodes });
  assert.strictEqual(id.length, snapshot.info.nodes);
  snapshot.close();
});

// One array of a .npy file.
function npy(file) {
  const bytes = fs.readFileSync(file);
  assert.strictEqual(bytes.toString('latin1', 0, 8), '\x93NUMPY\x01\x00');
  const start = 10 + bytes.readUInt16LE(8);
  assert.strictEqual(start % 64, 0);
  const [, kind, rows] = /^\{'descr': '(.+)', 'fortran_order': False, 'shape': \((\d+),\), \} *\n$/.exec(bytes.toString('latin1', 10, start));
  const Kind = { '|u1': Uint8Array, '<u4': Uint32Array, '<i4': Int32Array, '<u8': BigUint64Array }[kind];
  const array = new Kind(bytes.buffer.slice(bytes.byteOffset + start, bytes.byteOffset + bytes.length));
  assert.strictEqual(array.length, Number(rows));
  return array;
}

test('export writes the graph as columns', async (t) => {
  const directory = path.join(scratch(t), 'new', 'columns');
  const snapshot = await heaprs.openSnapshot(golden);
  const done = await snapshot.export(directory);
  assert.deepStrictEqual(fs.readdirSync(directory).sort(), [...done.files].sort());
  assert.strictEqual(done.bytes, done.files.reduce((sum, file) => sum + fs.statSync(path.join(directory, file)).size, 0));
  const schema = JSON.parse(fs.readFileSync(path.join(directory, 'schema.json'), 'utf8'));
  const column = Object.fromEntries(schema.columns.map(({ name, file, rows }) => {
    const array = npy(path.join(directory, file));
    assert.strictEqual(array.length, rows, name);
    return [name, array];
  }));
  const numbers = (array) => Array.from(array, Number);
  const expected = await snapshot.columns();
  for (const [name, other] of [['id', 'id'], ['self_size', 'selfSize'], ['retained_size', 'retainedSize'], ['distance', 'distance'], ['dominator', 'dominator'], ['class', 'classIndex']]) {
    assert.deepStrictEqual(numbers(column[`nodes.${name}`]), numbers(expected[other]), name);
  }
  const texts = (name) => {
    const ends = numbers(column[`${name}.offsets`]);
    return ends.slice(1).map((end, i) => Buffer.from(column[`${name}.data`].subarray(ends[i], end)).toString());
  };
  assert.deepStrictEqual(texts('classes'), expected.classNames);
  // The file's own arrays.
  const raw = JSON.parse(zlib.gunzipSync(fs.readFileSync(golden)));
  assert.deepStrictEqual(texts('strings'), raw.strings);
  const { node_fields: fields, node_types: [types], edge_types: [edgeTypes] } = raw.snapshot.meta;
  const every = (array, width, at) => array.filter((_, i) => i % width === at);
  assert.deepStrictEqual(numbers(column['nodes.name']), every(raw.nodes, fields.length, 1));
  assert.deepStrictEqual(Array.from(column['nodes.type'], (type) => schema.nodeTypes[type]), every(raw.nodes, fields.length, 0).map((type) => types[type]));
  assert.deepStrictEqual(numbers(column['edges.to']), every(raw.edges, 3, 2).map((index) => index / fields.length));
  assert.deepStrictEqual(numbers(column['edges.name_or_index']), every(raw.edges, 3, 1));
  assert.deepStrictEqual(Array.from(column['edges.type'], (type) => schema.edgeTypes[type]), every(raw.edges, 3, 0).map((type) => edgeTypes[type]));
  let edge = 0;
  const counts = every(raw.nodes, fields.length, fields.indexOf('edge_count'));
  assert.deepStrictEqual(numbers(column['nodes.first_edge']), [0, ...counts.map((count) => (edge += count))]);

  assert.strictEqual((await rejection(snapshot.export(directory))).code, 'ERR_HEAPRS_FILE_EXISTS');
  const before = fs.readFileSync(path.join(directory, 'schema.json'));
  assert.deepStrictEqual((await snapshot.export(directory, { overwrite: true })).files, done.files);
  assert.deepStrictEqual(fs.readFileSync(path.join(directory, 'schema.json')), before);
  // Broken off: nothing stays that could be taken for an export.
  const abort = new AbortController();
  const other = path.join(directory, 'other');
  const left = await rejection(snapshot.export(other, { signal: abort.signal, onProgress: () => abort.abort() }));
  assert.strictEqual(left.code, 'ERR_HEAPRS_ABORTED');
  assert.deepStrictEqual(fs.readdirSync(other), []);
  snapshot.close();
});
