//! Values: how they are made, and when two are the same.

use crate::guard;
use orogen_abi::DLDataType;
use orogen_ir::generate::Random;
use orogen_ir::types::{DType, TensorData};
use orogen_runtime::Tensor;

/// Most bytes of an input.
const MOST_INPUT: u64 = 1 << 20;

/// Words of texts of programs in which a difference in the last bit may be a difference in the result.
const JUMPS: [&str; 16] = [
    "floor", "ceil", "round", "sign", "cast", "arg_", "equal", "less", "greater", "mod", "top_k", "trunc",
    "pow", "tan(", "div", "select",
];

/// Whether nothing in the text of a program jumps, so that all who compute it come to the same.
pub(crate) fn is_smooth(text: &str) -> bool {
    JUMPS.iter().all(|it| !text.contains(it))
}

/// Fills memory of a type with values that programs can do something with.
fn fill(dtype: DLDataType, bytes: &mut [u8], random: &mut Random) {
    match dtype {
        DLDataType::F32 => {
            bytes
                .chunks_exact_mut(4)
                .for_each(|it| it.copy_from_slice(&(random.small_float() as f32).to_le_bytes()));
        }
        DLDataType::F64 => {
            bytes.chunks_exact_mut(8).for_each(|it| it.copy_from_slice(&random.small_float().to_le_bytes()));
        }
        DLDataType::F16 | DLDataType::BF16 => {
            // 0, or a power of two near 1 in both formats.
            bytes
                .chunks_exact_mut(2)
                .for_each(|it| it.copy_from_slice(&random.pick(&[0u16, 0x3c00, 0x3f80]).to_le_bytes()));
        }
        DLDataType::BOOL => bytes.iter_mut().for_each(|it| *it = u8::from(random.coin())),
        dtype => {
            let size = dtype.byte_size().max(1);
            // Mostly what can be an index, now and then what cannot.
            bytes.chunks_exact_mut(size).for_each(|it| {
                let value: i64 = match random.below(12) {
                    0 if size > 1 => random.pick(&[-1, 100, i64::MAX, i64::MIN, 1 << 33]),
                    _ => random.below(2) as i64,
                };
                // Complex numbers have a real part.
                let count = size.min(8);
                it[..count].copy_from_slice(&value.to_le_bytes()[..count]);
            });
        }
    }
}

/// A tensor that a function is given, between guard pages; `None` when it would be large.
pub(crate) fn input(dtype: DLDataType, dims: &[i64], at_start: bool, random: &mut Random) -> Option<Tensor> {
    let bytes = dims.iter().try_fold(dtype.byte_size() as u64, |product, extent| {
        product.checked_mul(u64::try_from(*extent).ok()?).filter(|it| *it <= MOST_INPUT)
    })?;
    if dtype == DLDataType::HANDLE {
        let texts: Vec<&str> = (0..bytes / 8).map(|_| random.pick(&["", "a", "b", "ü\u{0}"])).collect();
        return Tensor::from_strings(dims, &texts).ok();
    }
    let mut data = vec![0; bytes as usize];
    fill(dtype, &mut data, random);
    guard::tensor(dtype, dims, &data, at_start).ok()
}

/// A tensor as the interpreters take it.
pub(crate) fn data(tensor: &Tensor) -> Option<TensorData> {
    let dtype: DType = tensor.dtype().to_string().parse().ok()?;
    let dims: Vec<u64> = tensor.shape().iter().map(|it| u64::try_from(*it)).collect::<Result<_, _>>().ok()?;
    if dtype == DType::Str {
        return TensorData::strings(&dims, tensor.strings().ok()?).ok();
    }
    TensorData::from_unpacked(dtype, dims, tensor.as_bytes().ok()?.to_vec().into()).ok()
}

/// Law Z4. Types and shapes always agree; values where nothing jumps.
pub(crate) fn differ(found: &[TensorData], wanted: &[TensorData], smooth: bool) -> Option<String> {
    if found.len() != wanted.len() {
        return Some(format!("{} outputs and {}", found.len(), wanted.len()));
    }
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        if (a.dtype(), a.dims()) != (b.dtype(), b.dims()) {
            let [a, b] = [a, b].map(|it| format!("{} {:?}", it.dtype(), it.dims()));
            return Some(format!("output {i} is {a} and {b}"));
        }
        // Half of the digits of the element type: kernels sum in another order.
        let tolerance = match a.dtype() {
            DType::F16 | DType::BF16 => 0.1,
            _ => 2e-3,
        };
        if a.dtype() == DType::Str && a.content() != b.content() {
            return Some(format!("output {i} has other strings"));
        }
        let (a, b) = (a.to_f64(), b.to_f64());
        let largest = b.iter().filter(|it| it.is_finite()).fold(1.0f64, |most, it| most.max(it.abs()));
        let close = |a: f64, b: f64| {
            a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= tolerance * largest || largest > 1e6
        };
        let differs = a.iter().zip(&b).position(|(a, b)| !close(*a, *b));
        if let Some(at) = differs.filter(|_| smooth) {
            return Some(format!("element {at} of output {i} is {} and {}", a[at], b[at]));
        }
    }
    None
}
