//! Conversions of halves and quotients of bytes: every pattern there is, on every machine at hand.

mod common;

use common::{Arg, Random, as_floats, run_code, run_everywhere};
use orogen_codegen::vector::{Addr, BinaryOp, Builder, Isa, Size, UnaryOp, Width};

/// All pairs of bytes.
#[test]
fn quotients_of_bytes() {
    let mut b = Builder::of_width("quotients", Width::W8);
    let [x, y, out, n] = b.params();
    let step = Size::lanes(1);
    b.for_lanes(n, &[(x, step), (y, step), (out, step)], |b, mask| {
        let (p, q) = (b.load(x, mask), b.load(y, mask));
        let quotient = b.binary(BinaryOp::UintQuot, p, q);
        b.store(quotient, out, mask);
    });
    let program = b.finish();
    let numbers = |second: bool| {
        let pairs = (0..=u8::MAX).flat_map(move |a| (0..=u8::MAX).map(move |b| if second { b } else { a }));
        Arg::Buffer(pairs.collect())
    };
    let out = Arg::Buffer(vec![0; 1 << 16]);
    run_everywhere(&program, &[numbers(false), numbers(true), out, Arg::Int(1 << 16)]);
}

/// The lower half of what is no number.
#[test]
fn small_integers_of_no_number() {
    let mut b = Builder::of_width("none", Width::W64);
    let [x, out] = b.params();
    let v = b.load(x, None);
    let v = b.unary(UnaryOp::ToSmallInt, v);
    b.store(v, out, None);
    let program = b.finish();
    for isa in Isa::available() {
        for number in [f64::INFINITY, f64::NEG_INFINITY, 0.0 / std::hint::black_box(0.0)] {
            let given: Vec<u8> = number.to_le_bytes().repeat(8);
            let found = run_code(&program, isa, &[Arg::Buffer(given), Arg::Buffer(vec![0xAA; 64])]);
            let lanes = isa.lanes_of(Width::W64) as usize;
            for lane in found[1].chunks_exact(8).take(lanes) {
                assert_eq!(lane[..4], [0; 4], "{isa:?} {number}");
            }
        }
    }
}

/// Every half, and every kind of `f32` around every half, two vectors at a time.
#[test]
fn halves_convert_in_pairs() {
    let mut b = Builder::new("pairs");
    let [halves, wide, floats, back, rounded, count] = b.params();
    b.repeat(count, |b| {
        let both = b.load(halves, None);
        for (i, high) in [(0, false), (1, true)] {
            let lanes = b.from_halves(both, high);
            b.store(lanes, Addr::new(wide).offset(Size::vectors(i)), None);
        }
        let pair = [0, 1].map(|i| b.load(Addr::new(floats).offset(Size::vectors(i)), None));
        for (i, single) in (0..).zip(pair) {
            let single = b.unary(UnaryOp::ToHalf, single);
            b.store(single, Addr::new(rounded).offset(Size::vectors(i)), None);
        }
        let joined = b.to_halves(pair[0], pair[1]);
        b.store(joined, back, None);
        for (pointer, vectors) in [(halves, 1), (wide, 2), (floats, 2), (back, 1), (rounded, 2)] {
            b.bump(pointer, Size::vectors(vectors));
        }
    });
    let program = b.finish();
    let all: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
    // Halfway to the next half, and the numbers beside it; then numbers of all kinds.
    let mut near: Vec<f32> = (0..=u16::MAX)
        .flat_map(|h| {
            let at = half::f16::from_bits(h & 0x7FFF).to_f32();
            let next = half::f16::from_bits((h & 0x7FFF) + 1).to_f32();
            let middle = if next.is_finite() { at + (next - at) / 2.0 } else { 65520.0 };
            let sign = u32::from(h >> 15) << 31;
            [-1, 0, 1].map(|by| f32::from_bits(middle.to_bits().wrapping_add_signed(by) | sign))
        })
        .filter(|it| !it.is_nan())
        .collect();
    let mut random = Random(3);
    near.extend([0.0, -0.0, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, f32::MIN_POSITIVE, 1e-42]);
    while !near.len().is_multiple_of(1 << 16) {
        let bits = (random.next() as u32) & !0x4000_0000;
        near.push(f32::from_bits(bits));
    }
    for floats in near.chunks(1 << 16) {
        for isa in Isa::available() {
            let n = i64::from((1 << 16) / (2 * isa.lanes()));
            let args = [
                Arg::Buffer(all.clone()),
                Arg::Buffer(vec![0; 4 << 16]),
                Arg::floats(floats),
                Arg::Buffer(vec![0; 2 << 16]),
                Arg::Buffer(vec![0; 4 << 16]),
                Arg::Int(n),
            ];
            let found = run_code(&program, isa, &args);
            for (h, float) in (0..=u16::MAX).zip(as_floats(&found[1])) {
                let expected = half::f16::from_bits(h).to_f32();
                let same = expected.to_bits() == float.to_bits() || expected.is_nan() && float.is_nan();
                assert!(same, "{isa:?} {h:#x}: {float}");
            }
            for (float, pair) in floats.iter().zip(found[3].chunks_exact(2)) {
                let half = half::f16::from_bits(u16::from_le_bytes([pair[0], pair[1]]));
                let expected = half::f16::from_f32(*float);
                assert_eq!(expected.to_bits(), half.to_bits(), "{isa:?} {float:e}");
            }
            for (float, rounded) in floats.iter().zip(as_floats(&found[4])) {
                let expected = half::f16::from_f32(*float).to_f32();
                assert_eq!(expected.to_bits(), rounded.to_bits(), "{isa:?} {float:e}");
            }
        }
    }
    // NaN of every payload stays one, with its sign.
    let nans: Vec<f32> = (0..1 << 16)
        .map(|i: u32| f32::from_bits(0x7F80_0000 | i << 31 | 1 << (i / 2 % 23) | i << 7 & 0x7F_FFFF))
        .collect();
    for isa in Isa::available() {
        let n = i64::from((1 << 16) / (2 * isa.lanes()));
        let args = [
            Arg::Buffer(all.clone()),
            Arg::Buffer(vec![0; 4 << 16]),
            Arg::floats(&nans),
            Arg::Buffer(vec![0; 2 << 16]),
            Arg::Buffer(vec![0; 4 << 16]),
            Arg::Int(n),
        ];
        let found = run_code(&program, isa, &args);
        for (float, pair) in nans.iter().zip(found[3].chunks_exact(2)) {
            let half = half::f16::from_bits(u16::from_le_bytes([pair[0], pair[1]]));
            let same = half.is_nan() && half.is_sign_negative() == float.is_sign_negative();
            assert!(same, "{isa:?} {:#x}", float.to_bits());
        }
        assert!(as_floats(&found[4]).iter().all(|it| it.is_nan()), "{isa:?}");
    }
    let few = [
        Arg::Buffer(all[..1 << 10].to_vec()),
        Arg::Buffer(vec![0; 1 << 11]),
        Arg::floats(&near[..1 << 9]),
        Arg::Buffer(vec![0; 1 << 10]),
        Arg::Buffer(vec![0; 1 << 11]),
        Arg::Int(8),
    ];
    run_everywhere(&program, &few);
}
