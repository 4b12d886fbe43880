//! Suspects: where memory accumulates and who holds it, one sentence each.
//!
//! After Eclipse MAT: a node of the dominator tree accumulates when it retains much and no child of it retains most of
//! that. What V8 and Node.js hold for themselves is no suspect.

mod accumulation;
mod below;
mod chains;
mod explain;
mod groups;

use serde::Serialize;

use super::{Heap, JsString, MatchBy, Matching, holders::Holders, names};
use crate::{
    error::Result,
    graph::{Children, RetainedSizes},
    progress::Progress,
    snapshot::Edge,
};
use accumulation::{Draft, Points};

/// How many suspects unless told otherwise.
const DEFAULT_LIMIT: usize = 5;
/// A suspect retains at least this part of the heap (or of what grew),
const MIN_SHARE: u64 = 20;
/// and this many bytes: less than that is nobody's leak.
const MIN_BYTES: u64 = 512 << 10;
/// With a base, a smaller growth is worth a word.
const MIN_GROWTH: u64 = 64 << 10;
/// A longer path loses its middle.
const MAX_STEPS: usize = 40;

/// What to look for.
#[derive(Clone, Copy, Default)]
pub struct SuspectsQuery<'a> {
    /// How many at most; five without.
    pub limit: Option<usize>,
    /// An earlier snapshot of the same process: then what grew since is looked for. Objects are told apart by id where ids compare, else
    /// by structure.
    pub base: Option<&'a Heap>,
    /// In bytes: who retains (with a base: gained) less is no suspect, and who retains more is one however large the heap is.
    pub min_size: Option<u64>,
}

/// What kind of suspect it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SuspectKind {
    /// A Map, Set, Array or an object used like one.
    Collection,
    /// Listeners of one event.
    Listeners,
    /// Timers that wait.
    Timers,
    /// Promises, each of which waits for the one before.
    Promises,
    /// Closures, each of which keeps the context that it was made in, and with it a variable for another closure.
    ClosureChain,
    /// Objects linked one to the next.
    Chain,
    /// Objects of one class that nothing single holds.
    Group,
    /// A single object.
    Object,
}

impl SuspectKind {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            SuspectKind::Collection => "collection",
            SuspectKind::Listeners => "listeners",
            SuspectKind::Timers => "timers",
            SuspectKind::Promises => "promises",
            SuspectKind::ClosureChain => "closure-chain",
            SuspectKind::Chain => "chain",
            SuspectKind::Group => "group",
            SuspectKind::Object => "object",
        }
    }
}

/// A place where memory accumulates.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Suspect {
    /// What kind of place it is.
    pub kind: SuspectKind,
    /// The class of what accumulates.
    pub class_name: JsString,
    /// How many of them.
    pub count: u64,
    /// Bytes that would be freed.
    pub retained_size: u64,
    /// Of these, bytes outside of V8's heap: buffers, external strings.
    pub off_heap_size: u64,
    /// Of the whole heap, 0 to 1.
    pub share: f64,
    /// Who holds them, as a person would say it.
    pub holder: String,
    /// The holder's id.
    pub holder_id: u32,
    /// The script that the holder is in, where the snapshot tells.
    pub script: Option<String>,
    /// From a root to the holder.
    pub path: Vec<SuspectStep>,
    /// Steps that were left out of the path's middle.
    pub omitted_steps: usize,
    /// What grew; only with a base.
    pub growth: Option<SuspectGrowth>,
    /// One sentence or two to act on.
    pub explanation: String,
}

/// How a suspect differs from what it was in the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SuspectGrowth {
    /// Bytes of objects that are new since the base.
    pub new_size: u64,
    /// What the holder retains now, less what it retained in the base.
    pub retained_delta: i64,
    /// What it holds now, less what it held then.
    pub count_delta: i64,
}

/// One step of a path: an edge, and the object it leads to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SuspectStep {
    /// The edge's type.
    #[serde(rename = "type")]
    pub edge_type: &'static str,
    /// The edge's name.
    pub edge: JsString,
    /// The object's class.
    pub class_name: JsString,
    /// The object's id.
    pub id: u32,
}

impl Heap {
    /// Where memory accumulates, most first. None in a heap in which nothing but Node.js itself lives.
    pub fn suspects(&self, query: &SuspectsQuery<'_>, progress: &Progress) -> Result<Vec<Suspect>> {
        let matching = query.base.map(|base| Matching::new(MatchBy::Auto, base, self, progress)).transpose()?;
        self.suspects_since(matching.as_ref(), query.limit, query.min_size, progress)
    }

    /// Where memory accumulates; with a matching of an earlier snapshot and this one, where it grew since.
    pub fn suspects_since(
        &self,
        since: Option<&Matching<'_>>,
        limit: Option<usize>,
        min_size: Option<u64>,
        progress: &Progress,
    ) -> Result<Vec<Suspect>> {
        let limit = limit.unwrap_or(DEFAULT_LIMIT);
        let grown = since.map(|since| self.grown_since(since, progress)).transpose()?;
        let retained =
            |node: u32| grown.as_ref().map_or_else(|| self.graph.retained_size(node), |grown| grown.get(node));
        let least = if since.is_some() { MIN_GROWTH } else { MIN_BYTES };
        let threshold = min_size.unwrap_or_else(|| (retained(self.snapshot.root()) / MIN_SHARE).max(least));
        let points = Points::find(self, &retained, threshold, progress)?;
        let holders = Holders::new(self, progress)?;
        let mut drafts = points.drafts(&holders)?;
        drafts.truncate(limit);
        let subjects: Vec<_> =
            drafts.iter().map(|draft| (draft.subject.unwrap_or(self.snapshot.root()), draft.counted)).collect();
        let sums = below::sums(self, &subjects, progress)?;
        let mut suspects = Vec::with_capacity(drafts.len());
        for (mut draft, (off_heap, links)) in drafts.into_iter().zip(sums) {
            if draft.counted.is_some() {
                draft.count = draft.count.max(links);
            }
            suspects.push(self.suspect(&holders, &draft, off_heap, since)?);
        }
        Ok(suspects)
    }

    /// What each node retains of the objects that the base does not have.
    fn grown_since(&self, since: &Matching<'_>, progress: &Progress) -> Result<RetainedSizes> {
        let (snapshot, graph) = (&self.snapshot, &self.graph);
        let mut sizes = vec![0u32; snapshot.node_count() as usize];
        for node in 0..snapshot.node_count() {
            if node % (1 << 14) == 0 {
                progress.check()?;
            }
            let old = since.old(node);
            let now = graph.self_size(node);
            // A table that got longer is not new, but its growth is.
            sizes[node as usize] = old.map_or(now, |old| now.saturating_sub(since.base().graph.self_size(old)));
        }
        let children = Children::of_tree(graph.dominators(), snapshot.root(), progress)?;
        let mut order = vec![snapshot.root()];
        let mut next = 0;
        while let Some(&node) = order.get(next) {
            if next % (1 << 14) == 0 {
                progress.check()?;
            }
            order.extend_from_slice(children.of(node));
            next += 1;
        }
        RetainedSizes::compute(snapshot.root(), |node| sizes[node as usize], graph.dominators(), &order, progress)
    }

    fn suspect(
        &self,
        holders: &Holders<'_>,
        draft: &Draft,
        off_heap_size: u64,
        since: Option<&Matching<'_>>,
    ) -> Result<Suspect> {
        let mut path = holders.path(draft.holder)?;
        let omitted_steps = path.len().saturating_sub(MAX_STEPS);
        if omitted_steps > 0 {
            path.drain(MAX_STEPS / 2..MAX_STEPS / 2 + omitted_steps);
        }
        let growth = since.map(|since| draft.growth(self, since, holders.progress())).transpose()?;
        let total = self.statistics.total.max(1);
        Ok(Suspect {
            kind: draft.kind,
            class_name: draft.class_name.clone(),
            count: draft.count,
            retained_size: draft.retained,
            off_heap_size: off_heap_size.min(draft.retained),
            share: draft.retained as f64 / total as f64,
            holder: explain::holder(draft),
            holder_id: self.snapshot.node_id(draft.holder),
            script: draft.place.scope.as_ref().and_then(|scope| scope.script.clone()),
            path: path.into_iter().map(|edge| self.suspect_step(self.snapshot.edge(edge))).collect(),
            omitted_steps,
            explanation: explain::sentence(draft, total, off_heap_size.min(draft.retained), growth.as_ref()),
            growth,
        })
    }

    fn suspect_step(&self, edge: Edge) -> SuspectStep {
        SuspectStep {
            edge_type: names::edge_type(edge.kind),
            edge: names::edge(&self.snapshot, edge),
            class_name: self.classes.name(self.classes.of(edge.to)).clone(),
            id: self.snapshot.node_id(edge.to),
        }
    }
}
