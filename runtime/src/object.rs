//! Counting references of objects, whoever made them.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use orogen_abi::Object;

/// Objects of this runtime whose storage is not free.
static LIVE: AtomicUsize = AtomicUsize::new(0);

/// How many objects of this runtime are alive in the process: tensors, strings, arrays and errors, whoever has a reference
/// to them. What grows from call to call is a leak of somebody.
///
/// ```
/// # use orogen_runtime::{Tensor, live_objects};
/// let before = live_objects();
/// let words = Tensor::from_strings(&[2], &["a", "b"])?;
/// assert_eq!(live_objects(), before + 3);
/// drop(words);
/// assert_eq!(live_objects(), before);
/// # Ok::<(), orogen_runtime::RuntimeError>(())
/// ```
pub fn live_objects() -> usize {
    LIVE.load(Ordering::Relaxed)
}

/// An object of this runtime was made.
pub(crate) fn made() {
    LIVE.fetch_add(1, Ordering::Relaxed);
}

/// The storage of one is freed.
pub(crate) fn freed() {
    LIVE.fetch_sub(1, Ordering::Relaxed);
}

/// One strong reference.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct ObjectRef(NonNull<Object>);

// SAFETY: the counts are atomic, and the ABI allows a deleter to run on any thread.
unsafe impl Send for ObjectRef {}
// SAFETY: as above; what an object holds is guarded by the types that wrap the reference.
unsafe impl Sync for ObjectRef {}

impl ObjectRef {
    /// Takes over one strong reference.
    ///
    /// # Safety
    /// `object` points to a live object, and the caller owns a strong reference that it gives up.
    pub(crate) unsafe fn from_owned(object: NonNull<Object>) -> Self {
        ObjectRef(object)
    }

    pub(crate) fn as_ptr(&self) -> *mut Object {
        self.0.as_ptr()
    }

    /// Gives the reference to the caller.
    pub(crate) fn into_raw(self) -> *mut Object {
        std::mem::ManuallyDrop::new(self).0.as_ptr()
    }

    pub(crate) fn header(&self) -> &Object {
        // SAFETY: this reference keeps the object alive; the header is never written but for the atomic counts.
        unsafe { self.0.as_ref() }
    }

    /// Whether this is the only reference of either kind.
    pub(crate) fn is_unique(&self) -> bool {
        self.header().counts.load(Ordering::Acquire) == Object::COUNTS_ONE
    }
}

impl Clone for ObjectRef {
    fn clone(&self) -> Self {
        self.header().counts.fetch_add(Object::STRONG_ONE, Ordering::Relaxed);
        ObjectRef(self.0)
    }
}

impl Drop for ObjectRef {
    fn drop(&mut self) {
        // SAFETY: the reference is owned and given up here.
        unsafe { release(self.0) }
    }
}

/// Adds a strong reference to an object that is only borrowed.
///
/// # Safety
/// `object` points to a live object.
pub(crate) unsafe fn retain(object: NonNull<Object>) -> ObjectRef {
    // SAFETY: live by contract.
    let header = unsafe { object.as_ref() };
    header.counts.fetch_add(Object::STRONG_ONE, Ordering::Relaxed);
    ObjectRef(object)
}

/// Gives up a strong reference, and ends the object with the last one (law A4).
///
/// # Safety
/// `object` points to a live object of which the caller owns a strong reference.
pub(crate) unsafe fn release(object: NonNull<Object>) {
    // SAFETY: live by contract.
    let header = unsafe { object.as_ref() };
    let deleter = header.deleter;
    let before = header.counts.fetch_sub(Object::STRONG_ONE, Ordering::Release);
    if before & 0xffff_ffff != Object::STRONG_ONE {
        return;
    }
    fence(Ordering::Acquire);
    let Some(deleter) = deleter else { return };
    let raw = object.as_ptr().cast();
    if before == Object::COUNTS_ONE {
        // SAFETY: no reference of either kind is left, so the deleter may end value and storage.
        unsafe { deleter(raw, Object::DELETE_BOTH) };
        return;
    }
    // SAFETY: no strong reference is left; the storage lives on until the weak count falls to zero.
    unsafe { deleter(raw, Object::DELETE_STRONG) };
    // SAFETY: the weak reference held by the strong ones is still ours.
    let before = unsafe { object.as_ref() }.counts.fetch_sub(Object::WEAK_ONE, Ordering::Release);
    if before == Object::WEAK_ONE {
        fence(Ordering::Acquire);
        // SAFETY: that was the last weak reference.
        unsafe { deleter(raw, Object::DELETE_WEAK) };
    }
}
