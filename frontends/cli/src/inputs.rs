//! Inputs of a run: from a file, or random.

use crate::failure::Failure;
use crate::npz::{self, Archive, for_input};
use crate::objects;
use indexmap::IndexMap;
use orogen_abi::signature::{Dim, Function, Parameter};
use orogen_ir::types::DType;
use orogen_runtime::{Library, RunOptions, Tensor, Value};
use std::path::Path;

/// What is said where outputs are expected of random inputs.
pub(crate) const WITHOUT_INPUTS: &str =
    "`--expect` needs the inputs that it is expected for: give them with `--inputs FILE.npz`";

/// The function of a library that a user names; else `main`, or the only one.
pub(crate) fn function<'l>(library: &'l Library, name: Option<&str>) -> Result<&'l Function, Failure> {
    let functions = &library.signature().functions;
    let found = match (name, &functions[..]) {
        (None, [only]) => Some(only),
        (name, _) => library.signature().function(name.unwrap_or("main")),
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = functions.iter().map(|it| it.name.as_str()).collect();
        let names = if names.is_empty() { "none".to_string() } else { names.join(", ") };
        Failure::Usage(match name {
            Some(name) => format!("there is no function `{name}`; there are: {names}"),
            None => format!("choose a function with `--function NAME`; there are: {names}"),
        })
    })
}

/// Inputs in call order, without those that take their default. `dims` are sizes of dimensions that the function leaves open, for random inputs.
pub(crate) fn inputs(
    function: &Function,
    file: Option<&Path>,
    seed: u64,
    dims: &[(String, u64)],
) -> Result<Vec<Value>, Failure> {
    match file {
        Some(path) => from_file(function, path),
        None => Ok(random(function, seed, dims)?.into_iter().map(Value::Tensor).collect()),
    }
}

/// Names of the dimensions that a function leaves open.
pub(crate) fn open_dims(function: &Function) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for dim in function.inputs.iter().flat_map(|it| &it.dims) {
        if let Some(name) = dim.symbol()
            && !names.contains(&name)
        {
            names.push(name);
        }
    }
    names
}

fn from_file(function: &Function, path: &Path) -> Result<Vec<Value>, Failure> {
    let mut archive = Archive::open(path)?;
    let mut found = Vec::new();
    let mut used = Vec::new();
    for input in &function.inputs {
        if let Some(ty) = objects::type_of(input) {
            found.push(objects::read(&mut archive, input, &ty, &mut used)?);
            continue;
        }
        let Some(key) = archive.key("in:", &input.name)? else {
            if input.optional {
                found.push(Value::None);
                continue;
            }
            let has =
                if archive.keys().is_empty() { "nothing".to_string() } else { archive.keys().join(", ") };
            let message = format!("there is no `{}` or `in:{0}` in it; it has: {has}", input.name);
            return Err(Failure::file(path, "use", message));
        };
        found.push(for_input(input, archive.read(&key)?).into());
        used.push(key);
    }
    let is_output = |key: &str| {
        key.starts_with("out:") || function.outputs.iter().any(|it| it.name == objects::name_of(key))
    };
    match archive.keys().iter().find(|it| !used.contains(it) && !is_output(it)) {
        Some(extra) => {
            let names: Vec<&str> = function.inputs.iter().map(|it| it.name.as_str()).collect();
            let names = if names.is_empty() { "none".to_string() } else { names.join(", ") };
            let message = format!("`{extra}` is no input of the model; its inputs are: {names}");
            Err(Failure::file(path, "use", message))
        }
        None => Ok(found),
    }
}

fn random(function: &Function, seed: u64, dims: &[(String, u64)]) -> Result<Vec<Tensor>, Failure> {
    let mut state = seeded(seed);
    let sizes: IndexMap<&str, u64> = dims.iter().map(|(name, size)| (name.as_str(), *size)).collect();
    // What has a default keeps it.
    let given = function.inputs.iter().filter(|it| !it.optional);
    given
        .map(|input| match &input.object {
            None => random_tensor(input, &sizes, &mut state),
            Some(ty) => Err(Failure::Usage(format!(
                "input `{}` is a {ty}, for which there are no random values: give a file with `--inputs`",
                input.name
            ))),
        })
        .collect()
}

/// Floats in [−1, 1), integers 0 or 1, also as text: valid for masks and for indices into anything of two elements.
pub(crate) fn random_tensor(
    input: &Parameter,
    sizes: &IndexMap<&str, u64>,
    state: &mut u64,
) -> Result<Tensor, Failure> {
    let size = |dim: &Dim| dim.symbol().and_then(|it| sizes.get(it.as_str()).copied()).unwrap_or(1);
    let shape: Vec<i64> = input
        .dims
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => *size,
            Dim::Symbolic(_) => i64::try_from(size(dim)).unwrap_or(i64::MAX),
        })
        .collect();
    let mut tensor = Tensor::zeros(input.dtype, &shape).map_err(Failure::Run)?;
    if npz::row(input.dtype) == Some(DType::Str) {
        let texts: Vec<String> = (0..tensor.len()).map(|_| (next(state) >> 63).to_string()).collect();
        return Tensor::from_strings(&shape, &texts).map_err(Failure::Run);
    }
    macro_rules! fill {
        ($($ty:ty => $value:expr),*) => {
            $(if let Ok(values) = tensor.as_mut_slice::<$ty>() {
                values.iter_mut().for_each(|it| *it = $value(next(state)));
                return Ok(tensor);
            })*
        };
    }
    let unit = |bits: u64| (bits >> 40) as f64 / f64::from(1 << 23) - 1.0;
    fill!(f32 => |bits| unit(bits) as f32, f64 => unit,
          i8 => |bits: u64| (bits >> 63) as i8, i16 => |bits: u64| (bits >> 63) as i16,
          i32 => |bits: u64| (bits >> 63) as i32, i64 => |bits: u64| (bits >> 63) as i64,
          u8 => |bits: u64| (bits >> 63) as u8, u16 => |bits: u64| (bits >> 63) as u16,
          u32 => |bits: u64| (bits >> 63) as u32, u64 => |bits: u64| bits >> 63,
          bool => |bits: u64| bits >> 63 == 1);
    if let Some(dtype) = npz::row(input.dtype) {
        let bytes = tensor.as_mut_bytes().map_err(Failure::Run)?;
        let dtype = dtype.component().unwrap_or(dtype);
        for element in bytes.chunks_exact_mut(dtype.size()) {
            let random = next(state);
            let bits = if dtype.is_float() { dtype.float_bits(unit(random)) } else { random >> 63 };
            element.copy_from_slice(&bits.to_ne_bytes()[..dtype.size()]);
        }
    }
    Ok(tensor)
}

/// The state that a seed begins with. The generator never leaves zero.
pub(crate) fn seeded(seed: u64) -> u64 {
    (seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d).max(1)
}

/// xorshift64*: a small generator that gives the same inputs everywhere.
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}

/// The results of a function as a run shows them: outputs, then what state becomes.
fn results(function: &Function) -> Vec<Parameter> {
    let states =
        function.inputs.iter().filter_map(|it| Some(Parameter { name: it.becomes.clone()?, ..it.clone() }));
    function.outputs.iter().cloned().chain(states).collect()
}

/// Runs a function once; state is left in `inputs`, and at the end of what comes out. Each tensor of an object has a
/// result of its own.
pub(crate) fn call(
    library: &Library,
    function: &Function,
    inputs: &mut [Value],
) -> Result<Vec<(Parameter, Tensor)>, Failure> {
    let outputs = library.call_values(&function.name, inputs, RunOptions::default()).map_err(Failure::Run)?;
    named(function, inputs, outputs)
}

/// What a call gave, as a run shows it: see [`call`].
pub(crate) fn named(
    function: &Function,
    inputs: &[Value],
    outputs: Vec<Value>,
) -> Result<Vec<(Parameter, Tensor)>, Failure> {
    let states = function.inputs.iter().zip(inputs.iter()).filter(|it| it.0.becomes.is_some());
    let values = outputs.into_iter().chain(states.map(|it| it.1.clone()));
    objects::tensors(results(function).into_iter().zip(values))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(lines: &str) -> Function {
        let text = format!("orogen-signature 1\nfunction main\n{lines}");
        let signature: orogen_abi::signature::Signature = text.parse().expect("a signature");
        signature.functions[0].clone()
    }

    #[test]
    fn random_inputs_have_the_sizes_of_named_dimensions() {
        let function = function("input f32 [n,\"größe 1\"] x\ninput i64 [n+1,3] y\n");
        assert_eq!(open_dims(&function), ["n", "größe 1"]);
        let dims = [("n".to_string(), 4), ("größe 1".to_string(), 2)];
        let inputs = random(&function, 0, &dims).expect("small tensors");
        assert_eq!(inputs[0].shape(), [4, 2]);
        assert_eq!(inputs[1].shape(), [1, 3]);
    }

    #[test]
    fn every_type_gets_values_that_depend_on_the_seed() {
        for dtype in DType::ALL.into_iter().filter(|it| !it.is_only_moved()) {
            let function = function(&format!("input {dtype} [64] x\n"));
            let bytes = |seed| {
                let inputs = random(&function, seed, &[]).expect("small tensors");
                inputs[0].as_bytes().expect("row-major").to_vec()
            };
            assert_eq!(bytes(1), bytes(1), "{dtype}");
            assert_ne!(bytes(1), bytes(2), "{dtype}");
            assert!(bytes(0).iter().any(|it| *it != 0), "{dtype}");
        }
    }
}
