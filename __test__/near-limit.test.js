'use strict';
// Dumps near the heap limit: the file is there, and the process, or the worker, ends as it would have without heaprs.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { spawn } = require('node:child_process');
const { heaprs, root, run, scratch } = require('./helpers.js');

const skip = process.platform === 'win32' && 'no such symbols on Windows';
const MB = 1024 * 1024;

// Few large objects, so that the limit is reached and the snapshot taken quickly.
const LEAK = 'class Needle {} const hay = []; globalThis.hay = hay; for (;;) hay.push(new Array(300).fill(hay.length), new Needle());';

// The same, through the event loop. A worker that never returns there may end otherwise on Node.js 24 and 26, with heaprs as without: V8 finds its
// limit passed where nobody is asked, and ends the whole process, or collects for ever.
const LEAK_BY_TURNS = 'class Needle {} const hay = []; globalThis.hay = hay; setImmediate(function turn() { for (let i = 0; i < 100; i++) hay.push(new Array(300).fill(hay.length), new Needle()); setImmediate(turn); });';

async function oneWholeFile(directory) {
  const names = fs.readdirSync(directory);
  assert.strictEqual(names.length, 1, names.join());
  assert.match(names[0], /^Heap\..*\.heapsnapshot\.gz$/);
  const snapshot = await heaprs.openSnapshot(path.join(directory, names[0]));
  const rows = await snapshot.summary({ search: 'Needle' });
  snapshot.close();
  assert.ok(rows.find(({ name }) => name === 'Needle').count > 1000);
  return names[0];
}

// Runs to the fatal error; resolves to how it ended and the most memory it was seen to have.
function ended(node, code) {
  const child = spawn(process.execPath, [...node, '-e', `const heaprs = require(${JSON.stringify(root)}); ${code}`], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  let peak = 0;
  child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
  const look = setInterval(() => {
    try {
      const [, kilobytes] = /VmHWM:\s*(\d+)/.exec(fs.readFileSync(`/proc/${child.pid}/status`, 'utf8')) ?? [];
      if (kilobytes) peak = kilobytes * 1024;
    } catch {
      // It has ended, or there is no /proc.
    }
  }, 20);
  return new Promise((resolve) => child.on('close', (code, signal) => {
    clearInterval(look);
    resolve({ code, signal, stderr, peak });
  }));
}

for (const mode of ['auto', 'inline']) {
  test(`the main thread, ${mode}: a complete file, then the end that V8 gives it`, { skip, timeout: 300_000 }, async (t) => {
    const directory = scratch(t);
    const options = JSON.stringify({ directory, mode });
    const { code, signal, stderr, peak } = await ended(['--max-old-space-size=50'], `heaprs.dumpNearHeapLimit(${options}); ${LEAK}`);
    assert.deepStrictEqual([code, signal], [null, 'SIGABRT'], stderr);
    assert.match(stderr, /FATAL ERROR: .*heap out of memory/);
    await oneWholeFile(directory);
    // The limit, half of it, the young generation, V8's own snapshot, and Node.js itself; Node's own flag has let 60 MB become 404.
    if (process.platform === 'linux') assert.ok(peak > 50 * MB && peak < 450 * MB, `${peak}`);
  });

  test(`a worker with resourceLimits, ${mode}: it ends with ERR_WORKER_OUT_OF_MEMORY, the main thread lives on`, { skip, timeout: 300_000 }, async (t) => {
    const directory = scratch(t);
    const worker = `require(${JSON.stringify(root)}).dumpNearHeapLimit(${JSON.stringify({ directory, mode })}); ${LEAK_BY_TURNS}`;
    const result = await run(`
      const { Worker } = require('node:worker_threads');
      const worker = new Worker(${JSON.stringify(worker)}, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 40 } });
      const seen = {};
      worker.on('error', (error) => (seen.error = error.code));
      worker.on('exit', (code) => console.log(JSON.stringify({ ...seen, exit: code, alive: 6 * 7 })));`);
    assert.deepStrictEqual([result.code, result.signal, result.stderr], [0, null, ''], result.stderr);
    assert.deepStrictEqual(result.json(), { error: 'ERR_WORKER_OUT_OF_MEMORY', exit: 1, alive: 42 });
    assert.strictEqual((await oneWholeFile(directory)).split('.')[4], '1');
  });
}

test("threads: 'all' reaches a worker that was there before and one that comes later", { skip, timeout: 300_000 }, async (t) => {
  const directory = scratch(t);
  const result = await run(`
    const { Worker } = require('node:worker_threads');
    const { once } = require('node:events');
    const source = ${JSON.stringify(`require(${JSON.stringify(root)}); const { parentPort } = require('node:worker_threads'); parentPort.postMessage('up'); parentPort.once('message', () => { ${LEAK_BY_TURNS} });`)};
    const start = async () => { const worker = new Worker(source, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 40 } }); await once(worker, 'message'); return worker; };
    (async () => {
      const codes = [];
      const early = await start();
      const dumps = [];
      for (const late of [false, true]) {
        const dump = heaprs.dumpNearHeapLimit({ directory: process.argv[1], threads: 'all', mode: 'inline' });
        const told = once(dump, 'dump');
        const worker = late ? await start() : early;
        worker.postMessage('go');
        codes.push((await once(worker, 'error'))[0].code);
        dumps.push(...(await told));
        dump.dispose();
      }
      console.log(JSON.stringify({ codes, dumps: dumps.map((d) => d.mode) }));
    })();`, { args: [directory] });
  assert.deepStrictEqual([result.code, result.stderr], [0, '']);
  const { codes, dumps } = result.json();
  assert.deepStrictEqual(codes, ['ERR_WORKER_OUT_OF_MEMORY', 'ERR_WORKER_OUT_OF_MEMORY']);
  assert.strictEqual(dumps.length, 2);
  assert.deepStrictEqual(fs.readdirSync(directory).map((name) => name.split('.')[4]).sort(), ['1', '2']);
});

test('a heap that recovers goes on, and the limit is put back', { skip, timeout: 300_000 }, async (t) => {
  const directory = scratch(t);
  const result = await run(`
    const v8 = require('node:v8');
    const limit = () => v8.getHeapStatistics().heap_size_limit;
    const before = limit();
    const dump = heaprs.dumpNearHeapLimit({ directory: process.argv[1], mode: 'inline' });
    let hay = [];
    while (limit() === before) for (let i = 0; i < 100; i++) hay.push(new Array(300).fill(i));
    hay = undefined;
    const collected = () => { for (let i = 0; limit() > before && i < 200; i++) { const a = []; for (let j = 0; j < 2000; j++) a.push(new Array(300).fill(j)); } };
    const done = new Promise((resolve) => dump.once('dump', resolve));
    const awake = setInterval(() => {}, 1000);
    collected();
    done.then(() => { clearInterval(awake); console.log(JSON.stringify([before, limit()])); });`, { args: [directory], node: ['--max-old-space-size=50'] });
  assert.deepStrictEqual([result.code, result.signal, result.stderr], [0, null, '']);
  const [before, after] = result.json();
  assert.strictEqual(after, before);
  assert.strictEqual(fs.readdirSync(directory).length, 1);
});
