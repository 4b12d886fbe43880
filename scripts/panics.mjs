// `npm run test:panics`: builds the addon that panics where a test asks it to, under a name of its own, and runs the test that no panic
// reaches JavaScript. The addon that everything else uses stays as it is.

import { join } from 'node:path';
import { ensureInstalled, main, root, run } from './ensure.mjs';

const OUT = join('target', 'panics');
const TEST = join('__test__', 'panics.test.js');

await main(() => {
  ensureInstalled();
  const napi = join(root, 'node_modules', '@napi-rs', 'cli', 'dist', 'cli.js');
  const build = [
    'build',
    '--features',
    'test-panics',
    '--target-dir',
    OUT,
    '--output-dir',
    join(OUT, 'addon'),
    '--no-js',
    '--dts',
    'binding.d.ts'
  ];
  const status = run(process.execPath, [napi, ...build], { stdio: ['ignore', 2, 2] });
  if (status !== 0) return status;
  // The generated loader takes its addon from here.
  const env = { ...process.env, NAPI_RS_NATIVE_LIBRARY_PATH: join(root, OUT, 'addon', 'heaprs.node'), RUST_BACKTRACE: '0' };
  return run(process.execPath, ['--test', '--test-reporter=spec', TEST], { env });
});
