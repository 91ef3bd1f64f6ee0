//! Arenas in parts, and what is proven, refuted or neither.

use super::proof;
use crate::plan::verify::{prove_module, verify, verify_module};
use crate::plan::{Step, parse_plan};
use crate::types::ConstPool;

/// Two values that live side by side in an arena of two parts.
const PARTS: &str = "plan @main {
  size n
  size m
  in x: f32[n]
  in z: f32[m]
  out y: f32[n]
  from n = %in0[0]
  from m = %in1[0]
  arena 64*floordiv(m + 15, 16) + 64*floordiv(n + 15, 16) of 64*floordiv(m + 15, 16), 64*floordiv(n + 15, 16)
  slot %s0: f32[m] = ^0[0]
  slot %s1: f32[n] = ^0[64*floordiv(m + 15, 16)]
  steps {
    alloc ^0
    alloc %out0
    copy %in1 to %s0; 4*m
    copy %in0 to %s1; 4*n
    copy %s1 to %out0; 4*n
  }
}
";

#[test]
fn proofs_are_counted_by_law() {
    let proof = proof(PARTS);
    assert!(proof.is_whole());
    // Each slot: aligned, no negative dimension, within; and the whole aligned. A read,
    // three copies between different places. What copies take is not less than nothing, not more than there is, and all of
    // the target.
    assert_eq!(proof.to_string(), "20 of 20 questions about sizes are proven (P3 4, P4 7, P5 9)");
}

#[test]
fn parts_are_not_believed() {
    // Parts that do not add up say nothing; what they would have said has to be proven otherwise.
    let wrong = PARTS.replacen("of 64*floordiv(m + 15, 16)", "of 64*floordiv(m + 31, 16)", 1);
    assert!(proof(&wrong).is_whole());
    // A slot that is larger than its part takes what lies behind it.
    let larger = PARTS
        .replace("%s0: f32[m]", "%s0: f32[m + n]")
        .replace("; 4*m", "; 4*m + 4*n")
        .replace("z: f32[m]", "z: f32[m + n]")
        .replace("    copy %s1 to", "    copy %s0 to %out0; 4*n\n    copy %s1 to");
    let plan = parse_plan(&larger, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}"));
    let found = verify(&plan).expect_err("overlap");
    assert!(found.iter().any(|it| it.code == "P003"), "{found}");
}

/// A part is its largest slot rounded up, with which `n m` is not compared; that it is no larger than that slot says enough.
#[test]
fn a_slot_is_within_a_part_by_a_larger_one() {
    let text = "plan @main {
  size n
  size m
  size p
  in x: u8[n, m]
  in y: f32[n, m, 4*m + 4*p]
  in z: f32[n]
  in w: f32[p]
  out a: u8[n, m]
  out b: f32[n, m, 4*m + 4*p]
  from n = %in0[0]
  from m = %in0[1]
  from p = %in3[0]
  entry check m - 1 >= 0 \"m\"
  arena 64*floordiv(n*m*p + n*m*m + 3, 4) + 64*floordiv(n + 15, 16) of 64*floordiv(n*m*p + n*m*m + 3, 4), 64*floordiv(n + 15, 16)
  slot %s0: f32[n, m, 4*m + 4*p] = ^0[0]
  slot %s1: u8[n, m] = ^0[0]
  slot %s2: f32[n] = ^0[64*floordiv(n*m*p + n*m*m + 3, 4)]
  steps {
    alloc ^0
    alloc %out0
    alloc %out1
    copy %in1 to %s0; 16*n*m*m + 16*n*m*p
    copy %s0 to %out1; 16*n*m*m + 16*n*m*p
    copy %in0 to %s1; n*m
    copy %in2 to %s2; 4*n
    copy %s1 to %out0; n*m
  }
}
";
    let of_all = proof(text);
    assert!(of_all.is_whole(), "{:?}", of_all.open);
}

#[test]
fn what_is_refuted_comes_with_sizes() {
    let small = PARTS.replace("%s1: f32[n]", "%s1: f32[2*n]");
    let plan = parse_plan(&small, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}"));
    let found = verify(&plan).expect_err("a slot that sticks out");
    assert_eq!(found.0[0].code, "P004", "{found}");
    assert!(found.0[0].message.contains("n = "), "{found}");
}

#[test]
fn what_is_neither_proven_nor_refuted_is_told() {
    // For all whole numbers `n ≤ n²`, which the prover does not see: n (n - 1) is a product of what may be negative.
    let text = PARTS
        .replace("  in z: f32[m]\n", "  in z: f32[m]\n  in w: f32[n*n]\n")
        .replace("  slot %s0", "  arena 128*n*n*n\n  slot %s0")
        .replace(
            "  steps {\n",
            "  slot %s2: f32[n*n] = ^1[0]\n  slot %s3: f32[n] = ^1[64*n*n*n]\n  steps {\n    alloc ^1\n",
        )
        .replace(
            "    copy %s1 to",
            "    copy %in0 to %s3; 4*n\n    copy %in2 to %s2; 4*n*n\n    copy %s3 to",
        );
    let proof = proof(&text);
    assert!(!proof.is_whole() && proof.count().proven > 0, "{proof}");
    assert!(proof.open.iter().all(|it| it.code == "P013" && it.place.is_some()), "{:?}", proof.open);
    // What is told is checked when the plan runs, and then nothing is open: neither sizes nor what overlaps.
    let mut module = parse_plan(&text, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}")).into();
    let proven = prove_module(&mut module).unwrap_or_else(|it| panic!("{it}"));
    assert!(proven.is_whole() && proven.checked.len() >= proof.open.len(), "{proven}");
    assert!(proven.to_string().contains("by checks at run time"), "{proven}");
    let steps = &module.functions[0].steps;
    let checks = steps.iter().filter(|it| matches!(it, Step::Check(_))).count();
    assert!(checks > 0 && matches!(steps[0], Step::Check(_)), "{steps:?}");
    assert!(verify_module(&module).is_ok_and(|it| it.is_whole()));
}

#[test]
fn memory_is_that_of_the_sizes_it_was_got_for() {
    let text = PARTS
        .replace("  size m\n", "  size m\n  size k\n")
        .replace("64*floordiv(m + 15, 16)", "64*k")
        .replace("%s0: f32[m]", "%s0: f32[k]")
        .replace("    alloc ^0\n", "    let k = m\n    alloc ^0\n");
    assert!(proof(&text).is_whole());
    let later = text.replace("    copy %s1 to", "    let k = m + 1\n    copy %s1 to");
    let plan = parse_plan(&later, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}"));
    let found = verify(&plan).expect_err("memory of another size");
    assert_eq!(found.0[0].code, "P002", "{found}");
}
