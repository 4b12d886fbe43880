//! The dominator tree from the root down.

use super::steps::Steps;
use crate::{error::Result, progress::Progress, snapshot::Column};

/// The dominator tree downwards.
pub struct Children {
    first: Column<u32>,
    nodes: Column<u32>,
}

impl Children {
    /// Lists what each node immediately dominates, in file order.
    pub fn of_tree(dominator: &[u32], root: u32, progress: &Progress) -> Result<Children> {
        let count = dominator.len() as u32;
        let mut steps = Steps::start(progress, "dominated objects", 2 * u64::from(count))?;
        let mut first = Column::zeros(count as usize + 1)?;
        for node in (0..count).filter(|&node| node != root) {
            steps.one()?;
            first[dominator[node as usize] as usize] += 1;
        }
        let mut sum = 0;
        for slot in &mut first[..] {
            sum += *slot;
            *slot = sum;
        }
        let mut nodes = Column::zeros(sum as usize)?;
        for node in (0..count).rev().filter(|&node| node != root) {
            steps.one()?;
            let slot = &mut first[dominator[node as usize] as usize];
            *slot -= 1;
            nodes[*slot as usize] = node;
        }
        steps.finish()?;
        Ok(Children { first, nodes })
    }

    /// What a node immediately dominates.
    pub fn of(&self, node: u32) -> &[u32] {
        &self.nodes[self.first[node as usize] as usize..self.first[node as usize + 1] as usize]
    }
}
