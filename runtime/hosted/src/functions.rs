//! The table of functions, and how the runtime calls them.

use crate::array::{Array, Attribute, Call, Elements, Outcome};
use crate::{grams, labels, numbers, text};
use orogen_runtime::{HostCall, HostFunction, RuntimeError, TensorView, TensorViewMut, Value};

/// One function.
pub(crate) struct Function {
    /// What follows `orogen.` in its name.
    pub(crate) name: &'static str,
    /// What it computes.
    pub(crate) run: fn(&Call) -> Outcome,
}

const fn function(name: &'static str, run: fn(&Call) -> Outcome) -> Function {
    Function { name, run }
}

pub(crate) const FUNCTIONS: &[Function] = &[
    function("text.concat", text::concat),
    function("text.count_parts", text::count_parts),
    function("text.split", text::split),
    function("text.change_case", text::change_case),
    function("text.count_kept", text::count_kept),
    function("text.remove", text::remove),
    function("text.format", numbers::format),
    function("text.parse_int", numbers::parse_int),
    function("text.parse_unsigned", numbers::parse_unsigned),
    function("text.parse_single", numbers::parse_single),
    function("text.parse_double", numbers::parse_double),
    function("text.find", labels::find),
    function("text.rank", labels::rank),
    function("text.count_grams", grams::count),
    #[cfg(feature = "regex")]
    function("text.matches", crate::pattern::matches),
    #[cfg(feature = "regex")]
    function("text.count_tokens", crate::tokens::count),
    #[cfg(feature = "regex")]
    function("text.tokens", crate::tokens::fill),
    #[cfg(feature = "images")]
    function("image.measure", crate::image::measure),
    #[cfg(feature = "images")]
    function("image.decode", crate::image::decode),
];

/// Registers all functions with the runtime of this process, under [`names`].
pub fn register() {
    for (name, it) in names().zip(FUNCTIONS) {
        let run = it.run;
        orogen_runtime::register_extern(&name, HostFunction::in_place(move |call| answer(run, call)));
    }
}

/// The names under which libraries find the functions.
pub fn names() -> impl Iterator<Item = String> {
    FUNCTIONS.iter().map(|it| symbol(it.name))
}

/// The name of a function in a library.
pub(crate) fn symbol(name: &str) -> String {
    format!("orogen.{name}")
}

fn answer(run: fn(&Call) -> Outcome, call: &mut HostCall<'_>) -> Result<(), RuntimeError> {
    let inputs = call.inputs.iter().map(array).collect::<Result<_, _>>()?;
    let attributes = call.attributes.iter().map(attribute).collect::<Result<_, _>>()?;
    let results = run(&Call { inputs, attributes }).map_err(|message| failed("ValueError", message))?;
    if results.len() != call.outputs.len() {
        return Err(failed("TypeError", format!("there are {} results", results.len())));
    }
    call.outputs.iter_mut().zip(results).try_for_each(|(output, result)| write(output, result))
}

fn failed(kind: &str, message: String) -> RuntimeError {
    RuntimeError::Raised { function: "orogen-hosted".to_owned(), kind: kind.to_owned(), message }
}

fn attribute(value: &Value) -> Result<Attribute, RuntimeError> {
    match value {
        Value::Int(it) => Ok(Attribute::Int(*it)),
        Value::Str(it) => Ok(Attribute::Text(it.clone())),
        other => Err(failed("TypeError", format!("an attribute is {}", other.kind()))),
    }
}

fn array(view: &TensorView<'_>) -> Result<Array, RuntimeError> {
    let elements = view
        .strings()
        .map(Elements::Texts)
        .or_else(|_| view.as_slice::<u8>().map(|it| Elements::Bytes(it.to_vec())))
        .or_else(|_| view.as_slice::<i64>().map(|it| Elements::Ints(it.to_vec())))
        .or_else(|_| view.as_slice::<u64>().map(|it| Elements::Unsigned(it.to_vec())))
        .or_else(|_| view.as_slice::<f32>().map(|it| Elements::Singles(it.to_vec())))
        .or_else(|_| view.as_slice::<f64>().map(|it| Elements::Doubles(it.to_vec())))
        .or_else(|_| view.as_slice::<bool>().map(|it| Elements::Flags(it.to_vec())))?;
    let dims = view.shape().iter().map(|it| usize::try_from(*it).unwrap_or(0)).collect();
    Ok(Array { dims, elements })
}

fn write(output: &mut TensorViewMut<'_>, result: Array) -> Result<(), RuntimeError> {
    let fits =
        output.shape().iter().map(|it| usize::try_from(*it).ok()).eq(result.dims.iter().copied().map(Some));
    if !fits {
        let message =
            format!("a result has dimensions {:?} where {:?} are wanted", result.dims, output.shape());
        return Err(failed("ValueError", message));
    }
    match result.elements {
        Elements::Texts(list) => output.set_strings(&list)?,
        Elements::Flags(list) => output.as_mut_slice::<bool>()?.copy_from_slice(&list),
        Elements::Bytes(list) => output.as_mut_slice::<u8>()?.copy_from_slice(&list),
        Elements::Ints(list) => output.as_mut_slice::<i64>()?.copy_from_slice(&list),
        Elements::Unsigned(list) => output.as_mut_slice::<u64>()?.copy_from_slice(&list),
        Elements::Singles(list) => output.as_mut_slice::<f32>()?.copy_from_slice(&list),
        Elements::Doubles(list) => output.as_mut_slice::<f64>()?.copy_from_slice(&list),
    }
    Ok(())
}
