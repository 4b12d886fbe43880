//! Prints the report of a snapshot: `report FILE [BASE] [--json | --md]`.

use heaprs::{
    analysis::Heap,
    progress::Progress,
    report::{Report, ReportOptions, TextOptions},
    snapshot::ReadOptions,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (flags, files): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let [file, rest @ ..] = &files[..] else { return Err("usage: report FILE [BASE] [--json | --md]".into()) };
    let open = |file: &String| Heap::open(file.as_ref(), &ReadOptions::default(), &Progress::default());
    let heap = open(file)?;
    let base = rest.first().map(open).transpose()?;
    let base_file = rest.first().map(String::as_str);
    let options = ReportOptions { file: Some(file), base: base.as_ref().map(|heap| (heap, base_file)), limit: None };
    let report = Report::new(&heap, &options, &Progress::default())?;
    match flags.first().map(String::as_str) {
        Some("--json") => println!("{}", serde_json::to_string_pretty(&report)?),
        Some("--md") => print!("{}", report.to_markdown()),
        _ => print!("{}", report.to_text(&TextOptions { color: flags.iter().any(|f| f == "--color"), width: None })),
    }
    Ok(())
}
