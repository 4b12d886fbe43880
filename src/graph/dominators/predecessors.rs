//! Which essential edges lead to a number.

use super::{AHEAD, BYTES_PER_NUMBER};
use crate::{
    error::Result,
    graph::{BitSet, steps::Steps},
    progress::Progress,
    snapshot::{Column, Packed, Snapshot, prefetch},
};

/// The essential edges backwards, in depth-first numbers, without those of the search's own tree.
pub(super) struct Predecessors {
    /// By node: where its list begins. It ends where that of the next number begins.
    pub(super) first: Column<u32>,
    pub(super) number: Packed,
    /// Every way from the root to a number from 2 up to this one leads through number 1.
    pub(super) only_by_one: u32,
}

impl Predecessors {
    pub(super) fn collect(
        snapshot: &Snapshot,
        number: &[u32],
        order: &[u32],
        others: BitSet,
        mut lists: Column<u32>,
        mut below_one: BitSet,
        progress: &Progress,
    ) -> Result<Predecessors> {
        let mut steps = Steps::start(progress, "predecessors", u64::from(snapshot.node_count()))?;
        let mut sum = 0u32;
        for (at, &node) in order.iter().enumerate() {
            if let Some(&soon) = order.get(at + AHEAD) {
                prefetch(&lists, soon as usize);
            }
            sum += lists[node as usize];
            lists[node as usize] = sum;
        }
        let needed = Packed::width(snapshot.node_count()) as u64 * u64::from(sum)
            + BYTES_PER_NUMBER * lists.len() as u64
            + others.memory();
        snapshot.allow(needed, "computing who retains whom")?;
        // Each list is filled from its end, which leaves the lists' beginnings in `lists`. The edges are read in file
        // order, some at a time: all of these wait for memory together.
        let only_by_one = 2 + below_one.count() as u32;
        let mut preds =
            Predecessors { first: lists, number: Packed::zeros(sum as usize, snapshot.node_count())?, only_by_one };
        let mut batch = Batch { edges: [(0, 0); Batch::LEN], len: 0 };
        let mut node = 0;
        let mut end = snapshot.edge_range(0).end;
        for edge in others.iter() {
            while edge >= end {
                steps.one()?;
                node += 1;
                end = snapshot.edge_range(node).end;
            }
            let (from, to) = (number[node as usize], snapshot.edge_to(edge));
            prefetch(&preds.first, to as usize);
            batch.edges[batch.len] = (from, to);
            if (from == 0 || from >= preds.only_by_one) && below_one.contains(to) {
                (preds.only_by_one, below_one) = Default::default();
            }
            batch.len += 1;
            if batch.len == Batch::LEN {
                steps.check()?;
                batch.flush(&mut preds);
            }
        }
        batch.flush(&mut preds);
        steps.finish()?;
        Ok(preds)
    }
}

/// Edges on their way to the lists of their targets.
struct Batch {
    /// The number of the source, and the target.
    edges: [(u32, u32); Batch::LEN],
    len: usize,
}

impl Batch {
    const LEN: usize = 64;

    fn flush(&mut self, preds: &mut Predecessors) {
        let edges = &mut self.edges[..self.len];
        for (_, to) in edges.iter_mut() {
            let slot = &mut preds.first[*to as usize];
            *slot -= 1;
            *to = *slot;
            preds.number.prefetch(*to as usize);
        }
        for &mut (from, slot) in edges {
            preds.number.set(slot as usize, from);
        }
        self.len = 0;
    }
}
