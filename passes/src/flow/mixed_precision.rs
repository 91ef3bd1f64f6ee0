//! Operators compute in a narrow float type where a policy admits it.
//!
//! What: operators on f32 that the [policy](PrecisionPolicy) says so are given operands of f16 or bf16 and give such
//! results; inputs and outputs keep their types, and sums inside an operator stay in f32. Constants are converted at
//! compile time, so that weights take half the memory.
//! When: what reads weights once is bound by memory (a step of decoding), or the machine multiplies the type natively.
//! Laws: a value is rounded to the narrow type at most once for each operator that computes it; an operator that the policy
//! keeps in f32 sees the rounded values as f32. Class: approximates, by 2¹⁶ units of f32 for bf16 and 2¹³ for f16, for each
//! operator that rounds.

use crate::manager::{Changed, Facts, Pass, PassCx};
use crate::rules::precision::{Precision, PrecisionPolicy};
use indexmap::IndexMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{BindingId, BlockId, BlockKind, Editor, Module, Rhs, ValueId};
use orogen_ir::types::{Attrs, DType, TensorData};

/// Computes in a narrow type what a policy admits.
#[derive(Clone, Debug)]
pub struct MixedPrecision {
    to: DType,
    policy: PrecisionPolicy,
}

impl MixedPrecision {
    /// With this narrow type and policy.
    ///
    /// # Errors
    /// `N031`: a type that is neither f16 nor bf16.
    pub fn new(to: DType, policy: PrecisionPolicy) -> Result<Self, Diagnostic> {
        if !to.is_float_of(&[16]) {
            let message = format!("mixed precision computes in f16 or bf16, not in {to}");
            return Err(Diagnostic::error("N031", message));
        }
        Ok(MixedPrecision { to, policy })
    }
}

impl Pass<Module> for MixedPrecision {
    fn name(&self) -> &'static str {
        "mixed-precision"
    }

    fn facts(&self) -> Facts {
        Facts::OVER_OPERATORS
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut changed = false;
        module.edit(cx.ops, |editor| -> Result<(), Diagnostic> {
            for block in editor.blocks() {
                if editor.kind(block) == BlockKind::Dataflow {
                    changed |= self.block(editor, block)?;
                }
            }
            Ok(())
        })?;
        if changed {
            module.remove_dead_code(cx.ops);
        }
        Ok(changed.into())
    }
}

/// Values of f32 that are there in the narrow type too.
type Narrow = IndexMap<ValueId, ValueId>;

impl MixedPrecision {
    fn block(&self, editor: &mut Editor<'_>, block: BlockId) -> Result<bool, Diagnostic> {
        let (mut narrow, mut changed) = (Narrow::new(), false);
        for id in editor.order(block) {
            changed |= self.binding(editor, id, &mut narrow)?;
        }
        Ok(changed)
    }

    fn binding(
        &self,
        editor: &mut Editor<'_>,
        id: BindingId,
        narrow: &mut Narrow,
    ) -> Result<bool, Diagnostic> {
        let binding = editor.binding(id);
        let Rhs::Op { op, attrs, args } = binding.rhs.clone() else { return Ok(false) };
        let precision = self.policy.of(op);
        let wide: Vec<ValueId> = args.iter().copied().filter(|it| is_f32(editor, *it)).collect();
        let [result] = binding.results[..] else { return Ok(false) };
        let ready = |it: &ValueId| narrow.contains_key(it);
        let follows =
            wide.iter().any(ready) && wide.iter().all(|it| ready(it) || editor.constant_data(*it).is_some());
        let narrows = match precision {
            Precision::Always => true,
            Precision::Follow => follows,
            Precision::Never => false,
        };
        if !narrows || !is_f32(editor, result) || !editor.binds(id).is_empty() {
            return Ok(false);
        }
        editor.before(id);
        let mut given = Vec::with_capacity(args.len());
        for arg in args {
            given.push(if is_f32(editor, arg) { self.narrowed(editor, arg, narrow)? } else { arg });
        }
        let Some(low) = editor.op_without_checks(op, attrs, &given) else { return Ok(false) };
        let ops = editor.ops();
        let high = editor.op(ops.get("cast"), Attrs::none().with("to", DType::F32), &[low])?[0];
        editor.replace(result, high);
        editor.remove(id);
        narrow.insert(high, low);
        Ok(true)
    }

    /// A value in the narrow type, converted before the operation at hand where it is not there yet.
    fn narrowed(
        &self,
        editor: &mut Editor<'_>,
        value: ValueId,
        narrow: &mut Narrow,
    ) -> Result<ValueId, Diagnostic> {
        if let Some(known) = narrow.get(&value) {
            return Ok(*known);
        }
        let data = editor.constant_data(value);
        let data = data.map(|it| TensorData::from_f64(self.to, it.dims(), it.to_f64()));
        let ops = editor.ops();
        let low = match data {
            Some(data) => editor.constant("", data),
            None => editor.op(ops.get("cast"), Attrs::none().with("to", self.to), &[value])?[0],
        };
        narrow.insert(value, low);
        Ok(low)
    }
}

fn is_f32(editor: &Editor<'_>, value: ValueId) -> bool {
    editor.type_of(value).as_tensor().is_some_and(|it| it.dtype == DType::F32)
}
