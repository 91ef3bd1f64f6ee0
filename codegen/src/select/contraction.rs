//! Matrix products.

use indexmap::IndexMap;
use orogen_ir::loops::{Expr, ExprId, Stage};
use orogen_ir::shape::{Dim, Sym};

use super::access::{Access, Collapsed, collapse};
use super::epilogue::{Chain, Kind, MOST_REPEATED, chain, is_fill};
use super::forms::{Panels, ParamForm};
use super::product::{Term, products};
use super::routine::Routine;
use super::scaled::{BlockScales, Constant, block_scales};
use super::selector::{Match, PLAIN, PRODUCT, Selector, pairs, symbols};
use super::tree::{Arg, Call, Node};
use crate::kernels::element::Element;
use crate::kernels::epilogue::{self, Operand};
use crate::kernels::gemm::{Arithmetic, Factor, Gemm, Layout, Packing, Side, Zero};
use crate::vector::Storage;

/// Rows below which a B that must not be packed is read in place.
const FEW_ROWS: i64 = 16;

/// A matrix operand: strides along the axes of the product.
struct Matrix {
    side: Side,
    access: Access,
    element: Element,
    /// Its zero points: where they are read, and how many there are.
    zero: Option<(Access, Zero)>,
    /// Along the free axis, when there is one.
    free: Option<Dim>,
    /// Along the sum.
    depth: Option<Dim>,
    /// Its scales, where it is scaled block by block of the sum.
    blocks: Option<BlockScales>,
}

/// A stage that is a matrix product, perhaps inside loops.
pub(crate) fn matrix_product(s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
    let stage = *run.first()?;
    let found = products(s.program, stage)?;
    let vars = symbols(stage);
    let mut access = |id: ExprId| match &s.program.exprs[id] {
        Expr::Load { buffer, at, otherwise: None } => {
            Access::new(s.program, &mut s.shapes, *buffer, at, &vars)
        }
        _ => None,
    };
    let [x_term, y_term] = found.terms;
    let (x, y) = (access(x_term.load)?, access(y_term.load)?);
    let out = Access::new(s.program, &mut s.shapes, stage.buffer, &stage.at, &vars)?;
    let sum = collapse(&mut s.shapes, &pairs(&stage.reduce), &[&x, &y])?;
    let [sum] = &sum[..] else { return None };
    let axes: Vec<(Sym, Dim)> =
        pairs(&stage.axes).into_iter().filter(|it| s.shapes.as_int(it.1) != Some(1)).collect();
    let (inner, _) = *axes.last()?;
    if s.shapes.as_int(out.of(inner)?) != Some(1) {
        return None;
    }
    let ((a, a_term), (b, b_term)) = match (x.uses(inner), y.uses(inner)) {
        (true, false) => ((y, y_term), (x, x_term)),
        (false, true) => ((x, x_term), (y, y_term)),
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
    if a_term.scale.is_some() {
        return None;
    }
    let a_zero = zero_point(s, &a_term, &vars, row.as_ref(), &outer)?;
    let (b_zero, blocks) = match b_term.scale {
        None => (zero_point(s, &b_term, &vars, Some(&column), &outer)?, None),
        Some(scale) => {
            let parts: Vec<ExprId> = [scale].into_iter().chain(b_term.zero).collect();
            (None, Some(block_scales(s, stage, (b_term.element, &parts), &vars, &column)?))
        }
    };
    let matrix = |side, access: Access, term: Term, zero, free, blocks| Matrix {
        side,
        depth: access.of(sum.inner),
        access,
        element: term.element,
        zero,
        free,
        blocks,
    };
    let b_free = b.of(column.inner);
    let a = matrix(Side::A, a, a_term, a_zero, free, None);
    let b = matrix(Side::B, b, b_term, b_zero, b_free, blocks);
    let arithmetic = found.arithmetic;
    let floats = found.floats;
    let mut product =
        Product { arithmetic, floats, m, n: column.count, k: sum.count, a, b, out, row, column, outer };
    if product.in_bytes(s) {
        product.arithmetic = Arithmetic::Quads(Side::B);
    }
    product.emit(s, run)
}

/// Where the zero points of a factor are, if it has some: one for all, or one for each index of its free axis, in each
/// iteration of the loops around the product. The outer `None`: they are anything else.
#[allow(clippy::option_option, reason = "no zero points, or none that can be read")]
fn zero_point(
    s: &mut Selector<'_>,
    term: &Term,
    vars: &[Sym],
    free: Option<&Collapsed>,
    outer: &[(Sym, Dim)],
) -> Option<Option<(Access, Zero)>> {
    let Some(id) = term.zero else { return Some(None) };
    let Expr::Load { buffer, at, otherwise: None } = &s.program.exprs[id] else { return None };
    let access = Access::new(s.program, &mut s.shapes, *buffer, at, vars)?;
    let along = |axis: Sym| free.is_some_and(|it| it.axes.contains(&axis));
    let used: Vec<Sym> = vars.iter().copied().filter(|it| access.uses(*it)).collect();
    if used.iter().any(|it| !along(*it) && outer.iter().all(|axis| axis.0 != *it)) {
        return None;
    }
    let kind = if !used.iter().any(|it| along(*it)) {
        Zero::One
    } else {
        let free = free?;
        let dense = free.axes.len() == 1 && s.shapes.as_int(access.of(free.inner)?) == Some(1);
        dense.then_some(Zero::Each)?
    };
    Some(Some((access, kind)))
}

struct Product {
    arithmetic: Arithmetic,
    /// Whether products of integers are added as floats.
    floats: bool,
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
    /// Whether bytes can be multiplied as they are: with constant columns, which are signed and have no zero points.
    fn in_bytes(&self, s: &mut Selector<'_>) -> bool {
        let columns = i64::from(s.tile.columns(s.isa));
        let one = self.a.zero.as_ref().is_none_or(|it| it.1 == Zero::One);
        let signed = are_signed_bytes(self.b.element) && self.b.zero.is_none();
        s.isa.has_byte_dot()
            && self.arithmetic == Arithmetic::Pairs
            && !self.floats
            && self.a.element.is_byte()
            && one
            && signed
            && self.panels(s, &self.b, columns).is_some()
    }

    fn emit(&self, s: &mut Selector<'_>, run: &[&Stage]) -> Option<Match> {
        let outer: Vec<Sym> = self.outer.iter().map(|it| it.0).collect();
        let (chain, operands) = self.chain(s, run);
        let kinds: Vec<Kind> = operands.iter().map(|it| (it.kind, it.element)).collect();

        let tile = s.tile;
        let columns = i64::from(tile.columns_of(s.isa, self.arithmetic.width()));
        let rows = i64::from(tile.rows);
        let few = s.shapes.as_int(self.m).is_some_and(|m| m <= FEW_ROWS);
        let fixed = s.shapes.as_int(self.m);
        let grouped = self.arithmetic.terms() > 1;
        let constant_b = self.panels(s, &self.b, columns).is_some();
        let (a_layout, a_stride) = match self.layout(s, &self.a, rows, constant_b)? {
            (Layout::RowMajor, stride) if fixed == Some(1) && !grouped => (Layout::Direct, stride),
            other => other,
        };
        // What is narrower than a lane is read under a mask one by one, where masks are of lanes.
        let in_place = !grouped
            && few
            && (self.b.element == self.arithmetic.lane()
                || s.isa.is_avx512()
                || s.shapes.as_int(self.n).is_some_and(|n| n % columns == 0));
        let (b_layout, b_stride) = match self.layout(s, &self.b, columns, false)? {
            (Layout::RowMajor, stride) if in_place => (Layout::Direct, stride),
            other => other,
        };
        let blocks = self.b.blocks.as_ref().and_then(BlockScales::blocks);
        if blocks.is_some() && (b_layout != Layout::Packed || self.arithmetic != Arithmetic::Float) {
            return None;
        }
        // A vector times rows: every row is read once, where it lies.
        let by_rows = matches!(self.arithmetic, Arithmetic::Float | Arithmetic::Long);
        if self.row.is_none() && b_layout == Layout::Transposed && by_rows {
            return None;
        }
        let factor = |layout, it: &Matrix| Factor {
            layout,
            element: it.element,
            zero: it.zero.as_ref().map(|zero| zero.1),
            packing: Packing::NONE,
        };
        let held = |layout, it: &Matrix| match layout {
            Layout::Packed => Packing::of(self.arithmetic, it.element),
            _ => Packing::NONE,
        };
        let gemm = Gemm {
            arithmetic: self.arithmetic,
            floats: self.floats,
            a: Factor { packing: held(a_layout, &self.a), ..factor(a_layout, &self.a) },
            b: Factor { packing: Packing { blocks, ..held(b_layout, &self.b) }, ..factor(b_layout, &self.b) },
            c: chain.element,
            m: fixed,
            epilogue: chain.steps(&kinds),
            tile: s.tile,
            blocking: s.blocking,
            ..Gemm::new(s.isa, a_layout, b_layout)
        };
        let Gemm { arithmetic, a: of_a, b: of_b, .. } = gemm;
        let floats = self.floats;
        let key = format!("{arithmetic:?} {floats} {of_a:?} {of_b:?} {fixed:?} {}", chain.key(&kinds));
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
        let a_skip = if by_columns { zero } else { self.skip(s, &self.a, (a_layout, rows), first)? };
        let b_skip = if by_columns { self.skip(s, &self.b, (b_layout, columns), first)? } else { zero };
        args.push(self.pointer(s, &self.a, (a_layout, rows), &outer, a_skip)?);
        args.push(self.pointer(s, &self.b, (b_layout, columns), &outer, b_skip)?);
        let moved = if by_columns { Some(self.column.inner) } else { self.row.as_ref().map(|it| it.inner) };
        let target = Access { buffer: chain.target, ..self.out.clone() };
        let size = chain.element.bytes();
        args.push(Arg::Pointer(target.buffer, self.moved(s, &target, size, &outer, moved, first)?));
        args.extend([m, n, self.k, a_stride, b_stride].map(Arg::Size));
        let row_stride = match self.row.as_ref().and_then(|it| self.out.of(it.inner)) {
            Some(stride) => s.shapes.scale(stride, size).ok()?,
            None => zero,
        };
        args.push(Arg::Size(row_stride));
        args.push(Arg::Workspace(zero));
        for (matrix, follows) in [(&self.a, !by_columns), (&self.b, by_columns)] {
            let Some((access, _)) = &matrix.zero else { continue };
            let along = if follows { moved } else { None };
            let at = self.moved(s, access, matrix.element.bytes(), &outer, along, first)?;
            args.push(Arg::Pointer(access.buffer, at));
        }
        for (access, constant) in self.b.blocks.iter().flat_map(BlockScales::panels) {
            let per = if by_columns { constant.panels.row_bytes() } else { 0 };
            let group = s.shapes.scale(constant.group, constant.panels.group_bytes()).ok()?;
            let moved = s.shapes.scale(first, per).ok()?;
            args.push(Arg::Pointer(access.buffer, s.shapes.add(group, moved).ok()?));
        }
        for operand in &operands {
            let moves = match (operand.kind, by_columns) {
                (Operand::Row, true) | (Operand::Column, false) | (Operand::Scalar, _) => None,
                _ => moved,
            };
            let at = self.moved(s, &operand.access, operand.element.bytes(), &outer, moves, first)?;
            args.push(Arg::Pointer(operand.access.buffer, at));
            if operand.kind == Operand::Full {
                args.push(Arg::Size(operand.stride));
            }
        }
        let symbol = s.routine("gemm", &key, || Routine::Gemm(Box::new(gemm)));
        self.claim(s, &self.a, a_layout, rows);
        self.claim(s, &self.b, b_layout, columns);
        for (_, constant) in self.b.blocks.iter().flat_map(BlockScales::panels) {
            s.claim(constant.place, ParamForm::Panels(constant.panels));
        }
        let show = |dim: Dim| s.shapes.display(dim).to_string();
        let epilogue = if chain.is_empty() { String::new() } else { format!(", {} fused", chain.stages) };
        let kind = match arithmetic {
            Arithmetic::Float if blocks.is_some() => "gemm, scaled in blocks,",
            Arithmetic::Float => "gemm",
            Arithmetic::Double => "gemm of f64",
            Arithmetic::Int => "integer gemm",
            Arithmetic::Long => "gemm of i64",
            Arithmetic::Pairs if self.floats => "integer gemm in pairs, added as floats,",
            Arithmetic::Pairs => "integer gemm in pairs",
            Arithmetic::Quads(_) => "integer gemm of bytes",
        };
        let what = format!(
            "{kind} {}x{}x{} (A {a_layout:?}, B {b_layout:?}{epilogue})",
            show(self.m),
            show(self.n),
            show(self.k)
        );
        let node = Node::Call(Box::new(Call { symbol, args, workspace, what }));
        let node = s.wrap(&self.outer, node, true);
        // Columns that few rows share are read for each multiplication, or nearly so.
        let rate = fixed.map_or(PRODUCT, |m| m.clamp(PLAIN, PRODUCT));
        Some(Match { node, stages: 1 + chain.stages, units: use_range.then_some(units), rate })
    }

    /// Layout and row stride in bytes. A's rows are its free axis, B's are the sum: so "row-major" is a unit stride
    /// along the sum for A, and along the free axis for B.
    ///
    /// Several terms at a step are multiplied where at least one operand is packed by the driver, so that `other` must be
    /// no constant then.
    fn layout(
        &self,
        s: &mut Selector<'_>,
        matrix: &Matrix,
        width: i64,
        other: bool,
    ) -> Option<(Layout, Dim)> {
        let is_a = matrix.side == Side::A;
        let both = other && self.arithmetic.terms() > 1;
        if !both && self.panels(s, matrix, width).is_some() {
            return Some((Layout::Packed, s.shapes.int(0)));
        }
        let unit = |dim: Dim| s.shapes.as_int(dim) == Some(1);
        let depth = matrix.depth?;
        let (layout, stride) = match matrix.free {
            _ if unit(depth) => {
                let free = matrix.free.unwrap_or(self.k);
                (if is_a { Layout::RowMajor } else { Layout::Transposed }, free)
            }
            Some(free) if unit(free) => (if is_a { Layout::Transposed } else { Layout::RowMajor }, depth),
            // One row: its elements are anywhere, as a column of a transposed matrix.
            None if is_a => (Layout::Transposed, depth),
            _ => return None,
        };
        Some((layout, s.shapes.scale(stride, matrix.element.bytes()).ok()?))
    }

    /// The panels of a constant operand.
    fn panels(&self, s: &mut Selector<'_>, matrix: &Matrix, width: i64) -> Option<Constant> {
        let is_a = matrix.side == Side::A;
        let place = s.constant_place(matrix.access.buffer)?;
        // A panel of A is widened with one zero point.
        if is_a && matrix.zero.as_ref().is_some_and(|it| it.1 == Zero::Each) {
            return None;
        }
        let first = s.shapes.as_int(matrix.access.rest)?;
        let count = s.shapes.as_int(if is_a { self.m } else { self.n })?;
        let stride = match matrix.free {
            Some(free) => s.shapes.as_int(free)?,
            None => 0,
        };
        let (depth, depth_stride) = (s.shapes.as_int(self.k)?, s.shapes.as_int(matrix.depth?)?);
        let dims = s.program.buffers[matrix.access.buffer].dims.clone();
        let elements = s.shapes.product(&dims).ok()?;
        let elements = s.shapes.as_int(elements)?;
        // Matrices that follow each other are the groups of one constant.
        let dense = (stride, depth_stride) == (depth, 1) || (stride, depth_stride) == (1, count);
        let own = count.checked_mul(depth)?;
        let follow = dense && own > 0 && first % own == 0 && elements % own == 0;
        let batched = self.outer.iter().any(|it| matrix.access.uses(it.0));
        let (groups, group_stride, first) = match first {
            _ if follow => (elements / own, own, first / own),
            0 if !batched => (1, 0, 0),
            _ => return None,
        };
        let mut group = s.shapes.int(first);
        for (axis, _) in &self.outer {
            let Some(step) = matrix.access.of(*axis) else { continue };
            let step = s.shapes.as_int(step).filter(|it| it % own == 0)?;
            let axis = s.shapes.sym_dim(*axis);
            let part = s.shapes.scale(axis, step / own).ok()?;
            group = s.shapes.add(group, part).ok()?;
        }
        let in_a_byte = self.arithmetic.in_a_byte(matrix.element);
        // Several steps that share a byte are neighbours in the panel of A, and along the sum in that of B.
        let along = !is_a && Packing::of(self.arithmetic, matrix.element).in_a_byte > 1;
        let panels = Panels {
            element: matrix.element.bytes(),
            in_a_byte,
            flat: !along && in_a_byte > 1,
            block: matrix.blocks.as_ref().filter(|it| !it.joined).map_or(depth, |it| it.length),
            groups,
            group_stride,
            stride,
            depth_stride,
            terms: if along { 1 } else { self.arithmetic.terms() },
            sums: self.arithmetic.sum_bytes(matrix.side) > 0,
            ..Panels::plain(count, depth, width)
        };
        let fits = panels.fits(usize::try_from(elements).ok()?);
        fits.then_some(Constant { place, panels, group })
    }

    /// Notes that a constant is wanted in panels.
    fn claim(&self, s: &mut Selector<'_>, matrix: &Matrix, layout: Layout, width: i64) {
        if layout == Layout::Packed
            && let Some(constant) = self.panels(s, matrix, width)
        {
            s.claim(constant.place, ParamForm::Panels(constant.panels));
        }
    }

    /// An operand, so many bytes from its start; panels have a width.
    fn pointer(
        &self,
        s: &mut Selector<'_>,
        matrix: &Matrix,
        (layout, width): (Layout, i64),
        outer: &[Sym],
        skip: Dim,
    ) -> Option<Arg> {
        let start = match layout {
            Layout::Packed => {
                let constant = self.panels(s, matrix, width)?;
                s.shapes.scale(constant.group, constant.panels.group_bytes()).ok()?
            }
            _ => matrix.access.bytes_at(&mut s.shapes, outer, matrix.element.bytes())?,
        };
        Some(Arg::Pointer(matrix.access.buffer, s.shapes.add(start, skip).ok()?))
    }

    /// Bytes to the first row (A) or column (B) of a range.
    fn skip(
        &self,
        s: &mut Selector<'_>,
        matrix: &Matrix,
        (layout, width): (Layout, i64),
        first: Dim,
    ) -> Option<Dim> {
        let per = match layout {
            Layout::Packed => {
                let constant = self.panels(s, matrix, width)?;
                s.shapes.int(constant.panels.row_bytes() + self.arithmetic.sum_bytes(matrix.side))
            }
            _ => s.shapes.scale(matrix.free?, matrix.element.bytes()).ok()?,
        };
        s.shapes.mul(first, per).ok()
    }

    /// Bytes to the position of an access in the current outer iteration, `first` steps along an axis.
    fn moved(
        &self,
        s: &mut Selector<'_>,
        access: &Access,
        size: i64,
        outer: &[Sym],
        along: Option<Sym>,
        first: Dim,
    ) -> Option<Dim> {
        let mut bytes = access.bytes_at(&mut s.shapes, outer, size)?;
        if let Some(coefficient) = along.and_then(|it| access.of(it)) {
            let elements = s.shapes.mul(first, coefficient).ok()?;
            let skip = s.shapes.scale(elements, size).ok()?;
            bytes = s.shapes.add(bytes, skip).ok()?;
        }
        Some(bytes)
    }

    /// The elementwise stages that follow, and how their operands are read.
    fn chain(&self, s: &mut Selector<'_>, run: &[&Stage]) -> (Chain, Vec<Bound>) {
        let program = s.program;
        let mut shapes = s.shapes.clone();
        let mut bind = |at: usize, id: ExprId| self.operand(s, &mut shapes, run, at, id);
        let run = if is_fill(program, run[0]) { run } else { &run[..1] };
        let width = self.arithmetic.width();
        let mut found = chain(program, run, width, self.whole(s), &mut |at, id| bind(at, id).is_some());
        let mut operands: Vec<Bound> = found.operands.iter().filter_map(|(at, id)| bind(*at, *id)).collect();
        let kinds: Vec<Kind> = operands.iter().map(|it| (it.kind, it.element)).collect();
        if found.element != self.arithmetic.lane()
            && epilogue::length(&found.steps(&kinds), width) > MOST_REPEATED
        {
            found = chain(program, run, width, false, &mut |at, id| bind(at, id).is_some());
            operands = found.operands.iter().filter_map(|(at, id)| bind(*at, *id)).collect();
        }
        s.shapes = shapes;
        (found, operands)
    }

    /// Whether the sum is so short that it may be computed as a whole, to be rounded once.
    fn whole(&self, s: &Selector<'_>) -> bool {
        let most = 2 * s.blocking.depth * self.arithmetic.terms();
        s.shapes.bounds(self.k).hi.is_some_and(|k| k <= most)
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
            (Some(0), Some(0)) => Operand::Scalar,
            (Some(0), Some(1)) => Operand::Column,
            (Some(1), Some(0)) => Operand::Row,
            (_, Some(1)) => Operand::Full,
            _ => return None,
        };
        let element = Element::in_lanes(s.program.buffers[*buffer].dtype, self.arithmetic.width())?;
        let stride = shapes.scale(by_row, element.bytes()).ok()?;
        Some(Bound { access, kind, element, stride })
    }

    fn extent(&self, stage: &Stage, axis: Sym) -> Option<Dim> {
        stage.axes.iter().find(|it| it.var == axis).map(|it| it.extent)
    }
}

/// Whether constant elements are multiplied as signed bytes.
pub(super) fn are_signed_bytes(element: Element) -> bool {
    match element {
        Element::Stored(Storage::I8) => true,
        Element::Narrow(dtype) => dtype.is_int(),
        _ => false,
    }
}

/// An operand of the epilogue.
struct Bound {
    access: Access,
    kind: Operand,
    element: Element,
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
