//! Which registers an instruction reads and writes: the one place that knows.

use super::ir::{Addr, BinaryOp, IReg, Inst, IntSource, MReg, Reg, VReg};

/// How an instruction touches an operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The register is read.
    Use,
    /// The register is written.
    Def,
}

/// Replaces registers while an instruction is walked. All uses are visited before the definition.
struct Walk<'f> {
    f: &'f mut dyn FnMut(Role, Reg) -> Reg,
}

impl Walk<'_> {
    fn vector(&mut self, role: Role, r: VReg) -> VReg {
        VReg((self.f)(role, Reg::Vector(r)).number())
    }
    fn int(&mut self, role: Role, r: IReg) -> IReg {
        IReg((self.f)(role, Reg::Int(r)).number())
    }
    fn v(&mut self, r: VReg) -> VReg {
        self.vector(Role::Use, r)
    }
    fn x(&mut self, r: IReg) -> IReg {
        self.int(Role::Use, r)
    }
    fn m(&mut self, r: MReg) -> MReg {
        MReg((self.f)(Role::Use, Reg::Mask(r)).number())
    }
    fn dv(&mut self, r: VReg) -> VReg {
        self.vector(Role::Def, r)
    }
    fn dx(&mut self, r: IReg) -> IReg {
        self.int(Role::Def, r)
    }
    fn addr(&mut self, a: Addr) -> Addr {
        let base = self.x(a.base);
        let index = a.index.map(|(r, scale)| (self.x(r), scale));
        Addr { base, index, disp: a.disp }
    }
    fn source(&mut self, s: IntSource) -> IntSource {
        match s {
            IntSource::Reg(r) => IntSource::Reg(self.x(r)),
            IntSource::Const(_) => s,
        }
    }
}

impl Inst {
    /// The instruction with every register replaced by what `f` returns (only its number counts).
    ///
    /// Uses are visited in a fixed order, then the definition, if there is one.
    pub fn map_registers(&self, f: &mut dyn FnMut(Role, Reg) -> Reg) -> Inst {
        let w = &mut Walk { f };
        use Inst::*;
        // Struct fields are evaluated in the order they are written: sources first.
        match *self {
            Load { dst, addr, from } => Load { addr: w.addr(addr), from, dst: w.dv(dst) },
            LoadMasked { dst, addr, from, mask } => {
                LoadMasked { addr: w.addr(addr), from, mask: w.m(mask), dst: w.dv(dst) }
            }
            LoadSplat { dst, addr, from } => LoadSplat { addr: w.addr(addr), from, dst: w.dv(dst) },
            LoadQuad { dst, addr, from } => LoadQuad { addr: w.addr(addr), from, dst: w.dv(dst) },
            Store { src, addr, to } => Store { src: w.v(src), addr: w.addr(addr), to },
            StoreMasked { src, addr, to, mask } => {
                StoreMasked { src: w.v(src), addr: w.addr(addr), to, mask: w.m(mask) }
            }
            StoreLane { src, addr, to } => StoreLane { src: w.v(src), addr: w.addr(addr), to },
            StoreQuad { src, addr, to } => StoreQuad { src: w.v(src), addr: w.addr(addr), to },
            Splat { dst, bits } => Splat { bits, dst: w.dv(dst) },
            SplatInt { dst, src } => SplatInt { src: w.x(src), dst: w.dv(dst) },
            Iota { dst } => Iota { dst: w.dv(dst) },
            Unary { op, dst, a } => Unary { op, a: w.v(a), dst: w.dv(dst) },
            Binary { op, dst, a, b } => Binary { op, a: w.v(a), b: w.v(b), dst: w.dv(dst) },
            ByteDot { dst, a, b, c } => ByteDot { a: w.v(a), b: w.v(b), c: w.v(c), dst: w.dv(dst) },
            PairDot { dst, a, b, c } => PairDot { a: w.v(a), b: w.v(b), c: w.v(c), dst: w.dv(dst) },
            Fma { op, dst, a, b, c } => Fma { op, a: w.v(a), b: w.v(b), c: w.v(c), dst: w.dv(dst) },
            Compare { op, dst, a, b } => Compare { op, a: w.v(a), b: w.v(b), dst: w.dv(dst) },
            Blend { dst, mask, yes, no } => {
                Blend { mask: w.v(mask), yes: w.v(yes), no: w.v(no), dst: w.dv(dst) }
            }
            Select { op, dst, a, b, yes, no } => {
                Select { op, a: w.v(a), b: w.v(b), yes: w.v(yes), no: w.v(no), dst: w.dv(dst) }
            }
            Shift { op, dst, a, by } => Shift { op, a: w.v(a), by, dst: w.dv(dst) },
            Interleave { op, dst, a, b } => Interleave { op, a: w.v(a), b: w.v(b), dst: w.dv(dst) },
            Deinterleave { dst, a, b, odd } => Deinterleave { a: w.v(a), b: w.v(b), odd, dst: w.dv(dst) },
            Slide { dst, low, high, by } => Slide { low: w.v(low), high: w.v(high), by, dst: w.dv(dst) },
            SplatLane { dst, a, lane } => SplatLane { a: w.v(a), lane, dst: w.dv(dst) },
            FromHalves { dst, a, high } => FromHalves { a: w.v(a), high, dst: w.dv(dst) },
            ToHalves { dst, low, high } => ToHalves { low: w.v(low), high: w.v(high), dst: w.dv(dst) },
            Reduce { op, dst, a } => Reduce { op, a: w.v(a), dst: w.dv(dst) },
            First { dst, n } => {
                let n = w.x(n);
                First { n, dst: MReg((w.f)(Role::Def, Reg::Mask(dst)).number()) }
            }
            Between { dst, low, high } => {
                let (low, high) = (w.x(low), w.x(high));
                Between { low, high, dst: MReg((w.f)(Role::Def, Reg::Mask(dst)).number()) }
            }
            MaskLanes { dst, mask } => MaskLanes { mask: w.m(mask), dst: w.dv(dst) },
            Gather { dst, base, index, from, mask } => Gather {
                base: w.x(base),
                index: w.v(index),
                from,
                mask: mask.map(|it| w.m(it)),
                dst: w.dv(dst),
            },
            IntConst { dst, value } => IntConst { value, dst: w.dx(dst) },
            IntMove { dst, src } => IntMove { src: w.x(src), dst: w.dx(dst) },
            Int { op, dst, a, b } => Int { op, a: w.x(a), b: w.source(b), dst: w.dx(dst) },
            IntUnary { op, dst, a } => IntUnary { op, a: w.x(a), dst: w.dx(dst) },
            DivLanes { dst, n } => DivLanes { n: w.x(n), dst: w.dx(dst) },
            SignBits { dst, a } => SignBits { a: w.v(a), dst: w.dx(dst) },
            IntLoad { dst, addr } => IntLoad { addr: w.addr(addr), dst: w.dx(dst) },
            IntStore { src, addr } => IntStore { src: w.x(src), addr: w.addr(addr) },
            Prefetch { level, addr } => Prefetch { level, addr: w.addr(addr) },
            Reload { dst, slot } => Reload { slot, dst: (w.f)(Role::Def, dst) },
            Spill { src, slot } => Spill { src: (w.f)(Role::Use, src), slot },
            StackParam { dst, index } => StackParam { index, dst: w.dx(dst) },
        }
    }

    /// Calls `f` on every operand: uses first, then the definition.
    pub fn for_each_register(&self, mut f: impl FnMut(Role, Reg)) {
        self.map_registers(&mut |role, reg| {
            f(role, reg);
            reg
        });
    }

    /// A register that the instruction still reads after it began to write its destination.
    pub fn late_uses(&self) -> [Option<Reg>; 2] {
        match *self {
            Inst::Gather { index, .. } => [Some(index.into()), None],
            Inst::Binary { op: BinaryOp::UintQuot, a, b, .. } => [Some(a.into()), Some(b.into())],
            _ => [None, None],
        }
    }

    /// The register that the instruction writes.
    pub fn definition(&self) -> Option<Reg> {
        let mut found = None;
        self.for_each_register(|role, reg| {
            if role == Role::Def {
                found = Some(reg);
            }
        });
        found
    }
}
