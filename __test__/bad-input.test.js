'use strict';
// Files that are no snapshots, or not whole: a rejected promise with a code, the file's name and the byte, never more.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const zlib = require('node:zlib');
const { execFileSync } = require('node:child_process');
const { heaprs, rejection, run, scratch } = require('./helpers.js');

const CONTENT = ['ERR_HEAPRS_NOT_A_SNAPSHOT', 'ERR_HEAPRS_TRUNCATED', 'ERR_HEAPRS_CORRUPT'];

const META = {
  node_fields: ['type', 'name', 'id', 'self_size', 'edge_count'],
  node_types: [['hidden', 'array', 'string', 'object', 'code', 'closure', 'regexp', 'number', 'native', 'synthetic'], 'string', 'number', 'number', 'number'],
  edge_fields: ['type', 'name_or_index', 'to_node'],
  edge_types: [['context', 'element', 'property', 'internal', 'hidden', 'shortcut', 'weak'], 'string_or_number', 'node'],
  location_fields: ['object_index', 'script_id', 'line', 'column'],
};

// A root that holds one object; `change` makes it wrong.
function tiny(change = {}) {
  const it = { nodeCount: 2, edgeCount: 1, nodes: [9, 0, 1, 0, 1, 3, 1, 3, 16, 0], edges: [2, 2, 5], locations: [], strings: ['', 'Thing', 'thing'], ...change };
  return `{"snapshot":${JSON.stringify({ meta: META, node_count: it.nodeCount, edge_count: it.edgeCount, trace_function_count: 0 })},
"nodes":[${it.nodes}],
"edges":[${it.edges}],
"trace_function_infos":[],
"trace_tree":[],
"samples":[],
"locations":[${it.locations}],
"strings":${JSON.stringify(it.strings)}}`;
}

// Opens a file with this content; returns the error, checked for what every such error has.
async function reject(directory, name, content, codes = CONTENT) {
  const file = path.join(directory, name);
  fs.writeFileSync(file, content);
  const error = await rejection(heaprs.openSnapshot(file));
  assert.ok(codes.includes(error.code), `${name}: ${error.code}: ${error.message}`);
  assert.strictEqual(error.file, file, `${name}: ${error.message}`);
  assert.ok(error.message.includes(file), error.message);
  return error;
}

test('the tiny snapshot itself is good, plain and gzipped', async (t) => {
  const directory = scratch(t);
  for (const [name, content] of [['a', tiny()], ['a.gz', zlib.gzipSync(tiny())], ['two members', Buffer.concat([zlib.gzipSync(tiny().slice(0, 400)), zlib.gzipSync(tiny().slice(400))])]]) {
    const file = path.join(directory, name);
    fs.writeFileSync(file, content);
    const snapshot = await heaprs.openSnapshot(file);
    assert.deepStrictEqual({ ...snapshot.info }, { nodes: 2, edges: 1, strings: 3, totalSize: 16, extraNativeBytes: 0, file });
    assert.strictEqual(snapshot.node(3).name, 'Thing');
    snapshot.close();
  }
});

// Root, an object, and a string of its own that is long enough to stay in the file.
const LONG = tiny({ nodeCount: 3, edgeCount: 2, nodes: [9, 0, 1, 0, 1, 3, 1, 3, 16, 1, 2, 3, 5, 1024, 0], edges: [2, 2, 5, 2, 2, 10], strings: ['', 'Thing', 'thing', 'long '.repeat(200)] });

test('a file that is deleted or replaced while its snapshot is open answers as before', async (t) => {
  const file = path.join(scratch(t), 'a.heapsnapshot');
  for (const change of [() => fs.unlinkSync(file), () => { fs.writeFileSync(`${file}.new`, 'another'); fs.renameSync(`${file}.new`, file); }]) {
    fs.writeFileSync(file, LONG);
    const snapshot = await heaprs.openSnapshot(file);
    change();
    assert.strictEqual(snapshot.node(5).name, 'long '.repeat(200));
    snapshot.close();
  }
});

test('a file that is overwritten while its snapshot is open fails what needs a string of it, and what comes after that', async (t) => {
  const file = path.join(scratch(t), 'a.heapsnapshot');
  const answers = {
    node: (snapshot) => snapshot.node(5),
    references: (snapshot) => snapshot.references(3),
    query: (snapshot) => snapshot.query({ name: 'long' }),
    export: (snapshot) => snapshot.export(path.join(path.dirname(file), 'export')),
  };
  for (const [name, answer] of Object.entries(answers)) {
    fs.writeFileSync(file, LONG);
    const snapshot = await heaprs.openSnapshot(file);
    fs.writeFileSync(file, tiny());
    assert.strictEqual(snapshot.node(3).name, 'Thing');
    assert.strictEqual((await snapshot.summary()).length, 2);
    const error = await rejection((async () => answer(snapshot))());
    assert.strictEqual(error.code, 'ERR_HEAPRS_IO', `${name}: ${error.message}`);
    assert.ok(error.message.includes(file) && /changed/.test(error.message), error.message);
    // Going through all strings keeps none, and what was made of them is right.
    const after = await snapshot.summary().then(() => 'answered', (e) => e.code);
    assert.strictEqual(after, name === 'export' ? 'answered' : 'ERR_HEAPRS_IO', name);
    snapshot.close();
  }
});

test('no file, no regular file', async (t) => {
  const directory = scratch(t);
  const missing = path.join(directory, 'missing');
  assert.deepStrictEqual(await rejection(heaprs.openSnapshot(missing)).then((e) => [e.code, e.file]), ['ERR_HEAPRS_NOT_FOUND', missing]);
  const fifo = path.join(directory, 'fifo');
  execFileSync('mkfifo', [fifo]);
  for (const file of [directory, fifo, '/dev/zero']) {
    assert.deepStrictEqual(await rejection(heaprs.openSnapshot(file)).then((e) => [e.code, e.file]), ['ERR_HEAPRS_NOT_A_FILE', file]);
  }
});

test('content that is no snapshot', async (t) => {
  const directory = scratch(t);
  const contents = {
    empty: '', blank: ' \n', text: 'hello', json: '{"a":[1,2,3]}', array: '[1,2,3]', number: '17', html: '<html></html>', binary: Buffer.from([0, 1, 2, 255, 254]), 'empty gzip': zlib.gzipSync(''),
    'json in gzip': zlib.gzipSync('{"a":1}'), 'snapshot is a number': '{"snapshot":5}', 'no meta': '{"snapshot":{}}', 'cpu profile': JSON.stringify({ nodes: [{ id: 1 }], startTime: 1, samples: [1] }),
    'sampling profile': JSON.stringify({ head: { callFrame: {}, children: [] }, samples: [] }), deep: '['.repeat(200_000), 'deep header': `{"snapshot":${'{"a":'.repeat(200_000)}`,
  };
  for (const [name, content] of Object.entries(contents)) await reject(directory, name, content);
});

test('a real snapshot cut off at 200 random places', async (t) => {
  const directory = scratch(t);
  const whole = fs.readFileSync(heaprs.writeHeapSnapshot(path.join(directory, 'whole')));
  let seed = 4711;
  const random = (n) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;
  for (let i = 0; i < 200; i++) {
    const at = i < 100 ? random(whole.length) : Math.floor((whole.length * i) / 200);
    const error = await reject(directory, 'cut', whole.subarray(0, at));
    // The error is where the text ends, give or take the token that was cut.
    assert.ok(error.offset !== undefined && error.offset <= at, `cut at ${at}: ${error.message}`);
    assert.ok(error.message.includes(String(error.offset)));
  }
});

test('counts that lie, and indices out of range', async (t) => {
  const directory = scratch(t);
  const wrong = {
    'more nodes than there are': { nodeCount: 3 },
    'fewer nodes than there are': { nodeCount: 1 },
    'more edges than there are': { edgeCount: 2 },
    'fewer edges than there are': { edgeCount: 0 },
    'edge counts that do not add up': { nodes: [9, 0, 1, 0, 2, 3, 1, 3, 16, 0] },
    'half a node': { nodes: [9, 0, 1, 0, 1, 3, 1] },
    'half an edge': { edges: [2, 2] },
    'a name beyond the strings': { nodes: [9, 0, 1, 0, 1, 3, 3, 3, 16, 0] },
    'an edge name beyond the strings': { edges: [2, 3, 5] },
    'a target beyond the nodes': { edges: [2, 2, 10] },
    'a target inside a node': { edges: [2, 2, 6] },
    'a node type that does not exist': { nodes: [9, 0, 1, 0, 1, 30, 1, 3, 16, 0] },
    'an edge type that does not exist': { edges: [9, 2, 5] },
    'a location beyond the nodes': { locations: [10, 1, 1, 1] },
    'half a location': { locations: [5, 1] },
  };
  for (const [name, change] of Object.entries(wrong)) {
    const error = await reject(directory, name, tiny(change), ['ERR_HEAPRS_CORRUPT', 'ERR_HEAPRS_TRUNCATED']);
    assert.ok(error.offset > 0, `${name}: ${error.message}`);
  }
});

test('broken gzip', async (t) => {
  const directory = scratch(t);
  const good = zlib.gzipSync(tiny());
  for (let at = 2; at < good.length; at += 7) await reject(directory, 'cut.gz', good.subarray(0, at));
  const flipped = (at) => Buffer.from(good.map((byte, i) => (i === at ? byte ^ 0xff : byte)));
  await reject(directory, 'crc.gz', flipped(good.length - 6));
  await reject(directory, 'length.gz', flipped(good.length - 2));
  await reject(directory, 'method.gz', flipped(2));
  await reject(directory, 'garbage.gz', Buffer.concat([good.subarray(0, 10), Buffer.alloc(500, 0xa5)]));
});

test('a small file that claims billions of nodes asks for no memory', async (t) => {
  const directory = scratch(t);
  const file = path.join(directory, 'liar');
  fs.writeFileSync(file, tiny({ nodeCount: 4_000_000_000, edgeCount: 4_000_000_000 }));
  const result = await run(`
    const peak = () => Number(/VmHWM:\\s+(\\d+)/.exec(require('node:fs').readFileSync('/proc/self/status', 'utf8'))[1]);
    require(${JSON.stringify(path.join(__dirname, '..', 'lib', 'native.js'))}).native();
    const before = peak();
    heaprs.openSnapshot(process.argv[1]).catch((e) => console.log(JSON.stringify({ code: e.code, grown: peak() - before })));`, { args: [file] });
  const { code, grown } = result.json();
  assert.ok(CONTENT.includes(code), code);
  assert.ok(grown < 8 * 1024, `${grown} KB more`);
});

test('a gzip bomb ends at maxMemory', async (t) => {
  const directory = scratch(t);
  const file = path.join(directory, 'bomb.gz');
  const [head, tail] = tiny().split('"Thing"');
  fs.writeFileSync(file, zlib.gzipSync(Buffer.concat([Buffer.from(`${head}"`), Buffer.alloc(300e6, 'x'), Buffer.from(`"${tail}`)]), { level: 9 }));
  assert.ok(fs.statSync(file).size < 1e6);
  const error = await rejection(heaprs.openSnapshot(file, { maxMemory: 50e6 }));
  assert.strictEqual(error.code, 'ERR_HEAPRS_MEMORY_BUDGET');
  assert.match(error.message, /maxMemory|memory/);
  assert.strictEqual(error.file, file);
});

test('wrong arguments', async () => {
  for (const file of [undefined, 7, '', 'a\0b', {}]) assert.strictEqual((await rejection(heaprs.openSnapshot(file))).code, 'ERR_HEAPRS_INVALID_ARGUMENT');
  for (const options of [5, { maxMemory: 0 }, { threads: 0 }, { threads: 1.5 }, { onProgress: {} }, { signal: 1 }, { nope: 1 }]) {
    assert.strictEqual((await rejection(heaprs.openSnapshot('x', options))).code, 'ERR_HEAPRS_INVALID_ARGUMENT');
  }
});
