//! Functions of a module: what they take and give, what they may do, and which of them are there.

use crate::manager::{Changed, Fact, Facts, Pass, PassCx};
use indexmap::IndexMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::Module;
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::bound_symbols;

/// Takes parameters and results that nobody needs from private functions, and drops private functions that nobody calls.
///
/// What others may call from outside keeps its interface. When: after passes that simplify what functions do, and before
/// memory is planned, since what is passed is kept alive. Laws: a parameter that gives a size which nothing else gives
/// stays, and so does one result of each function; effects stay. Class: bitwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct RemoveUnused;

/// Rounds after which it stops: what a result needed may be needed no more, function by function.
const ROUNDS: usize = 16;

impl Pass<Module> for RemoveUnused {
    fn name(&self) -> &'static str {
        "remove-unused"
    }

    fn facts(&self) -> Facts {
        Facts::KEEPS_ALL
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut changed = module.remove_dead_code(cx.ops) + module.drop_uncalled_functions() > 0;
        for _ in 0..ROUNDS {
            let results = module.needed_results();
            let mut removed = results.values().any(|it| it.contains(&false));
            if removed {
                module.retain_results(&results);
                // What was computed for results that went.
                module.remove_dead_code(cx.ops);
            }
            let private = module.functions().filter(|it| it.1.is_private());
            let params: IndexMap<String, Vec<bool>> =
                private.map(|it| (it.0.to_owned(), it.1.needed_params(&module.shapes))).collect();
            if params.values().any(|it| it.contains(&false)) {
                module.retain_params(&params);
                removed = true;
            }
            if !removed {
                break;
            }
            changed = true;
            module.remove_dead_code(cx.ops);
            module.drop_uncalled_functions();
        }
        Ok(changed.into())
    }
}

/// Puts bodies of private functions in the place of their calls, and drops the functions.
///
/// When: calls are a wall for all other passes, and pass every tensor through memory; a function that is called often makes
/// the program larger. Laws: functions that call themselves stay, and calls in functions that have become too large; what
/// has effects stays in order. Class: bitwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Pass<Module> for Inline {
    fn name(&self) -> &'static str {
        "inline"
    }

    fn facts(&self) -> Facts {
        Facts { destroys: Some(&[Fact::NoDuplicates]), ..Facts::UNSAID }
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let count = module.inline(cx.ops, &|_, it| it.is_private())?;
        let dropped = module.drop_uncalled_functions();
        if count + dropped > 0 {
            module.remove_dead_code(cx.ops);
        }
        Ok((count + dropped > 0).into())
    }
}

/// Makes functions declare the effects that their bodies have and no more, and puts what has none into dataflow blocks.
///
/// When: a program from outside that declares more than it does, or that is written in effect blocks; other passes look at
/// dataflow blocks alone. Laws: nothing changes its place; effects are the least with which functions that call each other
/// declare what they do. Class: bitwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct InferEffects;

impl Pass<Module> for InferEffects {
    fn name(&self) -> &'static str {
        "infer-effects"
    }

    fn facts(&self) -> Facts {
        Facts::KEEPS_ALL
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let narrowed = module.narrow_effects(cx.ops);
        let formed = module.form_dataflow(cx.ops);
        if formed {
            module.remove_dead_code(cx.ops);
        }
        Ok((narrowed || formed).into())
    }
}

/// Gives sizes to symbols of parameters, everywhere, so that what follows from them is known when the model is compiled.
///
/// When: a program that is open in sizes which a user always calls it with. Laws: a call with another size is refused, as
/// it is where a type says the size; sizes that only data decide cannot be given. Class: bitwise.
#[derive(Clone, Debug, Default)]
pub struct BindSizes {
    sizes: Vec<(String, i64)>,
}

impl BindSizes {
    /// With these sizes, by the names of symbols.
    pub fn new(sizes: impl IntoIterator<Item = (impl Into<String>, i64)>) -> Self {
        BindSizes { sizes: sizes.into_iter().map(|(name, size)| (name.into(), size)).collect() }
    }

    /// With sizes that are written `NAME:SIZE`, one after the other: `batch:8:sequence:128`.
    ///
    /// # Errors
    /// `N035`: what is no such list.
    pub fn parse(parts: &[String]) -> Result<Self, Diagnostic> {
        let sizes = parts.chunks(2).map(|it| match it {
            [name, size] => size.parse().ok().filter(|it| *it >= 0).map(|it| (name.clone(), it)),
            _ => None,
        });
        let sizes: Option<Vec<(String, i64)>> = sizes.collect();
        let sizes = sizes.ok_or_else(|| {
            let message = format!("`{}` is no list of sizes", parts.join(":"));
            Diagnostic::error("N035", message).help("write NAME:SIZE, such as `batch:8:sequence:128`")
        })?;
        Ok(BindSizes { sizes })
    }

    /// Gives the sizes; returns whether there are any.
    ///
    /// # Errors
    /// `N035`: a name that no parameter has, and one that stands twice. A size that a type of the module contradicts.
    pub fn bind(&self, module: &mut Module) -> Result<Changed, Diagnostics> {
        let mut given: IndexMap<String, Sym> = IndexMap::new();
        for (_, function) in module.functions() {
            for param in function.params() {
                bound_symbols(&module.shapes, &function[param.value].ty, &mut |it| {
                    given.insert(module.shapes.name(it).to_owned(), it);
                });
            }
        }
        let mut sizes: IndexMap<Sym, Dim> = IndexMap::new();
        for (name, size) in &self.sizes {
            let Some(symbol) = given.get(name) else {
                let names: Vec<&str> = given.keys().map(String::as_str).collect();
                let message = format!("no parameter has a size `{name}`");
                let found = Diagnostic::error("N035", message);
                return Err(found.help(format!("sizes of parameters are: {}", names.join(", "))).into());
            };
            let size = module.shapes.int(*size);
            if sizes.insert(*symbol, size).is_some() {
                let message = format!("size `{name}` is bound twice");
                return Err(Diagnostic::error("N035", message).help("give it one value").into());
            }
        }
        module.bind_sizes(&sizes)?;
        Ok((!sizes.is_empty()).into())
    }
}

impl Pass<Module> for BindSizes {
    fn name(&self) -> &'static str {
        "bind-sizes"
    }

    fn facts(&self) -> Facts {
        Facts::KEEPS_ALL
    }

    fn run(&self, module: &mut Module, _: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        self.bind(module)
    }
}
