//! Node's platform, as far as a forked child needs to know it: V8 hands it work for threads that don't exist in the child.
//!
//! The parent finds out beforehand what is to be changed ([`ChildPlatform::find`]), the child changes its own copy of the platform's
//! virtual function table ([`ChildPlatform::enter`]): no worker threads, and tasks for them are dropped. V8's parallel jobs then run on
//! the one thread that joins them.

use std::{
    ffi::{c_int, c_void},
    mem::MaybeUninit,
    sync::OnceLock,
    time::Duration,
};

use super::{
    enter_forked_child,
    symbols::{Address, find},
};

/// What the child changes; looked up once.
#[derive(Clone, Debug)]
pub struct ChildPlatform {
    /// Who has looked.
    process: u32,
    /// The functions of the table, behind its two header words.
    table: *mut *const c_void,
    /// The entry that tells the number of worker threads.
    workers: usize,
    /// The entries that post tasks to them.
    post: [usize; 2],
}

// SAFETY: addresses in the executable's data, which is never unloaded; they are only written through in a forked child, which has
// one thread.
unsafe impl Send for ChildPlatform {}
// SAFETY: as above.
unsafe impl Sync for ChildPlatform {}

/// A process-wide lock of V8's garbage collector for C++ objects, held across the fork so that no other isolate's thread holds it.
#[derive(Debug)]
pub struct ForkLock(Option<Address>);

impl ChildPlatform {
    /// Finds the table and its entries, or says why fork captures can't work in this process.
    pub fn find() -> Result<&'static Self, &'static str> {
        static FOUND: OnceLock<Result<ChildPlatform, String>> = OnceLock::new();
        FOUND.get_or_init(look_up).as_ref().map_err(String::as_str)
    }

    /// In a child just forked, before anything of V8 is called: says that this is a child, and takes the worker threads away. In the
    /// process that has looked the table up, this does nothing.
    pub fn enter(&self) {
        if std::process::id() == self.process {
            return;
        }
        enter_forked_child();
        let entries = [self.workers, self.post[0], self.post[1]];
        // SAFETY: constant of the system.
        let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        for entry in entries {
            let replacement =
                if entry == self.workers { no_workers as *const c_void } else { drop_task as *const c_void };
            // SAFETY: `entry` is inside the table (see `look_up`). Its page is made writable first; nothing else lies on it but
            // constants of the executable. Nobody reads it meanwhile: a process other than the one that found the table is a fork of
            // it, which has this thread only.
            unsafe {
                let at = self.table.add(entry);
                let start = (at as usize) & !(page - 1);
                let length = (at as usize + size_of::<*const c_void>()) - start;
                if libc::mprotect(start as *mut c_void, length, libc::PROT_READ | libc::PROT_WRITE) == 0 {
                    at.write(replacement);
                }
            }
        }
    }

    /// How many worker threads the platform has, where it can be asked.
    pub fn pool_size() -> Option<usize> {
        let table = Self::find().ok()?.table;
        let current = find(c"_ZN2v88internal2V818GetCurrentPlatformEv")?;
        let count = find(NUMBER_OF_WORKERS)?;
        // SAFETY: the first symbol is `static v8::Platform* v8::internal::V8::GetCurrentPlatform()`, which reads a global. The second is
        // `int node::NodePlatform::NumberOfWorkerThreads()` and is only called on an object whose table is that class's.
        unsafe {
            let current: extern "C" fn() -> *mut *const c_void = std::mem::transmute(current.0);
            let platform = current();
            if platform.is_null() || *platform != table.cast_const().cast() {
                return None;
            }
            let count: extern "C" fn(*mut *const c_void) -> c_int = std::mem::transmute(count.0);
            usize::try_from(count(platform)).ok()
        }
    }
}

impl ForkLock {
    /// Takes the lock where it is exported (Node.js 20 and 22), waiting 20 ms at most: it is never held for long.
    pub fn take() -> Self {
        let Some(Address(lock)) = find(c"_ZN5cppgc8internal15g_process_mutexE") else { return ForkLock(None) };
        let mut until = MaybeUninit::<libc::timespec>::uninit();
        // SAFETY: the symbol is a `v8::base::LazyMutex`: a word that is not 0 once the mutex behind it has been made, then the mutex,
        // whose first member is the pthread mutex. It lives as long as the process.
        unsafe {
            if *lock.cast::<usize>() == 0 || libc::clock_gettime(libc::CLOCK_REALTIME, until.as_mut_ptr()) != 0 {
                return ForkLock(None);
            }
            let mut until = until.assume_init();
            until.tv_nsec += Duration::from_millis(20).as_nanos() as libc::c_long;
            if until.tv_nsec >= 1_000_000_000 {
                until.tv_nsec -= 1_000_000_000;
                until.tv_sec += 1;
            }
            let mutex = mutex_of(lock);
            let taken = libc::pthread_mutex_timedlock(mutex, &raw const until) == 0;
            ForkLock(taken.then_some(Address(mutex.cast_const().cast())))
        }
    }

    /// Gives it back. The child does so for its own copy, by `release_in_child`.
    pub fn release(self) {
        drop(self);
    }

    /// In the child: gives its own copy of the lock back.
    pub fn release_in_child(&self) {
        self.unlock();
    }

    fn unlock(&self) {
        if let Some(Address(mutex)) = self.0 {
            // SAFETY: this thread has taken the lock, in this process or in the one it was forked from.
            unsafe { libc::pthread_mutex_unlock(mutex.cast_mut().cast()) };
        }
    }
}

impl Drop for ForkLock {
    fn drop(&mut self) {
        self.unlock();
    }
}

const NUMBER_OF_WORKERS: &std::ffi::CStr = c"_ZN4node12NodePlatform21NumberOfWorkerThreadsEv";

/// The functions that post a task and a delayed task: Node.js 20, and 22 to 26.
const POSTS: [[&std::ffi::CStr; 2]; 2] = [
    [
        c"_ZN4node12NodePlatform18CallOnWorkerThreadESt10unique_ptrIN2v84TaskESt14default_deleteIS3_EE",
        c"_ZN4node12NodePlatform25CallDelayedOnWorkerThreadESt10unique_ptrIN2v84TaskESt14default_deleteIS3_EEd",
    ],
    [
        c"_ZN4node12NodePlatform26PostTaskOnWorkerThreadImplEN2v812TaskPriorityESt10unique_ptrINS1_4TaskESt14default_deleteIS4_EERKNS1_14SourceLocationE",
        c"_ZN4node12NodePlatform33PostDelayedTaskOnWorkerThreadImplEN2v812TaskPriorityESt10unique_ptrINS1_4TaskESt14default_deleteIS4_EEdRKNS1_14SourceLocationE",
    ],
];

fn mutex_of(lock: *const c_void) -> *mut libc::pthread_mutex_t {
    // SAFETY: stays inside the symbol's object: see `take`.
    unsafe { lock.cast::<usize>().add(1).cast_mut().cast() }
}

fn look_up() -> Result<ChildPlatform, String> {
    let missing = |what: &str| format!("this runtime does not export {what}");
    let table = find(c"_ZTVN4node12NodePlatformE").ok_or_else(|| missing("node::NodePlatform"))?;
    let words = size_of_object(table).ok_or("the size of node::NodePlatform's function table can't be found out")?
        / size_of::<usize>();
    if !(8..256).contains(&words) {
        return Err(format!("node::NodePlatform's function table has an unlikely size ({words} words)"));
    }
    // SAFETY: the object's size is that of the symbol, `words` words, of which the first two are not functions.
    let (functions, entries) = unsafe {
        let functions = table.0.cast_mut().cast::<*const c_void>().add(2);
        (functions, std::slice::from_raw_parts(functions, words - 2))
    };
    let position = |function: Address| entries.iter().position(|&entry| entry == function.0);
    let entry = |name| find(name).and_then(position);
    let workers = entry(NUMBER_OF_WORKERS).ok_or_else(|| missing("NodePlatform::NumberOfWorkerThreads"))?;
    let post = POSTS
        .iter()
        .find_map(|[post, delayed]| Some([entry(post)?, entry(delayed)?]))
        .ok_or_else(|| missing("the functions by which node::NodePlatform takes tasks"))?;
    Ok(ChildPlatform { process: std::process::id(), table: functions, workers, post })
}

/// The size of the object at `address`, by the executable's table of symbols.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn size_of_object(address: Address) -> Option<usize> {
    unsafe extern "C" {
        fn dladdr1(address: *const c_void, info: *mut libc::Dl_info, extra: *mut *mut c_void, flags: c_int) -> c_int;
    }
    const RTLD_DL_SYMENT: c_int = 1;
    let mut info = MaybeUninit::<libc::Dl_info>::uninit();
    let mut symbol = std::ptr::null_mut();
    // SAFETY: room for both answers; with this flag the second is an `ElfW(Sym)*` into the executable's symbols, or null.
    unsafe {
        if dladdr1(address.0, info.as_mut_ptr(), &raw mut symbol, RTLD_DL_SYMENT) == 0 || symbol.is_null() {
            return None;
        }
        usize::try_from((*symbol.cast::<libc::Elf64_Sym>()).st_size).ok()
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn size_of_object(_address: Address) -> Option<usize> {
    None
}

extern "C" fn no_workers(_platform: *mut c_void) -> c_int {
    0
}

/// Stands for the functions that take a task: it is neither run nor freed. They return nothing.
extern "C" fn drop_task() {}
