//! The depth-first search that gives nodes their numbers.

use crate::{
    error::Result,
    graph::{BitSet, essential::Rules, flags, steps::Steps},
    progress::Progress,
    snapshot::{Column, EdgeType, Snapshot, prefetch},
};

/// A depth-first search from the root, then from every orphan.
pub(super) struct Search {
    /// By node, of those seen.
    pub(super) number: Column<u32>,
    /// The nodes by number.
    pub(super) order: Column<u32>,
    /// The essential edges but for those of the search's tree: they lead to where it had been already.
    pub(super) others: BitSet,
    /// By node: how many of `others` lead there.
    pub(super) lists: Column<u32>,
    /// The nodes that have a number. Every edge asks whether its target has, and a core's own cache holds all of it: nothing waits for
    /// the columns.
    seen: BitSet,
    /// The nodes below number 1: what was searched before the root's next edge.
    pub(super) below_one: BitSet,
    pub(super) ups_and_downs: Walk,
    /// The way down to where it is: nodes, and which edge of each is next.
    path: Column<(u32, u32)>,
    /// While only the page has been searched: what it leads to by edges that do not retain, but are not weak.
    beside_page: Option<Column<u32>>,
}

impl Search {
    pub(super) fn run(snapshot: &Snapshot, rules: &mut Rules<'_>, progress: &Progress) -> Result<Search> {
        let count = snapshot.node_count();
        let mut search = Search {
            number: Column::zeros(count as usize)?,
            order: Column::with_capacity(count as usize)?,
            others: BitSet::new(snapshot.edge_count())?,
            lists: Column::zeros(count as usize)?,
            seen: BitSet::new(count)?,
            below_one: BitSet::default(),
            ups_and_downs: Walk::default(),
            path: Column::new(),
            beside_page: Some(Column::new()),
        };
        let mut steps = Steps::start(progress, "depth first", u64::from(count))?;
        let root = snapshot.root();
        search.visit(root)?;
        // What belongs to the page is searched first. So it is known when the first edge asks for it, and next to nothing
        // is walked for that alone.
        search.leave_root(snapshot, rules, true, &mut steps)?;
        rules.page_owned = search.page_owned(snapshot, &steps)?;
        search.leave_root(snapshot, rules, false, &mut steps)?;
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

    /// Follows the root's edges, those to the `page` or the others.
    fn leave_root(&mut self, snapshot: &Snapshot, rules: &Rules<'_>, page: bool, steps: &mut Steps<'_>) -> Result<()> {
        let source = rules.source(snapshot.root());
        for edge in snapshot.edges(snapshot.root()).filter(|&edge| flags::leads_to_page(snapshot, edge) == page) {
            steps.edge(edge.ordinal)?;
            match rules.follow(source, edge.ordinal) {
                Some(to) if self.seen.contains(to) => {
                    self.lists[to as usize] += 1;
                    self.others.insert(edge.ordinal);
                }
                Some(to) => {
                    self.descend(snapshot, rules, to, steps)?;
                    if self.order[1] == to {
                        self.below_one = self.seen.copy()?;
                        self.order[..2].iter().for_each(|&node| self.below_one.remove(node));
                    }
                }
                // An edge to itself, which makes all it leads to the page's.
                None if page => self.beside_page.iter_mut().try_for_each(|beside| beside.push(edge.to))?,
                None => {}
            }
        }
        Ok(())
    }

    /// What belongs to the page, when all of it that retains has been searched.
    fn page_owned(&mut self, snapshot: &Snapshot, steps: &Steps<'_>) -> Result<BitSet> {
        let mut owned = self.seen.copy()?;
        let mut beside = self.beside_page.take().unwrap_or_default();
        // The root was there before.
        owned.remove(snapshot.root());
        if self.lists[snapshot.root() as usize] > 0 {
            beside.push(snapshot.root())?;
        }
        flags::spread_page(snapshot, &mut owned, beside, steps)?;
        Ok(owned)
    }

    /// Searches from a node that was not seen, and hangs on the root.
    fn descend(&mut self, snapshot: &Snapshot, rules: &Rules<'_>, start: u32, steps: &mut Steps<'_>) -> Result<()> {
        self.visit(start)?;
        // Where it is, and which edge is next.
        let (mut node, mut next) = (start, snapshot.edge_range(start).start);
        'down: loop {
            let end = snapshot.edge_range(node).end;
            let source = rules.source(node);
            while next < end {
                let edge = next;
                next += 1;
                steps.edge(edge)?;
                let Some(to) = rules.follow(source, edge) else {
                    if let Some(beside) = &mut self.beside_page
                        && snapshot.edge_type(edge) != EdgeType::Weak
                    {
                        beside.push(snapshot.edge_to(edge))?;
                    }
                    continue;
                };
                if self.seen.contains(to) {
                    self.lists[to as usize] += 1;
                    self.others.insert(edge);
                    continue;
                }
                steps.one()?;
                self.visit(to)?;
                let range = snapshot.edge_range(to);
                for edge in range.clone().take(8) {
                    let soon = snapshot.edge_to(edge);
                    prefetch(&self.lists, soon as usize);
                    snapshot.prefetch_edge_range(soon);
                }
                // The way back leads to the next one, which is often soon.
                if next < end {
                    snapshot.prefetch_edges(snapshot.edge_to(next));
                }
                self.path.push((node, next))?;
                (node, next) = (to, range.start);
                continue 'down;
            }
            self.ups_and_downs.push(false)?;
            match self.path.pop() {
                Some(above) => (node, next) = above,
                None => return Ok(()),
            }
        }
    }

    #[inline]
    fn visit(&mut self, node: u32) -> Result<()> {
        self.seen.insert(node);
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

    /// The number of each number's parent, in the memory of `parent`; the root and the orphans hang on the root.
    pub(super) fn parents(&self, mut parent: Column<u32>) -> Result<Column<u32>> {
        parent.clear();
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
