'use strict';
// `analyze`: the report that one file, or two, come down to.

const path = require('node:path');
const { native } = require('./native.js');
const { openOptions } = require('./snapshot.js');
const { runTask } = require('./task.js');
const check = require('./validate.js');
const { fail } = require('./errors.js');

const analyzeOptions = { ...openOptions, base: check.path, limit: check.integer(0) };
const textOptions = { color: check.boolean, width: check.integer(20, 10_000) };

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

async function analyze(file, options) {
  check.path('file', file);
  const { base, limit, maxMemory, ...rest } = check.options(options, analyzeOptions);
  const files = [path.resolve(file), base === undefined ? undefined : path.resolve(base)];
  return new Report(await runTask(rest, (task) => native().reportHeapFile(...files, limit, maxMemory, task)));
}

module.exports = { Report, analyze };
