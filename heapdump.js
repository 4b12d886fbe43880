'use strict';
// heaprs/heapdump: runs programs written for heapdump.

const { isMainThread } = require('node:worker_threads');
const { writeHeapSnapshot } = require('./lib/capture.js');
const { dumpAsHeapdump } = require('./lib/dump.js');

// Success is told to the callback, within this call as heapdump did, and by what is returned.
exports.writeSnapshot = function writeSnapshot(filename, callback) {
  if (typeof filename === 'function') [filename, callback] = [undefined, filename];
  const file = typeof filename === 'string' ? filename : defaultName();
  let failure;
  try {
    writeHeapSnapshot(file);
  } catch (error) {
    failure = heapdumpError(error);
  }
  if (typeof callback === 'function') {
    if (failure) callback(failure);
    else callback(null, file);
  }
  return !failure;
};

// As heapdump made it: the monotonic clock, in milliseconds and what is left of them in nanoseconds.
function defaultName() {
  const now = process.hrtime.bigint();
  return `heapdump-${now / 1_000_000n}.${now % 1_000_000n}.heapsnapshot`;
}

const ERRNO = { ERR_HEAPRS_NOT_FOUND: 'ENOENT', ERR_HEAPRS_PERMISSION: 'EACCES', ERR_HEAPRS_NOT_A_FILE: 'EISDIR', ERR_HEAPRS_NO_SPACE: 'ENOSPC', ERR_HEAPRS_IO: 'EIO' };

function heapdumpError(error) {
  const { code = 'ERR_HEAPRS_INTERNAL', file } = error;
  return Object.assign(new Error(`heapdump write error ${ERRNO[code] ?? code}: ${error.message}`, { cause: error }), { code, ...(file && { file }) });
}

const known = new Set(['', 'signal', 'nosignal', 'fork', 'nofork']);
const given = (process.env.NODE_HEAPDUMP_OPTIONS ?? '').split(/\s*,\s*/);
for (const option of given) {
  if (!known.has(option)) console.error('heaprs/heapdump: unrecognized option in NODE_HEAPDUMP_OPTIONS:', option);
}

// The last one given wins. Signals reach the main thread only, and Windows has none.
const bySignal = given.findLast((option) => option.endsWith('signal')) !== 'nosignal';
if (bySignal && isMainThread && process.platform !== 'win32') {
  try {
    // Also while JavaScript is busy; one dump with dumpOnSignal() and heaprs/register.
    dumpAsHeapdump('SIGUSR2').on('failed', (error) => console.error(heapdumpError(error).message));
  } catch {
    process.on('SIGUSR2', () => exports.writeSnapshot());
  }
}
