//! The reader against a plain one: real and made-up snapshots, column by column.

mod support;

use std::{fs, io::Read, path::Path};

use heaprs::{
    progress::Progress,
    snapshot::{JsStr, ReadOptions, Snapshot},
};
use proptest::prelude::*;
use support::{
    Model, gzip,
    random::{Draw, big_model, models},
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

fn with_threads(bytes: &[u8], threads: usize) -> Result<Snapshot, String> {
    let options = ReadOptions { threads, ..ReadOptions::default() };
    Snapshot::from_bytes(bytes, &options, &Progress::default()).map_err(|e| e.to_string())
}

/// Longer than the reader's window, which then ends within numbers, characters and escapes; by one thread and several.
#[test]
fn big_snapshots() {
    for seed in 1..=6 {
        let model = big_model(seed);
        let text = model.to_text(seed);
        assert!(text.len() > 3 << 20);
        for threads in 1..=4 {
            model.check(&with_threads(&text, threads).unwrap());
        }
        model.check(&with_threads(&gzip(&text), 2).unwrap());
    }
}

/// Several threads find the same first mistake as one.
#[test]
fn big_damaged_snapshots() {
    let model = big_model(1);
    let text = model.to_text(1);
    let mut draw = Draw(1);
    let header = |count: &str, wrong: &str| String::from_utf8_lossy(&text).replacen(count, wrong, 1).into_bytes();
    let wrong = [
        header("\"node_count\":40000", "\"node_count\":30000"),
        header("\"node_count\":40000", "\"node_count\":50000"),
        header("\"edge_count\":90000", "\"edge_count\":40000"),
    ];
    for bad in &wrong {
        assert!(with_threads(bad, 1).err().unwrap().contains("announce"));
        assert_eq!(with_threads(bad, 1).err(), with_threads(bad, 3).err());
    }
    for i in 0..60 {
        let mut bad = text.clone();
        for _ in 0..=draw.below(3) {
            let at = draw.below(bad.len() as u64) as usize;
            match draw.below(4) {
                0 => bad[at] = b"7,]}\" x"[draw.below(7) as usize],
                1 => bad.truncate(at),
                2 => bad.insert(at, b'9'),
                _ => bad[at..].iter_mut().take(100).for_each(|b| *b = 0),
            }
        }
        let one = with_threads(&bad, 1);
        match (one, with_threads(&bad, 3)) {
            (Ok(one), Ok(three)) => assert_eq!(texts(&one), texts(&three), "{i}"),
            (one, three) => assert_eq!(one.err(), three.err(), "{i}"),
        }
    }
}

fn texts(snapshot: &Snapshot) -> Vec<JsStr<'_>> {
    (0..snapshot.strings().len() as u32).map(|index| snapshot.strings().get(index)).collect()
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
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(400), failure_persistence: None, ..ProptestConfig::default() })]

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
