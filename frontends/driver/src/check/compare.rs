//! Computing definitions of two programs on the same elements.

use super::view::{Definition, How, Value, View};
use crate::compare::{Limits, difference};
use indexmap::IndexMap;
use orogen_ir::choices::Choices;
use orogen_ir::ops::{OpRegistry, Outline};
use orogen_ir::types::{DType, TensorData};
use orogen_reference::{Host, eval_cost, eval_kernel, eval_op};

/// Steps of the interpreter for one definition, about an operation on an element each, and elements of an operand.
const STEPS: u64 = 50_000;
/// The same for all definitions of one comparison.
const ALL_STEPS: u64 = 2_000_000;
/// Largest error relative to the largest magnitude: what is merged is rounded less often.
const TOLERANCE: f64 = 1e-4;
/// The same where a value on the way has 16 bits or fewer: merged, it may not be rounded to them.
const NARROW_TOLERANCE: f64 = 2e-2;
/// The same where it has an eighth of the precision of `f16`, or less.
const COARSE_TOLERANCE: f64 = 0.15;

/// A difference counts that is more than this many times what the roundings of the first program may have made.
const ROUNDINGS: f64 = 4.0;

/// Two programs, and elements for the values of both.
pub(super) struct Halves<'v> {
    ops: &'v OpRegistry,
    before: &'v View<'v>,
    after: &'v View<'v>,
    given: IndexMap<Value, TensorData>,
    left: u64,
    /// What the coarsest of the values that were computed allows.
    tolerance: f64,
}

/// What a value of a type on the way allows.
fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F16 => NARROW_TOLERANCE,
        it if it.is_float() && it.size() <= 2 => COARSE_TOLERANCE,
        _ => TOLERANCE,
    }
}

/// Which values get elements at random.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// The nearest that both programs have.
    Shared,
    /// Those that nothing here computes.
    Inputs,
}

/// Why a definition has no value here.
enum Stop {
    /// It is not known, or takes too long.
    Skipped,
    /// The interpreter says so.
    Failed(String),
}

impl<'v> Halves<'v> {
    pub(super) fn new(ops: &'v OpRegistry, before: &'v View<'v>, after: &'v View<'v>) -> Self {
        Halves { ops, before, after, given: IndexMap::new(), left: ALL_STEPS, tolerance: TOLERANCE }
    }

    /// Whether `old` of the first program is `new` of the second; `None` where that is not compared, else how they differ.
    ///
    /// What is equal for any elements of the values of both programs is equal for those that they have. What is not may
    /// still be: one of these values may be made of another. So it is computed again, from the inputs on.
    ///
    /// Where values on the way decide as much as their roundings do, such as a difference of what is nearly the same, or an
    /// integer that is made of a float, neither program says what is right, and nothing is compared.
    pub(super) fn same(&mut self, old: Value, new: Value) -> Option<Result<(), String>> {
        match self.same_from(Start::Shared, old, new) {
            Some(Err(_)) => self.same_from(Start::Inputs, old, new),
            outcome => outcome,
        }
    }

    fn same_from(&mut self, start: Start, old: Value, new: Value) -> Option<Result<(), String>> {
        self.tolerance = TOLERANCE;
        let expected = match self.compute(self.before, start, old, None) {
            Ok(it) => it,
            Err(_) => return None,
        };
        let found = match self.compute(self.after, start, new, None) {
            Ok(found) => found,
            Err(Stop::Skipped) => return None,
            Err(Stop::Failed(why)) => return Some(Err(format!("it has none: {why}"))),
        };
        let outcome = compared(&found, &expected, self.tolerance);
        if outcome.is_ok() {
            return Some(outcome);
        }
        let tolerance = self.tolerance;
        let others = Off::ALL.map(|off| self.compute(self.before, start, old, Some(off)));
        let others: Vec<TensorData> = others.into_iter().filter_map(Result::ok).collect();
        (!is_open(&found, &expected, &others, tolerance)).then_some(outcome)
    }

    /// A value of a program; `off` says how what is rounded on the way is off.
    fn compute(
        &mut self,
        view: &'v View<'v>,
        start: Start,
        root: Value,
        off: Option<Off>,
    ) -> Result<TensorData, Stop> {
        let mut known: IndexMap<Value, TensorData> = IndexMap::new();
        let mut budget = match start {
            Start::Shared => STEPS,
            Start::Inputs => self.left,
        };
        // Depth first, without recursion: chains are as long as programs.
        let mut stack = vec![root];
        while let Some(value) = stack.last().copied() {
            if known.contains_key(&value) {
                stack.pop();
                continue;
            }
            let definition = view.definitions.get(&value).ok_or(Stop::Skipped)?;
            self.tolerance = self.tolerance.max(tolerance(definition.dtype));
            let is_cut = start == Start::Shared && value != root && self.before.shares(self.after, value);
            if is_cut || matches!(definition.how, How::Given | How::Constant(_)) {
                known.insert(value, self.given(value, definition)?);
                continue;
            }
            let missing: Vec<Value> =
                operands(&definition.how).iter().copied().filter(|it| !known.contains_key(it)).collect();
            if missing.is_empty() {
                let data = self.apply(definition, &known, &mut budget)?;
                let rounded = off.filter(|_| value != root && !matches!(definition.how, How::View(_)));
                let data = match rounded {
                    Some(it) => it.of(data),
                    None => data,
                };
                known.insert(value, data);
            } else if stack.len() > 10_000 {
                return Err(Stop::Skipped);
            } else {
                stack.extend(missing);
            }
        }
        known.swap_remove(&root).ok_or(Stop::Skipped)
    }

    /// Elements of a value of both programs, or of one that is not computed.
    fn given(&mut self, value: Value, definition: &Definition<'_>) -> Result<TensorData, Stop> {
        let constant = |view: &View<'v>| match view.definitions.get(&value).map(|it| it.how.clone()) {
            Some(How::Constant(it)) => Some(it.clone()),
            _ => None,
        };
        if let Some(data) = constant(self.before).or_else(|| constant(self.after)) {
            return if data.len() as u64 > STEPS { Err(Stop::Skipped) } else { Ok(data) };
        }
        if !self.before.shares(self.after, value) {
            return Err(Stop::Skipped);
        }
        if let Some(data) = self.given.get(&value) {
            return Ok(data.clone());
        }
        let data = random(definition.dtype, &definition.dims, self.given.len() as u64)?;
        self.given.insert(value, data.clone());
        Ok(data)
    }

    fn apply(
        &mut self,
        definition: &Definition<'_>,
        known: &IndexMap<Value, TensorData>,
        budget: &mut u64,
    ) -> Result<TensorData, Stop> {
        let args: Option<Vec<TensorData>> =
            operands(&definition.how).iter().map(|it| known.get(it).cloned()).collect();
        let args = args.ok_or(Stop::Skipped)?;
        let read = args.iter().fold(1, |sum: u64, it| sum.saturating_add(it.len() as u64));
        self.spend(read, budget)?;
        let results = match &definition.how {
            How::Given => return Err(Stop::Skipped),
            How::Constant(data) => return Ok((*data).clone()),
            How::View(_) => {
                let viewed = args[0].reshaped(definition.dims.clone());
                vec![viewed.map_err(|it| Stop::Failed(it.to_string()))?]
            }
            How::Op { op, attrs, .. } => {
                let outline = Outline {
                    dtype: definition.dtype,
                    dims: Some(definition.dims.iter().copied().collect()),
                };
                let name = self.ops.def(*op).name;
                let cost = eval_cost(name, attrs, &args, &[outline]).map_or(read, |it| it.operations);
                self.spend(cost, budget)?;
                eval_op(self.ops, *op, attrs, &args).map_err(|it| Stop::Failed(it.to_string()))?
            }
            How::Kernel { kernel, sizes, .. } => {
                let steps = (*budget).min(self.left);
                let host = Host::new().with_limit(steps);
                let outcome = eval_kernel(&host, kernel, sizes, &args);
                self.spend(steps - host.steps_left(), budget)?;
                outcome.map_err(|it| match it.kind {
                    orogen_reference::EvalErrorKind::LimitReached => Stop::Skipped,
                    _ => Stop::Failed(it.to_string()),
                })?
            }
        };
        results.into_iter().nth(definition.result).ok_or(Stop::Skipped)
    }

    fn spend(&mut self, steps: u64, budget: &mut u64) -> Result<(), Stop> {
        *budget = budget.checked_sub(steps).ok_or(Stop::Skipped)?;
        self.left = self.left.checked_sub(steps).ok_or(Stop::Skipped)?;
        Ok(())
    }
}

/// In which direction each element of what is computed is off, by a little more than rounding makes it.
#[derive(Clone, Copy, Debug)]
struct Off {
    seed: u64,
    sign: f64,
}

impl Off {
    /// Pairs of opposite ones: what lies at the border between two results is on either side of it in one of a pair.
    const ALL: [Off; 4] = [
        Off { seed: 1, sign: 1.0 },
        Off { seed: 1, sign: -1.0 },
        Off { seed: 2, sign: 1.0 },
        Off { seed: 2, sign: -1.0 },
    ];

    fn of(self, data: TensorData) -> TensorData {
        if !data.dtype().is_float() {
            return data;
        }
        let unit = 2f64.powi(1 - data.dtype().digits() as i32);
        let mut signs = Choices::random(self.seed, u64::MAX);
        let mut sign = || if signs.pick(2, |_| String::new()) == 0 { self.sign } else { -self.sign };
        let elements: Vec<f64> = data.to_f64().into_iter().map(|it| it * (1.0 + sign() * unit)).collect();
        TensorData::from_f64(data.dtype(), data.dims(), elements)
    }
}

/// Whether roundings alone make each element of the first program differ from itself as much as the second does: `others` are
/// what it computes where all that is rounded is off.
fn is_open(found: &TensorData, expected: &TensorData, others: &[TensorData], tolerance: f64) -> bool {
    let alike = |it: &TensorData| (it.dtype(), it.dims()) == (expected.dtype(), expected.dims());
    if !alike(found) || !others.iter().all(alike) || expected.dtype() == DType::Str {
        return false;
    }
    let apart = |a: f64, b: f64| if a == b || a.is_nan() && b.is_nan() { 0.0 } else { (a - b).abs() };
    let spread = |i: usize| {
        let from = |it: &TensorData| apart(it.get_f64(i), expected.get_f64(i));
        others.iter().map(from).filter(|it| it.is_finite()).fold(0f64, f64::max)
    };
    let all = 0..expected.len();
    let largest =
        all.clone().map(|i| expected.get_f64(i).abs()).filter(|it| it.is_finite()).fold(0f64, f64::max);
    let rounding = if expected.dtype().is_float() { tolerance * largest } else { 0.0 };
    all.into_iter().all(|i| apart(found.get_f64(i), expected.get_f64(i)) <= rounding + ROUNDINGS * spread(i))
}

fn operands<'a>(how: &'a How<'_>) -> &'a [Value] {
    match how {
        How::Given | How::Constant(_) => &[],
        How::Op { args, .. } | How::Kernel { args, .. } => args,
        How::View(of) => std::slice::from_ref(of),
    }
}

/// Elements at random: small numbers of either sign.
fn random(dtype: DType, dims: &[u64], seed: u64) -> Result<TensorData, Stop> {
    let count = dims.iter().try_fold(1u64, |n, it| n.checked_mul(*it)).filter(|it| *it <= STEPS);
    let count = count.ok_or(Stop::Skipped)?;
    let mut numbers = Choices::random(seed, u64::MAX);
    let mut number = |n: usize| numbers.pick(n, |_| String::new()) as f64;
    let mut element = || match dtype {
        DType::Bool => number(2),
        it if it.is_float() => (number(4001) - 2000.0) / 1000.0,
        it if it.is_signed_int() => number(7) - 3.0,
        _ => number(4),
    };
    if dtype.is_only_moved() {
        return Err(Stop::Skipped);
    }
    Ok(TensorData::from_f64(dtype, dims, (0..count).map(|_| element())))
}

/// How two tensors differ.
fn compared(found: &TensorData, expected: &TensorData, tolerance: f64) -> Result<(), String> {
    if !expected.dtype().is_float() && found.dtype() == expected.dtype() && found.dims() == expected.dims() {
        // Where a float that is rounded less often is converted, the next integer may come out.
        let apart = |i: &usize| (found.get_f64(*i) - expected.get_f64(*i)).abs();
        let off = (0..expected.len()).filter(|i| apart(i) > 0.0).count();
        let far = (0..expected.len()).any(|i| apart(&i) > 1.0);
        if !far && off * 50 <= expected.len() {
            return Ok(());
        }
    }
    let limits = Limits { tol: Some(tolerance), ..Limits::default() };
    let difference = difference(found, expected, &limits);
    if difference.passes() { Ok(()) } else { Err(format!("{difference}")) }
}
