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

/// What a version of control groups calls its files, and the lines of `memory.stat`.
#[derive(Clone, Copy)]
struct Files {
    /// Each with what it is for messages.
    limits: &'static [(&'static str, &'static str)],
    used: &'static str,
    inactive_file: &'static str,
    active_file: &'static str,
    /// Page cache that can't just be dropped: running programs' text, and what has to be written first.
    kept: [&'static str; 3],
}

/// Who comes over `memory.high` is not killed, but put to sleep for up to two seconds at each of its steps, the app like a child.
const VERSION_2: Files = Files {
    limits: &[("memory.max", "the control group's limit"), ("memory.high", "the control group's memory.high")],
    used: "memory.current",
    inactive_file: "inactive_file",
    active_file: "active_file",
    kept: ["file_mapped", "file_dirty", "file_writeback"],
};
const VERSION_1: Files = Files {
    limits: &[("memory.limit_in_bytes", "the control group's limit")],
    used: "memory.usage_in_bytes",
    inactive_file: "total_inactive_file",
    active_file: "total_active_file",
    kept: ["total_mapped_file", "total_dirty", "total_writeback"],
};

/// Version 1 says "no limit" by a number near the end of its range.
const UNLIMITED: u64 = 1 << 60;

impl Files {
    fn room(self, group: &Path) -> Option<MemoryRoom> {
        let number = |name| read(group.join(name))?.trim().parse::<u64>().ok();
        let limits = self.limits.iter().filter_map(|&(name, by)| Some((number(name)?, by)));
        let (total, by) = limits.filter(|&(limit, _)| limit < UNLIMITED).min_by_key(|&(limit, _)| limit)?;
        let cache = read(group.join("memory.stat")).map_or(0, |stat| self.cache(&stat));
        let used = number(self.used)?.saturating_sub(cache);
        Some(MemoryRoom { free: total.saturating_sub(used), total, by })
    }

    /// The page cache that the kernel drops before it kills. A file that was read twice is active, and no less in its way to be dropped: a group full of
    /// page cache is not a group at its end.
    fn cache(self, stat: &str) -> u64 {
        let (mut inactive, mut active, mut kept) = (0, 0, 0);
        for (name, value) in stat.lines().filter_map(|line| line.split_once(' ')) {
            let of = match name {
                _ if name == self.inactive_file => &mut inactive,
                _ if name == self.active_file => &mut active,
                _ if self.kept.contains(&name) => &mut kept,
                _ => continue,
            };
            *of += value.trim().parse::<u64>().unwrap_or(0);
        }
        (inactive + active).saturating_sub(kept).max(inactive)
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

    /// As Linux 6.1 writes it, in a group whose program has read 40 MB twice right after it wrote them.
    const STAT: &str = "anon 184320\nfile 41996288\nkernel 1327104\nkernel_stack 16384\npagetables 28672\nsec_pagetables 0\npercpu 0\nsock 0\nvmalloc 0\nshmem 0\n\
        zswap 0\nzswapped 0\nfile_mapped 40960\nfile_dirty 41943040\nfile_writeback 0\nswapcached 0\ninactive_anon 167936\nactive_anon 4096\n\
        inactive_file 49152\nactive_file 41947136\nunevictable 0\nslab_reclaimable 1249584\nslab_unreclaimable 26848\nslab 1276432\n\
        workingset_refault_file 0\nworkingset_activate_file 0\npgscan 0\npgfault 2673\n";

    #[test]
    fn page_cache_that_was_read_twice_is_room_once_it_is_written() {
        let group = |stat: &str| {
            files(&[
                ("proc/self/cgroup", "0::/pods/app\n"),
                ("sys/fs/cgroup/pods/app/memory.max", "524288000\n"),
                ("sys/fs/cgroup/pods/app/memory.high", "max\n"),
                ("sys/fs/cgroup/pods/app/memory.current", "43708416\n"),
                ("sys/fs/cgroup/pods/app/memory.stat", stat),
            ])
        };
        let used = |root: &tempfile::TempDir| narrowest(root).map(|(free, total)| total - free);
        assert_eq!(used(&group(STAT)), Some(43_708_416 - 49_152), "dirty");
        let written = STAT.replace("file_dirty 41943040", "file_dirty 0");
        assert_eq!(used(&group(&written)), Some(43_708_416 - 41_947_136 - 49_152 + 40_960), "but for what is mapped");
        assert_eq!(used(&group("")), Some(43_708_416));
    }

    #[test]
    fn memory_high_is_a_limit_with_its_own_name() {
        let root = files(&[
            ("proc/self/cgroup", "0::/pods/app\n"),
            ("sys/fs/cgroup/pods/app/memory.max", "500\n"),
            ("sys/fs/cgroup/pods/app/memory.high", "450\n"),
            ("sys/fs/cgroup/pods/app/memory.current", "300\n"),
            ("sys/fs/cgroup/pods/memory.max", "max\n"),
            ("sys/fs/cgroup/pods/memory.high", "max\n"),
            ("sys/fs/cgroup/pods/memory.current", "700\n"),
        ]);
        let found = control_groups(root.path());
        assert_eq!(found, [MemoryRoom { free: 150, total: 450, by: "the control group's memory.high" }]);
    }

    #[test]
    fn a_group_of_version_2_seen_from_inside_its_container() {
        let inside = files(&[
            ("proc/self/cgroup", "0::/\n"),
            ("sys/fs/cgroup/memory.max", "500\n"),
            ("sys/fs/cgroup/memory.current", "100\n"),
        ]);
        assert_eq!(narrowest(&inside), Some((400, 500)));
        // The host's path, with nothing but the group mounted; the host's root group has no such files.
        for path in ["/kubepods.slice/pod1/abc", "/../../system.slice/abc"] {
            let lines = format!("0::{path}\n");
            let host = files(&[
                ("proc/self/cgroup", &lines),
                ("sys/fs/cgroup/memory.max", "500\n"),
                ("sys/fs/cgroup/memory.current", "100\n"),
            ]);
            assert_eq!(narrowest(&host), Some((400, 500)), "{path}");
            fs::remove_file(host.path().join("sys/fs/cgroup/memory.max")).unwrap();
            assert_eq!(narrowest(&host), None);
        }
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
