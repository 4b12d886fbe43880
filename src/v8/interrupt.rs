//! V8's interrupts: native code on an isolate's thread, asked for by any other, also while JavaScript is in an endless loop.

use std::{
    ffi::c_void,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr::{self, NonNull},
    sync::{Mutex, OnceLock, PoisonError},
};

use super::{
    Isolate, in_forked_child,
    symbols::{Feature, Symbols, require},
};
use crate::error::Result;

/// Where one isolate can be interrupted from, for as long as it lives.
pub struct Interrupts {
    /// `None` once it is closed.
    isolate: Mutex<Option<Remote>>,
    symbols: &'static Symbols,
}

/// The address of an isolate, for V8's calls that any thread may make.
struct Remote(NonNull<c_void>);

// SAFETY: the address is only used for `RequestInterrupt`, which V8 allows on any thread, under the lock that closing takes, too.
unsafe impl Send for Remote {}

/// What all interrupts call, with the number they were asked for with.
static HANDLER: OnceLock<fn(usize)> = OnceLock::new();

/// Sets what interrupts call; the first one set stays.
pub fn on_interrupt(handler: fn(usize)) {
    HANDLER.get_or_init(|| handler);
}

impl Isolate {
    /// A way to interrupt this isolate from other threads. It must be [closed](Interrupts::close) before the isolate goes.
    pub fn interrupts(self) -> Result<Interrupts> {
        let symbols = require(Feature::Interrupts)?;
        Ok(Interrupts { isolate: Mutex::new(Some(Remote(self.raw))), symbols })
    }
}

impl Interrupts {
    /// Asks V8 to call the handler with `token` on the isolate's thread, as soon as JavaScript runs there; an idle thread stays idle. False
    /// once closed. An interrupt may come very late, even after the close: the handler has to know which tokens still mean something.
    pub fn request(&self, token: usize) -> bool {
        let isolate = self.isolate.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Remote(raw)) = &*isolate else { return false };
        let address = self.symbols.request_interrupt.expect("the feature lists it");
        // SAFETY: the symbol is `void v8::Isolate::RequestInterrupt(void (*)(v8::Isolate*, void*), void* data)`, non-virtual, to be called on
        // any thread; the isolate lives, since `close` waits for the lock we hold. `data` is a number, which nobody follows.
        unsafe {
            type Callback = extern "C" fn(*mut c_void, *mut c_void);
            let request: extern "C" fn(*mut c_void, Callback, *mut c_void) = std::mem::transmute(address.0);
            request(raw.as_ptr(), interrupted, ptr::without_provenance_mut(token));
        }
        true
    }

    /// From now on nothing reaches the isolate. Called on its thread, before it goes.
    pub fn close(&self) {
        self.isolate.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

extern "C" fn interrupted(_isolate: *mut c_void, data: *mut c_void) {
    if in_forked_child() {
        return;
    }
    if let Some(handler) = HANDLER.get() {
        // No panic may reach V8.
        let _ = catch_unwind(AssertUnwindSafe(|| handler(data.addr())));
    }
}
