//! Moving registers to the stack.

use indexmap::IndexMap;

use super::{Registers, Work};
use crate::vector::ir::{IReg, If, Inst, IntSource, Loop, MReg, Program, Reg, Slot, Stmt, VReg};
use crate::vector::operands::Role;

/// What replaces a register.
#[derive(Clone, Copy)]
enum Home {
    Slot(Slot),
    /// The instruction that makes the value again; its destination is replaced.
    Remake(Inst),
}

impl Work {
    /// Rewrites the program so that the given registers live on the stack.
    pub(super) fn spill(&mut self, regs: &[Reg], registers: &Registers) {
        let mut homes = IndexMap::new();
        for &reg in regs {
            let home = match remake(&self.program, reg) {
                Some(inst) => Home::Remake(inst),
                None => {
                    self.slots.push(registers.file(reg));
                    Home::Slot(Slot(self.slots.len() as u32 - 1))
                }
            };
            homes.insert(reg, home);
        }
        let body = std::mem::take(&mut self.program.body);
        let mut out = Vec::with_capacity(body.len());
        for i in 0..self.program.params.len() {
            let param = Reg::Int(self.program.params[i]);
            if let Some(Home::Slot(slot)) = homes.get(&param).copied() {
                let src = self.temporary(param);
                self.program.params[i] = IReg(src.number());
                out.push(Stmt::Inst(Inst::Spill { src, slot }));
            }
        }
        self.rewrite(body, &homes, &mut out);
        self.program.body = out;
    }

    fn temporary(&mut self, like: Reg) -> Reg {
        let p = &mut self.program;
        let reg = match like {
            Reg::Vector(_) => {
                p.vectors += 1;
                Reg::Vector(VReg(p.vectors - 1))
            }
            Reg::Int(_) => {
                p.ints += 1;
                Reg::Int(IReg(p.ints - 1))
            }
            Reg::Mask(_) => {
                p.masks += 1;
                Reg::Mask(MReg(p.masks - 1))
            }
        };
        self.temporaries.push(reg);
        reg
    }

    /// A register with the value of `reg`, loaded if it has a home.
    fn fetch(&mut self, reg: Reg, homes: &IndexMap<Reg, Home>, out: &mut Vec<Stmt>) -> Reg {
        let Some(home) = homes.get(&reg).copied() else { return reg };
        let dst = self.temporary(reg);
        out.push(Stmt::Inst(match home {
            Home::Slot(slot) => Inst::Reload { dst, slot },
            Home::Remake(inst) => inst.map_registers(&mut |_, _| dst),
        }));
        dst
    }

    fn fetch_source(&mut self, s: IntSource, homes: &IndexMap<Reg, Home>, out: &mut Vec<Stmt>) -> IntSource {
        match s {
            IntSource::Reg(r) => IntSource::Reg(IReg(self.fetch(r.into(), homes, out).number())),
            IntSource::Const(_) => s,
        }
    }

    fn rewrite(&mut self, stmts: Vec<Stmt>, homes: &IndexMap<Reg, Home>, out: &mut Vec<Stmt>) {
        for stmt in stmts {
            match stmt {
                Stmt::Inst(inst) => self.rewrite_inst(inst, homes, out),
                Stmt::Loop(l) => {
                    let count = self.fetch_source(l.count, homes, out);
                    let counter_slot = match homes.get(&Reg::Int(l.counter)) {
                        Some(Home::Slot(slot)) => Some(*slot),
                        _ => l.counter_slot,
                    };
                    let mut body = Vec::with_capacity(l.body.len());
                    self.rewrite(l.body, homes, &mut body);
                    out.push(Stmt::Loop(Loop { counter: l.counter, counter_slot, count, body }));
                }
                Stmt::If(i) => {
                    let a = IReg(self.fetch(i.a.into(), homes, out).number());
                    let b = self.fetch_source(i.b, homes, out);
                    let (mut then, mut otherwise) = (Vec::new(), Vec::new());
                    self.rewrite(i.then, homes, &mut then);
                    self.rewrite(i.otherwise, homes, &mut otherwise);
                    out.push(Stmt::If(If { op: i.op, a, b, then, otherwise }));
                }
            }
        }
    }

    fn rewrite_inst(&mut self, inst: Inst, homes: &IndexMap<Reg, Home>, out: &mut Vec<Stmt>) {
        let defined = inst.definition();
        if matches!(defined.and_then(|d| homes.get(&d)), Some(Home::Remake(_))) {
            return; // made again at each use
        }
        let mut fetched: IndexMap<Reg, Reg> = IndexMap::new();
        let mut spill = None;
        let rewritten = inst.map_registers(&mut |role, reg| match role {
            Role::Use => match fetched.get(&reg) {
                Some(&r) => r,
                None => {
                    let r = self.fetch(reg, homes, out);
                    fetched.insert(reg, r);
                    r
                }
            },
            Role::Def => match homes.get(&reg) {
                Some(&Home::Slot(slot)) => {
                    let src = self.temporary(reg);
                    spill = Some(Inst::Spill { src, slot });
                    src
                }
                _ => reg,
            },
        });
        out.push(Stmt::Inst(rewritten));
        out.extend(spill.map(Stmt::Inst));
    }
}

/// The constant instruction that is the only definition of `reg`, if there is one.
fn remake(program: &Program, reg: Reg) -> Option<Inst> {
    fn visit(stmts: &[Stmt], reg: Reg, found: &mut Vec<Option<Inst>>) {
        for stmt in stmts {
            match stmt {
                Stmt::Inst(inst) if inst.definition() == Some(reg) => {
                    let constant = matches!(inst, Inst::Splat { .. } | Inst::IntConst { .. });
                    found.push(constant.then_some(*inst));
                }
                Stmt::Inst(_) => {}
                Stmt::Loop(l) => {
                    if Reg::Int(l.counter) == reg {
                        found.push(None);
                    }
                    visit(&l.body, reg, found);
                }
                Stmt::If(i) => {
                    visit(&i.then, reg, found);
                    visit(&i.otherwise, reg, found);
                }
            }
        }
    }
    if program.params.iter().any(|&p| Reg::Int(p) == reg) {
        return None;
    }
    let mut found = Vec::new();
    visit(&program.body, reg, &mut found);
    match found[..] {
        [only] => only,
        _ => None,
    }
}
