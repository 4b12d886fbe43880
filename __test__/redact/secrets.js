'use strict';
// A program that holds a secret of every kind, and the list of them. Run as a program it captures itself in several ways.

const secrets = {
  plain: 'zq-plain-5c1d', unicode: 'zq-gehe\u00efm-\u65e5', quoted: 'zq-"quoted"\\-5c1d', consFirst: 'zq-cons-first-5c1d', consSecond: 'zq-cons-second-5c1d', sliced: 'zq-sliced-5c1d',
  external: 'zq-external-5c1d', regexp: 'zq-regexp-5c1d', mapKey: 'zq-map-key-5c1d', mapValue: 'zq-map-value-5c1d', weakValue: 'zq-weak-value-5c1d', weakLine: 'zq-weak\nline-5c1d',
  setMember: 'zq-set-5c1d', environment: 'zq-environment-5c1d', message: 'zq-message-5c1d', dataUrl: 'zq-data-url-5c1d', source: 'zq-source-5c1d', argument: 'zq-argument-5c1d',
};
// Shown by V8 in no snapshot, or only when numbers are asked for.
const numbers = { bigint: '73123456789012345671', double: '48151623.4375' };
// Secrets under 'names'.
const keys = { large: 'zq-large-key-5c1d', small: 'zq-small-key-5c1d', deleted: 'zq-deleted-key-5c1d', index: '1234567' };
// Names of the program's, which stay.
const names = ['KeptClassName', 'keptFieldName', 'keptFunctionName', 'keptVariableName', 'keptRecordName', 'keptGlobalName'];

class KeptClassName {
  constructor(value) {
    this.keptFieldName = value;
  }
}

async function plant() {
  // Once more, so that these are no constants of this file's.
  const once = (text) => [...text].join('');
  const map = new Map([[once(secrets.mapKey), once(secrets.mapValue)]]);
  const weakKey = {};
  const weakLineKey = {};
  // A string of another's middle, and one of two parts that nothing has read yet.
  const sliced = `${'-'.repeat(40)}${once(secrets.sliced)}${'-'.repeat(40)}`.slice(20, 80);
  const cons = once(secrets.consFirst) + once(secrets.consSecond) + process.pid;
  const large = {};
  for (let i = 0; i < 300; i++) large[`${keys.large}-${i}`] = { keptRecordName: [i] };
  const deleted = { [once(keys.deleted)]: {}, b: {}, c: {} };
  delete deleted.b;
  const keptVariableName = [{}];
  globalThis.keptGlobalName = {
    plain: once(secrets.plain), unicode: once(secrets.unicode), quoted: once(secrets.quoted), cons, sliced, map, weakKey, weakLineKey, large, deleted,
    external: Buffer.alloc(2_000_000, secrets.external).toString('latin1'),
    regexp: new RegExp(once(secrets.regexp)),
    weak: new WeakMap([[weakKey, once(secrets.weakValue)], [weakLineKey, once(secrets.weakLine)]]),
    set: new Set([once(secrets.setMember)]),
    environment: process.env.HEAPRS_TEST_SECRET,
    error: new Error(once(secrets.message)),
    data: await import(`data:text/javascript,export const a = () => "${secrets.dataUrl}"`),
    evaluated: new Function(`return "${secrets.source}"`),
    small: { [once(keys.small)]: { keptRecordName: [0] } },
    indexed: { [Number(keys.index)]: {} },
    records: Array.from({ length: 10 }, (_, i) => new KeptClassName({ i })),
    bigint: BigInt(numbers.bigint),
    double: [Number(numbers.double), {}],
    keptFunctionName: function keptFunctionName() {
      return keptVariableName;
    },
  };
}

async function main() {
  const heaprs = require('../..');
  const [directory] = process.argv.slice(2);
  await plant();
  const results = {};
  const capture = async (name, options) => (results[name] = await heaprs.captureHeapSnapshot({ file: `${directory}/${name}.heapsnapshot`, minFreeDisk: 0, ...options }));
  await capture('open', { mode: 'inline', exposeNumericValues: true });
  await capture('inline', { mode: 'inline', redact: true });
  await capture('auto', { redact: true, compress: true });
  await capture('names', { redact: 'names' });
  await capture('numbers', { redact: true, exposeNumericValues: true });
  console.log(JSON.stringify(results));
}

module.exports = { secrets, numbers, keys, names };
if (require.main === module) main();
