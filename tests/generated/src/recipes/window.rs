//! Convolutions and pools.

use super::Table;
use crate::attributes::{int, ints, text};
use crate::draw::{Draft, Draw, Fill, Id};
use crate::value::{Extent, Rounding};
use orogen_ir::types::DType;

pub(super) const RECIPES: Table = &[
    ("Conv", conv),
    ("ConvTranspose", conv),
    ("MaxPool", pool),
    ("AveragePool", pool),
    ("LpPool", pool),
    ("GlobalAveragePool", global),
    ("GlobalMaxPool", global),
    ("GlobalLpPool", global),
    ("ConvInteger", conv_integer),
];

/// An image with so many spatial dimensions.
fn image(draw: &mut Draw<'_>, dtype: DType, spatial: usize) -> Id {
    let rank = spatial + 2;
    if let Some(found) = draw.found(|it, of| of == dtype && it.rank() == rank) {
        return found;
    }
    let (n, c) = (draw.pick(&[1, 2]), draw.pick(&[1, 2, 3, 4, 6, 8]));
    let mut dims = vec![draw.fixed(n), draw.fixed(c)];
    for _ in 0..spatial {
        let size = draw.pick(&[3, 4, 5, 7, 8]);
        let fixed = draw.fixed(size);
        let open = draw.extent();
        let small = open.iter().all(|it| *it <= 9);
        dims.push(if small && draw.once_in(3) { open } else { fixed });
    }
    draw.fresh(dtype, &dims, Fill::Small)
}

/// Attributes of a window: strides, dilations, padding.
fn window(draw: &mut Draw<'_>, draft: Draft, spatial: usize, dilates: bool) -> Draft {
    let mut some = |draft: Draft, name: &str, list: &[i64], n: usize| match draw.random.coin() {
        true => draft.with(ints(name, &(0..n).map(|_| draw.pick(list)).collect::<Vec<_>>())),
        false => draft,
    };
    let draft = some(draft, "strides", &[1, 1, 2, 3], spatial);
    let draft = if dilates { some(draft, "dilations", &[1, 1, 2], spatial) } else { draft };
    match draw.random.below(4) {
        0 => {
            let mode = draw.pick(&["SAME_UPPER", "SAME_LOWER", "VALID"]);
            draft.with(text("auto_pad", mode))
        }
        1 => draft,
        _ => {
            let pads: Vec<i64> = (0..2 * spatial).map(|_| draw.pick(&[0, 1, 1, 2])).collect();
            draft.with(ints("pads", &pads))
        }
    }
}

fn weights(draw: &mut Draw<'_>, op: &str, channels: u64, spatial: usize) -> (Vec<u64>, u64, u64) {
    let groups = match draw.random.below(3) {
        0 => channels,
        1 if channels.is_multiple_of(2) => 2,
        _ => 1,
    };
    let each = draw.pick(&[1, 2, 3]);
    let results = groups * each;
    let mut dims = match op {
        "ConvTranspose" => vec![channels, each],
        _ => vec![results, channels / groups],
    };
    dims.extend((0..spatial).map(|_| draw.pick(&[1, 2, 3, 3])));
    (dims, groups, results)
}

fn channels(dims: &[Extent]) -> Option<u64> {
    let channels = dims[1][0];
    (channels > 0 && dims[1].iter().all(|it| *it == channels)).then_some(channels)
}

fn conv(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let dtype = draw.float_type();
    let spatial = draw.pick(&[1, 1, 2, 2, 2, 3]);
    let x = image(draw, dtype, spatial);
    let channels = channels(&draw.dims_of(x))?;
    let (dims, groups, results) = weights(draw, op, channels, spatial);
    // A transposed convolution may multiply weights by the zeros beside an image, so these are finite.
    let fill = if op == "ConvTranspose" { Fill::Between(-3.0, 3.0) } else { Fill::Small };
    let w = draw.weight(dtype, &dims, fill);
    let mut names = vec![draw.name(x).to_owned(), draw.name(w).to_owned()];
    if draw.random.coin() {
        let bias = draw.weight(dtype, &[results], Fill::Small);
        names.push(draw.name(bias).to_owned());
    }
    let draft = Draft::new(op, &names.iter().map(String::as_str).collect::<Vec<_>>(), Rounding::Arithmetic);
    let draft = window(draw, draft.with(int("group", groups.cast_signed())), spatial, true);
    let more = op == "ConvTranspose" && draw.once_in(3);
    Some(if more { draft.with(ints("output_padding", &vec![1; spatial])) } else { draft })
}

fn conv_integer(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let spatial = draw.pick(&[1, 2]);
    let x = image(draw, DType::U8, spatial);
    let channels = channels(&draw.dims_of(x))?;
    let (dims, groups, _) = weights(draw, op, channels, spatial);
    let dtype = draw.pick(&[DType::U8, DType::I8]);
    let w = draw.weight(dtype, &dims, Fill::Small);
    let mut names = vec![draw.name(x).to_owned(), draw.name(w).to_owned()];
    if draw.random.coin() {
        let zero = draw.weight(DType::U8, &[], Fill::Between(0.0, 3.0));
        names.push(draw.name(zero).to_owned());
    }
    let draft = Draft::new(op, &names.iter().map(String::as_str).collect::<Vec<_>>(), Rounding::Exact);
    Some(window(draw, draft.with(int("group", groups.cast_signed())), spatial, true))
}

fn pool(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let spatial = draw.pick(&[1, 2, 2, 3]);
    let dtype = match op {
        "MaxPool" if draw.opset >= 12 && draw.once_in(5) => draw.pick(&[DType::U8, DType::I8]),
        _ => draw.float_type(),
    };
    let x = image(draw, dtype, spatial);
    let kernel: Vec<i64> = (0..spatial).map(|_| draw.pick(&[1, 2, 2, 3])).collect();
    let rounding = if op == "MaxPool" { Rounding::Exact } else { Rounding::Function };
    let draft = Draft::new(op, &[draw.name(x)], rounding).with(ints("kernel_shape", &kernel));
    let dilates = match op {
        "MaxPool" => draw.opset >= 10,
        "AveragePool" => draw.opset >= 19,
        _ => draw.opset >= 18,
    };
    let draft = window(draw, draft, spatial, dilates);
    let ceil = draw.opset >= if op == "LpPool" { 18 } else { 10 } && draw.once_in(3);
    let draft = if ceil { draft.with(int("ceil_mode", 1)) } else { draft };
    Some(match op {
        "AveragePool" if draw.random.coin() => draft.with(int("count_include_pad", 1)),
        "LpPool" => {
            let p = draw.pick(&[1, 2, 3]);
            draft.with(int("p", p))
        }
        "MaxPool" if draw.once_in(4) => draft.giving(2),
        _ => draft,
    })
}

fn global(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (dtype, spatial) = (draw.float_type(), draw.pick(&[1, 2, 3]));
    let x = image(draw, dtype, spatial);
    let rounding = if op == "GlobalMaxPool" { Rounding::Exact } else { Rounding::Function };
    Some(Draft::new(op, &[draw.name(x)], rounding))
}
