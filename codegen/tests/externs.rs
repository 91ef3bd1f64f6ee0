//! Functions of the host, from Rust, from C, and as tvm-ffi has them: typed views, results in place, errors, and no result
//! that nobody wrote.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

mod harness;

use harness::{call, compiled, jit, library};
use orogen_codegen::link::{ElfLinker, LinkInput, Linker};
use orogen_ir::plan::{CallPlan, parse_plan, verify};
use orogen_ir::types::{Attrs, ConstPool, DType, TensorData};
use orogen_reference::{Host, eval_plan_with};
use orogen_runtime::{DLDataType, HostFunction, PackedFunc, RuntimeError, Tensor, Value, register_extern};
use std::path::Path;
use std::process::Command;

/// y = f(x, w) + 1, where the function `SYMBOL` of the host gives an f32[n, 4] and counts its calls.
fn plan(symbol: &str) -> CallPlan {
    let text = "plan @main {
  size n
  in x: f32[n, 4]
  in seen: i64[1]
  out y: f32[n, 4]
  out count: i64[1]
  from n = %in0[0]
  constant f32[4] [1, 10, 100, 1000]
  arena 64*n + 64
  slot %s0: f32[n, 4] = ^0[0]
  extern @f = \"SYMBOL\" with {by = 2, exact = true, mode = \"fast\", scale = 0.5} !io {
    size rows
    in %x: f32[rows, 4]
    in %w: f32[4]
    inout %seen: i64[1]
    out %y: f32[rows, 4]
  }
  kernel @plus_one {
    size n
    in %x: f32[n, 4]
    out %y: f32[n, 4]
    for i < n, j < 4 { %y[i, j] = %x[i, j] + f32(1.0) }
  }
  steps {
    alloc ^0
    alloc %out1
    copy %in1 to %out1; 8
    call 0 @f(%in0, #0, %out1, %s0) [n]
    alloc %out0
    call 1 @plus_one(%s0, %out0) [n]
  }
}
";
    let plan = parse_plan(&text.replace("SYMBOL", symbol), &ConstPool::default());
    let plan = plan.unwrap_or_else(|it| panic!("{it}"));
    verify(&plan).unwrap_or_else(|it| panic!("{it}"));
    plan
}

fn inputs(n: u64) -> Vec<TensorData> {
    let x = TensorData::from_f64(DType::F32, &[n, 4], (0..n * 4).map(|it| it as f64));
    vec![x, TensorData::ints(&[41])]
}

/// What the function of the tests gives, as the oracle has it.
fn expected(n: u64) -> Vec<TensorData> {
    let function = |args: &[TensorData], attrs: &Attrs| {
        let by = attrs.int("by").unwrap_or(0) as f64 * attrs.float("scale").unwrap_or(0.0);
        let w = args[1].to_f64();
        let y = args[0].to_f64().into_iter().enumerate().map(|(i, x)| by * x * w[i % 4]);
        let seen = TensorData::ints(&[args[2].get_i64(0) + 1]);
        Ok(vec![seen, TensorData::from_f64(DType::F32, args[0].dims(), y)])
    };
    eval_plan_with(&Host::new().with("f", function), &plan("f"), &inputs(n)).unwrap()
}

fn right() -> HostFunction {
    HostFunction::in_place(|call| {
        assert_eq!(call.inputs[0].dtype(), DLDataType::F32);
        assert_eq!(call.inputs[0].shape()[1..], [4]);
        assert_eq!((call.inputs[1].shape(), call.outputs[0].holds_value()), (&[4][..], true));
        let [Value::Int(by), Value::Bool(true), Value::Str(mode), Value::Float(scale)] = &call.attributes[..]
        else {
            panic!("other attributes: {:?}", call.attributes)
        };
        assert_eq!(mode, "fast");
        let by = *by as f32 * *scale as f32;
        call.outputs[0].as_mut_slice::<i64>()?[0] += 1;
        let (x, w) = (call.inputs[0].as_slice::<f32>()?, call.inputs[1].as_slice::<f32>()?);
        for (i, y) in call.outputs[1].as_mut_slice::<f32>()?.iter_mut().enumerate() {
            *y = by * x[i] * w[i % 4];
        }
        Ok(())
    })
}

/// The error of a call.
fn refused(symbol: &str, function: HostFunction) -> String {
    register_extern(symbol, function);
    call(&jit(&plan(symbol), true), &inputs(2)).unwrap_err().to_string()
}

#[test]
fn results_are_written_in_place() {
    register_extern("test.right", right());
    let plan = plan("test.right");
    let opened = library(&compiled(&plan));
    for n in [0, 1, 7] {
        let got = call(&jit(&plan, true), &inputs(n)).unwrap();
        assert_eq!(got, expected(n), "in memory, {n}");
        let function = opened.function("main").unwrap();
        assert_eq!(call(&function, &inputs(n)).unwrap(), expected(n), "library, {n}");
    }
}

#[test]
fn functions_of_values_return_results_that_are_checked() {
    let function = |dtype_of_result: bool, rows: i64| {
        PackedFunc::new("values", move |args| {
            let [Value::Tensor(x), Value::Tensor(w), Value::Tensor(seen), Value::Int(2), ..] = args else {
                panic!("other arguments: {args:?}")
            };
            let w = w.as_slice::<f32>()?;
            let y: Vec<f32> = x.as_slice::<f32>()?.iter().enumerate().map(|(i, x)| x * w[i % 4]).collect();
            let seen = Tensor::from_slice(&[1], &[seen.as_slice::<i64>()?[0] + 1])?;
            let y = match dtype_of_result {
                true => Tensor::from_slice(&[rows, 4], &y)?,
                false => Tensor::zeros(DLDataType::I32, &[rows, 4])?,
            };
            Ok(Value::Array(vec![seen.into(), y.into()]))
        })
    };
    register_extern("test.values", function(true, 2));
    assert_eq!(call(&jit(&plan("test.values"), true), &inputs(2)).unwrap(), expected(2));
    let error = refused("test.values.dtype", function(false, 2).into());
    assert!(error.contains("result 1") && error.contains("expected data type f32, got i32"), "{error}");
    let error = refused("test.values.shape", PackedFunc::new("v", |args| Ok(args[0].clone())).into());
    assert!(error.contains("result 0") && error.contains("expected data type i64"), "{error}");
}

#[test]
fn what_fails_says_why_and_what_is_missing_is_named() {
    let error = call(&jit(&plan("test.missing"), true), &inputs(2)).unwrap_err().to_string();
    assert!(error.contains("has no function `test.missing`"), "{error}");
    let fails = HostFunction::in_place(|_| {
        Err(RuntimeError::Raised {
            function: "f".into(),
            kind: "ValueError".into(),
            message: "no rows".into(),
        })
    });
    let error = refused("test.fails", fails);
    assert!(
        error.contains("ValueError") && error.contains("test.fails") && error.contains("no rows"),
        "{error}"
    );
    let error = refused("test.panics", HostFunction::in_place(|_| panic!("oh no")));
    assert!(error.contains("oh no"), "{error}");
    // Without a host there is nobody to ask, and nobody to tell.
    assert!(call(&jit(&plan("test.right"), false), &inputs(2)).is_err());
}

#[test]
fn a_result_that_is_not_written_is_an_error() {
    let error = refused("test.lazy", HostFunction::in_place(|_| Ok(())));
    assert!(error.contains("`test.lazy` left its result `y` unwritten"), "{error}");
    // It is taken at its word, even where it writes what was there before.
    let same = HostFunction::in_place(|call| {
        let bytes = call.outputs[1].as_mut_bytes();
        let before = bytes.to_vec();
        bytes.copy_from_slice(&before);
        Ok(())
    });
    register_extern("test.same", same);
    assert!(call(&jit(&plan("test.same"), true), &inputs(2)).is_ok());
    let none = refused("test.none", PackedFunc::new("none", |_| Ok(Value::None)).into());
    assert!(none.contains("left its result `y` unwritten"), "{none}");
}

const C: &str = r#"
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
typedef struct { int32_t index; uint32_t small; union { int64_t i; double f; void* p; }; } Any;
typedef struct { void* data; int32_t device[2]; int32_t ndim; uint8_t code, bits; uint16_t lanes; int64_t* shape; int64_t* strides; uint64_t offset; } Tensor;
typedef int (*Fn)(void*, const Any*, int32_t, Any*);
typedef struct { uint64_t counts; int32_t index; uint32_t pad; void (*deleter)(void*, int); } Object;
typedef struct { Object header; Fn call; void* cpp; } Function;

static char error[1024];
void TVMFFIErrorSetRaisedFromCStr(const char* kind, const char* message) { snprintf(error, sizeof error, "%s: %s", kind, message); }

/* handle: 0 right, 1 lazy, 2 fails, 3 odd status, 4 lazy but says that it wrote */
static int f(void* handle, const Any* args, int32_t count, Any* result) {
  int mode = (int)(intptr_t)handle;
  if (mode == 2) { TVMFFIErrorSetRaisedFromCStr("ValueError", "from C"); return -1; }
  if (mode == 3) return 7;
  if (mode == 4) { result->index = 1; result->i = 1; return 0; }
  if (mode == 1) return 0;
  if (count != 8 || args[0].index != 7) return 9;
  Tensor *x = args[0].p, *w = args[1].p, *seen = args[2].p, *y = args[3].p;
  if (x->ndim != 2 || x->shape[1] != 4 || x->strides[0] != 4 || y->shape[0] != x->shape[0] || x->bits != 32 || x->code != 2 || seen->bits != 64) return 10;
  if (args[4].i != 2 || args[5].i != 1 || strcmp(args[6].p, "fast") || args[7].f != 0.5) return 11;
  ((int64_t*)seen->data)[0] += 1;
  for (int64_t i = 0; i < x->shape[0] * 4; i++) ((float*)y->data)[i] = ((float*)x->data)[i] * ((float*)w->data)[i % 4];
  return 0;
}

static Function object = {{1 | (1ull << 32), 68, 0, 0}, 0, 0};
static int by_tvm;
int TVMFFIFunctionGetGlobal(const void* name, void** out) {
  const char* text = *(const char* const*)name; size_t size = ((const size_t*)name)[1];
  if (by_tvm == 1 && size == 6 && !memcmp(text, "test.c", 6)) { object.header.counts++; *out = &object; }
  return 0;
}
int TVMFFIEnvModLookupFromImports(void* context, const char* name, void** out) {
  if (by_tvm == 2 && context == &by_tvm && !strcmp(name, "test.c")) *out = &object;
  return 0;
}
static int packed(void* self, const Any* args, int32_t count, Any* result) { return f(0, args, count, result); }

int main(int argc, char** argv) {
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) { puts(dlerror()); return 1; }
  Fn entry = (Fn)dlsym(library, "__tvm_ffi_main");
  struct { Fn function; void* handle; }* slot = dlsym(library, "__orogen_extern_test.c");
  void** context = dlsym(library, "__tvm_ffi__library_ctx");
  if (!entry || !slot || !context) { puts("a symbol is missing"); return 1; }
  object.call = packed;
  float data[8] = {0, 1, 2, 3, 4, 5, 6, 7};
  int64_t seen = 41, shape[2] = {2, 4}, one[1] = {1};
  Tensor x = {data, {1, 0}, 2, 2, 32, 1, shape, 0, 0}, s = {&seen, {1, 0}, 1, 0, 64, 1, one, 0, 0};
  for (int round = 0; round < 8; round++) {
    error[0] = 0;
    by_tvm = round == 6 ? 1 : round == 7 ? 2 : 0;
    *context = round == 7 ? &by_tvm : 0;
    slot->function = round < 5 ? f : 0;
    slot->handle = (void*)(intptr_t)round;
    Any args[2] = {{7, 0, .p = &x}, {7, 0, .p = &s}}, result = {0};
    int status = entry(0, args, 2, &result);
    if (status == 0) {
      Object* list = result.p;
      Any* items = *(Any**)(list + 1);
      Tensor* y = (Tensor*)((Object*)items[0].p + 1);
      Tensor* c = (Tensor*)((Object*)items[1].p + 1);
      printf("%d: ok %g %g seen %lld\n", round, ((float*)y->data)[0], ((float*)y->data)[7], (long long)((int64_t*)c->data)[0]);
      list->deleter(list, 3);
    } else printf("%d: %d %s\n", round, status, error);
  }
  printf("count %llu\n", (unsigned long long)(object.header.counts & 0xffffffff));
  return 0;
}
"#;

/// A host in C, without any runtime of ours: the library's slot, then the lookups of tvm-ffi.
#[test]
fn a_host_in_c_gives_functions() {
    let plan = plan("test.c");
    let folder = tempfile::tempdir().unwrap();
    let (source, program, path) =
        (folder.path().join("host.c"), folder.path().join("host"), folder.path().join("model.so"));
    link(&plan, &path);
    std::fs::write(&source, C).unwrap();
    let built =
        Command::new("cc").args(["-O1", "-rdynamic", "-o"]).args([&program, &source]).arg("-ldl").output();
    let built = built.expect("a C compiler");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let run = Command::new(&program).arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let lines: Vec<&str> = said.lines().collect();
    // One is added to x · w.
    let [right, lazy, fails, odd, says, missing, global, import, count] = lines[..] else { panic!("{said}") };
    assert_eq!(right, "0: ok 1 7001 seen 42", "{said}");
    assert!(lazy.contains("-1 RuntimeError: the function `test.c` left its result `y` unwritten"), "{said}");
    assert_eq!(fails, "2: -1 ValueError: from C", "{said}");
    assert!(
        odd.contains("-1 RuntimeError") && odd.contains("neither 0 nor -1") && odd.contains("test.c"),
        "{said}"
    );
    assert!(says.starts_with("4: ok"), "{said}");
    assert!(missing.contains("-1 RuntimeError: the host has no function test.c"), "{said}");
    assert_eq!(global, "6: ok 1 7001 seen 42", "{said}");
    assert_eq!(import, "7: ok 1 7001 seen 42", "{said}");
    assert_eq!(count, "count 1", "the global function was given back");
}

fn link(plan: &CallPlan, path: &Path) {
    let object = compiled(plan).object().unwrap_or_else(|it| panic!("{it}"));
    let blobs: Vec<_> = object.blobs.iter().map(|it| it.for_link()).collect();
    ElfLinker
        .link(&LinkInput { object: &object.bytes, blobs: &blobs, ..LinkInput::default() }, path)
        .unwrap();
}
