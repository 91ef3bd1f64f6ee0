//! Generated code in the memory of this process: for tests, measurements and tuning.
#![allow(unsafe_code, reason = "calling generated code")]

use cranelift_codegen::settings::{self, Configurable, Flags};
use cranelift_jit::{JITBuilder, JITModule};
use cranelift_module::{FuncId, default_libcall_names};

use crate::vector::{Isa, Program, encode};

/// A module under construction, for the machine that runs this process.
#[derive(Default)]
pub struct Jit {
    module: Option<JITModule>,
    names: u32,
}

/// Code that can be called.
pub struct Loaded {
    module: Option<JITModule>,
}

impl Jit {
    /// An empty module, compiled for speed and for the features of this machine.
    pub fn new() -> Result<Jit, String> {
        let mut flags = settings::builder();
        flags.set("opt_level", "speed").map_err(|e| e.to_string())?;
        flags.set("is_pic", "false").map_err(|e| e.to_string())?;
        let isa = cranelift_native::builder()?.finish(Flags::new(flags)).map_err(|e| e.to_string())?;
        let module = JITModule::new(JITBuilder::with_isa(isa, default_libcall_names()));
        Ok(Jit { module: Some(module), names: 0 })
    }

    /// The module, to declare and define further functions.
    pub fn module(&mut self) -> &mut JITModule {
        self.module.as_mut().expect("only finish takes it")
    }

    /// Defines a vector program.
    pub fn define(&mut self, program: &Program, isa: Isa) -> Result<FuncId, String> {
        self.names += 1;
        let name = format!("{}_{}", program.name, self.names);
        let id = encode::declare(self.module(), &name, program.params.len()).map_err(|e| e.to_string())?;
        encode::define(self.module(), id, program, isa).map_err(|e| e.to_string())?;
        Ok(id)
    }

    /// Makes the code executable.
    pub fn finish(mut self) -> Result<Loaded, String> {
        let mut module = self.module.take().expect("taken once");
        module.finalize_definitions().map_err(|e| e.to_string())?;
        Ok(Loaded { module: Some(module) })
    }
}

impl Loaded {
    /// Calls a function of 64-bit parameters without a result.
    ///
    /// # Safety
    /// The function must have as many parameters as there are arguments, and every access that it makes with them must
    /// be to memory that lives, does not move, and is not borrowed in conflict with the access.
    ///
    /// # Panics
    /// With more than 24 arguments.
    pub unsafe fn call(&self, id: FuncId, args: &[i64]) {
        let code = self.module.as_ref().expect("until drop").get_finalized_function(id);
        macro_rules! call {
            ($($n:literal: $($i:literal)*;)*) => {
                match args.len() {
                    $($n => {
                        // SAFETY: the caller vouches for the number of parameters; all are 64-bit integers.
                        let f: extern "C" fn($(ty!($i)),*) = unsafe { std::mem::transmute(code) };
                        f($(args[$i]),*)
                    })*
                    n => panic!("{n} arguments"),
                }
            };
        }
        macro_rules! ty {
            ($i:literal) => {
                i64
            };
        }
        call! {
            0: ;
            1: 0;
            2: 0 1;
            3: 0 1 2;
            4: 0 1 2 3;
            5: 0 1 2 3 4;
            6: 0 1 2 3 4 5;
            7: 0 1 2 3 4 5 6;
            8: 0 1 2 3 4 5 6 7;
            9: 0 1 2 3 4 5 6 7 8;
            10: 0 1 2 3 4 5 6 7 8 9;
            11: 0 1 2 3 4 5 6 7 8 9 10;
            12: 0 1 2 3 4 5 6 7 8 9 10 11;
            13: 0 1 2 3 4 5 6 7 8 9 10 11 12;
            14: 0 1 2 3 4 5 6 7 8 9 10 11 12 13;
            15: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
            16: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15;
            17: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16;
            18: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17;
            19: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18;
            20: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19;
            21: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20;
            22: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21;
            23: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22;
            24: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23;
        }
    }
}

impl Drop for Loaded {
    fn drop(&mut self) {
        if let Some(module) = self.module.take() {
            // SAFETY: no pointer into the code leaves this type, and calls borrow it.
            unsafe { module.free_memory() };
        }
    }
}
