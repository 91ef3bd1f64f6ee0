//! Sequences, maps and optionals: every function of a module on every executor of the dataflow path, against the interpreter of
//! the module as it was read. What is an error is one everywhere.

mod executors;

use executors::{Executors, passed, received};
use orogen_ir::types::{DType, TensorData};
use orogen_reference::{EvalErrorKind, Value};

fn floats(list: &[f64]) -> Value {
    Value::Tensor(TensorData::from_f64(DType::F32, &[list.len() as u64], list.iter().copied()))
}

fn int(it: i64) -> Value {
    Value::Tensor(TensorData::from_slice(DType::I64, &[], &[it]))
}

fn truth(it: bool) -> Value {
    Value::Tensor(TensorData::from_f64(DType::Bool, &[], [f64::from(u8::from(it))]))
}

fn list(items: &[&[f64]]) -> Value {
    Value::Sequence(items.iter().map(|it| floats(it)).collect())
}

#[test]
fn sequences_and_optionals_agree_on_every_executor() {
    let all = Executors::of("sequences.flow", Vec::new());
    let x = floats(&[1.0, 2.0, 3.0, 4.0]);
    for turns in [0, 1, 3] {
        let found = all.agree("append", &[int(turns), x.clone()]).expect("no error");
        let expected = [&[1.0][..], &[2.0, 4.0], &[3.0, 6.0, 9.0]];
        assert_eq!(found, [list(&expected[..turns as usize]), int(turns)]);
    }
    let (empty, two) = (list(&[]), list(&[&[5.0], &[6.0, 7.0]]));
    let out_of_range = Err(EvalErrorKind::OutOfRange);
    for (s, i, d) in [(&empty, 0, 0), (&empty, 0, -1), (&two, 2, -3), (&two, -2, 1), (&two, -1, 0)] {
        let found = all.agree("edit", &[s.clone(), x.clone(), int(i), int(d)]);
        assert!(found.is_ok(), "{i} {d}: {found:?}");
    }
    for (s, i, d) in
        [(&empty, 1, 0), (&empty, -1, 0), (&empty, 0, 1), (&two, 3, 0), (&two, -3, 0), (&two, 0, 3)]
    {
        assert_eq!(all.agree("edit", &[s.clone(), x.clone(), int(i), int(d)]), out_of_range, "{i} {d}");
    }
    for s in [&empty, &two] {
        for c in [true, false] {
            all.agree("choose", &[s.clone(), truth(c), x.clone()]).expect("no error");
        }
    }
    for turns in [0, 1, 2, 5] {
        all.agree("swap", &[int(turns), two.clone(), empty.clone(), x.clone()]).expect("no error");
    }
    for turns in [0, 2, 3, 10] {
        all.agree("grow_and_shrink", &[int(turns), x.clone()]).expect("no error");
    }
    let mixed = Value::Sequence(vec![
        floats(&[5.0, 6.0]),
        Value::Tensor(TensorData::from_f64(DType::F32, &[], [7.0])),
    ]);
    for (at, rank) in [(0, 1), (1, 0), (-1, 0)] {
        let found = all.agree("ranks", &[mixed.clone(), int(at), x.clone()]);
        assert_eq!(found, Ok(vec![int(rank), int(1)]));
    }
    assert_eq!(all.agree("ranks", &[mixed.clone(), int(2), x.clone()]), out_of_range);
    assert!(all.agree("ranks", &[mixed.clone(), int(0), Value::None]).is_err());
    assert_eq!(all.agree("vector", &[mixed.clone(), int(0)]), Ok(vec![floats(&[10.0, 12.0])]));
    assert!(all.agree("vector", &[mixed, int(1)]).is_err());
    let held = floats(&[8.0]);
    let found = all.agree("or_else", &[held.clone(), x.clone()]).expect("no error");
    assert_eq!(found, [floats(&[16.0]), truth(true), Value::None]);
    assert_eq!(
        all.agree("or_else", &[Value::None, x.clone()]).expect("no error"),
        [x.clone(), truth(false), x.clone()]
    );
    assert_eq!(all.agree("held", &[two.clone(), int(-1)]).expect("no error"), [floats(&[6.0, 7.0])]);
    assert!(all.agree("held", &[Value::None, int(0)]).is_err());
    assert_eq!(all.agree("held", &[empty.clone(), int(0)]), out_of_range);
    let found = all.agree("calls", &[two.clone(), x.clone()]).expect("no error");
    assert_eq!(found[2], x);
    assert_eq!(found[1], list(&[&[5.0], &[6.0, 7.0], &[1.0, 2.0, 3.0, 4.0]]));
}

fn ints(list: &[i64]) -> Value {
    Value::Tensor(TensorData::from_slice(DType::I64, &[list.len() as u64], list))
}

fn words(list: &[&str]) -> Value {
    Value::Tensor(TensorData::strings(&[list.len() as u64], list).expect("words"))
}

fn map(keys: Value, values: Value) -> Value {
    Value::Sequence(vec![keys, values])
}

#[test]
fn maps_agree_on_every_executor() {
    let all = Executors::of("maps.flow", Vec::new());
    let keys = words(&["a", "", "long enough to be on the heap"]);
    for rows in [0_u32, 1, 4] {
        let numbers: Vec<f64> = (0..rows * 3).map(f64::from).collect();
        let x = Value::Tensor(TensorData::from_f64(DType::F32, &[rows.into(), 3], numbers.iter().copied()));
        let maps = numbers.chunks(3).map(|it| map(keys.clone(), floats(it))).collect();
        assert_eq!(all.agree("rows", &[x]).expect("no error"), [Value::Sequence(maps)]);
    }
    for (numbers, texts) in [(&[3, -1][..], &["three", ""][..]), (&[], &[])] {
        let m = map(ints(numbers), words(texts));
        let twice: Vec<i64> = numbers.iter().map(|it| it * 2).collect();
        assert_eq!(
            all.agree("halves", std::slice::from_ref(&m)).expect("no error"),
            [ints(&twice), words(texts), m]
        );
    }
    let (one, two) = (map(ints(&[1, 2]), ints(&[3, 4])), map(ints(&[]), ints(&[])));
    let s = Value::Sequence(vec![one.clone(), two.clone()]);
    let swapped = map(ints(&[3, 4]), ints(&[1, 2]));
    let whole = Value::Sequence(vec![one, two.clone(), swapped.clone()]);
    let found = all.agree("picked", &[s.clone(), int(0)]).expect("no error");
    assert_eq!(found, [swapped, ints(&[3, 4]), whole]);
    assert_eq!(all.agree("picked", &[s.clone(), int(-1)]).expect("no error")[0], two);
    assert_eq!(all.agree("picked", &[s, int(2)]), Err(EvalErrorKind::OutOfRange));
    // More values than keys: a map cannot be made of them the other way round.
    let uneven = Value::Sequence(vec![map(ints(&[1]), ints(&[3, 4]))]);
    assert!(all.agree("picked", &[uneven, int(0)]).is_err());
    for made in [true, false] {
        let m = map(ints(&[7]), floats(&[0.5]));
        let found = all.agree("chosen", &[m, truth(made), floats(&[1.0, 2.0]), ints(&[5, 6])]);
        let sum = TensorData::from_f64(DType::F32, &[], [if made { 3.0 } else { 0.5 }]);
        assert_eq!(found.expect("no error"), [Value::Tensor(sum)]);
    }
}

/// A map is an array of two vectors of its types; what else a caller passes for one is told from it.
#[test]
fn what_is_no_map_is_an_error() {
    let all = Executors::of("maps.flow", Vec::new());
    let function = all.library.function("halves").expect("a function");
    let (keys, values) = (ints(&[1]), words(&["a"]));
    let none = [
        (keys.clone(), "is not the array of keys and values that is a map, but a tensor"),
        (Value::Sequence(vec![]), "out of range"),
        (Value::Sequence(vec![keys.clone()]), "out of range"),
        (map(values.clone(), keys.clone()), "element type: expected i64, got string"),
        (map(keys.clone(), int(1)), "element type: expected string, got i64"),
        (map(keys.clone(), Value::Sequence(vec![])), "is not a tensor"),
    ];
    for (value, expected) in none {
        let found = function.call(&[passed(&value)]).expect_err("no map").to_string();
        assert!(found.contains(expected), "{found}");
    }
    assert!(function.call(&[passed(&map(keys, values))]).is_ok());
}

/// What a caller passes is the caller's: it is not changed, whatever the code does in place.
#[test]
fn what_is_passed_stays_as_it_is() {
    let all = Executors::of("sequences.flow", Vec::new());
    let function = all.library.function("swap").expect("a function");
    let x = floats(&[1.0]);
    let args = [int(4), list(&[&[5.0]]), list(&[]), x].map(|it| passed(&it));
    let before: Vec<Value> = args.iter().cloned().map(received).collect();
    for _ in 0..2 {
        function.call(&args).unwrap_or_else(|it| panic!("{it}"));
        let after: Vec<Value> = args.iter().cloned().map(received).collect();
        assert_eq!(before, after);
    }
}
