//! Counted objects: a 24-byte header, then the body of the type.

use core::ffi::{c_char, c_void};
use core::mem::{offset_of, size_of};
use core::sync::atomic::AtomicU64;

use crate::dlpack::DLTensor;

/// Lies immediately before every object; lets a host's allocator attach state to the storage.
#[repr(C)]
#[derive(Debug)]
pub struct AllocHeader {
    /// Frees the storage, given the object; null when the object's deleter does it.
    pub delete_space: Option<unsafe extern "C" fn(*mut c_void)>,
}

/// Header of every object.
#[repr(C)]
#[derive(Debug)]
pub struct Object {
    /// Strong count in the low 32 bits, weak count in the high ones; all strong references together hold one weak.
    pub counts: AtomicU64,
    /// One of [`crate::TypeIndex`].
    pub type_index: i32,
    /// Zero.
    pub padding: u32,
    /// Called with `DELETE_*` flags when a count falls to zero.
    pub deleter: Option<unsafe extern "C" fn(*mut c_void, i32)>,
}

impl Object {
    /// One strong reference and the weak one that goes with it: a new object.
    pub const COUNTS_ONE: u64 = Self::STRONG_ONE | Self::WEAK_ONE;
    /// Unit of the strong count.
    pub const STRONG_ONE: u64 = 1;
    /// Unit of the weak count.
    pub const WEAK_ONE: u64 = 1 << 32;
    /// Deleter flag: end the value.
    pub const DELETE_STRONG: i32 = 1;
    /// Deleter flag: free the storage.
    pub const DELETE_WEAK: i32 = 2;
    /// Deleter flag: both at once, the usual case.
    pub const DELETE_BOTH: i32 = 3;
}

/// Bytes on loan.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct ByteArray {
    /// First byte; null only when `size` is 0.
    pub data: *const c_char,
    /// Number of bytes.
    pub size: usize,
}

/// A string or bytes object.
#[repr(C)]
#[derive(Debug)]
pub struct StrObject {
    /// Header.
    pub header: Object,
    /// The text.
    pub bytes: ByteArray,
}

/// A tensor object.
#[repr(C)]
#[derive(Debug)]
pub struct TensorObject {
    /// Header.
    pub header: Object,
    /// The tensor that this object keeps alive.
    pub dl_tensor: DLTensor,
}

/// A shape object.
#[repr(C)]
#[derive(Debug)]
pub struct ShapeObject {
    /// Header.
    pub header: Object,
    /// Extents.
    pub data: *const i64,
    /// Rank.
    pub size: usize,
}

/// An error object.
#[repr(C)]
#[derive(Debug)]
pub struct ErrorObject {
    /// Header.
    pub header: Object,
    /// Class of the error, such as `ValueError`.
    pub kind: ByteArray,
    /// What happened.
    pub message: ByteArray,
    /// Innermost call first.
    pub backtrace: ByteArray,
    /// Replaces (0) or extends (1) the backtrace.
    pub update_backtrace: Option<unsafe extern "C" fn(*mut c_void, *const ByteArray, i32)>,
    /// The error behind this one; owned.
    pub cause_chain: *mut Object,
    /// Anything else; owned.
    pub extra_context: *mut Object,
}

const _: () = {
    assert!(size_of::<AllocHeader>() == 8);
    assert!(size_of::<Object>() == 24);
    assert!(offset_of!(Object, type_index) == 8);
    assert!(offset_of!(Object, deleter) == 16);
    assert!(offset_of!(TensorObject, dl_tensor) == 24);
    assert!(size_of::<TensorObject>() == 72);
    assert!(offset_of!(StrObject, bytes) == 24);
    assert!(size_of::<ShapeObject>() == 40);
    assert!(offset_of!(ErrorObject, update_backtrace) == 72);
    assert!(size_of::<ErrorObject>() == 96);
};
