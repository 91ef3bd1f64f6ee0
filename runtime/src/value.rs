//! [`Value`]: what goes into a packed function and comes out of it.

use std::ffi::CStr;
use std::ptr::NonNull;

use orogen_abi::{Any, ArrayObject, DLManagedTensor, TypeIndex};

use crate::cell::{Kept, bytes, header, new_str, place};
use crate::error::RuntimeError;
use crate::object::{self, ObjectRef};
use crate::tensor::Tensor;

/// A dynamically typed value.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Nothing.
    #[default]
    None,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text.
    Str(String),
    /// A tensor.
    Tensor(Tensor),
    /// Several values.
    Array(Vec<Value>),
}

impl Value {
    /// The kind of value, in words.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::None => "nothing",
            Value::Bool(_) => "a truth value",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a float",
            Value::Str(_) => "a string",
            Value::Tensor(_) => "a tensor",
            Value::Array(_) => "an array",
        }
    }

    /// The tensor, if this is one.
    ///
    /// # Errors
    /// Any other kind.
    pub fn into_tensor(self) -> Result<Tensor, RuntimeError> {
        match self {
            Value::Tensor(tensor) => Ok(tensor),
            other => Err(RuntimeError::Kind {
                what: "value".to_owned(),
                expected: "a tensor",
                got: other.kind().to_owned(),
            }),
        }
    }

    /// An owning [`Any`]; the receiver gives up its reference.
    pub(crate) fn into_any(self) -> Any {
        match self {
            Value::None => Any::NONE,
            Value::Bool(it) => Any::bool(it),
            Value::Int(it) => Any::int(it),
            Value::Float(it) => Any::float(it),
            Value::Str(it) => Any::object(TypeIndex::STR, new_str(it).into_raw()),
            Value::Tensor(it) => Any::object(TypeIndex::TENSOR, it.into_object()),
            Value::Array(items) => {
                let items = items.into_iter().map(Value::into_any).collect();
                Any::object(TypeIndex::ARRAY, new_array(items, 0).into_raw())
            }
        }
    }

    /// Reads an [`Any`] and leaves its reference where it is.
    ///
    /// # Safety
    /// The payload is what the tag says, and pointers are live.
    ///
    /// # Errors
    /// Kinds that have no counterpart here.
    pub(crate) unsafe fn from_borrowed(any: &Any) -> Result<Value, RuntimeError> {
        // SAFETY: the payload is what the tag says, by contract; every branch reads the field of its tag.
        unsafe {
            Ok(match any.type_index {
                TypeIndex::NONE => Value::None,
                TypeIndex::BOOL => Value::Bool(any.payload.int != 0),
                TypeIndex::INT => Value::Int(any.payload.int),
                TypeIndex::FLOAT => Value::Float(any.payload.float),
                TypeIndex::RAW_STR if !any.payload.raw_str.is_null() => {
                    Value::Str(CStr::from_ptr(any.payload.raw_str).to_string_lossy().into_owned())
                }
                TypeIndex::SMALL_STR => {
                    let bytes = any.payload.bytes;
                    let len = (any.small_len as usize).min(bytes.len());
                    Value::Str(String::from_utf8_lossy(&bytes[..len]).into_owned())
                }
                TypeIndex::DL_TENSOR => Value::Tensor(view(any)?),
                _ => match any.as_object().and_then(NonNull::new) {
                    Some(object) => from_object(object::retain(object))?,
                    None => return Err(unknown(any.type_index)),
                },
            })
        }
    }

    /// Reads an [`Any`] and takes its reference over.
    ///
    /// # Safety
    /// As [`Value::from_borrowed`]; the reference is the caller's to give.
    pub(crate) unsafe fn from_owned(any: Any) -> Result<Value, RuntimeError> {
        match any.as_object().and_then(NonNull::new) {
            // SAFETY: live and owned by contract.
            Some(object) => from_object(unsafe { ObjectRef::from_owned(object) }),
            // SAFETY: by contract; nothing is counted here.
            None => unsafe { Value::from_borrowed(&any) },
        }
    }
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Value::Tensor(tensor)
    }
}

fn unknown(type_index: i32) -> RuntimeError {
    RuntimeError::Kind {
        what: "value".to_owned(),
        expected: "a number, a string, a tensor or an array",
        got: format!("{} (type index {type_index})", TypeIndex::name(type_index)),
    }
}

/// A copy of a borrowed `DLTensor`, whose lender gives no way to keep it alive.
///
/// # Safety
/// The payload is null or a valid `DLTensor`.
unsafe fn view(any: &Any) -> Result<Tensor, RuntimeError> {
    // SAFETY: by contract.
    let lent = unsafe { any.payload.dl_tensor.as_ref() }.ok_or_else(|| unknown(any.type_index))?;
    let mut loan = DLManagedTensor { dl_tensor: *lent, manager_ctx: std::ptr::null_mut(), deleter: None };
    // SAFETY: the loan ends inside this function, before the borrowed tensor can go away.
    let borrowed = unsafe { Tensor::from_dlpack(NonNull::from(&mut loan)) }?;
    borrowed.to_owned_copy()
}

fn from_object(object: ObjectRef) -> Result<Value, RuntimeError> {
    match object.header().type_index {
        TypeIndex::TENSOR => Tensor::from_object(object).map(Value::Tensor),
        TypeIndex::STR => {
            // SAFETY: kept alive by `object`.
            let bytes = unsafe { bytes(object.as_ptr()) };
            Ok(Value::Str(String::from_utf8_lossy(bytes).into_owned()))
        }
        TypeIndex::ARRAY => {
            // SAFETY: the tag says that this is an array object, kept alive by `object`.
            let array = unsafe { &*object.as_ptr().cast::<ArrayObject>() };
            let len = usize::try_from(array.size).unwrap_or(0);
            if len == 0 || array.data.is_null() {
                return Ok(Value::Array(Vec::new()));
            }
            // SAFETY: an array object owns `size` items at `data`.
            let items = unsafe { std::slice::from_raw_parts(array.data, len) };
            // SAFETY: items of an array are well-formed and keep their references.
            items
                .iter()
                .map(|it| unsafe { Value::from_borrowed(it) })
                .collect::<Result<_, _>>()
                .map(Value::Array)
        }
        other => Err(unknown(other)),
    }
}

/// Items of an array object, with the room behind them; each owns its reference.
struct Items(Vec<Any>);

impl Kept<ArrayObject> for Items {
    /// As many are there as the array says: whoever held it alone may have changed that.
    fn end(self, array: &ArrayObject) {
        for any in self.0.into_iter().take(usize::try_from(array.size).unwrap_or(0)) {
            // SAFETY: the items were owned by this array alone.
            unsafe { Value::release(any) };
        }
    }
}

impl Value {
    /// Gives up the reference in `any`, if there is one.
    ///
    /// # Safety
    /// An object payload is live and owned by the caller.
    pub(crate) unsafe fn release(any: Any) {
        if let Some(object) = any.as_object().and_then(NonNull::new) {
            // SAFETY: by contract.
            unsafe { object::release(object) };
        }
    }
}

/// What [`Value::into_any`] made, given back at the end.
pub(crate) struct OwnedAny(pub(crate) Any);

impl Drop for OwnedAny {
    fn drop(&mut self) {
        // SAFETY: made by `Value::into_any`, which hands one reference over.
        unsafe { Value::release(self.0) }
    }
}

/// A new array object with room for at least `room` items; takes the references of the items over.
pub(crate) fn new_array(mut items: Vec<Any>, room: usize) -> ObjectRef {
    let size = items.len() as i64;
    items.resize(items.len().max(room), Any::NONE);
    let (data, capacity) = (items.as_mut_ptr(), items.len() as i64);
    let header = header::<ArrayObject, Items>(TypeIndex::ARRAY);
    place(ArrayObject { header, data, size, capacity, data_deleter: None }, Items(items))
}
