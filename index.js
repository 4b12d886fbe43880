'use strict';
// heaprs's face: what `index.d.ts` documents, gathered. Loading starts nothing.

const { writeHeapSnapshot, getHeapSnapshot, captureHeapSnapshot, releaseObjectIds, forkSupport } = require('./lib/capture.js');
const { Snapshot, compareSnapshots, openSnapshot } = require('./lib/snapshot.js');
const { redactSnapshot } = require('./lib/redact.js');
const { LeakDetector } = require('./lib/detector.js');
const { Report, analyze } = require('./lib/report.js');

module.exports = {
  writeHeapSnapshot,
  getHeapSnapshot,
  captureHeapSnapshot,
  releaseObjectIds,
  redactSnapshot,
  forkSupport,
  LeakDetector,
  openSnapshot,
  compareSnapshots,
  Snapshot,
  analyze,
  Report,
};
