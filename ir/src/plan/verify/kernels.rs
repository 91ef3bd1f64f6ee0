//! P5, and P3 within one step: kernels and copies fit their buffers.

use super::super::text::buffer_text;
use super::objects::fits;
use super::sizes::Question;
use super::{State, Verifier, in_place};
use crate::kernel::{Access, Kernel, ParamRef};
use crate::plan::{BufferRef, KernelId, byte_size};
use crate::shape::{Dim, SymbolKind};
use crate::types::DType;

impl Verifier<'_> {
    /// A kernel step: what it reads is valid, what it writes may be written.
    pub(super) fn kernel(
        &mut self,
        id: KernelId,
        kernel: &Kernel,
        args: &[BufferRef],
        sizes: &[Dim],
        state: &mut State,
    ) {
        if !self.check_p5_counts(kernel, args, sizes) {
            return;
        }
        self.check_p17_requirements(id, kernel, sizes, state);
        for (symbol, size) in kernel.sizes().iter().zip(sizes) {
            // Others are numbers that may be negative.
            if kernel.shapes().kind(*symbol) == SymbolKind::Size {
                self.check_p5_size_given(kernel, *size, state);
            }
        }
        let mut written: Vec<usize> = Vec::new();
        for (i, (param, arg)) in kernel.params().zip(args).enumerate() {
            let Some((dtype, _)) = param.buffer() else {
                self.kernel_object(param, *arg, state);
                continue;
            };
            if param.access.writes() {
                self.check_p6_writable(*arg, state);
            }
            let exists = match param.access.reads() {
                true => self.read(*arg, state).is_some(),
                false => self.check_p2_exists(*arg, state),
            };
            if !exists {
                continue;
            }
            match self.plan.dtype(*arg) {
                Some(found) if found == dtype => {}
                Some(found) => {
                    let arg = buffer_text(*arg);
                    self.report("P005", format!("P5: {arg} holds {found} but `%{}` is {dtype}", param.name));
                }
                None => {
                    let arg = buffer_text(*arg);
                    self.report("P005", format!("P5: {arg} is no tensor but `%{}` is {dtype}", param.name));
                }
            }
            self.check_p5_size(kernel, i, *arg, sizes, state);
            if param.access.writes() {
                self.check_p3_kernel_operands(kernel, args, i, &written, state);
                written.push(i);
            }
        }
        for i in written {
            self.write(args[i], state);
        }
        // What is made is put in its place when all is read.
        for (param, arg) in kernel.params().zip(args) {
            if let (Some(_), true, BufferRef::Object(id)) = (param.object(), param.access.writes(), *arg) {
                state.fresh.shift_remove(&id);
                state.valid.insert(*arg, None);
            }
        }
    }

    /// P16: an object that a function of the host takes is of its type; one that it makes fits its place.
    fn kernel_object(&mut self, param: ParamRef<'_>, arg: BufferRef, state: &mut State) {
        let (BufferRef::Object(id), Some(wanted)) = (arg, param.object()) else {
            let message = format!("P5: {} is no object but `%{}` is", buffer_text(arg), param.name);
            return self.report("P005", message);
        };
        let what = format!("`%{}`", param.name);
        if param.access.reads() {
            self.object_fits(id, Some(wanted), &what, state);
            state.fresh.shift_remove(&id);
        } else if !self
            .plan
            .objects
            .get(id.0 as usize)
            .is_some_and(|it| it.ty.is_object() && fits(wanted, &it.ty))
        {
            self.report("P016", format!("P16: {what} is none for place {}", buffer_text(arg)));
        }
    }

    /// P5: as many buffers and sizes as the kernel has.
    fn check_p5_counts(&mut self, kernel: &Kernel, args: &[BufferRef], sizes: &[Dim]) -> bool {
        let fits = args.len() == kernel.param_count() && sizes.len() == kernel.sizes().len();
        if !fits {
            let message = format!(
                "P5: `@{}` takes {} buffers and {} sizes but is given {} and {}",
                kernel.name(),
                kernel.param_count(),
                kernel.sizes().len(),
                args.len(),
                sizes.len()
            );
            self.report("P005", message);
        }
        fits
    }

    /// P5: a size that a kernel is given is one.
    fn check_p5_size_given(&mut self, kernel: &Kernel, size: Dim, state: &State) {
        let question = Question::AtMost(self.sizes.shapes.int(0), size);
        let (text, spot) = (self.sizes.shapes.display(size).to_string(), self.spot());
        self.ask("P5", spot, question, &state.established, || {
            format!("`{text}`, a size of `@{}`, is at least 0", kernel.name())
        });
    }

    /// P5: a buffer has as many bytes as the kernel's parameter.
    fn check_p5_size(&mut self, kernel: &Kernel, i: usize, arg: BufferRef, sizes: &[Dim], state: &State) {
        let param = kernel.param(i);
        let Some((dtype, _)) = param.buffer() else { return };
        let dims = kernel.dims_at(i, sizes, &mut self.sizes.shapes);
        // A place whose size is beyond 64 bits has no memory.
        let Some(bytes) = self.bytes_of(arg) else { return };
        let Ok(wanted) = dims.and_then(|dims| byte_size(&mut self.sizes.shapes, dtype, &dims)) else {
            self.report("P005", format!("P5: the size of `%{}` overflows", param.name));
            return;
        };
        let question = match arg {
            // Its dimensions are never negative, those of the parameter may be where a later check refuses the sizes.
            BufferRef::Slot(_) => Question::AtMost(wanted, bytes),
            _ => Question::Equal(wanted, bytes),
        };
        let (text, spot) = (self.sizes.shapes.display(wanted).to_string(), self.spot());
        self.ask("P5", spot, question, &state.established, || {
            format!("{} has the `{text}` bytes of `%{}`", buffer_text(arg), param.name)
        });
    }

    /// P5: an element that is read as a size or a condition is there.
    pub(super) fn check_p5_element(&mut self, buffer: BufferRef, dtype: DType, element: u64, state: &State) {
        let Some(bytes) = self.bytes_of(buffer) else { return };
        let end =
            i64::try_from(element).ok().and_then(|it| it.checked_add(1)?.checked_mul(dtype.size() as i64));
        let Some(end) = end else {
            self.report("P005", format!("P5: {} has no element {element}", buffer_text(buffer)));
            return;
        };
        let (end, spot) = (self.sizes.shapes.int(end), self.spot());
        self.ask("P5", spot, Question::AtMost(end, bytes), &state.established, || {
            format!("{} has an element {element}", buffer_text(buffer))
        });
    }

    /// P5: a copy takes no more bytes than there are, which is not less than none, and all that the target has.
    pub(super) fn check_p5_copy(&mut self, from: BufferRef, to: BufferRef, bytes: Dim, state: &State) {
        let (text, spot) = (self.sizes.shapes.display(bytes).to_string(), self.spot());
        let least = Question::AtMost(self.sizes.shapes.int(0), bytes);
        self.ask("P5", spot, least, &state.established, || {
            format!("`{text}`, the bytes of a copy, is at least 0")
        });
        if let Some(whole) = self.bytes_of(from) {
            self.ask("P5", spot, Question::AtMost(bytes, whole), &state.established, || {
                format!("{} has `{text}` bytes to copy", buffer_text(from))
            });
        }
        // What is copied in part is not written.
        if let Some(whole) = self.bytes_of(to) {
            self.ask("P5", spot, Question::Equal(bytes, whole), &state.established, || {
                format!("{} has `{text}` bytes, which are copied to it", buffer_text(to))
            });
        }
    }

    /// P3: a move is between buffers of one element type that lie at one place and have as many bytes.
    pub(super) fn check_p3_move(&mut self, from: BufferRef, to: BufferRef, state: &State) {
        if !self.plan.same_place(from, to) || self.plan.dtype(from) != self.plan.dtype(to) {
            let (from, to) = (buffer_text(from), buffer_text(to));
            self.report("P003", format!("P3: {from} is moved to {to}, which does not lie at its place"));
            return;
        }
        let Some((a, b)) = self.bytes_of(from).zip(self.bytes_of(to)) else { return };
        self.ask("P3", self.spot(), Question::Equal(a, b), &state.established, || {
            format!("{} has as many bytes as {}, to which it is moved", buffer_text(from), buffer_text(to))
        });
    }

    pub(super) fn bytes_of(&mut self, buffer: BufferRef) -> Option<Dim> {
        let dims = self.plan.dims(buffer, &mut self.sizes.shapes)?;
        byte_size(&mut self.sizes.shapes, self.plan.dtype(buffer)?, &dims).ok()
    }

    /// P3 within one kernel: what it writes overlaps neither what it writes besides nor what it reads and may not share
    /// memory with.
    fn check_p3_kernel_operands(
        &mut self,
        kernel: &Kernel,
        args: &[BufferRef],
        output: usize,
        earlier: &[usize],
        state: &State,
    ) {
        for (i, (param, other)) in kernel.params().zip(args).enumerate() {
            if i == output || param.object().is_some() || (param.access.writes() && !earlier.contains(&i)) {
                continue;
            }
            let shares = param.access == Access::In
                && kernel.param(output).access == Access::Out
                && self.plan.same_place(args[output], *other)
                && kernel
                    .program()
                    .is_some_and(|it| in_place::may_share(it, it.params[i], it.params[output]));
            if !shares {
                self.check_p3_apart(args[output], *other, state, || {
                    let (output, other) = (buffer_text(args[output]), buffer_text(*other));
                    format!("P3: `@{}` writes {output}, which overlaps its operand {other}", kernel.name())
                });
            }
        }
    }
}
