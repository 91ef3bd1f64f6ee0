//! Why operators of ONNX are not imported.

/// Why an ONNX operator, also one of `ai.onnx.ml`, is not in the table; `None` for names that are no ONNX operators.
pub(crate) fn why_missing(name: &str) -> Option<&'static str> {
    const HOSTED: &str =
        "functions of the host compute it, and the compiler was built without them (`orogen_hosted::add_to`)";
    Some(match name {
        "StringConcat" | "StringNormalizer" | "StringSplit" | "RegexFullMatch" | "TfIdfVectorizer"
        | "ImageDecoder" => HOSTED,
        "ZipMap" => {
            "its result is a sequence of maps, which nothing makes: export with `zipmap=False`, so that the result is the \
             tensor that it reads"
        }
        "CastMap" | "DictVectorizer" => "its operand is a map, which nothing reads",
        _ => return None,
    })
}
