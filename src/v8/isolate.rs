//! The isolate of the calling thread.

use std::{ffi::c_void, marker::PhantomData, ptr::NonNull};

use super::symbols::{Feature, Symbols, require};
use crate::error::{Code, Error, Result};

/// V8's isolate of the current JavaScript thread.
///
/// Neither `Send` nor `Sync`: V8 may only be called on the thread that has entered the isolate, and a value of this
/// type only comes from [`Isolate::current`] on that thread. It must not be kept beyond the native call that made it.
#[derive(Clone, Copy)]
pub struct Isolate {
    pub(super) raw: NonNull<c_void>,
    _thread_bound: PhantomData<*const ()>,
}

impl Isolate {
    /// The isolate this thread runs JavaScript in; fails with [`Code::Unavailable`] outside of one.
    pub fn current(feature: Feature) -> Result<Self> {
        let address = require(feature)?.isolate_get_current.expect("every feature lists it");
        // SAFETY: the symbol is `static v8::Isolate* v8::Isolate::GetCurrent()`: no arguments, returns a pointer; it
        // reads a thread-local and may be called on any thread.
        let raw = unsafe {
            let get_current: extern "C" fn() -> *mut c_void = std::mem::transmute(address.0);
            get_current()
        };
        NonNull::new(raw)
            .map(|raw| Isolate { raw, _thread_bound: PhantomData })
            .ok_or_else(|| Error::new(Code::Unavailable, "this thread runs no JavaScript"))
    }

    /// Forgets the ids V8 has given to heap objects and stops tracking their moves, which any snapshot starts and which
    /// makes allocation several times slower. Object ids of later snapshots don't match those of earlier ones.
    pub fn clear_object_ids(self) -> Result<()> {
        let symbols = require(Feature::ReleaseObjectIds)?;
        let address = symbols.clear_object_ids.expect("the feature lists it");
        let profiler = self.heap_profiler(symbols);
        // SAFETY: the symbol is `void v8::HeapProfiler::ClearObjectIds()`, a non-virtual member whose only argument is
        // `this`; `profiler` is this isolate's, and we are on its thread (see the type).
        unsafe {
            let clear: extern "C" fn(*mut c_void) = std::mem::transmute(address.0);
            clear(profiler.as_ptr());
        }
        Ok(())
    }

    /// Gives every object its id and tracks their moves from now on, as a snapshot would: a tenth of a snapshot's time. Undone by
    /// [`clear_object_ids`](Self::clear_object_ids).
    pub fn track_object_ids(self) -> Result<()> {
        let symbols = require(Feature::TrackObjectIds)?;
        let address = symbols.start_tracking_heap_objects.expect("the feature lists it");
        let profiler = self.heap_profiler(symbols);
        // SAFETY: the symbol is `void v8::HeapProfiler::StartTrackingHeapObjects(bool track_allocations)`, a non-virtual member;
        // `profiler` is this isolate's, and we are on its thread.
        unsafe {
            let start: extern "C" fn(*mut c_void, bool) = std::mem::transmute(address.0);
            start(profiler.as_ptr(), false);
        }
        Ok(())
    }

    /// In a forked child: lets the heap grow past its limit, so that the walk is not what ends at it.
    pub fn lift_heap_limit(self) -> Result<()> {
        extern "C" fn twice(_data: *mut c_void, current: usize, _initial: usize) -> usize {
            current.saturating_add(current.max(1 << 30))
        }
        let address = require(Feature::HeapLimit)?.add_near_heap_limit.expect("the feature lists it");
        // SAFETY: the symbol is `void v8::Isolate::AddNearHeapLimitCallback(size_t (*)(void*, size_t, size_t), void* data)`,
        // non-virtual; V8 asks the callback added last, and ours uses no data.
        unsafe {
            type Callback = extern "C" fn(*mut c_void, usize, usize) -> usize;
            let add: extern "C" fn(*mut c_void, Callback, *mut c_void) = std::mem::transmute(address.0);
            add(self.raw.as_ptr(), twice, std::ptr::null_mut());
        }
        Ok(())
    }

    /// A full garbage collection, now. Blocks for as long as V8's own major collections do, and gives back what it can.
    pub fn collect_garbage(self) -> Result<()> {
        let address = require(Feature::FullGc)?.low_memory_notification.expect("the feature lists it");
        // SAFETY: the symbol is `void v8::Isolate::LowMemoryNotification()`, a public non-virtual member whose only
        // argument is `this`; we are on the isolate's thread and outside of any GC callback.
        unsafe {
            let notify: extern "C" fn(*mut c_void) = std::mem::transmute(address.0);
            notify(self.raw.as_ptr());
        }
        Ok(())
    }

    pub(super) fn heap_profiler(self, symbols: &Symbols) -> NonNull<c_void> {
        let address = symbols.isolate_get_heap_profiler.expect("the caller's feature lists it");
        // SAFETY: the symbol is `v8::HeapProfiler* v8::Isolate::GetHeapProfiler()`, a non-virtual member whose only
        // argument is `this`.
        let raw = unsafe {
            let get: extern "C" fn(*mut c_void) -> *mut c_void = std::mem::transmute(address.0);
            get(self.raw.as_ptr())
        };
        NonNull::new(raw).expect("V8 makes the heap profiler with the isolate")
    }
}
