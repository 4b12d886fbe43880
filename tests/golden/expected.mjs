// Writes what Chrome DevTools computes of heap snapshots: NAME.expected.json.gz beside each NAME.heapsnapshot.gz.
//
//   node expected.mjs BUNDLE FILE... [--all]      A file named NAME-before is also compared with NAME-after.
//
// BUNDLE is DevTools' heap snapshot worker as one ES module: the README says how to make it.
import fs from 'node:fs';
import path from 'node:path';
import url from 'node:url';
import zlib from 'node:zlib';

Promise.withResolvers ??= function () {
  const all = {};
  all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }));
  return all;
};
console.warn = () => {};
const all = process.argv.includes('--all');
const [bundle, ...files] = process.argv.slice(2).filter((arg) => arg !== '--all');
const devtools = await import(url.pathToFileURL(bundle));
const NO_FILTER = { minNodeId: undefined, maxNodeId: undefined, allocationNodeId: undefined, filterName: undefined };

const FILTERS = ['duplicatedStrings', 'objectsRetainedByDetachedDomNodes', 'objectsRetainedByContexts', 'objectsRetainedByConsole', 'objectsRetainedByEventHandlers'];

async function open(file) {
  const loader = new devtools.HeapSnapshotLoader.HeapSnapshotLoader({ sendEvent() {} });
  loader.write(zlib.gunzipSync(fs.readFileSync(file)).toString());
  loader.close();
  await loader.parsingComplete;
  const channel = new MessageChannel();
  new devtools.HeapSnapshot.SecondaryInitManager(channel.port2);
  const snapshot = await loader.buildSnapshot(channel.port1);
  channel.port1.close();
  return snapshot;
}

class Digest {  // FNV-1a, 64 bits
  #state = 0xcbf29ce484222325n;
  add(buffer) { for (const byte of buffer) this.#state = BigInt.asUintN(64, (this.#state ^ BigInt(byte)) * 0x100000001b3n); }
  toString() { return this.#state.toString(16).padStart(16, '0'); }
}

function number(write, value) { const buffer = Buffer.alloc(8); return buffer.subarray(0, buffer[write](value)); }

function nodes(snapshot) {
  const columns = ['id', 'dominator', 'distance', 'self', 'retained', 'detachedness', 'class', 'name'];
  const digests = Object.fromEntries(columns.map((name) => [name, new Digest()]));
  const sample = [], node = snapshot.createNode(0), by = snapshot.createNode(0);
  const every = all ? 1 : Math.max(1, Math.floor(snapshot.nodeCount / 300));
  for (let i = 0; i < snapshot.nodeCount; i++) {
    node.nodeIndex = i * snapshot.nodeFieldCount;
    by.nodeIndex = node.dominatorIndex();
    const row = [node.id(), by.id(), node.distance(), node.selfSize(), node.retainedSize(), node.detachedness(), node.className(), node.name()];
    digests.id.add(number('writeUInt32LE', row[0]));
    digests.dominator.add(number('writeUInt32LE', row[1]));
    digests.distance.add(number('writeInt32LE', row[2]));
    digests.self.add(number('writeUInt32LE', row[3]));
    digests.retained.add(number('writeDoubleLE', row[4]));
    digests.detachedness.add([row[5]]);
    for (const [name, text] of [['class', row[6]], ['name', row[7]]]) digests[name].add(Buffer.from(text + '\0', 'utf16le'));
    if (i % every === 0) sample.push(row);
  }
  return { digests: Object.fromEntries(Object.entries(digests).map(([k, v]) => [k, String(v)])), every, sample };
}

const classes = (snapshot, filter) => Object.entries(snapshot.aggregatesWithFilter({ ...NO_FILTER, ...filter }))
  .map(([key, a]) => [key, a.name, a.count, a.distance, a.self, a.maxRet]);

function lists(snapshot) {  // references and retainers in the order of DevTools' grids, for nodes here and there
  const result = [];
  const rows = (provider, fieldName1, ascending1, fieldName2, ascending2) => {
    if (provider.isEmpty()) return [];
    provider.sortAndRewind({ fieldName1, ascending1, fieldName2, ascending2 });
    return provider.serializeItemsRange(0, 20).items.map((edge) => [edge.type, edge.name, edge.node.id]);
  };
  for (let i = 0; i < snapshot.nodeCount; i += Math.max(1, Math.floor(snapshot.nodeCount / 60))) {
    const index = i * snapshot.nodeFieldCount;
    result.push({ id: snapshot.createNode(index).id(),
      references: rows(snapshot.createEdgesProvider(index), 'retainedSize', false, '!edgeName', true),
      retainers: rows(snapshot.createRetainingEdgesProvider(index), 'distance', true, 'retainedSize', false) });
  }
  return result;
}

for (const file of files) {
  const snapshot = await open(file);
  const result = { devtools: devtools.version, nodes: snapshot.nodeCount, statistics: snapshot.getStatistics(), ...nodes(snapshot), classes: classes(snapshot, {}),
    interfaces: JSON.parse(snapshot.interfaceDefinitions()).map(({ name }) => name), lists: lists(snapshot),
    filters: Object.fromEntries(FILTERS.map((filterName) => [filterName, classes(snapshot, { filterName })])),
    duplicates: snapshot.getDuplicateStrings().map((group) => [group.value, group.count, group.totalSelfSize]) };
  if (file.includes('-before.')) {
    const later = await open(file.replace('-before.', '-after.'));
    const diff = later.calculateSnapshotDiff(1, snapshot.aggregatesForDiff(later.interfaceDefinitions()));
    result.comparison = Object.entries(diff).map(([key, d]) => [key, d.name, d.addedCount, d.removedCount, d.addedSize, d.removedSize]);
    const [minNodeId, maxNodeId] = [snapshot, later].map((s) => s.updateStaticData().maxJSObjectId);
    result.between = { minNodeId, maxNodeId, classes: classes(later, { minNodeId, maxNodeId }) };
  }
  const out = file.replace(/\.heapsnapshot\.gz$/, '.expected.json.gz');
  fs.writeFileSync(out, zlib.gzipSync(JSON.stringify(result), { level: 9 }));
  console.log(path.basename(out), snapshot.nodeCount, 'nodes');
}
