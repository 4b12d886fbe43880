//! Dominators: Semi-NCA, iterative, in depth-first numbers.
//!
//! Two things make it fit for heaps. Path compression runs on a stack of its own, so that depth costs no recursion. And
//! the search for the nearest common ancestor, which in plain Semi-NCA walks the dominator tree step by step (quadratic
//! when the values of a long list are also held elsewhere), jumps.

mod predecessors;
mod search;

use super::{essential::Rules, steps::Steps};
use crate::{
    error::Result,
    progress::Progress,
    snapshot::{Column, Snapshot, prefetch},
};
use predecessors::Predecessors;
use search::Search;

/// How far ahead of a loop memory is asked for.
const AHEAD: usize = 24;
/// What dominators take for each number reached, beside the predecessors, at most.
const BYTES_PER_NUMBER: u64 = 20;
/// So many numbers are given back to the system at a time.
const GIVEN_BACK: usize = 1 << 20;

/// Who dominates whom.
pub struct DominatorTree {
    /// Each node's immediate dominator; the root's, and that of everything unreachable, is the root.
    pub(crate) dominator: Column<u32>,
    /// The nodes reached, in depth-first order: a dominator comes before what it dominates.
    pub(crate) order: Column<u32>,
}

impl DominatorTree {
    /// The dominators over the essential edges, with a further edge from the root to each node that has no essential edge
    /// leading to it. What is unreachable even then (cycles that nothing reaches) is dominated by the root, and has no
    /// influence.
    pub(crate) fn compute(snapshot: &Snapshot, rules: Rules<'_>, progress: &Progress) -> Result<Self> {
        let Search { number, order, others, lists, ups_and_downs, .. } = Search::run(snapshot, &rules, progress)?;
        drop(rules);
        let preds = Predecessors::collect(snapshot, number, others, lists, progress)?;
        let semi = semi_dominators(ups_and_downs.parents(order.len())?, preds, progress)?;
        let immediate = immediate_dominators(ups_and_downs.parents(order.len())?, &semi, progress)?;
        drop(semi);
        let mut dominator = Column::filled(snapshot.node_count() as usize, snapshot.root())?;
        let mut steps = Steps::start(progress, "dominator tree", order.len() as u64)?;
        for (&node, &by) in order.iter().zip(&immediate[..]) {
            steps.one()?;
            dominator[node as usize] = order[by as usize];
        }
        steps.finish()?;
        Ok(DominatorTree { dominator, order })
    }
}

/// A link of the forest that grows while numbers are processed downwards: the next one up, skipping what was compressed
/// away, and the least semi-dominator from here to below that.
type Link = [u32; 2];
const UP: usize = 0;
const LOW: usize = 1;

/// The semi-dominators of all numbers but the root's.
struct SemiDominators(Column<u32>);

impl SemiDominators {
    fn of(&self, number: usize) -> u32 {
        self.0[number + 1]
    }
}

fn semi_dominators(mut parent: Column<u32>, preds: Predecessors, progress: &Progress) -> Result<SemiDominators> {
    let count = parent.len() as u32;
    let mut steps = Steps::start(progress, "dominators", u64::from(count))?;
    let Predecessors { mut first, number: mut preds } = preds;
    // Links are made from the last number down, and of parents and predecessors the last are done with: the memory of the
    // ones grows as that of the others goes.
    let mut links: Column<Link> = Column::zeros(count as usize)?;
    let mut stack = Column::new();
    let mut looked = 0u32;
    for number in (1..count).rev() {
        steps.one()?;
        let mut least = parent[number as usize];
        let range = first[number as usize] as usize..first[number as usize + 1] as usize;
        for at in range.clone().rev() {
            if let Some(&later) = at.checked_sub(AHEAD).and_then(|at| preds.get(at)) {
                prefetch(&links, later as usize);
            }
            looked = looked.wrapping_add(1);
            steps.edge(looked)?;
            let pred = preds[at];
            let value = if pred < number { pred } else { lowest(&mut links, &mut stack, pred, number)? };
            least = least.min(value);
        }
        links[number as usize] = [parent[number as usize], least];
        // Where the list ended nobody will ask any more.
        first[number as usize + 1] = least;
        preds.truncate(range.start);
        parent.truncate(number as usize);
        for done in [&mut preds, &mut parent] {
            if done.capacity() - done.len() >= GIVEN_BACK {
                done.shrink_to_fit();
            }
        }
    }
    steps.finish()?;
    Ok(SemiDominators(first))
}

/// The least semi-dominator of `from` and its forest ancestors above `floor`; what it walks, it compresses.
#[inline]
fn lowest(links: &mut [Link], stack: &mut Column<u32>, from: u32, floor: u32) -> Result<u32> {
    let mut top = from;
    while links[top as usize][UP] > floor {
        stack.push(top)?;
        top = links[top as usize][UP];
    }
    while let Some(number) = stack.pop() {
        let above = links[links[number as usize][UP] as usize];
        let link = &mut links[number as usize];
        *link = [above[UP], link[LOW].min(above[LOW])];
    }
    Ok(links[from as usize][LOW])
}

/// A shortcut up the dominator tree: from depth d to one with few bits (Myers' skew-binary jump pointers), so that any
/// ancestor is a logarithm of steps away.
#[derive(Clone, Copy)]
struct Jump {
    depth: u32,
    to: u32,
}

/// The immediate dominator is the nearest dominator of the parent that is not below the semi-dominator.
fn immediate_dominators(parent: Column<u32>, semi: &SemiDominators, progress: &Progress) -> Result<Column<u32>> {
    let count = parent.len() as u32;
    let mut steps = Steps::start(progress, "immediate dominators", u64::from(count))?;
    let mut immediate = parent;
    let mut jumps = Column::filled(count as usize, Jump { depth: 0, to: 0 })?;
    for number in 1..count as usize {
        steps.one()?;
        let limit = semi.of(number);
        let mut up = immediate[number];
        while up > limit {
            let jump = jumps[up as usize].to;
            up = if jump > limit { jump } else { immediate[up as usize] };
        }
        immediate[number] = up;
        let near = jumps[up as usize];
        let far = jumps[near.to as usize];
        let farther = jumps[far.to as usize];
        // Two jumps of equal length become one of twice that, plus one.
        let equal = near.depth - far.depth == far.depth - farther.depth;
        jumps[number] = Jump { depth: near.depth + 1, to: if equal { far.to } else { up } };
    }
    steps.finish()?;
    Ok(immediate)
}
