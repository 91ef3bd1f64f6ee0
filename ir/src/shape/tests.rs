//! Laws on random expressions, and the cases that shaped the rules.

use indexmap::IndexMap;

use super::testing::{Config, Decided, property_canonical, property_sound};
use super::*;

const SMALL: Config = Config { depth: 4, constants: 9, extreme: false, symbolic_divisors: false };
const SYMBOLIC: Config = Config { symbolic_divisors: true, depth: 3, ..SMALL };
const EXTREME: Config = Config { extreme: true, ..SYMBOLIC };

#[test]
fn s2_s3_s5_canonical_forms_of_random_expressions() {
    for (config, seeds) in [(SMALL, 35_000), (SYMBOLIC, 12_000), (EXTREME, 6_000)] {
        let mut compared = 0;
        for seed in 0..seeds {
            compared += property_canonical(seed, &config).unwrap_or_else(|error| panic!("{error}"));
        }
        assert!(compared > seeds as u32, "only {compared} values compared with {config:?}");
    }
}

#[test]
fn s6_s7_s9_proofs_bounds_and_simplification_are_sound() {
    for (config, seeds) in [(Config { depth: 2, ..SMALL }, 500), (SYMBOLIC, 250), (EXTREME, 150)] {
        let mut total = Decided::default();
        for seed in 0..seeds {
            let decided = property_sound(seed, &config).unwrap_or_else(|error| panic!("{error}"));
            total.always += decided.always;
            total.never += decided.never;
            total.unknown += decided.unknown;
        }
        assert!(total.always > seeds as u32 && total.never > seeds as u32, "{total:?} with {config:?}");
    }
}

fn same(texts: &[&str]) {
    let mut cx = ShapeCx::new();
    let dims: Vec<Dim> = texts.iter().map(|text| cx.parse(text).unwrap()).collect();
    let shown: Vec<String> = dims.iter().map(|&d| cx.display(d).to_string()).collect();
    assert!(dims.iter().all(|&d| d == dims[0]), "{texts:?} became {shown:?}");
}

#[test]
fn s3_equal_expressions_are_one_handle() {
    same(&["4*(s // 4) + s % 4", "s"]);
    same(&["(7*s + 3) // 4 + 1", "7*(s + 1) // 4"]);
    same(&["(s // 2) // 3", "s // 6", "floordiv(s, 6)"]);
    same(&["(2*s + 4) // 6", "(s + 2) // 3", "(2*s + 5) // 6"]);
    same(&["ceildiv(s, 8)", "(s + 7) // 8"]);
    same(&["ceildiv(ceildiv(s, 2), 4)", "(s + 7) // 8"]);
    same(&["(a + b)*(a - b)", "a*a - b*b"]);
    same(&["floordiv(b*s*64, s*64)", "b"]);
    same(&["floordiv((a + b)*(c + 1), c + 1)", "a + b"]);
    same(&["floordiv(i*(h + w) + j, h + w)", "i + floordiv(j, h + w)"]);
    same(&["floordiv(i*w + j, w)", "i + floordiv(j, w)"]);
    same(&["floordiv(6*a, 4*b)", "floordiv(3*a, 2*b)"]);
    same(&["floordiv(a, -b)", "floordiv(-a, b)"]);
    same(&["min(a, min(b, 4), a)", "min(4, b, a)"]);
    same(&["min(n, n + 1)", "n"]);
    same(&["max(n, 0)", "n"]);
    same(&["max(n, n + m, n - 1)", "n + m"]);
    same(&["mod(mod(s, 8), 4)", "mod(s, 4)"]);
    same(&["floordiv(mod(s, 8), 8)", "0"]);
    same(&["-7 // 2", "-4"]);
    same(&["-7 % 3", "2"]);
    same(&["7 // -2", "-4"]);
    same(&["n - n // 1", "n*0", "0"]);
}

#[test]
fn text_has_one_spelling() {
    let mut cx = ShapeCx::new();
    for (text, expected) in [
        ("1 + n*2 + s*n", "n*s + 2*n + 1"),
        ("(n + 1) // 2", "floordiv(n + 1, 2)"),
        ("min(4, n)", "min(n, 4)"),
        ("max(z, a, 10, 2*a)", "max(2*a, z, 10)"),
        ("a // b", "floordiv(a, b)"),
        ("-n", "-n"),
        ("3 - 2*n", "-2*n + 3"),
        ("n*n*n", "n*n*n"),
        ("\"a b\" + \"\" + \"quo\\\"te\" + \"\\u{7}\"", "\"\" + \"\\u{7}\" + \"a b\" + \"quo\\\"te\""),
        ("\"min\" + x.1 + _y", "\"min\" + _y + x.1"),
        ("\"ünïcode\"", "\"ünïcode\""),
        ("-9223372036854775808", "-9223372036854775808"),
        ("n - 9223372036854775808", "n - 9223372036854775808"),
        ("-9223372036854775808*n", "-9223372036854775808*n"),
        ("m - 9223372036854775808*n", "m - 9223372036854775808*n"),
        ("9223372036854775807", "9223372036854775807"),
    ] {
        let d = cx.parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(cx.display(d).to_string(), expected);
        assert_eq!(cx.parse(expected), Ok(d));
    }
}

#[test]
fn text_errors_have_a_place() {
    let mut cx = ShapeCx::new();
    for (text, offset) in [
        ("", 0),
        ("n +", 3),
        ("n n", 2),
        ("(n", 2),
        ("n)", 1),
        ("min()", 4),
        ("mod(n)", 5),
        ("n // 0", 6),
        ("\"abc", 0),
        ("\"a\\x\"", 2),
        ("n + 9223372036854775808", 23),
        ("99999999999999999999", 0),
        ("n $ 2", 2),
        ("ü", 0),
        ("min", 3),
    ] {
        let error = cx.parse(text).expect_err(text);
        assert_eq!(error.offset, offset, "{text}: {error}");
    }
    let deep = "(".repeat(100_000);
    assert!(cx.parse(&deep).is_err());
    let minus = "-".repeat(100_000) + "n";
    assert!(cx.parse(&minus).is_err());
}

/// Facts, then claims with the expected answer.
fn prove(facts: &[&str], claims: &[(&str, Truth)]) {
    let mut cx = ShapeCx::new();
    for fact in facts {
        let fact = constraint(&mut cx, fact);
        cx.assume(fact).unwrap_or_else(|error| panic!("{error}"));
    }
    for (claim, expected) in claims {
        let fact = constraint(&mut cx, claim);
        assert_eq!(cx.prove(fact), *expected, "{claim} given {facts:?}");
    }
}

fn constraint(cx: &mut ShapeCx, text: &str) -> Constraint {
    cx.parse_fact(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn s7_proofs_reach_what_shape_inference_asks() {
    use Truth::{Always, Never, Unknown};
    prove(&[], &[("n >= 0", Always), ("n >= 1", Unknown), ("n + 1 >= 0", Always), ("n < n", Never)]);
    prove(
        &[],
        &[("n*m >= 0", Always), ("n + 1 == n", Never), ("2*n == 2*m + 1", Never), ("2 | 4*n + 6", Always)],
    );
    prove(&["n >= 1"], &[("n*m >= m", Always), ("2*n >= n + 1", Always), ("n*n >= n", Always)]);
    prove(&["n >= 1", "m >= 1"], &[("n*m >= n", Always), ("n*m >= 1", Always), ("n*m == 0", Never)]);
    prove(&["n < m"], &[("n == m", Never), ("m >= n", Always), ("m < n", Never), ("m >= 1", Always)]);
    prove(
        &["a < b", "b < c", "c < d"],
        &[("a < d", Always), ("d >= a + 3", Always), ("d >= a + 4", Unknown)],
    );
    prove(&["b*s == t*h"], &[("2*b*s == 2*t*h", Always), ("b*s + 1 == t*h", Never), ("b == t", Unknown)]);
    prove(&["b*s == t*h"], &[("b*s*c == c*h*t", Always)]);
    prove(&["n == 2*k"], &[("2 | n", Always), ("2 | n + 1", Never), ("floordiv(n, 2) == k", Always)]);
    prove(&["8 | n"], &[("4 | n", Always), ("4 | n + 4", Always), ("4 | n + 2", Never), ("16 | n", Unknown)]);
    prove(&["8 | n + m"], &[("4 | n + m", Always), ("8 | 3*n + 3*m + 8", Always), ("8 | n", Unknown)]);
    prove(&[], &[("n >= floordiv(n, 2)", Always), ("n >= 2*floordiv(n, 2)", Always)]);
    prove(&[], &[("floordiv(n + 3, 4)*4 >= n", Always), ("floordiv(n + 3, 4)*4 < n + 4", Always)]);
    prove(&[], &[("mod(n, 8) < 8", Always), ("mod(n, 8) >= 0", Always), ("mod(n, 8) == 8", Never)]);
    // A divisor that is a difference, as of a slice that is repeated.
    prove(
        &[],
        &[
            ("n - floordiv(n, m - min(m, 4))*(m - min(m, 4)) >= 0", Always),
            ("n - floordiv(n, m - min(m, 4))*(m - min(m, 4)) + min(m, 4) < m", Always),
            ("n - floordiv(n, m - 4)*(m - 4) >= 0", Unknown),
        ],
    );
    prove(&[], &[("n - floordiv(n, 2) == floordiv(n + 1, 2)", Always)]);
    prove(&[], &[("min(n, m) < m + 1", Always), ("max(n, m) >= n", Always), ("n + m >= max(n, m)", Always)]);
    prove(
        &[],
        &[
            ("min(n, m) + max(n, m) == n + m", Always),
            ("min(n, m) >= 0", Always),
            ("n >= min(n, m)*1", Always),
        ],
    );
    prove(&["k*n >= k", "k*m >= k"], &[("k*min(n, m) >= k", Always)]);
    prove(&["n < m"], &[("min(n, m) == n", Always), ("max(n, m) == m", Always)]);
    prove(&["s >= 1"], &[("mod(j, s) < s", Always), ("mod(j, s) >= 0", Always)]);
    prove(&["n >= 1", "5 >= n"], &[("n*n < 26", Always), ("n == 7", Never), ("floordiv(n, 5) < 2", Always)]);
}

#[test]
fn s10_an_index_says_nothing_outside_its_loop() {
    let mut cx = ShapeCx::new();
    let n = cx.sym("n");
    let i = cx.fresh_index("i", n);
    let zero = cx.int(0);
    assert_eq!(cx.prove_lt(i, n), Truth::Always);
    assert_eq!(cx.prove_ge(i, zero), Truth::Always);
    // With n = 0 the loop does not run, and n ≥ 1 is false.
    assert_eq!(cx.prove_lt(zero, n), Truth::Unknown);
    assert_eq!(cx.bounds(n).lo, Some(0));
    let explicit = cx.sub(n, i).unwrap();
    cx.assume(Constraint::AtLeast(explicit, 1)).unwrap();
    assert_eq!(cx.prove_lt(zero, n), Truth::Unknown);
    // Nested loops: the inner extent mentions the outer index.
    let below = cx.parse("i + 1").unwrap();
    let j = cx.fresh_index("j", below);
    assert_eq!(cx.prove_le(j, i), Truth::Always);
    assert_eq!(cx.prove_lt(j, n), Truth::Always);
}

#[test]
fn s9_simplification_of_index_arithmetic() {
    let mut cx = ShapeCx::new();
    let (four, s) = (cx.int(4), cx.sym("s"));
    cx.fresh_index("i", four);
    cx.fresh_index("j", s);
    for (text, expected) in [
        ("i // 4", "0"),
        ("i % 4", "i"),
        ("(8*k + 2*i) // 8", "k"),
        ("(6*k + i // 2) // 4", "k + floordiv(k, 2)"),
        ("(4*k - i + 3) // 4", "k"),
        ("(4*k + i) % 4", "i"),
        ("(k*s + j) // s", "k"),
        ("(k*s + j) % s", "j"),
        ("min(i, 3)", "i"),
        ("max(i - 4, k)", "k"),
        ("min(i + 4*k, 4*k + 3)", "i + 4*k"),
    ] {
        let d = cx.parse(text).unwrap();
        let simple = cx.simplify(d);
        assert_eq!(cx.display(simple).to_string(), expected, "{text} is {}", cx.display(d));
    }
}

#[test]
fn s9_simplification_uses_facts() {
    let mut cx = ShapeCx::new();
    for fact in ["8 | n", "b*q == t*h", "m = 3", "7 >= p"] {
        let fact = constraint(&mut cx, fact);
        cx.assume(fact).unwrap();
    }
    for (text, expected) in [
        ("ceildiv(n, 8)*8", "n"),
        ("4*floordiv(n + 7, 4)", "n + 4"),
        ("floordiv(n + 7, 8)", "floordiv(n, 8)"),
        ("floordiv(b*q, h)", "t"),
        ("floordiv(t*h, q)", "b"),
        ("m*m + n", "n + 9"),
        ("min(m, n + 3)", "3"),
        ("min(p, 7)", "p"),
    ] {
        let d = cx.parse(text).unwrap();
        let simple = cx.simplify(d);
        assert_eq!(cx.display(simple).to_string(), expected);
    }
}

#[test]
fn s9_equations_that_feed_themselves_end() {
    let mut cx = ShapeCx::new();
    for fact in ["y == max(z - 6*y, 7) - 63", "p == floordiv(q, 2)", "q == floordiv(p, 3) + 1"] {
        let fact = constraint(&mut cx, fact);
        cx.assume(fact).unwrap();
    }
    for text in ["y", "max(z - 6*y, 7)", "p + q", "floordiv(p, 5)"] {
        let d = cx.parse(text).unwrap();
        let simple = cx.simplify(d);
        assert_eq!(cx.simplify(simple), simple, "{text}");
    }
}

#[test]
fn s8_limits_are_errors() {
    let mut cx = ShapeCx::new();
    let (n, big) = (cx.sym("n"), cx.int(i64::MAX));
    assert_eq!(cx.add_int(big, 1), Err(Overflow));
    assert_eq!(cx.mul(big, big), Err(Overflow));
    assert_eq!(cx.floor_div(n, 0), Err(Overflow));
    let zero = cx.int(0);
    assert_eq!(cx.floor_div_dim(n, zero), Err(Overflow));
    assert_eq!(cx.product(&[big, big, zero]), Ok(zero));
    assert_eq!(cx.min(&[]), Err(Overflow));
    assert_eq!(cx.sum(&[]), Ok(zero));
    // Degree, number of terms, nesting, written size.
    let mut power = n;
    assert!((0..100).any(|_| cx.mul(power, n).map(|d| power = d).is_err()));
    let mut sum = zero;
    assert!((0..1000).any(|at| {
        let next = cx.sym(&format!("v{at}"));
        cx.add(sum, next).map(|d| sum = d).is_err()
    }));
    let mut deep = n;
    assert!((0..1000).any(|at| {
        let m = cx.sym(&format!("w{}", at % 7));
        let step = cx.max(&[deep, m]).and_then(|d| cx.add(d, m)).and_then(|d| cx.floor_div(d, 3));
        step.map(|d| deep = d).is_err()
    }));
    let mut wide = n;
    assert!((0..64).any(|_| {
        let step = cx.mul(wide, wide).and_then(|d| cx.add(d, wide)).and_then(|d| cx.floor_div(d, 3));
        step.map(|d| wide = d).is_err()
    }));
    assert_eq!(cx.check(), Ok(()));
    assert!(cx.display(wide).to_string().len() < 100_000);
}

#[test]
fn s8_extreme_coefficients_in_facts() {
    let mut cx = ShapeCx::new();
    let low = i64::MIN;
    for fact in [
        format!("{low}*n - m == 0"),
        "-a - b == 0".to_owned(),
        format!("{} | n + x", i64::MAX),
        format!("{low} | a + x"),
        format!("{low} | {low}*a + n"),
    ] {
        let fact = constraint(&mut cx, &fact);
        // Whether it is refused does not matter here.
        let _ = cx.assume(fact);
    }
    for text in
        [format!("{low}*a"), format!("{low}*n + {low}*x"), format!("{low}*a + {low}*b - 1"), "n - m".into()]
    {
        let d = cx.parse(&text).unwrap();
        let simple = cx.simplify(d);
        let zero = cx.int(0);
        let answers =
            [cx.prove_eq(d, zero), cx.prove_le(d, zero), cx.divides(low, d), cx.divides(-1, simple)];
        assert_eq!(answers.len(), 4, "no panic");
        let divided =
            [cx.floor_div(d, low), cx.floor_div(d, i64::MAX), cx.ceil_div(d, low), cx.modulo(d, -1)];
        assert!(
            divided
                .iter()
                .flatten()
                .all(|&d| cx.bounds(d).lo <= cx.bounds(d).hi || cx.bounds(d).hi.is_none())
        );
    }
    assert_eq!(cx.check(), Ok(()));
}

#[test]
fn contradictions_are_refused_and_change_nothing() {
    let mut cx = ShapeCx::new();
    let n = cx.sym("n");
    assert!(cx.assume(Constraint::AtLeast(n, -3)).is_ok());
    cx.assume(Constraint::AtMost(n, 5)).unwrap();
    let error = cx.assume(Constraint::AtLeast(n, 6)).unwrap_err();
    assert_eq!(error.to_string(), "`n >= 6` cannot hold: `n` lies between 0 and 5");
    let odd = cx.parse("2*n + 1").unwrap();
    assert!(cx.assume(Constraint::Multiple(odd, 2)).is_err());
    assert_eq!(cx.bounds(n), Interval { lo: Some(0), hi: Some(5) });
    assert_eq!(cx.facts().count(), 2);
}

#[test]
fn symbols_are_matched_by_name_across_contexts() {
    let (mut a, mut b) = (ShapeCx::new(), ShapeCx::new());
    let from = a.parse("n*m + floordiv(n, k)").unwrap();
    b.parse("k + m").unwrap();
    let there = b.import(&a, from);
    assert_eq!(b.display(there).to_string(), a.display(from).to_string());
    assert_eq!(b.parse("n*m + n // k"), Ok(there));
    // Renaming apart.
    let apart = b.import_with(&a, from, &mut |cx, sym| cx.sym(&format!("callee.{}", a.name(sym)))).unwrap();
    assert_eq!(b.display(apart).to_string(), "callee.m*callee.n + floordiv(callee.n, callee.k)");
    // Substitution is simultaneous, and a divisor may become zero.
    let (n, k) = (a.find_sym("n").unwrap(), a.find_sym("k").unwrap());
    let (n_dim, k_dim) = (a.sym_dim(n), a.sym_dim(k));
    let swapped = a.substitute(from, &IndexMap::from([(n, k_dim), (k, n_dim)])).unwrap();
    assert_eq!(a.display(swapped).to_string(), "k*m + floordiv(k, n)");
    let zero = a.int(0);
    assert_eq!(a.substitute(from, &IndexMap::from([(k, zero)])), Err(Overflow));
    assert_eq!(a.free_symbols(from).len(), 3);
    assert!(a.affine_in(from, n).is_none() && a.affine_in(from, a.find_sym("m").unwrap()).is_some());
}

#[test]
fn fresh_names_do_not_collide() {
    let mut cx = ShapeCx::new();
    cx.sym("i_1");
    let names: Vec<String> = (0..3)
        .map(|_| {
            let d = cx.fresh("i");
            cx.display(d).to_string()
        })
        .collect();
    assert_eq!(names, ["i", "i_2", "i_3"]);
}

#[test]
fn extents_broadcast() {
    let mut cx = ShapeCx::new();
    let text = |cx: &mut ShapeCx, text: &str| {
        let d = cx.parse(text).unwrap();
        cx.display(d).to_string()
    };
    // Flat, without repetition, without ones: broadcasting once more changes nothing.
    assert_eq!(text(&mut cx, "broadcast(m, broadcast(n, m, 1), n)"), "broadcast(m, n)");
    assert_eq!(text(&mut cx, "broadcast(n, 1)"), "n");
    assert_eq!(text(&mut cx, "broadcast(1, 1)"), "1");
    // What is never 1 decides.
    assert_eq!(text(&mut cx, "broadcast(n, 4, m)"), "4");
    assert_eq!(text(&mut cx, "broadcast(n, 2*m)"), "2*m");
    assert_eq!(text(&mut cx, "broadcast(n, m + 2)"), "m + 2");
    let both = cx.parse("broadcast(n, m)").unwrap();
    let (n, m) = (cx.find_sym("n").unwrap(), cx.find_sym("m").unwrap());
    let at = |a, b| cx.eval(both, &Env::from_iter([(n, a), (m, b)]));
    assert_eq!(
        [at(1, 5), at(5, 1), at(5, 5), at(1, 0), at(1, 1), at(0, 0)].map(Option::unwrap),
        [5, 5, 5, 0, 1, 0]
    );
    assert_eq!((at(2, 3), at(0, 2)), (None, None));
    // Facts.
    let (n, m) = (cx.sym_dim(n), cx.sym_dim(m));
    let four = cx.int(4);
    let fact = cx.parse_fact("n ~ m").unwrap();
    assert_eq!((fact, cx.display_fact(&fact)), (Constraint::Broadcast(n, m), "n ~ m".to_owned()));
    assert_eq!(cx.prove(fact), Truth::Unknown);
    assert_eq!(cx.prove(Constraint::Broadcast(n, n)), Truth::Always);
    let mut known = cx.clone();
    known.assume(Constraint::AtLeast(n, 2)).unwrap();
    assert_eq!(known.simplify(both), n);
    assert!(known.assume(Constraint::Broadcast(n, four)).is_ok());
    assert_eq!(known.bounds(n), Interval { lo: Some(2), hi: Some(4) });
    let five = known.int(5);
    assert_eq!(known.prove(Constraint::Broadcast(four, five)), Truth::Never);
    let mut other = cx.clone();
    let fact = other.parse_fact("n != 1").unwrap();
    assert_eq!(other.display_fact(&fact), "n != 1");
    other.assume(fact).unwrap();
    assert_eq!((other.prove(fact), other.simplify(both)), (Truth::Always, n));
    other.assume(Constraint::AtLeast(n, 1)).unwrap();
    cx.assume(Constraint::Eq(n, m)).unwrap();
    assert_eq!(cx.prove_eq(both, n), Truth::Unknown);
    let simple = cx.simplify(both);
    assert!(simple == n || simple == m);
}

/// Numbers are compared also where their difference is no number.
#[test]
fn far_numbers_are_compared() {
    let mut cx = ShapeCx::new();
    let [least, zero, most] = [i64::MIN, 0, i64::MAX].map(|it| cx.int(it));
    assert_eq!([cx.prove_ge(least, zero), cx.prove_le(least, most)], [Truth::Never, Truth::Always]);
    assert_eq!(cx.prove(Constraint::AtLeast(least, 1)), Truth::Never);
    assert_eq!(cx.prove(Constraint::AtMost(most, -1)), Truth::Never);
    assert_eq!(cx.prove(Constraint::AtMost(least, i64::MAX)), Truth::Always);
}

#[test]
fn rounding_up_to_64_is_rounding_up_to_2_and_more() {
    let mut cx = ShapeCx::new();
    let mut parsed = |text: &str| cx.parse(text).expect("an expression");
    let (two, sixty_four) = (parsed("2*((n + 1) // 2)"), parsed("64*((n + 63) // 64)"));
    let (three, below) = (parsed("3*((n + 2) // 3)"), parsed("2*(n // 2) + 1"));
    assert_eq!(cx.prove_le(two, sixty_four), Truth::Always);
    // 64 is no multiple of 3: 66 elements are more than 64.
    assert_eq!(cx.prove_le(three, sixty_four), Truth::Unknown);
    assert_eq!(cx.prove_lt(below, two), Truth::Unknown);
}
