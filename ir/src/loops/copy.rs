//! Copying a program, or parts of one into another.

use super::names::Names;
use super::{Axis, Buffer, BufferId, Expr, ExprId, Index, Stage, Stmt, TensorProgram};
use crate::shape::{Dim, Overflow, ShapeCx, Sym, SymbolKind};
use indexmap::IndexMap;
use smallvec::SmallVec;

/// The program with nothing but what its stages use, under the same name; `None` when an index expression overflows.
pub fn compact(program: &TensorProgram) -> Option<TensorProgram> {
    replacing(program, program.name.clone(), IndexMap::new())
}

/// As [`compact`], under another name, and with expressions of the program standing for others of it.
pub(super) fn replacing(
    program: &TensorProgram,
    name: String,
    over: IndexMap<Dim, Dim>,
) -> Option<TensorProgram> {
    let mut target = Target::new(name);
    let mut copier = Copier { over, ..Copier::new(program) };
    for sym in &program.sizes {
        copier.size(&mut target, *sym);
    }
    for id in &program.params {
        let buffer = copier.described(&mut target, *id).ok()?;
        let new = target.add(buffer);
        copier.buffers.insert(*id, new);
        target.program.params.push(new);
    }
    let body = copier.stmts(&mut target, &program.body).ok()?;
    Some(TensorProgram { body, ..target.program })
}

/// The program that is put together.
pub(super) struct Target {
    pub(super) program: TensorProgram,
    /// Names of its buffers.
    names: Names,
}

impl Target {
    /// To go on with a program; new buffers may have names that it uses, until it is [compacted](compact).
    pub(super) fn around(program: TensorProgram) -> Self {
        Target { program, names: Names::default() }
    }

    pub(super) fn new(name: String) -> Self {
        Target { program: TensorProgram { name, ..TensorProgram::default() }, names: Names::default() }
    }

    /// Adds a buffer, under another name when its own is taken.
    pub(super) fn add(&mut self, buffer: Buffer) -> BufferId {
        let name = self.names.fresh(&buffer.name);
        self.program.buffers.alloc(Buffer { name, ..buffer })
    }
}

/// Copies parts of one program into another.
pub(super) struct Copier<'a> {
    source: &'a TensorProgram,
    syms: IndexMap<Sym, Dim>,
    /// Expressions of the source that others of it stand for in the copy.
    over: IndexMap<Dim, Dim>,
    pub(super) buffers: IndexMap<BufferId, BufferId>,
    exprs: IndexMap<ExprId, ExprId>,
}

impl<'a> Copier<'a> {
    pub(super) fn new(source: &'a TensorProgram) -> Self {
        Copier {
            source,
            syms: IndexMap::new(),
            over: IndexMap::new(),
            buffers: IndexMap::new(),
            exprs: IndexMap::new(),
        }
    }

    pub(super) fn unify_sizes(&mut self, target: &mut Target, values: &[Dim], sizes: &mut Vec<Dim>) {
        for (sym, value) in self.source.sizes.iter().zip(values) {
            match sizes.iter().position(|it| it == value) {
                Some(i) => {
                    let same = target.program.sizes[i];
                    self.syms.insert(*sym, target.program.shapes.sym_dim(same));
                }
                None => {
                    self.size(target, *sym);
                    sizes.push(*value);
                }
            }
        }
    }

    /// A size parameter of the target for one of the source.
    fn size(&mut self, target: &mut Target, sym: Sym) {
        let shapes = &mut target.program.shapes;
        let name = self.source.shapes.name(sym);
        let dim = match self.source.shapes.kind(sym) {
            SymbolKind::Size => shapes.fresh(name),
            _ => shapes.fresh_integer(name),
        };
        target.program.sizes.push(shapes.as_sym(dim).expect("a fresh symbol"));
        self.syms.insert(sym, dim);
    }

    pub(super) fn dim(&mut self, target: &mut Target, dim: Dim) -> Result<Dim, Overflow> {
        let syms = &self.syms;
        let leaf = &mut |shapes: &mut ShapeCx, sym| match syms.get(&sym) {
            Some(dim) => *dim,
            // A symbol out of scope breaks law L1; it is copied as it is and the verifier reports it.
            None => shapes.fresh_integer("unbound"),
        };
        target.program.shapes.import_replacing(&self.source.shapes, dim, &self.over, leaf)
    }

    /// A buffer of the source in terms of the target.
    pub(super) fn described(&mut self, target: &mut Target, id: BufferId) -> Result<Buffer, Overflow> {
        let buffer = &self.source.buffers[id];
        let dims = buffer.dims.iter().map(|it| self.dim(target, *it)).collect::<Result<_, _>>()?;
        Ok(Buffer { dims, ..buffer.clone() })
    }

    /// The copy of a buffer; parameters have theirs, a local gets it where it is first used.
    fn buffer(&mut self, target: &mut Target, id: BufferId) -> Result<BufferId, Overflow> {
        if let Some(copy) = self.buffers.get(&id) {
            return Ok(*copy);
        }
        let buffer = self.described(target, id)?;
        let copy = target.add(buffer);
        self.buffers.insert(id, copy);
        Ok(copy)
    }

    fn axis(&mut self, target: &mut Target, axis: &Axis) -> Result<Axis, Overflow> {
        let extent = self.dim(target, axis.extent)?;
        let shapes = &mut target.program.shapes;
        let dim = shapes.fresh_index(self.source.shapes.name(axis.var), extent);
        self.syms.insert(axis.var, dim);
        Ok(Axis { var: shapes.as_sym(dim).expect("a fresh symbol"), extent })
    }

    pub(super) fn stmts(&mut self, target: &mut Target, stmts: &[Stmt]) -> Result<Vec<Stmt>, Overflow> {
        let mut copies = Vec::with_capacity(stmts.len());
        for stmt in stmts {
            copies.push(match stmt {
                Stmt::For { axis, body } => {
                    let axis = self.axis(target, axis)?;
                    Stmt::For { axis, body: self.stmts(target, body)? }
                }
                Stmt::Stage(stage) => {
                    let axes = stage.axes.iter().map(|it| self.axis(target, it)).collect::<Result<_, _>>()?;
                    let reduce =
                        stage.reduce.iter().map(|it| self.axis(target, it)).collect::<Result<_, _>>()?;
                    let buffer = self.buffer(target, stage.buffer)?;
                    self.exprs(target, stage, &IndexMap::new())?;
                    let at = self.indices(target, &stage.at)?;
                    let value = self.exprs[&stage.value];
                    Stmt::Stage(Stage { axes, reduce, combine: stage.combine, buffer, at, value })
                }
            });
        }
        Ok(copies)
    }

    /// Indices, whose expressions were copied.
    pub(super) fn indices(
        &mut self,
        target: &mut Target,
        at: &[Index],
    ) -> Result<SmallVec<[Index; 4]>, Overflow> {
        at.iter()
            .map(|index| match index {
                Index::Dim(dim) => Ok(Index::Dim(self.dim(target, *dim)?)),
                Index::Value(value) => Ok(Index::Value(self.exprs[value])),
                Index::Checked(value) => Ok(Index::Checked(self.exprs[value])),
            })
            .collect()
    }

    /// A symbol becomes this expression.
    pub(super) fn stand_in(&mut self, sym: Sym, dim: Dim) {
        self.syms.insert(sym, dim);
    }

    /// A buffer becomes this one.
    pub(super) fn place(&mut self, id: BufferId, copy: BufferId) {
        self.buffers.insert(id, copy);
    }

    /// The copy of an expression of the last stage.
    pub(super) fn copy_of(&self, id: ExprId) -> ExprId {
        self.exprs[&id]
    }

    /// Copies all expressions of a stage but those that are `given`.
    pub(super) fn exprs(
        &mut self,
        target: &mut Target,
        stage: &Stage,
        given: &IndexMap<ExprId, ExprId>,
    ) -> Result<(), Overflow> {
        // Axes differ from stage to stage, so expressions are copied anew for each.
        self.exprs.clone_from(given);
        let source = self.source;
        let roots = std::iter::once(stage.value).chain(stage.at.iter().filter_map(Index::value));
        for id in source.postorder(roots) {
            if self.exprs.contains_key(&id) {
                continue;
            }
            let copy = match &source.exprs[id] {
                Expr::Dim(dim, dtype) => Expr::Dim(self.dim(target, *dim)?, *dtype),
                Expr::Load { buffer, at, otherwise } => Expr::Load {
                    buffer: self.buffer(target, *buffer)?,
                    at: self.indices(target, at)?,
                    otherwise: otherwise.map(|it| self.exprs[&it]),
                },
                other => {
                    let mut copy = other.clone();
                    copy.for_each_operand_mut(&mut |it| *it = self.exprs[&*it]);
                    copy
                }
            };
            let copy = target.program.exprs.alloc(copy);
            self.exprs.insert(id, copy);
        }
        Ok(())
    }
}
