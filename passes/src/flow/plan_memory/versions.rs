//! Versions of kernels, chosen by the sizes of a call.
//!
//! A kernel whose broadcasts the sizes decide is there twice: for sizes that broadcast nothing, the usual case, and for
//! all. What the checks on entry settle is not asked again.

use super::Lowering;
use super::values::overflow;
use orogen_ir::diag::Diagnostic;
use orogen_ir::kernel::Kernel;
use orogen_ir::loops::{EqualExtents, equal_extents};
use orogen_ir::plan::{BufferRef, Condition, KernelId, Step};
use orogen_ir::shape::{Constraint, Dim, ShapeCx, Sym, Truth};
use orogen_ir::types::Source;

/// What a kernel is called with.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) args: Vec<BufferRef>,
    pub(super) sizes: Vec<Dim>,
    pub(super) source: Source,
}

impl Call {
    fn of(self, kernel: KernelId) -> Step {
        Step::Kernel { kernel, args: self.args, sizes: self.sizes, source: self.source }
    }
}

impl Lowering<'_> {
    /// Calls a kernel, or the version of it for the sizes of the call.
    pub(super) fn call_version(
        &mut self,
        callee: &str,
        kernel: &Kernel,
        call: Call,
        steps: &mut Vec<Step>,
    ) -> Result<(), Diagnostic> {
        let mut asked = Vec::new();
        let usual = match kernel {
            Kernel::Program(program) => match equal_extents(program) {
                Some(usual) => self
                    .ask(&program.sizes, &call.sizes, &usual, &mut asked)?
                    .then_some(Kernel::Program(usual.program)),
                None => None,
            },
            _ => None,
        };
        let usual = usual.map(|it| self.kernel(format!("{callee} of equal extents"), &it));
        match usual {
            None => {
                let all = self.kernel(callee.to_owned(), kernel);
                self.emit(steps, call.of(all))
            }
            Some(usual) if asked.is_empty() => self.emit(steps, call.of(usual)),
            Some(usual) => {
                let all = self.kernel(callee.to_owned(), kernel);
                let (mut then_steps, mut else_steps) = (Vec::new(), Vec::new());
                self.emit(&mut then_steps, call.clone().of(usual))?;
                self.emit(&mut else_steps, call.of(all))?;
                self.emit(steps, Step::If { cond: Condition::Sizes(asked), then_steps, else_steps })
            }
        }
    }

    /// The kernel in the plan, by a name of its own.
    fn kernel(&mut self, name: String, kernel: &Kernel) -> KernelId {
        let entry = self.shared.kernels.entry(name);
        let id = KernelId(entry.index() as u32);
        entry.or_insert_with(|| kernel.clone());
        id
    }

    /// What is to be asked of the sizes of a call, for the symbols of a kernel, for extents of it to be equal; false if they
    /// never are.
    fn ask(
        &mut self,
        symbols: &[Sym],
        sizes: &[Dim],
        usual: &EqualExtents,
        asked: &mut Vec<Constraint>,
    ) -> Result<bool, Diagnostic> {
        for (a, b) in &usual.equal {
            let mut outside = |dim| self.outside(&usual.shapes, symbols, sizes, dim);
            let (a, b) = (outside(*a)?, outside(*b)?);
            match self.plan.shapes.prove_eq(a, b) {
                Truth::Always => {}
                Truth::Never => return Ok(false),
                Truth::Unknown => asked.push(Constraint::Eq(a, b)),
            }
        }
        Ok(true)
    }

    /// A dimension of a kernel, in the plan.
    fn outside(&mut self, of: &ShapeCx, symbols: &[Sym], sizes: &[Dim], dim: Dim) -> Result<Dim, Diagnostic> {
        let leaf = &mut |shapes: &mut ShapeCx, sym| match symbols.iter().position(|it| *it == sym) {
            Some(at) => sizes[at],
            // Only in a kernel that breaks law L1.
            None => shapes.fresh_integer("unbound"),
        };
        self.plan.shapes.import_with(of, dim, leaf).map_err(overflow)
    }
}
