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
    /// Inputs that calls update in place, with the outputs that are their new values.
    pub states: &'static [(&'static str, &'static str)],
    /// Whether there are inputs for which every call is an error.
    pub fails: bool,
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
        Case::new("blocks"),
        Case::new("broadcast"),
        Case { states: &[("past", "present")], fails: true, ..Case::new("cache") },
        Case { legacy: Legacy::Refuses("G003"), ..Case::new("control_flow") },
        Case { legacy: Legacy::Refuses("G003"), ..Case::new("loops") },
        Case { legacy: Legacy::Refuses("G002"), ..Case::new("ranks") },
        Case { slow_reference: true, ..Case::new("magika_v3_3") },
        Case { slow_reference: true, ..Case::new("ppocr_cls_mobile_v2") },
        Case::new("quantized"),
        Case::new("qoperator"),
        Case::new("fused"),
        Case::new("microsoft"),
        Case { legacy: Legacy::Refuses("G002"), ..Case::new("selection") },
        Case::new("silero_vad_16k_sequence"),
    ];

    /// A model that both paths hold, without state.
    const fn new(folder: &'static str) -> Case {
        Case { folder, legacy: Legacy::Runs, slow_reference: false, states: &[], fails: false }
    }

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
        self.arrays("reference")
    }

    /// Inputs that have no result, in name order.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn failures(&self) -> Result<Vec<Reference>> {
        self.arrays("fails")
    }

    fn arrays(&self, prefix: &str) -> Result<Vec<Reference>> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(self.path())? {
            let path = entry?.path();
            let name = path.file_stem().map(|it| it.to_string_lossy().into_owned()).unwrap_or_default();
            if !name.starts_with(prefix) || path.extension().is_none_or(|it| it != "npz") {
                continue;
            }
            let arrays = tensors::read_npz(&path).with_context(|| format!("reading {}", path.display()))?;
            let part = |kind: &str| {
                let strip = |(key, data): (&String, &TensorData)| {
                    key.strip_prefix(kind).map(|it| (it.to_string(), data.clone()))
                };
                arrays.iter().filter_map(strip).collect()
            };
            found.push(Reference { name, inputs: part("in:"), outputs: part("out:") });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }
}
