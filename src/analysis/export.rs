//! The graph as columns on the disk, for engines that compute on their own: one file in NumPy's `.npy` format for each column, and a
//! `schema.json` that says what they hold. The schema is written last: a folder with one is complete.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::{Heap, names};
use crate::{
    error::{Code, Error, Result},
    graph::steps::Steps,
    progress::Progress,
    snapshot::{EdgeType, JsStr},
};

/// Raised when a column changes its meaning or goes; new columns do not raise it.
const SCHEMA_VERSION: u32 = 1;
const SCHEMA: &str = "schema.json";

/// By their numbers.
const EDGE_TYPES: [EdgeType; 9] = [
    EdgeType::Context,
    EdgeType::Element,
    EdgeType::Property,
    EdgeType::Internal,
    EdgeType::Hidden,
    EdgeType::Shortcut,
    EdgeType::Weak,
    EdgeType::Invisible,
    EdgeType::Unknown,
];

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// File names in the folder.
    pub files: Vec<String>,
    /// Their sizes together.
    pub bytes: u64,
}

impl Heap {
    /// Writes every column to `directory`, which is made when it does not exist. What is there of another export is only replaced
    /// with `overwrite`. A few buffers of memory, whatever the size of the heap.
    pub fn export(&self, directory: &Path, overwrite: bool, progress: &Progress) -> Result<Exported> {
        let schema = directory.join(SCHEMA);
        if !overwrite && fs::symlink_metadata(&schema).is_ok() {
            return Err(Error::new(
                Code::FileExists,
                "the folder holds another export; name another one, or overwrite it",
            )
            .with_file(schema));
        }
        fs::create_dir_all(directory).map_err(|e| Error::io(&e, "make the folder", directory))?;
        if overwrite && let Err(e) = fs::remove_file(&schema) {
            // From here on the folder holds no complete export.
            (e.kind() == io::ErrorKind::NotFound).then_some(()).ok_or_else(|| Error::io(&e, "replace", &schema))?;
        }
        let mut folder = Folder { directory, overwrite, progress, columns: vec![], out: Exported::default() };
        let written = self.write_columns(&mut folder).and_then(|()| {
            let text = serde_json::to_vec_pretty(&self.schema(&folder.columns)).map_err(io::Error::from);
            let mut file = folder.create(SCHEMA)?;
            text.and_then(|text| file.write_all(&text)).map_err(|e| Error::io(&e, "write", &schema))?;
            folder.close(file, SCHEMA)
        });
        if let Err(error) = written {
            for file in &folder.out.files {
                let _ = fs::remove_file(directory.join(file));
            }
            return Err(error);
        }
        Ok(folder.out)
    }

    fn write_columns(&self, folder: &mut Folder<'_>) -> Result<()> {
        let (snapshot, graph) = (&self.snapshot, &self.graph);
        let (nodes, edges) = (snapshot.node_count(), snapshot.edge_count());
        let in_nodes = |name, what| Column { name, rows: u64::from(nodes), what };
        folder.u32(in_nodes("nodes.id", "V8's id, @id in DevTools"), (0..nodes).map(|n| snapshot.node_id(n)))?;
        folder.u8(in_nodes("nodes.type", "index into nodeTypes"), (0..nodes).map(|n| snapshot.node_type(n) as u8))?;
        folder.u32(in_nodes("nodes.name", "index of a string"), (0..nodes).map(|n| snapshot.node_name_index(n)))?;
        let class = |node| self.classes.key(self.classes.of(node)).name;
        folder.u32(in_nodes("nodes.class", "index of a class name"), (0..nodes).map(class))?;
        let what = "bytes, after DevTools' transfers to owners";
        folder.u32(in_nodes("nodes.self_size", what), (0..nodes).map(|n| graph.self_size(n)))?;
        folder.u64(in_nodes("nodes.retained_size", "bytes"), (0..nodes).map(|n| graph.retained_size(n)))?;
        let what = "steps from a root; from 100,000,000 on only V8 itself reaches it; -5: nothing does";
        folder.i32(in_nodes("nodes.distance", what), (0..nodes).map(|n| graph.distance(n)))?;
        let what = "ordinal of the immediate dominator; the root's is itself";
        folder.u32(in_nodes("nodes.dominator", what), (0..nodes).map(|n| graph.dominator(n)))?;
        let what = "0 unknown, 1 attached, 2 detached";
        folder.u8(in_nodes("nodes.detachedness", what), (0..nodes).map(|n| graph.states().get(n)))?;
        let ends = (0..nodes).map(|n| snapshot.edge_range(n).end);
        let rows = u64::from(nodes) + 1;
        let what = "the edges of node n are first_edge[n] up to, without, first_edge[n + 1]";
        folder.u32(Column { name: "nodes.first_edge", rows, what }, std::iter::once(0).chain(ends))?;

        let in_edges = |name, what| Column { name, rows: u64::from(edges), what };
        folder.u8(in_edges("edges.type", "index into edgeTypes"), (0..edges).map(|e| snapshot.edge(e).kind as u8))?;
        let what = "index of a string; for edge types in indexedEdgeTypes the index itself";
        folder.u32(in_edges("edges.name_or_index", what), (0..edges).map(|e| snapshot.edge(e).name_or_index))?;
        folder.u32(in_edges("edges.to", "ordinal of a node"), (0..edges).map(|e| snapshot.edge(e).to))?;

        let count = snapshot.strings().len() as u64;
        let progress = folder.progress;
        folder.texts("strings", count, |see| snapshot.strings().each(progress, |_, text| see(text)))?;
        let classes = self.classes.names();
        folder.texts("classes", classes.len() as u64, |see| classes.iter().try_for_each(|name| see(name.as_js_str())))
    }

    fn schema(&self, columns: &[Value]) -> Value {
        let snapshot = &self.snapshot;
        let spelled = |kind: &EdgeType| names::edge_type(*kind);
        let edge_types: Vec<&str> = EDGE_TYPES.iter().map(spelled).collect();
        let indexed: Vec<&str> = EDGE_TYPES.iter().filter(|kind| kind.has_index_name()).map(spelled).collect();
        json!({
            "schemaVersion": SCHEMA_VERSION,
            "version": env!("CARGO_PKG_VERSION"),
            "nodes": snapshot.node_count(),
            "edges": snapshot.edge_count(),
            "root": snapshot.root(),
            "totalSize": self.statistics.total,
            "extraNativeBytes": snapshot.extra_native_bytes(),
            "nodeTypes": snapshot.type_names(),
            "edgeTypes": edge_types,
            "indexedEdgeTypes": indexed,
            "texts": "X.data holds the UTF-8 of all texts of X, one behind the other; text i is data[offsets[i]..offsets[i + 1]]. \
                      A lone surrogate is written in three bytes as if it were a character.",
            "columns": columns,
        })
    }
}

struct Column {
    name: &'static str,
    rows: u64,
    what: &'static str,
}

struct Folder<'a> {
    directory: &'a Path,
    overwrite: bool,
    progress: &'a Progress,
    columns: Vec<Value>,
    out: Exported,
}

impl Folder<'_> {
    fn u8(&mut self, column: Column, values: impl Iterator<Item = u8>) -> Result<()> {
        self.values(column, "|u1", values.map(|value| [value]))
    }
    fn u32(&mut self, column: Column, values: impl Iterator<Item = u32>) -> Result<()> {
        self.values(column, "<u4", values.map(u32::to_le_bytes))
    }
    fn i32(&mut self, column: Column, values: impl Iterator<Item = i32>) -> Result<()> {
        self.values(column, "<i4", values.map(i32::to_le_bytes))
    }
    fn u64(&mut self, column: Column, values: impl Iterator<Item = u64>) -> Result<()> {
        self.values(column, "<u8", values.map(u64::to_le_bytes))
    }

    fn values<const WIDTH: usize>(
        &mut self,
        column: Column,
        kind: &str,
        mut values: impl Iterator<Item = [u8; WIDTH]>,
    ) -> Result<()> {
        self.column(column, kind, |put| values.try_for_each(|value| put(&value)))
    }

    /// `NAME.offsets` and `NAME.data`.
    fn texts(
        &mut self,
        name: &'static str,
        count: u64,
        each: impl Fn(&mut dyn FnMut(JsStr<'_>) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let (offsets, data) = match name {
            "strings" => ("strings.offsets", "strings.data"),
            _ => ("classes.offsets", "classes.data"),
        };
        let mut end = 0;
        let what = "where each text begins, and where the last one ends";
        self.column(Column { name: offsets, rows: count + 1, what }, "<u8", |put| {
            put(&[0; 8])?;
            each(&mut |text| {
                end += text.as_bytes().len() as u64;
                put(&end.to_le_bytes())
            })
        })?;
        self.column(Column { name: data, rows: end, what: "UTF-8" }, "|u1", |put| {
            each(&mut |text| put(text.as_bytes()))
        })
    }

    /// A file with what `fill` puts there.
    fn column(
        &mut self,
        Column { name, rows, what }: Column,
        kind: &str,
        fill: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()>,
    ) -> Result<()> {
        let file_name = format!("{name}.npy");
        let failed = |e: &io::Error, at: &PathBuf| Error::io(e, "write", at);
        let path = self.directory.join(&file_name);
        let mut file = self.create(&file_name)?;
        file.write_all(&npy_header(kind, rows)).map_err(|e| failed(&e, &path))?;
        let mut steps = Steps::start(self.progress, "export", rows)?;
        fill(&mut |bytes| {
            steps.one()?;
            file.write_all(bytes).map_err(|e| failed(&e, &path))
        })?;
        steps.finish()?;
        self.columns.push(json!({ "name": name, "file": file_name, "dtype": kind, "rows": rows, "what": what }));
        self.close(file, &file_name)
    }

    /// Readable by nobody else, and never through a symbolic link: the strings of a heap are secrets.
    fn create(&mut self, name: &str) -> Result<BufWriter<File>> {
        let path = self.directory.join(name);
        if self.overwrite
            && let Err(e) = fs::remove_file(&path)
        {
            (e.kind() == io::ErrorKind::NotFound).then_some(()).ok_or_else(|| Error::io(&e, "replace", &path))?;
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        let file = options.open(&path).map_err(|e| Error::io(&e, "create", &path))?;
        self.out.files.push(name.into());
        Ok(BufWriter::with_capacity(1 << 18, file))
    }

    fn close(&mut self, file: BufWriter<File>, name: &str) -> Result<()> {
        let path = self.directory.join(name);
        let file = file.into_inner().map_err(|e| Error::io(e.error(), "write", &path))?;
        file.sync_all().map_err(|e| Error::io(&e, "write", &path))?;
        self.out.bytes += file.metadata().map_err(|e| Error::io(&e, "write", &path))?.len();
        Ok(())
    }
}

/// What stands before the values of a one-dimensional array: version 1.0 of the format, padded to 64 bytes.
fn npy_header(kind: &str, rows: u64) -> Vec<u8> {
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({rows},), }}");
    let len = (10 + text.len() + 1).next_multiple_of(64) - 10;
    let mut header = b"\x93NUMPY\x01\x00".to_vec();
    header.extend((len as u16).to_le_bytes());
    header.extend(format!("{text:<width$}\n", width = len - 1).into_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_stand_at_their_numbers() {
        assert!((0..).zip(EDGE_TYPES).all(|(number, kind)| kind as u8 == number));
    }

    #[test]
    fn headers_are_padded_to_whole_lines_of_64_bytes() {
        for rows in [0, 1, 12_345, u64::MAX] {
            let header = npy_header("<u4", rows);
            assert_eq!(header.len() % 64, 0);
            assert_eq!(u16::from_le_bytes([header[8], header[9]]) as usize + 10, header.len());
            assert_eq!(header.last(), Some(&b'\n'));
            assert!(String::from_utf8_lossy(&header).contains(&format!("'shape': ({rows},)")));
        }
    }
}
