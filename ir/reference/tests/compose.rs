//! Composition keeps meaning: every producer form meets every consumer form, and the composed kernel computes what the
//! two compute one after the other. Composed kernels keep the laws and pass through text.

use orogen_ir::loops::{
    Composed, Junction, Origin, TensorProgram, compact, compose, extend, parse_program, print_program, verify,
};
use orogen_ir::shape::{Dim, ShapeCx};
use orogen_ir::types::{DType, TensorData};
use orogen_reference::eval_program;

/// Bodies of producers of `%h: f64[n, m]` from `%x: f64[n, m]` and `%w: f64[m]`.
const PRODUCERS: [&str; 9] = [
    "for i < n, j < m { %h[i, j] = exp(%x[i, j]) + %w[j] }",
    "for i < n, j < m { %h[i, j] = %x[n - 1 - i, m - 1 - j] * f64(2.0) }",
    "for i < n, j < m { %h[i, j] = %x[i - 1, j + 1 | f64(-1.0)] }",
    "local %d: f64[n, m]
    for i < n, j < m { %d[i, j] = sum k < m { %x[i, k] * %w[k] } }
    for i1 < n, j1 < m { %h[i1, j1] = abs(%d[i1, j1]) }",
    "local %s: f64[n]
    for i < n { %s[i] = max k < m { %x[i, k] } }
    for i1 < n, j < m { %h[i1, j] = %x[i1, j] - %s[i1] }",
    "local %t: f64[m, n]
    for j < m, i < n { %t[j, i] = %x[i, j] * %w[j] }
    for i1 < n, j1 < m { %h[i1, j1] = tanh(%t[j1, i1]) }",
    "for i < n, j < m { %h[i, j] = %w[j] }
    loop t < n { for k < m { %h[t, k] = %h[t, k] + %h[t - 1, k | f64(0.5)] } }",
    "for i < n, j < m { %h[i, j] = select(%x[i, j] < f64(0.0), cast<f64>(dim<i64>(i - j)), %w[j]) }",
    "for j < m, i < n { %h[i, j] = %x[i, j] }
    for i1 < n, j1 < m { %h[i1, j1] = %h[i1, j1] * %h[i1, j1] }",
];

/// Bodies of consumers of `%h: f64[n, m]` and `%u: f64[n, m]` into `%y: f64[n, m]`.
const CONSUMERS: [&str; 10] = [
    "for i < n, j < m { %y[i, j] = %h[i, j] * %u[i, j] }",
    "for i < n, j < m { %y[i, j] = %h[i, j] * %h[i, j] - %h[i, j] }",
    "for i < n, j < m { %y[i, j] = %h[i - 1, j | f64(3.0)] }",
    "for i < n, j < m { %y[i, j] = %h[n - 1 - i, j] + %h[i, m - 1 - j] }",
    "for i < n, j < m { %y[i, j] = sum k < m { %h[i, k] * %u[i, k] } }",
    "local %s: f64[n]
    for i < n { %s[i] = sum k < m { %h[i, k] } }
    for i1 < n, j < m { %y[i1, j] = %h[i1, j] + %s[i1] }",
    "for i < n, j < m { %y[i, j] = %h[{cast<i64>(dim<i64>(i))}, j] }",
    "for i < n, j < m { %y[i, j] = %u[i, j] }
    loop t < n { for k < m { %y[t, k] = %y[t - 1, k | f64(0.0)] + %h[t, k] } }",
    "for i < n, j < m { %y[i, j] = select(%u[i, j] > f64(0.0), f64(1.0), %h[i, j]) }",
    "local %t: f64[m, n]
    for j < m, i < n { %t[j, i] = %h[i, j] }
    for i1 < n, j1 < m { %y[i1, j1] = %t[j1, i1] + %u[i1, j1] }",
];

fn program(text: &str) -> TensorProgram {
    let program = parse_program(text).unwrap_or_else(|it| panic!("{text}\n{it}"));
    verify(&program).unwrap_or_else(|it| panic!("{text}\n{it}"));
    program
}

fn producer(body: &str) -> TensorProgram {
    program(&format!(
        "kernel @p {{\n size n\n size m\n in %x: f64[n, m]\n in %w: f64[m]\n out %h: f64[n, m]\n {body}\n}}"
    ))
}

/// Sizes in the other order, so that nothing relies on positions.
fn consumer(body: &str) -> TensorProgram {
    program(&format!(
        "kernel @c {{\n size m\n size n\n in %h: f64[n, m]\n in %u: f64[n, m]\n out %y: f64[n, m]\n {body}\n}}"
    ))
}

struct Data(u64);

impl Data {
    fn tensor(&mut self, dims: &[u64]) -> TensorData {
        let n: u64 = dims.iter().product();
        let values: Vec<f64> = (0..n)
            .map(|_| {
                self.0 =
                    self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (self.0 >> 40) as f64 / f64::from(1 << 23) - 1.0
            })
            .collect();
        TensorData::from_slice(DType::F64, dims, &values)
    }
}

fn text_cycle(program: &TensorProgram) -> TensorProgram {
    verify(program).unwrap_or_else(|it| panic!("{it}"));
    let text = print_program(program).text;
    let again = parse_program(&text).unwrap_or_else(|it| panic!("{text}\n{it}"));
    assert_eq!(print_program(&again).text, text);
    again
}

fn close(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() <= 1e-9 * (1.0 + b.abs()))
}

fn compare(
    composed: &Composed,
    p: &TensorProgram,
    c: &TensorProgram,
    shared: bool,
    n: i64,
    m: i64,
    dims: [Dim; 2],
) {
    let mut data = Data(n as u64 * 31 + m as u64);
    let (un, um) = (n as u64, m as u64);
    let (x, w, u) = (data.tensor(&[un, um]), data.tensor(&[um]), data.tensor(&[un, um]));
    let u = if shared { x.clone() } else { u };
    let h = eval_program(p, &[n, m], &[x.clone(), w.clone()]).expect("the producer runs").remove(0);
    let y = eval_program(c, &[m, n], &[h.clone(), u.clone()]).expect("the consumer runs").remove(0);
    let program = text_cycle(&composed.program);
    let sizes: Vec<i64> = composed.sizes.iter().map(|it| if *it == dims[0] { n } else { m }).collect();
    let origin = |it: &Origin| match it {
        Origin::Producer(i) => [&x, &w, &h][*i].clone(),
        Origin::Consumer(i) => [&h, &u, &y][*i].clone(),
    };
    let all: Vec<TensorData> = composed.params.iter().map(origin).collect();
    let (inputs, outputs) = all.split_at(program.inputs().count());
    let found = eval_program(&program, &sizes, inputs)
        .unwrap_or_else(|it| panic!("{it}\n{}", print_program(&program).text));
    assert_eq!(found.len(), outputs.len());
    for (found, wanted) in found.iter().zip(outputs) {
        assert_eq!(found.dims(), wanted.dims());
        assert!(close(&found.to_f64(), &wanted.to_f64()), "{}", print_program(&program).text);
    }
}

#[test]
fn every_form_meets_every_form() {
    let mut shapes = ShapeCx::new();
    let dims = [shapes.sym("rows"), shapes.sym("columns")];
    for p in PRODUCERS {
        let p = producer(p);
        for c in CONSUMERS {
            let c = consumer(c);
            for (shared, kept) in [(false, false), (true, false), (false, true), (true, true)] {
                let junction = Junction {
                    links: vec![(2, 0)],
                    shared: if shared { vec![(0, 1)] } else { vec![] },
                    kept: if kept { vec![2] } else { vec![] },
                    ..Junction::default()
                };
                let composed = compose((&p, &dims), (&c, &[dims[1], dims[0]]), &junction).expect("they fit");
                assert_eq!(composed.program.outputs().count(), 1 + usize::from(kept));
                for (n, m) in [(3, 4), (1, 1), (2, 0), (0, 2)] {
                    compare(&composed, &p, &c, shared, n, m, dims);
                }
            }
        }
    }
}

#[test]
fn equal_sizes_become_one() {
    let mut shapes = ShapeCx::new();
    let n = shapes.sym("n");
    let (p, c) = (producer(PRODUCERS[0]), consumer(CONSUMERS[0]));
    let junction = Junction { links: vec![(2, 0)], ..Junction::default() };
    let composed = compose((&p, &[n, n]), (&c, &[n, n]), &junction).expect("they fit");
    assert_eq!(composed.sizes, [n]);
    compare(&composed, &p, &c, false, 3, 3, [n, n]);
}

#[test]
fn elementwise_chains_become_one_stage() {
    let mut shapes = ShapeCx::new();
    let dims = [shapes.sym("rows"), shapes.sym("columns")];
    let (p, c) = (producer(PRODUCERS[0]), consumer(CONSUMERS[0]));
    let junction = Junction { links: vec![(2, 0)], ..Junction::default() };
    let composed = compose((&p, &dims), (&c, &[dims[1], dims[0]]), &junction).expect("they fit");
    assert_eq!(composed.program.stages().len(), 1, "{}", print_program(&composed.program).text);
}

#[test]
fn buffers_of_other_shapes_do_not_fit() {
    let mut shapes = ShapeCx::new();
    let (n, m) = (shapes.sym("n"), shapes.sym("m"));
    let (p, c) = (producer(PRODUCERS[0]), consumer(CONSUMERS[0]));
    let junction = Junction { links: vec![(2, 0)], ..Junction::default() };
    assert!(compose((&p, &[n, m]), (&c, &[n, m]), &junction).is_none());
}

#[test]
fn stages_that_go_on_compute_what_composed_ones_do() {
    let mut shapes = ShapeCx::new();
    let dims = [shapes.sym("rows"), shapes.sym("columns")];
    let mut extended = 0;
    for p in PRODUCERS {
        let p = producer(p);
        for c in CONSUMERS {
            let c = consumer(c);
            for shared in [false, true] {
                let shared_pairs = if shared { vec![(0, 1)] } else { vec![] };
                let junction = Junction { links: vec![(2, 0)], shared: shared_pairs, ..Junction::default() };
                let Ok(found) = extend(p.clone(), &dims, (&c, &[dims[1], dims[0]]), &junction) else {
                    continue;
                };
                extended += 1;
                let program = compact(&found.program).expect("small sizes");
                let found = Composed { program, ..found };
                assert_eq!(found.program.stages().len(), 1);
                for (n, m) in [(3, 4), (1, 1), (2, 0), (0, 2)] {
                    compare(&found, &p, &c, shared, n, m, dims);
                }
            }
        }
    }
    // Producers of one stage that fill by their axes, before consumers that read each element once.
    assert!(extended >= 12, "{extended}");
}

#[test]
fn what_cannot_go_on_is_given_back() {
    let mut shapes = ShapeCx::new();
    let dims = [shapes.sym("rows"), shapes.sym("columns")];
    let (p, c) = (producer(PRODUCERS[0]), consumer(CONSUMERS[4]));
    let junction = Junction { links: vec![(2, 0)], ..Junction::default() };
    let back = extend(p.clone(), &dims, (&c, &[dims[1], dims[0]]), &junction).expect_err("a reduction");
    assert_eq!(print_program(&compact(&back).expect("small sizes")).text, print_program(&p).text);
}
