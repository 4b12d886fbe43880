'use strict';
// Redaction: no secret of any kind in the bytes of a file, and every number of an analysis as it was.

const test = require('node:test');
const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const zlib = require('node:zlib');
const { heaprs, rejection, root, scratch } = require('./helpers.js');
const { keys, names, numbers, secrets } = require('./redact/secrets.js');

const program = path.join(__dirname, 'redact', 'secrets.js');

// The text of a file, unpacked.
function text(file) {
  const bytes = fs.readFileSync(file);
  return (bytes[0] === 0x1f ? zlib.gunzipSync(bytes) : bytes).toString();
}

// Whether it is there as it is, or as JSON writes it, in UTF-8 or in ASCII.
function holds(text, secret) {
  const json = JSON.stringify(secret).slice(1, -1);
  const ascii = json.replace(/[\x7f-\uffff]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
  const upper = ascii.replace(/\\u[\da-f]{4}/g, (escape) => `\\u${escape.slice(2).toUpperCase()}`);
  return [secret, json, ascii, upper].some((form) => text.includes(form));
}

const found = (file, wanted) => {
  const all = text(file);
  return Object.keys(wanted).filter((kind) => holds(all, wanted[kind]));
};

// Texts that plain strings share: their length, how many strings, how many bytes. (Whether a string made by concatenation equals one of
// them is what a redacted file can't tell.)
function duplicates(file) {
  const { snapshot, nodes, strings } = JSON.parse(text(file));
  const at = (field) => snapshot.meta.node_fields.indexOf(field);
  const kind = snapshot.meta.node_types[at('type')].indexOf('string');
  const groups = new Map();
  for (let n = 0; n < nodes.length; n += snapshot.meta.node_fields.length) {
    const [type, name, size] = [at('type'), at('name'), at('self_size')].map((field) => nodes[n + field]);
    if (type !== kind || size === 0) continue;
    const group = groups.get(name) ?? groups.set(name, [strings[name].length, 0, 0]).get(name);
    group[1]++;
    group[2] += size;
  }
  return [...groups.values()].filter(([, count]) => count > 1).map(String).sort();
}

async function numbersOf(file) {
  const snapshot = await heaprs.openSnapshot(file);
  try {
    return { ...(await numbersIn(snapshot)), duplicates: duplicates(file) };
  } finally {
    snapshot.close();
  }
}

async function numbersIn(snapshot) {
  const { classNames, classIndex, ...columns } = await snapshot.columns();
  const { nodes, edges, totalSize } = snapshot.info;
  return {
    totals: { nodes, edges, totalSize }, statistics: snapshot.statistics(), columns,
    classes: Array.from(classIndex, (index) => classNames[index]),
    summary: await snapshot.summary(),
  };
}

test('secrets of every kind stay out of the file', async (t) => {
  const directory = scratch(t);
  const child = spawnSync(process.execPath, [program, directory, secrets.argument], { env: { ...process.env, HEAPRS_TEST_SECRET: secrets.environment }, encoding: 'utf8', timeout: 300_000 });
  assert.strictEqual(child.status, 0, child.stderr);
  const results = JSON.parse(child.stdout);
  const all = Object.keys(secrets);
  const open = results.open.file;
  // A string is written to its 1024th unit, so each is where it can be found.
  assert.deepStrictEqual(found(open, secrets), all, 'the file without redaction has them');
  assert.deepStrictEqual(found(open, keys), Object.keys(keys));
  assert.ok(found(open, numbers).includes('double'));
  for (const kind of ['inline', 'auto', 'names']) {
    assert.deepStrictEqual(found(results[kind].file, secrets), [], kind);
    assert.deepStrictEqual(found(results[kind].file, numbers), [], kind);
  }
  assert.deepStrictEqual(found(results.numbers.file, secrets), []);
  assert.ok(found(results.numbers.file, numbers).includes('double'), 'numbers when asked for');
  for (const kind of ['inline', 'auto']) assert.ok(found(results[kind].file, { large: keys.large }).length === 1, 'property names stay');
  assert.deepStrictEqual(found(results.names.file, keys), []);
  for (const [kind, { file, nodes, edges }] of Object.entries(results)) {
    // Under 'names', V8's hash table of the global object's own properties is told from others in some versions only.
    const expected = names.filter((name) => kind !== 'names' || name !== 'keptGlobalName');
    const kept = text(file);
    assert.deepStrictEqual(expected.filter((name) => !kept.includes(name)), [], file);
    assert.ok(kept.includes(JSON.stringify(program).slice(1, -1)), 'names of script files stay');
    const { snapshot } = JSON.parse(kept);
    assert.deepStrictEqual([snapshot.node_count, snapshot.edge_count], [nodes, edges]);
  }

  await t.test('of files that exist, and every number stays', async () => {
    const before = await numbersOf(open);
    const redacted = path.join(directory, 'redacted.heapsnapshot.gz');
    const done = await heaprs.redactSnapshot(open, redacted);
    assert.deepStrictEqual([done.file, done.nodes, done.fileBytes], [redacted, before.totals.nodes, fs.statSync(redacted).size]);
    assert.strictEqual(fs.statSync(redacted).mode & 0o777, 0o600);
    assert.deepStrictEqual(found(redacted, { ...secrets, ...numbers }), []);
    assert.deepStrictEqual(await numbersOf(redacted), before);
    // What is redacted already stays as it is.
    const again = path.join(directory, 'again.heapsnapshot');
    await heaprs.redactSnapshot(redacted, again, { names: true });
    assert.deepStrictEqual(found(again, { ...secrets, ...numbers, ...keys }), []);
    const { summary: _, classes: __, ...rest } = await numbersOf(again);
    const { summary: ___, classes: ____, ...expected } = before;
    assert.deepStrictEqual(rest, expected, 'only class names of plain objects differ');
    const withNumbers = path.join(directory, 'with-numbers.heapsnapshot');
    await heaprs.redactSnapshot(open, withNumbers, { keepNumbers: true });
    assert.deepStrictEqual([found(withNumbers, secrets), found(withNumbers, { double: numbers.double })], [[], ['double']]);
  });

  await t.test('on the command line', () => {
    const out = path.join(directory, 'cli.heapsnapshot');
    const cli = (...args) => spawnSync(process.execPath, [path.join(root, 'bin', 'heaprs.js'), 'redact', ...args], { encoding: 'utf8', timeout: 120_000 });
    assert.strictEqual(cli(open, out, '--names', '--json').status, 0);
    assert.deepStrictEqual(found(out, { ...secrets, ...keys, ...numbers }), []);
    const second = cli(open, out);
    assert.strictEqual(second.status, 2);
    assert.match(second.stderr, /ERR_HEAPRS_FILE_EXISTS/);
    assert.strictEqual(cli(open, out, '--overwrite').status, 0);
    assert.strictEqual(cli(open).status, 2);
  });

  await t.test('a failure leaves nothing', async () => {
    const names = fs.readdirSync(directory);
    const out = path.join(directory, 'none.heapsnapshot');
    const cut = path.join(directory, 'cut.heapsnapshot');
    fs.writeFileSync(cut, text(open).slice(0, -1000));
    assert.strictEqual((await rejection(heaprs.redactSnapshot(cut, out))).code, 'ERR_HEAPRS_TRUNCATED');
    assert.strictEqual((await rejection(heaprs.redactSnapshot(path.join(directory, 'no'), out))).code, 'ERR_HEAPRS_NOT_FOUND');
    assert.strictEqual((await rejection(heaprs.redactSnapshot(directory, out))).code, 'ERR_HEAPRS_NOT_A_FILE');
    assert.strictEqual((await rejection(heaprs.redactSnapshot(cut, cut))).code, 'ERR_HEAPRS_INVALID_ARGUMENT');
    assert.strictEqual((await rejection(heaprs.redactSnapshot(open, out, { signal: AbortSignal.abort() }))).code, 'ERR_HEAPRS_ABORTED');
    assert.strictEqual((await rejection(heaprs.redactSnapshot(open, out, { name: true }))).code, 'ERR_HEAPRS_INVALID_ARGUMENT');
    assert.deepStrictEqual(fs.readdirSync(directory), [...names, 'cut.heapsnapshot'].sort());
  });
});
