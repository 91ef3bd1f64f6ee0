use super::*;
use crate::error::EvalErrorKind;
use orogen_ir::loops::{BinaryOp, CompareOp, ProgramBuilder, TensorProgram};
use orogen_ir::plan::{Arena, ArenaId, KernelId, PlanOutput, ShapeCheck, SizeBinding, Slot, SlotId};
use orogen_ir::shape::Constraint;
use orogen_ir::types::Source;
use std::sync::Arc;

/// `y = x ⊕ x` on f32[n].
fn twice(op: BinaryOp) -> TensorProgram {
    let mut b = ProgramBuilder::new("twice");
    let n = b.size("n");
    let (x, y) = (b.input("x", DType::F32, &[n]), b.output("y", DType::F32, &[n]));
    b.fill(y, |b, at| {
        let value = b.load(x, at.to_vec())?;
        b.binary(op, value, value)
    })
    .unwrap();
    b.into_program()
}

/// x → 2x → (2x)² through two slots of one arena, the second at `offset`.
fn chain(offset: i64) -> CallPlan {
    let mut plan = CallPlan { name: "main".into(), ..CallPlan::default() };
    let n = plan.shapes.sym("n");
    let bytes = plan.shapes.scale(n, 4).unwrap();
    let size = plan.shapes.int(4096);
    let (zero, offset) = (plan.shapes.int(0), plan.shapes.int(offset));
    plan.inputs.push(PlanInput::new("x", DType::F32, [n].into_iter().collect()));
    plan.outputs.push(PlanOutput::new("y", DType::F32, [n].into_iter().collect()));
    let symbol = plan.shapes.symbol("n");
    plan.bindings.push(SizeBinding { symbol, input: 0, axis: 0 });
    plan.checks.push(ShapeCheck {
        constraint: Constraint::AtMost(n, 512),
        message: "n is small".into(),
        source: Default::default(),
    });
    plan.kernels = Arc::new(vec![twice(BinaryOp::Add).into(), twice(BinaryOp::Mul).into()]);
    plan.arenas.push(Arena { bytes: size, parts: Vec::new() });
    let dims = || [n].into_iter().collect();
    plan.slots.push(Slot { dtype: DType::F32, dims: dims(), arena: ArenaId(0), offset: zero });
    plan.slots.push(Slot { dtype: DType::F32, dims: dims(), arena: ArenaId(0), offset });
    let kernel = |k: u32, from: BufferRef, to: BufferRef| Step::Kernel {
        kernel: KernelId(k),
        args: vec![from, to],
        sizes: vec![n],
        source: Default::default(),
    };
    let slot = |i: u32| BufferRef::Slot(SlotId(i));
    plan.steps = vec![
        Step::AllocArena(ArenaId(0)),
        kernel(0, BufferRef::Input(0), slot(0)),
        kernel(1, slot(0), slot(1)),
        Step::AllocOutput(0),
        Step::Copy { from: slot(1), to: BufferRef::Output(0), bytes },
        // Slot 0 must still hold 2x.
        kernel(0, slot(0), slot(1)),
    ];
    plan
}

fn input(values: &[f32]) -> TensorData {
    TensorData::from_slice(DType::F32, &[values.len() as u64], values)
}

#[test]
fn steps_run_on_real_memory() {
    let y = eval_plan(&chain(2048), &[input(&[1.0, -3.0])]).unwrap();
    assert_eq!(y, [input(&[4.0, 36.0])]);
    // Overlapping slots: element 0 of slot 1 is element 1 of slot 0.
    let error = eval_plan(&chain(4), &[input(&[1.0, -3.0])]).unwrap_err();
    assert!(error.message.contains("`%y` is another one because it shares memory"), "{error}");
    // At exactly one place each element is read before it is written.
    assert_eq!(eval_plan(&chain(0), &[input(&[1.0, -3.0])]).unwrap(), [input(&[4.0, 36.0])]);
    assert_eq!(eval_plan(&chain(0), &[input(&[])]).unwrap(), [input(&[])]);
}

#[test]
fn memory_errors_are_found() {
    let error = eval_plan(&chain(4093), &[input(&[1.0])]).unwrap_err();
    assert_eq!(error.kind, EvalErrorKind::Invalid);
    let error = eval_plan(&chain(2048), &[input(&[0.0; 513])]).unwrap_err();
    assert_eq!(error.kind, EvalErrorKind::CheckFailed);
    let mut plan = chain(2048);
    plan.steps.swap(1, 2);
    assert_eq!(eval_plan(&plan, &[input(&[1.0])]).unwrap_err().kind, EvalErrorKind::Uninitialised);
    let mut plan = chain(2048);
    plan.steps.remove(0);
    assert!(eval_plan(&plan, &[input(&[1.0])]).is_err());
    let mut plan = chain(2048);
    plan.steps.retain(|it| !matches!(it, Step::Copy { .. }));
    assert_eq!(eval_plan(&plan, &[input(&[1.0])]).unwrap_err().kind, EvalErrorKind::Uninitialised);
    let mut plan = chain(2048);
    if let Step::Kernel { args, .. } = &mut plan.steps[1] {
        args.swap(0, 1);
    }
    assert!(eval_plan(&plan, &[input(&[1.0])]).is_err());
    assert!(eval_plan(&chain(2048), &[TensorData::ints(&[1])]).is_err());
}

/// Doubles the input until its first element reaches 100: a loop with a condition kernel, and a branch.
#[test]
fn loops_branches_and_bindings() {
    let mut b = ProgramBuilder::new("below");
    let n = b.size("n");
    let x = b.input("x", DType::F32, &[n]);
    let y = b.output("y", DType::Bool, &[]);
    b.fill(y, |b, _| {
        let zero = b.shapes().int(0);
        let (value, limit) = (b.load(x, [zero])?, b.float(100.0, DType::F32)?);
        b.compare(CompareOp::Lt, value, limit)
    })
    .unwrap();
    let below = b.into_program();
    let mut plan = chain(2048);
    let (n, one) = (plan.shapes.sym("n"), plan.shapes.int(1));
    let bytes = plan.shapes.scale(n, 4).unwrap();
    let offset = plan.shapes.int(3072);
    Arc::make_mut(&mut plan.kernels).push(below.into());
    let dims = [].into_iter().collect();
    plan.slots.push(Slot { dtype: DType::Bool, dims, arena: ArenaId(0), offset });
    let slot = |i: u32| BufferRef::Slot(SlotId(i));
    let kernel = |k: u32, args: Vec<BufferRef>| Step::Kernel {
        kernel: KernelId(k),
        args,
        sizes: vec![n],
        source: Default::default(),
    };
    let symbol = plan.shapes.symbol("flag");
    let flag = plan.shapes.sym_dim(symbol);
    plan.steps = vec![
        Step::AllocArena(ArenaId(0)),
        Step::Copy { from: BufferRef::Input(0), to: slot(0), bytes },
        Step::While {
            cond_steps: vec![kernel(2, vec![slot(0), slot(2)])],
            cond: slot(2),
            // Elementwise in place.
            body: vec![kernel(0, vec![slot(0), slot(0)])],
        },
        Step::Bind { symbol, from: slot(2), dtype: DType::Bool, element: 0, source: Source::default() },
        Step::Check(ShapeCheck {
            constraint: Constraint::Eq(flag, one),
            message: "never".into(),
            source: Default::default(),
        }),
        Step::AllocOutput(0),
        Step::If {
            cond: Condition::Buffer(slot(2)),
            then_steps: vec![],
            else_steps: vec![Step::Copy { from: slot(0), to: BufferRef::Output(0), bytes }],
        },
    ];
    let error = eval_plan(&plan, &[input(&[3.0, 1.0])]).unwrap_err();
    assert_eq!(error.kind, EvalErrorKind::CheckFailed);
    plan.steps.remove(4);
    assert_eq!(eval_plan(&plan, &[input(&[3.0, 1.0])]).unwrap(), [input(&[192.0, 64.0])]);
}

#[test]
fn functions_of_the_host_see_types_and_are_checked() {
    let text = "\
plan @main {
  size n
  in x: f32[n]
  out y: f32[n]
  from n = %in0[0]
  extern @twice = \"acme.twice\" with {by = 2.0} {
    size k
    in %x: f32[k]
    out %y: f32[k]
  }
  steps {
    alloc %out0
    call 0 @twice(%in0, %out0) [n]
  }
}
";
    let plan = orogen_ir::plan::parse_plan(text, &orogen_ir::types::ConstPool::default()).unwrap();
    orogen_ir::plan::verify(&plan).unwrap();
    let x = input(&[1.0, -3.0]);
    assert_eq!(eval_plan(&plan, std::slice::from_ref(&x)).unwrap_err().kind, EvalErrorKind::Unsupported);
    let twice = |args: &[TensorData], attrs: &orogen_ir::types::Attrs| {
        let by = attrs.float("by").unwrap_or(0.0);
        Ok(vec![TensorData::from_f64(
            DType::F32,
            args[0].dims(),
            args[0].to_f64().into_iter().map(|it| it * by),
        )])
    };
    let y = eval_plan_with(&Host::new().with("acme.twice", twice), &plan, std::slice::from_ref(&x)).unwrap();
    assert_eq!(y, [input(&[2.0, -6.0])]);
    let nothing = Host::new().with("acme.twice", |_, _| Ok(Vec::new()));
    let error = eval_plan_with(&nothing, &plan, std::slice::from_ref(&x)).unwrap_err();
    assert!(error.message.contains("`%y` is not written"), "{error}");
    let wrong = Host::new().with("acme.twice", |_, _| Ok(vec![input(&[1.0])]));
    assert!(eval_plan_with(&wrong, &plan, std::slice::from_ref(&x)).is_err());
    let refuses = Host::new().with("acme.twice", |_, _| Err("no".to_owned()));
    assert_eq!(eval_plan_with(&refuses, &plan, &[x]).unwrap_err().kind, EvalErrorKind::Host);
}
