//! Any bytes as a snapshot: an error or a heap that answers, within bounded memory, the same whether one thread reads or two, plain
//! or gzipped.
#![no_main]

use heaprs::{
    analysis::{Heap, SummaryQuery, SuspectsQuery},
    progress::Progress,
    report::{Report, ReportOptions, TextOptions},
    snapshot::{ReadOptions, Snapshot},
};
use libfuzzer_sys::{Corpus, fuzz_target};

const MAX_MEMORY: u64 = 64 << 20;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let read = |bytes: &[u8], threads| {
        let options = ReadOptions { max_memory: Some(MAX_MEMORY), threads, ..ReadOptions::default() };
        Snapshot::from_bytes(bytes, &options, &Progress::default())
    };
    let (one, two) = (read(bytes, 1), read(bytes, 2));
    let (snapshot, other) = match (one, two) {
        (Ok(one), Ok(two)) => (one, two),
        (one, two) => {
            let text = |result: Result<Snapshot, heaprs::error::Error>| result.err().map(|e| (e.to_string(), e.offset));
            assert_eq!(text(one), text(two), "threads change nothing");
            return Corpus::Keep;
        }
    };
    let texts = snapshot.strings().len() as u32;
    assert_eq!(texts, other.strings().len() as u32);
    assert!((0..texts).all(|text| snapshot.strings().get(text) == other.strings().get(text)));
    let none = Progress::default();
    // A graph that contradicts itself may still be refused.
    let (heap, other) = match (Heap::from_snapshot(snapshot, &none), Heap::from_snapshot(other, &none)) {
        (Ok(heap), Ok(other)) => (heap, other),
        (one, two) => {
            assert!(one.is_err() && two.is_err(), "threads change nothing");
            return Corpus::Keep;
        }
    };
    let numbers = |heap: &Heap| {
        let columns = heap.columns(&none).unwrap();
        (columns.self_size, columns.retained_size, columns.distance, columns.dominator, columns.class_index)
    };
    assert_eq!(numbers(&heap), numbers(&other), "threads change nothing");
    heap.summary(&SummaryQuery::default(), &none).unwrap();
    heap.suspects(&SuspectsQuery::default(), &none).unwrap();
    heap.native_contexts(&none).unwrap();
    heap.timeline(&none).unwrap();
    heap.allocation_sites(Some(5), &none).unwrap();
    let report = Report::new(&heap, &ReportOptions::default(), &none).unwrap();
    report.to_text(&TextOptions::default());
    report.to_markdown();
    for node in (0..heap.snapshot().node_count()).take(20) {
        let id = heap.snapshot().node_id(node);
        heap.retainers(id, Default::default(), &none).unwrap();
        heap.references(id, Default::default(), &none).unwrap();
        heap.retaining_paths(id, 2, &none).unwrap();
    }
    Corpus::Keep
});
