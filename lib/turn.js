'use strict';
// One capture of an isolate at a time: those of policies (a signal, the heap limit, a caller at the socket) count as well.

const { aborted, fail } = require('./errors.js');
const { native } = require('./native.js');

const LOOK_MS = 20;

// Resolves once no capture of this isolate is under way. Nothing is reserved meanwhile: a policy's dump has to come through while JavaScript is in
// an endless loop. Who begins a capture is told when another has come before.
async function waitForTurn({ signal }, deadline) {
  while (native().isCapturing()) {
    if (signal && signal.aborted) throw aborted(signal);
    if (performance.now() >= deadline) throw fail('ERR_HEAPRS_TIMEOUT', 'another capture of this isolate was under way until the deadline (timeoutMs) passed');
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

module.exports = { waitForTurn };
