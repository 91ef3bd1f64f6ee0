//! Builds the model of one kernel.

use anyhow::Result;
use orogen::Model;
use orogen::ir::flow::{FlowBuilder, ValueId};
use orogen::ir::ops::{OpRegistry, OpSink};
use orogen::ir::types::{Attr, Attrs, DType, TensorData, Type};

/// A model under construction.
pub(crate) struct Build<'o> {
    builder: FlowBuilder<'o>,
    ops: &'o OpRegistry,
    inputs: Vec<TensorData>,
    /// Sizes are divided by it: 1 for measurements, more where it only matters that a kernel runs.
    shrink: i64,
}

/// A model and what to call it with.
pub(crate) struct Built {
    pub(crate) model: Model,
    pub(crate) inputs: Vec<TensorData>,
}

impl<'o> Build<'o> {
    pub(crate) fn new(ops: &'o OpRegistry, shrink: i64) -> Self {
        Build { builder: FlowBuilder::new(ops, "main"), ops, inputs: Vec::new(), shrink }
    }

    /// A size of the model; at least 2.
    pub(crate) fn size(&self, n: i64) -> i64 {
        (n / self.shrink).max(2)
    }

    pub(crate) fn input(&mut self, dtype: DType, dims: &[i64]) -> Result<ValueId> {
        let data = data(dtype, dims);
        self.given(data)
    }

    /// Positions below `limit`, scattered.
    pub(crate) fn positions(&mut self, count: i64, limit: i64) -> Result<ValueId> {
        // An odd factor visits all.
        let values = (0..count).map(|i| (i * 40_503 % limit) as f64);
        self.given(TensorData::from_f64(DType::I64, &[count as u64], values))
    }

    fn given(&mut self, data: TensorData) -> Result<ValueId> {
        let dims: Vec<_> = data.dims().iter().map(|it| self.builder.shapes().int(*it as i64)).collect();
        let name = format!("x{}", self.inputs.len());
        let value = self.builder.input(&name, Type::tensor(data.dtype(), dims))?;
        self.inputs.push(data);
        Ok(value)
    }

    pub(crate) fn constant(&mut self, dtype: DType, dims: &[i64]) -> ValueId {
        self.builder.constant("", data(dtype, dims))
    }

    pub(crate) fn known(&mut self, data: TensorData) -> ValueId {
        self.builder.constant("", data)
    }

    pub(crate) fn number(&mut self, dtype: DType, value: f64) -> ValueId {
        self.builder.constant("", TensorData::from_f64(dtype, &[], [value]))
    }

    pub(crate) fn integers(&mut self, values: &[i64]) -> ValueId {
        let dims = [values.len() as u64];
        let values = values.iter().map(|it| *it as f64);
        self.builder.constant("", TensorData::from_f64(DType::I64, &dims, values))
    }

    pub(crate) fn op(&mut self, name: &str, attrs: &[(&str, Attr)], args: &[ValueId]) -> Result<ValueId> {
        let attrs = attrs.iter().fold(Attrs::none(), |all, (name, it)| all.with(name, it.clone()));
        Ok(self.builder.emit(self.ops.get(name), attrs, args)?[0])
    }

    pub(crate) fn cast(&mut self, value: ValueId, to: DType) -> Result<ValueId> {
        self.op("cast", &[("to", to.into())], &[value])
    }

    pub(crate) fn finish(mut self, result: ValueId) -> Result<Built> {
        self.builder.output("y", result)?;
        let model = Model::from_module("kernel", self.builder.finish()?);
        Ok(Built { model, inputs: self.inputs })
    }
}

/// The plane that elementwise classes work on: it fits the second cache in every type.
pub(crate) fn plane(b: &Build<'_>) -> [i64; 2] {
    [b.size(128), b.size(1024)]
}

/// Positive numbers that are small and not all the same.
fn data(dtype: DType, dims: &[i64]) -> TensorData {
    let dims: Vec<u64> = dims.iter().map(|it| *it as u64).collect();
    let count = dims.iter().product::<u64>();
    let values = (0..count).map(|i| {
        let i = i * 7919 % 1021;
        match dtype {
            DType::Bool => (i % 2) as f64,
            it if it.is_float() => 0.5 + i as f64 / 1024.0,
            _ => (1 + i % 5) as f64,
        }
    });
    TensorData::from_f64(dtype, &dims, values)
}
