//! A child process that is a copy of this one, made so that it can go on with the heap and cannot disturb the app.
//!
//! The parent half: what must be done to memory around `fork` ([`mappings`]), signals held back, the pipe. The child half: [`hygiene`].
//! What the child then does is its caller's; it ends by `_exit`, whatever happens.

mod hygiene;
mod mappings;

use std::{
    fs::File,
    io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use super::Child;
use mappings::Mappings;

pub use hygiene::ChildPipe;

/// What can be found out about the process before the fork, on any thread.
///
/// Reading it walks page tables: 3 ms for a small process, 40 ms at 2 GB resident. It ages within seconds: see [`age`](Self::age).
#[derive(Debug)]
pub struct ForkPreparation {
    mappings: Mappings,
    /// Descriptors of event loops, to which V8's tasks are announced.
    event_descriptors: Vec<RawFd>,
    taken: Instant,
}

/// A forked child and the reading end of its pipe.
#[derive(Debug)]
pub struct Forked {
    /// The child.
    pub child: Child,
    /// What the child writes. It ends when the child does.
    pub pipe: File,
    /// As long as this is open the child lives; it is ended by the kernel when this process ends.
    pub alive: OwnedFd,
}

/// What the kernel is asked to hold the child to.
#[derive(Clone, Copy, Debug)]
pub struct ChildLimits {
    /// The child is ended after this long, whoever may have forgotten it.
    pub lifetime: Duration,
    /// Added to its niceness.
    pub nice: i32,
    /// Bytes it may map beyond what it has from the start; what it then asks for is refused. `None`: as many as this process may.
    pub memory: Option<u64>,
}

/// How much may wait in the pipe.
const PIPE_SIZE: libc::c_int = 1 << 20;

impl ForkPreparation {
    /// Looks at this process.
    pub fn new() -> io::Result<Self> {
        let taken = Instant::now();
        hygiene::widen_descriptor_table();
        Ok(ForkPreparation { mappings: Mappings::scan()?, event_descriptors: event_descriptors(), taken })
    }

    /// How old what it knows is.
    pub fn age(&self) -> Duration {
        self.taken.elapsed()
    }
}

/// Forks. In the child `work` runs, on a copy of this thread's stack, and the child ends with what it returns as its exit status; it
/// also ends when the pipe's reader goes away, when this process ends, or when `limits` say so. In the parent this returns.
///
/// Only this thread exists in the child: `work` must not wait for another, nor for a lock that another may have held.
pub fn fork(
    preparation: &ForkPreparation,
    limits: ChildLimits,
    work: impl FnOnce(&mut ChildPipe) -> i32,
) -> io::Result<Forked> {
    let (pipe, output) = pipe()?;
    let (alive_seen, alive) = pipe_ends()?;
    let (closed_seen, closing) = pipe_ends()?;
    let closing = hygiene::to_be_closed_last(closing);
    // SAFETY: `pipe` is an open pipe of ours; refused (by the user's limit for pipes) it keeps its size, which is only slower.
    unsafe { libc::fcntl(output.as_raw_fd(), libc::F_SETPIPE_SZ, PIPE_SIZE) };
    let lifted = preparation.mappings.lift()?;
    let masked = SignalsHeld::new();
    // SAFETY: the child touches only memory of this thread and what glibc's fork keeps consistent (malloc's locks); it
    // never returns from this block.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let mut output = hygiene::enter(output.as_raw_fd(), alive_seen.as_raw_fd(), preparation, limits);
        let status = catch_unwind(AssertUnwindSafe(|| work(&mut output))).unwrap_or(PANICKED);
        // SAFETY: ends this process without running anybody's exit handlers, which belong to the parent.
        unsafe { libc::_exit(status) }
    }
    let failed = (pid < 0).then(io::Error::last_os_error);
    drop(masked);
    drop(lifted);
    drop(closing);
    if failed.is_none() {
        wait_for_end(&closed_seen, CLOSING_LIMIT);
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(Forked { child: Child::new(pid), pipe: File::from(pipe), alive }),
    }
}

/// How long the child may take to let go of the app's descriptors before the app goes on all the same. It takes 0.2 ms; a busy machine may
/// give it no core at once.
const CLOSING_LIMIT: Duration = Duration::from_millis(20);

/// Waits until nobody holds the other end of a pipe. What the app closes next is then really closed: a port can be bound again at once.
fn wait_for_end(pipe: &OwnedFd, limit: Duration) {
    let mut entry = libc::pollfd { fd: pipe.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one entry and a count of one; an interrupted wait is a shorter one.
    unsafe { libc::poll(&raw mut entry, 1, limit.as_millis() as libc::c_int) };
}

/// The exit status of a child that panicked.
const PANICKED: i32 = 101;

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    pipe_ends()
}

fn pipe_ends() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [0; 2];
    // SAFETY: `ends` is room for the two descriptors.
    if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both were opened just now and belong to nobody else.
    Ok(unsafe { (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) })
}

/// No signal handler of the app may run in the child: all are blocked on this thread across the fork.
struct SignalsHeld(libc::sigset_t);

impl SignalsHeld {
    fn new() -> Self {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: both sets are room for what is written; sigfillset initialises the first before it is used, and
        // pthread_sigmask the second, since it can't fail with SIG_SETMASK.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr());
            SignalsHeld(before.assume_init())
        }
    }
}

impl Drop for SignalsHeld {
    fn drop(&mut self) {
        // SAFETY: the mask is the one this thread had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

/// The open eventfds: libuv's loops have one each, and abort when they can't write to it.
fn event_descriptors() -> Vec<RawFd> {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return Vec::new() };
    let is_event = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str().as_encoded_bytes() == b"anon_inode:[eventfd]")
    };
    entries.flatten().filter(is_event).filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}
