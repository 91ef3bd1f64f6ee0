//! P5, and P3 within one step: kernels and copies fit their buffers.

use super::super::text::buffer_text;
use super::{State, Verifier, in_place};
use crate::loops::{BufferRole, TensorProgram};
use crate::plan::{BufferRef, byte_size};
use crate::shape::Dim;

impl Verifier<'_> {
    /// A kernel step: what it reads is valid, what it writes may be written.
    pub(super) fn kernel(
        &mut self,
        program: &TensorProgram,
        args: &[BufferRef],
        sizes: &[Dim],
        state: &mut State,
    ) {
        if !self.check_p5_counts(program, args, sizes) {
            return;
        }
        let outputs: Vec<usize> = (0..args.len())
            .filter(|i| program.buffers[program.params[*i]].role == BufferRole::Output)
            .collect();
        for (i, arg) in args.iter().enumerate().filter(|(i, _)| !outputs.contains(i)) {
            let buffer = &program.buffers[program.params[i]];
            let dtype = self.read(*arg, state);
            if dtype.is_some_and(|it| it != buffer.dtype) {
                let (arg, dtype) = (buffer_text(*arg), dtype.unwrap_or(buffer.dtype));
                let message = format!("P5: {arg} holds {dtype} but `%{}` is {}", buffer.name, buffer.dtype);
                self.report("P005", message);
            }
            self.check_p5_size(program, i, *arg, sizes, state);
        }
        for (nth, i) in outputs.iter().enumerate() {
            let (arg, buffer) = (args[*i], &program.buffers[program.params[*i]]);
            self.check_p6_writable(arg);
            if !self.check_p2_exists(arg, state) {
                continue;
            }
            if self.plan.dtype(arg).is_some_and(|it| it != buffer.dtype) {
                self.report("P005", format!("P5: {} does not hold {}", buffer_text(arg), buffer.dtype));
            }
            self.check_p5_size(program, *i, arg, sizes, state);
            self.check_p3_kernel_operands(program, args, *i, &outputs[..nth]);
        }
        for i in outputs {
            self.write(args[i], state);
        }
    }

    /// P5: as many buffers and sizes as the kernel has.
    fn check_p5_counts(&mut self, program: &TensorProgram, args: &[BufferRef], sizes: &[Dim]) -> bool {
        let fits = args.len() == program.params.len() && sizes.len() == program.sizes.len();
        if !fits {
            let message = format!(
                "P5: `@{}` takes {} buffers and {} sizes but is given {} and {}",
                program.name,
                program.params.len(),
                program.sizes.len(),
                args.len(),
                sizes.len()
            );
            self.report("P005", message);
        }
        fits
    }

    /// P5: a buffer has as many bytes as the kernel's parameter.
    fn check_p5_size(
        &mut self,
        program: &TensorProgram,
        param: usize,
        arg: BufferRef,
        sizes: &[Dim],
        state: &State,
    ) {
        let buffer = &program.buffers[program.params[param]];
        let mut wanted = self.shapes.int(buffer.dtype.size() as i64);
        for dim in &buffer.dims {
            let inside = self.shapes.import_with(&program.shapes, *dim, &mut |shapes, sym| {
                let at = program.sizes.iter().position(|it| *it == sym);
                at.map_or_else(|| shapes.fresh_integer("unbound"), |at| sizes[at])
            });
            match inside.and_then(|it| self.shapes.mul(wanted, it)) {
                Ok(product) => wanted = product,
                // A size beyond 64 bits has no memory anyway.
                Err(_) => return,
            }
        }
        let Some(bytes) = self.bytes_of(arg) else { return };
        let fits = match arg {
            // Its dimensions are never negative, those of the parameter may be where a later check refuses the sizes.
            BufferRef::Slot(_) => self.samples.le(&self.shapes, &state.established, wanted, bytes),
            _ => self.samples.eq(&self.shapes, &state.established, wanted, bytes),
        };
        if !fits {
            let text = self.shapes.display(wanted).to_string();
            self.report(
                "P005",
                format!("P5: {} does not have the {text} bytes of `%{}`", buffer_text(arg), buffer.name),
            );
        }
    }

    /// P5: a copy takes no more bytes than the buffer has.
    pub(super) fn check_p5_copy(&mut self, buffer: BufferRef, bytes: Dim, state: &State) {
        let whole = self.bytes_of(buffer);
        if whole.is_some_and(|it| !self.samples.le(&self.shapes, &state.established, bytes, it)) {
            let text = self.shapes.display(bytes).to_string();
            self.report("P005", format!("P5: {} does not have {text} bytes to copy", buffer_text(buffer)));
        }
    }

    fn bytes_of(&mut self, buffer: BufferRef) -> Option<Dim> {
        let dims = self.plan.dims(buffer, &mut self.shapes)?;
        byte_size(&mut self.shapes, self.plan.dtype(buffer)?, &dims).ok()
    }

    /// P3 within one kernel: its outputs overlap neither each other nor inputs that they may not share.
    fn check_p3_kernel_operands(
        &mut self,
        program: &TensorProgram,
        args: &[BufferRef],
        output: usize,
        earlier: &[usize],
    ) {
        for (i, other) in args.iter().enumerate() {
            let is_output = program.buffers[program.params[i]].role == BufferRole::Output;
            if i == output || (is_output && !earlier.contains(&i)) || !self.overlap(args[output], *other) {
                continue;
            }
            let shares = !is_output
                && self.same_start(args[output], *other)
                && in_place::may_share(program, program.params[i], program.params[output]);
            if !shares {
                let (output, other) = (buffer_text(args[output]), buffer_text(*other));
                self.report(
                    "P003",
                    format!("P3: `@{}` writes {output}, which overlaps its operand {other}", program.name),
                );
            }
        }
    }
}
