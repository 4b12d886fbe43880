//! Sizes of V8's spaces as the last full collection left them, for who asks for them. In the callback: one call of V8 a space, nothing else.

use std::{
    ffi::{CStr, c_char, c_void},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use super::{ROOM, SPACE_USED};

/// `bool v8::Isolate::GetHeapSpaceStatistics(HeapSpaceStatistics*, size_t index)`.
pub(super) type GetSpace = extern "C" fn(*mut c_void, *mut [u64; ROOM], usize) -> bool;

/// V8's spaces by index; none where V8 does not tell.
#[derive(Default)]
pub(super) struct Spaces {
    names: Vec<String>,
    used: Vec<AtomicU64>,
    wanted: AtomicBool,
    known: AtomicBool,
}

impl Spaces {
    /// Asks V8 for the names of its spaces.
    pub(super) fn find(isolate: *mut c_void, get: GetSpace) -> Self {
        let names: Vec<String> = (0..16)
            .map_while(|index| {
                let mut space = [0; ROOM];
                if !get(isolate, &raw mut space, index) || space[0] == 0 {
                    return None;
                }
                // SAFETY: V8 has filled in a space's statistics, whose first word is its name, a C string constant of V8.
                let name = unsafe { CStr::from_ptr(space[0] as usize as *const c_char) };
                Some(name.to_string_lossy().into_owned())
            })
            .collect();
        let used = names.iter().map(|_| AtomicU64::new(0)).collect();
        Spaces { names, used, ..Spaces::default() }
    }

    /// The index of the space with this name.
    pub(super) fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// In the epilogue of a full collection: takes the sizes if anybody has asked.
    pub(super) fn take(&self, isolate: *mut c_void, get: GetSpace) {
        if !self.wanted.load(Ordering::Relaxed) {
            return;
        }
        for (index, used) in self.used.iter().enumerate() {
            let mut space = [0; ROOM];
            if get(isolate, &raw mut space, index) {
                used.store(space[SPACE_USED], Ordering::Relaxed);
            }
        }
        self.known.store(true, Ordering::Relaxed);
    }

    /// Name and used bytes of each; empty until the first full collection after the first call.
    pub(super) fn sizes(&self) -> Vec<(String, u64)> {
        self.wanted.store(true, Ordering::Relaxed);
        if !self.known.load(Ordering::Relaxed) {
            return Vec::new();
        }
        let used = self.used.iter().map(|used| used.load(Ordering::Relaxed));
        self.names.iter().cloned().zip(used).collect()
    }
}
