//! The only door to V8: C++ symbols of the running executable, found by name at run time.
//!
//! Node-API has no heap snapshots, GC callbacks or interrupts, but Node's executable exports V8's C++ symbols. One
//! prebuilt addon so serves every Node version; a symbol that is missing switches off one feature, with a reason.
#![allow(unsafe_code, reason = "calls into V8's C++ ABI; each block says why it is sound")]

mod forked;
mod gc;
mod heap;
mod heap_limit;
mod interrupt;
mod isolate;
#[cfg(target_os = "linux")]
mod platform;
mod snapshot;
mod symbols;

pub use forked::{enter_forked_child, in_forked_child};
pub use gc::{CallbackCosts, GcReader, GcRecord, GcWatch, KnownStatistics, Pressure};
pub use heap::HeapEstimate;
pub use heap_limit::{LimitAnswer, Limits, NearHeapLimit};
pub use interrupt::{Interrupts, on_interrupt};
pub use isolate::Isolate;
#[cfg(target_os = "linux")]
pub use platform::{ChildPlatform, ForkLock};
pub use snapshot::{HeapSnapshot, TakeOptions};
pub use symbols::{Feature, unavailable};
