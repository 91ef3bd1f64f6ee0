//! Evaluating operators on constants while a model is compiled.
//!
//! # Laws
//! * **E1** Nothing is evaluated before its cost is known and taken from the [`Budget`].
//! * **E2** A result has the type that inference gave it, or it is not used.

use super::{Budget, Cost, OpId, OpRegistry};
use crate::shape::ShapeCx;
use crate::types::{Attrs, DType, Source, TensorData, TensorType, Type};
use smallvec::SmallVec;
use std::fmt;

/// What is known of a tensor before it is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    /// Element type.
    pub dtype: DType,
    /// Extents, when all are known numbers.
    pub dims: Option<SmallVec<[u64; 4]>>,
}

impl Outline {
    /// Of a type in its context; `None` when it is no tensor.
    pub fn of(shapes: &ShapeCx, ty: &Type) -> Option<Self> {
        let ty = ty.as_tensor()?;
        Some(Outline { dtype: ty.dtype, dims: ty.static_dims(shapes) })
    }

    /// Of several types; `None` when one is no tensor.
    pub fn all(shapes: &ShapeCx, types: &[Type]) -> Option<Vec<Self>> {
        types.iter().map(|ty| Self::of(shapes, ty)).collect()
    }

    /// Bytes of the tensor, when its extents are known and the number does not overflow.
    pub fn bytes(&self) -> Option<usize> {
        TensorData::byte_count(self.dtype, self.dims.as_ref()?)
    }

    fn admits(&self, data: &TensorData) -> bool {
        data.dtype() == self.dtype && self.dims.as_ref().is_none_or(|it| data.dims() == &it[..])
    }
}

/// An operator on constants, and what is known of its results.
#[derive(Clone, Copy, Debug)]
pub struct OnConstants<'a> {
    /// The operator.
    pub op: OpId,
    /// Its attributes.
    pub attrs: &'a Attrs,
    /// Its operands.
    pub args: &'a [TensorData],
    /// Its results, as far as inference knows them.
    pub results: &'a [Outline],
}

/// Evaluates operators on constants. Builders and passes get one injected, so they do not depend on any executor.
pub trait Evaluator {
    /// The results of an operator on constants.
    ///
    /// # Errors
    /// When there is no result, and why.
    fn evaluate(
        &self,
        ops: &OpRegistry,
        op: OpId,
        attrs: &Attrs,
        args: &[TensorData],
    ) -> Result<Vec<TensorData>, String>;

    /// What [`evaluate`](Self::evaluate) costs at most; `None` when that cannot be said. `results` are the results as far
    /// as inference knows them.
    fn cost(
        &self,
        ops: &OpRegistry,
        op: OpId,
        attrs: &Attrs,
        args: &[TensorData],
        results: &[Outline],
    ) -> Option<Cost>;
}

/// An evaluator, when there is one, and the budget it spends.
#[derive(Clone, Default)]
pub struct Folding<'a> {
    /// Without one nothing is evaluated.
    pub evaluator: Option<&'a dyn Evaluator>,
    /// What may be spent.
    pub budget: Budget,
}

impl fmt::Debug for Folding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folding").field("budget", &self.budget).finish_non_exhaustive()
    }
}

impl Folding<'_> {
    /// The results of an operation on constants; `None` when there is no evaluator, the operator has effects, it has no
    /// result, or the budget does not allow it. `place` names the operation for the remark.
    pub fn fold(&self, ops: &OpRegistry, call: &OnConstants<'_>, place: &Source) -> Option<Vec<TensorData>> {
        let OnConstants { op, attrs, args, results } = *call;
        let evaluator = self.evaluator?;
        let def = ops.def(op);
        if !def.effects.allowed_in_dataflow() {
            return None;
        }
        let cost = evaluator.cost(ops, op, attrs, args, results)?;
        let fits = match place.is_empty() {
            true => self.budget.compute(cost, &format!("`{}`", def.name)),
            false => self.budget.compute(cost, &format!("`{}` of {place}", def.name)),
        };
        if !fits {
            return None;
        }
        let found = evaluator.evaluate(ops, op, attrs, args).ok()?;
        let as_inferred =
            found.len() == results.len() && results.iter().zip(&found).all(|(a, b)| a.admits(b));
        as_inferred.then_some(found)
    }

    /// The same for an operation that is being built, when its results are small enough to be sizes, axes, conditions and
    /// the like, or when their shapes are not known without evaluating.
    pub fn fold_small(
        &self,
        ops: &OpRegistry,
        call: &OnConstants<'_>,
        place: &Source,
    ) -> Option<Vec<TensorData>> {
        let small = |it: &Outline| match &it.dims {
            Some(dims) => {
                let count = dims.iter().try_fold(1u64, |n, it| n.checked_mul(*it));
                count.is_some_and(|it| it <= TensorType::MAX_ELEMENTS as u64)
            }
            None => true,
        };
        // Quantised constants stay integers until rules have seen them.
        match call.results.iter().all(small) && !ops.def(call.op).name.starts_with("dequantize") {
            true => self.fold(ops, call, place),
            false => None,
        }
    }
}
