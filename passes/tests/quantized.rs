//! Rules over quantised values on both graph IRs: what is left afterwards, and that it computes the same.

use orogen_ir::graph::{Edge, text};
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::{DType, TensorData};
use orogen_passes::bridge::translate;
use orogen_passes::manager::{Ir, Pass, PassCx};
use orogen_passes::{flow, graph};
use orogen_reference::eval_graph;

/// A graph, and the operators that are left of it, in order.
struct Case {
    name: &'static str,
    text: &'static str,
    left: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "a product with one scale for each column of transposed weights",
        text: "(%x: u8[3, 4], %s: f32[], %z: u8[]) {
          %w = const i8[2, 4] [1, -2, 3, -4, 5, -6, 7, -128]
          %ws = const f32[2, 1] [0.5, 0.25]
          %wz = const i8[2, 1] [0, 3]
          %a = dequantize(%x, %s, %z) : f32[3, 4]
          %b = dequantize(%w, %ws, %wz) : f32[2, 4]
          %c = transpose(%b) {perm = [1, 0]} : f32[4, 2]
          %y = matmul(%a, %c) : f32[3, 2]
          return y = %y
        }",
        left: &["transpose", "transpose", "transpose", "matmul_integer", "mul", "cast", "mul"],
    },
    Case {
        name: "weights that are scaled in blocks along the sum, transposed",
        text: "(%x: f32[3, 8]) {
          %w = const i4[2, 8] [1, -2, 3, -4, 5, -6, 7, -8, 0, 1, 2, 3, -1, -2, -3, -4]
          %s = const f32[2, 2] [0.5, 0.25, 1, 2]
          %b = dequantize_blocks(%w, %s) {axis = 1, block = 4} : f32[2, 8]
          %c = transpose(%b) {perm = [1, 0]} : f32[8, 2]
          %y = matmul(%x, %c) : f32[3, 2]
          return y = %y
        }",
        left: &["transpose", "transpose", "matmul_blocks"],
    },
    Case {
        name: "a last block that is shorter",
        text: "(%x: f32[3, 10]) {
          %w = const u4[10, 2] [1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 1, 2, 3, 4, 15, 14, 13, 12]
          %s = const f32[3, 2] [0.5, 0.25, 1, 2, 0.125, 4]
          %z = const u4[3, 2] [0, 15, 7, 8, 9, 1]
          %b = dequantize_blocks(%w, %s, %z) {axis = 0, block = 4} : f32[10, 2]
          %y = matmul(%x, %b) : f32[3, 2]
          return y = %y
        }",
        left: &[
            "slice",
            "slice",
            "slice",
            "slice",
            "matmul_blocks",
            "slice",
            "slice",
            "slice",
            "slice",
            "matmul_mixed",
            "mul",
            "add",
        ],
    },
    Case {
        name: "rows of a table that is scaled in blocks",
        text: "(%i: i64[2, 3]) {
          %w = const u4[2, 8] [1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3, 1, 2, 3, 4]
          %s = const f32[2, 2] [0.5, 0.25, 1, 2]
          %b = dequantize_blocks(%w, %s) {axis = 1, block = 4} : f32[2, 8]
          %y = gather(%b, %i) {axis = 0} : f32[2, 3, 8]
          return y = %y
        }",
        left: &["gather", "gather", "dequantize_blocks"],
    },
    Case {
        name: "a product of data and data, one for each row",
        text: "(%x: i8[2, 3, 4], %s: f32[3, 1], %y: u8[2, 4, 5], %t: f32[], %u: u8[]) {
          %a = dequantize(%x, %s) : f32[2, 3, 4]
          %b = dequantize(%y, %t, %u) : f32[2, 4, 5]
          %p = matmul(%a, %b) : f32[2, 3, 5]
          return y = %p
        }",
        left: &["matmul_integer", "mul", "cast", "mul"],
    },
    Case {
        name: "scales that differ along the sum stay inside",
        text: "(%x: i8[3, 4], %s: f32[4], %y: u8[4, 5], %t: f32[]) {
          %a = dequantize(%x, %s) : f32[3, 4]
          %b = dequantize(%y, %t) : f32[4, 5]
          %p = matmul(%a, %b) : f32[3, 5]
          return y = %p
        }",
        left: &["dequantize", "dequantize", "matmul"],
    },
    Case {
        name: "16-bit integers have no product of integers",
        text: "(%x: i16[3, 4], %s: f32[], %y: u8[4, 5]) {
          %a = dequantize(%x, %s) : f32[3, 4]
          %b = dequantize(%y, %s) : f32[4, 5]
          %p = matmul(%a, %b) : f32[3, 5]
          return y = %p
        }",
        left: &["dequantize", "dequantize", "matmul"],
    },
    Case {
        name: "a grouped convolution with padding and bias, quantised again",
        text: "(%x: u8[1, 4, 5], %s: f32[], %z: u8[], %b: f32[2]) {
          %w = const i8[2, 2, 3] [1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12]
          %ws = const f32[2, 1, 1] [0.5, 0.25]
          %wz = const i8[2, 1, 1] [0, 0]
          %ys = const f32[] [16]
          %a = dequantize(%x, %s, %z) : f32[1, 4, 5]
          %c = dequantize(%w, %ws, %wz) : f32[2, 2, 3]
          %y = conv(%a, %c, %b) {group = 2, pads = [1, 1]} : f32[1, 2, 5]
          %r = relu(%y) : f32[1, 2, 5]
          %q = quantize(%r, %ys) {to = u8} : u8[1, 2, 5]
          return y = %q
        }",
        left: &["squeeze", "unsqueeze", "conv_integer", "mul", "cast", "mul", "add", "relu", "quantize"],
    },
    Case {
        name: "moves of numbers that are quantised again are moves of integers",
        text: "(%x: u8[1, 2, 4, 4], %i: i64[3]) {
          %s = const f32[] [0.1]
          %z = const u8[] [7]
          %size = const i64[2] [8, 1]
          %a = dequantize(%x, %s, %z) : f32[1, 2, 4, 4]
          %p = max_pool(%a) {kernel = [2, 2], strides = [2, 2]} : f32[1, 2, 2, 2]
          %t = transpose(%p) {perm = [0, 2, 3, 1]} : f32[1, 2, 2, 2]
          %f = reshape(%t, %size) : f32[8, 1]
          %g = gather(%f, %i) {axis = 0} : f32[3, 1]
          %c = concat(%g, %f) {axis = 0} : f32[11, 1]
          %r = relu(%c) : f32[11, 1]
          %q = quantize(%r, %s, %z) {to = u8} : u8[11, 1]
          return y = %q
        }",
        left: &["max_pool", "transpose", "reshape", "gather", "concat", "max"],
    },
    Case {
        name: "another scale is another integer",
        text: "(%x: u8[4]) {
          %s = const f32[] [0.1]
          %t = const f32[] [0.2]
          %a = dequantize(%x, %s) : f32[4]
          %q = quantize(%a, %t) {to = u8} : u8[4]
          return y = %q
        }",
        left: &["div", "dequantize", "quantize"],
    },
    Case {
        name: "what is quantised again is not divided",
        text: "(%x: i32[2, 3, 4], %r: u8[2, 3, 4]) {
          %c = const f32[3, 1] [0.5, 0.25, 0.125]
          %b = const i32[3] [100, -100, 7]
          %bs = const f32[] [0.03125]
          %s = const f32[] [0.7]
          %rs = const f32[] [0.5]
          %z = const u8[] [3]
          %f = cast(%x) {to = f32} : f32[2, 3, 4]
          %m = mul(%f, %c) : f32[2, 3, 4]
          %d = dequantize(%b, %bs) : f32[3]
          %u = unsqueeze(%d) {axes = [1]} : f32[3, 1]
          %a = add(%m, %u) : f32[2, 3, 4]
          %e = relu(%a) : f32[2, 3, 4]
          %g = dequantize(%r, %rs, %z) : f32[2, 3, 4]
          %h = add(%e, %g) : f32[2, 3, 4]
          %q = quantize(%h, %s, %z) {to = u8} : u8[2, 3, 4]
          return y = %q
        }",
        left: &[
            "cast",
            "unsqueeze",
            "dequantize",
            "div",
            "mul",
            "div",
            "add",
            "relu",
            "div",
            "dequantize",
            "add",
            "quantize",
        ],
    },
    Case {
        name: "numbers that something else needs are divided",
        text: "(%x: i32[4]) {
          %c = const f32[] [0.5]
          %s = const f32[] [0.75]
          %f = cast(%x) {to = f32} : f32[4]
          %m = mul(%f, %c) : f32[4]
          %q = quantize(%m, %s) {to = u8} : u8[4]
          return y = %q, m = %m
        }",
        left: &["cast", "mul", "quantize"],
    },
    Case {
        name: "a factor that a scale makes infinite divides",
        text: "(%x: i32[4]) {
          %c = const f32[] [1e20]
          %s = const f32[] [1e-20]
          %f = cast(%x) {to = f32} : f32[4]
          %m = mul(%f, %c) : f32[4]
          %q = quantize(%m, %s) {to = u8} : u8[4]
          return y = %q
        }",
        left: &["cast", "mul", "quantize"],
    },
    Case {
        name: "a table that is written as arithmetic is dequantised where its rows are",
        text: "(%i: i64[3, 1]) {
          %t = const i8[2, 2] [1, -2, 3, 127]
          %s = const f32[2, 1] [0.5, 0.25]
          %z = const f32[] [3]
          %c = cast(%t) {to = f32} : f32[2, 2]
          %d = sub(%c, %z) : f32[2, 2]
          %n = mul(%s, %d) : f32[2, 2]
          %g = gather(%n, %i) {axis = 0} : f32[3, 1, 2]
          return y = %g
        }",
        left: &["gather", "gather", "dequantize"],
    },
    Case {
        name: "a scale for each column stays beside rows of a table",
        text: "(%i: i64[3]) {
          %t = const u8[2, 2] [1, 2, 3, 4]
          %s = const f32[2] [0.5, 0.25]
          %n = dequantize(%t, %s) : f32[2, 2]
          %g = gather(%n, %i) {axis = 0} : f32[3, 2]
          return y = %g
        }",
        left: &["gather", "dequantize"],
    },
    Case {
        name: "a product of what is no quantised constant keeps its form",
        text: "(%x: u8[2], %s: f32[2]) {
          %c = cast(%x) {to = f32} : f32[2]
          %y = mul(%c, %s) : f32[2]
          return y = %y
        }",
        left: &["cast", "mul"],
    },
    Case {
        name: "weights alone are quantised, with a scale for each column: the product takes them as they are",
        text: "(%x: f32[2, 3, 4]) {
          %w = const i8[4, 2] [1, -2, 3, -4, 5, -6, 7, -128]
          %s = const f32[1, 2] [0.5, 0.25]
          %b = dequantize(%w, %s) : f32[4, 2]
          %y = matmul(%x, %b) : f32[2, 3, 2]
          return y = %y
        }",
        left: &["matmul_mixed", "mul"],
    },
    Case {
        name: "the same written as arithmetic, transposed",
        text: "(%x: f16[3, 4]) {
          %w = const i8[2, 4] [1, -2, 3, -4, 5, -6, 7, -128]
          %s = const f16[2, 1] [0.5, 0.25]
          %n = cast(%w) {to = f16} : f16[2, 4]
          %t = transpose(%n) {perm = [1, 0]} : f16[4, 2]
          %y = matmul(%x, %t) : f16[3, 2]
          return y = %y
        }",
        left: &["transpose", "matmul_mixed", "cast"],
    },
    Case {
        name: "unsigned weights around 128 are signed bytes, on the left too",
        text: "(%x: f32[4, 5]) {
          %w = const u8[2, 4] [1, 128, 3, 4, 5, 6, 7, 254]
          %s = const f32[2, 1] [0.5, 0.25]
          %z = const u8[2, 1] [128, 127]
          %b = dequantize(%w, %s, %z) : f32[2, 4]
          %y = matmul(%b, %x) : f32[2, 5]
          return y = %y
        }",
        left: &["matmul_mixed", "mul"],
    },
    Case {
        name: "zero points that signed bytes do not hold stay",
        text: "(%x: f32[3, 2]) {
          %w = const u8[2, 2] [1, 128, 3, 255]
          %s = const f32[] [0.5]
          %z = const u8[2] [128, 7]
          %b = dequantize(%w, %s, %z) : f32[2, 2]
          %y = matmul(%x, %b) : f32[3, 2]
          return y = %y
        }",
        left: &["matmul_mixed", "mul"],
    },
    Case {
        name: "weights of a convolution, one of which is used twice",
        text: "(%x: f32[1, 2, 5], %b: f32[2]) {
          %w = const i8[2, 2, 3] [1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12]
          %s = const f32[2, 1, 1] [0.5, 0.25]
          %n = dequantize(%w, %s) : f32[2, 2, 3]
          %y = conv(%x, %n, %b) {pads = [1, 1]} : f32[1, 2, 5]
          %z = conv(%y, %n) : f32[1, 2, 3]
          return y = %z
        }",
        left: &["squeeze", "unsqueeze", "conv_mixed", "mul", "add", "squeeze", "conv_mixed", "mul"],
    },
    Case {
        name: "a product of weights of 16 bits",
        text: "(%x: f32[3, 2]) {
          %w = const f16[2, 2] [1, 2, 3, 4]
          %n = cast(%w) {to = f32} : f32[2, 2]
          %y = matmul(%x, %n) : f32[3, 2]
          return y = %y
        }",
        left: &["matmul_mixed"],
    },
    Case {
        name: "weights that are data keep their form, and so do scales along the sum",
        text: "(%x: f32[3, 2], %w: i8[2, 2]) {
          %s = const f32[2, 1] [0.5, 0.25]
          %c = const i8[2, 2] [1, -2, 3, 127]
          %t = const f32[] [0.5]
          %n = dequantize(%w, %t) : f32[2, 2]
          %y = matmul(%x, %n) : f32[3, 2]
          %m = dequantize(%c, %s) : f32[2, 2]
          %z = matmul(%y, %m) : f32[3, 2]
          return y = %z
        }",
        left: &["dequantize", "matmul", "dequantize", "matmul"],
    },
    Case {
        name: "a table is widened where its rows are",
        text: "(%i: i64[3]) {
          %t = const f16[2, 2] [1, 2, 3, 4]
          %w = cast(%t) {to = f32} : f32[2, 2]
          %g = gather(%w, %i) {axis = 0} : f32[3, 2]
          return y = %g
        }",
        left: &["gather", "cast"],
    },
];

/// Unsigned weights around 128 are signed bytes without a zero point, which are multiplied four at a time.
#[test]
fn weights_around_128_are_signed() {
    let ops = OpRegistry::standard();
    let source = "graph @g(%x: u8[3, 2], %z: u8[]) {
      %s = const f32[] [0.5]
      %w = const u8[2, 2] [1, 128, 3, 255]
      %t = const u8[] [128]
      %a = dequantize(%x, %s, %z) : f32[3, 2]
      %b = dequantize(%w, %s, %t) : f32[2, 2]
      %y = matmul(%a, %b) : f32[3, 2]
      return y = %y
    }";
    let mut graph = text::parse(source, &ops).expect("a graph");
    graph::ApplyRules::simplify(&ops).run(&mut graph, &mut PassCx::new(&ops)).expect("the rules apply");
    let printed = Ir::print(&graph, &ops);
    let weights = printed.lines().find_map(|it| it.split_once("const i8[2, 2]")).expect("signed weights");
    assert!(weights.1.contains("[-127, 0, -125, 127]"), "{printed}");
    let product = printed.lines().find_map(|it| it.split_once("matmul_integer(")).expect("a product");
    assert_eq!(product.1.split(')').next().map(|it| it.split(',').count()), Some(3), "{printed}");
}

fn operators(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| {
            let name = line.trim().split_once(" = ")?.1.split_once('(')?.0;
            name.chars().all(|it| it.is_ascii_lowercase() || it == '_').then_some(name)
        })
        .collect()
}

/// Integers over the range of their type, other numbers small; what is an index is small too.
fn data(dtype: DType, dims: &[u64]) -> TensorData {
    let count = dims.iter().product::<u64>();
    let value = |i: u64| match dtype {
        DType::U8 => ((i * 89 + 3) % 256) as f64,
        DType::I8 => ((i * 89 + 3) % 256) as f64 - 128.0,
        DType::I64 => (i % 2) as f64,
        dtype if dtype.is_float() => ((i * 5 + 3) % 7) as f64 / 4.0 + 0.25,
        _ => i as f64 - 1.0,
    };
    TensorData::from_f64(dtype, dims, (0..count).map(value))
}

#[test]
fn rules_leave_integers_and_keep_values() {
    let ops = OpRegistry::standard();
    for Case { name, text, left } in CASES {
        let source = format!("graph @g{text}");
        let mut of_graph = text::parse(&source, &ops).unwrap_or_else(|it| panic!("{name}: {it}"));
        let mut module = translate(&of_graph, &ops).expect("it translates");
        let types = of_graph.inputs().iter().map(|it| of_graph.ty(Edge { node: *it, output: 0 }));
        let inputs: Vec<TensorData> = types.map(|it| data(it.dtype, &it.dims)).collect();
        let before = eval_graph(&ops, &of_graph, &inputs).expect("a valid graph");
        let mut cx = PassCx::new(&ops);
        graph::ApplyRules::simplify(&ops).run(&mut of_graph, &mut cx).expect("the rules apply");
        Ir::verify(&of_graph, &ops).expect("the laws hold");
        flow::ApplyRules::simplify(&ops).run(&mut module, &mut cx).expect("the rules apply");
        Ir::verify(&module, &ops).expect("the laws hold");
        for printed in [Ir::print(&of_graph, &ops), Ir::print(&module, &ops)] {
            assert_eq!(operators(&printed), *left, "{name}: {printed}");
        }
        let after = eval_graph(&ops, &of_graph, &inputs).expect("a valid graph");
        for (a, b) in before[0].to_f64().into_iter().zip(after[0].to_f64()) {
            assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{name}: {a} became {b}");
        }
    }
}
