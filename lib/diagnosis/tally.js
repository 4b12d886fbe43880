'use strict';
// What can be said of a list of all objects without running a line of the program's: no getter, no trap and no method of its own is called.
// Sizes are estimates from below: what an object itself takes with as many slots, and the memory of ArrayBuffers.

const { types } = require('node:util');

const getPrototypeOf = (object) => (types.isProxy(object) ? null : Object.getPrototypeOf(object));
const { getOwnPropertyDescriptor } = Object;
const getter = (prototype, name) => getOwnPropertyDescriptor(prototype, name).get;
const mapSize = getter(Map.prototype, 'size');
const setSize = getter(Set.prototype, 'size');
const byteLength = getter(ArrayBuffer.prototype, 'byteLength');
const sharedByteLength = getter(SharedArrayBuffer.prototype, 'byteLength');

const POINTER = 8;
const OBJECT = 3 * POINTER;
const COLLECTION = 4 * POINTER;
const MAP_ENTRY = 3.5 * POINTER;
const SET_ENTRY = 2.5 * POINTER;
// Collections with fewer entries are nobody's leak yet.
const LEAST_ENTRIES = 64;
const MOST_GROWN = 8;
// Of a growing collection, so many of the newest entries say what is in it.
const NEWEST = 32;
// An object of which there are more than this many is not where to look for the one collection that grows.
const FEW = 64;
const MOST_PROPERTIES = 2000;

// All that is asked of it later, by class: { byName: Map of { count, size: of collections, plain: how many are
// none, each: of those }, functions: Map of counts by name, entries(), count() }.
function classesOf(objects) {
  const byPrototype = new Map();
  const functions = new Map();
  const entries = (object) => entriesOf(object, byPrototype.get(getPrototypeOf(object)).kind);
  for (const object of objects) {
    const prototype = getPrototypeOf(object);
    let sum = byPrototype.get(prototype);
    if (!sum) byPrototype.set(prototype, (sum = { count: 0, size: 0, kind: kindOf(object, prototype), samples: [] }));
    sum.count++;
    if (sum.kind) sum.size += entries(object).size;
    // The 1st, 2nd, 4th, 8th, … tell how many slots one of them has.
    else if ((sum.count & (sum.count - 1)) === 0) sum.samples.push(keysOf(object).length);
    if (prototype === Function.prototype) {
      const name = dataProperty(object, 'name');
      functions.set(name, (functions.get(name) ?? 0) + 1);
    }
  }
  const byName = new Map();
  for (const [prototype, { count, size, kind, samples }] of byPrototype) {
    const name = className(prototype);
    const sum = byName.get(name) ?? { count: 0, size: 0, plain: 0, each: 0 };
    const each = kind || sum.plain > count ? sum.each : OBJECT + POINTER * samples.sort((x, y) => x - y)[samples.length >> 1];
    byName.set(name, { count: sum.count + count, size: sum.size + size, plain: sum.plain + (kind ? 0 : count), each });
  }
  return { byName, functions, entries, count: (object) => byPrototype.get(getPrototypeOf(object))?.count ?? 0 };
}

// Which of them an object is; asked of the first of a class, which may be a mere Object.create(Map.prototype).
function kindOf(object, prototype = getPrototypeOf(object)) {
  if (prototype === Array.prototype || Array.isArray(object)) return 'Array';
  if (prototype === Map.prototype || types.isMap(object)) return 'Map';
  if (prototype === Set.prototype || types.isSet(object)) return 'Set';
  return types.isAnyArrayBuffer(object) ? 'ArrayBuffer' : undefined;
}

// What it has in it: { entries, size }.
function entriesOf(object, kind) {
  try {
    if (kind === 'Array') return sized(Array.isArray(object) ? object.length : 0, POINTER);
    if (kind === 'Map') return sized(mapSize.call(object), MAP_ENTRY);
    if (kind === 'Set') return sized(setSize.call(object), SET_ENTRY);
    if (kind === 'ArrayBuffer') return { entries: 0, size: COLLECTION + (types.isSharedArrayBuffer(object) ? sharedByteLength : byteLength).call(object) };
  } catch {
    // Object.create(Map.prototype) is no Map.
  }
  return { entries: 0, size: COLLECTION };
}

const sized = (entries, each) => ({ entries, size: COLLECTION + Math.ceil(entries * each) });

// The collections with their number of entries, by weak reference; and those that have grown most since `before`, with what is in them.
function collections(objects, classes, before) {
  const sizes = new WeakMap();
  const grown = [];
  for (const object of objects) {
    const { entries } = classes.entries(object);
    if (entries < LEAST_ENTRIES) continue;
    sizes.set(object, entries);
    if (!before) continue;
    const growth = entries - (before.get(object) ?? 0);
    if (growth >= LEAST_ENTRIES) grown.push({ collection: object, kind: kindOf(object), size: entries, growth });
  }
  grown.sort((a, b) => b.growth - a.growth);
  return { sizes, grown: grown.slice(0, MOST_GROWN).map((one) => ({ ...one, of: classOfNewest(one) })) };
}

// The class that most of the newest entries have.
function classOfNewest({ collection, kind, size }) {
  const counts = new Map();
  const add = (value) => {
    if (!isObject(value)) return;
    const name = className(getPrototypeOf(value));
    counts.set(name, (counts.get(name) ?? 0) + 1);
  };
  if (kind === 'Array') {
    for (let i = Math.max(0, size - NEWEST); i < size; i++) add(property(collection, i)?.value);
  } else {
    let i = 0;
    const values = kind === 'Map' ? Map.prototype.values.call(collection) : Set.prototype.values.call(collection);
    for (const value of values) if (i++ >= size - NEWEST) add(value);
  }
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}

// "global.sessions (Map)": where a collection hangs, if that is the global object, what a module exports, or an object that is one of few of
// its class. undefined otherwise: variables of functions can't be seen.
function where(collection, objects, classes) {
  const kind = className(getPrototypeOf(collection));
  const named = (owner, name) => `${owner}${/^[\w$]+$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`} (${kind})`;
  const inGlobal = nameIn(globalThis, collection);
  if (inGlobal !== undefined) return named('global', inGlobal);
  for (const [file, module] of Object.entries(require.cache)) {
    const at = isObject(module?.exports) ? nameIn(module.exports, collection) : undefined;
    if (at !== undefined) return `${named('exports', at)} of ${file.split(/[\\/]/).at(-1)}`;
  }
  for (const object of objects) {
    if (classes.count(object) > FEW || Array.isArray(object) || ArrayBuffer.isView(object)) continue;
    const at = nameIn(object, collection);
    if (at === undefined) continue;
    const name = className(getPrototypeOf(object));
    return named(typeof object === 'function' ? dataProperty(object, 'name') || '(function)' : name, at);
  }
  return undefined;
}

// The name of the own property of `object` that has this value.
function nameIn(object, value) {
  const key = keysOf(object).find((one) => property(object, one)?.value === value);
  return typeof key === 'symbol' ? String(key) : key;
}

// The name that DevTools would give objects with this prototype, as far as it is a plain string.
function className(prototype) {
  for (let at = prototype, steps = 0; at !== null && steps < 10; at = getPrototypeOf(at), steps++) {
    const constructor = property(at, 'constructor')?.value;
    const name = typeof constructor === 'function' && dataProperty(constructor, 'name');
    if (name) return name === 'FastBuffer' ? 'Buffer' : name;
  }
  return 'Object';
}

const isObject = (value) => (typeof value === 'object' && value !== null) || typeof value === 'function';

function dataProperty(object, name) {
  const value = property(object, name)?.value;
  return typeof value === 'string' ? value : '';
}

function keysOf(object) {
  return types.isProxy(object) ? [] : Reflect.ownKeys(object).slice(0, MOST_PROPERTIES);
}

function property(object, name) {
  try {
    return types.isProxy(object) ? undefined : getOwnPropertyDescriptor(object, name);
  } catch {
    return undefined; // an import that is not there yet
  }
}

module.exports = { classesOf, collections, where };
