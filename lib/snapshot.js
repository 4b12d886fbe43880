'use strict';
// Opened snapshots: DevTools' views as promises; every question is answered off this thread.

const path = require('node:path');
const { native } = require('./native.js');
const { runTask, taskOptions } = require('./task.js');
const check = require('./validate.js');
const { fail } = require('./errors.js');

const openOptions = { ...taskOptions, maxMemory: check.number(1) };
const pageOptions = { ...openOptions, offset: check.integer(0), limit: check.integer(0) };
const summaryOptions = { ...pageOptions, search: check.string, filter: notYet };
const pathOptions = { ...openOptions, limit: check.integer(1, 10_000) };
const stringOptions = { ...openOptions, limit: check.integer(0) };

function notYet(name) {
  throw fail('ERR_HEAPRS_UNAVAILABLE', `${name} is not available in this version of heaprs`, { argument: name });
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
    const { search, offset = 0, limit, ...rest } = check.options(options, summaryOptions);
    return runTask(rest, (task) => this.#file.summary(search, offset, limit, task));
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

  async duplicateStrings(options) {
    const { limit, ...rest } = check.options(options, stringOptions);
    return runTask(rest, (task) => this.#file.duplicateStrings(limit, task));
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
  const checked = check.options(options, openOptions);
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
    const rows = await runTask(checked, (task) => native().compareHeapFiles(...sides, task));
    return { matchedBy: 'id', rows };
  } finally {
    for (const snapshot of opened) snapshot.close();
  }
}

module.exports = { Snapshot, compareSnapshots, openOptions, openSnapshot };
