// `npm run soak -- fork [CAPTURES] [OBJECTS]`: captures by fork under an endlessly allocating loop, the same with two busy workers, and under HTTP load;
// then 500 of a small heap. Every file must be complete, at least 95 % come by fork at the first or second attempt, and nothing stay behind.
// Default: 200 captures with 400,000 live objects.

import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { mkdtempSync, rmSync } from 'node:fs';
import { root, run } from './ensure.mjs';

const PROGRAM = `
  const fs = require('node:fs'), http = require('node:http');
  const { Worker } = require('node:worker_threads');
  const heaprs = require(process.argv[1]);
  const [directory, kind, captures, objects] = [process.argv[2], process.argv[3], Number(process.argv[4]), Number(process.argv[5])];
  class Landmark {}
  globalThis.landmarks = Array.from({ length: 1000 }, () => new Landmark());
  globalThis.kept = Array.from({ length: objects }, (_, i) => ({ i, s: 's' + i }));
  let going = true;
  function allocate() {
    const end = performance.now() + 5;
    while (performance.now() < end) globalThis.sink = Array.from({ length: 2000 }, (_, i) => ({ i, name: 'n' + i, inner: { i } }));
    if (going) setImmediate(allocate);
  }
  const BUSY = 'globalThis.kept = Array.from({ length: 50_000 }, (_, i) => ({ i })); for (;;) globalThis.sink = Array.from({ length: 2000 }, (_, i) => ({ i, name: "n" + i }));';
  async function load() {
    const workers = kind === 'workers' ? [1, 2].map(() => new Worker(BUSY, { eval: true })) : [];
    if (kind === 'loop' || kind === 'workers') allocate();
    if (kind !== 'http') return () => Promise.all(workers.map((w) => w.terminate()));
    const server = http.createServer((request, response) => response.end(JSON.stringify(globalThis.kept.slice(0, 100)))).listen(0);
    await new Promise((resolve) => server.once('listening', resolve));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    const ask = () => going && http.get({ port: server.address().port, agent }, (r) => r.resume().on('end', ask)).on('error', (e) => { if (going) throw e; });
    for (let i = 0; i < 8; i++) ask();
    return () => { server.close(); server.closeAllConnections(); };
  }
  const children = () => fs.readdirSync('/proc/self/task').flatMap((id) => { try { return fs.readFileSync('/proc/self/task/' + id + '/children', 'utf8').split(' ').filter(Boolean); } catch { return []; } });
  const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
  (async () => {
    const stop = await load();
    const file = directory + '/x.heapsnapshot';
    const counts = { first: 0, second: 0, third: 0, inline: 0, wrong: 0 }, reasons = new Set(), pauses = [], rss = [];
    let fds;
    for (let n = 0; n < captures; n++) {
      const result = await heaprs.captureHeapSnapshot({ file, overwrite: true });
      counts[result.mode === 'inline' ? 'inline' : ['first', 'second', 'third'][result.attempts - 1]]++;
      if (result.fallbackReason) reasons.add(result.fallbackReason);
      pauses.push(result.pauseMs);
      fds ??= fs.readdirSync('/proc/self/fd').length;
      if (kind === 'small') { rss.push(process.memoryUsage.rss() / 1e6); if (n % 50) continue; }
      const snapshot = await heaprs.openSnapshot(file);
      const row = (await snapshot.summary({ search: 'Landmark' })).find(({ name }) => name === 'Landmark');
      if (snapshot.info.nodes !== result.nodes || !(row?.count >= 1000)) counts.wrong++;
      snapshot.close();
    }
    going = false;
    await stop();
    const left = [children().length, fs.readdirSync(directory).length - 1, Math.max(0, fs.readdirSync('/proc/self/fd').length - fds - (kind === 'http' ? 20 : 2))];
    const half = rss.length >> 1;
    const grown = rss.length ? median(rss.slice(half)) / median(rss.slice(half >> 1, half)) : 1;
    console.log(process.version, kind.padEnd(8), JSON.stringify(counts), 'pause', median(pauses).toFixed(1), 'ms, worst', Math.max(...pauses).toFixed(1), 'ms; left behind: children, files, descriptors', left.join(' '), rss.length ? '; resident x ' + grown.toFixed(3) : '', ...reasons);
    process.exit(counts.wrong === 0 && counts.first + counts.second >= captures * 0.95 && left.every((n) => n === 0) && grown < 1.05 ? 0 : 1);
  })();
`;

export function soakFork(captures = '200', objects = '400000') {
  let failed = 0;
  for (const [kind, count, size] of [['loop', captures, objects], ['workers', captures, objects], ['http', captures, objects], ['small', '500', '0']]) {
    const directory = mkdtempSync(join(tmpdir(), 'heaprs-soak-'));
    try {
      failed += run(process.execPath, ['-e', PROGRAM, root, directory, kind, count, size]) === 0 ? 0 : 1;
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return failed;
}
