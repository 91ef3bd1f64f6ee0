//! Faults that are planted in a rule, in a pass and in kernels: drawn models show them.

use orogen::passes::{Changed, Pass, PassCx, Place};
use orogen::rules::{Rule, RuleClass};
use orogen::{Compiler, Diagnostics};
use orogen_differential::{Executor, Way};
use orogen_generated::{Column, Form, Setup, draw, reduce, run};
use orogen_ir::flow::{BindingId, Editor, Module, Rhs};

/// Models of which one must show a fault.
const MODELS: u64 = 400;

/// Damages one binding; whether it did.
type Damage = fn(&mut Editor<'_>, BindingId) -> Result<bool, Diagnostics>;

/// A pass that does something else to the first binding where it can.
struct Fault(Damage);

impl Pass<Module> for Fault {
    fn name(&self) -> &'static str {
        "fault"
    }

    fn run(&self, module: &mut Module, cx: &mut PassCx<'_>) -> Result<Changed, Diagnostics> {
        let mut changed = false;
        module.edit(cx.ops, |editor| -> Result<(), Diagnostics> {
            for id in editor.bindings() {
                if (self.0)(editor, id)? {
                    changed = true;
                    break;
                }
            }
            Ok(())
        })?;
        module.remove_dead_code(cx.ops);
        Ok(changed.into())
    }
}

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
    found_with({
        planted(Place::after("layout"), |editor, id| {
            let binding = editor.binding(id);
            let is = matches!(&binding.rhs, Rhs::Op { op, .. } if editor.ops().def(*op).name == "transpose");
            let (Some(from), Some(to)) =
                (binding.results.first().copied(), binding.rhs.operands().first().copied())
            else {
                return Ok(false);
            };
            if !is || editor.type_of(from) != editor.type_of(to) {
                return Ok(false);
            }
            editor.replace(from, to);
            Ok(true)
        })
    });
}

#[test]
fn a_kernel_that_takes_its_operands_the_other_way_round() {
    found_with({
        planted(Place::after("legalize"), |editor, id| {
            let Rhs::Call { callee, args, sizes } = editor.binding(id).rhs.clone() else { return Ok(false) };
            let [a, b] = args[..] else { return Ok(false) };
            if a == b || editor.type_of(a) != editor.type_of(b) {
                return Ok(false);
            }
            editor.set_rhs(id, Rhs::Call { callee, args: [b, a].into_iter().collect(), sizes })?;
            Ok(true)
        })
    });
}
