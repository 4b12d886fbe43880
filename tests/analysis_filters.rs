//! The Summary's filters, realms and allocation recordings against what Chrome DevTools computed of the same files:
//! `tests/golden/README.md` says how they were made.

#[path = "support/golden.rs"]
mod golden;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use golden::{ClassTuple, Text, class_tuple, expected, open, snapshots, text};
use heaprs::{
    analysis::{AllocationFrame, Heap, SummaryFilter, SummaryQuery},
    error::Code,
    progress::Progress,
};
use serde::Deserialize;

/// Function, script, its id, line, column.
type FrameTuple = (Text, Text, u32, u32, u32);
/// Allocated, their bytes, alive of these, their bytes.
type Numbers = (u64, u64, u64, u64);

#[derive(Deserialize)]
struct Expected {
    filters: Vec<(String, Vec<ClassTuple>)>,
    realms: Realms,
    ids: Ids,
    timeline: Vec<(f64, u64, u64)>,
    allocations: Option<Allocations>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Realms {
    shared_size: u64,
    no_attribution_size: u64,
    /// Id, name, attributed, self, retained size, class table.
    contexts: Vec<(u32, Text, u64, u32, u64, Vec<ClassTuple>)>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ids {
    min_node_id: u32,
    max_node_id: u32,
    after: Vec<ClassTuple>,
    before: Vec<ClassTuple>,
}

#[derive(Deserialize)]
struct Allocations {
    functions: Vec<(FrameTuple, u64, u64, u64, u64)>,
    /// The calls from the innermost to the root, which is none.
    sites: Vec<(Vec<FrameTuple>, u64, u64, u64, u64)>,
    stacks: Vec<(u32, Option<Vec<FrameTuple>>)>,
}

/// How much of each kind a file has had, so that a test can say that it looked at something.
#[derive(Default)]
struct Seen(BTreeMap<String, usize>);

impl Seen {
    fn add(&mut self, what: &str, count: usize) {
        *self.0.entry(what.to_owned()).or_default() += count;
    }
}

fn frame(f: &AllocationFrame) -> FrameTuple {
    (text(&f.function), text(&f.url), f.script_id, f.line, f.column)
}

fn check_classes(name: &str, heap: &Heap, filter: SummaryFilter, expected: Vec<ClassTuple>, seen: &mut Seen) {
    seen.add(&format!("{filter:?}").replace(|c: char| !c.is_alphabetic(), ""), expected.len());
    let query = SummaryQuery { filter: Some(filter), ..Default::default() };
    let rows = heap.summary(&query, &Progress::default()).unwrap();
    let got: BTreeSet<ClassTuple> = rows.iter().map(class_tuple).collect();
    assert_eq!(got, expected.into_iter().collect(), "{name}, {filter:?}");
}

/// Whether there was something to compare with: some files are too much for DevTools.
fn check(file: &Path, seen: &mut Seen) -> bool {
    let Some(expected) = expected::<Expected>(file, "filters") else { return false };
    let (heap, progress) = (open(file), Progress::default());
    let name = file.file_name().unwrap().to_str().unwrap();
    for (filter, classes) in expected.filters {
        let filter = match &*filter {
            "duplicatedStrings" => SummaryFilter::DuplicatedStrings,
            "objectsRetainedByDetachedDomNodes" => SummaryFilter::RetainedByDetachedDomNodes,
            "objectsRetainedByContexts" => SummaryFilter::RetainedByContexts,
            "objectsRetainedByConsole" => SummaryFilter::RetainedByConsole,
            "objectsRetainedByEventHandlers" => SummaryFilter::RetainedByEventHandlers,
            "sharedNativeContext" => SummaryFilter::SharedNativeContext,
            "noNativeContext" => SummaryFilter::NoNativeContext,
            other => panic!("unknown filter {other}"),
        };
        check_classes(name, &heap, filter, classes, seen);
    }
    let Ids { min_node_id: min, max_node_id: max, after, before } = expected.ids;
    assert_eq!(heap.max_js_object_id(), max, "{name}");
    check_classes(name, &heap, SummaryFilter::Ids(Some(min), max), after, seen);
    check_classes(name, &heap, SummaryFilter::Ids(None, min), before, seen);

    let realms = heap.native_contexts(&progress).unwrap();
    let sizes = (realms.shared_size, realms.no_attribution_size);
    assert_eq!(sizes, (expected.realms.shared_size, expected.realms.no_attribution_size), "{name}");
    assert_eq!(realms.native_contexts.len(), expected.realms.contexts.len(), "{name}");
    for (row, (id, row_name, attributed, own, retained, classes)) in
        realms.native_contexts.iter().zip(expected.realms.contexts)
    {
        let got = (row.id, text(&row.name), row.attributed_size, row.self_size, row.retained_size);
        assert_eq!(got, (id, row_name, attributed, own, retained), "{name}");
        check_classes(name, &heap, SummaryFilter::NativeContext(id), classes, seen);
    }

    let timeline = heap.timeline(&progress).unwrap();
    let got: Vec<_> = timeline.iter().map(|b| (b.timestamp, b.last_assigned_id, b.size)).collect();
    assert_eq!(got, expected.timeline, "{name}");
    seen.add("buckets", got.len());
    check_allocations(name, &heap, expected.allocations, seen);
    true
}

fn check_allocations(name: &str, heap: &Heap, expected: Option<Allocations>, seen: &mut Seen) {
    let progress = Progress::default();
    let got = heap.allocation_sites(None, &progress).unwrap();
    let Some(expected) = expected else {
        assert!(got.functions.is_empty() && got.sites.is_empty(), "{name}");
        return;
    };
    seen.add("functions", expected.functions.len());
    seen.add("stacks", expected.stacks.iter().filter(|(_, stack)| stack.is_some()).count());
    assert!(got.functions.is_sorted_by_key(|f| std::cmp::Reverse(f.size)), "{name}");
    let functions = got.functions.iter().map(|f| (frame(&f.frame), f.count, f.size, f.live_count, f.live_size));
    assert_eq!(sorted(functions), sorted(expected.functions.into_iter()), "{name}, functions");

    // The tree: own numbers of every stack, as DevTools has them by way of its callers; sums over what is below.
    let mut own: BTreeMap<Vec<FrameTuple>, Numbers> = BTreeMap::new();
    let mut add = |stack: Vec<FrameTuple>, n: Numbers| {
        let sum = own.entry(stack).or_default();
        *sum = (sum.0 + n.0, sum.1 + n.1, sum.2 + n.2, sum.3 + n.3);
    };
    let mut below = vec![(0, 0, 0); got.sites.len()];
    for (place, site) in got.sites.iter().enumerate().rev() {
        let mut stack = vec![frame(&site.frame)];
        let mut at = site;
        while let Some(parent) = at.parent {
            at = &got.sites[parent as usize];
            stack.push(frame(&at.frame));
        }
        if site.count > 0 {
            add(stack, (site.count, site.size, site.live_count, site.live_size));
        }
        let (size, count, live) = below[place];
        let total = (size + site.size, count + site.live_count, live + site.live_size);
        assert_eq!((site.total_size, site.total_live_count, site.total_live_size), total, "{name}");
        if let Some(parent) = site.parent {
            assert!((parent as usize) < place, "{name}");
            assert!(got.sites[parent as usize].total_live_size >= site.total_live_size, "{name}");
            let sum = &mut below[parent as usize];
            *sum = (sum.0 + total.0, sum.1 + total.1, sum.2 + total.2);
        }
    }
    let mut wanted: BTreeMap<Vec<FrameTuple>, Numbers> = BTreeMap::new();
    for (stack, count, size, live_count, live_size) in expected.sites {
        let sum = wanted.entry(stack).or_default();
        *sum = (sum.0 + count, sum.1 + size, sum.2 + live_count, sum.3 + live_size);
    }
    assert_eq!(own, wanted, "{name}, call stacks");

    for limit in [0, 1, 3] {
        let some = heap.allocation_sites(Some(limit), &progress).unwrap();
        assert_eq!(some.functions[..], got.functions[..limit.min(got.functions.len())], "{name}");
        assert_eq!(some.sites[..], got.sites[..limit.min(got.sites.len())], "{name}");
    }

    for (id, stack) in expected.stacks {
        let got = heap.allocation_stack(id, &progress).unwrap();
        let got: Option<Vec<_>> = got.map(|frames| frames.iter().map(frame).collect());
        // DevTools' last frame is the root, and of a stack that the file does not have it shows nothing.
        let stack = stack.filter(|frames| !frames.is_empty()).map(|mut frames| {
            frames.pop();
            frames
        });
        assert_eq!(got, stack, "{name}, @{id}");
    }
}

fn sorted<T: Ord>(rows: impl Iterator<Item = T>) -> Vec<T> {
    let mut rows: Vec<T> = rows.collect();
    rows.sort();
    rows
}

/// How many files agree, and what was compared.
fn check_all(files: &[PathBuf]) -> (usize, BTreeMap<String, usize>) {
    let mut seen = Seen::default();
    let agree = files.iter().filter(|file| check(file, &mut seen)).count();
    (agree, seen.0)
}

#[test]
fn random_heaps_with_all_that_filters_look_at() {
    let files = golden::golden("filters-");
    let (agree, seen) = check_all(&files);
    assert_eq!(agree, files.len());
    assert!(agree >= 6, "{agree} files");
    let kinds = [
        "DuplicatedStrings",
        "RetainedByDetachedDomNodes",
        "RetainedByContexts",
        "RetainedByConsole",
        "RetainedByEventHandlers",
        "SharedNativeContext",
        "NoNativeContext",
        "NativeContext",
        "IdsSome",
        "IdsNone",
        "buckets",
        "functions",
        "stacks",
    ];
    for kind in kinds {
        assert!(seen.get(kind).is_some_and(|&count| count > 0), "nothing was there to be compared of {kind}: {seen:?}");
    }
}

#[test]
fn whole_heaps_of_node() {
    let files: Vec<_> = ["node20.", "node26."].into_iter().flat_map(golden::golden).collect();
    let (agree, seen) = check_all(&files);
    assert_eq!(agree, 2);
    assert!(seen["RetainedByContexts"] > 0 && seen["NativeContext"] > 0, "{seen:?}");
}

/// Any other files: `HEAPRS_GOLDEN_DIR=folder cargo test --test analysis_filters -- --ignored`.
#[test]
#[ignore = "needs a folder of snapshots and what tests/golden/filters.mjs says of them"]
fn files_of_a_folder() {
    let folder = std::env::var_os("HEAPRS_GOLDEN_DIR").expect("HEAPRS_GOLDEN_DIR names the folder");
    let files = snapshots(Path::new(&folder), "");
    let (agree, seen) = check_all(&files);
    assert!(agree > 0);
    println!("{agree} of {} files agree; rows compared: {seen:?}", files.len());
}

#[test]
fn a_realm_that_is_none_is_an_error_that_names_the_option() {
    let heap = open(&golden::golden("node26.")[0]);
    for id in [heap.root(), 4_294_967_295] {
        let query = SummaryQuery { filter: Some(SummaryFilter::NativeContext(id)), ..Default::default() };
        let error = heap.summary(&query, &Progress::default()).unwrap_err();
        assert_eq!(error.code, Code::InvalidArgument);
        assert!(error.message.contains("options.filter.nativeContext") && error.message.contains(&id.to_string()));
    }
    let error = heap.allocation_stack(4_294_967_295, &Progress::default()).unwrap_err();
    assert_eq!(error.code, Code::NoSuchNode);
}
