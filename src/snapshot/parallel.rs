//! Several threads on one array of records.
//!
//! The calling thread reads (or unpacks) the text and cuts it, at the end of records: it counts numbers, which is ten
//! times faster than reading them, so it knows where one ends. Workers turn each piece into blocks, and the calling
//! thread appends these in the order of the file; while it waits for one it reads another itself. Nothing is shared but
//! two queues. The last piece, with the array's `]`, is left to [`read_rows`], and so is everything that is out of the
//! ordinary about the array as a whole.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use super::{
    records::{BLOCK, Block, Bytes, Columns, Parse, closely, read_rows},
    text::Text,
};
use crate::error::{Code, Error, Result};

/// Arrays in a text shorter than this are not worth a thread.
pub(super) const WORTH_IT: u64 = 1 << 20;
/// Pieces of text on their way, for each worker.
const PIECES: usize = 4;

/// Reads an array of records, from `[` to `]`, with up to `threads` threads. `expected` is how many there must be.
pub(super) fn read_array<P: Parse>(
    text: &mut Text,
    parser: &P,
    columns: &mut impl Columns<P::Block>,
    expected: Option<u32>,
    threads: usize,
) -> Result<()> {
    text.expect(b'[')?;
    let mut count = 0;
    if threads > 1 && text.most_left().is_none_or(|bytes| bytes >= WORTH_IT) {
        count = with_workers(text, parser, columns, expected.unwrap_or(u32::MAX), threads - 1)?;
    }
    read_rows(text, parser, columns, count, expected)?;
    Ok(())
}

/// A piece of text, and what becomes of it.
struct Piece<B> {
    text: Box<[u8]>,
    /// The records, as the part of `text` in which they begin and end.
    from: usize,
    to: usize,
    records: usize,
    /// Offset in the snapshot of `from`.
    offset: u64,
    /// Place among the pieces.
    number: usize,
    blocks: Vec<B>,
    /// How many of `blocks` are in use.
    filled: usize,
    result: Result<()>,
}

/// Reads pieces while there is more than one; says how many records these had.
fn with_workers<P: Parse>(
    text: &mut Text,
    parser: &P,
    columns: &mut impl Columns<P::Block>,
    expected: u32,
    workers: usize,
) -> Result<u32> {
    let (to_do, pieces) = mpsc::channel::<Piece<P::Block>>();
    let (to_append, done) = mpsc::channel::<Piece<P::Block>>();
    let pieces = Mutex::new(pieces);
    thread::scope(|scope| {
        let mut started = 0;
        for _ in 0..workers {
            let to_append = to_append.clone();
            let pieces = &pieces;
            let work = move || {
                loop {
                    let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(mut piece) = next else { return };
                    // A panic must not leave the calling thread waiting.
                    let read = catch_unwind(AssertUnwindSafe(|| piece.read(parser)));
                    if read.is_err() {
                        piece.result = Err(Error::new(Code::Internal, "a reading thread failed"));
                    }
                    if to_append.send(piece).is_err() {
                        return;
                    }
                }
            };
            // Where the system has no thread for us, fewer do.
            started += usize::from(thread::Builder::new().name("heaprs-read".into()).spawn_scoped(scope, work).is_ok());
        }
        drop(to_append);
        let mut count = 0;
        let mut in_order = InOrder { done, waiting: VecDeque::new(), next: 0 };
        let mut sent = 0;
        let mut spare = Vec::new();
        // A worker that waits for pieces has the lock; then there are none.
        let mut help = || {
            let mut piece = pieces.try_lock().ok()?.try_recv().ok()?;
            piece.read(parser);
            Some(piece)
        };
        loop {
            // Of each worker's pieces one is in work, and some wait.
            if sent - in_order.next >= PIECES * started {
                if started == 0 {
                    break;
                }
                spare.push(in_order.append(columns, &mut help)?);
            }
            let mut piece = match spare.pop() {
                Some(piece) => piece,
                None => Piece::new(text.window_len()),
            };
            if !piece.cut(text, parser.width(), (expected - count) as usize)? {
                break;
            }
            count += piece.records as u32;
            piece.number = sent;
            sent += 1;
            if to_do.send(piece).is_err() {
                return Err(Error::new(Code::Internal, "the reading threads are gone"));
            }
        }
        drop(to_do);
        while in_order.next < sent {
            in_order.append(columns, &mut help)?;
        }
        Ok(count)
    })
}

/// Pieces come back in any order.
struct InOrder<B> {
    done: mpsc::Receiver<Piece<B>>,
    /// Those after `next` that are here.
    waiting: VecDeque<Option<Piece<B>>>,
    next: usize,
}

impl<B> InOrder<B> {
    /// Appends the next piece, and reads others by `help` until it is here.
    fn append(
        &mut self,
        columns: &mut impl Columns<B>,
        help: &mut impl FnMut() -> Option<Piece<B>>,
    ) -> Result<Piece<B>> {
        let mut piece = loop {
            if let Some(piece) = self.waiting.front_mut().and_then(Option::take) {
                break piece;
            }
            let piece = match self.done.try_recv() {
                Ok(piece) => piece,
                Err(_) => match help() {
                    Some(piece) => piece,
                    None => self.done.recv().map_err(|_| Error::new(Code::Internal, "the reading threads are gone"))?,
                },
            };
            let place = piece.number - self.next;
            if self.waiting.len() <= place {
                self.waiting.resize_with(place + 1, || None);
            }
            self.waiting[place] = Some(piece);
        };
        self.waiting.pop_front();
        self.next += 1;
        std::mem::replace(&mut piece.result, Ok(()))?;
        for block in &piece.blocks[..piece.filled] {
            columns.append(block)?;
        }
        Ok(piece)
    }
}

impl<B: Block> Piece<B> {
    fn new(len: usize) -> Self {
        Piece {
            text: vec![0; len].into_boxed_slice(),
            from: 0,
            to: 0,
            records: 0,
            offset: 0,
            number: 0,
            blocks: Vec::new(),
            filled: 0,
            result: Ok(()),
        }
    }

    /// Takes as many whole records from `text` as there are in its window; `false` when this is better left to
    /// [`read_rows`]: near the array's end, at the last expected record, or when a record is longer than the window.
    fn cut(&mut self, text: &mut Text, width: usize, expected: usize) -> Result<bool> {
        text.refill()?;
        let rest = text.rest();
        if memchr::memchr(b']', rest).is_some() {
            return Ok(false);
        }
        let numbers = count_numbers(rest);
        self.records = numbers / width;
        if self.records == 0 || self.records >= expected {
            return Ok(false);
        }
        let bytes = end_before(rest, numbers % width);
        self.offset = text.offset();
        (self.from, self.to) = text.give(&mut self.text, bytes);
        Ok(true)
    }

    /// Reads the records into blocks, or into `result` what is wrong with them.
    fn read<P: Parse<Block = B>>(&mut self, parser: &P) {
        self.result = self.blocks(parser);
    }

    fn blocks<P: Parse<Block = B>>(&mut self, parser: &P) -> Result<()> {
        self.filled = 0;
        let mut record = vec![0; parser.width()];
        let mut rest = Rest { piece: &self.text[..self.to], at: self.from, base: self.offset - self.from as u64 };
        let mut left = self.records;
        while left > 0 {
            if self.filled == 0 || self.blocks[self.filled - 1].len() == BLOCK {
                if self.filled == self.blocks.len() {
                    self.blocks.push(B::default());
                }
                self.blocks[self.filled].clear();
                self.filled += 1;
            }
            let block = &mut self.blocks[self.filled - 1];
            let limit = left.min(BLOCK - block.len());
            let (bytes, records) = parser.quick(rest.rest(), rest.offset(), limit, block);
            rest.advance(bytes);
            left -= records;
            if records < limit {
                let Some(offset) = closely(&mut rest, &mut record)? else { return Err(miscounted()) };
                parser.push(&record, offset, block)?;
                left -= 1;
            }
        }
        Ok(())
    }
}

/// The unread part of a piece.
struct Rest<'a> {
    piece: &'a [u8],
    at: usize,
    /// Offset in the snapshot of the piece's first byte.
    base: u64,
}

impl Bytes for Rest<'_> {
    fn rest(&self) -> &[u8] {
        &self.piece[self.at..]
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    fn more(&mut self) -> Result<()> {
        Err(miscounted())
    }

    fn offset(&self) -> u64 {
        self.base + self.at as u64
    }
}

fn miscounted() -> Error {
    Error::new(Code::Internal, "a piece of the snapshot has fewer numbers than were counted")
}

/// How many numbers end in `text` with something behind them.
fn count_numbers(text: &[u8]) -> usize {
    let digit = |b: u8| u8::from(b.wrapping_sub(b'0') <= 9);
    let behind = text.get(1..).unwrap_or_default();
    // Sums of up to 128 in a byte: the compiler makes this many bytes at a time.
    let sums = text
        .chunks(128)
        .zip(behind.chunks(128))
        .map(|(these, behind)| these.iter().zip(behind).map(|(&a, &b)| digit(a) & (1 ^ digit(b))).sum::<u8>());
    sums.map(usize::from).sum()
}

/// Where `text` is to be cut so that its last `numbers` whole numbers, and what follows, are behind the cut. One byte
/// after the last number in front of it, so that it is seen to end.
fn end_before(text: &[u8], numbers: usize) -> usize {
    let mut left = numbers + 1;
    for at in (1..text.len()).rev() {
        if !text[at].is_ascii_digit() && text[at - 1].is_ascii_digit() {
            left -= 1;
            if left == 0 {
                return at + 1;
            }
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_and_cut() {
        for text in ["", "1", "1,", ",12,3", "\n,12,,3,-4 5\n", "12345678901234567890,", ",,,,"] {
            for padding in [0, 1, 63, 127, 128, 129, 1000] {
                let text = format!("{}{text}", "0,".repeat(padding));
                let ends: Vec<usize> = (1..text.len())
                    .filter(|&i| text.as_bytes()[i - 1].is_ascii_digit() && !text.as_bytes()[i].is_ascii_digit())
                    .collect();
                assert_eq!(count_numbers(text.as_bytes()), ends.len(), "{text:?}");
                for (behind, end) in ends.iter().rev().enumerate() {
                    assert_eq!(end_before(text.as_bytes(), behind), end + 1, "{text:?}, {behind} behind");
                }
            }
        }
    }
}
