//! What the worker threads of Node's platform are doing, by the kernel: whether it is a quiet moment.

use std::{fs, io::Read};

/// The threads on which V8 marks and compiles beside JavaScript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerThreads {
    ids: Vec<u32>,
}

impl WorkerThreads {
    /// Finds them: by their name where they have one, else by their order of birth, in which the platform's `pool_size` workers come
    /// right after the main thread and the thread that keeps delayed tasks. `None` where they can't be told from others.
    pub fn find(pool_size: Option<usize>) -> Option<Self> {
        let mut threads: Vec<Thread> = fs::read_dir("/proc/self/task")
            .ok()?
            .flatten()
            .filter_map(|entry| Thread::read(entry.file_name().to_str()?.parse().ok()?))
            .collect();
        let main = std::process::id();
        // Ids are given out in order, but start over when they have reached their end.
        threads.sort_by_key(|thread| (thread.started, thread.id.wrapping_sub(main)));
        choose(&threads, pool_size)
    }

    /// Whether each of them waits for work. One that has ended does not count.
    pub fn all_wait(&self) -> bool {
        self.ids.iter().all(|&id| matches!(state(id), Some(b'S') | None))
    }
}

struct Thread {
    id: u32,
    name: String,
    /// Since boot, in ticks of the clock.
    started: u64,
}

impl Thread {
    fn read(id: u32) -> Option<Self> {
        let mut room = [0; 1024];
        let (name, rest) = split_stat(read_stat(id, &mut room)?)?;
        let started = rest.split_ascii_whitespace().nth(19)?.parse().ok()?;
        Some(Thread { id, name: name.to_owned(), started })
    }
}

fn choose(threads: &[Thread], pool_size: Option<usize>) -> Option<WorkerThreads> {
    let ids = |chosen: &mut dyn Iterator<Item = &Thread>| {
        let ids: Vec<u32> = chosen.map(|thread| thread.id).collect();
        (!ids.is_empty()).then_some(WorkerThreads { ids })
    };
    if let Some(named) = ids(&mut threads.iter().filter(|thread| thread.name.ends_with("V8Worker"))) {
        return Some(named);
    }
    // The main thread and, at its side, the one for delayed tasks; from Node.js 22 on that one has a name.
    let delayed = threads.iter().position(|thread| thread.name.starts_with("DelayedTask")).unwrap_or(1);
    ids(&mut threads.iter().skip(delayed + 1).take(pool_size?))
}

/// `stat` of a thread of this process, without allocating: this is asked in a hurry.
fn read_stat(id: u32, room: &mut [u8; 1024]) -> Option<&str> {
    use std::io::Write;
    let mut path = [0; 40];
    let mut cursor = &mut path[..];
    write!(cursor, "/proc/self/task/{id}/stat").ok()?;
    let left = cursor.len();
    let length = path.len() - left;
    let mut file = fs::File::open(std::str::from_utf8(&path[..length]).ok()?).ok()?;
    let length = file.read(room).ok()?;
    std::str::from_utf8(&room[..length]).ok()
}

/// The name, which may hold anything, and what follows it, the state first.
fn split_stat(stat: &str) -> Option<(&str, &str)> {
    let (before, rest) = stat.rsplit_once(')')?;
    Some((before.split_once('(')?.1, rest.trim_start()))
}

fn state(id: u32) -> Option<u8> {
    let mut room = [0; 1024];
    let (_, rest) = split_stat(read_stat(id, &mut room)?)?;
    rest.bytes().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(names: &[&str]) -> Vec<Thread> {
        (100..).zip(names).map(|(id, name)| Thread { id, name: (*name).to_owned(), started: 1 }).collect()
    }

    #[test]
    fn workers_are_told_by_name_or_by_order() {
        let chosen = |names: &[&str], pool| choose(&threads(names), pool).map(|w| w.ids);
        assert_eq!(chosen(&["node", "node", "V8Worker", "V8Worker", "libuv-worker"], None), Some(vec![102, 103]));
        assert_eq!(chosen(&["MainThread", "DelayedTaskSche", "node-V8Worker"], Some(4)), Some(vec![102]));
        assert_eq!(chosen(&["node", "node", "node", "node", "node"], Some(2)), Some(vec![102, 103]));
        assert_eq!(chosen(&["node", "preloaded", "DelayedTaskSche", "node", "node"], Some(1)), Some(vec![103]));
        assert_eq!(chosen(&["node", "node", "node"], None), None);
        assert_eq!(split_stat("7 (a) b) R 1 2"), Some(("a) b", "R 1 2")));
    }

    #[test]
    fn a_waiting_thread_waits_and_a_busy_one_does_not() {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            // SAFETY: a system call without arguments.
            tell.send(unsafe { libc::syscall(libc::SYS_gettid) } as u32).unwrap();
            stopped.recv().unwrap();
        });
        let id = told.recv().unwrap();
        while state(id) != Some(b'S') {
            std::thread::yield_now();
        }
        assert!(WorkerThreads { ids: vec![id] }.all_wait());
        stop.send(()).unwrap();
        thread.join().unwrap();
        // SAFETY: as above.
        let us = unsafe { libc::syscall(libc::SYS_gettid) } as u32;
        assert!(!WorkerThreads { ids: vec![us] }.all_wait(), "who asks is running");
    }
}
