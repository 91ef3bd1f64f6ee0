//! Checks of the arguments, and the symbols that they bind.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value, types};
use indexmap::IndexMap;
use orogen_abi::{Any, DLDataType, DLTensor, TensorObject, TypeIndex};
use orogen_ir::plan::PlanInput;
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::DType;
use std::mem::{offset_of, size_of};

use super::Entry;
use crate::clif::size::MAX_EXTENT;
use crate::clif::support::Form;

/// The DLPack form of an element type.
pub(crate) fn dlpack(dtype: DType) -> DLDataType {
    DLDataType::from_name(dtype.name()).expect("every element type has a DLPack name")
}

impl Entry<'_, '_, '_> {
    /// `args` are those of the packed function.
    pub(super) fn arguments(&mut self, args: &[Value]) {
        let plan = self.input.plan;
        self.count(args[2]);
        let arguments = self.with_defaults(args);
        // The place where each symbol is bound.
        let mut binds: IndexMap<Sym, (usize, usize)> = IndexMap::new();
        for it in &plan.bindings {
            binds.entry(it.symbol).or_insert((it.input as usize, it.axis as usize));
        }
        let bound_here = |dim: Dim, at: (usize, usize)| {
            plan.shapes.as_sym(dim).is_some_and(|symbol| binds.get(&symbol) == Some(&at))
        };
        // One input after the other, so that nothing of it is kept in registers but sizes.
        for (i, input) in plan.inputs.iter().enumerate() {
            let tensor = self.tensor(arguments, i, input);
            let extents = self.extents(input, tensor);
            for (axis, dim) in input.dims.iter().enumerate() {
                if let Some(symbol) = plan.shapes.as_sym(*dim).filter(|_| bound_here(*dim, (i, axis))) {
                    self.scope.bind(symbol, extents[axis], 0);
                } else if plan.shapes.as_int(*dim).is_some() {
                    self.dimension(input, axis, *dim, extents[axis]);
                }
            }
            self.contiguous(input, tensor, &extents);
            let load = |it: &mut Self, offset: usize| {
                it.cx.b.ins().load(types::I64, MemFlagsData::trusted(), tensor, offset as i32)
            };
            let data = load(self, offset_of!(DLTensor, data));
            let offset = load(self, offset_of!(DLTensor, byte_offset));
            let data = self.cx.b.ins().iadd(data, offset);
            self.frame.set_input(self.cx, i, data);
        }
        // Relations between inputs, when all sizes are known.
        for (i, input) in plan.inputs.iter().enumerate() {
            let related: Vec<usize> = (0..input.dims.len())
                .filter(|axis| plan.shapes.as_int(input.dims[*axis]).is_none())
                .filter(|axis| !bound_here(input.dims[*axis], (i, *axis)))
                .collect();
            if related.is_empty() {
                continue;
            }
            let (_, tensor) = self.tensor_at(arguments, i);
            let flags = MemFlagsData::trusted();
            let shape = self.cx.b.ins().load(types::I64, flags, tensor, offset_of!(DLTensor, shape) as i32);
            for axis in related {
                let extent = self.cx.b.ins().load(types::I64, flags, shape, axis as i32 * 8);
                self.dimension(input, axis, input.dims[axis], extent);
            }
        }
        let is_state = |i: usize| plan.renewal(i as u32).is_some();
        for state in (0..plan.inputs.len()).filter(|it| is_state(*it)) {
            // Of two states it is enough to look at one.
            let others = (0..plan.inputs.len()).filter(|it| *it > state || (*it != state && !is_state(*it)));
            others.for_each(|other| self.apart(state, other));
        }
    }

    /// The number of arguments is that of the inputs, or misses some at the end that have a default.
    fn count(&mut self, count: Value) {
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
            let mut bytes = self.cx.int(plan.inputs[i].dtype.size() as i64);
            for dim in &plan.inputs[i].dims {
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
    fn tensor_at(&mut self, arguments: Value, i: usize) -> (Value, Value) {
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

    /// The `DLTensor` of an argument, its type, device and rank checked.
    fn tensor(&mut self, arguments: Value, i: usize, input: &PlanInput) -> Value {
        let name = &input.name;
        let flags = MemFlagsData::trusted();
        let (index, tensor) = self.tensor_at(arguments, i);
        let is_view = self.cx.b.ins().icmp_imm_s(IntCC::Equal, index, i64::from(TypeIndex::DL_TENSOR));
        let is_object = self.cx.b.ins().icmp_imm_s(IntCC::Equal, index, i64::from(TypeIndex::TENSOR));
        let ok = self.cx.b.ins().bor(is_view, is_object);
        let expected = self.cx.int(i64::from(TypeIndex::TENSOR));
        let got = self.cx.b.ins().sextend(types::I64, index);
        let message = format!("input `{name}` (argument {i}) is not a tensor; type index");
        self.require(ok, "TypeError", &message, Some((expected, got)));

        let field = |it: &mut Self, ty, offset: usize| it.cx.b.ins().load(ty, flags, tensor, offset as i32);
        let bits = field(self, types::I32, offset_of!(DLTensor, dtype));
        let wanted = dlpack(input.dtype);
        let mut ok = self.cx.b.ins().icmp_imm_s(IntCC::Equal, bits, i64::from(wanted.to_bits()));
        if input.dtype == DType::Bool {
            // Hosts older than the boolean code say u8.
            let byte = i64::from(DLDataType::U8.to_bits());
            let byte = self.cx.b.ins().icmp_imm_s(IntCC::Equal, bits, byte);
            ok = self.cx.b.ins().bor(ok, byte);
        }
        let bad = self.unless(ok);
        let good = self.cx.b.current_block();
        self.cx.b.switch_to_block(bad);
        let got = self.dtype_name(bits);
        let zero = self.cx.int(0);
        let message = format!("input `{name}`: element type: expected {}, got", input.dtype);
        self.raise("TypeError", &message, Form::Text, zero, got);
        self.cx.b.switch_to_block(good.expect("`unless` leaves a current block"));

        let device = field(self, types::I32, offset_of!(DLTensor, device));
        let ok = self.cx.b.ins().icmp_imm_s(IntCC::Equal, device, 1);
        let (expected, got) = (self.cx.int(1), self.cx.b.ins().sextend(types::I64, device));
        let message = format!("input `{name}` must be in host memory; device type");
        self.require(ok, "ValueError", &message, Some((expected, got)));

        let rank = field(self, types::I32, offset_of!(DLTensor, ndim));
        let wanted = input.dims.len() as i64;
        let ok = self.cx.b.ins().icmp_imm_s(IntCC::Equal, rank, wanted);
        let (expected, got) = (self.cx.int(wanted), self.cx.b.ins().sextend(types::I64, rank));
        let message = format!("input `{name}`: number of dimensions");
        self.require(ok, "ValueError", &message, Some((expected, got)));
        tensor
    }

    /// The text for an element type given as its four bytes.
    fn dtype_name(&mut self, bits: Value) -> Value {
        let mut name = self.cx.text("another type");
        for dtype in DType::ALL {
            let text = self.cx.text(dtype.name());
            let same = self.cx.b.ins().icmp_imm_s(IntCC::Equal, bits, i64::from(dlpack(dtype).to_bits()));
            name = self.cx.b.ins().select(same, text, name);
        }
        name
    }

    /// The extents of a tensor, each in range (law E2).
    fn extents(&mut self, input: &PlanInput, tensor: Value) -> Vec<Value> {
        let flags = MemFlagsData::trusted();
        let shape = self.cx.b.ins().load(types::I64, flags, tensor, offset_of!(DLTensor, shape) as i32);
        let mut extents = Vec::new();
        for axis in 0..input.dims.len() {
            let extent = self.cx.b.ins().load(types::I64, flags, shape, axis as i32 * 8);
            let ok = self.cx.b.ins().icmp_imm_u(IntCC::UnsignedLessThanOrEqual, extent, MAX_EXTENT);
            let most = self.cx.int(MAX_EXTENT);
            let message = format!("input `{}`: dimension {axis}", input.name);
            self.require_that(ok, "ValueError", &message, "at most", [most, extent]);
            extents.push(extent);
        }
        extents
    }

    /// A dimension is what the plan says.
    fn dimension(&mut self, input: &PlanInput, axis: usize, dim: Dim, got: Value) {
        let plan = self.input.plan;
        let measured = self.measured(dim);
        let expected = measured.value;
        let ok = self.cx.b.ins().icmp(IntCC::Equal, expected, got);
        let ok = self.and_exact(ok, &[measured]);
        let rule = match plan.shapes.as_int(dim) {
            Some(_) => String::new(),
            None => format!(" (`{}`)", plan.shapes.display(dim)),
        };
        let message = format!("input `{}`: dimension {axis}{rule}", input.name);
        self.require(ok, "ValueError", &message, Some((expected, got)));
    }

    /// Strides must be row-major; those of dimensions of one element do not matter, nor do any when there is no
    /// element.
    fn contiguous(&mut self, input: &PlanInput, tensor: Value, extents: &[Value]) {
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
        let message = format!("input `{}` is not contiguous (row-major); pass a contiguous copy", input.name);
        self.require(ok, "ValueError", &message, None);
    }
}
