//! The array of strings, as it is read: by one thread or by several.
//!
//! V8 puts each string on a line of its own, and no string has a line break in it. So a thread can read any piece of the file
//! by itself, from the first line that begins in it to the first that begins behind it; its window stays in the cache of its
//! core. No file has to be like that: a piece counts where it begins with the very quote that the one before ended at, and the
//! calling thread reads on from where that is not so, over what is out of the ordinary, and to the `]`.

use std::fs::File;

use memchr::memmem;

use super::{
    budget::Budget,
    in_file::{LONG, Origin, Place},
    in_order::in_order,
    pages::Column,
    parallel::WORTH_IT,
    records::{Bytes, Rest},
    source::{read_at, unreadable},
    text::Text,
    unescape::Unescape,
};
use crate::error::{Code, Error, Result};

pub(super) const WHAT: &str = "the strings";

/// From one string to the next, as V8 writes it.
const NEXT: &[u8] = b",\n\"";
/// Of it, what is in front of the quote.
const BREAK: usize = NEXT.len() - 1;

/// Bytes of the file in a piece, and those behind it that its last string may take. V8 cuts strings at 1,024 characters.
const PIECE: usize = 256 << 10;
const BEHIND: usize = 8 << 10;
/// Bytes that the calling thread reads alone before it tries with others again.
const ALONE: u64 = 8 << 20;

/// What strings say, in the order of the array.
#[derive(Default)]
pub(super) struct Literals {
    pub(super) bytes: Column<u8>,
    /// Their lengths in bytes; 0 for those that stay in the file.
    pub(super) lengths: Column<u32>,
    /// Where these are.
    pub(super) places: Column<Place>,
}

impl Literals {
    /// Reads the array, from `[` to `]`. Long strings stay in the file that `text` is, where it is one.
    pub(super) fn read(text: &mut Text, budget: &mut Budget, origin: Option<&Origin>, threads: usize) -> Result<Self> {
        let mut literals = Literals::default();
        text.expect(b'[')?;
        if text.token()? != b']' {
            text.expect(b'"')?;
            loop {
                if let Some(origin) = origin.filter(|_| threads > 1 && text.most_left() >= Some(WORTH_IT)) {
                    literals.read_pieces(text, &origin.file, budget, threads - 1)?;
                }
                let until = text.offset() + ALONE;
                if !literals.read_alone(text, budget, origin.is_some(), until)? {
                    break;
                }
            }
        }
        text.advance(1);
        Ok(literals)
    }

    /// How many.
    pub(super) fn count(&self) -> Result<u32> {
        let count = u32::try_from(self.lengths.len()).ok().filter(|&count| count < u32::MAX);
        count.ok_or_else(|| Error::new(Code::Corrupt, "there are more strings than 32 bits can count"))
    }

    /// Reads on, from behind the opening quote of one string to behind that of the first at `until` or later, or up to the
    /// `]`: whether it was a string.
    fn read_alone(&mut self, text: &mut Text, budget: &mut Budget, leave_long: bool, until: u64) -> Result<bool> {
        while !self.read_lines(text, budget, leave_long, until)? {
            match text.token()? {
                b',' => {
                    text.advance(1);
                    text.expect(b'"')?;
                }
                b']' => return Ok(false),
                _ => return Err(text.error(Code::Corrupt, "expected ',' or ']' between strings")),
            }
        }
        Ok(true)
    }

    /// The same as long as a string follows as V8 writes it: `false` where something else does.
    fn read_lines(&mut self, text: &mut impl Bytes, budget: &mut Budget, leave_long: bool, until: u64) -> Result<bool> {
        loop {
            let (start, offset) = (self.bytes.len(), text.offset());
            let may_stay = |text: &[u8]| leave_long && may_stay(text);
            let here = Unescape { bytes: &mut self.bytes, budget, what: WHAT }.literal_unless(text, may_stay)?;
            let literal = u32::try_from(text.offset() - offset - 1);
            if let (true, Ok(length)) = (!here || may_stay(&self.bytes[start..]), literal) {
                self.bytes.truncate(start);
                budget.grow(&mut self.places, 1, "the places of long strings")?;
                self.places.push(Place { index: self.count()?, length, offset: offset - 1 })?;
            }
            let length = u32::try_from(self.bytes.len() - start)
                .map_err(|_| Error::at(Code::Corrupt, text.offset(), "a string is longer than 4 GB"))?;
            budget.grow(&mut self.lengths, 1, WHAT)?;
            self.lengths.push(length)?;
            if !text.rest().starts_with(NEXT) {
                return Ok(false);
            }
            text.advance(NEXT.len());
            if text.offset() > until {
                return Ok(true);
            }
        }
    }

    /// Reads on with other threads, as far as all is as V8 writes it, from behind the opening quote of one string to behind
    /// that of another.
    fn read_pieces(&mut self, text: &mut Text, file: &File, budget: &mut Budget, workers: usize) -> Result<()> {
        let first = text.offset() - 1;
        let end = first + text.most_left().unwrap_or(0);
        let (mut from, mut reached) = (first, first);
        let next = |spare: Option<Piece>| {
            if from >= end {
                return Ok(None);
            }
            let mut piece = spare.unwrap_or_default();
            (piece.from, piece.start) = (from, (from == first).then_some(first));
            from += PIECE as u64;
            Ok(Some(piece))
        };
        let append = |piece: &mut Piece| {
            let Some(next) = piece.next.filter(|_| piece.start == Some(reached)) else { return Ok(false) };
            self.append(&piece.literals, budget)?;
            reached = next;
            text.pass_to(reached + 1)?;
            Ok(true)
        };
        let worker = || {
            let mut window = vec![0; BREAK + PIECE + BEHIND];
            move |piece: &mut Piece| piece.read(file, &mut window)
        };
        in_order(workers, worker, next, append)?;
        text.go_on_in(file)
    }

    fn append(&mut self, more: &Literals, budget: &mut Budget) -> Result<()> {
        let before = self.count()?;
        budget.grow(&mut self.bytes, more.bytes.len(), WHAT)?;
        self.bytes.extend_from_slice(&more.bytes)?;
        budget.grow(&mut self.lengths, more.lengths.len(), WHAT)?;
        self.lengths.extend_from_slice(&more.lengths)?;
        self.count()?;
        budget.grow(&mut self.places, more.places.len(), "the places of long strings")?;
        more.places.iter().try_for_each(|&place| self.places.push(Place { index: before + place.index, ..place }))
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.lengths.clear();
        self.places.clear();
    }
}

/// A piece of the file, and the strings that begin in it.
#[derive(Default)]
struct Piece {
    from: u64,
    /// Offset of the quote that the first of them begins with, and of that which the first behind them does; `None` where
    /// they could not be found or read.
    start: Option<u64>,
    next: Option<u64>,
    literals: Literals,
}

impl Piece {
    /// Reads it, if all is as V8 writes it: what is wrong, the calling thread will find.
    fn read(&mut self, file: &File, window: &mut [u8]) {
        self.literals.clear();
        self.next = self.strings(file, window).unwrap_or(None);
    }

    fn strings(&mut self, file: &File, window: &mut [u8]) -> Result<Option<u64>> {
        let base = self.from - BREAK as u64;
        let bytes = read_at(file, window, base).map_err(|e| unreadable(&e))?;
        let window = &window[..bytes];
        let Some(start) = self.start.map(|_| 0).or_else(|| memmem::find(window, NEXT)) else { return Ok(None) };
        self.start = Some(self.from + start as u64);
        let mut rest = Rest::new(window, start + NEXT.len(), base);
        let until = self.from + PIECE as u64;
        // A window's text takes little memory, and gives it back.
        let is_next = self.literals.read_lines(&mut rest, &mut Budget::new(None), true, until)?;
        Ok(is_next.then(|| rest.offset() - 1))
    }
}

/// Whether a string is better left in the file: a long one, but for what looks like the name of half a WeakMap's entry, which
/// distances depend on.
fn may_stay(text: &[u8]) -> bool {
    text.len() >= LONG && !(text[0].is_ascii_digit() && text[text.len() - 1] == b')')
}

#[cfg(test)]
mod tests {
    use std::{io::Write, sync::Arc};

    use super::{super::source::Source, *};
    use crate::progress::Progress;

    #[test]
    fn pieces_are_read_up_to_the_last_one_and_to_what_is_no_line_of_v8() {
        let lines = |some: usize| (0..some).map(|i| format!("\"{}\"", "\\u00e4b".repeat(i % 60))).collect::<Vec<_>>();
        let long = format!("\"{}\"", "long".repeat(PIECE));
        let before = lines(6_000).join(",\n");
        for (between, is_all) in [(",\n", true), (" ,\n", false), (&*format!(",\n{long},\n"), false)] {
            let text = format!("head [{before}{between}{before}]}}");
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let progress = Progress::default();
            let open = || {
                let origin = Origin { file: Arc::new(file.reopen().unwrap()), path: file.path().to_owned() };
                let source = Source::new(Box::new(origin.file.clone()), Some(text.len() as u64)).unwrap();
                let mut text = Text::new(source, &progress).unwrap();
                text.advance("head ".len());
                (text, origin, Budget::new(None))
            };

            let (mut some, origin, mut budget) = open();
            some.advance("[\"".len());
            Literals::default().read_pieces(&mut some, &origin.file, &mut budget, 1).unwrap();
            let stop = if is_all { text.len() } else { "head [".len() + before.len() };
            let offset = some.offset() as usize;
            assert!((stop - PIECE - BEHIND..stop).contains(&offset), "{offset} of {stop}");

            let [one, two] = [1, 2].map(|threads| {
                let (mut text, origin, mut budget) = open();
                let read = Literals::read(&mut text, &mut budget, Some(&origin), threads).unwrap();
                let places: Vec<_> = read.places.iter().map(|p| (p.index, p.length, p.offset)).collect();
                (read.bytes.to_vec(), read.lengths.to_vec(), places, text.offset())
            });
            assert!(one == two && one.3 == text.len() as u64 - 1);
        }
    }
}
