//! Every instruction, on every machine at hand, against the interpreter.

mod common;

use common::{Arg, Random, as_floats, run_code, run_everywhere};
use orogen_codegen::vector::{
    Addr, BinaryOp, Builder, CacheLevel, Compare, FmaOp, Inst, IntCompare, IntOp, IntUnaryOp, Interleave,
    Isa, ShiftOp, Size, Storage, UnaryOp, VReg, Width,
};

/// Bit patterns of `f64` that matter: as those of `f32`, limits of `i64` and of `f32`, and small integers.
fn wide_samples() -> Vec<u64> {
    let mut values: Vec<u64> = samples().iter().take(22).map(|it| f64::from(*it).to_bits()).collect();
    let more = [
        9.3e18,
        -9.3e18,
        4_503_599_627_370_497.5,
        1e-310,
        3.5e38,
        1e-46,
        65519.99,
        -1e300,
        0.49999999999999994,
    ];
    values.extend(more.map(f64::to_bits));
    let two_63 = 2f64.powi(63);
    let edges = [two_63, -two_63, two_63 - 1024.0, -two_63 + 1024.0, 4_294_967_296.5, -4_294_967_296.5];
    values.extend(edges.map(f64::to_bits));
    values.extend([1, u64::MAX, 1 << 63, 1 << 32, (1 << 53) + 1, 0xFFFF_FFFF, i64::MAX.cast_unsigned()]);
    let mut random = Random(9);
    while values.len() < 64 {
        values.push(random.next() << 17 ^ random.next());
    }
    values
}

/// Samples as lanes: of 8 and 16 bits limits, neighbours of powers of two, and noise.
fn lanes(width: Width) -> Vec<u64> {
    match width {
        Width::W8 | Width::W16 => {
            let near = (0..width.bits()).flat_map(|bit| [(1 << bit) - 1, 1 << bit, !(1u64 << bit)]);
            let mut random = Random(8);
            let noise = (0..16).map(|_| random.next());
            near.chain(noise).map(|it| it & width.ones()).collect()
        }
        Width::W32 => samples().iter().map(|it| u64::from(it.to_bits())).collect(),
        Width::W64 => wide_samples(),
    }
}

/// A buffer of lanes.
fn buffer(width: Width, lanes: impl Iterator<Item = u64>) -> Arg {
    Arg::Buffer(lanes.flat_map(|it| it.to_le_bytes().into_iter().take(width.bytes() as usize)).collect())
}

/// Bit patterns that matter: zeros, denormals, one, infinities, NaN, limits of `i32`, and noise.
fn samples() -> Vec<f32> {
    let mut values = vec![
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -0.5,
        1.5,
        2.5,
        -2.5,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        f32::MIN_POSITIVE,
        1e-42,
        f32::MAX,
        f32::MIN,
        2_147_483_648.0,
        -2_147_483_648.0,
        2_147_483_520.0,
        8_388_609.0,
        -3e9,
        16_777_216.0,
    ];
    let mut random = Random(7);
    while values.len() < 64 {
        values.push(f32::from_bits(random.next() as u32));
    }
    values
}

/// Applies `f` to all pairs of samples of every width, so many elements at a time that there is a tail at every width.
fn pairs(name: &str, f: impl Fn(&mut Builder, VReg, VReg) -> VReg) {
    for width in Width::ALL {
        pairs_of(width, name, &f);
    }
}

/// The same where lanes hold floats.
fn float_pairs(name: &str, f: impl Fn(&mut Builder, VReg, VReg) -> VReg) {
    for width in Width::FLOATS {
        pairs_of(width, name, &f);
    }
}

fn pairs_of(width: Width, name: &str, f: impl Fn(&mut Builder, VReg, VReg) -> VReg) {
    let mut b = Builder::of_width(name, width);
    let [x, y, out, n] = b.params();
    let step = width.storage().vectors(1);
    b.for_lanes(n, &[(x, step), (y, step), (out, step)], |b, mask| {
        let (p, q) = (b.load(x, mask), b.load(y, mask));
        let r = f(b, p, q);
        b.store(r, out, mask);
    });
    let program = b.finish();
    let values = lanes(width);
    let n = values.len() * values.len() - 3;
    let guard = 0x4242_4242_4242_4242;
    let args = [
        buffer(width, (0..n).map(|i| values[i / values.len()])),
        buffer(width, (0..n).map(|i| values[i % values.len()])),
        buffer(width, std::iter::repeat_n(guard, n + 20)),
        Arg::Int(n as i64),
    ];
    let out = run_everywhere(&program, &args);
    let rest = &out[2][n * width.bytes() as usize..];
    assert!(rest.iter().all(|it| *it == 0x42), "the tail store must not touch what follows");
}

#[test]
fn binary_operations() {
    use BinaryOp::*;
    for op in [
        Add, Sub, Mul, Div, Min, Max, And, Or, Xor, AndNot, IntAdd, IntSub, IntMul, IntMin, IntMax, UintMin,
        UintMax, IntEq, IntGt,
    ] {
        for width in Width::ALL.into_iter().filter(|it| it.has_floats() || !op.is_float()) {
            pairs_of(width, &format!("{op:?}"), |b, x, y| b.binary(op, x, y));
            // The destination is an operand, which is needed no more.
            for second in [false, true] {
                pairs_of(width, &format!("{op:?}"), |b, x, y| {
                    let dst = if second { y } else { x };
                    b.binary_into(op, dst, x, y);
                    dst
                });
            }
        }
    }
}

#[test]
fn unary_operations() {
    use UnaryOp::*;
    for op in [Move, Sqrt, Neg, Abs, Floor, Ceil, Nearest, Trunc, ToInt, FromInt, ToHalf] {
        float_pairs(&format!("{op:?}"), |b, x, _| b.unary(op, x));
        // The destination is the operand.
        float_pairs(&format!("{op:?}"), |b, x, _| {
            b.emit(Inst::Unary { op, dst: x, a: x });
            x
        });
    }
    pairs("copy", |b, x, _| b.unary(Move, x));
    // What has a limit is below it: integers by a shift, floats by a clamp.
    let small = |b: &mut Builder, x: VReg| b.shift(ShiftOp::RightArithmetic, x, 13);
    let modest = |b: &mut Builder, x: VReg| {
        let [low, high] = [-1.0, 1.0].map(|it| b.constant(it * 2_251_799_813_685_247.5));
        let x = b.binary(BinaryOp::Max, x, low);
        b.binary(BinaryOp::Min, x, high)
    };
    for in_place in [false, true] {
        let apply = |b: &mut Builder, op: UnaryOp, x: VReg| {
            let dst = if in_place { x } else { b.vector() };
            b.emit(Inst::Unary { op, dst, a: x });
            dst
        };
        for op in [ToSingle, ToInt, FromInt, ToIntSaturated] {
            pairs_of(Width::W64, &format!("{op:?}"), |b, x, _| apply(b, op, x));
        }
        pairs_of(Width::W64, "small", |b, x, _| {
            let x = small(b, x);
            apply(b, FromSmallInt, x)
        });
        pairs_of(Width::W64, "modest", |b, x, _| {
            let x = modest(b, x);
            apply(b, ToSmallInt, x)
        });
    }
}

#[test]
fn comparisons_and_blends() {
    use Compare::*;
    for op in [Eq, Ne, Lt, Le, Gt, Ge, Unordered] {
        float_pairs(&format!("{op:?}"), |b, x, y| b.compare(op, x, y));
        float_pairs(&format!("select_{op:?}"), |b, x, y| b.select(op, x, y, y, x));
    }
    pairs("blend", |b, x, y| b.blend(x, y, x));
}

#[test]
fn fused_multiply_add_with_every_destination() {
    for op in [FmaOp::MulAdd, FmaOp::MulSub, FmaOp::NegMulAdd] {
        // The destination is fresh, or one of the three sources, with and without later uses of the others.
        for case in 0..8 {
            float_pairs("fma", |b, x, y| {
                let z = b.add(x, y);
                let dst = match case % 4 {
                    0 => b.vector(),
                    1 => x,
                    2 => y,
                    _ => z,
                };
                b.emit(Inst::Fma { op, dst, a: x, b: y, c: z });
                if case < 4 {
                    return dst;
                }
                let sum = b.add(x, y);
                let sum = b.add(sum, z);
                b.add(sum, dst)
            });
        }
    }
}

#[test]
fn shifts_by_lanes_with_every_destination() {
    for (op, width) in [BinaryOp::ShiftLeft, BinaryOp::ShiftRight]
        .into_iter()
        .flat_map(|op| [Width::W32, Width::W64].map(|width| (op, width)))
    {
        // By whatever there is, and by less than the bits of a lane.
        for most in [None, Some(i64::from(width.bits()) - 1)] {
            for case in 0..3 {
                pairs_of(width, &format!("{op:?}"), |b, x, y| {
                    let by = match most {
                        Some(most) => {
                            let most = b.constant_int(most);
                            b.binary(BinaryOp::And, y, most)
                        }
                        None => y,
                    };
                    let dst = [x, by].get(case).copied().unwrap_or_else(|| b.vector());
                    b.binary_into(op, dst, x, by);
                    dst
                });
            }
        }
    }
}

#[test]
fn dot_products_of_pairs_with_every_destination() {
    for op in [BinaryOp::LowMul, BinaryOp::HalfMul, BinaryOp::HalfAdd] {
        pairs_of(Width::W64, "halves", |b, x, y| b.binary(op, x, y));
        pairs_of(Width::W64, "halves", |b, x, y| {
            b.binary_into(op, y, x, y);
            y
        });
    }
    pairs_of(Width::W32, "difference", |b, x, y| b.binary(BinaryOp::PairSub, x, y));
    for case in 0..4 {
        pairs_of(Width::W32, "pairdot", |b, x, y| {
            let z = b.add(x, y);
            let dst = [x, y, z].get(case).copied().unwrap_or_else(|| b.vector());
            b.emit(Inst::PairDot { dst, a: x, b: y, c: z });
            dst
        });
    }
}

/// Where the machine has the instruction, and through Cranelift.
#[test]
fn dot_products_of_bytes_with_every_destination() {
    for isa in Isa::available().into_iter().filter(|it| *it == Isa::Clif128 || it.has_byte_dot()) {
        for case in 0..4 {
            let mut b = Builder::new("bytedot");
            let [p, out] = b.params();
            let [x, y, z] = [0, 1, 2].map(|i| b.load(Addr::new(p).offset(64 * i), None));
            let dst = [x, y, z].get(case).copied().unwrap_or_else(|| b.vector());
            b.emit(Inst::ByteDot { dst, a: x, b: y, c: z });
            b.store(dst, out, None);
            let program = b.finish();
            let mut random = Random(11);
            let extremes = [0, 0x7F, 0x80, 0xFF];
            let bytes =
                (0..192).map(|i| if i % 3 == 0 { random.next() as u8 } else { extremes[i % 4] }).collect();
            let args = [Arg::Buffer(bytes), Arg::Buffer(vec![0; 64])];
            let expected = common::run_interpreter(&program, isa.lanes(), &args);
            assert_eq!(run_code(&program, isa, &args), expected, "{isa:?} {case}");
        }
    }
}

#[test]
fn shifts_interleaves_and_constants() {
    for op in [ShiftOp::Left, ShiftOp::RightLogical, ShiftOp::RightArithmetic] {
        for by in [0, 1, 3, 7, 8, 13, 15, 23, 31, 32, 52, 63] {
            for width in Width::ALL.into_iter().filter(|it| u32::from(by) < it.bits()) {
                pairs_of(width, "shift", |b, x, _| b.shift(op, x, by));
            }
        }
    }
    for op in [1, 2, 4, 8].into_iter().flat_map(Interleave::halves) {
        pairs("interleave", |b, x, y| b.interleave(op, x, y));
    }
    float_pairs("even", |b, x, y| b.deinterleave(x, y, false));
    float_pairs("odd", |b, x, y| b.deinterleave(x, y, true));
    for by in [0, 1, 2, 4].into_iter().flat_map(|it| [Size::fixed(it), Size { fixed: -it, per_lane: 1 }]) {
        pairs("slide", |b, x, y| b.slide(x, y, by));
    }
    for lane in [Size::fixed(0), Size::fixed(1), Size { fixed: -1, per_lane: 1 }] {
        pairs("splat_lane", |b, x, _| b.splat_lane_of(x, lane));
    }
    pairs("constants", |b, x, _| {
        let (ones, zero) = (b.constant_int(-1), b.constant_int(0));
        let (iota, three) = (b.iota(), b.constant_int(3));
        let a = b.binary(BinaryOp::And, x, ones);
        let c = b.binary(BinaryOp::Or, a, zero);
        let i = b.binary(BinaryOp::IntMul, iota, three);
        b.binary(BinaryOp::IntAdd, c, i)
    });
}

#[test]
fn reductions() {
    use BinaryOp::*;
    for op in [Add, Mul, Max, Min, And, Or, Xor, IntAdd, IntMul, IntMin, IntMax, UintMin, UintMax] {
        for width in Width::ALL.into_iter().filter(|it| it.has_floats() || !op.is_float()) {
            pairs_of(width, "reduce", |b, x, _| b.reduce(op, x));
            pairs_of(width, "reduce", |b, x, y| {
                b.emit(Inst::Reduce { op, dst: x, a: x });
                b.binary(Xor, x, y)
            });
        }
    }
}

#[test]
fn min_and_max_of_the_builder_propagate_nan() {
    let (nan, inf) = (f32::NAN, f32::INFINITY);
    for (a, c, max, min) in
        [(nan, 1.0, nan, nan), (1.0, nan, nan, nan), (2.0, 1.0, 2.0, 1.0), (-inf, inf, inf, -inf)]
    {
        for constant in [false, true] {
            let mut b = Builder::new("max");
            let [x, y, out] = b.params();
            let p = b.load_splat(x);
            let q = if constant { b.constant(c) } else { b.load_splat(y) };
            let (hi, lo) = (b.max(p, q), b.min(q, p));
            b.store_lane(hi, out);
            b.store_lane(lo, Addr::new(out).offset(4));
            let args = [Arg::floats(&[a]), Arg::floats(&[c]), Arg::floats(&[0.0; 2])];
            let found = as_floats(&run_everywhere(&b.finish(), &args)[2]);
            for (found, expected) in found.iter().zip([max, min]) {
                assert!(*found == expected || found.is_nan() && expected.is_nan(), "{a} {c}: {found:?}");
            }
        }
    }
}

#[test]
fn integers_control_and_stack_parameters() {
    let mut b = Builder::new("ints");
    let params: [_; 9] = b.params();
    let out = params[8];
    let mut place = 0;
    let values = [(5i64, -3i64), (-7, 2), (1 << 40, 12), (0, 0)];
    for &(x, y) in &values {
        let (x, y) = (b.int_const(x), b.int_const(y));
        let mut results = Vec::new();
        for op in [IntOp::Add, IntOp::Sub, IntOp::Mul, IntOp::And, IntOp::Or, IntOp::Min, IntOp::Max] {
            results.push(b.int_op(op, x, y));
            results.push(b.int_op(op, x, 9));
            // The destination is the second operand.
            let z = b.int_move(y);
            b.emit(Inst::Int { op, dst: z, a: x, b: z.into() });
            results.push(z);
        }
        results.push(b.int_op(IntOp::ShiftLeft, x, 3));
        results.push(b.int_op(IntOp::ShiftRight, x, 2));
        results.extend([IntUnaryOp::CountOnes, IntUnaryOp::TrailingZeros].map(|op| b.int_unary(op, x)));
        results.push(b.int_mul(x, 8));
        results.push(b.int_mul(x, 100));
        for op in
            [IntCompare::Eq, IntCompare::Ne, IntCompare::Lt, IntCompare::Le, IntCompare::Gt, IntCompare::Ge]
        {
            let r = b.int_const(0);
            b.when_else(op, x, y, |b| b.bump(r, 1), |b| b.bump(r, 2));
            b.when(op, x, 0, |b| b.bump(r, 4));
            results.push(r);
        }
        // Counted loops: 1 + 2 + … + 4, and none.
        let sum = b.int_const(0);
        b.repeat_counted(4, |b, left| b.bump(sum, left));
        b.repeat(x, |_| {});
        b.repeat(-1, |b| b.bump(sum, 1000));
        results.push(sum);
        for r in results {
            b.emit(Inst::IntStore { src: r, addr: Addr::new(out).offset(place) });
            place += 8;
        }
    }
    for &p in &params[..8] {
        let q = b.div_lanes(p);
        b.emit(Inst::IntStore { src: p, addr: Addr::new(out).offset(place) });
        b.emit(Inst::IntStore { src: q, addr: Addr::new(out).offset(place + 8) });
        place += 16;
    }
    let mut program = b.finish();
    // Empty loops over a trillion iterations belong in no test.
    program.body.retain(|s| !matches!(s, orogen_codegen::vector::ir::Stmt::Loop(l) if l.body.is_empty()));
    let mut args: Vec<Arg> = (0..8).map(|i| Arg::Int(1000 * i - 3)).collect();
    args.push(Arg::Buffer(vec![0; place as usize]));
    run_everywhere(&program, &args);
}

#[test]
fn widening_quads_and_indexed_addresses() {
    for width in Width::ALL {
        accesses(width);
    }
}

fn accesses(width: Width) {
    let mut b = Builder::of_width("memory", width);
    let [x, out, i] = b.params();
    let at = |n: i64| Addr::new(out).offset(64 * n);
    let mut n = 0;
    for &from in Storage::all(width) {
        let v = b.load_from(from, Addr::new(x).indexed(i, 2).offset(3), None);
        b.store(v, at(n), None);
        let v = b.load_splat_from(from, Addr::new(x).indexed(i, 2).offset(5));
        b.store(v, at(n + 1), None);
        b.store_lane_to(from, v, at(n + 2));
        let v = b.load_quad_from(from, Addr::new(x).indexed(i, 2).offset(7));
        b.store(v, at(n + 3), None);
        let v = b.load(Addr::new(x).offset(3), None);
        b.store_quad_to(from, v, at(n + 4));
        n += 5;
    }
    let q = b.load_quad(Addr::new(x).indexed(i, 8));
    b.store(q, at(n), None);
    let v = b.load(Addr::new(x).offset(width.storage().vectors(1)), None);
    b.store_quad(v, at(n + 1));
    let s = b.load_splat(Addr::new(x).indexed(i, 4).offset(-4));
    b.store_lane(s, at(n + 2));
    let s = b.splat_int(i);
    b.store(s, at(n + 3), None);
    b.prefetch(CacheLevel::First, x);
    b.prefetch(CacheLevel::Second, x);
    for lanes in [-300, -1, 0, 1, 3, 4, 7, 11, 16, 21, 32, 40, 63, 64, 300] {
        let count = b.int_const(lanes);
        let mask = b.first(count);
        let v = b.load(x, Some(mask));
        b.store(v, at(n + 4), None);
        b.store(s, at(n + 5), Some(mask));
        n += 2;
        for &storage in Storage::all(width) {
            let v = b.load_from(storage, Addr::new(x).offset(1), Some(mask));
            b.store(v, at(n + 4), None);
            b.store_to(storage, s, Addr::new(out).indexed(i, 1).offset(64 * (n + 5)), Some(mask));
            n += 2;
        }
    }
    let bytes: Vec<u8> = (0..200u32).map(|v| (v * 37) as u8).collect();
    run_everywhere(&b.finish(), &[Arg::Buffer(bytes), Arg::Buffer(vec![0xAA; 1 << 16]), Arg::Int(3)]);
}

/// Every half widens, and every kind of `f32` around every half rounds, on every machine as `half` does it.
#[test]
fn halves_and_narrow_integers_convert() {
    for (width, &storage) in Width::ALL.iter().flat_map(|&it| Storage::all(it).iter().map(move |s| (it, s))) {
        let mut b = Builder::of_width("convert", width);
        let [narrow, wide, back, n] = b.params();
        let (one, lanes) = (storage.vectors(1), width.storage().vectors(1));
        b.for_lanes(n, &[(narrow, one), (wide, lanes), (back, one)], |b, mask| {
            let v = b.load_from(storage, narrow, mask);
            let w = b.load(wide, mask);
            b.store_to(storage, w, back, mask);
            b.store(v, wide, mask);
        });
        let program = b.finish();
        let halves: Vec<u16> = (0..=u16::MAX).collect();
        let wide: Vec<f32> = halves
            .iter()
            .map(|h| {
                let at = half::f16::from_bits(h & 0x7FFF).to_f32();
                // Halfway to the next half, just below and above it, and beyond the largest.
                let next = half::f16::from_bits((h & 0x7FFF) + 1).to_f32();
                let middle = if next.is_finite() { at + (next - at) / 2.0 } else { 65520.0 };
                let bits = middle.to_bits().wrapping_add_signed(i32::from(h % 3) - 1);
                f32::from_bits(bits | (u32::from(h >> 15) << 31))
            })
            .chain(samples())
            // What NaN becomes is looked at below: the bits of its fraction may differ.
            .filter(|it| !it.is_nan())
            .collect();
        let mut bytes: Vec<u8> = halves.iter().flat_map(|it| it.to_le_bytes()).collect();
        let n = if storage.bytes() == 2 { halves.len() - 3 } else { halves.len() / 2 - 3 };
        bytes.resize(8 * halves.len() + 64, 0);
        let args = [
            Arg::Buffer(bytes.clone()),
            // As lanes of the width; what is beyond `f32` is a sample of it.
            buffer(width, wide.iter().map(|it| lane_of(width, *it)).chain(finite_samples(width))),
            Arg::Buffer(vec![0x55; bytes.len()]),
            Arg::Int(n as i64),
        ];
        run_everywhere(&program, &args);
    }
    let mut b = Builder::new("nan");
    let [x, out] = b.params();
    let v = b.load_splat(x);
    b.store_to(Storage::F16, v, out, None);
    let program = b.finish();
    for isa in Isa::available() {
        let found = run_code(&program, isa, &[Arg::floats(&[-f32::NAN]), Arg::Buffer(vec![0; 64])]);
        for pair in found[1].chunks_exact(2).take(isa.lanes() as usize) {
            let half = half::f16::from_bits(u16::from_le_bytes([pair[0], pair[1]]));
            assert!(half.is_nan() && half.is_sign_negative(), "{isa:?}");
        }
    }
}

/// A float as a lane; where these hold none, its upper bits.
fn lane_of(width: Width, value: f32) -> u64 {
    match width {
        Width::W8 | Width::W16 => u64::from(value.to_bits()) >> (32 - width.bits()),
        Width::W32 | Width::W64 => width.float(f64::from(value)),
    }
}

/// Samples of a width that are no NaN.
fn finite_samples(width: Width) -> Vec<u64> {
    let mut found = lanes(width);
    found.retain(|it| width != Width::W64 || !f64::from_bits(*it).is_nan());
    found.retain(|it| width != Width::W32 || !f32::from_bits(*it as u32).is_nan());
    found
}

#[test]
fn masks_between_bounds_and_gathers() {
    for width in Width::ALL {
        masks(width);
    }
}

fn masks(width: Width) {
    let mut b = Builder::of_width("masks", width);
    let [x, out] = b.params();
    let mut place = 0;
    let (iota, three) = (b.iota(), b.constant_int(3));
    let index = b.binary(BinaryOp::IntMul, iota, three);
    let back = b.constant_int(-1);
    let negative = b.binary(BinaryOp::IntMul, iota, back);
    let middle = b.int_add(x, 8 * 20);
    let bounds = [(0, 16), (-5, 3), (1, 2), (2, 2), (3, 1), (3, 100), (5, 9), (20, 30), (-9, -2), (7, 61)];
    for (low, high) in bounds {
        let (low, high) = (b.int_const(low), b.int_const(high));
        let mask = b.between(low, high);
        let lanes = b.mask_lanes(mask);
        let mut values = vec![lanes, b.load(x, Some(mask))];
        if width.has_floats() {
            values.extend([index, negative].map(|it| b.gather(middle, it, mask)));
        }
        for v in values {
            b.store(v, Addr::new(out).offset(place), None);
            b.store(v, Addr::new(out).offset(place + 64), Some(mask));
            place += 128;
        }
    }
    let gathered = |it: &&Storage| width.has_floats() && !it.is_pair();
    for &from in Storage::all(width).iter().filter(gathered) {
        for lanes in [3, 100] {
            let lanes = b.int_const(lanes);
            let mask = b.first(lanes);
            let gathered = b.gather_from(from, middle, index, mask);
            b.store(gathered, Addr::new(out).offset(place), None);
            place += 64;
        }
    }
    // The index may die in the gather, but its register must not be overwritten.
    if width.has_floats() {
        let all = b.int_const(16);
        let mask = b.first(all);
        let last = b.gather(middle, index, mask);
        b.store(last, Addr::new(out).offset(place), None);
    }
    let values: Vec<f32> = (0..160).map(|i| i as f32 + 0.5).collect();
    run_everywhere(&b.finish(), &[Arg::floats(&values), Arg::Buffer(vec![0x11; place as usize + 64])]);
}
