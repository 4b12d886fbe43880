'use strict';
// A quota removes the oldest of heaprs's own files, and nothing else.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { heaprs, rejection, run, scratch } = require('./helpers.js');
const { enforceQuota } = require('../lib/quota.js');

const HEAD = '{"snapshot":{"heaprs":{"wrote":true},"node_count":1},"nodes":[]}';

// A file of `age` minutes.
function put(directory, name, age, text = HEAD) {
  const file = path.join(directory, name);
  fs.writeFileSync(file, text);
  const then = new Date(Date.now() - age * 60_000);
  fs.utimesSync(file, then, then);
  return file;
}

const name = (seq, end = '') => `Heap.20261121.101500.4711.0.${String(seq).padStart(3, '0')}.heapsnapshot${end}`;

test('captures stay within the quota, of whatever kind they are', async (t) => {
  const directory = scratch(t);
  const results = [];
  const kinds = [{ mode: 'inline', compress: false }, { mode: 'inline' }, {}, { comparableIds: true }, { redact: true }, { redact: 'names', compress: false }];
  for (const kind of kinds) results.push(await heaprs.captureHeapSnapshot({ directory, minFreeDisk: 0, ...kind, quota: { maxFiles: 2 } }));
  const files = results.map(({ file }) => file);
  assert.deepStrictEqual(results.map(({ removed }) => removed), [[], [], ...files.slice(0, 4).map((file) => [file])]);
  assert.deepStrictEqual(fs.readdirSync(directory).sort(), files.slice(-2).map((file) => path.basename(file)).sort());
  const last = await heaprs.captureHeapSnapshot({ directory, minFreeDisk: 0, quota: { maxBytes: 1 } });
  assert.deepStrictEqual(fs.readdirSync(directory), [path.basename(last.file)], 'the new file stays');
  heaprs.releaseObjectIds();
});

test('nothing else goes', async (t) => {
  const directory = scratch(t);
  const elsewhere = scratch(t);
  const kept = {
    'notes.txt': 'x',
    'mine.heapsnapshot': HEAD,
    [name(1)]: '{"snapshot":{"meta":{},"node_count":1},"nodes":[],"strings":["\\"heaprs\\":{"]}', // V8's own, of the same name
    [name(2, '.gz')]: Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3]), // no gzip stream
    [name(3)]: '',
    [`${name(4)}.bak`]: HEAD,
  };
  for (const [file, text] of Object.entries(kept)) put(directory, file, 100, text);
  const target = put(elsewhere, name(5), 100);
  fs.symlinkSync(target, path.join(directory, name(5)));
  fs.linkSync(put(elsewhere, name(6), 100), path.join(directory, name(6)));
  fs.mkdirSync(path.join(directory, name(7)));
  const before = fs.readdirSync(directory).sort();
  const own = [3, 2, 1].map((age) => put(directory, name(20 - age), age));
  const file = put(directory, name(30), 0);
  assert.deepStrictEqual(await enforceQuota(file, { maxFiles: 3 }), own.slice(0, 1));
  assert.deepStrictEqual(await enforceQuota(file, { maxFiles: 1 }), own.slice(1));
  assert.deepStrictEqual(fs.readdirSync(directory).sort(), [...before, name(30)].sort());
  assert.ok(fs.existsSync(target));
});

test('bytes are counted, oldest first', async (t) => {
  const directory = scratch(t);
  const old = put(directory, name(9), 9, HEAD + ' '.repeat(1000));
  const young = put(directory, name(1), 1, HEAD + ' '.repeat(500));
  const file = put(directory, name(5), 0);
  assert.deepStrictEqual(await enforceQuota(file, { maxBytes: 10_000 }), []);
  assert.deepStrictEqual(await enforceQuota(file, { maxBytes: 1200 }), [old]);
  assert.deepStrictEqual(await enforceQuota(file, { maxBytes: 100 }), [young]);
});

test('a failed capture removes nothing, a drop-in is never removed', async (t) => {
  const directory = scratch(t);
  const own = [1, 2, 3].map((seq) => put(directory, name(seq), seq));
  const error = await rejection(heaprs.captureHeapSnapshot({ directory, quota: { maxFiles: 1 }, minFreeDisk: Number.MAX_SAFE_INTEGER }));
  assert.strictEqual(error.code, 'ERR_HEAPRS_NO_SPACE');
  assert.strictEqual(fs.readdirSync(directory).length, own.length);
  const { stdout } = await run(`
    const dropIn = heaprs.writeHeapSnapshot();
    heaprs.captureHeapSnapshot({ minFreeDisk: 0, quota: { maxFiles: 1 } }).then(({ file, removed }) => console.log(JSON.stringify([dropIn, file, removed.length])));
  `, { cwd: directory });
  const [dropIn, file, removed] = JSON.parse(stdout);
  assert.strictEqual(removed, own.length);
  assert.deepStrictEqual(fs.readdirSync(directory).sort(), [dropIn, path.basename(file)].sort());
});
