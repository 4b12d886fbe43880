//! How much memory this process and its children may still take: the machine's, the control groups', the process's own limit.

use std::{
    fs,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// The narrowest of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryRoom {
    /// Bytes that may still be taken.
    pub free: u64,
    /// The whole of which they are left.
    pub total: u64,
    /// What sets the limit, for messages.
    pub by: &'static str,
}

/// The room there is now; `None` where nothing tells. Reads a handful of small files.
pub fn memory_room() -> Option<MemoryRoom> {
    let root = Path::new("/");
    machine(root).into_iter().chain(control_groups(root)).chain(address_space(root)).min_by_key(|room| room.free)
}

/// The room for this process and others together: without its own limit of address space, which a child has for itself.
pub fn shared_memory_room() -> Option<MemoryRoom> {
    let root = Path::new("/");
    machine(root).into_iter().chain(control_groups(root)).min_by_key(|room| room.free)
}

/// The narrowest limit that is set for this process, or for its control group: narrower than the machine itself, which `None` means is all there is.
pub fn limited_memory_room() -> Option<MemoryRoom> {
    let root = Path::new("/");
    let whole = machine(root).map_or(UNLIMITED, |room| room.total);
    let groups = control_groups(root).into_iter().filter(|room| room.total < whole);
    groups.chain(address_space(root)).min_by_key(|room| room.free)
}

impl MemoryRoom {
    /// Whether only this process counts, and by what it has mapped, not by what is resident.
    pub fn is_address_space(self) -> bool {
        self.by == ADDRESS_SPACE
    }
}

/// What this process has of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OwnMemory {
    /// Bytes of address space.
    pub mapped: u64,
    /// Bytes in the machine's memory.
    pub resident: u64,
}

/// Tells what this process has at the price of one small read.
#[derive(Debug)]
pub struct OwnMemoryGauge {
    statm: fs::File,
    page: u64,
}

impl OwnMemoryGauge {
    /// `None` where there is no /proc.
    pub fn open() -> Option<Self> {
        // SAFETY: takes no pointers.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
        Some(OwnMemoryGauge { statm: fs::File::open("/proc/self/statm").ok()?, page: u64::try_from(page).ok()? })
    }

    /// What it has now.
    pub fn read(&self) -> Option<OwnMemory> {
        let mut room = [0; 128];
        let length = self.statm.read_at(&mut room, 0).ok()?;
        let text = std::str::from_utf8(&room[..length]).ok()?;
        let mut pages = text.split_ascii_whitespace().map(|field| field.parse::<u64>().ok());
        let mut bytes = || Some(pages.next()?? * self.page);
        Some(OwnMemory { mapped: bytes()?, resident: bytes()? })
    }
}

fn machine(root: &Path) -> Option<MemoryRoom> {
    let text = read(root.join("proc/meminfo"))?;
    let field = |name| Some(number_after(&text, name)? * 1024);
    Some(MemoryRoom { free: field("MemAvailable:")?, total: field("MemTotal:")?, by: "the machine's memory" })
}

/// Version 2 and version 1; a group's ancestors limit it, too.
fn control_groups(root: &Path) -> Vec<MemoryRoom> {
    let Some(text) = read(root.join("proc/self/cgroup")) else { return Vec::new() };
    let mut found = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (fields.next(), fields.next()) else { continue };
        let (mounts, files): (&[&str], _) = match controllers {
            "" => (&["sys/fs/cgroup", "sys/fs/cgroup/unified"], VERSION_2),
            _ if controllers.split(',').any(|c| c == "memory") => (&["sys/fs/cgroup/memory"], VERSION_1),
            _ => continue,
        };
        for mount in mounts.iter().map(|mount| root.join(mount)) {
            // In a container the path may be the host's, and the group itself is what is mounted: its own ancestor, here.
            let group = mount.join(path.trim_start_matches('/'));
            found.extend(group.ancestors().take_while(|dir| dir.starts_with(&mount)).filter_map(|dir| files.room(dir)));
        }
    }
    found
}

/// What a version of control groups calls its files.
#[derive(Clone, Copy)]
struct Files {
    limit: &'static str,
    used: &'static str,
    /// In `memory.stat`: the page cache that the kernel drops first.
    cache: &'static str,
}

const VERSION_2: Files = Files { limit: "memory.max", used: "memory.current", cache: "inactive_file " };
const VERSION_1: Files =
    Files { limit: "memory.limit_in_bytes", used: "memory.usage_in_bytes", cache: "total_inactive_file " };

/// Version 1 says "no limit" by a number near the end of its range.
const UNLIMITED: u64 = 1 << 60;

impl Files {
    fn room(self, group: &Path) -> Option<MemoryRoom> {
        let number = |name| read(group.join(name))?.trim().parse::<u64>().ok();
        let total = number(self.limit).filter(|&limit| limit < UNLIMITED)?;
        let cache = read(group.join("memory.stat"))
            .and_then(|stat| stat.lines().find_map(|line| line.strip_prefix(self.cache)?.trim().parse::<u64>().ok()));
        let used = number(self.used)?.saturating_sub(cache.unwrap_or(0));
        Some(MemoryRoom { free: total.saturating_sub(used), total, by: "the control group's limit" })
    }
}

const ADDRESS_SPACE: &str = "the limit of address space (ulimit -v)";

/// `ulimit -v`.
fn address_space(root: &Path) -> Option<MemoryRoom> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is room for the answer.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } == 0;
    if !known || limit.rlim_cur == libc::RLIM_INFINITY {
        return None;
    }
    let used = number_after(&read(root.join("proc/self/status"))?, "VmSize:")? * 1024;
    let total = limit.rlim_cur;
    Some(MemoryRoom { free: total.saturating_sub(used), total, by: ADDRESS_SPACE })
}

fn read(path: PathBuf) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn number_after(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.split_ascii_whitespace().next()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(list: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in list {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn narrowest(root: &tempfile::TempDir) -> Option<(u64, u64)> {
        control_groups(root.path()).into_iter().min_by_key(|r| r.free).map(|r| (r.free, r.total))
    }

    #[test]
    fn the_narrowest_group_counts_with_what_it_can_drop() {
        let root = files(&[
            ("proc/self/cgroup", "0::/pods/app\n"),
            ("sys/fs/cgroup/pods/app/memory.max", "max\n"),
            ("sys/fs/cgroup/pods/app/memory.current", "700\n"),
            ("sys/fs/cgroup/pods/memory.max", "1000\n"),
            ("sys/fs/cgroup/pods/memory.current", "900\n"),
            ("sys/fs/cgroup/pods/memory.stat", "anon 1\ninactive_file 250\nfile 300\n"),
        ]);
        assert_eq!(narrowest(&root), Some((350, 1000)));
    }

    #[test]
    fn version_1_in_a_container_whose_path_is_the_hosts() {
        let root = files(&[
            ("proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n0::/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "500\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "100\n"),
            ("sys/fs/cgroup/memory/memory.stat", "total_inactive_file 20\n"),
        ]);
        assert_eq!(narrowest(&root), Some((420, 500)));
        let unlimited = files(&[
            ("proc/self/cgroup", "4:memory:/\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "100\n"),
        ]);
        assert_eq!(narrowest(&unlimited), None);
    }

    #[test]
    fn this_machine_tells() {
        let room = memory_room().unwrap();
        assert!(room.free > 0 && room.free <= room.total);
        let own = OwnMemoryGauge::open().unwrap().read().unwrap();
        assert!(own.resident > 0 && own.resident < own.mapped && own.resident < room.total);
        assert!(limited_memory_room().is_none_or(|limited| limited.total < room.total
            || limited.is_address_space()
            || limited.free < room.free));
    }
}
