'use strict';
// heaprs's face: what `index.d.ts` documents, gathered. Loading starts nothing; in a worker thread it makes the thread known to `threads: 'all'`.

const { writeHeapSnapshot, getHeapSnapshot, captureHeapSnapshot, releaseObjectIds, forkSupport } = require('./lib/capture.js');
const { dumpNearHeapLimit, dumpOnSignal, listen, registerThread } = require('./lib/dump.js');
const { Snapshot, compareSnapshots, openSnapshot } = require('./lib/snapshot.js');
const { redactSnapshot } = require('./lib/redact.js');
const { LeakDetector } = require('./lib/detector.js');
const { Report, analyze } = require('./lib/report.js');

// A worker thread must be known before somebody asks for `threads: 'all'`.
if (!require('node:worker_threads').isMainThread) {
  try {
    registerThread();
  } catch {
    // Said when it is used.
  }
}

module.exports = {
  writeHeapSnapshot,
  getHeapSnapshot,
  captureHeapSnapshot,
  releaseObjectIds,
  redactSnapshot,
  forkSupport,
  dumpOnSignal,
  dumpNearHeapLimit,
  listen,
  LeakDetector,
  openSnapshot,
  compareSnapshots,
  Snapshot,
  analyze,
  Report,
};
