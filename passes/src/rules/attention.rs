//! Attention in the forms that exporters write, as one operator.
//!
//! `softmax(scores) · v`, where scores are a product, perhaps scaled and masked. The scale may stand before the product, at
//! one operand or as its root at both, or after it, as a factor or a divisor; keys may come transposed; the mask is added,
//! or chooses between scores and a number. Keys and values that were repeated for groups of queries are read as they were.
//!
//! * **AT1** What stands inside is read by nothing else: it is not computed a second time.
//! * **AT2** The scale is one number that is known; a mask is an operand, whatever it is made of.

use crate::rewrite::{OpCall, Rewriter, Rule, RuleClass, Value};
use orogen_ir::shape::Dim;
use orogen_ir::types::{Attrs, TensorData};

/// The rules of the pass.
pub const RULES: &[Rule] = &[Rule {
    name: "name-attention",
    root: "matmul",
    class: RuleClass::Reassociates,
    reason: "a scale may stand at five places, and a mask in three forms",
    apply: name_attention,
}];

fn name_attention(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let softmax = own(rewriter, call.args[0], "softmax")?;
    let (weights, v) = (rank(rewriter, call.args[0])?, call.args[1]);
    if softmax.attrs.int("axis") != Some(weights as i64 - 1) || rank(rewriter, v)? < 2 {
        return None;
    }
    let scores = softmax.args[0];
    let (product, mask) = unmasked(rewriter, scores)?;
    let Product { q, keys, scale } = scaled(rewriter, product)?;
    let key_rank = rank(rewriter, keys)?;
    if key_rank < 2 || rank(rewriter, q)? < 2 {
        return None;
    }
    let mut perm: Vec<i64> = (0..key_rank as i64).collect();
    perm.swap(key_rank - 2, key_rank - 1);
    let k = match rewriter.definition_by(keys, "transpose") {
        // Two transposes that undo each other.
        Some(turn) if turn.attrs.ints("perm") == Some(&perm[..]) => turn.args[0],
        _ => rewriter.emit("transpose", Attrs::none().with("perm", perm), &[keys])?,
    };
    let attrs = Attrs::none().with("scale", scale);
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
    if let Some(sum) = own(rewriter, scores, "add") {
        let is_product = |rewriter: &mut dyn Rewriter, it: Value| scaled(rewriter, it).is_some();
        let first = is_product(rewriter, sum.args[0]);
        let (product, mask) = if first { (sum.args[0], sum.args[1]) } else { (sum.args[1], sum.args[0]) };
        return (first || is_product(rewriter, product)).then_some((product, Mask::Added(mask)));
    }
    Some((scores, Mask::None))
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
