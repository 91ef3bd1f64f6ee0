//! Values of a model that is being drawn.

use orogen_ir::generate::Random;
use orogen_ir::types::{DType, TensorData};
use orogen_reference::Value;

/// The extents of a dimension, one for each setting.
pub(crate) type Extent = Vec<u64>;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A tensor.
    Tensor(DType),
    /// Any number of tensors of a type.
    Sequence(DType),
    /// A tensor or nothing.
    Optional(DType),
}

/// What a value is in one setting.
#[derive(Clone, Debug)]
pub struct Sample {
    /// As the reference interpreter computes it.
    pub plain: Value,
    /// The same where every operation that rounds was off by a little: how far this is away says how far anything may be.
    pub shaken: Value,
}

/// A value of a model, with what it is in every setting.
#[derive(Clone, Debug)]
pub(crate) struct Val {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) samples: Vec<Sample>,
    /// Whether the model holds it.
    pub(crate) constant: bool,
    /// Whether it can be named where the next node stands.
    pub(crate) visible: bool,
    /// How many nodes take it.
    pub(crate) uses: usize,
}

impl Val {
    /// The element type of a tensor.
    pub(crate) fn dtype(&self) -> Option<DType> {
        match self.kind {
            Kind::Tensor(dtype) => Some(dtype),
            Kind::Sequence(_) | Kind::Optional(_) => None,
        }
    }

    /// The elements of a tensor in the first setting.
    pub(crate) fn data(&self) -> Option<&TensorData> {
        self.samples.first()?.plain.as_tensor()
    }

    /// The dimensions of a tensor in every setting; `None` where there are more of them in one than in another.
    pub(crate) fn dims(&self) -> Option<Vec<Extent>> {
        extents(self.samples.iter().map(|it| it.plain.as_tensor()))
    }

    /// The number of dimensions of a tensor.
    pub(crate) fn rank(&self) -> usize {
        self.data().map_or(0, |it| it.dims().len())
    }
}

/// The extents of tensors of one rank, by dimension.
pub(crate) fn extents<'a>(tensors: impl Iterator<Item = Option<&'a TensorData>>) -> Option<Vec<Extent>> {
    let all: Vec<&[u64]> = tensors.map(|it| Some(it?.dims())).collect::<Option<_>>()?;
    let rank = all.first()?.len();
    if all.iter().any(|it| it.len() != rank) {
        return None;
    }
    Some((0..rank).map(|axis| all.iter().map(|it| it[axis]).collect()).collect())
}

/// Whether an extent is the same in every setting.
pub(crate) fn is_fixed(extent: &[u64]) -> bool {
    extent.iter().all(|it| *it == extent[0])
}

/// The symbol of an extent that is not the same in every setting: equal extents have one symbol.
pub(crate) fn symbol(extent: &[u64]) -> String {
    extent.iter().fold("d".to_owned(), |name, it| format!("{name}_{it}"))
}

/// How far what is computed from something may be off because of how it is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rounding {
    /// Elements are moved, chosen or compared: what comes out is exact.
    Exact,
    /// Sums and products: exact where the result has few digits.
    Arithmetic,
    /// Anything else.
    Function,
}

/// The relative error that one operation makes.
pub(crate) fn unit(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 2f64.powi(-48),
        DType::F32 => 2f64.powi(-22),
        DType::F16 => 2f64.powi(-10),
        DType::BF16 => 2f64.powi(-7),
        _ => 0.0,
    }
}

/// So many errors from 0 a result may as well be 0.
const NEAR_ZERO: f64 = 16.0;

/// Whether a number is the sum of few powers of two, so that sums and products of such numbers are exact.
fn has_few_digits(dtype: DType, value: f64) -> bool {
    let kept = match dtype {
        DType::F64 => 24,
        DType::F32 => 11,
        DType::F16 => 6,
        _ => 4,
    };
    value.to_bits() << (12 + kept) == 0
}

/// A tensor that is off by a little, element by element: by what rounding makes of numbers of its size and of the size `scale`.
/// What is no larger than such an error is 0; zeros have the other sign, or are such an error where numbers that are not small
/// may have cancelled out.
pub(crate) fn shaken(data: &TensorData, rounding: Rounding, scale: f64, random: &mut Random) -> TensorData {
    let (dtype, unit) = (data.dtype(), unit(data.dtype()));
    if unit == 0.0 || rounding == Rounding::Exact {
        return data.clone();
    }
    let shake = |it: f64| {
        let up = random.coin();
        let sign = if up { 1.0 } else { -1.0 };
        match it {
            0.0 if scale > 0.0 => sign * scale * unit,
            0.0 => -it,
            it if it.abs() < NEAR_ZERO * scale * unit => 0.0,
            it if rounding == Rounding::Arithmetic && has_few_digits(dtype, it) => it,
            it if it.is_finite() => it + (it.abs() + scale) * sign * unit,
            it => it,
        }
    };
    let elements: Vec<f64> = data.to_f64().into_iter().map(shake).collect();
    TensorData::from_f64(dtype, data.dims(), elements)
}

/// The same for any value.
pub(crate) fn shaken_value(value: &Value, rounding: Rounding, scale: f64, random: &mut Random) -> Value {
    match value {
        Value::Tensor(it) => Value::Tensor(shaken(it, rounding, scale, random)),
        Value::Sequence(items) => {
            Value::Sequence(items.iter().map(|it| shaken_value(it, rounding, scale, random)).collect())
        }
        other => other.clone(),
    }
}

/// As far from `plain` as a value that is off, on the other side of it.
pub(crate) fn mirrored(plain: &Value, off: &Value) -> Value {
    match (plain, off) {
        (Value::Tensor(a), Value::Tensor(b)) if a.dtype().is_float() && a.dims() == b.dims() => {
            let both = a.to_f64().into_iter().zip(b.to_f64());
            let mirror = |(a, b): (f64, f64)| if a.is_finite() { 2.0 * a - b } else { a };
            Value::Tensor(TensorData::from_f64(a.dtype(), a.dims(), both.map(mirror)))
        }
        (Value::Sequence(a), Value::Sequence(b)) if a.len() == b.len() => {
            Value::Sequence(a.iter().zip(b).map(|it| mirrored(it.0, it.1)).collect())
        }
        _ => plain.clone(),
    }
}

/// Whether a value is much the same where all is off by a little, and no larger than `most`: what is not says nothing when
/// it is compared.
pub(crate) fn is_stable(sample: &Sample, special: bool, most: usize) -> bool {
    match (&sample.plain, &sample.shaken) {
        (Value::Tensor(a), Value::Tensor(b)) => a.len() <= most && is_stable_tensor(a, b, special),
        (Value::Sequence(a), Value::Sequence(b)) => {
            let mut both = a.iter().zip(b);
            let item = |it: (&Value, &Value)| {
                is_stable(&Sample { plain: it.0.clone(), shaken: it.1.clone() }, special, most)
            };
            a.len() == b.len() && both.all(item)
        }
        (Value::None, Value::None) => true,
        _ => false,
    }
}

/// How far, as a share of the largest element, the two computations of a node may be apart besides a few errors of their type:
/// many times that is allowed where values are compared, and must say something.
const STABLE: f64 = 1.0 / 128.0;

fn is_stable_tensor(a: &TensorData, b: &TensorData, special: bool) -> bool {
    if a.dims() != b.dims() {
        return false;
    }
    if !a.dtype().is_float() {
        let large = |it: i64| it.unsigned_abs() > 1 << 40;
        let wide = a.dtype().is_int_of(&[64]) && !special && (0..a.len()).any(|i| large(a.get_i64(i)));
        return !wide && a == b;
    }
    let a_type = a.dtype();
    let (a, b) = (a.to_f64(), b.to_f64());
    let dtype_limit = 1e4;
    let off = STABLE + 4.0 * unit(a_type);
    let largest = a.iter().filter(|it| it.is_finite()).fold(0f64, |most, it| most.max(it.abs()));
    a.iter().zip(&b).all(|(a, b)| match (a.is_finite(), b.is_finite()) {
        (true, true) => (special || a.abs() < dtype_limit) && (a - b).abs() <= off * largest,
        (false, false) => special && (a == b || a.is_nan() && b.is_nan()),
        _ => false,
    })
}
