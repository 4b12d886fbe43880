/**
 * heaprs: memory diagnosis for Node.js in production.
 *
 * Sizes are bytes and times are milliseconds unless a name says otherwise. Every thrown error and every rejection is a
 * {@link HeaprsError} with a stable `code`. Loading the package starts no thread, installs no signal handler and hooks no
 * garbage collection; each function says what it costs.
 *
 * @packageDocumentation
 */

import { EventEmitter } from 'node:events'
import { Readable } from 'node:stream'

// ---------------------------------------------------------------------------------------------------------------------
// Errors

/** What `error.code` may say. Codes are added to, never renamed. */
export type HeaprsErrorCode =
  /** An argument or option has the wrong type or an impossible value. */
  | 'ERR_HEAPRS_INVALID_ARGUMENT'
  /** The file or directory does not exist. */
  | 'ERR_HEAPRS_NOT_FOUND'
  /** The path is a directory, a device or a pipe where a regular file is needed. */
  | 'ERR_HEAPRS_NOT_A_FILE'
  /** The target exists and `overwrite` was not asked for. */
  | 'ERR_HEAPRS_FILE_EXISTS'
  /** The system refused the permission. */
  | 'ERR_HEAPRS_PERMISSION'
  /** The disk or quota is full, or free space fell below `minFreeDisk`. */
  | 'ERR_HEAPRS_NO_SPACE'
  /** Any other failure of the file system; the message carries the system's own. */
  | 'ERR_HEAPRS_IO'
  /** The file is readable but is no heap snapshot. */
  | 'ERR_HEAPRS_NOT_A_SNAPSHOT'
  /** The file ends before the snapshot does. */
  | 'ERR_HEAPRS_TRUNCATED'
  /** The file contradicts itself: lying counts, indices out of range, broken gzip. */
  | 'ERR_HEAPRS_CORRUPT'
  /** The work would need more memory than it may take. */
  | 'ERR_HEAPRS_MEMORY_BUDGET'
  /** Cancelled through an `AbortSignal`. */
  | 'ERR_HEAPRS_ABORTED'
  /** The deadline (`timeoutMs`) passed. */
  | 'ERR_HEAPRS_TIMEOUT'
  /** Used after `close()`. */
  | 'ERR_HEAPRS_CLOSED'
  /** No node has this id. */
  | 'ERR_HEAPRS_NO_SUCH_NODE'
  /** The feature does not work on this platform or runtime; the message says why. */
  | 'ERR_HEAPRS_UNAVAILABLE'
  /** V8 gave up on the snapshot. */
  | 'ERR_HEAPRS_CAPTURE_FAILED'
  | 'ERR_HEAPRS_FORK_FAILED'
  /** A bug in heaprs (a caught panic): the operation failed, the process goes on. */
  | 'ERR_HEAPRS_INTERNAL'

/** The shape of every error that heaprs throws or rejects with. The message names what is at fault and what to do about it. */
export interface HeaprsError extends Error {
  code: HeaprsErrorCode
  /** The file at fault, where there is one. */
  file?: string
  /** The byte at fault, counted in the uncompressed text of the snapshot, where one is known. */
  offset?: number
  /** The argument or option at fault (`'options.limit'`). */
  argument?: string
  /** Of a policy's dump that failed: what had set it off, and the reason, as in {@link CaptureResult}. */
  trigger?: 'signal' | 'heap-limit' | 'memory-limit' | 'request'
  reason?: string
}

// ---------------------------------------------------------------------------------------------------------------------
// Capture

/** The options of `v8.writeHeapSnapshot` and `v8.getHeapSnapshot`. */
export interface HeapSnapshotOptions {
  /** Show V8's internal objects. Default false. */
  exposeInternals?: boolean
  /** Show numeric values as nodes of their own. Default false. */
  exposeNumericValues?: boolean
}

/**
 * Writes a snapshot of this thread's heap, as `v8.writeHeapSnapshot` does: same naming, same options, same return value, and it
 * overwrites. A name that ends in `.gz` is compressed while it is written.
 *
 * Blocks the thread for as long as V8 walks the heap: about a second for each 300,000 to 400,000 objects. V8 needs 500 to 1,400 bytes
 * an object meanwhile. Afterwards V8 keeps tracking where objects move, which makes allocation 3 to 10 times slower until the process
 * ends or {@link releaseObjectIds} is called; in exchange, object ids compare with earlier and later snapshots.
 *
 * @param filename Default: `Heap.{yyyymmdd}.{hhmmss}.{pid}.{threadId}.{seq}.heapsnapshot` in `--diagnostic-dir`, else in the working directory.
 * @returns the name of the file.
 */
export function writeHeapSnapshot(filename?: string | Buffer | URL, options?: HeapSnapshotOptions): string

/**
 * A stream of a snapshot of this thread's heap, as `v8.getHeapSnapshot` gives. The heap is walked in this call (cost and after-effect as in
 * {@link writeHeapSnapshot}); the text waits compressed in memory, about a fifth of its length, until it is read.
 */
export function getHeapSnapshot(options?: HeapSnapshotOptions): Readable

/**
 * Writes a snapshot of this thread's heap to a file.
 *
 * The file appears under its final name only when it is complete (temporary name in the same folder, fsync, rename), with mode 0600. A
 * failed or aborted capture leaves nothing behind. Captures of one thread queue up, dumps
 * of policies ({@link dumpOnSignal} and the like) among them; `timeoutMs` counts while this one waits for a policy's. A pending promise keeps the process alive.
 *
 * By fork (see `mode`), JavaScript stands still for milliseconds: 2 to 15 for a heap of 100 MB, about 30 more for each further GB resident. A child
 * process walks its copy of the heap, at a lower priority, and needs up to as much memory again and about 600 bytes a node meanwhile, and a kilobyte for each element of
 * the longest array (which no estimate knows: where memory runs short for it, the child is ended, and no walk inline follows, `ERR_HEAPRS_MEMORY_BUDGET`); it is
 * watched, tried again up to three times, and never outlives the process. Its object ids match no other file's (`compareSnapshots` goes by structure then).
 * Inline, JavaScript stands still while V8 walks the heap (see {@link writeHeapSnapshot}); unless `comparableIds` is set, what V8 leaves
 * behind is undone at the end, so that allocation is as fast as before. Where memory runs short it is given up in time, but for a long array that no child has come upon
 * before: prefer `'auto'` in a narrow control group. Compression and writing always happen on another thread.
 *
 * Rejects among others with `ERR_HEAPRS_FORK_FAILED` (mode `'fork'`: the child died or hung, three times), `ERR_HEAPRS_UNAVAILABLE` (it can't be
 * forked here), `ERR_HEAPRS_MEMORY_BUDGET` (it was ended because memory ran low).
 */
export function captureHeapSnapshot(options?: CaptureOptions): Promise<CaptureResult>

/**
 * Copies a snapshot without what its strings say, for showing it to others.
 *
 * What goes: the contents of strings, regular expressions and numbers, source text, queries and fragments of URLs in script names, the
 * attributes of DOM elements. In place of a text stands another of its length, the same wherever it was the same. What stays: the graph,
 * ids, sizes; names of properties, classes, functions, variables and script files. Every number of an analysis is the same; only that
 * a string made by concatenation equals a plain one can't be told any more. One pass, in memory for a byte a string and a bit an id.
 *
 * With `names`, property names of objects that are used as dictionaries go, too: those of objects that V8 keeps as hash tables, and
 * those that belong to one object alone and to no function, class or variable besides. Plain objects may then change their class.
 *
 * @param input A `.heapsnapshot` or `.heaptimeline`, plain or gzipped.
 * @param output A new file, of mode 0600; it appears when it is complete.
 */
export function redactSnapshot(input: string, output: string, options?: RedactOptions): Promise<RedactResult>

export interface RedactOptions {
  /** Property names of objects used as dictionaries, too. Default false. */
  names?: boolean
  /** Keep the numbers of a file that was taken with `exposeNumericValues`. Default false. */
  keepNumbers?: boolean
  /** gzip. Default: true when `output` ends in `.gz`. */
  compress?: boolean
  /** Replace an existing output. Default false: `ERR_HEAPRS_FILE_EXISTS`. */
  overwrite?: boolean
  /** Stop below this many free bytes on the disk. Default 0. */
  minFreeDisk?: number
  signal?: AbortSignal
  /** `done` in bytes of text. */
  onProgress?: (progress: { phase: string; done: number; total: number }) => void
}

export interface RedactResult {
  file: string
  fileBytes: number
  /** Bytes of text, before compression. */
  snapshotBytes: number
  nodes: number
  edges: number
}

export interface CaptureOptions extends HeapSnapshotOptions {
  /** Where to. Default: a generated name (see {@link writeHeapSnapshot}) in `directory`. */
  file?: string
  /** For generated names; not together with `file`. Default: `--diagnostic-dir`, else the working directory. */
  directory?: string
  /**
   * `'fork'`: a child process walks the heap, the app goes on. `'inline'`: the app stops. `'auto'` (default): `'fork'` where it works
   * (see {@link forkSupport}), else `'inline'`, and the result's `fallbackReason` says why.
   */
  mode?: 'auto' | 'fork' | 'inline'
  /** gzip. Default: true when `file` ends in `.gz` or no `file` is given. */
  compress?: boolean
  /**
   * Keep object ids, so that they match those of other captures with this option, at the price of {@link releaseObjectIds}; by fork also
   * of a pause of about a tenth of V8's own. Default false.
   */
  comparableIds?: boolean
  /**
   * A snapshot holds what the strings of the heap say: passwords, tokens, people's data, source text. With `true` none of it reaches the
   * file, nor do numbers unless `exposeNumericValues` asks for them; names of properties, classes, functions, variables and script files
   * stay, and so does every number of an analysis (see {@link redactSnapshot}). `'names'`: nor do property names of objects that are used
   * as dictionaries. Default false.
   */
  redact?: boolean | 'names'
  /**
   * Of heaprs's own files in the directory, the oldest go when the capture is complete, until these numbers hold; the new file stays in any
   * case. Own files are regular files of this user's with the name that heaprs gives when none is given, and heaprs's mark in their header.
   * Nothing else is removed: no file of another name, none by `node:v8` or {@link writeHeapSnapshot}, nothing through a link.
   */
  quota?: { maxFiles?: number; maxBytes?: number }
  /** Replace an existing file. Default false: `ERR_HEAPRS_FILE_EXISTS`. */
  overwrite?: boolean
  /** For the whole capture. Default 10 minutes. */
  timeoutMs?: number
  /** Refuse to start, and stop, below this many free bytes on the disk. Default 256 MiB. */
  minFreeDisk?: number
  /** Cancels: `ERR_HEAPRS_ABORTED`. By fork at any time; inline while writing and before the walk, since V8's walk itself holds the thread. */
  signal?: AbortSignal
  onProgress?: (progress: { phase: 'heap' | 'write'; done: number; total: number }) => void
}

export interface CaptureResult {
  file: string
  /** Size of the file. */
  fileBytes: number
  /** Size of the snapshot's text, before compression. */
  snapshotBytes: number
  nodes: number
  edges: number
  mode: 'fork' | 'inline'
  /** Why `'auto'` did not fork. */
  fallbackReason?: string
  /** How long the JavaScript thread was stopped, in all attempts together. */
  pauseMs: number
  /** From the call to the finished file. */
  durationMs: number
  /** How often a walk was begun, by fork or inline: 1 if all goes well. */
  attempts: number
  /** Of a policy's dump: what set it off. Errors of `'failed'` have it, too. */
  trigger?: 'signal' | 'heap-limit' | 'memory-limit' | 'request'
  /** With `'memory-limit'`: which limit, how much it leaves, and how much this process has. */
  reason?: string
  /** With a `quota`: the files that were removed for it, oldest first. */
  removed?: string[]
  /** By fork: CPU time of the child. */
  childCpuMs?: number
  /** By fork: the most memory the child had, what it shared with this process counted. */
  childPeakBytes?: number
}

/**
 * Ends V8's tracking of object ids in this thread, which any snapshot, heaprs's or not, switches on for good and which makes allocation 3 to
 * 10 times slower. Ids of later snapshots don't match earlier ones. Takes a few milliseconds. Not while an allocation timeline runs or a
 * debugger is attached: they need the ids.
 */
export function releaseObjectIds(): void

/** Whether captures by fork work here, and if not, why. */
export function forkSupport(): { supported: boolean; reason?: string }

/**
 * Dumps this thread's heap whenever the process gets `signal`: at once, also while JavaScript is in an endless loop; a thread that is busy in native code (or
 * blocked in `execSync` or `Atomics.wait`) as soon as that returns. By fork where that works, so that the app goes on.
 *
 * The signal's earlier handlers still run, those of `process.on(signal)` before and after this call too; its default action (to end the process) does not.
 * A handler that ends the process itself, as Node.js's own for SIGINT and SIGTERM, does so before anything is dumped.
 * Signals that come during a dump are answered with it, those within `cooldownMs` after it are ignored. Several policies for one signal share one dump, with the
 * options of the oldest. Takes one thread that sleeps, and never keeps the process alive; an exit gives a dump under way up to three seconds, then calls it off.
 *
 * nodemon sends SIGUSR2 to restart the app, and pm2 to reload it: choose another signal there (`dumpOnSignal('SIGWINCH')`, or `nodemon --signal SIGHUP`).
 *
 * @param signal Default `'SIGUSR2'`. `ERR_HEAPRS_INVALID_ARGUMENT` for those that Node.js or the kernel keep (SIGKILL, SIGSTOP, SIGUSR1, SIGPROF, SIGCHLD, SIGPIPE and
 * those of faults). `ERR_HEAPRS_UNAVAILABLE` where V8's symbols can't be used, and on Windows.
 */
export function dumpOnSignal(signal?: NodeJS.Signals, options?: CaptureOptions & DumpPolicy): Dump

/**
 * Dumps this thread's heap when it is about to reach its limit, before V8 gives up. In a worker with `resourceLimits` that is the worker's.
 *
 * By fork, the limit is raised by a fifth (8 to 128 MiB) and the app goes on while the child writes; the next time it holds the app until the file is
 * complete or `timeoutMs` (default 2 minutes) has passed. Inline, the app is held at once. Then all goes as it would have without heaprs: the same fatal error and exit
 * code, `ERR_WORKER_OUT_OF_MEMORY` of a worker, or, where memory was freed, on with the initial limit. Over all, the limit is raised by half at most (16 to 256 MiB).
 *
 * On Linux also before memory outside of V8 runs out, by buffers for example: where the control group (version 1 or 2, `memory.high` included) or `ulimit -v` sets a limit, a thread that
 * sleeps looks at it, more often as the end comes near, for less than 0.1 % of a core. It dumps when as much is left as a fork would need, an eighth to a quarter
 * of the limit (up to half while memory is taken fast), in a busy loop too, and counts in `maxDumps`. What decides is what is left for all in the group; a process with
 * less than an eighth of the limit is not dumped. The app stands still for the dump if the two together could come to the end. When memory runs out
 * all the same, the child is ended, never the app, and `'failed'` says why (`ERR_HEAPRS_MEMORY_BUDGET`); such a try does not count, and the next is made at half of what was left.
 * Without a limit there is no thread: the machine's memory as such is not watched, nor is a limit that is set later. One allocation larger than what is left is not seen coming.
 *
 * `maxDumps` is 1 by default. A capture of N objects needs 500 to 900 bytes an object outside of the limit, in the child or inline in the process, and V8 takes another
 * kilobyte for each element of the longest array.
 */
export function dumpNearHeapLimit(options?: CaptureOptions & DumpPolicy): Dump

/**
 * Listens for `heaprs capture PID`, which asks for a dump of this thread's heap, at a Unix socket: at once, also while JavaScript is in an endless loop. `heaprs/register`
 * calls this. The file is written by this process, where the caller says (else by `directory`), never over another file, within `timeoutMs`, and redacted at least as
 * this call and the process's other policies say. A caller who hangs up (Ctrl-C) calls the dump off, and nothing of it stays; callers are served one after the other.
 *
 * Only the process's own user and root are answered; the kernel says who calls. Takes one thread that sleeps, and one for each caller (8 at most); it never keeps the process
 * alive. The socket goes with {@link Dump.dispose}, with the thread and at an exit. A process that was killed leaves it: the next one that listens removes it.
 *
 * @param options Options of every dump. `signal` (an AbortSignal) ends the listening.
 * @throws `ERR_HEAPRS_FILE_EXISTS` when another process listens at `path`, or it is no socket; `ERR_HEAPRS_INVALID_ARGUMENT` when it is too long for one (about 100
 * bytes); `ERR_HEAPRS_UNAVAILABLE` where V8's symbols can't be used, and on Windows.
 */
export function listen(options?: ListenOptions): Dump

/** Where to listen, and what to dump; where to and when is the caller's to say. */
export interface ListenOptions extends Omit<CaptureOptions, 'file' | 'overwrite' | 'onProgress'> {
  /** The socket. Default: in a folder of its own (mode 0700), in `XDG_RUNTIME_DIR` or the folder for temporary files. One on which nobody listens any more is replaced. */
  path?: string
}

/** How often a policy may dump, and what. `onProgress` is refused; `signal` (an AbortSignal) disposes the policy. */
export interface DumpPolicy {
  /** From the end of one dump to the start of the next. Default 10 000. */
  cooldownMs?: number
  /** Default 10 for a signal, 1 near the heap limit. */
  maxDumps?: number
  /** `'main'` (default): the thread that asked. `'all'`: every thread that has loaded heaprs, one after the other, each to a file of its own. */
  threads?: 'main' | 'all'
}

/**
 * A policy at work: emits `'dump'` ({@link CaptureResult}) for each file and `'failed'` (an error, never `'error'`) where there is none. Each is also
 * published on the diagnostics channel `heaprs:dump`, as is every {@link captureHeapSnapshot}: the result, or `{ error }`.
 */
export interface Dump extends EventEmitter {
  /** What has been dumped so far. */
  readonly dumps: CaptureResult[]
  /** Ends the policy; a signal gets its earlier handler back. */
  dispose(): void
  [Symbol.dispose](): void
  on(event: 'dump', listener: (result: CaptureResult) => void): this
  on(event: 'failed', listener: (error: HeaprsError) => void): this
  once(event: 'dump', listener: (result: CaptureResult) => void): this
  once(event: 'failed', listener: (error: HeaprsError) => void): this
}

// ---------------------------------------------------------------------------------------------------------------------
// Leak detection

/**
 * Watches the garbage collections of this thread and tells when what lives grows as a leak does, on the heap or outside of it (array buffers,
 * external strings).
 *
 * Sizes are taken inside V8's GC callbacks and judged on heaprs's background thread; nothing is hooked before {@link start}, and a detector never keeps the
 * process alive. What lives is known only after a full collection, of which V8 runs few. So as long as what can live has risen, the
 * detector asks V8 for a full collection now and then: a pause like any of V8's, taking at most a thousandth of the time, a hundredth when the heap fills fast (`'high'`: a ninth).
 *
 * @example
 * const { LeakDetector } = require('heaprs')
 * new LeakDetector().on('leak', (leak) => console.warn(leak.reason, leak.growthPerHour)).start()
 */
export class LeakDetector extends EventEmitter {
  constructor(options?: LeakDetectorOptions)
  /**
   * Hooks the collections. On a runtime without V8's symbols they are seen through `perf_hooks`: a little later and less exactly, and nobody asks V8 for
   * full collections, so that leaks are found later or, where V8 collects rarely, not at all.
   */
  start(): this
  /** Unhooks them and forgets what was observed. */
  stop(): void
  readonly running: boolean
  /** Used bytes of each of V8's spaces after the last full collection, by V8's names (`old_space`, …). Empty until one has come after the first call. */
  spaceSizes(): Record<string, number>

  on<E extends keyof LeakDetectorEvents>(event: E, listener: (...args: LeakDetectorEvents[E]) => void): this
  once<E extends keyof LeakDetectorEvents>(event: E, listener: (...args: LeakDetectorEvents[E]) => void): this
  off<E extends keyof LeakDetectorEvents>(event: E, listener: (...args: LeakDetectorEvents[E]) => void): this
  addListener<E extends keyof LeakDetectorEvents>(event: E, listener: (...args: LeakDetectorEvents[E]) => void): this
  removeListener<E extends keyof LeakDetectorEvents>(event: E, listener: (...args: LeakDetectorEvents[E]) => void): this
}

/** What a detector emits. The `leak` and `gc` events are also published on `diagnostics_channel` as `heaprs:leak` and `heaprs:gc`. */
export interface LeakDetectorEvents {
  /** Every garbage collection, young ones too. */
  gc: [event: GcEvent]
  /** Every full collection. */
  stats: [stats: GcStats]
  /** A trend that may be a leak, at once and without suspects. */
  suspicion: [report: LeakReport]
  /** A leak, with its cause. */
  leak: [report: LeakReport]
  /** The cause could not be looked for, or (`ERR_HEAPRS_INTERNAL`) the detector cannot go on and has stopped. Never `'error'`, which would end a process that does not listen. */
  diagnosisError: [error: HeaprsError]
}

export interface LeakDetectorOptions {
  /**
   * How long growth has to last before it is a leak. `'medium'` (default), for production: most of a day; 40 minutes when it has eaten a third
   * of the room under the heap's limit in them, 5 minutes when half. In simulation, the slowest growth found in an hour is half of that room an hour (40 to 48 % is found
   * within 82 minutes), growth by 1 % of the heap an hour is found within a day (in 19 hours), with less than one false alarm in 30,000 hours; what grows by less than 5 %
   * of the heap or 4 MiB in a day is not found. `'low'`: two and a half days, 10 %; 6 hours for a third of the room, 40 minutes for half: the slowest growth found in an hour
   * is 80 % of the room. `'high'`, for tests
   * and hunts: half a minute, 1 MiB; the slowest growth found in an hour is 2 MB, or 3 % of the heap; what swings more slowly than that looks like a leak to it.
   */
  sensitivity?: 'low' | 'medium' | 'high'
  /** Bytes; less growth than this over the window is never a leak. Default 4 MiB (`'low'`: 32, `'high'`: 1). */
  minGrowth?: number
  /** At most one `leak` in this time. Default 10 minutes. */
  cooldownMs?: number
  /**
   * Name the cause. `true` (default): at a suspicion two captures are taken by fork, some growth apart, and compared in a helper process with a
   * low priority, a memory budget (half of what is free, 2 GiB at most) and a deadline of two minutes; it may die, the app may not. The captures are
   * nameless files in the temporary directory that are gone when the process is. Costs: two pauses as of any fork capture (about 10 ms each for a small heap),
   * and CPU time of the children, at most a twentieth of the time. `'high'` takes the first capture a second after the start.
   *
   * A confirmed leak waits for that: two and a half minutes at most, ten seconds in the first 40 of `'high'`. Then what the first capture holds most of
   * is told, if it names something within a minute (5 seconds); else the leak waits two and a half minutes more, since an alarm without a cause helps
   * little. It is told in any case.
   *
   * Where it can't be forked, or the system refuses to: the sampling heap profiler, from the suspicion on; where there is no profile, and for
   * memory outside of the heap, constructor counts (at the suspicion and at the leak; JavaScript stands still for each, about 0.1 s and 2 µs an
   * object, and a heap of more than 32 MB is not counted); else numbers alone. `diagnosis` says which, and why.
   *
   * Capture options: how to capture. `{ mode: 'inline' }` or `'auto'` allow V8 to stop the app for the walk. With a `directory` the files are kept and named
   * in `files`; with a `file` the later one.
   */
  diagnose?: boolean | CaptureOptions
  /**
   * Bytes between two samples, on average: V8's sampling heap profiler runs from {@link LeakDetector.start} on, and the first suspect gets the stack
   * that allocated most of what is still alive (reading it costs a full collection). Through `node:inspector`; one for each thread, so it
   * excludes other users of that profiler. `false`: never. Default: only in place of captures.
   */
  samplingInterval?: number | false
}

/**
 * One garbage collection. Sizes are V8's, taken in its prologue and epilogue callbacks. Without a listener for `gc` (or a subscriber of `heaprs:gc`) only
 * the second is: the first look at V8's sizes takes 5 to 15 microseconds, more than all else the detector does to a collection.
 */
export interface GcEvent {
  kind: 'scavenge' | 'mark-sweep-compact' | 'incremental-marking' | 'weak-callbacks' | 'minor-mark-sweep'
  /** Between the two callbacks. */
  pauseMs: number
  usedBefore: number
  usedAfter: number
  /** The size at which V8 ends the process. */
  heapLimit: number
  /** Off-heap memory that V8 knows of (ArrayBuffers, external strings). */
  external: number
  /** Milliseconds since 1970. */
  timestamp: number
}

/** Over the collections seen since `start()`, in memwatch's terms and camelCase. Sizes are of the heap after a full collection. */
export interface GcStats {
  /** Full collections. */
  numFullGc: number
  /** Young collections. */
  numIncGc: number
  /** The base of about the last 10 full collections relative to that of about the last 100: above 0 it has been growing. */
  usageTrend: number
  /** Smoothed over about 10 full collections. */
  estimatedBase: number
  /** After the last one. */
  currentBase: number
  min: number
  max: number
  /** Off-heap bytes that V8 knows of, after the last one: array buffers, external strings, what addons have told it of. */
  external: number
  /** Of these, in array buffers; taken when the event is emitted, a moment after the collection. */
  arrayBuffers: number
  /**
   * Resident memory of the whole process at that moment, with all its threads. Where this grows while `currentBase` and `external` do not, an addon or a
   * library leaks memory that V8 does not know of; no `leak` is told of that.
   */
  rss: number
  heapLimit: number
  /** Milliseconds since 1970. */
  timestamp: number
}

export interface LeakReport {
  start: Date
  end: Date
  /** Bytes, from `start` to `end`. */
  growth: number
  /** One sentence: what was seen, over how long. */
  reason: string
  /** Where it grows: on V8's heap, or outside of it, held by objects on the heap. */
  place: 'heap' | 'off-heap'
  /** Full collections it rests on. */
  gcs: number
  growthPerHour: number
  /** 0 to 1. */
  confidence: number
  heapUsed: number
  heapLimit: number
  /** At this pace; null when it can't be told. */
  timeToLimitMs: number | null
  /** Best first, five at most. Empty in a suspicion, and when `diagnose` is false. */
  suspects: LeakSuspect[]
  /**
   * How the suspects were found and what that cost: time the JavaScript thread was stopped, CPU time of forked children and the helper process,
   * the most memory one of them had (memory shared with this process counted). `reason`: why it was not better than that.
   */
  diagnosis: { method: 'fork' | 'inline' | 'sampling' | 'counts' | 'none'; reason?: string; pauseMs: number; childCpuMs: number; peakBytes: number }
  /** The captures, when `diagnose` asks to keep them. */
  files: string[]
}

export interface LeakSuspect {
  /** Class of what accumulates; `(sampled)` where only a profile was possible. */
  className: string
  /** Between the two captures or counts: how many more of them the holder holds, or there are; (sampling) how many samples are alive. */
  countDelta: number
  /** Bytes by which the class has grown by itself; of counts, an estimate from below. */
  sizeDelta: number
  /** Bytes by which what the holder retains has grown, off-heap memory included. */
  retainedDelta: number
  /** The container that grows, as a path from a root: `"global.sessions (Map)"`. Where no single place holds what has grown, says so. */
  holder: string
  /** From a root to the holder; ids are those of the later capture. */
  retainingPath: { edge: string; node: string; id: number }[]
  /** Who allocates, callee first. */
  allocationStack?: { function: string; url: string; line: number; column: number }[]
  /** A sentence or two a person can act on. */
  explanation: string
  /** What kind of holder it is; absent where only a profile or counts were possible. */
  kind?: Suspect['kind']
}

// ---------------------------------------------------------------------------------------------------------------------
// Analysis

/** What every long operation takes. */
export interface TaskOptions {
  /** Cancels: the promise rejects with `ERR_HEAPRS_ABORTED`. */
  signal?: AbortSignal
  /** At most every 50 ms. `total` is 0 where it is not known. */
  onProgress?: (progress: { phase: string; done: number; total: number }) => void
  /**
   * Bytes it may take; `ERR_HEAPRS_MEMORY_BUDGET`, which names what would be needed, instead of more. Default for opening a snapshot: what the
   * system, its control group and its limits have free at that moment; about 0.9 of a large file's own size is enough. For a question to an opened
   * snapshot: beyond what the snapshot takes, by an estimate made before the work; no limit by default.
   */
  maxMemory?: number
}

export interface OpenOptions extends TaskOptions {
  /**
   * How many threads read and compute, 1 to 64. By default one fewer than there are cores, and at most 4: one is left to JavaScript. A process that does
   * nothing else may give all, as the command line does. Reading takes as many, what is computed from it two at most.
   */
  threads?: number
}

/** Where a snapshot comes from: the path of a file, or a stream of its bytes, plain or gzipped. */
export type SnapshotSource = string | NodeJS.ReadableStream | AsyncIterable<Uint8Array | string>

export interface Page {
  /** Rows to leave out. Default 0. */
  offset?: number
  /** Rows at most. */
  limit?: number
}

/**
 * Reads a `.heapsnapshot` or `.heaptimeline` of Node.js or Chrome, plain or gzipped, and computes what Chrome DevTools computes: self sizes,
 * distances, dominators, retained sizes, classes. The numbers are DevTools', to the byte.
 *
 * Runs on a thread of its own. The snapshot stays in this process's memory (outside the JavaScript heap) until `close()`, but for strings of 256
 * bytes and more in a plain file: these are read from it again, and then kept, when an answer has them in it, so the file stays open (one descriptor).
 * It may be deleted or replaced by another meanwhile. If it is overwritten in place, the first answer that needs such a string, and each one after
 * it, is `ERR_HEAPRS_IO`; if these strings would take more than is left of `maxMemory`, `ERR_HEAPRS_MEMORY_BUDGET`.
 *
 * A stream (`process.stdin`, a response, the pieces of any async iterable) is read while it comes, at most 4 MiB ahead, and destroyed when
 * reading fails. A file that a {@link captureHeapSnapshot} of this thread was told to make, and has not finished, is waited for.
 *
 * Rejects with `ERR_HEAPRS_NOT_FOUND`, `…_NOT_A_FILE`, `…_NOT_A_SNAPSHOT`, `…_TRUNCATED`, `…_CORRUPT`, `…_MEMORY_BUDGET`; the message names
 * the file and the byte.
 */
export function openSnapshot(source: SnapshotSource, options?: OpenOptions): Promise<Snapshot>

/** A snapshot in memory, from {@link openSnapshot}. After `close()`, every use is `ERR_HEAPRS_CLOSED`. */
export class Snapshot {
  private constructor()
  /** Id of the root node. */
  readonly root: number
  readonly info: SnapshotInfo
  /** DevTools' Statistics view. */
  statistics(): Statistics
  /** The node with this id, as `@12345` in DevTools; null when there is none. */
  node(id: number): NodeRow | null
  /** DevTools' Summary view: one row a class, retained size descending. */
  summary(options?: SummaryOptions): Promise<ClassRow[]>
  /** The objects of one class row, by its `key`, retained size descending. */
  instances(key: string, options?: Page & TaskOptions): Promise<NodeRow[]>
  /** Outgoing edges, retained size descending, DevTools' Containment view. */
  references(id: number, options?: Page & TaskOptions): Promise<EdgeRow[]>
  /** Incoming edges, nearest to a root first, DevTools' Retainers view: without weak ones and the root's own. */
  retainers(id: number, options?: Page & TaskOptions): Promise<EdgeRow[]>
  /** Children in the dominator tree, retained size descending. */
  dominated(id: number, options?: Page & TaskOptions): Promise<NodeRow[]>
  /** Paths from the root to the node, shortest first; those of user roots (globals, stacks, handles) before V8's own. Default: at most 10. */
  retainingPaths(id: number, options?: { limit?: number } & TaskOptions): Promise<PathStep[][]>
  /** Strings of equal text, most bytes first. V8 cuts strings at 1024 characters when it writes a snapshot, so longer ones may only begin alike. */
  duplicateStrings(options?: { limit?: number } & TaskOptions): Promise<DuplicateString[]>
  /**
   * The realms of the process (one, and one more for each `vm` context) and how much each of them uses. The heaps of Node.js 20 and before don't say which realm
   * made an object: there, with several realms, most is shared.
   */
  nativeContexts(options?: TaskOptions): Promise<NativeContexts>
  /**
   * Of a recording (`.heaptimeline`, "Allocations on timeline"): what each interval allocated and is still alive. Empty for other snapshots.
   */
  timeline(options?: TaskOptions): Promise<TimelineBucket[]>
  /** The calls that allocated an object, innermost first; null unless the recording was made with `trackAllocations`, saw the object made, and V8 has not lost sight of it. */
  allocationStack(id: number, options?: TaskOptions): Promise<AllocationFrame[] | null>
  /**
   * Where memory was allocated, of a recording made with `trackAllocations`. With a `limit`, that many functions (those that allocated most), and that many call
   * stacks (those below which most is still alive, always with their callers).
   */
  allocationSites(options?: { limit?: number } & TaskOptions): Promise<AllocationSites>
  /**
   * Where memory accumulates and who holds it, most first; in the way of Eclipse MAT's leak suspects. A suspect retains at least 5 % of the heap and
   * 512 KiB; what V8 and Node.js hold for themselves is none, so a healthy small heap has no suspects. With a `base`: where new objects
   * accumulated since (at least 5 % of them and 64 KiB).
   */
  suspects(options?: SuspectOptions): Promise<Suspect[]>
  /** The objects to which everything in `query` applies, retained size descending. */
  query(query: HeapQuery): Promise<NodeRow[]>
  /** What of the heap is outside of V8's own memory, by kind. */
  offHeap(options?: TaskOptions): Promise<OffHeap>
  /** Every node at once, by ordinal (position in the file). */
  columns(options?: TaskOptions): Promise<Columns>
  /**
   * Writes the graph to a folder as columns that other engines read: one NumPy file (`.npy`) for each, and a `schema.json` that says what they
   * hold; it is written last. About 38 bytes a node, 9 an edge, and the strings. The folder is made when it does not exist; another export in it is
   * `ERR_HEAPRS_FILE_EXISTS`, or is replaced with `overwrite`.
   */
  export(directory: string, options?: { overwrite?: boolean } & TaskOptions): Promise<{ directory: string; files: string[]; bytes: number }>
  /** Gives the memory back. A call under way rejects with `ERR_HEAPRS_CLOSED`. */
  close(): void
  [Symbol.dispose](): void
}

export interface SnapshotInfo {
  nodes: number
  edges: number
  strings: number
  /** DevTools' total: all self sizes plus `extraNativeBytes`. The 100 % of every share. */
  totalSize: number
  /** Native memory that V8 states in the header (Node.js 24 and later), else 0. */
  extraNativeBytes: number
  /** Absolute; `'-'` for a stream without a path. */
  file: string
}

/** Sizes of DevTools' Statistics view. */
export interface Statistics {
  total: number
  v8heap: { total: number; code: number; strings: number; jsArrays: number; system: number }
  native: { total: number; typedArrays: number }
}

/** Node types as in the file. */
export type NodeType =
  | 'hidden'
  | 'array'
  | 'string'
  | 'object'
  | 'code'
  | 'closure'
  | 'regexp'
  | 'number'
  | 'native'
  | 'synthetic'
  | 'concatenated string'
  | 'sliced string'
  | 'symbol'
  | 'bigint'
  | 'object shape'
  | 'wasm object'
  | (string & {})

/** Edge types as in the file. */
export type EdgeType = 'context' | 'element' | 'property' | 'internal' | 'hidden' | 'shortcut' | 'weak' | 'invisible' | (string & {})

export interface NodeRow {
  id: number
  name: string
  /** The class row it belongs to; plain objects are named by their properties, as `{id, name}`. */
  className: string
  type: NodeType
  /** As DevTools counts it: pieces that only this object uses are its own. */
  selfSize: number
  /** What would be free without it. */
  retainedSize: number
  /** Steps from a root; 100,000,000 and more: only V8 itself reaches it; negative: nothing does. */
  distance: number
  /** Detached from the document (Chrome) or from its JavaScript object (Node.js's own handles). */
  detached: boolean
  /** Id of the node that everything to this one leads through. */
  dominator: number
  edgeCount: number
}

export interface EdgeRow {
  type: EdgeType
  /** Property or variable name; for `element` and `hidden` edges the index, in decimal. */
  name: string
  /** The other end: what a reference leads to, what a retainer comes from. */
  node: NodeRow
}

export interface ClassRow {
  /** For {@link Snapshot.instances}. Classes of the same name from different scripts have different keys. */
  key: string
  name: string
  count: number
  /** The least of its objects'. */
  distance: number
  selfSize: number
  /** Without counting an object twice that another one of the class retains. */
  retainedSize: number
}

export interface SummaryOptions extends Page, TaskOptions {
  /** Only classes whose name contains this text, in any case. */
  search?: string
  /** Only some of the objects. */
  filter?: SummaryFilter
}

/**
 * DevTools' filters of the Summary. Classes without an object that passes have no row.
 *
 * - `'duplicatedStrings'`: strings whose text another one has, too.
 * - `'retainedByDetachedDomNodes'`, `'retainedByContexts'`, `'retainedByConsole'`, `'retainedByEventHandlers'`: objects that nothing but detached DOM nodes (in Node.js:
 *   detached handles), contexts of closures, the console of an attached DevTools, or event handlers hold, directly or not.
 * - `'sharedNativeContext'`, `'noNativeContext'`, `{ nativeContext }`: objects that several realms use, none, or only the one with this
 *   id (see {@link Snapshot.nativeContexts}).
 * - `{ allocatedAfter, allocatedUpTo }`: objects allocated between two snapshots of one process. `allocatedUpTo` is by default the snapshot that is asked; without
 *   `allocatedAfter`, all that are older. Ids must be comparable, see {@link compareSnapshots}.
 * - `{ minId, maxId }`: objects with greater ids than `minId`, up to and with `maxId`.
 */
export type SummaryFilter =
  | 'duplicatedStrings'
  | 'retainedByDetachedDomNodes'
  | 'retainedByContexts'
  | 'retainedByConsole'
  | 'retainedByEventHandlers'
  | 'sharedNativeContext'
  | 'noNativeContext'
  | { nativeContext: number }
  | { allocatedAfter?: Snapshot; allocatedUpTo?: Snapshot }
  | { minId?: number; maxId?: number }

export interface NativeContexts {
  nativeContexts: NativeContext[]
  /** Bytes of objects that several realms use. */
  sharedSize: number
  /** Bytes of objects that no realm uses. */
  noAttributionSize: number
}

export interface NativeContext {
  id: number
  /** In Chrome with the page's address. */
  name: string
  /** Bytes of objects that only this realm uses. */
  attributedSize: number
  selfSize: number
  retainedSize: number
}

/** One interval of a recording. */
export interface TimelineBucket {
  /** Its end, in milliseconds since the recording began. */
  timestamp: number
  /** The last object id that had been given out then. */
  lastAssignedId: number
  /** Objects allocated in it that are still alive, as the Summary counts: those with a size of their own. */
  count: number
  /** Their bytes, DevTools' height of the bar. */
  size: number
}

/** One call of an allocation stack. */
export interface AllocationFrame {
  function: string
  /** Of the script; empty for functions of V8. */
  url: string
  scriptId: number
  /** Where the function begins, from 1; 0 for functions of V8. */
  line: number
  column: number
}

export interface AllocationSites {
  /** By the function that allocated, most bytes first: DevTools' Allocation view. */
  functions: AllocationFunction[]
  /** By whole call stacks, from the outermost call inwards; the root itself is no call. Null when there is no such recording. */
  root: AllocationSite | null
}

export interface AllocationFunction extends AllocationFrame {
  /** Objects allocated. */
  count: number
  size: number
  /** Objects still alive of these; those whose bytes are counted with their owner are included. */
  liveCount: number
  liveSize: number
}

export interface AllocationSite extends AllocationFunction {
  /** Bytes allocated here and in the calls from here. */
  totalSize: number
  /** Still alive of what was allocated here and in the calls from here. */
  totalLiveCount: number
  totalLiveSize: number
  /** The calls from here, `totalLiveSize` descending. */
  children: AllocationSite[]
}

/** One step of a path from the root: an edge, and the node it leads to. */
export type PathStep = EdgeRow

export interface SuspectOptions extends TaskOptions {
  /** At most so many. Default 5. */
  limit?: number
  /** An earlier snapshot of the same process. Objects are told apart as {@link compareSnapshots} does by default. */
  base?: Snapshot
  /** Bytes: who retains less (with a `base`: gained less) is no suspect, who retains more is one, however large the heap. Default: see above. */
  minSize?: number
}

export interface Suspect {
  /**
   * `collection`: a Map, Set, Array or an object used like one. `listeners`: of one event. `timers`: that wait. `promises`: each waits for another one.
   * `closure-chain`: each closure keeps the context it was made in, and with it a variable of another closure. `chain`: objects linked one to the next.
   * `group`: objects of one class without a collection of their own. `object`: a single one.
   */
  kind: 'collection' | 'listeners' | 'timers' | 'promises' | 'closure-chain' | 'chain' | 'group' | 'object'
  /** The class of what accumulates. */
  className: string
  /** How many of that class. */
  count: number
  /** Bytes that would be free without it. */
  retainedSize: number
  /** Of these, the bytes outside of V8's heap: Buffers, external strings. */
  offHeapSize: number
  /** Of the whole heap, 0 to 1. */
  share: number
  /** Who holds it, as a person would say it: "Map `sessions` of module scope in server.js". */
  holder: string
  /** The holder's node id. */
  holderId: number
  /** The script that the holder's variable is in, null where the snapshot does not tell. */
  script: string | null
  /** From a root to the holder, at most 40 steps: the middle is left out when it is longer. Steps that a program names come before shorter ones. */
  path: { type: EdgeType; edge: string; className: string; id: number }[]
  /** Steps left out of the middle. */
  omittedSteps: number
  /** Null without a base. */
  growth: {
    /** Bytes of new objects, and of old ones that got bigger. */
    newSize: number
    /** What the holder retains, against the base. */
    retainedDelta: number
    /** What it holds, against the base. */
    countDelta: number
  } | null
  /** What is the matter and what to do about it. */
  explanation: string
}

/** All that is given has to apply. Bounds are inclusive. */
export interface HeapQuery extends Page, TaskOptions {
  /** The class, exactly, as in a row of {@link Snapshot.summary}. */
  className?: string
  /** Text that the name contains, or a pattern that it matches; lookarounds and back references are not supported. */
  name?: string | RegExp
  type?: NodeType
  minSelfSize?: number
  maxSelfSize?: number
  minRetainedSize?: number
  maxRetainedSize?: number
  minDistance?: number
  maxDistance?: number
  /** Only what would be free without the node with this id. */
  retainedBy?: number
  /** Only targets of an edge of this name: a property, a variable, an index. */
  edgeName?: string
  detached?: boolean
}

/** Bytes on both sides of the border of V8's heap, as the file has them. */
export interface OffHeap {
  onHeap: number
  /** The sum of what follows. */
  offHeap: number
  /** Backing stores of Buffers, typed arrays, WebAssembly memories. */
  arrayBuffers: { count: number; size: number }
  /** Text of strings that V8 only refers to. */
  externalStrings: { count: number; size: number }
  /** Objects of Node.js and other native code. */
  other: { count: number; size: number }
  /** What V8 states in the header and no node accounts for (Node.js 24 and later). */
  unattributed: number
}

export interface DuplicateString {
  value: string
  count: number
  selfSize: number
}

/** Typed arrays by ordinal, copies of their own. */
export interface Columns {
  id: Float64Array
  selfSize: Float64Array
  retainedSize: Float64Array
  distance: Int32Array
  /** Ordinal, not id. */
  dominator: Uint32Array
  /** Into `classNames`. */
  classIndex: Uint32Array
  classNames: string[]
}

/**
 * What came and went between two snapshots of one process, counted by class as in DevTools' Comparison view. A side that is not opened yet is opened, and
 * closed again.
 *
 * Objects are told apart by id where ids are comparable: captures with `comparableIds`, or `writeHeapSnapshot` without {@link releaseObjectIds}
 * between the two. Otherwise by structure: an object is the same when it hangs where it hung, or holds what it held. Net counts by class are
 * exact then too; which objects are new is a guess: right for 96 to 99.9 % of them on the heaps it was measured on, and not for objects that nothing
 * tells apart, such as a queue of equal ones. It takes about ten times as long as by id: 0.4 s for two heaps of a million objects.
 */
export function compareSnapshots(base: Snapshot | SnapshotSource, current: Snapshot | SnapshotSource, options?: CompareOptions): Promise<Comparison>

export interface CompareOptions extends OpenOptions {
  /**
   * `'id'` is DevTools' Comparison. `'auto'` (default) takes `'structure'` when a file is marked as a fork's capture or hardly any id leads to what it led to
   * before, else `'id'`.
   */
  matchBy?: 'auto' | 'id' | 'structure'
}

export interface Comparison {
  /** How objects were told apart. */
  matchedBy: 'id' | 'structure'
  /** One row a class that differs, `addedSize` descending. */
  rows: DiffRow[]
}

export interface DiffRow {
  key: string
  name: string
  addedCount: number
  removedCount: number
  countDelta: number
  addedSize: number
  removedSize: number
  sizeDelta: number
}

/**
 * Reads a snapshot and reports where its memory is: totals, the classes that retain most, and, given an earlier snapshot of the same process, what
 * grew. Cost as {@link openSnapshot}; what it opens it closes at the end.
 */
export function analyze(source: Snapshot | SnapshotSource, options?: AnalyzeOptions): Promise<Report>

export interface AnalyzeOptions extends OpenOptions {
  /** An earlier snapshot of the same process to compare with, see {@link compareSnapshots}. */
  base?: Snapshot | SnapshotSource
  /** Class rows at most. Default 15; 10 when there are suspects. */
  limit?: number
}

/** One report in several forms. */
export class Report {
  private constructor()
  toJSON(): ReportJSON
  /** One screen. Default: 80 columns, no colors. Control characters in names are shown, not sent. */
  toText(options?: { color?: boolean; width?: number }): string
  toMarkdown(): string
  /** Not there yet: throws `ERR_HEAPRS_UNAVAILABLE`. */
  toHTML(): string
}

/** Fields are added to, not changed or dropped, under one `schemaVersion`. */
export interface ReportJSON {
  schemaVersion: 1
  /** Of heaprs. */
  version: string
  file: string | null
  totals: { totalSize: number; extraNativeBytes: number; nodes: number; edges: number; classes: number }
  statistics: Statistics
  /** At most 3. With a base: where it grew, else where it is. */
  suspects: Suspect[]
  /** Retained size descending. */
  classes: ClassRow[]
  /** Null without a base. */
  growth: { baseFile: string | null; baseTotalSize: number; sizeDelta: number; matchedBy: 'id' | 'structure'; classes: DiffRow[] } | null
  /** The biggest object of the application's class that grew or else retains most, and who holds it; null when there is none. */
  biggest: HeldObject | null
}

export interface HeldObject {
  id: number
  className: string
  retainedSize: number
  /** The shortest path from the root, at most 40 steps: its middle is left out when it is longer. */
  path: { type: EdgeType; edge: string; className: string; id: number }[]
  /** Steps left out of the middle. */
  omittedSteps: number
}
