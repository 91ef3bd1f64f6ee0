//! What names, operators and attributes of a rule mean, and whether they fit.

use super::ast::{
    Callee, Condition, DTypePattern, DimPattern, Expr, Item, Name, OpPattern, Ops, Pattern, PatternKind,
    Rewrite, Term, TermKind, TypePattern,
};
use super::function::{Function, Predicate};
use super::parse::Parsed;
use crate::manager::nearest;
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::ops::{Arity, AttrKind, OpDef, OpRegistry};
use orogen_ir::text::{LineIndex, Span};

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Value,
    Values,
    Number,
    List,
    Float,
    Floats,
    Truth,
    Text,
    DType,
    Attrs,
    Op,
}

impl Sort {
    fn noun(self) -> &'static str {
        match self {
            Sort::Value => "a value",
            Sort::Values => "a list of operands",
            Sort::Number => "an integer",
            Sort::List => "a list of integers",
            Sort::Float => "a float",
            Sort::Floats => "a list of floats",
            Sort::Truth => "a truth value",
            Sort::Text => "a text",
            Sort::DType => "an element type",
            Sort::Attrs => "attributes",
            Sort::Op => "an operator",
        }
    }

    fn of_attr(kind: AttrKind) -> Sort {
        match kind {
            AttrKind::Int => Sort::Number,
            AttrKind::Float => Sort::Float,
            AttrKind::Bool => Sort::Truth,
            AttrKind::Str => Sort::Text,
            AttrKind::Ints => Sort::List,
            AttrKind::Floats => Sort::Floats,
            AttrKind::DType => Sort::DType,
        }
    }
}

/// Checks a rule: those that are for exploration, or all with `explore`, may go in circles.
pub(super) fn check(
    parsed: Parsed,
    ops: &OpRegistry,
    lines: &LineIndex<'_>,
    explore: bool,
) -> Result<Rewrite, Diagnostics> {
    let explore = explore || parsed.rewrite.explored;
    let mut checker = Checker::new(&parsed, ops, lines);
    checker.left();
    checker.others(explore);
    checker.lets();
    checker.conditions();
    for it in parsed.rewrite.results() {
        checker.term(it, false, false);
    }
    let looped = !explore && checker.found.is_empty() && super::circle::goes_in_circles(&parsed.rewrite);
    let mut found = checker.found;
    if looped {
        let message = format!("rule `{}` applies to what it makes, and would go on", parsed.rewrite.name);
        found.push(Diagnostic::error("N012", message).at_place(lines.place(parsed.title)).help(
            "let it be smaller on the right, or add what tells the sides apart; both orders of commutative operators \
             are tried anyway; or write `explored` behind the class: pass `explore` alone applies it then",
        ));
    }
    found.into_result(parsed.rewrite)
}

/// Checks a pattern and its conditions alone.
pub(super) fn check_pattern(
    parsed: Parsed,
    ops: &OpRegistry,
    lines: &LineIndex<'_>,
) -> Result<Rewrite, Diagnostics> {
    let mut checker = Checker::new(&parsed, ops, lines);
    checker.left();
    checker.conditions();
    checker.found.into_result(parsed.rewrite)
}

struct Checker<'a> {
    parsed: &'a Parsed,
    ops: &'a OpRegistry,
    lines: &'a LineIndex<'a>,
    sorts: Vec<Option<Sort>>,
    found: Diagnostics,
}

impl<'a> Checker<'a> {
    fn new(parsed: &'a Parsed, ops: &'a OpRegistry, lines: &'a LineIndex<'a>) -> Self {
        let sorts = vec![None; parsed.rewrite.names.len()];
        Checker { parsed, ops, lines, sorts, found: Diagnostics::new() }
    }

    fn rule(&self) -> &'a Rewrite {
        &self.parsed.rewrite
    }

    fn error(&mut self, span: &Span, code: &'static str, message: String) -> &mut Diagnostic {
        self.found.push(Diagnostic::error(code, message).at_place(self.lines.place(span.clone())));
        let last = self.found.0.len() - 1;
        &mut self.found.0[last]
    }

    /// A name gets a meaning, or has it.
    fn bind(&mut self, name: Name, sort: Sort) {
        match self.sorts[name.index()] {
            None => self.sorts[name.index()] = Some(sort),
            Some(known) if known == sort => {}
            Some(known) => {
                let message =
                    format!("`{}` is {} and {}", self.rule().spelling(name), known.noun(), sort.noun());
                let span = self.parsed.names[name.index()].clone();
                self.error(&span, "N008", message).help = Some("give one of them another name".to_owned());
            }
        }
    }

    /// The meaning of a name that must have one.
    fn sort(&mut self, name: Name) -> Option<Sort> {
        let sort = self.sorts[name.index()];
        if sort.is_none() {
            let message = format!("nothing on the left says what `{}` is", self.rule().spelling(name));
            let span = self.parsed.names[name.index()].clone();
            self.error(&span, "N009", message).help =
                Some("bind it in the pattern, or with `let` before it is used".to_owned());
            // One finding for each name.
            self.sorts[name.index()] = Some(Sort::Attrs);
        }
        sort
    }

    fn left(&mut self) {
        let left = &self.rule().left;
        if !matches!(left.kind, PatternKind::Op(_)) || left.optional || left.repeated || left.once {
            self.error(&left.span, "N008", "the left side is no operation".to_owned()).help =
                Some("begin it with the operation whose result is replaced".to_owned());
        }
        self.pattern(left, false);
    }

    /// Further roots: operations that are found from values that those before them have.
    fn others(&mut self, explore: bool) {
        let rule = self.rule();
        for (pattern, _) in &rule.others {
            if !explore {
                let message = "only rules of exploration replace several operations at once".to_owned();
                self.error(&pattern.span, "N008", message).help = Some(
                    "write `explored` behind the class: pass `explore` alone applies it then".to_owned(),
                );
            }
            let reads = pattern.operand_names().any(|it| self.sorts[it.index()] == Some(Sort::Value));
            if !reads || pattern.optional || pattern.repeated || pattern.once {
                let message = "a further operation reads no value of those before it".to_owned();
                self.error(&pattern.span, "N008", message).help =
                    Some("let one of its operands be a name that the operations before it have".to_owned());
            }
            self.pattern(pattern, false);
        }
    }

    /// Checks a pattern; in a repetition, names with `..` stand for one value of each, and others for one of all.
    fn pattern(&mut self, pattern: &'a Pattern, inside: bool) {
        let repeated = inside || pattern.repeated;
        if let Some(name) = pattern.capture {
            self.bind(name, if repeated { Sort::Values } else { Sort::Value });
        }
        match &pattern.kind {
            PatternKind::Any(name) => {
                if let Some(name) = name {
                    self.bind(*name, if pattern.repeated { Sort::Values } else { Sort::Value });
                }
            }
            PatternKind::Number(_) => {}
            PatternKind::List(items) => items.iter().for_each(|it| self.item_pattern(it, &pattern.span)),
            PatternKind::Op(op) => self.op(op, &pattern.span, repeated),
        }
        if let Some(TypePattern { dtype, dims }) = &pattern.ty {
            if let Some(DTypePattern::Name(name)) = dtype {
                self.bind(*name, Sort::DType);
            }
            let rests = dims.iter().flatten().filter(|it| matches!(it, DimPattern::Rest(_))).count();
            if rests > 1 {
                let message = "two parts of one shape are of any length".to_owned();
                self.error(&pattern.span, "N008", message);
            }
            for dim in dims.iter().flatten() {
                match dim {
                    DimPattern::Rest(name) => self.bind(*name, Sort::List),
                    DimPattern::One(expr) => self.bound_or(expr, Sort::Number, &pattern.span),
                }
            }
        }
    }

    /// A name that may be bound here, or an expression.
    fn bound_or(&mut self, expr: &Expr, sort: Sort, span: &Span) {
        match expr {
            Expr::Name(name) if self.rule().spelling(*name) == "_" => {}
            Expr::Name(name) => self.bind(*name, sort),
            Expr::List(items) if sort == Sort::List => {
                items.iter().for_each(|it| self.item_pattern(it, span))
            }
            expr => self.expect(expr, sort, span),
        }
    }

    fn item_pattern(&mut self, item: &Item, span: &Span) {
        self.bound_or(&item.expr, if item.spread { Sort::List } else { Sort::Number }, span);
    }

    fn known_op(&mut self, name: &str, span: &Span) -> Option<&'a OpDef> {
        if let Some(id) = self.ops.find(name) {
            return Some(self.ops.def(id));
        }
        let help = nearest(name, self.ops.iter().map(|(_, def)| def.name));
        let diagnostic = self.error(span, "N006", format!("there is no operator `{name}`"));
        diagnostic.help = help.map(|it| format!("`{it}` is one"));
        None
    }

    fn op(&mut self, op: &'a OpPattern, span: &Span, repeated: bool) {
        let mut defs = Vec::new();
        match &op.ops {
            Ops::Elementwise => {
                if let Some((name, _)) = op.attrs.first() {
                    let message = format!("not every elementwise operator has attribute `{name}`");
                    self.error(span, "N007", message).help =
                        Some("name the operators: `{add | sub}`".to_owned());
                }
            }
            Ops::Named(names) => defs.extend(names.iter().filter_map(|it| self.known_op(it, span))),
        }
        if let Some(name) = op.capture {
            self.bind(name, Sort::Op);
        }
        let several = |it: &&Pattern| it.repeated && !repeated;
        let many = op.args.iter().filter(several).count();
        let least = op.args.iter().filter(|it| !it.optional && !several(it)).count();
        if many > 1 {
            let message = "two operands stand for any number of them".to_owned();
            self.error(span, "N008", message);
        }
        if repeated && op.args.iter().any(|it| it.repeated && !matches!(it.kind, PatternKind::Any(_))) {
            self.error(span, "N008", "a repetition stands in another one".to_owned());
        }
        let most = op.args.len();
        let first = op.args.iter().position(|it| it.optional).unwrap_or(most);
        if op.args[first..].iter().any(|it| !it.optional || it.repeated) {
            let message = "an operand follows one that may be left out".to_owned();
            self.error(span, "N008", message).help = Some("optional operands come last".to_owned());
        }
        for def in &defs {
            let Arity { min, max } = def.arity;
            let fits = match many {
                0 => least <= most && max.is_none_or(|max| least <= max) && most >= min,
                _ => max.is_none_or(|max| least <= max),
            };
            let fits = fits && (many > 0 || max.is_none_or(|max| most <= max));
            if !fits {
                let message = format!("`{}` takes {} but has {most}", def.name, takes(def.arity));
                self.error(span, "N010", message);
            }
            for (name, _) in &op.attrs {
                self.attr(def, name, span);
            }
        }
        for (name, expr) in &op.attrs {
            let kind = defs.first().and_then(|it| it.attrs.iter().find(|it| it.name == &**name));
            if let Some(kind) = kind {
                self.bound_or(expr, Sort::of_attr(kind.kind), span);
            }
        }
        if let Some(rest) = op.rest {
            self.bind(rest, Sort::Attrs);
        }
        for arg in &op.args {
            self.pattern(arg, repeated);
        }
    }

    fn attr(&mut self, def: &OpDef, name: &str, span: &Span) {
        if def.attrs.iter().any(|it| it.name == name) {
            return;
        }
        let known: Vec<_> = def.attrs.iter().map(|it| it.name).collect();
        let help = match known.is_empty() {
            true => "it has no attributes".to_owned(),
            false => format!("its attributes are: {}", known.join(", ")),
        };
        self.error(span, "N007", format!("`{}` has no attribute `{name}`", def.name)).help = Some(help);
    }

    fn lets(&mut self) {
        for it in &self.rule().lets {
            if self.sorts[it.name.index()].is_some() {
                let message = format!("`{}` is bound twice", self.rule().spelling(it.name));
                let span = self.parsed.names[it.name.index()].clone();
                self.error(&span, "N008", message).help = Some("give one of them another name".to_owned());
                continue;
            }
            let sort = self.term(&it.term, false, true);
            self.sorts[it.name.index()] = Some(sort.unwrap_or(Sort::Value));
        }
    }

    /// Checks a term; `bare` terms have a name and are no operand.
    fn term(&mut self, term: &'a Term, operand: bool, bare: bool) -> Option<Sort> {
        if term.repeated && !operand {
            self.error(&term.span, "N008", "only operands are repeated".to_owned());
        }
        match &term.kind {
            TermKind::Name(name) => {
                let sort = self.sort(*name)?;
                if sort == Sort::Values && !term.repeated {
                    let message = format!("`{}` is several operands", self.rule().spelling(*name));
                    self.error(&term.span, "N008", message).help = Some("write `..` after it".to_owned());
                }
                if sort != Sort::Values && term.repeated {
                    let message = format!("`{}` is not several operands", self.rule().spelling(*name));
                    self.error(&term.span, "N008", message);
                }
                if matches!(sort, Sort::Attrs | Sort::Op | Sort::Text | Sort::DType) && !bare {
                    let message =
                        format!("`{}` is {} and no operand", self.rule().spelling(*name), sort.noun());
                    self.error(&term.span, "N008", message);
                }
                Some(sort)
            }
            TermKind::Number(_, dtype) => {
                if let Some(DTypePattern::Class(_)) = dtype {
                    let message = "a class of element types is no element type".to_owned();
                    self.error(&term.span, "N008", message);
                }
                if let Some(DTypePattern::Name(name)) = dtype {
                    self.expect(&Expr::Name(*name), Sort::DType, &term.span);
                }
                if !operand && dtype.is_none() {
                    let message = "nothing says of which type this number is".to_owned();
                    self.error(&term.span, "N008", message).help = Some("write `1: T`".to_owned());
                }
                Some(Sort::Value)
            }
            TermKind::Expr(expr) => {
                let sort = self.expr(expr, &term.span);
                let operand = matches!(sort, None | Some(Sort::Number | Sort::List | Sort::Float));
                if !operand && !bare {
                    let message = format!("{} is no operand", sort.map_or("it", Sort::noun));
                    self.error(&term.span, "N008", message);
                }
                sort
            }
            TermKind::Op { callee, args, attrs, rest } => {
                for arg in args {
                    self.term(arg, true, false);
                }
                if term.repeated && !mentions_list(term) {
                    let message = "this is repeated for nothing".to_owned();
                    self.error(&term.span, "N008", message).help =
                        Some("mention several operands in it: `xs..`".to_owned());
                }
                self.call(callee, args, (attrs, *rest), &term.span);
                Some(Sort::Value)
            }
        }
    }

    fn call(
        &mut self,
        callee: &Callee,
        args: &[Term],
        (attrs, rest): (&'a [(Box<str>, Expr)], Option<Name>),
        span: &Span,
    ) {
        if let Some(rest) = rest {
            self.expect(&Expr::Name(rest), Sort::Attrs, span);
        }
        let defs: Vec<&OpDef> = match callee {
            Callee::Op(name) => self.known_op(name, span).into_iter().collect(),
            Callee::Captured(name) => {
                let names = captured_ops(&self.rule().left, *name).unwrap_or_default();
                names.iter().filter_map(|it| self.known_op(it, span)).collect()
            }
        };
        let repeated = args.iter().any(|it| it.repeated);
        let least = args.iter().filter(|it| !it.repeated && !it.optional && !self.is_optional(it)).count();
        for def in defs {
            let Arity { min, max } = def.arity;
            let fits = max.is_none_or(|max| least <= max) && (repeated || args.len() >= min);
            if !fits {
                let message = format!("`{}` takes {} but has {}", def.name, takes(def.arity), args.len());
                self.error(span, "N010", message);
            }
            for (name, expr) in attrs {
                self.attr(def, name, span);
                if let Some(it) = def.attrs.iter().find(|it| it.name == &**name) {
                    self.expect(expr, Sort::of_attr(it.kind), span);
                }
            }
            let given = |name: &str| attrs.iter().any(|it| &*it.0 == name);
            let missing = def.attrs.iter().find(|it| it.required && !given(it.name));
            if let (Some(missing), None, Callee::Op(_)) = (missing, rest, callee) {
                let message = format!("`{}` needs attribute `{}`", def.name, missing.name);
                self.error(span, "N007", message);
            }
        }
    }

    /// Whether a term is an operand that may be left out on the left.
    fn is_optional(&self, term: &Term) -> bool {
        matches!(term.kind, TermKind::Name(name) if optional_names(&self.rule().left).contains(&name))
    }

    fn conditions(&mut self) {
        let conditions = self.rule().conditions.iter().zip(&self.parsed.conditions);
        for (condition, span) in conditions {
            self.condition(condition, span);
        }
    }

    fn condition(&mut self, condition: &Condition, span: &Span) {
        match condition {
            Condition::Compare(_, a, b) => {
                let (a, b) = (self.expr(a, span), self.expr(b, span));
                let numbers = |it: Option<Sort>| matches!(it, None | Some(Sort::Number | Sort::List));
                let floats = |it: Option<Sort>| matches!(it, None | Some(Sort::Number | Sort::Float));
                if a != b && !(numbers(a) && numbers(b)) && !(floats(a) && floats(b)) {
                    let noun = |it: Option<Sort>| it.map_or("something", Sort::noun);
                    let message = format!("{} is compared with {}", noun(a), noun(b));
                    self.error(span, "N008", message);
                }
            }
            Condition::Type(name, types) => {
                self.expect(&Expr::Name(*name), Sort::DType, span);
                for it in types {
                    if let DTypePattern::Name(name) = it {
                        self.expect(&Expr::Name(*name), Sort::DType, span);
                    }
                }
            }
            Condition::Is(predicate, args) => match predicate {
                Predicate::Const | Predicate::Made | Predicate::Present | Predicate::Positive => {
                    self.operand(&args[0], span);
                }
                Predicate::Within => {
                    self.operand(&args[0], span);
                    for it in &args[1..] {
                        self.number(it, span);
                    }
                }
                Predicate::Identity | Predicate::Distinct | Predicate::Increasing => {
                    self.expect(&args[0], Sort::List, span);
                }
                Predicate::Member => {
                    self.expect(&args[0], Sort::Number, span);
                    self.expect(&args[1], Sort::List, span);
                }
                Predicate::Covers => args.iter().for_each(|it| self.expect(it, Sort::List, span)),
            },
            Condition::Not(inner) => self.condition(inner, span),
            Condition::Or(list) => list.iter().for_each(|it| self.condition(it, span)),
        }
    }

    fn operand(&mut self, expr: &Expr, span: &Span) {
        let sort = self.expr(expr, span);
        if !matches!((expr, sort), (Expr::Name(_), None | Some(Sort::Value | Sort::Values))) {
            self.error(span, "N008", "this is asked of operands alone".to_owned());
        }
    }

    fn number(&mut self, expr: &Expr, span: &Span) {
        let sort = self.expr(expr, span);
        if !matches!(sort, None | Some(Sort::Number | Sort::Float)) {
            self.error(span, "N008", "this is no number".to_owned());
        }
    }

    fn expect(&mut self, expr: &Expr, wanted: Sort, span: &Span) {
        let found = self.expr(expr, span);
        let fits = match found {
            None => true,
            Some(Sort::Number) => matches!(wanted, Sort::Number | Sort::Float),
            Some(found) => found == wanted,
        };
        if !fits {
            let message =
                format!("{} is wanted but this is {}", wanted.noun(), found.map_or("not", Sort::noun));
            self.error(span, "N008", message);
        }
    }

    /// What an expression is; `None` when that is already an error.
    fn expr(&mut self, expr: &Expr, span: &Span) -> Option<Sort> {
        match expr {
            Expr::Name(name) => self.sort(*name),
            Expr::Int(_) => Some(Sort::Number),
            Expr::Float(_) => Some(Sort::Float),
            Expr::Bool(_) => Some(Sort::Truth),
            Expr::Text(_) => Some(Sort::Text),
            Expr::DType(_) => Some(Sort::DType),
            Expr::List(items) => {
                for item in items {
                    self.expect(&item.expr, if item.spread { Sort::List } else { Sort::Number }, span);
                }
                Some(Sort::List)
            }
            Expr::Neg(inner) => self.expr(inner, span),
            Expr::Binary(_, a, b) => {
                let (a, b) = (self.expr(a, span)?, self.expr(b, span)?);
                match (a, b) {
                    (Sort::Number, Sort::Number) => Some(Sort::Number),
                    (Sort::Number | Sort::List, Sort::Number | Sort::List) => Some(Sort::List),
                    (Sort::Number | Sort::Float, Sort::Number | Sort::Float) => Some(Sort::Float),
                    _ => {
                        let message = format!("there is no arithmetic of {} and {}", a.noun(), b.noun());
                        self.error(span, "N008", message);
                        None
                    }
                }
            }
            Expr::Index(list, at) => {
                self.expect(list, Sort::List, span);
                self.expr(at, span).map(|at| if at == Sort::List { Sort::List } else { Sort::Number })
            }
            Expr::Call(function, args) => self.function(*function, args, span),
        }
    }

    fn function(&mut self, function: Function, args: &[Expr], span: &Span) -> Option<Sort> {
        use Sort::{DType, List, Number};
        let mut all = |wanted: &[Sort]| {
            for (arg, wanted) in args.iter().zip(wanted) {
                self.expect(arg, *wanted, span);
            }
        };
        Some(match function {
            Function::Rank | Function::Uses => {
                self.operand(&args[0], span);
                Number
            }
            Function::Dim => {
                self.operand(&args[0], span);
                self.expect(&args[1], Number, span);
                Number
            }
            Function::Shape | Function::Elements => {
                self.operand(&args[0], span);
                List
            }
            Function::Type => {
                self.operand(&args[0], span);
                DType
            }
            Function::Scalar => {
                self.operand(&args[0], span);
                Sort::Float
            }
            Function::Len => {
                let sort = self.expr(&args[0], span);
                if !matches!(sort, None | Some(List | Sort::Values | Sort::Floats)) {
                    self.error(span, "N008", "this has no length".to_owned());
                }
                Number
            }
            Function::Bits => {
                all(&[DType]);
                Number
            }
            Function::Largest => {
                all(&[DType]);
                Sort::Float
            }
            Function::Inverse | Function::Sorted => {
                all(&[List]);
                List
            }
            Function::UpTo | Function::Times => {
                all(&[Number, Number]);
                List
            }
            Function::Part => {
                all(&[List, Number, Number]);
                List
            }
            Function::Without | Function::Widened => {
                all(&[List, List]);
                List
            }
            Function::Find => {
                all(&[List, Number]);
                Number
            }
            Function::Sum | Function::Product => {
                all(&[List]);
                Number
            }
            Function::Larger | Function::Smaller => {
                all(&[Number, Number]);
                Number
            }
        })
    }
}

/// Whether a term mentions several operands.
fn mentions_list(term: &Term) -> bool {
    match &term.kind {
        TermKind::Op { args, .. } => args.iter().any(|it| it.repeated || mentions_list(it)),
        _ => term.repeated,
    }
}

fn takes(arity: Arity) -> String {
    match arity.max {
        Some(1) if arity.min == 1 => "1 operand".to_owned(),
        Some(max) if max == arity.min => format!("{max} operands"),
        Some(max) => format!("{} to {max} operands", arity.min),
        None => format!("at least {} operands", arity.min),
    }
}

/// The operators that a name may stand for; `None` for all that are elementwise.
fn captured_ops(pattern: &Pattern, name: Name) -> Option<&[Box<str>]> {
    let PatternKind::Op(op) = &pattern.kind else { return None };
    match &op.ops {
        Ops::Named(names) if op.capture == Some(name) => Some(names),
        _ => op.args.iter().find_map(|it| captured_ops(it, name)),
    }
}

/// Names of operands that may be left out.
fn optional_names(pattern: &Pattern) -> Vec<Name> {
    match &pattern.kind {
        PatternKind::Any(Some(name)) if pattern.optional => vec![*name],
        PatternKind::Op(op) => op.args.iter().flat_map(optional_names).collect(),
        _ => Vec::new(),
    }
}
