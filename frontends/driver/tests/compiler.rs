//! What a compiler takes from outside: that it is used on both paths, and that what does not fit is said.

use orogen::prelude::*;

/// `twice(x) = x + x`.
const TWICE: Operator = Operator {
    def: OpDef::pure("acme.twice", Arity::exactly(1), &[], |cx| Ok(smallvec![cx.args[0].clone()]))
        .by_element(),
    evaluate: Some(|_, args| {
        let twice = args[0].to_f64().into_iter().map(|it| 2.0 * it);
        Ok(vec![TensorData::from_f64(args[0].dtype(), args[0].dims(), twice)])
    }),
    lower: Some(|mut cx| {
        let (x, out) = (cx.input(0)?, cx.output(0)?);
        cx.b.fill(out, |b, at| {
            let x = b.load(x, at.iter().copied())?;
            b.binary(BinaryOp::Add, x, x)
        })?;
        cx.finish()
    }),
};

/// `acme.twice(acme.twice(x)) = x · 4`.
const TWICE_TWICE: Rule = Rule {
    name: "twice-twice",
    root: "acme.twice",
    class: RuleClass::Reassociates,
    reason: "the factor has the type of the operand",
    apply: |cx, call| {
        let inner = cx.definition_by(call.args[0], "acme.twice")?;
        let dtype = cx.ty(inner.args[0]).as_tensor()?.dtype;
        let four = cx.emit_constant(TensorData::from_f64(dtype, &[], [4.0]));
        cx.emit("mul", Attrs::none(), &[inner.args[0], four])
    },
};

/// A format of one line: operators of one operand, applied one after another to `x: f32[n, 3]` or, after a `!`, to a
/// constant.
struct Chain;

impl Frontend for Chain {
    type Model = Vec<String>;

    fn name(&self) -> &'static str {
        "chain"
    }

    fn recognises(&self, file: &FileHead<'_>) -> Recognised {
        if file.bytes.starts_with(b"chain ") { Recognised::Yes } else { Recognised::No }
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<Vec<String>, Diagnostics> {
        let text = String::from_utf8(bytes).map_err(|_| Diagnostic::error("E001", "this is no text"))?;
        Ok(text.split_whitespace().skip(1).map(str::to_string).collect())
    }

    fn unsupported(&self, model: &Vec<String>) -> Result<Vec<Unsupported>, Diagnostics> {
        let unknown = model.iter().filter(|it| it.starts_with('?'));
        Ok(unknown
            .map(|it| Unsupported {
                place: "the line".into(),
                name: it.clone(),
                operator: it.clone(),
                reason: "it is a question".into(),
            })
            .collect())
    }

    fn import<S: OpSink>(
        &self,
        model: &Vec<String>,
        options: &ImportOptions,
        sink: &mut S,
    ) -> Result<ImportReport, Diagnostics> {
        let n = match options.dim("n") {
            Some(n) => sink.shapes().int(n as i64),
            None => sink.shapes().sym("n"),
        };
        let three = sink.shapes().int(3);
        let mut x = sink.input("x", Type::tensor(DType::F32, [n, three]))?;
        let mut report = ImportReport { format: "chain", ..ImportReport::default() };
        for name in model {
            *report.operators.entry(name.clone()).or_default() += 1;
            if name == "!" {
                let c = sink.constant("c", TensorData::from_slice(DType::F32, &[1], &[3.0f32]));
                let twice = sink.ops().find("acme.twice").expect("the test registers it");
                let folded = sink.emit(twice, Attrs::none(), &[c])?[0];
                let add = sink.ops().get("add");
                x = sink.emit(add, Attrs::none(), &[x, folded])?[0];
                continue;
            }
            let op = sink.ops().find(name);
            let op = op.ok_or_else(|| Diagnostic::error("E002", format!("no operator `{name}`")))?;
            x = sink.emit(op, Attrs::none(), &[x])?[0];
        }
        sink.output("y", x)?;
        Ok(report)
    }
}

/// Counts calls around passes.
#[derive(Default)]
struct Count {
    before: usize,
    after: Vec<&'static str>,
}

impl Instrument for Count {
    fn before(&mut self, _: IrRef<'_>, _: PassInfo, _: &OpRegistry) -> Result<(), Diagnostics> {
        self.before += 1;
        Ok(())
    }

    fn after(&mut self, _: IrRef<'_>, pass: PassInfo, _: Changed, _: &OpRegistry) -> Result<(), Diagnostics> {
        self.after.push(pass.name);
        Ok(())
    }
}

/// A pass that does nothing, over both IRs.
struct Idle(&'static str);

impl<I: Ir> Pass<I> for Idle {
    fn name(&self) -> &'static str {
        self.0
    }

    fn run(&self, _: &mut I, _: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        Ok(Changed::No)
    }
}

fn compiler() -> Compiler {
    let built = Compiler::builder()
        .frontend(Chain)
        .rule(TWICE_TWICE)
        .operator(TWICE)
        .graph_pass(Place::before("fuse"), Idle("idle"))
        .flow_pass(Place::after("import"), Idle("idle"))
        .instrument(Count::default)
        .build();
    built.expect("it fits together")
}

/// Every way from a model to a plan.
fn ways() -> Vec<CompileOptions> {
    let dims = vec![("n".to_string(), 2)];
    let flow = CompileOptions { opt_in: OptIn::DataflowIr, verify: true, ..CompileOptions::default() };
    vec![
        CompileOptions { dims: dims.clone(), verify: true, ..CompileOptions::default() },
        CompileOptions { dims: dims.clone(), ..flow.clone() },
        CompileOptions { dims, entry: Entry::Above(Step::Fuse), ..flow.clone() },
        flow,
    ]
}

fn run(artifact: &Artifact) -> Vec<f32> {
    let x = Tensor::from_slice(&[2, 3], &[0.0f32, 1.0, 2.0, 3.0, 4.0, -5.0]).expect("a small tensor");
    let y = artifact.load().expect("it loads").run(&[x]).expect("it runs");
    y[0].as_slice::<f32>().expect("floats").to_vec()
}

#[test]
fn an_operator_a_rule_a_frontend_and_passes_work_on_every_path() {
    let compiler = compiler();
    for (text, expected) in [
        ("chain acme.twice relu", [0.0, 2.0, 4.0, 6.0, 8.0, 0.0]),
        ("chain acme.twice acme.twice", [0.0, 4.0, 8.0, 12.0, 16.0, -20.0]),
        ("chain !", [6.0, 7.0, 8.0, 9.0, 10.0, 1.0]),
    ] {
        let model = compiler.decode("x.chain", text.into()).expect("a model");
        assert_eq!((model.name(), model.format()), ("x", "chain"));
        for options in ways() {
            let artifact = compiler.compile(&model, &options).expect("it compiles");
            assert_eq!(run(&artifact), expected, "{text} {options:?}");
            let lowered = compiler.lower(&model, &options, Step::Simplify).expect("it lowers").0;
            let text = lowered.print(compiler.ops());
            // The rule removed the pair, folding the call on a constant; one alone stays until it is lowered.
            let left = usize::from(expected[5] == 0.0);
            assert_eq!(text.matches("acme.twice(").count(), left, "{text}");
        }
    }
}

#[test]
fn instruments_are_called_around_every_pass_and_kept() {
    let compiler = compiler();
    let model = compiler.decode("x.chain", b"chain relu".to_vec()).expect("a model");
    for options in ways() {
        let report = compiler.compile(&model, &options).expect("it compiles").report;
        let ran: Vec<&str> = report.passes.passes.iter().map(|it| it.name).collect();
        let count = report.instrument::<Count>().expect("the compilation made one");
        assert_eq!(count.before, ran.len());
        assert_eq!(count.after, ran);
        assert!(ran.contains(&"fuse"), "{ran:?}");
    }
}

#[test]
fn the_ledger_says_where_a_model_enters() {
    let compiler = compiler();
    let model = compiler.decode("x.chain", b"chain relu".to_vec()).expect("a model");
    let entered: Vec<Option<Step>> = ways()
        .iter()
        .map(|it| compiler.lower(&model, it, Step::PlanMemory).expect("it lowers").1.entered)
        .collect();
    assert_eq!(entered, [None, Some(Step::Import), Some(Step::Fuse), Some(Step::Import)]);
    for step in Step::ALL {
        let options = CompileOptions { entry: Entry::Above(step), ..ways()[1].clone() };
        let report = compiler.lower(&model, &options, Step::PlanMemory).expect("every step is ported").1;
        assert_eq!(report.entered, Some(step).filter(|it| *it != Step::Codegen));
    }
}

#[test]
fn everything_that_does_not_fit_is_reported() {
    let found = Compiler::builder()
        .operator(TWICE)
        .operator(TWICE)
        .operator(Operator { def: OpDef { name: "relu", ..TWICE.def }, ..TWICE })
        .operator(Operator { def: OpDef { name: "twice", ..TWICE.def }, ..TWICE })
        .converter("", "Relu", 14..=15, |cx| Ok(vec![cx.input(0)?]))
        .rule(TWICE_TWICE)
        .rule(TWICE_TWICE)
        .rule(Rule { name: "absent", root: "acme.absent", ..TWICE_TWICE })
        .flow_pass(Place::before("absent"), Idle("a"))
        .graph_pass(Place::before("fuse"), Idle("fuse"))
        .frontend(Chain)
        .frontend(Chain)
        .host_function("acme.f", HostFunction::in_place(|_| Ok(())))
        .host_function("acme.f", HostFunction::in_place(|_| Ok(())))
        .build()
        .expect_err("nothing of it fits");
    let codes: Vec<&str> = found.iter().map(|it| it.code).collect();
    assert_eq!(
        codes,
        ["D011", "D010", "D010", "D012", "N004", "N003", "N002", "N001", "D014", "D013"],
        "{found}"
    );
    assert!(found.iter().all(|it| it.help.is_some()), "each says what to do: {found}");
    assert!(found.to_string().contains("`Relu` of the standard domain in operator set 14 to 15"), "{found}");
}

#[test]
fn a_model_belongs_to_the_compilers_that_know_its_frontend() {
    let compiler = compiler();
    let model = compiler.decode("x.chain", b"chain ?a relu ?b".to_vec()).expect("a model");
    let unsupported = compiler.unsupported(&model).expect("it can be looked at");
    assert_eq!(unsupported.len(), 2);
    assert_eq!(unsupported[1].to_string(), "the line, ?b: it is a question");
    let found = orogen::compile(&model, &CompileOptions::default()).expect_err("another compiler");
    assert_eq!(found.0[0].code, "D006");
    // What no frontend knows goes to the one whose files have no mark.
    let found = compiler.decode("x.chain", b"no chain".to_vec()).expect_err("a text");
    assert_eq!(found.0[0].code, "X002");
}

#[test]
fn an_operator_without_a_lowering_says_what_is_missing() {
    let operator = Operator { lower: None, ..TWICE };
    let compiler = Compiler::builder().frontend(Chain).operator(operator).build().expect("it fits");
    let model = compiler.decode("x.chain", b"chain acme.twice".to_vec()).expect("a model");
    for options in ways() {
        let found = compiler.compile(&model, &options).expect_err("nothing lowers it");
        assert_eq!(found.0[0].code, "K001", "{found}");
    }
}
