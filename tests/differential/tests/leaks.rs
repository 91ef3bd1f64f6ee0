//! Calls give back everything: the number of live objects of the runtime is what it was before, after calls that succeed
//! and calls that fail, in whatever order a caller drops what it has. One test, as it counts objects of the process.

mod executors;

use executors::Executors;
use orogen::State;
use orogen_runtime::{HostFunction, RunOptions, RuntimeError, Tensor, Value, live_objects, register_extern};

fn words(list: &[&str]) -> Value {
    Tensor::from_strings(&[list.len() as i64], list).expect("strings").into()
}

fn int(dims: &[i64], it: i64) -> Value {
    Tensor::from_slice(dims, &[it]).expect("a number").into()
}

fn floats(list: &[f32]) -> Value {
    Tensor::from_slice(&[list.len() as i64], list).expect("floats").into()
}

/// Calls twice, drops results and arguments in one order and then in the other; a call fails or not, as expected.
fn balanced(all: &Executors, function: &str, args: impl Fn() -> Vec<Value>, fails: bool) {
    let before = live_objects();
    for first in [true, false] {
        let mut given = args();
        let found = all.library.call_values(function, &mut given, RunOptions::default());
        assert_eq!(found.is_err(), fails, "{function}: {found:?}");
        if first {
            drop(given);
            // What was returned lives on its own.
            if let Ok(results) = &found {
                results.iter().for_each(read);
            }
            drop(found);
        } else {
            let mut results = found.unwrap_or_default();
            results.reverse();
            drop(results);
            given.iter().for_each(read);
            drop(given);
        }
        assert_eq!(live_objects(), before, "{function}");
    }
}

fn read(value: &Value) {
    match value {
        Value::Tensor(it) => assert!(it.strings().map(|it| it.len()).unwrap_or(it.len()) == it.len()),
        Value::Array(items) => items.iter().for_each(read),
        _ => {}
    }
}

#[test]
fn calls_give_back_what_they_took() {
    let strings = Executors::of("strings.flow", Vec::new());
    let x = || words(&["p", "", "rst", "a text that is long"]);
    let items = || Value::Array(vec![words(&["a", "b"]), words(&["c"]), words(&[])]);
    for turns in [0, 1, 4] {
        balanced(&strings, "append", || vec![int(&[], turns), x()], false);
    }
    balanced(&strings, "append", || vec![int(&[], 1), int(&[1], 0)], true);
    balanced(
        &strings,
        "pop",
        || vec![int(&[], 1), Value::Array(vec![words(&["a", "b"]), words(&["c"])])],
        false,
    );
    // The last item has no first word.
    balanced(&strings, "pop", || vec![int(&[], 2), items()], true);
    balanced(&strings, "edit", || vec![items(), x(), int(&[], 1), int(&[], -1)], false);
    balanced(&strings, "edit", || vec![items(), x(), int(&[], 1), int(&[], 9)], true);
    balanced(
        &strings,
        "edit",
        || vec![Value::Array(vec![Value::Int(1)]), x(), int(&[], 0), int(&[], 1)],
        true,
    );
    balanced(&strings, "or_else", || vec![x(), x()], false);
    balanced(&strings, "or_else", || vec![Value::None, x()], false);
    let square = || vec![Tensor::from_strings(&[2, 2], &["a", "b", "", "d"]).expect("strings").into()];
    balanced(&strings, "calls", square, false);
    // One tensor may be there several times.
    let twice = || {
        let item = words(&["a"]);
        vec![Value::Array(vec![item.clone(), item.clone()]), item, int(&[], 0), int(&[], 0)]
    };
    balanced(&strings, "edit", twice, false);

    let numbers = Executors::of("sequences.flow", Vec::new());
    let items = || Value::Array(vec![floats(&[1.0]), floats(&[2.0, 3.0])]);
    balanced(&numbers, "append", || vec![int(&[], 2), floats(&[1.0, 2.0])], false);
    balanced(&numbers, "edit", || vec![items(), floats(&[1.0]), int(&[], 0), int(&[], 5)], true);
    balanced(&numbers, "swap", || vec![int(&[], 3), items(), items(), floats(&[1.0])], false);
    balanced(&numbers, "calls", || vec![items(), floats(&[1.0])], false);

    let maps = Executors::of("maps.flow", Vec::new());
    let map = |n: usize| Value::Array(vec![int(&[1], 3), words(&["a", "b"][..n])]);
    let pairs = || Value::Array(vec![Value::Array(vec![int(&[1], 3), int(&[1], 4)]); 2]);
    let rows =
        |n: i64| vec![Tensor::from_slice(&[n, 3], &vec![0.5_f32; 3 * n as usize]).expect("rows").into()];
    for n in [0, 1, 4] {
        balanced(&maps, "rows", || rows(n), false);
    }
    balanced(&maps, "halves", || vec![map(1)], false);
    balanced(&maps, "halves", || vec![Value::Array(vec![int(&[1], 3)])], true);
    balanced(&maps, "picked", || vec![pairs(), int(&[], 1)], false);
    balanced(&maps, "picked", || vec![pairs(), int(&[], 2)], true);

    let log = Executors::of("log.flow", vec![State { input: "log".into(), output: "new".into() }]);
    let line = |at, i| vec![words(&["old", "", "older"]), words(&["new"]), int(&[1], at), int(&[], i)];
    balanced(&log, "main", || line(1, 0), false);
    balanced(&log, "main", || line(0, 0), false);
    balanced(&log, "main", || line(0, 9), true);

    register_extern(
        "acme.upper",
        HostFunction::in_place(|call| {
            let texts: Vec<String> = call.inputs[0].strings()?.iter().map(|it| it.to_uppercase()).collect();
            call.outputs[0].set_strings(&texts)?;
            match texts[0].as_str() {
                "FAIL" => {
                    Err(RuntimeError::Kind { what: "it".into(), expected: "another", got: "FAIL".into() })
                }
                _ => call.outputs[0].set_strings(&texts),
            }
        }),
    );
    register_extern(
        "acme.longest",
        HostFunction::in_place(|call| {
            call.made.push(call.objects[0].clone());
            Ok(())
        }),
    );
    let host = Executors::of("host.flow", Vec::new());
    balanced(&host, "main", || vec![words(&["a", ""]), int(&[], 2)], false);
    balanced(&host, "main", || vec![words(&["fail", "b"]), int(&[], 2)], true);
}
