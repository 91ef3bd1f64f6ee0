//! Faults that are planted in a rule, in a pass and in kernels: drawn models show them.

use orogen::Compiler;
use orogen::passes::Place;
use orogen::rules::{Rule, RuleClass};
use orogen_differential::{Executor, Way};
use orogen_generated::{Column, Form, Outcome, Setup, draw, reduce, run};
use orogen_squares::{Damage, Fault, swapped_operands, transpose_for_none};

/// Models of which one must show a fault.
const MODELS: u64 = 400;

/// What a compiler with this fault is found out by, and what is left of the first model that shows it.
fn found_with(compiler: Compiler) {
    let column = Column { executor: Executor::Jit(Way::Native), form: Form::Usual };
    let setup = Setup::new(compiler);
    let shows = |seed| {
        let whole = draw(&setup, seed);
        let settings: Vec<usize> = (0..whole.settings.len()).collect();
        run(&setup, &whole, column, &settings).err().map(|it| (whole, it))
    };
    let (whole, finding) = (0..MODELS).find_map(shows).expect("a model shows it");
    let (small, finding) = reduce(&setup, &whole, &finding);
    let nodes = small.graph().node.len();
    assert!(nodes <= 3, "{nodes} nodes of {} are left: {finding}\n{small}", whole.graph().node.len());
    assert_eq!(finding.outcome, Outcome::Differs, "{finding}");
    let settings: Vec<usize> = (0..small.settings.len()).collect();
    run(&Setup::default(), &small, column, &settings).expect("without the fault it is right");
}

fn planted(place: Place, damage: Damage) -> Compiler {
    Compiler::builder().flow_pass(place, Fault(damage)).build().expect("the place is there")
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
    found_with(Compiler::builder().rule(WRONG).build().expect("a standard operator"));
}

#[test]
fn a_pass_that_takes_a_transpose_for_none_because_the_shape_stays() {
    found_with(planted(Place::after("layout"), transpose_for_none));
}

#[test]
fn a_kernel_that_takes_its_operands_the_other_way_round() {
    found_with(planted(Place::after("legalize"), swapped_operands));
}
