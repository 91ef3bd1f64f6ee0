//! A case in processes of its own, so that a crash or a loop without end is that of the case alone.

use super::Executor;
use super::end::End;
use super::suite::{Case, Suite};
use anyhow::{Context, Result};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// `SIGXCPU`.
const OUT_OF_TIME: i32 = 24;

/// Runs cases.
pub(super) struct Worker<'a> {
    suite: &'a Suite,
    tool: PathBuf,
    cpu: Option<String>,
    verify: bool,
    limit: Duration,
}

impl<'a> Worker<'a> {
    pub(super) fn new(
        suite: &'a Suite,
        tool: PathBuf,
        cpu: Option<String>,
        verify: bool,
        limit: Duration,
    ) -> Self {
        Worker { suite, tool, cpu, verify, limit }
    }

    /// Compiles and runs a case; a library and what was said do not outlive this.
    pub(super) fn run(&self, executor: Executor, case: &Case) -> Result<End> {
        let model = self.suite.file(case, "model.onnx");
        let library = self.suite.scratch(case, "so");
        let opt_in = if executor == Executor::Legacy { "legacy" } else { "dataflow-ir" };
        let mut options = vec!["--opt-in", opt_in];
        options.extend(self.cpu.iter().flat_map(|it| ["--cpu", it.as_str()]));
        options.extend(self.verify.then_some("--verify"));
        if executor != Executor::Reference {
            let mut compile = limited(&self.tool, self.limit);
            compile.arg("compile").arg(&model).arg("-o").arg(&library).args(&options);
            if let Err(end) = self.command(case, compile)? {
                return Ok(end);
            }
        }
        let saved = self.suite.scratch(case, &format!("{}.npz", executor.name()));
        let mut run = limited(&self.tool, self.limit);
        run.arg("run").args(["--json", "--inputs"]).arg(self.suite.file(case, "inputs.npz"));
        run.arg("--save").arg(&saved);
        match executor {
            Executor::Reference => run.arg(&model).arg("--reference").args(&options),
            Executor::Flow | Executor::Legacy => run.arg(&library),
        };
        let end = self.command(case, run)?;
        let _ = fs::remove_file(&library);
        Ok(match end {
            Ok(said) => End::Ran { saved, said: said.trim().to_owned() },
            Err(end) => end,
        })
    }

    /// What a command prints, or how the case ended with it.
    fn command(&self, case: &Case, mut command: Command) -> Result<Result<String, End>> {
        // Files, since a pipe that nobody reads would stop the tool.
        let (out, err) = (self.suite.scratch(case, "out.txt"), self.suite.scratch(case, "err.txt"));
        command.stdout(fs::File::create(&out)?).stderr(fs::File::create(&err)?);
        // Others may keep the processors, so that it takes longer by the clock.
        let status = status(&mut command, 10 * self.limit).context("running the tool")?;
        let read = |path: &Path| -> Result<String> {
            let text = fs::read(path)?;
            fs::remove_file(path)?;
            Ok(String::from_utf8_lossy(&text).into_owned())
        };
        let (out, err) = (read(&out)?, read(&err)?);
        Ok(match status {
            Some(it) if it.success() => Ok(out),
            status => Err(end(status, err)),
        })
    }
}

/// How a case ends with a command that does not succeed; no status when it took too long.
fn end(status: Option<ExitStatus>, said: String) -> End {
    let Some(status) = status else { return End::Hang };
    match (status.code(), status.signal()) {
        (_, Some(OUT_OF_TIME)) => End::Hang,
        (_, Some(signal)) => End::Crash(format!("signal {signal}: {said}")),
        _ if said.contains("panicked at") => End::Crash(said),
        (Some(3), _) => End::Unsupported(said),
        (Some(5), _) => End::Failed(said),
        _ => End::Other(said),
    }
}

/// A command that is ended when it has used this much time of a processor.
fn limited(program: &Path, limit: Duration) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -S -t \"$0\" && exec \"$@\""]).arg(limit.as_secs().to_string()).arg(program);
    command
}

/// Waits for a command; none when it takes too long, and is ended.
fn status(command: &mut Command, limit: Duration) -> Result<Option<ExitStatus>> {
    let mut child = command.spawn()?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: u64) -> Option<ExitStatus> {
        status(Command::new("sh").args(["-c", script]), Duration::from_millis(limit))
            .expect("there is a shell")
    }

    #[test]
    fn ends_are_told_apart() {
        let of = |script: &str, said: &str| end(shell(script, 60_000), said.to_owned()).class();
        assert_eq!(of("exit 3", "error[X009]: no"), "unsupported");
        assert_eq!(of("exit 5", "error: no"), "failed");
        assert_eq!(of("exit 101", "thread 'main' panicked at x.rs"), "crash");
        assert_eq!(of("kill -SEGV $$", ""), "crash");
        assert_eq!(of("exit 4", ""), "other");
        assert_eq!(end(shell("sleep 60", 20), String::new()), End::Hang);
        let mut busy = limited(Path::new("sh"), Duration::from_secs(1));
        busy.args(["-c", "while :; do :; done"]);
        let ended = status(&mut busy, Duration::from_secs(60)).expect("there is a shell");
        assert!(ended.is_some());
        assert_eq!(end(ended, String::new()), End::Hang);
    }
}
