//! The ids of nodes.

use super::{budget::Budget, pages::Column};
use crate::error::Result;

const WHAT: &str = "the nodes";
const LEN: usize = 64;
/// V8 gives odd ids out, one after the other.
const STEP: u32 = 2;

/// A column of ids: in a heap's first snapshot each is the one before plus two, and where that is so for 64 in a row only
/// the first of them is kept.
pub(super) struct Sequence {
    len: usize,
    /// The ids of the last block, while it fills.
    open: [u32; LEN],
    blocks: Column<Block>,
    /// The ids of the other blocks.
    other: Column<u32>,
}

impl Default for Sequence {
    fn default() -> Self {
        Sequence { len: 0, open: [0; LEN], blocks: Column::new(), other: Column::new() }
    }
}

#[derive(Clone, Copy)]
enum Block {
    /// All follow from this one.
    From(u32),
    /// They begin at this place of `other`.
    At(u32),
}

impl Sequence {
    /// Appends ids. After the last ones, [`finish`](Self::finish) has to be called.
    pub(super) fn extend(&mut self, mut ids: &[u32], budget: &mut Budget) -> Result<()> {
        while !ids.is_empty() {
            let filled = self.len % LEN;
            let (now, later) = ids.split_at(ids.len().min(LEN - filled));
            self.open[filled..filled + now.len()].copy_from_slice(now);
            self.len += now.len();
            ids = later;
            if self.len.is_multiple_of(LEN) {
                self.close(LEN, budget)?;
            }
        }
        Ok(())
    }

    pub(super) fn finish(&mut self, budget: &mut Budget) -> Result<()> {
        if !self.len.is_multiple_of(LEN) {
            self.close(self.len % LEN, budget)?;
        }
        budget.shrink(&mut self.blocks);
        budget.shrink(&mut self.other);
        Ok(())
    }

    fn close(&mut self, len: usize, budget: &mut Budget) -> Result<()> {
        let ids = &self.open[..len];
        budget.grow(&mut self.blocks, 1, WHAT)?;
        let follow = |pair: &[u32]| pair[0].checked_add(STEP) == Some(pair[1]);
        if ids.windows(2).all(follow) {
            return self.blocks.push(Block::From(ids[0]));
        }
        self.blocks.push(Block::At(self.other.len() as u32))?;
        budget.grow(&mut self.other, len, WHAT)?;
        self.other.extend_from_slice(ids)
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
        let sequence = |ids: &[u32], piece: usize| {
            let (mut sequence, mut budget) = (Sequence::default(), Budget::new(None));
            ids.chunks(piece).for_each(|some| sequence.extend(some, &mut budget).unwrap());
            sequence.finish(&mut budget).unwrap();
            sequence
        };
        for ids in [&regular[..], &odd, &high, &[], &[5]] {
            for piece in [1, 7, 64, 100, 1000] {
                let sequence = sequence(ids, piece);
                assert!(ids.iter().zip(0..).all(|(&id, node)| sequence.get(node) == id));
            }
        }
        assert!(sequence(&regular, 1000).memory() < 200);
        assert_eq!(sequence(&odd, 1000).other.len(), 64 + 64 + 40);
    }
}
