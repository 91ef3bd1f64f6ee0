//! Runs plans through the code generator and compares them with the reference.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(unreachable_pub, reason = "shared by several test crates")]
#![allow(unsafe_code, reason = "calls generated code")]

pub mod conv;
pub mod guard;

use orogen_abi::{DLDataType, HostTable, LoopBody};
use orogen_codegen::link::{ElfLinker, LinkInput, Linker};
use orogen_codegen::vector::Isa;
use orogen_codegen::{CodegenOptions, Compiled, Cpu, Metadata, compile};
use orogen_ir::loops::{BufferRole, TensorProgram};
use orogen_ir::plan::{BufferRef, CallPlan, KernelId, PlanInput, PlanModule, PlanOutput, SizeBinding, Step};
use orogen_ir::types::{DType, Source, TensorData};
use orogen_reference::eval_program;
use orogen_runtime::{Library, PackedFunc, RuntimeError, Tensor, Value};
use std::ffi::c_void;
use std::sync::Arc;

/// A generator of test data: SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// In [-2, 2).
    pub fn float(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 51) as f64 - 2.0
    }

    /// Floats in [-2, 2), integers of at most 100 in magnitude.
    pub fn tensor(&mut self, dtype: DType, dims: &[u64]) -> TensorData {
        let count = dims.iter().product::<u64>();
        let values: Vec<f64> = (0..count)
            .map(|_| match dtype {
                DType::Bool => self.below(2) as f64,
                it if it.is_float() => self.float(),
                it if it.is_only_stored() => {
                    let (low, high) = it.int_range().expect("an integer type");
                    low as f64 + self.below((high - low + 1) as u64) as f64
                }
                it if it.is_signed_int() => self.below(201) as f64 - 100.0,
                _ => self.below(201) as f64,
            })
            .collect();
        TensorData::from_f64(dtype, dims, values)
    }
}

/// A plan that runs one kernel; its sizes are bound by input dimensions, or else given.
pub fn plan_of(program: &TensorProgram, sizes: &[i64]) -> CallPlan {
    let mut plan = CallPlan { name: "main".to_owned(), ..CallPlan::default() };
    let given: Vec<_> = program
        .sizes
        .iter()
        .zip(sizes)
        .map(|(sym, size)| {
            let dim = program.shapes.clone().sym_dim(*sym);
            let source = program.params.iter().enumerate().find_map(|(i, id)| {
                let buffer = &program.buffers[*id];
                let axis = buffer.dims.iter().position(|it| *it == dim)?;
                (buffer.role == BufferRole::Input).then_some((i, axis))
            });
            let inside = plan.shapes.sym(program.shapes.name(*sym));
            if let Some((input, axis)) = source {
                let symbol = plan.shapes.as_sym(inside).unwrap();
                plan.bindings.push(SizeBinding { symbol, input: input as u32, axis: axis as u32 });
            } else {
                let symbol = plan.shapes.as_sym(inside).unwrap();
                let value = plan.shapes.int(*size);
                plan.steps.push(Step::Let { symbol, value, source: Source::default() });
            }
            inside
        })
        .collect();
    let mut args = Vec::new();
    for id in &program.params {
        let buffer = &program.buffers[*id];
        let dims = buffer.dims.iter().map(|it| plan.shapes.import(&program.shapes, *it)).collect();
        let (name, dtype) = (buffer.name.clone(), buffer.dtype);
        if buffer.role == BufferRole::Input {
            args.push(BufferRef::Input(plan.inputs.len() as u32));
            plan.inputs.push(PlanInput::new(name, dtype, dims));
        } else {
            let index = plan.outputs.len() as u32;
            args.push(BufferRef::Output(index));
            plan.steps.push(Step::AllocOutput(index));
            plan.outputs.push(PlanOutput::new(name, dtype, dims));
        }
    }
    Arc::make_mut(&mut plan.kernels).push(program.clone().into());
    plan.steps.push(Step::Kernel { kernel: KernelId(0), args, sizes: given, source: Default::default() });
    plan
}

pub fn dlpack(dtype: DType) -> DLDataType {
    DLDataType::from_name(dtype.name()).unwrap()
}

fn to_value(data: &TensorData) -> Value {
    let dims: Vec<i64> = data.dims().iter().map(|it| *it as i64).collect();
    Tensor::from_bytes(dlpack(data.dtype()), &dims, &data.unpacked()).unwrap().into()
}

fn from_value(value: Value) -> TensorData {
    let tensor = value.into_tensor().unwrap();
    let dtype = DType::ALL.into_iter().find(|it| dlpack(*it) == tensor.dtype()).unwrap();
    let dims = tensor.shape().iter().map(|it| *it as u64).collect();
    TensorData::from_unpacked(dtype, dims, tensor.as_bytes().unwrap().to_vec().into()).unwrap()
}

pub fn call(function: &PackedFunc, inputs: &[TensorData]) -> Result<Vec<TensorData>, RuntimeError> {
    let args: Vec<Value> = inputs.iter().map(to_value).collect();
    Ok(match function.call(&args)? {
        Value::None => Vec::new(),
        Value::Array(items) => items.into_iter().map(from_value).collect(),
        one => vec![from_value(one)],
    })
}

pub fn options() -> CodegenOptions {
    CodegenOptions { cpu: Cpu::Host, ..CodegenOptions::default() }
}

pub fn compiled(plan: &CallPlan) -> Compiled {
    compiled_with(plan, &options())
}

pub fn compiled_with(plan: &CallPlan, options: &CodegenOptions) -> Compiled {
    compiled_module(&plan.clone().into(), options)
}

pub fn compiled_module(module: &PlanModule, options: &CodegenOptions) -> Compiled {
    match compile(module, &Metadata::default(), options) {
        Ok(compiled) => compiled,
        Err(diagnostics) => panic!("{diagnostics}"),
    }
}

/// The options for every instruction set that this machine runs.
pub fn all_cpus() -> Vec<CodegenOptions> {
    Isa::available()
        .into_iter()
        .map(|it| match it {
            Isa::Clif128 => Cpu::Baseline,
            Isa::Avx2 => Cpu::Avx2,
            Isa::Avx512 => Cpu::Avx512,
            Isa::Avx512Vnni => Cpu::Avx512Vnni,
        })
        .map(|cpu| CodegenOptions { cpu, ..CodegenOptions::default() })
        .collect()
}

/// The code in memory, with the runtime as its host or without a host.
pub fn jit(plan: &CallPlan, host: bool) -> PackedFunc {
    in_memory(&compiled(plan), host)
}

/// As [`jit`], of a compiled plan.
pub fn in_memory(compiled: &Compiled, host: bool) -> PackedFunc {
    hosted(compiled, host.then(orogen_runtime::host_table))
}

/// Calls a compiled plan in memory whose loops are divided as far as they may be.
pub fn call_divided(compiled: &Compiled, inputs: &[TensorData]) -> Result<Vec<TensorData>, RuntimeError> {
    let table = HostTable { parallel_for: in_grains, ..*orogen_runtime::host_table() };
    call(&hosted(compiled, Some(Box::leak(Box::new(table)))), inputs)
}

/// A loop in the smallest ranges that it may have, the last one first.
unsafe extern "C" fn in_grains(body: LoopBody, context: *mut c_void, extent: i64, grain: i64) {
    let grain = grain.max(1);
    for begin in (0..(extent + grain - 1) / grain).rev().map(|it| it * grain) {
        // SAFETY: body and context belong together, for any range of the loop.
        unsafe { body(context, begin, extent.min(begin + grain)) };
    }
}

fn hosted(compiled: &Compiled, host: Option<&'static HostTable>) -> PackedFunc {
    let loaded = match compiled.jit() {
        Ok(loaded) => loaded,
        Err(diagnostics) => panic!("{diagnostics}"),
    };
    loaded.set_host(host);
    // SAFETY: generated entry points follow the laws of the binary interface, and the owner keeps the code.
    unsafe { PackedFunc::from_raw("main", loaded.entry(), std::ptr::null_mut(), Arc::new(loaded)) }
}

/// Links a library and opens it; its file is gone then.
pub fn library(compiled: &Compiled) -> Library {
    let object = match compiled.object() {
        Ok(object) => object,
        Err(diagnostics) => panic!("{diagnostics}"),
    };
    let blobs: Vec<_> = object.blobs.iter().map(|it| it.for_link()).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.so");
    let input = LinkInput { object: &object.bytes, blobs: &blobs, ..LinkInput::default() };
    ElfLinker.link(&input, &path).unwrap();
    Library::open(&path).unwrap()
}

/// Relative and absolute tolerance for a type.
fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => 2e-3,
        DType::BF16 => 2e-2,
        // Sums of a few hundred products of magnitude 1.
        DType::F32 => 1e-4,
        DType::F64 => 1e-11,
        _ => 0.0,
    }
}

pub fn assert_close(what: &str, got: &TensorData, expected: &TensorData) {
    assert_eq!(got.dtype(), expected.dtype(), "{what}");
    assert_eq!(got.dims(), expected.dims(), "{what}");
    let limit = tolerance(got.dtype());
    for i in 0..expected.len() {
        if !got.dtype().is_float() {
            assert_eq!(got.get_i64(i), expected.get_i64(i), "{what}: element {i}");
            continue;
        }
        let (a, b) = (got.get_f64(i), expected.get_f64(i));
        let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= limit * b.abs().max(1.0);
        assert!(same, "{what}: element {i}: {a} instead of {b}");
    }
}

/// Checks a program with given sizes in memory, with a host and without.
pub fn check_sizes(program: &TensorProgram, sizes: &[i64], seed: u64) {
    let env = program.sizes.iter().copied().zip(sizes.iter().copied()).collect();
    let mut random = Random(seed);
    let inputs: Vec<TensorData> = program
        .params
        .iter()
        .map(|id| &program.buffers[*id])
        .filter(|it| it.role == BufferRole::Input)
        .map(|it| {
            let dims: Vec<u64> =
                it.dims.iter().map(|dim| program.shapes.eval(*dim, &env).unwrap() as u64).collect();
            random.tensor(it.dtype, &dims)
        })
        .collect();
    check_inputs(program, sizes, &inputs);
}

pub fn check_inputs(program: &TensorProgram, sizes: &[i64], inputs: &[TensorData]) {
    let expected = eval_program(program, sizes, inputs).unwrap();
    let plan = plan_of(program, sizes);
    // Half of the programs run without a host.
    let host = program.name.len().is_multiple_of(2);
    let got = call(&jit(&plan, host), inputs).unwrap();
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(&expected) {
        assert_close(&format!("{} {sizes:?} host {host}", program.name), got, expected);
    }
}

/// A plan of a program whose inputs named in `constants` are constants, with random data: the plan, all inputs, and
/// those that a call gives.
pub fn with_constants(
    program: &TensorProgram,
    sizes: &[i64],
    constants: &[&str],
    seed: u64,
) -> (CallPlan, Vec<TensorData>, Vec<TensorData>) {
    let env = program.sizes.iter().copied().zip(sizes.iter().copied()).collect();
    let mut random = Random(seed);
    let mut plan = plan_of(program, sizes);
    let mut all = Vec::new();
    let mut given = Vec::new();
    let mut refs = Vec::new();
    let inputs = std::mem::take(&mut plan.inputs);
    let mut number = 0;
    for id in &program.params {
        let buffer = &program.buffers[*id];
        if buffer.role != BufferRole::Input {
            refs.push(BufferRef::Output(number));
            number += 1;
            continue;
        }
        let dims: Vec<u64> =
            buffer.dims.iter().map(|dim| program.shapes.eval(*dim, &env).unwrap() as u64).collect();
        let data = random.tensor(buffer.dtype, &dims);
        all.push(data.clone());
        if constants.contains(&buffer.name.as_str()) {
            refs.push(BufferRef::Constant(Arc::make_mut(&mut plan.constants).add(buffer.name.clone(), data)));
        } else {
            refs.push(BufferRef::Input(plan.inputs.len() as u32));
            plan.inputs.push(inputs[all.len() - 1].clone());
            given.push(data);
        }
    }
    for step in &mut plan.steps {
        if let Step::Kernel { args, .. } = step {
            *args = refs.clone();
        }
    }
    // Sizes that only constants had are given.
    let bindings = std::mem::take(&mut plan.bindings);
    for (sym, size) in program.sizes.iter().zip(sizes) {
        let symbol = plan.shapes.find_sym(program.shapes.name(*sym)).unwrap();
        let dim = plan.shapes.sym_dim(symbol);
        let bound = plan
            .inputs
            .iter()
            .enumerate()
            .find_map(|(i, input)| input.dims().iter().position(|it| *it == dim).map(|axis| (i, axis)));
        match bound {
            Some((input, axis)) => {
                plan.bindings.push(SizeBinding { symbol, input: input as u32, axis: axis as u32 });
            }
            None if bindings.iter().any(|it| it.symbol == symbol) => {
                let value = plan.shapes.int(*size);
                plan.steps.insert(0, Step::Let { symbol, value, source: Source::default() });
            }
            None => {}
        }
    }
    (plan, all, given)
}

/// Checks a program in memory whose inputs named in `constants` are constants of the plan; returns what was chosen.
pub fn check_constants(program: &TensorProgram, sizes: &[i64], constants: &[&str], seed: u64) -> Vec<String> {
    let (plan, all, given) = with_constants(program, sizes, constants, seed);
    let expected = eval_program(program, sizes, &all).unwrap();
    let strategy = compiled(&plan).kernels()[0].strategy.clone();
    let got = call(&jit(&plan, true), &given).unwrap();
    assert_eq!(got.len(), expected.len());
    for (got, expected) in got.iter().zip(&expected) {
        assert_close(&format!("{} {sizes:?} {strategy:?}", program.name), got, expected);
    }
    strategy
}
