//! F10: names.

use super::{At, Check};
use indexmap::IndexSet;

/// F10: names of functions, kernels, externs, parameters and outputs are unique; every result of a function has a
/// name, and a rank belongs to the result before it. (Definitions are unique by construction: they are keys of a map.)
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
    check_ranks(check);
    if let Some(body) = crate::text::exists(&function.regions, function.body)
        && body.results.len() != function.outputs.len()
    {
        let (n, m) = (body.results.len(), function.outputs.len());
        check.report(At::Header, "F010", format!("the function returns {n} values but names {m} outputs"));
    }
}

/// What says a rank is an integer of rank 0, after the result whose rank it is.
fn check_ranks(check: &mut Check<'_>) {
    let function = check.function;
    let Some(body) = crate::text::exists(&function.regions, function.body) else { return };
    let mut before = true;
    for (i, output) in function.outputs.iter().enumerate() {
        let ty =
            body.results.get(i).and_then(|it| crate::text::exists(&function.values, *it)).map(|it| &it.ty);
        let tensor = ty.and_then(|it| it.as_tensor());
        if output.gives_rank {
            let fits = tensor.is_none_or(|it| it.dtype.is_int() && it.shape.rank() == Some(0));
            if before || !fits {
                let name = &output.name;
                let message =
                    format!("`{name}` is not an integer of rank 0 after the output whose rank it is");
                check.report(At::Header, "F010", message);
            }
        }
        before = output.gives_rank;
    }
}
