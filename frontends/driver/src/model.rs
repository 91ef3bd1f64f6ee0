//! Model files, whatever their format.

use crate::frontend::{Frontends, IrModel, IrText};
use orogen_ir::diag::Diagnostics;
use orogen_ir::flow::Module;
use orogen_onnx::OpTable;
use std::any::Any;
use std::fmt;
use std::path::Path;

/// A decoded model file. It says nothing of how it will be compiled.
pub struct Model {
    pub(crate) name: String,
    /// The name of the file, for messages.
    pub(crate) file: String,
    /// Name of the frontend that opened it.
    pub(crate) frontend: &'static str,
    /// What that frontend knows of it.
    pub(crate) content: Box<dyn Any + Send + Sync>,
}

impl Model {
    /// Opens a model file with the frontends that ship. Its weights are mapped, not read.
    /// A compiler with other frontends has [`Compiler::open`](crate::Compiler::open).
    ///
    /// # Errors
    /// Files that cannot be read, and files that are no model; the message says what they seem to be.
    pub fn open(path: impl AsRef<Path>) -> Result<Model, Diagnostics> {
        Frontends::standard(OpTable::new()).open(path.as_ref())
    }

    /// A module of the dataflow IR, which may have several functions: those that are not private become functions of the
    /// library. It is compiled with [`OptIn::DataflowIr`](crate::OptIn::DataflowIr).
    ///
    /// ```
    /// use orogen::prelude::*;
    /// use orogen::ir::flow::FlowBuilder;
    ///
    /// let ops = OpRegistry::standard();
    /// let mut module = Default::default();
    /// for (name, op) in [("double", "add"), ("square", "mul")] {
    ///     let mut builder = FlowBuilder::with_module(&ops, module, name);
    ///     let n = builder.shapes().sym("n");
    ///     let x = builder.input("x", Type::tensor(DType::F32, [n]))?;
    ///     let y = builder.emit(ops.get(op), Attrs::none(), &[x, x])?;
    ///     builder.output("y", y[0])?;
    ///     module = builder.finish()?;
    /// }
    /// let options = CompileOptions { opt_in: OptIn::DataflowIr, ..CompileOptions::default() };
    /// let library = orogen::compile(&Model::from_module("two", module), &options)?.load()?;
    /// let x = Tensor::from_slice(&[2], &[3f32, 5.0])?;
    /// assert_eq!(library.call("double", &[x.clone()])?[0].as_slice::<f32>()?, [6.0, 10.0]);
    /// assert_eq!(library.call("square", &[x])?[0].as_slice::<f32>()?, [9.0, 25.0]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn from_module(name: &str, module: Module) -> Model {
        let content = Box::new(IrModel::Module(Box::new(module)));
        Model { name: name.to_owned(), file: name.to_owned(), frontend: IrText::Flow.name(), content }
    }

    /// The name of the file without its suffix.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name of its format.
    pub fn format(&self) -> &'static str {
        self.frontend
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model").field("name", &self.name).field("format", &self.frontend).finish()
    }
}
