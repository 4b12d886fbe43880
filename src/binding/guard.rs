//! The edge between Rust and JavaScript: panics are caught, errors get their code.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use napi::{
    Env, JsValue,
    bindgen_prelude::{JsObjectValue, Object},
};

use crate::error::{Code, Error, Result};

/// Runs the body of an export called `name`: no panic leaves it, and an error becomes the JavaScript error that users
/// program against.
pub(super) fn guard<T>(env: Env, name: &str, body: impl FnOnce() -> Result<T>) -> napi::Result<T> {
    catch(name, body).map_err(|e| js_error(env, &e))
}

/// Runs `body`, turning a panic into [`Code::Internal`]. `name` is the export's or the thread's.
pub(super) fn catch<T>(name: &str, body: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(|| {
        #[cfg(feature = "test-panics")]
        panics::here(name);
        body()
    }))
    .unwrap_or_else(|panic| Err(internal(name, &*panic)))
}

/// The JavaScript error of `error`: `code`, `message`, and `file` and `offset` where they are known.
pub(super) fn js_error(env: Env, error: &Error) -> napi::Error {
    let plain = napi::Error::new(napi::Status::GenericFailure, error.to_string());
    let build = || -> napi::Result<Object<'_>> {
        let mut object = env.create_error(plain.try_clone()?)?;
        object.set_named_property("code", error.code.as_str())?;
        if let Some(file) = &error.file {
            object.set_named_property("file", file.to_string_lossy().as_ref())?;
        }
        if let Some(offset) = error.offset {
            object.set_named_property("offset", offset as f64)?;
        }
        Ok(object)
    };
    match build() {
        Ok(object) => napi::Error::from(object.to_unknown()),
        // Out of memory or a terminating environment: then the message alone has to do.
        Err(_) => plain,
    }
}

fn internal(name: &str, panic: &(dyn Any + Send)) -> Error {
    let what = panic
        .downcast_ref::<&str>()
        .map(|s| (*s).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".into());
    Error::new(Code::Internal, format!("heaprs failed in {name}: {what}. This is a bug in heaprs; please report it"))
}

/// Deliberate panics for the test that none of them reaches the host.
#[cfg(feature = "test-panics")]
mod panics {
    use std::sync::{Mutex, PoisonError};

    static AT: Mutex<Option<String>> = Mutex::new(None);

    pub(super) fn here(name: &str) {
        let due = AT.lock().unwrap_or_else(PoisonError::into_inner).take_if(|at| at == name).is_some();
        assert!(!due, "deliberate panic in {name}");
    }

    /// The next time the export or thread `name` runs, it panics. Only in builds with the feature `test-panics`.
    #[napi_derive::napi]
    pub fn test_panic_at(name: String) {
        *AT.lock().unwrap_or_else(PoisonError::into_inner) = Some(name);
    }
}
