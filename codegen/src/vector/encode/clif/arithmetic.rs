//! Lane-wise operations, and reductions of lanes.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::types::{F32X4, I8X16, I16, I16X8, I32, I32X4, I64, I64X2};
use cranelift_codegen::ir::{InstBuilder, Value};

use super::Emitter;
use super::exact::{SPLITS, lost_product};
use crate::vector::SMALL;
use crate::vector::ir::{BinaryOp, FmaOp, ShiftOp, Storage, UnaryOp, VReg, Width};

impl Emitter<'_, '_> {
    pub(super) fn unary(&mut self, op: UnaryOp, dst: VReg, a: VReg) {
        let x = self.v(a);
        let v = match op {
            UnaryOp::Move => x,
            UnaryOp::Sqrt => self.b.ins().sqrt(x),
            UnaryOp::Neg => self.b.ins().fneg(x),
            UnaryOp::Abs => self.b.ins().fabs(x),
            UnaryOp::Floor => self.b.ins().floor(x),
            UnaryOp::Ceil => self.b.ins().ceil(x),
            UnaryOp::Nearest => self.b.ins().nearest(x),
            UnaryOp::Trunc => self.b.ins().trunc(x),
            UnaryOp::FromInt => {
                let i = self.vi(a);
                match self.width {
                    Width::W64 => self.ints_to_doubles(i),
                    _ => self.b.ins().fcvt_from_sint(F32X4, i),
                }
            }
            UnaryOp::ToHalf => {
                let wide = self.width == Width::W64;
                let single = if wide { self.b.ins().fvdemote(x) } else { x };
                let rounded = self.rounded_to_halves(single);
                if wide { self.b.ins().fvpromote_low(rounded) } else { rounded }
            }
            UnaryOp::ToSingle => {
                let single = self.convert(x, Storage::F32);
                self.converted(single, Storage::F32)
            }
            UnaryOp::FromSmallInt => {
                let (i, bits) = (self.vi(a), self.int_splat(SMALL.to_bits().cast_signed()));
                let sum = self.b.ins().iadd(i, bits);
                let (sum, known) = (self.cast(self.float, sum), self.cast(self.float, bits));
                self.b.ins().fsub(sum, known)
            }
            UnaryOp::ToSmallInt => {
                let bits = self.int_splat(SMALL.to_bits().cast_signed());
                let (whole, known) = (self.b.ins().trunc(x), self.cast(self.float, bits));
                let sum = self.b.ins().fadd(whole, known);
                let sum = self.cast(self.int, sum);
                self.b.ins().isub(sum, bits)
            }
            UnaryOp::ToIntSaturated => self.doubles_to_ints(x, true),
            UnaryOp::ToInt if self.width == Width::W64 => self.doubles_to_ints(x, false),
            UnaryOp::ToInt => self.truncated(x),
        };
        self.set(dst, v);
    }

    /// `f32` to `i32` by truncation; what is out of range becomes the least integer.
    fn truncated(&mut self, x: Value) -> Value {
        if self.features.x86 {
            return self.b.ins().x86_cvtt2dq(I32X4, x);
        }
        // Saturating conversion maps NaN to zero and large values to the maximum: put the minimum there.
        let saturated = self.b.ins().fcvt_to_sint_sat(I32X4, x);
        let limit = self.splat(self.width.float(2_147_483_648.0));
        let fits = self.b.ins().fcmp(FloatCC::LessThan, x, limit);
        let lowest = self.int_splat(i64::from(i32::MIN));
        self.b.ins().bitselect(fits, saturated, lowest)
    }

    pub(super) fn binary(&mut self, op: BinaryOp, dst: VReg, ra: VReg, rb: VReg) {
        use BinaryOp::*;
        let (a, b) = match op {
            Add | Sub | Mul | Div | Min | Max => (self.v(ra), self.v(rb)),
            _ => (self.vi(ra), self.vi(rb)),
        };
        let v = self.combined(op, a, b);
        self.set(dst, v);
    }

    /// `a op b` of vectors, floats for float operations and integers for the others.
    fn combined(&mut self, op: BinaryOp, a: Value, b: Value) -> Value {
        use BinaryOp::*;
        match op {
            Add => self.b.ins().fadd(a, b),
            Sub => self.b.ins().fsub(a, b),
            Mul => self.b.ins().fmul(a, b),
            Div => self.b.ins().fdiv(a, b),
            Min => self.first_if_less(a, b, [a, b]),
            Max => self.first_if_less(b, a, [a, b]),
            And => self.b.ins().band(a, b),
            Or => self.b.ins().bor(a, b),
            Xor => self.b.ins().bxor(a, b),
            AndNot => self.b.ins().band_not(b, a),
            IntAdd => self.b.ins().iadd(a, b),
            IntSub => self.b.ins().isub(a, b),
            IntMul if self.width == Width::W8 => self.multiply_bytes(a, b),
            IntMul => self.b.ins().imul(a, b),
            IntMin | IntMax if self.width == Width::W64 => {
                let greater = self.b.ins().icmp(IntCC::SignedGreaterThan, a, b);
                let (yes, no) = if op == IntMax { (a, b) } else { (b, a) };
                self.b.ins().bitselect(greater, yes, no)
            }
            UintMin | UintMax if self.width == Width::W64 => {
                let sign = self.int_splat(i64::MIN);
                let [left, right] = [a, b].map(|it| self.b.ins().bxor(it, sign));
                let greater = self.b.ins().icmp(IntCC::SignedGreaterThan, left, right);
                let (yes, no) = if op == UintMax { (a, b) } else { (b, a) };
                self.b.ins().bitselect(greater, yes, no)
            }
            UintMin => self.b.ins().umin(a, b),
            UintMax => self.b.ins().umax(a, b),
            IntMin => self.b.ins().smin(a, b),
            IntMax => self.b.ins().smax(a, b),
            IntEq => self.b.ins().icmp(IntCC::Equal, a, b),
            PairSub => {
                let [a, b] = [a, b].map(|it| self.cast(I16X8, it));
                self.b.ins().isub(a, b)
            }
            IntGt => self.b.ins().icmp(IntCC::SignedGreaterThan, a, b),
            ShiftLeft | ShiftRight => self.shift_by_lanes(op, a, b),
            UintQuot => self.quotients_of_bytes(a, b),
            LowMul => {
                let half = self.int_splat(0xFFFF_FFFF);
                let [a, b] = [a, b].map(|it| self.b.ins().band(it, half));
                self.b.ins().imul(a, b)
            }
            HalfMul | HalfAdd => {
                let [a, b] = [a, b].map(|it| self.cast(I32X4, it));
                if op == HalfMul { self.b.ins().imul(a, b) } else { self.b.ins().iadd(a, b) }
            }
        }
    }

    /// The first float where `x` is less than `y`, else the second: of both in one order or the other, which is one
    /// instruction of x86.
    pub(super) fn first_if_less(&mut self, x: Value, y: Value, floats: [Value; 2]) -> Value {
        let less = self.b.ins().fcmp(FloatCC::LessThan, x, y);
        let less = self.cast(self.b.func.dfg.value_type(x), less);
        self.b.ins().bitselect(less, floats[0], floats[1])
    }

    /// 2 to the power of each lane of 32 bits, all of them below 32, on x86: by the exponent of a float. What is 2³¹ as a
    /// float becomes the least integer.
    fn powers_of_two(&mut self, exponents: Value) -> Value {
        let by = self.b.ins().iconst(I32, 23);
        let exponents = self.b.ins().ishl(exponents, by);
        let one = self.int_splat(i64::from(1f32.to_bits()));
        let floats = self.b.ins().iadd(exponents, one);
        let floats = self.cast(F32X4, floats);
        self.b.ins().x86_cvtt2dq(I32X4, floats)
    }

    /// Shifts of lanes of 32 bits as products. Those to the right take 31 bits less than that from one of 64 bits.
    fn shift_by_products(&mut self, op: BinaryOp, a: Value, b: Value) -> Value {
        let most = self.int_splat(31);
        let by = self.b.ins().band(b, most);
        if op == BinaryOp::ShiftLeft {
            let power = self.powers_of_two(by);
            return self.b.ins().imul(a, power);
        }
        let by = self.b.ins().isub(most, by);
        let power = self.powers_of_two(by);
        let [a, power] = [a, power].map(|it| self.cast(I64X2, it));
        let half = self.b.ins().iconst(I64, 0xFFFF_FFFF);
        let half = self.b.ins().splat(I64X2, half);
        let (word, bits) = (self.b.ins().iconst(I32, 32), self.b.ins().iconst(I32, 31));
        let one = self.b.ins().iconst(I32, 1);
        let [even, odd] = [false, true].map(|odd| {
            let [a, power] = [a, power].map(|it| match odd {
                true => self.b.ins().ushr(it, word),
                false => self.b.ins().band(it, half),
            });
            self.b.ins().imul(a, power)
        });
        let even = self.b.ins().ushr(even, bits);
        let odd = self.b.ins().ishl(odd, one);
        let even = self.b.ins().band(even, half);
        let odd = self.b.ins().band_not(odd, half);
        let both = self.b.ins().bor(even, odd);
        self.cast(I32X4, both)
    }

    /// Each lane shifted by what the other one says; Cranelift takes the amount modulo the width, too.
    fn shift_by_lanes(&mut self, op: BinaryOp, a: Value, b: Value) -> Value {
        if self.features.x86 && self.width == Width::W32 {
            return self.shift_by_products(op, a, b);
        }
        (0..self.lanes() as u8).fold(a, |result, lane| {
            let [value, by] = [a, b].map(|it| self.b.ins().extractlane(it, lane));
            let shifted = match op {
                BinaryOp::ShiftLeft => self.b.ins().ishl(value, by),
                _ => self.b.ins().ushr(value, by),
            };
            self.b.ins().insertlane(result, shifted, lane)
        })
    }

    /// Products of bytes, as the low halves of those of 16 bits; of bytes at odd places, which are upper ones, with zeros
    /// below them.
    fn multiply_bytes(&mut self, a: Value, b: Value) -> Value {
        let [words_a, words_b] = [a, b].map(|it| self.cast(I16X8, it));
        let low = self.b.ins().iconst(I16, 0xFF);
        let low = self.b.ins().splat(I16X8, low);
        let even = self.b.ins().imul(words_a, words_b);
        let even = self.b.ins().band(even, low);
        let upper_a = self.b.ins().band_not(words_a, low);
        let upper_b = self.shift(ShiftOp::RightLogical, words_b, 8);
        let odd = self.b.ins().imul(upper_a, upper_b);
        let both = self.b.ins().bor(even, odd);
        self.cast(I8X16, both)
    }

    /// Quotients of bytes as `f32`, which is exact; four times four of them, of lanes of 32 bits. What is divided by 0 is
    /// divided by 1, and forgotten.
    fn quotients_of_bytes(&mut self, a: Value, b: Value) -> Value {
        let zero = self.int_splat(0);
        let by_zero = self.b.ins().icmp(IntCC::Equal, b, zero);
        let b = self.b.ins().isub(b, by_zero);
        let [a, b] = [a, b].map(|it| self.quarters_as_floats(it));
        let [first, others @ ..] = [0, 1, 2, 3].map(|i| {
            let quotient = self.b.ins().fdiv(a[i], b[i]);
            self.truncated(quotient)
        });
        let mut all = first;
        for (quotient, bits) in others.into_iter().zip([8, 16, 24]) {
            let bits = self.b.ins().iconst(I32, bits);
            let quotient = self.b.ins().ishl(quotient, bits);
            all = self.b.ins().bor(all, quotient);
        }
        let all = self.cast(I8X16, all);
        self.b.ins().band_not(all, by_zero)
    }

    /// The bytes of each lane of 32 bits as `f32`, from the lowest on.
    fn quarters_as_floats(&mut self, bytes: Value) -> [Value; 4] {
        let lanes = self.cast(I32X4, bytes);
        let low = self.b.ins().iconst(I32, 0xFF);
        let low = self.b.ins().splat(I32X4, low);
        [0, 1, 2, 3].map(|i| {
            let by = self.b.ins().iconst(I32, 8 * i);
            let byte = if i == 0 { lanes } else { self.b.ins().ushr(lanes, by) };
            let byte = if i == 3 { byte } else { self.b.ins().band(byte, low) };
            self.b.ins().fcvt_from_sint(F32X4, byte)
        })
    }

    pub(super) fn fma(&mut self, op: FmaOp, dst: VReg, a: VReg, b: VReg, c: VReg) {
        let (a, b, c) = (self.v(a), self.v(b), self.v(c));
        let v = if self.features.fused {
            let negated = matches!(op, FmaOp::NegMulAdd | FmaOp::NegMulAddFused);
            let a = if negated { self.b.ins().fneg(a) } else { a };
            let minus = matches!(op, FmaOp::MulSub | FmaOp::LostProduct);
            let c = if minus { self.b.ins().fneg(c) } else { c };
            self.b.ins().fma(a, b, c)
        } else if op == FmaOp::LostProduct {
            let factor = self.splat(self.width.float(SPLITS));
            lost_product(self.b, factor, [a, b], c)
        } else if op == FmaOp::NegMulAddFused {
            // Products of two f32 are exact as f64. Lanes 2 and 3, then lanes 0 and 1.
            let upper: Vec<u8> = (8..16).chain(0..8).collect();
            let halves = [true, false].map(|high| {
                let [a, b, c] = [a, b, c].map(|v| {
                    let v = if high { self.bytes(v, v, &upper) } else { v };
                    self.b.ins().fvpromote_low(v)
                });
                let product = self.b.ins().fmul(a, b);
                let value = self.b.ins().fsub(c, product);
                self.b.ins().fvdemote(value)
            });
            let lower: Vec<u8> = (0..8).chain(16..24).collect();
            self.bytes(halves[1], halves[0], &lower)
        } else {
            let product = self.b.ins().fmul(a, b);
            match op {
                FmaOp::MulAdd => self.b.ins().fadd(product, c),
                FmaOp::MulSub | FmaOp::LostProduct => self.b.ins().fsub(product, c),
                FmaOp::NegMulAdd | FmaOp::NegMulAddFused => self.b.ins().fsub(c, product),
            }
        };
        self.set(dst, v);
    }

    pub(super) fn byte_dot(&mut self, dst: VReg, a: VReg, b: VReg, c: VReg) {
        let [a, b] = [a, b].map(|it| {
            let v = self.v(it);
            self.cast(I8X16, v)
        });
        // Products of bytes fit in 16 bits, their sums do not.
        let (a_low, b_low) = (self.b.ins().uwiden_low(a), self.b.ins().swiden_low(b));
        let (a_high, b_high) = (self.b.ins().uwiden_high(a), self.b.ins().swiden_high(b));
        let products = [self.b.ins().imul(a_low, b_low), self.b.ins().imul(a_high, b_high)];
        let [low, high] = products.map(|it| {
            let (low, high) = (self.b.ins().swiden_low(it), self.b.ins().swiden_high(it));
            self.b.ins().iadd_pairwise(low, high)
        });
        let sums = self.b.ins().iadd_pairwise(low, high);
        let c = self.vi(c);
        let v = self.b.ins().iadd(c, sums);
        self.set(dst, v);
    }

    pub(super) fn pair_dot(&mut self, dst: VReg, a: VReg, b: VReg, c: VReg) {
        let [a, b] = [a, b].map(|it| {
            let v = self.v(it);
            self.cast(I16X8, v)
        });
        let sums = self.word_products(a, b);
        let c = self.vi(c);
        let v = self.b.ins().iadd(c, sums);
        self.set(dst, v);
    }

    /// Products of signed words, those of neighbours added up: one instruction of x86.
    pub(super) fn word_products(&mut self, a: Value, b: Value) -> Value {
        let [low_a, low_b] = [a, b].map(|it| self.b.ins().swiden_low(it));
        let [high_a, high_b] = [a, b].map(|it| self.b.ins().swiden_high(it));
        let low = self.b.ins().imul(low_a, low_b);
        let high = self.b.ins().imul(high_a, high_b);
        self.b.ins().iadd_pairwise(low, high)
    }

    pub(super) fn shift(&mut self, op: ShiftOp, a: Value, by: i64) -> Value {
        if op == ShiftOp::RightArithmetic && self.width == Width::W64 {
            // Lane by lane on x86: unsigned, less what the sign bit was taken for.
            let upper = self.shift(ShiftOp::RightLogical, a, by);
            let sign = self.int_splat(i64::MIN.cast_unsigned().wrapping_shr(by as u32).cast_signed());
            let turned = self.b.ins().bxor(upper, sign);
            return self.b.ins().isub(turned, sign);
        }
        let by = self.b.ins().iconst(I32, by);
        match op {
            ShiftOp::Left => self.b.ins().ishl(a, by),
            ShiftOp::RightLogical => self.b.ins().ushr(a, by),
            ShiftOp::RightArithmetic => self.b.ins().sshr(a, by),
        }
    }

    pub(super) fn reduce(&mut self, op: BinaryOp, dst: VReg, a: VReg) {
        let ints = !matches!(op, BinaryOp::Add | BinaryOp::Mul | BinaryOp::Max | BinaryOp::Min);
        let mut v = if ints { self.vi(a) } else { self.v(a) };
        let scalars = self.width == Width::W32 && !ints;
        if scalars && op != BinaryOp::Mul {
            let lanes: [Value; 4] = std::array::from_fn(|i| self.b.ins().extractlane(v, i as u8));
            let mut combine = |a: Value, b: Value| match op {
                BinaryOp::Add => self.b.ins().fadd(a, b),
                _ => {
                    let condition =
                        if op == BinaryOp::Max { FloatCC::GreaterThan } else { FloatCC::LessThan };
                    let first = self.b.ins().fcmp(condition, a, b);
                    self.b.ins().select(first, a, b)
                }
            };
            let (even, odd) = (combine(lanes[0], lanes[2]), combine(lanes[1], lanes[3]));
            let all = combine(even, odd);
            let v = self.b.ins().splat(F32X4, all);
            self.set(dst, v);
            return;
        }
        // Every half with the other one, of which the lower is meant.
        let ty = self.b.func.dfg.value_type(v);
        let size = self.width.bytes() as u8;
        let mut half = 8;
        while half >= size {
            let order: Vec<u8> = (0..16).map(|byte| byte ^ half).collect();
            let other = self.bytes(v, v, &order);
            let other = if ty == self.float { other } else { self.cast(ty, other) };
            let all = self.combined(op, v, other);
            v = if self.b.func.dfg.value_type(all) == ty { all } else { self.cast(ty, all) };
            half /= 2;
        }
        let lane = self.b.ins().extractlane(v, 0);
        let v = self.b.ins().splat(ty, lane);
        self.set(dst, v);
    }
}
