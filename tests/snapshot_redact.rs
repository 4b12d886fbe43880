//! Redacted snapshots: the same graph and the same numbers, and nothing of what strings say.

mod support;
#[path = "support/golden.rs"]
mod with_expected;

use std::{collections::HashMap, fs};

use heaprs::{
    analysis::{Heap, SummaryQuery},
    error::{Code, Result},
    progress::Progress,
    snapshot::{NodeType, Redaction, Snapshot, redact},
};
use proptest::prelude::*;
use support::{
    Model, gzip,
    random::{big_model, models},
    read,
    small::{changed, small},
};

const WITH_KEYS: Redaction = Redaction { dictionary_keys: true, keep_numbers: false };

fn redacted(text: &[u8], redaction: Redaction) -> Result<Vec<u8>> {
    redact(text, None, Vec::new(), redaction, &Progress::default())
}

fn shows_content(kind: NodeType) -> bool {
    use NodeType::{Array, Closure, Code, Hidden, Native, Object, ObjectShape, Synthetic, WasmObject};
    !matches!(kind, Array | Closure | Code | Hidden | Native | Object | ObjectShape | Synthetic | WasmObject)
}

/// The graph is the same, names are names, and of contents only length and sameness are left.
fn check(before: &Snapshot, after: &Snapshot) {
    assert_eq!(before.node_count(), after.node_count());
    assert_eq!(before.edge_count(), after.edge_count());
    assert_eq!(before.root(), after.root());
    let (mut there, mut back) = (HashMap::new(), HashMap::new());
    for node in 0..before.node_count() {
        assert_eq!(before.node_type(node), after.node_type(node));
        assert_eq!(before.node_id(node), after.node_id(node));
        assert_eq!(before.raw_self_size(node), after.raw_self_size(node));
        assert_eq!(before.detachedness(node), after.detachedness(node));
        assert_eq!(before.trace_node_id(node), after.trace_node_id(node));
        assert_eq!(before.edge_range(node), after.edge_range(node));
        let (old, new) = (before.node_name(node), after.node_name(node));
        assert_eq!(old.utf16_len(), new.utf16_len(), "node {node}");
        if shows_content(before.node_type(node)) && before.raw_self_size(node) > 0 {
            let index = before.node_name_index(node);
            assert_eq!(*there.entry(index).or_insert(new), new, "one text, one stand-in");
            assert_eq!(*back.entry(new).or_insert(index), index, "two texts, two stand-ins");
            assert!(old != new || old.utf16_len() <= 8, "node {node} still says {old:?}");
        }
    }
    for edge in 0..before.edge_count() {
        let (old, new) = (before.edge(edge), after.edge(edge));
        assert_eq!((old.kind, old.to), (new.kind, new.to));
        if old.kind.has_index_name() {
            assert_eq!(old.name_or_index, new.name_or_index);
        }
    }
    assert!(before.locations().iter().eq(after.locations().iter()));
    assert_eq!(before.samples(), after.samples());
    assert_eq!(before.trace_tree(), after.trace_tree());
}

/// Each text once in the table: a reader by index and one by text then agree about what is equal.
fn distinct(mut model: Model) -> Model {
    for (i, string) in model.strings.iter_mut().enumerate() {
        string.extend(format!("~{i}").bytes());
    }
    model
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn any_layout(model in models(), seed in any::<u64>()) {
        let model = distinct(model);
        let text = model.to_text(seed);
        let before = read(&text).unwrap();
        let after = redacted(&text, Redaction::default()).unwrap();
        check(&before, &read(&after).unwrap());
        prop_assert_eq!(&redacted(&gzip(&text), Redaction::default()).unwrap(), &after);
        let after = read(&redacted(&text, WITH_KEYS).unwrap()).unwrap();
        prop_assert_eq!(before.edge_count(), after.edge_count());
        for node in 0..before.node_count() {
            prop_assert_eq!(before.node_name(node).utf16_len(), after.node_name(node).utf16_len());
        }
    }

    /// What is damaged is an error or redacted, and never a panic.
    #[test]
    fn damaged(model in models(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut text = model.to_text(1);
        let at = at.index(text.len());
        text[at] = byte;
        for redaction in [Redaction::default(), WITH_KEYS] {
            let _ = redacted(&text, redaction);
            let _ = redacted(&text[..at], redaction);
        }
    }
}

#[test]
fn longer_than_any_buffer() {
    for seed in 1..=2 {
        let text = distinct(big_model(seed)).to_text(seed);
        check(&read(&text).unwrap(), &read(&redacted(&text, Redaction::default()).unwrap()).unwrap());
        read(&redacted(&text, WITH_KEYS).unwrap()).unwrap();
    }
}

/// Everything that DevTools computes of the checked-in heaps is the same of the redacted ones.
#[test]
fn analyses_agree() {
    let progress = Progress::default();
    let files = with_expected::golden("");
    assert!(files.len() > 20);
    for file in files {
        let text = fs::read(&file).unwrap();
        let text = redact(&text[..], None, Vec::new(), Redaction::default(), &progress).unwrap();
        let (before, after) =
            (with_expected::open(&file), Heap::from_snapshot(read(&text).unwrap(), &progress).unwrap());
        let name = file.display();
        for node in 0..before.snapshot().node_count() {
            let numbers = |heap: &Heap| {
                let graph = heap.graph();
                (graph.self_size(node), graph.retained_size(node), graph.distance(node), graph.dominator(node))
            };
            assert_eq!(numbers(&before), numbers(&after), "{name}, node {node}");
        }
        let classes = |heap: &Heap| {
            let rows = heap.summary(&SummaryQuery::default(), &progress).unwrap();
            let mut rows: Vec<_> = rows.iter().map(|r| (r.count, r.distance, r.self_size, r.retained_size)).collect();
            rows.sort_unstable();
            rows
        };
        assert_eq!(classes(&before), classes(&after), "{name}");
        assert_eq!(format!("{:?}", before.statistics()), format!("{:?}", after.statistics()), "{name}");
    }
}

#[test]
fn what_cannot_be_redacted_in_one_pass_is_an_error() {
    let text = small();
    assert!(redacted(text.as_bytes(), Redaction::default()).is_ok());
    for (from, to) in
        [("\"nodes\":[", "\"n0des\":["), ("\"snapshot\":", "\"snapsh0t\":"), ("\"strings\":[", "\"strings\":[7,")]
    {
        let error = redacted(changed(from, to).as_bytes(), Redaction::default()).unwrap_err();
        assert!(matches!(error.code, Code::Corrupt | Code::NotASnapshot), "{error}");
    }
    let error = redacted(&text.as_bytes()[..text.len() - 3], Redaction::default()).unwrap_err();
    assert_eq!(error.code, Code::Truncated);
}

/// Far beyond all strings, of a node and of an edge: an error, and no memory for what lies between.
#[test]
fn indices_that_lie() {
    let model = small();
    for digits in ["200000000", "4294967295"] {
        let lie = |list: &str| {
            let at = model.find(list).unwrap() + list.len();
            let second = at + model[at..].find(',').unwrap() + 1;
            let end = second + model[second..].find(',').unwrap();
            format!("{}{digits}{}", &model[..second], &model[end..])
        };
        for text in [lie("\"nodes\":["), lie("\"edges\":[")] {
            for redaction in [Redaction::default(), WITH_KEYS] {
                assert_eq!(redacted(text.as_bytes(), redaction).unwrap_err().code, Code::Corrupt);
            }
        }
    }
}

/// What heaprs does not know may hold anything.
#[test]
fn unknown_parts_are_left_out() {
    let text = changed("\"strings\":", "\"later\":{\"a\":[\"secret\"]},\"strings\":");
    assert!(!String::from_utf8(redacted(text.as_bytes(), Redaction::default()).unwrap()).unwrap().contains("secret"));
}
