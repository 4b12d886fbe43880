//! Signal handlers beside those that are there: ours notes the signal in a pipe, and then calls the one before.
//!
//! The handler does nothing but what is safe in one: atomics, `write`, and what it found installed.

use std::{
    ffi::{c_int, c_void},
    io,
    mem::MaybeUninit,
    ptr,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering},
    },
};

/// What is known of one signal. Slots are never given back: a handler may be running in any of them.
struct Slot {
    /// Whether the signal is to be noted.
    noted: AtomicBool,
    /// The handler before ours, or null.
    earlier: AtomicPtr<libc::sigaction>,
    /// The thread inside the handler, to stop at handlers that call each other in a circle.
    inside: AtomicUsize,
}

/// Signals are numbered from 1 to 64.
const SIGNALS: usize = 65;

static SLOTS: [Slot; SIGNALS] = [const {
    Slot { noted: AtomicBool::new(false), earlier: AtomicPtr::new(ptr::null_mut()), inside: AtomicUsize::new(0) }
}; SIGNALS];

/// The pipe's two ends: what is read from, what the handler writes to.
static PIPE: OnceLock<Result<(c_int, c_int), i32>> = OnceLock::new();

/// Actions that handlers may still look at; each is kept once, for good.
static KEPT: Mutex<Vec<&'static libc::sigaction>> = Mutex::new(Vec::new());

/// The byte that is no signal and only ends a wait.
const WAKE: u8 = 0;

/// Notes `signal` from now on, and still calls the handler that was there before. Called again after another has put its handler in the
/// place of ours, it puts ours before that one; otherwise it does nothing.
///
/// A default action (such as to end the process) is not carried out any more.
pub fn catch_signal(signal: i32) -> io::Result<()> {
    let slot = slot(signal)?;
    pipe()?;
    pin_library();
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let current = action(signal, None)?;
    if !is_ours(&current) {
        // First what to call, then who calls it: the signal may come at any moment.
        slot.earlier.store(keep(&mut kept, current), Ordering::SeqCst);
        let replaced = action(signal, Some(&ours()))?;
        if !is_ours(&replaced) {
            slot.earlier.store(keep(&mut kept, replaced), Ordering::SeqCst);
        }
    }
    slot.noted.store(true, Ordering::SeqCst);
    Ok(())
}

/// Notes `signal` no longer. The handler before ours is put back where ours is still the first; where another has come before it, ours only
/// passes the signal on.
pub fn release_signal(signal: i32) -> io::Result<()> {
    let slot = slot(signal)?;
    slot.noted.store(false, Ordering::SeqCst);
    let _kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let earlier = slot.earlier.load(Ordering::SeqCst);
    if earlier.is_null() || !is_ours(&action(signal, None)?) {
        return Ok(());
    }
    // SAFETY: what `earlier` points to is kept for good.
    action(signal, Some(unsafe { &*earlier })).map(drop)
}

/// Waits until a signal has been noted or [`end_signal_wait`] is called; then [`take_signals`] tells which.
pub fn wait_for_signals() -> io::Result<()> {
    readable(pipe()?.0, -1).map(drop)
}

/// Whether a signal has been noted that nobody has taken.
pub fn signals_waiting() -> bool {
    matches!(PIPE.get(), Some(Ok((input, _))) if readable(*input, 0).unwrap_or(false))
}

/// The signals that have been noted since the last call, each once. Does not wait.
pub fn take_signals() -> io::Result<Vec<i32>> {
    let (input, _) = pipe()?;
    let mut signals = Vec::new();
    while readable(input, 0)? {
        let mut bytes = [0_u8; 1024];
        // SAFETY: `bytes` is room for what is asked for.
        let n = unsafe { libc::read(input, bytes.as_mut_ptr().cast(), bytes.len()) };
        let Ok(n) = usize::try_from(n) else {
            match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => continue,
                e => return Err(e),
            }
        };
        signals.extend(bytes[..n].iter().filter(|&&b| b != WAKE).map(|&b| i32::from(b)));
        signals.sort_unstable();
        signals.dedup();
    }
    Ok(signals)
}

/// Ends the wait of the thread that waits for signals, now or at its next wait.
pub fn end_signal_wait() {
    if let Ok((_, output)) = pipe() {
        note(output, WAKE);
    }
}

/// Whether there is something to read within so many milliseconds; -1 waits for ever.
fn readable(input: c_int, timeout: c_int) -> io::Result<bool> {
    loop {
        let mut poll = libc::pollfd { fd: input, events: libc::POLLIN, revents: 0 };
        // SAFETY: `poll` is one pollfd, to be read and written.
        match unsafe { libc::poll(&raw mut poll, 1, timeout) } {
            n if n >= 0 => return Ok(n > 0),
            _ => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => {}
                e => return Err(e),
            },
        }
    }
}

fn slot(signal: i32) -> io::Result<&'static Slot> {
    let found = usize::try_from(signal).ok().filter(|&n| n != 0).and_then(|n| SLOTS.get(n));
    found.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
}

fn pipe() -> io::Result<(c_int, c_int)> {
    let made = PIPE.get_or_init(|| {
        let mut ends = [0; 2];
        // SAFETY: `ends` is room for two descriptors.
        if unsafe { libc::pipe(ends.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EMFILE));
        }
        // SAFETY: both were opened just now. Programs that the app starts must not have them, and the handler must not wait.
        unsafe {
            libc::fcntl(ends[0], libc::F_SETFD, libc::FD_CLOEXEC);
            libc::fcntl(ends[1], libc::F_SETFD, libc::FD_CLOEXEC);
            libc::fcntl(ends[1], libc::F_SETFL, libc::O_NONBLOCK);
        }
        Ok((ends[0], ends[1]))
    });
    made.map_err(io::Error::from_raw_os_error)
}

/// Keeps this library loaded for good: Node.js unloads an addon with the last worker thread that has loaded it, and a handler, or a thread that
/// waits, stays.
pub fn pin_library() {
    static PINNED: OnceLock<()> = OnceLock::new();
    PINNED.get_or_init(|| {
        let mut info = MaybeUninit::<libc::Dl_info>::zeroed();
        // SAFETY: `info` is room for what is filled in; the name it points to belongs to the loader. A library that is loaded already is only
        // marked (RTLD_NOLOAD), never loaded a second time.
        unsafe {
            if libc::dladdr(on_signal as *const c_void, info.as_mut_ptr()) != 0 {
                let name = info.assume_init().dli_fname;
                if !name.is_null() {
                    libc::dlopen(name, libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE);
                }
            }
        }
    });
}

fn ours() -> libc::sigaction {
    // SAFETY: a sigaction is numbers, a set and an optional pointer: all zeroes are a valid one.
    let mut action: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
    action.sa_sigaction = on_signal as *const c_void as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART | libc::SA_ONSTACK;
    // SAFETY: `sa_mask` is a set to be filled.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    action
}

fn is_ours(action: &libc::sigaction) -> bool {
    action.sa_sigaction == on_signal as *const c_void as usize
}

/// Reads what is installed, and installs `new` where there is one.
fn action(signal: i32, new: Option<&libc::sigaction>) -> io::Result<libc::sigaction> {
    let mut old = MaybeUninit::zeroed();
    // SAFETY: `new` is null or a whole action, `old` is room for one.
    let done = unsafe { libc::sigaction(signal, new.map_or(ptr::null(), ptr::from_ref), old.as_mut_ptr()) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: sigaction has filled it in.
    Ok(unsafe { old.assume_init() })
}

fn keep(kept: &mut Vec<&'static libc::sigaction>, action: libc::sigaction) -> *mut libc::sigaction {
    let same = |k: &&&libc::sigaction| k.sa_sigaction == action.sa_sigaction && k.sa_flags == action.sa_flags;
    let found = kept.iter().find(same).copied().unwrap_or_else(|| {
        let action: &'static libc::sigaction = Box::leak(Box::new(action));
        kept.push(action);
        action
    });
    ptr::from_ref(found).cast_mut()
}

fn note(output: c_int, byte: u8) {
    // SAFETY: one byte to an open pipe of ours; a full one has enough to be read.
    unsafe { libc::write(output, (&raw const byte).cast(), 1) };
}

extern "C" fn on_signal(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let errno = Errno::save();
    let Ok(slot) = slot(signal) else { return };
    // SAFETY: a call without arguments, which only reads a register.
    let us = unsafe { libc::pthread_self() } as usize;
    if slot.inside.swap(us, Ordering::SeqCst) == us {
        return; // the handler before ours has called us: it has been told
    }
    if slot.noted.load(Ordering::SeqCst)
        && let Some(Ok((_, output))) = PIPE.get()
    {
        note(*output, signal as u8);
    }
    let earlier = slot.earlier.load(Ordering::SeqCst);
    if !earlier.is_null() {
        // SAFETY: what `earlier` points to is kept for good, and is what `sigaction` has given for this signal.
        unsafe { call_earlier(&*earlier, signal, info, context) };
    }
    slot.inside.store(0, Ordering::SeqCst);
    errno.restore();
}

/// # Safety
/// `earlier` is what `sigaction` has given for `signal`; the other arguments are those of the handler this is called in.
unsafe fn call_earlier(earlier: &libc::sigaction, signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    if matches!(earlier.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN) {
        return;
    }
    if earlier.sa_flags & libc::SA_RESETHAND != 0 {
        // Such a handler is called once, and usually raises the signal again, to end the process by it. Refused it can't be.
        // SAFETY: sigaction may be called in a handler; an action of zeroes is the default one.
        unsafe {
            let default: libc::sigaction = MaybeUninit::zeroed().assume_init();
            libc::sigaction(signal, &raw const default, ptr::null_mut());
        }
    }
    if earlier.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: with SA_SIGINFO the address is a function of three arguments.
        unsafe {
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                std::mem::transmute(earlier.sa_sigaction);
            handler(signal, info, context);
        }
    } else {
        // SAFETY: without SA_SIGINFO the address is a function of one argument.
        unsafe {
            let handler: extern "C" fn(c_int) = std::mem::transmute(earlier.sa_sigaction);
            handler(signal);
        }
    }
}

/// What a handler must leave as it found it.
struct Errno(c_int);

impl Errno {
    #[cfg(target_os = "linux")]
    fn place() -> *mut c_int {
        // SAFETY: returns the address of this thread's errno.
        unsafe { libc::__errno_location() }
    }

    #[cfg(not(target_os = "linux"))]
    fn place() -> *mut c_int {
        // SAFETY: returns the address of this thread's errno.
        unsafe { libc::__error() }
    }

    fn save() -> Self {
        // SAFETY: the address is this thread's errno.
        Errno(unsafe { *Self::place() })
    }

    fn restore(self) {
        // SAFETY: as above.
        unsafe { *Self::place() = self.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static EARLIER: AtomicUsize = AtomicUsize::new(0);
    static LATER: AtomicUsize = AtomicUsize::new(0);

    extern "C" fn earlier(_: c_int) {
        EARLIER.fetch_add(1, Ordering::SeqCst);
    }

    extern "C" fn later(_: c_int) {
        LATER.fetch_add(1, Ordering::SeqCst);
    }

    fn install(signal: c_int, handler: extern "C" fn(c_int)) {
        let mut new = ours();
        new.sa_sigaction = handler as *const c_void as usize;
        new.sa_flags = libc::SA_RESTART;
        action(signal, Some(&new)).unwrap();
    }

    fn raise(signal: c_int) {
        // SAFETY: the signal has a handler.
        assert_eq!(unsafe { libc::raise(signal) }, 0);
    }

    /// One test for all, since signals and the pipe are the process's.
    #[test]
    fn handlers_before_and_after_ours_are_called_and_put_back() {
        let signal = libc::SIGWINCH;
        let counts = || (EARLIER.load(Ordering::SeqCst), LATER.load(Ordering::SeqCst));
        install(signal, earlier);
        catch_signal(signal).unwrap();
        catch_signal(signal).unwrap();
        raise(signal);
        raise(signal);
        wait_for_signals().unwrap();
        assert!(signals_waiting());
        assert_eq!(take_signals().unwrap(), [signal]);
        assert_eq!(counts(), (2, 0));
        // Another puts its own in our place, as libuv does: caught again, both are called.
        install(signal, later);
        catch_signal(signal).unwrap();
        raise(signal);
        wait_for_signals().unwrap();
        assert!(signals_waiting());
        assert_eq!(take_signals().unwrap(), [signal]);
        assert_eq!(counts(), (2, 1));
        assert!(!signals_waiting());
        assert!(take_signals().unwrap().is_empty());
        // Released, the one before ours is back, and nothing is noted.
        release_signal(signal).unwrap();
        assert!(!is_ours(&action(signal, None).unwrap()));
        raise(signal);
        assert_eq!(counts(), (2, 2));
        end_signal_wait();
        wait_for_signals().unwrap();
        assert!(take_signals().unwrap().is_empty());
        assert!(catch_signal(libc::SIGKILL).is_err());
        assert!(catch_signal(0).is_err() && catch_signal(65).is_err());
    }
}
