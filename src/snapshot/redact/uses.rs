//! What is known of each string before its text comes: what it is used as.

use super::{Redaction, keys::Keys, paged::Paged};
use crate::{
    error::{Code, Error, Result},
    snapshot::NodeType,
};

/// The uses of a string that are told apart, each an index of its own in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Slot {
    /// A name of the program's or of V8's.
    Name,
    /// What a string, a regular expression or the like says.
    Content,
    /// The text of a number.
    Number,
    /// A key of an object that is used as a dictionary.
    Key,
}

pub(super) const SLOTS: [Slot; 4] = [Slot::Name, Slot::Content, Slot::Number, Slot::Key];

/// More strings than any snapshot has.
const MAX_STRINGS: u32 = 1 << 28;

pub(super) struct Uses {
    pub(super) redaction: Redaction,
    /// A bit for each slot of each string.
    used: Paged<u8>,
    /// The ids of nodes whose name says nothing of their content.
    named: Paged<u64>,
    /// With `dictionary_keys` only.
    pub(super) keys: Option<Keys>,
}

impl Uses {
    pub(super) fn new(redaction: Redaction) -> Uses {
        let keys = redaction.dictionary_keys.then(Keys::default);
        Uses { redaction, used: Paged::default(), named: Paged::default(), keys }
    }

    /// How many indices each string has in the output.
    pub(super) fn slots(&self) -> u32 {
        if self.redaction.dictionary_keys { 4 } else { 3 }
    }

    /// Notes a use, and says under which index it is in the output.
    pub(super) fn index(&mut self, string: u32, slot: Slot) -> Result<u64> {
        if string >= MAX_STRINGS {
            return Err(Error::new(Code::Corrupt, format!("a name refers to string {string}, which can't be there")));
        }
        *self.used.get_mut(string) |= 1 << slot as u8;
        Ok(u64::from(string) * u64::from(self.slots()) + slot as u64)
    }

    pub(super) fn is_used(&self, string: u32, slot: Slot) -> bool {
        self.used.get(string) & 1 << slot as u8 != 0
    }

    /// Whether a string from this one on is used: then the table is too short.
    pub(super) fn any_from(&self, string: u32) -> bool {
        self.used.from(string).any(|used| used != 0)
    }

    /// Notes a node whose name is no content.
    pub(super) fn add_named(&mut self, id: u32) {
        *self.named.get_mut(id / 64) |= 1 << (id % 64);
    }

    /// Whether the node of this id is known to have a name that is no content.
    pub(super) fn is_named(&self, id: u32) -> bool {
        self.named.get(id / 64) & 1 << (id % 64) != 0
    }
}

/// What the name of a node is. Types that are not known may show anything.
pub(super) fn slot_of(kind: NodeType, self_size: u32, edge_count: u32) -> Slot {
    match kind {
        // V8 shows numbers so: strings that take no memory, below a number node.
        NodeType::String if self_size == 0 && edge_count == 0 => Slot::Number,
        NodeType::Hidden
        | NodeType::Array
        | NodeType::Object
        | NodeType::Code
        | NodeType::Closure
        | NodeType::Native
        | NodeType::Synthetic
        | NodeType::ObjectShape
        | NodeType::WasmObject => Slot::Name,
        _ => Slot::Content,
    }
}
