//! What of this crate needs the dataflow IR. In a build without it `without_flow` stands in its place.

pub mod flow;
#[path = "manager/holds/flow.rs"]
pub(crate) mod holds;
#[path = "registry/makers.rs"]
pub(crate) mod makers;
#[path = "bridge/translate.rs"]
pub(crate) mod translate;
