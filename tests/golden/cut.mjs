// Cuts the same part out of two snapshots of one process: node cut.mjs BEFORE AFTER OUT-BEFORE OUT-AFTER
// Kept: the root, what it names, everything within eight steps of the global object "zoo" (or FROM), and one node in 25 of the rest (or RARE).
// What is cut off this way leaves nodes that only weak edges reach, and cycles that nothing reaches.
import fs from 'node:fs';

const [inA, inB, outA, outB] = process.argv.slice(2);
const [a, b] = [inA, inB].map((file) => JSON.parse(fs.readFileSync(file)));
const { FROM = 'zoo', RARE = '25' } = process.env;
const ids = new Set();
const shapes = [a, b].map((j) => {
  const { node_fields: F, edge_types: [E] } = j.snapshot.meta, W = F.length, at = Object.fromEntries(F.map((f, i) => [f, i]));
  const N = j.nodes.length / W, id = (n) => j.nodes[n * W + at.id], first = [0];
  for (let n = 0; n < N; n++) first.push(first[n] + j.nodes[n * W + at.edge_count]);
  const out = (n) => Array.from({ length: first[n + 1] - first[n] }, (_, i) => (first[n] + i) * 3);
  const name = (e) => ['element', 'hidden'].includes(E[j.edges[e]]) ? null : j.strings[j.edges[e + 1]];
  let level = [];
  for (let e = 0; e < j.edges.length; e += 3) if (name(e) === FROM) level.push(j.edges[e + 2] / W);
  ids.add(id(0)); for (const e of out(0)) ids.add(id(j.edges[e + 2] / W));
  for (let step = 0; step < 8; step++) { level.forEach((n) => ids.add(id(n))); level = level.flatMap(out).filter((e) => E[j.edges[e]] !== 'weak' && name(e) !== 'map' && name(e) !== '__proto__' && name(e) !== 'constructor' && name(e) !== 'context').map((e) => j.edges[e + 2] / W).filter((n) => !ids.has(id(n))); }
  for (let n = 0; n < N; n++) if ((id(n) * 2654435761 >>> 16) % RARE === 0) ids.add(id(n));
  for (let k = 0; k < (j.scopes?.length ?? 0); k += 5) ids.add(id(j.scopes[k] / W));
  return { W, at, N, id, out };
});
[a, b].forEach((j, i) => {
  const { W, at, N, id, out } = shapes[i], kept = [], place = new Map(), nodes = [], edges = [], strings = [], index = new Map();
  const string = (s) => { if (!index.has(s)) { index.set(s, strings.length); strings.push(j.strings[s]); } return index.get(s); };
  for (let n = 0; n < N; n++) if (ids.has(id(n))) { place.set(n, kept.length); kept.push(n); }
  const E = j.snapshot.meta.edge_types[0];
  for (const n of kept) {
    const row = j.nodes.slice(n * W, n * W + W), own = out(n).filter((e) => place.has(j.edges[e + 2] / W));
    row[at.name] = string(row[at.name]); row[at.edge_count] = own.length; nodes.push(...row);
    for (const e of own) edges.push(j.edges[e], ['element', 'hidden'].includes(E[j.edges[e]]) ? j.edges[e + 1] : string(j.edges[e + 1]), place.get(j.edges[e + 2] / W) * W);
  }
  const locations = [], L = j.snapshot.meta.location_fields, script = L.indexOf('script_object_index');
  for (let k = 0; k < j.locations.length; k += L.length) {
    const record = j.locations.slice(k, k + L.length);
    if (!place.has(record[0] / W)) continue;
    record[0] = place.get(record[0] / W) * W;
    if (script >= 0) record[script] = (place.get(record[script] / W) ?? 0) * W;
    locations.push(...record);
  }
  // Newer V8s: the scopes of scripts, with the variables they keep and those they use.
  const scopes = [], vars = [], uses = [];
  for (let k = 0, v = 0, u = 0; k < (j.scopes?.length ?? 0); k += 5) {
    const [node, scope, depth, varCount, useCount] = j.scopes.slice(k, k + 5);
    if (place.has(node / W)) {
      scopes.push(place.get(node / W) * W, scope, depth, varCount, useCount);
      vars.push(...j.scope_context_vars.slice(v, v + varCount).map(string));
      uses.push(...j.scope_uses.slice(u, u + 2 * useCount));
    }
    v += varCount; u += 2 * useCount;
  }
  const lines = (list, width) => { const rows = []; for (let k = 0; k < list.length; k += width) rows.push(list.slice(k, k + width).join(',')); return '[' + rows.join('\n,') + ']'; };
  fs.writeFileSync([outA, outB][i], `{"snapshot":${JSON.stringify({ ...j.snapshot, node_count: kept.length, edge_count: edges.length / 3, trace_function_count: 0 })},\n"nodes":${lines(nodes, W)},\n"edges":${lines(edges, 3)},\n"trace_function_infos":[],\n"trace_tree":[],\n"samples":[],\n"locations":${lines(locations, L.length)},\n${j.scopes ? `"scopes":${lines(scopes, 5)},\n"scope_context_vars":${lines(vars, 1)},\n"scope_uses":${lines(uses, 2)},\n` : ''}"strings":${JSON.stringify(strings)}}`);
  console.log([outA, outB][i], kept.length, 'nodes', edges.length / 3, 'edges');
});
