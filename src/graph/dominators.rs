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
        let Search { number, order, others, lists, ups_and_downs } = Search::run(snapshot, &rules, progress)?;
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

/// A depth-first search from the root, then from every orphan.
struct Search {
    /// By node.
    number: Column<u32>,
    order: Column<u32>,
    /// The essential edges but for those of the search's tree: they lead to where it had been already.
    others: BitSet,
    /// By number: how many of `others` lead there; and one more.
    lists: Column<u32>,
    ups_and_downs: Walk,
}

impl Search {
    fn run(snapshot: &Snapshot, rules: &Rules<'_>, progress: &Progress) -> Result<Search> {
        let count = snapshot.node_count();
        let mut search = Search {
            number: Column::filled(count as usize, UNSEEN)?,
            order: Column::with_capacity(count as usize)?,
            others: BitSet::new(snapshot.edge_count())?,
            lists: Column::zeros(count as usize + 1)?,
            ups_and_downs: Walk::default(),
        };
        let mut steps = Steps::start(progress, "depth first", u64::from(count))?;
        search.descend(snapshot, rules, snapshot.root(), &mut steps)?;
        if search.order.len() < count as usize {
            // What is held by the unreached alone: the reached hold nothing that is not reached.
            let mut held = BitSet::new(count)?;
            for node in (0..count).filter(|&node| search.number[node as usize] == UNSEEN) {
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
                if search.number[node as usize] == UNSEEN && !held.contains(node) {
                    search.descend(snapshot, rules, node, &mut steps)?;
                }
            }
        }
        steps.finish()?;
        search.order.shrink_to_fit();
        Ok(search)
    }

    fn descend(&mut self, snapshot: &Snapshot, rules: &Rules<'_>, start: u32, steps: &mut Steps<'_>) -> Result<()> {
        let mut stack = Column::new();
        self.visit(start)?;
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
                let number = self.number[to as usize];
                if number != UNSEEN {
                    self.lists[number as usize] += 1;
                    self.others.insert(edge);
                    continue;
                }
                steps.one()?;
                self.visit(to)?;
                let range = snapshot.edge_range(to);
                for edge in range.clone().take(8) {
                    prefetch(&self.number, snapshot.edge_to(edge) as usize);
                }
                stack.push((to, range.start))?;
                continue 'down;
            }
            stack.pop();
            self.ups_and_downs.push(false)?;
        }
        Ok(())
    }

    fn visit(&mut self, node: u32) -> Result<()> {
        self.number[node as usize] = self.order.len() as u32;
        self.order.push(node)?;
        self.ups_and_downs.push(true)
    }
}

/// The way of a search through its tree, one bit for each step: down to the next number, or up. Two bits say of a number
/// what its parent's takes 32 for, while those would be in the way.
#[derive(Default)]
struct Walk {
    words: Column<u64>,
    /// The word that fills, from its lowest bit up.
    word: u64,
    bits: u32,
}

impl Walk {
    #[inline]
    fn push(&mut self, down: bool) -> Result<()> {
        self.word |= u64::from(down) << self.bits;
        self.bits += 1;
        if self.bits == u64::BITS {
            self.words.push(std::mem::take(&mut self.word))?;
            self.bits = 0;
        }
        Ok(())
    }

    /// The number of each number's parent; the root and the orphans hang on the root.
    fn parents(&self, count: usize) -> Result<Column<u32>> {
        let mut parent = Column::with_capacity(count)?;
        let mut above: Column<u32> = Column::new();
        for &word in self.words.iter().chain([&self.word]) {
            let (mut rest, mut left) = (word, u64::BITS);
            while rest != 0 {
                let ups = rest.trailing_zeros();
                above.truncate(above.len().saturating_sub(ups as usize));
                parent.push(above.last().copied().unwrap_or(0))?;
                above.push(parent.len() as u32 - 1)?;
                // Not in one step, which could be 64 bits wide.
                rest = rest >> ups >> 1;
                left -= ups + 1;
            }
            above.truncate(above.len().saturating_sub(left as usize));
        }
        Ok(parent)
    }
}

/// The essential edges backwards, in depth-first numbers, without those of the search's own tree.
struct Predecessors {
    /// Where the list of each number begins, and after all where the last one ends.
    first: Column<u32>,
    number: Column<u32>,
}

impl Predecessors {
    fn collect(
        snapshot: &Snapshot,
        number: Column<u32>,
        others: BitSet,
        mut lists: Column<u32>,
        progress: &Progress,
    ) -> Result<Predecessors> {
        let mut steps = Steps::start(progress, "predecessors", u64::from(snapshot.node_count()))?;
        let mut sum = 0;
        for slot in &mut lists[..] {
            sum += *slot;
            *slot = sum;
        }
        let needed = 4 * u64::from(sum) + BYTES_PER_NUMBER * lists.len() as u64 + others.memory();
        snapshot.allow(needed, "computing who retains whom")?;
        // Each list is filled from its end, which leaves the lists' beginnings in `lists`. The edges are read in file
        // order, some at a time: all of these wait for memory together.
        let mut preds = Predecessors { first: lists, number: Column::zeros(sum as usize)? };
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
            prefetch(&number, to as usize);
            batch.edges[batch.len] = (number[node as usize], to);
            batch.len += 1;
            if batch.len == Batch::LEN {
                steps.check()?;
                batch.flush(&number, &mut preds);
            }
        }
        batch.flush(&number, &mut preds);
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

    fn flush(&mut self, number: &[u32], preds: &mut Predecessors) {
        let edges = &mut self.edges[..self.len];
        for (_, to) in edges.iter_mut() {
            *to = number[*to as usize];
            prefetch(&preds.first, *to as usize);
        }
        for (_, to) in edges.iter_mut() {
            let slot = &mut preds.first[*to as usize];
            *slot -= 1;
            *to = *slot;
            prefetch(&preds.number, *to as usize);
        }
        for &mut (from, slot) in edges {
            preds.number[slot as usize] = from;
        }
        self.len = 0;
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
