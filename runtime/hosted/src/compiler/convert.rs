//! The nodes of ONNX.

use super::support::{Single, bad, text_data, unsupported};
use super::{grams, labels};
use orogen::onnx::Node;
use orogen::prelude::*;

pub(super) fn register(builder: &mut Builder) {
    builder
        .converter("", "StringConcat", .., |cx| {
            let (a, b) = (cx.input(0)?, cx.input(1)?);
            Ok(vec![cx.binary("text.concat", a, b)?])
        })
        .converter("", "StringSplit", .., |cx| {
            let most = cx.int("maxsplit").unwrap_or(-1);
            let attrs = Attrs::none().with("delimiter", plain(cx, "delimiter")?).with("most", most);
            let mut results = cx.emit_all("text.split", attrs, &[cx.input(0)?])?;
            results.truncate(cx.output_count().max(1));
            Ok(results)
        })
        .converter("", "StringNormalizer", .., |cx| Ok(vec![normalizer(cx)?]))
        .converter("", "TfIdfVectorizer", .., |cx| Ok(vec![grams::vectorizer(cx)?]))
        .converter("ai.onnx.ml", "LabelEncoder", .., |cx| Ok(vec![labels::encoder(cx)?]))
        .converter("ai.onnx.ml", "CategoryMapper", .., |cx| Ok(vec![labels::mapper(cx)?]))
        .converter("ai.onnx.ml", "DictVectorizer", .., |cx| Ok(vec![labels::vectorizer(cx)?]));
    #[cfg(feature = "regex")]
    builder.checked_converter("", "RegexFullMatch", .., check_pattern, |cx| {
        let attrs = Attrs::none().with("pattern", plain(cx, "pattern")?);
        Ok(vec![cx.emit("text.matches", attrs, &[cx.input(0)?])?])
    });
    #[cfg(feature = "regex")]
    builder.checked_converter(
        "com.microsoft",
        "Tokenizer",
        ..,
        |node| token_patterns(node).map(drop),
        |cx| Ok(vec![tokenizer(cx)?]),
    );
    #[cfg(feature = "images")]
    builder.checked_converter("", "ImageDecoder", .., check_format, |cx| {
        let attrs = Attrs::none().with("format", cx.text("pixel_format").unwrap_or("RGB"));
        Ok(vec![cx.emit("image.decode", attrs, &[cx.input(0)?])?])
    });
}

#[cfg(feature = "regex")]
fn check_pattern(node: &Node<'_>) -> Result<(), String> {
    use crate::pattern::{Form, compiled};
    compiled(node.text("pattern").unwrap_or_default(), Form::Whole).map(drop)
}

/// The patterns of `Tokenizer`, and whether they divide. An empty separator is between all characters.
#[cfg(feature = "regex")]
fn token_patterns<'m>(node: &Node<'m>) -> Result<(Vec<&'m str>, bool), String> {
    use crate::pattern::{Form, compiled};
    let found = match node.text("tokenexp").filter(|it| !it.is_empty()) {
        Some(pattern) => (vec![pattern], false),
        None => match &node.texts("separators").unwrap_or_default()[..] {
            [] => return Err("it has neither `tokenexp` nor `separators`".to_owned()),
            [""] if node.int("mincharnum").unwrap_or(1) > 1 => {
                return Err("`mincharnum` is more than the one character of its tokens".to_owned());
            }
            [""] => (vec!["(?s:.)"], false),
            list if list.contains(&"") => return Err("one of several separators is empty".to_owned()),
            list => (list.to_vec(), true),
        },
    };
    found.0.iter().try_for_each(|it| compiled(it, Form::Part).map(drop))?;
    Ok(found)
}

#[cfg(feature = "regex")]
fn tokenizer(cx: &mut NodeCx<'_, '_>) -> Single {
    let (patterns, divide) = token_patterns(cx).map_err(bad)?;
    let attrs = Attrs::none().with("divide", i64::from(divide));
    let attrs =
        attrs.with("fewest", cx.int("mincharnum").unwrap_or(1)).with("marked", cx.int("mark").unwrap_or(0));
    let attrs = attrs.with("pad", plain(cx, "pad_value")?);
    let patterns = cx.constant(text_data(&patterns)?);
    cx.emit("text.tokens", attrs, &[cx.input(0)?, patterns])
}

#[cfg(feature = "images")]
fn check_format(node: &Node<'_>) -> Result<(), String> {
    match node.text("pixel_format").unwrap_or("RGB") {
        "RGB" | "BGR" | "Grayscale" => Ok(()),
        other => Err(format!("`{other}` is no order of colours: it is `RGB`, `BGR` or `Grayscale`")),
    }
}

/// A text attribute, empty without it. Functions get it up to the first zero.
fn plain<'m>(cx: &NodeCx<'_, 'm>, name: &str) -> Result<&'m str, Diagnostic> {
    match cx.text(name).unwrap_or_default() {
        it if it.contains('\0') => Err(unsupported(format!("a zero in attribute `{name}`"))),
        it => Ok(it),
    }
}

/// Words are removed first, compared in the case in which the result will be, or in lower case.
fn normalizer(cx: &mut NodeCx<'_, '_>) -> Single {
    let case = match cx.text("case_change_action").unwrap_or("NONE") {
        "NONE" => "",
        "LOWER" => "lower",
        "UPPER" => "upper",
        other => return Err(bad(format!("case_change_action `{other}` is not known"))),
    };
    let locale = plain(cx, "locale")?.to_ascii_lowercase();
    let language = locale.split(['_', '-', '.']).next().unwrap_or_default();
    let attrs = |case: &str| Attrs::none().with("case", case).with("language", language);
    let mut x = cx.input(0)?;
    let rank = cx.rank(x)?;
    if !(1..=2).contains(&rank) {
        return Err(bad(format!("operand 0 has rank {rank} but must have 1 or 2")));
    }
    let words = cx.texts("stopwords").unwrap_or_default();
    if !words.is_empty() {
        let words = cx.constant(text_data(&words)?);
        let compared = match (cx.flag("is_case_sensitive"), case) {
            (true, _) => "",
            (false, "") => "lower",
            (false, case) => case,
        };
        if rank == 2 {
            x = cx.squeeze(x, &[0])?;
        }
        x = cx.emit("text.remove", attrs(compared), &[x, words])?;
        if rank == 2 {
            x = cx.unsqueeze(x, &[0])?;
        }
    }
    if case.is_empty() { Ok(x) } else { cx.emit("text.change_case", attrs(case), &[x]) }
}
