//! Sequences and optionals in the tool.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod support;

use support::{floats, folder_with, npz, orogen};

/// Puts `x` into a sequence, and gives that, its element at `i`, and `o`.
const MODEL: &str = "module @main {
  sym n, k, out

  fn @main(%s: Sequence<Tensor<f32, rank 1>>, %x: Tensor<f32, [n]>, %i: Tensor<i64, []>, %o: Optional<Tensor<f32, rank 1>>) -> (all, item, same) !abort {
    dataflow {
      %all = sequence_insert(%s, %x)
      %item = sequence_at(%all, %i) : Tensor<f32, [k]>
      yield %all, %item
    }
    return %all, %item, %o
  }
}
";

const FLOW: [&str; 2] = ["--opt-in", "dataflow-ir"];

#[test]
fn sequences_and_optionals_are_numbered_arrays_of_a_file() {
    let (folder, _) = folder_with("model.flow", MODEL.as_bytes());
    let run = |args: &[&str]| orogen(folder.path(), &[args, &FLOW[..]].concat());
    let made = run(&["compile", "model.flow", "-o", "m.so", "--verify"]);
    assert_eq!(made.status, 0, "{}", made.err);
    let seen = orogen(folder.path(), &["inspect", "m.so"]).out;
    assert!(seen.contains("input  s: Sequence<Tensor<f32, rank 1>>"), "{seen}");
    assert!(seen.contains("output same: Optional<Tensor<f32, rank 1>>"), "{seen}");

    let path = folder.path().join("in.npz");
    let (one, two, at) = (floats(&[1.0]), floats(&[2.0, 3.0]), (-1_i64).to_le_bytes());
    let x = ("in:x", "<f4", "(2,)", false, &two[..]);
    let i = ("in:i", "<i8", "()", false, &at[..]);
    npz(&path, &[("in:s[0]", "<f4", "(1,)", false, &one), x, i]);
    let done = orogen(folder.path(), &["run", "m.so", "--inputs", "in.npz", "--save", "out.npz"]);
    assert_eq!(done.status, 0, "{}", done.err);
    let lines =
        "all[0] f32 [1]: 1.000000\nall[1] f32 [2]: 2.000000 3.000000\nitem f32 [2]: 2.000000 3.000000\n";
    assert!(done.out.starts_with(lines), "{}", done.out);
    assert!(!done.out.contains("same"), "an optional without a value: {}", done.out);
    let again = orogen(folder.path(), &["run", "m.so", "--inputs", "in.npz", "--expect", "out.npz"]);
    assert_eq!(again.status, 0, "{}{}", again.out, again.err);
    let interpreted =
        run(&["run", "model.flow", "--reference", "--inputs", "in.npz", "--expect", "out.npz", "--tol", "0"]);
    assert_eq!(interpreted.status, 0, "{}{}", interpreted.out, interpreted.err);
    assert!(!interpreted.out.contains("same"), "{}", interpreted.out);

    // An empty sequence, and a value of the optional.
    npz(&path, &[("s[]", "<f4", "(0,)", false, &[]), x, i, ("in:o", "<f4", "(1,)", false, &one)]);
    let done = orogen(folder.path(), &["run", "m.so", "--inputs", "in.npz"]);
    assert!(done.out.contains("all[0] f32 [2]: 2") && done.out.contains("same f32 [1]: 1"), "{}", done.out);
    // What is expected to be shorter or longer differs.
    let short = orogen(folder.path(), &["run", "m.so", "--inputs", "in.npz", "--expect", "out.npz"]);
    assert_ne!(short.status, 0, "{}{}", short.out, short.err);
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    let (folder, _) = folder_with("model.flow", MODEL.as_bytes());
    let run = |args: &[&str]| orogen(folder.path(), &[args, &FLOW[..]].concat());
    let random = run(&["run", "model.flow"]);
    assert_eq!(random.status, 2, "{}", random.err);
    assert!(random.err.contains("input `s` is a Sequence<Tensor<f32, rank 1>>"), "{}", random.err);

    let path = folder.path().join("in.npz");
    let (two, at) = (floats(&[2.0, 3.0]), 5_i64.to_le_bytes());
    let x = ("in:x", "<f4", "(2,)", false, &two[..]);
    let i = ("in:i", "<i8", "()", false, &at[..]);
    npz(&path, &[x, i]);
    let missing = run(&["run", "model.flow", "--inputs", "in.npz"]);
    assert_eq!(missing.status, 4, "{}", missing.err);
    assert!(missing.err.contains("there is no `s[0]`"), "{}", missing.err);
    npz(&path, &[("s[]", "<f4", "(0,)", false, &[]), x, i]);
    let beyond = run(&["run", "model.flow", "--inputs", "in.npz"]);
    assert_eq!(beyond.status, 5, "{}", beyond.err);
    assert!(beyond.err.contains("index 5 is out of range for the sequence, which has 1"), "{}", beyond.err);
    let interpreted = run(&["run", "model.flow", "--reference", "--inputs", "in.npz"]);
    assert_eq!(interpreted.status, 5, "{}", interpreted.err);
    assert!(interpreted.err.contains("position 5 of a sequence of 1"), "{}", interpreted.err);
    npz(
        &path,
        &[("s[0]", "<f8", "(1,)", false, &1.0_f64.to_le_bytes()), x, ("i", "<i8", "()", false, &[0; 8])],
    );
    let other = run(&["run", "model.flow", "--inputs", "in.npz"]);
    assert_eq!(other.status, 5, "{}", other.err);
    assert!(other.err.contains("element type: expected f32, got f64"), "{}", other.err);
}

/// Gives the values of the map at `i` of a sequence, that map, and the sequence with it once more.
const MAPS: &str = "module @main {
  sym v

  fn @main(%s: Sequence<Map<Tensor<string, rank 1>, Tensor<f32, rank 1>>>, %i: Tensor<i64, []>) -> (values, m, all) !abort {
    dataflow {
      %m = sequence_at(%s, %i)
      %values = map_values(%m) : Tensor<f32, [v]>
      %all = sequence_insert(%s, %m)
      yield %values, %m, %all
    }
    return %values, %m, %all
  }
}
";

#[test]
fn maps_are_two_arrays_of_a_file() {
    let (folder, _) = folder_with("model.flow", MAPS.as_bytes());
    let run = |args: &[&str]| orogen(folder.path(), &[args, &FLOW[..]].concat());
    let made = run(&["compile", "model.flow", "-o", "m.so", "--verify"]);
    assert_eq!(made.status, 0, "{}", made.err);
    let seen = orogen(folder.path(), &["inspect", "m.so"]).out;
    assert!(seen.contains("output m: Map<Tensor<string, rank 1>, Tensor<f32, rank 1>>"), "{seen}");

    let path = folder.path().join("in.npz");
    let text = |it: &str| it.chars().flat_map(|it| u32::from(it).to_le_bytes()).collect::<Vec<u8>>();
    let (keys, values, at) = (text("aß"), floats(&[0.5, -1.0]), 0_i64.to_le_bytes());
    let i = ("in:i", "<i8", "()", false, &at[..]);
    let both = [
        ("in:s[0][keys]", "<U1", "(2,)", false, &keys[..]),
        ("in:s[0][values]", "<f4", "(2,)", false, &values[..]),
    ];
    npz(&path, &[both[0], both[1], i]);
    let done = orogen(folder.path(), &["run", "m.so", "--inputs", "in.npz", "--save", "out.npz"]);
    assert_eq!(done.status, 0, "{}", done.err);
    let lines = "values f32 [2]: 0.500000 -1.000000\nm[keys] string [2]: \"a\" \"ß\"\n\
                 m[values] f32 [2]: 0.500000 -1.000000\nall[0][keys] string [2]: \"a\" \"ß\"\n";
    assert!(done.out.starts_with(lines), "{}", done.out);
    assert!(done.out.contains("all[1][values] f32 [2]"), "{}", done.out);
    let again = orogen(folder.path(), &["run", "m.so", "--inputs", "in.npz", "--expect", "out.npz"]);
    assert_eq!(again.status, 0, "{}{}", again.out, again.err);
    let interpreted = run(&["run", "model.flow", "--reference", "--inputs", "in.npz", "--expect", "out.npz"]);
    assert_eq!(interpreted.status, 0, "{}{}", interpreted.out, interpreted.err);
    // An object of which nothing is expected is named once.
    npz(&path, &[both[0], both[1], i, ("out:values", "<f4", "(2,)", false, &values)]);
    let part = orogen(folder.path(), &["run", "m.so", "--inputs", "in.npz", "--expect", "in.npz"]);
    assert!(part.out.contains("all: not compared (not in `in.npz`)"), "{}", part.out);
    assert!(!part.out.contains("all[0][keys]: not"), "{}", part.out);

    npz(&path, &[both[0], i]);
    let half = orogen(folder.path(), &["run", "m.so", "--inputs", "in.npz"]);
    assert_eq!(half.status, 4, "{}", half.err);
    assert!(half.err.contains("there is no `s[0][values]` in it, the other half of a map"), "{}", half.err);
    npz(&path, &[i]);
    let none = orogen(folder.path(), &["run", "m.so", "--inputs", "in.npz"]);
    assert_eq!(none.status, 4, "{}", none.err);
    assert!(none.err.contains("there is no `s[0][keys]`"), "{}", none.err);
}
