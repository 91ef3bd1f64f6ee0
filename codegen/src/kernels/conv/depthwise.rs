//! Depthwise convolution: every channel has its own kernel.

use cranelift_module::{FuncId, Module};

use super::unfold::inside;
use super::{Geometry, ceil_div};
use crate::kernels::epilogue::{self, Operand, Step};
use crate::kernels::flow;
use crate::vector::encode::{self, DefineError};
use crate::vector::{Addr, BinaryOp, Builder, IReg, IntCompare, IntOp, Isa, MReg, Program, Size, VReg};

/// A depthwise convolution to be generated.
///
/// The function takes, all 64-bit: `x`, `weights` (`[channels][kh][kw]`), `y` (pointers), `batch`, `channels`, `h`, `w`,
/// `oh`, `ow`, `first`, `last` (the range of planes `image · channels + channel` to compute), then the operands of the
/// epilogue: by row for an element of each channel, full for a tensor like `y` with the stride of a plane, by column
/// for one plane that all share.
#[derive(Debug, Clone)]
pub struct Depthwise {
    /// The instruction set of the kernel.
    pub isa: Isa,
    /// The constants.
    pub geometry: Geometry,
    /// What happens to the result.
    pub epilogue: Vec<Step>,
}

impl Depthwise {
    /// The number of parameters of the function.
    pub fn params(&self) -> usize {
        11 + epilogue::params(&self.epilogue)
    }

    /// The program for one plane. Parameters: `x`, `weights`, `y`, `h`, `w`, `oh`, `ow`, then one pointer for each
    /// operand of the epilogue (full ones have no stride here).
    pub fn program(&self) -> Program {
        let mut b = Builder::new("depthwise");
        let [x, weights, y, h, w, oh, ow] = b.params();
        let operands: Vec<(Operand, IReg)> = self
            .epilogue
            .iter()
            .filter_map(|step| match step {
                Step::Combine(_, operand) => Some((*operand, b.param())),
                Step::Map(_) => None,
            })
            .collect();
        let geometry = &self.geometry;
        let [kh, kw] = geometry.kernel;
        let [sy, sx] = geometry.stride;

        let taps: Vec<VReg> = (0..kh * kw).map(|i| b.load_splat(Addr::new(weights).offset(4 * i))).collect();
        let row_bytes = b.int_op(IntOp::ShiftLeft, w, 2);
        let y_top = b.int_const(-geometry.padding[0]);
        // Wholly inside are the blocks that start in 0..=limit.
        let reach = Size { fixed: (kw - 1) * geometry.dilation[1] - sx + 1, per_lane: sx };
        let limit = b.int_op(IntOp::Sub, w, reach);
        let index = (sx != 1).then(|| {
            let (iota, by) = (b.iota(), b.constant_int(sx as i32));
            b.binary(BinaryOp::IntMul, iota, by)
        });
        let row = Row { geometry, taps: &taps, w, h, row_bytes, index };
        let blocks = b.int_add(ow, Size { fixed: -1, per_lane: 1 });
        let blocks = b.div_lanes(blocks);
        b.repeat(oh, |b| {
            let left = b.int_move(ow);
            let ix = b.int_const(-geometry.padding[1]);
            b.repeat(blocks, |b| {
                let mask = b.first(left);
                let acc = b.splat(0.0);
                let fast = b.int_const(0);
                b.when(IntCompare::Ge, left, Size::lanes(1), |b| {
                    b.when(IntCompare::Ge, ix, 0, |b| {
                        b.when(IntCompare::Le, ix, limit, |b| b.bump(fast, 1));
                    });
                });
                b.when_else(
                    IntCompare::Ne,
                    fast,
                    0,
                    |b| row.accumulate(b, acc, x, y_top, ix, None),
                    |b| row.accumulate(b, acc, x, y_top, ix, Some(left)),
                );
                let value = self.finish(b, acc, &operands, mask);
                b.store(value, y, Some(mask));
                let done = b.int_op(IntOp::Min, left, Size::lanes(1));
                let bytes = b.int_op(IntOp::ShiftLeft, done, 2);
                b.bump(y, bytes);
                for &(operand, p) in &operands {
                    if operand != Operand::Row {
                        b.bump(p, bytes);
                    }
                }
                b.bump(left, Size::lanes(-1));
                b.bump(ix, Size::lanes(sx));
            });
            b.bump(y_top, sy);
        });
        b.finish()
    }

    fn finish(&self, b: &mut Builder, acc: VReg, operands: &[(Operand, IReg)], mask: MReg) -> VReg {
        let mut value = acc;
        let mut next = operands.iter();
        for step in &self.epilogue {
            value = match step {
                Step::Map(f) => f(b, value),
                Step::Combine(op, _) => {
                    let &(operand, p) = next.next().expect("one for each step");
                    let v = match operand {
                        Operand::Row => b.load_splat(p),
                        Operand::Column | Operand::Full => b.load(p, Some(mask)),
                    };
                    b.binary(*op, value, v)
                }
            };
        }
        value
    }

    /// Defines the kernel and a driver over planes as local functions; their names start with `name`.
    pub fn emit(&self, module: &mut dyn Module, name: &str) -> Result<FuncId, DefineError> {
        let program = self.program();
        let kernel = encode::declare(module, &format!("{name}.plane"), program.params.len())?;
        encode::define(module, kernel, &program, self.isa)?;
        flow::define(
            module,
            name,
            self.params(),
            |module, func| module.declare_func_in_func(kernel, func),
            |flow, args, kernel| {
                let &[x, weights, y, _batch, channels, h, w, oh, ow, first, last, ..] = args else {
                    unreachable!("the function is declared with eleven parameters and more")
                };
                let in_plane = flow.mul(h, w);
                let in_plane = flow.scale(in_plane, 4);
                let out_plane = flow.mul(oh, ow);
                let out_plane = flow.scale(out_plane, 4);
                flow.range(first, last, 1, |flow, plane| {
                    let image = flow.div(plane, channels);
                    let before = flow.mul(image, channels);
                    let channel = flow.sub(plane, before);
                    let x = flow.at(x, plane, in_plane);
                    let y = flow.at(y, plane, out_plane);
                    let weights = flow.at_scaled(
                        weights,
                        channel,
                        4 * self.geometry.kernel[0] * self.geometry.kernel[1],
                    );
                    let mut values = vec![x, weights, y, h, w, oh, ow];
                    let mut operands = args[11..].iter();
                    let mut next = || *operands.next().expect("declared for each operand");
                    for step in &self.epilogue {
                        let Step::Combine(_, operand) = step else { continue };
                        let p = next();
                        values.push(match operand {
                            Operand::Row => flow.at_scaled(p, channel, 4),
                            Operand::Column => p,
                            Operand::Full => {
                                let stride = next();
                                flow.at(p, plane, stride)
                            }
                        });
                    }
                    flow.call(kernel, &values);
                });
            },
        )
    }
}

/// What one block of outputs reads.
struct Row<'a> {
    geometry: &'a Geometry,
    taps: &'a [VReg],
    w: IReg,
    h: IReg,
    row_bytes: IReg,
    index: Option<VReg>,
}

impl Row<'_> {
    /// Adds all taps for the block whose first output reads from row `y`, column `ix` on. With `left`, the number of
    /// outputs still to do, loads are masked to what lies in the image.
    fn accumulate(&self, b: &mut Builder, acc: VReg, x: IReg, y: IReg, ix: IReg, left: Option<IReg>) {
        let [kh, kw] = self.geometry.kernel;
        let [_, sx] = self.geometry.stride;
        let [down, across] = self.geometry.dilation;
        let all = b.int_const(Size::lanes(1));
        let masks: Vec<Option<MReg>> = (0..kw)
            .map(|kx| {
                let Some(left) = left else {
                    return self.index.map(|_| b.first(all));
                };
                let at = b.int_add(ix, kx * across);
                let zero = b.int_const(0);
                let before = b.int_op(IntOp::Sub, zero, at);
                let low = ceil_div(b, before, sx);
                let after = b.int_op(IntOp::Sub, self.w, at);
                let high = ceil_div(b, after, sx);
                let high = b.int_op(IntOp::Min, high, left);
                Some(b.between(low, high))
            })
            .collect();
        let start = b.int_mul(y, self.row_bytes);
        let start = b.int_add(start, x);
        let columns = b.int_op(IntOp::ShiftLeft, ix, 2);
        let row = b.int_add(start, columns);
        let step = b.int_mul(self.row_bytes, down);
        let line = b.int_move(y);
        for ky in 0..kh {
            let inside = inside(b, line, self.h);
            b.when(IntCompare::Ne, inside, 0, |b| {
                for kx in 0..kw {
                    let mask = masks[kx as usize];
                    let v = match (self.index, mask) {
                        (Some(index), Some(mask)) => {
                            let base = b.int_add(row, 4 * kx * across);
                            b.gather(base, index, mask)
                        }
                        _ => b.load(Addr::new(row).offset(4 * kx * across), mask),
                    };
                    b.fma_into(acc, v, self.taps[(ky * kw + kx) as usize]);
                }
            });
            if ky + 1 < kh {
                b.bump(row, step);
                b.bump(line, down);
            }
        }
    }
}
