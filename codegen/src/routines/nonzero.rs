//! The indices of elements that are not zero, in one pass: column `j` of the result is the index of the `j`-th of them.
//! Beyond the last one columns are 0; what finds no room is left out.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Value, types};
use orogen_ir::kernel::{Access, Routine};
use orogen_ir::shape::Dim;
use orogen_ir::types::DType;

use super::{one_phase, symbols, table_word};
use crate::clif::kernel::{Kernel, KernelPhase, PARAMS};
use crate::clif::size::Sizes;
use crate::clif::unit::{FunctionCx, Target, Visibility, build as function};
use crate::select::routine::Routines;
use crate::vector::Isa;

pub(super) fn fits(routine: &Routine) -> bool {
    let [x, y] = &routine.signature.params[..] else { return false };
    let shapes = &routine.signature.shapes;
    let (Some((_, from)), Some((dtype, to))) = (x.buffer(), y.buffer()) else { return false };
    let rows = to.first().and_then(|it| shapes.as_int(*it));
    (x.access, y.access, dtype, to.len()) == (Access::In, Access::Out, DType::I64, 2)
        && rows == i64::try_from(from.len()).ok()
        && routine.attrs.is_empty()
}

pub(super) fn build(target: Target, _: Isa, name: &str, routine: &Routine, _: &[bool]) -> Kernel {
    let unit = function(target, name, Visibility::Local, &PARAMS, &[], |cx, args| code(cx, args, routine));
    let mut shapes = routine.signature.shapes.clone();
    let (zero, one) = (shapes.int(0), shapes.int(1));
    let (_, dims) = buffer(routine, 0);
    let work = shapes.product(dims).unwrap_or(one);
    let phase = KernelPhase { unit, scratch: zero, extent: one, divided: false, work };
    one_phase(routine, shapes, phase, Routines::default(), "routine nonzero: one pass".to_owned())
}

fn buffer(routine: &Routine, i: usize) -> (DType, &[Dim]) {
    routine.signature.params[i].buffer().expect("`fits` looked")
}

fn code(cx: &mut FunctionCx<'_>, args: &[Value], routine: &Routine) {
    let (buffers, sizes) = (args[0], args[1]);
    let signature = &routine.signature;
    let scope = symbols(cx, routine, sizes);
    let inside = Sizes { shapes: &signature.shapes, scope: &scope };
    let (x, y) = (table_word(cx, buffers, 0), table_word(cx, buffers, 1));
    let ((dtype, dims), (_, found_dims)) = (buffer(routine, 0), buffer(routine, 1));
    let extents: Vec<Value> = dims.iter().map(|it| inside.value(cx, *it)).collect();
    let count = inside.value(cx, found_dims[1]);
    let (zero, one) = (cx.int(0), cx.int(1));
    let elements = extents.iter().fold(one, |product, extent| cx.b.ins().imul(product, *extent));

    let open = cx.open_loop(zero, elements, &[zero]);
    let found = open.carried[0];
    let at = cx.b.ins().imul_imm_s(open.index, dtype.size() as i64);
    let at = cx.b.ins().iadd(x, at);
    let element = cx.load_element(dtype, at, 0);
    let is_found = cx.cast(dtype, DType::Bool, element);
    // Law N1: as many as there is room for.
    let has_room = cx.b.ins().icmp(IntCC::SignedLessThan, found, count);
    let is_found = cx.b.ins().icmp_imm_s(IntCC::NotEqual, is_found, 0);
    let wanted = cx.b.ins().band(is_found, has_room);
    let (write, next) = (cx.b.create_block(), cx.b.create_block());
    let now = cx.b.append_block_param(next, types::I64);
    cx.b.ins().brif(wanted, write, &[], next, &[BlockArg::Value(found)]);
    cx.b.switch_to_block(write);
    let mut rest = open.index;
    for (axis, extent) in extents.iter().enumerate().rev() {
        let coordinate = cx.b.ins().urem(rest, *extent);
        rest = cx.b.ins().udiv(rest, *extent);
        store(cx, coordinate, y, axis, count, found);
    }
    let more = cx.b.ins().iadd_imm_s(found, 1);
    cx.b.ins().jump(next, &[BlockArg::Value(more)]);
    cx.b.switch_to_block(next);
    let found = cx.close_loop(open, &[now])[0];

    // Law N2.
    let open = cx.open_loop(found, count, &[]);
    for axis in 0..extents.len() {
        store(cx, zero, y, axis, count, open.index);
    }
    cx.close_loop(open, &[]);
    cx.b.ins().return_(&[]);
}

/// `y[axis, column] = value`
fn store(cx: &mut FunctionCx<'_>, value: Value, y: Value, axis: usize, count: Value, column: Value) {
    let row = cx.b.ins().imul_imm_s(count, axis as i64);
    let at = cx.b.ins().iadd(row, column);
    let at = cx.b.ins().imul_imm_s(at, 8);
    let at = cx.b.ins().iadd(y, at);
    cx.b.ins().store(MemFlagsData::trusted(), value, at, 0);
}
