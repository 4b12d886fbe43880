// Two snapshots of one process, and of both only what the global object "zoo" holds, with the way there from the root:
//
//   node make.mjs map|arrays|lists|http BEFORE.heapsnapshot AFTER.heapsnapshot          Node 20 and later
//
// Ids are comparable: the tests take them as the truth, then give the later file others at random.
import fs from 'node:fs';
import http from 'node:http';
import v8 from 'node:v8';

const [kind, before, after] = process.argv.slice(2);
const zoo = (globalThis.zoo = { sessions: null, log: null, cache: null, users: null, set: null, weak: null, byName: null, head: null, plainHead: null, queue: null, spliced: null, ring: null, leaked: null });
class User {
  constructor(i) { Object.assign(this, { id: i, name: 'user-' + i, tags: ['t' + i, 'common'], profile: { mail: 'u' + i + '@example.org', address: { street: 'Street ' + i } } }); }
}
class Entry { constructor(value, next) { this.value = value; this.next = next; } }
const times = (n, make) => Array.from({ length: n }, (_, i) => make(i));

const programs = {
  // A third is replaced: both tables are rehashed.
  map() {
    zoo.users = new Map(times(600, (i) => ['key' + i, new User(i)])); zoo.set = new Set(times(300, (i) => new User(50000 + i)));
    zoo.byName = Object.fromEntries(times(300, (i) => ['k' + i, { v: 'val' + i }])); zoo.weak = new WeakMap(); for (const user of zoo.users.values()) if (user.id % 10 === 0) zoo.weak.set(user, { weak: user.id });
    return () => {
      for (let i = 0; i < 600; i += 3) zoo.users.delete('key' + i); for (let i = 600; i < 800; i++) zoo.users.set('key' + i, new User(i));
      for (const [i, user] of [...zoo.set].entries()) if (i % 3 === 0) zoo.set.delete(user); times(150, (i) => zoo.set.add(new User(70000 + i)));
      for (let i = 0; i < 300; i += 3) delete zoo.byName['k' + i]; times(150, (i) => (zoo.byName['k' + (300 + i)] = { v: 'val' + (300 + i) }));
    };
  },
  arrays() {
    zoo.queue = times(350, (i) => new User(i)); zoo.spliced = times(350, (i) => ({ label: 'p' + i, when: new Date(i) })); zoo.ring = times(350, (i) => ({ message: 'message ' + i, level: 'info' }));
    return () => {
      times(60, (i) => { zoo.queue.shift(); zoo.queue.push(new User(10000 + i)); }); times(18, (i) => zoo.spliced.splice(i * 17 + 5, 3, { label: 'new' + i, when: new Date(i) }));
      for (let i = 100; i < 250; i++) zoo.ring[i] = { message: 'message ' + (i + 5000), level: 'info' };
    };
  },
  lists() {
    for (let i = 0; i < 800; i++) { zoo.plainHead = new Entry(i, zoo.plainHead); zoo.head = new Entry({ name: 'item ' + i }, zoo.head); }
    return () => {
      for (let i = 0; i < 60; i++) { zoo.plainHead = zoo.plainHead.next; zoo.head = zoo.head.next; } for (let i = 0; i < 40; i++) zoo.head = new Entry({ name: 'fresh ' + i }, zoo.head);
      zoo.leaked = times(100, (i) => new User(90000 + i));
    };
  },
  async http() {
    zoo.sessions = new Map(); zoo.log = []; zoo.cache = new Map(); let n = 0;
    const server = http.createServer((request, response) => {
      const url = new URL(request.url, 'http://x'), id = url.searchParams.get('s');
      if (!zoo.sessions.has(id)) zoo.sessions.set(id, { id, created: new Date(), hits: [], cart: new Map() });
      const session = zoo.sessions.get(id); session.hits.push({ path: url.pathname, at: n + 0.5 }); session.cart.set('item' + (n % 7), { title: 'Item ' + n });
      zoo.log.push({ line: request.method + ' ' + request.url, n: n++ }); if (zoo.log.length > 200) zoo.log.shift();
      zoo.cache.set(url.pathname, { body: 'page ' + url.pathname + n, etag: 'e' + n }); if (zoo.cache.size > 80) zoo.cache.delete(zoo.cache.keys().next().value);
      response.end(id);
    });
    await new Promise((done) => server.listen(0, done));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 }), port = server.address().port;
    const get = (i) => new Promise((done, fail) => http.get({ port, path: `/p${i}?s=${i % 300}`, agent }, (answer) => answer.resume().on('end', done)).on('error', fail));
    const load = async (from, to) => { for (let i = from; i < to; i += 20) await Promise.all(times(20, (k) => get(i + k))); };
    await load(0, 240);
    return async () => { await load(1000, 1300); for (const id of [...zoo.sessions.keys()].slice(0, 60)) zoo.sessions.delete(id); };
  }
};

const change = await programs[kind]();
v8.writeHeapSnapshot(before);
await change();
v8.writeHeapSnapshot(after);
for (const file of [before, after]) cut(file);
process.exit(0);

function cut(file) {
  const j = JSON.parse(fs.readFileSync(file));
  const { node_fields: fields, edge_types: [types] } = j.snapshot.meta, width = fields.length, at = Object.fromEntries(fields.map((f, i) => [f, i]));
  const count = j.nodes.length / width, first = [0];
  for (let n = 0; n < count; n++) first.push(first[n] + j.nodes[n * width + at.edge_count]);
  const named = (e) => !['element', 'hidden'].includes(types[j.edges[e]]), name = (e) => named(e) ? j.strings[j.edges[e + 1]] : null;
  const out = (n) => Array.from({ length: first[n + 1] - first[n] }, (_, i) => (first[n] + i) * 3), to = (e) => j.edges[e + 2] / width;
  // The shortest way from the root to the zoo,
  const from = new Map([[0, null]]), queue = [0]; let zooNode;
  for (const n of queue) for (const e of out(n)) if (types[j.edges[e]] !== 'weak' && !from.has(to(e))) { from.set(to(e), n); queue.push(to(e)); if (name(e) === 'zoo') zooNode = to(e); }
  const kept = new Set(); for (let n = from.get(zooNode); n !== null; n = from.get(n)) kept.add(n);
  // and all below it but for what the engine keeps about objects.
  const list = [zooNode]; kept.add(zooNode);
  for (const n of list) for (const e of out(n)) if (types[j.edges[e]] !== 'weak' && !['map', '__proto__', 'constructor', 'context', 'shared'].includes(name(e)) && !kept.has(to(e))) { kept.add(to(e)); list.push(to(e)); }
  const place = new Map([...kept].sort((x, y) => x - y).map((n, i) => [n, i])), nodes = [], edges = [], strings = [], index = new Map();
  const string = (s) => { if (!index.has(s)) { index.set(s, strings.length); strings.push(j.strings[s]); } return index.get(s); };
  for (const n of place.keys()) {
    const row = j.nodes.slice(n * width, n * width + width), own = out(n).filter((e) => place.has(to(e)));
    row[at.name] = string(row[at.name]); row[at.edge_count] = own.length; nodes.push(row.join(','));
    for (const e of own) edges.push([j.edges[e], named(e) ? string(j.edges[e + 1]) : j.edges[e + 1], place.get(to(e)) * width].join(','));
  }
  const locations = [];
  for (let k = 0; k < j.locations.length; k += 4) if (place.has(j.locations[k] / width)) locations.push([place.get(j.locations[k] / width) * width, ...j.locations.slice(k + 1, k + 4)].join(','));
  const lines = (rows) => '[' + rows.join('\n,') + ']';
  fs.writeFileSync(file, `{"snapshot":${JSON.stringify({ ...j.snapshot, node_count: nodes.length, edge_count: edges.length, trace_function_count: 0 })},\n"nodes":${lines(nodes)},\n"edges":${lines(edges)},\n"trace_function_infos":[],\n"trace_tree":[],\n"samples":[],\n"locations":${lines(locations)},\n"strings":${JSON.stringify(strings)}}`);
  console.log(file, nodes.length, 'nodes', edges.length, 'edges');
}
