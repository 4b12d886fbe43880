#!/usr/bin/env node
// The command line: arguments, terminal, progress, exit codes. It asks the library and prints; no analysis happens here.
//
// stdout carries the result and nothing else; progress (only on a terminal) and diagnostics go to stderr.
// Exit codes: 0 done, 1 a --fail-on threshold was crossed, 2 an error, 130 interrupted.
'use strict';

const os = require('node:os');
const { parseArgs } = require('node:util');
const { OPTIONS: CAPTURE_OPTIONS, captureProcess } = require('./capture.js');
const { crossed, parseThreshold } = require('./fail-on.js');
const { runProgram, split } = require('./run.js');
const { FILTERS, QUERY_OPTIONS, queryOf, summaryFilter } = require('./query.js');
const { bytes, classTable, diffTable, edgeTable, nodeTable, nodeText, stringTable, suspectsText } = require('./views.js');

/** The version of the shapes that --json prints. It grows when a field changes its meaning or goes away. */
const SCHEMA_VERSION = 1;

/** A mistake in the command line, told with a hint instead of a code. */
class UsageError extends Error {}

const COMMON = {
  json: { type: 'boolean' },
  limit: { type: 'string' },
  color: { type: 'boolean' },
  'no-color': { type: 'boolean' },
  help: { type: 'boolean', short: 'h' }
};

const COMMANDS = {
  analyze: {
    usage: 'analyze FILE [--base FILE] [--json|--md|--html OUT] [--limit N] [--fail-on EXPR]...',
    summary: 'totals, the classes that retain most, what grew since --base',
    operands: ['FILE'],
    options: { base: { type: 'string' }, md: { type: 'boolean' }, html: { type: 'string' }, 'fail-on': { type: 'string', multiple: true } },
    run: analyze
  },
  diff: {
    usage: 'diff BASE FILE [--json] [--limit N]',
    summary: 'what came and went, class by class, as the Comparison view of DevTools',
    operands: ['BASE', 'FILE'],
    run: diff
  },
  summary: {
    usage: 'summary FILE [--search TEXT] [--filter FILTER] [--since FILE] [--json] [--limit N]',
    summary: 'one row a class, as the Summary view of DevTools',
    operands: ['FILE'],
    options: { search: { type: 'string' }, filter: { type: 'string' }, since: { type: 'string' } },
    run: summary
  },
  node: {
    usage: 'node FILE @ID [--json] [--limit N]',
    summary: 'one object, what it references, and its shortest path from a root',
    operands: ['FILE', '@ID'],
    run: node
  },
  retainers: {
    usage: 'retainers FILE @ID [--json] [--limit N]',
    summary: 'what references an object, nearest to a root first',
    operands: ['FILE', '@ID'],
    run: retainers
  },
  strings: {
    usage: 'strings FILE [--json] [--limit N]',
    summary: 'strings of equal text, those that take most bytes first',
    operands: ['FILE'],
    run: strings
  },
  suspects: {
    usage: 'suspects FILE [--base FILE] [--json] [--limit N]',
    summary: 'where memory accumulates and who holds it; with --base, where it grew since',
    operands: ['FILE'],
    options: { base: { type: 'string' } },
    run: suspects
  },
  query: {
    usage: 'query FILE [CONDITION]... [--json] [--limit N]',
    summary: 'the objects to which every condition applies, those that retain most first',
    operands: ['FILE'],
    options: QUERY_OPTIONS,
    run: query
  },
  dominated: {
    usage: 'dominated FILE @ID [--json] [--limit N]',
    summary: 'what would go with an object, those that retain most first',
    operands: ['FILE', '@ID'],
    run: dominated
  },
  export: {
    usage: 'export FILE -o DIR [--overwrite] [--json]',
    summary: 'the graph as columns that other engines read: .npy files and a schema.json',
    operands: ['FILE'],
    options: { output: { type: 'string', short: 'o' }, overwrite: { type: 'boolean' } },
    run: exportColumns
  },
  redact: {
    usage: 'redact IN OUT [--names] [--numbers] [--overwrite] [--json]',
    summary: 'a copy without what strings say: same graph, same sizes; --names: nor keys of dictionaries',
    operands: ['IN', 'OUT'],
    options: { names: { type: 'boolean' }, numbers: { type: 'boolean' }, overwrite: { type: 'boolean' } },
    run: redact
  },
  capture: {
    usage: 'capture PID [-o FILE] [--overwrite] [--redact|--redact-names] [--timeout SECONDS] [--socket PATH|--port N] [--json]',
    summary: 'a snapshot of a running Node.js process, through heaprs in it, else through its inspector (which it opens and closes again)',
    operands: ['PID'],
    options: CAPTURE_OPTIONS,
    run: capture
  },
  run: {
    usage:
      'run [--signal NAME|off] [--near-heap-limit N] [--leak] [--dir DIR] [--mode auto|fork|inline] [--no-compress] [--redact|--redact-names] [--socket PATH|off] [NODE OPTION]... APP [ARGUMENT]...',
    summary: 'a program with heaprs in it: node -r heaprs/register APP; see HEAPRS_… in the README',
    raw: true,
    run: runApp
  }
};

const HELP = `heaprs: heap snapshots of Node.js and Chrome, with the numbers of Chrome DevTools

Usage: heaprs COMMAND [options]

Commands:
${Object.values(COMMANDS)
  .map(({ usage, summary }) => `  ${usage}\n      ${summary}`)
  .join('\n')}

FILE is a .heapsnapshot or .heaptimeline, plain or gzipped; - is standard input. @ID is a node id as DevTools shows it.

Options:
  --json           the result as JSON (with schemaVersion) instead of text
  --md             the report as Markdown
  --html OUT       the report as a page, to a file
  --limit N        at most N rows
  --fail-on EXPR   exit 1 when EXPR holds: METRIC>NUMBER[kB|MB|GB|KiB|MiB|GiB] on the whole heap, or
                   "CLASS: METRIC>NUMBER" on one class. METRIC is retained, selfSize or nodes. May be repeated.
  --filter FILTER  one of ${FILTERS.join(', ')},
                   native-context=@ID
  --since FILE     only objects allocated since that snapshot
  CONDITION        --class NAME, --name TEXT, --match REGEXP, --type TYPE, --edge NAME, --retained-by @ID, --detached,
                   --min-self, --max-self, --min-retained, --max-retained SIZE, --min-distance, --max-distance N
  --color, --no-color
                   colors or none; without them: on a terminal, unless NO_COLOR is set
  -h, --help       this text
  -v, --version    the version of heaprs

Exit codes: 0 done, 1 a --fail-on threshold was crossed, 2 an error, 130 interrupted.

Examples:
  heaprs analyze Heap.20261121.101500.4711.0.001.heapsnapshot
  heaprs analyze app.heapsnapshot.gz --fail-on "retained>200MB" --fail-on "Session: nodes>10000"
  heaprs retainers app.heapsnapshot @12345 --limit 20
`;

async function analyze({ file, limit, values, call, terminal }) {
  // Thresholds are read before the work, so that a misspelled one does not cost the time of an analysis.
  const thresholds = (values['fail-on'] ?? []).map(parseThreshold);
  // The report shows the first classes; a threshold may be about any.
  const byClass = thresholds.some(({ className }) => className !== undefined);
  const [report, rows] = await withSnapshot(file, call, async (snapshot) => [
    await require('..').analyze(snapshot, { ...alone(call), limit, base: input(values.base) }),
    byClass ? await snapshot.summary(call) : []
  ]);
  if (values.html !== undefined) require('node:fs').writeFileSync(values.html, report.toHTML());
  else print(values.json ? json(report.toJSON()) : values.md ? report.toMarkdown() : report.toText(terminal));
  const messages = thresholds.map((threshold) => crossed(threshold, report.toJSON().totals, rows)).filter(Boolean);
  for (const message of messages) console.error(`heaprs: ${message}`);
  return messages.length > 0 ? 1 : 0;
}

async function runApp({ program }) {
  const { code, signal } = await runProgram(program);
  if (signal === null) return code;
  // Ends as the program did.
  process.kill(process.pid, signal);
  return 128 + os.constants.signals[signal];
}

async function diff({ file, other, limit, values, call }) {
  const { rows, matchedBy } = await require('..').compareSnapshots(input(file), input(other), alone(call));
  const shown = rows.slice(0, limit);
  print(values.json ? json({ base: file, file: other, matchedBy, rows: shown }) : diffTable(shown));
  return 0;
}

async function strings({ file, limit = 50, values, call }) {
  return withSnapshot(file, call, async (snapshot) => {
    const rows = await snapshot.duplicateStrings({ ...call, limit });
    print(values.json ? json({ file, rows }) : stringTable(rows));
    return 0;
  });
}

async function summary({ file, limit, values, call }) {
  return withSnapshot(file, call, async (snapshot) => {
    const since = values.since === undefined ? undefined : await require('..').openSnapshot(input(values.since), alone(call));
    const filter = summaryFilter(values.filter, since);
    const rows = await snapshot.summary({ ...call, limit, search: values.search, filter });
    since?.close();
    print(values.json ? json({ file, rows }) : classTable(rows, snapshot.info.totalSize));
    return 0;
  });
}

async function node({ file, id, limit = 20, values, call }) {
  return withSnapshot(file, call, async (snapshot) => {
    const node = existing(snapshot, id, file);
    const references = await snapshot.references(id, { ...call, limit });
    const [path = []] = await snapshot.retainingPaths(id, { ...call, limit: 1 });
    print(values.json ? json({ file, node, references, path }) : nodeText(node, references, path));
    return 0;
  });
}

async function retainers({ file, id, limit = 50, values, call }) {
  return withSnapshot(file, call, async (snapshot) => {
    const node = existing(snapshot, id, file);
    const retainers = await snapshot.retainers(id, { ...call, limit });
    print(values.json ? json({ file, node, retainers }) : edgeTable(`retainers of ${node.name} @${id}`, retainers));
    return 0;
  });
}

async function suspects({ file, limit, values, call, terminal }) {
  return withSnapshot(file, call, async (snapshot) => {
    const base = values.base === undefined ? undefined : await require('..').openSnapshot(input(values.base), alone(call));
    const suspects = await snapshot.suspects({ ...call, limit, base });
    print(values.json ? json({ file, base: values.base, suspects }) : suspectsText(suspects, terminal.width));
    base?.close();
    return 0;
  });
}

async function query({ file, limit = 50, values, call }) {
  const wanted = queryOf(values);
  return withSnapshot(file, call, async (snapshot) => {
    const rows = await snapshot.query({ ...wanted, ...call, limit });
    print(values.json ? json({ file, rows }) : nodeTable(rows));
    return 0;
  });
}

async function dominated({ file, id, limit = 50, values, call }) {
  return withSnapshot(file, call, async (snapshot) => {
    const node = existing(snapshot, id, file);
    const rows = await snapshot.dominated(id, { ...call, limit });
    print(values.json ? json({ file, node, rows }) : nodeTable(rows));
    return 0;
  });
}

async function exportColumns({ file, values, call }) {
  if (values.output === undefined) throw new UsageError('export needs a folder: -o DIR');
  return withSnapshot(file, call, async (snapshot) => {
    const done = await snapshot.export(values.output, { ...call, overwrite: values.overwrite });
    print(values.json ? json({ file, ...done }) : `${done.files.length} files, ${bytes(done.bytes)}, in ${done.directory}`);
    return 0;
  });
}

async function redact({ file, other, values, call }) {
  const { names, numbers: keepNumbers, overwrite } = values;
  const done = await require('..').redactSnapshot(file, other, { ...call, names, keepNumbers, overwrite });
  print(values.json ? json(done) : `${done.file}: ${bytes(done.fileBytes)}, ${done.nodes} nodes`);
  return 0;
}

/** What a FILE of the command line stands for. */
function input(file) {
  return file === '-' ? process.stdin : file;
}

async function capture({ file: pid, values, call }) {
  if (values.socket !== undefined && values.port !== undefined) throw new UsageError('--socket and --port exclude each other');
  const result = await captureProcess({
    ...call,
    pid: positive('PID', pid),
    output: values.output,
    overwrite: values.overwrite ?? false,
    port: positive('--port', values.port),
    socket: values.socket,
    redact: values['redact-names'] ? 'names' : values.redact,
    timeoutMs: (positive('--timeout', values.timeout) ?? 600) * 1000
  });
  print(values.json ? json(result) : result.file);
  return 0;
}

// This process does nothing else: no core is to be left to it.
function alone(call) {
  return { ...call, threads: os.availableParallelism() };
}

async function withSnapshot(file, call, body) {
  const snapshot = await require('..').openSnapshot(input(file), alone(call));
  try {
    return await body(snapshot);
  } finally {
    snapshot.close();
  }
}

function existing(snapshot, id, file) {
  const node = snapshot.node(id);
  if (node === null) throw Object.assign(new Error(`no node has the id @${id} (${file})`), { code: 'ERR_HEAPRS_NO_SUCH_NODE' });
  return node;
}

function json(value) {
  return JSON.stringify({ schemaVersion: SCHEMA_VERSION, ...value }, null, 2);
}

function print(text) {
  progress.clear();
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

/** Turns the command line into a call: which command, with what; or a text to print. */
function parse(argv) {
  const [first, ...rest] = argv;
  if (first === undefined) throw new UsageError('a command is missing');
  if (first === '--help' || first === '-h' || first === 'help') return { text: HELP };
  if (first === '--version' || first === '-v') return { text: `${require('../package.json').version}\n` };
  const command = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  if (command === undefined) {
    const near = nearest(first, Object.keys(COMMANDS));
    throw new UsageError(`there is no command "${first}"${near ? `; did you mean "${near}"?` : ''}`);
  }
  if (command.raw && !['--help', '-h'].includes(rest[0])) {
    const call = split(rest);
    if (call.missing) throw new UsageError(`${call.missing}; usage: heaprs ${command.usage}`);
    return { command, values: {}, program: call };
  }
  const { values, positionals } = parseArgs({ args: rest, allowPositionals: true, options: { ...COMMON, ...command.options } });
  if (values.help) return { text: `Usage: heaprs ${command.usage}\n\n${command.summary}\n` };
  if (positionals.length !== command.operands.length) throw new UsageError(`usage: heaprs ${command.usage}`);
  const [file, second] = positionals;
  if ([...positionals, values.base, values.since].filter((name) => name === '-').length > 1) {
    throw new UsageError('standard input can be one of the files, not two');
  }
  const operand = command.operands[1] === '@ID' ? { id: nodeId(second) } : { other: second };
  return { command, values, file, ...operand, limit: positive('--limit', values.limit) };
}

function nodeId(text) {
  const id = /^@?(\d+)$/.exec(text);
  if (id === null) throw new UsageError(`"${text}" is no node id; they look like @12345`);
  return Number(id[1]);
}

function positive(name, text) {
  if (text === undefined) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`${name} is a whole number from 1, not "${text}"`);
  return Number(text);
}

/** The candidate within two edits of what was typed, if there is one. */
function nearest(word, candidates) {
  const distance = (a, b) => {
    let row = Array.from({ length: b.length + 1 }, (_, i) => i);
    for (let i = 1; i <= a.length; i++) {
      const next = [i];
      for (let j = 1; j <= b.length; j++) {
        next[j] = Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1));
      }
      row = next;
    }
    return row[b.length];
  };
  return candidates.find((candidate) => candidate.startsWith(word) || distance(word.toLowerCase(), candidate) <= 2);
}

/** A line on stderr that says how far the work is; silent where stderr is no terminal. */
const progress = {
  shown: false,
  onProgress({ phase, done, total }) {
    progress.shown = true;
    const share = total > 0 ? ` ${Math.floor((100 * done) / total)} %` : '';
    process.stderr.write(`\r\x1b[K${phase}${share}`);
  },
  clear() {
    if (progress.shown) process.stderr.write('\r\x1b[K');
    progress.shown = false;
  }
};

function terminal(values) {
  const automatic = process.stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
  // A terminal may say that it is 0 columns wide; then the report chooses.
  const { columns } = process.stdout;
  return { color: values['no-color'] ? false : (values.color ?? automatic), width: columns >= 20 ? columns : undefined };
}

async function main() {
  // A reader that has seen enough (`| head`) is no error.
  process.stdout.on('error', (error) => process.exit(error.code === 'EPIPE' ? 0 : 2));
  const abort = new AbortController();
  // Once: a second Ctrl-C ends the process the ordinary way.
  process.once('SIGINT', () => abort.abort());
  try {
    const parsed = parse(process.argv.slice(2));
    if (parsed.text !== undefined) return print(parsed.text);
    const { command, ...rest } = parsed;
    const call = { signal: abort.signal, onProgress: process.stderr.isTTY ? progress.onProgress : undefined };
    process.exitCode = await command.run({ ...rest, call, terminal: terminal(rest.values) });
  } catch (error) {
    progress.clear();
    process.exitCode = abort.signal.aborted ? 130 : 2;
    const usage = error instanceof UsageError || error.code?.startsWith('ERR_PARSE_ARGS');
    if (usage) console.error(`heaprs: ${error.message}\nTry "heaprs --help".`);
    else console.error(`heaprs: ${error.code ? `${error.code}: ` : ''}${error.code ? error.message : error.stack}`);
  }
}

main();
