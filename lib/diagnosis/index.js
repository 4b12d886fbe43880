'use strict';
// The cause of a leak: two captures some growth apart, compared in a process of their own; where that is not possible, what the
// sampling heap profiler knows; else nothing but the reason why.

const { forkSupport } = require('../fork.js');
const { compareInHelper } = require('./helper-process.js');
const { takeCapture } = require('./captures.js');
const { Sampling } = require('./sampling.js');

// The second capture comes when about so much has grown again as the suspicion rests on, and it is not waited for when the leak is
// confirmed before that. But some growth there has to be.
const GAP_OF_SUSPICION = 0.25;
const LEAST_GAP_MS = 3000;
// In a hunt, the first capture comes this long after the start, while the heap is small and a capture of it cheap. When the suspicion
// comes much later than that, another is taken.
const EARLY_MS = 1000;
const EARLY_LASTS_MS = 10 * 60 * 1000;
// And the second does not wait for a suspicion when a heap grows like this: walking it would soon take longer than the hunt.
const STEEP_BYTES = 32 * 2 ** 20;
// Suspicions come and go, so comparing rests for this many times what it took.
const REST = 20;
// Sampling that begins with a suspicion, where captures are not possible. V8's own default is 32 KiB.
const SAMPLING_INTERVAL = 64 * 1024;

const NOTHING_NAMED = 'nothing that a program holds has grown enough between the two captures to be named';

// What one detector does to name causes. Nothing here throws: a diagnosis that fails says why.
class Diagnosis {
  #options;
  #sampling;
  #early; // the promise of a first capture before any suspicion
  #earlyLive; // what lived then, in bytes
  #base; // the first capture, while it may still be compared with another
  #work; // the promise of what the comparison has found
  #hurry; // ends the wait for growth
  #restUntil = 0;
  #stopped = false;

  // `options`: the detector's `diagnose` (undefined: where it works) and `samplingInterval`; whether it is a `hunt`.
  constructor({ diagnose = true, samplingInterval, hunt }) {
    this.#options = { diagnose, samplingInterval };
    if (hunt && diagnose === true && captures(diagnose).possible) setTimeout(() => this.#beginEarly(), EARLY_MS).unref();
    if (typeof samplingInterval === 'number') this.#sampling = Sampling.start(samplingInterval);
  }

  // At a suspicion, `start` and `end` in milliseconds: begins to look for the cause.
  begin({ start, end }) {
    const { diagnose, samplingInterval } = this.#options;
    if (diagnose === false || this.#stopped) return;
    if (captures(diagnose).possible) {
      if (this.#work && performance.now() < this.#restUntil) return;
      this.#forget();
      this.#restUntil = Infinity;
      this.#work = this.#look((end - start) * GAP_OF_SUSPICION);
    } else if (samplingInterval !== false) {
      this.#sampling ??= Sampling.start(SAMPLING_INTERVAL);
    }
  }

  // At each full collection: what lives.
  lives(bytes) {
    if (!this.#early) return;
    this.#earlyLive ??= bytes;
    if (bytes - this.#earlyLive > STEEP_BYTES) this.begin({ start: 0, end: 0 });
  }

  // At a leak: { suspects, diagnosis, files, error }; `error` is what a user should hear of, beside the report.
  async finish(verdict) {
    const { diagnose, samplingInterval } = this.#options;
    if (diagnose === false) return nothing('diagnose is false');
    const { possible, reason } = captures(diagnose);
    let found = nothing(reason);
    if (possible) {
      if (!this.#work) this.begin(verdict);
      this.#hurry?.();
      found = await this.#work;
      // Too little between them, it seems: now there is more.
      if (found.suspects.length === 0 && !found.error && this.#base) found = merge(found, await this.#compare(this.#base));
      this.#forget();
    }
    found = await this.#withStacks(found);
    if (samplingInterval === undefined) this.#endSampling();
    return found;
  }

  stop() {
    this.#stopped = true;
    this.#hurry?.();
    this.#forget();
    this.#forgetEarly();
    this.#endSampling();
  }

  #beginEarly() {
    if (this.#stopped || this.#work) return;
    this.#early = takeCapture(this.#options.diagnose, 'base');
    setTimeout(() => this.#forgetEarly(), EARLY_LASTS_MS).unref();
  }

  #forgetEarly() {
    this.#early?.then((capture) => capture.release?.());
    this.#early = this.#earlyLive = undefined;
  }

  async #look(gap) {
    const early = this.#early;
    this.#early = this.#earlyLive = undefined;
    const base = await (early ?? takeCapture(this.#options.diagnose, 'base'));
    if (base.error) return { ...nothing(base.error.message), error: base.error };
    if (this.#stopped) {
      base.release();
      return nothing('the detector was stopped');
    }
    this.#base = base;
    await this.#growth(base, early ? LEAST_GAP_MS : Math.max(gap, LEAST_GAP_MS));
    const begun = performance.now();
    const found = await this.#compare(base);
    const now = performance.now();
    this.#restUntil = now + REST * (base.durationMs + now - begun);
    return merge({ ...nothing(), diagnosis: costs(base), files: files(base) }, found);
  }

  // Waits for `gap` milliseconds since the first capture, or less when it hurries. The process may end meanwhile.
  #growth(base, gap) {
    return new Promise((resolve) => {
      const left = (ms) => Math.max(0, base.at + ms - performance.now());
      let timer = setTimeout(resolve, left(gap)).unref();
      this.#hurry = () => {
        clearTimeout(timer);
        timer = setTimeout(resolve, left(this.#stopped ? 0 : Math.min(gap, LEAST_GAP_MS))).unref();
        this.#hurry = undefined;
      };
    });
  }

  // What has grown from `base` to now.
  async #compare(base) {
    if (this.#stopped) return nothing('the detector was stopped');
    let current;
    try {
      current = await takeCapture(this.#options.diagnose, 'current');
      if (current.error) throw current.error;
      if (base.closed) return nothing('the detector was stopped');
      const { suspects, cpuMs, peakBytes } = await compareInHelper(base, current);
      const { pauseMs, childCpuMs, childPeakBytes, mode } = current;
      const diagnosis = { method: mode, pauseMs, childCpuMs: childCpuMs + cpuMs, peakBytes: Math.max(childPeakBytes, peakBytes) };
      if (suspects.length === 0) diagnosis.reason = NOTHING_NAMED;
      return { suspects, diagnosis, files: files(current) };
    } catch (error) {
      return { ...nothing(error.message), error };
    } finally {
      current?.release?.();
    }
  }

  // Adds who allocates what is still alive; where there are no suspects, that is all there is to say.
  async #withStacks(found) {
    if (!this.#sampling) return found;
    const { sites, pauseMs } = await this.#sampling.grown();
    const diagnosis = { ...found.diagnosis, pauseMs: found.diagnosis.pauseMs + pauseMs };
    if (sites.length === 0) return { ...found, diagnosis };
    const [first, ...rest] = found.suspects;
    if (first) return { ...found, diagnosis, suspects: [{ ...first, allocationStack: sites[0].stack }, ...rest] };
    diagnosis.method = 'sampling';
    diagnosis.reason = `${diagnosis.reason}; so the suspects are what the sampling heap profiler has seen allocated and still alive`;
    return { ...found, diagnosis, suspects: sites.map(({ suspect }) => suspect) };
  }

  #forget() {
    this.#base?.release();
    this.#base = undefined;
    this.#work = undefined;
    this.#restUntil = 0;
  }

  #endSampling() {
    this.#sampling?.stop();
    this.#sampling = undefined;
  }
}

// Whether two captures may be taken: by fork, or as the user has asked for explicitly.
function captures(diagnose) {
  if (typeof diagnose === 'object' && (diagnose.mode === 'inline' || diagnose.mode === 'auto')) return { possible: true };
  const { supported, reason } = forkSupport();
  return { possible: supported, reason: reason && `captures by fork are not possible here: ${reason}` };
}

function nothing(reason) {
  return { suspects: [], diagnosis: { method: 'none', ...(reason && { reason }), pauseMs: 0, childCpuMs: 0, peakBytes: 0 }, files: [] };
}

function costs({ mode, pauseMs, childCpuMs, childPeakBytes }) {
  return { method: mode, pauseMs, childCpuMs, peakBytes: childPeakBytes };
}

function files({ kept }) {
  return kept ? [kept] : [];
}

// The later finding, with what both have cost.
function merge(one, two) {
  const [a, b] = [one.diagnosis, two.diagnosis];
  const diagnosis = { ...b, pauseMs: a.pauseMs + b.pauseMs, childCpuMs: a.childCpuMs + b.childCpuMs, peakBytes: Math.max(a.peakBytes, b.peakBytes) };
  return { ...two, diagnosis, files: [...one.files, ...two.files] };
}

module.exports = { Diagnosis };
