// `npm run bench [NAME…]`: each comparison runs its sides in turn in one run and prints ratios, since machines drift.
//
//   npm run bench                 all of them
//   npm run bench allocation      one

import { readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, main, root } from '../scripts/ensure.mjs';

const names = readdirSync(join(root, 'bench'))
  .filter((file) => file.endsWith('.bench.mjs'))
  .map((file) => file.replace('.bench.mjs', ''))
  .sort();

await main(async () => {
  ensureInstalled();
  ensureBuilt();
  const wanted = process.argv.slice(2);
  const unknown = wanted.filter((name) => !names.includes(name));
  if (unknown.length > 0) throw new Error(`no benchmark is called ${unknown.join(', ')}; there are ${names.join(', ')}`);
  console.log(`Node.js ${process.version}, V8 ${process.versions.v8}, ${cpus().length} × ${cpus()[0]?.model ?? process.arch}`);
  for (const name of wanted.length > 0 ? wanted : names) {
    console.log(`\n## ${name}`);
    await (await import(`./${name}.bench.mjs`)).default();
  }
});
