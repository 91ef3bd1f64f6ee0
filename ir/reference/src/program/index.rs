//! Index expressions with the values of sizes and loops filled in.

use crate::error::{EvalError, EvalResult};
use orogen_ir::shape::{Atom, Dim, Env, ShapeCx, Sym, broadcast_extents};

/// A function of the axes of one stage.
#[derive(Clone, Debug)]
pub(crate) enum IndexFn {
    /// `base + Σ coefficient · axis`.
    Affine { base: i64, terms: Vec<(usize, i64)> },
    /// Anything else.
    Sum { base: i64, terms: Vec<(i64, Vec<Node>)> },
}

/// A factor of a product.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Axis(usize),
    FloorDiv(IndexFn, IndexFn),
    Min(Vec<IndexFn>),
    Max(Vec<IndexFn>),
    Broadcast(Vec<IndexFn>),
}

/// Compiles `dim`. Symbols are either `axes`, by position, or have a value in `env`.
pub(crate) fn compile(shapes: &ShapeCx, dim: Dim, axes: &[Sym], env: &Env) -> EvalResult<IndexFn> {
    let poly = shapes.poly(dim);
    let mut base = poly.constant();
    let mut terms = Vec::new();
    for (factors, coefficient) in poly.terms() {
        let mut scale = coefficient;
        let mut nodes = Vec::new();
        for (atom, power) in factors {
            match compile_atom(shapes, shapes.atom(*atom), axes, env)? {
                Factor::Known(value) => {
                    for _ in 0..*power {
                        scale = scale.checked_mul(value).ok_or_else(overflow)?;
                    }
                }
                Factor::Open(node) => nodes.extend(std::iter::repeat_n(node, *power as usize)),
            }
        }
        if nodes.is_empty() {
            base = base.checked_add(scale).ok_or_else(overflow)?;
        } else {
            terms.push((scale, nodes));
        }
    }
    let affine: Option<Vec<(usize, i64)>> = terms
        .iter()
        .map(|(scale, nodes)| match nodes[..] {
            [Node::Axis(axis)] => Some((axis, *scale)),
            _ => None,
        })
        .collect();
    Ok(match affine {
        Some(terms) => IndexFn::Affine { base, terms },
        None => IndexFn::Sum { base, terms },
    })
}

enum Factor {
    Known(i64),
    Open(Node),
}

fn compile_atom(shapes: &ShapeCx, atom: &Atom, axes: &[Sym], env: &Env) -> EvalResult<Factor> {
    let list = |dims: &[Dim]| -> EvalResult<Vec<IndexFn>> {
        dims.iter().map(|it| compile(shapes, *it, axes, env)).collect()
    };
    let node = match atom {
        Atom::Sym(sym) => {
            if let Some(axis) = axes.iter().position(|it| it == sym) {
                return Ok(Factor::Open(Node::Axis(axis)));
            }
            let name = shapes.display_sym(*sym);
            let value = env.get(*sym);
            return value
                .map(Factor::Known)
                .ok_or_else(|| EvalError::invalid(format!("`{name}` is not bound")));
        }
        Atom::FloorDiv(a, k) => {
            let divisor = IndexFn::Affine { base: *k, terms: Vec::new() };
            Node::FloorDiv(compile(shapes, *a, axes, env)?, divisor)
        }
        Atom::FloorDivSym(a, b) => {
            Node::FloorDiv(compile(shapes, *a, axes, env)?, compile(shapes, *b, axes, env)?)
        }
        Atom::Min(dims) => Node::Min(list(dims)?),
        Atom::Max(dims) => Node::Max(list(dims)?),
        Atom::Broadcast(dims) => Node::Broadcast(list(dims)?),
    };
    let constant = match &node {
        Node::Axis(_) => false,
        Node::FloorDiv(a, b) => a.is_constant() && b.is_constant(),
        Node::Min(list) | Node::Max(list) | Node::Broadcast(list) => list.iter().all(IndexFn::is_constant),
    };
    if constant { node.value(&[]).map(Factor::Known) } else { Ok(Factor::Open(node)) }
}

impl IndexFn {
    fn is_constant(&self) -> bool {
        matches!(self, IndexFn::Affine { terms, .. } if terms.is_empty())
    }

    /// The least and greatest value over axes from 0 to `extents` − 1, which are not empty; `None` unless affine.
    pub(crate) fn range(&self, extents: &[i64]) -> Option<(i128, i128)> {
        let IndexFn::Affine { base, terms } = self else { return None };
        let mut range = (i128::from(*base), i128::from(*base));
        for (axis, coefficient) in terms {
            let last = (i128::from(extents[*axis]) - 1) * i128::from(*coefficient);
            range = (range.0 + last.min(0), range.1 + last.max(0));
        }
        Some(range)
    }

    /// The value where the axes have these values.
    pub(crate) fn value(&self, axes: &[i64]) -> EvalResult<i64> {
        match self {
            IndexFn::Affine { base, terms } => {
                let mut sum = *base;
                for (axis, coefficient) in terms {
                    let term = axes[*axis].checked_mul(*coefficient);
                    sum = term.and_then(|it| sum.checked_add(it)).ok_or_else(overflow)?;
                }
                Ok(sum)
            }
            IndexFn::Sum { base, terms } => {
                let mut sum = *base;
                for (coefficient, nodes) in terms {
                    let mut product = *coefficient;
                    for node in nodes {
                        product = product.checked_mul(node.value(axes)?).ok_or_else(overflow)?;
                    }
                    sum = sum.checked_add(product).ok_or_else(overflow)?;
                }
                Ok(sum)
            }
        }
    }
}

impl Node {
    fn value(&self, axes: &[i64]) -> EvalResult<i64> {
        match self {
            Node::Axis(axis) => Ok(axes[*axis]),
            Node::FloorDiv(a, b) => {
                let (a, b) = (a.value(axes)?, b.value(axes)?);
                let quotient = a.checked_div(b);
                let quotient = quotient.ok_or_else(|| EvalError::out_of_range("an index divides by zero"))?;
                let below = a % b != 0 && (a < 0) != (b < 0);
                Ok(quotient - i64::from(below))
            }
            Node::Min(list) => extremum(list, axes, i64::min),
            Node::Max(list) => extremum(list, axes, i64::max),
            Node::Broadcast(list) => {
                let apart = || EvalError::out_of_range("the extents do not broadcast");
                list.iter()
                    .try_fold(1, |extent, it| broadcast_extents(extent, it.value(axes)?).ok_or_else(apart))
            }
        }
    }
}

fn extremum(list: &[IndexFn], axes: &[i64], choose: fn(i64, i64) -> i64) -> EvalResult<i64> {
    let mut result = None;
    for it in list {
        let value = it.value(axes)?;
        result = Some(result.map_or(value, |best| choose(best, value)));
    }
    result.ok_or_else(|| EvalError::invalid("a minimum or maximum of nothing"))
}

/// The row-major position of an index as one affine function, when every index is affine and in range wherever the
/// axes run from 0 to `extents` − 1.
pub(crate) fn linear(at: &[&IndexFn], dims: &[u64], extents: &[i64]) -> Option<IndexFn> {
    let (mut base, mut terms, mut stride) = (0_i64, Vec::new(), 1_i64);
    for (index, dim) in at.iter().zip(dims).rev() {
        let (low, high) = index.range(extents)?;
        let IndexFn::Affine { base: own, terms: own_terms } = index else { return None };
        if low < 0 || high >= i128::from(*dim) {
            return None;
        }
        base = base.checked_add(own.checked_mul(stride)?)?;
        for (axis, coefficient) in own_terms {
            terms.push((*axis, coefficient.checked_mul(stride)?));
        }
        stride = stride.checked_mul(i64::try_from(*dim).ok()?)?;
    }
    Some(IndexFn::Affine { base, terms })
}

fn overflow() -> EvalError {
    EvalError::out_of_range("an index overflows 64-bit integers")
}
