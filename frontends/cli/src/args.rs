//! Arguments.

use crate::config;
use crate::failure::Failure;
use crate::parse::{
    parse_accuracy, parse_amount, parse_chaos, parse_cpu, parse_dim, parse_entry, parse_opt_in, parse_state,
    parse_step, parse_threads, parse_view,
};
use clap::{Args, Parser, Subcommand};
use orogen::dump::Dump;
use orogen::ir::choices::Choices;
use orogen::{
    Accuracy, Builder, CompileOptions, Compiler, Cpu, Diagnostics, Entry, KernelView, Limits, OptIn, State,
    Step,
};
use std::path::{Path, PathBuf};

const EXIT_CODES: &str = "\
Exit status:
  0  done
  1  values differ from the expected ones by more than the tolerance (run), a pass is blamed (bisect), or a row
     of a parity report is red (adoption)
  2  wrong arguments
  3  the model cannot be compiled, or the library cannot be loaded
  4  a file cannot be read, understood or written: model, .npz, orogen.toml, output
  5  the model failed while running";

/// Compiles machine-learning models to native libraries, and runs them.
#[derive(Debug, Parser)]
#[command(name = "orogen", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Compile a model to a shared library with its weights inside.
    Compile(CompileArgs),
    /// Run a model or a compiled library once.
    Run(RunArgs),
    /// Measure loading and running.
    Bench(BenchArgs),
    /// Print a model at any stage of compilation.
    Print(PrintArgs),
    /// List the rewrite rules, or check those of a file.
    Rules(RulesArgs),
    /// List the passes: what they do, on which path, what they require, and their options.
    Passes(PassesArgs),
    /// List the operators of models that are imported, and those of the IR that serve them.
    Operators(OperatorsArgs),
    /// Run chosen passes on a model or on the text of an IR, and print what comes out.
    Opt(OptArgs),
    /// Say what changes in a model between two steps of compilation.
    Diff(DiffArgs),
    /// Find the first pass after which outputs are not the expected ones, and a small program that shows it.
    Bisect(BisectArgs),
    /// Make a program small whose values passes change, or code.
    Reduce(ReduceArgs),
    /// Say what a model or a library takes, returns and contains.
    Inspect(InspectArgs),
    /// Say which steps are on the dataflow IR, or compare models on both paths.
    Adoption(AdoptionArgs),
}

/// Options that decide how a model is compiled.
#[derive(Args, Clone, Debug)]
pub(crate) struct ModelArgs {
    /// Opt in to a staged feature for this model: `dataflow-ir`; or `legacy`: take an opt-in back. Without it
    /// `orogen.toml` decides.
    #[arg(long, value_name = "FEATURE", value_parser = parse_opt_in)]
    pub(crate) opt_in: Option<OptIn>,
    /// Fix a dynamic dimension of the inputs. For a library: its size in random inputs.
    #[arg(long = "dim", value_name = "NAME=VALUE", value_parser = parse_dim)]
    pub(crate) dims: Vec<(String, u64)>,
    /// Let a caller override an initializer that the model lists as an input too, however large or wherever it is used.
    #[arg(long = "override", value_name = "NAME", hide_short_help = true)]
    pub(crate) overridden: Vec<String>,
    /// Threads that one call may use [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub(crate) threads: Option<usize>,
    /// Instructions that the code may use: host, baseline, avx2, avx512 or avx512vnni [default: host]
    #[arg(long, value_name = "CPU", value_parser = parse_cpu)]
    pub(crate) cpu: Option<Cpu>,
    /// Which rewrites of arithmetic are admitted: strict (every bit is kept), default (also what is equal over the
    /// reals) or fast (also what has a stated error) [default: default]
    #[arg(long, value_name = "CLASS", value_parser = parse_accuracy)]
    pub(crate) accuracy: Option<Accuracy>,
    /// An input that each call updates in place, and the output that is its new value.
    #[arg(long = "state", value_name = "INPUT=OUTPUT", value_parser = parse_state)]
    pub(crate) states: Vec<State>,
    /// With the dataflow IR, run the steps above this one on the legacy graph and translate there. Without it the
    /// ledger decides (`orogen adoption`).
    #[arg(long, value_name = "STEP", value_parser = parse_entry, hide_short_help = true)]
    pub(crate) waterline: Option<Entry>,
    /// Verify the IR after every pass, not the final plan alone.
    #[arg(long, hide_short_help = true)]
    pub(crate) verify: bool,
    /// Allow N times the usual work and memory for computing constants and unrolling.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), hide_short_help = true)]
    pub(crate) budget: Option<u32>,
    /// Write the text of the model after a pass, or after everything that changes it (`all`), to a folder.
    #[arg(long, num_args = 2, value_names = ["PASS|all", "DIR"])]
    pub(crate) dump_after: Option<Vec<String>>,
    /// Make other choices than the usual ones where each is legal, from a seed, at most FUEL of them. A fault that shows is a
    /// fault of the compiler; the least fuel with which it shows names the choice.
    #[arg(long, value_name = "SEED[:FUEL]", value_parser = parse_chaos, hide = true)]
    pub(crate) chaos: Option<(u64, u64)>,
    /// Passes to run, in this order: `NAME{OPTION=VALUE,…}`, or `+NAME`, `-NAME` to change what runs by default
    /// (`orogen passes` lists them); `NAME@CPU` counts for code with these instructions alone.
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub(crate) passes: Option<String>,
    /// With the dataflow IR, look for cheaper programs that rules show to be the same (equality saturation): short for
    /// `--passes +explore`.
    #[arg(long)]
    pub(crate) explore: bool,
    #[command(flatten)]
    pub(crate) plugins: PluginArgs,
}

/// What is added to the compiler.
#[derive(Args, Clone, Debug)]
pub(crate) struct PluginArgs {
    /// Load a plug-in, which adds operators, converters, rules, passes or formats; may be given several times.
    #[arg(long = "plugin", value_name = "LIB.so")]
    paths: Vec<PathBuf>,
    /// Add the rewrite rules of a file; may be given several times.
    #[arg(long = "rules", value_name = "F.rules")]
    rules: Vec<PathBuf>,
}

impl PluginArgs {
    /// With what `orogen.toml` says of the model.
    pub(crate) fn settled(&self, model: &Path) -> Result<PluginArgs, Failure> {
        let entry = config::entry(model)?;
        Ok(self.after(entry.plugins, entry.rules))
    }

    /// These after others; what both name is there once.
    fn after(&self, mut paths: Vec<PathBuf>, mut rules: Vec<PathBuf>) -> PluginArgs {
        for (all, own) in [(&mut paths, &self.paths), (&mut rules, &self.rules)] {
            let same = |it: &PathBuf| std::fs::canonicalize(it).ok();
            let known: Vec<Option<PathBuf>> = all.iter().map(same).collect();
            let new = own.iter().filter(|it| same(it).is_none_or(|it| !known.contains(&Some(it))));
            all.extend(new.cloned().collect::<Vec<_>>());
        }
        PluginArgs { paths, rules }
    }

    /// What ships and what is added, in the order it is given.
    pub(crate) fn compiler(&self) -> Result<Compiler, Failure> {
        Ok(self.builder().build()?)
    }

    /// Registers what a library needs: functions of the host that ship, and those that plug-ins bring.
    pub(crate) fn register(&self) -> Result<(), Failure> {
        orogen_hosted::register();
        match self.paths.is_empty() {
            true => Ok(()),
            false => self.compiler().map(drop),
        }
    }

    fn builder(&self) -> Builder {
        let mut builder = Compiler::builder();
        orogen_hosted::add_to(&mut builder);
        for path in &self.paths {
            builder.plugin(path);
        }
        for path in &self.rules {
            builder.rules_file(path);
        }
        builder
    }
}

/// How a model is compiled: what the command line says, then the nearest `orogen.toml`, then what is usual.
#[derive(Clone, Debug)]
pub(crate) struct Settled(ModelArgs);

impl Settled {
    /// The options of a compilation.
    pub(crate) fn options(&self) -> Result<CompileOptions, Failure> {
        let args = &self.0;
        let opt_in = args.opt_in.unwrap_or_default();
        for (option, given) in [("--waterline", args.waterline.is_some()), ("--explore", args.explore)] {
            if given && opt_in == OptIn::Legacy {
                let message =
                    format!("`{option}` is for models on the dataflow path: add `--opt-in dataflow-ir`");
                return Err(Failure::Usage(message));
            }
        }
        Ok(CompileOptions {
            values: Vec::new(),
            opt_in,
            dims: args.dims.clone(),
            overridden: args.overridden.clone(),
            separate: false,
            threads: self.threads(),
            cpu: args.cpu.unwrap_or_default(),
            entry: args.waterline.unwrap_or_default(),
            accuracy: args.accuracy.unwrap_or_default(),
            states: args.states.clone(),
            verify: args.verify,
            budget: Limits::default().times(args.budget.unwrap_or(1)),
        })
    }

    /// The options that decide what passes make of a program, or with `code` what code computes, to be given again. Sizes of
    /// the model are bound then, and state is an output.
    pub(crate) fn again(&self, code: bool) -> Vec<String> {
        let args = &self.0;
        let mut words = Vec::new();
        let mut add = |option: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|it| [option.to_string(), it]));
        };
        add("--accuracy", args.accuracy.map(|it| it.name().to_string()));
        add("--budget", args.budget.map(|it| it.to_string()));
        for path in &args.plugins.rules {
            add("--rules", Some(path.display().to_string()));
        }
        for path in &args.plugins.paths {
            add("--plugin", Some(path.display().to_string()));
        }
        if code {
            add("--opt-in", args.opt_in.map(|it| it.name().to_string()));
            let line = match args.waterline {
                Some(Entry::Above(step)) => Some(step.name().to_string()),
                Some(Entry::Ledger) | None => None,
            };
            add("--waterline", line);
            add("--cpu", args.cpu.map(|it| it.to_string()));
            add("--threads", args.threads.map(|it| it.to_string()));
            add("--passes", args.list());
            add(
                "--chaos",
                args.chaos.map(|(seed, fuel)| match fuel {
                    u64::MAX => seed.to_string(),
                    fuel => format!("{seed}:{fuel}"),
                }),
            );
        }
        words
    }

    /// The seed of other choices, where all of them are made.
    pub(crate) fn seed(&self) -> Option<u64> {
        self.0.chaos.filter(|it| it.1 == u64::MAX).map(|it| it.0)
    }

    /// The same with so many choices of a seed, or with the usual ones alone.
    pub(crate) fn with_chaos(&self, chaos: Option<(u64, u64)>) -> Settled {
        Settled(ModelArgs { chaos, ..self.0.clone() })
    }

    /// The compiler with these choices.
    pub(crate) fn built_with(&self, choices: Choices) -> Result<Compiler, Diagnostics> {
        self.listed().chaos(choices).build()
    }

    /// What ships and what is added, and which passes run.
    fn listed(&self) -> Builder {
        let mut builder = self.0.plugins.builder();
        if let Some(list) = self.0.list() {
            builder.passes(&list);
        }
        builder
    }

    /// Threads that one call may use.
    pub(crate) fn threads(&self) -> usize {
        self.0.threads()
    }

    /// Sizes of dimensions.
    pub(crate) fn dims(&self) -> &[(String, u64)] {
        &self.0.dims
    }

    /// Does something with the compiler, and then writes what was asked to be seen of its passes, also when it failed.
    pub(crate) fn with_compiler<T>(
        &self,
        run: impl FnOnce(&Compiler) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut builder = self.listed();
        if let Some((seed, fuel)) = self.0.chaos {
            builder.chaos(Choices::random(seed, fuel));
        }
        self.with_built(builder, run)
    }

    /// The same with a compiler whose passes run as they are named, and which has its own pipelines.
    pub(crate) fn with_named_passes<T>(
        &self,
        run: impl FnOnce(&Compiler, &str) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some(passes) = self.0.passes.as_deref() else {
            return Err(Failure::Usage("say which passes run: `--passes A,B,C`".to_string()));
        };
        if self.0.explore {
            let message = "`--explore` means nothing here: name `explore` among `--passes`";
            return Err(Failure::Usage(message.to_string()));
        }
        self.with_built(self.0.plugins.builder(), |compiler| run(compiler, passes))
    }

    fn with_built<T>(
        &self,
        mut builder: Builder,
        run: impl FnOnce(&Compiler) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some([after, folder]) = self.0.dump_after.as_deref() else { return run(&builder.build()?) };
        let dump = Dump::new(after, folder).map_err(|it| Failure::Model(it.into()))?;
        dump.watch(&mut builder);
        let outcome = run(&builder.build()?);
        let written = dump.finish();
        let outcome = outcome?;
        written.map_err(|it| Failure::Model(it.into()))?;
        Ok(outcome)
    }
}

impl ModelArgs {
    /// With what `orogen.toml` says of the model where the command line says nothing. Sizes are settled one by one; rules and
    /// plug-ins are those of both, and a list of passes that changes another one changes that of the file.
    pub(crate) fn settled(&self, model: &Path) -> Result<Settled, Failure> {
        self.check_dims()?;
        let entry = config::entry(model)?;
        let mut args = self.clone();
        let is_given = |name: &str| self.dims.iter().any(|it| it.0 == name);
        args.dims.extend(entry.dims.into_iter().filter(|it| !is_given(&it.0)));
        args.opt_in = args.opt_in.or(entry.opt_in);
        args.cpu = args.cpu.or(entry.cpu);
        args.threads = args.threads.or(entry.threads);
        args.accuracy = args.accuracy.or(entry.accuracy);
        args.plugins = self.plugins.after(entry.plugins, entry.rules);
        args.passes = match (&self.passes, entry.passes) {
            (Some(own), Some(file)) if own.trim_start().starts_with(['+', '-']) => {
                Some(format!("{file},{own}"))
            }
            (Some(own), _) => Some(own.clone()),
            (None, file) => file,
        };
        Ok(Settled(args))
    }

    /// As [`settled`](Self::settled), for commands whose passes are those that are named and no others.
    pub(crate) fn settled_for_named_passes(&self, model: &Path) -> Result<Settled, Failure> {
        let settled = self.settled(model)?;
        Ok(Settled(ModelArgs { passes: self.passes.clone(), ..settled.0 }))
    }

    /// Threads that one call may use.
    pub(crate) fn threads(&self) -> usize {
        self.threads.unwrap_or(1)
    }

    /// What is said of passes.
    fn list(&self) -> Option<String> {
        let explore = self.explore.then_some("+explore");
        let parts: Vec<&str> = self.passes.as_deref().into_iter().chain(explore).collect();
        (!parts.is_empty()).then(|| parts.join(","))
    }

    /// Refuses what means nothing for a library, which is compiled already.
    pub(crate) fn for_library(&self) -> Result<(), Failure> {
        let given = [
            ("--opt-in", self.opt_in.is_some()),
            ("--cpu", self.cpu.is_some()),
            ("--accuracy", self.accuracy.is_some()),
            ("--rules", !self.plugins.rules.is_empty()),
            ("--waterline", self.waterline.is_some()),
            ("--state", !self.states.is_empty()),
            ("--verify", self.verify),
            ("--budget", self.budget.is_some()),
            ("--dump-after", self.dump_after.is_some()),
            ("--explore", self.explore),
            ("--passes", self.passes.is_some()),
            ("--chaos", self.chaos.is_some()),
            ("--override", !self.overridden.is_empty()),
        ];
        if let Some((option, _)) = given.into_iter().find(|it| it.1) {
            let message =
                format!("`{option}` decides how a model is compiled, and this is a compiled library");
            return Err(Failure::Usage(message));
        }
        self.check_dims()
    }

    fn check_dims(&self) -> Result<(), Failure> {
        for (i, (name, size)) in self.dims.iter().enumerate() {
            if let Some((_, other)) = self.dims[..i].iter().find(|it| it.0 == *name)
                && other != size
            {
                let message = format!("`--dim` gives `{name}` two sizes, {other} and {size}");
                return Err(Failure::Usage(message));
            }
        }
        Ok(())
    }
}

#[derive(Args, Debug)]
pub(crate) struct CompileArgs {
    /// The model file: ONNX, or the text of an IR (`.graph`, `.flow`, `.plan`).
    pub(crate) model: PathBuf,
    /// The library to write.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) options: ModelArgs,
    /// Leave weights of a kilobyte and more out of the library, and write them to this file.
    #[arg(long, value_name = "OUT.npz")]
    pub(crate) params: Option<PathBuf>,
    /// Say how each kernel is computed.
    #[arg(long)]
    pub(crate) report: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// A model file, which is compiled in memory first, or a compiled library.
    pub(crate) model: PathBuf,
    /// The function to call [default: main, or the only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) function: Option<String>,
    /// The weights of a library that does not hold them, as `compile --params` wrote them
    #[arg(long, value_name = "F.npz")]
    pub(crate) params: Option<PathBuf>,
    /// Inputs by name: keys `NAME` or `in:NAME`. Without it inputs are random.
    #[arg(long, value_name = "F.npz")]
    pub(crate) inputs: Option<PathBuf>,
    /// Outputs that are expected of `--inputs`, by name: keys `NAME` or `out:NAME`; with `--compare-stages` values within the
    /// model too. Types and shapes are equal, or the run fails; integers, booleans and strings are equal element by element,
    /// floats within the limits, and all measures of their errors are printed.
    #[arg(long, value_name = "F.npz")]
    pub(crate) expect: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// Compare every value of a model with the reference interpreter, or with those that `--expect` names as the model names
    /// them or their nodes, and name the first that is off. Code is fused only as far as values stay visible.
    #[arg(long, conflicts_with_all = ["save", "labels", "function", "params"])]
    pub(crate) compare_stages: bool,
    /// Compile a model on the dataflow path too and call both: what comes out is of the legacy path, and each difference
    /// beyond the limits is a warning (`D043`).
    #[arg(long, conflicts_with_all = ["compare_stages", "params"])]
    pub(crate) shadow: bool,
    /// Compute a model with the reference interpreter in place of compiled code: slow, and operator by operator.
    #[arg(long, conflicts_with_all = ["compare_stages", "shadow", "params", "function"])]
    pub(crate) reference: bool,
    /// Seed of random inputs.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Write the outputs, keys `NAME`.
    #[arg(long, value_name = "OUT.npz")]
    pub(crate) save: Option<PathBuf>,
    /// Names of classes, one a line: print the likeliest instead of numbers, for outputs with as many.
    #[arg(long, value_name = "FILE")]
    pub(crate) labels: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) options: ModelArgs,
}

/// Limits of errors.
#[derive(Args, Clone, Debug)]
pub(crate) struct LimitArgs {
    /// Largest allowed error of an output of floats, relative to the largest magnitude of the expected one [default: 1e-4,
    /// unless another limit is given; each that is given must hold]
    #[arg(long, value_name = "TOL", value_parser = parse_amount)]
    pub(crate) tol: Option<f64>,
    /// Largest allowed error of each float, added to that of `--rtol`
    #[arg(long, value_name = "TOL", value_parser = parse_amount)]
    pub(crate) atol: Option<f64>,
    /// Largest allowed error of each float, relative to the expected one
    #[arg(long, value_name = "TOL", value_parser = parse_amount)]
    pub(crate) rtol: Option<f64>,
    /// Largest allowed error of each float, in units in the last place
    #[arg(long, value_name = "N")]
    pub(crate) ulp: Option<u64>,
}

impl LimitArgs {
    /// Those that were given, to be given again.
    pub(crate) fn again(&self) -> Vec<String> {
        let float = |it: Option<f64>| it.map(|it| format!("{it:e}"));
        let all = [
            ("--tol", float(self.tol)),
            ("--atol", float(self.atol)),
            ("--rtol", float(self.rtol)),
            ("--ulp", self.ulp.map(|it| it.to_string())),
        ];
        all.into_iter().filter_map(|(option, value)| Some([option.to_string(), value?])).flatten().collect()
    }

    pub(crate) fn limits(&self) -> orogen::compare::Limits {
        orogen::compare::Limits { tol: self.tol, atol: self.atol, rtol: self.rtol, ulp: self.ulp }
    }
}

#[derive(Args, Debug)]
pub(crate) struct BenchArgs {
    /// A model file, which is compiled in memory first, or a compiled library.
    pub(crate) model: PathBuf,
    /// The function to call [default: main, or the only one]
    #[arg(long, value_name = "NAME")]
    pub(crate) function: Option<String>,
    /// The weights of a library that does not hold them, as `compile --params` wrote them
    #[arg(long, value_name = "F.npz")]
    pub(crate) params: Option<PathBuf>,
    /// Inputs by name: keys `NAME` or `in:NAME`. Without it inputs are random.
    #[arg(long, value_name = "F.npz")]
    pub(crate) inputs: Option<PathBuf>,
    /// Seconds to measure for, at least.
    #[arg(long, value_name = "S", default_value_t = 2.0, value_parser = parse_amount)]
    pub(crate) seconds: f64,
    /// Seed of random inputs.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) options: ModelArgs,
}

#[derive(Args, Debug)]
pub(crate) struct PrintArgs {
    /// The model file.
    pub(crate) model: PathBuf,
    /// The last step to run: import, canonicalize, fold-constants, simplify, layout, legalize, fuse, plan-memory or
    /// codegen (how each kernel is computed).
    #[arg(long, value_name = "STEP", default_value = "import", value_parser = parse_step)]
    pub(crate) stage: Step,
    /// Write the text to a file that every command reads back: `.graph`, `.flow` or `.plan`. Large constants go to a
    /// `.safetensors` file of the same name.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Print one kernel: its symbol, as `--stage codegen` lists it, or a part of it.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["stage", "output"])]
    pub(crate) kernel: Option<String>,
    /// What to print of it: loops (what it computes), vector (the vector programs that it calls), clif (its functions), or
    /// asm (machine code).
    #[arg(long = "as", value_name = "VIEW", default_value = "loops", requires = "kernel", value_parser = parse_view)]
    pub(crate) view: KernelView,
    #[command(flatten)]
    pub(crate) options: ModelArgs,
}

#[derive(Args, Debug)]
pub(crate) struct OptArgs {
    /// The model: ONNX, or the text of an IR (`.graph`, `.flow`). `--passes` run on it and no others; `translate` takes a
    /// legacy graph to the dataflow IR, `plan-memory` ends with a plan.
    pub(crate) model: PathBuf,
    /// Write the text to a file that every command reads back: `.graph`, `.flow` or `.plan`. Large constants go to a
    /// `.safetensors` file of the same name.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) options: ModelArgs,
}

#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// The model file.
    pub(crate) model: PathBuf,
    /// The step after which the model is the old one.
    #[arg(long, value_name = "STEP", value_parser = parse_step)]
    pub(crate) from: Step,
    /// The step after which it is the new one.
    #[arg(long, value_name = "STEP", value_parser = parse_step)]
    pub(crate) to: Step,
    /// Lines around each change.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) context: usize,
    #[command(flatten)]
    pub(crate) options: ModelArgs,
}

/// How what goes wrong is looked for, and where it is written.
#[derive(Args, Debug)]
pub(crate) struct SearchArgs {
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
    /// Parts of the program to try before the smallest so far is taken.
    #[arg(long, value_name = "N", default_value_t = orogen::find::TRIALS)]
    pub(crate) trials: usize,
    /// Write the small program to OUT.graph or OUT.flow, and its inputs to OUT.npz.
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) options: ModelArgs,
}

#[derive(Args, Debug)]
pub(crate) struct BisectArgs {
    /// The model file.
    pub(crate) model: PathBuf,
    /// Inputs by name: keys `NAME` or `in:NAME`.
    #[arg(long, value_name = "F.npz")]
    pub(crate) inputs: PathBuf,
    /// Outputs that are expected for them, by name: keys `NAME` or `out:NAME`.
    #[arg(long, value_name = "F.npz")]
    pub(crate) expect: PathBuf,
    #[command(flatten)]
    pub(crate) search: SearchArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ReduceArgs {
    /// The program: ONNX, or the text of an IR (`.graph`, `.flow`). `--passes` change its values, or code does.
    pub(crate) model: PathBuf,
    /// The code that is made of it has other values; `--passes` say then what is compiled, as they do for `compile`.
    #[arg(long)]
    pub(crate) code: bool,
    /// Inputs by name: keys `NAME` or `in:NAME`. Without it inputs are random.
    #[arg(long, value_name = "F.npz")]
    pub(crate) inputs: Option<PathBuf>,
    /// Seed of random inputs.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) search: SearchArgs,
}

#[derive(Args, Debug)]
pub(crate) struct PassesArgs {
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) plugins: PluginArgs,
}

#[derive(Args, Debug)]
pub(crate) struct OperatorsArgs {
    #[command(flatten)]
    pub(crate) plugins: PluginArgs,
}

#[derive(Args, Debug)]
pub(crate) struct RulesArgs {
    /// A file of rules to check [default: list those that the compiler has]
    pub(crate) file: Option<PathBuf>,
    /// Prove each rule that is text for all sizes, and print a table; one that is neither proven nor says why it is not
    /// is a failure.
    #[arg(long)]
    pub(crate) prove: bool,
    #[command(flatten)]
    pub(crate) plugins: PluginArgs,
}

#[derive(Args, Debug)]
pub(crate) struct AdoptionArgs {
    /// Compile these models on the legacy and on the dataflow path, and compare: values, time, memory, size, time to
    /// compile. Dynamic dimensions without `--dim` are 1, or 16, 64, 320, 640 if the legacy path refuses that.
    #[arg(long, value_name = "MODEL", num_args = 1..)]
    pub(crate) parity: Vec<PathBuf>,
    /// Compare only what is the same on every machine: plans, memory, code and library in bytes, and values. Nothing is
    /// timed.
    #[arg(long, requires = "parity")]
    pub(crate) counted: bool,
    /// Differences that are accepted, with reasons: `[[accepted]]` with `model`, `row`, `reason`, and for a number the
    /// largest ratio `most`. One that is none any more is red.
    #[arg(long, value_name = "F.toml", requires = "parity")]
    pub(crate) accepted: Option<PathBuf>,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) options: ModelArgs,
}

#[derive(Args, Debug)]
pub(crate) struct InspectArgs {
    /// A model file or a compiled library.
    pub(crate) model: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) plugins: PluginArgs,
}
