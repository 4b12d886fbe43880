//! The Summary's filters as JavaScript gives them, and the realms that some of them name.

use napi::{Env, bindgen_prelude::Object};
use napi_derive::napi;

use super::{guard::guard, rows::Text, snapshot::HeapFile, task::Task};
use crate::{
    analysis,
    error::{Code, Error, Result},
};

/// Which objects the Summary counts: what `kind` says, with its numbers.
#[napi(object, object_to_js = false)]
pub struct SummaryFilter {
    pub kind: String,
    /// Of `nativeContext`.
    pub id: Option<u32>,
    /// Of `ids`: above this one.
    pub after: Option<u32>,
    /// Of `ids`: up to this one.
    pub up_to: Option<u32>,
}

impl SummaryFilter {
    pub(super) fn get(&self) -> Result<analysis::SummaryFilter> {
        use analysis::SummaryFilter as Filter;
        Ok(match (&*self.kind, self.id) {
            ("ids", _) => Filter::Ids(self.after, self.up_to.unwrap_or(u32::MAX)),
            ("nativeContext", Some(id)) => Filter::NativeContext(id),
            ("duplicatedStrings", _) => Filter::DuplicatedStrings,
            ("retainedByDetachedDomNodes", _) => Filter::RetainedByDetachedDomNodes,
            ("retainedByContexts", _) => Filter::RetainedByContexts,
            ("retainedByConsole", _) => Filter::RetainedByConsole,
            ("retainedByEventHandlers", _) => Filter::RetainedByEventHandlers,
            ("sharedNativeContext", _) => Filter::SharedNativeContext,
            ("noNativeContext", _) => Filter::NoNativeContext,
            (other, _) => {
                return Err(Error::new(Code::InvalidArgument, format!("options.filter: there is no filter {other:?}")));
            }
        })
    }
}

/// The realms of a heap, in bytes.
#[napi(object, object_from_js = false)]
pub struct NativeContexts {
    pub native_contexts: Vec<NativeContext>,
    pub shared_size: f64,
    pub no_attribution_size: f64,
}

/// One realm.
#[napi(object, object_from_js = false)]
pub struct NativeContext {
    pub id: u32,
    #[napi(ts_type = "string")]
    pub name: Text,
    pub attributed_size: f64,
    pub self_size: u32,
    pub retained_size: f64,
}

impl From<analysis::NativeContextRow> for NativeContext {
    fn from(row: analysis::NativeContextRow) -> Self {
        NativeContext {
            id: row.id,
            name: Text(row.name),
            attributed_size: row.attributed_size as f64,
            self_size: row.self_size,
            retained_size: row.retained_size as f64,
        }
    }
}

#[napi]
impl HeapFile {
    /// The greatest id of a JavaScript object.
    #[napi]
    pub fn max_js_object_id(&self, env: Env) -> napi::Result<u32> {
        guard(env, "HeapFile.maxJsObjectId", || Ok(self.get()?.max_js_object_id()))
    }

    /// The realms, and how much each of them uses.
    #[napi(ts_return_type = "Promise<NativeContexts>")]
    pub fn native_contexts<'env>(&self, env: &'env Env, task: &Task) -> napi::Result<Object<'env>> {
        self.ask(env, "HeapFile.nativeContexts", task, move |heap, progress| {
            let found = heap.native_contexts(progress)?;
            Ok(NativeContexts {
                native_contexts: found.native_contexts.into_iter().map(NativeContext::from).collect(),
                shared_size: found.shared_size as f64,
                no_attribution_size: found.no_attribution_size as f64,
            })
        })
    }
}
