//! Elementary functions as code of the library itself: emitted libraries depend on no `libm`.
//!
//! Every function is one Cranelift function on `f64`, made when something calls it; `f32` arguments are promoted,
//! so that their results are correctly rounded but for rare ties. The algorithms are the textbook ones: argument
//! reduction, then a Taylor series long enough for `f64` (the coefficients are the closed formulas), except for
//! the error function, whose tail is a Chebyshev fit.
//! They are straight-line code; loops that matter use the vector versions instead.

mod exponential;
mod power;
mod trigonometric;

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Type, Value, types};
use orogen_ir::scalar::{BinaryOp, UnaryOp};
use orogen_ir::types::DType;

use super::unit::{FunctionCx, Symbol, Target, Unit, Visibility, build};

const PREFIX: &str = "orogen.math.";

/// How a function is computed on floats.
enum Code {
    /// By a few instructions, on the type that holds an element.
    Inline(fn(&mut FunctionCx<'_>, DType, Value) -> Value),
    /// By a function of the library on `f64`; this is its body.
    Called(fn(&mut FunctionCx<'_>, Value) -> Value),
}

/// The scalar code of every function of one operand that is defined on floats.
fn code(op: UnaryOp) -> Option<Code> {
    use Code::{Called, Inline};
    Some(match op {
        UnaryOp::Neg => Inline(|cx, _, x| cx.b.ins().fneg(x)),
        UnaryOp::Abs => Inline(|cx, _, x| cx.b.ins().fabs(x)),
        UnaryOp::Sqrt => Inline(|cx, _, x| cx.b.ins().sqrt(x)),
        UnaryOp::Floor => Inline(|cx, _, x| cx.b.ins().floor(x)),
        UnaryOp::Ceil => Inline(|cx, _, x| cx.b.ins().ceil(x)),
        UnaryOp::Round => Inline(|cx, _, x| cx.b.ins().nearest(x)),
        UnaryOp::Trunc => Inline(|cx, _, x| cx.b.ins().trunc(x)),
        UnaryOp::IsNan => Inline(|cx, _, x| cx.b.ins().fcmp(FloatCC::Unordered, x, x)),
        UnaryOp::Reciprocal => Inline(|cx, dtype, x| {
            let one = cx.constant(dtype, 1.0);
            cx.b.ins().fdiv(one, x)
        }),
        UnaryOp::Sign => Inline(|cx, dtype, x| {
            let [zero, one, minus] = [0.0, 1.0, -1.0].map(|it| cx.constant(dtype, it));
            let negative = cx.b.ins().fcmp(FloatCC::LessThan, x, zero);
            let positive = cx.b.ins().fcmp(FloatCC::GreaterThan, x, zero);
            let rest = cx.b.ins().select(negative, minus, x);
            cx.b.ins().select(positive, one, rest)
        }),
        UnaryOp::IsInf => Inline(|cx, dtype, x| {
            let magnitude = cx.b.ins().fabs(x);
            let infinity = cx.constant(dtype, f64::INFINITY);
            cx.b.ins().fcmp(FloatCC::Equal, magnitude, infinity)
        }),
        UnaryOp::Exp => Called(|cx, x| cx.exp(x)),
        UnaryOp::Log => Called(|cx, x| cx.log(x)),
        UnaryOp::Expm1 => Called(|cx, x| cx.expm1(x)),
        UnaryOp::Log1p => Called(|cx, x| cx.log1p(x)),
        UnaryOp::Softplus => Called(|cx, x| cx.softplus(x)),
        UnaryOp::Sinh => Called(|cx, x| cx.sinh(x)),
        UnaryOp::Cosh => Called(|cx, x| cx.cosh(x)),
        UnaryOp::Asinh => Called(|cx, x| cx.asinh(x)),
        UnaryOp::Acosh => Called(|cx, x| cx.acosh(x)),
        UnaryOp::Atanh => Called(|cx, x| cx.atanh(x)),
        UnaryOp::Tanh => Called(|cx, x| cx.tanh(x)),
        UnaryOp::Sigmoid => Called(|cx, x| cx.sigmoid(x)),
        UnaryOp::Erf => Called(|cx, x| cx.erf(x)),
        UnaryOp::Sin => Called(|cx, x| cx.sin(x)),
        UnaryOp::Cos => Called(|cx, x| cx.cos(x)),
        UnaryOp::Tan => Called(|cx, x| cx.tan(x)),
        UnaryOp::Asin => Called(|cx, x| cx.asin(x)),
        UnaryOp::Acos => Called(|cx, x| cx.acos(x)),
        UnaryOp::Atan => Called(|cx, x| cx.atan(x)),
        UnaryOp::Not | UnaryOp::BitNot => return None,
    })
}

const INT_POWER: &str = "int_power";
const POWER_OF_F32: &str = "power_of_f32";

impl FunctionCx<'_> {
    /// A function of a float.
    pub(crate) fn unary_float(&mut self, op: UnaryOp, dtype: DType, x: Value) -> Value {
        match code(op) {
            Some(Code::Inline(emit)) => emit(self, dtype, x),
            Some(Code::Called(_)) => self.call_math(op.name(), &[x]),
            // Law L5 of tensor programs: it is for integers or booleans.
            None => x,
        }
    }

    /// `x^y`.
    pub(crate) fn float_power(&mut self, x: Value, y: Value) -> Value {
        let narrow = self.b.func.dfg.value_type(x) == types::F32;
        self.call_math(if narrow { POWER_OF_F32 } else { BinaryOp::Pow.name() }, &[x, y])
    }

    /// The remainder of `x/y` with the sign of `x`.
    pub(crate) fn float_remainder(&mut self, x: Value, y: Value) -> Value {
        self.call_math(BinaryOp::Fmod.name(), &[x, y])
    }

    /// Calls a function on arguments that are all `f32` or all `f64`.
    fn call_math(&mut self, name: &str, args: &[Value]) -> Value {
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

/// The function behind a symbol that this module calls.
pub(crate) fn unit(target: Target, symbol: &str) -> Option<Unit> {
    let name = symbol.strip_prefix(PREFIX)?;
    let local = |arity: usize, ty: Type, body: &dyn Fn(&mut FunctionCx<'_>, &[Value])| {
        build(target, symbol, Visibility::Local, &vec![ty; arity], &[ty], body)
    };
    if name == INT_POWER {
        return Some(local(2, types::I64, &power::int_power));
    }
    if name == POWER_OF_F32 {
        return Some(local(2, types::F64, &|cx, args| {
            let result = cx.pow_of_f32(args[0], args[1]);
            cx.b.ins().return_(&[result]);
        }));
    }
    if let Some(op) = BinaryOp::from_name(name) {
        return match op {
            BinaryOp::Fmod => Some(local(2, types::F64, &power::fmod)),
            BinaryOp::Pow => Some(local(2, types::F64, &|cx, args| {
                let result = cx.pow(args[0], args[1]);
                cx.b.ins().return_(&[result]);
            })),
            _ => None,
        };
    }
    let Some(Code::Called(body)) = code(UnaryOp::from_name(name)?) else { return None };
    Some(local(1, types::F64, &|cx, args| {
        let result = body(cx, args[0]);
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

    /// `value`, or `x` where that is a zero: arithmetic loses its sign.
    fn zero_as_it_is(&mut self, x: Value, value: Value) -> Value {
        let zero = self.when(FloatCC::Equal, x, 0.0);
        self.b.ins().select(zero, x, value)
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
