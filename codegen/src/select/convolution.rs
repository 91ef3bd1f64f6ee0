//! Convolutions and pooling.

use orogen_ir::loops::{Axis, BufferId, Combine, Expr, ExprId, Index, Stage, TensorProgram};
use orogen_ir::shape::Dim;
use orogen_ir::types::DType;

use super::access::Access;
use super::contraction::are_signed_bytes;
use super::element::Class;
use super::epilogue::{Chain, Kind, MOST_REPEATED, chain};
use super::forms::{Panels, ParamForm};
use super::product::{Term, products};
use super::routine::Routine;
use super::selector::{Match, PLAIN, PRODUCT, Selector, single_axes, spans, symbols};
use super::tree::{Arg, Call, Node};
use crate::kernels::conv::{
    Convolution, Depthwise, Form, Geometry, Images, Slide, SlidingWindow, Source, Window,
};
use crate::kernels::element::Element;
use crate::kernels::epilogue::{self, Operand};
use crate::kernels::gemm::{Arithmetic, Factor, Layout, Packing, Side, Zero};
use crate::kernels::laws::unproven;
use crate::vector::Width;

/// Outputs of a plane in one unit of parallel work.
const PLANE_UNIT: i64 = 64;
/// Least output channels of one, where these are divided: each unit makes its own panels of the image.
const CHANNEL_UNITS: [(Form, i64); 2] = [(Form::Pointwise, 64), (Form::Unfolded, 128)];

/// A convolution.
struct Shape {
    x: BufferId,
    w: BufferId,
    /// The zero point of the images, and the first one of the weights.
    x_zero: Option<Access>,
    w_zero: Option<(Access, Zero)>,
    geometry: Geometry,
    batch: Dim,
    groups: i64,
    /// Input and output channels of one group.
    c: i64,
    m: i64,
    images: Images,
    /// Extents of an image.
    input: Vec<Dim>,
    output: Vec<Dim>,
}

/// A stage that is a convolution.
pub(crate) fn convolution(s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
    let stage = *run.first()?;
    let found = products(s.program, stage).filter(|it| !it.floats)?;
    let [first, second] = found.terms;
    if found.terms.iter().any(|it| it.scale.is_some()) {
        return None;
    }
    let (shape, x, w) = match recognise(s, stage, &first, &second) {
        Some(shape) => (shape, first, second),
        None => (recognise(s, stage, &second, &first)?, second, first),
    };
    // Images of integers are not converted to floats while they are unfolded.
    if found.arithmetic == Arithmetic::Float && x.element.is_narrow_int() {
        return None;
    }
    let taps = shape.geometry.taps();
    let single = shape.c == 1 && shape.m == 1 && shape.groups > 1;
    // Planes are read alone where vectors can be; others are groups of one channel.
    let image = Source { element: x.element, zero: shape.x_zero.is_some(), arithmetic: found.arithmetic };
    let laws = shape.geometry.reads(&mut s.shapes, &image);
    let in_fours = x.element.bytes() == 1 && shape.geometry.0.last().is_some_and(|it| 4 % it.stride == 0);
    let depthwise = single && (in_fours || unproven(&s.shapes, &laws).is_none());
    // Panels that are made when the program is compiled have one zero point.
    let each = shape.w_zero.as_ref().is_some_and(|it| it.1 == Zero::Each);
    let place = s.packable(shape.w).filter(|_| !depthwise && !each);
    // Signed bytes without zero points can be multiplied as they are.
    let signed = are_signed_bytes(w.element) && shape.w_zero.is_none() && x.element.is_byte();
    let arithmetic = match found.arithmetic {
        Arithmetic::Pairs if depthwise => Arithmetic::Int,
        Arithmetic::Pairs if place.is_some() && signed && s.isa.has_byte_dot() => Arithmetic::Quads(Side::A),
        other => other,
    };
    let source = Source { element: x.element, zero: shape.x_zero.is_some(), arithmetic };
    let layout = if place.is_some() { Layout::Packed } else { Layout::RowMajor };
    let weights = Factor {
        layout,
        element: w.element,
        zero: shape.w_zero.as_ref().map(|it| it.1),
        packing: match layout {
            Layout::Packed => Packing::of(arithmetic, w.element),
            _ => Packing::NONE,
        },
    };
    let steps = shape.c * taps / arithmetic.terms();
    let whole = depthwise || steps <= 2 * s.blocking.depth;
    let most = if depthwise { usize::MAX } else { MOST_REPEATED };
    let width = arithmetic.width();
    let (chain, operands) = epilogue(s, run, width, whole.then_some(most));
    let kinds: Vec<Kind> = operands.iter().map(|it| it.1).collect();
    let plane = s.shapes.product(&shape.output).ok()?;
    let zero = s.shapes.int(0);
    let mut args = vec![
        Arg::Pointer(shape.x, zero),
        Arg::Pointer(shape.w, zero),
        Arg::Pointer(chain.target, zero),
        Arg::Size(shape.batch),
    ];
    let epilogue = chain.steps(&kinds);
    let y = chain.element;
    let geometry = shape.geometry.clone();
    let slides = geometry.to_string();
    let key = format!("{geometry:?} {source:?} {weights:?} {}", chain.key(&kinds));
    // The first output channel of a call, where these are divided.
    let mut channel = zero;
    let (symbol, workspace, units, kind) = if depthwise {
        let channels = s.shapes.int(shape.groups);
        let planes = s.shapes.mul(shape.batch, channels).ok()?;
        let (first, last, units) = s.range(1, planes)?;
        args.push(Arg::Size(channels));
        s.lawful(|shapes| geometry.laws(Form::Unfolded, shapes, &shape.images))?;
        let images = Factor {
            layout: Layout::RowMajor,
            element: x.element,
            zero: shape.x_zero.is_some().then_some(Zero::One),
            packing: Packing::NONE,
        };
        let bytes = Depthwise::planes(&geometry).map(|slides| Depthwise {
            isa: s.isa,
            slides,
            x: images,
            weights,
            y,
            epilogue: epilogue.clone(),
        });
        let (symbol, workspace) = if let Some(bytes) = bytes.filter(Depthwise::fits) {
            let one = s.shapes.int(1);
            for extents in [&shape.input, &shape.output] {
                args.extend(std::iter::repeat_n(Arg::Size(one), 2 - extents.len()));
                args.extend(extents.iter().map(|it| Arg::Size(*it)));
            }
            args.push(Arg::Workspace(zero));
            let row = *shape.output.last()?;
            let workspace = bytes.workspace(&mut s.shapes, row).ok()?;
            (s.routine("depthwise", &key, || Routine::Depthwise(Box::new(bytes))), workspace)
        } else {
            args.extend(shape.input.iter().chain(&shape.output).map(|it| Arg::Size(*it)));
            s.lawful(|shapes| Ok(geometry.reads(shapes, &source).into()))?;
            let routine = SlidingWindow {
                isa: s.isa,
                window: Window::Weights,
                geometry,
                x: source,
                weights,
                y,
                epilogue,
            };
            (s.routine("depthwise", &key, || Routine::Window(Box::new(routine))), zero)
        };
        args.extend([Arg::Size(first), Arg::Size(last)]);
        (symbol, workspace, units, "depthwise")
    } else {
        let form = geometry.form(&mut s.shapes, &shape.images)?;
        let (first, last, m, units) = match shape.channel_unit(s, form, plane) {
            None => {
                let (first, last, units) = s.range(PLANE_UNIT, plane)?;
                (first, last, s.shapes.int(shape.m), units)
            }
            Some(unit) => {
                let whole = s.shapes.int(shape.m);
                let (begin, end, units) = s.range(unit, whole)?;
                channel = begin;
                let row = match layout {
                    Layout::Packed => {
                        let in_a_byte = weights.packing.in_a_byte;
                        let steps = (steps_of(&shape, arithmetic) + in_a_byte - 1) / in_a_byte;
                        steps * weights.unit(arithmetic).bytes() + arithmetic.sum_bytes(Side::A)
                    }
                    _ => shape.c * taps * w.element.bytes(),
                };
                args[1] = Arg::Pointer(shape.w, s.shapes.scale(begin, row).ok()?);
                let start = s.shapes.mul(begin, plane).ok()?;
                args[2] = Arg::Pointer(chain.target, s.shapes.scale(start, chain.element.bytes()).ok()?);
                (zero, plane, s.shapes.sub(end, begin).ok()?, units)
            }
        };
        let [groups, c] = [shape.groups, shape.c].map(|it| s.shapes.int(it));
        args.extend([groups, c, m].map(Arg::Size));
        args.extend(shape.input.iter().chain(&shape.output).map(|it| Arg::Size(*it)));
        args.push(Arg::Workspace(zero));
        args.extend([Arg::Size(first), Arg::Size(last)]);
        let m = Some(shape.m);
        let (tile, blocking) = (s.tile, s.blocking);
        let routine =
            Convolution { isa: s.isa, geometry, x: source, weights, y, form, m, epilogue, tile, blocking };
        let workspace = s.shapes.int(routine.workspace(shape.c, shape.m));
        let key = format!("{form:?} {} {key}", shape.m);
        let symbol = s.routine("convolution", &key, || Routine::Convolution(Box::new(routine)));
        if let Some(place) = place {
            s.claim(
                place,
                ParamForm::Panels(Panels {
                    element: w.element.bytes(),
                    in_a_byte: arithmetic.in_a_byte(w.element),
                    flat: arithmetic.in_a_byte(w.element) > 1,
                    block: shape.c,
                    groups: shape.groups,
                    group_stride: shape.m * shape.c * taps,
                    count: shape.m,
                    stride: shape.c * taps,
                    depth: shape.c,
                    depth_stride: taps,
                    inner: taps,
                    inner_stride: 1,
                    width: i64::from(s.tile.rows),
                    terms: arithmetic.terms(),
                    sums: arithmetic.sum_bytes(Side::A) > 0,
                }),
            );
        }
        (symbol, workspace, units, "convolution")
    };
    let own = |it: &Zero| if *it == Zero::Each { channel } else { zero };
    for (access, size, first) in [
        shape.x_zero.as_ref().map(|it| (it, x.element.bytes(), zero)),
        shape.w_zero.as_ref().map(|it| (&it.0, w.element.bytes(), own(&it.1))),
    ]
    .into_iter()
    .flatten()
    {
        let start = access.bytes_at(&mut s.shapes, &[], size)?;
        let skip = s.shapes.scale(first, size).ok()?;
        args.push(Arg::Pointer(access.buffer, s.shapes.add(start, skip).ok()?));
    }
    for (buffer, (kind, element)) in &operands {
        let first = match kind {
            Operand::Full => s.shapes.mul(channel, plane).ok()?,
            Operand::Row => channel,
            Operand::Scalar | Operand::Column => zero,
        };
        args.push(Arg::Pointer(*buffer, s.shapes.scale(first, element.bytes()).ok()?));
        if *kind == Operand::Full {
            args.push(Arg::Size(s.shapes.scale(plane, element.bytes()).ok()?));
        }
    }
    let fused = if chain.is_empty() { String::new() } else { format!(", {} fused", chain.stages) };
    let integers = match arithmetic {
        Arithmetic::Float | Arithmetic::Double => "",
        Arithmetic::Int | Arithmetic::Long => "integer ",
        Arithmetic::Pairs => "paired integer ",
        Arithmetic::Quads(_) => "byte ",
    };
    let what =
        format!("{integers}{kind} {slides}, {} groups of {} to {}{fused}", shape.groups, shape.c, shape.m);
    let node = Node::Call(Box::new(Call { symbol, args, workspace, what }));
    let rate = if depthwise { PLAIN } else { PRODUCT };
    Some(Match { node, stages: 1 + chain.stages, units: s.ranged.then_some(units), rate })
}

/// Steps of the sum over all input channels.
fn steps_of(shape: &Shape, arithmetic: Arithmetic) -> i64 {
    (shape.c + arithmetic.terms() - 1) / arithmetic.terms() * shape.geometry.taps()
}

impl Shape {
    /// How many output channels are a unit of parallel work; none where outputs of a plane are divided, of which there are
    /// enough, or where images and groups follow each other.
    fn channel_unit(&self, s: &Selector<'_>, form: Form, plane: Dim) -> Option<i64> {
        let least = CHANNEL_UNITS.iter().find(|it| it.0 == form)?.1;
        let rows = i64::from(s.tile.rows);
        let unit = (least + rows - 1) / rows * rows;
        let few = s.shapes.as_int(plane).is_some_and(|it| it <= 2 * PLANE_UNIT);
        let alone = self.groups == 1 && s.shapes.as_int(self.batch) == Some(1);
        (s.ranged && few && alone && self.m > unit).then_some(unit)
    }
}

/// Whether a load is of the same place as another.
fn same_load(program: &TensorProgram, one: ExprId, other: ExprId) -> bool {
    match (&program.exprs[one], &program.exprs[other]) {
        (Expr::Load { buffer, at, otherwise: None }, Expr::Load { buffer: b, at: a, otherwise: None }) => {
            buffer == b && at == a
        }
        _ => false,
    }
}

fn recognise(s: &mut Selector<'_>, stage: &Stage, x_term: &Term, w_term: &Term) -> Option<Shape> {
    let (x, w) = (x_term.load, w_term.load);
    let program = s.program;
    let Expr::Load { buffer: xb, at: x_at, otherwise } = &program.exprs[x] else { return None };
    let Expr::Load { buffer: wb, at: w_at, otherwise: None } = &program.exprs[w] else { return None };
    // What lies outside of the image is 0 when it is multiplied.
    if let Some(otherwise) = otherwise {
        let nothing = match x_term.zero {
            Some(zero) => same_load(program, *otherwise, zero),
            None => match &program.exprs[*otherwise] {
                Expr::Float(value, _) => *value == 0.0,
                Expr::Int(value, _) => *value == 0,
                _ => false,
            },
        };
        if !nothing {
            return None;
        }
    }
    let zero_point = |s: &mut Selector<'_>, term: &Term| -> Option<Option<Access>> {
        let Some(zero) = term.zero else { return Some(None) };
        let Expr::Load { buffer, at, otherwise: None } = &program.exprs[zero] else { return None };
        Access::new(program, &mut s.shapes, *buffer, at, &symbols(stage)).map(Some)
    };
    let x_zero = zero_point(s, x_term)?;
    if x_zero.as_ref().is_some_and(|it| symbols(stage).iter().any(|axis| it.uses(*axis))) {
        return None;
    }
    let rank = x_at.len();
    let spatial = rank.checked_sub(2).filter(|it| *it > 0)?;
    let dims = |list: &[Index]| list.iter().map(Index::dim).collect::<Option<Vec<Dim>>>();
    let (x_at, w_at, at) = (dims(x_at)?, dims(w_at)?, dims(&stage.at)?);
    if w_at.len() != rank || at.len() != rank {
        return None;
    }
    let x_dims = program.buffers[*xb].dims.clone();
    let w_dims = program.buffers[*wb].dims.clone();
    let out_dims = program.buffers[stage.buffer].dims.clone();
    if x_at[0] != at[0] || w_at[0] != at[1] {
        return None;
    }
    // Input channel: group · c + inner, and the inner one is that of the weights.
    let c = s.shapes.as_int(w_dims[1])?;
    let out_channels = s.shapes.as_int(out_dims[1])?;
    let in_channels = s.shapes.as_int(x_dims[1])?;
    if s.shapes.as_int(w_dims[0]) != Some(out_channels) || c == 0 || in_channels % c != 0 {
        return None;
    }
    let groups = in_channels / c;
    if groups == 0 || out_channels % groups != 0 {
        return None;
    }
    let m = out_channels / groups;
    let w_zero = match zero_point(s, w_term)? {
        None => None,
        Some(access) if !symbols(stage).iter().any(|axis| access.uses(*axis)) => Some((access, Zero::One)),
        Some(access) => {
            let zero = w_term.zero?;
            let Expr::Load { at: of, .. } = &program.exprs[zero] else { return None };
            let along: Vec<&Index> =
                of.iter().filter(|it| it.dim().is_none_or(|it| s.shapes.as_int(it) != Some(0))).collect();
            let whole = along.len() == 1 && along[0].dim() == Some(at[1]);
            // The channels are the last dimension that is not of one element.
            let dense = s.shapes.as_int(access.rest) == Some(0);
            (whole && dense).then_some((access, Zero::Each)).map(Some)?
        }
    };
    let group_part = s.shapes.sub(x_at[1], w_at[1]).ok()?;
    let channel = at[1];
    // What the indices of the result and of the sum are, with the extents that the routine runs over.
    let mut result = vec![(at[0], out_dims[0])];
    let mut sum = vec![(w_at[1], w_dims[1])];
    if groups == 1 {
        if s.shapes.as_int(group_part) != Some(0) {
            return None;
        }
        result.push((channel, out_dims[1]));
    } else {
        // The group is an axis of the stage, alone or with the channel inside it.
        let is_group =
            |it: &&Axis| s.shapes.as_int(it.extent) == Some(groups) && s.shapes.mentions(group_part, it.var);
        let group = stage.axes.iter().find(is_group)?.var;
        let (x_group, x_rest) = s.shapes.affine_in(group_part, group)?;
        let (o_group, o_rest) = s.shapes.affine_in(channel, group)?;
        let int = |dim: Dim| s.shapes.as_int(dim);
        if int(x_group) != Some(c) || int(x_rest) != Some(0) || int(o_group) != Some(m) {
            return None;
        }
        result.push((s.shapes.sym_dim(group), s.shapes.int(groups)));
        result.push((o_rest, s.shapes.int(m)));
    }
    for i in 2..rank {
        result.push((at[i], out_dims[i]));
        sum.push((w_at[i], w_dims[i]));
    }
    if !spans(&s.shapes, &stage.axes, &result) || !spans(&s.shapes, &stage.reduce, &sum) {
        return None;
    }
    let mut sliding = Sliding::new(s, spatial);
    for i in 0..spatial {
        let slide =
            spatial_dim(s, stage, x_at[2 + i], at[2 + i], out_dims[2 + i], w_at[2 + i], w_dims[2 + i])?;
        if slide.padding != 0 && otherwise.is_none() {
            return None;
        }
        sliding.push(slide, x_dims[2 + i], out_dims[2 + i]);
    }
    let Sliding { geometry, input, output } = sliding;
    let images =
        Images { input: [&x_dims[..2], &input].concat(), output: [&out_dims[..2], &output].concat() };
    let batch = out_dims[0];
    Some(Shape { x: *xb, w: *wb, x_zero, w_zero, geometry, batch, groups, c, m, images, input, output })
}

/// What of `x = stride·o + dilation·k − padding` are constants.
fn spatial_dim(
    s: &mut Selector<'_>,
    stage: &Stage,
    x: Dim,
    o: Dim,
    o_extent: Dim,
    k: Dim,
    k_extent: Dim,
) -> Option<Slide> {
    let kernel = s.shapes.as_int(k_extent)?;
    let (mut rest, mut stride, mut dilation) = (x, 1, 1);
    match s.shapes.as_sym(o) {
        Some(o) if stage.axes.iter().any(|it| it.var == o) => {
            let (coefficient, without) = s.shapes.affine_in(rest, o)?;
            stride = s.shapes.as_int(coefficient)?;
            rest = without;
        }
        _ if s.shapes.as_int(o) == Some(0) && s.shapes.as_int(o_extent) == Some(1) => {}
        _ => return None,
    }
    match s.shapes.as_sym(k) {
        Some(k) if stage.reduce.iter().any(|it| it.var == k) => {
            let (coefficient, without) = s.shapes.affine_in(rest, k)?;
            dilation = s.shapes.as_int(coefficient)?;
            rest = without;
        }
        _ if s.shapes.as_int(k) == Some(0) && kernel == 1 => {}
        _ => return None,
    }
    let padding = -s.shapes.as_int(rest)?;
    let sane = (1..=64).contains(&stride) && (1..=64).contains(&dilation) && (1..=64).contains(&kernel);
    (sane && (0..=1024).contains(&padding)).then_some(Slide { kernel, stride, dilation, padding })
}

/// The axes of images.
struct Sliding {
    geometry: Geometry,
    /// Extents of an image.
    input: Vec<Dim>,
    output: Vec<Dim>,
}

impl Sliding {
    /// An image of one axis is one row.
    fn new(s: &mut Selector<'_>, spatial: usize) -> Sliding {
        let rows = usize::from(spatial == 1);
        let one = s.shapes.int(1);
        Sliding {
            geometry: Geometry(vec![Slide::new(1); rows]),
            input: vec![one; rows],
            output: vec![one; rows],
        }
    }

    fn push(&mut self, slide: Slide, input: Dim, output: Dim) {
        self.geometry.0.push(slide);
        self.input.push(input);
        self.output.push(output);
    }
}

/// A stage that is a pooling: the sum or the largest of a window that slides over planes.
pub(crate) fn pooling(s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
    let stage = *run.first()?;
    let program = s.program;
    let window = match stage.combine? {
        Combine::Sum => Window::Sum,
        Combine::Max => Window::Max,
        Combine::Product | Combine::Min => return None,
    };
    let to = program.buffers[stage.buffer].dtype;
    // Sums may be of a wider type than what is added.
    let value = match &program.exprs[stage.value] {
        Expr::Cast(dtype, inner) if *dtype == to && to == DType::F32 => *inner,
        _ => stage.value,
    };
    let Expr::Load { buffer: x, at: x_at, otherwise } = &program.exprs[value] else { return None };
    let from = program.buffers[*x].dtype;
    let (width, element) =
        Width::FLOATS.into_iter().find_map(|it| Some((it, Element::ordered(from, it)?)))?;
    let arithmetic = match (Class::of(from, width)?, width) {
        (Class::Float, Width::W32) => Arithmetic::Float,
        (Class::Float, Width::W64) => Arithmetic::Double,
        (Class::Int, Width::W32) => Arithmetic::Int,
        (Class::Int, Width::W64) => Arithmetic::Long,
        (Class::Mask | Class::Half, _) | (_, Width::W8 | Width::W16) => return None,
    };
    // Narrower sums would wrap, or be rounded, after each summand.
    if !(from == to || arithmetic == Arithmetic::Float && to == DType::F32)
        || window == Window::Sum && Element::in_lanes(to, width) != Some(Element::lane(width))
    {
        return None;
    }
    if let Some(otherwise) = otherwise {
        let outside = match (window, &program.exprs[*otherwise]) {
            (Window::Max, Expr::Float(value, _)) => *value == f64::NEG_INFINITY,
            (Window::Max, Expr::Int(value, _)) => *value == element.least(),
            (_, Expr::Float(value, _)) => *value == 0.0,
            (_, Expr::Int(value, _)) => *value == 0,
            _ => false,
        };
        if !outside {
            return None;
        }
    }
    let dims = |list: &[Index]| list.iter().map(Index::dim).collect::<Option<Vec<Dim>>>();
    let (x_at, at) = (dims(x_at)?, dims(&stage.at)?);
    let spatial = x_at.len().checked_sub(2).filter(|it| *it > 0)?;
    let x_dims = program.buffers[*x].dims.clone();
    let out_dims = program.buffers[stage.buffer].dims.clone();
    if at.len() != x_at.len() || x_at[..2] != at[..2] || x_dims[..2] != out_dims[..2] {
        return None;
    }
    if !super::epilogue::is_fill(program, stage) {
        return None;
    }
    let one = s.shapes.int(1);
    let mut sliding = Sliding::new(s, spatial);
    let mut taps = Vec::new();
    for i in 0..spatial {
        let symbols = s.shapes.free_symbols(x_at[2 + i]);
        let tap = stage.reduce.iter().find(|it| symbols.contains(&it.var)).copied();
        let (k, k_extent) = match tap {
            Some(tap) => (s.shapes.sym_dim(tap.var), tap.extent),
            None => (s.shapes.int(0), one),
        };
        taps.push((k, k_extent));
        let slide = spatial_dim(s, stage, x_at[2 + i], at[2 + i], out_dims[2 + i], k, k_extent)?;
        if slide.padding != 0 && otherwise.is_none() {
            return None;
        }
        sliding.push(slide, x_dims[2 + i], out_dims[2 + i]);
    }
    let Sliding { geometry, input, output } = sliding;
    if !spans(&s.shapes, &stage.reduce, &taps) {
        return None;
    }
    let images =
        Images { input: [&x_dims[..2], &input].concat(), output: [&out_dims[..2], &output].concat() };
    s.lawful(|shapes| geometry.laws(Form::Unfolded, shapes, &images))?;
    let source = Source { element, zero: false, arithmetic };
    s.lawful(|shapes| Ok(geometry.reads(shapes, &source).into()))?;
    let (chain, operands) = epilogue(s, run, width, Some(usize::MAX));
    let kinds: Vec<Kind> = operands.iter().map(|it| it.1).collect();
    let zero = s.shapes.int(0);
    let planes = s.shapes.mul(out_dims[0], out_dims[1]).ok()?;
    let (first, last, units) = s.range(1, planes)?;
    let plane = s.shapes.product(&output).ok()?;
    let mut args = vec![
        Arg::Pointer(*x, zero),
        Arg::Pointer(*x, zero),
        Arg::Pointer(chain.target, zero),
        Arg::Size(out_dims[0]),
        Arg::Size(out_dims[1]),
    ];
    args.extend(input.iter().chain(&output).chain(&[first, last]).map(|it| Arg::Size(*it)));
    for (buffer, (kind, element)) in &operands {
        args.push(Arg::Pointer(*buffer, zero));
        if *kind == Operand::Full {
            args.push(Arg::Size(s.shapes.scale(plane, element.bytes()).ok()?));
        }
    }
    let key = format!("{window:?} {geometry:?} {source:?} {}", chain.key(&kinds));
    let slides = geometry.to_string();
    let routine = SlidingWindow {
        isa: s.isa,
        window,
        geometry,
        x: source,
        weights: Factor::lanes(Layout::RowMajor, arithmetic),
        y: chain.element,
        epilogue: chain.steps(&kinds),
    };
    let symbol = s.routine("pool", &key, || Routine::Window(Box::new(routine)));
    let what = format!("pool {window:?} {slides}");
    let node = Node::Call(Box::new(Call { symbol, args, workspace: zero, what }));
    Some(Match { node, stages: 1 + chain.stages, units: s.ranged.then_some(units), rate: PLAIN })
}

/// The elementwise stages that follow, with the buffer and kind of each operand. `narrow` says whether the final value may
/// be narrower than a lane, and how many instructions there may be then.
fn epilogue(
    s: &mut Selector<'_>,
    run: &[&Stage],
    width: Width,
    narrow: Option<usize>,
) -> (Chain, Vec<(BufferId, Kind)>) {
    let program = s.program;
    let mut shapes = s.shapes.clone();
    let mut bind = |at: usize, id: ExprId| -> Option<(BufferId, Kind)> {
        let stage = run[at];
        let Expr::Load { buffer, at: index, otherwise: None } = &program.exprs[id] else { return None };
        let element = Element::in_lanes(program.buffers[*buffer].dtype, width)?;
        let axes = symbols(stage);
        let single = single_axes(&shapes, stage);
        let mut access = Access::new(program, &mut shapes, *buffer, index, &axes)?;
        let mut own = Access::new(program, &mut shapes, stage.buffer, &stage.at, &axes)?;
        access.drop_axes(&single);
        own.drop_axes(&single);
        if shapes.as_int(access.rest) != Some(0) {
            return None;
        }
        if access.same_position(&own) {
            return Some((*buffer, (Operand::Full, element)));
        }
        if !axes.iter().any(|it| access.uses(*it)) {
            return Some((*buffer, (Operand::Scalar, element)));
        }
        // By channel: the second dimension of the result alone, densely.
        let channel = shapes.as_sym(stage.at.get(1)?.dim()?)?;
        let mut rest = axes.iter().filter(|it| !single.contains(it));
        let only = rest.all(|it| (*it == channel) == access.uses(*it));
        let dense = only && shapes.as_int(access.of(channel)?) == Some(1);
        dense.then_some((*buffer, (Operand::Row, element)))
    };
    let bound = |found: &Chain, bind: &mut dyn FnMut(usize, ExprId) -> Option<(BufferId, Kind)>| {
        found.operands.iter().filter_map(|(at, id)| bind(*at, *id)).collect::<Vec<_>>()
    };
    let mut found = chain(program, run, width, narrow.is_some(), &mut |at, id| bind(at, id).is_some());
    let mut operands = bound(&found, &mut bind);
    let kinds: Vec<Kind> = operands.iter().map(|it| it.1).collect();
    if found.element != Element::lane(width)
        && narrow.is_some_and(|most| epilogue::length(&found.steps(&kinds), width) > most)
    {
        found = chain(program, run, width, false, &mut |at, id| bind(at, id).is_some());
        operands = bound(&found, &mut bind);
    }
    s.shapes = shapes;
    (found, operands)
}
