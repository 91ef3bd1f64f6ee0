//! `orogen compile`

use crate::args::CompileArgs;
use crate::failure::{Failure, print_diagnostic};
use crate::kernels;
use crate::npz;
use crate::output::say;
use crate::progress::spin;
use orogen::{Artifact, CompileOptions, Step, Tensor};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) fn run(args: &CompileArgs) -> Result<ExitCode, Failure> {
    let settled = args.options.settled(&args.model)?;
    let options = settled.options()?;
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
    let start = Instant::now();
    let mut parts = Vec::new();
    let artifact = settled.with_compiler(|compiler| {
        spin(format!("compiling {}", args.model.display()), || {
            let mut timed = Instant::now();
            let model = compiler.open(&args.model)?;
            parts.push(("open", take(&mut timed)));
            let artifact = compiler.compile(&model, &options)?;
            timed = Instant::now();
            artifact.write_library(&args.output)?;
            parts.push(("machine code and linking", take(&mut timed)));
            Ok::<_, Failure>(artifact)
        })
    })?;
    let total = start.elapsed();
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
        total.as_secs_f64(),
    );
    if options.verify {
        say!("  plan: {}", artifact.report.proof);
    }
    if args.report {
        for (pass, note) in &artifact.report.notes {
            say!("  {pass}:");
            note.lines().for_each(|it| say!("    {it}"));
        }
        match artifact.report.entered {
            None => say!("  no step on the dataflow IR"),
            Some(Step::Import) => say!("  every step on the dataflow IR"),
            Some(step) => say!("  on the dataflow IR from {step} on"),
        }
        kernels::list(&artifact, options.threads)?;
        times(&artifact, &parts, total);
    }
    Ok(ExitCode::SUCCESS)
}

/// The time since an instant, which begins anew.
fn take(since: &mut Instant) -> Duration {
    let time = since.elapsed();
    *since = Instant::now();
    time
}

/// The time of every part of a compilation, in the order in which they ran; what is in none of them comes last.
fn times(artifact: &Artifact, around: &[(&str, Duration)], total: Duration) {
    let ms = |it: Duration| it.as_secs_f64() * 1e3;
    let (before, after) = around.split_at(around.len().min(1));
    let mut rest = total;
    let mut show = |name: &str, time: Duration| {
        rest = rest.saturating_sub(time);
        say!("  time {name}: {:.1} ms", ms(time));
    };
    before.iter().for_each(|(name, time)| show(name, *time));
    for part in &artifact.report.parts {
        show(&part.name, part.time);
    }
    after.iter().for_each(|(name, time)| show(name, *time));
    say!("  time all else: {:.1} ms", ms(rest));
}
