//! Parsing modules.

use super::function::FunctionParser;
use super::parser::Parser;
use crate::diag::{Diagnostic, Diagnostics};
use crate::flow::{Definition, Module};
use crate::kernel::parse_kernel;
use crate::ops::OpRegistry;
use crate::text::{SymbolPolicy, TokenKind, parse_constraint};
use crate::types::ConstPool;

/// Reads a module.
///
/// ```
/// use orogen_ir::flow::text::{parse, print};
/// use orogen_ir::ops::OpRegistry;
///
/// let ops = OpRegistry::standard();
/// let text = "\
/// module @m {
///   sym n
///   fn @main(%x: Tensor<f32, [n]>) -> (y: Tensor<f32, [n]>) {
///     dataflow {
///       %0 = add(%x, %x) : Tensor<f32, [n]>
///       yield %0
///     }
///     return %0
///   }
/// }
/// ";
/// let module = parse(text, &ops)?;
/// module.verify(&ops)?;
/// assert_eq!(print(&module, &ops), text);
/// # Ok::<(), orogen_ir::diag::Diagnostics>(())
/// ```
///
/// # Errors
/// Everything that is wrong with the text, in its order: after an error reading goes on at the next binding.
pub fn parse(text: &str, ops: &OpRegistry) -> Result<Module, Diagnostics> {
    parse_with_constants(text, ops, &ConstPool::default())
}

/// Reads a module whose large constants (`const #3 : f32[64, 128]`) are in a pool beside the text.
///
/// # Errors
/// As [`parse`], and when the pool has no such constant or one of another type.
pub fn parse_with_constants(text: &str, ops: &OpRegistry, pool: &ConstPool) -> Result<Module, Diagnostics> {
    let mut parser = Parser::new(text, ops, pool);
    if let Err(diagnostic) = parser.module() {
        parser.report(diagnostic);
    }
    parser.finish()
}

impl Parser<'_, '_> {
    fn module(&mut self) -> Result<(), Diagnostic> {
        self.cursor.expect_word("module")?;
        self.module.name = self.cursor.expect_symbol()?.0;
        self.cursor.expect_punct("{")?;
        while !self.cursor.at_punct("}") && !self.cursor.at_end() {
            let start = self.cursor.mark();
            if let Err(diagnostic) = self.definition() {
                self.report(diagnostic);
                self.cursor.recover_since(start);
            }
        }
        self.cursor.expect_punct("}")?;
        if self.cursor.at_end() { Ok(()) } else { Err(self.cursor.expected("the end of the text")) }
    }

    fn definition(&mut self) -> Result<(), Diagnostic> {
        let TokenKind::Ident(word) = self.cursor.peek().clone() else {
            return Err(self.cursor.expected("a definition"));
        };
        match word.as_str() {
            "sym" => {
                self.cursor.bump();
                self.symbols()
            }
            "fact" => {
                self.cursor.bump();
                let span = self.cursor.span();
                let fact =
                    parse_constraint(&mut self.cursor, &mut self.module.shapes, SymbolPolicy::Declared)?;
                self.module
                    .shapes
                    .assume(fact)
                    .map_err(|it| self.cursor.error_at(self.cursor.span_since(&span), "T112", it.to_string()))
            }
            "kernel" | "routine" | "extern" => {
                let kernel = parse_kernel(&mut self.cursor)?;
                self.define(kernel.name().to_owned(), Definition::Kernel(kernel))
            }
            "private" | "fn" => {
                let private = self.cursor.eat_word("private");
                self.cursor.expect_word("fn")?;
                let mut parser = FunctionParser::new(self);
                parser.function.private = private;
                parser.function()
            }
            _ => Err(self.cursor.expected("`sym`, `fact`, `kernel`, `routine`, `extern`, `private` or `fn`")),
        }
    }

    fn symbols(&mut self) -> Result<(), Diagnostic> {
        loop {
            let span = self.cursor.span();
            let name = self.cursor.expect_name("the name of a symbol")?;
            if self.module.shapes.find_sym(&name).is_some() {
                return Err(self.cursor.error_at(span, "T114", format!("symbol `{name}` is declared twice")));
            }
            if self.cursor.eat_punct(":") {
                self.cursor.expect_word("integer")?;
                self.module.shapes.integer(&name);
            } else {
                self.module.shapes.sym(&name);
            }
            if !self.cursor.eat_punct(",") {
                return Ok(());
            }
        }
    }
}
