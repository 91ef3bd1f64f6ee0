//! Names of the symbols that an Orogen library exports or refers to.

use alloc::string::String;

/// Prefix of every packed function: `__tvm_ffi_<name>`.
pub const FUNCTION_PREFIX: &str = "__tvm_ffi_";

/// The default entry point.
pub const MAIN: &str = "__tvm_ffi_main";

/// Exported, written by a tvm-ffi host at load: the module itself. Optional.
pub const LIBRARY_CONTEXT: &str = "__tvm_ffi__library_ctx";

/// Exported `u32` (little endian): the [`LIBRARY_VERSION`] the library was made for.
pub const VERSION: &str = "__orogen_version";

/// Value of [`VERSION`] that this crate describes.
pub const LIBRARY_VERSION: u32 = 4;

/// Exported pointer slot, null in the file: our loader stores the address of a [`crate::HostTable`] in it.
pub const HOST: &str = "__orogen_host";

/// Exported text: what the runtime needs to know, see [`crate::signature`].
///
/// Like [`META`] and [`INSTRUCTIONS`] it is a `u64` length (little endian) followed by that many bytes of UTF-8.
pub const SIGNATURE: &str = "__orogen_signature";

/// Exported text: JSON for tools. The runtime hands it on and does not read it.
pub const META: &str = "__orogen_meta";

/// Exported text: the instructions that the code uses beyond those of its architecture, separated by spaces, in the
/// spelling of Rust's target features (`avx2 fma`). A library without it makes no claim.
///
/// It has the form of [`SIGNATURE`].
pub const INSTRUCTIONS: &str = "__orogen_instructions";

/// The names that [`INSTRUCTIONS`] may hold on x86-64.
pub const X86_64_INSTRUCTIONS: &[&str] = &[
    "sse3",
    "ssse3",
    "sse4.1",
    "sse4.2",
    "popcnt",
    "cmpxchg16b",
    "avx",
    "avx2",
    "fma",
    "f16c",
    "bmi1",
    "bmi2",
    "lzcnt",
    "avxvnni",
    "avx512f",
    "avx512vl",
    "avx512dq",
    "avx512bw",
    "avx512bitalg",
    "avx512vbmi",
    "avx512vnni",
];

/// Exported array of pointers, all null in the file, of libraries whose parameters lie outside: one for each
/// `parameter` of the [`SIGNATURE`], in its order. A host sets them before the first call: to row-major data, aligned to 64
/// bytes, that stays as it is while the library is loaded.
pub const PARAMETERS: &str = "__orogen_parameters";

/// Prefix of the [`crate::ExternSlot`] of each function of the host that the library calls:
/// `__orogen_extern_<name>`. All null in the file; a host without a [`crate::HostTable`] may put its function there.
pub const EXTERN_PREFIX: &str = "__orogen_extern_";

/// Weak, undefined: finds a function among the imports of the library's module in a tvm-ffi host,
/// `int (void* context, const char* name, void** out)`; what it finds stays owned by the module.
pub const TVM_FFI_LOOKUP_IMPORT: &str = "TVMFFIEnvModLookupFromImports";

/// Weak, undefined: finds a global function of a tvm-ffi host, `int (const TVMFFIByteArray* name, void** out)`; what it
/// finds is owned by the caller.
pub const TVM_FFI_GET_GLOBAL: &str = "TVMFFIFunctionGetGlobal";

/// Weak, undefined: sets an error in a tvm-ffi host, `void (const char* kind, const char* message)`.
pub const TVM_FFI_SET_ERROR: &str = "TVMFFIErrorSetRaisedFromCStr";

/// The symbol under which a system library with this prefix has `symbol`.
///
/// The prefix goes after the name space, so that several models fit in one binary:
/// `__tvm_ffi_main` becomes `__tvm_ffi_<prefix>main`, and `__orogen_host` becomes `__orogen_<prefix>host`.
///
/// ```
/// use orogen_abi::symbol::{MAIN, META, with_prefix};
///
/// assert_eq!(with_prefix(MAIN, "bert_"), "__tvm_ffi_bert_main");
/// assert_eq!(with_prefix(META, "bert_"), "__orogen_bert_meta");
/// ```
pub fn with_prefix(symbol: &str, prefix: &str) -> String {
    for space in [FUNCTION_PREFIX, "__orogen_"] {
        if let Some(name) = symbol.strip_prefix(space) {
            return [space, prefix, name].concat();
        }
    }
    [prefix, symbol].concat()
}
