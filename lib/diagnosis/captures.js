'use strict';
// The two captures of a diagnosis: files without a name that only this process and its helper can read, unless the user wants to
// keep them.

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { captureHeapSnapshot } = require('../capture.js');

// The whole of one capture: a diagnosis that takes longer than this is of no use.
const TIMEOUT_MS = 2 * 60 * 1000;

// Takes one; `which` is 'base' or 'current', `abort` a signal beside the user's own. Resolves to { fd, at, mode, pauseMs, … , release() }, or to { error }: never rejects.
async function takeCapture(diagnose, which, abort) {
  const { file, directory, ...options } = typeof diagnose === 'object' ? diagnose : {};
  const keep = directory !== undefined || (file !== undefined && which === 'current');
  let folder;
  let captured;
  try {
    if (!keep) folder = fs.mkdtempSync(path.join(os.tmpdir(), '.heaprs-'));
    const named = file !== undefined && which === 'current' ? { file } : { directory };
    const target = keep ? named : { file: path.join(folder, `${which}.heapsnapshot.gz`) };
    const at = performance.now();
    const signals = [options.signal, abort].filter(Boolean);
    const signal = signals.length > 0 ? { signal: AbortSignal.any(signals) } : undefined;
    captured = await captureHeapSnapshot({ mode: 'fork', timeoutMs: TIMEOUT_MS, ...options, ...target, ...signal });
    const fd = fs.openSync(captured.file, 'r');
    const { mode, pauseMs, durationMs, childCpuMs = 0, childPeakBytes = 0 } = captured;
    return { fd, at, mode, pauseMs, durationMs, childCpuMs, childPeakBytes, kept: keep ? captured.file : undefined, closed: false, release };
  } catch (error) {
    return { error };
  } finally {
    // Whoever has it open can still read it; nobody else, and nothing is left of it when this process ends, however that happens.
    if (folder) remove(folder, captured !== undefined);
  }
}

// Removing a large file may take a while. Where nothing was captured there is none, and maybe the system gives no more threads: Node would
// end the process if it could not start those that it removes files with.
function remove(folder, large) {
  const options = { recursive: true, force: true };
  if (large) fs.rm(folder, options, () => {});
  else fs.rmSync(folder, options);
}

// A descriptor that is closed twice may be somebody else's the second time.
function release() {
  if (!this.closed) fs.close(this.fd, () => {});
  this.closed = true;
}

module.exports = { takeCapture };
