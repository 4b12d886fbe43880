//! The ids of nodes.

use super::pages::Column;
use crate::error::Result;

const LEN: usize = 64;
/// V8 gives odd ids out, one after the other.
const STEP: u32 = 2;

/// A column of ids: in a heap's first snapshot each is the one before plus two, and where that is so for 64 in a row only
/// the first of them is kept.
#[derive(Default)]
pub(super) struct Sequence {
    len: usize,
    blocks: Column<Block>,
    /// The ids of the other blocks.
    other: Column<u32>,
}

#[derive(Clone, Copy)]
enum Block {
    /// All follow from this one.
    From(u32),
    /// They begin at this place of `other`.
    At(u32),
}

impl Sequence {
    pub(super) fn of(ids: &[u32]) -> Result<Self> {
        let mut sequence = Sequence { len: ids.len(), ..Sequence::default() };
        sequence.blocks.reserve_exact(ids.len().div_ceil(LEN))?;
        for block in ids.chunks(LEN) {
            let follow = |pair: &[u32]| pair[0].checked_add(STEP) == Some(pair[1]);
            if block.windows(2).all(follow) {
                sequence.blocks.push(Block::From(block[0]))?;
            } else {
                sequence.blocks.push(Block::At(sequence.other.len() as u32))?;
                sequence.other.extend_from_slice(block)?;
            }
        }
        sequence.other.shrink_to_fit();
        Ok(sequence)
    }

    #[inline]
    pub(super) fn get(&self, node: u32) -> u32 {
        assert!((node as usize) < self.len, "node {node} of {}", self.len);
        let within = node % LEN as u32;
        match self.blocks[node as usize / LEN] {
            Block::From(first) => first + STEP * within,
            Block::At(start) => self.other[(start + within) as usize],
        }
    }

    pub(super) fn memory(&self) -> u64 {
        self.blocks.memory() + self.other.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_comes_back() {
        let regular: Vec<u32> = (0..1000).map(|node| 2 * node + 1).collect();
        let mut odd = regular.clone();
        (odd[100], odd[999], odd[640]) = (7, u32::MAX, u32::MAX - 1);
        let high: Vec<u32> = (0..70).map(|node| (u32::MAX - 20).wrapping_add(2 * node)).collect();
        for ids in [&regular[..], &odd, &high, &[], &[5]] {
            let sequence = Sequence::of(ids).unwrap();
            assert!(ids.iter().zip(0..).all(|(&id, node)| sequence.get(node) == id));
        }
        assert!(Sequence::of(&regular).unwrap().memory() < 200);
        assert_eq!(Sequence::of(&odd).unwrap().other.len(), 64 + 64 + 40);
    }
}
