//! [`Tensor`]: a shared, typed, n-dimensional array.
//!
//! A tensor is a counted tvm-ffi object, so it passes into compiled code and out of it without conversion.
//!
//! Laws:
//!
//! - **T1** Cloning shares; data is written only through a reference that is proved to be the only one.
//! - **T2** Typed access checks data type, device, row-major order and alignment, and never converts silently.
//! - **T3** A size that overflows or cannot be allocated is an error.

mod block;
mod dlpack;
mod element;
mod storage;
pub(crate) mod strings;
mod view;

use std::any::Any;
use std::ffi::c_void;
use std::fmt;
use std::fs::File;
use std::path::Path;
use std::ptr::NonNull;

use orogen_abi::{DLDataType, DLDevice, DLTensor, Object, TensorObject, TypeIndex};

use crate::error::RuntimeError;
use crate::object::ObjectRef;
pub use block::ALIGNMENT;
use block::Data;
pub use element::Element;
pub use storage::trim_tensors;
pub use view::{TensorView, TensorViewMut};

/// A shared, typed, n-dimensional array in host memory.
///
/// ```
/// use orogen_runtime::Tensor;
///
/// let x = Tensor::from_slice(&[2, 3], &[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0])?;
/// assert_eq!(x.shape(), [2, 3]);
/// assert_eq!(x.as_slice::<f32>()?[4], 5.0);
/// assert!(x.as_slice::<i32>().is_err());
/// # Ok::<(), orogen_runtime::RuntimeError>(())
/// ```
#[derive(Clone)]
pub struct Tensor {
    object: ObjectRef,
}

impl Tensor {
    /// A tensor of zeros.
    ///
    /// # Errors
    /// Negative extents, and memory that cannot be had.
    pub fn zeros(dtype: DLDataType, shape: &[i64]) -> Result<Self, RuntimeError> {
        let tensor = Tensor { object: block::new(dtype, shape, None, Data::Zeroed)? };
        tensor.own_strings();
        Ok(tensor)
    }

    /// A copy of `values`, row-major.
    ///
    /// # Errors
    /// As [`Tensor::zeros`], and when the number of values is not that of the shape.
    pub fn from_slice<T: Element>(shape: &[i64], values: &[T]) -> Result<Self, RuntimeError> {
        // SAFETY: elements are plain scalars without padding, so all their bytes are initialised.
        let bytes = unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) };
        Self::from_bytes(T::DTYPE, shape, bytes)
    }

    /// A tensor of rank 0.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn scalar<T: Element>(value: T) -> Result<Self, RuntimeError> {
        Self::from_slice(&[], &[value])
    }

    /// A copy of elements given as bytes in native order; for data types that Rust has no type for.
    ///
    /// # Errors
    /// As [`Tensor::zeros`], and when the number of bytes is not that of the shape.
    pub fn from_bytes(dtype: DLDataType, shape: &[i64], bytes: &[u8]) -> Result<Self, RuntimeError> {
        strings::refuse_bytes(dtype)?;
        check_length(dtype, shape, bytes.len())?;
        let object = block::new(dtype, shape, None, Data::Uninit)?;
        let tensor = Tensor { object };
        // SAFETY: the block has room for exactly these bytes, and nobody else has seen it.
        unsafe { bytes.as_ptr().copy_to_nonoverlapping(tensor.data().as_ptr().cast(), bytes.len()) };
        Ok(tensor)
    }

    /// Takes a vector over without copying it.
    ///
    /// # Errors
    /// As [`Tensor::from_slice`].
    pub fn from_vec<T: Element>(shape: &[i64], values: Vec<T>) -> Result<Self, RuntimeError> {
        check_length(T::DTYPE, shape, size_of_val(values.as_slice()))?;
        let mut values = values;
        let data = NonNull::new(values.as_mut_ptr()).unwrap_or(NonNull::dangling()).cast();
        let data = Data::Foreign { data, writable: true, keeper: Box::new(values) };
        Ok(Tensor { object: block::new(T::DTYPE, shape, None, data)? })
    }

    /// Views memory that `owner` keeps alive, such as a mapped file; read-only, not copied.
    ///
    /// # Safety
    /// `data` is valid for reads of the whole row-major tensor, initialised and not written, for as long as
    /// `owner` lives, also after `owner` has been moved.
    ///
    /// # Errors
    /// Negative or overflowing shapes, and data not aligned to its element.
    pub unsafe fn from_owner(
        dtype: DLDataType,
        shape: &[i64],
        data: *const u8,
        owner: Box<dyn Any + Send + Sync>,
    ) -> Result<Self, RuntimeError> {
        check_alignment(dtype, data)?;
        let (_, bytes) = block::measure(dtype, shape)?;
        let data = match NonNull::new(data.cast_mut()) {
            Some(data) => data.cast(),
            None if bytes == 0 => NonNull::<u64>::dangling().cast(),
            None => return Err(null_data()),
        };
        let data = Data::Foreign { data, writable: false, keeper: owner };
        Ok(Tensor { object: block::new(dtype, shape, None, data)? })
    }

    /// Views part of a file, `offset` bytes in: mapped, read-only, not copied.
    ///
    /// # Safety
    /// Nobody changes or shortens the file while the tensor lives.
    ///
    /// # Errors
    /// Files that cannot be read or are too short, data not aligned to its element, and impossible shapes.
    pub unsafe fn map_file(
        dtype: DLDataType,
        shape: &[i64],
        path: &Path,
        offset: u64,
    ) -> Result<Self, RuntimeError> {
        let fail = |reason: String| RuntimeError::Open { path: path.to_owned(), reason };
        let (_, bytes) = block::measure(dtype, shape)?;
        let file = File::open(path).map_err(|error| fail(error.to_string()))?;
        let length = file.metadata().map_err(|error| fail(error.to_string()))?.len();
        if offset.checked_add(bytes as u64).is_none_or(|end| end > length) {
            return Err(fail(format!("it has {length} bytes, {bytes} at offset {offset} are needed")));
        }
        if bytes == 0 {
            return Self::zeros(dtype, shape);
        }
        // SAFETY: the file does not change, by contract.
        let map = unsafe { memmap2::MmapOptions::new().offset(offset).len(bytes).map(&file) };
        let map = map.map_err(|error| fail(error.to_string()))?;
        let data = map.as_ptr();
        // SAFETY: a map has the length it was made with, and does not move with its owner.
        unsafe { Self::from_owner(dtype, shape, data, Box::new(map)) }
    }

    /// The tensor with uninitialised elements that generated code asked for.
    pub(crate) fn uninit(dtype: DLDataType, shape: &[i64]) -> Result<Self, RuntimeError> {
        Ok(Tensor { object: block::new(dtype, shape, None, Data::Uninit)? })
    }

    /// Wraps an object that is known to be a tensor.
    ///
    /// # Errors
    /// Objects of other types, and tensors with a null shape or null data.
    pub(crate) fn from_object(object: ObjectRef) -> Result<Self, RuntimeError> {
        if object.header().type_index != TypeIndex::TENSOR {
            return Err(RuntimeError::Kind {
                what: "object".to_owned(),
                expected: "a tensor",
                got: TypeIndex::name(object.header().type_index).to_owned(),
            });
        }
        let tensor = Tensor { object };
        let dl = tensor.dl_tensor();
        if dl.ndim < 0 || (dl.ndim > 0 && dl.shape.is_null()) {
            return Err(RuntimeError::Shape {
                what: "tensor object".to_owned(),
                expected: "a shape".to_owned(),
                got: format!("null for rank {}", dl.ndim),
            });
        }
        if dl.data.is_null() && !tensor.is_empty() {
            return Err(null_data());
        }
        Ok(tensor)
    }

    /// Element type.
    pub fn dtype(&self) -> DLDataType {
        self.dl_tensor().dtype
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> &[i64] {
        let dl = self.dl_tensor();
        match dl.ndim {
            0 => &[],
            // SAFETY: a tensor object has `ndim` extents (checked on the way in) for as long as it lives.
            ndim => unsafe { std::slice::from_raw_parts(dl.shape, ndim as usize) },
        }
    }

    /// Strides in elements; absent means row-major.
    pub fn strides(&self) -> Option<&[i64]> {
        let dl = self.dl_tensor();
        match dl.ndim {
            0 => Some(&[]),
            _ if dl.strides.is_null() => None,
            // SAFETY: non-null strides have `ndim` entries for as long as the tensor lives.
            ndim => Some(unsafe { std::slice::from_raw_parts(dl.strides, ndim as usize) }),
        }
    }

    /// Where the elements lie; only [`DLDevice::CPU`] can be read here.
    pub fn device(&self) -> DLDevice {
        self.dl_tensor().device
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        // Tensors of this runtime were measured; a foreign one that lies about its shape yields 0, never a wrong view.
        block::measure(self.dtype(), self.shape()).map_or(0, |(count, _)| count)
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of bytes of all elements.
    pub fn byte_len(&self) -> usize {
        block::measure(self.dtype(), self.shape()).map_or(0, |(_, bytes)| bytes)
    }

    /// Whether the elements lie row-major without gaps.
    pub fn is_contiguous(&self) -> bool {
        let Some(strides) = self.strides() else { return true };
        let mut expected = 1i64;
        let row_major = self.shape().iter().zip(strides).rev().all(|(&extent, &stride)| {
            let fits = extent == 1 || stride == expected;
            expected = expected.saturating_mul(extent.max(1));
            fits
        });
        row_major || self.is_empty()
    }

    /// The elements as a slice, row-major.
    ///
    /// # Errors
    /// Another data type, another device, gaps between the elements, or bytes that are no `bool`.
    pub fn as_slice<T: Element>(&self) -> Result<&[T], RuntimeError> {
        self.check_type(T::DTYPE)?;
        let bytes = self.as_bytes()?;
        if !T::valid(bytes) {
            return Err(RuntimeError::Kind {
                what: self.describe(),
                expected: "truth values 0 and 1",
                got: "another byte".to_owned(),
            });
        }
        // SAFETY: `as_bytes` checked extent and alignment; all bit patterns are valid, or `valid` saw them.
        Ok(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), self.len()) })
    }

    /// The elements for writing.
    ///
    /// # Errors
    /// As [`Tensor::as_slice`], and when the tensor is shared or its memory belongs to someone else.
    pub fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T], RuntimeError> {
        self.as_slice::<T>()?;
        let len = self.len();
        let bytes = self.as_mut_bytes()?;
        // SAFETY: `as_slice` checked type, extent, alignment and values; the bytes are borrowed exclusively.
        Ok(unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), len) })
    }

    /// All elements as bytes in native order, row-major.
    ///
    /// # Errors
    /// Another device, or gaps between the elements.
    pub fn as_bytes(&self) -> Result<&[u8], RuntimeError> {
        self.check_host()?;
        if !self.is_contiguous() {
            return Err(RuntimeError::Layout {
                what: self.describe(),
                reason: format!("has strides {:?}, not row-major order", self.strides().unwrap_or(&[])),
                help: "`Tensor::contiguous` makes a row-major copy",
            });
        }
        check_alignment(self.dtype(), self.data().as_ptr().cast())?;
        // SAFETY: the object keeps its data alive, the shape measures it, and law T1 excludes writers.
        Ok(unsafe { std::slice::from_raw_parts(self.data().as_ptr().cast(), self.byte_len()) })
    }

    /// All elements as bytes for writing.
    ///
    /// # Errors
    /// As [`Tensor::as_bytes`], and when the tensor is shared or its memory belongs to someone else.
    pub fn as_mut_bytes(&mut self) -> Result<&mut [u8], RuntimeError> {
        strings::refuse_bytes(self.dtype())?;
        self.check_writable()?;
        // SAFETY: as in `as_bytes`; the reference is unique and the data belongs to the object alone.
        Ok(unsafe { std::slice::from_raw_parts_mut(self.data().as_ptr().cast(), self.byte_len()) })
    }

    /// A row-major tensor with the same elements: this one where it is row-major already, else a copy.
    ///
    /// # Errors
    /// Another device, and memory that cannot be had.
    pub fn contiguous(&self) -> Result<Self, RuntimeError> {
        if self.is_contiguous() && self.as_bytes().is_ok() { Ok(self.clone()) } else { self.to_owned_copy() }
    }

    /// A row-major copy that can be written.
    ///
    /// # Errors
    /// Another device, and memory that cannot be had.
    pub fn to_owned_copy(&self) -> Result<Self, RuntimeError> {
        self.check_host()?;
        let copy = Self::uninit(self.dtype(), self.shape())?;
        let (source, target) = (self.data().as_ptr().cast::<u8>(), copy.data().as_ptr().cast::<u8>());
        let size = self.dtype().byte_size();
        if self.is_contiguous() {
            // SAFETY: both hold `byte_len` bytes, and the copy is new.
            unsafe { source.copy_to_nonoverlapping(target, self.byte_len()) };
            copy.own_strings();
            return Ok(copy);
        }
        let (shape, strides) = (self.shape(), self.strides().unwrap_or(&[]));
        let mut index = vec![0i64; shape.len()];
        for position in 0..self.len() {
            let offset: i64 = index.iter().zip(strides).map(|(i, stride)| i * stride).sum();
            // SAFETY: the strides of a tensor lead every index below the extents to one of its elements.
            unsafe {
                let element = source.offset(offset as isize * size as isize);
                element.copy_to_nonoverlapping(target.add(position * size), size);
            }
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        copy.own_strings();
        Ok(copy)
    }

    /// The C view of this tensor; valid while the tensor lives.
    pub fn dl_tensor(&self) -> &DLTensor {
        // SAFETY: the type index was checked on the way in, so the header is that of a tensor object.
        unsafe { &(*self.object.as_ptr().cast::<TensorObject>()).dl_tensor }
    }

    pub(crate) fn object(&self) -> *mut Object {
        self.object.as_ptr()
    }

    pub(crate) fn into_object(self) -> *mut Object {
        self.object.into_raw()
    }

    /// It lies row-major in host memory, and may be written.
    pub(crate) fn check_writable(&self) -> Result<(), RuntimeError> {
        self.as_bytes()?;
        if self.is_writable() {
            return Ok(());
        }
        Err(RuntimeError::Layout {
            what: self.describe(),
            reason: "is shared or read-only".to_owned(),
            help: "`Tensor::to_owned_copy` makes a copy that can be written",
        })
    }

    fn is_writable(&self) -> bool {
        self.object.is_unique() && block::block_of(&self.object).is_some_and(|block| block.writable)
    }

    /// First element; dangling for an empty tensor without memory.
    fn data(&self) -> NonNull<c_void> {
        let dl = self.dl_tensor();
        let data = dl.data.wrapping_byte_add(dl.byte_offset as usize);
        NonNull::new(data).unwrap_or(NonNull::<u64>::dangling().cast())
    }

    fn describe(&self) -> String {
        block::describe(self.dtype(), self.shape())
    }

    fn check_type(&self, expected: DLDataType) -> Result<(), RuntimeError> {
        if self.dtype() == expected {
            return Ok(());
        }
        Err(RuntimeError::DataType { what: self.describe(), expected, got: self.dtype() })
    }

    fn check_host(&self) -> Result<(), RuntimeError> {
        if self.device().device_type == DLDevice::CPU.device_type {
            return Ok(());
        }
        Err(RuntimeError::Layout {
            what: self.describe(),
            reason: format!("lies on device type {}", self.device().device_type),
            help: "copy it to host memory first",
        })
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({} {:?})", self.dtype(), self.shape())
    }
}

fn check_length(dtype: DLDataType, shape: &[i64], got: usize) -> Result<(), RuntimeError> {
    let (_, expected) = block::measure(dtype, shape)?;
    if got == expected {
        return Ok(());
    }
    Err(RuntimeError::Shape {
        what: block::describe(dtype, shape),
        expected: format!("{expected} bytes of elements"),
        got: format!("{got} bytes"),
    })
}

fn check_alignment(dtype: DLDataType, data: *const u8) -> Result<(), RuntimeError> {
    // Complex numbers and wide lanes align to what one part needs; 8 is the widest scalar.
    let alignment = (dtype.bits as usize).div_ceil(8).next_power_of_two().clamp(1, 8);
    if data.addr().is_multiple_of(alignment) {
        return Ok(());
    }
    Err(RuntimeError::Layout {
        what: format!("a tensor of {dtype}"),
        reason: format!("has data that is not aligned to {alignment} bytes"),
        help: "copy the data into a new tensor",
    })
}

fn null_data() -> RuntimeError {
    RuntimeError::Layout {
        what: "a tensor".to_owned(),
        reason: "has elements but no data".to_owned(),
        help: "give it memory before passing it on",
    }
}
