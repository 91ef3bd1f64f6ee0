//! Elements of what is taken out of sequences and optionals, by how these were put together.
//!
//! What a sequence holds is followed from the operation that made it down to values that are no sequences. This is the
//! definition of ONNX once more, and shares nothing with the rules that decide such operations.

use super::Composer;
use crate::proof::cases::{Step, Stop};
use crate::proof::term::{Term, TermId};
use orogen_ir::flow::{Rhs, ValueDef, ValueId};
use orogen_ir::ops::StructureOp;
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::DType;

impl Composer<'_> {
    /// The element of the result of an operation on objects.
    pub(super) fn of_object(&mut self, side: usize, value: ValueId, at: &[Dim]) -> Step<TermId> {
        let (op, args) = self.structure(side, value)?;
        let item = match op {
            StructureOp::Length => {
                let count = self.items(side, args[0])?.len();
                return Ok(self.terms.add(Term::Int(count as i64, DType::I64)));
            }
            StructureOp::Has => {
                let is_there = !self.items(side, args[0])?.is_empty();
                return Ok(self.terms.add(Term::Int(i64::from(is_there), DType::Bool)));
            }
            StructureOp::At => {
                let items = self.items(side, args[0])?;
                let place = self.place(side, args[1], items.len())?;
                items.get(place).copied()
            }
            StructureOp::Get | StructureOp::Keys => self.items(side, args[0])?.first().copied(),
            StructureOp::Values => self.items(side, args[0])?.get(1).copied(),
            _ => None,
        };
        match item {
            Some(item) => self.element(side, item, at),
            None => Err(Stop::unknown("an item that is not there")),
        }
    }

    /// What a size is that an operation on objects gives; `None` where none of them does.
    pub(super) fn counted(&self, side: usize, sym: Sym) -> Step<Option<i64>> {
        let super::Side { module, function, .. } = self.sides[side];
        for binding in function.live_bindings() {
            let Some(value) = function[binding].results.first().copied() else { continue };
            let elements = function[value].ty.as_tensor().and_then(|it| it.elements.as_deref());
            let [one] = elements.unwrap_or_default() else { continue };
            if module.shapes.as_sym(*one) == Some(sym)
                && let Ok((op @ (StructureOp::Length | StructureOp::Has), args)) = self.structure(side, value)
            {
                let items = self.items(side, args[0])?.len() as i64;
                return Ok(Some(if op == StructureOp::Has { items.min(1) } else { items }));
            }
        }
        Ok(None)
    }

    /// What a sequence, a map or an optional holds.
    fn items(&self, side: usize, value: ValueId) -> Step<Vec<ValueId>> {
        let (op, args) = self.structure(side, value)?;
        Ok(match op {
            StructureOp::Empty | StructureOp::None => Vec::new(),
            StructureOp::Construct | StructureOp::Map | StructureOp::Some => args,
            StructureOp::Insert => {
                let mut items = self.items(side, args[0])?;
                let place = match args.get(2) {
                    Some(place) => self.place(side, *place, items.len())?,
                    None => items.len(),
                };
                if place > items.len() {
                    return Err(Stop::unknown("an item is put beyond the end"));
                }
                let behind = items.split_off(place);
                items.push(args[1]);
                items.extend(behind);
                items
            }
            StructureOp::Erase => {
                let items = self.items(side, args[0])?;
                let place = match args.get(1) {
                    Some(place) => self.place(side, *place, items.len())?,
                    None => items.len().wrapping_sub(1),
                };
                if place >= items.len() {
                    return Err(Stop::unknown("an item that is not there is taken away"));
                }
                [&items[..place], &items[place + 1..]].concat()
            }
            _ => return Err(Stop::unknown("what a sequence holds")),
        })
    }

    /// A place in a sequence of so many items: negative ones count from the end.
    fn place(&self, side: usize, value: ValueId, count: usize) -> Step<usize> {
        let super::Side { module, function, .. } = self.sides[side];
        let constant = match function[value].def {
            ValueDef::Result(binding, _) => match &function[binding].rhs {
                Rhs::Constant(id) => Some(module.constants.data(*id).get_i64(0)),
                _ => None,
            },
            _ => None,
        };
        let at = constant.ok_or_else(|| Stop::unknown("a place in a sequence comes from data"))?;
        let from_start = if at < 0 { at.saturating_add(count as i64) } else { at };
        usize::try_from(from_start).map_err(|_| Stop::unknown("a place before a sequence"))
    }

    /// The operation on objects that makes a value.
    fn structure(&self, side: usize, value: ValueId) -> Step<(StructureOp, Vec<ValueId>)> {
        let super::Side { function, ops, .. } = self.sides[side];
        let found = match function[value].def {
            ValueDef::Result(binding, _) => match &function[binding].rhs {
                Rhs::Op { op, args, .. } => StructureOp::of(ops.def(*op)).map(|it| (it, args.to_vec())),
                _ => None,
            },
            _ => None,
        };
        found.ok_or_else(|| Stop::unknown("an operator on objects"))
    }
}
