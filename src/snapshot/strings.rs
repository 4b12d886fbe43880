//! The string table.

use super::{
    JsStr,
    budget::Budget,
    in_file::{InFile, LONG, Origin},
    narrow::Narrow,
    pages::Column,
    parallel::WORTH_IT,
    records::Bytes,
    text::Text,
    unescape::Unescape,
};
use crate::{
    error::{Code, Result},
    progress::Progress,
};

const WHAT: &str = "the strings";

/// The string table.
#[derive(Default)]
pub struct Strings {
    bytes: Column<u8>,
    /// Their lengths in bytes.
    lengths: Narrow,
    /// Where each [`STRIDE`]th begins in `bytes`.
    starts: Column<u64>,
    /// Those that are not in `bytes`, and have a length of 0 there.
    in_file: InFile,
}

/// From one string to the next, as V8 writes it.
const NEXT: &[u8] = b",\n\"";

/// From one string whose place is known to the next such.
const STRIDE: u32 = 16;

/// The string indices of one text (a table may have it more than once): for loops that ask of every node whether it has that name, without
/// a look at the strings themselves.
pub(crate) struct Spelled {
    first: Option<u32>,
    more: Vec<u32>,
}

impl Spelled {
    /// The first of them.
    pub(crate) fn first(&self) -> Option<u32> {
        self.first
    }

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
    /// The string at an index; indices are checked when the file is read. A long one may have stayed in the file until now:
    /// where it can't be read any more, it is empty and [`check`](Self::check) fails.
    pub fn get(&self, index: u32) -> JsStr<'_> {
        match self.short(index) {
            JsStr(b"") => self.in_file.get(index),
            text => text,
        }
    }
    /// The string at an index, or an empty one if it is long and may still be in the file: what to compare with names that heaprs
    /// knows, none of which is long.
    #[inline]
    pub(crate) fn short(&self, index: u32) -> JsStr<'_> {
        let near = index / STRIDE;
        let before = (near * STRIDE..index).map(|index| self.lengths.get(index) as usize).sum::<usize>();
        let start = self.starts[near as usize] as usize + before;
        JsStr(&self.bytes[start..start + self.lengths.get(index) as usize])
    }
    /// Hands over all strings, in the order of the table, with their indices. Those in the file are there one at a time.
    /// Can be cancelled.
    pub fn each(&self, progress: &Progress, mut see: impl FnMut(u32, JsStr<'_>) -> Result<()>) -> Result<()> {
        let mut in_file = self.in_file.through(progress);
        for (index, text) in (0..).zip(self.short_ones()) {
            if index % (1 << 14) == 0 {
                progress.check()?;
            }
            see(index, in_file.get(index)?.unwrap_or(text))?;
        }
        Ok(())
    }
    /// All strings, as [`short`](Self::short) has them.
    pub(crate) fn short_ones(&self) -> impl Iterator<Item = JsStr<'_>> {
        let mut start = 0;
        (0..self.len() as u32).map(move |index| {
            let range = start..start + self.lengths.get(index) as usize;
            start = range.end;
            JsStr(&self.bytes[range])
        })
    }
    /// Fails when a string could not be read from the file any more: what was made of it is wrong.
    pub fn check(&self) -> Result<()> {
        self.in_file.check()
    }

    /// Where the table has `text`, which is not long.
    pub(crate) fn spelled(&self, text: &str) -> Spelled {
        debug_assert!((1..LONG).contains(&text.len()));
        let mut found = (0..).zip(self.short_ones()).filter(|(_, one)| one.is(text)).map(|(index, _)| index);
        Spelled { first: found.next(), more: found.collect() }
    }

    pub(super) fn memory(&self) -> u64 {
        self.bytes.memory() + self.lengths.memory() + self.starts.memory() + self.in_file.memory()
    }

    /// Bounds what strings may take that are still in the file.
    pub(super) fn allow(&mut self, bytes: u64) {
        self.in_file.allow(bytes);
    }

    /// Reads the array of strings, from `[` to `]`. Long ones stay in the file that `text` is.
    pub(super) fn read(
        text: &mut Text,
        budget: &mut Budget,
        origin: Option<Origin>,
        threads: usize,
    ) -> Result<Strings> {
        let mut strings = Strings::default();
        let mut lengths = Column::new();
        text.expect(b'[')?;
        if let Some(origin) = origin.as_ref().filter(|_| threads > 1 && text.most_left() >= Some(WORTH_IT)) {
            text.read_ahead(&origin.file);
        }
        if text.token()? != b']' {
            strings.read_all(&mut lengths, text, budget, origin.is_some())?;
        }
        text.advance(1);
        text.stop_reading_ahead()?;
        budget.shrink(&mut strings.bytes);
        budget.shrink(&mut strings.starts);
        strings.lengths = Narrow::of(lengths)?;
        if let Some(origin) = origin {
            strings.in_file.finish(origin, budget)?;
        }
        Ok(strings)
    }

    /// Reads up to the `]`.
    fn read_all(
        &mut self,
        lengths: &mut Column<u32>,
        text: &mut Text,
        budget: &mut Budget,
        leave_long: bool,
    ) -> Result<()> {
        text.expect(b'"')?;
        loop {
            let (start, offset) = (self.bytes.len(), text.offset());
            if lengths.len().is_multiple_of(STRIDE as usize) {
                budget.grow(&mut self.starts, 1, WHAT)?;
                self.starts.push(start as u64)?;
            }
            let may_stay = |text: &[u8]| leave_long && may_stay(text);
            let here = Unescape { bytes: &mut self.bytes, budget, what: WHAT }.literal_unless(text, may_stay)?;
            let literal = u32::try_from(text.offset() - offset - 1);
            if let (true, Ok(literal)) = (!here || may_stay(&self.bytes[start..]), literal) {
                self.bytes.truncate(start);
                self.in_file.push(lengths.len() as u32, offset - 1, literal, budget)?;
            }
            budget.grow(lengths, 1, WHAT)?;
            let length = u32::try_from(self.bytes.len() - start);
            lengths.push(length.map_err(|_| text.error(Code::Corrupt, "a string is longer than 4 GB"))?)?;
            if lengths.len() >= u32::MAX as usize {
                return Err(text.error(Code::Corrupt, "there are more strings than 32 bits can count"));
            }
            if text.rest().starts_with(NEXT) {
                text.advance(NEXT.len());
                continue;
            }
            match text.token()? {
                b',' => {
                    text.advance(1);
                    text.expect(b'"')?;
                }
                b']' => return Ok(()),
                _ => return Err(text.error(Code::Corrupt, "expected ',' or ']' between strings")),
            }
        }
    }
}

/// Whether a string is better left in the file: a long one, but for what looks like the name of half a WeakMap's entry, which
/// distances depend on.
fn may_stay(text: &[u8]) -> bool {
    text.len() >= LONG && !(text[0].is_ascii_digit() && text[text.len() - 1] == b')')
}
