//! Builds tensor programs, with every operand type checked on the way.

use super::broadcast::broadcast_index;
use super::expr::{is_comparable, is_int_constant};
use super::names::Names;
use super::{
    Axis, BinaryOp, Buffer, BufferId, BufferRole, Combine, CompareOp, Expr, ExprId, Index, Stage, Stmt,
    TensorProgram, UnaryOp,
};
use crate::diag::Diagnostic;
use crate::scalar::ScalarFn;
use crate::shape::{Constraint, Dim, Overflow, ShapeCx, Sym, SymbolKind};
use crate::types::{DType, Dims};
use indexmap::IndexMap;
use smallvec::SmallVec;

/// What most methods of a [`ProgramBuilder`] return.
pub type BuildResult<T> = Result<T, Diagnostic>;

/// A tensor program under construction.
///
/// Dimensions come from a caller's [`ShapeCx`] through [`import_dim`](Self::import_dim): every free symbol
/// becomes a size parameter, and [`finish`](Self::finish) returns what the caller passes for each.
///
/// ```
/// use orogen_ir::loops::{BinaryOp, Combine, ProgramBuilder};
/// use orogen_ir::shape::ShapeCx;
/// use orogen_ir::types::DType;
///
/// // y[i] = sum over j of x[i, j] * x[i, j], for x: f32[n, 64].
/// let mut caller = ShapeCx::new();
/// let (n, c) = (caller.sym("n"), caller.int(64));
/// let mut b = ProgramBuilder::new("square_sum");
/// let (n_inside, c) = (b.import_dim(&caller, n)?, b.import_dim(&caller, c)?);
/// let x = b.input("x", DType::F32, &[n_inside, c]);
/// let y = b.output("y", DType::F32, &[n_inside]);
/// let (i, j) = (b.axis("i", n_inside), b.axis("j", c));
/// let element = b.load(x, [b.var(i), b.var(j)])?;
/// let square = b.binary(BinaryOp::Mul, element, element)?;
/// let row = b.var(i);
/// b.reduce_stage(&[i], &[j], Combine::Sum, y, [row], square)?;
/// let (program, sizes) = b.finish();
/// assert_eq!(sizes, [n]);
/// assert_eq!(program.params, [x, y]);
/// # Ok::<(), orogen_ir::diag::Diagnostic>(())
/// ```
#[derive(Clone, Debug)]
pub struct ProgramBuilder {
    program: TensorProgram,
    /// Size arguments on the caller's side, one a size parameter; `None` for one that is not imported.
    args: Vec<Option<Dim>>,
    /// Symbols of the caller that already have a size parameter.
    imported: IndexMap<Sym, Dim>,
    /// Names of buffers.
    names: Names,
    /// Statements of the loops that are open, innermost last; the first is the program's body.
    open: Vec<Vec<Stmt>>,
}

impl ProgramBuilder {
    /// An empty program.
    pub fn new(name: impl Into<String>) -> Self {
        ProgramBuilder {
            program: TensorProgram { name: name.into(), ..TensorProgram::default() },
            args: Vec::new(),
            imported: IndexMap::new(),
            names: Names::default(),
            open: vec![Vec::new()],
        }
    }

    /// The context of the program's dimensions, for index arithmetic.
    pub fn shapes(&mut self) -> &mut ShapeCx {
        &mut self.program.shapes
    }

    /// The program so far; statements of the body are added by [`finish`](Self::finish).
    pub fn program(&self) -> &TensorProgram {
        &self.program
    }

    /// A new size parameter that is not taken from a caller's context; see [`into_program`](Self::into_program).
    pub fn size(&mut self, name: &str) -> Dim {
        let dim = self.program.shapes.fresh(name);
        self.program.sizes.push(self.program.shapes.as_sym(dim).expect("a fresh symbol"));
        self.args.push(None);
        dim
    }

    /// The caller's expression as one of this program. Each free symbol becomes a size parameter, once; what
    /// the caller knows of its bounds is known here too. All calls name the same caller.
    pub fn import_dim(&mut self, caller: &ShapeCx, dim: Dim) -> BuildResult<Dim> {
        self.import(caller, dim).map_err(|Overflow| overflow())
    }

    /// [`import_dim`](Self::import_dim) for several dimensions.
    pub fn import_dims(&mut self, caller: &ShapeCx, dims: &[Dim]) -> BuildResult<Dims> {
        dims.iter().map(|it| self.import_dim(caller, *it)).collect()
    }

    fn import(&mut self, caller: &ShapeCx, dim: Dim) -> Result<Dim, Overflow> {
        let ProgramBuilder { program, imported, args, .. } = self;
        let sizes = &mut program.sizes;
        program.shapes.import_with(caller, dim, &mut |shapes, sym| {
            *imported.entry(sym).or_insert_with(|| {
                let arg =
                    caller.find_sym_dim(sym).expect("a symbol of an expression is an expression itself");
                let dim = import_sym(shapes, caller, sym, arg);
                sizes.push(shapes.as_sym(dim).expect("a fresh symbol"));
                args.push(Some(arg));
                dim
            })
        })
    }

    /// A parameter that the program reads. Like all names, `name` gets a suffix when it is taken.
    pub fn input(&mut self, name: &str, dtype: DType, dims: &[Dim]) -> BufferId {
        self.buffer(name, dtype, dims, BufferRole::Input)
    }

    /// A parameter that the program updates.
    pub fn in_out(&mut self, name: &str, dtype: DType, dims: &[Dim]) -> BufferId {
        self.buffer(name, dtype, dims, BufferRole::InOut)
    }

    /// A parameter that the program fills.
    pub fn output(&mut self, name: &str, dtype: DType, dims: &[Dim]) -> BufferId {
        self.buffer(name, dtype, dims, BufferRole::Output)
    }

    /// Scratch memory of one run.
    pub fn local(&mut self, name: &str, dtype: DType, dims: &[Dim]) -> BufferId {
        self.buffer(name, dtype, dims, BufferRole::Local)
    }

    fn buffer(&mut self, hint: &str, dtype: DType, dims: &[Dim], role: BufferRole) -> BufferId {
        let name = self.names.fresh(hint);
        self.program.buffers.alloc(Buffer { name, dtype, dims: dims.into(), role })
    }

    /// The element type of a buffer.
    pub fn buffer_dtype(&self, buffer: BufferId) -> DType {
        self.program.buffers[buffer].dtype
    }

    /// The dimensions of a buffer.
    pub fn buffer_dims(&self, buffer: BufferId) -> Dims {
        self.program.buffers[buffer].dims.clone()
    }

    /// A loop index from 0 to `extent` − 1, for a stage or a loop.
    pub fn axis(&mut self, hint: &str, extent: Dim) -> Axis {
        let dim = self.program.shapes.fresh_index(hint, extent);
        let var = self.program.shapes.as_sym(dim).expect("a fresh symbol");
        Axis { var, extent }
    }

    /// One axis for each extent, named `hint0`, `hint1`, …
    pub fn axes(&mut self, hint: &str, extents: &[Dim]) -> SmallVec<[Axis; 4]> {
        extents.iter().enumerate().map(|(i, extent)| self.axis(&format!("{hint}{i}"), *extent)).collect()
    }

    /// The index of an axis as an expression.
    pub fn var(&self, axis: Axis) -> Dim {
        self.program.shapes.find_sym_dim(axis.var).expect("an axis of this program")
    }

    /// The indices of several axes.
    pub fn vars(&self, axes: &[Axis]) -> Dims {
        axes.iter().map(|it| self.var(*it)).collect()
    }

    /// The type of an expression's value.
    pub fn dtype_of(&self, expr: ExprId) -> DType {
        self.program.dtype_of(expr)
    }

    fn expr(&mut self, expr: Expr) -> ExprId {
        self.program.exprs.alloc(expr)
    }

    /// An element of a buffer; the indices are in range wherever the stage runs.
    pub fn load<I: Into<Index>>(
        &mut self,
        buffer: BufferId,
        at: impl IntoIterator<Item = I>,
    ) -> BuildResult<ExprId> {
        let at = self.indices(buffer, at)?;
        Ok(self.expr(Expr::Load { buffer, at, otherwise: None }))
    }

    /// An element of a buffer, or `otherwise` where an index is out of range.
    pub fn load_or<I: Into<Index>>(
        &mut self,
        buffer: BufferId,
        at: impl IntoIterator<Item = I>,
        otherwise: ExprId,
    ) -> BuildResult<ExprId> {
        let at = self.indices(buffer, at)?;
        let (wanted, found) = (self.buffer_dtype(buffer), self.dtype_of(otherwise));
        if wanted != found {
            return Err(mismatch(wanted, found).note("it replaces elements out of range"));
        }
        Ok(self.expr(Expr::Load { buffer, at, otherwise: Some(otherwise) }))
    }

    /// The element that numpy broadcasting reads at index `at` of the result: dimensions are aligned at the
    /// end; see [`broadcast_at`](Self::broadcast_at).
    pub fn load_broadcast(&mut self, buffer: BufferId, at: &[Dim]) -> BuildResult<ExprId> {
        let dims = self.buffer_dims(buffer);
        let Some(skip) = at.len().checked_sub(dims.len()) else {
            return Err(rank_error(&self.program.buffers[buffer], at.len()));
        };
        let at = self.broadcast_at(&dims, &at[skip..])?;
        self.load(buffer, at)
    }

    /// Where numpy broadcasting reads an operand with these dimensions for the axes `at`: a dimension that is 1 is
    /// read at 0, also one that is 1 only in some calls.
    pub fn broadcast_at(&mut self, dims: &[Dim], at: &[Dim]) -> BuildResult<Dims> {
        let shapes = &mut self.program.shapes;
        let read = dims.iter().zip(at).map(|(dim, i)| {
            let extent = shapes.as_sym(*i).and_then(|it| match shapes.kind(it) {
                SymbolKind::Index { extent } => Some(extent),
                _ => None,
            });
            broadcast_index(shapes, *dim, *i, extent).map_err(|_| overflow())
        });
        read.collect()
    }

    fn indices<I: Into<Index>>(
        &self,
        buffer: BufferId,
        at: impl IntoIterator<Item = I>,
    ) -> BuildResult<SmallVec<[Index; 4]>> {
        let at: SmallVec<[Index; 4]> = at.into_iter().map(Into::into).collect();
        let data = &self.program.buffers[buffer];
        if at.len() != data.dims.len() {
            return Err(rank_error(data, at.len()));
        }
        for value in at.iter().filter_map(Index::value) {
            let dtype = self.dtype_of(value);
            if !dtype.is_int() {
                return Err(Diagnostic::error("L005", format!("an index is {dtype}, not an integer")));
            }
        }
        Ok(at)
    }

    /// A constant of a floating-point type.
    pub fn float(&mut self, value: f64, dtype: DType) -> BuildResult<ExprId> {
        if !dtype.is_float() {
            return Err(Diagnostic::error("L005", format!("a float constant cannot be {dtype}")));
        }
        Ok(self.expr(Expr::Float(value, dtype)))
    }

    /// A constant of an integer type, as 0 or 1 of type bool, or as 0 of a type that is only moved.
    pub fn int(&mut self, value: i64, dtype: DType) -> BuildResult<ExprId> {
        if !is_int_constant(value, dtype) {
            return Err(Diagnostic::error("L005", format!("{value} is no constant of type {dtype}")));
        }
        Ok(self.expr(Expr::Int(value, dtype)))
    }

    /// A constant of any type: integers truncate, bool is `!= 0`, a type that is only moved has none but 0.
    pub fn number(&mut self, value: f64, dtype: DType) -> ExprId {
        self.expr(match dtype {
            DType::Bool => Expr::Int(i64::from(value != 0.0), dtype),
            _ if dtype.is_float() => Expr::Float(value, dtype),
            _ if dtype.is_only_moved() => Expr::Int(0, dtype),
            _ => Expr::Int(value as i64, dtype),
        })
    }

    /// An index expression as a value of an integer type.
    pub fn dim(&mut self, dim: Dim, dtype: DType) -> BuildResult<ExprId> {
        if !dtype.is_int() {
            return Err(Diagnostic::error("L005", format!("an index expression cannot be {dtype}"))
                .help("make it i64 and `cast` it"));
        }
        Ok(self.expr(Expr::Dim(dim, dtype)))
    }

    /// An operation of one operand.
    pub fn unary(&mut self, op: UnaryOp, a: ExprId) -> BuildResult<ExprId> {
        let dtype = self.dtype_of(a);
        if !op.admits(dtype) {
            return Err(Diagnostic::error("L005", format!("`{op:?}` has no meaning on {dtype}")));
        }
        Ok(self.expr(Expr::Unary(op, a)))
    }

    /// An operation of two operands of one type.
    pub fn binary(&mut self, op: BinaryOp, a: ExprId, b: ExprId) -> BuildResult<ExprId> {
        let dtype = self.same_dtype(a, b)?;
        if !op.admits(dtype) {
            return Err(Diagnostic::error("L005", format!("`{op:?}` has no meaning on {dtype}")));
        }
        Ok(self.expr(Expr::Binary(op, a, b)))
    }

    /// A comparison of two operands of one type; a boolean.
    pub fn compare(&mut self, op: CompareOp, a: ExprId, b: ExprId) -> BuildResult<ExprId> {
        let dtype = self.same_dtype(a, b)?;
        if !is_comparable(op, dtype) {
            return Err(Diagnostic::error("L005", format!("`{op:?}` has no meaning on {dtype}")));
        }
        Ok(self.expr(Expr::Compare(op, a, b)))
    }

    /// A function of the table on as many operands as it has.
    pub fn apply(&mut self, function: ScalarFn, operands: &[ExprId]) -> BuildResult<ExprId> {
        match (function, operands) {
            (ScalarFn::Unary(op), [a]) => self.unary(op, *a),
            (ScalarFn::Binary(op), [a, b]) => self.binary(op, *a, *b),
            (ScalarFn::Compare(op), [a, b]) => self.compare(op, *a, *b),
            _ => {
                let message = format!("`{function:?}` has no meaning on {} operands", operands.len());
                Err(Diagnostic::error("L005", message))
            }
        }
    }

    /// `a` where the boolean `cond` holds, else `b`.
    pub fn select(&mut self, cond: ExprId, a: ExprId, b: ExprId) -> BuildResult<ExprId> {
        let dtype = self.dtype_of(cond);
        if dtype != DType::Bool {
            return Err(mismatch(DType::Bool, dtype).note("it is a condition"));
        }
        self.same_dtype(a, b)?;
        Ok(self.expr(Expr::Select(cond, a, b)))
    }

    /// Whether a value is not 0; of a complex number, whether one of its parts is not.
    pub fn is_nonzero(&mut self, a: ExprId) -> ExprId {
        self.cast(DType::Bool, a)
    }

    /// Conversion to another type; none when it has the type already. What is only moved is converted to bool alone.
    pub fn cast(&mut self, to: DType, a: ExprId) -> ExprId {
        if self.dtype_of(a) == to { a } else { self.expr(Expr::Cast(to, a)) }
    }

    fn same_dtype(&self, a: ExprId, b: ExprId) -> BuildResult<DType> {
        let (left, right) = (self.dtype_of(a), self.dtype_of(b));
        if left == right { Ok(left) } else { Err(mismatch(left, right)) }
    }

    /// `buffer[at] = value` for every point of `axes`.
    pub fn stage<I: Into<Index>>(
        &mut self,
        axes: &[Axis],
        buffer: BufferId,
        at: impl IntoIterator<Item = I>,
        value: ExprId,
    ) -> BuildResult<()> {
        self.push_stage(axes, &[], None, buffer, at, value)
    }

    /// `buffer[at] = combine of value over reduce` for every point of `axes`. Without reduction axes it is a
    /// plain stage.
    pub fn reduce_stage<I: Into<Index>>(
        &mut self,
        axes: &[Axis],
        reduce: &[Axis],
        combine: Combine,
        buffer: BufferId,
        at: impl IntoIterator<Item = I>,
        value: ExprId,
    ) -> BuildResult<()> {
        let combine = (!reduce.is_empty()).then_some(combine);
        self.push_stage(axes, reduce, combine, buffer, at, value)
    }

    /// A stage over every element of `buffer`; `value` gets the index of the element.
    pub fn fill(
        &mut self,
        buffer: BufferId,
        value: impl FnOnce(&mut Self, &[Dim]) -> BuildResult<ExprId>,
    ) -> BuildResult<()> {
        let dims = self.buffer_dims(buffer);
        let axes = self.axes("i", &dims);
        let at = self.vars(&axes);
        let value = value(self, &at)?;
        self.stage(&axes, buffer, at, value)
    }

    fn push_stage<I: Into<Index>>(
        &mut self,
        axes: &[Axis],
        reduce: &[Axis],
        combine: Option<Combine>,
        buffer: BufferId,
        at: impl IntoIterator<Item = I>,
        value: ExprId,
    ) -> BuildResult<()> {
        let at = self.indices(buffer, at)?;
        let data = &self.program.buffers[buffer];
        if data.role == BufferRole::Input {
            return Err(Diagnostic::error(
                "L003",
                format!("`%{}` is an input and cannot be stored to", data.name),
            ));
        }
        let found = self.dtype_of(value);
        if data.dtype != found {
            return Err(mismatch(data.dtype, found).note(format!("it is stored to `%{}`", data.name)));
        }
        let stage = Stage { axes: axes.into(), reduce: reduce.into(), combine, buffer, at, value };
        self.push(Stmt::Stage(stage));
        Ok(())
    }

    /// Repeats what `body` builds for `axis` = 0, 1, … in order.
    pub fn for_loop(
        &mut self,
        axis: Axis,
        body: impl FnOnce(&mut Self) -> BuildResult<()>,
    ) -> BuildResult<()> {
        self.open.push(Vec::new());
        let result = body(self);
        let body = self.open.pop().expect("pushed above");
        result?;
        self.push(Stmt::For { axis, body });
        Ok(())
    }

    fn push(&mut self, stmt: Stmt) {
        self.open.last_mut().expect("the program's body is always open").push(stmt);
    }

    /// The program, and what the caller passes for its size parameters, as expressions of the caller's
    /// context. Sizes that [`size`](Self::size) declared have no argument.
    pub fn finish(self) -> (TensorProgram, Vec<Dim>) {
        let args = self.args.iter().copied().flatten().collect();
        (self.into_program(), args)
    }

    /// The program alone.
    pub fn into_program(mut self) -> TensorProgram {
        self.program.body = self.open.pop().expect("the program's body is always open");
        let of_role = |role| self.program.buffers.iter().filter(move |(_, it)| it.role == role);
        self.program.params = BufferRole::PARAMS.into_iter().flat_map(of_role).map(|(id, _)| id).collect();
        self.program
    }
}

/// A new symbol with what the caller knows of `sym`, which is `arg` as an expression.
fn import_sym(shapes: &mut ShapeCx, caller: &ShapeCx, sym: Sym, arg: Dim) -> Dim {
    let dim = match caller.kind(sym) {
        SymbolKind::Size => shapes.fresh(caller.name(sym)),
        SymbolKind::Index { .. } | SymbolKind::Integer => shapes.fresh_integer(caller.name(sym)),
    };
    let bounds = caller.bounds(arg);
    let low = bounds.lo.map(|lo| Constraint::AtLeast(dim, lo));
    let high = bounds.hi.map(|hi| Constraint::AtMost(dim, hi));
    for fact in [low, high].into_iter().flatten() {
        if !shapes.prove(fact).is_always() {
            // Bounds of a caller that assumed contradictory facts describe no run at all.
            let _ = shapes.assume(fact);
        }
    }
    dim
}

fn overflow() -> Diagnostic {
    Diagnostic::error("S002", "the size of a dimension overflows 64-bit integers")
}

fn mismatch(wanted: DType, found: DType) -> Diagnostic {
    Diagnostic::error("L005", format!("expected a value of type {wanted}, found {found}"))
        .help("insert a `cast`")
}

fn rank_error(buffer: &Buffer, found: usize) -> Diagnostic {
    let wanted = buffer.dims.len();
    Diagnostic::error("L002", format!("`%{}` has {wanted} dimensions but is indexed by {found}", buffer.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imported_symbols_become_sizes_once_and_keep_their_bounds() {
        let mut caller = ShapeCx::new();
        let (n, m) = (caller.sym("n"), caller.sym("m"));
        caller.assume(Constraint::AtLeast(n, 2)).unwrap();
        let nm = caller.mul(n, m).unwrap();
        let half = caller.floor_div(nm, 2).unwrap();
        let mut b = ProgramBuilder::new("p");
        let a = b.import_dim(&caller, half).unwrap();
        let inside = b.import_dim(&caller, n).unwrap();
        assert_eq!(b.shapes().display(a).to_string(), "floordiv(m*n, 2)");
        assert_eq!(b.shapes().bounds(inside).lo, Some(2));
        let (program, sizes) = b.finish();
        assert_eq!(sizes.len(), 2);
        assert_eq!(program.sizes.len(), 2);
        for (sym, arg) in program.sizes.iter().zip(&sizes) {
            assert_eq!(program.shapes.name(*sym), caller.display(*arg).to_string());
        }
    }

    #[test]
    fn wrong_operands_are_errors() {
        let mut b = ProgramBuilder::new("p");
        let n = b.size("n");
        let x = b.input("x", DType::F32, &[n]);
        let y = b.output("y", DType::I64, &[n]);
        let f = b.float(1.0, DType::F32).unwrap();
        let i = b.int(1, DType::I64).unwrap();
        assert_eq!(b.binary(BinaryOp::Add, f, i).unwrap_err().code, "L005");
        assert_eq!(b.binary(BinaryOp::And, f, f).unwrap_err().code, "L005");
        assert_eq!(b.unary(UnaryOp::Exp, i).unwrap_err().code, "L005");
        assert_eq!(b.select(i, f, f).unwrap_err().code, "L005");
        assert_eq!(b.int(2, DType::Bool).unwrap_err().code, "L005");
        assert_eq!(b.float(2.0, DType::I8).unwrap_err().code, "L005");
        assert_eq!(b.load(x, [n, n]).unwrap_err().code, "L002");
        assert_eq!(b.load_or(x, [n], i).unwrap_err().code, "L005");
        assert_eq!(b.load(x, [f]).unwrap_err().code, "L005");
        let axis = b.axis("i", n);
        let at = b.var(axis);
        assert_eq!(b.stage(&[axis], x, [at], f).unwrap_err().code, "L003");
        assert_eq!(b.stage(&[axis], y, [at], f).unwrap_err().code, "L005");
        b.stage(&[axis], y, [at], i).unwrap();
        assert_eq!(b.into_program().stages().len(), 1);
    }

    #[test]
    fn names_stay_unique_and_loops_nest() {
        let mut b = ProgramBuilder::new("p");
        let n = b.size("n");
        let (x, again) = (b.input("x", DType::F32, &[n]), b.output("x", DType::F32, &[n]));
        let (t, u) = (b.axis("t", n), b.axis("t", n));
        b.for_loop(t, |b| {
            b.for_loop(u, |b| {
                let (from, to) = (b.var(t), b.var(u));
                let value = b.load(x, [from])?;
                b.stage(&[], again, [to], value)
            })
        })
        .unwrap();
        let p = b.into_program();
        assert_eq!(p.buffers[again].name, "x_1");
        assert_ne!(t.var, u.var);
        assert_eq!(p.stages().len(), 1);
    }
}
