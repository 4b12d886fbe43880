//! Arrays of integer records: the scanner nearly every byte of a snapshot goes through.
//!
//! As in DevTools, a number is a run of ASCII digits, every other byte up to `]` separates (a minus sign too), and
//! values are kept modulo 2^32. Two readers share the work. [`quick`] handles what V8 writes, out of the window and
//! without looking back; where it meets anything else (the window's end, much white space, an impossible value) it
//! stops before that record, and [`closely`] reads this one byte by byte, across refills, or names what is wrong.

use super::text::Text;
use crate::error::{Code, Result};

/// Longer numbers are no numbers of a snapshot; 2^64 has 20 digits.
const MAX_DIGITS: u32 = 32;
/// Below this much unread text the window is refilled before the next records.
const LOW: usize = 1024;
/// Records per call of [`Rows::quick`].
pub(super) const BLOCK: usize = 1024;

/// What becomes of records.
pub(super) trait Rows {
    /// Numbers in a record.
    fn width(&self) -> usize;
    /// Takes up to `limit` (at most [`BLOCK`]) records from `text`, which starts at `offset`, in the way of
    /// [`quick`]; says how many bytes and records that were.
    fn quick(&mut self, text: &[u8], offset: u64, limit: usize) -> Result<(usize, usize)>;
    /// Takes one record that starts at `offset`, or says what is wrong with it.
    fn push(&mut self, record: &[u32], offset: u64) -> Result<()>;
}

/// Reads an array of records, from `[` to `]`. `expected` is how many there must be.
pub(super) fn read_rows(text: &mut Text, rows: &mut impl Rows, expected: Option<u32>) -> Result<u32> {
    text.expect(b'[')?;
    let mut count = 0u32;
    let mut record = vec![0; rows.width()];
    loop {
        let limit = expected.unwrap_or(u32::MAX) - count;
        let (bytes, records) = rows.quick(text.rest(), text.offset(), BLOCK.min(limit as usize))?;
        text.advance(bytes);
        count += records as u32;
        if records == BLOCK {
            continue;
        }
        if text.rest().len() < LOW && text.refill()? {
            continue;
        }
        let Some(offset) = closely(text, &mut record)? else { break };
        if limit == records as u32 {
            let message = format!("{} has more records than the {count} announced", text.section);
            return Err(crate::error::Error::at(Code::Corrupt, offset, message));
        }
        rows.push(&record, offset)?;
        count += 1;
    }
    if let Some(expected) = expected.filter(|&n| n != count) {
        let message = format!("{} has {count} records where the header announces {expected}", text.section);
        return Err(text.error(Code::Corrupt, message));
    }
    Ok(count)
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
fn closely(text: &mut Text, record: &mut [u32]) -> Result<Option<u64>> {
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
                let message = format!("{} ends in the middle of a record", text.section);
                return Err(text.error(Code::Corrupt, message));
            }
        }
    }
    Ok(Some(offset))
}

/// The next number, modulo 2^64, with its offset; `None` behind the array's `]`.
pub(super) fn next_number(text: &mut Text) -> Result<Option<(u64, u64)>> {
    loop {
        let found = text.rest().iter().position(|&b| b.is_ascii_digit() || b == b']');
        if let Some(skipped) = found {
            text.advance(skipped);
            break;
        }
        text.advance(text.rest().len());
        if !text.refill()? {
            return Err(text.truncated());
        }
    }
    if text.rest()[0] == b']' {
        text.advance(1);
        return Ok(None);
    }
    let offset = text.offset();
    let mut value = 0u64;
    let mut digits = 0;
    loop {
        let Some(b) = text.peek()? else { return Err(text.truncated()) };
        if !b.is_ascii_digit() {
            return Ok(Some((offset, value)));
        }
        digits += 1;
        if digits > MAX_DIGITS {
            let message = format!("{} has a number of more than {MAX_DIGITS} digits", text.section);
            return Err(text.error(Code::Corrupt, message));
        }
        value = value.wrapping_mul(10).wrapping_add(u64::from(b - b'0'));
        text.advance(1);
    }
}

/// The highest of many string indices, and where it was found: they can be checked only when the table is there.
#[derive(Clone, Copy, Default)]
pub(super) struct Highest {
    pub(super) value: u32,
    pub(super) offset: u64,
    pub(super) any: bool,
}

impl Highest {
    #[inline(always)]
    pub(super) fn see(&mut self, value: u32, offset: u64) {
        if value > self.value || !self.any {
            *self = Highest { value, offset, any: true };
        }
    }
}

/// Turns node *indices* of the file (ordinal x fields) into ordinals, without a division.
///
/// For `width` = odd x 2^s, multiplying by the inverse of odd modulo 2^32 and rotating right by s gives the quotient
/// for multiples of `width`, and something above every possible quotient for all other numbers.
#[derive(Clone, Copy)]
pub(super) struct Ordinals {
    inverse: u32,
    shift: u32,
    /// One beyond the last ordinal.
    end: u32,
}

impl Ordinals {
    pub(super) fn new(width: usize, nodes: u32) -> Self {
        let width = width as u32;
        let shift = width.trailing_zeros();
        let odd = width >> shift;
        // Newton's iteration: `odd` is its own inverse modulo 8, each step doubles the correct bits.
        let mut inverse = odd;
        for _ in 0..4 {
            inverse = inverse.wrapping_mul(2u32.wrapping_sub(odd.wrapping_mul(inverse)));
        }
        let possible = u64::from(u32::MAX / width) + 1;
        Ordinals { inverse, shift, end: u64::from(nodes).min(possible) as u32 }
    }

    /// The ordinal of the node at `index`, `None` when that is none.
    #[inline(always)]
    pub(super) fn of(self, index: u32) -> Option<u32> {
        let ordinal = index.wrapping_mul(self.inverse).rotate_right(self.shift);
        (ordinal < self.end).then_some(ordinal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_are_those_of_a_division() {
        for width in 1..=32usize {
            for nodes in [1, 2, 1000, u32::MAX / width as u32, u32::MAX - 2] {
                let ordinals = Ordinals::new(width, nodes);
                let top = u64::from(nodes) * width as u64;
                let near = |n: u64| n.saturating_sub(100)..n + 100;
                for index in near(0).chain(near(top)).chain(near(u64::from(u32::MAX) - 99)).chain(near(1 << 31)) {
                    let Ok(index) = u32::try_from(index) else { continue };
                    let expected =
                        (index % width as u32 == 0 && index / (width as u32) < nodes).then(|| index / width as u32);
                    assert_eq!(ordinals.of(index), expected, "{index} of width {width}, {nodes} nodes");
                }
            }
        }
    }

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
