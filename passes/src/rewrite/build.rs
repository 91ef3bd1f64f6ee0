//! Making what the right side of a rule describes.

use super::ast::{Callee, DTypePattern, Expr, Let, Name, Rewrite, Term, TermKind};
use super::env::{Bound, Env};
use super::eval::eval;
use super::rewriter::{Rewriter, Value};
use super::sizes::emit_sizes;
use orogen_ir::ops::{AttrKind, OpDef};
use orogen_ir::types::{Attr, Attrs, DType, TensorData};

/// The values that replace the roots, with all that they are made of.
pub(super) fn build(rewriter: &mut dyn Rewriter, rule: &Rewrite, env: Env) -> Option<Vec<Value>> {
    let mut sources = env.values();
    // What is built stands before them.
    sources.retain(|it| !env.roots.contains(it));
    let made = vec![None; rule.lets.len()];
    let mut builder = Builder { rewriter, rule, env, sources, made, member: None };
    rule.results()
        .map(|it| match builder.term(it, None)? {
            Built::Value(value) => Some(value),
            _ => None,
        })
        .collect()
}

/// An operand.
enum Built {
    Value(Value),
    /// None, since the program has none.
    Absent,
    /// A number of the type of the other operands.
    Scalar(f64),
}

struct Builder<'a> {
    rewriter: &'a mut dyn Rewriter,
    rule: &'a Rewrite,
    env: Env,
    /// Values whose dimensions are sizes that operands are made of.
    sources: Vec<Value>,
    /// Values of terms with names.
    made: Vec<Option<Value>>,
    /// Which member of lists is meant.
    member: Option<usize>,
}

impl Builder<'_> {
    fn term(&mut self, term: &Term, dtype: Option<DType>) -> Option<Built> {
        match &term.kind {
            TermKind::Name(name) => self.named(*name, dtype),
            TermKind::Number(number, given) => match given {
                None => self.scalar(*number, dtype),
                Some(given) => {
                    let dtype = self.dtype(given)?;
                    self.scalar(*number, Some(dtype))
                }
            },
            TermKind::Expr(expr) => {
                let bound = eval(self.rewriter, &self.env, expr)?;
                self.operand(bound, dtype)
            }
            TermKind::Op { callee, args, attrs, rest } => {
                self.call(callee, args, attrs, *rest).map(Built::Value)
            }
        }
    }

    fn dtype(&self, pattern: &DTypePattern) -> Option<DType> {
        match pattern {
            DTypePattern::Exact(it) => Some(*it),
            DTypePattern::Class(_) => None,
            DTypePattern::Name(name) => match self.env.get(*name)? {
                Bound::DType(it) => Some(*it),
                _ => None,
            },
        }
    }

    fn named(&mut self, name: Name, dtype: Option<DType>) -> Option<Built> {
        if let Some(i) = self.rule.lets.iter().position(|it| it.name == name)
            && self.env.get(name).is_none()
        {
            return self.made(i);
        }
        let bound = self.env.get(name)?.clone();
        self.operand(bound, dtype)
    }

    /// A term with a name, made once.
    fn made(&mut self, i: usize) -> Option<Built> {
        if let Some(value) = self.made[i] {
            return Some(Built::Value(value));
        }
        let rule = self.rule;
        let Let { term, .. } = &rule.lets[i];
        let member = self.member.take();
        let built = self.term(term, None)?;
        self.member = member;
        if let Built::Value(value) = built {
            self.made[i] = Some(value);
        }
        Some(built)
    }

    /// What a name stands for as an operand.
    fn operand(&mut self, bound: Bound, dtype: Option<DType>) -> Option<Built> {
        match bound {
            Bound::Value(value) => Some(Built::Value(value)),
            Bound::Values(list) => list.get(self.member?).copied().map(Built::Value),
            Bound::Absent => Some(Built::Absent),
            Bound::List(list) => emit_sizes(self.rewriter, &list, &self.sources).map(Built::Value),
            Bound::Number(it) => {
                let number = self.rewriter.shapes().as_int(it)?;
                ((number as f64) as i64 == number).then_some(())?;
                self.scalar(number as f64, dtype)
            }
            Bound::Float(it) => self.scalar(it, dtype),
            _ => None,
        }
    }

    /// A number as a constant, once its type is known.
    fn scalar(&mut self, number: f64, dtype: Option<DType>) -> Option<Built> {
        let Some(dtype) = dtype else { return Some(Built::Scalar(number)) };
        let fits = match dtype.int_range() {
            Some((low, high)) => {
                number.fract() == 0.0 && number.abs() < 9e15 && (low..=high).contains(&(number as i128))
            }
            None => dtype.is_float(),
        };
        let data = fits.then(|| TensorData::from_f64(dtype, &[], [number]))?;
        Some(Built::Value(self.rewriter.emit_constant(data)))
    }

    fn call(
        &mut self,
        callee: &Callee,
        args: &[Term],
        attrs: &[(Box<str>, Expr)],
        rest: Option<Name>,
    ) -> Option<Value> {
        let (op, mut made) = match callee {
            Callee::Op(name) => (self.rewriter.ops().find(name)?, Attrs::none()),
            Callee::Captured(name) => match self.env.get(*name)? {
                Bound::Op(op, attrs) => (*op, attrs.clone()),
                _ => return None,
            },
        };
        let def = self.rewriter.ops().def(op).clone();
        if let Some(rest) = rest {
            let Some(Bound::Attrs(rest)) = self.env.get(rest) else { return None };
            for (name, attr) in rest.iter() {
                made = made.with(name, attr.clone());
            }
        }
        for (name, expr) in attrs {
            let attr = self.attr(&def, name, expr)?;
            made = made.with(name, attr);
        }
        let mut built = Vec::new();
        for arg in args {
            self.arg(arg, &mut built)?;
        }
        let args = self.typed(&def, built)?;
        self.rewriter.emit(def.name, made, &args)
    }

    /// The operands that a term is.
    fn arg(&mut self, arg: &Term, built: &mut Vec<Built>) -> Option<()> {
        if arg.optional && self.is_absent(arg) {
            built.push(Built::Absent);
            return Some(());
        }
        // In a repetition, a list is its member.
        if !arg.repeated || self.member.is_some() {
            let it = self.term(arg, None)?;
            built.push(it);
            return Some(());
        }
        let count = self.count(arg)?;
        let outer = self.member;
        for i in 0..count {
            self.member = Some(i);
            let it = self.term(arg, None)?;
            built.push(it);
        }
        self.member = outer;
        Some(())
    }

    /// How many members the lists in a term have.
    fn count(&self, term: &Term) -> Option<usize> {
        match &term.kind {
            TermKind::Name(name) => match self.env.get(*name)? {
                Bound::Values(list) => Some(list.len()),
                _ => None,
            },
            TermKind::Op { args, .. } => args.iter().find_map(|it| self.count(it)),
            TermKind::Number(..) | TermKind::Expr(_) => None,
        }
    }

    /// Whether an operand in a term was left out.
    fn is_absent(&self, term: &Term) -> bool {
        match &term.kind {
            TermKind::Name(name) => self.env.get(*name) == Some(&Bound::Absent),
            TermKind::Op { args, .. } => args.iter().any(|it| self.is_absent(it)),
            TermKind::Number(..) | TermKind::Expr(_) => false,
        }
    }

    /// Operands, with numbers in the type of the first other one that has the type of results.
    fn typed(&mut self, def: &OpDef, built: Vec<Built>) -> Option<Vec<Value>> {
        let skip = usize::from(def.name == "where");
        let like = built.iter().skip(skip).find_map(|it| match it {
            Built::Value(value) => Some(*value),
            _ => None,
        });
        let dtype = like.and_then(|it| Some(self.rewriter.ty(it).as_tensor()?.dtype));
        let mut args = Vec::new();
        let mut ended = false;
        for it in built {
            let value = match it {
                Built::Value(value) => value,
                Built::Scalar(number) => match self.scalar(number, Some(dtype?))? {
                    Built::Value(value) => value,
                    _ => return None,
                },
                // What is left out ends the operands.
                Built::Absent => {
                    ended = true;
                    continue;
                }
            };
            if ended {
                return None;
            }
            args.push(value);
        }
        Some(args)
    }

    fn attr(&mut self, def: &OpDef, name: &str, expr: &Expr) -> Option<Attr> {
        let kind = def.attrs.iter().find(|it| it.name == name)?.kind;
        let bound = eval(self.rewriter, &self.env, expr)?;
        let shapes = self.rewriter.shapes();
        Some(match (kind, bound) {
            (AttrKind::Int, Bound::Number(it)) => Attr::Int(shapes.as_int(it)?),
            (AttrKind::Float, Bound::Number(it)) => Attr::Float(shapes.as_int(it)? as f64),
            (AttrKind::Float, Bound::Float(it)) => Attr::Float(it),
            (AttrKind::Bool, Bound::Truth(it)) => Attr::Bool(it),
            (AttrKind::Str, Bound::Text(it)) => Attr::Str(it),
            (AttrKind::DType, Bound::DType(it)) => Attr::DType(it),
            (AttrKind::Floats, Bound::Floats(it)) => Attr::Floats(it),
            (AttrKind::Ints, Bound::List(list)) => {
                let ints: Option<Vec<i64>> = list.into_iter().map(|it| shapes.as_int(it)).collect();
                ints?.into()
            }
            _ => return None,
        })
    }
}
