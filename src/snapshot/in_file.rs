//! Long strings stay in the file until somebody asks for one: most never are, and to copy them takes longer than to read
//! all the rest of a snapshot that is mostly text.

use std::{
    fs::{File, Metadata},
    path::PathBuf,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    JsStr,
    budget::Budget,
    pages::Column,
    records::Bytes,
    source::{read_at, unreadable},
    unescape::Unescape,
};
use crate::{
    error::{Code, Error, Result},
    progress::Progress,
};

/// From so many bytes on a string is long.
pub(super) const LONG: usize = 256;
/// How much is read at once where all strings are gone through.
const AHEAD: usize = 256 << 10;

/// The file that a snapshot's text is, offset for offset.
pub(super) struct Origin {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
}

/// Where a long string stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) index: u32,
    /// Bytes between its quotes.
    pub(super) length: u32,
    /// Of the opening quote.
    pub(super) offset: u64,
}

/// The long strings of a snapshot's file.
#[derive(Default)]
pub(super) struct InFile {
    file: Option<(Origin, Metadata)>,
    /// By index, ascending.
    places: Column<Place>,
    /// Those that were asked for, in the order of `places`.
    known: Vec<OnceLock<Known>>,
    known_bytes: AtomicU64,
    /// The most that `known_bytes` may become.
    room: u64,
    failure: OnceLock<Error>,
}

type Known = Box<[OnceLock<Box<[u8]>>]>;

/// Of `places`, in one of `known`.
const TOGETHER: usize = 64;

impl InFile {
    /// Those at `places`, by index, in a file that must not change any more.
    pub(super) fn new(origin: Option<Origin>, mut places: Column<Place>, budget: &mut Budget) -> Result<Self> {
        let Some(origin) = origin.filter(|_| !places.is_empty()) else { return Ok(InFile::default()) };
        budget.shrink(&mut places);
        let known = (0..places.len().div_ceil(TOGETHER)).map(|_| OnceLock::new()).collect();
        let metadata = origin.file.metadata().map_err(|e| unreadable(&e))?;
        Ok(InFile { file: Some((origin, metadata)), places, known, room: u64::MAX, ..InFile::default() })
    }

    /// The string at `index`; an empty one if it is none of these, or could not be read: then [`check`](Self::check) fails.
    #[inline]
    pub(super) fn get(&self, index: u32) -> JsStr<'_> {
        if self.places.is_empty() { JsStr(b"") } else { self.find(index) }
    }

    fn find(&self, index: u32) -> JsStr<'_> {
        let Ok(at) = self.places.binary_search_by_key(&index, |place| place.index) else { return JsStr(b"") };
        let known = self.known[at / TOGETHER].get_or_init(|| (0..TOGETHER).map(|_| OnceLock::new()).collect());
        JsStr(known[at % TOGETHER].get_or_init(|| {
            let read = || {
                let place = self.places[at];
                let mut literal = Window::default();
                let text = literal.text(self, place)?;
                let length = text.len() as u64;
                if self.known_bytes.fetch_add(length, Ordering::Relaxed).saturating_add(length) > self.room {
                    self.known_bytes.fetch_sub(length, Ordering::Relaxed);
                    let message = "the long strings that this takes from the file are more than is allowed (maxMemory)";
                    return Err(Error::new(Code::MemoryBudget, message));
                }
                Ok(text.into())
            };
            read().unwrap_or_else(|error| {
                let _ = self.failure.set(error);
                Box::default()
            })
        }))
    }

    /// Goes through all of them.
    pub(super) fn through<'a>(&'a self, progress: &'a Progress) -> Through<'a> {
        Through { strings: self, progress, next: 0, window: Window::default() }
    }

    /// Fails when one could not be read.
    pub(super) fn check(&self) -> Result<()> {
        self.failure.get().map_or(Ok(()), |error| Err(self.named(error.clone())))
    }

    /// Bounds what those that are asked for may take.
    pub(super) fn allow(&mut self, bytes: u64) {
        self.room = bytes;
    }

    pub(super) fn memory(&self) -> u64 {
        self.places.memory()
            + (self.known.len() * size_of::<OnceLock<Known>>()) as u64
            + self.known_bytes.load(Ordering::Relaxed)
    }

    fn named(&self, error: Error) -> Error {
        match &self.file {
            Some((origin, _)) => error.with_file(&origin.path),
            None => error,
        }
    }

    /// Reads at an offset, as far as the file goes, if it is still the same.
    fn read(&self, buffer: &mut [u8], offset: u64) -> Result<usize> {
        let Some((Origin { file, .. }, before)) = &self.file else { return Err(changed()) };
        let now = file.metadata().map_err(|e| unreadable(&e))?;
        if now.len() != before.len() || now.modified().ok() != before.modified().ok() {
            return Err(changed());
        }
        read_at(file, buffer, offset).map_err(|e| unreadable(&e))
    }
}

/// One string after the other.
pub(super) struct Through<'a> {
    strings: &'a InFile,
    progress: &'a Progress,
    next: usize,
    window: Window,
}

impl Through<'_> {
    /// The string at `index`, which is behind the one before, if it is one of these.
    pub(super) fn get(&mut self, index: u32) -> Result<Option<JsStr<'_>>> {
        let Some(&place) = self.strings.places.get(self.next).filter(|place| place.index == index) else {
            return Ok(None);
        };
        self.next += 1;
        let ahead = AHEAD.max(place.length as usize + 2);
        if !self.window.holds(place) {
            self.progress.check()?;
            self.window.fill(self.strings, place.offset, ahead).map_err(|e| self.strings.named(e))?;
        }
        self.window.text(self.strings, place).map(|text| Some(JsStr(text))).map_err(|e| self.strings.named(e))
    }
}

/// A part of the file, and one string out of it.
#[derive(Default)]
struct Window {
    offset: u64,
    bytes: Vec<u8>,
    text: Column<u8>,
}

impl Window {
    fn holds(&self, place: Place) -> bool {
        let end = self.offset + self.bytes.len() as u64;
        (self.offset..end).contains(&place.offset) && place.end() <= end
    }

    fn fill(&mut self, strings: &InFile, offset: u64, bytes: usize) -> Result<()> {
        let refused =
            |_| Error::new(Code::MemoryBudget, format!("the system refused {bytes} bytes of memory for a string"));
        self.bytes.clear();
        self.bytes.try_reserve_exact(bytes).map_err(refused)?;
        self.bytes.resize(bytes, 0);
        let read = strings.read(&mut self.bytes, offset)?;
        self.bytes.truncate(read);
        self.offset = offset;
        Ok(())
    }

    /// What the literal at a place says.
    fn text(&mut self, strings: &InFile, place: Place) -> Result<&[u8]> {
        if !self.holds(place) {
            self.fill(strings, place.offset, place.length as usize + 2)?;
        }
        let start = (place.offset - self.offset) as usize;
        let literal = self.bytes.get(start..start + place.length as usize + 2).ok_or_else(changed)?;
        let mut literal = literal.strip_prefix(b"\"").ok_or_else(changed)?;
        self.text.clear();
        let budget = &mut Budget::new(None);
        Unescape { bytes: &mut self.text, budget, what: "a long string" }
            .literal(&mut literal)
            .map_err(|_| changed())?;
        if !literal.is_empty() {
            return Err(changed());
        }
        Ok(&self.text)
    }
}

impl Place {
    /// Behind the closing quote.
    fn end(self) -> u64 {
        self.offset + u64::from(self.length) + 2
    }
}

impl Bytes for &[u8] {
    fn rest(&self) -> &[u8] {
        self
    }

    fn advance(&mut self, bytes: usize) {
        *self = &self[bytes..];
    }

    fn more(&mut self) -> Result<()> {
        Err(changed())
    }

    fn offset(&self) -> u64 {
        0
    }
}

fn changed() -> Error {
    Error::new(
        Code::Io,
        "the file has changed since it was opened, and the answer needs strings from it; open it again",
    )
}
