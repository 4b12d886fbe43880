//! V8's garbage collections as they happen: two callbacks around each, sizes taken inside them, read on another thread.
//!
//! In a callback nothing is allocated, no lock of ours is taken and nothing can panic: heap sizes go into a ring of fixed
//! size, and another thread is woken unless it has been already.

mod cost;
mod request;
mod ring;
mod spaces;

use std::{
    ffi::{c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    Isolate, in_forked_child,
    symbols::{Feature, Symbols, require},
};
use crate::error::{Code, Error, Result};
pub use cost::CallbackCosts;
use cost::Costs;
pub use request::Pressure;
use ring::{Ring, WORDS};
use spaces::{GetSpace, Spaces};

/// One collection, as the two callbacks saw it. Sizes in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GcRecord {
    /// V8's `GCType`: one bit; 0 for a [`sample`](GcWatch::sample).
    pub gc_type: u32,
    /// V8's `GCCallbackFlags`.
    pub flags: u32,
    /// From the watch's origin to the epilogue.
    pub at: Duration,
    /// Between the two callbacks.
    pub pause: Duration,
    /// `used_heap_size` in the prologue, when it was [wanted](GcWatch::want_used_before).
    pub used_before: Option<u64>,
    /// `used_heap_size` in the epilogue.
    pub used_after: u64,
    /// What of `used_after` lies in the new space; `None` where V8 does not tell.
    pub young: Option<u64>,
    /// What the new space has room for until its next collection; `None` where V8 does not tell.
    pub young_room: Option<u64>,
    /// `heap_size_limit`.
    pub heap_limit: u64,
    /// `external_memory` in the epilogue.
    pub external: u64,
}

/// What `v8.getHeapStatistics()` says, to find V8's struct trustworthy.
#[derive(Clone, Copy, Debug)]
pub struct KnownStatistics {
    /// `total_heap_size`
    pub total: u64,
    /// `used_heap_size`
    pub used: u64,
    /// `heap_size_limit`
    pub limit: u64,
    /// `external_memory`
    pub external: u64,
}

/// The callbacks of one isolate. They are removed when this is dropped, which must happen on the isolate's thread.
pub struct GcWatch {
    isolate: Isolate,
    symbols: &'static Symbols,
    shared: Arc<Shared>,
}

/// The other end, for one other thread.
#[derive(Clone)]
pub struct GcReader(Arc<Shared>);

/// What both callbacks work with. All memory of the watch is here, allocated before the first collection.
struct Shared {
    ring: Ring,
    origin: Instant,
    get_statistics: extern "C" fn(*mut c_void, *mut [u64; ROOM]),
    get_space: Option<GetSpace>,
    new_space: usize,
    spaces: Spaces,
    /// Collections can nest (a young one inside a full one's prologue, or one that a callback causes).
    depth: AtomicUsize,
    open: [Before; NESTED],
    /// Whether prologues ask V8 for sizes. V8 then walks the pages of its new space, which are in no cache before a collection: two thirds
    /// of what both callbacks take.
    want_used_before: AtomicBool,
    /// When the last full collection ended.
    full_at: AtomicU64,
    /// Whether V8 has begun to mark for the next one.
    marking: AtomicBool,
    costs: Costs,
    /// Whether the reader has been woken and has not read yet.
    woken: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
}

/// What the prologue leaves for its epilogue; atomics only to be shared, one thread uses them.
#[derive(Default)]
struct Before {
    at: AtomicU64,
    used: AtomicU64,
    cost: AtomicU64,
}

const NESTED: usize = 8;

/// V8's statistics structs are given more room than any version has used: HeapStatistics is 14 words on Node 20 to 24, 15 on
/// 26; HeapSpaceStatistics is 5.
const ROOM: usize = 64;

/// Where the fields of HeapStatistics are, in words; checked by [`Isolate::watch_gc`] before they are trusted.
mod field {
    pub(super) const TOTAL: usize = 0;
    pub(super) const USED: usize = 4;
    pub(super) const LIMIT: usize = 5;
    pub(super) const EXTERNAL: usize = 7;
}

/// `space_used_size_` of HeapSpaceStatistics; word 0 is the name.
const SPACE_USED: usize = 2;
/// `space_available_size_`.
const SPACE_AVAILABLE: usize = 3;

/// V8's GCType of a full collection.
const MARK_SWEEP_COMPACT: c_int = 4;
/// And of the beginning of marking in steps.
const INCREMENTAL_MARKING: c_int = 8;

/// Every bit of V8's GCType.
const ALL_TYPES: c_int = 31;

/// A size that is not known.
const UNKNOWN: u64 = u64::MAX;

type GcCallback = extern "C" fn(*mut c_void, c_int, c_int, *mut c_void);

impl Isolate {
    /// Hooks V8's collections. `wake` is called inside a GC epilogue when the reader has something new to read and has
    /// not been woken yet: it must not allocate, block or call V8.
    ///
    /// `known` is what `v8.getHeapStatistics()` said a moment ago. Fails with [`Code::Unavailable`] where symbols are
    /// missing or V8's struct is not laid out as expected.
    pub fn watch_gc(
        self,
        known: KnownStatistics,
        origin: Instant,
        wake: Box<dyn Fn() + Send + Sync>,
    ) -> Result<(GcWatch, GcReader)> {
        let symbols = require(Feature::GcEvents)?;
        let address = symbols.get_heap_statistics.expect("the feature lists it");
        // SAFETY: the symbol is `void v8::Isolate::GetHeapStatistics(HeapStatistics*)`, non-virtual; the struct is plain
        // words (no vtable), and the array we pass for it is several times larger than it has ever been.
        let get_statistics: extern "C" fn(*mut c_void, *mut [u64; ROOM]) = unsafe { std::mem::transmute(address.0) };
        let mut found = [0; ROOM];
        get_statistics(self.raw.as_ptr(), &raw mut found);
        check_layout(&found, known)?;
        let get_space = symbols.get_heap_space_statistics.map(|address| {
            // SAFETY: the symbol is `bool v8::Isolate::GetHeapSpaceStatistics(HeapSpaceStatistics*, size_t index)`,
            // non-virtual; the struct is a name and four sizes, for which there is room.
            unsafe { std::mem::transmute::<*const c_void, GetSpace>(address.0) }
        });
        let spaces = get_space.map(|get| Spaces::find(self.raw.as_ptr(), get)).unwrap_or_default();
        let new_space = spaces.index("new_space");
        let shared = Arc::new(Shared {
            ring: Ring::new(),
            origin,
            get_statistics,
            get_space: new_space.and(get_space),
            new_space: new_space.unwrap_or(0),
            spaces,
            depth: AtomicUsize::new(0),
            open: Default::default(),
            want_used_before: AtomicBool::new(false),
            full_at: AtomicU64::new(0),
            marking: AtomicBool::new(false),
            costs: Costs::new(),
            woken: AtomicBool::new(false),
            wake,
        });
        let watch = GcWatch { isolate: self, symbols, shared: shared.clone() };
        watch.hook(symbols.add_gc_prologue, prologue);
        watch.hook(symbols.add_gc_epilogue, epilogue);
        Ok((watch, GcReader(shared)))
    }
}

impl GcWatch {
    fn hook(&self, add: Option<super::symbols::Address>, callback: GcCallback) {
        let address = add.expect("the feature lists it");
        // SAFETY: the symbol is `void v8::Isolate::AddGC{Prologue,Epilogue}Callback(GCCallbackWithData, void* data, GCType)`,
        // non-virtual. `data` points to `shared`, which outlives the hook: it is removed before `self.shared` is dropped.
        unsafe {
            let add: extern "C" fn(*mut c_void, GcCallback, *const c_void, c_int) = std::mem::transmute(address.0);
            add(self.isolate.raw.as_ptr(), callback, self.data(), ALL_TYPES);
        }
    }

    fn data(&self) -> *const c_void {
        Arc::as_ptr(&self.shared).cast()
    }

    /// Hands the reader the sizes of this moment, as a record with a `gc_type` of 0. For when no collection has come for long.
    pub fn sample(&self) {
        let isolate = self.isolate.raw.as_ptr();
        let sizes = self.shared.sizes(isolate);
        self.shared.hand_over(0, self.shared.now(), 0, UNKNOWN, &sizes, isolate);
    }

    /// Whether collections from now on are to tell what was used before them.
    pub fn want_used_before(&self, wanted: bool) {
        self.shared.want_used_before.store(wanted, Ordering::Relaxed);
    }

    /// When the last full collection ended, from the watch's origin; zero when none has.
    pub fn last_full(&self) -> Duration {
        Duration::from_nanos(self.shared.full_at.load(Ordering::Relaxed))
    }

    /// What the callbacks have taken so far.
    pub fn costs(&self) -> CallbackCosts {
        self.shared.costs.sum()
    }

    /// Name and used bytes of each of V8's spaces after the last full collection. Empty until one has come after the first call, and where V8
    /// does not tell.
    pub fn space_sizes(&self) -> Vec<(String, u64)> {
        self.shared.spaces.sizes()
    }
}

impl Drop for GcWatch {
    fn drop(&mut self) {
        for (remove, callback) in [
            (self.symbols.remove_gc_prologue, prologue as GcCallback),
            (self.symbols.remove_gc_epilogue, epilogue as GcCallback),
        ] {
            let address = remove.expect("the feature lists it");
            // SAFETY: the symbol is `void v8::Isolate::RemoveGC{Prologue,Epilogue}Callback(GCCallbackWithData, void* data)`,
            // non-virtual; the pair is one we added. The isolate is alive: the watch is bound to its thread, and its
            // owner drops it in the environment's cleanup at the latest.
            unsafe {
                let remove: extern "C" fn(*mut c_void, GcCallback, *const c_void) = std::mem::transmute(address.0);
                remove(self.isolate.raw.as_ptr(), callback, self.data());
            }
        }
    }
}

impl GcReader {
    /// Reads what has come. Until [`rest`](Self::rest) is called the reader is taken to look again by itself.
    pub fn drain(&self, mut each: impl FnMut(GcRecord)) {
        while let Some(record) = self.0.ring.pop() {
            each(unpack(&record));
        }
    }

    /// From now on the next collection wakes the reader, which costs it more than all the rest. False when one has come already.
    pub fn rest(&self) -> bool {
        self.0.woken.store(false, Ordering::SeqCst);
        self.0.ring.is_empty()
    }

    /// How many collections were not recorded since the last call, because nobody read.
    pub fn take_dropped(&self) -> u64 {
        self.0.ring.take_dropped()
    }
}

impl Shared {
    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    fn sizes(&self, isolate: *mut c_void) -> [u64; ROOM] {
        let mut sizes = [0; ROOM];
        (self.get_statistics)(isolate, &raw mut sizes);
        sizes
    }

    /// Used and available bytes of the new space.
    fn young(&self, isolate: *mut c_void) -> (u64, u64) {
        let Some(get) = self.get_space else { return (UNKNOWN, UNKNOWN) };
        let mut space = [0; ROOM];
        if get(isolate, &raw mut space, self.new_space) {
            (space[SPACE_USED], space[SPACE_AVAILABLE])
        } else {
            (UNKNOWN, UNKNOWN)
        }
    }

    fn hand_over(&self, kind: u64, at: u64, pause: u64, before: u64, sizes: &[u64; ROOM], isolate: *mut c_void) {
        let (young, room) = self.young(isolate);
        let [used, limit, external] = [field::USED, field::LIMIT, field::EXTERNAL].map(|field| sizes[field]);
        self.ring.push(&[kind, at, pause, before, used, young, room, limit, external]);
        if !self.woken.swap(true, Ordering::SeqCst) {
            // Waking must not fail, and if it does all the same, it must not reach V8.
            let _ = catch_unwind(AssertUnwindSafe(|| (self.wake)()));
        }
    }
}

extern "C" fn prologue(isolate: *mut c_void, _type: c_int, _flags: c_int, data: *mut c_void) {
    if in_forked_child() {
        return;
    }
    // SAFETY: V8 passes back the pointer that `hook` gave it, to a `Shared` that lives until the hook is removed.
    let shared = unsafe { &*data.cast::<Shared>() };
    let at = shared.now();
    let wanted = shared.want_used_before.load(Ordering::Relaxed);
    let used = if wanted { shared.sizes(isolate)[field::USED] } else { UNKNOWN };
    let depth = shared.depth.load(Ordering::Relaxed);
    shared.depth.store(depth.saturating_add(1), Ordering::Relaxed);
    if let Some(before) = shared.open.get(depth) {
        before.at.store(at, Ordering::Relaxed);
        before.used.store(used, Ordering::Relaxed);
        before.cost.store(shared.now().saturating_sub(at), Ordering::Relaxed);
    }
}

extern "C" fn epilogue(isolate: *mut c_void, gc_type: c_int, flags: c_int, data: *mut c_void) {
    if in_forked_child() {
        return;
    }
    // SAFETY: as in `prologue`.
    let shared = unsafe { &*data.cast::<Shared>() };
    let at = shared.now();
    let Some(depth) = shared.depth.load(Ordering::Relaxed).checked_sub(1) else {
        return; // hooked in the middle of a collection: its prologue was not seen
    };
    shared.depth.store(depth, Ordering::Relaxed);
    let Some(before) = shared.open.get(depth) else { return };
    let sizes = shared.sizes(isolate);
    let kind = u64::from(gc_type.cast_unsigned()) | u64::from(flags.cast_unsigned()) << 32;
    let pause = at.saturating_sub(before.at.load(Ordering::Relaxed));
    shared.hand_over(kind, at, pause, before.used.load(Ordering::Relaxed), &sizes, isolate);
    if gc_type == INCREMENTAL_MARKING {
        shared.marking.store(true, Ordering::Relaxed);
    }
    if gc_type == MARK_SWEEP_COMPACT {
        shared.full_at.store(at, Ordering::Relaxed);
        shared.marking.store(false, Ordering::Relaxed);
        if let Some(get) = shared.get_space {
            shared.spaces.take(isolate, get);
        }
    }
    shared.costs.add(before.cost.load(Ordering::Relaxed) + shared.now().saturating_sub(at));
}

fn unpack(record: &[u64; WORDS]) -> GcRecord {
    let [kind, at, pause, used_before, used_after, young, young_room, heap_limit, external] = *record;
    GcRecord {
        gc_type: (kind & 0xffff_ffff) as u32,
        flags: (kind >> 32) as u32,
        at: Duration::from_nanos(at),
        pause: Duration::from_nanos(pause),
        used_before: known(used_before),
        used_after,
        young: known(young),
        young_room: known(young_room),
        heap_limit,
        external,
    }
}

fn known(size: u64) -> Option<u64> {
    (size != UNKNOWN).then_some(size)
}

/// Whether the fields are where we look for them. Between the two calls JavaScript may have allocated a little.
fn check_layout(found: &[u64; ROOM], known: KnownStatistics) -> Result<()> {
    const SLACK: u64 = 8 << 20;
    let near = |field: usize, known: u64| found[field].abs_diff(known) <= SLACK;
    let right = found[field::LIMIT] == known.limit
        && known.limit > SLACK
        && near(field::TOTAL, known.total)
        && near(field::USED, known.used)
        && near(field::EXTERNAL, known.external)
        && found[field::USED] <= found[field::TOTAL];
    if right {
        return Ok(());
    }
    Err(Error::new(
        Code::Unavailable,
        "this V8 lays out its heap statistics in a way that heaprs does not know, so sizes can't be taken in its GC callbacks",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_that_does_not_fit_is_refused() {
        let known = KnownStatistics { total: 50 << 20, used: 40 << 20, limit: 4 << 30, external: 1 << 20 };
        let mut found = [0; ROOM];
        (found[0], found[4], found[5], found[7]) = (50 << 20, (40 << 20) + 1000, 4 << 30, 1 << 20);
        check_layout(&found, known).unwrap();
        for field in [0, 4, 5, 7] {
            let mut moved = found;
            moved[field] = 100 << 30;
            assert_eq!(check_layout(&moved, known).unwrap_err().code, Code::Unavailable, "{field}");
        }
    }

    #[test]
    fn records_survive_packing() {
        let record = [4 | 64 << 32, 5_000, 1_000, 9, 8, UNKNOWN, 7, 6, 5];
        let gc = unpack(&record);
        assert_eq!((gc.gc_type, gc.flags, gc.young), (4, 64, None));
        assert_eq!((gc.at, gc.pause), (Duration::from_micros(5), Duration::from_micros(1)));
        assert_eq!((gc.used_before, gc.used_after, gc.young_room), (Some(9), 8, Some(7)));
        assert_eq!((gc.heap_limit, gc.external), (6, 5));
    }
}
