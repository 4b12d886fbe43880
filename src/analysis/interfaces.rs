//! Plain objects by their shape: `{id, name}` in place of "Object".
//!
//! The common property lists become *definitions*; an object is then counted under the largest definition whose properties
//! it all has.

use rustc_hash::FxHashMap;

use super::text::{JsString, format_property};
use crate::{
    error::Result,
    graph::steps::Steps,
    progress::Progress,
    snapshot::{Column, EdgeType, JsStr, NodeType, Snapshot, Spelled},
};

/// The longest name of a definition, in UTF-16 units (its first property is taken at any length).
const MAX_NAME: u32 = 120;
/// A definition is worth a name from this many objects,
const MIN_COUNT: u64 = 2;
/// or from one in so many plain objects.
const MIN_SHARE: u64 = 1000;

/// A named set of properties. Definitions are ordered: the earlier one wins a tie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Definition {
    /// `{a, b}`.
    pub(crate) name: JsString,
    pub(crate) properties: Vec<JsString>,
}

/// Objects that were made by `{}` or `new Object`.
pub(crate) fn is_plain(snapshot: &Snapshot, node: u32) -> bool {
    snapshot.node_type(node) == NodeType::Object && snapshot.short_name(node).is("Object")
}

/// The same for loops, which know where the strings have "Object".
fn is_object(snapshot: &Snapshot, object: &Spelled, node: u32) -> bool {
    snapshot.node_type(node) == NodeType::Object && object.at(snapshot.node_name_index(node))
}

/// The common shapes of this snapshot's plain objects, most common first.
///
/// Two passes, as a heap can hold more different shapes than fit into memory (dictionaries): the first counts hashes of
/// shapes in a table of fixed size, the second looks closely at those only whose hash was seen often enough.
pub(crate) fn infer(snapshot: &Snapshot, progress: &Progress) -> Result<Vec<Definition>> {
    let from = snapshot.root();
    let mut steps = Steps::start(progress, "interfaces", 2 * u64::from(snapshot.node_count() - from))?;
    let [object, proto] = ["Object", "__proto__"].map(|name| snapshot.strings().spelled(name));
    let mut shapes = Shapes { snapshot, proto, lengths: Column::new(), shape: Vec::new(), unnamed: 0 };
    let mut plain = 0u64;
    let mut seen: Vec<u16> = Vec::new();
    for node in from..snapshot.node_count() {
        steps.one()?;
        if is_object(snapshot, &object, node) {
            plain += 1;
            if shapes.read(node, &steps)? {
                seen.resize(1 << 20, 0);
                let place = shapes.slot(seen.len());
                let slot = &mut seen[place];
                *slot = slot.saturating_add(1);
            }
        }
    }
    let common = |count: u64| count >= MIN_COUNT && count * MIN_SHARE >= plain;
    let mut candidates: Vec<Candidate> = Vec::new();
    let mut index: FxHashMap<Vec<u32>, usize> = FxHashMap::default();
    for node in from..snapshot.node_count() {
        steps.one()?;
        if !is_object(snapshot, &object, node) || !shapes.read(node, &steps)? {
            continue;
        }
        let count = seen[shapes.slot(seen.len())];
        if count < u16::MAX && !common(u64::from(count)) {
            continue;
        }
        match index.get(&shapes.shape) {
            Some(&candidate) => candidates[candidate].count += 1,
            None => {
                index.insert(shapes.shape.clone(), candidates.len());
                candidates.push(Candidate { shape: shapes.shape.clone(), unnamed: shapes.unnamed, count: 1 });
            }
        }
    }
    drop((index, seen));
    candidates.retain(|candidate| common(candidate.count));
    // Stable: of equally common ones the first met comes first.
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.count));
    steps.finish()?;
    Ok(candidates.iter().map(|candidate| shapes.define(candidate)).collect())
}

/// A shape, and how many objects have it.
struct Candidate {
    shape: Vec<u32>,
    /// Of the first object met.
    unnamed: usize,
    count: u64,
}

/// Reads the shapes of objects: the property names, as string indices, that make up the object's own definition.
struct Shapes<'a> {
    snapshot: &'a Snapshot,
    proto: Spelled,
    /// By string index: the formatted length in UTF-16 units plus one, at most 255; 0 where not computed yet.
    lengths: Column<u8>,
    shape: Vec<u32>,
    /// How many properties named "" come before `shape`. They leave no trace in a definition's name, not even a comma, so
    /// they do not tell shapes apart.
    unnamed: usize,
}

impl Shapes<'_> {
    /// Fills `shape` and `unnamed`; false when the object has no property.
    fn read(&mut self, node: u32, steps: &Steps<'_>) -> Result<bool> {
        self.shape.clear();
        self.unnamed = 0;
        let mut length = 1; // "{"
        for edge in self.snapshot.edge_range(node) {
            steps.edge(edge)?;
            if self.snapshot.edge_type(edge) != EdgeType::Property {
                continue;
            }
            let name = self.snapshot.edge_name(edge);
            if self.proto.at(name) {
                continue;
            }
            let own = self.length(name)?;
            if length == 1 && own == 0 {
                self.unnamed += 1;
                continue;
            }
            if length > 1 && length + own > MAX_NAME {
                break;
            }
            length += own + if length == 1 { 0 } else { 2 };
            self.shape.push(name);
        }
        Ok(self.unnamed > 0 || !self.shape.is_empty())
    }

    /// The length of a formatted property name; one that is too long anyhow may come out shorter than it is.
    fn length(&mut self, string: u32) -> Result<u32> {
        if self.lengths.is_empty() {
            self.lengths = Column::filled(self.snapshot.strings().len(), 0)?;
        }
        let known = &mut self.lengths[string as usize];
        if *known == 0 {
            let length = JsStr(&format_property(self.snapshot.strings().get(string))).utf16_len();
            *known = (length + 1).min(255) as u8;
        }
        Ok(u32::from(*known) - 1)
    }

    fn slot(&self, slots: usize) -> usize {
        use std::hash::{Hash, Hasher};
        let mut hasher = rustc_hash::FxHasher::default();
        self.shape.hash(&mut hasher);
        (hasher.finish() >> 40) as usize % slots
    }

    fn define(&self, candidate: &Candidate) -> Definition {
        let strings = self.snapshot.strings();
        let mut name = JsString::from("{");
        for (i, &property) in candidate.shape.iter().enumerate() {
            name.push_str(if i == 0 { "" } else { ", " });
            name.push(JsStr(&format_property(strings.get(property))));
        }
        name.push_str("}");
        let unnamed = std::iter::repeat_n(JsString::default(), candidate.unnamed);
        let properties = unnamed.chain(candidate.shape.iter().map(|&p| strings.get(p).into())).collect();
        Definition { name, properties }
    }
}

/// Tells for every plain object that has all properties of a definition the index of the one it is counted under.
pub(crate) fn apply(
    snapshot: &Snapshot,
    definitions: &[Definition],
    progress: &Progress,
    mut matched: impl FnMut(u32, usize) -> Result<()>,
) -> Result<()> {
    let mut steps = Steps::start(progress, "matching interfaces", u64::from(snapshot.node_count()))?;
    if !definitions.is_empty() {
        let mut matcher = Matcher::new(definitions);
        let object = snapshot.strings().spelled("Object");
        for node in snapshot.root()..snapshot.node_count() {
            steps.one()?;
            if is_object(snapshot, &object, node)
                && let Some(definition) = matcher.find(snapshot, node, &steps)?
            {
                matched(node, definition as usize)?;
            }
        }
    }
    steps.finish()
}

/// The most property lists that are remembered with their result.
const REMEMBERED: usize = 1 << 16;

/// A property name that no definition has.
const FOREIGN: u32 = u32::MAX;

struct Matcher<'a> {
    /// Numbers for the property names that definitions have.
    numbers: FxHashMap<&'a [u8], u32>,
    /// The same by string index of the snapshot, as they are met.
    of_string: FxHashMap<u32, u32>,
    /// Each definition's properties, as sorted numbers, and its rank.
    lists: Vec<(Vec<u32>, u32)>,
    /// By property: the definitions whose rarest property it is, best first.
    by_rarest: Vec<Vec<u32>>,
    /// By the string indices of an object's properties, in its own order.
    remembered: FxHashMap<Vec<u32>, Option<u32>>,
    names: Vec<u32>,
    object: Vec<u32>,
}

impl<'a> Matcher<'a> {
    fn new(definitions: &'a [Definition]) -> Self {
        let mut numbers: FxHashMap<&[u8], u32> = FxHashMap::default();
        let mut uses: Vec<u32> = Vec::new();
        let mut lists = Vec::with_capacity(definitions.len());
        for (rank, definition) in definitions.iter().enumerate() {
            let mut list = Vec::with_capacity(definition.properties.len());
            for property in &definition.properties {
                let next = numbers.len() as u32;
                let number = *numbers.entry(property.as_bytes()).or_insert(next);
                uses.resize(numbers.len(), 0);
                uses[number as usize] += 1;
                list.push(number);
            }
            list.sort_unstable();
            lists.push((list, rank as u32));
        }
        // The best first: more properties, then the lower rank. So the first that matches is the one.
        lists.sort_by_key(|(list, rank)| (std::cmp::Reverse(list.len()), *rank));
        let mut by_rarest = vec![Vec::new(); numbers.len()];
        for (place, (list, _)) in lists.iter().enumerate() {
            if let Some(&rarest) = list.iter().min_by_key(|&&number| uses[number as usize]) {
                by_rarest[rarest as usize].push(place as u32);
            }
        }
        let (of_string, remembered) = Default::default();
        Matcher { numbers, of_string, lists, by_rarest, remembered, names: Vec::new(), object: Vec::new() }
    }

    /// The rank of the best definition for an object.
    fn find(&mut self, snapshot: &Snapshot, node: u32, steps: &Steps<'_>) -> Result<Option<u32>> {
        self.names.clear();
        for edge in snapshot.edge_range(node) {
            steps.edge(edge)?;
            if snapshot.edge_type(edge) == EdgeType::Property {
                self.names.push(snapshot.edge_name(edge));
            }
        }
        if let Some(&known) = self.remembered.get(&self.names) {
            return Ok(known);
        }
        self.object.clear();
        for &string in &self.names {
            let number = *self.of_string.entry(string).or_insert_with(|| {
                let name = snapshot.strings().get(string);
                self.numbers.get(name.as_bytes()).copied().unwrap_or(FOREIGN)
            });
            if number != FOREIGN {
                self.object.push(number);
            }
        }
        self.object.sort_unstable();
        let mut best = u32::MAX;
        let mut last = FOREIGN;
        for &number in &self.object {
            if number == std::mem::replace(&mut last, number) {
                continue;
            }
            let candidates = self.by_rarest[number as usize].iter().take_while(|&&place| place < best);
            if let Some(&place) = candidates.into_iter().find(|&&p| contains(&self.object, &self.lists[p as usize].0)) {
                best = place;
            }
        }
        let found = self.lists.get(best as usize).map(|&(_, rank)| rank);
        if self.remembered.len() < REMEMBERED && self.names.len() <= 64 {
            self.remembered.insert(self.names.clone(), found);
        }
        Ok(found)
    }
}

/// Whether the sorted `all` holds every value of the sorted `some`, as often as that does.
fn contains(all: &[u32], some: &[u32]) -> bool {
    let mut rest = all.iter();
    some.iter().all(|value| rest.by_ref().find(|&v| v >= value) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containment_counts_repeats() {
        assert!(contains(&[1, 2, 2, 5], &[2, 2]) && contains(&[1], &[]) && contains(&[3], &[3]));
        assert!(!contains(&[1, 2, 5], &[2, 2]) && !contains(&[], &[1]) && !contains(&[1, 4], &[3]));
    }
}
