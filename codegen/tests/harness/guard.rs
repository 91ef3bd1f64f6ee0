//! Calls generated code on memory between guard pages.
//!
//! Inputs, outputs and workspaces each have a mapping of their own, with pages before and after it that nothing may
//! touch. They end right before the page behind them, or begin right after the one in front of them.

use std::cell::Cell;
use std::ffi::{c_char, c_void};
use std::mem::ManuallyDrop;
use std::sync::atomic::AtomicU64;

use orogen_abi::{Any, DLDataType, DLDevice, DLTensor, HostTable, LoopBody, Object, TensorObject, TypeIndex};
use orogen_codegen::{Compiled, Loaded};
use orogen_ir::plan::CallPlan;
use orogen_ir::types::TensorData;

use super::dlpack;

const PAGE: usize = 4096;

/// Memory of which nothing outside may be touched.
struct Guarded {
    start: *mut u8,
    mapped: usize,
    data: *mut u8,
}

impl Guarded {
    /// `bytes` at the end of their pages, or at the start of them.
    fn new(bytes: usize, at_end: bool) -> Guarded {
        let inside = bytes.div_ceil(PAGE) * PAGE;
        let mapped = inside + 2 * PAGE;
        // SAFETY: a new mapping, of which the middle becomes accessible.
        let start = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let start = libc::mmap(std::ptr::null_mut(), mapped, libc::PROT_NONE, flags, -1, 0);
            assert_ne!(start, libc::MAP_FAILED, "no memory");
            let middle = start.cast::<u8>().add(PAGE);
            assert_eq!(libc::mprotect(middle.cast(), inside, libc::PROT_READ | libc::PROT_WRITE), 0);
            start.cast::<u8>()
        };
        let skip = if at_end { inside - bytes } else { 0 };
        Guarded { start, mapped, data: start.wrapping_add(PAGE + skip) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made.
        unsafe { libc::munmap(self.start.cast(), self.mapped) };
    }
}

thread_local! {
    /// Where memory that the host gives lies.
    static AT_END: Cell<bool> = const { Cell::new(false) };
}

/// A tensor in guarded memory.
#[repr(C)]
struct GuardedTensor {
    object: TensorObject,
    shape: Vec<i64>,
    memory: Guarded,
}

unsafe extern "C" fn delete(object: *mut c_void, _: i32) {
    // SAFETY: made by `tensor_new`, and both counts fall at once.
    drop(unsafe { Box::from_raw(object.cast::<GuardedTensor>()) });
}

unsafe extern "C" fn tensor_new(dtype: DLDataType, ndim: i32, shape: *const i64) -> *mut Object {
    // SAFETY: the caller gives `ndim` extents.
    let shape: Vec<i64> = (0..ndim as usize).map(|i| unsafe { *shape.add(i) }).collect();
    let elements: i64 = shape.iter().product();
    let bytes = elements as usize * usize::from(dtype.bits).div_ceil(8);
    let memory = Guarded::new(bytes, AT_END.get());
    let header = Object {
        counts: AtomicU64::new(Object::COUNTS_ONE),
        type_index: TypeIndex::TENSOR,
        padding: 0,
        deleter: Some(delete),
    };
    let dl_tensor = view(memory.data, dtype, &shape);
    let object = TensorObject { header, dl_tensor };
    Box::into_raw(Box::new(GuardedTensor { object, shape, memory })).cast()
}

unsafe extern "C" fn object_release(object: *mut Object) {
    if !object.is_null() {
        // SAFETY: only tensors of `tensor_new` are made, with one reference.
        unsafe { delete(object.cast(), 3) };
    }
}

/// The bytes before a workspace say how large it is, so that it can be given back.
unsafe extern "C" fn workspace_acquire(bytes: u64) -> *mut u8 {
    let bytes = (bytes as usize).next_multiple_of(64);
    let memory = ManuallyDrop::new(Guarded::new(bytes, AT_END.get()));
    WORKSPACES.lock().unwrap().push((memory.data as usize, memory.start as usize, memory.mapped));
    memory.data
}

static WORKSPACES: std::sync::Mutex<Vec<(usize, usize, usize)>> = std::sync::Mutex::new(Vec::new());

unsafe extern "C" fn workspace_release(workspace: *mut u8) {
    let mut all = WORKSPACES.lock().unwrap();
    if let Some(at) = all.iter().position(|it| it.0 == workspace as usize) {
        let (data, start, mapped) = all.swap_remove(at);
        drop(Guarded { start: start as *mut u8, mapped, data: data as *mut u8 });
    }
}

unsafe extern "C" fn error_set(_: *const c_char, message: *const c_char) {
    // SAFETY: a text that ends with 0.
    eprintln!("{}", unsafe { std::ffi::CStr::from_ptr(message) }.to_string_lossy());
}

/// Three ranges, the last one first.
unsafe extern "C" fn parallel_for(body: LoopBody, context: *mut c_void, extent: i64, grain: i64) {
    let grain = grain * (extent / 3 / grain).max(1);
    let starts: Vec<i64> = (0..extent).step_by(grain as usize).collect();
    for start in starts.into_iter().rev() {
        // SAFETY: the body takes any range.
        unsafe { body(context, start, (start + grain).min(extent)) };
    }
}

fn view(data: *mut u8, dtype: DLDataType, shape: &[i64]) -> DLTensor {
    DLTensor {
        data: data.cast(),
        device: DLDevice::CPU,
        ndim: shape.len() as i32,
        dtype,
        shape: shape.as_ptr().cast_mut(),
        strides: std::ptr::null_mut(),
        byte_offset: 0,
    }
}

/// The code, with memory between guard pages and ranges in turn.
pub fn load(compiled: &Compiled) -> Loaded {
    let host: &'static HostTable = Box::leak(Box::new(HostTable {
        tensor_new,
        object_release,
        workspace_acquire,
        workspace_release,
        error_set,
        parallel_for,
        ..*orogen_runtime::host_table()
    }));
    let loaded = compiled.jit().unwrap_or_else(|it| panic!("{it}"));
    loaded.set_host(Some(host));
    loaded
}

/// The single output of a plan.
pub fn call(loaded: &Loaded, plan: &CallPlan, inputs: &[TensorData], at_end: bool) -> TensorData {
    AT_END.set(at_end);
    let memories: Vec<Guarded> = inputs
        .iter()
        .map(|it| {
            let bytes = it.unpacked();
            let memory = Guarded::new(bytes.len(), at_end);
            // SAFETY: the memory has room for the bytes.
            unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), memory.data, bytes.len()) };
            memory
        })
        .collect();
    let shapes: Vec<Vec<i64>> =
        inputs.iter().map(|it| it.dims().iter().map(|it| *it as i64).collect()).collect();
    let mut views: Vec<DLTensor> = inputs
        .iter()
        .zip(&memories)
        .zip(&shapes)
        .map(|((input, memory), shape)| view(memory.data, dlpack(input.dtype()), shape))
        .collect();
    let args: Vec<Any> = views.iter_mut().map(|it| Any::dl_tensor(it)).collect();
    let mut result = Any::NONE;
    // SAFETY: the parameters of a packed function, over views that live until after the call.
    let status =
        unsafe { (loaded.entry())(std::ptr::null_mut(), args.as_ptr(), args.len() as i32, &raw mut result) };
    assert_eq!(status, 0, "the call failed");
    // SAFETY: one output is one tensor, made by `tensor_new`.
    let tensor = unsafe { Box::from_raw(result.payload.object.cast::<GuardedTensor>()) };
    let dims: Vec<u64> = tensor.shape.iter().map(|it| *it as u64).collect();
    let dtype = plan.outputs[0].tensor().unwrap().dtype;
    let bytes = dims.iter().product::<u64>() as usize * dtype.size();
    // SAFETY: the memory holds as many bytes.
    let bytes = unsafe { std::slice::from_raw_parts(tensor.memory.data, bytes) };
    TensorData::from_unpacked(dtype, dims, bytes.to_vec().into()).unwrap()
}
