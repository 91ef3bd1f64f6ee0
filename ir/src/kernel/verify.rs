//! Checks a kernel against the laws of [`super`].
//!
//! | code | law | code | law |
//! |---|---|---|---|
//! | K101 | K1 symbols are sizes | K103 | K3 something is done |
//! | K102 | K2 order and names of parameters | K104 | K4 attributes of externs |
//! | L… | laws of tensor programs | | |

use super::{Access, Kernel, Signature, print_kernel_text};
use crate::diag::{Diagnostic, Diagnostics};
use crate::types::Attr;
use indexmap::IndexSet;

/// Checks all laws and reports every violation.
///
/// # Errors
/// The violations, each with the printed kernel.
pub fn verify(kernel: &Kernel) -> Result<(), Diagnostics> {
    let mut found = Diagnostics::new();
    let mut report = |code: &'static str, message: String| {
        let diagnostic = Diagnostic::error(code, message).note(format!("in {}", print_kernel_text(kernel)));
        found.push(diagnostic);
    };
    match kernel {
        Kernel::Program(program) => return crate::loops::verify(program),
        Kernel::Routine(it) => signature(&it.signature, &mut report),
        Kernel::Extern(it) => {
            signature(&it.signature, &mut report);
            for (name, attr) in it.attrs.iter() {
                if !matches!(attr, Attr::Int(_) | Attr::Float(_) | Attr::Bool(_) | Attr::Str(_)) {
                    let message =
                        format!("K4: attribute `{name}` cannot be passed to a function of the host");
                    report("K104", message);
                }
            }
        }
    }
    found.into_result(())
}

fn signature(signature: &Signature, report: &mut dyn FnMut(&'static str, String)) {
    check_k1_symbols(signature, report);
    check_k2_params(signature, report);
    check_k3_does_something(signature, report);
}

/// K1: every symbol in the dimensions of a parameter is a size.
fn check_k1_symbols(signature: &Signature, report: &mut dyn FnMut(&'static str, String)) {
    for param in &signature.params {
        let free = param.dims.iter().flat_map(|dim| signature.shapes.free_symbols(*dim));
        for symbol in free.filter(|it| !signature.sizes.contains(it)).collect::<IndexSet<_>>() {
            let symbol = signature.shapes.display_sym(symbol);
            report("K101", format!("K1: `{symbol}` in the type of `%{}` is no size", param.name));
        }
    }
}

/// K2: parameters that are only written come after all others; names of parameters are unique.
fn check_k2_params(signature: &Signature, report: &mut dyn FnMut(&'static str, String)) {
    let mut names = IndexSet::new();
    let mut written = false;
    for param in &signature.params {
        if !names.insert(&param.name) {
            report("K102", format!("K2: two parameters are called `%{}`", param.name));
        }
        if written && param.access != Access::Out {
            report("K102", format!("K2: `%{}` comes after a parameter that is only written", param.name));
        }
        written |= param.access == Access::Out;
    }
}

/// K3: at least one parameter is written, or the kernel has effects.
fn check_k3_does_something(signature: &Signature, report: &mut dyn FnMut(&'static str, String)) {
    if signature.effects.is_pure() && !signature.params.iter().any(|it| it.access.writes()) {
        report("K103", "K3: nothing is written and there are no effects".to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_kernel_text;
    use super::*;

    fn codes(text: &str) -> Vec<&'static str> {
        let kernel = parse_kernel_text(text).unwrap_or_else(|it| panic!("{it}"));
        verify(&kernel).err().unwrap_or_default().iter().map(|it| it.code).collect()
    }

    #[test]
    fn laws() {
        let good = "extern @f = \"f\" with {a = 1} {\n size n\n in %x: f32[n]\n out %y: f32[2*n]\n}";
        assert_eq!(codes(good), [""; 0]);
        assert_eq!(codes(&good.replace("in %x", "out %x").replace("out %y", "in %y")), ["K102"]);
        assert_eq!(codes(&good.replace("%y", "%x")), ["K102"]);
        assert_eq!(codes(&good.replace("out %y", "in %y")), ["K103"]);
        assert_eq!(codes(&good.replace("out %y", "inout %y")), [""; 0]);
        assert_eq!(codes(&good.replace("out %y", "in %y").replace("{\n size", "!io {\n size")), [""; 0]);
        assert_eq!(codes(&good.replace("a = 1", "a = [1, 2]")), ["K104"]);
        let mut broken = parse_kernel_text(good).unwrap();
        if let Kernel::Extern(it) = &mut broken {
            it.signature.sizes.clear();
        }
        assert_eq!(verify(&broken).unwrap_err().iter().map(|it| it.code).collect::<Vec<_>>(), ["K101"; 2]);
    }
}
