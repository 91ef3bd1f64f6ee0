//! Call plans as entry points: checks of arguments, errors, memory, control flow; in memory and as libraries.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{Random, assert_close, call, compiled, jit, library, plan_of};
use orogen_ir::loops::{BinaryOp, CompareOp, ProgramBuilder, TensorProgram};
use orogen_ir::plan::{
    Arena, ArenaId, BufferRef, CallPlan, Condition, KernelId, PlanInput, PlanOutput, ShapeCheck, SizeBinding,
    Slot, SlotId, Step,
};
use orogen_ir::shape::Constraint;
use orogen_ir::types::{DType, Source, TensorData};
use std::sync::Arc;

/// y = x op z, all f32[n, c].
fn elementwise(name: &str, op: BinaryOp) -> TensorProgram {
    let mut b = ProgramBuilder::new(name);
    let (n, c) = (b.size("n"), b.size("c"));
    let (x, z) = (b.input("x", DType::F32, &[n, c]), b.input("z", DType::F32, &[n, c]));
    let y = b.output("y", DType::F32, &[n, c]);
    b.fill(y, |b, at| {
        let (x, z) = (b.load(x, [at[0], at[1]])?, b.load(z, [at[0], at[1]])?);
        b.binary(op, x, z)
    })
    .unwrap();
    b.into_program()
}

fn error(plan: &CallPlan, inputs: &[TensorData]) -> String {
    call(&jit(plan, true), inputs).unwrap_err().to_string()
}

#[test]
fn errors_name_the_input_and_both_values() {
    let mut plan = plan_of(&elementwise("add", BinaryOp::Add), &[2, 3]);
    let x = Random(1).tensor(DType::F32, &[2, 3]);
    let contains = |text: String, parts: &[&str]| {
        for part in parts {
            assert!(text.contains(part), "`{text}` lacks `{part}`");
        }
    };
    contains(error(&plan, std::slice::from_ref(&x)), &["expected 2, got 1", "x, z"]);
    let other = Random(1).tensor(DType::F32, &[2, 4]);
    contains(error(&plan, &[x.clone(), other.clone()]), &["`z`", "dimension 1", "`c`", "expected 3, got 4"]);
    let flat = Random(1).tensor(DType::F32, &[6]);
    contains(error(&plan, &[flat, x.clone()]), &["`x`", "number of dimensions", "expected 2, got 1"]);
    let ints = Random(1).tensor(DType::I64, &[2, 3]);
    contains(error(&plan, &[x.clone(), ints]), &["`z`", "expected f32, got i64"]);
    let c = plan.shapes.sym("c");
    let check = |constraint, message: &str| ShapeCheck {
        constraint,
        message: message.to_owned(),
        source: Default::default(),
    };
    plan.checks = vec![check(Constraint::Multiple(c, 4), "`c` is divided by 4")];
    contains(error(&plan, &[x.clone(), x.clone()]), &["divided by 4: expected a multiple of 4, got 3"]);
    assert!(call(&jit(&plan, true), &[other.clone(), other.clone()]).is_ok());
    plan.checks = vec![check(Constraint::AtMost(c, 3), "the size of `c`")];
    contains(error(&plan, &[other.clone(), other]), &["the size of `c`: expected at most 3, got 4"]);
    // Without a host there is no message, but no crash either.
    assert!(call(&jit(&plan, false), &[x]).is_err());
}

/// out0 = (x + z) · z through a slot, out1 = x.
fn two_steps() -> CallPlan {
    let mut plan = CallPlan { name: "main".to_owned(), ..CallPlan::default() };
    let (n, c) = (plan.shapes.sym("n"), plan.shapes.sym("c"));
    for (i, name) in ["x", "z"].into_iter().enumerate() {
        plan.inputs.push(PlanInput::new(name, DType::F32, [n, c].into_iter().collect()));
        for (axis, dim) in [n, c].into_iter().enumerate() {
            let symbol = plan.shapes.as_sym(dim).unwrap();
            if i == 0 {
                plan.bindings.push(SizeBinding { symbol, input: 0, axis: axis as u32 });
            }
        }
    }
    for name in ["out0", "out1"] {
        let dims = [n, c].into_iter().collect();
        plan.outputs.push(PlanOutput::new(name, DType::F32, dims));
    }
    let elements = plan.shapes.mul(n, c).unwrap();
    let bytes = plan.shapes.scale(elements, 4).unwrap();
    let room = plan.shapes.round_up(bytes, 64).unwrap();
    let zero = plan.shapes.int(0);
    plan.arenas.push(Arena { bytes: room, parts: Vec::new() });
    let dims = [n, c].into_iter().collect();
    plan.slots.push(Slot { dtype: DType::F32, dims, arena: ArenaId(0), offset: zero });
    plan.kernels =
        Arc::new(vec![elementwise("add", BinaryOp::Add).into(), elementwise("mul", BinaryOp::Mul).into()]);
    let slot = BufferRef::Slot(SlotId(0));
    let (x, z) = (BufferRef::Input(0), BufferRef::Input(1));
    let kernel = |kernel, args: [BufferRef; 3]| Step::Kernel {
        kernel: KernelId(kernel),
        args: args.to_vec(),
        sizes: vec![n, c],
        source: Default::default(),
    };
    plan.steps = vec![
        Step::AllocArena(ArenaId(0)),
        kernel(0, [x, z, slot]),
        Step::AllocOutput(0),
        kernel(1, [slot, z, BufferRef::Output(0)]),
        Step::AllocOutput(1),
        Step::Copy { from: x, to: BufferRef::Output(1), bytes },
    ];
    plan
}

fn check_two(got: &[TensorData], x: &TensorData, z: &TensorData) {
    let expected = x.to_f64().into_iter().zip(z.to_f64()).map(|(x, z)| (x + z) * z);
    assert_close("first", &got[0], &TensorData::from_f64(DType::F32, x.dims(), expected));
    assert_eq!(got[1], *x);
}

#[test]
fn slots_copies_and_several_outputs() {
    for host in [true, false] {
        let function = jit(&two_steps(), host);
        for dims in [[2, 3], [1, 1], [0, 5], [100, 300]] {
            let (x, z) = (Random(1).tensor(DType::F32, &dims), Random(2).tensor(DType::F32, &dims));
            let got = call(&function, &[x.clone(), z.clone()]).unwrap();
            check_two(&got, &x, &z);
        }
    }
}

#[test]
fn calls_run_at_the_same_time() {
    let function = jit(&two_steps(), true);
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let function = &function;
            scope.spawn(move || {
                for round in 0..20 {
                    let dims = [64 + seed, 100 + round];
                    let (x, z) =
                        (Random(seed).tensor(DType::F32, &dims), Random(2).tensor(DType::F32, &dims));
                    check_two(&call(function, &[x.clone(), z.clone()]).unwrap(), &x, &z);
                }
            });
        }
    });
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    let mut plan = two_steps();
    let n = plan.shapes.sym("n");
    let huge = plan.shapes.product(&[n, n, n, n, n]).unwrap();
    let huge = plan.shapes.scale(huge, 1 << 40).unwrap();
    plan.arenas[0].bytes = huge;
    let x = Random(1).tensor(DType::F32, &[1000, 1]);
    let text = error(&plan, &[x.clone(), x]);
    assert!(text.contains("more memory than can be addressed"), "{text}");
}

#[test]
fn libraries_are_what_memory_is() {
    let mut plan = two_steps();
    let weight = Random(9).tensor(DType::F32, &[4, 5]);
    let id = Arc::make_mut(&mut plan.constants).add("weight", weight.clone());
    if let Step::Kernel { args, .. } = &mut plan.steps[3] {
        args[1] = BufferRef::Constant(id);
    }
    let library = library(&compiled(&plan));
    let x = Random(1).tensor(DType::F32, &[4, 5]);
    let z = Random(2).tensor(DType::F32, &[4, 5]);
    let expected: Vec<f64> =
        x.to_f64().iter().zip(z.to_f64()).zip(weight.to_f64()).map(|((x, z), w)| (x + z) * w).collect();
    let got = call(&library.function("main").unwrap(), &[x.clone(), z.clone()]).unwrap();
    assert_close("library", &got[0], &TensorData::from_f64(DType::F32, &[4, 5], expected.clone()));
    let got = call(&jit(&plan, false), &[x, z]).unwrap();
    assert_close("memory", &got[0], &TensorData::from_f64(DType::F32, &[4, 5], expected));
    let signature = library.signature().function("main").unwrap().clone();
    assert_eq!(signature.inputs[0].name, "x");
}

#[test]
fn equal_input_gives_equal_bytes() {
    let first = compiled(&two_steps()).object().unwrap();
    let second = compiled(&two_steps()).object().unwrap();
    assert_eq!(first.bytes, second.bytes);
}

/// One-element kernels on i64: `y = x op c`.
fn step_kernel(op: BinaryOp, c: i64) -> TensorProgram {
    let mut b = ProgramBuilder::new("step");
    let one = b.shapes().int(1);
    let x = b.input("x", DType::I64, &[one]);
    let y = b.output("y", DType::I64, &[one]);
    b.fill(y, |b, at| {
        let (x, c) = (b.load(x, [at[0]])?, b.int(c, DType::I64)?);
        b.binary(op, x, c)
    })
    .unwrap();
    b.into_program()
}

fn less_kernel(limit: i64) -> TensorProgram {
    let mut b = ProgramBuilder::new("less");
    let one = b.shapes().int(1);
    let x = b.input("x", DType::I64, &[one]);
    let y = b.output("y", DType::Bool, &[one]);
    b.fill(y, |b, at| {
        let (x, c) = (b.load(x, [at[0]])?, b.int(limit, DType::I64)?);
        b.compare(CompareOp::Lt, x, c)
    })
    .unwrap();
    b.into_program()
}

#[test]
fn branches_loops_and_sizes_from_data() {
    // while x < 100 { x = 2x }; if x < 150 { x += 1 } else { x −= 1 }; m = x; out = i64[m] copied from nothing
    let mut plan = CallPlan { name: "main".to_owned(), ..CallPlan::default() };
    let one = plan.shapes.int(1);
    let (eight, room) = (plan.shapes.int(8), plan.shapes.int(256));
    let dims = [one].into_iter().collect();
    plan.inputs.push(PlanInput::new("x", DType::I64, dims));
    let m = plan.shapes.sym("m");
    let symbol = plan.shapes.as_sym(m).unwrap();
    plan.outputs.push(PlanOutput::new("y", DType::F32, [m].into_iter().collect()));
    plan.arenas.push(Arena { bytes: room, parts: Vec::new() });
    for (i, dtype) in [(0, DType::I64), (1, DType::I64), (2, DType::Bool)] {
        let offset = plan.shapes.int(64 * i);
        let dims = [one].into_iter().collect();
        plan.slots.push(Slot { dtype, dims, arena: ArenaId(0), offset });
    }
    let [now, next, flag] = [0, 1, 2].map(|it| BufferRef::Slot(SlotId(it)));
    let mut fill = ProgramBuilder::new("fill");
    let size = fill.size("m");
    let y = fill.output("y", DType::F32, &[size]);
    fill.fill(y, |b, at| {
        let value = b.dim(at[0], DType::I32)?;
        Ok(b.cast(DType::F32, value))
    })
    .unwrap();
    let kernels = [
        less_kernel(100),
        step_kernel(BinaryOp::Mul, 2),
        less_kernel(150),
        step_kernel(BinaryOp::Add, 1),
        step_kernel(BinaryOp::Sub, 1),
        fill.into_program(),
    ];
    plan.kernels = Arc::new(kernels.map(Into::into).into());
    let run = |kernel, from, to| Step::Kernel {
        kernel: KernelId(kernel),
        args: vec![from, to],
        sizes: vec![],
        source: Default::default(),
    };
    let back = Step::Copy { from: next, to: now, bytes: eight };
    plan.steps = vec![
        Step::AllocArena(ArenaId(0)),
        Step::Copy { from: BufferRef::Input(0), to: now, bytes: eight },
        Step::While { cond_steps: vec![run(0, now, flag)], cond: flag, body: vec![run(1, now, next), back] },
        run(2, now, flag),
        Step::If {
            cond: Condition::Buffer(flag),
            then_steps: vec![run(3, now, next)],
            else_steps: vec![run(4, now, next)],
        },
        Step::Bind { symbol, from: next, dtype: DType::I64, element: 0, source: Source::default() },
        Step::AllocOutput(0),
        Step::Kernel {
            kernel: KernelId(5),
            args: vec![BufferRef::Output(0)],
            sizes: vec![m],
            source: Default::default(),
        },
    ];
    let function = jit(&plan, true);
    for (start, expected) in [(1, 129), (99, 197), (5, 159), (120, 121)] {
        let got = call(&function, &[TensorData::ints(&[start])]).unwrap();
        assert_eq!(got[0].dims(), [expected], "from {start}");
        assert_eq!(got[0].get_f64(expected as usize - 1), expected as f64 - 1.0);
    }
}

#[test]
fn a_branch_may_be_decided_by_sizes() {
    // c = 3 and n even: x + z, else x · z.
    let mut plan = plan_of(&elementwise("add", BinaryOp::Add), &[2, 3]);
    Arc::make_mut(&mut plan.kernels).push(elementwise("mul", BinaryOp::Mul).into());
    let (n, c) = (plan.shapes.sym("n"), plan.shapes.sym("c"));
    let three = plan.shapes.int(3);
    let Some(Step::Kernel { args, sizes, .. }) = plan.steps.pop() else { panic!("the kernel comes last") };
    let run = |kernel| {
        vec![Step::Kernel {
            kernel: KernelId(kernel),
            args: args.clone(),
            sizes: sizes.clone(),
            source: Default::default(),
        }]
    };
    plan.steps.push(Step::If {
        cond: Condition::Sizes(vec![Constraint::Eq(c, three), Constraint::Multiple(n, 2)]),
        then_steps: run(0),
        else_steps: run(1),
    });
    let function = jit(&plan, true);
    for (dims, sum) in [([2, 3], true), ([3, 3], false), ([2, 4], false)] {
        let x = Random(1).tensor(DType::F32, &dims);
        let got = call(&function, &[x.clone(), x.clone()]).unwrap();
        let expected = orogen_reference::eval_plan(&plan, &[x.clone(), x.clone()]).unwrap();
        assert_eq!(got, expected);
        let first = f32::from_le_bytes(x.bytes()[..4].try_into().unwrap());
        let value = f32::from_le_bytes(got[0].bytes()[..4].try_into().unwrap());
        assert_eq!(value, if sum { first + first } else { first * first });
    }
}
