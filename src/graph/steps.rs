//! How long loops hear in time that they should stop.

use std::ops::Range;

use crate::{error::Result, progress::Progress};

/// Steps between two looks at the clock and the cancellation, a power of two: under a millisecond of work.
const EVERY: u32 = 1 << 15;

/// One phase of work, reporting as it goes.
pub(crate) struct Steps<'a> {
    progress: &'a Progress,
    phase: &'static str,
    total: u64,
    done: u64,
}

impl<'a> Steps<'a> {
    /// Starts a phase of `total` units.
    pub(crate) fn start(progress: &'a Progress, phase: &'static str, total: u64) -> Result<Self> {
        progress.report(phase, 0, total)?;
        Ok(Steps { progress, phase, total, done: 0 })
    }

    /// Counts one unit as done.
    #[inline]
    pub(crate) fn one(&mut self) -> Result<()> {
        self.done += 1;
        if self.done & u64::from(EVERY - 1) == 0 { self.tell() } else { Ok(()) }
    }

    /// Called with every edge that a loop looks at, whatever the order: one in many makes it look whether to go on.
    /// Without it, a node with ten million edges would be one long step.
    #[inline]
    pub(crate) fn edge(&self, edge: u32) -> Result<()> {
        if edge & (EVERY - 1) == 0 { self.progress.check() } else { Ok(()) }
    }

    /// Whether to go on.
    pub(crate) fn check(&self) -> Result<()> {
        self.progress.check()
    }

    /// The phase is over.
    pub(crate) fn finish(self) -> Result<()> {
        self.progress.report(self.phase, self.total, self.total)
    }

    #[cold]
    fn tell(&self) -> Result<()> {
        self.progress.report(self.phase, self.done.min(self.total), self.total)
    }
}

/// `0..len` in pieces, for loops that are too tight to count each step.
pub(crate) fn pieces(len: u32) -> impl Iterator<Item = Range<u32>> {
    (0..len).step_by(EVERY as usize).map(move |start| start..start.saturating_add(EVERY).min(len))
}
