//! Whether a pass keeps values, shown by means that are not its own.
//!
//! A pass leaves most values of a program as they are, and defines some of them anew. Each of those is computed by both
//! definitions, down to values that both programs have, which get elements at random. The reference interpreter computes:
//! nothing here knows of rules, of the composition of kernels or of code generation.
//!
//! With `--verify` the passes that move values about and those that merge kernels are held to it ([`CheckValues`]).
//!
//! # Laws
//! * **K1** A value of both programs is the same in both. So is what branches, loops, checks and outputs read.
//! * **K2** What is not compared is counted: what takes too many steps, what has no value on these operands, and what its
//!   own roundings move as far.
//!
//! Modules in reading order: `view` (either IR as definitions), `compare`.

mod compare;
pub(crate) mod view;

use crate::Lowered;
use compare::Halves;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::OpRegistry;
use orogen_passes::manager::{Changed, Instrument, IrRef, PassInfo};
use view::View;

/// Passes that keep every value.
const KEEP: [&str; 2] = ["layout", "fuse"];

/// What was compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Definitions that compute the same.
    pub same: usize,
    /// Definitions that were not compared (law K2).
    pub skipped: usize,
}

/// Compares what two programs of one IR compute, where the second was made of the first.
///
/// ```
/// use orogen::check::keeps_values;
/// use orogen::passes::IrRef;
/// use orogen::prelude::*;
///
/// let compiler = Compiler::standard();
/// let text = "graph @g(%x: f32[2, 3]) {
///   %0 = transpose(%x) {perm = [1, 0]} : f32[3, 2]
///   %1 = exp(%0) : f32[3, 2]
///   %2 = transpose(%1) {perm = [1, 0]} : f32[2, 3]
///   return y = %2
/// }";
/// let before = orogen::ir::graph::text::parse(text, compiler.ops())?;
/// let mut after = before.clone();
/// compiler.graph_step(&mut after, Step::Layout)?;
/// let checked = keeps_values(compiler.ops(), IrRef::Graph(&before), IrRef::Graph(&after))?;
/// assert_eq!((checked.same, checked.skipped), (1, 0));
/// # Ok::<(), Diagnostics>(())
/// ```
///
/// # Errors
/// `V002`: a value that differs, with where it comes from (law K1).
pub fn keeps_values(ops: &OpRegistry, before: IrRef<'_>, after: IrRef<'_>) -> Result<Checked, Diagnostics> {
    let view = |ir| match ir {
        IrRef::Graph(graph) => Some(View::of_graph(graph)),
        IrRef::Flow(module) => crate::dataflow::view(module),
    };
    let (Some(before), Some(after)) = (view(before), view(after)) else { return Ok(Checked::default()) };
    let mut halves = Halves::new(ops, &before, &after);
    let (mut checked, mut found) = (Checked::default(), Diagnostics::new());
    for (old, new) in before.obligations(&after) {
        match halves.same(old, new) {
            None => checked.skipped += 1,
            Some(Ok(())) => checked.same += 1,
            Some(Err(how)) => found.push(
                Diagnostic::error("V002", format!("a value is another one afterwards: {how}"))
                    .at(after.source(new)),
            ),
        }
    }
    found.into_result(checked)
}

/// Checks the passes that keep values, and names the one that does not.
#[derive(Debug, Default)]
pub struct CheckValues {
    before: Option<Lowered>,
    /// What was compared so far.
    pub checked: Checked,
}

impl Instrument for CheckValues {
    fn before(&mut self, ir: IrRef<'_>, pass: PassInfo, _: &OpRegistry) -> Result<(), Diagnostics> {
        self.before = KEEP.contains(&pass.name).then(|| ir.into());
        Ok(())
    }

    fn after(
        &mut self,
        ir: IrRef<'_>,
        pass: PassInfo,
        changed: Changed,
        ops: &OpRegistry,
    ) -> Result<(), Diagnostics> {
        let (Some(before), Changed::Yes) = (self.before.take(), changed) else { return Ok(()) };
        let before = match &before {
            Lowered::Graph(it) => IrRef::Graph(it),
            Lowered::Flow(it) => IrRef::Flow(it),
            Lowered::Plan(_) => return Ok(()),
        };
        let checked = keeps_values(ops, before, ir).map_err(|found| {
            let headline = format!("pass `{}` changes values", pass.name);
            orogen_passes::manager::defect(&headline, found)
        })?;
        self.checked.same += checked.same;
        self.checked.skipped += checked.skipped;
        Ok(())
    }
}
