//! What attributes are that are left out.

use orogen_ir::ops::{AttrDef, AttrKind, PAD_MODES, RESIZE_COORDINATES, RESIZE_MODES, RESIZE_NEAREST};
use orogen_ir::types::{Attr, Attrs};

/// The value of an attribute that is left out, where the operator defines one. `rank` is that of the first operand.
pub(super) fn default_of(op: &str, attr: &AttrDef, attrs: &Attrs, rank: Option<usize>) -> Option<Attr> {
    if attr.required {
        return None;
    }
    // Windows have a kernel, or one dimension for each but batch and channels.
    let spatial = || match attrs.ints("kernel") {
        Some(kernel) => Some(kernel.len()),
        None => rank?.checked_sub(2),
    };
    Some(match (attr.kind, attr.name) {
        (AttrKind::Bool, _) => Attr::Bool(false),
        (AttrKind::Int, "group") => Attr::Int(1),
        (AttrKind::Int, "batch_dims" | "start") => Attr::Int(0),
        (AttrKind::Int, "end") => Attr::Int(i64::try_from(rank?).ok()?),
        (AttrKind::Float, "epsilon") => Attr::Float(1e-5),
        (AttrKind::Ints, "strides" | "dilations") => vec![1; spatial()?].into(),
        (AttrKind::Ints, "pads") => vec![0; 2 * spatial()?].into(),
        (AttrKind::Ints, "output_padding") => vec![0; spatial()?].into(),
        (AttrKind::Str, "mode") => if op == "resize" { RESIZE_MODES[0] } else { PAD_MODES[0] }.into(),
        (AttrKind::Str, "reduction") => "none".into(),
        (AttrKind::Str, "direction") => "forward".into(),
        (AttrKind::Str, "coordinates") => RESIZE_COORDINATES[0].into(),
        (AttrKind::Str, "nearest") => RESIZE_NEAREST[0].into(),
        (AttrKind::Float, "cubic_a") => Attr::Float(-0.75),
        _ => return None,
    })
}
