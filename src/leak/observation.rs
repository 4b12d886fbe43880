//! What the detector is told: garbage collections and sizes, with the time they were seen at.

use std::time::Duration;

/// Which collection it was, in the words of the `gc` event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GcKind {
    /// The young generation, by copying.
    Scavenge,
    /// The young generation, by marking (`--minor-ms`).
    MinorMarkSweep,
    /// The whole heap: what is left is what lives.
    MarkSweepCompact,
    /// V8 began to mark in steps; nothing has been freed yet.
    IncrementalMarking,
    /// Weak callbacks are being called.
    WeakCallbacks,
}

impl GcKind {
    /// From V8's `GCType`, one bit. An unknown one is taken for the least telling.
    pub fn from_v8(gc_type: u32) -> Self {
        match gc_type {
            1 => GcKind::Scavenge,
            2 => GcKind::MinorMarkSweep,
            4 => GcKind::MarkSweepCompact,
            8 => GcKind::IncrementalMarking,
            _ => GcKind::WeakCallbacks,
        }
    }

    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            GcKind::Scavenge => "scavenge",
            GcKind::MinorMarkSweep => "minor-mark-sweep",
            GcKind::MarkSweepCompact => "mark-sweep-compact",
            GcKind::IncrementalMarking => "incremental-marking",
            GcKind::WeakCallbacks => "weak-callbacks",
        }
    }
}

/// One collection; or, without a `kind`, sizes taken at a moment when there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Since any fixed moment, the same for all observations of a detector.
    pub at: Duration,
    /// `None`: a sample between collections.
    pub kind: Option<GcKind>,
    /// How long JavaScript stood still.
    pub pause: Duration,
    /// Bytes used before, where that is known.
    pub used_before: Option<u64>,
    /// Bytes used after. After a full collection, what lives.
    pub used_after: u64,
    /// What of `used_after` is in the new space, where it is known: garbage of the last moment.
    pub young: Option<u64>,
    /// What the new space then had room for until its next collection, where it is known.
    pub young_room: Option<u64>,
    /// Where V8 gives up.
    pub heap_limit: u64,
    /// Off-heap bytes that V8 knows of, after. A full collection frees array buffers a little later, on another thread.
    pub external: u64,
}

impl Observation {
    /// Whether it tells what lives on the heap.
    pub fn is_full(&self) -> bool {
        self.kind == Some(GcKind::MarkSweepCompact)
    }

    /// Bytes allocated since `last`. Where it is not known what was used before, it is taken to be what the new space had room for, half of
    /// it on the way to a full collection, which comes at any moment; and in any case what has stayed.
    pub fn allocated_since(&self, last: &Observation) -> u64 {
        let stayed = self.used_after.saturating_sub(last.used_after);
        let room = last.young_room.unwrap_or(0);
        match (self.used_before, self.kind) {
            (Some(before), _) => before.saturating_sub(last.used_after),
            (None, Some(GcKind::Scavenge | GcKind::MinorMarkSweep)) => stayed.max(room),
            (None, Some(GcKind::MarkSweepCompact)) => stayed.max(room / 2),
            (None, _) => stayed,
        }
    }

    /// No more than this lives, as far as a collection is worth asking for: in the old generation. Where none has come for a while, what is
    /// young may have come to stay.
    pub fn bound(&self) -> u64 {
        if self.kind.is_none() { self.used_after } else { self.old() }
    }

    /// No more than this lives in the old generation.
    pub fn old(&self) -> u64 {
        self.used_after.saturating_sub(self.young.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_allocated_is_known_or_estimated() {
        let seen = |kind, used_before, used_after| Observation {
            at: Duration::ZERO,
            kind,
            pause: Duration::ZERO,
            used_before,
            used_after,
            young: None,
            young_room: Some(16),
            heap_limit: 1000,
            external: 0,
        };
        let allocated =
            |kind, used_before, used_after| seen(kind, used_before, used_after).allocated_since(&seen(None, None, 100));
        let [young, full] = [GcKind::Scavenge, GcKind::MarkSweepCompact].map(Some);
        assert_eq!([allocated(young, Some(120), 90), allocated(full, Some(95), 90)], [20, 0], "known");
        assert_eq!(
            [allocated(young, None, 90), allocated(young, None, 130)],
            [16, 30],
            "what fits, or what has stayed"
        );
        assert_eq!([allocated(full, None, 90), allocated(full, None, 110)], [8, 10]);
        assert_eq!([allocated(None, None, 107), allocated(Some(GcKind::WeakCallbacks), None, 90)], [7, 0]);
    }
}
