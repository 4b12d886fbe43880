// A real heap of a chosen size, written by V8: what servers hold, and one long list. `node bench/heap.mjs FILE MB`
// About 500 bytes of V8's memory go into a node while it is written: 2 GB for a file of 500 MB.

import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import v8 from 'node:v8';

const [file, megabytes] = [process.argv[2], Number(process.argv[3])];

class Address { constructor(i) { this.street = `street ${i % 997}`; this.zip = i; } }
class User { constructor(i) { this.id = i; this.name = `user ${i}`; this.address = new Address(i); this.tags = [i % 3, i % 5, `tag ${i % 50}`]; } }
class Session {
  constructor(i) {
    this.user = new User(i);
    this.token = createHash('md5').update(String(i)).digest('hex');
    this.seen = new Set([i, i + 1]);
    this.values = new Map([['a', { i }], ['b', { j: i, text: `value ${i}` }]]);
    this.onClose = () => this.token;
    this.user.session = this;
    this.pending = { kind: 'request', session: this, at: i + 0.5, path: ['api', `item ${i % 100}`] };
  }
}
class Item { constructor(next) { this.next = next; } }

// A session makes about 1.9 KB of snapshot, a list item about 84 bytes; Node's own heap 5 MB.
const sessions = new Map();
const weak = new WeakMap();
let list = null;
const bytes = megabytes * 1e6 - 5e6;
for (let i = 0; i < (bytes * 0.9) / 1850; i++) {
  const session = new Session(i);
  sessions.set(session.token, session);
  if (i % 10 === 0) weak.set(session, { weak: i });
}
for (let i = 0; i < (bytes * 0.1) / 84; i++) list = new Item(list);
globalThis.held = { sessions, weak, list };
v8.writeHeapSnapshot(file);
console.log(JSON.stringify({ bytes: statSync(file).size }));
