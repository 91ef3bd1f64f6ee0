//! Parsing right-hand sides.

use super::function::FunctionParser;
use super::parser::FOLLOWS;
use crate::diag::Diagnostic;
use crate::flow::infer::{InferEnv, calls_function, infer};
use crate::flow::{RegionId, Rhs, ValueId};
use crate::text::{Span, SymbolPolicy, TokenKind, parse_attrs, parse_constraint, parse_dims, parse_int};
use crate::types::{Type, visit_dims};
use smallvec::SmallVec;

impl FunctionParser<'_, '_, '_> {
    /// A right-hand side, and the type that it asserts when that is written as an operand.
    pub(super) fn rhs(&mut self) -> Result<(Rhs, Option<Type>), Diagnostic> {
        let cursor = &mut self.parser.cursor;
        let word = match cursor.peek().clone() {
            // A quoted name is always an operator.
            TokenKind::Str(name) => return Ok((self.operator(&name)?, None)),
            TokenKind::Ident(word) => word,
            _ => return Err(cursor.expected("a right-hand side")),
        };
        match word.as_str() {
            "if" => Ok((self.branch()?, None)),
            "while" => Ok((self.looped()?, None)),
            word => self.without_regions(word),
        }
    }

    /// What holds no regions. On its own, so that what it needs of the stack is not taken at every level of nesting.
    #[inline(never)]
    fn without_regions(&mut self, word: &str) -> Result<(Rhs, Option<Type>), Diagnostic> {
        let cursor = &mut self.parser.cursor;
        let rhs = match word {
            "const" => {
                cursor.bump();
                Rhs::Constant(self.parser.constant()?)
            }
            "call" => {
                let (callee, args) = self.call()?;
                let parser = &mut *self.parser;
                let sizes = match parser.cursor.at_punct("[") {
                    true => {
                        parse_dims(&mut parser.cursor, &mut parser.module.shapes, SymbolPolicy::Declared)?
                    }
                    false => SmallVec::new(),
                };
                Rhs::Call { callee, args, sizes }
            }
            "view" | "match_cast" => {
                cursor.bump();
                cursor.expect_punct("(")?;
                let value = self.operand()?;
                let asserted = match self.parser.cursor.eat_punct(",") {
                    true => Some(self.ty()?),
                    false => None,
                };
                self.parser.cursor.expect_punct(")")?;
                // Without the operand the annotation is the type; `complete` puts it in.
                let ty = asserted.clone().unwrap_or(Type::Object);
                let rhs = match word {
                    "view" => Rhs::View { value, ty },
                    _ => Rhs::MatchCast { value, ty },
                };
                return Ok((rhs, asserted));
            }
            "check" => {
                cursor.bump();
                let shapes = &mut self.parser.module.shapes;
                let constraint = parse_constraint(cursor, shapes, SymbolPolicy::Declared)?;
                let message = match cursor.eat_punct(",") {
                    true => cursor.expect_string("a message in quotes")?,
                    false => String::new(),
                };
                Rhs::Check { constraint, message }
            }
            "tuple" => {
                cursor.bump();
                Rhs::Tuple(self.operands()?)
            }
            "get" => {
                cursor.bump();
                cursor.expect_punct("(")?;
                let tuple = self.operand()?;
                self.parser.cursor.expect_punct(",")?;
                let span = self.parser.cursor.span();
                let index = parse_int(&mut self.parser.cursor)?;
                let index = u32::try_from(index).map_err(|_| {
                    self.parser.cursor.error_at(span, "T105", "not the index of a tuple element")
                })?;
                self.parser.cursor.expect_punct(")")?;
                Rhs::Get { tuple, index }
            }
            word => self.operator(word)?,
        };
        Ok((rhs, None))
    }

    fn call(&mut self) -> Result<(String, SmallVec<[ValueId; 3]>), Diagnostic> {
        self.parser.cursor.bump();
        let (callee, _) = self.parser.cursor.expect_symbol()?;
        Ok((callee, self.operands()?))
    }

    fn operator(&mut self, name: &str) -> Result<Rhs, Diagnostic> {
        let Some(op) = self.parser.ops.find(name) else {
            return Err(self.parser.cursor.error("T106", format!("there is no operator `{name}`")));
        };
        self.parser.cursor.bump();
        let args = self.operands()?;
        let attrs = parse_attrs(&mut self.parser.cursor)?;
        Ok(Rhs::Op { op, attrs, args })
    }

    fn branch(&mut self) -> Result<Rhs, Diagnostic> {
        self.parser.cursor.bump();
        let cond = self.operand()?;
        self.parser.cursor.expect_punct("{")?;
        let then_region = self.nested_region(Vec::new());
        let then_region = self.go_on_at("else", then_region)?;
        self.parser.cursor.expect_punct("{")?;
        let else_region = self.nested_region(Vec::new())?;
        Ok(Rhs::If { cond, then_region: then_region?, else_region })
    }

    fn looped(&mut self) -> Result<Rhs, Diagnostic> {
        self.parser.cursor.bump();
        let init = self.operands()?;
        self.parser.cursor.expect_word("cond")?;
        let params = self.region_params()?;
        let cond = self.nested_region(params);
        let cond = self.go_on_at("body", cond)?;
        let params = self.region_params()?;
        let body = self.nested_region(params)?;
        Ok(Rhs::While { init, cond: cond?, body })
    }

    /// Takes the word between two regions. When the first region is broken, goes on at the word, so that errors in
    /// the second one are reported too; the outer result says whether there is a second one.
    fn go_on_at(
        &mut self,
        word: &str,
        region: Result<RegionId, Diagnostic>,
    ) -> Result<Result<RegionId, Diagnostic>, Diagnostic> {
        if let Err(diagnostic) = region {
            self.parser.report(diagnostic);
            while !self.parser.cursor.at_word(word) {
                if self.parser.cursor.at_end() || self.parser.cursor.at_punct("}") {
                    return Err(self.parser.cursor.error(FOLLOWS, "a region is broken"));
                }
                let start = self.parser.cursor.mark();
                self.parser.cursor.recover_since(start);
            }
            self.parser.cursor.bump();
            return Ok(Err(self.parser.cursor.error(FOLLOWS, "a region is broken")));
        }
        self.parser.cursor.expect_word(word)?;
        Ok(region)
    }

    fn region_params(&mut self) -> Result<Vec<(String, Span, Type)>, Diagnostic> {
        self.parser.cursor.expect_punct("(")?;
        let mut params = Vec::new();
        while !self.parser.cursor.eat_punct(")") {
            if !params.is_empty() {
                self.parser.cursor.expect_punct(",")?;
            }
            let (name, span) = self.parser.cursor.expect_value()?;
            self.parser.cursor.expect_punct(":")?;
            params.push((name, span, self.ty()?));
        }
        self.parser.cursor.expect_punct("{")?;
        Ok(params)
    }

    /// Puts the annotation into a `view` or `match_cast` that has no type as an operand.
    pub(super) fn complete(
        &mut self,
        mut rhs: Rhs,
        has_type: bool,
        types: &[Type],
        span: &Span,
    ) -> Result<Rhs, Diagnostic> {
        match (&mut rhs, types) {
            (Rhs::View { .. } | Rhs::MatchCast { .. }, _) if has_type => {}
            (Rhs::View { ty, .. } | Rhs::MatchCast { ty, .. }, [annotation]) => ty.clone_from(annotation),
            (Rhs::View { .. } | Rhs::MatchCast { .. }, _) => {
                let diagnostic =
                    self.parser.cursor.error_at(span.clone(), "T107", "the asserted type is missing");
                return Err(diagnostic.help("write `: TYPE`"));
            }
            _ => {}
        }
        Ok(rhs)
    }

    /// The result types of a binding without annotation.
    #[inline(never)]
    pub(super) fn infer(&mut self, rhs: &Rhs, span: &Span) -> Result<Vec<Type>, Diagnostic> {
        let values = &self.function.values;
        let list = |ids: &[ValueId]| ids.iter().map(|it| values[*it].ty.clone()).collect::<Vec<_>>();
        match rhs {
            Rhs::If { then_region, else_region, .. } => {
                let returned = |it: RegionId| list(&self.function.regions[it].results);
                let types = returned(*then_region);
                match types == returned(*else_region) {
                    true => Ok(types),
                    false => Err(self.missing_types(span)),
                }
            }
            Rhs::While { init, .. } => Ok(list(init)),
            rhs => {
                let module = &mut self.parser.module;
                let env = InferEnv {
                    ops: self.parser.ops,
                    constants: &module.constants,
                    signatures: &module.definitions,
                };
                let inferred = infer(env, &mut module.shapes, rhs, &|it| values[it].ty.clone());
                let types = match inferred {
                    Ok(it) => it.map(|it| it.results.into_vec()).unwrap_or_default(),
                    Err(diagnostic) => {
                        return Err(diagnostic.at_place(self.parser.cursor.place(span.clone())));
                    }
                };
                if calls_function(&self.parser.module.definitions, rhs) && self.has_open_symbols(rhs, &types)
                {
                    return Err(self.missing_types(span));
                }
                Ok(types)
            }
        }
    }

    /// Whether a call's results have symbols that its arguments do not have: only an annotation can name them.
    fn has_open_symbols(&self, rhs: &Rhs, types: &[Type]) -> bool {
        let shapes = &self.parser.module.shapes;
        let mut known = Vec::new();
        for operand in rhs.operands() {
            visit_dims(&self.function.values[operand].ty, &mut |dim| known.extend(shapes.free_symbols(dim)));
        }
        let mut open = false;
        for ty in types {
            visit_dims(ty, &mut |dim| open |= shapes.free_symbols(dim).iter().any(|it| !known.contains(it)));
        }
        open
    }

    fn missing_types(&self, span: &Span) -> Diagnostic {
        let message = "the result types are missing and cannot be inferred";
        self.parser.cursor.error_at(span.clone(), "T108", message).help("write `: TYPE, …`")
    }
}
