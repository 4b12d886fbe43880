// `npm run soak -- fork [CAPTURES] [OBJECTS] [KIND…]`: captures by fork under an endlessly allocating loop, the same with two busy workers, and under
// HTTP load; then 500 of a small heap. See soak/captures.cjs for what is asked of them. Default: 200 captures with 400,000 live objects, all kinds.

import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { mkdtempSync, rmSync } from 'node:fs';
import { root, run } from './ensure.mjs';

const KINDS = ['loop', 'workers', 'http', 'small'];

export function soakFork(captures = '200', objects = '400000', ...kinds) {
  let failed = 0;
  for (const kind of kinds.length > 0 ? kinds : KINDS) {
    const directory = mkdtempSync(join(tmpdir(), 'heaprs-soak-'));
    const size = kind === 'small' ? ['500', '0'] : [captures, objects];
    try {
      failed += run(process.execPath, ['--expose-gc', join(root, 'scripts', 'soak', 'captures.cjs'), root, directory, kind, ...size]) === 0 ? 0 : 1;
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }
  return failed;
}
