//! Steps over windows: convolutions, pools, batch normalisation, resizing.

use super::Writer;
use orogen_ir::generate::Random;
use orogen_ir::ops::{OpSink, SinkResult};
use orogen_ir::types::{Attrs, DType};

impl<S: OpSink> Writer<'_, S> {
    pub(super) fn window(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let image = |it: &super::Known<S::Value>| it.dtype == DType::F32 && (3..=5).contains(&it.rank());
        let Some(x) = self.such(random, image) else { return self.step_without_windows(random) };
        let (channels, spatial) = (x.dims[1], x.rank() - 2);
        let kernel: Vec<i64> = (0..spatial).map(|_| random.pick(&[1, 1, 2, 3])).collect();
        let strides: Vec<i64> = (0..spatial).map(|_| random.pick(&[1, 1, 2])).collect();
        let pads: Vec<i64> = (0..2 * spatial).map(|_| random.pick(&[0, 0, 1])).collect();
        let around = Attrs::none().with("strides", strides).with("pads", pads);
        match random.below(10) {
            0..=4 => {
                let group = if random.below(3) == 0 { channels.max(1) } else { 1 };
                let made = group * random.pick(&[1, 2]);
                let mut dims = vec![made, channels / group];
                dims.extend(kernel.iter().map(|it| *it as u64));
                let w = self.weights(random, DType::F32, &dims);
                let attrs = around.with("group", group as i64);
                let y = match random.coin() {
                    true => {
                        let bias = self.weights(random, DType::F32, &[made]);
                        self.one("conv", attrs, &[x.value, w, bias])?
                    }
                    false => self.one("conv", attrs, &[x.value, w])?,
                };
                if random.coin() { self.emit("relu", Attrs::none(), &[y]) } else { Ok(vec![y]) }
            }
            5 => {
                let mut dims = vec![channels, random.pick(&[1, 2])];
                dims.extend(kernel.iter().map(|it| *it as u64));
                let w = self.weights(random, DType::F32, &dims);
                self.emit("conv_transpose", Attrs::none(), &[x.value, w])
            }
            6 => self.emit("max_pool", around.with("kernel", kernel), &[x.value]),
            7 => {
                let attrs = around.with("kernel", kernel).with("count_include_pad", random.coin());
                self.emit("avg_pool", attrs, &[x.value])
            }
            8 => {
                let of: Vec<S::Value> =
                    (0..3).map(|_| self.weights(random, DType::F32, &[channels])).collect();
                let variance = vec![1.0; channels as usize];
                let variance =
                    self.constant(orogen_ir::types::TensorData::from_f64(DType::F32, &[channels], variance));
                self.emit("batch_norm", Attrs::none(), &[x.value, of[0], of[1], of[2], variance])
            }
            _ => {
                let mut sizes: Vec<i64> = x.dims.iter().map(|it| *it as i64).collect();
                sizes.iter_mut().skip(2).for_each(|it| *it *= 2);
                let sizes = self.ints(&sizes);
                self.emit("resize", Attrs::none().with("mode", "nearest"), &[x.value, sizes])
            }
        }
    }

    /// An image of some value of the program.
    fn step_without_windows(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let x = self.value(random);
        let shape = self.ints(&[1, 1, x.len() as i64]);
        self.emit("reshape", Attrs::none().with("allow_zero", true), &[x.value, shape])
    }
}
