// Writes what Chrome DevTools computes under the Summary's filters, of realms and of allocation recordings: NAME.filters.json.gz beside each
// NAME.heapsnapshot or NAME.heapsnapshot.gz.
//
//   node filters.mjs BUNDLE FILE... [--out DIRECTORY]      BUNDLE as for expected.mjs.
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
const args = process.argv.slice(2), flag = args.indexOf('--out');
const [, directory] = flag < 0 ? [] : args.splice(flag, 2);
const [bundle, ...files] = args;
const devtools = await import(url.pathToFileURL(bundle));
const NO_FILTER = { minNodeId: undefined, maxNodeId: undefined, allocationNodeId: undefined, filterName: undefined };
const FILTERS = ['duplicatedStrings', 'objectsRetainedByDetachedDomNodes', 'objectsRetainedByContexts', 'objectsRetainedByConsole', 'objectsRetainedByEventHandlers', 'sharedNativeContext', 'noNativeContext'];

async function open(file) {
  const bytes = fs.readFileSync(file);
  let text = String(file.endsWith('.gz') ? zlib.gunzipSync(bytes) : bytes);
  // DevTools crashes on headers that understate this number; V8 writes such headers.
  const { trace_function_infos: infos, snapshot: { meta } } = JSON.parse(text);
  const functions = infos.length / meta.trace_function_info_fields.length;
  text = text.replace(/"trace_function_count":\s*\d+/, `"trace_function_count":${functions}`);
  const loader = new devtools.HeapSnapshotLoader.HeapSnapshotLoader({ sendEvent() {} });
  loader.write(text);
  loader.close();
  await loader.parsingComplete;
  const channel = new MessageChannel();
  new devtools.HeapSnapshot.SecondaryInitManager(channel.port2);
  const snapshot = await loader.buildSnapshot(channel.port1);
  channel.port1.close();
  return { snapshot, functions };
}

const classes = (snapshot, filter) => Object.entries(snapshot.aggregatesWithFilter({ ...NO_FILTER, ...filter }))
  .map(([key, a]) => [key, a.name, a.count, a.distance, a.self, a.maxRet]);
const frame = (f) => [f.functionName ?? f.name, f.scriptName, f.scriptId, f.line, f.column];

function allocations(snapshot) {
  const tops = snapshot.allocationTracesTops(), sites = [];
  // Every call stack with what it allocated, from the callers of each function. Walked to the last caller, which is the root of the tree.
  const walk = (node, below) => {
    const stack = [...below, frame(node)];
    if (!node.hasChildren) return sites.push([stack, node.count, node.size, node.liveCount, node.liveSize]);
    const { nodesWithSingleCaller: single, branchingCallers } = snapshot.allocationNodeCallers(node.id);
    for (const caller of single) stack.push(frame(caller));
    if (branchingCallers.length > 0) return branchingCallers.forEach((caller) => walk(caller, stack));
    const last = single.at(-1) ?? node;
    return sites.push([stack, last.count, last.size, last.liveCount, last.liveSize]);
  };
  tops.forEach((top) => walk(top, []));
  const stacks = [];
  for (let i = 0; i < snapshot.nodeCount; i += Math.max(1, Math.floor(snapshot.nodeCount / 200))) {
    const node = snapshot.createNode(i * snapshot.nodeFieldCount);
    stacks.push([node.id(), snapshot.allocationStack(node.nodeIndex)?.map(frame) ?? null]);
  }
  return { functions: tops.map((top) => [frame(top), top.count, top.size, top.liveCount, top.liveSize]), sites, stacks };
}

for (const file of files) {
  const opened = await open(file).catch((error) => console.log(path.basename(file), 'is too much for DevTools:', error.message));
  if (!opened) continue;
  const { snapshot, functions } = opened;
  const { nativeContexts, sharedSize, noAttributionSize } = snapshot.getNativeContextSizes();
  const samples = snapshot.getSamples();
  const minNodeId = snapshot.createNode(Math.floor(snapshot.nodeCount / 3) * snapshot.nodeFieldCount).id(), maxNodeId = snapshot.updateStaticData().maxJSObjectId;
  const result = { devtools: devtools.version,
    filters: FILTERS.map((filterName) => [filterName, classes(snapshot, { filterName })]),
    realms: { sharedSize, noAttributionSize, contexts: nativeContexts.map((c) => [c.nodeId, c.nodeName, c.attributedSize, c.selfSize, c.retainedSize, classes(snapshot, { filterName: `nativeContext_${c.nodeIndex}` })]) },
    ids: { minNodeId, maxNodeId, after: classes(snapshot, { minNodeId, maxNodeId }), before: classes(snapshot, { minNodeId: -1, maxNodeId: minNodeId }) },
    timeline: samples ? samples.timestamps.map((time, i) => [time, samples.lastAssignedIds[i], samples.sizes[i]]) : [],
    allocations: functions > 0 ? allocations(snapshot) : null };
  const out = path.join(directory ?? path.dirname(file), path.basename(file).replace(/\.heapsnapshot(\.gz)?$/, '.filters.json.gz'));
  fs.writeFileSync(out, zlib.gzipSync(JSON.stringify(result), { level: 9 }));
  console.log(path.basename(out), snapshot.nodeCount, 'nodes', fs.statSync(out).size, 'bytes', nativeContexts.length, 'realms', samples ? samples.timestamps.length : 0, 'samples', functions, 'functions');
}
