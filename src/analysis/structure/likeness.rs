//! Whether two nodes may be the same object at two moments: equal in what can't change, and not contradicted by what they hold.

use super::{
    NONE, Pairs, Side,
    side::{is_text, names_matter},
};
use crate::snapshot::{Edge, EdgeType, NodeType};

/// How deep and how wide contents are looked at.
const DEPTH: u32 = 3;
const WIDTH: usize = 24;

/// What two nodes' contents say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// They share what few others have.
    Same,
    /// They hold nothing that could tell.
    Unknown,
    /// What they hold differs, and nothing of it is the same.
    Different,
}

/// Whether nothing that lasts for an object's life tells them apart.
pub(super) fn compatible(a: &Side<'_>, b: &Side<'_>, (x, y): (u32, u32)) -> bool {
    let kind = a.snapshot.node_type(x);
    kind == b.snapshot.node_type(y)
        && a.class(x) == b.class(y)
        && (!names_matter(kind) || a.name(x) == b.name(y))
        // V8's own pieces are replaced, never resized.
        && (kind != NodeType::Code || a.snapshot.raw_self_size(x) == b.snapshot.raw_self_size(y))
}

/// Whether they are objects of one constructor that are counted under different shapes: one may have become the other.
pub(super) fn reshaped(a: &Side<'_>, b: &Side<'_>, (x, y): (u32, u32)) -> bool {
    let plain = |side: &Side<'_>, node| super::super::interfaces::is_plain(side.snapshot, node);
    a.class(x) != b.class(y) && plain(a, x) && plain(b, y)
}

/// Compares contents.
pub(super) fn likeness(a: &Side<'_>, b: &Side<'_>, pairs: &Pairs, pair: (u32, u32)) -> Likeness {
    let equal = a.deep[pair.0 as usize] == b.deep[pair.1 as usize];
    // Fingerprints leave out the hidden classes that code refers to.
    if equal && a.snapshot.node_type(pair.0) != NodeType::Code {
        return Likeness::Same;
    }
    look(a, b, pairs, pair, DEPTH)
}

// Recursive, three levels deep.
fn look(a: &Side<'_>, b: &Side<'_>, pairs: &Pairs, (x, y): (u32, u32), depth: u32) -> Likeness {
    let (kind_a, kind_b) = (a.snapshot.node_type(x), b.snapshot.node_type(y));
    let large = a.snapshot.edge_range(x).len().max(b.snapshot.edge_range(y).len()) > WIDTH;
    let mut result = Likeness::Unknown;
    // Of what can't change, all parts have to be the same.
    let immutable = matches!(kind_a, NodeType::ConcatenatedString | NodeType::SlicedString | NodeType::Code);
    let content_a = a.snapshot.edges(x).take(4 * WIDTH).filter(|edge| tells(a, kind_a, edge)).take(WIDTH);
    for edge in content_a {
        let label = a.label(kind_a, &edge);
        let others = b.snapshot.edges(y).take(4 * WIDTH).filter(|other| tells(b, kind_b, other)).take(WIDTH);
        let mut others = others.filter(|other| b.label(kind_b, other) == label);
        let said = if label.is_some() {
            others.next().map_or(Likeness::Unknown, |other| child(a, b, pairs, (edge.to, other.to), depth))
        } else {
            // Positions shift: it is enough that one of them is the same.
            let all = others.map(|other| match pairs.of_base[edge.to as usize] {
                NONE if a.deep[edge.to as usize] == b.deep[other.to as usize] && a.is_rare_content(edge.to) => {
                    Likeness::Same
                }
                paired if paired == other.to && a.is_rare(edge.to) => Likeness::Same,
                _ => Likeness::Different,
            });
            match all.max_by_key(|&likeness| likeness == Likeness::Same) {
                // Of many only some were looked at, and what many have is not missed.
                Some(Likeness::Different) if large || !a.is_rare_content(edge.to) => Likeness::Unknown,
                said => said.unwrap_or(Likeness::Unknown),
            }
        };
        match said {
            Likeness::Different if immutable => return Likeness::Different,
            Likeness::Same if !immutable => return Likeness::Same,
            Likeness::Unknown => {}
            said => result = said,
        }
    }
    result
}

/// Whether an edge says something of the node it leaves.
fn tells(side: &Side<'_>, from: NodeType, edge: &Edge) -> bool {
    side.is_content(from, edge) || from == NodeType::Code && edge.kind == EdgeType::Weak
}

fn child(a: &Side<'_>, b: &Side<'_>, pairs: &Pairs, (x, y): (u32, u32), depth: u32) -> Likeness {
    match (pairs.of_base[x as usize], pairs.of_current[y as usize]) {
        (paired, _) if paired == y => return if a.is_rare(x) { Likeness::Same } else { Likeness::Unknown },
        (NONE, NONE) => {}
        _ => return Likeness::Different,
    }
    let (kind_a, kind_b) = (a.snapshot.node_type(x), b.snapshot.node_type(y));
    if kind_a != kind_b {
        return Likeness::Unknown;
    }
    if is_text(kind_a) {
        let same = a.name(x) == b.name(y);
        let rare = a.is_rare_content(x) && b.is_rare_content(y);
        return if !same {
            Likeness::Different
        } else if rare {
            Likeness::Same
        } else {
            Likeness::Unknown
        };
    }
    if depth == 0 || a.class(x) != b.class(y) || a.deep[x as usize] == b.deep[y as usize] {
        return Likeness::Unknown;
    }
    look(a, b, pairs, (x, y), depth - 1)
}
