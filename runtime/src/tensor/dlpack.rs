//! Lending tensors to other frameworks and borrowing theirs, without copying.

use std::ffi::c_void;
use std::ptr::NonNull;

use orogen_abi::{DLDataType, DLDevice, DLManagedTensor, DLManagedTensorVersioned, DLPackVersion, DLTensor};

use super::block::{self, Data};
use super::{Tensor, check_alignment, null_data};
use crate::error::RuntimeError;
use crate::object::ObjectRef;

impl Tensor {
    /// Lends this tensor; the loan ends with the deleter of the returned struct, which the borrower must call once.
    ///
    /// The elements must not be written through the loan, since clones of this tensor may share them.
    pub fn to_dlpack_versioned(&self) -> NonNull<DLManagedTensorVersioned> {
        let loan = Box::new(DLManagedTensorVersioned {
            version: DLPackVersion::CURRENT,
            manager_ctx: self.object.clone().into_raw().cast(),
            deleter: Some(end_versioned),
            flags: if narrow(self.dtype()) { DLManagedTensorVersioned::FLAG_IS_PADDED } else { 0 },
            dl_tensor: *self.dl_tensor(),
        });
        NonNull::from(Box::leak(loan))
    }

    /// As [`Tensor::to_dlpack_versioned`], in the form before DLPack 1.0.
    pub fn to_dlpack(&self) -> NonNull<DLManagedTensor> {
        let loan = Box::new(DLManagedTensor {
            dl_tensor: *self.dl_tensor(),
            manager_ctx: self.object.clone().into_raw().cast(),
            deleter: Some(end_unversioned),
        });
        NonNull::from(Box::leak(loan))
    }

    /// Borrows a tensor; its deleter runs when the last clone goes, or at once when it is refused.
    ///
    /// # Safety
    /// `loan` is a valid DLPack struct that the caller gives up, and nobody writes the elements during the loan.
    ///
    /// # Errors
    /// Another major version, another device than the CPU, misaligned or missing data, and broken shapes.
    pub unsafe fn from_dlpack_versioned(
        loan: NonNull<DLManagedTensorVersioned>,
    ) -> Result<Self, RuntimeError> {
        let guard = Loan::Versioned(loan);
        // SAFETY: valid by contract.
        let lent = unsafe { loan.as_ref() };
        if lent.version.major != DLPackVersion::CURRENT.major {
            return Err(RuntimeError::Version {
                library: "DLPack tensor".to_owned(),
                expected: DLPackVersion::CURRENT.major,
                got: lent.version.major,
            });
        }
        if lent.flags & DLManagedTensorVersioned::FLAG_IS_PADDED == 0 {
            refuse_packed(lent.dl_tensor.dtype)?;
        }
        let writable = lent.flags & DLManagedTensorVersioned::FLAG_IS_COPIED != 0
            && lent.flags & DLManagedTensorVersioned::FLAG_READ_ONLY == 0;
        // SAFETY: valid by contract.
        unsafe { borrow(lent.dl_tensor, writable, guard) }
    }

    /// As [`Tensor::from_dlpack_versioned`], for the form before DLPack 1.0.
    ///
    /// # Safety
    /// See there.
    ///
    /// # Errors
    /// See there.
    pub unsafe fn from_dlpack(loan: NonNull<DLManagedTensor>) -> Result<Self, RuntimeError> {
        let guard = Loan::Unversioned(loan);
        // SAFETY: valid by contract.
        let lent = unsafe { loan.as_ref().dl_tensor };
        refuse_packed(lent.dtype)?;
        // SAFETY: valid by contract.
        unsafe { borrow(lent, false, guard) }
    }
}

/// Whether elements of a type are narrower than a byte.
fn narrow(dtype: DLDataType) -> bool {
    usize::from(dtype.bits) * usize::from(dtype.lanes) < 8
}

/// Elements narrower than a byte have a byte each here.
fn refuse_packed(dtype: DLDataType) -> Result<(), RuntimeError> {
    if !narrow(dtype) {
        return Ok(());
    }
    Err(RuntimeError::Layout {
        what: format!("a borrowed tensor of {dtype}"),
        reason: "packs several elements into a byte".to_owned(),
        help: "pass a byte for each element, with the flag that says so",
    })
}

/// # Safety
/// The view is valid for as long as `guard` lives.
unsafe fn borrow(lent: DLTensor, writable: bool, guard: Loan) -> Result<Tensor, RuntimeError> {
    if lent.device.device_type != DLDevice::CPU.device_type {
        return Err(RuntimeError::Layout {
            what: "a borrowed tensor".to_owned(),
            reason: format!("lies on device type {}", lent.device.device_type),
            help: "copy it to host memory first",
        });
    }
    let rank = usize::try_from(lent.ndim).unwrap_or(usize::MAX);
    if rank > 64 || (rank > 0 && lent.shape.is_null()) {
        return Err(RuntimeError::Shape {
            what: "a borrowed tensor".to_owned(),
            expected: "a shape of rank 0 to 64".to_owned(),
            got: format!("rank {}", lent.ndim),
        });
    }
    let dims = |pointer: *mut i64| match rank {
        0 => &[][..],
        // SAFETY: DLPack gives `ndim` entries in both arrays; `new` copies them before the loan can end.
        rank => unsafe { std::slice::from_raw_parts(pointer.cast_const(), rank) },
    };
    let shape = dims(lent.shape);
    let strides = (!lent.strides.is_null() || rank == 0).then(|| dims(lent.strides));
    let (count, _) = block::measure(lent.dtype, shape)?;
    let data = lent.data.wrapping_byte_add(lent.byte_offset as usize);
    let data = match NonNull::new(data) {
        Some(data) if count > 0 => data,
        _ if count == 0 => NonNull::<u64>::dangling().cast::<c_void>(),
        _ => return Err(null_data()),
    };
    check_alignment(lent.dtype, data.as_ptr().cast())?;
    let data = Data::Foreign { data, writable, keeper: Box::new(guard) };
    Ok(Tensor { object: block::new(lent.dtype, shape, strides, data)? })
}

/// Ends a loan when dropped.
enum Loan {
    Versioned(NonNull<DLManagedTensorVersioned>),
    Unversioned(NonNull<DLManagedTensor>),
}

// SAFETY: DLPack lets the borrower end a loan on any thread.
unsafe impl Send for Loan {}
// SAFETY: a shared reference gives access to nothing.
unsafe impl Sync for Loan {}

impl Drop for Loan {
    fn drop(&mut self) {
        match self {
            // SAFETY: the loan is ours to end, and this happens once.
            Loan::Versioned(loan) => unsafe {
                if let Some(deleter) = loan.as_ref().deleter {
                    deleter(loan.as_ptr());
                }
            },
            // SAFETY: as above.
            Loan::Unversioned(loan) => unsafe {
                if let Some(deleter) = loan.as_ref().deleter {
                    deleter(loan.as_ptr());
                }
            },
        }
    }
}

unsafe extern "C" fn end_versioned(loan: *mut DLManagedTensorVersioned) {
    let Some(loan) = NonNull::new(loan) else { return };
    // SAFETY: made by `to_dlpack_versioned`, and the borrower ends it once.
    let loan = unsafe { Box::from_raw(loan.as_ptr()) };
    // SAFETY: the context is the strong reference that was leaked into it.
    unsafe { end_object(loan.manager_ctx) }
}

unsafe extern "C" fn end_unversioned(loan: *mut DLManagedTensor) {
    let Some(loan) = NonNull::new(loan) else { return };
    // SAFETY: made by `to_dlpack`, and the borrower ends it once.
    let loan = unsafe { Box::from_raw(loan.as_ptr()) };
    // SAFETY: the context is the strong reference that was leaked into it.
    unsafe { end_object(loan.manager_ctx) }
}

/// # Safety
/// `object` is null or a strong reference that is given up.
unsafe fn end_object(object: *mut c_void) {
    if let Some(object) = NonNull::new(object.cast()) {
        // SAFETY: by contract.
        drop(unsafe { ObjectRef::from_owned(object) });
    }
}
