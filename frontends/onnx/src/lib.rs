//! Imports ONNX models into any [`OpSink`](orogen_ir::ops::OpSink): the legacy graph and the dataflow IR alike.
//!
//! ```
//! use orogen_ir::{flow::FlowBuilder, ops::OpRegistry};
//! use orogen_onnx::{Model, Options, import, proto::*};
//! # let name = |it: &str| ValueInfoProto { name: it.into(), r#type: None };
//! # let tensor = TensorTypeProto { elem_type: 1, shape: Some(TensorShapeProto { dim: vec![DimensionProto { dim_param: Some("n".into()), ..Default::default() }] }) };
//! # let x = ValueInfoProto { name: "x".into(), r#type: Some(TypeProto { tensor_type: Some(tensor), ..Default::default() }) };
//! # let relu = NodeProto { op_type: "Relu".into(), input: vec!["x".into()], output: vec!["y".into()], ..Default::default() };
//! # let graph = GraphProto { node: vec![relu], input: vec![x], output: vec![name("y")], ..Default::default() };
//! # let opset = OperatorSetIdProto { domain: String::new(), version: 18 };
//! # let file = ModelProto { graph: Some(Box::new(graph)), opset_import: vec![opset], ..Default::default() };
//! // `file` holds y = Relu(x) for x of shape [n]; `Model::open("model.onnx")` reads one from disk.
//! let model = Model::from_proto(file)?;
//! let ops = OpRegistry::standard();
//! let mut sink = FlowBuilder::new(&ops, "model");
//! let report = import(&model, &Options::default().with_dim("n", 4), &mut sink)?;
//! assert_eq!(report.operators.get("Relu"), Some(&1));
//! let module = sink.finish()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Laws
//! * **X1** No input panics, hangs, or takes memory out of proportion to its size.
//! * **X2** Nothing is built of a model before [`unsupported`] has found the whole model supported.
//! * **X3** Weights are slices of the mapped file; they are not copied.
//! * **X4** Names of the model carry no meaning: they may hold anything.
//! * **X5** Declared shapes of outputs and intermediate values are not believed; inference computes them.
//!
//! Files in reading order: [`proto`] (the format), `decode` (bytes to a [`Model`]), `tensor`, `sparse` and
//! `mapping` (weights), `graph` (order of nodes), [`OpTable`] and `unsupported` (what can be imported), `import` (the
//! walk, and in it `branch`: an `If` whose branches differ in rank, and `versions`: nodes built once for each rank), `sink` and `probe` (what is built into), `node` and
//! `emit` (what converters are written with), `ops` (the converters).

mod decode;
mod emit;
mod graph;
mod import;
mod mapping;
mod missing;
mod node;
mod ops;
mod options;
mod page;
mod probe;
pub mod proto;
mod sink;
mod sparse;
mod table;
mod tensor;
mod unsupported;

pub use decode::{CANNOT_READ, Model, NEWEST_OPSET, OLDEST_OPSET};
pub use emit::Size;
pub use import::{ImportReport, import};
pub use node::{Node, NodeCx};
pub use options::Options;
pub use page::operators_page;
pub use sink::Value;
pub use table::{Converted, OpTable};
pub use tensor::dtype_of;
pub use unsupported::{Unsupported, missing_files, unsupported};
