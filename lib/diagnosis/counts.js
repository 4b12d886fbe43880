'use strict';
// Constructor counts: how many objects of each class there are, and the collections that have most in them. V8 lists the objects through
// the inspector's Runtime domain in this process. JavaScript stands still meanwhile, so it is done for small heaps only.

const v8 = require('node:v8');
const { classesOf, collections, where } = require('./tally.js');

// V8 collects several times first, and makes a handle for each object: about 0.1 s, and 2 s for a million of them, which need 40 MB at the very
// least. By the second time the leak has grown.
const MOST_HEAP = 32 * 2 ** 20;
const MOST_HEAP_LATER = 48 * 2 ** 20;
const SUSPECTS = 5;
const LEAST_COUNT = 50;
// A collection that has got so large a part of the new objects is their holder.
const MOST_OF_THEM = 0.4;

class Counts {
  // { counts }, or { reason } why not. `before` are earlier counts of the same thread.
  static take(before) {
    const used = v8.getHeapStatistics().used_heap_size;
    if (used > (before ? MOST_HEAP_LATER : MOST_HEAP)) return { reason: `counting the objects of a heap of ${(used / 2 ** 20).toFixed(0)} MB would stop the program for too long` };
    const start = performance.now();
    try {
      const counts = new Counts(before);
      counts.pauseMs = performance.now() - start;
      return { counts };
    } catch (error) {
      return { reason: `objects can't be counted here: ${error.message}` };
    }
  }

  constructor(before) {
    withAllObjects((objects) => {
      const classes = classesOf(objects);
      const { sizes, grown } = collections(objects, classes, before?.sizes);
      // Names, numbers and weak references: nothing here holds anything of the program's.
      this.byName = classes.byName;
      this.functions = classes.functions;
      this.sizes = sizes;
      this.grown = grown.map(({ collection, ...one }) => ({ ...one, name: where(collection, objects, classes) }));
    });
  }

  // The classes of which there are more than in `before`, as suspects of a leak report.
  since(before) {
    const suspects = [];
    for (const [name, { count, size, plain, each }] of this.byName) {
      const then = before.byName.get(name) ?? { count: 0, size: 0, plain: 0 };
      const sizeDelta = size - then.size + (plain - then.plain) * each;
      if (count - then.count >= LEAST_COUNT || sizeDelta >= 2 ** 20) suspects.push(this.#suspect(name, count - then.count, sizeDelta, count, before));
    }
    return suspects.sort((a, b) => b.sizeDelta - a.sizeDelta).slice(0, SUSPECTS);
  }

  #suspect(name, countDelta, sizeDelta, count, before) {
    // A Buffer of its own has an ArrayBuffer of its own.
    const holds = (one) => (one.of === name || (one.of === 'Buffer' && name === 'ArrayBuffer')) && one.growth >= countDelta * MOST_OF_THEM;
    const holder = this.grown.find(holds);
    const functions = name === 'Function' ? mostAdded(this.functions, before.functions) : undefined;
    const there = `There are ${countDelta.toLocaleString('en')} more objects of class ${name} than when the leak was suspected, ${count.toLocaleString('en')} now${functions ? `; most of the new functions are called \`${functions}\`` : ''}`;
    const kept = holder ? `. ${holder.name ?? `${article(holder.kind)} ${holder.kind}`} has got ${holder.growth.toLocaleString('en')} more entries of them: remove what is no longer needed there` : '; look for what keeps them';
    return {
      className: name,
      countDelta,
      sizeDelta,
      retainedDelta: sizeDelta,
      holder: holder ? (holder.name ?? `unknown ${holder.kind} of ${holder.size.toLocaleString('en')} entries`) : 'unknown; objects were only counted',
      retainingPath: [],
      explanation: `${there}${kept}.`
    };
  }
}

// Calls `look` with an array of all ordinary objects of this thread, after a full collection. They are let go of when it returns.
function withAllObjects(look) {
  const { Session } = require('node:inspector');
  const session = new Session();
  session.connect();
  // In the same thread the answer comes within the call.
  const ask = (method, params) => {
    let answer;
    session.post(method, params, (error, result) => (answer = { error, result }));
    if (!answer) throw new Error(`the inspector does not answer ${method}`);
    if (answer.error || answer.result.exceptionDetails) throw new Error(answer.error?.message ?? answer.result.exceptionDetails.exception?.description ?? method);
    return answer.result;
  };
  const objectGroup = 'heaprs';
  const key = `heaprs ${Math.random()}`;
  let failed;
  const take = (objects) => {
    try {
      look(objects);
    } catch (error) {
      failed = error;
    }
  };
  try {
    // The program can't see it: all of this is one synchronous call.
    Object.defineProperty(globalThis, key, { value: { prototype: Object.prototype, take }, configurable: true });
    const of = `globalThis[${JSON.stringify(key)}]`;
    const { result } = ask('Runtime.evaluate', { expression: `${of}.prototype`, objectGroup });
    const { objects } = ask('Runtime.queryObjects', { prototypeObjectId: result.objectId, objectGroup });
    ask('Runtime.callFunctionOn', { objectId: objects.objectId, functionDeclaration: `function () { ${of}.take(this); this.length = 0; }` });
    if (failed) throw failed;
  } finally {
    delete globalThis[key];
    session.disconnect();
  }
}

function mostAdded(now, before) {
  let most;
  for (const [name, count] of now) {
    const added = count - (before.get(name) ?? 0);
    if (name !== '' && added > (most?.added ?? 0)) most = { name, added };
  }
  return most?.name;
}

const article = (word) => (/^[AEIOU]/.test(word) ? 'An' : 'A');

module.exports = { Counts };
