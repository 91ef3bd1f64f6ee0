//! Numbers as text, and text as numbers.
//!
//! ONNX asks for plain representations: `314.15926`, no exponents. Written are the fewest digits that give the number back,
//! and `NaN`, `INF`, `-INF`. Read are plain and scientific ones, `NaN`, `INF` and `INFINITY` in any case; white space around
//! them does not count.

use crate::array::{Array, Call, Elements, Outcome};
use std::fmt::Display;
use std::str::FromStr;

pub(crate) fn format(call: &Call) -> Outcome {
    fn all<T: Copy>(list: &[T], one: impl Fn(T) -> String) -> Vec<String> {
        list.iter().copied().map(one).collect()
    }
    let x = call.input(0)?;
    let texts = match &x.elements {
        Elements::Ints(list) => all(list, |it| it.to_string()),
        Elements::Unsigned(list) => all(list, |it| it.to_string()),
        Elements::Singles(list) => all(list, |it| float(it, f64::from(it))),
        Elements::Doubles(list) => all(list, |it| float(it, it)),
        _ => return Err("operand 0 holds no numbers of 32 or 64 bits".to_owned()),
    };
    Ok(vec![Array::new(&x.dims, Elements::Texts(texts))])
}

fn float(number: impl Display, value: f64) -> String {
    match value {
        it if it.is_nan() => "NaN".to_owned(),
        f64::INFINITY => "INF".to_owned(),
        f64::NEG_INFINITY => "-INF".to_owned(),
        _ => number.to_string(),
    }
}

fn parsed<T: FromStr>(call: &Call, what: &str) -> Result<Vec<T>, String> {
    let number = |it: &String| {
        it.trim().parse().map_err(|_| {
            let shown: String = it.chars().take(40).collect();
            format!("{shown:?} is no {what}")
        })
    };
    call.texts(0)?.iter().map(number).collect()
}

pub(crate) fn parse_int(call: &Call) -> Outcome {
    let list = parsed(call, "integer of 64 bits")?;
    Ok(vec![Array::new(&call.input(0)?.dims, Elements::Ints(list))])
}

pub(crate) fn parse_unsigned(call: &Call) -> Outcome {
    let list = parsed(call, "integer of 64 bits without a sign")?;
    Ok(vec![Array::new(&call.input(0)?.dims, Elements::Unsigned(list))])
}

pub(crate) fn parse_single(call: &Call) -> Outcome {
    let list = parsed(call, "number")?;
    Ok(vec![Array::new(&call.input(0)?.dims, Elements::Singles(list))])
}

pub(crate) fn parse_double(call: &Call) -> Outcome {
    let list = parsed(call, "number")?;
    Ok(vec![Array::new(&call.input(0)?.dims, Elements::Doubles(list))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_plain() {
        let cases = [(1.0, "1"), (0.1, "0.1"), (1e-5, "0.00001"), (1e10, "10000000000"), (-0.0, "-0")];
        for (number, text) in cases {
            assert_eq!(float(number as f32, number), text);
            assert_eq!(float(number, number), text);
        }
        let special = [(f64::NAN, "NaN"), (f64::INFINITY, "INF"), (f64::NEG_INFINITY, "-INF")];
        special.iter().for_each(|(number, text)| assert_eq!(float(number, *number), *text));
        for text in ["3.5", "+INF", "-infinity", "nan", " 1e-5 ", ".5", "-7E2"] {
            assert!(text.trim().parse::<f32>().is_ok(), "{text}");
        }
        assert!(["", "abc", "0x10", "1_0"].iter().all(|it| it.parse::<f32>().is_err()));
    }
}
