'use strict';
// The process that `npm run soak -- fork` watches: captures itself by fork, over and over, under one kind of load. Prints one line, and
// exits with 1 when a file was not whole or right, too few captures came by fork at the first or second attempt, or anything stayed behind.
//
//   node captures.cjs HEAPRS DIRECTORY loop|workers|http|small CAPTURES OBJECTS

const assert = require('node:assert');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { Worker } = require('node:worker_threads');
const { fork } = require('node:child_process');

const [, , package_, directory, kind] = process.argv;
const [captures, objects] = process.argv.slice(5).map(Number);
const heaprs = require(package_);
// One is looked at while the next one is made.
const files = ['a.heapsnapshot', 'b.heapsnapshot'].map((name) => path.join(directory, name));

// What every file must show as an inline one at rest does.
class Landmark { constructor(i) { this.map = new Map([[i, { i }]]); this.set = new Set([i]); this.next = { name: `landmark ${i}` }; } }
class Kept { constructor(i) { this.i = i; this.s = 's' + i; } }
globalThis.landmarks = Array.from({ length: 1000 }, (_, i) => new Landmark(i));
globalThis.kept = Array.from({ length: objects }, (_, i) => new Kept(i));

const BUSY = `
  globalThis.kept = Array.from({ length: 50_000 }, (_, i) => ({ i }));
  for (;;) globalThis.sink = Array.from({ length: 2000 }, (_, i) => ({ i, name: "n" + i }));`;

let going = true;
function allocate() {
  const end = performance.now() + 5;
  while (performance.now() < end) globalThis.sink = Array.from({ length: 2000 }, (_, i) => ({ i, name: 'n' + i, inner: { i } }));
  if (going) setImmediate(allocate);
}

// Anonymous memory, in MB: without pages of Node's executable, and without what V8 has only not collected yet, in so small a heap for hundreds of captures.
function anonymous() {
  globalThis.gc?.();
  return Number(/RssAnon:\s*(\d+)/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]) / 1000;
}

// By how many MB the second half lies above the second quarter.
function growth(values) {
  const half = values.length >> 1;
  return median(values.slice(half)) - median(values.slice(half >> 1, half));
}

const four = (values) => [0, values.length >> 2, values.length >> 1, values.length - 1].map((n) => values[n].toFixed(1)).join(', ');

// Resolves to a function that ends the load.
async function load() {
  if (kind === 'small') return () => {};
  if (kind === 'http') return serve(8);
  const workers = kind === 'workers' ? [1, 2].map(() => new Worker(BUSY, { eval: true })) : [];
  await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('online', resolve))));
  allocate();
  return () => Promise.all(workers.map((worker) => worker.terminate()));
}

async function serve(connections) {
  const server = http.createServer((request, response) => response.end(JSON.stringify(globalThis.kept.slice(0, 100)))).listen(0);
  await new Promise((resolve) => server.once('listening', resolve));
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const broken = (e) => { if (going) throw e; };
  const ask = () => going && http.get({ port: server.address().port, agent }, (r) => r.resume().on('end', ask)).on('error', broken);
  for (let i = 0; i < connections; i++) ask();
  return async () => {
    agent.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
}

// Zombies count: they are somebody's children until they are waited for.
function children() {
  return fs.readdirSync('/proc/self/task').flatMap((id) => {
    try {
      return fs.readFileSync(`/proc/self/task/${id}/children`, 'utf8').split(' ').filter(Boolean);
    } catch {
      return []; // a thread that has just ended
    }
  });
}

const descriptors = () => fs.readdirSync('/proc/self/fd').length;
const median = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];

// What analyse.cjs finds in a file.
const analyst = fork(path.join(path.dirname(process.argv[1]), 'analyse.cjs'), [package_]);
async function analyse({ file, nodes, edges }) {
  const answer = new Promise((resolve) => analyst.once('message', resolve));
  analyst.send({ file, nodes, edges });
  const { rows, message } = await answer;
  assert.ok(rows, message);
  return rows;
}

async function main() {
  const expected = await analyse(await heaprs.captureHeapSnapshot({ file: files[0], overwrite: true, mode: 'inline' }));
  // libuv keeps one descriptor in reserve from the first server on.
  if (kind === 'http') await (await serve(0))();
  const before = descriptors();
  const stop = await load();
  const counts = { first: 0, second: 0, third: 0, inline: 0, wrong: 0 };
  const [reasons, pauses, rss] = [new Set(), [], []];
  const compare = async (result) => {
    try {
      assert.deepEqual(await analyse(result), expected);
    } catch (error) {
      counts.wrong++;
      reasons.add(error.message);
    }
  };
  let compared;
  for (let n = 0; n < captures; n++) {
    const result = await heaprs.captureHeapSnapshot({ file: files[n % 2], overwrite: true });
    await compared;
    counts[result.mode === 'inline' ? 'inline' : ['first', 'second', 'third'][result.attempts - 1]]++;
    if (result.fallbackReason) reasons.add(result.fallbackReason);
    pauses.push(result.pauseMs);
    if (kind === 'small') rss.push(anonymous());
    compared = kind !== 'small' || n % 50 === 0 ? compare(result) : undefined;
  }
  await compared;
  going = false;
  await stop();
  const gone = new Promise((resolve) => analyst.once('exit', resolve));
  analyst.kill();
  await gone;
  // Closed sockets and ended workers let go of their descriptors within a few turns.
  for (let n = 0; n < 100 && descriptors() > before; n++) await new Promise((resolve) => setTimeout(resolve, 50));
  const left = { children: children().length, files: fs.readdirSync(directory).length - files.length, descriptors: Math.max(0, descriptors() - before) };
  // In MB; a twentieth may come and go.
  const [grown, allowed] = rss.length ? [growth(rss), 0.05 * median(rss)] : [0, 1];
  const times = `pause ${median(pauses).toFixed(1)} ms, worst ${Math.max(...pauses).toFixed(1)} ms`;
  const memory = rss.length ? `; anonymous ${four(rss)} MB, grown by ${grown.toFixed(2)}` : '';
  console.log(process.version, kind.padEnd(8), JSON.stringify(counts), times, '; left behind', JSON.stringify(left) + memory, ...reasons);
  const byFork = counts.first + counts.second >= captures * 0.95;
  process.exit(counts.wrong === 0 && byFork && Object.values(left).every((n) => n === 0) && grown < allowed ? 0 : 1);
}

main();
