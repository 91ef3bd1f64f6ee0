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

mod builder;
mod data;
mod edit;
mod equal;
mod generate;
pub mod text;
mod verify;

pub use builder::{GraphBuilder, OPT_IN_HELP};
pub use data::{Edge, Graph, Node, NodeId, NodeKind, StaticType};
pub use equal::{difference, same_structure};
pub use generate::random_graph;
