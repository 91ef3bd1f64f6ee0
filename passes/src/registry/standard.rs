//! The passes that ship, in the order in which they run.

use super::definition::{Parts, PassClass, PassDef, When};
use super::settings::{OptionDef, OptionKind, Settings};
use crate::dataflow::makers::maker;
use crate::graph;
use crate::manager::{Named, Step};
use crate::rewrite::RuleClass;
use crate::rules::apply::ApplyRules;
use crate::rules::attention::kernel::{RULES, Worth};
use crate::rules::{activations, attention, chains};
use orogen_ir::diag::Diagnostic;
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

const fn names(name: &'static str, about: &'static str) -> OptionDef {
    OptionDef { name, kind: OptionKind::Names, default: "", about }
}

const fn text(name: &'static str, about: &'static str) -> OptionDef {
    OptionDef { name, kind: OptionKind::Text, default: "", about }
}

/// The pass `fuse-attention` with its options, of either path.
///
/// # Errors
/// What is wrong with its rules: operators that `parts` lacks.
pub fn fuse_attention(parts: &Parts<'_>, settings: &Settings) -> Result<ApplyRules, Diagnostic> {
    let most = |name| i64::try_from(settings.number(name)).unwrap_or(i64::MAX);
    let open = settings.word("open") == "fuse";
    let worth = Worth { open, queries: most("queries"), scores: most("scores"), ratio: most("ratio") };
    Ok(ApplyRules::of_code("fuse-attention", parts.ops, RULES)?.guarded(worth.guard()))
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
        flow: maker("canonicalize"),
    },
    PassDef {
        name: "bind-sizes",
        about: "gives sizes to symbols of parameters, everywhere",
        details: "What follows from them is known when the model is compiled. `--dim` does so when it is read, \
                  this where a list of passes says. Sizes that only data decide cannot be given.",
        laws: &["a call with another size is refused"],
        step: Step::Canonicalize,
        class: PassClass::BITWISE,
        when: When::Asked,
        options: &[names("sizes", "names of symbols, each with its size: `n:4:m:8`")],
        graph: None,
        flow: maker("bind-sizes"),
    },
    PassDef {
        name: "bind-parameters",
        about: "makes constants of parameters that always have one value",
        details: "What follows from them folds. In Rust, `BindParameters` takes tensors, which decide the sizes that types \
                  leave open; the option is for parameters of one element.",
        laws: &["a value has the element type and the sizes of its parameter"],
        step: Step::Canonicalize,
        class: PassClass::BITWISE,
        when: When::Asked,
        options: &[names(
            "values",
            "names of parameters of the last function, each with its number: `k:40:temperature:0.7`",
        )],
        graph: None,
        flow: maker("bind-parameters"),
    },
    PassDef {
        name: "infer-effects",
        about: "makes functions declare the effects that their bodies have and no more, and puts what has none into \
                dataflow blocks",
        details: "For programs that declare more than they do, or that are written in effect blocks: other passes look at \
                  dataflow blocks alone.",
        laws: &[
            "nothing changes its place",
            "effects are the least with which functions that call each other declare what they do",
        ],
        step: Step::Canonicalize,
        class: PassClass::BITWISE,
        when: When::Asked,
        options: &[],
        graph: None,
        flow: maker("infer-effects"),
    },
    PassDef {
        name: "inline",
        about: "puts bodies of private functions in the place of their calls, and drops the functions",
        details: "A call is a wall for all other passes, and passes every tensor through memory; a function that is called \
                  often makes the program larger.",
        laws: &[
            "functions that call themselves stay, and calls in functions that have become too large",
            "what has effects stays in order",
        ],
        step: Step::Canonicalize,
        class: PassClass::BITWISE,
        when: When::Asked,
        options: &[],
        graph: None,
        flow: maker("inline"),
    },
    PassDef {
        name: "remove-unused",
        about: "takes parameters and results that nobody needs from private functions, and drops those that nobody calls",
        details: "What is passed is kept in memory. What may be called from outside keeps its interface.",
        laws: &[
            "a parameter that gives a size which nothing else gives stays, and so does one result of each function",
            "what has effects stays",
        ],
        step: Step::Canonicalize,
        class: PassClass::BITWISE,
        when: When::Asked,
        options: &[],
        graph: None,
        flow: maker("remove-unused"),
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
        flow: maker("fold-constants"),
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
        flow: maker("simplify"),
    },
    PassDef {
        name: "explore",
        about: "looks for cheaper programs that rules show to be the same (equality saturation)",
        details: "It finds where transposes go best, the order of chains of products, and which operand takes a scale. What \
                  it finds is lowered and fused, and kept where the kernels that are left cost less. It costs compile \
                  time, and `compile --report` says what it found. `--explore` is short for `--passes +explore`.",
        laws: &[
            "what comes out costs less than what came in, as kernels, or nothing changes",
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
            count("lowerings", "32", "programs that are lowered to be compared as kernels"),
        ],
        graph: None,
        flow: maker("explore"),
    },
    PassDef {
        name: "order-products",
        about: "gives chains of matrix products the order with the fewest multiplications",
        details: "Where all sizes are known all orders are compared. Where some are not, two products change their order if \
                  that is no more work for any sizes, and less for some. Which products a chain is of no text can say, so it is \
                  code: it is proven on some chains, and its tests compare values.",
        laws: &["a chain is what products of one block read of each other alone"],
        step: Step::Simplify,
        class: PassClass::Of(RuleClass::Reassociates),
        when: When::Asked,
        options: &[],
        graph: Some(|parts, _| {
            Ok(Arc::new(ApplyRules::of_code("order-products", parts.ops, chains::RULES)?))
        }),
        flow: maker("order-products"),
    },
    PassDef {
        name: "name-attention",
        about: "makes one operator, `attention`, of the forms in which exporters write it",
        details: "The scale may stand before the product, at one operand or at both, or after it; keys may come \
                  transposed; the mask is added or chooses; the softmax of narrow scores may be one in f32; keys and values that were repeated for groups of queries are \
                  read as they were. For kernels of one's own and for reading programs: by itself the \
                  operator is lowered to the kernels of its parts. The forms are too many for text, so it is code: it is \
                  proven on some of them, and its tests compare values.",
        laws: &["what lies inside is read by nothing else", "the scale is a number that is known"],
        step: Step::Simplify,
        class: PassClass::Of(RuleClass::Reassociates),
        when: When::Asked,
        options: &[],
        graph: Some(|parts, _| {
            Ok(Arc::new(ApplyRules::of_code("name-attention", parts.ops, attention::RULES)?))
        }),
        flow: maker("name-attention"),
    },
    PassDef {
        name: "fuse-attention",
        about: "computes attention in one kernel, which never holds all scores",
        details: "It finds the forms of `name-attention`, and operators `attention` of a program; what becomes one kernel is \
                  marked `fused`, and `legalize` calls the routine. It goes over the keys block by block and keeps the \
                  largest score and the sum of each row. Transposes around it are read and written in place. What \
                  has fewer scores than the options say stays as it is written, or has the kernels of its parts where queries alone are too wide, since they stay in the cache. Operators that \
                  do not fit (f64, leading dimensions that may differ) keep the kernels of their parts.",
        laws: &["scores are f32, whatever the operands are", "what is not known to fit stays an operator"],
        step: Step::Simplify,
        class: PassClass::Of(RuleClass::Reassociates),
        when: When::Admitted,
        options: &[
            count("queries", "16", "the fewest queries"),
            count("scores", "65536", "the fewest scores of a head"),
            count(
                "ratio",
                "1024",
                "the fewest scores of a head for each element of a row of queries or values",
            ),
            OptionDef {
                name: "open",
                kind: OptionKind::Word(&["stay", "fuse"]),
                default: "stay",
                about: "what is done where it depends on sizes that are open",
            },
        ],
        graph: Some(|parts, it| Ok(Arc::new(fuse_attention(parts, it)?))),
        flow: maker("fuse-attention"),
    },
    PassDef {
        name: "quantize-rows",
        about: "multiplies rows by weights of 8 bits or fewer as integers, quantising them when they are there",
        details: "For models whose weights alone are quantised: each row becomes signed bytes by its largest magnitude, and \
                  a product of bytes takes half to a quarter of the time of one of f32. Products whose weights have \
                  scales in blocks stay as they are, and so do convolutions.",
        laws: &[
            "an element of a row is off by a 254th of the largest magnitude of the row at most, where that is no less than 2⁻¹²⁰",
            "sums of integers are exact, and known to fit",
        ],
        step: Step::Simplify,
        class: PassClass::Of(RuleClass::Approximates(65536.0)),
        when: When::Asked,
        options: &[],
        graph: Some(|parts, _| {
            Ok(Arc::new(ApplyRules::of_code("quantize-rows", parts.ops, activations::RULES)?))
        }),
        flow: maker("quantize-rows"),
    },
    PassDef {
        name: "layout",
        about: "applies rules that move, join and drop transposes and repetitions, until none applies",
        details: "What is elementwise lets transposes through, so that those of two sides meet. Keys and values that were \
                  repeated for groups of queries are multiplied as they were before.",
        laws: &["those of rules (RFC 0009)"],
        step: Step::Layout,
        class: PassClass::OfRules,
        when: When::Admitted,
        options: &[ROUNDS],
        graph: Some(|parts, it| Ok(Arc::new(parts.layout.clone().with_rounds(it.number("rounds"))))),
        flow: maker("layout"),
    },
    PassDef {
        name: "fold-rest",
        about: "evaluates what rules left of operators on constants, also those that make them wider",
        details: "It comes after the rules that read quantised constants as integers, and weights in their own type. What \
                  becomes wider adds a twentieth to all constants at most.",
        laws: &["what does not fit into the budget is left to run time"],
        step: Step::Layout,
        class: PassClass::BITWISE,
        when: When::Admitted,
        options: &[FREE],
        graph: Some(|_, it| {
            Ok(Arc::new(graph::FoldConstants::after_rules().with_free_bytes(it.number("free"))))
        }),
        flow: maker("fold-rest"),
    },
    PassDef {
        name: "merge-products",
        about: "merges matrix products of one value by several constants (queries, keys and values; gates) into one",
        details: "One product packs its operand once and has more columns to divide among threads. Its parts are slices, \
                  which are copies where what reads them cannot read in between. Products of the steps of a sequence by \
                  one constant, as an unrolled recurrent layer has them, become steps of one product, which reads the \
                  constant once.",
        laws: &["an element is the sum of the same products in the same order"],
        step: Step::Layout,
        class: PassClass::BITWISE,
        when: When::Asked,
        options: &[names(
            "of",
            "parameters that are merged too: their matrices are joined in each call, or once with `lift-parameters`",
        )],
        graph: None,
        flow: maker("merge-products"),
    },
    PassDef {
        name: "lift-parameters",
        about: "moves what is computed from parameters alone to a function `NAME_parameters`, which runs once",
        details: "For weights that come from outside at run time and are transposed, converted or scaled before use; \
                  constants fold at compile time without it. The function takes the results as parameters in their place.",
        laws: &["only what is pure, of constant size and outside of branches and loops moves"],
        step: Step::Layout,
        class: PassClass::BITWISE,
        when: When::Asked,
        options: &[names("of", "the parameters of the last function from which it lifts")],
        graph: None,
        flow: maker("lift-parameters"),
    },
    PassDef {
        name: "mixed-precision",
        about: "makes operators compute in f16 or bf16 where a policy admits it; inputs and outputs keep their types",
        details: "Products, convolutions and attention always do, moves and simple arithmetic follow their operands, and \
                  sums, exponentials and normalisations stay in f32, where no option says otherwise. Sums inside an \
                  operator are f32. Weights take half the memory.",
        laws: &[
            "a value is rounded once for each operator that computes it in the narrow type",
            "an operator that stays in f32 sees the rounded values",
        ],
        step: Step::Layout,
        class: PassClass::Of(RuleClass::Approximates(65536.0)),
        when: When::Asked,
        options: &[
            OptionDef {
                name: "to",
                kind: OptionKind::Word(&["bf16", "f16"]),
                default: "bf16",
                about: "the narrow type",
            },
            names("always", "operators that compute in it, whatever their operands are in"),
            names("follow", "operators that compute in it where their operands are in it"),
            names("never", "operators that stay in f32"),
        ],
        graph: None,
        flow: maker("mixed-precision"),
    },
    PassDef {
        name: "fuse-by-pattern",
        about: "makes a private function of every place where a pattern of the rule language matches",
        details: "In Rust, `FuseByPattern` takes several patterns and a hook, which gives a kernel for each such function \
                  or leaves it as it was.",
        laws: &[
            "nothing else reads what lies inside of a match",
            "matches do not overlap, and places that differ in sizes alone share a function",
        ],
        step: Step::Layout,
        class: PassClass::BITWISE,
        when: When::Asked,
        options: &[
            text("name", "the name of the functions; without one they are called `composite`"),
            text("pattern", "the pattern; without one nothing matches"),
        ],
        graph: None,
        flow: maker("fuse-by-pattern"),
    },
    PassDef {
        name: "merge-rest",
        about: "merges operations that passes before it made the same, and removes what nobody needs",
        details: "What `canonicalize` does to a program that comes in: rules make operations that are there already, such as \
                  casts and transposes.",
        laws: &["what has effects, and what binds sizes, stays as it is"],
        step: Step::Layout,
        class: PassClass::BITWISE,
        when: When::Admitted,
        options: &[],
        graph: Some(|_, _| Ok(Arc::new(Named { name: "merge-rest", pass: graph::Canonicalize }))),
        flow: maker("merge-rest"),
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
        flow: maker("legalize"),
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
        flow: maker("fuse"),
    },
];
