//! The host table that the loader hands to compiled code.
//!
//! Every function here may be called by generated code on any thread.
//! None of them lets a panic out, and each that can fail sets the error first (law A1).

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use orogen_abi::{Any, DLDataType, HOST_VERSION, HostTable, LoopBody, Object, TypeIndex};

use crate::error::{RuntimeError, contain, raise, raise_error};
use crate::object::{self, ObjectRef};
use crate::tensor::Tensor;
use crate::{function, pool, value, workspace};

/// The one table of this runtime.
pub(crate) static HOST: HostTable = HostTable {
    version: HOST_VERSION,
    size: size_of::<HostTable>() as u32, // a few dozen bytes
    tensor_new,
    array_new,
    object_release,
    workspace_acquire,
    workspace_release,
    error_set,
    error_set_shape,
    parallel_for,
    call_extern,
};

/// The table that code compiled into memory is given; libraries get it when they are opened.
pub fn host_table() -> &'static HostTable {
    &HOST
}

/// The value, or null with the error set.
fn or_raise<T>(what: &str, body: impl FnOnce() -> Result<*mut T, RuntimeError>) -> *mut T {
    contain(what, body).unwrap_or_else(|error| {
        raise_error(&error);
        std::ptr::null_mut()
    })
}

unsafe extern "C" fn tensor_new(dtype: DLDataType, ndim: i32, shape: *const i64) -> *mut Object {
    or_raise("tensor_new", || {
        let rank = usize::try_from(ndim).unwrap_or(0);
        let shape = match rank {
            0 => &[][..],
            // SAFETY: the caller gives `ndim` extents.
            rank => unsafe { std::slice::from_raw_parts(shape, rank) },
        };
        Ok(Tensor::uninit(dtype, shape)?.into_object())
    })
}

unsafe extern "C" fn array_new(count: i64, items: *const *mut Object) -> *mut Object {
    or_raise("array_new", || {
        let count = usize::try_from(count).unwrap_or(0);
        let items = match count {
            0 => &[][..],
            // SAFETY: the caller gives `count` objects.
            count => unsafe { std::slice::from_raw_parts(items, count) },
        };
        // Owning the references first releases them on every way out.
        // SAFETY: every object is live and its reference is given up by the caller.
        let owned = items.iter().map(|&it| NonNull::new(it).map(|it| unsafe { ObjectRef::from_owned(it) }));
        let owned: Vec<Option<ObjectRef>> = owned.collect();
        if owned.iter().any(Option::is_none) {
            return Err(RuntimeError::Kind {
                what: "item of a new array".to_owned(),
                expected: "an object",
                got: "null".to_owned(),
            });
        }
        let owned = owned.into_iter().flatten();
        let items = owned.map(|it| Any::object(it.header().type_index, it.into_raw())).collect();
        Ok(value::new_array(items).into_raw())
    })
}

unsafe extern "C" fn object_release(object: *mut Object) {
    if let Some(object) = NonNull::new(object) {
        // SAFETY: the object is live and its reference is given up by the caller.
        unsafe { object::release(object) };
    }
}

unsafe extern "C" fn workspace_acquire(bytes: u64) -> *mut u8 {
    or_raise("workspace_acquire", || Ok(workspace::acquire(bytes)?.as_ptr()))
}

unsafe extern "C" fn workspace_release(start: *mut u8) {
    workspace::release(start);
}

/// # Safety
/// `text` is null or NUL-terminated.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: by contract.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

unsafe extern "C" fn error_set(kind: *const c_char, message: *const c_char) {
    // SAFETY: the caller gives NUL-terminated texts.
    let (kind, message) = unsafe { (text(kind), text(message)) };
    raise(if kind.is_empty() { "RuntimeError" } else { &kind }, &message);
}

unsafe extern "C" fn error_set_shape(message: *const c_char, got: i64, expected: i64) {
    // SAFETY: the caller gives a NUL-terminated text.
    let message = unsafe { text(message) };
    raise("ValueError", &format!("{message}: expected {expected}, got {got}"));
}

unsafe extern "C" fn parallel_for(body: LoopBody, context: *mut c_void, extent: i64, grain: i64) {
    struct Context(*mut c_void);
    // SAFETY: the caller's body may run on several threads with this context; that is what it asks for.
    unsafe impl Sync for Context {}
    let context = Context(context);
    let context = &context;
    // SAFETY: body and context belong together, for any range of the loop.
    pool::parallel_for(extent, grain, &move |begin, end| unsafe { body(context.0, begin, end) });
}

unsafe extern "C" fn call_extern(
    name: *const c_char,
    args: *const Any,
    num_args: i32,
    result: *mut Any,
) -> i32 {
    let outcome = contain("a foreign function", || {
        // SAFETY: the caller gives a NUL-terminated name.
        let function = function::extern_function(&unsafe { text(name) })?;
        let count = usize::try_from(num_args).unwrap_or(0);
        let args = match count {
            0 => &[][..],
            // SAFETY: the caller gives `num_args` arguments.
            count => unsafe { std::slice::from_raw_parts(args, count) },
        };
        function.call_packed(args)
    });
    match outcome {
        Ok(value) => {
            debug_assert!(value.type_index >= TypeIndex::NONE);
            // SAFETY: the caller gives a place for the result (law A2).
            unsafe { result.write(value) };
            0
        }
        Err(error) => {
            raise_error(&error);
            -1
        }
    }
}
