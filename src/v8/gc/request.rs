//! Asking V8 for a full collection, outside of any GC callback.

use std::{
    ffi::{c_int, c_void},
    sync::atomic::Ordering,
};

use super::{GcWatch, Isolate, field};
use crate::{
    error::Result,
    v8::symbols::{Feature, require},
};

/// How hard V8 is asked to collect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pressure {
    /// Starts incremental marking, with the aim of giving memory back: the final pause also moves objects, and shrinks the new space.
    Moderate,
    /// One full collection, at once: a pause of about half a millisecond for each megabyte that lives.
    Critical,
}

/// V8 begins to mark once off-heap memory has grown by 64 MB since the last full collection.
const MARKS_AT: i64 = (64 << 20) + 1;

impl GcWatch {
    /// Lets V8 begin now the incremental marking that it would begin by itself later: steps of about a millisecond, a short final pause. Where
    /// it can't be had, [`Pressure::Moderate`].
    pub fn begin_marking(&self) -> Result<()> {
        // V8 that marks already would use the occasion for a long step. Asked the other way it does nothing.
        if !self.is_marking() && self.grow_off_heap_for_a_moment() {
            return Ok(());
        }
        self.isolate.memory_pressure(Pressure::Moderate)
    }

    /// One full collection, at once: [`Pressure::Critical`].
    pub fn collect(&self) -> Result<()> {
        self.isolate.memory_pressure(Pressure::Critical)
    }

    fn is_marking(&self) -> bool {
        self.shared.marking.load(Ordering::Relaxed)
    }

    /// Tells V8 of off-heap memory that comes and goes, which makes it collect as it does for itself. True when it has begun.
    fn grow_off_heap_for_a_moment(&self) -> bool {
        let Some(address) = self.symbols.adjust_external_memory else { return false };
        let isolate = self.isolate.raw.as_ptr();
        let sizes = self.shared.sizes(isolate);
        // From half of the heap's limit on V8 would collect at once, as hard as it can.
        let external = sizes[field::EXTERNAL].saturating_add(MARKS_AT.cast_unsigned());
        if external > sizes[field::LIMIT] / 3 {
            return false;
        }
        let before = self.last_full();
        // SAFETY: the symbol is `int64_t v8::Isolate::AdjustAmountOfExternalAllocatedMemory(int64_t)`, a public non-virtual member. We are on
        // the isolate's thread, outside of its callbacks; what is added is taken away again.
        unsafe {
            let adjust: extern "C" fn(*mut c_void, i64) -> i64 = std::mem::transmute(address.0);
            adjust(isolate, MARKS_AT);
            adjust(isolate, -MARKS_AT);
        }
        self.is_marking() || self.last_full() > before
    }
}

impl Isolate {
    /// Asks V8 for a full collection.
    pub fn memory_pressure(self, pressure: Pressure) -> Result<()> {
        let address = require(Feature::FullGc)?.memory_pressure_notification.expect("the feature lists it");
        let level = match pressure {
            Pressure::Moderate => 1,
            Pressure::Critical => 2,
        };
        // SAFETY: the symbol is `void v8::Isolate::MemoryPressureNotification(MemoryPressureLevel)`, a public non-virtual
        // member; the level is an enum kNone, kModerate, kCritical. We are on the isolate's thread.
        unsafe {
            let notify: extern "C" fn(*mut c_void, c_int) = std::mem::transmute(address.0);
            notify(self.raw.as_ptr(), level);
        }
        Ok(())
    }
}
