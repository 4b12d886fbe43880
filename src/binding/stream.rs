//! A snapshot that JavaScript hands over piece by piece: what a stream gives, a pipe, standard input.

use std::{
    collections::VecDeque,
    io::{self, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use napi::{
    Env, Status,
    bindgen_prelude::{Function, Object, Uint8Array},
    threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode},
};
use napi_derive::napi;

use super::{
    guard::guard,
    snapshot::{Opened, read_options},
    task::{self, Task},
};
use crate::{
    analysis::Heap,
    error::{Code, Error},
    os,
    progress::Progress,
    snapshot::Snapshot,
};

/// How many bytes wait for the reader before the stream is asked to wait.
const FULL: usize = 4 << 20;

/// How soon a reader that waits hears that it should stop.
const LOOK: Duration = Duration::from_millis(20);

type RoomFunction = ThreadsafeFunction<(), (), (), Status, false, true>;

/// Where JavaScript writes to and a reading thread reads from.
#[napi]
pub struct HeapInput {
    pipe: Arc<Pipe>,
}

#[napi]
impl HeapInput {
    /// `onRoom()` is called on the JavaScript thread when there is room again, and when nothing is read any more.
    #[napi(constructor)]
    pub fn new(env: Env, on_room: Function<'_, (), ()>) -> napi::Result<Self> {
        let room: RoomFunction =
            on_room.build_threadsafe_function().callee_handled::<false>().weak::<true>().build()?;
        let tell = move || {
            // Refused only when the environment is going: then nobody writes either.
            room.call((), ThreadsafeFunctionCallMode::NonBlocking);
        };
        guard(env, "HeapInput", || {
            Ok(HeapInput {
                pipe: Arc::new(Pipe { room: Box::new(tell), state: Mutex::default(), changed: Condvar::new() }),
            })
        })
    }

    /// Takes a piece. False: wait for `onRoom` before the next one.
    #[napi]
    pub fn write(&self, env: Env, piece: Uint8Array) -> napi::Result<bool> {
        guard(env, "HeapInput.write", || {
            let mut state = self.pipe.lock();
            if !state.closed && !piece.is_empty() {
                state.waiting += piece.len();
                state.pieces.push_back(piece.to_vec());
                self.pipe.changed.notify_one();
            }
            Ok(state.has_room())
        })
    }

    /// Whether there is room for a piece.
    #[napi]
    pub fn has_room(&self, env: Env) -> napi::Result<bool> {
        guard(env, "HeapInput.hasRoom", || Ok(self.pipe.lock().has_room()))
    }

    /// Whether nothing is read any more.
    #[napi]
    pub fn is_closed(&self, env: Env) -> napi::Result<bool> {
        guard(env, "HeapInput.isClosed", || Ok(self.pipe.lock().closed))
    }

    /// That was all; or, with a message, why there is no more.
    #[napi]
    pub fn end(&self, env: Env, failure: Option<String>) -> napi::Result<()> {
        guard(env, "HeapInput.end", || {
            let mut state = self.pipe.lock();
            state.ended = true;
            state.failure = failure;
            self.pipe.changed.notify_one();
            Ok(())
        })
    }
}

/// Reads what is written to `input` and computes what every view needs.
#[napi(ts_return_type = "Promise<HeapFile>")]
pub fn open_heap_input<'env>(
    env: &'env Env,
    input: &HeapInput,
    max_memory: Option<f64>,
    threads: Option<u32>,
    task: &Task,
) -> napi::Result<Object<'env>> {
    let pipe = input.pipe.clone();
    task::run(env, "openHeapInput", task, move |progress| {
        let options = read_options(max_memory, threads);
        let reader = PipeReader { pipe, progress: progress.clone(), piece: vec![], taken: 0 };
        let heap = Snapshot::from_reader(reader, &options, progress).and_then(|s| Heap::from_snapshot(s, progress));
        os::trim();
        match heap {
            Ok(heap) => Ok(Opened(Arc::new(heap))),
            // A wait that was broken off looks like a failed read.
            Err(_) if progress.is_cancelled() => Err(Error::new(Code::Aborted, "the operation was aborted")),
            Err(error) => Err(error),
        }
    })
}

struct Pipe {
    room: Box<dyn Fn() + Send + Sync>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    pieces: VecDeque<Vec<u8>>,
    /// Bytes in `pieces`.
    waiting: usize,
    ended: bool,
    failure: Option<String>,
    closed: bool,
}

impl State {
    fn has_room(&self) -> bool {
        self.closed || self.waiting < FULL
    }
}

impl Pipe {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct PipeReader {
    pipe: Arc<Pipe>,
    progress: Progress,
    piece: Vec<u8>,
    taken: usize,
}

impl PipeReader {
    /// The next piece, empty at the end.
    fn next(&self) -> io::Result<Vec<u8>> {
        let mut state = self.pipe.lock();
        loop {
            if self.progress.is_cancelled() {
                return Err(io::Error::other("aborted"));
            }
            if let Some(piece) = state.pieces.pop_front() {
                let was_full = !state.has_room();
                state.waiting -= piece.len();
                let tell = was_full && state.has_room();
                drop(state);
                if tell {
                    (self.pipe.room)();
                }
                return Ok(piece);
            }
            if let Some(failure) = &state.failure {
                return Err(io::Error::other(failure.clone()));
            }
            if state.ended {
                return Ok(vec![]);
            }
            state = self.pipe.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Read for PipeReader {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.taken == self.piece.len() {
            self.piece = self.next()?;
            self.taken = 0;
        }
        let rest = &self.piece[self.taken..];
        let len = rest.len().min(buf.len());
        buf[..len].copy_from_slice(&rest[..len]);
        self.taken += len;
        Ok(len)
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        let mut state = self.pipe.lock();
        state.closed = true;
        state.pieces.clear();
        state.waiting = 0;
        drop(state);
        (self.pipe.room)();
    }
}
