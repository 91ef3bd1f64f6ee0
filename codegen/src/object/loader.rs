//! Code in the memory of this process.
#![allow(unsafe_code, reason = "code is memory that becomes a function; constants are addresses")]

use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncOrDataId, Module, default_libcall_names};
use orogen_abi::{HostTable, SafeCall};
use orogen_ir::diag::{Diagnostic, Diagnostics};
use orogen_ir::types::Bytes;
use std::fmt;
use std::sync::atomic::AtomicPtr;

use super::{code, fill};
use crate::library::Compiled;

/// A compiled plan that can be called; the code is freed when this goes away.
///
/// The packed call itself is unsafe: see [`Loaded::entry`].
pub struct Loaded {
    /// Gone only while dropping.
    module: Option<JITModule>,
    entry: SafeCall,
    host: *const AtomicPtr<HostTable>,
    /// Constants that the code refers to by address.
    _constants: Vec<Bytes>,
    /// Constants that had to be moved to be aligned.
    _moved: Vec<Aligned>,
}

// SAFETY: the code is immutable and re-entrant, the constants are immutable, and the host slot is atomic.
unsafe impl Send for Loaded {}
// SAFETY: as above.
unsafe impl Sync for Loaded {}

impl Loaded {
    /// The packed function of the plan.
    ///
    /// Calls must follow the laws of [`orogen_abi`], and `self` must outlive them and the tensors that they return
    /// without a host.
    pub fn entry(&self) -> SafeCall {
        self.entry
    }

    /// The address of a symbol of [`orogen_abi::symbol`], or of the entry point; valid as long as `self`.
    pub fn symbol(&self, name: &str) -> Option<*const u8> {
        let module = self.module.as_ref()?;
        match module.get_name(name)? {
            FuncOrDataId::Func(id) => Some(module.get_finalized_function(id)),
            FuncOrDataId::Data(id) => Some(module.get_finalized_data(id).0),
        }
    }

    /// Gives the code a host, or takes it away; not while a call is running.
    pub fn set_host(&self, host: Option<&'static HostTable>) {
        let pointer = host.map_or(std::ptr::null_mut(), |it| std::ptr::from_ref(it).cast_mut());
        // SAFETY: the slot is eight aligned bytes that live as long as the module.
        let slot = unsafe { &*self.host };
        slot.store(pointer, std::sync::atomic::Ordering::Release);
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loaded").finish_non_exhaustive()
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        if let Some(module) = self.module.take() {
            // SAFETY: no call is running: callers keep `self` alive (see `entry`).
            unsafe { module.free_memory() };
        }
    }
}

/// Bytes at a multiple of 64.
struct Aligned {
    storage: Vec<u64>,
    start: usize,
}

impl Aligned {
    fn copy(bytes: &[u8]) -> Aligned {
        let mut storage = vec![0u64; bytes.len().div_ceil(8) + 8];
        let start = storage.as_ptr().align_offset(64).min(8);
        // SAFETY: the copy ends before the storage does: 64 bytes are spare, and `start` skips at most those.
        unsafe {
            let to = storage.as_mut_ptr().add(start).cast::<u8>();
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len());
        }
        Aligned { storage, start }
    }

    fn pointer(&self) -> *const u8 {
        self.storage[self.start..].as_ptr().cast()
    }
}

/// The code as functions of this process.
pub(crate) fn load(compiled: &Compiled) -> Result<Loaded, Diagnostics> {
    let fail = |message: String| Diagnostic::error("C006", format!("cannot load the code: {message}"));
    if compiled.options.triple != target_lexicon::Triple::host() {
        return Err(fail(format!("it is for `{}`", compiled.options.triple)).into());
    }
    let isa = compiled.isa(false)?;
    let finished = code::compile(compiled, &*isa)?;
    let mut builder = JITBuilder::with_isa(isa, default_libcall_names());
    let mut constants = Vec::new();
    let mut moved = Vec::new();
    for blob in &compiled.blobs {
        let mut pointer = blob.bytes.as_ptr();
        if pointer.addr() % 64 != 0 {
            let copy = Aligned::copy(&blob.bytes);
            pointer = copy.pointer();
            moved.push(copy);
        } else {
            constants.push(blob.bytes.clone());
        }
        builder.symbol(blob.symbol.as_str(), pointer);
    }
    let mut module = JITModule::new(builder);
    fill::fill(&mut module, compiled, &finished)?;
    module.finalize_definitions().map_err(|error| fail(error.to_string()))?;
    let host = match module.get_name(orogen_abi::symbol::HOST) {
        Some(FuncOrDataId::Data(id)) => module.get_finalized_data(id).0,
        _ => return Err(fail("the host slot is missing".to_owned()).into()),
    };
    let entry = match module.get_name(&compiled.entry) {
        Some(FuncOrDataId::Func(id)) => module.get_finalized_function(id),
        _ => return Err(fail("the entry point is missing".to_owned()).into()),
    };
    // SAFETY: the entry point was built with the signature of a packed function.
    let entry = unsafe { std::mem::transmute::<*const u8, SafeCall>(entry) };
    Ok(Loaded { module: Some(module), entry, host: host.cast(), _constants: constants, _moved: moved })
}
