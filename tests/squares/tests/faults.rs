//! Faults that are planted in each step of the dataflow IR: the square of that step reports them, and no other.
//!
//! A fault is a pass that a user could add, right behind the step or before it.

mod support;

use orogen::Compiler;
use orogen::passes::Place;
use orogen::rules::{ApplyRules, Rule, RuleClass, RuleSet};
use orogen_ir::flow::Rhs;
use orogen_ir::ops::OpRegistry;
use orogen_ir::types::TensorData;
use orogen_passes::flow;
use orogen_squares::{Damage, Fault, Harness, op_name, passes_through, swapped_operands, transpose_for_none};
use support::findings;

const SEEDS: u64 = 200;

/// What a harness with this fault finds: in this square alone, and not by one program alone.
fn found_by(square: &str, harness: impl Fn() -> Harness + Sync) {
    let found = findings(harness, SEEDS);
    let squares: Vec<&&str> = found.keys().collect();
    assert_eq!(squares, [&square], "{found:?}");
    assert!(found[square].len() > 1, "too few programs show it: {:?}", found[square]);
}

fn planted(place: &Place, damage: Damage) -> Harness {
    let compiler = Compiler::builder().flow_pass(place.clone(), Fault(damage)).build();
    Harness { compiler: compiler.expect("the place is there"), ..Harness::default() }
}

#[test]
fn an_import_that_swaps_operands() {
    found_by("import", || {
        planted(&Place::after("import"), |editor, id| {
            let Rhs::Op { op, attrs, args } = editor.binding(id).rhs.clone() else { return Ok(false) };
            let name = editor.ops().def(op).name;
            if !matches!(name, "sub" | "div" | "less") || args[0] == args[1] {
                return Ok(false);
            }
            let args = args.into_iter().rev().collect();
            editor.set_rhs(id, Rhs::Op { op, attrs, args })?;
            Ok(true)
        })
    });
}

#[test]
fn a_negation_that_is_taken_for_an_identity() {
    found_by("canonicalize", || {
        planted(&Place::after("canonicalize"), |editor, id| {
            Ok(op_name(editor, id) == Some("neg") && passes_through(editor, id))
        })
    });
}

#[test]
fn a_fold_that_is_off_by_one() {
    found_by("fold_constants", || {
        planted(&Place::after("fold-constants"), |editor, id| {
            let Rhs::Constant(constant) = editor.binding(id).rhs else { return Ok(false) };
            let data = editor.constants().data(constant);
            if !data.dtype().is_float() || data.is_empty() {
                return Ok(false);
            }
            let mut values = data.to_f64();
            values[0] += 1.0;
            let data = TensorData::from_f64(data.dtype(), data.dims(), values);
            let old = editor.binding(id).results[0];
            editor.after(id);
            let new = editor.constant("", data);
            editor.replace(old, new);
            Ok(true)
        })
    });
}

/// `-x` is no `x`.
const WRONG: Rule = Rule {
    name: "wrong",
    root: "neg",
    class: RuleClass::Bitwise,
    reason: "it is wrong",
    apply: |_, call| call.args.first().copied(),
};

#[test]
fn a_rule_that_is_wrong() {
    found_by("simplify", || {
        let rules = RuleSet::new(&OpRegistry::standard(), [WRONG]).expect("a standard operator");
        let compiler = Compiler::builder()
            .flow_pass(Place::after("simplify"), ApplyRules::new("wrong", rules))
            .build()
            .expect("the place is there");
        Harness { compiler, ..Harness::default() }
    });
}

/// Both ways around agree on it, but not on what the program means.
#[test]
fn a_rule_that_is_wrong_on_both_paths() {
    found_by("simplify", || {
        let compiler = Compiler::builder().rule(WRONG).build().expect("a standard operator");
        Harness { compiler, ..Harness::default() }
    });
}

#[test]
fn a_transpose_that_is_taken_for_none_because_the_shape_stays() {
    found_by("layout", || planted(&Place::after("layout"), transpose_for_none));
}

#[test]
fn a_lowering_that_swaps_the_operands_of_a_kernel() {
    found_by("legalize", || planted(&Place::after("legalize"), swapped_operands));
}

#[test]
fn a_fusion_that_drops_an_epilogue() {
    found_by("fuse", || {
        planted(&Place::before("fuse"), |editor, id| {
            let Rhs::Call { args, .. } = &editor.binding(id).rhs else { return Ok(false) };
            // The last kernel of a chain.
            let made = args.first().is_some_and(|it| {
                editor.uses(*it) == 1 && matches!(editor.defining_rhs(*it), Some(Rhs::Call { .. }))
            });
            Ok(made && passes_through(editor, id))
        })
    });
}

#[test]
fn a_plan_that_overlaps_two_slots() {
    found_by("plan_memory", || Harness {
        plan: |ops, module| {
            let mut plans = flow::plan_memory(ops, module, &[])?;
            for plan in &mut plans.functions {
                let Some(first) = plan.slots.first().cloned() else { continue };
                for slot in &mut plan.slots {
                    slot.offset = first.offset;
                }
            }
            Ok(plans)
        },
        ..Harness::default()
    });
}
