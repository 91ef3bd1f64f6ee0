//! Operations that a pattern describes become calls of functions, and a hook says what computes these.
//!
//! What: every place where one of the patterns matches becomes a call of a private function that does what the match did, a
//! *composite*. Places that differ in nothing but the sizes and operands that they give share one. With a
//! [hook](CompositeHook), which is given each composite, a kernel of its own takes the place of the function: a function of
//! the host, a routine, or a tensor program. What the hook does not want is put back.
//! When: a library, an accelerator or hand-written code computes several operations at once.
//! Laws:
//! * **Y1** A match is taken only where nothing else reads what lies inside of it.
//! * **Y2** Patterns are tried in order, at operations from the last to the first; matches do not overlap.
//! * **Y3** A composite is pure, and computes in the operators of the match; a kernel in its place has its signature.
//!
//! Class: bitwise; what a kernel of a hook computes is the hook's affair.

mod find;

use super::outline::{self, Part};
use crate::manager::{Changed, Facts, Pass, PassCx};
use crate::rewrite::Matcher;
use find::{Found, find};
use indexmap::IndexMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{BindingId, Function, Module, Rhs};
use orogen_ir::kernel::{Access, Extern, Kernel, Signature};
use orogen_ir::ops::OpRegistry;
use orogen_ir::shape::Dim;
use orogen_ir::types::{Attrs, implies};
use std::fmt;
use std::sync::Arc;

/// A composite, as a hook sees it.
#[derive(Clone, Copy)]
pub struct Composite<'a> {
    /// The name of its pattern.
    pub pattern: &'a str,
    /// Its own name, which no definition of the module has but its function: a kernel may take it over.
    pub name: &'a str,
    /// What it does; its parameters are in the order in which the pattern first names them.
    pub function: &'a Function,
    /// Where its types and constants live.
    pub module: &'a Module,
    /// Operators.
    pub ops: &'a OpRegistry,
}

impl Composite<'_> {
    /// A function of the host with the signature of the composite, which is found under `symbol` when the model runs.
    ///
    /// # Errors
    /// `N033`: a parameter or a result that is no tensor of known rank.
    pub fn host_function(&self, symbol: &str) -> Result<Kernel, Diagnostic> {
        let mut signature = Signature::default();
        let function = self.function;
        let params = function.params().iter().map(|it| (Access::In, it.name.as_str(), it.value));
        let results = function.outputs().iter().zip(function.results());
        let results = results.map(|(it, value)| (Access::Out, it.name.as_str(), *value));
        for (access, name, value) in params.chain(results) {
            let ty = function[value].ty.as_tensor();
            let Some((dtype, dims)) = ty.and_then(|it| Some((it.dtype, it.dims()?))) else {
                let message = format!("`{name}` of `{}` is no tensor of known rank", self.name);
                return Err(Diagnostic::error("N033", message));
            };
            let shapes = &self.module.shapes;
            for sym in dims.iter().flat_map(|it| shapes.free_symbols(*it)) {
                signature.size(shapes.name(sym));
            }
            let dims: Vec<Dim> = dims.iter().map(|it| signature.shapes.import(shapes, *it)).collect();
            let mut own = name.to_owned();
            while signature.params.iter().any(|it| it.name == own) {
                own.push('_');
            }
            signature = signature.with(access, &own, dtype, &dims);
        }
        let (name, symbol) = (self.name.to_owned(), symbol.to_owned());
        Ok(Extern { name, symbol, attrs: Attrs::none(), signature }.into())
    }
}

/// Says what computes composites.
pub trait CompositeHook: Send + Sync {
    /// The kernel that computes a composite, with its parameters and results in their order; `None` where its operations are
    /// to stay as they were.
    ///
    /// # Errors
    /// What ends the compilation.
    fn kernel(&self, composite: &Composite<'_>) -> Result<Option<Kernel>, Diagnostic>;
}

/// Makes composites of what patterns describe.
#[derive(Clone)]
pub struct FuseByPattern {
    name: &'static str,
    patterns: Vec<(String, Matcher)>,
    hook: Option<Arc<dyn CompositeHook>>,
}

impl fmt::Debug for FuseByPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.patterns.iter().map(|it| it.0.as_str()).collect();
        f.debug_struct("FuseByPattern")
            .field("name", &self.name)
            .field("patterns", &names)
            .finish_non_exhaustive()
    }
}

impl FuseByPattern {
    /// A pass of that name, without patterns.
    pub fn new(name: &'static str) -> Self {
        FuseByPattern { name, patterns: Vec::new(), hook: None }
    }

    /// The same with one more pattern, in the language of rules: `mul(x, sigmoid(x)) where x: float`. Composites are named
    /// after it.
    ///
    /// # Errors
    /// What is wrong with the pattern; `N032`: an operand without a name, whose place in the composite nothing says.
    pub fn pattern(mut self, ops: &OpRegistry, name: &str, text: &str) -> Result<Self, Diagnostics> {
        let matcher = Matcher::parse(ops, text)?;
        if matcher.has_unnamed() {
            let message = format!("pattern `{name}` has an operand without a name");
            return Err(Diagnostic::error("N032", message).help("write a name in place of `_`").into());
        }
        self.patterns.push((name.to_owned(), matcher));
        Ok(self)
    }

    /// The same with a hook.
    #[must_use]
    pub fn hook(mut self, hook: impl CompositeHook + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }
}

impl Pass<Module> for FuseByPattern {
    fn name(&self) -> &'static str {
        self.name
    }

    fn facts(&self) -> Facts {
        Facts::OVER_OPERATORS
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let callers: Vec<String> = module.functions().map(|it| it.0.to_owned()).collect();
        let mut composites = Composites::default();
        let mut changed = false;
        for caller in &callers {
            let mut found = Vec::new();
            module.edit_function(cx.ops, caller, |editor| -> Result<(), Diagnostic> {
                found = find(editor, &self.patterns);
                Ok(())
            })?;
            let mut calls = Vec::new();
            for it in found {
                calls.extend(composites.make(module, cx.ops, caller, &self.patterns[it.pattern].0, &it)?);
            }
            changed |= !calls.is_empty();
            // The last ones come first: what an earlier one gives a later one is read from its call then.
            module.edit_function(cx.ops, caller, |editor| -> Result<(), Diagnostic> {
                calls.iter().try_for_each(|it| outline::call(editor, &it.callee, &it.part, it.last))
            })?;
        }
        if let Some(hook) = &self.hook {
            composites.compute(module, cx.ops, &**hook)?;
        }
        if changed {
            module.drop_uncalled_functions();
            module.remove_dead_code(cx.ops);
        }
        Ok(changed.into())
    }
}

/// A call that takes the place of a match.
struct Call {
    callee: String,
    part: Part,
    last: BindingId,
}

/// The composites that were made.
#[derive(Default)]
struct Composites {
    /// By pattern and text, their names; `None` where nothing could be made of them.
    known: IndexMap<(String, String), Option<String>>,
    /// Names with the name of the pattern, in order.
    made: IndexMap<String, String>,
}

impl Composites {
    fn make(
        &mut self,
        module: &mut Module,
        ops: &OpRegistry,
        caller: &str,
        pattern: &str,
        found: &Found,
    ) -> Result<Option<Call>, Diagnostic> {
        let Some(function) = module.function(caller) else { return Ok(None) };
        let mut part = Part::of(function, found.bindings.clone(), vec![found.root]);
        // Whoever wrote the pattern knows its operands in this order.
        part.inputs.sort_by_key(|it| found.leaves.iter().position(|leaf| leaf == it));
        if !part.is_movable(function, &module.shapes) {
            return Ok(None);
        }
        let Some(outlined) = outline::read(module, ops, caller, &part) else { return Ok(None) };
        let key = (pattern.to_owned(), outlined.text.clone());
        if !self.known.contains_key(&key) {
            let name = free_name(module, pattern);
            let typed = outlined.define(module, ops, caller, &name)?;
            if typed {
                self.made.insert(name.clone(), pattern.to_owned());
            }
            self.known.insert(key.clone(), typed.then_some(name));
        }
        let last = *found.bindings.last().expect("a match has a root");
        let callee = self.known.get(&key).cloned().flatten();
        Ok(callee.map(|callee| Call { callee, part, last }))
    }

    /// Asks a hook for the kernel of each.
    fn compute(
        &self,
        module: &mut Module,
        ops: &OpRegistry,
        hook: &dyn CompositeHook,
    ) -> Result<(), Diagnostic> {
        let mut rest = Vec::new();
        for (name, pattern) in &self.made {
            let Some(function) = module.function(name) else { continue };
            let composite = Composite { pattern, name, function, module, ops };
            match hook.kernel(&composite)? {
                Some(kernel) => call_kernel(module, ops, name, kernel)?,
                None => rest.push(name.clone()),
            }
        }
        module.inline(ops, &|name, _| rest.iter().any(|it| it == name))?;
        Ok(())
    }
}

fn free_name(module: &Module, pattern: &str) -> String {
    let mut names = std::iter::once(pattern.to_owned()).chain((1..).map(|i| format!("{pattern}_{i}")));
    names.find(|it| !module.definitions().contains_key(it)).expect("there are names without end")
}

/// Puts calls of a kernel in the place of calls of a composite, whose name it may have.
fn call_kernel(
    module: &mut Module,
    ops: &OpRegistry,
    composite: &str,
    mut kernel: Kernel,
) -> Result<(), Diagnostic> {
    if kernel.name() == composite {
        kernel.set_name(&free_name(module, composite));
    }
    let name = kernel.name().to_owned();
    module.define(kernel.clone())?;
    module.edit(ops, |editor| -> Result<(), Diagnostic> {
        for id in editor.bindings() {
            let Rhs::Call { callee, args, .. } = &editor.binding(id).rhs else { continue };
            if callee != composite {
                continue;
            }
            let (args, results) = (args.clone(), editor.binding(id).results.clone());
            let dims = args.iter().map(|it| editor.type_of(*it).as_tensor().and_then(|it| it.dims()));
            let sizes = dims.collect::<Option<Vec<_>>>().and_then(|it| kernel.sizes_for(&it));
            let Some(sizes) = sizes else {
                let message =
                    format!("the sizes of kernel `{name}` do not follow from the operands of `{composite}`");
                return Err(Diagnostic::error("N033", message).help("make each a dimension of an operand"));
            };
            editor.before(id);
            let rhs = Rhs::Call { callee: name.clone(), args, sizes: sizes.into() };
            let values = editor.emit(rhs).map_err(|it| it.note(format!("in the place of `{composite}`")))?;
            if values.len() != results.len() {
                let (n, m) = (values.len(), results.len());
                let message = format!("kernel `{name}` writes {n} buffers but `{composite}` has {m} results");
                return Err(Diagnostic::error("N033", message));
            }
            for (old, new) in results.into_iter().zip(values) {
                if !implies(editor.shapes, editor.type_of(new), editor.type_of(old)) {
                    let message = format!("kernel `{name}` writes another type than `{composite}` gives");
                    return Err(Diagnostic::error("N033", message)
                        .help("write what the function of the composite returns"));
                }
                editor.replace(old, new);
            }
            editor.remove(id);
        }
        Ok(())
    })
}
