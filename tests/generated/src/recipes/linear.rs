//! Products.

use super::Table;
use super::elementwise::beside;
use crate::attributes::{float, int, text};
use crate::draw::{Draft, Draw, Fill};
use crate::value::Rounding;

pub(super) const RECIPES: Table =
    &[("MatMul", matmul), ("Gemm", gemm), ("Einsum", einsum), ("Det", determinant)];

fn matmul(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let a = draw.floats(1..=4);
    let (dtype, dims) = (draw.dtype_of(a), draw.dims_of(a));
    let inner = dims[dims.len() - 1].clone();
    let mut others = match draw.random.below(3) {
        0 => dims[..dims.len().saturating_sub(2)].to_vec(),
        _ => Vec::new(),
    };
    others.push(inner);
    if others.len() > 1 || !draw.once_in(5) {
        others.push(draw.extent());
    }
    let b = draw.of(dtype, &others, Fill::Small);
    Some(Draft::new(op, &[draw.name(a), draw.name(b)], Rounding::Arithmetic))
}

fn gemm(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let a = draw.floats(2..=2);
    let (dtype, dims) = (draw.dtype_of(a), draw.dims_of(a));
    let (left, right) = (draw.random.coin(), draw.random.coin());
    let (m, k) = if left { (&dims[1], &dims[0]) } else { (&dims[0], &dims[1]) };
    let n = draw.extent();
    let b = if right { [n.clone(), k.clone()] } else { [k.clone(), n.clone()] };
    let b = draw.of(dtype, &b, Fill::Small);
    let mut names = vec![draw.name(a).to_owned(), draw.name(b).to_owned()];
    if draw.opset < 11 || draw.random.coin() {
        let one = draw.fixed(1);
        let shapes = [vec![n.clone()], vec![m.clone(), n.clone()], vec![m.clone(), one], Vec::new(), vec![n]];
        let at = draw.random.below(shapes.len());
        let c = draw.of(dtype, &shapes[at], Fill::Small);
        names.push(draw.name(c).to_owned());
    }
    let draft = Draft::new(op, &names.iter().map(String::as_str).collect::<Vec<_>>(), Rounding::Function);
    let draft = draft.with(int("transA", i64::from(left))).with(int("transB", i64::from(right)));
    let (alpha, beta) = (draw.pick(&[1.0f32, 0.5, 2.0]), draw.pick(&[1.0f32, 0.5, 0.0]));
    Some(if draw.random.coin() { draft.with(float("alpha", alpha)).with(float("beta", beta)) } else { draft })
}

fn einsum(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let (equation, a, b): (&str, &[usize], Option<&[usize]>) = match draw.random.below(9) {
        0 => ("ij,jk->ik", &[0, 1], Some(&[1, 2])),
        1 => ("bij,bkj->bik", &[3, 0, 1], Some(&[3, 2, 1])),
        2 => ("ij->ji", &[0, 1], None),
        3 => ("ij->", &[0, 1], None),
        4 => ("ii->i", &[0, 0], None),
        5 => ("i,j->ij", &[0], Some(&[1])),
        6 => ("bhid,bhjd->bhij", &[3, 2, 0, 1], Some(&[3, 2, 2, 1])),
        7 => ("...ij,...jk->...ik", &[3, 0, 1], Some(&[1, 2])),
        _ => ("ij,ij->i", &[0, 1], Some(&[0, 1])),
    };
    let letters: Vec<_> = (0..4).map(|_| draw.extent()).collect();
    let dtype = draw.float_type();
    let of = |at: &[usize]| at.iter().map(|it| letters[*it].clone()).collect::<Vec<_>>();
    let a = draw.of(dtype, &of(a), Fill::Small);
    let mut names = vec![draw.name(a).to_owned()];
    if let Some(b) = b {
        let b = draw.of(dtype, &of(b), Fill::Small);
        names.push(draw.name(b).to_owned());
    }
    let draft = Draft::new(op, &names.iter().map(String::as_str).collect::<Vec<_>>(), Rounding::Arithmetic);
    Some(draft.with(text("equation", equation)))
}

fn determinant(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    let n = draw.pick(&[1, 2, 3]);
    let mut dims = draw.dims(1);
    dims.extend([draw.fixed(n), draw.fixed(n)]);
    let dtype = draw.float_type();
    let x = draw.fresh(dtype, &dims, Fill::Small);
    let y = beside(draw, x);
    let x = if draw.dims_of(y) == dims { y } else { x };
    Some(Draft::new(op, &[draw.name(x)], Rounding::Function))
}
