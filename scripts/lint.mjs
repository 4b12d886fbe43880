// `npm run lint`: formatting, clippy with and without Node, eslint, the types, and generated files that match their source.
// Every step runs, so that one round shows all there is to mend.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, generated, main, root, run } from './ensure.mjs';

const bin = (name, file) => [process.execPath, [join(root, 'node_modules', name, file)]];

function tool([command, first], ...args) {
  return () => run(command, [...first, ...args]) === 0;
}

/**
 * The build rewrites the generated files in place; a difference means that the checked-in ones were stale. In CI they are compared with
 * the commit as well, for a build that ran before this script did.
 */
function generatedAreCurrent() {
  const before = generated.map((name) => readFileSync(join(root, name), 'utf8'));
  ensureBuilt();
  let good = true;
  generated.forEach((name, i) => {
    const now = readFileSync(join(root, name), 'utf8');
    const commit = process.env.CI ? spawnSync('git', ['show', `HEAD:${name}`], { cwd: root, encoding: 'utf8' }).stdout : undefined;
    if (now === before[i] && (!commit || now === commit)) return;
    console.error(`${name} was stale: it has been generated anew, commit it`);
    good = false;
  });
  return good;
}

const steps = [
  ['cargo fmt', tool(['cargo', ['fmt', '--all', '--check']])],
  ['generated files', generatedAreCurrent],
  ['clippy, addon', tool(['cargo', ['clippy', '--all-targets', '--features', 'test-panics', '--', '-D', 'warnings']])],
  ['clippy, core alone', tool(['cargo', ['clippy', '--all-targets', '--no-default-features', '--', '-D', 'warnings']])],
  ['clippy, fuzz targets', tool(['cargo', ['clippy', '--locked', '--manifest-path', 'fuzz/Cargo.toml', '--target-dir', 'target/fuzz', '--', '-D', 'warnings']])],
  ['eslint', tool(bin('eslint', 'bin/eslint.js'), '--max-warnings=0', '.')],
  ['tsc', tool(bin('typescript', 'bin/tsc'), '-p', '__test__/types')]
];

await main(() => {
  ensureInstalled();
  const failed = steps.filter(([title, step]) => {
    console.log(`── ${title}`);
    return !step();
  });
  console.log(
    failed.length === 0 ? `lint: ${steps.length} steps, all clean` : `lint: FAILED: ${failed.map(([title]) => title).join(', ')}`
  );
  return failed.length === 0 ? 0 : 1;
});
