//! Comparing values with expected ones: what `orogen run --expect` goes by.
//!
//! # Laws
//! * **E1** Element types and shapes are equal.
//! * **E2** Integers, booleans and strings are equal, each of them, whatever the limits are.
//! * **E3** NaN stands where NaN is expected and infinity where the same infinity is, whatever the limits are.
//! * **E4** All other floats are as close as every limit that is given asks for; without one, as [`DEFAULT_TOL`] does.
//!
//! ```
//! use orogen::compare::{Limits, difference};
//! use orogen::ir::types::{DType, TensorData};
//!
//! let value = |it: [f64; 2]| TensorData::from_f64(DType::F32, &[2], it);
//! let found = difference(&value([1.0, 10.5]), &value([1.0, 10.0]), &Limits::default());
//! assert!(!found.passes());
//! assert!(found.to_string().starts_with("max error 5.00e-1 at [1], 5.00e-2 of the largest"));
//! ```

use orogen_ir::types::{DType, TensorData};
use std::fmt;

/// Largest error, relative to the largest magnitude of the expected value, when no limit is given.
pub const DEFAULT_TOL: f64 = 1e-4;

/// Limits of the errors of floats: each that is given must hold.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// Of the largest error, relative to the largest magnitude that is expected.
    pub tol: Option<f64>,
    /// Of the error of each element: `atol + rtol * |expected|`.
    pub atol: Option<f64>,
    /// See [`atol`](Self::atol).
    pub rtol: Option<f64>,
    /// Of the error of each element, in units in the last place of its type.
    pub ulp: Option<u64>,
}

impl Limits {
    /// Only what is equal passes.
    pub fn exactly() -> Limits {
        Limits { tol: Some(0.0), ..Limits::default() }
    }

    /// The limit relative to the largest magnitude, where there is one.
    fn of_largest(&self) -> Option<f64> {
        let other = self.atol.is_some() || self.rtol.is_some() || self.ulp.is_some();
        self.tol.or((!other).then_some(DEFAULT_TOL))
    }

    /// How far an element may be from the expected one.
    fn of_element(&self, expected: f64) -> Option<f64> {
        let given = self.atol.is_some() || self.rtol.is_some();
        given.then(|| self.atol.unwrap_or(0.0) + self.rtol.unwrap_or(0.0) * expected.abs())
    }
}

/// How a value differs from the expected one.
#[derive(Clone, Debug, PartialEq)]
pub enum Difference {
    /// It is another kind of thing, as said: another type, another shape.
    Kind(String),
    /// Elements that are equal or not.
    Exact(Exact),
    /// Floats.
    Floats(Floats),
}

/// How integers, booleans or strings differ.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exact {
    /// How many there are.
    pub elements: usize,
    /// How many differ.
    pub different: usize,
    /// The first that differs, as text.
    pub first: Option<String>,
    /// The one that differs most, of numbers, as text.
    pub most: Option<String>,
}

/// A measure and the element where it is largest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Worst {
    /// How large it is there.
    pub value: f64,
    /// Its index in each dimension; empty while nothing differs.
    pub at: Vec<u64>,
}

impl Worst {
    fn see(&mut self, value: f64, i: usize, shape: &[u64]) {
        if value > self.value || (self.at.is_empty() && value > 0.0) {
            *self = Worst { value, at: place(i, shape) };
        }
    }
}

/// How floats differ.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Floats {
    /// Largest error.
    pub absolute: Worst,
    /// That, relative to the largest magnitude that is expected.
    pub of_largest: f64,
    /// Largest error of an element relative to itself.
    pub elementwise: Worst,
    /// Largest error in units in the last place.
    pub ulp: Worst,
    /// How many are NaN or infinite where something else is expected, or the other way round.
    pub misplaced: usize,
    /// The first of these, as text.
    pub first: Option<String>,
    /// How many are beyond the limits of single elements.
    pub beyond: usize,
    within: bool,
}

impl Difference {
    /// Whether it is as expected.
    #[must_use]
    pub fn passes(&self) -> bool {
        match self {
            Difference::Kind(_) => false,
            Difference::Exact(it) => it.different == 0,
            Difference::Floats(it) => it.within,
        }
    }

    /// One number for it, relative to the largest magnitude; infinite where numbers do not say it.
    pub fn error(&self) -> f64 {
        match self {
            Difference::Floats(it) if it.misplaced == 0 => it.of_largest,
            Difference::Exact(it) if it.different == 0 => 0.0,
            _ => f64::INFINITY,
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Kind(what) => f.write_str(what),
            Difference::Exact(it) => it.fmt(f),
            Difference::Floats(it) => it.fmt(f),
        }
    }
}

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(first) = &self.first else { return f.write_str("all elements equal") };
        write!(f, "{} of {} elements differ, first {first}", self.different, self.elements)?;
        match &self.most {
            Some(most) if most != first => write!(f, ", most {most}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Floats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "max error {:.2e}", self.absolute.value)?;
        if self.absolute.value > 0.0 {
            let Floats { absolute, of_largest, elementwise, ulp, .. } = self;
            write!(f, " at {:?}, {of_largest:.2e} of the largest", absolute.at)?;
            write!(f, ", elementwise {:.2e} at {:?}", elementwise.value, elementwise.at)?;
            write!(f, ", {} ulp at {:?}", ulp.value, ulp.at)?;
        }
        if self.beyond > 0 {
            write!(f, ", {} elements beyond the limit", self.beyond)?;
        }
        if let Some(first) = &self.first {
            write!(f, ", {} NaN or infinite elements out of place, first {first}", self.misplaced)?;
        }
        Ok(())
    }
}

/// The index of an element in each dimension.
fn place(i: usize, shape: &[u64]) -> Vec<u64> {
    let mut rest = i as u64;
    let mut at: Vec<u64> =
        shape.iter().rev().map(|size| (rest % size.max(&1), rest /= size.max(&1)).0).collect();
    at.reverse();
    at
}

/// Compares a value with the expected one.
pub fn difference(got: &TensorData, expected: &TensorData, limits: &Limits) -> Difference {
    let dtype = got.dtype();
    if expected.dtype() != dtype {
        return Difference::Kind(format!("type {dtype} instead of {}", expected.dtype()));
    }
    if got.dims() != expected.dims() {
        return Difference::Kind(format!("shape {:?} instead of {:?}", got.dims(), expected.dims()));
    }
    let dims = got.dims();
    if dtype == DType::Str {
        let texts = |it: &TensorData| (0..it.len()).map(|i| it.text(i).to_owned()).collect::<Vec<_>>();
        return exact(&texts(got), &texts(expected), dims, |it| format!("{it:?}"), |_| 0.0);
    }
    if dtype.is_integral() {
        let values = |it: &TensorData| -> Vec<i128> {
            let value = |i| match dtype {
                DType::U64 => i128::from(it.bits(i)),
                _ => i128::from(it.get_i64(i)),
            };
            (0..it.len()).map(value).collect()
        };
        return exact(&values(got), &values(expected), dims, i128::to_string, |it| *it as f64);
    }
    // Of complex numbers, both parts, along a dimension of their own.
    let (got, expected) = (got.parts(), expected.parts());
    Difference::Floats(floats(&got, &expected, got.dims(), limits))
}

fn exact<T: PartialEq>(
    got: &[T],
    expected: &[T],
    shape: &[u64],
    text: impl Fn(&T) -> String,
    number: impl Fn(&T) -> f64,
) -> Difference {
    let mut found = Exact { elements: got.len(), ..Exact::default() };
    let mut most = 0.0;
    for (i, (a, b)) in got.iter().zip(expected).enumerate().filter(|it| it.1.0 != it.1.1) {
        let said = || Some(format!("{:?}: {} instead of {}", place(i, shape), text(a), text(b)));
        found.different += 1;
        if found.first.is_none() {
            found.first = said();
        }
        let far = (number(a) - number(b)).abs();
        if far > most {
            (most, found.most) = (far, said());
        }
    }
    Difference::Exact(found)
}

fn floats(got: &TensorData, expected: &TensorData, shape: &[u64], limits: &Limits) -> Floats {
    let mut found = Floats::default();
    let mut largest = 0.0_f64;
    for i in 0..got.len() {
        let (a, b) = (got.get_f64(i), expected.get_f64(i));
        largest = if b.is_finite() { largest.max(b.abs()) } else { largest };
        if a == b || (a.is_nan() && b.is_nan()) {
            continue;
        }
        if !a.is_finite() || !b.is_finite() {
            found.misplaced += 1;
            found.first.get_or_insert_with(|| format!("{:?}: {a} instead of {b}", place(i, shape)));
            continue;
        }
        let far = (a - b).abs();
        let ulp = places(got.dtype(), got.bits(i), got.dtype().float_bits(b));
        found.absolute.see(far, i, shape);
        found.elementwise.see(far / b.abs(), i, shape);
        found.ulp.see(ulp as f64, i, shape);
        let beyond = limits.of_element(b).is_some_and(|it| far > it) || limits.ulp.is_some_and(|it| ulp > it);
        found.beyond += usize::from(beyond);
    }
    found.of_largest = if found.absolute.value == 0.0 { 0.0 } else { found.absolute.value / largest };
    let overall = limits.of_largest().is_none_or(|it| found.of_largest <= it);
    found.within = found.misplaced == 0 && found.beyond == 0 && overall;
    found
}

/// How many numbers of the type lie between two of them, and one: what their bits count where the sign is taken for that
/// of the whole.
fn places(dtype: DType, a: u64, b: u64) -> u64 {
    let sign = dtype.float_format().map_or(1 << 63, |it| it.sign());
    let ordered = |bits: u64| {
        let magnitude = i128::from(bits & (sign - 1));
        if bits & sign == 0 { magnitude } else { -magnitude }
    };
    u64::try_from(ordered(a).abs_diff(ordered(b))).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(values: &[f32]) -> TensorData {
        TensorData::from_slice(DType::F32, &[values.len() as u64], values)
    }

    fn with(limits: Limits, got: &[f32], expected: &[f32]) -> Difference {
        difference(&tensor(got), &tensor(expected), &limits)
    }

    fn by_default(got: &TensorData, expected: &TensorData) -> Difference {
        difference(got, expected, &Limits::default())
    }

    #[test]
    fn e1_types_and_shapes_are_equal() {
        let ints = TensorData::ints(&[1, 2]);
        let found = by_default(&ints, &tensor(&[1.0, 2.0]));
        assert_eq!((found.passes(), found.to_string().as_str()), (false, "type i64 instead of f32"));
        assert!(!by_default(&ints, &TensorData::from_slice(DType::I32, &[2], &[1_i32, 2])).passes());
        assert_eq!(
            by_default(&tensor(&[1.0]), &tensor(&[1.0, 2.0])),
            Difference::Kind("shape [1] instead of [2]".to_owned())
        );
    }

    #[test]
    fn e2_integers_booleans_and_strings_are_exact() {
        let big = 1_i64 << 53;
        let ints = |it: [i64; 3]| TensorData::from_slice(DType::I64, &[3, 1], &it);
        let loose = Limits { tol: Some(1e9), atol: Some(1e9), rtol: Some(1e9), ulp: Some(u64::MAX) };
        let found = difference(&ints([big + 1, 7, 9]), &ints([big, 7, 90]), &loose);
        assert!(!found.passes());
        let said = "2 of 3 elements differ, first [0, 0]: 9007199254740993 instead of 9007199254740992, most [2, 0]: 9 \
                    instead of 90";
        assert_eq!(found.to_string(), said);
        assert!(by_default(&ints([1, 2, 3]), &ints([1, 2, 3])).passes());
        let words = |it: u64| TensorData::from_slice(DType::U64, &[1], &[it]);
        assert!(!by_default(&words(u64::MAX), &words(u64::MAX - 1)).passes());
        let bools = |it: [u8; 2]| TensorData::from_slice(DType::Bool, &[2], &it);
        assert!(!by_default(&bools([1, 0]), &bools([1, 1])).passes());
        let strings = |it: [&str; 2]| TensorData::strings(&[2], it).expect("two");
        assert!(by_default(&strings(["a", ""]), &strings(["a", ""])).passes());
        let other = by_default(&strings(["a", "b"]), &strings(["a", ""]));
        assert_eq!(other.to_string(), "1 of 2 elements differ, first [1]: \"b\" instead of \"\"");
    }

    #[test]
    fn e3_nan_and_infinity_have_their_places() {
        const INF: f32 = f32::INFINITY;
        let loose = Limits { tol: Some(f64::MAX), ..Limits::default() };
        assert!(with(loose, &[f32::NAN, INF, -INF], &[f32::NAN, INF, -INF]).passes());
        for (got, expected) in [(f32::NAN, 1.0), (1.0, INF), (INF, -INF), (INF, f32::NAN)] {
            let found = with(loose, &[0.0, got], &[0.0, expected]);
            assert!(!found.passes() && found.error().is_infinite(), "{found}");
            assert!(
                found.to_string().contains("1 NaN or infinite elements out of place, first [1]: "),
                "{found}"
            );
        }
    }

    #[test]
    fn e4_every_limit_that_is_given_holds() {
        let (got, expected) = ([1.0, 10.5, 0.001], [1.0, 10.0, 0.002]);
        let all = with(Limits::default(), &got, &expected);
        let Difference::Floats(it) = &all else { panic!("floats") };
        assert_eq!((it.absolute.value, &it.absolute.at[..], it.of_largest), (0.5, &[1][..], 0.05));
        assert!((it.elementwise.value - 0.5).abs() < 1e-6 && it.elementwise.at == [2]);
        assert_eq!(it.ulp.at, [2]);
        let passes = |limits| with(limits, &got, &expected).passes();
        assert!(!passes(Limits::default()));
        assert!(passes(Limits { tol: Some(0.05), ..Limits::default() }));
        assert!(passes(Limits { atol: Some(0.5), ..Limits::default() }));
        assert!(!passes(Limits { atol: Some(0.4), ..Limits::default() }));
        assert!(passes(Limits { rtol: Some(0.51), ..Limits::default() }));
        assert!(!passes(Limits { rtol: Some(0.1), ..Limits::default() }));
        assert!(passes(Limits { rtol: Some(0.05), atol: Some(0.01), ..Limits::default() }));
        assert!(!passes(Limits { rtol: Some(0.51), tol: Some(0.01), ..Limits::default() }));
        let next = f32::from_bits(1.0_f32.to_bits() + 3);
        let ulp = |limit| with(Limits { ulp: Some(limit), ..Limits::default() }, &[next, -0.0], &[1.0, 0.0]);
        assert!(ulp(3).passes() && !ulp(2).passes(), "{}", ulp(3));
        // Around zero units are counted through it.
        assert_eq!(places(DType::F32, 1, 1 | 1 << 31), 2);
        assert_eq!(places(DType::F64, f64::MAX.to_bits(), f64::MIN.to_bits()), 2 * f64::MAX.to_bits());
        // Small values next to nothing are not hidden by the norm of the rest.
        assert!(!with(Limits { rtol: Some(1e-3), ..Limits::default() }, &[1e6, 0.0], &[1e6, 1e-3]).passes());
        assert_eq!(with(Limits::default(), &[0.0], &[0.0]).error(), 0.0);
        assert!(!with(Limits::default(), &[1e-9], &[0.0]).passes());
    }

    #[test]
    fn every_type_is_compared() {
        for dtype in DType::ALL.into_iter().filter(|it| *it != DType::Str) {
            let of = |it: f64| TensorData::from_f64(dtype, &[2], [1.0, it]);
            assert!(by_default(&of(0.0), &of(0.0)).passes(), "{dtype}");
            assert!(!by_default(&of(1.0), &of(0.0)).passes() || of(0.0) == of(1.0), "{dtype}");
        }
        let complex = |it: [f32; 2]| TensorData::from_slice(DType::C64, &[1], &[it]);
        let found = by_default(&complex([1.0, 2.0]), &complex([1.0, 4.0]));
        assert!(found.to_string().starts_with("max error 2.00e0 at [0, 1]"), "{found}");
    }
}
