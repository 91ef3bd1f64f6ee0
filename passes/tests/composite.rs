//! Kernels in the place of composites: one that does not fit is refused (N033). Values in the place of parameters (N036).

use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::{self, Module};
use orogen_ir::kernel::{Access, Extern, Kernel, Signature};
use orogen_ir::ops::OpRegistry;
use orogen_ir::shape::Dim;
use orogen_ir::types::{Attrs, DType, TensorData};
use orogen_passes::flow::{BindParameters, Composite, CompositeHook, FuseByPattern};
use orogen_passes::manager::{Ir, Pass, PassCx};
use orogen_reference::{Value, eval_function};

const SWISH: &str = "module @m {
  sym n
  fn @main(%x: Tensor<f32, [n, 4]>) -> (y: Tensor<f32, [n, 4]>) {
    dataflow {
      %0 = sigmoid(%x) : Tensor<f32, [n, 4]>
      %1 = mul(%x, %0) : Tensor<f32, [n, 4]>
      yield %1
    }
    return %1
  }
}
";

fn module(text: &str) -> Module {
    flow::text::parse(text, &OpRegistry::standard()).unwrap_or_else(|it| panic!("{it}"))
}

/// A function of the host that reads rows of four numbers and writes this.
#[derive(Clone, Copy)]
struct Writes(fn(Signature, Dim, Dim) -> Signature);

impl CompositeHook for Writes {
    fn kernel(&self, _: &Composite<'_>) -> Result<Option<Kernel>, Diagnostic> {
        let mut signature = Signature::default();
        let (rows, four) = (signature.size("rows"), signature.shapes.int(4));
        let signature = (self.0)(signature.with(Access::In, "x", DType::F32, &[rows, four]), rows, four);
        Ok(Some(Kernel::from(Extern {
            name: "swish".to_owned(),
            symbol: "acme.swish".to_owned(),
            attrs: Attrs::none(),
            signature,
        })))
    }
}

/// Whatever it is, a function of the host computes it.
struct Host;

impl CompositeHook for Host {
    fn kernel(&self, composite: &Composite<'_>) -> Result<Option<Kernel>, Diagnostic> {
        composite.host_function("acme.swish").map(Some)
    }
}

fn run(text: &str, hook: impl CompositeHook + 'static) -> Result<Module, String> {
    let ops = OpRegistry::standard();
    let pass = FuseByPattern::new("own").pattern(&ops, "swish", "mul(x, sigmoid(x))").expect("a pattern");
    let mut module = module(text);
    pass.hook(hook).run(&mut module, &mut PassCx::new(&ops)).map_err(|it| it.to_string())?;
    Ir::verify(&module, &ops).unwrap_or_else(|it| panic!("{it}"));
    Ok(module)
}

#[test]
fn a_kernel_fits_what_it_stands_for() {
    let fits = run(SWISH, Writes(|it, rows, four| it.with(Access::Out, "y", DType::F32, &[rows, four])));
    let text = fits.expect("it fits").print(&OpRegistry::standard());
    assert!(text.contains("acme.swish") && !text.contains("sigmoid"), "{text}");
    let refused = |hook: Writes, said: &str| {
        let error = run(SWISH, hook).map(|_| ()).expect_err(said);
        assert!(error.contains("N033") && error.contains(said), "{error}");
    };
    refused(
        Writes(|it, rows, four| it.with(Access::Out, "y", DType::F64, &[rows, four])),
        "writes another type than `swish` gives",
    );
    refused(
        Writes(|it, rows, _| it.with(Access::Out, "y", DType::F32, &[rows])),
        "writes another type than `swish` gives",
    );
    refused(
        Writes(|it, rows, four| {
            let both = it.with(Access::Out, "y", DType::F32, &[rows, four]);
            both.with(Access::Out, "z", DType::F32, &[rows, four])
        }),
        "writes 2 buffers but `swish` has 1 results",
    );
    refused(
        Writes(|mut it, rows, four| {
            it.size("other");
            it.with(Access::Out, "y", DType::F32, &[rows, four])
        }),
        "do not follow from the operands of `swish`",
    );
    let unknown = SWISH.replace("[n, 4]", "rank 2").replace("  sym n\n", "");
    let error = run(&unknown, Host).map(|_| ()).expect_err("no sizes");
    assert!(error.contains("N033") && error.contains("is no tensor of known rank"), "{error}");
}

const SCALED: &str = "module @m {
  sym n, m
  fn @main(%x: Tensor<f32, [n, m]>, %w: Tensor<f32, [m]>, %k: Tensor<f32, []>, %h: Tensor<f32, [2*n]>) -> (y: Tensor<f32, [n, m]>) {
    dataflow {
      %0 = mul(%x, %w) : Tensor<f32, [n, m]>
      %1 = mul(%0, %k) : Tensor<f32, [n, m]>
      yield %1
    }
    return %1
  }
}
";

#[test]
fn values_of_parameters_decide_their_sizes() {
    let ops = OpRegistry::standard();
    let floats = |dims: &[u64], list: &[f64]| TensorData::from_f64(DType::F32, dims, list.iter().copied());
    let bind = |values: Vec<(&str, TensorData)>| -> Result<Module, String> {
        let mut module = module(SCALED);
        BindParameters::new(values).run(&mut module, &mut PassCx::new(&ops)).map_err(|it| it.to_string())?;
        Ir::verify(&module, &ops).unwrap_or_else(|it| panic!("{it}"));
        Ok(module)
    };
    let (w, k) = (floats(&[2], &[1.0, -2.0]), floats(&[], &[0.5]));
    let bound = bind(vec![("w", w.clone()), ("k", k)]).expect("both fit");
    let text = bound.print(&ops);
    assert!(text.contains("fn @main(%x: Tensor<f32, [n, 2]>, %h: Tensor<f32, [2*n]>)"), "{text}");
    let args = [floats(&[1, 2], &[4.0, 6.0]), floats(&[2], &[0.0, 0.0])].map(Value::from);
    let y = eval_function(&ops, &bound, "main", &args).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!(y[0].as_tensor().expect("a tensor").to_f64(), [2.0, -6.0]);
    for (values, said) in [
        (vec![("v", w.clone())], "there is no parameter `v` to bind"),
        (vec![("k", w.clone())], "the value of `k` is f32 of rank 1, not f32 of rank 0"),
        (vec![("k", TensorData::ints(&[1]))], "the value of `k` is i64 of rank 1"),
        (vec![("h", w.clone())], "dimension 0 of `h` follows from other sizes"),
        (
            vec![("w", w.clone()), ("x", floats(&[1, 3], &[0.0; 3]))],
            "dimension 1 of the value of `x` is 3, not 2",
        ),
    ] {
        let error = bind(values).map(|_| ()).expect_err(said);
        assert!(error.contains("N036") && error.contains(said), "{error}");
    }
    assert!(bind(Vec::new()).is_ok());
}
