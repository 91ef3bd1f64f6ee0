//! Elementary functions as code of the library itself: emitted libraries depend on no `libm`.
//!
//! Every function is one Cranelift function on `f64`, made when something calls it; `f32` arguments are promoted,
//! so that their results are correctly rounded but for rare ties. The algorithms are the textbook ones: argument
//! reduction, then a Taylor series long enough for `f64` (the coefficients are the closed formulas), except for
//! [`Math::Erf`], whose tail is a Chebyshev fit.
//! They are straight-line code; loops that matter use the vector versions instead.

mod exponential;
mod power;
mod trigonometric;

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};

use super::unit::{FunctionCx, Symbol, Target, Unit, Visibility, build};

const PREFIX: &str = "orogen.math.";

/// A function of floats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Math {
    Exp,
    Log,
    Expm1,
    Log1p,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Asinh,
    Acosh,
    Atanh,
    Tanh,
    Sigmoid,
    Erf,
    Pow,
    Fmod,
}

const ALL: [(Math, &str); 20] = [
    (Math::Exp, "exp"),
    (Math::Log, "log"),
    (Math::Expm1, "expm1"),
    (Math::Log1p, "log1p"),
    (Math::Sin, "sin"),
    (Math::Cos, "cos"),
    (Math::Tan, "tan"),
    (Math::Asin, "asin"),
    (Math::Acos, "acos"),
    (Math::Atan, "atan"),
    (Math::Sinh, "sinh"),
    (Math::Cosh, "cosh"),
    (Math::Asinh, "asinh"),
    (Math::Acosh, "acosh"),
    (Math::Atanh, "atanh"),
    (Math::Tanh, "tanh"),
    (Math::Sigmoid, "sigmoid"),
    (Math::Erf, "erf"),
    (Math::Pow, "pow"),
    (Math::Fmod, "fmod"),
];

const INT_POWER: &str = "int_power";

impl FunctionCx<'_> {
    /// Calls a function on arguments that are all `f32` or all `f64`.
    pub(crate) fn math(&mut self, function: Math, args: &[Value]) -> Value {
        let name = ALL.iter().find(|it| it.0 == function).map_or("", |it| it.1);
        let narrow = self.b.func.dfg.value_type(args[0]) == types::F32;
        let wide: Vec<Value> = match narrow {
            true => args.iter().map(|it| self.b.ins().fpromote(types::F64, *it)).collect(),
            false => args.to_vec(),
        };
        let params = vec![types::F64; args.len()];
        let symbol = Symbol::Local(format!("{PREFIX}{name}"));
        let result = self.call(symbol, &params, &[types::F64], &wide).expect("one result");
        if narrow { self.b.ins().fdemote(types::F32, result) } else { result }
    }

    /// `base^exponent` on 64-bit integers, wrapping; a negative exponent truncates.
    pub(crate) fn int_power(&mut self, base: Value, exponent: Value) -> Value {
        let symbol = Symbol::Local(format!("{PREFIX}{INT_POWER}"));
        let (i, args) = (types::I64, [base, exponent]);
        self.call(symbol, &[i, i], &[i], &args).expect("one result")
    }
}

/// The function behind a symbol that [`FunctionCx::math`] or [`FunctionCx::int_power`] made.
pub(crate) fn unit(target: Target, symbol: &str) -> Option<Unit> {
    let name = symbol.strip_prefix(PREFIX)?;
    if name == INT_POWER {
        let params = [types::I64, types::I64];
        return Some(build(target, symbol, Visibility::Local, &params, &[types::I64], power::int_power));
    }
    let (function, _) = ALL.iter().find(|it| it.1 == name)?;
    let arity = if matches!(function, Math::Pow | Math::Fmod) { 2 } else { 1 };
    let params = vec![types::F64; arity];
    Some(build(target, symbol, Visibility::Local, &params, &[types::F64], |cx, args| {
        if *function == Math::Fmod {
            return power::fmod(cx, args);
        }
        let x = args[0];
        let result = match function {
            Math::Exp => cx.exp(x),
            Math::Log => cx.log(x),
            Math::Expm1 => cx.expm1(x),
            Math::Log1p => cx.log1p(x),
            Math::Sinh => cx.sinh(x),
            Math::Cosh => cx.cosh(x),
            Math::Asinh => cx.asinh(x),
            Math::Acosh => cx.acosh(x),
            Math::Atanh => cx.atanh(x),
            Math::Tanh => cx.tanh(x),
            Math::Sigmoid => cx.sigmoid(x),
            Math::Erf => cx.erf(x),
            Math::Sin => cx.sin(x),
            Math::Cos => cx.cos(x),
            Math::Tan => cx.tan(x),
            Math::Asin => cx.asin(x),
            Math::Acos => cx.acos(x),
            Math::Atan => cx.atan(x),
            Math::Pow => cx.pow(x, args[1]),
            Math::Fmod => x,
        };
        cx.b.ins().return_(&[result]);
    }))
}

/// Shorthands for straight-line `f64` code.
impl FunctionCx<'_> {
    fn f(&mut self, value: f64) -> Value {
        self.b.ins().f64const(value)
    }

    fn fadd_c(&mut self, x: Value, c: f64) -> Value {
        let c = self.f(c);
        self.b.ins().fadd(x, c)
    }

    fn fmul_c(&mut self, x: Value, c: f64) -> Value {
        let c = self.f(c);
        self.b.ins().fmul(x, c)
    }

    /// `a·b + c`, fused where that is one instruction.
    fn multiply_add(&mut self, a: Value, b: Value, c: Value) -> Value {
        if self.target.fma {
            return self.b.ins().fma(a, b, c);
        }
        let product = self.b.ins().fmul(a, b);
        self.b.ins().fadd(product, c)
    }

    /// `c₀ + c₁·x + c₂·x² + …`
    fn polynomial(&mut self, x: Value, coefficients: impl DoubleEndedIterator<Item = f64>) -> Value {
        let mut coefficients = coefficients.rev();
        let first = coefficients.next().unwrap_or(0.0);
        let mut sum = self.f(first);
        for c in coefficients {
            let c = self.f(c);
            sum = self.multiply_add(sum, x, c);
        }
        sum
    }

    fn bits(&mut self, x: Value) -> Value {
        self.b.ins().bitcast(types::I64, MemFlagsData::new(), x)
    }

    fn float_of_bits(&mut self, bits: Value) -> Value {
        self.b.ins().bitcast(types::F64, MemFlagsData::new(), bits)
    }

    fn when(&mut self, code: FloatCC, x: Value, y: f64) -> Value {
        let y = self.f(y);
        self.b.ins().fcmp(code, x, y)
    }

    fn select_c(&mut self, condition: Value, yes: f64, no: Value) -> Value {
        let yes = self.f(yes);
        self.b.ins().select(condition, yes, no)
    }

    /// `x` clamped to `lo..=hi`; NaN stays.
    fn clamp(&mut self, x: Value, lo: f64, hi: f64) -> Value {
        let low = self.when(FloatCC::LessThan, x, lo);
        let x = self.select_c(low, lo, x);
        let high = self.when(FloatCC::GreaterThan, x, hi);
        self.select_c(high, hi, x)
    }

    /// `x·2^k` for a 64-bit integer `k` of at most 2200 in magnitude, in three exact steps but the last.
    fn scale_by_power(&mut self, x: Value, k: Value) -> Value {
        let (mut x, mut left) = (x, k);
        for _ in 0..3 {
            let (lo, hi) = (self.int(-1000), self.int(1000));
            let step = self.b.ins().smax(left, lo);
            let step = self.b.ins().smin(step, hi);
            left = self.b.ins().isub(left, step);
            let biased = self.b.ins().iadd_imm_s(step, 1023);
            let bits = self.b.ins().ishl_imm_u(biased, 52);
            let power = self.float_of_bits(bits);
            x = self.b.ins().fmul(x, power);
        }
        x
    }

    /// The integer `m` below 2^53 and the `e ≥ 1` of a number that is not negative: `m·2^(e − 1075)`.
    fn significand(&mut self, x: Value) -> (Value, Value) {
        let bits = self.bits(x);
        let field = self.b.ins().ushr_imm_u(bits, 52);
        let one = self.int(1);
        let exponent = self.b.ins().umax(field, one);
        let hidden = self.b.ins().umin(field, one);
        let hidden = self.b.ins().ishl_imm_u(hidden, 52);
        let fraction = self.b.ins().band_imm_u(bits, (1 << 52) - 1);
        (self.b.ins().bor(hidden, fraction), exponent)
    }

    /// Whether `x` is below zero, as an integer comparison of its bits.
    fn is_negative_bits(&mut self, x: Value) -> Value {
        let bits = self.bits(x);
        self.b.ins().icmp_imm_s(IntCC::SignedLessThan, bits, 0)
    }
}

/// `1/0!, 1/1!, …`, `n` of them.
fn reciprocal_factorials(n: usize) -> Vec<f64> {
    std::iter::successors(Some((1.0, 1.0)), |(f, n)| Some((f * n, n + 1.0)))
        .map(|it| 1.0 / it.0)
        .take(n)
        .collect()
}
