//! How much room a file system has, and whose a file is.

use std::{fs::File, io, path::Path};

/// Bytes an unprivileged process may still write to the file system that holds `path`; `None` where it can't be told.
#[cfg(unix)]
pub fn free_space(path: &Path) -> io::Result<Option<u64>> {
    use std::{ffi::CString, mem::MaybeUninit, os::unix::ffi::OsStrExt};

    let c_path = CString::new(path.as_os_str().as_bytes())?;
    let mut stat = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `c_path` is a C string that outlives the call, `stat` is writable and large enough for what is written.
    if unsafe { libc::statvfs(c_path.as_ptr(), stat.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: statvfs returned 0, so it has filled in the structure.
    let stat = unsafe { stat.assume_init() };
    if stat.f_blocks == 0 {
        return Ok(None); // a file system without a size of its own, such as /proc
    }
    #[allow(clippy::unnecessary_cast, reason = "the fields have other widths on other platforms")]
    Ok(Some((stat.f_bavail as u64).saturating_mul(stat.f_frsize as u64)))
}

/// Bytes an unprivileged process may still write to the file system that holds `path`; `None` where it can't be told.
#[cfg(not(unix))]
pub fn free_space(_path: &Path) -> io::Result<Option<u64>> {
    Ok(None)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_room_and_a_missing_one_is_an_error() {
        assert!(free_space(Path::new("/")).unwrap().is_some());
        assert!(free_space(Path::new("/no/such/directory")).is_err());
    }
}

/// Takes a file for as long as it is open in this process, whichever end that comes to. False where another one has it, or nobody can.
#[cfg(unix)]
pub fn claim(file: &File) -> bool {
    use std::os::fd::AsRawFd;

    // SAFETY: a call on an open descriptor of ours.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) == 0 }
}

/// Takes a file for as long as it is open in this process, whichever end that comes to. False where another one has it, or nobody can.
#[cfg(not(unix))]
pub fn claim(_file: &File) -> bool {
    false
}
