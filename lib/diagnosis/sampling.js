'use strict';
// V8's sampling heap profiler, through the inspector's HeapProfiler domain in this process: which calls allocate what is still alive.

const path = require('node:path');

// Allocations of the first part of the time are start-up code, not a leak.
const START_UP = 0.2;
const SITES = 5;
const DEPTH = 24;
// What heaprs itself allocates while it looks is not the leak.
const OWN = path.dirname(__dirname);

// V8 has one for each isolate, so all detectors of a thread share it; the first to come chooses the interval.
let shared;

class Sampling {
  #session;
  #users = 0;

  // undefined where there is none to have.
  static start(interval) {
    if (!shared) {
      const sampling = new Sampling();
      if (!sampling.#open(interval)) return undefined;
      shared = sampling;
    }
    shared.#users++;
    return shared;
  }

  #open(interval) {
    try {
      const { Session } = require('node:inspector');
      const session = new Session();
      session.connect();
      session.post('HeapProfiler.startSampling', { samplingInterval: interval, stackDepth: DEPTH });
      this.#session = session;
      return true;
    } catch {
      return false; // a Node.js without inspector, or one that may not be used
    }
  }

  stop() {
    if (--this.#users > 0) return;
    if (shared === this) shared = undefined;
    try {
      this.#session?.post('HeapProfiler.stopSampling');
      this.#session?.disconnect();
    } catch {
      // Gone already.
    }
    this.#session = undefined;
  }

  // Where what is alive and not of the start was allocated, most first: { sites: [{ stack, suspect }], error?, pauseMs }. V8 makes a full
  // collection first.
  async grown() {
    const start = performance.now();
    try {
      const profile = await new Promise((resolve, reject) => {
        this.#session.post('HeapProfiler.getSamplingProfile', (error, result) => (error ? reject(error) : resolve(result.profile)));
      });
      return { sites: sitesOf(profile), pauseMs: performance.now() - start };
    } catch (error) {
      return { sites: [], error, pauseMs: performance.now() - start };
    }
  }
}

function sitesOf({ head, samples = [] }) {
  const last = samples.reduce((most, { ordinal }) => Math.max(most, ordinal), 0);
  const byNode = new Map();
  for (const { nodeId, size, ordinal } of samples) {
    if (ordinal < last * START_UP) continue;
    const sum = byNode.get(nodeId) ?? { size: 0, count: 0 };
    sum.size += size;
    sum.count++;
    byNode.set(nodeId, sum);
  }
  const sites = [];
  const open = [{ node: head, stack: [] }];
  for (let next; (next = open.pop()); ) {
    const { node, stack } = next;
    const here = node === head ? stack : [frame(node.callFrame), ...stack];
    const sum = byNode.get(node.id);
    const caller = programsFrame(here);
    if (sum && caller && !caller.url.includes(OWN)) sites.push({ stack: here, ...sum });
    for (const child of node.children) open.push({ node: child, stack: here });
  }
  sites.sort((a, b) => b.size - a.size);
  return sites.slice(0, SITES).map((site) => ({ stack: site.stack, suspect: siteSuspect(site) }));
}

// The first that is not of Node.js itself.
const programsFrame = (stack) => stack.find(({ url }) => url !== '' && !url.startsWith('node:'));

function frame({ functionName, url, lineNumber, columnNumber }) {
  return { function: functionName || '(anonymous)', url, line: lineNumber + 1, column: columnNumber + 1 };
}

function siteSuspect({ stack, size, count }) {
  const top = programsFrame(stack);
  const at = `${top.function} (${top.url}:${top.line}:${top.column})`;
  return {
    className: '(sampled)',
    countDelta: count,
    sizeDelta: size,
    retainedDelta: size,
    holder: `unknown; allocated in ${at}`,
    retainingPath: [],
    allocationStack: stack,
    explanation: `About ${(size / 1e6).toFixed(1)} MB that ${at} has allocated are still alive; look for what keeps them.`
  };
}

module.exports = { Sampling };
