'use strict';
// What the documents say is so: their examples run, and their lists of names are the code's.

const assert = require('node:assert/strict');
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const root = path.join(__dirname, '..');
const read = (name) => fs.readFileSync(path.join(root, name), 'utf8');
const READMES = ['README.md', 'README.zh-CN.md'];

function blocks(markdown, language) {
  return [...markdown.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'gms'))].map(([, code]) => code);
}

const withoutComments = (code) => code.replace(/ *(\/\/|#).*$/gm, '');

test('the examples of the README run, one after the other, in a project that has heaprs installed', (t) => {
  const project = fs.mkdtempSync(path.join(os.tmpdir(), 'heaprs-docs-'));
  t.after(() => fs.rmSync(project, { recursive: true, force: true }));
  fs.mkdirSync(path.join(project, 'node_modules'));
  fs.symlinkSync(root, path.join(project, 'node_modules', 'heaprs'), 'junction');
  const examples = blocks(read('README.md'), 'js');
  assert.ok(examples.length >= 4);
  examples.forEach((code, i) => {
    const file = path.join(project, `example${i}.${/^import /m.test(code) ? 'mjs' : 'cjs'}`);
    fs.writeFileSync(file, code);
    const { status, stderr } = spawnSync(process.execPath, [file], { cwd: project, encoding: 'utf8', timeout: 60_000 });
    assert.equal(status, 0, `${code}\n${stderr}`);
    assert.equal(stderr, '', code);
  });
});

test('both READMEs have the same examples', () => {
  for (const language of ['js', 'sh']) {
    const [english, chinese] = READMES.map((name) => blocks(read(name), language).map(withoutComments));
    assert.deepEqual(chinese, english);
  }
});

test('the error codes of the READMEs and of index.d.ts are those of src/error.rs', () => {
  const codes = (text) => [...new Set(text.match(/ERR_HEAPRS_[A-Z_]*[A-Z]/g))].sort();
  const rust = codes(read('src/error.rs'));
  assert.ok(rust.length > 10);
  for (const name of [...READMES, 'index.d.ts']) assert.deepEqual(codes(read(name)), rust, name);
});

test('index.d.ts declares what index.js exports, and nothing else', () => {
  const declared = [...read('index.d.ts').matchAll(/^export (?:function|class|const) (\w+)/gm)].map(([, name]) => name);
  assert.deepEqual([...new Set(declared)].sort(), Object.keys(require('..')).sort());
});

const fields = (name) => {
  const body = new RegExp(`^export interface ${name} (?:extends [^{]*)?{\n(.*?)^}`, 'ms').exec(read('index.d.ts'))[1];
  return [...body.matchAll(/^ {2}(\w+)(\??):/gm)].map(([, field, optional]) => ({ field, optional: optional === '?' }));
};

function hasShape(name, value) {
  const declared = fields(name);
  assert.ok(declared.length > 0, name);
  for (const { field, optional } of declared) assert.ok(optional || Object.hasOwn(value, field), `${name}.${field} is missing`);
  for (const key of Object.keys(value)) assert.ok(declared.some(({ field }) => field === key), `${name}.${key} is not declared`);
}

test('events have the fields that index.d.ts declares', async () => {
  const leaky = `
    const { LeakDetector } = require(${JSON.stringify(root)});
    const seen = {};
    const detector = new LeakDetector({ sensitivity: 'high' }).start();
    for (const event of ['gc', 'stats', 'suspicion']) {
      detector.once(event, (payload) => {
        seen[event] = payload;
        if (Object.keys(seen).length === 3) console.log(JSON.stringify(seen)), process.exit();
      });
    }
    globalThis.kept = [];
    setInterval(() => { for (let i = 0; i < 3000; i++) kept.push({ i, text: 'kept ' + i }); }, 10);
  `;
  const { stdout, stderr } = spawnSync(process.execPath, ['-e', leaky], { encoding: 'utf8', timeout: 60_000 });
  assert.equal(stderr, '');
  const { gc, stats, suspicion } = JSON.parse(stdout);
  hasShape('GcEvent', gc);
  hasShape('GcStats', stats);
  hasShape('LeakReport', suspicion);
});

test('results have the fields that index.d.ts declares', async (t) => {
  const heaprs = require('..');
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heaprs-docs-'));
  t.after(() => fs.rmSync(directory, { recursive: true, force: true }));
  const base = await heaprs.captureHeapSnapshot({ directory, comparableIds: true });
  hasShape('CaptureResult', base);
  globalThis.kept = Array.from({ length: 1000 }, () => ({ kept: true }));
  const { file } = await heaprs.captureHeapSnapshot({ directory, comparableIds: true });
  delete globalThis.kept;
  heaprs.releaseObjectIds();
  const snapshot = await heaprs.openSnapshot(file);
  t.after(() => snapshot.close());
  hasShape('SnapshotInfo', snapshot.info);
  hasShape('Statistics', snapshot.statistics());
  hasShape('NodeRow', snapshot.node(snapshot.root));
  const [row] = await snapshot.summary({ limit: 1 });
  hasShape('ClassRow', row);
  const [object] = await snapshot.instances(row.key, { limit: 1 });
  hasShape('NodeRow', object);
  hasShape('EdgeRow', (await snapshot.references(object.id))[0]);
  hasShape('EdgeRow', (await snapshot.retainingPaths(object.id, { limit: 1 }))[0][0]);
  hasShape('DuplicateString', (await snapshot.duplicateStrings({ limit: 1 }))[0]);
  const realms = await snapshot.nativeContexts();
  hasShape('NativeContexts', realms);
  hasShape('NativeContext', realms.nativeContexts[0]);
  hasShape('Columns', await snapshot.columns());
  const comparison = await heaprs.compareSnapshots(base.file, snapshot);
  hasShape('Comparison', comparison);
  hasShape('DiffRow', comparison.rows[0]);
  const report = (await heaprs.analyze(file, { base: base.file })).toJSON();
  hasShape('ReportJSON', report);
  hasShape('HeldObject', report.biggest);
});

test('an ECMAScript module finds every export by its name', async () => {
  const names = Object.keys(await import('../index.js'));
  for (const name of Object.keys(require('..'))) assert.ok(names.includes(name), name);
});

test('commands of the READMEs exist, and so do the scripts and files they name', () => {
  const help = spawnSync(process.execPath, [path.join(root, 'bin', 'heaprs.js'), '--help'], { encoding: 'utf8' }).stdout;
  const { scripts } = require('../package.json');
  for (const name of READMES) {
    const text = read(name);
    for (const [, command] of text.matchAll(/npx heaprs (\w+)/g)) assert.match(help, new RegExp(`^  ${command} `, 'm'));
    for (const [, option] of text.matchAll(/ (--[a-z][a-z-]+)/g)) assert.ok(help.includes(option), `${name}: ${option}`);
    for (const [, script] of text.matchAll(/npm run (\w+)/g)) assert.ok(scripts[script], `${name}: npm run ${script}`);
    for (const [, file] of text.matchAll(/\]\(([\w./-]+)\)/g)) assert.ok(fs.existsSync(path.join(root, file)), `${name}: ${file}`);
  }
});

test('every script of package.json runs a file that exists', () => {
  for (const [name, script] of Object.entries(require('../package.json').scripts)) {
    for (const [file] of script.matchAll(/[\w/.-]+\.m?js\b/g)) assert.ok(fs.existsSync(path.join(root, file)), `${name}: ${file}`);
  }
});

test('both READMEs and ARCHITECTURE.md have no link that leads nowhere inside themselves', () => {
  for (const name of [...READMES, 'ARCHITECTURE.md']) {
    const text = read(name);
    const anchors = [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) => title.toLowerCase().replace(/[^\p{L}\p{N}\s-]/gu, '').trim().replace(/\s/g, '-'));
    for (const [, anchor] of text.matchAll(/\]\(#([^)]+)\)/g)) assert.ok(anchors.includes(anchor), `${name}: #${anchor}`);
  }
});
