'use strict';
// The script of the helper process: compares the snapshot on descriptor 3 with an earlier one on descriptor 4 and prints what has grown, as
// JSON; or what holds most, where there is none to compare with.

const fs = require('node:fs');
const os = require('node:os');

const { budget, compare } = JSON.parse(process.argv[2]);

// Whoever wants the answer has the other end; nothing is ever written to it.
process.stdin.on('end', () => process.exit(1)).on('error', () => process.exit(1)).resume();
try {
  os.setPriority(10);
  // Where memory runs out, this process is the one to go.
  fs.writeFileSync('/proc/self/oom_score_adj', '1000');
} catch {
  // Not on this system, or already.
}

main().then(
  (found) => {
    const { user, system } = process.cpuUsage();
    answer({ ...found, cpuMs: (user + system) / 1000, peakBytes: peak() });
  },
  (error) => answer({ error: error.message, code: error.code })
);

async function main() {
  const { openSnapshot } = require('../snapshot.js');
  const { leakSuspects } = require('./suspects.js');
  const base = compare ? await openSnapshot('/dev/fd/4', { maxMemory: budget }) : undefined;
  const current = await openSnapshot('/dev/fd/3', { maxMemory: Math.max(1, budget - process.memoryUsage().rss) });
  return leakSuspects(base, current);
}

// What resourceUsage() says counts the process that started this one as well.
function peak() {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(fs.readFileSync('/proc/self/status', 'utf8'))[1]) * 1024;
  } catch {
    return process.resourceUsage().maxRSS * 1024;
  }
}

function answer(value) {
  process.stdout.write(JSON.stringify(value), () => process.exit(0));
}
