//! Whether this machine has the instructions that a library uses.
//!
//! Without the check, the first wide instruction would end the process by a signal that says nothing.

/// The features of a list that this machine lacks.
pub(super) fn missing(features: &str) -> Vec<String> {
    features.split_whitespace().filter(|it| is_present(it) != Some(true)).map(str::to_owned).collect()
}

/// Whether the machine has a feature; `None` for names that are not known here.
#[cfg(target_arch = "x86_64")]
fn is_present(feature: &str) -> Option<bool> {
    macro_rules! any_of {
        ($($name:tt)*) => {
            match feature {
                $($name => Some(std::is_x86_feature_detected!($name)),)*
                // Newer than this runtime, so it cannot vouch for it.
                _ => None,
            }
        };
    }
    any_of!("sse3" "ssse3" "sse4.1" "sse4.2" "popcnt" "cmpxchg16b" "avx" "avx2" "fma" "f16c" "bmi1" "bmi2" "lzcnt" "avxvnni"
            "avx512f" "avx512vl" "avx512dq" "avx512bw" "avx512bitalg" "avx512vbmi" "avx512vnni")
}

/// Compilers name no features of other architectures yet: their code is the baseline, or that of the host.
#[cfg(not(target_arch = "x86_64"))]
fn is_present(_: &str) -> Option<bool> {
    Some(true)
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known() {
        for name in orogen_abi::symbol::X86_64_INSTRUCTIONS {
            assert!(is_present(name).is_some(), "{name}");
        }
    }

    #[test]
    fn what_this_machine_lacks_is_named() {
        // Every 64-bit processor of the last fifteen years.
        assert_eq!(missing("sse3 ssse3  sse4.1"), [""; 0]);
        assert_eq!(missing(""), [""; 0]);
        assert_eq!(missing("sse3 amx-of-2040 sse4.2 x"), ["amx-of-2040", "x"]);
        for feature in ["avx2", "avx512f"] {
            let has = if feature == "avx2" {
                std::is_x86_feature_detected!("avx2")
            } else {
                std::is_x86_feature_detected!("avx512f")
            };
            assert_eq!(missing(feature).is_empty(), has);
        }
    }
}
