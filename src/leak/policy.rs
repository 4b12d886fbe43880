//! The levels of sensitivity as figures: which windows are watched, and what growth counts in each.

use std::time::Duration;

use super::shape::Demand;

/// How soon growth counts as a leak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sensitivity {
    /// For programs with caches that fill for hours and loads that swing by the day.
    Low,
    /// Production.
    #[default]
    Medium,
    /// Tests and hunts.
    High,
}

/// What the user chose.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Config {
    /// How soon growth counts.
    pub sensitivity: Sensitivity,
    /// Bytes; less growth over the window is never a leak. The level's own figure when absent.
    pub min_growth: Option<u64>,
    /// At most one leak in this time; 10 minutes when absent.
    pub cooldown: Option<Duration>,
}

/// One window, watched by itself. A short one only counts growth that has eaten a good part of the room that was left under the
/// heap's limit: such a program will not live to see a long one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Watch {
    /// How far back it looks. Growth has to last for [`COVERED`] of it.
    pub window: Duration,
    /// Of the room under the limit at the beginning of the window.
    pub share: f64,
    /// Of the size at the beginning.
    pub relative: f64,
    /// Full collections it wants to see.
    pub collections: u32,
    /// What is asked of the points for a leak.
    pub demand: Demand,
    /// And for a suspicion.
    pub early: Demand,
}

/// A window in which growth counts once it has eaten a share of the room.
const fn urgent(seconds: u64, share: f64) -> Watch {
    let demand = Demand { rise: 0.2, spread: 0.12, ..demand(seconds, COVERED) };
    Watch {
        window: Duration::from_secs(seconds),
        share,
        relative: 0.0,
        collections: 12,
        demand,
        early: early(demand, seconds),
    }
}

/// A window in which any steady growth counts.
const fn steady(seconds: u64, relative: f64) -> Watch {
    let demand = demand(seconds, COVERED);
    Watch {
        window: Duration::from_secs(seconds),
        share: 0.0,
        relative,
        collections: 12,
        demand,
        early: early(demand, seconds),
    }
}

/// The same over hours, in which caches fill and half a day's season rises: growth has to be straight.
const fn straight(seconds: u64, relative: f64) -> Watch {
    let demand = Demand { points: 10, z: 3.5, bend: STRAIGHT, ..demand(seconds, 0.91) };
    // Whoever is told begins to look for a cause, which costs something: not for each day's rise.
    let early = Demand { rise: 0.45, spread: 0.06, bend: f64::INFINITY, ..early(demand, seconds) };
    Watch { window: Duration::from_secs(seconds), share: 0.0, relative, collections: 24, demand, early }
}

const fn demand(seconds: u64, covered: f64) -> Demand {
    Demand { span: covered * seconds as f64, points: 7, z: 3.0, parts: 6, rise: 0.1, spread: 0.2, bend: f64::INFINITY }
}

const fn early(late: Demand, seconds: u64) -> Demand {
    Demand { span: SUSPICIOUS * seconds as f64, points: 5, z: 2.0, parts: 3, ..late }
}

/// Found by simulation (`tests/leak_sim`): of leaks of 1 % an hour a few in a thousand bend more, by the noise of collections; of caches
/// that fill, seasons, steps and what comes of them together, a few in ten thousand less.
const STRAIGHT: f64 = 0.11;

const MINUTES: u64 = 60;
const HOURS: u64 = 3600;

const HIGH: &[Watch] = &[urgent(12, 0.33), steady(30, 0.005), steady(5 * MINUTES, 0.005), steady(HOURS, 0.02)];
const MEDIUM: &[Watch] = &[urgent(5 * MINUTES, 0.5), urgent(40 * MINUTES, 0.33), straight(20 * HOURS, 0.05)];
const LOW: &[Watch] = &[urgent(40 * MINUTES, 0.5), urgent(6 * HOURS, 0.33), straight(60 * HOURS, 0.1)];

/// The share of a window that growth has to cover. A little more over hours, so that hardly a day's season fits in.
pub const COVERED: f64 = 0.85;
/// The share of it after which growth is suspicious.
pub const SUSPICIOUS: f64 = 0.35;

const COOLDOWN: Duration = Duration::from_secs(10 * MINUTES);

impl Sensitivity {
    /// Shortest first.
    pub fn watches(self) -> &'static [Watch] {
        match self {
            Sensitivity::Low => LOW,
            Sensitivity::Medium => MEDIUM,
            Sensitivity::High => HIGH,
        }
    }

    /// Bytes.
    pub fn min_growth(self) -> u64 {
        match self {
            Sensitivity::Low => 32 << 20,
            Sensitivity::Medium => 4 << 20,
            Sensitivity::High => 1 << 20,
        }
    }
}

impl Config {
    pub(super) fn min_growth(&self) -> f64 {
        self.min_growth.unwrap_or_else(|| self.sensitivity.min_growth()) as f64
    }

    pub(super) fn cooldown(&self) -> Duration {
        self.cooldown.unwrap_or(COOLDOWN)
    }
}

impl Watch {
    /// Bytes that growth has to reach when the size was `base` and the limit is `limit`.
    pub(super) fn needed(&self, base: f64, limit: f64, min_growth: f64) -> f64 {
        min_growth.max(self.share * (limit - base).max(0.0)).max(self.relative * base)
    }

    /// How often it wants to know what lives; once that seems to grow more often where hours are at stake, to see through the noise.
    pub(super) fn interval(&self, growing: bool) -> Duration {
        let times = match growing {
            true if self.insists() => 4,
            true if self.share > 0.0 => 2,
            _ => 1,
        };
        self.window / (self.collections * times)
    }

    /// Whether growth is to be measured at each interval, and not only when what can live has risen since the last time: a mean of
    /// several collections tells a straight line from a season.
    pub(super) fn insists(&self) -> bool {
        self.demand.bend.is_finite()
    }

    /// A collection on request is followed by a rest of this many times its cost: it may take an eighth of the time in a hunt, a
    /// hundredth where the heap will soon be full, and a thousandth otherwise.
    pub(super) fn rest(&self, sensitivity: Sensitivity) -> u32 {
        match sensitivity {
            Sensitivity::High => 8,
            _ if self.share > 0.0 => 100,
            _ => 1000,
        }
    }
}
