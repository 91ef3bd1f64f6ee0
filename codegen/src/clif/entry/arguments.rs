//! Checks of the arguments, and the symbols that they bind.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value, types};
use indexmap::IndexMap;
use orogen_abi::{Any, DLDataType, DLTensor, TensorObject, TypeIndex};
use orogen_ir::plan::{InputKind, PlanInput};
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::DType;
use std::mem::{offset_of, size_of};

use super::Entry;
use super::parts::INPUT_WEIGHT;
use crate::clif::size::MAX_EXTENT;
use crate::clif::support::{Form, Support, dlpack};

impl Entry<'_, '_, '_> {
    /// `args` are those of the packed function.
    pub(super) fn arguments(&mut self, args: &[Value]) {
        let plan = self.input.plan;
        self.arguments = self.with_defaults(args);
        // The place where each symbol is bound.
        let mut binds: IndexMap<Sym, (usize, usize)> = IndexMap::new();
        for it in &plan.bindings {
            binds.entry(it.symbol).or_insert((it.input as usize, it.axis as usize));
        }
        let bound = |dim: Dim, at: (usize, usize)| {
            plan.shapes.as_sym(dim).filter(|symbol| binds.get(symbol) == Some(&at))
        };
        self.in_parts(plan.inputs.len(), INPUT_WEIGHT, &|entry, i| entry.argument(i, &bound));
        // Relations between inputs, when all sizes are known.
        let related = |i: usize| {
            let dims = plan.inputs[i].dims().iter().enumerate();
            let open = dims.filter(|(axis, dim)| {
                plan.shapes.as_int(**dim).is_none() && bound(**dim, (i, *axis)).is_none()
            });
            open.map(|(axis, _)| axis).collect::<Vec<usize>>()
        };
        let with_relations: Vec<usize> =
            (0..plan.inputs.len()).filter(|it| !related(*it).is_empty()).collect();
        self.in_parts(with_relations.len(), INPUT_WEIGHT, &|entry, at| {
            let i = with_relations[at];
            entry.relations(i, &related(i));
        });
        let renewals = plan.renewals();
        let is_state = |i: usize| renewals.contains_key(&(i as u32));
        let states = (0..plan.inputs.len()).filter(|it| is_state(*it));
        let pairs = states.flat_map(|state| {
            // Of two states it is enough to look at one.
            let others =
                (0..plan.inputs.len()).filter(move |it| *it > state || (*it != state && !is_state(*it)));
            // What is in an object is copied before it is changed, if anybody else holds it.
            others.filter(|it| plan.inputs[*it].tensor().is_some()).map(move |other| (state, other))
        });
        let pairs: Vec<(usize, usize)> = pairs.collect();
        self.in_parts(pairs.len(), 1, &|entry, at| entry.apart(pairs[at].0, pairs[at].1));
    }

    /// One argument: checked, its sizes bound, its data noted, so that nothing of it stays in registers but sizes. `bound`
    /// is the symbol that a dimension binds there.
    fn argument(&mut self, i: usize, bound: &dyn Fn(Dim, (usize, usize)) -> Option<Sym>) {
        let plan = self.input.plan;
        let input = &plan.inputs[i];
        let what = format!("input `{}`", input.name);
        let (dtype, dims) = match &input.kind {
            InputKind::Tensor(it) => (it.dtype, &it.dims),
            InputKind::Object(id) => return self.object_argument(self.arguments, i, *id, &what),
        };
        let tensor = self.tensor(self.arguments, i, input);
        self.tensor_kind(&what, dtype, dims.len(), tensor);
        let extents = self.extents(&what, dims.len(), tensor);
        for (axis, dim) in dims.iter().enumerate() {
            if let Some(symbol) = bound(*dim, (i, axis)) {
                self.bind_on_entry(symbol, extents[axis]);
            } else if plan.shapes.as_int(*dim).is_some() {
                self.dimension(&what, axis, *dim, extents[axis]);
            }
        }
        self.contiguous(&what, tensor, &extents);
        let data = self.elements(tensor);
        self.frame.set_input(self.cx, i, data);
    }

    /// Dimensions of an input that follow from those of others.
    fn relations(&mut self, i: usize, axes: &[usize]) {
        let input = &self.input.plan.inputs[i];
        let what = format!("input `{}`", input.name);
        let (_, tensor) = self.tensor_at(self.arguments, i);
        let flags = MemFlagsData::trusted();
        let shape = self.cx.b.ins().load(types::I64, flags, tensor, offset_of!(DLTensor, shape) as i32);
        for axis in axes {
            let extent = self.cx.b.ins().load(types::I64, flags, shape, *axis as i32 * 8);
            self.dimension(&what, *axis, input.dims()[*axis], extent);
        }
    }

    /// The number of arguments is that of the inputs, or misses some at the end that have a default.
    pub(super) fn count(&mut self, count: Value) {
        let plan = self.input.plan;
        let names: Vec<&str> = plan.inputs.iter().map(|it| it.name.as_str()).collect();
        let message = format!("wrong number of arguments (inputs: {})", names.join(", "));
        let got = self.cx.b.ins().sextend(types::I64, count);
        let bounds = match (plan.required() as i64, plan.inputs.len() as i64) {
            (least, most) if least == most => vec![(IntCC::Equal, "", most)],
            (least, most) => vec![
                (IntCC::SignedGreaterThanOrEqual, "at least", least),
                (IntCC::SignedLessThanOrEqual, "at most", most),
            ],
        };
        for (comparison, relation, expected) in bounds {
            let ok = self.cx.b.ins().icmp_imm_s(comparison, count, expected);
            let expected = self.cx.int(expected);
            self.require_that(ok, "TypeError", &message, relation, [expected, got]);
        }
    }

    /// P12: no other input shares memory with state.
    fn apart(&mut self, state: usize, other: usize) {
        let plan = self.input.plan;
        let [(first, end), (other_first, other_end)] = [state, other].map(|i| {
            let dtype = plan.inputs[i].tensor().map_or(DType::U8, |it| it.dtype);
            let mut bytes = self.cx.int(dtype.size() as i64);
            for dim in plan.inputs[i].dims() {
                let extent = self.size(*dim);
                bytes = self.cx.b.ins().imul(bytes, extent);
            }
            let data = self.frame.input(self.cx, i);
            (data, self.cx.b.ins().iadd(data, bytes))
        });
        let before = self.cx.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, end, other_first);
        let after = self.cx.b.ins().icmp(IntCC::UnsignedLessThanOrEqual, other_end, first);
        let mut ok = self.cx.b.ins().bor(before, after);
        for (first, end) in [(first, end), (other_first, other_end)] {
            let empty = self.cx.b.ins().icmp(IntCC::Equal, first, end);
            ok = self.cx.b.ins().bor(ok, empty);
        }
        let (name, other) = (&plan.inputs[state].name, &plan.inputs[other].name);
        let message =
            format!("input `{name}` is state, which the call writes, and shares memory with input `{other}`");
        self.require(ok, "ValueError", &message, None);
    }

    /// The type index of an argument, and its `DLTensor` if it is a tensor.
    pub(super) fn tensor_at(&mut self, arguments: Value, i: usize) -> (Value, Value) {
        let base = (i * size_of::<Any>()) as i32;
        let flags = MemFlagsData::trusted();
        let index =
            self.cx.b.ins().load(types::I32, flags, arguments, base + offset_of!(Any, type_index) as i32);
        let payload =
            self.cx.b.ins().load(types::I64, flags, arguments, base + offset_of!(Any, payload) as i32);
        let is_object = self.cx.b.ins().icmp_imm_s(IntCC::Equal, index, i64::from(TypeIndex::TENSOR));
        let inside = self.cx.b.ins().iadd_imm_s(payload, offset_of!(TensorObject, dl_tensor) as i64);
        (index, self.cx.b.ins().select(is_object, inside, payload))
    }

    /// The first element of a tensor.
    pub(super) fn elements(&mut self, tensor: Value) -> Value {
        let load = |it: &mut Self, offset: usize| {
            it.cx.b.ins().load(types::I64, MemFlagsData::trusted(), tensor, offset as i32)
        };
        let data = load(self, offset_of!(DLTensor, data));
        let offset = load(self, offset_of!(DLTensor, byte_offset));
        self.cx.b.ins().iadd(data, offset)
    }

    /// The `DLTensor` of an argument.
    fn tensor(&mut self, arguments: Value, i: usize, input: &PlanInput) -> Value {
        let name = &input.name;
        let (index, tensor) = self.tensor_at(arguments, i);
        let is_view = self.cx.b.ins().icmp_imm_s(IntCC::Equal, index, i64::from(TypeIndex::DL_TENSOR));
        let is_object = self.cx.b.ins().icmp_imm_s(IntCC::Equal, index, i64::from(TypeIndex::TENSOR));
        let ok = self.cx.b.ins().bor(is_view, is_object);
        let tag = self.cx.b.ins().uextend(types::I64, index);
        self.require_kind(ok, &format!("input `{name}` (argument {i})"), "a tensor", tag);
        tensor
    }

    /// A tensor has this element type and rank and is in host memory.
    pub(super) fn tensor_kind(&mut self, what: &str, dtype: DType, rank: usize, tensor: Value) {
        let flags = MemFlagsData::trusted();
        let field = |it: &mut Self, ty, offset: usize| it.cx.b.ins().load(ty, flags, tensor, offset as i32);
        let bits = field(self, types::I32, offset_of!(DLTensor, dtype));
        let wanted = dlpack(dtype);
        let mut ok = self.cx.b.ins().icmp_imm_s(IntCC::Equal, bits, i64::from(wanted.to_bits()));
        if dtype == DType::Bool {
            // Hosts older than the boolean code say u8.
            let byte = i64::from(DLDataType::U8.to_bits());
            let byte = self.cx.b.ins().icmp_imm_s(IntCC::Equal, bits, byte);
            ok = self.cx.b.ins().bor(ok, byte);
        }
        let bad = self.unless(ok);
        let good = self.cx.b.current_block();
        self.cx.b.switch_to_block(bad);
        let number = self.cx.b.ins().uextend(types::I64, bits);
        let got = self.cx.support(Support::ElementName, &[number]).expect("one result");
        let zero = self.cx.int(0);
        let message = format!("{what}: element type: expected {dtype}, got");
        self.raise("TypeError", &message, Form::Text, zero, got);
        self.cx.b.switch_to_block(good.expect("`unless` leaves a current block"));

        let device = field(self, types::I32, offset_of!(DLTensor, device));
        let ok = self.cx.b.ins().icmp_imm_s(IntCC::Equal, device, 1);
        let (expected, got) = (self.cx.int(1), self.cx.b.ins().sextend(types::I64, device));
        let message = format!("{what} must be in host memory; device type");
        self.require(ok, "ValueError", &message, Some((expected, got)));

        let found = field(self, types::I32, offset_of!(DLTensor, ndim));
        let wanted = rank as i64;
        let ok = self.cx.b.ins().icmp_imm_s(IntCC::Equal, found, wanted);
        let (expected, got) = (self.cx.int(wanted), self.cx.b.ins().sextend(types::I64, found));
        let message = format!("{what}: number of dimensions");
        self.require(ok, "ValueError", &message, Some((expected, got)));
    }

    /// The extents of a tensor, each in range (law E2).
    pub(super) fn extents(&mut self, what: &str, rank: usize, tensor: Value) -> Vec<Value> {
        let flags = MemFlagsData::trusted();
        let shape = self.cx.b.ins().load(types::I64, flags, tensor, offset_of!(DLTensor, shape) as i32);
        let mut extents = Vec::new();
        for axis in 0..rank {
            let extent = self.cx.b.ins().load(types::I64, flags, shape, axis as i32 * 8);
            let ok = self.cx.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, extent, MAX_EXTENT);
            let most = self.cx.int(MAX_EXTENT);
            let message = format!("{what}: dimension {axis}");
            self.require_that(ok, "ValueError", &message, "at most", [most, extent]);
            extents.push(extent);
        }
        extents
    }

    /// A dimension is what the plan says.
    pub(super) fn dimension(&mut self, what: &str, axis: usize, dim: Dim, got: Value) {
        let plan = self.input.plan;
        let measured = self.measured(dim);
        let expected = measured.value;
        let ok = self.cx.b.ins().icmp(IntCC::Equal, expected, got);
        let ok = self.and_exact(ok, &[measured]);
        let rule = match plan.shapes.as_int(dim) {
            Some(_) => String::new(),
            None => format!(" (`{}`)", plan.shapes.display(dim)),
        };
        let message = format!("{what}: dimension {axis}{rule}");
        self.require(ok, "ValueError", &message, Some((expected, got)));
    }

    /// Strides must be row-major; those of dimensions of one element do not matter, nor do any when there is no
    /// element.
    pub(super) fn contiguous(&mut self, what: &str, tensor: Value, extents: &[Value]) {
        let flags = MemFlagsData::trusted();
        let strides = self.cx.b.ins().load(types::I64, flags, tensor, offset_of!(DLTensor, strides) as i32);
        let (given, done) = (self.cx.b.create_block(), self.cx.b.create_block());
        let ok = self.cx.b.append_block_param(done, types::I8);
        let yes = self.cx.b.ins().iconst(types::I8, 1);
        self.cx.b.ins().brif(strides, given, &[], done, &[BlockArg::Value(yes)]);
        self.cx.b.switch_to_block(given);
        let mut all = yes;
        let mut empty = self.cx.b.ins().iconst(types::I8, 0);
        let mut expected = self.cx.int(1);
        for (axis, extent) in extents.iter().enumerate().rev() {
            let stride = self.cx.b.ins().load(types::I64, flags, strides, axis as i32 * 8);
            let same = self.cx.b.ins().icmp(IntCC::Equal, stride, expected);
            let single = self.cx.b.ins().icmp_imm_s(IntCC::Equal, *extent, 1);
            let fine = self.cx.b.ins().bor(same, single);
            all = self.cx.b.ins().band(all, fine);
            let none = self.cx.b.ins().icmp_imm_s(IntCC::Equal, *extent, 0);
            empty = self.cx.b.ins().bor(empty, none);
            expected = self.cx.b.ins().imul(expected, *extent);
        }
        let all = self.cx.b.ins().bor(all, empty);
        self.cx.b.ins().jump(done, &[BlockArg::Value(all)]);
        self.cx.b.switch_to_block(done);
        let message = format!("{what} is not contiguous (row-major); pass a contiguous copy");
        self.require(ok, "ValueError", &message, None);
    }
}
