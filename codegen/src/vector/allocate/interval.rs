//! Live intervals of virtual registers.

use crate::vector::ir::{IReg, Inst, IntSource, Program, Reg, Stmt};
use crate::vector::operands::Role;
use crate::vector::registers::{RegMap, RegSet};

/// From the first write to the last read. Statement `p` reads at `2p` and writes at `2p + 1`, so that a destination
/// may take the register of a source that ends there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Interval {
    /// First position.
    pub(super) start: u32,
    /// Last position.
    pub(super) end: u32,
    /// Reads and writes, each weighted by eight to the power of its loop depth; infinite if it must have a register.
    weight: f64,
}

impl Interval {
    /// What moving the register to the stack would cost, for each position that it frees.
    pub(super) fn cost(&self) -> f64 {
        self.weight / f64::from(self.end - self.start + 1)
    }
}

/// The interval of every register that occurs.
pub(super) fn intervals(program: &Program, temporaries: &[Reg]) -> RegMap<Interval> {
    let mut walk =
        Walk { found: RegMap::default(), position: 0, weight: 1.0, defined: vec![RegSet::default()] };
    for &p in &program.params {
        walk.touch(p.into(), 1);
    }
    walk.position = 1;
    walk.block(&program.body);
    for reg in temporaries {
        if let Some(interval) = walk.found.slot(*reg) {
            interval.weight = f64::INFINITY;
        }
    }
    walk.found
}

struct Walk {
    found: RegMap<Interval>,
    position: u32,
    weight: f64,
    /// For the program and each open loop: the registers surely written so far inside it.
    defined: Vec<RegSet>,
}

impl Walk {
    fn touch(&mut self, reg: Reg, at: u32) {
        let weight = self.weight;
        let i = self.found.slot(reg).get_or_insert(Interval { start: at, end: at, weight: 0.0 });
        i.start = i.start.min(at);
        i.end = i.end.max(at);
        i.weight += weight;
    }

    fn read(&mut self, reg: Reg, carried: &mut [RegSet]) {
        self.touch(reg, 2 * self.position);
        // A read that the body has not written before needs the value at the top of the loop.
        for (defined, carried) in self.defined.iter().zip(carried.iter_mut()).rev() {
            if defined.contains(reg) {
                break;
            }
            carried.insert(reg);
        }
    }

    fn write(&mut self, reg: Reg) {
        self.touch(reg, 2 * self.position + 1);
        if let Some(defined) = self.defined.last_mut() {
            defined.insert(reg);
        }
    }

    fn block(&mut self, stmts: &[Stmt]) {
        let mut carried = vec![RegSet::default()];
        self.statements(stmts, &mut carried);
    }

    fn source(&mut self, s: IntSource, carried: &mut [RegSet]) {
        if let IntSource::Reg(r) = s {
            self.read(r.into(), carried);
        }
    }

    fn inst(&mut self, inst: &Inst, carried: &mut [RegSet]) {
        inst.for_each_register(|role, reg| match role {
            Role::Use => self.read(reg, carried),
            Role::Def => self.write(reg),
        });
        for reg in inst.late_uses().into_iter().flatten() {
            self.touch(reg, 2 * self.position + 1);
        }
    }

    fn open_loop(&mut self, counter: Option<IReg>, body: &[Stmt], carried: &mut Vec<RegSet>) {
        self.weight *= 8.0;
        self.defined.push(RegSet::default());
        carried.push(RegSet::default());
        if let Some(counter) = counter {
            self.write(counter.into());
        }
        self.position += 1;
        self.statements(body, carried);
        // The counter is decremented here.
        if let Some(counter) = counter {
            self.read(counter.into(), carried);
        }
        self.weight /= 8.0;
        self.defined.pop();
        for reg in carried.pop().unwrap_or_default().iter() {
            let end = 2 * self.position + 1;
            if let Some(i) = self.found.slot(reg) {
                i.end = i.end.max(end);
            }
        }
        self.position += 1;
    }

    fn statements(&mut self, stmts: &[Stmt], carried: &mut Vec<RegSet>) {
        for stmt in stmts {
            match stmt {
                Stmt::Inst(inst) => {
                    self.inst(inst, carried);
                    self.position += 1;
                }
                Stmt::Loop(l) => {
                    self.source(l.count, carried);
                    let counter = l.counter_slot.is_none().then_some(l.counter);
                    self.open_loop(counter, &l.body, carried);
                }
                Stmt::If(i) => {
                    self.read(i.a.into(), carried);
                    self.source(i.b, carried);
                    self.position += 1;
                    let before = self.defined.clone();
                    self.statements(&i.then, carried);
                    let then = std::mem::replace(&mut self.defined, before);
                    self.statements(&i.otherwise, carried);
                    for (both, then) in self.defined.iter_mut().zip(&then) {
                        both.intersect(then);
                    }
                }
            }
        }
    }
}
