'use strict';
// A snapshot of another Node.js process through its inspector, whether or not it has heard of heaprs.
//
// The inspector is woken with SIGUSR1 (only where the process catches it), found by the port that appears, and closed again when it
// was us who opened it. The snapshot is written as it comes; the process stands still from the walk of its heap until the last piece
// has been taken from it.

const { setTimeout: sleep } = require('node:timers/promises');
const { aborted, fail } = require('../errors.js');
const { native } = require('../native.js');
const { runTask } = require('../task.js');
const { assertReachable, catches, hasProc, listening, nodeOptions, sameNetwork } = require('./process.js');
const { InspectorSession, inspectorUrl } = require('./session.js');

// How long the inspector may take to appear. A busy process opens it all the same: Node.js does so on a thread of its own.
const WAKE_MS = 5000;
// How long we wait for it to be gone again.
const CLOSE_MS = 2000;

// `request` is a capture request of the addon. Resolves to what came of it; `told(text)` hears what a person should know meanwhile.
async function captureThroughInspector(pid, { request, port, signal, onProgress, told = () => {} }) {
  const { url, opened } = await openInspector(pid, port, signal);
  const session = await InspectorSession.connect(url).catch((error) => {
    // Only a session could close it again.
    if (opened) error.message += `; the inspector that was opened for this is still open at ${new URL(url).host}: try again, or have the process call require('node:inspector').close()`;
    throw error;
  });
  try {
    told('the process stands still while its heap is walked; Ctrl-C discards the file, but cannot end that pause');
    return await capture(session, { request, signal, onProgress });
  } finally {
    await leave(session, opened).catch(() => {}); // the process may have ended: nothing to put back
    session.close();
    if (opened) await closed(pid, url);
  }
}

// Waits until the inspector is gone, so that whoever comes next does not meet it on its way out. A busy process closes it later.
async function closed(pid, url) {
  const port = Number(new URL(url).port);
  const open = () => {
    try {
      return listening(pid).some((address) => address.port === port);
    } catch {
      return false; // the process has ended
    }
  };
  for (const end = performance.now() + CLOSE_MS; performance.now() < end && open(); ) await sleep(20);
}

async function capture(session, { request, signal, onProgress }) {
  const start = performance.now();
  const file = new (native().ForeignSnapshot)(request);
  let wanted = true;
  const writing = runTask({ signal, onProgress: onProgress && ((p) => p.phase === 'write' && onProgress(p)) }, (task) => file.start(task));
  writing.catch(() => (wanted = false));
  try {
    await session.call('HeapProfiler.takeHeapSnapshot', { reportProgress: true, captureNumericValue: request.exposeNumericValues, exposeInternals: request.exposeInternals }, (method, params) => {
      if (method === 'HeapProfiler.addHeapSnapshotChunk') {
        // Once nobody wants it any more the rest is only read, so that the process gets through.
        if (wanted) wanted = file.write(Buffer.from(params.chunk));
      } else if (method === 'HeapProfiler.reportHeapSnapshotProgress' && wanted && onProgress) {
        onProgress({ phase: 'heap', done: params.done, total: params.total });
      }
    });
    file.end();
  } catch (error) {
    file.end(error.message);
    await writing.catch(() => {});
    if (signal?.aborted) throw aborted(signal);
    throw error;
  }
  const { pauseMs: _, ...summary } = await writing;
  return { file: request.file, ...summary, via: 'inspector', durationMs: performance.now() - start };
}

// Gives the object ids back (they make allocation slow), and closes what we have opened.
async function leave(session, opened) {
  await session.call('HeapProfiler.disable');
  if (!opened) return;
  // Closing waits for our own connection to end, so it happens a moment later; a process that ends first need not wait for it.
  const expression = `(() => { const inspector = require('node:inspector'); setTimeout(() => inspector.close(), 50).unref(); })()`;
  const { exceptionDetails } = await session.call('Runtime.evaluate', { expression, includeCommandLineAPI: true });
  if (exceptionDetails) throw fail('ERR_HEAPRS_INTERNAL', exceptionDetails.text);
}

// The address of the process's inspector, and whether it was us who opened it.
async function openInspector(pid, port, signal) {
  if (port !== undefined) {
    const url = await inspectorUrl({ host: '127.0.0.1', port }, signal);
    if (url === undefined) throw fail('ERR_HEAPRS_UNAVAILABLE', `no inspector answers at port ${port} of this machine`);
    return { url, opened: false };
  }
  if (!hasProc) {
    throw fail('ERR_HEAPRS_UNAVAILABLE', 'which signals a process catches can only be known on Linux; open its inspector (process._debugProcess(PID), or --inspect at its start) and give its port with --port');
  }
  assertReachable(pid);
  if (!sameNetwork(pid)) {
    throw fail('ERR_HEAPRS_UNAVAILABLE', `process ${pid} lives in another network (a container): run heaprs in there, with the process id it has there, as in docker exec CONTAINER npx heaprs capture 1`);
  }
  const before = listening(pid);
  // One that was told to listen, or does so where inspectors do: asked before a signal is sent. Nobody else's port is disturbed.
  const inspects = nodeOptions(pid).some((word) => word.startsWith('--inspect'));
  const known = await firstUrl(before.filter((address) => inspects || address.port === 9229), signal);
  if (known) return { url: known, opened: false };
  if (!catches(pid, 'SIGUSR1')) throw refusesSignal(pid);
  process.kill(pid, 'SIGUSR1');
  const seen = new Set(before.map((address) => JSON.stringify(address)));
  const isNew = (address) => !seen.has(JSON.stringify(address));
  for (const end = performance.now() + WAKE_MS; performance.now() < end; await sleep(50, undefined, { signal })) {
    const url = await firstUrl(listening(pid).filter(isNew), signal);
    if (url) return { url, opened: true };
  }
  // The app may have opened it itself, at a port of its own choice.
  const url = await firstUrl(before, signal);
  if (url) return { url, opened: false };
  throw fail('ERR_HEAPRS_UNAVAILABLE', `process ${pid} got SIGUSR1 but opened no inspector within ${WAKE_MS} ms: the port (9229, unless --inspect-port says otherwise) may be another process's, the app may use SIGUSR1 itself, or it is no Node.js`);
}

async function firstUrl(addresses, signal) {
  for (const address of addresses) {
    const url = await inspectorUrl(address, signal);
    if (url !== undefined) return url;
  }
  if (signal?.aborted) throw aborted(signal);
  return undefined;
}

function refusesSignal(pid) {
  const why = nodeOptions(pid).includes('--disable-sigusr1')
    ? 'it was started with --disable-sigusr1'
    : 'it does not catch SIGUSR1 (no Node.js, an embedded one, or one that is still starting)';
  return fail('ERR_HEAPRS_UNAVAILABLE', `the inspector of process ${pid} cannot be opened: ${why}, and the signal would end it. Start it with heaprs/register, or with --inspect=127.0.0.1:0`);
}

module.exports = { captureThroughInspector };
