//! Finding where values go wrong, in the tool.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod support;

use support::{Outcome, floats, folder_with, kept, names, npz, onnx, orogen};

const GRAPH: &str = "graph @g(%x: f32[2, 3]) {
  %0 = relu(%x) loc(\"node `first` (Relu)\")
  %1 = mul(%0, %x) loc(\"node `second` (Mul)\")
  %2 = add(%1, %0) loc(\"node `third` (Add)\")
  return y = %2
}
";

#[track_caller]
fn refused(outcome: &Outcome, status: i32, phrase: &str) {
    assert_eq!(outcome.status, status, "{}{}", outcome.out, outcome.err);
    assert!(outcome.err.contains(phrase), "no `{phrase}` in:\n{}", outcome.err);
}

/// `y` of `GRAPH` for `x`, and something else.
fn arrays(folder: &std::path::Path) {
    let x = [-1.0, 0.5, 2.0, 0.0, 1.0, -3.0];
    let y = x.map(|it: f32| it.max(0.0) * it + it.max(0.0));
    let off = y.map(|it| it * 1.01);
    let input = floats(&x);
    for (file, y) in [("right.npz", floats(&y)), ("wrong.npz", floats(&off))] {
        let (x, y) =
            (("in:x", "<f4", "(2, 3)", false, &input[..]), ("out:y", "<f4", "(2, 3)", false, &y[..]));
        npz(&folder.join(file), &[x, y]);
    }
}

#[test]
fn what_agrees_is_said_to_agree() {
    let (folder, _) = folder_with("g.graph", GRAPH.as_bytes());
    arrays(folder.path());
    let run = |args: &[&str]| orogen(folder.path(), args);
    let bisected = run(&["bisect", "g.graph", "--inputs", "right.npz", "--expect", "right.npz"]);
    assert_eq!(bisected.status, 0, "{}", bisected.err);
    assert_eq!(bisected.out, "the compiled model computes what is expected\n");
    let compared = run(&["run", "g.graph", "--compare-stages", "--inputs", "right.npz"]);
    assert_eq!(compared.status, 0, "{}", compared.err);
    assert!(
        compared.out.starts_with("all 3 values agree with the reference; the worst is %"),
        "{}",
        compared.out
    );
    for (file, status) in [("right.npz", 0), ("wrong.npz", 1)] {
        let interpreted = run(&["run", "g.graph", "--reference", "--inputs", file, "--expect", file]);
        assert_eq!(interpreted.status, status, "{}{}", interpreted.out, interpreted.err);
    }
    let listed = run(&["run", "g.graph", "--compare-stages", "--json", "--seed", "3"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.out).expect("one JSON object");
    assert_eq!(listed["values"][1]["source"], "node `second` (Mul)");
    assert_eq!(listed["passed"], true);
    let model = kept("control_flow/model.onnx");
    let flow = run(&["run", &model, "--opt-in", "dataflow-ir", "--compare-stages"]);
    assert_eq!(flow.status, 0, "{}{}", flow.out, flow.err);
}

#[test]
fn expected_outputs_that_no_step_computes_are_off_from_the_import_on() {
    let (folder, _) = folder_with("g.graph", GRAPH.as_bytes());
    arrays(folder.path());
    let wrong = ["bisect", "g.graph", "--inputs", "wrong.npz", "--expect", "wrong.npz"];
    let bisected = orogen(folder.path(), &wrong);
    assert_eq!(bisected.status, 1, "{}", bisected.err);
    let said = "codegen: OFF\nimport: OFF\noff from the import on: output `y`: max error ";
    assert!(bisected.out.starts_with(said), "{}", bisected.out);
    let loose = orogen(folder.path(), &[&wrong[..], &["--rtol", "0.02"]].concat());
    assert_eq!(loose.status, 0, "{}{}", loose.out, loose.err);
}

/// A rule that is wrong is blamed on the pass that applies it, and the command that is said shows it again.
#[test]
fn a_wrong_rule_is_found_and_shown_again() {
    let (folder, _) = folder_with("g.graph", GRAPH.as_bytes());
    arrays(folder.path());
    let rule = "rule wrong bitwise\n  mul(x, y) => add(x, y)\n";
    std::fs::write(folder.path().join("wrong.rules"), rule).expect("written");
    let run = |args: &[&str]| orogen(folder.path(), args);
    let given = ["--inputs", "right.npz", "--expect", "right.npz", "--rules", "wrong.rules", "-o", "small"];
    let bisected = run(&[&["bisect", "g.graph"], &given[..]].concat());
    assert_eq!(bisected.status, 1, "{}", bisected.err);
    assert!(bisected.out.contains("first off after `simplify`: output `y`"), "{}", bisected.out);
    assert!(bisected.out.contains("to 1 operations"), "{}", bisected.out);
    let said = bisected.out.lines().last().and_then(|it| it.strip_prefix("see it with: orogen "));
    let shown = run(&said.expect("a command").split(' ').collect::<Vec<_>>());
    assert_eq!(shown.status, 0, "{}", shown.err);
    assert!(shown.out.contains("mul("), "{}", shown.out);
    // Whatever other choices do beside is not looked at.
    let chosen = run(&[&["bisect", "g.graph"], &given[..], &["--chaos", "5"]].concat());
    assert_eq!(chosen.out, format!("off with the usual choices too\n{}", bisected.out));
}

/// The command that is said holds all that decides what is seen, and a shell reads it.
#[test]
fn the_command_that_is_said_is_one_of_a_shell() {
    let (folder, _) = folder_with("g.graph", GRAPH.as_bytes());
    arrays(folder.path());
    let rule = "rule wrong bitwise\n  mul(x, y) => add(x, y)\n";
    std::fs::write(folder.path().join("it's wrong.rules"), rule).expect("written");
    let given = [
        "bisect",
        "g.graph",
        "--inputs",
        "right.npz",
        "--expect",
        "right.npz",
        "--rules",
        "it's wrong.rules",
        "-o",
        "a small one",
        "--rtol",
        "0.001",
        "--ulp",
        "9",
        "--accuracy",
        "strict",
        "--cpu",
        "baseline",
        "--passes",
        "-layout,+simplify{rounds=1}",
    ];
    let bisected = orogen(folder.path(), &given);
    assert_eq!(bisected.status, 1, "{}", bisected.err);
    let said = bisected.out.lines().last().and_then(|it| it.strip_prefix("see it with: "));
    let said = said.expect("a command");
    let expected = "orogen reduce 'a small one.graph' --passes 'simplify{rounds=1}' --accuracy strict --rules \
                    'it'\\''s wrong.rules' --rtol 1e-3 --ulp 9 --inputs 'a small one.npz'";
    assert_eq!(said, expected);
    let tool = std::path::Path::new(env!("CARGO_BIN_EXE_orogen")).parent().expect("a folder");
    let path = format!("{}:{}", tool.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = std::process::Command::new("sh");
    let shown =
        shell.args(["-c", said]).env("PATH", path).current_dir(folder.path()).output().expect("a shell");
    assert!(shown.status.success(), "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(String::from_utf8_lossy(&shown.stdout).contains("mul("));
}

/// With other choices than the usual ones, the one is said that is to blame, or that none is.
#[test]
fn choices_are_bisected_too() {
    let (folder, _) = folder_with("g.graph", GRAPH.as_bytes());
    arrays(folder.path());
    let run = |file: &str, seed: &str| {
        orogen(folder.path(), &["bisect", "g.graph", "--inputs", file, "--expect", file, "--chaos", seed])
    };
    let right = run("right.npz", "5");
    assert_eq!(right.status, 0, "{}", right.err);
    assert_eq!(right.out, "the compiled model computes what is expected, whichever choices seed 5 makes\n");
    let wrong = run("wrong.npz", "5");
    assert_eq!(wrong.status, 1, "{}", wrong.err);
    let said =
        "off with the usual choices too\ncodegen: OFF\nimport: OFF\noff from the import on: output `y`: ";
    assert!(wrong.out.starts_with(said), "{}", wrong.out);
    // Of a number of choices that is given none is looked for.
    assert_eq!(run("right.npz", "5:3").out, "the compiled model computes what is expected\n");
}

/// Inputs that are left out have their defaults, as in a run; what is expected of no output is refused, as there.
#[test]
fn inputs_and_expected_outputs_are_those_of_a_run() {
    let model = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/models/gain.onnx");
    let (folder, _) = folder_with("gain.onnx", &std::fs::read(model).expect("the example"));
    let run = |args: &[&str]| orogen(folder.path(), &[args, &["--opt-in", "dataflow-ir"]].concat());
    npz(&folder.path().join("in.npz"), &[("x", "<f4", "(1, 4)", false, &floats(&[1.0, 2.0, 3.0, 4.0]))]);
    let saved = run(&["run", "gain.onnx", "--inputs", "in.npz", "--save", "out.npz"]);
    assert_eq!(saved.status, 0, "{}", saved.err);
    let bisected = run(&["bisect", "gain.onnx", "--inputs", "in.npz", "--expect", "out.npz"]);
    assert_eq!(bisected.out, "the compiled model computes what is expected\n", "{}", bisected.err);
    npz(&folder.path().join("other.npz"), &[("out:z", "<f4", "(1,)", false, &floats(&[1.0]))]);
    for command in ["run", "bisect"] {
        let said = run(&[command, "gain.onnx", "--inputs", "in.npz", "--expect", "other.npz"]);
        refused(&said, 4, "`out:z` is no output of the model; its outputs are: ");
    }
}

/// Values inside of a model are known by their names, or by those of the nodes that make them.
#[test]
fn values_of_another_program_are_compared_by_name() {
    let nodes = [
        onnx::node("Relu", "", &["x"], &["a"], "first"),
        onnx::node("Mul", "", &["a", "x"], &["b"], "second"),
        onnx::node("Add", "", &["b", "a"], &["y"], "third"),
    ];
    let dims = ["2", "3"];
    let model = onnx::model(&nodes, &[], &[onnx::value("x", &dims)], &[onnx::value("y", &dims)]);
    let (folder, _) = folder_with("m.onnx", &model);
    let x = [-1.0, 0.5, 2.0, 0.0, 1.0, -3.0];
    let a: Vec<f32> = x.map(|it: f32| it.max(0.0)).into();
    let b: Vec<f32> = x.iter().zip(&a).map(|(x, a)| x * a).collect();
    let y: Vec<f32> = b.iter().zip(&a).map(|(b, a)| b + a).collect();
    let array = |name, values: &[f32]| (name, floats(values));
    let write = |file: &str, arrays: &[(&'static str, Vec<u8>)]| {
        let arrays: Vec<_> = arrays.iter().map(|it| (it.0, "<f4", "(2, 3)", false, &it.1[..])).collect();
        npz(&folder.path().join(file), &arrays);
    };
    write("in.npz", &[array("in:x", &x)]);
    write("right.npz", &[array("a", &a), array("second", &b), array("out:y", &y), array("elsewhere", &y)]);
    write("wrong.npz", &[array("third", &a), array("b", &a), array("first", &a)]);
    write("none.npz", &[array("elsewhere", &y)]);
    let run = |more: &[&str]| {
        orogen(
            folder.path(),
            &[&["run", "m.onnx", "--compare-stages", "--inputs", "in.npz", "--expect"], more].concat(),
        )
    };
    for path in ["legacy", "dataflow-ir"] {
        let right = run(&["right.npz", "--opt-in", path]);
        assert_eq!(right.status, 0, "{}", right.err);
        assert!(right.out.starts_with("all 3 values agree with what is expected"), "{}", right.out);
        let wrong = run(&["wrong.npz", "--opt-in", path]);
        assert_eq!(wrong.status, 1, "{}", wrong.err);
        let last = "2 of 3 values differ from what is expected, the first is b of node `second` (Mul)\n";
        assert!(wrong.out.ends_with(last), "{}", wrong.out);
    }
    refused(&run(&["none.npz"]), 4, "none of the model's outputs is in it: y");
    let random = orogen(folder.path(), &["run", "m.onnx", "--compare-stages", "--expect", "right.npz"]);
    refused(&random, 2, "give them with `--inputs FILE.npz`");
}

#[test]
fn what_cannot_be_found_is_said() {
    let (folder, _) = folder_with("g.graph", GRAPH.as_bytes());
    arrays(folder.path());
    let run = |args: &[&str]| orogen(folder.path(), args);
    refused(&run(&["reduce", "g.graph", "--passes", "fuse"]), 3, "error[D037]: all values are kept");
    refused(&run(&["reduce", "g.graph", "--code", "-o", "small"]), 3, "error[D037]");
    refused(&run(&["reduce", "g.graph"]), 2, "--passes");
    refused(&run(&["bisect", "g.graph", "--inputs", "right.npz"]), 2, "--expect");
    refused(&run(&["run", "g.graph", "--compare-stages", "--save", "y.npz"]), 2, "cannot be used with");
    npz(&folder.path().join("z.npz"), &[("z", "<f4", "(1,)", false, &floats(&[1.0]))]);
    refused(
        &run(&["bisect", "g.graph", "--inputs", "z.npz", "--expect", "z.npz"]),
        4,
        "there is no `x` or `in:x`",
    );
    let compiled = run(&["compile", "g.graph", "-o", "g.so"]);
    assert_eq!(compiled.status, 0, "{}", compiled.err);
    refused(&run(&["run", "g.so", "--compare-stages"]), 2, "this is a compiled library");
    refused(&run(&["run", "g.so", "--reference"]), 2, "this is a compiled library");
    refused(&run(&["run", "g.graph", "--reference", "--shadow"]), 2, "cannot be used with");
    assert_eq!(names(folder.path()), ["g.graph", "g.so", "right.npz", "wrong.npz", "z.npz"]);
}
