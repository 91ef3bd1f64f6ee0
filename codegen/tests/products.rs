//! Matrix products, convolutions and pools of every element type, with their epilogues, against the reference on every
//! instruction set: none is scalar loops. Integers are exact; floats of 16 bits are rounded once.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{all_cpus, assert_close, call, compiled_with, in_memory, with_constants};
use orogen_ir::loops::{parse_program, verify};
use orogen_ir::types::TensorData;
use orogen_reference::eval_program;

/// Checks a kernel with its inputs `constants` as constants, and all as inputs; `chosen` stands in what was chosen.
fn check(text: &str, constants: &[&str], chosen: &str) {
    let program = parse_program(text).unwrap_or_else(|it| panic!("{it}\n{text}"));
    verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
    for constants in [constants, &[]] {
        let (plan, all, given) = with_constants(&program, &[], constants, 5);
        let expected = eval_program(&program, &[], &all).unwrap();
        for options in all_cpus() {
            let compiled = compiled_with(&plan, &options);
            let strategy = compiled.kernels()[0].strategy.clone();
            let fits = strategy.iter().any(|it| it.contains(chosen));
            assert!(fits && !strategy.iter().any(|it| it.contains("scalar")), "{strategy:?}\n{text}");
            let got = call(&in_memory(&compiled, true), &given).unwrap();
            assert_close(&format!("{} {strategy:?}\n{text}", options.cpu), &got[0], &expected[0]);
        }
    }
}

/// `f(load)` for an operand: cast, less its zero point where there is one.
fn term(load: &str, to: &str, zero: Option<&str>) -> String {
    match zero {
        Some(zero) => format!("(cast<{to}>({load}) - cast<{to}>({zero}))"),
        None => format!("cast<{to}>({load})"),
    }
}

#[test]
fn products_of_floats() {
    for (a, b, sum) in
        [("f16", "f16", "f32"), ("bf16", "bf16", "f32"), ("f32", "f16", "f32"), ("f64", "f64", "f64")]
    {
        for (m, n, k) in [(1, 40, 33), (5, 70, 8), (37, 19, 130)] {
            let text = format!(
                "kernel @product {{
  in %a: {a}[{m}, {k}]
  in %w: {b}[{k}, {n}]
  out %y: {a}[{m}, {n}]
  local %s: {sum}[{m}, {n}]
  for i < {m}, j < {n} {{ %s[i, j] = sum k < {k} {{ {} * {} }} }}
  for p < {m}, q < {n} {{ %y[p, q] = cast<{a}>(%s[p, q]) }}
}}
",
                term("%a[i, k]", sum, None),
                term("%w[k, j]", sum, None),
            );
            check(&text, &["w"], "gemm");
        }
    }
}

/// Weights that are integers less their zero points, on either side of floats: few rows, and many.
#[test]
fn products_of_floats_and_integers() {
    let (one, each) = (Some("%zero[]"), Some("%each[j]"));
    for (w, zeros) in [("i8", [None, each]), ("u8", [one, each]), ("i16", [None, one])] {
        for zero in zeros {
            for (m, n, k) in [(1, 40, 33), (5, 70, 8), (37, 19, 130)] {
                let text = format!(
                    "kernel @product {{
  in %a: f32[{m}, {k}]
  in %w: {w}[{k}, {n}]
  in %zero: {w}[]
  in %each: {w}[{n}]
  in %scale: f32[{n}]
  out %y: f32[{m}, {n}]
  local %s: f32[{m}, {n}]
  for i < {m}, j < {n} {{ %s[i, j] = sum k < {k} {{ {} * {} }} }}
  for p < {m}, q < {n} {{ %y[p, q] = %s[p, q] * %scale[q] * f32(0.01) }}
}}
",
                    term("%a[i, k]", "f32", None),
                    term("%w[k, j]", "f32", zero),
                );
                check(&text, &["w"], "gemm");
            }
            let zero = zero.map(|it| it.replace('j', "i"));
            let text = format!(
                "kernel @left {{
  in %w: {w}[21, 37]
  in %b: f16[37, 45]
  in %zero: {w}[]
  in %each: {w}[21]
  out %y: f32[21, 45]
  local %s: f32[21, 45]
  for i < 21, j < 45 {{ %s[i, j] = sum k < 37 {{ {} * {} }} }}
  for p < 21, q < 45 {{ %y[p, q] = %s[p, q] * f32(0.01) }}
}}
",
                term("%w[i, k]", "f32", zero.as_deref()),
                term("%b[k, j]", "f32", None),
            );
            check(&text, &["w"], "gemm");
        }
    }
}

/// Deep and wide enough for several blocks, with another number of rows in each call.
#[test]
fn columns_are_widened_block_by_block() {
    let text = "kernel @product {
  size m
  in %a: f32[m, 1100]
  in %w: i8[1100, 300]
  in %each: i8[300]
  out %y: f32[m, 300]
  local %s: f32[m, 300]
  for i < m, j < 300 { %s[i, j] = sum k < 1100 { %a[i, k] * (cast<f32>(%w[k, j]) - cast<f32>(%each[j])) } }
  for p < m, q < 300 { %y[p, q] = %s[p, q] * f32(0.001) }
}
";
    let program = parse_program(text).unwrap_or_else(|it| panic!("{it}\n{text}"));
    for m in [1, 45] {
        let (plan, all, given) = with_constants(&program, &[m], &["w"], 5);
        let expected = eval_program(&program, &[m], &all).unwrap();
        for options in all_cpus() {
            let compiled = compiled_with(&plan, &options);
            let strategy = compiled.kernels()[0].strategy.clone();
            assert!(strategy.len() == 1 && strategy[0].contains("1 fused"), "{strategy:?}");
            let got = call(&in_memory(&compiled, true), &given).unwrap();
            assert_close(&format!("{} {strategy:?}", options.cpu), &got[0], &expected[0]);
        }
    }
}

/// Weights that are scaled in blocks of the sum, or narrower than a byte, in panels: few rows, many, and any number of them.
#[test]
fn products_with_weights_in_blocks() {
    let (zero, none) = (
        |it: &str| format!("(cast<f32>({it}) - cast<f32>(%zero[b, j]))"),
        |it: &str| format!("cast<f32>({it})"),
    );
    let types = [
        ("i4", "i4", "f32", false),
        ("u4", "u4", "f16", true),
        ("i8", "i8", "f32", true),
        ("u4", "f32", "f32", true),
        ("u2", "u2", "f32", true),
        ("i2", "i2", "bf16", false),
        ("f4e2m1fn", "f32", "f32", false),
        ("i16", "i16", "f32", true),
    ];
    for (i, (w, of_zero, scale, has_zero)) in types.into_iter().enumerate() {
        // Several blocks of the driver take long.
        let deep = if of_zero == "i4" { 40 } else { 5 };
        // Short blocks share bytes, and so do their zero points; parts of a long sum end with whole bytes.
        let odd = [(33, 7, 6, [1, 31]), (40, 9, 11, [3, 16]), (17, 12, 3, [2, 15]), (9, 30, 1, [1, 30])];
        let even = [(45, 3, 32, [1, 31]), (300, deep, 28, [2, 11]), (16, 2, 4, [5, 15])];
        let long = (w == "u2").then_some((35, 300, 5, [3, 17]));
        for (n, blocks, length, rows) in even.into_iter().chain([odd[i % odd.len()]]).chain(long) {
            let number = if has_zero { zero("%w[L·b + k, j]") } else { none("%w[L·b + k, j]") };
            let text = format!(
                "kernel @product {{
  size m
  in %a: f32[m, {}]
  in %w: {w}[{}, {n}]
  in %zero: {of_zero}[{blocks}, {n}]
  in %scale: {scale}[{blocks}, {n}]
  out %y: f32[m, {n}]
  local %s: f32[m, {n}]
  for i < m, j < {n} {{ %s[i, j] = sum b < {blocks}, k < {length} {{ %a[i, L·b + k] * ({number} * cast<f32>(%scale[b, j])) }} }}
  for p < m, q < {n} {{ %y[p, q] = %s[p, q] * f32(0.001) }}
}}
",
                blocks * length,
                blocks * length,
            )
            .replace("L·b", &format!("{length} * b"));
            let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
            verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
            for m in rows {
                let (plan, all, given) = with_constants(&program, &[m], &["w", "zero", "scale"], 5);
                let expected = eval_program(&program, &[m], &all).unwrap();
                for options in all_cpus() {
                    let compiled = compiled_with(&plan, &options);
                    let strategy = compiled.kernels()[0].strategy.clone();
                    let whole = strategy.len() == 1 && strategy[0].contains("scaled in blocks");
                    assert!(whole && strategy[0].contains("1 fused"), "{strategy:?}\n{text}");
                    let got = call(&in_memory(&compiled, true), &given).unwrap();
                    assert_close(&format!("{} {m} {strategy:?}\n{text}", options.cpu), &got[0], &expected[0]);
                }
            }
        }
    }
}

/// Constants narrower than a byte are read where they lie by what is no product, and products give them back in panels.
#[test]
fn packed_constants() {
    for w in ["i4", "u4", "i2", "u2", "f4e2m1fn"] {
        for (m, n, k) in [(1, 40, 33), (5, 71, 7), (37, 19, 130)] {
            let text = format!(
                "kernel @product {{
  in %a: f32[{m}, {k}]
  in %w: {w}[{k}, {n}]
  out %y: f32[{m}, {n}]
  for i < {m}, j < {n} {{ %y[i, j] = sum k < {k} {{ %a[i, k] * cast<f32>(%w[k, j]) }} }}
}}
"
            );
            check(&text, &["w"], "gemm");
        }
        let text = format!(
            "kernel @turned {{
  in %w: {w}[7, 5]
  out %y: f32[5, 7]
  for i < 5, j < 7 {{ %y[i, j] = cast<f32>(%w[j, i]) }}
}}
"
        );
        let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
        let (plan, all, given) = with_constants(&program, &[], &["w"], 5);
        let expected = eval_program(&program, &[], &all).unwrap();
        for options in all_cpus() {
            let got = call(&in_memory(&compiled_with(&plan, &options), true), &given).unwrap();
            assert_close(&format!("{} {text}", options.cpu), &got[0], &expected[0]);
        }
    }
}

#[test]
fn products_of_integers_with_zero_points() {
    for (a, b) in [("u8", "i8"), ("i8", "i8"), ("i8", "u8"), ("i16", "i8"), ("u16", "u16"), ("i32", "i32")] {
        for (za, zb) in [(None, None), (Some("%za[]"), None), (Some("%za[]"), Some("%zb[j]"))] {
            let text = format!(
                "kernel @product {{
  in %a: {a}[21, 37]
  in %w: {b}[37, 45]
  in %za: {a}[]
  in %zb: {b}[45]
  out %y: i32[21, 45]
  for i < 21, j < 45 {{ %y[i, j] = sum k < 37 {{ {} * {} }} }}
}}
",
                term("%a[i, k]", "i32", za),
                term("%w[k, j]", "i32", zb),
            );
            check(&text, &["w"], "integer gemm");
        }
    }
}

/// Zero points that differ along the sum, or along the axis of the other operand, are none of a product's.
#[test]
fn zero_points_along_other_axes_are_scalar_code() {
    for (zero, extent) in [("%z[k]", 37), ("%z[j]", 45)] {
        let text = format!(
            "kernel @product {{
  in %a: u8[21, 37]
  in %w: i8[37, 45]
  in %z: u8[{extent}]
  out %y: i32[21, 45]
  for i < 21, j < 45 {{ %y[i, j] = sum k < 37 {{ {} * {} }} }}
}}
",
            term("%a[i, k]", "i32", Some(zero)),
            term("%w[k, j]", "i32", None),
        );
        let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
        let (plan, all, given) = with_constants(&program, &[], &["w"], 5);
        let expected = eval_program(&program, &[], &all).unwrap();
        for options in all_cpus() {
            let compiled = compiled_with(&plan, &options);
            let got = call(&in_memory(&compiled, true), &given).unwrap();
            assert_close(&format!("{} {text}", options.cpu), &got[0], &expected[0]);
        }
    }
}

/// What follows a product of bytes in a quantised model: scales, an offset of each column, another row of numbers.
#[test]
fn results_are_scaled_and_rounded_in_the_tile() {
    let text = "kernel @requantised {
  in %a: u8[21, 37]
  in %w: i8[37, 45]
  in %za: u8[]
  in %scale: f32[45]
  in %own: f32[]
  in %bias: f16[45]
  in %z: u8[]
  out %y: u8[21, 45]
  local %s: i32[21, 45]
  for i < 21, j < 45 { %s[i, j] = sum k < 37 { (cast<i32>(%a[i, k]) - cast<i32>(%za[])) * cast<i32>(%w[k, j]) } }
  for p < 21, q < 45 {
    %y[p, q] = cast<u8>(round(cast<f32>(%s[p, q]) * (%scale[q] * %own[]) * f32(0.01) + cast<f32>(%bias[q])) + cast<f32>(%z[]))
  }
}
";
    check(text, &["w"], "1 fused");
}

/// A convolution over 9 × 23 of `group · c` channels to `group · m`, padded by 1 where the kernel has 3 columns.
fn convolution(x: &str, w: &str, sum: &str, zeros: [Option<&str>; 2], [g, c, m, kernel]: [i64; 4]) -> String {
    let pad = kernel / 2;
    let outside = zeros[0].map_or(format!("{x}(0)"), str::to_owned);
    let load = format!("%x[0, {c}*g + c, h + kh - {pad}, v + kw - {pad} | {outside}]");
    let (h, v) = (9 + 2 * pad - kernel + 1, 23 + 2 * pad - kernel + 1);
    // Sums of floats and integers are large.
    let factor = if sum == "f32" && w.starts_with(['i', 'u']) { "0.01" } else { "1" };
    format!(
        "kernel @convolution {{
  in %x: {x}[1, {0}, 9, 23]
  in %w: {w}[{1}, {c}, {kernel}, {kernel}]
  in %zx: {x}[]
  in %zw: {w}[{1}]
  out %y: {sum}[1, {1}, {h}, {v}]
  local %s: {sum}[1, {1}, {h}, {v}]
  for g < {g}, o < {m}, h < {h}, v < {v} {{
    %s[0, {m}*g + o, h, v] = sum c < {c}, kh < {kernel}, kw < {kernel} {{
      {2} * {3}
    }}
  }}
  for p < {1}, q < {h}, r < {v} {{ %y[0, p, q, r] = %s[0, p, q, r] * {sum}({factor}) }}
}}
",
        g * c,
        g * m,
        term(&load, sum, zeros[0]),
        term(&format!("%w[{m}*g + o, c, kh, kw]"), sum, zeros[1]),
    )
}

#[test]
fn convolutions_of_every_element() {
    let zero = ["%zx[]", "%zw[%m*g + o]"];
    for shape in [[2, 3, 5, 3], [2, 7, 2, 1], [2, 4, 17, 3]] {
        for float in ["f32", "f16", "bf16"] {
            check(&convolution(float, float, "f32", [None; 2], shape), &["w"], "convolution");
        }
        let each = zero[1].replace("%m", &shape[2].to_string());
        for (x, w, zw) in [
            ("f32", "i8", None),
            ("f16", "u8", Some("%zw[0]")),
            ("f32", "i16", Some(&each[..])),
            ("f32", "f16", None),
        ] {
            check(&convolution(x, w, "f32", [None, zw], shape), &["w"], "convolution");
        }
        for (x, w) in [("u8", "i8"), ("i8", "i8"), ("u8", "u8"), ("i16", "i16")] {
            let each = zero[1].replace("%m", &shape[2].to_string());
            for zeros in [[None; 2], [Some(zero[0]), None], [Some(zero[0]), Some(&each[..])]] {
                check(&convolution(x, w, "i32", zeros, shape), &["w"], "convolution");
            }
        }
    }
}

#[test]
fn depthwise_convolutions_of_bytes() {
    for (x, sum, zeros) in [
        ("u8", "i32", [None; 2]),
        ("u8", "i32", [Some("%zx[]"), None]),
        ("u8", "i32", [Some("%zx[]"), Some("%zw[g]")]),
        ("f32", "f32", [None; 2]),
        ("f16", "f32", [None, Some("%zw[g]")]),
    ] {
        let load = match zeros[0] {
            Some(zero) => format!("%x[0, g, h + kh - 1, v + kw - 1 | {zero}]"),
            None => format!("%x[0, g, h + kh - 1, v + kw - 1 | {x}(0)]"),
        };
        let text = format!(
            "kernel @depthwise {{
  in %x: {x}[1, 6, 9, 23]
  in %w: i8[6, 1, 3, 3]
  in %zx: {x}[]
  in %zw: i8[6]
  out %y: {sum}[1, 6, 9, 23]
  for g < 6, h < 9, v < 23 {{
    %y[0, g, h, v] = sum kh < 3, kw < 3 {{ {} * {} }}
  }}
}}
",
            term(&load, sum, zeros[0]),
            term("%w[g, 0, kh, kw]", sum, zeros[1]),
        );
        check(&text, &["w"], "depthwise");
    }
}

#[test]
fn pools_of_every_element() {
    for (dtype, least) in [
        ("u8", "0"),
        ("i8", "-128"),
        ("i16", "-32768"),
        ("i32", "-2147483648"),
        ("f16", "-inf"),
        ("bf16", "-inf"),
    ] {
        let text = format!(
            "kernel @pool {{
  in %x: {dtype}[1, 3, 9, 23]
  out %y: {dtype}[1, 3, 5, 12]
  for c < 3, h < 5, v < 12 {{
    %y[0, c, h, v] = max kh < 3, kw < 3 {{ %x[0, c, 2*h + kh - 1, 2*v + kw - 1 | {dtype}({least})] }}
  }}
}}
"
        );
        check(&text, &[], "pool Max");
    }
}

/// What follows a pool may be nothing but a conversion: its result has the elements of the last stage.
#[test]
fn pools_convert_what_they_store() {
    for (from, to) in
        [("f16", "f32"), ("bf16", "f32"), ("f32", "f16"), ("u8", "i32"), ("i16", "f32"), ("i32", "i8")]
    {
        let least = match from {
            "u8" => "0",
            "i16" => "-32768",
            "i32" => "-2147483648",
            _ => "-inf",
        };
        let text = format!(
            "kernel @pool {{
  in %x: {from}[1, 3, 9, 23]
  out %y: {to}[1, 3, 5, 12]
  local %m: {from}[1, 3, 5, 12]
  for c < 3, h < 5, v < 12 {{
    %m[0, c, h, v] = max kh < 3, kw < 3 {{ %x[0, c, 2*h + kh - 1, 2*v + kw - 1 | {from}({least})] }}
  }}
  for d < 3, i < 5, j < 12 {{ %y[0, d, i, j] = cast<{to}>(%m[0, d, i, j]) }}
}}
"
        );
        check(&text, &[], "pool Max");
    }
}

/// Several matrices of one constant are packed together, and not at all where something else reads them too.
#[test]
fn products_share_a_constant() {
    for (second, b) in
        [("%w[1, k2, j2]", "B Packed"), ("%w[0, k2, j2]", "B Packed"), ("%w[1, j2, k2]", "gemm")]
    {
        for (a, sum) in [("f32", "f32"), ("f16", "f32"), ("i8", "i32")] {
            let text = format!(
                "kernel @two {{
  in %a: {a}[21, 40]
  in %w: {a}[2, 40, 40]
  out %y: {sum}[21, 40]
  out %z: {sum}[21, 40]
  for i < 21, j < 40 {{ %y[i, j] = sum k < 40 {{ {0} * {1} }} }}
  for i2 < 21, j2 < 40 {{ %z[i2, j2] = sum k2 < 40 {{ {2} * {3} }} }}
}}
",
                term("%a[i, k]", sum, None),
                term("%w[0, k, j]", sum, None),
                term("%a[i2, k2]", sum, None),
                term(second, sum, None),
            );
            let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
            let (plan, all, given) = with_constants(&program, &[], &["w"], 5);
            let expected = eval_program(&program, &[], &all).unwrap();
            for options in all_cpus() {
                let compiled = compiled_with(&plan, &options);
                let strategy = compiled.kernels()[0].strategy.clone();
                assert!(
                    strategy.len() == 2 && strategy.iter().all(|it| it.contains(b)),
                    "{strategy:?}\n{text}"
                );
                let got = call(&in_memory(&compiled, true), &given).unwrap();
                for (got, expected) in got.iter().zip(&expected) {
                    assert_close(&format!("{} {strategy:?}\n{text}", options.cpu), got, expected);
                }
            }
        }
    }
}

/// Products of integers that are added as floats: of 16 bits, two may be more than an integer of 32 bits holds.
#[test]
fn sums_of_integers_as_floats() {
    let text = |number: &str| {
        format!(
            "kernel @product {{
  in %a: {number}[5, 130]
  in %w: {number}[130, 33]
  out %y: f32[5, 33]
  for i < 5, j < 33 {{ %y[i, j] = sum k < 130 {{ cast<f32>({} * {}) }} }}
}}
",
            term("%a[i, k]", "i32", None),
            term("%w[k, j]", "i32", None),
        )
    };
    check(&text("u8"), &["w"], "added as floats");
    let program = parse_program(&text("i16")).unwrap_or_else(|it| panic!("{it}"));
    let (plan, _, given) = with_constants(&program, &[], &[], 5);
    let large = |it: &TensorData| {
        TensorData::from_f64(it.dtype(), it.dims(), it.to_f64().into_iter().map(|it| 300.0 * it.abs()))
    };
    let given: Vec<TensorData> = given.iter().map(large).collect();
    let expected = eval_program(&program, &[], &given).unwrap();
    for options in all_cpus() {
        let got = call(&in_memory(&compiled_with(&plan, &options), true), &given).unwrap();
        assert_close(&options.cpu.to_string(), &got[0], &expected[0]);
    }
}

/// Scales that are some columns of a larger table.
#[test]
fn scales_between_others() {
    for (first, chosen) in [(0, "scaled in blocks"), (33, "")] {
        let text = format!(
            "kernel @product {{
  in %a: f32[5, 64]
  in %w: i8[64, 33]
  in %scale: f32[4, 66]
  out %y: f32[5, 33]
  for i < 5, j < 33 {{
    %y[i, j] = sum b < 4, k < 16 {{ %a[i, 16*b + k] * (cast<f32>(%w[16*b + k, j]) * %scale[b, j + {first}]) }}
  }}
}}
"
        );
        let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
        let (plan, all, given) = with_constants(&program, &[], &["w", "scale"], 5);
        let expected = eval_program(&program, &[], &all).unwrap();
        for options in all_cpus() {
            let compiled = compiled_with(&plan, &options);
            let strategy = compiled.kernels()[0].strategy.clone();
            assert!(strategy.iter().any(|it| it.contains(chosen)), "{strategy:?}\n{text}");
            let got = call(&in_memory(&compiled, true), &given).unwrap();
            assert_close(&format!("{} {strategy:?}", options.cpu), &got[0], &expected[0]);
        }
    }
}
