//! Panels that the driver packs in each call.

use cranelift_codegen::ir::{FuncRef, Value};

use super::{Arithmetic, Factor};
use crate::kernels::flow::Flow;

/// Rows of B packed at a time, so that the pages of a chunk stay in the first-level translation buffer.
const PACK_CHUNK: i64 = 64;

/// Steps of rows that are packed across at a time.
const TURN_CHUNK: i64 = 128;

/// Panels that the driver makes.
pub(super) struct Panels<'a> {
    pub(super) factor: &'a Factor,
    pub(super) pack: FuncRef,
    pub(super) across: bool,
    pub(super) panels: Value,
    pub(super) stride: Value,
    /// The first zero point.
    pub(super) zero: Option<Value>,
    /// Rows (or columns) of a panel.
    pub(super) width: i64,
}

impl Panels<'_> {
    /// Packs `count` rows or columns of the operand; the depth is given in terms and in steps.
    ///
    /// Across means that panels take rows of the source, which are read along: one panel after the other, a part of it that
    /// stays in the first-level cache at a time. Otherwise they take columns: then a few rows are packed into all panels
    /// before the next ones, which reads memory in order.
    pub(super) fn pack(
        &self,
        flow: &mut Flow<'_, '_>,
        arithmetic: Arithmetic,
        source: Value,
        count: Value,
        [k, steps]: [Value; 2],
    ) {
        let zero = flow.int(0);
        let chunk = flow.int(if self.across { TURN_CHUNK } else { PACK_CHUNK });
        let pack = |flow: &mut Flow<'_, '_>, start: Value, at: Value| {
            let left = flow.sub(k, start);
            let depth = flow.min(left, chunk);
            let element = flow.int(self.factor.element.bytes());
            let [along, across] = if self.across { [element, self.stride] } else { [self.stride, element] };
            let from = flow.at(source, start, along);
            let from = flow.at(from, at, across);
            let (terms, lane) = (arithmetic.terms(), arithmetic.lane().bytes());
            let to = flow.at_scaled(self.panels, start, lane * self.width / terms);
            let before = flow.mul(at, steps);
            let to = flow.at_scaled(to, before, lane);
            let left = flow.sub(count, at);
            let full = flow.int(self.width);
            let valid = flow.min(left, full);
            let mut values = vec![from, to, depth, self.stride, valid];
            let (_, subtracts) = self.factor.term(arithmetic);
            let zero = self.zero.filter(|_| subtracts);
            values.extend(zero.map(|p| flow.at_scaled(p, at, self.factor.zero_step())));
            flow.call(self.pack, &values);
        };
        if self.across {
            flow.range(zero, count, self.width, |flow, at| {
                flow.range_by(zero, k, chunk, |flow, start| pack(flow, start, at));
            });
        } else {
            flow.range_by(zero, k, chunk, |flow, start| {
                flow.range(zero, count, self.width, |flow, at| pack(flow, start, at));
            });
        }
    }
}
