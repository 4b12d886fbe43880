//! Several threads on one array of records.
//!
//! The calling thread reads (or unpacks) the text and cuts it, at the end of records: it counts numbers, which is ten
//! times faster than reading them, so it knows where one ends. Workers turn each piece into blocks, which are appended in the
//! order of the file ([`in_order`]). The last piece, with the array's `]`, is left to [`read_rows`], and so is everything that
//! is out of the ordinary about the array as a whole.

use super::{
    in_order::in_order,
    records::{BLOCK, Block, Bytes, Columns, Parse, Rest, closely, read_rows, too_short},
    text::Text,
};
use crate::error::Result;

/// Arrays in a text shorter than this are not worth a thread.
pub(super) const WORTH_IT: u64 = 1 << 20;

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
    let mut count = 0;
    let next = |spare: Option<Piece<P::Block>>| {
        let mut piece = spare.unwrap_or_else(|| Piece::new(text.window_len()));
        if !piece.cut(text, parser.width(), (expected - count) as usize)? {
            return Ok(None);
        }
        count += piece.records as u32;
        Ok(Some(piece))
    };
    let append = |piece: &mut Piece<P::Block>| {
        std::mem::replace(&mut piece.result, Ok(()))?;
        piece.blocks[..piece.filled].iter().try_for_each(|block| columns.append(block))?;
        Ok(true)
    };
    in_order(workers, || |piece: &mut Piece<P::Block>| piece.read(parser), next, append)?;
    Ok(count)
}

impl<B: Block> Piece<B> {
    fn new(len: usize) -> Self {
        Piece {
            text: vec![0; len].into_boxed_slice(),
            from: 0,
            to: 0,
            records: 0,
            offset: 0,
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
        let mut rest = Rest::new(&self.text[..self.to], self.from, self.offset - self.from as u64);
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
                let Some(offset) = closely(&mut rest, &mut record)? else { return Err(too_short()) };
                parser.push(&record, offset, block)?;
                left -= 1;
            }
        }
        Ok(())
    }
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
