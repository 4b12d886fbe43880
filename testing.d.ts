/**
 * For tests: fails when code leaks.
 *
 * ```js
 * const { expectNoLeak } = require('heaprs/testing')
 * test('requests leave nothing behind', () => expectNoLeak(async () => { await request('/') }))
 * ```
 */

import type { Suspect } from './index.js'

export interface LeakTestOptions {
  /**
   * Runs of `fn` in one interval; there are three, and a fourth before a failure. Default 10. What stays has to be at least one object a
   * round: for something that leaks now and then, let `fn` do it several times.
   */
  rounds?: number
  /** Runs before the first snapshot, for caches to fill and modules to load. Default 3. */
  warmup?: number
  /** Bytes a round: what one string, buffer or table grows by to count where no object is added. Default 1024. */
  minSize?: number
  /** Classes that may grow, by their names in the Summary of DevTools. */
  allow?: string[]
  signal?: AbortSignal
}

/** What a leak consists of, and who holds it. */
export interface TestedLeak {
  className: string
  /** Objects that stay a round. */
  countPerRound: number
  /** Bytes that stay a round, with all that only these objects keep. */
  bytesPerRound: number
  /** Who holds them, as a person would say it. */
  holder: string
  /** From a root to the holder. */
  path: Suspect['path']
  /** One sentence or two to act on. */
  explanation: string
}

/** `code` is `ERR_HEAPRS_LEAK`; the message names classes, counts and holders. */
export class LeakError extends Error {
  code: 'ERR_HEAPRS_LEAK'
  /** Rounds that the figures are an average of. */
  rounds: number
  /** Where the holder could be told, most bytes first. */
  leaks: TestedLeak[]
  /** Every class that grew with the rounds. */
  classes: { className: string; countPerRound: number; bytesPerRound: number }[]
}

/**
 * Runs `fn` over and over and rejects with a {@link LeakError} when each run leaves objects behind that live on.
 *
 * It takes four snapshots of the calling thread (five when it fails), which block it as `v8.writeHeapSnapshot` does: about 0.2 s each in a
 * small test process, seconds where the test has a big heap of its own. Files go to the system's temporary directory and are removed. No
 * flag (`--expose-gc`) is needed. Calls of one process wait for each other; other work of the process at the same time is counted as `fn`'s.
 * Works in node:test, vitest, jest and without any runner.
 */
export function expectNoLeak(fn: () => unknown, options?: LeakTestOptions): Promise<void>
