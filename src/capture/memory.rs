//! Whether memory allows a fork, and when a walk has to end, in a child or in this process, because it no longer does.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use crate::{
    error::{Code, Error, Result},
    os::{self, MemoryRoom},
    v8::HeapEstimate,
};

/// What V8's own structures of a snapshot take, for each node.
///
/// Measured: 350 to 850 where no array is long. Each element of a long array takes another kilobyte while V8 is at it, and what is a long array among
/// large objects is not known: heaps of 25 MB took between 50 MB and 3.2 GB. So this can be no upper bound, and an estimate that was one would refuse nearly
/// every fork, which is the one way to find out that hurts nobody: the child is watched, and ended in time ([`shortage`]).
const BYTES_PER_NODE: u64 = 600;

/// For everything else.
const SLACK: u64 = 32 << 20;

/// Checks a fork beforehand; returns what the child may map beyond what it inherits.
///
/// The child's collector writes to most pages of the heap, which copies them; V8's structures come on top.
pub(in crate::capture) fn plan(
    heap: Option<HeapEstimate>,
    room: Option<MemoryRoom>,
    ignore: bool,
) -> Result<Option<u64>> {
    let (Some(heap), Some(room)) = (heap, room) else { return Ok(None) };
    let needed = fork_needs(heap);
    let usable = room.free.saturating_sub(reserve(room));
    if needed > usable && !ignore {
        return Err(Error::new(
            Code::MemoryBudget,
            format!(
                "a fork would need up to {} MB and {} MB are left under {}; a fork all the same: mode 'fork'",
                needed >> 20,
                usable >> 20,
                room.by
            ),
        ));
    }
    Ok(Some(usable.saturating_sub(heap.used).max(needed / 2)))
}

/// What a child may take, at the most.
pub(in crate::capture) fn fork_needs(heap: HeapEstimate) -> u64 {
    heap.used + heap.nodes * BYTES_PER_NODE + SLACK
}

/// Why the child has to go: memory has become short for everybody.
pub(in crate::capture) fn shortage(room: MemoryRoom) -> Option<Error> {
    (room.free < reserve(room)).then(|| {
        Error::new(
            Code::MemoryBudget,
            format!(
                "the child process that walked the heap was ended: only {} MB are left under {}",
                room.free >> 20,
                room.by
            ),
        )
    })
}

/// Whether a child that something has ended was short of memory, by the narrowest room there was: the kernel comes before the watch where that gets no
/// turn, and V8 ends a process that may map no more.
pub(in crate::capture) fn was_short(narrowest: MemoryRoom) -> bool {
    narrowest.free < reserve(narrowest).saturating_mul(4)
}

static TOO_SHORT: AtomicBool = AtomicBool::new(false);

/// What the last child has found out: whether memory is too short for a walk.
pub(in crate::capture) fn found_too_short(is_short: bool) {
    TOO_SHORT.store(is_short, Ordering::Relaxed);
}

/// When to look at memory again, while a child takes it: at 10 ms by 20 MB, which is faster than a walk has been seen to.
pub(in crate::capture) fn look_again_in(room: MemoryRoom) -> Duration {
    let reserve = reserve(room);
    match room.free {
        free if free < reserve.saturating_mul(2) => Duration::from_millis(2),
        free if free < reserve.saturating_mul(8) => Duration::from_millis(10),
        _ => Duration::from_millis(100),
    }
}

/// Looks at memory now and then, while this process walks its own heap.
pub(in crate::capture) struct Watch {
    looked: Instant,
    /// What the longest array may take.
    array: u64,
}

/// How often.
const INTERVAL: Duration = Duration::from_millis(10);

/// V8's two tables of all nodes double at about the same time, between two of its calls: each takes up to 60 bytes a node more (Node.js 26: 100 MB at the
/// millionth node, all of it within 40 ms), and the old one goes only afterwards.
const BYTES_IN_TABLES: u64 = 96;

impl Watch {
    /// `is_short` is what the caller knows; what a child has found out counts as well.
    pub(in crate::capture) fn new(heap: Option<HeapEstimate>, is_short: bool) -> Self {
        let is_short = is_short || TOO_SHORT.load(Ordering::Relaxed);
        let array = heap.filter(|_| is_short).map_or(0, longest_array);
        Watch { looked: Instant::now(), array }
    }

    /// Why the walk of a heap of so many nodes has to end, before the system ends the process. Cheap enough for every call of V8's.
    pub(in crate::capture) fn shortage(&mut self, nodes: u32) -> Option<Error> {
        if self.looked.elapsed() < INTERVAL {
            return None;
        }
        self.looked = Instant::now();
        os::memory_room().and_then(|room| inline_shortage(room, self.array + u64::from(nodes) * BYTES_IN_TABLES))
    }
}

/// V8 keeps a kilobyte for the name of each element of the longest array (measured: 400,000 elements, 450 MB), all within one object's turn.
const BYTES_PER_ELEMENT: u64 = 1024;

/// What a walk with a long array in it may take: its largest step and what else there is.
pub(in crate::capture) fn inline_needs(heap: HeapEstimate) -> u64 {
    heap.used + longest_array(heap) + heap.nodes * BYTES_PER_NODE
}

/// What is a long array among large objects is not known, so that heaps with long strings seem to need far more than they do.
fn longest_array(heap: HeapEstimate) -> u64 {
    heap.large / size_of::<u64>() as u64 * BYTES_PER_ELEMENT
}

/// V8 asks no more once it has walked the heap: `step` bytes must be there at any time.
fn inline_shortage(room: MemoryRoom, step: u64) -> Option<Error> {
    (room.free < reserve(room) / 2 + step).then(|| {
        Error::new(
            Code::MemoryBudget,
            format!(
                "the snapshot was given up before the process ran out of memory: only {} MB are left under {}",
                room.free >> 20,
                room.by
            ),
        )
    })
}

/// What stays untouched: a sixteenth, within bounds.
pub(in crate::capture) fn reserve(room: MemoryRoom) -> u64 {
    (room.total / 16).clamp(16 << 20, 256 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn room(free: u64, total: u64) -> MemoryRoom {
        MemoryRoom { free: free * MB, total: total * MB, by: "the test's limit" }
    }

    #[test]
    fn a_fork_must_fit() {
        let heap = Some(HeapEstimate { used: 80 * MB, nodes: 2_000_000, large: 0 });
        assert_eq!(plan(heap, None, false).unwrap(), None);
        assert!(plan(heap, Some(room(4000, 8000)), false).unwrap().unwrap() > 2_000_000 * 600);
        let error = plan(heap, Some(room(600, 1024)), false).unwrap_err();
        assert_eq!(error.code, Code::MemoryBudget);
        assert!(error.message.contains("1256 MB") && error.message.contains("536 MB"), "{}", error.message);
        assert!(plan(heap, Some(room(600, 1024)), true).is_ok(), "asked for");
    }

    #[test]
    fn a_child_goes_before_the_limit_is_reached() {
        assert_eq!(shortage(room(20, 512)).unwrap().code, Code::MemoryBudget);
        assert!(shortage(room(40, 512)).is_none());
        assert!(was_short(room(100, 512)) && !was_short(room(200, 512)));
        let looks = [40, 100, 400].map(|free| look_again_in(room(free, 512)).as_millis());
        assert_eq!(looks, [2, 10, 100]);
        assert!(inline_shortage(room(15, 512), 0).is_some() && inline_shortage(room(20, 512), 0).is_none());
        assert!(inline_shortage(room(100, 512), 90 * MB).is_some());
        let array = HeapEstimate { used: 33 * MB, nodes: 800_000, large: 400_000 * 8 };
        assert!(longest_array(array) > 380 * MB, "what an array of 400,000 elements was seen to take");
    }
}
