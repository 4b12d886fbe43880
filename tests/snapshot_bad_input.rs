//! Bad input: an error with a code, the file's name and the byte, whatever the input; never a panic, never memory
//! that only the input's claims ask for.

mod support;

use std::{fs, path::Path};

use heaprs::{
    error::Code,
    progress::Progress,
    snapshot::{ReadOptions, Snapshot},
};
use proptest::prelude::*;
use support::{
    Model, fails, golden, gzip,
    random::{Draw, models},
    read,
    small::{changed, small},
};

#[test]
fn the_small_snapshot_is_good() {
    let text = small();
    let snapshot = read(text.as_bytes()).unwrap();
    let mut model = Model::naive(text.as_bytes());
    assert_eq!(model.functions[0][4], 1, "a minus sign is not read");
    model.check(&snapshot);
    assert_eq!(snapshot.samples()[1].timestamp_us, 5_000_000_000, "samples are not cut to 32 bits");
    // Numbers of the big arrays are, as in DevTools, and what stands between digits does not matter.
    model.nodes[0][3] = 16 + (1 << 32);
    model.check(&read(changed("1,0,1,16,2,0", "1, 0\t,-1 ,4294967312 ,2,0x").as_bytes()).unwrap());
    // A mark of byte order, white space at the end, and keys that nobody knows.
    read(format!("\u{feff}{text}\n \n").as_bytes()).unwrap();
    read(changed("\"strings\"", r#""scopes":[1,[2,{"a":"]}\""}]],"x":null,"y":"z","strings""#).as_bytes()).unwrap();
}

#[test]
fn cut_at_every_byte() {
    for (text, what) in [(small(), "as V8 writes it"), (small().replace(',', ", "), "with blanks")] {
        for len in 0..text.len() {
            let e = fails(&text.as_bytes()[..len]);
            assert_eq!((e.code, e.offset), (Code::Truncated, Some(len as u64)), "{what}: {e}");
        }
        let packed = gzip(text.as_bytes());
        for len in 1..packed.len() {
            let e = fails(&packed[..len]);
            assert_eq!(e.code, Code::Truncated, "gzip {what}, cut at {len}: {e}");
            assert!(e.offset.unwrap() <= text.len() as u64);
        }
    }
}

#[test]
fn cut_at_random_places() {
    let text = golden();
    let packed = gzip(&text);
    let mut draw = Draw(1);
    for _ in 0..200 {
        let len = draw.below(text.len() as u64) as usize;
        let e = fails(&text[..len]);
        assert_eq!((e.code, e.offset), (Code::Truncated, Some(len as u64)), "{e}");
        let len = draw.below(packed.len() as u64 - 1) as usize + 1;
        assert_eq!(fails(&packed[..len]).code, Code::Truncated, "gzip cut at {len}");
    }
}

#[test]
fn paths_that_are_no_files() {
    let dir = tempfile::tempdir().unwrap();
    let open = |path: &Path| {
        let e = Snapshot::open(path, &ReadOptions::default(), &Progress::default()).err().unwrap();
        assert_eq!(e.file.as_deref(), Some(path), "{e}");
        assert!(e.to_string().contains(path.to_str().unwrap()));
        e
    };
    assert_eq!(open(&dir.path().join("missing")).code, Code::NotFound);
    assert_eq!(open(dir.path()).code, Code::NotAFile);
    let empty = dir.path().join("empty");
    fs::write(&empty, "").unwrap();
    let e = open(&empty);
    assert_eq!((e.code, e.offset), (Code::Truncated, Some(0)));
    let file = dir.path().join("cut");
    fs::write(&file, &small()[..700]).unwrap();
    assert_eq!(open(&file).code, Code::Truncated);
    assert_eq!(open(&file.join("below")).code, Code::NotAFile);
    #[cfg(unix)]
    {
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(open(&pipe).code, Code::NotAFile, "and it did not wait for a writer");
        assert_eq!(open(Path::new("/dev/zero")).code, Code::NotAFile);
    }
}

#[test]
fn no_snapshots() {
    for text in [
        "hello",
        "null",
        "42",
        "[]",
        "{}",
        "{\"a\":1}",
        "{\"snapshot\":1}",
        "{\"snapshot\":{}}",
        "{\"snapshot\":\"x\"}",
        "{\"snapshot\":{\"meta\":{}}}",
        "{\"nodes\":[1,2,3],\"edges\":[]}",
        "{\"head\":{\"callFrame\":{}},\"samples\":[]}",
        "{\"name\":\"heaprs\",\"version\":\"1.0.0\",\"files\":[\"a\",{\"b\":[]}]}",
        "{nodes:[]}",
        "{\"a\" 1}",
        "\u{0}\u{0}\u{0}",
        "<!DOCTYPE html>",
        "\u{7f}ELF\u{2}\u{1}",
        "PK\u{3}\u{4}",
        "{}{}",
        "{\"a\":1]",
    ] {
        let e = fails(text);
        assert_eq!(e.code, Code::NotASnapshot, "{text}: {e}");
        assert!(e.offset.is_some(), "{text}: {e}");
    }
    assert_eq!(fails(gzip(b"hello")).code, Code::NotASnapshot);
    let mut draw = Draw(7);
    for len in [1, 10, 1000, 1_000_000] {
        let garbage: Vec<u8> = (0..len).map(|_| draw.below(256) as u8).collect();
        assert_eq!(fails(garbage).code, Code::NotASnapshot);
    }
    let missing = changed("\"self_size\"", "\"size\"");
    let e = fails(missing);
    assert!(e.code == Code::NotASnapshot && e.message.contains("self_size"), "{e}");
}

/// Where the text says one thing and its header another: the code, a word of the message, where.
#[test]
fn contradictions() {
    let cases: &[(&str, &str, &str, &str)] = &[
        ("\"node_count\":2", "\"node_count\":3", "announces 3", "\n],\n\"edges"),
        ("\"node_count\":2", "\"node_count\":1", "more records", "1,1,3,8"),
        ("\"node_count\":2", "\"node_count\":4000000000", "announces 4000000000", "\n],\n\"edges"),
        ("\"node_count\":2", "\"node_count\":99999999999", "more than a snapshot can have", ""),
        ("\"node_count\":2", "\"node_count\":0", "no node", ""),
        ("\"edge_count\":2", "\"edge_count\":3", "together", "],\n\"edges"),
        ("1,0,1,16,2,0", "1,0,1,16,3,0", "3 edges together", ""),
        ("1,0,1,16,2,0", "1,0,1,16,4294967295,0", "4294967295 edges together", ""),
        (",0,7,0\n]", "]", "1 records where", ""),
        (",0,7,0\n]", ",0,7,0,1,7,0\n]", "more records", "1,7,0\n]"),
        (",0,7,0\n]", ",0,7\n]", "middle of a record", ""),
        (",1,1,3,8,0,2", ",1,1,3,8,0", "middle of a record", ""),
        ("1,1,3,8,0,2", "2,1,3,8,0,2", "type 2", "2,1,3,8"),
        ("1,1,3,8,0,2", "257,1,3,8,0,2", "type 257", "257,1"),
        ("1,1,3,8,0,2", "1,2,3,8,0,2", "string 2", "1,2,3,8"),
        ("1,1,3,8,0,2", "1,     2,3,8,0,2", "string 2", "1,     2,3"),
        ("1,1,6", "1,     2,6", "string 2", "1,     2,6"),
        ("1,1,6", "2,1,6", "type 2", "2,1,6"),
        ("1,1,6", "1,2,6", "string 2", "1,2,6"),
        ("1,1,6", "1,1,7", "node index 7", "1,1,7"),
        ("1,1,6", "1,1,12", "node index 12", "1,1,12"),
        ("1,1,6", "1,1,4294967290", "node index 4294967290", "1,1,4294967290"),
        ("[6,1,2,3]", "[5,1,2,3]", "node index 5", "5,1,2,3"),
        ("[6,1,2,3]", "[18,1,2,3]", "node index 18", "18,1,2,3"),
        ("[6,1,2,3]", "[6,1,2]", "middle of a record", ""),
        ("[5,0,1,3,-1,-1]", "[5,0,2,3,-1,-1]", "string 2", "5,0,2,3"),
        ("[5,0,1,3,-1,-1]", "[]", "function 0", ""),
        ("[2,0,1,1,[]]", "[2,1,1,1,[]]", "function 1", ""),
        ("[2,0,1,1,[]]", "[2,0,1,[]]", "four numbers", "[]]"),
        ("[2,0,1,1,[]]", "[2,0,1,1]", "four numbers", "]]"),
        ("5000000000,3]", "5000000000]", "middle of a record", ""),
        ("16,2,0", "123456789012345678901234567890123,2,0", "32 digits", ""),
        ("\"node_count\":2", "\"root_index\":5,\"node_count\":2", "root_index", ""),
        ("\"node_count\":2", "\"root_index\":12,\"node_count\":2", "root_index", ""),
        ("\"node_count\":2", "\"node_count\":2 2", "no JSON", ""),
        ("\"edges\":", "\"nodes\":", "twice", ""),
        ("\"strings\":", "\"snapshot\":{},\"strings\":", "two headers", ""),
        ("\"edges\":", "\"edgez\":", "no \"edges\"", ""),
        ("\"strings\":", "\"springs\":", "no \"strings\"", ""),
        ("\"\",\"", "\"\" \"", "between strings", ""),
        ("\\n\"", "\\x\"", "escape", "\\x"),
        ("\\n\"", "\\u12g4\"", "hexadecimal", "\\u12g4"),
        ("\\n\"", "\n\"", "control", "\n\"]"),
        ("\\n\"]}", "\"]}}", "after the snapshot's end", ""),
        ("\"edges\":[", "\"edges\":{", "expected '['", "{1,1,6"),
        ("],\n\"edges\"", "];\n\"edges\"", "expected ','", ";"),
    ];
    for (from, to, message, at) in cases {
        let text = changed(from, to);
        for e in [fails(&text), fails(gzip(text.as_bytes()))] {
            assert_eq!(e.code, Code::Corrupt, "{to}: {e}");
            assert!(e.message.contains(message), "{to}: {e}");
            if !at.is_empty() {
                let offset = e.offset.unwrap_or_else(|| panic!("{to}: {e}")) as usize;
                let found = text.find(at).unwrap();
                assert!(found.abs_diff(offset) <= 3, "{to}: {e}, expected about {found}");
            }
        }
    }
    let types = (0..300).map(|i| format!("\"t{i}\"")).collect::<Vec<_>>().join(",");
    assert_eq!(fails(changed("\"hidden\",\"object\"", &types)).code, Code::Corrupt);
}

/// A budget that the honest parts fit into is enough to find the lie.
#[test]
fn claims_ask_for_no_memory() {
    let options = ReadOptions { max_memory: Some(200_000), ..ReadOptions::default() };
    let read = |text: &[u8]| Snapshot::from_bytes(text, &options, &Progress::default()).err().unwrap();
    for count in ["4000000000", "4294967293"] {
        let nodes = changed("\"node_count\":2", &format!("\"node_count\":{count}"));
        let edges = changed("\"edge_count\":2", &format!("\"edge_count\":{count}"));
        let both = nodes.replace("\"edge_count\":2", &format!("\"edge_count\":{count}"));
        let sizes = both.replacen("1,0,1,16,2,0", &format!("1,0,1,16,{count},0"), 1);
        for text in [nodes, edges, both, sizes] {
            assert_eq!(read(text.as_bytes()).code, Code::Corrupt);
            assert_eq!(read(&text.as_bytes()[..text.len() - 5]).code, Code::Corrupt, "found before the end is");
            let e = read(&gzip(text.as_bytes()));
            assert!(matches!(e.code, Code::Corrupt | Code::MemoryBudget), "{e}");
        }
    }
}

#[test]
fn the_budget_is_kept() {
    let text = golden();
    let needed = |options: &ReadOptions| Snapshot::from_bytes(&text, options, &Progress::default()).err();
    let e = needed(&ReadOptions { max_memory: Some(10_000), ..ReadOptions::default() }).unwrap();
    assert_eq!(e.code, Code::MemoryBudget);
    assert!(e.message.contains("751 nodes and 1925 edges") && e.message.contains("10000 are allowed"), "{e}");
    let memory = read(&text).unwrap().memory();
    assert!((751 * 18 + 1925 * 9..100_000).contains(&memory), "{memory}");
    assert_eq!(
        needed(&ReadOptions { max_memory: Some(100_000), ..ReadOptions::default() }).map(|e| e.to_string()),
        None
    );
    // Long strings, an endless header and deep nesting too.
    let options = ReadOptions { max_memory: Some(1 << 20), ..ReadOptions::default() };
    let read = |text: String| Snapshot::from_bytes(text.as_bytes(), &options, &Progress::default()).err().unwrap();
    let long = "x".repeat(2 << 20);
    assert_eq!(read(changed("\"strings\":[\"\"", &format!("\"strings\":[\"{long}\""))).code, Code::MemoryBudget);
    let e = read(changed("\"node_count\":2", &format!("\"x\":\"{long}{long}{long}\",\"node_count\":2")));
    assert!(e.code == Code::Corrupt && e.message.contains("too long"), "{e}");
    let deep = "[".repeat(1 << 20);
    assert_eq!(read(changed("\"node_count\":2", &format!("\"x\":{deep}"))).code, Code::Truncated);
    let deep = format!("{deep}{}", "]".repeat(1 << 20));
    assert_eq!(read(changed("\"node_count\":2", &format!("\"x\":{deep},\"node_count\":2"))).code, Code::Corrupt);
    let e = read(changed("\"trace_tree\":[", &format!("\"trace_tree\":[{}", "1,0,1,1,[".repeat(100_000))));
    assert_eq!(e.code, Code::MemoryBudget);
    Snapshot::from_bytes(
        changed("\"strings\"", &format!("\"x\":{deep},\"strings\"")).as_bytes(),
        &options,
        &Progress::default(),
    )
    .map(|s| s.node_count())
    .unwrap();
}

#[test]
fn cancelled() {
    let text = golden();
    let progress = Progress::default();
    progress.cancel();
    let e = Snapshot::from_bytes(&text, &ReadOptions::default(), &progress).err().unwrap();
    assert_eq!(e.code, Code::Aborted);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: ProptestConfig::default().cases.max(300), failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever bytes are changed, added or taken out: a result or an error with its place.
    #[test]
    fn flipped_bytes(model in models(), seed in any::<u64>(), flips in 1..4usize, packed in any::<bool>()) {
        let mut draw = Draw(seed | 1);
        let text = model.to_text(seed);
        let mut bytes = if packed { gzip(&text) } else { text };
        for _ in 0..flips {
            let at = draw.below(bytes.len() as u64) as usize;
            let byte = if draw.below(2) == 0 { draw.below(256) as u8 } else { b"0123456789,-[]{}\"\\: \nu"[draw.below(22) as usize] };
            match draw.below(3) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        match read(&bytes) {
            Ok(snapshot) => {
                // What was accepted can be walked without a panic.
                for node in 0..snapshot.node_count() {
                    for edge in snapshot.edges(node) {
                        prop_assert!(edge.to < snapshot.node_count());
                        if !edge.kind.has_index_name() {
                            snapshot.strings().get(edge.name_or_index).to_string_lossy();
                        }
                    }
                    snapshot.node_name(node).utf16_len();
                    snapshot.type_name(snapshot.node_type(node));
                }
            }
            Err(e) => {
                let fine = matches!(e.code, Code::NotASnapshot | Code::Truncated | Code::Corrupt | Code::MemoryBudget);
                prop_assert!(fine, "{}", e);
                prop_assert!(e.offset.is_some(), "{}", e);
            }
        }
    }
}
