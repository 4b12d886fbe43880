// --fail-on: reading a threshold, and saying whether a snapshot crosses it.
'use strict';

const UNITS = { '': 1, B: 1, kB: 1e3, KB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
const FORM = /^(?:(.+?)\s*:\s*)?(retained|selfSize|nodes)\s*>\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/;

/** `"200MB"` in bytes; undefined when it is no size. */
function size(text) {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim()) ?? [];
  return number !== undefined && Object.hasOwn(UNITS, unit) ? Number(number) * UNITS[unit] : undefined;
}

/** `"retained>200MB"` or `"Session: nodes>1000"` as { text, className?, metric, value }. */
function parseThreshold(text) {
  const match = FORM.exec(text.trim());
  const [, className, metric, number, unit] = match ?? [];
  if (!match || !Object.hasOwn(UNITS, unit) || (metric === 'nodes' && unit !== '')) {
    const error = new Error(`--fail-on takes "retained>200MB", "selfSize>50MB", "nodes>1000000" or "CLASS: METRIC>NUMBER", not "${text}"`);
    error.code = 'ERR_HEAPRS_INVALID_ARGUMENT';
    throw error;
  }
  return { text, className, metric, value: Number(number) * UNITS[unit] };
}

/**
 * The message for a crossed threshold, else undefined. `totals` are a report's, `rows` a summary's. On the whole heap `retained` and
 * `selfSize` are the same number, DevTools' total: everything is retained by the root. A class without a row has no objects and crosses nothing.
 */
function crossed({ text, className, metric, value }, totals, rows) {
  let found;
  if (className === undefined) {
    found = metric === 'nodes' ? totals.nodes : totals.totalSize;
  } else {
    const row = rows.find(({ name }) => name === className);
    if (row === undefined) return undefined;
    found = { retained: row.retainedSize, selfSize: row.selfSize, nodes: row.count }[metric];
  }
  return found > value ? `--fail-on "${text}": ${className ?? 'the heap'} has ${metric} ${found}` : undefined;
}

module.exports = { crossed, parseThreshold, size };
