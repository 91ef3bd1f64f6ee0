//! An independent check of register allocation, by symbolic execution.
//!
//! The original and the allocated program are walked in step. The abstract state says what each place (a hardware
//! register or a stack slot) holds: a set of values, each the current value of a virtual register or a known constant.
//!
//! - An instruction that occurs in both programs must find, in the place of each of its uses, the value of the virtual
//!   register that the original names. Its destination then holds the value of the original's destination, and no other
//!   place does.
//! - Spills and reloads copy the set of one place to another; stack parameters bring the value of their parameter.
//! - Constant instructions may be repeated or missing in the allocated program: the place they write holds a constant,
//!   and the original knows which registers equal which constant.
//! - At the top of a loop and at the end of a conditional, states meet by intersection, to a fixed point.
//!
//! Nothing here knows intervals or the order of the allocator's decisions.

use indexmap::{IndexMap, IndexSet};

use super::{Allocated, File, Registers};
use crate::vector::ir::{IReg, If, Inst, IntSource, Loop, Program, Reg, Slot, Stmt};
use crate::vector::operands::Role;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Place {
    Register(File, u32),
    Slot(Slot),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Value {
    Of(Reg),
    Vector(u64),
    Int(i64, i64),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct State {
    places: IndexMap<Place, IndexSet<Value>>,
    /// Registers of the original program that equal a constant now.
    known: IndexMap<Reg, Value>,
}

impl State {
    fn holds(&self, place: Place, reg: Reg) -> bool {
        self.places.get(&place).is_some_and(|values| {
            values.contains(&Value::Of(reg)) || self.known.get(&reg).is_some_and(|k| values.contains(k))
        })
    }

    /// The original writes `reg`: whatever held its value holds it no longer.
    fn forget(&mut self, reg: Reg) {
        self.known.shift_remove(&reg);
        for values in self.places.values_mut() {
            values.shift_remove(&Value::Of(reg));
        }
    }

    fn define(&mut self, place: Place, reg: Reg) {
        self.forget(reg);
        self.places.insert(place, IndexSet::from([Value::Of(reg)]));
    }

    /// Writes what constants imply into the places, so that an intersection loses less.
    fn saturate(&mut self) {
        for (place, values) in &mut self.places {
            for (&reg, known) in &self.known {
                let same_class = match place {
                    Place::Register(File::Int, _) => matches!(reg, Reg::Int(_)),
                    Place::Register(..) | Place::Slot(_) => true,
                };
                if same_class && values.contains(known) {
                    values.insert(Value::Of(reg));
                }
            }
        }
    }

    fn meet(mut self, mut other: State) -> State {
        self.saturate();
        other.saturate();
        let mut places = IndexMap::new();
        for (place, mine) in self.places {
            if let Some(theirs) = other.places.get(&place) {
                let both: IndexSet<Value> = mine.intersection(theirs).copied().collect();
                if !both.is_empty() {
                    places.insert(place, both);
                }
            }
        }
        let known = self.known.into_iter().filter(|(r, k)| other.known.get(r) == Some(k)).collect();
        State { places, known }
    }

    fn same(&self, other: &State) -> bool {
        self.places.len() == other.places.len()
            && self.known.len() == other.known.len()
            && self.known.iter().all(|(r, k)| other.known.get(r) == Some(k))
            && self.places.iter().all(|(p, mine)| {
                other.places.get(p).is_some_and(|theirs| {
                    mine.len() == theirs.len() && mine.iter().all(|v| theirs.contains(v))
                })
            })
    }
}

/// Proves that the allocated program computes with the values of the original, or says where it may not.
pub fn check(original: &Program, allocated: &Allocated, registers: &Registers) -> Result<(), String> {
    let checker = Checker { registers, slots: &allocated.slots, params: &original.params };
    let mut state = State::default();
    for (i, &p) in original.params.iter().enumerate().take(registers.params.len()) {
        state.define(Place::Register(File::Int, registers.params[i]), p.into());
    }
    checker.block(&original.body, &allocated.program.body, &mut state)
}

struct Checker<'a> {
    registers: &'a Registers,
    slots: &'a [File],
    params: &'a [IReg],
}

fn constant(inst: &Inst) -> Option<(Reg, Value)> {
    match *inst {
        Inst::Splat { dst, bits } => Some((dst.into(), Value::Vector(bits))),
        Inst::IntConst { dst, value } => Some((dst.into(), Value::Int(value.fixed, value.per_lane))),
        _ => None,
    }
}

impl Checker<'_> {
    fn place(&self, reg: Reg) -> Result<Place, String> {
        let file = self.registers.file(reg);
        let n = reg.number();
        if !self.registers.of(file).contains(&n) {
            return Err(format!("{n} is not an allocatable {file:?} register"));
        }
        Ok(Place::Register(file, n))
    }

    fn slot(&self, slot: Slot, file: File) -> Result<Place, String> {
        if self.slots.get(slot.0 as usize) != Some(&file) {
            return Err(format!("slot {} does not hold a {file:?} register", slot.0));
        }
        Ok(Place::Slot(slot))
    }

    fn expect(
        &self,
        state: &State,
        place: Place,
        reg: Reg,
        at: &dyn std::fmt::Display,
    ) -> Result<(), String> {
        if state.holds(place, reg) { Ok(()) } else { Err(format!("{place:?} does not hold {reg} in `{at}`")) }
    }

    fn source(&self, state: &State, original: IntSource, allocated: IntSource) -> Result<(), String> {
        match (original, allocated) {
            (IntSource::Const(a), IntSource::Const(b)) if a == b => Ok(()),
            (IntSource::Reg(a), IntSource::Reg(b)) => {
                self.expect(state, self.place(b.into())?, a.into(), &original)
            }
            _ => Err(format!("{original} became {allocated}")),
        }
    }

    /// Executes what only the allocated program has: moves and constants.
    fn extra(&self, inst: &Inst, state: &mut State) -> Result<bool, String> {
        if let Some((reg, value)) = constant(inst) {
            state.places.insert(self.place(reg)?, IndexSet::from([value]));
            return Ok(true);
        }
        match *inst {
            Inst::Reload { dst, slot } => {
                let from = self.slot(slot, self.registers.file(dst))?;
                let values = state.places.get(&from).cloned().unwrap_or_default();
                state.places.insert(self.place(dst)?, values);
            }
            Inst::Spill { src, slot } => {
                let values = state.places.get(&self.place(src)?).cloned().unwrap_or_default();
                state.places.insert(self.slot(slot, self.registers.file(src))?, values);
            }
            Inst::StackParam { dst, index } => {
                let param = self.params.get(index as usize).ok_or("no such stack parameter")?;
                state.places.insert(self.place(dst.into())?, IndexSet::from([Value::Of(Reg::Int(*param))]));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn block(&self, original: &[Stmt], allocated: &[Stmt], state: &mut State) -> Result<(), String> {
        let mut rest = allocated.iter();
        for stmt in original {
            if let Stmt::Inst(inst) = stmt
                && let Some((reg, value)) = constant(inst)
            {
                state.forget(reg);
                state.known.insert(reg, value);
                continue;
            }
            let twin =
                self.next(&mut rest, state)?.ok_or_else(|| "the allocated program is shorter".to_owned())?;
            match (stmt, twin) {
                (Stmt::Inst(a), Stmt::Inst(b)) => self.inst(a, b, state)?,
                (Stmt::Loop(a), Stmt::Loop(b)) => self.repeat(a, b, state)?,
                (Stmt::If(a), Stmt::If(b)) => self.conditional(a, b, state)?,
                _ => return Err("the programs have different statements".to_owned()),
            }
        }
        match self.next(&mut rest, state)? {
            None => Ok(()),
            Some(_) => Err("the allocated program is longer".to_owned()),
        }
    }

    /// The next statement that must have a twin in the original.
    fn next<'s>(
        &self,
        rest: &mut std::slice::Iter<'s, Stmt>,
        state: &mut State,
    ) -> Result<Option<&'s Stmt>, String> {
        for stmt in rest {
            match stmt {
                Stmt::Inst(inst) if self.extra(inst, state)? => {}
                _ => return Ok(Some(stmt)),
            }
        }
        Ok(None)
    }

    fn inst(&self, original: &Inst, allocated: &Inst, state: &mut State) -> Result<(), String> {
        // With all registers made equal, only opcode and constants are left to compare.
        let shape = |i: &Inst| i.map_registers(&mut |_, reg| reg.with_number(0));
        if shape(original) != shape(allocated) {
            return Err(format!("`{original}` became `{allocated}`"));
        }
        let mut operands = Vec::new();
        original.for_each_register(|role, reg| operands.push((role, reg)));
        let mut assigned = Vec::new();
        allocated.for_each_register(|_, reg| assigned.push(reg));
        for late in allocated.late_uses().into_iter().flatten() {
            if let Some(written) = allocated.definition()
                && self.place(late)? == self.place(written)?
            {
                return Err(format!("`{allocated}` overwrites what it still reads"));
            }
        }
        for ((role, reg), to) in operands.into_iter().zip(assigned) {
            let place = self.place(to)?;
            match role {
                Role::Use => self.expect(state, place, reg, original)?,
                Role::Def => state.define(place, reg),
            }
        }
        Ok(())
    }

    fn repeat(&self, original: &Loop, allocated: &Loop, state: &mut State) -> Result<(), String> {
        self.source(state, original.count, allocated.count)?;
        let counter = Reg::Int(original.counter);
        let place = match allocated.counter_slot {
            Some(slot) => self.slot(slot, File::Int)?,
            None => self.place(allocated.counter.into())?,
        };
        let enter = |mut s: State| {
            s.define(place, counter);
            s
        };
        let mut top = enter(state.clone());
        loop {
            let mut end = top.clone();
            self.block(&original.body, &allocated.body, &mut end)?;
            self.expect(&end, place, counter, &"end of loop")?;
            let next = top.clone().meet(enter(end));
            if next.same(&top) {
                break;
            }
            top = next;
        }
        top.forget(counter);
        top.places.shift_remove(&place);
        *state = top;
        Ok(())
    }

    fn conditional(&self, original: &If, allocated: &If, state: &mut State) -> Result<(), String> {
        if original.op != allocated.op {
            return Err("a comparison changed".to_owned());
        }
        self.source(state, IntSource::Reg(original.a), IntSource::Reg(allocated.a))?;
        self.source(state, original.b, allocated.b)?;
        let mut otherwise = state.clone();
        self.block(&original.then, &allocated.then, state)?;
        self.block(&original.otherwise, &allocated.otherwise, &mut otherwise)?;
        *state = std::mem::take(state).meet(otherwise);
        Ok(())
    }
}
