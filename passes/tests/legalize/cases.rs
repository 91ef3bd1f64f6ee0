//! The cases, a list for each family.

/// All lines that are cases.
pub(crate) fn all() -> impl Iterator<Item = &'static str> {
    [ELEMENTWISE, REDUCE, CONTRACTION, QUANTIZED, POOL, NORMALIZE, RESIZE, RNN, MOVEMENT, INDEX, SELECTION]
        .into_iter()
        .flat_map(str::lines)
        .map(str::trim)
}

pub(crate) const ELEMENTWISE: &str = "
    abs(f32[2, 3])
    abs(i32[4] (-5, 5))
    neg(f32[0, 3])
    neg(i64[2] = [3, -4])
    sign(f32[7])
    sign(i64[3] (-2, 2))
    exp(f32[2, 3])
    exp(f16[5])
    log(f32[9])
    sqrt(f32[9])
    reciprocal(f32[4])
    sin(f32[4])
    cos(f32[4])
    tan(f32[4])
    asin(f32[4])
    acos(f32[4])
    atan(f32[4])
    sinh(f32[4])
    cosh(f32[4])
    asinh(f32[4])
    acosh(f32[9])
    atanh(f32[9])
    tanh(f32[])
    sigmoid(bf16[3, 2])
    erf(f64[4])
    expm1(f32[9])
    log1p(f32[9])
    floor(f32[9])
    ceil(f32[9])
    round(f32[9])
    round(f64[7] (-3, 3))
    relu(f32[9])
    relu(i32[4] (-5, 5))
    not(bool[5])
    not(bool[2] = [0, 1])
    bit_not(i32[4] (-5, 5))
    bit_not(u8[4])
    is_nan(f32[3])
    is_inf(f32[3])
    cast(f32[5]) {to = i32}
    cast(i64[3] = [0, 5, -7]) {to = i32}
    cast(i64[3] (-2, 2)) {to = bool}
    cast(bool[4]) {to = f32}
    bit_cast(f32[5]) {to = i32}
    bit_cast(i64[2, 2]) {to = f64}
    bit_cast(u16[3] (0, 900)) {to = i16}
    bit_cast(i8[4] (0, 2)) {to = bool}
    cast(f32[3]) {to = f16}
    cast(i64[2] = [0, 4]) {to = bool}
    add(f32[2, 3], f32[2, 3])
    add(f32[2, 1, 3], f32[4, 1])
    add(f32[0, 3], f32[3])
    add(f32[], f32[2])
    add(i64[2] = [1, 2], i64[1] = [5])
    sub(f32[2, 3], f32[3])
    sub(u8[3], u8[3])
    mul(f16[2, 3], f16[1, 3])
    mul(i64[2] = [3, 4], i64[2] = [2, -1])
    div(f32[2, 3], f32[3])
    div(i32[8] (-9, 9), i32[8] (-3, 3))
    div(i64[4] = [7, -7, 7, 7], i64[4] = [2, 2, -2, 0])
    mod(i32[8] (-9, 9), i32[8] (-3, 3))
    mod(i64[4] = [7, -7, 7, -7], i64[4] = [3, 3, -3, 0])
    mod(i32[8] (-9, 9), i32[8] (-3, 3)) {fmod = true}
    mod(f32[8], f32[8]) {fmod = true}
    mod(f32[8], f32[8])
    pow(f32[4], f32[4] (0, 4))
    pow(i64[2] = [3, 4], i64[] = [2])
    max(f32[5], f32[5])
    max(i64[2] = [3, 4], i64[2] = [4, 3])
    min(f32[2, 2], f32[1])
    min(i64[2] = [3, 4], i64[2] = [4, 3])
    and(bool[4], bool[4])
    and(i32[4], i32[4])
    and(bool[2] = [1, 0], bool[2] = [1, 1])
    or(bool[4], bool[4])
    xor(bool[4], bool[4])
    xor(u8[4], u8[4])
    shift_left(u32[3], u32[3])
    shift_right(i32[3] (-100, 100), i32[3] (0, 5))
    equal(i64[6] (0, 2), i64[6] (0, 2))
    equal(bool[4], bool[4])
    equal(i64[2] = [3, -1], i64[1] = [-1])
    less(f32[3, 1], f32[4])
    less_equal(i32[5], i32[5])
    greater(i64[2] = [3, 4], i64[2] = [4, 3])
    greater(f32[5], f32[5])
    greater_equal(f32[5], f32[])
    where(bool[4], f32[4], f32[1])
    where(bool[3, 1], i64[4], i64[3, 4])
    where(bool[2] = [1, 0], i64[2] = [7, 8], i64[1] = [9])
";

pub(crate) const REDUCE: &str = "
    reduce_sum(f32[2, 3, 4]) {axes = [1]}
    reduce_sum(f32[2, 3, 4]) {axes = [0, 2], keepdims = true}
    reduce_sum(f32[2, 0]) {axes = [1]}
    reduce_sum(f16[40]) {axes = [0]}
    reduce_sum(i64[3] = [2, 3, 4]) {axes = [0], keepdims = true}
    reduce_sum(f32[2, 3]) {axes = []}
    reduce_prod(f32[2, 3]) {axes = [1]}
    reduce_prod(i64[2] = [3, 4]) {axes = [0]}
    reduce_max(f32[2, 3]) {axes = [0]}
    reduce_max(i32[2, 3] (-4, 4)) {axes = [1], keepdims = true}
    reduce_max(bool[4]) {axes = [0]}
    reduce_max(i64[2] = [3, 4]) {axes = [0]}
    reduce_min(f32[2, 3]) {axes = [0, 1]}
    reduce_min(u8[5]) {axes = [0]}
    reduce_mean(f32[2, 3, 4]) {axes = [1, 2], keepdims = true}
    reduce_mean(f16[30]) {axes = [0]}
    reduce_mean(i32[4] (-9, 9)) {axes = [0]}
    reduce_mean(f32[0, 3]) {axes = [0]}
    arg_max(f32[3, 5]) {axis = 1}
    arg_max(i32[3, 9] (0, 3)) {axis = 1, select_last = true}
    arg_max(i32[3, 9] (0, 3)) {axis = 1, keepdims = true}
    arg_min(i32[9, 2] (0, 3)) {axis = 0}
    arg_min(f32[4]) {axis = 0, select_last = true}
    cum_sum(f32[2, 5]) {axis = 1}
    cum_sum(f32[4, 2]) {axis = 0, exclusive = true}
    cum_sum(i32[5]) {axis = 0, reverse = true}
    cum_sum(f16[5]) {axis = 0, reverse = true, exclusive = true}
    cum_sum(i64[3] = [3, 4, 5]) {axis = 0}
    cum_sum(f32[0]) {axis = 0}
    cum_prod(f32[2, 5]) {axis = 1}
    cum_prod(i32[4, 2] (-4, 4)) {axis = 0, exclusive = true}
    cum_prod(f16[5]) {axis = 0, reverse = true, exclusive = true}
    cum_prod(f32[0]) {axis = 0}
";

pub(crate) const CONTRACTION: &str = "
    matmul(f32[3, 4], f32[4, 5])
    matmul(f32[4], f32[4, 5])
    matmul(f32[3, 4], f32[4])
    matmul(f32[4], f32[4])
    matmul(f32[2, 1, 3, 4], f32[5, 4, 2])
    matmul(f32[2, 3, 4], f32[4])
    matmul(f32[3, 0], f32[0, 5])
    matmul(f32[0, 4], f32[4, 5])
    matmul(f16[3, 16], f16[16, 2])
    matmul(i32[3, 4], i32[4, 2])
    conv(f32[2, 3, 7], f32[4, 3, 3])
    conv(f32[1, 3, 7, 6], f32[4, 3, 3, 2], f32[4]) {pads = [1, 0, 2, 1], strides = [2, 1]}
    conv(f32[1, 4, 7, 6], f32[6, 2, 3, 3], f32[6]) {pads = [1, 1, 1, 1], group = 2}
    conv(f32[1, 4, 7, 6], f32[4, 1, 3, 3]) {pads = [1, 1, 1, 1], group = 4, dilations = [2, 1]}
    conv(f32[2, 4, 7], f32[8, 1, 3]) {group = 4, dilations = [2]}
    conv(f32[1, 2, 3, 4, 3], f32[2, 2, 2, 2, 2])
    conv(f32[1, 5, 4, 4], f32[3, 5, 1, 1], f32[3])
    conv(f16[1, 5, 4], f16[3, 5, 2], f16[3])
    conv(f32[0, 3, 7], f32[4, 3, 3])
    conv(f32[1, 3, 2], f32[4, 3, 3])
    conv(f32[1, 3, 9], f32[4, 3, 3]) {pads = [-1, -1]}
    conv_transpose(f32[1, 3, 4], f32[3, 2, 3])
    conv_transpose(f32[1, 3, 4, 5], f32[3, 2, 2, 2], f32[2]) {strides = [2, 2]}
    conv_transpose(f32[1, 3, 4, 5], f32[3, 2, 3, 3], f32[2]) {strides = [2, 2], pads = [1, 1, 1, 1], output_padding = [1, 0]}
    conv_transpose(f32[1, 4, 3], f32[4, 3, 4]) {strides = [2], group = 2, dilations = [2]}
    conv_transpose(f32[2, 4, 3], f32[4, 1, 4]) {strides = [3], group = 4}
    conv_transpose(f32[2, 2, 3, 3], f32[2, 3, 3, 2]) {strides = [3, 1], pads = [0, 1, 0, 0]}
    conv_transpose(f16[1, 2, 3], f16[2, 3, 2]) {strides = [2]}
";

pub(crate) const QUANTIZED: &str = "
    quantize(f32[2, 5], f32[] (1, 2)) {to = u8}
    quantize(f32[2, 5], f32[5] (1, 4), i8[5] (-9, 9)) {to = i8}
    quantize(f32[3, 4], f32[3, 1] (1, 4), u16[1] (0, 9)) {to = u16}
    quantize(f16[7], f16[] (1, 4)) {to = i16}
    quantize(f64[7], f64[] (1, 4), u8[] (100, 120)) {to = u8}
    dequantize(u8[2, 5] (0, 255), f32[])
    dequantize(i4[2, 3] (-8, 7), f32[3], i4[3] (-8, 7))
    dequantize(f8e4m3fn[2, 3], f16[2, 1])
    dequantize_blocks(u4[70, 5] (0, 15), f32[3, 5], u4[3, 5] (0, 15)) {axis = 0, block = 32}
    dequantize_blocks(i8[5, 64] (-128, 127), f16[5, 2], f16[5, 2]) {axis = 1, block = 32}
    dequantize_blocks(f4e2m1fn[2, 8, 3], f32[2, 2, 3]) {axis = 1, block = 4}
    dequantize(i8[2, 5] (-128, 127), f32[5], i8[5] (-128, 127))
    dequantize(u8[3, 4] (0, 255), f16[3, 1], u8[1] (0, 255))
    dequantize(i16[7] (-32768, 32767), bf16[])
    dequantize(i32[7] (-2147483648, 2147483647), f32[], i32[] (-9, 9))
    dequantize(u8[0, 3], f64[])
    matmul_integer(u8[3, 4] (0, 255), i8[4, 5] (-128, 127))
    matmul_integer(u8[3, 70] (0, 255), u8[70, 5] (0, 255), u8[] (0, 255), u8[] (0, 255))
    matmul_integer(i8[3, 70] (-128, 127), u8[70, 5] (0, 255), i8[3, 1] (-128, 127), u8[5] (0, 255))
    matmul_integer(u8[2, 3, 4] (0, 255), i8[4, 5] (-128, 127), u8[1] = [7], i8[1, 5] (-128, 127))
    matmul_integer(i8[2, 3, 4] (-128, 127), i8[2, 4, 5] (-128, 127), i8[2, 3, 1] (-9, 9), i8[2, 1, 5] (-9, 9))
    matmul_integer(u8[3, 4] (0, 255), i8[4, 5] (-128, 127), u8[] = [0], i8[5] (-128, 127))
    matmul_integer(u8[4] (0, 255), i8[4, 5] (-128, 127), u8[] (0, 255))
    matmul_integer(u8[4] (0, 255), u8[4] (0, 255), u8[1] (0, 255), u8[1] (0, 255))
    matmul_integer(u8[3, 0], i8[0, 5])
    matmul_integer(u8[3, 70] (0, 255), u8[70, 5] (0, 255), u8[] (0, 255), u8[] (0, 255)) {to = f32}
    matmul_integer(i8[2, 3, 4] (-128, 127), i8[4] (-128, 127)) {to = f32}
    matmul_mixed(f32[3, 4], i8[4, 5] (-128, 127))
    matmul_mixed(f16[2, 3, 4], u8[4, 5] (0, 255), u8[5] (0, 255))
    matmul_mixed(i16[3, 70] (-999, 999), f32[70, 5], i16[3, 1] (-9, 9))
    matmul_mixed(f32[4], u16[4, 5] (0, 999), u16[] (0, 999))
    matmul_mixed(f32[3, 4], f16[4, 5])
    matmul_mixed(f32[3, 4], i4[4, 5] (-8, 7))
    matmul_mixed(f32[3, 4], u2[4, 5] (0, 3), u2[5] (0, 3))
    matmul_mixed(f32[3, 4], f4e2m1fn[4, 5])
    matmul_blocks(f32[3, 64], i4[64, 5] (-8, 7), f32[2, 5]) {block = 32}
    matmul_blocks(f16[2, 3, 70], u4[70, 5] (0, 15), f32[3, 5], u4[3, 5] (0, 15)) {block = 32}
    matmul_blocks(f32[64], u2[64, 5] (0, 3), bf16[2, 5], bf16[2, 5]) {block = 32}
    matmul_blocks(f32[2, 3, 8], i16[2, 8, 5] (-999, 999), f32[2, 2, 5]) {block = 4}
    matmul_mixed(bf16[3, 0], i8[0, 5], i8[] = [0])
    conv_mixed(f32[1, 4, 7, 6], i8[6, 2, 3, 3] (-128, 127)) {pads = [1, 1, 1, 1], group = 2}
    conv_mixed(f32[1, 4, 7], u8[4, 1, 3] (0, 255), u8[4, 1, 1] (0, 255)) {pads = [1, 1], group = 4}
    conv_mixed(f16[1, 3, 7, 6], bf16[4, 3, 3, 2])
    conv_integer(u8[2, 3, 7] (0, 255), i8[4, 3, 3] (-128, 127))
    conv_integer(u8[1, 3, 7, 6] (0, 255), u8[4, 3, 3, 2] (0, 255), u8[] (0, 255), u8[4, 1, 1, 1] (0, 255)) {pads = [1, 0, 2, 1], strides = [2, 1]}
    conv_integer(i8[1, 4, 7, 6] (-128, 127), u8[6, 2, 3, 3] (0, 255), i8[1] (-128, 127), u8[1] (0, 255)) {pads = [1, 1, 1, 1], group = 2}
    conv_integer(u8[1, 4, 7, 6] (0, 255), i8[4, 1, 3, 3] (-128, 127), u8[] (0, 255)) {pads = [1, 1, 1, 1], group = 4, dilations = [2, 1]}
    conv_integer(u8[1, 4, 7] (0, 255), i8[4, 4, 3] (-128, 127), u8[] = [0], i8[4, 1, 1] (-128, 127)) {pads = [1, 1]}
";

pub(crate) const POOL: &str = "
    max_pool(f32[1, 2, 7]) {kernel = [3]}
    max_pool(f32[1, 2, 7, 6]) {kernel = [3, 2], strides = [2, 2], pads = [1, 1, 1, 0]}
    max_pool(f32[1, 2, 7, 6]) {kernel = [2, 2], strides = [2, 4], ceil_mode = true}
    max_pool(f32[1, 1, 9]) {kernel = [2], dilations = [3]}
    max_pool(i8[1, 2, 7] (-9, 0)) {kernel = [3], pads = [1, 1]}
    max_pool(u8[1, 2, 7]) {kernel = [3], pads = [1, 1]}
    max_pool(f32[0, 2, 7]) {kernel = [3]}
    avg_pool(f32[1, 2, 7]) {kernel = [3]}
    avg_pool(f32[1, 2, 7, 6]) {kernel = [3, 2], strides = [2, 2], pads = [1, 1, 1, 0]}
    avg_pool(f32[1, 2, 7, 6]) {kernel = [3, 2], strides = [2, 2], pads = [1, 1, 1, 0], count_include_pad = true}
    avg_pool(f32[1, 2, 7, 6]) {kernel = [3, 4], strides = [2, 3], ceil_mode = true}
    avg_pool(f32[1, 2, 7, 6]) {kernel = [3, 4], strides = [2, 3], pads = [1, 1, 1, 1], ceil_mode = true, count_include_pad = true}
    avg_pool(f32[1, 2, 9]) {kernel = [3], dilations = [2], pads = [2, 1]}
    avg_pool(f16[1, 2, 7]) {kernel = [3]}
";

pub(crate) const NORMALIZE: &str = "
    softmax(f32[2, 5]) {axis = 1}
    softmax(f32[2, 5, 3]) {axis = 1}
    softmax(f16[2, 5]) {axis = 1}
    softmax(f32[1]) {axis = 0}
    softmax(f32[2, 0]) {axis = 1}
    log_softmax(f32[4, 3]) {axis = 0}
    log_softmax(f32[2, 5]) {axis = 1}
    attention(f32[3, 4], f32[5, 4], f32[5, 2]) {scale = 0.5}
    attention(f32[2, 3, 4, 8], f32[2, 3, 5, 8], f32[2, 3, 5, 8]) {scale = 0.25}
    attention(f32[2, 3, 4, 8], f32[2, 1, 5, 8], f32[2, 1, 5, 6], f32[2, 1, 1, 5]) {scale = 0.25}
    attention(f32[2, 4, 8], f32[2, 5, 8], f32[2, 5, 6], bool[4, 5]) {scale = 1.0, hidden = -3e4}
    attention(f32[2, 4, 8], f32[2, 5, 8], f32[2, 5, 6], bool[4, 1]) {scale = 1.0, safe = true}
    attention(f16[2, 4, 8], f16[2, 5, 8], f16[2, 5, 6]) {scale = 0.25}
    attention(f32[2, 4, 3, 8], f32[2, 3, 8, 5], f32[2, 5, 3, 6], f32[2, 1, 1, 5]) {scale = 0.25, q_perm = [0, 2, 1, 3], k_perm = [0, 1, 3, 2], v_perm = [0, 2, 1, 3], out_perm = [0, 2, 1, 3]}
    attention(f32[2, 4, 3, 8], f32[2, 3, 8, 5], f32[2, 5, 3, 6], f32[2, 1, 1, 5]) {scale = 0.25, q_perm = [0, 2, 1, 3], k_perm = [0, 1, 3, 2], v_perm = [0, 2, 1, 3], out_perm = [0, 2, 1, 3], fused = true}
    attention(f16[2, 4, 8], f16[2, 5, 8], f16[2, 5, 6], bool[4, 5]) {scale = 0.25, fused = true}
    attention(f64[2, 4, 8], f64[2, 5, 8], f64[2, 5, 6]) {scale = 0.25, fused = true}
    attention(f32[8, 2, 4], f32[2, 5, 8], f32[2, 5, 6]) {scale = 0.25, q_perm = [1, 2, 0], out_perm = [2, 0, 1], fused = true}
    layer_norm(f32[2, 5], f32[5], f32[5]) {axis = 1, epsilon = 1e-3}
    layer_norm(f32[2, 3, 5], f32[3, 5]) {axis = 1}
    layer_norm(f16[2, 6], f16[6]) {axis = 1}
    layer_norm(f32[2, 3, 5]) {axis = 1}
    layer_norm(f32[0, 6], f32[6]) {axis = 1}
    batch_norm(f32[2, 3, 4], f32[3], f32[3], f32[3], f32[3] (1, 4)) {epsilon = 1e-5}
    batch_norm(f32[2, 3], f32[3], f32[3], f32[3], f32[3] (1, 4))
    batch_norm(f16[2, 3, 2, 2], f16[3], f16[3], f16[3], f16[3] (1, 4))
";

pub(crate) const RESIZE: &str = "
    resize(f32[1, 2, 4, 5], i64[4] = [1, 2, 8, 10])
    resize(f32[1, 2, 4, 5], i64[4] = [1, 2, 8, 15]) {coordinates = \"asymmetric\", nearest = \"floor\", scales = [1.0, 1.0, 2.0, 3.0]}
    resize(f32[1, 2, 4, 5], i64[4] = [1, 2, 7, 3])
    resize(f32[4, 5], i64[2] = [7, 3]) {nearest = \"round_prefer_ceil\"}
    resize(f32[4, 5], i64[2] = [9, 3]) {nearest = \"ceil\", coordinates = \"asymmetric\"}
    resize(f32[4, 5], i64[2] = [7, 1]) {nearest = \"floor\", coordinates = \"align_corners\"}
    resize(i32[4, 5], i64[2] = [2, 9]) {coordinates = \"pytorch_half_pixel\"}
    resize(f32[4], i64[1] = [6]) {scales = [1.6]}
    resize(f32[4, 4], i64[2] = [4, 4])
    resize(f32[1, 2, 4, 5], i64[4] = [1, 2, 8, 10]) {mode = \"linear\"}
    resize(f32[1, 2, 4, 5], i64[4] = [1, 2, 3, 7]) {mode = \"linear\", coordinates = \"align_corners\"}
    resize(f32[1, 2, 4, 5], i64[4] = [1, 2, 3, 1]) {mode = \"linear\", coordinates = \"align_corners\"}
    resize(f32[4, 5], i64[2] = [3, 1]) {mode = \"linear\", coordinates = \"pytorch_half_pixel\"}
    resize(f32[4, 5], i64[2] = [9, 7]) {mode = \"linear\", coordinates = \"asymmetric\"}
    resize(f32[3, 4, 5], i64[3] = [4, 6, 7]) {mode = \"linear\"}
    resize(f16[4], i64[1] = [9]) {mode = \"linear\"}
    resize(f32[4], i64[1] = [9]) {mode = \"linear\", coordinates = \"half_pixel_symmetric\", scales = [2.3]}
    resize(f32[4, 5], i64[2] = [9, 7]) {mode = \"cubic\"}
    resize(f32[4, 5], i64[2] = [3, 12]) {mode = \"cubic\", exclude_outside = true, cubic_a = -0.5}
    resize(f32[4, 5], i64[2] = [8, 5]) {mode = \"cubic\", coordinates = \"align_corners\"}
";

pub(crate) const RNN: &str = "
    lstm(f32[4, 2, 3], f32[1, 20, 3], f32[1, 20, 5], f32[1, 40], f32[1, 2, 5], f32[1, 2, 5])
    lstm(f32[4, 2, 3], f32[1, 20, 3], f32[1, 20, 5], f32[1, 40], f32[1, 2, 5], f32[1, 2, 5]) {direction = \"reverse\"}
    lstm(f32[4, 2, 3], f32[2, 20, 3], f32[2, 20, 5], f32[2, 40], f32[2, 2, 5], f32[2, 2, 5]) {direction = \"bidirectional\"}
    lstm(f32[0, 2, 3], f32[1, 20, 3], f32[1, 20, 5], f32[1, 40], f32[1, 2, 5], f32[1, 2, 5])
    lstm_integer(f32[4, 2, 3], i8[1, 20, 3] (-128, 127), u8[1, 20, 5] (0, 255), f32[1, 40], f32[1, 2, 5], f32[1, 2, 5], f32[1, 1] (1, 2), f32[1, 20], i8[1, 20] (-9, 9), u8[1, 1] (100, 150))
    lstm_integer(f32[3, 2, 3], i8[2, 20, 3] (-3, 3), i8[2, 20, 5] (-3, 3), f32[2, 40], f32[2, 2, 5], f32[2, 2, 5], f32[2, 20], f32[2, 1]) {direction = \"bidirectional\"}
    lstm_integer(f32[4, 3, 3], i8[2, 20, 3] (-3, 3), i8[2, 20, 5] (-3, 3), f32[2, 40], f32[2, 3, 5], f32[2, 3, 5], f32[2, 1], f32[2, 1], i8[2, 1] (-2, 2), i8[2, 1] (-2, 2), f32[2, 15], i32[3] (0, 4)) {direction = \"bidirectional\"}
    lstm_integer(f32[0, 2, 3], i8[1, 20, 3] (-3, 3), i8[1, 20, 5] (-3, 3), f32[1, 40], f32[1, 2, 5], f32[1, 2, 5], f32[1, 1], f32[1, 1])
    lstm(f32[1, 1, 1], f32[1, 4, 1], f32[1, 4, 1], f32[1, 8], f32[1, 1, 1], f32[1, 1, 1])
    lstm(f32[4, 3, 3], f32[1, 20, 3], f32[1, 20, 5], f32[1, 40], f32[1, 3, 5], f32[1, 3, 5], f32[1, 15])
    lstm(f32[4, 3, 3], f32[2, 20, 3], f32[2, 20, 5], f32[2, 40], f32[2, 3, 5], f32[2, 3, 5], f32[2, 15], i32[3] (0, 4)) {direction = \"bidirectional\", clip = 0.5}
    lstm(f32[4, 3, 3], f32[1, 20, 3], f32[1, 20, 5], f32[1, 40], f32[1, 3, 5], f32[1, 3, 5], f32[1, 15], i64[3] (0, 4)) {direction = \"reverse\", input_forget = true, activations = \"hardsigmoid, softsign, elu\"}
    lstm(f32[4, 3, 3], f32[2, 20, 3], f32[2, 20, 5], f32[2, 40], f32[2, 3, 5], f32[2, 3, 5]) {direction = \"bidirectional\", activations = \"affine, relu, leakyrelu, scaledtanh, thresholdedrelu, softplus\", alphas = [0.5, 0, 0.1, 0.7, 0.2, 0], betas = [0.25, 0, 0, 1.5, 0, 0]}
    lstm(f16[4, 3, 3], f16[1, 20, 3], f16[1, 20, 5], f16[1, 40], f16[1, 3, 5], f16[1, 3, 5], f16[1, 15], i32[3] (0, 4))
    gru(f32[4, 3, 3], f32[1, 15, 3], f32[1, 15, 5], f32[1, 30], f32[1, 3, 5], i32[3] (0, 4))
    gru(f32[4, 3, 3], f32[2, 15, 3], f32[2, 15, 5], f32[2, 30], f32[2, 3, 5], i32[3] (0, 4)) {direction = \"bidirectional\", linear_before_reset = true, clip = 0.3, activations = \"sigmoid, relu, hardsigmoid, tanh\"}
    rnn(f32[4, 3, 3], f32[1, 5, 3], f32[1, 5, 5], f32[1, 10], f32[1, 3, 5])
    rnn(f32[4, 3, 3], f32[2, 5, 3], f32[2, 5, 5], f32[2, 10], f32[2, 3, 5], i64[3] (0, 4)) {direction = \"bidirectional\", activations = \"relu, tanh\", clip = 2.0}
    rnn(f64[4, 3, 3], f64[1, 5, 3], f64[1, 5, 5], f64[1, 10], f64[1, 3, 5]) {direction = \"reverse\"}
    rnn(f32[0, 2, 3], f32[1, 5, 3], f32[1, 5, 5], f32[1, 10], f32[1, 2, 5])
    gru(f32[4, 2, 3], f32[1, 15, 3], f32[1, 15, 5], f32[1, 30], f32[1, 2, 5])
    gru(f32[4, 2, 3], f32[1, 15, 3], f32[1, 15, 5], f32[1, 30], f32[1, 2, 5]) {linear_before_reset = true}
    gru(f32[4, 2, 3], f32[2, 15, 3], f32[2, 15, 5], f32[2, 30], f32[2, 2, 5]) {direction = \"bidirectional\"}
    gru(f32[4, 2, 3], f32[1, 15, 3], f32[1, 15, 5], f32[1, 30], f32[1, 2, 5]) {direction = \"reverse\", linear_before_reset = true}
";

pub(crate) const MOVEMENT: &str = "
    reshape(f32[2, 6], i64[2] = [3, 4])
    reshape(f32[2, 6], i64[3] = [0, -1, 3])
    reshape(f32[2, 6], i64[1] = [-1])
    reshape(f32[0, 3], i64[2] = [3, 0]) {allow_zero = true}
    reshape(i64[2] = [5, 6], i64[2] = [1, 2])
    squeeze(f32[1, 3, 1]) {axes = [0, 2]}
    squeeze(i64[1] = [7]) {axes = [0]}
    unsqueeze(f32[3]) {axes = [0, 2]}
    unsqueeze(i64[] = [7]) {axes = [0]}
    transpose(f32[2, 3, 4]) {perm = [2, 0, 1]}
    transpose(f32[1, 3, 1, 4]) {perm = [1, 0, 3, 2]}
    transpose(f32[2, 0]) {perm = [1, 0]}
    transpose(i64[1, 2] = [5, 6]) {perm = [1, 0]}
    expand(f32[3, 1], i64[2] = [3, 4])
    expand(f32[3, 1], i64[3] = [2, 1, 4])
    expand(f32[1], i64[1] = [0])
    expand(i64[1] = [4], i64[1] = [3])
    tile(f32[2, 3], i64[2] = [2, 1])
    tile(f32[2, 3], i64[2] = [1, 0])
    tile(i64[2] = [5, 6], i64[1] = [2])
    concat(f32[2, 3], f32[2, 1], f32[2, 0]) {axis = 1}
    concat(f32[0], f32[0]) {axis = 0}
    concat(f32[3]) {axis = 0}
    concat(i64[2] = [3, 4], i64[1] = [-1]) {axis = 0}
    slice(f32[5, 6], i64[1] = [1], i64[1] = [4], i64[1] = [1]) {axes = [1]}
    slice(f32[5, 6], i64[2] = [-3, 0], i64[2] = [9223372036854775807, 6], i64[2] = [1, 2]) {axes = [0, 1]}
    slice(f32[5, 6], i64[1] = [-1], i64[1] = [-9223372036854775807], i64[1] = [-2]) {axes = [1]}
    slice(f32[5, 6], i64[1] = [4], i64[1] = [0], i64[1] = [-1]) {axes = [0]}
    slice(f32[5, 6], i64[1] = [4], i64[1] = [2], i64[1] = [1]) {axes = [0]}
    slice(f32[5, 6], i64[1] = [0], i64[1] = [5], i64[1] = [1]) {axes = [1]}
    slice(f32[5, 6], i64[1] = [5], i64[1] = [6], i64[1] = [1]) {axes = [1]}
    slice(f32[5, 6], i64[1] = [-20], i64[1] = [20], i64[1] = [3]) {axes = [1]}
    slice(f32[5], i64[1] = [-20], i64[1] = [-30], i64[1] = [-1]) {axes = [0]}
    slice(f32[0], i64[1] = [0], i64[1] = [2], i64[1] = [1]) {axes = [0]}
    slice(i64[4] = [5, 6, 7, 8], i64[1] = [1], i64[1] = [-1], i64[1] = [1]) {axes = [0]}
    slice(i64[4] = [5, 6, 7, 8], i64[1] = [-1], i64[1] = [-5], i64[1] = [-3]) {axes = [0]}
    pad(f32[2, 3], i64[4] = [1, 0, 2, 1])
    pad(f32[2, 3], i64[4] = [1, 0, 2, 1], f32[])
    pad(i32[2, 3], i64[4] = [0, 1, 0, 1], i32[] = [7])
    pad(f32[4, 3], i64[4] = [-1, 0, -1, 2])
    pad(f32[4, 3], i64[4] = [3, 0, 2, 2]) {mode = \"reflect\"}
    pad(f32[4, 3], i64[4] = [5, 0, 2, 2]) {mode = \"edge\"}
    pad(f32[0, 3], i64[4] = [1, 0, 1, 0])
    shape_of(f32[2, 3])
    shape_of(f32[2, 3, 4]) {start = 1, end = 2}
    shape_of(f32[])
    size(f32[2, 3])
";

pub(crate) const INDEX: &str = "
    gather(f32[4, 3], i64[2] (-4, 4)) {axis = 0}
    gather(f32[4, 3], i32[2, 2] (-3, 3)) {axis = 1}
    gather(f32[4, 3], i64[] = [-1]) {axis = 0}
    gather(f32[4, 3], i64[] ? [2]) {axis = 1}
    gather(f32[4, 3], i64[0]) {axis = 0}
    gather(i64[3] = [4, 5, 6], i64[] = [-1]) {axis = 0}
    gather(i64[3] = [4, 5, 6], i64[2] = [2, 0]) {axis = 0}
    gather(f32[4], u8[3] (0, 4)) {axis = 0}
    gather_elements(f32[4, 3], i64[2, 3] (-4, 4)) {axis = 0}
    gather_elements(f32[4, 3], i32[4, 5] (-3, 3)) {axis = 1}
    gather_nd(f32[4, 3, 2], i64[5, 2] (-2, 3))
    gather_nd(f32[4, 3], i64[4, 2, 1] (-3, 3)) {batch_dims = 1}
    gather_nd(f32[4, 3], i64[2] ? [3, -1])
    scatter_nd(f32[4, 3], i64[2, 1] (-4, 4), f32[2, 3])
    scatter_nd(f32[4, 3], i64[5, 2] (-3, 3), f32[5]) {reduction = \"add\"}
    scatter_nd(f32[4], i64[6, 1] (0, 4), f32[6]) {reduction = \"max\"}
    scatter_nd(f32[4], i64[6, 1] (0, 4), f32[6]) {reduction = \"min\"}
    scatter_nd(f32[4], i64[6, 1] (0, 4), f32[6]) {reduction = \"mul\"}
    scatter_nd(f32[4], i64[2, 3, 1] (0, 4), f32[2, 3])
    scatter_nd(f32[4], i64[0, 1], f32[0])
    scatter_elements(f32[4, 3], i64[2, 3] (-4, 4), f32[2, 3]) {axis = 0}
    update_slice(f32[4, 3], f32[2, 3], i64[2] ? [1, 0])
    update_slice(f32[4, 3], f32[2, 1], i32[2] ? [9, -2])
    update_slice(i64[5], i64[2], i64[1] = [2])
    update_slice(f16[2, 6, 8], f16[2, 1, 8], i64[3] = [0, 7, 0])
    update_slice(f32[3], f32[0], i64[1] ? [3])
    update_slice(f32[], f32[], i64[0])
    scatter_elements(f32[4, 3], i64[4, 5] (-3, 3), f32[4, 5]) {axis = 1, reduction = \"add\"}
    one_hot(i64[3] (-4, 6), i64[] = [4], f32[2]) {axis = 1}
    one_hot(i32[2, 3] (0, 4), i64[1] = [4], i64[2]) {axis = 0}
    range(i64[] = [2], i64[] = [9], i64[] = [3])
    range(i64[] = [9], i64[] = [2], i64[] = [-2])
    range(i64[] = [5], i64[] = [2], i64[] = [1])
    range(i32[] = [0], i32[] = [100], i32[] = [1])
    full(i64[2] = [2, 3], f32[])
    full(i64[1] = [3], i64[1] = [7])
    full(i64[0] = [], f32[1])
    full(i64[1] = [0], f32[])
    mersenne_twister(i64[1] = [0]) {seed = 1}
    mersenne_twister(i64[1] = [5]) {seed = 0}
    mersenne_twister(i64[1] = [700]) {seed = 4294967295}
    trilu(f32[3, 4]) {upper = true}
    trilu(f32[2, 3, 4], i64[] = [-1])
    trilu(f32[4, 3], i64[] ? [1]) {upper = true}
    trilu(i64[2, 2] = [3, 4, 5, 6], i64[] = [0])
";

pub(crate) const SELECTION: &str = "
    non_zero(f32[2, 3])
    non_zero(i64[3, 2, 4] (0, 2))
    non_zero(bool[7])
    non_zero(bool[1, 5, 1])
    non_zero(f16[5] ? [0, 1, 0, 0, 2])
    non_zero(i32[6] (0, 1))
    non_zero(u8[6] (1, 2))
    non_zero(f32[])
    non_zero(i64[] (0, 1))
    non_zero(f32[0, 3])
    non_zero(i64[2, 2] = [0, 3, 1, 0])
    compress(f32[5], bool[5]) {axis = 0}
    compress(f32[2, 5], bool[5]) {axis = 1}
    compress(i64[4, 3], bool[4]) {axis = 0}
    compress(i64[4, 3], bool[2] ? [0, 1]) {axis = 0}
    compress(f32[2, 3, 2], bool[3] = [1, 0, 1]) {axis = 1}
    compress(f32[4, 3], bool[4] (0, 1)) {axis = 0}
    compress(f32[4, 0], bool[4]) {axis = 0}
    compress(f32[4, 3], bool[0]) {axis = 0}
    top_k(f32[4, 3], i64[1] = [2]) {axis = 1}
    top_k(f16[4, 3, 5], i64[1] = [4]) {axis = 0, smallest = true}
    top_k(i64[2, 9, 2] (0, 3), i64[1] = [5]) {axis = 1}
    top_k(u8[40] (0, 5), i64[1] = [40]) {axis = 0, smallest = true}
    top_k(f32[4, 3], i64[1] = [0]) {axis = 1}
    top_k(f32[0, 3], i64[1] = [3]) {axis = 1}
    tree_ensemble(f32[9, 3], i32[7, 2] (0, 28), i32[2, 3] (0, 7), f32[4, 2]) {feature_bits = 2}
    tree_ensemble(f64[3, 3], i64[7, 2] (-9, 99), i32[12, 3] (0, 9), f32[4, 5]) {feature_bits = 3, aggregate = \"max\", missing = true}
    tree_ensemble(f32[0, 3], i32[1, 2] (0, 4), i32[9, 3] (0, 3), f64[1, 1]) {feature_bits = 2, aggregate = \"min\"}
";
