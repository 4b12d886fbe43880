//! Many objects of one class below a node that is no collection: who, lower down, holds most of them.

use rustc_hash::FxHashMap;

use super::{
    SuspectKind,
    accumulation::{Draft, Points, Tally},
};
use crate::{
    analysis::{
        Heap,
        format::one_line,
        holders::{Holders, Kind},
    },
    error::Result,
    snapshot::{EdgeType, NodeType},
};

/// From here on, plain objects are more than what Node.js has for itself.
const MANY: u64 = 1000;
/// Longest name in a sentence.
const MAX_NAME: usize = 60;

/// The classes below a point that are big enough to be suspects of their own.
pub(super) fn drafts(holders: &Holders<'_>, points: &Points<'_>, point: u32) -> Result<Vec<Draft>> {
    let mut found = Vec::new();
    for (class, tally) in points.classes.get(&point).into_iter().flatten() {
        if tally.weight < points.threshold || tally.count < 2 || !is_of_program(points.heap, tally.samples[0]) {
            continue;
        }
        let class_name = points.heap.classes.name(*class).clone();
        let held_by = common_holder(holders, points, point, tally)?;
        // Where nobody holds them together, functions, contexts and a few plain objects are Node's own. A function holds
        // nothing together: what its context leads to is what all its module's functions share.
        let together = held_by.filter(|&node| points.heap.snapshot.node_type(node) != NodeType::Closure);
        if together.is_none() && is_everywhere(points.heap, tally) {
            continue;
        }
        let holder = held_by.unwrap_or_else(|| points.owner(point));
        let holder_kind = holders.kind(holder)?;
        let place = holders.place(holder)?;
        let elements =
            if holder_kind.is_collection() { holders.elements(holder, holder_kind)? } else { Default::default() };
        let kind = match holder_kind {
            Kind::Timers => SuspectKind::Timers,
            _ if place.event.is_some() => SuspectKind::Listeners,
            kind if kind.is_collection() && elements.count > 1 => SuspectKind::Collection,
            Kind::Promise => SuspectKind::Promises,
            _ => SuspectKind::Group,
        };
        found.push(Draft {
            kind,
            holder,
            holder_kind,
            holder_class: holders.class_name(holder),
            subject: held_by,
            class_name,
            count: tally.count,
            retained: tally.retained,
            weight: tally.weight,
            place,
            counted: None,
            link: None,
            captured: captured(holders, points.heap, tally.samples[0])?,
        });
    }
    Ok(found)
}

/// The lowest node that the paths of most of a class's objects lead through.
fn common_holder(holders: &Holders<'_>, points: &Points<'_>, point: u32, tally: &Tally) -> Result<Option<u32>> {
    let snapshot = holders.snapshot();
    let mut seen: FxHashMap<u32, (u32, usize)> = FxHashMap::default();
    for &sample in &tally.samples {
        let path = holders.path(sample)?;
        // Each built-in function leads to its realm, and that to everything: which of them is the nearest is chance.
        let realm = path.iter().rposition(|&edge| is_realm(points.heap, snapshot.edge(edge).to));
        for (depth, &edge) in path.iter().enumerate().skip(realm.map_or(0, |realm| realm + 1)) {
            let to = snapshot.edge(edge).to;
            if to != sample {
                let entry = seen.entry(to).or_insert((0, depth));
                entry.0 += 1;
            }
        }
    }
    let most = tally.samples.len() as u32 * 3 / 5;
    let candidates = seen.iter().filter(|&(&node, &(count, _))| count > most && is_whole(points, node));
    let lowest = candidates.max_by_key(|&(&node, &(_, depth))| (depth, std::cmp::Reverse(node))).map(|(&node, _)| node);
    Ok(lowest.filter(|&node| node != point && !points.is_root(node)))
}

/// Whether it is something that a program knows rather than a piece of it.
fn is_whole(points: &Points<'_>, node: u32) -> bool {
    points.owner(node) == node && matches!(points.heap.snapshot.node_type(node), NodeType::Object | NodeType::Closure)
}

/// Whether it is V8's own record of a global object and its built-ins.
fn is_realm(heap: &Heap, node: u32) -> bool {
    heap.snapshot.short_name(node).starts_with("system / NativeContext")
}

/// Whether every heap has such objects.
fn is_everywhere(heap: &Heap, tally: &Tally) -> bool {
    let name = heap.snapshot.node_name(tally.samples[0]);
    match heap.snapshot.node_type(tally.samples[0]) {
        NodeType::Closure => true,
        NodeType::Object if name.starts_with("system / ") => true,
        NodeType::Object => (name.is("Object") || name.is("Array")) && tally.count < MANY,
        _ => false,
    }
}

/// Whether an object of its kind is made by programs.
fn is_of_program(heap: &Heap, node: u32) -> bool {
    let name = heap.snapshot.node_name(node);
    match heap.snapshot.node_type(node) {
        NodeType::Object => !name.starts_with("system / ") || name.starts_with("system / Context"),
        NodeType::Closure => true,
        NodeType::Native => name.is("system / JSArrayBufferData"),
        _ => false,
    }
}

/// What a closure, or a timer's, keeps in its context: the function, the variable, the class of what that holds.
pub(super) fn captured(holders: &Holders<'_>, heap: &Heap, node: u32) -> Result<Option<(String, String, String)>> {
    let snapshot = &heap.snapshot;
    let closure = if snapshot.node_type(node) == NodeType::Closure {
        Some(node)
    } else {
        let mut edges = snapshot.edges(node).filter(|edge| edge.kind == EdgeType::Property);
        let callback = |name: &str| name == "_onTimeout" || name == "listener";
        edges
            .find(|&edge| callback(&holders.edge_name(edge)) && snapshot.node_type(edge.to) == NodeType::Closure)
            .map(|edge| edge.to)
    };
    let Some(context) = closure.and_then(|closure| holders.internal(closure, "context")) else { return Ok(None) };
    if holders.kind(context)? != Kind::Context {
        return Ok(None);
    }
    let mut best = None;
    for edge in snapshot.edges(context).filter(|edge| edge.kind == EdgeType::Context) {
        if best.is_none_or(|(size, _)| heap.graph.retained_size(edge.to) > size) {
            best = Some((heap.graph.retained_size(edge.to), edge));
        }
    }
    let Some((_, edge)) = best else { return Ok(None) };
    let function =
        closure.map(|closure| one_line(&snapshot.node_name(closure).to_string_lossy(), MAX_NAME)).unwrap_or_default();
    Ok(Some((function, holders.edge_name(edge), holders.class_name(edge.to))))
}
