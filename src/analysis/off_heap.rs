//! Memory outside of V8's heap: the backing stores of array buffers, the text of external strings, Node's own objects.

use serde::Serialize;

use super::Heap;
use crate::{error::Result, graph::steps::Steps, progress::Progress, snapshot::NodeType};

/// Bytes of one kind outside of V8's heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OffHeapKind {
    /// How many pieces.
    pub count: u64,
    /// Bytes of all.
    pub size: u64,
}

impl OffHeapKind {
    fn add(&mut self, size: u64) {
        self.count += 1;
        self.size += size;
    }
}

/// The heap on both sides of its border.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OffHeap {
    /// Bytes in V8's heap.
    pub on_heap: u64,
    /// Bytes outside of it, those of the header included.
    pub off_heap: u64,
    /// Backing stores: Buffers, typed arrays, WebAssembly memories.
    pub array_buffers: OffHeapKind,
    /// Text of strings that V8 only refers to.
    pub external_strings: OffHeapKind,
    /// Objects of Node.js and other native code.
    pub other: OffHeapKind,
    /// Bytes that the file's header states and no node accounts for.
    pub unattributed: u64,
}

impl Heap {
    /// What of the heap is outside of V8's own memory, by kind.
    pub fn off_heap(&self, progress: &Progress) -> Result<OffHeap> {
        let mut steps = Steps::start(progress, "off heap", u64::from(self.snapshot.node_count()))?;
        let mut sums = OffHeap { unattributed: self.snapshot.extra_native_bytes(), ..OffHeap::default() };
        for node in 0..self.snapshot.node_count() {
            steps.one()?;
            // The file's own size: DevTools counts an external string's text with the string.
            let size = u64::from(self.snapshot.raw_self_size(node));
            match self.kind_off_heap(node) {
                _ if size == 0 => {}
                None => sums.on_heap += size,
                Some(Native::ArrayBuffer) => sums.array_buffers.add(size),
                Some(Native::String) => sums.external_strings.add(size),
                Some(Native::Other) => sums.other.add(size),
            }
        }
        steps.finish()?;
        sums.off_heap = sums.array_buffers.size + sums.external_strings.size + sums.other.size + sums.unattributed;
        Ok(sums)
    }

    /// What kind of memory outside of V8's heap a node stands for.
    pub(super) fn kind_off_heap(&self, node: u32) -> Option<Native> {
        let name = self.snapshot.short_name(node);
        (self.snapshot.node_type(node) == NodeType::Native).then(|| match () {
            () if name.is("system / JSArrayBufferData") => Native::ArrayBuffer,
            () if name.is("system / ExternalStringData") => Native::String,
            () => Native::Other,
        })
    }
}

/// Memory outside of V8's heap, by what it is for.
pub(super) enum Native {
    ArrayBuffer,
    String,
    Other,
}
