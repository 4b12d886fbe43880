//! What the callbacks themselves take of the JavaScript thread: counted by the microsecond, in memory that is there from the start.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// One bucket for each microsecond; the last also has what took longer.
const BUCKETS: usize = 128;

/// Written by one thread.
pub(super) struct Costs {
    buckets: [AtomicU64; BUCKETS],
    total: AtomicU64,
    worst: AtomicU64,
}

/// What the two callbacks of a collection have taken, together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallbackCosts {
    /// Collections.
    pub collections: u64,
    /// Of all of them.
    pub total: Duration,
    /// All but one in a hundred took at most this, in full microseconds; never more than `worst`.
    pub p99: Duration,
    /// The longest.
    pub worst: Duration,
}

impl Costs {
    pub(super) const fn new() -> Self {
        Costs { buckets: [const { AtomicU64::new(0) }; BUCKETS], total: AtomicU64::new(0), worst: AtomicU64::new(0) }
    }

    pub(super) fn add(&self, nanoseconds: u64) {
        let bucket = usize::try_from(nanoseconds / 1000).unwrap_or(BUCKETS).min(BUCKETS - 1);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.total.fetch_add(nanoseconds, Ordering::Relaxed);
        self.worst.fetch_max(nanoseconds, Ordering::Relaxed);
    }

    pub(super) fn sum(&self) -> CallbackCosts {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect();
        let collections: u64 = counts.iter().sum();
        let worst = Duration::from_nanos(self.worst.load(Ordering::Relaxed));
        let mut left = collections / 100;
        let over = counts.iter().rposition(|&count| {
            let here = count > left;
            left = left.saturating_sub(count);
            here
        });
        let p99 = match over {
            Some(bucket) if bucket + 1 < BUCKETS => Duration::from_micros(bucket as u64 + 1).min(worst),
            _ => worst,
        };
        CallbackCosts { collections, total: Duration::from_nanos(self.total.load(Ordering::Relaxed)), p99, worst }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_in_a_hundred_may_take_longer() {
        let costs = Costs::new();
        assert_eq!(costs.sum(), CallbackCosts::default());
        for i in 0..1000 {
            costs.add(if i < 10 { 900_000 } else { 4_300 });
        }
        let sum = costs.sum();
        assert_eq!((sum.collections, sum.p99), (1000, Duration::from_micros(5)));
        assert_eq!((sum.worst, sum.total), (Duration::from_micros(900), Duration::from_nanos(9_000_000 + 990 * 4300)));
        costs.add(900_000);
        assert_eq!(costs.sum().p99, Duration::from_micros(900));
    }
}
