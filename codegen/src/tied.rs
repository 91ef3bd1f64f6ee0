//! Tables that are weights of a product too, such as those of an embedding that is the last layer turned around, are in a
//! library once: kernels that take rows of the table read them out of the panels of the product.
//!
//! * **TW1** Every element of the table is the element of the weights that it stands for, bit by bit; this is looked at.
//! * **TW2** An index out of range is told of as before: in the same dimension, which has the same size.
//! * **TW3** Nothing changes where something reads the table otherwise than by rows that data choose.
//!
//! A row is as many cache lines as panels have steps then. That is little beside the product, which reads all of them.

use indexmap::{IndexMap, IndexSet};
use orogen_ir::kernel::Kernel as PlanKernel;
use orogen_ir::loops::{Buffer, Expr, ExprId, Index, TensorProgram};
use orogen_ir::plan::{BufferRef, PlanInput, PlanModule, for_each_kernel};
use orogen_ir::scalar::{BinaryOp, CompareOp};
use orogen_ir::types::{ConstId, ConstPool, DType, TensorData};

use crate::clif::entry::plain_constants;
use crate::clif::kernel::Kernel;
use crate::select::forms::{Panels, ParamForm};

/// Bytes of the smallest table that is looked for.
const LEAST: usize = 1 << 16;
/// Rows and columns that are compared at a time, so that both sides are read in whole cache lines.
const TILE: usize = 32;

/// A table, and the weights that it is in the order of panels.
#[derive(Debug)]
pub(crate) struct Tie {
    pub(crate) table: ConstId,
    /// Its panels: those of the weights, said of the table.
    pub(crate) panels: Panels,
    pub(crate) weights: ConstId,
    pub(crate) of_weights: Panels,
    /// Kernels that take rows of the table, by which parameter, and what they are then.
    pub(crate) readers: Vec<(usize, usize, TensorProgram)>,
}

/// What a constant is given to: kernels and their parameters.
type Uses = IndexMap<ConstId, IndexSet<(usize, usize)>>;

/// The ties of a module, and nothing else where there are none.
pub(crate) fn ties(module: &PlanModule, kernels: &[Option<Kernel>]) -> Vec<Tie> {
    let Some(pool) = module.constants() else { return Vec::new() };
    let is_large = |id: &ConstId| pool.data(*id).bytes().len() >= LEAST;
    if !pool.ids().any(|it| is_large(&it)) {
        return Vec::new();
    }
    let mut uses = Uses::new();
    let mut fixed: IndexMap<(usize, usize), IndexSet<BufferRef>> = IndexMap::new();
    let mut plain = IndexSet::new();
    for plan in &module.functions {
        plain.extend(plan.inputs.iter().filter_map(PlanInput::default_value));
        plain_constants(&plan.steps, &mut plain);
        for_each_kernel(&plan.steps, &mut |kernel, args, _| {
            for (param, arg) in args.iter().enumerate() {
                let place = (kernel as usize, param);
                fixed.entry(place).or_default().insert(*arg);
                if let BufferRef::Constant(id) = arg {
                    uses.entry(*id).or_default().insert(place);
                }
            }
        });
    }
    let form = |(kernel, param): &(usize, usize)| kernels[*kernel].as_ref().map(|it| &it.forms[*param]);
    let tables = uses.iter().filter(|(id, places)| {
        is_large(id)
            && !plain.contains(*id)
            && places.iter().any(|it| form(it).is_some_and(is_whole))
            && places.iter().all(|it| form(it).is_some() && fixed[it].len() == 1)
    });
    let in_panels: Vec<(ConstId, Panels)> = uses
        .iter()
        .filter(|(id, _)| is_large(id))
        .flat_map(|(id, places)| places.iter().map(|it| (*id, form(it))))
        .filter_map(|(id, form)| match form {
            Some(ParamForm::Panels(panels)) => Some((id, *panels)),
            _ => None,
        })
        .collect();
    let mut taken = IndexSet::new();
    let tie = |(table, places): (&ConstId, &IndexSet<(usize, usize)>)| {
        let data = pool.data(*table);
        let tied = |it: &(ConstId, Panels)| Some((*it, order_if_tied(data, pool, it)?));
        let ((weights, of_weights), order) = in_panels.iter().find_map(tied)?;
        let panels = Panels { stride: of_weights.depth, depth_stride: 1, ..of_weights };
        let rows = places.iter().filter(|it| form(it).is_some_and(is_whole));
        let readers = rows.map(|(kernel, param)| {
            let PlanKernel::Program(program) = &module.kernels()[*kernel] else { return None };
            Some((*kernel, *param, by_panels(program, *param, order)?))
        });
        let readers: Vec<_> = readers.collect::<Option<_>>()?;
        // What reads two tables is made anew for one.
        if !readers.iter().all(|it| taken.insert(it.0)) {
            return None;
        }
        Some(Tie { table: *table, panels, weights, of_weights, readers })
    };
    tables.filter_map(tie).collect()
}

/// Whether a parameter is read as constants are.
pub(crate) fn is_whole(form: &ParamForm) -> bool {
    matches!(form, ParamForm::Plain | ParamForm::Packed)
}

/// Where elements are in panels, in elements: `[panel][steps][width][terms]`.
#[derive(Clone, Copy, Debug)]
struct Order {
    width: i64,
    /// Neighbours along a row that stand side by side.
    terms: i64,
    /// How many of them a panel has, those that its sums take the place of with them.
    steps: i64,
}

impl Order {
    /// That of panels; `None` where a row does not end with a step, or sums are not so many steps.
    fn of(panels: &Panels) -> Option<Order> {
        let shared = panels.in_a_byte;
        let along = shared > 1 && !panels.flat;
        let terms = if along { shared } else { panels.terms };
        let steps = panels.depth.checked_add(terms - 1)? / terms;
        let sums = if panels.sums { 4 * shared / panels.element } else { 0 };
        let whole = panels.block == panels.depth
            && panels.inner == 1
            && sums % terms == 0
            && (!panels.flat || steps * terms % shared == 0);
        whole.then_some(Order { width: panels.width, terms, steps: steps + sums / terms })
    }
}

/// Where elements of a table are in panels of weights, if law TW1 holds of them.
fn order_if_tied(
    table: &TensorData,
    pool: &ConstPool,
    (weights, panels): &(ConstId, Panels),
) -> Option<Order> {
    let weights = pool.data(*weights);
    let dtype = table.dtype();
    let size = dtype.size();
    let [rows, depth] = table.dims()[..] else { return None };
    let plain = Panels {
        stride: panels.stride,
        depth_stride: panels.depth_stride,
        element: size as i64,
        // There is one group.
        group_stride: panels.group_stride,
        terms: panels.terms,
        sums: panels.sums,
        in_a_byte: dtype.in_a_byte() as i64,
        flat: panels.flat,
        ..Panels::plain(rows.cast_signed(), depth.cast_signed(), panels.width)
    };
    let order = Order::of(panels)?;
    if *panels != plain || weights.dtype() != dtype || !panels.fits(weights.len()) {
        return None;
    }
    let (rows, depth) = (rows as usize, depth as usize);
    let [stride, depth_stride] = [panels.stride, panels.depth_stride].map(|it| it as usize);
    let is_packed = dtype.in_a_byte() > 1;
    let (bytes, of_weights) = (table.bytes(), weights.bytes());
    let equal = |row: usize, k: usize| {
        let (own, other) = (row * depth + k, row * stride + k * depth_stride);
        if is_packed {
            return table.bits(own) == weights.bits(other);
        }
        let [own, other] = [own, other].map(|it| size * it);
        bytes.get(own..own + size) == of_weights.get(other..other + size)
    };
    let mut tiles = (0..rows).step_by(TILE).flat_map(|row| (0..depth).step_by(TILE).map(move |k| (row, k)));
    let same = tiles.all(|(row, k)| {
        (row..rows.min(row + TILE)).all(|row| (k..depth.min(k + TILE)).all(|k| equal(row, k)))
    });
    same.then_some(order)
}

/// A program whose parameter is a table that lies in panels; `None` where it reads rows that no data choose.
fn by_panels(program: &TensorProgram, param: usize, order: Order) -> Option<TensorProgram> {
    let buffer = *program.params.get(param)?;
    let mut program = program.clone();
    let [rows, _] = program.buffers[buffer].dims[..] else { return None };
    let Order { width, terms, steps } = order;
    let count = program.shapes.as_int(rows)?;
    let loads: Vec<(ExprId, Index, Index, Option<ExprId>)> = program
        .exprs
        .iter()
        .filter_map(|(id, it)| match it {
            Expr::Load { buffer: from, at, otherwise } if *from == buffer => {
                Some((id, at[0].clone(), at[1].clone(), *otherwise))
            }
            _ => None,
        })
        .collect();
    let mut chosen: IndexMap<ExprId, [ExprId; 2]> = IndexMap::new();
    for (load, row, k, otherwise) in loads {
        let (Index::Checked(index), Index::Dim(k), None) = (&row, &k, otherwise) else { return None };
        // A place is computed in i64, where the largest indices without a sign would count from the end.
        if program.dtype_of(*index) == DType::U64 {
            return None;
        }
        let [panel, lane] = match chosen.get(index) {
            Some(known) => *known,
            None => {
                let places = panel_and_lane(&mut program, *index, count, width);
                chosen.insert(*index, places);
                places
            }
        };
        let step = program.shapes.floor_div(*k, terms).ok()?;
        let term = program.shapes.modulo(*k, terms).ok()?;
        let at = [Index::Checked(panel), Index::Dim(step), Index::Value(lane), Index::Dim(term)];
        let at = at.into_iter().collect();
        program.exprs[load] = Expr::Load { buffer, at, otherwise: None };
    }
    // The first extent says what is in range alone: places follow from the others.
    let [steps, lanes, terms] = [steps, width, terms].map(|it| program.shapes.int(it));
    let dims = [rows, steps, lanes, terms].into_iter().collect();
    program.buffers[buffer] = Buffer { dims, ..program.buffers[buffer].clone() };
    Some(program)
}

/// The panel of a row, or the index itself where that is out of range, and its place in the panel.
fn panel_and_lane(program: &mut TensorProgram, index: ExprId, count: i64, width: i64) -> [ExprId; 2] {
    let exprs = &mut program.exprs;
    let mut add = |it: Expr| exprs.alloc(it);
    let index = add(Expr::Cast(DType::I64, index));
    let [zero, rows, least, lanes] = [0, count, -count, width].map(|it| add(Expr::Int(it, DType::I64)));
    let is_negative = add(Expr::Compare(CompareOp::Lt, index, zero));
    let from_end = add(Expr::Binary(BinaryOp::Add, index, rows));
    let row = add(Expr::Select(is_negative, from_end, index));
    let is_enough = add(Expr::Compare(CompareOp::Ge, index, least));
    let is_less = add(Expr::Compare(CompareOp::Lt, index, rows));
    let is_inside = add(Expr::Binary(BinaryOp::And, is_enough, is_less));
    let panel = add(Expr::Binary(BinaryOp::Div, row, lanes));
    let panel = add(Expr::Select(is_inside, panel, index));
    let lane = add(Expr::Binary(BinaryOp::Mod, row, lanes));
    [panel, lane]
}
