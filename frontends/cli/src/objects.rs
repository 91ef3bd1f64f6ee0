//! Sequences, maps and optionals in `.npz` files, which hold arrays alone.
//!
//! The elements of a sequence `s` are `s[0]`, `s[1]`, …; an array `s[]` says that there are none. A map `m` is an array of
//! its keys, `m[keys]`, and one of their values, `m[values]`. An optional that is not in the file has no value. So the keys
//! of the first map of a sequence of maps `s` are `s[0][keys]`.

use crate::failure::Failure;
use crate::npz::{Archive, for_input};
use orogen_abi::signature::Parameter;
use orogen_ir::shape::ShapeCx;
use orogen_ir::text::{Cursor, SymbolPolicy, parse_type};
use orogen_ir::types::{DType, Type};
use orogen_runtime::{DLDataType, RuntimeError, Tensor, Value};

/// The type of an object, when it is one; what is not understood is opaque.
pub(crate) fn type_of(parameter: &Parameter) -> Option<Type> {
    let text = parameter.object.as_deref()?;
    let ty = parse_type(&mut Cursor::new(text), &mut ShapeCx::new(), SymbolPolicy::Create);
    Some(ty.unwrap_or(Type::Object))
}

/// Whether arrays can hold values of a type.
fn is_held(ty: &Type) -> bool {
    match ty {
        Type::Tensor(_) => true,
        Type::Sequence(of) | Type::Optional(of) => is_held(of),
        Type::Map(keys, values) => keys.as_tensor().is_some() && values.as_tensor().is_some(),
        _ => false,
    }
}

/// The name that an array belongs to: `s` for `s[3]`, `s[]` and `s[3][keys]`.
pub(crate) fn name_of(key: &str) -> &str {
    let bare = key.strip_suffix(']').and_then(|it| it.rsplit_once('['));
    match bare {
        Some((name, "keys" | "values")) => name_of(name),
        Some((name, place)) if place.chars().all(|it| it.is_ascii_digit()) => name_of(name),
        _ => key,
    }
}

/// A value from a file; keys that it is read from are added to `used`.
pub(crate) fn read(
    archive: &mut Archive<'_>,
    input: &Parameter,
    ty: &Type,
    used: &mut Vec<String>,
) -> Result<Value, Failure> {
    let name = &input.name;
    if !is_held(ty) {
        let ty = input.object.clone().unwrap_or_default();
        return Err(Failure::Usage(format!("input `{name}` is a {ty}, which no file of arrays can hold")));
    }
    if let Some(value) = (Reader { archive, used }).value(name, ty)? {
        return Ok(value);
    }
    let message = match ty {
        Type::Optional(_) => return Ok(Value::None),
        Type::Map(..) => format!("there is no `{name}[keys]` or `in:{name}[keys]` in it, the keys of a map"),
        _ => {
            let first = match ty.as_sequence() {
                Some(Type::Map(..)) => format!("{name}[0][keys]"),
                _ => format!("{name}[0]"),
            };
            format!(
                "there is no `{first}` or `in:{first}` in it, of the first element of a sequence; `{name}[]` is an empty one"
            )
        }
    };
    Err(Failure::file(archive.path(), "use", message))
}

struct Reader<'r, 'a> {
    archive: &'r mut Archive<'a>,
    used: &'r mut Vec<String>,
}

impl Reader<'_, '_> {
    /// The value of that name, if the file has one.
    fn value(&mut self, name: &str, ty: &Type) -> Result<Option<Value>, Failure> {
        match ty {
            Type::Sequence(of) => {
                let mut items = Vec::new();
                while let Some(item) = self.value(&format!("{name}[{}]", items.len()), of)? {
                    items.push(item);
                }
                let is_empty = self.array(&format!("{name}[]"), DType::U8)?.is_some();
                Ok((is_empty || !items.is_empty()).then_some(Value::Array(items)))
            }
            Type::Map(keys, values) => {
                let names = [format!("{name}[keys]"), format!("{name}[values]")];
                let keys = self.value(&names[0], keys)?;
                let values = self.value(&names[1], values)?;
                match (keys, values) {
                    (Some(keys), Some(values)) => Ok(Some(Value::Array(vec![keys, values]))),
                    (None, None) => Ok(None),
                    (keys, _) => {
                        let missing = &names[usize::from(keys.is_some())];
                        let message = format!("there is no `{missing}` in it, the other half of a map");
                        Err(Failure::file(self.archive.path(), "use", message))
                    }
                }
            }
            Type::Optional(of) => self.value(name, of),
            Type::Tensor(of) => Ok(self.array(name, of.dtype)?.map(Value::Tensor)),
            _ => Ok(None),
        }
    }

    fn array(&mut self, name: &str, dtype: DType) -> Result<Option<Tensor>, Failure> {
        let Some(key) = self.archive.key("in:", name)? else { return Ok(None) };
        let tensor = self.archive.read(&key)?;
        self.used.push(key);
        let (code, bits) = dtype.row().dlpack;
        Ok(Some(for_input(&Parameter::new(name, DLDataType::new(code, bits)), tensor)))
    }
}

/// The tensors of results, each with its name: those of a sequence are numbered, and an empty one has an empty tensor; a map
/// has two.
pub(crate) fn tensors(
    results: impl Iterator<Item = (Parameter, Value)>,
) -> Result<Vec<(Parameter, Tensor)>, Failure> {
    let mut found = Vec::new();
    for (parameter, value) in results {
        let ty = type_of(&parameter);
        let mut tensors = Vec::new();
        list(parameter.name.clone(), value, ty.as_ref(), &mut tensors)?;
        found.extend(tensors.into_iter().map(|(name, tensor)| {
            let named = Parameter { name, dtype: tensor.dtype(), object: None, ..parameter.clone() };
            (named, tensor)
        }));
    }
    Ok(found)
}

fn list(
    name: String,
    value: Value,
    ty: Option<&Type>,
    found: &mut Vec<(String, Tensor)>,
) -> Result<(), Failure> {
    let ty = match ty {
        Some(Type::Optional(of)) => Some(&**of),
        ty => ty,
    };
    match (value, ty) {
        (Value::Tensor(tensor), _) => found.push((name, tensor)),
        (Value::None, _) => {}
        (Value::Array(parts), Some(Type::Map(..))) => {
            let parts: [Value; 2] = parts.try_into().map_err(|parts: Vec<Value>| {
                Failure::Run(RuntimeError::Kind {
                    what: format!("output `{name}`"),
                    expected: "the keys and the values of a map",
                    got: format!("an array of {}", parts.len()),
                })
            })?;
            for (part, value) in ["keys", "values"].into_iter().zip(parts) {
                list(format!("{name}[{part}]"), value, None, found)?;
            }
        }
        (Value::Array(items), _) if items.is_empty() => {
            found.push((format!("{name}[]"), Tensor::zeros(DLDataType::U8, &[0]).map_err(Failure::Run)?));
        }
        (Value::Array(items), ty) => {
            let of = ty.and_then(Type::as_sequence);
            for (i, item) in items.into_iter().enumerate() {
                list(format!("{name}[{i}]"), item, of, found)?;
            }
        }
        (other, _) => {
            let message = format!("output `{name}` is {}, which is not shown", other.kind());
            return Err(Failure::Usage(message));
        }
    }
    Ok(())
}
