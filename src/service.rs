//! heaprs's own threads: the one background thread that waits for things, and named threads for long work.
//!
//! The background thread runs a current-thread tokio runtime. It starts when a feature first needs it and is joined
//! when the last JavaScript environment that needed it goes. Loading the addon starts nothing.

use std::{
    io,
    sync::{Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use tokio::{runtime, sync::oneshot};

use crate::error::{Code, Error, Result};

/// How long the last environment waits for the background thread, which only ever runs short steps.
const JOIN_LIMIT: Duration = Duration::from_secs(1);

static STATE: Mutex<State> = Mutex::new(State { users: 0, running: None });

struct State {
    users: usize,
    running: Option<Running>,
}

struct Running {
    handle: runtime::Handle,
    stop: oneshot::Sender<()>,
    stopped: mpsc::Receiver<()>,
}

/// One environment's use of the background thread; the thread ends with its last user.
#[derive(Debug)]
pub struct Lease {
    handle: runtime::Handle,
}

/// Starts the background thread unless it runs.
pub fn lease() -> Result<Lease> {
    let mut state = lock();
    if state.running.is_none() {
        state.running =
            Some(start().map_err(|e| {
                Error::new(Code::Unavailable, format!("could not start heaprs's background thread: {e}"))
            })?);
    }
    let handle = state.running.as_ref().expect("just started").handle.clone();
    state.users += 1;
    Ok(Lease { handle })
}

impl Lease {
    /// Where tasks of this environment are spawned. Tasks must not block: all environments share the one thread.
    pub fn handle(&self) -> &runtime::Handle {
        &self.handle
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let last = {
            let mut state = lock();
            state.users -= 1;
            if state.users == 0 { state.running.take() } else { None }
        };
        if let Some(running) = last {
            // Either may fail only when the thread is gone already.
            let _ = running.stop.send(());
            let _ = running.stopped.recv_timeout(JOIN_LIMIT);
        }
    }
}

/// Starts a thread of its own for work that takes long; `name` shows in debuggers and `top` (its first 8 characters on
/// Linux). A panic of `work` ends that thread only.
pub fn spawn_thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new()
        .name(format!("heaprs-{name}"))
        .spawn(work)
        .map(drop)
        .map_err(|e| Error::new(Code::Unavailable, format!("could not start a thread for {name}: {e}")))
}

fn start() -> io::Result<Running> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    let handle = runtime.handle().clone();
    let (stop, stop_asked) = oneshot::channel();
    let (stopped_tx, stopped) = mpsc::channel();
    thread::Builder::new().name("heaprs".into()).spawn(move || {
        // An error means that the sender is gone, which also means: stop.
        let _ = runtime.block_on(stop_asked);
        runtime.shutdown_background();
        let _ = stopped_tx.send(());
    })?;
    Ok(Running { handle, stop, stopped })
}

fn lock() -> std::sync::MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The thread is one for the process: tests take turns.
    static TURN: Mutex<()> = Mutex::new(());

    #[test]
    fn starts_once_and_ends_with_the_last_lease() {
        let _turn = TURN.lock().unwrap();
        let a = lease().unwrap();
        let b = lease().unwrap();
        let (tx, rx) = mpsc::channel();
        a.handle().spawn(async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            tx.send(thread::current().name().map(str::to_owned)).unwrap();
        });
        assert_eq!(rx.recv_timeout(Duration::from_secs(5)).unwrap().as_deref(), Some("heaprs"));
        drop(a);
        assert!(lock().running.is_some());
        drop(b);
        assert!(lock().running.is_none());
        drop(lease().unwrap());
    }

    #[test]
    fn a_panicking_task_does_not_end_the_thread() {
        let _turn = TURN.lock().unwrap();
        let lease = lease().unwrap();
        drop(lease.handle().spawn(async { panic!("deliberate") }));
        let (tx, rx) = mpsc::channel();
        lease.handle().spawn(async move { tx.send(()).unwrap() });
        rx.recv_timeout(Duration::from_secs(5)).unwrap();
    }
}
