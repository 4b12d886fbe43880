//! Whether this process is a forked child of ours, in which V8 goes on calling the callbacks it inherited.

use std::sync::atomic::{AtomicBool, Ordering};

static IN_CHILD: AtomicBool = AtomicBool::new(false);

/// Whether this process is a child that heaprs forked to walk the heap.
///
/// V8 and Node call there what they would have called in the parent: GC callbacks, finalizers, near-heap-limit callbacks. Whatever heaprs
/// hangs up must ask first, and do nothing: its locks may be held by threads that don't exist here, its readers are elsewhere.
pub fn in_forked_child() -> bool {
    IN_CHILD.load(Ordering::Relaxed)
}

/// The child says so, once and for good, before it does anything else.
pub fn enter_forked_child() {
    IN_CHILD.store(true, Ordering::Relaxed);
}
