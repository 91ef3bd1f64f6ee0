//! `orogen compile`

use crate::args::CompileArgs;
use crate::config;
use crate::failure::{Failure, print_diagnostic};
use crate::kernels;
use crate::npz;
use crate::output::say;
use crate::progress::spin;
use orogen::{CompileOptions, Step, Tensor};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

pub(crate) fn run(args: &CompileArgs) -> Result<ExitCode, Failure> {
    let options = args.options.options(config::opt_in(&args.model)?)?;
    let options = CompileOptions { separate: args.params.is_some(), ..options };
    let same = |path: &Path| std::fs::canonicalize(path).ok();
    if same(&args.model).is_some_and(|model| same(&args.output) == Some(model)) {
        let message = format!("the output `{}` is the model itself", args.output.display());
        return Err(Failure::Usage(message));
    }
    // The suffix states the intent, and this one is not served.
    if let Some(suffix @ ("o" | "a" | "tar" | "obj" | "lib")) =
        args.output.extension().and_then(|it| it.to_str())
    {
        let message = format!("`.{suffix}` is no name for a shared library, and nothing else is written yet");
        return Err(Failure::Usage(message));
    }
    let compiler = args.options.plugins.compiler()?;
    let start = Instant::now();
    let artifact = spin(format!("compiling {}", args.model.display()), || {
        let model = compiler.open(&args.model)?;
        let artifact = compiler.compile(&model, &options)?;
        artifact.write_library(&args.output)?;
        Ok::<_, orogen::Diagnostics>(artifact)
    })?;
    if let Some(path) = &args.params {
        let parameters = artifact.parameters()?;
        let named: Vec<(String, &Tensor)> = parameters.iter().map(|(name, it)| (name.clone(), it)).collect();
        npz::write(path, &named)?;
    }
    artifact.report.remarks.iter().for_each(print_diagnostic);
    let size =
        std::fs::metadata(&args.output).map_err(|error| Failure::file(&args.output, "read", error))?.len();
    say!(
        "{}: {} kernels, {} bytes, workspace {} bytes, path {}, {:.2} s",
        args.output.display(),
        artifact.kernels().len(),
        size,
        artifact.workspace,
        options.opt_in.name(),
        start.elapsed().as_secs_f64(),
    );
    if options.verify {
        say!("  plan: {}", artifact.report.proof);
    }
    if args.report {
        match artifact.report.entered {
            None => say!("  no step on the dataflow IR"),
            Some(Step::Import) => say!("  every step on the dataflow IR"),
            Some(step) => say!("  on the dataflow IR from {step} on"),
        }
        kernels::list(&artifact)?;
        for pass in &artifact.report.passes.passes {
            say!("  pass {} ({}): {:.1} ms", pass.name, pass.step, pass.time.as_secs_f64() * 1e3);
        }
    }
    Ok(ExitCode::SUCCESS)
}
