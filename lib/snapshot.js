'use strict';
// Opened snapshots: DevTools' views as promises; every question is answered off this thread.

const path = require('node:path');
const { native } = require('./native.js');
const { runTask, taskOptions } = require('./task.js');
const check = require('./validate.js');
const { summaryFilter } = require('./filter.js');

const openOptions = { ...taskOptions, maxMemory: check.number(1) };
const pageOptions = { ...openOptions, offset: check.integer(0), limit: check.integer(0) };
const summaryOptions = { ...pageOptions, search: check.string, filter: summaryFilter(maxId) };
const pathOptions = { ...openOptions, limit: check.integer(1, 10_000) };
const compareOptions = { ...openOptions, matchBy: check.oneOf('auto', 'id', 'structure') };
const limitOptions = { ...openOptions, limit: check.integer(0) };
const suspectOptions = { ...openOptions, limit: check.integer(0), base: snapshotOption };
const queryOptions = {
  ...taskOptions,
  offset: check.integer(0),
  limit: check.integer(0),
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
    return runTask(check.options(options, openOptions), (task) => this.#file.nativeContexts(task));
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
    const { limit, base, ...rest } = check.options(options, suspectOptions);
    return runTask(rest, (task) => this.#file.suspects(base && base.#file, limit, task));
  }

  async query(options) {
    const { signal, onProgress, name, ...wanted } = check.options(options, queryOptions);
    const pattern = name instanceof RegExp ? { name: name.source, nameFlags: name.flags } : { name };
    return runTask({ signal, onProgress }, (task) => this.#file.query({ ...wanted, ...pattern }, task));
  }

  async offHeap(options) {
    return runTask(check.options(options, openOptions), (task) => this.#file.offHeap(task));
  }

  async duplicateStrings(options) {
    const { limit, ...rest } = check.options(options, limitOptions);
    return runTask(rest, (task) => this.#file.duplicateStrings(limit, task));
  }

  async timeline(options) {
    return runTask(check.options(options, openOptions), (task) => this.#file.timeline(task));
  }

  async allocationStack(id, options) {
    nodeId('id', id);
    return runTask(check.options(options, openOptions), (task) => this.#file.allocationStack(id, task));
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
    return runTask(check.options(options, openOptions), (task) => this.#file.columns(task));
  }

  close() {
    this.#file.close();
  }
}

// Node 20 has the symbol from 20.5 on; before, there is nothing `using` could call.
if (Symbol.dispose) {
  Object.defineProperty(Snapshot.prototype, Symbol.dispose, { value: Snapshot.prototype.close, configurable: true, writable: true });
}

async function openSnapshot(file, options) {
  check.path('file', file);
  const { maxMemory, ...rest } = check.options(options, openOptions);
  const name = path.resolve(file);
  return new Snapshot(await runTask(rest, (task) => native().openHeapFile(name, maxMemory, task)), name);
}

async function compareSnapshots(base, current, options) {
  const { matchBy = 'auto', ...checked } = check.options(options, compareOptions);
  const opened = [];
  const use = async (name, side) => {
    if (side instanceof Snapshot) return side;
    if (typeof side !== 'string') throw check.invalid(name, 'a Snapshot or the path of a file', side);
    const snapshot = await openSnapshot(side, checked);
    opened.push(snapshot);
    return snapshot;
  };
  try {
    const sides = [await use('base', base), await use('current', current)].map(fileOf);
    return await runTask(checked, (task) => native().compareHeapFiles(...sides, matchBy, task));
  } finally {
    for (const snapshot of opened) snapshot.close();
  }
}

module.exports = { Snapshot, compareSnapshots, openOptions, openSnapshot };
