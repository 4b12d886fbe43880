'use strict';
// Captures of this thread that are on their way, by the file they will be: who opens one of them waits for it.

const { aborted } = require('./errors.js');

const running = new Map();

// Notes that `promise` will make `file`.
function begin(file, promise) {
  const done = promise.then(() => {}, () => {}).finally(() => {
    if (running.get(file) === done) running.delete(file);
  });
  running.set(file, done);
}

// Resolves when no capture to `file` is under way. How it ended shows when the file is opened.
async function captured(file, signal) {
  const done = running.get(file);
  if (!done) return;
  if (!signal) return done;
  let abort;
  const cancelled = new Promise((_, reject) => {
    abort = () => reject(aborted(signal));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  return Promise.race([done, cancelled]).finally(() => signal.removeEventListener('abort', abort));
}

module.exports = { begin, captured };
