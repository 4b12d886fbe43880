//! A set of ordinals, one bit each.

use crate::{error::Result, snapshot::Column};

/// A set of `u32`s below a fixed length. One that was made empty answers "no" and takes no memory.
#[derive(Default)]
pub struct BitSet {
    words: Column<u64>,
}

impl BitSet {
    /// An empty set for values below `len`.
    pub fn new(len: u32) -> Result<Self> {
        Ok(BitSet { words: Column::zeros((len as usize).div_ceil(64))? })
    }

    /// The same once more.
    pub(crate) fn copy(&self) -> Result<Self> {
        Ok(BitSet { words: self.words.copy()? })
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

    /// The values, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().zip((0u32..).step_by(64)).flat_map(|(&word, first)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                let bit = (rest != 0).then(|| rest.trailing_zeros())?;
                rest &= rest - 1;
                Some(first + bit)
            })
        })
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
        self.words.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let mut set = BitSet::new(130).unwrap();
        assert!(set.is_empty() && set.insert(0) && set.insert(129) && !set.insert(129));
        assert!(set.contains(0) && set.contains(129) && !set.contains(128) && !set.contains(5000));
        assert_eq!((set.count(), set.iter().collect::<Vec<_>>()), (2, vec![0, 129]));
        set.remove(129);
        assert!(!set.contains(129) && !BitSet::default().contains(0));
    }
}
