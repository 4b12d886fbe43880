// A snapshot of any size straight to disk, in V8's layout, without a heap behind it: `node bench/huge.mjs FILE MB [star|list|tree]`.
// Without a shape it is an ordinary heap: everyone is held by an earlier one and refers to two or three others, mostly nearby, with the
// lengths of numbers, the edge types and the share of strings that real ones have.

import { closeSync, openSync, writeSync } from 'node:fs';

const [file, size, shape] = [process.argv[2], Number(process.argv[3]), process.argv[4] ?? 'ordinary'];
const FIELDS = 6;
// Bytes of text for a node with its edges, found by trying; a little more in the largest files, whose numbers are longer.
const BYTES = { ordinary: 65, star: 57, list: 46, tree: 46 }[shape];
const nodes = Math.floor((size * 1e6) / BYTES);

let state = 88172645;
function below(end) {
  state ^= state << 13; state >>>= 0;
  state ^= state >>> 17;
  state ^= state << 5; state >>>= 0;
  return state % end;
}
const out = openSync(file, 'w');
let pieces = [];
let held = 0;
function write(text) {
  pieces.push(text);
  if ((held += text.length) > 1 << 22) flush();
}
function flush() {
  writeSync(out, pieces.join(''));
  pieces = [];
  held = 0;
}

// How many edges a node has follows from its number, so that nodes and edges can be written one after the other.
const degree = {
  ordinary: (i) => (i === 0 ? 2 : 2 + (Math.imul(i, 0x9e3779b1) >>> 31) + (i % 3 === 0 ? 1 : 0)),
  star: (i) => (i === 0 ? 1 : i === 1 ? nodes - 2 : 1),
  list: (i) => (i + 1 < nodes ? 1 : 0),
  tree: (i) => (2 * i + 2 < nodes ? 2 : 2 * i + 1 < nodes ? 1 : 0)
}[shape];
let edges = 0;
for (let i = 0; i < nodes; i++) edges += degree(i);

const meta = {
  node_fields: ['type', 'name', 'id', 'self_size', 'edge_count', 'detachedness'],
  node_types: [['hidden', 'array', 'string', 'object', 'code', 'closure', 'regexp', 'number', 'native', 'synthetic', 'concatenated string', 'sliced string', 'symbol', 'bigint', 'object shape'], 'string', 'number', 'number', 'number', 'number'],
  edge_fields: ['type', 'name_or_index', 'to_node'],
  edge_types: [['context', 'element', 'property', 'internal', 'hidden', 'shortcut', 'weak'], 'string_or_number', 'node'],
  trace_function_info_fields: ['function_id', 'name', 'script_name', 'script_id', 'line', 'column'],
  trace_node_fields: ['id', 'function_info_index', 'count', 'size', 'children'],
  sample_fields: ['timestamp_us', 'last_assigned_id'],
  location_fields: ['object_index', 'script_id', 'line', 'column']
};
const STRINGS = 100_000;
write(`{"snapshot":{"meta":${JSON.stringify(meta)},"node_count":${nodes},"edge_count":${edges},"trace_function_count":0,"extra_native_bytes":0},\n"nodes":[`);
for (let i = 0; i < nodes; i++) {
  const kind = i === 0 ? 9 : [3, 3, 3, 2, 1, 0, 5, 7][below(8)];
  const name = i === 0 ? 0 : kind === 2 ? below(STRINGS) : 1 + below(300);
  write(`${i ? ',' : ''}${kind},${name},${2 * i + 1},${i ? [16, 24, 32, 56][below(4)] : 0},${degree(i)},0\n`);
}
write('],\n"edges":[');
let first = true;
function edge(kind, name, to) {
  write(`${first ? '' : ','}${kind},${name},${to * FIELDS}\n`);
  first = false;
}
for (let i = 0; i < nodes; i++) {
  const count = degree(i);
  for (let k = 0; k < count; k++) {
    if (shape === 'star') edge(1, k, i === 0 ? 1 : i === 1 ? k + 2 : 1);
    else if (shape === 'list') edge(2, 310, i + 1);
    else if (shape === 'tree') edge(2, 310 + k, 2 * i + 1 + k);
    else if (k === 0) edge(2, 310 + below(400), Math.min(nodes - 1, i + 1 + below(3)));
    else if (k === 1) edge(3, 305, 1 + below(300));
    else edge(below(4) ? 2 : 1, 310 + below(400), below(3) ? Math.max(1, Math.min(nodes - 1, i - 50 + below(100))) : 1 + below(nodes - 1));
  }
}
write('],\n"trace_function_infos":[],\n"trace_tree":[],\n"samples":[],\n"locations":[],\n"strings":[""');
for (let i = 1; i < STRINGS; i++) write(`,\n"a string of the heap, number ${i}"`);
write(']}\n');
flush();
closeSync(out);
console.log(JSON.stringify({ file, nodes, edges }));
