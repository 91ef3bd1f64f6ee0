//! What all parts of the parser share: the cursor, and the module that is read so far.

use crate::diag::{Diagnostic, Diagnostics};
use crate::flow::{Definition, Module};
use crate::ops::OpRegistry;
use crate::text::{Cursor, InlineConstants};
use crate::types::{ConstId, ConstPool};

/// Code of a finding that only follows from one reported before; it is dropped.
pub(super) const FOLLOWS: &str = "T000";

pub(super) struct Parser<'t, 'o> {
    pub(super) cursor: Cursor<'t>,
    pub(super) ops: &'o OpRegistry,
    pub(super) module: Module,
    constants: InlineConstants,
}

impl<'t, 'o> Parser<'t, 'o> {
    pub(super) fn new(text: &'t str, ops: &'o OpRegistry, pool: &ConstPool) -> Self {
        let module = Module { constants: pool.clone(), ..Module::default() };
        Parser { cursor: Cursor::new(text), ops, module, constants: InlineConstants::of(pool) }
    }

    pub(super) fn report(&mut self, diagnostic: Diagnostic) {
        if diagnostic.code != FOLLOWS {
            self.cursor.report(diagnostic);
        }
    }

    pub(super) fn define(&mut self, name: String, definition: Definition) -> Result<(), Diagnostic> {
        if self.module.definitions.contains_key(&name) {
            let span = self.cursor.previous_span();
            return Err(self.cursor.error_at(span, "T113", format!("`@{name}` is defined twice")));
        }
        self.module.definitions.insert(name, definition);
        Ok(())
    }

    /// Reads a constant, after the keyword.
    pub(super) fn constant(&mut self) -> Result<ConstId, Diagnostic> {
        self.constants.read(&mut self.cursor, &mut self.module.constants)
    }

    /// The module, or all that is wrong with the text.
    pub(super) fn finish(self) -> Result<Module, Diagnostics> {
        self.cursor.finish().into_result(self.module)
    }
}
