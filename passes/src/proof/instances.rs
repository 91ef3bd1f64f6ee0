//! Instances of the left side of a rule: functions over symbolic sizes that it matches, for every rank, attribute, element
//! type, broadcast and optional operand that it admits.
//!
//! An instance is built operand by operand, and each choice is one of few: of dimensions that fit the operands before it,
//! of the attributes that its rank admits. All sequences of choices are gone through in order, ranks last; where there are
//! too many, a fixed number that is spread over all of them. What does not type, or needs a check, is no instance.

use crate::rewrite::{
    Condition, DTypePattern, Expr, OpPattern, Ops, Pattern, PatternKind, Predicate, Rewrite, TypePattern,
};
use indexmap::IndexMap;
use orogen_ir::flow::{BindingId, FlowBuilder, Module, Rhs, ValueId};
use orogen_ir::ops::{AttrDef, AttrKind, OpDef, OpRegistry, OpSink};
use orogen_ir::shape::{Constraint, Dim, ShapeCx};
use orogen_ir::types::{Attr, Attrs, DType, TensorData, Type};

/// The largest rank of operands.
const MAX_RANK: usize = 4;
/// Sequences of choices that are gone through in order for one rank, and of those that are spread.
const IN_ORDER: usize = 1500;
const SPREAD: usize = 1500;

/// Element types that stand for their classes.
const TYPES: [DType; 9] = [
    DType::F32,
    DType::I32,
    DType::U8,
    DType::F16,
    DType::I8,
    DType::I64,
    DType::Bool,
    DType::F64,
    DType::BF16,
];

/// A sequence of choices.
#[derive(Default)]
struct Choices {
    /// What was chosen, and of how many.
    made: Vec<(usize, usize)>,
    at: usize,
    /// The state of the numbers that look random; `None` goes in order.
    spread: Option<u64>,
}

impl Choices {
    fn pick(&mut self, of: usize) -> usize {
        let of = of.max(1);
        if let Some(state) = &mut self.spread {
            *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            return (*state >> 33) as usize % of;
        }
        if self.at == self.made.len() {
            self.made.push((0, of));
        }
        let (choice, _) = self.made[self.at];
        self.at += 1;
        choice
    }

    /// The next sequence in order; `false` after the last one.
    fn next(&mut self) -> bool {
        self.made.truncate(self.at);
        self.at = 0;
        while let Some((choice, of)) = self.made.pop() {
            if choice + 1 < of {
                self.made.push((choice + 1, of));
                return true;
            }
        }
        false
    }
}

/// Instances of one rule, at most `most` of each rank.
pub(super) fn instances(
    ops: &OpRegistry,
    rule: &Rewrite,
    most: usize,
    accept: &mut dyn FnMut(Module) -> bool,
) {
    for rank in 0..=MAX_RANK {
        let mut seen: Vec<String> = Vec::new();
        let mut found = 0;
        let mut choices = Choices::default();
        let mut tried = 0;
        loop {
            tried += 1;
            if let Some(module) = build(ops, rule, rank, &mut choices) {
                let text = orogen_ir::flow::text::print(&module, ops);
                if !seen.contains(&text) {
                    seen.push(text);
                    found += usize::from(accept(module));
                }
            }
            if found >= most || tried >= IN_ORDER + SPREAD {
                break;
            }
            // Half of the instances come in order, the others from anywhere.
            if choices.spread.is_none() {
                if tried >= IN_ORDER || found >= most / 2 {
                    choices = Choices { spread: Some(0x5eed + rank as u64), ..Choices::default() };
                } else if !choices.next() {
                    break;
                }
            }
        }
    }
}

/// A rule without what it asks of constants: whether a value is one, and what it holds, changes no side.
pub(super) fn without_constants(rule: &Rewrite) -> Rewrite {
    let mut rule = rule.clone();
    rule.conditions
        .retain(|it| !matches!(it, Condition::Is(Predicate::Const | Predicate::Made | Predicate::Within, _)));
    rule
}

fn build(ops: &OpRegistry, rule: &Rewrite, rank: usize, choices: &mut Choices) -> Option<Module> {
    choices.at = 0;
    let mut builder = FlowBuilder::new(ops, "f");
    let base: Vec<Dim> = ["n", "m", "k", "l"][..rank].iter().map(|it| builder.shapes().sym(it)).collect();
    let dtype = TYPES[choices.pick(TYPES.len())];
    let mut instance = Instance {
        builder,
        choices,
        base,
        dtype,
        values: IndexMap::new(),
        types: IndexMap::new(),
        attrs: IndexMap::new(),
        inputs: 0,
    };
    let PatternKind::Op(op) = &rule.left.kind else { return None };
    let root = instance.operation(op)?;
    let mut builder = instance.builder;
    builder.output("y", root).ok()?;
    let module = builder.finish().ok()?;
    let (_, function) = module.entry()?;
    let checks = |id: BindingId| matches!(&function[id].rhs, Rhs::Check { .. } | Rhs::MatchCast { .. });
    (!function.live_bindings().into_iter().any(checks)).then_some(module)
}

struct Instance<'a, 'o> {
    builder: FlowBuilder<'o>,
    choices: &'a mut Choices,
    /// Dimensions of the first operand of an operation.
    base: Vec<Dim>,
    /// The element type where nothing says another one.
    dtype: DType,
    /// What names stand for, by their numbers.
    values: IndexMap<usize, ValueId>,
    types: IndexMap<usize, DType>,
    attrs: IndexMap<usize, Attr>,
    inputs: usize,
}

impl Instance<'_, '_> {
    fn one_of<T: Clone>(&mut self, list: &[T]) -> Option<T> {
        if list.is_empty() {
            return None;
        }
        let at = if list.len() == 1 { 0 } else { self.choices.pick(list.len()) };
        list.get(at).cloned()
    }

    fn operation(&mut self, op: &OpPattern) -> Option<ValueId> {
        let ops = self.builder.registry();
        let names: Vec<&str> = match &op.ops {
            Ops::Named(names) => names.iter().map(|it| &**it).collect(),
            Ops::Elementwise => match op.args.len() {
                1 => vec!["exp", "relu", "cast", "neg", "not", "is_nan", "bit_not", "sigmoid"],
                2 => vec!["add", "mul", "max", "less", "div", "and"],
                _ => vec!["where"],
            },
        };
        let name = self.one_of(&names)?;
        let id = ops.find(name)?;
        let def = ops.def(id).clone();
        let mut args: Vec<ValueId> = Vec::new();
        for pattern in &op.args {
            if pattern.optional && self.choices.pick(2) == 1 {
                break;
            }
            let times = if pattern.repeated { 1 + self.choices.pick(3) } else { 1 };
            for _ in 0..times {
                // Each of several has names of its own.
                let values = pattern.repeated.then(|| self.values.clone());
                args.push(self.operand(&def, &args, pattern)?);
                if let Some(values) = values {
                    self.values = values;
                }
            }
        }
        let attrs = self.attributes(&def, op, &args)?;
        let results = self.builder.emit(id, attrs, &args).ok()?;
        results.first().copied()
    }

    fn operand(&mut self, def: &OpDef, before: &[ValueId], pattern: &Pattern) -> Option<ValueId> {
        let value = match &pattern.kind {
            PatternKind::Any(Some(name)) if self.values.contains_key(&name.index()) => {
                self.values[&name.index()]
            }
            PatternKind::Any(name) => {
                let value = self.leaf(def, before, pattern.ty.as_ref())?;
                if let Some(name) = name {
                    self.values.insert(name.index(), value);
                }
                value
            }
            PatternKind::Number(number) => {
                let dtype =
                    before.first().and_then(|it| self.builder.type_of(*it).as_tensor()).map(|it| it.dtype);
                let dtype = dtype.unwrap_or(self.dtype);
                let dims: &[u64] = self.one_of(&[&[][..], &[1][..]])?;
                let data = TensorData::from_f64(dtype, dims, [*number]);
                self.builder.constant("", data)
            }
            PatternKind::List(_) => self.leaf(def, before, None)?,
            PatternKind::Op(op) => self.operation(op)?,
        };
        if let Some(name) = pattern.capture {
            self.values.insert(name.index(), value);
        }
        Some(value)
    }

    fn shape(&self, value: ValueId) -> Option<Vec<Dim>> {
        self.builder.type_of(value).as_tensor()?.dims().map(<[Dim]>::to_vec)
    }

    /// The shape of a vector as long as a dimension of a value.
    fn dim_of(&self, value: ValueId, axis: usize) -> Vec<Vec<Dim>> {
        self.shape(value).and_then(|it| Some(vec![vec![*it.get(axis)?]])).unwrap_or_default()
    }

    /// A parameter, of a type and of dimensions that fit the operands before it.
    fn leaf(&mut self, def: &OpDef, before: &[ValueId], ty: Option<&TypePattern>) -> Option<ValueId> {
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
                let all: Vec<DType> = TYPES.into_iter().filter(|it| class.admits(*it)).collect();
                self.one_of(&all)?
            }
            Some(DTypePattern::Name(name)) => *self.types.entry(name.index()).or_insert(usual),
        };
        let shapes = self.shapes(def.name, before, first.as_deref());
        let dims = match ty.and_then(|it| it.dims.as_ref()) {
            // A pattern without dimensions is a scalar; any other is left to the match.
            Some(dims) if dims.is_empty() => Vec::new(),
            _ => self.one_of(&shapes)?,
        };
        self.inputs += 1;
        let name = format!("p{}", self.inputs);
        self.builder.input(&name, Type::tensor(dtype, dims)).ok()
    }

    /// Dimensions of an operand.
    fn shapes(&mut self, op: &str, before: &[ValueId], first: Option<&[Dim]>) -> Vec<Vec<Dim>> {
        let cx = self.builder.shapes();
        let fresh = |cx: &mut ShapeCx, name: &str| cx.sym(name);
        let one = cx.int(1);
        let Some(first) = first else {
            let mut list = vec![self.base.clone()];
            // Where extents are one symbol, more matches than where they are not.
            if let [first, _, ..] = self.base[..] {
                list.push(vec![first; self.base.len()]);
            }
            if matches!(op, "conv" | "conv_integer" | "conv_transpose") {
                // Windows fit in what they move over.
                for dim in self.base.iter().skip(2) {
                    let _ = cx.assume(Constraint::AtLeast(*dim, 3));
                }
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
                vec![vec![inner, columns], batched, vec![inner]]
            }
            ("conv" | "conv_integer", 1) if rank >= 3 => {
                let (out, three) = (fresh(cx, "o"), cx.int(3));
                [three, one]
                    .map(|tap| {
                        [out, first[1]].into_iter().chain(std::iter::repeat_n(tap, rank - 2)).collect()
                    })
                    .into()
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
        let ty = orogen_ir::types::TensorType::new(DType::I64, [count]).with_elements(list.iter().copied());
        self.inputs += 1;
        self.builder.input(&format!("s{}", self.inputs), Type::Tensor(ty)).ok()
    }

    fn attributes(&mut self, def: &OpDef, op: &OpPattern, args: &[ValueId]) -> Option<Attrs> {
        let rank = args.first().and_then(|it| self.shape(*it)).map_or(0, |it| it.len());
        let mut attrs = Attrs::none();
        for (name, expr) in &op.attrs {
            let schema = def.attrs.iter().find(|it| it.name == &**name)?;
            let value = match (expr, self.literal(expr)) {
                (_, Some(value)) => value,
                (Expr::Name(it), None) if self.attrs.contains_key(&it.index()) => {
                    self.attrs[&it.index()].clone()
                }
                (Expr::Name(it), None) if self.types.contains_key(&it.index()) => {
                    Attr::DType(self.types[&it.index()])
                }
                _ => {
                    let list = self.values_of(def.name, schema, rank);
                    self.one_of(&list)?
                }
            };
            if let Expr::Name(it) = expr {
                self.attrs.insert(it.index(), value.clone());
                if let Attr::DType(dtype) = value {
                    self.types.insert(it.index(), dtype);
                }
            }
            attrs = attrs.with(name, value);
        }
        // What a pattern takes along, and what must be given.
        let takes_more = op.rest.is_some() || op.capture.is_some();
        for schema in def.attrs {
            let given = op.attrs.iter().any(|it| *it.0 == *schema.name);
            if given || !(schema.required || (takes_more && self.choices.pick(2) == 1)) {
                continue;
            }
            let list = self.values_of(def.name, schema, rank);
            if let Some(value) = self.one_of(&list) {
                attrs = attrs.with(schema.name, value);
            }
        }
        Some(attrs)
    }

    fn literal(&self, expr: &Expr) -> Option<Attr> {
        Some(match expr {
            Expr::Int(it) => Attr::Int(*it),
            Expr::Float(it) => Attr::Float(*it),
            Expr::Bool(it) => Attr::Bool(*it),
            Expr::Text(it) => Attr::Str(it.clone()),
            Expr::DType(it) => Attr::DType(*it),
            Expr::List(items) => {
                let one = |it: &crate::rewrite::Item| match (&it.expr, it.spread) {
                    (Expr::Int(value), false) => Some(*value),
                    _ => None,
                };
                Attr::from(items.iter().map(one).collect::<Option<Vec<i64>>>()?)
            }
            _ => return None,
        })
    }

    /// The values of an attribute for an operand of a rank.
    fn values_of(&self, op: &str, schema: &AttrDef, rank: usize) -> Vec<Attr> {
        let count = i64::try_from(rank).unwrap_or(0);
        let spatial = rank.saturating_sub(2);
        match (schema.name, schema.kind) {
            ("perm", _) => permutations(rank).into_iter().map(Attr::from).collect(),
            ("axes", _) => {
                let of = if op == "unsqueeze" { count + 1 } else { count };
                let mut list = subsets(of);
                if op == "slice" {
                    list.retain(|it| it.len() == 1);
                }
                list.into_iter().map(Attr::from).collect()
            }
            ("axis", _) => (0..count).map(Attr::from).collect(),
            ("strides" | "dilations", _) => vec![vec![1; spatial].into(), vec![2; spatial].into()],
            ("pads", _) => {
                let ends: Vec<i64> = (0..2 * spatial).map(|it| (it % 3) as i64).collect();
                vec![vec![0; 2 * spatial].into(), vec![1; 2 * spatial].into(), ends.into()]
            }
            ("kernel", _) => vec![vec![2; spatial].into()],
            ("mode", _) if op == "pad" => vec!["constant".into(), "edge".into()],
            ("block", _) => vec![2.into()],
            (_, AttrKind::Bool) => vec![false.into(), true.into()],
            (_, AttrKind::Float) => vec![0.001.into()],
            (_, AttrKind::Int) => vec![1.into()],
            (_, AttrKind::DType) => TYPES.iter().map(|it| Attr::DType(*it)).collect(),
            _ => Vec::new(),
        }
    }
}

/// All permutations of so many axes, in order.
fn permutations(rank: usize) -> Vec<Vec<i64>> {
    let mut all: Vec<Vec<i64>> = vec![Vec::new()];
    for _ in 0..rank {
        let longer = |it: &Vec<i64>| -> Vec<Vec<i64>> {
            let rest = (0..rank as i64).filter(|axis| !it.contains(axis));
            rest.map(|axis| it.iter().copied().chain([axis]).collect()).collect()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

/// All lists of axes below `count` in increasing order, but for the empty one.
fn subsets(count: i64) -> Vec<Vec<i64>> {
    (1..1i64 << count.clamp(0, 8)).map(|set| (0..count).filter(|it| set >> it & 1 == 1).collect()).collect()
}
