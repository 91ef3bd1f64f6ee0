//! Merging tensor programs, the mechanism of fusion.
//!
//! [`compose`] puts the stages of a producer before those of a consumer, makes the buffers between them local, and
//! [`inline`] then substitutes elementwise producers into the loads that read them. Whether a composition pays is
//! for the caller to decide, from [`super::analysis`].

use super::{Axis, Buffer, BufferId, BufferRole, Expr, ExprId, Index, Stage, Stmt, TensorProgram, UnaryOp};
use crate::shape::{Dim, Overflow, Sym, SymbolKind};
use indexmap::IndexMap;
use smallvec::SmallVec;

/// Where a parameter of a composed program comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Parameter `i` of the producer.
    Producer(usize),
    /// Parameter `i` of the consumer.
    Consumer(usize),
}

/// How two programs meet. Indices count [`TensorProgram::params`].
#[derive(Clone, Debug, Default)]
pub struct Junction {
    /// `(producer output, consumer input)`: the consumer reads what the producer writes.
    pub links: Vec<(usize, usize)>,
    /// `(producer input, consumer input)`: both read the same buffer.
    pub shared: Vec<(usize, usize)>,
    /// Producer outputs that something else reads too, so they stay outputs.
    pub kept: Vec<usize>,
}

/// A composed program.
#[derive(Clone, Debug)]
pub struct Composed {
    /// The program.
    pub program: TensorProgram,
    /// Values of its size parameters, in the caller's dimensions.
    pub sizes: Vec<Dim>,
    /// Where each of its parameters comes from.
    pub params: Vec<Origin>,
}

/// The program that runs `producer`, then `consumer`. `*_sizes` are the caller's values of the size parameters;
/// parameters with the same value become one. `None` when linked buffers differ in type or shape, or when an
/// index expression overflows.
pub fn compose(
    producer: (&TensorProgram, &[Dim]),
    consumer: (&TensorProgram, &[Dim]),
    junction: &Junction,
) -> Option<Composed> {
    let name = format!("{}_{}", producer.0.name, consumer.0.name);
    let mut target = TensorProgram { name: short_name(name), ..TensorProgram::default() };
    let mut sizes: Vec<Dim> = Vec::new();
    let mut first = Copier::new(producer.0);
    first.unify_sizes(&mut target, producer.1, &mut sizes);
    for (i, id) in producer.0.params.iter().enumerate() {
        let mut buffer = first.buffer(&mut target, &producer.0.buffers[*id]).ok()?;
        let linked = junction.links.iter().any(|(output, _)| *output == i);
        if linked && !junction.kept.contains(&i) {
            buffer.role = BufferRole::Local;
        }
        let new = add_buffer(&mut target, buffer);
        first.buffers.insert(*id, new);
    }
    first.locals(&mut target).ok()?;
    let mut second = Copier::new(consumer.0);
    second.unify_sizes(&mut target, consumer.1, &mut sizes);
    for (i, id) in consumer.0.params.iter().enumerate() {
        let buffer = second.buffer(&mut target, &consumer.0.buffers[*id]).ok()?;
        let other = |pairs: &[(usize, usize)]| pairs.iter().find(|(_, it)| *it == i).map(|(it, _)| *it);
        let new = match other(&junction.links).or_else(|| other(&junction.shared)) {
            Some(param) => {
                let existing = first.buffers[&producer.0.params[param]];
                let have = &target.buffers[existing];
                if have.dtype != buffer.dtype || have.dims != buffer.dims {
                    return None;
                }
                existing
            }
            None => add_buffer(&mut target, buffer),
        };
        second.buffers.insert(*id, new);
    }
    second.locals(&mut target).ok()?;
    let mut body = first.stmts(&mut target, &producer.0.body).ok()?;
    body.extend(second.stmts(&mut target, &consumer.0.body).ok()?);
    target.body = body;
    let origins = (0..producer.0.params.len())
        .map(|i| (first.buffers[&producer.0.params[i]], Origin::Producer(i)))
        .chain(
            (0..consumer.0.params.len())
                .map(|i| (second.buffers[&consumer.0.params[i]], Origin::Consumer(i))),
        );
    let mut by_buffer: IndexMap<BufferId, Origin> = IndexMap::new();
    for (buffer, origin) in origins {
        by_buffer.entry(buffer).or_insert(origin);
    }
    let mut params = Vec::new();
    for role in [BufferRole::Input, BufferRole::Output] {
        for (buffer, origin) in by_buffer.iter().filter(|(it, _)| target.buffers[**it].role == role) {
            target.params.push(*buffer);
            params.push(*origin);
        }
    }
    inline(&mut target);
    Some(Composed { program: target, sizes, params })
}

/// Names of long chains say how they begin.
fn short_name(mut name: String) -> String {
    const LONGEST: usize = 48;
    if name.len() > LONGEST {
        let end = (0..=LONGEST).rev().find(|it| name.is_char_boundary(*it)).unwrap_or(0);
        name.truncate(end);
    }
    name
}

fn add_buffer(program: &mut TensorProgram, mut buffer: Buffer) -> BufferId {
    let hint = buffer.name.clone();
    let mut suffix = 0_u32;
    while program.find_buffer(&buffer.name).is_some() {
        suffix += 1;
        buffer.name = format!("{hint}_{suffix}");
    }
    program.buffers.alloc(buffer)
}

/// Copies parts of one program into another.
struct Copier<'a> {
    source: &'a TensorProgram,
    syms: IndexMap<Sym, Dim>,
    buffers: IndexMap<BufferId, BufferId>,
    exprs: IndexMap<ExprId, ExprId>,
}

impl<'a> Copier<'a> {
    fn new(source: &'a TensorProgram) -> Self {
        Copier { source, syms: IndexMap::new(), buffers: IndexMap::new(), exprs: IndexMap::new() }
    }

    fn unify_sizes(&mut self, target: &mut TensorProgram, values: &[Dim], sizes: &mut Vec<Dim>) {
        for (sym, value) in self.source.sizes.iter().zip(values) {
            let dim = match sizes.iter().position(|it| it == value) {
                Some(i) => target.shapes.sym_dim(target.sizes[i]),
                None => {
                    let name = self.source.shapes.name(*sym);
                    let dim = match self.source.shapes.kind(*sym) {
                        SymbolKind::Size => target.shapes.fresh(name),
                        _ => target.shapes.fresh_integer(name),
                    };
                    target.sizes.push(target.shapes.as_sym(dim).expect("a fresh symbol"));
                    sizes.push(*value);
                    dim
                }
            };
            self.syms.insert(*sym, dim);
        }
    }

    fn dim(&mut self, target: &mut TensorProgram, dim: Dim) -> Result<Dim, Overflow> {
        let syms = &self.syms;
        target.shapes.import_with(&self.source.shapes, dim, &mut |shapes, sym| match syms.get(&sym) {
            Some(dim) => *dim,
            // A symbol out of scope breaks law L1; it is copied as it is and the verifier reports it.
            None => shapes.fresh_integer("unbound"),
        })
    }

    fn buffer(&mut self, target: &mut TensorProgram, buffer: &Buffer) -> Result<Buffer, Overflow> {
        let dims = buffer.dims.iter().map(|it| self.dim(target, *it)).collect::<Result<_, _>>()?;
        Ok(Buffer { dims, ..buffer.clone() })
    }

    fn locals(&mut self, target: &mut TensorProgram) -> Result<(), Overflow> {
        let source = self.source;
        for (id, buffer) in source.buffers.iter().filter(|(_, it)| it.role == BufferRole::Local) {
            let copy = self.buffer(target, buffer)?;
            let new = add_buffer(target, copy);
            self.buffers.insert(id, new);
        }
        Ok(())
    }

    fn axis(&mut self, target: &mut TensorProgram, axis: &Axis) -> Result<Axis, Overflow> {
        let extent = self.dim(target, axis.extent)?;
        let dim = target.shapes.fresh_index(self.source.shapes.name(axis.var), extent);
        self.syms.insert(axis.var, dim);
        Ok(Axis { var: target.shapes.as_sym(dim).expect("a fresh symbol"), extent })
    }

    fn stmts(&mut self, target: &mut TensorProgram, stmts: &[Stmt]) -> Result<Vec<Stmt>, Overflow> {
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
                    // Axes differ from stage to stage, so expressions are copied anew for each.
                    self.exprs.clear();
                    let at = self.indices(target, &stage.at)?;
                    let value = self.expr(target, stage.value)?;
                    let buffer = self.buffers[&stage.buffer];
                    Stmt::Stage(Stage { axes, reduce, combine: stage.combine, buffer, at, value })
                }
            });
        }
        Ok(copies)
    }

    fn indices(
        &mut self,
        target: &mut TensorProgram,
        at: &[Index],
    ) -> Result<SmallVec<[Index; 4]>, Overflow> {
        at.iter()
            .map(|index| match index {
                Index::Dim(dim) => Ok(Index::Dim(self.dim(target, *dim)?)),
                Index::Value(value) => Ok(Index::Value(self.expr(target, *value)?)),
                Index::Checked(value) => Ok(Index::Checked(self.expr(target, *value)?)),
            })
            .collect()
    }

    fn expr(&mut self, target: &mut TensorProgram, id: ExprId) -> Result<ExprId, Overflow> {
        if let Some(copy) = self.exprs.get(&id) {
            return Ok(*copy);
        }
        let copy = match &self.source.exprs[id] {
            Expr::Dim(dim, dtype) => Expr::Dim(self.dim(target, *dim)?, *dtype),
            constant @ (Expr::Float(..) | Expr::Int(..)) => constant.clone(),
            Expr::Load { buffer, at, otherwise } => Expr::Load {
                buffer: self.buffers[buffer],
                at: self.indices(target, at)?,
                otherwise: otherwise.map(|it| self.expr(target, it)).transpose()?,
            },
            Expr::Unary(op, a) => Expr::Unary(*op, self.expr(target, *a)?),
            Expr::Cast(dtype, a) => Expr::Cast(*dtype, self.expr(target, *a)?),
            Expr::Binary(op, a, b) => Expr::Binary(*op, self.expr(target, *a)?, self.expr(target, *b)?),
            Expr::Compare(op, a, b) => Expr::Compare(*op, self.expr(target, *a)?, self.expr(target, *b)?),
            Expr::Select(c, a, b) => {
                Expr::Select(self.expr(target, *c)?, self.expr(target, *a)?, self.expr(target, *b)?)
            }
        };
        let copy = target.exprs.alloc(copy);
        self.exprs.insert(id, copy);
        Ok(copy)
    }
}

/// Substitutes local buffers that one elementwise stage fills into the load that reads them, where that does not
/// repeat costly work, and drops the stage. Returns whether anything changed.
pub fn inline(program: &mut TensorProgram) -> bool {
    let mut changed = false;
    let mut position = 0;
    while position < program.body.len() {
        if inline_at(program, position).is_some() {
            changed = true;
        } else {
            position += 1;
        }
    }
    changed
}

fn inline_at(program: &mut TensorProgram, position: usize) -> Option<()> {
    let Stmt::Stage(stage) = &program.body[position] else { return None };
    let stage = stage.clone();
    let buffer = &program.buffers[stage.buffer];
    if buffer.role != BufferRole::Local || stage.combine.is_some() || !fills(program, &stage) {
        return None;
    }
    let mut reader: Option<(usize, Vec<ExprId>)> = None;
    for (i, stmt) in program.body.iter().enumerate() {
        match stmt {
            Stmt::Stage(other) => {
                if i != position && other.buffer == stage.buffer {
                    return None;
                }
                let loads = loads_of(program, other, stage.buffer);
                if !loads.is_empty() {
                    if reader.is_some() || i < position {
                        return None;
                    }
                    reader = Some((i, loads));
                }
            }
            Stmt::For { body, .. } => {
                if mentions(program, body, stage.buffer) {
                    return None;
                }
            }
        }
    }
    let (reader, loads) = reader?;
    let Stmt::Stage(consumer) = &program.body[reader] else { return None };
    let consumer = consumer.clone();
    // What the inlined expression loads must not be overwritten in between.
    let inputs = loaded_buffers(program, stage.value);
    for stmt in &program.body[position + 1..=reader] {
        match stmt {
            Stmt::Stage(other) if inputs.contains(&other.buffer) => return None,
            Stmt::For { body, .. } if inputs.iter().any(|it| stores(body, *it)) => return None,
            _ => {}
        }
    }
    let once = loads.len() == 1 && reads_each_element_once(program, &consumer, loads[0]);
    if !once && (loads.len() != 1 || !is_cheap(program, stage.value)) {
        return None;
    }
    let mut replacements = IndexMap::new();
    for load in loads {
        let Expr::Load { at, otherwise: None, .. } = program.exprs[load].clone() else { return None };
        let map: IndexMap<Sym, Dim> = stage
            .axes
            .iter()
            .zip(axis_of_dimension(program, &stage)?)
            .map(|(axis, dimension)| Some((axis.var, at[dimension].dim()?)))
            .collect::<Option<_>>()?;
        let copy = substitute(program, stage.value, &map, &mut IndexMap::new()).ok()?;
        replacements.insert(load, copy);
    }
    let value = replace(program, consumer.value, &replacements);
    let at = consumer
        .at
        .iter()
        .map(|it| match it {
            Index::Dim(dim) => Index::Dim(*dim),
            Index::Value(value) => Index::Value(replace(program, *value, &replacements)),
            Index::Checked(value) => Index::Checked(replace(program, *value, &replacements)),
        })
        .collect();
    program.body[reader] = Stmt::Stage(Stage { value, at, ..consumer });
    program.body.remove(position);
    Some(())
}

/// Which dimension of the buffer each axis of a stage that [`fills`] it runs along.
fn axis_of_dimension(program: &TensorProgram, stage: &Stage) -> Option<Vec<usize>> {
    stage
        .axes
        .iter()
        .map(|axis| {
            stage
                .at
                .iter()
                .position(|it| it.dim().is_some_and(|d| program.shapes.as_sym(d) == Some(axis.var)))
        })
        .collect()
}

/// Whether a stage stores every element of its buffer, each at the index of its own axes.
fn fills(program: &TensorProgram, stage: &Stage) -> bool {
    let dims = &program.buffers[stage.buffer].dims;
    stage.at.iter().zip(dims).all(|(index, dim)| {
        let Some(index) = index.dim() else { return false };
        match program.shapes.as_sym(index) {
            Some(sym) => stage.axes.iter().any(|it| it.var == sym && it.extent == *dim),
            None => program.shapes.as_int(index) == Some(0) && program.shapes.as_int(*dim) == Some(1),
        }
    }) && axis_of_dimension(program, stage).is_some_and(|mut it| {
        it.sort_unstable();
        it.windows(2).all(|pair| pair[0] != pair[1])
    })
}

fn reads_each_element_once(program: &TensorProgram, consumer: &Stage, load: ExprId) -> bool {
    let Expr::Load { at, otherwise: None, .. } = &program.exprs[load] else { return false };
    let mut seen: Vec<Sym> = Vec::new();
    for index in at {
        let Some(dim) = index.dim() else { return false };
        match program.shapes.as_sym(dim) {
            Some(sym) if !seen.contains(&sym) => seen.push(sym),
            _ if program.shapes.as_int(dim) == Some(0) => {}
            _ => return false,
        }
    }
    consumer.all_axes().all(|axis| seen.contains(&axis.var) || program.shapes.as_int(axis.extent) == Some(1))
}

/// Whether computing an expression again costs little more than loading its value.
fn is_cheap(program: &TensorProgram, value: ExprId) -> bool {
    fn count(program: &TensorProgram, id: ExprId, budget: &mut usize) -> bool {
        if *budget == 0 {
            return false;
        }
        *budget -= 1;
        let cheap = match &program.exprs[id] {
            Expr::Unary(op, _) => matches!(op, UnaryOp::Neg | UnaryOp::Abs | UnaryOp::Not | UnaryOp::BitNot),
            Expr::Binary(op, ..) => {
                use super::BinaryOp::{Add, And, Max, Min, Mul, Or, Sub, Xor};
                matches!(op, Add | Sub | Mul | Max | Min | And | Or | Xor)
            }
            _ => true,
        };
        cheap && program.exprs[id].operands().into_iter().all(|it| count(program, it, budget))
    }
    const NODES: usize = 6;
    count(program, value, &mut { NODES })
}

/// Loads of `buffer` in a stage, each expression once.
fn loads_of(program: &TensorProgram, stage: &Stage, buffer: BufferId) -> Vec<ExprId> {
    let mut found = Vec::new();
    let roots = std::iter::once(stage.value).chain(stage.at.iter().filter_map(Index::value));
    for root in roots {
        visit(program, root, &mut |id| {
            if matches!(&program.exprs[id], Expr::Load { buffer: it, .. } if *it == buffer)
                && !found.contains(&id)
            {
                found.push(id);
            }
        });
    }
    found
}

fn loaded_buffers(program: &TensorProgram, value: ExprId) -> Vec<BufferId> {
    let mut found = Vec::new();
    visit(program, value, &mut |id| {
        if let Expr::Load { buffer, .. } = &program.exprs[id] {
            found.push(*buffer);
        }
    });
    found
}

fn visit(program: &TensorProgram, id: ExprId, f: &mut impl FnMut(ExprId)) {
    f(id);
    for operand in program.exprs[id].operands() {
        visit(program, operand, f);
    }
}

fn mentions(program: &TensorProgram, body: &[Stmt], buffer: BufferId) -> bool {
    body.iter().any(|stmt| match stmt {
        Stmt::Stage(stage) => stage.buffer == buffer || !loads_of(program, stage, buffer).is_empty(),
        Stmt::For { body, .. } => mentions(program, body, buffer),
    })
}

fn stores(body: &[Stmt], buffer: BufferId) -> bool {
    body.iter().any(|stmt| match stmt {
        Stmt::Stage(stage) => stage.buffer == buffer,
        Stmt::For { body, .. } => stores(body, buffer),
    })
}

/// A copy of an expression with axes replaced by index expressions.
fn substitute(
    program: &mut TensorProgram,
    id: ExprId,
    map: &IndexMap<Sym, Dim>,
    copies: &mut IndexMap<ExprId, ExprId>,
) -> Result<ExprId, Overflow> {
    if let Some(copy) = copies.get(&id) {
        return Ok(*copy);
    }
    let mut expr = program.exprs[id].clone();
    match &mut expr {
        Expr::Dim(dim, _) => *dim = program.shapes.substitute(*dim, map)?,
        Expr::Float(..) | Expr::Int(..) => {}
        Expr::Load { at, otherwise, .. } => {
            for index in at {
                match index {
                    Index::Dim(dim) => *dim = program.shapes.substitute(*dim, map)?,
                    Index::Value(value) | Index::Checked(value) => {
                        *value = substitute(program, *value, map, copies)?;
                    }
                }
            }
            if let Some(otherwise) = otherwise {
                *otherwise = substitute(program, *otherwise, map, copies)?;
            }
        }
        Expr::Unary(_, a) | Expr::Cast(_, a) => *a = substitute(program, *a, map, copies)?,
        Expr::Binary(_, a, b) | Expr::Compare(_, a, b) => {
            *a = substitute(program, *a, map, copies)?;
            *b = substitute(program, *b, map, copies)?;
        }
        Expr::Select(c, a, b) => {
            *c = substitute(program, *c, map, copies)?;
            *a = substitute(program, *a, map, copies)?;
            *b = substitute(program, *b, map, copies)?;
        }
    }
    let copy = program.exprs.alloc(expr);
    copies.insert(id, copy);
    Ok(copy)
}

/// A copy of an expression with some nodes replaced; nodes without a replacement below them are shared.
fn replace(program: &mut TensorProgram, id: ExprId, map: &IndexMap<ExprId, ExprId>) -> ExprId {
    if let Some(new) = map.get(&id) {
        return *new;
    }
    let mut expr = program.exprs[id].clone();
    match &mut expr {
        Expr::Dim(..) | Expr::Float(..) | Expr::Int(..) => {}
        Expr::Load { at, otherwise, .. } => {
            for index in at {
                if let Some(value) = index.value_mut() {
                    *value = replace(program, *value, map);
                }
            }
            if let Some(otherwise) = otherwise {
                *otherwise = replace(program, *otherwise, map);
            }
        }
        Expr::Unary(_, a) | Expr::Cast(_, a) => *a = replace(program, *a, map),
        Expr::Binary(_, a, b) | Expr::Compare(_, a, b) => {
            *a = replace(program, *a, map);
            *b = replace(program, *b, map);
        }
        Expr::Select(c, a, b) => {
            *c = replace(program, *c, map);
            *a = replace(program, *a, map);
            *b = replace(program, *b, map);
        }
    }
    if expr == program.exprs[id] { id } else { program.exprs.alloc(expr) }
}
