//! Where the bytes come from: a file, a stream or memory, gzipped or not, told apart by the first two bytes.
//!
//! Files are read, not mapped. A mapping of a file that another process shortens raises SIGBUS at the next access,
//! which ends the host: no gain is worth that. A reused buffer costs about a tenth of the parsing time, keeps the
//! file's pages out of the process's resident memory, and leaves this module without `unsafe`.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, BufReader, Cursor, Read},
    path::Path,
};

use flate2::bufread::MultiGzDecoder;

use crate::error::{Code, Error, Result};

/// How much compressed input is taken at a time.
const GZIP_INPUT: usize = 128 << 10;
/// Text that any gzip may expand to, and beyond it the largest ratio taken for a snapshot: real ones reach 10, a
/// bomb 1032.
const FREE_TEXT: u64 = 64 << 20;
const MAX_RATIO: u64 = 200;

/// The snapshot's text as it comes in, with count kept of what was taken from below.
pub(super) enum Source<'a> {
    Plain(Input<'a>),
    Gzip { decoder: Box<MultiGzDecoder<BufReader<Input<'a>>>>, text: u64 },
}

impl<'a> Source<'a> {
    /// Looks at the first two bytes. `total` is the input's length where it is known.
    pub(super) fn new(mut input: Box<dyn Read + 'a>, total: Option<u64>) -> Result<Self> {
        let mut head = [0u8; 2];
        let mut len = 0;
        while len < head.len() {
            match input.read(&mut head[len..]) {
                Ok(0) => break,
                Ok(n) => len += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(read_error(&e)),
            }
        }
        let inner = Box::new(Cursor::new(head).take(len as u64).chain(input));
        let input = Input { inner, taken: 0, total };
        // A lone 0x1f can only be the start of a gzip file that was cut.
        Ok(if head[..len] == [0x1f, 0x8b] || head[..len] == [0x1f] {
            let reader = BufReader::with_capacity(GZIP_INPUT, input);
            Source::Gzip { decoder: Box::new(MultiGzDecoder::new(reader)), text: 0 }
        } else {
            Source::Plain(input)
        })
    }

    /// Fills as much of `buf` as one read gives; 0 is the end.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        loop {
            let read = match self {
                Source::Plain(input) => input.read(buf),
                Source::Gzip { decoder, .. } => decoder.read(buf),
            };
            let n = match read {
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(read_error(&e)),
            };
            if let Source::Gzip { decoder, text } = self {
                *text += n as u64;
                let taken = decoder.get_ref().get_ref().taken;
                if *text > FREE_TEXT + MAX_RATIO * taken {
                    return Err(Error::new(
                        Code::MemoryBudget,
                        format!(
                            "the gzip stream grows more than {MAX_RATIO}-fold, as no heap snapshot does; \
                             unpack it first if it is one"
                        ),
                    ));
                }
            }
            return Ok(n);
        }
    }

    /// Counts bytes as taken that were read past it.
    pub(super) fn pass(&mut self, bytes: u64) {
        match self {
            Source::Plain(input) => input.taken += bytes,
            Source::Gzip { .. } => debug_assert!(false, "offsets in a gzip are none of the text's"),
        }
    }

    /// Input bytes taken so far and in all (0 when not known): of the file, so compressed ones for a gzip.
    pub(super) fn progress(&self) -> (u64, u64) {
        let input = self.input();
        // A file may have grown since it was opened.
        (input.taken, input.total.map_or(0, |total| total.max(input.taken)))
    }

    /// The most text that can still come, `None` when unknown.
    pub(super) fn most_left(&self) -> Option<u64> {
        let input = self.input();
        let left = input.total?.saturating_sub(input.taken);
        Some(match self {
            Source::Plain(_) => left,
            // What the decoder has buffered but not decoded is at most one input buffer.
            Source::Gzip { .. } => (left + GZIP_INPUT as u64).saturating_mul(1032),
        })
    }

    /// Whether [`most_left`](Self::most_left) is what will come, not merely a limit.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Source::Plain(_))
    }

    fn input(&self) -> &Input<'a> {
        match self {
            Source::Plain(input) => input,
            Source::Gzip { decoder, .. } => decoder.get_ref().get_ref(),
        }
    }
}

/// The input below an eventual gzip. Its own failures are marked, to be told from those of the decoder.
pub(super) struct Input<'a> {
    inner: Box<dyn Read + 'a>,
    taken: u64,
    total: Option<u64>,
}

impl Read for Input<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.inner.read(buf) {
            Ok(n) => {
                self.taken += n as u64;
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
            Err(e) => Err(io::Error::other(InputError(e))),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct InputError(io::Error);

fn read_error(error: &io::Error) -> Error {
    if let Some(InputError(e)) = error.get_ref().and_then(|e| e.downcast_ref()) {
        return unreadable(e);
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::new(Code::Truncated, "the file ends inside its gzip stream"),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            Error::new(Code::Corrupt, format!("the gzip stream is damaged: {error}"))
        }
        _ => Error::new(Code::Io, format!("could not read the snapshot: {error}")),
    }
}

/// What is told of a file that can't be read.
pub(super) fn unreadable(error: &io::Error) -> Error {
    Error::own_or_io(error, "read the snapshot")
}

/// Reads at an offset until `buffer` is full or the file is over; says how much that was.
pub(super) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    #[cfg(unix)]
    let read = |buffer: &mut [u8], offset| std::os::unix::fs::FileExt::read_at(file, buffer, offset);
    #[cfg(windows)]
    let read = |buffer: &mut [u8], offset| std::os::windows::fs::FileExt::seek_read(file, buffer, offset);
    let mut done = 0;
    while done < buffer.len() {
        match read(&mut buffer[done..], offset + done as u64) {
            Ok(0) => break,
            Ok(read) => done += read,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// Opens a regular file. A pipe or a device is refused before an `open` could wait for its other end.
pub(super) fn open_regular(path: &Path) -> Result<(File, u64)> {
    let doing = "open the snapshot";
    let checked = |meta: Metadata| {
        if meta.is_file() {
            return Ok(meta.len());
        }
        let kind = if meta.is_dir() { "a directory" } else { "a pipe or device" };
        Err(Error::new(Code::NotAFile, format!("this is {kind}; name a snapshot file")).with_file(path))
    };
    checked(std::fs::metadata(path).map_err(|e| Error::io(&e, doing, path))?)?;
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        // The path may have become a pipe since: then opening must not wait either, and the second look finds it.
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    }
    let file = options.open(path).map_err(|e| Error::io(&e, doing, path))?;
    let len = checked(file.metadata().map_err(|e| Error::io(&e, doing, path))?)?;
    Ok((file, len))
}
