use super::*;
use crate::kernel::{Access, Extern, Signature};
use crate::ops::{OpSink, SinkResult};
use crate::shape::{Constraint, Truth};
use crate::text::type_text;
use crate::types::Effects;
use crate::types::{Attrs, DType, TensorData};

fn emit(b: &mut FlowBuilder<'_>, op: &str, args: &[ValueId]) -> Result<ValueId, Diagnostic> {
    let op = b.registry().get(op);
    Ok(b.emit(op, Attrs::none(), args)?[0])
}

fn input(b: &mut FlowBuilder<'_>, name: &str, dtype: DType, dims: &str) -> ValueId {
    let dims: Vec<_> = dims.split_whitespace().map(|it| b.shapes().parse(it).expect("a dimension")).collect();
    b.input(name, Type::tensor(dtype, dims)).expect("an input")
}

fn ty(b: &FlowBuilder<'_>, value: ValueId) -> String {
    type_text(&b.module.shapes, b.type_of(value))
}

/// Ends the function with these outputs, checks all laws and returns the text.
fn finished(mut b: FlowBuilder<'_>, outputs: &[ValueId]) -> String {
    let ops = b.registry();
    for (i, value) in outputs.iter().enumerate() {
        b.output(&format!("out{i}"), *value).expect("an output");
    }
    let module = b.finish().expect("finished");
    if let Err(problems) = module.verify(ops) {
        panic!("{problems}\n{}", crate::flow::text::print(&module, ops));
    }
    crate::flow::text::print(&module, ops)
}

fn kinds(b: &FlowBuilder<'_>) -> Vec<(BlockKind, usize)> {
    let body = &b.function.regions[b.function.body];
    body.blocks.iter().map(|it| (b.function.blocks[*it].kind, b.function.blocks[*it].order.len())).collect()
}

#[test]
fn unknown_equalities_become_checks_and_facts() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let x = input(&mut b, "x", DType::F32, "n 4");
    let y = input(&mut b, "y", DType::F32, "m 4");
    let sum = emit(&mut b, "add", &[x, y]).expect("added");
    let (n, m) = (b.shapes().sym("n"), b.shapes().sym("m"));
    assert_eq!(b.shapes().prove(Constraint::Broadcast(n, m)), Truth::Always);
    assert_eq!(b.shapes().prove_eq(n, m), Truth::Unknown, "one of them may be 1");
    let again = emit(&mut b, "mul", &[sum, y]).expect("multiplied");
    assert_eq!(kinds(&b), [(BlockKind::Dataflow, 3)], "one check, two operations");
    b.output("z", again).expect("an output");
    assert_eq!(b.function.values[again].scope, Scope::Region);
    assert_eq!(b.function.values[sum].scope, Scope::BlockLocal);
    let module = b.finish().expect("finished");
    let Definition::Function(f) = &module.definitions["main"] else { panic!("a function") };
    assert_eq!(f.effects, Effects::ABORT);
}

#[test]
fn contradictions_are_errors_with_their_source() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let x = input(&mut b, "x", DType::F32, "3");
    let y = input(&mut b, "y", DType::F32, "4");
    b.set_source("node `sum`");
    let error = emit(&mut b, "add", &[x, y]).expect_err("3 is not 4");
    assert!(error.to_string().contains("node `sum`"), "{error}");
}

#[test]
fn known_elements_become_constants_once() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let a = b.constant("a", TensorData::ints(&[2, 3]));
    let again = b.constant("again", TensorData::ints(&[2, 3]));
    assert_eq!(a, again);
    let other = b.constant("other", TensorData::from_f64(DType::I32, &[2], [2.0, 3.0]));
    assert_ne!(a, other, "the element type counts");
    let sum = emit(&mut b, "add", &[a, a]).expect("added");
    assert_eq!(b.constant_data(sum).map(TensorData::to_i64), Some(vec![4, 6]));
    assert_eq!(ty(&b, sum), "Tensor<i64, [2], [4, 6]>");
    let big = TensorData::from_f64(DType::F32, &[1024], (0..1024).map(f64::from));
    let (p, q) = (b.constant("p", big.clone()), b.constant("q", big.clone()));
    assert_eq!(p, q, "shared memory");
    let copy = TensorData::new(DType::F32, vec![1024], big.bytes().to_vec().into()).expect("same size");
    assert_ne!(b.constant("copy", copy), p, "large constants are compared by identity");
}

#[test]
fn shape_arithmetic_needs_no_evaluation() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let x = input(&mut b, "x", DType::F32, "n 2 3");
    let shape = emit(&mut b, "shape_of", &[x]).expect("a shape");
    assert_eq!(ty(&b, shape), "Tensor<i64, [3], [n, 2, 3]>");
    let zero = b.constant("", TensorData::ints(&[0]));
    let op = ops.get("gather");
    let n = b.emit(op, Attrs::none().with("axis", 0), &[shape, zero]).expect("gathered")[0];
    let six = b.constant("", TensorData::ints(&[6]));
    let target = b.emit(ops.get("concat"), Attrs::none().with("axis", 0), &[n, six]).expect("joined")[0];
    let flat = emit(&mut b, "reshape", &[x, target]).expect("reshaped");
    assert_eq!(ty(&b, flat), "Tensor<f32, [n, 6]>");
}

fn branch(b: &mut FlowBuilder<'_>, cond: ValueId, x: ValueId, y: ValueId) -> SinkResult<ValueId> {
    b.if_else(cond, &mut |b| Ok(vec![emit(b, "exp", &[x])?]), &mut |b| {
        let it = emit(b, "add", &[y, y])?;
        Ok(vec![emit(b, "exp", &[it])?])
    })
}

#[test]
fn branches_join_and_their_facts_end_with_them() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let cond = input(&mut b, "cond", DType::Bool, "");
    let x = input(&mut b, "x", DType::F32, "n 4");
    let y = input(&mut b, "y", DType::F32, "m 4");
    let same = branch(&mut b, cond, x, x).expect("built")[0];
    assert_eq!(ty(&b, same), "Tensor<f32, [n, 4]>");
    let joined = branch(&mut b, cond, x, y).expect("built")[0];
    assert_eq!(ty(&b, joined), "Tensor<f32, [joined, 4]>");
    assert_eq!(kinds(&b), [(BlockKind::Effect, 2)]);
    let z = input(&mut b, "z", DType::F32, "4");
    let unknown = branch(&mut b, cond, x, z).expect("built")[0];
    assert_eq!(ty(&b, unknown), "Tensor<f32>");
    let w = input(&mut b, "w", DType::I32, "4");
    let error = branch(&mut b, cond, x, w).expect_err("no exp of i32, or no join");
    assert!(!error.message.is_empty());

    let (n, m) = (b.shapes().sym("n"), b.shapes().sym("m"));
    b.if_else(cond, &mut |b| Ok(vec![emit(b, "add", &[x, y])?]), &mut |_| Ok(vec![x])).expect("built");
    assert_eq!(b.shapes().prove_eq(n, m), Truth::Unknown, "the check was in one branch");
    finished(b, &[same, joined, unknown]);
}

#[test]
fn known_conditions_are_folded() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let x = input(&mut b, "x", DType::F32, "2 4");
    let y = input(&mut b, "y", DType::F32, "3 4");
    let cond = b.constant("", TensorData::from_f64(DType::Bool, &[], [0.0]));
    let taken = branch(&mut b, cond, x, y).expect("built")[0];
    assert_eq!(ty(&b, taken), "Tensor<f32, [3, 4]>");
    assert_eq!(kinds(&b), [(BlockKind::Dataflow, 3)]);
    let error = branch(&mut b, x, x, y).expect_err("a float is no condition");
    assert_eq!(error.code, "B011");
}

#[test]
fn loops_generalise_what_changes() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let x = input(&mut b, "x", DType::F32, "n");
    let zero = b.constant("", TensorData::from_f64(DType::I64, &[], [0.0]));
    let limit = b.constant("", TensorData::from_f64(DType::I64, &[], [10.0]));
    let one = b.constant("", TensorData::from_f64(DType::I64, &[], [1.0]));
    let mut rounds = 0;
    let out = b
        .while_loop(&[zero, x], &mut |b, carried| emit(b, "less", &[carried[0], limit]), &mut |b, carried| {
            rounds += 1;
            Ok(vec![emit(b, "add", &[carried[0], one])?, emit(b, "exp", &[carried[1]])?])
        })
        .expect("built");
    assert_eq!(rounds, 2, "the counter's value is forgotten after the first round");
    assert_eq!(ty(&b, out[0]), "Tensor<i64, []>");
    assert_eq!(ty(&b, out[1]), "Tensor<f32, [n]>");
    assert_eq!(kinds(&b), [(BlockKind::Dataflow, 3), (BlockKind::Effect, 1)]);

    let never = b
        .while_loop(
            &[limit, x],
            &mut |b, carried| emit(b, "less", &[carried[0], limit]),
            &mut |_, carried| Ok(carried.to_vec()),
        )
        .expect("built");
    assert_eq!(never, [limit, x], "10 < 10 is false");
    finished(b, &out);
}

#[test]
fn carried_values_may_change_their_size() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let (x, y) = (input(&mut b, "x", DType::F32, "n"), input(&mut b, "y", DType::F32, "n"));
    let cond = input(&mut b, "cond", DType::Bool, "");
    let op = ops.get("concat");
    let results = b
        .while_loop(&[x, y], &mut |_, _| Ok(cond), &mut |b, carried| {
            let grown = b.emit(op, Attrs::none().with("axis", 0), &[carried[0], carried[1]])?[0];
            Ok(vec![grown, carried[0]])
        })
        .expect("a loop");
    // Behind the loop sizes have names of their own: what is found out about them does not hold in every turn.
    assert_eq!(ty(&b, results[0]), "Tensor<f32, [carried_2]>");
    assert_eq!(ty(&b, results[1]), "Tensor<f32, [carried_1_1]>");
    let sum = emit(&mut b, "add", &results).expect("a check");
    let text = finished(b, &[sum]);
    assert!(text.contains("[carried + carried_1]"), "{text}");
}

#[test]
fn carried_values_of_changing_rank_have_no_shape() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let x = input(&mut b, "x", DType::F32, "n");
    let cond = input(&mut b, "cond", DType::Bool, "");
    let op = ops.get("unsqueeze");
    let results = b
        .while_loop(&[x], &mut |_, _| Ok(cond), &mut |b, carried| {
            b.emit(op, Attrs::none().with("axes", vec![0]), &[carried[0]])
        })
        .expect("an error only where a consumer needs the shape");
    assert_eq!(ty(&b, results[0]), "Tensor<f32>");
}

#[test]
fn elements_that_operators_read_are_bound_once() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let x = input(&mut b, "x", DType::F32, "n");
    let shape = input(&mut b, "shape", DType::I64, "2");
    let y = emit(&mut b, "reshape", &[x, shape]).expect("its shape is bound");
    assert_eq!(ty(&b, y), "Tensor<f32, [size, size_1]>");
    let zero = b.constant("", TensorData::from_f64(DType::F32, &[], [0.0]));
    let z = emit(&mut b, "full", &[shape, zero]).expect("its shape is bound");
    assert_eq!(ty(&b, z), "Tensor<f32, [size, size_1]>", "a value has one list of sizes");

    // What is known of parts stays known.
    let rows = input(&mut b, "rows", DType::I64, "1");
    let rest = b.constant("", TensorData::from_f64(DType::I64, &[1], [-1.0]));
    let concat = ops.get("concat");
    let both = b.emit(concat, Attrs::none().with("axis", 0), &[rows, rest]).expect("a vector")[0];
    let w = emit(&mut b, "reshape", &[x, both]).expect("its shape is bound");
    assert_eq!(ty(&b, w), "Tensor<f32, [size_2, floordiv(n, size_2)]>");

    // Bounds may be negative; the step is known.
    let (from, to) = (input(&mut b, "from", DType::I64, "1"), input(&mut b, "to", DType::I64, "1"));
    let step = b.constant("", TensorData::from_f64(DType::I64, &[1], [1.0]));
    let slice = ops.get("slice");
    let axes = Attrs::none().with("axes", vec![0]);
    let part = b.emit(slice, axes, &[x, from, to, step]).expect("its bounds are bound")[0];
    assert!(b.type_of(part).as_tensor().is_some_and(|it| it.dims().is_some()), "{}", ty(&b, part));
    finished(b, &[y, z, w, part]);
}

#[test]
fn lists_of_unknown_length_are_errors() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let x = input(&mut b, "x", DType::F32, "n");
    let shape = input(&mut b, "shape", DType::I64, "k");
    b.set_source("node `r`");
    let error = emit(&mut b, "reshape", &[x, shape]).expect_err("the rank is not known");
    assert_eq!(error.code, "B017");
    let text = error.to_string();
    assert!(
        text.contains("operand 1 of `reshape` is a list whose length is known only at run time"),
        "{text}"
    );
    assert!(text.contains("node `r`"), "{text}");
}

#[test]
fn match_cast_binds_symbols_from_elements() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let x = input(&mut b, "x", DType::F32, "n 4");
    let target = input(&mut b, "target", DType::I64, "2");
    let (k, two) = (b.shapes().fresh("k"), b.shapes().int(2));
    let refined = Type::Tensor(crate::types::TensorType::new(DType::I64, [two]).with_elements([k, two]));
    let target = b.match_cast(target, refined.clone()).expect("asserted");
    assert_eq!(ty(&b, target), "Tensor<i64, [2], [k, 2]>");
    assert_eq!(b.match_cast(target, refined).expect("nothing to do"), target);
    let out = emit(&mut b, "reshape", &[x, target]).expect("reshaped");
    assert_eq!(ty(&b, out), "Tensor<f32, [k, 2]>");
    let k2 = out;
    let error = b.match_cast(x, Type::tensor(DType::F32, [two])).expect_err("another rank");
    assert_eq!(error.code, "B016");
    let wide = b.shapes().parse("unbound + 1").expect("a dimension");
    let error = b.match_cast(x, Type::tensor(DType::F32, [wide, two])).expect_err("4 is not 2");
    assert_eq!(error.code, "B016");
    let four = b.shapes().int(4);
    let error = b.match_cast(x, Type::tensor(DType::F32, [wide, four])).expect_err("unbound");
    assert_eq!(error.code, "B015");
    finished(b, &[k2]);
}

#[test]
fn effects_open_effect_blocks() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let x = input(&mut b, "x", DType::F32, "n");
    let mut signature = Signature { effects: Effects::IO, ..Signature::default() };
    let (n, m) = (signature.size("n"), signature.size("m"));
    let signature =
        signature.with(Access::In, "x", DType::F32, &[n]).with(Access::Out, "y", DType::F32, &[n]);
    let symbol = "app.log".to_owned();
    let log = Extern { name: "log".to_owned(), symbol, attrs: Attrs::none(), signature };
    b.define_kernel(log.clone());
    let open = Extern {
        name: "open".to_owned(),
        signature: log.signature.with(Access::Out, "z", DType::F32, &[m]),
        ..log
    };
    b.define_kernel(open);
    let y = emit(&mut b, "exp", &[x]).expect("exp");
    assert_eq!(b.call("open", &[y]).expect_err("nothing says what `m` is").code, "B028");
    assert_eq!(b.call("missing", &[y]).expect_err("no such callee").code, "B023");
    // `m` is unused by `log`, so that only a caller who gives it can call.
    let n = b.shapes().sym("n");
    let sizes = [n, b.shapes().scale(n, 2).expect("small")];
    let y = b.call_kernel("log", &[y], &sizes).expect("called")[0];
    let y = emit(&mut b, "exp", &[y]).expect("exp");
    let pair = b.tuple(&[x, y]).expect("a tuple");
    let y = b.get(pair, 1).expect("an element");
    assert_eq!(b.get(pair, 2).expect_err("two elements").code, "B021");
    b.output("y", y).expect("an output");
    assert_eq!(b.output("y", y).expect_err("twice").code, "B002");
    use BlockKind::{Dataflow, Effect};
    assert_eq!(kinds(&b), [(Dataflow, 1), (Effect, 1), (Dataflow, 3)]);
    let module = b.finish().expect("finished");
    module.verify(&ops).unwrap_or_else(|it| panic!("{it}"));
    crate::flow::text::print(&module, &ops);
    let Definition::Function(f) = &module.definitions["main"] else { panic!("a function") };
    assert_eq!(f.effects, Effects::IO | Effects::ABORT, "any extern may fail");
    assert!(FlowBuilder::new(&ops, "m").finish().is_err(), "no output");
}

/// Loops that count to `limit`, nested `depth` deep around one addition; `built` counts how often that is built.
fn nested_loops(
    b: &mut FlowBuilder<'_>,
    depth: usize,
    limit: ValueId,
    x: ValueId,
    built: &mut usize,
) -> Result<ValueId, Diagnostic> {
    let Some(inside) = depth.checked_sub(1) else {
        *built += 1;
        return emit(b, "add", &[x, x]);
    };
    let zero = b.constant("", TensorData::from_f64(DType::I64, &[], [0.0]));
    let results = b.while_loop(
        &[zero, x],
        &mut |b, carried| emit(b, "less", &[carried[0], limit]),
        &mut |b, carried| {
            let one = b.constant("", TensorData::from_f64(DType::I64, &[], [1.0]));
            let next = emit(b, "add", &[carried[0], one])?;
            Ok(vec![next, nested_loops(b, inside, limit, carried[1], built)?])
        },
    )?;
    Ok(results[1])
}

#[test]
fn nested_loops_settle_one_after_the_other() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let limit = input(&mut b, "limit", DType::I64, "");
    let x = input(&mut b, "x", DType::F32, "4");
    let mut built = 0;
    let y = nested_loops(&mut b, 20, limit, x, &mut built).expect("twenty loops");
    // Every loop forgets the elements of its counter once.
    assert!(built <= 21, "{built}");
    finished(b, &[y]);
}

#[test]
fn regions_nest_to_a_limit() {
    let ops = OpRegistry::standard();
    let mut b = FlowBuilder::new(&ops, "m");
    let limit = input(&mut b, "limit", DType::I64, "");
    let x = input(&mut b, "x", DType::F32, "4");
    let error = nested_loops(&mut b, 1000, limit, x, &mut 0).expect_err("too deep");
    assert_eq!(error.code, "B018");
}
