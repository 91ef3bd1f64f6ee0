//! An operator from outside, in one registration.

use orogen_ir::ops::{EvaluateFn, OpDef};
use orogen_passes::rules::legalize::LegalizeFn;

/// All that the compiler has to know of an operator: what it is, what it computes, and what it becomes.
///
/// ```
/// use orogen::prelude::*;
///
/// /// `clip1(x) = min(x, 1)`.
/// const CLIP1: Operator = Operator {
///     def: OpDef::pure("acme.clip1", Arity::exactly(1), &[], |cx| Ok(smallvec![cx.args[0].clone()])).by_element(),
///     evaluate: Some(|_, args| {
///         let x = &args[0];
///         Ok(vec![TensorData::from_f64(x.dtype(), x.dims(), x.to_f64().into_iter().map(|it| it.min(1.0)))])
///     }),
///     lower: Some(|mut cx| {
///         let (x, _) = cx.operand(0)?;
///         let out = cx.output(0)?;
///         cx.b.fill(out, |b, at| {
///             let (x, one) = (b.load(x, at.iter().copied())?, b.number(1.0, b.buffer_dtype(x)));
///             b.binary(BinaryOp::Min, x, one)
///         })?;
///         cx.finish()
///     }),
/// };
///
/// let compiler = Compiler::builder().operator(CLIP1).build()?;
/// assert!(compiler.ops().find("acme.clip1").is_some());
/// # Ok::<(), Diagnostics>(())
/// ```
#[derive(Clone, Debug)]
pub struct Operator {
    /// Name, operands, attributes, effects and inference. Names of operators from outside hold a dot.
    pub def: OpDef,
    /// What it computes, on constants. Constants fold through it, and the reference interpreter runs it; without it
    /// neither does.
    pub evaluate: Option<EvaluateFn>,
    /// The kernel that it becomes. Without it a pass or a rule must have replaced the operator before legalisation.
    pub lower: Option<LegalizeFn>,
}
