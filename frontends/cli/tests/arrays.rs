//! Arrays that go in and come out: keys, types, orders, sizes, names.

mod support;

use support::{floats, folder_with, npz, onnx, orogen};

const DATAFLOW: [&str; 2] = ["--opt-in", "dataflow-ir"];

/// Runs `y = relu(x)` of shape `[2, 3]` on a file of arrays and gives status, output and errors.
fn relu(arrays: &[(&str, &str, &str, bool, &[u8])], more: &[&str]) -> (i32, String) {
    let (folder, path) = folder_with("model.onnx", &onnx::relu("x", "y", &["2", "3"]));
    npz(&path.with_file_name("in.npz"), arrays);
    let outcome = orogen(folder.path(), &[&["run", "model.onnx", "--inputs", "in.npz"], more].concat());
    (outcome.status, outcome.out + &outcome.err)
}

#[track_caller]
fn fails(arrays: &[(&str, &str, &str, bool, &[u8])], more: &[&str], status: i32, phrase: &str) {
    let (found, text) = relu(arrays, more);
    assert_eq!(found, status, "{text}");
    assert!(text.contains(phrase), "no `{phrase}` in:\n{text}");
}

#[test]
fn orders_and_byte_orders_make_no_difference() {
    let expected = "y f32 [2, 3]: 0.000000 1.000000 2.000000 3.000000 4.000000 5.000000";
    let rows = floats(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    let columns = floats(&[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    let swapped: Vec<u8> = rows.chunks(4).flat_map(|it| it.iter().rev().copied()).collect();
    for array in [
        ("x", "<f4", "(2, 3)", false, &rows[..]),
        ("in:x", "<f4", "(2, 3)", false, &rows),
        ("x", "<f4", "(2, 3)", true, &columns),
        ("x", ">f4", "(2, 3)", false, &swapped),
    ] {
        let (status, text) = relu(&[array], &[]);
        assert_eq!((status, text.trim_end()), (0, expected), "{array:?}");
    }
}

#[test]
fn arrays_that_do_not_fit_are_named() {
    let x = floats(&[1.0; 6]);
    let six = ("x", "<f4", "(2, 3)", false, &x[..]);
    fails(&[("z", "<f4", "(2, 3)", false, &x)], &[], 4, "there is no `x` or `in:x` in it; it has: z");
    fails(&[six, ("z", "<f4", "(1,)", false, &x[..4])], &[], 4, "`z` is no input of the model");
    fails(&[six, ("in:x", "<f4", "(2, 3)", false, &x)], &[], 4, "it holds both `in:x` and `x`");
    fails(&[("x", "<f8", "(3,)", false, &x)], &[], 5, "expected data type f32, got f64");
    fails(&[("x", "<f4", "(3, 2)", false, &x)], &[], 5, "expected shape [2,3], got [3,2]");
    fails(&[("x", "<c8", "(3,)", false, &x)], &[], 5, "expected data type f32, got c64");
    fails(&[("x", "<m8", "(3,)", false, &x)], &[], 4, "elements of type `<m8` are not supported");
    fails(&[("x", "<f4", "(1099511627776,)", false, &x)], &[], 4, "array `x`");
    fails(&[("x", "<f4", "(9223372036854775807, 9)", false, &x)], &[], 4, "array `x`");
    fails(&[("x", "<f4", "(-1,)", false, &x)], &[], 4, "cannot");
    fails(&[], &[], 4, "it has: nothing");
}

#[test]
fn what_is_expected_must_be_an_output() {
    let x = floats(&[1.0, -1.0, 0.0, 2.0, 3.0, 4.0]);
    let y = floats(&[1.0, 0.0, 0.0, 2.0, 3.0, 4.0]);
    let (input, output) =
        (("in:x", "<f4", "(2, 3)", false, &x[..]), ("out:y", "<f4", "(2, 3)", false, &y[..]));
    let (status, text) = relu(&[input, output], &["--expect", "in.npz", "--tol", "0"]);
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("y: max error 0.00e0 ok"), "{text}");
    let misspelt = ("out:yy", "<f4", "(2, 3)", false, &y[..]);
    fails(&[input, output, misspelt], &["--expect", "in.npz"], 4, "`out:yy` is no output of the model");
    fails(&[input], &["--expect", "in.npz"], 4, "none of the model's outputs is in it: y");
    for wrong in ["nan", "-1", "x"] {
        fails(&[input, output], &["--expect", "in.npz", &format!("--tol={wrong}")], 2, "--tol");
    }
}

#[test]
fn a_single_array_is_no_file_of_arrays() {
    let (folder, path) = folder_with("model.onnx", &onnx::relu("x", "y", &["1"]));
    std::fs::write(path.with_file_name("in.npy"), b"\x93NUMPY\x01\x00").expect("written");
    let outcome = orogen(folder.path(), &["run", "model.onnx", "--inputs", "in.npy"]);
    assert_eq!(outcome.status, 4);
    assert!(outcome.err.contains("numpy.savez(FILE, NAME=array)"), "{}", outcome.err);
}

#[test]
fn saved_outputs_are_expected_outputs_whatever_their_names() {
    let (input, output) = ("вход/α:0 🎉", "out \"q\"\n\u{1b}[31m");
    let (folder, _) = folder_with("модель.onnx", &onnx::relu(input, output, &["größe", "3"]));
    let compiled =
        orogen(folder.path(), &[&["compile", "модель.onnx", "-o", "ü.so"], &DATAFLOW[..]].concat());
    assert_eq!(compiled.status, 0, "{}", compiled.err);
    for (file, first) in [("x.npz", 1.0), ("other.npz", 2.0)] {
        let values = floats(&[first, -1.0, 0.5, -0.5, 3.0, 4.0]);
        npz(&folder.path().join(file), &[(input, "<f4", "(2, 3)", false, &values)]);
    }
    let given = ["--inputs", "x.npz"];
    let saved = orogen(folder.path(), &[&["run", "ü.so", "--save", "y.npz"], &given[..]].concat());
    assert_eq!(saved.status, 0, "{}", saved.err);
    assert!(saved.out.starts_with("out \"q\"\\n\\u{1b}[31m f32 [2, 3]:"), "{}", saved.out);
    let run =
        [&["run", "модель.onnx", "--expect", "y.npz", "--tol", "0"], &given[..], &DATAFLOW[..]].concat();
    let compared = orogen(folder.path(), &run);
    assert_eq!(compared.status, 0, "{}{}", compared.out, compared.err);
    let other = orogen(folder.path(), &["run", "ü.so", "--expect", "y.npz", "--inputs", "other.npz"]);
    assert_eq!(other.status, 1, "{}{}", other.out, other.err);
    assert!(other.out.contains(": max error 1.00e0 at [0, 0], 2.50e-1 of the largest"), "{}", other.out);
}

#[test]
fn integers_are_equal_and_of_the_type_that_is_expected() {
    const SUM: &str = "module @m { fn @main(%x: Tensor<i64, [3]>) -> (y: Tensor<i64, [3]>) { dataflow {
        %y = add(%x, %x)
        yield %y
    } return %y } }";
    let (folder, path) = folder_with("sum.flow", SUM.as_bytes());
    let ints = |it: [i64; 3]| it.map(i64::to_le_bytes).concat();
    let x = ints([1, 1 << 53, 3]);
    let check = |kind: &str, y: &[u8], more: &[&str]| {
        let (input, output) = (("in:x", "<i8", "(3,)", false, &x[..]), ("out:y", kind, "(3,)", false, y));
        npz(&path.with_file_name("io.npz"), &[input, output]);
        let run = ["run", "sum.flow", "--inputs", "io.npz", "--expect", "io.npz"];
        let outcome = orogen(folder.path(), &[&run[..], &DATAFLOW, more].concat());
        (outcome.status, outcome.out + &outcome.err)
    };
    let (status, text) = check("<i8", &ints([2, 1 << 54, 6]), &[]);
    assert!(status == 0 && text.contains("y: all elements equal ok"), "{text}");
    // Beyond what a double holds, and relative to the largest next to nothing.
    let (status, text) = check("<i8", &ints([2, (1 << 54) + 1, 6]), &["--tol", "1", "--atol", "9"]);
    let said = "y: 1 of 3 elements differ, first [1]: 18014398509481984 instead of 18014398509481985 OVER";
    assert!(status == 1 && text.contains(said), "{text}");
    let (status, text) = check("<f4", &floats(&[2.0, 18014398509481984.0, 6.0]), &[]);
    assert!(status == 1 && text.contains("y: type i64 instead of f32 OVER"), "{text}");
    let (status, text) = check("<i4", &[2_i32, 0, 6].map(i32::to_le_bytes).concat(), &["--json"]);
    assert!(status == 1 && text.contains("type i64 instead of i32"), "{text}");
}

#[test]
fn sizes_for_a_library_must_be_its_own() {
    let (folder, _) = folder_with("model.onnx", &onnx::relu("x", "y", &["batch", "3"]));
    let compile = [&["compile", "model.onnx", "-o", "out.so"], &DATAFLOW[..]].concat();
    assert_eq!(orogen(folder.path(), &compile).status, 0);
    let run = |more: &[&str]| orogen(folder.path(), &[&["run", "out.so"], more].concat());
    assert!(run(&["--dim", "batch=4"]).out.starts_with("y f32 [4, 3]:"));
    assert!(run(&["--dim", "batch=0"]).out.starts_with("y f32 [0, 3]:"));
    for (args, phrase) in [
        (&["--dim", "nope=4"][..], "no dynamic dimension `nope`; it has: batch"),
        (&["--dim", "batch=4", "--dim", "batch=5"], "gives `batch` two sizes, 4 and 5"),
        (&["--opt-in", "dataflow-ir"], "`--opt-in` decides how a model is compiled"),
        (&["--cpu", "baseline"], "`--cpu` decides how a model is compiled"),
        (&["--threads", "0"], "choose a number from 1"),
    ] {
        let outcome = run(args);
        assert_eq!(outcome.status, 2, "{args:?} {}", outcome.err);
        assert!(outcome.err.contains(phrase), "{args:?} {}", outcome.err);
    }
    let huge = run(&["--dim", "batch=9223372036854775807"]);
    assert_eq!(huge.status, 5, "{}", huge.err);
    assert!(huge.err.contains("out of memory"), "{}", huge.err);
}

#[test]
fn labels_must_fit_an_output() {
    let (folder, path) = folder_with("model.onnx", &onnx::relu("x", "y", &["1", "2"]));
    let labels = path.with_file_name("labels.txt");
    std::fs::write(&labels, "cat\ndog\n").expect("written");
    let run = ["run", "model.onnx", "--labels", "labels.txt"];
    let outcome = orogen(folder.path(), &run);
    assert!(outcome.out.contains("cat") && outcome.out.contains("dog"), "{}", outcome.out);
    std::fs::write(&labels, "cat\ndog\nbird\n").expect("written");
    let outcome = orogen(folder.path(), &run);
    assert_eq!(outcome.status, 4);
    assert!(outcome.err.contains("it has 3 labels, and no output has as many classes"), "{}", outcome.err);
}
