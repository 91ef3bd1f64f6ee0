//! Types: `Tensor<f32, [n, 64]>`, `Tensor<i64, [2], [n, 64]>` (with elements), `Tensor<f32, rank 3>`, `Tuple<…>`.

use super::cursor::Cursor;
use super::dims::{SymbolPolicy, dims_text, parse_dim, parse_dims};
use super::lexer::TokenKind;
use super::numbers::parse_int;
use crate::diag::Diagnostic;
use crate::shape::ShapeCx;
use crate::types::{DType, Effects, FunctionType, ShapeInfo, TensorType, Type};
use smallvec::SmallVec;

/// A type as text.
pub fn type_text(shapes: &ShapeCx, ty: &Type) -> String {
    let list = |types: &[Type]| types.iter().map(|it| type_text(shapes, it)).collect::<Vec<_>>().join(", ");
    match ty {
        Type::Tensor(TensorType { dtype, shape, elements }) => {
            let mut out = format!("Tensor<{dtype}");
            if *shape != ShapeInfo::Unknown {
                out += ", ";
                out += &shape_info_text(shapes, shape);
            }
            if let Some(elements) = elements {
                out += ", ";
                out += &dims_text(shapes, elements);
            }
            out + ">"
        }
        Type::Shape(ShapeInfo::Unknown) => "Shape".to_owned(),
        Type::Shape(shape) => format!("Shape<{}>", shape_info_text(shapes, shape)),
        Type::Scalar(dtype, None) => format!("Scalar<{dtype}>"),
        Type::Scalar(dtype, Some(value)) => format!("Scalar<{dtype}, {}>", shapes.display(*value)),
        Type::Tuple(items) => format!("Tuple<{}>", list(items)),
        Type::Sequence(item) => format!("Sequence<{}>", type_text(shapes, item)),
        Type::Optional(item) => format!("Optional<{}>", type_text(shapes, item)),
        Type::State(item) => format!("State<{}>", type_text(shapes, item)),
        Type::Function(ty) => {
            let effects = if ty.effects.is_pure() { String::new() } else { format!(" {}", ty.effects) };
            format!("Function<({}) -> ({}){effects}>", list(&ty.params), list(&ty.results))
        }
        Type::Map(key, value) => {
            format!("Map<{}, {}>", type_text(shapes, key), type_text(shapes, value))
        }
        Type::String => "String".to_owned(),
        Type::Object => "Object".to_owned(),
    }
}

/// What is known of a shape: `[n, 64]`, `rank 3`, `?`, `never`.
pub fn shape_info_text(shapes: &ShapeCx, shape: &ShapeInfo) -> String {
    match shape {
        ShapeInfo::Known(dims) => dims_text(shapes, dims),
        ShapeInfo::Rank(rank) => format!("rank {rank}"),
        ShapeInfo::Unknown => "?".to_owned(),
        ShapeInfo::Never => "never".to_owned(),
    }
}

/// Constant dimensions in brackets.
pub fn static_dims_text(dims: &[u64]) -> String {
    let items: Vec<String> = dims.iter().map(u64::to_string).collect();
    format!("[{}]", items.join(", "))
}

pub(super) fn dtype_of_word(word: &str) -> Option<DType> {
    word.parse().ok()
}

/// Reads an element type.
pub fn parse_dtype(cursor: &mut Cursor<'_>) -> Result<DType, Diagnostic> {
    let found = match cursor.peek() {
        TokenKind::Ident(word) => dtype_of_word(word),
        _ => None,
    };
    match found {
        Some(dtype) => {
            cursor.bump();
            Ok(dtype)
        }
        None => {
            let names: Vec<_> = DType::ALL.iter().map(|it| it.name()).collect();
            Err(cursor
                .expected("an element type")
                .help(format!("the element types are: {}", names.join(", "))))
        }
    }
}

/// Reads constant dimensions in brackets.
pub fn parse_static_dims(cursor: &mut Cursor<'_>) -> Result<SmallVec<[u64; 4]>, Diagnostic> {
    cursor.expect_punct("[")?;
    let dims = cursor.list("]", |cursor| {
        let span = cursor.span();
        let dim = parse_int(cursor)?;
        u64::try_from(dim).map_err(|_| cursor.error_at(span, "T050", "a dimension is at least 0"))
    })?;
    Ok(dims.into())
}

/// Reads `[n, 64]`, `rank 3`, `?` or `never`.
pub fn parse_shape_info(
    cursor: &mut Cursor<'_>,
    shapes: &mut ShapeCx,
    policy: SymbolPolicy,
) -> Result<ShapeInfo, Diagnostic> {
    if cursor.eat_punct("?") {
        return Ok(ShapeInfo::Unknown);
    }
    if cursor.eat_word("never") {
        return Ok(ShapeInfo::Never);
    }
    if cursor.eat_word("rank") {
        let span = cursor.span();
        let rank = parse_int(cursor)?;
        let rank = u8::try_from(rank).map_err(|_| cursor.error_at(span, "T051", "a rank is 0 to 255"))?;
        return Ok(ShapeInfo::Rank(rank));
    }
    if !cursor.at_punct("[") {
        return Err(cursor.expected("a shape: `[…]`, `rank n`, `?` or `never`"));
    }
    Ok(ShapeInfo::Known(parse_dims(cursor, shapes, policy)?))
}

/// Reads a type.
pub fn parse_type(
    cursor: &mut Cursor<'_>,
    shapes: &mut ShapeCx,
    policy: SymbolPolicy,
) -> Result<Type, Diagnostic> {
    cursor.nested(|cursor| {
        let span = cursor.span();
        let name = cursor.expect_ident("a type")?;
        match name.as_str() {
            "Tensor" => parse_tensor(cursor, shapes, policy).map(Type::Tensor),
            "Shape" => {
                if !cursor.eat_punct("<") {
                    return Ok(Type::Shape(ShapeInfo::Unknown));
                }
                let shape = parse_shape_info(cursor, shapes, policy)?;
                cursor.expect_punct(">")?;
                Ok(Type::Shape(shape))
            }
            "Scalar" => {
                cursor.expect_punct("<")?;
                let dtype = parse_dtype(cursor)?;
                let value =
                    if cursor.eat_punct(",") { Some(parse_dim(cursor, shapes, policy)?) } else { None };
                cursor.expect_punct(">")?;
                Ok(Type::Scalar(dtype, value))
            }
            "Tuple" => {
                cursor.expect_punct("<")?;
                Ok(Type::Tuple(cursor.list(">", |cursor| parse_type(cursor, shapes, policy))?))
            }
            "Sequence" | "Optional" | "State" => {
                cursor.expect_punct("<")?;
                let inner = Box::new(parse_type(cursor, shapes, policy)?);
                cursor.expect_punct(">")?;
                Ok(match name.as_str() {
                    "Sequence" => Type::Sequence(inner),
                    "Optional" => Type::Optional(inner),
                    _ => Type::State(inner),
                })
            }
            "Function" => {
                cursor.expect_punct("<")?;
                cursor.expect_punct("(")?;
                let params = cursor.list(")", |cursor| parse_type(cursor, shapes, policy))?;
                cursor.expect_punct("->")?;
                cursor.expect_punct("(")?;
                let results = cursor.list(")", |cursor| parse_type(cursor, shapes, policy))?;
                let effects = parse_effects(cursor)?;
                cursor.expect_punct(">")?;
                Ok(Type::Function(Box::new(FunctionType { params, results, effects })))
            }
            "Map" => {
                cursor.expect_punct("<")?;
                let key = Box::new(parse_type(cursor, shapes, policy)?);
                cursor.expect_punct(",")?;
                let value = Box::new(parse_type(cursor, shapes, policy)?);
                cursor.expect_punct(">")?;
                Ok(Type::Map(key, value))
            }
            "String" => Ok(Type::String),
            "Object" => Ok(Type::Object),
            _ => Err(cursor.error_at(span, "T052", format!("`{name}` is no type")).help(
                "the types are: Tensor, Shape, Scalar, Tuple, Sequence, Optional, Map, String, Function, State, Object",
            )),
        }
    })
}

fn parse_tensor(
    cursor: &mut Cursor<'_>,
    shapes: &mut ShapeCx,
    policy: SymbolPolicy,
) -> Result<TensorType, Diagnostic> {
    cursor.expect_punct("<")?;
    let dtype = parse_dtype(cursor)?;
    let mut ty = TensorType::unknown(dtype);
    if cursor.eat_punct(",") {
        ty.shape = parse_shape_info(cursor, shapes, policy)?;
    }
    if cursor.eat_punct(",") {
        let span = cursor.span();
        let elements = parse_dims(cursor, shapes, policy)?;
        let span = cursor.span_since(&span);
        let count =
            ty.static_dims(shapes).and_then(|dims| dims.iter().try_fold(1u64, |n, d| n.checked_mul(*d)));
        if count != Some(elements.len() as u64) {
            return Err(cursor.error_at(span, "T053", "the number of elements does not match the shape"));
        }
        if !dtype.is_integral() || elements.len() > TensorType::MAX_ELEMENTS {
            return Err(cursor.error_at(
                span,
                "T054",
                format!("elements are tracked for integers and booleans, up to {}", TensorType::MAX_ELEMENTS),
            ));
        }
        ty = ty.with_elements(elements);
    }
    cursor.expect_punct(">")?;
    Ok(ty)
}

/// Reads `!abort !io`, possibly nothing.
pub fn parse_effects(cursor: &mut Cursor<'_>) -> Result<Effects, Diagnostic> {
    let mut effects = Effects::PURE;
    while cursor.eat_punct("!") {
        let span = cursor.span();
        let name = cursor.expect_ident("an effect")?;
        let effect = Effects::from_name(&name).ok_or_else(|| {
            cursor
                .error_at(span, "T055", format!("`{name}` is no effect"))
                .help("the effects are: abort, read, write, random, io")
        })?;
        effects = effects | effect;
    }
    Ok(effects)
}
