//! The core's rows as JavaScript objects.

use std::ptr;

use napi::{
    Result, Status,
    bindgen_prelude::{Float64Array, FromNapiValue, Int32Array, ToNapiValue, Uint32Array},
    sys,
};
use napi_derive::napi;

use crate::analysis::{self, JsString, text};

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
                let units: Vec<u16> = text::utf16_units(value.0.as_js_str()).collect();
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
