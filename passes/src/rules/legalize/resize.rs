//! Resize: for each resized axis a table of source positions (and weights), then one stage that reads through them. Linear
//! blends are a stage for each axis, without a table where few fractions repeat.
//!
//! Coordinates follow the ONNX definition: the position `o` of a result maps to `x` in the operand, `x` is rounded
//! (`nearest`) or its neighbours are blended (`linear`: 2, `cubic`: 4 along each axis), positions outside are clamped.

use super::context::wide;
use super::{LegalizeFn, Legalizer, Lowering};
use orogen_ir::diag::Diagnostic;
use orogen_ir::loops::{BinaryOp, BufferId, BuildResult, Combine, CompareOp, ExprId, Index, UnaryOp};
use orogen_ir::shape::{Dim, gcd};
use orogen_ir::types::{DType, Dims};

pub(super) const ROWS: &[(&str, LegalizeFn)] = &[("resize", resize)];

/// One axis whose size or scale changes.
struct Resized {
    axis: usize,
    input: Dim,
    output: Dim,
    /// The model's scale; without it, output / input.
    scale: Option<f64>,
}

fn resize(mut cx: Legalizer<'_>) -> Result<Lowering, Diagnostic> {
    let (x, dims) = cx.operand(0)?;
    let out = cx.output(0)?;
    let out_dims = cx.b.buffer_dims(out);
    let scales = cx.attrs.floats("scales");
    let mut resized = Vec::new();
    for (axis, (input, output)) in dims.iter().zip(&out_dims).enumerate() {
        let scale = scales.map(|it| it[axis]);
        if input != output || scale.is_some_and(|it| it != 1.0) {
            resized.push(Resized { axis, input: *input, output: *output, scale });
        }
    }
    match cx.attrs.str("mode").unwrap_or("nearest") {
        "linear" => linear(&mut cx, x, out, &resized)?,
        "cubic" => cubic(&mut cx, x, out, &resized)?,
        _ => nearest(&mut cx, x, out, &resized)?,
    }
    cx.finish()
}

impl Resized {
    /// The constant factor when `x = ⌊o / factor⌋` is exactly the nearest position.
    fn repeat(&self, cx: &mut Legalizer<'_>) -> Option<i64> {
        let quotient = cx.b.shapes().floor_div_dim(self.output, self.input).ok()?;
        let factor = cx.as_int(quotient).filter(|it| *it >= 1)?;
        let whole = cx.b.shapes().scale(self.input, factor).ok()? == self.output;
        let same_scale = self.scale.is_none_or(|it| it == factor as f64);
        let coordinates = cx.attrs.str("coordinates").unwrap_or("half_pixel");
        let rounding = cx.attrs.str("nearest").unwrap_or("round_prefer_floor");
        let plain = match coordinates {
            "asymmetric" => rounding == "floor",
            "half_pixel" | "pytorch_half_pixel" | "half_pixel_symmetric" => rounding.starts_with("round"),
            _ => false,
        };
        (whole && same_scale && plain).then_some(factor)
    }

    /// The operand's coordinate of result position `o`, in f64.
    fn coordinate(&self, cx: &mut Legalizer<'_>, o: Dim) -> BuildResult<ExprId> {
        use BinaryOp::{Add, Div, Mul, Sub};
        let position = cx.dim_as(o, DType::F64)?;
        let (input, output) = (cx.dim_as(self.input, DType::F64)?, cx.dim_as(self.output, DType::F64)?);
        let (half, one) = (cx.b.float(0.5, DType::F64)?, cx.b.float(1.0, DType::F64)?);
        let zero = cx.b.float(0.0, DType::F64)?;
        let scale = self.scale.map(|it| cx.b.float(it, DType::F64)).transpose()?;
        // Sizes give a fraction: one rounding, and none where the position is a whole number.
        let scaled_back = |cx: &mut Legalizer<'_>, position| match scale {
            Some(scale) => cx.b.binary(Div, position, scale),
            None => {
                let product = cx.b.binary(Mul, position, input)?;
                cx.b.binary(Div, product, output)
            }
        };
        let half_pixel = |cx: &mut Legalizer<'_>| {
            let center = cx.b.binary(Add, position, half)?;
            let center = scaled_back(cx, center)?;
            cx.b.binary(Sub, center, half)
        };
        match cx.attrs.str("coordinates").unwrap_or("half_pixel") {
            "asymmetric" => scaled_back(cx, position),
            "align_corners" => {
                let (from, to) = (cx.b.binary(Sub, input, one)?, cx.b.binary(Sub, output, one)?);
                let scaled = cx.b.binary(Mul, position, from)?;
                let value = cx.b.binary(Div, scaled, to)?;
                let several = cx.b.compare(CompareOp::Gt, output, one)?;
                cx.b.select(several, value, zero)
            }
            "pytorch_half_pixel" => {
                let value = half_pixel(cx)?;
                let several = cx.b.compare(CompareOp::Gt, output, one)?;
                cx.b.select(several, value, zero)
            }
            "half_pixel_symmetric" => {
                let Some(scale) = scale else { return half_pixel(cx) };
                // The center of the exact, unrounded output is the center of the input.
                let exact = cx.b.binary(Mul, scale, input)?;
                let adjustment = cx.b.binary(Div, output, exact)?;
                let center = cx.b.binary(Mul, input, half)?;
                let factor = cx.b.binary(Sub, one, adjustment)?;
                let offset = cx.b.binary(Mul, center, factor)?;
                let value = half_pixel(cx)?;
                cx.b.binary(Add, offset, value)
            }
            _ => half_pixel(cx),
        }
    }

    /// The type of positions: the narrower it is, the more of them a vector holds.
    fn position_type(&self, cx: &mut Legalizer<'_>) -> DType {
        let narrow = cx.as_int(self.input).is_some_and(|it| i32::try_from(it).is_ok());
        if narrow { DType::I32 } else { DType::I64 }
    }

    /// A whole f64 as a position of the operand.
    fn clamped(&self, cx: &mut Legalizer<'_>, position: ExprId) -> BuildResult<ExprId> {
        let position = cx.b.cast(DType::I64, position);
        let last = cx.linear(self.input, 1, -1)?;
        let (zero, last) = (cx.b.int(0, DType::I64)?, cx.dim_as(last, DType::I64)?);
        let position = cx.b.binary(BinaryOp::Max, position, zero)?;
        let position = cx.b.binary(BinaryOp::Min, position, last)?;
        let dtype = self.position_type(cx);
        Ok(cx.b.cast(dtype, position))
    }

    /// A local `[output]` filled from the coordinate of each position.
    fn table(
        &self,
        cx: &mut Legalizer<'_>,
        name: &str,
        dtype: DType,
        value: impl FnOnce(&mut Legalizer<'_>, ExprId) -> BuildResult<ExprId>,
    ) -> BuildResult<BufferId> {
        let table = cx.b.local(&format!("{name}{}", self.axis), dtype, &[self.output]);
        let axis = cx.b.axis("o", self.output);
        let o = cx.b.var(axis);
        let coordinate = self.coordinate(cx, o)?;
        let value = value(cx, coordinate)?;
        cx.b.stage(&[axis], table, [o], value)?;
        Ok(table)
    }
}

fn nearest(cx: &mut Legalizer<'_>, x: BufferId, out: BufferId, resized: &[Resized]) -> BuildResult<()> {
    let rounding = cx.attrs.str("nearest").unwrap_or("round_prefer_floor");
    let mut sources = Vec::new();
    for it in resized {
        if let Some(factor) = it.repeat(cx) {
            sources.push((it.axis, Source::Repeat(factor)));
            continue;
        }
        let positions = it.position_type(cx);
        let table = it.table(cx, "source", positions, |cx, coordinate| {
            let half = cx.b.float(0.5, DType::F64)?;
            let (shifted, op) = match rounding {
                "floor" => (coordinate, UnaryOp::Floor),
                "ceil" => (coordinate, UnaryOp::Ceil),
                "round_prefer_ceil" => (cx.b.binary(BinaryOp::Add, coordinate, half)?, UnaryOp::Floor),
                _ => (cx.b.binary(BinaryOp::Sub, coordinate, half)?, UnaryOp::Ceil),
            };
            let whole = cx.b.unary(op, shifted)?;
            it.clamped(cx, whole)
        })?;
        sources.push((it.axis, Source::Table(table)));
    }
    let out_dims = cx.b.buffer_dims(out);
    let axes = cx.b.axes("i", &out_dims);
    let vars = cx.b.vars(&axes);
    let mut at: Vec<Index> = vars.iter().map(|it| (*it).into()).collect();
    for (axis, source) in sources {
        at[axis] = match source {
            Source::Repeat(factor) => {
                cx.b.shapes().floor_div(vars[axis], factor).map_err(super::context::overflow)?.into()
            }
            Source::Table(table) => cx.b.load(table, [vars[axis]])?.into(),
        };
    }
    let value = cx.load_clamped(x, at)?;
    cx.b.stage(&axes, out, vars, value)
}

/// Where the position along an axis comes from.
enum Source {
    /// Each element this many times.
    Repeat(i64),
    /// A table of positions.
    Table(BufferId),
}

/// Axis by axis, the outermost first, so that the innermost one, whose elements are picked one by one, has no more rows
/// than the result: `low + fraction · (high − low)` of two neighbours.
fn linear(cx: &mut Legalizer<'_>, x: BufferId, out: BufferId, resized: &[Resized]) -> BuildResult<()> {
    if resized.is_empty() {
        return nearest(cx, x, out, resized);
    }
    let dtype = wide(cx.b.buffer_dtype(x));
    let mut dims = cx.b.buffer_dims(x);
    let mut from = x;
    for (i, it) in resized.iter().enumerate() {
        dims[it.axis] = it.output;
        let to =
            if i + 1 == resized.len() { out } else { cx.b.local(&format!("blend{}", it.axis), dtype, &dims) };
        let innermost = it.axis + 1 == dims.len();
        let phases = if innermost { it.phases(cx)? } else { None };
        let taken = match phases {
            Some(phases) => Taken::Phases(phases),
            None => it.tables(cx, dtype)?,
        };
        let axes = cx.b.axes("i", &dims);
        let vars = cx.b.vars(&axes);
        let (low, high, fraction) = match &taken {
            Taken::Phases(phases) => phases.at(cx, it, vars[it.axis], dtype)?,
            Taken::Tables { low, high, fraction } => {
                let var = vars[it.axis];
                let [low, high, fraction] = [low, high, fraction].map(|table| cx.b.load(*table, [var]));
                (low?.into(), high?.into(), fraction?)
            }
        };
        let element = |cx: &mut Legalizer<'_>, place: Index| -> BuildResult<ExprId> {
            let mut at: Vec<Index> = vars.iter().map(|it| (*it).into()).collect();
            at[it.axis] = place;
            let value = cx.load_clamped(from, at)?;
            Ok(cx.b.cast(dtype, value))
        };
        let (low, high) = (element(cx, low)?, element(cx, high)?);
        let difference = cx.b.binary(BinaryOp::Sub, high, low)?;
        let step = cx.b.binary(BinaryOp::Mul, fraction, difference)?;
        let value = cx.b.binary(BinaryOp::Add, low, step)?;
        let value = cx.b.cast(cx.b.buffer_dtype(to), value);
        cx.b.stage(&axes, to, vars, value)?;
        from = to;
    }
    Ok(())
}

/// How neighbours and the distance between them are found along an axis.
enum Taken {
    /// By what is the same for each of a few neighbouring elements.
    Phases(Phases),
    /// By tables.
    Tables { low: BufferId, high: BufferId, fraction: BufferId },
}

/// Coordinates `(slope · o + start) / by`, of which few have different fractions.
struct Phases {
    slope: i64,
    start: i64,
    by: i64,
    /// After so many positions fractions are the same again.
    period: i64,
}

impl Resized {
    fn tables(&self, cx: &mut Legalizer<'_>, dtype: DType) -> BuildResult<Taken> {
        let positions = self.position_type(cx);
        let low = self.table(cx, "low", positions, |cx, coordinate| {
            let whole = cx.b.unary(UnaryOp::Floor, coordinate)?;
            self.clamped(cx, whole)
        })?;
        let high = self.table(cx, "high", positions, |cx, coordinate| {
            let (whole, one) = (cx.b.unary(UnaryOp::Floor, coordinate)?, cx.b.float(1.0, DType::F64)?);
            let next = cx.b.binary(BinaryOp::Add, whole, one)?;
            self.clamped(cx, next)
        })?;
        let fraction = self.table(cx, "fraction", dtype, |cx, coordinate| {
            let whole = cx.b.unary(UnaryOp::Floor, coordinate)?;
            let fraction = cx.b.binary(BinaryOp::Sub, coordinate, whole)?;
            Ok(cx.b.cast(dtype, fraction))
        })?;
        Ok(Taken::Tables { low, high, fraction })
    }

    /// The coordinates as phases, where sizes are known, the scale is a simple fraction, and its phases are few.
    fn phases(&self, cx: &mut Legalizer<'_>) -> BuildResult<Option<Phases>> {
        const MOST: i64 = 1 << 20;
        let known = [self.input, self.output].map(|it| cx.as_int(it).filter(|it| (2..MOST).contains(it)));
        let [Some(input), Some(output)] = known else { return Ok(None) };
        let scale = match self.scale {
            None => Some((output, input)),
            Some(scale) => (1..=64i64).find_map(|by| {
                let whole = scale * by as f64;
                (whole.fract() == 0.0 && (1.0..MOST as f64).contains(&whole)).then_some((whole as i64, by))
            }),
        };
        let Some((up, down)) = scale else { return Ok(None) };
        // In whole numbers, so that nothing is rounded before the fraction.
        let (slope, start, by) = match cx.attrs.str("coordinates").unwrap_or("half_pixel") {
            "asymmetric" => (down, 0, up),
            "align_corners" => (input - 1, 0, output - 1),
            "half_pixel" | "pytorch_half_pixel" => (2 * down, down - up, 2 * up),
            _ => return Ok(None),
        };
        let gcd = |a: i64, b: i64| gcd(a.unsigned_abs(), b.unsigned_abs()) as i64;
        let common = gcd(gcd(slope, start), by);
        let (slope, start, by) = (slope / common, start / common, by / common);
        let period = by / gcd(slope, by);
        Ok((period <= 8 && period.count_ones() == 1).then_some(Phases { slope, start, by, period }))
    }
}

impl Phases {
    /// The positions of both neighbours of `o`, and the distance from the first one.
    fn at(
        &self,
        cx: &mut Legalizer<'_>,
        of: &Resized,
        o: Dim,
        dtype: DType,
    ) -> BuildResult<(Index, Index, ExprId)> {
        let number = cx.linear(o, self.slope, self.start)?;
        let low = cx.b.shapes().floor_div(number, self.by).map_err(super::context::overflow)?;
        let (zero, last) = (cx.b.shapes().int(0), cx.linear(of.input, 1, -1)?);
        let place = |cx: &mut Legalizer<'_>, place: Dim| -> BuildResult<Index> {
            let place = cx.b.shapes().max(&[place, zero]).map_err(super::context::overflow)?;
            Ok(cx.b.shapes().min(&[place, last]).map_err(super::context::overflow)?.into())
        };
        let high = cx.linear(low, 1, 1)?;
        let (low_place, high_place) = (place(cx, low)?, place(cx, high)?);
        let whole = cx.linear(low, self.by, 0)?;
        let rest = cx.sub(number, whole)?;
        let rest = cx.b.dim(rest, DType::I64)?;
        let phase = |o: i64| (self.slope * o + self.start).rem_euclid(self.by);
        let fraction = |cx: &mut Legalizer<'_>, o: i64| cx.b.float(phase(o) as f64 / self.by as f64, dtype);
        let mut value = fraction(cx, 0)?;
        for o in 1..self.period {
            let this = cx.b.int(phase(o), DType::I64)?;
            let here = cx.b.compare(CompareOp::Eq, rest, this)?;
            let own = fraction(cx, o)?;
            value = cx.b.select(here, own, value)?;
        }
        Ok((low_place, high_place, value))
    }
}

/// A weighted sum over four taps along each resized axis.
fn cubic(cx: &mut Legalizer<'_>, x: BufferId, out: BufferId, resized: &[Resized]) -> BuildResult<()> {
    let dtype = wide(cx.b.buffer_dtype(x));
    let mut tables = Vec::new();
    for it in resized {
        tables.push((it.axis, cubic_tables(cx, it, dtype)?));
    }
    let out_dims = cx.b.buffer_dims(out);
    let axes = cx.b.axes("i", &out_dims);
    let vars = cx.b.vars(&axes);
    let four = cx.b.shapes().int(4);
    let mut at: Vec<Index> = vars.iter().map(|it| (*it).into()).collect();
    let (mut taps, mut weights) = (Vec::new(), Vec::new());
    for (axis, (source, weight)) in tables {
        let tap = cx.b.axis(&format!("t{axis}"), four);
        taps.push(tap);
        let place: Dims = [vars[axis], cx.b.var(tap)].into_iter().collect();
        at[axis] = cx.b.load(source, place.iter().copied())?.into();
        weights.push(cx.b.load(weight, place)?);
    }
    let value = cx.load_clamped(x, at)?;
    let mut value = cx.b.cast(dtype, value);
    for weight in weights {
        value = cx.b.binary(BinaryOp::Mul, value, weight)?;
    }
    cx.reduce_into(&axes, &taps, Combine::Sum, out, &vars, value)
}

/// Positions and weights of the four taps, both `[output, 4]`.
fn cubic_tables(cx: &mut Legalizer<'_>, it: &Resized, dtype: DType) -> BuildResult<(BufferId, BufferId)> {
    use BinaryOp::{Div, Sub};
    let four = cx.b.shapes().int(4);
    let dims = [it.output, four];
    let positions = it.position_type(cx);
    let source = cx.b.local(&format!("source{}", it.axis), positions, &dims);
    let raw = cx.b.local(&format!("raw{}", it.axis), DType::F64, &dims);
    let total = cx.b.local(&format!("total{}", it.axis), DType::F64, &[it.output]);
    let weight = cx.b.local(&format!("weight{}", it.axis), dtype, &dims);

    let axes = cx.b.axes("i", &dims);
    let at = cx.b.vars(&axes);
    let (_, tap) = tap_position(cx, it, &at)?;
    let position = it.clamped(cx, tap)?;
    cx.b.stage(&axes, source, at, position)?;

    let axes = cx.b.axes("i", &dims);
    let at = cx.b.vars(&axes);
    let (coordinate, tap) = tap_position(cx, it, &at)?;
    let distance = cx.b.binary(Sub, coordinate, tap)?;
    let distance = cx.b.unary(UnaryOp::Abs, distance)?;
    let mut value = cubic_weight(cx, distance)?;
    if cx.flag("exclude_outside") {
        let (zero, input) = (cx.b.float(0.0, DType::F64)?, cx.dim_as(it.input, DType::F64)?);
        let (below, above) =
            (cx.b.compare(CompareOp::Lt, tap, zero)?, cx.b.compare(CompareOp::Ge, tap, input)?);
        let outside = cx.b.binary(BinaryOp::Or, below, above)?;
        value = cx.b.select(outside, zero, value)?;
    }
    cx.b.stage(&axes, raw, at, value)?;

    // Without exclusion the weights sum to 1 up to rounding, and dividing removes that.
    let (row, tap) = (cx.b.axis("o", it.output), cx.b.axis("t", four));
    let (o, t) = (cx.b.var(row), cx.b.var(tap));
    let value = cx.b.load(raw, [o, t])?;
    cx.b.reduce_stage(&[row], &[tap], Combine::Sum, total, [o], value)?;
    let axes = cx.b.axes("i", &dims);
    let at = cx.b.vars(&axes);
    let (value, sum) = (cx.b.load(raw, at.iter().copied())?, cx.b.load(total, [at[0]])?);
    let value = cx.b.binary(Div, value, sum)?;
    let value = cx.b.cast(dtype, value);
    cx.b.stage(&axes, weight, at, value)?;
    Ok((source, weight))
}

/// The coordinate of result position `at[0]`, and the unclamped position of its tap `at[1]`.
fn tap_position(cx: &mut Legalizer<'_>, it: &Resized, at: &[Dim]) -> BuildResult<(ExprId, ExprId)> {
    let coordinate = it.coordinate(cx, at[0])?;
    let whole = cx.b.unary(UnaryOp::Floor, coordinate)?;
    let offset = cx.linear(at[1], 1, -1)?;
    let offset = cx.dim_as(offset, DType::F64)?;
    Ok((coordinate, cx.b.binary(BinaryOp::Add, whole, offset)?))
}

/// Keys' kernel with parameter `a`: `(a+2)d³ − (a+3)d² + 1` up to 1, `a·d³ − 5a·d² + 8a·d − 4a` up to 2.
fn cubic_weight(cx: &mut Legalizer<'_>, d: ExprId) -> BuildResult<ExprId> {
    let a = cx.attrs.float("cubic_a").unwrap_or(-0.75);
    let near = polynomial(cx, d, [a + 2.0, -(a + 3.0), 0.0, 1.0])?;
    let far = polynomial(cx, d, [a, -5.0 * a, 8.0 * a, -4.0 * a])?;
    let (one, two) = (cx.b.float(1.0, DType::F64)?, cx.b.float(2.0, DType::F64)?);
    let zero = cx.b.float(0.0, DType::F64)?;
    let inside = cx.b.compare(CompareOp::Lt, d, two)?;
    let far = cx.b.select(inside, far, zero)?;
    let close = cx.b.compare(CompareOp::Le, d, one)?;
    cx.b.select(close, near, far)
}

/// Horner's scheme, highest power first.
fn polynomial(cx: &mut Legalizer<'_>, x: ExprId, coefficients: [f64; 4]) -> BuildResult<ExprId> {
    let mut value = cx.b.float(coefficients[0], DType::F64)?;
    for c in &coefficients[1..] {
        let product = cx.b.binary(BinaryOp::Mul, value, x)?;
        let c = cx.b.float(*c, DType::F64)?;
        value = cx.b.binary(BinaryOp::Add, product, c)?;
    }
    Ok(value)
}
