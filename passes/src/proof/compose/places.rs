//! Where an element of a view lies, and which iteration of a stage stores at a place.

use super::Composer;
use super::stages::Frame;
use crate::proof::cases::{Step, Stop};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::loops::Stage;
use orogen_ir::shape::{Dim, ShapeCx, Sym};

impl Composer<'_> {
    /// Where the element at `at` of a tensor of `dims` lies in one of `source` with the same elements in the same order.
    ///
    /// Leading dimensions whose products agree are taken apart from the rest, so that a place is computed within groups.
    pub(super) fn view(&mut self, dims: &[Dim], source: &[Dim], at: &[Dim]) -> Step<Vec<Dim>> {
        let zero = self.indices.cx.int(0);
        let mut out = vec![zero; source.len()];
        let one = |cx: &ShapeCx, d: Dim| cx.bounds(d).hi == Some(1) || cx.as_int(d) == Some(1);
        let cx = &self.indices.cx;
        let from: Vec<usize> = (0..dims.len()).filter(|it| !one(cx, dims[*it])).collect();
        let to: Vec<usize> = (0..source.len()).filter(|it| !one(cx, source[*it])).collect();
        let (mut i, mut j) = (0, 0);
        while j < to.len() && i < from.len() {
            let (p, q) = self.group(dims, source, &from[i..], &to[j..])?;
            let mut linear = zero;
            for axis in &from[i..i + p] {
                let scaled = self.indices.cx.mul(linear, dims[*axis])?;
                linear = self.indices.cx.add(scaled, at[*axis])?;
            }
            for (n, axis) in to[j..j + q].iter().enumerate().rev() {
                if n == 0 {
                    out[*axis] = self.indices.simplify(linear)?;
                } else {
                    let quotient = self.indices.cx.floor_div_dim(linear, source[*axis])?;
                    let quotient = self.indices.simplify(quotient)?;
                    let whole = self.indices.cx.mul(quotient, source[*axis])?;
                    let rest = self.indices.cx.sub(linear, whole)?;
                    out[*axis] = self.indices.simplify(rest)?;
                    linear = quotient;
                }
            }
            (i, j) = (i + p, j + q);
        }
        Ok(out)
    }

    /// How many of the dimensions on either side make the first group: the fewest whose products are equal.
    pub(super) fn group(
        &mut self,
        dims: &[Dim],
        source: &[Dim],
        from: &[usize],
        to: &[usize],
    ) -> Step<(usize, usize)> {
        for total in 2..from.len() + to.len() {
            for p in 1..=from.len().min(total - 1) {
                let q = total - p;
                if q > to.len() {
                    continue;
                }
                let a: Vec<Dim> = from[..p].iter().map(|it| dims[*it]).collect();
                let b: Vec<Dim> = to[..q].iter().map(|it| source[*it]).collect();
                let (a, b) = (self.indices.cx.product(&a)?, self.indices.cx.product(&b)?);
                if self.indices.cx.prove_eq(a, b).is_always() {
                    return Ok((p, q));
                }
            }
        }
        Ok((from.len(), to.len()))
    }

    /// The iteration of a stage that stores at a place, and the conditions under which there is one.
    pub(super) fn invert(
        &mut self,
        frame: &Frame<'_>,
        stage: &Stage,
        at: &[Dim],
    ) -> Step<(IndexMap<Sym, Dim>, Vec<Dim>)> {
        // Axes are unknowns until their values are found.
        let mut unknowns: IndexMap<Sym, (Sym, Dim)> = IndexMap::new();
        let mut symbols = frame.sizes.clone();
        for axis in &stage.axes {
            let extent = self.local(frame, &symbols, axis.extent)?;
            let (sym, unknown) = self.indices.bound_index(extent);
            unknowns.insert(sym, (axis.var, extent));
            symbols.insert(axis.var, unknown);
        }
        let mut targets = Vec::new();
        for (index, at) in stage.at.iter().zip(at) {
            let dim = index.dim().ok_or_else(|| Stop::unknown("places of stores come from data"))?;
            targets.push((self.local(frame, &symbols, dim)?, *at));
        }
        let mut found: IndexMap<Sym, Dim> = IndexMap::new();
        let mut ranged: IndexSet<Sym> = IndexSet::new();
        let mut conditions = Vec::new();
        while !targets.is_empty() {
            let before = targets.len();
            let mut waiting = Vec::new();
            for (target, at) in targets {
                let target = self.indices.cx.substitute(target, &found)?;
                let open: Vec<Sym> = self.indices.cx.free_symbols(target).into_iter().collect();
                let open: Vec<Sym> = open
                    .into_iter()
                    .filter(|it| unknowns.contains_key(it) && !found.contains_key(it))
                    .collect();
                match open[..] {
                    [] => {
                        let difference = self.indices.cx.sub(at, target)?;
                        conditions.extend([difference, self.indices.cx.neg(difference)?]);
                    }
                    [one] => self.solve(target, at, one, &mut found, &mut conditions)?,
                    [a, b] => match self.solve_two(target, at, [a, b], &unknowns, &mut found)? {
                        Some(within) => {
                            conditions.extend(within);
                            ranged.extend([a, b]);
                        }
                        None => waiting.push((target, at)),
                    },
                    _ => waiting.push((target, at)),
                }
            }
            if waiting.len() == before {
                return Err(Stop::unknown("where a stage stores cannot be inverted"));
            }
            targets = waiting;
        }
        let mut values = frame.sizes.clone();
        for (sym, (var, extent)) in unknowns {
            // What is stored at one place for all iterations of an axis has one iteration.
            let value = found.get(&sym).copied().unwrap_or_else(|| self.indices.cx.int(0));
            let value = self.indices.simplify(value)?;
            if !ranged.contains(&sym) {
                conditions.extend(self.indices.within(value, extent)?);
            }
            values.insert(var, value);
        }
        Ok((values, conditions))
    }

    /// The value of the one unknown of `target = at`.
    pub(super) fn solve(
        &mut self,
        target: Dim,
        at: Dim,
        unknown: Sym,
        found: &mut IndexMap<Sym, Dim>,
        conditions: &mut Vec<Dim>,
    ) -> Step<()> {
        let cx = &mut self.indices.cx;
        let affine = cx.affine_in(target, unknown);
        let (step, rest) =
            affine.ok_or_else(|| Stop::unknown("a stage stores at a place that is not affine"))?;
        let distance = cx.sub(at, rest)?;
        let value = match cx.as_int(step) {
            Some(1) => distance,
            Some(-1) => cx.neg(distance)?,
            _ => {
                let value = cx.floor_div_dim(distance, step)?;
                let whole = cx.mul(value, step)?;
                let remainder = cx.sub(distance, whole)?;
                conditions.extend([remainder, cx.neg(remainder)?]);
                value
            }
        };
        found.insert(unknown, value);
        Ok(())
    }

    /// The values of the two unknowns of `target = at`, where one counts whole steps and the other the rest, and when both
    /// are in range: where the distance is one of all steps. That is said of the distance and not of the quotient, which
    /// no fact bounds where a step is a symbol.
    pub(super) fn solve_two(
        &mut self,
        target: Dim,
        at: Dim,
        pair: [Sym; 2],
        unknowns: &IndexMap<Sym, (Sym, Dim)>,
        found: &mut IndexMap<Sym, Dim>,
    ) -> Step<Option<[Dim; 2]>> {
        for [outer, inner] in [pair, [pair[1], pair[0]]] {
            let cx = &mut self.indices.cx;
            let Some((step, rest)) = cx.affine_in(target, outer) else { continue };
            let Some((one, rest)) = cx.affine_in(rest, inner) else { continue };
            let extent = unknowns[&inner].1;
            if cx.as_int(one) != Some(1) || !cx.prove_eq(extent, step).is_always() {
                continue;
            }
            let distance = cx.sub(at, rest)?;
            let value = cx.floor_div_dim(distance, step)?;
            let value = self.indices.simplify(value)?;
            let whole = self.indices.cx.mul(value, step)?;
            let remainder = self.indices.cx.sub(distance, whole)?;
            found.insert(outer, value);
            found.insert(inner, self.indices.simplify(remainder)?);
            let all = self.indices.cx.mul(unknowns[&outer].1, step)?;
            return Ok(Some(self.indices.within(distance, all)?));
        }
        Ok(None)
    }
}
