//! A function of the host as a kernel: the compiled model calls it by name, with views of its own memory.
//!
//! In folder `examples`: `cargo run --example extern`

use orogen::prelude::*;

/// Each row in rising order.
const SORT_ROWS: Operator = Operator {
    def: OpDef::pure("acme.sort_rows", Arity::exactly(1), &[], |cx| Ok(smallvec![cx.args[0].clone()])),
    evaluate: None,
    lower: Some(|mut cx| {
        // The signature: what is read and what is written, with types and dimensions of the operation.
        cx.input(0)?;
        cx.output(0)?;
        cx.emit_extern("acme.sort_rows", Attrs::none());
        cx.finish()
    }),
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let compiler = Compiler::builder()
        .operator(SORT_ROWS)
        .converter("com.acme", "SortRows", 1.., |cx| {
            let x = cx.input(0)?;
            Ok(vec![cx.unary("acme.sort_rows", x)?])
        })
        .host_function(
            "acme.sort_rows",
            HostFunction::in_place(|call| {
                let width = *call.inputs[0].shape().last().unwrap_or(&1) as usize;
                let y = call.outputs[0].as_mut_slice::<f32>()?;
                y.copy_from_slice(call.inputs[0].as_slice::<f32>()?);
                y.chunks_mut(width.max(1)).for_each(|row| row.sort_by(f32::total_cmp));
                Ok(())
            }),
        )
        .build()?;
    let model = compiler.open("models/sort.onnx")?;
    for opt_in in [OptIn::Legacy, OptIn::DataflowIr] {
        let dims = if opt_in == OptIn::Legacy { vec![("n".into(), 2)] } else { vec![] };
        let options = CompileOptions { opt_in, dims, verify: true, ..CompileOptions::default() };
        let x = Tensor::from_slice(&[2, 4], &[3.0f32, -1.0, 2.0, 0.0, 8.0, 5.0, 7.0, 6.0])?;
        let y = compiler.compile(&model, &options)?.load()?.run(&[x])?;
        println!("{:?}", y[0].as_slice::<f32>()?);
        assert_eq!(y[0].as_slice::<f32>()?, [-1.0, 0.0, 2.0, 3.0, 5.0, 6.0, 7.0, 8.0]);
    }
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example ends well");
}
