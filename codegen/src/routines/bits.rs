//! The bits of elements as elements of another type of the same width: bytes that are copied. Of elements narrower than a
//! byte the low bits count (law T4 of element types), and a boolean is whether any bit is set.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, Value, types};
use orogen_ir::kernel::{Access, Routine};
use orogen_ir::types::{DType, Kind};

use super::{one_phase, symbols, table_word};
use crate::clif::kernel::{Kernel, KernelPhase, PARAMS};
use crate::clif::size::Sizes;
use crate::clif::unit::{FunctionCx, Target, Visibility, build as function};
use crate::select::routine::Routines;
use crate::vector::Isa;

/// Bytes of a step, one vector of any target.
const STEP: i64 = 16;

pub(super) fn fits(routine: &Routine) -> bool {
    let [x, y] = &routine.signature.params[..] else { return false };
    let (Some((from, dims)), Some((to, result))) = (x.buffer(), y.buffer()) else { return false };
    (x.access, y.access) == (Access::In, Access::Out)
        && dims == result
        && (from.width(), from.bits()) == (to.width(), to.bits())
        && ![from, to].contains(&DType::Str)
        && routine.attrs.dtype("to") == Some(to)
}

pub(super) fn build(target: Target, _: Isa, name: &str, routine: &Routine, _: &[bool]) -> Kernel {
    let unit = function(target, name, Visibility::Local, &PARAMS, &[], |cx, args| code(cx, args, routine));
    let mut shapes = routine.signature.shapes.clone();
    let (zero, one) = (shapes.int(0), shapes.int(1));
    let dims = routine.signature.params[0].buffer().map_or(&[][..], |it| it.1);
    let work = shapes.product(dims).unwrap_or(one);
    let phase = KernelPhase { unit, scratch: zero, extent: one, divided: false, work };
    one_phase(routine, shapes, phase, Routines::default(), "routine bits: a copy".to_owned())
}

fn code(cx: &mut FunctionCx<'_>, args: &[Value], routine: &Routine) {
    let (buffers, sizes) = (args[0], args[1]);
    let signature = &routine.signature;
    let scope = symbols(cx, routine, sizes);
    let inside = Sizes { shapes: &signature.shapes, scope: &scope };
    let (x, y) = (table_word(cx, buffers, 0), table_word(cx, buffers, 1));
    let (_, dims) = signature.params[0].buffer().expect("`fits` looked");
    let (to, _) = signature.params[1].buffer().expect("`fits` looked");
    let mut bytes = cx.int(to.size() as i64);
    for dim in dims {
        let extent = inside.value(cx, *dim);
        bytes = cx.b.ins().imul(bytes, extent);
    }
    // Callers align to elements alone.
    let flags = MemFlagsData::new().with_notrap();
    let mut begin = cx.int(0);
    if to != DType::Bool && to.width() == to.bits() {
        let whole = cx.b.ins().ushr_imm_u(bytes, i64::from(STEP.trailing_zeros()));
        let open = cx.open_loop(begin, whole, &[]);
        let at = cx.b.ins().imul_imm_s(open.index, STEP);
        let (from, into) = (cx.b.ins().iadd(x, at), cx.b.ins().iadd(y, at));
        let vector = cx.b.ins().load(types::I8X16, flags, from, 0);
        cx.b.ins().store(flags, vector, into, 0);
        cx.close_loop(open, &[]);
        begin = cx.b.ins().imul_imm_s(whole, STEP);
    }
    let open = cx.open_loop(begin, bytes, &[]);
    let (from, into) = (cx.b.ins().iadd(x, open.index), cx.b.ins().iadd(y, open.index));
    let byte = cx.b.ins().load(types::I8, flags, from, 0);
    let byte = one_byte(cx, to, byte);
    cx.b.ins().store(flags, byte, into, 0);
    cx.close_loop(open, &[]);
    cx.b.ins().return_(&[]);
}

/// A byte of an element as its type wants it.
fn one_byte(cx: &mut FunctionCx<'_>, to: DType, byte: Value) -> Value {
    let unused = i64::from(to.bits() - to.width());
    match to.row().kind {
        Kind::Bool => cx.b.ins().icmp_imm_s(IntCC::NotEqual, byte, 0),
        _ if unused == 0 => byte,
        Kind::Signed => {
            let high = cx.b.ins().ishl_imm_u(byte, unused);
            cx.b.ins().sshr_imm_u(high, unused)
        }
        _ => cx.b.ins().band_imm_u(byte, (1 << to.width()) - 1),
    }
}
