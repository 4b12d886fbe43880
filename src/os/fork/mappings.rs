//! V8 asks the kernel to leave its heap out of forks (`MADV_DONTFORK`). For one fork that is undone, and then put back.
//!
//! Which mappings are left out only `/proc/self/smaps` tells, and reading it walks page tables: so that happens beforehand. At the fork
//! itself `/proc/self/maps` tells what is mapped by then, and all of it that could be V8's is let in, which costs about a microsecond
//! a mapping. What is put back is what was left out before and still is a mapping of the same kind.

use std::{fs, io, ops::Range};

/// The mappings that forks leave out, at the moment of the scan.
#[derive(Debug, Default)]
pub(super) struct Mappings {
    left_out: Vec<Range<usize>>,
}

/// Forks take everything along until this is dropped.
pub(super) struct Lifted {
    put_back: Vec<Range<usize>>,
}

/// V8 maps its heap in pieces with this alignment.
const CHUNK: usize = 256 << 10;

impl Mappings {
    pub(super) fn scan() -> io::Result<Self> {
        Ok(Mappings { left_out: left_out(&fs::read("/proc/self/smaps")?) })
    }

    /// Lets forks take along everything that may be V8's.
    pub(super) fn lift(&self) -> io::Result<Lifted> {
        let maps = fs::read("/proc/self/maps")?;
        let mut put_back = Vec::with_capacity(self.left_out.len() + 8);
        let mut run = 0..0;
        for mapping in maps.split(|&b| b == b'\n').filter_map(parse) {
            let known = overlapping(&self.left_out, &mapping.range);
            if !mapping.anonymous && known.is_empty() {
                continue;
            }
            put_back.extend(known.iter().filter_map(|left_out| still_left_out(left_out, &mapping.range)));
            if run.end == mapping.range.start {
                run.end = mapping.range.end;
            } else {
                advise(&run, libc::MADV_DOFORK);
                run = mapping.range;
            }
        }
        advise(&run, libc::MADV_DOFORK);
        Ok(Lifted { put_back })
    }
}

impl Drop for Lifted {
    fn drop(&mut self) {
        for range in &self.put_back {
            advise(range, libc::MADV_DONTFORK);
        }
    }
}

/// What of `left_out` can be taken to be so still, in a mapping of now that overlaps it.
///
/// The flag belongs to a whole mapping: one that reaches beyond `left_out` has grown, one inside it has shrunk. Between the scan and
/// now another part of the process may have got addresses that V8 gave up, though, and a thread's stack must not be left out of the
/// app's own forks: so a smaller mapping counts only with V8's own alignment.
fn still_left_out(left_out: &Range<usize>, mapping: &Range<usize>) -> Option<Range<usize>> {
    let common = left_out.start.max(mapping.start)..left_out.end.min(mapping.end);
    let aligned = |at: usize, edge: usize| at == edge || at.is_multiple_of(CHUNK);
    let v8s = aligned(mapping.start.max(left_out.start), left_out.start)
        && aligned(mapping.end.min(left_out.end), left_out.end);
    (v8s && !common.is_empty()).then_some(common)
}

/// The ranges of a sorted list that share an address with `with`.
fn overlapping<'a>(sorted: &'a [Range<usize>], with: &Range<usize>) -> &'a [Range<usize>] {
    let first = sorted.partition_point(|range| range.end <= with.start);
    let count = sorted[first..].partition_point(|range| range.start < with.end);
    &sorted[first..first + count]
}

fn advise(range: &Range<usize>, advice: libc::c_int) {
    if range.is_empty() {
        return;
    }
    // SAFETY: whether forks take a mapping along changes nothing for this process. A range that another thread has unmapped
    // meanwhile gives ENOMEM, and whatever else is refused (device memory) stays as it was.
    unsafe { libc::madvise(range.start as *mut libc::c_void, range.len(), advice) };
}

struct Mapping {
    range: Range<usize>,
    /// Private memory without a file, as V8's is.
    anonymous: bool,
}

/// A line of `maps`, which also begins each entry of `smaps`: `start-end perms offset device inode [name]`.
fn parse(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.split(|&b| b == b' ').filter(|field| !field.is_empty());
    let mut ends = fields.next()?.split(|&b| b == b'-').map(hexadecimal);
    let range = ends.next()??..ends.next()??;
    let private = fields.next()?.get(3) == Some(&b'p');
    let inode = fields.nth(2)?;
    // The kernel's own: [vdso], [vvar], [vsyscall].
    let kernels = fields.next().is_some_and(|name| name.starts_with(b"[v"));
    Some(Mapping { range, anonymous: private && inode == b"0" && !kernels })
}

fn hexadecimal(digits: &[u8]) -> Option<usize> {
    usize::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// The mappings in the text of `smaps` whose flags have `dc`, "do not copy".
fn left_out(smaps: &[u8]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut current = None;
    for line in smaps.split(|&b| b == b'\n') {
        if let Some(flags) = line.strip_prefix(b"VmFlags:") {
            let without = flags.split(|&b| b == b' ').any(|flag| flag == b"dc");
            found.extend(current.take().filter(|_| without));
        } else if line.first().is_some_and(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b)) {
            current = parse(line).map(|mapping| mapping.range);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &[u8] = b"\
00400000-00500000 r-xp 00000000 fe:00 1234                               /usr/bin/node
Size:               1024 kB
VmFlags: rd ex mr mw me
1000000000-1000040000 rw-p 00000000 00:00 0
Rss:                 256 kB
VmFlags: rd wr mr mw me dc ac
1000040000-1000080000 rw-p 00000000 00:00 0                              [heap]
VmFlags: rd wr mr mw me ac
7f0000000000-7f0000001000 rw-s 00000000 00:01 77                         /dev/zero (deleted)
VmFlags: rd wr sh mr mw me dc
7ffc00000000-7ffc00004000 r--p 00000000 00:00 0                          [vvar]
VmFlags: rd mr pf io de dd
";

    #[test]
    fn flags_are_read() {
        assert_eq!(left_out(SMAPS), [0x1000000000..0x1000040000, 0x7f0000000000..0x7f0000001000]);
        let anonymous: Vec<bool> =
            SMAPS.split(|&b| b == b'\n').filter_map(parse).map(|mapping| mapping.anonymous).collect();
        assert_eq!(anonymous, [false, true, true, false, false]);
    }

    #[test]
    fn only_what_is_left_out_still_is_put_back() {
        const C: usize = CHUNK;
        let left_out = 4 * C..8 * C;
        for (mapping, expected) in [
            (4 * C..8 * C, Some(4 * C..8 * C)),
            (2 * C..9 * C, Some(4 * C..8 * C)),
            (5 * C..6 * C, Some(5 * C..6 * C)),
            (5 * C + 4096..6 * C, None),    // a thread's stack above its guard page
            (5 * C..5 * C + 135_168, None), // a heap of malloc's
            (8 * C..9 * C, None),
        ] {
            assert_eq!(still_left_out(&left_out, &mapping), expected, "{mapping:?}");
        }
        let sorted = [0..2, 4..6, 8..9];
        assert_eq!(overlapping(&sorted, &(1..5)), [0..2, 4..6]);
        assert_eq!(overlapping(&sorted, &(2..4)), []);
        assert_eq!(overlapping(&sorted, &(5..100)), [4..6, 8..9]);
    }

    #[test]
    fn a_mapping_left_out_is_let_in_and_left_out_again() {
        // SAFETY: a fresh anonymous mapping of our own, unmapped below; nothing points into it.
        let at = unsafe {
            let at = libc::mmap(
                std::ptr::null_mut(),
                CHUNK,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert_ne!(at, libc::MAP_FAILED);
            at as usize
        };
        let range = at..at + CHUNK;
        let flagged = || overlapping(&Mappings::scan().unwrap().left_out, &range).contains(&range);
        advise(&range, libc::MADV_DONTFORK);
        assert!(flagged());
        let lifted = Mappings::scan().unwrap().lift().unwrap();
        assert!(!flagged());
        drop(lifted);
        assert!(flagged());
        // SAFETY: the mapping from above.
        unsafe { libc::munmap(at as *mut libc::c_void, CHUNK) };
    }
}
