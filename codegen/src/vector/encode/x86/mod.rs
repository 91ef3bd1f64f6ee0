//! AVX2 and AVX-512 machine code.
//!
//! The code is position independent and needs no relocations: constants follow the instructions and are addressed
//! relative to the instruction pointer. The calling convention is System V: six parameters in `rdi rsi rdx rcx r8 r9`,
//! further ones on the stack, eight bytes each. Functions are leaves: they preserve the callee-saved registers that they
//! use and end with `vzeroupper`.
//!
//! Kept back from the allocator: `rsp`, `rax` and the last vector register (and `k1` on AVX-512) as scratch; a second
//! vector register where AVX2 composes instructions on 64-bit lanes, and for lanes of 8 and 16 bits, where AVX2 also
//! needs `r10` and `r11` for masks. `k0` cannot be a write mask.

mod arithmetic;
mod codes;
mod compose;
mod gather;
mod int;
mod memory;
mod narrow;
mod vector;

use std::fmt;

use iced_x86::{
    BlockEncoder, BlockEncoderOptions, Code, IcedError, Instruction, InstructionBlock, MemoryOperand,
    Register,
};
use indexmap::IndexMap;

use crate::vector::Isa;
use crate::vector::allocate::{Allocated, File, OutOfRegisters, Registers, allocate, check};
use crate::vector::ir::{Addr, If, IntCompare, IntSource, Loop, Program, Slot, Stmt, VReg, Width};

const RDI: u32 = 7;
const RSI: u32 = 6;
const RDX: u32 = 2;
const RCX: u32 = 1;
const RBX: u32 = 3;
const RBP: u32 = 5;
const CALLEE_SAVED: [u32; 6] = [RBX, RBP, 12, 13, 14, 15];

/// Bytes are placed at this made-up address while encoding; it is never the address of an instruction.
const POOL: u64 = 0x2000_0000;

/// Why a program could not be encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EncodeError {
    /// The program breaks a law; see [`crate::vector::verify`].
    Invalid(String),
    /// An instruction needs too many registers at once.
    OutOfRegisters(OutOfRegisters),
    /// The register allocation is wrong; a defect of the compiler.
    Allocation(String),
    /// The assembler refused an instruction; a defect of the compiler.
    Assembler(String),
    /// The instruction set is not one of this encoder's.
    Unsupported(Isa),
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EncodeError::Invalid(why) => write!(f, "invalid vector program: {why}"),
            EncodeError::OutOfRegisters(e) => e.fmt(f),
            EncodeError::Allocation(why) => write!(f, "wrong register allocation: {why}"),
            EncodeError::Assembler(why) => write!(f, "assembler: {why}"),
            EncodeError::Unsupported(isa) => write!(f, "{isa:?} is not an x86 vector extension"),
        }
    }
}

impl std::error::Error for EncodeError {}

impl From<IcedError> for EncodeError {
    fn from(e: IcedError) -> Self {
        EncodeError::Assembler(e.to_string())
    }
}

/// The registers that the allocator may use.
pub fn registers(isa: Isa, width: Width) -> Registers {
    let (vectors, masks) = match (isa, width) {
        (Isa::Avx512 | Isa::Avx512Vnni, Width::W32 | Width::W64) => ((0..31).collect(), (2..8).collect()),
        (Isa::Avx512 | Isa::Avx512Vnni, _) => ((0..30).collect(), (2..8).collect()),
        (_, Width::W32) => ((0..15).collect(), Vec::new()),
        _ => ((0..14).collect(), Vec::new()),
    };
    let mut ints = vec![RDI, RSI, RDX, RCX, 8, 9, 10, 11, RBX, RBP, 12, 13, 14, 15];
    if narrow::needs_buffer(isa, width) {
        ints.retain(|it| ![10, 11].contains(it));
    }
    Registers { vectors, ints, masks, params: vec![RDI, RSI, RDX, RCX, 8, 9] }
}

/// Allocates registers and encodes a program for an instruction set of x86-64.
///
/// In builds with debug assertions the allocation is checked.
pub fn encode(program: &Program, isa: Isa) -> Result<Vec<u8>, EncodeError> {
    if isa == Isa::Clif128 {
        return Err(EncodeError::Unsupported(isa));
    }
    crate::vector::verify::verify(program)
        .map_err(|v| EncodeError::Invalid(v.iter().map(|v| v.to_string()).collect::<Vec<_>>().join("; ")))?;
    let mut registers = registers(isa, program.width);
    let fewer = program.at_most.map(|most| registers.with_vectors(most as usize));
    // What an instruction needs at once may be more than that.
    let allocated = match fewer.and_then(|it| Some((allocate(program, &it).ok()?, it))) {
        Some((allocated, fewer)) => {
            registers = fewer;
            allocated
        }
        None => allocate(program, &registers).map_err(EncodeError::OutOfRegisters)?,
    };
    if cfg!(debug_assertions) {
        check::check(program, &allocated, &registers).map_err(EncodeError::Allocation)?;
    }
    encode_allocated(&allocated, isa)
}

/// Encodes a program whose registers are hardware numbers.
pub fn encode_allocated(allocated: &Allocated, isa: Isa) -> Result<Vec<u8>, EncodeError> {
    let mut e = Emitter::new(allocated, isa);
    e.prologue()?;
    e.block(&allocated.program.body)?;
    e.epilogue()?;
    e.assemble()
}

struct Emitter {
    isa: Isa,
    width: Width,
    out: Vec<Instruction>,
    labels: u64,
    /// Constant bytes and their offset in the pool.
    pool: IndexMap<Vec<u8>, u64>,
    pool_len: u64,
    /// Offset from `rsp` of each slot.
    slots: Vec<(File, i64)>,
    /// Offset from `rsp` of a vector of indices, where elements are gathered one by one.
    indices: i64,
    frame: i64,
    /// Offset from `rsp` of room for a vector, where masked accesses need it.
    buffer: i64,
    saved: Vec<u32>,
}

fn gpr(n: u32) -> Register {
    Register::RAX + n
}

/// The low half of a vector register.
fn xmm(r: VReg) -> Register {
    Register::XMM0 + r.0
}

/// What an instruction was appended with.
type Done = Result<(), EncodeError>;

/// The rounding of `vcvtps2ph`: to the nearest, ties to even, whatever the control register says.
const NEAREST_EVEN: u32 = 0;

/// The scratch integer register.
const SCRATCH: Register = Register::RAX;

impl Emitter {
    fn new(allocated: &Allocated, isa: Isa) -> Emitter {
        let vector_bytes = i64::from(isa.bytes());
        let mut frame = 0;
        let mut slots = Vec::new();
        for &file in &allocated.slots {
            slots.push((file, frame));
            frame += if file == File::Vector { vector_bytes } else { 8 };
        }
        let indices = frame;
        if gather::one_by_one(&allocated.program.body) {
            frame += vector_bytes;
        }
        let buffer = frame;
        if narrow::needs_buffer(isa, allocated.program.width) {
            frame += vector_bytes;
        }
        let saved = CALLEE_SAVED.into_iter().filter(|&r| uses_int(&allocated.program.body, r)).collect();
        Emitter {
            isa,
            width: allocated.program.width,
            out: Vec::new(),
            labels: 0,
            pool: IndexMap::new(),
            pool_len: 0,
            slots,
            indices,
            frame: (frame + 15) & !15,
            buffer,
            saved,
        }
    }

    fn wide(&self) -> bool {
        self.isa.is_avx512()
    }

    fn lanes(&self) -> u32 {
        self.isa.lanes_of(self.width)
    }

    fn push(&mut self, inst: Result<Instruction, IcedError>) -> Result<(), EncodeError> {
        self.out.push(inst?);
        Ok(())
    }

    fn new_label(&mut self) -> u64 {
        self.labels += 1;
        self.labels
    }

    /// Gives the next instruction a label. An empty instruction carries it, so several may meet in one place.
    fn bind(&mut self, label: u64) {
        let mut here = Instruction::with(Code::Zero_bytes);
        here.set_ip(label);
        self.out.push(here);
    }

    fn jump(&mut self, code: Code, label: u64) -> Result<(), EncodeError> {
        self.push(Instruction::with_branch(code, label))
    }

    /// An operand in the constant pool.
    fn constant(&mut self, bytes: Vec<u8>, broadcast: bool) -> MemoryOperand {
        let align = bytes.len() as u64;
        let offset = match self.pool.get(&bytes) {
            Some(&offset) => offset,
            None => {
                let offset = self.pool_len.next_multiple_of(align);
                self.pool_len = offset + bytes.len() as u64;
                self.pool.insert(bytes, offset);
                offset
            }
        };
        let target = (POOL + offset).cast_signed();
        MemoryOperand::new(Register::RIP, Register::None, 1, target, 8, broadcast, Register::None)
    }

    fn memory(&self, addr: Addr) -> MemoryOperand {
        let disp = addr.disp.at(self.lanes());
        let (index, scale) = addr.index.map_or((Register::None, 1), |(r, s)| (gpr(r.0), u32::from(s)));
        // `rbp` and `r13` as base need a displacement; the encoder adds it.
        let size = u32::from(disp != 0);
        MemoryOperand::new(gpr(addr.base.0), index, scale, disp, size, false, Register::None)
    }

    fn stack(&self, offset: i64) -> MemoryOperand {
        MemoryOperand::new(Register::RSP, Register::None, 1, offset, 1, false, Register::None)
    }

    fn slot(&self, slot: Slot) -> MemoryOperand {
        self.stack(self.slots[slot.0 as usize].1)
    }

    fn prologue(&mut self) -> Result<(), EncodeError> {
        for r in self.saved.clone() {
            self.push(Instruction::with1(Code::Push_r64, gpr(r)))?;
        }
        if self.frame > 0 {
            self.push(Instruction::with2(Code::Sub_rm64_imm32, Register::RSP, self.frame as i32))?;
        }
        Ok(())
    }

    fn epilogue(&mut self) -> Result<(), EncodeError> {
        if self.frame > 0 {
            self.push(Instruction::with2(Code::Add_rm64_imm32, Register::RSP, self.frame as i32))?;
        }
        for r in self.saved.clone().into_iter().rev() {
            self.push(Instruction::with1(Code::Pop_r64, gpr(r)))?;
        }
        self.out.push(Instruction::with(Code::VEX_Vzeroupper));
        self.out.push(Instruction::with(Code::Retnq));
        Ok(())
    }

    fn block(&mut self, stmts: &[Stmt]) -> Result<(), EncodeError> {
        for stmt in stmts {
            match stmt {
                Stmt::Inst(inst) => self.inst(inst)?,
                Stmt::Loop(l) => self.repeat(l)?,
                Stmt::If(i) => self.conditional(i)?,
            }
        }
        Ok(())
    }

    fn repeat(&mut self, l: &Loop) -> Result<(), EncodeError> {
        let (top, end) = (self.new_label(), self.new_label());
        let known = match l.count {
            IntSource::Const(c) => Some(c.at(self.lanes())),
            IntSource::Reg(_) => None,
        };
        if known.is_some_and(|n| n <= 0) {
            return Ok(());
        }
        let counter = l.counter_slot.is_none().then_some(gpr(l.counter.0));
        let start = counter.unwrap_or(SCRATCH);
        match l.count {
            IntSource::Reg(r) => self.move_int(start, gpr(r.0))?,
            IntSource::Const(_) => self.load_const(start, known.unwrap_or_default())?,
        }
        if let Some(slot) = l.counter_slot {
            self.push(Instruction::with2(Code::Mov_rm64_r64, self.slot(slot), start))?;
        }
        if known.is_none() {
            self.push(Instruction::with2(Code::Test_rm64_r64, start, start))?;
            self.jump(Code::Jle_rel32_64, end)?;
        }
        self.bind(top);
        self.block(&l.body)?;
        match (counter, l.counter_slot) {
            (None, Some(slot)) => self.push(Instruction::with1(Code::Dec_rm64, self.slot(slot)))?,
            _ => self.push(Instruction::with1(Code::Dec_rm64, start))?,
        }
        self.jump(Code::Jne_rel32_64, top)?;
        self.bind(end);
        Ok(())
    }

    fn conditional(&mut self, i: &If) -> Result<(), EncodeError> {
        let (no, end) = (self.new_label(), self.new_label());
        self.compare_int(gpr(i.a.0), i.b)?;
        let inverse = match i.op {
            IntCompare::Eq => Code::Jne_rel32_64,
            IntCompare::Ne => Code::Je_rel32_64,
            IntCompare::Lt => Code::Jge_rel32_64,
            IntCompare::Le => Code::Jg_rel32_64,
            IntCompare::Gt => Code::Jle_rel32_64,
            IntCompare::Ge => Code::Jl_rel32_64,
        };
        self.jump(inverse, no)?;
        self.block(&i.then)?;
        if !i.otherwise.is_empty() {
            self.jump(Code::Jmp_rel32_64, end)?;
        }
        self.bind(no);
        self.block(&i.otherwise)?;
        self.bind(end);
        Ok(())
    }

    /// Encodes the instructions, appends the pool and lets its users point at it.
    fn assemble(self) -> Result<Vec<u8>, EncodeError> {
        let options = BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS
            | BlockEncoderOptions::RETURN_CONSTANT_OFFSETS;
        let result = BlockEncoder::encode(64, InstructionBlock::new(&self.out, 0), options)?;
        let mut bytes = result.code_buffer;
        let align = if self.pool_len > 0 { 64 } else { 1 };
        let pool_at = bytes.len().next_multiple_of(align);
        for (i, inst) in self.out.iter().enumerate() {
            if !inst.is_ip_rel_memory_operand() || inst.ip_rel_memory_address() < POOL {
                continue;
            }
            let at =
                result.new_instruction_offsets[i] as usize + result.constant_offsets[i].displacement_offset();
            let word =
                bytes.get(at..at + 4).ok_or_else(|| EncodeError::Assembler("no displacement".into()))?;
            let old = i32::from_le_bytes([word[0], word[1], word[2], word[3]]);
            let new = i64::from(old) - POOL.cast_signed() + pool_at as i64;
            bytes[at..at + 4].copy_from_slice(&(new as i32).to_le_bytes());
        }
        if self.pool_len > 0 {
            bytes.resize(pool_at, 0xCC); // never executed
            bytes.resize(pool_at + self.pool_len as usize, 0);
            for (constant, offset) in &self.pool {
                let at = pool_at + *offset as usize;
                bytes[at..at + constant.len()].copy_from_slice(constant);
            }
        }
        Ok(bytes)
    }
}

/// Whether hardware register `n` is written or read anywhere.
fn uses_int(stmts: &[Stmt], n: u32) -> bool {
    use crate::vector::ir::{IReg, Reg};
    let source = |s: IntSource| s == IntSource::Reg(IReg(n));
    stmts.iter().any(|stmt| match stmt {
        Stmt::Inst(inst) => {
            let mut found = false;
            inst.for_each_register(|_, reg| found |= reg == Reg::Int(IReg(n)));
            found
        }
        Stmt::Loop(l) => {
            (l.counter_slot.is_none() && l.counter.0 == n) || source(l.count) || uses_int(&l.body, n)
        }
        Stmt::If(i) => i.a.0 == n || source(i.b) || uses_int(&i.then, n) || uses_int(&i.otherwise, n),
    })
}
