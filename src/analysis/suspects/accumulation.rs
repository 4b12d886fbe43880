//! Accumulation points of the dominator tree, and what to make of each.

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    SuspectGrowth, SuspectKind, below,
    chains::{self, Link},
    groups,
};
use crate::{
    analysis::{
        Heap, JsString, Matching,
        holders::{Holders, Kind, Place, is_global},
    },
    error::Result,
    graph::steps::Steps,
    progress::Progress,
    snapshot::NodeType,
};

/// A collection with this many big elements is to blame itself, rather than each of them.
const BIG_ELEMENTS: u32 = 4;
/// Examples kept of each class below each point.
const SAMPLES: usize = 24;
/// Steps up from a piece of something to the whole.
const MAX_PIECES: usize = 8;

/// A suspect before it is put into words.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) kind: SuspectKind,
    pub(super) holder: u32,
    /// What the holder is.
    pub(super) holder_kind: Kind,
    /// The holder's own class.
    pub(super) holder_class: String,
    /// Below which node the bytes are; a group may have none to itself.
    pub(super) subject: Option<u32>,
    pub(super) class_name: JsString,
    pub(super) count: u64,
    pub(super) retained: u64,
    /// How much of it made it a suspect: of the new bytes, with a base.
    pub(super) weight: u64,
    pub(super) place: Place,
    /// In chains, the class of the links: all below the holder are counted in the end.
    pub(super) counted: Option<u32>,
    /// How links hang together, in chains.
    pub(super) link: Option<Link>,
    /// What the closures among the elements keep: function, variable, class.
    pub(super) captured: Option<(String, String, String)>,
}

/// Objects of one class that one point immediately dominates.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) count: u64,
    pub(super) weight: u64,
    pub(super) retained: u64,
    pub(super) samples: Vec<u32>,
}

/// The points, with what is below them.
pub(super) struct Points<'a> {
    pub(super) heap: &'a Heap,
    weight: &'a dyn Fn(u32) -> u64,
    pub(super) threshold: u64,
    /// Points that accumulate small things.
    points: Vec<u32>,
    /// Nodes with many big children.
    wide: Vec<u32>,
    /// By point, the classes below it, biggest first.
    pub(super) classes: FxHashMap<u32, Vec<(u32, Tally)>>,
}

impl<'a> Points<'a> {
    /// A point is where at least `threshold` bytes end that flow down in pieces smaller than that. All points together are
    /// few: their bytes are disjoint.
    pub(super) fn find(
        heap: &'a Heap,
        weight: &'a dyn Fn(u32) -> u64,
        threshold: u64,
        progress: &Progress,
    ) -> Result<Self> {
        let (count, root) = (heap.snapshot.node_count(), heap.snapshot.root());
        let mut steps = Steps::start(progress, "suspects", 2 * u64::from(count))?;
        let mut rest: FxHashMap<u32, (u64, u32)> = FxHashMap::default();
        for node in 0..count {
            steps.one()?;
            let own = weight(node);
            if own >= threshold {
                let entry = rest.entry(node).or_insert((0, 0));
                entry.0 = entry.0.wrapping_add(own);
                if node != root {
                    let above = rest.entry(heap.graph.dominator(node)).or_insert((0, 0));
                    above.0 = above.0.wrapping_sub(own);
                    above.1 += 1;
                }
            }
        }
        let mut points: Vec<u32> =
            rest.iter().filter(|&(_, &(own, _))| own >= threshold).map(|(&node, _)| node).collect();
        let mut wide: Vec<u32> = rest
            .iter()
            .filter(|&(_, &(own, big))| own < threshold && big >= BIG_ELEMENTS)
            .map(|(&node, _)| node)
            .collect();
        points.sort_unstable();
        wide.sort_unstable();
        drop(rest);
        let all: FxHashSet<u32> = points.iter().chain(&wide).copied().collect();
        let mut tallies: FxHashMap<(u32, u32), Tally> = FxHashMap::default();
        for node in (0..count).filter(|&node| node != root) {
            steps.one()?;
            let point = heap.graph.dominator(node);
            if !all.contains(&point) {
                continue;
            }
            let own = weight(node);
            let is_wide = wide.binary_search(&point).is_ok();
            if own == 0 || (own >= threshold && !is_wide) {
                continue;
            }
            let tally = tallies.entry((point, heap.classes.of(node))).or_default();
            tally.count += 1;
            tally.weight += own;
            tally.retained += heap.graph.retained_size(node);
            if tally.samples.len() < SAMPLES {
                tally.samples.push(node);
            }
        }
        steps.finish()?;
        let mut classes: FxHashMap<u32, Vec<(u32, Tally)>> = FxHashMap::default();
        for ((point, class), tally) in tallies {
            classes.entry(point).or_default().push((class, tally));
        }
        for list in classes.values_mut() {
            list.sort_unstable_by_key(|(class, tally)| (std::cmp::Reverse(tally.weight), *class));
        }
        Ok(Points { heap, weight, threshold, points, wide, classes })
    }

    /// Suspects, the heaviest first, one for each holder.
    pub(super) fn drafts(&self, holders: &Holders<'_>) -> Result<Vec<Draft>> {
        let mut drafts: Vec<Draft> = Vec::new();
        let mut done = FxHashSet::default();
        // What has many big elements first: those are then explained.
        for &point in &self.wide {
            let owner = self.owner(point);
            let kind = holders.kind(owner)?;
            if kind.is_collection() && done.insert(owner) {
                drafts.extend(self.holding(holders, owner, kind, point)?);
            }
        }
        let explained: FxHashSet<u32> = drafts.iter().filter_map(|draft| draft.subject).collect();
        let mut chains = FxHashSet::default();
        for &point in &self.points {
            if !explained.is_empty() && self.is_below(point, &explained, holders.progress())? {
                continue;
            }
            if let Some(chain) = chains::find(holders, self.heap, point)? {
                if chains.insert(chain.head) {
                    drafts.extend(chains::draft(holders, self, &chain)?);
                }
                continue;
            }
            let owner = self.owner(point);
            let kind = holders.kind(owner)?;
            if !kind.is_collection() || self.is_root(owner) {
                let found = groups::drafts(holders, self, point)?;
                if !found.is_empty() || self.is_root(owner) || matches!(kind, Kind::Context) {
                    drafts.extend(found);
                    continue;
                }
            }
            if done.insert(owner) {
                drafts.extend(self.holding(holders, owner, kind, point)?);
            }
        }
        drafts.retain(|draft| !is_of_node(draft));
        // Of one holder, what it heads says more than that it is big: V8's sizes of who waits for a promise are the promise's own.
        let alone = |draft: &Draft| draft.kind == SuspectKind::Object;
        drafts.sort_by_key(|draft| (std::cmp::Reverse(draft.weight), draft.holder, alone(draft)));
        let mut seen = FxHashSet::default();
        drafts.retain(|draft| seen.insert(draft.holder));
        Ok(drafts)
    }

    /// A suspect that is one object.
    fn holding(&self, holders: &Holders<'_>, owner: u32, kind: Kind, point: u32) -> Result<Option<Draft>> {
        let top = self.classes.get(&point).and_then(|list| list.first());
        let elements = holders.elements(owner, kind)?;
        let (class, count, sample) = match (elements.most, top) {
            (Some((class, sample, count)), _) => (class, count, Some(sample)),
            (None, Some((class, tally))) => (*class, tally.count, tally.samples.first().copied()),
            (None, None) => (self.heap.classes.of(owner), 1, None),
        };
        let place = holders.place(owner)?;
        let suspect = match kind {
            Kind::Timers => SuspectKind::Timers,
            _ if place.event.is_some() => SuspectKind::Listeners,
            kind if kind.is_collection() => SuspectKind::Collection,
            _ => SuspectKind::Object,
        };
        // Of a single object, the class that counts is its own.
        let single = suspect == SuspectKind::Object;
        let class = if single { self.heap.classes.of(owner) } else { class };
        Ok(Some(Draft {
            kind: suspect,
            holder: owner,
            holder_kind: kind,
            holder_class: holders.class_name(owner),
            subject: Some(owner),
            class_name: self.heap.classes.name(class).clone(),
            count: if single { 1 } else { count },
            retained: self.heap.graph.retained_size(owner),
            weight: (self.weight)(owner),
            place,
            counted: None,
            link: None,
            captured: sample.map(|sample| groups::captured(holders, self.heap, sample)).transpose()?.flatten(),
        }))
    }

    /// What a program knows of which `node` is a piece: its Map, its Array, its Buffer, or a collection of those.
    pub(super) fn owner(&self, node: u32) -> u32 {
        let snapshot = &self.heap.snapshot;
        let mut at = node;
        for _ in 0..MAX_PIECES {
            let name = snapshot.short_name(at);
            let piece = match snapshot.node_type(at) {
                NodeType::Hidden
                | NodeType::Array
                | NodeType::Native
                | NodeType::String
                | NodeType::ConcatenatedString => true,
                NodeType::Object => name.is("ArrayBuffer"),
                _ => false,
            };
            let above = self.heap.graph.dominator(at);
            if !piece || above == at || self.is_root(above) {
                break;
            }
            at = above;
        }
        at
    }

    /// Whether a node belongs to V8's roots rather than to a program.
    pub(super) fn is_root(&self, node: u32) -> bool {
        let snapshot = &self.heap.snapshot;
        node == snapshot.root()
            || snapshot.node_type(node) == NodeType::Synthetic
            || snapshot.node_name(node).find("NativeContext").is_some()
            || snapshot.short_name(node).starts_with("Node / ")
            || is_global(snapshot, node)
    }

    pub(super) fn weight(&self, node: u32) -> u64 {
        (self.weight)(node)
    }

    fn is_below(&self, node: u32, above: &FxHashSet<u32>, progress: &Progress) -> Result<bool> {
        let mut at = node;
        let mut steps = 0u32;
        loop {
            if above.contains(&at) {
                return Ok(true);
            }
            let up = self.heap.graph.dominator(at);
            if up == at {
                return Ok(false);
            }
            steps = steps.wrapping_add(1);
            if steps.is_multiple_of(1 << 14) {
                progress.check()?;
            }
            at = up;
        }
    }
}

/// What Node.js keeps for itself. Its lists of timers and listeners are kept for the program.
fn is_of_node(draft: &Draft) -> bool {
    if matches!(draft.kind, SuspectKind::Timers | SuspectKind::Listeners) {
        return false;
    }
    let class = draft.class_name.to_string_lossy();
    let internal =
        class.starts_with("Node / ") || class.starts_with("system / ") && !class.starts_with("system / Context");
    // A collection of V8's own pieces that hangs on nothing that a program could name.
    let nameless = !draft.place.anchored && (class.starts_with('(') || internal);
    nameless || draft.place.scope.as_ref().is_some_and(|scope| scope.is_of_node() && !scope.is_on_behalf())
}

/// The class of this name in another snapshot.
fn same_class(heap: &Heap, class: u32, other: &Heap) -> Option<u32> {
    let name = heap.classes.name(class);
    (0..other.classes.count()).find(|&class| other.classes.name(class) == name)
}

impl Draft {
    /// What became of it since the base.
    pub(super) fn growth(&self, heap: &Heap, since: &Matching<'_>, progress: &Progress) -> Result<SuspectGrowth> {
        let (base, then) = (since.base(), since.old(self.holder));
        let (retained, count) = match then {
            None => (0, 0),
            Some(node) => {
                let retained = base.graph.retained_size(node);
                let count = if self.holder_kind.is_collection() {
                    Holders::new(base, progress)?.elements(node, self.holder_kind)?.most.map_or(0, |(.., count)| count)
                } else if let Some(class) = self.counted.and_then(|class| same_class(heap, class, base)) {
                    below::sums(base, &[(node, Some(class))], progress)?[0].1
                } else {
                    0
                };
                (retained, count)
            }
        };
        Ok(SuspectGrowth {
            new_size: self.weight,
            retained_delta: heap.graph.retained_size(self.holder) as i64 - retained as i64,
            count_delta: self.count as i64 - count as i64,
        })
    }
}
