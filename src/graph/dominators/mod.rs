//! Dominators: Semi-NCA, iterative, in depth-first numbers.
//!
//! Two things make it fit for heaps. Path compression runs on a stack of its own, so that depth costs no recursion. And
//! the search for the nearest common ancestor, which in plain Semi-NCA walks the dominator tree step by step (quadratic
//! when the values of a long list are also held elsewhere), jumps.

mod predecessors;
mod search;

use super::{BitSet, essential::Rules, steps::Steps};
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
/// So many bytes are given back to the system at a time.
const GIVEN_BACK: usize = 4 << 20;

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
    pub(crate) fn compute(snapshot: &Snapshot, mut rules: Rules<'_>, progress: &Progress) -> Result<Self> {
        let Search { number, order, others, lists, below_one, ups_and_downs, .. } =
            Search::run(snapshot, &mut rules, progress)?;
        drop(rules);
        let mut preds = Predecessors::collect(snapshot, &number, &order, others, lists, below_one, progress)?;
        let links = semi_dominators(ups_and_downs.parents(number)?, &order, &mut preds, progress)?;
        let Predecessors { first, .. } = preds;
        let parent = ups_and_downs.parents(Column::with_capacity(order.len())?)?;
        let mut dominator = immediate_dominators(parent, &order, first, links, progress)?;
        if order.len() < dominator.len() {
            let mut reached = BitSet::new(snapshot.node_count())?;
            order.iter().for_each(|&node| _ = reached.insert(node));
            let unreached = (0..snapshot.node_count()).filter(|&node| !reached.contains(node));
            unreached.for_each(|node| dominator[node as usize] = snapshot.root());
        }
        Ok(DominatorTree { dominator, order })
    }
}

/// A link of the forest that grows while numbers are processed downwards: the next one up, skipping what was compressed
/// away, and the least semi-dominator from here to below that.
type Link = [u32; 2];
const UP: usize = 0;
const LOW: usize = 1;

/// The semi-dominators, which come, by node, where `preds.first` says that the lists of predecessors begin. What remains of
/// the forest is memory to be used again.
///
/// Every second edge leads to one of few nodes that half the heap refers to: the maps of objects, prototypes, `undefined`.
/// Their semi-dominators are mostly as near to the root as they can be (at the global object, where that is the one
/// way to them), and the first predecessors tell: the others are passed over.
fn semi_dominators(
    mut parent: Column<u32>,
    order: &[u32],
    preds: &mut Predecessors,
    progress: &Progress,
) -> Result<Column<Link>> {
    let Predecessors { first, number: preds, only_by_one } = preds;
    let count = parent.len() as u32;
    let mut steps = Steps::start(progress, "dominators", u64::from(count))?;
    // Links are made from the last number down, and of parents and predecessors the last are done with: the memory of the
    // ones grows as that of the others goes.
    let mut links: Column<Link> = Column::zeros(count as usize)?;
    let mut stack = Column::new();
    let mut looked = 0u32;
    for number in (1..count).rev() {
        steps.one()?;
        if let Some(&soon) = (number as usize).checked_sub(AHEAD).and_then(|at| order.get(at)) {
            prefetch(first, soon as usize);
        }
        let slot = &mut first[order[number as usize] as usize];
        let start = *slot as usize;
        let mut least = parent[number as usize];
        let nearest = u32::from(number < *only_by_one);
        for at in (start..preds.len()).rev() {
            if least <= nearest {
                // Nobody has asked for the lists to come yet.
                (start.saturating_sub(AHEAD)..start).for_each(|soon| prefetch(&links, preds.get(soon) as usize));
                break;
            }
            if let Some(later) = at.checked_sub(AHEAD) {
                prefetch(&links, preds.get(later) as usize);
            }
            looked = looked.wrapping_add(1);
            steps.edge(looked)?;
            let pred = preds.get(at);
            let value = if pred < number { pred } else { lowest(&mut links, &mut stack, pred, number)? };
            least = least.min(value);
        }
        links[number as usize] = [parent[number as usize], least];
        // Nobody will ask any more where the list began.
        *slot = least;
        preds.truncate(start);
        parent.truncate(number as usize);
        preds.give_back(GIVEN_BACK);
        parent.give_back(GIVEN_BACK);
    }
    steps.finish()?;
    Ok(links)
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
type Jump = Link;
const DEPTH: usize = 0;
const TO: usize = 1;

/// The immediate dominator is the nearest dominator of the parent that is not below the semi-dominator. By node, in the
/// place of the semi-dominators; `jumps` is memory of the right size.
fn immediate_dominators(
    parent: Column<u32>,
    order: &[u32],
    semi: Column<u32>,
    mut jumps: Column<Jump>,
    progress: &Progress,
) -> Result<Column<u32>> {
    let count = parent.len();
    let mut steps = Steps::start(progress, "immediate dominators", count as u64)?;
    let (mut immediate, mut dominator) = (parent, semi);
    jumps[0] = [0, 0];
    dominator[order[0] as usize] = order[0];
    for number in 1..count {
        steps.one()?;
        if let Some(&soon) = order.get(number + AHEAD) {
            prefetch(&dominator, soon as usize);
        }
        let slot = &mut dominator[order[number] as usize];
        let limit = *slot;
        let mut up = immediate[number];
        while up > limit {
            let jump = jumps[up as usize][TO];
            up = if jump > limit { jump } else { immediate[up as usize] };
        }
        immediate[number] = up;
        *slot = order[up as usize];
        let near = jumps[up as usize];
        let far = jumps[near[TO] as usize];
        let farther = jumps[far[TO] as usize];
        // Two jumps of equal length become one of twice that, plus one.
        let equal = near[DEPTH] - far[DEPTH] == far[DEPTH] - farther[DEPTH];
        jumps[number] = [near[DEPTH] + 1, if equal { far[TO] } else { up }];
    }
    steps.finish()?;
    Ok(dominator)
}
