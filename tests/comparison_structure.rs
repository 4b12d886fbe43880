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
