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
        self_size: impl Fn(u32) -> u32,
        dominator: &[u32],
        order: &[u32],
        progress: &Progress,
    ) -> Result<RetainedSizes> {
        let mut steps = Steps::start(progress, "retained sizes", order.len() as u64)?;
        let mut sizes = RetainedSizes { small: Column::zeros(dominator.len())?, large: FxHashMap::default() };
        let mut total = 0;
        for node in 0..dominator.len() as u32 {
            steps.edge(node)?;
            let size = u64::from(self_size(node));
            total += size;
            sizes.set(node, size);
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

    #[inline]
    fn add(&mut self, node: u32, bytes: u64) {
        self.set(node, self.get(node) + bytes);
    }

    #[inline]
    fn set(&mut self, node: u32, size: u64) {
        match u32::try_from(size) {
            Ok(small) if small != LARGE => self.small[node as usize] = small,
            _ => {
                self.small[node as usize] = LARGE;
                self.large.insert(node, size);
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
        let r = RetainedSizes::compute(0, |node| sizes[node as usize], &[0, 0, 1, 0], &[0, 1, 2], &Progress::default())
            .unwrap();
        assert_eq!(r.get(2), u64::from(u32::MAX) - 1);
        assert_eq!(r.get(1), 2 * u64::from(u32::MAX) - 1);
        assert_eq!(r.get(0), 2 * u64::from(u32::MAX) + 5);
        assert_eq!(r.get(3), 5);
        let r = RetainedSizes::compute(0, |node| [0, u32::MAX][node as usize], &[0, 0], &[0, 1], &Progress::default())
            .unwrap();
        assert_eq!((r.get(0), r.get(1)), (u64::from(u32::MAX), u64::from(u32::MAX)));
    }
}
