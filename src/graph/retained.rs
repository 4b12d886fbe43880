//! Retained sizes: what a node's removal would free.

use rustc_hash::FxHashMap;

use super::steps::Steps;
use crate::{
    error::Result,
    progress::Progress,
    snapshot::{Column, prefetch},
};

/// Stands for "see `large`".
const LARGE: u32 = u32::MAX;

/// One size a node: four bytes, as next to no node retains 4 GiB, and a table for those that do.
pub struct RetainedSizes {
    small: Column<u32>,
    large: FxHashMap<u32, u64>,
}

impl RetainedSizes {
    /// Adds sizes up along the dominator tree; `order` has a dominator before all it dominates. What `order` lacks is
    /// unreachable: the root retains it.
    pub(crate) fn compute(
        root: u32,
        self_size: &[u32],
        dominator: &[u32],
        order: &[u32],
        progress: &Progress,
    ) -> Result<RetainedSizes> {
        let mut steps = Steps::start(progress, "retained sizes", order.len() as u64)?;
        let mut sizes = RetainedSizes { small: Column::filled(self_size.len(), 0)?, large: FxHashMap::default() };
        for (node, &size) in self_size.iter().enumerate() {
            steps.edge(node as u32)?;
            sizes.add(node as u32, u64::from(size));
        }
        for (at, &node) in order.iter().enumerate().skip(1).rev() {
            steps.one()?;
            if let Some(&soon) = at.checked_sub(24).and_then(|at| order.get(at)) {
                prefetch(dominator, soon as usize);
                prefetch(&sizes.small, soon as usize);
            }
            if let Some(&soon) = at.checked_sub(12).and_then(|at| order.get(at)) {
                prefetch(&sizes.small, dominator[soon as usize] as usize);
            }
            sizes.add(dominator[node as usize], sizes.get(node));
        }
        // All of it, whether reached or not.
        let total = self_size.iter().map(|&size| u64::from(size)).sum::<u64>();
        sizes.add(root, total - sizes.get(root));
        steps.finish()?;
        Ok(sizes)
    }

    /// The size of a node.
    #[inline]
    pub fn get(&self, node: u32) -> u64 {
        match self.small[node as usize] {
            LARGE => self.large.get(&node).copied().unwrap_or_default(),
            size => u64::from(size),
        }
    }

    fn add(&mut self, node: u32, bytes: u64) {
        let sum = self.get(node) + bytes;
        match u32::try_from(sum) {
            Ok(small) if small != LARGE => self.small[node as usize] = small,
            _ => {
                self.small[node as usize] = LARGE;
                self.large.insert(node, sum);
            }
        }
    }

    pub(super) fn memory(&self) -> u64 {
        self.small.memory() + self.large.capacity() as u64 * 16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_beyond_four_gigabytes() {
        // 0 -> 1 -> 2, and 3 unreached.
        let sizes = [1, u32::MAX, u32::MAX - 1, 5];
        let r = RetainedSizes::compute(0, &sizes, &[0, 0, 1, 0], &[0, 1, 2], &Progress::default()).unwrap();
        assert_eq!(r.get(2), u64::from(u32::MAX) - 1);
        assert_eq!(r.get(1), 2 * u64::from(u32::MAX) - 1);
        assert_eq!(r.get(0), 2 * u64::from(u32::MAX) + 5);
        assert_eq!(r.get(3), 5);
        let r = RetainedSizes::compute(0, &[0, u32::MAX], &[0, 0], &[0, 1], &Progress::default()).unwrap();
        assert_eq!((r.get(0), r.get(1)), (u64::from(u32::MAX), u64::from(u32::MAX)));
    }
}
