//! What rules see of a legacy graph while it is edited.

use crate::rules::kernels::KernelTable;
use orogen_ir::graph::{Edge, GraphEditor};
use orogen_ir::kernel::Kernel;
use orogen_ir::shape::ShapeCx;
use orogen_ir::types::{TensorType, Type};

/// The type of an edge for rules that are shared with the flow IR, with elements where it is a constant.
pub(crate) fn edge_type(editor: &GraphEditor<'_>, shapes: &mut ShapeCx, edge: Edge) -> Type {
    match editor.constant_data(edge) {
        Some(data) => Type::Tensor(TensorType::of_constant(shapes, data)),
        None => {
            let ty = editor.ty(edge);
            let dims: Vec<_> = ty.dims.iter().map(|it| shapes.int(*it as i64)).collect();
            Type::tensor(ty.dtype, dims)
        }
    }
}

impl KernelTable for GraphEditor<'_> {
    fn kernel(&self, name: &str) -> Option<&Kernel> {
        self.kernels().get(name)
    }

    fn is_taken(&self, name: &str) -> bool {
        self.kernels().contains_key(name)
    }

    fn put(&mut self, kernel: Kernel) {
        self.define(kernel).expect("the name is not taken");
    }
}
