//! Products and convolutions with constants narrower than a byte: against the reference on every instruction set, and as
//! many to a byte in the library as fit.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{all_cpus, assert_close, call, compiled_with, in_memory, with_constants};
use orogen_ir::loops::{parse_program, verify};
use orogen_reference::eval_program;

/// Checks a kernel whose inputs `constants` are constants, and with none that is; `chosen` stands in what was chosen.
fn check(text: &str, constants: &[&str], chosen: &str) {
    let program = parse_program(text).unwrap_or_else(|it| panic!("{it}\n{text}"));
    verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
    for constants in [constants, &[]] {
        let (plan, all, given) = with_constants(&program, &[], constants, 5);
        let expected = eval_program(&program, &[], &all).unwrap_or_else(|it| panic!("{it}\n{text}"));
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

#[test]
fn weights_on_the_left() {
    for w in ["i4", "u4", "i2", "u2", "f4e2m1fn"] {
        for (m, n, k) in [(1, 40, 33), (15, 71, 7), (37, 19, 301)] {
            let text = format!(
                "kernel @product {{
  in %w: {w}[{m}, {k}]
  in %b: f32[{k}, {n}]
  out %y: f32[{m}, {n}]
  for i < {m}, j < {n} {{ %y[i, j] = sum k < {k} {{ cast<f32>(%w[i, k]) * %b[k, j] }} }}
}}
"
            );
            check(&text, &["w"], "gemm");
        }
    }
}

/// A matrix for each index of the axes around the product, in panels of its own.
#[test]
fn weights_in_batches() {
    for w in ["i4", "u2", "i8", "f16", "f32"] {
        let text = format!(
            "kernel @product {{
  in %a: f32[2, 3, 17, 33]
  in %w: {w}[2, 3, 33, 40]
  out %y: f32[2, 3, 17, 40]
  for b < 2, c < 3, i < 17, j < 40 {{ %y[b, c, i, j] = sum k < 33 {{ %a[b, c, i, k] * cast<f32>(%w[b, c, k, j]) }} }}
}}
"
        )
        .replace("cast<f32>(%w[b, c, k, j])", if w == "f32" { "%w[b, c, k, j]" } else { "cast<f32>(%w[b, c, k, j])" });
        check(&text, &["w"], "gemm");
        let text = text.replace("[2, 3, 33, 40]", "[3, 33, 40]").replace("%w[b, c, k, j]", "%w[c, k, j]");
        check(&text, &["w"], "gemm");
    }
}

#[test]
fn weights_of_integers() {
    for a in ["u8", "i8"] {
        for w in ["i4", "u4", "i2", "u2"] {
            for (m, n, k) in [(1, 40, 33), (40, 7, 301)] {
                for zero in [false, true] {
                    let number = match zero {
                        true => "(cast<i32>(%w[k, j]) - cast<i32>(%z[j]))",
                        false => "cast<i32>(%w[k, j])",
                    };
                    let text = format!(
                        "kernel @product {{
  in %a: {a}[{m}, {k}]
  in %w: {w}[{k}, {n}]
  in %z: {w}[{n}]
  out %y: i32[{m}, {n}]
  for i < {m}, j < {n} {{ %y[i, j] = sum k < {k} {{ cast<i32>(%a[i, k]) * {number} }} }}
}}
"
                    );
                    check(&text, &["w"], "integer gemm");
                }
            }
        }
    }
}

fn convolution(x: &str, w: &str, sum: &str, (groups, c, m, kernel): (i64, i64, i64, i64)) -> String {
    let image = kernel + 12;
    // One group has no axis.
    let (group, own, channel) = match groups {
        1 => (String::new(), "o".to_owned(), "c".to_owned()),
        _ => (format!("g < {groups}, "), format!("{m}*g + o"), format!("{c}*g + c")),
    };
    let term =
        |load: &str, of: &str| if of == sum { load.to_owned() } else { format!("cast<{sum}>({load})") };
    let channels = groups * m;
    // Long sums of floats are rounded more than the reference is.
    let (target, local, scaled) = match sum {
        "f32" => (
            "s",
            format!("  local %s: f32[2, {channels}, 13, 13]\n"),
            format!(
                "  for a < 2, b < {channels}, d < 13, e < 13 {{ %y[a, b, d, e] = %s[a, b, d, e] * f32(0.01) }}\n"
            ),
        ),
        _ => ("y", String::new(), String::new()),
    };
    format!(
        "kernel @conv {{
  in %x: {x}[2, {}, {image}, {image}]
  in %w: {w}[{channels}, {c}, {kernel}, {kernel}]
  out %y: {sum}[2, {channels}, 13, 13]
{local}  for n < 2, {group}o < {m}, i < 13, j < 13 {{ %{target}[n, {own}, i, j] = sum c < {c}, p < {kernel}, q < {kernel} {{ {} * {} }} }}
{scaled}}}
",
        groups * c,
        term(&format!("%x[n, {channel}, i + p, j + q]"), x),
        term(&format!("%w[{own}, c, p, q]"), w),
    )
}

#[test]
fn weights_of_convolutions() {
    for w in ["i4", "u4", "i2", "u2", "f4e2m1fn"] {
        for shape in [(1, 40, 15, 1), (2, 7, 9, 3), (1, 121, 6, 2)] {
            check(&convolution("f32", w, "f32", shape), &["w"], "convolution");
            if !w.starts_with('f') {
                check(&convolution("u8", w, "i32", shape), &["w"], "convolution");
                check(&convolution("i8", w, "i32", shape), &["w"], "convolution");
            }
        }
    }
}

/// What constants take of a library.
#[test]
fn libraries_hold_as_many_to_a_byte_as_fit() {
    let product = |a: &str, w: &str, sum: &str| {
        format!(
            "kernel @product {{
  in %a: {a}[8, 512]
  in %w: {w}[512, 1024]
  out %y: {sum}[8, 1024]
  for i < 8, j < 1024 {{ %y[i, j] = sum k < 512 {{ {} * cast<{sum}>(%w[k, j]) }} }}
}}
",
            if a == sum { "%a[i, k]".to_owned() } else { format!("cast<{sum}>(%a[i, k])") }
        )
    };
    let left = |w: &str| {
        format!(
            "kernel @product {{
  in %w: {w}[1024, 512]
  in %b: f32[512, 8]
  out %y: f32[1024, 8]
  for i < 1024, j < 8 {{ %y[i, j] = sum k < 512 {{ cast<f32>(%w[i, k]) * %b[k, j] }} }}
}}
"
        )
    };
    for (text, bits) in [
        (product("f32", "i4", "f32"), 4),
        (product("f32", "u2", "f32"), 2),
        (product("u8", "i4", "i32"), 4),
        (product("i8", "u4", "i32"), 4),
        (product("u8", "u2", "i32"), 2),
        (product("i8", "i2", "i32"), 2),
        (left("i4"), 4),
        (left("i2"), 2),
        (convolution("f32", "u4", "f32", (1, 256, 512, 2)), 4),
        (convolution("u8", "i4", "i32", (1, 256, 512, 2)), 4),
        (convolution("u8", "i2", "i32", (1, 256, 512, 2)), 2),
    ] {
        let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
        let (plan, _, _) = with_constants(&program, &[], &["w"], 5);
        for options in all_cpus() {
            let object = compiled_with(&plan, &options).object().unwrap();
            let bytes: usize = object.blobs.iter().map(|it| it.for_link().bytes.len()).sum();
            // Panels are filled up to whole ones, and sums of bytes follow them.
            let least = 512 * 1024 * bits / 8;
            assert!((least..least * 104 / 100).contains(&bytes), "{bytes}: {}\n{text}", options.cpu);
        }
    }
}

/// Bytes that are made of a constant in the call, for what is no product.
#[test]
fn constants_become_bytes() {
    for (w, y) in [("i4", "i8"), ("u4", "u8"), ("i2", "i8"), ("u2", "u8"), ("u4", "i8")] {
        for (m, n) in [(1, 3), (3, 2), (1, 7), (7, 9), (3, 43), (5, 27), (33, 65), (3, 40_001)] {
            let text = format!(
                "kernel @bytes {{
  in %w: {w}[{m}, {n}]
  out %y: {y}[{m}, {n}]
  for i < {m}, j < {n} {{ %y[i, j] = cast<{y}>(%w[i, j]) }}
}}
"
            );
            let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
            let (plan, all, given) = with_constants(&program, &[], &["w"], 5);
            let expected = eval_program(&program, &[], &all).unwrap_or_else(|it| panic!("{it}\n{text}"));
            for options in all_cpus() {
                let compiled = compiled_with(&plan, &options);
                let strategy = compiled.kernels()[0].strategy.clone();
                assert!(strategy.len() == 1 && strategy[0].contains("unpacking"), "{strategy:?}\n{text}");
                let got = call(&in_memory(&compiled, true), &given).unwrap();
                assert_close(&format!("{} {text}", options.cpu), &got[0], &expected[0]);
            }
        }
    }
}
