// Conditions of the command line, as the options of Snapshot.query() and Snapshot.summary().
'use strict';

const { size } = require('./fail-on.js');

const text = { type: 'string' };

const QUERY_OPTIONS = {
  class: text,
  name: text,
  match: text,
  type: text,
  edge: text,
  'retained-by': text,
  detached: { type: 'boolean' },
  'min-self': text,
  'max-self': text,
  'min-retained': text,
  'max-retained': text,
  'min-distance': text,
  'max-distance': text
};

/** Names of filters as the command line spells them, each with the library's. */
const NAMED = {
  'duplicated-strings': 'duplicatedStrings',
  'retained-by-detached-dom-nodes': 'retainedByDetachedDomNodes',
  'retained-by-contexts': 'retainedByContexts',
  'retained-by-console': 'retainedByConsole',
  'retained-by-event-handlers': 'retainedByEventHandlers',
  'shared-native-context': 'sharedNativeContext',
  'no-native-context': 'noNativeContext'
};

function wrong(message) {
  return Object.assign(new Error(message), { code: 'ERR_HEAPRS_INVALID_ARGUMENT' });
}

/** One object for Snapshot.query(). */
function queryOf(values) {
  if (values.name !== undefined && values.match !== undefined) throw wrong('--name and --match exclude each other');
  return {
    className: values.class,
    name: values.match === undefined ? values.name : pattern(values.match),
    type: values.type,
    edgeName: values.edge,
    retainedBy: parsed(values, 'retained-by', /^@?(\d+)$/, ([, id]) => Number(id), 'a node id like @12345'),
    detached: values.detached,
    minSelfSize: bytesOf(values, 'min-self'),
    maxSelfSize: bytesOf(values, 'max-self'),
    minRetainedSize: bytesOf(values, 'min-retained'),
    maxRetainedSize: bytesOf(values, 'max-retained'),
    minDistance: parsed(values, 'min-distance', /^-?\d+$/, Number, 'a whole number'),
    maxDistance: parsed(values, 'max-distance', /^-?\d+$/, Number, 'a whole number')
  };
}

function pattern(source) {
  try {
    return new RegExp(source, 'u');
  } catch (error) {
    throw wrong(`--match takes a regular expression: ${error.message}`);
  }
}

function parsed(values, option, form, read, expected) {
  const given = values[option];
  if (given === undefined) return undefined;
  const match = form.exec(given);
  if (match === null) throw wrong(`--${option} takes ${expected}, not "${given}"`);
  return read(match);
}

function bytesOf(values, option) {
  const given = values[option];
  if (given === undefined) return undefined;
  const value = size(given);
  if (value === undefined) throw wrong(`--${option} takes a size like 200kB or 5MiB, not "${given}"`);
  return value;
}

/** What --filter and --since mean to Snapshot.summary(). */
function summaryFilter(name, since) {
  if (name === undefined) return since && { allocatedAfter: since };
  if (since !== undefined) throw wrong('--filter and --since exclude each other');
  if (Object.hasOwn(NAMED, name)) return NAMED[name];
  const realm = /^native-context=@?(\d+)$/.exec(name);
  if (realm === null) throw wrong(`there is no filter "${name}"; there are ${Object.keys(NAMED).join(', ')}, native-context=@ID`);
  return { nativeContext: Number(realm[1]) };
}

module.exports = { FILTERS: Object.keys(NAMED), QUERY_OPTIONS, queryOf, summaryFilter };
