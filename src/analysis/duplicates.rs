//! Strings of equal text.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::{
    Heap, names,
    rows::{DuplicateString, Page},
    sorting::Collector,
    text::JsString,
};
use crate::{
    error::Result,
    graph::{parse_int, steps::Steps},
    progress::Progress,
    snapshot::{EdgeType, NodeType},
};

/// Length and hash of a string whose text the file has only in part (newest V8): `NaN` bits where one is missing.
type Whole = Option<(u64, u64)>;

#[derive(Clone, Copy)]
struct Group {
    first: u32,
    count: u64,
    self_size: u64,
}

impl Heap {
    /// Texts that two or more strings have, those with the most bytes first.
    ///
    /// Up to Node 26, V8 writes the first 1024 characters of a string and does not say that there are more.
    pub fn duplicate_strings(&self, page: Page, progress: &Progress) -> Result<Vec<DuplicateString>> {
        let snapshot = &self.snapshot;
        let mut steps = Steps::start(progress, "duplicate strings", u64::from(snapshot.node_count()))?;
        let mut flat: FxHashMap<(u32, Whole), Group> = FxHashMap::default();
        let mut joined: FxHashMap<(JsString, Whole), Group> = FxHashMap::default();
        for node in 0..snapshot.node_count() {
            steps.one()?;
            let self_size = u64::from(self.graph.self_size(node));
            if self_size == 0 {
                continue;
            }
            let new = Group { first: node, count: 0, self_size: 0 };
            let group = match snapshot.node_type(node) {
                NodeType::String => flat.entry((snapshot.node_name_index(node), self.whole(node))).or_insert(new),
                NodeType::ConcatenatedString if !self.is_flattened(node) => {
                    joined.entry((names::node(snapshot, self.graph.states(), node), self.whole(node))).or_insert(new)
                }
                _ => continue,
            };
            group.count += 1;
            group.self_size += self_size;
        }
        // A concatenated string and a plain one can have the same text.
        let mut groups = Vec::new();
        for (&(text, whole), &group) in &flat {
            let both = (!joined.is_empty())
                .then(|| joined.get_mut(&(JsString::from(snapshot.strings().get(text)), whole)))
                .flatten();
            match both {
                Some(both) => {
                    both.first = both.first.min(group.first);
                    both.count += group.count;
                    both.self_size += group.self_size;
                }
                None => groups.push(group),
            }
        }
        groups.extend(joined.values());
        drop((flat, joined));
        let mut rows = Collector::new(page);
        for group in groups.iter().filter(|group| group.count > 1) {
            rows.push((Reverse(group.self_size), Reverse(group.count), group.first));
        }
        steps.finish()?;
        let row = |(Reverse(self_size), Reverse(count), first)| DuplicateString {
            value: names::node(snapshot, self.graph.states(), first),
            count,
            self_size,
        };
        Ok(rows.rows(progress)?.into_iter().map(row).collect())
    }

    /// Whether V8 has already put a concatenated string together: one half is then empty.
    fn is_flattened(&self, node: u32) -> bool {
        self.snapshot.edges(node).filter(|edge| edge.kind == EdgeType::Internal).any(|edge| {
            let name = self.snapshot.strings().get(edge.name_or_index);
            (name.is("first") || name.is("second"))
                && names::node(&self.snapshot, self.graph.states(), edge.to).as_bytes().is_empty()
        })
    }

    /// What tells strings apart of which the file has only the same beginning.
    fn whole(&self, node: u32) -> Whole {
        let number = |name, kind| {
            let number = self
                .internal(node, name)
                .filter(|&n| self.snapshot.node_type(n) == NodeType::Number && self.snapshot.node_name(n).is(kind))?;
            self.internal(number, "value")
        };
        let truncated = number("truncated", "bool").filter(|&value| self.snapshot.node_name(value).is("true"));
        truncated?;
        let int = |name| number(name, "int").map_or(f64::NAN, |value| parse_int(self.snapshot.node_name(value).0));
        Some((int("length").to_bits(), int("hash").to_bits()))
    }

    /// The target of a node's first internal edge of a name.
    fn internal(&self, node: u32, name: &str) -> Option<u32> {
        let mut edges = self.snapshot.edges(node).filter(|edge| edge.kind == EdgeType::Internal);
        edges.find(|edge| self.snapshot.strings().get(edge.name_or_index).is(name)).map(|edge| edge.to)
    }
}
