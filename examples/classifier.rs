//! A classifier of scikit-learn as it is exported by default: the label of each row, and a map from labels to probabilities. A
//! map is an array of two vectors, its keys and their values.
//!
//! In folder `examples`: `cargo run --example classifier`.

use orogen::prelude::*;
use orogen::runtime::Value;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = Model::open("../tests/models/scikit_learn/logistic.onnx")?;
    let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
    let library = orogen::compile(&model, &options)?.load()?;
    let function = library.function("main").ok_or("the library has no function `main`")?;

    let rows = Tensor::from_slice(&[2, 4], &[0.5f32, -1.0, 0.25, 2.0, -0.5, 1.0, 0.0, 0.0])?;
    let Value::Array(outputs) = function.call(&[rows.into()])? else {
        return Err("a function of two outputs gives an array".into());
    };
    let [labels, Value::Array(maps)] = &outputs[..] else { return Err("labels and maps".into()) };
    let labels = labels.clone().into_tensor()?.strings()?;
    for (label, map) in labels.iter().zip(maps) {
        let Value::Array(halves) = map else { return Err("a map is an array".into()) };
        let [Value::Tensor(keys), Value::Tensor(values)] = &halves[..] else {
            return Err("of keys and values".into());
        };
        let shares = values.as_slice::<f32>()?;
        let of_each: Vec<(String, f32)> = keys.strings()?.into_iter().zip(shares.iter().copied()).collect();
        println!("{label}: {of_each:?}");
        let (likeliest, _) = of_each.iter().max_by(|a, b| a.1.total_cmp(&b.1)).ok_or("three classes")?;
        assert_eq!(likeliest, label);
    }
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("the example ends well");
}
