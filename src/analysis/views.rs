//! The lists people look at: the Summary, instances, references, retainers, dominated objects, retaining paths.

use std::cmp::{Ordering, Reverse};

use super::{
    Heap, SummaryFilter, names,
    rows::{ClassRow, Columns, EdgeRow, NodeRow, Page, PathStep},
    sorting::Collector,
    table::Totals,
    text::JsString,
};
use crate::{
    error::{Code, Error, Result},
    graph::{paths, retainers, steps::pieces},
    progress::Progress,
    snapshot::{Edge, EdgeType},
};

/// What the Summary shows.
#[derive(Clone, Debug, Default)]
pub struct SummaryQuery {
    /// Only classes whose name contains this, upper or lower case.
    pub search: Option<String>,
    /// Only some objects.
    pub filter: Option<SummaryFilter>,
    /// Which rows.
    pub page: Page,
}

impl Heap {
    /// The classes, by retained size descending, then by name.
    pub fn summary(&self, query: &SummaryQuery, progress: &Progress) -> Result<Vec<ClassRow>> {
        let filtered = query.filter.map(|filter| self.filtered_totals(filter, progress)).transpose()?;
        let totals = filtered.as_deref().unwrap_or(&self.totals);
        let search = query.search.as_ref().map(|text| text.to_lowercase());
        let named = |class: u32| {
            search.as_ref().is_none_or(|s| self.classes.name(class).to_string_lossy().to_lowercase().contains(&**s))
        };
        let mut rows: Vec<u32> =
            (0..self.classes.count()).filter(|&class| totals[class as usize].count > 0 && named(class)).collect();
        progress.check()?;
        rows.sort_by(|&a, &b| {
            let retained = |class: u32| totals[class as usize].retained_size;
            let name = |class: u32| self.classes.name(class).as_js_str();
            let by_key = || self.classes.key_text(a).as_js_str().cmp_utf16(self.classes.key_text(b).as_js_str());
            retained(b).cmp(&retained(a)).then_with(|| name(a).cmp_utf16(name(b))).then_with(by_key)
        });
        let page = rows.iter().take(query.page.end()).skip(query.page.offset);
        Ok(page.map(|&class| self.class_row(class, &totals[class as usize])).collect())
    }

    /// The instances of a class that have a size of their own, by retained size descending, then by id.
    pub fn instances(&self, key: &JsString, page: Page, progress: &Progress) -> Result<Vec<NodeRow>> {
        let class = self.classes.find(key.as_js_str()).ok_or_else(|| {
            let message = format!("the snapshot has no class with the key {key:?}: keys are those of summary()'s rows");
            Error::new(Code::InvalidArgument, message)
        })?;
        self.biggest(page, progress, |node| self.classes.of(node) == class && self.graph.self_size(node) > 0)
    }

    /// What a node immediately dominates, by retained size descending, then by id.
    pub fn dominated(&self, id: u32, page: Page, progress: &Progress) -> Result<Vec<NodeRow>> {
        let by = self.find(id)?;
        self.biggest(page, progress, |node| self.graph.dominator(node) == by && node != self.snapshot.root())
    }

    /// One node.
    pub fn node(&self, id: u32) -> Option<NodeRow> {
        self.graph.ids().get(&self.snapshot, id).map(|node| self.node_row(node))
    }

    /// What a node refers to, by retained size descending, then by the edge's name: DevTools' Containment view.
    pub fn references(&self, id: u32, page: Page, progress: &Progress) -> Result<Vec<EdgeRow>> {
        let node = self.find(id)?;
        let edges = self.snapshot.edge_range(node);
        let mut rows = Collector::new(page);
        for edge in edges {
            if edge % (1 << 15) == 0 {
                progress.check()?;
            }
            let edge = self.snapshot.edge(edge);
            if edge.kind != EdgeType::Invisible {
                rows.push(ByTarget { heap: self, retained: self.graph.retained_size(edge.to), edge });
            }
        }
        Ok(rows.rows(progress)?.into_iter().map(|row| self.edge_row(row.edge, row.edge.to)).collect())
    }

    /// Who refers to a node, the nearest to the user roots first, then the biggest. Weak references and those from the root
    /// are left out, as DevTools does.
    pub fn retainers(&self, id: u32, page: Page, progress: &Progress) -> Result<Vec<EdgeRow>> {
        let node = self.find(id)?;
        let root = self.snapshot.root();
        let mut rows = Collector::new(page);
        let built = self.graph.retainers(&self.snapshot, progress)?;
        for (place, &edge) in built.of(node).iter().enumerate() {
            if place % (1 << 12) == 0 {
                progress.check()?;
            }
            let from = retainers::source(&self.snapshot, edge);
            if from != root && !matches!(self.snapshot.edge(edge).kind, EdgeType::Weak | EdgeType::Invisible) {
                let size = Reverse(self.graph.retained_size(from));
                rows.push((self.graph.distance(from), size, place, edge, from));
            }
        }
        Ok(rows
            .rows(progress)?
            .into_iter()
            .map(|(.., edge, from)| self.edge_row(self.snapshot.edge(edge), from))
            .collect())
    }

    /// The shortest paths from the root that hold a node, shortest first; each step is an edge and the node it leads to.
    pub fn retaining_paths(&self, id: u32, limit: usize, progress: &Progress) -> Result<Vec<Vec<PathStep>>> {
        let node = self.find(id)?;
        let retainers = self.graph.retainers(&self.snapshot, progress)?;
        let found = paths::shortest(&self.snapshot, &self.graph, retainers, node, limit, progress)?;
        let step = |edge: u32| {
            let edge = self.snapshot.edge(edge);
            self.edge_row(edge, edge.to)
        };
        Ok(found.into_iter().map(|path| path.into_iter().map(step).collect()).collect())
    }

    /// Every node's numbers, in file order.
    pub fn columns(&self, progress: &Progress) -> Result<Columns> {
        let count = self.snapshot.node_count() as usize;
        let mut columns = Columns {
            id: Vec::with_capacity(count),
            self_size: Vec::with_capacity(count),
            retained_size: Vec::with_capacity(count),
            distance: Vec::with_capacity(count),
            dominator: Vec::with_capacity(count),
            class_index: Vec::with_capacity(count),
            class_names: self.classes.names().to_vec(),
        };
        for piece in pieces(self.snapshot.node_count()) {
            progress.check()?;
            columns.id.extend(piece.clone().map(|node| f64::from(self.snapshot.node_id(node))));
            columns.self_size.extend(piece.clone().map(|node| f64::from(self.graph.self_size(node))));
            columns.retained_size.extend(piece.clone().map(|node| self.graph.retained_size(node) as f64));
            columns.distance.extend(piece.clone().map(|node| self.graph.distance(node)));
            columns.dominator.extend(piece.clone().map(|node| self.graph.dominator(node)));
            columns.class_index.extend(piece.map(|node| self.classes.key(self.classes.of(node)).name));
        }
        Ok(columns)
    }

    fn class_row(&self, class: u32, totals: &Totals) -> ClassRow {
        ClassRow {
            key: self.classes.key_text(class),
            name: self.classes.name(class).clone(),
            count: totals.count,
            distance: totals.distance,
            self_size: totals.self_size,
            retained_size: totals.retained_size,
        }
    }

    pub(super) fn node_row(&self, node: u32) -> NodeRow {
        let states = self.graph.states();
        NodeRow {
            id: self.snapshot.node_id(node),
            name: names::node(&self.snapshot, states, node),
            class_name: self.classes.name(self.classes.of(node)).clone(),
            node_type: self.snapshot.type_name(self.snapshot.node_type(node)).to_owned(),
            self_size: self.graph.self_size(node),
            retained_size: self.graph.retained_size(node),
            distance: self.graph.distance(node),
            detached: states.get(node) == 2,
            dominator: self.snapshot.node_id(self.graph.dominator(node)),
            edge_count: self.snapshot.edge_range(node).len() as u32,
        }
    }

    fn edge_row(&self, edge: Edge, node: u32) -> EdgeRow {
        EdgeRow {
            edge_type: names::edge_type(edge.kind),
            name: names::edge(&self.snapshot, edge),
            node: self.node_row(node),
        }
    }

    /// A page of the nodes that are wanted, by retained size descending, then by id.
    fn biggest(&self, page: Page, progress: &Progress, wanted: impl Fn(u32) -> bool) -> Result<Vec<NodeRow>> {
        let mut rows = Collector::new(page);
        for piece in pieces(self.snapshot.node_count()) {
            progress.check()?;
            for node in piece.filter(|&node| wanted(node)) {
                rows.push((Reverse(self.graph.retained_size(node)), self.snapshot.node_id(node), node));
            }
        }
        Ok(rows.rows(progress)?.into_iter().map(|(.., node)| self.node_row(node)).collect())
    }
}

/// An edge in the order of the Containment view.
#[derive(Clone, Copy)]
struct ByTarget<'a> {
    heap: &'a Heap,
    retained: u64,
    edge: Edge,
}

impl Ord for ByTarget<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let name = |row: &Self| {
            let name = names::edge(&row.heap.snapshot, row.edge);
            // "__proto__" comes last, numbers after names.
            (name.as_js_str().is("__proto__"), names::number(&row.heap.snapshot, row.edge).is_some(), name)
        };
        let by_name = || {
            let (a, b) = (name(self), name(other));
            (a.0, a.1).cmp(&(b.0, b.1)).then_with(|| a.2.as_js_str().cmp_utf16(b.2.as_js_str()))
        };
        let by_size = other.retained.cmp(&self.retained);
        by_size.then_with(by_name).then_with(|| self.edge.ordinal.cmp(&other.edge.ordinal))
    }
}

impl PartialOrd for ByTarget<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for ByTarget<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ByTarget<'_> {}
