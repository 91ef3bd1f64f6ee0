//! Numbers that are scaled block by block of an axis: one stage, or a contraction.
//!
//! Where an axis is whole blocks it is two axes, so that every index is linear in them: `x[outer · block + inner]` with
//! `scale[outer]`.

use super::context::overflow;
use super::contraction::{batch_index, product};
use super::quantized::centred;
use super::{LegalizeFn, Legalizer, Lowering};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{Axis, BinaryOp, BufferId, BuildResult, Combine, ExprId};
use orogen_ir::shape::Dim;
use orogen_ir::types::{DType, Dims};

pub(super) const ROWS: &[(&str, LegalizeFn)] =
    &[("dequantize_blocks", dequantize_blocks), ("matmul_blocks", matmul_blocks)];

/// An axis of blocks.
struct Blocks {
    axes: Vec<Axis>,
    /// Where its elements are.
    at: Dim,
    /// Which block that is.
    block: Dim,
}

impl Blocks {
    fn new(cx: &mut Legalizer<'_>, extent: Dim) -> BuildResult<Blocks> {
        let length = cx.block();
        if let Some(n) = cx.as_int(extent).filter(|it| it % length == 0 && *it > length) {
            let [count, length] = [n / length, length].map(|it| cx.b.shapes().int(it));
            let axes = vec![cx.b.axis("b", count), cx.b.axis("k", length)];
            let (block, inside) = (cx.b.var(axes[0]), cx.b.var(axes[1]));
            let first = cx.linear(block, cx.block(), 0)?;
            return Ok(Blocks { axes, at: cx.add(first, inside)?, block });
        }
        let axis = cx.b.axis("k", extent);
        let at = cx.b.var(axis);
        let block = cx.b.shapes().floor_div(at, length).map_err(overflow)?;
        Ok(Blocks { axes: vec![axis], at, block })
    }
}

impl Legalizer<'_> {
    fn block(&self) -> i64 {
        self.int_attr("block").unwrap_or(1).max(1)
    }

    /// `(x − zero) · scale` of a type.
    fn scaled(
        &mut self,
        x: ExprId,
        scale: BufferId,
        zero: Option<BufferId>,
        at: &Dims,
        dtype: DType,
    ) -> BuildResult<ExprId> {
        let mut value = x;
        if let Some(zero) = zero {
            let zero = self.b.load(zero, at.iter().copied())?;
            let [x, zero] = [x, zero].map(|it| self.b.cast(dtype, it));
            value = self.b.binary(BinaryOp::Sub, x, zero)?;
        }
        let scale = self.b.load(scale, at.iter().copied())?;
        let (value, scale) = (self.b.cast(dtype, value), self.b.cast(dtype, scale));
        self.b.binary(BinaryOp::Mul, value, scale)
    }
}

fn dequantize_blocks(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let out = cx.output(0)?;
    let (x, scale) = (cx.input_in_bytes(0)?, cx.input(1)?);
    let zero = if cx.has(2) { Some(cx.input_in_bytes(2)?) } else { None };
    let (dims, along) = (cx.b.buffer_dims(out), cx.axis_attr());
    let (mut axes, mut at, mut of_scale) = (Vec::new(), Dims::new(), Dims::new());
    for (i, dim) in dims.iter().enumerate() {
        if i == along {
            let blocks = Blocks::new(&mut cx, *dim)?;
            axes.extend(blocks.axes);
            at.push(blocks.at);
            of_scale.push(blocks.block);
        } else {
            let axis = cx.b.axis("i", *dim);
            axes.push(axis);
            at.push(cx.b.var(axis));
            of_scale.push(cx.b.var(axis));
        }
    }
    let to = cx.b.buffer_dtype(out);
    let mut value = cx.b.load(x, at.iter().copied())?;
    let mut zero = zero;
    // The difference of integers is exact.
    if let Some(point) = zero.filter(|it| cx.b.buffer_dtype(*it).is_int()) {
        let point = cx.b.load(point, of_scale.iter().copied())?;
        value = centred(&mut cx.b, value, Some(point))?;
        zero = None;
    }
    let value = cx.scaled(value, scale, zero, &of_scale, to.compute())?;
    let value = cx.b.cast(to, value);
    cx.b.stage(&axes, out, at, value)?;
    cx.finish()
}

/// One reduction stage over `a · ((b − zero) · scale)`.
fn matmul_blocks(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let ((a, a_dims), (b, b_dims)) = (cx.operand(0)?, cx.operand(1)?);
    let (scale, out) = (cx.input(2)?, cx.output(0)?);
    let zero = if cx.has(3) { Some(cx.input(3)?) } else { None };
    let out_dims = cx.b.buffer_dims(out);
    let rows = usize::from(a_dims.len() > 1);
    let mut axes = cx.b.axes("b", &out_dims[..out_dims.len() - 1 - rows]).to_vec();
    let batch = cx.b.vars(&axes);
    let sum = Blocks::new(&mut cx, b_dims[b_dims.len() - 2])?;
    let mut a_at = batch_index(&mut cx, &a_dims, &batch)?;
    let mut b_at = batch_index(&mut cx, &b_dims, &batch)?;
    if rows > 0 {
        let axis = cx.b.axis("m", a_dims[a_dims.len() - 2]);
        axes.push(axis);
        a_at.push(cx.b.var(axis));
    }
    let column = cx.b.axis("n", b_dims[b_dims.len() - 1]);
    axes.push(column);
    a_at.push(sum.at);
    let mut of_scale = b_at.clone();
    b_at.extend([sum.at, cx.b.var(column)]);
    of_scale.extend([sum.block, cx.b.var(column)]);
    let (a, b) = (cx.b.load(a, a_at)?, cx.b.load(b, b_at)?);
    let a = cx.b.cast(DType::F32, a);
    let b = cx.scaled(b, scale, zero, &of_scale, DType::F32)?;
    let value = product(&mut cx, a, b)?;
    let at = cx.b.vars(&axes);
    cx.reduce_into(&axes, &sum.axes, Combine::Sum, out, &at, value)?;
    cx.finish()
}
