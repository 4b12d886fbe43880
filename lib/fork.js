'use strict';
// Captures by fork, as far as JavaScript has a part in them: waiting for a moment when V8's helper threads are idle, trying again, and
// knowing when it is no use.

const { fail } = require('./errors.js');
const { native } = require('./native.js');
const { waitForTurn } = require('./turn.js');
const { runTask } = require('./task.js');

const ATTEMPTS = 3;
// Forking while V8 marks the heap beside JavaScript fails in some cases of a hundred; after this long it is tried all the same.
const PATIENCE_MS = 2000;
// How long one turn of the loop may wait for the moment.
const SPIN_MS = 0.5;

// What mode 'auto' answers with an inline capture. Anything else (a full disk, an abort) would befall that one, too.
const FALL_BACK = new Set(['ERR_HEAPRS_FORK_FAILED', 'ERR_HEAPRS_UNAVAILABLE', 'ERR_HEAPRS_MEMORY_BUDGET']);

function forkSupport() {
  const reason = native().unavailableFeatures().fork;
  return reason === undefined || reason === null ? { supported: true } : { supported: false, reason };
}

// Resolves to { summary } of a written file, or to { fallbackReason, memoryIsShort } where `mode` allows another way; `spent` counts attempts and pauses.
async function captureByFork(options, request, spent) {
  const { mode = 'auto', comparableIds = false } = options;
  const giveUp = (error, running = false) => {
    const memory = error.code === 'ERR_HEAPRS_MEMORY_BUDGET';
    // Where a child has come to the end of memory, the same walk in this process would come to the end of this process.
    if (mode === 'fork' || !FALL_BACK.has(error.code) || (memory && running)) throw error;
    return { fallbackReason: error.message, memoryIsShort: memory };
  };
  const { reason } = forkSupport();
  if (reason) return giveUp(fail('ERR_HEAPRS_UNAVAILABLE', `a capture by fork is not possible here: ${reason}`));
  for (let attempt = 1; ; attempt++) {
    let running = false;
    try {
      await waitForTurn(options, spent.deadline);
      const prepared = await quietMoment(options);
      spent.attempts++;
      const summary = await runTask(options, (task) => {
        const start = performance.now();
        try {
          const written = prepared.start(request(), comparableIds, mode === 'fork', task);
          running = written !== null;
          return written;
        } finally {
          spent.pauseMs += performance.now() - start;
        }
      });
      if (summary !== null) return { summary };
      // A policy's dump has come before: that was no attempt.
      spent.attempts--;
      attempt--;
    } catch (error) {
      if (error.code !== 'ERR_HEAPRS_FORK_FAILED' || attempt === ATTEMPTS) return giveUp(error, running);
    }
  }
}

// Waits, turn by turn of the event loop, for a moment to fork in; resolves to a process prepared for it.
async function quietMoment({ signal }) {
  const start = performance.now();
  let prepared;
  for (let turn = 0; ; turn++) {
    if (prepared === undefined || prepared.stale) prepared = await runTask({ signal }, (task) => native().prepareFork(task));
    if (prepared.quiet(SPIN_MS) || performance.now() - start > PATIENCE_MS) return prepared;
    if (signal && signal.aborted) await runTask({ signal }, () => {}); // rejects as every aborted operation
    await new Promise((resolve) => (turn < 10 ? setImmediate(resolve) : setTimeout(resolve, Math.min(turn - 9, 20))));
  }
}

module.exports = { captureByFork, forkSupport };
