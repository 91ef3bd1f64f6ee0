//! Proofs that two functions compute the same, for all sizes.
//!
//! Both functions, straight-line dataflow over the same symbolic sizes, are legalised by the table that production uses.
//! Then each result is composed, by demand, to one scalar expression over symbolic indices and loads of the parameters,
//! and both expressions are brought to a normal form in which equal ones are the same. What decides: the symbolic
//! integers for indices, and the laws below for scalars. Nothing is proven by sampling. Where no proof is found, both
//! functions are evaluated on small tensors; a difference refutes with its index, and otherwise the answer is unknown,
//! with both expressions.
//!
//! ```
//! use orogen_ir::flow::text::parse;
//! use orogen_ir::ops::OpRegistry;
//! use orogen_passes::proof::{Class, Prover, Verdict};
//!
//! let ops = OpRegistry::standard();
//! let module = |body: &str| parse(&format!("module @m {{
//!   sym n, m
//!   fn @f(%x: Tensor<f32, [n, m]>) -> (y) {{
//!     dataflow {{ {body} yield %y }} return %y
//!   }}
//! }}"), &ops);
//! let before = module("%a = transpose(%x) {perm = [1, 0]} %b = relu(%a) %y = transpose(%b) {perm = [1, 0]}")?;
//! let after = module("%y = relu(%x)")?;
//! let verdict = Prover::new(&ops).prove(&before, &after, Class::Bitwise);
//! assert!(matches!(verdict, Verdict::Proven { .. }), "{verdict}");
//! # Ok::<(), orogen_ir::diag::Diagnostics>(())
//! ```
//!
//! # What a proof says
//! For all sizes that satisfy the facts and checks of the first function, and for all data with which it ends without an
//! error, each element of each result of the second is, by class: *bitwise* the same bits (NaNs are not told apart), or
//! over the reals the same number, where every float is the real number that it is, every operation exact, and the first
//! function has a value. Integers and truth values are the same bits in every class.
//!
//! A reduction of a tensor program leaves its order open, so two are the same when they combine the same values, each as
//! often; bit by bit nothing is moved into, out of or between sums of floats. A constant that is the float nearest to a
//! rational number with a small denominator is that number over the reals.
//!
//! # Laws of the scalars
//! Bit by bit, for floats:
//! * **B1** `a + b = b + a`, `a · b = b · a`; not of the larger and the smaller of two, for the signs of zeros.
//! * **B2** `a − b = a + (−b)`, `−−a = a`, `(−a) · b = −(a · b)`, `(−a) / b = −(a / b)`, `|−a| = |a|`, `||a|| = |a|`,
//!   `|a · b| = |a| · |b|`.
//! * **B3** `a · 1 = a`, `a / 1 = a`, `a · −1 = −a`, `a + (−0) = a`, `a − 0 = a`; not `a + 0 = a`.
//! * **B4** `a + a = 2 · a`; `a / c = a · (1/c)` for powers of two; `1/a` is the quotient.
//! * **B5** The larger (smaller) of `a` and `a` is `a`, also where `a` is that of something and the second operand.
//! * **B6** A choice between equal values is that value; conditions that are known choose; `not` swaps; a function of a
//!   choice is the choice of its values; inside a choice the same condition has its answer.
//! * **B7** A conversion to the type of a value, or back from a type that holds all values of it, changes nothing.
//! * **B8** The greatest (least) over several axes is taken in any order and grouping, and before or after a conversion
//!   that keeps every value.
//! * **B9** Rounding functions leave what one of them gave; `a^1 = a`; the larger of 0 and what is never negative, not
//!   even −0, is that.
//!
//! * **B10** `round(n·s / s) = n` for an integer `n` that is converted to the type of `s`, where `|n| · ((1 + u)² − 1) < ½`
//!   for the unit roundoff `u`, and `s` is known to lie in a range in which all products are normal: each of the two
//!   roundings moves the quotient by a factor of at most `1 + u`, so it stays nearer to `n` than to any other integer.
//! * **B11** The greatest (least) of `n·s` is that of the integers times `s`, for one `s` that is known to be positive and
//!   finite, where there is an integer: conversion and product round, and neither changes an order.
//! * **B12** A sum of converted integers is the converted sum, and converting back gives the integer, where bounds show that
//!   the float type holds all of them.
//! * **B13** The greatest of nothing is −∞, or the least integer of a type, and so may be left out among others (and so for
//!   the least).
//! * **B14** The larger of `a·s` and +0 is `s` times that of `a` and +0, for `s` known to be positive and finite: rounding
//!   keeps the order. It is not so of any two numbers, since products that are too small for the type are zeros of both
//!   signs.
//!
//! Integers of a type form a ring modulo 2 to their width: sums and products are polynomials, sums over axes distribute.
//! * **I1** The laws of commutative rings. A narrowing conversion is a homomorphism, and undoes a widening one; that, and one to reals, is
//!   where bounds show that no intermediate value wraps.
//! * **I2** The larger and the smaller of values, and `and` and `or` of truth values, are those of a set.
//! * **I4** `max(a + c) = c + max a`, and the greatest in one type is that in another one, where there is a value and bounds
//!   show that both types hold all of them.
//! * **I3** Functions of numbers that are known have the value that their row in the table says.
//!
//! Over the reals, besides the laws of fields:
//! * **R1** `Σ` distributes over sums; what does not mention an axis moves out; nested sums exchange; a sum of `n` equal
//!   terms is `n` times one.
//!   A product of products is one over all axes, of integers too.
//! * **R2** `Σ` over `k < n·m` is one over `n` and over `m`; a guard that bounds an axis becomes its range; a guard
//!   `k = i` leaves the term at `i`; terms under complementary guards are one without; outside of guards there is 0.
//!   Where all that leaves two expressions apart, sums over a few numbers are written out, of integers too, and an index that
//!   is divided by a small number is taken by its remainders, each a case.
//! * **R3** `a · a⁻¹ = 1` where `a` is proven not to be 0. `(a · b)⁻¹ = a⁻¹ · b⁻¹`.
//! * **R4** `e^(a+b) = e^a · e^b`, `e^(n·a) = (e^a)^n`, `log e^a = a`, `log (a·b) = log a + log b` for positive `a`.
//! * **R5** `√a · √a = a`, `√(a²·b) = |a| · √b`; powers by small integers and by ±½ are products and roots.
//! * **R6** `σ(a) = 1 − 1/(1 + e^a)`, `tanh a = 1 − 2/(1 + e^2a)`, and `expm1`, `log1p`, `softplus` by their definitions;
//!   odd and even functions of negated values.
//! * **R7** `max (a + c) = c + max a`; `max c·a = c · max a` and `|c·a| = c · |a|` for positive `c`, which a parameter may be
//!   known to be; `min a = −max −a`; `max(−a, 0) = max(a, 0) − a`; nothing is less than −∞.
//! * **R8** A conversion between floats is the identity.
//! * **R9** `c·a < c·b` is `a < b` for positive `c`, and so for all comparisons. A choice between `c·a` and `c·b` is `c` times
//!   that between `a` and `b`; where `d < 0` chooses `a`, else `a + c·d`, it is `a + c·max(d, 0)`.
//!
//! # What is trusted
//! Legalisation and the flow driver of it, the laws of tensor programs (L6, L12) that their verifier checks, the
//! symbolic integers (their own properties are tested on random expressions), and this module. Refutations trust the
//! reference interpreter.

mod cases;
mod casts;
mod code;
mod compose;
mod extremes;
mod instances;
mod known;
mod laws;
mod normal;
mod poly;
mod print;
mod ratio;
mod refute;
mod rules;
mod sums;
mod term;
mod unrolled;

pub use known::Known;
pub use refute::Evaluate;
pub use rules::RuleProof;

use crate::flow::Legalize;
use crate::manager::{Pass, PassCx};
use crate::rules::legalize::LegalizeTable;
use cases::{Indices, Stop};
use compose::{Composer, Side};
use indexmap::IndexSet;
use normal::Normal;
use orogen_ir::flow::{BindingId, Function, Module, Rhs, ValueId};
use orogen_ir::ops::OpRegistry;
use orogen_ir::shape::{Constraint, Dim, ShapeCx, Sym};
use orogen_ir::types::{DType, bound_symbols, visit_dims};
use std::fmt;

/// Cases of one proof.
const MAX_CASES: usize = 128;

/// What two functions that are equal have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The same bits for all inputs, special values included.
    Bitwise,
    /// The same number over the reals.
    Reassociates,
    /// The same number over the reals, up to an error that is stated where the rule is.
    Approximates,
}

/// Where two functions differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which result.
    pub result: usize,
    /// At which index; empty also where a run ends with an error, or shapes differ.
    pub index: Vec<u64>,
    /// For which sizes.
    pub sizes: String,
    /// Both values.
    pub reason: String,
}

/// What is known of two functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They are equal for all sizes.
    Proven {
        /// In how many cases.
        cases: usize,
    },
    /// They differ.
    Refuted {
        /// Where.
        difference: Difference,
        /// The expressions of a result that no proof was found for, where they could be composed.
        expressions: Option<Box<[String; 2]>>,
    },
    /// No proof was found, and no difference.
    Unknown {
        /// Why.
        reason: String,
        /// The expressions of the result that no proof was found for, where they could be composed.
        expressions: Option<Box<[String; 2]>>,
    },
}

impl Verdict {
    /// Whether they are proven equal.
    pub fn is_proven(&self) -> bool {
        matches!(self, Verdict::Proven { .. })
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let both = |f: &mut fmt::Formatter<'_>, expressions: &Option<Box<[String; 2]>>| match expressions {
            Some(it) => write!(f, "\n  first:  {}\n  second: {}", it[0], it[1]),
            None => Ok(()),
        };
        match self {
            Verdict::Proven { cases: 1 } => f.write_str("proven"),
            Verdict::Proven { cases } => write!(f, "proven in {cases} cases"),
            Verdict::Refuted { difference: it, expressions } => {
                write!(f, "refuted: result {} at {:?}", it.result, it.index)?;
                if !it.sizes.is_empty() {
                    write!(f, " for {}", it.sizes)?;
                }
                write!(f, ": {}", it.reason)?;
                both(f, expressions)
            }
            Verdict::Unknown { reason, expressions } => {
                write!(f, "no proof found: {reason}")?;
                both(f, expressions)
            }
        }
    }
}

/// Proves that functions are equal.
#[derive(Clone)]
pub struct Prover<'a> {
    ops: &'a OpRegistry,
    table: LegalizeTable,
    evaluate: Option<Evaluate<'a>>,
    /// Element types of instances, in order.
    types: Vec<DType>,
}

impl fmt::Debug for Prover<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prover").finish_non_exhaustive()
    }
}

/// A proof that did not come about.
struct Failure {
    reason: String,
    expressions: Option<Box<[String; 2]>>,
    /// Which index might be taken by its remainders of which number.
    period: Option<(usize, i64)>,
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Failure { reason, expressions: None, period: None }
    }
}

impl<'a> Prover<'a> {
    /// With the legalisation of all standard operators, and without an evaluator: nothing is refuted.
    ///
    /// # Panics
    /// When `ops` lacks a standard operator.
    pub fn new(ops: &'a OpRegistry) -> Self {
        Prover { ops, table: LegalizeTable::standard(ops), evaluate: None, types: instances::TYPES.to_vec() }
    }

    /// With another table of lowerings.
    #[must_use]
    pub fn with_table(mut self, table: LegalizeTable) -> Self {
        self.table = table;
        self
    }

    /// With an evaluator that looks for differences where no proof is found.
    #[must_use]
    pub fn with_evaluator(mut self, evaluate: Evaluate<'a>) -> Self {
        self.evaluate = Some(evaluate);
        self
    }

    /// With these element types for instances of rules, in this order: which instances there are depends on it, whether
    /// they are proven must not.
    #[must_use]
    pub fn with_types(mut self, types: impl IntoIterator<Item = DType>) -> Self {
        self.types = types.into_iter().collect();
        self
    }

    /// The element types of instances of rules, each of which stands for those with the same laws.
    pub fn types(&self) -> &[DType] {
        &self.types
    }

    /// Whether the entry functions of two modules are equal.
    ///
    /// Symbols of one name are one size; facts and checks are those of the first.
    pub fn prove(&self, before: &Module, after: &Module, class: Class) -> Verdict {
        self.prove_knowing(before, after, class, &Known::default())
    }

    /// The same for data of which more is known than types.
    pub fn prove_knowing(&self, before: &Module, after: &Module, class: Class, known: &Known) -> Verdict {
        let failure = match self.attempt(before, after, class, known) {
            Ok(cases) => return Verdict::Proven { cases },
            Err(it) => it,
        };
        match self.difference(before, after, class, known) {
            Some(difference) => Verdict::Refuted { difference, expressions: failure.expressions },
            None => Verdict::Unknown { reason: failure.reason, expressions: failure.expressions },
        }
    }

    /// A difference between the entry functions of two modules of one signature, when the evaluator finds one.
    pub fn difference(
        &self,
        before: &Module,
        after: &Module,
        class: Class,
        known: &Known,
    ) -> Option<Difference> {
        let (name, function) = before.entry()?;
        let (other_name, other) = after.entry()?;
        let symbols: Vec<Sym> = bound_by_parameters(&before.shapes, function).into_iter().collect();
        let sides = [(before, name, function), (after, other_name, other)];
        refute::search(sides, &symbols, class, known, self.evaluate?)
    }

    fn legalized(&self, module: &Module) -> Result<Module, String> {
        let mut module = module.clone();
        let pass = Legalize::new(self.table.clone());
        match pass.run(&mut module, &mut PassCx::new(self.ops)) {
            Ok(_) => Ok(module),
            Err(found) => Err(format!("it is not lowered: {found}")),
        }
    }

    /// In how many cases the proof is.
    fn attempt(
        &self,
        before: &Module,
        after: &Module,
        class: Class,
        known: &Known,
    ) -> Result<usize, Failure> {
        let (before, after) = (self.legalized(before)?, self.legalized(after)?);
        let entry = |module: &'_ Module| module.entry().map(|it| it.0.to_owned());
        let names = entry(&before).zip(entry(&after));
        let (name, other) = names.ok_or_else(|| "there is no function".to_owned())?;
        let missing = || "there is no function".to_owned();
        let function = before.function(&name).ok_or_else(missing)?;
        let other = after.function(&other).ok_or_else(missing)?;
        let ops = self.ops;
        let sides = [Side { module: &before, function, ops }, Side { module: &after, function: other, ops }];
        let symbols = bound_by_parameters(&before.shapes, function);
        let shared: IndexSet<String> = symbols.iter().map(|it| before.shapes.name(*it).to_owned()).collect();
        let mut cx = before.shapes.clone();
        signatures_agree(&mut cx, sides)?;
        for check in checks(function) {
            cx.assume(check).map_err(|it| it.to_string())?;
        }
        for check in checks(other) {
            let known = check.dims().all(|it| {
                after.shapes.free_symbols(it).iter().all(|sym| shared.contains(after.shapes.name(*sym)))
            });
            let own = check.map(&mut |d| Ok::<Dim, ()>(cx.import(&after.shapes, d)));
            if !known || !own.is_ok_and(|it| cx.prove(it).is_always()) {
                let text = after.shapes.display_fact(&check);
                return Err(format!("the second checks `{text}`, which does not follow").into());
            }
        }
        let mut cases = 0;
        for result in 0..function.results().len() {
            let proof = Proof { sides, shared: &shared, exact: class == Class::Bitwise, known, result };
            cases = cases.max(proof.run(Indices::new(cx.clone()))?);
        }
        Ok(cases)
    }
}

/// The checks of a function.
fn checks(function: &Function) -> Vec<Constraint> {
    let of = |id: BindingId| match &function[id].rhs {
        Rhs::Check { constraint, .. } => Some(*constraint),
        _ => None,
    };
    function.live_bindings().into_iter().filter_map(of).collect()
}

/// The symbols that parameters bind, in order.
fn bound_by_parameters(shapes: &ShapeCx, function: &Function) -> IndexSet<Sym> {
    let mut out = IndexSet::new();
    for param in function.params() {
        let ty = &function[param.value].ty;
        bound_symbols(shapes, ty, &mut |it| {
            out.insert(it);
        });
        visit_dims(ty, &mut |d| out.extend(shapes.free_symbols(d)));
    }
    out
}

/// Parameters are of the same types; results as many, of the same element types and shapes.
fn signatures_agree(cx: &mut ShapeCx, sides: [Side<'_>; 2]) -> Result<(), String> {
    let [a, b] = sides;
    let (params, others) = (a.function.params(), b.function.params());
    if params.len() != others.len() || a.function.results().len() != b.function.results().len() {
        return Err("the functions have other signatures".to_owned());
    }
    let pairs = params.iter().map(|it| it.value).zip(others.iter().map(|it| it.value));
    for (i, (x, y)) in pairs.enumerate() {
        let (x, y) = (a.function[x].ty.as_tensor(), b.function[y].ty.as_tensor());
        let (Some(x), Some(y)) = (x, y) else { return Err(format!("parameter {i} is not a tensor")) };
        let dims = |cx: &mut ShapeCx, from: &ShapeCx, list: Option<&[Dim]>| {
            list.map(|list| list.iter().map(|it| cx.import(from, *it)).collect::<Vec<Dim>>())
        };
        let (own, other) = (dims(cx, &a.module.shapes, x.dims()), dims(cx, &b.module.shapes, y.dims()));
        if x.dtype != y.dtype || own.is_none() || own != other {
            return Err(format!("parameter {i} has another type"));
        }
    }
    Ok(())
}

/// Two expressions, and which index has which period in them.
type Unequal = ([String; 2], Option<(usize, i64)>);

/// The proof for one result.
struct Proof<'a> {
    sides: [Side<'a>; 2],
    shared: &'a IndexSet<String>,
    exact: bool,
    known: &'a Known,
    result: usize,
}

impl Proof<'_> {
    fn run(&self, start: Indices) -> Result<usize, Failure> {
        let mut first = Composer::new(start, self.sides, self.shared);
        let at = match self.indices(&mut first) {
            Ok(at) => at,
            Err(Stop::Unknown(reason)) => return Err(reason.into()),
            Err(Stop::Split(_)) => return Err("the shapes of the results depend on sizes".to_owned().into()),
        };
        let Some(at) = at else { return Ok(1) };
        let extents = match first.dims(0, self.values()[0]) {
            Ok(it) => it,
            Err(_) => return Err("a result has no known shape".to_owned().into()),
        };
        self.by_remainders(&first.indices, &at, &extents, at.len())
    }

    /// Proves all cases; where that fails, those of each remainder of an index, for so many indices.
    fn by_remainders(
        &self,
        start: &Indices,
        at: &[Dim],
        extents: &[Dim],
        left: usize,
    ) -> Result<usize, Failure> {
        let failure = match self.cases(start.clone(), at) {
            Ok(cases) => return Ok(cases),
            Err(it) => it,
        };
        let Some((axis, by)) = failure.period.filter(|_| left > 0) else { return Err(failure) };
        let mut all = 0;
        for remainder in 0..by {
            let mut indices = start.clone();
            let index = indices.residue(extents[axis], by, remainder);
            let Some(index) = index.map_err(|_| "an index is too large".to_owned())? else { continue };
            let mut at = at.to_vec();
            at[axis] = index;
            all += self.by_remainders(&indices, &at, extents, left - 1)?;
        }
        Ok(all)
    }

    fn cases(&self, start: Indices, at: &[Dim]) -> Result<usize, Failure> {
        let mut waiting = vec![start];
        let mut cases = 0;
        while let Some(mut indices) = waiting.pop() {
            cases += 1;
            if cases > MAX_CASES {
                return Err(format!("there are more than {MAX_CASES} cases").into());
            }
            let facts = indices.cx.save_facts();
            let mut composer = Composer::new(indices, self.sides, self.shared);
            if let Some(split) = self.case(&mut composer, at)? {
                cases -= 1;
                indices = composer.indices;
                indices.cx.restore_facts(facts);
                let negated = indices.negated(split).map_err(|_| "an index is too large".to_owned())?;
                for condition in [negated, split] {
                    let mut branch = indices.clone();
                    // A case that cannot be needs no proof.
                    if branch.cx.assume(Constraint::AtLeast(condition, 0)).is_ok() {
                        waiting.push(branch);
                    }
                    if waiting.len() > MAX_CASES {
                        return Err(format!("there are more than {MAX_CASES} cases").into());
                    }
                }
            }
        }
        Ok(cases)
    }

    /// The index of an element of the result; `None` where there is no element.
    fn indices(&self, composer: &mut Composer<'_>) -> Result<Option<Vec<Dim>>, Stop> {
        let values = self.values();
        let (dims, others) = (composer.dims(0, values[0])?, composer.dims(1, values[1])?);
        let types = [0, 1].map(|it| self.sides[it].function[values[it]].ty.as_tensor().map(|it| it.dtype));
        if types[0] != types[1] || types[0].is_none() || dims.len() != others.len() {
            return Err(Stop::unknown("the results have other types"));
        }
        for (a, b) in dims.iter().zip(&others) {
            if !composer.indices.cx.prove_eq(*a, *b).is_always() {
                let text = |d: Dim| composer.indices.cx.display(d).to_string();
                return Err(Stop::unknown(format!("a result has extent `{}` or `{}`", text(*a), text(*b))));
            }
        }
        let mut at = Vec::new();
        for (i, extent) in dims.iter().enumerate() {
            match composer.indices.free_index(&format!("i{i}"), *extent)? {
                Some(index) => at.push(index),
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    fn values(&self) -> [ValueId; 2] {
        self.sides.map(|it| it.function.results()[self.result])
    }

    /// Proves one case, or says how to split it.
    fn case(&self, composer: &mut Composer<'_>, at: &[Dim]) -> Result<Option<Dim>, Failure> {
        match self.compare(composer, at) {
            Ok(None) => Ok(None),
            Ok(Some((expressions, period))) => {
                let reason = "the expressions have different normal forms".to_owned();
                Err(Failure { reason, expressions: Some(Box::new(expressions)), period })
            }
            Err(Stop::Split(d)) => Ok(Some(d)),
            Err(Stop::Unknown(reason)) => Err(reason.into()),
        }
    }

    /// Both expressions as text, where they are not found equal, and a period that an index has in them.
    fn compare(&self, composer: &mut Composer<'_>, at: &[Dim]) -> Result<Option<Unequal>, Stop> {
        let values = self.values();
        let (a, b) = (composer.element(0, values[0], at)?, composer.element(1, values[1], at)?);
        let names: Vec<String> = self.sides[0].function.params().iter().map(|it| it.name.clone()).collect();
        let Composer { terms, indices, .. } = composer;
        let mut normal = Normal::new(terms, indices, self.exact, self.known);
        if normal.equal(a, b)? {
            return Ok(None);
        }
        let forms = [normal.of(a)?, normal.of(b)?];
        let [x, y] = &forms;
        let period = unrolled::period(normal.indices, [x, y], at);
        if period.is_none() && !self.exact {
            let mut normal = Normal::new(terms, normal.indices, self.exact, self.known);
            normal.writes_out = true;
            if normal.equal(a, b)? {
                return Ok(None);
            }
        }
        Ok(Some((forms.map(|it| print::text(&it, indices, &names)), period)))
    }
}
