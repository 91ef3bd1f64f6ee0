//! Random programs: the allocation is checked and the code must agree with the interpreter.

mod common;

use common::{Arg, Random, run_everywhere};
use orogen_codegen::vector::allocate::{Registers, allocate, check};
use orogen_codegen::vector::encode::{self, x86::registers};
use orogen_codegen::vector::ir::{Program, Stmt};
use orogen_codegen::vector::{
    Addr, BinaryOp, Builder, Compare, FmaOp, IReg, Inst, IntCompare, IntOp, IntUnaryOp, Interleave, Isa,
    MReg, ShiftOp, Size, Storage, UnaryOp, VReg, Width, verify,
};

/// Elements of the scratch buffer that a program may read and write.
const BUFFER: i64 = 256;

/// Registers that surely hold a value.
#[derive(Clone)]
struct Live {
    vectors: Vec<VReg>,
    /// Small numbers.
    ints: Vec<IReg>,
    /// Written by nobody.
    counters: Vec<IReg>,
    masks: Vec<MReg>,
}

struct Generator<'r> {
    random: &'r mut Random,
    buffer: IReg,
    budget: u32,
}

impl Generator<'_> {
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.random.below(from.len() as u64) as usize]
    }

    /// A number of lanes, from either end.
    fn size(&mut self) -> Size {
        let fixed = self.random.below(9) as i64;
        if self.random.below(2) == 0 { fixed.into() } else { Size { fixed: -fixed, per_lane: 1 } }
    }

    fn addr(&mut self, b: &mut Builder, live: &Live) -> Addr {
        let offset = 4 * self.random.below(BUFFER as u64 - 70) as i64;
        if self.random.below(2) == 0 {
            return Addr::new(self.buffer).offset(offset);
        }
        let r = self.pick(&live.ints);
        let index = b.int_op(IntOp::And, r, 7);
        Addr::new(self.buffer).indexed(index, self.pick(&[1, 2, 4, 8])).offset(offset)
    }

    /// A register to write: mostly a fresh one, sometimes one with a value.
    fn target(&mut self, b: &mut Builder, live: &Live) -> VReg {
        if self.random.below(3) == 0 { self.pick(&live.vectors) } else { b.vector() }
    }

    fn block(&mut self, b: &mut Builder, live: &mut Live, depth: u32) {
        let length = 2 + self.random.below(14);
        for _ in 0..length {
            if self.budget == 0 {
                return;
            }
            self.budget -= 1;
            self.statement(b, live, depth);
        }
    }

    fn statement(&mut self, b: &mut Builder, live: &mut Live, depth: u32) {
        let (v, w, z) = (self.pick(&live.vectors), self.pick(&live.vectors), self.pick(&live.vectors));
        let (x, y) = (self.pick(&live.ints), self.pick(&live.ints));
        // Lanes without floats have operations on integers.
        let mut kind = self.random.below(24);
        if !b.width().has_floats() {
            kind = match kind {
                11 | 12 => 25,
                13 => 26,
                14 | 15 => 24,
                17 | 20 => 27,
                kind => kind,
            };
        }
        match kind {
            0 | 1 if depth < 3 => {
                let count = b.int_op(IntOp::And, x, 3);
                let mut inside = live.clone();
                let constant = self.random.below(2) == 0;
                let mut body = |b: &mut Builder, counter: IReg, g: &mut Self| {
                    inside.counters.push(counter);
                    inside.ints.push(counter);
                    g.block(b, &mut inside, depth + 1);
                };
                if constant {
                    b.repeat_counted(2, |b, counter| body(b, counter, self));
                } else {
                    b.repeat_counted(count, |b, counter| body(b, counter, self));
                }
            }
            2 | 3 if depth < 3 => {
                let (mut yes, mut no) = (live.clone(), live.clone());
                let op = self.pick(&[IntCompare::Lt, IntCompare::Eq, IntCompare::Ge, IntCompare::Ne]);
                // Both closures need the generator: record the branches one after the other.
                let cell = std::cell::RefCell::new(self);
                b.when_else(
                    op,
                    x,
                    y,
                    |b| cell.borrow_mut().block(b, &mut yes, depth + 1),
                    |b| cell.borrow_mut().block(b, &mut no, depth + 1),
                );
            }
            4 => {
                let addr = self.addr(b, live);
                let mask = self.pick(&live.masks);
                let storage = self.pick(Storage::all(b.width()));
                let v = b.load_from(storage, addr, if self.random.below(2) == 0 { Some(mask) } else { None });
                live.vectors.push(finite(b, v));
            }
            5 => {
                let addr = self.addr(b, live);
                let mask = self.pick(&live.masks);
                let storage = self.pick(Storage::all(b.width()));
                b.store_to(storage, v, addr, if self.random.below(2) == 0 { Some(mask) } else { None });
            }
            6 => live.masks.push(b.first(x)),
            7 => live.masks.push(b.between(x, y)),
            8 | 9 => {
                let op = self.pick(&[IntOp::Add, IntOp::Sub, IntOp::Min, IntOp::Max, IntOp::And]);
                let r = b.int_op(op, x, y);
                live.ints.push(b.int_op(IntOp::And, r, 31));
                let op = self.pick(&[IntUnaryOp::CountOnes, IntUnaryOp::TrailingZeros]);
                let bits = b.int_unary(op, r);
                live.ints.push(b.int_op(IntOp::And, bits, 31));
            }
            10 => {
                // Overwrite a register in place; counters are not ours to write.
                if !live.counters.contains(&x) {
                    let step = self.random.below(3) as i64;
                    b.emit(Inst::Int { op: IntOp::Add, dst: x, a: x, b: step.into() });
                    b.emit(Inst::Int { op: IntOp::And, dst: x, a: x, b: 31.into() });
                }
            }
            11 => {
                let c = self.random.float();
                live.vectors.push(b.constant(c));
            }
            12 => {
                // Constants are shared, so only registers made here may be written: copy first.
                let r = b.unary(UnaryOp::Move, v);
                let c = self.random.float();
                b.splat_into(r, c);
                live.vectors.push(r);
            }
            13 => {
                let dst = self.target(b, live);
                b.emit(Inst::Select { op: Compare::Lt, dst, a: v, b: w, yes: z, no: v });
                live.vectors.push(dst);
            }
            14 | 15 => {
                let op = self.pick(&[FmaOp::MulAdd, FmaOp::MulSub, FmaOp::NegMulAdd]);
                let dst = self.target(b, live);
                if b.width() == Width::W32 && self.random.below(4) == 0 {
                    b.emit(Inst::PairDot { dst, a: v, b: w, c: z });
                    let whole = finite(b, dst);
                    b.assign(dst, whole);
                } else {
                    b.emit(Inst::Fma { op, dst, a: v, b: w, c: z });
                }
                live.vectors.push(dst);
            }
            16 => {
                let mask = self.pick(&live.masks);
                let lanes = b.mask_lanes(mask);
                live.vectors.push(finite(b, lanes));
            }
            17 => {
                let mask = self.pick(&live.masks);
                let (seven, eight) = (b.constant_int(7), b.int_add(self.buffer, 64));
                let index = b.binary(BinaryOp::And, v, seven);
                let storages: Vec<Storage> =
                    Storage::all(b.width()).iter().copied().filter(|it| !it.is_pair()).collect();
                let from = self.pick(&storages);
                let v = b.gather_from(from, eight, index, mask);
                live.vectors.push(finite(b, v));
            }
            18 => {
                let op = self.pick(&[ShiftOp::Left, ShiftOp::RightLogical, ShiftOp::RightArithmetic]);
                let by = self.random.below(u64::from(b.width().bits())) as u8;
                let v = b.shift(op, v, by);
                live.vectors.push(finite(b, v));
            }
            19 => {
                let op = self.pick(&[BinaryOp::IntAdd, BinaryOp::IntMul, BinaryOp::IntMax, BinaryOp::Xor]);
                let v = b.reduce(op, v);
                live.vectors.push(finite(b, v));
            }
            20 => {
                let mut ops = vec![UnaryOp::ToInt, UnaryOp::FromInt, UnaryOp::Abs, UnaryOp::Floor];
                if b.width() == Width::W64 {
                    ops.extend([UnaryOp::ToIntSaturated, UnaryOp::FromSmallInt, UnaryOp::ToSmallInt]);
                }
                let op = self.pick(&ops);
                // Floats are below 2, so that integers alone may be too large.
                let v = match op {
                    UnaryOp::FromSmallInt => b.shift(ShiftOp::RightArithmetic, v, 13),
                    UnaryOp::ToSmallInt => finite(b, v),
                    _ => v,
                };
                let v = b.unary(op, v);
                live.vectors.push(finite(b, v));
            }
            21 => {
                let by = self.size();
                live.vectors.push(b.slide(v, w, by));
            }
            22 => {
                let lane = self.size();
                live.vectors.push(b.splat_lane_of(v, lane));
            }
            23 if b.width() == Width::W32 && self.random.below(2) == 0 => {
                let dst = self.target(b, live);
                b.emit(match self.random.below(3) {
                    0 => Inst::ToHalves { dst, low: v, high: w },
                    part => Inst::FromHalves { dst, a: v, high: part == 2 },
                });
                let whole = finite(b, dst);
                b.assign(dst, whole);
                live.vectors.push(dst);
            }
            25 => {
                let bits = self.random.next() & b.width().ones();
                live.vectors.push(b.constant_lane(bits));
            }
            26 => {
                let dst = self.target(b, live);
                b.emit(Inst::Blend { dst, mask: v, yes: w, no: z });
                live.vectors.push(dst);
            }
            27 => {
                let op = self.pick(&[1, 2, 4, 8].map(Interleave::halves).concat());
                live.vectors.push(b.interleave(op, v, w));
            }
            _ => {
                let ops = [
                    BinaryOp::Xor,
                    BinaryOp::AndNot,
                    BinaryOp::IntAdd,
                    BinaryOp::IntSub,
                    BinaryOp::IntMul,
                    BinaryOp::IntMin,
                    BinaryOp::UintMax,
                    BinaryOp::IntGt,
                    BinaryOp::Add,
                    BinaryOp::Mul,
                    BinaryOp::Max,
                    BinaryOp::ShiftLeft,
                    BinaryOp::ShiftRight,
                ];
                let floats = if b.width().has_floats() { 0 } else { 5 };
                let mut ops = ops[..ops.len() - floats].to_vec();
                if b.width() == Width::W64 {
                    ops.extend([BinaryOp::LowMul, BinaryOp::HalfMul, BinaryOp::HalfAdd]);
                }
                let op = self.pick(&ops);
                let dst = self.target(b, live);
                b.emit(Inst::Binary { op, dst, a: v, b: w });
                let any_float = [
                    BinaryOp::IntGt,
                    BinaryOp::IntMul,
                    BinaryOp::IntSub,
                    BinaryOp::AndNot,
                    BinaryOp::ShiftLeft,
                    BinaryOp::LowMul,
                    BinaryOp::HalfMul,
                    BinaryOp::HalfAdd,
                ];
                if any_float.contains(&op) {
                    let bits = b.constant_lane(finite_bits(b.width()));
                    b.emit(Inst::Binary { op: BinaryOp::And, dst, a: dst, b: bits });
                }
                live.vectors.push(dst);
            }
        }
    }
}

/// The bits of a number below 2, where lanes hold floats. The sign of a NaN, and which of several a result is, differ between
/// machines.
fn finite_bits(width: Width) -> u64 {
    if width.has_floats() { width.ones() ^ (width.sign() >> 1) } else { width.ones() }
}

fn finite(b: &mut Builder, v: VReg) -> VReg {
    let bits = b.constant_lane(finite_bits(b.width()));
    b.binary(BinaryOp::And, v, bits)
}

fn random_program(seed: u64) -> Program {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let width = Width::ALL[seed as usize % Width::ALL.len()];
    let mut b = Builder::of_width(format!("seed_{seed}"), width);
    let [buffer, out] = b.params();
    let numbers: Vec<IReg> = (0..6).map(|_| b.param()).collect();
    let budget = 20 + random.below(150) as u32;
    // Enough values that live through everything to run out of registers at times.
    let crowd = random.below(40);
    let mut live = Live {
        vectors: (0..2 + crowd).map(|i| b.load(Addr::new(buffer).offset(4 * i as i64), None)).collect(),
        ints: numbers,
        counters: Vec::new(),
        masks: Vec::new(),
    };
    for _ in 0..random.below(12) {
        let n = b.int_const(random.below(20) as i64);
        live.ints.push(n);
    }
    for i in 0..1 + random.below(9) as usize {
        let n = live.ints[i % live.ints.len()];
        live.masks.push(b.first(n));
    }
    Generator { random: &mut random, buffer, budget }.block(&mut b, &mut live, 0);
    let mut place = 0;
    for v in live.vectors.into_iter().rev().take(60) {
        b.store(v, Addr::new(out).offset(Size { fixed: 0, per_lane: place }), None);
        place += i64::from(width.bytes());
    }
    for x in live.ints.into_iter().take(40) {
        b.emit(Inst::IntStore { src: x, addr: Addr::new(out).offset(Size { fixed: 0, per_lane: place }) });
        place += i64::from(width.bytes());
    }
    b.finish()
}

/// The generator does not track every law: what breaks one is skipped.
fn is_valid(program: &Program) -> bool {
    verify::verify(program).is_ok()
}

fn arguments() -> Vec<Arg> {
    let mut random = Random(17);
    let mut args = vec![Arg::floats(&random.floats(BUFFER as usize)), Arg::floats(&vec![0.0; 16 * 110])];
    args.extend([3, 0, 17, 8, 1, 5].map(Arg::Int));
    args
}

#[test]
fn random_programs_agree_with_the_interpreter() {
    let mut ran = 0;
    for seed in 0..160 {
        let program = random_program(seed);
        if is_valid(&program) {
            run_everywhere(&program, &arguments());
            ran += 1;
        }
    }
    assert!(ran > 140, "only {ran} programs were valid");
}

/// What a line of a listing says, in no dialect: the mnemonic, registers, and numbers that are no scales of indices.
fn meaning(line: &str) -> (String, Vec<String>) {
    let (mnemonic, operands) = line.split_once(' ').unwrap_or((line, ""));
    let mnemonic = match mnemonic {
        "je" => "jz",
        "jne" => "jnz",
        other => other,
    };
    if mnemonic.starts_with('j') {
        // The one says where a jump goes, the other how far.
        return (mnemonic.to_owned(), Vec::new());
    }
    let spaced: String = operands
        .chars()
        .flat_map(|c| if c.is_alphanumeric() { vec![c] } else { vec![' ', c, ' '] })
        .collect();
    let (mut words, mut before) = (Vec::new(), "");
    for word in spaced.split_whitespace() {
        let digits = word.strip_prefix("0x");
        let number = digits.map_or_else(|| word.parse().ok(), |it| i64::from_str_radix(it, 16).ok());
        let register = ["xmm", "ymm", "zmm", "r", "e", "a", "c", "d", "b", "s", "k"];
        match number {
            Some(_) if before == "*" => {}
            // A byte has a sign or none.
            Some(number @ 1..=128) if before == "-" => words.push((256 - number).to_string()),
            Some(number) => words.push((if before == "-" { -number } else { number }).to_string()),
            None if word.contains("word") || word == "byte" || word == "bcst" || word == "ptr" => {}
            None if register.iter().any(|it| word.starts_with(it)) => words.push(word.to_owned()),
            None => {}
        }
        before = word;
    }
    // A displacement of nothing may be left out.
    words.retain(|it| it != "0");
    (mnemonic.to_owned(), words)
}

/// What the decoder does not know (shifts by constants and gathers of AVX-512, some moves of masks) or whose operands it
/// misreads. Of these we know what machines do.
const UNREAD: [&str; 19] = [
    "kandnq",
    "kandnw",
    "kmovq",
    "kmovw",
    "vcvtph2ps",
    "vcvtps2ph",
    "vextracti32x4",
    "vextracti64x4",
    "vgatherdps",
    "vgatherqpd",
    "vpgatherqd",
    "vpmovwb",
    "vpslld",
    "vpsllq",
    "vpsllw",
    "vpsraw",
    "vpsrldq",
    "vpsrlq",
    "vpsrlw",
];

/// Instructions of machine code up to the end of the function, as another decoder than that of the assembler reads them,
/// must be those that were assembled. Returns the mnemonics that it read.
fn decode(code: &[u8]) -> Vec<String> {
    use iced_x86::Formatter as _;
    let outside = yaxpeax_x86::amd64::InstDecoder::default();
    let mut inside = iced_x86::Decoder::with_ip(64, code, 0, 0);
    let mut formatter = iced_x86::IntelFormatter::new();
    let options = formatter.options_mut();
    options.set_hex_prefix("0x");
    options.set_hex_suffix("");
    options.set_use_pseudo_ops(false);
    options.set_rip_relative_addresses(true);
    options.set_signed_immediate_operands(true);
    let mut mnemonics = Vec::new();
    loop {
        let at = inside.position();
        let instruction = inside.decode();
        let mut line = String::new();
        formatter.format(&instruction, &mut line);
        let bytes = &code[at..inside.position()];
        if !UNREAD.contains(&meaning(&line).0.as_str()) {
            let read = outside.decode_slice(bytes).unwrap_or_else(|it| panic!("{it}: {line} {bytes:02x?}"));
            assert_eq!(meaning(&read.to_string()), meaning(&line), "{read} and {line}: {bytes:02x?}");
            // A shorter instruction would have left bytes for another one.
            assert!(outside.decode_slice(&bytes[..bytes.len() - 1]).is_err(), "{read}: {bytes:02x?}");
            mnemonics.push(meaning(&line).0);
        }
        if instruction.mnemonic() == iced_x86::Mnemonic::Ret {
            return mnemonics;
        }
    }
}

#[test]
fn an_outside_decoder_reads_what_was_assembled() {
    for isa in [Isa::Avx2, Isa::Avx512, Isa::Avx512Vnni] {
        let mut met = std::collections::BTreeSet::new();
        for seed in 0..120 {
            let program = random_program(seed);
            if is_valid(&program) {
                met.extend(decode(&encode::x86::encode(&program, isa).unwrap()));
            }
        }
        assert!(met.len() > 100, "{isa:?}: {met:?}");
    }
}

/// Few registers of each kind, so that almost everything is spilled.
fn tight(masks: bool) -> Registers {
    let all = registers(if masks { Isa::Avx512 } else { Isa::Avx2 }, Width::W32);
    Registers {
        vectors: all.vectors[..6].to_vec(),
        ints: all.ints[..7].to_vec(),
        masks: if masks { all.masks[..1].to_vec() } else { Vec::new() },
        params: all.params[..4].to_vec(),
    }
}

#[test]
fn tight_allocations_pass_the_check() {
    for seed in 0..400 {
        let program = random_program(seed);
        if !is_valid(&program) {
            continue;
        }
        for registers in [tight(false), tight(true)] {
            let allocated =
                allocate(&program, &registers).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{program}"));
            if let Err(why) = check::check(&program, &allocated, &registers) {
                panic!("seed {seed}: {why}\n{program}\nbecame\n{}", allocated.program);
            }
        }
    }
}

/// Changes the register of one random operand.
fn damage(program: &mut Program, random: &mut Random) -> bool {
    fn count(stmts: &[Stmt]) -> u64 {
        stmts
            .iter()
            .map(|s| match s {
                Stmt::Inst(_) => 1,
                Stmt::Loop(l) => count(&l.body),
                Stmt::If(i) => count(&i.then) + count(&i.otherwise),
            })
            .sum()
    }
    fn apply(stmts: &mut [Stmt], at: &mut u64, f: &mut dyn FnMut(&mut Inst)) {
        for s in stmts {
            match s {
                Stmt::Inst(inst) => {
                    if *at == 0 {
                        f(inst);
                    }
                    *at = at.wrapping_sub(1);
                }
                Stmt::Loop(l) => apply(&mut l.body, at, f),
                Stmt::If(i) => {
                    apply(&mut i.then, at, f);
                    apply(&mut i.otherwise, at, f);
                }
            }
        }
    }
    let mut at = random.below(count(&program.body));
    let which = random.below(3);
    let mut changed = false;
    apply(&mut program.body, &mut at, &mut |inst| {
        let mut n = 0;
        *inst = inst.map_registers(&mut |role, reg| {
            n += 1;
            if role == orogen_codegen::vector::Role::Use && n == which + 1 {
                changed = true;
                return reg.with_number((reg.number() + 1) % 4);
            }
            reg
        });
    });
    changed
}

#[test]
fn the_check_finds_damage() {
    let (mut damaged, mut found) = (0, 0);
    let registers = tight(true);
    for seed in 0..250 {
        let program = random_program(seed);
        if !is_valid(&program) {
            continue;
        }
        let mut allocated = allocate(&program, &registers).unwrap();
        let mut random = Random(seed + 1);
        if damage(&mut allocated.program, &mut random) {
            damaged += 1;
            found += u32::from(check::check(&program, &allocated, &registers).is_err());
        }
    }
    // Some changes are harmless: reading a register that holds the same value.
    assert!(damaged > 60 && found * 10 > damaged * 8, "{found} of {damaged}");
}
