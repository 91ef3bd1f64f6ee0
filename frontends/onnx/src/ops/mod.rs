//! Converters, a file per operator family.

mod arrange;
mod attention;
mod axes;
mod bits;
mod contrib;
mod control;
mod conv;
mod deformed;
mod determinant;
mod einsum;
mod elementwise;
mod experts;
mod fourier;
mod fused;
mod gradient;
mod index;
mod interpolate;
pub(crate) mod lengths;
mod linalg;
mod loss;
mod ml;
mod nhwc;
mod norm;
mod older;
mod pool;
mod qoperator;
mod quant;
mod random;
mod reduce;
mod regions;
mod repeat;
mod resize;
mod rnn;
mod sampling;
mod selection;
mod sequence;
mod shape;
mod slice;
mod suppression;
mod training;
mod turns;
mod unique;
mod window;

pub(crate) use gradient::without_rule;

use crate::node::NodeCx;
use crate::sink::Value;
use crate::table::{Converted, OpTable};
use orogen_ir::diag::Diagnostic;

fn register(table: &mut OpTable) {
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
    suppression::register(table);
    unique::register(table);
    sequence::register(table);
    control::register(table);
    quant::register(table);
    qoperator::register(table);
    attention::register(table);
    bits::register(table);
    fused::register(table);
    nhwc::register(table);
    contrib::register(table);
    experts::register(table);
    fourier::register(table);
    loss::register(table);
    sampling::register(table);
    regions::register(table);
    window::register(table);
    arrange::register(table);
    random::register(table);
    deformed::register(table);
    determinant::register(table);
    turns::register(table);
    training::register(table);
    ml::register(table);
    older::register(table);
}

impl OpTable {
    /// The ONNX operators that decompose onto the standard operators of Orogen.
    pub fn standard() -> Self {
        let mut table = Self::new();
        register(&mut table);
        table
    }
}

/// A converter of one result.
fn single(
    convert: impl Fn(&mut NodeCx<'_, '_>) -> Result<Value, Diagnostic> + Send + Sync + 'static,
) -> impl Fn(&mut NodeCx<'_, '_>) -> Converted + Send + Sync + 'static {
    move |cx| Ok(vec![convert(cx)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::missing::why_missing;

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
