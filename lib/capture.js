'use strict';
// Snapshots of this isolate: drop-ins for node:v8's two functions, and captureHeapSnapshot.

const fs = require('node:fs');
const path = require('node:path');
const { Readable } = require('node:stream');
const { fileURLToPath } = require('node:url');
const { captureOptions, v8Options } = require('./capture-options.js');
const { aborted, fail } = require('./errors.js');
const { captureByFork, forkSupport } = require('./fork.js');
const { begin } = require('./in-flight.js');
const { defaultName, diagnosticDir, inDirectory } = require('./naming.js');
const { native } = require('./native.js');
const { debuggerAttached, keepObjectIds, releaseObjectIds } = require('./object-ids.js');
const { enforceQuota } = require('./quota.js');
const { redactionName } = require('./redact.js');
const { published } = require('./publish.js');
const { runTask } = require('./task.js');
const { waitForTurn } = require('./turn.js');
const check = require('./validate.js');

const TEN_MINUTES = 10 * 60 * 1000;

function writeHeapSnapshot(filename, options) {
  const { exposeInternals = false, exposeNumericValues = false } = check.options(options, v8Options);
  const name = filename === undefined ? inDirectory(diagnosticDir(), defaultName()) : toPath(filename);
  const request = {
    file: path.resolve(name),
    overwrite: true,
    compress: name.endsWith('.gz'),
    minFreeDisk: 0,
    exposeInternals,
    exposeNumericValues,
    releaseObjectIds: false,
  };
  withoutSymbols(request);
  keepObjectIds();
  native().writeHeapSnapshot(request);
  return name;
}

function toPath(filename) {
  if (filename instanceof URL) return fileURLToPath(filename);
  if (filename instanceof Uint8Array) return check.path('filename', Buffer.from(filename).toString());
  return check.path('filename', filename);
}

function getHeapSnapshot(options) {
  const { exposeInternals = false, exposeNumericValues = false } = check.options(options, v8Options);
  if (native().unavailableFeatures().snapshot) return require('node:v8').getHeapSnapshot({ exposeInternals, exposeNumericValues });
  let text = native().heapSnapshotText(exposeInternals, exposeNumericValues);
  return new Readable({
    read() {
      try {
        this.push(text.next());
      } catch (error) {
        this.destroy(error);
      }
    },
    destroy(error, callback) {
      text = undefined;
      callback(error);
    },
  });
}

// Captures of one isolate queue up: each begins when the one before has settled.
let last = Promise.resolve();

function captureHeapSnapshot(options) {
  const result = published(enqueue(options));
  if (typeof options?.file === 'string') begin(path.resolve(options.file), result);
  return result;
}

async function enqueue(options) {
  const checked = check.options(options, captureOptions);
  if (checked.file !== undefined && checked.directory !== undefined) {
    throw fail('ERR_HEAPRS_INVALID_ARGUMENT', 'options.file and options.directory exclude each other', { argument: 'options.directory' });
  }
  const before = last;
  return (last = whenDone(before, checked.signal).then(() => capture(checked)));
}

// Waits for the capture before, whose failure is its own caller's; an abort ends the wait.
function whenDone(before, signal) {
  const settled = before.then(() => {}, () => {});
  if (!signal) return settled;
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(aborted(signal));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
    settled.then(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
  });
}

async function capture(options) {
  const start = performance.now();
  const { file, mode = 'auto', comparableIds = false, timeoutMs = TEN_MINUTES } = options;
  if (comparableIds) keepObjectIds();
  const compress = options.compress ?? (file === undefined || file.endsWith('.gz'));
  const directory = options.directory ?? diagnosticDir();
  const spent = { attempts: 0, pauseMs: 0, deadline: start + timeoutMs };
  for (;;) {
    const target = path.resolve(file ?? inDirectory(directory, defaultName() + (compress ? '.gz' : '')));
    const request = () => ({
      file: target,
      overwrite: options.overwrite ?? false,
      compress,
      minFreeDisk: options.minFreeDisk ?? 256 * 1024 * 1024,
      exposeInternals: options.exposeInternals ?? false,
      exposeNumericValues: options.exposeNumericValues ?? false,
      redact: redactionName(options.redact),
      releaseObjectIds: !comparableIds && !debuggerAttached(),
      timeoutMs: Math.max(1, spent.deadline - performance.now()),
    });
    try {
      const forked = mode === 'inline' ? {} : await captureByFork(options, request, spent);
      const { pauseMs: _, ...summary } = forked.summary ?? (await captureInline(options, () => ({ ...request(), memoryIsShort: forked.memoryIsShort ?? false }), spent));
      return {
        file: target,
        ...summary,
        mode: forked.summary ? 'fork' : 'inline',
        ...(forked.fallbackReason && { fallbackReason: forked.fallbackReason }),
        pauseMs: spent.pauseMs,
        durationMs: performance.now() - start,
        attempts: spent.attempts,
        ...(options.quota && { removed: await enforceQuota(target, options.quota) }),
      };
    } catch (error) {
      // A name we chose that something else has taken: the next number is free.
      if (file === undefined && error.code === 'ERR_HEAPRS_FILE_EXISTS') continue;
      throw error;
    }
  }
}

// V8 walks the heap in this call, while JavaScript stands still.
async function captureInline(options, request, spent) {
  spent.attempts++;
  for (;;) {
    await waitForTurn(options, spent.deadline);
    const summary = await runTask(options, (task) => {
      const asked = request();
      spent.pauseMs += withoutSymbols(asked);
      return native().captureHeapSnapshot(asked, task);
    });
    if (summary === null) continue; // a policy's dump has come before
    spent.pauseMs += summary.pauseMs;
    return summary;
  }
}

// Where V8's symbols can't be used, V8 writes the file itself through node:v8, beside the target and readable by nobody
// else, and the native side takes it from there. Returns how long that stopped JavaScript, in milliseconds.
function withoutSymbols(request) {
  if (!native().unavailableFeatures().snapshot) return 0;
  const temporary = path.join(path.dirname(request.file), `.heaprs-${process.pid}-${native().nextSequence()}.tmp`);
  const start = performance.now();
  try {
    fs.closeSync(fs.openSync(temporary, 'wx', 0o600));
    require('node:v8').writeHeapSnapshot(temporary, { exposeInternals: request.exposeInternals, exposeNumericValues: request.exposeNumericValues });
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    throw fromSystem(error, request.file);
  }
  request.writtenByV8 = temporary;
  return performance.now() - start;
}

function fromSystem(error, file) {
  const code = { ENOENT: 'NOT_FOUND', EACCES: 'PERMISSION', EPERM: 'PERMISSION', EROFS: 'PERMISSION', ENOSPC: 'NO_SPACE', EDQUOT: 'NO_SPACE', EFBIG: 'NO_SPACE', ENOTDIR: 'NOT_A_FILE' }[error.code] || 'IO';
  return fail(`ERR_HEAPRS_${code}`, `could not write the snapshot: ${error.message} (${file})`, { file, cause: error });
}

module.exports = { captureOptions, writeHeapSnapshot, getHeapSnapshot, captureHeapSnapshot, releaseObjectIds, forkSupport };
