//! The Summary's filters: the classes of some of the objects only.

mod held;
mod realms;

use super::{
    Heap,
    table::{self, Totals},
};
use crate::{
    error::{Code, Error, Result},
    graph::{BitSet, Children, DETACHED_PREFIX, NO_DISTANCE, steps::Steps},
    progress::Progress,
    snapshot::JsStr,
};
use realms::Owner;

/// Which objects the Summary counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SummaryFilter {
    /// Objects whose id is greater than the first and at most the second: those allocated between two snapshots, from
    /// their greatest ids of JavaScript objects.
    Ids(Option<u32>, u32),
    /// Strings whose text another string has, too.
    DuplicatedStrings,
    /// Objects that only nodes detached from their document hold.
    RetainedByDetachedDomNodes,
    /// Objects that only the contexts of closures hold.
    RetainedByContexts,
    /// Objects that only the console of DevTools holds.
    RetainedByConsole,
    /// Objects that only event handlers hold.
    RetainedByEventHandlers,
    /// Objects that several realms use.
    SharedNativeContext,
    /// Objects that no realm uses.
    NoNativeContext,
    /// Objects that only the realm uses whose native context has this id.
    NativeContext(u32),
}

impl Heap {
    /// The totals of every class, of the objects that a filter lets pass.
    pub(super) fn filtered_totals(&self, filter: SummaryFilter, progress: &Progress) -> Result<Vec<Totals>> {
        let totals = |wanted: &(dyn Fn(u32) -> bool + Sync)| {
            let children = Children::of_tree(self.graph.dominators(), self.snapshot.root(), progress)?;
            let (snapshot, graph, classes) = (&self.snapshot, &self.graph, &self.classes);
            table::totals(snapshot, graph, classes, &children, Some(wanted), progress)
        };
        let not_reached =
            |reached: BitSet| totals(&|node| !reached.contains(node) && self.graph.distance(node) != NO_DISTANCE);
        let used_by = |owner: &dyn Fn(&realms::Realms) -> Result<Owner>| {
            let realms = realms::Realms::find(self, progress)?;
            let owner = owner(&realms)?;
            totals(&|node| realms.owner(node) == owner)
        };
        match filter {
            SummaryFilter::Ids(after, to) => totals(&|node| {
                let id = self.snapshot.node_id(node);
                after.is_none_or(|after| id > after) && id <= to
            }),
            SummaryFilter::DuplicatedStrings => {
                let repeated = self.duplicated_strings(progress)?;
                totals(&|node| repeated.contains(node))
            }
            SummaryFilter::RetainedByDetachedDomNodes => not_reached(held::without_detached(self, progress)?),
            SummaryFilter::RetainedByContexts => not_reached(held::without_contexts(self, progress)?),
            SummaryFilter::RetainedByConsole => not_reached(held::without_console(self, progress)?),
            SummaryFilter::RetainedByEventHandlers => not_reached(held::without_event_handlers(self, progress)?),
            SummaryFilter::SharedNativeContext => used_by(&|_| Ok(Owner::SHARED)),
            SummaryFilter::NoNativeContext => used_by(&|_| Ok(Owner::NONE)),
            SummaryFilter::NativeContext(id) => used_by(&|realms| {
                let node = self.graph.ids().get(&self.snapshot, id);
                node.and_then(|node| realms.of_context(node)).ok_or_else(|| {
                    let message =
                        format!("options.filter.nativeContext must be the id of a row of nativeContexts(), not {id}");
                    Error::new(Code::InvalidArgument, message)
                })
            }),
        }
    }

    /// The nodes with a name that `wanted` accepts, which is asked once for each string and, of nodes that DevTools
    /// renames, about the name without "Detached ".
    fn named(&self, wanted: impl Fn(JsStr<'_>, bool) -> bool, progress: &Progress) -> Result<BitSet> {
        let (snapshot, states) = (&self.snapshot, self.graph.states());
        let strings = snapshot.strings();
        let mut steps = Steps::start(progress, "names", u64::from(snapshot.node_count()))?;
        let mut texts = [BitSet::new(strings.len() as u32)?, BitSet::new(strings.len() as u32)?];
        strings.each(progress, |index, text| {
            for (renamed, texts) in [false, true].into_iter().zip(&mut texts) {
                if wanted(text, renamed) {
                    texts.insert(index);
                }
            }
            Ok(())
        })?;
        let mut nodes = BitSet::new(snapshot.node_count())?;
        for node in 0..snapshot.node_count() {
            steps.one()?;
            let name = snapshot.node_name_index(node);
            if texts.iter().any(|texts| texts.contains(name))
                && texts[usize::from(states.is_renamed(snapshot, node))].contains(name)
            {
                nodes.insert(node);
            }
        }
        steps.finish()?;
        Ok(nodes)
    }
}

/// Whether a name is `kind`, or `kind` with something behind a slash.
fn is_kind(name: JsStr<'_>, kind: &str) -> bool {
    let rest = name.as_bytes().strip_prefix(kind.as_bytes());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b" / "))
}

/// Whether a node of this name is a native context: what V8 keeps for each realm.
fn is_native_context(name: JsStr<'_>, renamed: bool) -> bool {
    const KIND: &str = "system / NativeContext";
    let detached = name.as_bytes().strip_prefix(DETACHED_PREFIX.as_bytes()).filter(|_| !renamed);
    is_kind(name, KIND) || detached.is_some_and(|name| is_kind(JsStr(name), KIND))
}
