//! Other choices than the usual ones: what is compiled is as right.
//!
//! A few seeds on the small models of the suite, on both paths; `OROGEN_NIGHTLY` takes many more. A failure names the choice
//! that shows it, and the argument of `--chaos` with which it does.

use anyhow::{Context, Result, ensure};
use orogen::passes::{Changed, Pass, PassCx, Place};
use orogen::prelude::*;
use orogen_differential::{Case, Executor, Legacy, Way, compare};
use orogen_ir::choices::{Culprit, first_failure};
use orogen_ir::flow::Rhs;
use orogen_ir::graph::NodeKind;

/// Largest error, relative to the largest magnitude of an output.
const TOLERANCE: f64 = 1e-4;

fn is_nightly() -> bool {
    std::env::var_os("OROGEN_NIGHTLY").is_some()
}

/// Seeds of each run of the tests, by case and path; at night as many as `OROGEN_NIGHTLY` says, where that is more than 1.
fn seeds() -> u64 {
    let said = std::env::var("OROGEN_NIGHTLY").ok();
    said.map_or(2, |it| it.parse().ok().filter(|it| *it > 1).unwrap_or(100))
}

/// Why the outputs with these choices are not the expected ones.
fn fault(case: &Case, way: Way, choices: Choices) -> Result<(Option<String>, Choices)> {
    let compiler = Compiler::builder().chaos(choices).build()?;
    let mut references = case.references()?;
    references.truncate(if is_nightly() { usize::MAX } else { 1 });
    let found = Executor::Jit(way).run_chosen(&compiler, case, &references);
    let (outputs, choices) = match found {
        Ok(it) => it,
        // What was chosen is not known then; fuel still ends the search.
        Err(error) => return Ok((Some(format!("{error:#}")), Choices::usual())),
    };
    for (reference, outputs) in references.iter().zip(&outputs) {
        let worst = compare(outputs, &reference.outputs).with_context(|| reference.name.clone())?;
        if worst.error > TOLERANCE {
            let name = &reference.name;
            return Ok((
                Some(format!("{name}: the error of `{}` is {:.2e}", worst.output, worst.error)),
                choices,
            ));
        }
    }
    Ok((None, choices))
}

fn models(small: bool, way: Way) -> Result<()> {
    for case in Case::ALL.iter().filter(|it| it.slow_reference != small) {
        if way == Way::Legacy && case.legacy != Legacy::Runs {
            continue;
        }
        for seed in 0..seeds() {
            let (Some(why), _) = fault(case, way, Choices::random(seed, u64::MAX))? else { continue };
            let found = first_failure(seed, |choices| {
                let (why, choices) = fault(case, way, choices)?;
                Ok::<_, anyhow::Error>((why.is_some(), choices))
            })?;
            let Culprit { fuel, choice } = found.context("it failed before")?;
            ensure!(false, "{} on {way}, `--chaos {seed}:{fuel}`: {choice}: {why}", case.folder);
        }
    }
    Ok(())
}

#[test]
fn small_models_on_the_dataflow_path() -> Result<()> {
    models(true, Way::Native)
}

#[test]
fn small_models_on_the_legacy_path() -> Result<()> {
    models(true, Way::Legacy)
}

#[test]
fn large_models() -> Result<()> {
    if !is_nightly() {
        return Ok(());
    }
    models(false, Way::Native)?;
    models(false, Way::Legacy)
}

/// Two chains that meet; usually one kernel.
const PROGRAM: &str = "graph @g(%x: f32[8, 4], %y: f32[8, 4]) {
  %0 = exp(%x) : f32[8, 4]
  %1 = neg(%0) : f32[8, 4]
  %2 = tanh(%y) : f32[8, 4]
  %3 = abs(%2) : f32[8, 4]
  %4 = add(%1, %3) : f32[8, 4]
  return z = %4
}
";

/// Drops `tanh` where it is a kernel of its own.
struct Wrong;

const ALONE: &str = "tanh";

impl Pass<Graph> for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        graph.edit(cx.ops, |editor| {
            for id in editor.order() {
                let node = editor.node(id);
                if matches!(&node.kind, NodeKind::Kernel { kernel } if kernel == ALONE) {
                    let (from, to) = (editor.edges(id).next(), node.inputs[0]);
                    from.into_iter().for_each(|it| editor.replace(it, to));
                    editor.remove(id);
                    return Ok(Changed::Yes);
                }
            }
            Ok(Changed::No)
        })
    }
}

impl Pass<Module> for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut changed = Changed::No;
        module.edit(cx.ops, |editor| -> Result<(), Diagnostics> {
            for id in editor.bindings() {
                let binding = editor.binding(id);
                if let Rhs::Call { callee, args, .. } = &binding.rhs
                    && callee == ALONE
                {
                    let (from, to) = (binding.results[0], args[0]);
                    editor.replace(from, to);
                    editor.remove(id);
                    changed = Changed::Yes;
                }
            }
            Ok(())
        })?;
        Ok(changed)
    }
}

#[test]
fn a_fault_that_a_choice_shows_is_named() -> Result<()> {
    let [x, y] = [0.5f32, 2.0].map(|it| Tensor::from_slice(&[8, 4], &[it; 32]));
    let inputs = [x?, y?];
    let wanted = 2f32.tanh() - 0.5f32.exp();
    for opt_in in [OptIn::Legacy, OptIn::DataflowIr] {
        let fails = |choices: Choices| -> Result<(bool, Choices)> {
            let mut builder = Compiler::builder();
            builder.graph_pass(Place::after("fuse"), Wrong).flow_pass(Place::after("fuse"), Wrong);
            let compiler = builder.chaos(choices).build()?;
            let model = compiler.decode("g.graph", PROGRAM.into())?;
            let artifact =
                compiler.compile(&model, &CompileOptions { opt_in, ..CompileOptions::default() })?;
            let found = artifact.load()?.run(&inputs)?;
            let wrong = (found[0].as_slice::<f32>()?[0] - wanted).abs() > 1e-3;
            Ok((wrong, artifact.report.choices))
        };
        ensure!(!fails(Choices::usual())?.0, "it shows with the usual choices");
        let mut named = 0;
        for seed in 0..20 {
            let Some(found) = first_failure(seed, fails)? else { continue };
            // Where it is not merged into `abs`, it may still be into `sub`, unless that choice is taken too.
            ensure!(found.choice.contains("is not merged into"), "{seed}: {found:?}");
            ensure!(!fails(Choices::random(seed, found.fuel - 1))?.0, "one less fuel shows it too");
            named += 1;
        }
        ensure!(named > 4, "the fault is found {named} times");
    }
    Ok(())
}
