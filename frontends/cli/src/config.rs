//! `orogen.toml`: opt-ins per model.
//!
//! ```toml
//! [models."silero_*.onnx"]
//! opt-in = ["dataflow-ir"]
//! ```
//!
//! The file is looked for in the folder of the model and in those above it; the nearest one counts. A key is the
//! model's file name or its path from the folder of `orogen.toml`, or a glob over either. An exact name comes before
//! globs, and these are tried in alphabetical order.

use crate::failure::Failure;
use globset::Glob;
use orogen::OptIn;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    models: BTreeMap<String, ModelConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ModelConfig {
    #[serde(default)]
    opt_in: Vec<String>,
}

/// The path that `orogen.toml` chooses for a model; the legacy one without an entry.
pub(crate) fn opt_in(model: &Path) -> Result<OptIn, Failure> {
    let full = std::path::absolute(model).map_err(|error| Failure::file(model, "find", error))?;
    for folder in full.ancestors().skip(1) {
        let path = folder.join("orogen.toml");
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Failure::file(&path, "read", error)),
        };
        let config: Config =
            toml::from_str(&text).map_err(|error| Failure::file(&path, "understand", error))?;
        return choose(&config, &full, folder).map_err(|message| Failure::file(&path, "understand", message));
    }
    Ok(OptIn::Legacy)
}

fn choose(config: &Config, model: &Path, folder: &Path) -> Result<OptIn, String> {
    let name = model.file_name().map(Path::new).unwrap_or(model);
    let relative = model.strip_prefix(folder).unwrap_or(model);
    let exact = |pattern: &str| Path::new(pattern) == name || Path::new(pattern) == relative;
    let (first, then): (Vec<_>, Vec<_>) = config.models.iter().partition(|(pattern, _)| exact(pattern));
    for (pattern, entry) in first.into_iter().chain(then) {
        let glob = Glob::new(pattern).map_err(|error| error.to_string())?.compile_matcher();
        if !exact(pattern) && !glob.is_match(name) && !glob.is_match(relative) {
            continue;
        }
        return match entry.opt_in.iter().find(|it| *it != OptIn::DATAFLOW_IR) {
            Some(unknown) => {
                Err(format!("there is no feature `{unknown}`; the only one is `{}`", OptIn::DATAFLOW_IR))
            }
            None if entry.opt_in.is_empty() => Ok(OptIn::Legacy),
            None => Ok(OptIn::DataflowIr),
        };
    }
    Ok(OptIn::Legacy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(text: &str, model: &str) -> Result<OptIn, String> {
        let config: Config = toml::from_str(text).map_err(|it| it.to_string())?;
        choose(&config, Path::new(model), Path::new("/models"))
    }

    #[test]
    fn an_exact_name_comes_before_globs() {
        let text = "[models.\"a.onnx\"]\nopt-in = []\n[models.\"*.onnx\"]\nopt-in = [\"dataflow-ir\"]\n";
        assert_eq!(choice(text, "/models/a.onnx"), Ok(OptIn::Legacy));
        assert_eq!(choice(text, "/models/b.onnx"), Ok(OptIn::DataflowIr));
        assert_eq!(choice(text, "/models/b.tflite"), Ok(OptIn::Legacy));
    }

    #[test]
    fn unknown_features_and_keys_are_errors() {
        assert!(choice("[models.\"a\"]\nopt-in = [\"x\"]\n", "/models/a").is_err());
        assert!(choice("[models.\"a\"]\noptin = []\n", "/models/a").is_err());
    }
}
