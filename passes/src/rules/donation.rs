//! Which operand of a kernel may become which of its results, in place.
//!
//! A buffer that the kernel updates must: what it becomes lies where it was, and who still needs the operand copies it
//! before. An output may lie on an input that one stage reads only at the element it stores.

use orogen_ir::kernel::{Access, Kernel};
use orogen_ir::loops::analysis::for_each_load;
use orogen_ir::loops::{BufferId, BufferRole, Index, Stmt, TensorProgram};
use orogen_ir::shape::Dim;
use orogen_ir::types::Effects;

/// A result that may lie where an operand lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Donation {
    /// Which of what the kernel reads.
    pub operand: usize,
    /// Which of what it writes.
    pub result: usize,
}

/// All that a kernel allows; operands are what it reads, results what it writes. An update must.
pub fn donations(kernel: &Kernel) -> Vec<Donation> {
    let (mut operand, mut result) = (0, 0);
    let mut found = Vec::new();
    for param in kernel.params() {
        if param.access == Access::InOut {
            found.push(Donation { operand, result });
        }
        operand += usize::from(param.access.reads());
        result += usize::from(param.access.writes());
    }
    let Some(program) = kernel.program() else { return found };
    for (result, (output, _)) in
        program.outputs().enumerate().filter(|(_, it)| it.1.role == BufferRole::Output)
    {
        let over = program.inputs().enumerate().filter(|(_, it)| may_write_over(program, it.0, output));
        found.extend(over.map(|(operand, _)| Donation { operand, result }));
    }
    found
}

/// Whether an output may be written over an input. Only kernels of one stage: how several share loops, and what of
/// them is in registers meanwhile, is for code generation to choose. One that may abort reads its operands again to say
/// at which index.
fn may_write_over(program: &TensorProgram, input: BufferId, output: BufferId) -> bool {
    if program.effects().contains(Effects::ABORT) {
        return false;
    }
    let (from, to) = (&program.buffers[input], &program.buffers[output]);
    let [Stmt::Stage(stage)] = &program.body[..] else { return false };
    let alike = from.role == BufferRole::Input && from.dtype == to.dtype && from.dims == to.dims;
    if !alike || stage.combine.is_some() || stage.at.iter().any(|it| it.dim().is_none()) {
        return false;
    }
    let mut loaded = false;
    let mut own = true;
    for_each_load(program, stage.value, &mut |buffer, at, _| {
        if buffer == input {
            loaded = true;
            // A dimension of 1 has one element, also where it is read at 0.
            let same = |((read, stored), dim): ((&Index, &Index), &Dim)| {
                let is = |dim: Dim, value: i64| program.shapes.as_int(dim) == Some(value);
                read == stored || (is(*dim, 1) && read.dim().is_some_and(|it| is(it, 0)))
            };
            own &= at.len() == stage.at.len() && at.iter().zip(&stage.at).zip(&from.dims).all(same);
        }
    });
    loaded && own
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_ir::loops::parse_program;

    fn of(text: &str) -> Vec<(usize, usize)> {
        let program = parse_program(text).expect("a kernel");
        donations(&Kernel::Program(program)).iter().map(|it| (it.operand, it.result)).collect()
    }

    #[test]
    fn outputs_lie_on_what_is_read_at_their_own_elements_alone() {
        let kernel = |value: &str| {
            format!(
                "kernel @k {{
  size n
  in %x: f32[n, 4]
  in %y: f32[n, 4]
  in %b: f32[4]
  out %z: f32[n, 4]
  for i < n, j < 4 {{ %z[i, j] = {value} }}
}}
"
            )
        };
        assert_eq!(of(&kernel("%x[i, j] + %y[i, j] * %b[j]")), [(0, 0), (1, 0)]);
        assert_eq!(of(&kernel("%x[i, 3 - j] + %y[i, j]")), [(1, 0)]);
        assert_eq!(of(&kernel("%x[i, j] + %x[i, 0]")), []);
        assert_eq!(of(&kernel("%b[j]")), []);
        assert_eq!(of(&kernel("%x[i, j] + %b[checked {i64(2)}]")), [], "it may abort");
    }

    #[test]
    fn a_dimension_of_one_may_be_read_at_zero() {
        let kernel = |rows: &str, value: &str| {
            format!(
                "kernel @k {{
  size n
  in %x: f32[{rows}, n]
  out %z: f32[{rows}, n]
  for i < {rows}, j < n {{ %z[i, j] = {value} }}
}}
"
            )
        };
        assert_eq!(of(&kernel("1", "%x[0, j] + %x[i, j]")), [(0, 0)]);
        assert_eq!(of(&kernel("2", "%x[0, j] + %x[i, j]")), []);
        assert_eq!(of(&kernel("1", "%x[0, 0] + %x[i, j]")), []);
    }

    #[test]
    fn updates_lie_where_they_were() {
        let text = "kernel @scatter {
  size n
  in %at: i64[n]
  inout %y: f32[9]
  loop k < n { %y[checked {%at[k]}] = f32(1.0) }
}
";
        assert_eq!(of(text), [(1, 0)]);
    }
}
