// A small program with something of everything that heaps hold; writes a snapshot before and after it leaks a little.
//
//   node program.mjs BEFORE.heapsnapshot AFTER.heapsnapshot          Node 12 and later, where it has what they have
import v8 from 'v8';

class Session { constructor(i) { this.id = i; this.user = { name: 'user ' + i, mail: 'user' + i + '@example.org' }; this.seen = new Date(i); } }
class Entry { constructor(value, next) { this.value = value; this.next = next; } }
function Old(i) { this.count = i + 0.5; }
const zoo = (globalThis.zoo = { sessions: new Map(), list: null, byValue: [], weak: new WeakMap(), keys: [], misc: {} });
for (let i = 0; i < 60; i++) zoo.sessions.set('s' + i, new Session(i));
for (let i = 0; i < 300; i++) { const value = { index: i }; zoo.list = new Entry(value, zoo.list); if (i % 2) zoo.byValue.push(value); }
for (let i = 0; i < 20; i++) {  // a value of one entry is the key of the next; some keys are strings' owners with line breaks
  const key = { text: 'line\nbreak ' + i }; zoo.weak.set(zoo.keys[zoo.keys.length - 1] || key, { note: 'n' + i, next: key }); zoo.weak.set(key, [i]);
  if (i % 3) zoo.keys.push(key);
}
function counter(start) { const big = new Array(50).fill(start); let n = start; return { up: () => ++n, peek: () => big.length }; }
Object.assign(zoo.misc, {
  counters: [counter(1), counter(2)], old: [new Old(1), new Old(2), new Old(3)],
  shapes: [{ a: {}, b: {} }, { b: {}, a: {} }, { a: {}, b: {}, c: {} }, { a: {}, c: {} }, { '': {}, a: {} }, { 'x,y': {}, "it's": {} }, { '{"q"}': {} }, { ['\ud83d,']: {} }, { ['\ud83d,']: {} }],
  dictionary: Object.fromEntries(Array.from({ length: 40 }, (_, i) => ['key ' + i, { i }])),
  strings: Array.from({ length: 20 }, (_, i) => Buffer.from('repeated ' + (i % 4)).toString('latin1')),
  joined: Array.from({ length: 6 }, (_, i) => 'first part of a joined string ' + (i % 3) + ' and a second part ' + (i % 2) + Math.min(i, 0)),
  halves: 'x'.repeat(1023) + '\u{1f600}', wide: 'häß ☃ \u{1f600}', sliced: 'a long string to take a slice of, long enough'.slice(3, 40),
  buffers: [Buffer.alloc(20000), new Uint8Array(100), new Float64Array(new ArrayBuffer(4096), 8, 4)], sparse: Object.assign([], { 9999: 1, 5: {} }), doubles: [1.5, 2.5, , 4.5],
  symbols: [Symbol('one'), Symbol.for('two')], big: [2n ** 70n, -5n], pattern: /a(b)c/gi, error: new Error('kept'), promise: Promise.resolve({ done: {} }),
  generator: (function* () { yield zoo; })(), proxy: new Proxy({ inner: {} }, {}), bound: counter.bind(null, {}), set: new Set([{}, 'in a set', 3.25]), nothing: Object.create(null),
  weakRef: typeof WeakRef === 'undefined' ? null : new WeakRef(zoo.keys[0]), weakSet: new WeakSet(zoo.keys), frozen: Object.freeze({ f: [] }), accessor: { get x() { return 1; }, set x(v) {} }, nested: [[[[{}]]]],
});
zoo.misc.cycle = { self: null, other: { back: null } };
zoo.misc.cycle.self = zoo.misc.cycle; zoo.misc.cycle.other.back = zoo.misc.cycle;
v8.writeHeapSnapshot(process.argv[2]);
for (let i = 0; i < 20; i++) zoo.sessions.delete('s' + i);
zoo.leaked = Array.from({ length: 50 }, (_, i) => ({ payload: { i, text: 'leak ' + i }, session: new Session(1000 + i) }));
zoo.misc.dictionary = null;
v8.writeHeapSnapshot(process.argv[3]);
