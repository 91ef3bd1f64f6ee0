//! From a function of kernels to the scalar expression of one element of a result.
//!
//! Composition is by demand: the element at symbolic indices is what the last stage stores there, whose loads are
//! elements of what earlier stages and kernels stored, and so on until parameters and constants are left. Where a stage
//! stores is inverted, affine index by affine index; where several stages write parts, and where a load has a guard, the
//! expression is a choice by conditions on indices.

use super::cases::{Indices, Step, Stop};
use super::term::{At, Bound, Source, Term, TermId, Terms};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::flow::{Function, Module, Rhs, ValueDef, ValueId};
use orogen_ir::loops::analysis::flat_stages;
use orogen_ir::loops::{Axis, BufferId, BufferRole, CompareOp, Expr, ExprId, Index, Stage, TensorProgram};
use orogen_ir::shape::{Constraint, Dim, ShapeCx, Sym};
use orogen_ir::types::{DType, TensorData, Type};

/// One of the two functions, after legalisation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    pub(super) module: &'a Module,
    pub(super) function: &'a Function,
}

/// Deeper nesting of composed expressions is not followed.
const MAX_DEPTH: usize = 200;
/// More terms are not made in one case.
const MAX_TERMS: usize = 20_000;

/// Composes elements of both sides under the facts of one case.
#[derive(Debug)]
pub(super) struct Composer<'a> {
    pub(super) terms: Terms,
    pub(super) indices: Indices,
    sides: [Side<'a>; 2],
    /// Names of the symbols that parameters bind: they mean the same on both sides.
    shared: &'a IndexSet<String>,
    constants: Vec<TensorData>,
    memo: IndexMap<(usize, ValueId, Vec<Dim>), TermId>,
    depth: usize,
}

/// One call of a kernel: what its size symbols are, and its operands.
struct Frame<'p> {
    side: usize,
    program: &'p TensorProgram,
    sizes: IndexMap<Sym, Dim>,
    args: Vec<ValueId>,
    stages: Vec<&'p Stage>,
}

/// One iteration of a stage: its number, and what its symbols are.
struct Point<'f, 'p> {
    frame: &'f Frame<'p>,
    stage: usize,
    symbols: IndexMap<Sym, Dim>,
}

impl<'a> Composer<'a> {
    pub(super) fn new(indices: Indices, sides: [Side<'a>; 2], shared: &'a IndexSet<String>) -> Self {
        let (terms, memo) = (Terms::default(), IndexMap::new());
        Composer { terms, indices, sides, shared, constants: Vec::new(), memo, depth: 0 }
    }

    /// A dimension of one side.
    fn import(&mut self, from: &ShapeCx, d: Dim) -> Step<Dim> {
        let own = |it: &Sym| !self.shared.contains(from.name(*it));
        if let Some(sym) = from.free_symbols(d).into_iter().find(own) {
            return Err(Stop::unknown(format!("the size `{}` is decided by data", from.name(sym))));
        }
        let d = self.indices.cx.import(from, d);
        Ok(self.indices.cx.simplify(d))
    }

    /// The dimensions of a tensor of one side.
    pub(super) fn dims(&mut self, side: usize, value: ValueId) -> Step<Vec<Dim>> {
        let Side { module, function } = self.sides[side];
        let dims = function[value].ty.as_tensor().and_then(|it| it.dims());
        let dims = dims.ok_or_else(|| Stop::unknown("a value has no known shape"))?;
        dims.iter().map(|it| self.import(&module.shapes, *it)).collect()
    }

    /// The element of a value at a place in range.
    pub(super) fn element(&mut self, side: usize, value: ValueId, at: &[Dim]) -> Step<TermId> {
        let at = at.iter().map(|it| self.indices.simplify(*it)).collect::<Step<Vec<Dim>>>()?;
        let key = (side, value, at);
        if let Some(known) = self.memo.get(&key) {
            return Ok(*known);
        }
        if self.depth >= MAX_DEPTH || self.terms.len() > MAX_TERMS {
            return Err(Stop::unknown("the composed expression is too large"));
        }
        self.depth += 1;
        let term = self.define(side, value, &key.2)?;
        self.depth -= 1;
        self.memo.insert(key, term);
        Ok(term)
    }

    fn define(&mut self, side: usize, value: ValueId, at: &[Dim]) -> Step<TermId> {
        let Side { module, function } = self.sides[side];
        let (binding, result) = match function[value].def {
            ValueDef::Param(i) => return self.parameter(side, i, &function[value].ty, at),
            ValueDef::RegionParam(..) => return Err(Stop::unknown("a value of a loop")),
            ValueDef::Result(binding, result) => (binding, result),
        };
        match &function[binding].rhs {
            Rhs::Constant(id) => self.constant(module.constants.data(*id), at),
            Rhs::MatchCast { value, .. } => self.element(side, *value, at),
            Rhs::View { value: of, .. } => {
                let (dims, source) = (self.dims(side, value)?, self.dims(side, *of)?);
                let at = self.view(&dims, &source, at)?;
                self.element(side, *of, &at)
            }
            Rhs::Call { callee, args, sizes } => {
                let kernel = module.kernels().find(|it| it.name() == callee);
                let program = kernel.and_then(|it| it.program());
                let program =
                    program.ok_or_else(|| Stop::unknown(format!("`{callee}` is no tensor program")))?;
                let mut values = IndexMap::new();
                for (sym, size) in program.sizes.iter().zip(sizes) {
                    values.insert(*sym, self.import(&module.shapes, *size)?);
                }
                let stages = flat_stages(program)
                    .ok_or_else(|| Stop::unknown(format!("`{callee}` is a recurrence")))?;
                let frame = Frame { side, program, sizes: values, args: args.to_vec(), stages };
                let output = program.outputs().nth(result as usize);
                let (buffer, _) = output.ok_or_else(|| Stop::unknown("a kernel without that result"))?;
                self.stored(&frame, buffer, at, frame.stages.len())
            }
            rhs => Err(Stop::unknown(format!("{} is not composed", describe(rhs)))),
        }
    }

    fn parameter(&mut self, side: usize, i: u32, ty: &Type, at: &[Dim]) -> Step<TermId> {
        let ty = ty.as_tensor().ok_or_else(|| Stop::unknown("a parameter is not a tensor"))?;
        if let Some(elements) = &ty.elements
            && let Some(place) = self.linear_place(side, ty.dims().unwrap_or_default(), at)?
        {
            let shapes = &self.sides[side].module.shapes;
            let element = elements.get(place).copied();
            let element = element.ok_or_else(|| Stop::unknown("an element that the type does not know"))?;
            let element = self.import(shapes, element)?;
            return Ok(self.terms.add(Term::Index(element, ty.dtype)));
        }
        let at = at.iter().copied().map(At::Dim).collect();
        let source = Source::Param(i);
        Ok(self.terms.add(Term::Load { source, dtype: ty.dtype, at, otherwise: None }))
    }

    /// The number of an element, when place and dimensions are numbers.
    fn linear_place(&mut self, side: usize, dims: &[Dim], at: &[Dim]) -> Step<Option<usize>> {
        let mut place = 0i64;
        for (dim, at) in dims.iter().zip(at) {
            let dim = self.import(&self.sides[side].module.shapes, *dim)?;
            let (Some(dim), Some(at)) = (self.indices.cx.as_int(dim), self.indices.cx.as_int(*at)) else {
                return Ok(None);
            };
            place = place.saturating_mul(dim).saturating_add(at);
        }
        Ok(usize::try_from(place).ok())
    }

    fn constant(&mut self, data: &TensorData, at: &[Dim]) -> Step<TermId> {
        let mut place = self.indices.cx.int(0);
        for (extent, at) in data.dims().iter().zip(at) {
            let extent = i64::try_from(*extent).map_err(|_| Stop::unknown("a constant is too large"))?;
            let scaled = self.indices.cx.scale(place, extent)?;
            place = self.indices.cx.add(scaled, *at)?;
        }
        let dtype = data.dtype();
        let one = (1..data.len()).all(|it| data.bits(it) == data.bits(0));
        let known = match self.indices.cx.as_int(place) {
            Some(place) => usize::try_from(place).ok(),
            None => one.then_some(0),
        };
        if let Some(i) = known.filter(|it| *it < data.len() && !dtype.is_only_moved()) {
            return Ok(self.terms.add(match dtype.is_float() {
                true => Term::Float(data.get_f64(i).to_bits(), dtype),
                false => Term::Int(data.get_i64(i), dtype),
            }));
        }
        let same = |it: &TensorData| it.dtype() == dtype && it.bytes()[..] == data.bytes()[..];
        let number = self.constants.iter().position(same).unwrap_or_else(|| {
            self.constants.push(data.clone());
            self.constants.len() - 1
        });
        let source = Source::Constant(u32::try_from(number).expect("few constants"));
        let at = vec![At::Dim(place)];
        Ok(self.terms.add(Term::Load { source, dtype, at, otherwise: None }))
    }

    /// Where the element at `at` of a tensor of `dims` lies in one of `source` with the same elements in the same order.
    ///
    /// Leading dimensions whose products agree are taken apart from the rest, so that a place is computed within groups.
    fn view(&mut self, dims: &[Dim], source: &[Dim], at: &[Dim]) -> Step<Vec<Dim>> {
        let zero = self.indices.cx.int(0);
        let mut out = vec![zero; source.len()];
        let one = |cx: &ShapeCx, d: Dim| cx.bounds(d).hi == Some(1) || cx.as_int(d) == Some(1);
        let cx = &self.indices.cx;
        let from: Vec<usize> = (0..dims.len()).filter(|it| !one(cx, dims[*it])).collect();
        let to: Vec<usize> = (0..source.len()).filter(|it| !one(cx, source[*it])).collect();
        let (mut i, mut j) = (0, 0);
        while j < to.len() && i < from.len() {
            let (p, q) = self.group(dims, source, &from[i..], &to[j..])?;
            let mut linear = zero;
            for axis in &from[i..i + p] {
                let scaled = self.indices.cx.mul(linear, dims[*axis])?;
                linear = self.indices.cx.add(scaled, at[*axis])?;
            }
            for (n, axis) in to[j..j + q].iter().enumerate().rev() {
                if n == 0 {
                    out[*axis] = self.indices.simplify(linear)?;
                } else {
                    let quotient = self.indices.cx.floor_div_dim(linear, source[*axis])?;
                    let quotient = self.indices.simplify(quotient)?;
                    let whole = self.indices.cx.mul(quotient, source[*axis])?;
                    let rest = self.indices.cx.sub(linear, whole)?;
                    out[*axis] = self.indices.simplify(rest)?;
                    linear = quotient;
                }
            }
            (i, j) = (i + p, j + q);
        }
        Ok(out)
    }

    /// How many of the dimensions on either side make the first group: the fewest whose products are equal.
    fn group(&mut self, dims: &[Dim], source: &[Dim], from: &[usize], to: &[usize]) -> Step<(usize, usize)> {
        for total in 2..from.len() + to.len() {
            for p in 1..=from.len().min(total - 1) {
                let q = total - p;
                if q > to.len() {
                    continue;
                }
                let a: Vec<Dim> = from[..p].iter().map(|it| dims[*it]).collect();
                let b: Vec<Dim> = to[..q].iter().map(|it| source[*it]).collect();
                let (a, b) = (self.indices.cx.product(&a)?, self.indices.cx.product(&b)?);
                if self.indices.cx.prove_eq(a, b).is_always() {
                    return Ok((p, q));
                }
            }
        }
        Ok((from.len(), to.len()))
    }

    /// The element of a buffer after the first `until` stages.
    fn stored(&mut self, frame: &Frame<'_>, buffer: BufferId, at: &[Dim], until: usize) -> Step<TermId> {
        let last = (0..until).rev().find(|it| frame.stages[*it].buffer == buffer);
        let Some(number) = last else {
            let data = &frame.program.buffers[buffer];
            if !matches!(data.role, BufferRole::Input | BufferRole::InOut) {
                return Ok(self.terms.add(Term::Undefined(data.dtype)));
            }
            let operand = frame.program.inputs().position(|(it, _)| it == buffer);
            let operand = operand.and_then(|it| frame.args.get(it).copied());
            let operand = operand.ok_or_else(|| Stop::unknown("a kernel without that operand"))?;
            return self.element(frame.side, operand, at);
        };
        let stage = frame.stages[number];
        let (symbols, mut conditions) = self.invert(frame, stage, at)?;
        if writes_all(frame, number) {
            conditions.clear();
        }
        let point = Point { frame, stage: number, symbols };
        self.choose(conditions, &mut |cx| cx.stage_value(&point), &mut |cx| {
            cx.stored(frame, buffer, at, number)
        })
    }

    /// The first value where all conditions are at least 0, else the second.
    fn choose(
        &mut self,
        conditions: Vec<Dim>,
        then: &mut dyn FnMut(&mut Self) -> Step<TermId>,
        otherwise: &mut dyn FnMut(&mut Self) -> Step<TermId>,
    ) -> Step<TermId> {
        let mut open = Vec::new();
        for condition in conditions {
            let condition = self.indices.simplify(condition)?;
            match self.indices.decide(condition)? {
                Some(true) => {}
                Some(false) => return otherwise(self),
                None => open.push(condition),
            }
        }
        if open.is_empty() {
            return then(self);
        }
        // What is composed under conditions may differ from what is composed without.
        let memo = std::mem::take(&mut self.memo);
        let saved = self.indices.cx.save_facts();
        let at_least_zero = |it: &Dim| Constraint::AtLeast(*it, 0);
        let possible = open.iter().all(|it| self.indices.cx.assume(at_least_zero(it)).is_ok());
        let first = if possible { Some(then(self)?) } else { None };
        self.indices.cx.restore_facts(saved);
        self.memo = memo;
        let second = otherwise(self)?;
        Ok(match first {
            Some(first) if first != second => self.terms.add(Term::Case(open, first, second)),
            _ => second,
        })
    }

    /// The iteration of a stage that stores at a place, and the conditions under which there is one.
    fn invert(
        &mut self,
        frame: &Frame<'_>,
        stage: &Stage,
        at: &[Dim],
    ) -> Step<(IndexMap<Sym, Dim>, Vec<Dim>)> {
        // Axes are unknowns until their values are found.
        let mut unknowns: IndexMap<Sym, (Sym, Dim)> = IndexMap::new();
        let mut symbols = frame.sizes.clone();
        for axis in &stage.axes {
            let extent = self.local(frame, &symbols, axis.extent)?;
            let (sym, unknown) = self.indices.bound_index(extent);
            unknowns.insert(sym, (axis.var, extent));
            symbols.insert(axis.var, unknown);
        }
        let mut targets = Vec::new();
        for (index, at) in stage.at.iter().zip(at) {
            let dim = index.dim().ok_or_else(|| Stop::unknown("places of stores come from data"))?;
            targets.push((self.local(frame, &symbols, dim)?, *at));
        }
        let mut found: IndexMap<Sym, Dim> = IndexMap::new();
        let mut conditions = Vec::new();
        while !targets.is_empty() {
            let before = targets.len();
            let mut waiting = Vec::new();
            for (target, at) in targets {
                let target = self.indices.cx.substitute(target, &found)?;
                let open: Vec<Sym> = self.indices.cx.free_symbols(target).into_iter().collect();
                let open: Vec<Sym> = open
                    .into_iter()
                    .filter(|it| unknowns.contains_key(it) && !found.contains_key(it))
                    .collect();
                match open[..] {
                    [] => {
                        let difference = self.indices.cx.sub(at, target)?;
                        conditions.extend([difference, self.indices.cx.neg(difference)?]);
                    }
                    [one] => self.solve(target, at, one, &mut found, &mut conditions)?,
                    [a, b] if self.solve_two(target, at, [a, b], &unknowns, &mut found)? => {}
                    _ => waiting.push((target, at)),
                }
            }
            if waiting.len() == before {
                return Err(Stop::unknown("where a stage stores cannot be inverted"));
            }
            targets = waiting;
        }
        let mut values = frame.sizes.clone();
        for (sym, (var, extent)) in unknowns {
            // What is stored at one place for all iterations of an axis has one iteration.
            let value = found.get(&sym).copied().unwrap_or_else(|| self.indices.cx.int(0));
            let value = self.indices.simplify(value)?;
            conditions.extend(self.indices.within(value, extent)?);
            values.insert(var, value);
        }
        Ok((values, conditions))
    }

    /// The value of the one unknown of `target = at`.
    fn solve(
        &mut self,
        target: Dim,
        at: Dim,
        unknown: Sym,
        found: &mut IndexMap<Sym, Dim>,
        conditions: &mut Vec<Dim>,
    ) -> Step<()> {
        let cx = &mut self.indices.cx;
        let affine = cx.affine_in(target, unknown);
        let (step, rest) =
            affine.ok_or_else(|| Stop::unknown("a stage stores at a place that is not affine"))?;
        let distance = cx.sub(at, rest)?;
        let value = match cx.as_int(step) {
            Some(1) => distance,
            Some(-1) => cx.neg(distance)?,
            _ => {
                let value = cx.floor_div_dim(distance, step)?;
                let whole = cx.mul(value, step)?;
                let remainder = cx.sub(distance, whole)?;
                conditions.extend([remainder, cx.neg(remainder)?]);
                value
            }
        };
        found.insert(unknown, value);
        Ok(())
    }

    /// The values of the two unknowns of `target = at`, where one counts whole steps and the other the rest.
    fn solve_two(
        &mut self,
        target: Dim,
        at: Dim,
        pair: [Sym; 2],
        unknowns: &IndexMap<Sym, (Sym, Dim)>,
        found: &mut IndexMap<Sym, Dim>,
    ) -> Step<bool> {
        for [outer, inner] in [pair, [pair[1], pair[0]]] {
            let cx = &mut self.indices.cx;
            let Some((step, rest)) = cx.affine_in(target, outer) else { continue };
            let Some((one, rest)) = cx.affine_in(rest, inner) else { continue };
            let extent = unknowns[&inner].1;
            if cx.as_int(one) != Some(1) || !cx.prove_eq(extent, step).is_always() {
                continue;
            }
            let distance = cx.sub(at, rest)?;
            let value = cx.floor_div_dim(distance, step)?;
            let value = self.indices.simplify(value)?;
            let whole = self.indices.cx.mul(value, step)?;
            let remainder = self.indices.cx.sub(distance, whole)?;
            found.insert(outer, value);
            found.insert(inner, self.indices.simplify(remainder)?);
            return Ok(true);
        }
        Ok(false)
    }

    /// A dimension of a program, with values for its symbols.
    fn local(&mut self, frame: &Frame<'_>, symbols: &IndexMap<Sym, Dim>, d: Dim) -> Step<Dim> {
        let shapes = &frame.program.shapes;
        let mut missing = None;
        let result = self.indices.cx.import_with(shapes, d, &mut |cx, sym| match symbols.get(&sym) {
            Some(value) => *value,
            None => {
                missing = Some(sym);
                cx.int(0)
            }
        })?;
        match missing {
            Some(sym) => Err(Stop::unknown(format!("the symbol `{}` of a kernel", shapes.name(sym)))),
            None => Ok(result),
        }
    }

    fn stage_value(&mut self, point: &Point<'_, '_>) -> Step<TermId> {
        let stage = point.frame.stages[point.stage];
        let Some(combine) = stage.combine else { return self.expr(point, stage.value) };
        let mut symbols = point.symbols.clone();
        let mut bounds = Vec::new();
        for Axis { var, extent } in &stage.reduce {
            let extent = self.local(point.frame, &symbols, *extent)?;
            let extent = self.indices.cx.simplify(extent);
            let (sym, index) = self.indices.bound_index(extent);
            symbols.insert(*var, index);
            bounds.push(Bound { var: sym, extent });
        }
        let inner = Point { frame: point.frame, stage: point.stage, symbols };
        let value = self.expr(&inner, stage.value)?;
        Ok(self.terms.add(Term::Reduce(combine, bounds, value)))
    }

    fn expr(&mut self, point: &Point<'_, '_>, id: ExprId) -> Step<TermId> {
        self.depth += 1;
        if self.depth >= MAX_DEPTH {
            return Err(Stop::unknown("the composed expression is too large"));
        }
        let term = match &point.frame.program.exprs[id] {
            Expr::Dim(d, dtype) => {
                let d = self.local(point.frame, &point.symbols, *d)?;
                Term::Index(self.indices.simplify(d)?, *dtype)
            }
            Expr::Float(value, dtype) if dtype.is_float() => {
                Term::Float(dtype.round(*value).to_bits(), *dtype)
            }
            Expr::Float(value, dtype) => Term::Int(dtype.wrap(*value as i64), *dtype),
            Expr::Int(value, dtype) => Term::Int(dtype.wrap(*value), *dtype),
            Expr::Unary(op, a) => Term::Unary(*op, self.expr(point, *a)?),
            Expr::Binary(op, a, b) => Term::Binary(*op, self.expr(point, *a)?, self.expr(point, *b)?),
            Expr::Compare(op, a, b) => Term::Compare(*op, self.expr(point, *a)?, self.expr(point, *b)?),
            Expr::Cast(dtype, a) => Term::Cast(*dtype, self.expr(point, *a)?),
            Expr::Select(cond, a, b) => {
                let (cond, a, b) = (self.expr(point, *cond)?, self.expr(point, *a)?, self.expr(point, *b)?);
                self.depth -= 1;
                return self.select(cond, a, b);
            }
            Expr::Load { buffer, at, otherwise } => {
                let term = self.load(point, *buffer, at, *otherwise);
                self.depth -= 1;
                return term;
            }
        };
        self.depth -= 1;
        Ok(self.terms.add(term))
    }

    /// A choice by a comparison of indices is one by conditions.
    fn select(&mut self, cond: TermId, a: TermId, b: TermId) -> Step<TermId> {
        let Term::Compare(op, x, y) = *self.terms.get(cond) else {
            return Ok(self.terms.add(Term::Select(cond, a, b)));
        };
        let (Some(x), Some(y)) = (self.as_index(x), self.as_index(y)) else {
            return Ok(self.terms.add(Term::Select(cond, a, b)));
        };
        let (up, down) = (self.indices.cx.sub(y, x)?, self.indices.cx.sub(x, y)?);
        let (conditions, a, b) = match op {
            CompareOp::Eq => (vec![up, down], a, b),
            CompareOp::Ne => (vec![up, down], b, a),
            CompareOp::Le => (vec![up], a, b),
            CompareOp::Ge => (vec![down], a, b),
            CompareOp::Lt => (vec![down], b, a),
            CompareOp::Gt => (vec![up], b, a),
        };
        self.choose(conditions, &mut |_| Ok(a), &mut |_| Ok(b))
    }

    /// The index expression that a 64-bit integer is.
    fn as_index(&mut self, term: TermId) -> Option<Dim> {
        match *self.terms.get(term) {
            Term::Index(d, DType::I64) => Some(d),
            Term::Int(value, DType::I64) => Some(self.indices.cx.int(value)),
            _ => None,
        }
    }

    fn load(
        &mut self,
        point: &Point<'_, '_>,
        buffer: BufferId,
        at: &[Index],
        otherwise: Option<ExprId>,
    ) -> Step<TermId> {
        let frame = point.frame;
        let mut places = Vec::new();
        for index in at {
            places.push(match index {
                Index::Dim(d) => At::Dim(self.local(frame, &point.symbols, *d)?),
                Index::Value(id) | Index::Checked(id) => {
                    let value = self.expr(point, *id)?;
                    At::Data { value, checked: index.is_checked() }
                }
            });
        }
        let dims = frame.program.buffers[buffer].dims.clone();
        let mut extents = Vec::new();
        for dim in &dims {
            extents.push(self.local(frame, &frame.sizes, *dim)?);
        }
        // An index from data that is symbolic after all, and in range for all sizes, is a symbolic index.
        for (place, extent) in places.iter_mut().zip(&extents) {
            if let At::Data { value, .. } = *place
                && let Some(d) = self.as_index(value)
            {
                let within = self.indices.within(d, *extent)?;
                if within.iter().all(|it| self.indices.cx.prove(Constraint::AtLeast(*it, 0)).is_always()) {
                    *place = At::Dim(d);
                }
            }
        }
        let dims: Option<Vec<Dim>> =
            places.iter().map(|it| if let At::Dim(d) = it { Some(*d) } else { None }).collect();
        match dims {
            Some(at) => {
                let Some(otherwise) = otherwise else { return self.stored(frame, buffer, &at, point.stage) };
                let mut conditions = Vec::new();
                for (at, extent) in at.iter().zip(&extents) {
                    conditions.extend(self.indices.within(*at, *extent)?);
                }
                self.choose(conditions, &mut |cx| cx.stored(frame, buffer, &at, point.stage), &mut |cx| {
                    cx.expr(point, otherwise)
                })
            }
            None => self.load_at_data(point, buffer, places, &extents, otherwise),
        }
    }

    /// A load at places from data: of a parameter or constant, perhaps under another shape of equal leading dimensions.
    fn load_at_data(
        &mut self,
        point: &Point<'_, '_>,
        buffer: BufferId,
        places: Vec<At>,
        extents: &[Dim],
        otherwise: Option<ExprId>,
    ) -> Step<TermId> {
        let frame = point.frame;
        // The place is an unknown index in range; what is loaded there is an element like any other.
        let mut at = Vec::new();
        let mut data: IndexMap<Sym, At> = IndexMap::new();
        for (place, extent) in places.iter().zip(extents) {
            at.push(match place {
                At::Dim(d) => *d,
                At::Data { .. } => {
                    let (sym, index) = self.indices.bound_index(*extent);
                    data.insert(sym, *place);
                    index
                }
            });
        }
        let term = self.stored(frame, buffer, &at, point.stage)?;
        let otherwise = otherwise.map(|it| self.expr(point, it)).transpose()?;
        let checked = data.values().all(|it| matches!(it, At::Data { checked: true, .. }));
        let plain = matches!(self.terms.get(term), Term::Load { .. });
        match otherwise {
            // Where an index is checked, there is a place, or no result.
            Some(otherwise) if !checked || places.iter().any(|it| matches!(it, At::Dim(_))) => {
                let found = self.with_data(term, &data)?;
                match self.terms.get(found).clone() {
                    Term::Load { source, dtype, at, otherwise: None } if plain => {
                        let otherwise = Some(otherwise);
                        Ok(self.terms.add(Term::Load { source, dtype, at, otherwise }))
                    }
                    _ => Err(Stop::unknown("a guarded element at a place from data")),
                }
            }
            _ => self.with_data(term, &data),
        }
    }

    /// A term with places from data for the symbols that stand for them.
    fn with_data(&mut self, term: TermId, data: &IndexMap<Sym, At>) -> Step<TermId> {
        let mentions = |cx: &Indices, d: Dim| data.keys().any(|it| cx.cx.mentions(d, *it));
        let new = match self.terms.get(term).clone() {
            same @ (Term::Float(..) | Term::Int(..) | Term::Undefined(_)) => same,
            Term::Index(d, _) if mentions(&self.indices, d) => {
                return Err(Stop::unknown("a place from data as a number"));
            }
            same @ Term::Index(..) => same,
            Term::Load { source, dtype, at, otherwise } => {
                let mut out = Vec::new();
                for place in at {
                    out.push(match place {
                        At::Data { value, checked } => {
                            At::Data { value: self.with_data(value, data)?, checked }
                        }
                        At::Dim(d) if !mentions(&self.indices, d) => place,
                        At::Dim(d) => {
                            let place = self.indices.cx.as_sym(d).and_then(|it| data.get(&it));
                            *place.ok_or_else(|| Stop::unknown("a place is computed from data"))?
                        }
                    });
                }
                let otherwise = otherwise.map(|it| self.with_data(it, data)).transpose()?;
                Term::Load { source, dtype, at: out, otherwise }
            }
            Term::Unary(op, a) => Term::Unary(op, self.with_data(a, data)?),
            Term::Binary(op, a, b) => Term::Binary(op, self.with_data(a, data)?, self.with_data(b, data)?),
            Term::Compare(op, a, b) => Term::Compare(op, self.with_data(a, data)?, self.with_data(b, data)?),
            Term::Select(cond, a, b) => {
                let (cond, a) = (self.with_data(cond, data)?, self.with_data(a, data)?);
                Term::Select(cond, a, self.with_data(b, data)?)
            }
            Term::Cast(to, a) => Term::Cast(to, self.with_data(a, data)?),
            Term::Case(conditions, a, b) => {
                if conditions.iter().any(|it| mentions(&self.indices, *it)) {
                    return Err(Stop::unknown("a place from data decides a case"));
                }
                Term::Case(conditions, self.with_data(a, data)?, self.with_data(b, data)?)
            }
            Term::Reduce(combine, axes, a) => {
                if axes.iter().any(|it| mentions(&self.indices, it.extent)) {
                    return Err(Stop::unknown("a place from data bounds a reduction"));
                }
                Term::Reduce(combine, axes, self.with_data(a, data)?)
            }
        };
        Ok(self.terms.add(new))
    }
}

/// Whether a stage writes every element of its buffer: it is the only one, and the buffer is an output, which is written
/// whole (law L12 of tensor programs), or the stage's axes are its dimensions.
fn writes_all(frame: &Frame<'_>, number: usize) -> bool {
    let stage = frame.stages[number];
    if frame.stages.iter().filter(|it| it.buffer == stage.buffer).count() > 1 {
        return false;
    }
    let (buffer, shapes) = (&frame.program.buffers[stage.buffer], &frame.program.shapes);
    let own = |(index, dim): (&Index, &Dim)| {
        let var = index.dim().and_then(|it| shapes.as_sym(it));
        stage.axes.iter().any(|axis| Some(axis.var) == var && axis.extent == *dim)
    };
    match buffer.role {
        BufferRole::Output => true,
        BufferRole::Local => stage.at.iter().zip(&buffer.dims).all(own),
        BufferRole::Input | BufferRole::InOut => false,
    }
}

/// What a binding is, for a reason.
fn describe(rhs: &Rhs) -> &'static str {
    match rhs {
        Rhs::Op { .. } => "an operator on objects",
        Rhs::Tuple(_) | Rhs::Get { .. } => "a tuple",
        Rhs::If { .. } => "a branch",
        Rhs::While { .. } => "a loop",
        _ => "this",
    }
}
