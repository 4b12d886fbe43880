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
}

const fn watch(seconds: u64, share: f64, relative: f64) -> Watch {
    Watch { window: Duration::from_secs(seconds), share, relative }
}

const MINUTES: u64 = 60;
const HOURS: u64 = 3600;

const HIGH: &[Watch] =
    &[watch(12, 0.33, 0.0), watch(30, 0.0, 0.005), watch(5 * MINUTES, 0.0, 0.005), watch(HOURS, 0.0, 0.02)];
const MEDIUM: &[Watch] = &[watch(5 * MINUTES, 0.5, 0.0), watch(HOURS, 0.25, 0.0), watch(16 * HOURS, 0.0, 0.05)];
const LOW: &[Watch] = &[watch(HOURS, 0.5, 0.0), watch(6 * HOURS, 0.25, 0.0), watch(48 * HOURS, 0.0, 0.1)];

/// The share of a window that growth has to cover.
pub const COVERED: f64 = 0.85;
/// The share of it after which growth is suspicious.
pub const SUSPICIOUS: f64 = 0.35;
/// Full collections a window wants to see.
pub const COLLECTIONS: u32 = 12;

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

    /// A collection on request is followed by a rest of this many times its cost.
    pub fn rest(self) -> u32 {
        match self {
            Sensitivity::High => 8,
            Sensitivity::Medium | Sensitivity::Low => 1000,
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

    /// For a leak.
    pub(super) fn demand(&self) -> Demand {
        Demand { span: self.window.as_secs_f64() * COVERED, points: 7, z: 3.0, parts: 6 }
    }

    /// For a suspicion.
    pub(super) fn early_demand(&self) -> Demand {
        Demand { span: self.window.as_secs_f64() * SUSPICIOUS, points: 5, z: 2.0, parts: 3 }
    }

    /// How often it wants to know what lives.
    pub(super) fn interval(&self) -> Duration {
        self.window / COLLECTIONS
    }
}
