//! Elements that inference reads: known, or bound to symbols at run time.

use super::FlowBuilder;
use crate::diag::Diagnostic;
use crate::flow::{Rhs, ValueId};
use crate::ops::{OpId, OpSink, Read};
use crate::types::{Attrs, TensorType, Type};
use smallvec::SmallVec;

/// How many operations that only move elements are followed to find what is known of some of them.
const MAX_DEPTH: usize = 16;

impl FlowBuilder<'_> {
    /// The operands of an operation; those that it reads have known elements.
    pub(super) fn read_operands(
        &mut self,
        op: OpId,
        args: &[ValueId],
    ) -> Result<SmallVec<[ValueId; 3]>, Diagnostic> {
        let def = self.ops.def(op);
        let mut args: SmallVec<[ValueId; 3]> = args.into();
        for read in def.reads {
            let (Read::Sizes(i) | Read::Integers(i)) = *read;
            if let Some(arg) = args.get_mut(i) {
                *arg = self.read_elements(*arg, *read, MAX_DEPTH).map_err(|mut diagnostic| {
                    diagnostic.message = format!("operand {i} of `{}` {}", def.name, diagnostic.message);
                    self.located(diagnostic)
                })?;
            }
        }
        Ok(args)
    }

    /// A vector of sizes with known elements.
    pub(super) fn read_sizes(&mut self, value: ValueId) -> Result<ValueId, Diagnostic> {
        self.read_elements(value, Read::Sizes(0), MAX_DEPTH).map_err(|mut diagnostic| {
            diagnostic.message = format!("what gives sizes {}", diagnostic.message);
            self.located(diagnostic)
        })
    }

    /// A value with known elements. Messages go on from the name of the value.
    fn read_elements(&mut self, value: ValueId, read: Read, depth: usize) -> Result<ValueId, Diagnostic> {
        let Type::Tensor(ty) = self.type_at(value) else { return Ok(value) };
        let rank = ty.shape.rank();
        // What is no list of integers is for inference to refuse.
        if !ty.dtype.is_int() || rank.is_some_and(|it| it > 1) || ty.elements.is_some() {
            return Ok(value);
        }
        if self.data_of(value).is_some() {
            return Ok(value);
        }
        let Some(dims) = ty.static_dims(&self.module.shapes) else {
            let message = "is a list whose length is known only at run time";
            return Err(Diagnostic::error("B017", message)
                .help("give it a constant length: the number of dimensions of the result must be known"));
        };
        let count = dims.iter().product::<u64>();
        if count > TensorType::MAX_ELEMENTS as u64 {
            let message = format!("is a list of {count} numbers that are known only at run time");
            return Err(Diagnostic::error("B017", message));
        }
        if let Some(known) = self.frames.iter().rev().find_map(|it| it.elements.get(&value)) {
            return Ok(*known);
        }
        let moved = self.read_parts(value, read, depth)?;
        let known = match moved.filter(|it| self.has_elements(*it)) {
            Some(known) => known,
            None => self.bind_elements(value, read, count)?,
        };
        self.frame().elements.insert(value, known);
        Ok(known)
    }

    fn has_elements(&self, value: ValueId) -> bool {
        self.type_at(value).as_tensor().is_some_and(|it| it.elements.is_some())
    }

    /// What is put together from parts, with the elements of the parts: those that are known, often a −1, stay known.
    fn read_parts(
        &mut self,
        value: ValueId,
        read: Read,
        depth: usize,
    ) -> Result<Option<ValueId>, Diagnostic> {
        let Some(Rhs::Op { op, attrs, args }) = self.function.defining_rhs(value) else { return Ok(None) };
        let moves = matches!(self.ops.def(*op).name, "concat" | "cast" | "squeeze" | "unsqueeze");
        if !moves || depth == 0 {
            return Ok(None);
        }
        let (op, attrs, args): (OpId, Attrs, _) = (*op, attrs.clone(), args.clone());
        let mut parts = SmallVec::new();
        for arg in &args {
            parts.push(self.read_elements(*arg, read, depth - 1)?);
        }
        if parts == args {
            return Ok(None);
        }
        let moved = self.push(Rhs::Op { op, attrs, args: parts })?;
        Ok(moved.first().copied())
    }

    fn bind_elements(&mut self, value: ValueId, read: Read, count: u64) -> Result<ValueId, Diagnostic> {
        let Type::Tensor(ty) = self.type_at(value).clone() else { return Ok(value) };
        let shapes = &mut self.module.shapes;
        let elements: Vec<_> = (0..count)
            .map(|_| match read {
                Read::Sizes(_) => shapes.fresh("size"),
                Read::Integers(_) => shapes.fresh_integer("bound"),
            })
            .collect();
        self.match_cast(value, Type::Tensor(ty.with_elements(elements)))
    }
}
