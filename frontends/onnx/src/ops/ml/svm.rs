//! Support vector machines.

use super::linear::best;
use super::scores::Transform;
use super::{DOMAIN, Labels, Single, floats, list, matrix};
use crate::emit::{Size, attrs, i64_data};
use crate::node::{Node, NodeCx, bad};
use crate::ops::repeat::repeated;
use crate::ops::single;
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;
use orogen_ir::types::DType;

/// Turns of the search for probabilities of several classes, at most.
const TURNS: f64 = 100.0;
/// Pairwise probabilities keep so far from 0 and 1.
const MARGIN: f32 = 1e-7;

pub(super) fn register(table: &mut OpTable) {
    table.register(DOMAIN, "SVMRegressor", .., single(regressor));
    table.register(DOMAIN, "SVMClassifier", .., classifier);
}

/// What a row and a vector are compared by.
enum Kernel {
    Linear,
    Poly,
    Rbf,
    Sigmoid,
}

impl Kernel {
    fn of(node: &Node<'_>) -> Result<(Kernel, [f64; 3]), Diagnostic> {
        let kernel = match node.text("kernel_type").unwrap_or("LINEAR") {
            "LINEAR" => Kernel::Linear,
            "POLY" => Kernel::Poly,
            "RBF" => Kernel::Rbf,
            "SIGMOID" => Kernel::Sigmoid,
            other => return Err(bad(format!("`kernel_type` is no `{other}`"))),
        };
        let params = match list(node, "kernel_params") {
            [] => [0.0; 3],
            &[gamma, coefficient, degree] => [gamma, coefficient, degree].map(f64::from),
            _ => return Err(bad("`kernel_params` must have 3 numbers: gamma, coef0 and degree")),
        };
        Ok((kernel, params))
    }

    /// Of `x: [n, columns]` and the rows of a matrix: `[n, rows]`.
    fn apply(
        &self,
        cx: &mut NodeCx<'_, '_>,
        x: Value,
        rows: &[f32],
        count: usize,
        [gamma, coefficient, degree]: [f64; 3],
    ) -> Single {
        let columns = rows.len().checked_div(count).unwrap_or(0);
        if columns * count != rows.len() {
            return Err(bad(format!("{} numbers are no {count} vectors", rows.len())));
        }
        if let Kernel::Rbf = self {
            // Squares of differences: their expansion would cancel where a row is near to a vector.
            let vectors = floats(cx, &[1, count as u64, columns as u64], rows)?;
            let x = cx.unsqueeze(x, &[1])?;
            let difference = cx.binary("sub", x, vectors)?;
            let square = cx.square(difference)?;
            let distance = cx.reduce("reduce_sum", square, &[2], false)?;
            let exponent = cx.affine(distance, -gamma, 0.0)?;
            return cx.unary("exp", exponent);
        }
        let turned: Vec<f32> =
            (0..columns).flat_map(|i| (0..count).map(move |k| rows[k * columns + i])).collect();
        let turned = floats(cx, &[columns as u64, count as u64], &turned)?;
        let product = cx.binary("matmul", x, turned)?;
        match self {
            Kernel::Linear | Kernel::Rbf => Ok(product),
            Kernel::Poly => {
                let base = cx.affine(product, gamma, coefficient)?;
                cx.with_number("pow", base, degree)
            }
            Kernel::Sigmoid => {
                let inner = cx.affine(product, gamma, coefficient)?;
                cx.unary("tanh", inner)
            }
        }
    }
}

fn regressor(cx: &mut NodeCx<'_, '_>) -> Single {
    let (kernel, params) = Kernel::of(cx)?;
    let count = usize::try_from(cx.int("n_supports").unwrap_or(0)).unwrap_or(0);
    let coefficients = list(cx, "coefficients");
    let [rho, ..] = list(cx, "rho") else { return Err(bad("`rho` has no number")) };
    let x = matrix(cx)?;
    let x = cx.cast(x, DType::F32)?;
    let score = if count > 0 {
        let kernels = kernel.apply(cx, x, list(cx, "support_vectors"), count, params)?;
        let weights = floats(cx, &[count as u64, 1], coefficients)?;
        cx.binary("matmul", kernels, weights)?
    } else {
        Kernel::Linear.apply(cx, x, coefficients, 1, params)?
    };
    let score = cx.affine(score, 1.0, f64::from(*rho))?;
    if !cx.flag("one_class") {
        return Ok(score);
    }
    let inside = cx.with_number("greater", score, 0.0)?;
    let (one, other) = (cx.number_like(score, 1.0)?, cx.number_like(score, -1.0)?);
    cx.select(inside, one, other)
}

fn classifier(cx: &mut NodeCx<'_, '_>) -> Converted {
    let transform = Transform::of(cx)?;
    let labels = Labels::of(cx, "classlabels_ints")?;
    let (kernel, params) = Kernel::of(cx)?;
    let x = matrix(cx)?;
    let x = cx.cast(x, DType::F32)?;
    let supports = cx.ints("vectors_per_class").unwrap_or_default();
    if supports.iter().all(|it| *it == 0) {
        return linear(cx, x, &labels, transform);
    }
    let machine = Pairwise::of(cx, supports, labels.len())?;
    let kernels = kernel.apply(cx, x, list(cx, "support_vectors"), machine.vectors, params)?;
    let scores = machine.scores(cx, kernels)?;
    let class = machine.vote(cx, scores)?;
    let label = labels.select(cx, class)?;
    let [a, b] = ["prob_a", "prob_b"].map(|it| list(cx, it));
    let scores = if !a.is_empty() || !b.is_empty() {
        let shares = machine.probabilities(cx, scores, [a, b])?;
        transform.of_rows(cx, shares)?
    } else if machine.classes > 2 {
        transform.of_rows(cx, scores)?
    } else {
        transform.of_pair(cx, scores, transform != Transform::None)?
    };
    Ok(vec![label, scores])
}

/// A score for each class, without vectors.
fn linear(cx: &mut NodeCx<'_, '_>, x: Value, labels: &Labels<'_>, transform: Transform) -> Converted {
    let coefficients = list(cx, "coefficients");
    let [rho, ..] = list(cx, "rho") else { return Err(bad("`rho` has no number")) };
    let scores = Kernel::Linear.apply(cx, x, coefficients, labels.len(), [0.0; 3])?;
    let scores = cx.affine(scores, 1.0, f64::from(*rho))?;
    let mut class = best(cx, scores)?;
    if labels.len() == 2 && list(cx, "prob_a").is_empty() {
        // The second of two is taken where any score is large enough.
        let most = cx.reduce("reduce_max", scores, &[1], false)?;
        let second = match coefficients.iter().all(|it| *it >= 0.0) {
            true => cx.with_number("greater_equal", most, 0.5)?,
            false => cx.with_number("greater", most, 0.0)?,
        };
        let one = cx.int_scalar(1);
        class = cx.select(second, one, class)?;
    }
    Ok(vec![labels.select(cx, class)?, transform.of_rows(cx, scores)?])
}

/// A machine for each pair of classes.
struct Pairwise<'m> {
    classes: usize,
    vectors: usize,
    /// First of the vectors of each class, and the end.
    starts: Vec<usize>,
    /// `[classes − 1, vectors]`: those of a vector against each other class.
    coefficients: &'m [f32],
    rho: &'m [f32],
}

impl<'m> Pairwise<'m> {
    fn of(node: &Node<'m>, supports: &[i64], classes: usize) -> Result<Pairwise<'m>, Diagnostic> {
        if supports.len() != classes {
            let message = format!("`vectors_per_class` has {} numbers for {classes} labels", supports.len());
            return Err(bad(message));
        }
        let mut starts = vec![0usize];
        for count in supports {
            let next = usize::try_from(*count).ok().and_then(|it| starts[starts.len() - 1].checked_add(it));
            starts.push(next.ok_or_else(|| bad(format!("`vectors_per_class` has a {count}")))?);
        }
        let vectors = starts[classes];
        let (coefficients, rho) = (list(node, "coefficients"), list(node, "rho"));
        let wanted = (classes - 1).checked_mul(vectors);
        if wanted != Some(coefficients.len()) {
            return Err(bad(format!(
                "`coefficients` has {} numbers, for {} rows of {vectors}",
                coefficients.len(),
                classes - 1
            )));
        }
        let machine = Pairwise { classes, vectors, starts, coefficients, rho };
        let pairs = machine.pairs().count();
        if pairs == 0 || rho.len() != pairs {
            return Err(bad(format!("`rho` has {} numbers for {pairs} pairs of classes", rho.len())));
        }
        Ok(machine)
    }

    /// Pairs of classes in the order of their machines.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let classes = self.classes;
        (0..classes).flat_map(move |i| (i + 1..classes).map(move |j| (i, j)))
    }

    /// A constant matrix of a row for each of `rows` and a column for each pair.
    fn by_pair(
        &self,
        cx: &mut NodeCx<'_, '_>,
        rows: usize,
        number: impl Fn(usize, (usize, usize)) -> f32,
    ) -> Single {
        let pairs: Vec<(usize, usize)> = self.pairs().collect();
        let numbers: Vec<f32> = (0..rows)
            .flat_map(|row| pairs.iter().map(move |pair| (row, *pair)))
            .map(|it| number(it.0, it.1))
            .collect();
        floats(cx, &[rows as u64, pairs.len() as u64], &numbers)
    }

    /// A score for each pair, positive for its first class.
    fn scores(&self, cx: &mut NodeCx<'_, '_>, kernels: Value) -> Single {
        let weights = self.by_pair(cx, self.vectors, |vector, (i, j)| {
            let is_of = |class: usize| (self.starts[class]..self.starts[class + 1]).contains(&vector);
            match (is_of(i), is_of(j)) {
                (true, _) => self.coefficients[(j - 1) * self.vectors + vector],
                (_, true) => self.coefficients[i * self.vectors + vector],
                _ => 0.0,
            }
        })?;
        let product = cx.binary("matmul", kernels, weights)?;
        let rho = floats(cx, &[self.rho.len() as u64], self.rho)?;
        cx.binary("add", product, rho)
    }

    /// The class that wins most pairs, of equal ones the first.
    fn vote(&self, cx: &mut NodeCx<'_, '_>, scores: Value) -> Single {
        let pairs: Vec<(usize, usize)> = self.pairs().collect();
        let mut turned = |of: &dyn Fn(usize, (usize, usize)) -> f32| {
            let list: Vec<f32> =
                pairs.iter().flat_map(|pair| (0..self.classes).map(move |class| of(class, *pair))).collect();
            floats(cx, &[pairs.len() as u64, self.classes as u64], &list)
        };
        // The second class of each pair has its vote, and the first takes it.
        let moved = turned(&|class, (i, j)| f32::from(class == i) - f32::from(class == j))?;
        let given: Vec<f32> = (0..self.classes).map(|class| class as f32).collect();
        let given = floats(cx, &[self.classes as u64], &given)?;
        let first = cx.with_number("greater", scores, 0.0)?;
        let first = cx.cast(first, DType::F32)?;
        let votes = cx.binary("matmul", first, moved)?;
        let votes = cx.binary("add", votes, given)?;
        best(cx, votes)
    }

    /// Probabilities of all classes: those that fit those of pairs best, searched class by class, as by Wu, Lin and Weng
    /// ("Probability Estimates for Multi-class Classification by Pairwise Coupling", second method).
    fn probabilities(&self, cx: &mut NodeCx<'_, '_>, scores: Value, [a, b]: [&[f32]; 2]) -> Single {
        let pairs: Vec<(usize, usize)> = self.pairs().collect();
        let count = [pairs.len() as u64];
        let [a, b] = [floats(cx, &count, a)?, floats(cx, &count, b)?];
        let scaled = cx.binary("mul", scores, a)?;
        let exponent = cx.binary("add", scaled, b)?;
        let share = cx.unary("neg", exponent)?;
        let share = cx.unary("sigmoid", share)?;
        let share = cx.clamp(share, f64::from(MARGIN), f64::from(1.0 - MARGIN))?;
        // r[i, j] of every two classes, 0 of a class with itself.
        let one = cx.number_like(share, 1.0)?;
        let other = cx.binary("sub", one, share)?;
        let none = cx.affine(share, 0.0, 0.0)?;
        let none = cx.slice(none, 1, 0, 1)?;
        let all = cx.concat(&[share, other, none], 1)?;
        let k = self.classes;
        let mut places = vec![2 * pairs.len() as i64; k * k];
        for (place, (i, j)) in pairs.iter().enumerate() {
            places[i * k + j] = place as i64;
            places[j * k + i] = (pairs.len() + place) as i64;
        }
        let places = cx.constant(i64_data(vec![(k * k) as u64], &places));
        let r = cx.emit("gather", attrs([("axis", 1.into())]), &[all, places])?;
        let rows = Size::Of(r, 0);
        let square = [rows.clone(), Size::Const(k as i64), Size::Const(k as i64)];
        let r = cx.reshape_to(r, &square)?;
        let turned = cx.transpose(r, &[0, 2, 1])?;
        let q = cx.binary("mul", r, turned)?;
        let q = cx.unary("neg", q)?;
        let squares = cx.square(turned)?;
        let diagonal = cx.reduce("reduce_sum", squares, &[2], false)?;
        let unit: Vec<f32> = (0..k * k).map(|at| f32::from(at / k == at % k)).collect();
        let unit = floats(cx, &[k as u64, k as u64], &unit)?;
        let spread = cx.unsqueeze(diagonal, &[2])?;
        let spread = cx.binary("mul", spread, unit)?;
        let q = cx.binary("add", q, spread)?;
        self.search(cx, q, diagonal)
    }

    /// Minimises `pᵀ Q p` over shares. A row that is near enough stays as it is.
    fn search(&self, cx: &mut NodeCx<'_, '_>, q: Value, diagonal: Value) -> Single {
        let k = self.classes;
        let equal = cx.affine(diagonal, 0.0, 1.0 / k as f64)?;
        let zero = cx.int_scalar(0);
        let near = 0.005f32 / k as f32;
        // `Q p` and `pᵀ Q p` of each row, and whether a row is not near enough.
        let state = |cx: &mut NodeCx<'_, '_>, p: Value| -> Result<[Value; 3], Diagnostic> {
            let across = cx.unsqueeze(p, &[1])?;
            let product = cx.binary("mul", q, across)?;
            let qp = cx.reduce("reduce_sum", product, &[2], false)?;
            let product = cx.binary("mul", p, qp)?;
            let pqp = cx.reduce("reduce_sum", product, &[1], true)?;
            let error = cx.binary("sub", qp, pqp)?;
            let error = cx.unary("abs", error)?;
            let error = cx.reduce("reduce_max", error, &[1], true)?;
            Ok([qp, pqp, cx.with_number("greater_equal", error, f64::from(near))?])
        };
        let results = repeated(
            cx,
            &[zero, equal],
            &mut |cx, values| {
                let &[turn, p] = values else { return Err(bad("the loop carries two values")) };
                let [_, _, far] = state(cx, p)?;
                let far = cx.cast(far, DType::U8)?;
                let any = cx.reduce("reduce_max", far, &[0, 1], false)?;
                let any = cx.cast(any, DType::Bool)?;
                let more = cx.with_number("less", turn, TURNS)?;
                cx.binary("and", any, more)
            },
            &mut |cx, values| {
                let &[turn, p] = values else { return Err(bad("the loop carries two values")) };
                let [mut qp, mut pqp, far] = state(cx, p)?;
                let mut next = p;
                for class in 0..k {
                    let at = class as i64;
                    let own = cx.slice(diagonal, 1, at, at + 1)?;
                    let slope = cx.slice(qp, 1, at, at + 1)?;
                    let step = cx.binary("sub", pqp, slope)?;
                    let step = cx.binary("div", step, own)?;
                    let whole = cx.affine(step, 1.0, 1.0)?;
                    let unit: Vec<f32> = (0..k).map(|it| f32::from(it == class)).collect();
                    let unit = floats(cx, &[1, k as u64], &unit)?;
                    let moved = cx.binary("mul", step, unit)?;
                    next = cx.binary("add", next, moved)?;
                    next = cx.binary("div", next, whole)?;
                    let twice = cx.affine(slope, 2.0, 0.0)?;
                    let gain = cx.binary("mul", step, own)?;
                    let gain = cx.binary("add", gain, twice)?;
                    let gain = cx.binary("mul", step, gain)?;
                    pqp = cx.binary("add", pqp, gain)?;
                    pqp = cx.binary("div", pqp, whole)?;
                    pqp = cx.binary("div", pqp, whole)?;
                    let column = cx.slice(q, 1, at, at + 1)?;
                    let column = cx.squeeze(column, &[1])?;
                    let moved = cx.binary("mul", step, column)?;
                    qp = cx.binary("add", qp, moved)?;
                    qp = cx.binary("div", qp, whole)?;
                }
                let turn = cx.with_number("add", turn, 1.0)?;
                Ok(vec![turn, cx.select(far, next, p)?])
            },
        )?;
        Ok(results[1])
    }
}
