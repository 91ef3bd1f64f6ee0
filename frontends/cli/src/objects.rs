//! Sequences and optionals in `.npz` files, which hold arrays alone.
//!
//! The elements of a sequence `s` are `s[0]`, `s[1]`, …; an array `s[]` says that there are none. An optional that is not
//! in the file has no value.

use crate::failure::Failure;
use crate::npz::{Archive, for_input};
use orogen_abi::signature::Parameter;
use orogen_ir::types::DType;
use orogen_runtime::{DLDataType, Tensor, Value};

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Sequence,
    Optional,
    OptionalSequence,
    Other,
}

impl Kind {
    pub(crate) fn of(parameter: &Parameter) -> Option<Kind> {
        Some(match parameter.object.as_deref()? {
            ty if ty.starts_with("Sequence<Tensor<") => Kind::Sequence,
            ty if ty.starts_with("Optional<Sequence<Tensor<") => Kind::OptionalSequence,
            ty if ty.starts_with("Optional<Tensor<") => Kind::Optional,
            _ => Kind::Other,
        })
    }
}

/// The name that an array belongs to: `s` for `s[3]` and `s[]`.
pub(crate) fn name_of(key: &str) -> &str {
    let bare = key.strip_suffix(']').and_then(|it| it.rsplit_once('['));
    match bare {
        Some((name, place)) if place.chars().all(|it| it.is_ascii_digit()) => name,
        _ => key,
    }
}

/// A value from a file; keys that it is read from are added to `used`.
pub(crate) fn read(
    archive: &mut Archive<'_>,
    input: &Parameter,
    kind: Kind,
    used: &mut Vec<String>,
) -> Result<Value, Failure> {
    let name = &input.name;
    if kind == Kind::Other {
        let ty = input.object.clone().unwrap_or_default();
        return Err(Failure::Usage(format!("input `{name}` is a {ty}, which no file of arrays can hold")));
    }
    let mut take = |key: &str| -> Result<Option<Tensor>, Failure> {
        let Some(key) = archive.key("in:", key)? else { return Ok(None) };
        let tensor = archive.read(&key)?;
        used.push(key);
        Ok(Some(for_input(&element(input), tensor)))
    };
    if kind == Kind::Optional {
        return Ok(take(name)?.map_or(Value::None, Value::Tensor));
    }
    let mut items = Vec::new();
    while let Some(item) = take(&format!("{name}[{}]", items.len()))? {
        items.push(Value::Tensor(item));
    }
    let is_empty = take(&format!("{name}[]"))?.is_some();
    match (items.is_empty() && !is_empty, kind) {
        (true, Kind::OptionalSequence) => Ok(Value::None),
        (true, _) => {
            let message = format!(
                "there is no `{name}[0]` or `in:{name}[0]` in it, the first element of a sequence; `{name}[]` is an \
                 empty one"
            );
            Err(Failure::file(archive.path(), "use", message))
        }
        (false, _) => Ok(Value::Array(items)),
    }
}

/// An element as an input: only its type matters.
fn element(input: &Parameter) -> Parameter {
    let ty = input.object.as_deref().and_then(|it| it.split_once("Tensor<"));
    let name = ty.and_then(|it| it.1.split([',', '>']).next());
    let (code, bits) = name.and_then(|it| it.parse().ok()).unwrap_or(DType::F32).row().dlpack;
    Parameter::new(&input.name, DLDataType::new(code, bits))
}

/// The tensors of results, each with its name: those of a sequence are numbered, and an empty one has an empty tensor.
pub(crate) fn tensors(
    results: impl Iterator<Item = (Parameter, Value)>,
) -> Result<Vec<(Parameter, Tensor)>, Failure> {
    let mut found = Vec::new();
    for (parameter, value) in results {
        let named = |suffix: String, tensor: Tensor| {
            let name = format!("{}{suffix}", parameter.name);
            (
                Parameter { dtype: tensor.dtype(), object: None, ..Parameter { name, ..parameter.clone() } },
                tensor,
            )
        };
        match value {
            Value::Tensor(tensor) => found.push(named(String::new(), tensor)),
            Value::None => {}
            Value::Array(items) if items.is_empty() => {
                let nothing = Tensor::zeros(DLDataType::U8, &[0]).map_err(Failure::Run)?;
                found.push(named("[]".to_owned(), nothing));
            }
            Value::Array(items) => {
                for (i, item) in items.into_iter().enumerate() {
                    let tensor = item.into_tensor().map_err(Failure::Run)?;
                    found.push(named(format!("[{i}]"), tensor));
                }
            }
            other => {
                let message = format!("output `{}` is {}, which is not shown", parameter.name, other.kind());
                return Err(Failure::Usage(message));
            }
        }
    }
    Ok(found)
}
