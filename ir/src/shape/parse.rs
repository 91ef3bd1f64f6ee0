//! The parser of expression text.
//!
//! ```text
//! fact    := sum (">=" | "<=" | ">" | "<" | "==" | "=") sum | number "|" sum | sum "~" sum | sum "!=" number
//! sum     := ["-"] product (("+" | "-") product)*
//! product := factor (("*" | "//" | "%") factor)*
//! factor  := "-" factor | number | symbol | call | "(" sum ")"
//! call    := ("floordiv" | "ceildiv" | "mod") "(" sum "," sum ")" | ("min" | "max" | "broadcast") "(" sum ("," sum)* ")"
//! symbol  := [A-Za-z_][A-Za-z0-9_.]* | "\"" any characters, with \" \\ \u{hex} "\""
//! ```
//! A unary minus binds tighter than `//` and `%`, as in Python.

use super::lexer::{Lexer, ParseDimError, Token};
use super::{Constraint, Dim, Overflow, ShapeCx};

/// The deepest nesting of parentheses and calls.
const MAX_NESTING: u32 = 100;

impl ShapeCx {
    /// Reads an expression; symbols that do not exist are created as sizes.
    ///
    /// ```
    /// use orogen_ir::shape::ShapeCx;
    ///
    /// let mut cx = ShapeCx::new();
    /// let d = cx.parse("2*(n + 1) // 4 - \"batch size\"").unwrap();
    /// assert_eq!(cx.display(d).to_string(), "-\"batch size\" + floordiv(n + 1, 2)");
    /// assert_eq!(cx.parse("2*").unwrap_err().offset, 2);
    /// ```
    pub fn parse(&mut self, text: &str) -> Result<Dim, ParseDimError> {
        let mut parser = Parser { cx: self, lexer: Lexer::new(text)?, nesting: 0 };
        let d = parser.sum()?;
        parser.lexer.finish()?;
        Ok(d)
    }
}

impl ShapeCx {
    /// Reads a fact: `n >= 1`, `a*b == c`, `2*i < n`, `8 | n` (8 divides n), `n != 1`,
    /// `n ~ m` (n and m broadcast).
    ///
    /// ```
    /// use orogen_ir::shape::{Constraint, ShapeCx};
    ///
    /// let mut cx = ShapeCx::new();
    /// let n = cx.sym("n");
    /// assert_eq!(cx.parse_fact("n <= 4096"), Ok(Constraint::AtMost(n, 4096)));
    /// assert_eq!(cx.parse_fact("8 | n"), Ok(Constraint::Multiple(n, 8)));
    /// ```
    pub fn parse_fact(&mut self, text: &str) -> Result<Constraint, ParseDimError> {
        let mut parser = Parser { cx: self, lexer: Lexer::new(text)?, nesting: 0 };
        let a = parser.sum()?;
        let Token::Sign(sign @ (">=" | "<=" | ">" | "<" | "==" | "=" | "!=" | "|" | "~")) =
            parser.lexer.token
        else {
            return Err(parser.lexer.error("expected a comparison, `|` or `~`"));
        };
        parser.lexer.bump()?;
        let b = parser.sum()?;
        parser.lexer.finish()?;
        if sign == "|" {
            return match parser.cx.as_int(a) {
                Some(k) if k != 0 => Ok(Constraint::Multiple(b, k)),
                _ => Err(parser.lexer.error("the divisor must be a number, not zero")),
            };
        }
        if matches!(sign, "==" | "=") {
            return Ok(Constraint::Eq(a, b));
        }
        if sign == "!=" {
            let number = parser.cx.as_int(b);
            let number = number.ok_or_else(|| parser.lexer.error("expected a number after `!=`"))?;
            return Ok(Constraint::Differs(a, number));
        }
        if sign == "~" {
            return Ok(Constraint::Broadcast(a, b));
        }
        let (high, low) = if sign.starts_with('>') { (a, b) } else { (b, a) };
        let gap = i64::from(!sign.ends_with('='));
        // `high ≥ low + gap`, with a constant side as the bound.
        match (parser.cx.as_int(high), parser.cx.as_int(low)) {
            (_, Some(low)) => {
                let bound = parser.done(low.checked_add(gap).ok_or(Overflow))?;
                Ok(Constraint::AtLeast(high, bound))
            }
            (Some(high), None) => {
                let bound = parser.done(high.checked_sub(gap).ok_or(Overflow))?;
                Ok(Constraint::AtMost(low, bound))
            }
            (None, None) => {
                let difference = parser.cx.sub(high, low);
                Ok(Constraint::AtLeast(parser.done(difference)?, gap))
            }
        }
    }
}

struct Parser<'c, 't> {
    cx: &'c mut ShapeCx,
    lexer: Lexer<'t>,
    nesting: u32,
}

/// A product under construction. The number is kept apart, in 128 bits, so that
/// `-9223372036854775808` can be read although its magnitude is no 64-bit number.
struct Product {
    number: i128,
    rest: Option<Dim>,
}

impl Parser<'_, '_> {
    fn sum(&mut self) -> Result<Dim, ParseDimError> {
        let mut sum = self.product(1)?;
        loop {
            let sign = match self.lexer.token {
                Token::Sign("+") => 1,
                Token::Sign("-") => -1,
                _ => return Ok(sum),
            };
            self.lexer.bump()?;
            let product = self.product(sign)?;
            let added = self.cx.add(sum, product);
            sum = self.done(added)?;
        }
    }

    fn product(&mut self, sign: i128) -> Result<Dim, ParseDimError> {
        let mut product = self.factor()?;
        loop {
            match self.lexer.token {
                Token::Sign("*") => {
                    self.lexer.bump()?;
                    let factor = self.factor()?;
                    let number = product.number.checked_mul(factor.number).ok_or(Overflow);
                    let rest = match (product.rest, factor.rest) {
                        (Some(a), Some(b)) => Some(self.cx.mul(a, b)),
                        (a, b) => a.or(b).map(Ok),
                    };
                    product = Product { number: self.done(number)?, rest: self.done(rest.transpose())? };
                }
                Token::Sign(sign @ ("//" | "%")) => {
                    let a = self.value(product)?;
                    self.lexer.bump()?;
                    let b = self.factor()?;
                    let b = self.value(b)?;
                    let quotient =
                        if sign == "//" { self.cx.floor_div_dim(a, b) } else { self.cx.modulo_dim(a, b) };
                    product = Product { number: 1, rest: Some(self.done(quotient)?) };
                }
                _ => break,
            }
        }
        product.number = self.done(product.number.checked_mul(sign).ok_or(Overflow))?;
        self.value(product)
    }

    fn factor(&mut self) -> Result<Product, ParseDimError> {
        let of = |d: Dim| Ok(Product { number: 1, rest: Some(d) });
        match &self.lexer.token {
            Token::Sign("-") => {
                self.enter()?;
                self.lexer.bump()?;
                let factor = self.factor()?;
                self.nesting -= 1;
                Ok(Product { number: -factor.number, rest: factor.rest })
            }
            Token::Sign("(") => {
                self.enter()?;
                self.lexer.bump()?;
                let d = self.sum()?;
                self.lexer.expect(")")?;
                self.nesting -= 1;
                of(d)
            }
            Token::Number(_) => match self.lexer.bump()? {
                Token::Number(value) => Ok(Product { number: i128::from(value), rest: None }),
                _ => Err(self.lexer.error("expected a number")),
            },
            Token::Quoted(name) => {
                let d = self.cx.sym(name);
                self.lexer.bump()?;
                of(d)
            }
            Token::Word(name) => {
                if super::display::OPERATIONS.contains(&&name[..]) {
                    let d = self.call()?;
                    return of(d);
                }
                let d = self.cx.sym(name);
                self.lexer.bump()?;
                of(d)
            }
            _ => Err(self.lexer.error("expected a number, a symbol, or `(`")),
        }
    }

    fn call(&mut self) -> Result<Dim, ParseDimError> {
        let Token::Word(name) = self.lexer.bump()? else {
            return Err(self.lexer.error("expected an operation"));
        };
        self.enter()?;
        self.lexer.expect("(")?;
        let mut operands = vec![self.sum()?];
        while self.lexer.eat(",")? {
            operands.push(self.sum()?);
        }
        let result = match (&name[..], &operands[..]) {
            ("min", list) => self.cx.min(list),
            ("max", list) => self.cx.max(list),
            ("broadcast", list) => self.cx.broadcast(list),
            ("floordiv", &[a, b]) => self.cx.floor_div_dim(a, b),
            ("ceildiv", &[a, b]) => self.cx.ceil_div_dim(a, b),
            ("mod", &[a, b]) => self.cx.modulo_dim(a, b),
            _ => return Err(self.lexer.error(format!("`{name}` takes two operands"))),
        };
        let d = self.done(result)?;
        self.lexer.expect(")")?;
        self.nesting -= 1;
        Ok(d)
    }

    fn value(&mut self, product: Product) -> Result<Dim, ParseDimError> {
        let number = self.done(i64::try_from(product.number).map_err(|_| Overflow))?;
        match product.rest {
            None => Ok(self.cx.int(number)),
            Some(d) => {
                let scaled = self.cx.scale(d, number);
                self.done(scaled)
            }
        }
    }

    fn enter(&mut self) -> Result<(), ParseDimError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING { Err(self.lexer.error("nested too deeply")) } else { Ok(()) }
    }

    fn done<T>(&self, result: Result<T, Overflow>) -> Result<T, ParseDimError> {
        result.map_err(|overflow| self.lexer.error(overflow.to_string()))
    }
}
