// `npm run fuzz [-- MINUTES]`: the property tests of the Rust core on ever new random input: snapshots of random shape and layout, cut,
// flipped and lying ones, random heaps against the plain reference. Default 10 minutes. A failure prints the seed that repeats it.

import { main, run } from './ensure.mjs';

const CASES = 2000;

await main(() => {
  const minutes = Number(process.argv[2] ?? 10);
  if (!(minutes > 0)) throw new Error('npm run fuzz -- MINUTES takes a number of minutes');
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
