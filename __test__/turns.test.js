'use strict';
// One capture of an isolate at a time: those of captureHeapSnapshot and those of policies take turns, whoever comes first.

const test = require('node:test');
const assert = require('node:assert');
const { heaprs, run, scratch } = require('./helpers.js');

const { supported, reason } = heaprs.forkSupport();
const skip = !supported && reason;

// A heap that takes a moment to walk, and a thread that sees how many children there are at once, also while JavaScript stands still.
const TOOLS = `
  const assert = require('node:assert'), fs = require('node:fs'), { Worker } = require('node:worker_threads');
  globalThis.kept = Array.from({ length: 100_000 }, (_, i) => ({ i }));
  const most = new Int32Array(new SharedArrayBuffer(8));
  const LOOK = \`
    const fs = require('node:fs'), { most, pid } = require('node:worker_threads').workerData;
    const children = () => fs.readdirSync('/proc/self/task').flatMap((id) => { try { return fs.readFileSync('/proc/self/task/' + id + '/children', 'utf8').split(' ').filter(Boolean); } catch { return []; } });
    for (;;) {
      const now = children().length;
      most[0] = Math.max(most[0], now);
      most[1] = now;
      Atomics.notify(most, 1);
      Atomics.wait(most, 0, -1, 1);
    }\`;
  const watcher = new Worker(LOOK, { eval: true, workerData: { most, pid: process.pid } });
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  async function until(condition) { while (!condition()) await wait(2); }
  const forked = () => until(() => most[1] > 0);
  const ended = (dump) => new Promise((resolve, reject) => dump.once('dump', resolve).once('failed', reject));
  async function whole(...results) {
    for (const { file, nodes } of results) {
      const snapshot = await heaprs.openSnapshot(file);
      assert.strictEqual(snapshot.info.nodes, nodes);
      snapshot.close();
    }
  }
`;

async function fine(t, code, options) {
  const result = await run(`${TOOLS}\n(async () => { await new Promise((resolve) => watcher.once('online', resolve));\n${code}\nawait watcher.terminate(); console.log('fine'); })();`, { cwd: scratch(t), ...options });
  assert.deepStrictEqual([result.code, result.signal, result.stdout, result.stderr], [0, null, 'fine\n', '']);
}

test('a signal during a capture: its dump comes after', { skip }, (t) => fine(t, `
  const dump = heaprs.dumpOnSignal('SIGUSR2', { mode: 'fork' });
  let first;
  const capture = heaprs.captureHeapSnapshot({ mode: 'fork' }).finally(() => { first ??= 'capture'; });
  await forked();
  const dumped = ended(dump).finally(() => { first ??= 'dump'; });
  process.kill(process.pid, 'SIGUSR2');
  const [a, b] = await Promise.all([capture, dumped]);
  assert.deepStrictEqual([first, most[0]], ['capture', 1]);
  await whole(a, b);
  dump.dispose();`));

test('captures during a dump, by fork and inline: they come after', { skip }, (t) => fine(t, `
  const dump = heaprs.dumpOnSignal('SIGUSR2', { mode: 'fork' });
  let first;
  const dumped = ended(dump).finally(() => { first ??= 'dump'; });
  process.kill(process.pid, 'SIGUSR2');
  await forked();
  const controller = new AbortController();
  const refused = heaprs.captureHeapSnapshot({ mode: 'fork', signal: controller.signal }).catch((e) => e);
  const late = heaprs.captureHeapSnapshot({ mode: 'inline', timeoutMs: 1 }).catch((e) => e);
  const both = ['fork', 'inline'].map((mode) => heaprs.captureHeapSnapshot({ mode }).finally(() => { first ??= mode; }));
  controller.abort();
  const results = await Promise.all([dumped, ...both]);
  assert.deepStrictEqual([(await refused).code, (await late).code], ['ERR_HEAPRS_ABORTED', 'ERR_HEAPRS_TIMEOUT']);
  assert.deepStrictEqual([most[0], results.map((r) => r.mode)], [1, ['fork', 'fork', 'inline']]);
  await whole(...results);
  dump.dispose();`));

test('a capture asked for, then an endless loop: the signal\'s dump comes all the same', { skip }, (t) => fine(t, `
  const dump = heaprs.dumpOnSignal('SIGUSR2', { mode: 'fork' });
  const capture = heaprs.captureHeapSnapshot({ mode: 'fork' });
  await null;
  process.kill(process.pid, 'SIGUSR2');
  while (fs.readdirSync('.').filter((name) => name.endsWith('.gz')).length === 0) ; // the loop's turn never ends
  const [a, b] = await Promise.all([capture, dump.dumps.length > 0 ? dump.dumps[0] : ended(dump)]);
  assert.notStrictEqual(a.file, b.file);
  assert.strictEqual(most[0], 1);
  await whole(a, b);
  dump.dispose();`));

test('the heap limit comes near during a capture and at a signal: each file is complete, one child at a time', { skip, timeout: 300_000 }, (t) => fine(t, `
  const { heap_size_limit: limit } = require('node:v8').getHeapStatistics();
  const raised = () => require('node:v8').getHeapStatistics().heap_size_limit > limit;
  const options = { mode: 'fork', directory: '.' };
  const [near, signal] = [heaprs.dumpNearHeapLimit(options), heaprs.dumpOnSignal('SIGUSR2', options)];
  const [nearly, signalled] = [ended(near), ended(signal)];
  const capture = heaprs.captureHeapSnapshot({ mode: 'fork' });
  await forked();
  process.kill(process.pid, 'SIGUSR2');
  let hay = [];
  while (!raised()) hay.push(new Array(300).fill(hay.length));
  hay = null;
  const results = await Promise.all([capture, nearly, signalled]);
  assert.strictEqual(most[0], 1);
  assert.strictEqual(new Set(results.map((r) => r.file)).size, 3);
  await whole(...results);
  near.dispose();
  signal.dispose();`, { node: ['--max-old-space-size=60'] }));
