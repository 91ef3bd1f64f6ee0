//! Definitions and the table that holds them.

use super::{InferCx, InferResult};
use crate::diag::Diagnostic;
use crate::scalar::ScalarFn;
use crate::types::{Attr, Attrs, Effects, TensorData};
use indexmap::IndexMap;

/// An operator of one registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct OpId(u16);

/// How many operands an operator takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arity {
    /// Fewest operands.
    pub min: usize,
    /// Most operands, `None` for any number.
    pub max: Option<usize>,
}

impl Arity {
    /// Exactly `n` operands.
    pub const fn exactly(n: usize) -> Self {
        Arity { min: n, max: Some(n) }
    }

    /// `min` to `max` operands.
    pub const fn between(min: usize, max: usize) -> Self {
        Arity { min, max: Some(max) }
    }

    /// `min` operands or more.
    pub const fn at_least(min: usize) -> Self {
        Arity { min, max: None }
    }

    /// Whether `n` operands are right.
    pub fn admits(self, n: usize) -> bool {
        n >= self.min && self.max.is_none_or(|max| n <= max)
    }
}

/// How many results an operator has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResultCount {
    /// Always this many.
    Fixed(usize),
    /// As many as inference returns.
    Inferred,
}

/// The kind of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttrKind {
    /// [`Attr::Int`].
    Int,
    /// [`Attr::Float`].
    Float,
    /// [`Attr::Bool`].
    Bool,
    /// [`Attr::Str`].
    Str,
    /// [`Attr::Ints`].
    Ints,
    /// [`Attr::Floats`].
    Floats,
    /// [`Attr::DType`].
    DType,
}

impl AttrKind {
    /// Whether `attr` is of this kind.
    pub fn admits(self, attr: &Attr) -> bool {
        matches!(
            (self, attr),
            (AttrKind::Int, Attr::Int(_))
                | (AttrKind::Float, Attr::Float(_))
                | (AttrKind::Bool, Attr::Bool(_))
                | (AttrKind::Str, Attr::Str(_))
                | (AttrKind::Ints, Attr::Ints(_))
                | (AttrKind::Floats, Attr::Floats(_))
                | (AttrKind::DType, Attr::DType(_))
        )
    }
}

/// One attribute of an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttrDef {
    /// Its name.
    pub name: &'static str,
    /// Its kind.
    pub kind: AttrKind,
    /// Whether it must be given.
    pub required: bool,
}

impl AttrDef {
    /// An attribute that must be given.
    pub const fn required(name: &'static str, kind: AttrKind) -> Self {
        AttrDef { name, kind, required: true }
    }

    /// An attribute that may be left out.
    pub const fn optional(name: &'static str, kind: AttrKind) -> Self {
        AttrDef { name, kind, required: false }
    }
}

/// Computes the result types of an operator from its operands' types and its attributes.
pub type InferFn = fn(&mut InferCx<'_>) -> InferResult;

/// Computes an operator of another crate on known operands; the error says why it has no result.
pub type EvaluateFn = fn(&Attrs, &[TensorData]) -> Result<Vec<TensorData>, String>;

/// What is known of one operator.
#[derive(Clone, Debug)]
pub struct OpDef {
    /// Name in the text format.
    pub name: &'static str,
    /// Number of operands.
    pub arity: Arity,
    /// Number of results.
    pub results: ResultCount,
    /// Attribute schema.
    pub attrs: &'static [AttrDef],
    /// What it may do besides computing.
    pub effects: Effects,
    /// Shape and type inference.
    pub infer: InferFn,
    /// Operands whose elements inference reads.
    pub reads: &'static [Read],
    /// Whether each element of the result is computed from the elements of the operands at the same place alone, after
    /// operands are broadcast. What only moves elements may then change places with it.
    pub elementwise: bool,
    /// The function of one element that the operator applies to each, where it does nothing else. Inference, lowering and
    /// evaluation follow from it.
    pub function: Option<ScalarFn>,
}

/// An operand whose elements inference reads. What is not known of them when the operation is emitted, a sink that can
/// binds to symbols at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// The operand at this place holds sizes or counts, which are not negative.
    Sizes(usize),
    /// The operand at this place holds integers, for example bounds that count from the end.
    Integers(usize),
}

impl OpDef {
    /// An operator of one result that does nothing besides computing it.
    pub const fn pure(name: &'static str, arity: Arity, attrs: &'static [AttrDef], infer: InferFn) -> Self {
        OpDef {
            name,
            arity,
            results: ResultCount::Fixed(1),
            attrs,
            effects: Effects::PURE,
            infer,
            reads: &[],
            elementwise: false,
            function: None,
        }
    }

    /// The operator with so many results.
    pub const fn with_results(mut self, count: usize) -> Self {
        self.results = ResultCount::Fixed(count);
        self
    }

    /// The operator with operands whose elements inference reads.
    pub const fn reading(mut self, reads: &'static [Read]) -> Self {
        self.reads = reads;
        self
    }

    /// The operator as one that is [`elementwise`](Self::elementwise).
    pub const fn by_element(mut self) -> Self {
        self.elementwise = true;
        self
    }
}

/// A table of operators.
///
/// ```
/// use orogen_ir::ops::OpRegistry;
/// let ops = OpRegistry::standard();
/// let add = ops.find("add").expect("standard operator");
/// assert_eq!(ops.def(add).name, "add");
/// ```
#[derive(Clone, Debug, Default)]
pub struct OpRegistry {
    defs: IndexMap<&'static str, OpDef>,
    /// How to evaluate operators that the reference interpreter does not know by itself.
    evaluations: IndexMap<OpId, EvaluateFn>,
}

impl OpRegistry {
    /// An empty table.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an operator.
    ///
    /// # Panics
    /// When the name is taken: two definitions of one operator are a programming error.
    pub fn register(&mut self, def: OpDef) -> OpId {
        let name = def.name;
        let (index, earlier) = self.defs.insert_full(name, def);
        assert!(earlier.is_none(), "operator `{name}` is registered twice");
        OpId(u16::try_from(index).expect("fewer than 65536 operators"))
    }

    /// Says how an operator from outside is evaluated; constant folding and the reference interpreter ask.
    pub fn set_evaluation(&mut self, op: OpId, evaluate: EvaluateFn) {
        self.evaluations.insert(op, evaluate);
    }

    /// How an operator from outside is evaluated.
    pub fn evaluation(&self, op: OpId) -> Option<EvaluateFn> {
        self.evaluations.get(&op).copied()
    }

    /// The operator of that name.
    pub fn find(&self, name: &str) -> Option<OpId> {
        self.defs.get_index_of(name).map(|it| OpId(it as u16))
    }

    /// The operator of that name.
    ///
    /// # Panics
    /// When there is none; for names written in code against the standard registry.
    pub fn get(&self, name: &str) -> OpId {
        self.find(name).unwrap_or_else(|| panic!("operator `{name}` is not registered"))
    }

    /// The definition of an operator of this table.
    pub fn def(&self, id: OpId) -> &OpDef {
        &self.defs[usize::from(id.0)]
    }

    /// All operators in registration order.
    pub fn iter(&self) -> impl Iterator<Item = (OpId, &OpDef)> {
        self.defs.values().enumerate().map(|(i, def)| (OpId(i as u16), def))
    }

    /// Checks operand count and attributes against the schema, then infers the result types.
    pub fn infer(&self, op: OpId, cx: &mut InferCx<'_>) -> InferResult {
        let def = self.def(op);
        if !def.arity.admits(cx.args.len()) {
            let wanted = match def.arity.max {
                Some(max) if max == def.arity.min => format!("{max}"),
                Some(max) => format!("{} to {max}", def.arity.min),
                None => format!("at least {}", def.arity.min),
            };
            let noun = if wanted == "1" { "operand" } else { "operands" };
            return Err(Diagnostic::error(
                "O001",
                format!("`{}` takes {wanted} {noun} but has {}", def.name, cx.args.len()),
            ));
        }
        check_attrs(def, cx.attrs)?;
        cx.function = def.function;
        let results = (def.infer)(cx).map_err(|mut diagnostic| {
            diagnostic.message = format!("`{}`: {}", def.name, diagnostic.message);
            diagnostic
        })?;
        if let ResultCount::Fixed(n) = def.results {
            assert_eq!(
                n,
                results.len(),
                "inference of `{}` returns its declared number of results",
                def.name
            );
        }
        Ok(results)
    }
}

fn check_attrs(def: &OpDef, attrs: &Attrs) -> Result<(), Diagnostic> {
    for (name, attr) in attrs.iter() {
        match def.attrs.iter().find(|it| it.name == name) {
            None => {
                let known: Vec<_> = def.attrs.iter().map(|it| it.name).collect();
                let help = match known.is_empty() {
                    true => "it has no attributes".to_string(),
                    false => format!("its attributes are: {}", known.join(", ")),
                };
                return Err(
                    Diagnostic::error("O002", format!("`{}` has no attribute `{name}`", def.name)).help(help)
                );
            }
            Some(schema) if !schema.kind.admits(attr) => {
                return Err(Diagnostic::error(
                    "O003",
                    format!("attribute `{name}` of `{}` is not of kind {:?}", def.name, schema.kind),
                ));
            }
            Some(_) => {}
        }
    }
    match def.attrs.iter().find(|it| it.required && attrs.get(it.name).is_none()) {
        Some(missing) => {
            Err(Diagnostic::error("O004", format!("`{}` needs attribute `{}`", def.name, missing.name)))
        }
        None => Ok(()),
    }
}
