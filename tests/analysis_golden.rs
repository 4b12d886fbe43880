//! Every number against what Chrome DevTools computed of the same files: `tests/golden/README.md` says how they were made.

#[path = "support/golden.rs"]
mod golden;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use golden::{ClassTuple, Text, class_tuple, golden, open, snapshots, text};
use heaprs::{
    analysis::{EdgeRow, Heap, Page, SummaryFilter, SummaryQuery, compare},
    progress::Progress,
    snapshot::JsStr,
};
use serde::Deserialize;

/// Key, name, added, removed, their bytes.
type DiffTuple = (Text, Text, u64, u64, u64, u64);
/// Id, dominator, distance, self size, retained size, state, class, name.
type NodeTuple = (u32, u32, i32, u32, u64, u8, Text, Text);
/// Type, name, id of the other end.
type EdgeTuple = (String, Text, u32);

#[derive(Deserialize)]
struct Expected {
    nodes: u64,
    statistics: serde_json::Value,
    digests: BTreeMap<String, String>,
    every: usize,
    sample: Vec<NodeTuple>,
    classes: Vec<ClassTuple>,
    interfaces: Vec<Text>,
    lists: Vec<Lists>,
    duplicates: Vec<(Text, u64, u64)>,
    filters: BTreeMap<String, Vec<ClassTuple>>,
    comparison: Option<Vec<DiffTuple>>,
    between: Option<Between>,
}

#[derive(Deserialize)]
struct Lists {
    id: u32,
    references: Vec<EdgeTuple>,
    retainers: Vec<EdgeTuple>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Between {
    min_node_id: u32,
    max_node_id: u32,
    classes: Vec<ClassTuple>,
}

fn expected(file: &Path) -> Expected {
    golden::expected(file, "expected").unwrap()
}

/// FNV-1a, 64 bits.
struct Digest(u64);

impl Digest {
    fn of<const N: usize>(values: impl Iterator<Item = [u8; N]>) -> String {
        let mut digest = Digest(0xcbf2_9ce4_8422_2325);
        values.for_each(|value| digest.add(&value));
        digest.text()
    }

    fn of_texts<'a>(texts: impl Iterator<Item = JsStr<'a>>) -> String {
        let mut digest = Digest(0xcbf2_9ce4_8422_2325);
        for text in texts {
            text.code_units().for_each(|unit| digest.add(&unit.to_le_bytes()));
            digest.add(&[0, 0]);
        }
        digest.text()
    }

    fn add(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    }

    fn text(&self) -> String {
        format!("{:016x}", self.0)
    }
}

fn check(file: &Path) -> usize {
    let (heap, expected) = (open(file), expected(file));
    let name = file.file_name().unwrap().to_str().unwrap();
    assert_eq!(heap.info().nodes, expected.nodes, "{name}");
    let c = heap.columns(&Progress::default()).unwrap();
    let count = c.id.len();
    let state = |n: usize| heap.graph().states().get(n as u32);
    let rows: Vec<_> = c.id.iter().map(|&id| heap.node(id as u32).unwrap()).collect();

    // Whole rows first: they say where.
    for (i, sample) in expected.sample.iter().enumerate() {
        let n = i * expected.every;
        let row = &rows[n];
        let got = (
            row.id,
            row.dominator,
            row.distance,
            row.self_size,
            row.retained_size,
            state(n),
            text(&row.class_name),
            text(&row.name),
        );
        assert_eq!(&got, sample, "{name}, node {n}");
        assert_eq!(row.detached, sample.5 == 2, "{name}, node {n}");
    }
    let mut digests = BTreeMap::new();
    digests.insert("id", Digest::of(c.id.iter().map(|&id| (id as u32).to_le_bytes())));
    digests.insert("dominator", Digest::of(c.dominator.iter().map(|&n| (c.id[n as usize] as u32).to_le_bytes())));
    digests.insert("distance", Digest::of(c.distance.iter().map(|d| d.to_le_bytes())));
    digests.insert("self", Digest::of(c.self_size.iter().map(|&s| (s as u32).to_le_bytes())));
    digests.insert("retained", Digest::of(c.retained_size.iter().map(|s| s.to_le_bytes())));
    digests.insert("detachedness", Digest::of((0..count).map(|n| [state(n)])));
    let class = |n: usize| c.class_names[c.class_index[n] as usize].as_js_str();
    digests.insert("class", Digest::of_texts((0..count).map(class)));
    digests.insert("name", Digest::of_texts(rows.iter().map(|row| row.name.as_js_str())));
    for (column, digest) in &expected.digests {
        assert_eq!(digests.get(&**column), Some(digest), "{name}, column {column}");
    }

    assert_eq!(serde_json::to_value(heap.statistics()).unwrap(), expected.statistics, "{name}");
    assert_eq!(heap.interface_names().map(text).collect::<Vec<_>>(), expected.interfaces, "{name}");
    check_classes(name, &heap, None, &expected.classes);
    for (filter, devtools) in [
        (SummaryFilter::DuplicatedStrings, "duplicatedStrings"),
        (SummaryFilter::RetainedByDetachedDomNodes, "objectsRetainedByDetachedDomNodes"),
        (SummaryFilter::RetainedByContexts, "objectsRetainedByContexts"),
        (SummaryFilter::RetainedByConsole, "objectsRetainedByConsole"),
        (SummaryFilter::RetainedByEventHandlers, "objectsRetainedByEventHandlers"),
    ] {
        check_classes(&format!("{name}, {devtools}"), &heap, Some(filter), &expected.filters[devtools]);
    }
    check_lists(name, &heap, &expected.lists);
    let duplicates = heap.duplicate_strings(Page::default(), &Progress::default()).unwrap();
    assert!(duplicates.is_sorted_by_key(|row| std::cmp::Reverse(row.self_size)));
    let duplicates: BTreeSet<_> = duplicates.iter().map(|row| (text(&row.value), row.count, row.self_size)).collect();
    assert_eq!(duplicates, expected.duplicates.into_iter().collect(), "{name}");

    if let (Some(rows), Some(between)) = (expected.comparison, expected.between) {
        let later = open(Path::new(&file.to_str().unwrap().replace("-before", "-after")));
        let got = compare(&heap, &later, &Progress::default()).unwrap();
        let row = |r: &heaprs::analysis::DiffRow| {
            (text(&r.key), text(&r.name), r.added_count, r.removed_count, r.added_size, r.removed_size)
        };
        let got: BTreeSet<DiffTuple> = got.iter().map(row).collect();
        assert_eq!(got, rows.into_iter().collect(), "{name}");
        assert_eq!((heap.max_js_object_id(), later.max_js_object_id()), (between.min_node_id, between.max_node_id));
        let filter = SummaryFilter::Ids(Some(between.min_node_id), between.max_node_id);
        check_classes(name, &later, Some(filter), &between.classes);
    }
    count
}

fn check_classes(name: &str, heap: &Heap, filter: Option<SummaryFilter>, expected: &[ClassTuple]) {
    let rows = heap.summary(&SummaryQuery { filter, ..Default::default() }, &Progress::default()).unwrap();
    assert!(rows.is_sorted_by_key(|row| std::cmp::Reverse(row.retained_size)));
    let got: BTreeSet<ClassTuple> = rows.iter().map(class_tuple).collect();
    assert_eq!(got, expected.iter().cloned().collect(), "{name}");
    let page = Page { offset: 2, limit: Some(3) };
    let part = heap.summary(&SummaryQuery { filter, page, search: None }, &Progress::default()).unwrap();
    assert_eq!(part[..], rows[rows.len().min(2)..rows.len().min(5)]);
}

fn check_lists(name: &str, heap: &Heap, lists: &[Lists]) {
    let page = Page { offset: 0, limit: Some(20) };
    let row = |r: &EdgeRow| (r.edge_type.to_owned(), text(&r.name), r.node.id);
    // DevTools says of any two edges called "__proto__" that the first comes last: their order is that of its sorting.
    let proto = text(&"__proto__".into());
    let ordered = |mut rows: Vec<(String, Text, u32)>| {
        rows.chunk_by_mut(|a, b| a.1 == proto && b.1 == proto).for_each(|run| run.sort_by_key(|row| row.2));
        rows
    };
    for list in lists {
        let references = heap.references(list.id, page, &Progress::default()).unwrap();
        let references: Vec<_> = references.iter().map(row).collect();
        assert_eq!(ordered(references), ordered(list.references.clone()), "{name}, references of @{}", list.id);
        let retainers = heap.retainers(list.id, page, &Progress::default()).unwrap();
        assert_eq!(retainers.iter().map(row).collect::<Vec<_>>(), list.retainers, "{name}, retainers of @{}", list.id);
    }
}

#[test]
fn whole_heaps_of_node_20_to_26() {
    let files = golden("node");
    assert_eq!(files.len(), 4);
    let nodes: usize = files.iter().map(|file| check(file)).sum();
    assert!(nodes > 200_000, "{nodes} nodes");
}

#[test]
fn pairs_of_node_12_to_26_and_of_chrome() {
    let files = golden("cut");
    assert_eq!(files.len(), 18);
    assert_eq!(files.iter().filter(|file| expected(file).comparison.is_some()).count(), 9);
    files.iter().for_each(|file| assert!(check(file) > 2000));
}

#[test]
fn random_heaps() {
    let files = golden("fuzz-");
    assert!(files.len() >= 30, "{} files", files.len());
    files.iter().for_each(|file| assert!(check(file) > 10));
}

/// Any other files: `HEAPRS_GOLDEN_DIR=folder cargo test --test analysis_golden -- --ignored`.
#[test]
#[ignore = "needs a folder of snapshots and what tests/golden/expected.mjs says of them"]
fn files_of_a_folder() {
    let folder = std::env::var_os("HEAPRS_GOLDEN_DIR").expect("HEAPRS_GOLDEN_DIR names the folder");
    let files = snapshots(Path::new(&folder), "");
    let nodes: usize = files.iter().map(|file| check(file)).sum();
    assert!(nodes > 0);
    println!("{} files with {nodes} nodes agree", files.len());
}
