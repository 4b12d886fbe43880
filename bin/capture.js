'use strict';
// `heaprs capture PID`: a snapshot of a running Node.js process, through heaprs in it where that listens, else through its inspector.

const path = require('node:path');

/** The options of the command, for parseArgs. */
const OPTIONS = {
  output: { type: 'string', short: 'o' },
  port: { type: 'string' },
  socket: { type: 'string' },
  redact: { type: 'boolean' },
  'redact-names': { type: 'boolean' },
  overwrite: { type: 'boolean' },
  timeout: { type: 'string' }
};

/** Captures the process `pid`; the file is compressed unless `output` names it otherwise. */
async function captureProcess({ pid, output, overwrite, port, socket, redact, timeoutMs, signal, onProgress }) {
  const told = process.stderr.isTTY ? (text) => process.stderr.write(`heaprs: ${text}\n`) : undefined;
  const call = { timeoutMs, signal, onProgress, told };
  // A port is the inspector's.
  const captured = port === undefined ? await throughHeaprs(pid, { socket, file: output, overwrite, redact, ...call }) : undefined;
  return captured ?? throughInspector(pid, { output, overwrite, port, redact, ...call });
}

async function throughHeaprs(pid, request) {
  const { captureThroughHeaprs } = require('../lib/ask.js');
  const { fail } = require('../lib/errors.js');
  const captured = await captureThroughHeaprs(pid, request);
  if (!captured && request.socket !== undefined) throw fail('ERR_HEAPRS_UNAVAILABLE', `heaprs does not listen at ${request.socket}`);
  return captured;
}

async function throughInspector(pid, { output, overwrite, port, redact, timeoutMs, ...call }) {
  const { captureThroughInspector } = require('../lib/inspector/capture.js');
  const { defaultName } = require('../lib/naming.js');
  const { redactionName } = require('../lib/redact.js');
  const file = path.resolve(output ?? `${defaultName({ pid })}.gz`);
  const request = {
    file,
    overwrite,
    compress: file.endsWith('.gz'),
    minFreeDisk: 256 * 1024 * 1024,
    timeoutMs,
    exposeInternals: false,
    exposeNumericValues: false,
    redact: redactionName(redact),
    releaseObjectIds: false
  };
  return captureThroughInspector(pid, { request, port, ...call });
}

module.exports = { OPTIONS, captureProcess };
