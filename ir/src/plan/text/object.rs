//! Objects and the steps on them as text.

use super::buffer_text;
use super::parse::{Parser, number};
use crate::diag::Diagnostic;
use crate::plan::{AxisBinding, BufferRef, ObjectId, ObjectOp, Step};
use crate::shape::{Dim, ShapeCx};
use crate::text::{
    Cursor, Span, SymbolPolicy, TokenKind, dims_text, parse_dims, parse_dtype, parse_source, parse_type,
    type_text,
};
use crate::types::{DType, TensorType, Type};

/// `f32[n]`, or a type in full.
pub(in crate::plan) fn object_type_text(shapes: &ShapeCx, ty: &Type) -> String {
    match ty {
        Type::Tensor(it) if it.elements.is_none() && it.dims().is_some() => {
            format!("{}{}", it.dtype, dims_text(shapes, it.dims().unwrap_or_default()))
        }
        _ => type_text(shapes, ty),
    }
}

/// `item %o3 = %o1[i] from m = 0`
pub(super) fn object_text(shapes: &ShapeCx, op: &ObjectOp) -> String {
    let name = |id: &ObjectId| buffer_text(BufferRef::Object(*id));
    let place = |at: &Option<Dim>| at.map_or(String::new(), |it| format!("[{}]", shapes.display(it)));
    let from = |bindings: &[AxisBinding]| match bindings {
        [] => String::new(),
        _ => {
            let binds = bindings.iter().map(|it| format!("{} = {}", shapes.display_sym(it.symbol), it.axis));
            format!(" from {}", binds.collect::<Vec<_>>().join(", "))
        }
    };
    match op {
        ObjectOp::Tensor(to) => format!("tensor {}", name(to)),
        ObjectOp::Sequence { to, items } => {
            format!("sequence {} = ({})", name(to), items.iter().map(name).collect::<Vec<_>>().join(", "))
        }
        ObjectOp::Length { symbol, of } => format!("length {} = {}", shapes.display_sym(*symbol), name(of)),
        ObjectOp::Item { to, of, at, bindings } => {
            format!("item {} = {}{}{}", name(to), name(of), place(&Some(*at)), from(bindings))
        }
        ObjectOp::Insert { to, of, at, item } => {
            format!("insert {} = {}{}, {}", name(to), name(of), place(at), name(item))
        }
        ObjectOp::Erase { to, of, at } => format!("erase {} = {}{}", name(to), name(of), place(at)),
        ObjectOp::None { to } => format!("none {}", name(to)),
        ObjectOp::IsSome { symbol, of } => format!("some {} = {}", shapes.display_sym(*symbol), name(of)),
        ObjectOp::Rank { symbol, of } => format!("rank {} = {}", shapes.display_sym(*symbol), name(of)),
        ObjectOp::Share { to, from: of, bindings } => {
            format!("share {} = {}{}", name(to), name(of), from(bindings))
        }
        ObjectOp::Drop(id) => format!("drop {}", name(id)),
    }
}

fn object_of(buffer: BufferRef, span: Span, cursor: &Cursor<'_>) -> Result<ObjectId, Diagnostic> {
    match buffer {
        BufferRef::Object(id) => Ok(id),
        _ => Err(cursor.error_at(span, "T097", "an object place is expected: %o0, %o1, …")),
    }
}

impl Parser<'_> {
    /// Whether a step on objects begins with this word.
    pub(super) fn is_object_word(word: &str) -> bool {
        let words = [
            "tensor", "sequence", "length", "item", "insert", "erase", "none", "some", "rank", "share",
            "drop",
        ];
        words.contains(&word)
    }

    /// `f32[n]`, or a type in full.
    pub(super) fn object_type(&mut self, cursor: &mut Cursor<'_>) -> Result<Type, Diagnostic> {
        let shapes = &mut self.plan.shapes;
        let is_dtype = matches!(cursor.peek(), TokenKind::Ident(word) if word.parse::<DType>().is_ok());
        if !is_dtype {
            return parse_type(cursor, shapes, SymbolPolicy::Declared);
        }
        let dtype = parse_dtype(cursor)?;
        Ok(Type::Tensor(TensorType::new(dtype, parse_dims(cursor, shapes, SymbolPolicy::Declared)?)))
    }

    /// Whether an object place comes next.
    pub(super) fn starts_object(&self, cursor: &Cursor<'_>) -> bool {
        matches!(cursor.peek(), TokenKind::Value(_))
    }

    /// `%o3`, which may be declared below.
    pub(super) fn object_name(&mut self, cursor: &mut Cursor<'_>) -> Result<ObjectId, Diagnostic> {
        let span = cursor.span();
        object_of(self.buffer_name(cursor)?, span, cursor)
    }

    /// `%o3`
    pub(super) fn object_place(&mut self, cursor: &mut Cursor<'_>) -> Result<ObjectId, Diagnostic> {
        let span = cursor.span();
        object_of(self.buffer(cursor)?, span, cursor)
    }

    /// What follows the first word of a step on objects.
    pub(super) fn object_step(&mut self, cursor: &mut Cursor<'_>, word: &str) -> Result<Step, Diagnostic> {
        let op = match word {
            "tensor" => ObjectOp::Tensor(self.object_place(cursor)?),
            "none" => ObjectOp::None { to: self.object_place(cursor)? },
            "drop" => ObjectOp::Drop(self.object_place(cursor)?),
            "length" | "some" | "rank" => {
                let symbol = self.sym(cursor)?;
                cursor.expect_punct("=")?;
                let of = self.object_place(cursor)?;
                match word {
                    "length" => ObjectOp::Length { symbol, of },
                    "rank" => ObjectOp::Rank { symbol, of },
                    _ => ObjectOp::IsSome { symbol, of },
                }
            }
            _ => {
                let to = self.object_place(cursor)?;
                cursor.expect_punct("=")?;
                self.object_result(cursor, word, to)?
            }
        };
        Ok(Step::Object { op, source: parse_source(cursor)? })
    }

    fn object_result(
        &mut self,
        cursor: &mut Cursor<'_>,
        word: &str,
        to: ObjectId,
    ) -> Result<ObjectOp, Diagnostic> {
        if word == "sequence" {
            cursor.expect_punct("(")?;
            let items = cursor.list(")", |cursor| self.object_place(cursor))?;
            return Ok(ObjectOp::Sequence { to, items });
        }
        let of = self.object_place(cursor)?;
        let mut at = None;
        if word != "share" && cursor.eat_punct("[") {
            at = Some(self.dim(cursor)?);
            cursor.expect_punct("]")?;
        }
        Ok(match word {
            "item" => {
                let at = at.ok_or_else(|| cursor.expected("the position of the element: `[0]`"))?;
                ObjectOp::Item { to, of, at, bindings: self.axis_bindings(cursor)? }
            }
            "insert" => {
                cursor.expect_punct(",")?;
                ObjectOp::Insert { to, of, at, item: self.object_place(cursor)? }
            }
            "erase" => ObjectOp::Erase { to, of, at },
            _ => ObjectOp::Share { to, from: of, bindings: self.axis_bindings(cursor)? },
        })
    }

    /// ` from m = 0, k = 1`
    fn axis_bindings(&mut self, cursor: &mut Cursor<'_>) -> Result<Vec<AxisBinding>, Diagnostic> {
        let mut bindings = Vec::new();
        let mut more = cursor.eat_word("from");
        while more {
            let symbol = self.sym(cursor)?;
            cursor.expect_punct("=")?;
            bindings.push(AxisBinding { symbol, axis: number(cursor)? });
            more = cursor.eat_punct(",");
        }
        Ok(bindings)
    }
}
