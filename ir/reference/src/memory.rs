//! Memory that knows which bytes were written.

use crate::error::{EvalError, EvalErrorKind, EvalResult};
use orogen_ir::types::{Bytes, DType, TensorData, Texts};

/// One block of bytes. Fresh blocks hold a pattern that is no plausible data and count as not written.
#[derive(Clone, Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    written: Vec<bool>,
}

/// Index of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockId(usize);

/// A part of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) block: BlockId,
    pub(crate) offset: usize,
    pub(crate) bytes: usize,
}

impl Place {
    /// Whether both have a byte in common.
    pub(crate) fn meets(self, other: Place) -> bool {
        self.block == other.block
            && self.offset < other.offset + other.bytes
            && other.offset < self.offset + self.bytes
            && self.bytes > 0
            && other.bytes > 0
    }
}

/// All blocks of one evaluation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    blocks: Vec<Block>,
    /// What the numbers of strings mean, which memory holds in the place of handles.
    texts: Texts,
}

/// The most bytes that one block may have: a guard against sizes that a broken program computes.
const MAX_BYTES: usize = 1 << 36;

impl Memory {
    /// A block of `bytes` that nothing has written yet.
    pub(crate) fn allocate(&mut self, bytes: usize) -> EvalResult<Place> {
        if bytes > MAX_BYTES {
            return Err(EvalError::too_large());
        }
        self.blocks.push(Block { bytes: vec![0xcd; bytes], written: vec![false; bytes] });
        Ok(Place { block: BlockId(self.blocks.len() - 1), offset: 0, bytes })
    }

    /// The elements of a tensor as memory holds them.
    pub(crate) fn in_flight(&mut self, data: &TensorData) -> Bytes {
        if data.dtype() == DType::Str { self.texts.numbers(data) } else { data.unpacked() }
    }

    /// A block with the elements of a tensor.
    pub(crate) fn hold(&mut self, data: &TensorData) -> Place {
        let bytes = self.in_flight(data);
        self.blocks.push(Block { bytes: bytes.to_vec(), written: vec![true; bytes.len()] });
        Place { block: BlockId(self.blocks.len() - 1), offset: 0, bytes: bytes.len() }
    }

    /// Forgets the contents of a place.
    pub(crate) fn forget(&mut self, place: Place) {
        let block = &mut self.blocks[place.block.0];
        block.written[place.offset..place.offset + place.bytes].fill(false);
    }

    /// Gives back the newest blocks beyond the first `n`.
    pub(crate) fn truncate(&mut self, n: usize) {
        self.blocks.truncate(n);
    }

    /// Number of blocks.
    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// `size` bytes from `offset` of a place, which must have been written.
    pub(crate) fn read(&self, place: Place, offset: usize, size: usize) -> EvalResult<&[u8]> {
        let block = &self.blocks[place.block.0];
        let range = place.offset + offset..place.offset + offset + size;
        if offset + size > place.bytes {
            return Err(EvalError::invalid("a read reaches beyond its buffer"));
        }
        if block.written[range.clone()].contains(&false) {
            return Err(EvalError::new(EvalErrorKind::Uninitialised, "memory is read before it is written"));
        }
        Ok(&block.bytes[range])
    }

    /// The bytes to write at `offset` of a place; they count as written.
    pub(crate) fn write(&mut self, place: Place, offset: usize, size: usize) -> EvalResult<&mut [u8]> {
        let range = place.offset + offset..place.offset + offset + size;
        if offset + size > place.bytes {
            return Err(EvalError::invalid("a write reaches beyond its buffer"));
        }
        let block = &mut self.blocks[place.block.0];
        block.written[range.clone()].fill(true);
        Ok(&mut block.bytes[range])
    }

    /// A copy of a place as a tensor; all of it must have been written.
    pub(crate) fn tensor(&self, place: Place, dtype: DType, dims: &[u64]) -> EvalResult<TensorData> {
        let bytes = TensorData::unpacked_count(dtype, dims).ok_or_else(EvalError::too_large)?;
        let bytes = self.read(place, 0, bytes)?.to_vec();
        if dtype == DType::Str {
            let strings = self.texts.tensor(dims, &bytes);
            return strings.ok_or_else(|| EvalError::invalid("memory holds no strings"));
        }
        TensorData::from_unpacked(dtype, dims.to_vec(), bytes.into())
            .map_err(|it| EvalError::invalid(it.to_string()))
    }
}
