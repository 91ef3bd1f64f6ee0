//! Programs of the compiler's own IRs: as text, or as a program built them. They need no import.
//!
//! A text is the legacy graph (`.graph`), a module of the dataflow IR (`.flow`), call plans (`.plan`) or a tensor program
//! (`.kernel`). Constants that it does not hold are in a [file beside it](crate::constants).

use super::erased::{Content, ErasedFrontend};
use super::{FileHead, ImportOptions, ImportReport, Recognised, Unsupported};
use crate::files::CANNOT_READ;
use crate::{Lowered, constants};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::{self, FlowBuilder, Module};
use orogen_ir::graph::{self, Graph, GraphBuilder, NodeKind};
use orogen_ir::ops::{Defaulted, OpRegistry};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{ConstPool, Type};
use orogen_ir::{loops, plan, shape};
use orogen_passes::manager::Ir;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Longest text that is read, in bytes. Weights are not in it.
const LONGEST: u64 = 1 << 30;

/// The text format of one IR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IrText {
    /// `ir/src/graph/text`
    Graph,
    /// `ir/src/flow/text`
    Flow,
    /// `ir/src/plan/text`
    Plan,
    /// `ir/src/kernel/text`: one kernel, which becomes a plan that calls it.
    Kernel,
}

/// A program of an IR.
#[derive(Debug)]
pub(crate) enum IrModel {
    /// Read when the operators are known; with what lies beside the text.
    Text(String, ConstPool),
    /// Built by a program.
    Module(Box<Module>),
}

impl IrText {
    /// All of them.
    pub(crate) const ALL: [IrText; 4] = [IrText::Graph, IrText::Flow, IrText::Plan, IrText::Kernel];

    /// Name of the format, and suffix of its files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            IrText::Graph => "graph",
            IrText::Flow => "flow",
            IrText::Plan => "plan",
            IrText::Kernel => "kernel",
        }
    }

    fn read(self, text: &str, beside: &ConstPool, ops: &OpRegistry) -> Result<Lowered, Diagnostics> {
        Ok(match self {
            IrText::Graph => Lowered::Graph(graph::text::parse_with_constants(text, ops, beside)?),
            IrText::Flow => Lowered::Flow(flow::text::parse_with_constants(text, ops, beside)?),
            IrText::Plan => Lowered::Plan(plan::parse_plans(text, beside)?),
            IrText::Kernel => Lowered::Plan(super::kernel::plan(loops::parse_program(text)?)?.into()),
        })
    }
}

impl ErasedFrontend for IrText {
    fn name(&self) -> &'static str {
        IrText::name(*self)
    }

    fn recognises(&self, file: &FileHead<'_>) -> Recognised {
        if file.has_suffix(IrText::name(*self)) { Recognised::Yes } else { Recognised::No }
    }

    fn open(&self, path: &Path) -> Result<Content, Diagnostics> {
        let fail = |message: String| Diagnostic::error(CANNOT_READ, message);
        if !path.metadata().is_ok_and(|it| it.is_file()) {
            return Err(fail("cannot read the model: it is not a regular file".to_owned()).into());
        }
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|it| it.take(LONGEST + 1).read_to_end(&mut bytes));
        let read = read.map_err(|error| fail(format!("cannot read the model: {error}")))?;
        if read as u64 > LONGEST {
            return Err(fail(format!("cannot read the model: it is longer than {LONGEST} bytes")).into());
        }
        let text = utf8(bytes)?;
        let beside = constants::beside(path, &text)?;
        Ok(Box::new(IrModel::Text(text, beside)))
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<Content, Diagnostics> {
        Ok(Box::new(IrModel::Text(utf8(bytes)?, ConstPool::default())))
    }

    fn unsupported(&self, _: &Content) -> Result<Vec<Unsupported>, Diagnostics> {
        Ok(Vec::new())
    }

    fn import_graph(
        &self,
        _: &Content,
        _: &ImportOptions,
        _: &mut GraphBuilder<'_>,
    ) -> Result<ImportReport, Diagnostics> {
        Err(taken_as_it_is())
    }

    fn import_flow(
        &self,
        _: &Content,
        _: &ImportOptions,
        _: &mut FlowBuilder<'_>,
    ) -> Result<ImportReport, Diagnostics> {
        Err(taken_as_it_is())
    }

    fn program(
        &self,
        model: &Content,
        options: &ImportOptions,
        ops: &OpRegistry,
    ) -> Option<Result<(Lowered, ImportReport), Diagnostics>> {
        let program = match model.downcast_ref()? {
            IrModel::Text(text, beside) => self.read(text, beside, ops),
            IrModel::Module(it) => Ok(Lowered::Flow((**it).clone())),
        };
        Some(program.and_then(|it| accepted(*self, it, options, ops)))
    }
}

fn utf8(bytes: Vec<u8>) -> Result<String, Diagnostic> {
    String::from_utf8(bytes).map_err(|_| Diagnostic::error("D016", "a program of an IR is UTF-8 text"))
}

fn taken_as_it_is() -> Diagnostics {
    Diagnostic::error("D017", "a program of an IR is taken as it is").into()
}

/// A program that keeps its laws, and what is to be said of it. Plans are proven when they are compiled.
fn accepted(
    format: IrText,
    mut program: Lowered,
    options: &ImportOptions,
    ops: &OpRegistry,
) -> Result<(Lowered, ImportReport), Diagnostics> {
    let overridden = options.defaults.names(Defaulted::Optional);
    let fixed = if matches!(program, Lowered::Flow(_)) { None } else { options.dims.keys().next() };
    if let Some(name) = fixed.map(String::as_str).or(overridden.into_iter().next()) {
        let message = format!("`{name}` cannot be chosen: sizes and inputs are as the program has them");
        return Err(Diagnostic::error("D018", message).into());
    }
    let mut report = ImportReport { format: format.name(), ..ImportReport::default() };
    match &mut program {
        Lowered::Graph(graph) => {
            Ir::verify(graph, ops)?;
            (report.inputs, report.outputs) = ports(graph);
        }
        Lowered::Flow(module) => {
            Ir::verify(module, ops)?;
            crate::dataflow::bind_sizes(module, &options.dims)?;
            report.dims = crate::dataflow::open_sizes(module);
            (report.inputs, report.outputs) = module.ports();
        }
        Lowered::Plan(_) => {}
    }
    Ok((program, report))
}

/// Inputs and outputs of a graph, whose dimensions are numbers.
fn ports(graph: &Graph) -> (Vec<(String, Type)>, Vec<(String, Type)>) {
    let mut shapes = ShapeCx::new();
    let mut ty = |it: &graph::StaticType| {
        let dim = |it: &u64| shapes.int(i64::try_from(*it).unwrap_or(i64::MAX));
        let dims: Vec<shape::Dim> = it.dims.iter().map(dim).collect();
        Type::tensor(it.dtype, dims)
    };
    let name = |it: &NodeKind| match it {
        NodeKind::Input { name, .. } => name.clone(),
        _ => String::new(),
    };
    let inputs =
        graph.inputs().iter().map(|it| (name(&graph[*it].kind), ty(&graph[*it].outputs[0]))).collect();
    let outputs = graph.outputs().iter().map(|(name, edge)| (name.clone(), ty(graph.ty(*edge)))).collect();
    (inputs, outputs)
}
