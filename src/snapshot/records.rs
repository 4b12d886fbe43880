//! Arrays of integer records: the scanner nearly every byte of a snapshot goes through.
//!
//! As in DevTools, a number is a run of ASCII digits, every other byte up to `]` separates (a minus sign too), and
//! values are kept modulo 2^32. Two readers share the work. [`quick`] handles what V8 writes, out of the window and
//! without looking back; where it meets anything else (the window's end, much white space, an impossible value) it
//! stops before that record, and [`closely`] reads this one byte by byte, across refills, or names what is wrong.

use super::text::Text;
use crate::error::{Code, Error, Result};

/// Longer numbers are no numbers of a snapshot; 2^64 has 20 digits.
const MAX_DIGITS: u32 = 32;
/// Below this much unread text the window is refilled before the next records.
const LOW: usize = 1024;
/// Records in a block.
pub(super) const BLOCK: usize = 1024;

/// How one kind of record is read: into blocks, for which any thread will do.
pub(super) trait Parse: Sync {
    /// Up to [`BLOCK`] records on their way to the columns, in the nearest cache.
    type Block: Block;

    /// Numbers in a record.
    fn width(&self) -> usize;
    /// Appends up to `limit` records to a block, from the head of `text`, which is at `offset`, and in the way of
    /// [`quick`]; says how many bytes and records that were.
    fn quick(&self, text: &[u8], offset: u64, limit: usize, block: &mut Self::Block) -> (usize, usize);
    /// Appends one record, found at `offset`, or says what is wrong with it. There is room for it.
    fn push(&self, record: &[u32], offset: u64, block: &mut Self::Block) -> Result<()>;
}

pub(super) trait Block: Default + Send {
    fn len(&self) -> usize;
    fn clear(&mut self);
}

/// Where blocks go, one after the other.
pub(super) trait Columns<B> {
    /// Appends a block's records.
    fn append(&mut self, block: &B) -> Result<()>;
}

/// What numbers are taken from.
pub(super) trait Bytes {
    /// Unread bytes that are at hand.
    fn rest(&self) -> &[u8];
    /// Marks some of them as read.
    fn advance(&mut self, bytes: usize);
    /// Gets more at hand, or fails where there is nothing more.
    fn more(&mut self) -> Result<()>;
    /// Offset of the next unread byte.
    fn offset(&self) -> u64;
}

/// The unread part of a piece of the snapshot.
pub(super) struct Rest<'a> {
    piece: &'a [u8],
    at: usize,
    /// Offset in the snapshot of the piece's first byte.
    base: u64,
}

impl<'a> Rest<'a> {
    pub(super) fn new(piece: &'a [u8], at: usize, base: u64) -> Self {
        Rest { piece, at, base }
    }
}

impl Bytes for Rest<'_> {
    fn rest(&self) -> &[u8] {
        &self.piece[self.at..]
    }

    fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    fn more(&mut self) -> Result<()> {
        Err(too_short())
    }

    fn offset(&self) -> u64 {
        self.base + self.at as u64
    }
}

/// The error of a piece that ends before what is looked for in it.
pub(super) fn too_short() -> Error {
    Error::new(Code::Internal, "a piece of the snapshot is too short")
}

/// Reads an array of records behind its `[` and `count` records, to its `]`. `expected` is how many there must be.
pub(super) fn read_rows<P: Parse>(
    text: &mut Text,
    parser: &P,
    columns: &mut impl Columns<P::Block>,
    mut count: u32,
    expected: Option<u32>,
) -> Result<u32> {
    let mut record = vec![0; parser.width()];
    let mut block = P::Block::default();
    loop {
        let left = (expected.unwrap_or(u32::MAX) - count) as usize;
        let limit = left.min(BLOCK - block.len());
        let (bytes, records) = parser.quick(text.rest(), text.offset(), limit, &mut block);
        text.advance(bytes);
        count += records as u32;
        if block.len() == BLOCK {
            columns.append(&block)?;
            block.clear();
            continue;
        }
        if text.rest().len() < LOW && text.refill()? {
            continue;
        }
        let Some(offset) = closely(text, &mut record).map_err(|e| in_section(e, text.section))? else { break };
        if records == left {
            let message = format!("{} has more records than the {count} announced", text.section);
            return Err(Error::at(Code::Corrupt, offset, message));
        }
        parser.push(&record, offset, &mut block)?;
        count += 1;
    }
    columns.append(&block)?;
    if let Some(expected) = expected.filter(|&n| n != count) {
        let message = format!("{} has {count} records where the header announces {expected}", text.section);
        return Err(text.error(Code::Corrupt, message));
    }
    Ok(count)
}

/// Names the part of the snapshot in a message that does not.
fn in_section(mut error: Error, section: &str) -> Error {
    if error.code == Code::Corrupt {
        error.message = format!("{section} {}", error.message);
    }
    error
}

/// Hands records to `each` until it refuses one, `limit` is reached, or one is not plain; says how many bytes and
/// records were taken. `each` gets the record and where in `text` it starts.
#[inline(always)]
pub(super) fn quick<const F: usize>(
    text: &[u8],
    limit: usize,
    mut each: impl FnMut(usize, &[u32; F], usize) -> bool,
) -> (usize, usize) {
    let mut taken = 0;
    for row in 0..limit {
        let mut at = taken;
        let mut record = [0; F];
        for field in &mut record {
            match number(text, at) {
                Some((value, end)) => (*field, at) = (value, end),
                None => return (taken, row),
            }
        }
        if !each(row, &record, taken) {
            return (taken, row);
        }
        taken = at;
    }
    (taken, limit)
}

/// The number at `at`, behind at most three separators, and where it ends. `None` when it is not wholly within the
/// next 16 bytes with its end in sight, or there is a `]` before it.
///
/// Plain steps and no arithmetic on whole words: in real snapshots the lengths of numbers are so regular that the
/// processor foresees them, which beats every branch-free way tried.
#[inline(always)]
fn number(text: &[u8], at: usize) -> Option<(u32, usize)> {
    let window: &[u8; 16] = text.get(at..at + 16)?.try_into().ok()?;
    let mut i = 0;
    let mut digit = window[0].wrapping_sub(b'0');
    while digit > 9 {
        if window[i] == b']' || i == 3 {
            return None;
        }
        i += 1;
        digit = window[i].wrapping_sub(b'0');
    }
    let mut value = u32::from(digit);
    for _ in 0..10 {
        i += 1;
        digit = window[i & 15].wrapping_sub(b'0');
        if digit > 9 {
            return Some((value, at + i));
        }
        value = value.wrapping_mul(10).wrapping_add(u32::from(digit));
    }
    None
}

/// One record into `record`, whatever stands between its numbers; its offset, or `None` at the array's end.
pub(super) fn closely(text: &mut impl Bytes, record: &mut [u32]) -> Result<Option<u64>> {
    let mut offset = 0;
    for (i, field) in record.iter_mut().enumerate() {
        match next_number(text)? {
            Some((at, value)) => {
                *field = value as u32;
                if i == 0 {
                    offset = at;
                }
            }
            None if i == 0 => return Ok(None),
            None => {
                return Err(Error::at(Code::Corrupt, text.offset(), "ends in the middle of a record"));
            }
        }
    }
    Ok(Some(offset))
}

/// The next number, modulo 2^64, with its offset; `None` behind the array's `]`.
pub(super) fn next_number(text: &mut impl Bytes) -> Result<Option<(u64, u64)>> {
    loop {
        let found = text.rest().iter().position(|&b| b.is_ascii_digit() || b == b']');
        if let Some(skipped) = found {
            text.advance(skipped);
            break;
        }
        text.advance(text.rest().len());
        text.more()?;
    }
    if text.rest()[0] == b']' {
        text.advance(1);
        return Ok(None);
    }
    let offset = text.offset();
    let mut value = 0u64;
    let mut digits = 0;
    loop {
        let Some(&b) = text.rest().first() else {
            text.more()?;
            continue;
        };
        if !b.is_ascii_digit() {
            return Ok(Some((offset, value)));
        }
        digits += 1;
        if digits > MAX_DIGITS {
            let message = format!("has a number of more than {MAX_DIGITS} digits");
            return Err(Error::at(Code::Corrupt, text.offset(), message));
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(b - b'0'));
        text.advance(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stops_at_what_is_not_plain() {
        let at = |s: &str| number(format!("{s:<16}").as_bytes(), 0);
        assert_eq!(at(",7,"), Some((7, 2)));
        assert_eq!(at("\n,4294967295]"), Some((u32::MAX, 12)));
        assert_eq!(at(",4294967296]"), Some((0, 11)));
        assert_eq!(at("-1,"), Some((1, 2)));
        assert_eq!(at("],1,"), None);
        assert_eq!(at(",12345678901,"), None, "more than ten digits");
        assert_eq!(at("     1,"), None, "more than three separators");
        assert_eq!(number(b",1,", 0), None, "too near the end");
    }
}
