//! Names as DevTools shows them: of concatenated strings, of plain objects, of edges.

use rustc_hash::FxHashSet;

use super::{
    interfaces::is_plain,
    text::{JsString, format_property},
};
use crate::{
    graph::{DETACHED_PREFIX, DomStates, parse_int},
    snapshot::{Edge, EdgeType, JsStr, NodeType, Snapshot},
};

/// A concatenated string is put together up to this length.
const MAX_STRING: usize = 1024;
/// Parts without a character after which a string is suspected to contain itself, or the same empty parts over and over.
const MANY_PARTS: u32 = 1000;
/// Edges looked at for it. A string of a million characters that were added one by one takes three million.
const MAX_EDGES: u32 = 1 << 24;
/// A plain object's properties are listed up to this length.
const MAX_PROPERTIES: usize = 100;

/// A node's name.
pub(crate) fn node(snapshot: &Snapshot, states: &DomStates, node: u32) -> JsString {
    if snapshot.node_type(node) == NodeType::ConcatenatedString {
        concatenated(snapshot, states, node)
    } else if is_plain(snapshot, node) {
        plain_object(snapshot, node)
    } else {
        raw(snapshot, states, node)
    }
}

/// A node's name without anything put together for it.
pub(crate) fn raw(snapshot: &Snapshot, states: &DomStates, node: u32) -> JsString {
    let mut name = JsString::from(if states.is_renamed(snapshot, node) { DETACHED_PREFIX } else { "" });
    name.push(snapshot.node_name(node));
    name
}

/// The parts of a concatenated string, from left to right.
fn concatenated(snapshot: &Snapshot, states: &DomStates, node: u32) -> JsString {
    let mut name = JsString::default();
    let (mut length, mut edges, mut barren) = (0, 0, 0);
    // Strings that were begun since the last character: they are empty, or contain themselves, and DevTools would not come to an end.
    let mut begun = FxHashSet::default();
    let mut stack = vec![node];
    while length < MAX_STRING && edges < MAX_EDGES {
        let Some(node) = stack.pop() else { break };
        if snapshot.node_type(node) != NodeType::ConcatenatedString {
            let part = raw(snapshot, states, node);
            let units = part.as_js_str().utf16_len();
            if units > 0 {
                (length, barren) = (length + units, 0);
                begun.clear();
                name.push(part.as_js_str());
            }
            continue;
        }
        barren += 1;
        if barren > MANY_PARTS && !begun.insert(node) {
            continue;
        }
        // As in DevTools, node 0 stands for a half that is missing; it is the root, whose name is empty.
        let (mut first, mut second) = (0, 0);
        for edge in snapshot.edges(node) {
            edges += 1;
            if edge.kind != EdgeType::Internal {
                continue;
            }
            let edge_name = snapshot.strings().short(edge.name_or_index);
            if edge_name.is("first") {
                first = edge.to;
            } else if edge_name.is("second") {
                second = edge.to;
            }
            if first != 0 && second != 0 {
                break;
            }
        }
        stack.extend([second, first]);
    }
    name
}

/// `{first, second, …, last}`: properties taken from both ends in turn.
fn plain_object(snapshot: &Snapshot, node: u32) -> JsString {
    let range = snapshot.edge_range(node);
    let (mut next, mut end) = (range.start, range.end);
    let (mut front, mut back) = (JsString::default(), JsString::default());
    let mut from_end = false;
    let empty = |text: &JsString| text.as_bytes().is_empty();
    while next < end {
        let edge = snapshot.edge(if from_end { end - 1 } else { next });
        let property = (edge.kind == EdgeType::Property)
            .then(|| snapshot.strings().get(edge.name_or_index))
            .filter(|name| !name.is("__proto__"));
        if let Some(property) = property {
            let text = format_property(property);
            let length =
                2 + [front.as_js_str(), back.as_js_str(), JsStr(&text)].map(JsStr::utf16_len).iter().sum::<usize>();
            if !empty(&front) && length > MAX_PROPERTIES {
                break;
            }
            if from_end {
                let rest = std::mem::replace(&mut back, JsStr(&text).into());
                back.push_str(if empty(&rest) { "" } else { ", " });
                back.push(rest.as_js_str());
            } else {
                front.push_str(if empty(&front) { "" } else { ", " });
                front.push(JsStr(&text));
            }
        }
        if from_end {
            end -= 1;
        } else {
            next += 1;
        }
        from_end ^= property.is_some();
    }
    let mut name = JsString::from("{");
    name.push(front.as_js_str());
    name.push_str(if next < end { ", …" } else { "" });
    name.push_str(if empty(&back) { "" } else { ", " });
    name.push(back.as_js_str());
    name.push_str("}");
    name
}

/// An edge's name: a number in decimal for those that have no string.
pub(crate) fn edge(snapshot: &Snapshot, edge: Edge) -> JsString {
    match number(snapshot, edge) {
        Some(number) => JsString::from(&*number.to_string()),
        None => snapshot.strings().get(edge.name_or_index).into(),
    }
}

/// The number that an edge has in place of a name.
pub(crate) fn number(snapshot: &Snapshot, edge: Edge) -> Option<i64> {
    if edge.kind.has_index_name() {
        return Some(i64::from(edge.name_or_index));
    }
    // DevTools shows a shortcut that begins with a number as that number; beyond 2^53 it would begin to round.
    let number = (edge.kind == EdgeType::Shortcut)
        .then(|| parse_int(snapshot.strings().get(edge.name_or_index).as_bytes()))
        .filter(|number| number.abs() < 9e15)?;
    Some(number as i64)
}

/// An edge type as V8 spells it.
pub(crate) fn edge_type(kind: EdgeType) -> &'static str {
    match kind {
        EdgeType::Context => "context",
        EdgeType::Element => "element",
        EdgeType::Property => "property",
        EdgeType::Internal => "internal",
        EdgeType::Hidden => "hidden",
        EdgeType::Shortcut => "shortcut",
        EdgeType::Weak => "weak",
        EdgeType::Invisible => "invisible",
        EdgeType::Unknown => "unknown",
    }
}
