//! The commands of test files: those of the tool, run in this process.

use crate::file::File;
use crate::values;
use anyhow::{Context, Result, bail};
use orogen::passes::Accuracy;
use orogen::rules::{parse as parse_rules, print as print_rule};
use orogen::{CompileOptions, Compiler, Cpu, Diagnostics, OptIn, Step};
use std::path::Path;

/// A command.
#[derive(Clone, Debug)]
pub struct Command {
    what: What,
    options: CompileOptions,
    /// Files of rules, beside the test, that the compiler has besides its own.
    rules: Vec<String>,
}

#[derive(Clone, Debug)]
enum What {
    /// `opt --passes A,B`: also without passes, which reads, verifies and prints.
    Opt(Vec<String>),
    /// `print --stage STEP`
    Stage(Step),
    /// `print --kernel NAME --as VIEW`
    Kernel(String, String),
    /// `rules`: reads the file as rules, and prints them.
    Rules,
}

/// Reads a command.
///
/// # Errors
/// Words that mean nothing.
pub fn parse(line: &str) -> Result<Command> {
    let mut words = line.split_whitespace();
    let name = words.next().context("a command has a name")?;
    let mut options = CompileOptions { threads: 1, ..CompileOptions::default() };
    let (mut passes, mut stage, mut kernel, mut view) = (Vec::new(), None, None, None);
    let mut rules = Vec::new();
    while let Some(word) = words.next() {
        let mut value = || words.next().with_context(|| format!("`{word}` has no value"));
        match word {
            "--passes" => passes = value()?.split(',').map(str::to_owned).collect(),
            "--stage" => stage = Some(Step::from_name(value()?).context("there is no such step")?),
            "--kernel" => kernel = Some(value()?.to_owned()),
            "--as" => view = Some(value()?.to_owned()),
            "--rules" => rules.push(value()?.to_owned()),
            "--accuracy" => {
                options.accuracy = Accuracy::from_name(value()?).context("there is no such accuracy")?;
            }
            "--cpu" => {
                options.cpu =
                    value()?.parse::<Cpu>().map_err(|()| anyhow::anyhow!("there is no such cpu"))?;
            }
            "--opt-in" if value()? == OptIn::DATAFLOW_IR => options.opt_in = OptIn::DataflowIr,
            _ => bail!("`{word}` means nothing here"),
        }
    }
    let what = match (name, stage, kernel, view) {
        ("opt", None, None, None) => What::Opt(passes),
        ("rules", None, None, None) if passes.is_empty() => What::Rules,
        ("print", Some(step), None, None) if passes.is_empty() => What::Stage(step),
        ("print", None, Some(kernel), Some(view)) if passes.is_empty() => What::Kernel(kernel, view),
        _ => bail!(
            "it is none of `opt --passes A,B`, `rules`, `print --stage STEP`, `print --kernel NAME --as VIEW`"
        ),
    };
    Ok(Command { what, options, rules })
}

impl Command {
    /// What it prints: a text, or what is wrong.
    ///
    /// # Errors
    /// Values that passes change.
    pub fn run(&self, compiler: &Compiler, path: &Path, file: &File) -> Result<String> {
        if !self.rules.is_empty() {
            let mut builder = Compiler::builder();
            for name in &self.rules {
                let text = std::fs::read_to_string(path.with_file_name(name))
                    .with_context(|| format!("reading `{name}`"))?;
                // Rules may be a test themselves, whose expected text is none of them.
                let rules = File::parse(&text).map_or(text, |it| it.input);
                builder.rules(&rules);
            }
            let compiler = builder.build()?;
            return Command { rules: Vec::new(), ..self.clone() }.run(&compiler, path, file);
        }
        if let What::Rules = &self.what {
            return Ok(match parse_rules(&file.input, compiler.ops()) {
                Ok(rules) => rules.iter().map(|it| format!("{}\n", print_rule(it))).collect(),
                Err(found) => said(&found),
            });
        }
        let name = path.file_name().map_or_else(String::new, |it| it.to_string_lossy().into_owned());
        let name = name.as_str();
        let model = match compiler.decode(name, file.input.clone().into_bytes()) {
            Ok(model) => model,
            Err(found) => return Ok(said(&found)),
        };
        match &self.what {
            What::Opt(passes) => {
                let after = match compiler.run_passes(&model, &self.options, passes) {
                    Ok((after, _)) => after,
                    Err(found) => return Ok(said(&found)),
                };
                if !passes.is_empty() {
                    let none: [&str; 0] = [];
                    let (before, _) = compiler.run_passes(&model, &self.options, &none)?;
                    values::kept(compiler.ops(), &before, &after, &file.values)?;
                }
                Ok(after.print(compiler.ops()))
            }
            What::Rules => bail!("rules are no program"),
            What::Stage(step) => Ok(match compiler.lower(&model, &self.options, *step) {
                Ok((lowered, _)) => lowered.print(compiler.ops()),
                Err(found) => said(&found),
            }),
            What::Kernel(kernel, view) => {
                let view = view.parse().map_err(|()| anyhow::anyhow!("there is no view `{view}`"))?;
                let listed = compiler.compile(&model, &self.options).and_then(|it| it.listing(kernel, view));
                Ok(listed.unwrap_or_else(|found| said(&found)))
            }
        }
    }
}

fn said(found: &Diagnostics) -> String {
    found.to_string()
}
