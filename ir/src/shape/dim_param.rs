//! Dimension names of exported models that are really expressions.
//!
//! An ONNX `dim_param` is a name, but exporters write the text of a symbolic expression into it:
//! `past + seq`, `floor(n/2) + 1`, `floor(n/2 - 1/2)`, `Max(0, n - 3)`, `n**2`.
//! Division of such text is exact, so values are fractions until `floor` or `ceil` rounds them.

use super::lexer::{Lexer, ParseDimError, Token};
use super::parse::MAX_NESTING;
use super::{Dim, Overflow, ShapeCx};

impl ShapeCx {
    /// Reads a dimension name as an expression, as symbolic shape inference tools write them.
    ///
    /// Fails for names that should stay names, so that the importer makes one opaque symbol of them:
    /// text that is no expression (`{"a": 1}`), a hyphenated name (`batch-size`),
    /// a bare number (`387`), a division that no `floor` or `ceil` rounds.
    /// A failure may leave new symbols in the context; nothing refers to them.
    ///
    /// ```
    /// use orogen_ir::shape::ShapeCx;
    ///
    /// let mut cx = ShapeCx::new();
    /// let half = cx.parse_dim_param("floor(n/2 - 1/2) + 1").unwrap();
    /// assert_eq!(cx.display(half).to_string(), "floordiv(n + 1, 2)");
    /// assert!(cx.parse_dim_param("batch-size").is_err());
    /// assert!(cx.parse_dim_param("387").is_err());
    /// ```
    pub fn parse_dim_param(&mut self, text: &str) -> Result<Dim, ParseDimError> {
        let mut parser = Parser { cx: self, lexer: Lexer::new(text)?, nesting: 0, symbols: 0 };
        let fraction = parser.sum()?;
        parser.lexer.finish()?;
        if parser.symbols == 0 {
            return Err(parser.lexer.error("a number, not the name of a dimension"));
        }
        parser.whole(fraction)
    }
}

/// `over / under`, the divisor not zero.
#[derive(Copy, Clone)]
struct Fraction {
    over: Dim,
    under: Dim,
}

struct Parser<'c, 't> {
    cx: &'c mut ShapeCx,
    lexer: Lexer<'t>,
    nesting: u32,
    symbols: u32,
}

impl Parser<'_, '_> {
    fn sum(&mut self) -> Result<Fraction, ParseDimError> {
        let mut sum = self.product()?;
        loop {
            let sign = match self.lexer.token {
                Token::Sign("+") => 1,
                Token::Sign("-") if self.lexer.is_tight() => {
                    return Err(self.lexer.error("a hyphenated name, not a difference"));
                }
                Token::Sign("-") => -1,
                _ => return Ok(sum),
            };
            self.lexer.bump()?;
            let term = self.product()?;
            let added = self.add(sum, term, sign);
            sum = self.done(added)?;
        }
    }

    fn add(&mut self, a: Fraction, b: Fraction, sign: i64) -> Result<Fraction, Overflow> {
        let (left, right, under) = if a.under == b.under {
            (a.over, b.over, a.under)
        } else {
            let (left, right) = (self.cx.mul(a.over, b.under)?, self.cx.mul(b.over, a.under)?);
            (left, right, self.cx.mul(a.under, b.under)?)
        };
        let right = self.cx.scale(right, sign)?;
        Ok(Fraction { over: self.cx.add(left, right)?, under })
    }

    fn product(&mut self) -> Result<Fraction, ParseDimError> {
        let mut product = self.power()?;
        loop {
            let Token::Sign(sign @ ("*" | "/" | "//" | "%")) = self.lexer.token else {
                return Ok(product);
            };
            self.lexer.bump()?;
            let factor = self.power()?;
            product = match sign {
                "*" => {
                    let (over, under) =
                        (self.cx.mul(product.over, factor.over), self.cx.mul(product.under, factor.under));
                    Fraction { over: self.done(over)?, under: self.done(under)? }
                }
                "/" => {
                    if self.cx.as_int(factor.over) == Some(0) {
                        return Err(self.lexer.error("division by zero"));
                    }
                    let (over, under) =
                        (self.cx.mul(product.over, factor.under), self.cx.mul(product.under, factor.over));
                    Fraction { over: self.done(over)?, under: self.done(under)? }
                }
                "//" => {
                    let (over, under) =
                        (self.cx.mul(product.over, factor.under), self.cx.mul(product.under, factor.over));
                    let (over, under) = (self.done(over)?, self.done(under)?);
                    let quotient = self.cx.floor_div_dim(over, under);
                    let quotient = self.done(quotient)?;
                    self.of(quotient)
                }
                _ => {
                    let (a, b) = (self.whole(product)?, self.whole(factor)?);
                    let remainder = self.cx.modulo_dim(a, b);
                    let remainder = self.done(remainder)?;
                    self.of(remainder)
                }
            };
        }
    }

    fn power(&mut self) -> Result<Fraction, ParseDimError> {
        let base = self.factor()?;
        if !self.lexer.eat("**")? && !self.lexer.eat("^")? {
            return Ok(base);
        }
        let Token::Number(power @ 0..=64) = self.lexer.bump()? else {
            return Err(self.lexer.error("expected a small power"));
        };
        let mut product = self.cx.int(1);
        let base = self.whole(base)?;
        for _ in 0..power {
            let next = self.cx.mul(product, base);
            product = self.done(next)?;
        }
        Ok(self.of(product))
    }

    fn factor(&mut self) -> Result<Fraction, ParseDimError> {
        self.nesting += 1;
        if self.nesting > MAX_NESTING {
            return Err(self.lexer.error("nested too deeply"));
        }
        let factor = match self.lexer.bump()? {
            Token::Sign("-") => {
                let factor = self.factor()?;
                let minus = self.cx.neg(factor.over);
                Fraction { over: self.done(minus)?, under: factor.under }
            }
            Token::Sign("(") => {
                let sum = self.sum()?;
                self.lexer.expect(")")?;
                sum
            }
            Token::Number(value) => {
                let value = self.done(i64::try_from(value).map_err(|_| Overflow))?;
                let d = self.cx.int(value);
                self.of(d)
            }
            Token::Word(name) if self.lexer.token == Token::Sign("(") => self.call(&name)?,
            Token::Word(name) => {
                self.symbols += 1;
                let d = self.cx.sym(&name);
                self.of(d)
            }
            _ => return Err(self.lexer.error("expected a number, a symbol, or `(`")),
        };
        self.nesting -= 1;
        Ok(factor)
    }

    fn call(&mut self, name: &str) -> Result<Fraction, ParseDimError> {
        self.lexer.expect("(")?;
        let mut operands = vec![self.sum()?];
        while self.lexer.eat(",")? {
            operands.push(self.sum()?);
        }
        let result = match (&name.to_ascii_lowercase()[..], &operands[..]) {
            ("floor", &[a]) => self.cx.floor_div_dim(a.over, a.under),
            ("ceil" | "ceiling", &[a]) => self.cx.ceil_div_dim(a.over, a.under),
            ("min", list) => {
                let list = self.wholes(list)?;
                self.cx.min(&list)
            }
            ("max", list) => {
                let list = self.wholes(list)?;
                self.cx.max(&list)
            }
            ("mod" | "floordiv" | "ceildiv", list @ &[_, _]) => {
                let list = self.wholes(list)?;
                match &name.to_ascii_lowercase()[..] {
                    "mod" => self.cx.modulo_dim(list[0], list[1]),
                    "floordiv" => self.cx.floor_div_dim(list[0], list[1]),
                    _ => self.cx.ceil_div_dim(list[0], list[1]),
                }
            }
            _ => {
                return Err(self
                    .lexer
                    .error(format!("no operation `{name}` of {} operands", operands.len())));
            }
        };
        let d = self.done(result)?;
        self.lexer.expect(")")?;
        Ok(self.of(d))
    }

    fn wholes(&mut self, list: &[Fraction]) -> Result<Vec<Dim>, ParseDimError> {
        list.iter().map(|&fraction| self.whole(fraction)).collect()
    }

    /// The value, if the division leaves no remainder whatever the symbols are.
    fn whole(&mut self, fraction: Fraction) -> Result<Dim, ParseDimError> {
        let exact = self.cx.poly(fraction.over).div_exact(self.cx.poly(fraction.under));
        let exact = exact.ok_or_else(|| self.lexer.error("a division that is not rounded"))?;
        let d = self.cx.intern(exact);
        self.done(d)
    }

    fn of(&mut self, over: Dim) -> Fraction {
        Fraction { over, under: self.cx.int(1) }
    }

    fn done<T>(&self, result: Result<T, Overflow>) -> Result<T, ParseDimError> {
        result.map_err(|overflow| self.lexer.error(overflow.to_string()))
    }
}
