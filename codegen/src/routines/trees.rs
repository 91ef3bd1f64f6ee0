//! Ensembles of decision trees: what leaves rows reach, and their weights put together.
//!
//! A step of one row waits for three loads, each for the one before; so eight walks go on at once, eight rows through a tree
//! where there are so many, else a row through eight trees. All make the steps that nearly every row makes; then leaves are
//! looked for, and walks end together. A tree meets a chunk of rows before the next one does, so that it is in the nearest
//! cache, and so are the rows, whose numbers become keys once: a step compares integers, and NaN needs no step of its own.
//! Weights are put together in the order of trees, whatever the number of rows is.
//!
//! # Laws
//! * **T1** Nodes are in range: in a constant of the library they are made so when it is laid out ([`Nodes`]), else in every
//!   step.

use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{BlockArg, InstBuilder, MemFlagsData, Type, Value, types};
use orogen_ir::kernel::{Access, Routine};
use orogen_ir::scalar::FloatKeys;
use orogen_ir::shape::Dim;
use orogen_ir::types::DType;

use super::{one_phase, symbols, table_word};
use crate::clif::kernel::{Kernel, KernelPhase, PARAMS};
use crate::clif::size::Sizes;
use crate::clif::unit::{FunctionCx, Target, Visibility, build as function};
use crate::select::forms::{Nodes, ParamForm};
use crate::select::routine::Routines;
use crate::vector::Isa;

/// Walks that go on at once.
const WALKS: i64 = 8;
/// Bytes of keys of a chunk of rows, and its most rows.
const CHUNK: (i64, i64) = (1 << 18, 512);
/// Most bytes of keys of a row.
const MOST_ROW: i64 = 1 << 24;
/// So many weights of a leaf are put together without a loop.
const UNROLLED: i64 = 4;

/// What does not depend on data.
#[derive(Clone, Copy)]
struct Ensemble {
    columns: i64,
    nodes: i64,
    trees: i64,
    leaves: i64,
    targets: i64,
    bits: u32,
    /// Whether columns count twice, NaN being less than everything in the second.
    missing: bool,
    /// Whether numbers have 64 bits.
    double: bool,
    /// Element type of the weights.
    weights: DType,
    combine: Combine,
    /// Whether nodes are in range by their form (law T1).
    bounded: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Combine {
    Sum,
    Min,
    Max,
}

pub(super) fn fits(routine: &Routine) -> bool {
    Ensemble::of(routine, false).is_some()
}

pub(super) fn build(target: Target, _: Isa, name: &str, routine: &Routine, constant: &[bool]) -> Kernel {
    let bounded = constant.get(1).copied().unwrap_or(false);
    let ensemble = Ensemble::of(routine, bounded).expect("`fits` looked");
    let unit = function(target, name, Visibility::Local, &PARAMS, &[], |cx, args| {
        ensemble.code(cx, args, routine);
    });
    let mut shapes = routine.signature.shapes.clone();
    let rows = dims(routine, 0)[0];
    let one = shapes.int(1);
    let chunk = shapes.int(ensemble.chunk());
    let chunk = shapes.min(&[rows, chunk]).unwrap_or(chunk);
    let scratch = shapes.scale(chunk, ensemble.row_bytes()).unwrap_or(one);
    let steps = ensemble.trees.saturating_mul(WORK).saturating_add(ensemble.columns);
    let work = shapes.scale(rows, steps).unwrap_or(one);
    let phase = KernelPhase { unit, scratch, extent: rows, divided: true, work };
    let strategy = format!("routine tree_ensemble: {WALKS} rows at once, of the last ones {WALKS} trees");
    let mut kernel = one_phase(routine, shapes, phase, Routines::default(), strategy);
    if bounded {
        kernel.forms[1] = ParamForm::Nodes(Nodes { shift: ensemble.bits, count: ensemble.nodes });
    }
    kernel
}

/// Operations that a tree takes of a row, roughly.
const WORK: i64 = 16;

fn dims(routine: &Routine, i: usize) -> &[Dim] {
    routine.signature.params[i].buffer().expect("`fits` looked").1
}

/// A walk: keys of a row, where it begins.
struct Walk {
    row: Value,
    offset: i32,
    at: Value,
}

impl Ensemble {
    fn of(routine: &Routine, bounded: bool) -> Option<Ensemble> {
        let params = &routine.signature.params;
        let access: Vec<Access> = params.iter().map(|it| it.access).collect();
        if access != [Access::In, Access::In, Access::In, Access::In, Access::Out] {
            return None;
        }
        let buffers: Vec<(DType, &[Dim])> = params.iter().filter_map(|it| it.buffer()).collect();
        let [x, nodes, trees, weights, out] = buffers[..] else { return None };
        if buffers.iter().any(|it| it.1.len() != 2) {
            return None;
        }
        let size = |it: Dim| routine.signature.shapes.as_int(it);
        let keys = FloatKeys::for_type(x.0).filter(|it| it.integer() == nodes.0 && trees.0 == DType::I32)?;
        FloatKeys::for_type(weights.0)?;
        let combine = match routine.attrs.str("aggregate").unwrap_or("sum") {
            "sum" => Combine::Sum,
            "min" => Combine::Min,
            "max" => Combine::Max,
            _ => return None,
        };
        let found = Ensemble {
            columns: size(x.1[1])?,
            nodes: size(nodes.1[0])?,
            trees: size(trees.1[0])?,
            leaves: size(weights.1[0])?,
            targets: size(weights.1[1])?,
            bits: routine.attrs.int("feature_bits").filter(|it| (1..=20).contains(it))? as u32,
            missing: routine.attrs.bool("missing").unwrap_or(false),
            double: keys == FloatKeys::Double,
            weights: weights.0,
            combine,
            bounded,
        };
        let fits = (out.0, out.1[0], size(out.1[1])) == (weights.0, x.1[0], Some(found.targets))
            && (size(nodes.1[1]), size(trees.1[1])) == (Some(2), Some(3))
            && found.nodes >= 1
            && found.leaves >= 1
            && [found.nodes, found.leaves, found.trees].iter().all(|it| *it <= i64::from(i32::MAX))
            && found.slots_used().is_some_and(|it| it < 1 << found.bits)
            && found.row_bytes() <= MOST_ROW;
        fits.then_some(found)
    }

    /// Columns, each time that they count.
    fn slots_used(&self) -> Option<i64> {
        self.columns.checked_mul(if self.missing { 2 } else { 1 })
    }

    /// Bytes of a key.
    fn key_bytes(&self) -> i64 {
        if self.double { 8 } else { 4 }
    }

    /// Bytes of the keys of a row: every number of a feature has one.
    fn row_bytes(&self) -> i64 {
        self.key_bytes() << self.bits
    }

    /// Rows of a chunk.
    fn chunk(&self) -> i64 {
        (CHUNK.0 / self.row_bytes()).clamp(WALKS, CHUNK.1)
    }

    fn key_type(&self) -> Type {
        if self.double { types::I64 } else { types::I32 }
    }

    fn keys(&self) -> FloatKeys {
        if self.double { FloatKeys::Double } else { FloatKeys::Single }
    }

    fn code(&self, cx: &mut FunctionCx<'_>, args: &[Value], routine: &Routine) {
        let &[buffers, sizes, keys, begin, end] = args else { unreachable!("five parameters") };
        let scope = symbols(cx, routine, sizes);
        let inside = Sizes { shapes: &routine.signature.shapes, scope: &scope };
        let rows = inside.value(cx, dims(routine, 0)[0]);
        let [x, nodes, trees, weights, out] = [0, 1, 2, 3, 4].map(|i| table_word(cx, buffers, i));
        let most = cx.int(self.chunk());
        let pads = cx.b.ins().smin(rows, most);
        self.pad(cx, keys, pads);
        let step = cx.int(self.chunk());
        let length = cx.b.ins().isub(end, begin);
        let over = cx.b.ins().iadd_imm_s(length, self.chunk() - 1);
        let chunks = cx.b.ins().udiv(over, step);
        let zero = cx.int(0);
        let open = cx.open_loop(zero, chunks, &[]);
        let first = cx.b.ins().imul(open.index, step);
        let first = cx.b.ins().iadd(begin, first);
        let left = cx.b.ins().isub(end, first);
        let count = cx.b.ins().smin(left, step);
        let from = self.place(cx, x, first, self.columns * self.key_bytes());
        let to = self.place(cx, out, first, self.targets * self.weights.size() as i64);
        self.fill(cx, to, count);
        self.convert(cx, from, keys, count);
        let groups = cx.b.ins().sdiv_imm_s(count, WALKS);
        self.by_rows(cx, Tables { nodes, trees, weights }, [keys, to], groups);
        let done = cx.b.ins().imul_imm_s(groups, WALKS);
        self.by_trees(cx, Tables { nodes, trees, weights }, [keys, to], [done, count]);
        cx.close_loop(open, &[]);
        cx.b.ins().return_(&[]);
    }

    /// Keys of features that x does not have.
    fn pad(&self, cx: &mut FunctionCx<'_>, keys: Value, rows: Value) {
        let zero = cx.int(0);
        let (used, all) = (self.slots_used().unwrap_or(0), 1i64 << self.bits);
        let open = cx.open_loop(zero, rows, &[]);
        let row = self.place(cx, keys, open.index, self.row_bytes());
        let (first, last) = (cx.int(used), cx.int(all));
        let slots = cx.open_loop(first, last, &[]);
        let at = self.place(cx, row, slots.index, self.key_bytes());
        let least = cx.b.ins().iconst(self.key_type(), self.keys().least());
        cx.b.ins().store(MemFlagsData::trusted(), least, at, 0);
        cx.close_loop(slots, &[]);
        cx.close_loop(open, &[]);
    }

    /// What weights are put together with first.
    fn fill(&self, cx: &mut FunctionCx<'_>, out: Value, rows: Value) {
        let start = match self.combine {
            Combine::Sum => 0.0,
            Combine::Min => f64::INFINITY,
            Combine::Max => f64::NEG_INFINITY,
        };
        let start = self.number(cx, start);
        let count = cx.b.ins().imul_imm_s(rows, self.targets);
        let zero = cx.int(0);
        let open = cx.open_loop(zero, count, &[]);
        let at = self.place(cx, out, open.index, self.weights.size() as i64);
        cx.b.ins().store(MemFlagsData::trusted(), start, at, 0);
        cx.close_loop(open, &[]);
    }

    fn number(&self, cx: &mut FunctionCx<'_>, value: f64) -> Value {
        match self.weights {
            DType::F64 => cx.b.ins().f64const(value),
            _ => cx.b.ins().f32const(value as f32),
        }
    }

    /// The keys of rows of numbers.
    fn convert(&self, cx: &mut FunctionCx<'_>, x: Value, keys: Value, rows: Value) {
        let zero = cx.int(0);
        let lanes = 16 / self.key_bytes();
        let open = cx.open_loop(zero, rows, &[]);
        let from = self.place(cx, x, open.index, self.columns * self.key_bytes());
        let to = self.place(cx, keys, open.index, self.row_bytes());
        let vectors = cx.int(self.columns / lanes);
        let inner = cx.open_loop(zero, vectors, &[]);
        let offset = cx.b.ins().ishl_imm_u(inner.index, 4);
        let (at, place) = (cx.b.ins().iadd(from, offset), cx.b.ins().iadd(to, offset));
        self.convert_lanes(cx, at, place, 0, lanes as u32);
        cx.close_loop(inner, &[]);
        for column in self.columns / lanes * lanes..self.columns {
            self.convert_lanes(cx, from, to, (column * self.key_bytes()) as i32, 1);
        }
        cx.close_loop(open, &[]);
    }

    fn convert_lanes(&self, cx: &mut FunctionCx<'_>, from: Value, to: Value, offset: i32, lanes: u32) {
        let wide = |it: Type| if lanes == 1 { it } else { it.by(lanes).expect("128 bits") };
        let (float, integer) = (if self.double { types::F64 } else { types::F32 }, self.key_type());
        let splat = |cx: &mut FunctionCx<'_>, it: Value| match lanes {
            1 => it,
            _ => {
                let ty = wide(cx.b.func.dfg.value_type(it));
                cx.b.ins().splat(ty, it)
            }
        };
        let flags = MemFlagsData::new().with_notrap();
        let x = cx.b.ins().load(wide(float), flags, from, offset);
        let zero = if self.double { cx.b.ins().f64const(0.0) } else { cx.b.ins().f32const(0.0) };
        let zero = splat(cx, zero);
        // A negative zero is no less than the other one.
        let number = cx.b.ins().fadd(x, zero);
        let cast = match lanes {
            1 => MemFlagsData::new(),
            _ => MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little),
        };
        let bits = cx.b.ins().bitcast(wide(integer), cast, number);
        let sign = cx.b.ins().sshr_imm_u(bits, i64::from(integer.bits()) - 1);
        let magnitude = cx.b.ins().ushr_imm_u(sign, 1);
        let key = cx.b.ins().bxor(bits, magnitude);
        let nan = cx.b.ins().fcmp(FloatCC::Unordered, x, x);
        let store = |cx: &mut FunctionCx<'_>, of_nan: i64, offset: i32| {
            let of_nan = cx.b.ins().iconst(integer, of_nan);
            let of_nan = splat(cx, of_nan);
            let key = match lanes {
                1 => cx.b.ins().select(nan, of_nan, key),
                _ => cx.b.ins().bitselect(nan, of_nan, key),
            };
            cx.b.ins().store(flags, key, to, offset);
        };
        store(cx, self.keys().nan(), offset);
        if self.missing {
            store(cx, self.keys().least(), offset + (self.columns * self.key_bytes()) as i32);
        }
    }

    /// Groups of rows, each through all trees.
    fn by_rows(&self, cx: &mut FunctionCx<'_>, tables: Tables, [keys, out]: [Value; 2], groups: Value) {
        let zero = cx.int(0);
        let trees = cx.int(self.trees);
        let open = cx.open_loop(zero, trees, &[]);
        let (at, sure, most) = self.tree(cx, tables, open.index);
        let inner = cx.open_loop(zero, groups, &[]);
        let row = self.place(cx, keys, inner.index, WALKS * self.row_bytes());
        let offsets = (0..WALKS).map(|i| (i * self.row_bytes()) as i32);
        let walks: Vec<Walk> = offsets.map(|offset| Walk { row, offset, at }).collect();
        let leaves = self.walk(cx, tables, &walks, sure, most);
        let width = self.targets * self.weights.size() as i64;
        let to = self.place(cx, out, inner.index, WALKS * width);
        for (i, leaf) in leaves.into_iter().enumerate() {
            let to = cx.b.ins().iadd_imm_s(to, i as i64 * width);
            self.put(cx, tables, leaf, to);
        }
        cx.close_loop(inner, &[]);
        cx.close_loop(open, &[]);
    }

    /// Rows that are no group, each through groups of trees.
    fn by_trees(
        &self,
        cx: &mut FunctionCx<'_>,
        tables: Tables,
        [keys, out]: [Value; 2],
        [begin, end]: [Value; 2],
    ) {
        let zero = cx.int(0);
        let open = cx.open_loop(begin, end, &[]);
        let row = self.place(cx, keys, open.index, self.row_bytes());
        let to = self.place(cx, out, open.index, self.targets * self.weights.size() as i64);
        let groups = cx.int(self.trees / WALKS);
        let inner = cx.open_loop(zero, groups, &[]);
        let first = cx.b.ins().imul_imm_s(inner.index, WALKS);
        self.some_trees(cx, tables, row, to, first, WALKS);
        cx.close_loop(inner, &[]);
        let first = cx.int(self.trees / WALKS * WALKS);
        self.some_trees(cx, tables, row, to, first, self.trees % WALKS);
        cx.close_loop(open, &[]);
    }

    /// A row through neighbouring trees.
    fn some_trees(
        &self,
        cx: &mut FunctionCx<'_>,
        tables: Tables,
        row: Value,
        to: Value,
        first: Value,
        count: i64,
    ) {
        let mut walks = Vec::new();
        let mut bounds: Option<(Value, Value)> = None;
        for i in 0..count {
            let tree = cx.b.ins().iadd_imm_s(first, i);
            let (at, sure, most) = self.tree(cx, tables, tree);
            bounds = Some(match bounds {
                None => (sure, most),
                Some(known) => (cx.b.ins().smin(known.0, sure), cx.b.ins().smax(known.1, most)),
            });
            walks.push(Walk { row, offset: 0, at });
        }
        let Some((sure, most)) = bounds else { return };
        for leaf in self.walk(cx, tables, &walks, sure, most) {
            self.put(cx, tables, leaf, to);
        }
    }

    /// The first node of a tree, and how many steps nearly all rows make, and any.
    fn tree(&self, cx: &mut FunctionCx<'_>, tables: Tables, number: Value) -> (Value, Value, Value) {
        let at = self.place(cx, tables.trees, number, 12);
        let load = |cx: &mut FunctionCx<'_>, offset| cx.b.ins().uload32(MemFlagsData::trusted(), at, offset);
        let [first, sure, most] = [0, 4, 8].map(|offset| load(cx, offset));
        let first = self.clamp(cx, first, self.nodes);
        // More steps than there are nodes change nothing in a tree.
        let most = self.clamp(cx, most, self.nodes + 1);
        let sure = cx.b.ins().umin(sure, most);
        (first, sure, most)
    }

    /// A number below `count`.
    fn clamp(&self, cx: &mut FunctionCx<'_>, number: Value, count: i64) -> Value {
        let last = cx.int(count - 1);
        cx.b.ins().umin(number, last)
    }

    /// Where walks end.
    fn walk(
        &self,
        cx: &mut FunctionCx<'_>,
        tables: Tables,
        walks: &[Walk],
        sure: Value,
        most: Value,
    ) -> Vec<Value> {
        let zero = cx.int(0);
        let starts: Vec<Value> = walks.iter().map(|it| it.at).collect();
        let open = cx.open_loop(zero, sure, &starts);
        let next: Vec<Value> = walks
            .iter()
            .zip(&open.carried)
            .map(|(walk, at)| {
                let link = self.link(cx, tables, *at);
                self.step(cx, tables, walk, *at, link)
            })
            .collect();
        let reached = cx.close_loop(open, &next);

        let [head, look, more, done] = [(); 4].map(|()| cx.b.create_block());
        let turn = cx.b.append_block_param(head, types::I64);
        let places: Vec<Value> = walks.iter().map(|_| cx.b.append_block_param(head, types::I64)).collect();
        let into: Vec<BlockArg> = std::iter::once(sure).chain(reached).map(BlockArg::Value).collect();
        cx.b.ins().jump(head, &into);
        cx.b.switch_to_block(head);
        let goes_on = cx.b.ins().icmp(IntCC::SignedLessThan, turn, most);
        cx.b.ins().brif(goes_on, look, &[], done, &[]);
        cx.b.switch_to_block(look);
        let links: Vec<Value> = places.iter().map(|at| self.link(cx, tables, *at)).collect();
        let all = links[1..].iter().fold(links[0], |all, it| cx.b.ins().band(all, *it));
        let mask = (1i64 << self.bits) - 1;
        let all = cx.b.ins().band_imm_u(all, mask);
        // The last number of a feature is that of leaves: all are there.
        let ended = cx.b.ins().icmp_imm_s(IntCC::Equal, all, mask);
        cx.b.ins().brif(ended, done, &[], more, &[]);
        cx.b.switch_to_block(more);
        let mut next = vec![cx.b.ins().iadd_imm_s(turn, 1)];
        for ((walk, at), link) in walks.iter().zip(&places).zip(links) {
            next.push(self.step(cx, tables, walk, *at, link));
        }
        let next: Vec<BlockArg> = next.into_iter().map(BlockArg::Value).collect();
        cx.b.ins().jump(head, &next);
        cx.b.switch_to_block(done);
        places
    }

    fn node(&self, cx: &mut FunctionCx<'_>, tables: Tables, at: Value) -> Value {
        let offset = cx.b.ins().ishl_imm_u(at, if self.double { 4 } else { 3 });
        cx.b.ins().iadd(tables.nodes, offset)
    }

    /// The second number of a node.
    fn link(&self, cx: &mut FunctionCx<'_>, tables: Tables, at: Value) -> Value {
        let node = self.node(cx, tables, at);
        match self.double {
            true => cx.b.ins().load(types::I64, MemFlagsData::trusted(), node, 8),
            false => cx.b.ins().uload32(MemFlagsData::trusted(), node, 4),
        }
    }

    /// The node after a node.
    fn step(&self, cx: &mut FunctionCx<'_>, tables: Tables, walk: &Walk, at: Value, link: Value) -> Value {
        let node = self.node(cx, tables, at);
        let bound = cx.b.ins().load(self.key_type(), MemFlagsData::trusted(), node, 0);
        let feature = cx.b.ins().band_imm_u(link, (1 << self.bits) - 1);
        let offset = cx.b.ins().ishl_imm_u(feature, if self.double { 3 } else { 2 });
        let slot = cx.b.ins().iadd(walk.row, offset);
        let key = cx.b.ins().load(self.key_type(), MemFlagsData::trusted(), slot, walk.offset);
        let first = cx.b.ins().ushr_imm_u(link, i64::from(self.bits));
        let above = cx.b.ins().icmp(IntCC::SignedGreaterThan, key, bound);
        let above = cx.b.ins().uextend(types::I64, above);
        let next = cx.b.ins().iadd(first, above);
        if self.bounded { next } else { self.clamp(cx, next, self.nodes) }
    }

    /// Puts the weights of a leaf together with others.
    fn put(&self, cx: &mut FunctionCx<'_>, tables: Tables, at: Value, to: Value) {
        let node = self.node(cx, tables, at);
        let leaf = match self.double {
            true => cx.b.ins().load(types::I64, MemFlagsData::trusted(), node, 0),
            false => cx.b.ins().uload32(MemFlagsData::trusted(), node, 0),
        };
        let leaf = self.clamp(cx, leaf, self.leaves);
        let size = self.weights.size() as i64;
        let from = self.place(cx, tables.weights, leaf, self.targets * size);
        let float = if self.weights == DType::F64 { types::F64 } else { types::F32 };
        let lanes = 16 / size;
        if self.targets <= UNROLLED {
            for i in 0..self.targets {
                self.join(cx, float, from, to, (i * size) as i32);
            }
            return;
        }
        let (zero, vectors) = (cx.int(0), cx.int(self.targets / lanes));
        let open = cx.open_loop(zero, vectors, &[]);
        let offset = cx.b.ins().ishl_imm_u(open.index, 4);
        let (left, right) = (cx.b.ins().iadd(from, offset), cx.b.ins().iadd(to, offset));
        self.join(cx, float.by(lanes as u32).expect("128 bits"), left, right, 0);
        cx.close_loop(open, &[]);
        for i in self.targets / lanes * lanes..self.targets {
            self.join(cx, float, from, to, (i * size) as i32);
        }
    }

    fn join(&self, cx: &mut FunctionCx<'_>, ty: Type, from: Value, to: Value, offset: i32) {
        let flags = MemFlagsData::new().with_notrap();
        let weight = cx.b.ins().load(ty, flags, from, offset);
        let before = cx.b.ins().load(ty, flags, to, offset);
        let joined = match self.combine {
            Combine::Sum => cx.b.ins().fadd(before, weight),
            Combine::Min | Combine::Max => {
                let better = match self.combine {
                    Combine::Min => FloatCC::LessThan,
                    _ => FloatCC::GreaterThan,
                };
                let takes = cx.b.ins().fcmp(better, weight, before);
                if ty.is_vector() {
                    let cast = MemFlagsData::new().with_endianness(cranelift_codegen::ir::Endianness::Little);
                    let takes = cx.b.ins().bitcast(ty, cast, takes);
                    cx.b.ins().bitselect(takes, weight, before)
                } else {
                    cx.b.ins().select(takes, weight, before)
                }
            }
        };
        cx.b.ins().store(flags, joined, to, offset);
    }

    /// Element `i` of so many bytes.
    fn place(&self, cx: &mut FunctionCx<'_>, base: Value, i: Value, bytes: i64) -> Value {
        let offset = match bytes.count_ones() {
            1 => cx.b.ins().ishl_imm_u(i, i64::from(bytes.trailing_zeros())),
            _ => cx.b.ins().imul_imm_s(i, bytes),
        };
        cx.b.ins().iadd(base, offset)
    }
}

/// Where the operands lie.
#[derive(Clone, Copy)]
struct Tables {
    nodes: Value,
    trees: Value,
    weights: Value,
}
