//! What the user decides about code generation.

use cranelift_codegen::isa::{self, OwnedTargetIsa};
use cranelift_codegen::settings::{self, Configurable, Flags};
use indexmap::IndexSet;
use orogen_ir::choices::Choices;
use orogen_ir::diag::Diagnostic;
use std::fmt;
use std::str::FromStr;
use target_lexicon::{Architecture, Triple};

use crate::vector::Isa;

/// Which instructions the code may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Cpu {
    /// Those of the machine that compiles.
    #[default]
    Host,
    /// Those that every machine of the architecture has had for a decade: x86-64-v2, or plain AArch64.
    Baseline,
    /// AVX2, FMA and what comes with them (x86-64-v3).
    Avx2,
    /// AVX-512 F, VL, BW and DQ (x86-64-v4).
    Avx512,
    /// The same with VNNI, for products of bytes.
    Avx512Vnni,
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cpu::Host => "host",
            Cpu::Baseline => "baseline",
            Cpu::Avx2 => "avx2",
            Cpu::Avx512 => "avx512",
            Cpu::Avx512Vnni => "avx512vnni",
        })
    }
}

impl FromStr for Cpu {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Cpu::Host, Cpu::Baseline, Cpu::Avx2, Cpu::Avx512, Cpu::Avx512Vnni]
            .into_iter()
            .find(|it| it.to_string() == text)
            .ok_or(())
    }
}

/// Options of [`compile`](crate::compile).
#[derive(Clone, Debug)]
pub struct CodegenOptions {
    /// Target; code can only be run in memory when it is the host's.
    pub triple: Triple,
    /// Instructions that may be used.
    pub cpu: Cpu,
    /// 1 makes code that never uses a second thread. Otherwise large kernels ask the host for its threads, and the
    /// host decides how many.
    pub threads: usize,
    /// Constants of at least so many bytes are left out of the library.
    pub separate: Option<usize>,
    /// How each kernel is computed, where several ways are right.
    pub choices: Choices,
}

/// From how many bytes on it pays to leave a constant out of a library.
pub const OUTSIDE: usize = 1024;

impl Default for CodegenOptions {
    fn default() -> Self {
        CodegenOptions {
            triple: Triple::host(),
            cpu: Cpu::Host,
            threads: 0,
            separate: None,
            choices: Choices::usual(),
        }
    }
}

const V2: &[&str] = &["has_sse3", "has_ssse3", "has_cmpxchg16b", "has_sse41", "has_sse42", "has_popcnt"];
const V3: &[&str] = &["has_avx", "has_avx2", "has_fma", "has_bmi1", "has_bmi2", "has_lzcnt"];
const V4: &[&str] = &["has_avx512f", "has_avx512vl", "has_avx512dq"];

/// Names that Cranelift and Rust spell differently.
const SPELLINGS: &[(&str, &str)] = &[("sse41", "sse4.1"), ("sse42", "sse4.2"), ("avx_vnni", "avxvnni")];

impl CodegenOptions {
    /// The instructions that the code may use beyond those of its architecture, in the spelling of Rust's target
    /// features; empty on other architectures than x86-64, whose libraries make no claim.
    ///
    /// # Errors
    /// Targets that are not supported.
    pub fn instructions(&self) -> Result<Vec<String>, Diagnostic> {
        if self.triple.architecture != Architecture::X86_64 {
            return Ok(Vec::new());
        }
        let isa = self.isa(true)?;
        let enabled = isa.isa_flags().into_iter().filter(|it| it.as_bool() == Some(true));
        let features = enabled.filter_map(|it| it.name.strip_prefix("has_").map(str::to_owned));
        let vector: &[&str] = match self.vector_isa() {
            Isa::Clif128 => &[],
            Isa::Avx2 => &["avx2", "fma", "f16c"],
            Isa::Avx512 => &["avx2", "fma", "f16c", "avx512f", "avx512vl", "avx512bw", "avx512dq"],
            Isa::Avx512Vnni => {
                &["avx2", "fma", "f16c", "avx512f", "avx512vl", "avx512bw", "avx512dq", "avx512vnni"]
            }
        };
        let mut names: IndexSet<String> = features
            .map(|name| SPELLINGS.iter().find(|it| it.0 == name).map_or(name, |it| it.1.to_owned()))
            .collect();
        names.extend(vector.iter().map(|&it| it.to_owned()));
        Ok(names.into_iter().collect())
    }

    /// The vector instructions of the target.
    pub(crate) fn vector_isa(&self) -> Isa {
        match self.cpu {
            Cpu::Host => Isa::host(),
            Cpu::Avx2 if self.triple.architecture == Architecture::X86_64 => Isa::Avx2,
            Cpu::Avx512 if self.triple.architecture == Architecture::X86_64 => Isa::Avx512,
            Cpu::Avx512Vnni if self.triple.architecture == Architecture::X86_64 => Isa::Avx512Vnni,
            Cpu::Baseline | Cpu::Avx2 | Cpu::Avx512 | Cpu::Avx512Vnni => Isa::Clif128,
        }
    }

    /// The Cranelift target; libraries need position-independent code, memory the other kind.
    pub(crate) fn isa(&self, position_independent: bool) -> Result<OwnedTargetIsa, Diagnostic> {
        let fail = |message: String| {
            Diagnostic::error("C001", format!("cannot generate code for `{}`: {message}", self.triple))
        };
        let mut flags = settings::builder();
        let verify = if cfg!(debug_assertions) { "true" } else { "false" };
        let pic = if position_independent { "true" } else { "false" };
        let settings = [
            ("opt_level", "speed"),
            ("is_pic", pic),
            ("enable_verifier", verify),
            ("use_colocated_libcalls", "false"),
            ("log2_min_function_alignment", "5"),
        ];
        for (name, value) in settings {
            flags.set(name, value).map_err(|error| fail(error.to_string()))?;
        }
        let host = Triple::host();
        if self.cpu == Cpu::Host {
            if self.triple.architecture != host.architecture {
                let message = "`host` instructions are those of another architecture".to_owned();
                return Err(fail(message).help("choose the instructions, for example `baseline`"));
            }
            let mut builder = cranelift_native::builder().map_err(|error| fail(error.to_owned()))?;
            if self.triple != host {
                let mut other = isa::lookup(self.triple.clone()).map_err(|error| fail(error.to_string()))?;
                cranelift_native::infer_native_flags(&mut other).map_err(|error| fail(error.to_owned()))?;
                builder = other;
            }
            return builder.finish(Flags::new(flags)).map_err(|error| fail(error.to_string()));
        }
        let mut builder = isa::lookup(self.triple.clone()).map_err(|error| fail(error.to_string()))?;
        if self.triple.architecture == Architecture::X86_64 {
            let levels: &[&[&str]] = match self.cpu {
                Cpu::Avx512 | Cpu::Avx512Vnni => &[V2, V3, V4],
                Cpu::Avx2 => &[V2, V3],
                Cpu::Host | Cpu::Baseline => &[V2],
            };
            for feature in levels.iter().copied().flatten() {
                builder.enable(feature).map_err(|error| fail(error.to_string()))?;
            }
        }
        builder.finish(Flags::new(flags)).map_err(|error| fail(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instructions(cpu: Cpu) -> Vec<String> {
        let triple = "x86_64-unknown-linux-gnu".parse().expect("a target");
        let options = CodegenOptions { cpu, triple, ..CodegenOptions::default() };
        options.instructions().expect("a supported target")
    }

    #[test]
    fn the_instructions_that_code_needs_are_named() {
        let has = |cpu, name: &str| instructions(cpu).iter().any(|it| it == name);
        assert!(has(Cpu::Baseline, "sse4.2") && !has(Cpu::Baseline, "avx"));
        assert!(has(Cpu::Avx2, "avx2") && has(Cpu::Avx2, "fma") && !has(Cpu::Avx2, "avx512f"));
        for name in ["avx2", "avx512f", "avx512bw"] {
            assert!(has(Cpu::Avx512, name) && has(Cpu::Avx512Vnni, name));
        }
        assert!(has(Cpu::Avx512Vnni, "avx512vnni") && !has(Cpu::Avx512, "avx512vnni"));
    }

    #[test]
    fn every_flag_of_cranelift_has_a_name() {
        let triple = "x86_64-unknown-linux-gnu".parse().expect("a target");
        let builder = isa::lookup(triple).expect("a supported target");
        let isa = builder.finish(Flags::new(settings::builder())).expect("a target");
        for flag in isa.isa_flags().into_iter().filter_map(|it| it.name.strip_prefix("has_")) {
            let name = SPELLINGS.iter().find(|it| it.0 == flag).map_or(flag, |it| it.1);
            let known = orogen_abi::symbol::X86_64_INSTRUCTIONS.contains(&name);
            assert!(known, "`{name}` is not in the list that the runtime checks");
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_host_has_its_own_instructions() {
        assert_eq!(instructions(Cpu::Host).iter().any(|it| it == "avx2"), is_x86_feature_detected!("avx2"));
    }
}
