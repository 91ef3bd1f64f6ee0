//! Counted objects that hold or take values.

use core::ffi::c_void;
use core::mem::{offset_of, size_of};

use crate::any::{Any, SafeCall};
use crate::object::Object;

/// An array object.
#[repr(C)]
#[derive(Debug)]
pub struct ArrayObject {
    /// Header.
    pub header: Object,
    /// The items, each owning its reference.
    pub data: *mut Any,
    /// Number of items.
    pub size: i64,
    /// Room for items.
    pub capacity: i64,
    /// Frees `data` where it is an allocation of its own.
    pub data_deleter: Option<unsafe extern "C" fn(*mut c_void)>,
}

/// A function object.
#[repr(C)]
#[derive(Debug)]
pub struct FunctionObject {
    /// Header; its address is the `handle` of the call.
    pub header: Object,
    /// The function.
    pub safe_call: Option<SafeCall>,
    /// A C++ shortcut; null for everything not made by C++.
    pub cpp_call: *mut c_void,
}

const _: () = {
    assert!(offset_of!(ArrayObject, data) == 24);
    assert!(offset_of!(ArrayObject, data_deleter) == 48);
    assert!(size_of::<ArrayObject>() == 56);
    assert!(size_of::<FunctionObject>() == 40);
};
