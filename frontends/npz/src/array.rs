//! Arrays: elements as bytes, and the types that they may have.

use crate::Error;
use crate::header::Header;
use std::fmt;
use std::io::Read;
use std::str::FromStr;

macro_rules! kinds {
    ($($name:ident, $text:literal, $size:literal, $part:literal, $what:literal;)*) => {
        /// The type of elements, printed as NumPy spells it without the byte order, such as `f4`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $(#[doc = $what] $name,)*
            /// Text of up to so many characters, each in 32 bits of UTF-32, filled up with zeros.
            Text(u32),
        }

        impl Kind {
            const ALL: &[(Kind, &'static str, usize, usize)] = &[$((Kind::$name, $text, $size, $part)),*];
        }
    };
}

kinds! {
    Bool, "b1", 1, 1, "A boolean, a byte of 0 or 1.";
    I8, "i1", 1, 1, "Signed, 8 bits.";
    I16, "i2", 2, 2, "Signed, 16 bits.";
    I32, "i4", 4, 4, "Signed, 32 bits.";
    I64, "i8", 8, 8, "Signed, 64 bits.";
    U8, "u1", 1, 1, "Unsigned, 8 bits.";
    U16, "u2", 2, 2, "Unsigned, 16 bits.";
    U32, "u4", 4, 4, "Unsigned, 32 bits.";
    U64, "u8", 8, 8, "Unsigned, 64 bits.";
    F16, "f2", 2, 2, "IEEE 754 binary16.";
    F32, "f4", 4, 4, "IEEE 754 binary32.";
    F64, "f8", 8, 8, "IEEE 754 binary64.";
    C64, "c8", 8, 4, "Complex, two of binary32.";
    C128, "c16", 16, 8, "Complex, two of binary64.";
}

impl Kind {
    /// The row of a kind of one size.
    fn row(self) -> Option<(Kind, &'static str, usize, usize)> {
        Kind::ALL.iter().find(|it| it.0 == self).copied()
    }

    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Kind::Text(characters) => 4 * characters as usize,
            kind => kind.row().map_or(0, |it| it.2),
        }
    }

    /// Bytes of what has a byte order: an element, or one of the parts that it is made of.
    fn part(self) -> usize {
        self.row().map_or(4, |it| it.3)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::Text(characters) => write!(f, "U{characters}"),
            kind => f.write_str(kind.row().map_or("", |it| it.1)),
        }
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Kind, Error> {
        if let Some(characters) = text.strip_prefix('U').and_then(|it| it.parse().ok()) {
            return Ok(Kind::Text(characters));
        }
        let row = Kind::ALL.iter().find(|it| it.1 == text);
        row.map(|it| it.0).ok_or_else(|| Error::new(format!("elements of type `{text}` are not supported")))
    }
}

/// An array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// The type of its elements.
    pub kind: Kind,
    /// Extents, the last index runs fastest.
    pub shape: Vec<u64>,
    /// Elements, row-major and little-endian.
    pub bytes: Vec<u8>,
}

impl Array {
    /// Bytes that an array of this shape has; `None` when no address space holds them.
    pub(crate) fn byte_length(kind: Kind, shape: &[u64]) -> Option<usize> {
        if shape.contains(&0) {
            return Some(0);
        }
        let count = shape.iter().try_fold(1u64, |product, extent| product.checked_mul(*extent))?;
        let bytes = count.checked_mul(kind.size() as u64)?;
        isize::try_from(bytes).ok().and_then(|it| usize::try_from(it).ok())
    }

    /// Reads a `.npy` file.
    pub(crate) fn read(mut from: impl Read) -> Result<Array, Error> {
        let Header { kind, big_endian, columns_first, shape } = Header::read(&mut from)?;
        let length = Array::byte_length(kind, &shape)
            .ok_or_else(|| Error::new(format!("its shape {shape:?} has too many elements")))?;
        // The length is what the file claims: memory grows as elements come (law N1).
        let mut bytes = Vec::new();
        from.take(length as u64).read_to_end(&mut bytes).map_err(Error::new)?;
        if bytes.len() < length {
            let message =
                format!("it ends after {} bytes of the {length} of its shape {shape:?}", bytes.len());
            return Err(Error::new(message));
        }
        if big_endian {
            bytes.chunks_exact_mut(kind.part()).for_each(<[u8]>::reverse);
        }
        if columns_first {
            bytes = rows_first(&shape, kind.size(), &bytes);
        }
        Ok(Array { kind, shape, bytes })
    }
}

/// Reorders elements from Fortran order, where the first index runs fastest, to C order.
fn rows_first(shape: &[u64], size: usize, bytes: &[u8]) -> Vec<u8> {
    // There are as many elements as the shape has, so every extent and stride is one of memory.
    let shape: Vec<usize> = shape.iter().map(|it| usize::try_from(*it).unwrap_or(0)).collect();
    let strides: Vec<usize> = shape
        .iter()
        .scan(size, |stride, extent| {
            let this = *stride;
            *stride = stride.saturating_mul(*extent);
            Some(this)
        })
        .collect();
    let mut index = vec![0; shape.len()];
    let mut from = 0;
    let mut ordered = Vec::with_capacity(bytes.len());
    while ordered.len() < bytes.len() {
        ordered.extend_from_slice(&bytes[from..from + size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            from += strides[axis];
            if index[axis] < shape[axis] {
                break;
            }
            from -= strides[axis] * shape[axis];
            index[axis] = 0;
        }
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fortran_order_becomes_c_order() {
        // Element [i, j, k] has the value 100 i + 10 j + k.
        let fortran: Vec<u8> = (0..4)
            .flat_map(|k| (0..3).flat_map(move |j| (0..2).map(move |i| 100 * i + 10 * j + k)))
            .collect();
        let c: Vec<u8> = (0..2)
            .flat_map(|i| (0..3).flat_map(move |j| (0..4).map(move |k| 100 * i + 10 * j + k)))
            .collect();
        assert_eq!(rows_first(&[2, 3, 4], 1, &fortran), c);
        assert_eq!(rows_first(&[2, 2], 2, &[1, 2, 3, 4, 5, 6, 7, 8]), [1, 2, 5, 6, 3, 4, 7, 8]);
        assert_eq!(rows_first(&[], 1, &[7]), [7]);
        assert_eq!(rows_first(&[2, 0], 4, &[]), [0; 0]);
    }

    #[test]
    fn both_byte_orders_are_read() {
        let header = Header { kind: Kind::I16, big_endian: true, columns_first: false, shape: vec![2] };
        let file = [&header.to_bytes().expect("it fits")[..], &[0x12, 0x34, 0, 1]].concat();
        assert_eq!(Array::read(&file[..]).expect("an array").bytes, [0x34, 0x12, 1, 0]);
        // Of a complex number each part has the order.
        let header = Header { kind: Kind::C64, big_endian: true, columns_first: false, shape: vec![1] };
        let file = [&header.to_bytes().expect("it fits")[..], &[1, 2, 3, 4, 5, 6, 7, 8]].concat();
        assert_eq!(Array::read(&file[..]).expect("an array").bytes, [4, 3, 2, 1, 8, 7, 6, 5]);
    }

    /// Law N1.
    #[test]
    fn a_shape_that_the_file_does_not_hold_takes_no_memory() {
        for shape in [vec![1 << 40], vec![u64::MAX, 2], vec![1 << 62, 1 << 62]] {
            let header = Header { kind: Kind::F64, big_endian: false, columns_first: true, shape };
            let file = [&header.to_bytes().expect("it fits")[..], &[0; 100]].concat();
            Array::read(&file[..]).expect_err("it is short");
        }
    }
}
