//! Element types, the one annotation a value carries, effects, attributes and constant data.
//!
//! A value has exactly one annotation, its [`Type`]. A tensor type may go as far as the symbolic *elements*
//! of a small integer tensor: shape arithmetic written as tensor code then needs no evaluation, its result is
//! known from its type.

mod attrs;
mod classes;
mod data;
mod digest;
mod dtype;
mod effects;
mod float;
mod intern;
mod items;
mod relate;
mod rounding;
mod source;
mod texts;
mod ty;

pub use attrs::{Attr, Attrs};
pub use data::{Bytes, ConstId, ConstPool, DataError, TensorData};
pub use digest::Digest;
pub use dtype::{DType, DTypeRow, Kind};
pub use effects::Effects;
pub use float::{FloatFormat, Special};
pub use intern::ConstInterner;
pub use items::{forget_items, join_items};
pub use relate::{bound_symbols, implies, map_dims, match_type, pair_dims, visit_dims};
pub use rounding::{bf16_from_f64, f16_from_f64, f32_to_odd, f64_to_odd};
pub use source::Source;
pub use texts::Texts;
pub use ty::{Dims, FunctionType, ShapeInfo, TensorType, Type};
