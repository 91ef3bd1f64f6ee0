//! What a compiler is made of, put together.

use super::{Compiler, InstrumentFactory, Operator};
use crate::evaluator::ReferenceEvaluator;
use crate::frontend::{ErasedFrontend, Frontend, Frontends};
use orogen_codegen::CodegenOptions;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::Module;
use orogen_ir::graph::Graph;
use orogen_ir::ops::OpRegistry;
use orogen_onnx::{Converted, Node, NodeCx, OpTable};
use orogen_passes::flow::egraph::Explore;
use orogen_passes::manager::{Instrument, Pass, Pipeline, Place, Step};
use orogen_passes::rewrite::Rule;
use orogen_passes::rules::apply::ApplyRules;
use orogen_passes::rules::legalize::LegalizeTable;
use orogen_passes::{flow, graph};
use orogen_runtime::HostFunction;
use std::ops::RangeBounds;
use std::path::Path;

/// Puts a [`Compiler`] together from what ships and what its user adds.
///
/// Methods only note what they are given; [`build`](Self::build) puts it in place, in the order it was given within each
/// kind, whatever the order among kinds, and reports everything that does not fit.
pub struct Builder {
    operators: Vec<Operator>,
    onnx: OpTable,
    frontends: Vec<Box<dyn ErasedFrontend>>,
    rules: Vec<AddedRules>,
    graph: Vec<(Place, Box<dyn Pass<Graph>>)>,
    flow: Vec<(Place, Box<dyn Pass<Module>>)>,
    explore: bool,
    instruments: Vec<InstrumentFactory>,
    host_functions: Vec<(String, HostFunction)>,
    codegen: CodegenOptions,
    found: Diagnostics,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            operators: Vec::new(),
            onnx: OpTable::standard(),
            frontends: Vec::new(),
            rules: Vec::new(),
            graph: Vec::new(),
            flow: Vec::new(),
            explore: false,
            instruments: Vec::new(),
            host_functions: Vec::new(),
            codegen: CodegenOptions::default(),
            found: Diagnostics::new(),
        }
    }
}

impl Builder {
    /// Adds an operator.
    pub fn operator(&mut self, operator: Operator) -> &mut Self {
        self.operators.push(operator);
        self
    }

    /// Adds an ONNX converter for an operator of a domain, in the given versions of the domain's operator set. Operators
    /// that the table has in one of these versions are not replaced: that is an error of [`build`](Self::build).
    pub fn converter(
        &mut self,
        domain: &str,
        name: &str,
        versions: impl RangeBounds<i64>,
        convert: impl Fn(&mut NodeCx<'_, '_>) -> Converted + Send + Sync + 'static,
    ) -> &mut Self {
        self.check_converter(domain, name, &versions);
        self.onnx.register(domain, name, versions, convert);
        self
    }

    /// As [`converter`](Self::converter), with a check that says which nodes cannot be imported, and why, before anything
    /// is built.
    pub fn checked_converter(
        &mut self,
        domain: &str,
        name: &str,
        versions: impl RangeBounds<i64>,
        check: impl Fn(&Node<'_>) -> Result<(), String> + Send + Sync + 'static,
        convert: impl Fn(&mut NodeCx<'_, '_>) -> Converted + Send + Sync + 'static,
    ) -> &mut Self {
        self.check_converter(domain, name, &versions);
        self.onnx.register_checked(domain, name, versions, check, convert);
        self
    }

    fn check_converter(&mut self, domain: &str, name: &str, versions: &impl RangeBounds<i64>) {
        if let Some(versions) = self.onnx.overlap(domain, name, versions) {
            let of =
                if domain.is_empty() { "the standard domain".to_string() } else { format!("`{domain}`") };
            let message =
                format!("there are two ONNX converters for `{name}` of {of} in operator set {versions}");
            self.found.push(
                Diagnostic::error("D011", message)
                    .help("register it for versions that are free, or for a domain of its own"),
            );
        }
    }

    /// Adds a function of this process that lowerings call by name
    /// ([`Legalizer::emit_extern`](crate::rules::Legalizer::emit_extern)). [`build`](Self::build) puts it into the one
    /// table of the process that all compiled models look in; another process that runs the library has to do so too,
    /// with [`register_extern`](orogen_runtime::register_extern).
    pub fn host_function(&mut self, name: &str, function: impl Into<HostFunction>) -> &mut Self {
        self.host_functions.push((name.to_string(), function.into()));
        self
    }

    /// Adds a model format. It is asked about a file before the formats that ship.
    pub fn frontend(&mut self, frontend: impl Frontend) -> &mut Self {
        self.frontends.push(Box::new(frontend));
        self
    }

    /// Adds rewrite rules to step `simplify` of both paths, tried after those that are there:
    ///
    /// ```
    /// use orogen::prelude::*;
    ///
    /// let text = "rule root-of-square reassociates\n  sqrt(mul(x, x)) => abs(x)";
    /// let compiler = Compiler::builder().rules(text).build()?;
    /// # Ok::<(), Diagnostics>(())
    /// ```
    ///
    /// The language is that of [`rules::parse`](crate::rules::parse()) and RFC 0009.
    pub fn rules(&mut self, text: &str) -> &mut Self {
        self.rules.push(AddedRules::Text { file: None, text: text.to_string() });
        self
    }

    /// The same from a file, which is named where something is wrong with them.
    pub fn rules_file(&mut self, path: impl AsRef<Path>) -> &mut Self {
        let path = path.as_ref();
        match std::fs::read_to_string(path) {
            Ok(text) => {
                self.rules.push(AddedRules::Text { file: Some(path.display().to_string()), text });
                self
            }
            Err(error) => {
                let message = format!("the rules in `{}` cannot be read", path.display());
                self.error(Diagnostic::error("D024", message).note(error.to_string()))
            }
        }
    }

    /// The same as code, for what the rule language does not say.
    pub fn rule(&mut self, rule: Rule) -> &mut Self {
        self.rules.push(AddedRules::Code(rule));
        self
    }

    /// Adds a pass over the legacy graph.
    pub fn graph_pass(&mut self, place: Place, pass: impl Pass<Graph> + 'static) -> &mut Self {
        self.graph.push((place, Box::new(pass)));
        self
    }

    /// Adds a pass over the dataflow IR.
    pub fn flow_pass(&mut self, place: Place, pass: impl Pass<Module> + 'static) -> &mut Self {
        self.flow.push((place, Box::new(pass)));
        self
    }

    /// Adds equality saturation of dataflow blocks after step `simplify` of the dataflow path, with the rules that ship.
    pub fn explore(&mut self) -> &mut Self {
        self.explore = true;
        self
    }

    /// Adds an instrument: each compilation makes one and keeps it in its
    /// [report](crate::LowerReport::instrument).
    pub fn instrument<I: Instrument>(&mut self, make: impl Fn() -> I + Send + Sync + 'static) -> &mut Self {
        self.instruments.push(Box::new(move || Box::new(make())));
        self
    }

    /// Sets target and effort of code generation. The instructions and threads are those of the
    /// [options](crate::CompileOptions) of each compilation.
    pub fn codegen(&mut self, options: CodegenOptions) -> &mut Self {
        self.codegen = options;
        self
    }

    /// Notes an error that [`build`](Self::build) reports, for code that registers and finds that it cannot.
    pub fn error(&mut self, found: Diagnostic) -> &mut Self {
        self.found.push(found);
        self
    }

    /// The compiler. The builder is as new afterwards.
    ///
    /// # Errors
    /// Everything that does not fit together: names that are given twice, rules over operators that are not registered,
    /// passes at places that are not there.
    pub fn build(&mut self) -> Result<Compiler, Diagnostics> {
        let Builder {
            operators,
            onnx,
            frontends,
            rules,
            graph,
            flow,
            explore,
            instruments,
            host_functions,
            codegen,
            mut found,
        } = std::mem::take(self);
        let mut note = |outcome: Result<(), Diagnostic>| {
            if let Err(diagnostic) = outcome {
                found.push(diagnostic);
            }
        };
        let mut ops = OpRegistry::standard();
        for operator in &operators {
            note(register(&mut ops, operator));
        }
        let mut table = LegalizeTable::standard(&ops);
        for operator in &operators {
            if let (Some(id), Some(lower)) = (ops.find(operator.def.name), operator.lower) {
                table.set(id, lower);
            }
        }
        let mut simplify = ApplyRules::simplify(&ops);
        for rules in rules {
            match rules {
                AddedRules::Code(rule) => note(simplify.rules_mut().insert(&ops, rule)),
                AddedRules::Text { file, text } => {
                    let outcome = simplify.rules_mut().insert_text(&ops, &text);
                    for it in outcome.err().into_iter().flat_map(|it| it.0) {
                        note(Err(match &file {
                            Some(file) => it.note(format!("in `{file}`")),
                            None => it,
                        }));
                    }
                }
            }
        }
        let layout = ApplyRules::layout(&ops);
        let rules = vec![(Step::Simplify, simplify.rules().clone()), (Step::Layout, layout.rules().clone())];
        let mut on_graph = Pipeline::default()
            .pass(Step::Canonicalize, graph::Canonicalize)
            .pass(Step::FoldConstants, graph::FoldConstants::before_rules())
            .pass(Step::Simplify, simplify.clone())
            .pass(Step::Layout, layout.clone())
            .pass(Step::Layout, graph::FoldConstants::after_rules())
            .pass(Step::Legalize, graph::Legalize::new(table.clone()))
            .pass(Step::Fuse, graph::Fuse);
        for (place, pass) in graph {
            note(on_graph.insert_boxed(place, pass));
        }
        let mut on_flow = Pipeline::default()
            .pass(Step::Canonicalize, flow::Canonicalize)
            .pass(Step::FoldConstants, flow::FoldConstants::before_rules())
            .pass(Step::Simplify, simplify)
            .pass(Step::Layout, layout)
            .pass(Step::Layout, flow::FoldConstants::after_rules())
            .pass(Step::Legalize, flow::Legalize::new(table.clone()))
            .pass(Step::Fuse, flow::Fuse);
        if explore {
            note(on_flow.insert(Place::after("simplify"), Explore::standard(&ops)));
        }
        for (place, pass) in flow {
            note(on_flow.insert_boxed(place, pass));
        }
        let mut known = Frontends::standard(onnx);
        for (i, frontend) in frontends.into_iter().enumerate() {
            note(known.insert(i, frontend));
        }
        for (i, (name, _)) in host_functions.iter().enumerate() {
            if host_functions[..i].iter().any(|it| it.0 == *name) {
                note(Err(Diagnostic::error("D013", format!("there are two host functions `{name}`"))
                    .help("give one of them another name")));
            }
        }
        if found.is_empty() {
            for (name, function) in host_functions {
                orogen_runtime::register_extern(&name, function);
            }
        }
        found.into_result(Compiler {
            ops,
            frontends: known,
            graph: on_graph,
            flow: on_flow,
            evaluator: ReferenceEvaluator,
            instruments,
            codegen,
            rules,
            table,
        })
    }
}

/// Rules from outside.
enum AddedRules {
    Text { file: Option<String>, text: String },
    Code(Rule),
}

/// Adds an operator to the registry.
fn register(ops: &mut OpRegistry, operator: &Operator) -> Result<(), Diagnostic> {
    let name = operator.def.name;
    if ops.find(name).is_some() {
        return Err(Diagnostic::error("D010", format!("there are two operators `{name}`"))
            .help("give it another name; `COMPANY.NAME` keeps clear of the standard ones"));
    }
    let plain = |it: &str| {
        it.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && it.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let mut parts = name.split('.');
    if !parts.all(plain) || !name.contains('.') {
        return Err(Diagnostic::error("D012", format!("`{name}` is no name for an operator from outside"))
            .help(
                "write words of letters, digits and underscores with dots between them, such as `acme.swish`",
            ));
    }
    let id = ops.register(operator.def.clone());
    if let Some(evaluate) = operator.evaluate {
        ops.set_evaluation(id, evaluate);
    }
    Ok(())
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let operators: Vec<&str> = self.operators.iter().map(|it| it.def.name).collect();
        let rules = self.rules.iter().map(|it| match it {
            AddedRules::Text { file, .. } => file.as_deref().unwrap_or("text"),
            AddedRules::Code(rule) => rule.name,
        });
        let rules: Vec<&str> = rules.collect();
        let passes = self.graph.iter().map(|it| it.1.name()).chain(self.flow.iter().map(|it| it.1.name()));
        f.debug_struct("Builder")
            .field("operators", &operators)
            .field("rules", &rules)
            .field("passes", &passes.collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
