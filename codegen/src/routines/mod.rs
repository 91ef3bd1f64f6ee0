//! Routines: leaves of code generation that are written by hand and found by name. What each computes stands in the
//! reference (`ir/reference/src/routines.rs`), too.
//!
//! # Laws
//! * **N1** A routine reads and writes nothing outside of its parameters, whatever the data are.
//! * **N2** It writes every element of what it fills.
//! * **N3** It is refused at compile time where its parameters are not those that it was written for.

mod attention;
mod bits;
mod nonzero;
mod top_k;
mod trees;

use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use orogen_ir::diag::Diagnostic;
use orogen_ir::kernel::Routine;
use orogen_ir::shape::ShapeCx;

use crate::clif::kernel::{Kernel, KernelPhase};
use crate::clif::size::Scope;
use crate::clif::unit::{FunctionCx, Target};
use crate::select::forms::ParamForm;
use crate::select::routine::Routines;
use crate::vector::Isa;

/// A routine.
struct Definition {
    /// Name under which kernels ask for it.
    name: &'static str,
    /// What parameters and attributes it has, in words.
    signature: &'static str,
    /// Whether it was written for these parameters (law N3).
    fits: fn(&Routine) -> bool,
    /// Its code, for a target and the instructions of its vector programs; which parameters are always constants of the
    /// library.
    build: fn(Target, Isa, &str, &Routine, &[bool]) -> Kernel,
}

const TABLE: &[Definition] = &[
    Definition {
        name: "attention",
        signature: "in q[…, m, d], k[…, n, d], v[…, n, e] of one of f32, f16 and bf16, perhaps a mask[…, n] of it or of bool, \
                    out y[…, m, e], each transposed as `q_perm`, `k_perm`, `v_perm`, `out_perm` say; `scale`",
        fits: attention::fits,
        build: attention::build,
    },
    Definition {
        name: "bits",
        signature: "in x of any type but strings, out y of the type `to`, of the same width and shape",
        fits: bits::fits,
        build: bits::build,
    },
    Definition {
        name: "nonzero",
        signature: "in x of any type and rank r, out y: i64[r, count]",
        fits: nonzero::fits,
        build: nonzero::build,
    },
    Definition {
        name: "top_k",
        signature: "in x of numbers, out values of its type and out places: i64, all alike but along `axis`",
        fits: top_k::fits,
        build: top_k::build,
    },
    Definition {
        name: "tree_ensemble",
        signature: "in x[n, features] of f32 or f64, in nodes[count, 2] of i32 or i64, in trees: i32[trees, 3], in \
                    weights[leaves, targets] of f32 or f64, out y[n, targets] of their type; all sizes but `n` are numbers, and \
                    features are below 2^`feature_bits` − 1",
        fits: trees::fits,
        build: trees::build,
    },
];

/// Word `i` of a table: where a parameter is, or the value of a symbol.
fn table_word(cx: &mut FunctionCx<'_>, table: Value, i: usize) -> Value {
    cx.b.ins().load(types::I64, MemFlagsData::trusted(), table, i as i32 * 8)
}

/// The symbols of a routine with their values from a table of them.
fn symbols(cx: &mut FunctionCx<'_>, routine: &Routine, sizes: Value) -> Scope {
    let mut scope = Scope::default();
    for (i, symbol) in routine.signature.sizes.iter().enumerate() {
        let value = table_word(cx, sizes, i);
        scope.bind(*symbol, value, 0);
    }
    scope
}

/// A kernel of one phase, which shares nothing and reads its parameters as they are.
fn one_phase(
    routine: &Routine,
    mut shapes: ShapeCx,
    phase: KernelPhase,
    routines: Routines,
    strategy: String,
) -> Kernel {
    Kernel {
        shared: shapes.int(0),
        memory: phase.scratch,
        phases: vec![phase],
        shapes,
        aborts: false,
        forms: vec![ParamForm::Plain; routine.signature.params.len()],
        routines,
        strategy: vec![strategy],
    }
}

/// The code of a kernel that is a routine.
pub(crate) fn build(
    target: Target,
    isa: Isa,
    name: &str,
    routine: &Routine,
    constant: &[bool],
) -> Result<Kernel, Diagnostic> {
    let place = || format!("kernel `{}`", routine.name);
    let Some(found) = TABLE.iter().find(|it| it.name == routine.routine) else {
        let names: Vec<&str> = TABLE.iter().map(|it| it.name).collect();
        let message = format!("there is no routine `{}`", routine.routine);
        return Err(Diagnostic::error("C007", message)
            .at(place())
            .help(format!("the routines are: {}", names.join(", "))));
    };
    if !(found.fits)(routine) {
        let message = format!("routine `{}` does not take these parameters", found.name);
        return Err(Diagnostic::error("C008", message)
            .at(place())
            .help(format!("its parameters are: {}", found.signature)));
    }
    Ok((found.build)(target, isa, name, routine, constant))
}
