//! How fast snapshots are read: `cargo bench --no-default-features --bench snapshot [-- FILE…]`.
//!
//! Files are read as they are; without any, a made-up heap of about 100 MB is. Each line is the best of five runs;
//! MB are those of the snapshot's text, also where that is gzipped.

use std::{fmt::Write as _, fs, io::Write as _, path::Path, thread, time::Instant};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use heaprs::{
    progress::Progress,
    snapshot::{ReadOptions, Snapshot},
};

const RUNS: usize = 5;

fn main() {
    // Cargo passes flags such as --bench.
    let mut files: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let dir = tempfile::tempdir().expect("a directory for the made-up heap");
    if files.is_empty() {
        let text = heap(1_200_000, 3_600_000);
        let plain = dir.path().join("made-up.heapsnapshot");
        let packed = dir.path().join("made-up.heapsnapshot.gz");
        fs::write(&plain, &text).expect("written");
        let mut gzip = GzEncoder::new(fs::File::create(&packed).expect("created"), Compression::fast());
        gzip.write_all(text.as_bytes()).and_then(|()| gzip.try_finish()).expect("written");
        files = [plain, packed].map(|path| path.display().to_string()).to_vec();
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    println!("{:<40} {:>8} {:>7} {:>9} {:>9} {:>11}", "file", "MB", "threads", "ms", "MB/s", "M edges/s");
    for file in &files {
        let path = Path::new(file);
        let bytes = text_len(path);
        for threads in if cores > 1 { vec![1, cores] } else { vec![1] } {
            let options = ReadOptions { threads, ..ReadOptions::default() };
            let mut edges = 0;
            let runs = (0..RUNS).map(|_| {
                let start = Instant::now();
                let snapshot = Snapshot::open(path, &options, &Progress::default()).unwrap_or_else(|e| panic!("{e}"));
                edges = snapshot.edge_count();
                start.elapsed().as_secs_f64()
            });
            let seconds = runs.fold(f64::INFINITY, f64::min);
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            println!(
                "{name:<40} {:>8.1} {threads:>7} {:>9.0} {:>9.0} {:>11.1}",
                bytes as f64 / 1e6,
                seconds * 1e3,
                bytes as f64 / 1e6 / seconds,
                f64::from(edges) / 1e6 / seconds
            );
        }
    }
}

fn text_len(path: &Path) -> u64 {
    let file = fs::File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    if path.extension().is_some_and(|e| e == "gz") {
        std::io::copy(&mut MultiGzDecoder::new(file), &mut std::io::sink()).expect("good gzip")
    } else {
        file.metadata().expect("a file").len()
    }
}

/// A text in V8's layout, with numbers as long and as regular as in an ordinary heap.
fn heap(nodes: u64, edges: u64) -> String {
    let mut state = 88_172_645_463_325_252u64;
    let mut below = move |end: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) % end
    };
    let mut out = format!(
        r#"{{"snapshot":{{"meta":{{"node_fields":["type","name","id","self_size","edge_count","detachedness"],"node_types":[["hidden","array","string","object","code","closure","regexp","number","native","synthetic","concatenated string","sliced string","symbol","bigint","object shape"],"string","number","number","number","number"],"edge_fields":["type","name_or_index","to_node"],"edge_types":[["context","element","property","internal","hidden","shortcut","weak"],"string_or_number","node"],"trace_function_info_fields":["function_id","name","script_name","script_id","line","column"],"trace_node_fields":["id","function_info_index","count","size","children"],"sample_fields":["timestamp_us","last_assigned_id"],"location_fields":["object_index","script_id","line","column"]}},"node_count":{nodes},"edge_count":{edges},"trace_function_count":0,"extra_native_bytes":0}},
"nodes":["#
    );
    let strings = 40_000;
    for i in 0..nodes {
        let (kind, name) = if below(4) > 0 { (3, below(300)) } else { (2, below(strings)) };
        let size = [16, 24, 32, 56][below(4) as usize];
        let count = (i + 1) * edges / nodes - i * edges / nodes;
        write!(out, "{}{kind},{name},{},{size},{count},0", if i == 0 { "" } else { "," }, 2 * i + 1).expect("memory");
    }
    out.push_str("],\n\"edges\":[");
    for i in 0..edges {
        // Mostly to what was allocated nearby, as real edges are.
        let near = (i * nodes / edges + below(100)) % nodes;
        let to = 6 * if below(3) > 0 { near } else { below(nodes) };
        let (kind, name) = if below(8) > 0 { (2 + below(2), below(400)) } else { (1, below(1000)) };
        write!(out, "{}{kind},{name},{to}", if i == 0 { "" } else { "," }).expect("memory");
    }
    out.push_str(
        "],\n\"trace_function_infos\":[],\n\"trace_tree\":[],\n\"samples\":[],\n\"locations\":[],\n\"strings\":[",
    );
    for i in 0..strings {
        write!(out, "{}\n\"a string of the heap, number {i}\"", if i == 0 { "" } else { "," }).expect("memory");
    }
    out.push_str("]}");
    out
}
