//! What the caller chooses, and the types of inputs that follow.

use crate::node::bad;
use crate::proto::{DimensionProto, ItemTypeProto, MapTypeProto, TypeProto, ValueInfoProto};
use crate::table::OpTable;
use crate::tensor::dtype_of;
use indexmap::{IndexMap, IndexSet};
use orogen_ir::diag::Diagnostic;
use orogen_ir::ops::{Budget, InputDefaults};
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{DType, Dims, ShapeInfo, TensorType, Type};

/// What the caller chooses.
#[derive(Clone, Debug)]
pub struct Options {
    /// Sizes of dynamic dimensions by name. A dimension without a name in the model is called
    /// `<input>_dim<i>`. A size that the model declares as 0 may be given another one by that name: exporters also
    /// write 0 for what they do not know.
    pub dims: IndexMap<String, u64>,
    /// What becomes of initializers that the file lists as inputs too.
    pub defaults: InputDefaults,
    /// Values of the main graph that come out beside its outputs, each by its name or by that of the node whose first result
    /// it is. Names of nothing, and of what is no tensor, mean nothing.
    pub values: IndexSet<String>,
    /// Known operators.
    pub ops: OpTable,
    /// What may be built beyond what the file holds; share one with the sink to bound the whole compilation.
    pub budget: Budget,
}

impl Default for Options {
    /// The standard operators, no dimension bound, all initializers constants.
    fn default() -> Self {
        Options {
            dims: IndexMap::new(),
            defaults: InputDefaults::default(),
            values: IndexSet::new(),
            ops: OpTable::standard(),
            budget: Budget::default(),
        }
    }
}

impl Options {
    /// The same options with one dimension bound.
    #[must_use]
    pub fn with_dim(mut self, name: &str, value: u64) -> Self {
        self.dims.insert(name.to_string(), value);
        self
    }
}

/// The dimensions of the inputs that have a name, by (input, axis), and the sizes that some names have. Names are those
/// of dynamic dimensions and of declared zeros.
pub(crate) struct BoundDims {
    names: IndexMap<(String, usize), String>,
    sizes: IndexMap<String, u64>,
}

impl BoundDims {
    /// Names that stay dynamic.
    pub(crate) fn free_names(&self) -> Vec<String> {
        let names: IndexSet<&String> =
            self.names.values().filter(|it| !self.sizes.contains_key(*it)).collect();
        names.into_iter().cloned().collect()
    }
}

/// Names every dynamic dimension of the inputs and checks that every bound name is one of them.
pub(crate) fn bound_dims(
    inputs: &[&ValueInfoProto],
    sizes: &IndexMap<String, u64>,
) -> Result<BoundDims, Diagnostic> {
    let dims = || {
        inputs.iter().flat_map(|input| {
            let shape = input.r#type.as_ref()?.tensor_type.as_ref()?.shape.as_ref()?;
            Some((*input, shape.dim.as_slice()))
        })
    };
    let mut taken: IndexSet<&str> = IndexSet::new();
    taken.extend(dims().flat_map(|(_, dims)| dims).filter_map(name_of));
    let mut names: IndexMap<(String, usize), String> = IndexMap::new();
    let mut zeros: Vec<String> = Vec::new();
    for (input, dims) in dims() {
        for (axis, dim) in dims.iter().enumerate().filter(|(_, it)| size_of(it).is_none_or(|it| it == 0)) {
            let name = name_of(dim).map_or_else(
                || {
                    let mut name = format!("{}_dim{axis}", input.name);
                    while taken.contains(name.as_str()) {
                        name.push('_');
                    }
                    name
                },
                str::to_string,
            );
            if size_of(dim).is_some() {
                zeros.push(name.clone());
            }
            names.insert((input.name.clone(), axis), name);
        }
    }
    let known: IndexSet<&String> = names.values().collect();
    for (name, size) in sizes {
        if !known.contains(name) {
            let list: Vec<&str> = known.iter().map(|it| it.as_str()).collect();
            let diagnostic =
                Diagnostic::error("X011", format!("the model has no dynamic dimension `{name}`"));
            return Err(match list.is_empty() {
                true => diagnostic.help("all dimensions of its inputs are fixed"),
                false => diagnostic.help(format!("its dynamic dimensions are: {}", list.join(", "))),
            });
        }
        if i64::try_from(*size).is_err() {
            return Err(Diagnostic::error("X011", format!("size {size} of dimension `{name}` is too large")));
        }
    }
    let mut sizes = sizes.clone();
    for name in zeros {
        sizes.entry(name).or_insert(0);
    }
    Ok(BoundDims { names, sizes })
}

/// The type of a model input.
pub(crate) fn input_type(
    input: &ValueInfoProto,
    bound: &BoundDims,
    shapes: &mut ShapeCx,
) -> Result<Type, Diagnostic> {
    if input.name.is_empty() {
        return Err(bad("the input has no name"));
    }
    let ty = input.r#type.as_ref().ok_or_else(|| bad("the input has no type"))?;
    let Some(tensor) = &ty.tensor_type else { return item_type(ty, bound, shapes) };
    let dtype = dtype_of(tensor.elem_type).map_err(bad)?;
    // It is held by reference, and asked for its rank.
    let Some(shape) = &tensor.shape else {
        return Ok(Type::Optional(Box::new(Type::Tensor(TensorType::unknown(dtype)))));
    };
    if shape.dim.len() > usize::from(u8::MAX) {
        return Err(bad(format!("the input has {} dimensions", shape.dim.len())));
    }
    let mut dims = Dims::new();
    for (axis, dim) in shape.dim.iter().enumerate() {
        let size = match bound.names.get(&(input.name.clone(), axis)) {
            Some(name) => match bound.sizes.get(name) {
                Some(size) => shapes.int(i64::try_from(*size).expect("checked when the names were bound")),
                None => shapes.sym(name),
            },
            None => shapes.int(size_of(dim).expect("a dimension without a name has a size")),
        };
        dims.push(size);
    }
    Ok(Type::tensor(dtype, dims))
}

/// The type of an item of a sequence, or of a sequence or an optional itself. Items may differ in every dimension that is
/// no number, whatever its name.
fn item_type(ty: &TypeProto, bound: &BoundDims, shapes: &mut ShapeCx) -> Result<Type, Diagnostic> {
    let inner = |of: &ItemTypeProto, shapes: &mut ShapeCx| {
        let ty = of.elem_type.as_deref().ok_or_else(|| bad("the type of its items is missing"))?;
        Ok::<_, Diagnostic>(Box::new(item_type(ty, bound, shapes)?))
    };
    if let Some(of) = &ty.sequence_type {
        return Ok(Type::Sequence(inner(of, shapes)?));
    }
    if let Some(of) = &ty.optional_type {
        return Ok(Type::Optional(inner(of, shapes)?));
    }
    if let Some(map) = &ty.map_type {
        let vector =
            |dtype| Box::new(Type::Tensor(TensorType { dtype, shape: ShapeInfo::Rank(1), elements: None }));
        let (keys, values) = map_types(map).map_err(bad)?;
        return Ok(Type::Map(vector(keys), vector(values)));
    }
    let tensor =
        ty.tensor_type.as_ref().ok_or_else(|| bad("the input is of a type that is not supported"))?;
    let dtype = dtype_of(tensor.elem_type).map_err(bad)?;
    let Some(shape) = &tensor.shape else { return Ok(Type::Tensor(TensorType::unknown(dtype))) };
    let rank = u8::try_from(shape.dim.len())
        .map_err(|_| bad(format!("its items have {} dimensions", shape.dim.len())))?;
    let fixed = |dim: &DimensionProto| match name_of(dim) {
        Some(name) => bound.sizes.get(name).and_then(|it| i64::try_from(*it).ok()),
        // Exporters also write 0 for what they do not know.
        None => size_of(dim).filter(|it| *it > 0),
    };
    Ok(match shape.dim.iter().map(fixed).collect::<Option<Vec<i64>>>() {
        Some(sizes) => Type::tensor(dtype, sizes.into_iter().map(|it| shapes.int(it))),
        None => Type::Tensor(TensorType { dtype, shape: ShapeInfo::Rank(rank), elements: None }),
    })
}

/// The types of the keys and the values of a map.
pub(crate) fn map_types(map: &MapTypeProto) -> Result<(DType, DType), String> {
    let keys = dtype_of(map.key_type)?;
    if !keys.is_int() && keys != DType::Str {
        return Err(format!("the keys of its map are {keys}, not integers or strings"));
    }
    let value = map.value_type.as_ref().and_then(|it| it.tensor_type.as_ref());
    match value {
        // Exporters also write a vector of one.
        Some(it) if it.shape.iter().flat_map(|it| &it.dim).all(|it| size_of(it) == Some(1)) => {
            Ok((keys, dtype_of(it.elem_type)?))
        }
        _ => Err("the values of its map are no single numbers or strings".into()),
    }
}

/// A name that means something: exporters also write `?` or `-1` for every dimension they do not know.
fn name_of(dim: &DimensionProto) -> Option<&str> {
    let name = dim.dim_param.as_deref()?;
    let meaningful = name.chars().any(|it| it.is_alphanumeric() || it == '_');
    (meaningful && name != "-1" && name != "None").then_some(name)
}

/// A fixed size. Exporters write -1 for sizes they do not know.
fn size_of(dim: &DimensionProto) -> Option<i64> {
    dim.dim_value.filter(|it| *it >= 0 && name_of(dim).is_none())
}
