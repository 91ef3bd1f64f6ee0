//! Modules of plans: calls of functions, their results as objects, errors, and memory that is given back.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(unsafe_code, reason = "calls generated code")]

mod harness;

use harness::{call, compiled_module, library, options};
use orogen_abi::SafeCall;
use orogen_codegen::Loaded;
use orogen_ir::plan::{PlanModule, parse_plans, verify_module};
use orogen_ir::types::{ConstPool, DType, TensorData};
use orogen_reference::eval_plans;
use orogen_runtime::PackedFunc;
use std::sync::Arc;

/// `both` gives twice its operand, and its first `m` elements, where `m` is data; `sum` adds both of them in a loop.
const MODULE: &str = "module {
  constant i64[1] [2]
  kernel @twice {
    size k
    in %x: f32[k]
    out %y: f32[k]
    for i < k { %y[i] = %x[i] + %x[i] }
  }
  kernel @take {
    size k
    size m
    in %x: f32[k]
    out %y: f32[m]
    for i < m { %y[i] = %x[i] }
  }
  kernel @next {
    in %i: i64[1]
    out %j: i64[1]
    %j[0] = %i[0] + i64(1)
  }
  kernel @below {
    in %i: i64[1]
    in %n: i64[1]
    out %c: bool[1]
    %c[0] = %i[0] < %n[0]
  }
  private plan @both {
    size n
    size m
    in x: f32[n]
    in count: i64[1]
    out y: f32[n]
    out first: f32[m]
    from n = %in0[0]
    steps {
      bind m = %in1[0]: i64
      check m >= 0 \"there cannot be fewer than none\"
      check n - m >= 0 \"there are not so many\"
      alloc %out0
      call 0 @twice(%in0, %out0) [n]
      alloc %out1
      call 1 @take(%out0, %out1) [n, m]
    }
  }
  plan @main {
    size a
    size f
    size g
    in x: f32[a, 2]
    in rounds: i64[1]
    out y: f32[f]
    out z: f32[2*a]
    from a = %in0[0]
    arena 256
    slot %s0: i64[1] = ^0[0]
    slot %s1: i64[1] = ^0[64]
    slot %s2: bool[1] = ^0[128]
    object %o0: f32[2*a]
    object %o1: f32[f]
    object %o2: f32[2*a]
    object %o3: f32[g]
    steps {
      alloc ^0
      alloc %out1
      invoke 0 @both(%in0[2*a], #0[1]) to (%o0, %o1) from f = 1[0]
      copy %o0 to %out1; 8*a
      copy #0 to %s0; 8
      while {
        call 3 @below(%s0, %in1, %s2)
      } %s2 {
        invoke 0 @both(%out1[2*a], %s0[1]) to (%o2, %o3) from g = 1[0] loc(\"node `again`\")
        copy %o2 to %out1; 8*a
        call 2 @next(%s0, %s1)
        copy %s1 to %s0; 8
      }
      alloc %out0
      copy %o1 to %out0; 4*f
    }
  }
}
";

fn module() -> PlanModule {
    let module = parse_plans(MODULE, &ConstPool::default()).unwrap_or_else(|it| panic!("{it}"));
    verify_module(&module).unwrap_or_else(|it| panic!("{it}"));
    module
}

fn in_memory(module: &PlanModule, host: bool) -> (PackedFunc, Arc<Loaded>) {
    let loaded = Arc::new(compiled_module(module, &options()).jit().unwrap_or_else(|it| panic!("{it}")));
    loaded.set_host(host.then(orogen_runtime::host_table));
    let entry: SafeCall = loaded.entry();
    // SAFETY: generated entry points follow the laws of the binary interface, and the owner keeps the code.
    let function =
        unsafe { PackedFunc::from_raw("main", entry, std::ptr::null_mut(), Arc::clone(&loaded) as _) };
    (function, loaded)
}

fn inputs(a: u64, rounds: i64) -> Vec<TensorData> {
    let x = TensorData::from_f64(DType::F32, &[a, 2], (0..2 * a).map(|it| it as f64 - 1.5));
    vec![x, TensorData::ints(&[rounds])]
}

#[test]
fn functions_are_called_with_views_and_their_results_are_used_in_place() {
    let module = module();
    for host in [true, false] {
        let (function, loaded) = in_memory(&module, host);
        for (a, rounds) in [(3, 0), (3, 2), (3, 5), (100, 7)] {
            let expected = eval_plans(&module, "main", &inputs(a, rounds)).unwrap();
            assert_eq!(call(&function, &inputs(a, rounds)).unwrap(), expected, "host {host}");
        }
        // Private functions are no symbols.
        assert!(loaded.symbol("__tvm_ffi_main").is_some() && loaded.symbol("__tvm_ffi_both").is_none());
    }
}

#[test]
fn errors_of_a_function_are_those_of_the_call_and_leave_nothing_behind() {
    let module = module();
    let (function, _loaded) = in_memory(&module, true);
    for _ in 0..3 {
        let error = call(&function, &inputs(3, 9)).unwrap_err().to_string();
        assert_eq!(
            error,
            "`main`: ValueError: node `again`: in `both`: there are not so many: expected at least 0, got -1"
        );
        let error = call(&function, &inputs(0, 0)).unwrap_err().to_string();
        assert!(error.contains("in `both`: there are not so many"), "{error}");
        assert_eq!(call(&function, &inputs(3, 2)).unwrap()[0].dims(), [2]);
    }
}

/// Resident memory in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|it| it.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn objects_are_given_back_on_every_way_out() {
    let module = module();
    for host in [true, false] {
        let (function, _loaded) = in_memory(&module, host);
        // 800 KB for each object, of which a call makes up to eight; the last one of these calls fails.
        let call_all = || {
            for rounds in [0, 3, 6] {
                call(&function, &inputs(100_000, rounds)).unwrap();
            }
            if host {
                call(&function, &inputs(3, 9)).unwrap_err();
            }
        };
        call_all();
        let before = resident();
        (0..40).for_each(|_| call_all());
        let grown = resident().saturating_sub(before);
        assert!(grown < 64 << 10, "{grown} KiB more than before, host {host}");
    }
}

#[test]
fn exported_functions_that_are_called_inside_are_symbols_too() {
    let text = MODULE.replace("private plan", "plan");
    let module = parse_plans(&text, &ConstPool::default()).unwrap();
    let library = library(&compiled_module(&module, &options()));
    let names: Vec<&str> = library.signature().functions.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["both", "main"]);
    let given = [TensorData::from_f64(DType::F32, &[2], [1.0, 3.0]), TensorData::ints(&[1])];
    let got = call(&library.function("both").unwrap(), &given).unwrap();
    assert_eq!((got[0].to_f64(), got[1].to_f64()), (vec![2.0, 6.0], vec![2.0]));
    let expected = eval_plans(&module, "main", &inputs(4, 4)).unwrap();
    assert_eq!(call(&library.function("main").unwrap(), &inputs(4, 4)).unwrap(), expected);
}
