//! Sequences and optionals.

use super::axes::none_true;
use super::repeat::counted;
use crate::emit::{attrs, normal_axis};
use crate::node::{Node, NodeCx, bad, not_supported};
use crate::probe::Probe;
use crate::proto::TypeProto;
use crate::sink::{Ranked, Sink, Value};
use crate::table::{Converted, OpTable};
use crate::tensor::dtype_of;
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::Constraint;
use orogen_ir::types::{Attrs, DType, ShapeInfo, TensorData, Type};

type Single = Result<Value, Diagnostic>;

/// What is split or joined part by part when the number of parts is known and at most this.
const MAX_PARTS: i64 = 64;

pub(super) fn register(table: &mut OpTable) {
    use super::single;
    table.register_checked("", "SequenceEmpty", .., |node| element_type(node).map(|_| ()), single(empty));
    table.register("", "SequenceConstruct", .., single(construct));
    table.register("", "SequenceLength", .., single(|cx| cx.unary("sequence_length", cx.input(0)?)));
    table.register("", "SequenceAt", .., single(at));
    table.register("", "SequenceInsert", .., single(insert));
    table.register("", "SequenceErase", .., single(erase));
    table.register("", "SplitToSequence", .., single(split));
    table.register("", "ConcatFromSequence", .., single(concat));
    table.register_checked("", "SequenceMap", .., check_map, map);
    table.register_checked("", "Optional", .., check_optional, single(optional));
    table.register("", "OptionalHasElement", .., single(has_element));
    table.register("", "OptionalGetElement", .., single(get_element));
}

fn element_type(node: &Node<'_>) -> Result<DType, String> {
    // 1 is f32.
    dtype_of(i32::try_from(node.int("dtype").unwrap_or(1)).unwrap_or_default())
}

fn empty(cx: &mut NodeCx<'_, '_>) -> Single {
    let dtype = element_type(cx).map_err(bad)?;
    no_items(cx, dtype)
}

/// A sequence without items.
pub(super) fn no_items(cx: &mut NodeCx<'_, '_>, dtype: DType) -> Single {
    cx.emit("sequence_empty", attrs([("dtype", dtype.into())]), &[])
}

fn construct(cx: &mut NodeCx<'_, '_>) -> Single {
    let items = cx.all_inputs()?;
    if items.is_empty() {
        return Err(bad("it has no operands"));
    }
    cx.emit("sequence_construct", Attrs::none(), &items)
}

/// A value that was taken out of a sequence or an optional: later nodes need to know how many dimensions it has.
fn taken(cx: &NodeCx<'_, '_>, value: Value, from: &str) -> Single {
    match cx.sink.type_of(value) {
        Type::Tensor(ty) if ty.shape.rank().is_none() => {
            let message = format!("what its {from} holds has no known number of dimensions");
            Err(not_supported(message).help(format!(
                "declare the shape of items where the {from} is an input of the model, or put in tensors of one rank"
            )))
        }
        _ => Ok(value),
    }
}

fn at(cx: &mut NodeCx<'_, '_>) -> Single {
    let (list, place) = (cx.input(0)?, cx.input(1)?);
    let of_any_rank = match cx.sink.type_of(list).as_sequence() {
        Some(Type::Tensor(ty)) => ty.shape == ShapeInfo::Unknown,
        _ => false,
    };
    if !of_any_rank || cx.known_ints(place).is_some() {
        let item = cx.binary("sequence_at", list, place)?;
        let open = matches!(cx.sink.type_of(item), Type::Tensor(ty) if ty.shape == ShapeInfo::Unknown);
        if !of_any_rank || !open {
            return taken(cx, item, "sequence");
        }
    }
    let item = cx.binary("sequence_item", list, place)?;
    let ranked = Ranked::held_by(cx.sink, item, "the number of dimensions of the item")?;
    cx.around.note_ranked(item, ranked);
    Ok(item)
}

fn insert(cx: &mut NodeCx<'_, '_>) -> Single {
    let mut args = vec![cx.input(0)?, cx.input(1)?];
    args.extend(cx.optional(2));
    cx.emit("sequence_insert", Attrs::none(), &args)
}

fn erase(cx: &mut NodeCx<'_, '_>) -> Single {
    let mut args = vec![cx.input(0)?];
    args.extend(cx.optional(1));
    cx.emit("sequence_erase", Attrs::none(), &args)
}

/// How a tensor is split.
enum Parts {
    /// Parts of this many slices, a vector of one integer; the last one may be shorter.
    Even(Value),
    /// Parts of these sizes, a vector.
    Sizes(Value),
}

fn split(cx: &mut NodeCx<'_, '_>) -> Single {
    let x = cx.input(0)?;
    let axis = cx.axis(x, cx.int("axis").unwrap_or(0))?;
    let squeeze = cx.optional(1).is_none() && cx.int("keepdims").unwrap_or(1) == 0;
    let parts = match cx.optional(1) {
        None => Parts::Even(cx.int_vector(&[1])),
        Some(sizes) => {
            let sizes = cx.as_i64(sizes)?;
            match cx.rank(sizes)? {
                0 => {
                    let size = cx.unsqueeze(sizes, &[0])?;
                    Parts::Even(at_least_one(cx, size)?)
                }
                1 => Parts::Sizes(sizes),
                rank => return Err(bad(format!("its sizes have {rank} dimensions"))),
            }
        }
    };
    if let Some(bounds) = known_bounds(cx, x, axis, &parts)? {
        let mut items = Vec::new();
        for (start, end) in bounds {
            let part = cx.slice(x, axis, start, end)?;
            items.push(if squeeze { cx.squeeze(part, &[axis as i64])? } else { part });
        }
        return match items[..] {
            [] => {
                let dtype = cx.dtype(x)?;
                no_items(cx, dtype)
            }
            _ => cx.emit("sequence_construct", Attrs::none(), &items),
        };
    }
    let whole = cx.shape_part(x, axis, axis + 1)?;
    let count = match parts {
        Parts::Even(size) => {
            let raised = cx.binary("add", whole, size)?;
            let raised = cx.with_number("sub", raised, 1.0)?;
            cx.binary("div", raised, size)?
        }
        Parts::Sizes(sizes) => {
            let negative = cx.with_number("less", sizes, 0.0)?;
            none_true(cx, negative, "the sizes of its parts, none of which is below 0")?;
            let total = cx.reduce("reduce_sum", sizes, &[0], true)?;
            require_whole(cx, x, axis, total)?;
            cx.shape_of(sizes)?
        }
    };
    let limit = cx.squeeze(count, &[0])?;
    let start = cx.int_vector(&[0]);
    let dtype = cx.dtype(x)?;
    let none = no_items(cx, dtype)?;
    let results = counted(cx, limit, &[start, none], &mut |cx, turn, carried| {
        let size = match parts {
            Parts::Even(size) => size,
            Parts::Sizes(sizes) => {
                let turn = cx.unsqueeze(turn, &[0])?;
                cx.emit("gather", attrs([("axis", 0.into())]), &[sizes, turn])?
            }
        };
        let end = cx.binary("add", carried[0], size)?;
        let part = cx.slice_between(x, axis, carried[0], end)?;
        let part = if squeeze { cx.squeeze(part, &[axis as i64])? } else { part };
        let list = cx.binary("sequence_insert", carried[1], part)?;
        Ok(vec![end, list])
    })?;
    Ok(results[1])
}

/// A vector of one integer, which is checked to be at least 1.
fn at_least_one(cx: &mut NodeCx<'_, '_>, size: Value) -> Single {
    let size = cx.known_sizes(size)?;
    if let Some([element]) = cx.tensor_type(size)?.elements.as_deref() {
        cx.sink.check(Constraint::AtLeast(*element, 1), "the size of its parts")?;
    }
    Ok(size)
}

/// Checks that parts make up a whole dimension; `total` is a vector of one integer.
fn require_whole(cx: &mut NodeCx<'_, '_>, x: Value, axis: usize, total: Value) -> Result<(), Diagnostic> {
    let total = cx.known_sizes(total)?;
    let total = cx.tensor_type(total)?.elements.as_ref().and_then(|it| it.first().copied());
    match (total, cx.dims(x).and_then(|it| it.get(axis).copied())) {
        (Some(total), Some(dim)) => cx.sink.check(
            Constraint::Eq(dim, total),
            &format!("dimension {axis}, which its parts make up as a whole"),
        ),
        _ => Ok(()),
    }
}

/// Where parts begin and end, when all of that is known and they are few.
fn known_bounds(
    cx: &mut NodeCx<'_, '_>,
    x: Value,
    axis: usize,
    parts: &Parts,
) -> Result<Option<Vec<(i64, i64)>>, Diagnostic> {
    let sizes = match parts {
        Parts::Even(size) => {
            let size = cx.const_ints(*size).and_then(|it| it.first().copied()).filter(|it| *it > 0);
            let Some((size, whole)) = size.zip(cx.static_dim(x, axis)) else { return Ok(None) };
            let count = whole / size + i64::from(whole % size != 0);
            if count > MAX_PARTS {
                return Ok(None);
            }
            (0..count).map(|i| size.min(whole - i * size)).collect()
        }
        Parts::Sizes(sizes) => {
            let Some(known) = cx.const_ints(*sizes).filter(|it| it.len() as i64 <= MAX_PARTS) else {
                return Ok(None);
            };
            if known.iter().any(|it| *it < 0) {
                return Err(bad(format!("it splits into {known:?}")));
            }
            let total = cx.reduce("reduce_sum", *sizes, &[0], true)?;
            require_whole(cx, x, axis, total)?;
            known
        }
    };
    let mut end = 0i64;
    let mut bounds = Vec::new();
    for size in sizes {
        let start = end;
        end = end.checked_add(size).ok_or_else(|| bad("its sizes overflow"))?;
        bounds.push((start, end));
    }
    Ok(Some(bounds))
}

fn item(cx: &mut NodeCx<'_, '_>, list: Value, at: i64) -> Single {
    let at = cx.int_scalar(at);
    let item = cx.binary("sequence_at", list, at)?;
    taken(cx, item, "sequence")
}

fn concat(cx: &mut NodeCx<'_, '_>) -> Single {
    let list = cx.input(0)?;
    let axis = cx.int("axis").ok_or_else(|| bad("attribute `axis` is missing"))?;
    let new_axis = cx.flag("new_axis");
    let length = cx.unary("sequence_length", list)?;
    let first = item(cx, list, 0)?;
    let rank = cx.rank(first)? + usize::from(new_axis);
    let axis = normal_axis(axis, rank)?;
    let prepared = |cx: &mut NodeCx<'_, '_>, item: Value| match new_axis {
        true => cx.unsqueeze(item, &[axis as i64]),
        false => Ok(item),
    };
    let count = cx.const_ints(length).and_then(|it| it.first().copied());
    if let Some(count) = count.filter(|it| *it <= MAX_PARTS) {
        let mut parts = Vec::new();
        for i in 0..count {
            let part = item(cx, list, i)?;
            parts.push(prepared(cx, part)?);
        }
        return cx.concat(&parts, axis as i64);
    }
    // How large it is, then every item at its place: nothing is copied twice.
    let zero = cx.int_vector(&[0]);
    let total = counted(cx, length, &[zero], &mut |cx, turn, carried| {
        let part = cx.binary("sequence_at", list, turn)?;
        let part = prepared(cx, part)?;
        let size = cx.shape_part(part, axis, axis + 1)?;
        Ok(vec![cx.binary("add", carried[0], size)?])
    })?[0];
    let first = prepared(cx, first)?;
    let mut sizes = Vec::new();
    for other in 0..rank {
        sizes.push(if other == axis { total } else { cx.shape_part(first, other, other + 1)? });
    }
    let shape = cx.concat(&sizes, 0)?;
    let nothing = cx.number_like(first, 0.0)?;
    let whole = cx.full(shape, nothing)?;
    let results = counted(cx, length, &[zero, whole], &mut |cx, turn, carried| {
        let part = cx.binary("sequence_at", list, turn)?;
        let part = prepared(cx, part)?;
        let (own, wanted) = (cx.dims(part), cx.dims(first));
        for (other, (own, wanted)) in own.iter().flatten().zip(wanted.iter().flatten()).enumerate() {
            if other != axis {
                let message = format!("dimension {other} of the items that it concatenates");
                cx.sink.check(Constraint::Eq(*own, *wanted), &message)?;
            }
        }
        let starts: Vec<Value> = (0..rank).map(|it| if it == axis { carried[0] } else { zero }).collect();
        let starts = cx.concat(&starts, 0)?;
        let whole = cx.emit("update_slice", Attrs::none(), &[carried[1], part, starts])?;
        let size = cx.shape_part(part, axis, axis + 1)?;
        Ok(vec![cx.binary("add", carried[0], size)?, whole])
    })?;
    Ok(results[1])
}

fn check_map(node: &Node<'_>) -> Result<(), String> {
    let body = node.graph("body").map_err(|it| it.message)?;
    match node.input_count() {
        0 => Err("it has no operands".into()),
        count if count != body.input.len() => {
            Err(format!("its subgraph takes {} values but is given {count}", body.input.len()))
        }
        _ => Ok(()),
    }
}

/// A loop over the items of the first sequence.
fn map(cx: &mut NodeCx<'_, '_>) -> Converted {
    let body = cx.graph("body")?;
    let operands = cx.all_inputs()?;
    let is_list = |cx: &NodeCx<'_, '_>, value: Value| cx.sink.type_of(value).as_sequence().is_some();
    let length = cx.unary("sequence_length", cx.input(0)?)?;
    for other in operands[1..].iter().copied().filter(|it| is_list(cx, *it)).collect::<Vec<_>>() {
        let own = cx.unary("sequence_length", other)?;
        same_length(cx, length, own)?;
    }
    // The element types of what the subgraph gives, found without building it.
    let types: Vec<Type> = operands.iter().map(|it| cx.sink.type_of(*it).clone()).collect();
    let found: Vec<Type> = {
        let mut probe = Probe::over(cx.sink);
        let mut inputs = Vec::new();
        for ty in types {
            let ty = match ty.as_sequence() {
                Some(item) => item.instance(probe.shapes()),
                None => ty,
            };
            inputs.push(probe.value(ty));
        }
        let results = cx.around.try_subgraph(&mut probe, body, &inputs, &[])?;
        results.into_iter().map(|it| probe.type_of(it.0).clone()).collect()
    };
    let mut lists = Vec::new();
    for ty in found {
        let dtype = ty.as_tensor().ok_or_else(|| bad("its subgraph gives what is no tensor"))?.dtype;
        lists.push(no_items(cx, dtype)?);
    }
    counted(cx, length, &lists, &mut |cx, turn, carried| {
        let mut inputs = Vec::new();
        for operand in &operands {
            inputs.push(match is_list(cx, *operand) {
                true => {
                    let item = cx.binary("sequence_at", *operand, turn)?;
                    taken(cx, item, "sequence")?
                }
                false => *operand,
            });
        }
        let results = cx.around.subgraph(cx.sink, body, &inputs)?;
        let pairs = carried.iter().zip(results);
        pairs.map(|(list, result)| cx.binary("sequence_insert", *list, result)).collect()
    })
}

/// Checks that two integers of rank 0 are equal.
fn same_length(cx: &mut NodeCx<'_, '_>, a: Value, b: Value) -> Result<(), Diagnostic> {
    let mut elements = Vec::new();
    for value in [a, b] {
        let value = cx.unsqueeze(value, &[0])?;
        let value = cx.known_sizes(value)?;
        elements.extend(cx.tensor_type(value)?.elements.iter().flatten().copied());
    }
    match elements[..] {
        [a, b] => cx.sink.check(Constraint::Eq(a, b), "the numbers of items of its sequences"),
        _ => Ok(()),
    }
}

/// The element type of an optional that holds nothing, and whether it would hold a sequence.
fn content(ty: &TypeProto) -> Result<(DType, bool), String> {
    let item = ty.sequence_type.as_ref().and_then(|it| it.elem_type.as_deref());
    match (&ty.tensor_type, item.and_then(|it| it.tensor_type.as_ref())) {
        (Some(tensor), _) => Ok((dtype_of(tensor.elem_type)?, false)),
        (None, Some(tensor)) => Ok((dtype_of(tensor.elem_type)?, true)),
        (None, None) => Err("its type is neither a tensor nor a sequence of tensors".into()),
    }
}

fn check_optional(node: &Node<'_>) -> Result<(), String> {
    match (node.has_input(0), node.type_of("type")) {
        (true, _) => Ok(()),
        (false, Some(ty)) => content(ty).map(|_| ()),
        (false, None) => Err("it has neither an operand nor a type".into()),
    }
}

fn optional(cx: &mut NodeCx<'_, '_>) -> Single {
    if let Some(value) = cx.optional(0) {
        return cx.unary("optional_some", value);
    }
    let ty = cx.type_of("type").ok_or_else(|| bad("it has neither an operand nor a type"))?;
    let (dtype, sequence) = content(ty).map_err(bad)?;
    cx.emit("optional_none", attrs([("dtype", dtype.into()), ("sequence", sequence.into())]), &[])
}

fn has_element(cx: &mut NodeCx<'_, '_>) -> Single {
    let known = match cx.optional(0) {
        None => false,
        Some(value) if matches!(cx.sink.type_of(value), Type::Optional(_)) => {
            return cx.unary("optional_has", value);
        }
        Some(_) => true,
    };
    Ok(cx.constant(TensorData::from_f64(DType::Bool, &[], [f64::from(u8::from(known))])))
}

fn get_element(cx: &mut NodeCx<'_, '_>) -> Single {
    let value = cx.input(0)?;
    match cx.sink.type_of(value) {
        Type::Optional(_) => {
            let value = cx.unary("optional_get", value)?;
            taken(cx, value, "optional")
        }
        _ => Ok(value),
    }
}
