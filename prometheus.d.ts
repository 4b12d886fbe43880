/**
 * heaprs/prometheus: metrics of a {@link LeakDetector} in a prom-client registry. prom-client is not a dependency: pass the registry you have.
 *
 * @example
 * const { register } = require('prom-client')
 * require('heaprs/prometheus').register(register)
 */

import { LeakDetector, LeakDetectorOptions } from './index'

/**
 * Adds to `registry` (each name with the prefix): `heap_live_bytes{space}`, `live_bytes`, `external_bytes` and `heap_limit_bytes`, all after the last full collection;
 * `gc_total{kind}` and the histogram `gc_pause_seconds{kind}`; `growth_bytes_per_hour`, `leak_score` (0 to 1), `seconds_to_heap_limit` (+Inf: it does not grow);
 * `leaks_total`, `leak_info{reason,class,holder,explanation}` (1 as long as a leak lasts) and `dumps_total{result}`.
 *
 * Costs a call on the JavaScript thread for each garbage collection. Never keeps the process alive. Throws `ERR_HEAPRS_UNAVAILABLE` where the detector can't run.
 */
export function register(registry: PrometheusRegistry, options?: PrometheusOptions): Registration

/** What is needed of prom-client's `Registry`. */
export interface PrometheusRegistry {
  registerMetric(metric: never): void
  removeSingleMetric(name: string): void
}

export interface PrometheusOptions {
  /** A detector of yours, which you start and stop, or options for one that runs until {@link Registration.dispose}. Default: sensitivity `'medium'`. */
  detector?: LeakDetector | LeakDetectorOptions
  /** Default `'heaprs_'`. */
  prefix?: string
  /** Upper bounds of `gc_pause_seconds`, in seconds. */
  pauseBuckets?: number[]
}

export interface Registration {
  readonly detector: LeakDetector
  /** Takes the metrics out again, and stops the detector if it was made here. */
  dispose(): void
  [Symbol.dispose](): void
}
