//! Where strings stand in a sorted list, and among each other.

use crate::array::{Array, Call, Elements, Outcome};

/// For each string its place in the second operand, which is sorted by bytes, or how long that is where it is not there.
pub(crate) fn find(call: &Call) -> Outcome {
    let (x, keys) = (call.texts(0)?, call.texts(1)?);
    let place = |it: &String| keys.binary_search(it).unwrap_or(keys.len()) as i64;
    Ok(vec![Array::new(&call.input(0)?.dims, Elements::Ints(x.iter().map(place).collect()))])
}

/// For each string how many different ones come before it by their bytes: the same number for the same string.
pub(crate) fn rank(call: &Call) -> Outcome {
    let x = call.texts(0)?;
    let mut sorted: Vec<&String> = x.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let place = |it: &String| sorted.binary_search(&it).unwrap_or(sorted.len()) as i64;
    Ok(vec![Array::new(&call.input(0)?.dims, Elements::Ints(x.iter().map(place).collect()))])
}
