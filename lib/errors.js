'use strict';
// Errors with a stable code, as the native side makes them.

function fail(code, message, extra) {
  const { cause, ...properties } = extra || {};
  const error = new Error(message, cause === undefined ? undefined : { cause });
  return Object.assign(error, { code }, properties);
}

// What an aborted operation rejects with: named as the platform names it, coded as heaprs codes it.
function aborted(signal) {
  const error = fail('ERR_HEAPRS_ABORTED', 'the operation was aborted', { cause: signal && signal.reason });
  error.name = 'AbortError';
  return error;
}

module.exports = { fail, aborted };
