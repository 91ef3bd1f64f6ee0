//! A library made by hand, linked by us, loaded and run by the runtime: the whole contract of `orogen-abi`.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(unsafe_code, reason = "loads and calls what was linked")]

mod support;

use std::mem::offset_of;
use std::path::Path;

use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{InstBuilder, MemFlagsData, StackSlotData, StackSlotKind, Value, types};
use cranelift_frontend::FunctionBuilder;
use cranelift_module::{Linkage, Module};
use cranelift_object::ObjectModule;
use orogen_abi::{ArrayObject, DLDataType, DLTensor, HostTable, TensorObject, TypeIndex, symbol};
use orogen_codegen::link::{ElfLinker, LinkInput, Linker};
use orogen_runtime::{
    Dim, Library, PackedFunc, RunOptions, RuntimeError, Tensor, Value as Dynamic, register_extern,
};
use support::{I64, Objects, address, call_pointer, load, store};

/// The extent that the model refuses.
const REFUSED: i64 = 13;

fn text(content: &str) -> Vec<u8> {
    [&(content.len() as u64).to_le_bytes(), content.as_bytes()].concat()
}

/// Calls an entry of the host table.
fn host(
    builder: &mut FunctionBuilder<'_>,
    table: Value,
    offset: usize,
    args: &[Value],
    returns: Option<types::Type>,
) -> Option<Value> {
    let params: Vec<_> = args.iter().map(|&it| builder.func.dfg.value_type(it)).collect();
    let entry = load(builder, table, offset as i32);
    call_pointer(builder, Objects::signature(&params, returns.as_slice()), entry, args)
}

/// Leaves the function with −1 where `condition` holds.
fn fail_if(
    builder: &mut FunctionBuilder<'_>,
    condition: Value,
    before: impl FnOnce(&mut FunctionBuilder<'_>),
) {
    let (fail, go_on) = (builder.create_block(), builder.create_block());
    builder.ins().brif(condition, fail, &[], go_on, &[]);
    builder.switch_to_block(fail);
    before(builder);
    let status = builder.ins().iconst(types::I32, -1);
    builder.ins().return_(&[status]);
    builder.switch_to_block(go_on);
}

/// A library with `main`: one more than each element of a vector of i64, on several threads;
/// `twice`: two outputs; `foreign`: calls out; `broken`: fails without an error.
fn model(signature: &str, version: u32) -> Vec<u8> {
    model_using(signature, version, None)
}

/// As [`model`], with a claim of what instructions it uses.
fn model_using(signature: &str, version: u32, instructions: Option<&str>) -> Vec<u8> {
    let mut it = Objects::new();
    if let Some(instructions) = instructions {
        it.data(symbol::INSTRUCTIONS, Linkage::Export, false, text(instructions));
    }
    let slot = it.zeros(symbol::HOST, Linkage::Export, 8);
    it.data(symbol::VERSION, Linkage::Export, false, version.to_le_bytes().into());
    it.data(symbol::SIGNATURE, Linkage::Export, false, text(signature));
    it.data(symbol::META, Linkage::Export, false, text("{\"model\":\"test\"}"));
    let kind = it.data("kind", Linkage::Local, false, b"ValueError\0".into());
    let message = it.data("message", Linkage::Local, false, b"extent of `x`\0".into());
    let name = it.data("name", Linkage::Local, false, b"test.foreign\0".into());
    let access = it.data("access", Linkage::Local, false, b"aaaa\0".into());

    let body = it.define("body", Linkage::Local, 3, |_, b, p| {
        let (input, output) = (load(b, p[0], 0), load(b, p[0], 8));
        let (head, work, end) = (b.create_block(), b.create_block(), b.create_block());
        b.append_block_param(head, I64);
        b.ins().jump(head, &[p[1].into()]);
        b.switch_to_block(head);
        let i = b.block_params(head)[0];
        let more = b.ins().icmp(IntCC::SignedLessThan, i, p[2]);
        b.ins().brif(more, work, &[], end, &[]);
        b.switch_to_block(work);
        let offset = b.ins().imul_imm_s(i, 8);
        let (from, to) = (b.ins().iadd(input, offset), b.ins().iadd(output, offset));
        let value = load(b, from, 0);
        let value = b.ins().iadd_imm_s(value, 1);
        store(b, value, to, 0);
        let next = b.ins().iadd_imm_s(i, 1);
        b.ins().jump(head, &[next.into()]);
        b.switch_to_block(end);
        b.ins().iconst(I64, 0)
    });

    let packed = || Objects::signature(&[I64, I64, types::I32, I64], &[types::I32]);
    let entry = |it: &mut Objects, name: &str, outputs: usize| {
        it.define_as(&[symbol::FUNCTION_PREFIX, name].concat(), Linkage::Export, packed(), |m, b, p| {
            let table = address(m, b, slot);
            let table = load(b, table, 0);
            let (tensor, extent) = argument(b, p[1]);
            let refused = b.ins().icmp_imm_s(IntCC::Equal, extent, REFUSED);
            let (kind, text) = (address(m, b, kind), address(m, b, message));
            fail_if(b, refused, |b| {
                host(b, table, offset_of!(HostTable, error_set), &[kind, text], None);
            });
            let items = b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 32, 3));
            for index in 0..outputs {
                let output = add_one(m, b, table, tensor, extent, body);
                let tag = b.ins().iconst(I64, i64::from(TypeIndex::TENSOR));
                b.ins().stack_store(I64, tag, items, 16 * index as i32);
                b.ins().stack_store(I64, output, items, 16 * index as i32 + 8);
            }
            let (type_index, object) = if outputs == 1 {
                (TypeIndex::TENSOR, b.ins().stack_load(I64, I64, items, 8))
            } else {
                let count = b.ins().iconst(I64, outputs as i64);
                let array = host(b, table, offset_of!(HostTable, array_new), &[count], Some(I64)).unwrap();
                let data = load(b, array, offset_of!(ArrayObject, data) as i32);
                for word in 0..2 * outputs as i32 {
                    let value = b.ins().stack_load(I64, I64, items, 8 * word);
                    store(b, value, data, 8 * word);
                }
                store(b, count, array, offset_of!(ArrayObject, size) as i32);
                (TypeIndex::ARRAY, array)
            };
            let type_index = b.ins().iconst(I64, i64::from(type_index));
            store(b, type_index, p[3], 0);
            store(b, object, p[3], 8);
            b.ins().iconst(types::I32, 0)
        })
    };
    entry(&mut it, "main", 1);
    entry(&mut it, "twice", 2);
    it.define_as("__tvm_ffi_foreign", Linkage::Export, packed(), |m, b, p| {
        let table = address(m, b, slot);
        let (table, name, access) = (load(b, table, 0), address(m, b, name), address(m, b, access));
        let args = [name, access, p[1], p[2], p[3]];
        host(b, table, offset_of!(HostTable, call_extern), &args, Some(types::I32)).unwrap()
    });
    it.define_as("__tvm_ffi_broken", Linkage::Export, packed(), |_, b, _| b.ins().iconst(types::I32, -1));
    it.finish()
}

/// The tensor of the first argument, as an object or as a bare `DLTensor`, and its first extent.
fn argument(b: &mut FunctionBuilder<'_>, args: Value) -> (Value, Value) {
    let type_index = b.ins().load(types::I32, MemFlagsData::new(), args, 0);
    let pointer = load(b, args, 8);
    let inside = b.ins().iadd_imm_s(pointer, offset_of!(TensorObject, dl_tensor) as i64);
    let is_object = b.ins().icmp_imm_s(IntCC::Equal, type_index, i64::from(TypeIndex::TENSOR));
    let tensor = b.ins().select(is_object, inside, pointer);
    let shape = load(b, tensor, offset_of!(DLTensor, shape) as i32);
    let extent = load(b, shape, 0);
    (tensor, extent)
}

fn add_one(
    m: &mut ObjectModule,
    b: &mut FunctionBuilder<'_>,
    table: Value,
    tensor: Value,
    extent: Value,
    body: cranelift_module::FuncId,
) -> Value {
    let dtype = b.ins().iconst(types::I32, i64::from(DLDataType::I64.to_bits()));
    let ndim = b.ins().iconst(types::I32, 1);
    let shape = load(b, tensor, offset_of!(DLTensor, shape) as i32);
    let output = host(b, table, offset_of!(HostTable, tensor_new), &[dtype, ndim, shape], Some(I64)).unwrap();
    let failed = b.ins().icmp_imm_s(IntCC::Equal, output, 0);
    fail_if(b, failed, |_| {});
    let context = b.create_sized_stack_slot(StackSlotData::new(StackSlotKind::ExplicitSlot, 16, 3));
    let at = offset_of!(DLTensor, data) as i32;
    let from = load(b, tensor, at);
    let to = load(b, output, offset_of!(TensorObject, dl_tensor) as i32 + at);
    b.ins().stack_store(I64, from, context, 0);
    b.ins().stack_store(I64, to, context, 8);
    let context = b.ins().stack_addr(I64, context, 0);
    let body = m.declare_func_in_func(body, b.func);
    let body = b.ins().func_addr(I64, body);
    let grain = b.ins().iconst(I64, 16);
    host(b, table, offset_of!(HostTable, parallel_for), &[body, context, extent, grain], None);
    output
}

const SIGNATURE: &str = "orogen-signature 1\n\
    function main\ninput i64 [n] x\noutput i64 [n] y\n\
    function twice\ninput i64 [n] x\noutput i64 [n] y\noutput i64 [n] z\n\
    function fixed\ninput i64 [2,m] x\n";

fn open(path: &Path, object: &[u8]) -> Result<Library, RuntimeError> {
    ElfLinker.link(&LinkInput { object, imports: Some(&[]), ..LinkInput::default() }, path).unwrap();
    Library::open(path)
}

fn library() -> (tempfile::TempDir, Library) {
    let directory = tempfile::tempdir().unwrap();
    // `fixed` needs a function too; any will do, since calls to it are refused before.
    let signature = SIGNATURE.replace("function fixed", "function foreign");
    let library =
        open(&directory.path().join("model.so"), &model(&signature, symbol::LIBRARY_VERSION)).unwrap();
    (directory, library)
}

fn vector(n: i64) -> Tensor {
    Tensor::from_vec(&[n], (0..n).collect()).unwrap()
}

#[test]
fn a_library_runs_and_says_what_it_is() {
    let (_directory, library) = library();
    assert_eq!(library.metadata(), "{\"model\":\"test\"}");
    assert_eq!(library.signature().function("main").unwrap().inputs[0].dims, [Dim::Symbolic("n".into())]);
    for n in [0, 1, 15, 1000] {
        let outputs = library.run(&[vector(n)]).unwrap();
        assert_eq!(outputs.len(), 1);
        assert_eq!(outputs[0].as_slice::<i64>().unwrap(), (1..=n).collect::<Vec<_>>());
    }
    let outputs = library.run_function("twice", &[vector(3)], RunOptions { threads: Some(2) }).unwrap();
    let outputs: Vec<_> = outputs.iter().map(|it| it.as_slice::<i64>().unwrap().to_vec()).collect();
    assert_eq!(outputs, [[1, 2, 3], [1, 2, 3]]);
}

#[test]
fn outputs_and_functions_outlive_the_library() {
    let (directory, library) = library();
    let output = library.run(&[vector(5)]).unwrap().remove(0);
    let function = library.function("main").unwrap();
    drop((library, directory));
    assert_eq!(output.as_slice::<i64>().unwrap(), [1, 2, 3, 4, 5]);
    let again = function.call(&[output.into()]).unwrap().into_tensor().unwrap();
    assert_eq!(again.as_slice::<i64>().unwrap(), [2, 3, 4, 5, 6]);
}

#[test]
fn several_threads_run_one_library() {
    let (_directory, library) = library();
    library.set_threads(2);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let library = &library;
            scope.spawn(move || {
                for round in 0..100 {
                    let n = 50 + 10 * thread + round % 7;
                    if round % 10 == 3 {
                        let error = library.run(&[vector(REFUSED)]).unwrap_err();
                        assert!(error.to_string().contains("extent of `x`"), "{error}");
                    }
                    let output = library.run(&[vector(n)]).unwrap().remove(0);
                    assert_eq!(output.as_slice::<i64>().unwrap(), (1..=n).collect::<Vec<_>>());
                }
            });
        }
    });
}

#[test]
fn wrong_arguments_are_typed_errors() {
    let (_directory, library) = library();
    let error = library.run(&[]).unwrap_err();
    assert_eq!(error.to_string(), "`main` takes 1 inputs, got 0\nhelp: the inputs are `x`");
    let error = library.run(&[Tensor::scalar(1i64).unwrap()]).unwrap_err();
    assert_eq!(error.to_string(), "input `x` of `main`: expected shape [n], got []");
    let error = library.run(&[Tensor::scalar(1f32).unwrap()]).unwrap_err();
    assert_eq!(error.to_string(), "input `x` of `main`: expected data type i64, got f32");
    let error = library
        .run_function("foreign", &[Tensor::from_slice(&[3, 1], &[1i64; 3]).unwrap()], RunOptions::default())
        .unwrap_err();
    assert_eq!(error.to_string(), "input `x` of `foreign`: expected shape [2,m], got [3,1]");
    let error = library.run_function("nothing", &[], RunOptions::default()).unwrap_err();
    assert!(matches!(&error, RuntimeError::NoFunction { available, .. } if available.len() == 3), "{error}");
}

#[test]
fn errors_of_the_model_arrive_and_silence_is_an_error_too() {
    let (_directory, library) = library();
    let error = library.run(&[vector(REFUSED)]).unwrap_err();
    let expected = "`main`: ValueError: extent of `x`";
    assert_eq!(error.to_string(), expected);
    let error = library.function("broken").unwrap().call(&[]).unwrap_err();
    assert_eq!(error.to_string(), "`broken`: RuntimeError: it failed without setting an error");
}

#[test]
fn models_call_foreign_functions_and_their_panics_are_errors() {
    let (_directory, library) = library();
    let foreign = library.function("foreign").unwrap();
    let error = foreign.call(&[Dynamic::Int(1)]).unwrap_err();
    assert!(error.to_string().contains("no function `test.foreign`"), "{error}");
    register_extern(
        "test.foreign",
        PackedFunc::new("test.foreign", |args| match args {
            [Dynamic::Int(0)] => panic!("zero"),
            [Dynamic::Str(text)] => {
                Ok(Dynamic::Array(vec![Dynamic::Str(text.repeat(3)), Dynamic::Bool(true)]))
            }
            [Dynamic::Array(items)] => Ok(Dynamic::Int(items.len() as i64)),
            _ => Ok(Dynamic::None),
        }),
    );
    let error = foreign.call(&[Dynamic::Int(0)]).unwrap_err();
    assert!(error.to_string().contains("panicked: zero"), "{error}");
    let Dynamic::Array(items) = foreign.call(&[Dynamic::Str("ab".into())]).unwrap() else {
        panic!("no array")
    };
    assert!(matches!(&items[..], [Dynamic::Str(text), Dynamic::Bool(true)] if text == "ababab"));
    let items = vec![vector(2).into(), Dynamic::Str("x\0y".into()), Dynamic::Float(0.5), Dynamic::None];
    assert!(matches!(foreign.call(&[Dynamic::Array(items)]).unwrap(), Dynamic::Int(4)));
}

#[test]
fn code_in_memory_and_in_the_program_runs_too() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.so");
    drop(open(&path, &model("orogen-signature 1\n", symbol::LIBRARY_VERSION)).unwrap());
    // SAFETY: the library was just made, and its symbols are what `orogen-abi` says.
    unsafe {
        let loaded = libloading::Library::new(&path).unwrap();
        let at = |name: &str| loaded.get::<*const u8>(name).ok().map(|it| *it);
        for name in [symbol::HOST, symbol::VERSION, symbol::MAIN] {
            let prefixed = std::ffi::CString::new(symbol::with_prefix(name, "demo_")).unwrap();
            orogen_runtime::orogen_register_symbol(prefixed.as_ptr(), at(name).unwrap().cast());
        }
        let signature: &'static [u8] =
            Box::leak(text("orogen-signature 1\nfunction main\ninput i64 [n] x\noutput i64 [n] y\n").into());
        let name = std::ffi::CString::new(symbol::with_prefix(symbol::SIGNATURE, "demo_")).unwrap();
        orogen_runtime::orogen_register_symbol(name.as_ptr(), signature.as_ptr().cast());
        let system = Library::from_system("demo_").unwrap();
        assert_eq!(system.run(&[vector(2)]).unwrap()[0].as_slice::<i64>().unwrap(), [1, 2]);
        assert_eq!(system.metadata(), "");
        assert!(matches!(Library::from_system("other_"), Err(RuntimeError::MissingSymbol { .. })));

        let lookup = |name: &str| loaded.get::<*const u8>(name).ok().map(|it| *it);
        let symbols: Vec<_> = [symbol::HOST, symbol::VERSION, symbol::META, symbol::MAIN]
            .iter()
            .map(|&name| (name, lookup(name).unwrap().addr()))
            .chain([(symbol::SIGNATURE, signature.as_ptr().addr())])
            .collect();
        let mut lookup = |name: &str| {
            let found = symbols.iter().find(|it| it.0 == name)?;
            Some(std::ptr::with_exposed_provenance(found.1))
        };
        let library = Library::from_jit("jit", Box::new(loaded), &mut lookup).unwrap();
        assert_eq!(library.run(&[vector(2)]).unwrap()[0].as_slice::<i64>().unwrap(), [1, 2]);
        assert_eq!(library.name(), "jit");
        // `system` must not run any more: its code goes with `library`.
        drop(system);
    }
}

#[test]
fn foreign_and_damaged_libraries_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.so");
    let signature = "orogen-signature 1\n";
    let error = open(&path, &model(signature, symbol::LIBRARY_VERSION + 1)).unwrap_err();
    assert!(matches!(error, RuntimeError::Version { expected, got, .. } if got == expected + 1), "{error}");
    let error =
        open(&path, &model_using(signature, symbol::LIBRARY_VERSION, Some("sse3 abacus"))).unwrap_err();
    assert!(
        matches!(&error, RuntimeError::Instructions { missing, .. } if missing == &["abacus"]),
        "{error}"
    );
    drop(open(&path, &model_using(signature, symbol::LIBRARY_VERSION, Some("sse3"))).unwrap());
    let error = open(&path, &model("nonsense", symbol::LIBRARY_VERSION)).unwrap_err();
    assert!(matches!(error, RuntimeError::Signature { .. }), "{error}");
    let error =
        open(&path, &model("orogen-signature 1\nfunction gone\n", symbol::LIBRARY_VERSION)).unwrap_err();
    assert!(
        matches!(&error, RuntimeError::MissingSymbol { symbol, .. } if symbol == "__tvm_ffi_gone"),
        "{error}"
    );
    let mut other = Objects::new();
    other.define("f", Linkage::Export, 1, |_, _, p| p[0]);
    let error = open(&path, &other.finish()).unwrap_err();
    assert!(matches!(&error, RuntimeError::MissingSymbol { .. }), "{error}");

    drop(open(&path, &model(signature, symbol::LIBRARY_VERSION)).unwrap());
    let good = std::fs::read(&path).unwrap();
    for length in [0, 10, 64, 500, good.len() / 2] {
        let path = directory.path().join(format!("{length}.so"));
        std::fs::write(&path, &good[..length]).unwrap();
        let error = Library::open(&path).unwrap_err();
        assert!(matches!(error, RuntimeError::Open { .. }), "{length}: {error}");
    }
    let error = Library::open(&directory.path().join("none.so")).unwrap_err();
    assert!(error.to_string().contains("No such file"), "{error}");
}
