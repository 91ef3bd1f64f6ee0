//! Attention that holds no more than a block of scores.
//!
//! A unit of work is a block of queries of one head. It goes over the keys block by block: a product of queries and keys,
//! the [weights](crate::kernels::attention) in its place, and a product of these and the values, which is added to what the
//! blocks before gave. Operands and the result may lie transposed, as long as rows or columns of their matrices are
//! neighbours in memory; the result keeps rows.

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{FuncRef, InstBuilder, Value, types};
use orogen_ir::kernel::{Access, Routine};
use orogen_ir::shape::{Dim, ShapeCx};
use orogen_ir::types::DType;

use super::{one_phase, symbols, table_word};
use crate::clif::kernel::{Kernel, KernelPhase, PARAMS};
use crate::clif::size::Sizes;
use crate::clif::unit::{FunctionCx, Symbol, Target, Visibility, build as function};
use crate::kernels::attention::{Mask, Scores, begin, end, weigh};
use crate::kernels::element::Element;
use crate::kernels::flow::Flow;
use crate::kernels::gemm::{Factor, Gemm, Layout};
use crate::select::routine::{Routine as Code, Routines};
use crate::vector::{Isa, Program, Width};

/// The most queries of a block, and the most keys: scores of both stay in the second-level cache.
const QUERIES: i64 = 192;
const KEYS: i64 = 256;
/// Scores between rows of a block, so that neighbours in a column do not share a set of the cache.
const APART: i64 = 16;
/// Bytes of a score.
const LANE: i64 = 4;
/// Terms of a product that take as long as one operation on an element.
const RATE: i64 = 8;

/// A parameter and what it is read as: dimension `j` is that of the parameter at `perm[j]`.
struct Operand {
    dtype: DType,
    own: Vec<Dim>,
    perm: Vec<usize>,
}

impl Operand {
    fn new(routine: &Routine, param: usize, access: Access, perm: &str) -> Option<Operand> {
        let it = routine.signature.params.get(param)?;
        let (dtype, dims) = it.buffer().filter(|_| it.access == access)?;
        let perm: Vec<usize> = match routine.attrs.ints(perm) {
            None => (0..dims.len()).collect(),
            Some(perm) => perm.iter().map(|it| usize::try_from(*it).ok()).collect::<Option<_>>()?,
        };
        let mut sorted = perm.clone();
        sorted.sort_unstable();
        sorted.iter().copied().eq(0..dims.len()).then(|| Operand { dtype, own: dims.to_vec(), perm })
    }

    fn rank(&self) -> usize {
        self.own.len()
    }

    /// Dimension `i` from the end, as it is read.
    fn last(&self, i: usize) -> Option<Dim> {
        let at = self.rank().checked_sub(i + 1)?;
        Some(self.own[self.perm[at]])
    }

    /// Which dimension from the end, as it is read, has neighbours in memory.
    fn dense(&self) -> Option<usize> {
        let last = self.rank().checked_sub(1)?;
        self.perm.iter().rev().position(|it| *it == last)
    }

    /// Bytes from one element to the next along each dimension, from the last one as it is read.
    fn strides(&self, cx: &mut FunctionCx<'_>, inside: &Sizes<'_>) -> Vec<Value> {
        let mut step = cx.int(self.dtype.size() as i64);
        let mut own = vec![step; self.rank()];
        for i in (0..self.rank()).rev() {
            own[i] = step;
            let extent = inside.value(cx, self.own[i]);
            step = cx.b.ins().imul(step, extent);
        }
        self.perm.iter().rev().map(|it| own[*it]).collect()
    }
}

/// What a routine was asked for.
struct Attention<'a> {
    shapes: &'a ShapeCx,
    q: Operand,
    k: Operand,
    v: Operand,
    mask: Option<Operand>,
    result: Operand,
    scale: f64,
    hidden: f64,
    safe: bool,
}

impl<'a> Attention<'a> {
    fn of(routine: &'a Routine) -> Option<Attention<'a>> {
        let operand = |param, perm| Operand::new(routine, param, Access::In, perm);
        let masked = match routine.signature.params.len() {
            4 => false,
            5 => true,
            _ => return None,
        };
        let (q, k, v) = (operand(0, "q_perm")?, operand(1, "k_perm")?, operand(2, "v_perm")?);
        let mask = if masked { Some(operand(3, "")?) } else { None };
        let mut result = Operand::new(routine, 3 + usize::from(masked), Access::Out, "out_perm")?;
        // It is written, not read: its dimension `i` is that of the result at `perm[i]`.
        let mut inverse = vec![0; result.rank()];
        result.perm.iter().enumerate().for_each(|(i, it)| inverse[*it] = i);
        result.perm = inverse;
        let scale = routine.attrs.float("scale")?;
        let hidden = routine.attrs.float("hidden").unwrap_or(f64::NEG_INFINITY);
        let safe = routine.attrs.bool("safe").unwrap_or(false);
        let shapes = &routine.signature.shapes;
        let it = Attention { shapes, q, k, v, mask, result, scale, hidden, safe };
        it.is_lawful().then_some(it)
    }

    /// Whether the shapes are those of attention, and lie as products can read them (law N3).
    fn is_lawful(&self) -> bool {
        let dtype = self.q.dtype;
        let types = dtype.is_float()
            && (16..=32).contains(&dtype.bits())
            && [&self.k, &self.v, &self.result].iter().all(|it| it.dtype == dtype)
            && self.mask.as_ref().is_none_or(|it| it.dtype == DType::Bool || it.dtype == dtype);
        let read = |it: &Operand| it.dense().is_some_and(|it| it < 2);
        let sizes = [
            (self.q.last(0), self.k.last(0)),
            (self.k.last(1), self.v.last(1)),
            (self.q.last(1), self.result.last(1)),
            (self.v.last(0), self.result.last(0)),
        ];
        types
            && [&self.q, &self.k, &self.v].into_iter().all(read)
            && self.result.dense() == Some(0)
            && sizes.iter().all(|(a, b)| a.is_some() && a == b)
            && [&self.q, &self.k, &self.v].into_iter().all(|it| self.spreads(it, 2))
            && self.mask.as_ref().is_none_or(|it| {
                let rows = it.last(1).is_none_or(|rows| Some(rows) == self.q.last(1) || self.is_one(it, 1));
                it.rank() > 0 && it.last(0) == self.k.last(1) && rows && self.spreads(it, 2)
            })
    }

    /// Whether dimensions of an operand from one on are those of the result, or 1.
    fn spreads(&self, it: &Operand, from: usize) -> bool {
        it.rank() <= self.result.rank()
            && (from..it.rank()).all(|i| it.last(i) == self.result.last(i) || self.is_one(it, i))
    }

    fn is_one(&self, it: &Operand, i: usize) -> bool {
        it.last(i).and_then(|it| self.shapes.as_int(it)) == Some(1)
    }
}

pub(super) fn fits(routine: &Routine) -> bool {
    Attention::of(routine).is_some_and(|it| Layouts::of(&it, routine, Isa::Clif128).is_some())
}

/// The two products, and sizes of blocks and of memory.
struct Layouts {
    shapes: ShapeCx,
    scores: Gemm,
    values: Gemm,
    queries: i64,
    keys: i64,
    /// Bytes of a row of scores.
    row: i64,
    units: Dim,
    scratch: Dim,
    work: Dim,
}

impl Layouts {
    fn of(it: &Attention<'_>, routine: &Routine, isa: Isa) -> Option<Layouts> {
        let mut shapes = routine.signature.shapes.clone();
        let element = Element::in_lanes(it.q.dtype, Width::W32)?;
        let factor = |layout| Factor { element, ..Factor::floats(layout) };
        let dense = |it: &Operand| it.dense().unwrap_or(0);
        // What has to be converted is converted once.
        let rows = if element == Element::LANE { Layout::Direct } else { Layout::RowMajor };
        let a = if dense(&it.q) == 0 { rows } else { Layout::Transposed };
        let b = if dense(&it.k) == 0 { Layout::Transposed } else { Layout::RowMajor };
        let scores = Gemm { a: factor(a), b: factor(b), ..Gemm::new(isa, a, b) };
        let b = if dense(&it.v) == 0 { Layout::RowMajor } else { Layout::Transposed };
        let values = Gemm { b: factor(b), adds: true, ..Gemm::new(isa, Layout::Direct, b) };

        let [m, d, n, e] = [it.q.last(1)?, it.q.last(0)?, it.k.last(1)?, it.v.last(0)?];
        let tile = i64::from(scores.tile.rows);
        let most = |shapes: &ShapeCx, extent: Dim, most: i64, unit: i64| {
            round_up(shapes.as_int(extent).map_or(most, |it| it.clamp(1, most)), unit)
        };
        let queries = most(&shapes, m, QUERIES, tile);
        let keys = most(&shapes, n, KEYS, scores.columns());
        let row = (keys + APART) * LANE;
        let (rows, columns) = (shapes.int(queries), shapes.int(keys));
        let first = scores.workspace_over(&mut shapes, [rows, columns, d]).ok()?;
        let second = values.workspace_over(&mut shapes, [rows, e, columns]).ok()?;
        let workspace = shapes.max(&[first, second]).ok()?;
        let width = shapes.round_up(e, 16).ok()?;
        let result = shapes.scale(width, queries * LANE).ok()?;
        let scratch = shapes.add(workspace, result).ok()?;
        let scratch = shapes.add_int(scratch, remembered(queries) + queries * row).ok()?;
        let scratch = shapes.round_up(scratch, 64).ok()?;

        let batch: Vec<Dim> = (2..it.result.rank()).filter_map(|i| it.result.last(i)).collect();
        let batch = shapes.product(&batch).ok()?;
        let blocks = shapes.ceil_div(m, queries).ok()?;
        let units = shapes.mul(batch, blocks).ok()?;
        let terms = shapes.add(d, e).ok()?;
        let work = shapes.product(&[batch, m, n, terms]).ok()?;
        let work = shapes.ceil_div(work, RATE).ok()?;
        Some(Layouts { shapes, scores, values, queries, keys, row, units, scratch, work })
    }
}

/// Bytes of what rows remember, so that what follows is aligned.
fn remembered(queries: i64) -> i64 {
    round_up(2 * queries * LANE, 64)
}

fn round_up(n: i64, unit: i64) -> i64 {
    (n + unit - 1).div_euclid(unit) * unit
}

pub(super) fn build(target: Target, isa: Isa, name: &str, routine: &Routine, _: &[bool]) -> Kernel {
    let it = Attention::of(routine).expect("`fits` looked");
    let layouts = Layouts::of(&it, routine, isa).expect("`fits` looked");
    let mut routines = Routines::default();
    let element = Element::in_lanes(it.q.dtype, Width::W32).expect("`fits` looked");
    let mask = it.mask.as_ref().map(|mask| match mask.dtype {
        DType::Bool => Mask::Hides(it.hidden as f32),
        _ => Mask::Added(element),
    });
    let scores = Scores { scale: it.scale as f32, mask };
    let mut program = |kind: &str, key: String, make: &dyn Fn() -> Program| {
        let params = make().params.len();
        (routines.add(kind, &key, || Code::Program(Box::new(make()), isa)), params)
    };
    let programs = [
        program("attention.begin", String::new(), &begin),
        program("attention.weigh", format!("{scores:?}"), &|| weigh(scores)),
        program("attention.end", format!("{element:?} {}", it.safe), &|| end(element, it.safe)),
    ];
    let products = [&layouts.scores, &layouts.values].map(|gemm| {
        let symbol = routines.add("product", &format!("{gemm:?}"), || Code::Gemm(Box::new(gemm.clone())));
        (symbol, gemm.params())
    });
    let unit = function(target, name, Visibility::Local, &PARAMS, &[], |cx, args| {
        let mut import = |(symbol, params): &(String, usize)| {
            cx.function(Symbol::Local(symbol.clone()), &vec![types::I64; *params], &[])
        };
        let calls = Calls {
            programs: programs.each_ref().map(&mut import),
            products: products.each_ref().map(&mut import),
        };
        code(cx, args, &it, &layouts, routine, &calls);
        cx.b.ins().return_(&[]);
    });
    let strategy =
        format!("routine attention: blocks of {} queries and {} keys", layouts.queries, layouts.keys);
    let Layouts { shapes, units, scratch, work, .. } = layouts;
    let phase = KernelPhase { unit, scratch, extent: units, divided: true, work };
    one_phase(routine, shapes, phase, routines, strategy)
}

/// The functions that are called.
struct Calls {
    programs: [FuncRef; 3],
    products: [FuncRef; 2],
}

fn code(
    cx: &mut FunctionCx<'_>,
    args: &[Value],
    it: &Attention<'_>,
    layouts: &Layouts,
    routine: &Routine,
    calls: &Calls,
) {
    let &[buffers, sizes, scratch, from, to] = args else { unreachable!("five parameters") };
    let signature = &routine.signature;
    let scope = symbols(cx, routine, sizes);
    let inside = Sizes { shapes: &signature.shapes, scope: &scope };
    let zero = cx.int(0);
    let operands: Vec<&Operand> =
        [&it.q, &it.k, &it.v].into_iter().chain(&it.mask).chain([&it.result]).collect();
    let places: Vec<Place> = operands
        .iter()
        .enumerate()
        .map(|(i, operand)| {
            let pointer = table_word(cx, buffers, i);
            let mut strides = operand.strides(cx, &inside);
            for (i, stride) in strides.iter_mut().enumerate() {
                if it.is_one(operand, i) {
                    *stride = zero;
                }
            }
            Place { pointer, strides }
        })
        .collect();
    let extent = |cx: &mut FunctionCx<'_>, operand: &Operand, i: usize| {
        operand.last(i).map_or(zero, |dim| inside.value(cx, dim))
    };
    let (m, d) = (extent(cx, &it.q, 1), extent(cx, &it.q, 0));
    let (n, e) = (extent(cx, &it.k, 1), extent(cx, &it.v, 0));
    let batch: Vec<Value> = (2..it.result.rank()).map(|i| extent(cx, &it.result, i)).collect();
    // From one row to the next, or from one column where these are not neighbours.
    let apart = |operand: usize| {
        let Place { strides, .. } = &places[operand];
        if operands[operand].dense() == Some(0) { strides[1] } else { strides[0] }
    };
    let (q_row, k_row, v_row) = (apart(0), apart(1), apart(2));
    // The sum of nothing is not divided by 0.
    let some = cx.b.ins().icmp_imm_s(IntCC::SignedGreaterThan, n, 0);
    let one = cx.int(i64::from(1.0_f32.to_bits()));
    let first = cx.b.ins().select(some, zero, one);

    let flow = &mut Flow { b: &mut cx.b };
    let queries = flow.int(layouts.queries);
    let blocks = flow.ceil_div(m, queries);
    let tile = i64::from(layouts.scores.tile.rows);
    let height = flow.balanced(m, layouts.queries, tile);
    let width = flow.balanced(n, layouts.keys, layouts.scores.columns());
    let most = scratch;
    let sums = flow.offset(most, layouts.queries * LANE);
    let scores = flow.offset(scratch, remembered(layouts.queries));
    let row = flow.int(layouts.row);
    let result = flow.offset(scores, layouts.queries * layouts.row);
    let result_row = flow.round_up(e, 16);
    let result_row = flow.scale(result_row, LANE);
    let workspace = flow.at_scaled(result, result_row, layouts.queries);
    let [begin, weigh, end] = calls.programs;
    let [product, mean] = calls.products;
    flow.range(from, to, 1, |flow, unit| {
        let block = flow.rem(unit, blocks);
        let mut rest = flow.div(unit, blocks);
        let mut at: Vec<Value> = places.iter().map(|it| it.pointer).collect();
        for (i, extent) in batch.iter().enumerate() {
            let index = flow.rem(rest, *extent);
            rest = flow.div(rest, *extent);
            for (at, place) in at.iter_mut().zip(&places) {
                if let Some(stride) = place.strides.get(i + 2) {
                    *at = flow.at(*at, index, *stride);
                }
            }
        }
        let start = flow.mul(block, height);
        let left = flow.sub(m, start);
        let rows = flow.min(left, height);
        // Blocks are whole tiles, so that the last ones may have nothing left.
        let rows = flow.max(rows, zero);
        let q = flow.at(at[0], start, places[0].strides[1]);
        let mask = it.mask.as_ref().map(|_| {
            let row = places[3].strides.get(1).copied().unwrap_or(zero);
            (flow.at(at[3], start, row), row)
        });
        let out = places.len() - 1;
        let (to, to_row) = (flow.at(at[out], start, places[out].strides[1]), places[out].strides[1]);
        flow.call(begin, &[most, sums, result, result_row, rows, e, first]);
        flow.range_by(zero, n, width, |flow, key| {
            let left = flow.sub(n, key);
            let keys = flow.min(left, width);
            let k = flow.at(at[1], key, places[1].strides[1]);
            let v = flow.at(at[2], key, places[2].strides[1]);
            flow.call(product, &[q, k, scores, rows, keys, d, q_row, k_row, row, workspace]);
            let mut values = vec![scores, row, rows, keys, most, sums, result, result_row, e];
            if let Some((at, row)) = mask {
                values.extend([flow.at(at, key, places[3].strides[0]), row]);
            }
            flow.call(weigh, &values);
            flow.call(mean, &[scores, v, result, rows, e, keys, row, v_row, result_row, workspace]);
        });
        flow.call(end, &[result, result_row, sums, to, to_row, rows, e]);
    });
}

/// Where an operand begins, and bytes from one element to the next along its dimensions, from the last one; 0 where there
/// is only one.
struct Place {
    pointer: Value,
    strides: Vec<Value>,
}
