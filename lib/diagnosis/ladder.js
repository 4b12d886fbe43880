'use strict';
// What is left where the heap can't be captured by fork: the sampling heap profile, then constructor counts, then the numbers alone. Says
// which. The profile also adds allocation stacks to what captures have found.

const { Counts } = require('./counts.js');
const { Sampling } = require('./sampling.js');

// Sampling that begins with a suspicion. V8's own default is 32 KiB.
const SAMPLING_INTERVAL = 64 * 1024;

class Ladder {
  #interval; // the user's; undefined: when needed
  #sampling;
  #before; // the result of the first count
  #counting;

  constructor(interval) {
    this.#interval = interval;
    if (typeof interval === 'number') this.#sampling = Sampling.start(interval);
  }

  // At a suspicion without captures: begins to sample; where that is not possible or would not tell, since V8 samples only what is on its heap, counts.
  begin({ place } = {}) {
    if (this.#interval !== false) this.#sampling ??= Sampling.start(SAMPLING_INTERVAL);
    if ((this.#sampling && place !== 'off-heap') || this.#before || this.#counting) return;
    // The suspicion is told first.
    this.#counting = setImmediate(() => {
      this.#counting = undefined;
      this.#before = Counts.take();
    }).unref();
  }

  // Adds to what captures have found who allocates it; where they have found nothing, what else is known.
  async finish(found, { place } = {}) {
    const nothing = found.suspects.length === 0;
    const counted = nothing && place === 'off-heap' ? this.#counted(found) : found;
    const sampled = await this.#sampled(counted);
    const last = nothing && sampled.suspects.length === 0 && place !== 'off-heap' ? this.#counted(sampled) : sampled;
    return last.suspects.length === 0 && last.classes?.length > 0 ? byClass(last) : last;
  }

  // After a leak: a profiler that the user has not asked for is only for one.
  rest() {
    if (this.#interval === undefined) this.end();
    this.#before = undefined;
  }

  end() {
    clearImmediate(this.#counting);
    this.#counting = this.#before = undefined;
    this.#sampling?.stop();
    this.#sampling = undefined;
  }

  async #sampled(found) {
    if (!this.#sampling) return found;
    const { sites, pauseMs } = await this.#sampling.grown();
    const diagnosis = { ...found.diagnosis, pauseMs: found.diagnosis.pauseMs + pauseMs };
    const [first, ...rest] = found.suspects;
    if (first && sites.length > 0) return { ...found, diagnosis, suspects: [{ ...first, allocationStack: sites[0].stack }, ...rest] };
    if (first) return { ...found, diagnosis };
    if (sites.length === 0) return { ...found, diagnosis: because(diagnosis, 'the sampling heap profiler has seen nothing that is still alive') };
    return {
      ...found,
      diagnosis: because({ ...diagnosis, method: 'sampling' }, 'so the suspects are what the sampling heap profiler has seen allocated and still alive'),
      suspects: sites.map(({ suspect }) => suspect)
    };
  }

  #counted(found) {
    const before = this.#before;
    if (!before) return found;
    const after = before.counts ? Counts.take(before.counts) : before;
    const pauseMs = found.diagnosis.pauseMs + (before.counts?.pauseMs ?? 0) + (after.counts?.pauseMs ?? 0);
    const diagnosis = { ...found.diagnosis, pauseMs };
    if (!after.counts) return { ...found, diagnosis: because(diagnosis, `${after.reason}; so there are the numbers alone`) };
    const suspects = after.counts.since(before.counts);
    if (suspects.length === 0) return { ...found, diagnosis: because(diagnosis, 'of no class are there more objects than before; so there are the numbers alone') };
    return { ...found, diagnosis: because({ ...diagnosis, method: 'counts' }, 'so the suspects are the classes of which there are more objects than at the suspicion'), suspects };
  }
}

const byClass = ({ classes, ...found }) => ({ ...found, suspects: classes, diagnosis: because(found.diagnosis, 'so the suspects are the classes that have grown') });

const because = (diagnosis, reason) => ({ ...diagnosis, reason: diagnosis.reason ? `${diagnosis.reason}; ${reason}` : reason });

module.exports = { Ladder };
