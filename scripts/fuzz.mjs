// `npm run fuzz [-- MINUTES [TARGET]]`: the property tests of the Rust core on ever new random input: snapshots of random shape and layout,
// cut, flipped and lying ones, random heaps against the plain reference. Default 10 minutes. A failure prints the seed that repeats it.
//
// With a target of `fuzz/` (reader, pipeline, redact): libFuzzer, which looks for input that reaches new code, under AddressSanitizer. Needs
// cargo-fuzz and a nightly toolchain. What it finds is kept in fuzz/corpus, a failure in fuzz/artifacts.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { main, root, run } from './ensure.mjs';

const CASES = 2000;
// Each with the folder of its first inputs.
const TARGETS = { reader: 'reader', pipeline: 'pipeline', redact: 'reader' };

await main(() => {
  const minutes = Number(process.argv[2] ?? 10);
  if (!(minutes > 0)) throw new Error('npm run fuzz -- MINUTES [TARGET] takes a number of minutes');
  const target = process.argv[3];
  if (target !== undefined) return libFuzzer(target, minutes);
  const end = Date.now() + minutes * 60_000;
  let rounds = 0;
  do {
    const status = run('cargo', ['test', '--release', '--no-default-features', '--tests', '--quiet'], { env: { ...process.env, PROPTEST_CASES: String(CASES) } });
    if (status !== 0) return status;
    rounds += 1;
  } while (Date.now() < end);
  console.log(`fuzz: ${rounds} rounds of ${CASES} cases a property, no finding`);
  return 0;
});

function libFuzzer(target, minutes) {
  if (!(target in TARGETS)) throw new Error(`there is no target "${target}"; there are ${Object.keys(TARGETS).join(', ')}`);
  const [corpus, seeds] = [join(root, 'fuzz/corpus', target), join(root, 'fuzz/seeds', TARGETS[target])];
  mkdirSync(corpus, { recursive: true });
  const limits = [`-max_total_time=${Math.ceil(minutes * 60)}`, '-max_len=20000', '-timeout=60'];
  // Threads that end as the process does are no leak.
  const env = { ...process.env, ASAN_OPTIONS: 'detect_leaks=0' };
  return run('cargo', ['+nightly', 'fuzz', 'run', target, corpus, seeds, '--', ...limits], { cwd: root, env });
}
