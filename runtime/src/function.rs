//! [`PackedFunc`]: a function with the packed calling convention.

use std::any::Any as Anything;
use std::ffi::c_void;
use std::fmt;
use std::sync::Arc;

use orogen_abi::{Any, SafeCall};

use crate::error::{self, RuntimeError};
use crate::value::{OwnedAny, Value};

/// A function that takes and returns [`Value`]s; cloning shares it.
///
/// ```
/// use orogen_runtime::{PackedFunc, Value};
///
/// let double = PackedFunc::new("double", |args| match args {
///     [Value::Int(n)] => Ok(Value::Int(2 * n)),
///     _ => Ok(Value::None),
/// });
/// assert!(matches!(double.call(&[Value::Int(21)])?, Value::Int(42)));
/// # Ok::<(), orogen_runtime::RuntimeError>(())
/// ```
#[derive(Clone)]
pub struct PackedFunc {
    name: Arc<str>,
    function: SafeCall,
    handle: *mut c_void,
    /// Keeps code and handle alive.
    _owner: Arc<dyn Anything + Send + Sync>,
}

// SAFETY: the constructors demand that function and handle may be used from any thread.
unsafe impl Send for PackedFunc {}
// SAFETY: as above, also at the same time.
unsafe impl Sync for PackedFunc {}

impl fmt::Debug for PackedFunc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackedFunc({})", self.name)
    }
}

type Closure = Box<dyn Fn(&[Value]) -> Result<Value, RuntimeError> + Send + Sync>;

impl PackedFunc {
    /// Wraps a closure; its panics become errors.
    pub fn new(
        name: &str,
        body: impl Fn(&[Value]) -> Result<Value, RuntimeError> + Send + Sync + 'static,
    ) -> Self {
        let owner: Arc<Closure> = Arc::new(Box::new(body));
        let handle = Arc::as_ptr(&owner).cast_mut().cast();
        PackedFunc { name: name.into(), function: call_closure, handle, _owner: owner }
    }

    /// Wraps a C function.
    ///
    /// # Safety
    /// `function` follows laws A1 to A4 of [`orogen_abi`] with this handle, from any thread and from several at
    /// once, for as long as `owner` lives.
    pub unsafe fn from_raw(
        name: &str,
        function: SafeCall,
        handle: *mut c_void,
        owner: Arc<dyn Anything + Send + Sync>,
    ) -> Self {
        PackedFunc { name: name.into(), function, handle, _owner: owner }
    }

    /// The name it was made with.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Calls the function.
    ///
    /// # Errors
    /// What the function reports, and results that are no [`Value`].
    pub fn call(&self, args: &[Value]) -> Result<Value, RuntimeError> {
        let mut kept = Vec::new();
        let mut packed = Vec::with_capacity(args.len());
        for arg in args {
            packed.push(match arg {
                Value::Tensor(tensor) => Any::object(orogen_abi::TypeIndex::TENSOR, tensor.object()),
                other => {
                    let any = other.clone().into_any();
                    kept.push(OwnedAny(any));
                    any
                }
            });
        }
        let result = self.call_packed(&packed)?;
        // SAFETY: on success the result is well-formed and owned by us (law A2).
        unsafe { Value::from_owned(result) }
    }

    /// Calls with borrowed arguments; the result is owned by the caller.
    pub(crate) fn call_packed(&self, args: &[Any]) -> Result<Any, RuntimeError> {
        let num_args = i32::try_from(args.len()).map_err(|_| RuntimeError::ArgumentCount {
            function: self.name.to_string(),
            expected: Vec::new(),
            got: args.len(),
        })?;
        error::clear_raised();
        let mut result = Any::NONE;
        // SAFETY: function and handle belong together and are alive; the arguments are well-formed for the call.
        let status = unsafe { (self.function)(self.handle, args.as_ptr(), num_args, &mut result) };
        if status == 0 { Ok(result) } else { Err(error::take_raised(&self.name)) }
    }
}

unsafe extern "C" fn call_closure(
    handle: *mut c_void,
    args: *const Any,
    num_args: i32,
    result: *mut Any,
) -> i32 {
    let outcome = error::contain("a packed function", || {
        // SAFETY: the handle is the closure that `PackedFunc::new` stored, kept alive by the function being called.
        let closure = unsafe { &*handle.cast::<Closure>() };
        let count = usize::try_from(num_args).unwrap_or(0);
        let args = match count {
            0 => &[][..],
            // SAFETY: the caller gives `num_args` well-formed arguments.
            count => unsafe { std::slice::from_raw_parts(args, count) },
        };
        // SAFETY: the arguments are well-formed and alive during the call (law A3).
        let args =
            args.iter().map(|it| unsafe { Value::from_borrowed(it) }).collect::<Result<Vec<_>, _>>()?;
        closure(&args)
    });
    match outcome {
        Ok(value) => {
            // SAFETY: the caller gives a place for the result (law A2).
            unsafe { result.write(value.into_any()) };
            0
        }
        Err(error) => {
            error::raise_error(&error);
            -1
        }
    }
}
