//! Operators that move or rename elements.

use super::tensor::{
    broadcast, broadcast_positions, combined_positions, count, dims_of, from_bytes, pick, positions,
    size_from, strides,
};
use super::{FamilyResult, OpCx};
use crate::error::{EvalError, EvalResult};
use orogen_ir::types::TensorData;

pub(super) fn eval(cx: &OpCx<'_>) -> FamilyResult {
    let result = match cx.name {
        "reshape" => reshape(cx),
        "expand" => expand(cx),
        "transpose" => transpose(cx),
        "concat" => concat(cx),
        "slice" => slice(cx),
        "pad" => pad(cx),
        "shape_of" => shape_of(cx),
        "size" => {
            cx.arg(0).map(|x| TensorData::from_slice(orogen_ir::types::DType::I64, &[], &[x.len() as i64]))
        }
        "squeeze" => squeeze(cx),
        "unsqueeze" => unsqueeze(cx),
        "tile" => tile(cx),
        _ => return None,
    };
    Some(result.map(|it| vec![it]))
}

fn renamed(x: &TensorData, dims: &[usize]) -> EvalResult<TensorData> {
    if count(dims)? != x.len() {
        return Err(EvalError::invalid(format!("{} elements do not fill {dims:?}", x.len())));
    }
    let dims = dims.iter().map(|it| *it as u64).collect();
    x.reshaped(dims).map_err(|it| EvalError::invalid(it.to_string()))
}

fn reshape(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let x = cx.arg(0)?;
    let from = dims_of(x);
    let mut dims = Vec::new();
    let mut open = None;
    for (i, wanted) in cx.list(1)?.into_iter().enumerate() {
        match wanted {
            -1 if open.is_none() => {
                open = Some(i);
                dims.push(1);
            }
            0 if !cx.flag("allow_zero") => match from.get(i) {
                Some(dim) => dims.push(*dim),
                None => {
                    return Err(EvalError::invalid(format!("0 copies dimension {i}, which does not exist")));
                }
            },
            wanted => dims.push(size_from(wanted)?),
        }
    }
    if let Some(open) = open {
        // A dimension that stays where it is says nothing about the open one, also where it is 0.
        let stays = |i: usize| i != open && i < from.len() && dims.get(i) == from.get(i);
        let rest =
            |dims: &[usize]| (0..dims.len()).filter(|i| !stays(*i)).map(|i| dims[i]).collect::<Vec<_>>();
        let (total, given) = (count(&rest(&from))?, count(&rest(&dims))?);
        if given == 0 {
            return Err(EvalError::invalid("-1 is ambiguous beside a dimension 0"));
        }
        if total % given != 0 {
            return Err(EvalError::invalid(format!("{total} elements are no multiple of {given}")));
        }
        dims[open] = total / given;
    }
    renamed(x, &dims)
}

fn expand(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let x = cx.arg(0)?;
    let wanted = cx.list(1)?;
    let wanted: Vec<usize> = wanted.iter().map(|it| size_from(*it)).collect::<EvalResult<_>>()?;
    let from = dims_of(x);
    let dims = broadcast(&[&from, &wanted])?;
    count(&dims)?;
    pick(x, &dims, broadcast_positions(&from, &dims).into_iter().map(Some), &[])
}

fn transpose(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let x = cx.arg(0)?;
    let from = dims_of(x);
    let perm = cx.axes("perm", from.len())?;
    if perm.len() != from.len() {
        return Err(EvalError::invalid("the permutation has another rank"));
    }
    let own = strides(&from);
    let dims: Vec<usize> = perm.iter().map(|it| from[*it]).collect();
    let steps: Vec<usize> = perm.iter().map(|it| own[*it]).collect();
    pick(x, &dims, positions(&dims, &steps).into_iter().map(Some), &[])
}

fn concat(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let dtype = cx.same_dtype(0..cx.args.len())?;
    let mut dims = dims_of(cx.arg(0)?);
    let axis = cx.axis("axis", dims.len())?;
    dims[axis] = 0;
    for i in 0..cx.args.len() {
        let other = cx.ranked(i, dims.len())?;
        if (0..dims.len()).any(|j| j != axis && dims[j] != other[j]) {
            return Err(EvalError::invalid(format!("operand {i} is {other:?} beside {dims:?}")));
        }
        dims[axis] += other[axis];
    }
    let outer: usize = dims[..axis].iter().product();
    let parts: Vec<_> = cx.args.iter().map(TensorData::unpacked).collect();
    let mut bytes = Vec::with_capacity(count(&dims)? * dtype.size());
    for block in 0..outer {
        for part in &parts {
            let len = part.len() / outer;
            bytes.extend_from_slice(&part[block * len..(block + 1) * len]);
        }
    }
    from_bytes(dtype, &dims, bytes)
}

/// Positions along one axis of `n` elements, as ONNX's Slice defines them.
fn slice_positions(n: usize, start: i64, end: i64, step: i64) -> EvalResult<Vec<usize>> {
    let n = i128::from(n as u64);
    let from_start = |bound: i64| if bound < 0 { i128::from(bound) + n } else { i128::from(bound) };
    let (start, end) = (from_start(start), from_start(end));
    let step = i128::from(step);
    let (start, end) = match step {
        0 => return Err(EvalError::invalid("a step is 0")),
        1.. => (start.clamp(0, n), end.clamp(0, n)),
        _ => (start.clamp(0, (n - 1).max(0)).min(n - 1), end.clamp(-1, n - 1)),
    };
    let mut list = Vec::new();
    let mut at = start;
    while if step > 0 { at < end } else { at > end } {
        list.push(at as usize);
        at += step;
    }
    Ok(list)
}

fn slice(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let x = cx.arg(0)?;
    let from = dims_of(x);
    let axes = cx.axes("axes", from.len())?;
    let (starts, ends, steps) = (cx.list(1)?, cx.list(2)?, cx.list(3)?);
    if [starts.len(), ends.len(), steps.len()] != [axes.len(); 3] {
        return Err(EvalError::invalid("starts, ends and steps have one entry an axis"));
    }
    let mut lists: Vec<Vec<usize>> = from.iter().map(|n| (0..*n).collect()).collect();
    for (i, axis) in axes.iter().enumerate() {
        lists[*axis] = slice_positions(from[*axis], starts[i], ends[i], steps[i])?;
    }
    pick_axes(x, &from, lists.into_iter().map(|it| it.into_iter().map(Some).collect()).collect(), &[])
}

/// Elements at the given positions of each axis; `None` is `fill`.
fn pick_axes(
    x: &TensorData,
    from: &[usize],
    lists: Vec<Vec<Option<usize>>>,
    fill: &[u8],
) -> EvalResult<TensorData> {
    let dims: Vec<usize> = lists.iter().map(Vec::len).collect();
    count(&dims)?;
    let own = strides(from);
    let scaled = lists.into_iter().zip(own);
    let scaled: Vec<Vec<Option<usize>>> =
        scaled.map(|(list, step)| list.into_iter().map(|it| it.map(|it| it * step)).collect()).collect();
    pick(x, &dims, combined_positions(&scaled), fill)
}

fn pad(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let x = cx.arg(0)?;
    let from = dims_of(x);
    let pads = cx.list(1)?;
    if pads.len() != 2 * from.len() {
        return Err(EvalError::invalid("pads have two entries an axis"));
    }
    let fill = match cx.args.get(2) {
        Some(_) => {
            cx.same_dtype([0, 2])?;
            cx.single(2)?.unpacked().to_vec()
        }
        None => vec![0; x.dtype().size()],
    };
    let mode = cx.text("mode", "constant");
    let mut lists = Vec::new();
    for (i, n) in from.iter().enumerate() {
        let (n, begin) = (*n as i64, pads[i]);
        let size = n.checked_add(begin).and_then(|it| it.checked_add(pads[from.len() + i]));
        let size = size_from(size.ok_or_else(EvalError::too_large)?)?;
        let mut list = Vec::new();
        for o in 0..count(&[size])? as i64 {
            let at = o - begin;
            let inside = (0..n).contains(&at);
            list.push(match mode {
                _ if inside => Some(at as usize),
                "constant" => None,
                "edge" | "reflect" if n == 0 => return Err(EvalError::out_of_range("there is no edge")),
                "edge" => Some(at.clamp(0, n - 1) as usize),
                "reflect" => {
                    // A reflection repeats with period 2(n − 1).
                    let period = (2 * (n - 1)).max(1);
                    let folded = at.rem_euclid(period);
                    Some(folded.min(period - folded).min(n - 1) as usize)
                }
                other => return Err(EvalError::invalid(format!("unknown mode `{other}`"))),
            });
        }
        lists.push(list);
    }
    pick_axes(x, &from, lists, &fill)
}

fn shape_of(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let dims: Vec<i64> = cx.arg(0)?.dims().iter().map(|it| *it as i64).collect();
    let bound = |name: &str, default: usize| match cx.attrs.int(name) {
        None => Ok(default),
        Some(it) => usize::try_from(it)
            .ok()
            .filter(|it| *it <= dims.len())
            .ok_or_else(|| EvalError::invalid(format!("attribute `{name}` is {it}"))),
    };
    let (start, end) = (bound("start", 0)?, bound("end", dims.len())?);
    Ok(TensorData::ints(&dims[start..end.max(start)]))
}

fn squeeze(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let x = cx.arg(0)?;
    let from = dims_of(x);
    let axes = cx.axes("axes", from.len())?;
    if axes.iter().any(|it| from[*it] != 1) {
        return Err(EvalError::invalid("a squeezed dimension is not 1"));
    }
    let dims: Vec<usize> = (0..from.len()).filter(|i| !axes.contains(i)).map(|i| from[i]).collect();
    renamed(x, &dims)
}

fn unsqueeze(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let x = cx.arg(0)?;
    let mut dims = dims_of(x);
    let mut axes = cx.axes("axes", dims.len() + cx.attrs.ints("axes").unwrap_or_default().len())?;
    axes.sort_unstable();
    for axis in axes {
        dims.insert(axis, 1);
    }
    renamed(x, &dims)
}

fn tile(cx: &OpCx<'_>) -> EvalResult<TensorData> {
    let x = cx.arg(0)?;
    let from = dims_of(x);
    let repeats = cx.list(1)?;
    if repeats.len() != from.len() {
        return Err(EvalError::invalid("repeats have one entry an axis"));
    }
    let mut lists = Vec::new();
    for (n, repeat) in from.iter().zip(repeats) {
        let total = count(&[*n, size_from(repeat)?])?;
        lists.push((0..total).map(|i| Some(i % n)).collect());
    }
    pick_axes(x, &from, lists, &[])
}

#[cfg(test)]
mod tests {
    use super::super::testing::{eval, f32s, i64s, iota, none, run};
    use orogen_ir::types::TensorData;

    fn ints(values: &[i64]) -> TensorData {
        TensorData::ints(values)
    }

    #[test]
    fn reshapes() {
        let x = iota(&[2, 3, 4]);
        assert_eq!(run("reshape", none(), &[x.clone(), ints(&[0, -1])]).0, [2, 12]);
        assert_eq!(run("reshape", none(), &[x.clone(), ints(&[24])]).0, [24]);
        assert!(eval("reshape", none(), &[x.clone(), ints(&[5, -1])]).is_err());
        assert!(eval("reshape", none(), &[x.clone(), ints(&[-1, -1])]).is_err());
        assert!(eval("reshape", none(), &[x.clone(), ints(&[24, 1, 1, 0])]).is_err());
        let empty = f32s(&[0, 2], &[]);
        assert_eq!(run("reshape", none().with("allow_zero", true), &[empty, ints(&[3, 0])]).0, [3, 0]);
        assert_eq!(run("squeeze", none().with("axes", vec![1]), &[iota(&[2, 1])]).0, [2]);
        assert!(eval("squeeze", none().with("axes", vec![0]), &[iota(&[2, 1])]).is_err());
        assert_eq!(run("unsqueeze", none().with("axes", vec![3, 0]), &[iota(&[2, 5])]).0, [1, 2, 5, 1]);
        assert_eq!(run("shape_of", none().with("start", 1), std::slice::from_ref(&x)).1, [3.0, 4.0]);
        assert_eq!(run("size", none(), &[x]), (vec![], vec![24.0]));
    }

    #[test]
    fn moves() {
        let x = iota(&[2, 3]);
        let perm = none().with("perm", vec![1, 0]);
        assert_eq!(
            run("transpose", perm, std::slice::from_ref(&x)),
            (vec![3, 2], vec![0., 3., 1., 4., 2., 5.])
        );
        let wide = run("expand", none(), &[iota(&[2, 1]), ints(&[2, 1, 2])]);
        assert_eq!(wide, (vec![2, 2, 2], vec![0., 0., 1., 1., 0., 0., 1., 1.]));
        let joined = run("concat", none().with("axis", 1), &[x.clone(), f32s(&[2, 0], &[]), iota(&[2, 1])]);
        assert_eq!(joined, (vec![2, 4], vec![0., 1., 2., 0., 3., 4., 5., 1.]));
        assert_eq!(run("tile", none(), &[iota(&[2]), ints(&[2])]).1, [0., 1., 0., 1.]);
        assert_eq!(run("tile", none(), &[x, ints(&[0, 2])]).0, [0, 6]);
    }

    #[test]
    fn slices() {
        let cut = |start: i64, end: i64, step: i64| {
            let attrs = none().with("axes", vec![0]);
            run("slice", attrs, &[iota(&[5]), ints(&[start]), ints(&[end]), ints(&[step])]).1
        };
        assert_eq!(cut(1, 4, 2), [1.0, 3.0]);
        assert_eq!(cut(-2, i64::MAX, 1), [3.0, 4.0]);
        assert_eq!(cut(-1, i64::MIN, -2), [4.0, 2.0, 0.0]);
        assert_eq!(cut(9, 0, -1), [4.0, 3.0, 2.0, 1.0]);
        assert_eq!(cut(-9, 2, 1), [0.0, 1.0]);
        assert!(cut(3, 3, 1).is_empty());
        assert!(cut(-9, -8, -1).is_empty() || cut(-9, -8, -1) == [0.0]);
        let none_left = none().with("axes", vec![0]);
        let empty = [f32s(&[0], &[]), ints(&[-1]), ints(&[i64::MIN]), ints(&[-1])];
        assert_eq!(run("slice", none_left.clone(), &empty).0, [0]);
        assert!(eval("slice", none_left, &[iota(&[5]), ints(&[0]), ints(&[1]), ints(&[0])]).is_err());
    }

    #[test]
    fn pads() {
        let x = f32s(&[3], &[1.0, 2.0, 3.0]);
        let pad =
            |mode: &str, pads: &[i64]| run("pad", none().with("mode", mode), &[x.clone(), ints(pads)]).1;
        assert_eq!(pad("constant", &[1, 2]), [0.0, 1.0, 2.0, 3.0, 0.0, 0.0]);
        assert_eq!(pad("edge", &[2, 1]), [1.0, 1.0, 1.0, 2.0, 3.0, 3.0]);
        assert_eq!(pad("reflect", &[2, 2]), [3.0, 2.0, 1.0, 2.0, 3.0, 2.0, 1.0]);
        assert_eq!(pad("constant", &[-1, 1]), [2.0, 3.0, 0.0]);
        let filled = run("pad", none(), &[x.clone(), ints(&[0, 1]), f32s(&[], &[9.0])]).1;
        assert_eq!(filled, [1.0, 2.0, 3.0, 9.0]);
        assert!(eval("pad", none(), &[x.clone(), ints(&[-2, -2])]).is_err());
        assert!(eval("pad", none(), &[x, i64s(&[1], &[1])]).is_err());
    }
}
