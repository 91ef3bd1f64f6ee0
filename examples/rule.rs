//! A rewrite rule, written once, at work on both IRs.
//!
//! In folder `examples`: `cargo run --example rule`

use orogen::prelude::*;
use orogen::rules::Value;

/// `sqrt(x · x) = |x|` for real numbers; a square that is too large for the type is infinite.
const ROOT_OF_SQUARE: &str = "
rule root-of-square reassociates
  sqrt(mul(x, x)) => abs(x)
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let compiler = Compiler::builder().rules(ROOT_OF_SQUARE).build()?;
    let model = compiler.open("models/gate.onnx")?;
    for opt_in in [OptIn::Legacy, OptIn::DataflowIr] {
        // The legacy graph needs the size; the dataflow IR leaves it open.
        let dims = if opt_in == OptIn::Legacy { vec![("n".into(), 2)] } else { vec![] };
        let options = CompileOptions { opt_in, dims, ..CompileOptions::default() };
        let (lowered, _) = compiler.lower(&model, &options, Step::Simplify)?;
        let text = lowered.print(compiler.ops());
        println!("{text}");
        assert!(text.contains("abs(") && !text.contains("sqrt("));
    }
    // The same rule as a pass of one's own, at a place of its own.
    let pass = ApplyRules::parse("roots", &OpRegistry::standard(), ROOT_OF_SQUARE)?;
    let compiler = Compiler::builder().flow_pass(Place::after("layout"), pass).build()?;
    let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
    let (lowered, _) = compiler.lower(&compiler.open("models/gate.onnx")?, &options, Step::Layout)?;
    assert!(lowered.print(compiler.ops()).contains("abs("));
    // What no right side says is code, over a pattern of the same language.
    let rule = Rule {
        name: "own-roots",
        root: "sqrt",
        class: RuleClass::Reassociates,
        reason: "code",
        apply: roots,
    };
    let compiler = Compiler::builder().rule(rule).build()?;
    let (lowered, _) = compiler.lower(&compiler.open("models/gate.onnx")?, &options, Step::Simplify)?;
    assert!(lowered.print(compiler.ops()).contains("abs("));
    Ok(())
}

fn roots(rewriter: &mut dyn Rewriter, call: &OpCall) -> Option<Value> {
    let pattern = Matcher::parse(rewriter.ops(), "sqrt(mul(x: float, x)) where rank(x) = 2").ok()?;
    let x = pattern.find(rewriter, call)?.value("x")?;
    rewriter.emit("abs", Attrs::none(), &[x])
}

#[test]
fn it_runs() {
    main().expect("the example ends well");
}
