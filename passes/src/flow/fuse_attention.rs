//! Attention as one kernel, which never holds all scores.
//!
//! What: operators `attention` become calls of the routine of that name, which reads queries, keys and values through
//! transposes of them and writes the result through one.
//! When: sequences are long, so that scores would go through memory. What is left are operators with few queries, of which
//! a product by itself reads each key once, those of few scores, which stay in the cache, and those whose leading
//! dimensions are not known to be the same or 1.
//! Laws:
//! * **AK1** A call has the operands of the operator, or what they are transposes of.
//! * **AK2** What is not known to fit the routine stays an operator.
//!
//! Class: reassociates; sums go block by block, and scores are not rounded to a narrow type.

use super::binding_of;
use crate::manager::{Changed, Facts, Pass, PassCx};
use crate::rules::kernels::KernelInterner;
use indexmap::IndexMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{BindingId, BlockKind, Editor, Module, Rhs, ValueId};
use orogen_ir::kernel::{Access, Routine, Signature};
use orogen_ir::shape::Dim;
use orogen_ir::types::{Attrs, Dims};

/// Makes kernels of attention.
#[derive(Clone, Copy, Debug)]
pub struct FuseAttention {
    queries: i64,
    scores: i64,
}

impl FuseAttention {
    /// Of operators that have no fewer queries than that, and no fewer scores in each head, or an unknown number.
    pub fn of_at_least(queries: i64, scores: i64) -> Self {
        FuseAttention { queries, scores }
    }
}

impl Pass<Module> for FuseAttention {
    fn name(&self) -> &'static str {
        "fuse-attention"
    }

    fn facts(&self) -> Facts {
        Facts::OVER_OPERATORS
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut kernels = KernelInterner::of(module.kernels());
        let mut changed = false;
        module.edit(cx.ops, |editor| -> Result<(), Diagnostic> {
            for block in editor.blocks() {
                if editor.kind(block) != BlockKind::Dataflow {
                    continue;
                }
                let order = editor.order(block);
                let transposes = transposes(editor, &order);
                for id in order {
                    changed |= self.operation(editor, &mut kernels, &transposes, id)?;
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

impl FuseAttention {
    fn operation(
        self,
        editor: &mut Editor<'_>,
        kernels: &mut KernelInterner,
        transposes: &IndexMap<ValueId, BindingId>,
        id: BindingId,
    ) -> Result<bool, Diagnostic> {
        let Rhs::Op { op, attrs, args } = editor.binding(id).rhs.clone() else { return Ok(false) };
        if editor.ops().find("attention") != Some(op) {
            return Ok(false);
        }
        let result = editor.binding(id).results[0];
        let Some(parts) = self.parts(editor, &args, result) else { return Ok(false) };
        let after = transposed(editor, transposes, result, parts.rank);
        let mut attrs = attrs.clone();
        for (name, perm) in ["q_perm", "k_perm", "v_perm"].iter().zip(&parts.perms) {
            if let Some(perm) = perm {
                attrs = attrs.with(name, perm.clone());
            }
        }
        let (of, target) = match &after {
            None => (id, result),
            Some((of, perm)) => {
                attrs = attrs.with("out_perm", perm.clone());
                (*of, editor.binding(*of).results[0])
            }
        };
        let ty = editor.type_of(target).clone();
        let Some(call) = call(editor, kernels, attrs, &parts, target) else { return Ok(false) };
        editor.before(of);
        let made = editor.emit_as(call, [ty])?[0];
        editor.add_source(binding_of(editor, made), id);
        editor.replace(target, made);
        editor.remove(of);
        if of != id {
            editor.remove(id);
        }
        Ok(true)
    }

    /// The operands, each as what it is a transpose of; `None` where the routine does not fit.
    fn parts(self, editor: &Editor<'_>, args: &[ValueId], result: ValueId) -> Option<Parts> {
        let dims =
            |value: ValueId| -> Option<Dims> { Some(editor.type_of(value).as_tensor()?.dims()?.into()) };
        let dtype = editor.type_of(result).as_tensor()?.dtype;
        if !dtype.is_float() || !(16..=32).contains(&dtype.bits()) {
            return None;
        }
        let out = dims(result)?;
        let (q, k) = (dims(args[0])?, dims(args[1])?);
        let queries = q[q.len() - 2];
        let known = |dim: Dim| editor.shapes.as_int(dim);
        let scores = known(queries).zip(known(k[k.len() - 2])).map(|(m, n)| m.saturating_mul(n));
        if known(queries).is_some_and(|it| it < self.queries) || scores.is_some_and(|it| it < self.scores) {
            return None;
        }
        let is_one = |dim: Dim| editor.shapes.as_int(dim) == Some(1);
        // Dimensions before the last two are those of the result, or 1.
        let spreads = |own: &[Dim]| {
            let pairs = own.iter().rev().zip(out.iter().rev()).skip(2);
            own.len() <= out.len() && pairs.into_iter().all(|(own, whole)| own == whole || is_one(*own))
        };
        for arg in args {
            if !spreads(&dims(*arg)?) {
                return None;
            }
        }
        let v = dims(args[2])?;
        let keys = k[k.len() - 2];
        let fits =
            [(q[q.len() - 1], k[k.len() - 1]), (keys, v[v.len() - 2]), (v[v.len() - 1], out[out.len() - 1])];
        if out[out.len() - 2] != queries || fits.iter().any(|(a, b)| a != b) {
            return None;
        }
        if let Some(mask) = args.get(3) {
            let mask = dims(*mask)?;
            let rows = mask.len().checked_sub(2).map(|it| mask[it]);
            if mask.last() != Some(&keys) || rows.is_some_and(|it| it != queries && !is_one(it)) {
                return None;
            }
        }
        let mut parts = Parts { args: args.to_vec(), perms: Vec::new(), rank: out.len() };
        for arg in parts.args.iter_mut().take(3) {
            let found = source(editor, *arg);
            parts.perms.push(found.map(|(of, perm)| {
                *arg = of;
                perm
            }));
        }
        Some(parts)
    }
}

/// What a call is made of.
struct Parts {
    args: Vec<ValueId>,
    perms: Vec<Option<Vec<i64>>>,
    /// Dimensions of the result.
    rank: usize,
}

/// What a value is a transpose of, where rows or columns of its matrices stay neighbours in memory.
fn source(editor: &Editor<'_>, value: ValueId) -> Option<(ValueId, Vec<i64>)> {
    let Rhs::Op { op, attrs, args } = editor.defining_rhs(value)? else { return None };
    let perm = attrs.ints("perm").filter(|_| editor.ops().find("transpose") == Some(*op))?;
    let last = perm.len() as i64 - 1;
    let dense = perm.iter().rev().take(2).any(|it| *it == last);
    dense.then(|| (args[0], perm.to_vec()))
}

/// Transposes of a block, by what they read.
fn transposes(editor: &Editor<'_>, order: &[BindingId]) -> IndexMap<ValueId, BindingId> {
    let transpose = editor.ops().find("transpose");
    let read = |id: &BindingId| match &editor.binding(*id).rhs {
        Rhs::Op { op, args, .. } if transpose == Some(*op) => Some((args[0], *id)),
        _ => None,
    };
    order.iter().filter_map(read).collect()
}

/// The transpose that alone reads the result, where rows of it stay rows.
fn transposed(
    editor: &Editor<'_>,
    transposes: &IndexMap<ValueId, BindingId>,
    result: ValueId,
    rank: usize,
) -> Option<(BindingId, Vec<i64>)> {
    let id = *transposes.get(&result).filter(|_| editor.uses(result) == 1)?;
    let Rhs::Op { attrs, .. } = &editor.binding(id).rhs else { return None };
    let perm = attrs.ints("perm").filter(|it| it.last() == Some(&(rank as i64 - 1)))?;
    Some((id, perm.to_vec()))
}

/// A call of the routine.
fn call(
    editor: &mut Editor<'_>,
    kernels: &mut KernelInterner,
    attrs: Attrs,
    parts: &Parts,
    result: ValueId,
) -> Option<Rhs> {
    let mut signature = Signature::default();
    let mut sizes: Vec<Dim> = Vec::new();
    let names = ["q", "k", "v", "mask"].iter().zip(&parts.args).map(|(name, it)| (Access::In, *name, *it));
    for (access, name, value) in names.chain([(Access::Out, "y", result)]) {
        let ty = editor.type_of(value).as_tensor()?;
        let own = ty.dims()?;
        for sym in own.iter().flat_map(|it| editor.shapes.free_symbols(*it)) {
            let known = signature.sizes.len();
            signature.size(editor.shapes.name(sym));
            if signature.sizes.len() > known {
                sizes.push(editor.shapes.find_sym_dim(sym)?);
            }
        }
        let dims: Vec<Dim> = own.iter().map(|it| signature.shapes.import(editor.shapes, *it)).collect();
        signature = signature.with(access, name, ty.dtype, &dims);
    }
    let routine = Routine { name: "attention".to_owned(), routine: "attention".to_owned(), attrs, signature };
    let callee = kernels.add(editor, routine);
    Some(Rhs::Call { callee, args: parts.args.iter().copied().collect(), sizes: sizes.into() })
}
