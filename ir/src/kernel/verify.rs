//! Checks a kernel against the laws of [`super`].
//!
//! | code | law | code | law |
//! |---|---|---|---|
//! | K101 | K1 symbols are sizes | K103 | K3 something is done |
//! | K102 | K2 order and names of parameters | K104 | K4 attributes of externs |
//! | L… | laws of tensor programs | K105 | K5 objects of externs |

use super::{Access, Kernel, ParamType, Signature, print_kernel_text};
use crate::diag::{Diagnostic, Diagnostics};
use crate::loops::Requirements;
use crate::text::type_text;
use crate::types::{Attr, visit_dims};
use indexmap::IndexSet;

/// Checks all laws; returns what of them depends on the sizes of a call.
///
/// # Errors
/// Every violation, each with the printed kernel.
pub fn verify(kernel: &Kernel) -> Result<Requirements, Diagnostics> {
    let mut found = Diagnostics::new();
    let mut report = |code: &'static str, message: String| {
        let diagnostic = Diagnostic::error(code, message).note(format!("in {}", print_kernel_text(kernel)));
        found.push(diagnostic);
    };
    match kernel {
        Kernel::Program(program) => return crate::loops::verify(program),
        Kernel::Routine(it) => {
            signature(&it.signature, &mut report);
            for param in it.signature.params.iter().filter(|it| matches!(it.ty, ParamType::Object(_))) {
                report("K105", format!("K5: `%{}` of a routine is an object", param.name));
            }
        }
        Kernel::Extern(it) => {
            signature(&it.signature, &mut report);
            check_k5_objects(&it.signature, &mut report);
            for (name, attr) in it.attrs.iter() {
                if !matches!(attr, Attr::Int(_) | Attr::Float(_) | Attr::Bool(_) | Attr::Str(_)) {
                    let message =
                        format!("K4: attribute `{name}` cannot be passed to a function of the host");
                    report("K104", message);
                }
            }
        }
    }
    found.into_result(Requirements::default())
}

fn signature(signature: &Signature, report: &mut dyn FnMut(&'static str, String)) {
    check_k1_symbols(signature, report);
    check_k2_params(signature, report);
    check_k3_does_something(signature, report);
}

/// K1: every symbol in the dimensions of a parameter is a size.
fn check_k1_symbols(signature: &Signature, report: &mut dyn FnMut(&'static str, String)) {
    for param in &signature.params {
        let ParamType::Buffer { dims, .. } = &param.ty else { continue };
        let free = dims.iter().flat_map(|dim| signature.shapes.free_symbols(*dim));
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

/// K5: an object is of a type whose values are held by reference, in which no size is a symbol: what is in it is checked
/// where it is taken out. It is read or made; there is no memory of it to be changed.
fn check_k5_objects(signature: &Signature, report: &mut dyn FnMut(&'static str, String)) {
    for param in &signature.params {
        let ParamType::Object(ty) = &param.ty else { continue };
        if !ty.is_object() {
            let ty = type_text(&signature.shapes, ty);
            report("K105", format!("K5: `%{}` is a `{ty}`, which is not held by reference", param.name));
        }
        let mut symbols = false;
        visit_dims(ty, &mut |dim| symbols |= signature.shapes.as_int(dim).is_none());
        if symbols {
            report("K105", format!("K5: the type of `%{}` has sizes that are symbols", param.name));
        }
        if param.access == Access::InOut {
            report("K105", format!("K5: the object `%{}` cannot be changed in place", param.name));
        }
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
        let objects = good.replace("in %x: f32[n]", "in %x: Sequence<Tensor<f32, rank 1>>");
        assert_eq!(codes(&objects), [""; 0]);
        assert_eq!(print_kernel_text(&parse_kernel_text(&objects).unwrap()).matches("Sequence").count(), 1);
        assert_eq!(codes(&objects.replace("rank 1", "[n]")), ["K105"]);
        assert_eq!(codes(&objects.replace("in %x", "inout %x")), ["K105"]);
        assert_eq!(codes(&objects.replace("Sequence<Tensor<f32, rank 1>>", "Shape")), ["K105"]);
        assert_eq!(codes(&objects.replace("extern", "routine").replace(" with {a = 1}", "")), ["K105"]);
        let mut broken = parse_kernel_text(good).unwrap();
        if let Kernel::Extern(it) = &mut broken {
            it.signature.sizes.clear();
        }
        assert_eq!(verify(&broken).unwrap_err().iter().map(|it| it.code).collect::<Vec<_>>(), ["K101"; 2]);
    }
}
