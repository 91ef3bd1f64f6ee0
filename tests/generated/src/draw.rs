//! A model that is being drawn: nodes that are added are computed at once, in every setting, so that what is drawn next
//! knows the shapes and the elements of all that there is.

use crate::attributes::{declared, named, tensor_proto};
use crate::evaluate::evaluate;
use crate::setup::Setup;
use crate::value::{Extent, Kind, Rounding, Sample, Val, is_fixed, is_stable};
use orogen_ir::generate::Random;
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::*;
use orogen_reference::Value;

/// Most elements of a value.
pub(crate) const MOST_ELEMENTS: usize = 1500;
/// Largest rank of a value.
const MOST_RANK: usize = 6;

/// A value of the model.
pub(crate) type Id = usize;

/// A node that may be added.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) node: NodeProto,
    pub(crate) rounding: Rounding,
}

impl Draft {
    /// A node of the standard domain with one result.
    pub(crate) fn new(op: &str, inputs: &[&str], rounding: Rounding) -> Draft {
        let node = NodeProto {
            op_type: op.into(),
            input: inputs.iter().map(|it| (*it).to_owned()).collect(),
            output: vec![String::new()],
            ..NodeProto::default()
        };
        Draft { node, rounding }
    }

    /// The same in another domain.
    pub(crate) fn of(mut self, domain: &str) -> Draft {
        self.node.domain = domain.into();
        self
    }

    /// With an attribute.
    pub(crate) fn with(mut self, attribute: AttributeProto) -> Draft {
        self.node.attribute.push(attribute);
        self
    }

    /// With so many results.
    pub(crate) fn giving(mut self, results: usize) -> Draft {
        self.node.output = vec![String::new(); results];
        self
    }
}

/// Which elements a new tensor has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fill {
    /// Small numbers of either sign with few digits.
    Small,
    /// Numbers between these, in eighths; whole ones for integers.
    Between(f64, f64),
    /// 0, or more but less than this.
    Index(u64),
}

/// See the module documentation.
pub(crate) struct Draw<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) random: Random,
    /// Version of the standard operators.
    pub(crate) opset: i64,
    /// Whether elements may be no numbers, infinite or too large.
    pub(crate) special: bool,
    /// Extents that differ between settings.
    symbols: Vec<Extent>,
    settings: usize,
    /// Whether extents of 0 and 1 are frequent.
    thin: bool,
    /// The type that most floats have.
    pub(crate) main: DType,
    pub(crate) values: Vec<Val>,
    /// Nodes of the graph and of the bodies that are being drawn, the innermost last.
    frames: Vec<Vec<NodeProto>>,
}

impl<'a> Draw<'a> {
    /// Nothing yet; what all nodes share is drawn.
    pub(crate) fn new(setup: &'a Setup, seed: u64) -> Draw<'a> {
        let mut random = Random::new(seed);
        let opset = match random.below(4) {
            0 => 7 + random.below(12) as i64,
            1 => 19 + random.below(3) as i64,
            _ => 21 + random.below(8) as i64,
        };
        let special = random.below(8) == 0;
        let thin = random.below(6) == 0;
        let settings = if random.below(5) < 3 { 3 } else { 1 };
        let symbols = match settings {
            1 => Vec::new(),
            _ => (0..1 + random.below(3))
                .map(|_| {
                    let first = random.pick(&[2, 3, 4, 5]);
                    let second = random.pick(if thin { &[0, 1, 1] } else { &[1, 2, 3, 6] });
                    vec![first, second, random.pick(&[1, 4, 7, 9, 17])]
                })
                .filter(|it| !is_fixed(it))
                .collect(),
        };
        let main = random.pick(&[
            DType::F32,
            DType::F32,
            DType::F32,
            DType::F32,
            DType::F32,
            DType::F64,
            DType::F16,
            DType::F16,
            DType::BF16,
        ]);
        Draw {
            setup,
            random,
            opset,
            special,
            symbols,
            settings,
            thin,
            main,
            values: Vec::new(),
            frames: vec![Vec::new()],
        }
    }

    /// The name of a value, which is used.
    pub(crate) fn name(&self, id: Id) -> &str {
        &self.values[id].name
    }

    /// One of a list.
    pub(crate) fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        self.random.pick(list)
    }

    /// Whether something that happens once in `n` times does.
    pub(crate) fn once_in(&mut self, n: usize) -> bool {
        self.random.below(n) == 0
    }

    /// A type of floats, mostly the one that most have.
    pub(crate) fn float_type(&mut self) -> DType {
        match self.once_in(6) {
            true => self.pick(&[DType::F32, DType::F64, DType::F16, DType::BF16]),
            false => self.main,
        }
    }

    /// A type of numbers.
    pub(crate) fn number_type(&mut self) -> DType {
        match self.random.below(4) {
            0 => self.pick(&[
                DType::I64,
                DType::I32,
                DType::I32,
                DType::I16,
                DType::I8,
                DType::U8,
                DType::U16,
                DType::U32,
                DType::U64,
            ]),
            _ => self.float_type(),
        }
    }

    /// An extent.
    pub(crate) fn extent(&mut self) -> Extent {
        if !self.symbols.is_empty() && self.random.coin() {
            let at = self.random.below(self.symbols.len());
            return self.symbols[at].clone();
        }
        let thin = self.thin;
        let size = self.pick(if thin { &[0, 1, 1, 1, 2, 3] } else { &[1, 2, 2, 3, 3, 4, 5, 7, 8, 9] });
        self.fixed(size)
    }

    /// An extent that is the same in every setting.
    pub(crate) fn fixed(&self, size: u64) -> Extent {
        vec![size; self.settings]
    }

    /// Dimensions.
    pub(crate) fn dims(&mut self, rank: usize) -> Vec<Extent> {
        let most = if rank > 3 { 4 } else { 17 };
        (0..rank)
            .map(|_| {
                loop {
                    let extent = self.extent();
                    if extent.iter().all(|it| *it <= most) {
                        return extent;
                    }
                    if most == 4 {
                        return self.fixed(2);
                    }
                }
            })
            .collect()
    }

    /// A rank, mostly a usual one.
    pub(crate) fn rank(&mut self) -> usize {
        self.pick(&[0, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5])
    }

    /// Adds a tensor that nothing computes: an input, or a constant where its extents are the same in every setting and it
    /// may be one.
    pub(crate) fn fresh(&mut self, dtype: DType, dims: &[Extent], fill: Fill) -> Id {
        let constant = dims.iter().all(|it| is_fixed(it)) && self.once_in(3);
        self.given(dtype, dims, fill, constant)
    }

    /// Adds a constant.
    pub(crate) fn weight(&mut self, dtype: DType, dims: &[u64], fill: Fill) -> Id {
        let dims: Vec<Extent> = dims.iter().map(|it| self.fixed(*it)).collect();
        let constant = !self.once_in(4);
        self.given(dtype, &dims, fill, constant)
    }

    fn given(&mut self, dtype: DType, dims: &[Extent], fill: Fill, constant: bool) -> Id {
        let elements = |draw: &mut Self, setting: usize| {
            let dims: Vec<u64> = dims.iter().map(|it| it[setting]).collect();
            draw.elements(dtype, &dims, fill)
        };
        let first = elements(self, 0);
        let tensors: Vec<TensorData> = (0..self.settings)
            .map(|setting| match constant {
                true => first.clone(),
                false => elements(self, setting),
            })
            .collect();
        self.given_values(Kind::Tensor(dtype), tensors.into_iter().map(Value::Tensor).collect(), constant)
    }

    /// Adds a constant with these elements.
    pub(crate) fn constant(&mut self, data: TensorData) -> Id {
        let values = vec![Value::Tensor(data.clone()); self.settings];
        self.given_values(Kind::Tensor(data.dtype()), values, true)
    }

    /// Adds an input with these elements in every setting.
    pub(crate) fn input(&mut self, data: TensorData) -> Id {
        let values = vec![Value::Tensor(data.clone()); self.settings];
        self.given_values(Kind::Tensor(data.dtype()), values, false)
    }

    /// Adds a constant list of integers, and gives its name.
    pub(crate) fn ints(&mut self, values: &[i64]) -> String {
        let id = self.constant(TensorData::ints(values));
        self.name(id).to_owned()
    }

    /// Adds a constant integer, and gives its name.
    pub(crate) fn int(&mut self, value: i64) -> String {
        let id = self.constant(TensorData::from_slice(DType::I64, &[], &[value]));
        self.name(id).to_owned()
    }

    fn given_values(&mut self, kind: Kind, values: Vec<Value>, constant: bool) -> Id {
        let id = self.values.len();
        let name = format!("{}{id}", if constant { "c" } else { "x" });
        let samples = values.into_iter().map(|it| Sample { plain: it.clone(), shaken: it }).collect();
        self.values.push(Val { name, kind, samples, constant, visible: true, uses: 0 });
        id
    }

    /// Elements of a tensor.
    pub(crate) fn elements(&mut self, dtype: DType, dims: &[u64], fill: Fill) -> TensorData {
        let count = dims.iter().product::<u64>();
        if dtype == DType::Str {
            let texts: Vec<&str> =
                (0..count).map(|_| self.random.pick(&["", "a", "b", "cat", "ü"])).collect();
            return TensorData::strings(dims, texts).unwrap_or_else(|_| TensorData::ints(&[]));
        }
        let special = self.special && dtype.is_float() && fill == Fill::Small;
        let mut element = || match fill {
            _ if dtype == DType::Bool => f64::from(u8::from(self.random.coin())),
            Fill::Small if special && self.random.below(6) == 0 => {
                self.random.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, 0.0, -0.0])
            }
            Fill::Small if dtype.is_float() => (self.random.below(49) as f64 - 24.0) / 8.0,
            Fill::Small if dtype.is_signed_int() => self.random.below(9) as f64 - 4.0,
            Fill::Small => self.random.below(6) as f64,
            Fill::Between(low, high) if dtype.is_float() => {
                low + self.random.below(((high - low) * 8.0) as usize + 1) as f64 / 8.0
            }
            Fill::Between(low, high) => low + self.random.below((high - low) as usize + 1) as f64,
            Fill::Index(n) => self.random.below(n as usize) as f64,
        };
        let elements: Vec<f64> = (0..count).map(|_| element()).collect();
        TensorData::from_f64(dtype, dims, elements)
    }

    /// Values that can be named here and of which this holds.
    pub(crate) fn candidates(&self, fits: impl Fn(&Val) -> bool) -> Vec<Id> {
        let fits = |it: &Val| it.visible && fits(it);
        (0..self.values.len()).filter(|id| fits(&self.values[*id])).collect()
    }

    /// One of these, mostly a recent one that nothing takes yet.
    pub(crate) fn recent(&mut self, ids: &[Id]) -> Option<Id> {
        let idle: Vec<Id> = ids.iter().copied().filter(|it| self.values[*it].uses == 0).collect();
        let from = if !idle.is_empty() && !self.once_in(4) { &idle } else { ids };
        if from.is_empty() {
            return None;
        }
        let back = self.random.below(from.len()).min(self.random.below(from.len()));
        Some(from[from.len() - 1 - back])
    }

    /// A tensor of which this holds: mostly one that there is.
    pub(crate) fn found(&mut self, fits: impl Fn(&Val, DType) -> bool) -> Option<Id> {
        let ids =
            self.candidates(|it| it.dtype().is_some_and(|dtype| it.dims().is_some() && fits(it, dtype)));
        if self.once_in(8) { None } else { self.recent(&ids) }
    }

    /// A tensor of floats whose rank is one of these, there or new.
    pub(crate) fn floats(&mut self, ranks: std::ops::RangeInclusive<usize>) -> Id {
        let allowed = ranks.clone();
        if let Some(found) =
            self.found(|it, dtype| dtype.is_float_of(&[16, 32, 64]) && allowed.contains(&it.rank()))
        {
            return found;
        }
        let dtype = self.float_type();
        self.new_tensor(dtype, ranks)
    }

    /// A tensor of numbers whose rank is one of these.
    pub(crate) fn numbers(&mut self, ranks: std::ops::RangeInclusive<usize>) -> Id {
        let allowed = ranks.clone();
        let number = |it: DType| it.is_float_of(&[16, 32, 64]) || it.is_int_of(&[8, 16, 32, 64]);
        if let Some(found) = self.found(|it, dtype| number(dtype) && allowed.contains(&it.rank())) {
            return found;
        }
        let dtype = self.number_type();
        self.new_tensor(dtype, ranks)
    }

    /// A tensor of any type whose rank is one of these.
    pub(crate) fn any(&mut self, ranks: std::ops::RangeInclusive<usize>) -> Id {
        let allowed = ranks.clone();
        if let Some(found) = self.found(|it, _| allowed.contains(&it.rank())) {
            return found;
        }
        let dtype = match self.once_in(4) {
            true => self.pick(&[DType::Bool, DType::Str, DType::I64, DType::U8, DType::I8, DType::F64]),
            false => self.number_type(),
        };
        self.new_tensor(dtype, ranks)
    }

    /// A new tensor of a type.
    pub(crate) fn new_tensor(&mut self, dtype: DType, ranks: std::ops::RangeInclusive<usize>) -> Id {
        let rank = self.rank().clamp(*ranks.start(), *ranks.end());
        let dims = self.dims(rank);
        self.fresh(dtype, &dims, Fill::Small)
    }

    /// A tensor of this type and these dimensions, there or new.
    pub(crate) fn of(&mut self, dtype: DType, dims: &[Extent], fill: Fill) -> Id {
        if fill == Fill::Small
            && let Some(found) = self.found(|it, of| of == dtype && it.dims().as_deref() == Some(dims))
        {
            return found;
        }
        self.fresh(dtype, dims, fill)
    }

    /// The dimensions of a tensor.
    pub(crate) fn dims_of(&self, id: Id) -> Vec<Extent> {
        self.values[id].dims().unwrap_or_default()
    }

    /// The element type of a tensor.
    pub(crate) fn dtype_of(&self, id: Id) -> DType {
        self.values[id].dtype().unwrap_or(DType::F32)
    }

    /// Adds a node, when it can be imported and what it computes can be compared; gives its results.
    pub(crate) fn add(&mut self, draft: Draft) -> Option<Vec<Id>> {
        let mut node = draft.node;
        let first = self.values.len();
        for (i, output) in node.output.iter_mut().enumerate() {
            *output = format!("v{}", first + i);
        }
        node.name = format!("n{first}");
        let results = evaluate(self, &node, draft.rounding)?;
        let special = self.special;
        let fits = |it: &Val| {
            it.samples.iter().all(|it| is_stable(it, special, MOST_ELEMENTS)) && it.rank() <= MOST_RANK
        };
        if !results.iter().all(fits) {
            return None;
        }
        for name in node.input.iter().chain(&captured(&node)) {
            if let Some(value) = self.values.iter_mut().rev().find(|it| it.visible && it.name == *name) {
                value.uses += 1;
            }
        }
        let ids = (first..first + results.len()).collect();
        self.values.extend(results);
        if let Some(frame) = self.frames.last_mut() {
            frame.push(node);
        }
        Some(ids)
    }

    /// A value that can be named here.
    pub(crate) fn lookup(&self, name: &str) -> Option<&Val> {
        self.values.iter().rev().find(|it| it.visible && it.name == name)
    }

    /// How deep the node that is being drawn lies in bodies.
    pub(crate) fn depth(&self) -> usize {
        self.frames.len() - 1
    }

    /// Draws a body: parameters with what they are in the first turn, then what `fill` draws, whose result are the values that the
    /// body gives.
    pub(crate) fn body(
        &mut self,
        parameters: Vec<Val>,
        fill: impl FnOnce(&mut Self, &[Id]) -> Option<Vec<Id>>,
    ) -> Option<GraphProto> {
        let first = self.values.len();
        let ids: Vec<Id> = (first..first + parameters.len()).collect();
        let input = parameters.iter().map(declared).collect();
        self.values.extend(parameters);
        self.frames.push(Vec::new());
        let results = fill(self, &ids);
        let node = self.frames.pop().unwrap_or_default();
        // What a body gives is computed in it.
        let made: Vec<&str> = node.iter().flat_map(|it| &it.output).map(String::as_str).collect();
        let output: Option<Vec<ValueInfoProto>> =
            results.map(|it| it.iter().map(|it| named(self.name(*it))).collect());
        let whole = output.iter().flatten().all(|it| made.contains(&it.name.as_str()));
        for value in &mut self.values[first..] {
            value.visible &= !value.name.starts_with(['p', 'v']);
        }
        let output = output?;
        whole.then(|| GraphProto { name: format!("b{first}"), node, input, output, ..GraphProto::default() })
    }

    /// A parameter of a body, called by its place.
    pub(crate) fn parameter(&self, at: usize, kind: Kind, samples: Vec<Sample>) -> Val {
        let name = format!("p{}", self.values.len() + at);
        Val { name, kind, samples, constant: false, visible: true, uses: 0 }
    }

    /// How many settings there are.
    pub(crate) fn settings(&self) -> usize {
        self.settings
    }

    /// The graph and all values; outputs are the tensors that nothing takes, and some that something does.
    pub(crate) fn finish(mut self) -> (GraphProto, Vec<Val>) {
        let computed = self.candidates(|it| it.name.starts_with('v') && matches!(it.kind, Kind::Tensor(_)));
        let idle = |it: &Self, id: Id| it.values[id].uses == 0;
        let mut outputs = computed.clone();
        outputs.retain(|it| idle(&self, *it) || self.random.below(6) == 0);
        let outputs = if outputs.is_empty() { computed } else { outputs };
        let node = self.frames.pop().unwrap_or_default();
        let output = outputs.iter().map(|it| named(self.name(*it))).collect();
        let mut graph = GraphProto { name: "drawn".into(), node, output, ..GraphProto::default() };
        close(&mut graph, &self.values);
        (graph, self.values)
    }
}

/// Gives a graph the inputs and the constants that its nodes name, and drops the nodes that no output needs.
pub(crate) fn close(graph: &mut GraphProto, values: &[Val]) {
    let mut needed: Vec<String> = graph.output.iter().map(|it| it.name.clone()).collect();
    let nodes = std::mem::take(&mut graph.node);
    for node in nodes.into_iter().rev() {
        if node.output.iter().any(|it| needed.contains(it)) {
            needed.extend(node.input.iter().cloned().chain(captured(&node)));
            graph.node.insert(0, node);
        }
    }
    let made: Vec<&String> = graph.node.iter().flat_map(|it| &it.output).collect();
    let given = values.iter().filter(|it| needed.contains(&it.name) && !made.contains(&&it.name));
    let (constants, inputs): (Vec<&Val>, Vec<&Val>) = given.partition(|it| it.constant);
    graph.initializer = constants.iter().filter_map(|it| Some(tensor_proto(&it.name, it.data()?))).collect();
    graph.input = inputs.into_iter().map(declared).collect();
}

/// Names that the bodies of a node use and do not define.
pub(crate) fn captured(node: &NodeProto) -> Vec<String> {
    let bodies = node.attribute.iter().filter_map(|it| it.g.as_deref());
    let mut found = Vec::new();
    for body in bodies {
        let inside: Vec<&String> =
            body.node.iter().flat_map(|it| &it.output).chain(body.input.iter().map(|it| &it.name)).collect();
        let names = body.node.iter().flat_map(|it| it.input.iter().cloned().chain(captured(it)));
        found.extend(names.filter(|it| !it.is_empty() && !inside.contains(&it)));
    }
    found
}
