//! The legacy graph IR: static shapes, pure, no control flow.
//!
//! This is the default path and it stays stable. What it cannot hold (a dynamic dimension, `If`, state) is an
//! error that names the reason and the way to opt in to the dataflow-block IR.
//!
//! # Laws
//! * **G1** Every node in [`Graph::order`] comes after the nodes whose outputs it uses, and appears once.
//! * **G2** Every edge names an existing output of an ordered node.
//! * **G3** Operators have no effects but `ABORT`.
//! * **G4** Recorded output types equal the inferred ones.
//! * **G5** A kernel node matches its kernel: operand count, dtypes, dimensions.
//! * **G6** Input and output names are unique.
//! * **G7** The default of an input is a constant that has its type; inputs with one come last.
//!
//! # Use
//! Build with [`GraphBuilder`] (an [`OpSink`](crate::ops::OpSink)), print and parse with [`text`], check with
//! [`Graph::verify`], edit with a [`GraphEditor`]: [`Graph::edit`].
//!
//! ```
//! use orogen_ir::graph::{same_structure, text};
//! use orogen_ir::ops::OpRegistry;
//!
//! let ops = OpRegistry::standard();
//! let mut graph = text::parse("graph @g(%x: f32[4]) { %y = exp(%x) %z = exp(%x) return y = %y }", &ops)?;
//! graph.verify(&ops)?;
//! assert_eq!(graph.prune(), 1);
//! let printed = text::print(&graph, &ops);
//! assert_eq!(printed, "graph @g(%x: f32[4]) {\n  %0 = exp(%x) : f32[4]\n  return y = %0\n}\n");
//! assert!(same_structure(&graph, &text::parse(&printed, &ops)?));
//! # Ok::<(), orogen_ir::diag::Diagnostics>(())
//! ```

mod builder;
mod data;
mod edit;
mod equal;
mod generate;
pub mod text;
mod verify;

pub use builder::{GraphBuilder, OPT_IN_HELP};
pub use data::{Edge, Graph, Node, NodeId, NodeKind, StaticType};
pub use edit::GraphEditor;
pub use equal::{difference, same_structure};
pub use generate::random_graph;
