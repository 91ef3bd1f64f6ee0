//! Normal forms as text, for reports.

use super::cases::Indices;
use super::poly::{Atom, Fun, Place, Poly, Summand};
use super::ratio::Ratio;
use super::term::{Bound, Source};
use orogen_ir::loops::Combine;
use orogen_ir::shape::Dim;

/// Longer expressions are cut.
const MAX_TEXT: usize = 600;

/// A normal form as text; `names` are those of the parameters.
pub(super) fn text(poly: &Poly, indices: &Indices, names: &[String]) -> String {
    let mut out = String::new();
    Printer { indices, names }.poly(poly, &mut out);
    if out.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|it| out.is_char_boundary(*it)).unwrap_or(0);
        out.truncate(end);
        out.push('…');
    }
    out
}

struct Printer<'a> {
    indices: &'a Indices,
    names: &'a [String],
}

impl Printer<'_> {
    fn dim(&self, d: Dim) -> String {
        self.indices.cx.display(d).to_string()
    }

    fn list<T>(&self, items: &[T], out: &mut String, mut each: impl FnMut(&T, &mut String)) {
        for (i, it) in items.iter().enumerate() {
            if i > 0 {
                out.push_str(", ");
            }
            each(it, out);
        }
    }

    fn axes(&self, sign: &str, axes: &[Bound], out: &mut String) {
        for axis in axes {
            let name = self.indices.cx.name(axis.var);
            out.push_str(&format!("{sign}({name} < {}) ", self.dim(axis.extent)));
        }
    }

    fn guards(&self, guards: &[Dim], out: &mut String) {
        for guard in guards {
            out.push_str(&format!("[{} >= 0] ", self.dim(*guard)));
        }
    }

    fn poly(&self, poly: &Poly, out: &mut String) {
        if poly.terms.is_empty() {
            out.push('0');
        }
        for (i, term) in poly.terms.iter().enumerate() {
            if out.len() > MAX_TEXT {
                return;
            }
            if i > 0 {
                out.push_str(" + ");
            }
            self.summand(term, out);
        }
    }

    fn summand(&self, term: &Summand, out: &mut String) {
        self.axes("sum", &term.axes, out);
        self.guards(&term.guards, out);
        let mut first = true;
        if term.coefficient != Ratio::ONE || term.factors.is_empty() {
            out.push_str(&term.coefficient.to_string());
            first = false;
        }
        for (atom, power) in &term.factors {
            if !first {
                out.push('*');
            }
            first = false;
            self.atom(atom, out);
            if *power != 1 {
                out.push_str(&format!("^{power}"));
            }
        }
    }

    fn atom(&self, atom: &Atom, out: &mut String) {
        match atom {
            Atom::Load { source, at, .. } => {
                match source {
                    Source::Param(i) => {
                        let name = self.names.get(*i as usize).map_or("?", String::as_str);
                        out.push_str(&format!("%{name}"));
                    }
                    Source::Constant(i) => out.push_str(&format!("#{i}")),
                }
                out.push('[');
                self.list(at, out, |place, out| match place {
                    Place::Dim(d) => out.push_str(&self.dim(*d)),
                    Place::Data(value, _) => self.poly(value, out),
                });
                out.push(']');
            }
            Atom::Size(d) => out.push_str(&self.dim(*d)),
            Atom::Float(bits, _) => out.push_str(&format!("{:?}", f64::from_bits(*bits))),
            Atom::Bool(value) => out.push_str(&value.to_string()),
            Atom::Undefined => out.push_str("undefined"),
            Atom::Apply(fun, _, args) => {
                out.push_str(&name(*fun));
                out.push('(');
                self.list(args, out, |it, out| self.poly(it, out));
                out.push(')');
            }
            Atom::Nested(value) => {
                out.push('(');
                self.poly(value, out);
                out.push(')');
            }
            Atom::Reduce(combine, axes, value) => {
                let sign = match combine {
                    Combine::Sum => "sum",
                    Combine::Product => "product",
                    Combine::Max => "max",
                    Combine::Min => "min",
                };
                out.push('(');
                self.axes(sign, axes, out);
                self.poly(value, out);
                out.push(')');
            }
            Atom::Extreme(max, items) => {
                out.push_str(if *max { "max{" } else { "min{" });
                self.list(items, out, |it, out| {
                    self.axes("over", &it.axes, out);
                    self.guards(&it.guards, out);
                    self.poly(&it.value, out);
                });
                out.push('}');
            }
        }
    }
}

fn name(fun: Fun) -> String {
    match fun {
        Fun::Unary(op) => op.name().to_owned(),
        Fun::Binary(op) => op.name().to_owned(),
        Fun::Compare(op) => op.name().to_owned(),
        Fun::Select => "select".to_owned(),
        Fun::Cast(to) => format!("cast<{to}>"),
    }
}
