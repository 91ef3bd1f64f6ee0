//! How long lists of sizes, pads, repeats and the like are, where the other operands say it.
//!
//! A list whose length is known only at run time is checked to be as long as that, so that converters see its elements.
//! Where the other operands do not say it, there are [versions](crate::import) for each length.

use crate::emit::Size;
use crate::node::{Node, NodeCx};
use crate::sink::{MAX_RANK, Value};
use orogen_ir::diag::Diagnostic;
use orogen_ir::shape::Constraint;

/// A list that an operand is: its place, its length, and what it has one of for what.
type Expected = (usize, usize, &'static str);

/// Checks the lengths of lists that are as long as something else says.
pub(crate) fn settle(cx: &mut NodeCx<'_, '_>) -> Result<(), Diagnostic> {
    for (place, length, what) in expected(cx)? {
        let Some(value) = cx.optional(place).filter(|it| is_open(cx, *it)) else { continue };
        let Some(dim) = cx.dims(value).and_then(|it| it.first().copied()) else { continue };
        let count = cx.sink.shapes().int(length as i64);
        cx.sink
            .check(Constraint::Eq(dim, count), &format!("how many numbers operand {place} has, {what}"))?;
        let value = cx.reshape_to(value, &[Size::Const(length as i64)])?;
        cx.set_input(place, value);
    }
    Ok(())
}

/// Whether a value is a list whose length is known only at run time.
fn is_open(cx: &mut NodeCx<'_, '_>, value: Value) -> bool {
    cx.rank(value) == Ok(1) && cx.static_dim(value, 0).is_none()
}

/// The length of a list, when it is known.
fn length_of(cx: &mut NodeCx<'_, '_>, place: usize) -> Option<usize> {
    let value = cx.optional(place)?;
    if cx.rank(value) != Ok(1) {
        return None;
    }
    usize::try_from(cx.static_dim(value, 0)?).ok()
}

fn expected(cx: &mut NodeCx<'_, '_>) -> Result<Vec<Expected>, Diagnostic> {
    if !cx.is_standard() {
        return Ok(Vec::new());
    }
    let rank = |cx: &NodeCx<'_, '_>| cx.optional(0).and_then(|it| cx.rank(it).ok());
    const EACH: &str = "one for each dimension";
    const NAMED: &str = "one for each axis";
    const SINGLE: &str = "which is one";
    let axes = cx.ints("axes").map(<[i64]>::len);
    Ok(match (cx.op_type(), rank(cx)) {
        ("Tile", Some(rank)) if cx.opset() >= 6 => vec![(1, rank, EACH)],
        ("Upsample", Some(rank)) => vec![(1, rank, EACH)],
        ("Resize", Some(rank)) if cx.opset() < 11 => vec![(1, rank, EACH)],
        ("Resize", Some(rank)) => {
            let axes = axes.unwrap_or(rank);
            // Of scales and sizes one is given; the other one may be empty.
            let both = [2, 3].iter().all(|it| cx.optional(*it).is_some());
            let mut lists = vec![(1, 2 * axes, "two for each axis")];
            lists.extend([2, 3].into_iter().filter(|_| !both).map(|it| (it, axes, NAMED)));
            lists
        }
        ("CenterCropPad", Some(rank)) => vec![(1, axes.unwrap_or(rank), NAMED)],
        ("Pad", Some(rank)) => match (cx.optional(3), length_of(cx, 3), length_of(cx, 1)) {
            (None, ..) => vec![(1, 2 * rank, "two for each dimension")],
            (_, Some(axes), _) => vec![(1, 2 * axes, "two for each axis")],
            (_, _, Some(pads)) => vec![(3, pads / 2, "one for two pads")],
            _ => Vec::new(),
        },
        ("Slice", _) => {
            let length = (1..=4).find_map(|it| length_of(cx, it));
            length.map_or(Vec::new(), |length| {
                (1..=4).map(|it| (it, length, "one for each sliced axis")).collect()
            })
        }
        ("Split", _) => vec![(1, cx.output_count(), "one for each result")],
        ("OneHot" | "CumSum" | "CumProd", _) => vec![(1, 1, SINGLE)],
        ("TopK", _) if cx.opset() >= 10 => vec![(1, 1, SINGLE)],
        ("AffineGrid", _) => {
            let rows = cx.optional(0).and_then(|it| cx.static_dim(it, 1));
            match rows.and_then(|it| usize::try_from(it).ok()) {
                Some(rows) => vec![(1, rows + 2, "one for each dimension of the image")],
                None => Vec::new(),
            }
        }
        ("Col2Im", _) => {
            let given = ["strides", "dilations"].iter().find_map(|it| cx.ints(it).map(<[i64]>::len));
            let length = given.or(length_of(cx, 1)).or(length_of(cx, 2));
            length.map_or(Vec::new(), |it| {
                vec![(1, it, "one for each dimension"), (2, it, "one for each dimension")]
            })
        }
        _ => Vec::new(),
    })
}

/// Whether a node of that operator may be built otherwise for each length of an operand.
pub(crate) fn may_decide(op: &str) -> bool {
    matches!(
        op,
        "Expand"
            | "Reshape"
            | "ConstantOfShape"
            | "Unsqueeze"
            | "Slice"
            | "Pad"
            | "Col2Im"
            | "GatherND"
            | "ScatterND"
            | "DFT"
            | "STFT"
    )
}

/// The operand whose length decides how a node is built when nothing else says it, the most that it may be, and what it
/// counts.
pub(crate) fn deciding(
    node: &Node<'_>,
    rank: &dyn Fn(usize) -> Option<usize>,
    is_open: &dyn Fn(usize) -> bool,
) -> Option<(usize, usize, &'static str)> {
    if !node.is_standard() {
        return None;
    }
    let found = match node.op_type() {
        "Expand" | "Reshape" => (1, MAX_RANK, "the rank that its shape gives"),
        "ConstantOfShape" => (0, MAX_RANK, "the rank that its shape gives"),
        "Unsqueeze" => (1, MAX_RANK.saturating_sub(rank(0)?).max(1), "how many axes it adds"),
        "Slice" if (2..=4).all(|it| !node.has_input(it) || is_open(it)) => {
            (1, rank(0)?, "how many axes it slices")
        }
        "Pad" if is_open(1) => (3, rank(0)?, "how many axes it pads"),
        "Col2Im" if is_open(2) && !node.has("strides") && !node.has("dilations") => {
            (1, MAX_RANK, "how many dimensions its image has")
        }
        "GatherND" | "ScatterND" => (1, rank(0)?, "how many dimensions its indices name"),
        "DFT" | "STFT" => (0, 2, "how many parts a number of its signal has"),
        _ => return None,
    };
    (node.has_input(found.0) && is_open(found.0)).then_some(found)
}
