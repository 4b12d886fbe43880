// A real heap, written by V8. `node bench/heap.mjs FILE MB|strings|typescript [LATER]`: a chosen size of what servers hold and one long list (and a
// second file of the same process, after a twentieth of the sessions has been replaced and as many have come); 650 MB, most of it text; the TypeScript compiler after it has checked itself (with --stack-size=3900, in Node.js 24: 20 had not written it after 10 minutes).
// About 500 bytes of V8's memory go into a node while it is written: 2 GB for a file of 500 MB.

import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { createRequire } from 'node:module';
import v8 from 'node:v8';

const [file, kind, later] = process.argv.slice(2);

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

const kinds = { strings, typescript };

globalThis.held = kinds[kind] ? await kinds[kind]() : application(Number(kind));
v8.writeHeapSnapshot(file);
if (later) {
  const { sessions } = globalThis.held;
  const some = Math.floor(sessions.size / 20);
  for (const token of [...sessions.keys()].slice(0, some)) sessions.delete(token);
  for (let i = 0; i < 2 * some; i++) {
    const session = new Session(1e9 + i);
    sessions.set(session.token, session);
  }
  v8.writeHeapSnapshot(later);
}
console.log(JSON.stringify({ bytes: statSync(file).size }));

// A session makes about 1.9 KB of snapshot, a list item about 84 bytes; Node's own heap 5 MB.
function application(megabytes) {
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
  return { sessions, weak, list };
}

// V8 writes the first 1,024 characters of a string.
function strings() {
  return Array.from({ length: 610_000 }, (_, i) => {
    const word = createHash('sha512').update(String(i)).digest('hex');
    return Buffer.from(word.repeat(8)).latin1Slice();
  });
}

function typescript() {
  const ts = createRequire(import.meta.url)('typescript');
  const source = createRequire(import.meta.url).resolve('typescript');
  const program = ts.createProgram([source], { allowJs: true, checkJs: true, noEmit: true, target: ts.ScriptTarget.ESNext });
  const checker = program.getTypeChecker();
  return { program, checker, found: program.getSemanticDiagnostics().length };
}
