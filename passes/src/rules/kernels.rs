//! Kernels by name: equal ones are kept once.

use indexmap::IndexMap;
use orogen_ir::kernel::Kernel;
use orogen_ir::loops::TensorProgram;

/// Adds a tensor program under its own name, or one like it when that is taken, and returns the name. A kernel that
/// differs from an earlier one by its name alone is not added again.
pub fn intern(kernels: &mut IndexMap<String, Kernel>, mut program: TensorProgram) -> String {
    let base = program.name.clone();
    let mut suffix = 0_u32;
    loop {
        match kernels.get(&program.name) {
            None => {
                let name = program.name.clone();
                kernels.insert(name.clone(), program.into());
                return name;
            }
            Some(Kernel::Program(earlier)) if same(earlier, &program) => return program.name,
            Some(_) => {
                suffix += 1;
                program.name = format!("{base}_{suffix}");
            }
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
        && dims_agree(a, b)
}

/// Whether every dimension that the programs mention means the same in both contexts.
fn dims_agree(a: &TensorProgram, b: &TensorProgram) -> bool {
    dims_of(a).into_iter().all(|dim| a.shapes.display(dim).to_string() == b.shapes.display(dim).to_string())
}

fn dims_of(program: &TensorProgram) -> indexmap::IndexSet<orogen_ir::shape::Dim> {
    use orogen_ir::loops::{Expr, Index, Stmt};
    fn of_body(body: &[Stmt], dims: &mut indexmap::IndexSet<orogen_ir::shape::Dim>) {
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
