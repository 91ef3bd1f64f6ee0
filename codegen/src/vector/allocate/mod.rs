//! Register allocation of structured programs: linear scan over live intervals.
//!
//! Every virtual register gets one interval of positions, from its first write to its last read, stretched over each
//! loop that reads a value from before the loop or from the iteration before. Where registers run out, the interval
//! that is used least for its length moves to the stack as a whole: its uses become reads of short-lived registers
//! loaded just before, and the scan is repeated. Constants are made again instead of being loaded.
//!
//! The result is checked by [`check::check`], which shares no code with the allocator but the operand walk.

pub mod check;
mod interval;
mod spill;

use std::fmt;

use super::ir::{Inst, Program, Reg, Stmt};
use super::registers::RegMap;
use interval::{Interval, intervals};

/// Where registers of a class live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum File {
    /// Vector registers.
    Vector,
    /// Integer registers.
    Int,
    /// Mask registers, on targets that have them.
    Mask,
}

/// The registers of a target, by hardware number.
#[derive(Debug, Clone)]
pub struct Registers {
    /// Vector registers, in order of preference.
    pub vectors: Vec<u32>,
    /// Integer registers, in order of preference.
    pub ints: Vec<u32>,
    /// Mask registers; if empty, masks live in vector registers.
    pub masks: Vec<u32>,
    /// The integer registers that hold the first parameters at entry. Further ones are on the stack.
    pub params: Vec<u32>,
}

impl Registers {
    /// The file that a register of this class belongs to.
    pub fn file(&self, reg: Reg) -> File {
        match reg {
            Reg::Vector(_) => File::Vector,
            Reg::Int(_) => File::Int,
            Reg::Mask(_) if self.masks.is_empty() => File::Vector,
            Reg::Mask(_) => File::Mask,
        }
    }

    /// The same with so many vector registers, or fewer.
    #[must_use]
    pub fn with_vectors(&self, most: usize) -> Registers {
        Registers { vectors: self.vectors.iter().copied().take(most).collect(), ..self.clone() }
    }

    fn of(&self, file: File) -> &[u32] {
        match file {
            File::Vector => &self.vectors,
            File::Int => &self.ints,
            File::Mask => &self.masks,
        }
    }
}

/// A program whose registers are hardware numbers.
#[derive(Debug, Clone)]
pub struct Allocated {
    /// The program; parameters beyond the register ones are loaded by [`Inst::StackParam`].
    pub program: Program,
    /// What each stack slot holds.
    pub slots: Vec<File>,
}

/// The allocator found no assignment: an instruction needs more registers at once than the target has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfRegisters {
    /// The file that ran out.
    pub file: File,
}

impl fmt::Display for OutOfRegisters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an instruction needs more {:?} registers than the target has", self.file)
    }
}

/// Assigns a hardware register or a stack slot to every virtual register of a verified program.
pub fn allocate(program: &Program, registers: &Registers) -> Result<Allocated, OutOfRegisters> {
    let mut work = Work { program: program.clone(), slots: Vec::new(), temporaries: Vec::new() };
    work.load_stack_params(registers.params.len());
    loop {
        let intervals = intervals(&work.program, &work.temporaries);
        match scan(&work.program, &intervals, registers)? {
            Scan::Assigned(assigned) => {
                rename(&mut work.program, &assigned);
                return Ok(Allocated { program: work.program, slots: work.slots });
            }
            Scan::Spill(regs) => work.spill(&regs, registers),
        }
    }
}

/// A program on its way to being allocated.
struct Work {
    program: Program,
    slots: Vec<File>,
    /// Registers that exist for one instruction and cannot be spilled.
    temporaries: Vec<Reg>,
}

impl Work {
    fn load_stack_params(&mut self, in_registers: usize) {
        let loads: Vec<Stmt> = self
            .program
            .params
            .iter()
            .enumerate()
            .skip(in_registers)
            .map(|(i, &dst)| Stmt::Inst(Inst::StackParam { dst, index: i as u32 }))
            .collect();
        self.program.params.truncate(in_registers);
        self.program.body.splice(0..0, loads);
    }
}

/// A register that is live where the scan is, and the hardware register (below 64) that it has.
struct Active {
    reg: Reg,
    interval: Interval,
    file: File,
    number: u32,
}

enum Scan {
    Assigned(RegMap<u32>),
    Spill(Vec<Reg>),
}

fn scan(
    program: &Program,
    intervals: &RegMap<Interval>,
    registers: &Registers,
) -> Result<Scan, OutOfRegisters> {
    let mut order: Vec<(Reg, Interval)> = intervals.iter().collect();
    order.sort_by_key(|(r, i)| (i.start, *r));
    let mut assigned: RegMap<u32> = RegMap::default();
    let mut active: Vec<Active> = Vec::new();
    let mut spilled = Vec::new();

    for (reg, interval) in order {
        let file = registers.file(reg);
        active.retain(|other| other.interval.end >= interval.start);
        let taken = active.iter().filter(|a| a.file == file).fold(0u64, |bits, a| bits | 1 << a.number);
        // Parameters start where the caller put them; nothing else is live there.
        let fixed = program.params.iter().position(|&p| Reg::Int(p) == reg).map(|i| registers.params[i]);
        let free = fixed.or_else(|| registers.of(file).iter().copied().find(|&n| taken >> n & 1 == 0));
        if let Some(number) = free {
            *assigned.slot(reg) = Some(number);
            active.push(Active { reg, interval, file, number });
            continue;
        }
        let cheapest = active
            .iter_mut()
            .filter(|a| a.file == file)
            .min_by(|a, b| a.interval.cost().total_cmp(&b.interval.cost()));
        match cheapest {
            Some(victim) if victim.interval.cost() < interval.cost() => {
                spilled.push(victim.reg);
                *assigned.slot(reg) = Some(victim.number);
                (victim.reg, victim.interval) = (reg, interval);
            }
            _ if interval.cost().is_finite() => spilled.push(reg),
            _ => return Err(OutOfRegisters { file }),
        }
    }
    Ok(if spilled.is_empty() { Scan::Assigned(assigned) } else { Scan::Spill(spilled) })
}

fn rename(program: &mut Program, assigned: &RegMap<u32>) {
    // A register that is never used has no interval; any number will do.
    let number = |reg: Reg| assigned.get(reg).unwrap_or_default();
    for p in &mut program.params {
        p.0 = number(Reg::Int(*p));
    }
    rename_block(&mut program.body, &number);
}

fn rename_block(stmts: &mut [Stmt], number: &dyn Fn(Reg) -> u32) {
    use super::ir::{IReg, IntSource};
    let int = |r: IReg| IReg(number(Reg::Int(r)));
    let source = |s: IntSource| match s {
        IntSource::Reg(r) => IntSource::Reg(int(r)),
        IntSource::Const(_) => s,
    };
    for stmt in stmts {
        match stmt {
            Stmt::Inst(inst) => *inst = inst.map_registers(&mut |_, reg| reg.with_number(number(reg))),
            Stmt::Loop(l) => {
                l.count = source(l.count);
                l.counter = int(l.counter);
                rename_block(&mut l.body, number);
            }
            Stmt::If(i) => {
                i.a = int(i.a);
                i.b = source(i.b);
                rename_block(&mut i.then, number);
                rename_block(&mut i.otherwise, number);
            }
        }
    }
}
