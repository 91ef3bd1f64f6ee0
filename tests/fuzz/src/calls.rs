//! Arguments of packed functions: other counts, kinds, types, shapes and borders than a model takes.

use crate::guard;
use crate::outcome::Outcome;
use crate::setup::Setup;
use orogen_abi::DLDataType;
use orogen_ir::generate::Random;
use orogen_runtime::{Tensor, Value};

const TYPES: [DLDataType; 8] = [
    DLDataType::F32,
    DLDataType::F32,
    DLDataType::F32,
    DLDataType::I64,
    DLDataType::I64,
    DLDataType::F16,
    DLDataType::U8,
    DLDataType::BOOL,
];

/// Calls the library of the corpus with arguments of a seed.
pub(crate) fn run(setup: &Setup, seed: u64) -> Outcome {
    let mut random = Random::new(seed);
    let Some(mut arguments) = lawful(&mut random) else { return Outcome::Refused };
    // Every second call is lawful but for what stands in its tensors.
    if random.coin() {
        let at = random.below(arguments.len());
        match random.below(4) {
            0 => drop(arguments.remove(at)),
            1 => arguments.push(arguments[at].clone()),
            _ => match argument(&mut random) {
                Some(other) => arguments[at] = other,
                None => return Outcome::Refused,
            },
        }
    }
    let Some(function) = setup.library.function("main") else {
        return Outcome::Broken("the library has no `main`".to_string());
    };
    match function.call(&arguments) {
        Ok(_) => Outcome::Held,
        Err(error) if error.to_string().is_empty() => Outcome::Broken("an error without a text".to_string()),
        Err(_) => Outcome::Refused,
    }
}

/// Arguments of `callee.onnx`: `f32[n, 3]`, indices `i64[k]` into it, `f32[4]`.
fn lawful(random: &mut Random) -> Option<Vec<Value>> {
    let (n, k) = (random.pick(&[1, 2, 5, 33]), random.pick(&[0, 1, 4, 17]));
    let floats = |random: &mut Random, count: i64| -> Vec<u8> {
        (0..count).flat_map(|_| (random.small_float() as f32).to_le_bytes()).collect()
    };
    let x = floats(random, 3 * n);
    let b = floats(random, 4);
    // Now and then out of range.
    let i: Vec<u8> =
        (0..k).flat_map(|_| (random.below(n as usize + 1) as i64 - n / 8).to_le_bytes()).collect();
    let tensors = [
        guard::tensor(DLDataType::F32, &[n, 3], &x, random.coin()),
        guard::tensor(DLDataType::I64, &[k], &i, random.coin()),
        guard::tensor(DLDataType::F32, &[4], &b, random.coin()),
    ];
    tensors.into_iter().map(|it| it.ok().map(Value::from)).collect()
}

/// Anything.
fn argument(random: &mut Random) -> Option<Value> {
    match random.below(16) {
        0 => Some(Value::Int(random.number().cast_signed())),
        1 => Some(Value::Float(random.small_float())),
        _ => {
            let dtype = random.pick(&TYPES);
            let shape: Vec<i64> =
                (0..random.below(4)).map(|_| random.pick(&[0, 1, 2, 3, 3, 4, 4, 7])).collect();
            let bytes = shape.iter().product::<i64>() as usize * dtype.byte_size();
            let data: Vec<u8> = (0..bytes).map(|_| u8::from(random.coin())).collect();
            let tensor: Tensor = guard::tensor(dtype, &shape, &data, random.coin()).ok()?;
            Some(Value::from(tensor))
        }
    }
}
