'use strict';
// `analyze`: the report that one file, or two, come down to.

const { native } = require('./native.js');
const { Snapshot, fileOf, openOptions, withSnapshots } = require('./snapshot.js');
const { isStream } = require('./stream.js');
const { runTask } = require('./task.js');
const check = require('./validate.js');
const { fail } = require('./errors.js');

const analyzeOptions = { ...openOptions, base: openable, limit: check.integer(0) };
const textOptions = { color: check.boolean, width: check.integer(20, 10_000) };

function openable(name, value) {
  return value instanceof Snapshot || isStream(value) ? value : check.path(name, value);
}

class Report {
  #report;

  constructor(report) {
    this.#report = report;
  }

  toJSON() {
    return JSON.parse(this.#report.toJsonText());
  }

  toText(options) {
    const { color = false, width } = check.options(options, textOptions);
    return this.#report.toText(width, color);
  }

  toMarkdown() {
    return this.#report.toMarkdown();
  }

  toHTML() {
    throw fail('ERR_HEAPRS_UNAVAILABLE', 'HTML reports are not available in this version of heaprs; use toMarkdown() or toText()');
  }
}

async function analyze(source, options) {
  if (!(source instanceof Snapshot) && !isStream(source)) check.path('file', source);
  const { base, limit, ...rest } = check.options(options, analyzeOptions);
  return withSnapshots([['base', base], ['file', source]], rest, async (before, snapshot) => {
    const { maxMemory: _opened, threads: _used, ...call } = rest;
    const sides = [fileOf(snapshot), snapshot.info.file, before && fileOf(before), before?.info.file];
    return new Report(await runTask(call, (task) => native().reportHeap(...sides, limit, task)));
  });
}

module.exports = { Report, analyze };
