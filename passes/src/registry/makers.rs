//! How the passes of the registry that run on the dataflow IR are made, by name. What is said of them stands in the table of
//! the registry, which a build without the dataflow IR has too; that needs no more for a new pass than its row.

use crate::flow::egraph::{Explore, ExploreBudget};
use crate::flow::{
    BindParameters, BindSizes, Canonicalize, FoldConstants, Fuse, FuseByPattern, InferEffects, Inline,
    Legalize, LiftParameters, MergeProducts, MixedPrecision, RemoveUnused,
};
use crate::manager::{Named, Pass};
use crate::registry::{Make, fuse_attention};
use crate::rules::apply::ApplyRules;
use crate::rules::precision::{Precision, PrecisionPolicy};
use crate::rules::{activations, attention, chains};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::Module;
use orogen_ir::types::DType;
use std::sync::Arc;

const MAKERS: &[(&str, Make<Module>)] = &[
    ("canonicalize", |_, _| Ok(Arc::new(Canonicalize))),
    ("bind-sizes", |_, it| Ok(Arc::new(BindSizes::parse(it.names("sizes"))?))),
    ("bind-parameters", |_, it| Ok(Arc::new(BindParameters::parse(it.names("values"))?))),
    ("infer-effects", |_, _| Ok(Arc::new(InferEffects))),
    ("inline", |_, _| Ok(Arc::new(Inline))),
    ("remove-unused", |_, _| Ok(Arc::new(RemoveUnused))),
    ("fold-constants", |_, it| {
        Ok(Arc::new(FoldConstants::before_rules().with_free_bytes(it.number("free"))))
    }),
    ("simplify", |parts, it| Ok(Arc::new(parts.simplify.clone().with_rounds(it.number("rounds"))))),
    ("explore", |parts, it| {
        let budget = ExploreBudget {
            region: it.number("region"),
            nodes: it.number("nodes"),
            iterations: it.number("iterations"),
            matches: it.number("matches"),
            programs: it.number("programs"),
            lowerings: it.number("lowerings"),
        };
        let lowering: [Arc<dyn Pass<Module>>; 3] =
            [Arc::new(parts.layout.clone()), Arc::new(Legalize::new(parts.table.clone())), Arc::new(Fuse)];
        let steps = [parts.simplify.clone(), parts.layout.clone()];
        Ok(Arc::new(Explore::of_steps(steps, parts.explored.clone(), budget).judged_by(lowering)))
    }),
    ("order-products", |parts, _| {
        Ok(Arc::new(ApplyRules::of_code("order-products", parts.ops, chains::RULES)?))
    }),
    ("name-attention", |parts, _| {
        Ok(Arc::new(ApplyRules::of_code("name-attention", parts.ops, attention::RULES)?))
    }),
    ("fuse-attention", |parts, it| Ok(Arc::new(fuse_attention(parts, it)?))),
    ("quantize-rows", |parts, _| {
        Ok(Arc::new(ApplyRules::of_code("quantize-rows", parts.ops, activations::RULES)?))
    }),
    ("layout", |parts, it| Ok(Arc::new(parts.layout.clone().with_rounds(it.number("rounds"))))),
    ("fold-rest", |_, it| Ok(Arc::new(FoldConstants::after_rules().with_free_bytes(it.number("free"))))),
    ("merge-products", |_, it| Ok(Arc::new(MergeProducts::of_parameters(it.names("of"))))),
    ("lift-parameters", |_, it| Ok(Arc::new(LiftParameters::new(it.names("of"))))),
    ("mixed-precision", |parts, it| {
        let mut policy = PrecisionPolicy::standard(parts.ops);
        for precision in Precision::ALL {
            let named = it.names(precision.name());
            named.iter().try_for_each(|it| policy.set(parts.ops, it, precision))?;
        }
        let to = if it.word("to") == "f16" { DType::F16 } else { DType::BF16 };
        Ok(Arc::new(MixedPrecision::new(to, policy)?))
    }),
    ("fuse-by-pattern", |parts, it| {
        let pass = FuseByPattern::new("fuse-by-pattern");
        let name = if it.text("name").is_empty() { "composite" } else { it.text("name") };
        match it.text("pattern") {
            "" => Ok(Arc::new(pass)),
            pattern => Ok(Arc::new(pass.pattern(parts.ops, name, pattern).map_err(first)?)),
        }
    }),
    ("merge-rest", |_, _| Ok(Arc::new(Named { name: "merge-rest", pass: Canonicalize }))),
    ("legalize", |parts, _| Ok(Arc::new(Legalize::new(parts.table.clone())))),
    ("fuse", |_, _| Ok(Arc::new(Fuse))),
];

/// How the pass of a name is made. A name that has none does not compile where it is written in a table.
pub(crate) const fn maker(name: &str) -> Option<Make<Module>> {
    let mut i = 0;
    while i < MAKERS.len() {
        if same(MAKERS[i].0.as_bytes(), name.as_bytes()) {
            return Some(MAKERS[i].1);
        }
        i += 1;
    }
    panic!("no pass over the dataflow IR has this name")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// What is wrong first.
fn first(found: Diagnostics) -> Diagnostic {
    found.0.into_iter().next().unwrap_or_else(|| Diagnostic::error("N032", "the pattern cannot be read"))
}
