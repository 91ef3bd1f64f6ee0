//! Questions about expressions and programs that need no context.

use super::{Buffer, BufferId, BufferRole, CompareOp, Expr, ExprId, Index, Stage, Stmt, TensorProgram};
use crate::scalar::Class;
use crate::shape::Dim;
use crate::types::{DType, Effects};
use indexmap::IndexSet;
use smallvec::SmallVec;

impl From<Dim> for Index {
    fn from(dim: Dim) -> Self {
        Index::Dim(dim)
    }
}

impl From<ExprId> for Index {
    fn from(value: ExprId) -> Self {
        Index::Value(value)
    }
}

/// Whether a value is one of an integer type or bool, or the zero of a type that is only moved.
pub(super) fn is_int_constant(value: i64, dtype: DType) -> bool {
    match dtype {
        DType::Bool => matches!(value, 0 | 1),
        _ if dtype.is_only_moved() => value == 0,
        _ => !dtype.is_float(),
    }
}

/// Whether values of a type are compared so: what has no order can be told apart at most.
pub(super) fn is_comparable(op: CompareOp, dtype: DType) -> bool {
    Class::Ordered.admits(dtype) || op.row().operands.admits(dtype)
}

/// Whether a value of a type can be made one of another.
pub(super) fn is_convertible(from: DType, to: DType) -> bool {
    from == to || to == DType::Bool || !from.is_only_moved() && !to.is_only_moved()
}

impl Expr {
    /// The expressions this one is computed from, indices of loads included.
    pub fn operands(&self) -> SmallVec<[ExprId; 4]> {
        match self {
            Expr::Dim(..) | Expr::Float(..) | Expr::Int(..) => SmallVec::new(),
            Expr::Load { at, otherwise, .. } => {
                at.iter().filter_map(Index::value).chain(*otherwise).collect()
            }
            Expr::Unary(_, a) | Expr::Cast(_, a) => SmallVec::from_slice(&[*a]),
            Expr::Binary(_, a, b) | Expr::Compare(_, a, b) => SmallVec::from_slice(&[*a, *b]),
            Expr::Select(cond, a, b) => SmallVec::from_slice(&[*cond, *a, *b]),
        }
    }

    /// Calls `f` on every operand, in the order of [`operands`](Self::operands).
    pub fn for_each_operand_mut(&mut self, f: &mut dyn FnMut(&mut ExprId)) {
        match self {
            Expr::Dim(..) | Expr::Float(..) | Expr::Int(..) => {}
            Expr::Load { at, otherwise, .. } => {
                at.iter_mut().filter_map(Index::value_mut).for_each(&mut *f);
                if let Some(value) = otherwise {
                    f(value);
                }
            }
            Expr::Unary(_, a) | Expr::Cast(_, a) => f(a),
            Expr::Binary(_, a, b) | Expr::Compare(_, a, b) => {
                f(a);
                f(b);
            }
            Expr::Select(cond, a, b) => {
                f(cond);
                f(a);
                f(b);
            }
        }
    }
}

impl Index {
    /// The symbolic index, when it is one.
    pub fn dim(&self) -> Option<Dim> {
        match self {
            Index::Dim(dim) => Some(*dim),
            Index::Value(_) | Index::Checked(_) => None,
        }
    }

    /// The expression, when the index is computed from data.
    pub fn value(&self) -> Option<ExprId> {
        match self {
            Index::Dim(_) => None,
            Index::Value(value) | Index::Checked(value) => Some(*value),
        }
    }

    /// The expression, when the index is computed from data, to be replaced.
    pub fn value_mut(&mut self) -> Option<&mut ExprId> {
        match self {
            Index::Dim(_) => None,
            Index::Value(value) | Index::Checked(value) => Some(value),
        }
    }

    /// Whether the program ends with an error where the index is out of range.
    pub fn is_checked(&self) -> bool {
        matches!(self, Index::Checked(_))
    }
}

impl Stage {
    /// All axes: independent ones first, then those of the reduction.
    pub fn all_axes(&self) -> impl Iterator<Item = &super::Axis> {
        self.axes.iter().chain(&self.reduce)
    }
}

impl TensorProgram {
    /// The type of an expression's value. Operands of one expression are taken to agree (law L5).
    pub fn dtype_of(&self, expr: ExprId) -> DType {
        let mut at = expr;
        loop {
            at = match &self.exprs[at] {
                Expr::Dim(_, dtype) | Expr::Float(_, dtype) | Expr::Int(_, dtype) | Expr::Cast(dtype, _) => {
                    return *dtype;
                }
                Expr::Load { buffer, .. } => return self.buffers[*buffer].dtype,
                Expr::Compare(..) => return DType::Bool,
                Expr::Unary(op, _) if op.is_test() => return DType::Bool,
                Expr::Unary(_, a) | Expr::Binary(_, a, _) | Expr::Select(_, a, _) => *a,
            };
        }
    }

    /// The buffer called `name`.
    pub fn find_buffer(&self, name: &str) -> Option<BufferId> {
        self.buffers.iter().find(|(_, it)| it.name == name).map(|(id, _)| id)
    }

    /// Parameters whose contents a caller gives, in order: inputs, then those that are updated.
    pub fn inputs(&self) -> impl DoubleEndedIterator<Item = (BufferId, &Buffer)> {
        self.params.iter().map(|id| (*id, &self.buffers[*id])).filter(|(_, it)| it.role.is_given())
    }

    /// How many parameters are updated: the last of the inputs, the first of the outputs.
    pub fn updated(&self) -> usize {
        self.params.iter().filter(|id| self.buffers[**id].role == BufferRole::InOut).count()
    }

    /// Parameters whose contents a caller gets, in order: those that are updated, then outputs.
    pub fn outputs(&self) -> impl DoubleEndedIterator<Item = (BufferId, &Buffer)> {
        self.params.iter().map(|id| (*id, &self.buffers[*id])).filter(|(_, it)| it.role.is_result())
    }

    /// All stages in program order, those in loops included.
    pub fn stages(&self) -> Vec<&Stage> {
        fn collect<'a>(body: &'a [Stmt], into: &mut Vec<&'a Stage>) {
            for stmt in body {
                match stmt {
                    Stmt::Stage(stage) => into.push(stage),
                    Stmt::For { body, .. } => collect(body, into),
                }
            }
        }
        let mut stages = Vec::new();
        collect(&self.body, &mut stages);
        stages
    }

    /// What a run may do besides filling its outputs: it may abort where it checks an index.
    pub fn effects(&self) -> Effects {
        let checks = |at: &[Index]| at.iter().any(Index::is_checked);
        let aborts = self.stages().into_iter().any(|stage| {
            let roots = std::iter::once(stage.value).chain(stage.at.iter().filter_map(Index::value));
            let mut found = checks(&stage.at);
            for root in roots {
                self.walk(root, &mut |_, expr| {
                    found |= matches!(expr, Expr::Load { at, .. } if checks(at));
                });
            }
            found
        });
        if aborts { Effects::ABORT } else { Effects::PURE }
    }

    /// `roots` and everything that they are computed from, each once, operands before their users. An expression
    /// that contains itself (law L9) comes once as well.
    pub fn postorder(&self, roots: impl IntoIterator<Item = ExprId>) -> Vec<ExprId> {
        let mut seen: IndexSet<ExprId> = IndexSet::new();
        let mut order = Vec::new();
        let mut pending: Vec<(ExprId, bool)> = Vec::new();
        for root in roots {
            pending.push((root, false));
            while let Some((id, leaving)) = pending.pop() {
                if leaving {
                    order.push(id);
                } else if seen.insert(id) {
                    pending.push((id, true));
                    pending.extend(self.exprs[id].operands().into_iter().rev().map(|it| (it, false)));
                }
            }
        }
        order
    }

    /// Calls `visit` once on `root` and on everything it is computed from, operands after their users.
    pub fn walk(&self, root: ExprId, visit: &mut dyn FnMut(ExprId, &Expr)) {
        let mut seen: IndexSet<ExprId> = IndexSet::new();
        let mut pending = vec![root];
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            let expr = &self.exprs[id];
            visit(id, expr);
            pending.extend(expr.operands().into_iter().rev());
        }
    }
}
