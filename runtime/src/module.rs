//! [`Module`]: a named set of functions that may import others.

use std::sync::Arc;

use crate::function::PackedFunc;

/// A set of functions, whatever made them.
pub trait Module: Send + Sync {
    /// What made it, such as `library`.
    fn kind(&self) -> &str;

    /// The function called `name`, in this module itself.
    fn function(&self, name: &str) -> Option<PackedFunc>;

    /// Modules that this one needs.
    fn imports(&self) -> &[Arc<dyn Module>] {
        &[]
    }

    /// The function called `name`, in this module or else in its imports, depth first.
    fn find(&self, name: &str) -> Option<PackedFunc> {
        self.function(name).or_else(|| self.imports().iter().find_map(|it| it.find(name)))
    }
}
