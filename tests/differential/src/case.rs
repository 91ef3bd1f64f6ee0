//! Models with references.

use crate::tensors;
use anyhow::{Context, Result};
use indexmap::IndexMap;
use orogen_ir::types::TensorData;
use std::path::{Path, PathBuf};

/// What the legacy path does with a model whose dynamic dimensions are bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Legacy {
    /// Compiles it.
    Runs,
    /// Refuses it with this code.
    Refuses(&'static str),
}

/// A model of the suite.
#[derive(Clone, Copy, Debug)]
pub struct Case {
    /// Folder below `tests/models`.
    pub folder: &'static str,
    /// What the legacy path does.
    pub legacy: Legacy,
    /// Whether the reference interpreters take too long for every run of the tests.
    pub slow_reference: bool,
}

/// Inputs and expected outputs by name.
#[derive(Clone, Debug)]
pub struct Reference {
    /// Name of its file without suffix.
    pub name: String,
    /// Inputs by name.
    pub inputs: IndexMap<String, TensorData>,
    /// Expected outputs by name.
    pub outputs: Expected,
}

/// Tensors by name.
pub type Expected = IndexMap<String, TensorData>;

impl Case {
    /// Every model in `tests/models`.
    pub const ALL: &'static [Case] = &[
        Case { folder: "broadcast", legacy: Legacy::Runs, slow_reference: false },
        Case { folder: "control_flow", legacy: Legacy::Refuses("G003"), slow_reference: false },
        Case { folder: "loops", legacy: Legacy::Refuses("G003"), slow_reference: false },
        Case { folder: "magika_v3_3", legacy: Legacy::Runs, slow_reference: true },
        Case { folder: "ppocr_cls_mobile_v2", legacy: Legacy::Runs, slow_reference: true },
        Case { folder: "selection", legacy: Legacy::Refuses("G002"), slow_reference: false },
        Case { folder: "silero_vad_16k_sequence", legacy: Legacy::Runs, slow_reference: false },
    ];

    /// Where its files are.
    pub fn path(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(self.folder)
    }

    /// The model file.
    pub fn model(&self) -> PathBuf {
        self.path().join("model.onnx")
    }

    /// Its references in name order.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn references(&self) -> Result<Vec<Reference>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.path())? {
            let path = entry?.path();
            let name = path.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
            if !name.starts_with("reference") || path.extension().is_none_or(|it| it != "npz") {
                continue;
            }
            let arrays = tensors::read_npz(&path).with_context(|| format!("reading {}", path.display()))?;
            let part = |prefix: &str| {
                let strip = |(key, data): (&String, &TensorData)| {
                    key.strip_prefix(prefix).map(|it| (it.to_string(), data.clone()))
                };
                arrays.iter().filter_map(strip).collect()
            };
            found.push(Reference { name, inputs: part("in:"), outputs: part("out:") });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}
