'use strict';
// Opened snapshots: DevTools' views as promises; every question is answered off this thread.

const path = require('node:path');
const { captured } = require('./in-flight.js');
const { native } = require('./native.js');
const { isStream, readStream } = require('./stream.js');
const { runTask, taskOptions } = require('./task.js');
const check = require('./validate.js');
const { summaryFilter } = require('./filter.js');

const answerOptions = { ...taskOptions, maxMemory: check.number(1) };
const openOptions = { ...answerOptions, threads: check.integer(1, 64) };
const pageOptions = { ...answerOptions, offset: check.integer(0), limit: check.integer(0) };
const summaryOptions = { ...pageOptions, search: check.string, filter: summaryFilter(maxId) };
const pathOptions = { ...answerOptions, limit: check.integer(1, 10_000) };
const compareOptions = { ...openOptions, matchBy: check.oneOf('auto', 'id', 'structure') };
const limitOptions = { ...answerOptions, limit: check.integer(0) };
const suspectOptions = { ...answerOptions, limit: check.integer(0), base: snapshotOption, minSize: check.number(0) };
const exportOptions = { ...answerOptions, overwrite: check.boolean };
const queryOptions = {
  ...pageOptions,
  className: check.string,
  name: textOrRegExp,
  type: check.string,
  minSelfSize: check.number(0),
  maxSelfSize: check.number(0),
  minRetainedSize: check.number(0),
  maxRetainedSize: check.number(0),
  minDistance: check.integer(-5),
  maxDistance: check.integer(-5),
  retainedBy: check.integer(0, 2 ** 32 - 1),
  edgeName: check.string,
  detached: check.boolean
};

// Of a Snapshot: what was allocated in its process later has greater ids.
function maxId(name, snapshot) {
  if (!(snapshot instanceof Snapshot)) throw check.invalid(name, 'a Snapshot', snapshot);
  return fileOf(snapshot).maxJsObjectId();
}

function snapshotOption(name, value) {
  if (!(value instanceof Snapshot)) throw check.invalid(name, 'a Snapshot', value);
  return value;
}

function textOrRegExp(name, value) {
  if (value instanceof RegExp) return value;
  if (typeof value !== 'string') throw check.invalid(name, 'a string or a RegExp', value);
  return check.string(name, value);
}

const nodeId = check.integer(0, 2 ** 32 - 1);

let fileOf; // the native side of a Snapshot

class Snapshot {
  #file;

  static {
    fileOf = (snapshot) => snapshot.#file;
  }

  constructor(file, name) {
    const { root, ...info } = file.info();
    this.#file = file;
    Object.defineProperty(this, 'root', { value: root, enumerable: true });
    Object.defineProperty(this, 'info', { value: Object.freeze({ ...info, file: name }), enumerable: true });
  }

  statistics() {
    return this.#file.statistics();
  }

  node(id) {
    return this.#file.node(nodeId('id', id));
  }

  async summary(options) {
    const { search, filter, offset = 0, limit, ...rest } = check.options(options, summaryOptions);
    if (filter && filter.upTo === 'own') filter.upTo = this.#file.maxJsObjectId();
    return runTask(rest, (task) => this.#file.summary(search, filter, offset, limit, task));
  }

  async nativeContexts(options) {
    return runTask(check.options(options, answerOptions), (task) => this.#file.nativeContexts(task));
  }

  async instances(key, options) {
    check.string('key', key);
    const { offset = 0, limit, ...rest } = check.options(options, pageOptions);
    return runTask(rest, (task) => this.#file.instances(key, offset, limit, task));
  }

  async references(id, options) {
    return this.#edges('references', id, options);
  }

  async retainers(id, options) {
    return this.#edges('retainers', id, options);
  }

  async dominated(id, options) {
    return this.#edges('dominated', id, options);
  }

  async #edges(view, id, options) {
    nodeId('id', id);
    const { offset = 0, limit, ...rest } = check.options(options, pageOptions);
    return runTask(rest, (task) => this.#file[view](id, offset, limit, task));
  }

  async retainingPaths(id, options) {
    nodeId('id', id);
    const { limit = 10, ...rest } = check.options(options, pathOptions);
    return runTask(rest, (task) => this.#file.retainingPaths(id, limit, task));
  }

  async suspects(options) {
    const { limit, base, minSize, ...rest } = check.options(options, suspectOptions);
    return runTask(rest, (task) => this.#file.suspects(base && base.#file, limit, minSize, task));
  }

  async query(options) {
    const { signal, onProgress, maxMemory, name, ...wanted } = check.options(options, queryOptions);
    const pattern = name instanceof RegExp ? { name: name.source, nameFlags: name.flags } : { name };
    return runTask({ signal, onProgress, maxMemory }, (task) => this.#file.query({ ...wanted, ...pattern }, task));
  }

  async offHeap(options) {
    return runTask(check.options(options, answerOptions), (task) => this.#file.offHeap(task));
  }

  async duplicateStrings(options) {
    const { limit, ...rest } = check.options(options, limitOptions);
    return runTask(rest, (task) => this.#file.duplicateStrings(limit, task));
  }

  async timeline(options) {
    return runTask(check.options(options, answerOptions), (task) => this.#file.timeline(task));
  }

  async allocationStack(id, options) {
    nodeId('id', id);
    return runTask(check.options(options, answerOptions), (task) => this.#file.allocationStack(id, task));
  }

  async allocationSites(options) {
    const { limit, ...rest } = check.options(options, limitOptions);
    const { functions, sites } = await runTask(rest, (task) => this.#file.allocationSites(limit, task));
    const flat = ({ frame, parent: _parent, ...numbers }) => ({ ...frame, ...numbers });
    // Parents come before their children, and siblings in their order.
    const nodes = sites.map((site) => ({ ...flat(site), children: [] }));
    sites.forEach(({ parent }, place) => parent !== undefined && nodes[parent].children.push(nodes[place]));
    return { functions: functions.map(flat), root: nodes[0] ?? null };
  }

  async columns(options) {
    return runTask(check.options(options, answerOptions), (task) => this.#file.columns(task));
  }

  async export(directory, options) {
    const folder = path.resolve(check.path('directory', directory));
    const { overwrite = false, ...rest } = check.options(options, exportOptions);
    return { directory: folder, ...(await runTask(rest, (task) => this.#file.export(folder, overwrite, task))) };
  }

  close() {
    this.#file.close();
  }
}

// Node 20 has the symbol from 20.5 on; before, there is nothing `using` could call.
if (Symbol.dispose) {
  Object.defineProperty(Snapshot.prototype, Symbol.dispose, { value: Snapshot.prototype.close, configurable: true, writable: true });
}

async function openSnapshot(source, options) {
  if (isStream(source)) {
    const { maxMemory, threads, ...rest } = check.options(options, openOptions);
    const file = await readStream(source, rest, (input, task) => native().openHeapInput(input, maxMemory, threads, task));
    return new Snapshot(file, typeof source.path === 'string' ? path.resolve(source.path) : '-');
  }
  check.path('file', source);
  const { maxMemory, threads, ...rest } = check.options(options, openOptions);
  const name = path.resolve(source);
  await captured(name, rest.signal);
  return new Snapshot(await runTask(rest, (task) => native().openHeapFile(name, maxMemory, threads, task)), name);
}

// Calls `body` with a Snapshot for each of `sides`, [name, value]: those that are not opened yet are opened, and closed at the end.
async function withSnapshots(sides, options, body) {
  const opened = [];
  const use = async ([name, side]) => {
    if (side === undefined || side instanceof Snapshot) return side;
    if (typeof side !== 'string' && !isStream(side)) throw check.invalid(name, 'a Snapshot, the path of a file or a stream', side);
    const snapshot = await openSnapshot(side, options);
    opened.push(snapshot);
    return snapshot;
  };
  try {
    const snapshots = [];
    for (const side of sides) snapshots.push(await use(side));
    return await body(...snapshots);
  } finally {
    for (const snapshot of opened) snapshot.close();
  }
}

async function compareSnapshots(base, current, options) {
  const { matchBy = 'auto', ...checked } = check.options(options, compareOptions);
  return withSnapshots([['base', base], ['current', current]], checked, (...sides) =>
    runTask(checked, (task) => native().compareHeapFiles(...sides.map(fileOf), matchBy, task)));
}

module.exports = { Snapshot, compareSnapshots, fileOf, openOptions, openSnapshot, withSnapshots };
