//! The operators: types, evaluation, lowering. Each is a call of one function, or of one that tells a size and one that fills
//! results of that size.

use crate::array::{Array, Attribute, Call, Elements};
use crate::functions::{FUNCTIONS, symbol};
use orogen::ir::shape::Dim;
use orogen::ir::types::{Attr, Dims, ShapeInfo};
use orogen::prelude::*;

const fn text(name: &'static str) -> AttrDef {
    AttrDef::required(name, AttrKind::Str)
}

const fn int(name: &'static str) -> AttrDef {
    AttrDef::required(name, AttrKind::Int)
}

/// An operator that is one call.
macro_rules! call {
    ($name:literal, $operands:literal, $attrs:expr, $infer:expr) => {
        Operator {
            def: OpDef::pure($name, Arity::exactly($operands), $attrs, $infer),
            evaluate: Some(|attrs, args| evaluate($name, attrs, args)),
            lower: Some(|cx| lower_call(cx, $name)),
        }
    };
}

/// The most parts that a string may be split into, and words that may be left: what is counted in memory is less.
const MOST: i64 = 1 << 48;

pub(super) const OPERATORS: &[Operator] = &[
    call!("text.concat", 2, &[], |cx| {
        strings(cx, 0)?;
        strings(cx, 1)?;
        let shape = cx.broadcast(&[&cx.tensor(0)?.shape, &cx.tensor(1)?.shape])?;
        one(DType::Str, shape)
    }),
    call!("text.change_case", 1, &[text("case"), text("language")], |cx| like(cx, DType::Str)),
    call!("text.matches", 1, &[text("pattern")], |cx| like(cx, DType::Bool)),
    call!("text.parse_int", 1, &[], |cx| like(cx, DType::I64)),
    call!("text.parse_unsigned", 1, &[], |cx| like(cx, DType::U64)),
    call!("text.parse_single", 1, &[], |cx| like(cx, DType::F32)),
    call!("text.parse_double", 1, &[], |cx| like(cx, DType::F64)),
    call!("text.format", 1, &[], |cx| {
        let x = cx.tensor(0)?;
        match x.dtype.bits() {
            64 if x.dtype.is_int() => one(DType::Str, x.shape.clone()),
            32 | 64 if x.dtype.is_float() && !x.dtype.is_only_moved() => one(DType::Str, x.shape.clone()),
            _ => Err(wrong(format!("operand 0 is {} but must be i64, u64, f32 or f64", x.dtype))),
        }
    }),
    call!("text.find", 2, &[], |cx| {
        strings(cx, 1)?;
        like(cx, DType::I64)
    }),
    call!("text.rank", 1, &[], |cx| like(cx, DType::I64)),
    call!("text.count_grams", 4, &[int("longest"), int("shortest"), int("skips"), int("width")], grams),
    Operator {
        def: OpDef::pure("text.split", Arity::exactly(1), &[text("delimiter"), int("most")], split)
            .with_results(2),
        evaluate: Some(|attrs, args| {
            let mut results = evaluate("text.split", attrs, args)?;
            results.extend(evaluate("text.count_parts", attrs, args)?.into_iter().take(1));
            Ok(results)
        }),
        lower: Some(lower_split),
    },
    Operator {
        def: OpDef::pure("text.remove", Arity::exactly(2), &[text("case"), text("language")], |cx| {
            strings(cx, 0)?;
            strings(cx, 1)?;
            let limit = cx.shapes.int(MOST);
            let kept = cx.fresh_size("kept", limit)?;
            one(DType::Str, ShapeInfo::Known(Dims::from_slice(&[kept])))
        }),
        evaluate: Some(|attrs, args| evaluate("text.remove", attrs, args)),
        lower: Some(|cx| lower_counted(cx, "text.count_kept", "text.remove")),
    },
    #[cfg(feature = "regex")]
    Operator {
        def: OpDef::pure(
            "text.tokens",
            Arity::exactly(2),
            &[int("divide"), int("fewest"), int("marked"), text("pad")],
            |cx| {
                strings(cx, 1)?;
                sized(cx, "tokens").map(|(_, ty)| smallvec![ty])
            },
        ),
        evaluate: Some(|attrs, args| evaluate("text.tokens", attrs, args)),
        lower: Some(|cx| lower_counted(cx, "text.count_tokens", "text.tokens")),
    },
    #[cfg(feature = "images")]
    Operator {
        def: OpDef::pure("image.decode", Arity::exactly(1), &[text("format")], picture),
        evaluate: Some(|attrs, args| evaluate("image.decode", attrs, args)),
        lower: Some(lower_picture),
    },
];

fn wrong(message: impl Into<String>) -> Diagnostic {
    Diagnostic::error("O012", message.into())
}

fn one(dtype: DType, shape: ShapeInfo) -> InferResult {
    Ok(smallvec![Type::Tensor(TensorType { dtype, shape, elements: None })])
}

fn strings(cx: &InferCx<'_>, i: usize) -> Result<(), Diagnostic> {
    match cx.tensor(i)?.dtype {
        DType::Str => Ok(()),
        other => Err(wrong(format!("operand {i} is {other} but must be string"))),
    }
}

/// Elements of a type for each string of operand 0.
fn like(cx: &InferCx<'_>, dtype: DType) -> InferResult {
    strings(cx, 0)?;
    one(dtype, cx.tensor(0)?.shape.clone())
}

fn grams(cx: &mut InferCx<'_>) -> InferResult {
    cx.same_dtype(0, 1)?;
    let width = cx.attrs.int("width").unwrap_or(0);
    let Some(&[rows, _]) = cx.dims(0)? else { return Err(wrong("operand 0 must be a matrix")) };
    let width = cx.shapes.int(width);
    one(DType::F32, ShapeInfo::Known(Dims::from_slice(&[rows, width])))
}

fn split(cx: &mut InferCx<'_>) -> InferResult {
    let (dims, parts) = sized(cx, "parts")?;
    Ok(smallvec![parts, Type::tensor(DType::I64, dims)])
}

/// The dimensions of operand 0, and a type of strings with one more dimension, whose size data decide.
fn sized(cx: &mut InferCx<'_>, size: &str) -> Result<(Dims, Type), Diagnostic> {
    strings(cx, 0)?;
    let Some(dims) = cx.dims(0)? else { return Err(wrong("the dimensions of operand 0 must be known")) };
    let limit = cx.shapes.int(MOST);
    let size = cx.fresh_size(size, limit)?;
    Ok((Dims::from_slice(dims), Type::tensor(DType::Str, dims.iter().copied().chain([size]))))
}

#[cfg(feature = "images")]
fn picture(cx: &mut InferCx<'_>) -> InferResult {
    if cx.tensor(0)?.dtype != DType::U8 {
        return Err(wrong("operand 0 must hold the bytes of a file"));
    }
    let limit = cx.shapes.int(1 << 32);
    let (height, width) = (cx.fresh_size("height", limit)?, cx.fresh_size("width", limit)?);
    let colours = cx.shapes.int(if cx.attrs.str("format") == Some("Grayscale") { 1 } else { 3 });
    one(DType::U8, ShapeInfo::Known(Dims::from_slice(&[height, width, colours])))
}

/// A function that reads all operands and fills all results.
fn lower_call(mut cx: Legalizer<'_>, function: &str) -> Result<Lowering, Diagnostic> {
    (0..cx.operand_count()).try_for_each(|i| cx.input(i).map(drop))?;
    cx.output(0)?;
    let attrs = cx.attrs.clone();
    cx.emit_extern(&symbol(function), attrs);
    cx.finish()
}

fn lower_split(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let attrs = cx.attrs.clone();
    let width = *cx.result_dims(0)?.last().ok_or_else(|| wrong("the parts have no dimension"))?;
    cx.input(0)?;
    cx.output(1)?;
    measured(&mut cx, "text.count_parts", &[width])?;
    cx.input(0)?;
    cx.output(0)?;
    cx.emit_extern(&symbol("text.split"), attrs);
    cx.finish()
}

/// Two functions of all operands: one says the last size of the result, the other one fills it.
fn lower_counted(mut cx: Legalizer<'_>, count: &str, function: &str) -> Result<Lowering, Diagnostic> {
    let attrs = cx.attrs.clone();
    let size = *cx.result_dims(0)?.last().ok_or_else(|| wrong("the result has no dimension"))?;
    (0..cx.operand_count()).try_for_each(|i| cx.input(i).map(drop))?;
    measured(&mut cx, count, &[size])?;
    (0..cx.operand_count()).try_for_each(|i| cx.input(i).map(drop))?;
    cx.output(0)?;
    cx.emit_extern(&symbol(function), attrs);
    cx.finish()
}

#[cfg(feature = "images")]
fn lower_picture(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let attrs = cx.attrs.clone();
    let dims = cx.result_dims(0)?;
    cx.input(0)?;
    measured(&mut cx, "image.measure", &dims[..2])?;
    cx.input(0)?;
    cx.output(0)?;
    cx.emit_extern(&symbol("image.decode"), attrs);
    cx.finish()
}

/// Calls a function whose last result are sizes, which are bound.
fn measured(cx: &mut Legalizer<'_>, function: &str, sizes: &[Dim]) -> Result<(), Diagnostic> {
    let count = cx.caller.int(sizes.len() as i64);
    cx.between("sizes", DType::I64, &[count])?;
    // Of an image the size is the same whatever is asked for.
    let attrs = if function == "image.measure" { Attrs::none() } else { cx.attrs.clone() };
    let made = cx.emit_extern(&symbol(function), attrs);
    let sizes_made = *made.last().ok_or_else(|| wrong("no sizes are made"))?;
    cx.bind(sizes_made, sizes).map(drop)
}

/// What a function computes of constants.
fn evaluate(function: &str, attrs: &Attrs, args: &[TensorData]) -> Result<Vec<TensorData>, String> {
    let found = FUNCTIONS.iter().find(|it| it.name == function);
    let found = found.ok_or_else(|| format!("this build has no function `{function}`"))?;
    let attributes = attrs.iter().map(|(name, it)| match it {
        Attr::Int(it) => Ok(Attribute::Int(*it)),
        Attr::Str(it) => Ok(Attribute::Text(it.to_string())),
        _ => Err(format!("attribute `{name}` is neither an integer nor a text")),
    });
    let call = Call {
        inputs: args.iter().map(array).collect::<Result<_, _>>()?,
        attributes: attributes.collect::<Result<_, String>>()?,
    };
    (found.run)(&call)?.into_iter().map(data).collect()
}

fn array(data: &TensorData) -> Result<Array, String> {
    let elements = match data.dtype() {
        DType::Str => Elements::Texts((0..data.len()).map(|i| data.text(i).to_owned()).collect()),
        DType::U8 => Elements::Bytes(data.bytes().to_vec()),
        DType::I64 => Elements::Ints(data.to_i64()),
        DType::U64 => Elements::Unsigned(data.to_i64().into_iter().map(i64::cast_unsigned).collect()),
        DType::F32 => Elements::Singles(data.to_f64().into_iter().map(|it| it as f32).collect()),
        DType::F64 => Elements::Doubles(data.to_f64()),
        other => return Err(format!("no function takes elements of type {other}")),
    };
    let dims = data.dims().iter().map(|it| *it as usize).collect();
    Ok(Array { dims, elements })
}

fn data(array: Array) -> Result<TensorData, String> {
    let dims: Vec<u64> = array.dims.iter().map(|it| *it as u64).collect();
    let (dtype, bytes): (DType, Vec<u8>) = match array.elements {
        Elements::Texts(list) => return TensorData::strings(&dims, list).map_err(|it| it.to_string()),
        Elements::Flags(list) => (DType::Bool, list.into_iter().map(u8::from).collect()),
        Elements::Bytes(list) => (DType::U8, list),
        Elements::Ints(list) => (DType::I64, list.into_iter().flat_map(i64::to_le_bytes).collect()),
        Elements::Unsigned(list) => (DType::U64, list.into_iter().flat_map(u64::to_le_bytes).collect()),
        Elements::Singles(list) => (DType::F32, list.into_iter().flat_map(f32::to_le_bytes).collect()),
        Elements::Doubles(list) => (DType::F64, list.into_iter().flat_map(f64::to_le_bytes).collect()),
    };
    TensorData::new(dtype, dims, bytes.into()).map_err(|it| it.to_string())
}
