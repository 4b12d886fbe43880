//! Columns of numbers whose bound is known beforehand: three bytes each where these do, else four.

use super::{
    budget::Budget,
    pages::{Column, prefetch},
};
use crate::error::Result;

/// Numbers below a bound: ordinals of nodes, of which few heaps have more than 16 million.
pub(crate) struct Packed {
    /// With one byte more than the numbers have, so that four can be read at each.
    bytes: Column<u8>,
    len: usize,
    /// Of a number, in bytes.
    width: usize,
    /// What of four bytes is the number.
    mask: u32,
}

impl Default for Packed {
    fn default() -> Self {
        Packed::below(u32::MAX)
    }
}

impl Packed {
    /// None yet.
    pub(crate) fn below(bound: u32) -> Self {
        let width = Packed::width(bound);
        Packed { bytes: Column::new(), len: 0, width, mask: u32::MAX >> (32 - 8 * width) }
    }

    /// `len` zeros.
    pub(crate) fn zeros(len: usize, bound: u32) -> Result<Self> {
        let mut packed = Packed::below(bound);
        packed.bytes = Column::zeros(len * packed.width + 1)?;
        packed.len = len;
        Ok(packed)
    }

    /// Bytes of a number below `bound`.
    pub(crate) fn width(bound: u32) -> usize {
        if bound <= 1 << 24 { 3 } else { 4 }
    }

    /// How many numbers.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The number at a place.
    #[inline(always)]
    pub(crate) fn get(&self, at: usize) -> u32 {
        let start = at * self.width;
        let four = self.bytes[start..start + 4].try_into().expect("four bytes");
        u32::from_le_bytes(four) & self.mask
    }

    /// Changes the number at a place.
    #[inline(always)]
    pub(crate) fn set(&mut self, at: usize, number: u32) {
        let start = at * self.width;
        let bytes = number.to_le_bytes();
        if self.width == 3 {
            self.bytes[start..start + 3].copy_from_slice(&bytes[..3]);
        } else {
            self.bytes[start..start + 4].copy_from_slice(&bytes);
        }
    }

    /// Begins to load a number.
    #[inline(always)]
    pub(crate) fn prefetch(&self, at: usize) {
        prefetch(&self.bytes, at.wrapping_mul(self.width));
    }

    /// Cuts off what is behind the first `len` numbers.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
        self.bytes.truncate(self.len * self.width + 1);
    }

    /// Gives back what there is too much room, if it is at least so many bytes.
    pub(crate) fn give_back(&mut self, least: usize) {
        self.bytes.give_back(least);
    }

    /// Bytes of memory.
    pub(crate) fn memory(&self) -> u64 {
        self.bytes.memory()
    }

    /// Room for as many numbers as are expected with some certainty.
    pub(super) fn plan(&mut self, numbers: usize, budget: &mut Budget, what: &str) -> Result<()> {
        budget.plan(&mut self.bytes, numbers.saturating_mul(self.width).saturating_add(1), what)
    }

    /// Appends numbers. After the last ones, [`finish`](Self::finish) has to be called.
    pub(super) fn extend(&mut self, numbers: &[u32], budget: &mut Budget, what: &str) -> Result<()> {
        const TOGETHER: usize = 256;
        budget.grow(&mut self.bytes, numbers.len() * self.width + 1, what)?;
        for some in numbers.chunks(TOGETHER) {
            let (mut bytes, mut end) = ([0; 4 * TOGETHER], 0);
            for number in some {
                // The fourth byte of three is overwritten by the next number.
                bytes[end..end + 4].copy_from_slice(&number.to_le_bytes());
                end += self.width;
            }
            self.bytes.extend_from_slice(&bytes[..end])?;
        }
        self.len += numbers.len();
        Ok(())
    }

    /// All are there.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.bytes.push(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_comes_back_in_three_bytes_and_in_four() {
        for (bound, width) in [(1, 3), (1 << 24, 3), ((1 << 24) + 1, 4), (u32::MAX, 4)] {
            let numbers: Vec<u32> =
                (0..1000u32).map(|n| n.wrapping_mul(2_654_435_761) % bound).chain([bound - 1]).collect();
            let mut budget = Budget::new(None);
            let mut packed = Packed::below(bound);
            packed.plan(10, &mut budget, "numbers").unwrap();
            numbers.chunks(300).for_each(|some| packed.extend(some, &mut budget, "numbers").unwrap());
            packed.finish().unwrap();
            assert_eq!(packed.bytes.len(), width * 1001 + 1);
            let mut set = Packed::zeros(numbers.len(), bound).unwrap();
            // From the middle to both ends: no number may touch its neighbours.
            (0..1001).map(|n| (n * 500 + 500) % 1001).for_each(|at| set.set(at, numbers[at]));
            for some in [&packed, &set] {
                assert!((0..1001).all(|at| some.get(at) == numbers[at]), "{bound}");
            }
            set.truncate(700);
            set.give_back(0);
            assert_eq!((set.len(), set.get(699), set.bytes.capacity()), (700, numbers[699], width * 700 + 1));
        }
    }
}
