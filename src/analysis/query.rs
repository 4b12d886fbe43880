//! Queries: objects by what they are called, how big they are, how far away, and who holds them.

use std::cmp::Reverse;

use super::{
    Heap, names,
    rows::{NodeRow, Page},
    sorting::Collector,
};
use crate::{
    error::{Code, Error, Result},
    graph::{BitSet, steps::Steps},
    progress::Progress,
    snapshot::{EdgeType, NodeType},
};

/// A pattern of JavaScript's RegExp takes no more memory than this.
const MAX_PATTERN: usize = 10 << 20;

/// What a node's name has to be like.
#[derive(Clone, Debug)]
pub enum NamePattern {
    /// It contains this.
    Contains(String),
    /// It matches this.
    Matches(regex_lite::Regex),
}

impl NamePattern {
    /// The pattern of a JavaScript RegExp, as far as it needs no looking around and no references to groups.
    pub fn regexp(source: &str, flags: &str) -> Result<NamePattern> {
        let mut builder = regex_lite::RegexBuilder::new(source);
        builder.size_limit(MAX_PATTERN);
        for flag in flags.chars() {
            match flag {
                'i' => builder.case_insensitive(true),
                'm' => builder.multi_line(true),
                's' => builder.dot_matches_new_line(true),
                // Where to go on searching, what to report, how to read the pattern: nothing that changes whether it matches.
                _ => &mut builder,
            };
        }
        let pattern = builder.build().map_err(|e| {
            let message = format!(
                "options.name: /{source}/ cannot be used here ({e}); lookarounds and back references are not supported"
            );
            Error::new(Code::InvalidArgument, message)
        })?;
        Ok(NamePattern::Matches(pattern))
    }

    fn is_match(&self, name: &str) -> bool {
        match self {
            NamePattern::Contains(text) => name.contains(text.as_str()),
            NamePattern::Matches(pattern) => pattern.is_match(name),
        }
    }
}

/// What nodes are wanted: those to which all of it applies.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// The class, exactly.
    pub class_name: Option<String>,
    /// The name.
    pub name: Option<NamePattern>,
    /// The type, as the file spells it.
    pub node_type: Option<String>,
    /// Own bytes, from and to.
    pub self_size: (Option<u64>, Option<u64>),
    /// Retained bytes, from and to.
    pub retained_size: (Option<u64>, Option<u64>),
    /// Distance, from and to.
    pub distance: (Option<i64>, Option<i64>),
    /// The id of a node that all paths to them lead through: a dominator, at any height.
    pub retained_by: Option<u32>,
    /// The name of an edge that leads to them.
    pub edge_name: Option<String>,
    /// Whether they are detached.
    pub detached: Option<bool>,
    /// Which rows.
    pub page: Page,
}

impl Heap {
    /// The nodes that a query asks for, by retained size descending, then by id.
    pub fn query(&self, query: &Query, progress: &Progress) -> Result<Vec<NodeRow>> {
        let (snapshot, graph) = (&self.snapshot, &self.graph);
        let classes = query.class_name.as_ref().map(|wanted| -> Result<BitSet> {
            let mut named = BitSet::new(self.classes.count())?;
            for class in (0..self.classes.count()).filter(|&class| self.classes.name(class).as_js_str().is(wanted)) {
                named.insert(class);
            }
            Ok(named)
        });
        let classes = classes.transpose()?;
        let by_edge = query.edge_name.as_ref().map(|name| self.led_to_by(name, progress)).transpose()?;
        let below = query.retained_by.map(|id| self.retained_by(id, progress)).transpose()?;
        let within = |value: u64, (from, to): (Option<u64>, Option<u64>)| {
            from.is_none_or(|from| value >= from) && to.is_none_or(|to| value <= to)
        };
        let mut steps = Steps::start(progress, "query", u64::from(snapshot.node_count()))?;
        let mut rows = Collector::new(query.page);
        // One answer for each string: names repeat.
        let mut names_seen: rustc_hash::FxHashMap<(u32, bool), bool> = rustc_hash::FxHashMap::default();
        for node in 0..snapshot.node_count() {
            steps.one()?;
            let distance = i64::from(graph.distance(node));
            let wanted = classes.as_ref().is_none_or(|classes| classes.contains(self.classes.of(node)))
                && query.node_type.as_ref().is_none_or(|kind| snapshot.type_name(snapshot.node_type(node)) == kind)
                && within(u64::from(graph.self_size(node)), query.self_size)
                && within(graph.retained_size(node), query.retained_size)
                && query.distance.0.is_none_or(|from| distance >= from)
                && query.distance.1.is_none_or(|to| distance <= to)
                && query.detached.is_none_or(|detached| (graph.states().get(node) == 2) == detached)
                && by_edge.as_ref().is_none_or(|nodes| nodes.contains(node))
                && below.as_ref().is_none_or(|nodes| nodes.contains(node));
            if !wanted {
                continue;
            }
            if let Some(pattern) = &query.name {
                let matches = || pattern.is_match(&names::node(snapshot, graph.states(), node).to_string_lossy());
                let composed = snapshot.node_type(node) == NodeType::ConcatenatedString
                    || super::interfaces::is_plain(snapshot, node);
                let key = (snapshot.node_name_index(node), graph.states().is_renamed(snapshot, node));
                if !(if composed { matches() } else { *names_seen.entry(key).or_insert_with(matches) }) {
                    continue;
                }
            }
            rows.push((Reverse(graph.retained_size(node)), snapshot.node_id(node), node));
        }
        steps.finish()?;
        Ok(rows.rows(progress)?.into_iter().map(|(.., node)| self.node_row(node)).collect())
    }

    /// The targets of all edges of a name; of a number, those of elements.
    fn led_to_by(&self, name: &str, progress: &Progress) -> Result<BitSet> {
        let snapshot = &self.snapshot;
        let mut named = BitSet::new(snapshot.strings().len() as u32)?;
        snapshot.strings().each(progress, |index, text| {
            if text.is(name) {
                named.insert(index);
            }
            Ok(())
        })?;
        let number = name.parse::<u32>().ok();
        let mut nodes = BitSet::new(snapshot.node_count())?;
        let mut steps = Steps::start(progress, "edges", u64::from(snapshot.edge_count()))?;
        for edge in 0..snapshot.edge_count() {
            steps.one()?;
            let edge = snapshot.edge(edge);
            let wanted = match edge.kind {
                EdgeType::Element => number == Some(edge.name_or_index),
                EdgeType::Hidden => false,
                _ => named.contains(edge.name_or_index),
            };
            if wanted {
                nodes.insert(edge.to);
            }
        }
        steps.finish()?;
        Ok(nodes)
    }

    /// Everything that a node dominates, itself left out.
    fn retained_by(&self, id: u32, progress: &Progress) -> Result<BitSet> {
        let above = self.find(id)?;
        let (count, root) = (self.snapshot.node_count(), self.snapshot.root());
        let mut known = BitSet::new(count)?;
        let mut below = BitSet::new(count)?;
        known.insert(above);
        known.insert(root);
        let mut steps = Steps::start(progress, "retained by", u64::from(count))?;
        let mut walked = Vec::new();
        for node in 0..count {
            steps.one()?;
            let mut at = node;
            while !known.contains(at) {
                walked.push(at);
                steps.edge(walked.len() as u32)?;
                at = self.graph.dominator(at);
            }
            let is_below = at == above || below.contains(at);
            for at in walked.drain(..) {
                known.insert(at);
                if is_below {
                    below.insert(at);
                }
            }
        }
        if above == root {
            below.remove(root);
        }
        steps.finish()?;
        Ok(below)
    }
}
