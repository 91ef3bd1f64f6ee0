//! Why operators of ONNX are not imported.

/// Why an ONNX operator is not in the table; `None` for names that are no ONNX operators.
pub(crate) fn why_missing(name: &str) -> Option<&'static str> {
    const TEXT: &str = "text is not supported";
    const NONE: &str = "there is no importer for it";
    Some(match name {
        "StringConcat" | "StringNormalizer" | "StringSplit" | "RegexFullMatch" | "TfIdfVectorizer" => TEXT,
        "ImageDecoder" | "MaxRoiPool" | "BitCast" | "CumProd" => NONE,
        _ => return None,
    })
}
