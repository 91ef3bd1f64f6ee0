//! Compiles and times one cell of the table.

use anyhow::{Context, Result, ensure};
use orogen::ir::types::{DType, TensorData};
use orogen::{CompileOptions, Compiler, Cpu, Library, OptIn, Tensor};
use std::time::{Duration, Instant};

use crate::classes::{CLASSES, Class};
use crate::model::{Build, Built};

/// What a measurement may take.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Calls are repeated for so long.
    pub time: Duration,
    /// At least so often.
    pub calls: usize,
    /// Sizes of the models are divided by this.
    pub shrink: i64,
}

impl Effort {
    /// What the table is measured with.
    pub const FULL: Effort = Effort { time: Duration::from_millis(40), calls: 7, shrink: 1 };
    /// As little as shows that everything runs.
    pub const SMOKE: Effort = Effort { time: Duration::ZERO, calls: 1, shrink: 16 };
}

/// A kernel of one class, type and instruction set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// Time of a call that computes, in ns.
    pub time: f64,
    /// Elements or multiply-adds of a call.
    pub work: f64,
    /// Whether a part of it is scalar loops, as the compiler reports.
    pub scalar: bool,
}

/// What a call takes that computes one element, in ns.
///
/// # Errors
/// See [`cell`].
pub fn overhead(cpu: Cpu, effort: Effort) -> Result<f64> {
    let class = CLASSES.iter().find(|it| it.name == "add").context("there is a class of sums")?;
    Ok(measure(class, DType::F32, cpu, Effort { shrink: i64::MAX, ..effort })?.time)
}

/// Measures a cell; `overhead` is taken from each call.
///
/// # Errors
/// What the compiler or a call says: there is no type that a class has and does not compile for.
pub fn cell(class: &Class, dtype: DType, cpu: Cpu, effort: Effort, overhead: f64) -> Result<Cell> {
    let whole = measure(class, dtype, cpu, effort)
        .with_context(|| format!("{} of {} on {cpu}", class.name, dtype.name()))?;
    // A clock tick is the least that can be told.
    Ok(Cell { time: (whole.time - overhead).max(1.0), ..whole })
}

fn measure(class: &Class, dtype: DType, cpu: Cpu, effort: Effort) -> Result<Cell> {
    let compiler = Compiler::standard();
    let mut build = Build::new(compiler.ops(), effort.shrink);
    let (result, work) = (class.make)(&mut build, dtype)?;
    let Built { model, inputs } = build.finish(result)?;
    let options = CompileOptions { opt_in: OptIn::DataflowIr, threads: 1, cpu, ..CompileOptions::default() };
    let artifact = compiler.compile(&model, &options)?;
    ensure!(!artifact.kernels().is_empty(), "no kernel is left");
    let scalar =
        artifact.kernels().iter().flat_map(|it| &it.strategy).any(|it| it.starts_with("scalar loops"));
    let library = artifact.load()?;
    let inputs = inputs.iter().map(tensor).collect::<Result<Vec<_>>>()?;
    let time = least(&library, &inputs, effort)?;
    Ok(Cell { time, work: work as f64, scalar })
}

fn tensor(data: &TensorData) -> Result<Tensor> {
    let dims: Vec<i64> = data.dims().iter().map(|it| *it as i64).collect();
    let dtype = data.dtype().name();
    let dtype = orogen::runtime::DLDataType::from_name(dtype).with_context(|| dtype.to_owned())?;
    Ok(Tensor::from_bytes(dtype, &dims, &data.unpacked())?)
}

/// The least time of a call, in ns.
fn least(library: &Library, inputs: &[Tensor], effort: Effort) -> Result<f64> {
    library.run(inputs)?;
    let (begin, mut least, mut calls) = (Instant::now(), f64::INFINITY, 0);
    while calls < effort.calls || begin.elapsed() < effort.time {
        let start = Instant::now();
        let outputs = library.run(inputs)?;
        least = least.min(start.elapsed().as_secs_f64() * 1e9);
        drop(outputs);
        calls += 1;
    }
    Ok(least)
}
