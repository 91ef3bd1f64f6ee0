//! Random modules.

use super::{FlowBuilder, Module, ValueId};
use crate::generate::{Random, condition, grow, inputs, outputs, value_of};
use crate::kernel::{Access, Extern, Signature};
use crate::ops::{OpRegistry, OpSink};
use crate::types::{Attrs, DType, Effects, TensorData, Type};

/// A small lawful module with one function, the same for the same seed: dynamic dimensions, checks, branches, loops,
/// externs, tuples, casts.
pub fn random_module(ops: &OpRegistry, seed: u64) -> Module {
    let mut random = Random::new(seed);
    let mut builder = FlowBuilder::new(ops, &format!("random {seed}"));
    for (name, effects) in EXTERNS {
        for rank in 0..=EXTERN_RANK {
            builder.define_kernel(copying(name, effects, rank));
        }
    }
    let mut values = inputs(&mut builder, &mut random, &["n", "m"]);
    if values.is_empty() {
        values.push(builder.constant("", TensorData::from_f64(DType::F32, &[2], [1.0, 2.0])));
    }
    body(&mut builder, &mut random, &mut values, 2);
    outputs(&mut builder, &mut random, &values);
    builder.finish().expect("a module with an output and distinct names is finished")
}

/// What externs are called, with what they do.
const EXTERNS: [(&str, Effects); 3] =
    [("observe", Effects::IO), ("guess", Effects::RANDOM), ("twice", Effects::PURE)];
/// Externs take tensors of at most this rank.
const EXTERN_RANK: usize = 3;

/// An extern from a tensor of this rank to one like it.
fn copying(name: &str, effects: Effects, rank: usize) -> Extern {
    let mut signature = Signature { effects, ..Signature::default() };
    let dims: Vec<_> = (0..rank).map(|i| signature.size(&format!("n{i}"))).collect();
    let signature =
        signature.with(Access::In, "x", DType::F32, &dims).with(Access::Out, "y", DType::F32, &dims);
    let symbol = format!("test.{name}");
    Extern {
        name: format!("{name}{rank}"),
        symbol,
        attrs: Attrs::none().with("rank", rank as i64),
        signature,
    }
}

/// Operations with constructs of this IR between them, branches and loops nested at most `depth` deep.
fn body(builder: &mut FlowBuilder<'_>, random: &mut Random, values: &mut Vec<ValueId>, depth: u32) {
    for _ in 0..1 + random.below(3) {
        let count = random.below(6);
        grow(builder, random, values, count);
        // What is refused is left out, as by `grow`.
        let made = match random.below(6) {
            0 if depth > 0 => branch(builder, random, values, depth - 1),
            1 if depth > 0 => repeat(builder, random, values, depth - 1),
            2 => {
                let x = value_of(builder, random, values, DType::F32);
                let rank = builder.type_of(x).as_tensor().and_then(|it| it.shape.rank()).unwrap_or(0);
                let (name, _) = random.pick(&EXTERNS);
                builder.call(&format!("{name}{rank}"), &[x]).unwrap_or_default()
            }
            3 => {
                let pair = [random.pick(values), random.pick(values)];
                let tuple = builder.tuple(&pair);
                tuple.and_then(|it| builder.get(it, random.below(2) as u32)).into_iter().collect()
            }
            4 => {
                let x = value_of(builder, random, values, DType::F32);
                let rank = random.below(3);
                let dims: Vec<_> = (0..rank).map(|_| builder.shapes().fresh("k")).collect();
                builder.match_cast(x, Type::tensor(DType::F32, dims)).into_iter().collect()
            }
            _ => Vec::new(),
        };
        values.extend(made);
    }
}

fn branch(
    builder: &mut FlowBuilder<'_>,
    random: &mut Random,
    values: &[ValueId],
    depth: u32,
) -> Vec<ValueId> {
    let Some(cond) = condition(builder, random, values) else { return Vec::new() };
    let seeds = [random.number(), random.number()];
    let side = |seed: u64| {
        move |builder: &mut FlowBuilder<'_>| {
            let mut random = Random::new(seed);
            let mut inner = values.to_vec();
            body(builder, &mut random, &mut inner, depth);
            Ok(vec![value_of(builder, &mut random, &inner, DType::F32)])
        }
    };
    builder.if_else(cond, &mut side(seeds[0]), &mut side(seeds[1])).unwrap_or_default()
}

fn repeat(
    builder: &mut FlowBuilder<'_>,
    random: &mut Random,
    values: &[ValueId],
    depth: u32,
) -> Vec<ValueId> {
    let zero = builder.constant("", TensorData::from_f64(DType::I64, &[], [0.0]));
    let one = builder.constant("", TensorData::from_f64(DType::I64, &[], [1.0]));
    let limit = builder.constant("", TensorData::from_f64(DType::I64, &[], [random.below(4) as f64]));
    let x = value_of(builder, random, values, DType::F32);
    let seed = random.number();
    let ops = builder.registry();
    let next = |builder: &mut FlowBuilder<'_>, carried: &[ValueId]| {
        let count = builder.emit(ops.get("add"), Default::default(), &[carried[0], one])?[0];
        let mut random = Random::new(seed);
        let mut inner = vec![carried[1]];
        body(builder, &mut random, &mut inner, depth);
        Ok(vec![count, value_of(builder, &mut random, &inner, DType::F32)])
    };
    let go_on = |builder: &mut FlowBuilder<'_>, carried: &[ValueId]| {
        Ok(builder.emit(ops.get("less"), Default::default(), &[carried[0], limit])?[0])
    };
    builder.while_loop(&[zero, x], &mut { go_on }, &mut { next }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Definition, Rhs, difference, text};

    const SEEDS: u64 = 400;

    #[test]
    fn random_modules_are_lawful_and_survive_the_text() {
        let ops = OpRegistry::standard();
        let mut seen = [0; 5];
        for seed in 0..SEEDS {
            let module = random_module(&ops, seed);
            let printed = text::print(&module, &ops);
            if let Err(problems) = module.verify(&ops) {
                panic!("seed {seed}: {problems}\n{printed}");
            }
            let again = text::parse_with_constants(&printed, &ops, &module.constants)
                .unwrap_or_else(|it| panic!("seed {seed}: {it}\n{printed}"));
            assert_eq!(difference(&module, &again), None, "seed {seed}\n{printed}");
            assert_eq!(text::print(&again, &ops), printed, "seed {seed}");
            again.verify(&ops).unwrap_or_else(|it| panic!("seed {seed}: {it}"));
            for definition in module.definitions.values() {
                let Definition::Function(f) = definition else { continue };
                for binding in f.live_bindings() {
                    match f.bindings[binding].rhs {
                        Rhs::If { .. } => seen[0] += 1,
                        Rhs::While { .. } => seen[1] += 1,
                        Rhs::Check { .. } => seen[2] += 1,
                        Rhs::Call { .. } => seen[3] += 1,
                        Rhs::MatchCast { .. } => seen[4] += 1,
                        _ => {}
                    }
                }
            }
        }
        assert!(seen.iter().all(|it| *it > 20), "the generator reaches every construct: {seen:?}");
    }

    #[test]
    fn edits_keep_random_modules_lawful() {
        let ops = OpRegistry::standard();
        for seed in 0..SEEDS / 4 {
            let mut module = random_module(&ops, seed);
            let before = module.clone();
            module.compact();
            assert_eq!(difference(&module, &before), None, "seed {seed}");
            module.remove_dead_code(&ops);
            module.verify(&ops).unwrap_or_else(|it| panic!("seed {seed}: {it}"));
            assert_eq!(module.remove_dead_code(&ops), 0, "seed {seed}: nothing is left to remove");
        }
    }
}
