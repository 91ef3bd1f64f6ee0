//! Operators that read or write at computed positions, and generators.

use super::axes::{all_true, along_axis, none_true};
use super::single;
use crate::emit::{Size, attrs, normal_axis};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::sink::Value;
use crate::table::OpTable;
use crate::tensor::dtype_of;
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::{DType, TensorData};

type Single = Result<Value, Diagnostic>;

pub(super) fn register(table: &mut OpTable) {
    table.register_checked("", "Constant", .., constant_kind, single(constant));
    table.register("", "ConstantOfShape", .., single(constant_of_shape));
    table.register("", "Gather", .., single(|cx| gather(cx, "gather", 0)));
    table.register("", "GatherElements", .., single(|cx| gather(cx, "gather_elements", 0)));
    table.register("", "GatherND", .., single(gather_nd));
    table.register("", "ScatterND", .., single(scatter_nd));
    table.register("", "ScatterElements", .., single(scatter_elements));
    table.register("", "Scatter", .., single(scatter_elements));
    table.register("", "CumSum", .., single(|cx| cumulative(cx, "cum_sum")));
    table.register("", "CumProd", .., single(|cx| cumulative(cx, "cum_prod")));
    table.register("", "OneHot", .., single(one_hot));
    for domain in ["", "com.microsoft"] {
        table.register(domain, "Range", .., single(range));
    }
    for domain in ["", "com.microsoft"] {
        table.register(domain, "Trilu", .., single(trilu));
    }
    table.register("", "EyeLike", .., single(eye_like));
}

fn constant_kind(node: &Node<'_>) -> Result<(), String> {
    const KINDS: [&str; 8] = [
        "value",
        "value_float",
        "value_floats",
        "value_int",
        "value_ints",
        "value_string",
        "value_strings",
        "sparse_value",
    ];
    if let Some(dtype) = node.tensor_type("value") {
        return dtype_of(dtype).map(|_| ());
    }
    match KINDS.iter().any(|it| node.has(it)) {
        true => Ok(()),
        false => Err("it has no value".into()),
    }
}

fn constant(cx: &mut NodeCx<'_, '_>) -> Single {
    let data = if let Some(data) = cx.tensor("value")? {
        data
    } else if let Some(data) = cx.sparse_tensor("sparse_value")? {
        data
    } else if let Some(it) = cx.float("value_float") {
        TensorData::from_f64(DType::F32, &[], [it])
    } else if let Some(list) = cx.floats("value_floats") {
        TensorData::from_f64(DType::F32, &[list.len() as u64], list.iter().map(|it| f64::from(*it)))
    } else if let Some(it) = cx.int("value_int") {
        return Ok(cx.int_scalar(it));
    } else if let Some(list) = cx.ints("value_ints") {
        return Ok(cx.int_vector(list));
    } else if let Some(it) = cx.utf8("value_string")? {
        strings(&[], &it)?
    } else if let Some(list) = cx.utf8("value_strings")? {
        strings(&[list.len() as u64], &list)?
    } else {
        return Err(bad("it has no value"));
    };
    let name = cx.proto().output.first().map_or("", String::as_str);
    Ok(cx.sink.constant(name, data))
}

fn strings(dims: &[u64], list: &[&str]) -> Result<TensorData, Diagnostic> {
    TensorData::strings(dims, list).map_err(|it| bad(it.to_string()))
}

fn constant_of_shape(cx: &mut NodeCx<'_, '_>) -> Single {
    let value = match cx.tensor("value")? {
        Some(data) if data.len() == 1 => data.reshaped(Vec::new()).map_err(|it| bad(it.to_string()))?,
        Some(data) => return Err(bad(format!("its value has {} elements", data.len()))),
        None => TensorData::from_f64(DType::F32, &[], [0.0]),
    };
    let shape = cx.as_i64(cx.input(0)?)?;
    let value = cx.constant(value);
    cx.full(shape, value)
}

fn gather(cx: &mut NodeCx<'_, '_>, op: &str, default: i64) -> Single {
    let (x, indices) = (cx.input(0)?, cx.input(1)?);
    let axis = cx.axis(x, cx.int("axis").unwrap_or(default))?;
    cx.emit(op, attrs([("axis", (axis as i64).into())]), &[x, indices])
}

pub(super) fn gather_nd(cx: &mut NodeCx<'_, '_>) -> Single {
    let batch = cx.int("batch_dims").unwrap_or(0);
    cx.emit("gather_nd", attrs([("batch_dims", batch.into())]), &[cx.input(0)?, cx.input(1)?])
}

fn scatter_nd(cx: &mut NodeCx<'_, '_>) -> Single {
    let args = [cx.input(0)?, cx.input(1)?, cx.input(2)?];
    let reduction = reduction(cx, args[0], cx.text("reduction").unwrap_or("none"))?;
    cx.emit("scatter_nd", attrs([("reduction", reduction.into())]), &args)
}

fn scatter_elements(cx: &mut NodeCx<'_, '_>) -> Single {
    let args = [cx.input(0)?, cx.input(1)?, cx.input(2)?];
    let axis = cx.axis(args[0], cx.int("axis").unwrap_or(0))? as i64;
    let reduction = reduction(cx, args[0], cx.text("reduction").unwrap_or("none"))?;
    cx.emit("scatter_elements", attrs([("axis", axis.into()), ("reduction", reduction.into())]), &args)
}

/// What a scatter does with elements that meet. Of truth values sums are the larger and products the smaller, as in NumPy.
pub(super) fn reduction<'t>(cx: &NodeCx<'_, '_>, x: Value, given: &'t str) -> Result<&'t str, Diagnostic> {
    Ok(match (cx.dtype(x)?, given) {
        (DType::Bool, "add") => "max",
        (DType::Bool, "mul") => "min",
        _ => given,
    })
}

fn cumulative(cx: &mut NodeCx<'_, '_>, op: &str) -> Single {
    let x = cx.input(0)?;
    let (exclusive, reverse) = (cx.flag("exclusive"), cx.flag("reverse"));
    along_axis(cx, 1, x, None, &|cx, axis| {
        let axis = axis as i64;
        let attrs =
            attrs([("axis", axis.into()), ("exclusive", exclusive.into()), ("reverse", reverse.into())]);
        cx.emit(op, attrs, &[x])
    })
}

fn one_hot(cx: &mut NodeCx<'_, '_>) -> Single {
    let indices = cx.as_i64(cx.input(0)?)?;
    let mut depth = cx.input(1)?;
    if cx.dtype(depth)?.is_float() && cx.sink.constant_data(depth).is_none() {
        let is_depth = cx.with_number("greater_equal", depth, 0.0)?;
        all_true(cx, is_depth, "its depth, a number of at least 0")?;
    }
    depth = cx.as_i64(depth)?;
    let axis = normal_axis(cx.int("axis").unwrap_or(-1), cx.rank(indices)? + 1)? as i64;
    cx.emit("one_hot", attrs([("axis", axis.into())]), &[indices, depth, cx.input(2)?])
}

fn trilu(cx: &mut NodeCx<'_, '_>) -> Single {
    let upper = cx.int("upper").unwrap_or(1) != 0;
    let mut args = vec![cx.input(0)?];
    args.extend(cx.optional(1));
    cx.emit("trilu", attrs([("upper", upper.into())]), &args)
}

/// A dimension as an integer of rank 0.
pub(super) fn extent(cx: &mut NodeCx<'_, '_>, x: Value, axis: usize) -> Single {
    let vector = cx.shape_vector(&[Size::Of(x, axis)])?;
    if let Some([size]) = cx.const_ints(vector).as_deref() {
        return Ok(cx.int_scalar(*size));
    }
    cx.squeeze(vector, &[0])
}

/// The integers from 0 up to a size of rank 0 whose element is known.
pub(super) fn count_up(cx: &mut NodeCx<'_, '_>, size: Value) -> Single {
    let (zero, one) = (cx.int_scalar(0), cx.int_scalar(1));
    cx.emit("range", attrs([]), &[zero, size, one])
}

/// Integers, or floats that are cut off to such, that must be from 0 up to a size of rank 0, which is none of them: any other, and
/// NaN, is an error here or in the call.
pub(super) fn within(cx: &mut NodeCx<'_, '_>, values: Value, size: Value, what: &str) -> Single {
    let is_number = match cx.dtype(values)?.is_float() {
        true => Some(cx.binary("equal", values, values)?),
        false => None,
    };
    let mut values = cx.as_i64(values)?;
    if let Some(is_number) = is_number {
        let beyond = cx.number_like(values, -1.0)?;
        values = cx.select(is_number, values, beyond)?;
    }
    if let (Some(list), Some([size])) = (cx.known_ints(values), cx.const_ints(size).as_deref()) {
        return match list.iter().find(|it| !(0..*size).contains(*it)) {
            Some(wrong) => Err(bad(format!("{what} is {wrong}, which is not from 0 to {}", size - 1))),
            None => Ok(values),
        };
    }
    // An index of a list is checked on both paths; one without a sign does not count from its end.
    let list = count_up(cx, size)?;
    let places = cx.cast(values, DType::U64)?;
    cx.emit("gather", attrs([("axis", 0.into())]), &[list, places])
}

/// Lengths of sequences of at most as many steps as `x` has along an axis.
pub(super) fn sequence_lengths(cx: &mut NodeCx<'_, '_>, lengths: Value, x: Value, axis: usize) -> Single {
    if !cx.dtype(lengths)?.is_integral() {
        return Err(bad("its sequence lengths are no integers"));
    }
    let steps = extent(cx, x, axis)?;
    let beyond = cx.with_number("add", steps, 1.0)?;
    within(cx, lengths, beyond, "a sequence length")
}

fn eye_like(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    if cx.rank(x)? != 2 {
        return Err(bad("its operand must have 2 dimensions"));
    }
    let dtype = match cx.int("dtype") {
        Some(it) => dtype_of(i32::try_from(it).unwrap_or(0)).map_err(not_supported)?,
        None => cx.dtype(x)?,
    };
    let (rows, columns) = (extent(cx, x, 0)?, extent(cx, x, 1)?);
    let (rows, columns) = (count_up(cx, rows)?, count_up(cx, columns)?);
    let rows = cx.unsqueeze(rows, &[1])?;
    let shifted = cx.with_number("add", rows, cx.int("k").unwrap_or(0) as f64)?;
    let diagonal = cx.binary("equal", shifted, columns)?;
    cx.cast(diagonal, dtype)
}

fn range(cx: &mut NodeCx<'_, '_>) -> Single {
    let mut bounds = Vec::new();
    for i in 0..3 {
        let bound = match cx.optional(i) {
            // That of `com.microsoft` may be left out.
            None if i == 2 && !cx.is_standard() => cx.number_like(cx.input(0)?, 1.0)?,
            _ => cx.input(i)?,
        };
        bounds.push(if cx.rank(bound)? == 1 { cx.squeeze(bound, &[0])? } else { bound });
    }
    let [start, limit, delta] = bounds[..] else { return Err(bad("it takes three operands")) };
    let dtype = cx.dtype(start)?;
    let step = cx.const_ints(delta).and_then(|it| it.first().copied());
    if step == Some(0) {
        return Err(bad("its step is 0"));
    }
    if dtype.is_int() && step.is_some() {
        return cx.emit("range", attrs([]), &bounds);
    }
    // The length first, as a size; then start + i·delta.
    let span = cx.binary("sub", limit, start)?;
    check_range(cx, [start, limit, delta], span)?;
    let (span, wide) = (cx.cast(span, DType::F64)?, cx.cast(delta, DType::F64)?);
    let steps = cx.binary("div", span, wide)?;
    let steps = cx.unary("ceil", steps)?;
    let length = cx.as_i64(steps)?;
    let length = match known_length(cx, start, limit, delta) {
        Some(length) => cx.int_scalar(length),
        None => {
            let length = cx.with_number("max", length, 0.0)?;
            cx.known_sizes(length)?
        }
    };
    let counted = count_up(cx, length)?;
    let counted = cx.cast(counted, dtype)?;
    let scaled = cx.binary("mul", counted, delta)?;
    cx.binary("add", scaled, start)
}

/// Checks of a range that is not known: a step that is not 0, and numbers between which a length lies.
fn check_range(cx: &mut NodeCx<'_, '_>, bounds: [Value; 3], span: Value) -> Result<(), Diagnostic> {
    if bounds.iter().all(|it| cx.const_number(*it).is_some()) {
        return Ok(());
    }
    let [start, limit, delta] = bounds;
    let dtype = cx.dtype(start)?;
    let (wrong, what) = if dtype.is_float() {
        // What is no number is less than none, not above 0 and not below it.
        let steps = cx.binary("div", span, delta)?;
        let wide = cx.cast(steps, DType::F64)?;
        let size = cx.unary("abs", wide)?;
        let finite = cx.with_number("less", size, f64::INFINITY)?;
        (
            cx.unary("not", finite)?,
            "its start, limit and step, between which there is a finite number of steps",
        )
    } else {
        // The distance has the sign of the order, unless it does not fit the type.
        let (rises, falls) = (cx.binary("less", start, limit)?, cx.binary("less", limit, start)?);
        let (below, above) = (cx.with_number("less", span, 0.0)?, cx.with_number("greater", span, 0.0)?);
        let (low, high) = (cx.binary("and", rises, below)?, cx.binary("and", falls, above)?);
        let wraps = cx.binary("or", low, high)?;
        let still = cx.with_number("equal", delta, 0.0)?;
        let still = cx.unsqueeze(still, &[0])?;
        none_true(cx, still, "its step, which is not 0")?;
        (wraps, "the distance from its start to its limit, which fits its type")
    };
    let wrong = cx.unsqueeze(wrong, &[0])?;
    none_true(cx, wrong, what)
}

/// The length of a range between constant numbers.
fn known_length(cx: &NodeCx<'_, '_>, start: Value, limit: Value, delta: Value) -> Option<i64> {
    let (start, limit, delta) = (cx.const_number(start)?, cx.const_number(limit)?, cx.const_number(delta)?);
    let steps = ((limit - start) / delta).ceil().max(0.0);
    (steps < 1e15).then_some(steps as i64)
}
