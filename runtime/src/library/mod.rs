//! [`Library`]: a compiled model, ready to run.

mod image;
mod instructions;
mod mapped;

use std::any::Any as Anything;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use orogen_abi::signature::{Dim, Function, Parameter, Signature, digest};
use orogen_abi::{Any, DLDevice, HostTable, SafeCall, TypeIndex, symbol};

use crate::error::{self, RuntimeError};
use crate::function::PackedFunc;
use crate::tensor::Tensor;
use crate::value::{OwnedAny, Value};
use crate::{host, pool};
use image::Image;
pub use image::orogen_register_symbol;
use mapped::Mapped;

/// Text blocks beyond this are taken for damage.
const LARGEST_TEXT: u64 = 1 << 30;

/// A compiled model. Cloning shares it; several threads may run it at once.
///
/// # Example
///
/// ```no_run
/// use orogen_runtime::{Library, Tensor};
///
/// let model = Library::open("model.so".as_ref())?;
/// let x = Tensor::from_slice(&[1, 3], &[0.1f32, 0.2, 0.3])?;
/// let outputs = model.run(&[x])?;
/// println!("{:?}", outputs[0].as_slice::<f32>()?);
/// # Ok::<(), orogen_runtime::RuntimeError>(())
/// ```
#[derive(Clone)]
pub struct Library {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    signature: Signature,
    metadata: String,
    /// One for each function of the signature.
    functions: Vec<SafeCall>,
    threads: AtomicUsize,
    /// Where the addresses of parameters go, for a library that does not hold them.
    table: AtomicPtr<*const u8>,
    /// Those that were given: the code reads their memory.
    parameters: OnceLock<Vec<Tensor>>,
    /// Last, so that it outlives all that points into it.
    image: Image,
}

/// How to run one call.
#[derive(Clone, Copy, Debug, Default)]
pub struct RunOptions {
    /// Threads that the call may use, the calling one included; absent means those of the library.
    pub threads: Option<usize>,
}

impl Library {
    /// Loads a shared library.
    ///
    /// # Trust
    /// The file holds machine code that will run with the rights of this process, as if it were linked in.
    /// Open only what a trusted compiler made, and do not change the file while it is loaded
    /// (a compiler that replaces it by renaming, as ours does, is no change).
    ///
    /// # Errors
    /// Files that cannot be read or are no libraries, and libraries made by something else or for another version.
    pub fn open(path: &Path) -> Result<Self, RuntimeError> {
        let image = Image::open(path)?;
        // SAFETY: the symbols that mark an Orogen library are checked; that they mean what they say is a matter of
        // trust in the file, which the caller was told of.
        unsafe { Self::bind(path.display().to_string(), image, "", &mut |_| None) }
    }

    /// Wraps code that is in memory already.
    ///
    /// `lookup` gives the address of a symbol of [`orogen_abi::symbol`] or of a function; `owner` keeps them valid.
    ///
    /// # Safety
    /// The addresses are those of symbols as [`orogen_abi`] describes them, for as long as `owner` lives.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub unsafe fn from_jit(
        name: &str,
        owner: Box<dyn Anything + Send + Sync>,
        lookup: &mut dyn FnMut(&str) -> Option<*const u8>,
    ) -> Result<Self, RuntimeError> {
        let image = Image::Owner { _owner: owner };
        // SAFETY: by contract.
        unsafe { Self::bind(name.to_owned(), image, "", lookup) }
    }

    /// Finds a model that is linked into the program itself, by the prefix it was compiled with.
    ///
    /// # Errors
    /// As [`Library::open`].
    pub fn from_system(prefix: &str) -> Result<Self, RuntimeError> {
        // SAFETY: whoever registered the symbols vouched for them.
        unsafe { Self::bind(format!("system library `{prefix}`"), Image::System, prefix, &mut |_| None) }
    }

    /// Checks the library, reads what it says of itself, and gives it the host table.
    ///
    /// # Safety
    /// All symbols are as [`orogen_abi`] describes them.
    unsafe fn bind(
        name: String,
        image: Image,
        prefix: &str,
        lookup: &mut dyn FnMut(&str) -> Option<*const u8>,
    ) -> Result<Self, RuntimeError> {
        let mut find = |symbol: &str| {
            let symbol = symbol::with_prefix(symbol, prefix);
            let address = image.symbol(&symbol).or_else(|| lookup(&symbol)).filter(|it| !it.is_null());
            address.ok_or_else(|| RuntimeError::MissingSymbol { library: name.clone(), symbol })
        };
        // SAFETY: the version is a `u32`, of any alignment.
        let version = unsafe { find(symbol::VERSION)?.cast::<u32>().read_unaligned() };
        if version != symbol::LIBRARY_VERSION {
            return Err(RuntimeError::Version {
                library: name.clone(),
                expected: symbol::LIBRARY_VERSION,
                got: version,
            });
        }
        let unreadable = |reason: String| RuntimeError::Signature { library: name.clone(), reason };
        // A file may be damaged; code in memory is not.
        let mapped = if matches!(image, Image::File(_)) { Mapped::now() } else { Mapped::unknown() };
        // SAFETY: both are length-prefixed texts, or damage that is found.
        let (signature, metadata) = unsafe {
            let signature = read_text(find(symbol::SIGNATURE)?, &mapped).map_err(unreadable)?;
            (
                signature,
                find(symbol::META).ok().map(|it| read_text(it, &mapped)).transpose().map_err(unreadable)?,
            )
        };
        // SAFETY: as above.
        let needed = find(symbol::INSTRUCTIONS).ok().map(|it| unsafe { read_text(it, &mapped) });
        let missing = instructions::missing(&needed.transpose().map_err(unreadable)?.unwrap_or_default());
        if !missing.is_empty() {
            return Err(RuntimeError::Instructions { library: name.clone(), missing });
        }
        let signature: Signature = signature
            .parse()
            .map_err(|error: orogen_abi::signature::SignatureError| unreadable(error.to_string()))?;
        let functions = signature.functions.iter().map(|function| {
            let address = find(&[symbol::FUNCTION_PREFIX, &function.name].concat())?;
            // SAFETY: functions of the signature have the packed calling convention.
            Ok(unsafe { std::mem::transmute::<*const u8, SafeCall>(address) })
        });
        let functions = functions.collect::<Result<Vec<_>, RuntimeError>>()?;
        let slot = find(symbol::HOST)?.cast::<AtomicPtr<HostTable>>();
        // SAFETY: the slot is an aligned pointer that generated code only reads; the table lives for ever.
        unsafe { (*slot).store((&raw const host::HOST).cast_mut(), Ordering::Release) };
        let metadata = metadata.unwrap_or_default();
        let table = match signature.parameters.is_empty() {
            true => std::ptr::null_mut(),
            false => find(symbol::PARAMETERS)?.cast::<*const u8>().cast_mut(),
        };
        let (threads, table, parameters) = (AtomicUsize::new(1), AtomicPtr::new(table), OnceLock::new());
        let inner = Inner { name, signature, metadata, functions, threads, table, parameters, image };
        Ok(Library { inner: Arc::new(inner) })
    }

    /// Runs `main`, or the only function of a library that has no `main`. Inputs at the end that have a default may be left
    /// out; [`Library::call_values`] leaves out any of them.
    ///
    /// # Errors
    /// Tensors that do not fit the signature, and what the model itself reports.
    pub fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, RuntimeError> {
        self.call(self.main(), inputs)
    }

    /// Runs the function called `name`.
    ///
    /// # Errors
    /// As [`Library::run`], and when there is no such function.
    pub fn call(&self, name: &str, inputs: &[Tensor]) -> Result<Vec<Tensor>, RuntimeError> {
        self.run_function(name, inputs, RunOptions::default())
    }

    /// Runs the function called `name` in a way of its own.
    ///
    /// # Errors
    /// As [`Library::call`].
    pub fn run_function(
        &self,
        name: &str,
        inputs: &[Tensor],
        options: RunOptions,
    ) -> Result<Vec<Tensor>, RuntimeError> {
        let (index, signature) = self.find_function(name)?;
        if let Some(state) = signature.inputs.iter().find(|it| it.becomes.is_some()) {
            return Err(state_is_written(state, name));
        }
        self.invoke(index, inputs, options)
    }

    /// Runs the function called `name` on values of any kind: a sequence is a [`Value::Array`], and [`Value::None`] stands
    /// for an optional without a value and for an input that takes its default. New values of state are left where the
    /// old ones were, as by [`Library::run_in_place`]. Results are as many as the function has outputs.
    ///
    /// ```no_run
    /// # use orogen_runtime::{Library, RunOptions, Tensor, Value};
    /// # fn example(library: &Library, x: Tensor, y: Tensor) -> Result<(), orogen_runtime::RuntimeError> {
    /// let list = Value::Array(vec![x.into(), y.into()]);
    /// let outputs = library.call_values("main", &mut [list, Value::None], RunOptions::default())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Library::run_in_place`], and for values of another kind than the function takes.
    pub fn call_values(
        &self,
        name: &str,
        inputs: &mut [Value],
        options: RunOptions,
    ) -> Result<Vec<Value>, RuntimeError> {
        let (index, function) = self.find_function(name)?;
        if inputs.len() < function.required() || inputs.len() > function.inputs.len() {
            return Err(argument_count(function, inputs.len()));
        }
        for (parameter, value) in function.inputs.iter().zip(inputs.iter_mut()) {
            let what = || format!("input `{}` of `{}`", parameter.name, function.name);
            match value {
                Value::Tensor(tensor) => {
                    check_input(parameter, tensor, &what)?;
                    check_state(function, parameter, Some(tensor))?;
                }
                _ if parameter.object.is_some() => {}
                Value::None if parameter.optional => {}
                other => {
                    let (expected, got) = ("a tensor", other.kind().to_owned());
                    return Err(RuntimeError::Kind { what: what(), expected, got });
                }
            }
        }
        let mut kept = Vec::new();
        let args: Vec<Any> = inputs
            .iter()
            .map(|it| match it {
                // Not one more reference: state is the caller's alone.
                Value::Tensor(tensor) => Any::object(TypeIndex::TENSOR, tensor.object()),
                other => {
                    let any = other.clone().into_any();
                    kept.push(OwnedAny(any));
                    any
                }
            })
            .collect();
        self.invoke_packed(index, &args, options)
    }

    /// Runs `main` and leaves the new values of state where the old ones were: in those of `inputs` that the signature
    /// says become something. After an error what they hold is not specified.
    ///
    /// # Errors
    /// As [`Library::run`], and for state whose tensor is shared or whose memory belongs to someone else.
    pub fn run_in_place(&self, inputs: &mut [Tensor]) -> Result<Vec<Tensor>, RuntimeError> {
        self.call_in_place(self.main(), inputs)
    }

    /// [`Library::run_in_place`] for the function called `name`.
    ///
    /// # Errors
    /// As [`Library::run_in_place`], and when there is no such function.
    pub fn call_in_place(&self, name: &str, inputs: &mut [Tensor]) -> Result<Vec<Tensor>, RuntimeError> {
        let (index, function) = self.find_function(name)?;
        check_inputs(function, inputs)?;
        for (parameter, tensor) in function.inputs.iter().zip(inputs.iter_mut()) {
            check_state(function, parameter, Some(tensor))?;
        }
        self.invoke(index, inputs, RunOptions::default())
    }

    /// The name of the function that runs when none is named.
    fn main(&self) -> &str {
        match &self.signature().functions[..] {
            [only] => &only.name,
            _ => "main",
        }
    }

    /// A function by name, with its place.
    fn find_function(&self, name: &str) -> Result<(usize, &Function), RuntimeError> {
        let functions = &self.inner.signature.functions;
        let index =
            functions.iter().position(|it| it.name == name).ok_or_else(|| RuntimeError::NoFunction {
                place: format!("`{}`", self.inner.name),
                name: name.to_owned(),
                available: functions.iter().map(|it| it.name.clone()).collect(),
            })?;
        Ok((index, &functions[index]))
    }

    /// Calls a function; the tensors of its state are the caller's to write.
    fn invoke(
        &self,
        index: usize,
        inputs: &[Tensor],
        options: RunOptions,
    ) -> Result<Vec<Tensor>, RuntimeError> {
        check_inputs(&self.inner.signature.functions[index], inputs)?;
        let args: Vec<Any> = inputs.iter().map(|it| Any::object(TypeIndex::TENSOR, it.object())).collect();
        self.invoke_packed(index, &args, options)?.into_iter().map(Value::into_tensor).collect()
    }

    /// Calls a function with arguments that are checked as far as they can be here; the result is a value for each output.
    fn invoke_packed(
        &self,
        index: usize,
        args: &[Any],
        options: RunOptions,
    ) -> Result<Vec<Value>, RuntimeError> {
        let inner = &*self.inner;
        let signature = &inner.signature.functions[index];
        let name = signature.name.as_str();
        let num_args = i32::try_from(args.len()).map_err(|_| argument_count(signature, args.len()))?;
        let threads = options.threads.unwrap_or_else(|| self.threads());
        let function = inner.functions[index];
        if !inner.signature.parameters.is_empty() && inner.parameters.get().is_none() {
            return Err(RuntimeError::Parameters { library: inner.name.clone(), given: false });
        }
        let mut result = Any::NONE;
        error::clear_raised();
        let status = pool::with_threads(threads, || {
            // SAFETY: the function belongs to a library that stays loaded; arguments were checked and are borrowed.
            unsafe { function(std::ptr::null_mut(), args.as_ptr(), num_args, &mut result) }
        });
        if status != 0 {
            return Err(error::take_raised(name));
        }
        // SAFETY: on success the result is well-formed and owned by us (law A2).
        match (signature.outputs.len(), unsafe { Value::from_owned(result) }?) {
            (0, _) => Ok(Vec::new()),
            (1, value) => Ok(vec![value]),
            (count, Value::Array(items)) if items.len() == count => Ok(items),
            (_, other) => Err(RuntimeError::Kind {
                what: format!("result of `{name}`"),
                expected: "an array of its outputs",
                got: other.kind().to_owned(),
            }),
        }
    }

    /// Gives the library the data that it does not hold, once, for all its functions and clones. Tensors are taken by
    /// name and kept; what the library does not know is left alone.
    ///
    /// # Errors
    /// What is missing, has another type or shape, or is other data than the library was made for; and a second call.
    pub fn set_parameters(&self, given: &[(String, Tensor)]) -> Result<(), RuntimeError> {
        let inner = &*self.inner;
        let mut tensors = Vec::with_capacity(inner.signature.parameters.len());
        for outside in &inner.signature.parameters {
            let parameter = &outside.parameter;
            let what = || format!("parameter `{}` of `{}`", parameter.name, inner.name);
            let fail = |reason: &str| RuntimeError::Layout {
                what: what(),
                reason: reason.to_owned(),
                help: "parameters are those that the compiler wrote with the library",
            };
            let found = given.iter().find(|it| it.0 == parameter.name);
            let tensor = &found.ok_or_else(|| fail("is missing"))?.1;
            check_input(parameter, tensor, &what)?;
            let aligned = tensor.as_bytes()?.as_ptr().addr().is_multiple_of(64);
            let tensor = if aligned { tensor.clone() } else { tensor.to_owned_copy()? };
            if digest(tensor.as_bytes()?) != outside.digest {
                return Err(fail("holds other data than the library was made for"));
            }
            tensors.push(tensor);
        }
        let mut first = false;
        inner.parameters.get_or_init(|| {
            first = true;
            let table = inner.table.load(Ordering::Relaxed);
            for (i, tensor) in tensors.iter().enumerate() {
                let address = tensor.as_bytes().map_or(std::ptr::null(), <[u8]>::as_ptr);
                // SAFETY: the table has a place for each parameter, and no call runs before this cell is set: every
                // call looks at it.
                unsafe { table.add(i).write(address) };
            }
            tensors
        });
        match first {
            true => Ok(()),
            false => Err(RuntimeError::Parameters { library: inner.name.clone(), given: true }),
        }
    }

    /// Names, types and shapes of what goes in and comes out.
    pub fn signature(&self) -> &Signature {
        &self.inner.signature
    }

    /// What the compiler wrote about the model, as JSON; empty when the library says nothing.
    pub fn metadata(&self) -> &str {
        &self.inner.metadata
    }

    /// Where the library came from.
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Threads that a call uses unless its options say otherwise; 1 at first.
    pub fn threads(&self) -> usize {
        self.inner.threads.load(Ordering::Relaxed)
    }

    /// Sets the number of threads for later calls, on all clones.
    pub fn set_threads(&self, threads: usize) {
        self.inner.threads.store(threads.max(1), Ordering::Relaxed);
    }

    /// The function called `name`, also one that the signature does not list. One with state only says so when it is
    /// called: [`Library::run_in_place`] knows who else uses the memory that it writes.
    pub fn function(&self, name: &str) -> Option<PackedFunc> {
        let listed = self.inner.signature.functions.iter().position(|it| it.name == name);
        if listed
            .is_some_and(|it| self.inner.signature.functions[it].inputs.iter().any(|it| it.becomes.is_some()))
        {
            let (library, called) = (self.clone(), name.to_owned());
            return Some(PackedFunc::new(name, move |_| {
                library.run_function(&called, &[], RunOptions::default()).map(|_| Value::None)
            }));
        }
        let function = match listed {
            Some(index) => self.inner.functions[index],
            None => {
                let address = self.inner.image.symbol(&[symbol::FUNCTION_PREFIX, name].concat())?;
                // SAFETY: symbols with this prefix have the packed calling convention.
                unsafe { std::mem::transmute::<*const u8, SafeCall>(address) }
            }
        };
        // SAFETY: exported functions ignore the handle, may run on any thread, and live as long as the library.
        Some(unsafe { PackedFunc::from_raw(name, function, std::ptr::null_mut(), Arc::new(self.clone())) })
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Library({})", self.inner.name)
    }
}

/// A `u64` length, little endian, and as many bytes of UTF-8.
///
/// # Safety
/// `start` points to such a text, or to what `mapped` knows the extent of.
unsafe fn read_text(start: *const u8, mapped: &Mapped) -> Result<String, String> {
    let room = mapped.room(start.addr()).map_or(LARGEST_TEXT, |it| LARGEST_TEXT.min(it as u64));
    if room < 8 {
        return Err("it has no length".to_owned());
    }
    // SAFETY: by contract, and there is room for it.
    let length = u64::from_le_bytes(unsafe { start.cast::<[u8; 8]>().read() });
    if length > room - 8 {
        return Err(format!("it claims to be {length} bytes long"));
    }
    // SAFETY: by contract; the length was found plausible.
    let bytes = unsafe { std::slice::from_raw_parts(start.add(8), length as usize) };
    String::from_utf8(bytes.to_vec()).map_err(|error| error.to_string())
}

/// What can be checked without the model: count, types, ranks, fixed extents, layout.
/// Symbolic extents are checked by the compiled code, which knows their relations.
fn check_inputs(function: &Function, inputs: &[Tensor]) -> Result<(), RuntimeError> {
    if inputs.len() < function.required() || inputs.len() > function.inputs.len() {
        return Err(argument_count(function, inputs.len()));
    }
    let mut pairs = function.inputs.iter().zip(inputs);
    pairs.try_for_each(|(parameter, tensor)| {
        check_input(parameter, tensor, &|| format!("input `{}` of `{}`", parameter.name, function.name))
    })
}

/// What a call writes can be written.
fn check_state(
    function: &Function,
    parameter: &Parameter,
    tensor: Option<&mut Tensor>,
) -> Result<(), RuntimeError> {
    let Some(tensor) = tensor.filter(|_| parameter.becomes.is_some()) else { return Ok(()) };
    tensor.check_writable().map_err(|_| RuntimeError::Layout {
        what: format!("input `{}` of `{}`", parameter.name, function.name),
        reason: "is state, which the call writes, but it is shared or read-only".to_owned(),
        help: "`Tensor::to_owned_copy` makes a copy that can be written",
    })
}

fn state_is_written(state: &Parameter, function: &str) -> RuntimeError {
    RuntimeError::Layout {
        what: format!("input `{}` of `{function}`", state.name),
        reason: "is state, which the call writes".to_owned(),
        help: "`Library::run_in_place` takes tensors that it may write",
    }
}

/// What is an object is checked by the compiled code.
fn check_input(
    parameter: &Parameter,
    tensor: &Tensor,
    what: &dyn Fn() -> String,
) -> Result<(), RuntimeError> {
    if parameter.object.is_some() {
        return Ok(());
    }
    if tensor.dtype() != parameter.dtype {
        let (expected, got) = (parameter.dtype, tensor.dtype());
        return Err(RuntimeError::DataType { what: what(), expected, got });
    }
    if !fits(parameter, tensor.shape()) {
        let dims: Vec<String> = parameter.dims.iter().map(ToString::to_string).collect();
        let expected = format!("[{}]", dims.join(","));
        let got = format!("{:?}", tensor.shape()).replace(' ', "");
        return Err(RuntimeError::Shape { what: what(), expected, got });
    }
    if tensor.device().device_type != DLDevice::CPU.device_type || !tensor.is_contiguous() {
        return Err(RuntimeError::Layout {
            what: what(),
            reason: "is not row-major in host memory".to_owned(),
            help: "`Tensor::contiguous` makes a row-major copy",
        });
    }
    Ok(())
}

fn fits(parameter: &Parameter, shape: &[i64]) -> bool {
    let agree = |(dim, &extent): (&Dim, &i64)| match dim {
        Dim::Fixed(expected) => *expected == extent,
        Dim::Symbolic(_) => true,
    };
    parameter.dims.len() == shape.len() && parameter.dims.iter().zip(shape).all(agree)
}

fn argument_count(function: &Function, got: usize) -> RuntimeError {
    RuntimeError::ArgumentCount {
        function: function.name.clone(),
        expected: function.inputs.iter().map(|it| it.name.clone()).collect(),
        got,
    }
}
