//! The string table, and how JSON's string literals become it.

use std::thread;

use super::{
    JsStr,
    budget::Budget,
    narrow::Narrow,
    pages::{Column, Room},
    records::Bytes,
    text::Text,
};
use crate::error::{Code, Error, Result};

const WHAT: &str = "the strings";

/// The string table.
#[derive(Default)]
pub struct Strings {
    bytes: Column<u8>,
    /// Their lengths in bytes.
    lengths: Narrow,
    /// Where each [`STRIDE`]th begins in `bytes`.
    starts: Column<u64>,
}

/// From one string whose place is known to the next such.
const STRIDE: u32 = 16;

/// The string indices of one text (a table may have it more than once): for loops that ask of every node whether it has that name, without
/// a look at the strings themselves.
pub(crate) struct Spelled {
    first: Option<u32>,
    more: Vec<u32>,
}

impl Spelled {
    /// Whether the string at `index` is the text.
    #[inline]
    pub(crate) fn at(&self, index: u32) -> bool {
        self.first == Some(index) || self.more.contains(&index)
    }
}

impl Strings {
    /// How many strings.
    pub fn len(&self) -> usize {
        self.lengths.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The string at an index; indices are checked when the file is read.
    pub fn get(&self, index: u32) -> JsStr<'_> {
        let near = index / STRIDE;
        let before = (near * STRIDE..index).map(|index| self.lengths.get(index) as usize).sum::<usize>();
        let start = self.starts[near as usize] as usize + before;
        JsStr(&self.bytes[start..start + self.lengths.get(index) as usize])
    }
    /// All strings, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = JsStr<'_>> {
        (0..self.len() as u32).map(|i| self.get(i))
    }

    /// Where the table has `text`.
    pub(crate) fn spelled(&self, text: &str) -> Spelled {
        let mut start = 0;
        let mut found = (0..self.len() as u32).filter(|&index| {
            let range = start..start + self.lengths.get(index) as usize;
            start = range.end;
            range.len() == text.len() && &self.bytes[range] == text.as_bytes()
        });
        Spelled { first: found.next(), more: found.collect() }
    }

    pub(super) fn memory(&self) -> u64 {
        self.bytes.memory() + self.lengths.memory() + self.starts.memory()
    }

    /// Reads the array of strings, from `[` to `]`; a second of `threads` has the system find memory for them meanwhile.
    pub(super) fn read(text: &mut Text, budget: &mut Budget, threads: usize) -> Result<Strings> {
        let mut strings = Strings::default();
        if text.length_known() {
            // Nearly all of the rest is strings, and unescaping makes them shorter. No more than a wish.
            let rest = text.most_left().unwrap_or(0);
            let _ = budget.plan(&mut strings.bytes, usize::try_from(rest).unwrap_or(0), WHAT);
        }
        let room = strings.bytes.room();
        thread::scope(|scope| {
            if threads > 1 {
                // Where the system has no thread for us, it finds the memory when it is written to.
                let _ = thread::Builder::new().name("heaprs-read".into()).spawn_scoped(scope, || room.populate());
            }
            // Also when this one panics: the scope waits for the other.
            let _end = room.end();
            strings.read_array(text, budget, &room)
        })?;
        Ok(strings)
    }

    fn read_array(&mut self, text: &mut Text, budget: &mut Budget, room: &Room) -> Result<()> {
        text.expect(b'[')?;
        if text.token()? == b']' {
            text.advance(1);
            return Ok(());
        }
        let mut lengths = Column::new();
        loop {
            text.expect(b'"')?;
            let start = self.bytes.len();
            if lengths.len() % STRIDE as usize == 0 {
                budget.grow(&mut self.starts, 1, WHAT)?;
                self.starts.push(start as u64)?;
            }
            self.literal(text, budget)?;
            room.fill(self.bytes.len());
            budget.grow(&mut lengths, 1, WHAT)?;
            let length = u32::try_from(self.bytes.len() - start);
            lengths.push(length.map_err(|_| text.error(Code::Corrupt, "a string is longer than 4 GB"))?)?;
            if lengths.len() >= u32::MAX as usize {
                return Err(text.error(Code::Corrupt, "there are more strings than 32 bits can count"));
            }
            match text.token()? {
                b',' => text.advance(1),
                b']' => break,
                _ => return Err(text.error(Code::Corrupt, "expected ',' or ']' between strings")),
            }
        }
        text.advance(1);
        budget.shrink(&mut self.bytes);
        budget.shrink(&mut self.starts);
        self.lengths = Narrow::of(lengths)?;
        Ok(())
    }

    /// One literal behind its opening quote, up to and with the closing one.
    fn literal(&mut self, text: &mut Text, budget: &mut Budget) -> Result<()> {
        // A high surrogate that was escaped, waiting for its other half.
        let mut high = None;
        loop {
            let rest = text.rest();
            let special = memchr::memchr2(b'"', b'\\', rest);
            let plain = &rest[..special.unwrap_or(rest.len())];
            if !plain.is_empty() {
                self.flush(&mut high, budget)?;
            }
            let taken = self.plain(plain, special.is_none(), budget).map_err(|mut e| {
                e.offset = Some(text.offset() + e.offset.unwrap_or(0));
                e
            })?;
            text.advance(taken);
            match text.rest().first().copied() {
                Some(b'"') => break,
                Some(b'\\') => self.escape(text, &mut high, budget)?,
                // The window's end, perhaps inside a character.
                _ if text.refill()? => {}
                _ => return Err(text.truncated()),
            }
        }
        text.advance(1);
        self.flush(&mut high, budget)
    }

    /// Appends text without quotes and escapes; says how much of it, which is all of it but for a last character that
    /// goes on behind the window (`open`). What is no UTF-8 becomes U+FFFD, as a TextDecoder has it.
    fn plain(&mut self, mut plain: &[u8], open: bool, budget: &mut Budget) -> Result<usize> {
        let all = plain.len();
        budget.grow(&mut self.bytes, plain.len(), WHAT)?;
        // One look at all of it, many bytes at a time: nearly every text is nothing but this.
        if !plain.iter().fold(false, |other, &b| other | !(0x20..0x80).contains(&b)) {
            self.bytes.extend_from_slice(plain)?;
            return Ok(all);
        }
        if let Some(at) = plain.iter().position(|&b| b < 0x20) {
            let message = "a string holds a control character that is not escaped";
            return Err(Error::at(Code::Corrupt, at as u64, message));
        }
        while let Err(e) = std::str::from_utf8(plain) {
            let (valid, rest) = plain.split_at(e.valid_up_to());
            self.bytes.extend_from_slice(valid)?;
            plain = rest;
            if e.error_len().is_none() && open {
                return Ok(all - rest.len());
            }
            budget.grow(&mut self.bytes, plain.len() + 3, WHAT)?;
            self.bytes.extend_from_slice("\u{fffd}".as_bytes())?;
            plain = &rest[e.error_len().unwrap_or(rest.len())..];
        }
        self.bytes.extend_from_slice(plain)?;
        Ok(all)
    }

    /// One escape sequence.
    fn escape(&mut self, text: &mut Text, high: &mut Option<u16>, budget: &mut Budget) -> Result<()> {
        if text.rest().len() < 6 {
            text.refill()?;
        }
        let Some(&letter) = text.rest().get(1) else { return Err(text.truncated()) };
        let simple = match letter {
            b'"' | b'\\' | b'/' => letter,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let mut unit = 0u16;
                for i in 2..6 {
                    let Some(&digit) = text.rest().get(i) else { return Err(text.truncated()) };
                    let Some(digit) = (digit as char).to_digit(16) else {
                        return Err(text.error(Code::Corrupt, "\\u in a string wants four hexadecimal digits"));
                    };
                    unit = unit << 4 | digit as u16;
                }
                text.advance(6);
                return self.unit(unit, high, budget);
            }
            _ => return Err(text.error(Code::Corrupt, "a string has an escape that JSON does not know")),
        };
        text.advance(2);
        self.flush(high, budget)?;
        budget.grow(&mut self.bytes, 1, WHAT)?;
        self.bytes.push(simple)?;
        Ok(())
    }

    /// One escaped UTF-16 unit: two halves become one character, a lone one stays itself.
    fn unit(&mut self, unit: u16, high: &mut Option<u16>, budget: &mut Budget) -> Result<()> {
        if let (0xdc00..=0xdfff, Some(first)) = (unit, *high) {
            *high = None;
            budget.grow(&mut self.bytes, 4, WHAT)?;
            let point = 0x1_0000 + ((u32::from(first) & 0x3ff) << 10 | u32::from(unit) & 0x3ff);
            let c = char::from_u32(point).unwrap_or(char::REPLACEMENT_CHARACTER);
            return self.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.flush(high, budget)?;
        if (0xd800..=0xdbff).contains(&unit) {
            *high = Some(unit);
            return Ok(());
        }
        self.push_unit(unit, budget)
    }

    /// Appends a high surrogate that stayed alone.
    #[inline]
    fn flush(&mut self, high: &mut Option<u16>, budget: &mut Budget) -> Result<()> {
        high.take().map_or(Ok(()), |unit| self.push_unit(unit, budget))
    }

    fn push_unit(&mut self, unit: u16, budget: &mut Budget) -> Result<()> {
        budget.grow(&mut self.bytes, 3, WHAT)?;
        let tail = |shift: u16| 0x80 | (unit >> shift & 0x3f) as u8;
        match unit {
            0..0x80 => self.bytes.push(unit as u8)?,
            0x80..0x800 => self.bytes.extend_from_slice(&[0xc0 | (unit >> 6) as u8, tail(0)])?,
            _ => self.bytes.extend_from_slice(&[0xe0 | (unit >> 12) as u8, tail(6), tail(0)])?,
        }
        Ok(())
    }
}
