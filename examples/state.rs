//! State across calls: a cache of keys that each call extends by a row, in the caller's memory. A call costs the row
//! that it writes, and what it reads, however large the cache is.
//!
//! In folder `examples`: `cargo run --example state`. The tool does the same: `orogen compile models/cache.flow -o
//! cache.so --opt-in dataflow-ir --state past=present`.

use orogen::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = CompileOptions {
        opt_in: OptIn::DataflowIr,
        states: vec![State { input: "past".into(), output: "present".into() }],
        ..CompileOptions::default()
    };
    let library = orogen::compile(&Model::open("models/cache.flow")?, &options)?.load()?;

    // The capacity is the caller's: memory never grows during a call.
    let capacity = 4;
    let mut inputs = [
        Tensor::from_slice(&[capacity, 2], &[0.0f32; 8])?,
        Tensor::from_slice(&[1, 2], &[0.0f32; 2])?,
        Tensor::from_slice(&[1], &[0i64])?,
        Tensor::from_slice(&[2, 1], &[1.0f32, 10.0])?,
    ];
    let memory = inputs[0].as_bytes()?.as_ptr();
    for step in 0..3 {
        inputs[1] = Tensor::from_slice(&[1, 2], &[step as f32 + 1.0, step as f32])?;
        inputs[2] = Tensor::from_slice(&[1], &[i64::from(step)])?;
        let outputs = library.run_in_place(&mut inputs)?;
        println!("scores: {:?}", outputs[0].as_slice::<f32>()?);
        assert_eq!(outputs.len(), 1, "new state is not returned");
    }
    assert_eq!(inputs[0].as_slice::<f32>()?, [1.0, 0.0, 2.0, 1.0, 3.0, 2.0, 0.0, 0.0]);
    assert_eq!(inputs[0].as_bytes()?.as_ptr(), memory, "it is where it was");

    // Someone else who holds the cache would see it change, so that is refused: saving it is a copy.
    let saved = inputs[0].to_owned_copy()?;
    let shared = inputs[0].clone();
    assert!(matches!(library.run_in_place(&mut inputs), Err(RuntimeError::Layout { .. })));
    drop(shared);
    library.run_in_place(&mut inputs)?;
    inputs[0] = saved;
    library.run_in_place(&mut inputs)?;
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example ends well");
}
