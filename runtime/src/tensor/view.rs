//! Views of tensors that someone lends for the length of a call.

use std::marker::PhantomData;
use std::ptr::NonNull;

use orogen_abi::{Any, DLDataType, DLDevice, DLTensor, TensorObject, TypeIndex};

use super::{Element, Tensor, block, check_alignment, null_data, strings};
use crate::error::RuntimeError;
use crate::object::ObjectRef;

/// A row-major tensor in host memory that somebody lends for reading.
#[derive(Debug)]
pub struct TensorView<'a> {
    dtype: DLDataType,
    shape: &'a [i64],
    data: NonNull<u8>,
    bytes: usize,
    lent: PhantomData<&'a [u8]>,
}

// SAFETY: a view is a shared borrow of plain data.
unsafe impl Send for TensorView<'_> {}
// SAFETY: as above.
unsafe impl Sync for TensorView<'_> {}

impl<'a> TensorView<'a> {
    /// The tensor of an argument.
    ///
    /// # Safety
    /// The payload is what the tag says; the tensor is initialised, and neither freed nor written during `'a`.
    pub(crate) unsafe fn of(any: &'a Any) -> Result<Self, RuntimeError> {
        // SAFETY: the payload is what the tag says.
        let tensor: Option<&DLTensor> = unsafe {
            match any.type_index {
                TypeIndex::DL_TENSOR => any.payload.dl_tensor.as_ref(),
                TypeIndex::TENSOR => {
                    any.payload.object.cast::<TensorObject>().as_ref().map(|it| &it.dl_tensor)
                }
                _ => None,
            }
        };
        let tensor = tensor.ok_or_else(|| RuntimeError::Kind {
            what: "argument".to_owned(),
            expected: "a tensor",
            got: TypeIndex::name(any.type_index).to_owned(),
        })?;
        let rank = usize::try_from(tensor.ndim).unwrap_or(0);
        let list = |start: *const i64| match rank {
            0 => &[][..],
            // SAFETY: a tensor has `ndim` extents and, where there are any, strides.
            rank => unsafe { std::slice::from_raw_parts(start, rank) },
        };
        if rank > 0 && tensor.shape.is_null() {
            return Err(null_data());
        }
        let shape = list(tensor.shape);
        let (_, bytes) = block::measure(tensor.dtype, shape)?;
        let what = || block::describe(tensor.dtype, shape);
        let mut expected = 1i64;
        let strides = if tensor.strides.is_null() { &[] } else { list(tensor.strides) };
        let row_major = shape.iter().zip(strides).rev().all(|(&extent, &stride)| {
            let fits = extent == 1 || stride == expected;
            expected = expected.saturating_mul(extent.max(1));
            fits
        });
        if !(row_major || bytes == 0) || tensor.device.device_type != DLDevice::CPU.device_type {
            return Err(RuntimeError::Layout {
                what: what(),
                reason: "is not row-major in host memory".to_owned(),
                help: "pass a row-major copy",
            });
        }
        let data = tensor.data.cast::<u8>().wrapping_add(tensor.byte_offset as usize);
        check_alignment(tensor.dtype, data)?;
        let data = match NonNull::new(data) {
            Some(data) => data,
            None if bytes == 0 => NonNull::<u64>::dangling().cast(),
            None => return Err(null_data()),
        };
        Ok(TensorView { dtype: tensor.dtype, shape, data, bytes, lent: PhantomData })
    }

    /// Element type.
    pub fn dtype(&self) -> DLDataType {
        self.dtype
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> &'a [i64] {
        self.shape
    }

    /// All elements as bytes in native order, row-major.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: measured and lent for reading, initialised, by the contract of `of`.
        unsafe { std::slice::from_raw_parts(self.data.as_ptr(), self.bytes) }
    }

    /// The elements, row-major.
    ///
    /// # Errors
    /// Another element type, and bytes that are no `bool`.
    pub fn as_slice<T: Element>(&self) -> Result<&[T], RuntimeError> {
        self.check::<T>()?;
        if !T::valid(self.as_bytes()) {
            return Err(RuntimeError::Kind {
                what: block::describe(self.dtype, self.shape),
                expected: "truth values 0 and 1",
                got: "another byte".to_owned(),
            });
        }
        // SAFETY: type and values are checked, alignment was when the view was made.
        Ok(unsafe { std::slice::from_raw_parts(self.data.as_ptr().cast(), self.bytes / size_of::<T>()) })
    }

    /// The strings, row-major; what is no UTF-8 in one that a host made is replaced.
    ///
    /// # Errors
    /// Another element type.
    pub fn strings(&self) -> Result<Vec<String>, RuntimeError> {
        self.check_type(DLDataType::HANDLE)?;
        // SAFETY: measured, aligned and lent for reading; elements of this type are live strings or null.
        Ok(unsafe { strings::texts(self.data.as_ptr().cast(), self.len()) })
    }

    /// A copy that outlives the call.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn to_tensor(&self) -> Result<Tensor, RuntimeError> {
        if self.dtype == DLDataType::HANDLE {
            // SAFETY: as for `strings`.
            return unsafe { strings::copied(self.shape, self.data.as_ptr().cast()) };
        }
        Tensor::from_bytes(self.dtype, self.shape, self.as_bytes())
    }

    /// Number of elements.
    fn len(&self) -> usize {
        self.bytes / self.dtype.byte_size().max(1)
    }

    fn check<T: Element>(&self) -> Result<(), RuntimeError> {
        self.check_type(T::DTYPE)
    }

    fn check_type(&self, expected: DLDataType) -> Result<(), RuntimeError> {
        if self.dtype == expected {
            return Ok(());
        }
        let what = block::describe(self.dtype, self.shape);
        Err(RuntimeError::DataType { what, expected, got: self.dtype })
    }
}

/// A row-major tensor in host memory that somebody lends for writing.
#[derive(Debug)]
pub struct TensorViewMut<'a> {
    view: TensorView<'a>,
    holds_value: bool,
    written: bool,
    lent: PhantomData<&'a mut [u8]>,
}

impl<'a> TensorViewMut<'a> {
    /// The tensor of an argument.
    ///
    /// # Safety
    /// As [`TensorView::of`]; and nothing else reads or writes it during `'a`.
    pub(crate) unsafe fn of(any: &'a Any, holds_value: bool) -> Result<Self, RuntimeError> {
        // SAFETY: by contract.
        let view = unsafe { TensorView::of(any) }?;
        Ok(TensorViewMut { view, holds_value, written: false, lent: PhantomData })
    }

    /// Element type.
    pub fn dtype(&self) -> DLDataType {
        self.view.dtype
    }

    /// Extents, outermost first.
    pub fn shape(&self) -> &'a [i64] {
        self.view.shape
    }

    /// Whether it holds a value that may be changed, rather than nothing yet.
    pub fn holds_value(&self) -> bool {
        self.holds_value
    }

    /// All elements for writing, as bytes in native order, row-major. Strings are references, not bytes that anybody may
    /// make: of them there are none here ([`TensorViewMut::set_strings`]).
    pub fn as_mut_bytes(&mut self) -> &mut [u8] {
        if self.dtype().code == DLDataType::CODE_HANDLE {
            return &mut [];
        }
        self.written = true;
        // SAFETY: measured, initialised and lent for writing alone, by the contract of `of`.
        unsafe { std::slice::from_raw_parts_mut(self.view.data.as_ptr(), self.view.bytes) }
    }

    /// The elements for writing, row-major.
    ///
    /// # Errors
    /// Another element type, and bytes that are no `bool`.
    pub fn as_mut_slice<T: Element>(&mut self) -> Result<&mut [T], RuntimeError> {
        self.view.check::<T>()?;
        if !T::valid(self.view.as_bytes()) {
            if self.holds_value {
                self.view.as_slice::<T>()?;
            }
            // Nothing was in it.
            self.as_mut_bytes().fill(0);
        }
        let count = self.view.bytes / size_of::<T>();
        let bytes = self.as_mut_bytes();
        // SAFETY: type and values are checked, alignment was when the view was made; borrowed exclusively.
        Ok(unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), count) })
    }

    /// The strings that it holds; empty ones where nothing was written.
    ///
    /// # Errors
    /// Another element type.
    pub fn strings(&self) -> Result<Vec<String>, RuntimeError> {
        self.view.strings()
    }

    /// Fills it with strings, row-major.
    ///
    /// # Errors
    /// Another element type, and another number of elements.
    pub fn set_strings<S: AsRef<str>>(&mut self, values: &[S]) -> Result<(), RuntimeError> {
        self.view.check_type(DLDataType::HANDLE)?;
        super::check_length(DLDataType::HANDLE, self.shape(), 8 * values.len())?;
        self.replace_strings(values.iter().map(|it| strings::new_text(it.as_ref())));
        Ok(())
    }

    fn replace_strings(&mut self, values: impl Iterator<Item = Option<ObjectRef>>) {
        self.written = true;
        // SAFETY: measured, aligned and lent for writing alone; elements of this type are references that whoever
        // writes may replace, or null.
        unsafe { strings::replace(self.view.data.as_ptr().cast(), values.take(self.view.len())) };
    }

    /// A copy of what it holds.
    ///
    /// # Errors
    /// Memory that cannot be had.
    pub fn to_tensor(&self) -> Result<Tensor, RuntimeError> {
        self.view.to_tensor()
    }

    /// Fills it with the elements of a tensor.
    ///
    /// # Errors
    /// Another element type or shape, or a tensor that is not row-major in host memory.
    pub fn copy_from(&mut self, tensor: &Tensor) -> Result<(), RuntimeError> {
        let what = || "tensor".to_owned();
        let (expected, got) = (self.dtype(), tensor.dtype());
        if expected != got {
            return Err(RuntimeError::DataType { what: what(), expected, got });
        }
        if self.shape() != tensor.shape() {
            let text = |it: &[i64]| format!("{it:?}").replace(' ', "");
            let (expected, got) = (text(self.shape()), text(tensor.shape()));
            return Err(RuntimeError::Shape { what: what(), expected, got });
        }
        let tensor = tensor.contiguous()?;
        if self.dtype() == DLDataType::HANDLE {
            self.replace_strings(tensor.string_refs().into_iter());
            return Ok(());
        }
        self.as_mut_bytes().copy_from_slice(tensor.as_bytes()?);
        Ok(())
    }

    pub(crate) fn is_written(&self) -> bool {
        self.written
    }
}
