'use strict';
// expectNoLeak: what leaves nothing behind passes, what does fails with its cause; in node:test, jest and vitest alike.

const test = require('node:test');
const assert = require('node:assert');
const { spawnSync } = require('node:child_process');
const { EventEmitter } = require('node:events');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { expectNoLeak, LeakError } = require('../testing.js');
const { rejection } = require('./helpers.js');

class Job {}
const jobs = new Map();
const buffers = [];
const bus = new EventEmitter().setMaxListeners(0);
let text = '';
let n = 0;

const leaks = {
  'a Map': [() => jobs.set(n++, new Job()), 'Job', 1, /^Map `jobs` of module scope in testing\.test\.js$/],
  'five a round, later': [
    async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      for (let i = 0; i < 5; i++) jobs.set(n++, new Job());
    },
    'Job',
    5,
    /^Map `jobs`/,
  ],
  'listeners': [() => ((job) => bus.on('done', () => job))(new Job()), 'Function', 1, /^listeners of 'done' on EventEmitter `bus`/],
  'timers': [() => ((job) => setInterval(() => job, 1e8).unref())(new Job()), 'Timeout', 1, /timers/],
  'Buffers': [() => buffers.push(Buffer.alloc(10_000)), 'Buffer', 1, /^Array `buffers`/],
};

for (const [name, [leak, className, count, holder]] of Object.entries(leaks)) {
  test(`a leak is told with its cause: ${name}`, async () => {
    const error = await rejection(expectNoLeak(leak));
    assert.ok(error instanceof LeakError, error.stack);
    assert.strictEqual(error.code, 'ERR_HEAPRS_LEAK');
    assert.ok(error.classes.some((row) => row.className === className && Math.abs(row.countPerRound - count) < 0.2), error.message);
    const found = error.leaks.find((row) => row.className === className);
    assert.ok(found, error.message);
    assert.match(found.holder, holder);
    assert.strictEqual(found.countPerRound, count);
    assert.ok(found.bytesPerRound > 20 && found.path.length > 0);
    assert.ok(error.message.includes(found.explanation));
  });
}

test('a string that gets longer is a leak by its size', async () => {
  const error = await rejection(expectNoLeak(() => (text = Buffer.alloc(text.length + 5000, 'x').toString('latin1'))));
  assert.deepStrictEqual([error.code, error.classes[0].className], ['ERR_HEAPRS_LEAK', '(string)'], error.message);
  assert.ok(Math.abs(error.classes[0].bytesPerRound - 5000) < 500, error.message);
  assert.match(error.message, /text/);
});

test('what leaves nothing behind passes', async () => {
  const cache = new Map();
  await expectNoLeak(async () => {
    for (let i = 0; i < 50; i++) cache.set(n++ % 100, { text: `entry ${n}` });
    const garbage = Array.from({ length: 1000 }, (_, i) => ({ i, text: `t${i}` }));
    bus.once('passing', () => garbage.length);
    bus.emit('passing');
    await new Promise((resolve) => setTimeout(resolve, 1));
  });
});

test('classes that may grow are allowed by name; files and sessions are gone afterwards', async () => {
  const before = fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith('heaprs-testing-'));
  await expectNoLeak(() => jobs.set(n++, new Job()), { rounds: 20, allow: ['Job'] });
  const after = fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith('heaprs-testing-'));
  assert.deepStrictEqual(after.filter((name) => !before.includes(name)), []);
});

test('an error of the code, and a wrong option, come through', async () => {
  const thrown = new Error('mine');
  assert.strictEqual(await rejection(expectNoLeak(() => Promise.reject(thrown))), thrown);
  for (const [fn, options] of [[undefined], [() => {}, { rounds: 1 }], [() => {}, { allow: 'Job' }], [() => {}, { round: 5 }]]) {
    assert.strictEqual((await rejection(expectNoLeak(fn, options))).code, 'ERR_HEAPRS_INVALID_ARGUMENT');
  }
  assert.strictEqual((await rejection(expectNoLeak(() => {}, { signal: AbortSignal.abort(thrown) }))), thrown);
});

const runners = path.join(__dirname, 'runners');
const installed = fs.existsSync(path.join(runners, 'node_modules'));
const [major, minor] = process.versions.node.split('.').map(Number);
const commands = {
  'node:test': ['--test', '--test-reporter=spec', 'sessions.node.js'],
  'jest': ['node_modules/jest/bin/jest.js'],
  'vitest': ['node_modules/vitest/vitest.mjs', 'run'],
};

for (const [runner, args] of Object.entries(commands)) {
  // Both runners start dozens of processes' worth of code: once is enough, under the Node.js that builds.
  const skip = runner !== 'node:test' && ((!installed && 'npm test installs the runners') || ((major !== 20 || minor < 19) && 'run under Node.js 20'));
  test(`works in ${runner}`, { skip, timeout: 300_000 }, () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: runners, env: { ...env, NO_COLOR: '1', CI: 'true' }, encoding: 'utf8' });
    const output = stdout + stderr;
    assert.strictEqual(status, 1, output);
    assert.match(output, /(✔|✓) closed sessions leave nothing behind|1 passed/, output);
    assert.match(output, /LeakError\]?: the code leaves objects behind\. Each of 30 rounds left\n\s*1 Session, 32 bytes\n\s*Held by\n\s*Map `.*holds \d+ Session/, output);
  });
}
