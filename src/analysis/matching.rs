//! Which objects of two snapshots of one process are the same: by id where ids can be compared, else by structure.

use rustc_hash::FxHashMap;

use super::{
    Heap,
    classes::{Classes, Place},
    structure::{self, NONE, Pairs, Side},
    text::JsString,
};
use crate::{error::Result, graph::steps::Steps, progress::Progress, snapshot::NodeType};

/// How objects of two snapshots are told to be the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MatchBy {
    /// By id where ids can be compared, else by structure.
    #[default]
    Auto,
    /// By id: DevTools' Comparison.
    Id,
    /// By what holds them and what they hold: for captures that numbered the objects anew.
    Structure,
}

impl MatchBy {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            MatchBy::Auto => "auto",
            MatchBy::Id => "id",
            MatchBy::Structure => "structure",
        }
    }
}

/// Two snapshots of one process, the objects of which are told apart.
pub struct Matching<'a> {
    pub(super) base: &'a Heap,
    pub(super) current: &'a Heap,
    /// By structure: what was paired. By id nothing is kept.
    pairs: Option<Pairs>,
    /// What pairing needed, and comparing needs again.
    pub(super) sides: Option<(Classes, Sides)>,
}

impl<'a> Matching<'a> {
    /// Looks whether ids compare, and pairs the objects where they don't.
    pub fn new(match_by: MatchBy, base: &'a Heap, current: &'a Heap, progress: &Progress) -> Result<Self> {
        let by_structure = match match_by {
            MatchBy::Id => false,
            MatchBy::Structure => true,
            MatchBy::Auto => !ids_compare(base, current, progress)?,
        };
        if !by_structure {
            return Ok(Matching { base, current, pairs: None, sides: None });
        }
        let (classes, sides) = Sides::new(base, current, progress)?;
        let pairs = sides.pair(base, &classes, current, progress)?;
        Ok(Matching { base, current, pairs: Some(pairs), sides: Some((classes, sides)) })
    }

    /// [`MatchBy::Id`] or [`MatchBy::Structure`].
    pub fn matched_by(&self) -> MatchBy {
        if self.pairs.is_some() { MatchBy::Structure } else { MatchBy::Id }
    }

    /// The earlier snapshot.
    pub fn base(&self) -> &'a Heap {
        self.base
    }

    /// The node of the base that a node of the later snapshot was, by ordinal; `None` for what is new.
    pub fn old(&self, node: u32) -> Option<u32> {
        match &self.pairs {
            Some(pairs) => Some(pairs.of_current[node as usize]).filter(|&old| old != NONE),
            None => self.base.graph.ids().get(&self.base.snapshot, self.current.snapshot.node_id(node)),
        }
    }

    /// Every object of both: at both moments, only then, only now.
    pub(super) fn each(&self, progress: &Progress, mut see: impl FnMut(Option<u32>, Option<u32>)) -> Result<()> {
        let (base, current) = (self.base, self.current);
        let Some(pairs) = &self.pairs else { return by_id(base, current, progress, see) };
        let mut steps = Steps::start(progress, "comparison", base.info().nodes + current.info().nodes)?;
        for (node, &pair) in (0..).zip(&pairs.of_base) {
            steps.one()?;
            see(Some(node), (pair != NONE).then_some(pair));
        }
        for (node, _) in (0..).zip(&pairs.of_current).filter(|&(_, &pair)| pair == NONE) {
            steps.one()?;
            see(None, Some(node));
        }
        steps.finish()
    }
}

/// For each node of `current`, the node of `base` that is the same object by structure, or `u32::MAX`.
pub fn pair_by_structure(base: &Heap, current: &Heap, progress: &Progress) -> Result<Vec<u32>> {
    let (classes, sides) = Sides::new(base, current, progress)?;
    Ok(sides.pair(base, &classes, current, progress)?.of_current)
}

/// Whether equal ids mean equal objects: not in files that say so, and not when hardly any id leads to the like of what it
/// led to before.
fn ids_compare(base: &Heap, current: &Heap, progress: &Progress) -> Result<bool> {
    if base.snapshot.has_fork_ids() || current.snapshot.has_fork_ids() {
        return Ok(false);
    }
    let (mut of_base, mut kept) = (0u64, 0u64);
    by_id(base, current, progress, |a, b| {
        // Of strings the file may have to be asked, and the others are enough.
        if a.is_some_and(|a| base.snapshot.node_type(a) == NodeType::String) {
            return;
        }
        of_base += u64::from(a.is_some());
        if let (Some(a), Some(b)) = (a, b) {
            let same = base.snapshot.node_type(a) == current.snapshot.node_type(b)
                && base.snapshot.node_name(a) == current.snapshot.node_name(b);
            kept += u64::from(same);
        }
    })?;
    Ok(kept * HARDLY_ANY >= of_base)
}

/// One in so many ids of the base has to lead to the same type and name later, for ids to be comparable.
const HARDLY_ANY: u64 = 10;

/// All nodes of both, in the order of their ids; those of one id together.
fn by_id(
    base: &Heap,
    current: &Heap,
    progress: &Progress,
    mut see: impl FnMut(Option<u32>, Option<u32>),
) -> Result<()> {
    // Both in the order of their ids, like the two halves of a zip.
    let mut steps = Steps::start(progress, "comparison", base.info().nodes + current.info().nodes)?;
    let mut old = base.graph.ids().iter(&base.snapshot).peekable();
    let mut new = current.graph.ids().iter(&current.snapshot).peekable();
    loop {
        steps.one()?;
        let (a, b) = (old.peek().copied(), new.peek().copied());
        let id = match (a, b) {
            (Some(a), Some(b)) => base.snapshot.node_id(a).min(current.snapshot.node_id(b)),
            (Some(a), None) => base.snapshot.node_id(a),
            (None, Some(b)) => current.snapshot.node_id(b),
            (None, None) => break,
        };
        let a = old.next_if(|&node| base.snapshot.node_id(node) == id);
        let b = new.next_if(|&node| current.snapshot.node_id(node) == id);
        see(a, b);
    }
    steps.finish()
}

/// Class keys that mean the same in both snapshots.
pub(super) struct Sides {
    pub(super) keys: FxHashMap<(Option<Place>, JsString), u32>,
    pub(super) of_base: Vec<u32>,
    pub(super) of_current: Vec<u32>,
}

impl Sides {
    /// Also the base's classes under the later snapshot's definitions, which the numbers are of.
    pub(super) fn new(base: &Heap, current: &Heap, progress: &Progress) -> Result<(Classes, Self)> {
        let classes = Classes::compute(&base.snapshot, base.graph.states(), &current.definitions, progress)?;
        let mut sides = Sides { keys: FxHashMap::default(), of_base: vec![], of_current: vec![] };
        sides.of_base = (0..classes.count()).map(|class| sides.number(&classes, class)).collect();
        sides.of_current = (0..current.classes.count()).map(|class| sides.number(&current.classes, class)).collect();
        Ok((classes, sides))
    }

    fn number(&mut self, classes: &Classes, class: u32) -> u32 {
        let key = (classes.key(class).place, classes.name(class).clone());
        let next = self.keys.len() as u32;
        *self.keys.entry(key).or_insert(next)
    }

    fn pair(&self, base: &Heap, base_classes: &Classes, current: &Heap, progress: &Progress) -> Result<Pairs> {
        let old = Side::new(&base.snapshot, base_classes, &self.of_base, progress)?;
        let new = Side::new(&current.snapshot, &current.classes, &self.of_current, progress)?;
        structure::pair(&old, &new, progress)
    }
}
