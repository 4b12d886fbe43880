//! A snapshot without what strings say: the same graph and sizes, other texts.
//!
//! One pass, although the strings come last. V8 keeps each text once, and about a fifth of them are both the content of
//! a string and a name of something. So each use of a string gets an index of its own, [`Slot`] by slot, before the
//! text is known; when the strings come, each slot is written as its use allows. A slot without a use is an empty string.
//!
//! What is kept in memory: a byte for each string, a bit for each node id; with `dictionary_keys` about two bytes for
//! each node and nine for each string more.

mod keys;
mod literal;
mod names;
mod paged;
mod rewrite;
mod table;
mod token;
mod uses;

use std::io::{self, Read, Write};

use serde_json::{Map, Value};

use self::{rewrite::Rewriter, uses::Uses};
use super::{
    header::{Header, skip_value},
    parse::{begin, expect_end, next_key},
    records::Bytes,
    source::Source,
    text::Text,
};
use crate::{
    error::{Code, Error, Result},
    progress::Progress,
};

/// What must not reach the output besides the contents of strings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    /// Property names of objects that are used as dictionaries are redacted, too.
    pub dictionary_keys: bool,
    /// Numbers that V8 was asked to write (`exposeNumericValues`) stay.
    pub keep_numbers: bool,
}

/// The keys of V8's header that are copied.
const HEADER_KEYS: [&str; 6] =
    ["meta", "node_count", "edge_count", "trace_function_count", "extra_native_bytes", "root_index"];
/// Sections that consist of numbers which are no strings' indices.
const NUMBERS_ONLY: [&str; 3] = ["trace_tree", "samples", "locations"];

/// Copies the snapshot that `input` is (plain or gzipped, `len` bytes long if that is known) to `output`, redacted.
///
/// Reports phase `read` in bytes of the input. What the output holds after an error is no snapshot, but redacted.
pub fn redact<W: Write>(
    input: impl Read,
    len: Option<u64>,
    output: W,
    redaction: Redaction,
    progress: &Progress,
) -> Result<W> {
    let mut text = Text::new(Source::new(Box::new(input), len)?, progress)?;
    let mut out = Output { sink: io::BufWriter::with_capacity(128 << 10, output) };
    copy(&mut text, &mut out, redaction).map_err(|mut e| {
        if e.code == Code::Corrupt || e.code == Code::Truncated {
            e.offset.get_or_insert(text.offset());
        }
        e
    })?;
    progress.report("read", text.input_done(), text.input_done())?;
    out.sink.into_inner().map_err(|e| Error::own_or_io(e.error(), "write the snapshot"))
}

/// Where the redacted text goes.
struct Output<W: Write> {
    sink: io::BufWriter<W>,
}

impl<W: Write> Output<W> {
    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.sink.write_all(bytes).map_err(|e| Error::own_or_io(&e, "write the snapshot"))
    }

    fn number(&mut self, value: u64) -> Result<()> {
        let mut digits = [0; 20];
        let mut at = digits.len();
        let mut rest = value;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        self.put(&digits[at..])
    }
}

fn copy<W: Write>(text: &mut Text, out: &mut Output<W>, redaction: Redaction) -> Result<()> {
    let header = begin(text)?;
    out.put(b"{\"snapshot\":")?;
    out.put(redacted_header(&header, redaction)?.as_bytes())?;
    let mut rewriter = Rewriter { header: &header, uses: Uses::new(redaction) };
    let mut seen = Vec::new();
    while let Some(key) = next_key(text)? {
        let key = String::from_utf8_lossy(&key).into_owned();
        if seen.contains(&key) || seen.iter().any(|seen| seen == "strings") {
            let message =
                format!("\"{key}\" stands twice or after the strings: this order can't be redacted in one pass");
            return Err(text.error(Code::Corrupt, message));
        }
        if key == "edges" && !seen.iter().any(|seen| seen == "nodes") {
            return Err(text.error(Code::Corrupt, "the edges stand before the nodes: this order can't be redacted"));
        }
        let known = match key.as_str() {
            "nodes" | "edges" | "trace_function_infos" | "strings" => true,
            name => NUMBERS_ONLY.contains(&name),
        };
        if !known {
            // What heaprs does not know may hold anything: it is left out.
            text.section = "a part that is not known";
            skip_value(text, |_| true)?;
            continue;
        }
        out.put(format!(",\n\"{key}\":[").as_bytes())?;
        match key.as_str() {
            "nodes" => rewriter.nodes(text, out)?,
            "edges" => rewriter.edges(text, out)?,
            "trace_function_infos" => rewriter.functions(text, out)?,
            "strings" => table::copy(text, out, &mut rewriter.uses)?,
            _ => copy_numbers(text, out)?,
        }
        out.put(b"]")?;
        seen.push(key);
    }
    expect_end(text)?;
    for part in ["nodes", "edges", "strings"] {
        if !seen.iter().any(|seen| seen == part) {
            return Err(text.error(Code::Corrupt, format!("the snapshot has no \"{part}\"")));
        }
    }
    out.put(b"}\n")
}

/// V8's own keys alone, and heaprs's mark.
fn redacted_header(header: &Header, redaction: Redaction) -> Result<String> {
    let damaged = |_| Error::new(Code::Corrupt, "the header is no JSON");
    let mut given: Map<String, Value> = serde_json::from_str(&header.json).map_err(damaged)?;
    let mut kept: Map<String, Value> =
        HEADER_KEYS.iter().filter_map(|&key| Some((key.to_owned(), given.remove(key)?))).collect();
    let mut mark = Map::new();
    if header.fork_ids {
        mark.insert("ids".into(), "fork".into());
    }
    mark.insert("redacted".into(), if redaction.dictionary_keys { "names".into() } else { true.into() });
    kept.insert("heaprs".into(), mark.into());
    serde_json::to_string(&kept).map_err(damaged)
}

/// Copies an array of numbers and arrays of numbers, and nothing else, behind its `[` and before its `]`.
fn copy_numbers<W: Write>(text: &mut Text, out: &mut Output<W>) -> Result<()> {
    text.section = "an array of numbers";
    text.expect(b'[')?;
    let mut depth = 1u64;
    loop {
        let mut len = 0;
        for &b in text.rest() {
            match b {
                b'[' => depth += 1,
                b']' => depth -= 1,
                b'0'..=b'9' | b',' | b'-' | b'.' | b' ' | b'\n' | b'\r' | b'\t' => {}
                _ => return Err(text.error(Code::Corrupt, "there is something else between numbers")),
            }
            if depth == 0 {
                break;
            }
            len += 1;
        }
        out.put(&text.rest()[..len])?;
        text.advance(len);
        if depth == 0 {
            text.advance(1);
            return Ok(());
        }
        if !text.refill()? {
            return Err(text.truncated());
        }
    }
}
