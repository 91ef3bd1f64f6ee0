//! DLPack 1.x: the exchange format of tensors between frameworks.

use core::ffi::c_void;
use core::fmt;
use core::mem::{offset_of, size_of};

/// Element type: a code, a width in bits and a lane count.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct DLDataType {
    /// One of the `CODE_*` constants.
    pub code: u8,
    /// Bits of one lane.
    pub bits: u8,
    /// Lanes of one element; 1 for everything Orogen makes.
    pub lanes: u16,
}

impl DLDataType {
    /// Signed integer.
    pub const CODE_INT: u8 = 0;
    /// Unsigned integer.
    pub const CODE_UINT: u8 = 1;
    /// IEEE float.
    pub const CODE_FLOAT: u8 = 2;
    /// Opaque.
    pub const CODE_HANDLE: u8 = 3;
    /// bfloat16.
    pub const CODE_BFLOAT: u8 = 4;
    /// Complex number.
    pub const CODE_COMPLEX: u8 = 5;
    /// Truth value, one byte each.
    pub const CODE_BOOL: u8 = 6;
    /// Float8: 3 bits of exponent.
    pub const CODE_F8E3M4: u8 = 7;
    /// Float8: 4 bits of exponent.
    pub const CODE_F8E4M3: u8 = 8;
    /// Float8: 4 bits of exponent, no infinities.
    pub const CODE_F8E4M3FN: u8 = 10;
    /// Float8: 4 bits of exponent, no infinities, no negative zero.
    pub const CODE_F8E4M3FNUZ: u8 = 11;
    /// Float8: 5 bits of exponent.
    pub const CODE_F8E5M2: u8 = 12;
    /// Float8: 5 bits of exponent, no infinities, no negative zero.
    pub const CODE_F8E5M2FNUZ: u8 = 13;
    /// Float8: 8 bits of exponent alone, powers of two.
    pub const CODE_F8E8M0FNU: u8 = 14;
    /// Float6: 2 bits of exponent, all numbers finite.
    pub const CODE_F6E2M3FN: u8 = 15;
    /// Float6: 3 bits of exponent, all numbers finite.
    pub const CODE_F6E3M2FN: u8 = 16;
    /// Float4: 2 bits of exponent, all numbers finite.
    pub const CODE_F4E2M1FN: u8 = 17;

    /// 32-bit float.
    pub const F32: Self = Self::new(Self::CODE_FLOAT, 32);
    /// 64-bit float.
    pub const F64: Self = Self::new(Self::CODE_FLOAT, 64);
    /// 16-bit IEEE float.
    pub const F16: Self = Self::new(Self::CODE_FLOAT, 16);
    /// bfloat16.
    pub const BF16: Self = Self::new(Self::CODE_BFLOAT, 16);
    /// 8-bit signed integer.
    pub const I8: Self = Self::new(Self::CODE_INT, 8);
    /// 16-bit signed integer.
    pub const I16: Self = Self::new(Self::CODE_INT, 16);
    /// 32-bit signed integer.
    pub const I32: Self = Self::new(Self::CODE_INT, 32);
    /// 64-bit signed integer.
    pub const I64: Self = Self::new(Self::CODE_INT, 64);
    /// 8-bit unsigned integer.
    pub const U8: Self = Self::new(Self::CODE_UINT, 8);
    /// 16-bit unsigned integer.
    pub const U16: Self = Self::new(Self::CODE_UINT, 16);
    /// 32-bit unsigned integer.
    pub const U32: Self = Self::new(Self::CODE_UINT, 32);
    /// 64-bit unsigned integer.
    pub const U64: Self = Self::new(Self::CODE_UINT, 64);
    /// Complex number of two 32-bit floats.
    pub const C64: Self = Self::new(Self::CODE_COMPLEX, 64);
    /// Complex number of two 64-bit floats.
    pub const C128: Self = Self::new(Self::CODE_COMPLEX, 128);
    /// A reference to an object, as an element of a tensor to a string; or no tensor at all.
    pub const HANDLE: Self = Self::new(Self::CODE_HANDLE, 64);
    /// Truth value, one byte.
    pub const BOOL: Self = Self::new(Self::CODE_BOOL, 8);

    const NAMES: &[(&'static str, Self)] = &[
        ("f32", Self::F32),
        ("f64", Self::F64),
        ("f16", Self::F16),
        ("bf16", Self::BF16),
        ("i8", Self::I8),
        ("i16", Self::I16),
        ("i32", Self::I32),
        ("i64", Self::I64),
        ("u8", Self::U8),
        ("u16", Self::U16),
        ("u32", Self::U32),
        ("u64", Self::U64),
        ("bool", Self::BOOL),
        ("string", Self::HANDLE),
        // Of an object that is no tensor.
        ("handle", Self::HANDLE),
        ("c64", Self::C64),
        ("c128", Self::C128),
        ("f8e3m4", Self::new(Self::CODE_F8E3M4, 8)),
        ("f8e4m3", Self::new(Self::CODE_F8E4M3, 8)),
        ("f8e4m3fn", Self::new(Self::CODE_F8E4M3FN, 8)),
        ("f8e4m3fnuz", Self::new(Self::CODE_F8E4M3FNUZ, 8)),
        ("f8e5m2", Self::new(Self::CODE_F8E5M2, 8)),
        ("f8e5m2fnuz", Self::new(Self::CODE_F8E5M2FNUZ, 8)),
        ("f8e8m0fnu", Self::new(Self::CODE_F8E8M0FNU, 8)),
        ("i4", Self::new(Self::CODE_INT, 4)),
        ("u4", Self::new(Self::CODE_UINT, 4)),
        ("i2", Self::new(Self::CODE_INT, 2)),
        ("u2", Self::new(Self::CODE_UINT, 2)),
        ("f6e2m3fn", Self::new(Self::CODE_F6E2M3FN, 6)),
        ("f6e3m2fn", Self::new(Self::CODE_F6E3M2FN, 6)),
        ("f4e2m1fn", Self::new(Self::CODE_F4E2M1FN, 4)),
    ];

    /// A scalar type (one lane).
    pub const fn new(code: u8, bits: u8) -> Self {
        DLDataType { code, bits, lanes: 1 }
    }

    /// Bytes of one element; those narrower than a byte have one each (DLPack calls them padded).
    pub const fn byte_size(self) -> usize {
        (self.bits as usize * self.lanes as usize).div_ceil(8)
    }

    /// The four bytes as they lie in memory, as generated code compares them.
    pub const fn to_bits(self) -> u32 {
        self.code as u32 | (self.bits as u32) << 8 | (self.lanes as u32) << 16
    }

    /// The type called `name` (`f32`, `i64`, `bool`, …).
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|&(_, dtype)| dtype)
    }
}

impl fmt::Display for DLDataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Self::NAMES.iter().find(|(_, dtype)| dtype == self) {
            Some((name, _)) => f.write_str(name),
            None => write!(f, "type(code {}, {} bits, {} lanes)", self.code, self.bits, self.lanes),
        }
    }
}

impl fmt::Debug for DLDataType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where data lies.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DLDevice {
    /// Kind of device; [`DLDevice::CPU`] has 1.
    pub device_type: i32,
    /// Which of its kind.
    pub device_id: i32,
}

impl DLDevice {
    /// Ordinary host memory.
    pub const CPU: Self = DLDevice { device_type: 1, device_id: 0 };
}

/// A view of a tensor; owns nothing.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct DLTensor {
    /// Start of the allocation.
    pub data: *mut c_void,
    /// Where `data` lies.
    pub device: DLDevice,
    /// Number of dimensions.
    pub ndim: i32,
    /// Element type.
    pub dtype: DLDataType,
    /// `ndim` extents; may be null for rank 0.
    pub shape: *mut i64,
    /// `ndim` strides in elements; null means row-major in DLPack before 1.2.
    pub strides: *mut i64,
    /// Bytes from `data` to the first element.
    pub byte_offset: u64,
}

const _: () = {
    assert!(size_of::<DLDataType>() == 4);
    assert!(size_of::<DLDevice>() == 8);
    assert!(size_of::<DLTensor>() == 48);
    assert!(offset_of!(DLTensor, data) == 0);
    assert!(offset_of!(DLTensor, device) == 8);
    assert!(offset_of!(DLTensor, ndim) == 16);
    assert!(offset_of!(DLTensor, dtype) == 20);
    assert!(offset_of!(DLTensor, shape) == 24);
    assert!(offset_of!(DLTensor, strides) == 32);
    assert!(offset_of!(DLTensor, byte_offset) == 40);
};

/// A tensor on loan, in the form before DLPack 1.0.
#[repr(C)]
#[derive(Debug)]
pub struct DLManagedTensor {
    /// The tensor.
    pub dl_tensor: DLTensor,
    /// The lender's own.
    pub manager_ctx: *mut c_void,
    /// Ends the loan; also frees this struct. May be absent.
    pub deleter: Option<unsafe extern "C" fn(*mut DLManagedTensor)>,
}

/// Version of the exchange format.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DLPackVersion {
    /// A different major version cannot be read beyond its deleter.
    pub major: u32,
    /// Minor versions only add.
    pub minor: u32,
}

impl DLPackVersion {
    /// What Orogen writes.
    pub const CURRENT: Self = DLPackVersion { major: 1, minor: 1 };
}

/// A tensor on loan.
#[repr(C)]
#[derive(Debug)]
pub struct DLManagedTensorVersioned {
    /// Read this first.
    pub version: DLPackVersion,
    /// The lender's own.
    pub manager_ctx: *mut c_void,
    /// Ends the loan; also frees this struct. May be absent.
    pub deleter: Option<unsafe extern "C" fn(*mut DLManagedTensorVersioned)>,
    /// `FLAG_*` bits.
    pub flags: u64,
    /// The tensor.
    pub dl_tensor: DLTensor,
}

impl DLManagedTensorVersioned {
    /// The borrower must not write.
    pub const FLAG_READ_ONLY: u64 = 1;
    /// The lender made a copy that the borrower has to itself.
    pub const FLAG_IS_COPIED: u64 = 2;
    /// Elements narrower than a byte have a byte each, and are not packed.
    pub const FLAG_IS_PADDED: u64 = 4;
}

const _: () = {
    assert!(size_of::<DLManagedTensor>() == 64);
    assert!(offset_of!(DLManagedTensor, manager_ctx) == 48);
    assert!(size_of::<DLManagedTensorVersioned>() == 80);
    assert!(offset_of!(DLManagedTensorVersioned, manager_ctx) == 8);
    assert!(offset_of!(DLManagedTensorVersioned, flags) == 24);
    assert!(offset_of!(DLManagedTensorVersioned, dl_tensor) == 32);
};
