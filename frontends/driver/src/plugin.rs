//! Plug-ins: shared libraries that add to a compiler what a program would add with its [`Builder`].
//!
//! A plug-in is a crate of type `cdylib` that depends on `orogen` and names one function:
//!
//! ```
//! use orogen::prelude::*;
//!
//! fn register(builder: &mut Builder) {
//!     builder.converter("com.acme", "Double", 1.., |cx| {
//!         let x = cx.input(0)?;
//!         Ok(vec![cx.binary("add", x, x)?])
//!     });
//! }
//!
//! orogen::plugin!(register);
//! ```
//!
//! Rust fixes the layout of its types for one version of the compiler and one set of sources only. So a plug-in carries
//! an [`Identity`], and is refused unless it is that of the compiler that loads it.
//!
//! # Laws
//! * **U1** Nothing of a plug-in is called before its identity was compared; that is a constant of fixed layout.
//! * **U2** A plug-in that was loaded stays loaded: what it registered may be used as long as the process lives.
//! * **U3** A panic while it registers is an error of the builder.
//!
//! What the identity cannot see: a plug-in whose `Cargo.lock` has other versions of the crates that both use. Types that
//! contain such a crate's are measured and compared; one that keeps its size but changes its inside is not noticed, so
//! build a plug-in with the compiler's `Cargo.lock`. And a plug-in is code: load none that you would not run.
#![allow(
    unsafe_code,
    reason = "a plug-in is found by name in a shared library, and nothing checks its types"
)]

use crate::Builder;
use crate::compiler::Operator;
use libloading::Library;
use orogen_ir::diag::Diagnostic;
use std::mem::{align_of, size_of};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Says what a plug-in was built with. Its layout never changes.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    magic: [u8; 16],
    /// Hash of the sources of the interface.
    interface: u64,
    /// Hash of the sizes of its types, which depend on crates of others too.
    layout: u64,
    /// The compiler and the Rust compiler as text, filled up with zeros.
    text: [u8; 224],
}

impl Identity {
    const MAGIC: [u8; 16] = *b"orogen plug-in 1";

    /// That of this build.
    pub const HERE: Identity = Identity {
        magic: Self::MAGIC,
        interface: number(env!("OROGEN_INTERFACE")),
        layout: layout(),
        text: padded(concat!("orogen ", env!("CARGO_PKG_VERSION"), ", ", env!("OROGEN_RUSTC"))),
    };

    fn versions(&self) -> String {
        let end = self.text.iter().position(|it| *it == 0).unwrap_or(self.text.len());
        String::from_utf8_lossy(&self.text[..end]).escape_debug().to_string()
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, interface {:016x}, layout {:016x}", self.versions(), self.interface, self.layout)
    }
}

const fn number(text: &str) -> u64 {
    let (bytes, mut value, mut i) = (text.as_bytes(), 0u64, 0);
    while i < bytes.len() {
        value = value.wrapping_mul(10).wrapping_add((bytes[i] - b'0') as u64);
        i += 1;
    }
    value
}

const fn padded<const N: usize>(text: &str) -> [u8; N] {
    let (bytes, mut out, mut i) = (text.as_bytes(), [0; N], 0);
    while i < bytes.len() && i < N {
        out[i] = bytes[i];
        i += 1;
    }
    out
}

/// Sizes and alignments of what goes between a compiler and a plug-in, and of what that is made of.
const fn layout() -> u64 {
    macro_rules! measured {
        ($($ty:ty),* $(,)?) => { [$((size_of::<$ty>(), align_of::<$ty>())),*] };
    }
    let sizes = measured![
        Builder,
        Operator,
        orogen_ir::ops::OpRegistry,
        orogen_ir::ops::InferCx<'static>,
        orogen_ir::types::Attrs,
        orogen_ir::types::TensorData,
        orogen_ir::types::TensorType,
        orogen_ir::types::ConstPool,
        Diagnostic,
        orogen_ir::shape::ShapeCx,
        orogen_ir::graph::Graph,
        orogen_ir::graph::Node,
        orogen_ir::flow::Module,
        orogen_ir::flow::Function,
        orogen_ir::flow::Binding,
        orogen_ir::loops::TensorProgram,
        orogen_ir::loops::ProgramBuilder,
        orogen_passes::manager::PassCx<'static>,
        orogen_passes::manager::Facts,
        orogen_passes::registry::PassDef,
        orogen_passes::rules::legalize::Legalizer<'static>,
        orogen_passes::rules::legalize::Lowering,
        orogen_onnx::OpTable,
        orogen_onnx::NodeCx<'static, 'static>,
        orogen_runtime::Tensor,
        orogen_runtime::Value,
        orogen_runtime::RuntimeError,
    ];
    let (mut hash, mut i) = (0xcbf2_9ce4_8422_2325u64, 0);
    while i < sizes.len() {
        hash = (hash ^ sizes[i].0 as u64).wrapping_mul(0x0100_0000_01b3);
        hash = (hash ^ sizes[i].1 as u64).wrapping_mul(0x0100_0000_01b3);
        i += 1;
    }
    hash
}

/// What [`plugin!`](crate::plugin!) exports as `orogen_plugin_register`.
pub type RegisterFn = extern "C" fn(&mut Builder);

/// Calls the function that a plug-in names (law U3).
pub fn register(builder: &mut Builder, register: fn(&mut Builder)) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| register(builder))) {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it does not say why");
        builder.error(Diagnostic::error("D023", format!("a plug-in panicked while it registered: {text}")));
    }
}

/// Makes the crate, of type `cdylib`, a plug-in that registers what this function adds to a
/// [`Builder`](crate::Builder). See [`plugin`](mod@crate::plugin).
#[macro_export]
macro_rules! plugin {
    ($register:path) => {
        const _: () = {
            // SAFETY: no other item of a plug-in has this name.
            #[unsafe(no_mangle)]
            pub static orogen_plugin_identity: $crate::plugin::Identity = $crate::plugin::Identity::HERE;

            // SAFETY: no other item of a plug-in has this name.
            #[unsafe(no_mangle)]
            pub extern "C" fn orogen_plugin_register(builder: &mut $crate::Builder) {
                $crate::plugin::register(builder, $register);
            }
        };
    };
}

impl Builder {
    /// Adds what a plug-in registers, see [`plugin`](mod@crate::plugin). It is loaded at once, and stays loaded.
    pub fn plugin(&mut self, path: impl AsRef<Path>) -> &mut Self {
        match load(self, path.as_ref()) {
            Ok(()) => self,
            Err(diagnostic) => self.error(diagnostic),
        }
    }
}

/// Loads a plug-in and lets it register.
pub(crate) fn load(builder: &mut Builder, path: &Path) -> Result<(), Diagnostic> {
    let place = |it: Diagnostic| it.at(format!("plug-in `{}`", path.display()));
    let cannot = |error: &dyn std::fmt::Display| {
        place(Diagnostic::error("D020", format!("cannot load the plug-in: {error}")))
    };
    // An absolute path is not searched for elsewhere, and to open a pipe would be to wait for its writer.
    let full = std::path::absolute(path).map_err(|error| cannot(&error))?;
    if !full.metadata().map_err(|error| cannot(&error))?.is_file() {
        return Err(cannot(&"it is not a regular file"));
    }
    // SAFETY: constructors of a library run when it is loaded; the user named it as one whose code is to run.
    let library = unsafe { Library::new(&full) }.map_err(|error| cannot(&error))?;
    let absent = |_| {
        place(Diagnostic::error("D021", "this library is no plug-in of Orogen"))
            .help("a plug-in is a `cdylib` with `orogen::plugin!(register);`")
    };
    // SAFETY: whatever is exported under this name is only read, as bytes, after its magic was found to be right.
    let found = unsafe { library.get::<*const [u8; 16]>(b"orogen_plugin_identity\0") }.map_err(absent)?;
    // SAFETY: a symbol of this name points to an identity, which begins with its magic.
    if unsafe { **found } != Identity::MAGIC {
        return Err(place(Diagnostic::error("D021", "this library is no plug-in that this version knows")));
    }
    // SAFETY: the magic says that the layout is that of `Identity`, which is plain numbers.
    let identity = unsafe { (*found).cast::<Identity>().read_unaligned() };
    if identity != Identity::HERE {
        return Err(place(mismatch(&identity)));
    }
    // SAFETY: the identity says that the plug-in was built from this interface by this Rust compiler, so that the type
    // of the symbol is the one that `plugin!` gives it.
    let register = unsafe { library.get::<RegisterFn>(b"orogen_plugin_register\0") }.map_err(absent)?;
    let register = *register;
    // What it registers points into it (law U2).
    std::mem::forget(library);
    register(builder);
    Ok(())
}

fn mismatch(plugin: &Identity) -> Diagnostic {
    let here = Identity::HERE;
    let what = if plugin.text != here.text {
        "was built by another version"
    } else if plugin.interface != here.interface {
        "was built from other sources of `orogen`"
    } else {
        "was built with other versions of the crates that both use"
    };
    Diagnostic::error("D022", format!("the plug-in {what}"))
        .note(format!("the plug-in: {plugin}"))
        .note(format!("this compiler: {here}"))
        .help("build the plug-in anew, with this compiler's sources, its `Cargo.lock` and its Rust compiler")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_say_what_differs() {
        let here = Identity::HERE;
        assert!(
            here.to_string().contains(env!("CARGO_PKG_VERSION")) && here.to_string().contains("rustc 1.")
        );
        let other = |change: fn(&mut Identity)| {
            let mut identity = Identity::HERE;
            change(&mut identity);
            mismatch(&identity).to_string()
        };
        assert!(other(|it| it.text[9] = b'9').contains("another version"));
        assert!(other(|it| it.interface += 1).contains("other sources"));
        assert!(other(|it| it.layout += 1).contains("other versions of the crates"));
    }

    #[test]
    fn u3_a_panic_is_an_error_of_the_builder() {
        let mut builder = crate::Compiler::builder();
        register(&mut builder, |_| panic!("out of ideas"));
        let found = builder.build().expect_err("it panicked").to_string();
        assert!(found.contains("D023") && found.contains("out of ideas"), "{found}");
    }

    #[test]
    fn libraries_that_are_no_plug_ins_are_refused() {
        let mut builder = crate::Compiler::builder();
        let absent = load(&mut builder, Path::new("absent/libacme.so")).expect_err("it is not there");
        assert_eq!(absent.code, "D020");
        let text = load(&mut builder, Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")));
        assert_eq!(text.expect_err("it is a text").code, "D020");
        #[cfg(target_os = "linux")]
        {
            let maps = std::fs::read_to_string("/proc/self/maps").expect("Linux has it");
            let libc =
                maps.lines().find_map(|it| it.split_whitespace().last().filter(|it| it.contains("/libc.so")));
            if let Some(libc) = libc {
                assert_eq!(load(&mut builder, Path::new(libc)).expect_err("the C library").code, "D021");
            }
        }
    }
}
