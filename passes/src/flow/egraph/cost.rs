//! What an operation costs: arithmetic, bytes and launches at representative sizes, as one number.
//!
//! This is what proposes; whether what comes of it is better is said by `lowered`, which counts the kernels that are left.
//! The model is as simple as it can be and still tell apart what rules exchange:
//!
//! * What follows from constants alone is computed before any call and costs nothing, unless it is much larger than what
//!   it follows from. So do sizes that types know.
//! * `reshape`, `squeeze`, `unsqueeze` and transposes that only move dimensions of extent 1 are views: nothing.
//! * An elementwise operation is fused into the kernel of its largest operand: what remains is its arithmetic and reading
//!   the other operands.
//! * Moves of elements are kernels of their own, or are fused into what reads them ([`Moves`]): both are looked at.
//! * Everything else is a launch that reads its operands and writes its result; contractions count a multiplication
//!   and an addition for each of their terms, functions of a scalar weigh as much as [`weight`] says.
//!
//! Sizes: a symbol is [`REPRESENTATIVE`], moved into its known bounds.
//!
//! The five numbers are measured, as differences of programs that differ in one thing, on one core of a server of 2023 with
//! vectors of 512 bits: products of 128 to 512 rows take 9.0 to 9.5 ps for an operation; eight multiplications more in
//! a kernel over 65536 elements 12.1 ps each for an element, an exponential 165 ps, a quotient 35 ps more than a product;
//! a byte that is read or written in the second level cache 9.2 ps, transposed 13.8 ps; a kernel on four elements 48 ns.

use super::analysis::{Facts, Typed};
use orogen_ir::ops::{OpDef, OpId};
use orogen_ir::scalar::{BinaryOp, ScalarFn, UnaryOp};
use orogen_ir::shape::{Env, ShapeCx, Sym};
use orogen_ir::types::{Attrs, Type};
use std::fmt;
use std::iter::Sum;
use std::ops::Add;

/// The size that a symbol stands for where its bounds allow it.
const REPRESENTATIVE: i64 = 64;
/// What a constant may be larger than its operands together and still be computed before any call, in bytes.
pub(super) const FREE_BYTES: u64 = 1 << 16;

/// Picoseconds of a floating-point operation of a contraction.
const CONTRACTED: u64 = 9;
/// Picoseconds of a simple operation on one element elsewhere.
const ELEMENT: u64 = 12;
/// Picoseconds of a byte read or written.
const BYTE: u64 = 9;
/// Picoseconds of a launch.
const LAUNCH: u64 = 50_000;

/// What becomes of operations that only move elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moves {
    /// Each is a kernel.
    Apart,
    /// Each is part of how the kernel that reads it finds its elements.
    Fused,
}

/// What operations do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Operations of the program that do anything.
    pub nodes: u64,
    /// Multiplications and additions of contractions.
    pub flops: u64,
    /// Other operations on elements, weighted.
    pub elements: u64,
    /// Bytes read and written.
    pub bytes: u64,
    /// Kernels launched.
    pub launches: u64,
}

impl Work {
    /// One number for all, about the picoseconds on one core; what is compared.
    pub fn cost(&self) -> u64 {
        let part = |count: u64, each: u64| count.saturating_mul(each);
        // A node that costs nothing is still one more than none.
        self.nodes
            .saturating_add(part(self.flops, CONTRACTED))
            .saturating_add(part(self.elements, ELEMENT))
            .saturating_add(part(self.bytes, BYTE))
            .saturating_add(part(self.launches, LAUNCH))
    }
}

impl Add for Work {
    type Output = Work;

    fn add(self, other: Work) -> Work {
        Work {
            nodes: self.nodes.saturating_add(other.nodes),
            flops: self.flops.saturating_add(other.flops),
            elements: self.elements.saturating_add(other.elements),
            bytes: self.bytes.saturating_add(other.bytes),
            launches: self.launches.saturating_add(other.launches),
        }
    }
}

impl Sum for Work {
    fn sum<I: Iterator<Item = Work>>(iter: I) -> Work {
        iter.fold(Work::default(), Work::add)
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Work { nodes, flops, elements, bytes, launches } = self;
        write!(
            f,
            "{nodes} operations, {flops} flops, {elements} element steps, {bytes} bytes, {launches} launches, cost {}",
            self.cost()
        )
    }
}

/// Values of symbols at which costs are taken.
pub(super) fn representative(shapes: &ShapeCx) -> Env {
    let size = |sym: Sym| {
        let bounds = shapes.find_sym_dim(sym).map(|it| shapes.bounds(it));
        let (lo, hi) = bounds.map_or((None, None), |it| (it.lo, it.hi));
        REPRESENTATIVE.max(lo.unwrap_or(i64::MIN)).min(hi.unwrap_or(i64::MAX))
    };
    shapes.symbols().map(|sym| (sym, size(sym))).collect()
}

/// What an operation does.
pub(super) fn work(
    typed: &Typed<'_>,
    (env, moves): (&Env, Moves),
    op: OpId,
    attrs: &Attrs,
    args: &[&Facts],
    result: &Facts,
) -> Work {
    let def = typed.ops.def(op);
    let size = |ty: &Type| Size::of(&typed.shapes, env, ty);
    let out = size(&result.ty);
    let operands: Vec<Size> = args.iter().map(|it| size(&it.ty)).collect();
    let read: u64 = operands.iter().map(|it| it.bytes).fold(0, u64::saturating_add);
    let done = args.iter().all(|it| it.known) && out.bytes <= read.max(FREE_BYTES);
    let sizes = result.ty.as_tensor().is_some_and(|it| it.elements.is_some());
    if done || sizes || is_view(typed, env, def, attrs, args) {
        return Work { nodes: 1, ..Work::default() };
    }
    let launch = Work { nodes: 1, bytes: read.saturating_add(out.bytes), launches: 1, ..Work::default() };
    if def.elementwise {
        let largest = operands.iter().map(|it| it.bytes).max().unwrap_or(0);
        let elements = out.elements.saturating_mul(weight(def));
        return Work { elements, bytes: read - largest, launches: 0, ..launch };
    }
    let inner = |facts: &Facts, axis_from_end: usize| dim(&typed.shapes, env, &facts.ty, axis_from_end);
    match def.name {
        "matmul" | "matmul_integer" | "matmul_mixed" | "matmul_blocks" => {
            let terms = args.first().map_or(1, |it| inner(it, 1));
            Work { flops: out.elements.saturating_mul(terms).saturating_mul(2), ..launch }
        }
        "conv" | "conv_integer" | "conv_mixed" => {
            let filters = args.get(1).map_or(1, |it| first_dim(&typed.shapes, env, &it.ty)).max(1);
            let terms = operands.get(1).map_or(1, |it| it.elements) / filters;
            Work { flops: out.elements.saturating_mul(terms).saturating_mul(2), ..launch }
        }
        "conv_transpose" => {
            let inputs = args.get(1).map_or(1, |it| first_dim(&typed.shapes, env, &it.ty)).max(1);
            let terms = operands.get(1).map_or(1, |it| it.elements) / inputs;
            let points = operands.first().map_or(1, |it| it.elements);
            Work { flops: points.saturating_mul(terms).saturating_mul(2), ..launch }
        }
        "attention" => {
            let last = |i: usize| args.get(i).map_or(1, |it| last_dim(&typed.shapes, env, &it.ty)).max(1);
            let inner = operands.first().map_or(1, |it| it.elements) / last(0);
            let keys = operands.get(2).map_or(1, |it| it.elements) / last(2);
            let scores = inner.saturating_mul(keys);
            let flops = scores.saturating_mul(last(0).saturating_add(last(2))).saturating_mul(2);
            Work { flops, elements: scores.saturating_mul(16), ..launch }
        }
        "transpose" | "concat" | "slice" | "pad" | "tile" | "expand" | "gather" | "gather_elements"
        | "gather_nd" => match moves {
            Moves::Apart => Work {
                bytes: out.bytes.saturating_mul(2),
                elements: out.elements.saturating_mul(3),
                ..launch
            },
            Moves::Fused => Work { nodes: 1, elements: out.elements, ..Work::default() },
        },
        "softmax" | "log_softmax" | "layer_norm" => {
            Work { elements: out.elements.saturating_mul(32), ..launch }
        }
        _ => {
            let largest = operands.iter().map(|it| it.elements).max().unwrap_or(0);
            Work { elements: largest.max(out.elements), ..launch }
        }
    }
}

/// What an operator weighs, in simple operations.
fn weight(def: &OpDef) -> u64 {
    match (def.name, def.function) {
        ("rsqrt", _) => 4,
        (_, Some(function)) => weight_of(function),
        ("exp" | "log" | "tanh" | "erf" | "sin" | "cos" | "pow" | "sigmoid", _) => 16,
        _ => 1,
    }
}

/// What a function weighs, in simple operations.
pub(super) fn weight_of(function: ScalarFn) -> u64 {
    use {BinaryOp as B, UnaryOp as U};
    match function {
        ScalarFn::Unary(U::Sqrt | U::Reciprocal) | ScalarFn::Binary(B::Div | B::Mod | B::Fmod) => 4,
        // Functions that are computed by a polynomial have an error of a unit or more.
        ScalarFn::Unary(op) if op.row().ulp >= 1.0 => 14,
        ScalarFn::Binary(B::Pow) => 28,
        _ => 1,
    }
}

/// Whether the result is the operand's bytes under another shape.
fn is_view(typed: &Typed<'_>, env: &Env, def: &OpDef, attrs: &Attrs, args: &[&Facts]) -> bool {
    match def.name {
        "reshape" | "squeeze" | "unsqueeze" => true,
        "transpose" => {
            let Some(perm) = attrs.ints("perm") else { return false };
            let Some(dims) = args.first().and_then(|it| it.ty.as_tensor()?.dims()) else { return false };
            let is_long = |axis: &i64| {
                let dim = usize::try_from(*axis).ok().and_then(|it| dims.get(it));
                dim.and_then(|it| typed.shapes.eval(*it, env)) != Some(1)
            };
            perm.iter().filter(|it| is_long(it)).is_sorted()
        }
        _ => false,
    }
}

/// Elements and bytes of a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) elements: u64,
    pub(super) bytes: u64,
}

impl Size {
    pub(super) fn of(shapes: &ShapeCx, env: &Env, ty: &Type) -> Size {
        let Some(tensor) = ty.as_tensor() else { return Size { elements: 1, bytes: 8 } };
        let extent = |dim| extent(shapes.eval(dim, env));
        let dims = tensor.dims().unwrap_or_default();
        let elements = dims.iter().map(|it| extent(*it)).fold(1, u64::saturating_mul);
        let bits = elements.saturating_mul(u64::from(tensor.dtype.width()));
        Size { elements, bytes: bits.div_ceil(8) }
    }
}

pub(super) fn extent(value: Option<i64>) -> u64 {
    value.map_or(REPRESENTATIVE as u64, |it| u64::try_from(it).unwrap_or(0))
}

/// The extent of a dimension that is counted from the end, the last being 1.
fn dim(shapes: &ShapeCx, env: &Env, ty: &Type, from_end: usize) -> u64 {
    let dims = ty.as_tensor().and_then(|it| it.dims()).unwrap_or_default();
    dims.len().checked_sub(from_end).map_or(1, |at| extent(shapes.eval(dims[at], env)))
}

fn first_dim(shapes: &ShapeCx, env: &Env, ty: &Type) -> u64 {
    let dims = ty.as_tensor().and_then(|it| it.dims()).unwrap_or_default();
    dims.first().map_or(1, |it| extent(shapes.eval(*it, env)))
}

fn last_dim(shapes: &ShapeCx, env: &Env, ty: &Type) -> u64 {
    let dims = ty.as_tensor().and_then(|it| it.dims()).unwrap_or_default();
    dims.last().map_or(1, |it| extent(shapes.eval(*it, env)))
}
