//! Rust types that a tensor may be viewed as.

use orogen_abi::DLDataType;

mod sealed {
    pub trait Sealed {}
}

/// A scalar type with a data type of its own.
pub trait Element: Copy + Send + Sync + sealed::Sealed + 'static {
    /// The data type.
    const DTYPE: DLDataType;

    /// Whether these bytes are valid values: not every byte is a `bool`.
    #[doc(hidden)]
    fn valid(_bytes: &[u8]) -> bool {
        true
    }
}

macro_rules! elements {
    ($($rust:ty => $dtype:ident),*) => {$(
        impl sealed::Sealed for $rust {}
        impl Element for $rust {
            const DTYPE: DLDataType = DLDataType::$dtype;
        }
    )*};
}

// A complex number is its real part, then its imaginary one.
elements! {
    [f32; 2] => C64, [f64; 2] => C128,
    f32 => F32, f64 => F64,
    i8 => I8, i16 => I16, i32 => I32, i64 => I64,
    u8 => U8, u16 => U16, u32 => U32, u64 => U64
}

impl sealed::Sealed for bool {}
impl Element for bool {
    const DTYPE: DLDataType = DLDataType::BOOL;

    fn valid(bytes: &[u8]) -> bool {
        bytes.iter().all(|&byte| byte <= 1)
    }
}
