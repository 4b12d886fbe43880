//! The table of V8's symbols: looked up once, each feature knowing whether it is there and why not.

use std::{
    ffi::{CStr, c_void},
    sync::OnceLock,
};

use crate::error::{Code, Error, Result};

/// What heaprs does through V8's own symbols; each needs a few of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Taking, serialising and deleting a heap snapshot.
    Snapshot,
    /// Forgetting the object ids that a snapshot leaves behind.
    ReleaseObjectIds,
    /// Callbacks before and after each garbage collection, with heap sizes.
    GcEvents,
    /// Asking V8 for a full collection.
    FullGc,
    /// Giving every object its id before a snapshot, so that a forked child finds the ids there.
    TrackObjectIds,
    /// The sizes of the heap's spaces.
    HeapSpaces,
    /// Raising the heap limit in a forked child.
    HeapLimit,
    /// Being asked before V8 gives up.
    NearHeapLimit,
    /// Running native code on an isolate's thread, asked for by another.
    Interrupts,
}

/// Raw addresses of V8's functions; a `None` was not exported by this executable.
///
/// They are kept as addresses and given their C++ signature where they are called, beside the reason why it fits.
#[derive(Debug)]
pub(super) struct Symbols {
    pub(super) isolate_get_current: Option<Address>,
    pub(super) isolate_get_heap_profiler: Option<Address>,
    pub(super) take_heap_snapshot: Option<Address>,
    pub(super) snapshot_serialize: Option<Address>,
    pub(super) snapshot_delete: Option<Address>,
    pub(super) clear_object_ids: Option<Address>,
    pub(super) add_gc_prologue: Option<Address>,
    pub(super) remove_gc_prologue: Option<Address>,
    pub(super) add_gc_epilogue: Option<Address>,
    pub(super) remove_gc_epilogue: Option<Address>,
    pub(super) get_heap_statistics: Option<Address>,
    pub(super) get_heap_space_statistics: Option<Address>,
    pub(super) low_memory_notification: Option<Address>,
    pub(super) memory_pressure_notification: Option<Address>,
    pub(super) adjust_external_memory: Option<Address>,
    pub(super) start_tracking_heap_objects: Option<Address>,
    pub(super) add_near_heap_limit: Option<Address>,
    pub(super) remove_near_heap_limit: Option<Address>,
    pub(super) restore_heap_limit_later: Option<Address>,
    pub(super) request_interrupt: Option<Address>,
}

/// The address of a function in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Address(pub(super) *const c_void);

// SAFETY: an address of code in the executable, which is never unloaded; sharing the number is harmless.
unsafe impl Send for Address {}
// SAFETY: as above.
unsafe impl Sync for Address {}

/// Why `feature` can't be used in this process, or `None` when it can.
///
/// `HEAPRS_V8_SYMBOLS=off`, read at the first call, makes heaprs behave as on a runtime that exports nothing.
pub fn unavailable(feature: Feature) -> Option<String> {
    static OFF: OnceLock<bool> = OnceLock::new();
    if *OFF.get_or_init(|| std::env::var_os("HEAPRS_V8_SYMBOLS").is_some_and(|v| v == "off")) {
        return Some("V8's symbols are switched off (HEAPRS_V8_SYMBOLS=off)".into());
    }
    if !cfg!(all(unix, target_pointer_width = "64")) {
        return Some("V8's symbols are only used on 64-bit Linux and macOS".into());
    }
    let s = symbols();
    let needs: &[(&str, Option<Address>)] = match feature {
        Feature::Snapshot => &[
            ("Isolate::GetCurrent", s.isolate_get_current),
            ("Isolate::GetHeapProfiler", s.isolate_get_heap_profiler),
            ("HeapProfiler::TakeHeapSnapshot", s.take_heap_snapshot),
            ("HeapSnapshot::Serialize", s.snapshot_serialize),
            ("HeapSnapshot::Delete", s.snapshot_delete),
        ],
        Feature::ReleaseObjectIds => &[
            ("Isolate::GetCurrent", s.isolate_get_current),
            ("Isolate::GetHeapProfiler", s.isolate_get_heap_profiler),
            ("HeapProfiler::ClearObjectIds", s.clear_object_ids),
        ],
        Feature::GcEvents => &[
            ("Isolate::GetCurrent", s.isolate_get_current),
            ("Isolate::AddGCPrologueCallback", s.add_gc_prologue),
            ("Isolate::RemoveGCPrologueCallback", s.remove_gc_prologue),
            ("Isolate::AddGCEpilogueCallback", s.add_gc_epilogue),
            ("Isolate::RemoveGCEpilogueCallback", s.remove_gc_epilogue),
            ("Isolate::GetHeapStatistics", s.get_heap_statistics),
        ],
        Feature::FullGc => &[
            ("Isolate::GetCurrent", s.isolate_get_current),
            ("Isolate::LowMemoryNotification", s.low_memory_notification),
            ("Isolate::MemoryPressureNotification", s.memory_pressure_notification),
        ],
        Feature::TrackObjectIds => &[
            ("Isolate::GetCurrent", s.isolate_get_current),
            ("Isolate::GetHeapProfiler", s.isolate_get_heap_profiler),
            ("HeapProfiler::StartTrackingHeapObjects", s.start_tracking_heap_objects),
        ],
        Feature::HeapSpaces => &[
            ("Isolate::GetCurrent", s.isolate_get_current),
            ("Isolate::GetHeapSpaceStatistics", s.get_heap_space_statistics),
        ],
        Feature::HeapLimit => &[
            ("Isolate::GetCurrent", s.isolate_get_current),
            ("Isolate::AddNearHeapLimitCallback", s.add_near_heap_limit),
        ],
        Feature::NearHeapLimit => &[
            ("Isolate::GetCurrent", s.isolate_get_current),
            ("Isolate::AddNearHeapLimitCallback", s.add_near_heap_limit),
            ("Isolate::RemoveNearHeapLimitCallback", s.remove_near_heap_limit),
            ("Isolate::GetHeapStatistics", s.get_heap_statistics),
            ("Isolate::GetHeapSpaceStatistics", s.get_heap_space_statistics),
        ],
        Feature::Interrupts => {
            &[("Isolate::GetCurrent", s.isolate_get_current), ("Isolate::RequestInterrupt", s.request_interrupt)]
        }
    };
    let missing: Vec<&str> = needs.iter().filter(|(_, a)| a.is_none()).map(|(name, _)| *name).collect();
    (!missing.is_empty()).then(|| format!("this runtime does not export v8::{}", missing.join(", v8::")))
}

/// Fails with [`Code::Unavailable`] and the reason when the feature is not there.
pub(super) fn require(feature: Feature) -> Result<&'static Symbols> {
    match unavailable(feature) {
        None => Ok(symbols()),
        Some(reason) => Err(Error::new(Code::Unavailable, reason)),
    }
}

fn symbols() -> &'static Symbols {
    static TABLE: OnceLock<Symbols> = OnceLock::new();
    TABLE.get_or_init(|| Symbols {
        isolate_get_current: find(c"_ZN2v87Isolate10GetCurrentEv"),
        isolate_get_heap_profiler: find(c"_ZN2v87Isolate15GetHeapProfilerEv"),
        take_heap_snapshot: find(
            c"_ZN2v812HeapProfiler16TakeHeapSnapshotEPNS_15ActivityControlEPNS0_18ObjectNameResolverEbb",
        )
        // Since V8 14 the (unused, null) resolver has another type; the call is the same.
        .or_else(|| {
            find(c"_ZN2v812HeapProfiler16TakeHeapSnapshotEPNS_15ActivityControlEPNS0_19ContextNameResolverEbb")
        }),
        snapshot_serialize: find(c"_ZNK2v812HeapSnapshot9SerializeEPNS_12OutputStreamENS0_19SerializationFormatE"),
        snapshot_delete: find(c"_ZN2v812HeapSnapshot6DeleteEv"),
        clear_object_ids: find(c"_ZN2v812HeapProfiler14ClearObjectIdsEv"),
        add_gc_prologue: find(
            c"_ZN2v87Isolate21AddGCPrologueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_S2_",
        ),
        remove_gc_prologue: find(
            c"_ZN2v87Isolate24RemoveGCPrologueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_",
        ),
        add_gc_epilogue: find(
            c"_ZN2v87Isolate21AddGCEpilogueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_S2_",
        ),
        remove_gc_epilogue: find(
            c"_ZN2v87Isolate24RemoveGCEpilogueCallbackEPFvPS0_NS_6GCTypeENS_15GCCallbackFlagsEPvES4_",
        ),
        get_heap_statistics: find(c"_ZN2v87Isolate17GetHeapStatisticsEPNS_14HeapStatisticsE"),
        get_heap_space_statistics: find(c"_ZN2v87Isolate22GetHeapSpaceStatisticsEPNS_19HeapSpaceStatisticsEm"),
        low_memory_notification: find(c"_ZN2v87Isolate21LowMemoryNotificationEv"),
        memory_pressure_notification: find(c"_ZN2v87Isolate26MemoryPressureNotificationENS_19MemoryPressureLevelE"),
        // An `int64_t` is a `long` to Linux and a `long long` to macOS.
        adjust_external_memory: find(c"_ZN2v87Isolate37AdjustAmountOfExternalAllocatedMemoryEl")
            .or_else(|| find(c"_ZN2v87Isolate37AdjustAmountOfExternalAllocatedMemoryEx")),
        start_tracking_heap_objects: find(c"_ZN2v812HeapProfiler24StartTrackingHeapObjectsEb"),
        add_near_heap_limit: find(c"_ZN2v87Isolate24AddNearHeapLimitCallbackEPFmPvmmES1_"),
        remove_near_heap_limit: find(c"_ZN2v87Isolate27RemoveNearHeapLimitCallbackEPFmPvmmEm"),
        restore_heap_limit_later: find(c"_ZN2v87Isolate36AutomaticallyRestoreInitialHeapLimitEd"),
        request_interrupt: find(c"_ZN2v87Isolate16RequestInterruptEPFvPS0_PvES2_"),
    })
}

#[cfg(unix)]
pub(super) fn find(name: &CStr) -> Option<Address> {
    // SAFETY: dlsym with RTLD_DEFAULT only searches what is loaded; `name` is a C string that outlives the call.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(Address(address))
}

#[cfg(not(unix))]
pub(super) fn find(_name: &CStr) -> Option<Address> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outside_node_every_feature_says_what_is_missing() {
        for feature in [
            Feature::Snapshot,
            Feature::ReleaseObjectIds,
            Feature::GcEvents,
            Feature::FullGc,
            Feature::TrackObjectIds,
            Feature::HeapSpaces,
            Feature::HeapLimit,
            Feature::NearHeapLimit,
            Feature::Interrupts,
        ] {
            let reason = unavailable(feature).expect("cargo test runs in no Node.js");
            assert!(reason.contains("v8::") || reason.contains("64-bit"), "{reason}");
            assert_eq!(require(feature).unwrap_err().code, Code::Unavailable);
        }
    }
}
