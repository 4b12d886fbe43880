'use strict';
// Two moments of one process: by id, and by structure where ids were given out anew.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');
const { heaprs, rejection, run, scratch } = require('./helpers.js');

// A program that drops 300 of 1,000 objects from a Map and keeps 500 new ones, between two captures.
const program = (options) => `
  class Kept { constructor(i) { this.name = 'kept ' + i; this.more = { text: 'more ' + i }; } }
  class Leaked { constructor(i) { this.name = 'leaked ' + i; } }
  (async () => {
    const [before, after] = process.argv.slice(1);
    const map = globalThis.map = new Map();
    for (let i = 0; i < 1000; i++) map.set('key ' + i, new Kept(i));
    await heaprs.captureHeapSnapshot({ file: before, mode: 'inline', ...${JSON.stringify(options)} });
    for (let i = 0; i < 300; i++) map.delete('key ' + i * 3);
    for (let i = 0; i < 500; i++) map.set('leak ' + i, new Leaked(i));
    for (let i = 0; i < 20; i++) map.set('late ' + i, new Kept(5000 + i));
    await heaprs.captureHeapSnapshot({ file: after, mode: 'inline', ...${JSON.stringify(options)} });
  })();
`;

async function capture(t, options) {
  const directory = scratch(t);
  const files = ['before', 'after'].map((name) => path.join(directory, `${name}.heapsnapshot`));
  const { code, stderr } = await run(program(options), { args: files });
  assert.strictEqual(code, 0, stderr);
  return files;
}

const row = (rows, name) => rows.find((row) => row.name === name);

test('ids that compare are compared, unless structure is asked for', async (t) => {
  const [before, after] = await capture(t, { comparableIds: true });
  const auto = await heaprs.compareSnapshots(before, after);
  assert.strictEqual(auto.matchedBy, 'id');
  assert.deepStrictEqual(await heaprs.compareSnapshots(before, after, { matchBy: 'id' }), auto);
  const phases = new Set();
  const onProgress = ({ phase }) => phases.add(phase);
  const structure = await heaprs.compareSnapshots(before, after, { matchBy: 'structure', onProgress });
  assert.strictEqual(structure.matchedBy, 'structure');
  assert.ok(phases.has('lockstep'), [...phases].join());
  for (const { rows } of [auto, structure]) {
    const { addedCount, removedCount } = row(rows, 'Kept');
    assert.deepStrictEqual([addedCount, removedCount, row(rows, 'Leaked').addedCount], [20, 300, 500]);
  }
  const net = ({ rows }) => Object.fromEntries(rows.filter((row) => row.countDelta !== 0).map((row) => [row.key, row.countDelta]));
  assert.deepStrictEqual(net(structure), net(auto));
});

test('a file that says its ids come from a fork is compared by structure', async (t) => {
  const [before, after] = await capture(t, { comparableIds: true });
  const text = fs.readFileSync(after, 'utf8');
  const mark = '"heaprs":{"wrote":true}';
  assert.ok(text.startsWith(`{"snapshot":{${mark}`));
  fs.writeFileSync(after, text.replace(mark, '"heaprs":{"ids":"fork"}'));
  const { matchedBy, rows } = await heaprs.compareSnapshots(before, after);
  assert.strictEqual(matchedBy, 'structure');
  assert.strictEqual(row(rows, 'Leaked').addedCount, 500);
  assert.strictEqual((await heaprs.analyze(after, { base: before })).toJSON().growth.matchedBy, 'structure');
});

test('captures that number their objects anew are compared right when structure is asked for', async (t) => {
  const [before, after] = await capture(t, { comparableIds: false });
  const { rows } = await heaprs.compareSnapshots(before, after, { matchBy: 'structure' });
  const { addedCount, removedCount } = row(rows, 'Kept');
  assert.deepStrictEqual([addedCount, removedCount, row(rows, 'Leaked').addedCount], [20, 300, 500]);
});

test('matchBy is one of three, and the walk can be aborted', async (t) => {
  const [before, after] = await capture(t, { comparableIds: true });
  const wrong = await rejection(heaprs.compareSnapshots(before, after, { matchBy: 'name' }));
  assert.strictEqual(wrong.code, 'ERR_HEAPRS_INVALID_ARGUMENT');
  assert.match(wrong.message, /matchBy must be one of 'auto', 'id', 'structure'/);
  const controller = new AbortController();
  const onProgress = ({ phase }) => phase === 'symbols' && controller.abort();
  const [base, current] = await Promise.all([heaprs.openSnapshot(before), heaprs.openSnapshot(after)]);
  const aborted = await rejection(heaprs.compareSnapshots(base, current, { matchBy: 'structure', signal: controller.signal, onProgress }));
  assert.strictEqual(aborted.code, 'ERR_HEAPRS_ABORTED');
  base.close();
  current.close();
});
