'use strict';
// Dumps that are decided on beforehand, at a signal, near the heap limit, or when another process asks: options checked, events told. The rest is native, since it has to
// work while JavaScript can't run.

const { EventEmitter } = require('node:events');
const os = require('node:os');
const { isMainThread, threadId } = require('node:worker_threads');
const { captureOptions } = require('./capture-options.js');
const { fail } = require('./errors.js');
const { defaultSocket, socketPath } = require('./listen.js');
const { diagnosticDir } = require('./naming.js');
const { native } = require('./native.js');
const { publishDump } = require('./publish.js');
const { enforceQuota } = require('./quota.js');
const { redactionName } = require('./redact.js');
const check = require('./validate.js');

const MINUTE = 60_000;
// How long a process that is about to exit waits for dumps that were asked for.
const EXIT_LIMIT_MS = 3000;

const policyOptions = {
  ...captureOptions,
  onProgress: (name) => {
    throw fail('ERR_HEAPRS_INVALID_ARGUMENT', `${name} is for captureHeapSnapshot(): no JavaScript runs while a policy dumps`, { argument: name });
  },
  cooldownMs: check.number(0),
  maxDumps: check.integer(1),
  threads: check.oneOf('main', 'all'),
};

// The one who asks may name a file, and asks as often as they like.
const listenOptions = { ...policyOptions, path: socketPath };
for (const name of ['file', 'overwrite', 'cooldownMs', 'maxDumps', 'threads']) delete listenOptions[name];

// Signals that Node.js or the kernel keep: some can't be caught, the others mean that the process is broken, or V8's and libuv's own work.
const KEPT = new Set(['SIGKILL', 'SIGSTOP', 'SIGUSR1', 'SIGPROF', 'SIGCHLD', 'SIGPIPE', 'SIGSEGV', 'SIGBUS', 'SIGFPE', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGIOT', 'SIGSYS', 'SIGSTKFLT', 'SIGUNUSED']);

class Dump extends EventEmitter {
  #native;
  #dumps = [];
  #abort;
  #quota;
  #listens;

  /** @internal */
  constructor(config, { signal, quota } = {}) {
    super();
    this.#quota = quota;
    this.#listens = config.socket !== undefined;
    registerThread();
    this.#native = new (native().DumpWatch)(config, () => this.#deliver());
    active.add(this);
    if (active.size === 1) process.on('exit', settle);
    if (config.signal !== undefined) watchHandlers(this);
    if (signal) {
      this.#abort = { signal, listener: () => this.dispose() };
      signal.addEventListener('abort', this.#abort.listener, { once: true });
    }
  }

  get dumps() {
    return [...this.#dumps];
  }

  dispose() {
    const watch = this.#native;
    if (!watch) return;
    this.#native = undefined;
    watch.stop();
    if (this.#abort) this.#abort.signal.removeEventListener('abort', this.#abort.listener);
    unwatchHandlers(this);
    active.delete(this);
    if (active.size === 0) process.removeListener('exit', settle);
    this.#tell(watch.take());
  }

  [Symbol.dispose]() {
    this.dispose();
  }

  /** @internal */
  _rearm() {
    this.#native?.rearm();
  }

  /** @internal Before an exit: nobody new is listened to. */
  _hangUp() {
    if (this.#listens) this.#native?.stop();
  }

  /** @internal */
  _deliver() {
    this.#deliver();
  }

  #deliver() {
    if (this.#native) this.#tell(this.#native.take());
  }

  #tell(messages) {
    for (const { publish, result, failure } of messages) {
      const { message, ...properties } = failure || {};
      const error = failure && fail(failure.code, message, properties);
      if (result) this.#dumps.push(result);
      if (result && this.#quota) enforceQuota(result.file, this.#quota).catch(() => {});
      if (publish) publishDump(result, error);
      if (result) this.emit('dump', result);
      else this.emit('failed', error);
    }
  }
}

// Makes this thread one that `threads: 'all'` reaches. Starts nothing.
let registered = false;
function registerThread() {
  if (registered) return;
  const binding = native();
  if (!binding.registerThread) throw fail('ERR_HEAPRS_UNAVAILABLE', `dumps at a signal or near the heap limit are not available on ${process.platform}`);
  binding.registerThread(threadId, () => binding.serveThread());
  registered = true;
}

const active = new Set();

// process.exit() and the end of the loop: what was asked for gets a moment, what is then not finished leaves nothing behind. A worker's exit
// calls off what is written of its own heap, and nobody else's.
function settle() {
  for (const dump of active) dump._hangUp();
  native().settleDumps(isMainThread ? EXIT_LIMIT_MS : undefined);
  for (const dump of active) dump._deliver();
}

// libuv puts its handler in the place of whatever is there when the app begins to listen for a signal, and the default action when it
// ends: ours goes before it again, at once. Node.js's own listener for these events comes first.
const armed = new Set();
const onListener = (event) => {
  if (typeof event === 'string' && event.startsWith('SIG')) for (const dump of armed) dump._rearm();
};

function watchHandlers(dump) {
  armed.add(dump);
  if (armed.size > 1 || !isMainThread) return;
  process.on('newListener', onListener);
  process.on('removeListener', onListener);
}

function unwatchHandlers(dump) {
  if (!armed.delete(dump) || armed.size > 0) return;
  process.removeListener('newListener', onListener);
  process.removeListener('removeListener', onListener);
}

function config(given, defaults, shape = policyOptions) {
  const options = check.options(given, shape);
  const { file, threads = 'main', mode = 'auto', signal } = options;
  if (file !== undefined && options.directory !== undefined) {
    throw fail('ERR_HEAPRS_INVALID_ARGUMENT', 'options.file and options.directory exclude each other', { argument: 'options.directory' });
  }
  if (signal?.aborted) throw fail('ERR_HEAPRS_ABORTED', 'options.signal is aborted already', { cause: signal.reason });
  return {
    rest: { signal, quota: options.quota },
    path: options.path,
    config: {
      allThreads: threads === 'all',
      cooldownMs: options.cooldownMs ?? 10_000,
      maxDumps: Math.min(options.maxDumps ?? defaults.maxDumps, 2 ** 32 - 1),
      file,
      heapdumpNames: false,
      directory: options.directory ?? diagnosticDir(),
      compress: options.compress ?? (file === undefined || file.endsWith('.gz')),
      mode,
      exposeInternals: options.exposeInternals ?? false,
      exposeNumericValues: options.exposeNumericValues ?? false,
      comparableIds: options.comparableIds ?? false,
      redact: redactionName(options.redact),
      overwrite: options.overwrite ?? false,
      minFreeDisk: options.minFreeDisk ?? 256 * 1024 * 1024,
      timeoutMs: options.timeoutMs ?? defaults.timeoutMs,
    },
  };
}

function dumpOnSignal(signal = 'SIGUSR2', options) {
  const argument = { argument: 'signal' };
  const number = typeof signal === 'string' ? os.constants.signals[signal] : undefined;
  if (number === undefined) throw check.invalid('signal', "the name of a signal of this system, such as 'SIGUSR2'", signal);
  if (KEPT.has(signal)) throw fail('ERR_HEAPRS_INVALID_ARGUMENT', `signal ${signal} belongs to Node.js or the kernel; use another, such as 'SIGUSR2'`, argument);
  const { config: checked, rest } = config(options, { maxDumps: 10, timeoutMs: 10 * MINUTE });
  unavailable('snapshot');
  return new Dump({ ...checked, signal: number }, rest);
}

// For heaprs/heapdump: shares the dump of others at this signal; alone, files are named as heapdump named them, as many as there are signals.
function dumpAsHeapdump(signal) {
  unavailable('snapshot');
  const { config: checked } = config({ compress: false, directory: '.', cooldownMs: 0 }, { maxDumps: 2 ** 32 - 1, timeoutMs: 10 * MINUTE });
  return new Dump({ ...checked, heapdumpNames: true, signal: os.constants.signals[signal] });
}

function dumpNearHeapLimit(options) {
  const { config: checked, rest } = config(options, { maxDumps: 1, timeoutMs: 2 * MINUTE });
  unavailable('snapshot');
  return new Dump(checked, rest);
}

function listen(options) {
  const { config: checked, rest, path } = config(options, { maxDumps: 1, timeoutMs: 10 * MINUTE }, listenOptions);
  if (process.platform === 'win32') throw fail('ERR_HEAPRS_UNAVAILABLE', 'listen() needs Unix sockets with the caller\'s user, which Windows does not have');
  unavailable('snapshot');
  return new Dump({ ...checked, socket: path ?? defaultSocket() }, rest);
}

function unavailable(feature) {
  const reason = native().unavailableFeatures()[feature];
  if (reason) throw fail('ERR_HEAPRS_UNAVAILABLE', reason);
}

module.exports = { dumpAsHeapdump, dumpNearHeapLimit, dumpOnSignal, listen, registerThread };
