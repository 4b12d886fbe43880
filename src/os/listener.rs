//! A Unix socket of this process's own: made so that only its user can reach it, gone when it is closed. Who asks is known by the kernel.

use std::{
    fs, io,
    os::{
        fd::AsRawFd,
        unix::{
            fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicBool, Ordering},
};

/// A socket that is listened on. Dropped, it is [closed](Self::close).
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    /// Readable once it is closed.
    closed: (UnixStream, UnixStream),
    is_closed: AtomicBool,
    path: PathBuf,
    /// The folder that was made for it.
    directory: Option<PathBuf>,
    /// Device and number of the socket's file: what else has that name is not ours to remove.
    file: (u64, u64),
    /// A forked child has it too, and must leave it alone.
    pid: u32,
}

impl Listener {
    /// Listens at `path` with mode 0600. A folder that is missing is made, with mode 0700, and goes with the socket. A socket on which nobody
    /// listens any more is replaced; anything else of that name stays, and is [`io::ErrorKind::AlreadyExists`].
    pub fn bind(path: &Path) -> io::Result<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let directory = match fs::DirBuilder::new().mode(0o700).create(parent) {
            Ok(()) => Some(parent.to_path_buf()),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => None,
            Err(e) => return Err(e),
        };
        let bound = Self::bind_in(path, parent, directory.clone());
        if let (Err(_), Some(made)) = (&bound, directory) {
            let _ = fs::remove_dir(made);
        }
        bound
    }

    fn bind_in(path: &Path, parent: &Path, directory: Option<PathBuf>) -> io::Result<Self> {
        // Two that replace a dead socket at once take turns.
        let turn = fs::File::open(parent)?;
        lock(&turn)?;
        if fs::symlink_metadata(path).is_ok() {
            if !is_dead(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            fs::remove_file(path)?;
        }
        let closed = UnixStream::pair()?;
        let listener = UnixListener::bind(path)?;
        let file = fs::symlink_metadata(path)?;
        let ours = Listener {
            listener,
            closed,
            is_closed: AtomicBool::new(false),
            path: path.to_path_buf(),
            directory,
            file: (file.dev(), file.ino()),
            pid: process::id(),
        };
        // Until here the umask decides who may connect; who is not our user is turned away in any case.
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        // `accept` must not wait for a caller who has gone meanwhile.
        ours.listener.set_nonblocking(true)?;
        Ok(ours)
    }

    /// Waits for the next caller; `None` once it is closed.
    pub fn accept(&self) -> io::Result<Option<UnixStream>> {
        loop {
            let entry = |socket: i32| libc::pollfd { fd: socket, events: libc::POLLIN, revents: 0 };
            let mut entries = [entry(self.closed.0.as_raw_fd()), entry(self.listener.as_raw_fd())];
            // SAFETY: two entries, and a count of two.
            let ready = unsafe { libc::poll(entries.as_mut_ptr(), 2, -1) };
            if ready < 0 {
                match io::Error::last_os_error() {
                    e if e.kind() == io::ErrorKind::Interrupted => continue,
                    e => return Err(e),
                }
            }
            if self.is_closed() {
                return Ok(None);
            }
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false)?;
                    return Ok(Some(stream));
                }
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Whether [`close`](Self::close) was called.
    pub fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    /// Ends it: no caller is let in any more, and its file goes, with the folder that was made for it. In a forked child nothing happens.
    pub fn close(&self) {
        if process::id() != self.pid || self.is_closed.swap(true, Ordering::SeqCst) {
            return;
        }
        let _ = self.closed.1.shutdown(std::net::Shutdown::Both);
        if fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.file) {
            let _ = fs::remove_file(&self.path);
        }
        if let Some(directory) = &self.directory {
            // What others have put there stays.
            let _ = fs::remove_dir(directory);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.close();
    }
}

/// Whether the kernel says that the caller is this process's effective user, or root.
pub fn is_same_user(stream: &UnixStream) -> io::Result<bool> {
    let peer = peer(stream)?;
    // SAFETY: a call without arguments.
    Ok(peer == 0 || peer == unsafe { libc::geteuid() })
}

/// Whether the caller has hung up, or has only closed the half that asks. What else it says is passed over.
pub fn has_hung_up(stream: &UnixStream) -> bool {
    let mut rest = [0_u8; 1024];
    // SAFETY: `rest` is room for what is asked for.
    let n = unsafe { libc::recv(stream.as_raw_fd(), rest.as_mut_ptr().cast(), rest.len(), libc::MSG_DONTWAIT) };
    let waits = || matches!(io::Error::last_os_error().kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted);
    n == 0 || (n < 0 && !waits())
}

/// Removes what listeners of dead processes of this user have left in `base`: folders named `prefix`, a process id, `-` and anything, with
/// nothing but one socket called `name` in it, on which nobody listens.
pub fn remove_dead_listeners(base: &Path, prefix: &str, name: &str) {
    // SAFETY: a call without arguments.
    let user = unsafe { libc::geteuid() };
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let pid = || -> Option<i32> {
            entry.file_name().to_str()?.strip_prefix(prefix)?.split_once('-')?.0.parse().ok().filter(|&pid| pid > 0)
        };
        let Some(pid) = pid() else { continue };
        let directory = entry.path();
        let ours = fs::symlink_metadata(&directory)
            .is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0);
        // SAFETY: the signal 0 is none: it only asks whether there is such a process.
        let gone =
            || unsafe { libc::kill(pid, 0) } != 0 && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
        let socket = directory.join(name);
        if ours && gone() && is_dead(&socket) {
            let _ = fs::remove_file(&socket);
            let _ = fs::remove_dir(&directory);
        }
    }
}

/// Whether this is a socket at which nobody listens any more.
fn is_dead(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
        && matches!(UnixStream::connect(path), Err(e) if e.kind() == io::ErrorKind::ConnectionRefused)
}

/// Until the file is closed.
fn lock(file: &fs::File) -> io::Result<()> {
    loop {
        // SAFETY: a call on an open descriptor of ours.
        if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) } == 0 {
            return Ok(());
        }
        match io::Error::last_os_error() {
            e if e.kind() == io::ErrorKind::Interrupted => {}
            // A file system without locks: then there are no turns.
            e if matches!(e.raw_os_error(), Some(libc::ENOTSUP | libc::ENOSYS | libc::EINVAL | libc::ENOLCK)) => {
                return Ok(());
            }
            e => return Err(e),
        }
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn peer(stream: &UnixStream) -> io::Result<libc::uid_t> {
    let mut credentials = libc::ucred { pid: 0, uid: libc::uid_t::MAX, gid: libc::gid_t::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: room for one ucred, and its length.
    let done = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if done == 0 { Ok(credentials.uid) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn peer(stream: &UnixStream) -> io::Result<libc::uid_t> {
    let (mut user, mut group) = (libc::uid_t::MAX, libc::gid_t::MAX);
    // SAFETY: both are room for the answer.
    let done = unsafe { libc::getpeereid(stream.as_raw_fd(), &raw mut user, &raw mut group) };
    if done == 0 { Ok(user) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Arc, thread};

    #[test]
    fn a_socket_comes_with_its_folder_and_goes_with_it() {
        let base = tempfile::tempdir().unwrap();
        let directory = base.path().join("own");
        let path = directory.join("socket");
        let listener = Arc::new(Listener::bind(&path).unwrap());
        assert_eq!(fs::metadata(&directory).unwrap().mode() & 0o777, 0o700);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(Listener::bind(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists, "it is in use");
        let theirs = listener.clone();
        let served = thread::spawn(move || {
            let mut callers = 0;
            while let Some(caller) = theirs.accept().unwrap() {
                // One who has gone already is not known any more on every system.
                assert!(is_same_user(&caller).unwrap_or(true));
                callers += 1;
            }
            callers
        });
        let caller = UnixStream::connect(&path).unwrap();
        listener.close();
        drop(caller);
        assert!(served.join().unwrap() <= 2);
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_dead_socket_is_replaced_and_nothing_else() {
        let base = tempfile::tempdir().unwrap();
        let path = base.path().join("socket");
        drop(UnixListener::bind(&path).unwrap());
        let listener = Listener::bind(&path).unwrap();
        // Another has taken the name: that one stays.
        fs::remove_file(&path).unwrap();
        fs::write(&path, "other").unwrap();
        listener.close();
        assert_eq!(Listener::bind(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).unwrap(), b"other");
    }

    #[test]
    fn only_what_the_dead_have_left_is_removed() {
        let base = tempfile::tempdir().unwrap();
        let folder = |name: &str| {
            let directory = base.path().join(name);
            fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
            directory.join("socket")
        };
        let ours = format!("x-{}-a", process::id());
        let dead = |name: &str| drop(UnixListener::bind(folder(name)).unwrap());
        // The greatest process id there can be is 2^22.
        dead("x-99999999-a");
        dead(&ours);
        dead("x--a");
        let alive = UnixListener::bind(folder("x-99999999-b")).unwrap();
        fs::write(folder("x-99999999-c"), "no socket").unwrap();
        remove_dead_listeners(base.path(), "x-", "socket");
        let mut left: Vec<_> =
            fs::read_dir(base.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        let mut expected = ["x--a", "x-99999999-b", "x-99999999-c", ours.as_str()];
        expected.sort_unstable();
        assert_eq!(left, expected);
        drop(alive);
    }
}
