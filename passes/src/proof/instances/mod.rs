//! Instances of the left side of a rule: functions over symbolic sizes that it matches, for every rank, attribute, element
//! type, broadcast and optional operand that it admits.
//!
//! An instance is built operand by operand, and each choice is one of few: of dimensions that fit the operands before it,
//! of the attributes that its rank admits. All sequences of choices are gone through in order, ranks last; where there are
//! too many, a fixed number that is spread over all of them. What does not type, or needs a check, is no instance.
//!
//! A name whose number a rule reads (`scalar`) is a constant that stands for any number, see [`Known`].

mod attributes;
mod operands;

use super::Known;
use crate::rewrite::{
    Condition, Expr, Function, Name, OpPattern, Ops, Pattern, PatternKind, Predicate, Rewrite, RuleClass,
    Term, TermKind,
};
use indexmap::{IndexMap, IndexSet};
use orogen_ir::flow::{BindingId, FlowBuilder, Module, Rhs, ValueId};
use orogen_ir::ops::{OpDef, OpId, OpRegistry, OpSink};
use orogen_ir::shape::{Constraint, Dim};
use orogen_ir::types::{Attr, DType, TensorData};

/// The largest rank of operands.
const MAX_RANK: usize = 4;
/// Sequences of choices of one kind that are gone through for one rank.
const TRIES: usize = 1000;

/// Element types that stand for their classes.
pub(super) const TYPES: [DType; 9] = [
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

/// Instances of one rule, at most `most` of each rank, over element types that are taken in this order.
pub(super) fn instances(
    ops: &OpRegistry,
    rule: &Rewrite,
    types: &[DType],
    most: usize,
    accept: &mut dyn FnMut(Module, &Known) -> bool,
) {
    for rank in 0..=MAX_RANK {
        let mut seen: IndexSet<String> = IndexSet::new();
        let mut found = 0;
        let spread = || Choices { spread: Some(0x5eed + rank as u64), ..Choices::default() };
        // A third comes in order, a third from anywhere with extents that are all one symbol, where axes that are mistaken
        // for each other still fit, and the rest from anywhere.
        let phases =
            [(Choices::default(), false, most / 3), (spread(), true, 2 * most / 3), (spread(), false, most)];
        let mut all = false;
        for (mut choices, is_equal, until) in phases {
            for _ in 0..TRIES {
                if found >= until || (all && !is_equal) {
                    break;
                }
                if let Some((module, known)) = build((ops, types), rule, rank, is_equal, &mut choices)
                    && seen.insert(orogen_ir::flow::text::print(&module, ops))
                {
                    found += usize::from(accept(module, &known));
                }
                if choices.spread.is_none() {
                    all = !choices.next();
                }
            }
        }
    }
}

/// A rule without what it asks of constants: whether a value is one, and what it holds, changes no side.
pub(super) fn without_constants(rule: &Rewrite) -> Rewrite {
    let mut rule = rule.clone();
    rule.conditions.retain(|it| {
        !matches!(
            it,
            Condition::Is(Predicate::Const | Predicate::Made | Predicate::Within | Predicate::Positive, _)
        )
    });
    rule
}

fn build(
    (ops, classes): (&OpRegistry, &[DType]),
    rule: &Rewrite,
    rank: usize,
    is_equal: bool,
    choices: &mut Choices,
) -> Option<(Module, Known)> {
    choices.at = 0;
    let mut builder = FlowBuilder::new(ops, "f");
    let names = if is_equal { ["n"; MAX_RANK] } else { ["n", "m", "k", "l"] };
    let base: Vec<Dim> = names[..rank].iter().map(|it| builder.shapes().sym(it)).collect();
    if has_windows(&rule.left) {
        // Windows fit in what they move over.
        for dim in base.iter().skip(2) {
            builder.shapes().assume(Constraint::AtLeast(*dim, 3)).ok()?;
        }
    }
    let dtype = *classes.get(choices.pick(classes.len()))?;
    let mut instance = Instance {
        builder,
        choices,
        rule,
        numbers: numbers(rule),
        base,
        classes,
        dtype,
        values: IndexMap::new(),
        types: IndexMap::new(),
        attrs: IndexMap::new(),
        sizes: IndexMap::new(),
        params: Vec::new(),
    };
    let PatternKind::Op(op) = &rule.left.kind else { return None };
    let mut roots = vec![instance.operation(op)?];
    for (pattern, _) in &rule.others {
        let PatternKind::Op(op) = &pattern.kind else { return None };
        roots.push(instance.operation(op)?);
    }
    let known = instance.known()?;
    let mut builder = instance.builder;
    for (i, root) in roots.into_iter().enumerate() {
        builder.output(&format!("y{i}"), root).ok()?;
    }
    let module = builder.finish().ok()?;
    let (_, function) = module.entry()?;
    let checks = |id: BindingId| matches!(&function[id].rhs, Rhs::Check { .. } | Rhs::MatchCast { .. });
    (!function.live_bindings().into_iter().any(checks)).then_some((module, known))
}

struct Instance<'a, 'o> {
    builder: FlowBuilder<'o>,
    choices: &'a mut Choices,
    rule: &'a Rewrite,
    /// Names whose numbers the rule reads.
    numbers: Vec<usize>,
    /// Dimensions of the first operand of an operation.
    base: Vec<Dim>,
    /// Element types that stand for their classes.
    classes: &'a [DType],
    /// The element type where nothing says another one.
    dtype: DType,
    /// What names stand for, by their numbers.
    values: IndexMap<usize, ValueId>,
    types: IndexMap<usize, DType>,
    attrs: IndexMap<usize, Attr>,
    sizes: IndexMap<usize, Dim>,
    /// In order.
    params: Vec<ValueId>,
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
        // What is made by operations comes first where operands have the same role: it decides the shapes of the others.
        if let ([a, b], true) = (&op.args[..], def.elementwise && !has_roles(name))
            && matches!((&a.kind, &b.kind), (PatternKind::Any(_), PatternKind::Op(_)))
            && !(a.repeated || a.optional || b.repeated || b.optional)
        {
            let second = self.operand(&def, &[], b)?;
            let first = self.operand(&def, &[second], a)?;
            return self.emit(id, &def, op, &[first, second]);
        }
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
        self.emit(id, &def, op, &args)
    }

    fn emit(&mut self, id: OpId, def: &OpDef, op: &OpPattern, args: &[ValueId]) -> Option<ValueId> {
        let attrs = self.attributes(def, op, args)?;
        let results = self.builder.emit(id, attrs, args).ok()?;
        results.first().copied()
    }

    fn operand(&mut self, def: &OpDef, before: &[ValueId], pattern: &Pattern) -> Option<ValueId> {
        let value = match &pattern.kind {
            PatternKind::Any(Some(name)) if self.values.contains_key(&name.index()) => {
                self.values[&name.index()]
            }
            PatternKind::Any(Some(name)) if self.numbers.contains(&name.index()) => {
                let data = self.number(before, Known::ANY)?;
                let value = self.builder.constant("", data);
                self.values.insert(name.index(), value);
                value
            }
            PatternKind::Any(name) => {
                let value = self.leaf(def, before, pattern.ty.as_ref())?;
                if let Some(name) = name {
                    self.values.insert(name.index(), value);
                }
                value
            }
            PatternKind::Number(number) => {
                let data = self.number(before, *number)?;
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

    /// A constant of one element, of the type of the operands before it.
    fn number(&mut self, before: &[ValueId], number: f64) -> Option<TensorData> {
        let of = before.first().and_then(|it| self.builder.type_of(*it).as_tensor());
        let dtype = of.map_or(self.dtype, |it| it.dtype);
        let dims: &[u64] = self.one_of(&[&[][..], &[1][..]])?;
        let keeps = !self.numbers.is_empty() && number == Known::ANY && !dtype.is_float();
        (!keeps).then(|| TensorData::from_f64(dtype, dims, [number]))
    }

    /// What the rule asks of its constants, of the parameters that stand for them; `None` where no proof could use it.
    fn known(&self) -> Option<Known> {
        let mut known = Known::default();
        if !self.numbers.is_empty() {
            // Bit by bit a number is rounded like no other one.
            (self.rule.class != RuleClass::Bitwise).then_some(())?;
            known.any = true;
        }
        for condition in &self.rule.conditions {
            if let Condition::Is(Predicate::Within, args) = condition
                && let [Expr::Name(name), low, high] = &args[..]
                && let (Some(low), Some(high)) = (number_of(low), number_of(high))
                && let Some(value) = self.values.get(&name.index())
                && let Some(param) = self.params.iter().position(|it| it == value)
            {
                known.ranges.insert(param, [low, high]);
            }
            if let Condition::Is(Predicate::Positive, args) = condition
                && let [Expr::Name(name)] = &args[..]
                && let Some(value) = self.values.get(&name.index())
                && let Some(param) = self.params.iter().position(|it| it == value)
            {
                known.positive.insert(param);
            }
        }
        Some(known)
    }
}

/// Elementwise operators whose operands have types of their own.
fn has_roles(op: &str) -> bool {
    matches!(op, "where" | "quantize" | "dequantize")
}

fn number_of(expr: &Expr) -> Option<f64> {
    match expr {
        Expr::Float(it) => Some(*it),
        Expr::Int(it) => Some(*it as f64),
        Expr::Neg(inner) => number_of(inner).map(|it| -it),
        _ => None,
    }
}

/// Whether a pattern has an operator that moves a window.
fn has_windows(pattern: &Pattern) -> bool {
    let PatternKind::Op(op) = &pattern.kind else { return false };
    let moves = |it: &str| it.starts_with("conv") || it.ends_with("_pool");
    matches!(&op.ops, Ops::Named(names) if names.iter().any(|it| moves(it)))
        || op.args.iter().any(has_windows)
}

/// Names of values whose number a rule reads.
fn numbers(rule: &Rewrite) -> Vec<usize> {
    let mut out = Vec::new();
    let mut exprs: Vec<&Expr> = Vec::new();
    let mut conditions: Vec<&Condition> = rule.conditions.iter().collect();
    while let Some(condition) = conditions.pop() {
        match condition {
            Condition::Compare(_, a, b) => exprs.extend([a, b]),
            Condition::Is(_, args) => exprs.extend(args),
            Condition::Not(inner) => conditions.push(inner),
            Condition::Or(list) => conditions.extend(list),
            Condition::Type(..) => {}
        }
    }
    let mut terms: Vec<&Term> = rule.lets.iter().map(|it| &it.term).chain(rule.results()).collect();
    while let Some(term) = terms.pop() {
        match &term.kind {
            TermKind::Op { args, attrs, .. } => {
                terms.extend(args);
                exprs.extend(attrs.iter().map(|it| &it.1));
            }
            TermKind::Expr(it) => exprs.push(it),
            TermKind::Name(_) | TermKind::Number(..) => {}
        }
    }
    while let Some(expr) = exprs.pop() {
        match expr {
            Expr::Call(Function::Scalar, args) => {
                let name = |it: &Expr| if let Expr::Name(it) = it { Some(Name::index(*it)) } else { None };
                out.extend(args.iter().filter_map(name));
            }
            Expr::Call(_, args) => exprs.extend(args),
            Expr::Neg(a) => exprs.push(a),
            Expr::Binary(_, a, b) | Expr::Index(a, b) => exprs.extend([&**a, &**b]),
            Expr::List(items) => exprs.extend(items.iter().map(|it| &it.expr)),
            _ => {}
        }
    }
    out
}
