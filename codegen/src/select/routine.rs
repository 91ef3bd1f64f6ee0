//! Vector routines that kernels call.

use cranelift_module::{FuncId, Module};
use indexmap::IndexMap;

use crate::kernels::conv::{Convolution, Depthwise, SlidingWindow};
use crate::kernels::gemm::Gemm;
use crate::vector::encode::{self, DefineError};
use crate::vector::{Isa, Program};

/// A routine; all parameters are 64-bit, there is no result.
#[derive(Clone, Debug)]
pub(crate) enum Routine {
    /// A vector program.
    Program(Box<Program>, Isa),
    /// A matrix multiplication.
    Gemm(Box<Gemm>),
    /// A convolution.
    Convolution(Box<Convolution>),
    /// A depthwise convolution or a pooling.
    Window(Box<SlidingWindow>),
    /// A depthwise convolution of bytes.
    Depthwise(Box<Depthwise>),
}

impl Routine {
    /// Defines the routine, and what it calls, as local functions; their names start with `name`.
    pub(crate) fn emit(&self, module: &mut dyn Module, name: &str) -> Result<FuncId, DefineError> {
        match self {
            Routine::Program(program, isa) => {
                let id = encode::declare(module, name, program.params.len())?;
                encode::define(module, id, program, *isa)?;
                Ok(id)
            }
            Routine::Gemm(it) => it.emit(module, name),
            Routine::Convolution(it) => it.emit(module, name),
            Routine::Window(it) => it.emit(module, name),
            Routine::Depthwise(it) => it.emit(module, name),
        }
    }
}

/// Routines by symbol. A routine is what its key says: equal keys are one routine, different keys have different
/// symbols, whatever their hashes are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Routines {
    by_symbol: IndexMap<String, (String, Routine)>,
}

impl Routines {
    /// The symbol of a routine of some kind; `key` says everything that decides its code. It is made if it is new.
    pub(crate) fn add(&mut self, kind: &str, key: &str, make: impl FnOnce() -> Routine) -> String {
        self.add_as(&format!("orogen.{kind}.{:016x}", hash(key)), key, make)
    }

    /// The same with the symbol that is wanted; where another routine has it, the next free number follows.
    fn add_as(&mut self, wanted: &str, key: &str, make: impl FnOnce() -> Routine) -> String {
        let mut symbol = wanted.to_owned();
        let mut number = 1;
        while let Some((known, _)) = self.by_symbol.get(&symbol) {
            if known == key {
                return symbol;
            }
            number += 1;
            symbol = format!("{wanted}.{number}");
        }
        self.by_symbol.insert(symbol.clone(), (key.to_owned(), make()));
        symbol
    }

    /// Takes in the routines of another kernel. The result says which of them have another symbol here.
    pub(crate) fn merge(&mut self, other: Routines) -> IndexMap<String, String> {
        let mut renamed = IndexMap::new();
        for (symbol, (key, routine)) in other.by_symbol {
            let here = self.add_as(&symbol, &key, || routine);
            if here != symbol {
                renamed.insert(symbol, here);
            }
        }
        renamed
    }

    /// How many there are: a mark to go back to.
    pub(crate) fn mark(&self) -> usize {
        self.by_symbol.len()
    }

    /// Takes out those that came after a mark.
    pub(crate) fn since(&mut self, mark: usize) -> Routines {
        Routines { by_symbol: self.by_symbol.split_off(mark) }
    }

    /// Puts back what was taken out.
    pub(crate) fn put_back(&mut self, taken: Routines) {
        self.by_symbol.extend(taken.by_symbol);
    }

    /// Makes them in another way: `way` becomes part of their keys, and programs do with so many vector registers if they
    /// can.
    pub(crate) fn limit(&mut self, way: &str, registers: Option<u32>) {
        for (key, routine) in self.by_symbol.values_mut() {
            key.push_str(way);
            if let Routine::Program(program, _) = routine {
                program.at_most = registers;
            }
        }
    }

    /// All of them with their symbols.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Routine)> {
        self.by_symbol.iter().map(|(symbol, (_, routine))| (symbol.as_str(), routine))
    }
}

/// FNV-1a of 64 bits: short names that are the same in every build.
fn hash(key: &str) -> u64 {
    key.bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::Builder;

    fn routine(name: &str) -> Routine {
        Routine::Program(Box::new(Builder::new(name).finish()), Isa::Clif128)
    }

    fn names(routines: &Routines) -> Vec<String> {
        let name = |it: &Routine| match it {
            Routine::Program(program, _) => program.name.clone(),
            _ => String::new(),
        };
        routines.iter().map(|(symbol, it)| format!("{symbol} {}", name(it))).collect()
    }

    #[test]
    fn colliding_hashes_are_two_routines() {
        let mut first = Routines::default();
        assert_eq!(first.add_as("s", "a", || routine("a")), "s");
        assert_eq!(first.add_as("s", "b", || routine("b")), "s.2");
        assert_eq!(first.add_as("s", "a", || unreachable!("it is there")), "s");
        let mut second = Routines::default();
        second.add_as("s", "b", || routine("b"));
        second.add_as("s", "c", || routine("c"));
        let renamed = first.merge(second);
        assert_eq!(
            renamed.into_iter().collect::<Vec<_>>(),
            [("s".to_owned(), "s.2".to_owned()), ("s.2".to_owned(), "s.2.2".to_owned())]
        );
        assert_eq!(names(&first), ["s a", "s.2 b", "s.2.2 c"]);
    }

    #[test]
    fn equal_keys_are_one_routine() {
        let mut routines = Routines::default();
        let [one, other] = [0, 1].map(|_| routines.add("rows", "key", || routine("x")));
        assert_eq!(one, other);
        assert_ne!(routines.add("rows", "other", || routine("y")), one);
        assert_eq!(names(&routines).len(), 2);
    }
}
