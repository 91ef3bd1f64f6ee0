//! Control flow: bodies are drawn like models, and may name what is around them.

use super::{Table, step};
use crate::attributes::{graph, int, ints};
use crate::draw::{Draft, Draw, Fill, Id};
use crate::value::{Kind, Rounding, Sample, Val};
use orogen_ir::types::{DType, TensorData};
use orogen_onnx::proto::GraphProto;
use orogen_reference::Value;

pub(super) const RECIPES: Table = &[("If", branch), ("Loop", looped), ("Scan", scan)];

/// The deepest body.
const DEPTH: usize = 2;

/// Draws some nodes in a body.
fn some_nodes(draw: &mut Draw<'_>) {
    for _ in 0..1 + draw.random.below(3) {
        let _ = step(draw);
    }
}

/// A copy of a value, made where the next node stands.
fn copied(draw: &mut Draw<'_>, id: Id) -> Option<Id> {
    let draft = Draft::new("Identity", &[draw.name(id)], Rounding::Exact);
    draw.add(draft).map(|it| it[0])
}

/// A value that a body has made, of the type and the dimensions of another where one is given; else a copy of something like it.
fn made(draw: &mut Draw<'_>, first: usize, like: Option<Id>) -> Option<Id> {
    let like = like.map(|it| (draw.dtype_of(it), draw.dims_of(it)));
    let fits = |it: &Val| {
        it.name.starts_with('v')
            && it.dtype().is_some()
            && it.dims().is_some()
            && like
                .as_ref()
                .is_none_or(|like| (it.dtype(), it.dims()) == (Some(like.0), Some(like.1.clone())))
    };
    let ids: Vec<Id> = draw.candidates(fits).into_iter().filter(|it| *it >= first).collect();
    if let Some(found) = draw.recent(&ids) {
        return Some(found);
    }
    let (dtype, dims) = like?;
    let other = draw.of(dtype, &dims, Fill::Small);
    copied(draw, other)
}

fn scalar(draw: &mut Draw<'_>, value: bool) -> String {
    let data = TensorData::from_f64(DType::Bool, &[], [f64::from(u8::from(value))]);
    let id = if draw.random.coin() { draw.constant(data) } else { draw.input(data) };
    draw.name(id).to_owned()
}

fn branch(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    if draw.depth() >= DEPTH {
        return None;
    }
    let found = draw.found(|it, dtype| dtype == DType::Bool && it.data().is_some_and(|it| it.len() == 1));
    let condition = match found {
        Some(id) => draw.name(id).to_owned(),
        None => {
            let value = draw.random.coin();
            scalar(draw, value)
        }
    };
    let mut like = None;
    let mut bodies = Vec::new();
    for _ in 0..2 {
        let first = draw.values.len();
        let body = draw.body(Vec::new(), |draw, _| {
            some_nodes(draw);
            let id = made(draw, first, like)?;
            like.get_or_insert(id);
            Some(vec![id])
        })?;
        bodies.push(body);
    }
    let otherwise = bodies.pop()?;
    let then = bodies.pop()?;
    let draft = Draft::new(op, &[&condition], Rounding::Function);
    Some(draft.with(graph("then_branch", then)).with(graph("else_branch", otherwise)))
}

/// A value in each setting.
fn same(draw: &Draw<'_>, data: &TensorData) -> Vec<Sample> {
    let value = Value::Tensor(data.clone());
    vec![Sample { plain: value.clone(), shaken: value }; draw.settings()]
}

/// A body of a loop that carries a value and collects another.
fn looped(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    if draw.depth() >= DEPTH {
        return None;
    }
    let carried = draw.numbers(0..=3);
    let (dtype, samples) = (draw.dtype_of(carried), draw.values[carried].samples.clone());
    let turn = same(draw, &TensorData::from_slice(DType::I64, &[], &[0i64]));
    let go_on = same(draw, &TensorData::from_f64(DType::Bool, &[], [1.0]));
    let parameters = vec![
        draw.parameter(0, Kind::Tensor(DType::I64), turn),
        draw.parameter(1, Kind::Tensor(DType::Bool), go_on),
        draw.parameter(2, Kind::Tensor(dtype), samples),
    ];
    let (collects, grows) = (draw.random.coin(), draw.once_in(3));
    let first = draw.values.len();
    let mut body: GraphProto = draw.body(parameters, |draw, ids| {
        some_nodes(draw);
        let go_on = copied(draw, ids[1])?;
        let next = match grows && draw.values[ids[2]].rank() > 0 {
            true => {
                // State that is longer after every turn.
                let mut dims = draw.dims_of(ids[2]);
                dims[0] = draw.fixed(1);
                let row = draw.of(dtype, &dims, Fill::Small);
                let names = [draw.name(ids[2]), draw.name(row)];
                let draft = Draft::new("Concat", &names, Rounding::Exact).with(int("axis", 0));
                draw.add(draft)?[0]
            }
            false => made(draw, first + 3, Some(ids[2]))?,
        };
        let mut results = vec![go_on, next];
        if collects {
            let one = made(draw, first + 3, None).unwrap_or(next);
            results.push(if results.contains(&one) { copied(draw, one)? } else { one });
        }
        Some(results)
    })?;
    if grows {
        // What grows has another size in every turn, so its type says its rank alone.
        let shape = body.input[2].r#type.as_mut()?.tensor_type.as_mut()?.shape.as_mut()?;
        if let Some(dim) = shape.dim.first_mut() {
            *dim = orogen_onnx::proto::DimensionProto::default();
        }
    }
    let results = body.output.len() - 1;
    let turns = draw.pick(&[0, 1, 2, 3, 4]);
    let limit = match draw.random.coin() {
        true => draw.int(turns),
        false => {
            let id = draw.input(TensorData::from_slice(DType::I64, &[], &[turns]));
            draw.name(id).to_owned()
        }
    };
    let start = match draw.random.coin() {
        true => String::new(),
        false => scalar(draw, true),
    };
    let draft = Draft::new(op, &[&limit, &start, draw.name(carried)], Rounding::Function);
    Some(draft.giving(results).with(graph("body", body)))
}

/// A scan over the first axis of a value, with a state.
fn scan(draw: &mut Draw<'_>, op: &str) -> Option<Draft> {
    if draw.depth() >= DEPTH || draw.opset < 9 {
        return None;
    }
    let over = draw.numbers(1..=4);
    let (dtype, dims) = (draw.dtype_of(over), draw.dims_of(over));
    if dims[0].contains(&0) {
        return None;
    }
    let state = draw.numbers(0..=3);
    let state_type = draw.dtype_of(state);
    let state_samples = draw.values[state].samples.clone();
    let rows: Vec<Sample> = draw.values[over].samples.iter().map(first_row).collect::<Option<_>>()?;
    let parameters = vec![
        draw.parameter(0, Kind::Tensor(state_type), state_samples),
        draw.parameter(1, Kind::Tensor(dtype), rows),
    ];
    let first = draw.values.len();
    let body = draw.body(parameters, |draw, ids| {
        some_nodes(draw);
        let next = made(draw, first + 2, Some(ids[0]))?;
        let row = match made(draw, first + 2, None) {
            Some(it) if it != next => it,
            _ => copied(draw, ids[1])?,
        };
        Some(vec![next, row])
    })?;
    let reverse = draw.once_in(3);
    let draft = Draft::new(op, &[draw.name(state), draw.name(over)], Rounding::Function);
    let draft = draft.giving(2).with(int("num_scan_inputs", 1)).with(graph("body", body));
    Some(if reverse { draft.with(ints("scan_input_directions", &[1])) } else { draft })
}

/// The first row of a tensor.
fn first_row(sample: &Sample) -> Option<Sample> {
    let row = |value: &Value| -> Option<Value> {
        let data = value.as_tensor()?;
        let (first, dims) = data.dims().split_first()?;
        let count = dims.iter().product::<u64>() as usize;
        if *first == 0 || data.dtype() == DType::Str {
            return None;
        }
        let elements: Vec<f64> = (0..count).map(|i| data.get_f64(i)).collect();
        Some(Value::Tensor(TensorData::from_f64(data.dtype(), dims, elements)))
    };
    Some(Sample { plain: row(&sample.plain)?, shaken: row(&sample.shaken)? })
}
