/**
 * heaprs/otel: metrics of a {@link LeakDetector} through OpenTelemetry. `@opentelemetry/api` is not a dependency: pass a meter, or install it.
 *
 * @example
 * require('heaprs/otel').instrument()
 */

import { LeakDetector, LeakDetectorOptions } from './index'

/**
 * By the semantic conventions: `v8js.gc.duration` (histogram, `v8js.gc.type`), `v8js.memory.heap.used`, `v8js.memory.heap.space.size`, `….available_size`, `….physical_size`
 * (`v8js.heap.space.name`). heaprs's own: `heaprs.memory.heap.live` (by space), `heaprs.memory.external` and `heaprs.memory.heap.limit`, after the last full collection;
 * `heaprs.gc.count`, `heaprs.memory.growth` (By/h), `heaprs.leak.score` (0 to 1), `heaprs.heap.time_to_limit` (s), `heaprs.leak.count`, `heaprs.leak.info`
 * (1 as long as a leak lasts; its cause in the attributes), `heaprs.dump.count`.
 *
 * Costs a call on the JavaScript thread for each garbage collection. Never keeps the process alive. Throws `ERR_HEAPRS_UNAVAILABLE` where the detector can't
 * run, or without a meter and `@opentelemetry/api`.
 */
export function instrument(options?: OtelOptions): Instrumentation

/** What is needed of the `Meter` of `@opentelemetry/api`. */
export interface OtelMeter {
  createHistogram(name: string, options?: object): { record(value: number, attributes?: Record<string, string>): void }
  createObservableGauge(name: string, options?: object): unknown
  createObservableCounter(name: string, options?: object): unknown
  createObservableUpDownCounter(name: string, options?: object): unknown
  addBatchObservableCallback(callback: any, observables: any[]): void
  removeBatchObservableCallback(callback: any, observables: any[]): void
}

export interface OtelOptions {
  /** Default: that of the global meter provider, named `heaprs`. */
  meter?: OtelMeter
  /** A detector of yours, which you start and stop, or options for one that runs until {@link Instrumentation.dispose}. Default: sensitivity `'medium'`. */
  detector?: LeakDetector | LeakDetectorOptions
}

export interface Instrumentation {
  readonly detector: LeakDetector
  /** Ends it, and stops the detector if it was made here. What has been recorded stays with the meter. */
  dispose(): void
  [Symbol.dispose](): void
}
