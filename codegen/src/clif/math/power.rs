//! Powers and remainders.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{BlockArg, InstBuilder, Value, types};

use crate::clif::unit::FunctionCx;

impl FunctionCx<'_> {
    /// `x^y` with the special cases of IEEE 754 `pow`.
    pub(super) fn pow(&mut self, x: Value, y: Value) -> Value {
        let a = self.b.ins().fabs(x);
        let log = self.log(a);
        let exponent = self.b.ins().fmul(y, log);
        let power = self.exp(exponent);
        // 0·∞ in the exponent: |x| = 1 and y infinite.
        let unit = self.when(FloatCC::Equal, a, 1.0);
        let power = self.select_c(unit, 1.0, power);
        let truncated = self.b.ins().trunc(y);
        let whole = self.b.ins().fcmp(FloatCC::Equal, truncated, y);
        // Odd: half of y is not whole. Floats beyond 2^53 are even, infinities count as even.
        let half = self.fmul_c(y, 0.5);
        let half_truncated = self.b.ins().trunc(half);
        let fraction = self.b.ins().fcmp(FloatCC::NotEqual, half, half_truncated);
        let odd = self.b.ins().band(whole, fraction);
        let negative = self.is_negative_bits(x);
        let flip = self.b.ins().band(odd, negative);
        let flipped = self.b.ins().fneg(power);
        let power = self.b.ins().select(flip, flipped, power);
        let below = self.when(FloatCC::LessThan, x, 0.0);
        let finite = self.when(FloatCC::GreaterThan, x, f64::NEG_INFINITY);
        let below = self.b.ins().band(below, finite);
        let broken = self.b.ins().bxor_imm_u(whole, 1);
        let invalid = self.b.ins().band(below, broken);
        let power = self.select_c(invalid, f64::NAN, power);
        let nan = self.b.ins().fcmp(FloatCC::Unordered, x, y);
        let power = self.select_c(nan, f64::NAN, power);
        let is_one = self.when(FloatCC::Equal, x, 1.0);
        let is_zeroth = self.when(FloatCC::Equal, y, 0.0);
        let trivial = self.b.ins().bor(is_one, is_zeroth);
        self.select_c(trivial, 1.0, power)
    }
}

/// `x − y·trunc(x/y)`, exactly: subtracts the largest `|y|·2^k` that fits until none does.
pub(super) fn fmod(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let (x, y) = (args[0], args[1]);
    let a = cx.b.ins().fabs(x);
    let d = cx.b.ins().fabs(y);
    // Exponents of subnormal divisors are read from a scaled copy.
    let subnormal = cx.when(FloatCC::LessThan, d, f64::MIN_POSITIVE);
    let scaled = cx.fmul_c(d, 2f64.powi(54));
    let normal = cx.b.ins().select(subnormal, scaled, d);
    let (fifty, zero) = (cx.int(54), cx.int(0));
    let shift = cx.b.ins().select(subnormal, fifty, zero);
    let bits = cx.bits(normal);
    let divisor_exponent = cx.b.ins().ushr_imm_u(bits, 52);
    let divisor_exponent = cx.b.ins().isub(divisor_exponent, shift);
    let (head, body, done) = (cx.b.create_block(), cx.b.create_block(), cx.b.create_block());
    let rest = cx.b.append_block_param(head, types::F64);
    let result = cx.b.append_block_param(done, types::F64);
    let invalid_x = cx.when(FloatCC::UnorderedOrGreaterThanOrEqual, a, f64::INFINITY);
    let invalid_y = cx.when(FloatCC::UnorderedOrLessThanOrEqual, d, 0.0);
    let invalid = cx.b.ins().bor(invalid_x, invalid_y);
    let nan = cx.f(f64::NAN);
    cx.b.ins().brif(invalid, done, &[BlockArg::Value(nan)], head, &[BlockArg::Value(a)]);

    cx.b.switch_to_block(head);
    let fits = cx.b.ins().fcmp(FloatCC::GreaterThanOrEqual, rest, d);
    cx.b.ins().brif(fits, body, &[], done, &[BlockArg::Value(rest)]);

    cx.b.switch_to_block(body);
    let bits = cx.bits(rest);
    let exponent = cx.b.ins().ushr_imm_u(bits, 52);
    let k = cx.b.ins().isub(exponent, divisor_exponent);
    let k = cx.b.ins().smax(k, zero);
    let multiple = cx.scale_by_power(d, k);
    let too_large = cx.b.ins().fcmp(FloatCC::GreaterThan, multiple, rest);
    let halved = cx.fmul_c(multiple, 0.5);
    let multiple = cx.b.ins().select(too_large, halved, multiple);
    let next = cx.b.ins().fsub(rest, multiple);
    cx.b.ins().jump(head, &[BlockArg::Value(next)]);

    cx.b.switch_to_block(done);
    let result = cx.b.ins().fcopysign(result, x);
    cx.b.ins().return_(&[result]);
}

/// Square and multiply.
pub(super) fn int_power(cx: &mut FunctionCx<'_>, args: &[Value]) {
    let (base, exponent) = (args[0], args[1]);
    let (head, body, done) = (cx.b.create_block(), cx.b.create_block(), cx.b.create_block());
    let square = cx.b.append_block_param(head, types::I64);
    let left = cx.b.append_block_param(head, types::I64);
    let product = cx.b.append_block_param(head, types::I64);
    let (zero, one) = (cx.int(0), cx.int(1));
    // For a negative exponent: 1 and −1 are their own inverses, all else truncates to 0.
    let bits = cx.b.ins().iadd_imm_s(base, 1);
    let unit = cx.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, bits, 2);
    let is_zero = cx.b.ins().icmp_imm_s(IntCC::Equal, base, 0);
    let not_zero = cx.b.ins().bxor_imm_u(is_zero, 1);
    let unit = cx.b.ins().band(unit, not_zero);
    let negative = cx.b.ins().icmp_imm_s(IntCC::SignedLessThan, exponent, 0);
    let parity = cx.b.ins().band_imm_u(exponent, 1);
    let inverse = cx.b.ins().select(unit, parity, zero);
    let start = cx.b.ins().select(unit, one, zero);
    let start = cx.b.ins().select(negative, start, one);
    let steps = cx.b.ins().select(negative, inverse, exponent);
    let args = [base, steps, start].map(BlockArg::Value);
    cx.b.ins().jump(head, &args);

    cx.b.switch_to_block(head);
    let finished = cx.b.ins().icmp_imm_s(IntCC::Equal, left, 0);
    cx.b.ins().brif(finished, done, &[], body, &[]);

    cx.b.switch_to_block(body);
    let multiplied = cx.b.ins().imul(product, square);
    let odd = cx.is_odd(left);
    let product_next = cx.b.ins().select(odd, multiplied, product);
    let square_next = cx.b.ins().imul(square, square);
    let left_next = cx.b.ins().ushr_imm_u(left, 1);
    let args = [square_next, left_next, product_next].map(BlockArg::Value);
    cx.b.ins().jump(head, &args);

    cx.b.switch_to_block(done);
    cx.b.ins().return_(&[product]);
}
