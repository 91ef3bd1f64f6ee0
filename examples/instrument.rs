//! An instrument: it looks on before and after each pass, and what it saw is there when the compilation is over.
//!
//! In folder `examples`: `cargo run --example instrument`

use orogen::prelude::*;

/// Lines of printed IR before and after each pass.
#[derive(Default)]
struct Growth {
    before: usize,
    found: Vec<(&'static str, usize, usize)>,
}

impl Instrument for Growth {
    fn before(&mut self, ir: IrRef<'_>, _pass: PassInfo, ops: &OpRegistry) -> Result<(), Diagnostics> {
        self.before = ir.print(ops).lines().count();
        Ok(())
    }

    fn after(
        &mut self,
        ir: IrRef<'_>,
        pass: PassInfo,
        _changed: Changed,
        ops: &OpRegistry,
    ) -> Result<(), Diagnostics> {
        self.found.push((pass.name, self.before, ir.print(ops).lines().count()));
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let compiler = Compiler::builder().instrument(Growth::default).build()?;
    let model = compiler.open("models/gate.onnx")?;
    let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
    let artifact = compiler.compile(&model, &options)?;
    let growth = artifact.report.instrument::<Growth>().expect("the compilation had one");
    for (pass, before, after) in &growth.found {
        println!("{pass:16} {before:3} → {after:3} lines");
    }
    assert_eq!(growth.found.len(), compiler.flow_passes().count());
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example ends well");
}
