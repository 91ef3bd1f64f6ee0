//! Arrays: elements as bytes, and the types that they may have.

use crate::Error;
use crate::header::Header;
use std::fmt;
use std::io::Read;
use std::str::FromStr;

/// The type of elements, printed as NumPy spells it without the byte order: a letter, then how large one is, such as `f4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A byte of 0 or 1.
    Bool,
    /// A signed integer of so many bytes.
    Signed(u32),
    /// An unsigned integer of so many bytes.
    Unsigned(u32),
    /// A float of IEEE 754 of so many bytes.
    Float(u32),
    /// A complex number of so many bytes: two floats.
    Complex(u32),
    /// Text of up to so many characters, each in 32 bits of UTF-32, filled up with zeros.
    Text(u32),
}

/// The largest number that files hold, in bytes.
const LARGEST: u32 = 16;

impl Kind {
    /// Letter and number of the spelling.
    fn spelling(self) -> (char, u32) {
        match self {
            Kind::Bool => ('b', 1),
            Kind::Signed(bytes) => ('i', bytes),
            Kind::Unsigned(bytes) => ('u', bytes),
            Kind::Float(bytes) => ('f', bytes),
            Kind::Complex(bytes) => ('c', bytes),
            Kind::Text(characters) => ('U', characters),
        }
    }

    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Kind::Text(characters) => 4 * characters as usize,
            kind => kind.spelling().1 as usize,
        }
    }

    /// Bytes of what has a byte order: an element, or one of the parts that it is made of.
    fn part(self) -> usize {
        match self {
            Kind::Text(_) => 4,
            Kind::Complex(bytes) => bytes as usize / 2,
            kind => kind.size(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (letter, number) = self.spelling();
        write!(f, "{letter}{number}")
    }
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Kind, Error> {
        let unknown = || Error::new(format!("elements of type `{text}` are not supported"));
        let letter = text.chars().next().ok_or_else(unknown)?;
        let number: u32 = text[letter.len_utf8()..].parse().map_err(|_| unknown())?;
        let kind = match letter {
            'b' => Kind::Bool,
            'i' => Kind::Signed(number),
            'u' => Kind::Unsigned(number),
            'f' => Kind::Float(number),
            'c' => Kind::Complex(number),
            'U' => return Ok(Kind::Text(number)),
            _ => return Err(unknown()),
        };
        let known = number.is_power_of_two() && number <= LARGEST && kind.spelling().1 == number;
        if known && kind.part() > 0 { Ok(kind) } else { Err(unknown()) }
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
    fn kinds_are_spelled_as_numpy_does() {
        for text in ["b1", "i1", "u2", "i8", "f2", "f8", "c8", "c16", "U0", "U300"] {
            assert_eq!(text.parse::<Kind>().map(|it| it.to_string()).as_deref(), Ok(text));
        }
        for text in ["", "b", "b2", "i0", "i3", "u32", "f-4", "c1", "é4", "V8", "U", "i99999999999"] {
            assert!(text.parse::<Kind>().is_err(), "{text}");
        }
    }

    #[test]
    fn both_byte_orders_are_read() {
        let header = Header { kind: Kind::Signed(2), big_endian: true, columns_first: false, shape: vec![2] };
        let file = [&header.to_bytes().expect("it fits")[..], &[0x12, 0x34, 0, 1]].concat();
        assert_eq!(Array::read(&file[..]).expect("an array").bytes, [0x34, 0x12, 1, 0]);
        // Of a complex number each part has the order.
        let header =
            Header { kind: Kind::Complex(8), big_endian: true, columns_first: false, shape: vec![1] };
        let file = [&header.to_bytes().expect("it fits")[..], &[1, 2, 3, 4, 5, 6, 7, 8]].concat();
        assert_eq!(Array::read(&file[..]).expect("an array").bytes, [4, 3, 2, 1, 8, 7, 6, 5]);
    }

    /// Law N1.
    #[test]
    fn a_shape_that_the_file_does_not_hold_takes_no_memory() {
        for shape in [vec![1 << 40], vec![u64::MAX, 2], vec![1 << 62, 1 << 62]] {
            let header = Header { kind: Kind::Float(8), big_endian: false, columns_first: true, shape };
            let file = [&header.to_bytes().expect("it fits")[..], &[0; 100]].concat();
            Array::read(&file[..]).expect_err("it is short");
        }
    }
}
