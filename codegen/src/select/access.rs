//! Where a stage touches memory, as linear functions of its axes.

use indexmap::IndexMap;
use orogen_ir::loops::{BufferId, Index, TensorProgram};
use orogen_ir::shape::{Dim, ShapeCx, Sym};

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

    /// Byte offset for 4-byte elements, where each of `axes` is at its variable and all others at 0.
    pub(crate) fn bytes_at(&self, shapes: &mut ShapeCx, axes: &[Sym]) -> Option<Dim> {
        let mut offset = self.rest;
        for axis in axes {
            if let Some(coefficient) = self.of(*axis) {
                let var = shapes.sym_dim(*axis);
                let part = shapes.mul(coefficient, var).ok()?;
                offset = shapes.add(offset, part).ok()?;
            }
        }
        shapes.scale(offset, 4).ok()
    }
}

/// Several axes that every access sees as one.
#[derive(Clone, Debug)]
pub(crate) struct Collapsed {
    /// Number of iterations.
    pub(crate) extent: Dim,
    /// The innermost axis: its coefficients are those of the whole.
    pub(crate) inner: Sym,
    /// All axes, outermost first.
    pub(crate) axes: Vec<Sym>,
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
                last.axes.insert(0, *var);
                continue;
            }
        }
        result.push(Collapsed { extent: *extent, inner: *var, axes: vec![*var] });
    }
    result.reverse();
    Some(result)
}
