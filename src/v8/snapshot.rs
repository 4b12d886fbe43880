//! V8's own heap snapshot: taken, serialised into a Rust closure, deleted.

use std::{
    any::Any,
    ffi::{c_int, c_void},
    marker::PhantomData,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    ptr::{self, NonNull},
};

use super::{
    Isolate,
    symbols::{Feature, require},
};
use crate::error::{Code, Error, Result};

/// The two options of `v8.writeHeapSnapshot`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakeOptions {
    /// Show V8's internal objects (`exposeInternals`).
    pub expose_internals: bool,
    /// Numbers become nodes of their own (`exposeNumericValues`).
    pub expose_numeric_values: bool,
}

/// A snapshot in V8's memory (about 500 bytes a node), deleted when dropped.
///
/// It lives in the heap profiler of the isolate, so it is as bound to the thread as the [`Isolate`] it came from.
pub struct HeapSnapshot {
    raw: NonNull<c_void>,
    _thread_bound: PhantomData<*const ()>,
}

/// Hears how far the heap walk is, and says whether to go on.
type Watcher<'a> = dyn FnMut(u32, u32) -> ControlFlow<()> + 'a;
/// Takes a piece of the snapshot's text, and says whether to go on.
type Sink<'a> = dyn FnMut(&[u8]) -> ControlFlow<()> + 'a;

/// How much V8 gives to one call of the sink, in bytes.
const CHUNK: c_int = 64 * 1024;

impl Isolate {
    /// Walks the heap. JavaScript stands still until it is done: about 3 s for a million nodes.
    ///
    /// `progress(done, total)` is called now and then, in V8's own units; `Break` ends the walk with
    /// [`Code::Aborted`]. A panic of `progress` is passed on once V8 has returned.
    pub fn take_heap_snapshot(self, options: TakeOptions, progress: &mut Watcher<'_>) -> Result<HeapSnapshot> {
        let symbols = require(Feature::Snapshot)?;
        let address = symbols.take_heap_snapshot.expect("the feature lists it");
        let profiler = self.heap_profiler(symbols);
        let mut control =
            ActivityControl { vtable: ACTIVITY_CONTROL.pointer(), callback: Callback::new(progress), stopped: false };
        // SAFETY: the symbol is `const HeapSnapshot* HeapProfiler::TakeHeapSnapshot(ActivityControl*,
        // {Object,Context}NameResolver*, bool hide_internals, bool capture_numeric_value)`, non-virtual. `control` has the
        // layout of a C++ object with that vtable and outlives the call; V8 does not keep it. The resolver may be null.
        // We are on the isolate's thread, inside a native call (so a HandleScope is open).
        let raw = unsafe {
            type Take = extern "C" fn(*mut c_void, *mut ActivityControl<'_>, *mut c_void, bool, bool) -> *mut c_void;
            let take: Take = std::mem::transmute(address.0);
            let hide_internals = !options.expose_internals;
            take(profiler.as_ptr(), &raw mut control, ptr::null_mut(), hide_internals, options.expose_numeric_values)
        };
        let snapshot = NonNull::new(raw).map(|raw| HeapSnapshot { raw, _thread_bound: PhantomData });
        control.callback.rethrow();
        match snapshot {
            _ if control.stopped => Err(Error::new(Code::Aborted, "the heap walk was stopped")),
            Some(snapshot) => Ok(snapshot),
            None => Err(Error::new(Code::CaptureFailed, "V8 returned no snapshot")),
        }
    }
}

impl HeapSnapshot {
    /// Writes the snapshot's JSON text to `sink`, piece by piece, in this call and on this thread.
    ///
    /// `Break` ends it with [`Code::Aborted`]. A panic of `sink` is passed on once V8 has returned.
    pub fn serialize(&self, sink: &mut Sink<'_>) -> Result<()> {
        let address = require(Feature::Snapshot)?.snapshot_serialize.expect("the feature lists it");
        let mut stream = OutputStream {
            vtable: OUTPUT_STREAM.pointer(),
            callback: Callback::new(sink),
            stopped: false,
            ended: false,
        };
        // SAFETY: the symbol is `void HeapSnapshot::Serialize(OutputStream*, SerializationFormat) const`, non-virtual;
        // `self.raw` is a live snapshot; `stream` has the layout of a C++ object with that vtable, outlives the call
        // and is not kept. Format 0 is kJSON, the only one there is.
        unsafe {
            let serialize: extern "C" fn(*mut c_void, *mut OutputStream<'_>, c_int) = std::mem::transmute(address.0);
            serialize(self.raw.as_ptr(), &raw mut stream, 0);
        }
        stream.callback.rethrow();
        match (stream.stopped, stream.ended) {
            (true, _) => Err(Error::new(Code::Aborted, "writing the snapshot was stopped")),
            (false, true) => Ok(()),
            (false, false) => Err(Error::new(Code::CaptureFailed, "V8 ended the snapshot early")),
        }
    }
}

impl Drop for HeapSnapshot {
    fn drop(&mut self) {
        let Ok(symbols) = require(Feature::Snapshot) else { return };
        let address = symbols.snapshot_delete.expect("the feature lists it");
        // SAFETY: the symbol is `void HeapSnapshot::Delete()`, non-virtual; `self.raw` is a live snapshot that nobody
        // uses after this, and we are still on its isolate's thread because the type is bound to it.
        unsafe {
            let delete: extern "C" fn(*mut c_void) = std::mem::transmute(address.0);
            delete(self.raw.as_ptr());
        }
    }
}

/// A closure called from C++, with the panic that must not unwind through it.
struct Callback<'a, F: ?Sized> {
    function: &'a mut F,
    panic: Option<Box<dyn Any + Send>>,
}

impl<'a, F: ?Sized> Callback<'a, F> {
    fn new(function: &'a mut F) -> Self {
        Callback { function, panic: None }
    }

    fn call(&mut self, run: impl FnOnce(&mut F) -> ControlFlow<()>) -> ControlFlow<()> {
        if self.panic.is_some() {
            return ControlFlow::Break(());
        }
        catch_unwind(AssertUnwindSafe(|| run(self.function))).unwrap_or_else(|panic| {
            self.panic = Some(panic);
            ControlFlow::Break(())
        })
    }

    fn rethrow(&mut self) {
        if let Some(panic) = self.panic.take() {
            resume_unwind(panic);
        }
    }
}

/// What V8's two callback enums agree on.
const CONTINUE: c_int = 0;
const ABORT: c_int = 1;

/// `v8::ActivityControl` in the Itanium C++ layout: the vtable pointer first, our data behind it.
#[repr(C)]
struct ActivityControl<'a> {
    vtable: *const c_void,
    callback: Callback<'a, Watcher<'a>>,
    stopped: bool,
}

extern "C" fn report_progress_value(this: *mut ActivityControl<'_>, done: u32, total: u32) -> c_int {
    // SAFETY: V8 passes back the object that `take_heap_snapshot` gave it, still alive there and borrowed by nobody else.
    let this = unsafe { &mut *this };
    if this.callback.call(|progress| progress(done, total)).is_break() {
        this.stopped = true;
    }
    if this.stopped { ABORT } else { CONTINUE }
}

/// `v8::OutputStream`, alike.
#[repr(C)]
struct OutputStream<'a> {
    vtable: *const c_void,
    callback: Callback<'a, Sink<'a>>,
    stopped: bool,
    ended: bool,
}

extern "C" fn end_of_stream(this: *mut OutputStream<'_>) {
    // SAFETY: as in `report_progress_value`, for the stream that `serialize` gave.
    unsafe { (*this).ended = true };
}

extern "C" fn get_chunk_size(_this: *mut OutputStream<'_>) -> c_int {
    CHUNK
}

extern "C" fn write_ascii_chunk(this: *mut OutputStream<'_>, data: *const u8, size: c_int) -> c_int {
    // SAFETY: as in `report_progress_value`, for the stream that `serialize` gave.
    let this = unsafe { &mut *this };
    let size = usize::try_from(size).unwrap_or(0);
    // SAFETY: V8 passes `size` readable bytes at `data` that stay as they are during this call.
    let chunk = unsafe { std::slice::from_raw_parts(data, size) };
    if this.callback.call(|sink| sink(chunk)).is_break() {
        this.stopped = true;
    }
    if this.stopped { ABORT } else { CONTINUE }
}

extern "C" fn write_heap_stats_chunk(_this: *mut OutputStream<'_>, _data: *const c_void, _count: c_int) -> c_int {
    ABORT // only the object-tracking stream has such chunks; Serialize never calls it
}

extern "C" fn destructor(_this: *mut c_void) {
    // V8 does not own these objects; the slots are there because C++ reserves them.
}

/// A vtable in the Itanium layout: offset to top, type info, then the virtual functions (two destructors first). An
/// object's vtable pointer points at the first function.
#[repr(C)]
struct Vtable<const N: usize> {
    offset_to_top: isize,
    type_info: *const c_void,
    functions: [*const c_void; N],
}

// SAFETY: addresses of functions and a null pointer, all constant.
unsafe impl<const N: usize> Sync for Vtable<N> {}

impl<const N: usize> Vtable<N> {
    fn pointer(&'static self) -> *const c_void {
        self.functions.as_ptr().cast()
    }
}

static ACTIVITY_CONTROL: Vtable<3> = Vtable {
    offset_to_top: 0,
    type_info: ptr::null(),
    functions: [destructor as *const c_void, destructor as *const c_void, report_progress_value as *const c_void],
};

static OUTPUT_STREAM: Vtable<6> = Vtable {
    offset_to_top: 0,
    type_info: ptr::null(),
    functions: [
        destructor as *const c_void,
        destructor as *const c_void,
        end_of_stream as *const c_void,
        get_chunk_size as *const c_void,
        write_ascii_chunk as *const c_void,
        write_heap_stats_chunk as *const c_void,
    ],
};
