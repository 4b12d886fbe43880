//! The Summary's filters: which objects are counted.

use super::{Heap, names, table::Filter};
use crate::{
    error::Result,
    graph::{BitSet, NO_DISTANCE, steps::Steps},
    progress::Progress,
    snapshot::{Edge, EdgeType, NodeType},
};

/// Which objects the Summary counts.
///
/// "Retained by" means: with the named things gone, these objects would be too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SummaryFilter {
    /// Objects whose id is greater than the first and at most the second: those allocated between two snapshots, from
    /// their greatest ids of JavaScript objects.
    Ids(Option<u32>, u32),
    /// Strings whose text another string has too.
    DuplicatedStrings,
    /// Retained by DOM nodes that no page shows any more.
    RetainedByDetachedDomNodes,
    /// Retained by the contexts of closures.
    RetainedByContexts,
    /// Retained by what was logged to DevTools' console.
    RetainedByConsole,
    /// Retained by event handlers of the DOM.
    RetainedByEventHandlers,
}

/// The nodes that a filter keeps.
pub(super) enum Kept {
    Ids(Option<u32>, u32),
    These(BitSet),
    /// All but these.
    Others(BitSet),
}

impl Heap {
    /// Finds out which nodes a filter keeps.
    pub(super) fn kept(&self, filter: SummaryFilter, progress: &Progress) -> Result<Kept> {
        let named = |node: u32, test: &dyn Fn(&[u8]) -> bool| {
            test(self.snapshot.node_name(node).as_bytes()) && !self.graph.states().is_renamed(&self.snapshot, node)
        };
        let passed = match filter {
            SummaryFilter::Ids(after, to) => return Ok(Kept::Ids(after, to)),
            SummaryFilter::DuplicatedStrings => return Ok(Kept::These(self.duplicated_strings(progress)?)),
            SummaryFilter::RetainedByDetachedDomNodes => {
                self.passed(progress, |_, edge| self.graph.states().get(edge.to) != 2)?
            }
            SummaryFilter::RetainedByContexts => {
                let context = |name: &[u8]| name == b"system / Context" || name.starts_with(b"system / Context / ");
                self.passed(progress, |_, edge| !named(edge.to, &context))?
            }
            SummaryFilter::RetainedByConsole => self.passed(progress, |from, edge| {
                let console = || {
                    let name = self.snapshot.strings().get(edge.name_or_index);
                    names::number(&self.snapshot, edge).is_none() && name.as_bytes().ends_with(b" / DevTools console")
                };
                self.snapshot.node_type(from) != NodeType::Synthetic || !console()
            })?,
            SummaryFilter::RetainedByEventHandlers => {
                let mut handlers = BitSet::new(self.snapshot.node_count());
                let mut steps = Steps::start(progress, "event handlers", u64::from(self.snapshot.node_count()))?;
                for node in 0..self.snapshot.node_count() {
                    steps.one()?;
                    if named(node, &|name| name == b"V8EventListener")
                        && let Some(handler) = self.handler(node)
                    {
                        handlers.insert(handler);
                    }
                }
                steps.finish()?;
                self.passed(progress, |_, edge| !handlers.contains(edge.to))?
            }
        };
        Ok(Kept::Others(passed))
    }

    /// What a search from the root reaches over edges that are let through, and what has no distance.
    fn passed(&self, progress: &Progress, lets_through: impl Fn(u32, Edge) -> bool) -> Result<BitSet> {
        let count = self.snapshot.node_count();
        let mut steps = Steps::start(progress, "filter", u64::from(count))?;
        let mut reached = BitSet::new(count);
        reached.insert(self.snapshot.root());
        let mut list = vec![self.snapshot.root()];
        while let Some(node) = list.pop() {
            steps.one()?;
            for edge in self.snapshot.edges(node) {
                steps.edge(edge.ordinal)?;
                let goes_on = edge.kind != EdgeType::Weak && !reached.contains(edge.to) && lets_through(node, edge);
                if goes_on {
                    reached.insert(edge.to);
                    list.push(edge.to);
                }
            }
        }
        for node in (0..count).filter(|&node| self.graph.distance(node) == NO_DISTANCE) {
            steps.edge(node)?;
            reached.insert(node);
        }
        steps.finish()?;
        Ok(reached)
    }

    /// The function behind an event listener: its callback, or what a framework has wrapped in it.
    fn handler(&self, listener: u32) -> Option<u32> {
        let callback = self.target_of(listener, "1")?;
        if self.target_of(callback, "code").is_some() {
            return Some(callback);
        }
        let mut wrapped = self.snapshot.edges(callback).map(|edge| edge.to);
        Some(wrapped.find(|&node| self.target_of(node, "code").is_some()).unwrap_or(callback))
    }

    /// The target of a node's first edge of a name.
    fn target_of(&self, node: u32, name: &str) -> Option<u32> {
        let mut edges = self.snapshot.edges(node);
        edges.find(|&edge| names::edge(&self.snapshot, edge).as_js_str().is(name)).map(|edge| edge.to)
    }
}

impl Kept {
    /// As a function, for as long as the heap lives.
    pub(super) fn test<R>(&self, heap: &Heap, use_it: impl FnOnce(Filter<'_>) -> R) -> R {
        match self {
            Kept::Ids(after, to) => use_it(Some(&|node| {
                let id = heap.snapshot.node_id(node);
                after.is_none_or(|after| id > after) && id <= *to
            })),
            Kept::These(nodes) => use_it(Some(&|node| nodes.contains(node))),
            Kept::Others(nodes) => use_it(Some(&|node| !nodes.contains(node))),
        }
    }
}
