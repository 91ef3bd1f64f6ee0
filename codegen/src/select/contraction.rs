//! Matrix products.

use indexmap::IndexMap;
use orogen_ir::loops::{BinaryOp, Combine, Expr, ExprId, Stage};
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::DType;

use super::access::{Access, Collapsed, collapse};
use super::epilogue::{Chain, chain, is_fill};
use super::forms::{Panels, ParamForm};
use super::routine::Routine;
use super::selector::{Match, Selector, pairs, symbols};
use super::tree::{Arg, Call, Node};
use crate::kernels::epilogue::Operand;
use crate::kernels::gemm::{Gemm, Layout, Tile};

/// Rows below which a B that must not be packed is read in place.
const FEW_ROWS: i64 = 16;

/// The two loads of a sum of products of f32.
pub(crate) fn product_loads(s: &Selector<'_>, stage: &Stage) -> Option<[ExprId; 2]> {
    let program = s.program;
    if stage.combine != Some(Combine::Sum) || program.buffers[stage.buffer].dtype != DType::F32 {
        return None;
    }
    let Expr::Binary(BinaryOp::Mul, x, y) = &program.exprs[stage.value] else { return None };
    let strip = |mut id: ExprId| {
        while let Expr::Cast(to, inner) = &program.exprs[id]
            && program.dtype_of(*inner) == *to
        {
            id = *inner;
        }
        id
    };
    let loads = [strip(*x), strip(*y)];
    let fits =
        |id: ExprId| matches!(&program.exprs[id], Expr::Load { .. }) && program.dtype_of(id) == DType::F32;
    loads.iter().all(|it| fits(*it)).then_some(loads)
}

/// Which operand of the product a matrix is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    A,
    B,
}

/// A matrix operand: strides along the axes of the product.
struct Matrix {
    side: Side,
    access: Access,
    /// Along the free axis, when there is one.
    free: Option<Dim>,
    /// Along the sum.
    depth: Dim,
}

/// A stage that is a matrix product, perhaps inside loops.
pub(crate) fn matrix_product(s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
    let stage = *run.first()?;
    let loads = product_loads(s, stage)?;
    let vars = symbols(stage);
    let mut access = |id: ExprId| match &s.program.exprs[id] {
        Expr::Load { buffer, at, otherwise: None } => {
            Access::new(s.program, &mut s.shapes, *buffer, at, &vars)
        }
        _ => None,
    };
    let (x, y) = (access(loads[0])?, access(loads[1])?);
    let out = Access::new(s.program, &mut s.shapes, stage.buffer, &stage.at, &vars)?;
    let sum = collapse(&mut s.shapes, &pairs(&stage.reduce), &[&x, &y])?;
    let [sum] = &sum[..] else { return None };
    let axes: Vec<(Sym, Dim)> =
        pairs(&stage.axes).into_iter().filter(|it| s.shapes.as_int(it.1) != Some(1)).collect();
    let (inner, _) = *axes.last()?;
    if s.shapes.as_int(out.of(inner)?) != Some(1) {
        return None;
    }
    let (a, b) = match (x.uses(inner), y.uses(inner)) {
        (true, false) => (y, x),
        (false, true) => (x, y),
        _ => return None,
    };

    // Columns: the innermost axes that only B has. Rows: the axes before them that only A has.
    let only_b = |it: &&(Sym, Dim)| b.uses(it.0) && !a.uses(it.0);
    let only_a = |it: &&(Sym, Dim)| a.uses(it.0) && !b.uses(it.0);
    let count = axes.iter().rev().take_while(only_b).count();
    let columns = collapse(&mut s.shapes, &axes[axes.len() - count..], &[&b, &out])?;
    let column = columns.last()?.clone();
    let left = &axes[..axes.len() - column.axes.len()];
    let count = left.iter().rev().take_while(only_a).count();
    let rows = collapse(&mut s.shapes, &left[left.len() - count..], &[&a, &out])?;
    let row = rows.last().cloned();
    let taken = row.as_ref().map_or(0, |it| it.axes.len());
    let outer: Vec<(Sym, Dim)> = left[..left.len() - taken].to_vec();

    let one = s.shapes.int(1);
    let m = row.as_ref().map_or(one, |it| it.count);
    let free = row.as_ref().and_then(|it| a.of(it.inner));
    let a = Matrix { side: Side::A, free, depth: a.of(sum.inner)?, access: a };
    let b = Matrix { side: Side::B, free: b.of(column.inner), depth: b.of(sum.inner)?, access: b };
    let product = Product { m, n: column.count, k: sum.count, a, b, out, row, column, outer };
    product.emit(s, run)
}

struct Product {
    m: Dim,
    n: Dim,
    k: Dim,
    a: Matrix,
    b: Matrix,
    out: Access,
    row: Option<Collapsed>,
    column: Collapsed,
    outer: Vec<(Sym, Dim)>,
}

impl Product {
    fn emit(&self, s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
        let outer: Vec<Sym> = self.outer.iter().map(|it| it.0).collect();
        let (chain, operands) = self.chain(s, run);
        let kinds: Vec<Operand> = operands.iter().map(|it| it.kind).collect();

        let tile = Tile::of(s.isa);
        let columns = i64::from(tile.columns(s.isa));
        let rows = i64::from(tile.rows);
        let few = s.shapes.as_int(self.m).is_some_and(|m| m <= FEW_ROWS);
        let fixed = s.shapes.as_int(self.m);
        let (a_layout, a_stride) = match self.layout(s, &self.a, rows)? {
            (Layout::RowMajor, stride) if fixed == Some(1) => (Layout::Direct, stride),
            other => other,
        };
        let (b_layout, b_stride) = match self.layout(s, &self.b, columns)? {
            (Layout::RowMajor, stride) if few => (Layout::Direct, stride),
            other => other,
        };
        // A vector times rows: every row is read once, where it lies.
        if self.row.is_none() && b_layout == Layout::Transposed {
            return None;
        }
        let gemm = Gemm { m: fixed, epilogue: chain.steps(&kinds), ..Gemm::new(s.isa, a_layout, b_layout) };
        let key = format!("{a_layout:?} {b_layout:?} {fixed:?} {}", chain.key(&kinds));
        let zero = s.shapes.int(0);
        let extents = [self.m, self.n, self.k];
        s.lawful(|shapes| gemm.laws(shapes, extents))?;
        let workspace = gemm.workspace_over(&mut s.shapes, extents).ok()?;

        // One dimension of the result is divided among threads: columns when there are few rows, or when rows would
        // make every thread pack B.
        let packs_b = matches!(b_layout, Layout::RowMajor | Layout::Transposed);
        let by_columns = self.row.is_none() || few || packs_b;
        let (unit, whole) = if by_columns { (columns, self.n) } else { (rows, self.m) };
        let use_range = s.ranged && outer.is_empty();
        let (first, last, units) =
            if use_range { s.range(unit, whole)? } else { (zero, whole, s.shapes.int(1)) };
        let extent = s.shapes.sub(last, first).ok()?;
        let (m, n) = if by_columns { (self.m, extent) } else { (extent, self.n) };

        let mut args = Vec::new();
        let a_skip = if by_columns { zero } else { self.skip(s, &self.a, a_layout, first)? };
        let b_skip = if by_columns { self.skip(s, &self.b, b_layout, first)? } else { zero };
        args.push(pointer(s, &self.a.access, a_layout, &outer, a_skip)?);
        args.push(pointer(s, &self.b.access, b_layout, &outer, b_skip)?);
        let moved = if by_columns { Some(self.column.inner) } else { self.row.as_ref().map(|it| it.inner) };
        let target = Access { buffer: chain.target, ..self.out.clone() };
        args.push(Arg::Pointer(target.buffer, self.moved(s, &target, &outer, moved, first)?));
        args.extend([m, n, self.k, a_stride, b_stride].map(Arg::Size));
        let row_stride = match self.row.as_ref().and_then(|it| self.out.of(it.inner)) {
            Some(stride) => s.shapes.scale(stride, 4).ok()?,
            None => zero,
        };
        args.push(Arg::Size(row_stride));
        args.push(Arg::Workspace(zero));
        for operand in &operands {
            let moves = match (operand.kind, by_columns) {
                (Operand::Row, true) | (Operand::Column, false) => None,
                _ => moved,
            };
            let at = self.moved(s, &operand.access, &outer, moves, first)?;
            args.push(Arg::Pointer(operand.access.buffer, at));
            if operand.kind == Operand::Full {
                args.push(Arg::Size(operand.stride));
            }
        }
        let symbol = s.routine("gemm", &key, || Routine::Gemm(Box::new(gemm)));
        self.claim(s, &self.a, a_layout, rows);
        self.claim(s, &self.b, b_layout, columns);
        let show = |dim: Dim| s.shapes.display(dim).to_string();
        let epilogue = if chain.is_empty() { String::new() } else { format!(", {} fused", chain.stages) };
        let what = format!(
            "gemm {}x{}x{} (A {a_layout:?}, B {b_layout:?}{epilogue})",
            show(self.m),
            show(self.n),
            show(self.k)
        );
        let node = Node::Call(Box::new(Call { symbol, args, workspace, what }));
        let node = s.wrap(&self.outer, node, true);
        Some(Match { node, stages: 1 + chain.stages, units: use_range.then_some(units) })
    }

    /// Layout and row stride in bytes. A's rows are its free axis, B's are the sum: so "row-major" is a unit stride
    /// along the sum for A, and along the free axis for B.
    fn layout(&self, s: &mut Selector<'_>, matrix: &Matrix, width: i64) -> Option<(Layout, Dim)> {
        let is_a = matrix.side == Side::A;
        if self.panels(s, matrix, width).is_some() {
            return Some((Layout::Packed, s.shapes.int(0)));
        }
        let unit = |dim: Dim| s.shapes.as_int(dim) == Some(1);
        let (layout, stride) = match matrix.free {
            _ if unit(matrix.depth) => {
                let free = matrix.free.unwrap_or(self.k);
                (if is_a { Layout::RowMajor } else { Layout::Transposed }, free)
            }
            Some(free) if unit(free) => {
                (if is_a { Layout::Transposed } else { Layout::RowMajor }, matrix.depth)
            }
            // One row: its elements are anywhere, as a column of a transposed matrix.
            None if is_a => (Layout::Transposed, matrix.depth),
            _ => return None,
        };
        Some((layout, s.shapes.scale(stride, 4).ok()?))
    }

    /// The panels of a constant operand.
    fn panels(&self, s: &mut Selector<'_>, matrix: &Matrix, width: i64) -> Option<Panels> {
        let is_a = matrix.side == Side::A;
        s.packable(matrix.access.buffer)?;
        let batched = self.outer.iter().any(|it| matrix.access.uses(it.0));
        if batched || s.shapes.as_int(matrix.access.rest) != Some(0) {
            return None;
        }
        let count = s.shapes.as_int(if is_a { self.m } else { self.n })?;
        let stride = match matrix.free {
            Some(free) => s.shapes.as_int(free)?,
            None => 0,
        };
        let panels = Panels {
            groups: 1,
            group_stride: 0,
            count,
            stride,
            depth: s.shapes.as_int(self.k)?,
            depth_stride: s.shapes.as_int(matrix.depth)?,
            width,
        };
        let dims = s.program.buffers[matrix.access.buffer].dims.clone();
        let elements = s.shapes.product(&dims).ok()?;
        let elements = usize::try_from(s.shapes.as_int(elements)?).ok()?;
        panels.fits(elements).then_some(panels)
    }

    /// Notes that a constant is wanted in panels.
    fn claim(&self, s: &mut Selector<'_>, matrix: &Matrix, layout: Layout, width: i64) {
        if layout == Layout::Packed
            && let Some(panels) = self.panels(s, matrix, width)
            && let Some(place) = s.packable(matrix.access.buffer)
        {
            s.forms[place] = ParamForm::Panels(panels);
        }
    }

    /// Bytes to the first row (A) or column (B) of a range.
    fn skip(&self, s: &mut Selector<'_>, matrix: &Matrix, layout: Layout, first: Dim) -> Option<Dim> {
        let per = match layout {
            Layout::Packed => self.k,
            _ => matrix.free?,
        };
        let elements = s.shapes.mul(first, per).ok()?;
        s.shapes.scale(elements, 4).ok()
    }

    /// Bytes to the position of an access in the current outer iteration, `first` steps along an axis.
    fn moved(
        &self,
        s: &mut Selector<'_>,
        access: &Access,
        outer: &[Sym],
        along: Option<Sym>,
        first: Dim,
    ) -> Option<Dim> {
        let mut bytes = access.bytes_at(&mut s.shapes, outer, 4)?;
        if let Some(coefficient) = along.and_then(|it| access.of(it)) {
            let elements = s.shapes.mul(first, coefficient).ok()?;
            let skip = s.shapes.scale(elements, 4).ok()?;
            bytes = s.shapes.add(bytes, skip).ok()?;
        }
        Some(bytes)
    }

    /// The elementwise stages that follow, and how their operands are read.
    fn chain(&self, s: &mut Selector<'_>, run: &[&Stage]) -> (Chain, Vec<Bound>) {
        let fill = is_fill(s.program, run[0]);
        let program = s.program;
        let mut shapes = s.shapes.clone();
        let mut bind = |at: usize, id: ExprId| self.operand(s, &mut shapes, run, at, id);
        let chain = if fill {
            chain(program, run, &mut |at, id| bind(at, id).is_some())
        } else {
            chain(program, &run[..1], &mut |_, _| false)
        };
        let operands = chain.operands.iter().filter_map(|(at, id)| bind(*at, *id)).collect();
        s.shapes = shapes;
        (chain, operands)
    }

    fn operand(
        &self,
        s: &Selector<'_>,
        shapes: &mut orogen_ir::shape::ShapeCx,
        run: &[&Stage],
        at: usize,
        id: ExprId,
    ) -> Option<Bound> {
        let stage = run[at];
        let Expr::Load { buffer, at: index, otherwise: None } = &s.program.exprs[id] else { return None };
        let access = Access::new(s.program, shapes, *buffer, index, &symbols(stage))?;
        // The same dimension of the result has another axis in each stage.
        let access = access.renamed(&same_axes(s, run[0], stage)?);
        let row = self.row.as_ref();
        let zero = shapes.int(0);
        let mut spans = |whole: &Collapsed| -> Option<Dim> {
            // All axes of the group as one, or none of them.
            let mut stride = access.of(whole.inner).unwrap_or(zero);
            let inner = stride;
            for pair in whole.axes.windows(2).rev() {
                let extent = self.extent(run[0], pair[1])?;
                stride = shapes.mul(stride, extent).ok()?;
                if access.of(pair[0]).unwrap_or(zero) != stride {
                    return None;
                }
            }
            Some(inner)
        };
        let by_column = spans(&self.column)?;
        let by_row = match row {
            Some(row) => spans(row)?,
            None => zero,
        };
        let as_int = |dim: Dim| shapes.as_int(dim);
        let kind = match (as_int(by_row), as_int(by_column)) {
            (Some(0), Some(1)) => Operand::Column,
            (Some(1), Some(0)) => Operand::Row,
            (_, Some(1)) => Operand::Full,
            _ => return None,
        };
        let stride = shapes.scale(by_row, 4).ok()?;
        Some(Bound { access, kind, stride })
    }

    fn extent(&self, stage: &Stage, axis: Sym) -> Option<Dim> {
        stage.axes.iter().find(|it| it.var == axis).map(|it| it.extent)
    }
}

/// An operand of the epilogue.
struct Bound {
    access: Access,
    kind: Operand,
    /// From row to row, in bytes.
    stride: Dim,
}

/// Axes of `stage` that stand for axes of `first`: both fill buffers of the same dimensions.
pub(crate) fn same_axes(s: &Selector<'_>, first: &Stage, stage: &Stage) -> Option<IndexMap<Sym, Sym>> {
    let mut map = IndexMap::new();
    for (own, other) in first.at.iter().zip(&stage.at) {
        let (own, other) = (own.dim()?, other.dim()?);
        match (s.shapes.as_sym(own), s.shapes.as_sym(other)) {
            (Some(own), Some(other)) => {
                map.insert(other, own);
            }
            (None, None) => {}
            // A dimension of one element.
            _ => {}
        }
    }
    Some(map)
}

fn pointer(s: &mut Selector<'_>, access: &Access, layout: Layout, outer: &[Sym], skip: Dim) -> Option<Arg> {
    let start = match layout {
        Layout::Packed => s.shapes.int(0),
        _ => access.bytes_at(&mut s.shapes, outer, 4)?,
    };
    Some(Arg::Pointer(access.buffer, s.shapes.add(start, skip).ok()?))
}
