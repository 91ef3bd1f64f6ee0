//! Constant tensor data: owned or mapped bytes, never copied on the way.

use super::{DType, Digest};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A shared, immutable byte range: an owned buffer or a part of a mapped file.
#[derive(Clone)]
pub struct Bytes {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    range: Range<usize>,
}

impl Bytes {
    /// All bytes of `owner`.
    pub fn new(owner: Arc<dyn AsRef<[u8]> + Send + Sync>) -> Self {
        let range = 0..(*owner).as_ref().len();
        Bytes { owner, range }
    }

    /// A part of these bytes, sharing the owner; `None` when out of range.
    pub fn slice(&self, range: Range<usize>) -> Option<Bytes> {
        let start = self.range.start.checked_add(range.start)?;
        let end = self.range.start.checked_add(range.end)?;
        (start <= end && end <= self.range.end)
            .then(|| Bytes { owner: self.owner.clone(), range: start..end })
    }
}

impl std::ops::Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &(*self.owner).as_ref()[self.range.clone()]
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::new(Arc::new(bytes))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.len())
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

/// Why bytes are no tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataError {
    /// The number of elements does not fit in memory arithmetic.
    TooLarge,
    /// The bytes are too few or too many.
    Length {
        /// Bytes that dtype and dims ask for.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DataError::TooLarge => f.write_str("the tensor is larger than the address space"),
            DataError::Length { expected, found } => {
                write!(f, "the tensor needs {expected} bytes but has {found}")
            }
        }
    }
}

impl std::error::Error for DataError {}

/// A dense, row-major tensor with known dimensions. Elements are little-endian, possibly unaligned; those narrower than a
/// byte lie side by side, the first in the low bits, and what is left of the last byte is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct TensorData {
    dtype: DType,
    dims: Vec<u64>,
    bytes: Bytes,
    /// What the numbers of strings mean (`texts`).
    pub(super) texts: Option<Arc<Vec<String>>>,
}

impl TensorData {
    /// A tensor over existing bytes.
    pub fn new(dtype: DType, dims: Vec<u64>, bytes: Bytes) -> Result<Self, DataError> {
        let expected = Self::byte_count(dtype, &dims).ok_or(DataError::TooLarge)?;
        if expected != bytes.len() {
            return Err(DataError::Length { expected, found: bytes.len() });
        }
        let data = TensorData { dtype, dims, bytes, texts: None };
        let rest = data.len() % dtype.in_a_byte();
        let unused = if rest == 0 { 0 } else { 0xFF << (rest * dtype.width() as usize) & 0xFF };
        match data.bytes.last() {
            Some(last) if usize::from(*last) & unused != 0 => {
                let mut bytes = data.bytes.to_vec();
                bytes[expected - 1] &= !unused as u8;
                Ok(TensorData { bytes: bytes.into(), ..data })
            }
            _ => Ok(data),
        }
    }

    /// A tensor of values in flight, as memory of programs holds them: whole bytes for each element.
    pub fn from_unpacked(dtype: DType, dims: Vec<u64>, bytes: Bytes) -> Result<Self, DataError> {
        let in_a_byte = dtype.in_a_byte();
        if in_a_byte == 1 {
            return Self::new(dtype, dims, bytes);
        }
        let expected = Self::unpacked_count(dtype, &dims).ok_or(DataError::TooLarge)?;
        if expected != bytes.len() {
            return Err(DataError::Length { expected, found: bytes.len() });
        }
        let (width, low) = (dtype.width(), dtype.low_bits());
        let byte = |few: &[u8]| few.iter().rev().fold(0, |byte, it| byte << width | it & low);
        let packed: Vec<u8> = bytes.chunks(in_a_byte).map(byte).collect();
        Self::new(dtype, dims, packed.into())
    }

    /// Bytes that a tensor needs; `None` when that overflows.
    pub fn byte_count(dtype: DType, dims: &[u64]) -> Option<usize> {
        Some(Self::unpacked_count(dtype, dims)?.div_ceil(dtype.in_a_byte()))
    }

    /// Bytes of the same elements in flight; `None` when that overflows.
    pub fn unpacked_count(dtype: DType, dims: &[u64]) -> Option<usize> {
        if dims.contains(&0) {
            return Some(0);
        }
        let elements = dims.iter().try_fold(1u64, |n, d| n.checked_mul(*d))?;
        let bytes = elements.checked_mul(dtype.size() as u64)?;
        usize::try_from(bytes).ok().filter(|it| *it <= isize::MAX as usize)
    }

    /// A tensor of a plain element type, for example `TensorData::from_slice(DType::F32, &[2], &[1.0f32, 2.0])`.
    ///
    /// # Panics
    /// When the element size or count does not match; for tests and generated data.
    pub fn from_slice<T: bytemuck::NoUninit>(dtype: DType, dims: &[u64], values: &[T]) -> Self {
        assert_eq!(size_of::<T>(), dtype.size(), "element size of {dtype}");
        let bytes = bytemuck::cast_slice::<T, u8>(values).to_vec();
        Self::from_unpacked(dtype, dims.to_vec(), bytes.into())
            .expect("the element count matches the dimensions")
    }

    /// A 1-D tensor of i64.
    pub fn ints(values: &[i64]) -> Self {
        Self::from_slice(DType::I64, &[values.len() as u64], values)
    }

    /// Builds a tensor of any dtype from f64 values, converting each (integers truncate and saturate, bool is
    /// `!= 0`, complex numbers get an imaginary part of 0, strings are what is written, and 0 the empty one).
    ///
    /// # Panics
    /// When the count does not match the dimensions.
    pub fn from_f64(dtype: DType, dims: &[u64], values: impl IntoIterator<Item = f64>) -> Self {
        if dtype == DType::Str {
            let text = |it: f64| if it == 0.0 { String::new() } else { it.to_string() };
            return Self::strings(dims, values.into_iter().map(text))
                .expect("the element count matches the dimensions");
        }
        let part = dtype.component().unwrap_or(dtype);
        let bits = |it: f64| match part.is_float() {
            true => part.float_bits(it),
            false => part.saturate(it).cast_unsigned(),
        };
        let mut bytes = Vec::new();
        for value in values {
            let end = bytes.len() + dtype.size();
            bytes.extend_from_slice(&bits(value).to_le_bytes()[..part.size()]);
            bytes.resize(end, 0);
        }
        Self::from_unpacked(dtype, dims.to_vec(), bytes.into())
            .expect("the element count matches the dimensions")
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Dimensions, outermost first.
    pub fn dims(&self) -> &[u64] {
        &self.dims
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        match self.dtype.in_a_byte() {
            1 => self.bytes.len() / self.dtype.size(),
            // They fit in memory, one by one.
            _ => self.dims.iter().product::<u64>() as usize,
        }
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The elements in flight, in whole bytes each: the bytes themselves, but for types narrower than a byte. Signs are
    /// extended.
    pub fn unpacked(&self) -> Bytes {
        let in_a_byte = self.dtype.in_a_byte();
        if in_a_byte == 1 {
            return self.bytes.clone();
        }
        let (width, low, dtype) = (self.dtype.width() as usize, self.dtype.low_bits(), self.dtype);
        let extended = |bits: u8| if dtype.is_float() { bits } else { dtype.wrap(bits.into()) as u8 };
        let few = |byte: u8| (0..in_a_byte).map(move |i| (i, byte));
        let elements = self.bytes.iter().copied().flat_map(few).take(self.len());
        elements.map(|(i, byte)| extended(byte >> (i * width) & low)).collect::<Vec<u8>>().into()
    }

    /// The same bytes under other dimensions of the same element count.
    pub fn reshaped(&self, dims: Vec<u64>) -> Result<Self, DataError> {
        let texts = self.texts.clone();
        Ok(TensorData { texts, ..Self::new(self.dtype, dims, self.bytes.clone())? })
    }

    /// Complex numbers as their parts, two along a last dimension; other tensors as they are.
    ///
    /// # Panics
    /// Never: there are as many parts as the bytes hold.
    pub fn parts(&self) -> Self {
        let Some(part) = self.dtype.component() else { return self.clone() };
        let dims = self.dims.iter().copied().chain([2]).collect();
        Self::new(part, dims, self.bytes.clone()).expect("two parts are an element")
    }

    /// Element `i` as f64 (64-bit integers beyond 2^53 round, complex numbers give their real part).
    ///
    /// # Panics
    /// When `i` is out of range.
    pub fn get_f64(&self, i: usize) -> f64 {
        match self.dtype {
            DType::U64 => self.bits(i) as f64,
            dtype if dtype.is_integral() => self.get_i64(i) as f64,
            dtype => dtype.component().unwrap_or(dtype).float_value(self.bits(i)),
        }
    }

    /// Element `i` as i64 (floats truncate and saturate, u64 wraps, complex numbers give their real part).
    ///
    /// # Panics
    /// When `i` is out of range.
    pub fn get_i64(&self, i: usize) -> i64 {
        match self.dtype {
            dtype if !dtype.is_integral() => self.get_f64(i) as i64,
            // What a byte that is no bool holds is kept.
            DType::Bool => self.bits(i).cast_signed(),
            dtype => dtype.wrap(self.bits(i).cast_signed()),
        }
    }

    /// The bits of element `i`: as many as count, of a complex number those of its real part.
    ///
    /// # Panics
    /// When `i` is out of range.
    pub fn bits(&self, i: usize) -> u64 {
        let (size, in_a_byte) = (self.dtype.size(), self.dtype.in_a_byte());
        if in_a_byte > 1 {
            assert!(i < self.len(), "element {i} of {}", self.len());
            let byte = self.bytes[i / in_a_byte] >> (i % in_a_byte * self.dtype.width() as usize);
            return u64::from(byte & self.dtype.low_bits());
        }
        let counted = self.dtype.component().unwrap_or(self.dtype).size();
        let bytes = &self.bytes[i * size..i * size + counted];
        bytes.iter().rev().fold(0, |bits, byte| bits << 8 | u64::from(*byte))
    }

    /// All elements as f64.
    pub fn to_f64(&self) -> Vec<f64> {
        (0..self.len()).map(|i| self.get_f64(i)).collect()
    }

    /// All elements as i64.
    pub fn to_i64(&self) -> Vec<i64> {
        (0..self.len()).map(|i| self.get_i64(i)).collect()
    }
}

/// A constant of a [`ConstPool`], printed `#3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConstId(pub u32);

impl fmt::Display for ConstId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One constant with the name it had in its source.
#[derive(Clone, Debug)]
struct Entry {
    name: String,
    data: TensorData,
    /// Follows from the data, once it is known.
    digest: Option<Digest>,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.data == other.data
    }
}

/// The constants of a graph, module or plan.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConstPool {
    entries: Vec<Entry>,
}

impl ConstPool {
    /// Adds a constant; `name` is its name in the source and may be empty or repeated.
    pub fn add(&mut self, name: impl Into<String>, data: TensorData) -> ConstId {
        let id = ConstId(u32::try_from(self.entries.len()).expect("fewer than 2^32 constants"));
        self.entries.push(Entry { name: name.into(), data, digest: None });
        id
    }

    /// Says what a constant of this pool is known by outside of it: text then refers to it by that.
    pub fn set_digest(&mut self, id: ConstId, digest: Digest) {
        self.entries[id.0 as usize].digest = Some(digest);
    }

    /// What a constant of this pool is known by outside of it, when that was said.
    pub fn digest(&self, id: ConstId) -> Option<Digest> {
        self.entries[id.0 as usize].digest
    }

    /// The constant with this digest.
    pub fn known_by(&self, digest: Digest) -> Option<ConstId> {
        self.ids().find(|it| self.digest(*it) == Some(digest))
    }

    /// Adds a constant of another pool, with all that is known of it.
    pub fn adopt(&mut self, from: &ConstPool, id: ConstId) -> ConstId {
        self.entries.push(from.entries[id.0 as usize].clone());
        ConstId(u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 constants"))
    }

    /// The data of a constant of this pool.
    pub fn data(&self, id: ConstId) -> &TensorData {
        &self.entries[id.0 as usize].data
    }

    /// The source name of a constant of this pool.
    pub fn name(&self, id: ConstId) -> &str {
        &self.entries[id.0 as usize].name
    }

    /// Whether `id` is one of this pool.
    pub fn contains(&self, id: ConstId) -> bool {
        (id.0 as usize) < self.entries.len()
    }

    /// All ids in order.
    pub fn ids(&self) -> impl Iterator<Item = ConstId> + use<> {
        (0..self.entries.len() as u32).map(ConstId)
    }

    /// Number of constants.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_narrower_than_a_byte_lie_side_by_side() {
        let data = TensorData::from_f64(DType::I4, &[5], [1.0, -2.0, 7.0, -8.0, 3.0]);
        assert_eq!(&data.bytes()[..], [0xE1, 0x87, 0x03]);
        assert_eq!((data.len(), data.get_i64(3), data.bits(1)), (5, -8, 0xE));
        assert_eq!(&data.unpacked()[..], [1, 0xFE, 7, 0xF8, 3]);
        let again = TensorData::from_unpacked(DType::I4, vec![5], vec![0x31, 0x0E, 7, 8, 0xF3].into());
        assert_eq!(again.as_ref(), Ok(&data));
        let filled = TensorData::new(DType::I4, vec![5], vec![0xE1, 0x87, 0xF3].into());
        assert_eq!(filled, again);
        assert_eq!(TensorData::byte_count(DType::U2, &[3, 3]), Some(3));
        let twos = TensorData::from_f64(DType::I2, &[6], [0.0, 1.0, -2.0, -1.0, 1.0, 9.0]);
        assert_eq!(twos.to_i64(), [0, 1, -2, -1, 1, 1]);
        assert_eq!(twos.reshaped(vec![2, 3]).map(|it| it.get_i64(4)), Ok(1));
        let empty = TensorData::from_f64(DType::U4, &[0, 3], []);
        assert_eq!((empty.is_empty(), empty.to_i64()), (true, Vec::new()));
        let wrong = TensorData::new(DType::U4, vec![3], vec![1].into());
        assert_eq!(wrong, Err(DataError::Length { expected: 2, found: 1 }));
    }
}
