//! Models made in memory and a sink that records what it is given.
#![allow(dead_code, unreachable_pub, unused_imports, reason = "each test file uses its part")]

use orogen_ir::diag::Diagnostic;
use orogen_ir::flow::FlowBuilder;
use orogen_ir::ops::{InferCx, OpId, OpRegistry, OpSink, SinkResult};
use orogen_ir::shape::{Constraint, ShapeCx};
use orogen_ir::types::{Attrs, DType, TensorData, TensorType, Type};
use orogen_onnx::proto::*;
use orogen_onnx::{ImportReport, Model, Options, import};

/// A value of a [`Recorder`].
#[derive(Clone, Debug)]
pub struct Recorded {
    pub ty: Type,
    pub data: Option<TensorData>,
}

/// Records operations with inferred types; constants keep their data.
#[derive(Debug)]
pub struct Recorder {
    pub registry: OpRegistry,
    pub shapes: ShapeCx,
    pub values: Vec<Recorded>,
    /// Emitted operators by name with attributes and operands, in order; also `input`, `constant`, `if`, …
    pub log: Vec<(String, Attrs, Vec<usize>)>,
    pub outputs: Vec<(String, usize)>,
    pub source: String,
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder {
            registry: OpRegistry::standard(),
            shapes: ShapeCx::new(),
            values: Vec::new(),
            log: Vec::new(),
            outputs: Vec::new(),
            source: String::new(),
        }
    }
}

impl Recorder {
    fn push(&mut self, ty: Type, data: Option<TensorData>) -> usize {
        self.values.push(Recorded { ty, data });
        self.values.len() - 1
    }

    pub fn names(&self) -> Vec<&str> {
        self.log.iter().map(|(name, _, _)| name.as_str()).filter(|it| *it != "constant").collect()
    }

    /// `f32[n, 3]` of an output.
    pub fn output(&self, name: &str) -> String {
        let (_, value) = self.outputs.iter().find(|(it, _)| it == name).expect("an output of that name");
        self.show(&self.values[*value].ty)
    }

    pub fn show(&self, ty: &Type) -> String {
        let Type::Tensor(ty) = ty else { return format!("{ty:?}") };
        match ty.dims() {
            Some(dims) => {
                let dims: Vec<String> = dims.iter().map(|it| self.shapes.display(*it).to_string()).collect();
                format!("{}[{}]", ty.dtype, dims.join(", "))
            }
            None => format!("{}{:?}", ty.dtype, ty.shape),
        }
    }
}

impl OpSink for Recorder {
    type Value = usize;

    fn ops(&self) -> &OpRegistry {
        &self.registry
    }

    fn shapes(&mut self) -> &mut ShapeCx {
        &mut self.shapes
    }

    fn set_source(&mut self, source: &str) {
        self.source = source.to_string();
    }

    fn input(&mut self, name: &str, ty: Type) -> Result<usize, Diagnostic> {
        self.log.push((format!("input {name}"), Attrs::none(), Vec::new()));
        Ok(self.push(ty, None))
    }

    fn constant(&mut self, _name: &str, data: TensorData) -> usize {
        let dims: Vec<_> = data.dims().iter().map(|it| self.shapes.int(*it as i64)).collect();
        let mut ty = TensorType::new(data.dtype(), dims);
        if !data.dtype().is_float() && data.len() <= TensorType::MAX_ELEMENTS {
            let elements: Vec<_> = data.to_i64().iter().map(|it| self.shapes.int(*it)).collect();
            ty = ty.with_elements(elements);
        }
        self.log.push(("constant".into(), Attrs::none(), Vec::new()));
        self.push(Type::Tensor(ty), Some(data))
    }

    fn emit(&mut self, op: OpId, attrs: Attrs, args: &[usize]) -> SinkResult<usize> {
        let types: Vec<Type> = args.iter().map(|it| self.values[*it].ty.clone()).collect();
        let mut cx = InferCx::new(&mut self.shapes, &attrs, &types);
        let results = self.registry.infer(op, &mut cx)?;
        let requirements = cx.requirements;
        for requirement in requirements {
            self.shapes
                .assume(requirement.constraint)
                .map_err(|_| Diagnostic::error("T001", requirement.message))?;
        }
        self.log.push((self.registry.def(op).name.to_string(), attrs, args.to_vec()));
        Ok(results
            .into_iter()
            .map(|ty| {
                let data = self.known(&ty);
                self.push(ty, data)
            })
            .collect())
    }

    fn type_of(&self, value: usize) -> &Type {
        &self.values[value].ty
    }

    fn constant_data(&self, value: usize) -> Option<&TensorData> {
        self.values[value].data.as_ref()
    }

    fn match_cast(&mut self, value: usize, ty: Type) -> Result<usize, Diagnostic> {
        self.log.push(("match_cast".into(), Attrs::none(), vec![value]));
        Ok(self.push(ty, None))
    }

    fn check(&mut self, fact: Constraint, message: &str) -> Result<(), Diagnostic> {
        self.log.push((format!("check {}", self.shapes.display_fact(&fact)), Attrs::none(), Vec::new()));
        self.shapes.assume(fact).map_err(|_| Diagnostic::error("T001", message))
    }

    fn if_else(
        &mut self,
        cond: usize,
        then_branch: &mut dyn FnMut(&mut Self) -> SinkResult<usize>,
        else_branch: &mut dyn FnMut(&mut Self) -> SinkResult<usize>,
    ) -> SinkResult<usize> {
        self.log.push(("if".into(), Attrs::none(), vec![cond]));
        let results = then_branch(self)?;
        self.log.push(("else".into(), Attrs::none(), results.clone()));
        let others = else_branch(self)?;
        assert_eq!(results.len(), others.len(), "branches return as many values");
        self.log.push(("end".into(), Attrs::none(), others));
        Ok(results.iter().map(|it| self.push(self.values[*it].ty.clone(), None)).collect())
    }

    fn while_loop(
        &mut self,
        init: &[usize],
        cond: &mut dyn FnMut(&mut Self, &[usize]) -> Result<usize, Diagnostic>,
        body: &mut dyn FnMut(&mut Self, &[usize]) -> SinkResult<usize>,
    ) -> SinkResult<usize> {
        self.log.push(("while".into(), Attrs::none(), init.to_vec()));
        let forget = |ty: &Type| match ty.clone() {
            Type::Tensor(mut ty) => {
                ty.elements = None;
                Type::Tensor(ty)
            }
            ty => ty,
        };
        let types: Vec<Type> = init.iter().map(|it| forget(&self.values[*it].ty)).collect();
        let carried: Vec<usize> = types.iter().map(|ty| self.push(ty.clone(), None)).collect();
        let go_on = cond(self, &carried)?;
        assert_eq!(self.values[go_on].ty.as_tensor().map(|it| it.dtype), Some(DType::Bool));
        self.log.push(("do".into(), Attrs::none(), vec![go_on]));
        let next = body(self, &carried)?;
        assert_eq!(next.len(), init.len(), "the body returns as many values as are carried");
        for (next, ty) in next.iter().zip(&types) {
            assert_eq!(&forget(&self.values[*next].ty), ty, "carried types do not change");
        }
        self.log.push(("end".into(), Attrs::none(), next));
        Ok(types.into_iter().map(|ty| self.push(ty, None)).collect())
    }

    fn output(&mut self, name: &str, value: usize) -> Result<(), Diagnostic> {
        self.outputs.push((name.to_string(), value));
        Ok(())
    }
}

impl Recorder {
    /// The data of a result whose elements are all constant.
    fn known(&self, ty: &Type) -> Option<TensorData> {
        let ty = ty.as_tensor()?;
        let elements: Option<Vec<i64>> =
            ty.elements.as_ref()?.iter().map(|it| self.shapes.as_int(*it)).collect();
        let dims = ty.static_dims(&self.shapes)?;
        Some(TensorData::from_f64(ty.dtype, &dims, elements?.into_iter().map(|it| it as f64)))
    }
}

/// A dimension of a test model.
#[derive(Clone, Copy, Debug)]
pub enum D {
    N(i64),
    S(&'static str),
    Unknown,
}

pub fn value(name: &str, elem_type: i32, dims: &[D]) -> ValueInfoProto {
    let dim = dims
        .iter()
        .map(|it| match it {
            D::N(n) => DimensionProto { dim_value: Some(*n), dim_param: None },
            D::S(name) => DimensionProto { dim_value: None, dim_param: Some(name.to_string()) },
            D::Unknown => DimensionProto::default(),
        })
        .collect();
    let tensor_type = TensorTypeProto { elem_type, shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto { tensor_type: Some(tensor_type), ..TypeProto::default() }),
    }
}

pub fn f32_input(name: &str, dims: &[i64]) -> ValueInfoProto {
    value(name, data_type::FLOAT, &dims.iter().map(|it| D::N(*it)).collect::<Vec<_>>())
}

pub fn named(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: name.into(), r#type: None }
}

pub use orogen_onnx::proto::attribute::{
    float, floats, graph as graph_attr, int, ints, tensor as tensor_attr, text, texts,
};

pub fn node(op: &str, inputs: &[&str], outputs: &[&str], attribute: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        input: inputs.iter().map(|it| it.to_string()).collect(),
        output: outputs.iter().map(|it| it.to_string()).collect(),
        name: String::new(),
        op_type: op.into(),
        attribute,
        ..NodeProto::default()
    }
}

pub fn f32_tensor(name: &str, dims: &[i64], data: &[f32]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: data_type::FLOAT,
        float_data: data.to_vec(),
        ..TensorProto::default()
    }
}

pub fn i64_tensor(name: &str, dims: &[i64], data: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: data_type::INT64,
        int64_data: data.to_vec(),
        ..TensorProto::default()
    }
}

pub fn graph(
    input: Vec<ValueInfoProto>,
    initializer: Vec<TensorProto>,
    node: Vec<NodeProto>,
    outputs: &[&str],
) -> GraphProto {
    GraphProto {
        node,
        name: "g".into(),
        initializer,
        input,
        output: outputs.iter().map(|it| named(it)).collect(),
        ..GraphProto::default()
    }
}

pub fn model(opset: i64, graph: GraphProto) -> ModelProto {
    ModelProto {
        ir_version: 8,
        graph: Some(Box::new(graph)),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: opset }],
        ..ModelProto::default()
    }
}

/// Imports into the flow IR and evaluates.
pub fn eval_with(
    proto: ModelProto,
    options: &Options,
    args: &[TensorData],
) -> Result<(ImportReport, Vec<TensorData>), String> {
    let ops = OpRegistry::standard();
    let model = Model::from_proto(proto).map_err(|it| it.to_string())?;
    let mut sink = FlowBuilder::new(&ops, "test");
    let report = import(&model, options, &mut sink).map_err(|it| it.to_string())?;
    let module = sink.finish().map_err(|it| it.to_string())?;
    let args: Vec<_> = args.iter().cloned().map(orogen_reference::Value::from).collect();
    let results =
        orogen_reference::eval_function(&ops, &module, "main", &args).map_err(|it| it.to_string())?;
    Ok((report, results.iter().filter_map(|it| it.as_tensor().cloned()).collect()))
}

/// The results of a model on the dataflow path, which are tensors.
pub fn eval(proto: ModelProto, args: &[TensorData]) -> Result<Vec<TensorData>, String> {
    eval_with(proto, &Options::default(), args).map(|(_, results)| results)
}
