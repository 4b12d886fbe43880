'use strict';
// One call of a long operation: its AbortSignal, its progress callback, its native task.

const binding = require('../binding.js');
const { aborted } = require('./errors.js');
const { abortSignal, callback } = require('./validate.js');

// The options every long operation takes.
const taskOptions = { signal: abortSignal, onProgress: callback };

// Runs `start(task)`, which returns the native promise, under the given signal and progress callback.
async function runTask({ signal, onProgress }, start) {
  if (signal && signal.aborted) throw aborted(signal);
  let thrown;
  const report = onProgress && ((phase, done, total) => {
    if (thrown) return;
    try {
      onProgress({ phase, done, total });
    } catch (error) {
      // The caller's own mistake ends the caller's own operation, not the process.
      thrown = { error };
      task.cancel();
    }
  });
  const task = new binding.Task(report);
  const cancel = () => task.cancel();
  if (signal) signal.addEventListener('abort', cancel, { once: true });
  try {
    return await start(task);
  } catch (error) {
    if (thrown) throw thrown.error;
    if (error.code === 'ERR_HEAPRS_ABORTED' && signal && signal.aborted) throw aborted(signal);
    throw error;
  } finally {
    if (signal) signal.removeEventListener('abort', cancel);
  }
}

module.exports = { runTask, taskOptions };
