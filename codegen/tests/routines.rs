//! Routines beside their definitions in the reference.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{Random, all_cpus, call, compiled, compiled_with, in_memory, jit, library};
use orogen_codegen::{CodegenOptions, Metadata, compile};
use orogen_ir::plan::{CallPlan, parse_plan, verify};
use orogen_ir::types::{ConstPool, DType, TensorData};
use orogen_reference::eval_plan;

/// The number of elements of `x` that are not zero, bound to a size, and a routine that fills a result of that size.
fn nonzero(dtype: DType, routine: &str) -> CallPlan {
    let text = "plan @main {
  size count
  size m
  size n
  in x: DTYPE[n, m]
  in extra: i64[1]
  out y: i64[2, count]
  from n = %in0[0]
  from m = %in0[1]
  arena 64
  slot %s0: i64[1] = ^0[0]
  kernel @count {
    size n
    size m
    in %x: DTYPE[n, m]
    in %extra: i64[1]
    out %c: i64[1]
    local %s: i64[]
    %s[] = sum i < n, j < m { cast<i64>(%x[i, j] != DTYPE(0)) }
    for k < 1 { %c[k] = %s[] + %extra[k] }
  }
  routine @fill = \"ROUTINE\" {
    size n
    size m
    size count
    in %x: DTYPE[n, m]
    out %y: i64[2, count]
  }
  steps {
    alloc ^0
    call 0 @count(%in0, %in1, %s0) [n, m]
    bind count = %s0[0]: i64
    check count >= 0 \"there cannot be fewer than none\"
    alloc %out0
    call 1 @fill(%in0, %out0) [n, m, count]
  }
}
";
    let zero = if dtype.is_float() { format!("{dtype}(0.0)") } else { format!("{dtype}(0)") };
    let text = text.replace("DTYPE(0)", &zero).replace("DTYPE", dtype.name()).replace("ROUTINE", routine);
    let plan = parse_plan(&text, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}"));
    verify(&plan).unwrap_or_else(|it| panic!("{it}"));
    plan
}

#[test]
fn nonzero_fills_a_result_whose_size_is_data() {
    for dtype in [DType::F32, DType::F16, DType::Bool, DType::U8, DType::I64] {
        let plan = nonzero(dtype, "nonzero");
        let opened = library(&compiled(&plan));
        for (n, m, extra) in [(0, 3, 0), (1, 1, 0), (3, 5, 0), (7, 33, 0), (4, 4, 3), (4, 4, -1)] {
            let mut random = Random(n + m);
            let values = (0..n * m).map(|_| f64::from((random.below(3) == 1) as u8));
            let x = TensorData::from_f64(dtype, &[n, m], values.collect::<Vec<_>>());
            let inputs = [x, TensorData::ints(&[extra])];
            let wanted = eval_plan(&plan, &inputs).unwrap();
            assert_eq!(call(&jit(&plan, true), &inputs).unwrap(), wanted, "{dtype} {n} {m} {extra}");
            assert_eq!(call(&opened.function("main").unwrap(), &inputs).unwrap(), wanted, "{dtype} {n} {m}");
        }
    }
}

#[test]
fn what_is_no_routine_is_refused() {
    let refused = |plan: &CallPlan| {
        let found = compile(&plan.clone().into(), &Metadata::default(), &CodegenOptions::default())
            .expect_err("refused");
        found.0[0].clone()
    };
    let unknown = refused(&nonzero(DType::F32, "non_zero"));
    assert_eq!(unknown.code, "C007");
    assert!(unknown.help.as_deref().unwrap_or_default().contains("nonzero"));
    let mut plan = nonzero(DType::F32, "nonzero");
    if let orogen_ir::kernel::Kernel::Routine(it) = &mut std::sync::Arc::make_mut(&mut plan.kernels)[1] {
        let dims = it.signature.params[1].buffer().expect("a buffer").1.into();
        it.signature.params[1].ty = orogen_ir::kernel::ParamType::Buffer { dtype: DType::I32, dims };
    }
    assert_eq!(refused(&plan).code, "C008");
}

/// The extreme elements of rows, as many as a second input has elements.
fn top_k(dtype: DType, smallest: bool) -> CallPlan {
    let text = "\
plan @main {
  size n
  size k
  in x: DTYPE[n]
  in y: f32[k]
  out values: DTYPE[k]
  out places: i64[k]
  from n = %in0[0]
  from k = %in1[0]
  routine @top_k = \"top_k\" with {axis = 0, smallest = SMALLEST} {
    size n
    size k
    in %x: DTYPE[n]
    out %values: DTYPE[k]
    out %places: i64[k]
  }
  steps {
    alloc %out0
    alloc %out1
    call 0 @top_k(%in0, %out0, %out1) [n, k]
  }
}
";
    let text = text.replace("DTYPE", dtype.name()).replace("SMALLEST", &smallest.to_string());
    let plan = parse_plan(&text, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}"));
    verify(&plan).unwrap_or_else(|it| panic!("{it}"));
    plan
}

/// Rows that are compared in vectors: in no order, rising, falling, with many equal ones and many that are no numbers.
#[test]
fn top_k_is_the_same_on_every_instruction_set() {
    let types = || DType::ALL.into_iter().filter(|it| orogen_ir::scalar::Class::Number.admits(*it));
    for (dtype, smallest) in types().flat_map(|it| [(it, false), (it, true)]) {
        let plan = top_k(dtype, smallest);
        let functions: Vec<_> =
            all_cpus().iter().map(|it| in_memory(&compiled_with(&plan, it), true)).collect();
        for (n, k, kind) in
            [(700, 1, 0), (2003, 37, 0), (1500, 5, 1), (1500, 5, 2), (1999, 40, 3), (900, 300, 0)]
        {
            let mut random = Random(n);
            let values = (0..n).map(|i| match kind {
                0 => (random.below(1 << 20) as f64 - 524_288.0) / 8.0,
                1 => i as f64,
                2 => -(i as f64),
                _ if random.below(3) == 0 => f64::NAN,
                _ => [0.0, -0.0, 1.0, f64::INFINITY][random.below(4) as usize],
            });
            let x = TensorData::from_f64(dtype, &[n], values.collect::<Vec<_>>());
            let wanted = TensorData::from_f64(DType::F32, &[k as u64], vec![0.0; k]);
            let inputs = [x, wanted];
            let expected = eval_plan(&plan, &inputs).unwrap();
            for (function, options) in functions.iter().zip(all_cpus()) {
                let found = call(function, &inputs).unwrap();
                assert_eq!(found, expected, "{dtype} {smallest} {n} {k} {kind} {:?}", options.cpu);
            }
        }
    }
}

/// Law N1: more are wanted than there are, which no checked plan asks for.
#[test]
fn what_top_k_does_not_find_is_zeros() {
    let plan = top_k(DType::F32, false);
    let floats = |list: &[f64]| TensorData::from_f64(DType::F32, &[list.len() as u64], list.to_vec());
    for (x, k, values, places) in [
        (&[][..], 2, &[0.0, 0.0][..], &[0, 0][..]),
        (&[3.0, 7.0], 3, &[7.0, 3.0, 0.0], &[1, 0, 0]),
        (&[3.0, 7.0, 5.0], 2, &[7.0, 5.0], &[1, 2]),
        (&[3.0], 0, &[], &[]),
    ] {
        let inputs = [floats(x), floats(&vec![0.0; k])];
        let found = call(&jit(&plan, true), &inputs).unwrap();
        assert_eq!(found, [floats(values), TensorData::ints(places)], "{x:?} {k}");
    }
}

/// Random nodes, which lead anywhere, and numbers of every kind.
fn trees(
    double: bool,
    [columns, targets, count]: [u64; 3],
    aggregate: &str,
    fixed: bool,
) -> (CallPlan, Vec<TensorData>) {
    let (x, node) = if double { (DType::F64, DType::I64) } else { (DType::F32, DType::I32) };
    let (missing, bits) = (columns % 2 == 1, 4u32);
    let mut random = Random(columns * 31 + targets + count);
    let (nodes, leaves) = (40u64, 6u64);
    let mut words = Vec::new();
    for place in 0..nodes {
        let leaf = random.below(3) == 0;
        let (feature, next) = match leaf {
            true => ((1 << bits) - 1, place),
            false => (random.below((1 << bits) - 1), random.below(nodes + 8)),
        };
        let key = if leaf { random.below(leaves + 2) as f64 } else { random.below(9) as f64 * 1e8 - 4e8 };
        words.extend([key, (next << bits | feature) as f64]);
    }
    let table = (0..count).flat_map(|_| [random.below(nodes + 4) as f64, random.below(4) as f64, 9.0]);
    let table = TensorData::from_f64(DType::I32, &[count, 3], table.collect::<Vec<_>>());
    let nodes = TensorData::from_f64(node, &[nodes, 2], words);
    let weights = (0..leaves * targets).map(|it| it as f64 / 4.0 - 2.0);
    let weights = TensorData::from_f64(DType::F32, &[leaves, targets], weights.collect::<Vec<_>>());
    let mut pool = ConstPool::default();
    let mut inputs = Vec::new();
    let mut text = String::from("plan @main {\n  size n\n  in x: X[n, C]\n");
    let mut args = String::new();
    for (name, data) in [("nodes", nodes), ("trees", table), ("weights", weights)] {
        if fixed {
            let (dtype, dims) = (data.dtype(), data.dims().to_vec());
            let id = pool.add(name, data);
            text += &format!("  constant {id} \"{name}\" : {dtype}[{}, {}]\n", dims[0], dims[1]);
            args += &format!(", {id}");
        } else {
            text += &format!("  in {name}: {}[{}, {}]\n", data.dtype(), data.dims()[0], data.dims()[1]);
            inputs.push(data);
            args += &format!(", %in{}", inputs.len());
        }
    }
    text += &format!(
        "  out y: f32[n, {targets}]
  from n = %in0[0]
  routine @trees = \"tree_ensemble\" with {{aggregate = \"{aggregate}\", feature_bits = {bits}, missing = {missing}}} {{
    size n
    in %x: X[n, C]
    in %nodes: {node}[40, 2]
    in %trees: i32[{count}, 3]
    in %weights: f32[6, {targets}]
    out %y: f32[n, {targets}]
  }}
  steps {{
    alloc %out0
    call 0 @trees(%in0{args}, %out0) [n]
  }}
}}
"
    );
    let text = text.replace("X[n, C]", &format!("{x}[n, {columns}]"));
    let plan = parse_plan(&text, &pool).unwrap_or_else(|it| panic!("{it}"));
    verify(&plan).unwrap_or_else(|it| panic!("{it}"));
    (plan, inputs)
}

#[test]
fn trees_stay_inside_and_agree_whatever_their_nodes_are() {
    for (i, aggregate) in ["sum", "min", "max"].into_iter().enumerate() {
        for (double, columns, targets, count) in
            [(false, 3, 1, 21), (true, 3, 5, 9), (false, 6, 6, 8), (true, 4, 2, 3), (false, 7, 1, 1)]
        {
            for fixed in [true, false] {
                let (plan, rest) = trees(double, [columns, targets, count], aggregate, fixed);
                let function = in_memory(&compiled(&plan), true);
                for n in [0, 1, 7, 8, 20, 1100] {
                    let mut random = Random(n + i as u64);
                    let special = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0];
                    let values = (0..n * columns).map(|_| match random.below(8) {
                        it @ 0..5 => special[it as usize],
                        _ => random.below(1 << 16) as f64 - 32768.0,
                    });
                    let dtype = if double { DType::F64 } else { DType::F32 };
                    let x = TensorData::from_f64(dtype, &[n, columns], values.collect::<Vec<_>>());
                    let inputs: Vec<TensorData> = std::iter::once(x).chain(rest.iter().cloned()).collect();
                    let wanted = eval_plan(&plan, &inputs).unwrap();
                    let found = call(&function, &inputs).unwrap();
                    let context = format!("{aggregate} {double} {columns} {targets} {count} {fixed} {n}");
                    assert_eq!(found[0].to_f64(), wanted[0].to_f64(), "{context}");
                }
            }
        }
    }
}
