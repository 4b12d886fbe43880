//! The one error type: a stable code, a message that names what was at fault, and where.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// The stable part of an error: what `err.code` says in JavaScript.
///
/// Codes are public contract: they are added to, never renamed. `index.d.ts` documents each for users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// An argument or option has the wrong type or an impossible value.
    InvalidArgument,
    /// The file or directory does not exist.
    NotFound,
    /// The path is a directory, a device or a pipe where a regular file is needed.
    NotAFile,
    /// The target exists and `overwrite` was not asked for.
    FileExists,
    /// The system refused the permission.
    Permission,
    /// The disk or quota is full, or free space fell below `minFreeDisk`.
    NoSpace,
    /// Any other failure of the file system; the message carries the system's own.
    Io,
    /// The file is readable but is no heap snapshot.
    NotASnapshot,
    /// The file ends before the snapshot does.
    Truncated,
    /// The file contradicts itself: lying counts, indices out of range, broken gzip.
    Corrupt,
    /// The work would need more memory than it may take.
    MemoryBudget,
    /// Cancelled through an `AbortSignal`.
    Aborted,
    /// The deadline (`timeoutMs`) passed.
    Timeout,
    /// Used after `close()`.
    Closed,
    /// No node has this id.
    NoSuchNode,
    /// The feature does not work on this platform or runtime; the message says why.
    Unavailable,
    /// V8 gave up on the snapshot.
    CaptureFailed,
    /// The child process that was to walk the heap could not be forked, hung, or ended early. Trying again may help.
    ForkFailed,
    /// A bug in heaprs (a caught panic): the operation failed, the process goes on.
    Internal,
}

impl Code {
    /// The text users see and test against.
    pub const fn as_str(self) -> &'static str {
        match self {
            Code::InvalidArgument => "ERR_HEAPRS_INVALID_ARGUMENT",
            Code::NotFound => "ERR_HEAPRS_NOT_FOUND",
            Code::NotAFile => "ERR_HEAPRS_NOT_A_FILE",
            Code::FileExists => "ERR_HEAPRS_FILE_EXISTS",
            Code::Permission => "ERR_HEAPRS_PERMISSION",
            Code::NoSpace => "ERR_HEAPRS_NO_SPACE",
            Code::Io => "ERR_HEAPRS_IO",
            Code::NotASnapshot => "ERR_HEAPRS_NOT_A_SNAPSHOT",
            Code::Truncated => "ERR_HEAPRS_TRUNCATED",
            Code::Corrupt => "ERR_HEAPRS_CORRUPT",
            Code::MemoryBudget => "ERR_HEAPRS_MEMORY_BUDGET",
            Code::Aborted => "ERR_HEAPRS_ABORTED",
            Code::Timeout => "ERR_HEAPRS_TIMEOUT",
            Code::Closed => "ERR_HEAPRS_CLOSED",
            Code::NoSuchNode => "ERR_HEAPRS_NO_SUCH_NODE",
            Code::Unavailable => "ERR_HEAPRS_UNAVAILABLE",
            Code::CaptureFailed => "ERR_HEAPRS_CAPTURE_FAILED",
            Code::ForkFailed => "ERR_HEAPRS_FORK_FAILED",
            Code::Internal => "ERR_HEAPRS_INTERNAL",
        }
    }
}

impl AsRef<str> for Code {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What went wrong, for whom, where.
///
/// `Display` gives the whole message: the text, the file, the byte offset.
#[derive(Clone, Debug, thiserror::Error)]
pub struct Error {
    /// The stable code.
    pub code: Code,
    /// What happened and what to do about it, without file and offset.
    pub message: String,
    /// The file at fault.
    pub file: Option<PathBuf>,
    /// The byte at fault, counted in the (uncompressed) snapshot text.
    pub offset: Option<u64>,
}

/// The result of everything that can fail in heaprs.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that concerns no file.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Error { code, message: message.into(), file: None, offset: None }
    }

    /// An error at a byte of the snapshot text.
    pub fn at(code: Code, offset: u64, message: impl Into<String>) -> Self {
        Error { offset: Some(offset), ..Error::new(code, message) }
    }

    /// Names the file, unless a deeper layer already has.
    #[must_use]
    pub fn with_file(mut self, file: impl AsRef<Path>) -> Self {
        self.file.get_or_insert_with(|| file.as_ref().to_path_buf());
        self
    }

    /// What the operating system said, with the code that fits it. `doing` completes "could not …".
    pub fn io(error: &io::Error, doing: &str, file: impl AsRef<Path>) -> Self {
        let code = match error.kind() {
            io::ErrorKind::NotFound => Code::NotFound,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Code::Permission,
            io::ErrorKind::AlreadyExists => Code::FileExists,
            io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => Code::NotAFile,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Code::NoSpace,
            _ => Code::Io,
        };
        Error::new(code, format!("could not {doing}: {error}")).with_file(file)
    }
}

impl Error {
    /// What a reader or writer failed with: an error of ours that came through it keeps its code.
    pub fn own_or_io(error: &io::Error, doing: &str) -> Self {
        let own = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).cloned();
        own.unwrap_or_else(|| Error { file: None, ..Error::io(error, doing, "") })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match (&self.file, self.offset) {
            (Some(file), Some(offset)) => write!(f, " ({}, byte {offset})", file.display()),
            (Some(file), None) => write!(f, " ({})", file.display()),
            (None, Some(offset)) => write!(f, " (byte {offset})"),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_file_and_offset() {
        let e = Error::at(Code::Truncated, 17, "the file ends inside \"nodes\"").with_file("a.heapsnapshot");
        assert_eq!(e.to_string(), "the file ends inside \"nodes\" (a.heapsnapshot, byte 17)");
        assert_eq!(e.with_file("b").file.unwrap(), Path::new("a.heapsnapshot"), "the first name stays");
    }

    #[test]
    fn system_errors_get_their_code() {
        let e = Error::io(&io::Error::from_raw_os_error(28), "write the snapshot", "x");
        assert_eq!(e.code, Code::NoSpace);
    }
}
