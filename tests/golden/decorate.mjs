// Adds to a random heap what the Summary's filters and the allocation views look at: node decorate.mjs IN OUT SEED
// Consoles, event listeners, realms, strings of equal text, some of them cut, DOM states, a recording with call stacks.
import fs from 'node:fs';
import zlib from 'node:zlib';

const [input, output, seed] = process.argv.slice(2);
const bytes = fs.readFileSync(input);
const heap = JSON.parse(input.endsWith('.gz') ? zlib.gunzipSync(bytes) : bytes);
let s = (Number(seed) * 2654435761 + 12345) >>> 0;
const rnd = (n) => { s ^= s << 13; s >>>= 0; s ^= s >>> 17; s ^= s << 5; s >>>= 0; return s % n; };
const pick = (list) => list[rnd(list.length)];

const { meta } = heap.snapshot, F = meta.node_fields, W = F.length, at = Object.fromEntries(F.map((f, i) => [f, i]));
const NT = meta.node_types[0], ET = meta.edge_types[0];
const index = new Map(heap.strings.map((text, i) => [text, i]));
const string = (text) => { if (!index.has(text)) { index.set(text, heap.strings.length); heap.strings.push(text); } return index.get(text); };
const nodes = [], out = [];
for (let i = 0, e = 0; i < heap.nodes.length; i += W) {
  nodes.push(heap.nodes.slice(i, i + W));
  out.push([]);
  for (let k = 0; k < heap.nodes[i + at.edge_count]; k++, e += 3) out.at(-1).push([heap.edges[e], heap.edges[e + 1], heap.edges[e + 2] / W]);
}
const original = nodes.length;
let id = Math.max(...nodes.map((n) => n[at.id])) | 1;
const node = (type, name, size = rnd(200)) => {
  const row = F.map(() => 0);
  Object.assign(row, { [at.type]: NT.indexOf(type), [at.name]: string(name), [at.id]: id += 2, [at.self_size]: size });
  nodes.push(row);
  out.push([]);
  return nodes.length - 1;
};
const numbered = ['element', 'hidden'];
const edge = (from, type, name, to) => out[from].push([ET.indexOf(type), numbered.includes(type) ? name : string(String(name)), to]);
const any = () => 1 + rnd(nodes.length - 1);
const anyType = () => pick(['context', 'property', 'internal', 'shortcut']);

// Realms: a native context, the hidden class of its hidden classes, hidden classes, objects of these.
const contexts = [];
for (let r = rnd(4); r > 0; r--) {
  const context = node(pick(['hidden', 'object', 'native']), pick(['system / NativeContext', 'system / NativeContext / https://a', 'Detached system / NativeContext', 'system / NativeContexts']));
  const meta = node('object shape', 'system / Map');
  contexts.push([context, meta]);
  edge(rnd(2) ? 0 : any(), 'internal', 'context', context);
  edge(meta, 'internal', 'native_context', rnd(5) ? context : any());
  if (!rnd(3)) edge(meta, 'internal', 'native_context', context);
  const maps = Array.from({ length: 1 + rnd(3) }, () => node('object shape', 'system / Map'));
  for (const map of maps) edge(map, 'internal', 'map', meta);
  for (let i = rnd(original / 6 | 0) + 1; i > 0; i--) edge(any(), rnd(9) ? 'internal' : 'property', 'map', pick(maps));
  for (let i = rnd(4); i > 0; i--) edge(context, pick(ET), rnd(30), any());
}
// Consoles.
for (let i = rnd(5); i > 0; i--) {
  const handles = node(rnd(5) ? 'synthetic' : 'object', '(Global handles)');
  edge(0, 'element', i, handles);
  for (let k = 1 + rnd(4); k > 0; k--) edge(handles, pick(['internal', 'shortcut', 'property']), pick([`${k} / DevTools console`, 'x / DevTools console', 'DevTools console', 'y / DevTools console ']), rnd(2) ? any() : node('object', 'Printed'));
}
// Event listeners.
for (let i = rnd(6); i > 0; i--) {
  const listener = node('native', pick(['V8EventListener', 'V8EventListener', 'V8EventListenerInfo'])), handler = node('closure', 'onClick');
  edge(rnd(2) ? 0 : any(), anyType(), 'listener', listener);
  edge(handler, 'internal', rnd(4) ? 'code' : 'shared', any());
  if (!rnd(3)) edge(listener, 'property', '2', any());
  const callback = pick([handler, node('object', 'EventTarget'), any()]);
  if (callback !== handler) edge(callback, anyType(), 'handleEvent', handler);
  if (rnd(6)) edge(listener, pick(['element', 'hidden', 'property', 'shortcut', 'weak']), 1, callback);
  for (let k = rnd(3); k > 0; k--) edge(handler, 'context', 'scope', node('object', pick(['system / Context', 'system / Context / onClick', 'Held'])));
}
// Strings: whole, joined, cut (a newer V8 says so).
const text = () => pick(['same', 'other', 'sameother', 'longer text', '', `own ${rnd(99)}`]);
for (let i = rnd(40); i > 0; i--) {
  const value = node(rnd(3) ? 'string' : 'concatenated string', text(), rnd(4) ? 16 + rnd(60) : 0);
  edge(any(), 'property', `s${i}`, value);
  if (NT[nodes[value][at.type]] === 'concatenated string') for (const half of ['first', 'second']) if (rnd(8)) edge(value, rnd(9) ? 'internal' : 'property', half, node('string', text()));
  if (!rnd(4)) {
    const facts = [['truncated', 'bool', pick(['true', 'true', 'false'])], ['length', 'int', pick(['2000', '3000'])], ['hash', pick(['int', 'int', 'double']), pick(['77', '88', 'none'])]];
    for (const [name, kind, said] of facts) if (rnd(9)) { const number = node('number', kind, 0); edge(value, 'internal', name, number); edge(number, 'internal', 'value', node('string', said, 0)); }
  }
}
for (let i = rnd(8); i > 0; i--) if (at.detachedness !== undefined) nodes[any()][at.detachedness] = rnd(3);

// A recording: functions, a tree of calls, samples.
if (rnd(4)) {
  const functions = 2 + rnd(12);
  for (let f = 0; f < functions; f++) heap.trace_function_infos.push(f && 100 + f, string(f ? `fn${f % 7}` : '(root)'), string(f ? `file${f % 3}.js` : ''), f % 3, f && rnd(50), f && rnd(50));
  let traces = 0;
  const calls = (depth) => {
    const list = [];
    for (let i = rnd(depth ? 4 : 1) + (depth ? 0 : 1); i > 0 && depth < 7; i--) list.push(++traces, depth ? 1 + rnd(functions - 1) : 0, rnd(3) && rnd(60), rnd(5000), calls(depth + 1));
    return list;
  };
  heap.trace_tree = calls(0);
  heap.snapshot.trace_function_count = functions;
  for (const n of nodes) if (rnd(2)) n[at.trace_node_id] = rnd(traces + 2);
}
if (rnd(4)) {
  let last = 0, time = 0;
  for (let i = 1 + rnd(9); i > 0; i--) heap.samples.push(time += rnd(90_000), last += rnd(id / 6 | 0));
}

nodes.forEach((n, i) => { n[at.edge_count] = out[i].length; });
Object.assign(heap.snapshot, { node_count: nodes.length, edge_count: out.flat().length });
heap.nodes = nodes.flat();
heap.edges = out.flat().flatMap(([type, name, to]) => [type, name, to * W]);
const json = JSON.stringify(heap);
fs.writeFileSync(output, output.endsWith('.gz') ? zlib.gzipSync(json, { level: 9 }) : json);
