//! What a compiler has to know: operators that are calls of functions here, and the nodes of ONNX that become them.

mod convert;
mod grams;
mod labels;
mod operators;
mod support;

use orogen::prelude::Builder;

/// Gives a compiler the operators and ONNX converters, and registers the functions.
///
/// ```
/// use orogen::prelude::*;
///
/// let mut builder = Compiler::builder();
/// orogen_hosted::add_to(&mut builder);
/// let compiler = builder.build()?;
/// assert!(compiler.ops().find("text.concat").is_some());
/// # Ok::<(), Diagnostics>(())
/// ```
pub fn add_to(builder: &mut Builder) {
    crate::register();
    operators::OPERATORS.iter().for_each(|it| {
        builder.operator(it.clone());
    });
    convert::register(builder);
}
