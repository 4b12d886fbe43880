//! Realms: which native context each object belongs to. A Node.js process has one, and one more for each `vm` context.

use rustc_hash::FxHashMap;

use super::is_native_context;
use crate::{
    analysis::{
        Heap, names,
        rows::{NativeContextRow, NativeContexts},
    },
    error::Result,
    graph::{BitSet, steps::Steps},
    progress::Progress,
    snapshot::{EdgeType, Snapshot},
};

/// Who uses an object: one realm, several, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(u32);

impl Owner {
    pub(super) const NONE: Owner = Owner(u32::MAX);
    pub(super) const SHARED: Owner = Owner(u32::MAX - 1);

    fn and(self, other: Owner) -> Owner {
        if self == Owner::NONE || self == other { other } else { Owner::SHARED }
    }
}

/// The owner of every node.
pub(super) struct Realms {
    /// Native contexts, in file order; an [`Owner`] is a place in it.
    contexts: Vec<u32>,
    owner: Vec<Owner>,
}

impl Realms {
    /// An object belongs to the realm that made its hidden class. What has none of these belongs to all that refer to
    /// it, directly or through others of its kind.
    pub(super) fn find(heap: &Heap, progress: &Progress) -> Result<Realms> {
        let snapshot = &heap.snapshot;
        let is_context = heap.named(is_native_context, progress)?;
        let mut steps = Steps::start(progress, "realms", 2 * u64::from(snapshot.node_count()))?;
        let mut contexts = Vec::new();
        for node in 0..snapshot.node_count() {
            if is_context.contains(node) {
                contexts.push(node);
            }
        }
        let mut fixed = Fixed::new(snapshot, &is_context);
        let mut owner = vec![Owner::NONE; snapshot.node_count() as usize];
        let place = |context| contexts.binary_search(&context).map_or(Owner::NONE, |place| Owner(place as u32));
        // Without any, nothing has an owner; with one, most objects have it.
        let nodes = if contexts.is_empty() { 0 } else { snapshot.node_count() };
        for node in 0..nodes {
            steps.one()?;
            let context = if is_context.contains(node) { Some(node) } else { fixed.context_of(node, &steps)? };
            if let Some(context) = context {
                owner[node as usize] = place(context);
            }
        }
        let mut is_fixed = BitSet::new(snapshot.node_count())?;
        (0..nodes).filter(|&node| owner[node as usize] != Owner::NONE).for_each(|node| {
            is_fixed.insert(node);
        });
        // Owners only ever become more: whatever the order, the end is the same.
        let mut changed = Vec::new();
        for node in 0..nodes {
            steps.one()?;
            if !is_fixed.contains(node) {
                continue;
            }
            changed.push(node);
            while let Some(node) = changed.pop() {
                let current = owner[node as usize];
                for edge in snapshot.edges(node) {
                    steps.edge(edge.ordinal)?;
                    if matches!(edge.kind, EdgeType::Shortcut | EdgeType::Weak) || is_fixed.contains(edge.to) {
                        continue;
                    }
                    let of_target = &mut owner[edge.to as usize];
                    let both = of_target.and(current);
                    if both != *of_target {
                        *of_target = both;
                        changed.push(edge.to);
                    }
                }
            }
        }
        steps.finish()?;
        Ok(Realms { contexts, owner })
    }

    /// Who uses a node.
    pub(super) fn owner(&self, node: u32) -> Owner {
        self.owner[node as usize]
    }

    /// The owner that a native context stands for.
    pub(super) fn of_context(&self, node: u32) -> Option<Owner> {
        self.contexts.binary_search(&node).ok().map(|place| Owner(place as u32))
    }
}

impl Heap {
    /// The realms, and how much each of them uses.
    pub fn native_contexts(&self, progress: &Progress) -> Result<NativeContexts> {
        let realms = Realms::find(self, progress)?;
        let mut attributed = vec![0; realms.contexts.len()];
        let mut sizes = NativeContexts::default();
        let mut steps = Steps::start(progress, "sizes of realms", u64::from(self.snapshot.node_count()))?;
        for node in 0..self.snapshot.node_count() {
            steps.one()?;
            let size = u64::from(self.graph.self_size(node));
            match realms.owner(node) {
                Owner::NONE => sizes.no_attribution_size += size,
                Owner::SHARED => sizes.shared_size += size,
                Owner(place) => attributed[place as usize] += size,
            }
        }
        steps.finish()?;
        let rows = realms.contexts.iter().zip(attributed).map(|(&node, attributed_size)| NativeContextRow {
            id: self.snapshot.node_id(node),
            name: names::node(&self.snapshot, self.graph.states(), node),
            attributed_size,
            self_size: self.graph.self_size(node),
            retained_size: self.graph.retained_size(node),
        });
        sizes.native_contexts = rows.collect();
        Ok(sizes)
    }
}

/// Finds the native context of an object by its hidden class: the hidden class of that, of which each realm has one,
/// refers to it. Remembers both steps, since objects share hidden classes.
struct Fixed<'a> {
    snapshot: &'a Snapshot,
    is_context: &'a BitSet,
    map: Option<u32>,
    native_context: Option<u32>,
    of_map: FxHashMap<u32, Option<u32>>,
    of_meta_map: FxHashMap<u32, Option<u32>>,
}

impl<'a> Fixed<'a> {
    fn new(snapshot: &'a Snapshot, is_context: &'a BitSet) -> Self {
        let string = |text: &str| snapshot.strings().spelled(text).first();
        Fixed {
            snapshot,
            is_context,
            map: string("map"),
            native_context: string("native_context"),
            of_map: FxHashMap::default(),
            of_meta_map: FxHashMap::default(),
        }
    }

    fn context_of(&mut self, node: u32, steps: &Steps<'_>) -> Result<Option<u32>> {
        let Some(map) = self.first(node, self.map, |_| true, steps)? else { return Ok(None) };
        if let Some(&known) = self.of_map.get(&map) {
            return Ok(known);
        }
        let context = match self.first(map, self.map, |_| true, steps)? {
            Some(meta_map) => self.of_meta_map(meta_map, steps)?,
            None => None,
        };
        self.of_map.insert(map, context);
        Ok(context)
    }

    fn of_meta_map(&mut self, meta_map: u32, steps: &Steps<'_>) -> Result<Option<u32>> {
        if let Some(&known) = self.of_meta_map.get(&meta_map) {
            return Ok(known);
        }
        let context = self.first(meta_map, self.native_context, |to| self.is_context.contains(to), steps)?;
        self.of_meta_map.insert(meta_map, context);
        Ok(context)
    }

    /// Where the first internal edge of a name leads that leads to a node that is wanted.
    fn first(
        &self,
        node: u32,
        name: Option<u32>,
        wanted: impl Fn(u32) -> bool,
        steps: &Steps<'_>,
    ) -> Result<Option<u32>> {
        for edge in self.snapshot.edges(node) {
            steps.edge(edge.ordinal)?;
            if edge.kind == EdgeType::Internal && Some(edge.name_or_index) == name && wanted(edge.to) {
                return Ok(Some(edge.to));
            }
        }
        Ok(None)
    }
}
