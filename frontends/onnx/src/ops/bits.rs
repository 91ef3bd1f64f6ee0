//! Weights of few bits of `com.microsoft`, scaled in blocks: `MatMulNBits`, `MatMulBnb4` and `GatherBlockQuantized`. They
//! lie side by side in bytes, the first in the low bits (of `MatMulBnb4` in the high ones), as constants of types that
//! narrow do; so they become such constants.

use super::index::within;
use super::quant::in_blocks;
use super::single;
use crate::emit::{Size, attrs};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{Attrs, DType, TensorData};

type Single = Result<Value, Diagnostic>;

const DOMAIN: &str = "com.microsoft";

pub(super) fn register(table: &mut OpTable) {
    table.register_checked(DOMAIN, "MatMulNBits", .., check_product, single(product));
    table.register_checked(DOMAIN, "MatMulBnb4", .., check_coded, single(coded_product));
    table.register_checked(DOMAIN, "GatherBlockQuantized", .., check_gather, single(gather));
}

fn check_product(node: &Node<'_>) -> Result<(), String> {
    if node.int("weight_prepacked").unwrap_or(0) != 0 {
        return Err("weights in the layout of one provider (`weight_prepacked`) are not supported".into());
    }
    for name in ["K", "N"] {
        if !(1..1 << 31).contains(&node.int(name).unwrap_or(0)) {
            return Err(format!("its `{name}` is missing or out of range"));
        }
    }
    check_blocks(node, 0)
}

fn check_gather(node: &Node<'_>) -> Result<(), String> {
    check_blocks(node, 128)
}

fn check_blocks(node: &Node<'_>, default: i64) -> Result<(), String> {
    let block = node.int("block_size").unwrap_or(default);
    if !(16..1 << 30).contains(&block) || block.count_ones() != 1 {
        return Err(format!("its `block_size` is {block}, but must be a power of two from 16 on"));
    }
    match Bits::of(node.int("bits").unwrap_or(4)) {
        Some(_) => Ok(()),
        None => Err(format!("weights of {} bits are not supported", node.int("bits").unwrap_or(4))),
    }
}

fn check_coded(node: &Node<'_>) -> Result<(), String> {
    if node.int("transB").unwrap_or(1) != 1 {
        return Err("weights that are not transposed (`transB`) are not supported".into());
    }
    for name in ["K", "N", "block_size"] {
        if !(1..1 << 31).contains(&node.int(name).unwrap_or(0)) {
            return Err(format!("its `{name}` is missing or out of range"));
        }
    }
    match codes(node.int("quant_type").unwrap_or(-1)) {
        Some(_) => Ok(()),
        None => Err("its `quant_type` is neither 0 (FP4) nor 1 (NF4)".into()),
    }
}

/// What the codes of 4 bits of bitsandbytes stand for: floats of 4 bits, and quantiles of the normal distribution.
fn codes(kind: i64) -> Option<[f64; 16]> {
    match kind {
        0 => {
            let sizes = [0.0, 5.208333333e-3, 0.66666667, 1.0, 0.33333333, 0.5, 0.16666667, 0.25];
            Some(std::array::from_fn(|i| if i < 8 { sizes[i] } else { -sizes[i - 8] }))
        }
        1 => Some([
            -1.0,
            -0.6961928009986877,
            -0.5250730514526367,
            -0.39491748809814453,
            -0.28444138169288635,
            -0.18477343022823334,
            -0.09105003625154495,
            0.0,
            0.07958029955625534,
            0.16093020141124725,
            0.24611230194568634,
            0.33791524171829224,
            0.44070982933044434,
            0.5626170039176941,
            0.7229568362236023,
            1.0,
        ]),
        _ => None,
    }
}

/// Integers of some bits.
pub(super) struct Bits {
    signed: DType,
    unsigned: DType,
}

impl Bits {
    pub(super) fn of(bits: i64) -> Option<Bits> {
        let width = u32::try_from(bits).ok().filter(|it| *it <= 8)?;
        Some(Bits { signed: DType::int_of(width, true)?, unsigned: DType::int_of(width, false)? })
    }

    pub(super) fn in_a_byte(&self) -> i64 {
        self.unsigned.in_a_byte() as i64
    }

    /// Constant bytes as integers of these dimensions, less the middle of their range where that is their zero point.
    pub(super) fn integers(
        &self,
        cx: &NodeCx<'_, '_>,
        value: Value,
        dims: &[i64],
        centred: bool,
    ) -> Result<TensorData, Diagnostic> {
        let data = cx.constant_data(value).ok_or_else(|| not_supported("its weights are no constant"))?;
        if data.dtype() != DType::U8 {
            return Err(bad(format!("its weights are {}", data.dtype())));
        }
        let dims: Vec<u64> = dims.iter().map(|it| it.unsigned_abs()).collect();
        let (dtype, bytes) = match centred {
            false => (self.unsigned, data.bytes().clone()),
            true => {
                // Taking away the middle turns the upper bit over.
                let width = self.signed.width();
                let upper = (0..8 / width).fold(0u8, |bits, i| bits | 1 << (i * width + width - 1));
                (self.signed, data.bytes().iter().map(|it| it ^ upper).collect::<Vec<u8>>().into())
            }
        };
        TensorData::new(dtype, dims, bytes).map_err(|it| bad(it.to_string()))
    }

    /// Zero points in rows of whole bytes, the last of which may be filled up.
    fn zero_points(&self, cx: &mut NodeCx<'_, '_>, value: Value, dims: &[i64]) -> Single {
        let last = dims.len() - 1;
        let mut whole = dims.to_vec();
        whole[last] = (dims[last] + self.in_a_byte() - 1) / self.in_a_byte() * self.in_a_byte();
        let data = self.integers(cx, value, &whole, false)?;
        let zero = cx.constant(data);
        if whole[last] == dims[last] { Ok(zero) } else { cx.slice(zero, last, 0, dims[last]) }
    }
}

/// The bits that an attribute says.
pub(super) fn bits_of(cx: &NodeCx<'_, '_>, name: &str) -> Result<Bits, Diagnostic> {
    Bits::of(cx.int(name).unwrap_or(4)).ok_or_else(|| bad("its `bits` are out of range"))
}

fn product(cx: &mut NodeCx<'_, '_>) -> Single {
    let [depth, columns, block] = ["K", "N", "block_size"].map(|it| cx.int(it).unwrap_or(1));
    let count = (depth + block - 1) / block;
    let (a, scale, zero, bits) = (cx.input(0)?, cx.input(2)?, cx.optional(3), bits_of(cx, "bits")?);
    let weights = bits.integers(cx, cx.input(1)?, &[columns, count * block], zero.is_none())?;
    let mut w = cx.constant(weights);
    if count * block != depth {
        w = cx.slice(w, 1, 0, depth)?;
    }
    let of_blocks = [Size::Const(columns), Size::Const(count)];
    let scale = cx.reshape_to(scale, &of_blocks)?;
    let zero = match zero {
        None => None,
        Some(zero) if cx.dtype(zero)? == DType::U8 => Some(bits.zero_points(cx, zero, &[columns, count])?),
        Some(zero) => {
            let zero = cx.reshape_to(zero, &of_blocks)?;
            Some(cx.cast(zero, cx.dtype(scale)?)?)
        }
    };
    let w = match cx.optional(4) {
        None => in_blocks(cx, w, scale, zero, 1, block)?,
        Some(blocks) => in_listed_blocks(cx, w, scale, zero, blocks, [depth, count])?,
    };
    let w = cx.transpose(w, &[1, 0])?;
    let y = cx.binary("matmul", a, w)?;
    match cx.optional(5) {
        Some(bias) => cx.binary("add", y, bias),
        None => Ok(y),
    }
}

/// Weights are what their codes stand for times the largest magnitude of their block; blocks go on from row to row.
fn coded_product(cx: &mut NodeCx<'_, '_>) -> Single {
    let [depth, columns, block] = ["K", "N", "block_size"].map(|it| cx.int(it).unwrap_or(1));
    let (a, magnitudes) = (cx.input(0)?, cx.input(2)?);
    let data = cx.constant_data(cx.input(1)?).ok_or_else(|| not_supported("its weights are no constant"))?;
    let count = depth.checked_mul(columns).and_then(|it| u64::try_from(it).ok());
    let count = count.filter(|it| it.div_ceil(2) == data.len() as u64 && data.dtype() == DType::U8);
    let Some(count) = count else {
        return Err(bad(format!("its weights must be bytes with {columns} · {depth} codes")));
    };
    let swapped: Vec<u8> = data.bytes().iter().map(|it| it.rotate_left(4)).collect();
    let codes_in_order = TensorData::new(DType::U4, vec![data.len() as u64 * 2], swapped.into());
    let mut w = cx.constant(codes_in_order.map_err(|it| bad(it.to_string()))?);
    let dtype = cx.dtype(magnitudes)?;
    let values =
        codes(cx.int("quant_type").unwrap_or(0)).ok_or_else(|| bad("its `quant_type` is not known"))?;
    let values = cx.constant(TensorData::from_f64(dtype, &[16], values));
    w = cx.slice(w, 0, 0, count as i64)?;
    w = cx.as_i64(w)?;
    w = cx.emit("gather", attrs([("axis", 0.into())]), &[values, w])?;
    let blocks = (count as i64 + block - 1) / block;
    let scale = cx.reshape_to(magnitudes, &[Size::Const(blocks), Size::Const(1)])?;
    let shape = cx.int_vector(&[blocks, block]);
    let scale = cx.emit("expand", Attrs::none(), &[scale, shape])?;
    let scale = cx.reshape_to(scale, &[Size::Const(blocks * block)])?;
    let scale = cx.slice(scale, 0, 0, count as i64)?;
    w = cx.binary("mul", w, scale)?;
    w = cx.reshape_to(w, &[Size::Const(columns), Size::Const(depth)])?;
    w = cx.transpose(w, &[1, 0])?;
    cx.binary("matmul", a, w)
}

/// `(x − zero) · scale` of the block, of so many, that a list says for each of so many columns.
fn in_listed_blocks(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    scale: Value,
    zero: Option<Value>,
    blocks: Value,
    [columns, count]: [i64; 2],
) -> Single {
    if cx.rank(blocks)? != 1 {
        return Err(bad("its list of blocks (`g_idx`) must have 1 dimension"));
    }
    if let Some(found) = cx.static_dim(blocks, 0).filter(|it| *it != columns) {
        return Err(bad(format!("its list of blocks (`g_idx`) has {found} numbers for {columns} columns")));
    }
    let count = cx.int_scalar(count);
    let blocks = within(cx, blocks, count, "a number of a block (`g_idx`)")?;
    let column =
        |cx: &mut NodeCx<'_, '_>, of: Value| cx.emit("gather", attrs([("axis", 1.into())]), &[of, blocks]);
    let scale = column(cx, scale)?;
    let Some(zero) = zero else { return cx.emit("dequantize", Attrs::none(), &[x, scale]) };
    let zero = column(cx, zero)?;
    if cx.dtype(zero)? == cx.dtype(x)? {
        return cx.emit("dequantize", Attrs::none(), &[x, scale, zero]);
    }
    let x = cx.cast(x, cx.dtype(scale)?)?;
    let centred = cx.binary("sub", x, zero)?;
    cx.binary("mul", centred, scale)
}

fn gather(cx: &mut NodeCx<'_, '_>) -> Single {
    let block = cx.int("block_size").unwrap_or(128);
    let (data, indices, scale) = (cx.input(0)?, cx.input(1)?, cx.input(2)?);
    let axis = cx.axis(data, cx.int("gather_axis").unwrap_or(0))?;
    let mut zero = cx.optional(3);
    let mut x = data;
    if cx.dtype(data)? == DType::U8 {
        let bits = bits_of(cx, "bits")?;
        let dims = |cx: &mut NodeCx<'_, '_>, value: Value| {
            cx.static_dims(value).filter(|it| !it.is_empty()).ok_or_else(|| bad("its data is no table"))
        };
        let mut whole = dims(cx, data)?;
        let last = whole.len() - 1;
        whole[last] = whole[last]
            .checked_mul(bits.in_a_byte())
            .ok_or_else(|| bad("its data is larger than the address space"))?;
        let integers = bits.integers(cx, data, &whole, zero.is_none())?;
        x = cx.constant(integers);
        if let Some(point) = zero {
            let dims = dims(cx, scale)?;
            zero = Some(bits.zero_points(cx, point, &dims)?);
        }
    }
    let numbers = in_blocks(cx, x, scale, zero, cx.int("quantize_axis").unwrap_or(1), block)?;
    let attrs = attrs([("axis", (axis as i64).into())]);
    cx.emit("gather", attrs, &[numbers, indices])
}
