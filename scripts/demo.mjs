// `npm run demo`: installs and builds what is stale, then runs examples/leaky-service, which leaks, is caught, and explains itself.

import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, main, root, run } from './ensure.mjs';

await main(() => {
  ensureInstalled();
  ensureBuilt();
  // The demo is its own process: what it prints is what a service would show, with V8's ordinary flags.
  return run(process.execPath, [join(root, 'examples', 'leaky-service', 'demo.mjs'), ...process.argv.slice(2)]);
});
