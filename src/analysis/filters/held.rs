//! What only nodes of some kind hold: what a walk from the root does not reach when it goes around them.

use rustc_hash::FxHashMap;

use super::is_kind;
use crate::{
    analysis::{Heap, names},
    error::Result,
    graph::{BitSet, parse_int, steps::Steps},
    progress::Progress,
    snapshot::{Edge, EdgeType, NodeType},
};

/// What is reached without nodes that are detached from their document.
pub(super) fn without_detached(heap: &Heap, progress: &Progress) -> Result<BitSet> {
    reached(heap, progress, |_, edge| heap.graph.states().get(edge.to) == 2)
}

/// What is reached without the contexts of closures.
pub(super) fn without_contexts(heap: &Heap, progress: &Progress) -> Result<BitSet> {
    let contexts = heap.named(|name, renamed| !renamed && is_kind(name, "system / Context"), progress)?;
    reached(heap, progress, |_, edge| contexts.contains(edge.to))
}

/// What is reached without the console of DevTools, which holds what was printed there.
pub(super) fn without_console(heap: &Heap, progress: &Progress) -> Result<BitSet> {
    let snapshot = &heap.snapshot;
    reached(heap, progress, |from, edge| {
        if snapshot.node_type(from) != NodeType::Synthetic || edge.kind.has_index_name() {
            return false;
        }
        let name = snapshot.strings().get(edge.name_or_index).as_bytes();
        // To DevTools, a shortcut that begins with a number has no name but that number.
        name.ends_with(b" / DevTools console") && (edge.kind != EdgeType::Shortcut || parse_int(name).is_nan())
    })
}

/// What is reached without the functions that handle events.
pub(super) fn without_event_handlers(heap: &Heap, progress: &Progress) -> Result<BitSet> {
    let listeners = heap.named(|name, renamed| !renamed && name.is("V8EventListener"), progress)?;
    let mut search = Handlers { heap, is_function: FxHashMap::default(), of_callback: FxHashMap::default() };
    let mut handlers = BitSet::new(heap.snapshot.node_count())?;
    let mut steps = Steps::start(progress, "event handlers", u64::from(heap.snapshot.node_count()))?;
    for node in 0..heap.snapshot.node_count() {
        steps.one()?;
        if listeners.contains(node)
            && let Some(callback) = search.target(node, "1", &steps)?
        {
            handlers.insert(search.handler(callback, &steps)?);
        }
    }
    steps.finish()?;
    reached(heap, progress, |_, edge| handlers.contains(edge.to))
}

/// What strong edges reach from the root but for those that are refused, by their source and themselves.
fn reached(heap: &Heap, progress: &Progress, refused: impl Fn(u32, Edge) -> bool) -> Result<BitSet> {
    let snapshot = &heap.snapshot;
    let mut steps = Steps::start(progress, "what is held otherwise", u64::from(snapshot.node_count()))?;
    let mut reached = BitSet::new(snapshot.node_count())?;
    reached.insert(snapshot.root());
    let mut stack = vec![snapshot.root()];
    while let Some(node) = stack.pop() {
        steps.one()?;
        for edge in snapshot.edges(node) {
            steps.edge(edge.ordinal)?;
            if edge.kind != EdgeType::Weak && !reached.contains(edge.to) && !refused(node, edge) {
                reached.insert(edge.to);
                stack.push(edge.to);
            }
        }
    }
    steps.finish()?;
    Ok(reached)
}

/// From a listener's callback to the function in it. Remembers: many listeners may share one.
struct Handlers<'a> {
    heap: &'a Heap,
    is_function: FxHashMap<u32, bool>,
    of_callback: FxHashMap<u32, u32>,
}

impl Handlers<'_> {
    /// The callback when it is a function, else the first function it refers to, else the callback.
    fn handler(&mut self, callback: u32, steps: &Steps<'_>) -> Result<u32> {
        if let Some(&known) = self.of_callback.get(&callback) {
            return Ok(known);
        }
        let mut handler = callback;
        if !self.is_function(callback, steps)? {
            for edge in self.heap.snapshot.edges(callback) {
                if self.is_function(edge.to, steps)? {
                    handler = edge.to;
                    break;
                }
            }
        }
        self.of_callback.insert(callback, handler);
        Ok(handler)
    }

    /// Functions have code.
    fn is_function(&mut self, node: u32, steps: &Steps<'_>) -> Result<bool> {
        if let Some(&known) = self.is_function.get(&node) {
            return Ok(known);
        }
        let found = self.target(node, "code", steps)?.is_some();
        self.is_function.insert(node, found);
        Ok(found)
    }

    /// Where the first edge of a name leads, of whatever type.
    fn target(&self, node: u32, name: &str, steps: &Steps<'_>) -> Result<Option<u32>> {
        let snapshot = &self.heap.snapshot;
        for edge in snapshot.edges(node) {
            steps.edge(edge.ordinal)?;
            let is_it = match names::number(snapshot, edge) {
                Some(number) => name.parse() == Ok(number),
                None => snapshot.strings().short(edge.name_or_index).is(name),
            };
            if is_it {
                return Ok(Some(edge.to));
            }
        }
        Ok(None)
    }
}
