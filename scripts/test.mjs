// `npm test`: installs and builds what is stale, runs the Rust tests and the JavaScript tests, and says at the end how each went.
//
//   node scripts/test.mjs                   everything
//   node scripts/test.mjs --only rust|js    one side
//   node scripts/test.mjs --only js cli     JavaScript test files whose name contains "cli"
//   --no-build                              take what is installed and built (CI, other Node versions)
//
// With a Node other than the one that built: OTHER/bin/node scripts/test.mjs --only js --no-build

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureBuilt, ensureInstalled, main, root, run } from './ensure.mjs';

/** The Rust core without Node around it: nextest where it is installed, plus the documentation examples, which it does not run. */
function rust() {
  const core = ['--no-default-features'];
  const nextest = run('cargo', ['nextest', '--version'], { stdio: 'ignore' }) === 0;
  if (!nextest) return [['cargo test', 'cargo', ['test', ...core]]];
  return [
    ['cargo nextest', 'cargo', ['nextest', 'run', ...core]],
    ['cargo test --doc', 'cargo', ['test', '--doc', ...core]]
  ];
}

/** Every file of `__test__`, two at a time: most of their time is spent waiting, and none may depend on having a machine to itself. */
function javascript(names) {
  const files = readdirSync(join(root, '__test__'))
    .filter((file) => file.endsWith('.test.js') && (names.length === 0 || names.some((name) => file.includes(name))))
    .sort();
  if (files.length === 0) throw new Error(`no file in __test__ matches ${names.join(', ')}`);
  const args = ['--test', '--test-concurrency=2', '--test-reporter=spec', ...files.map((file) => join('__test__', file))];
  return [[`node --test (${process.version}, ${files.length} files)`, process.execPath, args]];
}

await main(() => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { only: { type: 'string' }, 'no-build': { type: 'boolean' } }
  });
  if (values.only !== undefined && !['rust', 'js'].includes(values.only)) throw new Error('--only takes rust or js');
  if (!values['no-build']) {
    ensureInstalled();
    if (values.only !== 'rust') ensureInstalled(join(root, '__test__', 'runners'));
    ensureBuilt();
  }
  const steps = [...(values.only === 'js' ? [] : rust()), ...(values.only === 'rust' ? [] : javascript(positionals))];
  const results = steps.map(([title, command, args]) => {
    console.log(`\n── ${title}`);
    const start = performance.now();
    // A test file must not believe it is a child of another test runner.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const status = run(command, args, { env });
    return { title, status, seconds: (performance.now() - start) / 1000 };
  });
  console.log('');
  for (const { title, status, seconds } of results) {
    console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${title} (${seconds.toFixed(1)} s)`);
  }
  return results.every(({ status }) => status === 0) ? 0 : 1;
});
