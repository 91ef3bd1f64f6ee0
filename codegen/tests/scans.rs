//! Running sums and products along rows: results against the reference on every instruction set, between
//! guard pages.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{Random, all_cpus, assert_close, compiled_with, guard, plan_of};
use orogen_ir::loops::{parse_program, verify};
use orogen_ir::types::DType;
use orogen_reference::eval_program;

/// A kernel over `[3, n]`: `{at}` is where a step reads and stores, `{term}` what it adds or multiplies.
struct Scan {
    dtype: DType,
    /// Of the running value.
    running: DType,
    op: &'static str,
    reverse: bool,
    exclusive: bool,
}

impl Scan {
    fn text(&self) -> String {
        let Scan { dtype, running, op, .. } = self;
        let at = if self.reverse { "n - t - 1" } else { "t" };
        let start = if *op == "+" { 0 } else { 1 };
        let start = if running.is_float() { format!("{start}.0") } else { start.to_string() };
        let cast = |to: &DType, from: &DType, x: &str| match to == from {
            true => x.to_owned(),
            false => format!("cast<{to}>({x})"),
        };
        let term = cast(running, dtype, &format!("%x[j, {at}]"));
        let update = format!("for j < 3 {{ %sum[j] = %sum[j] {op} {term} }}");
        let publish = format!("for k < 3 {{ %y[k, {at}] = {} }}", cast(dtype, running, "%sum[k]"));
        let [first, second] = if self.exclusive { [publish, update] } else { [update, publish] };
        format!(
            "kernel @scan {{
  size n
  in %x: {dtype}[3, n]
  out %y: {dtype}[3, n]
  local %sum: {running}[3]
  for i < 3 {{ %sum[i] = {running}({start}) }}
  loop t < n {{
    {first}
    {second}
  }}
}}
"
        )
    }

    fn check(&self, n: i64) {
        let text = self.text();
        let program = parse_program(&text).unwrap_or_else(|it| panic!("{it}\n{text}"));
        verify(&program).unwrap_or_else(|it| panic!("{it}\n{text}"));
        let x = Random(n as u64 + 3).tensor(self.dtype, &[3, n as u64]);
        let expected = eval_program(&program, &[n], std::slice::from_ref(&x)).unwrap();
        let plan = plan_of(&program, &[n]);
        for options in all_cpus() {
            let compiled = compiled_with(&plan, &options);
            let strategy = compiled.kernels()[0].strategy.clone();
            assert!(strategy.iter().all(|it| it.contains("scan")), "{strategy:?}\n{text}");
            let loaded = guard::load(&compiled);
            for at_end in [false, true] {
                let got = guard::call(&loaded, &plan, std::slice::from_ref(&x), at_end);
                assert_close(&format!("{} {n} {at_end}\n{text}", options.cpu), &got, &expected[0]);
            }
        }
    }
}

#[test]
fn running_sums_of_every_type() {
    for dtype in DType::computed().filter(|it| *it != DType::Bool) {
        for (reverse, exclusive) in [(false, false), (false, true), (true, false), (true, true)] {
            for n in [0, 5, 67] {
                Scan { dtype, running: dtype.compute(), op: "+", reverse, exclusive }.check(n);
            }
        }
    }
}

#[test]
fn running_products() {
    for dtype in
        [DType::F32, DType::F64, DType::I32, DType::I64, DType::U8, DType::I8, DType::I16, DType::U16]
    {
        for reverse in [false, true] {
            Scan { dtype, running: dtype, op: "*", reverse, exclusive: true }.check(37);
        }
    }
}
