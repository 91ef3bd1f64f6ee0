//! Inputs of a run: from a file, or random.

use crate::failure::Failure;
use crate::npz;
use indexmap::IndexMap;
use orogen_abi::signature::{Dim, Function, Parameter};
use orogen_runtime::{Library, Tensor};
use std::path::Path;

/// The entry point of a library.
pub(crate) fn main_function(library: &Library) -> Result<&Function, Failure> {
    library
        .signature()
        .functions
        .first()
        .ok_or_else(|| Failure::Usage("the library has no function".to_string()))
}

/// Inputs in call order.
pub(crate) fn inputs(
    library: &Library,
    file: Option<&Path>,
    seed: u64,
    dims: &[(String, u64)],
) -> Result<Vec<Tensor>, Failure> {
    let function = main_function(library)?;
    match file {
        Some(path) => from_file(function, path),
        None => random(function, seed, dims),
    }
}

fn from_file(function: &Function, path: &Path) -> Result<Vec<Tensor>, Failure> {
    let mut tensors = npz::read(path)?;
    let mut found = Vec::new();
    for input in &function.inputs {
        let key = [format!("in:{}", input.name), input.name.clone()]
            .into_iter()
            .find(|it| tensors.contains_key(it));
        match key.and_then(|key| tensors.shift_remove(&key)) {
            Some(tensor) => found.push(tensor),
            None => {
                let keys: Vec<&str> = tensors.keys().map(String::as_str).collect();
                let message =
                    format!("there is no `{}` or `in:{0}` in it; it has: {}", input.name, keys.join(", "));
                return Err(Failure::file(path, "use", message));
            }
        }
    }
    let is_output = |key: &str| key.starts_with("out:") || function.outputs.iter().any(|it| it.name == key);
    match tensors.keys().find(|it| !is_output(it)) {
        Some(extra) => {
            let names: Vec<&str> = function.inputs.iter().map(|it| it.name.as_str()).collect();
            Err(Failure::file(
                path,
                "use",
                format!("`{extra}` is no input of the model; its inputs are: {}", names.join(", ")),
            ))
        }
        None => Ok(found),
    }
}

fn random(function: &Function, seed: u64, dims: &[(String, u64)]) -> Result<Vec<Tensor>, Failure> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d;
    let sizes: IndexMap<&str, u64> = dims.iter().map(|(name, size)| (name.as_str(), *size)).collect();
    function.inputs.iter().map(|input| random_tensor(input, &sizes, &mut state)).collect()
}

/// Floats in [−1, 1), integers 0 or 1: valid for masks and for indices into anything of two elements.
fn random_tensor(input: &Parameter, sizes: &IndexMap<&str, u64>, state: &mut u64) -> Result<Tensor, Failure> {
    let shape: Vec<i64> = input
        .dims
        .iter()
        .map(|dim| match dim {
            Dim::Fixed(size) => *size,
            Dim::Symbolic(name) => {
                sizes.get(name.as_str()).map_or(1, |it| i64::try_from(*it).unwrap_or(i64::MAX))
            }
        })
        .collect();
    let mut tensor = Tensor::zeros(input.dtype, &shape).map_err(Failure::Run)?;
    macro_rules! fill {
        ($($ty:ty => $value:expr),*) => {
            $(if let Ok(values) = tensor.as_mut_slice::<$ty>() {
                values.iter_mut().for_each(|it| *it = $value(next(state)));
                return Ok(tensor);
            })*
        };
    }
    let unit = |bits: u64| (bits >> 40) as f64 / f64::from(1 << 23) - 1.0;
    fill!(f32 => |bits| unit(bits) as f32, f64 => unit, i64 => |bits: u64| (bits >> 63) as i64,
          i32 => |bits: u64| (bits >> 63) as i32, u8 => |bits: u64| (bits >> 63) as u8, bool => |bits: u64| bits >> 63 == 1);
    Ok(tensor)
}

/// xorshift64*: a small generator that gives the same inputs everywhere.
fn next(state: &mut u64) -> u64 {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d)
}
