//! Tensors, and constants of libraries, whose memory ends, or begins, at a page that cannot be touched (law Z3).
#![allow(unsafe_code, reason = "memory is mapped by hand")]

use orogen_abi::DLDataType;
use orogen_abi::signature::{Dim, Parameter};
use orogen_codegen::Compiled;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_runtime::{Library, Tensor};
use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect, munmap};
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::Arc;

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

impl Pages {
    /// Pages that hold these bytes at their start or their end, and where that is.
    fn new(bytes: &[u8], at_start: bool) -> anyhow::Result<(Pages, *mut u8)> {
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
        Ok((pages, data))
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped in `new` with this length, and the tensor that keeps it is gone.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}

/// The code of plans in memory, with all that it asks for besides.
///
/// # Errors
/// Memory that cannot be had, and what the runtime has against the code.
pub(crate) fn load(compiled: &Compiled) -> Result<Library, Diagnostics> {
    let fail = |error: &dyn std::fmt::Display| Diagnostic::error("D003", error.to_string());
    let loaded = Arc::new(compiled.jit()?);
    let symbols = Arc::clone(&loaded);
    // SAFETY: the code generator defines the symbols as `orogen_abi` describes them, and the library keeps the memory
    // that they lie in.
    let library =
        unsafe { Library::from_jit("fuzz", Box::new(loaded), &mut |symbol| symbols.symbol(symbol)) };
    let library = library.map_err(|it| fail(&it))?;
    let parameters = compiled.parameters().iter().map(|(outside, bytes)| {
        let Parameter { name, dtype, dims, .. } = &outside.parameter;
        // They are numbers, for they are those of constants.
        let dims: Vec<i64> = dims.iter().map(|it| if let Dim::Fixed(it) = it { *it } else { 0 }).collect();
        Ok((name.clone(), parameter(*dtype, &dims, bytes).map_err(|it| fail(&it))?))
    });
    let parameters = parameters.collect::<Result<Vec<_>, Diagnostic>>()?;
    if !parameters.is_empty() {
        library.set_parameters(&parameters).map_err(|it| fail(&it))?;
    }
    Ok(library)
}

/// A constant of a library. The runtime wants its alignment, so up to a cache line behind it can be read; what stands there
/// is no number.
fn parameter(dtype: DLDataType, shape: &[i64], bytes: &[u8]) -> anyhow::Result<Tensor> {
    const ALIGNMENT: usize = 64;
    let mut padded = bytes.to_vec();
    padded.resize(bytes.len().next_multiple_of(ALIGNMENT), 0xff);
    let (pages, data) = Pages::new(&padded, false)?;
    // SAFETY: as in `tensor`; the shape is that of the first bytes.
    Ok(unsafe { Tensor::from_owner(dtype, shape, data, Box::new(pages))? })
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
    let (pages, data) = Pages::new(bytes, at_start)?;
    // SAFETY: the mapping lives in the tensor's owner, is initialised, and is not written any more.
    Ok(unsafe { Tensor::from_owner(dtype, shape, data, Box::new(pages))? })
}
