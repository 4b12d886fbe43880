//! The depth-first search that gives nodes their numbers.

use crate::{
    error::Result,
    graph::{BitSet, essential::Rules, steps::Steps},
    progress::Progress,
    snapshot::{Column, Snapshot, prefetch},
};

/// A depth-first search from the root, then from every orphan.
pub(super) struct Search {
    /// By node, of those seen.
    pub(super) number: Column<u32>,
    /// The nodes by number.
    pub(super) order: Column<u32>,
    /// The essential edges but for those of the search's tree: they lead to where it had been already.
    pub(super) others: BitSet,
    /// The nodes that have a number. Every edge asks whether its target has, and a core's own cache holds all of it: nothing waits for
    /// the columns.
    seen: BitSet,
    /// By number: how many of `others` lead there; and one more.
    pub(super) lists: Column<u32>,
    pub(super) ups_and_downs: Walk,
}

impl Search {
    pub(super) fn run(snapshot: &Snapshot, rules: &Rules<'_>, progress: &Progress) -> Result<Search> {
        let count = snapshot.node_count();
        let mut search = Search {
            number: Column::zeros(count as usize)?,
            order: Column::with_capacity(count as usize)?,
            others: BitSet::new(snapshot.edge_count())?,
            seen: BitSet::new(count)?,
            lists: Column::zeros(count as usize + 1)?,
            ups_and_downs: Walk::default(),
        };
        let mut steps = Steps::start(progress, "depth first", u64::from(count))?;
        search.descend(snapshot, rules, snapshot.root(), &mut steps)?;
        if search.order.len() < count as usize {
            // What is held by the unreached alone: the reached hold nothing that is not reached.
            let mut held = BitSet::new(count)?;
            for node in (0..count).filter(|&node| !search.seen.contains(node)) {
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
                if !search.seen.contains(node) && !held.contains(node) {
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
        self.seen.insert(start);
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
                if !self.seen.insert(to) {
                    self.lists[self.number[to as usize] as usize] += 1;
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
pub(super) struct Walk {
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
    pub(super) fn parents(&self, count: usize) -> Result<Column<u32>> {
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
