'use strict';
// The options of captures, checked: for captureHeapSnapshot() and for the policies that capture later.

const { quotaOptions } = require('./quota.js');
const { taskOptions } = require('./task.js');
const check = require('./validate.js');

const v8Options = { exposeInternals: check.boolean, exposeNumericValues: check.boolean };

const captureOptions = {
  ...v8Options,
  ...taskOptions,
  file: check.path,
  directory: check.path,
  mode: check.oneOf('auto', 'fork', 'inline'),
  compress: check.boolean,
  redact: check.oneOf(true, false, 'names'),
  comparableIds: check.boolean,
  overwrite: check.boolean,
  quota: quotaOptions,
  timeoutMs: check.number(1),
  minFreeDisk: check.number(0),
};

module.exports = { captureOptions, v8Options };
