//! Matrix products of one value by several constants become one product by all of them.
//!
//! What: products `x · w₁`, `x · w₂`, … of one block, whose constants are matrices of as many rows, become slices of
//! `x · [w₁ w₂ …]`; constant vectors that are added to each of them are put beside each other too.
//! When: projections of attention (queries, keys and values), gates, branches of an inception block. One product packs `x`
//! once and has more columns to divide among threads; the slices are copies where what reads them cannot read in between.
//! Laws: an element is the sum of the same products in the same order. Class: bitwise.

use crate::manager::{Changed, Facts, Pass, PassCx};
use indexmap::IndexMap;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{BindingId, BlockId, BlockKind, Editor, Module, Rhs, ValueId};
use orogen_ir::types::{Attrs, TensorData};

/// Merges matrix products that share their left operand.
#[derive(Clone, Copy, Debug, Default)]
pub struct MergeProducts;

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
            for block in editor.blocks() {
                if editor.kind(block) == BlockKind::Dataflow {
                    for (x, members) in products(editor, block) {
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

/// A product by a constant matrix.
struct Member {
    product: BindingId,
    weights: TensorData,
    /// The sum of it and a constant vector, when nothing else reads it.
    bias: Option<(BindingId, TensorData)>,
}

impl Member {
    fn columns(&self) -> u64 {
        self.weights.dims()[1]
    }

    /// The binding whose result a slice stands for.
    fn last(&self, biased: bool) -> BindingId {
        match &self.bias {
            Some((sum, _)) if biased => *sum,
            _ => self.product,
        }
    }
}

/// Products by constant matrices, by what is multiplied, in program order.
fn products(editor: &Editor<'_>, block: BlockId) -> Vec<(ValueId, Vec<Member>)> {
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
        let weights = args.get(1).filter(|_| *op == matmul).and_then(|it| editor.constant_data(*it));
        let Some(weights) = weights.filter(|it| it.dims().len() == 2 && it.dtype().bits() >= 8) else {
            continue;
        };
        let result = binding.results[0];
        let Some(rank) = editor.type_of(result).as_tensor().and_then(|it| it.dims()).map(<[_]>::len) else {
            continue;
        };
        let columns = weights.dims()[1];
        let bias = sums.get(&result).filter(|_| editor.uses(result) == 1).and_then(|(sum, other)| {
            let data = editor.constant_data(*other)?;
            let vector = data.dims().len() <= rank && data.dims().last() == Some(&columns);
            let whole = data.dims().iter().product::<u64>() == columns;
            let data = data.reshaped(vec![columns]).ok().filter(|_| vector && whole)?;
            Some((*sum, data))
        });
        let member = Member { product: id, weights: weights.clone(), bias };
        groups.entry(args[0]).or_default().push(member);
    }
    groups.retain(|_, it| it.len() > 1);
    groups.into_iter().collect()
}

fn merge(editor: &mut Editor<'_>, x: ValueId, members: &[Member]) -> Result<bool, Diagnostic> {
    let rows = members[0].weights.dims()[0];
    let same = |it: &Member| it.weights.dims()[0] == rows && it.weights.dtype() == members[0].weights.dtype();
    if !members.iter().all(same) {
        return Ok(false);
    }
    let beside = |parts: Vec<&TensorData>, dims: &dyn Fn(u64) -> Vec<u64>, rows: u64| {
        let widths: Vec<usize> = parts.iter().map(|it| it.bytes().len() / (rows as usize).max(1)).collect();
        let mut bytes = Vec::with_capacity(parts.iter().map(|it| it.bytes().len()).sum());
        for row in 0..rows as usize {
            for (part, width) in parts.iter().zip(&widths) {
                bytes.extend_from_slice(&part.bytes()[row * width..(row + 1) * width]);
            }
        }
        let columns = members.iter().map(Member::columns).sum();
        TensorData::new(parts[0].dtype(), dims(columns), bytes.into()).ok()
    };
    let weights = beside(members.iter().map(|it| &it.weights).collect(), &|n| vec![rows, n], rows);
    let biases: Option<Vec<&TensorData>> =
        members.iter().map(|it| it.bias.as_ref().map(|(_, data)| data)).collect();
    let bias = biases.and_then(|it| beside(it, &|n| vec![n], 1));
    let Some(weights) = weights else { return Ok(false) };
    let ops = editor.ops();
    editor.before(members[0].product);
    let weights = editor.constant("", weights);
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
        let end = start + member.columns() as i64;
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

fn binding_of(editor: &Editor<'_>, value: ValueId) -> BindingId {
    match editor.value(value).def {
        orogen_ir::flow::ValueDef::Result(id, _) => id,
        _ => unreachable!("an operation made it"),
    }
}
