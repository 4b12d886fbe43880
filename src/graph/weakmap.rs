//! The names V8 gives to the edges of a WeakMap entry.
//!
//! An entry's value hangs on two edges, one from its key and one from the table, whose names differ in their leading
//! digits only: `<digits> / part of key (<name> @<id>) -> value (<name> @<id>) pair in WeakMap (table @<id>)`.

use memchr::memmem;
use rustc_hash::FxHashMap;

use super::{BitSet, steps::Steps};
use crate::{error::Result, progress::Progress, snapshot::Snapshot};

const BEFORE_KEY: &[u8] = b" / part of key (";
const BETWEEN: &[u8] = b") -> value (";
const AFTER_VALUE: &[u8] = b") pair in WeakMap (table @";

/// What the name of one half of a WeakMap entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The same number for both halves of an entry, below [`WeakMapNames::pairs`].
    pub pair: u32,
    /// The id of the node that is the map's table; `None` when it is no possible id.
    pub table: Option<u32>,
}

/// All strings of the snapshot that name half of a WeakMap entry.
#[derive(Default)]
pub struct WeakMapNames {
    is_entry: BitSet,
    /// By string index, ascending.
    entries: Vec<(u32, Entry)>,
    pairs: u32,
}

impl WeakMapNames {
    /// Looks at every string once.
    pub fn find(snapshot: &Snapshot, progress: &Progress) -> Result<WeakMapNames> {
        let strings = snapshot.strings();
        let mut steps = Steps::start(progress, "weak maps", strings.len() as u64)?;
        let mut found = WeakMapNames::default();
        let mut pairs: FxHashMap<&[u8], u32> = FxHashMap::default();
        for (index, text) in (0..).zip(strings.short_ones()) {
            steps.one()?;
            let Some((pair, table)) = parse(text.as_bytes()) else { continue };
            if found.entries.is_empty() {
                found.is_entry = BitSet::new(strings.len() as u32)?;
            }
            found.is_entry.insert(index);
            let next = pairs.len() as u32;
            let pair = *pairs.entry(pair).or_insert(next);
            found.entries.push((index, Entry { pair, table }));
        }
        found.pairs = pairs.len() as u32;
        steps.finish()?;
        Ok(found)
    }

    /// The entry that a string names, if it names one.
    #[inline]
    pub fn get(&self, string: u32) -> Option<Entry> {
        if !self.is_entry.contains(string) {
            return None;
        }
        let at = self.entries.binary_search_by_key(&string, |(index, _)| *index).ok()?;
        Some(self.entries[at].1)
    }

    /// The nodes that may be tables of WeakMaps, all tables among them.
    pub(crate) fn tables(&self, snapshot: &Snapshot) -> Result<BitSet> {
        if self.entries.is_empty() {
            return Ok(BitSet::default());
        }
        // Nearly all other nodes are told apart by some bits of their ids.
        let bits = |id: u32| id.wrapping_mul(0x9e37_79b1) >> 16;
        let mut ids = BitSet::new(1 << 16)?;
        self.entries.iter().filter_map(|(_, entry)| entry.table).for_each(|id| _ = ids.insert(bits(id)));
        let mut nodes = BitSet::new(snapshot.node_count())?;
        for node in (0..snapshot.node_count()).filter(|&node| ids.contains(bits(snapshot.node_id(node)))) {
            nodes.insert(node);
        }
        Ok(nodes)
    }

    /// How many different entries there are.
    pub fn pairs(&self) -> u32 {
        self.pairs
    }
}

/// The part that both halves share, and the table's id.
fn parse(name: &[u8]) -> Option<(&[u8], Option<u32>)> {
    // Quick: nearly all strings leave here.
    if !name.first()?.is_ascii_digit() || *name.last()? != b')' {
        return None;
    }
    let digits = name.iter().take_while(|b| b.is_ascii_digit()).count();
    let pair = &name[digits..];
    let rest = pair.strip_prefix(BEFORE_KEY)?;
    let (rest, table) = before_digits(&rest[..rest.len() - 1])?;
    let rest = rest.strip_suffix(AFTER_VALUE)?;
    // DevTools' pattern says "any character", and to JavaScript's pattern a line terminator is none.
    let line_end = |at: usize| {
        matches!(name[at], b'\n' | b'\r')
            || name[at..].starts_with(b"\xe2\x80\xa8")
            || name[at..].starts_with(b"\xe2\x80\xa9")
    };
    if memchr::memchr3_iter(b'\n', b'\r', 0xe2, name).any(line_end) {
        return None;
    }
    let has_id = |text: &[u8]| before_digits(text).is_some_and(|(text, _)| text.ends_with(b" @"));
    memmem::find_iter(rest, BETWEEN)
        .any(|at| has_id(&rest[..at]) && has_id(&rest[at + BETWEEN.len()..]))
        .then_some((pair, table))
}

/// Splits trailing digits off: the text before them, and their value if it fits.
fn before_digits(text: &[u8]) -> Option<(&[u8], Option<u32>)> {
    let digits = text.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return None;
    }
    let (text, digits) = text.split_at(text.len() - digits);
    let value = digits.iter().try_fold(0u32, |n, d| n.checked_mul(10)?.checked_add(u32::from(d - b'0')));
    Some((text, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_entries() {
        let name = |key: &str, value: &str| {
            format!("12 / part of key ({key} @3) -> value ({value} @7) pair in WeakMap (table @11)")
        };
        let plain = name("Foo", "Bar");
        let (pair, table) = parse(plain.as_bytes()).unwrap();
        assert_eq!((pair, table), (&plain.as_bytes()[2..], Some(11)));
        for good in [name("", ""), name("a @3) -> value (b", "x"), name("(x) ", "@1)")] {
            assert!(parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            name("a\nb", "x"),
            name("a", "x\u{2028}"),
            plain.replace("12 ", " "),
            plain.replace("@3", "@"),
            plain.replace("@11", "@"),
            plain.replace(" @7", "7"),
            format!("{plain} "),
            "1)".into(),
            "1 / part of key ()".into(),
            ")".into(),
            String::new(),
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(plain.replace("@11", "@99999999999").as_bytes()).unwrap().1, None);
    }
}
