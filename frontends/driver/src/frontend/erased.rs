//! Frontends whose models are of any type, and the choice among them.

use super::{FileHead, Frontend, ImportOptions, ImportReport, IrText, Onnx, Recognised, Unsupported};
use crate::{Lowered, Model};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::flow::FlowBuilder;
use orogen_ir::graph::GraphBuilder;
use orogen_ir::ops::OpRegistry;
use orogen_onnx::OpTable;
use std::any::Any;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What [`Frontend::Model`] is kept as.
pub(crate) type Content = Box<dyn Any + Send + Sync>;

/// [`Frontend`] without type parameters.
pub(crate) trait ErasedFrontend: Send + Sync {
    fn name(&self) -> &'static str;
    fn recognises(&self, file: &FileHead<'_>) -> Recognised;
    fn open(&self, path: &Path) -> Result<Content, Diagnostics>;
    fn decode(&self, bytes: Vec<u8>) -> Result<Content, Diagnostics>;
    fn unsupported(&self, model: &Content) -> Result<Vec<Unsupported>, Diagnostics>;
    fn missing_files(&self, _model: &Content) -> Vec<String> {
        Vec::new()
    }
    fn operators(&self, _ops: &OpRegistry) -> Option<String> {
        None
    }
    fn import_graph(
        &self,
        model: &Content,
        options: &ImportOptions,
        sink: &mut GraphBuilder<'_>,
    ) -> Result<ImportReport, Diagnostics>;
    fn import_flow(
        &self,
        model: &Content,
        options: &ImportOptions,
        sink: &mut FlowBuilder<'_>,
    ) -> Result<ImportReport, Diagnostics>;

    /// A model that is a program of an IR already, so that there is nothing to import.
    ///
    /// # Errors
    /// Text that cannot be read, programs that break a law, and options that it leaves no room for.
    fn program(
        &self,
        _model: &Content,
        _options: &ImportOptions,
        _ops: &OpRegistry,
    ) -> Option<Result<(Lowered, ImportReport), Diagnostics>> {
        None
    }
}

impl<F: Frontend> ErasedFrontend for F {
    fn name(&self) -> &'static str {
        Frontend::name(self)
    }

    fn recognises(&self, file: &FileHead<'_>) -> Recognised {
        Frontend::recognises(self, file)
    }

    fn open(&self, path: &Path) -> Result<Content, Diagnostics> {
        Ok(Box::new(Frontend::open(self, path)?))
    }

    fn decode(&self, bytes: Vec<u8>) -> Result<Content, Diagnostics> {
        Ok(Box::new(Frontend::decode(self, bytes)?))
    }

    fn unsupported(&self, model: &Content) -> Result<Vec<Unsupported>, Diagnostics> {
        Frontend::unsupported(self, own::<F>(model)?)
    }

    fn missing_files(&self, model: &Content) -> Vec<String> {
        own::<F>(model).map_or_else(|_| Vec::new(), |it| Frontend::missing_files(self, it))
    }

    fn operators(&self, ops: &OpRegistry) -> Option<String> {
        Frontend::operators(self, ops)
    }

    fn import_graph(
        &self,
        model: &Content,
        options: &ImportOptions,
        sink: &mut GraphBuilder<'_>,
    ) -> Result<ImportReport, Diagnostics> {
        self.import(own::<F>(model)?, options, sink)
    }

    fn import_flow(
        &self,
        model: &Content,
        options: &ImportOptions,
        sink: &mut FlowBuilder<'_>,
    ) -> Result<ImportReport, Diagnostics> {
        self.import(own::<F>(model)?, options, sink)
    }
}

fn own<F: Frontend>(model: &Content) -> Result<&F::Model, Diagnostic> {
    let message = "the model was opened by another frontend of this name";
    (**model).downcast_ref().ok_or_else(|| Diagnostic::error("D006", message).help(OPEN_WITH_IT))
}

const OPEN_WITH_IT: &str = "open the model with `Compiler::open` of the compiler that compiles it";

/// The frontends of a compiler: its user's first, then those that ship.
pub(crate) struct Frontends {
    list: Vec<Box<dyn ErasedFrontend>>,
}

impl Frontends {
    /// Those that ship, with these ONNX converters.
    pub(crate) fn standard(ops: OpTable) -> Self {
        let mut list: Vec<Box<dyn ErasedFrontend>> = Vec::new();
        IrText::ALL.into_iter().for_each(|it| list.push(Box::new(it)));
        list.push(Box::new(Onnx { ops }));
        Frontends { list }
    }

    /// Adds one behind those of the user, before those that ship.
    pub(crate) fn insert(&mut self, at: usize, frontend: Box<dyn ErasedFrontend>) -> Result<(), Diagnostic> {
        let name = frontend.name();
        if self.list.iter().any(|it| it.name() == name) {
            return Err(Diagnostic::error("D014", format!("there are two frontends `{name}`"))
                .help("give one of them another name"));
        }
        self.list.insert(at, frontend);
        Ok(())
    }

    /// Pages of what they import.
    pub(crate) fn operators(&self, ops: &OpRegistry) -> Vec<String> {
        self.list.iter().filter_map(|it| it.operators(ops)).collect()
    }

    /// The frontend that opened a model.
    pub(crate) fn of(&self, model: &Model) -> Result<&dyn ErasedFrontend, Diagnostic> {
        let found = self.list.iter().find(|it| it.name() == model.frontend);
        found.map(|it| &**it).ok_or_else(|| {
            let message =
                format!("this compiler has no frontend `{}`, which opened the model", model.frontend);
            Diagnostic::error("D006", message).help(OPEN_WITH_IT)
        })
    }

    /// The first frontend that knows the file, else the first that may.
    fn choose(&self, file: &FileHead<'_>) -> Result<&dyn ErasedFrontend, Diagnostic> {
        let by = |wanted| self.list.iter().find(|it| it.recognises(file) == wanted);
        let found = by(Recognised::Yes).or_else(|| by(Recognised::Maybe));
        found.map(|it| &**it).ok_or_else(|| {
            let names: Vec<&str> = self.list.iter().map(|it| it.name()).collect();
            Diagnostic::error("D005", "no frontend knows this format")
                .note(format!("there are frontends for: {}", names.join(", ")))
        })
    }

    pub(crate) fn open(&self, path: &Path) -> Result<Model, Diagnostics> {
        let place = |mut found: Diagnostics| {
            let at = |it: Diagnostic| it.at(format!("file `{}`", path.display()));
            found.0 = found.0.into_iter().map(at).collect();
            found
        };
        let bytes = head(path);
        let frontend = self.choose(&FileHead { path, bytes: &bytes }).map_err(|it| place(it.into()))?;
        let content = frontend.open(path).map_err(place)?;
        let name = path.file_stem().map_or_else(|| "model".into(), |it| it.to_string_lossy().into_owned());
        let file = path.file_name().map_or_else(String::new, |it| it.to_string_lossy().into_owned());
        Ok(Model { name, file, frontend: frontend.name(), content })
    }

    pub(crate) fn decode(&self, name: &str, bytes: Vec<u8>) -> Result<Model, Diagnostics> {
        let path = Path::new(name);
        let length = bytes.len().min(FileHead::LENGTH);
        let frontend = self.choose(&FileHead { path, bytes: &bytes[..length] })?;
        let stem = path.file_stem().map_or_else(|| "model".into(), |it| it.to_string_lossy().into_owned());
        let content = frontend.decode(bytes)?;
        Ok(Model { name: stem, file: name.to_string(), frontend: frontend.name(), content })
    }
}

/// The first bytes of a regular file. What cannot be read is empty: the frontend that is chosen says why.
fn head(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Before opening: to open a pipe is to wait for its writer.
    if path.metadata().is_ok_and(|it| it.is_file())
        && let Ok(file) = File::open(path)
        && file.take(FileHead::LENGTH as u64).read_to_end(&mut bytes).is_err()
    {
        bytes.clear();
    }
    bytes
}
