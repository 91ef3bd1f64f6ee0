//! Symbolic integers as 64-bit values.
//!
//! Two ways to compute one, by one evaluator:
//!
//! * Entry points compute sizes from what callers and data say. They are [`Sizes::checked`].
//! * Kernels compute extents, strides and positions from sizes that were checked, inside of buffers whose bytes were
//!   checked. They are [`Sizes::value`], and wrap: positions are sums and products, exact modulo 2⁶⁴, and what lies in
//!   a buffer is less than that.
//!
//! # Laws
//! * **Z1** A checked value is the exact integer, or `overflow` is set. Every step is checked whose exact result, over
//!   all values that symbols can have, may be no 64-bit number; the others need no check. A product with a factor 0
//!   is 0, however large the other factors are.
//! * **Z2** Symbols have the values of their kind: a size is in `0..=`[`MAX_EXTENT`], an integer is in
//!   ±[`MAX_INTEGER`]. Whoever binds one sees to it.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, Value, types};
use cranelift_frontend::Variable;
use indexmap::IndexMap;
use orogen_ir::shape::{Atom, AtomId, Dim, MAX_INTEGER, Poly, ShapeCx, Sym, SymbolKind};

use super::unit::{FunctionCx, Words};

/// How the value of a symbol is found.
#[derive(Clone, Copy, Debug)]
enum Bound {
    /// A value and the loop depth at which it is known (0: everywhere).
    Value(Value, u32),
    /// A variable, set on every path.
    Variable(Variable),
    /// In memory, so many bytes from the start.
    Memory(i32),
}

/// Values of symbols.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    values: IndexMap<Sym, Bound>,
    /// Memory for the values, and how many bytes from its start; several functions that share it share the symbols.
    memory: Option<(Words, i32)>,
}

impl Scope {
    /// No symbols yet; what is assigned lies in memory, a word for each, so many bytes from the start.
    pub(crate) fn in_memory(words: Words, start: i32) -> Scope {
        Scope { values: IndexMap::new(), memory: Some((words, start)) }
    }

    /// Where the symbols lie, if in memory.
    pub(crate) fn words(&self) -> Option<Words> {
        self.memory.map(|it| it.0)
    }

    /// The function being built reaches the memory of the symbols there.
    pub(crate) fn move_to(&mut self, words: Words) {
        self.memory = self.memory.map(|(_, start)| (words, start));
    }

    /// Gives a symbol its value at a loop depth.
    pub(crate) fn bind(&mut self, sym: Sym, value: Value, depth: u32) {
        self.values.insert(sym, Bound::Value(value, depth));
    }

    /// Sets a symbol that may be set elsewhere too.
    pub(crate) fn assign(&mut self, cx: &mut FunctionCx<'_>, sym: Sym, value: Value) {
        if let Some((words, start)) = self.memory {
            let next = start + self.values.len() as i32 * 8;
            let Bound::Memory(at) = *self.values.entry(sym).or_insert(Bound::Memory(next)) else { return };
            words.store(cx, value, at);
            return;
        }
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
            Bound::Memory(at) => {
                let (words, _) = self.memory.expect("symbols in memory have one");
                (words.load(cx, *at), 0)
            }
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

/// The greatest dimension that a call may have.
pub(crate) const MAX_EXTENT: i64 = 1 << 40;

/// Where exact integers lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    lo: i128,
    hi: i128,
}

impl Range {
    const WORD: Range = Range { lo: i64::MIN as i128, hi: i64::MAX as i128 };

    fn point(value: i64) -> Range {
        Range { lo: value.into(), hi: value.into() }
    }

    /// The values of a symbol (law Z2).
    pub(crate) fn of(kind: SymbolKind) -> Range {
        match kind {
            SymbolKind::Size | SymbolKind::Index { .. } => Range { lo: 0, hi: MAX_EXTENT.into() },
            SymbolKind::Integer => Range { lo: -i128::from(MAX_INTEGER), hi: MAX_INTEGER.into() },
        }
    }

    /// What may be asked for.
    pub(crate) fn of_bytes(most: i64) -> Range {
        Range { lo: 0, hi: most.into() }
    }

    /// Whether all of it lies in another.
    pub(crate) fn is_in(self, other: Range) -> bool {
        other.lo <= self.lo && self.hi <= other.hi
    }

    fn contains(self, value: i128) -> bool {
        (self.lo..=self.hi).contains(&value)
    }

    fn add(self, other: Range) -> Range {
        // Both are words, so nothing wraps here.
        Range { lo: self.lo + other.lo, hi: self.hi + other.hi }
    }

    fn mul(self, other: Range) -> Range {
        let corners = [self.lo * other.lo, self.lo * other.hi, self.hi * other.lo, self.hi * other.hi];
        Range::hull(corners)
    }

    fn hull(corners: [i128; 4]) -> Range {
        let [first, ..] = corners;
        let lo = corners.into_iter().fold(first, i128::min);
        Range { lo, hi: corners.into_iter().fold(first, i128::max) }
    }

    fn pick(self, other: Range, of: fn(i128, i128) -> i128) -> Range {
        Range { lo: of(self.lo, other.lo), hi: of(self.hi, other.hi) }
    }

    /// Of `⌊self / by⌋`, whatever a division by 0 gives.
    fn floor_div(self, by: Range) -> Range {
        if by.lo >= 1 {
            let corners = [(self.lo, by.lo), (self.lo, by.hi), (self.hi, by.lo), (self.hi, by.hi)];
            return Range::hull(corners.map(|(a, b)| a.div_euclid(b)));
        }
        let most = self.lo.abs().max(self.hi.abs());
        Range { lo: if self.lo >= 0 && by.lo >= 0 { 0 } else { -most }, hi: most }
    }
}

/// A value, the loop depth at which it is known (0: everywhere), and where it lies.
#[derive(Clone, Copy)]
struct Part {
    value: Value,
    depth: u32,
    range: Range,
}

/// A value that may have overflowed (law Z1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked {
    /// The value, if there was no overflow.
    pub(crate) value: Value,
    /// Not 0 if there was one; `None` if there cannot be any.
    pub(crate) overflow: Option<Value>,
    /// Where the value lies.
    pub(crate) range: Range,
}

impl Checked {
    /// `first` times all of `factors`, whose own overflow is the caller's affair.
    pub(crate) fn product(cx: &mut FunctionCx<'_>, first: i64, factors: &[Checked]) -> Checked {
        let part = |it: &Checked| Part { value: it.value, depth: 0, range: it.range };
        let first = Part { value: cx.int(first), depth: 0, range: Range::point(first) };
        let parts = std::iter::once(first).chain(factors.iter().map(part)).collect();
        let (product, overflow) = product(cx, parts, true);
        Checked { value: product.value, overflow, range: product.range }
    }
}

impl Sizes<'_> {
    /// The value of an expression.
    pub(crate) fn value(&self, cx: &mut FunctionCx<'_>, dim: Dim) -> Value {
        Evaluator { sizes: self, noted: None }.dim(cx, dim).value
    }

    /// As [`Sizes::value`], the constant term left out and returned beside it.
    pub(crate) fn split_constant(&self, cx: &mut FunctionCx<'_>, dim: Dim) -> (Option<Value>, i64) {
        let poly = self.shapes.poly(dim);
        let mut evaluator = Evaluator { sizes: self, noted: None };
        let value = (poly.as_int().is_none()).then(|| evaluator.poly(cx, poly, false).value);
        (value, poly.constant())
    }

    /// The exact value of an expression, or a sign that it is no 64-bit number.
    pub(crate) fn checked(&self, cx: &mut FunctionCx<'_>, dim: Dim) -> Checked {
        let mut evaluator = Evaluator { sizes: self, noted: Some(Vec::new()) };
        let part = evaluator.dim(cx, dim);
        let flags = evaluator.noted.unwrap_or_default();
        let overflow = flags.into_iter().reduce(|a, b| cx.b.ins().bor(a, b));
        Checked { value: part.value, overflow, range: part.range }
    }
}

struct Evaluator<'a, 'b> {
    sizes: &'a Sizes<'b>,
    /// Signs of overflow so far; `None` to wrap.
    noted: Option<Vec<Value>>,
}

impl Evaluator<'_, '_> {
    /// Terms are added outermost first, so that what an outer loop determines is computed there.
    fn dim(&mut self, cx: &mut FunctionCx<'_>, dim: Dim) -> Part {
        self.poly(cx, self.sizes.shapes.poly(dim), true)
    }

    fn poly(&mut self, cx: &mut FunctionCx<'_>, poly: &Poly, with_constant: bool) -> Part {
        let mut terms: Vec<Part> = Vec::new();
        for (factors, coefficient) in poly.terms() {
            terms.push(self.term(cx, factors, coefficient));
        }
        let constant = if with_constant { poly.constant() } else { 0 };
        if constant != 0 || terms.is_empty() {
            terms.push(Part { value: cx.int(constant), depth: 0, range: Range::point(constant) });
        }
        terms.sort_by_key(|term| term.depth);
        fold(terms, |a, b| self.add(cx, a, b))
    }

    fn term(&mut self, cx: &mut FunctionCx<'_>, factors: &[(AtomId, u32)], coefficient: i64) -> Part {
        let mut parts: Vec<Part> = Vec::new();
        for &(id, power) in factors {
            let part = self.atom(cx, id);
            parts.extend(std::iter::repeat_n(part, power as usize));
        }
        if coefficient != 1 {
            parts.push(Part { value: cx.int(coefficient), depth: 0, range: Range::point(coefficient) });
        }
        parts.sort_by_key(|it| it.depth);
        let (product, overflow) = product(cx, parts, self.noted.is_some());
        overflow.into_iter().for_each(|it| self.note(it));
        product
    }

    fn note(&mut self, overflow: Value) {
        if let Some(noted) = &mut self.noted {
            noted.push(overflow);
        }
    }

    fn add(&mut self, cx: &mut FunctionCx<'_>, a: Part, b: Part) -> Part {
        let value = cx.b.ins().iadd(a.value, b.value);
        let mut range = a.range.add(b.range);
        if !range.is_in(Range::WORD) {
            range = Range::WORD;
            if self.noted.is_some() {
                // The sum has another sign than both operands.
                let (x, y) = (cx.b.ins().bxor(a.value, value), cx.b.ins().bxor(b.value, value));
                let signs = cx.b.ins().band(x, y);
                let overflow = cx.b.ins().icmp_imm_s(IntCC::SignedLessThan, signs, 0);
                self.note(overflow);
            }
        }
        Part { value, depth: a.depth.max(b.depth), range }
    }

    fn atom(&mut self, cx: &mut FunctionCx<'_>, id: AtomId) -> Part {
        let shapes = self.sizes.shapes;
        match shapes.atom(id) {
            Atom::Sym(sym) => {
                let (value, depth) = self.sizes.scope.get(cx, *sym);
                Part { value, depth, range: Range::of(shapes.kind(*sym)) }
            }
            Atom::FloorDiv(a, k) => {
                let part = self.dim(cx, *a);
                // Facts may be what is being checked, so that they bound no checked value.
                let (lo, hi) = match self.noted {
                    Some(_) => (i64::try_from(part.range.lo).ok(), i64::try_from(part.range.hi).ok()),
                    None => (shapes.bounds(*a).lo, shapes.bounds(*a).hi),
                };
                let value = if lo.is_some_and(|lo| lo >= 0) {
                    unsigned_div(cx, part.value, *k, hi)
                } else {
                    floor_div_const(cx, part.value, *k)
                };
                Part { value, depth: part.depth, range: part.range.floor_div(Range::point(*k)) }
            }
            Atom::FloorDivSym(a, b) => {
                let (mut a, b) = (self.dim(cx, *a), self.dim(cx, *b));
                if self.noted.is_some() {
                    // The one quotient that is no 64-bit number, for which division traps.
                    let least = cx.b.ins().icmp_imm_s(IntCC::Equal, a.value, i64::MIN);
                    let minus = cx.b.ins().icmp_imm_s(IntCC::Equal, b.value, -1);
                    let overflow = cx.b.ins().band(least, minus);
                    let zero = cx.int(0);
                    a.value = cx.b.ins().select(overflow, zero, a.value);
                    self.note(overflow);
                }
                let mut range = a.range.floor_div(b.range);
                if !range.is_in(Range::WORD) {
                    range = Range::WORD;
                }
                Part { value: floor_div(cx, a.value, b.value), depth: a.depth.max(b.depth), range }
            }
            Atom::Min(list) => {
                let parts: Vec<Part> = list.iter().map(|it| self.dim(cx, *it)).collect();
                fold(parts, |a, b| {
                    let (depth, range) = (a.depth.max(b.depth), a.range.pick(b.range, i128::min));
                    Part { value: cx.b.ins().smin(a.value, b.value), depth, range }
                })
            }
            Atom::Max(list) => {
                let parts: Vec<Part> = list.iter().map(|it| self.dim(cx, *it)).collect();
                fold(parts, |a, b| {
                    let (depth, range) = (a.depth.max(b.depth), a.range.pick(b.range, i128::max));
                    Part { value: cx.b.ins().smax(a.value, b.value), depth, range }
                })
            }
            Atom::Broadcast(list) => {
                let parts: Vec<Part> = list.iter().map(|it| self.dim(cx, *it)).collect();
                fold(parts, |a, b| {
                    let one = cx.b.ins().icmp_imm_s(IntCC::Equal, a.value, 1);
                    let range = Range { lo: a.range.lo.min(b.range.lo), hi: a.range.hi.max(b.range.hi) };
                    Part {
                        value: cx.b.ins().select(one, b.value, a.value),
                        depth: a.depth.max(b.depth),
                        range,
                    }
                })
            }
        }
    }
}

/// A product; with `check` also the sign that it is no 64-bit number, where that can be.
fn product(cx: &mut FunctionCx<'_>, parts: Vec<Part>, check: bool) -> (Part, Option<Value>) {
    let mut flags = Vec::new();
    let product = fold(parts.clone(), |a, b| {
        let value = cx.b.ins().imul(a.value, b.value);
        let mut range = a.range.mul(b.range);
        if !range.is_in(Range::WORD) {
            range = Range::WORD;
            if check {
                // The upper half is no extension of the lower one.
                let high = cx.b.ins().smulhi(a.value, b.value);
                let sign = cx.b.ins().sshr_imm_u(value, 63);
                flags.push(cx.b.ins().icmp(IntCC::NotEqual, high, sign));
            }
        }
        Part { value, depth: a.depth.max(b.depth), range }
    });
    let overflow = flags.into_iter().reduce(|a, b| cx.b.ins().bor(a, b)).map(|overflow| {
        // With a factor 0 the product is 0 in any arithmetic.
        parts.iter().filter(|it| it.range.contains(0)).fold(overflow, |overflow, part| {
            let some = cx.b.ins().icmp_imm_s(IntCC::NotEqual, part.value, 0);
            cx.b.ins().band(overflow, some)
        })
    });
    (product, overflow)
}

fn fold(parts: Vec<Part>, combine: impl FnMut(Part, Part) -> Part) -> Part {
    let mut parts = parts.into_iter();
    let first = parts.next().expect("at least one operand");
    parts.fold(first, combine)
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
