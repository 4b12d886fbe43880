//! The parent's end of the pipe: the snapshot's text, or why there is none.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use super::{
    frames::{self, Frame, HEADER},
    supervise::Supervision,
};
use crate::{
    capture::{memory, timeout},
    error::{Code, Error, Result},
    os::{self, ChildEnd},
    progress::Progress,
};

/// The text that a forked child writes, to be read on any one thread. The end comes only when the text is complete; dropped before, it
/// ends the child. A child that hangs, dies, or needs too much memory is an error.
///
/// Read it piece by piece ([`next_piece`](Self::next_piece)), or as [`Read`].
#[derive(Debug)]
pub struct ForkedText {
    pipe: File,
    supervision: Supervision,
    deadline: Option<Instant>,
    progress: Progress,
    /// What of the last piece has not been read through [`Read`].
    left: Vec<u8>,
    read: usize,
    complete: bool,
    /// Closed when this process ends, which ends the child. Last, so that it outlives the rest.
    _alive: OwnedFd,
}

/// How often a waiting reader looks whether it should go on.
const LOOK: Duration = Duration::from_millis(50);

/// How long a child that has said all may take to end.
const FAREWELL: Duration = Duration::from_secs(2);

impl ForkedText {
    pub(super) fn new(forked: os::Forked, supervision: Supervision, deadline: Option<Instant>) -> Self {
        let os::Forked { child, pipe, alive } = forked;
        supervision.watch(child);
        ForkedText {
            pipe,
            supervision,
            deadline,
            progress: Progress::default(),
            left: Vec::new(),
            read: 0,
            complete: false,
            _alive: alive,
        }
    }

    /// Where the child's own progress goes, and who may cancel.
    pub fn set_progress(&mut self, progress: &Progress) {
        self.progress = progress.clone();
    }

    /// The child's process id, for messages and tests.
    pub fn pid(&self) -> u32 {
        self.supervision.pid()
    }

    /// CPU time the child has used and the most memory it has had, as last seen. Bytes shared with this process count as well.
    pub fn usage(&self) -> (Duration, u64) {
        self.supervision.usage()
    }

    /// The next piece, `None` at the end.
    pub fn next_piece(&mut self) -> Result<Option<Vec<u8>>> {
        if self.complete {
            return Ok(None);
        }
        loop {
            let mut header = [0; HEADER];
            self.fill(&mut header)?;
            let (kind, length) = frames::parse_header(header)?;
            let mut body = vec![0; length];
            self.fill(&mut body)?;
            match frames::parse(kind, &body)? {
                Frame::Text(_) => return Ok(Some(body)),
                Frame::Progress { done, total } => self.progress.report("heap", done.into(), total.into())?,
                Frame::End => {
                    self.complete = true;
                    memory::found_too_short(false);
                    self.supervision.end(FAREWELL);
                    return Ok(None);
                }
                Frame::Failed { message } => return Err(Error::new(Code::ForkFailed, message)),
            }
        }
    }

    /// Reads exactly `bytes`.
    fn fill(&mut self, mut bytes: &mut [u8]) -> Result<()> {
        while !bytes.is_empty() {
            self.wait()?;
            match self.pipe.read(bytes) {
                Ok(0) => return Err(self.ended_early()),
                Ok(n) => bytes = &mut bytes[n..],
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Error::new(Code::ForkFailed, format!("could not read from the child: {e}"))),
            }
        }
        Ok(())
    }

    /// Returns when there is something to read.
    fn wait(&mut self) -> Result<()> {
        loop {
            if self.deadline.is_some_and(|d| Instant::now() >= d) {
                return Err(timeout());
            }
            self.progress.check()?;
            if os::readable_within(&self.pipe, Duration::ZERO) {
                return Ok(());
            }
            self.supervision.reader_waits(true);
            let readable = os::readable_within(&self.pipe, LOOK);
            self.supervision.reader_waits(false);
            if readable {
                return Ok(());
            }
        }
    }

    fn ended_early(&mut self) -> Error {
        let end = self.supervision.end(FAREWELL);
        let error = self.supervision.verdict().unwrap_or_else(|| {
            let how = match end {
                ChildEnd::Killed(signal) => format!("was ended by signal {signal}"),
                ChildEnd::Exited(status) => format!("ended early, with status {status}"),
                ChildEnd::Unknown => "ended early".to_owned(),
            };
            let what = format!("the child process that walked the heap {how}");
            match self.supervision.narrowest_room().filter(|&room| memory::was_short(room)) {
                Some(room) => Error::new(
                    Code::MemoryBudget,
                    format!("{what}, with {} MB left under {}", room.free >> 20, room.by),
                ),
                None => Error::new(Code::ForkFailed, what),
            }
        });
        if error.code == Code::MemoryBudget {
            memory::found_too_short(true);
        }
        error
    }
}

impl Read for ForkedText {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.read == self.left.len() {
            match self.next_piece().map_err(io::Error::other)? {
                Some(piece) => (self.left, self.read) = (piece, 0),
                None => return Ok(0),
            }
        }
        let n = bytes.len().min(self.left.len() - self.read);
        bytes[..n].copy_from_slice(&self.left[self.read..self.read + n]);
        self.read += n;
        Ok(n)
    }
}

impl Drop for ForkedText {
    fn drop(&mut self) {
        self.supervision.end(Duration::ZERO);
    }
}
