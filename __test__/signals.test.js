'use strict';
// Dumps at a signal: whatever JavaScript is doing, whoever else handles the signal, however many come.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { heaprs, root, run, scratch } = require('./helpers.js');

const skip = process.platform === 'win32' && 'no such signals on Windows';
const files = (directory) => fs.readdirSync(directory).sort();

// Programs end well, leave complete files only, and tell what they have seen as JSON.
async function program(t, code, { node = [], directory = scratch(t), expect = { code: 0, signal: null, stderr: '' } } = {}) {
  const source = `
    const directory = process.argv[1];
    const fs = require('node:fs');
    const { once } = require('node:events');
    const raise = (n = 1) => { for (let i = 0; i < n; i++) process.kill(process.pid, 'SIGUSR2'); };
    const awake = setInterval(() => {}, 1000);
    const complete = () => fs.readdirSync(directory).filter((name) => name.includes('.heapsnapshot'));
    (async () => { ${code} })().catch((e) => { console.error(e); process.exit(1); });`;
  const result = await run(source, { args: [directory], node, cwd: directory });
  assert.deepStrictEqual({ code: result.code, signal: result.signal, stderr: result.stderr }, expect);
  assert.deepStrictEqual(files(directory).filter((name) => name.startsWith('.')), []);
  return { seen: result.stdout && result.json(), names: files(directory), directory };
}

async function isWhole(file) {
  const snapshot = await heaprs.openSnapshot(file);
  assert.ok(snapshot.info.nodes > 1000);
  snapshot.close();
}

for (const mode of ['inline', 'auto']) {
  test(`in an endless loop, ${mode}: the file is complete while the loop runs; Node's own flag leaves none`, { skip }, async (t) => {
    const { seen, names, directory } = await program(t, `
      const dump = heaprs.dumpOnSignal('SIGUSR2', { directory, mode: ${JSON.stringify(mode)} });
      process.kill(process.pid, 'SIGHUP');
      raise();
      const names = () => complete();
      while (names().length === 0);   // never comes back to the event loop
      const inLoop = names();
      console.log(JSON.stringify(inLoop));
      process.reallyExit(0);`, { node: ['--heapsnapshot-signal=SIGHUP'] });
    assert.strictEqual(names.length, 1);
    assert.deepStrictEqual(seen, names);
    await isWhole(path.join(directory, names[0]));
  });
}

test('an idle process is dumped, and its listeners are told', { skip }, async (t) => {
  const { seen, names, directory } = await program(t, `
    const published = [];
    require('node:diagnostics_channel').subscribe('heaprs:dump', (message) => published.push(message));
    const dump = heaprs.dumpOnSignal(undefined, { file: directory + '/mine.heapsnapshot' });
    setTimeout(raise, 20);
    const [result] = await once(dump, 'dump');
    raise();   // within the cooldown: nothing
    await heaprs.captureHeapSnapshot({ file: directory + '/asked.heapsnapshot' });
    console.log(JSON.stringify({ result, dumps: dump.dumps, published: published.map((p) => p.file) }));
    dump.dispose();
    clearInterval(awake);`);
  assert.deepStrictEqual(names, ['asked.heapsnapshot', 'mine.heapsnapshot']);
  const { result } = seen;
  assert.deepStrictEqual(seen.dumps, [result]);
  assert.deepStrictEqual(seen.published, ['mine', 'asked'].map((name) => path.join(directory, `${name}.heapsnapshot`)));
  assert.strictEqual(result.file, path.join(directory, 'mine.heapsnapshot'));
  assert.strictEqual(result.fileBytes, fs.statSync(result.file).size);
  assert.ok(result.nodes > 1000 && result.edges > result.nodes && result.snapshotBytes === result.fileBytes);
  assert.ok(result.attempts >= 1 && result.pauseMs > 0 && result.durationMs >= 0 && ['fork', 'inline'].includes(result.mode));
  await isWhole(result.file);
});

test('the program of the old guide: the signal comes while execSync blocks, the exit soon after', { skip }, async (t) => {
  const { names, directory } = await program(t, `
    heaprs.dumpOnSignal('SIGUSR2', { directory, compress: false });
    require('node:child_process').execSync('kill -USR2 ' + process.pid);
    setTimeout(() => process.exit(0), 3000);`);
  assert.strictEqual(names.length, 1);
  await isWhole(path.join(directory, names[0]));
});

test('an exit at once waits for the dump', { skip }, async (t) => {
  const { names, directory } = await program(t, `
    heaprs.dumpOnSignal('SIGUSR2', { directory, mode: 'inline' });
    raise();
    process.exit(0);`);
  assert.strictEqual(names.length, 1);
  await isWhole(path.join(directory, names[0]));
});

test('a thousand signals make one dump; cooldown and number are kept', { skip }, async (t) => {
  const { seen, names } = await program(t, `
    const limited = heaprs.dumpOnSignal('SIGUSR2', { directory, cooldownMs: 0, maxDumps: 2 });
    const resting = heaprs.dumpOnSignal('SIGWINCH', { directory, cooldownMs: 1e9 });
    raise(1000);
    await once(limited, 'dump');
    raise(1000);
    await once(limited, 'dump');
    raise(1000);
    process.kill(process.pid, 'SIGWINCH');
    await once(resting, 'dump');
    process.kill(process.pid, 'SIGWINCH');
    process.on('exit', () => console.log(JSON.stringify([limited.dumps.length, resting.dumps.length])));
    process.exit();`);
  assert.deepStrictEqual(seen, [2, 1]);
  assert.strictEqual(names.length, 3);
});

test("the app's own handlers run, whenever they came; in the end the signal is the app's again", { skip }, async (t) => {
  const { seen, names } = await program(t, `
    const heard = { before: 0, after: 0, last: 0 };
    process.on('SIGUSR2', () => heard.before++);
    const dump = heaprs.dumpOnSignal('SIGUSR2', { directory, cooldownMs: 0, mode: 'inline' });
    process.on('SIGUSR2', () => heard.after++);
    const both = async () => { raise(); await once(dump, 'dump'); await new Promise(setImmediate); };
    await both();
    const first = { ...heard };
    process.removeAllListeners('SIGUSR2');
    await both();
    process.on('SIGUSR2', () => heard.last++);
    await both();
    dump.dispose();
    raise();
    await once(process, 'SIGUSR2');
    await new Promise(setImmediate);
    console.log(JSON.stringify({ first, heard, dumps: dump.dumps.length, listeners: process.listenerCount('newListener') }));
    process.removeAllListeners('SIGUSR2');
    raise();   // the default: the end
    `, { expect: { code: null, signal: 'SIGUSR2', stderr: '' } });
  assert.deepStrictEqual(seen.first, { before: 1, after: 1, last: 0 });
  assert.deepStrictEqual(seen.heard, { before: 1, after: 1, last: 2 });
  assert.strictEqual(seen.dumps, 3);
  assert.strictEqual(names.length, 3);
});

test('two owners of a signal share one dump', { skip }, async (t) => {
  const { seen, names } = await program(t, `
    let published = 0;
    require('node:diagnostics_channel').subscribe('heaprs:dump', () => published++);
    const dumps = [1, 2].map(() => heaprs.dumpOnSignal('SIGUSR2', { directory, mode: 'inline', cooldownMs: 0 }));
    const told = Promise.all(dumps.map((dump) => once(dump, 'dump')));
    raise();
    const results = await told;
    dumps[0].dispose();
    raise();
    await once(dumps[1], 'dump');
    dumps[1].dispose();
    clearInterval(awake);
    console.log(JSON.stringify({ same: results[0][0].file === results[1][0].file, published, dumps: dumps.map((d) => d.dumps.length) }));`);
  assert.deepStrictEqual(seen, { same: true, published: 2, dumps: [1, 2] });
  assert.strictEqual(names.length, 2);
});

test("threads: 'all' dumps every worker that has loaded heaprs, busy or idle", { skip }, async (t) => {
  const { seen, names, directory } = await program(t, `
    const { Worker } = require('node:worker_threads');
    const source = (then) => 'require(${JSON.stringify(root)}); require("node:worker_threads").parentPort.postMessage("up");' + then;
    const workers = ['for (;;);', 'setInterval(() => {}, 1e6);'].map((then) => new Worker(source(then), { eval: true }));
    const without = new Worker('require("node:worker_threads").parentPort.postMessage("up"); setInterval(() => {}, 1e6)', { eval: true });
    await Promise.all([...workers, without].map((worker) => once(worker, 'message')));
    const dump = heaprs.dumpOnSignal('SIGUSR2', { directory, threads: 'all' });
    let count = 0;
    const all = new Promise((resolve, reject) => dump.on('dump', () => { if (++count === 3) resolve(); }).on('failed', reject));
    raise();
    await all;
    console.log(JSON.stringify(dump.dumps.map((d) => d.file)));
    process.exit(0);`);
  assert.deepStrictEqual(seen.map((file) => Number(path.basename(file).split('.')[4])).sort(), [0, 1, 2]);
  assert.strictEqual(names.length, 3);
  await isWhole(path.join(directory, names[2]));
});

test('workers that are terminated while they are to be dumped', { skip, timeout: 300_000 }, async (t) => {
  await program(t, `
    const { Worker } = require('node:worker_threads');
    const dump = heaprs.dumpOnSignal('SIGUSR2', { directory, threads: 'all', cooldownMs: 0, maxDumps: 1e6, mode: 'inline' });
    const rest = [];
    dump.on('failed', (error) => { if (error.code !== 'ERR_HEAPRS_ABORTED') throw error; });
    for (let round = 0; round < 5; round++) {
      const workers = ['for (;;);', 'setInterval(() => {}, 1e6);', ''].map((then) => new Worker('require(${JSON.stringify(root)}); require("node:worker_threads").parentPort.postMessage("up");' + then, { eval: true }));
      await Promise.all(workers.map((worker) => once(worker, 'message')));
      raise();
      await new Promise((resolve) => setTimeout(resolve, round % 4));
      raise();
      await Promise.all(workers.map((worker) => worker.terminate()));
      raise();
    }
    process.exit(0);`);
});

test("a worker's exit calls off no other thread's dump", { skip, timeout: 120_000 }, async (t) => {
  const { seen } = await program(t, `
    const { Worker } = require('node:worker_threads');
    globalThis.hay = Array.from({ length: 300_000 }, (_, i) => ({ i }));
    const worker = new Worker(\`
      require(${JSON.stringify(root)}).dumpOnSignal('SIGHUP', { directory: \${JSON.stringify(directory)} });
      const { parentPort } = require('node:worker_threads');
      parentPort.once('message', () => process.exit(0));
      parentPort.postMessage('up');\`, { eval: true });
    await once(worker, 'message');
    const dump = heaprs.dumpOnSignal('SIGUSR2', { directory });
    const told = new Promise((resolve) => { dump.on('dump', resolve); dump.on('failed', resolve); });
    raise();
    // The file has been begun.
    while (!fs.readdirSync(directory).length) await new Promise((resolve) => setTimeout(resolve, 1));
    worker.postMessage('exit');
    await once(worker, 'exit');
    const { file, message } = await told;
    console.log(JSON.stringify({ whole: file !== undefined && message === undefined, message }));
    process.exit(0);`);
  assert.deepStrictEqual(seen, { whole: true });
});

test('a policy keeps no process alive, and an AbortSignal ends it', { skip }, async (t) => {
  const { seen, names } = await program(t, `
    const abort = new AbortController();
    heaprs.dumpOnSignal('SIGUSR2', { directory });
    const dump = heaprs.dumpOnSignal('SIGHUP', { directory, signal: abort.signal });
    process.on('SIGHUP', () => {});
    abort.abort();
    process.kill(process.pid, 'SIGHUP');
    heaprs.dumpNearHeapLimit({ directory });
    clearInterval(awake);
    console.log(JSON.stringify(dump.dumps));`);
  assert.deepStrictEqual([seen, names], [[], []]);
});

test('a dump that fails says so, once', { skip }, async (t) => {
  const { seen } = await program(t, `
    let published;
    require('node:diagnostics_channel').subscribe('heaprs:dump', ({ error }) => (published = error.code));
    const dump = heaprs.dumpOnSignal('SIGUSR2', { directory: directory + '/missing' });
    raise();
    const [error] = await once(dump, 'failed');
    clearInterval(awake);
    console.log(JSON.stringify([error.code, published, error.message.includes('missing'), dump.dumps.length]));`);
  assert.deepStrictEqual(seen, ['ERR_HEAPRS_NOT_FOUND', 'ERR_HEAPRS_NOT_FOUND', true, 0]);
});

test('signals that are not the app’s, and options that mean nothing, are refused', { skip }, () => {
  const refused = (...args) => assert.throws(() => heaprs.dumpOnSignal(...args).dispose(), { code: 'ERR_HEAPRS_INVALID_ARGUMENT' }, String(args));
  for (const signal of ['SIGKILL', 'SIGSTOP', 'SIGUSR1', 'SIGPROF', 'SIGCHLD', 'SIGSEGV', 'SIGNOTHING', 'sigusr2', '', 12, null]) refused(signal);
  for (const options of [{ threads: 'some' }, { cooldownMs: -1 }, { maxDumps: 0 }, { onProgress() {} }, { unknown: 1 }, { file: 'a', directory: 'b' }, { mode: 'x' }]) {
    refused('SIGUSR2', options);
    assert.throws(() => heaprs.dumpNearHeapLimit(options).dispose(), { code: 'ERR_HEAPRS_INVALID_ARGUMENT' });
  }
});
