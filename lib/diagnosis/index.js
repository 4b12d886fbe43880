'use strict';
// The cause of a leak: two captures some growth apart, compared in a process of their own; where that is not possible, what the ladder's
// next steps know.

const v8 = require('node:v8');
const { forkSupport } = require('../fork.js');
const { compareInHelper } = require('./helper-process.js');
const { takeCapture } = require('./captures.js');
const { costsOf, files, merge, nothing } = require('./findings.js');
const { Ladder } = require('./ladder.js');

// The second capture comes when about so much has grown again as the suspicion rests on, and it is not waited for when the leak is
// confirmed before that. But some growth there has to be.
const GAP_OF_SUSPICION = 0.25;
const LEAST_GAP_MS = 3000;
// In a hunt, the first capture comes this long after the start, while the heap is small and a capture of it cheap.
const EARLY_MS = 500;
// A capture is kept for so long as the base of a later comparison.
const BASE_LASTS_MS = 10 * 60 * 1000;
// And the second does not wait for a suspicion when what lives, or all that is used, has grown like this since: walking such a heap would
// soon take longer than the hunt.
const STEEP_BYTES = 32 * 2 ** 20;
const STEEP_USED_BYTES = 48 * 2 ** 20;
const STEEP_GAP_MS = 500;
const LOOK_EVERY_MS = 250;
// What grew that steeply may have been a program that was loading: it is not the leak's cause when the leak grows so much more slowly.
const OTHER_PACE = 4;
// Suspicions come and go, so comparing rests for this many times what it took.
const REST = 20;
// A confirmed leak waits so long for two captures to be compared, then the first of them has to do; and for that so long. A hunt tells
// within 40 s of its start what it can; where it can name nothing by then, it waits like anybody: an alarm without a cause helps little.
const PATIENCE = { answerMs: 150_000, lastMs: 60_000 };
const PATIENCE_OF_HUNT = { answerMs: 10_000, leastMs: 2000, untilMs: 33_000, lastMs: 5000 };
const HUNT_MS = 40_000;

const TOO_LATE = 'the heap could not be captured in time';
const ALONE =
  'a second capture was not ready in time, so the suspects are what the first one holds most of, without what has grown since; the deltas count all of it';
const NOTHING_NAMED = 'nothing that a program holds has grown enough between the two captures to be named';

// What one detector does to name causes. Nothing here throws: a diagnosis that fails says why.
class Diagnosis {
  #options;
  #patience;
  #started = performance.now();
  #ladder;
  #early; // looks whether the heap grows steeply, while there is a first capture and no suspicion
  #base; // the promise of a capture that a later one may be compared with
  #forgetting; // the timer that lets go of it
  #work; // the promise of what the comparison has found
  #last = Promise.resolve(); // the same of whichever came last
  #abort; // gives up the second capture
  #steepPace; // bytes an hour that had made it begin, when no suspicion had
  #hurry; // ends the wait for growth, now or when it begins
  #hurried = false;
  #restUntil = 0;
  #stopped = false;

  // The detector's `diagnose` (undefined: where it works) and `samplingInterval`; whether it is a `hunt`.
  constructor({ diagnose = true, samplingInterval, hunt = false, patience }) {
    this.#options = { diagnose };
    this.#ladder = new Ladder(samplingInterval);
    this.#patience = () => patience ?? (hunt && performance.now() - this.#started < HUNT_MS ? PATIENCE_OF_HUNT : PATIENCE);
    if (hunt && diagnose === true && captures(diagnose).possible) setTimeout(() => this.#beginEarly(), EARLY_MS).unref();
  }

  // At a suspicion, `start` and `end` in milliseconds: begins to look for the cause.
  begin(verdict) {
    const { diagnose } = this.#options;
    if (diagnose === false || this.#stopped) return;
    if (captures(diagnose).possible) {
      if (this.#work && performance.now() < this.#restUntil) return;
      this.#look((verdict.end - verdict.start) * GAP_OF_SUSPICION, LEAST_GAP_MS, verdict);
    } else {
      this.#ladder.begin(verdict);
    }
  }

  // At each full collection: what lives.
  lives(bytes) {
    this.#early?.lives(bytes);
  }

  // At a leak: { suspects, diagnosis, files, error }; `error` is what a user should hear of, beside the report.
  async finish(verdict) {
    const { diagnose } = this.#options;
    if (diagnose === false) return nothing('diagnose is false');
    const { possible, reason } = captures(diagnose);
    let found = nothing(reason);
    if (possible) {
      if (this.#work && this.#steepPace > OTHER_PACE * verdict.growthPerHour) this.#work = undefined;
      const before = await within(0, this.#work);
      // Too little had grown by then, it seems.
      if (before && !before.error && before.suspects.length === 0) this.#work = undefined;
      if (!this.#work) this.begin(verdict);
      found = await this.#inTime();
      this.#work = undefined;
      this.#restUntil = 0;
    }
    found = await this.#ladder.finish(found, verdict);
    this.#ladder.rest();
    return found;
  }

  stop() {
    this.#stopped = true;
    this.#hurry?.();
    this.#abort?.abort();
    this.#early?.stop();
    this.#keep(undefined);
    this.#ladder.end();
  }

  #beginEarly() {
    if (this.#stopped || this.#work) return;
    this.#keep(takeCapture(this.#options.diagnose, 'base'));
    const used = () => v8.getHeapStatistics().used_heap_size;
    const first = { at: performance.now(), used: used() };
    const steep = (bytes, limit) => {
      if (bytes - first.used < limit || this.#work) return;
      this.#look(STEEP_GAP_MS, STEEP_GAP_MS);
      this.#steepPace = ((bytes - first.used) / (performance.now() - first.at)) * 3_600_000;
    };
    const timer = setInterval(() => steep(used(), STEEP_USED_BYTES), LOOK_EVERY_MS).unref();
    this.#early = { lives: (bytes) => steep(bytes, STEEP_BYTES), stop: () => clearInterval(timer) };
  }

  // Keeps the promise of a capture for a while, and lets go of the one before.
  #keep(capture) {
    clearTimeout(this.#forgetting);
    if (capture !== this.#base) this.#base?.then((former) => former.release?.());
    this.#base = capture;
    if (capture) this.#forgetting = setTimeout(() => this.#forget(), BASE_LASTS_MS).unref();
  }

  #forget() {
    this.#early?.stop();
    this.#early = undefined;
    this.#keep(undefined);
  }

  // Begins to compare the capture that is kept, or one taken now, with one after some growth.
  #look(gap, least, verdict) {
    this.#early?.stop();
    this.#early = this.#steepPace = undefined;
    this.#restUntil = Infinity;
    this.#hurried = false;
    const fresh = this.#base === undefined;
    if (fresh) this.#keep(takeCapture(this.#options.diagnose, 'base'));
    // One after the other: each leaves a capture for the next.
    this.#work = this.#last = this.#last.then(() => this.#compareAfter(fresh ? Math.max(gap, least) : least, least, verdict));
  }

  async #compareAfter(gap, least, verdict) {
    const begun = performance.now();
    let base = await this.#base;
    if (!this.#stopped && (!base || base.error)) {
      this.#keep(takeCapture(this.#options.diagnose, 'base'));
      base = await this.#base;
    }
    if (!base || this.#stopped) return nothing('the detector was stopped');
    if (base.error) {
      this.#keep(undefined);
      // There is time for the next step of the ladder until the leak is sure.
      this.#ladder.begin(verdict);
      return { ...nothing(base.error.message), error: base.error };
    }
    clearTimeout(this.#forgetting);
    await this.#growth(base, gap, least);
    let { found, current } = await this.#compare(base);
    // Too little between them, it seems, and the leak is sure: now there is more.
    if (this.#hurried && current && found.suspects.length === 0) {
      current.release();
      const again = await this.#compare(base);
      found = merge(found, again.found);
      current = again.current;
    }
    if (base.told !== true) found = merge(costsOf(base), found);
    // Where nothing is named yet, there will be more between this base and a later one.
    const next = found.suspects.length > 0 || base.closed ? current : base;
    if (next) next.told = true;
    if (next !== current) current?.release();
    this.#keep(next === base ? this.#base : next && Promise.resolve(next));
    if (this.#stopped) this.#keep(undefined);
    const now = performance.now();
    this.#restUntil = now + REST * (now - begun);
    return found;
  }

  // Waits for `gap` milliseconds since the first capture, or for `least` when it hurries. The process may end meanwhile.
  #growth(base, gap, least) {
    return new Promise((resolve) => {
      const left = (ms) => Math.max(0, base.at + ms - performance.now());
      let timer = setTimeout(resolve, left(this.#hurried ? Math.min(gap, least) : gap)).unref();
      this.#hurry = () => {
        clearTimeout(timer);
        timer = setTimeout(resolve, left(this.#stopped ? 0 : Math.min(gap, least))).unref();
        this.#hurry = undefined;
      };
    });
  }

  // What has grown from `base` to a capture that is taken now: { found, current }, without `current` when that failed.
  async #compare(base) {
    if (this.#stopped) return { found: nothing('the detector was stopped') };
    let current;
    try {
      const abort = (this.#abort = new AbortController());
      current = await takeCapture(this.#options.diagnose, 'current', abort.signal);
      if (this.#abort === abort) this.#abort = undefined;
      if (current.error) throw current.error;
      if (base.closed) return { found: nothing('the detector was stopped'), current };
      const { suspects, classes, cpuMs, peakBytes } = await compareInHelper(base, current);
      const { pauseMs, childCpuMs, childPeakBytes, mode } = current;
      const diagnosis = { method: mode, pauseMs, childCpuMs: childCpuMs + cpuMs, peakBytes: Math.max(childPeakBytes, peakBytes) };
      if (suspects.length === 0) diagnosis.reason = NOTHING_NAMED;
      return { found: { suspects, classes, diagnosis, files: files(current) }, current };
    } catch (error) {
      current?.release?.();
      return { found: { ...nothing(error.message), error } };
    }
  }

  // What the work has found; when that takes too long, what its first capture holds.
  async #inTime() {
    const { answerMs, lastMs, leastMs = answerMs, untilMs = Infinity } = this.#patience();
    const work = this.#work;
    this.#hurried = true;
    this.#hurry?.();
    const left = this.#started + untilMs - performance.now();
    const found = await within(Math.min(answerMs, Math.max(left, leastMs)), work);
    if (found) return found;
    const base = await within(0, this.#base);
    const alone = base?.fd === undefined || base.closed ? undefined : lookAt(base);
    // Where walking the heap again would take longer than that, it only takes time from what there is.
    if (base?.childCpuMs >= lastMs) {
      this.#abort?.abort();
      return (await within(lastMs, alone)) ?? nothing(TOO_LATE);
    }
    return (await within(lastMs, firstNamed(work, alone))) ?? (await within(PATIENCE.answerMs, work)) ?? nothing(TOO_LATE);
  }
}

// What `promise` gives, or nothing after so many milliseconds. The process may end meanwhile.
function within(ms, promise) {
  let timer;
  const late = new Promise((resolve) => (timer = setTimeout(resolve, ms).unref()));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// The first of these findings that has suspects, or nothing.
function firstNamed(...findings) {
  const named = async (finding) => {
    const found = await finding;
    return found?.suspects.length > 0 ? found : Promise.reject(found);
  };
  return Promise.any(findings.map(named)).catch(() => undefined);
}

// What a capture holds, where there is no second one to tell what of it grows; nothing when that can't be told either.
async function lookAt(base) {
  try {
    const { suspects, cpuMs, peakBytes } = await compareInHelper(undefined, base);
    const found = { ...nothing(ALONE), suspects };
    return merge(costsOf(base), { ...found, diagnosis: { ...found.diagnosis, method: base.mode, childCpuMs: cpuMs, peakBytes } });
  } catch {
    return undefined;
  }
}

// Whether two captures may be taken: by fork, or as the user has asked for explicitly.
function captures(diagnose) {
  if (typeof diagnose === 'object' && (diagnose.mode === 'inline' || diagnose.mode === 'auto')) return { possible: true };
  const { supported, reason } = forkSupport();
  return { possible: supported, reason: reason && `captures by fork are not possible here: ${reason}` };
}

module.exports = { Diagnosis };
