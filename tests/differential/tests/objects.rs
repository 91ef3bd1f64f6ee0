//! Sequences and optionals: every function of a module on every executor of the dataflow path, against the interpreter of
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
