//! Collections: what people put things into, how many are in it, and of which class they mostly are.

use rustc_hash::FxHashMap;

use super::Holders;
use crate::{
    error::Result,
    snapshot::{EdgeType, NodeType},
};

/// From how many properties on a plain object is a dictionary.
const DICTIONARY: u64 = 32;

/// What a node is to a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Map,
    Set,
    WeakMap,
    Array,
    /// A plain object with many properties.
    Dictionary,
    /// Node's list of the timers of one duration.
    Timers,
    Promise,
    FinalizationRegistry,
    /// The variables that closures share.
    Context,
    Closure,
    Other,
}

impl Kind {
    /// Whether it is made to hold things.
    pub(crate) fn is_collection(self) -> bool {
        matches!(self, Kind::Map | Kind::Set | Kind::WeakMap | Kind::Array | Kind::Dictionary | Kind::Timers)
    }
}

/// What is in a collection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Collection {
    /// Elements that are in the snapshot: small integers and the like are not.
    pub(crate) count: u64,
    /// The class of most of them, one of the elements, and how many are of that class.
    pub(crate) most: Option<(u32, u32, u64)>,
}

impl Holders<'_> {
    /// What a node is.
    pub(crate) fn kind(&self, node: u32) -> Result<Kind> {
        let name = self.name(node);
        Ok(match self.snapshot().node_type(node) {
            NodeType::Closure => Kind::Closure,
            NodeType::Object if name.starts_with("system / Context") => Kind::Context,
            NodeType::Object if name.is("TimersList") => Kind::Timers,
            NodeType::Object if name.is("Promise") => Kind::Promise,
            NodeType::Object if name.is("FinalizationRegistry") => Kind::FinalizationRegistry,
            NodeType::Object if name.is("WeakMap") || name.is("WeakSet") => Kind::WeakMap,
            NodeType::Object if name.is("Array") => Kind::Array,
            NodeType::Object if name.is("Set") => Kind::Set,
            NodeType::Object if name.is("Map") => Kind::Map,
            NodeType::Object => {
                // A class of the program that extends one of them, or an object used like one.
                if self.internal(node, "table").is_some_and(|table| self.snapshot().node_type(table) == NodeType::Array)
                {
                    Kind::Map
                } else if name.is("Object") && self.elements(node, Kind::Dictionary)?.count >= DICTIONARY {
                    Kind::Dictionary
                } else {
                    Kind::Other
                }
            }
            _ => Kind::Other,
        })
    }

    /// What is in a collection of this kind.
    pub(crate) fn elements(&self, node: u32, kind: Kind) -> Result<Collection> {
        let mut tally = Tally::default();
        match kind {
            Kind::Map | Kind::Set => self.table(node, kind, &mut tally)?,
            Kind::Array => {
                for edge in self.snapshot().edge_range(node) {
                    self.heard(edge)?;
                    let edge = self.snapshot().edge(edge);
                    if edge.kind == EdgeType::Element {
                        tally.add(self.heap.classes.of(edge.to), edge.to);
                    }
                }
            }
            Kind::Dictionary => {
                for edge in self.snapshot().edge_range(node) {
                    self.heard(edge)?;
                    let edge = self.snapshot().edge(edge);
                    let own = edge.kind == EdgeType::Property && !self.name_is(edge, "__proto__");
                    if own || edge.kind == EdgeType::Element {
                        tally.add(self.heap.classes.of(edge.to), edge.to);
                    }
                }
            }
            Kind::Timers => {
                // A ring of timers, from the list and back to it.
                let next = |at: u32| {
                    let mut edges = self.snapshot().edges(at).filter(|edge| edge.kind == EdgeType::Property);
                    edges.find(|&edge| self.name_is(edge, "_idleNext")).map(|edge| edge.to)
                };
                let mut at = node;
                while let Some(timer) = next(at).filter(|&timer| timer != node) {
                    if tally.count >= u64::from(self.snapshot().node_count()) {
                        break;
                    }
                    self.heard(tally.count as u32)?;
                    tally.add(self.heap.classes.of(timer), timer);
                    at = timer;
                }
            }
            _ => {}
        }
        Ok(tally.collection())
    }

    /// The entries of a Map's or Set's table. V8 names their edges by the slots of the table: three counts, the buckets, then for
    /// each entry the key, the value (a Map's only), and the number of the next entry.
    fn table(&self, node: u32, kind: Kind, tally: &mut Tally) -> Result<()> {
        let Some(table) = self.internal(node, "table") else { return Ok(()) };
        let strings = self.snapshot().strings();
        let size = u64::from(self.snapshot().raw_self_size(table));
        // Twice as many entries as buckets; words are of eight bytes, in Chrome of four.
        let fits = |width: u64| {
            let (head, per_bucket) = if width == 3 { (3, 7) } else { (3, 5) };
            [8, 4].into_iter().find_map(|word| {
                let rest = size.checked_sub(word * (2 + head))?;
                let buckets = rest / (word * per_bucket);
                (rest % (word * per_bucket) == 0 && buckets.is_power_of_two()).then_some(buckets)
            })
        };
        let own_kind = if kind == Kind::Set || self.name(node).is("Set") { [2, 3] } else { [3, 2] };
        let layout = own_kind.into_iter().find_map(|width| Some((width, fits(width)?)));
        let mut keys = Tally::default();
        let mut last = None;
        let mut entries = 0;
        for edge in self.snapshot().edge_range(table) {
            self.heard(edge)?;
            let edge = self.snapshot().edge(edge);
            if edge.kind != EdgeType::Internal && edge.kind != EdgeType::Hidden {
                continue;
            }
            let slot = if edge.kind == EdgeType::Hidden {
                Some(u64::from(edge.name_or_index))
            } else {
                std::str::from_utf8(strings.get(edge.name_or_index).as_bytes()).ok().and_then(|slot| slot.parse().ok())
            };
            let Some(slot) = slot else { continue };
            let class = self.heap.classes.of(edge.to);
            match layout {
                Some((width, buckets)) => {
                    let Some(at) = slot.checked_sub(3 + buckets) else { continue };
                    if last != Some(at / width) {
                        last = Some(at / width);
                        entries += 1;
                    }
                    if width == 3 && at % width == 0 { keys.add(class, edge.to) } else { tally.add(class, edge.to) }
                }
                None => tally.add(class, edge.to),
            }
        }
        // A Map from the program's objects to numbers, flags or texts is full of those objects.
        if tally.count == 0 || (self.is_of_primitives(tally) && !self.is_of_primitives(&keys)) {
            *tally = keys;
        }
        tally.count = tally.count.max(entries);
        Ok(())
    }

    /// Whether most of what was counted are values without an identity.
    fn is_of_primitives(&self, tally: &Tally) -> bool {
        tally.most().is_none_or(|(_, sample, _)| {
            !matches!(self.snapshot().node_type(sample), NodeType::Object | NodeType::Closure | NodeType::Regexp)
        })
    }

    fn heard(&self, step: u32) -> Result<()> {
        if step.is_multiple_of(1 << 14) { self.progress.check() } else { Ok(()) }
    }
}

/// Counts by class.
#[derive(Default)]
struct Tally {
    count: u64,
    classes: FxHashMap<u32, (u64, u32)>,
}

impl Tally {
    fn add(&mut self, class: u32, element: u32) {
        self.count += 1;
        self.classes.entry(class).or_insert((0, element)).0 += 1;
    }

    /// The class that most have, one of them, and how many.
    fn most(&self) -> Option<(u32, u32, u64)> {
        let most = self.classes.iter().max_by_key(|&(&class, &(count, _))| (count, std::cmp::Reverse(class)));
        most.map(|(&class, &(count, element))| (class, element, count))
    }

    fn collection(self) -> Collection {
        Collection { count: self.count, most: self.most() }
    }
}
