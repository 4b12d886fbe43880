//! The edges backwards: who refers to a node.

use super::steps::Steps;
use crate::{
    error::Result,
    progress::Progress,
    snapshot::{Column, Snapshot},
};

/// The incoming edges of every node, by their ordinals; four bytes an edge and a node.
pub struct Retainers {
    first: Column<u32>,
    edges: Column<u32>,
}

impl Retainers {
    /// Sorts all edges by their targets.
    pub fn build(snapshot: &Snapshot, progress: &Progress) -> Result<Retainers> {
        let mut steps = Steps::start(progress, "retainers", 2 * u64::from(snapshot.edge_count()))?;
        let mut first = Column::filled(snapshot.node_count() as usize + 1, 0u32)?;
        for edge in 0..snapshot.edge_count() {
            steps.one()?;
            first[snapshot.edge_to(edge) as usize] += 1;
        }
        let mut sum = 0;
        for slot in &mut first[..] {
            sum += *slot;
            *slot = sum;
        }
        let mut edges = Column::filled(sum as usize, 0u32)?;
        for edge in 0..snapshot.edge_count() {
            steps.one()?;
            let slot = &mut first[snapshot.edge_to(edge) as usize];
            *slot -= 1;
            edges[*slot as usize] = edge;
        }
        steps.finish()?;
        Ok(Retainers { first, edges })
    }

    /// The edges that lead to a node, in reverse file order, as DevTools keeps them.
    pub fn of(&self, node: u32) -> &[u32] {
        &self.edges[self.first[node as usize] as usize..self.first[node as usize + 1] as usize]
    }

    pub(super) fn memory(&self) -> u64 {
        self.first.memory() + self.edges.memory()
    }
}

/// The node that an edge leaves.
pub(crate) fn source(snapshot: &Snapshot, edge: u32) -> u32 {
    // The last node whose edges begin at or before this one: nodes without edges begin where the next one does.
    let (mut low, mut high) = (0, snapshot.node_count());
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if snapshot.edge_range(middle).start <= edge { low = middle } else { high = middle }
    }
    low
}
