//! Branches of an `If` that differ in rank.
//!
//! Exporters keep tests such as "squeeze if the last dimension is 1" in the model. A value whose rank depends on
//! the data has no type that later nodes could be inferred from. In practice only one branch fits what follows;
//! with the other one the model is ill-typed and would end with an error when it runs. So both are tried without
//! being built, and if exactly one fits, the condition is asserted and that branch is built in place.

use crate::graph::describe;
use crate::import::{Importer, Scope};
use crate::node::{Node, not_supported};
use crate::probe::Probe;
use crate::proto::{GraphProto, NodeProto};
use crate::sink::{Sink, Value};
use indexmap::IndexSet;
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::Budget;
use orogen_ir::types::{DType, TensorType, Type};

/// The name of the branch taken when the condition is true or false.
fn branch_name(taken: bool) -> &'static str {
    if taken { "then_branch" } else { "else_branch" }
}

impl<'m> Importer<'m> {
    /// For an `If` whose branches differ in rank: the branch that the rest of the graph can go on with.
    /// `rest` starts with the `If` itself.
    pub(crate) fn forced_branch(
        &mut self,
        sink: &mut dyn Sink,
        rest: &[&'m NodeProto],
        used: &IndexSet<&'m str>,
        scope: &Scope<'_, 'm>,
    ) -> Result<Option<bool>, Diagnostic> {
        let Some((proto, following)) = rest.split_first() else { return Ok(None) };
        if proto.op_type != "If" || !crate::decode::normal_domain(&proto.domain).is_empty() {
            return Ok(None);
        }
        let cond = proto.input.first().and_then(|name| scope.find(name));
        if cond.is_none_or(|it| is_known(sink, it)) {
            return Ok(None);
        }
        let node = Node::new(proto, &scope.frame().attributes, &scope.frame().opsets);
        let graphs = [node.graph(branch_name(true))?, node.graph(branch_name(false))?];
        let operators = self.save_counts();
        let then_types = self.probe_branch(sink, graphs[0], scope);
        let else_types = self.probe_branch(sink, graphs[1], scope);
        let forced = match (then_types, else_types) {
            (Ok(a), Ok(b)) if same_ranks(&a, &b) => None,
            (Ok(_), Ok(_)) => {
                let fits = |it: &Result<(), Diagnostic>| it.is_ok();
                let then_rest = self.probe_rest(sink, graphs[0], proto, following, used, scope);
                let else_rest = self.probe_rest(sink, graphs[1], proto, following, used, scope);
                match (fits(&then_rest), fits(&else_rest)) {
                    (true, false) => Some(true),
                    (false, true) => Some(false),
                    (true, true) => {
                        return Err(not_supported("its branches return values of different ranks"));
                    }
                    (false, false) => return Err(then_rest.expect_err("it does not fit")),
                }
            }
            (Ok(_), Err(error)) if impossible(&error) => Some(true),
            (Err(error), Ok(_)) if impossible(&error) => Some(false),
            (Err(error), _) | (_, Err(error)) => return Err(error),
        };
        self.restore_counts(operators);
        if let Some(taken) = forced {
            self.note_assumption(format!(
                "the model is well-formed only when the condition of {} is {taken}: this is checked at run time",
                describe(proto)
            ));
        }
        Ok(forced)
    }

    /// Result types of a branch, without building it.
    fn probe_branch(
        &mut self,
        sink: &mut dyn Sink,
        graph: &'m GraphProto,
        scope: &Scope<'_, 'm>,
    ) -> Result<Vec<Type>, Diagnostic> {
        let mut probe = Probe::over(sink);
        let results = self.subgraph(&mut probe, graph, &[], scope)?;
        Ok(results.iter().map(|it| probe.type_of(*it).clone()).collect())
    }

    /// Whether the rest of the graph can be built after a branch, without building it.
    fn probe_rest(
        &mut self,
        sink: &mut dyn Sink,
        branch: &'m GraphProto,
        node: &'m NodeProto,
        following: &[&'m NodeProto],
        used: &IndexSet<&'m str>,
        scope: &Scope<'_, 'm>,
    ) -> Result<(), Diagnostic> {
        let mut probe = Probe::over(sink);
        let results = self.subgraph(&mut probe, branch, &[], scope)?;
        let mut scope = scope.nested();
        scope.define(&node.output, &results);
        self.nodes(&mut probe, following, used, &mut scope)
    }
}

/// An error that the model would also run into: not one of this importer's own limits.
fn impossible(error: &Diagnostic) -> bool {
    !matches!(error.code, "X009" | "X012" | Budget::SPENT)
}

fn is_known(sink: &mut dyn Sink, cond: Value) -> bool {
    sink.constant_data(cond).is_some()
        || sink.type_of(cond).as_tensor().is_none_or(|it| it.elements.is_some())
}

fn same_ranks(a: &[Type], b: &[Type]) -> bool {
    let rank = |ty: &Type| ty.as_tensor().and_then(|it| it.shape.rank());
    a.len() != b.len() || a.iter().zip(b).all(|(a, b)| rank(a) == rank(b))
}

/// The condition, which is checked to be `taken`.
pub(crate) fn assert_condition(sink: &mut dyn Sink, cond: Value, taken: bool) -> Result<(), Diagnostic> {
    let shapes = sink.shapes();
    let element = shapes.int(i64::from(taken));
    let dims = sink.type_of(cond).as_tensor().and_then(|it| it.dims().map(<[_]>::to_vec)).unwrap_or_default();
    let ty = TensorType::new(DType::Bool, dims).with_elements([element]);
    sink.match_cast(cond, Type::Tensor(ty)).map(|_| ())
}
