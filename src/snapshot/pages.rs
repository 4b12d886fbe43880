//! Columns: arrays with one value for each node or edge, in memory of their own.
//!
//! A snapshot's columns are hundreds of megabytes that come and go together. In the allocator's arenas they would stay
//! with the process after they are freed, and in pages of 4 KB, where nearly every access to a graph misses the
//! processor's table of pages. So a big column is a mapping of its own: it is gone from the process the moment it is
//! dropped, it grows without being copied, its memory is refused instead of ending the process, and on Linux it asks for
//! pages of 2 MB. Small ones are ordinary allocations.
#![allow(unsafe_code, reason = "memory mappings, and prefetching")]

use std::{
    alloc::{Layout, alloc, dealloc},
    marker::PhantomData,
    ops::{Deref, DerefMut},
    ptr::NonNull,
};

use crate::error::{Code, Error, Result};

/// From here on a column is a mapping; two of the big pages are then mostly used.
#[cfg(unix)]
const BIG: usize = 1 << 20;

/// What only gives its place: the processor may begin to load `slice[index]`, which will soon be asked for. An index
/// beyond the end does nothing.
#[inline(always)]
pub(crate) fn prefetch<T>(slice: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: the instruction belongs to SSE, which every x86-64 processor has; it never faults, whatever the
        // address, and changes nothing but caches. The address is computed without the promise to be in bounds.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().wrapping_add(index).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, index);
}

/// What may be made of zeros.
///
/// # Safety
/// All bytes being zero must be a value of the type.
pub(crate) unsafe trait Zero: Copy {}
// SAFETY: an integer.
unsafe impl Zero for u8 {}
// SAFETY: an integer.
unsafe impl Zero for u16 {}
// SAFETY: an integer.
unsafe impl Zero for u32 {}
// SAFETY: an integer.
unsafe impl Zero for u64 {}
// SAFETY: two integers.
unsafe impl Zero for [u32; 2] {}

/// A vector of plain values.
pub(crate) struct Column<T: Copy> {
    start: NonNull<T>,
    len: usize,
    /// Bytes taken; 0 while nothing is.
    bytes: usize,
    own: PhantomData<T>,
}

// SAFETY: a column owns its values alone, as a Vec does.
unsafe impl<T: Copy + Send> Send for Column<T> {}
// SAFETY: through a shared column values can only be read.
unsafe impl<T: Copy + Sync> Sync for Column<T> {}

impl<T: Copy> Column<T> {
    pub(crate) const fn new() -> Self {
        Column { start: NonNull::dangling(), len: 0, bytes: 0, own: PhantomData }
    }

    /// `len` times `value`.
    pub(crate) fn filled(len: usize, value: T) -> Result<Self> {
        let mut column = Column::new();
        column.resize(len, value)?;
        Ok(column)
    }

    /// `len` zeros. Memory that nobody has written to yet is none of the process's.
    pub(crate) fn zeros(len: usize) -> Result<Self>
    where
        T: Zero,
    {
        let mut column = Column::with_capacity(len)?;
        #[cfg(unix)]
        let fresh = column.bytes >= BIG;
        #[cfg(not(unix))]
        let fresh = false;
        if !fresh {
            // SAFETY: there is room for `len` values.
            unsafe { column.start.write_bytes(0, len) };
        }
        // SAFETY: by `Zero`, zeros are values; a new mapping is all zeros, and the rest was just written.
        column.len = len;
        Ok(column)
    }

    /// Nothing, with room for `capacity` values.
    pub(crate) fn with_capacity(capacity: usize) -> Result<Self> {
        let mut column = Column::new();
        column.reserve_exact(capacity)?;
        Ok(column)
    }

    /// The same once more.
    pub(crate) fn copy(&self) -> Result<Self> {
        let mut copy = Column::with_capacity(self.len)?;
        copy.extend_from_slice(self)?;
        Ok(copy)
    }

    /// How many values there is room for.
    pub(crate) fn capacity(&self) -> usize {
        self.bytes / size_of::<T>().max(1)
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> u64 {
        self.bytes as u64
    }

    /// Room for `more` values behind those that there are, and for no others.
    pub(crate) fn reserve_exact(&mut self, more: usize) -> Result<()> {
        let needed = self.len.checked_add(more).and_then(|count| count.checked_mul(size_of::<T>()));
        match needed.filter(|&bytes| bytes <= isize::MAX as usize - BIG_PAGE) {
            Some(bytes) if bytes <= self.bytes => Ok(()),
            Some(bytes) => self.move_to(bytes),
            None => Err(refused(usize::MAX)),
        }
    }

    /// Appends a value.
    #[inline]
    pub(crate) fn push(&mut self, value: T) -> Result<()> {
        if self.len == self.capacity() {
            self.reserve_exact((self.len / 2).max(16))?;
        }
        // SAFETY: there is room for more than `len` values.
        unsafe { self.start.add(self.len).write(value) };
        self.len += 1;
        Ok(())
    }

    /// Appends values.
    #[inline]
    pub(crate) fn extend_from_slice(&mut self, values: &[T]) -> Result<()> {
        if self.capacity() - self.len < values.len() {
            self.reserve_exact(values.len().max(self.len / 2))?;
        }
        // SAFETY: there is room for `values` behind `len`, and what is mutably borrowed here can't overlap with them.
        unsafe { self.start.add(self.len).copy_from_nonoverlapping(NonNull::from(values).cast(), values.len()) };
        self.len += values.len();
        Ok(())
    }

    /// Forgets the values and keeps the room.
    pub(crate) fn clear(&mut self) {
        self.len = 0;
    }

    /// Takes the last value off.
    pub(crate) fn pop(&mut self) -> Option<T> {
        let value = self.last().copied()?;
        self.len -= 1;
        Some(value)
    }

    /// Cuts off what is behind the first `len` values.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Cuts off, or fills up with `value`.
    pub(crate) fn resize(&mut self, len: usize, value: T) -> Result<()> {
        if len > self.len {
            self.reserve_exact(len - self.len)?;
            for at in self.len..len {
                // SAFETY: there is room for `len` values.
                unsafe { self.start.add(at).write(value) };
            }
        }
        self.len = len;
        Ok(())
    }

    /// Gives back what there is too much room. Where that is refused, it stays.
    pub(crate) fn shrink_to_fit(&mut self) {
        let bytes = self.len * size_of::<T>();
        if bytes < self.bytes {
            let _ = self.move_to(bytes);
        }
    }

    /// The same, if it is at least so many bytes.
    pub(crate) fn give_back(&mut self, least: usize) {
        if self.bytes - self.len * size_of::<T>() >= least {
            self.shrink_to_fit();
        }
    }

    /// Moves the values to where there is room for `bytes`, which is enough for them.
    fn move_to(&mut self, bytes: usize) -> Result<()> {
        #[cfg(target_os = "linux")]
        if self.bytes >= BIG && bytes >= BIG {
            let start = remap(self.start.cast(), self.bytes, bytes).ok_or_else(|| refused(bytes))?;
            (self.start, self.bytes) = (start.cast(), bytes);
            return Ok(());
        }
        let start: NonNull<T> = take(bytes, align_of::<T>()).ok_or_else(|| refused(bytes))?.cast();
        // SAFETY: both places have room for `len` values, and the new one is not the old one.
        unsafe { start.copy_from_nonoverlapping(self.start, self.len) };
        give_back(self.start.cast(), self.bytes, align_of::<T>());
        (self.start, self.bytes) = (start, bytes);
        Ok(())
    }
}

impl<T: Copy> Default for Column<T> {
    fn default() -> Self {
        Column::new()
    }
}

impl<T: Copy> Drop for Column<T> {
    fn drop(&mut self) {
        give_back(self.start.cast(), self.bytes, align_of::<T>());
    }
}

impl<T: Copy> Deref for Column<T> {
    type Target = [T];
    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: the first `len` values are initialized, and `start` is aligned, also while there are none.
        unsafe { NonNull::slice_from_raw_parts(self.start, self.len).as_ref() }
    }
}

impl<T: Copy> DerefMut for Column<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and the column is borrowed mutably.
        unsafe { NonNull::slice_from_raw_parts(self.start, self.len).as_mut() }
    }
}

const BIG_PAGE: usize = 2 << 20;

fn refused(bytes: usize) -> Error {
    Error::new(Code::MemoryBudget, format!("the system refused {bytes} bytes of memory for a column of the snapshot"))
}

/// Memory of this size, not initialized; none for a size of 0, which gets an aligned address.
fn take(bytes: usize, align: usize) -> Option<NonNull<u8>> {
    #[cfg(unix)]
    if bytes >= BIG {
        // SAFETY: a new private mapping that nothing else refers to.
        let start = unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(std::ptr::null_mut(), bytes, access, libc::MAP_PRIVATE | libc::MAP_ANON, -1, 0)
        };
        if start == libc::MAP_FAILED {
            return None;
        }
        advise_huge(start, bytes);
        return NonNull::new(start.cast());
    }
    let layout = Layout::from_size_align(bytes, align).ok()?;
    if bytes == 0 {
        return NonNull::new(std::ptr::without_provenance_mut(align));
    }
    // SAFETY: the size is not 0.
    NonNull::new(unsafe { alloc(layout) })
}

/// Frees what [`take`] gave for these sizes.
fn give_back(start: NonNull<u8>, bytes: usize, align: usize) {
    #[cfg(unix)]
    if bytes >= BIG {
        // SAFETY: the whole of a mapping that `take` or `remap` made, and that its only owner gives up.
        unsafe { libc::munmap(start.as_ptr().cast(), bytes) };
        return;
    }
    if bytes > 0
        && let Ok(layout) = Layout::from_size_align(bytes, align)
    {
        // SAFETY: `take` allocated it with this layout, and its only owner gives it up.
        unsafe { dealloc(start.as_ptr(), layout) };
    }
}

/// A mapping in another size, perhaps at another place; what both sizes have is kept.
#[cfg(target_os = "linux")]
fn remap(start: NonNull<u8>, from: usize, to: usize) -> Option<NonNull<u8>> {
    // SAFETY: the whole of a mapping of ours, by its only owner, who uses the new address from now on.
    let moved = unsafe { libc::mremap(start.as_ptr().cast(), from, to, libc::MREMAP_MAYMOVE) };
    if moved == libc::MAP_FAILED {
        return None;
    }
    advise_huge(moved, to);
    NonNull::new(moved.cast())
}

#[cfg(unix)]
fn advise_huge(start: *mut libc::c_void, bytes: usize) {
    #[cfg(target_os = "linux")]
    if bytes >= BIG_PAGE {
        // SAFETY: a mapping of ours; the advice changes neither what it holds nor whether it can be accessed. The result
        // is of no interest: where the advice is not heard nothing changes.
        unsafe { libc::madvise(start, bytes, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_grow_and_shrink_between_both_kinds_of_memory() {
        let mut column = Column::new();
        let mut expected = Vec::new();
        assert_eq!((&column[..], column.memory()), (&expected[..], 0));
        for value in 0..400_000u32 {
            column.push(value).unwrap();
            expected.push(value);
        }
        column.extend_from_slice(&[7; 1000]).unwrap();
        expected.extend_from_slice(&[7; 1000]);
        assert!(column[..] == expected[..] && column.memory() >= 1_604_000);
        column.shrink_to_fit();
        assert!(column[..] == expected[..] && column.memory() == 1_604_000);
        column.resize(3, 0).unwrap();
        column.shrink_to_fit();
        assert_eq!((&column[..], column.memory()), (&[0, 1, 2][..], 12));
        column.resize(5, 9).unwrap();
        column[4] = 8;
        column.reserve_exact(1 << 20).unwrap();
        assert_eq!((&column[..], column.capacity()), (&[0, 1, 2, 9, 8][..], (1 << 20) + 5));
    }

    #[test]
    fn memory_is_refused_and_what_there_is_stays() {
        let mut column = Column::filled(300_000, 5u64).unwrap();
        for more in [usize::MAX, usize::MAX / 8 - 300_000, 1 << 58] {
            assert_eq!(column.reserve_exact(more).unwrap_err().code, Code::MemoryBudget);
        }
        assert!(column.len() == 300_000 && column.iter().all(|&value| value == 5));
        assert!(Column::<u32>::with_capacity(1 << 60).is_err());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_dropped_column_is_gone() {
        // In pages of its own: no other test maps this very size.
        let mapped = || std::fs::read_to_string("/proc/self/maps").unwrap();
        let column = Column::filled(300 << 20, 1u8).unwrap();
        let start = format!("{:x}", column.as_ptr() as usize);
        let resident = |maps: &str| maps.lines().any(|line| line.starts_with(&start));
        // Neighbouring mappings may be shown as one.
        let before = mapped();
        drop(column);
        assert!(before != mapped() && !resident(&mapped()));
    }
}
