//! The signature of a library: a line-based text, written by the compiler and read by the runtime.
//!
//! ```text
//! orogen-signature 1
//! parameter f32 [3,8] 85944171f73967e8 w
//! function main
//! input f32 [batch,3,224,224] pixels
//! input f32 [batch,8] past
//! becomes present
//! optional f32 [] temperature
//! output f32 [batch,1000] logits
//! ```
//!
//! A `parameter` is data that the library does not hold (see [`crate::symbol::PARAMETERS`]), with the [`digest`] of its bytes.
//! `optional` in the place of `input` is an input with a default: a caller may give nothing for it, or leave it out at the
//! end; those come last.
//! An input that `becomes` something is state: the call writes what comes next over the caller's elements.
//! A parameter of type `handle` is an object that is no tensor; the line `is Sequence<Tensor<f32>>` behind it says what.
//! `ranked` in the place of `output` is an output whose rank the call decides, under the most dimensions it may have.
//! A name is the rest of its line; `\n`, `\r` and `\\` stand for a newline, a return and a backslash in it.
//! A dimension is a number or a symbolic expression without commas outside parentheses and without spaces.
//! Names that are no identifiers stand in quotes in it, with `\"` and `\\` for a quote and a backslash; there, anything
//! but a line end may follow. Equal text means equal extent.
//!
//! ```
//! use orogen_abi::signature::{Dim, Signature};
//!
//! let text = "orogen-signature 1\nfunction main\ninput f32 [n,3] x\noutput f32 [n] y\n";
//! let signature: Signature = text.parse().unwrap();
//! let main = signature.function("main").unwrap();
//! assert_eq!(main.inputs[0].dims, [Dim::Symbolic("n".into()), Dim::Fixed(3)]);
//! assert_eq!(signature.to_string(), text);
//! ```

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use crate::dlpack::DLDataType;

const HEADER: &str = "orogen-signature 1";

/// One extent of a parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dim {
    /// Known at compile time.
    Fixed(i64),
    /// Known at the call; the text is the compiler's.
    Symbolic(String),
}

/// An input or an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// The model's name for it.
    pub name: String,
    /// Element type.
    pub dtype: DLDataType,
    /// Extents, outermost first.
    pub dims: Vec<Dim>,
    /// For an input that is state, the model's name for its new value, which replaces the elements in place.
    pub becomes: Option<String>,
    /// For an input that a caller may leave out.
    pub optional: bool,
    /// For an output whose rank the call decides: it has the first dimensions alone, and those after them are 1.
    pub ranked: bool,
    /// For an object that is no tensor, its type in the compiler's words; its element type is
    /// [`DLDataType::HANDLE`], and it has no dimensions.
    pub object: Option<String>,
}

impl Parameter {
    /// One of rank 0 that is nothing special.
    pub fn new(name: impl Into<String>, dtype: DLDataType) -> Self {
        Parameter {
            name: name.into(),
            dtype,
            dims: Vec::new(),
            becomes: None,
            optional: false,
            ranked: false,
            object: None,
        }
    }
}

/// Inputs and outputs of one function, in call order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// Name without the symbol prefix.
    pub name: String,
    /// Arguments.
    pub inputs: Vec<Parameter>,
    /// Results; one is returned as a tensor, several as an array.
    pub outputs: Vec<Parameter>,
}

/// Data that the functions of a library read and that it does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// Name, unique in the library, element type and fixed extents.
    pub parameter: Parameter,
    /// [`digest`] of its bytes: the code was made for this data.
    pub digest: u64,
}

/// FNV-1a, 64 bits wide, over words of eight bytes (little endian, the last one filled up with zeros): it tells apart
/// what was confused, not what was forged.
pub fn digest(bytes: &[u8]) -> u64 {
    let word = |it: &[u8]| it.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
    let start = 0xcbf2_9ce4_8422_2325 ^ bytes.len() as u64;
    bytes.chunks(8).fold(start, |sum, it| (sum ^ word(it)).wrapping_mul(0x0100_0000_01b3).rotate_left(29))
}

/// All functions of a library.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// Data from outside, in the order of the library.
    pub parameters: Vec<Outside>,
    /// In the order of the library.
    pub functions: Vec<Function>,
}

impl Dim {
    /// The name of the symbol, when the extent is one symbol and no expression or number.
    pub fn symbol(&self) -> Option<String> {
        let Dim::Symbolic(text) = self else { return None };
        let Some(quoted) = text.strip_prefix('"') else {
            return text.chars().all(|it| it.is_alphanumeric() || it == '_').then(|| text.clone());
        };
        let mut name = String::new();
        let mut chars = quoted.chars();
        loop {
            name.push(match chars.next()? {
                '"' => break,
                '\\' => match chars.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => {
                        let code = chars.as_str().strip_prefix('{')?.split('}').next()?;
                        chars = chars.as_str().get(code.len() + 2..)?.chars();
                        char::from_u32(u32::from_str_radix(code, 16).ok()?)?
                    }
                    c => c,
                },
                c => c,
            });
        }
        chars.next().is_none().then_some(name)
    }
}

impl Function {
    /// How many inputs a caller must give.
    pub fn required(&self) -> usize {
        self.inputs.iter().take_while(|it| !it.optional).count()
    }
}

impl Signature {
    /// The function called `name`.
    pub fn function(&self, name: &str) -> Option<&Function> {
        self.functions.iter().find(|it| it.name == name)
    }
}

/// A line that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: &'static str,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of the signature: {}", self.line, self.reason)
    }
}

impl core::error::Error for SignatureError {}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, SignatureError> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        if lines.next().map(|(_, line)| line) != Some(HEADER) {
            return Err(SignatureError { line: 1, reason: "expected `orogen-signature 1`" });
        }
        let mut signature = Signature::default();
        for (line, content) in lines {
            let fail = |reason| SignatureError { line, reason };
            let (keyword, rest) = content.split_once(' ').ok_or(fail("expected a keyword and a space"))?;
            if keyword == "function" {
                let name = unescape(rest).ok_or(fail("unknown escape in a name"))?;
                signature.functions.push(Function { name, ..Function::default() });
                continue;
            }
            if keyword == "parameter" {
                signature.parameters.push(parse_outside(rest).map_err(fail)?);
                continue;
            }
            let function = signature.functions.last_mut().ok_or(fail("parameter before any function"))?;
            if keyword == "becomes" {
                let input = function.inputs.last_mut().filter(|it| it.becomes.is_none());
                let input = input.ok_or(fail("`becomes` belongs to the input before it"))?;
                input.becomes = Some(unescape(rest).ok_or(fail("unknown escape in a name"))?);
                continue;
            }
            if keyword == "is" {
                let last =
                    if function.outputs.is_empty() { &mut function.inputs } else { &mut function.outputs };
                let handle = |it: &&mut Parameter| it.dtype == DLDataType::HANDLE && it.object.is_none();
                let parameter = last.last_mut().filter(handle);
                let parameter = parameter.ok_or(fail("`is` belongs to the object before it"))?;
                parameter.object = Some(unescape(rest).ok_or(fail("unknown escape in a type"))?);
                continue;
            }
            let parameter = parse_parameter(rest).map_err(fail)?;
            match keyword {
                "input" if function.required() < function.inputs.len() => {
                    return Err(fail("an input after an optional one is optional too"));
                }
                "input" => function.inputs.push(parameter),
                "optional" => function.inputs.push(Parameter { optional: true, ..parameter }),
                "output" => function.outputs.push(parameter),
                "ranked" => function.outputs.push(Parameter { ranked: true, ..parameter }),
                _ => {
                    return Err(fail(
                        "expected `function`, `input`, `optional`, `becomes`, `output`, `ranked` or `is`",
                    ));
                }
            }
        }
        Ok(signature)
    }
}

/// `DTYPE [DIMS] DIGEST NAME`
fn parse_outside(text: &str) -> Result<Outside, &'static str> {
    let mut parameter = parse_parameter(text)?;
    let (digits, name) = parameter.name.split_once(' ').ok_or("expected a digest and a space")?;
    let digest = u64::from_str_radix(digits, 16).map_err(|_| "expected a digest in hexadecimal digits")?;
    parameter.name = name.to_owned();
    if parameter.dims.iter().any(|it| matches!(it, Dim::Symbolic(_))) {
        return Err("a parameter has fixed dimensions");
    }
    Ok(Outside { parameter, digest })
}

fn parse_parameter(text: &str) -> Result<Parameter, &'static str> {
    let (dtype, rest) = text.split_once(' ').ok_or("expected a data type and a space")?;
    let dtype = DLDataType::from_name(dtype).ok_or("unknown data type")?;
    let space = unquoted(rest).find(|it| it.1 == ' ').ok_or("expected dimensions and a space")?.0;
    let (dims, name) = (&rest[..space], &rest[space + 1..]);
    let dims = dims.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
    let dims = split_dims(dims.ok_or("expected `[` and `]` around the dimensions")?)?;
    let name = unescape(name).ok_or("unknown escape in a name")?;
    Ok(Parameter { dims, ..Parameter::new(name, dtype) })
}

/// The characters outside quotes, with their places.
fn unquoted(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut inside, mut escaped) = (false, false);
    text.char_indices().filter(move |&(_, c)| {
        let was_inside = inside;
        if inside && !escaped && c == '\\' {
            escaped = true;
            return false;
        }
        if c == '"' && !escaped {
            inside = !inside;
        }
        escaped = false;
        !inside && !was_inside
    })
}

/// Splits at the commas outside parentheses and quotes.
fn split_dims(text: &str) -> Result<Vec<Dim>, &'static str> {
    let mut dims = Vec::new();
    if text.is_empty() {
        return Ok(dims);
    }
    let mut depth = 0i64;
    let mut start = 0;
    let mut commas = Vec::new();
    for (at, c) in unquoted(text) {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => commas.push(at),
            _ => {}
        }
    }
    for end in commas.into_iter().chain([text.len()]) {
        let dim = &text[start..end];
        start = end + 1;
        dims.push(match dim.parse::<i64>() {
            Ok(extent) if extent >= 0 => Dim::Fixed(extent),
            Ok(_) => return Err("negative dimension"),
            Err(_) if dim.is_empty() => return Err("empty dimension"),
            Err(_) => Dim::Symbolic(dim.to_owned()),
        });
    }
    Ok(dims)
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        for Outside { parameter, digest } in &self.parameters {
            let name = alloc::format!("{digest:016x} {}", parameter.name);
            writeln!(f, "parameter {}", Parameter { name, ..parameter.clone() })?;
        }
        for function in &self.functions {
            writeln!(f, "function {}", Escaped(&function.name))?;
            for it in &function.inputs {
                writeln!(f, "{} {it}", if it.optional { "optional" } else { "input" })?;
                if let Some(name) = &it.becomes {
                    writeln!(f, "becomes {}", Escaped(name))?;
                }
                write_object(f, it)?;
            }
            for it in &function.outputs {
                writeln!(f, "{} {it}", if it.ranked { "ranked" } else { "output" })?;
                write_object(f, it)?;
            }
        }
        Ok(())
    }
}

fn write_object(f: &mut fmt::Formatter<'_>, it: &Parameter) -> fmt::Result {
    match &it.object {
        Some(ty) => writeln!(f, "is {}", Escaped(ty)),
        None => Ok(()),
    }
}

impl fmt::Display for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Some(_) => write!(f, "handle [")?,
            None => write!(f, "{} [", self.dtype)?,
        }
        for (index, dim) in self.dims.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{dim}")?;
        }
        write!(f, "] {}", Escaped(&self.name))
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dim::Fixed(extent) => write!(f, "{extent}"),
            Dim::Symbolic(text) => {
                // Spaces would end the list; outside quotes, symbolic text never needs them.
                let mut spaces = unquoted(text).filter(|it| it.1.is_whitespace()).map(|it| it.0).peekable();
                text.char_indices().try_for_each(|(at, c)| {
                    if spaces.next_if_eq(&at).is_some() { Ok(()) } else { fmt::Write::write_char(f, c) }
                })
            }
        }
    }
}

struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\\' => f.write_str("\\\\")?,
                c => fmt::Write::write_char(f, c)?,
            }
        }
        Ok(())
    }
}

fn unescape(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.push(match c {
            '\\' => match chars.next()? {
                'n' => '\n',
                'r' => '\r',
                '\\' => '\\',
                _ => return None,
            },
            c => c,
        });
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    #[test]
    fn hostile_names_and_dims_survive_a_round_trip() {
        let name = |s: &str| Parameter {
            becomes: s.contains(':').then(|| s.into()),
            optional: s == "] f32",
            ..Parameter::new(s, DLDataType::BF16)
        };
        let mut inputs: Vec<_> =
            ["", " ", "387", "a:b/c.d", "{\"x\": [1]}", "two\nlines\\n\r", "ü ", "] f32"].map(name).into();
        inputs[0].dims = vec![Dim::Fixed(0), Dim::Symbolic("max(n,2*m)".into()), Dim::Symbolic("n+1".into())];
        let function = Function { name: "main".into(), inputs, outputs: vec![] };
        let w = Parameter { dims: vec![Dim::Fixed(2)], ..Parameter::new(" a\nb", DLDataType::I8) };
        let outside = Outside { parameter: w, digest: digest(&[1, 2]) };
        let signature =
            Signature { functions: vec![function.clone(), Function::default()], parameters: vec![outside] };
        assert_eq!(signature.to_string().parse::<Signature>().unwrap(), signature);
    }

    #[test]
    fn quoted_symbols_keep_their_names() {
        let dims =
            [r#""seq len""#, r#""seqlen""#, r#""a]b, c(d""#, r#""q\"\\""#, r#""x\u{1b}""#, r#"max("a b",n)"#];
        let dims: Vec<Dim> = dims.into_iter().map(|it| Dim::Symbolic(it.into())).collect();
        let inputs: Vec<Parameter> =
            vec![Parameter { dims: dims.clone(), ..Parameter::new("x y", DLDataType::F32) }];
        let outputs = inputs.iter().map(|it| Parameter { ranked: true, ..it.clone() }).collect();
        let function = Function { name: "main".into(), inputs, outputs };
        let signature = Signature { functions: vec![function], ..Signature::default() };
        assert_eq!(signature.to_string().parse::<Signature>().unwrap(), signature);
        let names: Vec<_> = dims.iter().map(|it| it.symbol()).collect();
        let expected = ["seq len", "seqlen", "a]b, c(d", "q\"\\", "x\u{1b}"].map(|it| Some(it.into()));
        assert_eq!(names[..5], expected);
        assert_eq!(names[5], None);
        let spaced = Dim::Symbolic(r#""a b" + 2 * n"#.into());
        assert_eq!(spaced.to_string(), r#""a b"+2*n"#);
        for text in ["n+1", r#""a"+1"#, r#""open"#, r#""\u{110000}""#, r#""\u{1""#] {
            assert_eq!(Dim::Symbolic(text.into()).symbol(), None, "{text}");
        }
        assert_eq!(Dim::Fixed(3).symbol(), None);
    }

    #[test]
    fn bad_lines_are_errors_with_their_number() {
        let line_of = |text: &str| text.parse::<Signature>().unwrap_err().line;
        assert_eq!(line_of(""), 1);
        assert_eq!(line_of("orogen-signature 2\n"), 1);
        assert_eq!(line_of("orogen-signature 1\ninput f32 [] x\n"), 2);
        let bad = [
            "output",
            "becomes y",
            "input f33 [] x",
            "input f32 [1,] x",
            "input f32 [-1] x",
            "input f32 1 x",
        ];
        let after = "orogen-signature 1\nfunction f\noptional f32 [] k\ninput f32 [] x\n";
        assert_eq!(line_of(after), 4);
        for bad in ["f32 [2] x", "f32 [2] zz x", "f32 [n] 12 x", "f32 [2]"] {
            assert_eq!(line_of(&alloc::format!("orogen-signature 1\nparameter {bad}\n")), 2, "{bad}");
        }
        for bad in bad.into_iter().chain(["state f32 [] x", "input f32 [] a\\q", "input f32 []"]) {
            assert_eq!(line_of(&alloc::format!("orogen-signature 1\nfunction f\n{bad}\n")), 3, "{bad}");
        }
    }
}
