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
    /// Bytes used before.
    pub used_before: u64,
    /// Bytes used after. After a full collection, what lives.
    pub used_after: u64,
    /// What of `used_after` is in the new space, where it is known: garbage of the last moment.
    pub young: Option<u64>,
    /// Where V8 gives up.
    pub heap_limit: u64,
    /// Off-heap bytes that V8 knows of, before.
    pub external_before: u64,
    /// And after. A full collection frees array buffers a little later, on another thread.
    pub external: u64,
}

impl Observation {
    /// Whether it tells what lives on the heap.
    pub fn is_full(&self) -> bool {
        self.kind == Some(GcKind::MarkSweepCompact)
    }

    /// No more than this lives in the old generation.
    pub fn old(&self) -> u64 {
        self.used_after.saturating_sub(self.young.unwrap_or(0))
    }
}
