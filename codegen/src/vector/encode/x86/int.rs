//! Integer instructions.

use iced_x86::{Code, Instruction, Register};

use super::{Done, Emitter, EncodeError, SCRATCH, gpr};
use crate::vector::ir::{IReg, IntOp, IntSource};

impl Emitter {
    pub(super) fn move_int(&mut self, dst: Register, src: Register) -> Done {
        if dst == src {
            return Ok(());
        }
        self.push(Instruction::with2(Code::Mov_r64_rm64, dst, src))
    }

    pub(super) fn load_const(&mut self, dst: Register, value: i64) -> Done {
        let narrow = Register::EAX + (dst as u32 - Register::RAX as u32);
        if value == 0 {
            self.push(Instruction::with2(Code::Xor_r32_rm32, narrow, narrow))
        } else if let Ok(value) = u32::try_from(value) {
            self.push(Instruction::with2(Code::Mov_r32_imm32, narrow, value))
        } else if let Ok(value) = i32::try_from(value) {
            self.push(Instruction::with2(Code::Mov_rm64_imm32, dst, value))
        } else {
            self.push(Instruction::with2(Code::Mov_r64_imm64, dst, value))
        }
    }

    /// Sets the flags for a signed comparison.
    pub(super) fn compare_int(&mut self, a: Register, b: IntSource) -> Done {
        match b {
            IntSource::Reg(b) => self.push(Instruction::with2(Code::Cmp_r64_rm64, a, gpr(b.0))),
            IntSource::Const(c) => match c.at(self.lanes()) as i32 {
                0 => self.push(Instruction::with2(Code::Test_rm64_r64, a, a)),
                n => self.with_const(Code::Cmp_rm64_imm8, Code::Cmp_rm64_imm32, a, n),
            },
        }
    }

    fn with_const(&mut self, short: Code, long: Code, dst: Register, value: i32) -> Done {
        let code = if i8::try_from(value).is_ok() { short } else { long };
        self.push(Instruction::with2(code, dst, value))
    }

    pub(super) fn int_op(&mut self, op: IntOp, dst: IReg, a: IReg, b: IntSource) -> Done {
        let (dst, a) = (gpr(dst.0), gpr(a.0));
        match b {
            IntSource::Reg(b) => self.int_op_reg(op, dst, a, gpr(b.0)),
            IntSource::Const(c) => {
                let c = c.at(self.lanes()) as i32; // law V4: it fits
                self.int_op_const(op, dst, a, c)
            }
        }
    }

    fn int_op_reg(&mut self, op: IntOp, dst: Register, a: Register, b: Register) -> Done {
        let code = match op {
            IntOp::Add if dst != a && dst != b => {
                let sum = iced_x86::MemoryOperand::new(a, b, 1, 0, 0, false, Register::None);
                return self.push(Instruction::with2(Code::Lea_r64_m, dst, sum));
            }
            IntOp::Sub if dst == b && dst != a => {
                self.push(Instruction::with1(Code::Neg_rm64, dst))?;
                return self.push(Instruction::with2(Code::Add_r64_rm64, dst, a));
            }
            IntOp::Min | IntOp::Max => {
                self.move_int(SCRATCH, a)?;
                self.push(Instruction::with2(Code::Cmp_r64_rm64, SCRATCH, b))?;
                let code = if op == IntOp::Min { Code::Cmovg_r64_rm64 } else { Code::Cmovl_r64_rm64 };
                self.push(Instruction::with2(code, SCRATCH, b))?;
                return self.move_int(dst, SCRATCH);
            }
            IntOp::Add => Code::Add_r64_rm64,
            IntOp::Sub => Code::Sub_r64_rm64,
            IntOp::Mul => Code::Imul_r64_rm64,
            IntOp::And => Code::And_r64_rm64,
            IntOp::Or => Code::Or_r64_rm64,
            // Law V3: shifts are by constants.
            IntOp::ShiftLeft | IntOp::ShiftRight => {
                return Err(EncodeError::Invalid("V3: shift by a register".into()));
            }
        };
        // What is left either commutes or does not have its second operand in the destination.
        let other = if dst == b { a } else { b };
        if dst != b {
            self.move_int(dst, a)?;
        }
        self.push(Instruction::with2(code, dst, other))
    }

    fn int_op_const(&mut self, op: IntOp, dst: Register, a: Register, c: i32) -> Done {
        let (short, long) = match op {
            IntOp::Add if dst != a => {
                let sum = iced_x86::MemoryOperand::with_base_displ(a, i64::from(c));
                return self.push(Instruction::with2(Code::Lea_r64_m, dst, sum));
            }
            IntOp::Mul if c > 0 && c.count_ones() == 1 => {
                self.move_int(dst, a)?;
                return self.push(Instruction::with2(Code::Shl_rm64_imm8, dst, c.trailing_zeros()));
            }
            IntOp::Mul => return self.push(Instruction::with3(Code::Imul_r64_rm64_imm32, dst, a, c)),
            IntOp::Min | IntOp::Max => {
                self.load_const(SCRATCH, i64::from(c))?;
                self.push(Instruction::with2(Code::Cmp_r64_rm64, SCRATCH, a))?;
                let code = if op == IntOp::Min { Code::Cmovg_r64_rm64 } else { Code::Cmovl_r64_rm64 };
                self.push(Instruction::with2(code, SCRATCH, a))?;
                return self.move_int(dst, SCRATCH);
            }
            IntOp::ShiftLeft | IntOp::ShiftRight => {
                self.move_int(dst, a)?;
                let code = if op == IntOp::ShiftLeft { Code::Shl_rm64_imm8 } else { Code::Sar_rm64_imm8 };
                return self.push(Instruction::with2(code, dst, c));
            }
            IntOp::Add => (Code::Add_rm64_imm8, Code::Add_rm64_imm32),
            IntOp::Sub => (Code::Sub_rm64_imm8, Code::Sub_rm64_imm32),
            IntOp::And => (Code::And_rm64_imm8, Code::And_rm64_imm32),
            IntOp::Or => (Code::Or_rm64_imm8, Code::Or_rm64_imm32),
        };
        self.move_int(dst, a)?;
        self.with_const(short, long, dst, c)
    }
}
