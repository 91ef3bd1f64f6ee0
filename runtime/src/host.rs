//! The host table that the loader hands to compiled code.
//!
//! Every function here may be called by generated code on any thread.
//! None of them lets a panic out, and each that can fail sets the error first (law A1).

use std::ffi::{CStr, c_char, c_void};
use std::ptr::NonNull;

use orogen_abi::{Any, DLDataType, HOST_VERSION, HostTable, LoopBody, Object, TypeIndex};

use crate::error::{RuntimeError, contain, raise, raise_error, raised_within};
use crate::object;
use crate::tensor::{Tensor, strings};
use crate::{cell, host_function, pool, value, workspace};

/// The most items of an array, so that their size in bytes is no surprise.
const MOST_ITEMS: usize = 1 << 32;

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
    error_within,
    parallel_for,
    call_extern,
    strings_new,
    strings_keep,
    strings_equal,
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

unsafe extern "C" fn strings_new(data: *const u8, count: u64) -> *mut Object {
    or_raise("strings_new", || {
        // SAFETY: the caller gives so many numbers, and a text for each that is not 0.
        Ok(unsafe { Tensor::decode_strings(data, count as usize) }?.into_object())
    })
}

unsafe extern "C" fn strings_keep(tensor: *mut Object) {
    if let Some(object) = NonNull::new(tensor) {
        // SAFETY: the caller gives a live tensor, whose elements are live strings or null.
        unsafe { strings::keep(object) };
    }
}

unsafe extern "C" fn strings_equal(a: *const Object, b: *const Object) -> i32 {
    // SAFETY: the caller gives live strings or null.
    i32::from(a == b || unsafe { cell::bytes(a) == cell::bytes(b) })
}

unsafe extern "C" fn array_new(capacity: i64) -> *mut Object {
    or_raise("array_new", || match usize::try_from(capacity) {
        Ok(room) if room <= MOST_ITEMS => Ok(value::new_array(Vec::new(), room).into_raw()),
        _ => Err(RuntimeError::Kind {
            what: "new array".to_owned(),
            expected: "room for at most 2^32 items",
            got: format!("room for {capacity}"),
        }),
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

unsafe extern "C" fn error_within(place: *const c_char) {
    // SAFETY: the caller gives a NUL-terminated text.
    raised_within(&unsafe { text(place) });
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
    access: *const c_char,
    args: *const Any,
    num_args: i32,
    result: *mut Any,
) -> i32 {
    let outcome = contain("a function of the host", || {
        // SAFETY: the caller gives NUL-terminated texts.
        let (name, access) = unsafe { (text(name), text(access)) };
        let function = host_function::extern_function(&name)?;
        let count = usize::try_from(num_args).unwrap_or(0);
        let args = match count {
            0 => &[][..],
            // SAFETY: the caller gives `num_args` arguments.
            count => unsafe { std::slice::from_raw_parts(args, count) },
        };
        // SAFETY: arguments and access belong together.
        unsafe { function.call(&access, args) }.map_err(|error| error.about(format!("function `{name}`")))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::take_raised;
    use crate::object::ObjectRef;
    use crate::value::Value;
    use orogen_abi::ArrayObject;

    fn new(shape: &[i64]) -> *mut Object {
        // SAFETY: the shape has as many extents as it says.
        unsafe { (HOST.tensor_new)(DLDataType::F32, shape.len() as i32, shape.as_ptr()) }
    }

    fn strong(object: *mut Object) -> u64 {
        // SAFETY: the test holds a reference.
        unsafe { (*object).counts.load(std::sync::atomic::Ordering::Relaxed) & 0xffff_ffff }
    }

    #[test]
    fn tensors_that_cannot_be_are_null_with_an_error() {
        for (shape, kind) in
            [(&[-1][..], "ValueError"), (&[1 << 40, 1 << 40], "MemoryError"), (&[1 << 55], "MemoryError")]
        {
            assert!(new(shape).is_null());
            let error = take_raised("f");
            assert_eq!(error.kind(), kind, "{error}");
        }
    }

    #[test]
    fn arrays_give_back_as_many_items_as_they_say() {
        // SAFETY: the room is within the limit or refused.
        unsafe {
            assert!((HOST.array_new)(-1).is_null());
            assert_eq!(take_raised("f").kind(), "TypeError");
            assert!((HOST.array_new)(i64::MAX).is_null());
            assert_eq!(take_raised("f").kind(), "TypeError");
        }
        // SAFETY: made here and owned by the test.
        let watched = unsafe { ObjectRef::from_owned(NonNull::new(new(&[2])).unwrap()) };
        // SAFETY: the array is held here alone and has room for three.
        let array = unsafe {
            let array = (HOST.array_new)(3);
            let items = &mut *array.cast::<ArrayObject>();
            assert_eq!((items.size, items.capacity), (0, 3));
            for i in 0..2 {
                items.data.add(i).write(Any::object(TypeIndex::TENSOR, watched.clone().into_raw()));
            }
            items.size = 2;
            array
        };
        assert_eq!(strong(watched.as_ptr()), 3);
        // SAFETY: the array is live and owned by the value from here on.
        let value = unsafe { Value::from_owned(Any::object(TypeIndex::ARRAY, array)) }.unwrap();
        assert!(matches!(&value, Value::Array(items)
            if matches!(&items[..], [Value::Tensor(it), Value::Tensor(_)] if it.shape() == [2])));
        drop(value);
        assert_eq!(strong(watched.as_ptr()), 1);
        // SAFETY: null is allowed.
        unsafe { (HOST.object_release)(std::ptr::null_mut()) };
    }

    #[test]
    fn errors_carry_kind_message_and_place() {
        // SAFETY: the texts are NUL-terminated or null.
        unsafe {
            (HOST.error_set)(c"TypeError".as_ptr(), c"no".as_ptr());
            assert_eq!(take_raised("f").to_string(), "`f`: TypeError: no");
            (HOST.error_set)(std::ptr::null(), std::ptr::null());
            assert_eq!(take_raised("f").to_string(), "`f`: RuntimeError: ");
            (HOST.error_set)(c"ValueError".as_ptr(), c"extent 1".as_ptr());
            (HOST.error_within)(c"node `b`".as_ptr());
            (HOST.error_within)(c"node `a`".as_ptr());
            assert_eq!(take_raised("f").to_string(), "`f`: ValueError: node `a`: node `b`: extent 1");
            // Without an error there is nothing to say it of.
            (HOST.error_within)(c"node `a`".as_ptr());
            assert!(take_raised("f").to_string().ends_with("it failed without setting an error"));
            assert!((HOST.workspace_acquire)(u64::MAX).is_null());
            assert_eq!(take_raised("f").kind(), "MemoryError");
        }
    }
}
