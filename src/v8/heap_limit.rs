//! V8's call before it gives up: what is asked when the heap is about to pass its limit.

use std::{
    cell::{Cell, RefCell},
    ffi::c_void,
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
    get_statistics: extern "C" fn(*mut c_void, *mut [u64; ROOM]),
    isolate: *mut c_void,
}

/// More words than V8's HeapStatistics has ever had (14 and 15).
const ROOM: usize = 64;

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
        // SAFETY: the symbol is `void v8::Isolate::GetHeapStatistics(HeapStatistics*)`, non-virtual; the struct is plain words, for which there is
        // several times the room it has ever needed.
        let get_statistics: extern "C" fn(*mut c_void, *mut [u64; ROOM]) =
            unsafe { std::mem::transmute(found(symbols.get_heap_statistics)) };
        let data = Box::new(Data {
            answer: RefCell::new(answer),
            hooked: Cell::new(true),
            nested: Cell::new(0),
            raised: Cell::new(0),
            remove,
            get_statistics,
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

    /// What a raise is counted from: the limit, or what the heap has already where it has gone beyond. V8 ends the process when the new limit
    /// leaves no room for the young generation on top of the old one, whatever it was raised by.
    fn base(&self, current: usize) -> usize {
        let mut sizes = [0; ROOM];
        (self.get_statistics)(self.isolate, &raw mut sizes);
        // `total_heap_size` is the first word in every version so far; what can't be it is not believed.
        let total = usize::try_from(sizes[0]).unwrap_or(0);
        if total > current && total < current.saturating_mul(2).saturating_add(FAR) { total } else { current }
    }
}

/// The young generation, at most, and what is allocated beside the limit during a collection.
const FAR: usize = 128 << 20;

extern "C" fn near_limit(data: *mut c_void, current: usize, initial: usize) -> usize {
    if in_forked_child() {
        return current.saturating_add(current);
    }
    // SAFETY: V8 passes back the pointer it was given, to what lives until the callback is removed; it calls on the isolate's thread.
    let data = unsafe { &*data.cast::<Data>() };
    data.asked(Limits { current, initial })
}
