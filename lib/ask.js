'use strict';
// Asks heaprs in another process for a snapshot, at the socket where that listens (listen.js; src/binding/dump/socket.rs has the other side).
// The process writes the file itself, with its own rights and by its own settings.

const { randomBytes } = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { aborted, fail } = require('./errors.js');
const { assertReachable, hasProc, hasThread, rootOf, unixListeners } = require('./inspector/process.js');
const { NAME, PREFIX, socketBase } = require('./listen.js');
const { redactionName } = require('./redact.js');

const PROTOCOL = 1;
// The name of the thread that waits for callers: processes without it are not called.
const THREAD = 'heaprs-listen';
// How long somebody may take to say who they are, and a called-off dump to be gone.
const GREETING_MS = 5000;
const FAREWELL_MS = 10_000;
const LONGEST_LINE = 1 << 16;

// Resolves to what came of it, or to undefined when heaprs listens nowhere in that process. `socket` is where to ask, when /proc can't tell.
async function captureThroughHeaprs(pid, { socket, file, overwrite = false, redact, timeoutMs, signal, onProgress, told = () => {} }) {
  assertReachable(pid);
  const root = rootOf(pid);
  const inProcess = (name) => root + name;
  for (const candidate of socket === undefined ? sockets(pid, root) : [path.resolve(socket)]) {
    const caller = await call(candidate, signal);
    if (!caller) continue;
    // An existing file is replaced by us, who were asked to: the process never does.
    const target = file === undefined ? undefined : path.resolve(file);
    const replaces = target !== undefined && overwrite && fs.lstatSync(inProcess(target), { throwIfNoEntry: false });
    const written = replaces ? besides(target) : target;
    const directory = target === undefined && root === '' ? process.cwd() : undefined;
    const request = { protocol: PROTOCOL, file: written, directory, redact: redactionName(redact), timeoutMs };
    const result = await ask(caller, request, { pid, timeoutMs, signal, onProgress });
    if (replaces) replace(inProcess(written), inProcess(target));
    if (root) told(`the file is in the file system of process ${pid}; from here it is ${inProcess(target ?? result.file)}`);
    return { ...result, file: target ?? result.file, via: 'heaprs' };
  }
  return undefined;
}

// Where heaprs may listen in that process, the likeliest first.
function sockets(pid, root) {
  if (hasProc) {
    try {
      const ours = new RegExp(`/${PREFIX}\\d+-[0-9a-f]{16}/${NAME}$`);
      const listeners = hasThread(pid, THREAD) ? unixListeners(pid) : [];
      const owners = new Set([0, fs.statSync(`/proc/${pid}`).uid]);
      // A path leads to whoever made a socket there last: that must be the process's user.
      const isTheirs = (name) => owners.has(fs.lstatSync(name, { throwIfNoEntry: false })?.uid);
      return [...listeners.filter((name) => ours.test(name)), ...listeners.filter((name) => !ours.test(name))].map((name) => root + name).filter(isTheirs);
    } catch (error) {
      if (error.code === 'ERR_HEAPRS_NOT_FOUND') throw error;
      // May not be looked at: then it is where it is by default, or nowhere.
    }
  }
  const found = [];
  for (const base of new Set([socketBase(), os.tmpdir(), '/tmp'])) {
    for (const name of entries(base).filter((n) => n.startsWith(`${PREFIX}${pid}-`))) {
      const folder = path.join(base, name);
      const stat = fs.lstatSync(folder, { throwIfNoEntry: false });
      if (stat?.isDirectory() && [0, process.geteuid?.()].includes(stat.uid)) found.push(path.join(folder, NAME));
    }
  }
  return found;
}

function entries(directory) {
  try {
    return fs.readdirSync(directory);
  } catch {
    return []; // there is no such folder
  }
}

// A connection on which heaprs has said who it is: { socket, lines }; undefined when nobody is there, or somebody else.
async function call(name, signal) {
  const socket = net.connect({ path: name, allowHalfOpen: true });
  const failed = new Promise((resolve) => socket.on('error', resolve));
  const lines = linesOf(socket);
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, GREETING_MS, 'late')));
  const greeting = await Promise.race([lines.next(), late]);
  clearTimeout(timer);
  const { value } = greeting;
  if (value?.error) throw fail(value.error.code, `${value.error.message} (${name})`);
  if (typeof value?.heaprs === 'string' && !signal?.aborted) {
    if (value.protocol === PROTOCOL) return { socket, lines };
    socket.destroy();
    throw fail('ERR_HEAPRS_UNAVAILABLE', `heaprs ${value.heaprs} in that process speaks another protocol (${value.protocol}, this one ${PROTOCOL}); use that version's command`);
  }
  const error = greeting === 'late' ? undefined : await Promise.race([failed, undefined]);
  socket.destroy();
  if (signal?.aborted) throw aborted(signal);
  if (['EACCES', 'EPERM'].includes(error?.code)) {
    throw fail('ERR_HEAPRS_PERMISSION', `heaprs listens there for another user (${name}); run this as that user or as root`, { cause: error });
  }
  return undefined;
}

async function ask({ socket, lines }, request, { pid, timeoutMs, signal, onProgress }) {
  socket.write(`${JSON.stringify(request)}\n`);
  let timer;
  // Hung up on, the process calls the dump off and removes what there is of it; we hear of that by its hanging up, too.
  const hangUp = () => {
    socket.end();
    clearTimeout(timer);
    timer = setTimeout(() => socket.destroy(), FAREWELL_MS);
  };
  if (timeoutMs !== undefined) timer = setTimeout(hangUp, timeoutMs + FAREWELL_MS);
  if (signal?.aborted) hangUp();
  signal?.addEventListener('abort', hangUp, { once: true });
  try {
    for await (const { progress, result, error } of lines) {
      if (progress) onProgress?.(progress);
      if (result) return result;
      if (error && signal?.aborted) throw aborted(signal);
      if (error) throw refusal(pid, error);
    }
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', hangUp);
    socket.destroy();
  }
  if (signal?.aborted) throw aborted(signal);
  throw fail('ERR_HEAPRS_CAPTURE_FAILED', `process ${pid} hung up before the file was complete; it may have ended`);
}

function refusal(pid, { code, message }) {
  const more = code === 'ERR_HEAPRS_PERMISSION' ? '. It writes the file itself: name one with -o in a folder where it may write' : '';
  return fail(code, `process ${pid}: ${message}${more}`);
}

// What comes, line by line, as JSON. Ends with the connection, and at the first thing that is none.
async function* linesOf(socket) {
  let text = '';
  socket.setEncoding('utf8');
  try {
    for await (const piece of socket) {
      const lines = (text + piece).split('\n');
      text = lines.pop();
      for (const line of lines) yield JSON.parse(line);
      if (text.length > LONGEST_LINE) return;
    }
  } catch {
    // Told by the end.
  }
}

// A name beside `file`, which says as much about compression.
function besides(file) {
  const end = file.endsWith('.gz') ? '.heapsnapshot.gz' : '.heapsnapshot';
  return path.join(path.dirname(file), `.${path.basename(file)}.${randomBytes(6).toString('hex')}${end}`);
}

function replace(from, to) {
  try {
    fs.renameSync(from, to);
  } catch (error) {
    fs.rmSync(from, { force: true });
    throw fail('ERR_HEAPRS_IO', `could not replace the file: ${error.message}`, { cause: error, file: to });
  }
}

module.exports = { captureThroughHeaprs };
