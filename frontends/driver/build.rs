//! What a plug-in and the compiler that loads it must have in common: the sources of the interface and the version of
//! the Rust compiler, which together fix the layout of everything that goes between the two.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Crates whose types go between a compiler and a plug-in, from the root of the repository.
const INTERFACE: &[&str] = &[
    "ir",
    "ir/reference",
    "passes",
    "codegen",
    "runtime",
    "runtime/abi",
    "frontends/onnx",
    "frontends/driver",
];

fn main() {
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").expect("Cargo sets it"));
    let root = here.join("../..");
    let mut hash = Fnv::default();
    for name in INTERFACE {
        let folder = root.join(name);
        for part in ["Cargo.toml", "src"] {
            println!("cargo::rerun-if-changed={}", folder.join(part).display());
        }
        hash.file(&root, &folder.join("Cargo.toml"));
        hash.folder(&root, &folder.join("src"));
    }
    let rustc = std::env::var_os("RUSTC").expect("Cargo sets it");
    let version = Command::new(rustc).arg("-vV").output().expect("the Rust compiler runs").stdout;
    let version = String::from_utf8_lossy(&version);
    let first = version.lines().next().unwrap_or_default();
    let host = version.lines().find_map(|it| it.strip_prefix("host: ")).unwrap_or_default();
    println!("cargo::rerun-if-env-changed=RUSTC");
    println!("cargo::rustc-env=OROGEN_RUSTC={first} {host}");
    println!("cargo::rustc-env=OROGEN_INTERFACE={}", hash.0);
}

/// The hash of Fowler, Noll and Vo, 64 bits: against accidents, not against enemies.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Fnv(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn folder(&mut self, root: &Path, folder: &Path) {
        let entries = std::fs::read_dir(folder).expect("the sources can be read");
        let mut paths: Vec<PathBuf> = entries.map(|it| it.expect("an entry").path()).collect();
        paths.sort();
        for path in paths {
            match path.is_dir() {
                true => self.folder(root, &path),
                false if path.extension().is_some_and(|it| it == "rs") => self.file(root, &path),
                false => {}
            }
        }
    }

    fn file(&mut self, root: &Path, path: &Path) {
        let name =
            path.strip_prefix(root).expect("a path below the root").to_string_lossy().replace('\\', "/");
        self.bytes(name.as_bytes());
        self.bytes(&std::fs::read(path).expect("the sources can be read"));
    }
}
