//! Between which numbers the value of an expression lies, as far as clamps and types say.

use super::accesses::Accesses;
use super::bounds::Bounds;
use crate::loops::inline::fills;
use crate::loops::{BinaryOp, BufferId, BufferRole, Expr, ExprId, Stmt};
use crate::shape::{Dim, End};
use crate::types::DType;
use indexmap::IndexMap;
use smallvec::SmallVec;

/// How many bounds are kept on each side.
const MAX_BOUNDS: usize = 4;

impl Accesses<'_> {
    pub(super) fn bounds(&mut self, root: ExprId) -> Bounds {
        let mut known: IndexMap<ExprId, Bounds> = IndexMap::new();
        for id in self.program.postorder([root]) {
            let mut found = self.node(id, &known);
            found.least.truncate(MAX_BOUNDS);
            found.most.truncate(MAX_BOUNDS);
            known.insert(id, found);
        }
        known.swap_remove(&root).unwrap_or_default()
    }

    fn node(&mut self, id: ExprId, known: &IndexMap<ExprId, Bounds>) -> Bounds {
        let program = self.program;
        let of = |id: &ExprId| known.get(id).cloned().unwrap_or_default();
        let dtype = program.dtype_of(id);
        let exact =
            |dim: Dim| Bounds { least: [dim].into_iter().collect(), most: [dim].into_iter().collect() };
        let found = match &program.exprs[id] {
            Expr::Dim(dim, _) => exact(*dim),
            Expr::Int(value, _) => exact(self.shapes.int(*value)),
            Expr::Cast(_, a) if program.dtype_of(*a).is_int() => of(a),
            Expr::Cast(_, a) if program.dtype_of(*a) == DType::Bool => Bounds {
                least: [self.shapes.int(0)].into_iter().collect(),
                most: [self.shapes.int(1)].into_iter().collect(),
            },
            Expr::Load { buffer, otherwise: None, .. } => self.contents(*buffer),
            Expr::Select(_, a, b) => self.either(of(a), of(b)),
            Expr::Binary(BinaryOp::Min, a, b) => {
                let (a, b) = (of(a), of(b));
                let most = a.most.iter().chain(&b.most).copied().collect();
                Bounds { most, ..self.either(a, b) }
            }
            Expr::Binary(BinaryOp::Max, a, b) => {
                let (a, b) = (of(a), of(b));
                let least = a.least.iter().chain(&b.least).copied().collect();
                Bounds { least, ..self.either(a, b) }
            }
            // What is bounded on both sides does not wrap.
            Expr::Binary(BinaryOp::Add | BinaryOp::Sub, a, b) if !(of(a).is_whole() && of(b).is_whole()) => {
                Bounds::default()
            }
            Expr::Binary(BinaryOp::Add, a, b) => {
                let (a, b) = (of(a), of(b));
                Bounds { least: self.sums(&a.least, &b.least, 1), most: self.sums(&a.most, &b.most, 1) }
            }
            Expr::Binary(BinaryOp::Sub, a, b) => {
                let (a, b) = (of(a), of(b));
                Bounds { least: self.sums(&a.least, &b.most, -1), most: self.sums(&a.most, &b.least, -1) }
            }
            // The remainder has the sign of the divisor.
            Expr::Binary(BinaryOp::Mod, _, b) => {
                let (b, one, zero) = (of(b), self.shapes.int(1), self.shapes.int(0));
                match b.least.iter().any(|it| self.shapes.is_le(one, *it)) {
                    true => {
                        Bounds { least: [zero].into_iter().collect(), most: self.sums(&b.most, &[one], -1) }
                    }
                    false => Bounds::default(),
                }
            }
            _ => Bounds::default(),
        };
        if self.fits(&found, dtype) { found } else { self.of_type(dtype) }
    }

    /// Bounds that are those of both.
    fn either(&mut self, a: Bounds, b: Bounds) -> Bounds {
        let mut pairs = |a: &[Dim], b: &[Dim], end: End| {
            let mut found: SmallVec<[Dim; 2]> = SmallVec::new();
            for a in a {
                for b in b {
                    found.extend(match end {
                        End::Least => self.shapes.min(&[*a, *b]).ok(),
                        End::Greatest => self.shapes.max(&[*a, *b]).ok(),
                    });
                }
            }
            found
        };
        Bounds { least: pairs(&a.least, &b.least, End::Least), most: pairs(&a.most, &b.most, End::Greatest) }
    }

    fn sums(&mut self, a: &[Dim], b: &[Dim], sign: i64) -> SmallVec<[Dim; 2]> {
        let mut found = SmallVec::new();
        for a in a {
            for b in b {
                found.extend(self.shapes.scale(*b, sign).and_then(|b| self.shapes.add(*a, b)).ok());
            }
        }
        found
    }

    /// Whether a number between the bounds is one of a type; sizes and their sums are taken to be some of 64 bits.
    fn fits(&self, bounds: &Bounds, dtype: DType) -> bool {
        if bounds.least.is_empty() && bounds.most.is_empty() {
            return false;
        }
        if dtype == DType::I64 {
            return true;
        }
        let Some((low, high)) = range_of(dtype) else { return false };
        let above = bounds.least.iter().any(|it| self.shapes.bounds(*it).lo.is_some_and(|lo| lo >= low));
        above && bounds.most.iter().any(|it| self.shapes.bounds(*it).hi.is_some_and(|hi| hi <= high))
    }

    fn of_type(&mut self, dtype: DType) -> Bounds {
        let Some((low, high)) = range_of(dtype) else { return Bounds::default() };
        Bounds {
            least: [self.shapes.int(low)].into_iter().collect(),
            most: [self.shapes.int(high)].into_iter().collect(),
        }
    }

    /// Bounds of all elements of a local that one stage fills.
    fn contents(&mut self, buffer: BufferId) -> Bounds {
        if let Some(known) = self.contents.get(&buffer) {
            return known.clone();
        }
        self.contents.insert(buffer, Bounds::default());
        let program = self.program;
        if program.buffers[buffer].role != BufferRole::Local {
            return Bounds::default();
        }
        let stores = program.stages().into_iter().filter(|it| it.buffer == buffer).count();
        let filling = program.body.iter().find_map(|stmt| match stmt {
            Stmt::Stage(stage) if stage.buffer == buffer => Some(stage),
            _ => None,
        });
        let Some(stage) = filling.filter(|it| stores == 1 && it.combine.is_none() && fills(program, it))
        else {
            return Bounds::default();
        };
        // What holds where it is read may not hold where it is filled.
        let here = self.shapes.save_facts();
        self.shapes.restore_facts(self.everywhere.clone());
        let bounds = self.bounds(stage.value);
        let ends = |cx: &mut Self, list: &[Dim], end: End| -> SmallVec<[Dim; 2]> {
            list.iter().filter_map(|it| cx.shapes.without_indices(*it, end)).collect()
        };
        let found = Bounds {
            least: ends(self, &bounds.least, End::Least),
            most: ends(self, &bounds.most, End::Greatest),
        };
        self.shapes.restore_facts(here);
        self.contents.insert(buffer, found.clone());
        found
    }
}

/// The least and the greatest number of a type of integers of less than 64 bits.
fn range_of(dtype: DType) -> Option<(i64, i64)> {
    let (least, most) = dtype.int_range().filter(|_| dtype.is_int() && dtype.bits() < 64)?;
    Some((i64::try_from(least).ok()?, i64::try_from(most).ok()?))
}
