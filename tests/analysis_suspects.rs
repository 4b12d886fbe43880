//! Suspects on heaps made by hand: where memory accumulates, who is named for it, what is left alone.

use std::fmt::Write;

use heaprs::{
    analysis::{Heap, NamePattern, Query, Suspect, SuspectKind, SuspectsQuery},
    error::Code,
    progress::Progress,
    snapshot::{ReadOptions, Snapshot},
};

const NODE_TYPES: [&str; 8] = ["hidden", "array", "string", "object", "code", "closure", "native", "synthetic"];
const EDGE_TYPES: [&str; 7] = ["context", "element", "property", "internal", "hidden", "shortcut", "weak"];

/// Type, name, target.
type Edge = (usize, usize, usize);

/// A heap that grows by hand. Node 0 is the root, 1 the global object.
struct Built {
    strings: Vec<String>,
    /// Type, name, size, edges as type, name, target.
    nodes: Vec<(usize, usize, u64, Vec<Edge>)>,
}

impl Built {
    fn new() -> Self {
        let mut built = Built { strings: vec![], nodes: vec![] };
        built.node("synthetic", "", 0);
        let global = built.node("object", "global", 100);
        built.edge(0, "shortcut", "1", global);
        built
    }

    fn string(&mut self, text: &str) -> usize {
        self.strings.iter().position(|s| s == text).unwrap_or_else(|| {
            self.strings.push(text.to_owned());
            self.strings.len() - 1
        })
    }

    fn node(&mut self, kind: &str, name: &str, size: u64) -> usize {
        let kind = NODE_TYPES.iter().position(|&k| k == kind).unwrap();
        let name = self.string(name);
        self.nodes.push((kind, name, size, vec![]));
        self.nodes.len() - 1
    }

    fn edge(&mut self, from: usize, kind: &str, name: &str, to: usize) {
        let name = if matches!(kind, "element" | "hidden") { name.parse().unwrap() } else { self.string(name) };
        let kind = EDGE_TYPES.iter().position(|&k| k == kind).unwrap();
        self.nodes[from].3.push((kind, name, to));
    }

    /// A module with a context in which a closure sees variables.
    fn module(&mut self, script: &str, function: &str) -> usize {
        let native = self.node("hidden", "system / NativeContext", 100);
        let context = self.node("object", "system / Context", 40);
        self.edge(context, "internal", "previous", native);
        self.closure(1, script, function, context);
        context
    }

    fn closure(&mut self, from: usize, script: &str, function: &str, context: usize) -> usize {
        let closure = self.node("closure", function, 64);
        let shared = self.node("code", function, 50);
        let script = self.node("code", script, 50);
        self.edge(from, "property", function, closure);
        self.edge(closure, "internal", "shared", shared);
        self.edge(closure, "internal", "context", context);
        self.edge(shared, "internal", "script", script);
        closure
    }

    /// An Array of objects.
    fn array(&mut self, count: usize, class: &str, size: u64) -> usize {
        let array = self.node("object", "Array", 32);
        for i in 0..count {
            let element = self.node("object", class, size);
            self.edge(array, "element", &i.to_string(), element);
        }
        array
    }

    fn heap(&self) -> Heap {
        let (mut nodes, mut edges, mut count) = (String::new(), String::new(), 0);
        for (i, (kind, name, size, own)) in self.nodes.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            writeln!(nodes, "{comma}{kind},{name},{},{size},{}", i * 2 + 1, own.len()).unwrap();
            for (kind, name, to) in own {
                let comma = if count == 0 { "" } else { "," };
                writeln!(edges, "{comma}{kind},{name},{}", to * 5).unwrap();
                count += 1;
            }
        }
        let (node_types, edge_types) = (format!("{NODE_TYPES:?}"), format!("{EDGE_TYPES:?}"));
        let text = format!(
            r#"{{"snapshot":{{"meta":{{"node_fields":["type","name","id","self_size","edge_count"],
            "node_types":[{node_types},"string","number","number","number"],
            "edge_fields":["type","name_or_index","to_node"],"edge_types":[{edge_types},"string_or_number","node"]}},
            "node_count":{},"edge_count":{count}}},"nodes":[{nodes}],"edges":[{edges}],"strings":{:?}}}"#,
            self.nodes.len(),
            self.strings
        );
        let snapshot = Snapshot::from_bytes(text.as_bytes(), &ReadOptions::default(), &Progress::default()).unwrap();
        Heap::from_snapshot(snapshot, &Progress::default()).unwrap()
    }
}

fn suspects(heap: &Heap) -> Vec<Suspect> {
    heap.suspects(&SuspectsQuery::default(), &Progress::default()).unwrap()
}

#[test]
fn the_variable_and_the_script_are_named() {
    let mut built = Built::new();
    let context = built.module("file:///srv/app/server.mjs", "handle");
    let array = built.array(5000, "Session", 200);
    built.edge(context, "context", "sessions", array);
    let found = suspects(&built.heap());
    assert_eq!(found.len(), 1);
    let s = &found[0];
    assert_eq!((s.kind, s.count, s.holder_id), (SuspectKind::Collection, 5000, array as u32 * 2 + 1));
    assert_eq!(s.class_name.to_string_lossy(), "Session");
    assert_eq!(s.retained_size, 5000 * 200 + 32);
    assert_eq!(s.holder, "Array `sessions` of module scope in server.mjs");
    assert_eq!(s.script.as_deref(), Some("file:///srv/app/server.mjs"));
    let path: Vec<_> = s.path.iter().map(|step| step.edge.to_string_lossy().into_owned()).collect();
    assert_eq!(path, ["1", "handle", "context", "sessions"]);
    assert!(s.explanation.contains("holds 5,000 Session, 1.0 MB (100 % of the heap)"), "{}", s.explanation);
}

#[test]
fn what_node_holds_for_itself_is_no_suspect() {
    let mut built = Built::new();
    let context = built.module("node:internal/modules/cjs/loader", "load");
    let array = built.array(5000, "BuiltinModule", 200);
    built.edge(context, "context", "modules", array);
    assert!(suspects(&built.heap()).is_empty());
    // Nor is what is small.
    let mut built = Built::new();
    let array = built.array(500, "Session", 200);
    built.edge(1, "property", "sessions", array);
    assert!(suspects(&built.heap()).is_empty());
}

/// The chain that a context makes when one closure keeps it for another one's variable, deeper than any stack.
#[test]
fn closures_that_keep_each_others_variables() {
    let mut built = Built::new();
    let module = built.module("/srv/app/chain.js", "replace");
    let (mut from, mut kind, mut name) = (module, "context", "current");
    for _ in 0..20_000 {
        let thing = built.node("object", "Thing", 100);
        built.edge(from, kind, name, thing);
        let context = built.node("object", "system / Context", 32);
        built.edge(context, "internal", "previous", module);
        built.closure(thing, "/srv/app/chain.js", "method", context);
        (from, kind, name) = (context, "context", "original");
    }
    let found = suspects(&built.heap());
    assert_eq!(found.len(), 1, "{found:?}");
    let s = &found[0];
    assert_eq!((s.kind, s.count), (SuspectKind::ClosureChain, 20_000));
    assert_eq!(s.holder, "Thing `current` of module scope in chain.js");
    assert!(s.explanation.contains("`method` keeps the context it was made in, and with it variable `original`"));
}

#[test]
fn a_list_is_one_suspect_and_its_head_the_holder() {
    let mut built = Built::new();
    let (mut from, mut name) = (1, "queue");
    for _ in 0..50_000 {
        let link = built.node("object", "Link", 40);
        built.edge(from, "property", name, link);
        (from, name) = (link, "next");
    }
    let found = suspects(&built.heap());
    assert_eq!(found.len(), 1, "{found:?}");
    let s = &found[0];
    assert_eq!((s.kind, s.count, s.holder.as_str()), (SuspectKind::Chain, 50_000, "Link `global.queue`"));
    assert_eq!(s.retained_size, 50_000 * 40);
}

#[test]
fn objects_that_two_hold_are_found_below_what_dominates_both() {
    let mut built = Built::new();
    let context = built.module("/srv/app/accounts.js", "open");
    let by_id = built.array(0, "", 0);
    let by_name = built.array(0, "", 0);
    built.edge(context, "context", "byId", by_id);
    built.edge(context, "context", "byName", by_name);
    for i in 0..5000 {
        let account = built.node("object", "Account", 200);
        built.edge(by_id, "element", &i.to_string(), account);
        built.edge(by_name, "element", &i.to_string(), account);
    }
    let found = suspects(&built.heap());
    assert_eq!(found.len(), 1, "{found:?}");
    let s = &found[0];
    assert_eq!((s.count, s.retained_size), (5000, 5000 * 200));
    assert!(
        s.holder.starts_with("Array `by") && s.holder.ends_with("` of module scope in accounts.js"),
        "{}",
        s.holder
    );
}

#[test]
fn bytes_outside_of_the_heap_are_told_apart() {
    let mut built = Built::new();
    let set = built.array(0, "", 0);
    built.edge(1, "property", "uploads", set);
    for i in 0..100 {
        let buffer = built.node("object", "Buffer", 100);
        let store = built.node("object", "ArrayBuffer", 90);
        let data = built.node("native", "system / JSArrayBufferData", 60_000);
        built.edge(set, "element", &i.to_string(), buffer);
        built.edge(buffer, "internal", "buffer", store);
        built.edge(store, "internal", "backing_store", data);
    }
    let heap = built.heap();
    let found = suspects(&heap);
    assert_eq!((found[0].holder.as_str(), found[0].count), ("Array `global.uploads`", 100));
    assert_eq!(found[0].off_heap_size, 100 * 60_000);
    let sums = heap.off_heap(&Progress::default()).unwrap();
    assert_eq!((sums.array_buffers.count, sums.array_buffers.size, sums.off_heap), (100, 6_000_000, 6_000_000));
    assert_eq!(sums.on_heap, 100 + 32 + 100 * 190);
}

#[test]
fn few_big_elements_are_their_collections() {
    let mut built = Built::new();
    let list = built.node("object", "Array", 32);
    built.edge(1, "property", "reports", list);
    for i in 0..6 {
        let rows = built.array(3000, "Row", 64);
        built.edge(list, "element", &i.to_string(), rows);
    }
    let found = suspects(&built.heap());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].holder, "Array `global.reports`");
}

#[test]
fn a_base_tells_what_grew() {
    let build = |leaked: usize| {
        let mut built = Built::new();
        let big = built.array(5000, "Big", 200);
        built.edge(1, "property", "big", big);
        let leak = built.array(leaked, "Leak", 200);
        built.edge(1, "property", "leaks", leak);
        built.heap()
    };
    // Ids follow the order of nodes: what comes after the first 5,000 and more is new.
    let (before, after) = (build(100), build(1100));
    let query = SuspectsQuery { base: Some(&before), ..Default::default() };
    let found = after.suspects(&query, &Progress::default()).unwrap();
    assert_eq!(found.len(), 1, "{found:?}");
    let growth = found[0].growth.unwrap();
    assert_eq!((found[0].holder.as_str(), found[0].count), ("Array `global.leaks`", 1100));
    assert_eq!((growth.new_size, growth.retained_delta, growth.count_delta), (200_000, 200_000, 1000));
    assert!(before.suspects(&query, &Progress::default()).unwrap().is_empty());

    let (before, after) = (build(100), build(110));
    let small = SuspectsQuery { base: Some(&before), min_size: Some(1000), ..Default::default() };
    assert!(after.suspects(&SuspectsQuery { min_size: None, ..small }, &Progress::default()).unwrap().is_empty());
    assert_eq!(after.suspects(&small, &Progress::default()).unwrap()[0].growth.unwrap().count_delta, 10);
}

#[test]
fn all_of_it_can_be_cancelled() {
    let mut built = Built::new();
    let array = built.array(5000, "Session", 200);
    built.edge(1, "property", "sessions", array);
    let heap = built.heap();
    let progress = Progress::default();
    progress.cancel();
    assert_eq!(heap.suspects(&SuspectsQuery::default(), &progress).unwrap_err().code, Code::Aborted);
    assert_eq!(heap.query(&Query::default(), &progress).unwrap_err().code, Code::Aborted);
    assert_eq!(heap.off_heap(&progress).unwrap_err().code, Code::Aborted);
}

#[test]
fn names_are_matched_as_text_or_as_patterns() {
    let mut built = Built::new();
    for name in ["alpha", "Alphabet", "beta", "a.c"] {
        let node = built.node("object", name, 16);
        built.edge(1, "property", name, node);
    }
    let heap = built.heap();
    let names = |name: NamePattern| {
        let query = Query { name: Some(name), ..Query::default() };
        let rows = heap.query(&query, &Progress::default()).unwrap();
        rows.into_iter().map(|row| row.name.to_string_lossy().into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(NamePattern::Contains("alpha".into())), ["alpha"]);
    assert_eq!(names(NamePattern::Contains(".".into())), ["a.c"]);
    assert_eq!(names(NamePattern::regexp("^alpha", "i").unwrap()), ["alpha", "Alphabet"]);
    assert_eq!(names(NamePattern::regexp("^.eta$", "").unwrap()), ["beta"]);
    assert_eq!(NamePattern::regexp("(?<=a)b", "").unwrap_err().code, Code::InvalidArgument);
}

/// Heaps of real programs on Node.js 20 to 26, read as they are.
#[test]
fn golden_heaps() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    for version in [20, 22, 24, 26] {
        let file = format!("{folder}/node{version}.heapsnapshot.gz");
        let heap = Heap::open(file.as_ref(), &ReadOptions::default(), &Progress::default()).unwrap();
        for suspect in suspects(&heap) {
            let holder = heap.node(suspect.holder_id).unwrap();
            assert!(suspect.retained_size >= 512 << 10 && suspect.retained_size <= heap.info().total_size);
            assert!(suspect.off_heap_size <= suspect.retained_size);
            assert_eq!(suspect.path.last().map(|step| step.id), Some(holder.id), "{}", suspect.holder);
            let script = suspect.script.unwrap_or_default();
            assert!(!script.starts_with("node:") || suspect.kind == SuspectKind::Timers, "{}", suspect.explanation);
        }
        let sums = heap.off_heap(&Progress::default()).unwrap();
        assert_eq!(sums.on_heap + sums.off_heap, heap.statistics().total, "all bytes are on one side");
        assert!(sums.array_buffers.size > 0 && sums.off_heap > 0);
        // Of the root's own, everything that hangs on it.
        let query = Query { retained_by: Some(heap.root()), ..Query::default() };
        let below = heap.query(&query, &Progress::default()).unwrap();
        assert_eq!(below.len() as u64, heap.info().nodes - 1);
    }
}
