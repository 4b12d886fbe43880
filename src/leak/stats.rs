//! Counts and bases over all full collections, in memwatch's terms.

use super::{GcKind, Observation};

/// The payload of the `stats` event. Sizes in bytes, of the heap after a full collection.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Stats {
    /// Full collections.
    pub num_full_gc: u64,
    /// Young collections.
    pub num_inc_gc: u64,
    /// The smoothed base, relative to one smoothed over ten times as long: above 0 it has been growing.
    pub usage_trend: f64,
    /// Smoothed over about ten full collections.
    pub estimated_base: f64,
    /// After the last one.
    pub current_base: u64,
    /// The least so far.
    pub min: u64,
    /// The most so far.
    pub max: u64,
    /// Off-heap bytes after the last one.
    pub external: u64,
    /// Where V8 gives up.
    pub heap_limit: u64,
    long_base: f64,
}

/// Full collections over which the two bases are smoothed.
const SHORT: f64 = 10.0;
const LONG: f64 = 100.0;

impl Stats {
    /// Counts one observation; true when it was a full collection.
    pub(super) fn observe(&mut self, seen: &Observation) -> bool {
        match seen.kind {
            Some(GcKind::Scavenge | GcKind::MinorMarkSweep) => self.num_inc_gc += 1,
            Some(GcKind::MarkSweepCompact) => self.full(seen),
            _ => {}
        }
        seen.is_full()
    }

    fn full(&mut self, seen: &Observation) {
        let base = seen.used_after;
        self.num_full_gc += 1;
        self.current_base = base;
        self.min = if self.num_full_gc == 1 { base } else { self.min.min(base) };
        self.max = self.max.max(base);
        self.external = seen.external;
        self.heap_limit = seen.heap_limit;
        // A plain mean until there are enough, then an exponential one.
        let count = self.num_full_gc as f64;
        let smooth = |old: f64, over: f64| old + (base as f64 - old) / count.min(over);
        self.estimated_base = smooth(self.estimated_base, SHORT);
        self.long_base = smooth(self.long_base, LONG);
        self.usage_trend = if self.long_base > 0.0 { self.estimated_base / self.long_base - 1.0 } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn gc(kind: GcKind, used_after: u64) -> Observation {
        Observation {
            at: Duration::ZERO,
            kind: Some(kind),
            pause: Duration::ZERO,
            used_before: None,
            used_after,
            young: None,
            young_room: None,
            heap_limit: 1000,
            external: 5,
        }
    }

    #[test]
    fn counts_and_bases() {
        let mut stats = Stats::default();
        assert!(!stats.observe(&gc(GcKind::Scavenge, 900)));
        assert!(!stats.observe(&gc(GcKind::IncrementalMarking, 900)));
        for base in [100, 300, 200] {
            assert!(stats.observe(&gc(GcKind::MarkSweepCompact, base)));
        }
        assert_eq!((stats.num_full_gc, stats.num_inc_gc), (3, 1));
        assert_eq!(
            (stats.min, stats.max, stats.current_base, stats.external, stats.heap_limit),
            (100, 300, 200, 5, 1000)
        );
        assert_eq!((stats.estimated_base, stats.usage_trend), (200.0, 0.0));
        for i in 0..200 {
            stats.observe(&gc(GcKind::MarkSweepCompact, 200 + i * 10));
        }
        assert!(stats.usage_trend > 0.3, "{}", stats.usage_trend);
    }
}
