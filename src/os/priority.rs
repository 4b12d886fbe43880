//! How the system shares its processors among threads.

/// Makes the calling thread give way to those of ordinary priority, and all threads that it starts from now on. There is
/// no way back without privileges, so this is for threads that only ever do long work. Where the system refuses, nothing
/// changes.
pub fn give_way() {
    #[cfg(target_os = "linux")]
    // SAFETY: they take no pointers. On Linux the priority is that of the thread with this id, and 0 is the calling one.
    unsafe {
        // Who gives way still more, keeps to that: with privileges this would be the way back.
        if libc::getpriority(libc::PRIO_PROCESS, 0) < 10 {
            libc::setpriority(libc::PRIO_PROCESS, 0, 10);
        }
    }
}

/// The CPU time that the calling thread has had.
#[cfg(target_os = "linux")]
pub fn thread_cpu_time() -> std::time::Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is room for the answer; a clock that is refused leaves it at zero.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    std::time::Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_thread_alone_gives_way() {
        let nice = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            let mut fields = stat.rsplit(") ").next().unwrap().split(' ');
            fields.nth(16).unwrap().parse::<i32>().unwrap()
        };
        let before = nice();
        assert!(thread_cpu_time() > std::time::Duration::ZERO);
        let there = std::thread::spawn(move || {
            give_way();
            nice()
        });
        assert_eq!((there.join().unwrap(), nice()), (10.max(before), before));
    }
}
