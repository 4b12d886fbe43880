//! Everything that the analysis says of a heap, held against what the plain reference says. Also what `fuzz/` asserts.

use std::collections::{BTreeMap, HashSet};

use heaprs::{
    analysis::{
        Heap, JsString, MatchBy, Page, Query, SummaryFilter, SummaryQuery, SuspectsQuery, compare, compare_by,
        pair_by_structure,
    },
    progress::Progress,
    snapshot::{ReadOptions, Snapshot},
};

use crate::{
    model::{self, Model},
    reference::{Reference, Table},
};

fn open(model: &Model) -> Heap {
    // As many with one thread as with two.
    let options = ReadOptions { threads: 1 + model.nodes.len() % 2, ..ReadOptions::default() };
    let snapshot = Snapshot::from_bytes(model.json().as_bytes(), &options, &Progress::default());
    Heap::from_snapshot(snapshot.unwrap(), &Progress::default()).unwrap()
}

fn text(string: &JsString) -> String {
    std::str::from_utf8(string.as_bytes()).unwrap().to_owned()
}

fn table(heap: &Heap, filter: Option<SummaryFilter>) -> Table {
    let rows = heap.summary(&SummaryQuery { filter, ..Default::default() }, &Progress::default()).unwrap();
    assert!(rows.is_sorted_by_key(|row| std::cmp::Reverse(row.retained_size)));
    let row = |row: &heaprs::analysis::ClassRow| {
        (text(&row.key), (text(&row.name), row.count, row.self_size, row.distance, row.retained_size))
    };
    rows.iter().map(row).collect()
}

/// Every column, the tables, the statistics.
pub(crate) fn check_numbers(model: &Model) {
    let (heap, expected) = (open(model), Reference::new(model));
    let columns = heap.columns(&Progress::default()).unwrap();
    let count = model.nodes.len();
    let class = |n: usize| text(&columns.class_names[columns.class_index[n] as usize]);
    let ids = |list: &[usize]| list.iter().map(|&n| model.nodes[n].id).collect::<Vec<_>>();
    let states: Vec<u8> = (0..count).map(|n| heap.graph().states().get(n as u32)).collect();
    assert_eq!(states, expected.state, "states");
    assert_eq!(columns.id, (0..count).map(|n| f64::from(model.nodes[n].id)).collect::<Vec<_>>());
    assert_eq!(columns.self_size, expected.size.iter().map(|&s| s as f64).collect::<Vec<_>>(), "self sizes");
    assert_eq!(columns.distance, expected.distance, "distances");
    let dominators: Vec<usize> = columns.dominator.iter().map(|&n| n as usize).collect();
    assert_eq!(ids(&dominators), ids(&expected.dominator), "dominators");
    let retained: Vec<u64> = columns.retained_size.iter().map(|&s| s as u64).collect();
    assert_eq!(retained, expected.retained, "retained sizes");
    let definitions: Vec<String> = heap.interface_names().map(text).collect();
    assert_eq!(definitions, expected.definitions.iter().map(|d| d.0.clone()).collect::<Vec<_>>(), "interfaces");
    assert_eq!((0..count).map(class).collect::<Vec<_>>(), expected.classes, "classes");
    assert_eq!(table(&heap, None), expected.table(|_| true), "summary");
    let within = expected.table(|n| (20..=60).contains(&model.nodes[n].id));
    assert_eq!(table(&heap, Some(SummaryFilter::Ids(Some(19), 60))), within, "filtered summary");
    let s = heap.statistics();
    let v8 = s.v8heap;
    let got = [s.total, v8.total, v8.code, v8.js_arrays, v8.strings, v8.system, s.native.total, s.native.typed_arrays];
    assert_eq!(got, expected.statistics(), "statistics");
}

/// Rows of nodes and edges.
pub(crate) fn check_views(model: &Model) {
    let (heap, expected) = (open(model), Reference::new(model));
    let all = Page::default();
    let none = Progress::default();
    assert_eq!(heap.node(0), None);
    for (n, node) in model.nodes.iter().enumerate() {
        let row = heap.node(node.id).unwrap();
        assert_eq!((row.id, row.node_type.as_str(), row.detached), (node.id, node.kind, expected.state[n] == 2));
        assert_eq!(row.edge_count as usize, model.out(n).count());
        assert_eq!(row.dominator, model.nodes[expected.dominator[n]].id);

        let mut below: Vec<usize> = (1..model.nodes.len()).filter(|&m| expected.dominator[m] == n).collect();
        below.sort_by_key(|&m| (std::cmp::Reverse(expected.retained[m]), model.nodes[m].id));
        let got: Vec<u32> = heap.dominated(node.id, all, &none).unwrap().iter().map(|row| row.id).collect();
        assert_eq!(got, below.iter().map(|&m| model.nodes[m].id).collect::<Vec<_>>(), "dominated");

        let references = heap.references(node.id, all, &none).unwrap();
        assert!(references.is_sorted_by_key(|row| std::cmp::Reverse(row.node.retained_size)));
        let mut got: Vec<_> = references.iter().map(|row| (row.edge_type, row.node.id)).collect();
        let mut edges: Vec<_> = model.out(n).map(|edge| (edge.kind, model.nodes[edge.to].id)).collect();
        got.sort_unstable();
        edges.sort_unstable();
        assert_eq!(got, edges, "references");

        let mut back: Vec<_> =
            model.edges.iter().rev().filter(|e| e.to == n && e.from != 0 && e.kind != "weak").collect();
        back.sort_by_key(|e| (expected.distance[e.from], std::cmp::Reverse(expected.retained[e.from])));
        let got = heap.retainers(node.id, all, &none).unwrap();
        let got: Vec<_> = got.iter().map(|row| (row.edge_type, row.node.id)).collect();
        assert_eq!(got, back.iter().map(|e| (e.kind, model.nodes[e.from].id)).collect::<Vec<_>>(), "retainers");
        check_paths(&heap, model, n);
    }
    for (key, row) in expected.table(|_| true) {
        let instances = heap.instances(&JsString::from(&*key), all, &none).unwrap();
        assert_eq!(instances.len() as u64, row.1);
        assert!(instances.is_sorted_by_key(|row| (std::cmp::Reverse(row.retained_size), row.id)));
        let page = heap.instances(&JsString::from(&*key), Page { offset: 1, limit: Some(2) }, &none).unwrap();
        assert_eq!(page[..], instances[1..instances.len().clamp(1, 3)]);
    }
}

fn check_paths(heap: &Heap, model: &Model, target: usize) {
    let holds = |e: &model::Edge| e.kind != "weak" || e.from == 0;
    let paths = heap.retaining_paths(model.nodes[target].id, 4, &Progress::default()).unwrap();
    let mut steps: BTreeMap<usize, usize> = BTreeMap::from([(0, 0)]);
    for _ in &model.nodes {
        for e in model.edges.iter().filter(|e| holds(e)) {
            if let Some(&s) = steps.get(&e.from) {
                let known = steps.entry(e.to).or_insert(s + 1);
                *known = (s + 1).min(*known);
            }
        }
    }
    assert_eq!(paths.is_empty(), !steps.contains_key(&target), "a path is found when there is one");
    for path in &paths {
        let mut at = model.nodes[0].id;
        let mut seen = HashSet::from([at]);
        for step in path {
            let there = model.edges.iter().any(|e| {
                model.nodes[e.from].id == at && model.nodes[e.to].id == step.node.id && e.kind == step.edge_type
            });
            assert!(there && seen.insert(step.node.id), "an edge of the heap, to a node not on the path yet");
            at = step.node.id;
        }
        assert_eq!(at, model.nodes[target].id);
    }
    // What user roots hold without detours of the distance's own is as near as its distance says.
    let distance = heap.node(model.nodes[target].id).unwrap().distance;
    if let Some(first) = paths.first()
        && distance as usize == steps[&target]
    {
        assert_eq!(first.len(), distance as usize, "the first path is a shortest one");
    }
}

/// The Comparison by id.
pub(crate) fn check_comparison(before: &Model, after: &Model) {
    let rows = compare(&open(before), &open(after), &Progress::default()).unwrap();
    assert!(rows.is_sorted_by_key(|row| std::cmp::Reverse(row.added_size)));
    let mut got = BTreeMap::new();
    for row in &rows {
        assert_eq!(row.count_delta, row.added_count as i64 - row.removed_count as i64);
        assert_eq!(row.size_delta, row.added_size as i64 - row.removed_size as i64);
        let numbers = (text(&row.name), row.added_count, row.removed_count, row.added_size, row.removed_size);
        got.insert(text(&row.key), numbers);
    }
    let (before, after) = (Reference::new(before), Reference::new(after));
    assert_eq!(got, before.compare(&after));
}

/// The Comparison by structure: each object has one partner at most, and the net numbers of each class are those of the two heaps,
/// whatever was paired.
pub(crate) fn check_structure(before: &Model, after: &Model) {
    let (base, current, none) = (open(before), open(after), Progress::default());
    let pairs = pair_by_structure(&base, &current, &none).unwrap();
    let partners: Vec<u32> = pairs.iter().copied().filter(|&node| node != u32::MAX).collect();
    assert_eq!(pairs.len(), after.nodes.len());
    assert!(partners.iter().all(|&node| (node as usize) < before.nodes.len()));
    assert_eq!(partners.iter().collect::<HashSet<_>>().len(), partners.len(), "nobody has two partners");
    let net = |match_by| {
        let rows = compare_by(match_by, &base, &current, &none).unwrap().rows;
        let nets = rows.iter().map(|row| (text(&row.key), row.count_delta)).filter(|&(_, count)| count != 0);
        nets.collect::<BTreeMap<_, _>>()
    };
    assert_eq!(net(MatchBy::Structure), net(MatchBy::Id), "net counts");
}

/// What has no plain reference: it answers, and what it says is of this heap.
pub(crate) fn check_answers(model: &Model) {
    // Suspects begin at half a megabyte.
    let mut large = model.clone();
    large.nodes.iter_mut().for_each(|node| node.size *= 100_000);
    let (heap, none) = (open(&large), Progress::default());
    let exists = |id: u32| assert!(model.nodes.iter().any(|node| node.id == id), "@{id} is a node");
    for suspect in heap.suspects(&SuspectsQuery::default(), &none).unwrap() {
        exists(suspect.holder_id);
        suspect.path.iter().for_each(|step| exists(step.id));
        assert!((0.0..=1.0).contains(&suspect.share), "{suspect:?}");
    }
    let off_heap = heap.off_heap(&none).unwrap();
    let parts = [off_heap.array_buffers, off_heap.external_strings, off_heap.other];
    assert_eq!(off_heap.off_heap, parts.iter().map(|part| part.size).sum::<u64>() + off_heap.unattributed);
    let all = heap.query(&Query::default(), &none).unwrap();
    assert!(all.is_sorted_by_key(|row| std::cmp::Reverse(row.retained_size)));
    assert_eq!(all.len(), model.nodes.len());
    let duplicates = heap.duplicate_strings(Page::default(), &none).unwrap();
    assert!(duplicates.iter().all(|row| row.count > 1));
}
