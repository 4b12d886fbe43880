'use strict';
// A panic in any export and on any thread becomes a JavaScript error, and the process goes on. Needs the addon built with the
// feature `test-panics`: `npm run test:panics` builds it and runs this file; elsewhere there is nothing to panic on demand.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const v8 = require('node:v8');
const { fail } = require('../lib/errors.js');
const { native } = require('../lib/native.js');
const { heaprs, rejection, scratch } = require('./helpers.js');

const binding = native();
const request = (file) => ({ file, overwrite: true, compress: false, minFreeDisk: 0, exposeInternals: false, exposeNumericValues: false, releaseObjectIds: false });

// Every place where a panic can begin, and a call that comes by it.
function places(directory) {
  const file = path.join(directory, 'a.heapsnapshot');
  const task = () => new binding.Task();
  const opened = () => binding.openHeapFile(file, undefined, undefined, task());
  const ask = (method, ...args) => async () => (await opened())[method](...args, task());
  const report = async () => binding.reportHeap(await opened(), file, undefined, undefined, undefined, task());
  const written = () => {
    const input = new binding.HeapInput(() => {});
    input.write(fs.readFileSync(file));
    return input;
  };
  const streamed = () => {
    const input = written();
    input.end();
    return binding.openHeapInput(input, undefined, undefined, task());
  };
  const capture = () => binding.captureHeapSnapshot(request(file), task());
  const fork = async () => (await binding.prepareFork(task())).start(request(file), false, true, task());
  const foreign = () => new binding.ForeignSnapshot(request(path.join(directory, 'foreign.heapsnapshot')));
  const received = (send) => {
    const f = foreign();
    const promise = f.start(task());
    promise.catch(() => {});
    send(f);
    return promise;
  };
  const policy = { signal: os.constants.signals.SIGUSR2, allThreads: false, cooldownMs: 0, maxDumps: 9, directory, compress: false, heapdumpNames: false, mode: 'inline', exposeInternals: false, exposeNumericValues: false, comparableIds: false, overwrite: false, minFreeDisk: 0, timeoutMs: 60_000 };
  const watching = (use, ready = () => {}) => {
    binding.registerThread(0, () => binding.serveThread());
    const w = new binding.DumpWatch(policy, ready);
    try {
      return use(w);
    } finally {
      w.stop();
    }
  };
  // A dump at a signal; what fails on the way is in its message.
  const signalled = async () => {
    const dump = heaprs.dumpOnSignal('SIGUSR2', { directory, mode: 'inline' });
    const end = new Promise((resolve, reject) => dump.on('dump', resolve).on('failed', reject));
    const awake = setInterval(() => {}, 1000);
    process.kill(process.pid, 'SIGUSR2');
    await end.finally(() => {
      clearInterval(awake);
      dump.dispose();
    });
  };
  // A dump that a caller asks for; what fails on the way is the answer, or what the listener is told.
  const asked = async () => {
    const socket = path.join(directory, 'socket');
    const dump = heaprs.listen({ path: socket, mode: 'inline' });
    const failed = new Promise((_, reject) => dump.on('failed', reject));
    const answered = new Promise((resolve, reject) => {
      const caller = net.connect(socket).on('error', reject);
      let text = '';
      caller.setEncoding('utf8').on('data', (piece) => {
        text += piece;
        for (const { error, result } of text.split('\n').slice(0, -1).map((line) => JSON.parse(line))) {
          if (error) reject(fail(error.code, error.message));
          if (result) resolve();
        }
        if (text.includes('"error"') || text.includes('"result"')) caller.destroy();
      });
      caller.write(`${JSON.stringify({ protocol: 1, directory })}\n`);
    });
    await Promise.race([answered, failed]).finally(() => dump.dispose());
  };
  // The thread that watches memory outside of V8, which is there where a limit is.
  const watched = async () => {
    const limit = (soft) => assert.strictEqual(spawnSync('prlimit', [`--pid=${process.pid}`, `--as=${soft}:unlimited`]).status, 0);
    limit(2 ** 44);
    const dump = heaprs.dumpNearHeapLimit({ directory });
    const failed = new Promise((_, reject) => dump.on('failed', reject));
    const awake = new Promise((resolve) => setTimeout(resolve, 3000));
    await Promise.race([failed, awake]).finally(() => {
      dump.dispose();
      limit('unlimited');
    });
  };
  const detector = () => new binding.GcDetector({ sensitivity: 'high' });
  // As they are at that moment: the addon compares them with what it reads from V8 itself.
  const sizes = () => {
    const { total_heap_size: totalHeapSize, used_heap_size: usedHeapSize, heap_size_limit: heapSizeLimit, external_memory: externalMemory } = v8.getHeapStatistics();
    return { totalHeapSize, usedHeapSize, heapSizeLimit, externalMemory };
  };
  const started = (use, ready = () => {}) => {
    const d = detector();
    d.start(sizes(), ready);
    try {
      return use(d);
    } finally {
      d.stop();
    }
  };
  const firstMessage = async () => {
    const d = detector();
    const ready = new Promise((resolve) => d.start(sizes(), resolve));
    d.wantGc(true);
    const timer = setInterval(() => Array.from({ length: 100_000 }, (_, i) => ({ i })), 1);
    await ready;
    clearInterval(timer);
    const [{ event, error }] = d.take();
    d.stop();
    if (event === 'failed') throw fail('ERR_HEAPRS_INTERNAL', error);
  };
  return {
    Task: task,
    'Task.cancel': () => task().cancel(),
    'Task.abandon': () => task().cancel() ?? task().abandon(),
    unavailableFeatures: () => binding.unavailableFeatures(),
    nextSequence: () => binding.nextSequence(),
    releaseObjectIds: () => binding.releaseObjectIds(),
    writeHeapSnapshot: () => binding.writeHeapSnapshot(request(file)),
    'write thread': () => binding.writeHeapSnapshot(request(file)),
    'the heap walk': () => binding.writeHeapSnapshot(request(file)),
    heapSnapshotText: () => binding.heapSnapshotText(false, false),
    'SnapshotText.next': () => binding.heapSnapshotText(false, false).next(),
    HeapCensus: () => new binding.HeapCensus(),
    'HeapCensus.nodes': () => new binding.HeapCensus().nodes(),
    'HeapCensus.size': () => new binding.HeapCensus().size(),
    'HeapCensus.diff': () => new binding.HeapCensus().diff(new binding.HeapCensus()),
    collectGarbage: () => binding.collectGarbage(),
    isCapturing: () => binding.isCapturing(),
    captureHeapSnapshot: capture,
    'captureHeapSnapshot.start': capture,
    'captureHeapSnapshot.start thread': capture,
    prepareFork: () => binding.prepareFork(task()),
    'prepareFork thread': () => binding.prepareFork(task()),
    'PreparedFork.stale': async () => (await binding.prepareFork(task())).stale,
    'PreparedFork.quiet': async () => (await binding.prepareFork(task())).quiet(1),
    'PreparedFork.start': fork,
    'PreparedFork.write': fork,
    'PreparedFork.write thread': fork,
    ForeignSnapshot: foreign,
    'ForeignSnapshot.start': () => received((f) => f.end()),
    'ForeignSnapshot.written': () => received((f) => f.end()),
    'ForeignSnapshot.written thread': () => received((f) => f.end()),
    'ForeignSnapshot.write': () => received((f) => f.write(Buffer.from('{}')) && f.end()),
    'ForeignSnapshot.end': () => received((f) => f.end()),
    redactSnapshot: () => binding.redactSnapshot({ input: file, output: path.join(directory, 'redacted'), redact: 'names', keepNumbers: false, compress: false, overwrite: true, minFreeDisk: 0 }, task()),
    'redactSnapshot thread': () => binding.redactSnapshot({ input: file, output: path.join(directory, 'redacted'), redact: 'names', keepNumbers: false, compress: false, overwrite: true, minFreeDisk: 0 }, task()),
    registerThread: () => binding.registerThread(0, () => {}),
    serveThread: () => binding.serveThread(),
    settleDumps: () => binding.settleDumps(0),
    DumpWatch: () => watching(() => {}),
    'DumpWatch.take': () => watching((w) => w.take()),
    'DumpWatch.rearm': () => watching((w) => w.rearm()),
    'DumpWatch.stop': () => watching((w) => w.stop()),
    'DumpWatch thread': () => signalled(),
    'a job for a thread': () => signalled(),
    'DumpWatch listen thread': () => asked(),
    'DumpWatch caller thread': () => asked(),
    'DumpWatch dump thread': () => asked(),
    ...(process.platform === 'linux' && { 'DumpWatch memory thread': watched }),
    GcDetector: detector,
    'GcDetector.start': () => started((d) => d.stop()),
    'GcDetector.stop': () => started((d) => d.stop()),
    'GcDetector.wantGc': () => started((d) => d.wantGc(false)),
    'GcDetector.costs': () => started((d) => d.costs()),
    'GcDetector.spaces': () => started((d) => d.spaces()),
    'GcDetector.take': () => started((d) => d.take()),
    'LeakDetector thread': firstMessage,
    ObservedDetector: () => new binding.ObservedDetector({ sensitivity: 'high' }),
    'ObservedDetector.observe': () => new binding.ObservedDetector({ sensitivity: 'high' })
      .observe({ gcType: 4, at: 1, pauseMs: 1, usedBefore: 2, usedAfter: 1, heapLimit: 9, external: 0 }),
    openHeapFile: opened,
    'openHeapFile thread': opened,
    'compareHeapFiles.arguments': async () => binding.compareHeapFiles(await opened(), await opened(), 'id', task()),
    compareHeapFiles: async () => binding.compareHeapFiles(await opened(), await opened(), 'id', task()),
    'compareHeapFiles thread': async () => binding.compareHeapFiles(await opened(), await opened(), 'id', task()),
    'reportHeap.arguments': report,
    reportHeap: report,
    'reportHeap thread': report,
    HeapInput: () => new binding.HeapInput(() => {}),
    'HeapInput.write': written,
    'HeapInput.end': () => written().end(),
    'HeapInput.hasRoom': () => written().hasRoom(),
    'HeapInput.isClosed': () => written().isClosed(),
    openHeapInput: streamed,
    'openHeapInput thread': streamed,
    ...Object.fromEntries([['toText', undefined, false], ['toMarkdown'], ['toJsonText']].map(([method, ...args]) => [`HeapReport.${method}`, async () => (await report())[method](...args)])),
    'HeapFile.suspects.base': ask('suspects', undefined, 1, undefined),
    'HeapFile.info': ask('info'),
    HeapFile: ask('columns'),
    'HeapFile.statistics': ask('statistics'),
    'HeapFile.node': ask('node', 1),
    'HeapFile.maxJsObjectId': ask('maxJsObjectId'),
    'HeapFile.summary.filter': ask('summary', undefined, { kind: 'noNativeContext' }, 0, 1),
    'HeapFile.summary.memory': ask('summary', undefined, { kind: 'noNativeContext' }, 0, 1),
    'HeapFile.close': ask('close'),
    ...Object.fromEntries(Object.entries({ summary: [undefined, undefined, 0, 1], instances: [',Function', 0, 1], references: [1, 0, 1], retainers: [1, 0, 1], dominated: [1, 0, 1], retainingPaths: [1, 1], duplicateStrings: [1], suspects: [undefined, 1, undefined], query: [{ limit: 1 }], offHeap: [], nativeContexts: [], timeline: [], allocationStack: [1], allocationSites: [1], columns: [], export: [path.join(directory, 'columns'), true] })
      .flatMap(([method, args]) => [[`HeapFile.${method}`, ask(method, ...args)], [`HeapFile.${method} thread`, ask(method, ...args)]])),
  };
}

test('a panic becomes an error with a code, wherever it begins', { skip: !binding.testPanicAt && 'this addon was built without the feature test-panics' }, async (t) => {
  const directory = scratch(t);
  const all = places(directory);
  binding.writeHeapSnapshot(request(path.join(directory, 'a.heapsnapshot')));
  for (const [place, call] of Object.entries(all)) {
    binding.testPanicAt(place);
    const error = await rejection((async () => call())());
    assert.strictEqual(error.code, 'ERR_HEAPRS_INTERNAL', `${place}: ${error.stack}`);
    assert.match(error.message, /deliberate panic/, place);
    assert.ok(error.message.includes(place));
    await (async () => call())(); // the next one works
  }
});

test('every export of the addon is among the places', () => {
  const classes = ['DumpWatch', 'GcDetector', 'HeapCensus', 'HeapFile', 'HeapInput', 'HeapReport', 'ObservedDetector', 'PreparedFork', 'Task', 'SnapshotText'];
  const expected = Object.keys(places('/')).map((place) => place.split(/[ .]/)[0]);
  const exported = Object.keys(binding).filter((name) => !['__napiBindingTarget', 'testPanicAt'].includes(name));
  assert.deepStrictEqual(exported.filter((name) => !expected.includes(name)), []);
  for (const name of classes) {
    for (const method of Object.getOwnPropertyNames(binding[name].prototype).filter((m) => m !== 'constructor')) {
      assert.ok(Object.hasOwn(places('/'), `${name}.${method}`), `${name}.${method} has no place in this test`);
    }
  }
});
