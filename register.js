'use strict';
// `node -r heaprs/register app.js`, `--import heaprs/register`, or either in NODE_OPTIONS: what environment variables ask for, without a line of
// code. A wrong value is a warning and never stops the app.
//
// HEAPRS_SIGNAL           the signal to dump at (default SIGUSR2), or off
// HEAPRS_NEAR_HEAP_LIMIT  dump before V8 gives up, so many times (default: not)
// HEAPRS_LEAK             on: look for leaks, and warn
// HEAPRS_DIR              where files go (default: --diagnostic-dir, else the working directory)
// HEAPRS_MODE             auto, fork or inline
// HEAPRS_COMPRESS         on (default) or off
// HEAPRS_REDACT           on, names or off (default)
// HEAPRS_SOCKET           the path to listen on for `heaprs capture PID`, or off

const { isMainThread } = require('node:worker_threads');
const heaprs = require('./index.js');

const SWITCH = { on: true, true: true, 1: true, yes: true, off: false, false: false, 0: false, no: false };

function warn(message, code = 'HEAPRS_REGISTER') {
  process.emitWarning(message, { type: 'HeaprsWarning', code });
}

// The variable's value as `parse` understands it; undefined where it is not set, or means nothing.
function variable(name, expected, parse) {
  const text = process.env[name];
  if (text === undefined || text === '') return undefined;
  const value = parse(text);
  if (value === undefined) warn(`${name} must be ${expected}, not '${text}'; it is ignored`);
  return value;
}

const onOff = (text) => SWITCH[text.toLowerCase()];

function captureOptions() {
  const mode = variable('HEAPRS_MODE', 'auto, fork or inline', (text) => (['auto', 'fork', 'inline'].includes(text) ? text : undefined));
  const compress = variable('HEAPRS_COMPRESS', 'on or off', onOff);
  // Who misspells this wants no secrets in files.
  const redact = process.env.HEAPRS_REDACT ? variable('HEAPRS_REDACT', 'on, names or off', (text) => (text === 'names' ? text : onOff(text))) ?? true : undefined;
  return { directory: process.env.HEAPRS_DIR || undefined, mode, compress, redact };
}

function begin(what, start) {
  try {
    return start();
  } catch (error) {
    warn(`${what}: ${error.message}`, error.code);
    return undefined;
  }
}

// What nobody has asked for needs no word where it can't be, as in a container without a folder to write to.
function quietly(start) {
  try {
    start();
  } catch {
    // `heaprs capture` goes through the inspector then.
  }
}

const listening = (dump) => dump?.on('failed', (error) => warn(`no dump: ${error.message}`, error.code));

const options = captureOptions();
const signal = process.env.HEAPRS_SIGNAL || 'SIGUSR2';
// One thread answers for the process; what belongs to a heap, every thread does for itself.
if (isMainThread && signal !== 'off') listening(begin('HEAPRS_SIGNAL', () => heaprs.dumpOnSignal(signal, options)));

const nearLimit = variable('HEAPRS_NEAR_HEAP_LIMIT', 'a number of dumps', (text) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined));
if (nearLimit) listening(begin('HEAPRS_NEAR_HEAP_LIMIT', () => heaprs.dumpNearHeapLimit({ ...options, maxDumps: nearLimit })));

if (variable('HEAPRS_LEAK', 'on or off', onOff)) {
  begin('HEAPRS_LEAK', () => new heaprs.LeakDetector().on('leak', (report) => warn(`a leak: ${report.reason}`, 'HEAPRS_LEAK')).start());
}

// Who asks is told what came of it; the app's output is not the place.
const socket = process.env.HEAPRS_SOCKET;
const listen = () => heaprs.listen({ ...options, path: socket || undefined });
if (isMainThread && socket !== 'off') {
  if (socket) begin('HEAPRS_SOCKET', listen);
  else quietly(listen);
}
