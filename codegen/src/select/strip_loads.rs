//! What the stages of [`super::strips`] read, for given values of some of their axes.

use indexmap::IndexMap;
use orogen_ir::loops::{BinaryOp, BufferId, CompareOp, Expr, ExprId, Index, Stage, UnaryOp};
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::DType;

use super::element::{elements_in, lane_of, moves};
use super::expression::{Leaves, Node, Operation, VectorExpr};
use super::selector::Selector;
use super::stages;
use super::strip_program::{Chosen, Source};
use crate::vector::Width;

/// Elements are gathered that are less apart than this, so that the positions of a vector of them fit in lanes.
pub(super) const FURTHEST: i64 = 1 << 26;

/// `low ≤ index < high`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) low: Dim,
    pub(super) high: Dim,
}

/// When a load is in range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    /// Bits of the value elsewhere, as a lane.
    pub(super) otherwise: u64,
    /// Of groups in a row.
    pub(super) inner: Range,
    /// Of indices over the other axes.
    pub(super) outer: Vec<Range>,
    /// What data say that the begin and the end of the range are more, where they are.
    pub(super) by: [Option<ExprId>; 2],
}

/// A load: where it is in a row, in elements from the start of the buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Load {
    /// None for numbers that count along the row.
    pub(super) buffer: Option<BufferId>,
    /// Of numbers the first one.
    pub(super) offset: Dim,
    /// Elements from group to group.
    pub(super) step: i64,
    /// Which element of the group, where all of them are read.
    pub(super) part: i64,
    pub(super) guard: Option<Guard>,
    /// The indices of the first element, where they depend on data.
    pub(super) element: Option<Vec<Index>>,
    /// How data choose an element for every element of the row.
    pub(super) gather: Option<Gathered>,
    /// Whether it is read for the sake of an index.
    pub(super) indexes: bool,
}

/// How elements are chosen for every element of the row, by data or by what is not linear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gathered {
    /// The dimensions that are.
    pub(super) places: Vec<usize>,
    /// What chooses in each of them, over the loads before.
    pub(super) indices: Vec<Chosen>,
    /// The extents of those that are checked, in order.
    pub(super) extents: Vec<Dim>,
    /// Over how many elements all of them choose.
    pub(super) reach: Dim,
}

/// Takes the expressions of a stage apart for given values of some of its axes.
pub(super) struct Parts<'a, 'p> {
    pub(super) s: &'a mut Selector<'p>,
    pub(super) stage: &'a Stage,
    /// The axis that counts groups.
    pub(super) row: Sym,
    pub(super) n: Dim,
    /// Elements of a group, which of them is meant, and which term of the reduction.
    pub(super) group: i64,
    pub(super) part: i64,
    pub(super) term: usize,
    /// The innermost axis of the stage.
    pub(super) inner: Sym,
    pub(super) values: IndexMap<Sym, Dim>,
    pub(super) loads: Vec<Load>,
    pub(super) sources: Vec<Source>,
    /// Loads of whole groups, by expression and term: the first element, and how many parts were met.
    pub(super) spread: IndexMap<(ExprId, usize), (Dim, i64)>,
    /// The width of lanes.
    pub(super) width: Width,
    /// Whether elements are moved as lanes of four bytes, whatever they are.
    pub(super) packed: bool,
    /// Whether an index is taken apart.
    pub(super) indexes: bool,
    /// Whether numbers are computed along the row, and elements gathered where places are not linear.
    pub(super) numbers: bool,
    /// Whether elements are stored in order, so that each may be made from what was there before: leaf [`BEFORE`].
    pub(super) ordered: bool,
}

/// The leaf of what is where an element is stored.
pub(super) const BEFORE: usize = usize::MAX;

impl Parts<'_, '_> {
    pub(super) fn index(&mut self, index: &Index) -> Option<Dim> {
        let place = self.s.shapes.substitute(index.dim()?, &self.values).ok()?;
        // Where the row is a piece, an extremum may be one of its operands.
        let linear = self.s.shapes.affine_in(place, self.row).is_some();
        Some(if linear { place } else { self.s.shapes.simplify(place) })
    }

    /// Elements per group, and from the start of the buffer to the first one.
    pub(super) fn position(&mut self, buffer: BufferId, at: &[Dim]) -> Option<(Dim, Dim)> {
        let shapes = &mut self.s.shapes;
        let (mut stride, mut offset) = (shapes.int(1), shapes.int(0));
        for (index, dim) in at.iter().zip(&self.s.program.buffers[buffer].dims).rev() {
            let part = shapes.mul(*index, stride).ok()?;
            offset = shapes.add(offset, part).ok()?;
            stride = shapes.mul(stride, *dim).ok()?;
        }
        shapes.affine_in(offset, self.row)
    }

    fn load(&mut self, expr: &mut VectorExpr, id: ExprId) -> Option<usize> {
        let program = self.s.program;
        let Expr::Load { buffer, at, otherwise } = &program.exprs[id] else { return None };
        if self.ordered && *buffer == self.stage.buffer && at[..] == self.stage.at[..] && otherwise.is_none()
        {
            return Some(BEFORE);
        }
        let in_place = *buffer == self.stage.buffer && self.group == 1 && at[..] == self.stage.at[..];
        // What the stage writes may lie over what it reads only at the same place.
        if *buffer == self.stage.buffer && !(in_place && otherwise.is_none()) {
            return None;
        }
        let gather = self.gathered(expr, *buffer, at)?;
        if gather.is_some() && (self.packed || !self.width.has_floats()) {
            return None;
        }
        let places = gather.as_ref().map_or(&[][..], |it| &it.places);
        let (at, element) = self.indices(at, places)?;
        let (coefficient, offset) = self.position(*buffer, &at)?;
        let (mut offset, mut part) = (offset, 0);
        let step = self.s.shapes.as_int(coefficient)?;
        let guard = match otherwise {
            Some(_) if element.is_some() || gather.is_some() => return None,
            Some(otherwise) => self.guard(*buffer, &at, *otherwise)?,
            None => None,
        };
        let apart = self.group == 1 && guard.is_none() && gather.is_none();
        let bytes = self.s.program.buffers[*buffer].dtype.size() as i64;
        // Lanes without floats are read whole.
        let lanes = self.width.has_floats() || bytes.checked_mul(step) == Some(self.width.bytes().into());
        let strided = apart && !(0..2).contains(&step) && !self.packed && lanes && step.abs() < FURTHEST;
        if step > 1 && !strided && gather.is_none() {
            // Every element of the group is read, each by its own part.
            if step != self.group || guard.is_some() || element.is_some() {
                return None;
            }
            part = self.part;
            offset = self.s.shapes.add_int(offset, -part).ok()?;
            let seen = self.spread.entry((id, self.term)).or_insert((offset, 0));
            if seen.0 != offset || seen.1 != part {
                return None;
            }
            seen.1 += 1;
        }
        if (step < 0 && !strided && gather.is_none()) || (guard.is_some() && step != 1) {
            return None;
        }
        let whole = strided && element.is_none();
        let spread = if whole { self.spread(*buffer, &at, step) } else { None };
        if let Some(place) = spread {
            part = place;
            offset = self.s.shapes.add_int(offset, -place).ok()?;
        }
        let source = match (&guard, &gather) {
            (Some(guard), _) => Source::Guarded(guard.otherwise),
            (None, Some(_)) if step.abs() >= FURTHEST => return None,
            (None, Some(it)) => Source::Gather { indices: it.indices.clone(), step },
            (None, None) if let Some(place) = spread => Source::Spread { step, place },
            (None, None) if strided => Source::Strided(step),
            (None, None) if step == 0 => Source::Scalar,
            (None, None) if step == 1 => Source::Row,
            (None, None) => Source::Group(part),
        };
        let (buffer, indexes) = (Some(*buffer), self.indexes);
        Some(self.place(Load { buffer, offset, step, part, guard, element, gather, indexes }, source))
    }

    /// At which place of units of `step` elements those of a row are that are so many apart, if all units lie inside their
    /// row of the buffer, and lanes hold units.
    fn spread(&mut self, buffer: BufferId, at: &[Dim], step: i64) -> Option<i64> {
        let program = self.s.program;
        let (dtype, extent) = (program.buffers[buffer].dtype, *program.buffers[buffer].dims.last()?);
        let element = elements_in(program, self.stage, dtype, self.width)?;
        if step < 0 || !element.is_in_units(self.width, step) {
            return None;
        }
        let (coefficient, first) = self.s.shapes.affine_in(*at.last()?, self.row)?;
        if self.s.shapes.as_int(coefficient) != Some(step) {
            return None;
        }
        let (shapes, n) = (&mut self.s.shapes, self.n);
        let length = shapes.scale(n, step).ok()?;
        let end = shapes.add(first, length).ok()?;
        (0..step).find(|place| {
            let (least, most) = (shapes.int(*place), shapes.add_int(extent, *place));
            shapes.prove_ge(first, least).is_always()
                && most.is_ok_and(|it| shapes.prove_le(end, it).is_always())
        })
    }

    /// The place of a load.
    pub(super) fn place(&mut self, load: Load, source: Source) -> usize {
        self.loads.iter().position(|it| *it == load).unwrap_or_else(|| {
            self.sources.push(source);
            self.loads.push(load);
            self.loads.len() - 1
        })
    }

    /// The guard of a load; `Some(None)` where it always holds.
    fn guard(&mut self, buffer: BufferId, at: &[Dim], otherwise: ExprId) -> Option<Option<Guard>> {
        let dtype = self.s.program.buffers[buffer].dtype;
        // Where lanes hold bits, zero alone is the same in all types.
        let bits =
            moves(self.s.program, self.stage) && (self.packed || dtype.size() != self.width.bytes() as usize);
        let otherwise = match self.s.program.exprs[otherwise] {
            Expr::Float(value, _) if value == 0.0 && value.is_sign_positive() => 0,
            Expr::Int(0, _) => 0,
            Expr::Float(..) | Expr::Int(..) if bits => return None,
            // As in memory.
            Expr::Float(..) | Expr::Int(..) if dtype == DType::Bool => 1,
            Expr::Int(value, _) if dtype.is_int() => self.width.int(value),
            Expr::Int(value, _) => lane_of(dtype, self.width, value as f64)?,
            Expr::Float(value, _) => lane_of(dtype, self.width, value)?,
            _ => return None,
        };
        let row = self.row;
        let shapes = &mut self.s.shapes;
        let zero = shapes.int(0);
        let (mut lows, mut highs, mut outer) = (vec![zero], vec![self.n], Vec::new());
        let mut always = true;
        for (index, extent) in at.iter().zip(self.s.program.buffers[buffer].dims.clone()) {
            if shapes.prove_ge(*index, zero).is_always() && shapes.prove_lt(*index, extent).is_always() {
                continue;
            }
            always = false;
            let (coefficient, rest) = shapes.affine_in(*index, row)?;
            let (low, high) = (shapes.neg(rest).ok()?, shapes.sub(extent, rest).ok()?);
            match shapes.as_int(coefficient)? {
                0 => outer.push(Range { low, high }),
                1 => {
                    lows.push(low);
                    highs.push(high);
                }
                _ => return None,
            }
        }
        if always {
            return Some(None);
        }
        let inner = Range { low: shapes.max(&lows).ok()?, high: shapes.min(&highs).ok()? };
        Some(Some(Guard { otherwise, inner, outer, by: [None; 2] }))
    }

    /// Whether a value changes along the row.
    pub(super) fn varies(&self, id: ExprId) -> bool {
        stages::symbols_below(self.s.program, id).contains(&self.inner)
    }

    /// How data choose where every element of the row is stored. Where the stage reads what it stores over, no two of
    /// them may be the same: then the row has a dimension of its own.
    pub(super) fn placed(&mut self, expr: &mut VectorExpr) -> Option<Gathered> {
        let stage = self.stage;
        let single = self.group == 1 && stage.combine.is_none() && !self.packed;
        if !self.numbers || self.width != Width::W64 || !single {
            return None;
        }
        let reads = !self.ordered && stages::accesses(self.s.program, stage, stage.buffer).count() > 1;
        let mut own = |index: &Index| {
            let place = self.index(index)?;
            let (step, _) = self.s.shapes.affine_in(place, self.row)?;
            self.s.shapes.as_int(step).filter(|it| *it != 0)
        };
        if reads && !stage.at.iter().any(|it| own(it).is_some()) {
            return None;
        }
        self.gathered(expr, stage.buffer, &stage.at)?
    }

    /// How elements are stored one by one that are neither neighbours nor one; `None` if they are.
    pub(super) fn spaced(&mut self, step: Dim) -> Option<Gathered> {
        let step = self.s.shapes.as_int(step).filter(|it| !(0..2).contains(it) && it.abs() < FURTHEST)?;
        let few = self.s.shapes.as_int(self.n).is_some_and(|it| it < 8);
        let reach = self.s.shapes.int(step.abs());
        let all = Gathered { places: Vec::new(), indices: Vec::new(), extents: Vec::new(), reach };
        (!few && self.stage.combine.is_none() && !self.packed).then_some(all)
    }

    /// Whether an index changes along the row other than by a known distance of `stride` elements or a multiple, or by data
    /// with the terms of a reduction.
    fn chooses(&mut self, index: &Index, stride: Dim) -> Option<bool> {
        if let Some(id) = index.value() {
            let names = stages::symbols_below(self.s.program, id);
            return Some(self.varies(id) || self.stage.reduce.iter().any(|it| names.contains(&it.var)));
        }
        let place = self.index(index)?;
        let step = self.s.shapes.affine_in(place, self.row).and_then(|it| self.s.shapes.as_int(it.0));
        let known = step.is_some_and(|it| it == 0 || self.s.shapes.as_int(stride).is_some());
        Some(self.numbers && !known)
    }

    /// How the indices of a load choose elements for every element of the row; `Some(None)` if none does.
    fn gathered(
        &mut self,
        expr: &mut VectorExpr,
        buffer: BufferId,
        at: &[Index],
    ) -> Option<Option<Gathered>> {
        let program = self.s.program;
        let dims = program.buffers[buffer].dims.clone();
        let mut places = Vec::new();
        for (place, index) in at.iter().enumerate() {
            let stride = self.s.shapes.product(&dims[place + 1..]).ok()?;
            if self.chooses(index, stride)? {
                places.push(place);
            }
        }
        if places.is_empty() {
            return Some(None);
        }
        let (mut indices, mut extents, mut reach) = (Vec::new(), Vec::new(), Vec::new());
        for &place in &places {
            let stride = self.s.shapes.product(&dims[place + 1..]).ok()?;
            let scale = match self.s.shapes.as_int(stride) {
                Some(scale) => expr.bits(scale),
                None => self.whole_number(expr, stride)?,
            };
            let checked = at[place].is_checked();
            let index = match at[place].value() {
                Some(id) => {
                    let dtype = program.dtype_of(id);
                    if dtype != DType::I32 && (dtype != DType::I64 || self.width != Width::W64) {
                        return None;
                    }
                    let outer = std::mem::replace(&mut self.indexes, true);
                    let index = expr.add_with(program, id, self);
                    self.indexes = outer;
                    index?
                }
                None => self.number(expr, at[place].dim()?)?,
            };
            indices.push(Chosen { index, scale, checked });
            if checked {
                extents.push(dims[place]);
            }
            reach.push(self.s.shapes.mul(dims[place], stride).ok()?);
        }
        let reach = self.s.shapes.sum(&reach).ok()?;
        Some(Some(Gathered { places, indices, extents, reach }))
    }

    /// The indices of a load as sizes, 0 where they depend on data; then also all of them at the start of the row. `chosen`
    /// are the dimensions of which every element of the row has its own.
    pub(super) fn indices(
        &mut self,
        at: &[Index],
        chosen: &[usize],
    ) -> Option<(Vec<Dim>, Option<Vec<Index>>)> {
        let zero = self.s.shapes.int(0);
        let (mut dims, mut element, mut gathers) = (Vec::new(), Vec::new(), false);
        for (place, index) in at.iter().enumerate() {
            if chosen.contains(&place) {
                dims.push(zero);
                element.push(Index::Dim(zero));
            } else if let Some(id) = index.value() {
                gathers = true;
                dims.push(zero);
                // Everything else that the value names must be an axis around the row.
                let names = stages::symbols_below(self.s.program, id);
                if self.stage.reduce.iter().any(|axis| names.contains(&axis.var)) {
                    return None;
                }
                element.push(index.clone());
            } else {
                let dim = self.index(index)?;
                dims.push(dim);
                let start = IndexMap::from([(self.row, zero)]);
                element.push(Index::Dim(self.s.shapes.substitute(dim, &start).ok()?));
            }
        }
        Some((dims, gathers.then_some(element)))
    }
}

/// An integer that depends on no data, for given values of axes.
pub(super) fn integer(s: &mut Selector<'_>, values: &IndexMap<Sym, Dim>, id: ExprId) -> Option<Dim> {
    match &s.program.exprs[id] {
        Expr::Dim(dim, DType::I64) => s.shapes.substitute(*dim, values).ok(),
        Expr::Int(value, DType::I64) => Some(s.shapes.int(*value)),
        Expr::Float(value, DType::I64) => Some(s.shapes.int(*value as i64)),
        Expr::Binary(op @ (BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul), x, y) => {
            let (x, y) = (integer(s, values, *x)?, integer(s, values, *y)?);
            match op {
                BinaryOp::Add => s.shapes.add(x, y),
                BinaryOp::Sub => s.shapes.sub(x, y),
                _ => s.shapes.mul(x, y),
            }
            .ok()
        }
        _ => None,
    }
}

impl Leaves for Parts<'_, '_> {
    fn leaf(&mut self, expr: &mut VectorExpr, id: ExprId) -> Option<Node> {
        if let Expr::Dim(number, _) = &self.s.program.exprs[id] {
            let number = self.number(expr, *number)?;
            return Some(expr.push(Operation::FromInt(number)));
        }
        let place = self.load(expr, id)?;
        Some(expr.leaf(place))
    }

    fn whole(&mut self, expr: &mut VectorExpr, id: ExprId) -> Option<Node> {
        let Expr::Dim(number, _) = &self.s.program.exprs[id] else { return None };
        self.number(expr, *number)
    }

    fn compare(&mut self, expr: &mut VectorExpr, op: CompareOp, x: ExprId, y: ExprId) -> Option<Node> {
        self.comparison(expr, op, x, y).or_else(|| self.comparison_with_data(expr, op, x, y))
    }

    fn decide(&mut self, condition: ExprId) -> Option<bool> {
        let program = self.s.program;
        match &program.exprs[condition] {
            Expr::Compare(op, x, y) => {
                let x = integer(self.s, &self.values, *x)?;
                let y = integer(self.s, &self.values, *y)?;
                let shapes = &self.s.shapes;
                let truth = match op {
                    CompareOp::Eq | CompareOp::Ne => shapes.prove_eq(x, y),
                    CompareOp::Lt => shapes.prove_lt(x, y),
                    CompareOp::Le => shapes.prove_le(x, y),
                    CompareOp::Gt => shapes.prove_gt(x, y),
                    CompareOp::Ge => shapes.prove_ge(x, y),
                };
                let known = truth.is_always() || truth.is_never();
                known.then(|| truth.is_always() != (*op == CompareOp::Ne))
            }
            Expr::Binary(op @ (BinaryOp::And | BinaryOp::Or), x, y) => {
                let absorbing = *op == BinaryOp::Or;
                match (self.decide(*x), self.decide(*y)) {
                    (Some(x), Some(y)) => Some(if absorbing { x || y } else { x && y }),
                    (Some(known), None) | (None, Some(known)) if known == absorbing => Some(known),
                    _ => None,
                }
            }
            Expr::Unary(UnaryOp::Not, x) => Some(!self.decide(*x)?),
            _ => None,
        }
    }
}
