//! The file a snapshot is written to: a temporary name in the same folder, then the final name, or nothing at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::NamedTempFile;

use crate::{
    error::{Code, Error, Result},
    os,
};

/// Free space is looked at again after this many bytes.
const CHECK_EVERY: u64 = 16 << 20;

/// What temporary names begin and end with.
const PREFIX: &str = ".heaprs-snapshot-";
const SUFFIX: &str = ".tmp";

/// A temporary file that nobody has written to for so long may be one that a killed process has left.
const ABANDONED: Duration = Duration::from_secs(60);
/// How much of a large directory is looked through for them.
const MOST_ENTRIES: usize = 10_000;

/// How the file may appear.
#[derive(Clone, Debug, Default)]
pub struct TargetOptions {
    /// Replace a regular file or symbolic link of that name. Never follows the link.
    pub overwrite: bool,
    /// Stop with [`Code::NoSpace`] when the file system has fewer free bytes than this.
    pub min_free_disk: u64,
}

/// A file being written under a temporary name.
///
/// Dropped without [`commit`](Self::commit), it leaves nothing behind; what a process that was killed has left, the next one in the same
/// directory removes. The file has mode 0600 from its first byte.
pub struct Target {
    temporary: NamedTempFile,
    path: PathBuf,
    options: TargetOptions,
    until_check: u64,
    written: u64,
}

impl Target {
    /// Creates the temporary file beside `path`, after making sure that `path` may be written.
    pub fn create(path: &Path, options: TargetOptions) -> Result<Self> {
        let directory = directory_of(path);
        if path.file_name().is_none() {
            return Err(Error::new(Code::InvalidArgument, "the name of a file is needed").with_file(path));
        }
        match fs::symlink_metadata(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(Error::io(&e, "look at the target", path)),
            Ok(meta) if !meta.is_file() && !meta.is_symlink() => {
                let message = "only a regular file can be written; for a pipe or device use getHeapSnapshot()";
                return Err(Error::new(Code::NotAFile, message).with_file(path));
            }
            Ok(_) if !options.overwrite => return Err(exists(path)),
            Ok(_) => {}
        }
        remove_abandoned(directory);
        check_free_space(directory, options.min_free_disk, path)?;
        let temporary = tempfile::Builder::new()
            .prefix(PREFIX)
            .suffix(SUFFIX)
            .tempfile_in(directory)
            .map_err(|e| Error::io(&e, "create a temporary file for the snapshot", path))?;
        // Where a file system knows no locks, nothing is ever removed.
        os::claim(temporary.as_file());
        Ok(Target { temporary, path: path.to_path_buf(), options, until_check: CHECK_EVERY, written: 0 })
    }

    /// The final name.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Makes the file durable and gives it its final name.
    pub fn commit(self) -> Result<u64> {
        let Target { temporary, path, options, written, .. } = self;
        temporary.as_file().sync_all().map_err(|e| Error::io(&e, "write the snapshot to disk", &path))?;
        let renamed = if options.overwrite { temporary.persist(&path) } else { temporary.persist_noclobber(&path) };
        // A failed persist gives the temporary file back, and dropping it removes it.
        renamed.map_err(|e| match e.error.kind() {
            io::ErrorKind::AlreadyExists => exists(&path),
            _ => Error::io(&e.error, "give the snapshot its final name", &path),
        })?;
        sync_directory(directory_of(&path));
        Ok(written)
    }
}

impl Write for Target {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.temporary.as_file_mut().write(bytes)?;
        self.written += n as u64;
        self.until_check = self.until_check.saturating_sub(n as u64);
        if self.until_check == 0 {
            self.until_check = CHECK_EVERY;
            check_free_space(directory_of(&self.path), self.options.min_free_disk, &self.path)
                .map_err(|e| io::Error::new(io::ErrorKind::StorageFull, e))?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.as_file_mut().flush()
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Removes the temporary files of processes that were killed: nobody has them claimed any more. What can't be removed stays.
fn remove_abandoned(directory: &Path) {
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten().take(MOST_ENTRIES) {
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX)) {
            continue;
        }
        let old = |meta: fs::Metadata| {
            meta.is_file() && meta.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= ABANDONED))
        };
        if entry.metadata().is_ok_and(old) && File::open(entry.path()).is_ok_and(|file| os::claim(&file)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn exists(path: &Path) -> Error {
    Error::new(Code::FileExists, "the file exists; pass overwrite: true to replace it").with_file(path)
}

fn check_free_space(directory: &Path, min: u64, path: &Path) -> Result<()> {
    if min == 0 {
        return Ok(());
    }
    match os::free_space(directory) {
        Ok(Some(free)) if free < min => Err(Error::new(
            Code::NoSpace,
            format!("only {free} bytes are free and minFreeDisk is {min}; make room, or choose another directory"),
        )
        .with_file(path)),
        // A file system that can't tell is no reason to refuse.
        Ok(_) => Ok(()),
        Err(e) => Err(Error::io(&e, "look at the directory", path)),
    }
}

/// Best effort: the rename is done, and some file systems can't sync a directory.
fn sync_directory(directory: &Path) {
    if let Ok(directory) = File::open(directory) {
        let _ = directory.sync_all();
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_killed_processes_have_left_goes() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, age: Duration| {
            let file = File::create(directory.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - age).unwrap();
            file
        };
        let old = ABANDONED * 2;
        drop(file(".heaprs-snapshot-a.tmp", old));
        drop(file(".heaprs-snapshot-b.tmp", Duration::ZERO));
        drop(file(".heaprs-other.tmp", old));
        let written = file(".heaprs-snapshot-c.tmp", old);
        assert!(cfg!(not(unix)) || os::claim(&written));
        let target = Target::create(&directory.path().join("x.heapsnapshot"), TargetOptions::default()).unwrap();
        target.commit().unwrap();
        let mut left: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        if cfg!(unix) {
            assert_eq!(
                left,
                [".heaprs-other.tmp", ".heaprs-snapshot-b.tmp", ".heaprs-snapshot-c.tmp", "x.heapsnapshot"]
            );
        }
    }
}
