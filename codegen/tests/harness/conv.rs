//! Convolutions as the legalisation writes them.

use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{BinaryOp, BufferId, Combine, ProgramBuilder};
use orogen_ir::shape::Dim;
use orogen_ir::types::DType;

/// One dimension of windows that slide.
#[derive(Clone, Copy)]
pub struct Window {
    pub size: i64,
    pub kernel: i64,
    pub stride: i64,
    pub dilation: i64,
    pub begin: i64,
    pub end: i64,
}

impl Window {
    pub fn span(&self) -> i64 {
        self.dilation * (self.kernel - 1) + 1
    }

    pub fn fits(&self) -> bool {
        self.size + self.begin + self.end >= self.span()
    }

    /// The extent of the result, over that of the input.
    pub fn out(&self, b: &mut ProgramBuilder, size: Dim) -> Dim {
        let room = b.shapes().add_int(size, self.begin + self.end - self.span()).unwrap();
        let steps = b.shapes().floor_div(room, self.stride).unwrap();
        b.shapes().add_int(steps, 1).unwrap()
    }

    /// `stride·o + dilation·k − begin`.
    pub fn at(&self, b: &mut ProgramBuilder, o: Dim, k: Dim) -> Dim {
        let start = b.shapes().scale(o, self.stride).unwrap();
        let start = b.shapes().add_int(start, -self.begin).unwrap();
        let offset = b.shapes().scale(k, self.dilation).unwrap();
        b.shapes().add(start, offset).unwrap()
    }
}

/// A convolution of `groups · c` channels to `groups · m`.
pub struct Convolution {
    pub batch: Dim,
    pub groups: i64,
    pub c: i64,
    pub m: i64,
    pub windows: Vec<Window>,
    /// The extents of the image, those of the windows or sizes that stand for them.
    pub sizes: Vec<Dim>,
}

impl Convolution {
    /// Declares the image `x` and the weights `w`, what `target` declares over the dimensions of the result, and sums up
    /// into the buffer that `target` returns.
    pub fn build(
        &self,
        b: &mut ProgramBuilder,
        target: impl FnOnce(&mut ProgramBuilder, &[Dim]) -> BufferId,
    ) -> Result<(), Diagnostic> {
        let Convolution { batch, groups, c, m, windows, sizes } = self;
        let int = |b: &mut ProgramBuilder, value: i64| b.shapes().int(value);
        let mut x_dims = vec![*batch, int(b, groups * c)];
        let mut w_dims = vec![int(b, groups * m), int(b, *c)];
        let mut dims = vec![*batch, w_dims[0]];
        for (window, size) in windows.iter().zip(sizes) {
            x_dims.push(*size);
            w_dims.push(int(b, window.kernel));
            dims.push(window.out(b, *size));
        }
        let f32 = DType::F32;
        let (x, w) = (b.input("x", f32, &x_dims), b.input("w", f32, &w_dims));
        let sum = target(b, &dims);
        let mut axes = vec![b.axis("n", *batch)];
        let zero = int(b, 0);
        let (mut group, mut channel) = (zero, zero);
        if *groups > 1 {
            let extent = int(b, *groups);
            axes.push(b.axis("g", extent));
            group = b.var(axes[1]);
            channel = b.shapes().scale(group, *m).unwrap();
        }
        if *m > 1 || *groups == 1 {
            let extent = int(b, *m);
            axes.push(b.axis("o", extent));
            let inner = b.var(axes[axes.len() - 1]);
            channel = b.shapes().add(channel, inner).unwrap();
        }
        let mut reduce = Vec::new();
        let mut tap = |b: &mut ProgramBuilder, extent: i64, dim: Dim| {
            if extent == 1 {
                return b.shapes().int(0);
            }
            reduce.push(b.axis("k", dim));
            b.var(*reduce.last().unwrap())
        };
        let ic = tap(b, *c, w_dims[1]);
        let first = b.shapes().scale(group, *c).unwrap();
        let vn = b.var(axes[0]);
        let mut x_at = vec![vn, b.shapes().add(first, ic).unwrap()];
        let (mut w_at, mut at) = (vec![channel, ic], vec![vn, channel]);
        for (i, window) in windows.iter().enumerate() {
            let axis = b.axis("s", dims[2 + i]);
            axes.push(axis);
            let (o, k) = (b.var(axis), tap(b, window.kernel, w_dims[2 + i]));
            x_at.push(window.at(b, o, k));
            w_at.push(k);
            at.push(o);
        }
        let nothing = b.float(0.0, f32)?;
        let padded = windows.iter().any(|it| it.begin != 0 || it.end != 0);
        let value = if padded { b.load_or(x, x_at, nothing)? } else { b.load(x, x_at)? };
        let weight = b.load(w, w_at)?;
        let product = b.binary(BinaryOp::Mul, value, weight)?;
        if reduce.is_empty() {
            b.stage(&axes, sum, at, product)
        } else {
            b.reduce_stage(&axes, &reduce, Combine::Sum, sum, at, product)
        }
    }
}
