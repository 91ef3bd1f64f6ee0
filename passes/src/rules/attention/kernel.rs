//! Attention as one kernel, which never holds all scores.
//!
//! What: forms of attention become operators with `fused`, which `legalize` makes calls of the routine of that name.
//! Transposes that operands come from and that the result goes to become attributes: they are read and written in place.
//! When: scores of a head would not stay in the cache. Products of few rows read each key once, and products of wide rows
//! take so long that scores do not count.
//!
//! * **AK1** What is not known to be large enough becomes no kernel, unless the pass is told to take what is open. It stays as it
//!   is written; where its queries alone are too wide, which only the operator says, it is named.
//! * **AK2** What is not known to fit the routine keeps the kernels of its parts.
//! * **AK3** A transpose is taken in only where rows or columns stay neighbours in memory.

use super::{name_attention, name_wide_attention, own};
use crate::rewrite::{Guard, OpCall, Rewriter, Rule, RuleClass, Value};
use orogen_ir::ops::ATTENTION_PERMS;
use orogen_ir::shape::{Dim, ShapeCx, Truth};
use orogen_ir::types::{Attrs, DType};

/// Bytes between lines that share a set of the first-level cache.
const SET: i64 = 4096;

/// The rules of the pass.
pub const RULES: &[Rule] = &[
    rule("fuse-attention", "matmul", name_attention),
    rule("fuse-wide-attention", "cast", name_wide_attention),
    rule("fuse-named-attention", "attention", fuse),
    rule("write-attention-in-place", "transpose", write_in_place),
];

const fn rule(
    name: &'static str,
    root: &'static str,
    apply: fn(&mut dyn Rewriter, &OpCall) -> Option<Value>,
) -> Rule {
    Rule {
        name,
        root,
        class: RuleClass::Reassociates,
        reason: "it is decided by what the routine reads",
        apply,
    }
}

/// What attention has that one kernel is faster for.
#[derive(Clone, Copy, Debug)]
pub struct Worth {
    /// The fewest queries.
    pub queries: i64,
    /// The fewest scores of a head.
    pub scores: i64,
    /// The fewest scores of a head for each element of a row of queries or values: wide rows make products the work.
    pub ratio: i64,
    /// Whether what is open may be taken to be large enough.
    pub open: bool,
}

impl Worth {
    /// Which operations the rules are tried on (law AK1).
    pub fn guard(self) -> Guard {
        Guard::new(move |rewriter, call| self.holds(rewriter, call).unwrap_or(false))
    }

    fn holds(self, rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<bool> {
        match rewriter.ops().def(call.op).name {
            "matmul" => self.of_product(rewriter, call),
            "cast" => {
                let product = rewriter.definition_by(call.args[0], "matmul_mixed")?;
                self.of_product(rewriter, &product)
            }
            "attention" if is_fused(&call.attrs) => Some(true),
            "attention" => {
                let (q, k) = (read(rewriter, call, 0)?, read(rewriter, call, 1)?);
                let v = read(rewriter, call, 2)?;
                let last = |dims: &[Dim], i: usize| dims.iter().rev().nth(i).copied();
                let sizes = [last(&q, 0)?, last(&v, 0)?];
                Some(self.of_sizes(rewriter, last(&q, 1)?, last(&k, 1)?, &sizes))
            }
            _ => Some(true),
        }
    }

    /// Of weights times values.
    fn of_product(self, rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<bool> {
        let weights = super::dims(rewriter, call.args[0])?;
        let values = super::dims(rewriter, call.args[1])?;
        let [.., queries, keys] = weights[..] else { return None };
        Some(self.of_sizes(rewriter, queries, keys, &[*values.last()?]))
    }

    fn of_sizes(self, rewriter: &mut dyn Rewriter, queries: Dim, keys: Dim, sizes: &[Dim]) -> bool {
        let shapes = rewriter.shapes_mut();
        let Ok(all) = shapes.mul(queries, keys) else { return false };
        let mut fewest = vec![(queries, Ok(shapes.int(self.queries))), (all, Ok(shapes.int(self.scores)))];
        fewest.extend(sizes.iter().map(|it| (all, shapes.scale(*it, self.ratio))));
        fewest.into_iter().all(|(found, fewest)| {
            fewest.is_ok_and(|fewest| match shapes.prove_ge(found, fewest) {
                Truth::Always => true,
                Truth::Unknown => self.open,
                Truth::Never => false,
            })
        })
    }
}

/// Whether an operator is to be one kernel.
pub(crate) fn is_fused(attrs: &Attrs) -> bool {
    attrs.bool("fused").unwrap_or(false)
}

/// Marks an operator that the routine computes, and takes transposes of its operands in.
fn fuse(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let mut changed = !is_fused(&call.attrs);
    if changed && !shapes_fit(rewriter, call)? {
        return None;
    }
    let (mut args, mut attrs) = (call.args.clone(), call.attrs.clone().with("fused", true));
    for (i, name) in ATTENTION_PERMS.into_iter().enumerate() {
        let Some(turn) = rewriter.definition_by(args[i], "transpose").filter(|_| rewriter.is_local(args[i]))
        else {
            continue;
        };
        // Dimension `i` of what is read is that of the source at this place.
        let perm = in_order(turn.attrs.ints("perm")?, attrs.ints(name))?;
        if is_dense(&perm) && !meet(rewriter, turn.args[0], &perm) {
            args[i] = turn.args[0];
            attrs = attrs.with(name, perm);
            changed = true;
        }
    }
    changed.then(|| rewriter.emit("attention", attrs, &args)).flatten()
}

/// Takes the transpose of a result in, where rows of it stay rows.
fn write_in_place(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let inner = own(rewriter, call.args[0], "attention").filter(|it| is_fused(&it.attrs))?;
    let turn = call.attrs.ints("perm")?;
    let perm = match inner.attrs.ints("out_perm") {
        None => turn.to_vec(),
        Some(own) => in_order(own, Some(turn))?,
    };
    let attrs = inner.attrs.with("out_perm", perm);
    keeps_neighbours(&attrs).then(|| rewriter.emit("attention", attrs, &inner.args)).flatten()
}

/// Whether rows or columns of the matrices are neighbours in memory.
fn is_dense(perm: &[i64]) -> bool {
    let last = perm.len() as i64 - 1;
    perm.iter().rev().take(2).any(|it| *it == last)
}

/// Whether lines of the matrices, rows or columns, are so far apart in memory that the cache has one set for all of them: then
/// a copy is faster than reading them many times.
fn meet(rewriter: &mut dyn Rewriter, source: Value, perm: &[i64]) -> bool {
    let ty = rewriter.ty(source);
    let Some((bits, own)) = ty.as_tensor().and_then(|it| Some((it.dtype.bits(), it.dims()?))) else {
        return false;
    };
    let lines = perm.iter().rev().take(2).copied().min().and_then(|it| usize::try_from(it).ok());
    let step = lines.and_then(|at| own.get(at + 1..)).and_then(|inner| {
        let extents = inner.iter().map(|it| rewriter.shapes().as_int(*it));
        extents.product::<Option<i64>>()?.checked_mul(bits as i64 / 8)
    });
    step.is_some_and(|it| it > 0 && it % SET == 0)
}

/// Whether what the attributes say of transposes is read and written in place (law AK3).
pub(crate) fn keeps_neighbours(attrs: &Attrs) -> bool {
    let written = |perm: &[i64]| perm.last() == Some(&(perm.len() as i64 - 1));
    ATTENTION_PERMS.iter().all(|it| attrs.ints(it).is_none_or(is_dense))
        && attrs.ints("out_perm").is_none_or(written)
}

/// The dimensions of an operand as it is read.
fn read(rewriter: &mut dyn Rewriter, call: &OpCall, i: usize) -> Option<Vec<Dim>> {
    let own = super::dims(rewriter, *call.args.get(i)?)?;
    in_order(&own, call.attrs.ints(ATTENTION_PERMS[i]))
}

/// Elements in the order of a permutation, if there is one.
fn in_order<T: Copy>(own: &[T], perm: Option<&[i64]>) -> Option<Vec<T>> {
    match perm {
        None => Some(own.to_vec()),
        Some(perm) => perm.iter().map(|it| own.get(usize::try_from(*it).ok()?).copied()).collect(),
    }
}

fn shapes_fit(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<bool> {
    let (q, k, v) = (read(rewriter, call, 0)?, read(rewriter, call, 1)?, read(rewriter, call, 2)?);
    let mask = match call.args.get(3) {
        Some(mask) => Some(super::dims(rewriter, *mask)?),
        None => None,
    };
    let ty = rewriter.ty(call.result);
    let ty = ty.as_tensor()?;
    let own = ty.dims()?;
    let out = match call.attrs.ints("out_perm") {
        None => own.to_vec(),
        Some(perm) => in_order(own, Some(&inverse(perm)?))?,
    };
    let operands = Operands { q: &q, k: &k, v: &v, mask: mask.as_deref(), out: &out };
    Some(operands.fit(rewriter.shapes(), ty.dtype))
}

/// The permutation that undoes one.
fn inverse(perm: &[i64]) -> Option<Vec<i64>> {
    let mut inverse = vec![0; perm.len()];
    for (i, it) in perm.iter().enumerate() {
        *inverse.get_mut(usize::try_from(*it).ok()?)? = i as i64;
    }
    Some(inverse)
}

/// Dimensions of the operands as they are read, and of the result before it is transposed.
pub(crate) struct Operands<'a> {
    pub q: &'a [Dim],
    pub k: &'a [Dim],
    pub v: &'a [Dim],
    pub mask: Option<&'a [Dim]>,
    pub out: &'a [Dim],
}

impl Operands<'_> {
    /// Whether the routine computes such an operator (law AK2).
    pub(crate) fn fit(&self, shapes: &ShapeCx, dtype: DType) -> bool {
        let Operands { q, k, v, mask, out } = self;
        if !dtype.is_float() || !(16..=32).contains(&dtype.bits()) {
            return false;
        }
        let is_one = |dim: Dim| shapes.as_int(dim) == Some(1);
        // Dimensions before the last two are those of the result, or 1.
        let spreads = |own: &[Dim]| {
            let mut pairs = own.iter().rev().zip(out.iter().rev()).skip(2);
            own.len() <= out.len() && pairs.all(|(own, whole)| own == whole || is_one(*own))
        };
        let ([.., queries, d], [.., keys, of_keys], [.., of_values, e], [.., rows, columns]) = (q, k, v, out)
        else {
            return false;
        };
        let shown = mask.is_none_or(|mask| {
            let rows = mask.iter().rev().nth(1);
            mask.last() == Some(keys) && rows.is_none_or(|it| it == queries || is_one(*it)) && spreads(mask)
        });
        let same = [(d, of_keys), (keys, of_values), (queries, rows), (e, columns)];
        shown && same.iter().all(|(a, b)| a == b) && [q, k, v].into_iter().all(|it| spreads(it))
    }
}
