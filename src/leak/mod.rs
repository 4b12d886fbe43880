//! The leak detector as a pure state machine: observations in, outputs out. It has no clock, does no I/O, knows no V8.

mod observation;
mod stats;

use std::time::Duration;

pub use observation::{GcKind, Observation};
pub use stats::Stats;

/// How soon growth counts as a leak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sensitivity {
    /// Windows of hours.
    Low,
    /// Windows of about an hour: production.
    #[default]
    Medium,
    /// Windows of seconds: tests and hunts.
    High,
}

/// What the user chose.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Config {
    /// How soon growth counts.
    pub sensitivity: Sensitivity,
    /// Bytes; less growth over the window is never a leak. The level's own figure when absent.
    pub min_growth: Option<u64>,
    /// At most one leak in this time.
    pub cooldown: Option<Duration>,
}

/// What the detector wants done or told.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// A full collection has been seen.
    Stats(Stats),
}

/// One detector. All its memory is bounded, whatever comes.
#[derive(Clone, Debug)]
pub struct Detector {
    stats: Stats,
}

impl Detector {
    /// A detector that starts to watch at `at`.
    pub fn new(_config: Config, _at: Duration) -> Self {
        Detector { stats: Stats::default() }
    }

    /// Takes an observation; what follows from it is pushed to `out`.
    pub fn observe(&mut self, seen: &Observation, out: &mut Vec<Output>) {
        if self.stats.observe(seen) {
            out.push(Output::Stats(self.stats));
        }
    }
}
