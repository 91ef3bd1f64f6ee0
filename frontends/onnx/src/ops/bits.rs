//! Weights of few bits of `com.microsoft`, scaled in blocks: `MatMulNBits` and `GatherBlockQuantized`. They lie side by side
//! in bytes, the first in the low bits, as constants of types that narrow do; so they become such constants.

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
