//! Heaps of extreme shape: the time for an edge stays what it is in an ordinary one, and nothing recurses.
//!
//! `SHAPE_NODES=5000000 cargo test --release --test analysis_shapes -- --nocapture --test-threads 1` prints times at full size.

use std::{
    fmt::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use heaprs::{
    analysis::{Heap, Page},
    error::Code,
    graph::BYTES_PER_NODE,
    progress::Progress,
    snapshot::{ReadOptions, Snapshot},
};

/// Enough for a quadratic algorithm to take minutes.
fn size() -> usize {
    std::env::var("SHAPE_NODES").map_or(200_000, |n| n.parse().unwrap())
}

/// The text of a snapshot whose node 0 is the root and whose other nodes are objects of 16 bytes.
fn text(nodes: usize, edges_of: impl Fn(usize) -> Vec<usize>) -> (String, usize) {
    let (mut node_text, mut edge_text, mut count) = (String::new(), String::new(), 0);
    for node in 0..nodes {
        let to = edges_of(node);
        let comma = if node == 0 { "" } else { "," };
        let kind = usize::from(node > 0);
        writeln!(node_text, "{comma}{kind},{kind},{},{},{}", node * 2 + 1, kind * 16, to.len()).unwrap();
        for target in to {
            let comma = if count == 0 { "" } else { "," };
            writeln!(edge_text, "{comma}0,2,{}", target * 5).unwrap();
            count += 1;
        }
    }
    let meta = r#"{"node_fields":["type","name","id","self_size","edge_count"],
        "node_types":[["synthetic","object"],"string","number","number","number"],
        "edge_fields":["type","name_or_index","to_node"],"edge_types":[["property"],"string_or_number","node"],
        "location_fields":["object_index","script_id","line","column"]}"#;
    let text = format!(
        "{{\"snapshot\":{{\"meta\":{meta},\"node_count\":{nodes},\"edge_count\":{count}}},\n\"nodes\":[{node_text}],\n\
         \"edges\":[{edge_text}],\n\"locations\":[],\n\"strings\":[\"\",\"Thing\",\"next\"]}}"
    );
    (text, count)
}

fn read(text: &str) -> Snapshot {
    Snapshot::from_bytes(text.as_bytes(), &ReadOptions::default(), &Progress::default()).unwrap()
}

/// The heap, and the nanoseconds that an edge took.
fn analyse(name: &str, nodes: usize, edges_of: impl Fn(usize) -> Vec<usize>) -> (Heap, f64) {
    let (text, edges) = text(nodes, edges_of);
    let snapshot = read(&text);
    drop(text);
    let started = Instant::now();
    let heap = Heap::from_snapshot(snapshot, &Progress::default()).unwrap();
    let per_edge = started.elapsed().as_nanos() as f64 / edges as f64;
    println!("{name}: {nodes} nodes, {edges} edges, {per_edge:.0} ns an edge");
    (heap, per_edge)
}

/// An ordinary graph: everyone is referred to by an earlier one and refers to two others.
fn ordinary() -> f64 {
    let n = size();
    let any = move |seed: usize| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) % n;
    analyse("ordinary", n, |node| {
        [node + 1, any(node), any(node + n)].into_iter().filter(|&to| to < n && to > 0).collect()
    })
    .1
}

fn assert_like_ordinary(name: &str, per_edge: f64) {
    let ordinary = ordinary();
    // Generous, as machines are busy: what this is about is a factor of thousands.
    assert!(per_edge < 20.0 * ordinary + 200.0, "{name}: {per_edge} ns an edge, an ordinary heap {ordinary}");
}

#[test]
fn a_long_list() {
    let n = size();
    let (heap, time) = analyse("list", n, |node| if node + 1 < n { vec![node + 1] } else { vec![] });
    let last = heap.node(2 * (n - 1) as u32 + 1).unwrap();
    assert_eq!((last.distance, last.dominator), (n as i32 - 1, 2 * (n - 2) as u32 + 1));
    assert_eq!(heap.node(3).unwrap().retained_size, 16 * (n as u64 - 1));
    let paths = heap.retaining_paths(last.id, 3, &Progress::default()).unwrap();
    assert_eq!(paths.iter().map(Vec::len).collect::<Vec<_>>(), [n - 1]);
    assert_like_ordinary("list", time);
}

/// A list whose values an array holds too: each value's dominator is the root, as many steps up as the list is long.
#[test]
fn a_long_list_of_shared_values() {
    let n = size() / 2;
    let edges = |node: usize| match node {
        0 => vec![1, 2 * n - 1],
        _ if node < n - 1 => vec![node + 1, n + node - 1],
        _ if node == 2 * n - 1 => (n..2 * n - 1).collect(),
        _ => vec![],
    };
    let (heap, time) = analyse("list of shared values", 2 * n, edges);
    assert_eq!(heap.node(2 * (n + n / 2) as u32 + 1).unwrap().dominator, 1);
    assert_eq!(heap.node(3).unwrap().retained_size, 16 * (n as u64 - 1));
    assert_like_ordinary("list of shared values", time);
}

/// Every element also refers to one thing, as objects do to their hidden class, and back to the one before.
#[test]
fn a_doubly_linked_list_of_one_class() {
    let n = size();
    let edges = |node: usize| match node {
        0 => vec![1],
        _ if node + 2 < n => vec![node + 1, node.max(2) - 1, n - 1],
        _ => vec![],
    };
    let (heap, time) = analyse("doubly linked list", n, edges);
    assert_eq!(heap.node(2 * (n - 1) as u32 + 1).unwrap().dominator, 3);
    assert_like_ordinary("doubly linked list", time);
}

#[test]
fn a_star() {
    let n = size();
    let (heap, time) = analyse("star", n, |node| match node {
        0 => vec![1],
        1 => (2..n).collect(),
        _ => vec![],
    });
    assert_eq!(heap.node(3).unwrap().retained_size, 16 * (n as u64 - 1));
    let page = Page { offset: 5, limit: Some(2) };
    let rows = heap.dominated(3, page, &Progress::default()).unwrap();
    assert_eq!(rows.iter().map(|row| row.id).collect::<Vec<_>>(), [15, 17]);
    assert_eq!(heap.references(3, page, &Progress::default()).unwrap().len(), 2);
    assert_like_ordinary("star", time);
}

#[test]
fn a_star_inwards() {
    let n = size();
    let (heap, time) = analyse("star inwards", n, |node| if node == 0 { (1..n - 1).collect() } else { vec![n - 1] });
    let hub = 2 * (n - 1) as u32 + 1;
    assert_eq!(heap.node(hub).unwrap().dominator, 1);
    assert_eq!(heap.retainers(hub, Page { offset: 0, limit: Some(3) }, &Progress::default()).unwrap().len(), 3);
    let paths = heap.retaining_paths(hub, 5, &Progress::default()).unwrap();
    assert_eq!(paths.iter().map(Vec::len).collect::<Vec<_>>(), [2; 5]);
    assert_like_ordinary("star inwards", time);
}

#[test]
fn a_binary_tree() {
    let n = size();
    let (heap, time) =
        analyse("tree", n, |node| [2 * node + 1, 2 * node + 2].into_iter().filter(|&to| to < n).collect());
    assert_eq!(heap.node(1).unwrap().retained_size, 16 * (n as u64 - 1));
    assert_like_ordinary("tree", time);
}

/// Dominators with a ladder: every rung can be reached over either side.
#[test]
fn a_ladder() {
    let n = size() / 2 * 2;
    let edges = |node: usize| [node + 1, node + 2, node + 3].into_iter().filter(|&to| to < n).collect();
    let (heap, time) = analyse("ladder", n, edges);
    assert_eq!(heap.node(2 * (n - 1) as u32 + 1).unwrap().dominator, 1);
    assert_like_ordinary("ladder", time);
}

/// What is allowed bounds all of it: the columns, what is computed from them, and what computing takes.
#[test]
fn a_budget_holds_for_the_whole() {
    let n = size() / 4;
    let any = move |seed: usize| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) % n;
    let (text, _) = text(n, |node| [node + 1, any(node), any(node + n)].into_iter().filter(|&to| to < n).collect());
    let open = |max_memory: u64| {
        let options =
            ReadOptions { max_memory: Some(max_memory), beside_each_node: BYTES_PER_NODE, ..ReadOptions::default() };
        let snapshot = Snapshot::from_bytes(text.as_bytes(), &options, &Progress::default())?;
        Heap::from_snapshot(snapshot, &Progress::default())
    };
    let whole = open(u64::MAX).unwrap();
    let (own, all) = (whole.snapshot().memory(), whole.memory());
    assert!(own < all && all < 2 * text.len() as u64, "{own} {all}");
    for (allowed, enough) in [(own / 2, false), (own, false), (all, false), (2 * all, true)] {
        match open(allowed) {
            Ok(heap) => assert!(enough && heap.memory() <= allowed, "{allowed} of {all}"),
            Err(e) => {
                assert!(!enough && e.code == Code::MemoryBudget, "{allowed} of {all}: {e}");
                let needed = e.message.split(' ').find_map(|word| word.parse::<u64>().ok().filter(|&n| n > allowed));
                assert!(needed.is_some(), "it says how much is needed: {e}");
            }
        }
    }
}

/// A cancelled analysis ends within 100 ms at any size; a busy machine that builds without optimisation gets more.
#[test]
fn cancelled_work_ends_soon_in_every_phase() {
    let n = size();
    let any = move |seed: usize| seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17) % n;
    let (text, _) = text(n, |node| [node + 1, any(node)].into_iter().filter(|&to| to < n).collect());
    // How many reports there are in all; then one run for each of some of them, cancelled at it.
    let reports = Arc::new(AtomicU64::new(0));
    let counter = reports.clone();
    let progress = Progress::with_listener(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    Heap::from_snapshot(read(&text), &progress).unwrap();
    let reports = reports.load(Ordering::Relaxed);
    assert!(reports > 20, "{reports} reports");
    let mut longest = Duration::ZERO;
    for at in 0..reports {
        let seen = Arc::new(AtomicU64::new(0));
        let handle: Arc<std::sync::OnceLock<Progress>> = Arc::default();
        let cancelled: Arc<std::sync::OnceLock<(Instant, &str)>> = Arc::default();
        let (own, when) = (handle.clone(), cancelled.clone());
        let progress = Progress::with_listener(move |report| {
            if seen.fetch_add(1, Ordering::Relaxed) == at {
                own.get().unwrap().cancel();
                when.set((Instant::now(), report.phase)).unwrap();
            }
        });
        handle.set(progress.clone()).ok().unwrap();
        let Err(error) = Heap::from_snapshot(read(&text), &progress) else {
            // Reports are thinned by time, so this run may have had fewer; or it was cancelled at its very end.
            let phase = cancelled.get().map_or("class sizes", |(_, phase)| phase);
            assert_eq!(phase, "class sizes", "cancelled at report {at}, yet finished");
            continue;
        };
        assert_eq!(error.code, Code::Aborted);
        let took = cancelled.get().unwrap().0.elapsed();
        assert!(took < Duration::from_millis(500), "report {at}: {took:?}");
        longest = longest.max(took);
    }
    println!("cancelled: at most {longest:?} later");
}

/// The name of a heap's node 1. Nodes: the root, then for each entry a string (`Ok`) or a concatenation of two nodes (`Err`).
fn name_of_first(strings: &[Result<&str, [usize; 2]>]) -> String {
    let (mut nodes, mut edges) = (String::from("0,0,1,0,1"), String::from("0,2,5"));
    let mut table = vec!["", "first", "second"];
    for (i, string) in strings.iter().enumerate() {
        let (kind, name, count) = match string {
            Ok(text) => {
                table.push(text);
                (1, table.len() - 1, 0)
            }
            Err(parts) => {
                write!(edges, ",0,1,{},0,2,{}", parts[0] * 5, parts[1] * 5).unwrap();
                (2, 0, 2)
            }
        };
        write!(nodes, ",{kind},{name},{},16,{count}", i * 2 + 3).unwrap();
    }
    let meta = r#"{"node_fields":["type","name","id","self_size","edge_count"],
        "node_types":[["synthetic","string","concatenated string"],"string","number","number","number"],
        "edge_fields":["type","name_or_index","to_node"],"edge_types":[["internal"],"string_or_number","node"]}"#;
    let text = format!(
        "{{\"snapshot\":{{\"meta\":{meta},\"node_count\":{},\"edge_count\":{}}},\n\"nodes\":[{nodes}],\n\
         \"edges\":[{edges}],\n\"strings\":{}}}",
        strings.len() + 1,
        1 + 2 * strings.iter().filter(|string| string.is_err()).count(),
        serde_json::to_string(&table).unwrap()
    );
    let heap = Heap::from_snapshot(read(&text), &Progress::default()).unwrap();
    heap.node(3).unwrap().name.to_string_lossy().into_owned()
}

#[test]
fn concatenated_strings_of_any_shape_have_a_name_soon() {
    // Added to one by one, 300,000 times: the first part is 300,000 steps down.
    let deep = 300_000;
    let mut rope: Vec<_> = (1..=deep).map(|i| Err([i + 1, deep + 2])).collect();
    rope.extend([Ok("a"), Ok("b")]);
    assert_eq!(name_of_first(&rope), format!("a{}", "b".repeat(1023)));
    // 2^60 empty parts, and one that is not.
    let mut empty: Vec<_> = (1..=60).map(|i| Err([i + 1, i + 1])).collect();
    empty[0] = Err([2, 62]);
    empty.extend([Ok(""), Ok("end")]);
    assert_eq!(name_of_first(&empty), "end");
    // Strings that contain themselves: DevTools would not come to an end.
    assert!(name_of_first(&[Err([1, 2]), Ok("never reached")]).starts_with("never reached"));
    assert_eq!(name_of_first(&[Err([2, 1]), Ok("ab")]), "ab".repeat(512));
    let many: Vec<_> = (1..=3000).map(|i| Err([i % 3000 + 1, (i * 7) % 3000 + 1])).collect();
    assert_eq!(name_of_first(&many), "");
}
