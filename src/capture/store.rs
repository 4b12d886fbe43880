//! A snapshot kept compressed in memory, for `getHeapSnapshot()`: read piece by piece, each given back as it is read.

use std::{
    collections::VecDeque,
    io::{self, Write},
};

use flate2::{Compression, Decompress, FlushDecompress, Status, write::DeflateEncoder};

use crate::error::{Code, Error, Result};

/// Text in one piece: small enough to inflate in well under a millisecond.
const PIECE: usize = 128 * 1024;

/// The sink: cuts the text into pieces and compresses each by itself, to about a fifth.
#[derive(Default)]
pub struct ChunkStore {
    pending: Vec<u8>,
    pieces: VecDeque<Compressed>,
}

/// The source: the pieces, front to back.
pub struct StoredChunks {
    pieces: VecDeque<Compressed>,
}

struct Compressed {
    bytes: Box<[u8]>,
    text_len: usize,
}

impl ChunkStore {
    /// The text is complete.
    pub fn finish(mut self) -> Result<StoredChunks> {
        self.seal().map_err(|e| Error::new(Code::Internal, format!("could not compress the snapshot: {e}")))?;
        Ok(StoredChunks { pieces: self.pieces })
    }

    fn seal(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let mut encoder = DeflateEncoder::new(Vec::with_capacity(PIECE / 4), Compression::new(1));
        encoder.write_all(&self.pending)?;
        let text_len = self.pending.len();
        self.pieces.push_back(Compressed { bytes: encoder.finish()?.into_boxed_slice(), text_len });
        self.pending.clear();
        Ok(())
    }
}

impl Write for ChunkStore {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(PIECE - self.pending.len());
        self.pending.extend_from_slice(&bytes[..n]);
        if self.pending.len() == PIECE {
            self.seal()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl StoredChunks {
    /// The next piece of text, at most 128 KB, freed here; `None` at the end.
    pub fn next_chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let Some(piece) = self.pieces.pop_front() else { return Ok(None) };
        let mut text = Vec::with_capacity(piece.text_len);
        let status = Decompress::new(false).decompress_vec(&piece.bytes, &mut text, FlushDecompress::Finish);
        match status {
            Ok(Status::StreamEnd) if text.len() == piece.text_len => Ok(Some(text)),
            _ => Err(Error::new(Code::Internal, "a compressed piece of the snapshot could not be read back")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_as_it_was() {
        let text: Vec<u8> = (0..PIECE * 3 + 17).map(|i| (i * i % 251) as u8).collect();
        let mut store = ChunkStore::default();
        for part in text.chunks(1000) {
            store.write_all(part).unwrap();
        }
        let mut stored = store.finish().unwrap();
        let mut back = Vec::new();
        while let Some(chunk) = stored.next_chunk().unwrap() {
            assert!(chunk.len() <= PIECE);
            back.extend(chunk);
        }
        assert!(back == text);
    }
}
