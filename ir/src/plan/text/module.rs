//! Modules of plans as text. A module of one function is the text of that plan.

use super::parse::{self, Shared};
use super::print::{print_constants, print_member};
use super::print_plan;
use crate::diag::{Diagnostic, Diagnostics};
use crate::kernel::{parse_kernel, starts_kernel, write_kernel};
use crate::plan::PlanModule;
use crate::text::{Cursor, TextWriter, TokenKind};
use crate::types::ConstPool;
use std::sync::Arc;

/// A module as text: what its functions share, then each of them.
pub fn print_plans(module: &PlanModule) -> String {
    if let [plan] = &module.functions[..] {
        return print_plan(plan).text;
    }
    let mut writer = TextWriter::new();
    writer.open("module {");
    if let Some(constants) = module.constants() {
        print_constants(constants, &mut writer);
    }
    for kernel in module.kernels() {
        write_kernel(&mut writer, kernel.name(), kernel);
    }
    let names: Vec<&str> = module.functions.iter().map(|it| it.name.as_str()).collect();
    module.functions.iter().for_each(|it| print_member(it, &names, &mut writer));
    writer.close("}");
    writer.finish()
}

/// Reads a module, or a plan alone. Constants that the text refers to but does not hold come from `pool`, by id.
///
/// # Errors
/// Everything that could not be read, each with its place in `text`.
pub fn parse_plans(text: &str, pool: &ConstPool) -> Result<PlanModule, Diagnostics> {
    let mut cursor = Cursor::new(text);
    let result = match cursor.at_word("module") {
        true => module(&mut cursor, pool),
        false => parse::plan(&mut cursor, pool).map(PlanModule::from),
    };
    parse::whole(cursor, result)
}

fn module(cursor: &mut Cursor<'_>, pool: &ConstPool) -> Result<PlanModule, Diagnostic> {
    let mut shared = Shared { names: names(cursor), ..Shared::default() };
    let mut module = PlanModule::default();
    cursor.expect_word("module")?;
    cursor.expect_punct("{")?;
    while !cursor.at_punct("}") && !cursor.at_end() {
        if let Err(problem) = item(cursor, pool, &mut shared, &mut module) {
            cursor.report(problem);
            cursor.recover();
        }
    }
    cursor.expect_punct("}")?;
    Ok(module)
}

fn item(
    cursor: &mut Cursor<'_>,
    pool: &ConstPool,
    shared: &mut Shared,
    module: &mut PlanModule,
) -> Result<(), Diagnostic> {
    let span = cursor.span();
    let is_constant = cursor.at_word("constant");
    if is_constant || starts_kernel(cursor) {
        if !module.functions.is_empty() {
            let message = "constants and kernels belong to the module, before its plans";
            return Err(cursor.error_at(span, "T100", message));
        }
        if is_constant {
            cursor.bump();
            parse::constant(cursor, pool, Arc::make_mut(&mut shared.constants))?;
        } else {
            Arc::make_mut(&mut shared.kernels).push(parse_kernel(cursor)?);
        }
        return Ok(());
    }
    module.functions.push(parse::member(cursor, shared)?);
    Ok(())
}

/// The names of the plans that follow, in order: a plan may call one that comes later.
fn names(cursor: &mut Cursor<'_>) -> Vec<String> {
    let start = cursor.mark();
    let mut names = Vec::new();
    while !cursor.at_end() {
        let is_plan = cursor.at_word("plan");
        cursor.bump();
        if is_plan && let TokenKind::Symbol(name) = cursor.peek() {
            names.push(name.clone());
        }
    }
    cursor.back(start);
    names
}
