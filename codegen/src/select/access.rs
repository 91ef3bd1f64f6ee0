//! Where a stage touches memory, as linear functions of its axes.

use indexmap::IndexMap;
use orogen_ir::loops::{BufferId, Index, TensorProgram};
use orogen_ir::shape::{Constraint, Dim, ShapeCx, Sym};

/// A position in a buffer, in elements: `rest + Σ coefficient · axis`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Access {
    /// The buffer.
    pub(crate) buffer: BufferId,
    /// Coefficients that are not zero.
    pub(super) coefficients: IndexMap<Sym, Dim>,
    /// The part that no axis changes.
    pub(crate) rest: Dim,
}

impl Access {
    /// The linear form of an index list; `None` when it is not linear in the axes, or depends on data.
    pub(crate) fn new(
        program: &TensorProgram,
        shapes: &mut ShapeCx,
        buffer: BufferId,
        at: &[Index],
        axes: &[Sym],
    ) -> Option<Access> {
        let dims = program.buffers[buffer].dims.clone();
        let mut stride = shapes.int(1);
        let mut offset = shapes.int(0);
        for (index, dim) in at.iter().zip(&dims).rev() {
            let part = shapes.mul(index.dim()?, stride).ok()?;
            offset = shapes.add(offset, part).ok()?;
            stride = shapes.mul(stride, *dim).ok()?;
        }
        let mut coefficients = IndexMap::new();
        let mut rest = offset;
        for axis in axes {
            let (coefficient, without) = shapes.affine_in(rest, *axis)?;
            rest = without;
            if shapes.as_int(coefficient) != Some(0) {
                coefficients.insert(*axis, coefficient);
            }
        }
        // A coefficient that contains another axis is not linear.
        let free_of_axes = |dim: Dim| shapes.free_symbols(dim).iter().all(|it| !axes.contains(it));
        let linear = coefficients.values().all(|it| free_of_axes(*it)) && free_of_axes(rest);
        linear.then_some(Access { buffer, coefficients, rest })
    }

    /// The coefficient of an axis, if it is not zero.
    pub(crate) fn of(&self, axis: Sym) -> Option<Dim> {
        self.coefficients.get(&axis).copied()
    }

    /// Whether the axis changes the position.
    pub(crate) fn uses(&self, axis: Sym) -> bool {
        self.coefficients.contains_key(&axis)
    }

    /// The same access with other names for the axes.
    pub(crate) fn renamed(&self, map: &IndexMap<Sym, Sym>) -> Access {
        let name = |sym: &Sym| map.get(sym).copied().unwrap_or(*sym);
        Access {
            buffer: self.buffer,
            coefficients: self.coefficients.iter().map(|(sym, dim)| (name(sym), *dim)).collect(),
            rest: self.rest,
        }
    }

    /// Forgets axes that stay at 0.
    pub(crate) fn drop_axes(&mut self, axes: &[Sym]) {
        self.coefficients.retain(|axis, _| !axes.contains(axis));
    }

    /// Whether both are at the same position, wherever the axes are.
    pub(crate) fn same_position(&self, other: &Access) -> bool {
        self.rest == other.rest
            && self.coefficients.len() == other.coefficients.len()
            && self.coefficients.iter().all(|(sym, dim)| other.of(*sym) == Some(*dim))
    }

    /// Byte offset for elements of `size` bytes, where each of `axes` is at its variable and all others at 0.
    pub(crate) fn bytes_at(&self, shapes: &mut ShapeCx, axes: &[Sym], size: i64) -> Option<Dim> {
        let mut offset = self.rest;
        for axis in axes {
            if let Some(coefficient) = self.of(*axis) {
                let var = shapes.sym_dim(*axis);
                let part = shapes.mul(coefficient, var).ok()?;
                offset = shapes.add(offset, part).ok()?;
            }
        }
        shapes.scale(offset, size).ok()
    }
}

/// Several axes that every access sees as one.
#[derive(Clone, Debug)]
pub(crate) struct Collapsed {
    /// The product of the extents.
    pub(crate) extent: Dim,
    /// Number of iterations: an axis of a negative extent has none.
    pub(crate) count: Dim,
    /// The innermost axis: its coefficients are those of the whole.
    pub(crate) inner: Sym,
    /// All axes, outermost first.
    pub(crate) axes: Vec<Sym>,
}

/// Number of iterations of an axis: its extent, or none if that is negative.
pub(crate) fn count(shapes: &mut ShapeCx, extent: Dim) -> Option<Dim> {
    if shapes.prove(Constraint::AtLeast(extent, 0)).is_always() {
        return Some(extent);
    }
    let zero = shapes.int(0);
    shapes.max(&[extent, zero]).ok()
}

/// Joins neighbours of `axes` (outermost first) where all accesses allow it. Axes of one iteration disappear.
pub(crate) fn collapse(
    shapes: &mut ShapeCx,
    axes: &[(Sym, Dim)],
    accesses: &[&Access],
) -> Option<Vec<Collapsed>> {
    let mut result: Vec<Collapsed> = Vec::new();
    // From the innermost outwards.
    for (var, extent) in axes.iter().rev() {
        if shapes.as_int(*extent) == Some(1) {
            continue;
        }
        let count = count(shapes, *extent)?;
        if let Some(last) = result.last_mut() {
            let mut joins = true;
            for access in accesses {
                let whole = match access.of(last.inner) {
                    Some(coefficient) => shapes.mul(coefficient, last.extent).ok()?,
                    None => shapes.int(0),
                };
                let own = access.of(*var).unwrap_or_else(|| shapes.int(0));
                joins &= whole == own;
            }
            if joins {
                last.extent = shapes.mul(last.extent, *extent).ok()?;
                last.count = shapes.mul(last.count, count).ok()?;
                last.axes.insert(0, *var);
                continue;
            }
        }
        result.push(Collapsed { extent: *extent, count, inner: *var, axes: vec![*var] });
    }
    result.reverse();
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_ir::shape::Env;

    #[test]
    fn axes_of_negative_extents_have_no_iterations() {
        let mut shapes = ShapeCx::new();
        let (n, m) = (shapes.sym("n"), shapes.sym("m"));
        let (rows, columns) = (shapes.add_int(n, -4).unwrap(), shapes.add_int(m, -4).unwrap());
        let axes = ["i", "j"].map(|it| {
            let dim = shapes.fresh(it);
            shapes.as_sym(dim).unwrap()
        });
        let joined = collapse(&mut shapes, &[(axes[0], rows), (axes[1], columns)], &[]).unwrap();
        let [joined] = &joined[..] else { panic!("one axis of both") };
        let [n, m] = [n, m].map(|it| shapes.as_sym(it).unwrap());
        for (sizes, extent, count) in [([6, 7], 6, 6), ([1, 2], 6, 0), ([2, 9], -10, 0), ([4, 9], 0, 0)] {
            let env = Env::from_iter([(n, sizes[0]), (m, sizes[1])]);
            assert_eq!(shapes.eval(joined.extent, &env), Some(extent), "{sizes:?}");
            assert_eq!(shapes.eval(joined.count, &env), Some(count), "{sizes:?}");
        }
    }
}
