//! Slow, obvious evaluation of a program on byte buffers: the oracle for every encoder.

use std::fmt;

use super::ir::{
    Addr, BinaryOp, Compare, FmaOp, IReg, Inst, IntCompare, IntOp, IntSource, Interleave, Program, Reg,
    ShiftOp, Stmt, Storage, UnaryOp, VReg,
};

/// The most lanes a register can have.
const MAX_LANES: usize = 16;
type Lanes = [u32; MAX_LANES];

/// Byte buffers at made-up addresses, far apart, so that every stray access is seen.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    buffers: Vec<Vec<u8>>,
}

impl Memory {
    /// Adds a buffer and returns its address.
    pub fn add(&mut self, bytes: Vec<u8>) -> i64 {
        self.buffers.push(bytes);
        (self.buffers.len() as i64) << 40
    }

    /// Adds a buffer of `f32` and returns its address.
    pub fn add_floats(&mut self, values: &[f32]) -> i64 {
        self.add(values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }

    /// The buffer that [`Memory::add`] placed at `address`.
    pub fn bytes(&self, address: i64) -> &[u8] {
        usize::try_from((address >> 40) - 1).ok().and_then(|i| self.buffers.get(i)).map_or(&[], Vec::as_slice)
    }

    /// The buffer at `address`, as `f32`.
    pub fn floats(&self, address: i64) -> Vec<f32> {
        let (words, _) = self.bytes(address).as_chunks::<4>();
        words.iter().map(|w| f32::from_le_bytes(*w)).collect()
    }

    fn slice(&mut self, address: i64, len: usize) -> Result<&mut [u8], Fault> {
        let fault = Fault::OutOfBounds { address, len };
        let buffer = usize::try_from((address >> 40) - 1).map_err(|_| fault)?;
        let start = (address & ((1 << 40) - 1)) as usize;
        self.buffers.get_mut(buffer).and_then(|b| b.get_mut(start..start + len)).ok_or(fault)
    }
}

/// Why a program stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An access outside every buffer.
    OutOfBounds {
        /// Where.
        address: i64,
        /// How many bytes.
        len: usize,
    },
    /// The program executed more statements than allowed.
    OutOfFuel,
    /// The number of arguments is not the number of parameters.
    Arguments,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::OutOfBounds { address, len } => write!(f, "access of {len} bytes at {address:#x}"),
            Fault::OutOfFuel => f.write_str("too many steps"),
            Fault::Arguments => f.write_str("wrong number of arguments"),
        }
    }
}

/// Runs a program at a width of `lanes` (4, 8 or 16).
///
/// With `fused` off, [`Inst::Fma`] rounds the product as well, as targets without the instruction do.
pub fn interpret(
    program: &Program,
    lanes: u32,
    fused: bool,
    args: &[i64],
    memory: &mut Memory,
) -> Result<(), Fault> {
    if args.len() != program.params.len() {
        return Err(Fault::Arguments);
    }
    let mut m = Machine {
        lanes: lanes as usize,
        fused,
        vectors: vec![[0; MAX_LANES]; program.vectors as usize],
        ints: vec![0; program.ints as usize],
        masks: vec![0; program.masks as usize],
        memory,
        fuel: 1 << 32,
    };
    for (&p, &value) in program.params.iter().zip(args) {
        m.ints[p.0 as usize] = value;
    }
    m.block(&program.body)
}

struct Machine<'m> {
    lanes: usize,
    fused: bool,
    vectors: Vec<Lanes>,
    ints: Vec<i64>,
    /// Bit `i` is lane `i`.
    masks: Vec<u32>,
    memory: &'m mut Memory,
    fuel: u64,
}

impl Machine<'_> {
    fn source(&self, s: IntSource) -> i64 {
        match s {
            IntSource::Reg(r) => self.ints[r.0 as usize],
            IntSource::Const(c) => c.at(self.lanes as u32),
        }
    }

    fn address(&self, a: Addr) -> i64 {
        let index = a.index.map_or(0, |(r, scale)| self.ints[r.0 as usize].wrapping_mul(i64::from(scale)));
        self.ints[a.base.0 as usize].wrapping_add(index).wrapping_add(a.disp.at(self.lanes as u32))
    }

    fn load(&mut self, addr: Addr, from: Storage, active: u32) -> Result<Lanes, Fault> {
        let mut out = [0; MAX_LANES];
        let address = self.address(addr);
        let size = from.bytes() as usize;
        for (i, lane) in out.iter_mut().enumerate().filter(|(i, _)| active >> i & 1 != 0) {
            let mut word = [0; 4];
            word[..size].copy_from_slice(self.memory.slice(address + (size * i) as i64, size)?);
            *lane = widen(from, u32::from_le_bytes(word));
        }
        Ok(out)
    }

    fn store(&mut self, src: VReg, addr: Addr, to: Storage, active: u32) -> Result<(), Fault> {
        let address = self.address(addr);
        let lanes = self.vectors[src.0 as usize];
        let size = to.bytes() as usize;
        for (i, lane) in lanes.iter().enumerate().filter(|(i, _)| active >> i & 1 != 0) {
            let word = narrow(to, *lane).to_le_bytes();
            self.memory.slice(address + (size * i) as i64, size)?.copy_from_slice(&word[..size]);
        }
        Ok(())
    }

    /// The lanes below the value of a register.
    fn below(&self, n: IReg) -> u32 {
        (1 << self.ints[n.0 as usize].clamp(0, self.lanes as i64)) - 1
    }

    fn lanewise(&self, f: impl Fn(usize) -> u32) -> Lanes {
        std::array::from_fn(|i| if i < self.lanes { f(i) } else { 0 })
    }

    fn block(&mut self, stmts: &[Stmt]) -> Result<(), Fault> {
        for stmt in stmts {
            match stmt {
                Stmt::Inst(inst) => self.inst(inst)?,
                Stmt::Loop(l) => {
                    let mut left = self.source(l.count);
                    while left > 0 {
                        self.ints[l.counter.0 as usize] = left;
                        self.block(&l.body)?;
                        left -= 1;
                    }
                }
                Stmt::If(i) => {
                    let (a, b) = (self.ints[i.a.0 as usize], self.source(i.b));
                    let taken = match i.op {
                        IntCompare::Eq => a == b,
                        IntCompare::Ne => a != b,
                        IntCompare::Lt => a < b,
                        IntCompare::Le => a <= b,
                        IntCompare::Gt => a > b,
                        IntCompare::Ge => a >= b,
                    };
                    self.block(if taken { &i.then } else { &i.otherwise })?;
                }
            }
        }
        Ok(())
    }

    fn inst(&mut self, inst: &Inst) -> Result<(), Fault> {
        self.fuel = self.fuel.checked_sub(1).ok_or(Fault::OutOfFuel)?;
        let all = (1 << self.lanes) - 1;
        let v = |r: VReg| self.vectors[r.0 as usize];
        let result: Lanes = match *inst {
            Inst::Load { addr, from, .. } => self.load(addr, from, all)?,
            Inst::LoadMasked { addr, from, mask, .. } => {
                self.load(addr, from, self.masks[mask.0 as usize])?
            }
            Inst::LoadSplat { addr, from, .. } => {
                let first = self.load(addr, from, 1)?[0];
                self.lanewise(|_| first)
            }
            Inst::LoadQuad { addr, from, .. } => self.load(addr, from, 0b1111)?,
            Inst::Store { src, addr, to } => return self.store(src, addr, to, all),
            Inst::StoreMasked { src, addr, to, mask } => {
                return self.store(src, addr, to, self.masks[mask.0 as usize]);
            }
            Inst::StoreLane { src, addr, to } => return self.store(src, addr, to, 1),
            Inst::StoreQuad { src, addr, to } => return self.store(src, addr, to, 0b1111),
            Inst::Splat { bits, .. } => self.lanewise(|_| bits),
            Inst::SplatInt { src, .. } => self.lanewise(|_| self.ints[src.0 as usize] as u32),
            Inst::Iota { .. } => self.lanewise(|i| i as u32),
            Inst::Unary { op, a, .. } => self.lanewise(|i| unary(op, v(a)[i])),
            Inst::Binary { op, a, b, .. } => self.lanewise(|i| binary(op, v(a)[i], v(b)[i])),
            Inst::Fma { op, a, b, c, .. } => {
                self.lanewise(|i| fma(op, v(a)[i], v(b)[i], v(c)[i], self.fused))
            }
            Inst::PairDot { a, b, c, .. } => self.lanewise(|i| pair_dot(v(a)[i], v(b)[i], v(c)[i])),
            Inst::Compare { op, a, b, .. } => {
                self.lanewise(|i| if compare(op, v(a)[i], v(b)[i]) { u32::MAX } else { 0 })
            }
            Inst::Blend { mask, yes, no, .. } => {
                self.lanewise(|i| if v(mask)[i] >> 31 != 0 { v(yes)[i] } else { v(no)[i] })
            }
            Inst::Select { op, a, b, yes, no, .. } => {
                self.lanewise(|i| if compare(op, v(a)[i], v(b)[i]) { v(yes)[i] } else { v(no)[i] })
            }
            Inst::Shift { op, a, by, .. } => self.lanewise(|i| match op {
                ShiftOp::Left => v(a)[i] << by,
                ShiftOp::RightLogical => v(a)[i] >> by,
                ShiftOp::RightArithmetic => (v(a)[i].cast_signed() >> by).cast_unsigned(),
            }),
            Inst::Interleave { op, a, b, .. } => self.lanewise(|i| {
                let pick: [(bool, usize); 4] = match op {
                    Interleave::Low32 => [(false, 0), (true, 0), (false, 1), (true, 1)],
                    Interleave::High32 => [(false, 2), (true, 2), (false, 3), (true, 3)],
                    Interleave::Low64 => [(false, 0), (false, 1), (true, 0), (true, 1)],
                    Interleave::High64 => [(false, 2), (false, 3), (true, 2), (true, 3)],
                };
                let (second, lane) = pick[i % 4];
                v(if second { b } else { a })[i / 4 * 4 + lane]
            }),
            Inst::Deinterleave { a, b, odd, .. } => self.lanewise(|i| {
                let at = 2 * i + usize::from(odd);
                if at < self.lanes { v(a)[at] } else { v(b)[at - self.lanes] }
            }),
            Inst::Reduce { op, a, .. } => {
                let mut lanes = v(a);
                let mut n = self.lanes;
                while n > 1 {
                    n /= 2;
                    for i in 0..n {
                        lanes[i] = binary(op.combine(), lanes[i], lanes[i + n]);
                    }
                }
                self.lanewise(|_| lanes[0])
            }
            Inst::First { dst, n } => {
                self.masks[dst.0 as usize] = self.below(n);
                return Ok(());
            }
            Inst::Between { dst, low, high } => {
                self.masks[dst.0 as usize] = self.below(high) & !self.below(low);
                return Ok(());
            }
            Inst::MaskLanes { mask, .. } => {
                let active = self.masks[mask.0 as usize];
                self.lanewise(|i| if active >> i & 1 != 0 { u32::MAX } else { 0 })
            }
            Inst::Gather { base, index, mask, .. } => {
                let (base, index, active) =
                    (self.ints[base.0 as usize], v(index), self.masks[mask.0 as usize]);
                let mut out = [0; MAX_LANES];
                for i in (0..self.lanes).filter(|i| active >> i & 1 != 0) {
                    let at = base.wrapping_add(4 * i64::from(index[i].cast_signed()));
                    let bytes = self.memory.slice(at, 4)?;
                    out[i] = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                }
                out
            }
            Inst::Prefetch { .. } => return Ok(()),
            Inst::IntStore { src, addr } => {
                let address = self.address(addr);
                let value = self.ints[src.0 as usize];
                self.memory.slice(address, 8)?.copy_from_slice(&value.to_le_bytes());
                return Ok(());
            }
            _ => return self.int_inst(inst),
        };
        if let Some(Reg::Vector(dst)) = inst.definition() {
            self.vectors[dst.0 as usize] = result;
        }
        Ok(())
    }

    fn int_inst(&mut self, inst: &Inst) -> Result<(), Fault> {
        let (dst, value) = match *inst {
            Inst::IntConst { dst, value } => (dst, value.at(self.lanes as u32)),
            Inst::IntMove { dst, src } => (dst, self.ints[src.0 as usize]),
            Inst::Int { op, dst, a, b } => {
                let (a, b) = (self.ints[a.0 as usize], self.source(b));
                let value = match op {
                    IntOp::Add => a.wrapping_add(b),
                    IntOp::Sub => a.wrapping_sub(b),
                    IntOp::Mul => a.wrapping_mul(b),
                    IntOp::And => a & b,
                    IntOp::Or => a | b,
                    IntOp::Min => a.min(b),
                    IntOp::Max => a.max(b),
                    IntOp::ShiftLeft => a << b,
                    IntOp::ShiftRight => a >> b,
                };
                (dst, value)
            }
            Inst::DivLanes { dst, n } => (dst, self.ints[n.0 as usize] >> self.lanes.ilog2()),
            Inst::SignBits { dst, a } => {
                let bits = (0..self.lanes).map(|i| i64::from(self.vectors[a.0 as usize][i] >> 31) << i).sum();
                (dst, bits)
            }
            Inst::IntLoad { dst, addr } => {
                let address = self.address(addr);
                let mut bytes = [0; 8];
                bytes.copy_from_slice(self.memory.slice(address, 8)?);
                (dst, i64::from_le_bytes(bytes))
            }
            _ => return Ok(()), // law V7: no others in a verified program
        };
        self.ints[dst.0 as usize] = value;
        Ok(())
    }
}

/// The lane of an element, given by its bits.
fn widen(from: Storage, bits: u32) -> u32 {
    match from {
        Storage::Lane | Storage::U8 | Storage::U16 => bits,
        Storage::I8 => i32::from(bits as i8).cast_unsigned(),
        Storage::I16 => i32::from(bits as i16).cast_unsigned(),
        Storage::F16 => half::f16::from_bits(bits as u16).to_f32().to_bits(),
        Storage::I8Pair => pair(bits, |byte| i16::from(byte as i8)),
        Storage::U8Pair => pair(bits, i16::from),
    }
}

/// The low bits are those of the element that a lane becomes.
fn narrow(to: Storage, bits: u32) -> u32 {
    match to {
        Storage::Lane | Storage::I8 | Storage::U8 | Storage::I16 | Storage::U16 => bits,
        Storage::F16 => u32::from(half::f16::from_f32(f32::from_bits(bits)).to_bits()),
        Storage::I8Pair | Storage::U8Pair => bits & 0xFF | bits >> 8 & 0xFF00,
    }
}

/// The lane whose halves are made of two bytes.
fn pair(bits: u32, widen: impl Fn(u8) -> i16) -> u32 {
    let [low, high] = [bits as u8, (bits >> 8) as u8].map(|byte| u32::from(widen(byte).cast_unsigned()));
    low | high << 16
}

/// The halves of a lane, as signed integers.
fn halves(bits: u32) -> [i16; 2] {
    [bits as i16, (bits >> 16) as i16]
}

fn unary(op: UnaryOp, bits: u32) -> u32 {
    let x = f32::from_bits(bits);
    match op {
        UnaryOp::Move => bits,
        UnaryOp::Sqrt => x.sqrt().to_bits(),
        UnaryOp::Neg => bits ^ (1 << 31),
        UnaryOp::Abs => bits & !(1 << 31),
        UnaryOp::Floor => x.floor().to_bits(),
        UnaryOp::Ceil => x.ceil().to_bits(),
        UnaryOp::Nearest => x.round_ties_even().to_bits(),
        UnaryOp::Trunc => x.trunc().to_bits(),
        UnaryOp::ToInt => {
            let fits = x > -2_147_483_904.0 && x < 2_147_483_648.0;
            if fits { (x as i32).cast_unsigned() } else { i32::MIN.cast_unsigned() }
        }
        UnaryOp::FromInt => (bits.cast_signed() as f32).to_bits(),
        UnaryOp::ToHalf => widen(Storage::F16, narrow(Storage::F16, bits)),
    }
}

fn binary(op: BinaryOp, a_bits: u32, b_bits: u32) -> u32 {
    let (a, b) = (f32::from_bits(a_bits), f32::from_bits(b_bits));
    let (ia, ib) = (a_bits.cast_signed(), b_bits.cast_signed());
    let ones = |yes: bool| if yes { u32::MAX } else { 0 };
    match op {
        BinaryOp::Add => (a + b).to_bits(),
        BinaryOp::Sub => (a - b).to_bits(),
        BinaryOp::Mul => (a * b).to_bits(),
        BinaryOp::Div => (a / b).to_bits(),
        BinaryOp::Min => {
            if a < b {
                a_bits
            } else {
                b_bits
            }
        }
        BinaryOp::Max => {
            if a > b {
                a_bits
            } else {
                b_bits
            }
        }
        BinaryOp::And => a_bits & b_bits,
        BinaryOp::Or => a_bits | b_bits,
        BinaryOp::Xor => a_bits ^ b_bits,
        BinaryOp::AndNot => !a_bits & b_bits,
        BinaryOp::IntAdd => a_bits.wrapping_add(b_bits),
        BinaryOp::IntSub => a_bits.wrapping_sub(b_bits),
        BinaryOp::IntMul => a_bits.wrapping_mul(b_bits),
        BinaryOp::IntMin => ia.min(ib).cast_unsigned(),
        BinaryOp::IntMax => ia.max(ib).cast_unsigned(),
        BinaryOp::IntEq => ones(ia == ib),
        BinaryOp::IntGt => ones(ia > ib),
        BinaryOp::PairSub => {
            let ([a0, a1], [b0, b1]) = (halves(a_bits), halves(b_bits));
            let [low, high] = [(a0, b0), (a1, b1)].map(|(a, b)| u32::from(a.wrapping_sub(b).cast_unsigned()));
            low | high << 16
        }
    }
}

fn fma(op: FmaOp, a: u32, b: u32, c: u32, fused: bool) -> u32 {
    let (a, b, c) = (f32::from_bits(a), f32::from_bits(b), f32::from_bits(c));
    let (a, c) = match op {
        FmaOp::MulAdd => (a, c),
        FmaOp::MulSub => (a, -c),
        FmaOp::NegMulAdd | FmaOp::NegMulAddFused => (-a, c),
    };
    let fused = fused || op == FmaOp::NegMulAddFused;
    if fused { a.mul_add(b, c).to_bits() } else { (a * b + c).to_bits() }
}

fn pair_dot(a: u32, b: u32, c: u32) -> u32 {
    let ([a0, a1], [b0, b1]) = (halves(a), halves(b));
    let [low, high] = [(a0, b0), (a1, b1)].map(|(a, b)| (i32::from(a) * i32::from(b)).cast_unsigned());
    c.wrapping_add(low).wrapping_add(high)
}

fn compare(op: Compare, a: u32, b: u32) -> bool {
    let (a, b) = (f32::from_bits(a), f32::from_bits(b));
    match op {
        Compare::Eq => a == b,
        Compare::Ne => a != b,
        Compare::Lt => a < b,
        Compare::Le => a <= b,
        Compare::Gt => a > b,
        Compare::Ge => a >= b,
        Compare::Unordered => a.is_nan() || b.is_nan(),
    }
}
