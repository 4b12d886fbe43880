//! Distances: how many steps a node is from the user roots, as DevTools counts them.

use super::{BitSet, NO_DISTANCE, SYSTEM_DISTANCE, WeakMapNames, flags, steps::Steps};
use crate::{
    error::Result,
    progress::Progress,
    snapshot::{Column, EdgeType, Narrow, NodeType, Snapshot, Spelled},
};

/// The distance of every node: 0 is [`NO_DISTANCE`], and the lowest bit tells those from the user roots from the others,
/// so that both are small numbers.
pub(crate) struct Distances(Narrow);

impl Distances {
    /// The distance of a node as people see it.
    #[inline]
    pub(crate) fn get(&self, node: u32) -> i32 {
        match self.0.get(node) {
            0 => NO_DISTANCE,
            code if code & 1 == 1 => (code >> 1) as i32,
            code => SYSTEM_DISTANCE + (code >> 1) as i32 - 1,
        }
    }

    #[inline]
    fn has(&self, node: u32) -> bool {
        self.0.get(node) != 0
    }

    fn set(&mut self, node: u32, distance: i32) -> Result<()> {
        let beyond = distance - SYSTEM_DISTANCE;
        self.0.set(node, if beyond < 0 { distance << 1 | 1 } else { (beyond + 1) << 1 } as u32)
    }

    pub(crate) fn memory(&self) -> u64 {
        self.0.memory()
    }
}

/// Two breadth-first searches: from the user roots, then from the root for what only synthetic roots reach.
pub(crate) fn compute(snapshot: &Snapshot, weak_maps: &WeakMapNames, progress: &Progress) -> Result<Distances> {
    let count = snapshot.node_count();
    let mut search = Search {
        snapshot,
        filter: Filter::new(snapshot, weak_maps)?,
        distance: Distances(Narrow::zeros(count as usize)?),
        steps: Steps::start(progress, "distances", u64::from(count))?,
    };
    // A user root that the root names twice is searched twice: the filter remembers, so it can matter.
    let mut roots = Column::new();
    for root in flags::user_roots(snapshot) {
        search.distance.set(root, 1)?;
        roots.push(root)?;
    }
    let base = if roots.is_empty() { 0 } else { SYSTEM_DISTANCE };
    search.run(roots, 1)?;
    search.distance.set(snapshot.root(), base)?;
    search.run(Column::filled(1, snapshot.root())?, base)?;
    search.steps.finish()?;
    Ok(search.distance)
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    filter: Filter<'a>,
    distance: Distances,
    steps: Steps<'a>,
}

impl Search<'_> {
    /// Level by level: the order is that of one queue, the memory that of the widest two levels.
    fn run(&mut self, mut level: Column<u32>, mut distance: i32) -> Result<()> {
        let mut next = Column::new();
        while !level.is_empty() {
            distance += 1;
            for (at, &node) in level.iter().enumerate() {
                self.steps.one()?;
                self.snapshot.prefetch(&level, at);
                if let Some(&soon) = level.get(at + 3) {
                    for edge in self.snapshot.edge_range(soon).take(8) {
                        self.distance.0.prefetch(self.snapshot.edge_to(edge));
                    }
                }
                let source = self.filter.source(node);
                for edge in self.snapshot.edge_range(node) {
                    self.steps.edge(edge)?;
                    let to = self.snapshot.edge_to(edge);
                    if self.distance.has(to) {
                        continue;
                    }
                    let kind = self.snapshot.edge_type(edge);
                    if kind != EdgeType::Weak && self.filter.accepts(source, edge, kind) {
                        self.distance.set(to, distance)?;
                        next.push(to)?;
                    }
                }
            }
            std::mem::swap(&mut level, &mut next);
            next.clear();
        }
        Ok(())
    }
}

/// Nodes some of whose edges say nothing about distance.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Ordinary,
    NativeContext,
    MapDescriptors,
}

/// The edges that a search does not follow. It has memory: the order of questions matters.
struct Filter<'a> {
    snapshot: &'a Snapshot,
    weak_maps: &'a WeakMapNames,
    /// WeakMap entries of which one half was seen.
    pending: BitSet,
    native_context: Spelled,
    map_descriptors: Spelled,
}

impl<'a> Filter<'a> {
    fn new(snapshot: &'a Snapshot, weak_maps: &'a WeakMapNames) -> Result<Self> {
        Ok(Filter {
            snapshot,
            weak_maps,
            pending: BitSet::new(weak_maps.pairs())?,
            native_context: snapshot.strings().spelled("system / NativeContext"),
            map_descriptors: snapshot.strings().spelled("(map descriptors)"),
        })
    }

    fn source(&self, node: u32) -> Source {
        match self.snapshot.node_type(node) {
            NodeType::Hidden if self.native_context.at(self.snapshot.node_name_index(node)) => Source::NativeContext,
            NodeType::Array if self.map_descriptors.at(self.snapshot.node_name_index(node)) => Source::MapDescriptors,
            _ => Source::Ordinary,
        }
    }

    #[inline]
    fn accepts(&mut self, source: Source, edge: u32, kind: EdgeType) -> bool {
        let snapshot = self.snapshot;
        let name = || snapshot.edge_name(edge);
        match source {
            Source::Ordinary => {}
            Source::NativeContext => {
                if !kind.has_index_name() && snapshot.strings().short(name()).is("sloppy_function_map") {
                    return false;
                }
            }
            // Descriptor arrays are shared between hidden classes: descriptors say nothing about one of them.
            Source::MapDescriptors => {
                let index = if kind.has_index_name() {
                    f64::from(name())
                } else {
                    parse_int(snapshot.strings().get(name()).as_bytes())
                };
                return index < 2.0 || index % 3.0 != 1.0;
            }
        }
        if kind == EdgeType::Internal
            && let Some(entry) = self.weak_maps.get(name())
        {
            // The first half waits for the second: a value is as far as the farther of its table and its key.
            let half = self.pending.insert(entry.pair);
            if !half {
                self.pending.remove(entry.pair);
            }
            return !half;
        }
        true
    }
}

/// JavaScript's `parseInt(text, 10)`.
pub(crate) fn parse_int(text: &[u8]) -> f64 {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(e) => std::str::from_utf8(&text[..e.valid_up_to()]).unwrap_or_default(),
    };
    let text = text.trim_start_matches(|c: char| c == '\u{feff}' || (c.is_whitespace() && c != '\u{85}'));
    let (sign, text) = match text.as_bytes().first() {
        Some(b'-') => (-1.0, &text[1..]),
        Some(b'+') => (1.0, &text[1..]),
        _ => (1.0, text),
    };
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse::<f64>().map_or(f64::NAN, |value| sign * value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_as_javascript_reads_them() {
        for (text, value) in [("7", 7.0), (" \u{a0}12px", 12.0), ("-3", -3.0), ("+4", 4.0), ("1e3", 1.0)] {
            assert_eq!(parse_int(text.as_bytes()), value, "{text}");
        }
        for text in ["", "-", "length", "\u{85}1", "--1"] {
            assert!(parse_int(text.as_bytes()).is_nan(), "{text}");
        }
        assert_eq!(parse_int(b"5\xed\xa0\xbd"), 5.0);
    }
}
