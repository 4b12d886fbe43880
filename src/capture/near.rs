//! When the memory that a limit outside of V8 leaves (a control group's, `ulimit -v`) comes to its end, so that a dump is due while there is still
//! room for one; and how often that has to be looked at. Knows neither the system nor a clock.

use std::time::{Duration, Instant};

use super::memory::{fork_needs, inline_needs, reserve};
use crate::{
    os::{MemoryRoom, OwnMemory},
    v8::HeapEstimate,
};

/// What one look at the limit has shown.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// When.
    pub at: Instant,
    /// What this process has.
    pub own: OwnMemory,
    /// What the limit leaves.
    pub room: MemoryRoom,
}

/// The approach to a limit, look by look.
#[derive(Debug)]
pub struct NearMemory {
    last: Option<Look>,
    /// Bytes a second by which the room has shrunk lately.
    rate: u64,
    heap: Option<HeapEstimate>,
    /// What was resident when the heap was set.
    heap_at: Option<u64>,
    /// What was left at the last dump: the next is due after a recovery, or when half of that is gone.
    dumped_at: Option<u64>,
    /// CPU time that looks may take at once.
    credit: Duration,
    /// What the last look at the limit has cost, and the last one at this process alone.
    look_cost: Duration,
    glance_cost: Duration,
    /// The limit has been looked at since the last pause.
    looked: bool,
}

impl Default for NearMemory {
    fn default() -> Self {
        NearMemory {
            last: None,
            rate: 0,
            heap: None,
            heap_at: None,
            dumped_at: None,
            credit: CREDIT,
            look_cost: Duration::ZERO,
            glance_cost: Duration::ZERO,
            looked: false,
        }
    }
}

/// A process that takes memory as fast as it can takes this much a second; so soon has to be looked again.
const FASTEST: u64 = 4 << 30;

/// What looks may cost of the time: 1 in so many, at rest (the limit's as much as this process's) and when the end is near.
const AT_REST_COST: u32 = 2500;
const NEAR_COST: u32 = 20;

/// What they may cost beyond that once in a while.
const CREDIT: Duration = Duration::from_millis(10);

/// How far ahead the end counts as near.
const SOON: Duration = Duration::from_secs(10);

/// A child needs longer than this.
const RUSH: Duration = Duration::from_millis(500);

const SHORTEST: Duration = Duration::from_millis(2);
const AT_REST: Duration = Duration::from_millis(10);
const LONGEST: Duration = Duration::from_secs(1);

/// A larger limit's eighth is more than a dump has to begin before.
const MOST_BY_SHARE: u64 = 512 << 20;

/// Node.js's own heap alone needs more than a quarter of such a limit.
const SMALL: u64 = 256 << 20;

/// A process with less of the limit than one in so many is not who exhausts it, and has nothing to tell about it.
const SHARE: u64 = 8;

impl NearMemory {
    /// Whether the limit itself has to be read; else what this process has shows that it is still far.
    pub fn is_due(&self, own: OwnMemory, now: Instant) -> bool {
        let Some(last) = self.last else { return true };
        let grown = match last.room.is_address_space() {
            true => own.mapped.saturating_sub(last.own.mapped),
            false => own.resident.saturating_sub(last.own.resident),
        };
        let left = self.distance(last.room);
        let longest = if left < last.room.total / 4 { LONGEST / 4 } else { LONGEST };
        // Where many cores or an emulated /proc make it dear, it has to be rare; growth shows without it.
        let longest = if self.credit.is_zero() { longest.max(self.look_cost * AT_REST_COST) } else { longest };
        grown >= left / 4 || now.duration_since(last.at) >= longest
    }

    /// Takes a look into account.
    pub fn note(&mut self, look: Look) {
        let Look { at, room, .. } = look;
        if let Some(last) = self.last.filter(|last| last.room.by == room.by && last.room.total == room.total) {
            let seconds = at.duration_since(last.at).as_secs_f64().max(0.001);
            let now = (last.room.free.saturating_sub(room.free) as f64 / seconds) as u64;
            // A fast one that rests for one look is still a fast one.
            self.rate = now.max(self.rate / 2);
        }
        (self.last, self.looked) = (Some(look), true);
        let threshold = self.threshold(room);
        if room.free > threshold + threshold / 2 {
            self.dumped_at = None;
        }
    }

    /// Whether a dump is due by the last look.
    pub fn is_near(&self) -> bool {
        let Some(Look { own, room, .. }) = self.last else { return false };
        let threshold = self.threshold(room);
        let growing = time_for(room.free, self.rate) < SOON;
        let near = if growing { self.needed(room).clamp(threshold, room.total / 2) } else { threshold };
        let margin = (self.rate / 4).min(threshold / 2);
        let shares = room.is_address_space() || own.resident >= room.total / SHARE;
        shares && room.free < near.max(threshold + margin) && self.dumped_at.is_none_or(|at| room.free < at / 2)
    }

    /// Whether a child that writes needs what is left for itself.
    pub fn is_short(room: MemoryRoom) -> bool {
        room.free < 2 * reserve(room)
    }

    /// Whether the size of the heap matters already for when a dump is due, and may have changed since it was set.
    pub fn wants_heap(&self) -> bool {
        self.last.is_some_and(|Look { own, room, .. }| {
            let changed = self.heap_at.is_none_or(|at| own.resident.abs_diff(at) > room.total / 64);
            room.free < room.total / 2 && changed
        })
    }

    /// Sets how large the largest heap is that would be dumped.
    pub fn set_heap(&mut self, heap: Option<HeapEstimate>) {
        if let (Some(heap), Some(look)) = (heap, self.last) {
            (self.heap, self.heap_at) = (Some(heap), Some(look.own.resident));
        }
    }

    /// A dump has been taken, or tried, with so much left.
    pub fn dumped(&mut self, room: MemoryRoom) {
        self.dumped_at = Some(room.free);
    }

    /// Whether the process has to stand still for a child that writes: what it may take is all that is left, or would be gone before.
    pub fn has_to_wait(&self) -> bool {
        self.last.is_some_and(|Look { room, .. }| {
            let fits = self.heap.is_some_and(|heap| fork_needs(heap) + reserve(room) <= room.free);
            !fits || time_for(room.free, self.rate) < RUSH
        })
    }

    /// When to look again, be it at this process alone, after a look that took `cost` of CPU time and came `since` the one before.
    pub fn pause(&mut self, cost: Duration, since: Duration) -> Duration {
        let Some(Look { room, .. }) = self.last else { return LONGEST };
        self.credit = (self.credit + since / AT_REST_COST).min(CREDIT).saturating_sub(cost);
        if std::mem::take(&mut self.looked) {
            self.look_cost = cost;
        } else {
            self.glance_cost = cost;
        }
        let left = self.distance(room);
        let at_worst = time_for(left, FASTEST).clamp(AT_REST, LONGEST);
        let to_the_end = time_for(left, self.rate);
        if to_the_end < SOON {
            return at_worst.min(to_the_end / 8).max(SHORTEST).max(cost * NEAR_COST);
        }
        // As often as it should be, as long as little has been spent lately.
        if self.credit.is_zero() { at_worst.max(self.glance_cost * AT_REST_COST) } else { at_worst }
    }

    fn distance(&self, room: MemoryRoom) -> u64 {
        room.free.saturating_sub(self.threshold(room))
    }

    fn needed(&self, room: MemoryRoom) -> u64 {
        self.heap.map_or(0, |heap| fork_needs(heap).max(inline_needs(heap)) + reserve(room))
    }

    /// What has to be left for a dump: what a fork needs, in an eighth to a quarter of the limit (of a small one, three eighths).
    fn threshold(&self, room: MemoryRoom) -> u64 {
        let most = if room.total < SMALL { room.total / 8 * 3 } else { room.total / 4 };
        self.needed(room).clamp((room.total / 8).min(MOST_BY_SHARE), most)
    }
}

fn time_for(bytes: u64, per_second: u64) -> Duration {
    Duration::try_from_secs_f64(bytes as f64 / per_second as f64).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn look(at: Instant, resident: u64, free: u64) -> Look {
        let room = MemoryRoom { free: free * MB, total: 800 * MB, by: "the test's limit" };
        Look { at, own: OwnMemory { mapped: 2 * resident * MB, resident: resident * MB }, room }
    }

    #[test]
    fn a_dump_is_due_at_what_it_needs_once_for_each_approach() {
        let start = Instant::now();
        let at = |s| start + Duration::from_secs(s);
        let mut near = NearMemory::default();
        let is_near = |near: &mut NearMemory, look| {
            near.note(look);
            near.is_near()
        };
        assert!(!is_near(&mut near, look(start, 600, 110)), "an eighth is 100");
        assert!(near.wants_heap());
        near.set_heap(Some(HeapEstimate { used: 10 * MB, nodes: 60_000, large: 0 }));
        near.set_heap(None);
        assert!(!near.wants_heap(), "unchanged");
        assert!(!is_near(&mut near, look(at(100), 600, 130)), "10 + 34 + 32 + 50 of reserve are needed");
        assert!(is_near(&mut near, look(at(200), 600, 120)));
        near.dumped(look(start, 600, 120).room);
        assert!(!is_near(&mut near, look(at(300), 600, 70)));
        assert!(is_near(&mut near, look(at(400), 600, 55)), "half of what was left");
        near.dumped(look(start, 600, 55).room);
        assert!(!is_near(&mut near, look(at(500), 600, 300)));
        assert!(is_near(&mut near, look(at(600), 600, 100)), "after a recovery");
        assert!(!is_near(&mut NearMemory::default(), look(start, 90, 50)), "others in the group have taken it");
        near.set_heap(Some(HeapEstimate { used: 900 * MB, nodes: 20_000_000, large: 0 }));
        assert!(!is_near(&mut near, look(at(700), 500, 290)), "never above a quarter at rest");
    }

    #[test]
    fn who_grows_fast_is_dumped_earlier_and_looked_at_more_often() {
        let start = Instant::now();
        let mut near = NearMemory::default();
        let is_near = |near: &mut NearMemory, look| {
            near.note(look);
            near.is_near()
        };
        assert!(near.is_due(OwnMemory::default(), start));
        assert!(!is_near(&mut near, look(start, 100, 700)));
        assert!(!near.is_due(look(start, 200, 0).own, start) && near.is_due(look(start, 300, 0).own, start));
        assert!(near.is_due(look(start, 100, 0).own, start + LONGEST));
        let cost = Duration::from_micros(20);
        let at_rest = near.pause(cost, Duration::ZERO);
        assert!(at_rest >= AT_REST && at_rest <= LONGEST);
        // 600 MB could be gone in 150 ms; who looks as often, at a price, has to look less often in the end.
        assert!((0..100).any(|_| near.pause(cost * 100, at_rest) > LONGEST));
        assert!(!is_near(&mut near, look(start + Duration::from_secs(1), 400, 400)));
        let growing = near.pause(cost, at_rest);
        assert!(growing < at_rest && growing >= SHORTEST, "{growing:?}");
        assert!(is_near(&mut near, look(start + Duration::from_secs(2), 670, 140)), "the margin");
        near.set_heap(Some(HeapEstimate { used: 10 * MB, nodes: 20_000, large: 0 }));
        assert!(!near.has_to_wait(), "half a second, and 103 MB");
        is_near(&mut near, look(start + Duration::from_millis(2100), 720, 90));
        assert!(near.has_to_wait());
        assert!(near.pause(Duration::from_millis(1), at_rest) >= Duration::from_millis(20));
    }

    #[test]
    fn where_the_limit_is_dear_to_look_at_growth_is_seen_all_the_same() {
        let start = Instant::now();
        let mut near = NearMemory::default();
        let (dear, glance) = (Duration::from_millis(20), Duration::from_micros(20));
        near.note(look(start, 100, 700));
        let mut longest = near.pause(dear, Duration::ZERO);
        for _ in 0..10 {
            longest = longest.max(near.pause(glance, glance));
        }
        assert!(longest <= LONGEST, "{longest:?}");
        let later = |seconds| start + Duration::from_secs(seconds);
        assert!(!near.is_due(look(start, 100, 0).own, later(10)) && near.is_due(look(start, 100, 0).own, later(50)));
        assert!(near.is_due(look(start, 300, 0).own, later(2)));
    }
}
