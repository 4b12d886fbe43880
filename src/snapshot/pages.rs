//! Big columns on huge pages.
//!
//! Half the time of reading a snapshot was the kernel's, handing out its columns in pages of 4 KB; and whatever walks
//! the graph afterwards jumps about in them. Linux gives 2 MB pages to memory that asks for them, which this does. It
//! is advice: where it is not heard nothing changes.
#![allow(unsafe_code, reason = "madvise on a vector's own memory")]

/// Columns below this stay as they are: the last huge page may be mostly empty.
#[cfg(target_os = "linux")]
const BIG: usize = 4 << 20;

/// Asks for huge pages for what a vector has room for.
pub(super) fn advise_huge<T>(vec: &mut Vec<T>) {
    #[cfg(target_os = "linux")]
    {
        const PAGE: usize = 64 << 10;
        let start = vec.as_mut_ptr() as usize;
        let end = start + vec.capacity() * size_of::<T>();
        let (first, last) = (start.next_multiple_of(PAGE), end / PAGE * PAGE);
        if end - start >= BIG && first < last {
            // SAFETY: the range lies within the vector's own allocation, and MADV_HUGEPAGE changes neither what the
            // memory holds nor whether it can be accessed. 64 KB is a multiple of every page size of Linux, so no
            // page is touched that is not wholly the vector's. The result is of no interest: it is advice.
            unsafe { libc::madvise(first as *mut libc::c_void, last - first, libc::MADV_HUGEPAGE) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = vec;
}
