//! Storage of the tensor objects that this runtime makes.
//!
//! One allocation holds everything: the block, the shape, the strides and, for owned data, the elements.

use std::alloc::{Layout, alloc_zeroed};
use std::any::Any;
use std::ffi::c_void;
use std::mem::{offset_of, size_of};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use orogen_abi::{AllocHeader, DLDataType, DLDevice, DLTensor, Object, TensorObject, TypeIndex};

use crate::error::RuntimeError;
use crate::object::{self, ObjectRef};
use crate::tensor::storage;

/// Alignment of element storage, in bytes: one cache line, one AVX-512 register.
pub const ALIGNMENT: usize = 64;

type DeleterFn = unsafe extern "C" fn(*mut c_void, i32);
/// The one address that marks blocks of this module.
static DELETER: DeleterFn = delete;

#[repr(C)]
pub(super) struct Block {
    /// Of the whole allocation, in bytes.
    size: usize,
    /// Keeps borrowed data alive.
    keeper: Option<Box<dyn Any + Send + Sync>>,
    /// Whether a unique reference to the object gives the right to write the data.
    pub(super) writable: bool,
    /// Whether elements are strings of which the tensor has references (`strings`).
    pub(super) owns_strings: AtomicBool,
    /// Law A5: immediately before the object.
    alloc: AllocHeader,
    object: TensorObject,
}

const _: () = assert!(offset_of!(Block, object) == offset_of!(Block, alloc) + size_of::<AllocHeader>());

/// Where the elements come from.
pub(super) enum Data {
    /// In the block, with whatever the memory held.
    Uninit,
    /// In the block, all bytes zero.
    Zeroed,
    /// Elsewhere, kept alive by `keeper`.
    Foreign { data: NonNull<c_void>, writable: bool, keeper: Box<dyn Any + Send + Sync> },
}

/// Number of elements and of bytes; refuses negative extents and what no address space holds.
pub(super) fn measure(dtype: DLDataType, shape: &[i64]) -> Result<(usize, usize), RuntimeError> {
    let too_large = || RuntimeError::OutOfMemory { what: describe(dtype, shape), bytes: None };
    if let Some(extent) = shape.iter().find(|&&extent| extent < 0) {
        return Err(RuntimeError::Shape {
            what: "new tensor".to_owned(),
            expected: "extents of at least 0".to_owned(),
            got: extent.to_string(),
        });
    }
    // An extent of zero makes the product zero, however large the others are.
    if shape.contains(&0) {
        return Ok((0, 0));
    }
    let mut count = 1usize;
    for &extent in shape {
        let extent = usize::try_from(extent).map_err(|_| too_large())?;
        count = count.checked_mul(extent).ok_or_else(too_large)?;
    }
    let bytes = count.checked_mul(dtype.byte_size()).ok_or_else(too_large)?;
    if bytes > isize::MAX as usize - (1 << 20) { Err(too_large()) } else { Ok((count, bytes)) }
}

/// A tensor in words, such as `a f32 tensor of shape [2, 3]`.
pub(super) fn describe(dtype: DLDataType, shape: &[i64]) -> String {
    format!("a tensor of {dtype} {shape:?}")
}

/// Makes a tensor object; `strides` absent means row-major.
pub(super) fn new(
    dtype: DLDataType,
    shape: &[i64],
    strides: Option<&[i64]>,
    data: Data,
) -> Result<ObjectRef, RuntimeError> {
    let (_, bytes) = measure(dtype, shape)?;
    let out_of_memory = |size: usize| RuntimeError::OutOfMemory {
        what: describe(dtype, shape),
        bytes: Some(size as u64), // widening
    };
    let ndim = i32::try_from(shape.len()).map_err(|_| out_of_memory(bytes))?;
    let dims_at = size_of::<Block>();
    let data_at = (dims_at + 2 * size_of_val(shape)).next_multiple_of(ALIGNMENT);
    let data_room = match data {
        Data::Uninit | Data::Zeroed => bytes.next_multiple_of(ALIGNMENT),
        Data::Foreign { .. } => 0,
    };
    let size = data_at + data_room;
    let layout = Layout::from_size_align(size, ALIGNMENT).map_err(|_| out_of_memory(size))?;
    let memory = match data {
        // The system gives zeros for less than it costs to write them.
        // SAFETY: the layout has a size of at least the block's.
        Data::Zeroed => NonNull::new(unsafe { alloc_zeroed(layout) }).map(|start| (start, layout)),
        _ => storage::acquire(layout),
    };
    let (start, layout) = memory.ok_or_else(|| out_of_memory(size))?;
    // SAFETY: both offsets lie inside the allocation (or at its end, when there is no data).
    let (dims, own_data) = unsafe { (start.add(dims_at).cast::<i64>(), start.add(data_at).cast::<c_void>()) };
    let (data, writable, keeper) = match data {
        Data::Uninit | Data::Zeroed => (own_data, true, None),
        Data::Foreign { data, writable, keeper } => (data, writable, Some(keeper)),
    };
    // SAFETY: there is room for two times `shape.len()` integers at `dims`, aligned to 64.
    unsafe {
        let strides_at = dims.add(shape.len());
        dims.copy_from_nonoverlapping(NonNull::from(shape).cast(), shape.len());
        match strides {
            Some(strides) if strides.len() == shape.len() => {
                strides_at.copy_from_nonoverlapping(NonNull::from(strides).cast(), shape.len());
            }
            _ => {
                let mut stride = 1i64;
                for index in (0..shape.len()).rev() {
                    strides_at.add(index).write(stride);
                    stride = stride.saturating_mul(shape[index].max(1));
                }
            }
        }
    }
    let dl_tensor = DLTensor {
        data: data.as_ptr(),
        device: DLDevice::CPU,
        ndim,
        dtype,
        shape: dims.as_ptr(),
        // SAFETY: inside the allocation, see above.
        strides: unsafe { dims.add(shape.len()) }.as_ptr(),
        byte_offset: 0,
    };
    let header = Object {
        counts: AtomicU64::new(Object::COUNTS_ONE),
        type_index: TypeIndex::TENSOR,
        padding: 0,
        deleter: Some(DELETER),
    };
    let object = TensorObject { header, dl_tensor };
    let block = start.cast::<Block>();
    object::made();
    // SAFETY: the allocation begins with room for a block, aligned to 64.
    unsafe {
        block.write(Block {
            size: layout.size(),
            keeper,
            writable,
            owns_strings: AtomicBool::new(false),
            alloc: AllocHeader { delete_space: None },
            object,
        });
        let object = block.cast::<u8>().add(offset_of!(Block, object)).cast::<Object>();
        Ok(ObjectRef::from_owned(object))
    }
}

/// The block around a tensor object, where this module made it.
pub(super) fn block_of(object: &ObjectRef) -> Option<&Block> {
    let deleter = object.header().deleter?;
    if !std::ptr::fn_addr_eq(deleter, DELETER) {
        return None;
    }
    // SAFETY: only `new` stores this deleter, and there the object lies inside a block;
    // the reference keeps it alive.
    Some(unsafe { &*object.as_ptr().cast::<u8>().sub(offset_of!(Block, object)).cast::<Block>() })
}

/// Visits the strings of a tensor.
///
/// # Safety
/// The elements are row-major, and live strings or null.
pub(super) unsafe fn for_each_string(tensor: &DLTensor, mut visit: impl FnMut(NonNull<Object>)) {
    let shape = match tensor.ndim {
        0 => &[][..],
        // SAFETY: a tensor has `ndim` extents.
        ndim => unsafe { std::slice::from_raw_parts(tensor.shape, ndim as usize) },
    };
    let count = measure(tensor.dtype, shape).map_or(0, |it| it.0);
    let data = tensor.data.cast::<*mut Object>();
    for i in 0..count {
        // SAFETY: by contract.
        if let Some(object) = NonNull::new(unsafe { data.add(i).read() }) {
            visit(object);
        }
    }
}

/// Ends a tensor object of this module.
unsafe extern "C" fn delete(object: *mut c_void, flags: i32) {
    // SAFETY: the header leads here only for objects inside a block (see `new`).
    let block = unsafe { object.cast::<u8>().sub(offset_of!(Block, object)) }.cast::<Block>();
    if flags & Object::DELETE_STRONG != 0 {
        // SAFETY: the block lives until its storage is freed.
        let block_ref = unsafe { &*block };
        if block_ref.owns_strings.load(Ordering::Acquire) {
            // SAFETY: the tensor has a reference to each of its elements, and nobody else looks at them.
            unsafe { for_each_string(&block_ref.object.dl_tensor, |it| object::release(it)) };
        }
        // SAFETY: no strong reference is left, so nothing else looks at the keeper.
        let keeper = unsafe { (*block).keeper.take() };
        // A panic in a foreign keeper must not cross the border.
        let _ = crate::error::contain("end of a tensor's owner", || {
            drop(keeper);
            Ok(())
        });
    }
    if flags & Object::DELETE_WEAK != 0 {
        object::freed();
        // SAFETY: the storage was allocated with this size and alignment, and no reference is left.
        unsafe {
            let layout = Layout::from_size_align_unchecked((*block).size, ALIGNMENT);
            storage::release(NonNull::new_unchecked(block.cast()), layout);
        }
    }
}
