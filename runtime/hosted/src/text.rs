//! Putting strings together, taking them apart, changing their case, removing some.

use crate::array::{Array, Call, Elements, Outcome};

/// The strings of both operands one after the other, element by element, broadcast.
pub(crate) fn concat(call: &Call) -> Outcome {
    let (a, b) = (call.texts(0)?, call.texts(1)?);
    let (a_dims, b_dims) = (&call.input(0)?.dims, &call.input(1)?.dims);
    let rank = a_dims.len().max(b_dims.len());
    let padded = |dims: &[usize]| -> Vec<usize> {
        std::iter::repeat_n(1, rank - dims.len()).chain(dims.iter().copied()).collect()
    };
    let (own_a, own_b) = (padded(a_dims), padded(b_dims));
    let mut dims = Vec::with_capacity(rank);
    for (a, b) in own_a.iter().zip(&own_b) {
        match (*a, *b) {
            (a, b) if a == b || b == 1 => dims.push(a),
            (1, b) => dims.push(b),
            (a, b) => return Err(format!("dimensions {a} and {b} are neither equal nor 1")),
        }
    }
    let count = dims.iter().try_fold(1usize, |n, it| n.checked_mul(*it)).ok_or("the result is too large")?;
    let place = |own: &[usize], i: usize| {
        let (mut rest, mut step, mut place) = (i, 1, 0);
        for (extent, own) in dims.iter().zip(own).rev() {
            if *own != 1 {
                place += rest % extent * step;
            }
            step *= own;
            rest /= extent;
        }
        place
    };
    let joined = (0..count).map(|i| [a[place(&own_a, i)].as_str(), b[place(&own_b, i)].as_str()].concat());
    Ok(vec![Array::new(&dims, Elements::Texts(joined.collect()))])
}

/// The parts of a string between delimiters. Without a delimiter white space of any length delimits, and there are no empty
/// parts; the last one of at most `most + 1` is the rest.
fn parts<'t>(text: &'t str, delimiter: &str, most: i64) -> Vec<&'t str> {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if !delimiter.is_empty() {
        return text.splitn(most.saturating_add(1), delimiter).collect();
    }
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let end = if found.len() < most { rest.find(char::is_whitespace) } else { None };
        let (part, tail) = rest.split_at(end.unwrap_or(rest.len()));
        found.push(part);
        rest = tail.trim_start();
    }
    found
}

/// How many parts each string has, and the largest number.
pub(crate) fn count_parts(call: &Call) -> Outcome {
    let (x, delimiter, most) = (call.texts(0)?, call.text(0)?, call.int(1)?);
    let counts: Vec<i64> = x.iter().map(|it| parts(it, delimiter, most).len() as i64).collect();
    let largest = counts.iter().copied().max().unwrap_or(0);
    Ok(vec![Array::new(&call.input(0)?.dims, Elements::Ints(counts)), Array::ints(vec![largest])])
}

/// The parts of each string, filled up with empty ones along a last dimension.
pub(crate) fn split(call: &Call) -> Outcome {
    let (x, delimiter, most) = (call.texts(0)?, call.text(0)?, call.int(1)?);
    let all: Vec<Vec<&str>> = x.iter().map(|it| parts(it, delimiter, most)).collect();
    let width = all.iter().map(Vec::len).max().unwrap_or(0);
    let mut dims = call.input(0)?.dims.clone();
    dims.push(width);
    let filled =
        all.iter().flat_map(|it| it.iter().copied().chain(std::iter::repeat_n("", width - it.len())));
    Ok(vec![Array::new(&dims, Elements::Texts(filled.map(str::to_owned).collect()))])
}

/// A string in lower or upper case. The mapping is that of Unicode, which depends on the language in Turkish and
/// Azerbaijani alone: their dotted and dotless `i` are two letters.
fn in_case(text: &str, case: &str, language: &str) -> String {
    let dotted = matches!(language, "tr" | "az");
    match case {
        "lower" if dotted => text.replace("I\u{307}", "i").replace('İ', "i").replace('I', "ı").to_lowercase(),
        "lower" => text.to_lowercase(),
        "upper" if dotted => text.replace('i', "İ").to_uppercase(),
        "upper" => text.to_uppercase(),
        _ => text.to_owned(),
    }
}

/// Attributes: the case, `lower` or `upper`, and the language.
pub(crate) fn change_case(call: &Call) -> Outcome {
    let (x, case, language) = (call.texts(0)?, call.text(0)?, call.text(1)?);
    let changed = x.iter().map(|it| in_case(it, case, language)).collect();
    Ok(vec![Array::new(&call.input(0)?.dims, Elements::Texts(changed))])
}

/// The strings of a vector that are none of others, or one empty string where all are. Attributes: the case in which they
/// are compared, if any, and the language.
fn kept(call: &Call) -> Result<Vec<String>, String> {
    let (x, words, case, language) = (call.texts(0)?, call.texts(1)?, call.text(0)?, call.text(1)?);
    let words: std::collections::BTreeSet<String> =
        words.iter().map(|it| in_case(it, case, language)).collect();
    let mut kept: Vec<String> =
        x.iter().filter(|it| !words.contains(&in_case(it, case, language))).cloned().collect();
    if kept.is_empty() {
        kept.push(String::new());
    }
    Ok(kept)
}

/// How many strings [`remove`] leaves.
pub(crate) fn count_kept(call: &Call) -> Outcome {
    Ok(vec![Array::ints(vec![kept(call)?.len() as i64])])
}

/// What is left.
pub(crate) fn remove(call: &Call) -> Outcome {
    let kept = kept(call)?;
    Ok(vec![Array::new(&[kept.len()], Elements::Texts(kept))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_those_between_delimiters() {
        let cases: &[(&str, &str, i64, &[&str])] = &[
            ("a b  c", "", -1, &["a", "b", "c"]),
            (" x\ty ", "", -1, &["x", "y"]),
            (" a  b c ", "", 1, &["a", "b c "]),
            ("", "", -1, &[]),
            ("\u{2003}ü\u{2003}", "", -1, &["ü"]),
            ("a,,b", ",", -1, &["a", "", "b"]),
            ("", ",", -1, &[""]),
            ("a,b,c", ",", 1, &["a", "b,c"]),
            ("a,b", ",", 0, &["a,b"]),
            ("aaaab", "aa", -1, &["", "", "b"]),
        ];
        for (text, delimiter, most, expected) in cases {
            assert_eq!(parts(text, delimiter, *most), *expected, "{text:?} at {delimiter:?}");
        }
    }

    #[test]
    fn case_follows_unicode_and_the_language() {
        let cases = [
            ("straße", "upper", "en", "STRASSE"),
            ("ΟΔΟΣ", "lower", "en", "οδος"),
            ("iI", "upper", "tr", "İI"),
            ("Iİ", "lower", "tr", "ıi"),
            ("Iİ", "lower", "en", "ii\u{307}"),
            ("Ab", "", "en", "Ab"),
        ];
        for (text, case, language, expected) in cases {
            assert_eq!(in_case(text, case, language), expected, "{text} {case} {language}");
        }
    }
}
