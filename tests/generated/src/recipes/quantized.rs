//! Operators of `com.microsoft` on quantised values: those that make floats of them, and those that make others.

use super::Table;
use super::microsoft::{DOMAIN, call};
use crate::attributes::{float, int, ints};
use crate::draw::{Draft, Draw, Fill, Id};
use crate::value::{Extent, Rounding};
use orogen_ir::types::{DType, TensorData};

pub(super) const RECIPES: Table = &[
    ("DequantizeLinear", dequantize),
    ("MatMulIntegerToFloat", to_float),
    ("GatherBlockQuantized", gather),
    ("MatMulNBits", bits),
    ("QuantizeLinear", quantize),
    ("QLinearAdd", both),
    ("QLinearMul", both),
    ("QLinearWhere", chosen),
    ("QLinearSigmoid", each),
    ("QLinearLeakyRelu", each),
    ("QLinearSoftmax", each),
    ("QLinearReduceMean", each),
    ("QLinearAveragePool", pool),
    ("QLinearGlobalAveragePool", pool),
    ("QLinearConcat", joined),
    ("QLinearConv", convolution),
    ("QGemm", product),
];

/// A quantised tensor with its scale and its zero.
#[derive(Clone, Copy)]
struct Quantised {
    data: Id,
    scale: Id,
    zero: Id,
}

impl Quantised {
    fn ids(self) -> [Option<Id>; 3] {
        [Some(self.data), Some(self.scale), Some(self.zero)]
    }
}

fn byte(draw: &mut Draw<'_>) -> DType {
    draw.pick(&[DType::U8, DType::I8])
}

/// One number that is no power of two as often as it is one.
fn scale(draw: &mut Draw<'_>) -> Id {
    let it = draw.pick(&[0.125, 0.25, 0.1, 0.07]);
    draw.constant(TensorData::from_f64(DType::F32, &[], [it]))
}

fn zero(draw: &mut Draw<'_>, dtype: DType) -> Id {
    let it = if dtype == DType::U8 { draw.pick(&[0.0, 7.0, 128.0]) } else { draw.pick(&[0.0, -3.0, 5.0]) };
    draw.constant(TensorData::from_f64(dtype, &[], [it]))
}

fn elements(draw: &mut Draw<'_>, dtype: DType, dims: &[Extent]) -> Id {
    let fill = if dtype == DType::U8 { Fill::Between(0.0, 255.0) } else { Fill::Between(-128.0, 127.0) };
    draw.fresh(dtype, dims, fill)
}

fn quantised(draw: &mut Draw<'_>, dtype: DType, dims: &[Extent]) -> Quantised {
    let (data, scale, zero) = (elements(draw, dtype, dims), scale(draw), zero(draw, dtype));
    Quantised { data, scale, zero }
}

fn of(draw: &Draw<'_>, op: &str, ids: &[Option<Id>]) -> Draft {
    call(draw, op, ids, Rounding::Function).of(DOMAIN)
}

/// Scale and zero of a result.
fn result(draw: &mut Draw<'_>, dtype: DType) -> [Id; 2] {
    let it = draw.pick(&[0.25, 0.5, 0.3, 0.11]);
    [draw.constant(TensorData::from_f64(DType::F32, &[], [it])), zero(draw, dtype)]
}

/// A quantised tensor that there is, or a new one.
fn operand(draw: &mut Draw<'_>, dtype: DType, dims: &[Extent]) -> Quantised {
    let there = draw.found(|it, of| of == dtype && it.dims().as_deref() == Some(dims));
    let data = there.unwrap_or_else(|| elements(draw, dtype, dims));
    Quantised { data, scale: scale(draw), zero: zero(draw, dtype) }
}

fn quantize(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (dtype, x) = (byte(draw), draw.floats(0..=4));
    let [scale, zero] = result(draw, dtype);
    (draw.dtype_of(x) == DType::F32).then(|| of(draw, op, &[x, scale, zero].map(Some)))
}

fn both(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (dtype, rank) = (byte(draw), draw.rank());
    let dims = draw.dims(rank);
    // One of them may have 1 where the other has more.
    let narrow: Vec<Extent> =
        dims.iter().map(|it| if draw.random.below(4) == 0 { draw.fixed(1) } else { it.clone() }).collect();
    let (a, b) = (operand(draw, dtype, &dims), operand(draw, dtype, &narrow));
    let [scale, zero] = result(draw, dtype);
    Some(of(draw, op, &[&a.ids()[..], &b.ids(), &[Some(scale), Some(zero)]].concat()))
}

fn chosen(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (dtype, rank) = (byte(draw), draw.rank());
    let dims = draw.dims(rank);
    let condition = draw.of(DType::Bool, &dims, Fill::Small);
    let (a, b) = (operand(draw, dtype, &dims), operand(draw, dtype, &dims));
    let [scale, zero] = result(draw, dtype);
    let ids = [&[Some(condition)][..], &a.ids(), &b.ids(), &[Some(scale), Some(zero)]].concat();
    Some(of(draw, op, &ids))
}

fn each(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (dtype, rank) = (byte(draw), draw.rank().max(1));
    let dims = draw.dims(rank);
    let x = operand(draw, dtype, &dims);
    let [scale, zero] = result(draw, dtype);
    let draft = of(draw, op, &[&x.ids()[..], &[Some(scale), Some(zero)]].concat());
    let axis = draw.random.below(rank) as i64;
    Some(match op {
        "QLinearLeakyRelu" => draft.with(float("alpha", 0.3)),
        "QLinearSoftmax" => draft.with(int("axis", axis)).with(int("opset", 13)),
        "QLinearReduceMean" => draft.with(ints("axes", &[axis])).with(int("keepdims", draw.pick(&[0, 1]))),
        _ => draft,
    })
}

fn pool(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = byte(draw);
    let dims = [draw.extent(), draw.extent(), draw.fixed(5), draw.fixed(6)];
    let x = operand(draw, dtype, &dims);
    let [scale, zero] = result(draw, dtype);
    let draft = of(draw, op, &[&x.ids()[..], &[Some(scale), Some(zero)]].concat());
    Some(match op {
        "QLinearAveragePool" => {
            let (kernel, stride) = (draw.pick(&[1, 2, 3]), draw.pick(&[1, 2]));
            draft.with(ints("kernel_shape", &[kernel, 2])).with(ints("strides", &[stride, 1]))
        }
        _ => draft.with(int("channels_last", draw.pick(&[0, 1]))),
    })
}

fn joined(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (dtype, rank) = (byte(draw), draw.rank().max(1));
    let (dims, axis) = (draw.dims(rank), draw.random.below(rank));
    let mut ids = result(draw, dtype).map(Some).to_vec();
    for _ in 0..draw.pick(&[1, 2, 3]) {
        let mut dims = dims.clone();
        dims[axis] = draw.extent();
        let x = operand(draw, dtype, &dims);
        ids.extend(x.ids());
    }
    Some(of(draw, op, &ids).with(int("axis", axis as i64)))
}

fn convolution(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (dtype, last) = (byte(draw), draw.random.coin());
    let (channels, out, kernel) = (draw.pick(&[1u64, 2, 3]), draw.pick(&[1u64, 2, 5]), draw.pick(&[1u64, 2]));
    let (batch, size, width) = (draw.extent(), draw.fixed(5), draw.fixed(channels));
    let dims = match last {
        true => [batch, size.clone(), size, width],
        false => [batch, width, size.clone(), size],
    };
    let x = operand(draw, dtype, &dims);
    let w = draw.weight(DType::I8, &[out, channels, kernel, kernel], Fill::Between(-20.0, 20.0));
    let (w_scale, w_zero) = (scale(draw), draw.constant(TensorData::from_f64(DType::I8, &[], [0.0])));
    let [y_scale, y_zero] = result(draw, dtype);
    let bias = draw.random.coin().then(|| draw.weight(DType::I32, &[out], Fill::Between(-50.0, 50.0)));
    let ids = [w, w_scale, w_zero, y_scale, y_zero].map(Some);
    let draft = of(draw, op, &[&x.ids()[..], &ids, &[bias]].concat());
    Some(
        draft
            .with(int("channels_last", i64::from(last)))
            .with(ints("kernel_shape", &[kernel.cast_signed(); 2])),
    )
}

fn product(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (dtype, m, n) = (byte(draw), draw.extent(), draw.pick(&[1u64, 3, 8]));
    let k = draw.pick(&[2u64, 5, 16]);
    let a = operand(draw, dtype, &[m, draw.fixed(k)]);
    let turned = draw.random.coin();
    let b = draw.weight(DType::I8, &if turned { [n, k] } else { [k, n] }, Fill::Between(-20.0, 20.0));
    let (b_scale, b_zero) = (scale(draw), draw.constant(TensorData::from_f64(DType::I8, &[], [0.0])));
    let bias = draw.random.coin().then(|| draw.weight(DType::I32, &[n], Fill::Between(-50.0, 50.0)));
    let [y_scale, y_zero] = result(draw, dtype).map(Some);
    // Without the scale of a result it is of floats.
    let rest = if draw.random.coin() { vec![bias, y_scale, y_zero] } else { vec![bias] };
    let mut ids = [&a.ids()[..], &[b, b_scale, b_zero].map(Some), &rest].concat();
    while ids.last() == Some(&None) {
        ids.pop();
    }
    Some(of(draw, op, &ids).with(int("transB", i64::from(turned))))
}

fn dequantize(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (dtype, rank) = (byte(draw), draw.rank());
    let dims = draw.dims(rank);
    let x = quantised(draw, dtype, &dims);
    Some(of(draw, op, &x.ids()))
}

fn to_float(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (first, second) = (byte(draw), byte(draw));
    let (m, k, n) = (draw.extent(), draw.extent(), draw.extent());
    let (a, b) = (quantised(draw, first, &[m, k.clone()]), quantised(draw, second, &[k, n.clone()]));
    let bias = draw.random.coin().then(|| draw.fresh(DType::F32, &[n], Fill::Small));
    let ids = [a.data, b.data, a.scale, b.scale, a.zero, b.zero].map(Some);
    Some(of(draw, op, &[&ids[..], &[bias]].concat()))
}

fn gather(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (rows, blocks) = (draw.pick(&[2u64, 5]), draw.pick(&[1u64, 2]));
    let data = draw.weight(DType::U8, &[rows, 16 * blocks], Fill::Between(0.0, 255.0));
    let (rank, count) = (draw.pick(&[1, 2]), draw.extent());
    let dims: Vec<Extent> = vec![count; rank];
    let at = draw.fresh(DType::I64, &dims, Fill::Index(rows));
    let scales = draw.weight(DType::F32, &[rows, blocks], Fill::Between(0.125, 1.0));
    let zeros = draw.weight(DType::U8, &[rows, blocks], Fill::Between(100.0, 140.0));
    let draft = of(draw, op, &[data, at, scales, zeros].map(Some)).with(int("bits", 8));
    let draft = draft.with(int("gather_axis", 0)).with(int("quantize_axis", 1));
    Some(draft.with(int("block_size", 16)))
}

fn bits(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (n, blocks, bits) = (draw.pick(&[1u64, 3, 8]), draw.pick(&[1u64, 2]), draw.pick(&[4u64, 8]));
    let k = 16 * blocks;
    let rows = draw.extent();
    let x = draw.of(DType::F32, &[rows, draw.fixed(k)], Fill::Small);
    let w = draw.weight(DType::U8, &[n, blocks, 16 * bits / 8], Fill::Between(0.0, 255.0));
    let scales = draw.weight(DType::F32, &[n, blocks], Fill::Between(0.125, 1.0));
    let draft = of(draw, op, &[Some(x), Some(w), Some(scales)]).with(int("bits", bits.cast_signed()));
    let draft = draft.with(int("K", k.cast_signed())).with(int("N", n.cast_signed()));
    Some(draft.with(int("block_size", 16)))
}
