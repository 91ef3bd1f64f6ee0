//! Text of expressions, in an order that depends on names alone.

use std::cmp::Reverse;
use std::fmt;

use super::poly::{Atom, AtomId, Factor};
use super::{Dim, ShapeCx, Sym};

/// Names that the text format gives to operations; symbols of these names are quoted.
pub(super) const OPERATIONS: [&str; 6] = ["floordiv", "ceildiv", "mod", "min", "max", "broadcast"];

/// Prints an expression; made by [`ShapeCx::display`].
#[derive(Copy, Clone)]
pub struct DisplayDim<'a> {
    cx: &'a ShapeCx,
    dim: Dim,
}

impl ShapeCx {
    /// The expression as text: `n*s + 2*n + 1`, `floordiv(n + 1, 2)`, `min(n, 4)`.
    ///
    /// Terms are sorted by degree, products of symbols before others, and then by text,
    /// so the order of interning never shows.
    /// [`parse`](ShapeCx::parse) reads it back to the same handle.
    pub fn display(&self, dim: Dim) -> DisplayDim<'_> {
        DisplayDim { cx: self, dim }
    }

    /// A symbol as it appears in expressions: quoted if its name is not an identifier.
    pub fn display_sym(&self, sym: Sym) -> String {
        quote_symbol(self.name(sym))
    }

    fn atom_text(&self, id: AtomId) -> String {
        let list = |dims: &[Dim]| {
            let mut texts: Vec<String> = dims.iter().map(|&d| self.display(d).to_string()).collect();
            texts.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
            texts.join(", ")
        };
        match self.atom(id) {
            Atom::Sym(sym) => self.display_sym(*sym),
            Atom::FloorDiv(a, k) => format!("floordiv({}, {k})", self.display(*a)),
            Atom::FloorDivSym(a, b) => format!("floordiv({}, {})", self.display(*a), self.display(*b)),
            Atom::Min(dims) => format!("min({})", list(dims)),
            Atom::Max(dims) => format!("max({})", list(dims)),
            Atom::Broadcast(dims) => format!("broadcast({})", list(dims)),
        }
    }

    fn product_text(&self, factors: &[Factor]) -> String {
        let mut texts: Vec<String> = Vec::new();
        for &(id, power) in factors {
            let text = self.atom_text(id);
            texts.extend(std::iter::repeat_n(text, power as usize));
        }
        texts.sort_unstable();
        texts.join("*")
    }
}

/// Numbers after everything else: `min(n, 4)`.
fn order(text: &str) -> (bool, &str) {
    (text.parse::<i64>().is_ok(), text)
}

impl fmt::Display for DisplayDim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let poly = self.cx.poly(self.dim);
        let mut terms: Vec<((Reverse<u32>, bool, String), i64)> = poly
            .terms()
            .map(|(factors, coefficient)| {
                let degree = factors.iter().map(|factor| factor.1).sum();
                let opaque = factors.iter().any(|factor| !matches!(self.cx.atom(factor.0), Atom::Sym(_)));
                ((Reverse(degree), opaque, self.cx.product_text(factors)), coefficient)
            })
            .collect();
        terms.sort_unstable();
        let mut first = true;
        for ((_, _, product), coefficient) in &terms {
            match (first, *coefficient < 0) {
                (true, true) => f.write_str("-")?,
                (true, false) => {}
                (false, true) => f.write_str(" - ")?,
                (false, false) => f.write_str(" + ")?,
            }
            first = false;
            match coefficient.unsigned_abs() {
                1 => f.write_str(product)?,
                magnitude => write!(f, "{magnitude}*{product}")?,
            }
        }
        match (first, poly.constant()) {
            (true, constant) => write!(f, "{constant}"),
            (false, 0) => Ok(()),
            (false, constant) => {
                write!(f, " {} {}", if constant < 0 { '-' } else { '+' }, constant.unsigned_abs())
            }
        }
    }
}

impl fmt::Debug for DisplayDim<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether `name` can stand unquoted.
pub(super) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
        && !OPERATIONS.contains(&name)
}

/// The name as it stands in text: itself if it is an identifier, else in quotes with escapes.
pub(super) fn quote_symbol(name: &str) -> String {
    if is_identifier(name) {
        return name.to_owned();
    }
    let mut out = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
