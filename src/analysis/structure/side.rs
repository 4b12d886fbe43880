//! One of the two snapshots, with what is needed to compare its nodes with the other's: names and classes as numbers that
//! mean the same on both sides, and fingerprints of contents.

use std::hash::Hasher;

use rustc_hash::FxHasher;

use super::super::classes::Classes;
use crate::{
    error::Result,
    graph::steps::Steps,
    progress::Progress,
    snapshot::{Edge, EdgeType, JsStr, NodeType, Snapshot},
};

/// How far the short and the long fingerprint see.
const NEAR: u32 = 2;
const DEEP: u32 = 4;

/// A snapshot made comparable. Its columns take 10 to 11 bytes a node and 4 a string.
pub(crate) struct Side<'a> {
    pub(super) snapshot: &'a Snapshot,
    classes: &'a Classes,
    /// By class of this snapshot, a number that is the other's too.
    numbers: &'a [u32],
    /// By string, a hash of its text; odd when as an edge's name it is only a place: digits, or an entry of a WeakMap.
    symbols: Vec<u32>,
    /// What a node and all within two steps of it hold.
    pub(super) near: Vec<u32>,
    /// The same within four steps.
    pub(super) deep: Vec<u32>,
    /// Incoming edges that are not weak, 255 for that many or more.
    degree: Vec<u8>,
    /// How many nodes have a long fingerprint, by its last bits; 255 for that many or more.
    alike: Vec<u8>,
    /// How many nodes a class has, by its number.
    members: Vec<u32>,
}

/// Of a label: the edge is a slot in one of code's tables.
pub(super) const SLOT: u64 = 1 << 63;

/// What few share: at most so many.
const FEW: u8 = 6;

impl<'a> Side<'a> {
    pub(crate) fn new(
        snapshot: &'a Snapshot,
        classes: &'a Classes,
        numbers: &'a [u32],
        progress: &Progress,
    ) -> Result<Self> {
        let mut symbols = Vec::with_capacity(snapshot.strings().len());
        let mut steps = Steps::start(progress, "symbols", snapshot.strings().len() as u64)?;
        snapshot.strings().each(progress, |_, text| {
            symbols.push(symbol(text));
            steps.one()
        })?;
        steps.finish()?;
        let mut side = Side {
            snapshot,
            classes,
            numbers,
            symbols,
            near: vec![],
            deep: vec![],
            degree: vec![],
            alike: vec![],
            members: vec![],
        };
        side.fingerprint(progress)?;
        Ok(side)
    }

    /// The number of a node's class.
    #[inline]
    pub(super) fn class(&self, node: u32) -> u32 {
        self.numbers[self.classes.of(node) as usize]
    }

    /// The name of a node.
    #[inline]
    pub(super) fn name(&self, node: u32) -> u32 {
        self.symbols[self.snapshot.node_name_index(node) as usize]
    }

    /// What an edge is called: its type and its name; `None` for those that are only counted, whose positions shift.
    #[inline]
    pub(super) fn label(&self, from: NodeType, edge: &Edge) -> Option<u64> {
        let index = edge.kind.has_index_name();
        let name = if index { edge.name_or_index } else { self.symbols[edge.name_or_index as usize] };
        let counted = index || matches!(edge.kind, EdgeType::Internal | EdgeType::Weak) && name & 1 == 1;
        // The slots of code's own tables stay what they are.
        let label = u64::from(name) | (edge.kind as u64) << 32 | if counted { SLOT } else { 0 };
        (!counted || from == NodeType::Code).then_some(label)
    }

    /// Whether a node is a list, whose elements come and go.
    pub(super) fn is_container(&self, node: u32) -> bool {
        let kind = self.snapshot.node_type(node);
        let name = self.snapshot.short_name(node);
        kind == NodeType::Array
            || kind == NodeType::Object
                && ["Array", "Map", "Set", "WeakMap", "WeakSet"].iter().any(|list| name.is(list))
    }

    /// Whether so few refer to a node that to share it says something.
    pub(super) fn is_rare(&self, node: u32) -> bool {
        self.degree[node as usize] <= FEW
    }

    /// Whether so few hold the same as a node that to have its like says something.
    pub(super) fn is_rare_content(&self, node: u32) -> bool {
        self.is_rare(node) && self.alike[self.deep[node as usize] as usize & (self.alike.len() - 1)] <= FEW
    }

    /// Whether a node's class has only few members.
    pub(super) fn is_rare_class(&self, node: u32) -> bool {
        self.members.get(self.class(node) as usize).is_none_or(|&members| members <= u32::from(FEW))
    }

    /// Whether an edge leads to what its node is made of, rather than to what the engine keeps about it.
    pub(super) fn is_content(&self, from: NodeType, edge: &Edge) -> bool {
        let named = |names: &[&str]| {
            let name = self.snapshot.strings().short(edge.name_or_index);
            names.iter().any(|wanted| name.is(wanted))
        };
        let by_edge = match edge.kind {
            EdgeType::Element | EdgeType::Context => true,
            EdgeType::Property => !named(&["__proto__"]),
            EdgeType::Internal => match from {
                NodeType::Array => self.symbols[edge.name_or_index as usize] & 1 == 1,
                NodeType::ConcatenatedString | NodeType::SlicedString => !named(&["map"]),
                NodeType::Object | NodeType::Closure => named(&["table", "context", "value"]),
                NodeType::Code => !named(&["map"]),
                _ => false,
            },
            _ => false,
        };
        by_edge
            && match self.snapshot.node_type(edge.to) {
                NodeType::Hidden | NodeType::ObjectShape | NodeType::Synthetic | NodeType::Number => false,
                NodeType::Code => from == NodeType::Code,
                _ => true,
            }
    }

    /// Rounds in which each node takes up what those it holds are made of, whatever their order.
    fn fingerprint(&mut self, progress: &Progress) -> Result<()> {
        let snapshot = self.snapshot;
        let count = snapshot.node_count();
        let mut steps = Steps::start(progress, "fingerprints", u64::from(count) * u64::from(DEEP + 1))?;
        let mut degree = vec![0u8; count as usize];
        let mut own = Vec::with_capacity(count as usize);
        for node in 0..count {
            steps.one()?;
            own.push(self.own(node));
            for edge in snapshot.edges(node) {
                steps.edge(edge.ordinal)?;
                if edge.kind != EdgeType::Weak {
                    let degree = &mut degree[edge.to as usize];
                    *degree = degree.saturating_add(1);
                }
            }
        }
        self.degree = degree;
        let mut last = own;
        for round in 1..=DEEP {
            let mut next = Vec::with_capacity(count as usize);
            for node in 0..count {
                steps.one()?;
                let kind = snapshot.node_type(node);
                let mut sum = 0u64;
                for edge in snapshot.edges(node) {
                    steps.edge(edge.ordinal)?;
                    if self.is_content(kind, &edge) {
                        let label = self.label(kind, &edge).unwrap_or(1);
                        sum = sum.wrapping_add(mix(label ^ u64::from(last[edge.to as usize]) << 20));
                    }
                }
                next.push((mix(sum ^ u64::from(self.own(node)).rotate_left(40)) >> 32) as u32);
            }
            last = next;
            if round == NEAR {
                self.near = last.clone();
            }
        }
        self.deep = last;
        self.alike = vec![0; (count as usize).next_power_of_two()];
        for (node, &print) in (0..).zip(&self.deep) {
            steps.edge(node)?;
            let alike = &mut self.alike[print as usize & ((count as usize).next_power_of_two() - 1)];
            *alike = alike.saturating_add(1);
            let class = self.numbers[self.classes.of(node) as usize] as usize;
            self.members.resize(self.members.len().max(class + 1), 0);
            self.members[class] += 1;
        }
        steps.finish()
    }

    /// What a node is by itself. Sizes count for what can't change its own: objects shrink and grow.
    fn own(&self, node: u32) -> u32 {
        let kind = self.snapshot.node_type(node);
        let mut value = u64::from(self.class(node)) << 8 | kind as u64;
        if names_matter(kind) {
            value ^= mix(u64::from(self.name(node)));
        }
        if is_text(kind) || kind == NodeType::Code {
            value ^= u64::from(self.snapshot.raw_self_size(node)) << 40;
        }
        (mix(value) >> 32) as u32
    }
}

/// Whether a node is the text that its name shows.
pub(super) fn is_text(kind: NodeType) -> bool {
    matches!(kind, NodeType::String | NodeType::Symbol | NodeType::Regexp | NodeType::Bigint)
}

/// Whether a node keeps its name for life. An object's is in its class; arrays and code are named after how they are used.
pub(super) fn names_matter(kind: NodeType) -> bool {
    !matches!(kind, NodeType::Object | NodeType::Array | NodeType::Code | NodeType::Number)
}

/// Spreads the bits of a number.
#[inline]
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (value ^ value >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ value >> 32
}

/// A hash of a text. Names of WeakMap entries hold ids and positions: these are left out.
fn symbol(text: JsStr<'_>) -> u32 {
    let bytes = text.as_bytes();
    let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let mut hasher = FxHasher::default();
    let mut counted = digits > 0 && digits == bytes.len();
    if digits > 0 && bytes.last() == Some(&b')') && text.find(" pair in WeakMap (table @").is_some() {
        counted = true;
        for part in bytes[digits..].split(|&b| b == b'@') {
            let id = part.iter().take_while(|b| b.is_ascii_digit()).count();
            hasher.write(&part[id..]);
        }
    } else {
        hasher.write(bytes);
    }
    (mix(hasher.finish()) >> 32) as u32 & !1 | u32::from(counted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_weak_map_entries_are_the_same_whatever_the_ids() {
        let symbol = |text: &str| symbol(JsStr(text.as_bytes()));
        let entry = |at: u32, id: u32, key: &str| {
            format!("{at} / part of key ({key} @{id}) -> value (B @{}) pair in WeakMap (table @{})", id + 7, id + 9)
        };
        assert_eq!(symbol(&entry(3, 5, "A")), symbol(&entry(14, 9001, "A")));
        assert_ne!(symbol(&entry(3, 5, "A")), symbol(&entry(3, 5, "C")));
        assert_ne!(symbol("user@1)"), symbol("user@2)"));
        assert_ne!(symbol("12"), symbol("13"));
        assert_eq!(["12", "a12", "", &entry(3, 5, "A")].map(|text| symbol(text) & 1), [1, 0, 0, 1]);
    }
}
