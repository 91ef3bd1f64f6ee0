//! Kernels by name: equal ones are kept once.

use indexmap::IndexMap;
use orogen_ir::kernel::{Kernel, print_kernel_text};
use orogen_ir::loops::{Expr, Index, Stmt, TensorProgram};
use orogen_ir::shape::{Dim, ShapeCx};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Where kernels are kept by name.
pub trait KernelTable {
    /// The kernel of that name.
    fn kernel(&self, name: &str) -> Option<&Kernel>;

    /// Whether something has that name.
    fn is_taken(&self, name: &str) -> bool;

    /// Adds a kernel under its name, which is not taken.
    fn put(&mut self, kernel: Kernel);
}

impl KernelTable for IndexMap<String, Kernel> {
    fn kernel(&self, name: &str) -> Option<&Kernel> {
        self.get(name)
    }

    fn is_taken(&self, name: &str) -> bool {
        self.contains_key(name)
    }

    fn put(&mut self, kernel: Kernel) {
        self.insert(kernel.name().to_owned(), kernel);
    }
}

/// Adds kernels to a table, each once. One interner serves one table, and alone adds to it.
#[derive(Clone, Debug, Default)]
pub struct KernelInterner {
    /// Names in the table by what [`hash`] says.
    by_hash: IndexMap<u64, Vec<String>>,
    /// The last suffix that was tried for a name.
    suffixes: IndexMap<String, u32>,
}

impl KernelInterner {
    /// For a table that holds these kernels.
    pub fn of<'k>(kernels: impl IntoIterator<Item = &'k Kernel>) -> Self {
        let mut interner = KernelInterner::default();
        for kernel in kernels {
            interner.by_hash.entry(hash_kernel(kernel)).or_default().push(kernel.name().to_owned());
        }
        interner
    }

    /// Adds a kernel under its own name, or one like it when that is taken, and returns the name. A kernel that
    /// differs from an earlier one by its name alone is not added again.
    pub fn add(&mut self, kernels: &mut dyn KernelTable, kernel: impl Into<Kernel>) -> String {
        let mut kernel = kernel.into();
        let same_hash = self.by_hash.entry(hash_kernel(&kernel)).or_default();
        for name in same_hash.iter() {
            if kernels.kernel(name).is_some_and(|it| same_kernel(it, &kernel)) {
                return name.clone();
            }
        }
        if kernels.is_taken(kernel.name()) {
            let base = kernel.name().to_string();
            let suffix = self.suffixes.entry(base.clone()).or_insert(0);
            loop {
                *suffix += 1;
                kernel.set_name(&format!("{base}_{suffix}"));
                if !kernels.is_taken(kernel.name()) {
                    break;
                }
            }
        }
        let name = kernel.name().to_string();
        same_hash.push(name.clone());
        kernels.put(kernel);
        name
    }
}

/// Whether two kernels are one but for their names.
fn same_kernel(a: &Kernel, b: &Kernel) -> bool {
    match (a, b) {
        (Kernel::Program(a), Kernel::Program(b)) => same(a, b),
        (Kernel::Program(_), _) | (_, Kernel::Program(_)) => false,
        _ => nameless(a) == nameless(b),
    }
}

/// Routines and externs are what their text says.
fn nameless(kernel: &Kernel) -> String {
    let mut kernel = kernel.clone();
    kernel.set_name("kernel");
    print_kernel_text(&kernel)
}

fn hash_kernel(kernel: &Kernel) -> u64 {
    match kernel {
        Kernel::Program(program) => hash(program),
        Kernel::Routine(_) | Kernel::Extern(_) => {
            let mut hasher = DefaultHasher::new();
            nameless(kernel).hash(&mut hasher);
            hasher.finish()
        }
    }
}

/// Structural equality, names of kernels aside. Programs built the same way have the same arenas, so handles
/// compare directly once the contexts are known to agree.
fn same(a: &TensorProgram, b: &TensorProgram) -> bool {
    a.params == b.params
        && a.sizes == b.sizes
        && a.buffers == b.buffers
        && a.exprs == b.exprs
        && a.body == b.body
        && a.sizes
            .iter()
            .all(|it| a.shapes.name(*it) == b.shapes.name(*it) && a.shapes.kind(*it) == b.shapes.kind(*it))
        && dims_of(a).into_iter().all(|dim| a.shapes.same_as(dim, &b.shapes, dim))
}

/// Equal for kernels that are the same.
fn hash(program: &TensorProgram) -> u64 {
    let mut hasher = DefaultHasher::new();
    (program.params.len(), program.sizes.len(), program.exprs.len(), program.body.len()).hash(&mut hasher);
    for (_, buffer) in program.buffers.iter() {
        (&buffer.name, buffer.dtype, buffer.role).hash(&mut hasher);
    }
    for (_, expr) in program.exprs.iter() {
        hash_expr(expr, &mut hasher);
    }
    for dim in dims_of(program) {
        hash_dim(&program.shapes, dim, &mut hasher);
    }
    hasher.finish()
}

fn hash_expr(expr: &Expr, hasher: &mut DefaultHasher) {
    std::mem::discriminant(expr).hash(hasher);
    match expr {
        Expr::Dim(dim, dtype) => (dim, dtype).hash(hasher),
        Expr::Float(value, dtype) => (value.to_bits(), dtype).hash(hasher),
        Expr::Int(value, dtype) => (value, dtype).hash(hasher),
        Expr::Load { buffer, at, .. } => (buffer, at).hash(hasher),
        Expr::Unary(op, _) => op.hash(hasher),
        Expr::Binary(op, ..) => op.hash(hasher),
        Expr::Compare(op, ..) => op.hash(hasher),
        Expr::Select(..) => {}
        Expr::Cast(dtype, _) => dtype.hash(hasher),
    }
    expr.operands().hash(hasher);
}

/// The numbers of a dimension: what tells most of those with one handle apart.
fn hash_dim(shapes: &ShapeCx, dim: Dim, hasher: &mut DefaultHasher) {
    let poly = shapes.poly(dim);
    (dim, poly.constant(), poly.terms().len()).hash(hasher);
    for (factors, coefficient) in poly.terms() {
        (factors.len(), coefficient).hash(hasher);
    }
}

fn dims_of(program: &TensorProgram) -> indexmap::IndexSet<Dim> {
    fn of_body(body: &[Stmt], dims: &mut indexmap::IndexSet<Dim>) {
        for stmt in body {
            match stmt {
                Stmt::Stage(stage) => {
                    dims.extend(stage.all_axes().map(|it| it.extent));
                    dims.extend(stage.at.iter().filter_map(Index::dim));
                }
                Stmt::For { axis, body } => {
                    dims.insert(axis.extent);
                    of_body(body, dims);
                }
            }
        }
    }
    let mut dims = indexmap::IndexSet::new();
    for (_, buffer) in program.buffers.iter() {
        dims.extend(buffer.dims.iter().copied());
    }
    for (_, expr) in program.exprs.iter() {
        match expr {
            Expr::Dim(dim, _) => {
                dims.insert(*dim);
            }
            Expr::Load { at, .. } => dims.extend(at.iter().filter_map(Index::dim)),
            _ => {}
        }
    }
    of_body(&program.body, &mut dims);
    dims
}

#[cfg(test)]
mod tests {
    use super::*;
    use orogen_ir::loops::parse_program;

    fn kernel(text: &str) -> TensorProgram {
        parse_program(text).unwrap_or_else(|it| panic!("{text}\n{it}"))
    }

    fn scaled(extent: &str, factor: &str) -> TensorProgram {
        kernel(&format!(
            "kernel @k {{\n size n\n in %x: f32[{extent}]\n out %y: f32[{extent}]\n \
             for i < {extent} {{ %y[i] = %x[i] * f32({factor}) }}\n}}"
        ))
    }

    #[test]
    fn equal_kernels_are_one_and_others_get_names_of_their_own() {
        let mut kernels = IndexMap::new();
        let mut interner = KernelInterner::of(kernels.values());
        let names: Vec<String> =
            [("4", "2.0"), ("8", "2.0"), ("4", "2.0"), ("4", "3.0"), ("n", "2.0"), ("8", "2.0")]
                .into_iter()
                .map(|(extent, factor)| interner.add(&mut kernels, scaled(extent, factor)))
                .collect();
        assert_eq!(names, ["k", "k_1", "k", "k_2", "k_3", "k_1"]);
        assert!(kernels.iter().all(|(name, it)| it.program().is_some_and(|it| *name == it.name)));
    }

    #[test]
    fn kernels_of_a_table_are_found_again() {
        let mut kernels = IndexMap::new();
        for (name, extent) in [("k", "4"), ("k_1", "6")] {
            let mut kernel = Kernel::from(scaled(extent, "2.0"));
            kernel.set_name(name);
            kernels.put(kernel);
        }
        let mut interner = KernelInterner::of(kernels.values());
        assert_eq!(interner.add(&mut kernels, scaled("6", "2.0")), "k_1");
        assert_eq!(interner.add(&mut kernels, scaled("7", "2.0")), "k_2");
    }
}
