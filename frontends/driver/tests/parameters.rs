//! Parameters outside of a library: given once, shared by its functions, refused when they are others.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use orogen::{CompileOptions, Compiler, OptIn, State};
use orogen_runtime::{DLDataType, Library, RuntimeError, Tensor};

/// Two functions that read one matrix, one of them also as it is.
const MODULE: &str = "module @two {
  sym n
  fn @product(%x: Tensor<f32, [n, 16]>) -> (y: Tensor<f32, [n, 64]>) {
    dataflow {
      %w = const \"w\" f32[16, 64] splat 0.5 : Tensor<f32, [16, 64]>
      %y = matmul(%x, %w) : Tensor<f32, [n, 64]>
      yield %y
    }
    return %y
  }
  fn @sum(%x: Tensor<f32, [16, 64]>) -> (y: Tensor<f32, [16, 64]>, z: Tensor<f32, [16, 64]>) {
    dataflow {
      %w = const \"w\" f32[16, 64] splat 0.5 : Tensor<f32, [16, 64]>
      %small = const f32[64] splat 2 : Tensor<f32, [64]>
      %0 = add(%x, %w) : Tensor<f32, [16, 64]>
      %y = mul(%0, %small) : Tensor<f32, [16, 64]>
      %z = sub(%x, %w) : Tensor<f32, [16, 64]>
      yield %y, %z
    }
    return %y, %z
  }
}
";

fn ones(shape: &[i64]) -> Tensor {
    let count = shape.iter().product::<i64>() as usize;
    Tensor::from_slice(shape, &vec![1f32; count]).expect("a small tensor")
}

fn check(library: &Library) {
    let product = library.call("product", &[ones(&[3, 16])]).expect("it runs");
    assert_eq!(product[0].as_slice::<f32>().expect("floats"), [8.0; 192]);
    let sum = library.call("sum", &[ones(&[16, 64])]).expect("it runs");
    assert_eq!(sum[0].as_slice::<f32>().expect("floats"), [3.0; 1024]);
    assert_eq!(sum[1].as_slice::<f32>().expect("floats"), [0.5; 1024]);
}

#[test]
fn functions_share_parameters_that_are_given_once() {
    let compiler = Compiler::standard();
    let model = compiler.decode("two.flow", MODULE.into()).expect("a module");
    let options = CompileOptions { opt_in: OptIn::DataflowIr, verify: true, ..CompileOptions::default() };
    let inside = compiler.compile(&model, &options).expect("it compiles");
    assert!(inside.parameters().expect("none").is_empty());
    check(&inside.load().expect("it loads"));

    let artifact =
        compiler.compile(&model, &CompileOptions { separate: true, ..options }).expect("it compiles");
    check(&artifact.load().expect("an artifact has its parameters"));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("two.so");
    artifact.write_library(&path).expect("it can be written");
    let library = Library::open(&path).expect("it loads");
    let without = library.call("sum", &[ones(&[16, 64])]).expect_err("they are not given");
    assert!(matches!(without, RuntimeError::Parameters { given: false, .. }), "{without}");

    let parameters = artifact.parameters().expect("small tensors");
    let names: Vec<&str> = parameters.iter().map(|it| it.0.as_str()).collect();
    let listed = library.signature().parameters.iter().map(|it| it.parameter.name.as_str());
    assert_eq!(names, listed.collect::<Vec<_>>());
    assert!(names.contains(&"w"), "{names:?}");

    let refused = |change: &dyn Fn(&mut Vec<(String, Tensor)>)| {
        let mut given = parameters.clone();
        change(&mut given);
        library.set_parameters(&given).expect_err("refused").to_string()
    };
    let at = names.iter().position(|it| *it == "w").expect("it is there");
    let missing = refused(&|it| drop(it.remove(at)));
    assert!(missing.contains("parameter `w`") && missing.contains("is missing"), "{missing}");
    let shape = refused(&|it| it[at].1 = ones(&[64, 16]));
    assert!(shape.contains("expected shape [16,64], got [64,16]"), "{shape}");
    let other = refused(&|it| it[at].1 = ones(&[16, 64]));
    assert!(other.contains("holds other data than the library was made for"), "{other}");
    let ints = Tensor::from_slice(&[16, 64], &[0i32; 1024]).expect("a small tensor");
    assert!(refused(&|it| it[at].1 = ints.clone()).contains("expected data type f32, got i32"));
    assert!(library.call("sum", &[ones(&[16, 64])]).is_err(), "nothing was taken");

    library.set_parameters(&parameters).expect("these are right");
    check(&library.clone());
    let twice = library.set_parameters(&parameters).expect_err("they are there");
    assert!(matches!(twice, RuntimeError::Parameters { given: true, .. }), "{twice}");
}

/// Without the runtime, the code itself says what it lacks.
#[test]
fn code_does_not_read_parameters_that_are_not_there() {
    let compiler = Compiler::standard();
    let model = compiler.decode("two.flow", MODULE.into()).expect("a module");
    let options = CompileOptions { opt_in: OptIn::DataflowIr, separate: true, ..CompileOptions::default() };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("two.so");
    compiler.compile(&model, &options).expect("it compiles").write_library(&path).expect("written");
    let library = Library::open(&path).expect("it loads");
    let function = library.function("product").expect("it has one");
    let error = function.call(&[ones(&[3, 16]).into()]).expect_err("refused").to_string();
    assert!(error.contains("the parameters of the library are not given"), "{error}");
}

/// State belongs to `main`, which has another function beside it; both have a parameter of bf16.
#[test]
fn state_several_functions_and_parameters_go_together() {
    const STATES: &str = "module @steps {
  fn @last(%x: Tensor<bf16, [1024]>) -> (y: Tensor<bf16, [1024]>) {
    dataflow {
      %w = const \"w\" bf16[1024] splat 0.5 : Tensor<bf16, [1024]>
      %y = sub(%x, %w) : Tensor<bf16, [1024]>
      yield %y
    }
    return %y
  }
  fn @main(%past: Tensor<bf16, [1024]>) -> (present: Tensor<bf16, [1024]>) {
    dataflow {
      %w = const \"w\" bf16[1024] splat 0.5 : Tensor<bf16, [1024]>
      %present = add(%past, %w) : Tensor<bf16, [1024]>
      yield %present
    }
    return %present
  }
}
";
    let compiler = Compiler::standard();
    let model = compiler.decode("steps.flow", STATES.into()).expect("a module");
    let state = State { input: "past".to_owned(), output: "present".to_owned() };
    let options = CompileOptions {
        opt_in: OptIn::DataflowIr,
        separate: true,
        states: vec![state],
        verify: true,
        ..CompileOptions::default()
    };
    let artifact = compiler.compile(&model, &options).expect("it compiles");
    let parameters = artifact.parameters().expect("a small tensor");
    let of_bf16 = |it: &(String, Tensor)| it.1.dtype() == DLDataType::BF16;
    assert!(parameters.len() == 2 && parameters.iter().all(of_bf16), "each function has its own");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("steps.so");
    artifact.write_library(&path).expect("it can be written");
    let library = Library::open(&path).expect("it loads");
    library.set_parameters(&parameters).expect("these are right");

    // The upper half of the bits of 1.0, 2.0 and 1.5.
    let filled = |bits: u16| {
        let bytes: Vec<u8> = std::iter::repeat_n(bits.to_le_bytes(), 1024).flatten().collect();
        Tensor::from_bytes(DLDataType::BF16, &[1024], &bytes).expect("a small tensor")
    };
    let mut states = [filled(0x3f80)];
    for _ in 0..2 {
        assert!(library.run_in_place(&mut states).expect("it runs").is_empty(), "all of it is state");
    }
    assert_eq!(states[0].as_bytes().expect("row-major"), filled(0x4000).as_bytes().expect("row-major"));
    let last = library.call("last", &states).expect("it runs");
    assert_eq!(last[0].as_bytes().expect("row-major"), filled(0x3fc0).as_bytes().expect("row-major"));
}
