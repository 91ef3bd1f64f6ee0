//! Attention in the forms that exporters write, as one operator.
//!
//! `softmax(scores) · v`, where scores are a product, perhaps scaled and masked. The scale may stand before the product, at
//! one operand or as its root at both, or after it, as a factor or a divisor; keys may come transposed; the mask is added,
//! or chooses between scores and a number; weights that are not numbers may become 0; narrow scores may be cast to f32 for the
//! softmax alone. Keys and values that were repeated for groups of queries are read as they were.
//!
//! * **AT1** What stands inside is read by nothing else: it is not computed a second time.
//! * **AT2** The scale is one number that is known; a mask is an operand, whatever it is made of.

pub mod kernel;

use crate::rewrite::{OpCall, Rewriter, Rule, RuleClass, Value};
use orogen_ir::shape::Dim;
use orogen_ir::types::{Attrs, DType, TensorData};

/// The rules of the pass.
pub const RULES: &[Rule] = &[
    Rule { name: "name-attention", root: "matmul", class: CLASS, reason: REASON, apply: name_attention },
    Rule {
        name: "name-wide-attention",
        root: "cast",
        class: CLASS,
        reason: REASON,
        apply: name_wide_attention,
    },
];

const CLASS: RuleClass = RuleClass::Reassociates;
const REASON: &str = "a scale may stand at five places, and a mask in three forms";

/// The same where weights in f32 meet narrow values, and their product becomes as narrow: so it does inside of the operator.
fn name_wide_attention(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let to = call.attrs.dtype("to")?;
    let call = &own(rewriter, call.args[0], "matmul_mixed")?;
    let mut dtype = |it: Value| Some(rewriter.ty(it).as_tensor()?.dtype);
    let (weights, values) = (dtype(call.args[0])?, dtype(call.args[1])?);
    if call.args.len() != 2 || weights != DType::F32 || !values.is_float_of(&[16]) || values != to {
        return None;
    }
    name_attention(rewriter, call)
}

fn name_attention(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let (weights_of, safe) = shown(rewriter, call.args[0]);
    let reads = if safe { 2 } else { 1 };
    if rewriter.uses(weights_of) != reads || !rewriter.is_local(weights_of) {
        return None;
    }
    let values = rewriter.ty(call.args[1]).as_tensor()?.dtype;
    let (softmax, scores) = softmax_of(rewriter, weights_of, values)?;
    let (weights, v) = (rank(rewriter, call.args[0])?, call.args[1]);
    if softmax.attrs.int("axis") != Some(weights as i64 - 1) || rank(rewriter, v)? < 2 {
        return None;
    }
    let (product, mask) = unmasked(rewriter, scores)?;
    let Product { q, keys, scale } = scaled(rewriter, product)?;
    let key_rank = rank(rewriter, keys)?;
    if key_rank < 2 || rank(rewriter, q)? < 2 {
        return None;
    }
    let k = upright(rewriter, keys, key_rank)?;
    let attrs = Attrs::none().with("scale", scale);
    let attrs = if safe { attrs.with("safe", true) } else { attrs };
    let (mask, attrs) = match mask {
        Mask::None => (None, attrs),
        Mask::Added(mask) => (Some(mask), attrs),
        Mask::Shown(mask, f64::NEG_INFINITY) => (Some(mask), attrs),
        Mask::Shown(mask, hidden) => (Some(mask), attrs.with("hidden", hidden)),
    };
    if let Some(result) = grouped(rewriter, &attrs, [q, k, v], mask) {
        return Some(result);
    }
    let args: Vec<Value> = [q, k, v].into_iter().chain(mask).collect();
    rewriter.emit("attention", attrs, &args)
}

/// The same where groups of queries share keys and values: these are read as they were before they were repeated.
fn grouped(
    rewriter: &mut dyn Rewriter,
    attrs: &Attrs,
    [q, k, v]: [Value; 3],
    mask: Option<Value>,
) -> Option<Value> {
    let (keys, values) = (repeated(rewriter, k)?, repeated(rewriter, v)?);
    let mut int = |value: Value, axis: usize| {
        let ty = rewriter.ty(value);
        let dim = *ty.as_tensor()?.dims()?.get(axis)?;
        rewriter.shapes().as_int(dim)
    };
    let (heads, shared, of_values) = (int(q, 1)?, int(keys, 1)?, int(values, 1)?);
    let (size, columns) = (int(q, 3)?, int(values, 3)?);
    let of_mask = mask.and_then(|it| int(it, 1));
    if shared != of_values || shared < 1 || heads % shared != 0 || rank(rewriter, q)? != 4 {
        return None;
    }
    let mask = match mask {
        Some(it) if rank(rewriter, it)? <= 2 => Some(it),
        Some(it) if rank(rewriter, it)? == 4 && of_mask == Some(1) => Some(apart(rewriter, it)?),
        Some(_) => return None,
        None => None,
    };
    let mut shaped = |value: Value, shape: &[i64]| {
        let shape = rewriter.emit_constant(TensorData::ints(shape));
        rewriter.emit("reshape", Attrs::none(), &[value, shape])
    };
    let queries = shaped(q, &[0, shared, heads / shared, -1, size])?;
    let (keys, values) = (apart(rewriter, keys)?, apart(rewriter, values)?);
    let args: Vec<Value> = [queries, keys, values].into_iter().chain(mask).collect();
    let result = rewriter.emit("attention", attrs.clone(), &args)?;
    let shape = rewriter.emit_constant(TensorData::ints(&[0, heads, -1, columns]));
    rewriter.emit("reshape", Attrs::none(), &[result, shape])
}

/// With a dimension of 1 for the queries of a group.
fn apart(rewriter: &mut dyn Rewriter, value: Value) -> Option<Value> {
    rewriter.emit("unsqueeze", Attrs::none().with("axes", vec![2]), &[value])
}

/// What is repeated along axis 1, each part of it several times one after the other.
fn repeated(rewriter: &mut dyn Rewriter, value: Value) -> Option<Value> {
    let whole = rewriter.definition_by(value, "reshape")?;
    let wide = rewriter.definition_by(whole.args[0], "expand")?;
    let parts = rewriter.definition_by(wide.args[0], "unsqueeze")?;
    let source = parts.args[0];
    let (joined, spread) = (dims(rewriter, value)?, dims(rewriter, whole.args[0])?);
    let own = dims(rewriter, source)?;
    if parts.attrs.ints("axes") != Some(&[2]) || own.len() != 4 || spread.len() != 5 || joined.len() != 4 {
        return None;
    }
    let shapes = rewriter.shapes();
    let same = |a: Dim, b: Dim| shapes.prove_eq(a, b).is_always();
    // Only the new axis is wide, and the reshape joins it with the one before it.
    let wide = [0, 1].iter().all(|i| same(own[*i], spread[*i]))
        && [2, 3].iter().all(|i| same(own[*i], spread[*i + 1]) && same(own[*i], joined[*i]));
    (wide && same(own[0], joined[0])).then_some(source)
}

fn dims(rewriter: &mut dyn Rewriter, value: Value) -> Option<Vec<Dim>> {
    Some(rewriter.ty(value).as_tensor()?.dims()?.to_vec())
}

/// The softmax that makes weights, and what it is of. It may be computed in f32 between narrower numbers: so it is inside of
/// the operator, too.
fn softmax_of(rewriter: &mut dyn Rewriter, weights: Value, values: DType) -> Option<(OpCall, Value)> {
    let softmax = match rewriter.definition_by(weights, "cast") {
        Some(narrow) => own(rewriter, narrow.args[0], "softmax")?,
        None => rewriter.definition_by(weights, "softmax")?,
    };
    let scores = softmax.args[0];
    let mut dtype = |it: Value| Some(rewriter.ty(it).as_tensor()?.dtype);
    let (own_type, inside) = (dtype(weights)?, dtype(scores)?);
    if own_type == values && inside == values {
        return Some((softmax, scores));
    }
    let wide = own(rewriter, scores, "cast")?;
    let scores = rewriter.ty(wide.args[0]).as_tensor()?.dtype;
    let around = scores == values && values.is_float_of(&[16]) && inside == DType::F32;
    around.then_some((softmax, wide.args[0]))
}

/// What weights are before those that are not numbers became 0, and whether they did.
fn shown(rewriter: &mut dyn Rewriter, weights: Value) -> (Value, bool) {
    let inner = own(rewriter, weights, "where").and_then(|choice| {
        let nothing = own(rewriter, choice.args[0], "is_nan")?;
        let zero = number(rewriter, choice.args[1])? == 0.0;
        (zero && nothing.args[0] == choice.args[2]).then_some(choice.args[2])
    });
    (inner.unwrap_or(weights), inner.is_some())
}

/// Keys whose transposes these are.
fn upright(rewriter: &mut dyn Rewriter, keys: Value, rank: usize) -> Option<Value> {
    let mut perm: Vec<i64> = (0..rank as i64).collect();
    perm.swap(rank - 2, rank - 1);
    if let Some(turn) = rewriter.definition_by(keys, "transpose")
        && turn.attrs.ints("perm") == Some(&perm[..])
    {
        return Some(turn.args[0]);
    }
    match through_matrices(rewriter, keys) {
        Some(known) => Some(known),
        None => rewriter.emit("transpose", Attrs::none().with("perm", perm), &[keys]),
    }
}

/// What is transposed as a list of matrices, and put in shape again.
fn through_matrices(rewriter: &mut dyn Rewriter, keys: Value) -> Option<Value> {
    let spread = rewriter.definition_by(keys, "reshape")?;
    let turn = rewriter.definition_by(spread.args[0], "transpose")?;
    let flat = rewriter.definition_by(turn.args[0], "reshape")?;
    let (out, mut own) = (dims(rewriter, keys)?, dims(rewriter, flat.args[0])?);
    let (rank, list) = (own.len(), dims(rewriter, turn.args[0])?);
    if turn.attrs.ints("perm") != Some(&[0, 2, 1]) || rank < 2 || out.len() != rank {
        return None;
    }
    let shapes = rewriter.shapes();
    let same = |a: Dim, b: Dim| shapes.prove_eq(a, b).is_always();
    let matrices = same(list[1], own[rank - 2]) && same(list[2], own[rank - 1]);
    own.swap(rank - 2, rank - 1);
    let kept = own.iter().zip(&out).all(|(a, b)| same(*a, *b));
    (matrices && kept).then_some(flat.args[0])
}

/// How scores are masked.
enum Mask {
    None,
    Added(Value),
    /// A truth value for each score, and what stands where it is false.
    Shown(Value, f64),
}

/// What is scaled and multiplied, and the mask.
fn unmasked(rewriter: &mut dyn Rewriter, scores: Value) -> Option<(Value, Mask)> {
    if let Some(choice) = own(rewriter, scores, "where") {
        let hidden = number(rewriter, choice.args[2])?;
        return Some((choice.args[1], Mask::Shown(choice.args[0], hidden)));
    }
    let (mut product, mut mask) = (scores, None);
    // Two masks that are added are one: padding and what lies ahead.
    for _ in 0..2 {
        let Some(sum) = own(rewriter, product, "add") else { break };
        let [a, b] = [sum.args[0], sum.args[1]];
        let (inner, other) = if is_scores(rewriter, a) { (a, b) } else { (b, a) };
        if !is_scores(rewriter, inner) {
            return None;
        }
        let both = match mask {
            Some(mask) => rewriter.emit("add", Attrs::none(), &[other, mask])?,
            None => other,
        };
        (product, mask) = (inner, Some(both));
    }
    if let Some(mask) = mask {
        return Some((product, Mask::Added(mask)));
    }
    Some((scores, Mask::None))
}

/// Whether a value is a product that is scaled, perhaps with a mask.
fn is_scores(rewriter: &mut dyn Rewriter, value: Value) -> bool {
    let sum = own(rewriter, value, "add").map_or(vec![value], |it| it.args);
    sum.into_iter().any(|it| scaled(rewriter, it).is_some())
}

/// A product of queries and transposed keys.
struct Product {
    q: Value,
    keys: Value,
    scale: f64,
}

fn scaled(rewriter: &mut dyn Rewriter, value: Value) -> Option<Product> {
    let (inner, after) = factor(rewriter, value);
    let product = own(rewriter, inner, "matmul")?;
    let ((q, before), (mut keys, mut beside)) =
        (factor(rewriter, product.args[0]), factor(rewriter, product.args[1]));
    if let Some(turn) = own(rewriter, keys, "transpose") {
        let (inner, n) = factor(rewriter, turn.args[0]);
        if n != 1.0 {
            keys = rewriter.emit("transpose", turn.attrs.clone(), &[inner])?;
            beside *= n;
        }
    }
    let scale = after * before * beside;
    let plain = scale.is_finite() && scale != 0.0 && is_float(rewriter, q);
    plain.then_some(Product { q, keys, scale })
}

/// What is multiplied by known numbers, and their product.
fn factor(rewriter: &mut dyn Rewriter, mut value: Value) -> (Value, f64) {
    let mut all = 1.0;
    // Scores are scaled once or twice.
    for _ in 0..4 {
        let times = own(rewriter, value, "mul").and_then(|it| {
            let [a, b] = [it.args[0], it.args[1]];
            number(rewriter, b).map(|n| (a, n)).or_else(|| number(rewriter, a).map(|n| (b, n)))
        });
        let over = || {
            let it = own(rewriter, value, "div")?;
            Some((it.args[0], 1.0 / number(rewriter, it.args[1])?))
        };
        let Some((inner, n)) = times.or_else(over) else { break };
        (value, all) = (inner, all * n);
    }
    (value, all)
}

/// The operation that defines a value, when it is of this operator, of the same block, and nothing else reads it (law AT1).
fn own(rewriter: &dyn Rewriter, value: Value, op: &str) -> Option<OpCall> {
    let call = rewriter.definition_by(value, op)?;
    (rewriter.uses(value) == 1 && rewriter.is_local(value)).then_some(call)
}

fn rank(rewriter: &mut dyn Rewriter, value: Value) -> Option<usize> {
    dims(rewriter, value).map(|it| it.len())
}

fn is_float(rewriter: &mut dyn Rewriter, value: Value) -> bool {
    rewriter.ty(value).as_tensor().is_some_and(|it| it.dtype.is_float())
}

/// The number that a constant of one element is, which adds no dimension where it stands.
fn number(rewriter: &dyn Rewriter, value: Value) -> Option<f64> {
    let data = rewriter.constant(value)?;
    (data.len() == 1 && data.dims().len() <= 2 && data.dtype().is_float()).then(|| data.get_f64(0))
}
