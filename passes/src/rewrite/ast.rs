//! Rules as data.
//!
//! A name stands for one thing in all of a rule; it is a number here, and [`Rewrite::names`] has its spelling.

use super::class::RuleClass;
use super::function::{Function, Predicate};
use orogen_ir::diag::Place;
use orogen_ir::scalar::Class;
use orogen_ir::text::Span;
use orogen_ir::types::DType;
use std::sync::Arc;

/// A name of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(pub(super) u16);

impl Name {
    /// Its place among the names of the rule.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A rule that is data: where `left` matches and the conditions are proven, `right` is the same.
#[derive(Clone, Debug)]
pub struct Rewrite {
    /// Its name.
    pub name: Arc<str>,
    /// How exact it is.
    pub class: RuleClass,
    /// Whether it is for equality saturation alone, since it may go in circles or has several roots.
    pub explored: bool,
    /// Why no machine has proven it, when none has.
    pub unproven: Option<Arc<str>>,
    /// Spellings of names.
    pub names: Vec<Arc<str>>,
    /// What is looked for.
    pub left: Pattern,
    /// What replaces it.
    pub right: Term,
    /// Further roots: operations after the one before them, each of which reads a value of those before it, and what
    /// replaces each. All are replaced or none.
    pub others: Vec<(Pattern, Term)>,
    /// Terms with a name, each over those before it.
    pub lets: Vec<Let>,
    /// What must be known besides.
    pub conditions: Vec<Condition>,
    /// Where it is written.
    pub place: Place,
}

impl Rewrite {
    /// Patterns of all roots.
    pub fn roots(&self) -> impl Iterator<Item = &Pattern> {
        [&self.left].into_iter().chain(self.others.iter().map(|it| &it.0))
    }

    /// What replaces each of them.
    pub fn results(&self) -> impl Iterator<Item = &Term> {
        [&self.right].into_iter().chain(self.others.iter().map(|it| &it.1))
    }

    /// The spelling of a name.
    pub fn spelling(&self, name: Name) -> &str {
        &self.names[name.index()]
    }
}

/// What a value must be.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// What defines it.
    pub kind: PatternKind,
    /// A name for the value of an operation.
    pub capture: Option<Name>,
    /// What its type must be.
    pub ty: Option<TypePattern>,
    /// Whether nothing but the match may use it.
    pub once: bool,
    /// Whether it may be left out, with all operands after it.
    pub optional: bool,
    /// Whether it stands for any number of operands.
    pub repeated: bool,
    /// Where it is written.
    pub span: Span,
}

impl Pattern {
    /// Operands that are names: by the first that has a meaning a further root is found.
    pub(super) fn operand_names(&self) -> impl Iterator<Item = Name> {
        let args = match &self.kind {
            PatternKind::Op(op) => &op.args[..],
            _ => &[],
        };
        args.iter().filter_map(|it| match it.kind {
            PatternKind::Any(name) if !it.repeated && !it.optional => name,
            _ => None,
        })
    }
}

/// What defines a value.
#[derive(Clone, Debug)]
pub enum PatternKind {
    /// Anything; the same each time that the name stands for a value. `None` is `_`.
    Any(Option<Name>),
    /// A constant all of whose elements are this number; zeros have its sign.
    Number(f64),
    /// An integer tensor of one dimension whose elements are known to be these.
    List(Vec<Item>),
    /// An operation of one result.
    Op(OpPattern),
}

/// An operation.
#[derive(Clone, Debug)]
pub struct OpPattern {
    /// Its operator.
    pub ops: Ops,
    /// A name for the operator with the attributes that the pattern does not mention.
    pub capture: Option<Name>,
    /// Operands.
    pub args: Vec<Pattern>,
    /// Attributes that are mentioned: a name that means nothing yet is bound, all else must be equal.
    pub attrs: Vec<(Box<str>, Expr)>,
    /// A name for all other attributes. Without it these must be absent or what they are when absent, unless the
    /// operator has a name.
    pub rest: Option<Name>,
}

/// Operators that a pattern admits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ops {
    /// Those of these names.
    Named(Vec<Box<str>>),
    /// Every operator that computes an element from the elements at the same place.
    Elementwise,
}

/// What a type must be.
#[derive(Clone, Debug)]
pub struct TypePattern {
    /// The element type.
    pub dtype: Option<DTypePattern>,
    /// Dimensions.
    pub dims: Option<Vec<DimPattern>>,
}

/// An element type.
#[derive(Clone, Debug)]
pub enum DTypePattern {
    /// This one.
    Exact(DType),
    /// One of a class.
    Class(Class),
    /// A name.
    Name(Name),
}

/// Dimensions of a shape.
#[derive(Clone, Debug)]
pub enum DimPattern {
    /// One: a name that means nothing yet is bound, all else must be provably equal.
    One(Expr),
    /// Any number of them.
    Rest(Name),
}

/// What is built.
#[derive(Clone, Debug)]
pub struct Term {
    /// How.
    pub kind: TermKind,
    /// Whether it stands for as many operands as the lists in it have members.
    pub repeated: bool,
    /// Whether it is left out where an optional operand in it is.
    pub optional: bool,
    /// Where it is written.
    pub span: Span,
}

/// How a value is made.
#[derive(Clone, Debug)]
pub enum TermKind {
    /// What the name stands for: a value, or a number, a list or an element type that becomes a constant.
    Name(Name),
    /// A scalar, of a type or of that of the other operands.
    Number(f64, Option<DTypePattern>),
    /// An operation.
    Op {
        /// Its operator.
        callee: Callee,
        /// Operands.
        args: Vec<Term>,
        /// Attributes.
        attrs: Vec<(Box<str>, Expr)>,
        /// A name for further attributes.
        rest: Option<Name>,
    },
    /// A number or a list of integers that becomes an operand; sizes may be symbolic.
    Expr(Expr),
}

/// The operator of an operation that is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Callee {
    /// That of this name.
    Op(Box<str>),
    /// One that the left side has a name for, with the attributes that go with it.
    Captured(Name),
}

/// A name for a term.
#[derive(Clone, Debug)]
pub struct Let {
    /// The name.
    pub name: Name,
    /// What it stands for.
    pub term: Term,
}

/// What must be known for a match.
#[derive(Clone, Debug)]
pub enum Condition {
    /// A relation of two numbers, lists (element by element), texts, truth values or element types.
    Compare(Compare, Expr, Expr),
    /// An element type is one of these.
    Type(Name, Vec<DTypePattern>),
    /// A property.
    Is(Predicate, Vec<Expr>),
    /// The contrary is known.
    Not(Box<Condition>),
    /// One of these is known.
    Or(Vec<Condition>),
}

/// A relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Compare {
    /// How it is written.
    pub const fn sign(self) -> &'static str {
        match self {
            Compare::Eq => "=",
            Compare::Ne => "!=",
            Compare::Lt => "<",
            Compare::Le => "<=",
            Compare::Gt => ">",
            Compare::Ge => ">=",
        }
    }
}

/// What is computed about attributes and sizes.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// What the name stands for.
    Name(Name),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(Arc<str>),
    /// An element type.
    DType(DType),
    /// A list of integers.
    List(Vec<Item>),
    /// The negative.
    Neg(Box<Expr>),
    /// Arithmetic; on lists element by element, and of a list with a number for each element.
    Binary(Arithmetic, Box<Expr>, Box<Expr>),
    /// An element of a list, or those at the places of a list.
    Index(Box<Expr>, Box<Expr>),
    /// A function.
    Call(Function, Vec<Expr>),
}

/// A member of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// A number, or a list.
    pub expr: Expr,
    /// Whether it is a list whose members are meant.
    pub spread: bool,
}

/// Arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient; of integers rounded down.
    Div,
}

impl Arithmetic {
    /// How it is written.
    pub const fn sign(self) -> &'static str {
        match self {
            Arithmetic::Add => "+",
            Arithmetic::Sub => "-",
            Arithmetic::Mul => "*",
            Arithmetic::Div => "/",
        }
    }
}
