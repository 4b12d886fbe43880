'use strict';
// Snapshots that come in pieces, from standard input, a request or a pipe: handed to the native reader as fast as it takes them.

const { fail } = require('./errors.js');
const { native } = require('./native.js');
const { runTask } = require('./task.js');
const check = require('./validate.js');

// A Readable, a web stream or anything else that can be iterated in pieces.
const isStream = (value) => value !== null && typeof value === 'object' && typeof value[Symbol.asyncIterator] === 'function';

// Runs `start(input, task)`, which returns the native promise of what is made of the stream.
async function readStream(stream, options, start) {
  let wake;
  const input = new (native().HeapInput)(() => wake?.());
  const pieces = stream[Symbol.asyncIterator]();
  let failure;
  const pump = async () => {
    for (;;) {
      const { done, value } = await pieces.next();
      if (done || input.isClosed()) return;
      const piece = typeof value === 'string' ? Buffer.from(value) : value;
      if (!(piece instanceof Uint8Array)) throw check.invalid('a piece of the stream', 'a Buffer, a Uint8Array or a string', piece);
      if (!input.write(piece)) {
        await new Promise((resolve) => {
          wake = resolve;
          if (input.hasRoom()) resolve();
        });
      }
    }
  };
  const pumped = pump().then(
    () => input.end(),
    (error) => {
      failure = error;
      input.end(String(error?.message ?? error));
    }
  );
  try {
    const result = await runTask(options, (task) => start(input, task));
    await pumped;
    return result;
  } catch (error) {
    if (failure === undefined || error.code === 'ERR_HEAPRS_ABORTED') throw error;
    if (failure?.code?.startsWith?.('ERR_HEAPRS_')) throw failure;
    throw fail('ERR_HEAPRS_IO', `the stream failed: ${failure?.message ?? failure}`, { cause: failure });
  } finally {
    // A stream that nobody reads to its end would keep its source open.
    input.end();
    pieces.return?.().catch?.(() => {});
    if (typeof stream.destroy === 'function' && !stream.readableEnded) stream.destroy();
  }
}

module.exports = { isStream, readStream };
