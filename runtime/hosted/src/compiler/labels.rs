//! `LabelEncoder`, `CategoryMapper` and `DictVectorizer`: a place in a sorted list, and what stands at that place of another.
//!
//! Strings are looked for by a function, numbers by halves in native code. Of keys that are equal the first counts, as in
//! ONNX Runtime; NaN is a key like any other.

use super::support::{Single, bad, text_data, unsupported};
use orogen::onnx::Value;
use orogen::prelude::*;
use std::cmp::Ordering;

pub(super) fn encoder(cx: &mut NodeCx<'_, '_>) -> Single {
    if let Some(classes) = cx.texts("classes_strings").filter(|_| cx.opset() < 2) {
        let numbers: Vec<i64> = (0..classes.len() as i64).collect();
        return either_way(cx, text_data(&classes)?, TensorData::ints(&numbers));
    }
    let keys = list(cx, "keys")?.ok_or_else(|| bad("there are no keys"))?;
    let values = list(cx, "values")?.ok_or_else(|| bad("there are no values"))?;
    let default = match cx.tensor("default_tensor")? {
        Some(it) if it.len() == 1 && it.dtype() == values.dtype() => it,
        Some(it) => return Err(bad(format!("the default is {}{:?}", it.dtype(), it.dims()))),
        None => match values.dtype() {
            DType::Str => text_data(&[cx.text("default_string").unwrap_or("_Unused")])?,
            DType::I64 => TensorData::ints(&[cx.int("default_int64").unwrap_or(-1)]),
            dtype => TensorData::from_f64(dtype, &[1], [cx.float("default_float").unwrap_or(-0.0)]),
        },
    };
    look_up(cx, &keys, &values, &default)
}

pub(super) fn mapper(cx: &mut NodeCx<'_, '_>) -> Single {
    let texts = text_data(&cx.texts("cats_strings").unwrap_or_default())?;
    let numbers = TensorData::ints(cx.ints("cats_int64s").unwrap_or_default());
    either_way(cx, texts, numbers)
}

/// A row with the values of a map at the places that a vocabulary gives their keys. Where there is none it is zero, or empty
/// text; what is no word is left out.
pub(super) fn vectorizer(cx: &mut NodeCx<'_, '_>) -> Single {
    let map = cx.input(0)?;
    let (keys, values) = (cx.unary("map_keys", map)?, cx.unary("map_values", map)?);
    let words = match cx.texts("string_vocabulary").filter(|it| !it.is_empty()) {
        Some(texts) => text_data(&texts)?,
        None => TensorData::ints(cx.ints("int64_vocabulary").unwrap_or_default()),
    };
    let keys = match (cx.dtype(keys)?, words.dtype()) {
        (DType::Str, DType::Str) => keys,
        (dtype, DType::I64) if dtype != DType::Str => cx.cast(keys, DType::I64)?,
        (dtype, _) => return Err(bad(format!("keys are {dtype} but words are {}", words.dtype()))),
    };
    let (order, _) = sorted(&words)?;
    let place = place(cx, keys, &words, &order)?;
    // Behind the last word lies what is none.
    let size = cx.constant(TensorData::ints(&[order.len() as i64 + 1]));
    let nothing = match cx.dtype(values)? {
        DType::Str => cx.constant(text_data(&[""])?),
        dtype => cx.constant(TensorData::from_f64(dtype, &[1], [0.0])),
    };
    let nothing = cx.squeeze(nothing, &[0])?;
    let all = cx.full(size, nothing)?;
    let all = cx.emit("scatter_elements", Attrs::none().with("axis", 0i64), &[all, place, values])?;
    let among = |i: usize| order.binary_search_by(|it| compare(&words, *it, i)).unwrap_or(order.len()) as i64;
    let places: Vec<i64> = (0..words.len()).map(among).collect();
    let places = cx.constant(TensorData::ints(&places));
    let row = cx.emit("gather", Attrs::none().with("axis", 0i64), &[all, places])?;
    cx.unsqueeze(row, &[0])
}

/// Strings become numbers, and numbers strings.
fn either_way(cx: &mut NodeCx<'_, '_>, texts: TensorData, numbers: TensorData) -> Single {
    if cx.dtype(cx.input(0)?)? == DType::Str {
        let default = TensorData::ints(&[cx.int("default_int64").unwrap_or(-1)]);
        return look_up(cx, &texts, &numbers, &default);
    }
    let default = text_data(&[cx.text("default_string").unwrap_or("_Unused")])?;
    look_up(cx, &numbers, &texts, &default)
}

/// The keys or values, whichever attribute holds them.
fn list(cx: &NodeCx<'_, '_>, name: &str) -> Result<Option<TensorData>, Diagnostic> {
    if let Some(tensor) = cx.tensor(&format!("{name}_tensor"))? {
        return Ok(Some(tensor));
    }
    if let Some(texts) = cx.texts(&format!("{name}_strings")) {
        return text_data(&texts).map(Some);
    }
    if let Some(ints) = cx.ints(&format!("{name}_int64s")) {
        return Ok(Some(TensorData::ints(ints)));
    }
    let floats = cx.floats(&format!("{name}_floats"));
    Ok(floats.map(|it| TensorData::from_slice(DType::F32, &[it.len() as u64], it)))
}

/// For each element the value of the key that it is.
fn look_up(cx: &mut NodeCx<'_, '_>, keys: &TensorData, values: &TensorData, default: &TensorData) -> Single {
    if keys.len() != values.len() {
        return Err(bad(format!("there are {} keys for {} values", keys.len(), values.len())));
    }
    let x = cx.input(0)?;
    let dtype = cx.dtype(x)?;
    if dtype != keys.dtype() {
        return Err(bad(format!("elements are {dtype} but keys are {}", keys.dtype())));
    }
    let (order, nan) = sorted(keys)?;
    let count = order.len();
    let places: Vec<Option<usize>> = order.iter().copied().map(Some).chain([None, nan]).collect();
    let table = picked(values, &places, default)?;
    let table = cx.constant(table);
    let place = place(cx, x, keys, &order)?;
    let place = match nan {
        Some(_) => {
            let is_nan = cx.unary("is_nan", x)?;
            let behind = cx.int_scalar(count as i64 + 1);
            cx.select(is_nan, behind, place)?
        }
        None => place,
    };
    cx.emit("gather", Attrs::none().with("axis", 0i64), &[table, place])
}

/// For each element its place among keys in this order, or their count where it is none of them.
fn place(cx: &mut NodeCx<'_, '_>, x: Value, keys: &TensorData, order: &[usize]) -> Single {
    let places: Vec<Option<usize>> = order.iter().copied().map(Some).collect();
    let sorted = picked(keys, &places, keys)?;
    match keys.dtype() {
        DType::Str => {
            let sorted = cx.constant(sorted);
            cx.binary("text.find", x, sorted)
        }
        _ => number_place(cx, x, sorted, order.len()),
    }
}

/// The order of two keys; NaN equals everything.
fn compare(keys: &TensorData, a: usize, b: usize) -> Ordering {
    match keys.dtype() {
        DType::Str => keys.text(a).cmp(keys.text(b)),
        it if it.is_float() => keys.get_f64(a).partial_cmp(&keys.get_f64(b)).unwrap_or(Ordering::Equal),
        DType::U64 => keys.get_i64(a).cast_unsigned().cmp(&keys.get_i64(b).cast_unsigned()),
        _ => keys.get_i64(a).cmp(&keys.get_i64(b)),
    }
}

/// The places of different keys in rising order, each the first of its value, and that of NaN.
fn sorted(keys: &TensorData) -> Result<(Vec<usize>, Option<usize>), Diagnostic> {
    if keys.dtype().is_only_moved() && keys.dtype() != DType::Str {
        return Err(unsupported(format!("keys of type {}", keys.dtype())));
    }
    let is_nan = |i: usize| keys.dtype().is_float() && keys.get_f64(i).is_nan();
    let nan = (0..keys.len()).find(|i| is_nan(*i));
    let mut order: Vec<usize> = (0..keys.len()).filter(|i| !is_nan(*i)).collect();
    order.sort_by(|a, b| compare(keys, *a, *b));
    order.dedup_by(|next, first| compare(keys, *next, *first).is_eq());
    Ok((order, nan))
}

/// A vector of elements at places, and of the default where there is none.
fn picked(
    data: &TensorData,
    places: &[Option<usize>],
    default: &TensorData,
) -> Result<TensorData, Diagnostic> {
    let dims = [places.len() as u64];
    if data.dtype() == DType::Str {
        let texts = places.iter().map(|it| it.map_or_else(|| default.text(0), |it| data.text(it)));
        return TensorData::strings(&dims, texts).map_err(|it| bad(it.to_string()));
    }
    let size = data.dtype().size();
    let (bytes, default) = (data.unpacked(), default.unpacked());
    let element = |it: &Option<usize>| it.map_or(&default[..], |it| &bytes[it * size..][..size]).to_vec();
    let picked: Vec<u8> = places.iter().flat_map(element).collect();
    TensorData::from_unpacked(data.dtype(), dims.to_vec(), picked.into()).map_err(|it| bad(it.to_string()))
}

/// For each element its place among sorted numbers, or their count where it is none of them: by halves, the same number of
/// times for all.
fn number_place(cx: &mut NodeCx<'_, '_>, x: Value, sorted: TensorData, count: usize) -> Single {
    let behind = cx.int_scalar(count as i64);
    if count == 0 {
        let shape = cx.shape_of(x)?;
        return cx.full(shape, behind);
    }
    let numbers = cx.constant(sorted);
    let last = cx.int_scalar(count as i64 - 1);
    let at = |cx: &mut NodeCx<'_, '_>, place: Value| {
        let place = cx.binary("min", place, last)?;
        cx.emit("gather", Attrs::none().with("axis", 0i64), &[numbers, place])
    };
    // How many of the numbers are less than the element: those before are known to be.
    let mut less = cx.int_scalar(0);
    for step in (0..=count.ilog2()).rev().map(|it| 1i64 << it) {
        let middle = cx.with_number("add", less, (step - 1) as f64)?;
        let there = at(cx, middle)?;
        let is_less = cx.binary("less", there, x)?;
        let within = cx.binary("less", middle, behind)?;
        let is_less = cx.binary("and", is_less, within)?;
        let more = cx.with_number("add", less, step as f64)?;
        less = cx.select(is_less, more, less)?;
    }
    let there = at(cx, less)?;
    let is_it = cx.binary("equal", there, x)?;
    let within = cx.binary("less", less, behind)?;
    let is_it = cx.binary("and", is_it, within)?;
    cx.select(is_it, less, behind)
}
