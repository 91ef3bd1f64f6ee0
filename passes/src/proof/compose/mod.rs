//! From a function of kernels to the scalar expression of one element of a result.
//!
//! Composition is by demand: the element at symbolic indices is what the last stage stores there, whose loads are
//! elements of what earlier stages and kernels stored, and so on until parameters and constants are left. Where a stage
//! stores is inverted, affine index by affine index; where several stages write parts, and where a load has a guard, the
//! expression is a choice by conditions on indices.

mod loads;
mod objects;
mod places;
mod stages;

use super::cases::{Indices, Step, Stop};
use super::term::{At, Source, Term, TermId, Terms};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::flow::{Function, Module, Rhs, ValueDef, ValueId};
use orogen_ir::loops::analysis::flat_stages;
use orogen_ir::ops::OpRegistry;
use orogen_ir::shape::{Constraint, Dim};
use orogen_ir::types::{TensorData, Type};
use stages::Frame;

/// One of the two functions, after legalisation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side<'a> {
    pub(super) module: &'a Module,
    pub(super) function: &'a Function,
    pub(super) ops: &'a OpRegistry,
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

impl<'a> Composer<'a> {
    pub(super) fn new(indices: Indices, sides: [Side<'a>; 2], shared: &'a IndexSet<String>) -> Self {
        let (terms, memo) = (Terms::default(), IndexMap::new());
        Composer { terms, indices, sides, shared, constants: Vec::new(), memo, depth: 0 }
    }

    /// A dimension of one side. Sizes that operations on objects give are how many items there are.
    pub(super) fn import(&mut self, side: usize, d: Dim) -> Step<Dim> {
        let from = &self.sides[side].module.shapes;
        let mut counts = IndexMap::new();
        for sym in from.free_symbols(d) {
            let name = from.name(sym);
            if !self.shared.contains(name) {
                let count = self.counted(side, sym)?;
                let count =
                    count.ok_or_else(|| Stop::unknown(format!("the size `{name}` is decided by data")))?;
                counts.insert(name, count);
            }
        }
        let mut d = self.indices.cx.import(from, d);
        if !counts.is_empty() {
            let mut values = IndexMap::new();
            for sym in self.indices.cx.free_symbols(d) {
                if let Some(count) = counts.get(self.indices.cx.name(sym)) {
                    values.insert(sym, self.indices.cx.int(*count));
                }
            }
            d = self.indices.cx.substitute(d, &values)?;
        }
        Ok(self.indices.cx.simplify(d))
    }

    /// The dimensions of a tensor of one side.
    pub(super) fn dims(&mut self, side: usize, value: ValueId) -> Step<Vec<Dim>> {
        let Side { function, .. } = self.sides[side];
        let dims = function[value].ty.as_tensor().and_then(|it| it.dims());
        let dims = dims.ok_or_else(|| Stop::unknown("a value has no known shape"))?;
        dims.iter().map(|it| self.import(side, *it)).collect()
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

    pub(super) fn define(&mut self, side: usize, value: ValueId, at: &[Dim]) -> Step<TermId> {
        let Side { module, function, .. } = self.sides[side];
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
                    values.insert(*sym, self.import(side, *size)?);
                }
                let stages = flat_stages(program)
                    .ok_or_else(|| Stop::unknown(format!("`{callee}` is a recurrence")))?;
                let frame = Frame { side, program, sizes: values, args: args.to_vec(), stages };
                let output = program.outputs().nth(result as usize);
                let (buffer, _) = output.ok_or_else(|| Stop::unknown("a kernel without that result"))?;
                self.stored(&frame, buffer, at, frame.stages.len())
            }
            Rhs::Op { .. } => self.of_object(side, value, at),
            rhs => Err(Stop::unknown(format!("{} is not composed", describe(rhs)))),
        }
    }

    pub(super) fn parameter(&mut self, side: usize, i: u32, ty: &Type, at: &[Dim]) -> Step<TermId> {
        let ty = ty.as_tensor().ok_or_else(|| Stop::unknown("a parameter is not a tensor"))?;
        if let Some(elements) = &ty.elements
            && let Some(place) = self.linear_place(side, ty.dims().unwrap_or_default(), at)?
        {
            let element = elements.get(place).copied();
            let element = element.ok_or_else(|| Stop::unknown("an element that the type does not know"))?;
            let element = self.import(side, element)?;
            return Ok(self.terms.add(Term::Index(element, ty.dtype)));
        }
        let at = at.iter().copied().map(At::Dim).collect();
        let source = Source::Param(i);
        Ok(self.terms.add(Term::Load { source, dtype: ty.dtype, at, otherwise: None }))
    }

    /// The number of an element, when place and dimensions are numbers.
    pub(super) fn linear_place(&mut self, side: usize, dims: &[Dim], at: &[Dim]) -> Step<Option<usize>> {
        let mut place = 0i64;
        for (dim, at) in dims.iter().zip(at) {
            let dim = self.import(side, *dim)?;
            let (Some(dim), Some(at)) = (self.indices.cx.as_int(dim), self.indices.cx.as_int(*at)) else {
                return Ok(None);
            };
            place = place.saturating_mul(dim).saturating_add(at);
        }
        Ok(usize::try_from(place).ok())
    }

    pub(super) fn constant(&mut self, data: &TensorData, at: &[Dim]) -> Step<TermId> {
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

    /// The first value where all conditions are at least 0, else the second.
    pub(super) fn choose(
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
}

/// What a binding is, for a reason.
fn describe(rhs: &Rhs) -> &'static str {
    match rhs {
        Rhs::Tuple(_) | Rhs::Get { .. } => "a tuple",
        Rhs::If { .. } => "a branch",
        Rhs::While { .. } => "a loop",
        _ => "this",
    }
}
