//! Tensors of strings: elements are references to string objects, and null for the empty string.
//!
//! Laws:
//!
//! - **T4** A tensor has a reference to each of its strings, or borrows them all: generated code writes what it borrows into
//!   a new tensor, and takes the references when the tensor leaves the call. Other tensors own theirs from the beginning.

use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use orogen_abi::{DLDataType, Object};

use super::block;
use super::{Data, Tensor};
use crate::cell::{bytes, new_str};
use crate::error::RuntimeError;
use crate::object::{self, ObjectRef};

impl Tensor {
    /// A tensor of strings, row-major.
    ///
    /// # Errors
    /// As [`Tensor::from_slice`].
    pub fn from_strings<S: AsRef<str>>(shape: &[i64], values: &[S]) -> Result<Self, RuntimeError> {
        super::check_length(DLDataType::HANDLE, shape, 8 * values.len())?;
        let tensor = Tensor { object: block::new(DLDataType::HANDLE, shape, None, Data::Zeroed)? };
        tensor.own_strings();
        for (i, value) in values.iter().map(AsRef::as_ref).enumerate().filter(|it| !it.1.is_empty()) {
            tensor.put_string(i, new_str(value.to_owned()));
        }
        Ok(tensor)
    }

    /// The strings, row-major; what is no UTF-8 in one that a host made is replaced.
    ///
    /// # Errors
    /// Another data type, another device, or gaps between the elements.
    pub fn strings(&self) -> Result<Vec<String>, RuntimeError> {
        self.check_type(DLDataType::HANDLE)?;
        self.as_bytes()?;
        // SAFETY: `as_bytes` checked extent and alignment; elements are live strings or null (law T4).
        Ok(unsafe { texts(self.data().as_ptr().cast(), self.len()) })
    }

    /// Strings as [`orogen_abi::HostTable::strings_new`] has them.
    ///
    /// # Safety
    /// See there.
    pub(crate) unsafe fn decode_strings(data: *const u8, count: usize) -> Result<Self, RuntimeError> {
        // SAFETY: by contract, for both uses.
        let word = |at: usize| unsafe { data.add(at).cast::<u64>().read_unaligned() };
        let numbers: Vec<u64> = (0..count).map(|i| word(8 * i)).collect();
        let mut at = 8 * count;
        let mut texts = Vec::new();
        for _ in 0..numbers.iter().copied().max().unwrap_or(0) {
            let length = word(at) as usize;
            // SAFETY: the text lies behind its length.
            let text = unsafe { std::slice::from_raw_parts(data.add(at + 8), length) };
            texts.push(new_str(String::from_utf8_lossy(text).into_owned()));
            at += 8 + length;
        }
        let shape = [count as i64];
        let tensor = Tensor { object: block::new(DLDataType::HANDLE, &shape, None, Data::Zeroed)? };
        tensor.own_strings();
        for (i, number) in numbers.into_iter().enumerate().filter(|it| it.1 > 0) {
            tensor.put_string(i, texts[number as usize - 1].clone());
        }
        Ok(tensor)
    }

    /// Element `i` of a new tensor, null until then.
    fn put_string(&self, i: usize, text: ObjectRef) {
        // SAFETY: the tensor has room for as many as its maker counted, and nobody else has seen it.
        unsafe { self.data().as_ptr().cast::<*mut Object>().add(i).write(text.into_raw()) };
    }

    /// A reference to each string of a row-major tensor of strings, none for the empty one.
    pub(super) fn string_refs(&self) -> Vec<Option<ObjectRef>> {
        let mut found = Vec::with_capacity(self.len());
        let handles = self.data().as_ptr().cast::<*mut Object>();
        for i in 0..self.len() {
            // SAFETY: elements are live strings or null (law T4).
            found
                .push(NonNull::new(unsafe { handles.add(i).read() }).map(|it| unsafe { object::retain(it) }));
        }
        found
    }

    /// Takes a reference to each element of a tensor of this runtime, if it has strings and borrows them.
    pub(super) fn own_strings(&self) {
        if self.dtype() == DLDataType::HANDLE
            && let Some(block) = block::block_of(&self.object)
            && !block.owns_strings.swap(true, Ordering::AcqRel)
        {
            // SAFETY: elements are live strings or null (law T4).
            unsafe { block::for_each_string(self.dl_tensor(), |it| std::mem::forget(object::retain(it))) };
        }
    }
}

/// Takes a reference to each string of a tensor.
///
/// # Safety
/// `tensor` is a live tensor object, and its elements are live strings or null.
pub(crate) unsafe fn keep(tensor: NonNull<Object>) {
    // SAFETY: live by contract.
    let tensor = unsafe { object::retain(tensor) };
    if let Ok(tensor) = Tensor::from_object(tensor) {
        tensor.own_strings();
    }
}

/// The texts of strings.
///
/// # Safety
/// There are so many handles, of live strings or null.
pub(super) unsafe fn texts(handles: *const *const Object, count: usize) -> Vec<String> {
    // SAFETY: by contract.
    let text = |i| unsafe { String::from_utf8_lossy(bytes(handles.add(i).read())).into_owned() };
    (0..count).map(text).collect()
}

/// A tensor with a reference of its own to each of some strings.
///
/// # Safety
/// There is a handle of a live string or null for each element of the shape.
pub(super) unsafe fn copied(shape: &[i64], handles: *const *const Object) -> Result<Tensor, RuntimeError> {
    let tensor = Tensor::uninit(DLDataType::HANDLE, shape)?;
    // SAFETY: both have so many elements, and the tensor is new.
    unsafe { handles.copy_to_nonoverlapping(tensor.data().as_ptr().cast(), tensor.len()) };
    tensor.own_strings();
    Ok(tensor)
}

/// Replaces references to strings by others, which are given over.
///
/// # Safety
/// There are as many handles as texts, each the only owner of a reference to a live string, or null.
pub(super) unsafe fn replace(handles: *mut *mut Object, texts: impl Iterator<Item = Option<ObjectRef>>) {
    for (i, text) in texts.enumerate() {
        let new = text.map_or(std::ptr::null_mut(), ObjectRef::into_raw);
        // SAFETY: by contract.
        if let Some(old) = NonNull::new(unsafe { handles.add(i).replace(new) }) {
            // SAFETY: the reference was that of the handle.
            unsafe { object::release(old) };
        }
    }
}

/// A new string; none for the empty one.
pub(super) fn new_text(text: &str) -> Option<ObjectRef> {
    (!text.is_empty()).then(|| new_str(text.to_owned()))
}

/// References are no bytes that anybody may make.
pub(super) fn refuse_bytes(dtype: DLDataType) -> Result<(), RuntimeError> {
    if dtype.code != DLDataType::CODE_HANDLE {
        return Ok(());
    }
    Err(RuntimeError::Layout {
        what: "a tensor of strings".to_owned(),
        reason: "has references as elements".to_owned(),
        help: "`Tensor::from_strings` makes one",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(tensor: &Tensor, i: usize) -> u64 {
        // SAFETY: the element is a live string.
        unsafe { &*tensor.data().as_ptr().cast::<*const Object>().add(i).read() }
            .counts
            .load(Ordering::Acquire)
            & 0xffff_ffff
    }

    #[test]
    fn strings_come_back_and_are_not_bytes() {
        let words = ["a", "", "ü\0b", "a"];
        let x = Tensor::from_strings(&[2, 2], &words).expect("four strings");
        assert_eq!(x.strings().expect("strings"), words);
        assert_eq!(x.to_owned_copy().and_then(|it| it.strings()).expect("strings"), words);
        assert_eq!(Tensor::zeros(DLDataType::HANDLE, &[1]).and_then(|it| it.strings()).expect("one"), [""]);
        assert!(Tensor::from_bytes(DLDataType::HANDLE, &[1], &[1; 8]).is_err());
        assert!(x.to_owned_copy().expect("a copy").as_mut_bytes().is_err());
        assert!(Tensor::from_strings(&[3], &words).is_err());
        assert!(Tensor::from_slice(&[1], &[1u64]).expect("a number").strings().is_err());
    }

    #[test]
    fn t4_references_are_given_back() {
        let x = Tensor::from_strings(&[1], &["text"]).expect("a string");
        let copy = x.to_owned_copy().expect("a copy");
        assert_eq!(count(&x, 0), 2);
        drop(copy);
        assert_eq!(count(&x, 0), 1);
        // As generated code does it: elements are borrowed until the tensor leaves the call.
        let borrowed = || {
            let y = Tensor::uninit(DLDataType::HANDLE, &[1]).expect("a tensor");
            // SAFETY: both have room for one element.
            unsafe { x.data().as_ptr().cast::<u64>().copy_to_nonoverlapping(y.data().as_ptr().cast(), 1) };
            y
        };
        drop(borrowed());
        assert_eq!(count(&x, 0), 1);
        let y = borrowed();
        // SAFETY: its element is a live string.
        unsafe { keep(NonNull::new(y.object.as_ptr()).expect("an object")) };
        assert_eq!(count(&x, 0), 2);
        let z = y.clone();
        drop(y);
        assert_eq!((count(&x, 0), z.strings().expect("a string")), (2, vec!["text".to_owned()]));
        drop(z);
        assert_eq!(count(&x, 0), 1);
    }
}
