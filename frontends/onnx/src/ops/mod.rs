//! Converters, a file per operator family.

mod attention;
mod control;
mod conv;
mod einsum;
mod elementwise;
mod index;
mod linalg;
mod norm;
mod pool;
mod quant;
mod reduce;
mod resize;
mod rnn;
mod selection;
mod shape;
mod slice;

use crate::node::NodeCx;
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;

pub(crate) fn register(table: &mut OpTable) {
    elementwise::register(table);
    reduce::register(table);
    linalg::register(table);
    conv::register(table);
    pool::register(table);
    norm::register(table);
    resize::register(table);
    rnn::register(table);
    shape::register(table);
    slice::register(table);
    index::register(table);
    selection::register(table);
    control::register(table);
    quant::register(table);
    attention::register(table);
}

/// A converter of one result.
fn single(
    convert: impl Fn(&mut NodeCx<'_, '_>) -> Result<Value, Diagnostic> + Send + Sync + 'static,
) -> impl Fn(&mut NodeCx<'_, '_>) -> Converted + Send + Sync + 'static {
    move |cx| Ok(vec![convert(cx)?])
}

/// Why an ONNX operator is not in the table; `None` for names that are no ONNX operators.
pub(crate) fn why_missing(name: &str) -> Option<&'static str> {
    const DATA_DEPENDENT: &str = "the size of its result depends on the data";
    const SEQUENCE: &str = "sequences and optionals are not supported";
    const TEXT: &str = "text is not supported";
    const RANDOM: &str = "random numbers are not supported";
    const NONE: &str = "there is no importer for it";
    Some(match name {
        "Unique" | "NonMaxSuppression" => DATA_DEPENDENT,
        "SequenceAt" | "SequenceConstruct" | "SequenceEmpty" | "SequenceErase" | "SequenceInsert"
        | "SequenceLength" | "SequenceMap" | "SplitToSequence" | "ConcatFromSequence" | "Optional"
        | "OptionalGetElement" | "OptionalHasElement" => SEQUENCE,
        "StringConcat" | "StringNormalizer" | "StringSplit" | "RegexFullMatch" | "TfIdfVectorizer" => TEXT,
        "RandomNormal" | "RandomNormalLike" | "RandomUniform" | "RandomUniformLike" | "Multinomial"
        | "Bernoulli" => RANDOM,
        "Scan" => "loops over sequences (Scan) are not supported",
        "TopK" => "sorting is not supported",
        "TensorScatter"
        | "AffineGrid"
        | "BlackmanWindow"
        | "CenterCropPad"
        | "Col2Im"
        | "DFT"
        | "DeformConv"
        | "Det"
        | "GridSample"
        | "HammingWindow"
        | "HannWindow"
        | "ImageDecoder"
        | "MaxRoiPool"
        | "MaxUnpool"
        | "MelWeightMatrix"
        | "NegativeLogLikelihoodLoss"
        | "ReverseSequence"
        | "RoiAlign"
        | "STFT"
        | "SoftmaxCrossEntropyLoss"
        | "Adagrad"
        | "Adam"
        | "Gradient"
        | "Momentum"
        | "BitCast"
        | "CumProd" => NONE,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_imported_has_no_reason_to_be_missing() {
        let table = OpTable::standard();
        let wrong: Vec<&str> = table
            .iter()
            .filter(|(domain, name, _)| domain.is_empty() && why_missing(name).is_some())
            .map(|it| it.1)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
