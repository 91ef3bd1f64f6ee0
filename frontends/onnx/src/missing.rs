//! Why operators of ONNX are not imported.

/// Why an ONNX operator, also one of `ai.onnx.ml`, is not in the table; `None` for names that are no ONNX operators.
pub(crate) fn why_missing(name: &str) -> Option<&'static str> {
    const HOSTED: &str =
        "functions of the host compute it, and the compiler was built without them (`orogen_hosted::add_to`)";
    Some(match name {
        "StringConcat" | "StringNormalizer" | "StringSplit" | "RegexFullMatch" | "TfIdfVectorizer"
        | "ImageDecoder" | "DictVectorizer" | "Tokenizer" => HOSTED,
        _ => return None,
    })
}
