//! V8's call before it gives up: what is asked when the heap is about to pass its limit.

use std::{
    cell::{Cell, RefCell},
    ffi::{CStr, c_char, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{
    Isolate, in_forked_child,
    symbols::{Address, Feature, Symbols, require},
};
use crate::error::Result;

/// What V8 is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAnswer {
    /// The heap may grow by so many bytes, and we are asked again.
    Raise(usize),
    /// The heap may grow by so many bytes, and the callback that was there before ours is asked from then on; without one V8 ends the process.
    Leave(usize),
}

/// Our callback, hung up at an isolate. Dropped on the isolate's thread, it is taken down.
pub struct NearHeapLimit {
    isolate: Isolate,
    symbols: &'static Symbols,
    data: Box<Data>,
}

struct Data {
    answer: RefCell<Box<dyn FnMut(Limits) -> LimitAnswer>>,
    /// Whether the callback hangs.
    hooked: Cell<bool>,
    /// How often V8 has asked while an answer was being found: the snapshot that is taken meanwhile needs a little heap itself.
    nested: Cell<usize>,
    /// What the limit was raised to by the last of them, or 0.
    raised: Cell<usize>,
    remove: extern "C" fn(*mut c_void, Callback, usize),
    get_statistics: GetStatistics,
    get_space: GetSpace,
    isolate: *mut c_void,
}

/// `bool v8::Isolate::GetHeapSpaceStatistics(HeapSpaceStatistics*, size_t index)`.
type GetSpace = extern "C" fn(*mut c_void, *mut [u64; ROOM], usize) -> bool;

/// `void v8::Isolate::GetHeapStatistics(HeapStatistics*)`.
type GetStatistics = extern "C" fn(*mut c_void, *mut [u64; ROOM]);

/// More words than HeapStatistics (15) and HeapSpaceStatistics (5) have ever had.
const ROOM: usize = 64;
/// In the first: what V8 has taken in all, and what it may take in all, the limit and the young generation.
const TOTAL_SIZE: usize = 0;
const SIZE_LIMIT: usize = 5;
/// In the second, behind the name: what the space has taken.
const SPACE_SIZE: usize = 1;

/// In bytes.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The limit that is near.
    pub current: usize,
    /// The one the isolate began with.
    pub initial: usize,
}

type Callback = extern "C" fn(*mut c_void, usize, usize) -> usize;

/// What each nested question is granted, and how many are.
const NESTED_STEP: usize = 4 << 20;
const NESTED: usize = 16;

/// V8 goes back to the initial limit when the heap has fallen under this part of it.
const PUT_BACK_BELOW: f64 = 0.9;

impl Isolate {
    /// Has `answer` asked when the heap is near its limit, before all callbacks that are there. It may take a snapshot, and must not run
    /// JavaScript. A limit that was raised is put back when the heap is clearly under the initial one again.
    pub fn near_heap_limit(self, answer: Box<dyn FnMut(Limits) -> LimitAnswer>) -> Result<NearHeapLimit> {
        let symbols = require(Feature::NearHeapLimit)?;
        let found = |address: Option<Address>| address.expect("the feature lists it").0;
        // SAFETY: the symbol is `void v8::Isolate::RemoveNearHeapLimitCallback(NearHeapLimitCallback, size_t heap_limit)`, non-virtual.
        let remove: extern "C" fn(*mut c_void, Callback, usize) =
            unsafe { std::mem::transmute(found(symbols.remove_near_heap_limit)) };
        // SAFETY: the symbol is that of `GetStatistics`, non-virtual; the struct is plain words, for which there is several times the room it has
        // ever needed.
        let get_statistics: GetStatistics = unsafe { std::mem::transmute(found(symbols.get_heap_statistics)) };
        // SAFETY: as above.
        let get_space: GetSpace = unsafe { std::mem::transmute(found(symbols.get_heap_space_statistics)) };
        let data = Box::new(Data {
            answer: RefCell::new(answer),
            hooked: Cell::new(true),
            nested: Cell::new(0),
            raised: Cell::new(0),
            remove,
            get_statistics,
            get_space,
            isolate: self.raw.as_ptr(),
        });
        // SAFETY: the symbol is `void v8::Isolate::AddNearHeapLimitCallback(NearHeapLimitCallback, void* data)`, non-virtual; `data` is boxed and
        // outlives the hook: it is taken down before the box goes.
        unsafe {
            let add: extern "C" fn(*mut c_void, Callback, *const Data) =
                std::mem::transmute(found(symbols.add_near_heap_limit));
            add(self.raw.as_ptr(), near_limit, &raw const *data);
        }
        Ok(NearHeapLimit { isolate: self, symbols, data })
    }
}

impl NearHeapLimit {
    /// Lets V8 put the initial limit back by itself as soon as the heap is clearly under it.
    pub fn put_back_later(&self) {
        let Some(address) = self.symbols.restore_heap_limit_later else { return };
        // SAFETY: the symbol is `void v8::Isolate::AutomaticallyRestoreInitialHeapLimit(double threshold_percent)`, non-virtual; the isolate is this
        // thread's (see the type).
        unsafe {
            let restore: extern "C" fn(*mut c_void, f64) = std::mem::transmute(address.0);
            restore(self.isolate.raw.as_ptr(), PUT_BACK_BELOW);
        }
    }
}

impl Drop for NearHeapLimit {
    fn drop(&mut self) {
        self.data.unhook();
    }
}

impl Data {
    /// V8 aborts when it is to remove what it does not have.
    fn unhook(&self) {
        if self.hooked.replace(false) {
            (self.remove)(self.isolate, near_limit, 0);
        }
    }

    fn asked(&self, limits: Limits) -> usize {
        let Ok(mut answer) = self.answer.try_borrow_mut() else {
            let nested = self.nested.get();
            if nested == NESTED {
                return limits.current;
            }
            self.nested.set(nested + 1);
            let raised = self.base(limits.current).saturating_add(NESTED_STEP);
            self.raised.set(raised);
            return raised;
        };
        let answered = catch_unwind(AssertUnwindSafe(|| answer(limits)));
        self.nested.set(0);
        // V8 compares with what the limit has become meanwhile.
        let current = limits.current.max(self.raised.replace(0));
        match answered.unwrap_or(LimitAnswer::Leave(NESTED_STEP)) {
            LimitAnswer::Raise(by) => self.base(current).saturating_add(by),
            LimitAnswer::Leave(by) => {
                self.unhook();
                self.base(current).saturating_add(by)
            }
        }
    }

    /// What a raise is counted from: the limit, or what is beyond it already. V8 ends the process when the old generation has taken more than the
    /// new limit, or all generations more than that and the young one's share, whatever the limit was raised by.
    fn base(&self, current: usize) -> usize {
        let mut sizes = [0; ROOM];
        (self.get_statistics)(self.isolate, &raw mut sizes);
        let young = sizes[SIZE_LIMIT].saturating_sub(current as u64);
        let old = (0..MOST_SPACES).map_while(|index| self.old_space(index)).sum::<u64>();
        let taken = usize::try_from(old.max(sizes[TOTAL_SIZE].saturating_sub(young))).unwrap_or(0);
        // What can't be it is not believed.
        if taken / 2 < current.saturating_add(FAR) { taken.max(current) } else { current }
    }

    /// Bytes of a space as far as the limit counts them; `None` after the last space.
    fn old_space(&self, index: usize) -> Option<u64> {
        let mut space = [0; ROOM];
        if !(self.get_space)(self.isolate, &raw mut space, index) || space[0] == 0 {
            return None;
        }
        // SAFETY: V8 has filled in a space's statistics, whose first word is its name, a C string constant of V8.
        let name = unsafe { CStr::from_ptr(space[0] as usize as *const c_char) };
        let counts = !name.to_bytes().starts_with(b"new_") && name != c"read_only_space";
        Some(if counts { space[SPACE_SIZE] } else { 0 })
    }
}

/// The young generation, at most.
const FAR: usize = 128 << 20;

/// V8 has about a dozen.
const MOST_SPACES: usize = 32;

extern "C" fn near_limit(data: *mut c_void, current: usize, initial: usize) -> usize {
    if in_forked_child() {
        return current.saturating_add(current);
    }
    // SAFETY: V8 passes back the pointer it was given, to what lives until the callback is removed; it calls on the isolate's thread.
    let data = unsafe { &*data.cast::<Data>() };
    data.asked(Limits { current, initial })
}
