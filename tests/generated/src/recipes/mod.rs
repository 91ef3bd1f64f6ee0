//! How nodes are drawn: a recipe for an operator chooses operands that fit and attributes, and may choose wrongly now and
//! then, for a node that is not legal is left out.
//!
//! Modules in reading order: `elementwise`, `movement`, `index`, `reduce`, `linear`, `window`, `norm`, `convert`, `control`,
//! `sequence`, `domains`, `microsoft`, `quantized`, `classical`.

mod classical;
mod control;
mod convert;
mod domains;
mod elementwise;
mod index;
mod linear;
mod microsoft;
mod movement;
mod norm;
mod quantized;
mod reduce;
mod sequence;
mod window;

use crate::cases::like_case;
use crate::draw::{Draw, Id};
use crate::setup::Recipe;

/// Recipes by operator of the standard domain.
type Table = &'static [(&'static str, Recipe)];

const TABLES: [Table; 12] = [
    elementwise::RECIPES,
    movement::RECIPES,
    index::RECIPES,
    reduce::RECIPES,
    linear::RECIPES,
    window::RECIPES,
    norm::RECIPES,
    convert::RECIPES,
    control::RECIPES,
    sequence::RECIPES,
    domains::RECIPES,
    classical::RECIPES,
];

/// Operators that models are mostly made of: they join what others compute.
const USUAL: [&str; 30] = [
    "Add",
    "Sub",
    "Mul",
    "Div",
    "Max",
    "Min",
    "Relu",
    "Sigmoid",
    "Tanh",
    "Neg",
    "Abs",
    "Exp",
    "Sqrt",
    "Where",
    "Transpose",
    "Reshape",
    "Concat",
    "Slice",
    "Unsqueeze",
    "Squeeze",
    "Gather",
    "Expand",
    "ReduceSum",
    "ReduceMean",
    "ReduceMax",
    "MatMul",
    "Cast",
    "Softmax",
    "Less",
    "Clip",
];

/// The recipe of an operator.
pub(crate) fn find(domain: &str, name: &str) -> Option<Recipe> {
    let tables: &[Table] = match domain {
        // Both have loops over sequences.
        "" if matches!(name, "LinearAttention" | "CausalConvWithState") => &[microsoft::RECIPES],
        "" => &TABLES,
        "com.microsoft" => &[domains::MICROSOFT, microsoft::RECIPES, quantized::RECIPES],
        "ai.onnx.ml" => &[domains::CLASSICAL, classical::CLASSICAL],
        _ => &[],
    };
    tables.iter().copied().flatten().find(|it| it.0 == name).map(|it| it.1)
}

/// Draws a node; whether it could be added.
pub(crate) fn step(draw: &mut Draw<'_>) -> Option<Vec<Id>> {
    let setup = draw.setup;
    let (domain, name, recipe) = match draw.random.below(20) {
        0..12 => {
            let name = draw.pick(&USUAL);
            ("", name, find("", name))
        }
        _ => {
            let at = draw.random.below(setup.operators.len());
            let it = &setup.operators[at];
            (it.domain.as_str(), it.name.as_str(), it.recipe)
        }
    };
    let version = if domain.is_empty() { draw.opset } else { 1 };
    if domain.is_empty() && !setup.table.knows(domain, name, version) {
        return None;
    }
    let draft = match recipe {
        Some(recipe) if !draw.once_in(12) => recipe(draw, name)?,
        Some(recipe) => match like_case(draw, domain, name) {
            Some(draft) => draft,
            None => recipe(draw, name)?,
        },
        None => like_case(draw, domain, name)?,
    };
    draw.add(draft)
}
