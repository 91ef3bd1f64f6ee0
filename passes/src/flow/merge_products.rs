//! Matrix products of one value by several constants become one product by all of them.
//!
//! What: products `x · w₁`, `x · w₂`, … of one block, whose constants are matrices of as many rows, become slices of
//! `x · [w₁ w₂ …]`; constant vectors that are added to each of them are put beside each other too. So do products by
//! parameters that are named: their matrices are joined by an operator, which `lift-parameters` moves out of the call.
//! And products of the steps of a sequence by one matrix become steps of one product of the sequence.
//! When: projections of attention (queries, keys and values), gates, branches of an inception block, unrolled recurrence.
//! One product packs `x` once and has more columns to divide among threads; the slices are copies where what reads them
//! cannot read in between.
//! Laws: an element is the sum of the same products in the same order. Class: bitwise.

use super::binding_of;
use super::merge_steps::{matrix, merge_steps};
use crate::manager::{Changed, Facts, Pass, PassCx};
use indexmap::IndexMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{BindingId, BlockId, BlockKind, Editor, Module, Rhs, ValueId};
use orogen_ir::types::{Attrs, DType, TensorData};

/// Merges matrix products that share their left operand.
#[derive(Clone, Debug, Default)]
pub struct MergeProducts {
    parameters: Vec<String>,
}

impl MergeProducts {
    /// Products by parameters of these names are merged, too.
    pub fn of_parameters(names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        MergeProducts { parameters: names.into_iter().map(Into::into).collect() }
    }
}

impl Pass<Module> for MergeProducts {
    fn name(&self) -> &'static str {
        "merge-products"
    }

    fn facts(&self) -> Facts {
        Facts::OVER_OPERATORS
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut changed = false;
        module.edit(cx.ops, |editor| -> Result<(), Diagnostic> {
            let named = editor.params().iter().filter(|it| self.parameters.contains(&it.name));
            let named: Vec<ValueId> = named.map(|it| it.value).collect();
            for block in editor.blocks() {
                if editor.kind(block) == BlockKind::Dataflow {
                    changed |= merge_steps(editor, block, &named)?;
                    for (x, members) in products(editor, block, &named) {
                        changed |= merge(editor, x, &members)?;
                    }
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

/// A product by a matrix.
struct Member {
    product: BindingId,
    weights: ValueId,
    dtype: DType,
    /// Of the matrix.
    rows: u64,
    columns: u64,
    /// The sum of it and a constant vector, when nothing else reads it.
    bias: Option<(BindingId, TensorData)>,
}

impl Member {
    /// The binding whose result a slice stands for.
    fn last(&self, biased: bool) -> BindingId {
        match &self.bias {
            Some((sum, _)) if biased => *sum,
            _ => self.product,
        }
    }
}

/// Products by such matrices, by what is multiplied, in program order.
fn products(editor: &Editor<'_>, block: BlockId, named: &[ValueId]) -> Vec<(ValueId, Vec<Member>)> {
    let ops = editor.ops();
    let (matmul, add) = (ops.get("matmul"), ops.get("add"));
    let order = editor.order(block);
    let mut sums: IndexMap<ValueId, (BindingId, ValueId)> = IndexMap::new();
    for id in &order {
        if let Rhs::Op { op, args, .. } = &editor.binding(*id).rhs
            && *op == add
        {
            sums.insert(args[0], (*id, args[1]));
            sums.insert(args[1], (*id, args[0]));
        }
    }
    let mut groups: IndexMap<ValueId, Vec<Member>> = IndexMap::new();
    for id in order {
        let binding = editor.binding(id);
        let Rhs::Op { op, args, .. } = &binding.rhs else { continue };
        let Some(weights) = args.get(1).copied().filter(|_| *op == matmul) else { continue };
        let Some((dtype, [rows, columns])) = matrix(editor, weights, named) else { continue };
        let result = binding.results[0];
        let Some(rank) = editor.type_of(result).as_tensor().and_then(|it| it.dims()).map(<[_]>::len) else {
            continue;
        };
        let bias = sums.get(&result).filter(|_| editor.uses(result) == 1).and_then(|(sum, other)| {
            let data = editor.constant_data(*other)?;
            let vector = data.dims().len() <= rank && data.dims().last() == Some(&columns);
            let whole = data.dims().iter().product::<u64>() == columns;
            let data = data.reshaped(vec![columns]).ok().filter(|_| vector && whole)?;
            Some((*sum, data))
        });
        let member = Member { product: id, weights, dtype, rows, columns, bias };
        groups.entry(args[0]).or_default().push(member);
    }
    groups.retain(|_, it| it.len() > 1);
    groups.into_iter().collect()
}

/// Constants side by side, each of `rows` rows, `columns` in all.
fn beside(parts: &[&TensorData], rows: u64, dims: Vec<u64>) -> Option<TensorData> {
    let widths: Vec<usize> = parts.iter().map(|it| it.bytes().len() / (rows as usize).max(1)).collect();
    let mut bytes = Vec::with_capacity(parts.iter().map(|it| it.bytes().len()).sum());
    for row in 0..rows as usize {
        for (part, width) in parts.iter().zip(&widths) {
            bytes.extend_from_slice(&part.bytes()[row * width..(row + 1) * width]);
        }
    }
    TensorData::new(parts[0].dtype(), dims, bytes.into()).ok()
}

fn merge(editor: &mut Editor<'_>, x: ValueId, members: &[Member]) -> Result<bool, Diagnostic> {
    let (rows, dtype) = (members[0].rows, members[0].dtype);
    if members.iter().any(|it| it.rows != rows || it.dtype != dtype) {
        return Ok(false);
    }
    let columns: u64 = members.iter().map(|it| it.columns).sum();
    let biases: Option<Vec<&TensorData>> =
        members.iter().map(|it| it.bias.as_ref().map(|(_, data)| data)).collect();
    let bias = biases.and_then(|it| beside(&it, 1, vec![columns]));
    let known: Option<Vec<&TensorData>> = members.iter().map(|it| editor.constant_data(it.weights)).collect();
    let joined = match known {
        Some(parts) => match beside(&parts, rows, vec![rows, columns]) {
            Some(joined) => Some(joined),
            None => return Ok(false),
        },
        None => None,
    };
    let ops = editor.ops();
    editor.before(members[0].product);
    let weights = match joined {
        Some(joined) => editor.constant("", joined),
        None => {
            let parts: Vec<ValueId> = members.iter().map(|it| it.weights).collect();
            editor.op(ops.get("concat"), Attrs::none().with("axis", 1), &parts)?[0]
        }
    };
    let mut whole = editor.op(ops.get("matmul"), Attrs::none(), &[x, weights])?[0];
    let biased = bias.is_some();
    if let Some(bias) = bias {
        let bias = editor.constant("", bias);
        whole = editor.op(ops.get("add"), Attrs::none(), &[whole, bias])?[0];
    }
    let rank = editor.type_of(whole).as_tensor().and_then(|it| it.dims()).map_or(1, <[_]>::len) as i64;
    let step = editor.constant("", TensorData::ints(&[1]));
    let mut start = 0;
    for member in members {
        let end = start + member.columns as i64;
        let bounds = [start, end].map(|it| editor.constant("", TensorData::ints(&[it])));
        let attrs = Attrs::none().with("axes", vec![rank - 1]);
        let part = editor.op(ops.get("slice"), attrs, &[whole, bounds[0], bounds[1], step])?[0];
        let last = member.last(biased);
        let result = editor.binding(last).results[0];
        editor.add_source(binding_of(editor, whole), last);
        editor.replace(result, part);
        editor.remove(last);
        if last != member.product {
            editor.remove(member.product);
        }
        start = end;
    }
    Ok(true)
}
