//! Slow, obvious evaluation of a program on byte buffers: the oracle for every encoder.

mod lane;

use std::fmt;

use super::ir::{
    Addr, IReg, Inst, IntCompare, IntOp, IntSource, IntUnaryOp, Program, Reg, Stmt, Storage, VReg, Width,
};
use lane::Floats;

/// The most lanes a register can have.
const MAX_LANES: usize = 64;
/// The bits of each lane, the upper ones zero where lanes are narrower.
type Lanes = [u64; MAX_LANES];

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

    /// The little-endian number of so many bytes.
    fn word(&mut self, address: i64, len: usize) -> Result<u64, Fault> {
        let mut word = [0; 8];
        word[..len].copy_from_slice(self.slice(address, len)?);
        Ok(u64::from_le_bytes(word))
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

/// Runs a program on registers of `lanes` lanes of 32 bits (4, 8 or 16), or of as many others as these have room for.
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
        lanes: (lanes * Width::W32.bytes() / program.width.bytes()) as usize,
        width: program.width,
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
    width: Width,
    fused: bool,
    vectors: Vec<Lanes>,
    ints: Vec<i64>,
    /// Bit `i` is lane `i`.
    masks: Vec<u64>,
    memory: &'m mut Memory,
    fuel: u64,
}

/// The mask of so many lanes.
fn first(lanes: u32) -> u64 {
    1u64.checked_shl(lanes).unwrap_or(0).wrapping_sub(1)
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

    fn load(&mut self, addr: Addr, from: Storage, active: u64) -> Result<Lanes, Fault> {
        let mut out = [0; MAX_LANES];
        let address = self.address(addr);
        let size = from.bytes() as usize;
        for (i, lane) in out.iter_mut().enumerate().filter(|(i, _)| active >> i & 1 != 0) {
            *lane = lane::widen(from, self.width, self.memory.word(address + (size * i) as i64, size)?);
        }
        Ok(out)
    }

    fn store(&mut self, src: VReg, addr: Addr, to: Storage, active: u64) -> Result<(), Fault> {
        let address = self.address(addr);
        let lanes = self.vectors[src.0 as usize];
        let size = to.bytes() as usize;
        for (i, lane) in lanes.iter().enumerate().filter(|(i, _)| active >> i & 1 != 0) {
            let word = lane::narrow(to, self.width, *lane).to_le_bytes();
            self.memory.slice(address + (size * i) as i64, size)?.copy_from_slice(&word[..size]);
        }
        Ok(())
    }

    /// The lanes below the value of a register.
    fn below(&self, n: IReg) -> u64 {
        first(self.ints[n.0 as usize].clamp(0, self.lanes as i64) as u32)
    }

    fn lanewise(&self, f: impl Fn(usize) -> u64) -> Lanes {
        std::array::from_fn(|i| if i < self.lanes { f(i) } else { 0 })
    }

    /// The first 128 bits of lanes.
    fn quad(&self) -> u64 {
        first(16 / self.width.bytes())
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
        let all = first(self.lanes as u32);
        let v = |r: VReg| self.vectors[r.0 as usize];
        let (width, ones, sign) = (self.width, self.width.ones(), self.width.sign());
        let floats = Floats::of(width);
        let compare = |op, a: VReg, b: VReg, i: usize| (floats.compare)(op, v(a)[i], v(b)[i]);
        let result: Lanes = match *inst {
            Inst::Load { addr, from, .. } => self.load(addr, from, all)?,
            Inst::LoadMasked { addr, from, mask, .. } => {
                self.load(addr, from, self.masks[mask.0 as usize])?
            }
            Inst::LoadSplat { addr, from, .. } => {
                let first = self.load(addr, from, 1)?[0];
                self.lanewise(|_| first)
            }
            Inst::LoadQuad { addr, from, .. } => self.load(addr, from, self.quad())?,
            Inst::Store { src, addr, to } => return self.store(src, addr, to, all),
            Inst::StoreMasked { src, addr, to, mask } => {
                return self.store(src, addr, to, self.masks[mask.0 as usize]);
            }
            Inst::StoreLane { src, addr, to } => return self.store(src, addr, to, 1),
            Inst::StoreQuad { src, addr, to } => return self.store(src, addr, to, self.quad()),
            Inst::Splat { bits, .. } => self.lanewise(|_| bits),
            Inst::SplatInt { src, .. } => self.lanewise(|_| self.width.int(self.ints[src.0 as usize])),
            Inst::Iota { .. } => self.lanewise(|i| i as u64),
            Inst::Unary { op, a, .. } => self.lanewise(|i| lane::unary(width, op, v(a)[i])),
            Inst::Binary { op, a, b, .. } => self.lanewise(|i| lane::binary(width, op, v(a)[i], v(b)[i])),
            Inst::Fma { op, a, b, c, .. } => {
                self.lanewise(|i| (floats.fma)(op, [a, b, c].map(|it| v(it)[i]), self.fused))
            }
            Inst::ByteDot { a, b, c, .. } => self.lanewise(|i| lane::byte_dot([a, b, c].map(|it| v(it)[i]))),
            Inst::PairDot { a, b, c, .. } => self.lanewise(|i| lane::pair_dot([a, b, c].map(|it| v(it)[i]))),
            Inst::Compare { op, a, b, .. } => self.lanewise(|i| if compare(op, a, b, i) { ones } else { 0 }),
            Inst::Blend { mask, yes, no, .. } => {
                self.lanewise(|i| if v(mask)[i] & sign != 0 { v(yes)[i] } else { v(no)[i] })
            }
            Inst::Select { op, a, b, yes, no, .. } => {
                self.lanewise(|i| if compare(op, a, b, i) { v(yes)[i] } else { v(no)[i] })
            }
            Inst::Shift { op, a, by, .. } => self.lanewise(|i| lane::shift(width, op, v(a)[i], by)),
            Inst::Interleave { op, a, b, .. } => {
                let (size, unit) = (self.width.bytes() as usize, op.bytes() as usize);
                // A byte of a register, by its place.
                let byte = |r: VReg, at: usize| v(r)[at / size] >> (8 * (at % size)) & 0xFF;
                self.lanewise(|i| {
                    let picked = (0..size).map(|k| {
                        let at = i * size + k;
                        let (block, place) = (at / 16 * 16, at % 16);
                        let (turn, rest) = (place / unit, place % unit);
                        let half = if op.is_high() { 8 } else { 0 };
                        let from = if turn % 2 == 0 { a } else { b };
                        byte(from, block + half + turn / 2 * unit + rest) << (8 * k)
                    });
                    picked.sum()
                })
            }
            Inst::Deinterleave { a, b, odd, .. } => self.lanewise(|i| {
                let at = 2 * i + usize::from(odd);
                if at < self.lanes { v(a)[at] } else { v(b)[at - self.lanes] }
            }),
            Inst::Slide { low, high, by, .. } => {
                let by = by.lane_at(self.lanes as u32, self.lanes as u32) as usize;
                self.lanewise(|i| {
                    let at = i + by;
                    if at < self.lanes { v(low)[at] } else { v(high)[at - self.lanes] }
                })
            }
            Inst::SplatLane { a, lane, .. } => {
                let lane = v(a)[lane.lane_at(self.lanes as u32, self.lanes as u32 - 1) as usize];
                self.lanewise(|_| lane)
            }
            Inst::FromHalves { a, high, .. } => self.lanewise(|i| {
                let at = i + if high { self.lanes } else { 0 };
                lane::widen(Storage::F16, width, v(a)[at / 2] >> (16 * (at % 2)) & 0xFFFF)
            }),
            Inst::ToHalves { low, high, .. } => self.lanewise(|i| {
                let half = |at: usize| {
                    let lane = if at < self.lanes { v(low)[at] } else { v(high)[at - self.lanes] };
                    lane::narrow(Storage::F16, width, lane)
                };
                half(2 * i) | half(2 * i + 1) << 16
            }),
            Inst::Reduce { op, a, .. } => {
                let mut lanes = v(a);
                let mut n = self.lanes;
                while n > 1 {
                    n /= 2;
                    for i in 0..n {
                        lanes[i] = lane::binary(width, op, lanes[i], lanes[i + n]);
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
                self.lanewise(|i| if active >> i & 1 != 0 { ones } else { 0 })
            }
            Inst::Gather { base, index, from, mask, .. } => {
                let (base, index, active) =
                    (self.ints[base.0 as usize], v(index), mask.map_or(all, |it| self.masks[it.0 as usize]));
                let mut out = [0; MAX_LANES];
                let size = from.bytes();
                for i in (0..self.lanes).filter(|i| active >> i & 1 != 0) {
                    let index = lane::signed(self.width, index[i]);
                    let at = base.wrapping_add(i64::from(size).wrapping_mul(index));
                    out[i] = lane::widen(from, self.width, self.memory.word(at, size as usize)?);
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
            Inst::IntUnary { op, dst, a } => {
                let a = self.ints[a.0 as usize];
                let bits = match op {
                    IntUnaryOp::CountOnes => a.count_ones(),
                    IntUnaryOp::TrailingZeros => a.trailing_zeros(),
                };
                (dst, i64::from(bits))
            }
            Inst::DivLanes { dst, n } => (dst, self.ints[n.0 as usize] >> self.lanes.ilog2()),
            Inst::SignBits { dst, a } => {
                let sign = |i: usize| self.vectors[a.0 as usize][i] & self.width.sign() != 0;
                let bits = (0..self.lanes).map(|i| i64::from(sign(i)) << i).sum();
                (dst, bits)
            }
            Inst::IntLoad { dst, addr } => {
                let address = self.address(addr);
                (dst, self.memory.word(address, 8)?.cast_signed())
            }
            _ => return Ok(()), // law V7: no others in a verified program
        };
        self.ints[dst.0 as usize] = value;
        Ok(())
    }
}
