/**
 * heaprs/memwatch: for programs written for memwatch, memwatch-next and @airbnb/node-memwatch; change the name in `require` and they run.
 *
 * @example
 * const memwatch = require('heaprs/memwatch')
 * memwatch.on('leak', (info) => console.error(info))
 */

import { LeakDetectorOptions, LeakReport } from './index'

declare namespace memwatch {
  /**
   * `leak`: memory grows as a leak does. `stats`: after each full collection. The first listener starts a {@link LeakDetector} of sensitivity `'high'`, which never
   * keeps the process alive; on a runtime without V8's symbols that throws `ERR_HEAPRS_UNAVAILABLE`.
   */
  function on(event: 'leak', listener: (info: LeakInformation) => void): unknown
  function on(event: 'stats', listener: (stats: GcMetrics) => void): unknown
  function once(event: 'leak', listener: (info: LeakInformation) => void): unknown
  function once(event: 'stats', listener: (stats: GcMetrics) => void): unknown
  function addListener(event: 'leak', listener: (info: LeakInformation) => void): unknown
  function addListener(event: 'stats', listener: (stats: GcMetrics) => void): unknown
  function off(event: 'leak' | 'stats', listener: (payload: never) => void): unknown
  function removeListener(event: 'leak' | 'stats', listener: (payload: never) => void): unknown
  function removeAllListeners(event?: 'leak' | 'stats'): unknown

  /** A full garbage collection, at once; needs no flag. */
  function gc(): void

  /**
   * Not in memwatch: the detector's options. Default: `{ sensitivity: 'high', cooldownMs: 20_000, diagnose: false }`, which tells as soon and as often as memwatch did; in production `'medium'`
   * waits for more. A running detector begins anew.
   */
  function configure(options: LeakDetectorOptions): void

  /**
   * What came and went between `new HeapDiff()` and `end()`. Both stop JavaScript while V8 walks the heap (see `writeHeapSnapshot`), and allocation is
   * slower in between.
   */
  class HeapDiff {
    constructor()
    /** Once; after that it throws. */
    end(): HeapDiffInformation
  }

  interface LeakInformation {
    start: Date
    end: Date
    /** Bytes. */
    growth: number
    /** As `heap growth over 9 consecutive GCs (35s) - 11.67 mb/hr`. */
    reason: string
    /** Not in memwatch, and not enumerable: all that the detector found. */
    readonly report: LeakReport
  }

  interface GcMetrics {
    num_full_gc: number
    num_inc_gc: number
    heap_compactions: number
    /** Per cent. */
    usage_trend: number
    estimated_base: number
    current_base: number
    min: number
    max: number
  }

  interface HeapInformation {
    nodes: number
    time: Date
    size_bytes: number
    size: string
  }

  interface HeapDiffInformation {
    before: HeapInformation
    after: HeapInformation
    change: {
      size_bytes: number
      size: string
      freed_nodes: number
      allocated_nodes: number
      /** By name. */
      details: { what: string; size_bytes: number; size: string; '+': number; '-': number }[]
    }
  }
}

export = memwatch
