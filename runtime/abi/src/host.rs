//! What a host gives to generated code: memory, threads, errors and foreign functions.

use core::ffi::{c_char, c_void};

use crate::any::{Any, SafeCall};
use crate::dlpack::DLDataType;
use crate::object::Object;

/// Body of a parallel loop: runs the iterations `begin..end`.
pub type LoopBody = unsafe extern "C" fn(context: *mut c_void, begin: i64, end: i64);

/// An argument of a function of the host that it only reads.
pub const ACCESS_READ: char = 'r';
/// An argument that it fills.
pub const ACCESS_WRITE: char = 'w';
/// An argument that it reads and changes.
pub const ACCESS_UPDATE: char = 'u';
/// An attribute.
pub const ACCESS_ATTRIBUTE: char = 'a';
/// An object that it reads, as any value of a packed call.
pub const ACCESS_OBJECT: char = 'o';
/// No argument: an object that it returns. These letters come last.
pub const ACCESS_RETURN: char = 'n';

/// Where a library looks first for a function of the host (see [`crate::symbol::EXTERN_PREFIX`]).
///
/// Arguments are views (`DLTensor*`) of what the function reads, and the objects among that, then views of what it fills,
/// then attributes. Objects that it makes it returns: one as it is, several in an array, in order. A function that
/// does not write a result gets an error reported for it; a result is taken for unwritten when all its bytes are as they
/// were before the call, unless the function returns the number of results that it wrote as an integer.
#[repr(C)]
#[derive(Debug)]
pub struct ExternSlot {
    /// The function; null: look elsewhere.
    pub function: Option<SafeCall>,
    /// Its handle.
    pub handle: *mut c_void,
}

/// Value of [`HostTable::version`] that this crate describes.
///
/// A later version only appends fields; a changed field is a new symbol name.
pub const HOST_VERSION: u32 = 5;

/// The first version with what tensors of strings need.
pub const HOST_STRINGS: u32 = 5;

/// The table behind [`crate::symbol::HOST`].
///
/// Generated code reads the slot once at entry. Null means: no host, see law A6.
#[repr(C)]
#[derive(Debug)]
pub struct HostTable {
    /// [`HOST_VERSION`] of the host.
    pub version: u32,
    /// `size_of::<HostTable>()` of the host.
    pub size: u32,
    /// A new tensor object with one reference: row-major, data aligned to 64 bytes and not initialised.
    /// `shape` has `ndim` extents. Null on failure, with the error set.
    pub tensor_new: unsafe extern "C" fn(dtype: DLDataType, ndim: i32, shape: *const i64) -> *mut Object,
    /// A new array object without items, with room for `capacity`. Whoever holds it alone may fill the room and change
    /// the size: as many items as that says are given back with it. Null on failure, with the error set.
    pub array_new: unsafe extern "C" fn(capacity: i64) -> *mut Object,
    /// Gives up one reference; null is allowed.
    pub object_release: unsafe extern "C" fn(object: *mut Object),
    /// Scratch memory of the calling thread, aligned to 64 bytes, not initialised.
    /// Nested calls each get their own. Null on failure, with the error set.
    pub workspace_acquire: unsafe extern "C" fn(bytes: u64) -> *mut u8,
    /// Ends the use of what [`HostTable::workspace_acquire`] returned on the same thread; null is allowed.
    pub workspace_release: unsafe extern "C" fn(workspace: *mut u8),
    /// Sets the error of the calling thread; both texts are NUL-terminated and copied.
    pub error_set: unsafe extern "C" fn(kind: *const c_char, message: *const c_char),
    /// Says where the error of the calling thread came about: `place`, NUL-terminated and copied, comes before its message.
    pub error_within: unsafe extern "C" fn(place: *const c_char),
    /// Runs `body` over disjoint ranges that cover `0..extent`, and returns when all are done.
    /// Every range begins at a multiple of `grain`, and only the last may be shorter.
    /// Ranges may run on other threads, in any order; a loop inside a body runs on the thread of that body.
    /// A body has no way to fail: what can go wrong is checked before.
    pub parallel_for: unsafe extern "C" fn(body: LoopBody, context: *mut c_void, extent: i64, grain: i64),
    /// Calls the function registered under `name`, as [`SafeCall`]. `access` has a letter for each argument:
    /// [`ACCESS_READ`], [`ACCESS_WRITE`] or [`ACCESS_UPDATE`] for views of tensors, [`ACCESS_OBJECT`] or
    /// [`ACCESS_ATTRIBUTE`]; then [`ACCESS_RETURN`] for each object that is to be returned. The result is these, or
    /// else the number of filled tensors that are known to be written, or anything else.
    pub call_extern: unsafe extern "C" fn(
        name: *const c_char,
        access: *const c_char,
        args: *const Any,
        num_args: i32,
        result: *mut Any,
    ) -> i32,
    /// A new tensor of `count` strings. `data` has a number for each, in 8 bytes, 0 for the empty string; then for each
    /// number from 1 on the length of its text, in 8 bytes, and the text, UTF-8. Null on failure, with the error set.
    pub strings_new: unsafe extern "C" fn(data: *const u8, count: u64) -> *mut Object,
    /// Takes a reference to each string of a tensor that [`HostTable::tensor_new`] made, to be given back with the tensor.
    /// Before that its elements are borrowed, whatever they are.
    pub strings_keep: unsafe extern "C" fn(tensor: *mut Object),
    /// Whether two strings are equal; null is the empty one.
    pub strings_equal: unsafe extern "C" fn(a: *const Object, b: *const Object) -> i32,
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(offset_of!(HostTable, tensor_new) == 8);
    assert!(size_of::<HostTable>() == 8 + 12 * size_of::<usize>());
};
