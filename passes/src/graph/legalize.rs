//! Replaces operators by what the shared table lowers them to.

use super::rewrite::edge_type;
use crate::manager::{Changed, Fact, Facts, Pass, PassCx};
use crate::rules::kernels::KernelInterner;
use crate::rules::legalize::{LegalizeTable, LowerStep, Lowering, Operation, Value};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::graph::{Edge, Graph, GraphEditor, NodeId, NodeKind, StaticType};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{TensorData, Type};
use smallvec::smallvec;

/// Replaces operators by kernels.
#[derive(Clone, Debug)]
pub struct Legalize {
    table: LegalizeTable,
}

impl Legalize {
    /// With this table.
    pub fn new(table: LegalizeTable) -> Self {
        Legalize { table }
    }
}

impl Pass<Graph> for Legalize {
    fn name(&self) -> &'static str {
        "legalize"
    }

    fn facts(&self) -> Facts {
        Facts {
            establishes: &[Fact::Live, Fact::Legalized],
            destroys: Some(&[Fact::NoDuplicates]),
            ..Facts::UNSAID
        }
    }

    fn run(&self, graph: &mut Graph, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut found = Diagnostics::new();
        let changed = graph.edit(cx.ops, |editor| -> Result<bool, Diagnostics> {
            let mut changed = false;
            let mut shapes = ShapeCx::new();
            let mut interner = KernelInterner::of(editor.kernels().values());
            // Walking backwards, what is used is known: constants that only named shapes are not operands of kernels.
            for id in editor.order().into_iter().rev() {
                let NodeKind::Op { .. } = &editor.node(id).kind else { continue };
                if editor.edges(id).all(|it| editor.uses(it) == 0) {
                    editor.remove(id);
                    continue;
                }
                let lowering = self.lower(editor, &mut shapes, id);
                match lowering.and_then(|it| run(editor, &mut interner, &shapes, id, it)) {
                    Ok(()) => changed = true,
                    Err(diagnostic) => found.push(diagnostic.at(editor.node(id).source.clone())),
                }
            }
            Ok(changed)
        })?;
        graph.prune();
        found.into_result(changed.into())
    }
}

impl Legalize {
    /// What the table lowers an operation to.
    fn lower(
        &self,
        editor: &GraphEditor<'_>,
        shapes: &mut ShapeCx,
        id: NodeId,
    ) -> Result<Lowering, Diagnostic> {
        let node = editor.node(id);
        let NodeKind::Op { op, attrs } = &node.kind else { unreachable!("operators alone are lowered") };
        let args: Vec<Type> = node.inputs.iter().map(|it| edge_type(editor, shapes, *it)).collect();
        let results: Vec<Type> = editor.edges(id).map(|it| edge_type(editor, shapes, it)).collect();
        let constants: Vec<Option<TensorData>> =
            node.inputs.iter().map(|it| editor.constant_data(*it).cloned()).collect();
        let operation = Operation { op: *op, attrs, args: &args, results: &results, constants: &constants };
        self.table.legalize(editor.ops(), shapes, operation)
    }
}

/// Puts what computes the results of the operation `id` in its place.
fn run(
    editor: &mut GraphEditor<'_>,
    interner: &mut KernelInterner,
    shapes: &ShapeCx,
    id: NodeId,
    lowering: Lowering,
) -> Result<(), Diagnostic> {
    let operation = editor.node(id).clone();
    let mut made: Vec<Edge> = Vec::new();
    editor.before(id);
    for step in lowering.steps {
        let outputs = step.types().iter().map(|ty| static_type(shapes, ty)).collect::<Result<_, _>>()?;
        let edge = |value: &Value| match value {
            Value::Operand(i) => operation.inputs[*i],
            Value::Made(i) => made[*i],
        };
        let (kind, inputs) = match step {
            LowerStep::Kernel { kernel, args, .. } => {
                let inputs = args.iter().map(edge).collect();
                (NodeKind::Kernel { kernel: interner.add(editor, *kernel) }, inputs)
            }
            LowerStep::View { value, .. } => (NodeKind::View, smallvec![edge(&value)]),
            LowerStep::MatchCast { .. } | LowerStep::Check(_) => return Err(late()),
        };
        let node = editor.emit(kind, inputs, outputs)?;
        made.extend(editor.edges(node));
    }
    for (result, value) in editor.edges(id).zip(&lowering.results) {
        let to = match value {
            Value::Made(i) => made[*i],
            Value::Operand(i) => {
                let ty = operation.outputs[result.output as usize].clone();
                let inputs = smallvec![operation.inputs[*i]];
                Edge { node: editor.emit(NodeKind::View, inputs, smallvec![ty])?, output: 0 }
            }
        };
        editor.replace(result, to);
    }
    editor.remove(id);
    Ok(())
}

/// A type of the flow IR that is static.
fn static_type(shapes: &ShapeCx, ty: &Type) -> Result<StaticType, Diagnostic> {
    let tensor = ty.as_tensor().ok_or_else(late)?;
    let dims = tensor.static_dims(shapes).ok_or_else(late)?;
    Ok(StaticType { dtype: tensor.dtype, dims: dims.into_iter().collect() })
}

/// What only a run can know has no place in a static graph.
fn late() -> Diagnostic {
    Diagnostic::error("K004", "it has a size that is known only at run time")
        .help("opt in to the dataflow IR, which holds such sizes")
}
