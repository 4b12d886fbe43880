'use strict';
// The command line's views, as a shell sees them, on a snapshot that is checked in: what they print is what the library answers.

const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const zlib = require('node:zlib');
const { heaprs, root, scratch } = require('./helpers.js');

const golden = path.join(root, 'tests', 'golden', 'node22.heapsnapshot.gz');
const before = path.join(root, 'tests', 'golden', 'structure', 'lists26-before.heapsnapshot.gz');
const after = path.join(root, 'tests', 'golden', 'structure', 'lists26-after.heapsnapshot.gz');

function cli(args, input) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [path.join(root, 'bin', 'heaprs.js'), ...args], { input, maxBuffer: 1 << 28 });
  return { status, stdout: stdout.toString(), stderr: stderr.toString() };
}

function json(args, input) {
  const { status, stdout, stderr } = cli([...args, '--json'], input);
  assert.deepStrictEqual([status, stderr], [0, ''], args.join(' '));
  const { schemaVersion, ...rest } = JSON.parse(stdout);
  assert.strictEqual(schemaVersion, 1);
  return rest;
}

const plainly = (value) => JSON.parse(JSON.stringify(value));

let snapshot;
test.before(async () => (snapshot = await heaprs.openSnapshot(golden)));
test.after(() => snapshot.close());

test('standard input, plain and gzipped, for every place a file can be at', async () => {
  const gzipped = fs.readFileSync(golden);
  const { rows } = json(['summary', golden]);
  assert.deepStrictEqual(rows, plainly(await snapshot.summary()));
  assert.deepStrictEqual(json(['summary', '-'], gzipped).rows, rows);
  assert.deepStrictEqual(json(['summary', '-'], zlib.gunzipSync(gzipped)).rows, rows);
  assert.deepStrictEqual(json(['diff', '-', golden], gzipped).rows, []);
  assert.deepStrictEqual(json(['analyze', golden, '--base', '-'], gzipped).growth.classes, []);
  assert.match(cli(['analyze', '-'], gzipped).stdout, /56,632 objects/);
  const twice = cli(['diff', '-', '-'], gzipped);
  assert.deepStrictEqual([twice.status, twice.stdout], [2, '']);
  const cut = cli(['analyze', '-'], gzipped.subarray(0, 100_000));
  assert.strictEqual(cut.status, 2);
  assert.match(cut.stderr, /ERR_HEAPRS_TRUNCATED/);
});

test('query: conditions are those of Snapshot.query()', async () => {
  const options = ['--class', 'Function', '--min-retained', '10kB', '--max-distance', '8', '--limit', '5'];
  const expected = await snapshot.query({ className: 'Function', minRetainedSize: 10_000, maxDistance: 8, limit: 5 });
  assert.ok(expected.length > 1);
  assert.deepStrictEqual(json(['query', golden, ...options]).rows, plainly(expected));
  assert.match(cli(['query', golden, ...options]).stdout, new RegExp(`@${expected[0].id}\\n`));
  const matched = json(['query', golden, '--match', '^Read.*Stream$', '--type', 'closure', '--retained-by', `@${snapshot.root}`, '--limit', '9']).rows;
  assert.deepStrictEqual(matched, plainly(await snapshot.query({ name: /^Read.*Stream$/u, type: 'closure', retainedBy: snapshot.root, limit: 9 })));
  for (const [wrong, message] of [
    [['--min-self', 'big'], /--min-self takes a size/],
    [['--match', '('], /--match takes a regular expression/],
    [['--retained-by', 'x'], /--retained-by takes a node id/],
    [['--name', 'a', '--match', 'b'], /exclude each other/]
  ]) {
    const { status, stderr } = cli(['query', golden, ...wrong]);
    assert.strictEqual(status, 2);
    assert.match(stderr, message);
  }
});

test('summary: filters, and what was allocated since', async () => {
  const duplicated = plainly(await snapshot.summary({ filter: 'duplicatedStrings' }));
  assert.deepStrictEqual(json(['summary', golden, '--filter', 'duplicated-strings']).rows, duplicated);
  const [{ id }] = (await snapshot.nativeContexts()).nativeContexts;
  assert.deepStrictEqual(json(['summary', golden, '--filter', `native-context=@${id}`]).rows, plainly(await snapshot.summary({ filter: { nativeContext: id } })));
  const [base, current] = [await heaprs.openSnapshot(before), await heaprs.openSnapshot(after)];
  const since = plainly(await current.summary({ filter: { allocatedAfter: base } }));
  assert.ok(since.length > 1);
  assert.deepStrictEqual(json(['summary', after, '--since', before]).rows, since);
  base.close();
  current.close();
  const unknown = cli(['summary', golden, '--filter', 'nothing']);
  assert.strictEqual(unknown.status, 2);
  assert.match(unknown.stderr, /there is no filter "nothing"; there are duplicated-strings, /);
});

test('suspects, dominated, export', async (t) => {
  const directory = path.join(scratch(t), 'columns');
  assert.deepStrictEqual(json(['suspects', golden]).suspects, plainly(await snapshot.suspects()));
  assert.match(cli(['suspects', golden]).stdout, /no suspects/);
  assert.deepStrictEqual(json(['dominated', golden, `@${snapshot.root}`, '--limit', '4']).rows, plainly(await snapshot.dominated(snapshot.root, { limit: 4 })));
  const { files } = json(['export', golden, '-o', directory]);
  assert.ok(files.includes('schema.json') && fs.existsSync(path.join(directory, 'nodes.retained_size.npy')));
  const again = cli(['export', golden, '-o', directory]);
  assert.strictEqual(again.status, 2);
  assert.match(again.stderr, /ERR_HEAPRS_FILE_EXISTS/);
  assert.strictEqual(cli(['export', golden, '-o', directory, '--overwrite']).status, 0);
  assert.match(cli(['export', golden]).stderr, /-o DIR/);
});
