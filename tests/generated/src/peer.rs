//! Another implementation: ONNX Runtime in a process of Python, which is given models and inputs and gives outputs back.
//!
//! Both ways a message is its length in four bytes and as many bytes. A model comes first, then how many settings there are
//! of it, then the inputs of each; the constants of a model without nodes are how tensors are sent. An answer begins with
//! a letter: `k` and outputs, `u` for what is not supported, `f` for what failed.

use crate::attributes::{tensor_data, tensor_proto};
use anyhow::{Context, Result, anyhow, bail};
use orogen_differential::Expected;
use orogen_ir::types::TensorData;
use orogen_onnx::proto::{GraphProto, ModelProto};
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Longest message that is read, in bytes.
const LONGEST: usize = 1 << 28;

/// How long a process without pipes may take to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// What comes of a setting.
#[derive(Debug)]
pub(crate) enum Answer {
    Outputs(Expected),
    /// The model is refused, or an operator of it has no kernel.
    Unsupported,
    Failed(String),
}

/// The process, started when it is needed and again after it ended.
pub(crate) struct Peer {
    python: PathBuf,
    running: Mutex<Option<Child>>,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({})", self.python.display())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Ok(Some(child)) = self.running.get_mut().map(Option::take) {
            let _ = end(child);
        }
    }
}

/// How a process ends: without pipes it does by itself when it reads or writes next, else it is killed.
fn end(mut child: Child) -> io::Result<ExitStatus> {
    drop((child.stdin.take(), child.stdout.take()));
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill()?;
    child.wait()
}

impl Peer {
    pub(crate) fn new(python: &Path) -> Peer {
        Peer { python: python.to_owned(), running: Mutex::new(None) }
    }

    /// What it computes of a model for each of these inputs.
    ///
    /// # Errors
    /// It cannot be started, or it ends: how.
    pub(crate) fn run<'a>(
        &self,
        model: Vec<u8>,
        settings: impl ExactSizeIterator<Item = &'a Expected>,
    ) -> Result<Vec<Answer>> {
        let mut running = self.running.lock().map_err(|_| anyhow!("another thread panicked"))?;
        let mut child = match running.take() {
            Some(child) => child,
            None => self.start()?,
        };
        match talk(&mut child, &model, settings) {
            Ok(answers) => {
                *running = Some(child);
                Ok(answers)
            }
            Err(error) => {
                let status = end(child)?;
                Err(error.context(format!("the process ends: {status}")))
            }
        }
    }

    fn start(&self) -> Result<Child> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peer.py");
        let mut command = Command::new(&self.python);
        command.arg(script).env("PYTHONDONTWRITEBYTECODE", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().with_context(|| format!("starting {}", self.python.display()))
    }
}

fn talk<'a>(
    child: &mut Child,
    model: &[u8],
    settings: impl ExactSizeIterator<Item = &'a Expected>,
) -> Result<Vec<Answer>> {
    let (Some(input), Some(output)) = (&mut child.stdin, &mut child.stdout) else { bail!("it has no pipes") };
    send(input, model)?;
    input.write_all(&(settings.len() as u32).to_le_bytes())?;
    let mut answers = Vec::new();
    for tensors in settings {
        send(input, &packed(tensors))?;
        input.flush()?;
        let message = receive(output)?;
        let (letter, rest) = message.split_first().context("an answer has a letter")?;
        answers.push(match letter {
            b'k' => Answer::Outputs(unpacked(rest)?),
            b'u' => Answer::Unsupported,
            _ => Answer::Failed(String::from_utf8_lossy(rest).into_owned()),
        });
    }
    Ok(answers)
}

fn send(to: &mut impl Write, message: &[u8]) -> Result<()> {
    to.write_all(&u32::try_from(message.len())?.to_le_bytes())?;
    Ok(to.write_all(message)?)
}

fn receive(from: &mut impl Read) -> Result<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).context("reading an answer")?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        bail!("an answer of {length} bytes");
    }
    let mut message = vec![0; length];
    from.read_exact(&mut message).context("reading an answer")?;
    Ok(message)
}

fn packed(tensors: &Expected) -> Vec<u8> {
    let initializer =
        tensors.iter().map(|(name, it): (&String, &TensorData)| tensor_proto(name, it)).collect();
    let graph = GraphProto { initializer, ..GraphProto::default() };
    ModelProto { graph: Some(Box::new(graph)), ..ModelProto::default() }.to_bytes()
}

fn unpacked(bytes: &[u8]) -> Result<Expected> {
    let model = ModelProto::from_bytes(bytes).context("reading outputs")?;
    let graph = model.graph.context("outputs are in a graph")?;
    let tensor = |it: &orogen_onnx::proto::TensorProto| Some((it.name.clone(), tensor_data(it)?));
    graph.initializer.iter().map(|it| tensor(it).context("an output of a type that is not known")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_writes_what_nobody_reads_ends() {
        let mut command = Command::new("yes");
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a process");
        let start = Instant::now();
        assert!(!end(child).expect("how it ends").success());
        assert!(start.elapsed() < PATIENCE, "it is killed");
    }
}
