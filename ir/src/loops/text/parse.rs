//! Parsing of tensor programs. The parser checks form and names; the laws are the verifier's.

use super::expr_key;
use crate::diag::{Diagnostic, Diagnostics};
use crate::loops::{
    Axis, BinaryOp, Buffer, BufferId, BufferRole, Combine, CompareOp, Expr, ExprId, Index, Stage, Stmt,
    TensorProgram, UnaryOp,
};
use crate::text::{
    Cursor, SymbolPolicy, TokenKind, parse_constraint, parse_dim, parse_dims, parse_dtype, parse_float,
    parse_int,
};
use crate::types::DType;
use indexmap::IndexMap;
use smallvec::SmallVec;

/// Reads a text that holds one kernel.
///
/// # Errors
/// Everything that could not be read, each with its place in `text`.
pub fn parse_program(text: &str) -> Result<TensorProgram, Diagnostics> {
    let mut cursor = Cursor::new(text);
    let program = parse_kernel(&mut cursor);
    if program.is_ok() && !cursor.at_end() {
        let problem = cursor.expected("the end of the text");
        cursor.report(problem);
    }
    match program {
        Ok(program) => cursor.finish().into_result(program),
        Err(problem) => {
            cursor.report(problem);
            Err(cursor.finish())
        }
    }
}

/// Reads a kernel from `kernel` to its closing brace. Problems inside are reported to the cursor, which goes on
/// after them.
///
/// # Errors
/// When the kernel does not begin or end as one.
pub fn parse_kernel(cursor: &mut Cursor<'_>) -> Result<TensorProgram, Diagnostic> {
    cursor.expect_word("kernel")?;
    let (name, _) = cursor.expect_symbol()?;
    cursor.expect_punct("{")?;
    let program = TensorProgram { name, ..TensorProgram::default() };
    let mut parser = Parser { program, lets: IndexMap::new(), seen: IndexMap::new() };
    let mut body = Vec::new();
    while !cursor.at_punct("}") && !cursor.at_end() {
        if let Err(problem) = parser.item(cursor, &mut body) {
            cursor.report(problem);
            cursor.recover();
        }
    }
    cursor.expect_punct("}")?;
    let mut program = parser.program;
    program.body = body;
    let of_role = |role| program.buffers.iter().filter(move |(_, it)| it.role == role).map(|(id, _)| id);
    program.params = BufferRole::PARAMS.into_iter().flat_map(of_role).collect();
    Ok(program)
}

struct Parser {
    program: TensorProgram,
    /// Named expressions of the stage.
    lets: IndexMap<String, ExprId>,
    /// Expressions of the stage, so that equal ones are one.
    seen: IndexMap<String, ExprId>,
}

impl Parser {
    fn item(&mut self, cursor: &mut Cursor<'_>, body: &mut Vec<Stmt>) -> Result<(), Diagnostic> {
        let role = match cursor.peek() {
            TokenKind::Ident(word) => match word.as_str() {
                "size" | "integer" => return self.size(cursor),
                "assume" => return self.assume(cursor),
                "in" => BufferRole::Input,
                "inout" => BufferRole::InOut,
                "out" => BufferRole::Output,
                "local" => BufferRole::Local,
                _ => return self.statement(cursor, body),
            },
            _ => return self.statement(cursor, body),
        };
        cursor.bump();
        self.buffer(cursor, role)
    }

    fn size(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
        let kind = cursor.bump();
        let span = cursor.span();
        let name = cursor.expect_name("the name of a size")?;
        if self.program.shapes.find_sym(&name).is_some() {
            cursor.report(cursor.error_at(span, "T080", format!("symbol `{name}` is declared twice")));
            return Ok(());
        }
        let dim = match kind.kind == TokenKind::Ident("size".to_owned()) {
            true => self.program.shapes.sym(&name),
            false => self.program.shapes.integer(&name),
        };
        self.program.sizes.extend(self.program.shapes.as_sym(dim));
        Ok(())
    }

    fn assume(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
        cursor.bump();
        let start = cursor.span();
        let fact = parse_constraint(cursor, &mut self.program.shapes, SymbolPolicy::Declared)?;
        let span = cursor.span_since(&start);
        if let Err(problem) = self.program.shapes.assume(fact) {
            cursor.report(cursor.error_at(span, "T081", problem.to_string()));
        }
        Ok(())
    }

    fn buffer(&mut self, cursor: &mut Cursor<'_>, role: BufferRole) -> Result<(), Diagnostic> {
        let (name, span) = cursor.expect_value()?;
        if self.program.find_buffer(&name).is_some() {
            cursor.report(cursor.error_at(span, "T082", format!("buffer `%{name}` is declared twice")));
        }
        cursor.expect_punct(":")?;
        let dtype = parse_dtype(cursor)?;
        let dims = parse_dims(cursor, &mut self.program.shapes, SymbolPolicy::Declared)?;
        self.program.buffers.alloc(Buffer { name, dtype, dims, role });
        Ok(())
    }

    fn statement(&mut self, cursor: &mut Cursor<'_>, body: &mut Vec<Stmt>) -> Result<(), Diagnostic> {
        self.lets.clear();
        self.seen.clear();
        if cursor.eat_word("loop") {
            let axis = self.axis(cursor)?;
            let mut inner = Vec::new();
            let ended = braced(cursor, |cursor| {
                while !cursor.at_punct("}") && !cursor.at_end() {
                    if let Err(problem) = self.statement(cursor, &mut inner) {
                        cursor.report(problem);
                        cursor.recover();
                    }
                }
                Ok(())
            });
            if let Err(problem) = ended {
                cursor.report(problem);
            }
            body.push(Stmt::For { axis, body: inner });
            return Ok(());
        }
        if !cursor.eat_word("for") {
            let stage = self.store(cursor, SmallVec::new())?;
            body.push(Stmt::Stage(stage));
            return Ok(());
        }
        let mut axes = SmallVec::new();
        if !cursor.at_punct("{") {
            axes.push(self.axis(cursor)?);
            while cursor.eat_punct(",") {
                axes.push(self.axis(cursor)?);
            }
        }
        let stage = braced(cursor, |cursor| {
            while cursor.eat_word("let") {
                self.name(cursor)?;
            }
            self.store(cursor, axes)
        });
        match stage {
            Ok(stage) => body.push(Stmt::Stage(stage)),
            Err(problem) => cursor.report(problem),
        }
        Ok(())
    }

    /// `t0 = value`
    fn name(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Diagnostic> {
        let span = cursor.span();
        let name = cursor.expect_ident("a name")?;
        cursor.expect_punct("=")?;
        let value = self.expr(cursor)?;
        match self.lets.insert(name.clone(), value) {
            None => Ok(()),
            Some(_) => Err(cursor.error_at(span, "T083", format!("`{name}` is named twice"))),
        }
    }

    /// `i < n`
    fn axis(&mut self, cursor: &mut Cursor<'_>) -> Result<Axis, Diagnostic> {
        let span = cursor.span();
        let name = cursor.expect_name("the name of an axis")?;
        cursor.expect_punct("<")?;
        let extent = parse_dim(cursor, &mut self.program.shapes, SymbolPolicy::Declared)?;
        if self.program.shapes.find_sym(&name).is_some() {
            return Err(cursor.error_at(span, "T080", format!("symbol `{name}` is declared twice")));
        }
        let dim = self.program.shapes.fresh_index(&name, extent);
        let var = self.program.shapes.as_sym(dim).expect("a fresh symbol");
        Ok(Axis { var, extent })
    }

    /// `%y[i] = value` or `%y[i] = sum k < n { value }`
    fn store(&mut self, cursor: &mut Cursor<'_>, axes: SmallVec<[Axis; 4]>) -> Result<Stage, Diagnostic> {
        let buffer = self.buffer_name(cursor)?;
        let (at, otherwise) = self.indices(cursor)?;
        if otherwise.is_some() {
            return Err(cursor.expected("a store without a guard"));
        }
        cursor.expect_punct("=")?;
        let combine = match (cursor.peek(), cursor.peek_nth(1)) {
            (TokenKind::Ident(_), TokenKind::Punct("(")) => None,
            (TokenKind::Ident(word), _) => Combine::from_name(word),
            _ => None,
        };
        let mut reduce = SmallVec::new();
        let value = if combine.is_some() {
            cursor.bump();
            reduce.push(self.axis(cursor)?);
            while cursor.eat_punct(",") {
                reduce.push(self.axis(cursor)?);
            }
            braced(cursor, |cursor| {
                while cursor.eat_word("let") {
                    self.name(cursor)?;
                }
                self.expr(cursor)
            })?
        } else {
            self.expr(cursor)?
        };
        Ok(Stage { axes, reduce, combine, buffer, at, value })
    }

    fn buffer_name(&mut self, cursor: &mut Cursor<'_>) -> Result<BufferId, Diagnostic> {
        let (name, span) = cursor.expect_value()?;
        self.program
            .find_buffer(&name)
            .ok_or_else(|| cursor.error_at(span, "T084", format!("there is no buffer `%{name}`")))
    }

    /// `[i, {%k[i]}, checked {%k[i]} | otherwise]`
    fn indices(
        &mut self,
        cursor: &mut Cursor<'_>,
    ) -> Result<(SmallVec<[Index; 4]>, Option<ExprId>), Diagnostic> {
        cursor.expect_punct("[")?;
        let mut at = SmallVec::new();
        let mut otherwise = None;
        while !cursor.eat_punct("]") {
            if cursor.eat_punct("|") {
                otherwise = Some(self.expr(cursor)?);
                cursor.expect_punct("]")?;
                break;
            }
            if !at.is_empty() {
                cursor.expect_punct(",")?;
            }
            // A size may be called `checked` as well.
            let checked = cursor.at_word("checked")
                && matches!(cursor.peek_nth(1), TokenKind::Punct(sign) if *sign == "{");
            if checked {
                cursor.bump();
                at.push(Index::Checked(braced(cursor, |cursor| self.expr(cursor))?));
            } else if cursor.at_punct("{") {
                at.push(Index::Value(braced(cursor, |cursor| self.expr(cursor))?));
            } else {
                let dim = parse_dim(cursor, &mut self.program.shapes, SymbolPolicy::Declared)?;
                at.push(Index::Dim(dim));
            }
        }
        Ok((at, otherwise))
    }

    fn add(&mut self, expr: Expr) -> ExprId {
        let exprs = &mut self.program.exprs;
        *self.seen.entry(expr_key(&expr)).or_insert_with(|| exprs.alloc(expr))
    }

    fn expr(&mut self, cursor: &mut Cursor<'_>) -> Result<ExprId, Diagnostic> {
        cursor.nested(|cursor| {
            let left = self.sum(cursor, 1)?;
            let op = match cursor.peek() {
                TokenKind::Punct(sign) => CompareOp::from_name(sign),
                _ => None,
            };
            let Some(op) = op else { return Ok(left) };
            cursor.bump();
            let right = self.sum(cursor, 1)?;
            Ok(self.add(Expr::Compare(op, left, right)))
        })
    }

    /// Operations of this precedence and above, from left to right.
    fn sum(&mut self, cursor: &mut Cursor<'_>, level: u8) -> Result<ExprId, Diagnostic> {
        let operand = |parser: &mut Self, cursor: &mut Cursor<'_>| match level {
            1 => parser.sum(cursor, 2),
            _ => parser.primary(cursor),
        };
        let mut left = operand(self, cursor)?;
        loop {
            let op = match cursor.peek() {
                TokenKind::Punct(sign) => {
                    BinaryOp::from_name(sign).filter(|it| it.precedence() == Some(level))
                }
                _ => None,
            };
            let Some(op) = op else { return Ok(left) };
            cursor.bump();
            let right = operand(self, cursor)?;
            left = self.add(Expr::Binary(op, left, right));
        }
    }

    fn primary(&mut self, cursor: &mut Cursor<'_>) -> Result<ExprId, Diagnostic> {
        match cursor.peek().clone() {
            TokenKind::Punct("(") => {
                cursor.bump();
                let inner = self.expr(cursor)?;
                cursor.expect_punct(")")?;
                Ok(inner)
            }
            TokenKind::Value(_) => {
                let buffer = self.buffer_name(cursor)?;
                let (at, otherwise) = self.indices(cursor)?;
                Ok(self.add(Expr::Load { buffer, at, otherwise }))
            }
            TokenKind::Ident(word) => self.word(cursor, &word),
            _ => Err(cursor.expected("an expression")),
        }
    }

    fn word(&mut self, cursor: &mut Cursor<'_>, word: &str) -> Result<ExprId, Diagnostic> {
        let span = cursor.span();
        cursor.bump();
        match word {
            "dim" => {
                let dtype = type_argument(cursor)?;
                cursor.expect_punct("(")?;
                let dim = parse_dim(cursor, &mut self.program.shapes, SymbolPolicy::Declared)?;
                cursor.expect_punct(")")?;
                return Ok(self.add(Expr::Dim(dim, dtype)));
            }
            "cast" => {
                let dtype = type_argument(cursor)?;
                let [a] = self.operands(cursor, word)?;
                return Ok(self.add(Expr::Cast(dtype, a)));
            }
            "select" => {
                let [cond, a, b] = self.operands(cursor, word)?;
                return Ok(self.add(Expr::Select(cond, a, b)));
            }
            _ => {}
        }
        if let Ok(dtype) = word.parse::<DType>() {
            cursor.expect_punct("(")?;
            let constant = match dtype.is_float() {
                true => Expr::Float(parse_float(cursor)?, dtype),
                false => Expr::Int(parse_int(cursor)?, dtype),
            };
            cursor.expect_punct(")")?;
            return Ok(self.add(constant));
        }
        if !cursor.at_punct("(") {
            let named = self.lets.get(word).copied();
            return named.ok_or_else(|| cursor.error_at(span, "T085", format!("nothing is named `{word}`")));
        }
        if let Some(op) = UnaryOp::from_name(word) {
            let [a] = self.operands(cursor, word)?;
            return Ok(self.add(Expr::Unary(op, a)));
        }
        if let Some(op) = BinaryOp::from_name(word) {
            let [a, b] = self.operands(cursor, word)?;
            return Ok(self.add(Expr::Binary(op, a, b)));
        }
        Err(cursor.error_at(span, "T086", format!("there is no operation `{word}`")))
    }

    fn operands<const N: usize>(
        &mut self,
        cursor: &mut Cursor<'_>,
        word: &str,
    ) -> Result<[ExprId; N], Diagnostic> {
        let start = cursor.span();
        cursor.expect_punct("(")?;
        let list = cursor.list(")", |cursor| self.expr(cursor))?;
        let found = list.len();
        list.try_into().map_err(|_| {
            let span = cursor.span_since(&start);
            cursor.error_at(span, "T087", format!("`{word}` takes {N} operands but has {found}"))
        })
    }
}

/// Reads `{ inner }`. A problem inside is returned after the closing brace is passed, so that what follows can be
/// read.
fn braced<T>(
    cursor: &mut Cursor<'_>,
    inner: impl FnOnce(&mut Cursor<'_>) -> Result<T, Diagnostic>,
) -> Result<T, Diagnostic> {
    cursor.expect_punct("{")?;
    let result = cursor.nested(inner).and_then(|it| cursor.expect_punct("}").map(|_| it));
    if result.is_err() {
        while !cursor.at_punct("}") && !cursor.at_end() {
            cursor.recover();
        }
        cursor.eat_punct("}");
    }
    result
}

/// `<f32>`
fn type_argument(cursor: &mut Cursor<'_>) -> Result<DType, Diagnostic> {
    cursor.expect_punct("<")?;
    let dtype = parse_dtype(cursor)?;
    cursor.expect_punct(">")?;
    Ok(dtype)
}
