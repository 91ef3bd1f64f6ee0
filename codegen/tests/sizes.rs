//! Sizes that generated code computes, against 128-bit arithmetic (laws Z1 and Z2 of `clif::size`), and calls whose
//! tensors are empty but large.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{call, jit, plan_of};
use orogen_ir::loops::{BinaryOp, Combine, ProgramBuilder};
use orogen_ir::plan::{BufferRef, CallPlan, PlanInput, ShapeCheck, Step};
use orogen_ir::shape::testing::{Config, Expr, NAMES, Op, Rng, SIZES, context};
use orogen_ir::shape::{Constraint, Dim, ShapeCx};
use orogen_ir::types::{DType, Source, TensorData};
use std::time::Instant;

/// A plan that gives symbols values from data, and then checks.
fn plan(shapes: ShapeCx, names: &[&str], checks: Vec<Constraint>) -> CallPlan {
    let mut plan = CallPlan { name: "main".to_owned(), shapes, ..CallPlan::default() };
    let count = plan.shapes.int(names.len() as i64);
    plan.inputs.push(PlanInput::new("x", DType::I64, vec![count].into()));
    for (i, name) in names.iter().enumerate() {
        let symbol = plan.shapes.find_sym(name).unwrap();
        let from = BufferRef::Input(0);
        plan.steps.push(Step::Bind {
            symbol,
            from,
            dtype: DType::I64,
            element: i as u64,
            source: Source::default(),
        });
    }
    for constraint in checks {
        plan.steps.push(Step::Check(ShapeCheck {
            constraint,
            message: "a check".to_owned(),
            source: Default::default(),
        }));
    }
    plan
}

fn data(values: &[i64]) -> [TensorData; 1] {
    let bytes: Vec<u8> = values.iter().flat_map(|it| it.to_le_bytes()).collect();
    [TensorData::new(DType::I64, vec![values.len() as u64], bytes.into()).unwrap()]
}

/// No step of a computation of the handle of the expression is larger than this; `None` for what no 128 bits hold.
fn bound(expr: &Expr, values: &[i64]) -> Option<i128> {
    let (op, a, b) = match expr {
        Expr::Int(value) => return Some(i128::from(*value).abs()),
        Expr::Sym(at) => return Some(i128::from(values[*at]).abs()),
        Expr::Op(op, a, b) => (op, bound(a, values)?, bound(b, values)?),
    };
    match op {
        Op::Mul => a.checked_mul(b),
        // Coefficients of a numerator are taken modulo the divisor.
        Op::FloorDiv | Op::CeilDiv => a.checked_add(1)?.checked_mul(b.max(1)),
        Op::Mod => a.checked_add(1)?.checked_mul(b.max(1))?.checked_mul(b.max(1)),
        Op::Add | Op::Sub | Op::Min | Op::Max | Op::Broadcast => a.checked_add(b),
    }
}

/// Every check holds exactly where it holds for integers of any size.
#[test]
fn z1_checked_values_are_exact() {
    const LIMIT: i128 = 1 << 60;
    let config = Config { depth: 4, constants: 1 << 20, extreme: true, symbolic_divisors: true };
    let names: Vec<&str> = NAMES.iter().copied().chain(["expected"]).collect();
    let (mut exact, mut wrapped, mut refused, mut other) = (0, 0, 0, 0);
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let mut shapes = context(&mut rng);
        let expected = shapes.integer("expected");
        let expr = Expr::random(&mut rng, &config);
        let Ok(formula) = expr.build(&mut shapes) else { continue };
        let handles = shapes.clone();
        let function = jit(&plan(shapes, &names, vec![Constraint::Eq(formula, expected)]), true);
        for _ in 0..60 {
            let magnitude = rng.in_range(1, 60);
            let values: Vec<i64> = (0..NAMES.len())
                .map(|at| {
                    let most = if at < SIZES { 1i64 << magnitude.min(40) } else { 1 << magnitude };
                    // Near the ends of the range, or anywhere.
                    let near = if rng.one_in(2) {
                        most - rng.in_range(0, 2).min(most)
                    } else {
                        rng.in_range(0, most)
                    };
                    if at >= SIZES && rng.one_in(2) { -near } else { near }
                })
                .collect();
            let Some(truth) = expr.eval(&values) else { continue };
            let pairs = NAMES.iter().zip(&values);
            let env = pairs.filter_map(|(name, value)| Some((handles.find_sym(name)?, *value))).collect();
            // What code computes is the handle.
            if handles.eval(formula, &env).is_some_and(|it| i128::from(it) != truth) {
                other += 1;
                continue;
            }
            let holds = |expected: i64| {
                let values: Vec<i64> = values.iter().copied().chain([expected]).collect();
                call(&function, &data(&values)).is_ok()
            };
            let near = truth as i64;
            let fits = i128::from(near) == truth;
            if i128::from(near).abs() >= LIMIT {
                continue;
            }
            let what = format!("seed {seed} {expr:?} {values:?}: {truth}");
            match (fits, holds(near)) {
                (true, true) => exact += 1,
                // Something on the way was no 64-bit number.
                (true, false) => {
                    let small = bound(&expr, &values).is_some_and(|it| it < 1 << 62);
                    let values: Vec<i64> = values.iter().copied().chain([near]).collect();
                    assert!(!small, "{what} was refused: {:?}", call(&function, &data(&values)));
                    refused += 1;
                }
                (false, holds) => {
                    assert!(!holds, "{what} passed for {near}");
                    wrapped += 1;
                }
            }
            assert!(!holds(near + 1), "{what} passed for {}", near + 1);
        }
    }
    assert!(exact > 500 && wrapped > 20, "{exact} exact, {wrapped} wrapped, {refused} refused");
    assert_eq!(other, 0, "handles with another value than the expression that they were built of");
}

/// Products that are small numbers modulo 2⁶⁴.
#[test]
fn z1_products_do_not_wrap() {
    let mut shapes = ShapeCx::new();
    let [a, b] = ["a", "b"].map(|it| shapes.integer(it));
    let product = shapes.mul(a, b).unwrap();
    let most = |dim, most| vec![Constraint::AtMost(dim, most), Constraint::AtLeast(dim, 0)];
    let function = jit(&plan(shapes, &["a", "b"], most(product, 100)), true);
    let holds = |a: i64, b: i64| call(&function, &data(&[a, b])).is_ok();
    assert!(holds(10, 10) && holds(0, i64::MAX) && holds(1 << 60, 0) && holds(-5, -20));
    assert!(!holds(10, 11) && !holds(-1, 1));
    // 2⁶⁴, 2⁶⁴ + 2⁵, 2⁶⁵.
    assert!(!holds(1 << 32, 1 << 32) && !holds((1 << 59) + 1, 1 << 5) && !holds(-(1 << 33), -(1 << 32)));
}

/// Sizes and integers that formulas give symbols are those of their kind.
#[test]
fn z2_symbols_are_in_range() {
    for is_size in [false, true] {
        let mut shapes = ShapeCx::new();
        let a = shapes.integer("a");
        let square = shapes.mul(a, a).unwrap();
        let symbol = if is_size { shapes.fresh("s") } else { shapes.fresh_integer("s") };
        let symbol = shapes.as_sym(symbol).unwrap();
        let mut plan = plan(shapes, &["a"], Vec::new());
        plan.steps.push(Step::Let { symbol, value: square, source: Source::default() });
        let function = jit(&plan, true);
        let holds = |a: i64| call(&function, &data(&[a])).is_ok();
        assert!(holds(-3) && holds(1 << 20));
        assert_eq!(holds(1 << 21), !is_size);
        assert!(!holds(1 << 31) && !holds(1 << 32));
    }
}

/// No loop turns around nothing: an empty result is there at once, however large its other extents are.
#[test]
fn empty_tensors_take_no_time() {
    let huge = 1u64 << 39;
    let start = Instant::now();
    for dims in [[huge, 0], [0, huge]] {
        // A softmax, a sum over each axis, and a sum of two.
        let mut b = ProgramBuilder::new("rows");
        let sizes = [b.size("n"), b.size("m")];
        let x = b.input("x", DType::F32, &sizes);
        let most = b.local("most", DType::F32, &sizes[..1]);
        let y = b.output("y", DType::F32, &sizes);
        let axes = b.axes("i", &sizes);
        let at = b.vars(&axes);
        let value = b.load(x, [at[0], at[1]]).unwrap();
        b.reduce_stage(&axes[..1], &axes[1..], Combine::Max, most, [at[0]], value).unwrap();
        b.fill(y, |b, at| {
            let (x, most) = (b.load(x, [at[0], at[1]])?, b.load(most, [at[0]])?);
            b.binary(BinaryOp::Sub, x, most)
        })
        .unwrap();
        let plan = plan_of(&b.into_program(), &dims.map(|it| it as i64));
        let x = TensorData::new(DType::F32, dims.to_vec(), Vec::new().into()).unwrap();
        let got = call(&jit(&plan, true), std::slice::from_ref(&x)).unwrap();
        assert_eq!(got[0].dims(), dims);

        // Everything summed: one element, zero.
        let mut b = ProgramBuilder::new("total");
        let sizes: [Dim; 2] = [b.size("n"), b.size("m")];
        let x_in = b.input("x", DType::F64, &sizes);
        let y = b.output("y", DType::F64, &[]);
        let axes = b.axes("i", &sizes);
        let at = b.vars(&axes);
        let value = b.load(x_in, [at[0], at[1]]).unwrap();
        b.reduce_stage(&[], &axes, Combine::Sum, y, std::iter::empty::<Dim>(), value).unwrap();
        let plan = plan_of(&b.into_program(), &dims.map(|it| it as i64));
        let x = TensorData::new(DType::F64, dims.to_vec(), Vec::new().into()).unwrap();
        let got = call(&jit(&plan, true), &[x]).unwrap();
        assert_eq!(got[0].get_f64(0), 0.0);
    }
    assert!(start.elapsed().as_secs() < 20, "loops turned around nothing");
}
