//! Objects of this runtime with what they keep; strings.

use std::ffi::c_void;
use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use orogen_abi::{AllocHeader, ByteArray, Object, StrObject, TypeIndex};

use crate::object::{self, ObjectRef};

/// An object with what its body points to.
#[repr(C)]
struct Cell<Body, Keep> {
    /// Law A5: immediately before the object.
    alloc: AllocHeader,
    body: Body,
    keep: Keep,
}

/// What an object keeps, and gives back with it.
pub(crate) trait Kept<Body> {
    /// Gives it back; the body is as its last holder left it.
    fn end(self, body: &Body);
}

pub(crate) fn header<Body, Keep: Kept<Body>>(type_index: i32) -> Object {
    Object {
        counts: AtomicU64::new(Object::COUNTS_ONE),
        type_index,
        padding: 0,
        deleter: Some(delete::<Body, Keep>),
    }
}

/// Moves a cell to the heap and returns the object in it.
pub(crate) fn place<Body, Keep: Kept<Body>>(body: Body, keep: Keep) -> ObjectRef {
    object::made();
    let cell = Box::new(Cell {
        alloc: AllocHeader { delete_space: None },
        body,
        keep: std::mem::ManuallyDrop::new(keep),
    });
    let cell = NonNull::from(Box::leak(cell)).cast::<u8>();
    // SAFETY: the body lies at that offset of the cell; it begins with an object header that holds one reference.
    unsafe {
        let offset = offset_of!(Cell<Body, std::mem::ManuallyDrop<Keep>>, body);
        ObjectRef::from_owned(cell.add(offset).cast())
    }
}

unsafe extern "C" fn delete<Body, Keep: Kept<Body>>(object: *mut c_void, flags: i32) {
    type Stored<Body, Keep> = Cell<Body, std::mem::ManuallyDrop<Keep>>;
    // SAFETY: only `place` makes objects with this deleter, inside a cell of these types.
    let cell =
        unsafe { object.cast::<u8>().sub(offset_of!(Stored<Body, Keep>, body)).cast::<Stored<Body, Keep>>() };
    if flags & Object::DELETE_STRONG != 0 {
        // SAFETY: no strong reference is left, and this happens once.
        unsafe { std::mem::ManuallyDrop::take(&mut (*cell).keep).end(&(*cell).body) };
    }
    if flags & Object::DELETE_WEAK != 0 {
        object::freed();
        // SAFETY: made by `Box` in `place`; no reference of either kind is left.
        drop(unsafe { Box::from_raw(cell) });
    }
}

pub(crate) fn new_str(text: String) -> ObjectRef {
    // Hosts expect a NUL behind the text.
    let mut bytes = text.into_bytes();
    bytes.push(0);
    let view = ByteArray { data: bytes.as_ptr().cast(), size: bytes.len() - 1 };
    place(StrObject { header: header::<StrObject, Vec<u8>>(TypeIndex::STR), bytes: view }, bytes)
}

impl Kept<StrObject> for Vec<u8> {
    fn end(self, _: &StrObject) {}
}

/// The bytes of a string; none of null, and of what is no string.
///
/// # Safety
/// `text` is null, or a live object for as long as the bytes are used.
pub(crate) unsafe fn bytes<'a>(text: *const Object) -> &'a [u8] {
    // SAFETY: live by contract.
    let Some(header) = (unsafe { text.as_ref() }) else { return &[] };
    if header.type_index != TypeIndex::STR {
        return &[];
    }
    // SAFETY: the tag says that this is a string object.
    let bytes = unsafe { (*text.cast::<StrObject>()).bytes };
    if bytes.size == 0 || bytes.data.is_null() {
        return &[];
    }
    // SAFETY: a string object owns `size` bytes at `data`.
    unsafe { std::slice::from_raw_parts(bytes.data.cast::<u8>(), bytes.size) }
}
