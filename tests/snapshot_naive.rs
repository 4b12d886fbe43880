//! The reader against a plain one: real and made-up snapshots, column by column.

mod support;

use std::{fs, io::Read, path::Path};

use proptest::prelude::*;
use support::{
    Model,
    random::{big_model, models},
    read,
};

/// Snapshots checked in, and those in the directory HEAPRS_SNAPSHOTS if that is set.
#[test]
fn files() {
    let mut files = Vec::new();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    collect(&golden, &mut files);
    if let Some(more) = std::env::var_os("HEAPRS_SNAPSHOTS") {
        collect(Path::new(&more), &mut files);
    }
    assert!(files.len() >= 4, "the golden files are there");
    for file in files {
        let bytes = fs::read(&file).unwrap();
        let mut text = Vec::new();
        match file.extension() {
            Some(gz) if gz == "gz" => flate2::read::MultiGzDecoder::new(&bytes[..]).read_to_end(&mut text).unwrap(),
            _ => (&bytes[..]).read_to_end(&mut text).unwrap(),
        };
        let snapshot = read(&bytes).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        println!("{}: {} nodes", file.display(), snapshot.node_count());
        Model::naive(&text).check(&snapshot);
    }
}

/// Longer than the reader's window, which then ends within numbers, characters and escapes.
#[test]
fn big_snapshots() {
    for seed in 1..=6 {
        let model = big_model(seed);
        let text = model.to_text(seed);
        assert!(text.len() > 3 << 20);
        model.check(&read(&text).unwrap());
    }
}

fn collect(dir: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, into);
        } else if [".heapsnapshot", ".heaptimeline"].iter().any(|e| name.trim_end_matches(".gz").ends_with(e)) {
            into.push(path);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_snapshots(model in models(), seed in any::<u64>()) {
        let text = model.to_text(seed);
        let snapshot = read(&text).map_err(|e| TestCaseError::fail(format!("{e}\n{}", String::from_utf8_lossy(&text))))?;
        model.check(&snapshot);
        Model::naive(&text).check(&snapshot);
        let header: serde_json::Value = serde_json::from_str(snapshot.header_json()).unwrap();
        prop_assert_eq!(header["node_count"].as_u64(), Some(model.nodes.len() as u64));
    }
}
