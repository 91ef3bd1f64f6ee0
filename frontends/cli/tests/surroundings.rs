//! Bad surroundings: things that are no files, outputs that cannot be, a process that ends in the middle.
#![cfg(unix)]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use support::{folder_with, kept, names, onnx, orogen};

fn mkfifo(path: &Path) {
    let status = Command::new("mkfifo").arg(path).status().expect("mkfifo is there");
    assert!(status.success());
}

#[test]
fn pipes_devices_and_folders_are_refused_and_never_waited_for() {
    let (folder, path) = folder_with("model.onnx", &onnx::relu("x", "y", &["2"]));
    mkfifo(&path.with_file_name("pipe"));
    for name in ["pipe", "/dev/zero", "."] {
        for args in [
            &["compile", name, "-o", "out.so"][..],
            &["run", name],
            &["bench", name],
            &["print", name],
            &["inspect", name],
            &["run", "model.onnx", "--inputs", name],
            &["run", "model.onnx", "--expect", name],
            &["run", "model.onnx", "--labels", name],
        ] {
            let outcome = orogen(folder.path(), args);
            assert_eq!(outcome.status, 4, "{args:?}: {}", outcome.err);
            let phrase = if name == "." { "it is a directory" } else { "it is not a regular file" };
            assert!(outcome.err.contains(phrase), "{args:?}: {}", outcome.err);
        }
    }
    mkfifo(&path.with_file_name("orogen.toml"));
    let outcome = orogen(folder.path(), &["run", "model.onnx"]);
    assert_eq!(outcome.status, 4, "{}", outcome.err);
}

#[test]
fn outputs_never_replace_what_is_no_file_nor_the_model() {
    let model = onnx::relu("x", "y", &["2"]);
    let (folder, path) = folder_with("model.onnx", &model);
    std::fs::create_dir(path.with_file_name("folder")).expect("a folder");
    let null = std::fs::symlink_metadata("/dev/null").expect("there is one").file_type();
    for target in ["/dev/null", "folder"] {
        for args in [&["compile", "model.onnx", "-o", target][..], &["run", "model.onnx", "--save", target]] {
            let outcome = orogen(folder.path(), args);
            assert_eq!(outcome.status, 4, "{args:?}: {}", outcome.err);
            assert!(outcome.err.contains("it exists and is not a regular file"), "{args:?}: {}", outcome.err);
        }
    }
    assert_eq!(std::fs::symlink_metadata("/dev/null").expect("there still is").file_type(), null);
    let outcome = orogen(folder.path(), &["compile", "model.onnx", "-o", "./model.onnx"]);
    assert_eq!(outcome.status, 2, "{}", outcome.err);
    assert_eq!(std::fs::read(&path).expect("the model is there"), model);
    assert_eq!(names(folder.path()), ["folder", "model.onnx"]);
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    // No file may be longer than 64 blocks; the signal that says so is turned into an error.
    let script = "trap '' XFSZ; ulimit -f 64; exec \"$0\" compile \"$1\" -o out.so --opt-in dataflow-ir";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_orogen"), &kept("magika_v3_3/model.onnx")])
        .current_dir(folder.path())
        .output()
        .expect("the shell starts");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("cannot write `out.so`"), "{text}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_process_that_is_killed_leaves_nothing_or_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = kept("magika_v3_3/model.onnx");
    let mut killed = 0;
    for delay in (0..400).step_by(40) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_orogen"))
            .args(["compile", &model, "-o", "out.so", "--opt-in", "dataflow-ir"])
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("the tool starts");
        std::thread::sleep(Duration::from_millis(delay));
        child.kill().expect("it can be killed");
        killed += usize::from(!child.wait().expect("it ends").success());
        if names(folder.path()).is_empty() {
            continue;
        }
        assert_eq!(names(folder.path()), ["out.so"]);
        let outcome = orogen(folder.path(), &["inspect", "out.so"]);
        assert_eq!(outcome.status, 0, "after {delay} ms: {}", outcome.err);
        std::fs::remove_file(folder.path().join("out.so")).expect("it can be removed");
    }
    assert!(killed > 0, "every compilation had ended before it was killed");
}

#[test]
fn two_compilations_to_one_output_do_not_mix() {
    let folder = tempfile::tempdir().expect("a folder");
    let models = [kept("control_flow/model.onnx"), kept("ppocr_cls_mobile_v2/model.onnx")];
    for _ in 0..3 {
        let start = |model: &String| {
            Command::new(env!("CARGO_BIN_EXE_orogen"))
                .args(["compile", model, "-o", "out.so", "--opt-in", "dataflow-ir"])
                .current_dir(folder.path())
                .stdout(Stdio::null())
                .spawn()
                .expect("the tool starts")
        };
        let mut running: Vec<_> = models.iter().chain(&models).map(start).collect();
        for child in &mut running {
            assert!(child.wait().expect("it ends").success());
        }
        assert_eq!(names(folder.path()), ["out.so"]);
        let outcome = orogen(folder.path(), &["run", "out.so"]);
        assert_eq!(outcome.status, 0, "{}", outcome.err);
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let script = "\"$0\" print \"$1\" --opt-in dataflow-ir | head -n 1; exit ${PIPESTATUS[0]}";
    let output = Command::new("bash")
        .args(["-c", script, env!("CARGO_BIN_EXE_orogen"), &kept("magika_v3_3/model.onnx")])
        .output()
        .expect("the shell starts");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn colours_are_for_terminals() {
    let (folder, _) = folder_with("model.onnx", b"text");
    let outcome = orogen(folder.path(), &["inspect", "model.onnx"]);
    assert!(!outcome.err.contains('\u{1b}'), "{:?}", outcome.err);
}
