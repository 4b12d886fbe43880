//! What the child does before anything else, so that it disturbs nobody: no handler of the app, none of its files and connections, no
//! core dump, first to go when memory runs out, gone when its time or its reader is.

use std::{
    fs, io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use super::{ChildLimits, ForkPreparation};

/// The writing end of the child's pipe.
///
/// The first write after the reader has gone ends the child (SIGPIPE), which is how it should end.
#[derive(Debug)]
pub struct ChildPipe(RawFd);

/// Both pipes get descriptors from here on where the limit allows: finalizers of addons may close low ones.
const HIGH: RawFd = 900;

/// By the kernel's headers: which signal announces that a descriptor is ready.
const F_SETSIG: libc::c_int = 10;

/// Signals that reach a whole process group or that an app gives a meaning of its own; the child must outlast them, since the app may.
const IGNORED: [libc::c_int; 11] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGWINCH,
];

impl ChildPipe {
    /// Writes all of both pieces, one behind the other.
    pub fn write_all(&mut self, mut head: &[u8], mut body: &[u8]) -> io::Result<()> {
        while !head.is_empty() || !body.is_empty() {
            let pieces = [piece(head), piece(body)];
            // SAFETY: both pieces are readable for the length given, and writev only reads them.
            let written = unsafe { libc::writev(self.0, pieces.as_ptr(), 2) };
            let Ok(mut written) = usize::try_from(written) else {
                match io::Error::last_os_error() {
                    e if e.kind() == io::ErrorKind::Interrupted => continue,
                    e => return Err(e),
                }
            };
            let from_head = written.min(head.len());
            head = &head[from_head..];
            written -= from_head;
            body = &body[written..];
        }
        Ok(())
    }
}

fn piece(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}

/// Cleans up. `output` is where the child writes, `alive` ends with the parent. Nothing here may fail: what the system refuses is left.
pub(super) fn enter(output: RawFd, alive: RawFd, preparation: &ForkPreparation, limits: ChildLimits) -> ChildPipe {
    let output = close_all_but(output, alive, &preparation.event_descriptors);
    reset_signals();
    // Before the process becomes "not dumpable", which gives its files in /proc to root.
    write_file(c"/proc/self/oom_score_adj", b"1000");
    set_limit(libc::RLIMIT_CORE as i32);
    // Its only output is a pipe: no report, no dump of the app's may come from here.
    set_limit(libc::RLIMIT_FSIZE as i32);
    if let Some(memory) = limits.memory {
        limit_memory(memory);
    }
    let seconds = u32::try_from(limits.lifetime.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
    // SAFETY: three calls on this process without pointers.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        libc::nice(limits.nice);
        libc::alarm(seconds);
    }
    ChildPipe(output)
}

/// Leaves open the two pipes, on high numbers, and puts /dev/null where standard streams and event loops were. Returns the output's number.
fn close_all_but(output: RawFd, alive: RawFd, events: &[RawFd]) -> RawFd {
    let output = raise(output);
    let alive = raise(alive);
    watch_parent(alive);
    let (low, high) = (output.min(alive), output.max(alive));
    close_between(0, low - 1);
    close_between(low + 1, high - 1);
    close_between(high + 1, RawFd::MAX);
    // SAFETY: opening a device by a constant name; dup2 with numbers that are closed, or replaces what is there.
    unsafe {
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        if null >= 0 {
            for fd in (0..3).chain(events.iter().copied()).filter(|&fd| fd != null && fd != output && fd != alive) {
                libc::dup2(null, fd);
            }
        }
    }
    output
}

/// Moves a descriptor above those that [`enter`] keeps: what is there is closed after all others.
pub(super) fn to_be_closed_last(fd: OwnedFd) -> OwnedFd {
    // SAFETY: duplicates a descriptor of ours; the new one belongs to nobody else.
    let raised = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_DUPFD_CLOEXEC, HIGH + 2) };
    // SAFETY: as above, where there is one.
    if raised >= 0 { unsafe { OwnedFd::from_raw_fd(raised) } } else { fd }
}

/// Makes the table of descriptors as large as [`to_be_closed_last`] needs it: where threads share it, the kernel takes up to 15 ms for that, which would
/// be the app's pause. It stays so.
pub(super) fn widen_descriptor_table() {
    let Ok(any) = fs::File::open("/dev/null") else { return };
    drop(to_be_closed_last(any.into()));
}

fn raise(fd: RawFd) -> RawFd {
    for at_least in [HIGH, 200, 60] {
        // SAFETY: duplicates a descriptor of ours.
        let raised = unsafe { libc::fcntl(fd, libc::F_DUPFD, at_least) };
        if raised >= 0 {
            return raised;
        }
    }
    fd
}

/// The kernel sends SIGKILL to this process when the other end of `alive` closes: at the latest with the parent.
fn watch_parent(alive: RawFd) {
    // SAFETY: calls on a descriptor of ours; `poll` gets one entry and a count of one.
    unsafe {
        libc::fcntl(alive, libc::F_SETOWN, libc::getpid());
        // Instead of SIGIO, which a stopped process would not hear.
        libc::fcntl(alive, F_SETSIG, libc::SIGKILL);
        libc::fcntl(alive, libc::F_SETFL, libc::O_ASYNC);
    }
}

fn close_between(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: closes descriptors that this process inherited and won't use. The numbers are positive.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first as libc::c_uint, last as libc::c_uint, 0) };
    if closed == 0 {
        return;
    }
    // A kernel before 5.9.
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is room for the answer.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
    let end = RawFd::try_from(limit.rlim_cur).unwrap_or(RawFd::MAX).clamp(1024, 1 << 20);
    for fd in first..=last.min(end) {
        // SAFETY: as above; one that is not open gives EBADF.
        unsafe { libc::close(fd) };
    }
}

fn reset_signals() {
    for signal in 1..=64 {
        let handler = if IGNORED.contains(&signal) { libc::SIG_IGN } else { libc::SIG_DFL };
        // SAFETY: sets a disposition without a handler function; what can't be set (SIGKILL, glibc's own) gives EINVAL.
        unsafe { libc::signal(signal, handler) };
    }
    // SAFETY: the set is initialised by sigemptyset before it is used.
    unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
}

/// Lets the process map `more` bytes beyond what is mapped.
fn limit_memory(more: u64) {
    // Sizes in pages, the whole first.
    let Some(pages) =
        fs::read_to_string("/proc/self/statm").ok().and_then(|statm| statm.split(' ').next()?.parse::<u64>().ok())
    else {
        return;
    };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a constant of the system; `limit` is room for the answer, then readable. Lowering a limit is always allowed.
    unsafe {
        let page = u64::try_from(libc::sysconf(libc::_SC_PAGESIZE)).unwrap_or(4096);
        if libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_cur.min(pages.saturating_mul(page).saturating_add(more));
            libc::setrlimit(libc::RLIMIT_AS, &raw const limit);
        }
    }
}

fn set_limit(resource: i32) {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `none` is readable; lowering a limit is always allowed.
    unsafe { libc::setrlimit(resource as _, &raw const none) };
}

fn write_file(path: &std::ffi::CStr, text: &[u8]) {
    // SAFETY: a C string, and bytes readable for the length given; the descriptor is closed again.
    unsafe {
        let fd = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if fd >= 0 {
            libc::write(fd, text.as_ptr().cast(), text.len());
            libc::close(fd);
        }
    }
}
