//! Giving memory back to the system.

/// Returns what the allocator holds of freed memory to the system.
///
/// glibc keeps freed blocks for the next allocation, also hundreds of megabytes of them; the process would look as big after
/// an analysis as during it. Takes about a millisecond, more for a fragmented heap: not for a JavaScript thread. Other
/// allocators return large blocks by themselves.
pub fn trim() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: malloc_trim takes no pointers, locks each arena it looks at, and may be called at any time from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}
