// What the benchmarks share: programs in processes of their own, medians, a table.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../scripts/ensure.mjs';

/** Runs `code` in a new process and returns the JSON it prints. `heaprsPath` is defined in it. */
export function measure(code, { node = [], env = {}, args = [] } = {}) {
  const source = `const heaprsPath = ${JSON.stringify(root)};\n${code}`;
  const result = spawnSync(process.execPath, [...node, '-e', source, ...args], { encoding: 'utf8', env: { ...process.env, ...env } });
  if (result.status !== 0) throw new Error(`a measured program failed: ${result.stderr || result.signal}`);
  return JSON.parse(result.stdout);
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

export const ratio = (a, b) => `${(a / b).toFixed(2)}×`;

export const peers = (name) => join(root, 'node_modules', name);
