//! Adding constants to a pool, each once.

use super::{ConstId, ConstPool, DType, TensorData};
use indexmap::IndexMap;

/// Constants of at most this many bytes are one when they are equal; larger ones when they share their memory.
const COMPARED_BYTES: usize = 1024;

/// Adds constants to a pool, each once.
#[derive(Clone, Debug, Default)]
pub struct ConstInterner {
    ids: IndexMap<Key, ConstId>,
}

/// What makes two constants one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    dtype: DType,
    dims: Vec<u64>,
    bytes: Identity,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Identity {
    Content(Vec<u8>),
    Address(usize),
}

impl ConstInterner {
    /// The id of `data` in `pool`, added under this name when it is new. One interner serves one pool.
    pub fn add(&mut self, pool: &mut ConstPool, name: &str, data: TensorData) -> ConstId {
        let bytes = match data.bytes().len() {
            0..=COMPARED_BYTES => Identity::Content(data.content()),
            // The pool keeps the memory alive, so an address stands for one content.
            _ => Identity::Address(data.bytes().as_ptr() as usize),
        };
        let key = Key { dtype: data.dtype(), dims: data.dims().to_vec(), bytes };
        *self.ids.entry(key).or_insert_with(|| pool.add(name, data))
    }
}
