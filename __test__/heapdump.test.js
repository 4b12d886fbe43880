'use strict';
// Programs written for heapdump run with the name changed.

const test = require('node:test');
const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { heaprs, project, run } = require('./helpers.js');

const DEFAULT_NAME = /^heapdump-\d+\.\d+\.heapsnapshot$/;
const snapshots = (directory) => fs.readdirSync(directory).filter((name) => name.endsWith('.heapsnapshot'));

test('writeSnapshot in each form of its arguments: name, callback within the call, what it returns', async (t) => {
  const cwd = project(t);
  const { code, stderr, json } = await run(`
    const heapdump = require('heaprs/heapdump');
    const told = [];
    const callback = (error, filename) => told.push({ error, message: error?.message, code: error?.code, filename });
    const returned = [
      heapdump.writeSnapshot(),
      heapdump.writeSnapshot('named.heapsnapshot'),
      heapdump.writeSnapshot(callback),
      heapdump.writeSnapshot('called.heapsnapshot', callback),
      heapdump.writeSnapshot(undefined, callback),
      heapdump.writeSnapshot(null, callback),
      heapdump.writeSnapshot('called.heapsnapshot', callback),
      heapdump.writeSnapshot('/does/not/exist', callback),
      heapdump.writeSnapshot('/does/not/exist'),
    ];
    console.log(JSON.stringify({ returned, told }));`, { cwd });
  assert.deepEqual([code, stderr], [0, '']);
  const { returned, told } = json();
  assert.deepEqual(returned, [true, true, true, true, true, true, true, false, false]);
  const names = told.slice(0, 5).map(({ error, filename }) => (assert.equal(error, null), filename));
  for (const i of [0, 2, 3]) assert.match(names[i], DEFAULT_NAME);
  assert.deepEqual([names[1], names[4]], ['called.heapsnapshot', 'called.heapsnapshot']);
  assert.equal(told.length, 6);
  assert.match(told[5].message, /^heapdump write error ENOENT/);
  assert.equal(told[5].code, 'ERR_HEAPRS_NOT_FOUND');
  const files = snapshots(cwd);
  assert.equal(files.length, 6, String(files));
  assert.equal(files.filter((name) => DEFAULT_NAME.test(name)).length, 4);
  const snapshot = await heaprs.openSnapshot(path.join(cwd, 'called.heapsnapshot'));
  assert.ok(snapshot.info.nodes > 10_000);
  snapshot.close();
});

const server = `
  var http = require('http');
  var heapdump = require('heaprs/heapdump');
  var server = http.createServer(function (req, res) { res.end('OK'); });
  server.listen(0, function () {
    process.kill(process.pid, 'SIGUSR2');
    var waiting = setInterval(function () {
      var files = require('fs').readdirSync('.').filter(function (name) { return /^heapdump-.*snapshot$/.test(name); });
      if (files.length === 0) return;
      clearInterval(waiting);
      server.close();
      console.log(files.join());
    }, 20);
  });`;

test('SIGUSR2 writes a snapshot into the working directory, and the program goes on', { skip: process.platform === 'win32' }, async (t) => {
  const cwd = project(t);
  const { code, stdout, stderr } = await run(server, { cwd });
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout.trim(), DEFAULT_NAME);
  assert.deepEqual(snapshots(cwd), [stdout.trim()]);
});

test('NODE_HEAPDUMP_OPTIONS=nosignal leaves SIGUSR2 alone: it ends the process', { skip: process.platform === 'win32' }, async (t) => {
  const cwd = project(t);
  const { signal, stderr } = await run(server, { cwd, env: { NODE_HEAPDUMP_OPTIONS: 'nosignal' } });
  assert.deepEqual([signal, stderr, snapshots(cwd)], ['SIGUSR2', '', []]);
});

test('an unknown option is named; a program that loads it ends when it has nothing to do', async (t) => {
  const { code, stderr } = await run(`require('heaprs/heapdump');`, { cwd: project(t), env: { NODE_HEAPDUMP_OPTIONS: 'nofork, dance' } });
  assert.equal(code, 0);
  assert.match(stderr, /^heaprs\/heapdump: .*: dance\n$/);
});
