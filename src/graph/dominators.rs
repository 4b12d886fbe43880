//! Dominators: Semi-NCA, iterative, in depth-first numbers.
//!
//! Two things make it fit for heaps. Path compression runs on a stack of its own, so that depth costs no recursion. And
//! the search for the nearest common ancestor, which in plain Semi-NCA walks the dominator tree step by step (quadratic
//! when the values of a long list are also held elsewhere), jumps.

use super::{BitSet, essential::EssentialEdges, steps::Steps};
use crate::{error::Result, progress::Progress, snapshot::Snapshot};

/// Not reached by the search.
const UNSEEN: u32 = u32::MAX;

/// Who dominates whom.
pub struct DominatorTree {
    /// Each node's immediate dominator; the root's, and that of everything unreachable, is the root.
    pub dominator: Vec<u32>,
    /// The nodes reached, in depth-first order: a dominator comes before what it dominates.
    pub order: Vec<u32>,
}

impl DominatorTree {
    /// The dominators over the essential edges, with a further edge from the root to each node that has no essential edge
    /// leading to it. What is unreachable even then (cycles that nothing reaches) is dominated by the root, and has no
    /// influence.
    pub(crate) fn compute(snapshot: &Snapshot, essential: EssentialEdges, progress: &Progress) -> Result<Self> {
        let EssentialEdges { mut edges, held } = essential;
        let search = Search::run(snapshot, &mut edges, held, progress)?;
        let preds = Predecessors::collect(snapshot, edges, &search, progress)?;
        let Search { number, order, parent } = search;
        drop(number);
        let semi = semi_dominators(&parent, preds, progress)?;
        let immediate = immediate_dominators(parent, &semi, progress)?;
        drop(semi);
        let mut dominator = vec![snapshot.root(); snapshot.node_count() as usize];
        let mut steps = Steps::start(progress, "dominator tree", order.len() as u64)?;
        for (&node, &by) in order.iter().zip(&immediate) {
            steps.one()?;
            dominator[node as usize] = order[by as usize];
        }
        steps.finish()?;
        Ok(DominatorTree { dominator, order })
    }
}

/// A depth-first search from the root, then from every orphan.
struct Search {
    /// From node to its place in `order`.
    number: Vec<u32>,
    order: Vec<u32>,
    /// The number of each number's parent; orphans hang on the root.
    parent: Vec<u32>,
}

impl Search {
    /// Takes the edges of its tree out of `edges`: what is left are those that lead to where it had been already.
    fn run(snapshot: &Snapshot, edges: &mut BitSet, held: BitSet, progress: &Progress) -> Result<Search> {
        let count = snapshot.node_count();
        let mut steps = Steps::start(progress, "depth first", u64::from(count))?;
        let mut search = Search { number: vec![UNSEEN; count as usize], order: Vec::new(), parent: Vec::new() };
        let mut stack: Vec<(u32, u32)> = Vec::new();
        let orphans = (0..count).filter(|&node| !held.contains(node) && node != snapshot.root());
        for start in std::iter::once(snapshot.root()).chain(orphans) {
            steps.one()?;
            search.visit(start, 0);
            stack.push((start, snapshot.edge_range(start).start));
            'down: while let Some((node, next)) = stack.last_mut() {
                let node = *node;
                let end = snapshot.edge_range(node).end;
                while *next < end {
                    let edge = *next;
                    *next += 1;
                    steps.edge(edge)?;
                    if !edges.contains(edge) {
                        continue;
                    }
                    let to = snapshot.edge(edge).to;
                    if search.number[to as usize] == UNSEEN {
                        steps.one()?;
                        edges.remove(edge);
                        search.visit(to, search.number[node as usize]);
                        stack.push((to, snapshot.edge_range(to).start));
                        continue 'down;
                    }
                }
                stack.pop();
            }
        }
        steps.finish()?;
        search.order.shrink_to_fit();
        search.parent.shrink_to_fit();
        Ok(search)
    }

    fn visit(&mut self, node: u32, parent: u32) {
        self.number[node as usize] = self.order.len() as u32;
        self.order.push(node);
        self.parent.push(parent);
    }
}

/// The essential edges backwards, in depth-first numbers, without those of the search's own tree.
struct Predecessors {
    first: Vec<u32>,
    number: Vec<u32>,
}

impl Predecessors {
    fn collect(snapshot: &Snapshot, edges: BitSet, search: &Search, progress: &Progress) -> Result<Predecessors> {
        // In file order: the edges are read one after the other.
        let each = |f: &mut dyn FnMut(u32, u32)| -> Result<()> {
            let mut steps = Steps::start(progress, "predecessors", u64::from(snapshot.node_count()))?;
            for (node, &from) in search.number.iter().enumerate() {
                steps.one()?;
                if from == UNSEEN {
                    continue;
                }
                for edge in snapshot.edge_range(node as u32) {
                    steps.edge(edge)?;
                    if edges.contains(edge) {
                        f(from, search.number[snapshot.edge(edge).to as usize]);
                    }
                }
            }
            steps.finish()
        };
        let mut first = vec![0u32; search.order.len() + 1];
        each(&mut |_, to| first[to as usize] += 1)?;
        let mut sum = 0;
        for slot in &mut first {
            sum += *slot;
            *slot = sum;
        }
        // Each list is filled from its end, which leaves `first` at the lists' beginnings.
        let mut number = vec![0u32; sum as usize];
        each(&mut |from, to| {
            let slot = &mut first[to as usize];
            *slot -= 1;
            number[*slot as usize] = from;
        })?;
        Ok(Predecessors { first, number })
    }

    fn of(&self, number: u32) -> &[u32] {
        &self.number[self.first[number as usize] as usize..self.first[number as usize + 1] as usize]
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

fn semi_dominators(parent: &[u32], preds: Predecessors, progress: &Progress) -> Result<Vec<u32>> {
    let count = parent.len() as u32;
    let mut steps = Steps::start(progress, "dominators", u64::from(count))?;
    let mut semi = parent.to_vec();
    let mut links: Vec<Link> = parent.iter().map(|&up| Link { up, low: 0 }).collect();
    let mut stack = Vec::new();
    let mut looked = 0u32;
    for number in (1..count).rev() {
        steps.one()?;
        let mut least = parent[number as usize];
        for &pred in preds.of(number) {
            looked = looked.wrapping_add(1);
            steps.edge(looked)?;
            let value = if pred < number { pred } else { lowest(&mut links, &mut stack, pred, number) };
            least = least.min(value);
        }
        semi[number as usize] = least;
        links[number as usize].low = least;
    }
    steps.finish()?;
    Ok(semi)
}

/// The least semi-dominator of `from` and its forest ancestors above `floor`; what it walks, it compresses.
#[inline]
fn lowest(links: &mut [Link], stack: &mut Vec<u32>, from: u32, floor: u32) -> u32 {
    let mut top = from;
    while links[top as usize].up > floor {
        stack.push(top);
        top = links[top as usize].up;
    }
    while let Some(number) = stack.pop() {
        let above = links[links[number as usize].up as usize];
        let link = &mut links[number as usize];
        link.low = link.low.min(above.low);
        link.up = above.up;
    }
    links[from as usize].low
}

/// A shortcut up the dominator tree: from depth d to one with few bits (Myers' skew-binary jump pointers), so that any
/// ancestor is a logarithm of steps away.
#[derive(Clone, Copy)]
struct Jump {
    depth: u32,
    to: u32,
}

/// The immediate dominator is the nearest dominator of the parent that is not below the semi-dominator.
fn immediate_dominators(parent: Vec<u32>, semi: &[u32], progress: &Progress) -> Result<Vec<u32>> {
    let count = parent.len() as u32;
    let mut steps = Steps::start(progress, "immediate dominators", u64::from(count))?;
    let mut immediate = parent;
    let mut jumps = vec![Jump { depth: 0, to: 0 }; count as usize];
    for number in 1..count as usize {
        steps.one()?;
        let limit = semi[number];
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
    first: Vec<u32>,
    nodes: Vec<u32>,
}

impl Children {
    /// Lists what each node immediately dominates, in file order.
    pub fn of_tree(dominator: &[u32], root: u32, progress: &Progress) -> Result<Children> {
        let count = dominator.len() as u32;
        let mut steps = Steps::start(progress, "dominated objects", 2 * u64::from(count))?;
        let mut first = vec![0u32; count as usize + 1];
        for node in (0..count).filter(|&node| node != root) {
            steps.one()?;
            first[dominator[node as usize] as usize] += 1;
        }
        let mut sum = 0;
        for slot in &mut first {
            sum += *slot;
            *slot = sum;
        }
        let mut nodes = vec![0u32; sum as usize];
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
