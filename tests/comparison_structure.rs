//! The comparison by structure, held against ids: pairs of snapshots with comparable ids (`tests/golden/structure/make.mjs`),
//! the later one renumbered at random, so that only structure is left to go by.

mod support {
    #[allow(dead_code, reason = "shared with an example")]
    pub(crate) mod renumber;
}

use std::{fs::File, io::Read, path::Path};

use heaprs::{
    analysis::{MatchBy, compare_by, pair_by_structure},
    error::Code,
    progress::Progress,
    snapshot::FORK_MARK,
};
use support::renumber::{Score, heap, renumber, score};

fn golden(name: &str) -> Vec<u8> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/structure/{name}.heapsnapshot.gz"));
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(File::open(file).unwrap()).read_to_end(&mut text).unwrap();
    text
}

fn check(kind: &str) -> [Score; 2] {
    ["20", "26"].map(|node| {
        let score = score(&golden(&format!("{kind}{node}-before")), &golden(&format!("{kind}{node}-after")));
        println!("{kind}{node}: {score:?}");
        assert!(score.new > 50 && score.old > 500, "a pair that tells something");
        assert_eq!(score.wrong_counts, 0, "net counts are those of ids");
        assert!(score.found() >= 98.0, "new objects recognised: {:.2} %", score.found());
        assert!(score.missed() <= 1.0, "old objects taken for new: {:.2} %", score.missed());
        score
    })
}

#[test]
fn maps_and_sets_that_were_rehashed() {
    for score in check("map") {
        assert_eq!((score.new_found, score.old_missed, score.old_mistaken), (score.new, 0, 0));
        assert_eq!(score.wrong_sizes, 0);
    }
}

#[test]
fn arrays_that_were_shifted_and_spliced() {
    for score in check("arrays") {
        assert_eq!(score.old_mistaken, 0, "elements are found by content");
        assert_eq!(score.wrong_sizes, 0);
    }
}

#[test]
fn lists_that_lost_their_head() {
    check("lists");
}

#[test]
fn a_service_under_load() {
    check("http");
}

#[test]
fn a_heap_is_paired_with_itself() {
    let text = golden("http26-after");
    let (heap, renumbered) = (heap(&text), heap(&renumber(&text)));
    let pairs = pair_by_structure(&heap, &renumbered, &Progress::default()).unwrap();
    assert!((0..).zip(&pairs).all(|(node, &pair)| node == pair), "every node with itself");
    assert!(compare_by(MatchBy::Structure, &heap, &renumbered, &Progress::default()).unwrap().rows.is_empty());
}

#[test]
fn auto_takes_ids_where_they_compare() {
    let (before, after) = (golden("map20-before"), golden("map20-after"));
    let by = |match_by, before: &[u8], after: &[u8]| {
        compare_by(match_by, &heap(before), &heap(after), &Progress::default()).unwrap().matched_by
    };
    assert_eq!(by(MatchBy::Auto, &before, &after), MatchBy::Id);
    assert_eq!(by(MatchBy::Structure, &before, &after), MatchBy::Structure);
    assert_eq!(by(MatchBy::Auto, &before, &renumber(&after)), MatchBy::Structure);
    assert_eq!(by(MatchBy::Id, &before, &renumber(&after)), MatchBy::Id);
    // The mark of a fork, in either file.
    let mark = |text: &[u8]| {
        let text = String::from_utf8(text.to_vec()).unwrap();
        text.replacen("\"snapshot\":{", &format!("\"snapshot\":{{{FORK_MARK},"), 1).into_bytes()
    };
    assert!(heap(&mark(&after)).snapshot().has_fork_ids() && !heap(&after).snapshot().has_fork_ids());
    assert_eq!(by(MatchBy::Auto, &before, &mark(&after)), MatchBy::Structure);
    assert_eq!(by(MatchBy::Auto, &mark(&before), &after), MatchBy::Structure);
}

#[test]
fn is_cancelled() {
    let (before, after) = (heap(&golden("lists20-before")), heap(&golden("lists20-after")));
    for phase in ["symbols", "fingerprints", "lockstep", "comparison"] {
        let (sender, receiver) = std::sync::mpsc::channel::<Progress>();
        let receiver = std::sync::Mutex::new(receiver);
        let progress = Progress::with_listener(move |report| {
            if report.phase == phase {
                receiver.lock().unwrap().try_recv().unwrap().cancel();
            }
        });
        sender.send(progress.clone()).unwrap();
        let error = compare_by(MatchBy::Structure, &before, &after, &progress).unwrap_err();
        assert_eq!(error.code, Code::Aborted, "in phase {phase}");
    }
}

type MadeEdge<'a> = (usize, &'a str, usize);
type MadeNode<'a> = (usize, &'a str, usize, Vec<MadeEdge<'a>>);

/// A snapshot of nodes `(type, name, size, edges)`, each edge `(type, name, target)`. Types: 0 synthetic, 1 object, 2 array, 3 string, 4 code, 5 hidden;
/// of edges: 0 property, 1 internal, 2 weak.
fn made(nodes: &[MadeNode<'_>]) -> Vec<u8> {
    let mut strings: Vec<&str> = Vec::new();
    let mut string = |text| {
        strings.iter().position(|&known| known == text).unwrap_or_else(|| {
            strings.push(text);
            strings.len() - 1
        })
    };
    let (mut records, mut edges) = (Vec::new(), Vec::new());
    for (i, (kind, name, size, out)) in nodes.iter().enumerate() {
        records.extend([*kind, string(name), 2 * i + 1, *size, out.len()]);
        out.iter().for_each(|&(kind, name, to)| edges.extend([kind, string(name), to * 5]));
    }
    let meta = r#"{"node_fields":["type","name","id","self_size","edge_count"],
        "node_types":[["synthetic","object","array","string","code","hidden"],"string","number","number","number"],
        "edge_fields":["type","name_or_index","to_node"],"edge_types":[["property","internal","weak"],"string_or_number","node"]}"#;
    let counts = format!("\"node_count\":{},\"edge_count\":{}", nodes.len(), edges.len() / 3);
    let strings = serde_json::to_string(&strings).unwrap();
    format!(
        "{{\"snapshot\":{{\"meta\":{meta},{counts}}},\"nodes\":{records:?},\"edges\":{edges:?},\"strings\":{strings}}}"
    )
    .into()
}

/// The nodes of the later heap that are taken for new.
fn new_ones(before: &[u8], after: &[u8]) -> Vec<usize> {
    let pairs = pair_by_structure(&heap(before), &heap(after), &Progress::default()).unwrap();
    (0..).zip(&pairs).filter(|&(_, &pair)| pair == u32::MAX).map(|(node, _)| node).collect()
}

#[test]
fn keys_of_a_map_that_went_and_came_back_are_new() {
    let map = |values: [&'static str; 2], places: [&'static str; 4]| {
        made(&[
            (0, "", 0, vec![(0, "map", 1)]),
            (1, "Map", 32, vec![(1, "table", 2)]),
            (2, "", 64, (0..4).map(|i| (1, places[i], 3 + i)).collect()),
            (3, "first", 24, vec![]),
            (1, values[0], 24, vec![]),
            (3, "second", 24, vec![]),
            (1, values[1], 24, vec![]),
        ])
    };
    let before = map(["A", "B"], ["7", "8", "10", "11"]);
    assert_eq!(new_ones(&before, &before), [0; 0]);
    assert_eq!(new_ones(&before, &map(["A", "C"], ["7", "8", "10", "11"])), [6], "set while it was there");
    assert_eq!(new_ones(&before, &map(["A", "C"], ["7", "8", "13", "14"])), [5, 6], "deleted and set again");
    assert_eq!(new_ones(&before, &map(["A", "B"], ["10", "11", "13", "14"])), [0; 0], "rehashed");
}

#[test]
fn caches_that_lost_a_class_are_new_where_a_program_went_on() {
    let code = |maps: &[&'static str], more: bool| {
        let mut nodes = vec![
            (0, "", 0, vec![(0, "code", 1), (0, "more", 4)]),
            (4, "system / FeedbackVector", 64, vec![(1, "5", 2)]),
            // Two classes, each with a handler.
            (4, "system / WeakFixedArray", 48, maps.iter().map(|&place| (2, place, 3)).collect()),
            (5, "system / Map", 80, vec![]),
            (1, if more { "New" } else { "Old" }, 24, vec![]),
        ];
        nodes[0].3.push((0, "class", 3));
        made(&nodes)
    };
    let (whole, lost) = (code(&["0", "2"], false), code(&["0"], false));
    assert_eq!(new_ones(&whole, &whole), [0; 0]);
    assert_eq!(new_ones(&lost, &lost), [0; 0], "nothing has happened");
    assert_eq!(new_ones(&whole, &code(&["0", "2"], true)), [4]);
    assert_eq!(new_ones(&lost, &code(&["0"], true)), [2, 4]);
}
