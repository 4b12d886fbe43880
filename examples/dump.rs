//! Prints every number that heaprs computes of a snapshot, to compare with other programs.
//!
//! `dump FILE [FILE2] [--nodes OUT]`: class table, statistics, and with FILE2 (taken later) the Comparison, as JSON. `--nodes`
//! writes 40 bytes for every node of FILE, little endian, behind a header of 16 bytes ("DTORCL01", node count, 40): u32 id,
//! u32 dominator's id, i32 distance, u32 self size, u32 self size in the file, u32 detachedness, f64 retained size, u32 class
//! index, u32 ordinal; and the class names to OUT.classes.json.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufWriter, Write},
    path::Path,
    sync::{Arc, Mutex},
    time::Instant,
};

use heaprs::{
    analysis::{Heap, JsString, SummaryQuery, compare},
    progress::Progress,
    snapshot::{ReadOptions, Snapshot},
};
use serde_json::{Value, json};

type Error = Box<dyn std::error::Error>;

fn main() -> Result<(), Error> {
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let nodes = args.iter().position(|arg| arg == "--nodes").map(|at| args.drain(at..at + 2).nth(1));
    let [file, rest @ ..] = &args[..] else {
        return Err("usage: dump FILE [FILE2] [--nodes OUT]".into());
    };
    let started = Instant::now();
    let snapshot = Snapshot::open(file.as_ref(), &ReadOptions::default(), &Progress::default())?;
    let read = started.elapsed();
    let phases = Arc::new(Mutex::new(Vec::<Phase>::new()));
    let heap = Heap::from_snapshot(snapshot, &timed(phases.clone()))?;
    let done = Instant::now();
    let mut spent: BTreeMap<&str, f64> = BTreeMap::new();
    let mut resident: BTreeMap<&str, u64> = BTreeMap::new();
    let phases = phases.lock().unwrap();
    for (i, phase) in phases.iter().enumerate() {
        let until = phases.get(i + 1).map_or(done, |next| next.since);
        *spent.entry(phase.name).or_default() += until.duration_since(phase.since).as_secs_f64();
        let most = resident.entry(phase.name).or_default();
        *most = phase.resident.max(*most);
    }
    let mut out = report(&heap)?;
    out["seconds"] = json!({ "read": read.as_secs_f64(), "all": (done - started).as_secs_f64(), "phases": spent });
    out["bytes"] = json!({ "columns": heap.memory(), "resident": resident });
    if let Some(Some(path)) = &nodes {
        write_nodes(&heap, path.as_ref())?;
    }
    if let Some(later) = rest.first() {
        let later = Heap::open(later.as_ref(), &ReadOptions::default(), &Progress::default())?;
        let started = Instant::now();
        let rows = compare(&heap, &later, &Progress::default())?;
        out["seconds"]["comparison"] = json!(started.elapsed().as_secs_f64());
        out["file2"] = report(&later)?;
        let rows = rows.iter().map(|row| {
            let mut value = serde_json::to_value(row).unwrap();
            value["key"] = units(&row.key);
            value["name"] = units(&row.name);
            value
        });
        out["comparison"] = Value::Array(rows.collect());
    }
    println!("{out}");
    Ok(())
}

/// One phase of the work.
struct Phase {
    name: &'static str,
    since: Instant,
    /// The most bytes in memory that a report saw; 0 where the system does not tell.
    resident: u64,
}

/// Notes when each phase begins.
fn timed(phases: Arc<Mutex<Vec<Phase>>>) -> Progress {
    Progress::with_listener(move |report| {
        let mut phases = phases.lock().unwrap();
        if phases.last().is_none_or(|phase| phase.name != report.phase) {
            phases.push(Phase { name: report.phase, since: Instant::now(), resident: 0 });
        }
        let pages = fs::read_to_string("/proc/self/statm").ok().and_then(|s| s.split(' ').nth(1)?.parse().ok());
        let resident = pages.unwrap_or(0u64) * 4096;
        let last = phases.last_mut().unwrap();
        last.resident = last.resident.max(resident);
    })
}

fn report(heap: &Heap) -> Result<Value, Error> {
    let rows = heap.summary(&SummaryQuery::default(), &Progress::default())?;
    let classes: Vec<Value> = rows
        .iter()
        .map(|r| {
            json!({ "key": units(&r.key), "name": units(&r.name), "count": r.count, "distance": r.distance,
                    "self": r.self_size, "maxRet": r.retained_size })
        })
        .collect();
    let info = heap.info();
    Ok(json!({
        "nodeCount": info.nodes, "edgeCount": info.edges, "statistics": heap.statistics(), "classes": classes,
        "interfaces": heap.interface_names().map(units).collect::<Vec<_>>(),
    }))
}

/// A string as its UTF-16 units when JSON could not carry it.
fn units(text: &JsString) -> Value {
    match std::str::from_utf8(text.as_bytes()) {
        Ok(text) => json!(text),
        Err(_) => json!({ "units": text.as_js_str().to_utf16() }),
    }
}

fn write_nodes(heap: &Heap, path: &Path) -> Result<(), Error> {
    let columns = heap.columns(&Progress::default())?;
    let snapshot = heap.snapshot();
    let mut out = BufWriter::new(fs::File::create(path)?);
    out.write_all(b"DTORCL01")?;
    out.write_all(&snapshot.node_count().to_le_bytes())?;
    out.write_all(&40u32.to_le_bytes())?;
    for node in 0..snapshot.node_count() {
        let i = node as usize;
        out.write_all(&(columns.id[i] as u32).to_le_bytes())?;
        out.write_all(&(columns.id[columns.dominator[i] as usize] as u32).to_le_bytes())?;
        out.write_all(&columns.distance[i].to_le_bytes())?;
        out.write_all(&(columns.self_size[i] as u32).to_le_bytes())?;
        out.write_all(&snapshot.raw_self_size(node).to_le_bytes())?;
        out.write_all(&u32::from(heap.graph().states().get(node)).to_le_bytes())?;
        out.write_all(&columns.retained_size[i].to_le_bytes())?;
        out.write_all(&columns.class_index[i].to_le_bytes())?;
        out.write_all(&node.to_le_bytes())?;
    }
    out.flush()?;
    let names: Vec<Value> = columns.class_names.iter().map(units).collect();
    fs::write(format!("{}.classes.json", path.display()), serde_json::to_string(&names)?)?;
    Ok(())
}
