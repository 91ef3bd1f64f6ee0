//! Columns of a product that are scaled, block by block of the sum or for the whole of it: where their scales and zero points
//! are, and how they lie in panels.

use orogen_ir::loops::{Expr, ExprId, Stage};
use orogen_ir::shape::{Dim, Sym};
use orogen_ir::types::DType;

use super::access::{Access, Collapsed};
use super::forms::Panels;
use super::selector::Selector;
use crate::kernels::element::Element;
use crate::kernels::gemm::{Blocks, Scaling};
use crate::vector::Width;

/// A constant operand in panels.
pub(super) struct Constant {
    pub(super) place: usize,
    pub(super) panels: Panels,
    /// Which of the groups it is, over the axes around the product.
    pub(super) group: Dim,
}

/// Constant scales, and perhaps zero points, for each column and block of the sum.
pub(super) struct BlockScales {
    /// Steps of a block.
    pub(super) length: i64,
    /// How many blocks there are.
    count: i64,
    /// Whether no block begins with a byte of its own; see [`Blocks`].
    pub(super) joined: bool,
    /// Scales, then zero points.
    parts: Vec<ScalePart>,
}

/// Scales of blocks, or their zero points.
pub(super) enum ScalePart {
    /// One for all.
    All(u32),
    /// Where they are, what they are, and their panels.
    Each(Box<(Access, Element, Constant)>),
}

impl BlockScales {
    pub(super) fn blocks(&self) -> Option<Blocks> {
        let part = |it: &ScalePart| match it {
            ScalePart::All(bits) => Scaling::All(*bits),
            ScalePart::Each(it) => Scaling::Each(it.1),
        };
        let scale = part(self.parts.first()?);
        let zeros_in_a_byte = match self.parts.get(1) {
            Some(ScalePart::Each(it)) => it.2.panels.in_a_byte,
            _ => 1,
        };
        Some(Blocks {
            length: self.length,
            single: self.count == 1,
            joined: self.joined,
            zeros_in_a_byte,
            scale,
            zero: self.parts.get(1).map(part),
        })
    }

    /// Those that are in memory.
    pub(super) fn panels(&self) -> impl Iterator<Item = (&Access, &Constant)> {
        self.parts.iter().filter_map(|it| match it {
            ScalePart::Each(it) => Some((&it.0, &it.2)),
            ScalePart::All(_) => None,
        })
    }
}

/// Scales and zero points that depend on the column, and on the outer of two axes of a sum if there are two, in panels. Where
/// there is one axis, the whole sum is a block.
pub(super) fn block_scales(
    s: &mut Selector<'_>,
    stage: &Stage,
    (scaled, parts): (Element, &[ExprId]),
    vars: &[Sym],
    column: &Collapsed,
) -> Option<BlockScales> {
    let (outer, inner) = match &stage.reduce[..] {
        [outer, inner] => (Some(outer), inner),
        [inner] => (None, inner),
        _ => return None,
    };
    let (count, length) = match outer {
        Some(outer) => (s.shapes.as_int(outer.extent)?, s.shapes.as_int(inner.extent)?),
        None => (1, s.shapes.as_int(inner.extent)?),
    };
    let outer = outer.map(|it| it.var);
    let width = i64::from(s.tile.columns(s.isa));
    let columns = s.shapes.as_int(column.count)?;
    if length < 1 || count < 1 || columns < 1 || column.axes.len() != 1 {
        return None;
    }
    let types: Vec<DType> = parts.iter().map(|it| s.program.dtype_of(*it)).collect();
    let shared = Shared::of(scaled, length, &types);
    let mut part = |(i, id): (usize, &ExprId)| {
        let (buffer, at) = match &s.program.exprs[*id] {
            Expr::Float(value, _) => return Some(ScalePart::All((*value as f32).to_bits())),
            Expr::Load { buffer, at, otherwise: None } => (*buffer, at),
            _ => return None,
        };
        let access = Access::new(s.program, &mut s.shapes, buffer, at, vars)?;
        let alone = vars.iter().all(|it| Some(*it) == outer || *it == column.inner || !access.uses(*it));
        let element = Element::in_lanes(s.program.buffers[buffer].dtype, Width::W32)?;
        let place = s.constant_place(buffer).filter(|_| alone)?;
        let step = |of: Option<Dim>| of.map_or(Some(0), |it| s.shapes.as_int(it));
        let (stride, depth_stride) =
            (step(access.of(column.inner))?, step(outer.and_then(|it| access.of(it)))?);
        let dims = s.program.buffers[buffer].dims.clone();
        let elements = s.shapes.product(&dims).ok()?;
        let elements = s.shapes.as_int(elements)?;
        let first = s.shapes.as_int(access.rest)?;
        let own = if stride == 0 { count } else { columns.checked_mul(count)? };
        // Those of one product follow those of the one before, or they are alone.
        let follow = (first % own == 0 && elements % own == 0).then_some((elements / own, own, first / own));
        let alone = (first == 0).then_some((1, 0, 0));
        let room = usize::try_from(elements).ok()?;
        let of_groups = |(groups, group_stride, group)| {
            let panels = Panels {
                element: element.bytes(),
                stride,
                depth_stride,
                groups,
                group_stride,
                in_a_byte: if i == 1 { shared.zeros_in_a_byte } else { 1 },
                ..Panels::plain(columns, count, width)
            };
            panels.fits(room).then_some((panels, group))
        };
        let (panels, group) = [follow, alone].into_iter().flatten().find_map(of_groups)?;
        let constant = Constant { place, panels, group: s.shapes.int(group) };
        Some(ScalePart::Each(Box::new((access, element, constant))))
    };
    let parts = parts.iter().enumerate().map(&mut part).collect::<Option<Vec<_>>>()?;
    Some(BlockScales { length, count, joined: shared.joined, parts })
}

/// What shares bytes in panels of elements that do so, where bytes of its own would take too much beside the rest.
struct Shared {
    /// Zero points of neighbouring blocks: how many.
    zeros_in_a_byte: i64,
    /// The last elements of a block and the first ones of the next.
    joined: bool,
}

impl Shared {
    /// Of blocks of so many elements, with a scale and perhaps a zero point of these types.
    fn of(element: Element, length: i64, parts: &[DType]) -> Shared {
        let none = Shared { zeros_in_a_byte: 1, joined: false };
        let Element::Narrow(dtype) = element else { return none };
        let width = i64::from(dtype.width());
        let own = length.saturating_mul(width);
        let in_a_byte = dtype.in_a_byte() as i64;
        if in_a_byte == 1 || own > 1 << 16 {
            return none;
        }
        let bits: i64 = own + parts.iter().map(|it| i64::from(it.width())).sum::<i64>();
        let of_end = (8 - own % 8) % 8;
        let zero = parts.get(1).filter(|it| it.is_int() && it.in_a_byte() > 1);
        let of_zero = zero.map_or(0, |it| 8 - i64::from(it.width()));
        Shared {
            zeros_in_a_byte: match zero {
                Some(zero) if (of_end + of_zero) * 13 > bits => zero.in_a_byte() as i64,
                _ => 1,
            },
            joined: of_end * 20 > bits,
        }
    }
}
