//! A window that slides over the snapshot's text: what every part of the reader takes its bytes from.

use std::{
    fs::File,
    io::{Seek, SeekFrom},
};

use super::{
    records::Bytes,
    source::{Source, unreadable},
};
use crate::{
    error::{Code, Error, Result},
    progress::Progress,
};

/// Bytes in the window. In a core's own cache, and cancellation is looked for at each refill.
const WINDOW: usize = 256 << 10;

pub(super) struct Text<'a> {
    source: Source<'a>,
    progress: &'a Progress,
    window: Box<[u8]>,
    /// The unread part of the window.
    pos: usize,
    end: usize,
    /// Offset in the text of the window's first byte.
    base: u64,
    /// What is being read, for messages.
    pub(super) section: &'static str,
}

impl<'a> Text<'a> {
    pub(super) fn new(source: Source<'a>, progress: &'a Progress) -> Result<Self> {
        let window = vec![0; WINDOW].into_boxed_slice();
        let mut text = Text { source, progress, window, pos: 0, end: 0, base: 0, section: "the file" };
        text.refill()?;
        if text.rest().starts_with(b"\xef\xbb\xbf") {
            text.pos += 3;
        }
        Ok(text)
    }

    /// Slides the window on and reads more behind the unread part; `false` at the end of the text. The unread part
    /// must be smaller than the window.
    pub(super) fn refill(&mut self) -> Result<bool> {
        self.window.copy_within(self.pos..self.end, 0);
        self.base += self.pos as u64;
        self.end -= self.pos;
        self.pos = 0;
        let before = self.end;
        // A gzip decoder gives little at a time.
        while self.end < self.window.len() {
            let at = self.base + self.end as u64;
            match self.source.read(&mut self.window[self.end..]) {
                Ok(0) => break,
                Ok(n) => self.end += n,
                Err(mut e) => {
                    e.offset = Some(at);
                    return Err(e);
                }
            }
        }
        self.report()?;
        Ok(self.end > before)
    }

    /// Passes over what was read elsewhere. Then [`go_on_in`](Self::go_on_in) has to be called before anything is read here.
    pub(super) fn pass_to(&mut self, offset: u64) -> Result<()> {
        let end = self.base + self.end as u64;
        if offset <= end {
            self.advance((offset - self.offset()) as usize);
            return Ok(());
        }
        self.source.pass(offset - end);
        (self.base, self.pos, self.end) = (offset, 0, 0);
        self.report()
    }

    /// Reads on behind what was passed over, in `file`, which is the text.
    pub(super) fn go_on_in(&mut self, mut file: &File) -> Result<()> {
        let end = self.base + self.end as u64;
        file.seek(SeekFrom::Start(end)).map(drop).map_err(|e| unreadable(&e))
    }

    fn report(&self) -> Result<()> {
        let (done, total) = self.source.progress();
        self.progress.report("read", done, total)
    }

    /// How long the window is.
    pub(super) fn window_len(&self) -> usize {
        self.window.len()
    }

    /// Gives the window away, as far as it is read then, for one as long that goes on with the last bytes of it. Says
    /// where in `other` the `bytes` are that count as read now.
    pub(super) fn give(&mut self, other: &mut Box<[u8]>, bytes: usize) -> (usize, usize) {
        debug_assert_eq!(other.len(), self.window.len());
        let given = (self.pos, self.pos + bytes);
        let kept = self.end - given.1;
        other[..kept].copy_from_slice(&self.window[given.1..self.end]);
        std::mem::swap(other, &mut self.window);
        self.base += given.1 as u64;
        (self.pos, self.end) = (0, kept);
        given
    }

    /// The next byte, still unread afterwards; `None` at the end of the text.
    pub(super) fn peek(&mut self) -> Result<Option<u8>> {
        if self.pos == self.end && !self.refill()? {
            return Ok(None);
        }
        Ok(Some(self.window[self.pos]))
    }

    /// The next byte that is no white space, still unread afterwards.
    pub(super) fn peek_token(&mut self) -> Result<Option<u8>> {
        loop {
            let blank = self.rest().iter().position(|b| !b.is_ascii_whitespace());
            match blank {
                Some(n) => {
                    self.pos += n;
                    return Ok(Some(self.window[self.pos]));
                }
                None => self.pos = self.end,
            }
            if !self.refill()? {
                return Ok(None);
            }
        }
    }

    /// The next byte that is no white space, which must be there.
    pub(super) fn token(&mut self) -> Result<u8> {
        self.peek_token()?.ok_or_else(|| self.truncated())
    }

    /// Reads `byte`, after white space.
    pub(super) fn expect(&mut self, byte: u8) -> Result<()> {
        let found = self.token()?;
        if found != byte {
            let message = format!("expected '{}' in {}", byte as char, self.section);
            return Err(self.error(Code::Corrupt, message));
        }
        self.pos += 1;
        Ok(())
    }

    /// An error at the next unread byte.
    pub(super) fn error(&self, code: Code, message: impl Into<String>) -> Error {
        Error::at(code, self.offset(), message)
    }

    /// The error of a text that ends too early.
    pub(super) fn truncated(&self) -> Error {
        let at = self.base + self.end as u64;
        if at == 0 {
            return Error::at(Code::Truncated, 0, "the file is empty");
        }
        Error::at(Code::Truncated, at, format!("the file ends inside {}; it was cut short", self.section))
    }

    /// The most text that is still to come, as far as that is known.
    pub(super) fn most_left(&self) -> Option<u64> {
        Some(self.source.most_left()? + (self.end - self.pos) as u64)
    }

    /// Bytes taken from the input, which are compressed ones for a gzip.
    pub(super) fn input_done(&self) -> u64 {
        self.source.progress().0
    }

    /// Whether offsets in the text are those in the input.
    pub(super) fn is_plain(&self) -> bool {
        self.source.is_plain()
    }

    /// Whether the rest of the text has the length that [`most_left`](Self::most_left) says.
    pub(super) fn length_known(&self) -> bool {
        self.source.is_plain() && self.source.most_left().is_some()
    }
}

impl Bytes for Text<'_> {
    fn rest(&self) -> &[u8] {
        &self.window[self.pos..self.end]
    }

    fn advance(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.end - self.pos);
        self.pos = (self.pos + bytes).min(self.end);
    }

    fn more(&mut self) -> Result<()> {
        if self.refill()? { Ok(()) } else { Err(self.truncated()) }
    }

    fn offset(&self) -> u64 {
        self.base + self.pos as u64
    }
}
