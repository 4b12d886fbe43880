/**
 * heaprs/heapdump: for programs written for heapdump; change the name in `require` and they run. Loading it makes SIGUSR2 write a snapshot under the default
 * name, unless the environment says `NODE_HEAPDUMP_OPTIONS=nosignal`.
 */

declare namespace heapdump {
  /**
   * Writes a snapshot of this thread's heap, all in this call (cost: see `writeHeapSnapshot`), and calls back, still in this call.
   *
   * @param filename Default: `heapdump-{sec}.{usec}.heapsnapshot` in the working directory. A name that ends in `.gz` is compressed.
   * @returns whether it was written.
   */
  function writeSnapshot(filename?: string | null, callback?: Callback): boolean
  function writeSnapshot(callback: Callback): boolean

  /** `error.message` begins with `heapdump write error ENOENT` or alike. */
  type Callback = (error: Error | null, filename?: string) => void
}

export = heapdump
