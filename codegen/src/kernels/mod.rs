//! Generators of kernels, as vector programs and as Cranelift functions around them.
//!
//! | module | makes | form |
//! |---|---|---|
//! | [`gemm`] | matrix products in any layout, packing | functions of a module |
//! | `attention` | rows of scores of attention | vector programs |
//! | [`conv`] | convolution, depthwise convolution, pooling | functions of a module |
//! | [`laws`] | what the generators take for granted | constraints over extents |
//! | [`epilogue`] | what matrix products and convolutions do to a result before they store it | steps |
//!
//! A generator is plain data. `program()` gives a vector program, to be put into a module by
//! [`encode::declare`](crate::vector::encode::declare) and [`encode::define`](crate::vector::encode::define); `emit()`
//! defines local functions in a module and returns the one to call. All functions take 64-bit integers (pointers, sizes
//! in elements, strides in bytes) and return nothing. None allocates, calls the runtime, or keeps state: what they need
//! is passed as a workspace.
//!
//! ```
//! use orogen_codegen::jit_memory::Jit;
//! use orogen_codegen::kernels::epilogue::{Operand, Step};
//! use orogen_codegen::kernels::gemm::{Gemm, Layout};
//! use orogen_codegen::vector::Isa;
//!
//! // C = relu(A · B + bias), bias by column.
//! let gemm = Gemm {
//!     epilogue: vec![Step::add(Operand::Column), Step::relu()],
//!     ..Gemm::new(Isa::host(), Layout::RowMajor, Layout::RowMajor)
//! };
//! let mut jit = Jit::new().unwrap();
//! let id = gemm.emit(jit.module(), "dense").unwrap();
//! let code = jit.finish().unwrap();
//!
//! let (m, n, k) = (2, 3, 1);
//! let (a, b, bias) = ([1.0f32, -1.0], [1.0f32, 2.0, 3.0], [0.5f32; 3]);
//! let mut c = [0.0f32; 6];
//! let mut workspace = vec![0u8; gemm.workspace(m, n, k).unwrap() as usize];
//! let args = [
//!     a.as_ptr() as i64, b.as_ptr() as i64, c.as_mut_ptr() as i64, m, n, k, 4 * k, 4 * n, 4 * n,
//!     workspace.as_mut_ptr() as i64, bias.as_ptr() as i64,
//! ];
//! // SAFETY: the parameters are those of `Gemm`, and all buffers live until after the call.
//! unsafe { code.call(id, &args) };
//! assert_eq!(c, [1.5, 2.5, 3.5, 0.0, 0.0, 0.0]);
//! ```

pub(crate) mod attention;
mod bf16;
pub mod conv;
pub mod element;
pub mod epilogue;
pub(crate) mod flow;
pub mod gemm;
pub mod laws;
mod narrow;
