//! Functions of a module: what they take and give, what they may do, and which of them are there.

use crate::manager::{Changed, Pass, PassCx};
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::Module;

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

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut changed = module.remove_dead_code(cx.ops) + module.drop_uncalled_functions() > 0;
        for _ in 0..ROUNDS {
            let private = module.functions().filter(|it| it.1.is_private());
            let names: Vec<String> = private.map(|it| it.0.to_owned()).collect();
            let mut removed = false;
            for name in names {
                let results = module.needed_results(&name);
                if results.contains(&false) {
                    module.retain_results(&name, &results);
                    removed = true;
                }
            }
            // What was computed for results that went.
            module.remove_dead_code(cx.ops);
            let private = module.functions().filter(|it| it.1.is_private());
            let params: Vec<(String, Vec<bool>)> =
                private.map(|it| (it.0.to_owned(), it.1.needed_params(&module.shapes))).collect();
            for (name, params) in params.iter().filter(|it| it.1.contains(&false)) {
                module.retain_params(name, params);
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

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let narrowed = module.narrow_effects(cx.ops);
        let formed = module.form_dataflow(cx.ops);
        if formed {
            module.remove_dead_code(cx.ops);
        }
        Ok((narrowed || formed).into())
    }
}
