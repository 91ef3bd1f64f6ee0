//! What is fuzzed.

use crate::outcome::Outcome;
use crate::setup::{Setup, seed_of};
use crate::{calls, libraries, model, plan_texts, programs, text};
use clap::ValueEnum;
use orogen_ir::generate::Random;

/// A kind of input and what is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Target {
    /// Bytes of ONNX files, changed: importer, both paths, and a run.
    Bytes,
    /// ONNX files whose structure is changed, so that most still decode.
    Models,
    /// Generated programs of both IRs: passes, bridge, plans and code.
    Programs,
    /// Plans with changes: what the verifier lets pass runs.
    Plans,
    /// Texts of both graph IRs, of kernels and of plans.
    Texts,
    /// Arguments of packed functions.
    Calls,
    /// What the runtime reads of a library when it is loaded.
    Libraries,
}

impl Target {
    /// All, in the order in which they take turns.
    pub(crate) const ALL: &'static [Target] = &[
        Target::Models,
        Target::Programs,
        Target::Plans,
        Target::Bytes,
        Target::Texts,
        Target::Calls,
        Target::Libraries,
    ];

    /// How many inputs of it are one round, which takes about a minute for all targets together.
    pub(crate) fn share(self) -> u64 {
        match self {
            Target::Models => 300,
            Target::Programs => 200,
            Target::Bytes | Target::Libraries | Target::Plans => 600,
            Target::Texts => 2000,
            Target::Calls => 20_000,
        }
    }

    /// The name on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map(|it| it.get_name().to_string()).unwrap_or_default()
    }

    /// The input of a seed.
    pub(crate) fn input(self, setup: &Setup, seed: u64) -> Vec<u8> {
        let mut random = Random::new(seed ^ 0x6f72_6f67_656e);
        match self {
            Target::Bytes => model::changed_bytes(setup, &mut random),
            Target::Models => model::changed_model(setup, &mut random),
            Target::Texts => text::changed(setup, &mut random),
            Target::Plans => plan_texts::changed(setup, &mut random),
            Target::Programs | Target::Calls => seed.to_le_bytes().to_vec(),
            Target::Libraries => libraries::changed(setup, &mut random),
        }
    }

    /// Tries an input.
    pub(crate) fn run(self, setup: &Setup, input: &[u8]) -> Outcome {
        match self {
            Target::Bytes | Target::Models => model::run(setup, input),
            Target::Programs => programs::run(setup, seed_of(input)),
            Target::Plans => plan_texts::run(input),
            Target::Texts => text::run(setup, input),
            Target::Calls => calls::run(setup, seed_of(input)),
            Target::Libraries => libraries::run(setup, input),
        }
    }
}
