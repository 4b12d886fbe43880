//! A set of ordinals, one bit each.

/// A set of `u32`s below a fixed length. One that was made empty answers "no" and takes no memory.
#[derive(Clone, Debug, Default)]
pub struct BitSet {
    words: Vec<u64>,
}

impl BitSet {
    /// An empty set for values below `len`.
    pub fn new(len: u32) -> Self {
        BitSet { words: vec![0; (len as usize).div_ceil(64)] }
    }

    /// Whether `value` is in the set.
    #[inline]
    pub fn contains(&self, value: u32) -> bool {
        self.words.get((value >> 6) as usize).is_some_and(|word| word >> (value & 63) & 1 == 1)
    }

    /// Puts `value` in; tells whether it is new.
    ///
    /// # Panics
    /// When `value` is not below the set's length.
    #[inline]
    pub fn insert(&mut self, value: u32) -> bool {
        let word = &mut self.words[(value >> 6) as usize];
        let bit = 1u64 << (value & 63);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes `value` out.
    ///
    /// # Panics
    /// When `value` is not below the set's length.
    #[inline]
    pub fn remove(&mut self, value: u32) {
        self.words[(value >> 6) as usize] &= !(1u64 << (value & 63));
    }

    /// How many values are in the set.
    pub fn count(&self) -> u64 {
        self.words.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    /// Whether nothing is in the set.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|&word| word == 0)
    }

    /// Bytes of memory.
    pub fn memory(&self) -> u64 {
        self.words.capacity() as u64 * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let mut set = BitSet::new(130);
        assert!(set.is_empty() && set.insert(0) && set.insert(129) && !set.insert(129));
        assert!(set.contains(0) && set.contains(129) && !set.contains(128) && !set.contains(5000));
        assert_eq!(set.count(), 2);
        set.remove(129);
        assert!(!set.contains(129) && !BitSet::default().contains(0));
    }
}
