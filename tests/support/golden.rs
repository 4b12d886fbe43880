//! The golden files of `tests/golden`, and how their strings are read.

#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use heaprs::{
    analysis::{ClassRow, Heap, JsString},
    progress::Progress,
    snapshot::ReadOptions,
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// A string of the expected file; unlike `String` it can be half a surrogate pair.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Text(Vec<u8>);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Text;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a string")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Text, E> {
                Ok(Text(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Visitor)
    }
}

pub(crate) fn text(string: &JsString) -> Text {
    Text(string.as_bytes().to_vec())
}

/// Key, name, count, distance, self size, retained size.
pub(crate) type ClassTuple = (Text, Text, u64, i32, u64, u64);

pub(crate) fn class_tuple(r: &ClassRow) -> ClassTuple {
    (text(&r.key), text(&r.name), r.count, r.distance, r.self_size, r.retained_size)
}

/// The snapshots of a folder whose names start so.
pub(crate) fn snapshots(folder: &Path, prefix: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wanted = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap();
        name.starts_with(prefix) && (name.ends_with(".heapsnapshot.gz") || name.ends_with(".heapsnapshot"))
    };
    files.filter(wanted).collect()
}

pub(crate) fn golden(prefix: &str) -> Vec<PathBuf> {
    snapshots(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden"), prefix)
}

pub(crate) fn open(file: &Path) -> Heap {
    let options = ReadOptions { threads: 2, ..ReadOptions::default() };
    Heap::open(file, &options, &Progress::default()).unwrap()
}

/// What DevTools says of a snapshot, in the file of this kind beside it, if there is one.
pub(crate) fn expected<T: DeserializeOwned>(file: &Path, kind: &str) -> Option<T> {
    let name = file.to_str().unwrap();
    let name = name.strip_suffix(".gz").unwrap_or(name).strip_suffix(".heapsnapshot").unwrap();
    let mut json = Vec::new();
    flate2::read::GzDecoder::new(File::open(format!("{name}.{kind}.json.gz")).ok()?).read_to_end(&mut json).unwrap();
    Some(serde_json::from_slice(&json).unwrap())
}
