//! The ledger, the parity report, and opt-ins that are taken back.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod support;

use support::{kept, onnx, orogen};

const STEPS: [&str; 8] =
    ["import", "canonicalize", "fold-constants", "simplify", "layout", "legalize", "fuse", "plan-memory"];

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("m.onnx"), onnx::relu("x", "y", &["2", "3"])).expect("written");
    std::fs::write(folder.path().join("n.onnx"), onnx::relu("x", "y", &["batch", "3"])).expect("written");
    folder
}

#[test]
fn the_ledger_is_printed() {
    let folder = folder();
    let outcome = orogen(folder.path(), &["adoption"]);
    assert_eq!(outcome.status, 0, "{}", outcome.err);
    let lines: Vec<&str> = outcome.out.lines().collect();
    for (line, step) in lines.iter().zip(STEPS) {
        let square = step.replace('-', "_");
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), [step, "ported,", "square", &square]);
    }
    assert_eq!(lines.last(), Some(&"waterline: import"));
    let json: serde_json::Value =
        serde_json::from_str(&orogen(folder.path(), &["adoption", "--json"]).out).expect("JSON");
    assert_eq!(
        (json["waterline"].as_str(), json["steps"][6]["step"].as_str()),
        (Some("import"), Some("fuse"))
    );
}

#[test]
fn parity_is_reported_by_model_and_operator() {
    let folder = folder();
    let control = kept("control_flow/model.onnx");
    let args = ["adoption", "--json", "--dim", "batch=4", "--parity", "m.onnx", "n.onnx", &control];
    let outcome = orogen(folder.path(), &args);
    let json: serde_json::Value = serde_json::from_str(&outcome.out).expect(&outcome.err);
    for model in 0..2 {
        let rows = json["models"][model]["rows"].as_array().expect("rows");
        let names: Vec<&str> = rows.iter().filter_map(|it| it["row"].as_str()).collect();
        assert_eq!(names, ["time, ms", "memory, bytes", "size, bytes", "compile time, s"]);
        // One plan is one code, so that nothing need be measured.
        assert_eq!((rows[0]["ratio"].as_f64(), rows[0]["how"].as_str()), (Some(1.0), Some("the same plan")));
        assert_eq!(rows[1]["red"].as_bool(), Some(false));
    }
    assert!(json["models"][2]["not_legacy"].as_str().expect("refused").starts_with("G003"), "{json}");
    assert_eq!(json["operators"]["Relu"]["models"].as_u64(), Some(2), "{json}");
    // Compiling takes a moment, of which one measurement says little.
    let red = json["red"].as_array().expect("a list");
    assert!(red.iter().all(|it| it["row"].as_str() == Some("compile time, s")), "{json}");
    assert!(json["verdict"].as_str().expect("text").starts_with("S1: nothing that is measured"), "{json}");
}

#[test]
fn what_is_accepted_must_differ() {
    let folder = folder();
    let accepted = "[[accepted]]\nmodel = \"m.onnx\"\nrow = \"memory\"\nreason = \"it was so once\"\n";
    std::fs::write(folder.path().join("accepted.toml"), accepted).expect("written");
    let outcome = orogen(folder.path(), &["adoption", "--accepted", "accepted.toml", "--parity", "m.onnx"]);
    assert_eq!(outcome.status, 1, "{}", outcome.err);
    assert!(outcome.out.contains("RED accepted, but no longer different: m.onnx memory"), "{}", outcome.out);
    std::fs::write(folder.path().join("accepted.toml"), "[[accepted]]\nmodel = 1\n").expect("written");
    let outcome = orogen(folder.path(), &["adoption", "--accepted", "accepted.toml", "--parity", "m.onnx"]);
    assert_eq!(outcome.status, 4, "{}", outcome.err);
}

#[test]
fn an_opt_in_is_taken_back() {
    let folder = folder();
    let compile = |more: &[&str]| {
        let outcome = orogen(folder.path(), &[&["compile", "m.onnx", "-o", "m.so"], more].concat());
        assert_eq!(outcome.status, 0, "{}", outcome.err);
        (outcome.out, std::fs::read(folder.path().join("m.so")).expect("written"))
    };
    let (_, legacy) = compile(&[]);
    let toml = |model: &str| format!("[models.\"{model}\"]\nopt-in = [\"dataflow-ir\"]\n");
    std::fs::write(folder.path().join("orogen.toml"), toml("m.onnx")).expect("written");
    let (said, flow) = compile(&[]);
    assert!(said.contains("path dataflow-ir") && flow != legacy, "{said}");
    let (said, back) = compile(&["--opt-in", "legacy"]);
    assert!(said.contains("path legacy"), "{said}");
    assert!(back == legacy, "an opt-in that is taken back leaves the library as it was");
    // Opted in elsewhere is not opted in.
    std::fs::write(folder.path().join("orogen.toml"), toml("n.onnx")).expect("written");
    assert!(compile(&[]).1 == legacy, "another model's opt-in changes the library");
    let unknown = orogen(folder.path(), &["compile", "m.onnx", "-o", "m.so", "--opt-in", "x"]);
    assert!(
        unknown.status == 2 && unknown.err.contains("`legacy` to take an opt-in back"),
        "{}",
        unknown.err
    );
}

#[test]
fn other_choices_give_the_same_values_and_are_named() {
    let folder = folder();
    let run =
        |more: &[&str]| orogen(folder.path(), &[&["run", "m.onnx", "--save", "out.npz"], more].concat());
    let usual = run(&[]);
    assert_eq!(usual.status, 0, "{}", usual.err);
    assert!(!usual.err.contains("D041"), "{}", usual.err);
    let expected = std::fs::read(folder.path().join("out.npz")).expect("written");
    // A choice is made for the one kernel of the model whichever seed it is, as long as some seed makes any.
    let mut named = 0;
    for seed in ["1", "2", "3", "4"] {
        let other = run(&["--chaos", seed]);
        assert_eq!(other.status, 0, "{}", other.err);
        named += usize::from(other.err.contains("D041"));
        assert!(std::fs::read(folder.path().join("out.npz")).expect("written") == expected);
        let none = run(&["--chaos", &format!("{seed}:0")]);
        assert!(none.status == 0 && !none.err.contains("D041"), "{}", none.err);
    }
    assert!(named > 0, "no seed makes another choice");
    for bad in ["x", "1:x", ":", "-1"] {
        let refused = run(&[&format!("--chaos={bad}")]);
        assert!(refused.status == 2 && refused.err.contains("is no number"), "{bad}: {}", refused.err);
    }
}

#[test]
fn models_of_the_repository_are_at_parity_in_what_can_be_counted() {
    let models: Vec<String> = [
        "blocks",
        "broadcast",
        "cache",
        "fused",
        "magika_v3_3",
        "microsoft",
        "ppocr_cls_mobile_v2",
        "qoperator",
        "quantized",
        "silero_vad_16k_sequence",
    ]
    .map(|it| kept(&format!("{it}/model.onnx")))
    .into();
    let accepted = kept("accepted.toml");
    let folder = folder();
    let usual = ["adoption", "--counted", "--cpu", "baseline", "--json", "--accepted", &accepted, "--parity"];
    let models: Vec<&str> = models.iter().map(String::as_str).collect();
    let outcome = orogen(folder.path(), &[&usual, &models[..]].concat());
    let json: serde_json::Value = serde_json::from_str(&outcome.out).expect(&outcome.err);
    assert_eq!(
        (outcome.status, &json["red"], &json["stale"]),
        (0, &serde_json::json!([]), &serde_json::json!([]))
    );
    assert!(
        json["verdict"].as_str().is_some_and(|it| it.starts_with("S1: nothing that is measured")),
        "{json}"
    );
    for model in json["models"].as_array().expect("a list") {
        let rows = model["rows"].as_array().expect("rows").iter();
        let names: Vec<&str> = rows.filter_map(|it| it["row"].as_str()).collect();
        assert_eq!(names, ["plan, lines", "code, bytes", "memory, bytes", "size, bytes"], "{model}");
    }
    // Each entry of the file is of a model that is there, and says why.
    let entries: toml::Table = std::fs::read_to_string(&accepted).expect("a file").parse().expect("TOML");
    for entry in entries["accepted"].as_array().expect("a list") {
        let of = entry["model"].as_str().expect("a model");
        assert!(models.iter().any(|it| it.ends_with(of)), "{of}");
    }
    // That for larger models is understood, and says nothing of others.
    let larger = kept("accepted_larger.toml");
    let outcome =
        orogen(folder.path(), &["adoption", "--counted", "--accepted", &larger, "--parity", "m.onnx"]);
    assert!(outcome.status == 0 && !outcome.out.contains("accepted"), "{}{}", outcome.out, outcome.err);
}

#[test]
fn shadow_comparison_returns_what_the_legacy_path_gives() {
    let folder = folder();
    let run = |more: &[&str]| orogen(folder.path(), &[&["run"], more].concat());
    let usual = run(&["m.onnx", "--save", "a.npz"]);
    let both = run(&["m.onnx", "--shadow", "--save", "b.npz"]);
    assert_eq!((usual.status, both.status), (0, 0), "{}", both.err);
    assert!(both.out.contains("shadow comparison: the dataflow path gives the same"), "{}", both.out);
    let read = |name: &str| std::fs::read(folder.path().join(name)).expect("written");
    assert!(read("a.npz") == read("b.npz"));
    let json: serde_json::Value =
        serde_json::from_str(&run(&["m.onnx", "--shadow", "--json"]).out).expect("JSON");
    assert_eq!((&json["shadow"], json["passed"].as_bool()), (&serde_json::json!([]), Some(true)));
    // State that a call updates in place is updated once.
    let cache = kept("cache/model.onnx");
    let inputs = kept("cache/reference.npz");
    let sizes = ["--dim", "n=6", "--dim", "k=4", "--state", "past=present"];
    let values = ["--inputs", &inputs, "--expect", &inputs];
    let state = run(&[&[cache.as_str(), "--shadow"][..], &sizes, &values].concat());
    assert!(state.status == 0 && state.out.contains("gives the same"), "{}{}", state.out, state.err);
    // What the legacy path refuses is refused, and a library has one path.
    let refused = run(&[&kept("control_flow/model.onnx"), "--shadow"]);
    assert!(refused.status == 3 && refused.err.contains("G003"), "{}", refused.err);
    assert_eq!(orogen(folder.path(), &["compile", "m.onnx", "-o", "m.so"]).status, 0);
    let library = run(&["m.so", "--shadow"]);
    assert!(
        library.status == 2 && library.err.contains("`--shadow` compiles a model on both paths"),
        "{}",
        library.err
    );
}
