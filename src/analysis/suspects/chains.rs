//! Chains: objects each of which holds the next, too many in a row for a person to have meant it.

use rustc_hash::FxHashMap;

use super::{
    SuspectKind,
    accumulation::{Draft, Points},
};
use crate::{
    analysis::{
        Heap, JsString,
        format::one_line,
        holders::{Holders, Kind},
    },
    error::Result,
    snapshot::{EdgeType, NodeType},
};

/// From how many links of one kind on it is a chain.
const LINKS: u32 = 24;
/// Links are at most this many steps of the dominator tree apart.
const GAP: u32 = 12;
const MAX_NAME: usize = 60;

/// A chain, from its head down to a point.
pub(super) struct Chain {
    pub(super) head: u32,
    /// The kind of link that a person knows, an example of it, and how many there are.
    example: u32,
    class: u32,
    count: u64,
    link: Option<Link>,
    promises: bool,
}

/// How closures make a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The function that keeps the context.
    pub(super) closure: String,
    /// The variable that leads to the next link.
    pub(super) variable: String,
}

/// The chain that ends at a point, if one does: on the way up, some kind of node comes again and again.
pub(super) fn find(holders: &Holders<'_>, heap: &Heap, point: u32) -> Result<Option<Chain>> {
    let (snapshot, graph) = (&heap.snapshot, &heap.graph);
    // By type and name: V8's own links have no class of their own.
    let key = |node: u32| match snapshot.node_type(node) {
        kind @ (NodeType::Hidden | NodeType::Array | NodeType::Closure) => (kind, snapshot.node_name_index(node)),
        kind => (kind, heap.classes.of(node)),
    };
    let mut counts: FxHashMap<(NodeType, u32), u32> = FxHashMap::default();
    let mut steps = 0u32;
    let mut walk = |f: &mut dyn FnMut(u32)| -> Result<()> {
        let mut at = point;
        while at != snapshot.root() {
            f(at);
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(1 << 14) {
                holders.progress().check()?;
            }
            at = graph.dominator(at);
        }
        Ok(())
    };
    walk(&mut |node| *counts.entry(key(node)).or_insert(0) += 1)?;
    counts.retain(|_, count| *count >= LINKS);
    if counts.is_empty() {
        return Ok(None);
    }
    let mut promises = false;
    // The best known kind: an object of the program before closures, contexts and V8's own.
    let mut best: Option<(u32, u32)> = None;
    let mut link = None;
    let mut below = None;
    walk(&mut |node| {
        if counts.contains_key(&key(node)) {
            let name = snapshot.node_name(node);
            promises |= name.is("Promise") || name.find("PromiseReaction").is_some();
            let rank = match snapshot.node_type(node) {
                NodeType::Object if name.starts_with("system / ") => 2,
                NodeType::Object => 0,
                NodeType::Closure => 1,
                _ => 3,
            };
            if best.is_none_or(|(least, _)| rank < least) {
                best = Some((rank, node));
            }
            if link.is_none() && name.starts_with("system / Context") {
                link = below.and_then(|below| context_link(holders, node, below));
            }
        }
        below = Some(node);
    })?;
    let Some((_, example)) = best else { return Ok(None) };
    // The head is the topmost link of the kind that a person knows, and of one row: other objects of that kind may be far above.
    let (mut head, mut gap) = (example, 0);
    let mut begun = false;
    walk(&mut |node| {
        gap += 1;
        if key(node) == key(example) && (!begun || gap <= GAP) {
            (head, gap, begun) = (node, 0, true);
        }
    })?;
    let count = u64::from(counts[&key(example)]);
    Ok(Some(Chain { head, example, class: heap.classes.of(example), count, link, promises }))
}

/// What a link is called. Who waits for a promise has no class of its own among V8's things.
fn link_name(heap: &Heap, chain: &Chain) -> JsString {
    match heap.snapshot.node_name(chain.example).find("PromiseReaction") {
        Some(_) => JsString::from("PromiseReaction"),
        None => heap.classes.name(chain.class).clone(),
    }
}

/// The variable by which a context holds the next link, and the closure that holds the context.
fn context_link(holders: &Holders<'_>, context: u32, below: u32) -> Option<Link> {
    let snapshot = holders.snapshot();
    let edge = snapshot.edges(context).find(|edge| edge.kind == EdgeType::Context && edge.to == below)?;
    let closure = holders.references_to(context).take(64).find(|reference| {
        snapshot.node_type(reference.from) == NodeType::Closure && holders.edge_name(reference.edge) == "context"
    })?;
    let closure = one_line(&snapshot.node_name(closure.from).to_string_lossy(), MAX_NAME);
    Some(Link { closure, variable: holders.edge_name(edge) })
}

/// A chain as a suspect: its holder is its head.
pub(super) fn draft(holders: &Holders<'_>, points: &Points<'_>, chain: &Chain) -> Result<Option<Draft>> {
    let heap = points.heap;
    let holder = points.owner(chain.head);
    let holder_kind = holders.kind(holder)?;
    // Timers are a ring, and promises that all wait for one hang on it one behind the other.
    let kind = match (holder_kind, &chain.link) {
        (Kind::Timers, _) => SuspectKind::Timers,
        _ if chain.promises => SuspectKind::Promises,
        (_, Some(_)) => SuspectKind::ClosureChain,
        _ => SuspectKind::Chain,
    };
    Ok(Some(Draft {
        kind,
        holder,
        holder_kind,
        holder_class: holders.class_name(holder),
        subject: Some(holder),
        class_name: link_name(heap, chain),
        count: chain.count,
        retained: heap.graph.retained_size(holder),
        weight: points.weight(holder),
        place: holders.place(holder)?,
        counted: Some(chain.class),
        link: chain.link.clone(),
        captured: None,
    }))
}
