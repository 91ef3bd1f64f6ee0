//! The passes that ship, in the order in which they run.

use super::definition::{PassClass, PassDef, When};
use super::settings::{OptionDef, OptionKind};
use crate::flow::egraph::{Explore, ExploreBudget};
use crate::manager::Step;
use crate::{flow, graph};
use std::sync::Arc;

const ROUNDS: OptionDef = OptionDef {
    name: "rounds",
    kind: OptionKind::Count,
    default: "8",
    about: "walks over the program after which it stops although rules still apply",
};

const FREE: OptionDef = OptionDef {
    name: "free",
    kind: OptionKind::Bytes,
    default: "64KiB",
    about: "results up to this size fold although they are larger than their operands",
};

const fn count(name: &'static str, default: &'static str, about: &'static str) -> OptionDef {
    OptionDef { name, kind: OptionKind::Count, default, about }
}

/// The passes that ship, in the order in which they run.
pub const STANDARD: &[PassDef] = &[
    PassDef {
        name: "canonicalize",
        about: "merges operations that are the same, and removes identities and what nobody needs",
        details: "Models from exporters are full of them. It may run again anywhere.",
        laws: &["what has effects, and what binds sizes, stays as it is"],
        step: Step::Canonicalize,
        class: PassClass::BITWISE,
        when: When::Admitted,
        options: &[],
        graph: Some(|_, _| Ok(Arc::new(graph::Canonicalize))),
        flow: Some(|_, _| Ok(Arc::new(flow::Canonicalize))),
    },
    PassDef {
        name: "fold-constants",
        about: "evaluates operators whose operands are constants, as the reference does",
        details: "A result that is larger than its operands stays an operator, unless it is small or wanted as weights. \
                  Quantised constants stay integers until rules have seen them. What may be spent is the budget of the \
                  compilation (`--budget`).",
        laws: &["what does not fit into the budget is left to run time"],
        step: Step::FoldConstants,
        class: PassClass::BITWISE,
        when: When::Admitted,
        options: &[FREE],
        graph: Some(|_, it| {
            Ok(Arc::new(graph::FoldConstants::before_rules().with_free_bytes(it.number("free"))))
        }),
        flow: Some(|_, it| {
            Ok(Arc::new(flow::FoldConstants::before_rules().with_free_bytes(it.number("free"))))
        }),
    },
    PassDef {
        name: "simplify",
        about: "applies rules that save work, and those of quantised products, until none applies",
        details: "`orogen rules` lists them; `--rules` and plug-ins add to them. `--accuracy` says which are admitted.",
        laws: &["those of rules (RFC 0009)"],
        step: Step::Simplify,
        class: PassClass::OfRules,
        when: When::Admitted,
        options: &[ROUNDS],
        graph: Some(|parts, it| Ok(Arc::new(parts.simplify.clone().with_rounds(it.number("rounds"))))),
        flow: Some(|parts, it| Ok(Arc::new(parts.simplify.clone().with_rounds(it.number("rounds"))))),
    },
    PassDef {
        name: "explore",
        about: "looks for cheaper programs that rules show to be the same (equality saturation)",
        details: "It finds where transposes go best, the order of chains of products, and which operand takes a scale. It \
                  costs compile time, and `compile --report` says what it found. `--explore` is short for \
                  `--passes +explore`.",
        laws: &[
            "what comes out costs less than what came in, or nothing changes",
            "its budgets are counts, so the same model gives the same library",
        ],
        step: Step::Simplify,
        class: PassClass::OfRules,
        when: When::Asked,
        options: &[
            count("region", "256", "operations of a block that are looked at together"),
            count("nodes", "4000", "nodes of the e-graph of a region"),
            count("iterations", "12", "rounds of all rules"),
            count("matches", "60000", "places where rules apply"),
            count("programs", "8000", "programs that are compared at the end"),
        ],
        graph: None,
        flow: Some(|_, it| {
            Ok(Arc::new(Explore::when_run(ExploreBudget {
                region: it.number("region"),
                nodes: it.number("nodes"),
                iterations: it.number("iterations"),
                matches: it.number("matches"),
                programs: it.number("programs"),
            })))
        }),
    },
    PassDef {
        name: "layout",
        about: "applies rules that move, join and drop transposes, until none applies",
        details: "What is elementwise lets transposes through, so that those of two sides meet.",
        laws: &["those of rules (RFC 0009)"],
        step: Step::Layout,
        class: PassClass::OfRules,
        when: When::Admitted,
        options: &[ROUNDS],
        graph: Some(|parts, it| Ok(Arc::new(parts.layout.clone().with_rounds(it.number("rounds"))))),
        flow: Some(|parts, it| Ok(Arc::new(parts.layout.clone().with_rounds(it.number("rounds"))))),
    },
    PassDef {
        name: "fold-rest",
        about: "evaluates what rules left of operators on constants, also those that make them wider",
        details: "It comes after the rules that read quantised constants as integers, and weights in their own type.",
        laws: &["what does not fit into the budget is left to run time"],
        step: Step::Layout,
        class: PassClass::BITWISE,
        when: When::Admitted,
        options: &[FREE],
        graph: Some(|_, it| {
            Ok(Arc::new(graph::FoldConstants::after_rules().with_free_bytes(it.number("free"))))
        }),
        flow: Some(|_, it| {
            Ok(Arc::new(flow::FoldConstants::after_rules().with_free_bytes(it.number("free"))))
        }),
    },
    PassDef {
        name: "legalize",
        about: "replaces every operator by what the table lowers it to: kernels, views, sizes that are bound from data",
        details: "An operator without a row in the table is an error that names the node.",
        laws: &["operators of sequences and optionals stay: a plan runs them"],
        step: Step::Legalize,
        class: PassClass::BITWISE,
        when: When::Admitted,
        options: &[],
        graph: Some(|parts, _| Ok(Arc::new(graph::Legalize::new(parts.table.clone())))),
        flow: Some(|parts, _| Ok(Arc::new(flow::Legalize::new(parts.table.clone())))),
    },
    PassDef {
        name: "fuse",
        about: "merges a kernel with the one that reads its result, so that the result needs no memory",
        details: "Only kernels inside one block of dataflow are merged, and only where nothing else reads the result.",
        laws: &[
            "nothing is computed twice",
            "the merged kernel computes the expressions of both, in their types",
        ],
        step: Step::Fuse,
        class: PassClass::BITWISE,
        when: When::Admitted,
        options: &[],
        graph: Some(|_, _| Ok(Arc::new(graph::Fuse))),
        flow: Some(|_, _| Ok(Arc::new(flow::Fuse))),
    },
];
