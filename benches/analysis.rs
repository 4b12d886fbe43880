//! What opening a snapshot costs, phase by phase: `cargo bench --no-default-features --bench analysis -- FILE…`.
//!
//! Each line is a phase: its wall time, the process's resident memory when it ended, and the most in between. `THREADS=n`
//! sets how many threads may work (what a second one does beside a phase has no line), `ROUNDS=n` how often each file is
//! opened. The last line has the peak, mapped pages counted.

use std::{
    fs,
    path::Path,
    sync::{Arc, Mutex},
    time::Instant,
};

use heaprs::{analysis::Heap, progress::Progress, snapshot::ReadOptions};

fn main() {
    let files: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let number = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<usize>().ok());
    for file in files {
        for _ in 0..number("ROUNDS").unwrap_or(1) {
            open(Path::new(&file), number("THREADS").unwrap_or(1));
        }
    }
}

/// When each phase began, the resident memory then, and the most before.
type Phases = Arc<Mutex<Vec<(&'static str, Instant, u64, u64)>>>;

fn open(file: &Path, threads: usize) {
    let phases = Phases::default();
    let seen = phases.clone();
    let progress = Progress::with_listener(move |report| {
        let mut seen = seen.lock().expect("not poisoned");
        if seen.last().is_none_or(|&(phase, ..)| phase != report.phase) {
            seen.push((report.phase, Instant::now(), status("VmRSS:"), peak()));
        }
    });
    let start = Instant::now();
    let options = ReadOptions { threads, ..ReadOptions::default() };
    let heap = Heap::open(file, &options, &progress).unwrap_or_else(|e| panic!("{e}"));
    let all = start.elapsed();
    let mut phases = std::mem::take(&mut *phases.lock().expect("not poisoned"));
    phases.push(("", Instant::now(), status("VmRSS:"), peak()));
    for pair in phases.windows(2) {
        let [(phase, from, ..), (_, to, resident, peak)] = pair else { continue };
        let ms = to.duration_since(*from).as_secs_f64() * 1e3;
        println!("{phase:<24}{ms:>8.0} ms {:>7} MB {:>7} MB", resident * 1024 / 1_000_000, peak * 1024 / 1_000_000);
    }
    let bytes = fs::metadata(file).map_or(0, |meta| meta.len());
    let peak = phases.iter().map(|&(.., peak)| peak).max().unwrap_or(0) * 1024;
    println!(
        "{}: {:.0} MB, {} nodes, {} edges: {:.2} s, holds {:.0} MB, peak {:.0} MB = {:.2} of the file",
        file.display(),
        bytes as f64 / 1e6,
        heap.info().nodes,
        heap.info().edges,
        all.as_secs_f64(),
        heap.memory() as f64 / 1e6,
        peak as f64 / 1e6,
        peak as f64 / bytes as f64,
    );
}

/// The most resident memory since the last call, in KB.
fn peak() -> u64 {
    let peak = status("VmHWM:");
    // Where this can't be written the peak is that since the start.
    let _ = fs::write("/proc/self/clear_refs", "5");
    peak
}

/// A field of Linux's account of this process, in KB; 0 elsewhere.
fn status(field: &str) -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.trim().split(' ').next()?.parse().ok()).unwrap_or(0)
}
