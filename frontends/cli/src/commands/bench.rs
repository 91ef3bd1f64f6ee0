//! `orogen bench`

use crate::args::BenchArgs;
use crate::failure::Failure;
use crate::output::say;
use crate::{inputs, subject};
use serde_json::json;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Runs beyond this many add nothing.
const MAX_RUNS: usize = 100_000;
/// Fewest runs, however long they take.
const MIN_RUNS: usize = 3;

pub(crate) fn run(args: &BenchArgs) -> Result<ExitCode, Failure> {
    let (name, params) = (args.function.as_deref(), args.params.as_deref());
    let subject = subject::open(&args.model, &args.options, name, params, args.inputs.as_deref())?;
    let mut tensors =
        inputs::inputs(&subject.function, args.inputs.as_deref(), args.seed, &args.options.dims)?;
    let start = Instant::now();
    inputs::call(&subject.library, &subject.function, &mut tensors)?;
    let first = start.elapsed();
    let mut times: Vec<Duration> = Vec::new();
    let begin = Instant::now();
    while times.len() < MIN_RUNS || (begin.elapsed().as_secs_f64() < args.seconds && times.len() < MAX_RUNS) {
        let start = Instant::now();
        inputs::call(&subject.library, &subject.function, &mut tensors)?;
        times.push(start.elapsed());
    }
    times.sort();
    let ms = |it: Duration| it.as_secs_f64() * 1e3;
    let (min, median) = (ms(times[0]), ms(times[times.len() / 2]));
    let p99 = ms(times[(times.len() * 99 / 100).min(times.len() - 1)]);
    let rss = peak_rss_kib();
    if args.json {
        say!(
            "{}",
            json!({
                "compile_s": subject.compile.map(|it| it.as_secs_f64()), "load_ms": ms(subject.load),
                "first_ms": ms(first), "min_ms": min, "median_ms": median, "p99_ms": p99,
                "runs": times.len(), "peak_rss_kib": rss,
            })
        );
    } else {
        if let Some(compile) = subject.compile {
            say!("compile {:.2} s", compile.as_secs_f64());
        }
        say!("load {:.3} ms, first run {:.3} ms", ms(subject.load), ms(first));
        say!("min {min:.3} ms, median {median:.3} ms, p99 {p99:.3} ms over {} runs", times.len());
        if let Some(rss) = rss {
            say!("peak memory {:.1} MiB", rss as f64 / 1024.0);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Largest resident size of this process so far, where the system says it.
fn peak_rss_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|it| it.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
