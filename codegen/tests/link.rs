//! Links objects in every way, loads the libraries and calls them.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]
#![allow(unsafe_code, reason = "loads and calls what was linked")]

mod support;

use std::path::Path;
use std::process::Command;

use cranelift_codegen::ir::InstBuilder;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_module::{DataDescription, Linkage, Module};
use cranelift_object::object::write::{Relocation, StandardSection};
use cranelift_object::object::{RelocationFlags, elf};
use orogen_codegen::link::{Blob, ElfLinker, LinkError, LinkInput, Linker, SystemLinker};
use support::{I64, Objects, address, call, call_pointer, load, store};

/// Uses everything that generated code may use.
fn everything(section_per_function: bool) -> Vec<u8> {
    let mut it = Objects::for_target("x86_64-unknown-linux-gnu", section_per_function);
    let add = it.define("add", Linkage::Export, 2, |_, b, p| b.ins().iadd(p[0], p[1]));
    let double = it.define("double", Linkage::Local, 1, |m, b, p| call(m, b, add, &[p[0], p[0]]));
    it.define("quadruple", Linkage::Export, 1, |m, b, p| {
        let twice = call(m, b, double, &[p[0]]);
        call(m, b, double, &[twice])
    });
    // Imports of the C library: a call, and the address of a variable.
    let strlen = it.declare("strlen", Linkage::Import, 1);
    it.define("length", Linkage::Export, 1, |m, b, p| call(m, b, strlen, &[p[0]]));
    let environ = it.import_data("environ");
    it.define("environment", Linkage::Export, 0, |m, b, _| address(m, b, environ));
    // Zero and initialised variables, and a constant.
    let counter = it.zeros("counter", Linkage::Local, 4096);
    let start = it.data("start", Linkage::Local, true, 100i64.to_le_bytes().into());
    let step = it.data("step", Linkage::Local, false, 7i64.to_le_bytes().into());
    it.define("count", Linkage::Export, 0, |m, b, _| {
        let (counter, start, step) = (address(m, b, counter), address(m, b, start), address(m, b, step));
        let (old, step) = (load(b, counter, 4088), load(b, step, 0));
        let new = b.ins().iadd(old, step);
        store(b, new, counter, 4088);
        let start = load(b, start, 0);
        b.ins().iadd(start, new)
    });
    // A constant table of addresses, in the library and outside.
    let table = it.module.declare_data("table", Linkage::Export, false, false).unwrap();
    let mut data = DataDescription::new();
    data.define(vec![0; 32].into()); // a zero-initialised one cannot hold addresses
    data.set_align(8);
    for (offset, function) in [(0, add), (8, double), (16, strlen)] {
        let function = it.module.declare_func_in_data(function, &mut data);
        data.write_function_addr(offset, function);
    }
    let step = it.module.declare_data_in_data(step, &mut data);
    data.write_data_addr(24, step, 0);
    it.module.define_data(table, &data).unwrap();
    it.define("dispatch", Linkage::Export, 3, |m, b, p| {
        let table = address(m, b, table);
        let offset = b.ins().imul_imm_s(p[0], 8);
        let entry = b.ins().iadd(table, offset);
        let entry = load(b, entry, 0);
        call_pointer(b, Objects::signature(&[I64; 2], &[I64]), entry, &p[1..]).unwrap()
    });
    // A symbol that the process may lack.
    for (name, symbol) in [("has_absent", "no_process_has_this_symbol"), ("has_strlen_weak", "strnlen")] {
        let weak = it.declare(symbol, Linkage::Preemptible, 1);
        it.define(name, Linkage::Export, 0, |m, b, _| {
            let weak = m.declare_func_in_func(weak, b.func);
            let weak = b.ins().func_addr(I64, weak);
            let zero = b.ins().iconst(I64, 0);
            let there = b.ins().icmp(IntCC::NotEqual, weak, zero);
            b.ins().uextend(I64, there)
        });
    }
    // Blobs.
    for (name, blob) in [("weight", "weights"), ("other_weight", "other.weights")] {
        let blob = it.import_data(blob);
        it.define(name, Linkage::Export, 1, |m, b, p| {
            let blob = address(m, b, blob);
            let at = b.ins().iadd(blob, p[0]);
            load(b, at, 0)
        });
    }
    it.define("weights_address", Linkage::Export, 0, |m, b, _| {
        let blob = m.declare_data("weights", Linkage::Import, false, false).unwrap();
        address(m, b, blob)
    });
    it.finish()
}

fn weights(n: i64, factor: i64) -> Vec<u8> {
    (0..n).flat_map(|i| (i * factor).to_le_bytes()).collect()
}

type F0 = unsafe extern "C" fn() -> i64;
type F1 = unsafe extern "C" fn(i64) -> i64;
type F3 = unsafe extern "C" fn(i64, i64, i64) -> i64;

fn check_everything(path: &Path) {
    // SAFETY: the library was just made, and the functions have these types.
    unsafe {
        let library = libloading::Library::new(path).unwrap();
        let f0 = |name: &str| *library.get::<F0>(name).unwrap();
        let f1 = |name: &str| *library.get::<F1>(name).unwrap();
        assert_eq!(f1("quadruple")(-5), -20);
        assert_eq!(f1("length")(c"four".as_ptr().addr() as i64), 4);
        let environ: *const u8 = *libloading::os::unix::Library::this().get::<*const u8>("environ").unwrap();
        assert_eq!(f0("environment")(), environ.addr() as i64);
        let count = f0("count");
        assert_eq!((count(), count(), count()), (107, 114, 121));
        let dispatch = *library.get::<F3>("dispatch").unwrap();
        assert_eq!(dispatch(0, 3, 4), 7);
        assert_eq!(dispatch(1, 3, 4), 6);
        assert_eq!(dispatch(2, c"abc".as_ptr().addr() as i64, 0), 3);
        let table = *library.get::<*const *const i64>("table").unwrap();
        assert_eq!(*table.add(3).read(), 7);
        assert_eq!((f0("has_absent")(), f0("has_strlen_weak")()), (0, 1));
        for i in [0, 1, 4999] {
            assert_eq!(f1("weight")(8 * i), 3 * i);
            assert_eq!(f1("other_weight")(8 * (i % 10)), 5 * (i % 10));
        }
        assert_eq!(f0("weights_address")() % 4096, 0);
    }
}

/// The two blobs that `everything` refers to.
fn with_blobs<T>(object: &[u8], use_input: impl FnOnce(&LinkInput<'_>) -> T) -> T {
    let (first, second) = (weights(5000, 3), weights(10, 5));
    let blobs = [
        Blob { symbol: "weights", bytes: &first, alignment: 4096 },
        Blob { symbol: "other.weights", bytes: &second, alignment: 64 },
    ];
    let soname = Some("everything.so");
    use_input(&LinkInput {
        object,
        blobs: &blobs,
        soname,
        imports: Some(&["strlen", "environ"]),
        ..LinkInput::default()
    })
}

#[test]
fn the_built_in_linker_does_all_that_generated_code_needs() {
    let directory = tempfile::tempdir().unwrap();
    for section_per_function in [false, true] {
        let object = everything(section_per_function);
        let path = directory.path().join(format!("everything-{section_per_function}.so"));
        with_blobs(&object, |input| ElfLinker.link(input, &path)).unwrap();
        check_everything(&path);
        check_with_readelf(&path);
        let names: Vec<_> =
            std::fs::read_dir(directory.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert!(names.iter().all(|it| !it.to_string_lossy().contains("tmp")), "{names:?}");
    }
}

#[test]
fn the_system_linker_agrees() {
    if Command::new("cc").arg("--version").output().is_err() {
        return; // no compiler here
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("everything.so");
    with_blobs(&everything(false), |input| SystemLinker::cc("cc", &[]).link(input, &path)).unwrap();
    check_everything(&path);
    let failing = SystemLinker::cc("cc", &["--no-such-option"]);
    let error = with_blobs(&everything(false), |input| failing.link(input, &path)).unwrap_err();
    assert!(matches!(&error, LinkError::Tool { reason } if reason.contains("no-such-option")), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "objects are removed");
}

/// What binutils think of it, where they are installed.
fn check_with_readelf(path: &Path) {
    let Ok(output) = Command::new("readelf").args(["--all", "--wide"]).arg(path).output() else { return };
    let (text, complaints) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && complaints.is_empty(), "{complaints}");
    for expected in ["(SONAME)", "everything.so", "GNU_RELRO", "R_X86_64_RELATIVE", "BIND_NOW", " quadruple"]
    {
        assert!(text.contains(expected), "no {expected} in {text}");
    }
    assert!(!text.contains("TEXTREL") && !text.contains("RWE"), "{text}");
    let Ok(output) = Command::new("objdump").arg("-d").arg(path).output() else { return };
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("<quadruple>:") && text.contains("<double>:"), "{text}");
}

#[test]
fn l1_the_same_input_gives_the_same_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let bytes = |name: &str| {
        let path = directory.path().join(name);
        with_blobs(&everything(true), |input| ElfLinker.link(input, &path)).unwrap();
        std::fs::read(path).unwrap()
    };
    assert!(bytes("a.so") == bytes("b.so"));
}

fn link(object: &[u8], blobs: &[Blob<'_>], imports: Option<&[&str]>) -> Result<(), LinkError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.so");
    let result = ElfLinker.link(&LinkInput { object, blobs, imports, ..LinkInput::default() }, &path);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), usize::from(result.is_ok()), "law L2");
    result
}

#[test]
fn undefined_and_duplicate_symbols_are_named() {
    let object = everything(false);
    let error = link(&object, &[], Some(&["strlen"])).unwrap_err();
    let expected = ["environ", "weights", "other.weights"];
    assert!(
        matches!(&error, LinkError::Undefined { symbols } if symbols.iter().all(|it| expected.contains(&it.as_str())) && symbols.len() == 3),
        "{error}"
    );
    let blob = |symbol| Blob { symbol, bytes: &[1], alignment: 1 };
    let error = link(&object, &[blob("add")], None).unwrap_err();
    assert_eq!(error, LinkError::Duplicate { symbol: "add".into() });
    let error = link(&object, &[blob("weights"), blob("weights")], None).unwrap_err();
    assert_eq!(error, LinkError::Duplicate { symbol: "weights".into() });
}

#[test]
fn bad_blobs_are_errors_and_leave_no_file() {
    let object = everything(false);
    for alignment in [0, 3, 8192] {
        let blob = Blob { symbol: "weights", bytes: &[1], alignment };
        assert!(matches!(link(&object, &[blob], None).unwrap_err(), LinkError::Blob { .. }));
    }
}

#[test]
fn unwritable_outputs_are_errors() {
    let object = everything(false);
    let input = LinkInput { object: &object, ..LinkInput::default() };
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("no/such/folder/x.so");
    let error = ElfLinker.link(&input, &missing).unwrap_err();
    assert!(error.to_string().contains("no/such/folder/x.so"), "{error}");
    let error = ElfLinker.link(&input, directory.path()).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
    // A full disk, where the system has one to offer.
    if Path::new("/dev/full").exists() {
        assert!(ElfLinker.link(&input, Path::new("/dev/full")).is_err());
        assert!(Path::new("/dev/full").exists());
    }
}

#[test]
fn damaged_objects_are_errors() {
    let object = everything(false);
    assert!(matches!(link(b"", &[], None).unwrap_err(), LinkError::Object { .. }));
    assert!(matches!(
        link(b"hello, this is not an ELF file", &[], None).unwrap_err(),
        LinkError::Unsupported { .. }
    ));
    for length in (0..object.len()).step_by(97) {
        assert!(link(&object[..length], &[], None).is_err(), "{length}");
    }
    // One damaged byte gives an error or a library, never a panic.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.so");
    let headers = object.len().saturating_sub(2000);
    for at in (0..64).chain(headers..object.len()) {
        let mut object = object.clone();
        object[at] ^= 0xff;
        let _ = ElfLinker.link(&LinkInput { object: &object, ..LinkInput::default() }, &path);
    }
    let arm = Objects::for_target("aarch64-unknown-linux-gnu", false).finish();
    assert!(matches!(link(&arm, &[], None).unwrap_err(), LinkError::Unsupported { .. }));
}

/// More than 2 GiB of blobs that share their bytes.
struct Filler {
    bytes: Vec<u8>,
    names: Vec<String>,
}

impl Filler {
    fn new() -> Self {
        Filler { bytes: vec![1; 64 << 20], names: (0..34).map(|it| format!("filler.{it}")).collect() }
    }

    /// The blobs, and behind them `far.weights`.
    fn before<'a>(&'a self, far: &'a [u8]) -> Vec<Blob<'a>> {
        let blob = |symbol: &'a str, bytes| Blob { symbol, bytes, alignment: 64 };
        let filler = self.names.iter().map(|it| blob(it, &self.bytes));
        filler.chain([blob("far.weights", far)]).collect()
    }
}

#[test]
fn l3_a_reference_that_does_not_reach_is_an_error() {
    let object = |r_type| {
        let mut it = Objects::new();
        it.define("get", Linkage::Export, 2, |_, b, p| b.ins().iadd(p[0], p[1]));
        let far = it.import_data("far.weights");
        it.define("get_through_table", Linkage::Export, 0, |m, b, _| address(m, b, far));
        let mut object = it.module.finish().object;
        let (section, symbol) =
            (object.section_id(StandardSection::Text), object.symbol_id(b"far.weights").unwrap());
        let flags = RelocationFlags::Elf { r_type };
        object.add_relocation(section, Relocation { offset: 0, symbol, addend: -4, flags }).unwrap();
        object.write().unwrap()
    };
    let (filler, far) = (Filler::new(), 42i64.to_le_bytes());
    let blobs = filler.before(&far);
    for r_type in [elf::R_X86_64_PC32, elf::R_X86_64_PLT32] {
        let error = link(&object(r_type), &blobs, None).unwrap_err();
        assert!(
            matches!(&error, LinkError::OutOfRange { symbol, bits: 32, .. } if symbol == "far.weights"),
            "{error}"
        );
    }
}

#[test]
#[ignore = "writes a library of 2.3 GB"]
fn blobs_beyond_two_gigabytes_are_reached() {
    let mut it = Objects::new();
    let far = it.import_data("far.weights");
    it.define("get", Linkage::Export, 0, |m, b, _| {
        let at = address(m, b, far);
        load(b, at, 0)
    });
    let object = it.finish();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large.so");
    let (filler, far) = (Filler::new(), 42i64.to_le_bytes());
    let blobs = filler.before(&far);
    ElfLinker.link(&LinkInput { object: &object, blobs: &blobs, ..LinkInput::default() }, &path).unwrap();
    // SAFETY: the library was just made, and the function has this type.
    unsafe {
        let library = libloading::Library::new(&path).unwrap();
        assert_eq!(library.get::<F0>("get").unwrap()(), 42);
    }
}

#[test]
fn addresses_in_read_only_memory_are_an_error() {
    let mut it = Objects::new();
    it.define("add", Linkage::Export, 2, |_, b, p| b.ins().iadd(p[0], p[1]));
    it.data("constant", Linkage::Local, false, vec![0; 16]);
    let mut object = it.module.finish().object;
    let section = object.section_id(StandardSection::ReadOnlyData);
    let symbol = object.symbol_id(b"add").unwrap();
    let flags = RelocationFlags::Elf { r_type: elf::R_X86_64_64 };
    object.add_relocation(section, Relocation { offset: 8, symbol, addend: 0, flags }).unwrap();
    match link(&object.write().unwrap(), &[], None).unwrap_err() {
        LinkError::TextRelocation { symbol, place } => {
            assert_eq!((&*symbol, &*place), ("add", "`.rodata`+0x8"))
        }
        error => panic!("{error}"),
    }
}
