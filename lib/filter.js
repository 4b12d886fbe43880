'use strict';
// The Summary's filters as users write them: strings and small objects, to what the native side takes.

const { inspect } = require('node:util');
const check = require('./validate.js');

const named = [
  'duplicatedStrings',
  'retainedByDetachedDomNodes',
  'retainedByContexts',
  'retainedByConsole',
  'retainedByEventHandlers',
  'sharedNativeContext',
  'noNativeContext'
];
const id = check.integer(0, 2 ** 32 - 1);
const expected = `one of ${named.map((name) => inspect(name)).join(', ')}, { nativeContext }, { allocatedAfter, allocatedUpTo } or { minId, maxId }`;

// A check, in the manner of validate.js. `maxId(name, snapshot)` is the greatest id of an opened snapshot, or throws.
// Without `upTo`, objects allocated after a snapshot are those up to the one that is asked.
const summaryFilter = (maxId) => (name, value) => {
  if (named.includes(value)) return { kind: value };
  if (value === null || typeof value !== 'object') throw check.invalid(name, expected, value);
  const given = check.options(value, { nativeContext: id, minId: id, maxId: id, allocatedAfter: maxId, allocatedUpTo: maxId }, name);
  const has = (...keys) => keys.some((key) => given[key] !== undefined);
  const kinds = [has('nativeContext'), has('minId', 'maxId'), has('allocatedAfter', 'allocatedUpTo')];
  if (kinds.filter(Boolean).length !== 1) throw check.invalid(name, expected, value);
  if (kinds[0]) return { kind: 'nativeContext', id: given.nativeContext };
  if (kinds[1]) return { kind: 'ids', after: given.minId, upTo: given.maxId };
  return { kind: 'ids', after: given.allocatedAfter, upTo: given.allocatedUpTo ?? 'own' };
};

module.exports = { summaryFilter };
