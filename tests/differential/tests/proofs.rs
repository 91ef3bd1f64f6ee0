//! How much of the plans of the suite is proven: whole, on every way that a model takes down.
//!
//! `--nocapture` prints a line for each plan.

#![allow(clippy::print_stdout, reason = "figures, for who asks for them")]

use orogen::{Compiler, Model, Step};
use orogen_differential::{Case, Executor, Legacy, Way};

/// Plans that the verifier proves to the end: for all sizes, without leaving a question open.
const WHOLE: usize = 34;

#[test]
fn plans_are_proven_whole() {
    let compiler = Compiler::standard();
    let (mut whole, mut all, mut open) = (0, 0, String::new());
    for case in Case::ALL {
        let ways = Executor::all().into_iter().filter(|it| matches!(it, Executor::Jit(_)));
        for executor in ways.filter(|it| !it.way().is_static() || case.legacy == Legacy::Runs) {
            let model = Model::open(case.model()).expect("a model");
            let reference = case.references().expect("references").remove(0);
            let options = executor.options(case.states, &model, &reference).expect("options");
            let (_, report) = compiler.lower(&model, &options, Step::PlanMemory).expect("a plan");
            let proof = report.proof;
            println!("{}/{}: {proof}", case.folder, executor.way());
            (all, whole) = (all + 1, whole + usize::from(proof.is_whole()));
            for it in &proof.open {
                open.push_str(&format!("{}/{}: {it}\n", case.folder, executor.way()));
            }
            // A dynamic model asks about sizes; who asked nothing proved nothing.
            assert!(executor.way() != Way::Native || proof.count().asked > 0, "{}", case.folder);
        }
    }
    println!("{whole} of {all} plans are proven whole");
    assert_eq!((whole, all), (WHOLE, WHOLE), "{open}");
}
