//! `orogen bisect` and `orogen reduce`; `orogen run --compare-stages`

use crate::args::{BisectArgs, ReduceArgs, RunArgs, SearchArgs, Settled};
use crate::compare::json as measures;
use crate::failure::Failure;
use crate::inputs::WITHOUT_INPUTS;
use crate::output::{plain, say, shell_word};
use crate::values::Ports;
use crate::{npz, subject};
use orogen::compare::Difference;
use orogen::find::{self, Fault, Reproducer, Search};
use orogen::ir::choices::Culprit;
use orogen::ir::types::TensorData;
use orogen::tensors::to_tensor;
use orogen::{CompileOptions, Compiler, Model, OptIn, Step};
use orogen_runtime::Tensor;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

/// Exit status of a command that found what it looked for: values that differ.
const DIFFERENT: u8 = 1;

pub(crate) fn bisect(args: &BisectArgs) -> Result<ExitCode, Failure> {
    let mut settled = args.search.options.settled(&args.model)?;
    if let Some(seed) = settled.seed() {
        match culprit(args, &settled, seed)? {
            None => {
                say!("the compiled model computes what is expected, whichever choices seed {seed} makes");
                return Ok(ExitCode::SUCCESS);
            }
            Some(Culprit { fuel: 0, .. }) => {
                say!("off with the usual choices too");
                settled = settled.with_chaos(None);
            }
            Some(Culprit { fuel, choice }) => {
                say!("off with `--chaos {seed}:{fuel}`, and not with one choice less: {}", plain(&choice));
                settled = settled.with_chaos(Some((seed, fuel)));
            }
        }
    }
    with_model(&args.model, &settled, |compiler, model, options| {
        let (search, inputs, expected) = asked(args, compiler, model, options)?;
        let Some(blame) = find::bisect(&search, model, &inputs, &expected)? else {
            say!("the compiled model computes what is expected");
            return Ok(ExitCode::SUCCESS);
        };
        for (step, good) in &blame.tried {
            say!("{step}: {}", if *good { "as expected" } else { "OFF" });
        }
        let (pass, output) = (&blame.pass, plain(&blame.output));
        match pass.as_str() {
            "import" => say!("off from the import on: output `{output}`: {}", blame.difference),
            pass => say!("first off after `{pass}`: output `{output}`: {}", blame.difference),
        }
        match &blame.reproducer {
            Some(small) => {
                let passes = (pass != Step::Codegen.name()).then_some(blame.call.as_str());
                show(small, &again(&settled, &args.search, passes), args.search.output.as_deref(), compiler)?
            }
            None => say!("no part of the model shows it alone"),
        }
        Ok(ExitCode::from(DIFFERENT))
    })
}

/// What `bisect` is asked: how to search, the inputs, and what is expected.
fn asked<'c>(
    args: &BisectArgs,
    compiler: &'c Compiler,
    model: &Model,
    options: CompileOptions,
) -> Result<(Search<'c>, Vec<TensorData>, Vec<(String, TensorData)>), Failure> {
    let ports = Ports::of(compiler, model, &options)?;
    let inputs = ports.inputs(Some(&args.inputs), 0, &[])?;
    let expected = ports.expected(&args.expect)?;
    let search =
        Search { compiler, options, limits: args.search.limits.limits(), trials: args.search.trials };
    Ok((search, inputs, expected))
}

/// The choice of a seed with which a value is off.
fn culprit(args: &BisectArgs, settled: &Settled, seed: u64) -> Result<Option<Culprit>, Failure> {
    // Whatever is asked about a model is asked of the usual compiler.
    with_model(&args.model, &settled.with_chaos(None), |compiler, model, options| {
        let (search, inputs, expected) = asked(args, compiler, model, options)?;
        let build = |choices| settled.built_with(choices);
        Ok(find::bisect_choices(&search, model, &inputs, &expected, seed, build)?)
    })
}

pub(crate) fn reduce(args: &ReduceArgs) -> Result<ExitCode, Failure> {
    let search = &args.search;
    let settled = match args.code {
        true => search.options.settled(&args.model)?,
        false => search.options.settled_for_named_passes(&args.model)?,
    };
    let reduce = |compiler: &Compiler, passes: Option<&str>| {
        let (model, options) = opened(&args.model, &settled, compiler)?;
        let model = &model;
        let ports = Ports::of(compiler, model, &options)?;
        let inputs = ports.inputs(args.inputs.as_deref(), args.seed, settled.dims())?;
        let none: [&str; 0] = [];
        let (program, _) = compiler.run_passes(model, &options, &none)?;
        let find =
            Search { compiler, options, limits: args.search.limits.limits(), trials: args.search.trials };
        let fault = passes.map_or(Fault::Code, |it| Fault::Passes(vec![it.to_string()]));
        let small = find::reduce(&find, &program, fault, &inputs)?;
        show(&small, &again(&settled, search, passes), args.search.output.as_deref(), compiler)?;
        Ok(ExitCode::SUCCESS)
    };
    match args.code {
        true => settled.with_compiler(|compiler| reduce(compiler, None)),
        false => settled.with_named_passes(|compiler, passes| reduce(compiler, Some(passes))),
    }
}

/// Compares every value of a model with the reference interpreter, or with what a file says.
pub(crate) fn compare_stages(args: &RunArgs) -> Result<ExitCode, Failure> {
    if subject::is_library(&args.model)? {
        let message = "`--compare-stages` compares the values of a model, and this is a compiled library";
        return Err(Failure::Usage(message.to_string()));
    }
    if args.expect.is_some() && args.inputs.is_none() {
        return Err(Failure::Usage(WITHOUT_INPUTS.to_string()));
    }
    let settled = args.options.settled(&args.model)?;
    with_model(&args.model, &settled, |compiler, model, mut options| {
        if let Some(path) = &args.expect {
            options.values = npz::expected_names(path)?;
        }
        let ports = Ports::of(compiler, model, &options)?;
        let inputs = ports.inputs(args.inputs.as_deref(), args.seed, &args.options.dims)?;
        let search = Search { compiler, options, limits: args.limits.limits(), trials: find::TRIALS };
        let (values, other, mark) = match &args.expect {
            Some(path) => {
                let expected = ports.expected(path)?;
                (find::compare_with(&search, model, &inputs, &expected)?, "what is expected", "")
            }
            None => (find::compare_values(&search, model, &inputs)?, "the reference", "%"),
        };
        let first = values.iter().find(|it| !it.difference.passes());
        let of = |it: &find::Deviation| {
            if it.source.is_empty() { String::new() } else { format!(" of {}", it.source) }
        };
        if args.json {
            let list = values.iter().map(|it| {
                json!({ "value": it.value, "source": it.source, "passed": it.difference.passes(), "difference": measures(&it.difference) })
            });
            let list: Vec<Value> = list.collect();
            let first = first.map(|it| it.value.clone());
            say!("{}", json!({ "values": list, "passed": first.is_none(), "first": first }));
        } else {
            let off: Vec<&find::Deviation> = values.iter().filter(|it| !it.difference.passes()).collect();
            for it in &off {
                say!("{mark}{}{}: {} OVER", plain(&it.value), plain(&of(it)), it.difference);
            }
            let worst = values.iter().max_by(|a, b| a.difference.error().total_cmp(&b.difference.error()));
            match (first, worst) {
                (Some(first), _) => {
                    say!(
                        "{} of {} values differ from {other}, the first is {mark}{}{}",
                        off.len(),
                        values.len(),
                        plain(&first.value),
                        plain(&of(first))
                    );
                }
                (None, Some(worst)) => {
                    say!(
                        "all {} values agree with {other}; the worst is {mark}{}{}: {}",
                        values.len(),
                        plain(&worst.value),
                        plain(&of(worst)),
                        worst.difference
                    );
                }
                (None, None) => say!("the model has no values to compare"),
            }
        }
        Ok(if first.is_none() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) })
    })
}

fn with_model<T>(
    path: &Path,
    settled: &Settled,
    run: impl FnOnce(&Compiler, &Model, CompileOptions) -> Result<T, Failure>,
) -> Result<T, Failure> {
    settled.with_compiler(|compiler| {
        let (model, options) = opened(path, settled, compiler)?;
        run(compiler, &model, options)
    })
}

/// A model, and how it is compiled.
fn opened(path: &Path, settled: &Settled, compiler: &Compiler) -> Result<(Model, CompileOptions), Failure> {
    let mut options = settled.options()?;
    let model = compiler.open(path)?;
    // A module of the dataflow IR was opted in by whoever wrote it.
    if model.format() == "flow" {
        options.opt_in = OptIn::DataflowIr;
    }
    Ok((model, options))
}

/// The arguments with which `reduce` sees the fault again: of passes, or of code.
fn again(settled: &Settled, search: &SearchArgs, passes: Option<&str>) -> Vec<String> {
    let how = match passes {
        Some(passes) => vec!["--passes".to_string(), passes.to_string()],
        None => vec!["--code".to_string()],
    };
    [how, settled.again(passes.is_none()), search.limits.again()].concat()
}

/// Shows a small program, or writes it and its inputs.
fn show(small: &Reproducer, how: &[String], to: Option<&Path>, compiler: &Compiler) -> Result<(), Failure> {
    let (before, after) = small.operations;
    let difference: &Difference = &small.difference;
    say!("reduced from {before} to {after} operations: {difference}");
    let Some(path) = to else {
        say!("{}", small.program.print(compiler.ops()).trim_end());
        return Ok(());
    };
    let path = path.with_extension(small.program.suffix());
    small.program.write_text(compiler.ops(), &path).map_err(|it| Failure::Model(it.into()))?;
    let tensors: Vec<Tensor> =
        small.inputs.iter().map(|it| to_tensor(&it.1)).collect::<Result<_, _>>().map_err(Failure::Run)?;
    let named: Vec<(String, &Tensor)> =
        small.inputs.iter().zip(&tensors).map(|((name, _), it)| (format!("in:{name}"), it)).collect();
    let inputs = path.with_extension("npz");
    npz::write(&inputs, &named)?;
    let (path, inputs) = (path.display().to_string(), inputs.display().to_string());
    let words = [&["orogen".to_string(), "reduce".to_string(), path], how, &["--inputs".to_string(), inputs]];
    let words: Vec<String> = words.concat().iter().map(|it| shell_word(it).into_owned()).collect();
    say!("see it with: {}", words.join(" "));
    Ok(())
}
