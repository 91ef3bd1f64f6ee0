//! Operands that are anything: parameters of types and dimensions that fit.

use super::Instance;
use crate::rewrite::{DTypePattern, DimPattern, Expr, TypePattern};
use orogen_ir::flow::ValueId;
use orogen_ir::ops::{OpDef, OpSink};
use orogen_ir::shape::{Dim, ShapeCx};
use orogen_ir::types::{DType, TensorData, TensorType, Type};

impl Instance<'_, '_> {
    pub(super) fn shape(&self, value: ValueId) -> Option<Vec<Dim>> {
        self.builder.type_of(value).as_tensor()?.dims().map(<[Dim]>::to_vec)
    }

    /// The shape of a vector as long as a dimension of a value.
    fn dim_of(&self, value: ValueId, axis: usize) -> Vec<Vec<Dim>> {
        self.shape(value).and_then(|it| Some(vec![vec![*it.get(axis)?]])).unwrap_or_default()
    }

    /// A parameter, of a type and of dimensions that fit the operands before it.
    pub(super) fn leaf(
        &mut self,
        def: &OpDef,
        before: &[ValueId],
        ty: Option<&TypePattern>,
    ) -> Option<ValueId> {
        let first = before.first().and_then(|it| self.shape(*it));
        if let Some(list) = self.integers(def.name, before.len(), first.as_deref()) {
            return self.named_sizes(&list);
        }
        let before_type =
            before.first().and_then(|it| self.builder.type_of(*it).as_tensor()).map(|it| it.dtype);
        let usual = match (def.name, before.len()) {
            ("gather" | "gather_elements" | "gather_nd", 1) => DType::I64,
            ("where", 0) => DType::Bool,
            ("dequantize" | "dequantize_blocks" | "conv_integer" | "matmul_integer", 0) => {
                self.one_of(&[DType::U8, DType::I8])?
            }
            ("dequantize" | "dequantize_blocks" | "quantize", 1) => DType::F32,
            ("quantize", 2) => self.one_of(&[DType::U8, DType::I8])?,
            ("matmul_integer" | "conv_integer", 1) => self.one_of(&[DType::I8, DType::U8])?,
            ("where", 1) => self.dtype,
            ("where", _) => self.builder.type_of(before[1]).as_tensor()?.dtype,
            _ => before_type.unwrap_or(self.dtype),
        };
        let dtype = match ty.and_then(|it| it.dtype.as_ref()) {
            None => usual,
            Some(DTypePattern::Exact(it)) => *it,
            Some(DTypePattern::Class(class)) if class.admits(usual) => usual,
            Some(DTypePattern::Class(class)) => {
                let all: Vec<DType> = self.classes.iter().copied().filter(|it| class.admits(*it)).collect();
                self.one_of(&all)?
            }
            Some(DTypePattern::Name(name)) => *self.types.entry(name.index()).or_insert(usual),
        };
        let shapes = self.shapes(def.name, before, first.as_deref());
        let dims = match ty.and_then(|it| it.dims.as_ref()) {
            Some(dims) if dims.is_empty() => Vec::new(),
            Some(pattern) => {
                let mut fitting: Vec<Vec<Dim>> = Vec::new();
                for candidate in &shapes {
                    if let Some(dims) = self.fitted(pattern, candidate).filter(|it| !fitting.contains(it)) {
                        fitting.push(dims);
                    }
                }
                let dims = self.one_of(&fitting)?;
                self.note_sizes(pattern, &dims);
                dims
            }
            None => self.one_of(&shapes)?,
        };
        self.input("p", Type::tensor(dtype, dims))
    }

    fn input(&mut self, hint: &str, ty: Type) -> Option<ValueId> {
        let value = self.builder.input(&format!("{hint}{}", self.params.len() + 1), ty).ok()?;
        self.params.push(value);
        Some(value)
    }

    /// The places of a shape that a pattern speaks of one by one: those before what stands for several, and those behind.
    fn places(pattern: &[DimPattern], rank: usize) -> Option<Vec<(&Expr, usize)>> {
        let many = pattern.iter().position(|it| matches!(it, DimPattern::Rest(_)));
        let fits = if many.is_some() { rank + 1 >= pattern.len() } else { rank == pattern.len() };
        let shift = |i: usize| if many.is_some_and(|it| i > it) { i + rank - pattern.len() } else { i };
        let places = pattern.iter().enumerate().filter_map(|(i, it)| match it {
            DimPattern::One(expr) => Some((expr, shift(i))),
            DimPattern::Rest(_) => None,
        });
        fits.then(|| places.collect())
    }

    /// Dimensions like these that a pattern admits: with its numbers, and with what its names stand for already.
    fn fitted(&mut self, pattern: &[DimPattern], dims: &[Dim]) -> Option<Vec<Dim>> {
        let mut dims = dims.to_vec();
        let mut own: Vec<(usize, Dim)> = Vec::new();
        for (expr, at) in Self::places(pattern, dims.len())? {
            match expr {
                Expr::Int(it) => dims[at] = self.builder.shapes().int(*it),
                Expr::Name(name) if self.rule.spelling(*name) != "_" => {
                    let mine = own.iter().find(|it| it.0 == name.index()).map(|it| it.1);
                    let known = mine.or_else(|| self.sizes.get(&name.index()).copied());
                    dims[at] = known.unwrap_or(dims[at]);
                    own.push((name.index(), dims[at]));
                }
                _ => {}
            }
        }
        Some(dims)
    }

    fn note_sizes(&mut self, pattern: &[DimPattern], dims: &[Dim]) {
        for (expr, at) in Self::places(pattern, dims.len()).unwrap_or_default() {
            if let Expr::Name(name) = expr
                && self.rule.spelling(*name) != "_"
            {
                self.sizes.entry(name.index()).or_insert(dims[at]);
            }
        }
    }

    /// Dimensions of an operand.
    fn shapes(&mut self, op: &str, before: &[ValueId], first: Option<&[Dim]>) -> Vec<Vec<Dim>> {
        let cx = self.builder.shapes();
        let fresh = |cx: &mut ShapeCx, name: &str| cx.sym(name);
        let one = cx.int(1);
        let Some(first) = first else {
            let mut list = vec![self.base.clone()];
            if matches!(op, "conv" | "conv_integer") && self.base.len() >= 3 {
                // Channels of two groups.
                let twice = cx.scale(self.base[1], 2).into_iter().chain([cx.int(2)]);
                list.extend(twice.map(|it| {
                    let mut dims = self.base.clone();
                    dims[1] = it;
                    dims
                }));
            }
            for i in 0..self.base.len() {
                let mut dims = self.base.clone();
                dims[i] = one;
                list.push(dims);
            }
            return list;
        };
        let rank = first.len();
        match (op, before.len()) {
            ("matmul" | "matmul_integer", 1) if rank >= 1 => {
                let (inner, columns) = (first[rank - 1], fresh(cx, "q"));
                let mut batched = first[..rank.saturating_sub(2)].to_vec();
                batched.extend([inner, columns]);
                vec![vec![inner, columns], batched, vec![inner], vec![inner, inner]]
            }
            ("conv" | "conv_integer", 1) if rank >= 3 => {
                let (out, three) = (fresh(cx, "o"), cx.int(3));
                let weights = |out: Dim, channels: Dim, tap: Dim| -> Vec<Dim> {
                    [out, channels].into_iter().chain(std::iter::repeat_n(tap, rank - 2)).collect()
                };
                let whole = first[1];
                let mut list = vec![weights(out, whole, three), weights(out, whole, one)];
                list.push(weights(whole, whole, three));
                // Of two groups.
                if let (Ok(half), Ok(twice)) = (cx.floor_div(whole, 2), cx.scale(out, 2)) {
                    list.push(weights(twice, half, three));
                }
                list
            }
            ("conv_transpose", 1) if rank >= 3 => {
                let (out, two) = (fresh(cx, "o"), cx.int(2));
                vec![[first[1], out].into_iter().chain(std::iter::repeat_n(two, rank - 2)).collect()]
            }
            ("conv", 2) => self.dim_of(before[1], 0),
            ("conv_transpose", 2) => self.dim_of(before[1], 1),
            ("conv_integer" | "matmul_integer", 2..) => vec![Vec::new()],
            ("batch_norm", 1..) if rank >= 2 => vec![vec![first[1]]],
            ("layer_norm", 1..) => (1..=rank).map(|it| first[rank - it..].to_vec()).collect(),
            ("dequantize" | "quantize", 1..) => {
                let mut list = vec![Vec::new()];
                for i in 0..rank {
                    let mut dims = vec![one; rank];
                    dims[i] = first[i];
                    list.push(dims);
                }
                match before.get(1).and_then(|it| self.shape(*it)) {
                    Some(scale) => vec![scale],
                    None => list,
                }
            }
            ("gather", 1) => {
                let (i, j) = (fresh(cx, "i"), fresh(cx, "j"));
                vec![vec![i], Vec::new(), vec![i, j]]
            }
            ("concat", _) => {
                let names = ["a", "b", "c", "d"];
                let other = fresh(cx, names[before.len().min(3)]);
                let mut list = vec![first.to_vec()];
                for i in 0..rank {
                    let mut dims = first.to_vec();
                    dims[i] = other;
                    list.push(dims);
                }
                list
            }
            _ => {
                // Everything that broadcasts with the first operand.
                let mut list = vec![first.to_vec()];
                if rank > 0 {
                    list.push(Vec::new());
                }
                for i in 0..rank {
                    let mut dims = first.to_vec();
                    dims[i] = one;
                    list.push(dims);
                    list.push(first[i..].to_vec());
                }
                let mut wider = vec![fresh(cx, "w")];
                wider.extend(first);
                list.push(wider);
                list.push(vec![one; rank]);
                list.dedup();
                list
            }
        }
    }

    /// Elements of an operand that names sizes, bounds or pads.
    fn integers(&mut self, op: &str, at: usize, first: Option<&[Dim]>) -> Option<Vec<Dim>> {
        let first = first?;
        let rank = first.len();
        let cx = self.builder.shapes();
        let (zero, one, two) = (cx.int(0), cx.int(1), cx.int(2));
        let candidates: Vec<Vec<Dim>> = match (op, at) {
            ("reshape", 1) => {
                let mut list = vec![cx.product(first).map(|it| vec![it]).ok()?];
                list.push(first.to_vec());
                for i in 0..=rank {
                    let mut dims = first.to_vec();
                    dims.insert(i, one);
                    list.push(dims);
                }
                for i in 1..rank {
                    let mut dims = first.to_vec();
                    let merged = cx.mul(dims[i - 1], dims[i]).ok()?;
                    dims.splice(i - 1..=i, [merged]);
                    list.push(dims);
                }
                list
            }
            ("expand", 1) => {
                let wide = cx.sym("w");
                let mut list =
                    vec![first.to_vec(), [wide].into_iter().chain(first.iter().copied()).collect()];
                let widened: Vec<Dim> =
                    first.iter().map(|it| if cx.as_int(*it) == Some(1) { wide } else { *it }).collect();
                list.push(widened);
                list
            }
            ("tile", 1) => vec![vec![one; rank], vec![two; rank]],
            ("pad", 1) => {
                let mut spatial = vec![zero; 2 * rank];
                for (i, pad) in spatial.iter_mut().enumerate() {
                    if i % rank.max(1) >= 2 {
                        *pad = if i < rank { one } else { two };
                    }
                }
                vec![spatial, vec![one; 2 * rank], vec![zero; 2 * rank]]
            }
            // Bounds for one axis.
            ("slice", 1) => vec![vec![one], vec![zero]],
            ("slice", 2) => {
                let mut list = vec![vec![two], vec![cx.int(-1)]];
                list.extend(first.iter().map(|it| vec![*it]));
                list
            }
            ("slice", 3) => vec![vec![one], vec![two]],
            ("squeeze" | "unsqueeze", 1) => return None,
            _ => return None,
        };
        self.one_of(&candidates)
    }

    /// An operand of known elements: a constant, or a parameter whose elements are symbolic.
    fn named_sizes(&mut self, list: &[Dim]) -> Option<ValueId> {
        let cx = self.builder.shapes();
        let known: Option<Vec<i64>> = list.iter().map(|it| cx.as_int(*it)).collect();
        if let Some(known) = known {
            return Some(self.builder.constant("", TensorData::ints(&known)));
        }
        let count = cx.int(i64::try_from(list.len()).ok()?);
        let ty = TensorType::new(DType::I64, [count]).with_elements(list.iter().copied());
        self.input("s", Type::Tensor(ty))
    }
}
