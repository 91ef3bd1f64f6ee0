//! What `orogen.toml` says of a model, and what the command line says instead.

mod support;

use std::path::Path;
use support::{folder_with, onnx, orogen};

/// `y = sqrt(x · x)` over a size that is open.
fn model() -> Vec<u8> {
    let nodes = [
        onnx::node("Mul", "", &["x", "x"], &["a"], "square"),
        onnx::node("Sqrt", "", &["a"], &["y"], "root"),
    ];
    onnx::model(&nodes, &[], &[onnx::value("x", &["n"])], &[onnx::value("y", &["n"])])
}

const ROOT: &str = "rule root-of-square reassociates\n  sqrt(mul(x, x)) => abs(x)\n";

fn configure(folder: &Path, entry: &str) {
    std::fs::write(folder.join("orogen.toml"), format!("[models.\"*.onnx\"]\n{entry}\n")).expect("written");
}

#[test]
fn an_entry_decides_how_its_model_is_compiled() {
    let (folder, _) = folder_with("unused.onnx", &model());
    let root = folder.path();
    std::fs::create_dir(root.join("models")).expect("a folder");
    std::fs::write(root.join("models/m.onnx"), model()).expect("written");
    let run = |args: &[&str]| {
        let outcome = orogen(folder.path(), args);
        assert_eq!(outcome.status, 0, "{args:?}: {}", outcome.err);
        outcome.out
    };
    std::fs::create_dir(root.join("rules")).expect("a folder");
    std::fs::write(root.join("rules/my.rules"), ROOT).expect("written");
    // A path is from the folder of the file, wherever the command runs.
    configure(root, "dim = { n = 3 }\nrules = [\"rules/my.rules\"]\ncpu = \"baseline\"\nthreads = 2");
    let stage = ["print", "models/m.onnx", "--stage", "simplify"];
    assert!(run(&stage).contains("abs(%x) : f32[3]"), "{}", run(&stage));
    // The same rules again are no second ones.
    assert!(run(&[&stage[..], &["--rules", "./rules/my.rules"]].concat()).contains("abs("));
    let wider = run(&[&stage[..], &["--dim", "n=5", "--accuracy", "strict"]].concat());
    assert!(wider.contains("sqrt(") && wider.contains("f32[5]"), "{wider}");
    run(&["compile", "models/m.onnx", "-o", "m.so"]);
    let said = run(&["inspect", "m.so", "--json"]);
    assert!(said.contains("\"cpu\":\"baseline\"") && said.contains("\"bound\":{\"n\":3}"), "{said}");
    run(&["compile", "models/m.onnx", "-o", "m.so", "--cpu", "host"]);
    assert!(run(&["inspect", "m.so", "--json"]).contains("\"cpu\":\"host\""));
    // What reads no library reads the entry as well.
    assert!(run(&["opt", "--passes", "simplify", "models/m.onnx"]).contains("abs("));
    assert!(run(&["diff", "models/m.onnx", "--from", "import", "--to", "simplify"]).contains("abs("));
    assert!(run(&["run", "models/m.onnx"]).starts_with("y f32 [3]: "));
    configure(root, "dim = { n = 3 }\naccuracy = \"strict\"\nrules = [\"rules/my.rules\"]");
    assert!(run(&stage).contains("sqrt("));
    assert!(run(&[&stage[..], &["--accuracy", "default"]].concat()).contains("abs("));
}

#[test]
fn passes_of_an_entry_run_unless_others_are_listed() {
    let (folder, _) = folder_with("m.onnx", &model());
    let ran = |more: &[&str]| {
        let args = [&["compile", "m.onnx", "-o", "m.so", "--report", "--dim", "n=2"], more].concat();
        let outcome = orogen(folder.path(), &args);
        assert_eq!(outcome.status, 0, "{more:?}: {}", outcome.err);
        let pass = |it: &str| it.trim().strip_prefix("time pass ")?.split(' ').next().map(str::to_owned);
        outcome.out.lines().filter_map(pass).collect::<Vec<_>>().join(",")
    };
    let default =
        "canonicalize,fold-constants,simplify,fuse-attention,layout,fold-rest,merge-rest,legalize,fuse";
    assert_eq!(ran(&[]), default);
    configure(
        folder.path(),
        "passes = [\"canonicalize\", \"simplify{rounds=1}\", \"legalize\", \"canonicalize\", \"fuse\"]",
    );
    assert_eq!(ran(&[]), "canonicalize,simplify,legalize,canonicalize,fuse");
    assert_eq!(ran(&["--passes=-simplify"]), "canonicalize,legalize,canonicalize,fuse");
    assert_eq!(ran(&["--passes", "default"]), default);
    assert_eq!(ran(&["--passes", "bare"]), "legalize");
    let flow = ["--opt-in", "dataflow-ir", "--explore", "--passes", "default"];
    assert_eq!(ran(&flow), default.replace("fuse-attention", "explore,fuse-attention"));
    // Above the line on the graph, below it on the dataflow IR.
    let below = ["--opt-in", "dataflow-ir", "--waterline", "legalize", "--passes", "quick"];
    assert_eq!(ran(&below), "canonicalize,fold-constants,legalize,fuse");
}

#[test]
fn what_is_wrong_with_an_entry_or_a_list_is_said() {
    let (folder, _) = folder_with("m.onnx", &model());
    let refused = |args: &[&str], status: i32, phrases: &[&str]| {
        let outcome = orogen(folder.path(), args);
        assert_eq!(outcome.status, status, "{args:?}: {}{}", outcome.out, outcome.err);
        for phrase in phrases {
            assert!(outcome.err.contains(phrase), "no `{phrase}` in:\n{}", outcome.err);
        }
    };
    let compile = |list| ["compile", "m.onnx", "-o", "m.so", "--dim", "n=2", "--passes", list];
    refused(
        &compile("canonicalize,fuse"),
        3,
        &["error[N022]", "`fuse` requires `legalized`", "put it before"],
    );
    refused(&compile("legalize,layout"), 3, &["error[N023]", "`layout` comes too late"]);
    refused(&compile("-legalize"), 3, &["error[N022]", "`plan-memory` requires `legalized`"]);
    refused(&compile("+explore"), 3, &["error[N021]", "--opt-in dataflow-ir"]);
    refused(&compile("fusee"), 3, &["error[N020]", "`fuse` is one"]);
    refused(&compile("a{"), 3, &["error[N025]", "the name of an option is missing"]);
    configure(folder.path(), "cpu = \"fast\"\nthreads = 0");
    let both =
        ["error[D025]: `cpu` cannot be `fast`", "2:7", "error[D025]: `threads`", "3:11", "orogen.toml`"];
    for args in [
        &["run", "m.onnx"][..],
        &["bench", "m.onnx"],
        &["print", "m.onnx"],
        &["inspect", "m.onnx"],
        &["adoption", "--parity", "m.onnx"],
        &["reduce", "m.onnx", "--code"],
        &["opt", "m.onnx", "--passes", "fuse"],
    ] {
        refused(args, 4, &both);
    }
    configure(folder.path(), "rules = [\"absent.rules\"]");
    refused(&["run", "m.onnx"], 4, &["`rules` names `absent.rules`, where no file is", "from the folder"]);
    configure(folder.path(), "passes = [\"fusee\"]");
    refused(&["run", "m.onnx", "--dim", "n=2"], 3, &["error[N020]"]);
}

#[test]
fn the_operators_are_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = orogen(folder.path(), &["operators"]);
    assert_eq!(outcome.status, 0, "{}", outcome.err);
    for phrase in [
        " operators of ONNX, in all their versions, are served by ",
        "| ai.onnx | Gemm | all |",
        "| ai.onnx | StringConcat | ",
        "| none: its results are no floats | `not`, ",
    ] {
        assert!(outcome.out.contains(phrase), "no `{phrase}` in:\n{}", outcome.out);
    }
}

#[test]
fn the_passes_are_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let outcome = orogen(folder.path(), &["passes"]);
    assert_eq!(outcome.status, 0, "{}", outcome.err);
    for phrase in [
        "canonicalize     canonicalize   both     on  bitwise        merges operations",
        "explore          simplify       dataflow off as its rules",
        "requires legalized, live",
        "nodes=4000: nodes of the e-graph of a region",
        "pipeline quick   canonicalize,fold-constants,legalize,fuse: ",
        "fact no-duplicates",
    ] {
        assert!(outcome.out.contains(phrase), "no `{phrase}` in:\n{}", outcome.out);
    }
    let json = orogen(folder.path(), &["passes", "--json"]);
    assert!(
        json.out.contains("\"name\":\"fuse\"") && json.out.contains("\"requires\":[\"legalized\",\"live\"]")
    );
}
