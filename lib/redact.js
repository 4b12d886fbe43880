'use strict';
// Files without the contents of strings.

const path = require('node:path');
const { fail } = require('./errors.js');
const { captured } = require('./in-flight.js');
const { native } = require('./native.js');
const { runTask, taskOptions } = require('./task.js');
const check = require('./validate.js');

const redactOptions = {
  ...taskOptions,
  names: check.boolean,
  keepNumbers: check.boolean,
  compress: check.boolean,
  overwrite: check.boolean,
  minFreeDisk: check.number(0),
};

async function redactSnapshot(input, output, options) {
  const from = path.resolve(check.path('input', input));
  const to = path.resolve(check.path('output', output));
  const { names = false, keepNumbers = false, compress = to.endsWith('.gz'), overwrite = false, minFreeDisk = 0, ...call } = check.options(options, redactOptions);
  if (from === to) throw fail('ERR_HEAPRS_INVALID_ARGUMENT', `output must be another file than input (${to})`, { argument: 'output' });
  await captured(from, call.signal);
  const request = { input: from, output: to, redact: redactionName(names ? 'names' : true), keepNumbers, compress, overwrite, minFreeDisk };
  const summary = await runTask(call, (task) => native().redactSnapshot(request, task));
  return { file: to, ...summary };
}

// The addon's name of what the option `redact` asks for; undefined for nothing.
function redactionName(redact) {
  return redact === 'names' ? 'names' : redact ? 'contents' : undefined;
}

module.exports = { redactSnapshot, redactionName };
