//! Steps over quantised values.

use super::Writer;
use orogen_ir::generate::Random;
use orogen_ir::ops::{OpSink, SinkResult};
use orogen_ir::types::{Attrs, DType, TensorData};

impl<S: OpSink> Writer<'_, S> {
    pub(super) fn quantized(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        // Rounding to integers jumps.
        self.is_tame = false;
        let scale = self.constant(TensorData::from_f64(DType::F32, &[], [0.25]));
        let narrow = random.pick(&[DType::U8, DType::I8]);
        let zero = self.constant(TensorData::from_f64(narrow, &[], [random.pick(&[0.0, 3.0])]));
        let integers = self.such(random, |it| matches!(it.dtype, DType::U8 | DType::I8));
        match (random.below(4), integers) {
            (0, Some(q)) => {
                let zero = self.constant(TensorData::from_f64(q.dtype, &[], [1.0]));
                self.emit("dequantize", Attrs::none(), &[q.value, scale, zero])
            }
            (1, Some(q)) if q.rank() > 0 => {
                let inner = *q.dims.last().expect("the rank is not 0");
                let w = self.weights(random, DType::I8, &[inner, 3]);
                self.emit("matmul_integer", Attrs::none(), &[q.value, w])
            }
            (2, _) => {
                // A product between its quantisations, as exporters write it.
                let Some(x) = self.such(random, |it| it.dtype == DType::F32 && it.rank() > 0) else {
                    return self.step_of_floats(random);
                };
                let inner = *x.dims.last().expect("the rank is not 0");
                let q = self.one("quantize", Attrs::none().with("to", narrow), &[x.value, scale, zero])?;
                let x = self.one("dequantize", Attrs::none(), &[q, scale, zero])?;
                let w = self.weights(random, DType::I8, &[inner, 2]);
                let w = self.one("dequantize", Attrs::none(), &[w, scale])?;
                let y = self.one("matmul", Attrs::none(), &[x, w])?;
                self.emit("quantize", Attrs::none().with("to", narrow), &[y, scale, zero])
            }
            _ => {
                let Some(x) = self.such(random, |it| it.dtype == DType::F32) else {
                    return self.step_of_floats(random);
                };
                self.emit("quantize", Attrs::none().with("to", narrow), &[x.value, scale, zero])
            }
        }
    }

    /// Numbers of some value of the program.
    fn step_of_floats(&mut self, random: &mut Random) -> SinkResult<S::Value> {
        let x = self.value(random);
        self.emit("cast", Attrs::none().with("to", DType::F32), &[x.value])
    }
}
