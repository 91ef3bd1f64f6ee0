//! Runs a program in the interpreter and as machine code on the same buffers.
#![allow(unsafe_code, reason = "calling generated code")]
#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use orogen_codegen::jit_memory::Jit;
use orogen_codegen::vector::interpret::{Memory, interpret};
use orogen_codegen::vector::{Isa, Program};

/// An argument of a program.
#[derive(Clone)]
pub enum Arg {
    /// A number.
    Int(i64),
    /// The address of a buffer.
    Buffer(Vec<u8>),
}

impl Arg {
    pub fn floats(values: &[f32]) -> Arg {
        Arg::Buffer(values.iter().flat_map(|v| v.to_le_bytes()).collect())
    }
}

pub fn as_floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect()
}

/// The buffers after the program ran in the interpreter.
pub fn run_interpreter(program: &Program, lanes: u32, args: &[Arg]) -> Vec<Vec<u8>> {
    let mut memory = Memory::default();
    let values: Vec<i64> = args
        .iter()
        .map(|a| match a {
            Arg::Int(n) => *n,
            Arg::Buffer(bytes) => memory.add(bytes.clone()),
        })
        .collect();
    if let Err(fault) = interpret(program, lanes, true, &values, &mut memory) {
        panic!("{fault} in\n{program}");
    }
    args.iter()
        .zip(&values)
        .filter(|(a, _)| matches!(a, Arg::Buffer(_)))
        .map(|(_, &p)| memory.bytes(p).to_vec())
        .collect()
}

/// The buffers after the program ran as machine code.
pub fn run_code(program: &Program, isa: Isa, args: &[Arg]) -> Vec<Vec<u8>> {
    let mut jit = Jit::new().unwrap();
    let id = jit.define(program, isa).unwrap_or_else(|e| panic!("{e} in\n{program}"));
    let loaded = jit.finish().unwrap();
    let mut buffers: Vec<Vec<u8>> = args
        .iter()
        .filter_map(|a| match a {
            Arg::Buffer(bytes) => Some(bytes.clone()),
            Arg::Int(_) => None,
        })
        .collect();
    let mut next = buffers.iter_mut();
    let values: Vec<i64> = args
        .iter()
        .map(|a| match a {
            Arg::Int(n) => *n,
            Arg::Buffer(_) => next.next().unwrap().as_mut_ptr() as i64,
        })
        .collect();
    // SAFETY: the interpreter ran the program on buffers of the same sizes without a fault.
    unsafe { loaded.call(id, &values) };
    buffers
}

/// Runs everywhere and demands equal bytes. NaN payloads may differ. Returns the buffers of the widest machine.
pub fn run_everywhere(program: &Program, args: &[Arg]) -> Vec<Vec<u8>> {
    orogen_codegen::vector::verify::verify(program).unwrap_or_else(|v| panic!("{v:?}\n{program}"));
    let mut last = Vec::new();
    for isa in Isa::available() {
        let expected = run_interpreter(program, isa.lanes(), args);
        let found = run_code(program, isa, args);
        for (i, (e, f)) in expected.iter().zip(&found).enumerate() {
            let size = program.width.bytes() as usize;
            for (at, (x, y)) in e.chunks(size).zip(f.chunks(size)).enumerate() {
                assert!(same(x, y), "{isa:?} buffer {i} word {at}: {x:?} {y:?}\n{program}");
            }
        }
        last = found;
    }
    last
}

/// Whether words are equal, or NaN of the same type.
fn same(x: &[u8], y: &[u8]) -> bool {
    let nan = |word: &[u8]| match word.len() {
        8 => f64::from_le_bytes(word.try_into().unwrap()).is_nan(),
        4 => f32::from_le_bytes(word.try_into().unwrap()).is_nan(),
        _ => false,
    };
    x == y || nan(x) && nan(y) || x.len() == 8 && same(&x[..4], &y[..4]) && same(&x[4..], &y[4..])
}

/// A small deterministic generator of random numbers (xorshift).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    /// In −1..1, a multiple of 1/256, so that short sums are exact.
    pub fn float(&mut self) -> f32 {
        (self.below(513) as f32 - 256.0) / 256.0
    }
    pub fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }
}
