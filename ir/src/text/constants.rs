//! Constant tensors: `f32[2, 3] [1, 2, 3, 4, 5, 6]`, `c64[1] [(0.5, -1)]`, `string[1] ["a"]`, `f32[64, 64] splat 0`,
//! `f32[64, 128] sha256 "…"`, `#3 : f32[64, 128]`.

use super::cursor::Cursor;
use super::lexer::{Span, TokenKind};
use super::numbers::{number_to_f64, parse_int, parse_nan_bits};
use super::types::{parse_dtype, parse_static_dims, static_dims_text};
use super::write::quote;
use crate::diag::Diagnostic;
use crate::types::{ConstId, ConstPool, DType, Digest, FloatFormat, TensorData};
use indexmap::IndexMap;
use smallvec::SmallVec;

/// Constants of more elements are written as references into a pool that travels beside the text, unless all
/// their elements are equal.
pub const MAX_INLINE: usize = 64;

/// Constants of more bytes are not splatted by text: reading a few characters must not take gigabytes.
const MAX_SPLAT_BYTES: usize = 1 << 26;

/// A constant as read.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// Its elements were in the text.
    Inline(TensorData),
    /// It is beside the text, and known by what it is.
    Known {
        /// Digest of type and content.
        digest: Digest,
        /// Its element type.
        dtype: DType,
        /// Its dimensions.
        dims: SmallVec<[u64; 4]>,
    },
    /// It is in a pool beside the text.
    Pool {
        /// Which one.
        id: ConstId,
        /// Its element type.
        dtype: DType,
        /// Its dimensions.
        dims: SmallVec<[u64; 4]>,
    },
}

/// A constant of a pool as text. One that is too large to be inline is a reference: by its digest where that is known,
/// which means the same everywhere, else by its number in the pool.
pub fn constant_text(pool: &ConstPool, id: ConstId) -> String {
    literal_text(id, pool.name(id), pool.data(id), pool.digest(id))
}

/// Whether a constant's text holds its elements.
pub fn is_inline(data: &TensorData) -> bool {
    elements_text(data).is_some()
}

pub(super) fn literal_text(id: ConstId, name: &str, data: &TensorData, digest: Option<Digest>) -> String {
    let name = if name.is_empty() { String::new() } else { format!("{} ", quote(name)) };
    let ty = format!("{}{}", data.dtype(), static_dims_text(data.dims()));
    match (elements_text(data), digest) {
        (Some(elements), _) => format!("{name}{ty} {elements}"),
        (None, Some(digest)) => format!("{name}{ty} sha256 \"{digest}\""),
        (None, None) => format!("{id} {name}: {ty}"),
    }
}

/// The elements of a constant that is small or of one value.
fn elements_text(data: &TensorData) -> Option<String> {
    if data.len() <= MAX_INLINE {
        let items: Vec<String> = (0..data.len()).map(|i| element_text(data, i)).collect();
        return Some(format!("[{}]", items.join(", ")));
    }
    let size = data.dtype().size();
    let bytes = if data.len() <= MAX_SPLAT_BYTES { data.unpacked() } else { data.bytes().clone() };
    let is_splat = bytes.len() <= MAX_SPLAT_BYTES && bytes.chunks_exact(size).all(|it| *it == bytes[..size]);
    is_splat.then(|| format!("splat {}", element_text(data, 0)))
}

fn element_text(data: &TensorData, i: usize) -> String {
    if data.dtype() == DType::Str {
        return quote(data.text(i));
    }
    if data.dtype().component().is_some() {
        let parts = data.parts();
        return format!("({}, {})", element_text(&parts, 2 * i), element_text(&parts, 2 * i + 1));
    }
    let (bits, value) = (data.bits(i), data.get_f64(i));
    match data.dtype() {
        DType::Bool if bits <= 1 => (bits == 1).to_string(),
        DType::Bool => bits.to_string(),
        DType::U64 => bits.to_string(),
        dtype if dtype.is_integral() => data.get_i64(i).to_string(),
        dtype if value.is_nan() => match bits == dtype.float_bits(f64::NAN) {
            true => "nan".to_owned(),
            false => format!("nan({bits:#x})"),
        },
        DType::F64 => short(format!("{value:?}")),
        // The narrower formats are exact in f32, whose shortest text is shorter.
        _ => short(format!("{:?}", value as f32)),
    }
}

fn short(text: String) -> String {
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// Reads a constant, after the keyword, with its name (empty when it has none).
pub fn parse_literal(cursor: &mut Cursor<'_>) -> Result<(Literal, String), Diagnostic> {
    if let TokenKind::Const(text) = cursor.peek().clone() {
        let Ok(id) = text.parse() else {
            return Err(cursor.expected("the number of a constant"));
        };
        cursor.bump();
        let name = cursor.eat_string().unwrap_or_default();
        cursor.expect_punct(":")?;
        let dtype = parse_dtype(cursor)?;
        let dims = parse_static_dims(cursor)?;
        return Ok((Literal::Pool { id: ConstId(id), dtype, dims }, name));
    }
    let name = cursor.eat_string().unwrap_or_default();
    let start = cursor.span();
    let dtype = parse_dtype(cursor)?;
    let dims = parse_static_dims(cursor)?;
    let span = cursor.span_since(&start);
    let Some(size) = TensorData::unpacked_count(dtype, &dims) else {
        return Err(cursor.error_at(span, "T060", "the constant is larger than the address space"));
    };
    if cursor.eat_word("sha256") {
        let at = cursor.span();
        let digits = cursor.expect_string("a digest in quotes")?;
        let Ok(digest) = digits.parse() else {
            return Err(cursor.error_at(at, "T065", "a digest has 64 hexadecimal digits in lower case"));
        };
        return Ok((Literal::Known { digest, dtype, dims }, name));
    }
    if dtype == DType::Str {
        return Ok((Literal::Inline(parse_strings(cursor, &start, &dims, size / dtype.size())?), name));
    }
    let mut bytes = Vec::new();
    if cursor.eat_word("splat") {
        if size > MAX_SPLAT_BYTES {
            return Err(cursor.error_at(span, "T061", "the constant is too large to be written as a splat"));
        }
        parse_element(cursor, dtype, &mut bytes)?;
        bytes = bytes.repeat(size / dtype.size());
    } else {
        cursor.expect_punct("[")?;
        cursor.list("]", |cursor| parse_element(cursor, dtype, &mut bytes))?;
    }
    let data = TensorData::from_unpacked(dtype, dims.to_vec(), bytes.into()).map_err(|_| {
        let count = size / dtype.size();
        cursor.error_at(cursor.span_since(&start), "T062", format!("the constant needs {count} elements"))
    })?;
    Ok((Literal::Inline(data), name))
}

/// Reads strings, after their shape, which has `count` elements.
fn parse_strings(
    cursor: &mut Cursor<'_>,
    start: &Span,
    dims: &[u64],
    count: usize,
) -> Result<TensorData, Diagnostic> {
    let texts = if cursor.eat_word("splat") {
        if count > MAX_SPLAT_BYTES / DType::Str.size() {
            let span = cursor.span_since(start);
            return Err(cursor.error_at(span, "T061", "the constant is too large to be written as a splat"));
        }
        vec![cursor.expect_string("a string")?; count]
    } else {
        cursor.expect_punct("[")?;
        cursor.list("]", |cursor| cursor.expect_string("a string"))?
    };
    TensorData::strings(dims, texts).map_err(|_| {
        cursor.error_at(cursor.span_since(start), "T062", format!("the constant needs {count} elements"))
    })
}

/// Puts constants that a text has into a pool that may travel beside it: those that the pool has already are found
/// there, so reading what was printed does not grow it.
#[derive(Clone, Debug, Default)]
pub struct InlineConstants {
    ids: IndexMap<(String, DType, Vec<u64>, Vec<u8>), ConstId>,
    /// Those known by a digest, each under every name that it has.
    known: IndexMap<Digest, Vec<ConstId>>,
}

impl InlineConstants {
    /// Knows the small constants of `pool`.
    pub fn of(pool: &ConstPool) -> Self {
        let mut ids = IndexMap::new();
        for id in pool.ids().filter(|it| pool.data(*it).len() <= MAX_INLINE) {
            ids.entry(Self::key(pool.name(id), pool.data(id))).or_insert(id);
        }
        let mut known: IndexMap<Digest, Vec<ConstId>> = IndexMap::new();
        for id in pool.ids() {
            if let Some(digest) = pool.digest(id) {
                known.entry(digest).or_default().push(id);
            }
        }
        InlineConstants { ids, known }
    }

    fn key(name: &str, data: &TensorData) -> (String, DType, Vec<u64>, Vec<u8>) {
        (name.to_owned(), data.dtype(), data.dims().to_vec(), data.content())
    }

    /// Reads a constant, after the keyword, and returns its place in `pool`.
    pub fn read(&mut self, cursor: &mut Cursor<'_>, pool: &mut ConstPool) -> Result<ConstId, Diagnostic> {
        let span = cursor.span();
        let (literal, name) = parse_literal(cursor)?;
        match literal {
            Literal::Inline(data) if data.len() > MAX_INLINE => Ok(pool.add(name, data)),
            Literal::Inline(data) => {
                Ok(*self.ids.entry(Self::key(&name, &data)).or_insert_with(|| pool.add(name, data)))
            }
            Literal::Known { digest, dtype, dims } => {
                let span = cursor.span_since(&span);
                let known = self.known.get_mut(&digest).ok_or_else(|| unknown(cursor, span.clone()))?;
                if let Some(id) = known.iter().find(|it| pool.name(**it) == name) {
                    return fits(cursor, span, pool.data(*id), dtype, &dims).map(|()| *id);
                }
                let data = pool.data(known[0]).clone();
                fits(cursor, span, &data, dtype, &dims)?;
                let id = pool.add(name, data);
                pool.set_digest(id, digest);
                known.push(id);
                Ok(id)
            }
            Literal::Pool { id, dtype, dims } => {
                let span = cursor.span_since(&span);
                if !pool.contains(id) {
                    return Err(cursor
                        .error_at(span, "T115", format!("no constant {id} travels beside the text"))
                        .help("give the pool of constants that the text was printed from"));
                }
                let data = pool.data(id);
                if data.dtype() != dtype || data.dims() != &dims[..] {
                    let found = format!("{}{}", data.dtype(), static_dims_text(data.dims()));
                    let message = format!("constant {id} is {found} in the pool beside the text");
                    return Err(cursor.error_at(span, "T116", message));
                }
                Ok(id)
            }
        }
    }
}

/// No constant beside the text has the digest that stands in it.
pub(crate) fn unknown(cursor: &Cursor<'_>, span: Span) -> Diagnostic {
    cursor
        .error_at(span, "T117", "no constant with this digest travels beside the text")
        .help("it is in the file of constants that was written with the text; both stay together")
}

/// Whether a constant that is known by its digest has the type that the text says.
pub(crate) fn fits(
    cursor: &Cursor<'_>,
    span: Span,
    data: &TensorData,
    dtype: DType,
    dims: &[u64],
) -> Result<(), Diagnostic> {
    if data.dtype() == dtype && data.dims() == dims {
        return Ok(());
    }
    let found = format!("{}{}", data.dtype(), static_dims_text(data.dims()));
    Err(cursor.error_at(span, "T118", format!("the constant with this digest is {found}")))
}

fn parse_element(cursor: &mut Cursor<'_>, dtype: DType, out: &mut Vec<u8>) -> Result<(), Diagnostic> {
    let start = cursor.span();
    if let Some(part) = dtype.component() {
        cursor.expect_punct("(")?;
        parse_float_element(cursor, part, out)?;
        cursor.expect_punct(",")?;
        parse_float_element(cursor, part, out)?;
        cursor.expect_punct(")")?;
        return Ok(());
    }
    if dtype.is_float() {
        return parse_float_element(cursor, dtype, out);
    }
    if dtype == DType::Bool && (cursor.at_word("true") || cursor.at_word("false")) {
        out.push(u8::from(cursor.eat_word("true")));
        cursor.eat_word("false");
        return Ok(());
    }
    let value = match (dtype, cursor.peek().clone()) {
        (DType::U64, TokenKind::Number(text)) => {
            cursor.bump();
            text.parse::<u64>().map(i128::from).unwrap_or(-1)
        }
        _ => i128::from(parse_int(cursor)?),
    };
    // A byte of a bool may be any: models hold such.
    let (least, most) = if dtype == DType::Bool { (0, 255) } else { dtype.int_range().unwrap_or_default() };
    if !(least..=most).contains(&value) {
        return Err(cursor.error_at(cursor.span_since(&start), "T063", format!("not a value of {dtype}")));
    }
    out.extend_from_slice(&(value as u64).to_le_bytes()[..dtype.size()]);
    Ok(())
}

fn parse_float_element(cursor: &mut Cursor<'_>, dtype: DType, out: &mut Vec<u8>) -> Result<(), Diagnostic> {
    let start = cursor.span();
    let negative = cursor.eat_punct("-");
    let signed = |value: f64| if negative { -value } else { value };
    let sign = 1_u64 << (dtype.bits() - 1);
    let bits = match cursor.peek().clone() {
        TokenKind::Ident(word) if word == "inf" => {
            cursor.bump();
            let infinity = dtype.float_format().and_then(FloatFormat::infinity);
            infinity.map(|bits| if negative { bits ^ sign } else { bits })
        }
        TokenKind::Ident(word) if word == "nan" => {
            cursor.bump();
            let bits = parse_nan_bits(cursor)?;
            bits.map_or_else(
                || Some(dtype.float_bits(f64::NAN)),
                |bits| (bits < sign << 1 || sign << 1 == 0).then_some(bits),
            )
            .map(|bits| if negative { bits ^ sign } else { bits })
            .filter(|bits| dtype.float_value(*bits).is_nan())
        }
        TokenKind::Number(text) => {
            cursor.bump();
            match (dtype, text.parse::<f32>()) {
                // Straight to f32: by way of f64 it would round twice.
                (DType::F32, Ok(value)) => Some(u64::from(if negative { -value } else { value }.to_bits())),
                _ => number_to_f64(&text).map(|value| dtype.float_bits(signed(value))),
            }
        }
        _ => return Err(cursor.expected("a number")),
    };
    let Some(bits) = bits else {
        return Err(cursor.error_at(cursor.span_since(&start), "T064", format!("not a value of {dtype}")));
    };
    out.extend_from_slice(&bits.to_le_bytes()[..dtype.size()]);
    Ok(())
}
