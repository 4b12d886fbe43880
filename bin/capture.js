'use strict';
// `heaprs capture PID`: a snapshot of a running Node.js process, through its inspector.

const path = require('node:path');

/** The options of the command, for parseArgs. */
const OPTIONS = {
  output: { type: 'string', short: 'o' },
  port: { type: 'string' },
  overwrite: { type: 'boolean' },
  timeout: { type: 'string' }
};

/** Captures the process `pid`; the file is compressed unless `output` names it otherwise. */
async function captureProcess({ pid, output, overwrite, port, timeoutMs, signal, onProgress }) {
  const { captureThroughInspector } = require('../lib/inspector/capture.js');
  const { defaultName } = require('../lib/naming.js');
  const file = path.resolve(output ?? `${defaultName({ pid })}.gz`);
  const request = {
    file,
    overwrite,
    compress: file.endsWith('.gz'),
    minFreeDisk: 256 * 1024 * 1024,
    timeoutMs,
    exposeInternals: false,
    exposeNumericValues: false,
    releaseObjectIds: false
  };
  const told = process.stderr.isTTY ? (text) => process.stderr.write(`heaprs: ${text}\n`) : undefined;
  return captureThroughInspector(pid, { request, port, signal, onProgress, told });
}

module.exports = { OPTIONS, captureProcess };
