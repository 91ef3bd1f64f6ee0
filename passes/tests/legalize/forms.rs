//! The forms that kernels have: fusion and code generation recognise them by structure.

use crate::run::lower;
use orogen_ir::loops::analysis::{FusionKind, fusion_kind};

const FORMS: &str = "
    Elementwise: add(f32[2, 3], f32[3])
    Elementwise: mul(f32[2, 3], f32[2, 1])
    Elementwise: relu(f32[2, 3])
    Elementwise: cast(f32[2, 3]) {to = f16}
    Elementwise: where(bool[3], f32[2, 3], f32[1])
    Elementwise: batch_norm(f32[2, 3, 4], f32[3], f32[3], f32[3], f32[3])
    Elementwise: expand(f32[3, 1], i64[2] = [3, 4])
    Injective: transpose(f32[2, 3]) {perm = [1, 0]}
    Injective: slice(f32[5], i64[1] = [1], i64[1] = [3], i64[1] = [1]) {axes = [0]}
    Injective: pad(f32[5], i64[2] = [1, 1])
    Injective: gather(f32[4, 3], i64[2] (0, 4)) {axis = 0}
    Injective: resize(f32[1, 2, 4, 5], i64[4] = [1, 2, 8, 10])
    Row: softmax(f32[2, 5]) {axis = 1}
    Row: softmax(f32[2, 3, 5]) {axis = 2}
    Row: log_softmax(f32[2, 5]) {axis = 1}
    Row: layer_norm(f32[2, 3, 5], f32[5], f32[5]) {axis = 2}
    Row: reduce_mean(f32[2, 5]) {axes = [1], keepdims = true}
    Row: reduce_max(f32[2, 5]) {axes = [1]}
    Row: reduce_sum(f32[2, 5]) {axes = [0]}
    Reduction: reduce_mean(f32[1, 2, 4, 5]) {axes = [2, 3], keepdims = true}
    Reduction: max_pool(f32[1, 2, 7, 6]) {kernel = [3, 2], pads = [1, 1, 1, 0]}
    Reduction: avg_pool(f32[1, 2, 7, 6]) {kernel = [3, 2]}
    Contraction: matmul(f32[3, 4], f32[4, 5])
    Contraction: matmul(f16[3, 4], f16[4, 5])
    Contraction: matmul(f32[2, 3, 4], f32[2, 4, 5])
    Contraction: conv(f32[1, 3, 7, 6], f32[4, 3, 3, 3])
    Contraction: conv(f32[1, 3, 7, 6], f32[4, 3, 3, 3], f32[4]) {pads = [1, 1, 1, 1]}
    Contraction: conv(f32[1, 4, 7, 6], f32[4, 1, 3, 3], f32[4]) {group = 4}
    Contraction: matmul_integer(u8[3, 4], i8[4, 5])
    Contraction: matmul_integer(u8[3, 4], i8[4, 5], u8[], i8[5]) {to = f32}
    Contraction: matmul_integer(u8[3, 4], i8[4, 5], u8[], i8[5])
    Contraction: conv_integer(u8[1, 3, 7, 6], i8[4, 3, 3, 3], u8[], i8[4, 1, 1, 1]) {pads = [1, 1, 1, 1]}
    Contraction: matmul_mixed(f32[3, 4], u8[4, 5], u8[5])
    Contraction: conv_mixed(f32[1, 3, 7, 6], f16[4, 3, 3, 3])
    Elementwise: quantize(f32[2, 3], f32[], u8[]) {to = u8}
    Elementwise: dequantize(u8[2, 3], f32[3], u8[3])
    Contraction: conv_transpose(f32[1, 3, 4, 5], f32[3, 2, 2, 2]) {strides = [2, 2]}
";

#[test]
fn kernels_have_the_forms_that_code_generation_knows() {
    let mut failures = Vec::new();
    for line in FORMS.lines().map(str::trim).filter(|it| !it.is_empty()) {
        let (form, case) = line.split_once(": ").expect("a form and a case");
        // A symbolic window or scale leaves these the general form.
        let fixed = case.starts_with("resize") || case.starts_with("conv_transpose");
        for symbolic in [false, true].into_iter().filter(|it| !(fixed && *it)) {
            let lowering = lower(case, symbolic).unwrap_or_else(|it| panic!("{case}: {it}"));
            let Some(program) = lowering.single_kernel() else { panic!("{case}: not one kernel") };
            let kind: FusionKind = fusion_kind(program);
            if format!("{kind:?}") != form {
                failures.push(format!("{case}, symbolic {symbolic}: {kind:?}, expected {form}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
