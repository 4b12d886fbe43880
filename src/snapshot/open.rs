//! From a file, a stream or bytes to a [`Snapshot`].

use std::{io::Read, path::Path, sync::Arc};

use super::{
    Snapshot,
    budget::Budget,
    in_file::Origin,
    parse::parse,
    records::Bytes,
    source::{Source, open_regular},
    text::Text,
};
use crate::{error::Result, progress::Progress};

/// How a snapshot is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadOptions {
    /// The most memory the snapshot, and what is computed from it, may take, in bytes. Without it a plain file is bounded
    /// by about its own size, and a gzip by the largest ratio that a snapshot can have.
    pub max_memory: Option<u64>,
    /// Bytes for each node that the caller will take beside the snapshot's own: so a file that is too large is refused
    /// at its head.
    pub beside_each_node: u64,
    /// How many threads may read and compute, the calling one among them; 0 and 1 are the same. More than the
    /// processor's cores gain nothing; computing takes two at most, and with two somewhat more memory.
    pub threads: usize,
}

impl Snapshot {
    /// Reads a `.heapsnapshot` or `.heaptimeline` file, plain or gzipped.
    ///
    /// Reports phase `read` in bytes of the file, and can be cancelled through `progress` at each quarter megabyte.
    pub fn open(path: &Path, options: &ReadOptions, progress: &Progress) -> Result<Snapshot> {
        let (file, len) = open_regular(path)?;
        let file = Arc::new(file);
        let origin = Origin { file: file.clone(), path: path.to_owned() };
        read(Box::new(file), Some(len), Some(origin), options, progress).map_err(|e| e.with_file(path))
    }

    /// Reads a snapshot from a stream, plain or gzipped.
    pub fn from_reader(reader: impl Read, options: &ReadOptions, progress: &Progress) -> Result<Snapshot> {
        read(Box::new(reader), None, None, options, progress)
    }

    /// Reads a snapshot that is in memory, plain or gzipped.
    pub fn from_bytes(bytes: &[u8], options: &ReadOptions, progress: &Progress) -> Result<Snapshot> {
        read(Box::new(bytes), Some(bytes.len() as u64), None, options, progress)
    }
}

/// Reads `input`, which is all of `origin` where there is one.
fn read(
    input: Box<dyn Read + '_>,
    len: Option<u64>,
    origin: Option<Origin>,
    options: &ReadOptions,
    progress: &Progress,
) -> Result<Snapshot> {
    let mut text = Text::new(Source::new(input, len)?, progress)?;
    let origin = origin.filter(|_| text.is_plain());
    let mut budget = Budget::new(options.max_memory);
    let mut snapshot = parse(&mut text, &mut budget, options, origin).map_err(|mut e| {
        e.offset.get_or_insert(text.offset());
        e
    })?;
    (snapshot.max_memory, snapshot.threads) = (options.max_memory, options.threads);
    if let Some(bytes) = options.max_memory {
        snapshot.strings.allow(bytes.saturating_sub(snapshot.memory()));
    }
    progress.report("read", text.input_done(), text.input_done())?;
    Ok(snapshot)
}
