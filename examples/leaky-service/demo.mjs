// The demo: starts the leaky service, lets clients load it, shows what heaprs sees, and explains the leak from a snapshot.
//
//   npm run demo                 everything in a temporary directory that is removed
//   npm run demo -- --keep       the snapshot stays; its place is printed
//
// Exits 0 when the leak was found and explained, 1 with a message when no `leak` event came in time.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { analyze, captureHeapSnapshot } from 'heaprs';
import { start } from './server.mjs';

const DEADLINE_MS = 90_000;
const IN_FLIGHT = 16;
/** Bounds the heap: far more than a demo needs, far less than a machine has. */
const REQUESTS = 150_000;

const keep = process.argv.includes('--keep');
const live = process.stdout.isTTY === true;
/** A terminal may say that it is 0 columns wide. */
const width = process.stdout.columns >= 20 ? process.stdout.columns : 80;
const mb = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
const began = performance.now();

/** One line that is rewritten on a terminal; elsewhere a plain line every two seconds. */
const status = {
  last: -Infinity,
  show(text) {
    const now = performance.now();
    if (live) process.stdout.write(`\r\x1b[K${text.slice(0, width - 1)}`);
    else if (now - this.last >= 2000) {
      this.last = now;
      console.log(text);
    }
  },
  end() {
    if (live) process.stdout.write('\n');
  }
};

/** Resolves with the first leak report; meanwhile every GC moves the status line. */
function firstLeak(service, signal) {
  const { detector } = service;
  let gcs = 0;
  let pause = 0;
  const onGc = (gc) => {
    gcs++;
    pause = Math.max(pause, gc.pauseMs);
    const seconds = ((performance.now() - began) / 1000).toFixed(0);
    status.show(
      `${seconds} s  gc ${gcs}: ${gc.kind} ${gc.pauseMs.toFixed(1)} ms (longest ${pause.toFixed(1)})  ` +
        `heap ${mb(gc.usedBefore)} -> ${mb(gc.usedAfter)}  ${service.sessions()} logins`
    );
  };
  detector.on('gc', onGc);
  const leak = new Promise((resolve, reject) => {
    detector.once('leak', resolve);
    setTimeout(() => {
      const seen = `${gcs} garbage collections and ${service.sessions()} logins seen`;
      reject(new Error(`no leak event within ${DEADLINE_MS / 1000} s (${seen}); the service does leak, so this is a fault of heaprs`));
    }, DEADLINE_MS).unref();
    signal.addEventListener('abort', () => reject(new Error('interrupted')));
  });
  return leak.finally(() => {
    detector.off('gc', onGc);
    status.end();
  });
}

function tellLeak(leak) {
  const limit = leak.timeToLimitMs === null ? 'not in sight' : `in about ${(leak.timeToLimitMs / 60_000).toFixed(1)} minutes`;
  console.log(`
leak: ${leak.reason}
  growth       ${mb(leak.growth)} from ${leak.start.toISOString()} to ${leak.end.toISOString()}, over ${leak.gcs} collections
  pace         ${mb(leak.growthPerHour)} an hour
  confidence   ${(leak.confidence * 100).toFixed(0)} %
  heap         ${mb(leak.heapUsed)} of ${mb(leak.heapLimit)}; the limit is reached ${limit}`);
}

async function main() {
  const abort = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => abort.abort());
  // Whoever reads this may have seen enough (`| head`): then it ends as with Ctrl-C.
  process.stdout.on('error', () => abort.abort());
  const { signal } = abort;
  const service = await start();
  const directory = mkdtempSync(join(tmpdir(), 'heaprs-demo-'));
  const clients = fork(fileURLToPath(new URL('load.mjs', import.meta.url)), [service.url, String(IN_FLIGHT), String(REQUESTS)]);
  try {
    console.log(`A login service runs on ${service.url}; ${IN_FLIGHT} clients log in again and again.`);
    const leak = await firstLeak(service, signal);
    tellLeak(leak);

    const capture = await captureHeapSnapshot({ directory, signal });
    console.log(`
snapshot: ${capture.file}
  ${capture.nodes} nodes, ${capture.edges} edges, ${mb(capture.snapshotBytes)} (${mb(capture.fileBytes)} on disk)
  ${capture.mode}: the service stood still for ${capture.pauseMs.toFixed(0)} ms\n`);

    const report = await analyze(capture.file, { signal });
    console.log(report.toText({ color: live && !process.env.NO_COLOR, width }));
  } finally {
    const gone = clients.exitCode ?? once(clients, 'exit');
    if (clients.connected) clients.disconnect();
    await gone;
    await service.stop();
    if (!keep) rmSync(directory, { recursive: true, force: true });
  }
  const seconds = ((performance.now() - began) / 1000).toFixed(0);
  console.log(
    keep
      ? `Done in ${seconds} s. The snapshot stays in ${directory}: load it in Chrome DevTools (Memory, Load profile).`
      : `Done in ${seconds} s. The snapshot is removed; \`npm run demo -- --keep\` keeps it for Chrome DevTools.`
  );
}

main().catch((error) => {
  console.error(`demo: ${error.code ? `${error.code}: ` : ''}${error.message}`);
  process.exitCode = 1;
});
