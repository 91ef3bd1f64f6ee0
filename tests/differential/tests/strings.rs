//! Strings in objects, results of functions, state and defaults, and in functions of the host: on every executor.

mod executors;

use executors::Executors;
use orogen::State;
use orogen_ir::types::{DType, TensorData};
use orogen_reference::{EvalErrorKind, Value};
use orogen_runtime::{HostFunction, RunOptions, RuntimeError, Tensor, Value as Passed, register_extern};

fn words(list: &[&str]) -> Value {
    Value::Tensor(TensorData::strings(&[list.len() as u64], list).expect("words"))
}

fn int(it: i64) -> Value {
    Value::Tensor(TensorData::from_slice(DType::I64, &[], &[it]))
}

fn list(items: &[&[&str]]) -> Value {
    Value::Sequence(items.iter().map(|it| words(it)).collect())
}

#[test]
fn sequences_optionals_and_results_of_functions_hold_strings() {
    let all = Executors::of("strings.flow", Vec::new());
    let x = words(&["p", "", "rst", "ü\0"]);
    for turns in [0, 1, 3] {
        let found = all.agree("append", &[int(turns), x.clone()]).expect("no error");
        let expected = [&["constant", "p"][..], &["constant", "p", ""], &["constant", "p", "", "rst"]];
        assert_eq!(found, [list(&expected[..turns as usize]), int(turns)]);
    }
    let three = list(&[&["a", "b"], &["c"], &["d", "e"]]);
    for turns in 0..3 {
        let found = all.agree("pop", &[int(turns), three.clone()]).expect("no error");
        let word = ["none", "d", "c", "a"][turns as usize];
        assert_eq!(found[0], Value::Tensor(TensorData::strings(&[], [word]).expect("a word")));
    }
    assert_eq!(all.agree("pop", &[int(4), three.clone()]), Err(EvalErrorKind::OutOfRange));
    for (i, d) in [(0, 0), (-1, 2), (3, 0)] {
        all.agree("edit", &[three.clone(), x.clone(), int(i), int(d)]).expect("no error");
    }
    assert_eq!(all.agree("edit", &[three, x.clone(), int(4), int(0)]), Err(EvalErrorKind::OutOfRange));
    let found = all.agree("or_else", &[words(&["held"]), x.clone()]).expect("no error");
    assert_eq!((&found[0], &found[2]), (&words(&["held", "p", "", "rst", "ü\0"]), &Value::None));
    let found = all.agree("or_else", &[Value::None, x.clone()]).expect("no error");
    assert_eq!((&found[0], &found[2]), (&x, &x));
    let square = TensorData::strings(&[2, 2], ["a", "", "β", "long enough to be on the heap"]).expect("four");
    all.agree("calls", &[Value::Tensor(square)]).expect("no error");
}

fn texts(list: &[&str]) -> Tensor {
    Tensor::from_strings(&[list.len() as i64], list).expect("strings")
}

fn number(dims: &[i64], it: i64) -> Tensor {
    Tensor::from_slice(dims, &[it]).expect("a number")
}

#[test]
fn state_of_strings_is_renewed_where_it_lies_and_stays_after_an_error() {
    let state = State { input: "log".into(), output: "new".into() };
    let all = Executors::of("log.flow", vec![state]);
    let mut log = texts(&["old", "", "older"]);
    let write = |log: Tensor, line: &str, at: i64, i: i64| {
        let mut inputs = [log, texts(&[line]), number(&[1], at), number(&[], i)];
        let found = all.library.run_in_place(&mut inputs).map(|it| it[0].strings().expect("a string"));
        let [log, ..] = inputs;
        (log, found)
    };
    for (line, at, i, was) in [("first", 0, 0, "old"), ("second", 2, 2, "older"), ("third", 0, 0, "first")] {
        let found;
        (log, found) = write(log, line, at, i);
        assert_eq!(found.expect("no error"), [was]);
    }
    assert_eq!(log.strings().expect("strings"), ["third", "", "second"]);
    let (log, found) = write(log, "lost", 1, 7);
    assert!(found.is_err_and(|it| it.to_string().contains("out of range")));
    assert_eq!(log.strings().expect("strings"), ["third", "", "second"]);
    // Of zeros it is empty strings.
    let empty = Tensor::zeros(log.dtype(), &[2]).expect("a tensor");
    let (empty, found) = write(empty, "word", 1, 0);
    assert_eq!(
        (found.expect("no error"), empty.strings().expect("strings")),
        (vec![String::new()], vec!["".into(), "word".into()])
    );
    let shared = empty.clone();
    let (_, found) = write(empty, "word", 1, 0);
    assert!(found.is_err_and(|it| it.to_string().contains("shared or read-only")));
    drop(shared);
}

#[test]
fn functions_of_the_host_read_and_write_strings() {
    let upper = HostFunction::in_place(|call| {
        let texts: Vec<String> = call.inputs[0].strings()?.iter().map(|it| it.to_uppercase()).collect();
        if texts.iter().any(|it| it == "FAIL") {
            call.outputs[0].set_strings(&texts)?;
            return Err(RuntimeError::Kind {
                what: "a word".into(),
                expected: "another one",
                got: "FAIL".into(),
            });
        }
        if texts.iter().any(|it| it == "NOTHING") {
            return Ok(());
        }
        // What is written twice is counted once.
        call.outputs[0].set_strings(&vec!["before"; texts.len()])?;
        let copy = Tensor::from_strings(&[texts.len() as i64], &texts)?;
        call.outputs[0].copy_from(&copy)?;
        assert_eq!(call.outputs[0].strings()?, texts);
        assert!(call.outputs[0].as_mut_bytes().is_empty() || texts.is_empty());
        assert!(call.outputs[0].set_strings(&["one too many"; 9]).is_err());
        Ok(())
    });
    register_extern("acme.upper", upper);
    // Keeps what it was lent beyond its call.
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let kept = seen.clone();
    let longest = HostFunction::in_place(move |call| {
        let given = call.objects[0].clone();
        kept.lock().expect("no panic").push(given.clone());
        call.made.push(given);
        Ok(())
    });
    register_extern("acme.longest", longest);
    let all = Executors::of("host.flow", Vec::new());
    let run = |list: &[&str], turns: i64| {
        let mut args = [Passed::Tensor(texts(list)), Passed::Tensor(number(&[], turns))];
        all.library.call_values("main", &mut args, RunOptions::default())
    };
    for turns in [0, 1, 2] {
        let found = run(&["ab", "", "ß"], turns).expect("no error");
        let Passed::Tensor(y) = &found[0] else { panic!("{found:?}") };
        let expected = if turns == 0 { ["ab", "", "ß"] } else { ["AB", "", "SS"] };
        assert_eq!(y.strings().expect("strings"), expected);
        let Passed::Array(items) = &found[1] else { panic!("{found:?}") };
        assert_eq!(items.len() as i64, turns + 1);
    }
    assert!(run(&["fail"], 1).is_err_and(|it| it.to_string().contains("another one")));
    assert!(run(&["nothing"], 1).is_err_and(|it| it.to_string().contains("unwritten")));
    // Empty strings are written, too.
    assert!(run(&["", ""], 1).is_ok());
    let seen = std::mem::take(&mut *seen.lock().expect("no panic"));
    let Some(Passed::Array(items)) = seen.first() else { panic!("a sequence") };
    let Passed::Tensor(first) = &items[0] else { panic!("a tensor") };
    assert_eq!(first.strings().expect("strings"), ["ab", "", "ß"]);
}
