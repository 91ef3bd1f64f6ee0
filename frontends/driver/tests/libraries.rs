//! Compiled models as a host meets them: many threads, many copies, an end while results live, wrong arguments.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use orogen::{CompileOptions, Model, OptIn};
use orogen_runtime::{Dim, Library, Parameter, RunOptions, RuntimeError, Tensor, Value};
use std::path::{Path, PathBuf};

const DATAFLOW: CompileOptions = CompileOptions {
    accuracy: orogen::Accuracy::Default,
    opt_in: OptIn::DataflowIr,
    dims: Vec::new(),
    overridden: Vec::new(),
    values: Vec::new(),
    separate: false,
    threads: 2,
    cpu: orogen::Cpu::Host,
    entry: orogen::Entry::Ledger,
    states: Vec::new(),
    verify: true,
    budget: orogen::Limits::USUAL,
};

fn compiled(name: &str) -> (tempfile::TempDir, PathBuf) {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models");
    let model = Model::open(models.join(name).join("model.onnx")).expect("a model of the repository");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.so");
    let artifact = orogen::compile(&model, &DATAFLOW).expect("it compiles");
    artifact.write_library(&path).expect("it can be written");
    (folder, path)
}

/// Inputs that differ with `seed`; open dimensions are small.
fn inputs(library: &Library, seed: usize) -> Vec<Tensor> {
    let input = |it: &Parameter| {
        let size = |(axis, dim): (usize, &Dim)| match dim {
            Dim::Fixed(size) => *size,
            Dim::Symbolic(_) => [2, 48][axis.min(1)],
        };
        let shape: Vec<i64> = it.dims.iter().enumerate().map(size).collect();
        let mut tensor = Tensor::zeros(it.dtype, &shape).expect("a small tensor");
        if let Ok(values) = tensor.as_mut_slice::<f32>() {
            values.iter_mut().enumerate().for_each(|(i, it)| *it = ((i * 7 + seed * 3) % 11) as f32 / 11.0);
        }
        tensor
    };
    library.signature().functions[0].inputs.iter().map(input).collect()
}

fn bytes(tensors: &[Tensor]) -> Vec<Vec<u8>> {
    tensors.iter().map(|it| it.as_bytes().expect("row-major").to_vec()).collect()
}

/// Both paths, fused kernels, and a kernel that several nodes share.
#[test]
fn kernels_know_the_nodes_that_they_come_from() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/models");
    let model =
        Model::open(models.join("ppocr_cls_mobile_v2/model.onnx")).expect("a model of the repository");
    let bind = |(name, size): (&str, u64)| (name.to_owned(), size);
    let legacy = CompileOptions {
        opt_in: OptIn::Legacy,
        dims: [("x_dim0", 1), ("x_dim2", 48), ("x_dim3", 192)].map(bind).into(),
        ..CompileOptions::default()
    };
    for options in [DATAFLOW, legacy] {
        let artifact = orogen::compile(&model, &options).unwrap_or_else(|it| panic!("{it}"));
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.so");
        artifact.write_library(&path).expect("it can be written");
        let library = std::fs::read(&path).expect("it was written");
        let code = artifact.code().expect("it compiles again");
        assert_eq!(code.kernels.len(), artifact.kernels().len());
        // Routines that several kernels call count once.
        let counted: u64 = code.kernels.iter().map(|it| it.routines).sum();
        assert!(0 < code.routines && code.routines < counted, "{} {counted}", code.routines);
        let all = code.kernels.iter().map(|it| it.own).sum::<u64>() + code.routines + code.rest;
        assert!(all < library.len() as u64);
        let (mut fused, mut shared) = (0, 0);
        for (kernel, code) in artifact.kernels().iter().zip(&code.kernels) {
            assert!(!kernel.sources.is_empty(), "{kernel:?}");
            assert!(code.own > 0, "{kernel:?}");
            let named = kernel.sources.iter().any(|it| it.contains("(Conv)"));
            let activated = kernel.sources.iter().any(|it| it.contains("(Add)") || it.contains("(Relu)"));
            fused += u32::from(named && activated);
            shared += u32::from(kernel.sources.iter().filter(|it| it.contains("(Conv)")).count() > 1);
            // Profilers and debuggers read the table of symbols.
            let symbol = [kernel.symbol.as_bytes(), &[0]].concat();
            assert!(library.windows(symbol.len()).any(|it| it == symbol), "{} is not there", kernel.symbol);
        }
        assert!(fused > 0 && shared > 0, "{:#?}", artifact.kernels());
    }
}

#[test]
fn many_threads_call_one_library() {
    for name in ["control_flow", "ppocr_cls_mobile_v2"] {
        let (_folder, path) = compiled(name);
        let library = Library::open(&path).expect("it loads");
        let run = |seed: usize, threads| {
            let options = RunOptions { threads: Some(threads) };
            library.run_function("main", &inputs(&library, seed), options).expect("it runs")
        };
        let expected: Vec<_> = (0..4).map(|seed| bytes(&run(seed, 1))).collect();
        assert_ne!(expected[0], expected[1], "{name}");
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let (run, expected) = (&run, &expected);
                scope.spawn(move || {
                    for turn in 0..6 {
                        let seed = (thread + turn) % 4;
                        assert_eq!(bytes(&run(seed, 1 + thread % 3)), expected[seed], "{name} {seed}");
                    }
                });
            }
        });
    }
}

#[test]
fn a_library_may_be_loaded_twice_replaced_and_dropped_while_results_live() {
    let (_folder, path) = compiled("control_flow");
    let (first, second) = (Library::open(&path).expect("it loads"), Library::open(&path).expect("again"));
    let given = inputs(&first, 1);
    let results = first.run(&given).expect("it runs");
    let expected = bytes(&results);
    drop(first);
    // The other copy goes on, and so do the results of the one that has gone.
    assert_eq!(bytes(&second.run(&given).expect("it runs")), expected);
    let function = second.function("main").expect("it has one");
    drop(second);
    assert_eq!(bytes(&results), expected);
    let args: Vec<Value> = given.iter().cloned().map(Value::from).collect();
    // A function keeps its library, also when the file is replaced, as the compiler does it.
    let other = compiled("ppocr_cls_mobile_v2").1;
    assert!(!other.exists(), "its folder has gone, and nothing here needs it");
    std::fs::rename(&path, path.with_extension("old")).expect("it can be renamed");
    std::fs::write(&path, "no library").expect("it can be written");
    assert!(Library::open(&path).is_err());
    let result = function.call(&args).expect("it runs");
    let result = match result {
        Value::Array(items) => {
            items.into_iter().map(|it| it.into_tensor().expect("a tensor")).collect::<Vec<_>>()
        }
        other => vec![other.into_tensor().expect("a tensor")],
    };
    assert_eq!(bytes(&result), expected);
}

#[test]
fn wrong_arguments_through_the_packed_convention_are_errors() {
    let (_folder, path) = compiled("ppocr_cls_mobile_v2");
    let library = Library::open(&path).expect("it loads");
    let function = library.function("main").expect("it has one");
    let good = inputs(&library, 0).remove(0);
    let shape = good.shape().to_vec();
    let zeros = |shape: &[i64]| Tensor::zeros(good.dtype(), shape).expect("a small tensor");
    let mut swapped = shape.clone();
    swapped[1] += 1;
    let ints = Tensor::zeros(orogen_runtime::DLDataType::I64, &shape).expect("a small tensor");
    let wrong: Vec<Vec<Value>> = vec![
        vec![],
        vec![good.clone().into(), good.clone().into()],
        vec![Value::None],
        vec![Value::Int(3)],
        vec![Value::Float(0.5)],
        vec![Value::Bool(true)],
        vec![Value::Str("x".into())],
        vec![Value::Str("a string that is too long to lie inside of the value".into())],
        vec![Value::Array(vec![good.clone().into()])],
        vec![ints.into()],
        vec![zeros(&[]).into()],
        vec![zeros(&shape[1..]).into()],
        vec![zeros(&[&shape[..], &[1]].concat()).into()],
        vec![zeros(&swapped).into()],
    ];
    for args in wrong {
        let error = function.call(&args).expect_err("refused");
        let RuntimeError::Raised { kind, message, .. } = &error else { panic!("{args:?}: {error}") };
        assert!(["TypeError", "ValueError"].contains(&kind.as_str()), "{args:?}: {error}");
        assert!(!message.is_empty() && message != "it failed without setting an error", "{args:?}: {error}");
        // The next call is as good as any.
        assert!(function.call(&[good.clone().into()]).is_ok());
    }
}
