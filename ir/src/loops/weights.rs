//! Weights that a recurrence reads in each of its steps: what makes them wide from constants goes into the products.
//!
//! # Laws
//! * **W1** Every factor is the number that was stored: conversions that are left out keep every value.
//! * **W2** A factor is read along the sum and along the last axis of its product alone, and what scales it does not change
//!   along the sum. All products that read it have the same extents, so that one form of the constant serves them.

use super::inline::{axis_of_dimension, fills, loads_of, mentions, replace, substitute};
use super::{BinaryOp, BufferRole, Combine, Expr, ExprId, Index, Stage, Stmt, TensorProgram};
use crate::shape::{Atom, Dim, Sym};
use crate::types::DType;
use indexmap::IndexMap;

/// What one weight is: a number that is made wider, less a zero point, times a scale.
#[derive(Clone, Copy)]
struct Weight {
    number: ExprId,
    zero: Option<Zero>,
    scale: Option<ExprId>,
}

#[derive(Clone, Copy)]
enum Zero {
    Loaded(ExprId),
    Known(i64),
}

/// Puts what the first `count` stages of a program make, weights of `f32`, into the products that alone read them, and drops
/// these stages. `None` where they make anything else or anything else reads it: the program is of no use then.
pub fn into_products(program: &mut TensorProgram, count: usize) -> Option<()> {
    let mut body = std::mem::take(&mut program.body);
    if count == 0 || count >= body.len() {
        return None;
    }
    let mut rest = body.split_off(count);
    let stage = |it: Stmt| match it {
        Stmt::Stage(stage) => Some(stage),
        Stmt::For { .. } => None,
    };
    let mut stages = body.into_iter().map(stage).collect::<Option<Vec<Stage>>>()?;
    let mut made = stages.pop()?;
    for before in &stages {
        unpack(program, before, &mut made)?;
        if mentions(program, &rest, before.buffer) {
            return None;
        }
    }
    let buffer = &program.buffers[made.buffer];
    let is_local = buffer.role == BufferRole::Local && buffer.dtype == DType::F32;
    if !is_local || made.combine.is_some() || !fills(program, &made) {
        return None;
    }
    let weight = Weight::of(program, made.value)?;
    let places = axis_of_dimension(program, &made)?;
    let mut into = Into { program: &mut *program, made: &made, weight, places, extents: None, products: 0 };
    rest.iter_mut().try_for_each(|it| into.statement(it))?;
    let some = into.products > 0;
    program.body = rest;
    some.then_some(())
}

/// Puts a stage that only converts elements into one that reads what it makes.
fn unpack(program: &mut TensorProgram, before: &Stage, made: &mut Stage) -> Option<()> {
    let converts = matches!(program.exprs[before.value], Expr::Cast(..)) && before.combine.is_none();
    if !converts || program.buffers[before.buffer].role != BufferRole::Local || !fills(program, before) {
        return None;
    }
    let places = axis_of_dimension(program, before)?;
    for load in loads_of(program, made, before.buffer) {
        let map = map_of(program, (before, &places), load)?;
        let value = substitute(program, before.value, &map).ok()?;
        made.value = replace(program, &[made.value], load, value)[&made.value];
    }
    Some(())
}

/// What the axes of a stage that fills a buffer are at the place of a load of it.
fn map_of(
    program: &TensorProgram,
    (stage, places): (&Stage, &[usize]),
    load: ExprId,
) -> Option<IndexMap<Sym, Dim>> {
    let Expr::Load { at, otherwise: None, .. } = &program.exprs[load] else { return None };
    let axes = stage.axes.iter().zip(places);
    axes.map(|(axis, place)| Some((axis.var, at[*place].dim()?))).collect()
}

impl Weight {
    fn of(program: &TensorProgram, value: ExprId) -> Option<Weight> {
        let plain = |number| Weight { number, zero: None, scale: None };
        if let Some(number) = number(program, value) {
            return Some(plain(number));
        }
        let Expr::Binary(BinaryOp::Mul, value, scale) = program.exprs[value] else { return None };
        let is_scale = |id: ExprId| match &program.exprs[id] {
            Expr::Float(_, dtype) => *dtype == DType::F32,
            _ => number(program, id).is_some(),
        };
        if !is_scale(scale) {
            return None;
        }
        if let Some(number) = number(program, value) {
            return Some(Weight { scale: Some(scale), ..plain(number) });
        }
        let Expr::Cast(DType::F32, value) = program.exprs[value] else { return None };
        let difference = program.dtype_of(value);
        let Expr::Binary(BinaryOp::Sub, value, zero) = program.exprs[value] else { return None };
        // A difference of integers of 16 bits is one of `f32`, where it does not wrap.
        if !difference.is_signed_int() || difference.bits() < 32 {
            return None;
        }
        let narrow = |id: ExprId| number(program, id).filter(|it| program.dtype_of(*it).bits() <= 16);
        let zero = match program.exprs[zero] {
            Expr::Int(zero, _) if (-0x8000..=0xFFFF).contains(&zero) => Zero::Known(zero),
            _ => Zero::Loaded(narrow(zero)?),
        };
        Some(Weight { number: narrow(value)?, zero: Some(zero), scale: Some(scale) })
    }
}

/// The load of a number under conversions that keep its value, of a type whose numbers `f32` holds.
fn number(program: &TensorProgram, mut id: ExprId) -> Option<ExprId> {
    let mut passed = Vec::new();
    while let Expr::Cast(to, inner) = program.exprs[id] {
        passed.push(to);
        id = inner;
    }
    let Expr::Load { buffer, otherwise: None, at } = &program.exprs[id] else { return None };
    let from = program.buffers[*buffer].dtype;
    let kept = from.is_in(DType::F32) && from != DType::Bool && passed.iter().all(|to| from.is_in(*to));
    (kept && at.iter().all(|it| it.dim().is_some())).then_some(id)
}

/// What puts weights into products.
struct Into<'a> {
    program: &'a mut TensorProgram,
    made: &'a Stage,
    weight: Weight,
    /// The dimension that each axis of the stage runs along.
    places: Vec<usize>,
    /// Columns and terms of the products.
    extents: Option<[Dim; 2]>,
    products: usize,
}

impl Into<'_> {
    fn statement(&mut self, statement: &mut Stmt) -> Option<()> {
        match statement {
            Stmt::For { body, .. } => body.iter_mut().try_for_each(|it| self.statement(it)),
            Stmt::Stage(stage) if stage.buffer == self.made.buffer => None,
            Stmt::Stage(stage) => {
                let loads = loads_of(self.program, stage, self.made.buffer);
                match loads[..] {
                    [] => Some(()),
                    [load] => self.product(stage, load),
                    _ => None,
                }
            }
        }
    }

    fn product(&mut self, stage: &mut Stage, load: ExprId) -> Option<()> {
        let program = &*self.program;
        let (Some(Combine::Sum), [term], Some(column)) =
            (stage.combine, &stage.reduce[..], stage.axes.last())
        else {
            return None;
        };
        let Expr::Binary(BinaryOp::Mul, x, y) = program.exprs[stage.value] else { return None };
        let other = match (x == load, y == load) {
            (true, false) => y,
            (false, true) => x,
            _ => return None,
        };
        let Expr::Load { at: of_other, otherwise: None, .. } = &program.exprs[bare(program, other)] else {
            return None;
        };
        let uses = |at: &[Index], sym: Sym| {
            at.iter().any(|it| it.dim().is_none_or(|it| program.shapes.mentions(it, sym)))
        };
        let last = stage.at.last()?.dim()?;
        if uses(of_other, column.var)
            || !uses(&[Index::Dim(last)], column.var)
            || !is_behind(program, last, column.var)
        {
            return None;
        }
        let extents = [column.extent, term.extent];
        let known = extents.map(|it| program.shapes.as_int(it));
        if *self.extents.get_or_insert(extents) != extents || known[0]? < 2 || known[1]? < 2 {
            return None;
        }
        // One index is the term, one the column or so many behind it, all others are numbers.
        let Expr::Load { at, .. } = &program.exprs[load] else { return None };
        let (mut columns, mut terms) = (0, 0);
        for index in at {
            let dim = index.dim()?;
            let shifted = program.shapes.mentions(dim, column.var);
            match program.shapes.as_sym(dim) {
                Some(sym) if sym == term.var => terms += 1,
                _ if shifted && is_behind(program, dim, column.var) => columns += 1,
                _ => drop(program.shapes.as_int(dim)?),
            }
        }
        if (columns, terms) != (1, 1) {
            return None;
        }
        let map = map_of(self.program, (self.made, &self.places), load)?;
        let factor = self.factor(&map, term.var)?;
        stage.value = replace(self.program, &[stage.value], load, factor)[&stage.value];
        self.products += 1;
        Some(())
    }

    /// The weight of a product.
    fn factor(&mut self, map: &IndexMap<Sym, Dim>, term: Sym) -> Option<ExprId> {
        let Weight { number, zero, scale } = self.weight;
        let number = self.read(number, map)?;
        let Some(scale) = scale else { return Some(number) };
        let by_column = |it: &Self, id: ExprId| {
            let fixed = |at: &Index| at.dim().is_some_and(|dim| !it.program.shapes.mentions(dim, term));
            match &it.program.exprs[bare(it.program, id)] {
                Expr::Load { at, .. } => at.iter().all(fixed),
                _ => true,
            }
        };
        let zero = match zero {
            None => None,
            Some(Zero::Known(zero)) => Some(self.program.exprs.alloc(Expr::Float(zero as f64, DType::F32))),
            Some(Zero::Loaded(zero)) => Some(self.read(zero, map)?),
        };
        let scale = match self.program.exprs[scale] {
            Expr::Float(..) => scale,
            _ => {
                let load = bare(self.program, scale);
                self.read(load, map)?
            }
        };
        if !by_column(self, scale) || !zero.is_none_or(|it| by_column(self, it)) {
            return None;
        }
        let mut value = number;
        if let Some(zero) = zero {
            value = self.program.exprs.alloc(Expr::Binary(BinaryOp::Sub, value, zero));
        }
        Some(self.program.exprs.alloc(Expr::Binary(BinaryOp::Mul, value, scale)))
    }

    /// A load at the place of a product, as `f32`.
    fn read(&mut self, load: ExprId, map: &IndexMap<Sym, Dim>) -> Option<ExprId> {
        let load = substitute(self.program, load, map).ok()?;
        match self.program.dtype_of(load) {
            DType::F32 => Some(load),
            _ => Some(self.program.exprs.alloc(Expr::Cast(DType::F32, load))),
        }
    }
}

/// What is converted.
fn bare(program: &TensorProgram, mut id: ExprId) -> ExprId {
    while let Expr::Cast(_, inner) = program.exprs[id] {
        id = inner;
    }
    id
}

/// Whether an index is an axis, or a number behind it.
fn is_behind(program: &TensorProgram, dim: Dim, axis: Sym) -> bool {
    let shapes = &program.shapes;
    shapes.poly(dim).terms().all(|(factors, by)| match factors {
        [] => true,
        [(id, 1)] => by == 1 && *shapes.atom(*id) == Atom::Sym(axis),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{parse_program, verify};
    use super::*;

    /// Whether weights go into the product of a recurrence.
    fn goes_into(weight: &str) -> bool {
        let text = format!(
            "kernel @recurrence {{
  in %w: i8[6, 5]
  in %half: f16[6, 5]
  in %zero: i8[6]
  in %x: f32[2, 5]
  out %y: f32[2, 6]
  local %wide: f32[6, 5]
  for i < 6, j < 5 {{ %wide[i, j] = {weight} * f32(0.5) }}
  loop t < 3 {{
    for p < 2, q < 6 {{ %y[p, q] = sum k < 5 {{ %x[p, k] * %wide[q, k] }} }}
  }}
}}
"
        );
        let mut program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
        let into = into_products(&mut program, 1).is_some();
        assert!(!into || verify(&program).is_ok(), "{text}");
        into
    }

    #[test]
    fn differences_that_round_or_wrap_stay() {
        assert!(goes_into("cast<f32>(cast<i32>(%w[i, j]) - cast<i32>(%zero[i]))"));
        assert!(goes_into("cast<f32>(cast<i32>(%w[i, j]) - i32(3))"));
        assert!(!goes_into("cast<f32>(%w[i, j] - %zero[i])"));
        assert!(!goes_into("cast<f32>(%w[i, j] - i8(-128))"));
        assert!(!goes_into("cast<f32>(%half[i, j] - cast<f16>(%zero[i]))"));
    }
}
