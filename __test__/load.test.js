'use strict';
// Loading heaprs does no work, from CommonJS and from ES modules.

const test = require('node:test');
const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { heaprs, root, scratch } = require('./helpers.js');

const node = (args, options) => {
  const result = spawnSync(process.execPath, args, { encoding: 'utf8', ...options });
  assert.deepStrictEqual([result.status, result.stderr], [0, ''], args.join(' '));
  return result.stdout;
};

test('loading starts no thread, takes no signal, opens no file, adds no listener; so does the addon', { skip: process.platform !== 'linux' }, () => {
  const out = node(['-e', `
    const fs = require('node:fs');
    const look = () => ({
      threads: fs.readdirSync('/proc/self/task').length,
      signals: /SigCgt:.*/.exec(fs.readFileSync('/proc/self/status', 'utf8'))[0],
      descriptors: fs.readdirSync('/proc/self/fd').length,
      listeners: process.eventNames().map(String),
      resources: process.getActiveResourcesInfo(),
    });
    look();
    const before = look();
    require(${JSON.stringify(root)});
    const loaded = look();
    require(${JSON.stringify(path.join(root, 'lib/native.js'))}).native().unavailableFeatures();
    console.log(JSON.stringify([before, loaded, look()]));`]);
  const [before, loaded, native] = JSON.parse(out);
  assert.deepStrictEqual(loaded, before);
  assert.deepStrictEqual(native, before);
});

test('every export is there under the same name for require and import, and documented', () => {
  const names = Object.keys(heaprs);
  const imported = JSON.parse(node(['--input-type=module', '-e', `
    import heaprs, { ${names.join(', ')} } from ${JSON.stringify(`file://${root}/index.js`)};
    console.log(JSON.stringify([${names.map((n) => `typeof ${n}`).join(', ')}, Object.keys(heaprs).length]));`]));
  assert.deepStrictEqual(imported, [...names.map(() => 'function'), names.length]);
  const types = fs.readFileSync(path.join(root, 'index.d.ts'), 'utf8');
  const undocumented = names.filter((name) => !new RegExp(`export (declare )?(function|class) ${name}\\b`).test(types));
  assert.deepStrictEqual(undocumented, []);
});

test('the package loads by its name, as installed', (t) => {
  const directory = scratch(t);
  fs.mkdirSync(path.join(directory, 'node_modules'));
  fs.symlinkSync(root, path.join(directory, 'node_modules/heaprs'), 'dir');
  assert.match(node(['-p', 'require("heaprs").forkSupport().supported'], { cwd: directory }), /true|false/);
  assert.match(node(['--input-type=module', '-e', 'import { forkSupport } from "heaprs"; console.log(forkSupport().supported)'], { cwd: directory }), /true|false/);
});

test('without the addon, the first use says what is missing', (t) => {
  const directory = scratch(t);
  for (const name of ['index.js', 'binding.js', 'package.json', 'lib']) fs.cpSync(path.join(root, name), path.join(directory, name), { recursive: true });
  const out = node(['-e', `
    const heaprs = require(process.argv[1]);
    try { heaprs.writeHeapSnapshot(); } catch (e) { console.log(JSON.stringify([e.code, e.message, Boolean(e.cause)])); }`, directory]);
  const [code, message, cause] = JSON.parse(out);
  assert.strictEqual(code, 'ERR_HEAPRS_UNAVAILABLE');
  assert.match(message, /no native addon/);
  assert.ok(cause);
});
