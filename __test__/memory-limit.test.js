'use strict';
// Dumps before memory outside of V8's limit runs out: a process that is killed for its buffers leaves a file, and none is killed for the dump.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { KILLED_ALONE, group, kills, limited, noGroups } = require('./control-group.js');
const { heaprs, run, scratch } = require('./helpers.js');

const skip = process.platform !== 'linux' && 'limits are watched on Linux';
const noPrlimit = spawnSync('prlimit', ['--version']).status !== 0 && 'needs prlimit';

// Takes a megabyte every few milliseconds, resident.
const PRELUDE = `
  const fs = require('node:fs');
  const [directory, group] = process.argv.slice(1);
  if (group) fs.writeFileSync(group + '/cgroup.procs', String(process.pid));
  class Needle {}
  globalThis.hay = Array.from({ length: 1000 }, () => new Needle());
  const buffers = globalThis.buffers = [];
  const take = () => { buffers.push(Buffer.alloc(1 << 20, 1)); const end = performance.now() + 3; while (performance.now() < end); };`;

async function isWhole(file) {
  const snapshot = await heaprs.openSnapshot(file);
  const rows = await snapshot.summary({ search: 'Needle' });
  snapshot.close();
  assert.strictEqual(rows.find(({ name }) => name === 'Needle').count, 1000);
}

test('killed for its buffers in an endless loop, a process leaves one whole file', { skip: skip || noGroups(), timeout: 300_000 }, async (t) => {
  limited(t, 500);
  const directory = scratch(t);
  const result = await run(`${PRELUDE} heaprs.dumpNearHeapLimit({ directory }); for (;;) take();`, { args: [directory, group] });
  assert.strictEqual(result.signal, 'SIGKILL', result.stderr);
  assert.strictEqual(kills(), KILLED_ALONE, 'by the group, for its memory');
  const names = fs.readdirSync(directory);
  assert.strictEqual(names.length, 1, names.join());
  await isWhole(path.join(directory, names[0]));
});

test('near a control group\'s limit the dump is told with its trigger and reason, and nobody is killed for it', { skip: skip || noGroups(), timeout: 300_000 }, async (t) => {
  limited(t, 500);
  const directory = scratch(t);
  const result = await run(`${PRELUDE}
    const taking = setInterval(take, 1);
    const dump = heaprs.dumpNearHeapLimit({ directory, compress: false });
    dump.on('dump', (told) => { clearInterval(taking); console.log(JSON.stringify(told)); });
    dump.on('failed', (error) => { clearInterval(taking); console.error(error); });`, { args: [directory, group] });
  assert.deepStrictEqual([result.code, result.signal, result.stderr], [0, null, '']);
  assert.strictEqual(kills(), 0);
  const told = result.json();
  assert.strictEqual(told.trigger, 'memory-limit');
  assert.match(told.reason, /^\d+ of 500 MB are left under the control group's limit; this process has \d+ MB resident$/);
  assert.deepStrictEqual(fs.readdirSync(directory), [path.basename(told.file)]);
  await isWhole(told.file);
});

test('a heap too large for what is left: an error says so, and the app lives', { skip: skip || noGroups(), timeout: 300_000 }, async (t) => {
  limited(t, 400);
  const directory = scratch(t);
  const result = await run(`${PRELUDE}
    globalThis.kept = Array.from({ length: 400_000 }, (_, i) => ({ i, s: 's' + i }));
    const taking = setInterval(take, 1);
    const dump = heaprs.dumpNearHeapLimit({ directory, cooldownMs: 0 });
    dump.once('failed', ({ code, message, trigger, reason }) => {
      clearInterval(taking);
      console.log(JSON.stringify({ code, message, trigger, reason }));
    });`, { args: [directory, group] });
  assert.deepStrictEqual([result.code, result.signal, result.stderr], [0, null, '']);
  assert.strictEqual(kills(), 0);
  const told = result.json();
  assert.deepStrictEqual([told.code, told.trigger], ['ERR_HEAPRS_MEMORY_BUDGET', 'memory-limit']);
  assert.match(told.message, /control group/);
  assert.match(told.reason, /of 400 MB are left/);
  assert.deepStrictEqual(fs.readdirSync(directory), []);
});

test('a limit of address space is watched by a thread, which is there only with a limit and a policy', { skip: skip || noPrlimit, timeout: 300_000 }, async (t) => {
  const directory = scratch(t);
  const result = await run(`${PRELUDE}
    const { execFileSync } = require('node:child_process');
    const watches = () => fs.readdirSync('/proc/self/task').some((id) => { try { return fs.readFileSync('/proc/self/task/' + id + '/comm', 'utf8').startsWith('heaprs-memory'); } catch { return false; } });
    // A thread has its name a moment after it has begun.
    const comes = async () => { while (!watches()) await new Promise((resolve) => setTimeout(resolve, 1)); };
    const gone = async () => { for (let i = 0; i < 2000; i++) { if (!watches()) return true; await new Promise((resolve) => setTimeout(resolve, 10)); } return false; };
    (async () => {
      const size = Number(/VmSize:\\s*(\\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
      execFileSync('prlimit', ['--pid', process.pid, '--as=' + (size + 600e6)]);
      const before = watches();
      const dump = heaprs.dumpNearHeapLimit({ directory });
      await comes();
      // Half of it at once; the rest so slowly that a dump beside other tests is done before.
      while (buffers.length < 300) take();
      const taking = setInterval(take, 30);
      const told = await new Promise((resolve, reject) => dump.once('dump', resolve).once('failed', reject));
      clearInterval(taking);
      // The one dump is taken: nothing is left to watch for.
      const ended = await gone();
      // The end is still near: this one may take its first dump at once, and wants another.
      const again = heaprs.dumpNearHeapLimit({ directory, maxDumps: 2 });
      await comes();
      again.dispose();
      const disposed = await gone();
      console.log(JSON.stringify({ before, ended, disposed, told }));
    })();`, { args: [directory], env: { MALLOC_ARENA_MAX: '1' } });
  assert.deepStrictEqual([result.code, result.stderr], [0, '']);
  const { told, ...threads } = result.json();
  assert.deepStrictEqual(threads, { before: false, ended: true, disposed: true });
  assert.strictEqual(told.trigger, 'memory-limit');
  assert.match(told.reason, /limit of address space/);
  await isWhole(told.file);
});
