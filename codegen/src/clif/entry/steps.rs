//! The steps of a plan.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use orogen_abi::{DLTensor, TensorObject};
use orogen_ir::kernel::Kernel as Called;
use orogen_ir::plan::{ArenaId, BufferRef, CallPlan, Condition, ShapeCheck, Step};
use orogen_ir::shape::{Constraint, Dim, MAX_INTEGER, Sym, SymbolKind};
use orogen_ir::types::{DType, Source};
use std::mem::offset_of;

use super::{Entry, Form, MAX_BYTES, expectation};
use crate::clif::size::{Checked, MAX_EXTENT, Range};
use crate::clif::support::{Support, dlpack};
use crate::clif::unit::Symbol;

/// What became of a fact.
struct Tested {
    /// Whether it holds.
    ok: Value,
    /// What is expected, and what there is instead.
    expected: Value,
    got: Value,
    /// The numbers that it is about.
    measured: Vec<Checked>,
}

impl Entry<'_, '_, '_> {
    pub(super) fn step(&mut self, step: &Step) {
        self.place = match step {
            // Its sentence says it.
            Step::Check(_) => String::new(),
            step => step.source().map_or_else(String::new, Source::blame),
        };
        self.step_from_place(step);
        self.place.clear();
    }

    fn step_from_place(&mut self, step: &Step) {
        match step {
            Step::AllocArena(id) => {
                let bytes = self.input.plan.arenas[id.0 as usize].bytes;
                self.place = self.arena_place(*id);
                let bytes = self.checked_bytes(bytes);
                let memory = self.frame.arena(*id);
                let pointer = self.frame.reserve(self.cx, self.host, memory, bytes);
                self.require_made(pointer);
            }
            Step::AllocOutput(i) => self.alloc_output(*i as usize),
            Step::Kernel { kernel, args, sizes, .. } => {
                let plan = self.input.plan;
                match &plan.kernels[kernel.0 as usize] {
                    Called::Extern(external) => self.call_extern(external, args, sizes),
                    called => self.kernel(*kernel, called, args, sizes),
                }
            }
            Step::Invoke { function, args, results, bindings, .. } => {
                self.invoke(*function, args, results, bindings);
            }
            Step::Object { op, .. } => self.object(op),
            Step::Move { .. } => {}
            Step::Copy { from, to, bytes } => {
                let (from, to) = (self.plain_buffer(*from), self.plain_buffer(*to));
                let bytes = self.size(*bytes);
                let symbol = Symbol::Import("memmove".to_owned());
                self.cx.call(symbol, &[types::I64; 3], &[types::I64], &[to, from, bytes]);
            }
            Step::Bind { symbol, from, dtype, element, .. } => {
                let pointer = self.plain_buffer(*from);
                let offset = element.saturating_mul(dtype.size() as u64);
                let pointer = self.cx.b.ins().iadd_imm_s(pointer, offset.cast_signed());
                let value = self.cx.load_element(*dtype, pointer, 0);
                let value = self.cx.index_of_element(*dtype, value);
                let what = match from {
                    BufferRef::Input(i) => {
                        format!("element {element} of input `{}`", self.input.plan.inputs[*i as usize].name)
                    }
                    _ => format!("the size `{}` computed from data", self.input.plan.shapes.name(*symbol)),
                };
                self.bind(*symbol, value, &what);
            }
            Step::Let { symbol, value, .. } => {
                let checked = self.measured(*value);
                self.exact(checked);
                let shapes = &self.input.plan.shapes;
                self.in_range(checked, shapes.kind(*symbol), shapes.name(*symbol));
                self.assign(*symbol, checked.value);
            }
            Step::Check(check) => self.check(check),
            Step::If { cond, then_steps, else_steps } => {
                let condition = match cond {
                    Condition::Buffer(buffer) => self.condition(*buffer),
                    Condition::Sizes(facts) => self.all_hold(facts),
                };
                let [yes, no, done] = std::array::from_fn(|_| self.cx.b.create_block());
                self.cx.b.ins().brif(condition, yes, &[], no, &[]);
                let before = self.exact.mark();
                self.cx.b.switch_to_block(yes);
                self.steps(then_steps);
                self.cx.b.ins().jump(done, &[]);
                let shapes = &self.input.plan.shapes;
                let first = self.exact.back_to(before, shapes);
                self.cx.b.switch_to_block(no);
                self.steps(else_steps);
                self.cx.b.ins().jump(done, &[]);
                let second = self.exact.back_to(before, shapes);
                // What became exact on both ways.
                second.iter().filter(|it| first.contains(*it)).for_each(|it| self.exact.insert(*it));
                self.cx.b.switch_to_block(done);
            }
            Step::While { cond_steps, cond, body } => {
                let [head, inside, done] = std::array::from_fn(|_| self.cx.b.create_block());
                // Turns may change symbols.
                self.exact.clear();
                self.cx.b.ins().jump(head, &[]);
                self.cx.b.switch_to_block(head);
                self.steps(cond_steps);
                let condition = self.condition(*cond);
                self.cx.b.ins().brif(condition, inside, &[], done, &[]);
                self.cx.b.switch_to_block(inside);
                self.steps(body);
                self.cx.b.ins().jump(head, &[]);
                self.exact.clear();
                self.cx.b.switch_to_block(done);
            }
        }
    }

    fn condition(&mut self, cond: BufferRef) -> Value {
        let pointer = self.plain_buffer(cond);
        self.cx.b.ins().load(types::I8, MemFlagsData::trusted(), pointer, 0)
    }

    /// Whether all facts hold of the sizes here.
    fn all_hold(&mut self, facts: &[Constraint]) -> Value {
        let mut all = self.cx.b.ins().iconst(types::I8, 1);
        for fact in facts {
            let held = self.holds(*fact);
            all = self.cx.b.ins().band(all, held.ok);
        }
        all
    }

    /// A symbol whose value comes from data, which `what` names.
    pub(super) fn bind(&mut self, symbol: Sym, value: Value, what: &str) {
        let shapes = &self.input.plan.shapes;
        let value = match shapes.kind(symbol) {
            SymbolKind::Integer => {
                let (lo, hi) = (self.cx.int(-MAX_INTEGER), self.cx.int(MAX_INTEGER));
                let value = self.cx.b.ins().smax(value, lo);
                self.cx.b.ins().smin(value, hi)
            }
            SymbolKind::Size | SymbolKind::Index { .. } => {
                let (least, most) = (self.cx.int(0), self.cx.int(MAX_EXTENT));
                let ok = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, value, 0);
                self.require_that(ok, "ValueError", what, "at least", [least, value]);
                let ok = self.cx.b.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, value, MAX_EXTENT);
                self.require_that(ok, "ValueError", what, "at most", [most, value]);
                value
            }
        };
        self.assign(symbol, value);
    }

    /// A symbol that is bound once, before the first step.
    pub(super) fn bind_on_entry(&mut self, symbol: Sym, value: Value) {
        match self.scope.words() {
            Some(_) => self.scope.assign(self.cx, symbol, value),
            None => self.scope.bind(symbol, value, 0),
        }
    }

    fn assign(&mut self, symbol: Sym, value: Value) {
        self.exact.assigned(symbol);
        self.scope.assign(self.cx, symbol, value);
    }

    /// Ends the call unless a value that a symbol gets is one of its kind (law E2).
    pub(super) fn in_range(&mut self, checked: Checked, kind: SymbolKind, name: &str) {
        if checked.range.is_in(Range::of(kind)) {
            return;
        }
        let (least, most) = match kind {
            SymbolKind::Integer => (-MAX_INTEGER, MAX_INTEGER),
            SymbolKind::Size | SymbolKind::Index { .. } => (0, MAX_EXTENT),
        };
        let low = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, checked.value, least);
        let high = self.cx.b.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, checked.value, most);
        let message = format!("the size `{name}`");
        for (ok, relation, limit) in [(low, "at least", least), (high, "at most", most)] {
            let limit = self.cx.int(limit);
            self.require_that(ok, "ValueError", &message, relation, [limit, checked.value]);
        }
    }

    /// Whether a fact holds, what is expected, and what there is instead.
    fn holds(&mut self, fact: Constraint) -> Tested {
        let (ok, expected, got, measured) = match fact {
            Constraint::AtLeast(dim, least) => {
                let measured = self.measured(dim);
                let ok = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, measured.value, least);
                (ok, self.cx.int(least), measured.value, vec![measured])
            }
            Constraint::AtMost(dim, most) => {
                let measured = self.measured(dim);
                let ok = self.cx.b.ins().icmp_imm_s(IntCC::SignedLessThanOrEqual, measured.value, most);
                (ok, self.cx.int(most), measured.value, vec![measured])
            }
            Constraint::Eq(a, b) => {
                let (a, b) = (self.measured(a), self.measured(b));
                let ok = self.cx.b.ins().icmp(IntCC::Equal, a.value, b.value);
                (ok, b.value, a.value, vec![a, b])
            }
            Constraint::Multiple(dim, of) => {
                let measured = self.measured(dim);
                let of = self.cx.int(of);
                let rest = self.cx.binary(orogen_ir::loops::BinaryOp::Mod, DType::I64, measured.value, of);
                let ok = self.cx.b.ins().icmp_imm_s(IntCC::Equal, rest, 0);
                (ok, of, measured.value, vec![measured])
            }
            Constraint::Differs(dim, number) => {
                let measured = self.measured(dim);
                let ok = self.cx.b.ins().icmp_imm_s(IntCC::NotEqual, measured.value, number);
                (ok, self.cx.int(number), measured.value, vec![measured])
            }
            Constraint::Broadcast(a, b) => {
                let (a, b) = (self.measured(a), self.measured(b));
                let mut ok = self.cx.b.ins().icmp(IntCC::Equal, a.value, b.value);
                for extent in [a.value, b.value] {
                    let one = self.cx.b.ins().icmp_imm_s(IntCC::Equal, extent, 1);
                    ok = self.cx.b.ins().bor(ok, one);
                }
                (ok, a.value, b.value, vec![a, b])
            }
        };
        Tested { ok: self.and_exact(ok, &measured), expected, got, measured }
    }

    pub(super) fn check(&mut self, check: &ShapeCheck) {
        let Tested { ok, expected, got, measured } = self.holds(check.constraint);
        let relation = match check.constraint {
            Constraint::AtLeast(..) => "at least",
            Constraint::AtMost(..) => "at most",
            Constraint::Eq(..) => "",
            Constraint::Multiple(..) => "a multiple of",
            Constraint::Differs(..) => "other than",
            Constraint::Broadcast(..) => "1 or",
        };
        let sentence = check.sentence();
        if measured.iter().all(|it| it.overflow.is_none()) {
            return self.require_that(ok, "ValueError", &sentence, relation, [expected, got]);
        }
        let bad = self.unless(ok);
        let good = self.cx.b.current_block();
        self.cx.b.switch_to_block(bad);
        // What did not fit is no number to show.
        let one = self.cx.b.ins().iconst(types::I8, 1);
        let exact = self.and_exact(one, &measured);
        let message = format!("{sentence}: what is compared does not fit in 64 bits");
        self.require(exact, "ValueError", &message, None);
        self.raise("ValueError", &expectation(&sentence, relation), Form::Numbers, expected, got);
        self.cx.b.switch_to_block(good.expect("`unless` leaves a current block"));
    }

    /// What an error of the memory of an arena says: of its first user.
    fn arena_place(&self, arena: ArenaId) -> String {
        let plan = self.input.plan;
        match first_user(plan, &plan.steps, arena).map(Source::blame) {
            Some(node) if !node.is_empty() => format!("the intermediate results from {node} on"),
            _ => "its intermediate results".to_owned(),
        }
    }

    /// A number of bytes, in range (law E3).
    fn checked_bytes(&mut self, bytes: Dim) -> Value {
        let checked = self.measured(bytes);
        self.check_bytes(checked);
        checked.value
    }

    pub(super) fn check_bytes(&mut self, bytes: Checked) {
        if bytes.overflow.is_none() && bytes.range.is_in(Range::of_bytes(MAX_BYTES)) {
            return;
        }
        let ok = self.cx.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, bytes.value, MAX_BYTES);
        let ok = self.and_exact(ok, &[bytes]);
        self.require(ok, "ValueError", "these dimensions need more memory than can be addressed", None);
    }

    fn alloc_output(&mut self, output: usize) {
        let plan = self.input.plan;
        let name = &plan.outputs[output].name;
        self.place = format!("output `{name}`");
        let it = plan.outputs[output].tensor().expect("only tensors are made so (law P2)");
        let old = self.frame.output_object(self.cx, output);
        self.cx.support(Support::Release, &[old]);
        let zero = self.cx.int(0);
        if let Some(input) = it.over {
            let data = self.frame.input(self.cx, input as usize);
            self.frame.set_output(self.cx, output, zero, data);
            return;
        }
        self.frame.set_output(self.cx, output, zero, zero);
        let extents = self.new_extents(&it.dims, "");
        let rank = match it.rank {
            Some(rank) => self.rank(rank, &extents),
            None => self.cx.b.ins().iconst(types::I32, it.dims.len() as i64),
        };
        let (object, data) = self.new_tensor(it.dtype, rank, &extents);
        self.frame.set_output(self.cx, output, object, data);
    }

    /// The extents of a tensor that is to be made, where the tensor is told of them; `what` says of which, in an error.
    pub(super) fn new_extents(&mut self, dims: &[Dim], what: &str) -> Vec<Checked> {
        let mut extents = Vec::new();
        for (axis, dim) in dims.iter().enumerate() {
            let extent = self.measured(*dim);
            self.exact(extent);
            self.cx.b.ins().stack_store(types::I64, extent.value, self.call_sizes, axis as i32 * 8);
            if !extent.range.is_in(Range::of(SymbolKind::Size)) {
                let ok = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, extent.value, 0);
                let least = self.cx.int(0);
                let message = format!("dimension {axis}{what}");
                self.require_that(ok, "ValueError", &message, "at least", [least, extent.value]);
            }
            extents.push(extent);
        }
        extents
    }

    /// A new tensor object and its elements; the first `rank` extents are its own.
    pub(super) fn new_tensor(&mut self, dtype: DType, rank: Value, extents: &[Checked]) -> (Value, Value) {
        let bytes = Checked::product(self.cx, dtype.size() as i64, extents);
        self.check_bytes(bytes);
        let dtype = self.cx.b.ins().iconst(types::I32, i64::from(dlpack(dtype).to_bits()));
        let shape = self.cx.b.ins().stack_addr(types::I64, self.call_sizes, 0);
        let object = self.cx.support(Support::NewTensor, &[dtype, rank, shape, bytes.value]);
        let object = object.expect("one result");
        self.require_made(object);
        let offset = offset_of!(TensorObject, dl_tensor) + offset_of!(DLTensor, data);
        let data = self.cx.b.ins().load(types::I64, MemFlagsData::trusted(), object, offset as i32);
        (object, data)
    }

    /// The rank of an output that has the first of these dimensions alone; the others are 1.
    fn rank(&mut self, rank: Dim, extents: &[Checked]) -> Value {
        let rank = self.measured(rank);
        self.exact(rank);
        let most = self.cx.int(extents.len() as i64);
        let ok = self.cx.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, rank.value, most);
        self.require_that(ok, "ValueError", "its rank", "at most", [most, rank.value]);
        let one = self.cx.int(1);
        for (axis, extent) in extents.iter().enumerate() {
            let inside = self.cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, rank.value, axis as i64);
            let is_one = self.cx.b.ins().icmp(IntCC::Equal, extent.value, one);
            let ok = self.cx.b.ins().bor(inside, is_one);
            let message = format!("dimension {axis}, which its rank leaves out");
            self.require_that(ok, "ValueError", &message, "", [one, extent.value]);
        }
        self.cx.b.ins().ireduce(types::I32, rank.value)
    }
}

/// Where the first kernel comes from that uses memory of an arena, if it says so.
fn first_user<'a>(plan: &CallPlan, steps: &'a [Step], arena: ArenaId) -> Option<&'a Source> {
    let is_there = |it: &BufferRef| match it {
        BufferRef::Slot(id) => plan.slots[id.0 as usize].arena == arena,
        _ => false,
    };
    steps.iter().find_map(|step| match step {
        Step::Kernel { args, source, .. } => args.iter().any(is_there).then_some(source),
        Step::If { then_steps, else_steps, .. } => {
            first_user(plan, then_steps, arena).or_else(|| first_user(plan, else_steps, arena))
        }
        Step::While { cond_steps, body, .. } => {
            first_user(plan, cond_steps, arena).or_else(|| first_user(plan, body, arena))
        }
        _ => None,
    })
}
