//! The core's rows as JavaScript objects.

use std::ptr;

use napi::{
    Result, Status,
    bindgen_prelude::{Either, Float64Array, FromNapiValue, Int32Array, ToNapiValue, Uint32Array},
    sys,
};
use napi_derive::napi;

use crate::{
    analysis::{self, JsString},
    error,
};

/// A value that is null in JavaScript rather than absent.
type Null<T> = Either<T, napi::bindgen_prelude::Null>;

/// A JavaScript string: well-formed text goes over as UTF-8, the rest, with its lone surrogates, as UTF-16.
pub struct Text(pub(super) JsString);

impl ToNapiValue for Text {
    unsafe fn to_napi_value(env: sys::napi_env, value: Self) -> Result<sys::napi_value> {
        let mut out = ptr::null_mut();
        let status = match str::from_utf8(value.0.as_bytes()) {
            // SAFETY: `env` is the live environment napi passes in; pointer and length are those of a string that outlives
            // the call, which copies it.
            Ok(text) => unsafe {
                sys::napi_create_string_utf8(env, text.as_ptr().cast(), text.len() as isize, &raw mut out)
            },
            Err(_) => {
                let units = value.0.as_js_str().to_utf16();
                // SAFETY: as above, for UTF-16.
                unsafe { sys::napi_create_string_utf16(env, units.as_ptr(), units.len() as isize, &raw mut out) }
            }
        };
        check(status, "could not create a string")?;
        Ok(out)
    }
}

impl FromNapiValue for Text {
    unsafe fn from_napi_value(env: sys::napi_env, value: sys::napi_value) -> Result<Self> {
        let mut length = 0;
        // SAFETY: `env` and `value` are live, from napi; without a buffer only the length is written.
        let status = unsafe { sys::napi_get_value_string_utf16(env, value, ptr::null_mut(), 0, &raw mut length) };
        check(status, "expected a string")?;
        let mut units = vec![0u16; length + 1]; // and a terminator
        // SAFETY: as above; at most `units.len()` units are written.
        let status =
            unsafe { sys::napi_get_value_string_utf16(env, value, units.as_mut_ptr(), units.len(), &raw mut length) };
        check(status, "expected a string")?;
        Ok(Text(JsString::from_utf16(&units[..length])))
    }
}

fn check(status: sys::napi_status, message: &str) -> Result<()> {
    if status == sys::Status::napi_ok { Ok(()) } else { Err(napi::Error::new(Status::from(status), message)) }
}

/// One class in the Summary.
#[napi(object, object_from_js = false)]
pub struct ClassRow {
    #[napi(ts_type = "string")]
    pub key: Text,
    #[napi(ts_type = "string")]
    pub name: Text,
    pub count: f64,
    pub distance: i32,
    pub self_size: f64,
    pub retained_size: f64,
}

impl From<analysis::ClassRow> for ClassRow {
    fn from(row: analysis::ClassRow) -> Self {
        ClassRow {
            key: Text(row.key),
            name: Text(row.name),
            count: row.count as f64,
            distance: row.distance,
            self_size: row.self_size as f64,
            retained_size: row.retained_size as f64,
        }
    }
}

/// One object.
#[napi(object, object_from_js = false)]
pub struct NodeRow {
    pub id: u32,
    #[napi(ts_type = "string")]
    pub name: Text,
    #[napi(ts_type = "string")]
    pub class_name: Text,
    #[napi(js_name = "type")]
    pub node_type: String,
    pub self_size: u32,
    pub retained_size: f64,
    pub distance: i32,
    pub detached: bool,
    pub dominator: u32,
    pub edge_count: u32,
}

impl From<analysis::NodeRow> for NodeRow {
    fn from(row: analysis::NodeRow) -> Self {
        NodeRow {
            id: row.id,
            name: Text(row.name),
            class_name: Text(row.class_name),
            node_type: row.node_type,
            self_size: row.self_size,
            retained_size: row.retained_size as f64,
            distance: row.distance,
            detached: row.detached,
            dominator: row.dominator,
            edge_count: row.edge_count,
        }
    }
}

/// One edge with the node at its other end.
#[napi(object, object_from_js = false)]
pub struct EdgeRow {
    #[napi(js_name = "type")]
    pub edge_type: String,
    #[napi(ts_type = "string")]
    pub name: Text,
    pub node: NodeRow,
}

impl From<analysis::EdgeRow> for EdgeRow {
    fn from(row: analysis::EdgeRow) -> Self {
        EdgeRow { edge_type: row.edge_type.into(), name: Text(row.name), node: row.node.into() }
    }
}

/// One class in the Comparison.
#[napi(object, object_from_js = false)]
pub struct DiffRow {
    #[napi(ts_type = "string")]
    pub key: Text,
    #[napi(ts_type = "string")]
    pub name: Text,
    pub added_count: f64,
    pub removed_count: f64,
    pub count_delta: f64,
    pub added_size: f64,
    pub removed_size: f64,
    pub size_delta: f64,
}

impl From<analysis::DiffRow> for DiffRow {
    fn from(row: analysis::DiffRow) -> Self {
        DiffRow {
            key: Text(row.key),
            name: Text(row.name),
            added_count: row.added_count as f64,
            removed_count: row.removed_count as f64,
            count_delta: row.count_delta as f64,
            added_size: row.added_size as f64,
            removed_size: row.removed_size as f64,
            size_delta: row.size_delta as f64,
        }
    }
}

/// Strings of equal text.
#[napi(object, object_from_js = false)]
pub struct DuplicateString {
    #[napi(ts_type = "string")]
    pub value: Text,
    pub count: f64,
    pub self_size: f64,
}

impl From<analysis::DuplicateString> for DuplicateString {
    fn from(row: analysis::DuplicateString) -> Self {
        DuplicateString { value: Text(row.value), count: row.count as f64, self_size: row.self_size as f64 }
    }
}

/// The Statistics view, in bytes.
#[napi(object, object_from_js = false)]
pub struct Statistics {
    pub total: f64,
    #[napi(js_name = "v8heap")]
    pub v8heap: V8HeapStatistics,
    pub native: NativeStatistics,
}

/// V8's heap by kind.
#[napi(object, object_from_js = false)]
pub struct V8HeapStatistics {
    pub total: f64,
    pub code: f64,
    pub js_arrays: f64,
    pub strings: f64,
    pub system: f64,
}

/// Memory outside V8's heap.
#[napi(object, object_from_js = false)]
pub struct NativeStatistics {
    pub total: f64,
    pub typed_arrays: f64,
}

impl From<analysis::Statistics> for Statistics {
    fn from(s: analysis::Statistics) -> Self {
        Statistics {
            total: s.total as f64,
            v8heap: V8HeapStatistics {
                total: s.v8heap.total as f64,
                code: s.v8heap.code as f64,
                js_arrays: s.v8heap.js_arrays as f64,
                strings: s.v8heap.strings as f64,
                system: s.v8heap.system as f64,
            },
            native: NativeStatistics { total: s.native.total as f64, typed_arrays: s.native.typed_arrays as f64 },
        }
    }
}

/// A place where memory accumulates.
#[napi(object, object_from_js = false)]
pub struct Suspect {
    pub kind: String,
    #[napi(ts_type = "string")]
    pub class_name: Text,
    pub count: f64,
    pub retained_size: f64,
    pub off_heap_size: f64,
    pub share: f64,
    pub holder: String,
    pub holder_id: u32,
    #[napi(ts_type = "string | null")]
    pub script: Null<String>,
    pub path: Vec<SuspectStep>,
    pub omitted_steps: f64,
    #[napi(ts_type = "SuspectGrowth | null")]
    pub growth: Null<SuspectGrowth>,
    pub explanation: String,
}

/// One step of a suspect's path.
#[napi(object, object_from_js = false)]
pub struct SuspectStep {
    #[napi(js_name = "type")]
    pub edge_type: String,
    #[napi(ts_type = "string")]
    pub edge: Text,
    #[napi(ts_type = "string")]
    pub class_name: Text,
    pub id: u32,
}

/// How a suspect differs from what it was in the base.
#[napi(object, object_from_js = false)]
pub struct SuspectGrowth {
    pub new_size: f64,
    pub retained_delta: f64,
    pub count_delta: f64,
}

impl From<analysis::Suspect> for Suspect {
    fn from(s: analysis::Suspect) -> Self {
        let step = |step: analysis::SuspectStep| SuspectStep {
            edge_type: step.edge_type.into(),
            edge: Text(step.edge),
            class_name: Text(step.class_name),
            id: step.id,
        };
        Suspect {
            kind: s.kind.as_str().into(),
            class_name: Text(s.class_name),
            count: s.count as f64,
            retained_size: s.retained_size as f64,
            off_heap_size: s.off_heap_size as f64,
            share: s.share,
            holder: s.holder,
            holder_id: s.holder_id,
            script: s.script.map_or(Either::B(napi::bindgen_prelude::Null), Either::A),
            path: s.path.into_iter().map(step).collect(),
            omitted_steps: s.omitted_steps as f64,
            growth: s.growth.map_or(Either::B(napi::bindgen_prelude::Null), |g| {
                Either::A(SuspectGrowth {
                    new_size: g.new_size as f64,
                    retained_delta: g.retained_delta as f64,
                    count_delta: g.count_delta as f64,
                })
            }),
            explanation: s.explanation,
        }
    }
}

/// Bytes of one kind outside of V8's heap.
#[napi(object, object_from_js = false)]
pub struct OffHeapKind {
    pub count: f64,
    pub size: f64,
}

/// The heap on both sides of its border, in bytes.
#[napi(object, object_from_js = false)]
pub struct OffHeap {
    pub on_heap: f64,
    pub off_heap: f64,
    pub array_buffers: OffHeapKind,
    pub external_strings: OffHeapKind,
    pub other: OffHeapKind,
    pub unattributed: f64,
}

impl From<analysis::OffHeap> for OffHeap {
    fn from(s: analysis::OffHeap) -> Self {
        let kind = |kind: analysis::OffHeapKind| OffHeapKind { count: kind.count as f64, size: kind.size as f64 };
        OffHeap {
            on_heap: s.on_heap as f64,
            off_heap: s.off_heap as f64,
            array_buffers: kind(s.array_buffers),
            external_strings: kind(s.external_strings),
            other: kind(s.other),
            unattributed: s.unattributed as f64,
        }
    }
}

/// What a query asks for, checked before.
#[napi(object, object_to_js = false)]
pub struct HeapQuery {
    pub class_name: Option<String>,
    pub name: Option<String>,
    /// The flags of a RegExp of which `name` is the source; without, `name` is plain text.
    pub name_flags: Option<String>,
    #[napi(js_name = "type")]
    pub node_type: Option<String>,
    pub min_self_size: Option<f64>,
    pub max_self_size: Option<f64>,
    pub min_retained_size: Option<f64>,
    pub max_retained_size: Option<f64>,
    pub min_distance: Option<f64>,
    pub max_distance: Option<f64>,
    pub retained_by: Option<u32>,
    pub edge_name: Option<String>,
    pub detached: Option<bool>,
    pub offset: Option<f64>,
    pub limit: Option<f64>,
}

impl HeapQuery {
    pub(super) fn query(self) -> error::Result<analysis::Query> {
        let name = match (self.name, self.name_flags) {
            (Some(source), Some(flags)) => Some(analysis::NamePattern::regexp(&source, &flags)?),
            (name, _) => name.map(analysis::NamePattern::Contains),
        };
        let size = |min: Option<f64>, max: Option<f64>| (min.map(|n| n.ceil() as u64), max.map(|n| n.floor() as u64));
        Ok(analysis::Query {
            class_name: self.class_name,
            name,
            node_type: self.node_type,
            self_size: size(self.min_self_size, self.max_self_size),
            retained_size: size(self.min_retained_size, self.max_retained_size),
            distance: (self.min_distance.map(|n| n as i64), self.max_distance.map(|n| n as i64)),
            retained_by: self.retained_by,
            edge_name: self.edge_name,
            detached: self.detached,
            page: analysis::Page {
                offset: self.offset.map_or(0, |n| n as usize),
                limit: self.limit.map(|n| n as usize),
            },
        })
    }
}

/// Every node's numbers, by its ordinal.
#[napi(object, object_from_js = false)]
pub struct Columns {
    pub id: Float64Array,
    pub self_size: Float64Array,
    pub retained_size: Float64Array,
    pub distance: Int32Array,
    pub dominator: Uint32Array,
    pub class_index: Uint32Array,
    #[napi(ts_type = "string[]")]
    pub class_names: Vec<Text>,
}

impl From<analysis::Columns> for Columns {
    fn from(c: analysis::Columns) -> Self {
        Columns {
            id: c.id.into(),
            self_size: c.self_size.into(),
            retained_size: c.retained_size.into(),
            distance: c.distance.into(),
            dominator: c.dominator.into(),
            class_index: c.class_index.into(),
            class_names: c.class_names.into_iter().map(Text).collect(),
        }
    }
}
