//! What a compiler is made of, put together.

use super::{Compiler, InstrumentFactory, Operator};
use crate::dataflow::AddedRules;
use crate::evaluator::ReferenceEvaluator;
use crate::frontend::{ErasedFrontend, Frontend, Frontends};
use crate::targets;
use orogen_codegen::CodegenOptions;
use orogen_ir::choices::Choices;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::Module;
use orogen_ir::graph::Graph;
use orogen_ir::ops::OpRegistry;
use orogen_onnx::{Converted, Node, NodeCx, OpTable};
use orogen_passes::manager::{Accuracy, Held, Instrument, Pass, PassInfo, PassList, Pipeline, Place};
use orogen_passes::registry::{OTHER_PATH, PLAN_MEMORY, PassDef, PassTable, Passes, Path as PathOf};
use orogen_passes::rewrite::{Rewrite, Rule, parse, taken};
use orogen_passes::rules::apply::ApplyRules;
use orogen_passes::rules::explored::ExploredRules;
use orogen_passes::rules::legalize::LegalizeTable;
use orogen_passes::rules::order::Shuffle;
use orogen_runtime::HostFunction;
use std::ops::RangeBounds;
use std::path::Path;
use std::sync::Arc;

/// Puts a [`Compiler`] together from what ships and what its user adds.
///
/// Methods only note what they are given; [`build`](Self::build) puts it in place, in the order it was given within each
/// kind, whatever the order among kinds, and reports everything that does not fit.
pub struct Builder {
    operators: Vec<Operator>,
    onnx: OpTable,
    frontends: Vec<Box<dyn ErasedFrontend>>,
    rules: Vec<RulesFromOutside>,
    passes: PassTable,
    list: Option<PassList>,
    instruments: Vec<InstrumentFactory>,
    host_functions: Vec<(String, HostFunction)>,
    codegen: CodegenOptions,
    choices: Choices,
    found: Diagnostics,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            operators: Vec::new(),
            onnx: OpTable::standard(),
            frontends: Vec::new(),
            rules: Vec::new(),
            passes: PassTable::standard(),
            list: None,
            instruments: Vec::new(),
            host_functions: Vec::new(),
            codegen: CodegenOptions::default(),
            choices: Choices::usual(),
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

    /// Adds rewrite rules to step `simplify` of both paths, tried after those that are there; pass `explore` reads them too,
    /// and alone those that are marked `explored`:
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
        self.rules.push(RulesFromOutside::Text { file: None, text: text.to_string() });
        self
    }

    /// The same from a file, which is named where something is wrong with them.
    pub fn rules_file(&mut self, path: impl AsRef<Path>) -> &mut Self {
        let path = path.as_ref();
        match std::fs::read_to_string(path) {
            Ok(text) => {
                self.rules.push(RulesFromOutside::Text { file: Some(path.display().to_string()), text });
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
        self.rules.push(RulesFromOutside::Code(rule));
        self
    }

    /// Adds a pass over the legacy graph. It runs, unless [`passes`](Self::passes) say otherwise.
    pub fn graph_pass(&mut self, place: Place, pass: impl Pass<Graph> + 'static) -> &mut Self {
        self.passes.graph_pass(place, Arc::new(pass));
        self
    }

    /// Adds a pass over the dataflow IR. It runs, unless [`passes`](Self::passes) say otherwise.
    pub fn flow_pass(&mut self, place: Place, pass: impl Pass<Module> + 'static) -> &mut Self {
        self.passes.flow_pass(place, Arc::new(pass));
        self
    }

    /// Adds a pass with all that can be said of it: whether it is on, how exact it is, its options.
    pub fn define_pass(&mut self, place: Place, def: PassDef) -> &mut Self {
        self.passes.define(place, def);
        self
    }

    /// Makes other choices than the usual ones, as the seed says and as many as there is fuel for, where each is legal: the
    /// order of independent operations, what is merged, where buffers lie, how kernels are computed. What is compiled is
    /// slower and just as right. The [report](crate::LowerReport::choices) says what was chosen;
    /// [`first_failure`](orogen_ir::choices::first_failure) finds the choice that a fault needs.
    ///
    /// ```
    /// use orogen::prelude::*;
    ///
    /// let compiler = Compiler::builder().chaos(Choices::random(7, u64::MAX)).build()?;
    /// let text = "graph @g(%x: f32[2]) { %0 = relu(%x) %1 = neg(%x) %2 = add(%0, %1) return y = %2 }";
    /// let model = compiler.decode("g.graph", text.into())?;
    /// let artifact = compiler.compile(&model, &CompileOptions::default())?;
    /// let y = artifact.load()?.run(&[Tensor::from_slice(&[2], &[-3f32, 4.0])?])?;
    /// assert_eq!(y[0].as_slice::<f32>()?, [3.0, 0.0]);
    /// println!("{:?}", artifact.report.choices.taken());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn chaos(&mut self, choices: Choices) -> &mut Self {
        self.choices = choices;
        self
    }

    /// Says which passes run, in this order; the last list that is given counts.
    ///
    /// `NAME` runs a pass, or the passes of a pipeline of that name, after those before it; `+NAME` puts a pass at its own
    /// place among them, `-NAME` takes one out. A list that begins with `+` or `-` changes what would run without it.
    /// Options stand in braces; `NAME@TARGET` counts only where code has the instructions of that target (`avx2`, `avx512`,
    /// `avx512vnni`). `docs/passes.md` lists them all.
    ///
    /// ```
    /// use orogen::prelude::*;
    ///
    /// let compiler = Compiler::builder().passes("+explore{nodes=8000}").build()?;
    /// assert!(compiler.flow_passes().any(|it| it.name == "explore"));
    /// let refused = Compiler::builder().passes("legalize,simplify").build();
    /// assert_eq!(refused.unwrap_err().0[0].code, "N023");
    /// # Ok::<(), Diagnostics>(())
    /// ```
    pub fn passes(&mut self, list: &str) -> &mut Self {
        match PassList::parse(list).and_then(|it| targets::check(&it).map(|()| it)) {
            Ok(list) => {
                self.list = Some(list);
                self
            }
            Err(found) => self.error(found),
        }
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
            mut passes,
            list,
            instruments,
            host_functions,
            codegen,
            choices,
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
        let (mut simplify, layout) = (ApplyRules::simplify(&ops), ApplyRules::layout(&ops));
        let (mut explored, mut added) = (ExploredRules::default(), Vec::new());
        for rules in rules {
            match rules {
                RulesFromOutside::Code(rule) => note(simplify.rules_mut().insert(&ops, rule)),
                RulesFromOutside::Text { file, text } => {
                    let (outcome, rules) = insert_text(&text, &ops, &mut simplify, &layout, &mut explored);
                    added.extend(rules.into_iter().map(|it| (file.clone(), it)));
                    for it in outcome.err().into_iter().flat_map(|it| it.0) {
                        note(Err(match &file {
                            Some(file) => it.note(format!("in `{file}`")),
                            None => it,
                        }));
                    }
                }
            }
        }
        if !choices.is_usual() {
            for (place, shuffle) in [("import", Shuffle::Operators), ("fuse", Shuffle::Kernels)] {
                passes.graph_pass(Place::after(place), Arc::new(shuffle));
                if let Some(pass) = orogen_passes::flow::shuffled(shuffle) {
                    passes.flow_pass(Place::after(place), pass);
                }
            }
        }
        let passes = passes.build(&ops, table, simplify, layout, explored);
        let passes = passes.and_then(|it| fitting_everywhere(&it, &ops, list.as_ref()).map(|()| it));
        let passes = passes.map_err(|it| it.0.into_iter().for_each(|it| note(Err(it)))).ok();
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
        let Some(passes) = passes.filter(|_| found.is_empty()) else { return Err(found) };
        for (name, function) in host_functions {
            orogen_runtime::register_extern(&name, function);
        }
        Ok(Compiler {
            ops,
            frontends: known,
            passes,
            added: AddedRules::new(added),
            list,
            evaluator: ReferenceEvaluator,
            instruments,
            codegen,
            choices,
        })
    }
}

/// Whether the pipelines fit together for every target that the list names.
fn fitting_everywhere(passes: &Passes, ops: &OpRegistry, list: Option<&PassList>) -> Result<(), Diagnostics> {
    let Some(list) = list.filter(|it| it.targets().next().is_some()) else {
        return fitting(passes, ops, list);
    };
    targets::lists(list).try_for_each(|it| fitting(passes, ops, Some(&it)))
}

/// Whether the pipelines fit together, of a list or those that run by default, with what any accuracy admits. A list need
/// be of one path only.
fn fitting(passes: &Passes, ops: &OpRegistry, list: Option<&PassList>) -> Result<(), Diagnostics> {
    let mut refused: Vec<Diagnostics> = Vec::new();
    let mut fits = false;
    for accuracy in Accuracy::ALL.into_iter().rev() {
        let on_flow = passes.pipeline::<Module>(ops, accuracy, list, |_| true).map(|it| infos(&it));
        let on_graph = passes.pipeline::<Graph>(ops, accuracy, list, |_| true).map(|it| infos(&it));
        for pipeline in [on_flow, on_graph] {
            // What a program has is seen when there is one.
            let planned = |it: Vec<PassInfo>| it.into_iter().chain([PLAN_MEMORY.info()]);
            match pipeline.and_then(|it| passes.check_order(planned(it), Held::all())) {
                Ok(()) => fits = true,
                Err(it) => refused.push(it),
            }
        }
    }
    // That a pass is of the other path says less than what else is wrong.
    let other_path = |it: &Diagnostics| it.0.iter().all(|it| it.code == OTHER_PATH);
    let worst = refused.iter().position(|it| !other_path(it)).unwrap_or(0);
    match refused.is_empty() || (list.is_some() && fits) {
        true => Ok(()),
        false => Err(refused.swap_remove(worst)),
    }
}

fn infos<I: PathOf>(pipeline: &Pipeline<I>) -> Vec<PassInfo> {
    pipeline.passes().collect()
}

/// Adds rules that are text, each where it is applied, and returns them. Pass `explore` reads all of them, so no two have one
/// name.
fn insert_text(
    text: &str,
    ops: &OpRegistry,
    simplify: &mut ApplyRules,
    layout: &ApplyRules,
    explored: &mut ExploredRules,
) -> (Result<(), Diagnostics>, Vec<Arc<Rewrite>>) {
    let rules: Vec<Arc<Rewrite>> = match parse(text, ops) {
        Ok(rules) => rules.into_iter().map(Arc::new).collect(),
        Err(found) => return (Err(found), Vec::new()),
    };
    let mut found = Diagnostics::new();
    for rule in rules.iter().cloned() {
        let (name, place) = (rule.name.clone(), rule.place.clone());
        let is_taken =
            explored.contains(&name) || [&*simplify, layout].into_iter().any(|it| it.rules().contains(&name));
        let outcome = match (is_taken, rule.explored) {
            (true, _) => Err(taken(&name)),
            (false, true) => explored.insert(rule),
            (false, false) => simplify.rules_mut().insert_rewrite(ops, rule),
        };
        found.0.extend(outcome.err().map(|it| it.at_place(place)));
    }
    (found.into_result(()), rules)
}

/// Rules from outside.
enum RulesFromOutside {
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
            RulesFromOutside::Text { file, .. } => file.as_deref().unwrap_or("text"),
            RulesFromOutside::Code(rule) => rule.name,
        });
        let rules: Vec<&str> = rules.collect();
        f.debug_struct("Builder")
            .field("operators", &operators)
            .field("rules", &rules)
            .field("passes", &self.passes.added().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
