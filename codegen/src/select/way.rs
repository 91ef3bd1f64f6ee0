//! How one kernel is computed, where several ways are right.

use orogen_ir::choices::Choices;

use super::kinds::KINDS;
use super::routine::Routines;
use crate::vector::Isa;

/// Instruction sets of vector programs, each with those before it.
const ISAS: [Isa; 4] = [Isa::Clif128, Isa::Avx2, Isa::Avx512, Isa::Avx512Vnni];
/// Numbers of vector registers that make programs spill.
const FEW: [u32; 3] = [10, 8, 6];

/// A way to compute a kernel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    /// Instructions of its routines.
    pub(crate) isa: Isa,
    /// Whether its parts may be divided among threads.
    pub(crate) divide: bool,
    /// A kind of routine that is not tried, by its place in [`KINDS`].
    pub(crate) without: Option<usize>,
    /// Vector registers that its programs should do with.
    pub(crate) registers: Option<u32>,
}

impl Way {
    /// The usual way.
    pub(crate) fn usual(isa: Isa, divide: bool) -> Way {
        Way { isa, divide, without: None, registers: None }
    }

    /// Chooses for the kernel `name`.
    pub(crate) fn choose(name: &str, isa: Isa, divide: bool, choices: &mut Choices) -> Way {
        let mut way = Way::usual(isa, divide);
        if choices.is_usual() {
            return way;
        }
        let own = ISAS.iter().position(|it| *it == isa).unwrap_or(0);
        let lower = choices.pick(own + 1, |it| format!("`{name}` is for {:?}", ISAS[own - it]));
        way.isa = ISAS[own - lower];
        let kind =
            choices.pick(KINDS.len() + 1, |it| format!("`{name}` is computed without {}", KINDS[it - 1].0));
        way.without = kind.checked_sub(1);
        let few = choices.pick(FEW.len() + 1, |it| format!("`{name}` has {} vector registers", FEW[it - 1]));
        way.registers = few.checked_sub(1).map(|it| FEW[it]);
        way.divide &= !choices.differs(|| format!("`{name}` is not divided among threads"));
        way
    }

    /// Tells routines how they are made, so that they are not taken for those of kernels that are made in another way.
    pub(crate) fn mark(&self, usual: Isa, routines: &mut Routines) {
        if self.isa != usual || self.registers.is_some() {
            routines.limit(&format!("{:?}, {:?}", self.isa, self.registers), self.registers);
        }
    }
}
