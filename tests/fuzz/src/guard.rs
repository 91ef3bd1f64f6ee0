//! Tensors whose memory ends, or begins, at a page that cannot be touched (law Z3).
#![allow(unsafe_code, reason = "memory is mapped by hand")]

use orogen_abi::DLDataType;
use orogen_runtime::Tensor;
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::ffi::c_void;
use std::ptr::null_mut;

const PAGE: usize = 4096;

/// Pages with one before and one behind that cannot be touched.
struct Pages {
    start: *mut c_void,
    length: usize,
}

// SAFETY: the memory is written before it is shared, and has no thread.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped in `tensor` with this length, and the tensor that keeps it is gone.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}

/// A tensor of these bytes: its end (or, `at_start`, its begin) touches the border as closely as alignment to an
/// element allows.
///
/// # Errors
/// Memory that cannot be had.
pub(crate) fn tensor(
    dtype: DLDataType,
    shape: &[i64],
    bytes: &[u8],
    at_start: bool,
) -> anyhow::Result<Tensor> {
    let inside = bytes.len().next_multiple_of(PAGE).max(PAGE);
    let length = inside + 2 * PAGE;
    let (read, none) = (ProtFlags::READ | ProtFlags::WRITE, MprotectFlags::empty());
    // SAFETY: a new mapping, which nothing else knows.
    let start = unsafe { mmap_anonymous(null_mut(), length, read, MapFlags::PRIVATE)? };
    let pages = Pages { start, length };
    let offset = PAGE + if at_start { 0 } else { inside - bytes.len() };
    // SAFETY: the bytes lie inside the mapping; so do the pages that are closed.
    let data = unsafe {
        let data = start.cast::<u8>().add(offset);
        data.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        mprotect(start, PAGE, none)?;
        mprotect(start.cast::<u8>().add(PAGE + inside).cast(), PAGE, none)?;
        mprotect(start.cast::<u8>().add(PAGE).cast(), inside, MprotectFlags::READ)?;
        data
    };
    // SAFETY: the mapping lives in the tensor's owner, is initialised, and is not written any more.
    Ok(unsafe { Tensor::from_owner(dtype, shape, data, Box::new(pages))? })
}
