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
    graph::{BitSet, parse_int, steps::Steps},
    progress::Progress,
    snapshot::{EdgeType, NodeType},
};

/// Length and hash of a string whose text the file has only in part (newest V8): `NaN` bits where one is missing.
type Whole = Option<(u64, u64)>;

enum Text {
    Flat((u32, Whole)),
    Joined((JsString, Whole)),
}

#[derive(Clone, Copy)]
struct Group {
    first: u32,
    count: u64,
    self_size: u64,
    /// Whether plain ones and concatenated ones are in it.
    both: bool,
}

/// Strings by text: of plain ones the index of their text.
#[derive(Default)]
struct Groups {
    flat: FxHashMap<(u32, Whole), Group>,
    joined: FxHashMap<(JsString, Whole), Group>,
}

impl Heap {
    /// Texts that two or more strings have, those with the most bytes first.
    ///
    /// Up to Node 26, V8 writes the first 1024 characters of a string and does not say that there are more.
    pub fn duplicate_strings(&self, page: Page, progress: &Progress) -> Result<Vec<DuplicateString>> {
        let Groups { flat, joined } = self.strings_by_text(progress)?;
        let mut rows = Collector::new(page);
        // What is in both counts once.
        let flat_only = flat.values().filter(|group| !group.both);
        for group in flat_only.chain(joined.values()).filter(|group| group.count > 1) {
            rows.push((Reverse(group.self_size), Reverse(group.count), group.first));
        }
        let row = |(Reverse(self_size), Reverse(count), first)| DuplicateString {
            value: names::node(&self.snapshot, self.graph.states(), first),
            count,
            self_size,
        };
        Ok(rows.rows(progress)?.into_iter().map(row).collect())
    }

    /// The strings whose text another one has too.
    pub(super) fn duplicated_strings(&self, progress: &Progress) -> Result<BitSet> {
        let groups = self.strings_by_text(progress)?;
        let mut found = BitSet::new(self.snapshot.node_count())?;
        let mut steps = Steps::start(progress, "duplicate strings", u64::from(self.snapshot.node_count()))?;
        for node in 0..self.snapshot.node_count() {
            steps.one()?;
            let group = match self.text_of(node) {
                Some(Text::Flat(key)) => groups.flat.get(&key),
                Some(Text::Joined(key)) => groups.joined.get(&key),
                None => None,
            };
            if group.is_some_and(|group| group.count > 1) {
                found.insert(node);
            }
        }
        steps.finish()?;
        Ok(found)
    }

    fn strings_by_text(&self, progress: &Progress) -> Result<Groups> {
        let mut steps = Steps::start(progress, "duplicate strings", u64::from(self.snapshot.node_count()))?;
        let mut groups = Groups::default();
        for node in 0..self.snapshot.node_count() {
            steps.one()?;
            let new = Group { first: node, count: 0, self_size: 0, both: false };
            let group = match self.text_of(node) {
                Some(Text::Flat(key)) => groups.flat.entry(key).or_insert(new),
                Some(Text::Joined(key)) => groups.joined.entry(key).or_insert(new),
                None => continue,
            };
            group.count += 1;
            group.self_size += u64::from(self.graph.self_size(node));
        }
        // A concatenated string and a plain one can have the same text: then both get the sums of both.
        if !groups.joined.is_empty() {
            let mut wholes: FxHashMap<u32, Vec<Whole>> = FxHashMap::default();
            groups.flat.keys().for_each(|&(text, whole)| wholes.entry(text).or_default().push(whole));
            self.snapshot.strings().each(progress, |index, text| {
                for &whole in wholes.get(&index).into_iter().flatten() {
                    let joined = groups.joined.get_mut(&(text.into(), whole));
                    if let (Some(joined), Some(flat)) = (joined, groups.flat.get_mut(&(index, whole))) {
                        flat.first = flat.first.min(joined.first);
                        flat.count += joined.count;
                        flat.self_size += joined.self_size;
                        flat.both = true;
                        *joined = *flat;
                    }
                }
                Ok(())
            })?;
        }
        steps.finish()?;
        Ok(groups)
    }

    /// What a string is grouped by; `None` for what is no string, takes no memory, or was already put together by V8.
    fn text_of(&self, node: u32) -> Option<Text> {
        if self.graph.self_size(node) == 0 {
            return None;
        }
        match self.snapshot.node_type(node) {
            NodeType::String => Some(Text::Flat((self.snapshot.node_name_index(node), self.whole(node)))),
            NodeType::ConcatenatedString if !self.is_flattened(node) => {
                Some(Text::Joined((names::node(&self.snapshot, self.graph.states(), node), self.whole(node))))
            }
            _ => None,
        }
    }

    /// Whether V8 has already put a concatenated string together: one half is then empty.
    fn is_flattened(&self, node: u32) -> bool {
        self.snapshot.edges(node).filter(|edge| edge.kind == EdgeType::Internal).any(|edge| {
            let name = self.snapshot.strings().short(edge.name_or_index);
            (name.is("first") || name.is("second"))
                && names::node(&self.snapshot, self.graph.states(), edge.to).as_bytes().is_empty()
        })
    }

    /// What tells strings apart of which the file has only the same beginning.
    fn whole(&self, node: u32) -> Whole {
        let number = |name, kind| {
            let number = self
                .internal(node, name)
                .filter(|&n| self.snapshot.node_type(n) == NodeType::Number && self.snapshot.short_name(n).is(kind))?;
            self.internal(number, "value")
        };
        let truncated = number("truncated", "bool").filter(|&value| self.snapshot.short_name(value).is("true"));
        truncated?;
        let int = |name| number(name, "int").map_or(f64::NAN, |value| parse_int(self.snapshot.node_name(value).0));
        Some((int("length").to_bits(), int("hash").to_bits()))
    }

    /// The target of a node's first internal edge of a name.
    fn internal(&self, node: u32, name: &str) -> Option<u32> {
        let mut edges = self.snapshot.edges(node).filter(|edge| edge.kind == EdgeType::Internal);
        edges.find(|edge| self.snapshot.strings().short(edge.name_or_index).is(name)).map(|edge| edge.to)
    }
}
