//! A ring between two threads: one writes without ever waiting, allocating or panicking, one reads.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Words of one record.
pub(super) const WORDS: usize = 9;

/// Records that wait at most; what comes while it is full is counted and dropped.
const CAPACITY: usize = 512;

/// Fixed memory (36 KB), made before the first record. Made of atomics alone: a wrong use loses records, nothing else.
pub(super) struct Ring {
    slots: Box<[[AtomicU64; WORDS]]>,
    /// Records ever written and ever read; their difference waits.
    written: AtomicUsize,
    read: AtomicUsize,
    dropped: AtomicU64,
}

impl Ring {
    pub(super) fn new() -> Self {
        Ring {
            slots: (0..CAPACITY).map(|_| [const { AtomicU64::new(0) }; WORDS]).collect(),
            written: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        }
    }

    /// For the one writer. False when it is full.
    pub(super) fn push(&self, record: &[u64; WORDS]) -> bool {
        let written = self.written.load(Ordering::Relaxed);
        let waiting = written.wrapping_sub(self.read.load(Ordering::Acquire));
        let slot = if waiting < CAPACITY { self.slots.get(written % CAPACITY) } else { None };
        let Some(slot) = slot else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        for (word, value) in slot.iter().zip(record) {
            word.store(*value, Ordering::Relaxed);
        }
        self.written.store(written.wrapping_add(1), Ordering::SeqCst);
        true
    }

    /// For the one reader.
    pub(super) fn pop(&self) -> Option<[u64; WORDS]> {
        let read = self.read.load(Ordering::Relaxed);
        if read == self.written.load(Ordering::Acquire) {
            return None;
        }
        let slot = &self.slots[read % CAPACITY];
        let record = std::array::from_fn(|i| slot[i].load(Ordering::Relaxed));
        self.read.store(read.wrapping_add(1), Ordering::Release);
        Some(record)
    }

    /// For the one reader.
    pub(super) fn is_empty(&self) -> bool {
        self.read.load(Ordering::SeqCst) == self.written.load(Ordering::SeqCst)
    }

    /// How many were dropped since the last call.
    pub(super) fn take_dropped(&self) -> u64 {
        self.dropped.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn gives_back_in_order_and_drops_when_full() {
        let ring = Ring::new();
        for i in 0..CAPACITY as u64 + 7 {
            assert_eq!(ring.push(&[i; WORDS]), i < CAPACITY as u64);
        }
        assert_eq!((ring.take_dropped(), ring.take_dropped()), (7, 0));
        for i in 0..CAPACITY as u64 {
            assert_eq!(ring.pop(), Some([i; WORDS]));
        }
        assert_eq!(ring.pop(), None);
        assert!(ring.push(&[1; WORDS]));
    }

    #[test]
    fn records_are_whole_between_threads() {
        let ring = Arc::new(Ring::new());
        let writer = ring.clone();
        const N: u64 = 100_000;
        let thread = std::thread::spawn(move || {
            for i in 0..N {
                while !writer.push(&[i; WORDS]) {
                    std::thread::yield_now();
                }
            }
        });
        let mut next = 0;
        while next < N {
            if let Some(record) = ring.pop() {
                assert_eq!(record, [next; WORDS]);
                next += 1;
            } else {
                std::thread::yield_now();
            }
        }
        thread.join().unwrap();
        assert_eq!(ring.pop(), None);
    }
}
