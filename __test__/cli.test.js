'use strict';
// The command line as a shell sees it: real processes, real snapshots, exit codes, what goes to which stream.

const assert = require('node:assert/strict');
const { spawn, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, before, describe, test } = require('node:test');
const { version } = require('../package.json');

const CLI = path.join(__dirname, '..', 'bin', 'heaprs.js');
const SESSIONS = 1000;

let directory;
let file;

function heaprs(...args) {
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, [CLI, ...args], { encoding: 'utf8', env: { ...process.env, FORCE_COLOR: undefined } });
  return { status, signal, stdout, stderr };
}

before(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'heaprs-cli-'));
  file = path.join(directory, 'app.heapsnapshot');
  const app = `
    class NeedleSession { constructor(i) { this.user = 'user ' + i; this.data = new Array(20).fill(i); } }
    globalThis.sessions = Array.from({ length: ${SESSIONS} }, (_, i) => new NeedleSession(i));
    require('node:v8').writeHeapSnapshot(${JSON.stringify(file)});
  `;
  const { status, stderr } = spawnSync(process.execPath, ['-e', app], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
});

after(() => fs.rmSync(directory, { recursive: true, force: true }));

/** Needles in the haystack, by the command line itself. */
function needles() {
  const { rows } = JSON.parse(heaprs('summary', file, '--search', 'NeedleSession', '--json').stdout);
  return rows.find(({ name }) => name === 'NeedleSession');
}

describe('arguments', () => {
  test('--help names every command, --version is the version of the package', () => {
    const help = heaprs('--help');
    assert.equal(help.status, 0);
    for (const command of ['analyze', 'summary', 'node', 'retainers']) assert.match(help.stdout, new RegExp(`^  ${command} FILE`, 'm'));
    assert.deepEqual(heaprs('--version'), { status: 0, signal: null, stdout: `${version}\n`, stderr: '' });
    assert.match(heaprs('analyze', '--help').stdout, /^Usage: heaprs analyze FILE/);
  });

  test('mistakes are told on stderr, with exit code 2 and nothing on stdout', () => {
    for (const [args, message] of [
      [[], /a command is missing/],
      [['analyse', file], /did you mean "analyze"\?/],
      [['toString', file], /there is no command "toString"/],
      [['analyze'], /usage: heaprs analyze FILE/],
      [['analyze', file, file], /usage: heaprs analyze FILE/],
      [['analyze', file, '--jason'], /--jason/],
      [['analyze', file, '--limit', '0'], /--limit .* not "0"/],
      [['node', file, 'x12'], /"x12" is no node id/],
      [['analyze', file, '--fail-on', 'retained>lots'], /--fail-on takes .* not "retained>lots"/],
      [['analyze', file, '--fail-on', 'nodes>5MB'], /--fail-on takes/]
    ]) {
      const { status, stdout, stderr } = heaprs(...args);
      assert.equal(status, 2, `${args.join(' ')}: ${stderr}`);
      assert.equal(stdout, '');
      assert.match(stderr, message);
      assert.doesNotMatch(stderr, /\n\s+at /, 'no stack trace');
    }
  });
});

describe('analyze', () => {
  test('prints the report on stdout and, away from a terminal, nothing else', () => {
    const { status, stdout, stderr } = heaprs('analyze', file);
    assert.equal(status, 0, stderr);
    assert.equal(stderr, '');
    assert.match(stdout, /NeedleSession/);
    // eslint-disable-next-line no-control-regex -- no escape may reach a pipe
    assert.doesNotMatch(stdout, /\u001b/);
    assert.ok(stdout.endsWith('\n') && !stdout.endsWith('\n\n'));
  });

  test('--json is the report of analyze() with a schemaVersion', async () => {
    const { stdout } = heaprs('analyze', file, '--json', '--limit', '5');
    const { schemaVersion, ...report } = JSON.parse(stdout);
    assert.equal(schemaVersion, 1);
    const { schemaVersion: _, ...expected } = JSON.parse(JSON.stringify(await require('..').analyze(file, { limit: 5 })));
    assert.deepEqual(report, expected);
  });

  test('--fail-on: 1 when the heap or a class crosses the threshold, 0 when it does not', () => {
    const { selfSize, retainedSize } = needles();
    for (const [expression, status] of [
      ['retained>1MB', 1],
      ['retained > 4GB', 0],
      ['nodes>1000', 1],
      ['selfSize>1GiB', 0],
      [`NeedleSession: nodes>${SESSIONS - 1}`, 1],
      [`NeedleSession: nodes>${SESSIONS}`, 0],
      [`NeedleSession: retained>${retainedSize - 1}`, 1],
      [`NeedleSession: retained>${retainedSize}`, 0],
      [`NeedleSession:selfSize>${selfSize - 1}B`, 1],
      ['NoSuchClass: nodes>0', 0]
    ]) {
      const result = heaprs('analyze', file, '--fail-on', expression);
      assert.equal(result.status, status, `${expression}: ${result.stderr}`);
      assert.match(result.stdout, /NeedleSession/, 'the report comes in any case');
      assert.equal(result.stderr.includes(expression), status === 1, 'what was crossed is told');
    }
    const both = heaprs('analyze', file, '--fail-on', 'nodes>1000000000', '--fail-on', 'nodes>1');
    assert.equal(both.status, 1, 'one of several is enough');
  });

  test('bad files: exit code 2, the stable code and the file on stderr', () => {
    const bad = path.join(directory, 'bad.heapsnapshot');
    const cases = [
      [path.join(directory, 'missing'), 'ERR_HEAPRS_NOT_FOUND'],
      [directory, 'ERR_HEAPRS_NOT_A_FILE'],
      [bad, 'ERR_HEAPRS_NOT_A_SNAPSHOT', '{"not":"a snapshot"}'],
      [bad, 'ERR_HEAPRS_TRUNCATED', fs.readFileSync(file).subarray(0, 500_000)]
    ];
    for (const [name, code, content] of cases) {
      if (content !== undefined) fs.writeFileSync(bad, content);
      const { status, stdout, stderr } = heaprs('analyze', name);
      assert.equal(status, 2, stderr);
      assert.equal(stdout, '');
      assert.ok(stderr.startsWith(`heaprs: ${code}: `), stderr);
      assert.ok(stderr.includes(name), stderr);
    }
  });

  test('a reader that goes away early is no error', async () => {
    const child = spawn(process.execPath, [CLI, 'summary', file, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    child.stderr.on('data', (data) => (stderr += data));
    child.stdout.once('data', () => child.stdout.destroy());
    const status = await new Promise((resolve) => child.once('close', resolve));
    assert.equal(stderr, '');
    assert.equal(status, 0);
  });

  test('Ctrl-C aborts: exit code 130, no stack trace', { skip: process.platform !== 'linux' && 'watches /proc' }, async () => {
    const big = path.join(directory, 'big.heapsnapshot');
    writeChain(big, 3_000_000);
    const child = spawn(process.execPath, [CLI, 'analyze', big], { stdio: ['ignore', 'pipe', 'pipe'] });
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (data) => (stdout += data));
    child.stderr.on('data', (data) => (stderr += data));
    const ended = new Promise((resolve) => child.once('close', (status, signal) => resolve({ status, signal })));
    await until(() => isReading(child.pid, big));
    child.kill('SIGINT');
    assert.deepEqual(await ended, { status: 130, signal: null });
    assert.match(stderr, /^heaprs: ERR_HEAPRS_ABORTED: .*\n$/);
    assert.equal(stdout, '');
  });
});

describe('views', () => {
  test('summary has one row a class', () => {
    const row = needles();
    assert.equal(row.count, SESSIONS);
    const { stdout } = heaprs('summary', file, '--search', 'NeedleSession');
    assert.match(stdout, new RegExp(`^\\s*\\d+ +${SESSIONS} .* NeedleSession$`, 'm'));
    const limited = JSON.parse(heaprs('summary', file, '--limit', '3', '--json').stdout);
    assert.equal(limited.rows.length, 3);
    assert.equal(limited.schemaVersion, 1);
  });

  test('node and retainers show an object and who holds it', async () => {
    const snapshot = await require('..').openSnapshot(file);
    const [needle] = await snapshot.instances(needles().key, { limit: 1 });
    snapshot.close();
    const node = heaprs('node', file, `@${needle.id}`);
    assert.equal(node.status, 0, node.stderr);
    assert.match(node.stdout, new RegExp(`^NeedleSession @${needle.id}$`, 'm'));
    assert.match(node.stdout, new RegExp(`retained +.*\\(${needle.retainedSize}\\)`));
    assert.match(node.stdout, /\buser\b/, 'its properties');
    assert.match(node.stdout, /\bsessions\b/, 'the path from a root');
    const retainers = heaprs('retainers', file, `${needle.id}`, '--json');
    const rows = JSON.parse(retainers.stdout).retainers;
    assert.ok(rows.length > 0 && rows.every((row) => row.node.id !== needle.id));
    const missing = heaprs('node', file, '@4294967291');
    assert.equal(missing.status, 2);
    assert.match(missing.stderr, /ERR_HEAPRS_NO_SUCH_NODE: .*@4294967291/);
  });

  test('control characters from the heap do not reach the terminal', () => {
    const evil = path.join(directory, 'evil.heapsnapshot');
    writeSnapshot(evil, { nodes: [9, 0, 1, 0, 1, 0, 0, 3, 1, 3, 64, 0, 0, 0], edges: [2, 2, 7], strings: ['', '\u001b[31mEvil\u202e', 'x\u0007'] });
    for (const args of [['summary', evil], ['node', evil, '@3'], ['node', evil, '@1'], ['retainers', evil, '@3'], ['analyze', evil]]) {
      const { status, stdout, stderr } = heaprs(...args);
      assert.equal(status, 0, `${args[0]}: ${stderr}`);
      // eslint-disable-next-line no-control-regex -- what must not be there
      assert.doesNotMatch(stdout, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/, args[0]);
    }
    assert.match(heaprs('summary', evil).stdout, /\\u001b\[31mEvil\\u202e/);
  });
});

const META = {
  node_fields: ['type', 'name', 'id', 'self_size', 'edge_count', 'trace_node_id', 'detachedness'],
  node_types: [
    ['hidden', 'array', 'string', 'object', 'code', 'closure', 'regexp', 'number', 'native', 'synthetic', 'concatenated string', 'sliced string', 'symbol', 'bigint'],
    'string',
    'number',
    'number',
    'number',
    'number',
    'number'
  ],
  edge_fields: ['type', 'name_or_index', 'to_node'],
  edge_types: [['context', 'element', 'property', 'internal', 'hidden', 'shortcut', 'weak'], 'string_or_number', 'node']
};

function writeSnapshot(name, { nodes, edges, strings }) {
  const snapshot = { meta: META, node_count: nodes.length / 7, edge_count: edges.length / 3, trace_function_count: 0 };
  fs.writeFileSync(name, JSON.stringify({ snapshot, nodes, edges, strings }));
}

/** The root and a linked list of `length` objects: large enough that its analysis can be interrupted. */
function writeChain(name, length) {
  const header = { meta: META, node_count: length + 1, edge_count: length, trace_function_count: 0 };
  const out = fs.openSync(name, 'w');
  const block = (from, to, line) => {
    for (let i = from; i < to; i += 100_000) fs.writeSync(out, Array.from({ length: Math.min(100_000, to - i) }, (_, k) => line(i + k)).join(''));
  };
  fs.writeSync(out, `{"snapshot":${JSON.stringify(header)},\n"nodes":[9,0,1,0,1,0,0\n`);
  block(1, length + 1, (i) => `,3,1,${2 * i + 1},16,${i < length ? 1 : 0},0,0\n`);
  fs.writeSync(out, '],\n"edges":[2,1,7\n');
  block(1, length, (i) => `,2,1,${(i + 1) * 7}\n`);
  fs.writeSync(out, '],\n"trace_function_infos":[],"trace_tree":[],"samples":[],"locations":[],\n"strings":["","Link"]}');
  fs.closeSync(out);
}

function isReading(pid, name) {
  try {
    const open = fs.readdirSync(`/proc/${pid}/fd`).some((fd) => fs.readlinkSync(`/proc/${pid}/fd/${fd}`) === name);
    return open || fs.readFileSync(`/proc/${pid}/maps`, 'utf8').includes(name);
  } catch {
    return false; // a descriptor that was closed while we looked
  }
}

async function until(condition) {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, 'the child never opened the file');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
