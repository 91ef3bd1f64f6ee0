//! Printing modules.

use super::names::ValueNames;
use super::symbols::Declarations;
use crate::diag::Place;
use crate::flow::{
    BindingId, BlockId, BlockKind, Definition, Function, Module, Output, RegionId, Rhs, Scope,
};
use crate::flow::{ValueDef, ValueId};
use crate::kernel::write_kernel;
use crate::ops::OpRegistry;
use crate::text::exists;
use crate::text::{
    LineIndex, Numbering, Span, TextWriter, attrs_text, constant_text, constraint_text, dims_text,
    is_identifier, name_text, quote, source_text, type_text,
};
use crate::types::{ConstId, Effects, Type};
use indexmap::{IndexMap, IndexSet};
use la_arena::ArenaMap;

/// Words that begin a right-hand side or a statement; operators of these names are quoted.
pub(super) const KEYWORDS: [&str; 15] = [
    "call",
    "check",
    "const",
    "dataflow",
    "effect",
    "else",
    "get",
    "if",
    "local",
    "match_cast",
    "return",
    "tuple",
    "view",
    "while",
    "yield",
];

/// A printed module with the places of what was printed.
#[derive(Clone, Debug, Default)]
pub struct Printed {
    /// The text.
    pub text: String,
    /// Places by function name.
    pub functions: IndexMap<String, FunctionSpans>,
    /// First lines of all definitions.
    pub definitions: IndexMap<String, Span>,
}

/// Places of a printed function.
#[derive(Clone, Debug, Default)]
pub struct FunctionSpans {
    /// The first line.
    pub header: Span,
    /// First lines of bindings.
    pub bindings: ArenaMap<BindingId, Span>,
    /// First lines of blocks.
    pub blocks: ArenaMap<BlockId, Span>,
    /// `return` lines of regions.
    pub returns: ArenaMap<RegionId, Span>,
}

impl Printed {
    /// The place of a span.
    pub fn place(&self, span: &Span) -> Place {
        LineIndex::new(&self.text).place(span.clone())
    }
}

/// The module as text.
pub fn print(module: &Module, ops: &OpRegistry) -> String {
    print_with_places(module, ops).text
}

/// The module as text, with names that passes keep.
pub fn print_numbered(module: &Module, ops: &OpRegistry, numbering: Numbering) -> String {
    printed_module(module, ops, numbering).text
}

/// The module as text, and where everything is in it.
///
/// Prints unlawful modules as well, for diagnostics; only lawful ones read back.
pub fn print_with_places(module: &Module, ops: &OpRegistry) -> Printed {
    printed_module(module, ops, Numbering::InOrder)
}

fn printed_module(module: &Module, ops: &OpRegistry, numbering: Numbering) -> Printed {
    let mut out = TextWriter::new();
    let mut printed = Printed::default();
    out.open(&format!("module @{} {{", name_text(&module.name)));
    let declarations = Declarations::of(module);
    if !declarations.symbols.is_empty() {
        out.line(&format!("sym {}", declarations.symbols.join(", ")));
    }
    for fact in &declarations.facts {
        out.line(&format!("fact {}", constraint_text(&module.shapes, fact)));
    }
    for (name, definition) in &module.definitions {
        let span = match definition {
            Definition::Function(function) => {
                let names = ValueNames::of(function, numbering);
                let mut printer = Printer {
                    module,
                    ops,
                    function,
                    names,
                    out: &mut out,
                    spans: FunctionSpans::default(),
                    seen: IndexSet::new(),
                };
                printer.function(name);
                let spans = printer.spans;
                let header = spans.header.clone();
                printed.functions.insert(name.clone(), spans);
                header
            }
            Definition::Kernel(it) => write_kernel(&mut out, name, it),
        };
        printed.definitions.insert(name.clone(), span);
    }
    out.close("}");
    printed.text = out.finish();
    printed
}

fn effects_text(effects: Effects) -> String {
    if effects.is_pure() { String::new() } else { format!(" {effects}") }
}

struct Printer<'m, 'w> {
    module: &'m Module,
    ops: &'m OpRegistry,
    function: &'m Function,
    names: ValueNames,
    out: &'w mut TextWriter,
    spans: FunctionSpans,
    seen: IndexSet<RegionId>,
}

impl Printer<'_, '_> {
    fn ty(&self, value: ValueId) -> String {
        match exists(&self.function.values, value) {
            Some(it) => type_text(&self.module.shapes, &it.ty),
            None => "?".to_owned(),
        }
    }

    fn list(&self, values: &[ValueId]) -> String {
        values.iter().map(|it| self.names.get(*it)).collect::<Vec<_>>().join(", ")
    }

    fn typed(&self, values: &[ValueId]) -> String {
        let items = values.iter().map(|it| format!("{}: {}", self.names.get(*it), self.ty(*it)));
        items.collect::<Vec<_>>().join(", ")
    }

    fn types(&self, values: &[ValueId]) -> String {
        match values {
            [] => String::new(),
            _ => format!(" : {}", values.iter().map(|it| self.ty(*it)).collect::<Vec<_>>().join(", ")),
        }
    }

    fn literal(&self, id: ConstId) -> String {
        let pool = &self.module.constants;
        match pool.contains(id) {
            true => constant_text(pool, id),
            false => id.to_string(),
        }
    }

    fn function(&mut self, name: &str) {
        let function = self.function;
        let params = function.params.iter().map(|it| {
            let (value, ty) = (self.names.get(it.value), self.ty(it.value));
            let default = it.default.map_or(String::new(), |it| format!(" = {}", self.literal(it)));
            match value[1..] == it.name {
                true => format!("{value}: {ty}{default}"),
                false => format!("{value} as {}: {ty}{default}", quote(&it.name)),
            }
        });
        let params = params.collect::<Vec<_>>().join(", ");
        let results = exists(&function.regions, function.body).map_or(&[][..], |it| &it.results);
        let outputs = (0..results.len().max(function.outputs.len())).map(|i| {
            let name =
                |it: &Output| format!("{}{}", if it.gives_rank { "rank " } else { "" }, name_text(&it.name));
            let name = function.outputs.get(i).map_or("?".to_owned(), name);
            let ty = results.get(i).map_or("?".to_owned(), |it| self.ty(*it));
            format!("{name}: {ty}")
        });
        let outputs = outputs.collect::<Vec<_>>().join(", ");
        let effects = effects_text(function.effects);
        let private = if function.private { "private " } else { "" };
        let header = format!("{private}fn @{}({params}) -> ({outputs}){effects} {{", name_text(name));
        self.spans.header = self.out.open(&header);
        self.region(function.body);
        self.out.close("}");
    }

    /// The blocks of a region and what it returns.
    fn region(&mut self, id: RegionId) {
        let function = self.function;
        let Some(region) = exists(&function.regions, id).filter(|_| self.seen.insert(id)) else {
            self.out.line("// a region that does not exist, or is printed elsewhere");
            return;
        };
        for block in &region.blocks {
            self.block(*block);
        }
        let results = self.list(&region.results);
        let span = self.out.line(format!("return {results}").trim_end());
        self.spans.returns.insert(id, span);
    }

    fn block(&mut self, id: BlockId) {
        let Some(block) = exists(&self.function.blocks, id) else {
            self.out.line("// a block that does not exist");
            return;
        };
        let dataflow = block.kind == BlockKind::Dataflow;
        let span = self.out.open(if dataflow { "dataflow {" } else { "effect {" });
        self.spans.blocks.insert(id, span);
        let mut yielded = Vec::new();
        for binding in &block.order {
            self.binding(*binding, dataflow);
            if let Some(binding) = exists(&self.function.bindings, *binding) {
                let scope = |it: &ValueId| exists(&self.function.values, *it).map(|it| it.scope);
                yielded.extend(binding.results.iter().filter(|it| scope(it) == Some(Scope::Region)));
            }
        }
        if dataflow && !yielded.is_empty() {
            let line = format!("yield {}", self.list(&yielded));
            self.out.line(&line);
        }
        self.out.close("}");
    }

    fn binding(&mut self, id: BindingId, dataflow: bool) {
        let function = self.function;
        let Some(binding) = exists(&function.bindings, id) else {
            self.out.line("// a binding that does not exist");
            return;
        };
        // In a dataflow block values are local unless yielded; in an effect block it is the other way round.
        let is_local =
            |it: &ValueId| exists(&function.values, *it).is_some_and(|it| it.scope == Scope::BlockLocal);
        let results = binding.results.iter().map(|it| match !dataflow && is_local(it) {
            true => format!("local {}", self.names.get(*it)),
            false => self.names.get(*it),
        });
        let results = results.collect::<Vec<_>>().join(", ");
        let head = if results.is_empty() { String::new() } else { format!("{results} = ") };
        let location = source_text(&binding.source);
        let span = match &binding.rhs {
            Rhs::If { cond, then_region, else_region } => {
                let cond = self.names.get(*cond);
                let span = self.out.open(&format!("{head}if {cond} {{"));
                self.region(*then_region);
                self.out.reopen("} else {");
                self.region(*else_region);
                let tail = format!("}}{}{location}", self.types(&binding.results));
                self.out.close(&tail);
                span
            }
            Rhs::While { init, cond, body } => {
                let params = |it: RegionId| exists(&function.regions, it).map_or(&[][..], |it| &it.params);
                let head =
                    format!("{head}while ({}) cond ({}) {{", self.list(init), self.typed(params(*cond)));
                let span = self.out.open(&head);
                self.region(*cond);
                let middle = format!("}} body ({}) {{", self.typed(params(*body)));
                self.out.reopen(&middle);
                self.region(*body);
                let tail = format!("}}{}{location}", self.types(&binding.results));
                self.out.close(&tail);
                span
            }
            rhs => {
                let line = format!(
                    "{head}{}{}{location}",
                    self.rhs(rhs, &binding.results),
                    self.types(&binding.results)
                );
                self.out.line(&line)
            }
        };
        self.spans.bindings.insert(id, span);
    }

    fn rhs(&self, rhs: &Rhs, results: &[ValueId]) -> String {
        match rhs {
            Rhs::Op { op, attrs, args } => {
                let name = self.ops.def(*op).name;
                let name = match is_identifier(name) && !KEYWORDS.contains(&name) {
                    true => name.to_owned(),
                    false => quote(name),
                };
                let attrs = match attrs.is_empty() {
                    true => String::new(),
                    false => format!(" {}", attrs_text(attrs)),
                };
                format!("{name}({}){attrs}", self.list(args))
            }
            Rhs::Constant(id) => format!("const {}", self.literal(*id)),
            Rhs::Call { callee, args, sizes } => {
                let sizes = match sizes.is_empty() {
                    true => String::new(),
                    false => format!(" {}", dims_text(&self.module.shapes, sizes)),
                };
                format!("call @{}({}){sizes}", name_text(callee), self.list(args))
            }
            Rhs::View { value, ty } => self.cast("view", *value, ty, results),
            Rhs::MatchCast { value, ty } => self.cast("match_cast", *value, ty, results),
            Rhs::Check { constraint, message } => {
                format!("check {}, {}", constraint_text(&self.module.shapes, constraint), quote(message))
            }
            Rhs::Tuple(items) => format!("tuple({})", self.list(items)),
            Rhs::Get { tuple, index } => format!("get({}, {index})", self.names.get(*tuple)),
            // Printed over several lines by the caller.
            Rhs::If { .. } | Rhs::While { .. } => String::new(),
        }
    }

    /// The asserted type is the annotation of the result, unless an unlawful module has another one there.
    fn cast(&self, word: &str, value: ValueId, ty: &Type, results: &[ValueId]) -> String {
        let recorded = results.first().and_then(|it| exists(&self.function.values, *it)).map(|it| &it.ty);
        match recorded == Some(ty) {
            true => format!("{word}({})", self.names.get(value)),
            false => format!("{word}({}, {})", self.names.get(value), type_text(&self.module.shapes, ty)),
        }
    }
}

/// How diagnostics name a value: as the printer does.
pub(crate) fn value_name(function: &Function, value: ValueId) -> String {
    match exists(&function.values, value).map(|it| it.def) {
        Some(ValueDef::Param(_) | ValueDef::RegionParam(..) | ValueDef::Result(..)) => {
            ValueNames::of(function, Numbering::InOrder).get(value)
        }
        None => format!("%undefined.{}", value.into_raw().into_u32()),
    }
}
