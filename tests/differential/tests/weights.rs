//! Weights in a narrower type than the numbers that they are, of every operator that multiplies by some: what the compiled
//! model gives is what the reference does, and a library is no larger than the model and a tenth of it.

mod protos;

use anyhow::{Context, Result, ensure};
use orogen::{CompileOptions, Cpu, Model, OptIn, Step};
use orogen_differential::{Executor, Expected, Reference, Way, tensors};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use protos::{data_for, int, ints, is_no_larger, model, number, plain_node, text, value};

/// A graph of one input `x` and one output `y`.
#[derive(Default)]
struct Weighted {
    nodes: Vec<NodeProto>,
    constants: Vec<TensorProto>,
}

impl Weighted {
    /// A constant, whose bits differ from element to element.
    fn constant(&mut self, name: &str, dtype: DType, dims: &[i64]) {
        let count = dims.iter().product::<i64>().unsigned_abs();
        let number = |i: u64| match dtype {
            DType::F32 => 0.01 + (i % 5) as f64 * 0.01,
            _ => {
                ((i + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40 & 3) as f64
                    - if dtype.is_signed_int() || dtype.is_float() { 2.0 } else { 0.0 }
            }
        };
        let data = TensorData::from_f64(dtype, &[count], (0..count).map(number));
        self.constants.push(TensorProto {
            name: name.into(),
            data_type: protos::number(dtype),
            dims: dims.to_vec(),
            raw_data: Some(data.bytes().to_vec().into()),
            ..TensorProto::default()
        });
    }

    /// Weights of that name with one scale, or one along an axis, or one for each block of it; or none.
    fn weights(&mut self, name: &str, dtype: DType, dims: &[i64], scale: Scale) {
        let names = ["w", "s", "z"].map(|it| format!("{name}_{it}"));
        let [w, s, z] = names.each_ref().map(String::as_str);
        self.constant(w, dtype, dims);
        let (of_scale, attributes, zero) = match scale {
            Scale::No if dtype == DType::F32 => {
                self.node("Identity", &[w], name, &[]);
                return;
            }
            Scale::No => {
                let mut cast = plain_node("", "Cast", &[w], &[name]);
                cast.attribute = vec![int("to", i64::from(number(DType::F32)))];
                self.nodes.push(cast);
                return;
            }
            Scale::One(zero) => (vec![], vec![], zero),
            Scale::Along(axis, zero) => (vec![dims[axis]], vec![int("axis", axis as i64)], zero),
            Scale::Blocks(axis, block) => {
                let mut parts = dims.to_vec();
                parts[axis] = (parts[axis] + block - 1) / block;
                (parts, vec![int("axis", axis as i64), int("block_size", block)], true)
            }
        };
        self.constant(s, DType::F32, &of_scale);
        if zero {
            self.constant(z, dtype, &of_scale);
        }
        let operands = if zero { vec![w, s, z] } else { vec![w, s] };
        let mut node = plain_node("", "DequantizeLinear", &operands, &[name]);
        node.attribute = attributes;
        self.nodes.push(node);
    }

    fn node(&mut self, op: &str, operands: &[&str], result: &str, attributes: &[AttributeProto]) {
        let mut node = plain_node("", op, operands, &[result]);
        node.attribute = attributes.to_vec();
        self.nodes.push(node);
    }

    fn finish(self, x: &TensorData) -> ModelProto {
        let dims: Vec<i64> = x.dims().iter().map(|it| it.cast_signed()).collect();
        let graph = GraphProto {
            node: self.nodes,
            name: "g".into(),
            initializer: self.constants,
            input: vec![value("x", number(x.dtype()), &dims)],
            output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
            ..GraphProto::default()
        };
        model("", graph)
    }
}

/// How weights are scaled: not at all, by one number, by some along an axis (each with zero points or without), in blocks.
#[derive(Clone, Copy, Debug)]
enum Scale {
    No,
    One(bool),
    Along(usize, bool),
    Blocks(usize, i64),
}

/// An operator beside weights of a type and a scale; a size for small models and for large ones.
fn weighted(op: &str, dtype: DType, scale: Scale, large: bool) -> (ModelProto, TensorData) {
    let size = |small: i64, large_one: i64| if large { large_one } else { small };
    let mut of = Weighted::default();
    let pads = ints("pads", &[1; 4]);
    let (dtype_of_x, of_x) = match op {
        "MatMul" => {
            let n = size(24, 1024);
            of.weights("v", dtype, &[n, n], scale);
            of.node(op, &["x", "v"], "y", &[]);
            (DType::F32, vec![3, n])
        }
        "MatMul on the left" => {
            let n = size(24, 1024);
            of.weights("v", dtype, &[n, n], scale);
            of.node("MatMul", &["v", "x"], "y", &[]);
            (DType::F32, vec![n, 3])
        }
        "Einsum" => {
            let n = size(8, 128);
            of.weights("v", dtype, &[n, n / 4, n * 4], scale);
            of.node(op, &["x", "v"], "y", &[text("equation", "bthd,hdk->btk")]);
            (DType::F32, vec![1, 3, n, n / 4])
        }
        "Conv" => {
            let n = size(8, 256);
            of.weights("v", dtype, &[n, n, 3, 3], scale);
            of.node(op, &["x", "v"], "y", &[pads]);
            (DType::F32, vec![1, n, 5, 5])
        }
        "ConvTranspose" => {
            let n = size(8, 256);
            of.weights("v", dtype, &[n, n, 4, 4], scale);
            of.node(op, &["x", "v"], "y", &[ints("strides", &[2, 2]), pads]);
            (DType::F32, vec![1, n, 3, 3])
        }
        "ConvTranspose of groups" => {
            // Groups are whole tiles.
            let n = size(8, 504);
            of.weights("v", dtype, &[n, n / 4, 3, 3], scale);
            of.constant("c", DType::F32, &[n]);
            of.node(
                "ConvTranspose",
                &["x", "v", "c"],
                "y",
                &[ints("strides", &[2, 2]), pads, int("group", 4)],
            );
            (DType::F32, vec![1, n, 3, 3])
        }
        "ConvTranspose of tiles" => {
            let n = size(8, 512);
            of.weights("v", dtype, &[n, n, 2, 2], scale);
            of.node("ConvTranspose", &["x", "v"], "y", &[ints("strides", &[2, 2])]);
            (DType::F32, vec![1, n, 2, 2])
        }
        "LSTM" | "GRU" | "RNN" => {
            let (gates, large_one) = match op {
                "LSTM" => (4, 256),
                "GRU" => (3, 256),
                _ => (1, 512),
            };
            let n = size(8, large_one);
            of.weights("v", dtype, &[2, gates * n, n], scale);
            of.weights("r", dtype, &[2, gates * n, n], scale);
            of.node(op, &["x", "v", "r"], "y", &[int("hidden_size", n), text("direction", "bidirectional")]);
            (DType::F32, vec![4, 2, n])
        }
        "Gather and MatMul" | "Gather and MatMul of bytes" => {
            // One table; the last panel of it is not full.
            let (rows, n) = (1027, size(64, 512));
            of.weights("v", dtype, &[rows, n], scale);
            of.node("Gather", &["v", "x"], "rows", &[]);
            of.node("Tanh", &["rows"], "taken", &[]);
            of.node("Transpose", &["v"], "turned", &[]);
            let mut taken = "taken";
            if op.ends_with("bytes") {
                of.constant("fine", DType::F32, &[]);
                of.node("QuantizeLinear", &[taken, "fine"], "quantised", &[]);
                of.node("DequantizeLinear", &["quantised", "fine"], "bytes", &[]);
                taken = "bytes";
            }
            of.node("MatMul", &[taken, "turned"], "y", &[]);
            (DType::I64, vec![5])
        }
        "Add" => {
            let n = size(24, 1024);
            of.weights("v", dtype, &[n, n], scale);
            of.node(op, &["x", "v"], "y", &[]);
            (DType::F32, vec![n, n])
        }
        _ => unreachable!("operator {op}"),
    };
    let x = data_for(dtype_of_x, &of_x);
    (of.finish(&x), x)
}

/// Operators, and the axes along which scales are that they are not computed with as they are, or that they are.
const OPERATORS: [(&str, &[Scale]); 12] = {
    use Scale::{Along, Blocks};
    [
        ("MatMul", &[Along(0, true), Along(1, true), Blocks(1, 8), Blocks(0, 5), Blocks(0, 6)]),
        ("MatMul on the left", &[Along(0, true), Along(1, true), Blocks(0, 8)]),
        ("Einsum", &[Along(0, true), Along(2, true)]),
        ("Conv", &[Along(0, true), Along(1, true), Along(2, true), Blocks(1, 4)]),
        ("ConvTranspose", &[Along(0, true), Along(1, true), Along(2, true), Blocks(0, 4)]),
        ("ConvTranspose of groups", &[Along(0, false), Along(1, true), Along(1, false)]),
        ("ConvTranspose of tiles", &[Along(0, true), Along(1, true)]),
        ("LSTM", &[Along(1, true), Blocks(2, 8)]),
        ("GRU", &[Along(1, true), Blocks(2, 8)]),
        ("RNN", &[Along(1, true), Blocks(2, 8)]),
        ("Gather and MatMul", &[Along(0, true), Along(0, false)]),
        ("Add", &[Along(1, true)]),
    ]
};

#[test]
fn weights_of_every_type_and_scale_are_what_they_stand_for() -> Result<()> {
    use Scale::{No, One};
    let run = |what: &str, (file_of, x): (ModelProto, TensorData)| -> Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("model.onnx");
        std::fs::write(&file, file_of.to_bytes())?;
        let model = Model::open(&file)?;
        let inputs: Expected = [("x".to_owned(), x)].into_iter().collect();
        let reference = Reference { name: what.to_owned(), inputs, outputs: Expected::new() };
        let run = |executor: Executor| -> Result<TensorData> {
            let found = executor.run_model(&model, std::slice::from_ref(&reference));
            let mut found = found.with_context(|| format!("{what}: {executor}"))?;
            found.pop().and_then(|mut it| it.swap_remove("y")).context("an output")
        };
        let expected = run(Executor::Reference(Way::Native, Step::Import))?;
        let most = expected.to_f64().into_iter().map(f64::abs).fold(0.0, f64::max);
        ensure!(most > 0.0, "{what}: all is zero");
        for executor in [Executor::Jit(Way::Legacy), Executor::Jit(Way::Native)] {
            let found = run(executor)?;
            ensure!(found.dims() == expected.dims(), "{what}: {executor}: {:?}", found.dims());
            for (a, b) in found.to_f64().into_iter().zip(expected.to_f64()) {
                ensure!((a - b).abs() <= 2e-5 * most, "{what}: {executor}: {a} is not {b}");
            }
        }
        Ok(())
    };
    let (i8, u8, i4, u2) = (DType::I8, DType::U8, DType::I4, DType::U2);
    for (op, scales) in OPERATORS {
        for (dtype, scale) in
            [(i8, One(false)), (u8, One(true)), (DType::F16, No), (DType::BF16, No), (DType::F8E4M3FN, No)]
        {
            run(&format!("{op} {dtype} {scale:?}"), weighted(op, dtype, scale, false))?;
        }
        for scale in scales {
            for dtype in [u8, i4, u2] {
                run(&format!("{op} {dtype} {scale:?}"), weighted(op, dtype, *scale, false))?;
            }
        }
    }
    Ok(())
}

/// What no kernel reads as it is becomes wider in each call.
#[test]
fn libraries_are_no_larger_than_their_models() -> Result<()> {
    for (op, scales) in OPERATORS {
        for scale in scales.iter().take(2).chain(&[Scale::No]) {
            let dtype = if matches!(scale, Scale::No) { DType::F16 } else { DType::I8 };
            let (model, _) = weighted(op, dtype, *scale, true);
            is_no_larger(&format!("{op} {dtype} {scale:?}"), &model)?;
        }
    }
    Ok(())
}

/// Beside few elements a zero point does not take a byte, and a block does not begin one.
#[test]
fn short_blocks_share_bytes() -> Result<()> {
    for (dtype, length) in [(DType::U2, 5), (DType::I2, 6), (DType::U2, 16), (DType::U4, 5)] {
        let (model, _) = weighted("MatMul", dtype, Scale::Blocks(0, length), true);
        is_no_larger(&format!("{dtype} in blocks of {length}"), &model)?;
    }
    Ok(())
}

/// Rows are taken out of the panels of the product: from either end, and none beyond them.
#[test]
fn a_table_that_is_weights_too_is_in_a_library_once() -> Result<()> {
    let (floats, bytes) = ("Gather and MatMul", "Gather and MatMul of bytes");
    for (op, dtype, scale) in [
        (floats, DType::F32, Scale::No),
        (floats, DType::I4, Scale::Along(0, false)),
        (floats, DType::I2, Scale::One(false)),
        (bytes, DType::I8, Scale::Along(0, false)),
        (bytes, DType::I4, Scale::One(false)),
        (bytes, DType::I2, Scale::Along(0, false)),
    ] {
        in_a_library_once(op, dtype, scale).with_context(|| format!("{op} {dtype} {scale:?}"))?;
    }
    Ok(())
}

fn in_a_library_once(op: &str, dtype: DType, scale: Scale) -> Result<()> {
    let (file_of, _) = weighted(op, dtype, scale, true);
    let folder = tempfile::tempdir()?;
    let (file, library) = (folder.path().join("model.onnx"), folder.path().join("model.so"));
    std::fs::write(&file, file_of.to_bytes())?;
    let model = Model::open(&file)?;
    let run_reference = |rows: [i64; 5]| -> Result<Vec<f64>> {
        let inputs = [("x".to_owned(), TensorData::ints(&rows))].into_iter().collect();
        let reference = Reference { name: op.to_owned(), inputs, outputs: Expected::new() };
        let executor = Executor::Reference(Way::Native, Step::Import);
        let mut found = executor.run_model(&model, std::slice::from_ref(&reference))?;
        Ok(found.pop().and_then(|mut it| it.swap_remove("y")).context("an output")?.to_f64())
    };
    let some = [3, 1026, -5, 511, 768];
    let expected = run_reference(some)?;
    let most = expected.iter().map(|it| it.abs()).fold(0.0, f64::max);
    // Tables of bytes and less are not large beside the code.
    let code = if dtype == DType::F32 { 0 } else { 1 << 15 };
    for (opt_in, cpu) in
        [(OptIn::DataflowIr, Cpu::Host), (OptIn::Legacy, Cpu::Avx2), (OptIn::DataflowIr, Cpu::Baseline)]
    {
        let options = CompileOptions { opt_in, cpu, ..CompileOptions::default() };
        let artifact = orogen::compile(&model, &options)?;
        artifact.write_library(&library)?;
        let [from, to] = [&file, &library].map(|it| std::fs::metadata(it).map(|it| it.len()));
        let (from, to) = (from?, to?);
        ensure!(to <= from + from / 10 + code, "{cpu:?}: {to} bytes of {from}");
        let loaded = artifact.load()?;
        let run = |rows: [i64; 5]| -> Result<TensorData> {
            let found = loaded.call("main", &[tensors::to_runtime(&TensorData::ints(&rows))?])?;
            tensors::from_runtime(&found[0])
        };
        let found = |rows| -> Result<Vec<f64>> { Ok(run(rows)?.to_f64()) };
        for (a, b) in found(some)?.into_iter().zip(expected.iter().copied()) {
            ensure!((a - b).abs() <= 2e-5 * most, "{cpu:?}: {a} is not {b}");
        }
        let (ends, same) = (found([0, 1026, -1, 1023, 1024])?, found([-1027, -1, 1026, -4, -3])?);
        ensure!(ends == same && ends[0] != ends[1027], "{cpu:?}: rows from the end");
        for row in [1027, -1028, 1039, i64::MIN, i64::MAX] {
            let error = run([0, 1, row, 2, 3]).err().context("an error")?.to_string();
            let wanted = format!("index {row} is out of range for dimension 0 of");
            ensure!(error.contains(&wanted) && error.contains("which has 1027"), "{cpu:?}: {error}");
        }
    }
    Ok(())
}

/// Scales of a vector are one for each block of it, where blocks are asked for.
#[test]
fn a_vector_has_blocks_along_it() -> Result<()> {
    let numbers = |it: [i64; 7]| it.map(|it| it as f64);
    for (op, from, to, found) in [
        ("DequantizeLinear", DType::I8, DType::F32, numbers([0, 1, 2, 4, 6, 8, 16])),
        ("QuantizeLinear", DType::F32, DType::I8, numbers([0, 1, 2, 3, 3, 3, 4])),
    ] {
        let constant = |name: &str, dtype: DType, of: [f64; 3]| TensorProto {
            name: name.into(),
            data_type: number(dtype),
            dims: vec![3],
            raw_data: Some(TensorData::from_f64(dtype, &[3], of).bytes().to_vec().into()),
            ..TensorProto::default()
        };
        let mut node = plain_node("", op, &["x", "s", "z"], &["y"]);
        node.attribute = vec![int("axis", -1), int("block_size", 3)];
        let graph = GraphProto {
            node: vec![node],
            name: "g".into(),
            initializer: vec![
                constant("s", DType::F32, [1.0, 2.0, 4.0]),
                constant("z", DType::I8, [0.0, 1.0, 2.0]),
            ],
            input: vec![value("x", number(from), &[7])],
            output: vec![value("y", number(to), &[7])],
            ..GraphProto::default()
        };
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("model.onnx");
        std::fs::write(&file, model("", graph).to_bytes())?;
        for opt_in in [OptIn::DataflowIr, OptIn::Legacy] {
            let options = CompileOptions { opt_in, ..CompileOptions::default() };
            let loaded = orogen::compile(&Model::open(&file)?, &options)?.load()?;
            let x = TensorData::from_f64(from, &[7], numbers([0, 1, 2, 3, 4, 5, 6]));
            let y = tensors::from_runtime(&loaded.call("main", &[tensors::to_runtime(&x)?])?[0])?;
            ensure!(y.to_f64() == found, "{op}: {:?}", y.to_f64());
        }
    }
    Ok(())
}

/// Weights say how many terms a sum has where the other operand does not: more than `i32` holds the sum of are no integers.
#[test]
fn long_sums_over_open_sizes_do_not_wrap() -> Result<()> {
    let terms = 70_000u64;
    let constant = |name: &str, data: TensorData| TensorProto {
        name: name.into(),
        data_type: number(data.dtype()),
        dims: data.dims().iter().map(|it| it.cast_signed()).collect(),
        raw_data: Some(data.bytes().to_vec().into()),
        ..TensorProto::default()
    };
    let mut x = value("x", number(DType::U8), &[1, 0]);
    let shape = x.r#type.as_mut().and_then(|it| it.tensor_type.as_mut()?.shape.as_mut());
    shape.context("a tensor")?.dim[1] =
        DimensionProto { dim_param: Some("k".into()), ..DimensionProto::default() };
    let repeated = |dtype, dims: &[u64], it: f64| TensorData::from_f64(dtype, dims, vec![it; terms as usize]);
    let graph = GraphProto {
        node: vec![
            plain_node("", "DequantizeLinear", &["x", "s"], &["a"]),
            plain_node("", "DequantizeLinear", &["w", "s"], &["b"]),
            plain_node("", "MatMul", &["a", "b"], &["y"]),
        ],
        name: "g".into(),
        initializer: vec![
            constant("s", TensorData::from_f64(DType::F32, &[], [1.0])),
            constant("w", repeated(DType::I8, &[terms, 1], 127.0)),
        ],
        input: vec![x],
        output: vec![ValueInfoProto { name: "y".into(), r#type: None }],
        ..GraphProto::default()
    };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, model("", graph).to_bytes())?;
    let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
    let loaded = orogen::compile(&Model::open(&file)?, &options)?.load()?;
    let x = repeated(DType::U8, &[1, terms], 255.0);
    let y = tensors::from_runtime(&loaded.call("main", &[tensors::to_runtime(&x)?])?[0])?.to_f64();
    let expected = terms as f64 * 255.0 * 127.0;
    ensure!((y[0] - expected).abs() < 1e-4 * expected, "{} is not {expected}", y[0]);
    Ok(())
}
