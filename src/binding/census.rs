//! Censuses of the calling isolate, and its garbage collection on request: what `heaprs/memwatch` and `heaprs/testing` are made of.
//! All of it happens in the call, as it did in memwatch.

use std::io::{self, Read};

use napi::Env;
use napi_derive::napi;

use super::{capture::take_text, guard::guard};
use crate::{
    analysis::{Census, CensusDiff},
    capture::StoredChunks,
    error::Result,
    progress::Progress,
    snapshot::{ReadOptions, Snapshot},
    v8::{Feature, Isolate, Pressure, TakeOptions},
};

/// All objects of this thread's heap at one moment. V8 tracks object ids from then on, see `releaseObjectIds`.
#[napi]
pub struct HeapCensus {
    census: Census,
}

/// What came and went between two.
#[napi(object, object_from_js = false)]
pub struct HeapCensusDiff {
    pub allocated: f64,
    pub freed: f64,
    pub kinds: Vec<KindDiff>,
}

/// Of one kind.
#[napi(object, object_from_js = false)]
pub struct KindDiff {
    pub name: String,
    pub added: f64,
    pub removed: f64,
    pub size_delta: f64,
}

#[napi]
impl HeapCensus {
    /// Walks the heap; JavaScript stands still meanwhile.
    #[napi(constructor)]
    pub fn new(env: Env) -> napi::Result<Self> {
        guard(env, "HeapCensus", || {
            let text = take_text(TakeOptions { expose_internals: false, expose_numeric_values: false })?;
            let progress = Progress::default();
            let reader = TextReader { chunks: text, piece: io::Cursor::default() };
            let snapshot = Snapshot::from_reader(reader, &ReadOptions::default(), &progress)?;
            Ok(HeapCensus { census: Census::of(&snapshot, &progress)? })
        })
    }

    /// How many objects.
    #[napi]
    pub fn nodes(&self, env: Env) -> napi::Result<f64> {
        guard(env, "HeapCensus.nodes", || Ok(self.census.nodes() as f64))
    }

    /// Their bytes.
    #[napi]
    pub fn size(&self, env: Env) -> napi::Result<f64> {
        guard(env, "HeapCensus.size", || Ok(self.census.size() as f64))
    }

    /// What came and went until `later`.
    #[napi]
    pub fn diff(&self, env: Env, later: &HeapCensus) -> napi::Result<HeapCensusDiff> {
        guard(env, "HeapCensus.diff", || {
            let CensusDiff { allocated, freed, kinds } = self.census.diff(&later.census);
            let kinds = kinds.into_iter().map(|kind| KindDiff {
                name: kind.name,
                added: kind.added as f64,
                removed: kind.removed as f64,
                size_delta: kind.size_delta as f64,
            });
            Ok(HeapCensusDiff { allocated: allocated as f64, freed: freed as f64, kinds: kinds.collect() })
        })
    }
}

/// One full garbage collection of this thread, at once.
#[napi]
pub fn collect_garbage(env: Env) -> napi::Result<()> {
    guard(env, "collectGarbage", || Isolate::current(Feature::FullGc)?.memory_pressure(Pressure::Critical))
}

/// The stored text as a stream.
struct TextReader {
    chunks: StoredChunks,
    piece: io::Cursor<Vec<u8>>,
}

impl Read for TextReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.piece.read(buffer)?;
        if read > 0 || buffer.is_empty() {
            return Ok(read);
        }
        let next: Result<_> = self.chunks.next_chunk();
        match next.map_err(io::Error::other)? {
            None => Ok(0),
            Some(piece) => {
                self.piece = io::Cursor::new(piece);
                self.piece.read(buffer)
            }
        }
    }
}
