//! The leak detector as a pure state machine: observations in, outputs out. It has no clock, does no I/O, knows no V8.
//!
//! What lives is known only after a full collection, and V8 runs few of them while a heap grows. So the detector works in two
//! steps. Every collection, young ones too, bounds from above what can live in the old generation: as long as that bound does
//! not rise, nothing leaks, and nothing is asked. When it rises, the detector asks for a full collection now and then
//! ([`Output::WantFullGc`]), and judges by what those and V8's own have left: [`Envelope`](envelope::Envelope) keeps the least
//! size of each slice of a window, [`Shape`] tells growth from noise, steps, waves and what is about to end.
//!
//! Windows differ by [`Sensitivity`]; each is judged by itself, for the heap and for memory outside of it.

mod curve;
pub mod envelope;
mod observation;
mod policy;
mod shape;
mod stats;
mod trend;
mod verdict;
mod watcher;

use std::time::Duration;

pub use observation::{GcKind, Observation};
pub use policy::{COVERED, Config, SUSPICIOUS, Sensitivity, Watch};
pub use shape::{Assessment, Demand, Shape};
pub use stats::Stats;
pub use trend::Trend;
pub use verdict::{Place, Verdict};

use watcher::{Finding, Watcher};

/// What the detector wants done or told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Output {
    /// A full collection has been seen.
    Stats(Stats),
    /// Growth that may be a leak; once for each time it begins.
    Suspicion(Verdict),
    /// Growth that full collections have confirmed over a whole window.
    Leak(Verdict),
    /// What lives should be known: let V8 collect, gently; or at once, when asking gently has led to nothing.
    WantFullGc {
        /// Not gently.
        at_once: bool,
    },
    /// Nothing has been seen for a while: sizes, please, without a collection.
    WantSample,
}

/// One detector. All its memory is bounded, whatever comes.
#[derive(Clone, Debug)]
pub struct Detector {
    config: Config,
    stats: Stats,
    watchers: Vec<Watcher>,
    /// Bytes allocated since the beginning: the measure of work done.
    work: f64,
    /// What it was seen by last.
    last: Option<Observation>,
    heap_used: u64,
    heap_limit: u64,
    last_seen: Duration,
    last_full: Option<Duration>,
    /// Off-heap bytes at a full collection, which frees array buffers a little later.
    sweeping: Option<u64>,
    request: Option<Request>,
    /// The last collection on request: when, and what it took.
    paid: Option<(Duration, Duration)>,
    last_leak: Option<Duration>,
}

/// A collection that was asked for and has not come.
#[derive(Clone, Copy, Debug)]
struct Request {
    at: Duration,
    times: u32,
}

/// A request is repeated after so many intervals, and made urgent at the next time.
const PATIENCE: u32 = 2;

impl Detector {
    /// A detector that starts to watch at `at`.
    pub fn new(config: Config, at: Duration) -> Self {
        Detector {
            config,
            stats: Stats::default(),
            watchers: config.sensitivity.watches().iter().map(|&watch| Watcher::new(watch, at)).collect(),
            work: 0.0,
            last: None,
            heap_used: 0,
            heap_limit: 0,
            last_seen: at,
            last_full: None,
            sweeping: None,
            request: None,
            paid: None,
            last_leak: None,
        }
    }

    /// Takes an observation; what follows from it is pushed to `out`.
    pub fn observe(&mut self, seen: &Observation, out: &mut Vec<Output>) {
        self.last_seen = seen.at;
        self.heap_limit = seen.heap_limit;
        if let Some(last) = self.last.replace(*seen) {
            self.work += seen.allocated_since(&last) as f64;
        }
        let swept = self.off_heap(seen);
        for watcher in &mut self.watchers {
            watcher.bound(seen.at, seen.bound() as f64, seen.external as f64);
        }
        if self.stats.observe(seen) {
            out.push(Output::Stats(self.stats));
            self.full(seen);
        }
        if swept || seen.is_full() {
            self.judge(seen.at, out);
        }
        self.consider_asking(seen.at, out);
    }

    /// To be called when nothing has been observed by [`next_tick`](Self::next_tick).
    pub fn tick(&mut self, at: Duration, out: &mut Vec<Output>) {
        if at >= self.next_tick() {
            self.last_seen = at;
            out.push(Output::WantSample);
        }
    }

    /// When it would like to hear something at the latest: when a full collection may be asked for again, or nothing has been seen for long.
    pub fn next_tick(&self) -> Duration {
        let after = |seen: Duration| seen.saturating_add(self.interval());
        let due = self.last_full.map(after).filter(|&due| due > self.last_seen);
        due.map_or(after(self.last_seen), |due| due.min(after(self.last_seen)))
    }

    /// Of the window that is the level's own.
    fn interval(&self) -> Duration {
        self.config.sensitivity.watches()[1].interval(false)
    }

    /// True when it has become known what lives outside the heap.
    fn off_heap(&mut self, seen: &Observation) -> bool {
        let swept = self.sweeping.take();
        if let Some(at_full) = swept {
            let live = at_full.min(seen.external);
            for watcher in &mut self.watchers {
                watcher.off_heap_lives(seen.at, self.work, live as f64);
            }
        }
        if seen.is_full() {
            self.sweeping = Some(seen.external);
        }
        swept.is_some()
    }

    fn full(&mut self, seen: &Observation) {
        self.heap_used = seen.used_after;
        self.last_full = Some(seen.at);
        for watcher in &mut self.watchers {
            watcher.heap_lives(seen.at, self.work, seen.old() as f64);
        }
        if self.request.take().is_some() {
            // Marking in steps before the pause takes about as long again.
            self.paid = Some((seen.at, seen.pause * 2));
        }
    }

    fn judge(&mut self, at: Duration, out: &mut Vec<Output>) {
        let cooling = at < self.cooled();
        let (min_growth, limit) = (self.config.min_growth(), self.heap_limit as f64);
        let mut suspicions = Vec::new();
        for watcher in &mut self.watchers {
            match watcher.judge(at, min_growth, limit) {
                _ if cooling => {}
                Finding::Leak { place, growth, told } => {
                    self.last_leak = Some(at);
                    // Whoever begins to look at a suspicion has one before each leak.
                    if !told {
                        out.push(Output::Suspicion(self.verdict(place, &growth)));
                    }
                    out.push(Output::Leak(self.verdict(place, &growth)));
                    return;
                }
                Finding::Suspicion(place, growth) => suspicions.push((place, growth)),
                Finding::Nothing => {}
            }
        }
        if let Some((place, growth)) = suspicions.first() {
            out.push(Output::Suspicion(self.verdict(*place, growth)));
        }
    }

    /// From when on a leak may be told.
    fn cooled(&self) -> Duration {
        self.last_leak.map_or(Duration::ZERO, |last| last.saturating_add(self.config.cooldown()))
    }

    fn verdict(&self, place: Place, growth: &Assessment) -> Verdict {
        let left = self.heap_limit.saturating_sub(self.heap_used) as f64;
        Verdict {
            place,
            start: Duration::from_secs_f64(growth.from),
            end: Duration::from_secs_f64(growth.to),
            growth: growth.growth().max(0.0) as u64,
            growth_per_hour: growth.trend.slope * 3600.0,
            confidence: growth.confidence(),
            collections: growth.collections,
            heap_used: self.heap_used,
            heap_limit: self.heap_limit,
            time_to_limit: match place {
                Place::Heap => Duration::try_from_secs_f64(left / growth.trend.slope).ok(),
                Place::OffHeap => None,
            },
        }
    }

    /// Asks for a full collection when one would tell something, and the last is long enough ago.
    fn consider_asking(&mut self, at: Duration, out: &mut Vec<Output>) {
        let times = match self.request {
            None => 0,
            Some(request) if at >= request.at + self.interval() * PATIENCE => request.times,
            Some(_) => return,
        };
        let (min_growth, limit, last) = (self.config.min_growth(), self.heap_limit as f64, self.last_full);
        let (sensitivity, paid) = (self.config.sensitivity, self.paid);
        let rested = |w: &Watch| paid.is_none_or(|(then, cost)| at >= then + cost.saturating_mul(w.rest(sensitivity)));
        // What is seen until then ends before another leak may be told.
        let cooled = self.cooled();
        let due = |w: &Watcher| {
            at + w.watch.window >= cooled && last.is_none_or(|last| at >= last + w.interval()) && rested(&w.watch)
        };
        if self.watchers.iter().any(|w| due(w) && w.is_curious(min_growth, limit)) {
            self.request = Some(Request { at, times: times + 1 });
            let at_once = times > 0 && self.config.sensitivity == Sensitivity::High;
            out.push(Output::WantFullGc { at_once });
        }
    }
}
