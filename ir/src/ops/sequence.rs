//! Sequences, maps and optionals: operators that move references to values and compute nothing.
//!
//! They have no kernels. What is known of how a value is put together decides most of their results while a program is
//! built ([`StructureOp::decide`]); the others stay, and a call plan has them as steps of its own. Numbers that they find are
//! symbols, which they bind as elements of their results.

use super::support::{Class, indexing, one, plain, rank_only};
use super::{Arity, AttrDef, AttrKind, InferCx, InferResult, OpDef, OpId, OpRegistry, OpSink, SinkResult};
use crate::diag::Diagnostic;
use crate::text::type_text;
use crate::types::{Attrs, DType, ShapeInfo, TensorData, TensorType, Type, join_items};
use smallvec::smallvec;

/// An operator of this family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StructureOp {
    /// `sequence_empty`
    Empty,
    /// `sequence_construct`
    Construct,
    /// `sequence_length`
    Length,
    /// `sequence_at`
    At,
    /// `sequence_item`
    Item,
    /// `sequence_insert`
    Insert,
    /// `sequence_erase`
    Erase,
    /// `map_construct`
    Map,
    /// `map_keys`
    Keys,
    /// `map_values`
    Values,
    /// `optional_some`
    Some,
    /// `optional_none`
    None,
    /// `optional_has`
    Has,
    /// `optional_rank`
    Rank,
    /// `optional_get`
    Get,
}

/// What a result is, by how the operands are put together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided<V> {
    /// This value.
    Value(V),
    /// A sequence of these.
    Items(Vec<V>),
    /// An integer of rank 0.
    Length(usize),
    /// A truth value of rank 0.
    Truth(bool),
}

/// Sequences of more items are not put together while a program is built: each step would list them all again.
const MAX_ITEMS: usize = 256;

impl StructureOp {
    /// The operator of that name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "sequence_empty" => StructureOp::Empty,
            "sequence_construct" => StructureOp::Construct,
            "sequence_length" => StructureOp::Length,
            "sequence_at" => StructureOp::At,
            "sequence_item" => StructureOp::Item,
            "sequence_insert" => StructureOp::Insert,
            "sequence_erase" => StructureOp::Erase,
            "map_construct" => StructureOp::Map,
            "map_keys" => StructureOp::Keys,
            "map_values" => StructureOp::Values,
            "optional_some" => StructureOp::Some,
            "optional_none" => StructureOp::None,
            "optional_has" => StructureOp::Has,
            "optional_rank" => StructureOp::Rank,
            "optional_get" => StructureOp::Get,
            _ => return None,
        })
    }

    /// The operator that a definition is of.
    pub fn of(def: &OpDef) -> Option<Self> {
        Self::named(def.name)
    }

    /// The result on these operands, when it follows from how they are put together. `made` says of a value which
    /// operation of this family makes it, `ints` which integers the operands are, as far as that is known. What would be an
    /// error when it runs is not decided.
    pub fn decide<V: Copy>(
        self,
        args: &[V],
        made: &dyn Fn(V) -> Option<(StructureOp, Vec<V>)>,
        ints: &[Option<i64>],
    ) -> Option<Decided<V>> {
        let first = *args.first()?;
        if let StructureOp::Construct
        | StructureOp::Map
        | StructureOp::Some
        | StructureOp::Item
        | StructureOp::Rank = self
        {
            return None;
        }
        let items = match made(first)? {
            (StructureOp::Empty | StructureOp::None, _) => Vec::new(),
            (StructureOp::Construct | StructureOp::Map | StructureOp::Some, items) => items,
            _ => return None,
        };
        if items.len() > MAX_ITEMS {
            return None;
        }
        // A place from the start; `count` of them are allowed.
        let place = |operand: usize, absent: usize, count: usize| -> Option<usize> {
            if operand >= args.len() {
                return Some(absent);
            }
            let at = (*ints.get(operand)?)?;
            let from_start = if at < 0 { at.checked_add(items.len() as i64)? } else { at };
            usize::try_from(from_start).ok().filter(|it| *it < count)
        };
        Some(match self {
            StructureOp::Length => Decided::Length(items.len()),
            StructureOp::Has => Decided::Truth(!items.is_empty()),
            StructureOp::Get | StructureOp::Keys => Decided::Value(*items.first()?),
            StructureOp::Values => Decided::Value(*items.get(1)?),
            StructureOp::At => Decided::Value(items[place(1, 0, items.len())?]),
            StructureOp::Insert => {
                let at = place(2, items.len(), items.len() + 1)?;
                let mut items = items;
                items.insert(at, *args.get(1)?);
                Decided::Items(items)
            }
            StructureOp::Erase => {
                let last = items.len().checked_sub(1)?;
                let at = place(1, last, items.len())?;
                let mut items = items;
                items.remove(at);
                Decided::Items(items)
            }
            StructureOp::Empty
            | StructureOp::None
            | StructureOp::Construct
            | StructureOp::Map
            | StructureOp::Some
            | StructureOp::Item
            | StructureOp::Rank => return None,
        })
    }
}

/// The attributes of the `sequence_empty` of this type, where there is one.
pub fn empty_attrs(ty: &Type) -> Option<Attrs> {
    match ty.as_sequence()? {
        Type::Tensor(item) => Some(Attrs::none().with("dtype", item.dtype)),
        Type::Map(keys, values) => {
            let (keys, values) = (keys.as_tensor()?.dtype, values.as_tensor()?.dtype);
            Some(Attrs::none().with("dtype", values).with("keys", keys))
        }
        _ => None,
    }
}

/// The results of an operator of this family in a sink, when they are decided. `made` says which operation makes a value.
pub(crate) fn emit_decided<S: OpSink>(
    sink: &mut S,
    op: OpId,
    args: &[S::Value],
    made: &dyn Fn(&S, S::Value) -> Option<(StructureOp, Vec<S::Value>)>,
) -> Option<SinkResult<S::Value>> {
    let structure = StructureOp::of(sink.ops().def(op))?;
    let ints: Vec<Option<i64>> = args.iter().map(|it| single_integer(sink, *it)).collect();
    let decided = structure.decide(args, &|it| made(sink, it), &ints)?;
    Some(match decided {
        Decided::Value(value) => Ok(vec![value]),
        Decided::Length(count) => {
            Ok(vec![sink.constant("", TensorData::from_slice(DType::I64, &[], &[count as i64]))])
        }
        Decided::Truth(truth) => {
            Ok(vec![sink.constant("", TensorData::from_f64(DType::Bool, &[], [f64::from(u8::from(truth))]))])
        }
        Decided::Items(items) if items.is_empty() => {
            let attrs = empty_attrs(sink.type_of(*args.first()?))?;
            let empty = sink.ops().find("sequence_empty")?;
            sink.emit(empty, attrs, &[])
        }
        Decided::Items(items) => {
            let construct = sink.ops().find("sequence_construct")?;
            sink.emit(construct, Attrs::none(), &items)
        }
    })
}

fn single_integer<S: OpSink>(sink: &mut S, value: S::Value) -> Option<i64> {
    if let Some(data) = sink.constant_data(value) {
        return (data.len() == 1 && data.dtype().is_int()).then(|| data.get_i64(0));
    }
    match sink.type_of(value).as_tensor()?.elements.as_deref()? {
        [element] => {
            let element = *element;
            sink.shapes().as_int(element)
        }
        _ => None,
    }
}

pub(crate) fn register(ops: &mut OpRegistry) {
    const ITEMS: &[AttrDef] =
        &[AttrDef::required("dtype", AttrKind::DType), AttrDef::optional("keys", AttrKind::DType)];
    const CONTENT: &[AttrDef] =
        &[AttrDef::required("dtype", AttrKind::DType), AttrDef::optional("sequence", AttrKind::Bool)];
    ops.register(OpDef::pure("sequence_empty", Arity::exactly(0), ITEMS, empty));
    ops.register(OpDef::pure("sequence_construct", Arity::at_least(1), &[], construct));
    ops.register(OpDef::pure("sequence_length", Arity::exactly(1), &[], length));
    ops.register(indexing("sequence_at", Arity::exactly(2), &[], at));
    ops.register(indexing("sequence_item", Arity::exactly(2), &[], held_item));
    ops.register(indexing("sequence_insert", Arity::between(2, 3), &[], insert));
    ops.register(indexing("sequence_erase", Arity::between(1, 2), &[], erase));
    ops.register(OpDef::pure("map_construct", Arity::exactly(2), &[], map));
    ops.register(indexing("map_keys", Arity::exactly(1), &[], |cx| part(cx, Part::Keys)));
    ops.register(indexing("map_values", Arity::exactly(1), &[], |cx| part(cx, Part::Values)));
    ops.register(OpDef::pure("optional_some", Arity::exactly(1), &[], some));
    ops.register(OpDef::pure("optional_none", Arity::exactly(0), CONTENT, none));
    ops.register(OpDef::pure("optional_has", Arity::exactly(1), &[], has));
    const RANK: &[AttrDef] = &[AttrDef::optional("rank", AttrKind::Int)];
    ops.register(indexing("optional_rank", Arity::exactly(1), &[], rank));
    ops.register(indexing("optional_get", Arity::exactly(1), RANK, get));
}

impl<'a> InferCx<'a> {
    /// The type of the items of operand `i`.
    fn items(&self, i: usize) -> Result<&'a Type, Diagnostic> {
        match self.args.get(i) {
            Some(Type::Sequence(item)) => Ok(item),
            Some(other) => {
                let ty = type_text(self.shapes, other);
                Err(Diagnostic::error("O014", format!("operand {i} is `{ty}` but must be a sequence"))
                    .help("make one of it with `sequence_construct`"))
            }
            None => Err(Diagnostic::error("O011", format!("operand {i} is missing"))),
        }
    }

    /// The type of what operand `i` may hold.
    fn content(&self, i: usize) -> Result<&'a Type, Diagnostic> {
        match self.args.get(i) {
            Some(Type::Optional(content)) => Ok(content),
            Some(other) => {
                let ty = type_text(self.shapes, other);
                Err(Diagnostic::error("O015", format!("operand {i} is `{ty}` but must be an optional"))
                    .help("make one of it with `optional_some`"))
            }
            None => Err(Diagnostic::error("O011", format!("operand {i} is missing"))),
        }
    }

    /// Operand `i`, when it is given, as the place of an item.
    fn place(&mut self, i: usize) -> Result<(), Diagnostic> {
        if self.has(i) {
            self.tensor_of(i, Class::Int)?;
            self.expect_single(i)?;
        }
        Ok(())
    }

    /// Operand `i` as an item: what may lie in a sequence or an optional.
    fn item(&self, i: usize) -> Result<Type, Diagnostic> {
        match self.args.get(i) {
            Some(
                ty @ (Type::Tensor(_)
                | Type::Sequence(_)
                | Type::Optional(_)
                | Type::Map(..)
                | Type::String
                | Type::Object),
            ) => Ok(ty.clone().into_item()),
            Some(other) => {
                let ty = type_text(self.shapes, other);
                Err(Diagnostic::error("O016", format!("operand {i} is `{ty}`, which is no item"))
                    .help("items are tensors, sequences, optionals, maps and text"))
            }
            None => Err(Diagnostic::error("O011", format!("operand {i} is missing"))),
        }
    }

    fn join(&self, a: &Type, b: &Type, i: usize) -> Result<Type, Diagnostic> {
        join_items(self.shapes, a, b, &|_, _| true).ok_or_else(|| {
            let [a, b] = [a, b].map(|it| type_text(self.shapes, it));
            Diagnostic::error("O017", format!("operand {i} is `{b}` but the items before it are `{a}`"))
                .help("all items of a sequence have one element type: insert a `cast`")
        })
    }
}

fn single(ty: Type) -> InferResult {
    Ok(smallvec![ty])
}

fn sequence(item: Type) -> InferResult {
    single(Type::Sequence(Box::new(item)))
}

fn empty(cx: &mut InferCx<'_>) -> InferResult {
    let dtype = cx.attrs.dtype("dtype").unwrap_or(DType::F32);
    single(match cx.attrs.dtype("keys") {
        Some(keys) => Type::no_maps(key_type(keys, "attribute `keys`")?, dtype),
        None => Type::no_items(dtype),
    })
}

/// Checks that keys may be of this type.
fn key_type(dtype: DType, what: &str) -> Result<DType, Diagnostic> {
    if dtype.is_int() || dtype == DType::Str {
        return Ok(dtype);
    }
    Err(Diagnostic::error("O026", format!("{what} is {dtype}, which is no type of keys"))
        .help("keys are integers or strings"))
}

fn map(cx: &mut InferCx<'_>) -> InferResult {
    key_type(cx.tensor(0)?.dtype, "operand 0")?;
    for i in 0..2 {
        cx.expect_rank(i, 1)?;
    }
    if let (Some([keys]), Some([values])) = (cx.dims(0)?, cx.dims(1)?) {
        cx.require_eq(*keys, *values, "a map has as many values as keys")?;
    }
    let [keys, values] = [cx.item(0)?, cx.item(1)?].map(Box::new);
    single(Type::Map(keys, values))
}

/// One of the two vectors of a map.
fn part(cx: &mut InferCx<'_>, part: Part) -> InferResult {
    let ty = match cx.args.first() {
        Some(Type::Map(keys, values)) => {
            if part == Part::Keys {
                keys
            } else {
                values
            }
        }
        Some(other) => {
            let ty = type_text(cx.shapes, other);
            return Err(Diagnostic::error("O025", format!("operand 0 is `{ty}` but must be a map"))
                .help("make one of it with `map_construct`"));
        }
        None => return Err(Diagnostic::error("O011", "operand 0 is missing")),
    };
    single(match &**ty {
        // Of a map that is in no sequence, or of which nothing is known.
        Type::Tensor(TensorType { dtype, shape: ShapeInfo::Never | ShapeInfo::Unknown, .. }) => {
            Type::Tensor(plain(*dtype, rank_only(1))).instance(cx.shapes)
        }
        ty => ty.instance(cx.shapes),
    })
}

/// Which vector of a map.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Keys,
    Values,
}

fn construct(cx: &mut InferCx<'_>) -> InferResult {
    let mut item = cx.item(0)?;
    for i in 1..cx.args.len() {
        item = cx.join(&item, &cx.item(i)?, i)?;
    }
    sequence(item)
}

fn length(cx: &mut InferCx<'_>) -> InferResult {
    cx.items(0)?;
    let length = cx.shapes.fresh("length");
    one(TensorType::new(DType::I64, []).with_elements([length]))
}

fn at(cx: &mut InferCx<'_>) -> InferResult {
    let item = cx.items(0)?;
    cx.place(1)?;
    single(item.instance(cx.shapes))
}

fn held_item(cx: &mut InferCx<'_>) -> InferResult {
    let item = cx.items(0)?.clone();
    cx.place(1)?;
    single(Type::Optional(Box::new(item)))
}

fn insert(cx: &mut InferCx<'_>) -> InferResult {
    let item = cx.join(cx.items(0)?, &cx.item(1)?, 1)?;
    cx.place(2)?;
    sequence(item)
}

fn erase(cx: &mut InferCx<'_>) -> InferResult {
    let item = cx.items(0)?.clone();
    cx.place(1)?;
    sequence(item)
}

fn some(cx: &mut InferCx<'_>) -> InferResult {
    if let Some(Type::Optional(_)) = cx.args.first() {
        return Err(Diagnostic::error("O018", "operand 0 is an optional, and an optional holds none")
            .help("a value that an optional holds is told from nothing alone: hold it in a sequence"));
    }
    single(Type::Optional(Box::new(cx.item(0)?)))
}

fn none(cx: &mut InferCx<'_>) -> InferResult {
    let dtype = cx.attrs.dtype("dtype").unwrap_or(DType::F32);
    let content = match (cx.flag("sequence"), Type::no_items(dtype)) {
        (false, Type::Sequence(item)) => item,
        (_, sequence) => Box::new(sequence),
    };
    single(Type::Optional(content))
}

fn has(cx: &mut InferCx<'_>) -> InferResult {
    cx.content(0)?;
    let one_value = cx.shapes.int(1);
    let has = cx.fresh_size("has", one_value)?;
    one(TensorType::new(DType::Bool, []).with_elements([has]))
}

/// What operand 0 holds, which must be a tensor.
fn held_tensor<'a>(cx: &InferCx<'a>) -> Result<&'a TensorType, Diagnostic> {
    let content = cx.content(0)?;
    content.as_tensor().ok_or_else(|| {
        let ty = type_text(cx.shapes, content);
        Diagnostic::error("O032", format!("operand 0 holds `{ty}`, which has no rank"))
            .help("ask an optional that holds a tensor")
    })
}

fn rank(cx: &mut InferCx<'_>) -> InferResult {
    let known = held_tensor(cx)?.shape.rank();
    let rank = match known {
        Some(rank) => cx.shapes.int(rank as i64),
        None => cx.shapes.fresh("rank"),
    };
    one(TensorType::new(DType::I64, []).with_elements([rank]))
}

fn get(cx: &mut InferCx<'_>) -> InferResult {
    let Some(rank) = cx.attrs.int("rank") else {
        let content = cx.content(0)?;
        return single(content.instance(cx.shapes));
    };
    let ty = held_tensor(cx)?;
    let wanted =
        u8::try_from(rank).ok().filter(|it| ty.shape.rank().is_none_or(|own| own == usize::from(*it)));
    let Some(wanted) = wanted else {
        let message = match ty.shape.rank() {
            Some(own) => format!("operand 0 holds a tensor of {own} dimensions, not of {rank}"),
            None => format!("a tensor cannot have {rank} dimensions"),
        };
        return Err(Diagnostic::error("O033", message).help("leave `rank` out where the type says it"));
    };
    match ty.shape.rank() {
        Some(_) => single(Type::Tensor(ty.clone()).instance(cx.shapes)),
        None => {
            let held = TensorType { dtype: ty.dtype, shape: ShapeInfo::Rank(wanted), elements: None };
            single(Type::Tensor(held).instance(cx.shapes))
        }
    }
}
