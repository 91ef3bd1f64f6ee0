//! Symbolic integers as 64-bit values.
//!
//! Sizes are bounded where they enter (at most 2^40, see [`super::entry`]), so that wrapping arithmetic is exact for
//! everything that a valid call computes. Where a product decides how much memory is reserved, it is computed a
//! second time in floating point and compared with a limit.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::Variable;
use indexmap::IndexMap;
use orogen_ir::shape::{Atom, AtomId, Dim, Poly, ShapeCx, Sym};

use super::unit::FunctionCx;

/// How the value of a symbol is found.
#[derive(Clone, Copy, Debug)]
enum Bound {
    /// A value and the loop depth at which it is known (0: everywhere).
    Value(Value, u32),
    /// A variable, set on every path.
    Variable(Variable),
}

/// Values of symbols.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    values: IndexMap<Sym, Bound>,
}

impl Scope {
    /// Gives a symbol its value at a loop depth.
    pub(crate) fn bind(&mut self, sym: Sym, value: Value, depth: u32) {
        self.values.insert(sym, Bound::Value(value, depth));
    }

    /// Sets a symbol that may be set elsewhere too.
    pub(crate) fn assign(&mut self, cx: &mut FunctionCx<'_>, sym: Sym, value: Value) {
        let bound = self.values.entry(sym).or_insert_with(|| Bound::Variable(cx.b.declare_var(types::I64)));
        match bound {
            Bound::Variable(variable) => cx.b.def_var(*variable, value),
            bound => *bound = Bound::Value(value, 0),
        }
    }

    /// The value of a symbol in scope (laws L1 and P1).
    fn get(&self, cx: &mut FunctionCx<'_>, sym: Sym) -> (Value, u32) {
        match self.values.get(&sym).expect("symbols are bound before use: laws L1 and P1") {
            Bound::Value(value, depth) => (*value, *depth),
            Bound::Variable(variable) => (cx.b.use_var(*variable), 0),
        }
    }

    /// Whether the symbol has a value.
    pub(crate) fn contains(&self, sym: Sym) -> bool {
        self.values.contains_key(&sym)
    }
}

/// Computes symbolic integers in one function.
pub(crate) struct Sizes<'a> {
    /// Where the expressions live.
    pub(crate) shapes: &'a ShapeCx,
    /// Values of the symbols.
    pub(crate) scope: &'a Scope,
}

impl Sizes<'_> {
    /// The value of an expression.
    pub(crate) fn value(&self, cx: &mut FunctionCx<'_>, dim: Dim) -> Value {
        self.leveled(cx, dim).0
    }

    /// The value and the depth at which it is known.
    ///
    /// Terms are added outermost first, so that what an outer loop determines is computed there.
    pub(crate) fn leveled(&self, cx: &mut FunctionCx<'_>, dim: Dim) -> (Value, u32) {
        self.poly(cx, self.shapes.poly(dim), true)
    }

    /// As [`Sizes::value`], the constant term left out and returned beside it.
    pub(crate) fn split_constant(&self, cx: &mut FunctionCx<'_>, dim: Dim) -> (Option<Value>, i64) {
        let poly = self.shapes.poly(dim);
        let value = (poly.as_int().is_none()).then(|| self.poly(cx, poly, false).0);
        (value, poly.constant())
    }

    fn poly(&self, cx: &mut FunctionCx<'_>, poly: &Poly, with_constant: bool) -> (Value, u32) {
        let mut terms: Vec<(Value, u32)> = Vec::new();
        for (factors, coefficient) in poly.terms() {
            terms.push(self.term(cx, factors, coefficient));
        }
        let constant = if with_constant { poly.constant() } else { 0 };
        if constant != 0 || terms.is_empty() {
            terms.push((cx.int(constant), 0));
        }
        terms.sort_by_key(|term| term.1);
        fold(cx, terms, |cx, a, b| cx.b.ins().iadd(a, b))
    }

    fn term(&self, cx: &mut FunctionCx<'_>, factors: &[(AtomId, u32)], coefficient: i64) -> (Value, u32) {
        let mut values: Vec<(Value, u32)> = Vec::new();
        for &(id, power) in factors {
            let value = self.atom(cx, id);
            values.extend(std::iter::repeat_n(value, power as usize));
        }
        if coefficient != 1 {
            values.push((cx.int(coefficient), 0));
        }
        values.sort_by_key(|it| it.1);
        fold(cx, values, |cx, a, b| cx.b.ins().imul(a, b))
    }

    fn atom(&self, cx: &mut FunctionCx<'_>, id: AtomId) -> (Value, u32) {
        match self.shapes.atom(id) {
            Atom::Sym(sym) => self.scope.get(cx, *sym),
            Atom::FloorDiv(a, k) => {
                let (value, depth) = self.leveled(cx, *a);
                let bounds = self.shapes.bounds(*a);
                let quotient = if bounds.lo.is_some_and(|lo| lo >= 0) {
                    unsigned_div(cx, value, *k, bounds.hi)
                } else {
                    floor_div_const(cx, value, *k)
                };
                (quotient, depth)
            }
            Atom::FloorDivSym(a, b) => {
                let (a, x) = self.leveled(cx, *a);
                let (b, y) = self.leveled(cx, *b);
                (floor_div(cx, a, b), x.max(y))
            }
            Atom::Min(list) => {
                let values = list.iter().map(|it| self.leveled(cx, *it)).collect();
                fold(cx, values, |cx, a, b| cx.b.ins().smin(a, b))
            }
            Atom::Max(list) => {
                let values = list.iter().map(|it| self.leveled(cx, *it)).collect();
                fold(cx, values, |cx, a, b| cx.b.ins().smax(a, b))
            }
        }
    }

    /// The value in `f64`: inexact, but it does not wrap.
    pub(crate) fn approximate(&self, cx: &mut FunctionCx<'_>, dim: Dim) -> Value {
        let poly = self.shapes.poly(dim);
        let mut sum = cx.b.ins().f64const(poly.constant() as f64);
        for (factors, coefficient) in poly.terms() {
            let mut product = cx.b.ins().f64const(coefficient as f64);
            for &(id, power) in factors {
                let value = self.approximate_atom(cx, id);
                for _ in 0..power {
                    product = cx.b.ins().fmul(product, value);
                }
            }
            sum = cx.b.ins().fadd(sum, product);
        }
        sum
    }

    fn approximate_atom(&self, cx: &mut FunctionCx<'_>, id: AtomId) -> Value {
        let divide = |cx: &mut FunctionCx<'_>, a: Value, b: Value| {
            let quotient = cx.b.ins().fdiv(a, b);
            cx.b.ins().floor(quotient)
        };
        match self.shapes.atom(id) {
            Atom::Sym(sym) => {
                let value = self.scope.get(cx, *sym).0;
                cx.b.ins().fcvt_from_sint(types::F64, value)
            }
            Atom::FloorDiv(a, k) => {
                let a = self.approximate(cx, *a);
                let k = cx.b.ins().f64const(*k as f64);
                divide(cx, a, k)
            }
            Atom::FloorDivSym(a, b) => {
                let a = self.approximate(cx, *a);
                let b = self.approximate(cx, *b);
                divide(cx, a, b)
            }
            Atom::Min(list) => {
                let values = list.iter().map(|it| (self.approximate(cx, *it), 0)).collect();
                fold(cx, values, |cx, a, b| cx.b.ins().fmin(a, b)).0
            }
            Atom::Max(list) => {
                let values = list.iter().map(|it| (self.approximate(cx, *it), 0)).collect();
                fold(cx, values, |cx, a, b| cx.b.ins().fmax(a, b)).0
            }
        }
    }
}

fn fold(
    cx: &mut FunctionCx<'_>,
    values: Vec<(Value, u32)>,
    mut combine: impl FnMut(&mut FunctionCx<'_>, Value, Value) -> Value,
) -> (Value, u32) {
    let mut values = values.into_iter();
    let first = values.next().expect("at least one operand");
    values.fold(first, |(a, x), (b, y)| (combine(cx, a, b), x.max(y)))
}

/// `⌊a / k⌋` for `0 ≤ a`, `k ≥ 2`; `hi` bounds `a`.
fn unsigned_div(cx: &mut FunctionCx<'_>, a: Value, k: i64, hi: Option<i64>) -> Value {
    if k.count_ones() == 1 {
        return cx.b.ins().ushr_imm_u(a, i64::from(k.trailing_zeros()));
    }
    // A multiplication by ⌊2^64/k⌋ + 1 is exact while a·k < 2^64.
    let exact = hi.is_some_and(|hi| i128::from(hi) * i128::from(k) < 1 << 64);
    let k = k.unsigned_abs();
    if exact {
        let magic = (u64::MAX / k) + 1;
        let magic = cx.int(magic.cast_signed());
        return cx.b.ins().umulhi(a, magic);
    }
    let k = cx.int(k.cast_signed());
    cx.b.ins().udiv(a, k)
}

/// `⌊a / k⌋` for any `a` and a constant `k ≥ 2`.
fn floor_div_const(cx: &mut FunctionCx<'_>, a: Value, k: i64) -> Value {
    if k.count_ones() == 1 {
        return cx.b.ins().sshr_imm_u(a, i64::from(k.trailing_zeros()));
    }
    let k = cx.int(k);
    let quotient = cx.b.ins().sdiv(a, k);
    let back = cx.b.ins().imul(quotient, k);
    let rest = cx.b.ins().isub(a, back);
    let borrow = cx.b.ins().sshr_imm_u(rest, 63);
    cx.b.ins().iadd(quotient, borrow)
}

/// `⌊a / b⌋`; the result for `b = 0` is arbitrary.
fn floor_div(cx: &mut FunctionCx<'_>, a: Value, b: Value) -> Value {
    // Division traps for 0, and for the least integer by −1, which the bounds on sizes exclude.
    let one = cx.int(1);
    let zero = cx.b.ins().icmp_imm_s(IntCC::Equal, b, 0);
    let b = cx.b.ins().select(zero, one, b);
    let quotient = cx.b.ins().sdiv(a, b);
    let back = cx.b.ins().imul(quotient, b);
    let rest = cx.b.ins().isub(a, back);
    let signs = cx.b.ins().bxor(rest, b);
    let opposite = cx.b.ins().icmp_imm_s(IntCC::SignedLessThan, signs, 0);
    let inexact = cx.b.ins().icmp_imm_s(IntCC::NotEqual, rest, 0);
    let borrow = cx.b.ins().band(opposite, inexact);
    let borrow = cx.b.ins().uextend(types::I64, borrow);
    cx.b.ins().isub(quotient, borrow)
}
