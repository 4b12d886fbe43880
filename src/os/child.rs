//! A child of ours: how it fares, and its end. Nothing here touches the app's own children.

use std::{
    fs, io,
    mem::MaybeUninit,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

/// A process that this one has forked. Dropped, it is killed and reaped.
#[derive(Debug)]
pub struct Child {
    pid: libc::pid_t,
    /// Names the process even when somebody else has reaped it; older kernels have none.
    pidfd: Option<OwnedFd>,
    end: Option<ChildEnd>,
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildEnd {
    /// By itself, with this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
    /// It is gone, but somebody else was told: the app ignores SIGCHLD or waits for any child.
    Unknown,
}

/// What a child is doing, by the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChildState {
    /// `R` runs or could, `S` waits for something, `D` waits for a disk, `Z` has ended; `?` where /proc does not tell.
    pub state: u8,
    /// CPU time it has used so far.
    pub cpu: Duration,
    /// Bytes resident, those shared with its parent included.
    pub resident: u64,
}

impl Child {
    pub(super) fn new(pid: libc::pid_t) -> Self {
        // SAFETY: a system call without pointers; the child has not been reaped, so that the number is still its own.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let pidfd = i32::try_from(fd).ok().filter(|&fd| fd >= 0).map(|fd| {
            // SAFETY: opened just now (close-on-exec, as pidfds are), and nobody else's.
            unsafe { OwnedFd::from_raw_fd(fd) }
        });
        Child { pid, pidfd, end: None }
    }

    /// Its process id, for messages.
    pub fn pid(&self) -> u32 {
        self.pid.unsigned_abs()
    }

    /// Ends it at once. Nothing happens when it has ended.
    pub fn kill(&mut self) {
        if self.end.is_some() {
            return;
        }
        // SAFETY: signals one process, which is ours: it is named by its pidfd, or has not been reaped.
        unsafe {
            match &self.pidfd {
                Some(fd) => {
                    let none = std::ptr::null::<libc::siginfo_t>();
                    libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), libc::SIGKILL, none, 0);
                }
                None => {
                    libc::kill(self.pid, libc::SIGKILL);
                }
            }
        }
    }

    /// Its end, if it has come.
    pub fn try_reap(&mut self) -> Option<ChildEnd> {
        while self.end.is_none() {
            let mut status = 0;
            // SAFETY: `status` is room for the answer. Only this child is waited for.
            let pid = unsafe { libc::waitpid(self.pid, &raw mut status, libc::WNOHANG) };
            self.end = match pid {
                0 => return None,
                -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => continue,
                -1 => Some(ChildEnd::Unknown),
                _ if libc::WIFSIGNALED(status) => Some(ChildEnd::Killed(libc::WTERMSIG(status))),
                _ => Some(ChildEnd::Exited(libc::WEXITSTATUS(status))),
            };
        }
        self.end
    }

    /// Waits for its end, and kills it when it has not come within `patience`.
    pub fn reap(&mut self, patience: Duration) -> ChildEnd {
        let start = Instant::now();
        let mut killed = false;
        loop {
            if let Some(end) = self.try_reap() {
                return end;
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() && !killed {
                self.kill();
                killed = true;
            }
            self.wait_a_moment(if killed { Duration::from_millis(100) } else { left });
        }
    }

    /// What it is doing; `None` when nothing tells.
    pub fn state(&self) -> Option<ChildState> {
        let stat = fs::read(format!("/proc/{}/stat", self.pid));
        let (state, resident) = stat.ok().and_then(|stat| parse_stat(&stat)).unwrap_or((b'?', 0));
        Some(ChildState { state, cpu: cpu_time(self.pid)?, resident })
    }

    /// Returns when it has ended, or after `limit` at the latest.
    fn wait_a_moment(&self, limit: Duration) {
        let Some(fd) = &self.pidfd else {
            return thread::sleep(limit.min(Duration::from_millis(5)));
        };
        let mut entry = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let milliseconds = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX).max(1);
        // SAFETY: one entry, and a count of one.
        unsafe { libc::poll(&raw mut entry, 1, milliseconds) };
    }
}

/// Whether a read from `pipe` would not wait, by `limit` at the latest. The end of the pipe is something to read.
pub fn readable_within(pipe: &fs::File, limit: Duration) -> bool {
    let mut entry = libc::pollfd { fd: pipe.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let milliseconds = i32::try_from(limit.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: one entry, and a count of one.
    unsafe { libc::poll(&raw mut entry, 1, milliseconds) > 0 }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
        self.reap(Duration::ZERO);
    }
}

/// State and resident bytes from `/proc/PID/stat`: `pid (name) state …`; the name may hold anything.
fn parse_stat(stat: &[u8]) -> Option<(u8, u64)> {
    let after_name = stat.iter().rposition(|&b| b == b')')? + 2;
    let text = std::str::from_utf8(stat.get(after_name..)?).ok()?;
    let mut fields = text.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let pages: u64 = fields.nth(20)?.parse().ok()?;
    // SAFETY: asks for a constant of the system.
    let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    Some((state, pages * page))
}

/// By its CPU clock, which is finer than /proc.
fn cpu_time(pid: libc::pid_t) -> Option<Duration> {
    let (mut clock, mut time) = (0, MaybeUninit::<libc::timespec>::uninit());
    // SAFETY: both are room for the answers; the second is only read when it was written.
    let time = unsafe {
        let known =
            libc::clock_getcpuclockid(pid, &raw mut clock) == 0 && libc::clock_gettime(clock, time.as_mut_ptr()) == 0;
        known.then(|| time.assume_init())?
    };
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_is_read_whatever_the_name() {
        let stat =
            b"77 (a) b) S 1 77 77 0 -1 4194304 100 0 0 0 5 6 0 0 20 0 11 0 1234 1000000 25 18446744073709551615 1 1";
        let (state, resident) = parse_stat(stat).unwrap();
        assert_eq!((state, resident % 25, resident / 25 >= 4096), (b'S', 0, true));
        let us = Child { pid: std::process::id().cast_signed(), pidfd: None, end: Some(ChildEnd::Unknown) };
        let state = us.state().unwrap();
        assert!(state.resident > 100_000 && state.cpu > Duration::ZERO);
    }
}
