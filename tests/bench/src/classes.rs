//! The classes of kernels.

use anyhow::Result;
use orogen::ir::flow::ValueId;
use orogen::ir::types::{Attr, DType};

use crate::irregular;
use crate::model::{Build, plane};

/// How the time that a type is allowed grows from that of `f32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// By the bytes of an element: nothing is computed.
    Bytes,
    /// By the bytes of a lane: 16-bit floats are computed as `f32`, all other types as they are.
    Lanes,
    /// One side of a conversion is `f32`.
    Half,
    /// As [`Scale::Lanes`], but narrow integers are added as `i32`, in pairs of 16-bit products.
    Products,
    /// By the bytes of an element that is read and written, and of its index, an `i64`.
    Indexed,
}

impl Scale {
    /// The time allowed, where `f32` has 1.
    pub fn factor(self, dtype: DType) -> f64 {
        let bytes = dtype.size() as f64 / 4.0;
        let lanes = if matches!(dtype, DType::F16 | DType::BF16) { 1.0 } else { bytes };
        match self {
            Scale::Bytes => bytes,
            Scale::Lanes => lanes,
            Scale::Half => f64::midpoint(1.0, bytes),
            Scale::Products => lanes.max(0.5),
            Scale::Indexed => (2.0 * bytes + 2.0) / 4.0,
        }
    }
}

/// What a class computes: the result, and how many units of work that is.
type Make = fn(&mut Build<'_>, DType) -> Result<(ValueId, i64)>;

/// A class of kernels.
#[derive(Clone, Copy, Debug)]
pub struct Class {
    /// Its name.
    pub name: &'static str,
    /// What is counted: elements of the larger of operand and result, or multiply-adds.
    pub unit: &'static str,
    /// Which types have it.
    pub types: fn(DType) -> bool,
    /// What a type is allowed.
    pub scale: Scale,
    /// The class whose `f32` it is measured by.
    pub by: &'static str,
    pub(crate) make: Make,
}

fn any(_: DType) -> bool {
    true
}

fn numbers(dtype: DType) -> bool {
    dtype != DType::Bool
}

fn floats(dtype: DType) -> bool {
    dtype.is_float()
}

fn wide_floats(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F64)
}

fn bits(dtype: DType) -> bool {
    !dtype.is_float()
}

fn not_f32(dtype: DType) -> bool {
    dtype != DType::F32
}

fn integers(dtype: DType) -> bool {
    dtype.is_int()
}

fn large_integers(dtype: DType) -> bool {
    matches!(dtype, DType::I32 | DType::I64)
}

fn quantised(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::I16 | DType::I8 | DType::U8)
}

macro_rules! class {
    ($name:literal, $unit:literal, $types:ident, $scale:ident, $make:expr) => {
        class!($name, $unit, $types, $scale, $name, $make)
    };
    ($name:literal, $unit:literal, $types:ident, $scale:ident, $by:literal, $make:expr) => {
        Class { name: $name, unit: $unit, types: $types, scale: Scale::$scale, by: $by, make: $make }
    };
}

/// Every class, in the order of the table.
pub const CLASSES: &[Class] = &[
    class!("add", "element", numbers, Lanes, |b, t| binary(b, t, "add")),
    class!("mul", "element", numbers, Lanes, |b, t| binary(b, t, "mul")),
    class!("div", "element", numbers, Lanes, |b, t| binary(b, t, "div")),
    class!("add row", "element", numbers, Lanes, |b, t| broadcast(b, t, false)),
    class!("add column", "element", numbers, Lanes, |b, t| broadcast(b, t, true)),
    class!("relu", "element", numbers, Lanes, |b, t| unary(b, t, "relu")),
    class!("abs", "element", numbers, Lanes, |b, t| unary(b, t, "abs")),
    class!("and", "element", bits, Bytes, "add", |b, t| binary(b, t, "and")),
    class!("sqrt", "element", floats, Lanes, |b, t| unary(b, t, "sqrt")),
    class!("exp", "element", floats, Lanes, |b, t| unary(b, t, "exp")),
    class!("log", "element", floats, Lanes, |b, t| unary(b, t, "log")),
    class!("tanh", "element", floats, Lanes, |b, t| unary(b, t, "tanh")),
    class!("sigmoid", "element", floats, Lanes, |b, t| unary(b, t, "sigmoid")),
    class!("erf", "element", floats, Lanes, |b, t| unary(b, t, "erf")),
    class!("sin", "element", floats, Lanes, |b, t| unary(b, t, "sin")),
    class!("pow", "element", floats, Lanes, |b, t| binary(b, t, "pow")),
    class!("pow of integers", "element", large_integers, Lanes, "pow", |b, t| binary(b, t, "pow")),
    class!("shift", "element", integers, Lanes, "add", |b, t| binary(b, t, "shift_left")),
    class!("tan", "element", floats, Lanes, |b, t| unary(b, t, "tan")),
    class!("atan", "element", floats, Lanes, |b, t| unary(b, t, "atan")),
    class!("asin", "element", floats, Lanes, |b, t| unary(b, t, "asin")),
    class!("acosh", "element", floats, Lanes, |b, t| unary(b, t, "acosh")),
    class!("softplus", "element", floats, Lanes, |b, t| unary(b, t, "softplus")),
    class!("compare and select", "element", any, Lanes, compare),
    class!("cast to f32", "element", not_f32, Half, "abs", |b, t| cast(b, t, DType::F32)),
    class!("cast from f32", "element", not_f32, Half, "abs", |b, t| cast(b, DType::F32, t)),
    class!("quantize", "element", quantised, Half, quantize),
    class!("dequantize", "element", quantised, Half, dequantize),
    class!("sum, inner axis", "element", numbers, Lanes, |b, t| reduce(b, t, "reduce_sum", 1)),
    class!("sum, outer axis", "element", numbers, Lanes, |b, t| reduce(b, t, "reduce_sum", 0)),
    class!("sum, axes apart", "element", numbers, Lanes, "sum, inner axis", reduce_apart),
    class!("max, inner axis", "element", any, Lanes, |b, t| reduce(b, t, "reduce_max", 1)),
    class!("max, outer axis", "element", any, Lanes, |b, t| reduce(b, t, "reduce_max", 0)),
    class!("arg max, inner axis", "element", numbers, Lanes, |b, t| arg_max(b, t, 1)),
    class!("arg max, outer axis", "element", numbers, Lanes, |b, t| arg_max(b, t, 0)),
    class!("softmax", "element", floats, Lanes, |b, t| along(b, t, "softmax")),
    class!("log softmax", "element", floats, Lanes, |b, t| along(b, t, "log_softmax")),
    class!("layer norm", "element", floats, Lanes, layer_norm),
    class!("cumulative sum, inner axis", "element", numbers, Lanes, "cumulative sum, outer axis", |b, t| {
        cum_sum(b, t, 1)
    }),
    class!("cumulative sum, outer axis", "element", numbers, Lanes, |b, t| cum_sum(b, t, 0)),
    class!("transpose", "element", any, Bytes, transpose),
    class!("transpose of rows", "element", any, Bytes, transpose_rows),
    class!("concat", "element", any, Bytes, concat),
    class!("slice", "element", any, Bytes, |b, t| slice(b, t, 1)),
    class!("strided slice", "element", any, Bytes, "slice", |b, t| slice(b, t, 2)),
    class!("pad", "element", any, Bytes, pad),
    class!("reflecting pad", "element", any, Bytes, "pad", irregular::reflecting_pad),
    class!("tile", "element", any, Bytes, "concat", irregular::tile),
    class!("triangle", "element", any, Lanes, irregular::triangle),
    class!("one hot", "element", any, Lanes, irregular::one_hot),
    class!("gather of rows", "element", any, Bytes, gather_rows),
    class!("gather of elements", "element", any, Indexed, gather_elements),
    class!("gather of points", "element", any, Indexed, "gather of elements", irregular::gather_points),
    class!("scatter of rows", "element", any, Bytes, |b, t| scatter_rows(b, t, "none")),
    class!("scatter of rows, sum", "element", numbers, Lanes, "scatter of rows", |b, t| {
        scatter_rows(b, t, "add")
    }),
    class!("trees", "step", wide_floats, Bytes, irregular::trees),
    class!("max pool 2x2", "element", numbers, Lanes, max_pool),
    class!("average pool 3x3, padded", "element", floats, Lanes, irregular::average_pool),
    class!("average pool 8x8, apart", "element", floats, Lanes, irregular::average_pool_apart),
    class!("resize, nearest", "element", floats, Bytes, |b, t| irregular::resize(b, t, "nearest")),
    class!("resize, linear", "element", floats, Lanes, |b, t| irregular::resize(b, t, "linear")),
    class!("matmul, constant weights", "multiply-add", numbers, Products, |b, t| matmul(b, t, true)),
    class!("matmul, both given", "multiply-add", numbers, Products, |b, t| matmul(b, t, false)),
    class!("matmul, one row", "multiply-add", numbers, Products, matvec),
    class!("conv 1x1", "multiply-add", numbers, Products, |b, t| conv2d(b, t, 1, true)),
    class!("conv 3x3", "multiply-add", numbers, Products, |b, t| conv2d(b, t, 3, true)),
    class!("conv 3x3, weights given", "multiply-add", numbers, Products, "conv 3x3", |b, t| conv2d(
        b, t, 3, false
    )),
    class!("conv 3x3, depthwise", "multiply-add", numbers, Products, |b, t| depthwise(b, t, 3)),
    class!("conv 7x7, depthwise", "multiply-add", numbers, Products, |b, t| depthwise(b, t, 7)),
    class!("conv 1-d", "multiply-add", numbers, Products, |b, t| conv_of(b, t, 1, 3)),
    class!("conv 3-d", "multiply-add", numbers, Products, "conv 3x3", |b, t| conv_of(b, t, 3, 3)),
    class!("conv transposed", "multiply-add", numbers, Products, |b, t| conv_transpose(b, t, 2, 0, 1)),
    class!("conv transposed 4x4, overlapping", "multiply-add", numbers, Products, "conv 3x3", |b, t| {
        conv_transpose(b, t, 4, 1, 1)
    }),
    class!("conv transposed 3x3, dilated", "multiply-add", numbers, Products, "conv 3x3", |b, t| {
        conv_transpose(b, t, 3, 2, 2)
    }),
];

fn unary(b: &mut Build<'_>, t: DType, op: &str) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let x = b.input(t, &dims)?;
    Ok((b.op(op, &[], &[x])?, dims[0] * dims[1]))
}

fn binary(b: &mut Build<'_>, t: DType, op: &str) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let (x, y) = (b.input(t, &dims)?, b.input(t, &dims)?);
    Ok((b.op(op, &[], &[x, y])?, dims[0] * dims[1]))
}

fn broadcast(b: &mut Build<'_>, t: DType, column: bool) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let other = if column { [dims[0], 1] } else { [1, dims[1]] };
    let (x, y) = (b.input(t, &dims)?, b.input(t, &other)?);
    Ok((b.op("add", &[], &[x, y])?, dims[0] * dims[1]))
}

fn compare(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let (x, y) = (b.input(t, &dims)?, b.input(t, &dims)?);
    let op = if t == DType::Bool { "equal" } else { "less" };
    let condition = b.op(op, &[], &[x, y])?;
    Ok((b.op("where", &[], &[condition, x, y])?, dims[0] * dims[1]))
}

fn cast(b: &mut Build<'_>, from: DType, to: DType) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let x = b.input(from, &dims)?;
    Ok((b.cast(x, to)?, dims[0] * dims[1]))
}

/// `QuantizeLinear`, with `f32` for a quantised type too: then the result stays a float.
fn quantize(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let x = b.input(DType::F32, &dims)?;
    let (scale, zero) = (b.number(DType::F32, 0.02), b.number(DType::F32, 3.0));
    let (low, high) = match t {
        DType::I8 => (-128.0, 127.0),
        DType::I16 => (-32768.0, 32767.0),
        _ => (0.0, 255.0),
    };
    let x = b.op("div", &[], &[x, scale])?;
    let x = b.op("round", &[], &[x])?;
    let x = b.op("add", &[], &[x, zero])?;
    let (low, high) = (b.number(DType::F32, low), b.number(DType::F32, high));
    let x = b.op("max", &[], &[x, low])?;
    let x = b.op("min", &[], &[x, high])?;
    let y = if t == DType::F32 { x } else { b.cast(x, t)? };
    Ok((y, dims[0] * dims[1]))
}

/// `DequantizeLinear`, likewise.
fn dequantize(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let mut x = b.input(t, &dims)?;
    if t != DType::F32 {
        x = b.cast(x, DType::F32)?;
    }
    let (scale, zero) = (b.number(DType::F32, 0.02), b.number(DType::F32, 3.0));
    let x = b.op("sub", &[], &[x, zero])?;
    Ok((b.op("mul", &[], &[x, scale])?, dims[0] * dims[1]))
}

fn reduce(b: &mut Build<'_>, t: DType, op: &str, axis: i64) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let x = b.input(t, &dims)?;
    Ok((b.op(op, &[("axes", vec![axis].into())], &[x])?, dims[0] * dims[1]))
}

/// Over the first and the last of three axes.
fn reduce_apart(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let x = b.input(t, &[8, dims[0] / 8, dims[1]])?;
    Ok((b.op("reduce_sum", &[("axes", vec![0, 2].into())], &[x])?, dims[0] * dims[1]))
}

fn arg_max(b: &mut Build<'_>, t: DType, axis: i64) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let x = b.input(t, &dims)?;
    Ok((b.op("arg_max", &[("axis", axis.into())], &[x])?, dims[0] * dims[1]))
}

fn along(b: &mut Build<'_>, t: DType, op: &str) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let x = b.input(t, &dims)?;
    Ok((b.op(op, &[("axis", 1.into())], &[x])?, dims[0] * dims[1]))
}

fn layer_norm(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let x = b.input(t, &dims)?;
    let (scale, bias) = (b.constant(t, &dims[1..]), b.constant(t, &dims[1..]));
    Ok((b.op("layer_norm", &[("axis", 1.into())], &[x, scale, bias])?, dims[0] * dims[1]))
}

fn cum_sum(b: &mut Build<'_>, t: DType, axis: i64) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let x = b.input(t, &dims)?;
    Ok((b.op("cum_sum", &[("axis", axis.into())], &[x])?, dims[0] * dims[1]))
}

fn transpose(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let dims = plane(b);
    let x = b.input(t, &dims)?;
    Ok((b.op("transpose", &[("perm", vec![1, 0].into())], &[x])?, dims[0] * dims[1]))
}

/// Heads of attention change places with positions.
fn transpose_rows(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let dims = [b.size(128), b.size(16), b.size(64)];
    let x = b.input(t, &dims)?;
    Ok((b.op("transpose", &[("perm", vec![1, 0, 2].into())], &[x])?, dims.iter().product()))
}

fn concat(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let [rows, columns] = plane(b);
    let (x, y) = (b.input(t, &[rows, columns / 2])?, b.input(t, &[rows, columns / 2])?);
    Ok((b.op("concat", &[("axis", 1.into())], &[x, y])?, rows * (columns / 2) * 2))
}

fn slice(b: &mut Build<'_>, t: DType, step: i64) -> Result<(ValueId, i64)> {
    let [rows, columns] = plane(b);
    let x = b.input(t, &[rows, step * columns + 3])?;
    let [starts, ends, steps] = [1, step * columns + 1, step].map(|it| b.integers(&[it]));
    let axes = [("axes", vec![1].into())];
    Ok((b.op("slice", &axes, &[x, starts, ends, steps])?, rows * columns))
}

fn pad(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let [rows, columns] = plane(b);
    let x = b.input(t, &[rows, columns])?;
    let pads = b.integers(&[1, 1, 1, 1]);
    Ok((b.op("pad", &[], &[x, pads])?, (rows + 2) * (columns + 2)))
}

fn gather_rows(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let (table, columns) = (b.size(256), b.size(256));
    let count = b.size(512);
    let x = b.input(t, &[table, columns])?;
    let at = b.positions(count, table)?;
    Ok((b.op("gather", &[("axis", 0.into())], &[x, at])?, count * columns))
}

fn gather_elements(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let [rows, columns] = plane(b);
    let x = b.input(t, &[rows, columns])?;
    let at = b.positions(columns, columns)?;
    Ok((b.op("gather", &[("axis", 1.into())], &[x, at])?, rows * columns))
}

fn scatter_rows(b: &mut Build<'_>, t: DType, reduction: &str) -> Result<(ValueId, i64)> {
    let [rows, columns] = plane(b);
    let (x, count) = (b.input(t, &[rows, columns])?, rows / 2);
    let at = b.positions(count, rows)?;
    let at = b.op("unsqueeze", &[("axes", vec![1].into())], &[at])?;
    let updates = b.input(t, &[count, columns])?;
    Ok((b.op("scatter_nd", &[("reduction", reduction.into())], &[x, at, updates])?, rows * columns))
}

fn max_pool(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let dims = [1, b.size(32), b.size(64), b.size(64)];
    let x = b.input(t, &dims)?;
    let two = || Attr::from(vec![2i64, 2]);
    let y = b.op("max_pool", &[("kernel", two()), ("strides", two())], &[x])?;
    Ok((y, dims.iter().product()))
}

/// A product, by an operator or what is one for quantised bytes: these have a zero point, and their sum is an `i32`. All
/// other types are multiplied and stored as they are; integers wrap.
fn product(
    b: &mut Build<'_>,
    t: DType,
    op: &str,
    attrs: &[(&str, Attr)],
    [x, w]: [ValueId; 2],
) -> Result<ValueId> {
    let quantised = match op {
        "matmul" => "matmul_integer",
        "conv" => "conv_integer",
        _ => return b.op(op, attrs, &[x, w]),
    };
    if !matches!(t, DType::I8 | DType::U8) {
        return b.op(op, attrs, &[x, w]);
    }
    let zero = b.number(t, 3.0);
    b.op(quantised, attrs, &[x, w, zero])
}

fn operand(b: &mut Build<'_>, t: DType, dims: &[i64], constant: bool) -> Result<ValueId> {
    if constant { Ok(b.constant(t, dims)) } else { b.input(t, dims) }
}

fn matmul(b: &mut Build<'_>, t: DType, constant: bool) -> Result<(ValueId, i64)> {
    let (m, k, n) = (b.size(128), b.size(256), b.size(256));
    let x = b.input(t, &[m, k])?;
    let w = operand(b, t, &[k, n], constant)?;
    Ok((product(b, t, "matmul", &[], [x, w])?, m * k * n))
}

fn matvec(b: &mut Build<'_>, t: DType) -> Result<(ValueId, i64)> {
    let (k, n) = (b.size(512), b.size(1024));
    let (x, w) = (b.input(t, &[1, k])?, b.constant(t, &[k, n]));
    Ok((product(b, t, "matmul", &[], [x, w])?, k * n))
}

/// A convolution that keeps the extents of what it slides over.
fn conv(
    b: &mut Build<'_>,
    t: DType,
    x: &[i64],
    w: &[i64],
    group: i64,
    constant: bool,
) -> Result<(ValueId, i64)> {
    let extents: i64 = x[2..].iter().product();
    let work = extents * w.iter().product::<i64>();
    let pads: Vec<i64> = w[2..].iter().chain(&w[2..]).map(|it| it / 2).collect();
    let x = b.input(t, x)?;
    let w = operand(b, t, w, constant)?;
    let attrs = [("pads", pads.into()), ("group", group.into())];
    Ok((product(b, t, "conv", &attrs, [x, w])?, work))
}

fn conv2d(b: &mut Build<'_>, t: DType, kernel: i64, constant: bool) -> Result<(ValueId, i64)> {
    let (channels, extent) = (b.size(64), b.size(28));
    conv(b, t, &[1, channels, extent, extent], &[channels, channels, kernel, kernel], 1, constant)
}

fn depthwise(b: &mut Build<'_>, t: DType, kernel: i64) -> Result<(ValueId, i64)> {
    let (channels, extent) = (b.size(64), b.size(56));
    conv(b, t, &[1, channels, extent, extent], &[channels, 1, kernel, kernel], channels, true)
}

fn conv_of(b: &mut Build<'_>, t: DType, rank: usize, kernel: i64) -> Result<(ValueId, i64)> {
    let (channels, extent) = if rank == 1 { (64, 1024) } else { (16, 14) };
    let (channels, extent) = (b.size(channels), b.size(extent));
    let x: Vec<i64> = [1, channels].into_iter().chain(vec![extent; rank]).collect();
    let w: Vec<i64> = [channels, channels].into_iter().chain(vec![kernel; rank]).collect();
    conv(b, t, &x, &w, 1, true)
}

/// Twice the extents; kernels beyond 2 overlap.
fn conv_transpose(
    b: &mut Build<'_>,
    t: DType,
    kernel: i64,
    pad: i64,
    dilation: i64,
) -> Result<(ValueId, i64)> {
    let (channels, extent) = (b.size(32), b.size(28));
    let (x, w) = ([1, channels, extent, extent], [channels, channels, kernel, kernel]);
    let work = extent * extent * w.iter().product::<i64>();
    let (x, w) = (b.input(t, &x)?, b.constant(t, &w));
    let attrs = [
        ("strides", vec![2, 2].into()),
        ("pads", vec![pad; 4].into()),
        ("dilations", vec![dilation; 2].into()),
    ];
    Ok((product(b, t, "conv_transpose", &attrs, [x, w])?, work))
}
