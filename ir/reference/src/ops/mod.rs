//! Evaluation of operators, each straight from its definition; one file per family.

mod attention;
mod conv;
mod cost;
mod elementwise;
mod generate;
mod index;
mod linalg;
mod norm;
mod outside;
mod pool;
mod quantized;
mod reduce;
mod resize;
mod rnn;
mod scatter;
mod selection;
mod shape;
mod tensor;
mod trees;

pub use cost::eval_cost;
pub(crate) use elementwise::with_bits;
pub(crate) use selection::top_k;
pub(crate) use trees::tree_ensemble;

use crate::error::{EvalError, EvalResult};
use orogen_ir::ops::{OpId, OpRegistry};
use orogen_ir::types::{Attrs, DType, TensorData, Texts};

/// Evaluates an operator of a registry on operands of known data.
///
/// Operators beyond the standard ones are evaluated as the registry says, and their results must be what inference
/// promises; without [`OpRegistry::set_evaluation`] they are unsupported.
pub fn eval_op(
    registry: &OpRegistry,
    op: OpId,
    attrs: &Attrs,
    args: &[TensorData],
) -> Result<Vec<TensorData>, EvalError> {
    match registry.evaluation(op) {
        Some(evaluate) => outside::eval(registry, op, evaluate, attrs, args),
        None => eval_named(registry.def(op).name, attrs, args),
    }
}

/// Evaluates the standard operator called `name`.
pub fn eval_named(name: &str, attrs: &Attrs, args: &[TensorData]) -> Result<Vec<TensorData>, EvalError> {
    // Loops over an empty tensor still run over its other dimensions, so these are bounded too.
    let extent =
        |x: &TensorData| x.dims().iter().filter(|it| **it > 0).try_fold(1_u64, |n, it| n.checked_mul(*it));
    if args.iter().any(|it| extent(it).is_none_or(|n| n > 1 << 33)) {
        return Err(EvalError::too_large());
    }
    // Operators move strings by their numbers in one table.
    let mut texts = Texts::default();
    let mut numbered = |it: &TensorData| match it.dtype() {
        DType::Str => tensor::numbered(it.dims(), texts.numbers(it)),
        _ => Ok(it.clone()),
    };
    let args: Vec<TensorData> = args.iter().map(&mut numbered).collect::<EvalResult<_>>()?;
    let text = |it: TensorData| match it.dtype() {
        DType::Str => texts.tensor(it.dims(), it.bytes()).ok_or_else(|| EvalError::invalid("no string")),
        _ => Ok(it),
    };
    let results = eval_family(&OpCx { name, attrs, args: &args })?;
    results.into_iter().map(text).collect()
}

fn eval_family(cx: &OpCx<'_>) -> EvalResult<Vec<TensorData>> {
    let families = [
        elementwise::eval,
        reduce::eval,
        linalg::eval,
        attention::eval,
        conv::eval,
        pool::eval,
        quantized::eval,
        norm::eval,
        resize::eval,
        rnn::eval,
        shape::eval,
        index::eval,
        scatter::eval,
        selection::eval,
        trees::eval,
        generate::eval,
    ];
    for family in families {
        if let Some(result) = family(cx) {
            return result.map_err(|it| it.within(format!("operator `{}`", cx.name)));
        }
    }
    Err(EvalError::unsupported(format!("operator `{}` has no reference evaluation", cx.name)))
}

/// What a family returns: `None` when the operator is not one of its own.
type FamilyResult = Option<EvalResult<Vec<TensorData>>>;

/// One call of an operator.
#[derive(Clone, Copy)]
struct OpCx<'a> {
    name: &'a str,
    attrs: &'a Attrs,
    args: &'a [TensorData],
}

impl<'a> OpCx<'a> {
    /// Operand `i`.
    fn arg(&self, i: usize) -> EvalResult<&'a TensorData> {
        self.args.get(i).ok_or_else(|| EvalError::invalid(format!("operand {i} is missing")))
    }

    /// Operand `i`, which must be of a float type.
    fn float_arg(&self, i: usize) -> EvalResult<&'a TensorData> {
        let x = self.arg(i)?;
        match x.dtype().is_float() {
            true => Ok(x),
            false => Err(EvalError::invalid(format!("operand {i} is {} but must be a float", x.dtype()))),
        }
    }

    /// Operand `i`, which must be of an integer type.
    fn int_arg(&self, i: usize) -> EvalResult<&'a TensorData> {
        let x = self.arg(i)?;
        match x.dtype().is_int() {
            true => Ok(x),
            false => Err(EvalError::invalid(format!("operand {i} is {} but must be an integer", x.dtype()))),
        }
    }

    /// Operand `i`, which must have one element.
    fn single(&self, i: usize) -> EvalResult<&'a TensorData> {
        let x = self.arg(i)?;
        match x.len() {
            1 => Ok(x),
            n => Err(EvalError::invalid(format!("operand {i} has {n} elements but must have one"))),
        }
    }

    /// The elements of the integer operand `i`.
    fn list(&self, i: usize) -> EvalResult<Vec<i64>> {
        Ok(tensor::ints(self.int_arg(i)?))
    }

    /// The same of indices: one without a sign that is no i64 is beyond every size, not before an end.
    fn indices(&self, i: usize) -> EvalResult<Vec<i64>> {
        let list = self.list(i)?;
        match list.iter().find(|it| **it < 0) {
            Some(wrong) if !self.int_arg(i)?.dtype().is_signed_int() => {
                Err(EvalError::out_of_range(format!("index {wrong} is out of range for all sizes")))
            }
            _ => Ok(list),
        }
    }

    /// The element type that all operands share.
    fn same_dtype(&self, operands: impl IntoIterator<Item = usize>) -> EvalResult<DType> {
        let mut found = None;
        for i in operands {
            let dtype = self.arg(i)?.dtype();
            match found {
                Some(other) if other != dtype => {
                    return Err(EvalError::invalid(format!("operand {i} is {dtype} beside {other}")));
                }
                _ => found = Some(dtype),
            }
        }
        found.ok_or_else(|| EvalError::invalid("there are no operands"))
    }

    /// The dimensions of operand `i`, which must have rank `rank`.
    fn ranked(&self, i: usize, rank: usize) -> EvalResult<Vec<usize>> {
        let dims = tensor::dims_of(self.arg(i)?);
        match dims.len() {
            found if found == rank => Ok(dims),
            found => Err(EvalError::invalid(format!("operand {i} has rank {found} but must have {rank}"))),
        }
    }

    /// A boolean attribute, false when left out.
    fn flag(&self, name: &str) -> bool {
        self.attrs.bool(name).unwrap_or(false)
    }

    /// An axis below `rank`.
    fn axis(&self, name: &str, rank: usize) -> EvalResult<usize> {
        let axis = self.attrs.int(name);
        let found = axis.and_then(|it| usize::try_from(it).ok()).filter(|it| *it < rank);
        found.ok_or_else(|| EvalError::invalid(format!("attribute `{name}` is no axis of rank {rank}")))
    }

    /// Distinct axes below `rank`.
    fn axes(&self, name: &str, rank: usize) -> EvalResult<Vec<usize>> {
        let mut axes = Vec::new();
        for axis in self.attrs.ints(name).unwrap_or_default() {
            match usize::try_from(*axis) {
                Ok(it) if it < rank && !axes.contains(&it) => axes.push(it),
                _ => return Err(EvalError::invalid(format!("attribute `{name}` is no axes of rank {rank}"))),
            }
        }
        Ok(axes)
    }

    /// `n` integers, `default` when left out.
    fn ints(&self, name: &str, n: usize, default: i64) -> EvalResult<Vec<i64>> {
        match self.attrs.ints(name) {
            None => Ok(vec![default; n]),
            Some(list) if list.len() == n => Ok(list.to_vec()),
            Some(list) => {
                Err(EvalError::invalid(format!("attribute `{name}` has {} entries, not {n}", list.len())))
            }
        }
    }

    /// A text attribute; `default` when left out.
    fn text(&self, name: &str, default: &'a str) -> &'a str {
        self.attrs.str(name).unwrap_or(default)
    }
}

#[cfg(test)]
mod testing;
