//! How large the heap of an isolate is, from within: without JavaScript, in any native call.

use std::ffi::{CStr, c_char, c_void};

use super::{
    Isolate,
    symbols::{Feature, require},
};
use crate::error::Result;

/// A heap's size, and what a snapshot of it would roughly hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeapEstimate {
    /// Bytes used.
    pub used: u64,
    /// Nodes of a snapshot, rather too many than too few.
    pub nodes: u64,
    /// Bytes of it in large objects, each in a space of its own: long arrays and strings.
    pub large: u64,
}

/// A node has this many bytes, at the least that whole heaps have on average (two million small objects: 40).
const BYTES_PER_NODE: u64 = 40;

/// V8 puts objects above about this size into spaces of their own.
const LARGE_OBJECT: u64 = 64 << 10;

/// HeapSpaceStatistics is five words; V8 gets more room than that.
const ROOM: usize = 16;

/// The words of HeapSpaceStatistics: the name, then sizes.
const NAME: usize = 0;
const SIZE: usize = 1;
const USED: usize = 2;

impl Isolate {
    /// Estimates from the sizes of the heap's spaces; takes a few microseconds.
    pub fn estimate_heap(self) -> Result<HeapEstimate> {
        let address = require(Feature::HeapSpaces)?.get_heap_space_statistics.expect("the feature lists it");
        // SAFETY: the symbol is `bool v8::Isolate::GetHeapSpaceStatistics(HeapSpaceStatistics*, size_t index)`, non-virtual; the struct
        // is a name and four sizes, for which there is room. False, and nothing written, for an index beyond the last.
        let get: extern "C" fn(*mut c_void, *mut [u64; ROOM], usize) -> bool =
            unsafe { std::mem::transmute(address.0) };
        let mut estimate = HeapEstimate::default();
        for index in 0..32 {
            let mut space = [0; ROOM];
            if !get(self.raw.as_ptr(), &raw mut space, index) || space[NAME] == 0 || space[USED] > space[SIZE] {
                break;
            }
            // SAFETY: V8 has filled in a space's statistics, whose first word is its name, a C string constant of V8.
            let name = unsafe { CStr::from_ptr(space[NAME] as usize as *const c_char) };
            let large = name.to_bytes().ends_with(b"large_object_space");
            let each = if large { LARGE_OBJECT } else { BYTES_PER_NODE };
            estimate.large += if large { space[USED] } else { 0 };
            estimate.used += space[USED];
            estimate.nodes += space[USED] / each;
        }
        Ok(estimate)
    }
}
