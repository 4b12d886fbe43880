//! Several threads on pieces of one thing, whose results are wanted in the order of the pieces.
//!
//! The calling thread makes the pieces and takes their results; while it waits for one it works on another itself. Nothing
//! is shared but two queues.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError, mpsc},
    thread,
};

use crate::error::{Code, Error, Result};

/// Pieces on their way, for each worker.
const PIECES: usize = 4;

/// A piece on its way.
struct Numbered<P> {
    piece: P,
    /// Place among the pieces.
    number: usize,
    /// Whether working on it came to an end.
    done: bool,
}

/// Makes pieces with `next`, which gets one that is no longer needed if there is one, until it has no more; works on each in
/// some thread, by what `worker` has made for that thread; and hands them to `take` in their order, until it wants no more.
/// Where the system has no thread, nothing is made.
pub(super) fn in_order<P: Send, W: FnMut(&mut P)>(
    workers: usize,
    worker: impl Fn() -> W + Sync,
    mut next: impl FnMut(Option<P>) -> Result<Option<P>>,
    mut take: impl FnMut(&mut P) -> Result<bool>,
) -> Result<()> {
    let (to_do, pieces) = mpsc::channel::<Numbered<P>>();
    let (to_take, done) = mpsc::channel::<Numbered<P>>();
    let pieces = Mutex::new(pieces);
    thread::scope(|scope| {
        // Gone when this returns, for workers to end.
        let to_do = to_do;
        let mut started = 0;
        for _ in 0..workers {
            let to_take = to_take.clone();
            let (pieces, worker) = (&pieces, &worker);
            let work = move || {
                let mut work = worker();
                loop {
                    let next = pieces.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(mut piece) = next else { return };
                    // A panic must not leave the calling thread waiting.
                    piece.done = catch_unwind(AssertUnwindSafe(|| work(&mut piece.piece))).is_ok();
                    if to_take.send(piece).is_err() {
                        return;
                    }
                }
            };
            // Where the system has no thread for us, fewer do.
            started += usize::from(thread::Builder::new().name("heaprs-read".into()).spawn_scoped(scope, work).is_ok());
        }
        drop(to_take);
        let mut work = worker();
        // A worker that waits for pieces has the lock; then there are none.
        let help = || {
            let mut piece = pieces.try_lock().ok()?.try_recv().ok()?;
            work(&mut piece.piece);
            piece.done = true;
            Some(piece)
        };
        let mut results = Results { done, help, waiting: VecDeque::new(), next: 0 };
        let mut sent = 0;
        let mut spare = None;
        let mut more = started > 0;
        loop {
            // Of each worker's pieces one is in work, and some wait.
            while more && sent - results.next < PIECES * started {
                match next(spare.take())? {
                    Some(piece) => {
                        to_do.send(Numbered { piece, number: sent, done: false }).map_err(|_| gone())?;
                        sent += 1;
                    }
                    None => more = false,
                }
            }
            if results.next == sent {
                return Ok(());
            }
            let mut piece = results.next()?;
            if !take(&mut piece)? {
                return Ok(());
            }
            spare = Some(piece);
        }
    })
}

/// Results come in any order.
struct Results<P, H> {
    done: mpsc::Receiver<Numbered<P>>,
    /// Makes one here.
    help: H,
    /// Those from `next` on that are here.
    waiting: VecDeque<Option<Numbered<P>>>,
    next: usize,
}

impl<P, H: FnMut() -> Option<Numbered<P>>> Results<P, H> {
    fn next(&mut self) -> Result<P> {
        let next = loop {
            if let Some(next) = self.waiting.front_mut().and_then(Option::take) {
                break next;
            }
            let piece = match self.done.try_recv() {
                Ok(piece) => piece,
                Err(_) => match (self.help)() {
                    Some(piece) => piece,
                    None => self.done.recv().map_err(|_| gone())?,
                },
            };
            let place = piece.number - self.next;
            if self.waiting.len() <= place {
                self.waiting.resize_with(place + 1, || None);
            }
            self.waiting[place] = Some(piece);
        };
        self.waiting.pop_front();
        self.next += 1;
        if !next.done {
            return Err(Error::new(Code::Internal, "a reading thread failed"));
        }
        Ok(next.piece)
    }
}

fn gone() -> Error {
    Error::new(Code::Internal, "the reading threads are gone")
}
