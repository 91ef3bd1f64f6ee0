//! Movement of data: transpositions, padding, upsampling, transposed convolution. Results against the reference, on every instruction
//! set that this machine runs, moved elements bit by bit.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{Random, all_cpus, assert_close, call, compiled_with, in_memory, plan_of};
use orogen_ir::loops::{BufferRole, TensorProgram, parse_program, verify};
use orogen_ir::types::{DType, TensorData};
use orogen_reference::eval_program;

fn parse(text: &str) -> TensorProgram {
    let program = parse_program(text).unwrap_or_else(|it| panic!("{it}\n{text}"));
    verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
    program
}

fn inputs(program: &TensorProgram, sizes: &[i64], random: &mut Random) -> Vec<TensorData> {
    let env = program.sizes.iter().copied().zip(sizes.iter().copied()).collect();
    let buffers = program.params.iter().map(|id| &program.buffers[*id]);
    buffers
        .filter(|it| it.role == BufferRole::Input)
        .map(|it| {
            let dims: Vec<u64> =
                it.dims.iter().map(|dim| program.shapes.eval(*dim, &env).unwrap() as u64).collect();
            random.tensor(it.dtype, &dims)
        })
        .collect()
}

/// Runs a program everywhere; `part` is in the strategy of each, unless it is empty.
fn check(text: &str, sizes: &[i64], part: &str, seed: u64) {
    let program = parse(text);
    let inputs = inputs(&program, sizes, &mut Random(seed));
    let expected = eval_program(&program, sizes, &inputs).unwrap();
    for options in all_cpus() {
        let compiled = compiled_with(&plan_of(&program, sizes), &options);
        let strategy = compiled.kernels()[0].strategy.clone();
        assert!(strategy.iter().any(|it| it.contains(part)), "no `{part}` in {strategy:?}\n{text}");
        let got = call(&in_memory(&compiled, seed.is_multiple_of(2)), &inputs).unwrap();
        for (got, expected) in got.iter().zip(&expected) {
            assert_close(&format!("{} {sizes:?} {strategy:?}\n{text}", options.cpu), got, expected);
        }
    }
}

/// Runs a program on elements of all bit patterns; `{t}` in its text is the element type, and values are only moved.
/// The oracle moves integers, so no bit can be lost.
fn check_bits(text: &str, sizes: &[i64], part: &str, seed: u64) {
    for dtypes in [
        [DType::F32, DType::I32],
        [DType::U32, DType::I32],
        [DType::F16, DType::I16],
        [DType::BF16, DType::U16],
        [DType::I8, DType::U8],
    ] {
        check_bits_of(dtypes, text, sizes, part, seed);
    }
}

/// As [`check_bits`], on elements of the first type by the oracle of the second, of the same size.
fn check_bits_of(dtypes: [DType; 2], text: &str, sizes: &[i64], part: &str, seed: u64) {
    let [program, integers] = dtypes.map(|it| parse(&text.replace("{t}", it.name())));
    let mut random = Random(seed);
    let bits: Vec<TensorData> = inputs(&integers, sizes, &mut random)
        .iter()
        .map(|it| {
            // Numbers of all kinds, signalling NaN among them, for each width.
            let specials =
                [0x7fa0_7d01_7fa0_7d01u64, 0xffc1_2345, 0x8000_0000_8000_8000, 0x7ff0_0000_0000_0001, 1];
            let bytes: Vec<u8> = (0..it.len())
                .flat_map(|_| {
                    let bits = random.next();
                    let bits = if bits.is_multiple_of(4) { specials[bits as usize / 4 % 5] } else { bits };
                    bits.to_le_bytes()[..dtypes[1].size()].to_vec()
                })
                .collect();
            TensorData::from_unpacked(dtypes[1], it.dims().to_vec(), bytes.into()).unwrap()
        })
        .collect();
    let floats: Vec<TensorData> = bits
        .iter()
        .map(|it| TensorData::from_unpacked(dtypes[0], it.dims().to_vec(), it.unpacked()).unwrap())
        .collect();
    let expected = eval_program(&integers, sizes, &bits).unwrap();
    for options in all_cpus() {
        let compiled = compiled_with(&plan_of(&program, sizes), &options);
        let strategy = compiled.kernels()[0].strategy.clone();
        assert!(strategy.iter().any(|it| it.contains(part)), "no `{part}` in {strategy:?}\n{text}");
        let got = call(&in_memory(&compiled, true), &floats).unwrap();
        for (got, expected) in got.iter().zip(&expected) {
            assert_eq!(got.dims(), expected.dims());
            assert_eq!(
                got.unpacked()[..],
                expected.unpacked()[..],
                "{} {sizes:?} {strategy:?}\n{text}",
                options.cpu
            );
        }
    }
}

/// `y[i] = x[i - before | 0]`; extents of 0 in `size` are symbols.
fn pad(dims: &[i64], before: &[i64], after: &[i64], symbolic: bool) -> String {
    let (mut sizes, mut input, mut output, mut axes, mut from, mut to) =
        (String::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (i, ((n, low), high)) in dims.iter().zip(before).zip(after).enumerate() {
        let (n, whole) = if symbolic && i != 1 {
            sizes += &format!("  size s{i}\n");
            (format!("s{i}"), format!("s{i} + {}", low + high))
        } else {
            (n.to_string(), (n + low + high).to_string())
        };
        input.push(n);
        axes.push(format!("i{i} < {whole}"));
        output.push(whole);
        from.push(format!("i{i} - {low}"));
        to.push(format!("i{i}"));
    }
    let sizes = if symbolic { sizes } else { String::new() };
    format!(
        "kernel @pad {{\n{sizes}  in %x: {{t}}[{}]\n  out %y: {{t}}[{}]\n  for {} {{ %y[{}] = %x[{} | {{t}}(0)] }}\n}}\n",
        input.join(", "),
        output.join(", "),
        axes.join(", "),
        to.join(", "),
        from.join(", ")
    )
}

#[test]
fn padding_of_any_side() {
    let mut random = Random(1);
    for seed in 0..30 {
        let rank = 1 + random.below(4) as usize;
        let pick = |random: &mut Random, list: &[i64]| list[random.below(list.len() as u64) as usize];
        let mut dims: Vec<i64> = (0..rank).map(|_| pick(&mut random, &[1, 2, 3, 5])).collect();
        dims[rank - 1] = pick(&mut random, &[0, 1, 2, 7, 16, 31, 40, 67]);
        let low: Vec<i64> = (0..rank).map(|_| pick(&mut random, &[0, 0, 1, 2, 20])).collect();
        let high: Vec<i64> = (0..rank).map(|_| pick(&mut random, &[0, 0, 1, 3, 18])).collect();
        let symbolic = seed % 2 == 1;
        let sizes: Vec<i64> =
            dims.iter().enumerate().filter(|it| symbolic && it.0 != 1).map(|it| *it.1).collect();
        check_bits(&pad(&dims, &low, &high, symbolic), &sizes, "", seed);
    }
    check_bits(&pad(&[2, 3, 5, 37], &[0, 0, 1, 1], &[0, 0, 1, 1], false), &[], "strips", 1);
    check_bits(&pad(&[1, 6, 9, 96], &[0, 0, 4, 0], &[0, 0, 0, 0], true), &[1, 9, 96], "strips", 2);
    check_bits(&pad(&[3, 2, 4, 20], &[1, 1, 1, 1], &[1, 1, 1, 1], true), &[3, 4, 20], "strips", 3);
}

#[test]
fn values_beside_the_edge() {
    // A constant that is not zero, another guarded load, and arithmetic.
    for n in [0, 1, 2, 5, 16, 33, 64] {
        let text = "kernel @edges {
  size n
  in %x: f32[3, n]
  in %z: f32[n]
  out %y: f32[4, n + 2]
  for i < 4, j < n + 2 {
    %y[i, j] = %x[i, j - 1 | f32(1.5)] * %x[i - 1, j - 2 | f32(-2.0)] + %z[j | f32(0.0)]
  }
}
";
        check(text, &[n], "strips", n as u64);
    }
}

#[test]
fn transposed_convolutions() {
    for (size, taps, pad, stride) in
        [(16, 3, 1, 2), (8, 3, 1, 2), (1, 3, 1, 2), (37, 4, 1, 2), (20, 2, 0, 2), (9, 8, 2, 4), (5, 5, 2, 1)]
    {
        // As the legalisation writes them: o + pad − k is a multiple of the stride.
        let whole = if stride == 1 { size } else { size * stride };
        let text = format!(
            "kernel @transposed {{
  size S
  in %x: f32[1, 3, S, {size}]
  in %w: f32[3, 1, 1, {taps}]
  out %y: f32[1, 3, S, {whole}]
  for n < 1, g < 3, o0 < S, r0 < 1, o1 < {whole} {{
    %y[n, g, o0 + r0, o1] = sum k1 < {taps} {{
      select(dim<i64>(o1 + {pad} - k1 - {stride}*floordiv(o1 + {pad} - k1, {stride})) == i64(0), %x[n, g, o0, floordiv(o1 + {pad} - k1, {stride}) | f32(0.0)], f32(0.0)) * %w[g, 0, r0, k1]
    }}
  }}
}}
"
        );
        for rows in [0, 1, 5] {
            check(&text, &[rows], "strips", 4);
        }
    }
}

#[test]
fn upsampling_by_a_factor() {
    for (w, factor) in [(1, 2), (20, 2), (33, 2), (5, 4), (20, 8), (16, 4)] {
        let text = format!(
            "kernel @nearest {{
  in %x: {{t}}[2, 3, 4, {w}]
  out %y: {{t}}[2, 3, 8, {}]
  for i < 2, c < 3, h < 8, w < {} {{ %y[i, c, h, w] = %x[i, c, floordiv(h, 2), floordiv(w, {factor})] }}
}}
",
            w * factor,
            w * factor
        );
        check_bits(&text, &[], "strips", 5);
    }
}

#[test]
fn transpositions() {
    let mut random = Random(6);
    for seed in 0..30 {
        let rank = 2 + random.below(3) as usize;
        let extents = [0, 1, 2, 3, 4, 5, 7, 16, 17, 33];
        let dims: Vec<i64> =
            (0..rank).map(|_| extents[random.below(if rank > 3 { 7 } else { 10 }) as usize]).collect();
        // Where each dimension of the result comes from.
        let mut order: Vec<usize> = (0..rank).collect();
        for i in (1..rank).rev() {
            order.swap(i, random.below(i as u64 + 1) as usize);
        }
        let list = |of: &dyn Fn(usize) -> String| (0..rank).map(of).collect::<Vec<_>>().join(", ");
        let place = |from: usize| order.iter().position(|it| *it == from).unwrap();
        // With a last dimension of one element the others are transposed elements, else rows.
        for last in [1, 3] {
            let text = format!(
                "kernel @transpose {{
  in %x: {{t}}[{}, {last}]
  out %y: {{t}}[{}, {last}]
  for {}, l < {last} {{ %y[{}, l] = %x[{}, l] }}
}}
",
                list(&|i| dims[i].to_string()),
                list(&|i| dims[order[i]].to_string()),
                list(&|i| format!("i{i} < {}", dims[order[i]])),
                list(&|i| format!("i{i}")),
                list(&|i| format!("i{}", place(i))),
            );
            check_bits(&text, &[], "", seed);
        }
    }
    for [rows, columns] in [[5, 48], [64, 7], [33, 35], [1, 20], [20, 1], [4, 4], [100, 3]] {
        let text = "kernel @matrix {
  size n
  size m
  in %x: {t}[2, m, n]
  out %y: {t}[2, n, m]
  for b < 2, i < n, j < m { %y[b, i, j] = %x[b, j, i] }
}
";
        check_bits(text, &[rows, columns], "tiles", 7);
    }
}

#[test]
fn arithmetic_across_rows() {
    for [n, m] in [[3, 9], [16, 16], [21, 34], [0, 5], [1, 1]] {
        let text = "kernel @across {
  size n
  size m
  in %x: f32[m, n]
  in %z: f32[n, m]
  in %rows: f32[n]
  in %columns: f32[m]
  out %y: f32[n, m]
  for i < n, j < m { %y[i, j] = max(%x[j, i] + %z[i, j], %rows[i]) * %columns[j] - f32(0.25) }
}
";
        check(text, &[n, m], "tiles", 8);
    }
}

#[test]
fn integers_and_conditions() {
    for n in [0, 1, 7, 40] {
        let text = "kernel @one_hot {
  size n
  in %a: i32[n, 1]
  in %b: i32[1, 57]
  out %y: f32[n, 57]
  for i < n, j < 57 { %y[i, j] = cast<f32>(%a[i, 0] == %b[0, j]) }
}
";
        check(text, &[n], "rows", 9);
        let text = "kernel @integers {
  size n
  in %a: i32[n]
  in %b: i32[n]
  in %x: f32[n]
  out %y: i32[n]
  for i < n {
    let t0 = select(%a[i] <= %b[i], %a[i] * i32(70000001) - %b[i], min(%b[i], i32(5)))
    %y[i] = t0 + cast<i32>(%x[i] * f32(10.0)) + cast<i32>(%a[i] != i32(3)) + cast<i32>(cast<f32>(%b[i]) >= %x[i]) + max(%a[i], i32(-3))
  }
}
";
        check(text, &[n], "rows", 10);
    }
}

#[test]
fn gathering_of_rows() {
    for [n, width] in [[0, 8], [1, 40], [5, 1], [9, 33]] {
        let text = format!(
            "kernel @gather {{
  size n
  in %table: f32[30, {width}]
  in %ids: i64[1, n]
  in %more: f32[2, 1, {width}]
  out %y: f32[1, n, {width}]
  for i < 1, j < n, k < {width} {{
    %y[i, j, k] = %table[{{min(max(select(%ids[i, j] < i64(0), %ids[i, j] + i64(30), %ids[i, j]), i64(0)), i64(29))}}, k] + %more[{{min(max(%ids[0, j], i64(0)), i64(1))}}, i, k] * f32(0.5)
  }}
}}
"
        );
        check(&text, &[n], if width > 1 { "strips" } else { "" }, 11);
    }
}

#[test]
fn conditions_cut_rows() {
    for n in [0, 1, 3] {
        let text = "kernel @cut {
  size n
  in %x: f32[n, 2, 48]
  in %b: f32[96]
  out %y: f32[n, 2, 48]
  for i < n, c < 2, j < 48 {
    let t0 = select(dim<i64>(j) < i64(17), %x[i, c, j] + %b[j], %x[i, c, j] - %b[j + 48])
    %y[i, c, j] = select(dim<i64>(3 - j) == i64(0), f32(7.0), select(dim<i64>(40) <= dim<i64>(j), %b[j], t0))
  }
}
";
        check(text, &[n], "strips", 12);
    }
}

#[test]
fn upsampling_with_elements_of_the_result() {
    for (w, factor) in [(1, 2), (20, 2), (37, 2), (5, 4), (9, 8)] {
        let text = format!(
            "kernel @lateral {{
  in %x: f32[2, 3, 4, {w}]
  in %z: f32[2, 3, 8, {whole}]
  in %scale: f32[1, 3, 1, 1]
  out %y: f32[2, 3, 8, {whole}]
  for i < 2, c < 3, h < 8, w < {whole} {{
    %y[i, c, h, w] = %z[i, c, h, w] + %z[i, c, h, w] * %scale[0, c, 0, 0] + %x[i, c, floordiv(h, 2), floordiv(w, {factor})]
  }}
}}
",
            whole = w * factor
        );
        check(&text, &[], "strips", 13);
    }
}

#[test]
fn gathering_of_elements() {
    for n in [1, 5, 16, 40] {
        let text = format!(
            "kernel @elements {{
  size s
  in %x: f32[2, s, 30, 3]
  in %rows: i32[{n}]
  in %columns: i32[{n}]
  in %fraction: f32[{n}]
  out %y: f32[2, 3, s, {n}]
  for i < 2, c < 3, h < s, w < {n} {{
    let t0 = %x[i, {{min(max(%rows[h] * i32(0), i32(0)), i32(0))}}, {{min(max(%columns[w], i32(0)), i32(29))}}, c]
    %y[i, c, h, w] = t0 + %fraction[w] * (%x[i, h, {{min(max(%columns[w] + i32(7), i32(0)), i32(29))}}, 0] - t0)
  }}
}}
"
        );
        for s in [1, n] {
            check(&text, &[s], if n > 1 { "strips" } else { "" }, 14);
        }
    }
}

#[test]
fn elements_of_other_sizes() {
    use DType::{BF16, F16, F64, I8, I16, I64, U8};
    for (seed, dtypes) in
        [[F64, I64], [I64, I64], [F16, I16], [BF16, I16], [U8, I8], [I8, I8]].into_iter().enumerate()
    {
        let seed = seed as u64;
        for width in [4, 20, 48, 5] {
            // Rows of whole lanes are strips, others loops.
            let part = if width == 5 && dtypes[0].size() < 4 { "" } else { "strips" };
            let split = "kernel @heads {
  size n
  in %x: {t}[2, n, 3, WIDTH]
  out %y: {t}[2, 3, n, WIDTH]
  for b < 2, h < 3, i < n, k < WIDTH { %y[b, h, i, k] = %x[b, i, h, k] }
}
"
            .replace("WIDTH", &width.to_string());
            check_bits_of(dtypes, &split, &[7], part, seed);
            check_bits_of(dtypes, &pad(&[2, 3, width], &[1, 2, 4], &[0, 1, 8], false), &[], part, seed);
            let text = pad(&[2, 3, width], &[1, 2, 3], &[0, 1, 2], true);
            check_bits_of(dtypes, &text, &[2, width], "", seed);
        }
    }
}

/// Steps that units, evens and odds, and gathers take; also at the end of a buffer, and with arithmetic.
#[test]
fn strided_and_reversed_rows() {
    let cases =
        [(2, 0, 40), (2, 1, 71), (2, 0, 1), (3, 1, 16), (4, 3, 40), (8, 5, 37), (8, 0, 5), (7, 2, 16)];
    let reversed = [(-1, 0, 40), (-1, 0, 5), (-2, 0, 37)];
    let types = ["f32", "f16", "bf16", "i8", "u8", "i16", "i64"];
    for (i, (step, first, n)) in cases.into_iter().chain(reversed).enumerate() {
        let first = if step < 0 { -step * (n - 1) } else { first };
        let row = first + if step < 0 { 1 } else { step * (n - 1) + 1 };
        let text = |value: &str| {
            format!(
                "kernel @strided {{
  in %x: {{t}}[3, {row}]
  out %y: {{t}}[3, {n}]
  for i < 3, j < {n} {{ %y[i, j] = {value} }}
}}
"
            )
        };
        let element = format!("%x[i, {step}*j + {first}]");
        // A single element of a row is no row.
        let part = if n == 1 { "" } else { "strips" };
        check_bits(&text(&element), &[], part, n as u64);
        check_bits_of([DType::F64, DType::I64], &text(&element), &[], part, n as u64);
        for dtype in [types[i % 7], types[(i + 3) % 7]] {
            let sum = text(&format!("{element} + {element}")).replace("{t}", dtype);
            check(&sum, &[], part, n as u64);
        }
    }
}

#[test]
fn rows_that_repeat_are_read_in_rows() {
    for n in [16, 20, 37] {
        let text = format!(
            "kernel @tile {{
  size rows
  in %x: {{t}}[rows, {n}]
  out %y: {{t}}[rows, {whole}]
  for i < rows, j < {whole} {{ %y[i, j] = %x[i, j - {n}*floordiv(j, {n})] }}
}}",
            whole = 10 * n
        );
        check_bits(&text, &[3], &format!("strips of {n} "), n as u64);
    }
}
