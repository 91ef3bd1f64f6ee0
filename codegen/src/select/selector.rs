//! What the choice of routines works with.

use orogen_ir::loops::{Axis, BufferId, Stage, TensorProgram};
use orogen_ir::shape::{Dim, Overflow, ShapeCx, Sym};

use super::forms::{Panels, ParamForm};
use super::routine::{Routine, Routines};
use super::stages::{accesses, total_accesses};
use super::tree::Node;
use crate::kernels::gemm::{Blocking, Tile};
use crate::kernels::laws::{Law, unproven};
use crate::vector::{Isa, Width};

/// A routine, or loops around one, for the first stages of a run.
#[derive(Debug)]
pub(crate) struct Match {
    /// The code.
    pub(crate) node: Node,
    /// How many stages it computes.
    pub(crate) stages: usize,
    /// Into how many units the work can be divided by [`Selector::begin`] and [`Selector::end`].
    pub(crate) units: Option<Dim>,
    /// How many points it computes in the time of an element operation: products are computed by whole tiles.
    pub(crate) rate: i64,
}

/// The rate of products, and of all else.
pub(crate) const PRODUCT: i64 = 8;
pub(crate) const PLAIN: i64 = 1;

/// State of the choice for one program.
pub(crate) struct Selector<'p> {
    /// The program.
    pub(crate) program: &'p TensorProgram,
    /// Its context, to which the choice adds.
    pub(crate) shapes: ShapeCx,
    /// Instructions of the routines.
    pub(crate) isa: Isa,
    /// The register tile of products.
    pub(crate) tile: Tile,
    /// Sizes of blocks of products.
    pub(crate) blocking: Blocking,
    /// Which parameters are always constants, by place.
    pub(crate) constant: &'p [bool],
    /// Forms of the parameters, by place.
    pub(crate) forms: Vec<ParamForm>,
    /// How many routines want that form, by place; none where they disagree.
    claims: Vec<Option<usize>>,
    /// Routines that are called.
    pub(crate) routines: Routines,
    /// First unit of the range that a call computes.
    pub(crate) begin: Sym,
    /// End of that range.
    pub(crate) end: Sym,
    /// Whether ranges may be used: the routine is a part of the kernel, which threads may divide.
    pub(crate) ranged: bool,
}

impl<'p> Selector<'p> {
    pub(crate) fn new(program: &'p TensorProgram, isa: Isa, constant: &'p [bool]) -> Self {
        let mut shapes = program.shapes.clone();
        let begin = shapes.fresh("range_begin");
        let end = shapes.fresh("range_end");
        let [begin, end] = [begin, end].map(|it| shapes.as_sym(it).expect("a fresh symbol is one"));
        Selector {
            program,
            shapes,
            isa,
            tile: Tile::of(isa),
            blocking: Blocking::of(isa),
            constant,
            forms: vec![ParamForm::Plain; program.params.len()],
            claims: vec![Some(0); program.params.len()],
            routines: Routines::default(),
            begin,
            end,
            ranged: false,
        }
    }

    /// The place of a parameter that is always a constant.
    pub(crate) fn constant_place(&self, buffer: BufferId) -> Option<usize> {
        let place = self.program.params.iter().position(|it| *it == buffer)?;
        self.constant.get(place).copied().unwrap_or(false).then_some(place)
    }

    /// The place of a parameter that is always a constant and read by one load only.
    pub(crate) fn packable(&self, buffer: BufferId) -> Option<usize> {
        self.constant_place(buffer).filter(|_| total_accesses(self.program, buffer) == 1)
    }

    /// Whether a parameter is a constant whose elements lie side by side in bytes.
    pub(crate) fn is_packed(&self, buffer: BufferId) -> bool {
        self.program.buffers[buffer].dtype.in_a_byte() > 1 && self.constant_place(buffer).is_some()
    }

    /// The packed constants that a stage reads.
    pub(crate) fn packed_in(&self, stage: &Stage) -> Vec<BufferId> {
        let reads = |it: &BufferId| accesses(self.program, stage, *it).next().is_some();
        self.program.params.iter().copied().filter(|it| self.is_packed(*it) && reads(it)).collect()
    }

    /// What a routine that reads a stage has not packed itself is given to it in whole bytes.
    pub(crate) fn claim_bytes(&mut self, stage: &Stage) -> Option<()> {
        for buffer in self.packed_in(stage) {
            let place = self.constant_place(buffer)?;
            if self.forms[place] == ParamForm::Plain {
                let dims = self.program.buffers[buffer].dims.clone();
                let elements = self.shapes.product(&dims).ok()?;
                let count = self.shapes.as_int(elements)?;
                self.claim(place, ParamForm::Panels(Panels::plain(1, count, 1)));
            }
        }
        Some(())
    }

    /// Notes that a routine wants a constant in a form.
    pub(crate) fn claim(&mut self, place: usize, form: ParamForm) {
        let same = self.forms[place] == ParamForm::Plain || self.forms[place] == form;
        self.claims[place] = self.claims[place].filter(|_| same).map(|it| it + 1);
        self.forms[place] = form;
    }

    /// A constant that not all loads want in the form that some do.
    pub(crate) fn disputed(&self) -> Option<usize> {
        (0..self.forms.len()).find(|place| {
            let loads = total_accesses(self.program, self.program.params[*place]);
            self.forms[*place] != ParamForm::Plain && self.claims[*place] != Some(loads)
        })
    }

    /// Registers a routine; `key` says everything that decides its code.
    pub(crate) fn routine(&mut self, kind: &str, key: &str, make: impl FnOnce() -> Routine) -> String {
        self.routines.add(kind, &format!("{kind} {:?} {key}", self.isa), make)
    }

    /// Whether all laws of a routine are proven (law S2).
    pub(crate) fn lawful(
        &mut self,
        laws: impl FnOnce(&mut ShapeCx) -> Result<Vec<Law>, Overflow>,
    ) -> Option<()> {
        let laws = laws(&mut self.shapes).ok()?;
        unproven(&self.shapes, &laws).is_none().then_some(())
    }

    /// `[first, last)` in elements for a range of units of `unit` elements, of `whole` elements.
    pub(crate) fn range(&mut self, unit: i64, whole: Dim) -> Option<(Dim, Dim, Dim)> {
        if !self.ranged {
            return Some((self.shapes.int(0), whole, self.shapes.int(1)));
        }
        let begin = self.shapes.sym_dim(self.begin);
        let end = self.shapes.sym_dim(self.end);
        let first = self.shapes.scale(begin, unit).ok()?;
        let last = self.shapes.scale(end, unit).ok()?;
        let last = self.shapes.min(&[last, whole]).ok()?;
        let units = self.shapes.ceil_div(whole, unit).ok()?;
        Some((first, last, units))
    }

    /// Whether lanes of a width are worth it for so many elements: where these do not fill a vector of narrow lanes, wider
    /// ones have less of a tail.
    pub(crate) fn fills(&self, width: Width, elements: Dim) -> bool {
        let lanes = i64::from(self.isa.lanes_of(width));
        width.has_floats() || self.shapes.as_int(elements).is_none_or(|it| it >= lanes)
    }

    /// Loops over `axes` (outermost first) around a node, whose iterations may run at the same time or not.
    pub(crate) fn wrap(&self, axes: &[(Sym, Dim)], node: Node, independent: bool) -> Node {
        axes.iter().rev().fold(node, |node, (var, extent)| Node::Loop {
            extent: *extent,
            vars: vec![*var],
            body: vec![node],
            independent,
        })
    }
}

/// The axes of a stage as pairs.
pub(crate) fn pairs(axes: &[Axis]) -> Vec<(Sym, Dim)> {
    axes.iter().map(|it| (it.var, it.extent)).collect()
}

/// Axes of one iteration: they are at 0 whether an index names them or not.
pub(crate) fn single_axes(shapes: &ShapeCx, stage: &Stage) -> Vec<Sym> {
    let all = stage.axes.iter().chain(&stage.reduce);
    all.filter(|it| shapes.as_int(it.extent) == Some(1)).map(|it| it.var).collect()
}

/// All axis symbols of a stage.
pub(crate) fn symbols(stage: &Stage) -> Vec<Sym> {
    stage.axes.iter().chain(&stage.reduce).map(|it| it.var).collect()
}

/// Whether indices, each with the extent that a routine runs over, are all the axes there are (law S1): each is an axis
/// of its own of that extent, or 0 where the extent is 1.
pub(crate) fn spans(shapes: &ShapeCx, axes: &[Axis], indices: &[(Dim, Dim)]) -> bool {
    let single = |extent: Dim| shapes.as_int(extent) == Some(1);
    let mut left: Vec<&Axis> = axes.iter().collect();
    for (index, extent) in indices {
        match shapes.as_sym(*index).and_then(|sym| left.iter().position(|it| it.var == sym)) {
            Some(at) if left[at].extent == *extent => drop(left.swap_remove(at)),
            None if single(*extent) && shapes.as_int(*index) == Some(0) => {}
            _ => return false,
        }
    }
    left.iter().all(|it| single(it.extent))
}
