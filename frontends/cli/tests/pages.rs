//! Pages of `docs/` that begin in an empty folder: their commands are run as they stand there.
//!
//! With `OROGEN_NIGHTLY` cargo builds and runs what begins in an empty folder. In other runs of the tests cargo is stood in
//! for, because to build the compiler anew takes minutes: `cargo add` checks that the crate
//! is where the page says, and `cargo run` that the program is an example, which is compiled and run as a test by itself
//! with no other dependency than `orogen`, and that the files which it opens are there.
#![cfg(target_os = "linux")]

mod support;

use acme as _; // so that it is built
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{floats, npz, onnx};

const CARGO: &str = r#"
cargo() {
    case "$1" in
    new) mkdir -p "$2/src" && echo 'fn main() {}' > "$2/src/main.rs" && echo "name = \"$2\"" > "$2/Cargo.toml" ;;
    add) [ "$2 $3" = "orogen --path" ] && grep -qx 'name = "orogen"' "$4/Cargo.toml" && echo orogen >> Cargo.toml ;;
    run)
        grep -qx orogen Cargo.toml || { echo "the crate depends on nothing"; return 1; }
        local file known=
        for file in "$OROGEN"/examples/*.rs; do cmp -s "$file" src/main.rs && known="$file"; done
        [ -n "$known" ] || { echo "src/main.rs is no example"; return 1; }
        for file in $(grep -o '"models/[^"]*"' src/main.rs | tr -d '"'); do
            [ -f "$file" ] || { echo "the program opens $file, which is not there"; return 1; }
        done ;;
    build) [ "$2 $3" = "-p acme-plugin" ] && [ -f target/debug/libacme.so ] ;;
    *) echo "cargo $*: what is this?"; return 1 ;;
    esac
}
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the root")
}

/// The shell blocks of a page.
fn blocks(page: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match line.strip_prefix("```") {
            Some(kind) => {
                inside = kind == "sh";
                found.extend(inside.then(String::new));
            }
            None if inside => found.last_mut().expect("a block began").extend([line, "\n"]),
            None => {}
        }
    }
    found
}

/// Cargo itself, with the versions of crates that the repository has, and one folder for what is built.
const REAL_CARGO: &str = r#"
cargo() {
    command cargo "$@" || return 1
    if [ "$1" = new ]; then cp "$OROGEN/Cargo.lock" "$2/"; fi
}
export CARGO_TARGET_DIR="$OROGEN/target/guides"
"#;

/// Runs a block in a folder.
fn run(block: &str, folder: &Path) -> Result<(), String> {
    run_with(CARGO, block, folder)
}

fn run_with(cargo: &str, block: &str, folder: &Path) -> Result<(), String> {
    let tool = Path::new(env!("CARGO_BIN_EXE_orogen")).parent().expect("it is in a folder").to_path_buf();
    let path = std::env::var("PATH").unwrap_or_default();
    let script = format!("set -eu\n{cargo}\n{block}");
    let ran = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder)
        .env("OROGEN", root())
        .env("PATH", format!("{}:{path}", tool.display()))
        .output()
        .map_err(|it| it.to_string())?;
    let text = [ran.stdout, ran.stderr].concat();
    if ran.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&text).into_owned()) }
}

#[test]
fn every_command_of_the_guides_works() {
    let plugin = std::env::current_exe().expect("a test has a path").with_file_name("libacme.so");
    let nodes = [
        onnx::node("Mul", "", &["x", "x"], &["a"], "square"),
        onnx::node("Sqrt", "", &["a"], &["y"], "root"),
    ];
    let model = onnx::model(&nodes, &[], &[onnx::value("x", &["4"])], &[onnx::value("y", &["4"])]);
    for (name, least) in [
        ("add-an-operator.md", 2),
        ("bring-your-own-kernel.md", 1),
        ("passes.md", 1),
        ("write-a-pass.md", 1),
        ("write-a-rule.md", 2),
    ] {
        let page = std::fs::read_to_string(root().join("docs").join(name)).expect("the page");
        let blocks = blocks(&page);
        assert!(blocks.len() >= least, "{name} has {} blocks", blocks.len());
        for block in blocks {
            let folder = tempfile::tempdir().expect("a folder");
            // What does not begin from nothing has a model of the reader, or begins in the checkout.
            if !block.starts_with("cargo new") {
                std::fs::write(folder.path().join("model.onnx"), &model).expect("written");
                std::fs::create_dir_all(folder.path().join("target/debug")).expect("a folder");
                let link = |from: PathBuf, to: &str| {
                    std::os::unix::fs::symlink(from, folder.path().join(to)).expect("a link");
                };
                link(root().join("examples"), "examples");
                link(plugin.clone(), "target/debug/libacme.so");
            }
            if let Err(said) = run(&block, folder.path()) {
                panic!("{name}:\n{block}\n{said}");
            }
        }
    }
}

#[test]
fn what_begins_in_an_empty_folder_builds_and_runs() {
    if std::env::var_os("OROGEN_NIGHTLY").is_none() {
        return;
    }
    let mut tried = 0;
    for name in ["add-an-operator.md", "bring-your-own-kernel.md", "write-a-pass.md", "write-a-rule.md"] {
        let page = std::fs::read_to_string(root().join("docs").join(name)).expect("the page");
        for block in blocks(&page).iter().filter(|it| it.starts_with("cargo new")) {
            let folder = tempfile::tempdir().expect("a folder");
            if let Err(said) = run_with(REAL_CARGO, block, folder.path()) {
                panic!("{name}:\n{block}\n{said}");
            }
            tried += 1;
        }
    }
    assert_eq!(tried, 4, "each guide begins in an empty folder");
}

#[test]
fn examples_need_no_other_crate() {
    let text = std::fs::read_to_string(root().join("examples/Cargo.toml")).expect("the examples");
    let needs = text.split("[dev-dependencies]\n").nth(1).and_then(|it| it.split("\n\n").next());
    let crates = needs.unwrap_or_default().lines().map(|it| it.split([' ', '.', '=']).next().unwrap_or(it));
    assert_eq!(crates.collect::<Vec<_>>(), ["orogen"]);
}

/// The page on wrong values, for a reader whose model is right, and whose `small.graph` shows a rule that is wrong.
#[test]
fn every_command_of_the_page_on_wrong_values_works() {
    let dims = ["4", "4"];
    let names = ["a", "b", "c", "d", "e", "f", "y"];
    // Kernels that differ, merged or not.
    let ops = ["MatMul", "MatMul", "Relu", "MatMul", "Neg", "MatMul", "Abs"];
    let node = |i: usize| {
        let before = if i == 0 { "x" } else { names[i - 1] };
        let operands: &[&str] = if ops[i] == "MatMul" { &[before, "x"] } else { &[before] };
        onnx::node(ops[i], "", operands, &[names[i]], names[i])
    };
    let nodes: Vec<Vec<u8>> = (0..names.len()).map(node).collect();
    let model = onnx::model(&nodes, &[], &[onnx::value("x", &dims)], &[onnx::value("y", &dims)]);
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).expect("written");
    write("model.onnx", &model);
    write("small.graph", b"graph @g(%x: f32[2]) {\n  %0 = mul(%x, %x)\n  return y = %0\n}\n");
    write("wrong.rules", b"rule wrong bitwise\n  mul(x, x) => add(x, x)\n");
    write("orogen.toml", b"[models.\"small.graph\"]\nrules = [\"wrong.rules\"]\n");
    let zeros = floats(&[0.0; 16]);
    let arrays = |file: &str, names: &[&str]| {
        let arrays: Vec<_> = names.iter().map(|it| (*it, "<f4", "(4, 4)", false, &zeros[..])).collect();
        npz(&folder.path().join(file), &arrays);
    };
    arrays("data.npz", &["in:x", "out:y"]);
    arrays("in.npz", &["x"]);
    arrays("out.npz", &["y"]);
    arrays("values.npz", &names);
    npz(&folder.path().join("small.npz"), &[("x", "<f4", "(2,)", false, &floats(&[3.0, 5.0]))]);
    let page = std::fs::read_to_string(root().join("docs/find-a-wrong-value.md")).expect("the page");
    let blocks = blocks(&page);
    assert!(blocks.len() >= 7, "the page has {} blocks", blocks.len());
    for block in blocks {
        if let Err(said) = run(&block, folder.path()) {
            panic!("{block}\n{said}");
        }
    }
}

#[test]
fn a_page_that_is_wrong_is_found() {
    let folder = || tempfile::tempdir().expect("a folder");
    for (block, said) in [
        ("cargo new a && cd a\ncargo add orogen --path $OROGEN/ir\n", ""),
        ("cargo new a && cd a\ncargo run\n", "depends on nothing"),
        (
            "cargo new a && cd a\ncargo add orogen --path $OROGEN/frontends/driver\ncargo run\n",
            "src/main.rs is no example",
        ),
        (
            "cargo new a && cd a\ncargo add orogen --path $OROGEN/frontends/driver\n\
             cp $OROGEN/examples/pass.rs src/main.rs\ncargo run\n",
            "models/scale.onnx, which is not there",
        ),
        ("orogen pases\n", "unrecognized subcommand"),
    ] {
        let found = run(block, folder().path()).expect_err(block);
        assert!(found.contains(said), "{block}: {found}");
    }
}
