//! Long strings that stay in the file: the same answers as from memory, and a clear error once the file is another.

mod support;

use std::{fs, io::Write, path::Path};

use heaprs::{
    analysis::{Heap, MatchBy, NamePattern, Page, Query, SummaryQuery, SuspectsQuery, compare_by},
    error::Code,
    progress::Progress,
    snapshot::{ReadOptions, Snapshot},
};
use proptest::prelude::*;
use support::{Model, golden, random};

const OPTIONS: ReadOptions = ReadOptions { max_memory: None, beside_each_node: 0, threads: 2 };

fn open(file: &Path) -> Snapshot {
    Snapshot::open(file, &OPTIONS, &Progress::default()).unwrap()
}

/// Longer strings: around the length from which they stay, and some longer than any buffer.
fn lengthen(model: &mut Model, seed: u64) {
    let mut draw = random::Draw(seed | 1);
    for string in model.strings.iter_mut().filter(|string| !string.is_empty()) {
        let wanted = match draw.below(1000) {
            0..400 => 250 + draw.below(12) as usize,
            400..600 => draw.below(600) as usize,
            600 => 200_000 + draw.below(200_000) as usize,
            _ => 0,
        };
        // A surrogate at its end must not meet one at its beginning.
        let unit = [b".", &string[..]].concat();
        while string.len() < wanted {
            string.extend_from_slice(&unit);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn every_string_is_what_it_is_in_memory(mut model in random::models(), seed in any::<u64>()) {
        lengthen(&mut model, seed);
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = model.to_text(seed);
        for head in [&b""[..], b"\xef\xbb\xbf"] {
            fs::write(&file, [head, &text].concat()).unwrap();
            model.check(&open(file.path()));
        }
        fs::write(&file, support::gzip(&text)).unwrap();
        model.check(&open(file.path()));
    }
}

/// Several megabytes, which two threads read piece by piece: with something behind the strings, cut off anywhere, and damaged.
#[test]
fn big_files_by_one_thread_and_by_two() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a.heapsnapshot");
    let open = |threads| Snapshot::open(&file, &ReadOptions { threads, ..OPTIONS }, &Progress::default());
    // As V8 writes it, and with white space of every kind.
    for seed in [0, 3] {
        let mut model = random::big_model(seed);
        lengthen(&mut model, seed);
        let mut text = model.to_text(seed);
        let end = text.iter().rposition(|&b| b == b'}').unwrap();
        text.splice(end..=end, format!(",\"later\":[{}7]}}", "1,".repeat(400_000)).into_bytes());
        fs::write(&file, &text).unwrap();
        for threads in [1, 2] {
            model.check(&open(threads).unwrap());
        }
        let mut draw = random::Draw(seed);
        let strings = text.len() as u64 - 4_000_000;
        for _ in 0..8 {
            let mut bad = text.clone();
            let at = (strings + draw.below(4_000_000)) as usize;
            match draw.below(3) {
                0 => bad.truncate(at),
                1 => bad[at] = 7,
                _ => drop(bad.splice(at..at, *b",\n\"")),
            }
            fs::write(&file, &bad).unwrap();
            let [one, two] = [1, 2].map(|threads| open(threads).err().map(|e| e.to_string()));
            assert!(one == two, "{one:?}, {two:?}");
        }
    }
}

/// A real heap with long names everywhere, twice: read from its file, and from memory.
fn both(file: &Path) -> [Heap; 2] {
    let text = fs::read(file).unwrap();
    let from_memory = Snapshot::from_bytes(&text, &OPTIONS, &Progress::default()).unwrap();
    let from_file = open(file);
    assert!(from_file.memory() + 100_000 < from_memory.memory());
    [from_file, from_memory].map(|snapshot| Heap::from_snapshot(snapshot, &Progress::default()).unwrap())
}

fn real(name: &str, folder: &Path) -> std::path::PathBuf {
    let compressed = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/golden/{name}.heapsnapshot.gz"));
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(fs::File::open(compressed).unwrap()), &mut text)
        .unwrap();
    let mut model = Model::naive(&text);
    // Every fourth string, by its text: the same ones in all files of a process.
    for string in model.strings.iter_mut().filter(|string| string.iter().map(|&b| u32::from(b)).sum::<u32>() % 4 == 0) {
        let long = string.repeat(700 / string.len().max(1));
        string.extend_from_slice(&long);
    }
    let file = folder.join(format!("{name}.heapsnapshot"));
    fs::write(&file, model.to_text(0)).unwrap();
    file
}

#[test]
fn every_answer_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let progress = Progress::default();
    let [before, after] = ["cut20-before", "cut20-after"].map(|name| both(&real(name, folder.path())));
    let exported = after.each_ref().map(|heap| {
        let folder = tempfile::tempdir().unwrap();
        heap.export(folder.path(), false, &progress).unwrap();
        let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| fs::read(file).unwrap()).collect::<Vec<_>>()
    });
    assert!(exported[0].len() > 10 && exported[0] == exported[1]);
    let long = after[1].snapshot().strings();
    let edge = (0..long.len() as u32).map(|index| long.get(index)).find(|text| text.as_bytes().len() > 300).unwrap();
    let page = Page { offset: 0, limit: None };
    let answers = [0, 1].map(|side| {
        let (heap, base) = (&after[side], &before[side]);
        let all = heap.query(&Query { page, ..Query::default() }, &progress).unwrap();
        let named = Query { name: Some(NamePattern::regexp("e.*e", "").unwrap()), page, ..Query::default() };
        let by_edge = Query { edge_name: Some(edge.to_string()), page, ..Query::default() };
        let answers = [
            format!("{all:?}"),
            format!("{:?}", heap.query(&named, &progress)),
            format!("{:?}", heap.query(&by_edge, &progress)),
            format!("{:?}", heap.duplicate_strings(page, &progress)),
            format!("{:?}", heap.suspects(&SuspectsQuery::default(), &progress)),
            format!("{:?}", heap.summary(&SummaryQuery::default(), &progress)),
            format!("{:?}", heap.off_heap(&progress)),
            format!("{:?}", heap.native_contexts(&progress)),
            format!("{:?}", compare_by(MatchBy::Auto, base, heap, &progress)),
            format!("{:?}", compare_by(MatchBy::Structure, base, heap, &progress)),
        ];
        heap.check().unwrap();
        answers
    });
    for (from_file, from_memory) in answers[0].iter().zip(&answers[1]) {
        assert!(!from_file.starts_with("Err") && from_file == from_memory, "{from_file:.1000}\n{from_memory:.1000}");
    }
}

/// What happens to a file, and the index and text of a long string in it.
fn after(change: impl FnOnce(&Path)) -> (Snapshot, u32, Vec<u8>) {
    let folder = tempfile::tempdir().unwrap();
    let mut model = Model::naive(&golden());
    let index = model.strings.len() as u32;
    let text = "long \u{e9} \" \\ \u{1f600} ".repeat(100).into_bytes();
    model.strings.push(text.clone());
    model.strings.push(text.repeat(2));
    let file = folder.path().join("a.heapsnapshot");
    fs::write(&file, model.to_text(0)).unwrap();
    let snapshot = open(&file);
    change(&file);
    (snapshot, index, text)
}

#[test]
fn a_file_that_goes_away_is_still_read() {
    for change in [
        |file: &Path| fs::remove_file(file).unwrap(),
        |file: &Path| {
            fs::write(file.with_extension("new"), "another").unwrap();
            fs::rename(file.with_extension("new"), file).unwrap();
        },
    ] {
        let (snapshot, index, text) = after(change);
        assert_eq!(snapshot.strings().get(index).as_bytes(), text);
        snapshot.strings().check().unwrap();
    }
}

#[test]
fn a_file_that_changes_is_an_error() {
    let truncate = |file: &Path| fs::File::options().write(true).open(file).unwrap().set_len(1000).unwrap();
    let append = |file: &Path| fs::File::options().append(true).open(file).unwrap().write_all(b" ").unwrap();
    let same_length = |file: &Path| {
        let length = fs::metadata(file).unwrap().len() as usize;
        let modified = fs::metadata(file).unwrap().modified().unwrap();
        fs::write(file, vec![b'x'; length]).unwrap();
        // Not even its time tells.
        fs::File::options().write(true).open(file).unwrap().set_modified(modified).unwrap();
    };
    for change in [truncate as fn(&Path), append, same_length] {
        let (snapshot, index, _) = after(change);
        assert!(snapshot.strings().each(&Progress::default(), |_, _| Ok(())).is_err());
        snapshot.strings().check().unwrap();
        assert_eq!(snapshot.strings().get(index).as_bytes(), b"");
        // For good: what was answered before is still right, what is answered now may not be.
        for _ in 0..2 {
            let e = snapshot.strings().check().unwrap_err();
            assert_eq!(e.code, Code::Io);
            assert!(e.message.contains("changed") && e.file.unwrap().ends_with("a.heapsnapshot"));
        }
    }
}

#[test]
fn strings_of_the_file_count_as_memory() {
    let (snapshot, index, text) = after(|_| ());
    let before = snapshot.memory();
    snapshot.strings().get(index);
    assert_eq!(snapshot.strings().get(index).as_bytes(), text);
    assert_eq!(snapshot.memory(), before + text.len() as u64);

    let folder = tempfile::tempdir().unwrap();
    let mut model = Model::naive(&golden());
    let first = model.strings.len() as u32;
    model.strings.extend((0..1000).map(|i| format!("{i} ").repeat(1000).into_bytes()));
    let file = folder.path().join("a.heapsnapshot");
    fs::write(&file, model.to_text(0)).unwrap();
    let options = ReadOptions { max_memory: Some(400_000), ..OPTIONS };
    let snapshot = Snapshot::open(&file, &options, &Progress::default()).unwrap();
    snapshot.strings().get(first);
    snapshot.strings().check().unwrap();
    (first..first + 1000).for_each(|index| _ = snapshot.strings().get(index));
    assert!(snapshot.memory() < 410_000, "{}", snapshot.memory());
    assert_eq!(snapshot.strings().check().unwrap_err().code, Code::MemoryBudget);
}
