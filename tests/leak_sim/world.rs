//! A program and its V8, simulated: what lives by the clock, when collections come and what they show.

use std::time::Duration;

use heaprs::leak::{Config, Detector, GcKind, Observation, Output, Verdict};

/// xorshift64*: the same series on every run.
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.unit();
        }
        random
    }

    /// From 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Even over orders of magnitude.
    pub(crate) fn log(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// About normal, with a deviation of 1.
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// How V8 collects for this program.
#[derive(Clone, Copy)]
pub(crate) struct Gc {
    /// Seconds between young collections.
    pub(crate) every: f64,
    /// Bytes of garbage that reach the old generation, a second.
    pub(crate) promoted: f64,
    /// The old generation is collected when it has grown by this factor since the last time.
    pub(crate) factor: f64,
    /// Garbage that incremental marking leaves, bytes at most.
    pub(crate) floating: f64,
    pub(crate) limit: f64,
}

/// What came of a run.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) suspected: Option<f64>,
    /// Seconds from the start.
    pub(crate) leak: Option<(f64, Verdict)>,
    pub(crate) leaks: u32,
    /// Collections the detector asked for.
    pub(crate) asked: u32,
    /// Full collections in all.
    pub(crate) full: u32,
    /// What a false alarm was about.
    pub(crate) cause: Option<&'static str>,
    /// When memwatch's rule would have cried: five full collections in a row, each with more left than the one before.
    pub(crate) memwatch: Option<f64>,
}

/// Runs a program in which `live(t)` bytes live on the heap and `off_heap(t)` outside, for so many seconds. With `answer` off,
/// nobody hears what the detector asks for.
pub(crate) fn run(
    config: Config,
    gc: Gc,
    seconds: f64,
    random: &mut Random,
    answer: bool,
    mut live: impl FnMut(f64, &mut Random) -> f64,
    mut off_heap: impl FnMut(f64, &mut Random) -> f64,
) -> Run {
    let mut detector = Detector::new(config, Duration::ZERO);
    let mut run = Run::default();
    let mut out = Vec::new();
    let mut garbage = 0.0;
    let mut threshold = live(0.0, random) * gc.factor + 4e6;
    let mut requested = false;
    let (mut before, mut in_a_row) = (f64::INFINITY, 0);
    let mut at = 0.0;
    while at < seconds {
        at += gc.every * random.between(0.5, 1.5);
        let lives = live(at, random).max(1e6);
        garbage += gc.promoted * gc.every * random.between(0.5, 1.5);
        let natural = lives + garbage > threshold;
        let full = natural || requested;
        let young = random.between(0.0, 1e6);
        let used_after = if full {
            garbage = 0.0;
            lives + random.unit() * gc.floating
        } else {
            lives + garbage + young
        };
        let external = off_heap(at, random);
        let seen = Observation {
            at: Duration::from_secs_f64(at),
            kind: Some(if full { GcKind::MarkSweepCompact } else { GcKind::Scavenge }),
            pause: if full { Duration::from_secs_f64(lives * 0.5e-9) } else { Duration::from_millis(1) },
            used_before: None,
            used_after: used_after as u64,
            young: Some(if full { 0 } else { young as u64 }),
            young_room: Some(16e6_f64.min(gc.every * 4e6) as u64),
            heap_limit: gc.limit as u64,
            external: external as u64,
        };
        if full {
            run.full += 1;
            requested = false;
            threshold = used_after * gc.factor + 4e6;
            in_a_row = if used_after > before { in_a_row + 1 } else { 0 };
            before = used_after;
            if in_a_row >= 5 {
                run.memwatch.get_or_insert(at);
            }
        }
        detector.observe(&seen, &mut out);
        for output in out.drain(..) {
            match output {
                Output::Leak(verdict) => {
                    run.leaks += 1;
                    run.leak.get_or_insert((at, verdict));
                }
                Output::Suspicion(_) => {
                    run.suspected.get_or_insert(at);
                }
                Output::WantFullGc { .. } => {
                    run.asked += 1;
                    requested |= answer;
                }
                Output::Stats(_) | Output::WantSample => {}
            }
        }
    }
    run
}

pub(crate) const MB: f64 = 1e6;
pub(crate) const HOUR: f64 = 3600.0;

/// A program without a leak, drawn at random, scaled to a `day` of so many seconds: noise that remembers, requests in flight,
/// seasons of the day and the week, steps, caches that fill evenly or ever more slowly, batches, warm-up.
#[derive(Clone, Debug)]
pub(crate) struct Healthy {
    day: f64,
    base: f64,
    season: (f64, f64),
    week: f64,
    noise: f64,
    memory: f64,
    drift: f64,
    flight: f64,
    steps: Vec<(f64, f64)>,
    cache: (f64, f64, f64, bool),
    batch: (f64, f64, f64),
    warm_up: (f64, f64),
    last: f64,
}

impl Healthy {
    /// `fill` is the longest time a cache takes, in days.
    pub(crate) fn draw(random: &mut Random, day: f64, limit: f64, fill: f64) -> Self {
        let base = random.log(8.0 * MB, 800.0 * MB);
        let sometimes = |random: &mut Random, p: f64, low: f64, high: f64| {
            if random.chance(p) { random.between(low, high) } else { 0.0 }
        };
        let steps = (0..(random.unit() * 4.0) as u32)
            .map(|_| (random.between(0.0, 2.0) * day, random.between(-0.2, 0.4) * base))
            .collect();
        let room = (limit - base) * 0.2;
        Healthy {
            day,
            base,
            season: (sometimes(random, 0.6, 0.0, 0.4), random.unit()),
            week: sometimes(random, 0.3, 0.0, 0.3),
            noise: random.log(0.001, 0.05),
            memory: random.log(0.0005, 0.04) * day,
            drift: 0.0,
            flight: sometimes(random, 0.5, 0.0, 0.2),
            steps,
            cache: (
                sometimes(random, 0.5, 0.05, 1.5).min(room / base),
                random.between(0.0, 0.5) * day,
                random.log(0.01, fill) * day,
                random.chance(0.5),
            ),
            batch: (sometimes(random, 0.3, 0.1, 1.0), random.log(0.005, 0.3) * day, random.between(0.05, 0.6)),
            warm_up: (random.between(0.0, 0.5), random.log(0.0005, 0.03) * day),
            last: 0.0,
        }
    }

    pub(crate) fn live(&mut self, at: f64, random: &mut Random) -> f64 {
        let step = at - self.last;
        self.last = at;
        // Noise that forgets itself after `memory` seconds.
        let keep = (-step / self.memory).exp();
        self.drift = self.drift * keep + random.normal() * self.noise * (1.0 - keep * keep).sqrt();
        let flight = self.flight * random.unit() * random.unit();
        self.base * (1.0 + self.drift + flight + self.parts(at).iter().map(|(_, size)| size).sum::<f64>())
    }

    /// What a size is made of beside the base and noise, by name, as shares of the base.
    pub(crate) fn parts(&self, at: f64) -> [(&'static str, f64); 6] {
        let turn = std::f64::consts::TAU;
        let season = self.season.0 * (turn * (at / self.day + self.season.1)).sin();
        // The last two days of seven are quieter; getting there and back takes some hours.
        let weekday = (at / self.day + self.season.1 * 7.0) % 7.0;
        let weekend = ((weekday - 5.0) / 0.15).clamp(0.0, 1.0) * ((7.0 - weekday) / 0.15).clamp(0.0, 1.0);
        let (amount, from, time, evenly) = self.cache;
        let filled = ((at - from) / time).max(0.0);
        let cache = amount * if evenly { filled.min(1.0) } else { 1.0 - (-3.0 * filled).exp() };
        let (amount, period, share) = self.batch;
        let phase = at / period % 1.0;
        let batch = amount * if phase < share { phase / share } else { 0.0 };
        let steps = self.steps.iter().filter(|&&(when, _)| at > when).map(|&(_, by)| by / self.base).sum();
        [
            ("season", season),
            ("week", -self.week * weekend),
            (if evenly { "cache that fills evenly" } else { "cache that fills ever more slowly" }, cache),
            ("batch", batch),
            ("warm-up", -self.warm_up.0 * (-at / self.warm_up.1).exp()),
            ("steps", steps),
        ]
    }

    /// Which part rose most between two moments; noise when none did.
    pub(crate) fn cause(&self, from: f64, to: f64) -> &'static str {
        let rises = self.parts(from).into_iter().zip(self.parts(to)).map(|((name, a), (_, b))| (name, b - a));
        rises
            .filter(|&(_, rise)| rise > self.noise)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map_or("noise", |(name, _)| name)
    }
}
