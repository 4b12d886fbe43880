'use strict';
// One call of a long operation: its AbortSignal, its progress callback, its native task.

const { aborted } = require('./errors.js');
const { native } = require('./native.js');
const { abortSignal, callback } = require('./validate.js');

// The options every long operation takes.
const taskOptions = { signal: abortSignal, onProgress: callback };

// Runs `start(task)`, which returns the native promise, under the given signal and progress callback. `maxMemory` is what the answer
// may take of its own.
async function runTask({ signal, onProgress, maxMemory }, start) {
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
  const task = new (native().Task)(report, maxMemory);
  const cancel = () => task.cancel();
  if (signal) signal.addEventListener('abort', cancel, { once: true });
  abandonAtExit(task);
  try {
    return await start(task);
  } catch (error) {
    if (thrown) throw thrown.error;
    if (error.code === 'ERR_HEAPRS_ABORTED' && signal && signal.aborted) throw aborted(signal);
    throw error;
  } finally {
    running.delete(task);
    if (running.size === 0) process.removeListener('exit', abandonAll);
    if (signal) signal.removeEventListener('abort', cancel);
  }
}

// process.exit() runs no cleanup hooks of addons: what is running then is cancelled here, so that nothing half-written stays.
const running = new Set();

function abandonAtExit(task) {
  if (running.size === 0) process.on('exit', abandonAll);
  running.add(task);
}

function abandonAll() {
  for (const task of running) task.cancel();
  for (const task of running) task.abandon();
}

module.exports = { runTask, taskOptions };
