// `npm run soak -- faults [ROUNDS]`: what can go wrong beside a capture, at ROUNDS (50) random moments each (see soak/faults.cjs); and
// `npm run soak -- memory [LIMIT_MB]`: heaps for which memory runs out in a control group (see soak/memory.cjs; needs root).

import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { mkdtempSync, rmSync } from 'node:fs';
import { root, run } from './ensure.mjs';

const HEAPS = ['objects', 'sessions', 'arrays', 'array', 'strings', 'dictionary'];

export function soakFaults(rounds = '50') {
  return soak('faults.cjs', rounds);
}

export function soakMemory(megabytes = '400') {
  let failed = 0;
  for (const heap of HEAPS) {
    for (const load of ['calm', 'growing', 'busy']) {
      for (const mode of ['fork', 'auto']) failed += soak('memory.cjs', heap, megabytes, load, mode) === 0 ? 0 : 1;
    }
  }
  return failed;
}

function soak(program, ...args) {
  const directory = mkdtempSync(join(tmpdir(), 'heaprs-soak-'));
  try {
    return run(process.execPath, ['--expose-gc', join(root, 'scripts', 'soak', program), root, directory, ...args]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
