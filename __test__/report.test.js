'use strict';
// analyze(): one report of a file, or of two, in every form.

const test = require('node:test');
const assert = require('node:assert');
const path = require('node:path');
const { heaprs, rejection, run, scratch } = require('./helpers.js');

async function leaking(directory) {
  const files = ['before', 'after'].map((name) => path.join(directory, `${name}.heapsnapshot.gz`));
  const result = await run(`
    class Session { constructor(i) { this.user = { name: 'user ' + i }; } }
    globalThis.sessions = new Map();
    const grow = (n) => { for (let i = 0; i < n; i++) sessions.set(sessions.size, new Session(i)); };
    grow(1000);
    heaprs.writeHeapSnapshot(process.argv[1]);
    grow(30000);
    heaprs.writeHeapSnapshot(process.argv[2]);`, { args: files });
  assert.strictEqual(result.stderr, '');
  return files;
}

test('the report names what retains most and who holds it, as text, Markdown and JSON', async (t) => {
  const [, after] = await leaking(scratch(t));
  const phases = new Set();
  const report = await heaprs.analyze(after, { limit: 20, onProgress: ({ phase }) => phases.add(phase) });
  assert.ok(phases.size > 2);
  const json = JSON.parse(JSON.stringify(report));
  assert.strictEqual(json.schemaVersion, 1);
  assert.strictEqual(json.file, after);
  assert.strictEqual(json.classes.length, 20);
  const opened = await heaprs.openSnapshot(after);
  assert.deepStrictEqual(json.classes, await opened.summary({ limit: 20 }), 'the same rows as the Summary');
  assert.deepStrictEqual(json.statistics, opened.statistics());
  assert.deepStrictEqual([json.totals.totalSize, json.totals.nodes, json.totals.edges], [opened.info.totalSize, opened.info.nodes, opened.info.edges]);
  opened.close();
  for (const text of [report.toText(), report.toMarkdown()]) {
    assert.match(text, /Session/);
    assert.match(text, /sessions/, 'the path to what is biggest');
    assert.ok(!text.includes('\x1b'), 'no colour unless asked');
  }
  assert.ok(report.toText({ color: true }).includes('\x1b['));
  for (const line of report.toText({ width: 80 }).split('\n')) assert.ok(line.length <= 80 || line.includes(after), line);
  assert.throws(() => report.toHTML(), { code: 'ERR_HEAPRS_UNAVAILABLE' });
});

test('with a base, the report tells what grew', async (t) => {
  const [before, after] = await leaking(scratch(t));
  const report = await heaprs.analyze(after, { base: before });
  const { growth } = report.toJSON();
  const session = growth.classes.find((row) => row.name === 'Session');
  assert.deepStrictEqual([session.addedCount, session.removedCount], [30000, 0]);
  const { rows } = await heaprs.compareSnapshots(before, after);
  assert.deepStrictEqual(session, rows.find((row) => row.key === session.key), 'a row of the Comparison');
  assert.match(report.toText(), /Session/);
});

test('what cannot be analysed is an error that names the file', async (t) => {
  const missing = path.join(scratch(t), 'missing');
  const error = await rejection(heaprs.analyze(missing));
  assert.deepStrictEqual([error.code, error.file], ['ERR_HEAPRS_NOT_FOUND', missing]);
  assert.strictEqual((await rejection(heaprs.analyze(__filename))).code, 'ERR_HEAPRS_NOT_A_SNAPSHOT');
  assert.strictEqual((await rejection(heaprs.analyze(__filename, { limit: -1 }))).code, 'ERR_HEAPRS_INVALID_ARGUMENT');
  assert.strictEqual((await rejection(heaprs.analyze(__filename, { signal: AbortSignal.abort() }))).code, 'ERR_HEAPRS_ABORTED');
});
