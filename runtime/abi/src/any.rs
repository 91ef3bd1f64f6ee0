//! [`Any`]: the 16-byte tagged value that every packed call takes and returns.

use core::ffi::{c_char, c_void};
use core::mem::{offset_of, size_of};

use crate::dlpack::{DLDataType, DLDevice, DLTensor};
use crate::object::Object;

/// A packed function: 0 on success, −1 after an error was set (law A1).
///
/// `handle` is whatever the function was registered with; functions exported by a library ignore it.
pub type SafeCall =
    unsafe extern "C" fn(handle: *mut c_void, args: *const Any, num_args: i32, result: *mut Any) -> i32;

/// The tags of [`Any`] and of [`Object`], in one numbering.
///
/// Below [`TypeIndex::OBJECT`] the payload is a plain value; from there on it is a pointer to a counted object.
#[derive(Debug)]
pub struct TypeIndex(());

impl TypeIndex {
    /// Nothing; also the state of `result` before a call.
    pub const NONE: i32 = 0;
    /// A 64-bit signed integer.
    pub const INT: i32 = 1;
    /// A truth value, stored as an integer.
    pub const BOOL: i32 = 2;
    /// A 64-bit float.
    pub const FLOAT: i32 = 3;
    /// A pointer whose meaning only both ends know.
    pub const OPAQUE_POINTER: i32 = 4;
    /// A [`DLDataType`].
    pub const DATA_TYPE: i32 = 5;
    /// A [`DLDevice`].
    pub const DEVICE: i32 = 6;
    /// A borrowed `DLTensor*`.
    pub const DL_TENSOR: i32 = 7;
    /// A borrowed NUL-terminated string.
    pub const RAW_STR: i32 = 8;
    /// A borrowed pointer to a byte array.
    pub const BYTE_ARRAY: i32 = 9;
    /// A reference that the callee may take over.
    pub const RVALUE_REF: i32 = 10;
    /// A string of at most 7 bytes, inside the value.
    pub const SMALL_STR: i32 = 11;
    /// At most 7 bytes, inside the value.
    pub const SMALL_BYTES: i32 = 12;
    /// First index that stands for a counted object.
    pub const OBJECT: i32 = 64;
    /// A string object.
    pub const STR: i32 = 65;
    /// A bytes object.
    pub const BYTES: i32 = 66;
    /// An error object.
    pub const ERROR: i32 = 67;
    /// A function object.
    pub const FUNCTION: i32 = 68;
    /// A shape object.
    pub const SHAPE: i32 = 69;
    /// A tensor object: the object header followed by a `DLTensor`.
    pub const TENSOR: i32 = 70;
    /// An immutable array of [`Any`].
    pub const ARRAY: i32 = 71;
    /// An immutable map.
    pub const MAP: i32 = 72;

    /// What a value with a tag is, in words.
    pub const NAMES: &[(i32, &str)] = &[
        (Self::NONE, "nothing"),
        (Self::INT, "an integer"),
        (Self::BOOL, "a truth value"),
        (Self::FLOAT, "a float"),
        (Self::OPAQUE_POINTER, "a pointer"),
        (Self::DATA_TYPE, "an element type"),
        (Self::DEVICE, "a device"),
        (Self::DL_TENSOR, "a borrowed tensor"),
        (Self::RAW_STR, "a borrowed string"),
        (Self::BYTE_ARRAY, "borrowed bytes"),
        (Self::RVALUE_REF, "a reference to give away"),
        (Self::SMALL_STR, "a string"),
        (Self::SMALL_BYTES, "bytes"),
        (Self::STR, "a string"),
        (Self::BYTES, "bytes"),
        (Self::ERROR, "an error"),
        (Self::FUNCTION, "a function"),
        (Self::SHAPE, "a shape"),
        (Self::TENSOR, "a tensor"),
        (Self::ARRAY, "an array"),
        (Self::MAP, "a map"),
    ];

    /// What a value with any other tag is.
    pub const OTHER: &str = "an object of another kind";

    /// What a value with this tag is, in words.
    pub fn name(index: i32) -> &'static str {
        Self::NAMES.iter().find(|it| it.0 == index).map_or(Self::OTHER, |it| it.1)
    }
}

/// The eight payload bytes of [`Any`]; which field holds is told by the tag.
#[repr(C)]
#[derive(Clone, Copy)]
pub union Payload {
    /// For [`TypeIndex::INT`] and [`TypeIndex::BOOL`].
    pub int: i64,
    /// For [`TypeIndex::FLOAT`].
    pub float: f64,
    /// For pointers of all kinds.
    pub pointer: *mut c_void,
    /// For [`TypeIndex::RAW_STR`].
    pub raw_str: *const c_char,
    /// For indices from [`TypeIndex::OBJECT`] on.
    pub object: *mut Object,
    /// For [`TypeIndex::DL_TENSOR`].
    pub dl_tensor: *mut DLTensor,
    /// For [`TypeIndex::DATA_TYPE`].
    pub data_type: DLDataType,
    /// For [`TypeIndex::DEVICE`].
    pub device: DLDevice,
    /// For [`TypeIndex::SMALL_STR`] and [`TypeIndex::SMALL_BYTES`].
    pub bytes: [u8; 8],
}

/// A tagged value, 16 bytes.
///
/// Copying one copies the bits and no reference: who owns is told by the laws of the crate.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Any {
    /// One of [`TypeIndex`].
    pub type_index: i32,
    /// Length of a small string; zero for everything else.
    pub small_len: u32,
    /// The value.
    pub payload: Payload,
}

const _: () = {
    assert!(size_of::<Any>() == 16);
    assert!(offset_of!(Any, type_index) == 0);
    assert!(offset_of!(Any, small_len) == 4);
    assert!(offset_of!(Any, payload) == 8);
};

impl Any {
    /// Nothing.
    pub const NONE: Any = Any { type_index: TypeIndex::NONE, small_len: 0, payload: Payload { int: 0 } };

    /// An integer.
    pub const fn int(value: i64) -> Any {
        Any { type_index: TypeIndex::INT, small_len: 0, payload: Payload { int: value } }
    }

    /// A truth value.
    pub const fn bool(value: bool) -> Any {
        Any { type_index: TypeIndex::BOOL, small_len: 0, payload: Payload { int: value as i64 } }
    }

    /// A float.
    pub const fn float(value: f64) -> Any {
        Any { type_index: TypeIndex::FLOAT, small_len: 0, payload: Payload { float: value } }
    }

    /// A borrowed `DLTensor`.
    pub const fn dl_tensor(tensor: *mut DLTensor) -> Any {
        Any { type_index: TypeIndex::DL_TENSOR, small_len: 0, payload: Payload { dl_tensor: tensor } }
    }

    /// An object with its tag, which must be the one in the object's header.
    pub const fn object(type_index: i32, object: *mut Object) -> Any {
        Any { type_index, small_len: 0, payload: Payload { object } }
    }

    /// Whether the payload is a pointer to a counted object.
    pub const fn is_object(&self) -> bool {
        self.type_index >= TypeIndex::OBJECT
    }

    /// The integer or truth value, if this is one.
    pub const fn as_int(&self) -> Option<i64> {
        match self.type_index {
            // SAFETY: the tag says that the integer field holds; every bit pattern is an i64.
            TypeIndex::INT | TypeIndex::BOOL => Some(unsafe { self.payload.int }),
            _ => None,
        }
    }

    /// The float, if this is one; integers do not convert.
    pub const fn as_float(&self) -> Option<f64> {
        match self.type_index {
            // SAFETY: the tag says that the float field holds; every bit pattern is an f64.
            TypeIndex::FLOAT => Some(unsafe { self.payload.float }),
            _ => None,
        }
    }

    /// The object pointer, if this is an object.
    pub const fn as_object(&self) -> Option<*mut Object> {
        // SAFETY: the tag says that the payload is an object pointer; reading it does not dereference it.
        if self.is_object() { Some(unsafe { self.payload.object }) } else { None }
    }
}

impl core::fmt::Debug for Any {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let mut s = f.debug_struct("Any");
        s.field("type_index", &self.type_index);
        match (self.as_int(), self.as_float()) {
            (Some(int), _) => s.field("int", &int),
            (_, Some(float)) => s.field("float", &float),
            // SAFETY: all other payloads are shown as the address they hold; every bit pattern is an i64.
            _ => s.field("bits", &unsafe { self.payload.int }),
        };
        s.finish()
    }
}
