//! One expression as a list of instructions, so that a stage does not walk a tree for each element.

use super::index::{self, IndexFn};
use super::{Bound, linear};
use crate::error::{EvalError, EvalResult};
use crate::memory::Memory;
use crate::scalar;
use la_arena::ArenaMap;
use orogen_ir::loops::{BinaryOp, Buffer, CompareOp, Expr, ExprId, Index, TensorProgram, UnaryOp};
use orogen_ir::scalar::UnaryMeaning;
use orogen_ir::shape::{Env, Sym};
use orogen_ir::types::DType;

/// A value: `float` for float types, `int` for the others; of elements that are only moved the bits, from the low 64 in
/// `int` on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Value {
    pub(crate) float: f64,
    pub(crate) int: i64,
    pub(crate) upper: u64,
}

/// Position of an instruction's result.
type Reg = usize;

/// One dimension of an index.
#[derive(Clone, Debug)]
pub(crate) enum At {
    Fn(IndexFn),
    Reg(Reg),
    /// As `Reg`, an error where it is out of range; of a signed type, negative values count from the end.
    Checked(Reg, bool),
}

#[derive(Clone, Debug)]
enum Instr {
    Const(Value),
    Dim(IndexFn, DType),
    Load {
        buffer: usize,
        at: Vec<At>,
        otherwise: Option<Reg>,
    },
    /// A load whose index is known to be in range: its row-major position.
    LoadAt {
        buffer: usize,
        position: IndexFn,
    },
    Unary(UnaryOp, DType, Reg),
    Binary(BinaryOp, DType, Reg, Reg),
    Compare(CompareOp, DType, Reg, Reg),
    Select(Reg, Reg, Reg),
    Cast {
        to: DType,
        from: DType,
        a: Reg,
    },
}

/// A compiled expression and its indices.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    instrs: Vec<Instr>,
    root: Reg,
}

/// Compiles expressions of one stage.
pub(crate) struct Compiler<'a> {
    program: &'a TensorProgram,
    buffers: &'a [Bound],
    axes: &'a [Sym],
    extents: &'a [i64],
    env: &'a Env,
    done: ArenaMap<ExprId, Reg>,
    instrs: Vec<Instr>,
}

impl<'a> Compiler<'a> {
    /// A compiler for a stage over `axes` of these extents, none of which is empty.
    pub(crate) fn new(
        program: &'a TensorProgram,
        buffers: &'a [Bound],
        axes: &'a [Sym],
        extents: &'a [i64],
        env: &'a Env,
    ) -> Self {
        Compiler { program, buffers, axes, extents, env, done: ArenaMap::default(), instrs: Vec::new() }
    }

    /// Compiles an expression; operands before users, each once.
    pub(crate) fn expr(&mut self, root: ExprId) -> EvalResult<Reg> {
        let mut pending = vec![root];
        while let Some(&id) = pending.last() {
            if self.done.contains_idx(id) {
                pending.pop();
                continue;
            }
            let expr = &self.program.exprs[id];
            let open: Vec<ExprId> =
                expr.operands().into_iter().filter(|it| !self.done.contains_idx(*it)).collect();
            if open.is_empty() {
                let instr = self.instr(expr)?;
                self.instrs.push(instr);
                self.done.insert(id, self.instrs.len() - 1);
                pending.pop();
            } else if pending.len() > self.program.exprs.len() {
                return Err(EvalError::invalid("an expression contains itself"));
            } else {
                pending.push(open[0]);
            }
        }
        Ok(self.done[root])
    }

    /// Compiles an index of `buffer`.
    pub(crate) fn index(&mut self, buffer: &Buffer, at: &[Index]) -> EvalResult<Vec<At>> {
        if at.len() != buffer.dims.len() {
            return Err(EvalError::invalid(format!(
                "`%{}` is indexed by {} expressions",
                buffer.name,
                at.len()
            )));
        }
        at.iter()
            .map(|it| match it {
                Index::Dim(dim) => {
                    index::compile(&self.program.shapes, *dim, self.axes, self.env).map(At::Fn)
                }
                Index::Value(expr) => self.expr(*expr).map(At::Reg),
                Index::Checked(expr) => {
                    let signed = self.program.dtype_of(*expr).is_signed_int();
                    Ok(At::Checked(self.expr(*expr)?, signed))
                }
            })
            .collect()
    }

    fn instr(&mut self, expr: &Expr) -> EvalResult<Instr> {
        let dtype = |it: ExprId| self.program.dtype_of(it);
        let reg = |it: ExprId| self.done[it];
        let same = |a: ExprId, b: ExprId| match dtype(a) == dtype(b) {
            true => Ok(dtype(a)),
            false => Err(EvalError::invalid("operands of different types")),
        };
        Ok(match expr {
            Expr::Dim(dim, dtype) => {
                Instr::Dim(index::compile(&self.program.shapes, *dim, self.axes, self.env)?, *dtype)
            }
            Expr::Float(value, dtype) => Instr::Const(float(scalar::round_float(*value, *dtype))),
            Expr::Int(value, dtype) => Instr::Const(int(scalar::wrap(*value, *dtype))),
            Expr::Load { buffer, at, otherwise } => {
                let otherwise = otherwise.map(reg);
                let at = self.index(&self.program.buffers[*buffer], at)?;
                let buffer = buffer.into_raw().into_u32() as usize;
                let functions: Option<Vec<&IndexFn>> = at
                    .iter()
                    .map(|it| match it {
                        At::Fn(function) => Some(function),
                        At::Reg(_) | At::Checked(..) => None,
                    })
                    .collect();
                match functions.and_then(|it| index::linear(&it, &self.buffers[buffer].dims, self.extents)) {
                    Some(position) => Instr::LoadAt { buffer, position },
                    None => Instr::Load { buffer, at, otherwise },
                }
            }
            Expr::Unary(op, a) if op.admits(dtype(*a)) => Instr::Unary(*op, dtype(*a), reg(*a)),
            Expr::Unary(op, a) => {
                return Err(EvalError::invalid(format!("`{op:?}` has no meaning on {}", dtype(*a))));
            }
            Expr::Binary(op, a, b) => {
                let dtype = same(*a, *b)?;
                if !op.admits(dtype) {
                    return Err(EvalError::invalid(format!("`{op:?}` has no meaning on {dtype}")));
                }
                Instr::Binary(*op, dtype, reg(*a), reg(*b))
            }
            Expr::Compare(op, a, b) => {
                let dtype = same(*a, *b)?;
                if dtype.is_only_moved() && !op.row().operands.admits(dtype) {
                    return Err(EvalError::invalid(format!("`{op:?}` has no meaning on {dtype}")));
                }
                Instr::Compare(*op, dtype, reg(*a), reg(*b))
            }
            Expr::Select(cond, a, b) => {
                same(*a, *b)?;
                Instr::Select(reg(*cond), reg(*a), reg(*b))
            }
            Expr::Cast(to, a) if *to != DType::Bool && (to.is_only_moved() || dtype(*a).is_only_moved()) => {
                return Err(EvalError::invalid(format!("{} is no {to}", dtype(*a))));
            }
            Expr::Cast(to, a) => Instr::Cast { to: *to, from: dtype(*a), a: reg(*a) },
        })
    }

    /// The code whose result is `root`; other compiled expressions are computed too.
    pub(crate) fn finish(self, root: Reg) -> Code {
        Code { instrs: self.instrs, root }
    }
}

impl Code {
    /// Registers for [`run`](Self::run).
    pub(crate) fn registers(&self) -> Vec<Value> {
        vec![Value::default(); self.instrs.len()]
    }

    /// The value where the axes have these values.
    pub(crate) fn run(
        &self,
        axes: &[i64],
        buffers: &[Bound],
        memory: &Memory,
        regs: &mut [Value],
    ) -> EvalResult<Value> {
        for (k, instr) in self.instrs.iter().enumerate() {
            regs[k] = match instr {
                Instr::Const(value) => *value,
                Instr::Dim(index, dtype) => int(scalar::wrap(index.value(axes)?, *dtype)),
                Instr::LoadAt { buffer, position } => {
                    load(&buffers[*buffer], position.value(axes)? as usize, memory)?
                }
                Instr::Load { buffer, at, otherwise } => {
                    let bound = &buffers[*buffer];
                    match (linear(bound, at, axes, regs)?, otherwise) {
                        (Some(element), _) => load(bound, element, memory)?,
                        (None, Some(value)) => regs[*value],
                        (None, None) => {
                            return Err(EvalError::out_of_range(format!(
                                "`%{}` is loaded out of range",
                                bound.name
                            )));
                        }
                    }
                }
                Instr::Unary(op, dtype, a) => match (op.row().meaning, dtype.is_float()) {
                    (UnaryMeaning::Test(test), _) => int(i64::from(test(regs[*a].float))),
                    (meaning, true) => float(meaning.float(regs[*a].float)),
                    (_, false) => int(scalar::unary_int(*op, regs[*a].int, *dtype)),
                },
                Instr::Binary(op, dtype, a, b) => match dtype.is_float() {
                    true => float(op.row().meaning.float(regs[*a].float, regs[*b].float)),
                    false => int(scalar::binary_int(*op, regs[*a].int, regs[*b].int, *dtype)),
                },
                Instr::Compare(op, dtype, a, b) => {
                    let order = match dtype.is_float() {
                        true => regs[*a].float.partial_cmp(&regs[*b].float),
                        false => Some(CompareOp::order(regs[*a].int, regs[*b].int, *dtype)),
                    };
                    int(i64::from(op.holds(order)))
                }
                Instr::Select(cond, a, b) => regs[if regs[*cond].int != 0 { *a } else { *b }],
                Instr::Cast { to, from, a } => cast(regs[*a], *from, *to),
            };
        }
        Ok(regs[self.root])
    }
}

fn load(bound: &Bound, element: usize, memory: &Memory) -> EvalResult<Value> {
    let size = bound.dtype.size();
    let bytes = memory.read(bound.place, element * size, size)?;
    Ok(Value::read(bytes, bound.dtype))
}

impl Value {
    /// The element that bytes hold.
    fn read(bytes: &[u8], dtype: DType) -> Value {
        match dtype {
            _ if dtype.is_float() => float(scalar::read_float(bytes, dtype)),
            _ if dtype.is_integral() => int(scalar::read_int(bytes, dtype)),
            _ => {
                let mut bits = [0; 16];
                bits[..bytes.len()].copy_from_slice(bytes);
                let bits = u128::from_le_bytes(bits);
                Value { float: 0.0, int: (bits as u64).cast_signed(), upper: (bits >> 64) as u64 }
            }
        }
    }

    /// Puts the element into memory, rounded to the type.
    pub(crate) fn write(self, bytes: &mut [u8], dtype: DType) {
        match dtype {
            _ if dtype.is_float() => scalar::write_float(bytes, self.float, dtype),
            _ if dtype.is_integral() => scalar::write_int(bytes, self.int),
            _ => {
                let bits = u128::from(self.upper) << 64 | u128::from(self.int.cast_unsigned());
                bytes.copy_from_slice(&bits.to_le_bytes()[..bytes.len()]);
            }
        }
    }
}

pub(super) fn float(float: f64) -> Value {
    Value { float, ..Value::default() }
}

pub(super) fn int(int: i64) -> Value {
    Value { int, ..Value::default() }
}

fn cast(value: Value, from: DType, to: DType) -> Value {
    if let Some(part) = from.component() {
        // To bool, by law L5: a sign alone is no part that is not 0.
        let magnitude = u128::from(value.upper) << 64 | u128::from(value.int.cast_unsigned());
        return int(i64::from(magnitude & !scalar::signs(part) != 0));
    }
    match (from.is_float(), to.is_float()) {
        (true, true) => float(scalar::round_float(value.float, to)),
        (true, false) => int(scalar::float_to_int(value.float, to)),
        (false, true) => float(scalar::int_to_float(value.int, from, to)),
        (false, false) => int(scalar::wrap(value.int, to)),
    }
}
