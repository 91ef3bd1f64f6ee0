//! F10: names.

use super::{At, Check};
use indexmap::IndexSet;

/// F10: names of functions, kernels, externs, parameters and outputs are unique; every result of a function has a
/// name. (Definitions are unique by construction: they are keys of a map.)
pub(super) fn check_f10_unique_names(check: &mut Check<'_>) {
    let function = check.function;
    let mut seen = IndexSet::new();
    for param in &function.params {
        if !seen.insert(&param.name) {
            check.report(At::Header, "F010", format!("two parameters are called `{}`", param.name));
        }
    }
    seen.clear();
    for output in &function.outputs {
        if !seen.insert(&output.name) {
            check.report(At::Header, "F010", format!("two outputs are called `{}`", output.name));
        }
    }
    if let Some(body) = crate::text::exists(&function.regions, function.body)
        && body.results.len() != function.outputs.len()
    {
        let (n, m) = (body.results.len(), function.outputs.len());
        check.report(At::Header, "F010", format!("the function returns {n} values but names {m} outputs"));
    }
}
