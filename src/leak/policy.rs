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
    /// What is asked of the points.
    pub demand: Demand,
}

/// A window in which growth counts once it has eaten a share of the room.
const fn urgent(seconds: u64, share: f64) -> Watch {
    let demand = Demand { span: COVERED * seconds as f64, points: 7, z: 3.0, parts: 6, rise: 0.2, spread: 0.12 };
    Watch { window: Duration::from_secs(seconds), share, relative: 0.0, collections: 12, demand }
}

/// A window in which any steady growth counts. Over hours it has to be steadier than half a day's rise and fall.
const fn steady(seconds: u64, relative: f64) -> Watch {
    let hours = seconds > HOURS;
    let (points, z) = if hours { (10, 3.5) } else { (7, 3.0) };
    let covered = if hours { 0.91 } else { COVERED };
    let (rise, spread) = if hours { (0.45, 0.06) } else { (0.1, 0.2) };
    let demand = Demand { span: covered * seconds as f64, points, z, parts: 6, rise, spread };
    let collections = if hours { 24 } else { 12 };
    Watch { window: Duration::from_secs(seconds), share: 0.0, relative, collections, demand }
}

const MINUTES: u64 = 60;
const HOURS: u64 = 3600;

const HIGH: &[Watch] = &[urgent(12, 0.33), steady(30, 0.005), steady(5 * MINUTES, 0.005), steady(HOURS, 0.02)];
const MEDIUM: &[Watch] = &[urgent(5 * MINUTES, 0.5), urgent(HOURS, 0.33), steady(22 * HOURS, 0.05)];
const LOW: &[Watch] = &[urgent(HOURS, 0.5), urgent(6 * HOURS, 0.33), steady(60 * HOURS, 0.1)];

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

    /// What is asked for a suspicion.
    pub(super) fn early_demand(&self) -> Demand {
        let span = self.window.as_secs_f64() * SUSPICIOUS;
        Demand { span, points: 5, z: 2.0, parts: 3, ..self.demand }
    }

    /// How often it wants to know what lives; twice as often once that seems to grow, to see through the noise.
    pub(super) fn interval(&self, growing: bool) -> Duration {
        self.window / (self.collections * if growing { 2 } else { 1 })
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
