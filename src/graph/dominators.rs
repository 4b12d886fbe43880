//! Dominators: Semi-NCA, iterative, in depth-first numbers.
//!
//! Two things make it fit for heaps. Path compression runs on a stack of its own, so that depth costs no recursion. And
//! the search for the nearest common ancestor, which in plain Semi-NCA walks the dominator tree step by step (quadratic
//! when the values of a long list are also held elsewhere), jumps.

use super::{BitSet, essential::Rules, steps::Steps};
use crate::{
    error::Result,
    progress::Progress,
    snapshot::{Column, Snapshot, prefetch},
};

/// Not reached by the search.
const UNSEEN: u32 = u32::MAX;
/// How far ahead of a loop memory is asked for.
const AHEAD: usize = 24;

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
        let search = Search::run(snapshot, &rules, progress)?;
        drop(rules);
        let Search { places, order, parent, others } = search;
        let preds = Predecessors::collect(snapshot, places, others, &order, progress)?;
        let semi = semi_dominators(&parent, preds, progress)?;
        let immediate = immediate_dominators(parent, &semi, progress)?;
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

/// What the search knows of a node, side by side, as one is looked up with the other.
#[derive(Clone, Copy)]
struct Place {
    /// Its place in the order.
    number: u32,
    /// How many essential edges lead to it besides that of the search's tree; later where their sources are listed.
    others: u32,
}

/// A depth-first search from the root, then from every orphan.
struct Search {
    /// By node.
    places: Column<Place>,
    order: Column<u32>,
    /// The number of each number's parent; orphans hang on the root.
    parent: Column<u32>,
    /// The essential edges but for those of the search's tree: they lead to where it had been already.
    others: BitSet,
}

impl Search {
    fn run(snapshot: &Snapshot, rules: &Rules<'_>, progress: &Progress) -> Result<Search> {
        let count = snapshot.node_count();
        let mut search = Search {
            places: Column::filled(count as usize, Place { number: UNSEEN, others: 0 })?,
            order: Column::with_capacity(count as usize)?,
            parent: Column::with_capacity(count as usize)?,
            others: BitSet::new(snapshot.edge_count())?,
        };
        let mut steps = Steps::start(progress, "depth first", u64::from(count))?;
        search.descend(snapshot, rules, snapshot.root(), &mut steps)?;
        if search.order.len() < count as usize {
            // What is held by the unreached alone: the reached hold nothing that is not reached.
            let mut held = BitSet::new(count)?;
            for node in (0..count).filter(|&node| search.places[node as usize].number == UNSEEN) {
                steps.one()?;
                let source = rules.source(node);
                for edge in snapshot.edge_range(node) {
                    steps.edge(edge)?;
                    if let Some(to) = rules.follow(source, edge) {
                        held.insert(to);
                    }
                }
            }
            for node in 0..count {
                if search.places[node as usize].number == UNSEEN && !held.contains(node) {
                    search.descend(snapshot, rules, node, &mut steps)?;
                }
            }
        }
        steps.finish()?;
        search.order.shrink_to_fit();
        search.parent.shrink_to_fit();
        Ok(search)
    }

    fn descend(&mut self, snapshot: &Snapshot, rules: &Rules<'_>, start: u32, steps: &mut Steps<'_>) -> Result<()> {
        let mut stack = Column::new();
        self.visit(start, 0)?;
        stack.push((start, snapshot.edge_range(start).start))?;
        'down: while let Some((node, next)) = stack.last_mut() {
            let node = *node;
            let end = snapshot.edge_range(node).end;
            let source = rules.source(node);
            while *next < end {
                let edge = *next;
                *next += 1;
                steps.edge(edge)?;
                let Some(to) = rules.follow(source, edge) else { continue };
                let place = &mut self.places[to as usize];
                if place.number != UNSEEN {
                    place.others += 1;
                    self.others.insert(edge);
                    continue;
                }
                steps.one()?;
                let parent = self.places[node as usize].number;
                self.visit(to, parent)?;
                let range = snapshot.edge_range(to);
                for edge in range.clone().take(8) {
                    prefetch(&self.places, snapshot.edge_to(edge) as usize);
                }
                stack.push((to, range.start))?;
                continue 'down;
            }
            stack.pop();
        }
        Ok(())
    }

    fn visit(&mut self, node: u32, parent: u32) -> Result<()> {
        self.places[node as usize].number = self.order.len() as u32;
        self.order.push(node)?;
        self.parent.push(parent)
    }
}

/// The essential edges backwards, in depth-first numbers, without those of the search's own tree.
struct Predecessors {
    first: Column<u32>,
    number: Column<u32>,
}

impl Predecessors {
    fn collect(
        snapshot: &Snapshot,
        mut places: Column<Place>,
        others: BitSet,
        order: &[u32],
        progress: &Progress,
    ) -> Result<Predecessors> {
        let total = 2 * order.len() as u64 + u64::from(snapshot.node_count());
        let mut steps = Steps::start(progress, "predecessors", total)?;
        let mut sum = 0;
        for (i, &node) in order.iter().enumerate() {
            steps.one()?;
            prefetch(&places, order.get(i + AHEAD).map_or(0, |&node| node as usize));
            let place = &mut places[node as usize];
            sum += place.others;
            place.others = sum;
        }
        let needed = 20 * order.len() as u64 + 4 * u64::from(sum) + others.memory();
        snapshot.allow(needed, "computing who retains whom")?;
        // Each list is filled from its end, which leaves `others` at the lists' beginnings. The edges are read in file
        // order, some at a time: all of these wait for memory together.
        let mut number = Column::filled(sum as usize, 0u32)?;
        let mut batch = Batch { edges: [(0, 0); Batch::LEN], len: 0 };
        let mut node = 0;
        let mut end = snapshot.edge_range(0).end;
        for edge in others.iter() {
            while edge >= end {
                steps.one()?;
                node += 1;
                end = snapshot.edge_range(node).end;
            }
            let to = snapshot.edge_to(edge);
            prefetch(&places, to as usize);
            batch.edges[batch.len] = (places[node as usize].number, to);
            batch.len += 1;
            if batch.len == Batch::LEN {
                steps.check()?;
                batch.flush(&mut places, &mut number);
            }
        }
        batch.flush(&mut places, &mut number);
        drop(others);
        let mut first = Column::with_capacity(order.len() + 1)?;
        for (i, &node) in order.iter().enumerate() {
            steps.one()?;
            prefetch(&places, order.get(i + AHEAD).map_or(0, |&node| node as usize));
            first.push(places[node as usize].others)?;
        }
        first.push(sum)?;
        steps.finish()?;
        Ok(Predecessors { first, number })
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

    fn flush(&mut self, places: &mut [Place], number: &mut [u32]) {
        for (_, to) in &mut self.edges[..self.len] {
            let place = &mut places[*to as usize].others;
            *place -= 1;
            *to = *place;
            prefetch(number, *to as usize);
        }
        for &(from, slot) in &self.edges[..self.len] {
            number[slot as usize] = from;
        }
        self.len = 0;
    }
}

/// A link of the forest that grows while numbers are processed downwards.
#[derive(Clone, Copy)]
struct Link {
    /// The next one up, skipping what was compressed away.
    up: u32,
    /// The least semi-dominator from here to below `up`.
    low: u32,
}

/// The semi-dominators of all numbers but the root's.
struct SemiDominators(Column<u32>);

impl SemiDominators {
    fn of(&self, number: usize) -> u32 {
        self.0[number + 1]
    }
}

fn semi_dominators(parent: &[u32], preds: Predecessors, progress: &Progress) -> Result<SemiDominators> {
    let count = parent.len() as u32;
    let mut steps = Steps::start(progress, "dominators", u64::from(count))?;
    let Predecessors { mut first, number: preds } = preds;
    let mut links = Column::with_capacity(count as usize)?;
    for &up in parent {
        links.push(Link { up, low: 0 })?;
    }
    let mut stack = Column::new();
    let mut looked = 0u32;
    for number in (1..count).rev() {
        steps.one()?;
        let mut least = parent[number as usize];
        let range = first[number as usize] as usize..first[number as usize + 1] as usize;
        for at in range.rev() {
            if let Some(&later) = at.checked_sub(AHEAD).and_then(|at| preds.get(at)) {
                prefetch(&links, later as usize);
            }
            looked = looked.wrapping_add(1);
            steps.edge(looked)?;
            let pred = preds[at];
            let value = if pred < number { pred } else { lowest(&mut links, &mut stack, pred, number)? };
            least = least.min(value);
        }
        links[number as usize].low = least;
        // Where the list ended nobody will ask any more.
        first[number as usize + 1] = least;
    }
    steps.finish()?;
    Ok(SemiDominators(first))
}

/// The least semi-dominator of `from` and its forest ancestors above `floor`; what it walks, it compresses.
#[inline]
fn lowest(links: &mut [Link], stack: &mut Column<u32>, from: u32, floor: u32) -> Result<u32> {
    let mut top = from;
    while links[top as usize].up > floor {
        stack.push(top)?;
        top = links[top as usize].up;
    }
    while let Some(number) = stack.pop() {
        let above = links[links[number as usize].up as usize];
        let link = &mut links[number as usize];
        link.low = link.low.min(above.low);
        link.up = above.up;
    }
    Ok(links[from as usize].low)
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
        let mut first = Column::filled(count as usize + 1, 0u32)?;
        for node in (0..count).filter(|&node| node != root) {
            steps.one()?;
            first[dominator[node as usize] as usize] += 1;
        }
        let mut sum = 0;
        for slot in &mut first[..] {
            sum += *slot;
            *slot = sum;
        }
        let mut nodes = Column::filled(sum as usize, 0u32)?;
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
