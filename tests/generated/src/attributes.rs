//! Attributes of nodes, and types and tensors of files.

use crate::value::{Extent, Kind, Val, extents, is_fixed, symbol};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::dtype_of;
pub(crate) use orogen_onnx::proto::attribute::{float, floats, graph, int, ints, text, texts};
use orogen_onnx::proto::*;
use orogen_reference::Value;

/// An attribute that is a tensor.
pub(crate) fn tensor(name: &str, data: &TensorData) -> AttributeProto {
    attribute::tensor(name, tensor_proto("", data))
}

/// A constant of a file.
pub(crate) fn tensor_proto(name: &str, data: &TensorData) -> TensorProto {
    let mut proto = TensorProto {
        name: name.into(),
        data_type: number(data.dtype()),
        dims: data.dims().iter().map(|it| it.cast_signed()).collect(),
        ..TensorProto::default()
    };
    if data.dtype() == DType::Str {
        proto.string_data = (0..data.len()).map(|i| data.text(i).as_bytes().to_vec().into()).collect();
    } else {
        proto.raw_data = Some(data.bytes().to_vec().into());
    }
    proto
}

/// The elements of a constant of a file; `None` where they are not in its bytes or strings.
pub(crate) fn tensor_data(proto: &TensorProto) -> Option<TensorData> {
    let dims: Vec<u64> = proto.dims.iter().map(|it| it.unsigned_abs()).collect();
    let dtype = dtype_of(proto.data_type).ok()?;
    if dtype == DType::Str {
        let texts: Vec<String> =
            proto.string_data.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect();
        return TensorData::strings(&dims, texts.iter().map(String::as_str)).ok();
    }
    let bytes = proto.raw_data.as_ref()?.to_vec();
    TensorData::new(dtype, dims, bytes.into()).ok()
}

/// What files call a type; those that they have no name for are not drawn.
pub(crate) fn number(dtype: DType) -> i32 {
    dtype.row().onnx.unwrap_or(data_type::UNDEFINED)
}

/// A name alone.
pub(crate) fn named(name: &str) -> ValueInfoProto {
    ValueInfoProto { name: name.into(), r#type: None }
}

/// A value with its type: extents that are not the same in every setting are symbols.
pub(crate) fn declared(value: &Val) -> ValueInfoProto {
    let ty = match value.kind {
        Kind::Tensor(dtype) => tensor_type(dtype, value.dims().as_deref()),
        Kind::Sequence(dtype) => {
            let items = value.samples.iter().flat_map(|it| match &it.plain {
                Value::Sequence(items) => items.as_slice(),
                _ => &[],
            });
            let dims = extents(items.map(Value::as_tensor));
            // An extent that differs between items is none that a name could be for.
            let elem_type = Some(Box::new(items_type(dtype, dims.as_deref())));
            TypeProto { sequence_type: Some(ItemTypeProto { elem_type }), ..TypeProto::default() }
        }
        Kind::Optional(dtype) => {
            let elem_type = Some(Box::new(tensor_type(dtype, value.dims().as_deref())));
            TypeProto { optional_type: Some(ItemTypeProto { elem_type }), ..TypeProto::default() }
        }
    };
    ValueInfoProto { name: value.name.clone(), r#type: Some(ty) }
}

fn tensor_type(dtype: DType, dims: Option<&[Extent]>) -> TypeProto {
    let dim = |extent: &Extent| match is_fixed(extent) {
        true => DimensionProto { dim_value: Some(extent[0].cast_signed()), dim_param: None },
        false => DimensionProto { dim_value: None, dim_param: Some(symbol(extent)) },
    };
    of_dims(dtype, dims.map(|it| it.iter().map(dim).collect()))
}

fn items_type(dtype: DType, dims: Option<&[Extent]>) -> TypeProto {
    let dim = |extent: &Extent| {
        let fixed = is_fixed(extent).then_some(extent[0].cast_signed());
        DimensionProto { dim_value: fixed, dim_param: None }
    };
    of_dims(dtype, dims.map(|it| it.iter().map(dim).collect()))
}

fn of_dims(dtype: DType, dim: Option<Vec<DimensionProto>>) -> TypeProto {
    let shape = dim.map(|dim| TensorShapeProto { dim });
    let tensor_type = TensorTypeProto { elem_type: number(dtype), shape };
    TypeProto { tensor_type: Some(tensor_type), ..TypeProto::default() }
}
