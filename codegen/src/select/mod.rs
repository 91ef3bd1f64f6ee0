//! Choosing how each stage of a tensor program is computed.
//!
//! `schedule` turns the statements of a program into a tree of loops and stages. Decisions follow from structure
//! alone (which axes stages share, how indices depend on them), never from operator names.

pub(crate) mod schedule;

pub(crate) use schedule::{Node, Schedule, schedule};
