//! Imports ONNX models into any [`OpSink`](orogen_ir::ops::OpSink): the legacy graph and the dataflow IR alike.
//!
//! ```
//! use orogen_onnx::{Model, OpTable, unsupported};
//! // An empty file is refused with a reason; no input makes the importer panic.
//! let error = Model::from_bytes(Vec::new()).unwrap_err();
//! assert_eq!(error.0[0].message, "this is no ONNX model but an empty file");
//! # let _ = (unsupported, OpTable::standard());
//! ```
//!
//! # Laws
//! * **X1** No input panics, hangs, or takes memory out of proportion to its size.
//! * **X2** Nothing is built of a model before [`unsupported`] has found the whole model supported.
//! * **X3** Weights are slices of the mapped file; they are not copied.
//! * **X4** Names of the model carry no meaning: they may hold anything.
//! * **X5** Declared shapes of outputs and intermediate values are not believed; inference computes them.
//!
//! Files in reading order: [`proto`] (the format), `decode` (bytes to a [`Model`]), `tensor` and `mapping`
//! (weights), `graph` (order of nodes), [`OpTable`] and `unsupported` (what can be imported), `import` (the
//! walk), `node` and `emit` (what converters are written with), `ops` (the converters).

mod branch;
mod decode;
mod emit;
mod graph;
mod import;
mod mapping;
mod node;
mod ops;
mod options;
mod probe;
pub mod proto;
mod sink;
mod table;
mod tensor;
mod unsupported;

pub use decode::{CANNOT_READ, Model, NEWEST_OPSET, OLDEST_OPSET};
pub use emit::Size;
pub use import::{ImportReport, import};
pub use node::{Node, NodeCx};
pub use options::Options;
pub use sink::Value;
pub use table::{Converted, OpTable};
pub use unsupported::{Unsupported, unsupported};
