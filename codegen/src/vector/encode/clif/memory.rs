//! Loads and stores of vectors, with the conversion between a lane and what memory holds.
//!
//! Cranelift has no vectors of halves on every target, so these are converted by integer operations (`halves`).

use cranelift_codegen::ir::types::{F32, F32X4, F64, F64X2, I8, I8X16, I16, I16X8, I32, I32X4, I64};
use cranelift_codegen::ir::{BlockArg, InstBuilder, StackSlotData, StackSlotKind, Type, Value};

use super::{Emitter, memory};
use crate::vector::ir::{Addr, IReg, MReg, Storage, VReg, Width};

/// A pointer and an offset.
type Place = (Value, i32);

/// Whether elements are extended by their sign.
fn signed(storage: Storage) -> bool {
    matches!(storage, Storage::I8 | Storage::I16 | Storage::I32 | Storage::F16 | Storage::I8Pair)
}

impl Emitter<'_, '_> {
    /// A vector of elements as lanes.
    pub(super) fn load(&mut self, (p, at): Place, from: Storage) -> Value {
        if from == self.width.storage() {
            // As integers: Cranelift makes a load of floats an operand of `cmpps` and `cmppd`, which fault where memory
            // is not aligned.
            return self.b.ins().load(self.int, memory(), p, at);
        }
        // Half as wide, in one instruction.
        match (from, self.width) {
            (Storage::I8, Width::W16) => return self.b.ins().sload8x8(memory(), p, at),
            (Storage::U8, Width::W16) => return self.b.ins().uload8x8(memory(), p, at),
            (Storage::I16, Width::W32) => return self.b.ins().sload16x4(memory(), p, at),
            (Storage::U16, Width::W32) => return self.b.ins().uload16x4(memory(), p, at),
            (Storage::I32, Width::W64) => return self.b.ins().sload32x2(memory(), p, at),
            (Storage::U32, Width::W64) => return self.b.ins().uload32x2(memory(), p, at),
            _ => {}
        }
        // The elements in the lowest bytes, then widened until they are lanes. A float goes to a vector register at once.
        let size = from.bytes() * self.lanes();
        let (vector, packed) = match size {
            2 => (I32X4, self.b.ins().uload16(I32, memory(), p, at)),
            4 => (F32X4, self.b.ins().load(F32, memory(), p, at)),
            _ => (F64X2, self.b.ins().load(F64, memory(), p, at)),
        };
        let mut packed = self.b.ins().scalar_to_vector(vector, packed);
        if from == Storage::F32 {
            let singles = self.cast(F32X4, packed);
            return self.b.ins().fvpromote_low(singles);
        }
        if from == Storage::F16 {
            return self.halves_to_lanes(packed);
        }
        if from.is_pair() {
            let bytes = self.cast(I8X16, packed);
            return match signed(from) {
                true => self.b.ins().swiden_low(bytes),
                false => self.b.ins().uwiden_low(bytes),
            };
        }
        let mut bytes = from.bytes();
        while bytes < self.width.bytes() {
            packed = self.as_type([I8X16, I16X8, I32X4][bytes.ilog2() as usize], packed);
            packed = match signed(from) {
                true => self.b.ins().swiden_low(packed),
                false => self.b.ins().uwiden_low(packed),
            };
            bytes *= 2;
        }
        packed
    }

    /// What is stored of lanes in elements of a storage, as the low bits of the lanes.
    pub(super) fn convert(&mut self, v: Value, to: Storage) -> Value {
        match (to, self.width) {
            (Storage::F16, width) => {
                let halves = self.lanes_to_halves(v);
                let words = self.b.ins().uwiden_low(halves);
                if width == Width::W64 { self.b.ins().uwiden_low(words) } else { words }
            }
            (Storage::F32, _) => {
                let singles = self.b.ins().fvdemote(v);
                let bits = self.cast(I32X4, singles);
                self.b.ins().uwiden_low(bits)
            }
            _ => v,
        }
    }

    /// Lanes of which the low bits are elements; integers are extended already.
    pub(super) fn converted(&mut self, v: Value, from: Storage) -> Value {
        match from {
            Storage::F16 => {
                // The low parts of the lanes side by side.
                let size = self.width.bytes() as u8;
                let order: Vec<u8> =
                    (0..16).map(|i| if i < 32 / size { i / 2 * size + i % 2 } else { 0 }).collect();
                let halves = self.bytes(v, v, &order);
                self.halves_to_lanes(halves)
            }
            Storage::F32 => {
                let order: Vec<u8> = (0..16).map(|i| if i < 8 { i / 4 * 8 + i % 4 } else { 0 }).collect();
                let singles = self.bytes(v, v, &order);
                let singles = self.cast(F32X4, singles);
                self.b.ins().fvpromote_low(singles)
            }
            _ => v,
        }
    }

    /// A vector of lanes as elements.
    pub(super) fn store(&mut self, v: Value, (p, at): Place, to: Storage) {
        if to == self.width.storage() {
            self.b.ins().store(memory(), v, p, at);
            return;
        }
        let (size, lane, lanes) = (to.bytes() as u8, self.width.bytes() as u8, self.lanes() as u8);
        let packed = if to == Storage::F16 {
            self.lanes_to_halves(v)
        } else {
            let v = self.convert(v, to);
            // The low bytes of each lane side by side.
            let step = if to.is_pair() { 2 } else { 1 };
            let order: Vec<u8> = (0..16)
                .map(|i| if i < lanes * size { i / size * lane + i % size * step } else { 0 })
                .collect();
            self.bytes(v, v, &order)
        };
        // A float comes from a vector register at once.
        let vector = match lanes * size {
            2 => I16X8,
            4 => F32X4,
            _ => F64X2,
        };
        let packed = self.as_type(vector, packed);
        let packed = self.b.ins().extractlane(packed, 0);
        self.b.ins().store(memory(), packed, p, at);
    }

    /// One element as the low bits of a lane; see [`Emitter::converted`].
    pub(super) fn load_element(&mut self, (p, at): Place, from: Storage) -> Value {
        let lane = self.float.lane_type();
        let element = match from.bytes() {
            bytes if bytes == self.width.bytes() => return self.b.ins().load(lane, memory(), p, at),
            1 => self.b.ins().load(I8, memory(), p, at),
            2 => self.b.ins().load(I16, memory(), p, at),
            _ => self.b.ins().load(I32, memory(), p, at),
        };
        let int = self.int.lane_type();
        if from.is_pair() {
            let both = self.pair_of_bytes(element, signed(from));
            return self.cast(lane, both);
        }
        let wide = match signed(from) {
            true => self.b.ins().sextend(int, element),
            false => self.b.ins().uextend(int, element),
        };
        self.cast(lane, wide)
    }

    /// The two bytes of 16 bits as 16-bit halves.
    fn pair_of_bytes(&mut self, bytes: Value, signed: bool) -> Value {
        let low = self.b.ins().ireduce(I8, bytes);
        let high = self.b.ins().ushr_imm_u(bytes, 8);
        let high = self.b.ins().ireduce(I8, high);
        let [low, high] = [low, high].map(|byte| {
            let half = if signed { self.b.ins().sextend(I16, byte) } else { self.b.ins().uextend(I16, byte) };
            self.b.ins().uextend(I32, half)
        });
        let high = self.b.ins().ishl_imm_u(high, 16);
        self.b.ins().bor(low, high)
    }

    /// One lane as an element, of what [`Emitter::convert`] made.
    pub(super) fn store_element(&mut self, v: Value, lane: u8, (p, at): Place, to: Storage) {
        if to == self.width.storage() {
            let scalar = self.b.ins().extractlane(v, lane);
            self.b.ins().store(memory(), scalar, p, at);
            return;
        }
        let lanes = self.ints(v);
        let mut scalar = self.b.ins().extractlane(lanes, lane);
        if to.is_pair() {
            let low = self.b.ins().band_imm_u(scalar, 0xFF);
            let high = self.b.ins().ushr_imm_u(scalar, 8);
            let high = self.b.ins().band_imm_u(high, 0xFF00);
            scalar = self.b.ins().bor(low, high);
        }
        let ty = [I8, I16, I32][to.bytes().ilog2() as usize];
        let scalar = if self.int.lane_type() == ty { scalar } else { self.b.ins().ireduce(ty, scalar) };
        self.b.ins().store(memory(), scalar, p, at);
    }

    pub(super) fn gather(&mut self, dst: VReg, base: IReg, index: VReg, from: Storage, mask: Option<MReg>) {
        let (base, index) = (self.x(base), self.vi(index));
        let element = |e: &mut Self, lane: u8, vector: Value| {
            let at = e.b.ins().extractlane(index, lane);
            let at = if e.width == Width::W32 { e.b.ins().sextend(I64, at) } else { at };
            let by = e.iconst(i64::from(from.bytes().ilog2()));
            let at = e.b.ins().ishl(at, by);
            let p = e.b.ins().iadd(base, at);
            let scalar = e.load_element((p, 0), from);
            e.b.ins().insertlane(vector, scalar, lane)
        };
        let zero = self.splat(0);
        let v = match mask {
            Some(mask) => self.active_lanes(mask, zero, element),
            None => (0..self.lanes() as u8).fold(zero, |vector, lane| element(self, lane, vector)),
        };
        let v = self.converted(v, from);
        self.set(dst, v);
    }

    pub(super) fn load_masked(&mut self, dst: VReg, addr: Addr, from: Storage, mask: MReg) {
        let (p, at) = self.addr(addr);
        let v = self.if_all_active(
            mask,
            |e| {
                let v = e.load((p, at), from);
                e.floats(v)
            },
            |e| {
                let zero = e.splat(0);
                if !e.width.has_floats() {
                    let buffer = e.buffer();
                    e.b.ins().store(memory(), zero, buffer, 0);
                    e.move_active(mask, from, p, at, buffer, 0);
                    return e.load((buffer, 0), from);
                }
                let v = e.active_lanes(mask, zero, |e, lane, vector| {
                    let at = at + from.bytes() as i32 * i32::from(lane);
                    let scalar = e.load_element((p, at), from);
                    e.b.ins().insertlane(vector, scalar, lane)
                });
                let v = e.converted(v, from);
                e.floats(v)
            },
        );
        self.set(dst, v);
    }

    pub(super) fn store_masked(&mut self, src: VReg, addr: Addr, to: Storage, mask: MReg) {
        let (v, (p, at)) = (self.v(src), self.addr(addr));
        self.if_all_active(
            mask,
            |e| {
                e.store(v, (p, at), to);
                v
            },
            |e| {
                if !e.width.has_floats() {
                    let buffer = e.buffer();
                    e.store(v, (buffer, 0), to);
                    e.move_active(mask, to, buffer, 0, p, at);
                    return v;
                }
                let converted = e.convert(v, to);
                e.active_lanes(mask, v, |e, lane, vector| {
                    let at = at + to.bytes() as i32 * i32::from(lane);
                    e.store_element(converted, lane, (p, at), to);
                    vector
                })
            },
        );
    }

    /// The address of room for a vector.
    fn buffer(&mut self) -> Value {
        let slot = *self.buffer.get_or_insert_with(|| {
            let data = StackSlotData::new(StackSlotKind::ExplicitSlot, 16, 4);
            self.b.create_sized_stack_slot(data)
        });
        self.b.ins().stack_addr(I64, slot, 0)
    }

    /// Moves active elements, one by one: there are more of them than branches are worth.
    fn move_active(&mut self, mask: MReg, storage: Storage, from: Value, at: i32, to: Value, place: i32) {
        let bits = self.bits(mask);
        let [top, body, done] = std::array::from_fn(|_| self.b.create_block());
        let left = self.b.append_block_param(top, I64);
        self.b.ins().jump(top, &[BlockArg::Value(bits)]);
        self.b.switch_to_block(top);
        self.b.ins().brif(left, body, &[], done, &[]);
        self.b.switch_to_block(body);
        let lane = self.b.ins().ctz(left);
        let by = self.iconst(i64::from(storage.bytes().ilog2()));
        let offset = self.b.ins().ishl(lane, by);
        let [from, to] = [from, to].map(|it| self.b.ins().iadd(it, offset));
        let ty = if storage.bytes() == 1 { I8 } else { I16 };
        let element = self.b.ins().load(ty, memory(), from, at);
        self.b.ins().store(memory(), element, to, place);
        let below = self.b.ins().iadd_imm_s(left, -1);
        let rest = self.b.ins().band(left, below);
        self.b.ins().jump(top, &[BlockArg::Value(rest)]);
        self.b.switch_to_block(done);
    }

    fn as_type(&mut self, ty: Type, v: Value) -> Value {
        if self.b.func.dfg.value_type(v) == ty { v } else { self.cast(ty, v) }
    }

    fn floats(&mut self, v: Value) -> Value {
        self.as_type(self.float, v)
    }

    fn ints(&mut self, v: Value) -> Value {
        self.as_type(self.int, v)
    }
}
