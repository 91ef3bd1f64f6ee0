//! Rewrite rules from outside, and which of them are admitted.

mod support;

use support::{folder_with, onnx, orogen};

/// `y = sqrt(x · x)`.
fn root_of_square() -> Vec<u8> {
    let nodes = [
        onnx::node("Mul", "", &["x", "x"], &["a"], "square"),
        onnx::node("Sqrt", "", &["a"], &["y"], "root"),
    ];
    onnx::model(&nodes, &[], &[onnx::value("x", &["4"])], &[onnx::value("y", &["4"])])
}

const ROOT: &str = "rule root-of-square reassociates\n  sqrt(mul(x, x)) => abs(x)\n";

fn simplified(folder: &std::path::Path, more: &[&str]) -> String {
    let outcome = orogen(folder, &[&["print", "m.onnx", "--stage", "simplify"], more].concat());
    assert_eq!(outcome.status, 0, "{}", outcome.err);
    outcome.out
}

#[test]
fn rules_of_a_file_are_applied_if_they_are_exact_enough() {
    let (folder, _) = folder_with("m.onnx", &root_of_square());
    std::fs::write(folder.path().join("my.rules"), ROOT).expect("a file");
    assert!(simplified(folder.path(), &[]).contains("sqrt("));
    for opt_in in ["legacy", "dataflow-ir"] {
        let opt_in: &[&str] = if opt_in == "legacy" { &[] } else { &["--opt-in", opt_in] };
        let with = |accuracy| {
            simplified(folder.path(), &[&["--rules", "my.rules", "--accuracy", accuracy], opt_in].concat())
        };
        assert!(with("default").contains("abs(") && with("fast").contains("abs("));
        assert!(with("strict").contains("sqrt("));
    }
}

#[test]
fn the_accuracy_stands_in_the_library() {
    let (folder, _) = folder_with("m.onnx", &root_of_square());
    let compile = ["compile", "m.onnx", "-o", "m.so", "--accuracy", "strict"];
    let outcome = orogen(folder.path(), &compile);
    assert_eq!(outcome.status, 0, "{}", outcome.err);
    let library = std::fs::read(folder.path().join("m.so")).expect("a library");
    let text = String::from_utf8_lossy(&library);
    assert!(text.contains("\"accuracy\":\"strict\""));
    let refused = orogen(folder.path(), &["run", "m.so", "--accuracy", "fast"]);
    assert_eq!(refused.status, 2, "{}", refused.err);
    assert_eq!(orogen(folder.path(), &["compile", "m.onnx", "-o", "m.so", "--accuracy", "exact"]).status, 2);
}

#[test]
fn wrong_rules_are_refused_with_their_place() {
    let (folder, _) =
        folder_with("bad.rules", b"rule a bitwise\n  sqroot(x) => x\nrule b bitwise\n  abs(x) => y\n");
    let listed = orogen(folder.path(), &["rules", "bad.rules"]);
    for phrase in ["error[N006]", "2:3", "`sqrt` is one", "error[N009]", "4:13"] {
        assert!(listed.err.contains(phrase), "no `{phrase}` in:\n{}", listed.err);
    }
    assert_eq!(listed.status, 3);
    std::fs::write(folder.path().join("m.onnx"), root_of_square()).expect("a file");
    let compiled = orogen(folder.path(), &["compile", "m.onnx", "-o", "m.so", "--rules", "bad.rules"]);
    assert!(compiled.err.contains("in `bad.rules`") && compiled.err.contains("N006"), "{}", compiled.err);
    let absent = orogen(folder.path(), &["compile", "m.onnx", "-o", "m.so", "--rules", "none.rules"]);
    assert!(absent.err.contains("D024") && absent.err.contains("`none.rules`"), "{}", absent.err);
}

#[test]
fn rules_are_listed_as_text_that_is_read_again() {
    let (folder, _) = folder_with("my.rules", ROOT.as_bytes());
    let outcome = orogen(folder.path(), &["rules"]);
    assert!(outcome.out.contains("rule compose-transposes bitwise"));
    assert!(outcome.out.contains("unproven: "), "{}", outcome.out);
    let explored = "// explore, claimed for all sizes\nrule transpose-after-unary bitwise explored\n";
    assert!(outcome.out.contains(explored), "{}", outcome.out);
    let own = orogen(folder.path(), &["rules", "--rules", "my.rules"]);
    assert!(own.out.contains(ROOT), "{}", own.out);
    std::fs::write(folder.path().join("all.rules"), &outcome.out).expect("a file");
    let again = orogen(folder.path(), &["rules", "all.rules"]);
    assert_eq!(again.status, 0, "{}", again.err);
}

/// What is explored is all that is text; what is marked is nothing else.
#[test]
fn rules_of_a_file_are_explored() {
    let nodes = [
        onnx::node("Mul", "", &["x", "x"], &["a"], "square"),
        onnx::node("Sqrt", "", &["a"], &["y"], "root"),
    ];
    let dims = ["4096", "4096"];
    let model = onnx::model(&nodes, &[], &[onnx::value("x", &dims)], &[onnx::value("y", &dims)]);
    let (folder, _) = folder_with("m.onnx", &model);
    let marked = ROOT.replace("reassociates", "reassociates explored");
    for (name, text) in [("plain.rules", ROOT), ("marked.rules", &marked)] {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let with = |rules, passes| {
        simplified(folder.path(), &["--opt-in", "dataflow-ir", "--rules", rules, "--passes", passes])
    };
    assert!(with("plain.rules", "default").contains("abs("));
    assert!(with("marked.rules", "default").contains("sqrt("));
    for rules in ["plain.rules", "marked.rules"] {
        assert!(with(rules, "canonicalize,legalize,fuse").contains("sqrt("), "{rules}");
        assert!(with(rules, "canonicalize,explore,legalize,fuse").contains("abs("), "{rules}");
    }
    // On the legacy path nothing is explored.
    assert!(simplified(folder.path(), &["--rules", "marked.rules"]).contains("sqrt("));
    let turned = "rule turned bitwise\n  add(x, y) => add(y, x)\nrule transpose-after-unary bitwise explored\n  neg(neg(x)) => x\n";
    std::fs::write(folder.path().join("turned.rules"), turned).expect("a file");
    for (list, codes) in [("print", &["N012"][..]), ("rules", &["N012"])] {
        let file: &[&str] = if list == "print" { &["m.onnx", "--rules"] } else { &[] };
        let refused = orogen(folder.path(), &[&[list], file, &["turned.rules"]].concat());
        assert_eq!(refused.status, 3, "{}", refused.err);
        assert!(codes.iter().all(|it| refused.err.contains(it)), "{}", refused.err);
        assert!(refused.err.contains("write `explored` behind the class"), "{}", refused.err);
    }
    std::fs::write(
        folder.path().join("turned.rules"),
        turned.replace("turned bitwise", "turned bitwise explored"),
    )
    .expect("a file");
    let taken = orogen(folder.path(), &["print", "m.onnx", "--rules", "turned.rules"]);
    assert!(taken.err.contains("N004") && taken.err.contains("3:6"), "{}", taken.err);
    assert_eq!(orogen(folder.path(), &["rules", "turned.rules"]).status, 0);
}

/// A list of passes says for which instructions a pass runs, in a command and in a file.
#[test]
fn passes_run_by_target() {
    let (folder, _) = folder_with("m.onnx", &root_of_square());
    std::fs::write(folder.path().join("my.rules"), ROOT).expect("a file");
    let with = |cpu, passes: &[&str]| {
        simplified(folder.path(), &[&["--rules", "my.rules", "--cpu", cpu], passes].concat())
    };
    for (cpu, applies) in [("baseline", true), ("avx2", false), ("avx512vnni", false)] {
        for list in ["-simplify@avx2", "default,-simplify@avx2"] {
            assert_eq!(with(cpu, &["--passes", list]).contains("abs("), applies, "{cpu} {list}");
        }
        let only = "canonicalize,simplify{rounds=2}@baseline,-simplify@avx2,legalize,fuse";
        assert_eq!(with(cpu, &["--passes", only]).contains("abs("), applies, "{cpu}");
    }
    let toml = "[models.\"m.onnx\"]\npasses = [\"-simplify@avx512\"]\n";
    std::fs::write(folder.path().join("orogen.toml"), toml).expect("a file");
    assert!(with("avx2", &[]).contains("abs(") && with("avx512", &[]).contains("sqrt("));
    let run = |list| {
        orogen(folder.path(), &["opt", "m.onnx", "--cpu", "avx2", "--rules", "my.rules", "--passes", list])
    };
    assert!(run("simplify@avx2").out.contains("abs(") && run("simplify@avx512").out.contains("sqrt("));
    for args in
        [["print", "m.onnx", "--passes", "-simplify@sse9"], ["opt", "m.onnx", "--passes", "simplify@host"]]
    {
        let refused = orogen(folder.path(), &args);
        assert_eq!(refused.status, 3, "{}", refused.err);
        let said = refused.err.contains("error[N029]: there is no target")
            && refused.err.contains("choose baseline, avx2");
        assert!(said, "{}", refused.err);
    }
    // It has to fit for every target, not for this machine alone.
    let refused = orogen(folder.path(), &["print", "m.onnx", "--passes", "-legalize@avx512vnni"]);
    assert!(refused.status == 3 && refused.err.contains("N022"), "{}", refused.err);
}

/// A machine looks for values that a rule from outside changes, where it is asked to verify.
#[test]
fn a_rule_that_is_wrong_is_refused_by_verify() {
    let (folder, _) = folder_with("m.onnx", &root_of_square());
    let wrong = format!("{ROOT}rule wrong bitwise\n  transpose(x) {{perm = p}} => x\n");
    std::fs::write(folder.path().join("wrong.rules"), wrong).expect("a file");
    std::fs::write(folder.path().join("my.rules"), ROOT).expect("a file");
    let compile = |rules, more: &[&str]| {
        orogen(folder.path(), &[&["compile", "m.onnx", "-o", "m.so", "--rules", rules], more].concat())
    };
    assert_eq!(compile("my.rules", &["--verify"]).status, 0);
    assert_eq!(compile("wrong.rules", &[]).status, 0);
    let refused = compile("wrong.rules", &["--verify"]);
    assert_eq!(refused.status, 3, "{}", refused.err);
    for phrase in [
        "error[N015]: rule `wrong` is wrong: result 0 at [",
        "3:6",
        "in `wrong.rules`",
        "transpose(%p1)",
        "return %p1",
    ] {
        assert!(refused.err.contains(phrase), "no `{phrase}` in:\n{}", refused.err);
    }
    assert!(!refused.err.contains("root-of-square"), "{}", refused.err);
}
