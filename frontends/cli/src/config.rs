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
use crate::files;
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
        match std::fs::symlink_metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            _ => {}
        }
        let text = files::read_text(&path)?;
        let config: Config = toml::from_str(&text)
            .map_err(|error| Failure::file(&path, "understand", error.to_string().trim_end()))?;
        return choose(&config, &full, folder).map_err(|message| Failure::file(&path, "understand", message));
    }
    Ok(OptIn::Legacy)
}

fn choose(config: &Config, model: &Path, folder: &Path) -> Result<OptIn, String> {
    let name = model.file_name().map(Path::new).unwrap_or(model);
    let relative = model.strip_prefix(folder).unwrap_or(model);
    // Entries of other models too: a misspelt feature should not wait for its model.
    let mut features = config.models.values().flat_map(|it| &it.opt_in);
    if let Some(unknown) = features.find(|it| *it != OptIn::DATAFLOW_IR) {
        return Err(format!("there is no feature `{unknown}`; the only one is `{}`", OptIn::DATAFLOW_IR));
    }
    let path = |entry: &ModelConfig| if entry.opt_in.is_empty() { OptIn::Legacy } else { OptIn::DataflowIr };
    let exact = |pattern: &str| Path::new(pattern) == name || Path::new(pattern) == relative;
    if let Some((_, entry)) = config.models.iter().find(|(pattern, _)| exact(pattern)) {
        return Ok(path(entry));
    }
    for (pattern, entry) in &config.models {
        let glob = Glob::new(pattern).map_err(|error| error.to_string())?.compile_matcher();
        if glob.is_match(name) || glob.is_match(relative) {
            return Ok(path(entry));
        }
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
        assert!(choice("[models.\"b\"]\nopt-in = [\"x\"]\n", "/models/a").is_err());
        assert!(choice("[models.\"[b\"]\nopt-in = []\n", "/models/a").is_err());
    }

    #[test]
    fn a_name_is_itself_before_it_is_a_pattern() {
        let text = "[models.\"we[ird.onnx\"]\nopt-in = [\"dataflow-ir\"]\n";
        assert_eq!(choice(text, "/models/we[ird.onnx"), Ok(OptIn::DataflowIr));
        let text = "[models.\"sub/[ab].onnx\"]\nopt-in = [\"dataflow-ir\"]\n";
        assert_eq!(choice(text, "/models/sub/b.onnx"), Ok(OptIn::DataflowIr));
        assert_eq!(choice(text, "/models/sub/c.onnx"), Ok(OptIn::Legacy));
    }
}
