//! The data of kernels.

use crate::loops::{BufferRole, TensorProgram};
use crate::shape::{Dim, Overflow, ShapeCx, Sym};
use crate::types::{Attrs, DType, Dims, Effects, Type};

/// What a kernel does with a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// Reads it.
    In,
    /// Fills it, without reading what was in it.
    Out,
    /// Reads and changes it.
    InOut,
}

impl Access {
    /// Whether the kernel reads what the buffer holds before.
    pub fn reads(self) -> bool {
        self != Access::Out
    }

    /// Whether the kernel writes the buffer.
    pub fn writes(self) -> bool {
        self != Access::In
    }

    /// The word of the text format.
    pub fn word(self) -> &'static str {
        match self {
            Access::In => "in",
            Access::Out => "out",
            Access::InOut => "inout",
        }
    }
}

/// A parameter of a routine or an extern.
#[derive(Clone, Debug, PartialEq)]
pub struct Param {
    /// Name, unique among the parameters.
    pub name: String,
    /// What is done with it.
    pub access: Access,
    /// What it is.
    pub ty: ParamType,
}

impl Param {
    /// Element type and dimensions of a buffer.
    pub fn buffer(&self) -> Option<(DType, &[Dim])> {
        match &self.ty {
            ParamType::Buffer { dtype, dims } => Some((*dtype, dims)),
            ParamType::Object(_) => None,
        }
    }
}

/// What a parameter is.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamType {
    /// A dense, row-major buffer.
    Buffer {
        /// Element type.
        dtype: DType,
        /// Dimensions over the sizes.
        dims: Dims,
    },
    /// Something that is held by reference: a sequence, an optional, a string, a map, or anything (law K5). A function gets
    /// what it reads and returns what it makes.
    Object(Type),
}

/// What a routine or an extern takes and does.
#[derive(Clone, Debug, Default)]
pub struct Signature {
    /// Where the dimensions live.
    pub shapes: ShapeCx,
    /// Sizes; callers pass their values in this order.
    pub sizes: Vec<Sym>,
    /// Parameters; those that are only written come last.
    pub params: Vec<Param>,
    /// What it may do besides.
    pub effects: Effects,
}

impl Signature {
    /// A size parameter, made when it is new.
    pub fn size(&mut self, name: &str) -> Dim {
        let symbol = self.shapes.symbol(name);
        if !self.sizes.contains(&symbol) {
            self.sizes.push(symbol);
        }
        self.shapes.sym_dim(symbol)
    }

    /// The same with one more parameter.
    #[must_use]
    pub fn with(mut self, access: Access, name: &str, dtype: DType, dims: &[Dim]) -> Self {
        let ty = ParamType::Buffer { dtype, dims: dims.into() };
        self.params.push(Param { name: name.to_owned(), access, ty });
        self
    }

    /// The same with one more parameter that is an object.
    #[must_use]
    pub fn with_object(mut self, access: Access, name: &str, ty: Type) -> Self {
        self.params.push(Param { name: name.to_owned(), access, ty: ParamType::Object(ty) });
        self
    }
}

/// A leaf of code generation that is written by hand.
#[derive(Clone, Debug, Default)]
pub struct Routine {
    /// Name of the kernel.
    pub name: String,
    /// Name under which code generation has the routine.
    pub routine: String,
    /// Compile-time parameters.
    pub attrs: Attrs,
    /// What it takes and does.
    pub signature: Signature,
}

/// A function of the host.
#[derive(Clone, Debug, Default)]
pub struct Extern {
    /// Name of the kernel.
    pub name: String,
    /// Name under which the host has the function.
    pub symbol: String,
    /// Passed to the function after the parameters, in name order.
    pub attrs: Attrs,
    /// What it takes and does. Any function of a host may fail, which need not be said.
    pub signature: Signature,
}

/// A kernel.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all kernels are programs")]
pub enum Kernel {
    /// Loops, from which code is generated.
    Program(TensorProgram),
    /// Code by hand.
    Routine(Routine),
    /// Code from outside.
    Extern(Extern),
}

/// A parameter of any kernel.
#[derive(Clone, Copy, Debug)]
pub struct ParamRef<'a> {
    /// Name.
    pub name: &'a str,
    /// What is done with it.
    pub access: Access,
    /// What it is.
    pub ty: ParamTypeRef<'a>,
}

/// What a parameter of any kernel is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ParamTypeRef<'a> {
    /// A buffer of an element type, with dimensions over the kernel's sizes.
    Buffer(DType, &'a [Dim]),
    /// An object.
    Object(&'a Type),
}

impl<'a> ParamRef<'a> {
    /// Element type and dimensions of a buffer.
    pub fn buffer(&self) -> Option<(DType, &'a [Dim])> {
        match self.ty {
            ParamTypeRef::Buffer(dtype, dims) => Some((dtype, dims)),
            ParamTypeRef::Object(_) => None,
        }
    }

    /// The type of an object.
    pub fn object(&self) -> Option<&'a Type> {
        match self.ty {
            ParamTypeRef::Buffer(..) => None,
            ParamTypeRef::Object(ty) => Some(ty),
        }
    }
}

impl From<TensorProgram> for Kernel {
    fn from(program: TensorProgram) -> Self {
        Kernel::Program(program)
    }
}

impl From<Routine> for Kernel {
    fn from(routine: Routine) -> Self {
        Kernel::Routine(routine)
    }
}

impl From<Extern> for Kernel {
    fn from(external: Extern) -> Self {
        Kernel::Extern(external)
    }
}

impl Kernel {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Kernel::Program(it) => &it.name,
            Kernel::Routine(it) => &it.name,
            Kernel::Extern(it) => &it.name,
        }
    }

    /// Gives it another name.
    pub fn set_name(&mut self, name: &str) {
        let slot = match self {
            Kernel::Program(it) => &mut it.name,
            Kernel::Routine(it) => &mut it.name,
            Kernel::Extern(it) => &mut it.name,
        };
        name.clone_into(slot);
    }

    /// The tensor program, if it is one.
    pub fn program(&self) -> Option<&TensorProgram> {
        match self {
            Kernel::Program(it) => Some(it),
            _ => None,
        }
    }

    /// The signature of a routine or an extern.
    pub fn signature(&self) -> Option<&Signature> {
        match self {
            Kernel::Program(_) => None,
            Kernel::Routine(it) => Some(&it.signature),
            Kernel::Extern(it) => Some(&it.signature),
        }
    }

    /// Where its dimensions live.
    pub fn shapes(&self) -> &ShapeCx {
        match self {
            Kernel::Program(it) => &it.shapes,
            Kernel::Routine(it) => &it.signature.shapes,
            Kernel::Extern(it) => &it.signature.shapes,
        }
    }

    /// Its sizes; callers pass their values in this order.
    pub fn sizes(&self) -> &[Sym] {
        match self {
            Kernel::Program(it) => &it.sizes,
            Kernel::Routine(it) => &it.signature.sizes,
            Kernel::Extern(it) => &it.signature.sizes,
        }
    }

    /// What it may do besides computing.
    pub fn effects(&self) -> Effects {
        match self {
            Kernel::Program(it) => it.effects(),
            Kernel::Routine(it) => it.signature.effects,
            Kernel::Extern(it) => it.signature.effects | Effects::ABORT,
        }
    }

    /// Number of parameters.
    pub fn param_count(&self) -> usize {
        match self {
            Kernel::Program(it) => it.params.len(),
            Kernel::Routine(it) => it.signature.params.len(),
            Kernel::Extern(it) => it.signature.params.len(),
        }
    }

    /// Parameter `i`.
    pub fn param(&self, i: usize) -> ParamRef<'_> {
        match self {
            Kernel::Program(program) => {
                let buffer = &program.buffers[program.params[i]];
                let access = match buffer.role {
                    BufferRole::Input => Access::In,
                    BufferRole::InOut => Access::InOut,
                    BufferRole::Output | BufferRole::Local => Access::Out,
                };
                ParamRef { name: &buffer.name, access, ty: ParamTypeRef::Buffer(buffer.dtype, &buffer.dims) }
            }
            Kernel::Routine(Routine { signature, .. }) | Kernel::Extern(Extern { signature, .. }) => {
                let Param { name, access, ty } = &signature.params[i];
                let ty = match ty {
                    ParamType::Buffer { dtype, dims } => ParamTypeRef::Buffer(*dtype, dims),
                    ParamType::Object(ty) => ParamTypeRef::Object(ty),
                };
                ParamRef { name, access: *access, ty }
            }
        }
    }

    /// The parameters in order.
    pub fn params(&self) -> impl Iterator<Item = ParamRef<'_>> {
        (0..self.param_count()).map(|i| self.param(i))
    }

    /// The dimensions of parameter `i`, none of an object, where the kernel is called with these sizes, in the caller's context.
    ///
    /// # Errors
    /// A dimension beyond 64 bits.
    pub fn dims_at(&self, i: usize, sizes: &[Dim], shapes: &mut ShapeCx) -> Result<Dims, Overflow> {
        let dims = self.param(i).buffer().map_or(&[][..], |it| it.1);
        dims.iter().map(|dim| self.import_at(self.shapes(), *dim, sizes, shapes)).collect()
    }

    /// An expression over the sizes of the kernel where it is called with these, in the caller's context; `own` is the
    /// context of the kernel, or one that grew out of it.
    ///
    /// # Errors
    /// A value beyond 64 bits.
    pub fn import_at(
        &self,
        own: &ShapeCx,
        dim: Dim,
        sizes: &[Dim],
        shapes: &mut ShapeCx,
    ) -> Result<Dim, Overflow> {
        shapes.import_with(own, dim, &mut |cx, sym| match self.sizes().iter().position(|it| *it == sym) {
            Some(at) if at < sizes.len() => sizes[at],
            // Only in a kernel that breaks L1 or K1, which its verifier reports, or a call that breaks F9 or P5.
            _ => cx.fresh_integer(own.name(sym)),
        })
    }

    /// The sizes of a call whose operands have these dimensions: each size that is a whole dimension of a parameter
    /// that is read. `None` when one is not.
    pub fn sizes_for(&self, operands: &[&[Dim]]) -> Option<Vec<Dim>> {
        let read: Vec<ParamRef<'_>> = self.params().filter(|it| it.access.reads()).collect();
        let size = |symbol: &Sym| {
            let own = self.shapes().find_sym_dim(*symbol)?;
            read.iter().zip(operands).find_map(|(param, dims)| {
                let axis = param.buffer()?.1.iter().position(|it| *it == own)?;
                dims.get(axis).copied()
            })
        };
        self.sizes().iter().map(size).collect()
    }
}
