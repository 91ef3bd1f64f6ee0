//! Convolutions and pools of images of any rank and of every element type, with what follows them, against the reference
//! on every instruction set: none is scalar loops.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{all_cpus, assert_close, call, compiled_with, in_memory, with_constants};
use orogen_ir::loops::{parse_program, verify};
use orogen_reference::eval_program;

/// Checks a kernel with its weights as constants and as inputs; `chosen` stands in what was chosen, once.
fn check(text: &str, chosen: &str) {
    let program = parse_program(text).unwrap_or_else(|it| panic!("{it}\n{text}"));
    verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
    let weighs = text.contains("in %w:");
    for constants in [&["w"][..], &[]].into_iter().take(1 + usize::from(weighs)) {
        let (plan, all, given) = with_constants(&program, &[], constants, 5);
        let expected = eval_program(&program, &[], &all).unwrap();
        for options in all_cpus() {
            let compiled = compiled_with(&plan, &options);
            let strategy = compiled.kernels()[0].strategy.clone();
            let good = |it: &str| it.contains(chosen) && !it.contains("scalar");
            assert!(matches!(&strategy[..], [only] if good(only)), "{strategy:?}\n{text}");
            let got = call(&in_memory(&compiled, true), &given).unwrap();
            assert_close(&format!("{} {strategy:?}\n{text}", options.cpu), &got[0], &expected[0]);
        }
    }
}

/// How a kernel moves along an axis of an image.
#[derive(Clone, Copy)]
struct Axis {
    /// Of the image.
    extent: i64,
    kernel: i64,
    stride: i64,
    dilation: i64,
    /// At both ends.
    padding: i64,
}

impl Axis {
    fn new(extent: i64, kernel: i64) -> Axis {
        Axis { extent, kernel, stride: 1, dilation: 1, padding: kernel / 2 }
    }

    fn out(&self) -> i64 {
        (self.extent + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) / self.stride + 1
    }
}

/// Comma-separated parts, one for each axis.
fn each(axes: &[Axis], part: impl Fn(usize, &Axis) -> String) -> String {
    axes.iter().enumerate().map(|(i, axis)| part(i, axis)).collect::<Vec<_>>().join(", ")
}

fn output_axes(axes: &[Axis]) -> String {
    each(axes, |i, it| format!("o{i} < {}", it.out()))
}

fn taps(axes: &[Axis]) -> String {
    each(axes, |i, it| format!("k{i} < {}", it.kernel))
}

/// Where the image is read.
fn position(axes: &[Axis]) -> String {
    each(axes, |i, it| format!("{}*o{i} + {}*k{i} - {}", it.stride, it.dilation, it.padding))
}

/// A convolution of two images of `group · c` channels to `group · m`.
fn convolution(dtype: &str, sum: &str, axes: &[Axis], [g, c, m]: [i64; 3]) -> String {
    let term = |load: &str| if dtype == sum { load.to_owned() } else { format!("cast<{sum}>({load})") };
    let (image, out) = (each(axes, |_, it| it.extent.to_string()), each(axes, |_, it| it.out().to_string()));
    // One group has no axis.
    let (group, own, channel) = match g {
        1 => (String::new(), "c".to_owned(), "o".to_owned()),
        _ => (format!("g < {g}, "), format!("{c}*g + c"), format!("{m}*g + o")),
    };
    format!(
        "kernel @convolution {{
  in %x: {dtype}[2, {0}, {image}]
  in %w: {dtype}[{1}, {c}, {2}]
  out %y: {sum}[2, {1}, {out}]
  for n < 2, {group}o < {m}, {3} {{
    %y[n, {channel}, {4}] = sum c < {c}, {5} {{ {6} * {7} }}
  }}
}}
",
        g * c,
        g * m,
        each(axes, |_, it| it.kernel.to_string()),
        output_axes(axes),
        each(axes, |i, _| format!("o{i}")),
        taps(axes),
        term(&format!("%x[n, {own}, {} | {dtype}(0)]", position(axes))),
        term(&format!("%w[{channel}, c, {}]", each(axes, |i, _| format!("k{i}")))),
    )
}

/// The largest or the sum of a window over six planes.
fn pool(dtype: &str, least: Option<&str>, axes: &[Axis]) -> String {
    let (image, out) = (each(axes, |_, it| it.extent.to_string()), each(axes, |_, it| it.out().to_string()));
    format!(
        "kernel @pool {{
  in %x: {dtype}[2, 3, {image}]
  out %y: {dtype}[2, 3, {out}]
  for n < 2, c < 3, {0} {{
    %y[n, c, {1}] = {2} {3} {{ %x[n, c, {4} | {dtype}({5})] }}
  }}
}}
",
        output_axes(axes),
        each(axes, |i, _| format!("o{i}")),
        if least.is_some() { "max" } else { "sum" },
        taps(axes),
        position(axes),
        least.unwrap_or("0"),
    )
}

/// Images that differ in all that decides the code: rank, kernel, stride, dilation, padding.
fn images() -> Vec<Vec<Axis>> {
    let wide = Axis::new(37, 3);
    vec![
        vec![wide],
        vec![Axis { stride: 3, dilation: 2, ..wide }],
        vec![Axis::new(9, 3), Axis::new(23, 3)],
        vec![Axis { stride: 2, ..Axis::new(9, 3) }, Axis { stride: 2, ..Axis::new(23, 3) }],
        vec![Axis { dilation: 2, ..Axis::new(9, 2) }, Axis { stride: 3, padding: 0, ..Axis::new(23, 4) }],
        vec![Axis::new(4, 3), Axis::new(5, 3), Axis::new(19, 3)],
        vec![
            Axis { stride: 2, ..Axis::new(5, 2) },
            Axis { dilation: 2, ..Axis::new(6, 3) },
            Axis { stride: 2, ..Axis::new(21, 3) },
        ],
        vec![Axis::new(3, 1), Axis::new(4, 1), Axis::new(9, 1)],
        vec![Axis::new(3, 2), Axis::new(3, 1), Axis { stride: 2, ..Axis::new(4, 3) }, Axis::new(10, 3)],
    ]
}

#[test]
fn convolutions_of_whole_lanes() {
    // The types of a width take the same path through all but the arithmetic.
    for (number, axes) in images().iter().enumerate() {
        let types = [["f32", "f64"], ["i64", "i32"], ["u64", "u32"]];
        let dtype = types[number % 3][number / 3 % 2];
        check(&convolution(dtype, dtype, axes, [2, 3, 5]), "convolution");
        let wide = ["f64", "i64"][number % 2];
        check(&convolution(wide, wide, axes, [1, 4, 17]), "convolution");
        check(&convolution(wide, wide, axes, [6, 1, 1]), "depthwise");
    }
}

#[test]
fn convolutions_of_narrow_elements() {
    for (number, axes) in images().iter().enumerate() {
        let types = [("f16", "f32"), ("i8", "i32"), ("bf16", "f32"), ("u8", "i32"), ("i16", "i32")];
        for (dtype, sum) in [types[number % 5], types[(number + 3) % 5]] {
            check(&convolution(dtype, sum, axes, [2, 5, 3]), "convolution");
        }
        let (dtype, sum) = types[number % 5];
        // Whole lanes alone are read three apart.
        let apart = axes.last().is_some_and(|it| it.stride > 2);
        let chosen = if apart { "convolution" } else { "depthwise" };
        check(&convolution(dtype, sum, axes, [6, 1, 1]), chosen);
    }
}

/// A bias for each channel, another image, and a function.
#[test]
fn wide_results_are_finished_in_the_tile() {
    for (dtype, last) in [("f64", "exp(min(%s, f64(3)))"), ("i64", "max(%s, i64(-5))"), ("u64", "%s")] {
        let axes = [Axis::new(9, 3), Axis::new(23, 3)];
        let text = convolution(dtype, dtype, &axes, [2, 3, 5]);
        let text = text
            .replace("out %y", &format!("in %b: {dtype}[10]\n  in %z: {dtype}[2, 10, 9, 23]\n  local %s"))
            .replace("%y[n,", "%s[n,")
            .replace("  local", &format!("  out %y: {dtype}[2, 10, 9, 23]\n  local"));
        let value = last.replace("%s", "(%s[p, q, i, j] + %b[q]) + %z[p, q, i, j]");
        let last = format!("  for p < 2, q < 10, i < 9, j < 23 {{ %y[p, q, i, j] = {value} }}\n}}\n");
        let text = format!("{}{last}", text.trim_end().trim_end_matches('}'));
        check(&text, "1 fused");
    }
}

#[test]
fn pools_of_every_element() {
    for axes in images() {
        for (dtype, least) in [
            ("f64", "-inf"),
            ("f32", "-inf"),
            ("i64", "-9223372036854775808"),
            ("i32", "-2147483648"),
            ("u32", "0"),
            ("f16", "-inf"),
            ("i8", "-128"),
            ("u8", "0"),
        ] {
            // Whole lanes alone are read three apart.
            let whole = matches!(dtype, "f64" | "f32" | "i64" | "i32");
            if whole || axes.last().is_some_and(|it| it.stride <= 2) {
                // Neighbours that are narrow and all there are strips.
                check(&pool(dtype, Some(least), &axes), if whole { "pool Max" } else { "" });
            }
        }
        for dtype in ["f64", "f32", "i64", "i32"] {
            check(&pool(dtype, None, &axes), "pool Sum");
        }
    }
}
