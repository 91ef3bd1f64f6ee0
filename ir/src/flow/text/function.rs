//! Parsing functions: regions, blocks and bindings.

use super::parser::{FOLLOWS, Parser};
use crate::diag::Diagnostic;
use crate::flow::{
    Binding, Block, BlockKind, Definition, Function, Output, Parameter, Region, RegionId, Scope, Value,
    ValueDef, ValueId,
};
use crate::text::{Span, SymbolPolicy, TokenKind, parse_effects, parse_source, parse_type};
use crate::types::Type;
use indexmap::{IndexMap, IndexSet};
use smallvec::SmallVec;

pub(super) struct FunctionParser<'p, 't, 'o> {
    pub(super) parser: &'p mut Parser<'t, 'o>,
    pub(super) function: Function,
    /// What names mean here, innermost region last.
    scopes: Vec<IndexMap<String, ValueId>>,
    defined: IndexSet<String>,
    /// Names whose definition could not be read: errors about them would only repeat that.
    broken: IndexSet<String>,
}

impl<'p, 't, 'o> FunctionParser<'p, 't, 'o> {
    pub(super) fn new(parser: &'p mut Parser<'t, 'o>) -> Self {
        FunctionParser {
            parser,
            function: Function::empty(),
            scopes: vec![IndexMap::new()],
            defined: IndexSet::new(),
            broken: IndexSet::new(),
        }
    }

    /// A function, after `fn`.
    pub(super) fn function(mut self) -> Result<(), Diagnostic> {
        let (name, name_span) = self.parser.cursor.expect_symbol()?;
        self.parser.cursor.expect_punct("(")?;
        while !self.parser.cursor.eat_punct(")") {
            if !self.function.params.is_empty() {
                self.parser.cursor.expect_punct(",")?;
            }
            self.parameter()?;
        }
        self.parser.cursor.expect_punct("->")?;
        self.parser.cursor.expect_punct("(")?;
        let parser = &mut *self.parser;
        let shapes = &mut parser.module.shapes;
        let outputs: Vec<(Output, Option<Type>, Span)> = parser.cursor.list(")", |cursor| {
            let span = cursor.span();
            let mut output = Output::new(cursor.expect_name("the name of an output")?);
            if output.name == "rank"
                && !cursor.at_punct(":")
                && !cursor.at_punct(",")
                && !cursor.at_punct(")")
            {
                output = Output { name: cursor.expect_name("the name of a rank")?, gives_rank: true };
            }
            let ty = match cursor.eat_punct(":") {
                true => Some(parse_type(cursor, shapes, SymbolPolicy::Declared)?),
                false => None,
            };
            let span = cursor.span_since(&span);
            Ok((output, ty, span))
        })?;
        self.function.effects = parse_effects(&mut self.parser.cursor)?;
        self.parser.cursor.expect_punct("{")?;
        let body = self.function.body;
        let complete = self.region(body);
        self.parser.cursor.expect_punct("}")?;
        let results = self.function.regions[body].results.clone();
        if complete && results.len() != outputs.len() {
            let message =
                format!("the function returns {} values but names {}", results.len(), outputs.len());
            let diagnostic = self.parser.cursor.error_at(name_span, "T110", message);
            self.parser.report(diagnostic);
        }
        for ((_, ty, span), value) in outputs.iter().zip(&results) {
            let found = &self.function.values[*value].ty;
            if let Some(ty) = ty
                && ty != found
            {
                let found = crate::text::type_text(&self.parser.module.shapes, found);
                let message = format!("the returned value is a `{found}`");
                let diagnostic = self.parser.cursor.error_at(span.clone(), "T111", message);
                self.parser.report(diagnostic);
            }
        }
        self.function.outputs = outputs.into_iter().map(|it| it.0).collect();
        self.parser.define(name, Definition::Function(self.function))
    }

    fn parameter(&mut self) -> Result<(), Diagnostic> {
        let (name, span) = self.parser.cursor.expect_value()?;
        let public = match self.parser.cursor.eat_word("as") {
            true => self.parser.cursor.expect_string("the name of the parameter in quotes")?,
            false => name.clone(),
        };
        self.parser.cursor.expect_punct(":")?;
        let ty = self.ty()?;
        let default = match self.parser.cursor.eat_punct("=") {
            true => Some(self.parser.constant()?),
            false => None,
        };
        let def = ValueDef::Param(self.function.params.len() as u32);
        let value = self.value(&name, span, ty, def, Scope::Region)?;
        self.function.params.push(Parameter { name: public, value, default });
        Ok(())
    }

    pub(super) fn ty(&mut self) -> Result<Type, Diagnostic> {
        parse_type(&mut self.parser.cursor, &mut self.parser.module.shapes, SymbolPolicy::Declared)
    }

    /// Defines a value.
    fn value(
        &mut self,
        name: &str,
        span: Span,
        ty: Type,
        def: ValueDef,
        scope: Scope,
    ) -> Result<ValueId, Diagnostic> {
        if !self.defined.insert(name.to_owned()) {
            return Err(self.parser.cursor.error_at(span, "T101", format!("`%{name}` is defined twice")));
        }
        // A number is what the printer gives to values without a name.
        let kept = (!name.starts_with(|c: char| c.is_ascii_digit())).then(|| name.to_owned());
        let value = self.function.values.alloc(Value { ty, def, scope, name: kept });
        self.scopes.last_mut().expect("the body's scope is open").insert(name.to_owned(), value);
        Ok(value)
    }

    /// Reads the use of a value.
    pub(super) fn operand(&mut self) -> Result<ValueId, Diagnostic> {
        let (name, span) = self.parser.cursor.expect_value()?;
        if let Some(value) = self.scopes.iter().rev().find_map(|it| it.get(&name)) {
            return Ok(*value);
        }
        if self.broken.contains(&name) {
            return Err(self.parser.cursor.error_at(span, FOLLOWS, "its definition is broken"));
        }
        let why = match self.defined.contains(&name) {
            true => "is defined in a region that does not enclose this one",
            false => "is not defined before its use",
        };
        Err(self.parser.cursor.error_at(span, "T102", format!("`%{name}` {why}")))
    }

    pub(super) fn operands(&mut self) -> Result<SmallVec<[ValueId; 3]>, Diagnostic> {
        self.parser.cursor.expect_punct("(")?;
        let mut list = SmallVec::new();
        while !self.parser.cursor.eat_punct(")") {
            if !list.is_empty() {
                self.parser.cursor.expect_punct(",")?;
            }
            list.push(self.operand()?);
        }
        Ok(list)
    }

    /// Values up to the end of the line.
    fn values_of_line(&mut self) -> Result<Vec<ValueId>, Diagnostic> {
        let mut list = Vec::new();
        if !matches!(self.parser.cursor.peek(), TokenKind::Value(_)) {
            return Ok(list);
        }
        loop {
            list.push(self.operand()?);
            if !self.parser.cursor.eat_punct(",") {
                return Ok(list);
            }
        }
    }

    /// Blocks and `return`, up to the closing brace; whether the region is complete.
    fn region(&mut self, id: RegionId) -> bool {
        loop {
            let cursor = &mut self.parser.cursor;
            let start = cursor.mark();
            let kind = if cursor.eat_word("dataflow") {
                BlockKind::Dataflow
            } else if cursor.eat_word("effect") {
                BlockKind::Effect
            } else if cursor.eat_word("return") {
                return match self.values_of_line() {
                    Ok(results) => {
                        self.function.regions[id].results = results;
                        true
                    }
                    Err(diagnostic) => {
                        self.parser.report(diagnostic);
                        self.parser.cursor.recover_since(start);
                        false
                    }
                };
            } else {
                let diagnostic = cursor.expected("`dataflow`, `effect` or `return`");
                let stop = cursor.at_punct("}") || cursor.at_end();
                self.parser.report(diagnostic);
                if stop {
                    return false;
                }
                self.parser.cursor.recover_since(start);
                continue;
            };
            if let Err(diagnostic) = self.block(id, kind) {
                self.parser.report(diagnostic);
                self.parser.cursor.recover_since(start);
            }
        }
    }

    fn block(&mut self, region: RegionId, kind: BlockKind) -> Result<(), Diagnostic> {
        self.parser.cursor.expect_punct("{")?;
        let block = self.function.blocks.alloc(Block { kind, order: Vec::new() });
        self.function.regions[region].blocks.push(block);
        while !self.parser.cursor.eat_punct("}") {
            if self.parser.cursor.at_end() {
                return Err(self.parser.cursor.expected("`}`"));
            }
            let start = self.parser.cursor.mark();
            let done = match self.parser.cursor.at_word("yield") {
                true => self.yielded(kind),
                false => self.binding(kind).map(|binding| self.function.blocks[block].order.push(binding)),
            };
            if let Err(diagnostic) = done {
                self.parser.report(diagnostic);
                self.parser.cursor.recover_since(start);
            }
        }
        Ok(())
    }

    fn yielded(&mut self, kind: BlockKind) -> Result<(), Diagnostic> {
        let span = self.parser.cursor.bump().span;
        if kind == BlockKind::Effect {
            let message = "values of an effect block are visible behind it without `yield`";
            return Err(self.parser.cursor.error_at(span, "T103", message));
        }
        for value in self.values_of_line()? {
            self.function.values[value].scope = Scope::Region;
        }
        Ok(())
    }

    fn binding(&mut self, kind: BlockKind) -> Result<crate::flow::BindingId, Diagnostic> {
        let mut names: Vec<(String, Span, Scope)> = Vec::new();
        let result = self.binding_of(kind, &mut names);
        if result.is_err() {
            self.broken.extend(names.into_iter().map(|it| it.0).filter(|it| !self.defined.contains(it)));
        }
        result
    }

    fn binding_of(
        &mut self,
        kind: BlockKind,
        names: &mut Vec<(String, Span, Scope)>,
    ) -> Result<crate::flow::BindingId, Diagnostic> {
        let start = self.parser.cursor.span();
        while matches!(self.parser.cursor.peek(), TokenKind::Value(_)) || self.parser.cursor.at_word("local")
        {
            let local = self.parser.cursor.eat_word("local") || kind == BlockKind::Dataflow;
            let (name, span) = self.parser.cursor.expect_value()?;
            names.push((name, span, if local { Scope::BlockLocal } else { Scope::Region }));
            if !self.parser.cursor.eat_punct(",") {
                self.parser.cursor.expect_punct("=")?;
                break;
            }
        }
        let (rhs, asserted) = self.rhs()?;
        let has_type = asserted.is_some();
        let mut types: Vec<Type> = asserted.into_iter().collect();
        let annotated = self.parser.cursor.eat_punct(":");
        if annotated {
            types.clear();
            types.push(self.ty()?);
            while self.parser.cursor.eat_punct(",") {
                types.push(self.ty()?);
            }
        }
        let span = self.parser.cursor.span_since(&start);
        let rhs = self.complete(rhs, has_type, &types, &span)?;
        if !annotated && types.is_empty() {
            types = self.infer(&rhs, &span)?;
        }
        let source = parse_source(&mut self.parser.cursor)?;
        if types.len() != names.len() {
            let message = format!("{} results are named but there are {}", names.len(), types.len());
            return Err(self.parser.cursor.error_at(span, "T104", message));
        }
        let binding = self.function.bindings.alloc(Binding { results: SmallVec::new(), rhs, source });
        for (i, ((name, span, scope), ty)) in (0..).zip(names.iter().zip(types)) {
            let value = self.value(name, span.clone(), ty, ValueDef::Result(binding, i), *scope)?;
            self.function.bindings[binding].results.push(value);
        }
        Ok(binding)
    }

    /// A region in braces with parameters of these names and types; the opening brace is taken already.
    pub(super) fn nested_region(
        &mut self,
        params: Vec<(String, Span, Type)>,
    ) -> Result<RegionId, Diagnostic> {
        let region = self.function.regions.alloc(Region::default());
        self.scopes.push(IndexMap::new());
        for (i, (name, span, ty)) in (0..).zip(params) {
            match self.value(&name, span, ty, ValueDef::RegionParam(region, i), Scope::Region) {
                Ok(value) => self.function.regions[region].params.push(value),
                Err(diagnostic) => {
                    self.scopes.pop();
                    return Err(diagnostic);
                }
            }
        }
        let complete = self.nested(region);
        self.scopes.pop();
        if !complete? {
            // What is wrong in there is reported; the construct around it has no meaning.
            self.parser.cursor.expect_punct("}")?;
            return Err(self.parser.cursor.error(FOLLOWS, "a region is broken"));
        }
        self.parser.cursor.expect_punct("}")?;
        Ok(region)
    }

    fn nested(&mut self, region: RegionId) -> Result<bool, Diagnostic> {
        self.parser.cursor.enter_nested()?;
        let complete = self.region(region);
        self.parser.cursor.leave_nested();
        Ok(complete)
    }
}
