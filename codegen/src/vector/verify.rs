//! What makes a program well formed.
//!
//! - V1: every register number is below the count of its class.
//! - V2: a register is written on every path before it is read. Loop bodies may not run, so what a loop writes does not
//!   count after it.
//! - V3: an index scale is 1, 2, 4 or 8; shifts are constants below the width.
//! - V4: displacements and constant operands fit in a signed 32-bit number for registers of 128, 256 and 512 bits.
//! - V5: a loop body does not write its own counter or that of a loop around it.
//! - V6: parameters are distinct registers.
//! - V7: no instruction of allocated programs occurs.
//! - V8: what an instruction does exists at the width of the program: its storage, the bits of a constant, the operation;
//!   reductions are by operations whose order does not matter.

use std::fmt;

use super::ir::{
    Addr, BinaryOp, FmaOp, IReg, Inst, IntOp, IntSource, Program, Reg, Size, Stmt, Storage, UnaryOp, Width,
};
use super::operands::Role;
use super::registers::RegSet;

/// A broken law and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The number of the law, such as `V2`.
    pub law: &'static str,
    /// The statement, as printed.
    pub place: String,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} in `{}`", self.law, self.message, self.place)
    }
}

/// Checks every law and reports all violations.
pub fn verify(program: &Program) -> Result<(), Vec<Violation>> {
    let mut v = Verifier { program, found: Vec::new(), counters: Vec::new() };
    let mut written = RegSet::default();
    for &p in &program.params {
        if v.check_v1_in_range(p.into(), "parameters") && !written.insert(Reg::from(p)) {
            v.report("V6", "parameters", format!("{p} occurs twice"));
        }
    }
    v.block(&program.body, &mut written);
    if v.found.is_empty() { Ok(()) } else { Err(v.found) }
}

struct Verifier<'a> {
    program: &'a Program,
    found: Vec<Violation>,
    counters: Vec<IReg>,
}

impl Verifier<'_> {
    fn report(&mut self, law: &'static str, place: impl ToString, message: String) {
        self.found.push(Violation { law, place: place.to_string(), message });
    }

    /// Whether it is.
    fn check_v1_in_range(&mut self, r: Reg, place: impl ToString) -> bool {
        let bound = match r {
            Reg::Vector(_) => self.program.vectors,
            Reg::Int(_) => self.program.ints,
            Reg::Mask(_) => self.program.masks,
        };
        let fits = r.number() < bound;
        if !fits {
            self.report("V1", place, format!("{r} is out of range"));
        }
        fits
    }

    fn check_v2_written(&mut self, r: Reg, written: &RegSet, place: impl ToString) {
        if !written.contains(r) {
            self.report("V2", place, format!("{r} may be read before it is written"));
        }
    }

    fn check_v4_fits(&mut self, size: Size, place: impl ToString) {
        let lanes = [16, 32, 64].map(|bytes| bytes / self.program.width.bytes());
        if lanes.iter().any(|&vl| i32::try_from(size.at(vl)).is_err()) {
            self.report("V4", place, format!("{size} does not fit in 32 bits"));
        }
    }

    fn check_v8_exists(&mut self, inst: &Inst) {
        let width = self.program.width;
        let storage = |it: Storage| Storage::all(width).contains(&it);
        let exists = match *inst {
            Inst::Load { from, .. }
            | Inst::LoadMasked { from, .. }
            | Inst::LoadSplat { from, .. }
            | Inst::LoadQuad { from, .. } => storage(from),
            Inst::Store { to, .. }
            | Inst::StoreMasked { to, .. }
            | Inst::StoreLane { to, .. }
            | Inst::StoreQuad { to, .. } => storage(to),
            Inst::Gather { from, .. } => storage(from) && !from.is_pair() && width.has_floats(),
            Inst::Splat { bits, .. } => bits <= width.ones(),
            Inst::Unary { op, .. } if op.is_of_doubles() => width == Width::W64,
            Inst::Unary { op, .. } => op == UnaryOp::Move || width.has_floats(),
            Inst::Binary { op, .. } if op.is_float() => width.has_floats(),
            Inst::Binary { op: BinaryOp::ShiftLeft | BinaryOp::ShiftRight, .. } => width.has_floats(),
            Inst::Reduce { op, .. } if op.is_float() && !width.has_floats() => false,
            // Lanes of 8 and 16 bits hold no positions, and no groups of them are taken apart.
            Inst::Compare { .. }
            | Inst::Select { .. }
            | Inst::SignBits { .. }
            | Inst::Deinterleave { .. } => width.has_floats(),
            Inst::Fma { op: FmaOp::LostProduct, .. } => width == Width::W64,
            Inst::Fma { op, .. } if op != FmaOp::NegMulAddFused => width.has_floats(),
            Inst::Fma { op: FmaOp::NegMulAddFused, .. }
            | Inst::Binary { op: BinaryOp::PairSub, .. }
            | Inst::FromHalves { .. }
            | Inst::ToHalves { .. }
            | Inst::PairDot { .. }
            | Inst::ByteDot { .. } => width == Width::W32,
            Inst::Binary { op: BinaryOp::UintQuot, .. } => width == Width::W8,
            Inst::Binary { op: BinaryOp::LowMul | BinaryOp::HalfMul | BinaryOp::HalfAdd, .. } => {
                width == Width::W64
            }
            Inst::Reduce { op, .. } => op.reduces(),
            _ => true,
        };
        if !exists {
            self.report("V8", inst, format!("not of lanes of {} bits", width.bits()));
        }
    }

    fn source(&mut self, s: IntSource, written: &RegSet, place: &str) {
        match s {
            IntSource::Reg(r) => {
                self.check_v1_in_range(r.into(), place);
                self.check_v2_written(r.into(), written, place);
            }
            IntSource::Const(c) => self.check_v4_fits(c, place),
        }
    }

    fn addr(&mut self, addr: Addr, inst: &Inst) {
        if let Some((_, scale)) = addr.index
            && !matches!(scale, 1 | 2 | 4 | 8)
        {
            self.report("V3", inst, format!("scale {scale}"));
        }
        self.check_v4_fits(addr.disp, inst);
    }

    fn inst(&mut self, inst: &Inst, written: &mut RegSet) {
        inst.for_each_register(|role, reg| {
            if !self.check_v1_in_range(reg, inst) {
                return;
            }
            match role {
                Role::Use => self.check_v2_written(reg, written, inst),
                Role::Def => {
                    if let Reg::Int(r) = reg
                        && self.counters.contains(&r)
                    {
                        self.report("V5", inst, format!("{r} is a loop counter"));
                    }
                    written.insert(reg);
                }
            }
        });
        self.check_v8_exists(inst);
        match *inst {
            Inst::Load { addr, .. }
            | Inst::LoadMasked { addr, .. }
            | Inst::LoadSplat { addr, .. }
            | Inst::LoadQuad { addr, .. }
            | Inst::Store { addr, .. }
            | Inst::StoreMasked { addr, .. }
            | Inst::StoreLane { addr, .. }
            | Inst::StoreQuad { addr, .. }
            | Inst::IntLoad { addr, .. }
            | Inst::IntStore { addr, .. }
            | Inst::Prefetch { addr, .. } => self.addr(addr, inst),
            Inst::Shift { by, .. } if u32::from(by) >= self.program.width.bits() => {
                self.report("V3", inst, format!("shift by {by}"))
            }
            Inst::Int { op: IntOp::ShiftLeft | IntOp::ShiftRight, b, .. }
                if !matches!(b, IntSource::Const(Size { fixed: 0..64, per_lane: 0 })) =>
            {
                self.report("V3", inst, format!("shift by {b}"));
            }
            Inst::Int { b: IntSource::Const(c), .. } => self.check_v4_fits(c, inst),
            Inst::Reload { .. } | Inst::Spill { .. } | Inst::StackParam { .. } => {
                self.report("V7", inst, "belongs to allocated programs".to_owned());
            }
            _ => {}
        }
    }

    fn block(&mut self, stmts: &[Stmt], written: &mut RegSet) {
        for stmt in stmts {
            match stmt {
                Stmt::Inst(inst) => self.inst(inst, written),
                Stmt::Loop(l) => {
                    let place = format!("loop {}", l.counter);
                    self.source(l.count, written, &place);
                    let counter = self.check_v1_in_range(l.counter.into(), &place);
                    if self.counters.contains(&l.counter) {
                        self.report("V5", &place, format!("{} counts an outer loop", l.counter));
                    }
                    if l.counter_slot.is_some() {
                        self.report("V7", &place, "counter in a slot".to_owned());
                    }
                    let mut inside = written.clone();
                    if counter {
                        inside.insert(l.counter.into());
                    }
                    // The counter's old value is gone whether or not the body runs.
                    written.remove(l.counter.into());
                    self.counters.push(l.counter);
                    self.block(&l.body, &mut inside);
                    self.counters.pop();
                }
                Stmt::If(i) => {
                    let place = format!("if {}", i.a);
                    self.source(IntSource::Reg(i.a), written, &place);
                    self.source(i.b, written, &place);
                    let mut yes = written.clone();
                    let mut no = written.clone();
                    self.block(&i.then, &mut yes);
                    self.block(&i.otherwise, &mut no);
                    yes.intersect(&no);
                    *written = yes;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::{Builder, Compare, VReg};

    /// What a statement breaks in a program of a width, in which a vector and a pointer have values.
    fn broken(width: Width, make: impl Fn(VReg, IReg) -> Inst) -> Option<&'static str> {
        let mut b = Builder::of_width("laws", width);
        let p = b.param();
        let v = b.load(p, None);
        b.emit(make(v, p));
        verify(&b.finish()).err().map(|it| it[0].law)
    }

    #[test]
    fn law_v8_says_what_lanes_of_a_width_do() {
        use Width::{W8, W16, W32, W64};
        let check = |widths: &[Width], make: &dyn Fn(VReg, IReg) -> Inst| {
            for width in Width::ALL {
                let wanted = if widths.contains(&width) { None } else { Some("V8") };
                assert_eq!(broken(width, make), wanted, "{width:?} {}", make(VReg(0), IReg(0)));
            }
        };
        let all = &Width::ALL;
        for (storage, widths) in [
            (Storage::Bits8, &[W8][..]),
            (Storage::Bits16, &[W16]),
            (Storage::Bits32, &[W32]),
            (Storage::Bits64, &[W64]),
            (Storage::I8, &[W16, W32, W64]),
            (Storage::U16, &[W32, W64]),
            (Storage::F16, &[W32, W64]),
            (Storage::I8Pair, &[W32]),
            (Storage::F32, &[W64]),
        ] {
            check(widths, &|dst, p| Inst::Load { dst, addr: p.into(), from: storage });
            check(widths, &|src, p| Inst::StoreLane { src, addr: p.into(), to: storage });
        }
        for op in [BinaryOp::IntMul, BinaryOp::UintMax, BinaryOp::IntGt, BinaryOp::AndNot] {
            check(all, &|v, _| Inst::Binary { op, dst: v, a: v, b: v });
        }
        check(all, &|v, _| Inst::Reduce { op: BinaryOp::UintMin, dst: v, a: v });
        check(&[], &|v, _| Inst::Reduce { op: BinaryOp::IntSub, dst: v, a: v });
        check(all, &|v, _| Inst::Blend { dst: v, mask: v, yes: v, no: v });
        check(all, &|v, _| Inst::Unary { op: UnaryOp::Move, dst: v, a: v });
        let floats = &Width::FLOATS;
        for op in [BinaryOp::Add, BinaryOp::Max] {
            check(floats, &|v, _| Inst::Binary { op, dst: v, a: v, b: v });
            check(floats, &|v, _| Inst::Reduce { op, dst: v, a: v });
        }
        check(floats, &|v, _| Inst::Unary { op: UnaryOp::Neg, dst: v, a: v });
        check(floats, &|v, _| Inst::Compare { op: Compare::Lt, dst: v, a: v, b: v });
        check(floats, &|v, _| Inst::Fma { op: FmaOp::MulAdd, dst: v, a: v, b: v, c: v });
        check(floats, &|v, p| Inst::SignBits { dst: p, a: v });
        check(floats, &|v, _| Inst::Deinterleave { dst: v, a: v, b: v, odd: true });
        check(&[W32], &|v, _| Inst::PairDot { dst: v, a: v, b: v, c: v });
        for (bits, widths) in [(0xFF, &all[..]), (0x100, &all[1..]), (1 << 16, floats), (1 << 32, &[W64])] {
            check(widths, &|dst, _| Inst::Splat { dst, bits });
        }
    }

    #[test]
    fn law_v3_keeps_shifts_inside_lanes() {
        for width in Width::ALL {
            for (by, wanted) in [(width.bits() - 1, None), (width.bits(), Some("V3"))] {
                let op = crate::vector::ShiftOp::Left;
                assert_eq!(broken(width, |v, _| Inst::Shift { op, dst: v, a: v, by: by as u8 }), wanted);
            }
        }
    }
}
