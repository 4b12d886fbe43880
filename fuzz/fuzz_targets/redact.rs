//! Any bytes redacted: an error, or a snapshot that is read as the original is, with the same graph and sizes, and without the texts of its
//! strings.
#![no_main]

use heaprs::{
    error::Error,
    progress::Progress,
    snapshot::{NodeType, ReadOptions, Redaction, Snapshot, redact},
};
use libfuzzer_sys::{Corpus, fuzz_target};

const MAX_MEMORY: u64 = 64 << 20;
/// What shorter texts say may stand in a name, too.
const TELLING: usize = 12;

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let none = Progress::default();
    let read = |bytes: &[u8]| -> Result<Snapshot, Error> {
        Snapshot::from_bytes(bytes, &ReadOptions { max_memory: Some(MAX_MEMORY), ..ReadOptions::default() }, &none)
    };
    let before = read(bytes).ok();
    for (dictionary_keys, keep_numbers) in [(false, false), (false, true), (true, false), (true, true)] {
        let redaction = Redaction { dictionary_keys, keep_numbers };
        let Ok(text) = redact(bytes, Some(bytes.len() as u64), Vec::new(), redaction, &none) else { continue };
        let Some(before) = &before else { continue };
        let after = read(&text).expect("what can be read can be read redacted");
        assert_eq!((before.node_count(), before.edge_count()), (after.node_count(), after.edge_count()));
        for node in 0..before.node_count() {
            let numbers = |s: &Snapshot| (s.node_type(node), s.node_id(node), s.raw_self_size(node), s.edge_range(node));
            assert_eq!(numbers(before), numbers(&after));
            let content = before.node_name(node).as_bytes();
            if before.node_type(node) == NodeType::String && content.len() >= TELLING {
                assert_ne!(content, after.node_name(node).as_bytes(), "redacted");
            }
        }
        for edge in 0..before.edge_count() {
            assert_eq!((before.edge_to(edge), before.edge_type(edge)), (after.edge_to(edge), after.edge_type(edge)));
        }
    }
    Corpus::Keep
});
