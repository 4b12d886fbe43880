//! How well the comparison by structure does on pairs of snapshots whose ids are comparable:
//!
//!     cargo run --release --no-default-features --example structure -- BEFORE AFTER [BEFORE AFTER …]

#[path = "../tests/support/renumber.rs"]
#[allow(dead_code, reason = "shared with the tests")]
mod renumber;

fn main() {
    let files: Vec<String> = std::env::args().skip(1).collect();
    for pair in files.chunks_exact(2) {
        let [base, current] = [&pair[0], &pair[1]].map(|file| std::fs::read(file).unwrap());
        let start = std::time::Instant::now();
        let score = renumber::score(&base, &current);
        println!(
            "{}: new recognised {:.2} % of {}, old as new {:.3} % of {}, old as another old one {:.3} %, net counts wrong in {} and net sizes in {} of {} rows ({:.1} s)",
            pair[1],
            score.found(),
            score.new,
            score.missed(),
            score.old,
            100.0 * score.old_mistaken as f64 / score.old.max(1) as f64,
            score.wrong_counts,
            score.wrong_sizes,
            score.rows,
            start.elapsed().as_secs_f64(),
        );
    }
}
