//! A second thread that reads a file a little ahead of the one that looks at what it says, which reads too when there is
//! nothing to look at.

use std::{
    fs::File,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{self, TryRecvError},
    },
    thread::{self, JoinHandle},
};

use super::source::{read_at, unreadable};
use crate::error::{Code, Error, Result};

/// Windows on their way, and bytes in each: so many that to wake a thread for one does not count.
const WINDOWS: usize = 4;
const WINDOW: usize = 1 << 20;
/// Bytes at the head of each that are left for what the one before still had unread.
pub(super) const HEAD: usize = 64;

pub(super) struct Ahead {
    file: Arc<Parts>,
    filled: mpsc::Receiver<(u64, io::Result<Filled>)>,
    /// While the thread is wanted.
    empty: Option<mpsc::Sender<Box<[u8]>>>,
    thread: Option<JoinHandle<()>>,
    /// The number of the part that comes next.
    next: u64,
    /// A part that was read here, and comes later.
    own: Option<(u64, Filled)>,
    /// For the next one that is read here.
    spare: Option<Box<[u8]>>,
    over: bool,
}

/// A window, and how many bytes behind its head are the file's.
pub(super) struct Filled {
    pub(super) window: Box<[u8]>,
    pub(super) bytes: usize,
}

/// A file in parts that fill a window each.
struct Parts {
    file: Arc<File>,
    start: u64,
    /// How many are read or in work.
    taken: AtomicU64,
}

impl Parts {
    /// Reads the next part that nobody has.
    fn read(&self, mut window: Box<[u8]>) -> (u64, io::Result<Filled>) {
        let part = self.taken.fetch_add(1, Ordering::Relaxed);
        let offset = self.start + part * (WINDOW - HEAD) as u64;
        let bytes = read_at(&self.file, &mut window[HEAD..], offset);
        (part, bytes.map(|bytes| Filled { window, bytes }))
    }
}

fn window() -> Box<[u8]> {
    vec![0; WINDOW].into_boxed_slice()
}

impl Ahead {
    /// Begins to read at an offset; `None` where the system has no thread for it.
    pub(super) fn start(file: Arc<File>, start: u64) -> Option<Ahead> {
        let file = Arc::new(Parts { file, start, taken: AtomicU64::new(0) });
        let (empty, to_fill) = mpsc::channel();
        let (done, filled) = mpsc::channel();
        for _ in 0..WINDOWS {
            empty.send(window()).ok()?;
        }
        let parts = file.clone();
        let read = move || {
            for window in to_fill {
                if done.send(parts.read(window)).is_err() {
                    return;
                }
            }
        };
        let thread = thread::Builder::new().name("heaprs-read".into()).spawn(read).ok()?;
        let (empty, thread) = (Some(empty), Some(thread));
        Some(Ahead { file, filled, empty, thread, next: 0, own: None, spare: Some(window()), over: false })
    }

    /// The next part of the file; `None` at its end.
    pub(super) fn next(&mut self) -> Result<Option<Filled>> {
        if self.over {
            return Ok(None);
        }
        let failed = || Error::new(Code::Internal, "a reading thread failed");
        let filled = loop {
            if let Some((_, own)) = self.own.take_if(|(part, _)| *part == self.next) {
                break own;
            }
            let one_is_enough = self.own.is_some();
            let (part, filled) = match self.filled.try_recv() {
                Ok(read) => read,
                Err(TryRecvError::Disconnected) => return Err(failed()),
                Err(TryRecvError::Empty) => match self.spare.take_if(|_| !one_is_enough) {
                    Some(window) => self.file.read(window),
                    None => self.filled.recv().map_err(|_| failed())?,
                },
            };
            let filled = filled.map_err(|e| unreadable(&e))?;
            if part == self.next {
                break filled;
            }
            // The thread has the next one in work.
            self.own = Some((part, filled));
        };
        self.next += 1;
        // Behind its end, a file that grows would have parts again.
        self.over = filled.bytes < WINDOW - HEAD;
        Ok((filled.bytes > 0).then_some(filled))
    }

    /// Takes a window back that has been read.
    pub(super) fn give_back(&mut self, window: Box<[u8]>) {
        if window.len() < WINDOW {
            return;
        }
        if self.spare.is_none() {
            self.spare = Some(window);
        } else if let Some(empty) = &self.empty {
            // Refused when the thread has failed, which is heard of soon.
            let _ = empty.send(window);
        }
    }
}

impl Drop for Ahead {
    /// Nothing goes on afterwards.
    fn drop(&mut self) {
        self.empty = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
